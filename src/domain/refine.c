// SPDX-License-Identifier: MIT
// refine: what is learnt about one member of an identity class holds for all of them.
//
// A member's number is cf * N + delta modulo 2^64. With cf = +-1 that is a bijection, so whatever is known of
// the member is known of N. With another cf it bounds N only if cf * N + delta cannot wrap for any N that is
// possible by the other members (turn counters see to that: they are never above STATE_MAX_TURNS); then the
// equation holds for integers, and the bounds of N follow by division, rounded inwards. From N to members
// everything follows by arithmetic modulo 2^64, which scalar_alu is.
#include "domain/stack.h"
#include "domain/state.h"

// cf * n + delta for all n.
static void image(const struct scalar *n, int32_t cf, int64_t delta, struct scalar *out)
{
    struct scalar k;
    *out = *n;
    if (cf != 1) {
        scalar_set_const(&k, (uint64_t)(int64_t)cf);
        scalar_alu(SEM_MUL, 64, out, &k);
    }
    if (delta != 0) {
        scalar_set_const(&k, (uint64_t)delta);
        scalar_alu(SEM_ADD, 64, out, &k);
    }
}

// The n with cf * n + delta in `num`, cf being 1 or -1.
static void preimage(const struct scalar *num, int32_t cf, int64_t delta, struct scalar *out)
{
    struct scalar k;
    *out = *num;
    if (delta != 0) {
        scalar_set_const(&k, (uint64_t)delta);
        scalar_alu(SEM_SUB, 64, out, &k);
    }
    if (cf == -1) {
        scalar_alu(SEM_NEG, 64, out, out);
    }
}

static bool is_member(const struct value *v, uint32_t id)
{
    return v->id == id && !v->maybe_null;
}

// (x - delta) / cf, rounded up or down. False when it cannot be computed.
static bool divide(int64_t x, int64_t delta, int32_t cf, bool up, int64_t *out)
{
    int64_t rest;
    if (__builtin_sub_overflow(x, delta, &rest) || (rest == INT64_MIN && cf == -1)) {
        return false;
    }
    int64_t quotient = rest / cf, left = rest % cf;
    bool exact_is_above = left != 0 && (left < 0) == (cf < 0);
    bool exact_is_below = left != 0 && !exact_is_above;
    *out = quotient + (up && exact_is_above) - (!up && exact_is_below);
    return true;
}

static bool multiply_add(int64_t n, int32_t cf, int64_t delta)
{
    int64_t product, sum;
    return !__builtin_mul_overflow(n, (int64_t)cf, &product) && !__builtin_add_overflow(product, delta, &sum);
}

// Narrows *n by "cf * n + delta lies in num". False when nothing is left.
static bool bound_number(struct scalar *n, int32_t cf, int64_t delta, const struct scalar *num)
{
    int64_t low, high;
    struct scalar range;
    if (!multiply_add(n->smin, cf, delta) || !multiply_add(n->smax, cf, delta)) {
        return true; // may wrap
    }
    if (!divide(cf > 0 ? num->smin : num->smax, delta, cf, true, &low) ||
        !divide(cf > 0 ? num->smax : num->smin, delta, cf, false, &high)) {
        return true;
    }
    if (low > high) {
        return false;
    }
    scalar_set_srange(&range, low, high);
    return scalar_meet(n, &range);
}

void state_number_of(const struct domain_state *s, uint32_t id, struct scalar *out)
{
    struct scalar n, here;
    bool others = false;
    scalar_set_unknown(&n);
    if (id == VALUE_ID_LENGTH) {
        scalar_set_urange(&n, (uint64_t)min_u32((uint32_t)s->packet_length, VALUE_MAX_LENGTH),
                          VALUE_MAX_LENGTH);
    }
    *out = n;
    if (id == VALUE_ID_NONE) {
        return; // no class: nothing is known
    }
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value((struct domain_state *)s, loc);
        if (!is_member(v, id)) {
            continue;
        }
        if (v->cf != 1 && v->cf != -1) {
            others = true;
            continue;
        }
        preimage(&v->num, v->cf, v->delta, &here);
        if (scalar_meet(&n, &here)) {
            *out = n;
        } else {
            n = *out; // no concrete state: anything may be said
        }
    }
    if (!others) {
        return;
    }
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value((struct domain_state *)s, loc);
        if (is_member(v, id) && v->cf != 1 && v->cf != -1 && bound_number(&n, v->cf, v->delta, &v->num)) {
            *out = n;
        } else {
            n = *out;
        }
    }
}

static void raise_length(struct domain_state *s, int64_t length)
{
    if (length > s->packet_length) {
        s->packet_length = value_clamp_range(length);
    }
}

// What becomes certain when the number at `loc` is one.
static void settle(struct domain_state *s, uint32_t loc)
{
    struct value *v = state_value(s, loc);
    if (loc >= STATE_LOC_SPANS && loc < STATE_LOC_CELLS) {
        stack_settle_span(&s->frames[loc - STATE_LOC_SPANS]);
    } else if (v->kind == VALUE_PACKET) {
        raise_length(s, v->num.smin + v->range);
    }
    value_normalize(v);
}

