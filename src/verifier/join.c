// SPDX-License-Identifier: MIT
// join: two packed states to one that both entail.
//
// Values meet location by location in scratch->work, which is packed at the end. An identity of the result is
// a pair: a number of `a` and a number of `b` that several locations share (packed_pair). At heads of loops
// two constants that differ are cf * N + delta with N = 0 in `a` and N = 1 in `b`, so that everything that
// moves by constant steps, the turn counter among it, becomes one class; elsewhere they are N + delta.
#include "verifier/join_int.h"

// One side of an identity.
struct end {
    uint32_t id;
    int64_t shift;
};

// --- pairs ---------------------------------------------------------------------------------------

static struct packed_pair *find_pair(struct joining *j, struct end a, struct end b)
{
    struct packed_scratch *t = j->t;
    uint32_t hash = (a.id * 2654435761u) ^ (b.id * 2246822519u) ^ ((uint32_t)a.shift * 3266489917u) ^
                    ((uint32_t)b.shift * 668265263u);
    uint32_t slot = (hash ^ hash >> 15) % PACKED_SLOTS;
    struct packed_pair *p = &t->pairs[slot];
    while (p->stamp == t->stamp &&
           (p->a != a.id || p->b != b.id || p->shift_a != a.shift || p->shift_b != b.shift)) {
        slot = (slot + 1) % PACKED_SLOTS;
        p = &t->pairs[slot];
    }
    if (p->stamp != t->stamp) {
        *p = (struct packed_pair){t->stamp, a.id, b.id, state_make_id(j->s), 0, a.shift, b.shift, NULL, NULL};
        t->pair_order[t->pair_count++] = (uint16_t)slot;
    }
    return p;
}

static uint32_t relate(struct joining *j, struct end a, struct end b, const struct packed_entry *x,
                       const struct packed_entry *y)
{
    struct packed_pair *p = find_pair(j, a, b);
    if (p->entry_a == NULL) {
        p->entry_a = x;
        p->entry_b = y;
    }
    p->uses++;
    return p->id;
}

// --- references ----------------------------------------------------------------------------------

// One reference of `a` and one of `b` become one; neither may have another partner. 0: they cannot. A side
// without (the pointer is null there) has reference 0.
static uint32_t join_strict_ref(struct joining *j, uint32_t a, uint32_t b)
{
    struct packed_scratch *t = j->t;
    uint32_t by_a = a != 0 && t->ref_to_stamp[a] == t->stamp ? t->ref_to[a] : 0;
    uint32_t by_b = b != 0 && t->ref_from_stamp[b] == t->stamp ? t->ref_from[b] : 0;
    uint32_t ref = by_a != 0 ? by_a : by_b != 0 ? by_b : state_make_id(j->s);
    if (a != 0 && b != 0 && by_a != by_b && (by_a != 0) == (by_b != 0)) {
        return 0;
    }
    if ((a != 0 && by_a == 0 && by_b != 0) || (b != 0 && by_b == 0 && by_a != 0)) {
        return 0; // the other side's reference has got a number without this one
    }
    if (a != 0) {
        t->ref_to_stamp[a] = t->stamp;
        t->ref_to[a] = ref;
    }
    if (b != 0) {
        t->ref_from_stamp[b] = t->stamp;
        t->ref_from[b] = ref;
    }
    return ref;
}

static bool is_knowledge(uint8_t kind)
{
    return kind == VALUE_MAP_VALUE || kind == VALUE_MAP_PTR;
}

static uint32_t join_known_ref(struct joining *j, uint32_t a, uint32_t b)
{
    if (a < VALUE_ID_FIRST || b < VALUE_ID_FIRST) {
        return a == b ? a : 0;
    }
    return find_pair(j, (struct end){a, REF_SIDE}, (struct end){b, REF_SIDE})->id;
}

// Joins the references of two pointers of one kind. False: one has none.
static bool join_refs(struct joining *j, const struct value *x, const struct value *y, struct value *r)
{
    if (is_knowledge(x->kind)) {
        r->ref = join_known_ref(j, x->ref, y->ref);
        return true;
    }
    if (x->ref < VALUE_ID_FIRST || y->ref < VALUE_ID_FIRST) {
        return x->ref == y->ref;
    }
    r->ref = join_strict_ref(j, x->ref, y->ref);
    return r->ref != 0;
}

// --- numbers -------------------------------------------------------------------------------------

