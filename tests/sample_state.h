// SPDX-License-Identifier: MIT
// sample_state: random concrete machines, random abstract states around them, and containment, by a reading
// of the contracts in value.h and state.h that shares nothing with the code under test. The universe is
// small, so that what is compared is often contained and often not.
#pragma once

#include <stdlib.h>

#include "domain/domain.h"
#include "tests/test.h"

enum { PLACES = 12, CLASSES = 6, FIRST_CELL = 6, TURNS = 11, INIT_BYTES = 48, OBJECTS = 4 };

// What one location of a concrete machine holds: a number, or an address as region (an object) and offset.
struct thing {
    uint8_t kind; // enum value_kind
    uint8_t map;  // OBJECT: which object
    int64_t number;
};

struct machine {
    struct thing at[PLACES]; // registers, cells of 8 bytes, the counter of a loop
    int32_t length, meta;    // of packet and metadata
    uint64_t init;           // bytes [0, 48) of the frame that were written
    uint8_t held;            // objects that have to be released
    bool packet_changed;
};

static uint64_t sample_seed = 0x1234567;
static inline uint32_t pick(uint32_t below)
{
    sample_seed ^= sample_seed << 13;
    sample_seed ^= sample_seed >> 7;
    sample_seed ^= sample_seed << 17;
    return (uint32_t)(sample_seed >> 33) % below;
}

static inline uint32_t place_loc(unsigned place)
{
    if (place == TURNS) {
        return STATE_LOC_LOOPS;
    }
    return place < FIRST_CELL ? place : STATE_LOC_CELLS + (place - FIRST_CELL) * 2;
}

static inline bool is_cell(unsigned place)
{
    return place >= FIRST_CELL && place != TURNS;
}

// --- concrete machines ---------------------------------------------------------------------------

static inline void make_thing(struct machine *m, struct thing *t)
{
    static const uint8_t kinds[] = {VALUE_SCALAR, VALUE_SCALAR, VALUE_SCALAR,    VALUE_SCALAR,
                                    VALUE_PACKET, VALUE_PACKET, VALUE_MAP_VALUE, VALUE_MAP_VALUE,
                                    VALUE_CTX,    VALUE_OBJECT};
    t->kind = kinds[pick(ARRAY_SIZE(kinds))];
    t->map = t->kind == VALUE_MAP_VALUE ? (uint8_t)pick(2)
             : t->kind == VALUE_OBJECT  ? (uint8_t)pick(OBJECTS)
                                        : 0;
    t->number =
        t->kind == VALUE_OBJECT || (t->kind == VALUE_MAP_VALUE && pick(2) != 0) ? 0 : (int64_t)pick(7);
    if (t->kind == VALUE_OBJECT && pick(3) == 0) {
        m->held |= (uint8_t)(1u << t->map);
    }
}

static inline void make_machine(struct machine *m)
{
    memset(m, 0, sizeof(*m));
    for (unsigned i = 0; i < PLACES; i++) {
        make_thing(m, &m->at[i]);
    }
    m->at[TURNS] = (struct thing){VALUE_SCALAR, 0, (int64_t)pick(5)};
    m->length = (int32_t)pick(9);
    m->meta = (int32_t)pick(3);
    m->init = ((uint64_t)1 << INIT_BYTES) - 1;
    m->init &= ~((uint64_t)1 << pick(INIT_BYTES)) & ~((uint64_t)1 << pick(INIT_BYTES));
    m->packet_changed = pick(4) == 0;
    for (unsigned i = FIRST_CELL; i < TURNS; i++) {
        m->init |= m->at[i].kind == VALUE_SCALAR ? 0 : (uint64_t)0xff << ((i - FIRST_CELL) * 8);
    }
}

// A neighbour: some things differ.
static inline void change_machine(struct machine *m)
{
    for (unsigned n = pick(3); n != 0; n--) {
        struct thing *t = &m->at[pick(PLACES - 1)];
        bool plain = t->kind != VALUE_OBJECT || (m->held >> t->map & 1) == 0;
        if (pick(4) == 0 && plain) {
            uint8_t held = m->held;
            make_thing(m, t);
            m->held = held;
        } else if ((t->kind == VALUE_MAP_VALUE || t->kind == VALUE_OBJECT) && t->number == 0 &&
                   pick(2) == 0) {
            m->held &= t->kind == VALUE_OBJECT ? (uint8_t)~(1u << t->map) : 0xff;
            *t = (struct thing){VALUE_SCALAR, 0, 0};
        } else if (t->kind != VALUE_OBJECT) {
            t->number = (int64_t)pick(7);
        }
    }
    m->at[TURNS].number = pick(3) == 0 ? (int64_t)pick(5) : m->at[TURNS].number;
    m->length = pick(4) == 0 ? (int32_t)pick(9) : m->length;
    for (unsigned i = FIRST_CELL; i < TURNS; i++) {
        m->init |= m->at[i].kind == VALUE_SCALAR ? 0 : (uint64_t)0xff << ((i - FIRST_CELL) * 8);
    }
}