// Narrows the members of class `id` by N in `n`; those like `same` by `num` itself, which loses nothing.
static bool narrow_members(struct domain_state *s, uint32_t id, const struct scalar *n,
                           const struct value *same, const struct scalar *num)
{
    struct scalar here;
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (!is_member(v, id)) {
            continue;
        }
        if (same != NULL && v->cf == same->cf && v->delta == same->delta) {
            here = *num;
        } else {
            image(n, v->cf, v->delta, &here);
        }
        if (!scalar_meet(&v->num, &here)) {
            return false;
        }
        if (scalar_is_const(&v->num)) {
            settle(s, loc);
        }
    }
    if (id == VALUE_ID_LENGTH) {
        raise_length(s, n->smin);
    }
    return true;
}

// N(id) is at most `most`, and at least `least`.
static bool narrow_range(struct domain_state *s, uint32_t id, int64_t least, int64_t most)
{
    struct scalar range;
    if (least > most) {
        return false;
    }
    if (least == INT64_MIN && most == INT64_MAX) {
        return true;
    }
    scalar_set_srange(&range, least, most);
    return narrow_members(s, id, &range, NULL, NULL);
}

// N(left) + N(right) as integers cannot leave the signed range, so the sum modulo 2^64 is the sum.
static bool sum_is_exact(const struct domain_state *s, const struct state_sum *row)
{
    struct scalar left, right;
    int64_t sum;
    state_number_of(s, row->left, &left);
    state_number_of(s, row->right, &right);
    return !__builtin_add_overflow(left.smin, right.smin, &sum) &&
           !__builtin_add_overflow(left.smax, right.smax, &sum);
}

// N(sum) = N(other) + N(id), and N(id) is at least `least` now: what is below N(other) is as much further
// below the sum.
static void raise_bounds(struct domain_state *s, const struct state_sum *row, uint32_t other, int64_t least)
{
    for (uint32_t i = 0; i < s->bound_count; i++) {
        int64_t delta;
        if (s->bounds[i].high != other || __builtin_add_overflow(s->bounds[i].delta, least, &delta)) {
            continue;
        }
        for (uint32_t k = 0; k < s->bound_count; k++) {
            struct state_bound *b = &s->bounds[k];
            if (b->low == s->bounds[i].low && b->high == row->sum && b->delta < delta) {
                b->delta = delta;
            }
        }
    }
}

static bool apply_sum(struct domain_state *s, struct state_sum *row, uint32_t id, const struct scalar *n)
{
    int64_t most;
    if (row->sum == id && n->smax < row->max && (row->exact || sum_is_exact(s, row))) {
        row->max = n->smax;
    }
    if (row->sum != VALUE_ID_NONE && (row->left == id) != (row->right == id) && s->bound_count != 0 &&
        (row->exact || sum_is_exact(s, row))) {
        raise_bounds(s, row, row->left == id ? row->right : row->left, n->smin);
    }
    if (row->max == INT64_MAX || __builtin_sub_overflow(row->max, n->smin, &most)) {
        return true;
    }
    if (row->left == id && !narrow_range(s, row->right, INT64_MIN, most)) {
        return false;
    }
    return row->right != id || narrow_range(s, row->left, INT64_MIN, most);
}

static bool apply_bound(struct domain_state *s, const struct state_bound *row, uint32_t id,
                        const struct scalar *n)
{
    int64_t least, most;
    if (row->high == id && !__builtin_sub_overflow(n->smax, row->delta, &most) &&
        !narrow_range(s, row->low, INT64_MIN, most)) {
        return false;
    }
    return row->low != id || __builtin_add_overflow(n->smin, row->delta, &least) ||
           narrow_range(s, row->high, least, INT64_MAX);
}

// Rows carry what is new about `id` to other classes, one step far.
static bool narrow_class(struct domain_state *s, uint32_t id, const struct scalar *n,
                         const struct value *same, const struct scalar *num)
{
    if (!narrow_members(s, id, n, same, num)) {
        return false;
    }
    for (uint32_t i = 0; i < s->sum_count; i++) {
        if (!apply_sum(s, &s->sums[i], id, n)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < s->bound_count; i++) {
        if (!apply_bound(s, &s->bounds[i], id, n)) {
            return false;
        }
    }
    return true;
}

bool state_refine_number(struct domain_state *s, uint32_t id, const struct scalar *number)
{
    return id == VALUE_ID_NONE || narrow_class(s, id, number, NULL, NULL);
}

bool state_refine_value(struct domain_state *s, const struct value *v, const struct scalar *num)
{
    struct scalar n;
    if (v->id == VALUE_ID_NONE) {
        return true;
    }
    if (v->cf == 1 || v->cf == -1) {
        preimage(num, v->cf, v->delta, &n);
    } else {
        state_number_of(s, v->id, &n);
        if (!bound_number(&n, v->cf, v->delta, num)) {
            return false;
        }
    }
    struct value same = *v;
    return narrow_class(s, v->id, &n, &same, num);
}

void state_refine_null(struct domain_state *s, uint32_t id, bool null)
{
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (v->id != id || !v->maybe_null) {
            continue;
        }
        if (null) {
            uint8_t width = v->width;
            if ((v->flags & VALUE_ACQUIRED) != 0) {
                state_drop_ref(s, v->ref);
            }
            value_set_const(v, 0);
            v->width = width;
        } else {
            v->maybe_null = 0;
            value_drop_id(v);
        }
    }
}

