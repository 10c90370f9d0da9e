// SPDX-License-Identifier: MIT
// Packed states against concrete ones: packing keeps every concrete state, and entailment is containment.
// States are random, made around random concrete machines from a small universe, so that entailment is
// frequent in both answers.
#include <stdlib.h>

#include "domain/domain.h"
#include "tests/test.h"

enum { PLACES = 9, ROUNDS = 60000, CLASSES = 6 };

// What one location of a concrete machine holds: a number, or an address as region and offset.
struct thing {
    uint8_t kind; // enum value_kind
    uint8_t map;
    int64_t number;
};

struct machine {
    struct thing at[PLACES];
    int32_t length, meta; // of packet and metadata
    uint32_t init;        // bytes [0, 32) of the frame that were written
};

static uint32_t place_loc(unsigned place)
{
    return place < 5 ? place : STATE_LOC_CELLS + (place - 5) * 2;
}

static uint64_t seed = 0x1234567;
static uint32_t pick(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % below;
}

static struct domain_state *one, *two;
static struct packed_scratch *scratch;
static uint64_t *store_one, *store_two;

static bool have_memory(void)
{
    if (one == NULL) {
        one = calloc(1, sizeof(*one));
        two = calloc(1, sizeof(*two));
        scratch = calloc(1, sizeof(*scratch));
        store_one = calloc(1, sizeof(scratch->buffer));
        store_two = calloc(1, sizeof(scratch->buffer));
    }
    return one != NULL && two != NULL && scratch != NULL && store_one != NULL && store_two != NULL;
}

static const struct packed *pack_into(uint64_t *buffer, const struct domain_state *s)
{
    const struct packed *p = packed_make(scratch, s, NULL);
    memcpy(buffer, p, p->size);
    return (const struct packed *)buffer;
}

// --- concrete machines ---------------------------------------------------------------------------

static void make_thing(struct thing *t)
{
    static const uint8_t kinds[] = {VALUE_SCALAR, VALUE_SCALAR, VALUE_SCALAR,    VALUE_PACKET,
                                    VALUE_PACKET, VALUE_CTX,    VALUE_MAP_VALUE, VALUE_MAP_VALUE};
    t->kind = kinds[pick(ARRAY_SIZE(kinds))];
    t->map = t->kind == VALUE_MAP_VALUE ? (uint8_t)pick(2) : 0;
    t->number = t->kind == VALUE_MAP_VALUE && pick(2) != 0 ? 0 : (int64_t)pick(6);
}

static void make_machine(struct machine *m)
{
    for (unsigned i = 0; i < PLACES; i++) {
        make_thing(&m->at[i]);
    }
    m->length = (int32_t)pick(8);
    m->meta = (int32_t)pick(3);
    m->init = ~(1u << pick(32));
}

// A neighbour: some things differ.
static void change_machine(struct machine *m)
{
    for (unsigned n = pick(3); n != 0; n--) {
        struct thing *t = &m->at[pick(PLACES)];
        if (pick(3) == 0) {
            make_thing(t);
        } else if (t->kind == VALUE_MAP_VALUE && t->number == 0) {
            *t = (struct thing){VALUE_SCALAR, 0, 0};
        } else {
            t->number = (int64_t)pick(6);
        }
    }
    m->length = pick(4) == 0 ? (int32_t)pick(8) : m->length;
}

// --- abstract states around a machine ------------------------------------------------------------

struct classes {
    int64_t number[CLASSES]; // N of identity 2 + i
    int null[CLASSES];       // nullness classes, from identity 20: -1 not used yet
};

static void set_range(struct scalar *n, int64_t inside)
{
    switch (pick(4)) {
    case 0: scalar_set_const(n, (uint64_t)inside); break;
    case 1: scalar_set_srange(n, -100, 100); break;
    default: scalar_set_srange(n, inside - (int64_t)pick(4), inside + (int64_t)pick(4)); break;
    }
}

static void abstract_scalar(const struct machine *m, const struct thing *t, const struct classes *c,
                            struct value *v)
{
    struct scalar n;
    set_range(&n, t->number);
    value_set_scalar(v, &n);
    unsigned k = pick(CLASSES);
    if (pick(8) == 0) {
        v->id = VALUE_ID_LENGTH;
        v->delta = t->number - m->length;
    } else if (pick(2) == 0) {
        v->id = VALUE_ID_FIRST + k;
        v->delta = t->number - c->number[k];
    }
}

static void abstract_pointer(const struct machine *m, const struct thing *t, const struct classes *c,
                             struct value *v)
{
    unsigned k = pick(CLASSES);
    value_set_pointer(v, (enum value_kind)t->kind, (int32_t)t->number);
    v->map = t->map;
    if (t->kind == VALUE_CTX || pick(2) == 0) {
        return;
    }
    v->off = (int32_t)(t->number - c->number[k]);
    v->id = VALUE_ID_FIRST + k;
    set_range(&v->num, c->number[k]);
    if (t->kind == VALUE_PACKET) {
        v->range = (int32_t)(m->length - c->number[k]) - (int32_t)pick(3);
    }
    if (scalar_is_const(&v->num)) {
        value_normalize(v);
    }
}