// --- abstract states around a machine ------------------------------------------------------------

static unsigned sample_loose; // 0..3: how little states know

struct classes {
    int64_t number[CLASSES]; // N of identity 2 + i
    int null[CLASSES];       // nullness classes, from identity 20: -1 not used yet
};

static inline void set_range(struct scalar *n, int64_t inside)
{
    switch (pick(4 + sample_loose)) {
    case 0: scalar_set_const(n, (uint64_t)inside); break;
    case 1:
    case 2: scalar_set_srange(n, inside - (int64_t)pick(4), inside + (int64_t)pick(4)); break;
    default: scalar_set_srange(n, -100, 100); break;
    }
}

static inline int32_t pick_factor(void)
{
    static const int32_t factors[] = {1, 1, 1, 1, -1, 2, 3, 4, -2};
    return factors[pick(ARRAY_SIZE(factors))];
}

static inline void give_class(struct value *v, const struct classes *c, int64_t number)
{
    unsigned k = pick(CLASSES);
    v->id = VALUE_ID_FIRST + k;
    v->cf = pick_factor();
    v->delta = number - v->cf * c->number[k];
}

static inline void abstract_scalar(const struct machine *m, const struct thing *t, const struct classes *c,
                                   struct value *v)
{
    struct scalar n;
    set_range(&n, t->number);
    value_set_scalar(v, &n);
    if (pick(8) == 0) {
        v->id = VALUE_ID_LENGTH;
        v->cf = 1;
        v->delta = t->number - m->length;
    } else if (pick(3) != 0) {
        give_class(v, c, t->number);
    }
}

static inline void abstract_pointer(const struct machine *m, const struct thing *t, const struct classes *c,
                                    struct value *v)
{
    unsigned k = pick(CLASSES);
    value_set_pointer(v, (enum value_kind)t->kind, (int32_t)t->number);
    v->map = t->kind == VALUE_OBJECT ? 0 : t->map;
    if (t->kind == VALUE_OBJECT) {
        v->ref = 40u + t->map;
        v->flags = (m->held >> t->map & 1) != 0 ? VALUE_ACQUIRED : 0;
    }
    if (t->kind == VALUE_CTX || t->kind == VALUE_OBJECT || pick(2) == 0) {
        return;
    }
    if (t->kind == VALUE_PACKET) {
        v->off = (int32_t)(t->number - c->number[k]);
        value_set_id(v, VALUE_ID_FIRST + k);
        set_range(&v->num, c->number[k]);
        v->range = (int32_t)(m->length - c->number[k]) - (int32_t)pick(3);
    } else {
        v->off = (int32_t)pick(4);
        set_range(&v->num, t->number - v->off);
        give_class(v, c, t->number - v->off);
    }
    value_normalize(v);
}

// A place that is null or a whole value or object may become a pointer that may be null.
static inline bool abstract_null(const struct machine *m, const struct thing *t, struct classes *c,
                                 struct value *v)
{
    bool null = t->kind == VALUE_SCALAR;
    unsigned k = pick(CLASSES);
    bool object = null ? pick(3) == 0 : t->kind == VALUE_OBJECT;
    if (t->number != 0 || (!null && t->kind != VALUE_MAP_VALUE && t->kind != VALUE_OBJECT) || pick(2) == 0 ||
        (c->null[k] != -1 && c->null[k] != (int)null)) {
        return false;
    }
    c->null[k] = null;
    value_set_pointer(v, object ? VALUE_OBJECT : VALUE_MAP_VALUE, 0);
    v->map = object ? 0 : null ? (uint16_t)pick(2) : t->map;
    v->maybe_null = 1;
    if (object) {
        v->ref = null ? 40u + OBJECTS + k : 40u + t->map; // an object that is not there
        v->flags = !null && (m->held >> t->map & 1) != 0 ? VALUE_ACQUIRED : 0;
    }
    value_set_id(v, 20 + k);
    return true;
}

static inline void abstract_rows(struct domain_state *s, const struct classes *c)
{
    for (unsigned n = pick(3); n != 0; n--) {
        unsigned l = pick(CLASSES), r = pick(CLASSES), sum = pick(CLASSES);
        state_add_sum(s, VALUE_ID_FIRST + l, VALUE_ID_FIRST + r,
                      c->number[l] + c->number[r] == c->number[sum] ? VALUE_ID_FIRST + sum : VALUE_ID_NONE);
        s->sums[s->sum_count - 1].max = c->number[l] + c->number[r] + (int64_t)pick(3);
    }
    for (unsigned n = pick(3); n != 0; n--) {
        unsigned l = pick(CLASSES), h = pick(CLASSES);
        s->bounds[s->bound_count++] = (struct state_bound){VALUE_ID_FIRST + l, VALUE_ID_FIRST + h,
                                                           c->number[h] - c->number[l] - (int64_t)pick(3)};
    }
}

