// SPDX-License-Identifier: MIT
// entail: is every concrete state of one packed state one of another?
//
// A state claims: there are numbers N for its identities, truth values for its nullness classes and objects
// for its references such that every value holds. "Outer entails inner" is shown by naming them: each class
// of the outer state is given, at its first member, as N = N' + shift with an identity N' of the inner state,
// as a constant, or as the number of one unrelated value; later members must agree with that. So the choice
// is the same for all members, and for each of them the ranges are compared. Rows about identities (sums,
// bounds) come last, when all classes are given. Locations that only the inner state knows do not matter,
// unless an address would become readable as a number.
//
// References. The table says what is held: outer and inner tables must match one to one, through the values
// that carry the references and in order where none does. A maybe-null pointer that was acquired
// (VALUE_ACQUIRED) stands for "held unless null", so it does not cover NULL: the inner state holds one less.
// Pointers that die with an object (MEM, OBJECT, KERNEL, special cells) must die together in both states:
// their references match in both directions. For map values and inner maps `ref` is knowledge only ("from the
// same look-up"): what the outer state claims must hold in the inner one.
#include "domain/packed.h"

// What a class of the outer state stands for in the inner one, besides an inner identity: PACKED_CONST and
// the like, or a number that is not related to anything.
#define TAG_NOTHING 0u

struct sides {
    struct packed_scratch *t;
    const struct packed *outer, *inner;
    const struct packed_entry *spans[INSN_MAX_FRAMES]; // of the outer state
    const struct packed_entry *inner_spans[INSN_MAX_FRAMES];
};

// --- identities ----------------------------------------------------------------------------------

// Records "N of outer class `id` is N' + shift, N' being `tag`", or compares with what was recorded. Two
// members that were one number in the outer state must be one number in the inner state.
static bool relate(struct packed_scratch *t, uint32_t id, uint32_t tag, int64_t shift)
{
    if (t->class_stamp[id] != t->stamp) {
        t->class_stamp[id] = t->stamp;
        t->class_tag[id] = tag;
        t->class_shift[id] = shift;
        return true;
    }
    return t->class_tag[id] == tag && tag != TAG_NOTHING && t->class_shift[id] == shift;
}

static bool is_related(const struct packed_scratch *t, uint32_t id)
{
    return t->class_stamp[id] == t->stamp;
}

// Solves cf * shift = difference (modulo 2^64) for the class, or compares.
static bool relate_scaled(struct packed_scratch *t, uint32_t id, int32_t cf, uint32_t tag,
                          uint64_t difference)
{
    if (is_related(t, id)) {
        return t->class_tag[id] == tag && tag != TAG_NOTHING &&
               (uint64_t)t->class_shift[id] * (uint64_t)(int64_t)cf == difference;
    }
    if (cf == 1) {
        return relate(t, id, tag, (int64_t)difference);
    }
    if (cf == -1) {
        return relate(t, id, tag, (int64_t)(0 - difference));
    }
    int64_t by = (int64_t)difference;
    return by % cf == 0 && relate(t, id, tag, by / cf);
}

// N is whatever the number of `b` plus `moved` makes it; no other member may say more.
static bool relate_alone(struct packed_scratch *t, const struct packed_entry *a, const struct packed_entry *b,
                         int64_t moved)
{
    if (is_related(t, a->id)) {
        return false;
    }
    t->class_outer[a->id] = a;
    t->class_inner[a->id] = b;
    return relate(t, a->id, TAG_NOTHING, moved);
}

// The number of outer entry `a` (cf * N + delta) is that of inner entry `b` plus `moved`.
static bool relate_numbers(struct packed_scratch *t, const struct packed_entry *a,
                           const struct packed_entry *b, int64_t moved)
{
    uint64_t number, delta = (uint64_t)packed_delta(a);
    if (a->id == VALUE_ID_LENGTH) {
        return b->id == VALUE_ID_LENGTH && a->cf == b->cf &&
               delta == (uint64_t)packed_delta(b) + (uint64_t)moved;
    }
    if (packed_is_const(b, &number)) {
        return relate_scaled(t, a->id, a->cf, PACKED_CONST, number + (uint64_t)moved - delta);
    }
    if (b->id == VALUE_ID_NONE || a->cf != b->cf) {
        return (a->cf == 1 || a->cf == -1) && relate_alone(t, a, b, moved);
    }
    return relate_scaled(t, a->id, a->cf, b->id, (uint64_t)packed_delta(b) + (uint64_t)moved - delta);
}