// A place that is null or a whole value may become a pointer that may be null.
static bool abstract_null(const struct thing *t, struct classes *c, struct value *v)
{
    bool null = t->kind == VALUE_SCALAR;
    unsigned k = pick(CLASSES);
    if (t->number != 0 || (t->kind != VALUE_SCALAR && t->kind != VALUE_MAP_VALUE) || pick(2) == 0) {
        return false;
    }
    if (c->null[k] != -1 && c->null[k] != (int)null) {
        return false;
    }
    c->null[k] = null;
    value_set_pointer(v, VALUE_MAP_VALUE, 0);
    v->map = null ? (uint16_t)pick(2) : t->map;
    v->maybe_null = 1;
    v->id = 20 + k;
    return true;
}

static void abstract(const struct machine *m, struct domain_state *s)
{
    struct classes c;
    struct value v;
    memset(s, 0, sizeof(*s));
    s->frame_count = 1;
    value_set_pointer(&s->regs[10], VALUE_STACK, 0);
    s->next_id = 20 + CLASSES;
    s->packet_length = m->length > 0 ? m->length - (int32_t)pick((uint32_t)m->length + 1) : 0;
    s->meta_length = m->meta > 0 ? (int32_t)pick((uint32_t)m->meta + 1) : 0;
    s->frames[0].init[0] = m->init & (pick(2) != 0 ? ~0u : ~(1u << pick(32)));
    for (unsigned k = 0; k < CLASSES; k++) {
        c.number[k] = (int64_t)pick(4);
        c.null[k] = -1;
    }
    for (unsigned i = 0; i < PLACES; i++) {
        const struct thing *t = &m->at[i];
        bool is_cell = i >= 5;
        uint64_t bytes = (uint64_t)0xff << ((i - 5) * 8 % 64);
        if (pick(4) == 0 || (is_cell && (s->frames[0].init[0] & bytes) != bytes)) {
            continue;
        }
        if (!abstract_null(t, &c, &v)) {
            (t->kind == VALUE_SCALAR ? abstract_scalar : abstract_pointer)(m, t, &c, &v);
        }
        v.width = is_cell ? 8 : 0;
        *state_value(s, place_loc(i)) = v;
        if (is_cell) {
            s->frames[0].present[0] |= (uint64_t)1 << ((i - 5) * 2);
        }
    }
}

// --- containment ---------------------------------------------------------------------------------

struct meaning {
    bool known[64];
    int64_t number[64];
};

static bool agree(struct meaning *n, uint32_t id, int64_t number)
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

static bool value_holds(const struct machine *m, const struct value *v, const struct thing *t,
                        struct meaning *n)
{
    if (v->maybe_null) {
        bool null = t->kind == VALUE_SCALAR && t->number == 0;
        return (null || (t->kind == VALUE_MAP_VALUE && t->map == v->map && t->number == 0)) &&
               agree(n, v->id, null);
    }
    if (v->kind != t->kind || v->map != t->map) {
        return false;
    }
    int64_t x = t->number - (v->kind == VALUE_SCALAR ? 0 : v->off);
    int64_t number = v->kind == VALUE_SCALAR ? t->number - v->delta : x;
    bool range = v->kind != VALUE_PACKET || v->id == VALUE_ID_NONE || x + v->range <= m->length;
    bool constant = v->kind == VALUE_SCALAR && scalar_is_const(&v->num);
    return scalar_contains(&v->num, (uint64_t)x) && range && (constant || agree(n, v->id, number));
}

static bool holds(struct domain_state *s, const struct machine *m)
{
    struct meaning n;
    memset(&n, 0, sizeof(n));
    n.known[VALUE_ID_LENGTH] = true;
    n.number[VALUE_ID_LENGTH] = m->length;
    if (s->packet_length > m->length || s->meta_length > m->meta ||
        (s->frames[0].init[0] & ~(uint64_t)m->init) != 0) {
        return false;
    }
    for (unsigned i = 0; i < PLACES; i++) {
        uint32_t loc = place_loc(i);
        if (state_next(s, loc) == loc && !value_holds(m, state_value(s, loc), &m->at[i], &n)) {
            return false;
        }
    }
    return true;
}

// --- cases ---------------------------------------------------------------------------------------

static void packing_keeps_concrete_states(void)
{
    REQUIRE(have_memory());
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        struct machine m;
        make_machine(&m);
        abstract(&m, one);
        REQUIRE(state_is_valid(one));
        REQUIRE(holds(one, &m));
        const struct packed *p = pack_into(store_one, one);
        packed_unpack(p, two);
        REQUIRE(state_is_valid(two));
        REQUIRE(holds(two, &m));
        const struct packed *again = pack_into(store_two, two);
        REQUIRE(packed_equal(p, again));
        REQUIRE(packed_entails(scratch, p, again));
    }
}