void state_refine_range(struct domain_state *s, uint32_t id, int64_t range)
{
    if (id == VALUE_ID_NONE) {
        raise_length(s, range);
        return;
    }
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (v->kind != VALUE_PACKET || v->id != id) {
            continue;
        }
        if (range > v->range) {
            v->range = value_clamp_range(range);
        }
        // The smallest N that is possible gives a length that is certain.
        raise_length(s, v->num.smin + range);
    }
    // Packets are not longer than that. When nothing is left, the branch cannot be taken: no need to know.
    struct scalar most;
    scalar_set_srange(&most, INT64_MIN, VALUE_MAX_LENGTH - range);
    if (!state_refine_number(s, id, &most)) {
        return;
    }
}

int64_t state_packet_range(const struct domain_state *s, const struct value *v)
{
    int64_t range = (int64_t)s->packet_length - v->num.smax;
    if (v->id == VALUE_ID_NONE) {
        return range;
    }
    range = v->range > range ? v->range : range;
    for (uint32_t i = 0; i < s->bound_count; i++) {
        const struct state_bound *row = &s->bounds[i];
        if (row->low == v->id && row->high == VALUE_ID_LENGTH && row->delta > range) {
            range = row->delta;
        }
    }
    return range;
}

// --- relations -----------------------------------------------------------------------------------

void state_add_sum(struct domain_state *s, uint32_t left, uint32_t right, uint32_t sum)
{
    if (s->sum_count == STATE_MAX_SUMS) {
        memmove(&s->sums[0], &s->sums[1], (STATE_MAX_SUMS - 1) * sizeof(s->sums[0]));
        s->sum_count--;
    }
    struct state_sum row = {.left = left, .right = right, .sum = sum, .max = INT64_MAX};
    row.exact = sum_is_exact(s, &row);
    s->sums[s->sum_count++] = row;
}

int64_t state_sum_max(const struct domain_state *s, uint32_t left, uint32_t right)
{
    int64_t max = INT64_MAX;
    for (uint32_t i = 0; i < s->sum_count; i++) {
        const struct state_sum *row = &s->sums[i];
        bool match = (row->left == left && row->right == right) || (row->left == right && row->right == left);
        if (match && row->max < max) {
            max = row->max;
        }
    }
    return max;
}

bool state_has_bounds(const struct domain_state *s, uint32_t id)
{
    for (uint32_t i = 0; id != VALUE_ID_NONE && i < s->bound_count; i++) {
        if (s->bounds[i].high == id) {
            return true;
        }
    }
    for (uint32_t i = 0; id != VALUE_ID_NONE && i < s->sum_count; i++) {
        const struct state_sum *row = &s->sums[i];
        if (row->sum == VALUE_ID_NONE && (row->left == id || row->right == id)) {
            return true;
        }
    }
    return false;
}

// The bound of the old value makes one of the new value; it gives way where the table is full.
static void carry_bound(struct domain_state *s, uint32_t i, uint32_t to, int64_t shift)
{
    struct state_bound row = s->bounds[i];
    if (!__builtin_add_overflow(row.delta, shift, &row.delta)) {
        row.high = to;
        s->bounds[s->bound_count < STATE_MAX_BOUNDS ? s->bound_count++ : i] = row;
    }
}

static void carry_sum(struct domain_state *s, uint32_t i, uint32_t from, uint32_t to, int64_t shift)
{
    struct state_sum row = s->sums[i];
    if (!__builtin_add_overflow(row.max, shift, &row.max)) {
        *(row.left == from ? &row.left : &row.right) = to;
        s->sums[s->sum_count < STATE_MAX_SUMS ? s->sum_count++ : i] = row;
    }
}

void state_carry_bounds(struct domain_state *s, uint32_t from, int64_t from_delta, uint32_t to, int64_t least,
                        int64_t most)
{
    int64_t shift;
    if (from == VALUE_ID_NONE) {
        return;
    }
    uint32_t count = __builtin_add_overflow(least, from_delta, &shift) ? 0 : s->bound_count;
    for (uint32_t i = 0; i < count; i++) {
        if (s->bounds[i].high == from) {
            carry_bound(s, i, to, shift);
        }
    }
    count = __builtin_add_overflow(most, from_delta, &shift) ? 0 : s->sum_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct state_sum *row = &s->sums[i];
        if (row->sum == VALUE_ID_NONE && (row->left == from) != (row->right == from)) {
            carry_sum(s, i, from, to, shift);
        }
    }
}