// --- references ----------------------------------------------------------------------------------

static bool map_ref(struct packed_scratch *t, uint32_t outer, uint32_t inner)
{
    if (t->ref_to_stamp[outer] != t->stamp) {
        t->ref_to_stamp[outer] = t->stamp;
        t->ref_to[outer] = inner;
        return true;
    }
    return t->ref_to[outer] == inner;
}

static bool map_ref_back(struct packed_scratch *t, uint32_t outer, uint32_t inner)
{
    if (t->ref_from_stamp[inner] != t->stamp) {
        t->ref_from_stamp[inner] = t->stamp;
        t->ref_from[inner] = outer;
    }
    return t->ref_from[inner] == outer && map_ref(t, outer, inner);
}

static bool refs_entail(struct packed_scratch *t, const struct packed_entry *a, const struct packed_entry *b)
{
    bool knowledge = a->kind == VALUE_MAP_VALUE || a->kind == VALUE_MAP_PTR;
    if (a->ref == 0 && (knowledge || b->ref == 0)) {
        return true;
    }
    if (a->ref < VALUE_ID_FIRST || b->ref < VALUE_ID_FIRST) {
        return a->ref == b->ref;
    }
    return knowledge ? map_ref(t, a->ref, b->ref) : map_ref_back(t, a->ref, b->ref);
}

static const struct packed_ref *find_ref(const struct packed *p, uint32_t ref)
{
    for (uint32_t i = 0; i < p->ref_count; i++) {
        if (packed_refs(p)[i].ref == ref) {
            return &packed_refs(p)[i];
        }
    }
    return NULL;
}

// A reference of the inner table that no value has claimed, for outer reference `row` without values.
static bool map_orphan(struct packed_scratch *t, const struct packed *inner, const struct packed_ref *row)
{
    for (uint32_t i = 0; i < inner->ref_count; i++) {
        const struct packed_ref *r = &packed_refs(inner)[i];
        if (t->ref_from_stamp[r->ref] != t->stamp && r->kind == row->kind && r->detail == row->detail) {
            return map_ref_back(t, row->ref, r->ref);
        }
    }
    return false;
}

static bool tables_entail(struct packed_scratch *t, const struct packed *outer, const struct packed *inner)
{
    for (uint32_t i = 0; i < outer->ref_count; i++) {
        const struct packed_ref *row = &packed_refs(outer)[i], *other;
        if (t->ref_to_stamp[row->ref] != t->stamp && !map_orphan(t, inner, row)) {
            return false;
        }
        other = find_ref(inner, t->ref_to[row->ref]);
        if (other == NULL || other->kind != row->kind || other->detail != row->detail ||
            !map_ref_back(t, row->ref, other->ref)) {
            return false;
        }
    }
    if (outer->lock_ref < VALUE_ID_FIRST || inner->lock_ref < VALUE_ID_FIRST) {
        return outer->lock_ref == inner->lock_ref;
    }
    return map_ref(t, outer->lock_ref, inner->lock_ref);
}

// --- values --------------------------------------------------------------------------------------

static bool number_includes(const struct packed_entry *a, const struct packed_entry *b, int64_t moved)
{
    struct scalar x, y, by;
    uint64_t left, right;
    if (packed_is_const(a, &left)) {
        return packed_is_const(b, &right) && left == right + (uint64_t)moved;
    }
    const struct scalar *outer = packed_number(a, &x), *inner = packed_number(b, &y);
    if (moved != 0) {
        y = *inner;
        scalar_set_const(&by, (uint64_t)moved);
        scalar_alu(SEM_ADD, 64, &y, &by);
        inner = &y;
    }
    return scalar_includes(outer, inner);
}