// Bytes of numbers that were written from `from` on.
static inline uint32_t run_of(const struct machine *m, uint32_t from)
{
    uint32_t end = from;
    while (end < INIT_BYTES && (m->init >> end & 1) != 0 &&
           (FIRST_CELL + end / 8 >= TURNS || m->at[FIRST_CELL + end / 8].kind == VALUE_SCALAR)) {
        end++;
    }
    return end - from;
}

static inline void abstract_span(const struct machine *m, struct domain_state *s, const struct classes *c)
{
    uint32_t from = pick(2) * 8, run = run_of(m, from);
    if (pick(2) == 0 || run == 0) {
        return;
    }
    struct thing end = {VALUE_SCALAR, 0, (int64_t)pick(min_u32(run + 1, 12))};
    s->frames[0].span.from = from;
    abstract_scalar(m, &end, c, &s->frames[0].span.end);
    stack_settle_span(&s->frames[0]);
}

static inline void abstract_facts(const struct machine *m, struct domain_state *s)
{
    s->frame_count = 1;
    value_set_pointer(&s->regs[10], VALUE_STACK, 0);
    s->next_id = 60;
    s->packet_length = m->length > 0 ? m->length - (int32_t)pick((uint32_t)m->length + 1) : 0;
    s->meta_length = m->meta > 0 ? (int32_t)pick((uint32_t)m->meta + 1) : 0;
    s->frames[0].init[0] = m->init & (pick(2) != 0 ? ~(uint64_t)0 : ~((uint64_t)1 << pick(INIT_BYTES)));
    s->packet_changed = m->packet_changed || pick(3) == 0;
    for (unsigned o = 0; o < OBJECTS; o++) {
        if ((m->held >> o & 1) != 0 && !state_acquire(s, 40 + o, 7, STATE_REF_OBJECT, 0)) {
            abort();
        }
    }
}

// Bytes of a pointer that the state does not know must not be readable.
static inline void hide_addresses(const struct machine *m, struct domain_state *s)
{
    for (unsigned i = FIRST_CELL; i < TURNS; i++) {
        if (m->at[i].kind != VALUE_SCALAR && (s->frames[0].present[0] >> ((i - FIRST_CELL) * 2) & 1) == 0) {
            s->frames[0].init[0] &= ~((uint64_t)0xff << ((i - FIRST_CELL) * 8));
        }
    }
}

static inline void abstract(const struct machine *m, struct domain_state *s)
{
    struct classes c;
    struct value v;
    memset(s, 0, sizeof(*s));
    abstract_facts(m, s);
    for (unsigned k = 0; k < CLASSES; k++) {
        c.number[k] = (int64_t)pick(4);
        c.null[k] = -1;
    }
    for (unsigned i = 0; i < PLACES; i++) {
        const struct thing *t = &m->at[i];
        uint64_t bytes = is_cell(i) ? (uint64_t)0xff << ((i - FIRST_CELL) * 8) : 0;
        if (pick(5) <= sample_loose || (s->frames[0].init[0] & bytes) != bytes) {
            continue;
        }
        if (i == TURNS || !abstract_null(m, t, &c, &v)) {
            (t->kind == VALUE_SCALAR ? abstract_scalar : abstract_pointer)(m, t, &c, &v);
        }
        if (i == TURNS) {
            struct scalar covered;
            scalar_set_srange(&covered, 0, STATE_MAX_TURNS);
            if (!scalar_meet(&v.num, &covered)) {
                abort();
            }
        }
        v.width = is_cell(i) ? 8 : 0;
        state_put(s, place_loc(i), &v);
    }
    abstract_rows(s, &c);
    abstract_span(m, s, &c);
    hide_addresses(m, s);
}

// --- containment ---------------------------------------------------------------------------------

struct meaning {
    bool known[64];
    int64_t number[64];
    bool ref_known[64];
    int object[64]; // of a `ref`
};

static inline bool agree(struct meaning *n, uint32_t id, int64_t number)
{
    if (id == VALUE_ID_NONE) {
        return true;
    }
    if (!n->known[id]) {
        n->known[id] = true;
        n->number[id] = number;
    }
    return n->number[id] == number;
}

static inline bool agree_scaled(struct meaning *n, const struct value *v, int64_t x)
{
    return v->id == VALUE_ID_NONE || ((x - v->delta) % v->cf == 0 && agree(n, v->id, (x - v->delta) / v->cf));
}