static void entailment_is_containment(void)
{
    REQUIRE(have_memory());
    unsigned entailed = 0, refused = 0, outside = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct machine inside, other;
        make_machine(&inside);
        other = inside;
        change_machine(&other);
        abstract(&inside, one); // the inner state
        abstract(&other, two);  // the outer state
        const struct packed *inner = pack_into(store_one, one), *outer = pack_into(store_two, two);
        bool entails = packed_entails(scratch, outer, inner);
        bool contained = holds(two, &inside);
        entailed += entails;
        refused += !entails;
        outside += !contained;
        REQUIRE(!entails || contained);
    }
    CHECK(entailed > ROUNDS / 1000);
    CHECK(refused > ROUNDS / 100);
    CHECK(outside > ROUNDS / 100);
}

// Forgetting anything makes a state that entails the original one.
static void forgetting_is_entailed(void)
{
    REQUIRE(have_memory());
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        struct machine m;
        struct packed_live live;
        make_machine(&m);
        abstract(&m, one);
        const struct packed *all = pack_into(store_one, one);
        memset(&live, 0, sizeof(live));
        live.regs = (uint16_t)pick(32);
        live.cells[0][0] = pick(256);
        const struct packed *some = packed_make(scratch, one, &live);
        memcpy(store_two, some, some->size);
        REQUIRE(packed_entails(scratch, (const struct packed *)store_two, all));
    }
}

static void set_number(struct domain_state *s, unsigned reg, int64_t low, int64_t high)
{
    struct scalar n;
    scalar_set_srange(&n, low, high);
    value_set_scalar(&s->regs[reg], &n);
}

static void start(struct domain_state *s)
{
    memset(s, 0, sizeof(*s));
    s->frame_count = 1;
    s->next_id = 30;
    value_set_pointer(&s->regs[10], VALUE_STACK, 0);
}

static bool entails(struct domain_state *outer, struct domain_state *inner)
{
    return packed_entails(scratch, pack_into(store_one, outer), pack_into(store_two, inner));
}

static void relations_must_hold(void)
{
    REQUIRE(have_memory());
    start(one);
    start(two);
    set_number(one, 1, 0, 9);
    set_number(one, 2, 0, 9);
    set_number(two, 1, 0, 9);
    set_number(two, 2, 0, 9);
    CHECK(entails(one, two));
    one->regs[1].id = one->regs[2].id = 5;
    CHECK(!entails(one, two)); // r1 == r2 is claimed, and not known
    CHECK(entails(two, one));
    two->regs[1].id = two->regs[2].id = 7;
    CHECK(entails(one, two));
    two->regs[2].delta = 1;
    CHECK(!entails(one, two)); // r2 == r1 + 1
    set_number(two, 1, 4, 4);
    set_number(two, 2, 4, 4);
    CHECK(entails(one, two));
    set_number(two, 2, 5, 5);
    CHECK(!entails(one, two));
}

static void nullness_must_be_shared(void)
{
    REQUIRE(have_memory());
    start(one);
    start(two);
    for (unsigned r = 1; r <= 2; r++) {
        value_set_pointer(&one->regs[r], VALUE_MAP_VALUE, 0);
        value_set_pointer(&two->regs[r], VALUE_MAP_VALUE, 0);
        one->regs[r].maybe_null = 1;
        one->regs[r].id = 5;
    }
    CHECK(entails(one, two)); // both are not null
    CHECK(!entails(two, one));
    value_set_const(&two->regs[1], 0);
    CHECK(!entails(one, two)); // one is null and the other is not
    value_set_const(&two->regs[2], 0);
    CHECK(entails(one, two));
    value_set_const(&two->regs[2], 1);
    CHECK(!entails(one, two));
    one->regs[2].id = 6;
    value_set_pointer(&two->regs[2], VALUE_MAP_VALUE, 0);
    CHECK(entails(one, two));
    two->regs[2].map = 1;
    CHECK(!entails(one, two));
}

static void frames_must_agree(void)
{
    REQUIRE(have_memory());
    start(one);
    start(two);
    CHECK(entails(one, two));
    one->frames[0].init[3] = 1;
    CHECK(!entails(one, two));
    CHECK(entails(two, one));
    start(one);
    one->frame_count = two->frame_count = 2;
    one->frames[0].return_pc = 4;
    one->regs[10].frame = two->regs[10].frame = 1;
    CHECK(!entails(one, two));
    two->frames[0].return_pc = 4;
    CHECK(entails(one, two));
    two->frame_count = 1;
    CHECK(!entails(one, two));
}

TEST_SUITE(packed)
{
    RUN(packing_keeps_concrete_states);
    RUN(entailment_is_containment);
    RUN(forgetting_is_entailed);
    RUN(relations_must_hold);
    RUN(nullness_must_be_shared);
    RUN(frames_must_agree);
}