static bool scalar_entails(struct packed_scratch *t, const struct packed_entry *a,
                           const struct packed_entry *b)
{
    return b->kind == VALUE_SCALAR && number_includes(a, b, 0) &&
           (a->id == VALUE_ID_NONE || relate_numbers(t, a, b, 0));
}

static bool is_null(const struct packed_entry *e)
{
    uint64_t number;
    return e->kind == VALUE_SCALAR && packed_is_const(e, &number) && number == 0;
}

// What both pointers point to is the same sort of thing.
static bool targets_entail(struct packed_scratch *t, const struct packed_entry *a,
                           const struct packed_entry *b)
{
    if (b->kind != a->kind || b->map != a->map || b->frame != a->frame || b->flags != a->flags) {
        return false;
    }
    bool exact = a->kind != VALUE_MEM;
    if (a->kind != VALUE_PACKET && (exact ? a->range != b->range : (uint32_t)a->range > (uint32_t)b->range)) {
        return false;
    }
    return refs_entail(t, a, b);
}

// A pointer that may be null is covered whether the inner one is null, is not, or may be.
static bool null_entails(struct packed_scratch *t, const struct packed_entry *a, const struct packed_entry *b)
{
    uint64_t number;
    if (is_null(b)) {
        return (a->flags & VALUE_ACQUIRED) == 0 && relate(t, a->id, PACKED_NULL, 0);
    }
    if (!targets_entail(t, a, b) || b->off != 0 || !packed_is_const(b, &number) || number != 0) {
        return false;
    }
    return relate(t, a->id, b->maybe_null ? b->id : PACKED_NOT_NULL, 0);
}

// The range that the outer packet pointer promises must hold in the inner state: N_outer = N_inner + shift.
static bool range_entails(const struct packed_entry *a, const struct packed_entry *b, int32_t inner_length,
                          int64_t shift)
{
    struct scalar space;
    int64_t known = (int64_t)inner_length - packed_number(b, &space)->smax;
    if (b->id != VALUE_ID_NONE && b->range > known) {
        known = b->range;
    }
    return a->range <= known - shift;
}

static bool pointer_entails(const struct sides *p, const struct packed_entry *a, const struct packed_entry *b)
{
    if (b->maybe_null || !targets_entail(p->t, a, b)) {
        return false;
    }
    int64_t moved = (int64_t)b->off - a->off;
    if (!number_includes(a, b, moved)) {
        return false;
    }
    if (a->id == VALUE_ID_NONE) {
        return true;
    }
    if (a->kind == VALUE_PACKET && !range_entails(a, b, p->inner->packet_length, moved)) {
        return false;
    }
    return relate_numbers(p->t, a, b, moved);
}

static bool value_entails(const struct sides *p, const struct packed_entry *a, const struct packed_entry *b)
{
    if (a->width != b->width) {
        return false;
    }
    if (a->kind == VALUE_SCALAR) {
        return scalar_entails(p->t, a, b);
    }
    return a->maybe_null ? null_entails(p->t, a, b) : pointer_entails(p, a, b);
}

// --- frames --------------------------------------------------------------------------------------

static bool frames_entail(const struct packed *outer, const struct packed *inner)
{
    for (uint32_t f = 0; f < outer->frame_count; f++) {
        const struct packed_frame *a = &packed_frames(outer)[f], *b = &packed_frames(inner)[f];
        if (a->return_pc != b->return_pc) {
            return false;
        }
        for (uint32_t w = 0; w < ARRAY_SIZE(a->init); w++) {
            if ((a->init[w] & ~b->init[w]) != 0) {
                return false;
            }
        }
    }
    return true;
}

// A pointer in a cell that the outer state does not know: its bytes must not count as readable there.
static bool address_is_hidden(const struct packed *outer, const struct packed_entry *b)
{
    if (b->kind == VALUE_SCALAR || b->loc < STATE_LOC_CELLS) {
        return true;
    }
    uint32_t k = b->loc - STATE_LOC_CELLS, byte = k % STATE_CELL_COUNT * 4;
    const uint64_t *init = packed_frames(outer)[k / STATE_CELL_COUNT].init;
    return (init[byte / 64] >> (byte % 64) & 0xff) == 0;
}