static void join_number(const struct joining *j, struct scalar *x, const struct scalar *y)
{
    if (j->options->widen) {
        scalar_widen(x, y, j->options->thresholds, j->options->threshold_count);
    } else {
        scalar_join(x, y);
    }
}

static bool divides(int64_t difference, int32_t cf, int64_t *quotient)
{
    if (cf == -1) {
        *quotient = (int64_t)(0 - (uint64_t)difference);
        return true;
    }
    *quotient = difference / cf;
    return difference % cf == 0;
}

static int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

// Two constants. N is 0 in `a`.
static bool relate_constants(const struct joining *j, const struct value *x, const struct value *y,
                             struct value *r, struct end *a, struct end *b)
{
    int64_t step = minus(y->num.smin, x->num.smin);
    bool scaled = j->options->head && step >= INT32_MIN && step <= INT32_MAX;
    *a = (struct end){PACKED_CONST, 0};
    *b = (struct end){PACKED_CONST, scaled ? 1 : step};
    r->cf = scaled ? (int32_t)step : 1;
    r->delta = x->num.smin;
    return step != 0;
}

// What x, a constant or cf * N + delta, and y are in common: r->cf * N + r->delta. False: nothing.
static bool relate_ends(const struct joining *j, const struct value *x, const struct value *y,
                        struct value *r, struct end *a, struct end *b)
{
    bool x_const = scalar_is_const(&x->num), y_const = scalar_is_const(&y->num);
    if (x_const && y_const) {
        return relate_constants(j, x, y, r, a, b);
    }
    if ((!x_const && x->id == VALUE_ID_NONE) || (!y_const && y->id == VALUE_ID_NONE)) {
        return false;
    }
    const struct value *like = x_const ? y : x;
    r->cf = like->cf;
    r->delta = like->delta;
    *a = (struct end){x_const ? PACKED_CONST : x->id, 0};
    *b = (struct end){y_const ? PACKED_CONST : y->id, 0};
    if (x_const) {
        return divides(minus(x->num.smin, y->delta), y->cf, &a->shift);
    }
    return (y_const || x->cf == y->cf) &&
           divides(minus(y_const ? y->num.smin : y->delta, x->delta), x->cf, &b->shift);
}

// One side of a value that shall be N itself.
static struct end lone_end(const struct value *v, uint32_t loc)
{
    if (scalar_is_const(&v->num)) {
        return (struct end){PACKED_CONST, v->num.smin};
    }
    return v->id != VALUE_ID_NONE && v->cf == 1 ? (struct end){v->id, v->delta}
                                                : (struct end){PACKED_ALONE | loc, 0};
}

static bool same_number(const struct value *x, const struct value *y)
{
    return scalar_is_const(&x->num) && scalar_is_const(&y->num) && x->num.umin == y->num.umin;
}

// Gives *r the identity that x and y have in common.
static void join_identity(struct joining *j, uint32_t loc, const struct value *x, const struct value *y,
                          const struct packed_entry *ex, const struct packed_entry *ey, struct value *r)
{
    struct end a, b;
    value_drop_id(r);
    if (same_number(x, y)) {
        return;
    }
    if (x->id == VALUE_ID_LENGTH && y->id == VALUE_ID_LENGTH && x->cf == y->cf && x->delta == y->delta) {
        r->id = VALUE_ID_LENGTH;
        r->cf = x->cf;
        r->delta = x->delta;
        return;
    }
    if (!relate_ends(j, x, y, r, &a, &b)) {
        value_drop_id(r);
        if (!j->options->head || x->kind != VALUE_SCALAR) {
            return;
        }
        a = lone_end(x, loc); // for rows about what grows by unknown steps
        b = lone_end(y, loc);
        r->cf = 1;
    }
    r->id = relate(j, a, b, ex, ey);
}

static bool join_scalars(struct joining *j, uint32_t loc, const struct packed_entry *ex,
                         const struct packed_entry *ey, struct value *r)
{
    struct value x, y;
    packed_value(ex, &x);
    packed_value(ey, &y);
    *r = x;
    join_number(j, &r->num, &y.num);
    join_identity(j, loc, &x, &y, ex, ey, r);
    if (loc >= STATE_LOC_LOOPS && loc < STATE_LOC_SPANS) {
        struct scalar covered;
        scalar_set_srange(&covered, 0, STATE_MAX_TURNS);
        return scalar_meet(&r->num, &covered);
    }
    return true;
}

// --- pointers ------------------------------------------------------------------------------------