// `ref` is one object, and no other ref is.
static inline bool agree_object(struct meaning *n, uint32_t ref, int object)
{
    for (unsigned i = 0; i < ARRAY_SIZE(n->object); i++) {
        if (n->ref_known[i] && (n->object[i] == object) != (i == ref)) {
            return false;
        }
    }
    n->ref_known[ref] = true;
    n->object[ref] = object;
    return true;
}

static inline bool null_holds(const struct value *v, const struct thing *t, struct meaning *n)
{
    if (t->kind == VALUE_SCALAR) {
        return t->number == 0 && agree(n, v->id, 1);
    }
    if (t->kind != v->kind || t->number != 0 || !agree(n, v->id, 0)) {
        return false;
    }
    return v->kind == VALUE_OBJECT ? agree_object(n, v->ref, t->map) : v->map == t->map;
}

static inline bool value_holds(const struct machine *m, const struct value *v, const struct thing *t,
                               struct meaning *n)
{
    if (v->maybe_null) {
        return null_holds(v, t, n);
    }
    if (v->kind != t->kind) {
        return false;
    }
    if (v->kind == VALUE_OBJECT) {
        return agree_object(n, v->ref, t->map);
    }
    int64_t x = t->number - (v->kind == VALUE_SCALAR ? 0 : v->off);
    bool range = v->kind != VALUE_PACKET || v->id == VALUE_ID_NONE || x + v->range <= m->length;
    return v->map == t->map && scalar_contains(&v->num, (uint64_t)x) && range &&
           (scalar_is_const(&v->num) || agree_scaled(n, v, x));
}

static inline bool rows_hold(const struct domain_state *s, const struct meaning *n)
{
    for (uint32_t i = 0; i < s->sum_count; i++) {
        const struct state_sum *r = &s->sums[i];
        bool known = n->known[r->left] && n->known[r->right];
        int64_t sum = n->number[r->left] + n->number[r->right];
        if (known &&
            (sum > r->max || (r->sum != VALUE_ID_NONE && n->known[r->sum] && n->number[r->sum] != sum))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < s->bound_count; i++) {
        const struct state_bound *r = &s->bounds[i];
        if (n->known[r->low] && n->known[r->high] && n->number[r->low] + r->delta > n->number[r->high]) {
            return false;
        }
    }
    return true;
}

static inline bool span_holds(const struct domain_state *s, const struct machine *m, const struct meaning *n)
{
    const struct value *end = &s->frames[0].span.end;
    if (end->kind == VALUE_NOT_INIT) {
        return true;
    }
    int64_t run = run_of(m, s->frames[0].span.from);
    if (end->id != VALUE_ID_NONE && n->known[end->id]) {
        int64_t x = end->cf * n->number[end->id] + end->delta;
        return x <= run && scalar_contains(&end->num, (uint64_t)x);
    }
    return end->num.smin <= run;
}

// What is held: what the table says, but for pointers that turn out null.
static inline bool refs_hold(const struct domain_state *s, const struct machine *m, const struct meaning *n)
{
    unsigned held = 0, orphans = 0, missing = 0;
    for (uint32_t i = 0; i < s->ref_count; i++) {
        uint32_t ref = s->refs[i].ref;
        if (n->ref_known[ref]) {
            held |= 1u << n->object[ref];
        } else {
            orphans++;
        }
    }
    for (unsigned o = 0; o < OBJECTS; o++) {
        missing += (m->held & ~held) >> o & 1;
    }
    return (held & ~(unsigned)m->held) == 0 && missing <= orphans;
}

static inline bool holds(struct domain_state *s, const struct machine *m)
{
    struct meaning n;
    memset(&n, 0, sizeof(n));
    n.known[VALUE_ID_LENGTH] = true;
    n.number[VALUE_ID_LENGTH] = m->length;
    if (s->packet_length > m->length || s->meta_length > m->meta || (s->frames[0].init[0] & ~m->init) != 0 ||
        (m->packet_changed && !s->packet_changed)) {
        return false;
    }
    for (unsigned i = 0; i < PLACES; i++) {
        uint32_t loc = place_loc(i);
        if (state_next(s, loc) == loc && !value_holds(m, state_value(s, loc), &m->at[i], &n)) {
            return false;
        }
        uint64_t bytes = is_cell(i) ? (uint64_t)0xff << ((i - FIRST_CELL) * 8) : 0;
        if (m->at[i].kind != VALUE_SCALAR && state_next(s, loc) != loc &&
            (s->frames[0].init[0] & bytes) != 0) {
            return false; // an address that may be read as a number
        }
    }
    return rows_hold(s, &n) && span_holds(s, m, &n) && refs_hold(s, m, &n);
}