// Both have a span from the same byte. The outer end may be named as the inner end is, or further in front.
static bool end_entails(struct sides *p, const struct packed_entry *a, const struct packed_entry *b)
{
    if (a->id != VALUE_ID_NONE && is_related(p->t, a->id) && a->id != VALUE_ID_LENGTH &&
        b->id == p->t->class_tag[a->id] && a->cf == b->cf) {
        // outer end = cf * (N' + shift) + delta, inner end = cf * N' + delta'
        int64_t outer =
            (int64_t)((uint64_t)a->cf * (uint64_t)p->t->class_shift[a->id] + (uint64_t)packed_delta(a));
        int64_t less = (int64_t)((uint64_t)outer - (uint64_t)packed_delta(b));
        return less <= 0 && less > -INSN_STACK_SIZE && number_includes(a, b, less);
    }
    return scalar_entails(p->t, a, b);
}

// An end that bits cover: the one before the first turn, or all that was written, or the least one.
static int64_t choose_end(const struct packed_entry *a, const struct scalar *num, int64_t run)
{
    int64_t first = packed_delta(a), end = a->id != VALUE_ID_NONE && first >= 0 && first < run ? first : run;
    return scalar_contains(num, (uint64_t)end) ? end : num->smin;
}

// Bits cover the outer span when its end is a constant there, or may be chosen.
static bool bits_entail(struct sides *p, const struct packed_entry *a, int64_t run)
{
    struct scalar space;
    const struct scalar *num = packed_number(a, &space);
    int64_t end = choose_end(a, num, run);
    if (a->id == VALUE_ID_LENGTH) {
        return false;
    }
    if (a->id != VALUE_ID_NONE && is_related(p->t, a->id)) {
        if (p->t->class_tag[a->id] != PACKED_CONST) {
            return false;
        }
        end = (int64_t)((uint64_t)a->cf * (uint64_t)p->t->class_shift[a->id] + (uint64_t)packed_delta(a));
        return end <= run && scalar_contains(num, (uint64_t)end);
    }
    return end <= run && scalar_contains(num, (uint64_t)end) &&
           (a->id == VALUE_ID_NONE ||
            relate_scaled(p->t, a->id, a->cf, PACKED_CONST, (uint64_t)end - (uint64_t)packed_delta(a)));
}

static bool spans_entail(struct sides *p)
{
    for (uint32_t f = 0; f < p->outer->frame_count; f++) {
        const struct packed_entry *a = p->spans[f], *b = p->inner_spans[f];
        if (a == NULL) {
            continue;
        }
        uint32_t from = packed_frames(p->outer)[f].span_from;
        bool same = b != NULL && packed_frames(p->inner)[f].span_from == from;
        if (!(same && end_entails(p, a, b)) && !bits_entail(p, a, packed_init_run(p->inner, f, from))) {
            return false;
        }
    }
    return true;
}

// --- rows ----------------------------------------------------------------------------------------

// N of an outer class, given as the number of an unrelated inner value: cf * N + delta = number + moved.
static bool lone_term(const struct packed_entry *a, const struct packed_entry *b, int64_t moved,
                      struct packed_term *out)
{
    struct scalar space, n = *packed_number(b, &space), by;
    scalar_set_const(&by, (uint64_t)moved - (uint64_t)packed_delta(a));
    scalar_alu(SEM_ADD, 64, &n, &by);
    if (a->cf == -1) {
        scalar_alu(SEM_NEG, 64, &n, &n);
    }
    *out = (struct packed_term){.kind = TERM_RANGE, .least = n.smin, .most = n.smax};
    return true;
}

