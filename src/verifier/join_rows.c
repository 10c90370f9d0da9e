// SPDX-License-Identifier: MIT
// join_rows: sums and bounds of numbers across a join.
#include "verifier/join_int.h"

static const struct packed_pair *pair_of(const struct joining *j, uint32_t id)
{
    for (uint32_t i = 0; i < j->t->pair_count; i++) {
        const struct packed_pair *p = &j->t->pairs[j->t->pair_order[i]];
        if (p->id == id) {
            return p;
        }
    }
    return NULL;
}

static struct packed_term term_of(const struct packed_entry *e, uint32_t id, int64_t shift)
{
    struct packed_term x = {.kind = TERM_ID, .id = id, .shift = shift};
    if (id == PACKED_CONST) {
        x.kind = TERM_CONST;
    } else if ((id & PACKED_ALONE) != 0 && e != NULL) {
        struct scalar space;
        const struct scalar *n = packed_number(e, &space);
        x = (struct packed_term){.kind = TERM_RANGE, .least = n->smin, .most = n->smax};
    }
    return x;
}

static struct packed_term term_a(const struct packed_pair *p)
{
    return term_of(p->entry_a, p->a, p->shift_a);
}

static struct packed_term term_b(const struct packed_pair *p)
{
    return term_of(p->entry_b, p->b, p->shift_b);
}

static void add_bound(struct domain_state *s, uint32_t low, uint32_t high, int64_t delta)
{
    for (uint32_t i = 0; i < s->bound_count; i++) {
        struct state_bound *row = &s->bounds[i];
        if (row->low == low && row->high == high) {
            row->delta = delta > row->delta ? delta : row->delta;
            return;
        }
    }
    if (s->bound_count < STATE_MAX_BOUNDS) {
        s->bounds[s->bound_count++] = (struct state_bound){low, high, delta};
    }
}

static void add_sum(struct domain_state *s, uint32_t left, uint32_t right, uint32_t sum, int64_t max)
{
    if (s->sum_count < STATE_MAX_SUMS && (sum != VALUE_ID_NONE || max != INT64_MAX)) {
        s->sums[s->sum_count++] = (struct state_sum){.left = left, .right = right, .sum = sum, .max = max};
    }
}

// The side of a pair that is in the state whose row is carried over, and the other one.
struct view {
    bool in_a;
    const struct packed *other;
};

static uint32_t own_id(const struct view *v, const struct packed_pair *p)
{
    return v->in_a ? p->a : p->b;
}

static int64_t own_shift(const struct view *v, const struct packed_pair *p)
{
    return v->in_a ? p->shift_a : p->shift_b;
}

static struct packed_term other_term(const struct view *v, const struct packed_pair *p)
{
    return v->in_a ? term_b(p) : term_a(p);
}

// N(low) + delta <= N(high) in one state; pairs with these ends have N = N(end) + shift there.
static void carry_bound(struct joining *j, const struct view *v, const struct state_bound *row,
                        const struct packed_pair *low, const struct packed_pair *high)
{
    int64_t delta, shift;
    if (own_id(v, high) != row->high || !join_is_number(high) ||
        __builtin_sub_overflow(own_shift(v, high), own_shift(v, low), &shift) ||
        __builtin_add_overflow(row->delta, shift, &delta)) {
        return;
    }
    struct packed_term x = other_term(v, low), y = other_term(v, high);
    const struct packed_term own_x = {.kind = TERM_ID, .id = row->low, .shift = own_shift(v, low)};
    const struct packed_term own_y = {.kind = TERM_ID, .id = row->high, .shift = own_shift(v, high)};
    const struct packed *own = v->in_a ? j->a : j->b;
    if (packed_knows_bound(v->other, &x, &y, delta) && packed_knows_bound(own, &own_x, &own_y, delta)) {
        add_bound(j->s, low->id, high->id, delta);
    }
}

static void carry_sum(struct joining *j, const struct view *v, const struct packed_sum *row,
                      const struct packed_pair *left, const struct packed_pair *right)
{
    const struct packed *own = v->in_a ? j->a : j->b;
    int64_t shift, max = INT64_MAX;
    if (own_id(v, right) != row->right || !join_is_number(right) ||
        __builtin_add_overflow(own_shift(v, left), own_shift(v, right), &shift)) {
        return;
    }
    struct packed_term x = other_term(v, left), y = other_term(v, right);
    const struct packed_term own_x = {.kind = TERM_ID, .id = row->left, .shift = own_shift(v, left)};
    const struct packed_term own_y = {.kind = TERM_ID, .id = row->right, .shift = own_shift(v, right)};
    if (row->max == INT64_MAX || __builtin_add_overflow(row->max, shift, &max) ||
        !packed_knows_max(v->other, &x, &y, max) || !packed_knows_max(own, &own_x, &own_y, max)) {
        max = INT64_MAX;
    }
    uint32_t sum = VALUE_ID_NONE;
    for (uint32_t i = 0; row->sum != VALUE_ID_NONE && i < j->t->pair_count; i++) {
        const struct packed_pair *p = &j->t->pairs[j->t->pair_order[i]];
        struct packed_term z = other_term(v, p);
        if (own_id(v, p) == row->sum && join_is_number(p) && (uint64_t)own_shift(v, p) == (uint64_t)shift &&
            packed_knows_sum(v->other, &x, &y, &z)) {
            sum = p->id;
        }
    }
    add_sum(j->s, left->id, right->id, sum, max);
}