static struct end null_end(const struct value *v)
{
    if (v->kind == VALUE_SCALAR) {
        return (struct end){PACKED_NULL, 0};
    }
    return v->maybe_null ? (struct end){v->id, 0} : (struct end){PACKED_NOT_NULL, 0};
}

// A pointer that is null in the other state.
static bool join_with_null(struct joining *j, const struct value *ptr, bool in_a, struct value *r)
{
    if (!value_may_be_null(ptr->kind) || ptr->off != 0 || !value_is_fixed(ptr) ||
        (ptr->flags & VALUE_ACQUIRED) != 0) {
        return false;
    }
    *r = *ptr;
    if (is_knowledge(ptr->kind)) {
        r->ref = 0;
    } else if (ptr->ref >= VALUE_ID_FIRST) {
        r->ref = join_strict_ref(j, in_a ? ptr->ref : 0, in_a ? 0 : ptr->ref);
    }
    return is_knowledge(ptr->kind) || ptr->ref < VALUE_ID_FIRST || r->ref != 0;
}

// At least one is NULL or may be null.
static bool join_nullable(struct joining *j, const struct packed_entry *ex, const struct packed_entry *ey,
                          const struct value *x, const struct value *y, struct value *r)
{
    bool fits;
    if (value_is_zero(x)) {
        fits = join_with_null(j, y, false, r);
    } else if (value_is_zero(y)) {
        fits = join_with_null(j, x, true, r);
    } else {
        *r = *x;
        fits = x->kind == y->kind && x->map == y->map && x->flags == y->flags && x->off == 0 && y->off == 0 &&
               value_is_fixed(x) && value_is_fixed(y) && (x->kind == VALUE_MEM || x->size == y->size) &&
               join_refs(j, x, y, r);
        r->size = min_u32(x->size, y->size);
    }
    if (fits) {
        r->maybe_null = 1;
        value_set_id(r, relate(j, null_end(x), null_end(y), ex, ey));
    }
    return fits;
}

static bool is_in_packet(uint8_t kind)
{
    return kind == VALUE_PACKET || kind == VALUE_PACKET_META;
}

// The value with another constant offset, the same address.
static void rebase(struct value *v, int32_t off)
{
    struct scalar by;
    if (v->off == off) {
        return;
    }
    int64_t moved = (int64_t)v->off - off;
    scalar_set_const(&by, (uint64_t)moved);
    scalar_alu(SEM_ADD, 64, &v->num, &by);
    v->delta += moved;
    v->off = off;
}

static int64_t range_of(const struct packed *p, const struct value *v)
{
    int64_t by_length = (int64_t)p->packet_length - v->num.smax;
    return v->id != VALUE_ID_NONE && v->range > by_length ? v->range : by_length;
}

// Pointers are never moved beyond VALUE_MAX_OFFSET, so widening stops there, and before that at a limit that
// leaves room for constants: packets are not longer than half of it.
#define SOFT_LIMIT (VALUE_MAX_LENGTH + (1 << 16))

static bool is_below(const struct scalar *n, int64_t limit)
{
    return n->smin >= -limit && n->smax <= limit;
}

static bool join_offset(const struct joining *j, struct scalar *x, const struct scalar *y)
{
    struct scalar bounds;
    int64_t limit = is_below(x, SOFT_LIMIT) && is_below(y, SOFT_LIMIT) ? SOFT_LIMIT : VALUE_MAX_OFFSET;
    if (!value_is_bounded(x) || !value_is_bounded(y)) {
        return false;
    }
    join_number(j, x, y);
    scalar_set_srange(&bounds, -limit, limit);
    return scalar_meet(x, &bounds);
}

// Packing drops identities that relate nothing, those of packet pointers excepted.
static bool varies_alone(const struct value *v)
{
    return v->id == VALUE_ID_NONE && !scalar_is_const(&v->num);
}

// Packet pointers: N is X itself, with the offset of one that varies.
static bool join_packet(struct joining *j, struct value *x, struct value *y, const struct packed_entry *ex,
                        const struct packed_entry *ey, struct value *r)
{
    int32_t off = value_is_fixed(x) && !value_is_fixed(y) ? y->off : x->off;
    int64_t range_x = range_of(j->a, x) - ((int64_t)x->off - off);
    int64_t range_y = range_of(j->b, y) - ((int64_t)y->off - off);
    rebase(x, off);
    rebase(y, off);
    *r = *x;
    value_drop_id(r);
    if (!join_offset(j, &r->num, &y->num)) {
        return false;
    }
    if (same_number(x, y)) {
        return true;
    }
    if (varies_alone(x) || varies_alone(y)) {
        return r->kind == VALUE_PACKET_META; // nothing needs its class
    }
    struct end a = {x->id, x->delta}, b = {y->id, y->delta};
    if (scalar_is_const(&x->num)) {
        a = (struct end){PACKED_CONST, x->num.smin};
    }
    if (scalar_is_const(&y->num)) {
        b = (struct end){PACKED_CONST, y->num.smin};
    }
    // cf = 1 and delta = 0 for both, so N = N(id) + shift
    value_set_id(r, relate(j, a, b, ex, ey));
    r->range = r->kind == VALUE_PACKET ? value_clamp_range(range_x < range_y ? range_x : range_y) : 0;
    return true;
}