static bool term_of(const struct packed_scratch *t, uint32_t id, struct packed_term *out)
{
    *out = (struct packed_term){.kind = TERM_ID, .id = VALUE_ID_LENGTH};
    if (id == VALUE_ID_LENGTH) {
        return true;
    }
    if (!is_related(t, id)) {
        return false;
    }
    uint32_t tag = t->class_tag[id];
    if (tag == TAG_NOTHING) {
        return lone_term(t->class_outer[id], t->class_inner[id], t->class_shift[id], out);
    }
    *out = (struct packed_term){
        .kind = tag == PACKED_CONST ? TERM_CONST : TERM_ID, .id = tag, .shift = t->class_shift[id]};
    return tag != PACKED_NULL && tag != PACKED_NOT_NULL;
}

bool packed_term_range(const struct packed *p, const struct packed_term *x, int64_t *least, int64_t *most)
{
    struct scalar n;
    if (x->kind != TERM_ID) {
        *least = x->kind == TERM_CONST ? x->shift : x->least;
        *most = x->kind == TERM_CONST ? x->shift : x->most;
        return true;
    }
    packed_number_of(p, x->id, &n);
    return !__builtin_add_overflow(n.smin, x->shift, least) &&
           !__builtin_add_overflow(n.smax, x->shift, most);
}

static bool sum_at_most(int64_t a, int64_t b, int64_t max)
{
    int64_t sum;
    return !__builtin_add_overflow(a, b, &sum) && sum <= max;
}

static bool is_pair(const struct packed_sum *row, const struct packed_term *l, const struct packed_term *r)
{
    return l->kind == TERM_ID && r->kind == TERM_ID &&
           ((row->left == l->id && row->right == r->id) || (row->left == r->id && row->right == l->id));
}

bool packed_knows_max(const struct packed *p, const struct packed_term *left, const struct packed_term *right,
                      int64_t max)
{
    int64_t least, left_most, right_most, shift, known;
    if (max == INT64_MAX) {
        return true;
    }
    if (!packed_term_range(p, left, &least, &left_most) ||
        !packed_term_range(p, right, &least, &right_most)) {
        return false;
    }
    if (sum_at_most(left_most, right_most, max)) {
        return true;
    }
    for (uint32_t i = 0; i < p->sum_count; i++) {
        const struct packed_sum *row = &packed_sums(p)[i];
        if (is_pair(row, left, right) && row->max != INT64_MAX &&
            !__builtin_add_overflow(left->shift, right->shift, &shift) &&
            !__builtin_add_overflow(row->max, shift, &known) && known <= max) {
            return true;
        }
    }
    return false;
}

bool packed_knows_sum(const struct packed *p, const struct packed_term *left, const struct packed_term *right,
                      const struct packed_term *sum)
{
    bool shifts = (uint64_t)sum->shift == (uint64_t)left->shift + (uint64_t)right->shift;
    if (left->kind == TERM_RANGE || right->kind == TERM_RANGE || sum->kind == TERM_RANGE || !shifts) {
        return false;
    }
    if (left->kind == TERM_CONST || right->kind == TERM_CONST) {
        const struct packed_term *other = left->kind == TERM_CONST ? right : left;
        return sum->kind == other->kind && (sum->kind == TERM_CONST || sum->id == other->id);
    }
    for (uint32_t i = 0; i < p->sum_count; i++) {
        const struct packed_sum *row = &packed_sums(p)[i];
        if (is_pair(row, left, right) && row->sum != VALUE_ID_NONE && sum->kind == TERM_ID &&
            row->sum == sum->id) {
            return true;
        }
    }
    return false;
}

static bool sums_entail(const struct sides *p)
{
    for (uint32_t i = 0; i < p->outer->sum_count; i++) {
        const struct packed_sum *row = &packed_sums(p->outer)[i];
        struct packed_term l, r, sum;
        if (!term_of(p->t, row->left, &l) || !term_of(p->t, row->right, &r) ||
            !packed_knows_max(p->inner, &l, &r, row->max)) {
            return false;
        }
        if (row->sum != VALUE_ID_NONE &&
            (!term_of(p->t, row->sum, &sum) || !packed_knows_sum(p->inner, &l, &r, &sum))) {
            return false;
        }
    }
    return true;
}