// Rows of one state that hold in the other one.
void join_carry_rows(struct joining *j, bool in_a)
{
    const struct packed *own = in_a ? j->a : j->b;
    struct view v = {in_a, in_a ? j->b : j->a};
    for (uint32_t i = 0; i < j->t->pair_count && own->bound_count + own->sum_count != 0; i++) {
        const struct packed_pair *p = &j->t->pairs[j->t->pair_order[i]];
        for (uint32_t k = 0; k < j->t->pair_count && join_is_number(p); k++) {
            const struct packed_pair *q = &j->t->pairs[j->t->pair_order[k]];
            for (uint32_t r = 0; r < own->bound_count; r++) {
                if (packed_bounds(own)[r].low == own_id(&v, p)) {
                    carry_bound(j, &v, &packed_bounds(own)[r], p, q);
                }
            }
            for (uint32_t r = 0; r < own->sum_count; r++) {
                if (packed_sums(own)[r].left == own_id(&v, p)) {
                    carry_sum(j, &v, &packed_sums(own)[r], p, q);
                }
            }
        }
    }
}

// The counter's first turn: is number `v` of the result one that every turn raises, or lowers?
static void discover_row(struct joining *j, const struct packed_pair *turns, const struct value *v)
{
    const struct packed_pair *p = v->id != VALUE_ID_NONE && v->id != turns->id && !v->maybe_null && v->cf == 1
                                      ? pair_of(j, v->id)
                                      : NULL;
    int64_t least_a, most_a, least_b, most_b;
    if (p == NULL || !join_is_number(p)) {
        return;
    }
    struct packed_term n = term_b(turns), x = term_a(p), y = term_b(p);
    if (!packed_term_range(j->a, &x, &least_a, &most_a) || !packed_term_range(j->b, &y, &least_b, &most_b)) {
        return;
    }
    if (least_a != INT64_MIN && packed_knows_bound(j->b, &n, &y, least_a)) {
        add_bound(j->s, turns->id, p->id, least_a);
    } else if (most_a != INT64_MAX && packed_knows_max(j->b, &n, &y, most_a)) {
        add_sum(j->s, turns->id, p->id, VALUE_ID_NONE, most_a);
    }
}

void join_discover_rows(struct joining *j)
{
    const struct state_frame *f = state_top(j->s);
    for (uint32_t d = 0; d < STATE_MAX_LOOPS; d++) {
        const struct value *n = &f->loops[d];
        const struct packed_pair *turns = (f->counting >> d & 1) != 0 ? pair_of(j, n->id) : NULL;
        if (turns == NULL || turns->a != PACKED_CONST || turns->shift_a != 0 || turns->b != PACKED_CONST ||
            n->cf != 1 || n->delta != 0) {
            continue;
        }
        STATE_FOR_EACH(loc, j->s)
        {
            discover_row(j, turns, state_value(j->s, loc));
        }
    }
}

// Numbers that are offsets into packets of different lengths: how far each is below the length stays known.
void join_relate_length(struct joining *j)
{
    int64_t shorter = j->s->packet_length, length_a = j->a->packet_length, length_b = j->b->packet_length;
    for (uint32_t i = 0; i < j->t->pair_count && length_a != length_b; i++) {
        const struct packed_pair *p = &j->t->pairs[j->t->pair_order[i]];
        if (p->a != PACKED_CONST || p->b != PACKED_CONST || !join_is_number(p) || p->shift_a > length_a ||
            p->shift_b > length_b || p->shift_a < -VALUE_MAX_OFFSET || p->shift_b < -VALUE_MAX_OFFSET) {
            continue;
        }
        int64_t room_a = length_a - p->shift_a, room_b = length_b - p->shift_b;
        int64_t room = room_a < room_b ? room_a : room_b;
        int64_t larger = p->shift_a > p->shift_b ? p->shift_a : p->shift_b;
        if (room > shorter - larger) {
            add_bound(j->s, p->id, VALUE_ID_LENGTH, room);
        }
    }
}