static bool targets_fit(struct joining *j, const struct value *x, const struct value *y, struct value *r)
{
    bool same = x->kind == y->kind && x->map == y->map && x->frame == y->frame && x->flags == y->flags;
    if (!same || (x->kind != VALUE_MEM && x->size != y->size) || !join_refs(j, x, y, r)) {
        return false;
    }
    r->size = min_u32(x->size, y->size);
    return true;
}

static bool join_pointers(struct joining *j, uint32_t loc, const struct packed_entry *ex,
                          const struct packed_entry *ey, struct value *r)
{
    struct value x, y, target;
    packed_value(ex, &x);
    packed_value(ey, &y);
    if (x.maybe_null || y.maybe_null || x.kind == VALUE_SCALAR || y.kind == VALUE_SCALAR) {
        return join_nullable(j, ex, ey, &x, &y, r);
    }
    target = x;
    if (!targets_fit(j, &x, &y, &target)) {
        return false;
    }
    // Different constant offsets tell fields of the context apart, which no instruction may confuse.
    if (x.off != y.off && !(value_may_vary(x.kind) && x.kind != VALUE_CTX)) {
        return false;
    }
    if (!value_may_vary(x.kind)) {
        *r = target;
        return true;
    }
    if (is_in_packet(x.kind)) {
        if (!join_packet(j, &x, &y, ex, ey, r)) {
            return false;
        }
    } else {
        rebase(&y, x.off);
        *r = x;
        if (!join_offset(j, &r->num, &y.num)) {
            return false;
        }
        join_identity(j, loc, &x, &y, ex, ey, r);
    }
    r->ref = target.ref;
    r->size = target.size;
    value_normalize(r);
    return true;
}

// --- locations -----------------------------------------------------------------------------------

// A pointer in a cell that is lost: its bytes are not readable as a number.
static void hide_address(struct domain_state *s, const struct packed_entry *e)
{
    if (e->kind == VALUE_SCALAR || e->loc < STATE_LOC_CELLS) {
        return;
    }
    uint32_t k = e->loc - STATE_LOC_CELLS, byte = k % STATE_CELL_COUNT * 4;
    s->frames[k / STATE_CELL_COUNT].init[byte / 64] &= ~((uint64_t)0xff << (byte % 64));
}

static bool is_span(uint32_t loc)
{
    return loc >= STATE_LOC_SPANS && loc < STATE_LOC_CELLS;
}

static void join_entry(struct joining *j, const struct packed_entry *x, const struct packed_entry *y)
{
    struct value r;
    if (is_span(x->loc)) {
        return;
    }
    bool fits = x->width == y->width;
    if (fits && x->kind == VALUE_SCALAR && y->kind == VALUE_SCALAR) {
        fits = join_scalars(j, x->loc, x, y, &r);
    } else if (fits) {
        fits = join_pointers(j, x->loc, x, y, &r);
    }
    if (fits) {
        r.width = x->width;
        state_put(j->s, x->loc, &r);
    } else {
        hide_address(j->s, x);
        hide_address(j->s, y);
    }
}

static void note_span(const struct packed_entry **spans, const struct packed_entry *e)
{
    if (is_span(e->loc)) {
        spans[e->loc - STATE_LOC_SPANS] = e;
    }
}

static void join_entries(struct joining *j)
{
    const struct packed_entry *x = packed_first(j->a), *y = packed_first(j->b);
    uint32_t left_x = j->a->entry_count, left_y = j->b->entry_count;
    while (left_x > 0 || left_y > 0) {
        bool take_x = left_x > 0 && (left_y == 0 || x->loc <= y->loc);
        bool take_y = left_y > 0 && (left_x == 0 || y->loc <= x->loc);
        if (take_x) {
            note_span(j->spans_a, x);
        }
        if (take_y) {
            note_span(j->spans_b, y);
        }
        if (take_x && take_y) {
            join_entry(j, x, y);
        } else {
            hide_address(j->s, take_x ? x : y);
        }
        x = take_x ? packed_next(x) : x;
        y = take_y ? packed_next(y) : y;
        left_x -= take_x;
        left_y -= take_y;
    }
}