bool packed_knows_bound(const struct packed *p, const struct packed_term *low, const struct packed_term *high,
                        int64_t delta)
{
    int64_t low_least, low_most, high_least, high_most, shift, known;
    if (!packed_term_range(p, low, &low_least, &low_most) ||
        !packed_term_range(p, high, &high_least, &high_most)) {
        return false;
    }
    if (sum_at_most(low_most, delta, high_least)) {
        return true;
    }
    if (low->kind != TERM_ID || high->kind != TERM_ID) {
        return false;
    }
    if (low->id == high->id) {
        return sum_at_most(low->shift, delta, high->shift);
    }
    for (uint32_t i = 0; i < p->bound_count; i++) {
        const struct state_bound *row = &packed_bounds(p)[i];
        if (row->low == low->id && row->high == high->id &&
            !__builtin_sub_overflow(high->shift, low->shift, &shift) &&
            !__builtin_add_overflow(row->delta, shift, &known) && delta <= known) {
            return true;
        }
    }
    return false;
}

static bool bounds_entail(const struct sides *p)
{
    for (uint32_t i = 0; i < p->outer->bound_count; i++) {
        const struct state_bound *row = &packed_bounds(p->outer)[i];
        struct packed_term low, high;
        if (!term_of(p->t, row->low, &low) || !term_of(p->t, row->high, &high) ||
            !packed_knows_bound(p->inner, &low, &high, row->delta)) {
            return false;
        }
    }
    return true;
}

// --- states --------------------------------------------------------------------------------------

static bool facts_entail(const struct packed *outer, const struct packed *inner)
{
    return outer->frame_count == inner->frame_count && outer->packet_length <= inner->packet_length &&
           outer->meta_length <= inner->meta_length && outer->ref_count == inner->ref_count &&
           outer->lock_map == inner->lock_map && outer->rcu_depth == inner->rcu_depth &&
           outer->preempt_depth == inner->preempt_depth &&
           (outer->packet_changed || !inner->packet_changed) &&
           (outer->lock_ref != 0) == (inner->lock_ref != 0);
}

static const struct packed_entry **span_slot(const struct packed_entry **spans, const struct packed_entry *e)
{
    bool is_span = e->loc >= STATE_LOC_SPANS && e->loc < STATE_LOC_CELLS;
    return is_span ? &spans[e->loc - STATE_LOC_SPANS] : NULL;
}

// The inner entry at `loc`, or NULL. Passes those before it.
static const struct packed_entry *advance(struct sides *p, const struct packed_entry **at, uint32_t *left,
                                          uint32_t loc, bool *hidden)
{
    while (*left > 0 && (*at)->loc <= loc) {
        const struct packed_entry *e = *at;
        const struct packed_entry **span = span_slot(p->inner_spans, e);
        *at = packed_next(e);
        --*left;
        if (span != NULL) {
            *span = e;
        }
        if (e->loc == loc) {
            return e;
        }
        *hidden = *hidden && address_is_hidden(p->outer, e);
    }
    return NULL;
}

static bool entries_entail(struct sides *p)
{
    const struct packed_entry *a = packed_first(p->outer), *b = packed_first(p->inner);
    uint32_t left = p->inner->entry_count;
    bool hidden = true;
    for (uint32_t i = 0; i < p->outer->entry_count; i++, a = packed_next(a)) {
        const struct packed_entry **span = span_slot(p->spans, a);
        const struct packed_entry *found = advance(p, &b, &left, a->loc, &hidden);
        if (span != NULL) {
            *span = a;
        } else if (found == NULL || !hidden || !value_entails(p, a, found)) {
            return false;
        }
    }
    advance(p, &b, &left, STATE_LOC_END, &hidden);
    return hidden;
}

bool packed_entails(struct packed_scratch *t, const struct packed *outer, const struct packed *inner)
{
    struct sides p = {.t = t, .outer = outer, .inner = inner};
    if (!facts_entail(outer, inner) || !frames_entail(outer, inner)) {
        return false;
    }
    packed_reset(t);
    return entries_entail(&p) && spans_entail(&p) && tables_entail(t, outer, inner) && sums_entail(&p) &&
           bounds_entail(&p);
}