// --- spans ---------------------------------------------------------------------------------------

static void put_span(struct joining *j, uint32_t frame, uint32_t from, const struct value *x,
                     const struct value *y, const struct packed_entry *ex, const struct packed_entry *ey)
{
    struct value r = *x;
    join_number(j, &r.num, &y->num);
    join_identity(j, STATE_LOC_SPANS + frame, x, y, ex, ey, &r);
    j->s->frames[frame].span.from = from;
    j->s->frames[frame].span.end = r;
}

// One state has a span; in the other one bits say what was written from there on. The end that it would have
// before the first turn fits best.
static void join_span_with_bits(struct joining *j, uint32_t frame, const struct packed_entry *span, bool in_a)
{
    const struct packed *with = in_a ? j->a : j->b, *other = in_a ? j->b : j->a;
    struct value x, y;
    uint32_t from = packed_frames(with)[frame].span_from;
    int64_t run = packed_init_run(other, frame, from);
    packed_value(span, &x);
    value_set_const(&y, (uint64_t)(x.delta >= 0 && x.delta < run ? x.delta : run));
    put_span(j, frame, from, in_a ? &x : &y, in_a ? &y : &x, NULL, NULL);
}

// Where the bits of `b` have a run that `a` does not have, at a head: the loop may be writing an array. The
// longest such run becomes a span.
static void start_span(struct joining *j, uint32_t frame)
{
    const struct packed_frame *a = &packed_frames(j->a)[frame], *b = &packed_frames(j->b)[frame];
    uint32_t best = 0, from = 0, i = 0;
    while (i < INSN_STACK_SIZE) {
        uint64_t here = b->init[i / 64] & ~a->init[i / 64];
        if ((here >> (i % 64) & 1) == 0) {
            i++;
            continue;
        }
        uint32_t run = packed_init_run(j->b, frame, i);
        if (run > best) {
            best = run;
            from = i;
        }
        i += run != 0 ? run : 1;
    }
    if (best != 0) {
        struct value x, y;
        value_set_const(&x, 0);
        value_set_const(&y, best);
        put_span(j, frame, from, &x, &y, NULL, NULL);
    }
}

static void join_spans(struct joining *j)
{
    for (uint32_t f = 0; f < j->a->frame_count; f++) {
        const struct packed_entry *x = j->spans_a[f], *y = j->spans_b[f];
        bool same =
            x != NULL && y != NULL && packed_frames(j->a)[f].span_from == packed_frames(j->b)[f].span_from;
        struct value u, v;
        if (same) {
            packed_value(x, &u);
            packed_value(y, &v);
            put_span(j, f, packed_frames(j->a)[f].span_from, &u, &v, x, y);
        } else if (x != NULL) {
            join_span_with_bits(j, f, x, true);
        } else if (y != NULL) {
            join_span_with_bits(j, f, y, false);
        } else if (j->options->head) {
            start_span(j, f);
        }
        stack_settle_span(&j->s->frames[f]);
    }
}

// --- states --------------------------------------------------------------------------------------

static bool frames_fit(const struct packed *a, const struct packed *b)
{
    if (a->frame_count != b->frame_count || a->ref_count != b->ref_count || a->lock_map != b->lock_map ||
        a->rcu_depth != b->rcu_depth || a->preempt_depth != b->preempt_depth ||
        (a->lock_ref != 0) != (b->lock_ref != 0)) {
        return false;
    }
    for (uint32_t f = 0; f < a->frame_count; f++) {
        if (packed_frames(a)[f].return_pc != packed_frames(b)[f].return_pc) {
            return false;
        }
    }
    return true;
}

static void begin(struct joining *j)
{
    struct domain_state *s = j->s;
    const struct packed *a = j->a, *b = j->b;
    memset(s->regs, 0, sizeof(s->regs));
    for (uint32_t f = 0; f < a->frame_count; f++) {
        struct state_frame *frame = &s->frames[f];
        memset(frame, 0, offsetof(struct state_frame, loops));
        memset(&frame->span, 0, sizeof(frame->span));
        frame->return_pc = packed_frames(a)[f].return_pc;
        for (uint32_t w = 0; w < ARRAY_SIZE(frame->init); w++) {
            frame->init[w] = packed_frames(a)[f].init[w] & packed_frames(b)[f].init[w];
        }
    }
    memset(&s->frame_count, 0, sizeof(*s) - offsetof(struct domain_state, frame_count));
    s->frame_count = a->frame_count;
    s->packet_length = a->packet_length < b->packet_length ? a->packet_length : b->packet_length;
    s->meta_length = a->meta_length < b->meta_length ? a->meta_length : b->meta_length;
    s->next_id = VALUE_ID_FIRST;
    s->lock_map = a->lock_map;
    s->rcu_depth = a->rcu_depth;
    s->preempt_depth = a->preempt_depth;
    s->packet_changed = a->packet_changed != 0 || b->packet_changed != 0;
    value_set_pointer(&s->regs[10], VALUE_STACK, 0);
    s->regs[10].frame = (uint8_t)(s->frame_count - 1);
}

// The reference of `b` that became `ref`, or one that no value of `b` has.
static const struct packed_ref *partner(struct joining *j, const struct packed_ref *row, uint32_t *ref)
{
    struct packed_scratch *t = j->t;
    *ref = t->ref_to_stamp[row->ref] == t->stamp ? t->ref_to[row->ref] : 0;
    for (uint32_t i = 0; i < j->b->ref_count; i++) {
        const struct packed_ref *r = &packed_refs(j->b)[i];
        bool taken = t->ref_from_stamp[r->ref] == t->stamp;
        if (*ref != 0 ? taken && t->ref_from[r->ref] == *ref
                      : !taken && r->kind == row->kind && r->detail == row->detail) {
            return r;
        }
    }
    return NULL;
}

static bool join_tables(struct joining *j)
{
    for (uint32_t i = 0; i < j->a->ref_count; i++) {
        const struct packed_ref *row = &packed_refs(j->a)[i];
        uint32_t ref;
        const struct packed_ref *other = partner(j, row, &ref);
        if (other == NULL || other->kind != row->kind || other->detail != row->detail) {
            return false;
        }
        ref = ref != 0 ? ref : join_strict_ref(j, row->ref, other->ref);
        if (ref == 0 || !state_acquire(j->s, ref, row->pc, (enum state_ref_kind)row->kind, row->detail)) {
            return false;
        }
    }
    j->s->lock_ref = join_known_ref(j, j->a->lock_ref, j->b->lock_ref);
    return (j->s->lock_ref != 0) == (j->a->lock_ref != 0);
}

// What the members of a class say about N holds for all of them: it takes the place of narrowing.
static void reduce(struct joining *j)
{
    struct scalar n;
    for (uint32_t i = 0; i < j->t->pair_count; i++) {
        const struct packed_pair *p = &j->t->pairs[j->t->pair_order[i]];
        if (join_is_number(p) && p->uses > 1) {
            state_number_of(j->s, p->id, &n);
            if (!state_refine_number(j->s, p->id, &n)) {
                return; // no concrete state: whatever is said of it holds
            }
        }
    }
}

static const struct packed *attempt(struct joining *j, bool reduced)
{
    packed_reset(j->t);
    begin(j);
    join_entries(j);
    if (!join_tables(j)) {
        return NULL;
    }
    join_spans(j);
    join_carry_rows(j, true);
    if (!j->options->head) {
        join_carry_rows(j, false);
        join_relate_length(j);
    } else {
        join_discover_rows(j);
    }
    if (reduced) {
        reduce(j);
    }
    return packed_make(j->t, j->s, NULL);
}

const struct packed *join_states(struct packed_scratch *scratch, const struct packed *a,
                                 const struct packed *b, const struct join_options *options)
{
    struct joining j = {.t = scratch, .s = &scratch->work, .a = a, .b = b, .options = options};
    if (!frames_fit(a, b)) {
        return NULL;
    }
    // Reducing may use what follows from `a` or `b` but is not written there; then neither shows it.
    const struct packed *joined = attempt(&j, options->head);
    if (joined != NULL && options->head &&
        !(packed_entails(scratch, joined, a) && packed_entails(scratch, joined, b))) {
        joined = attempt(&j, false);
    }
    // A mistake of the join must not lose a state: what does not cover both is no join, in release builds
    // too.
    if (joined != NULL && !(packed_entails(scratch, joined, a) && packed_entails(scratch, joined, b))) {
#if !defined(NDEBUG)
        __builtin_trap();
#endif
        return NULL;
    }
    return joined;
}
