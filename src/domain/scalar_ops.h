// SPDX-License-Identifier: MIT
// scalar_ops: operators of whole scalars at any pair of widths: `bits` is the register, `sub` its low half.
// Private to scalar.c, which calls them with {64, 32}, and to the test, which calls them with {4, 2} too. At
// other widths the fields of struct scalar hold smaller numbers: u and bits below 2^bits, w below 2^sub, s
// and x sign-extended.
//
// A scalar is two parts that share known bits: an operator of full width works on the main part and, where
// the low result depends on the low operands only, on the low part too; an operator of sub width works on the
// low part.
#pragma once

#include "domain/scalar.h"
#include "domain/scalar_part.h"

struct width {
    unsigned bits, sub; // sub < bits <= 64
};

// Rounds of the reduction between main and low part; two do for nearly everything, the rest is a limit.
#define OPS_REDUCE_ROUNDS 8u

static inline struct part ops_main(const struct scalar *a)
{
    return (struct part){a->umin, a->umax, a->smin, a->smax, a->bits, a->unknown};
}

static inline struct part ops_low(struct width w, const struct scalar *a)
{
    uint64_t mask = part_mask(w.sub);
    return (struct part){a->wmin, a->wmax, a->xmin, a->xmax, a->bits & mask, a->unknown & mask};
}

static inline void ops_store(const struct part *main, const struct part *low, struct scalar *a)
{
    *a = (struct scalar){main->umin,          main->umax,          main->smin,         main->smax,
                         (uint32_t)low->umin, (uint32_t)low->umax, (int32_t)low->smin, (int32_t)low->smax,
                         main->bits,          main->unknown};
}

// --- reduction -----------------------------------------------------------------------------------

// Joins to *sum the numbers of `low` in [first, last].
static inline void ops_add_piece(unsigned n, const struct part *low, uint64_t first, uint64_t last,
                                 struct part *sum, bool *some)
{
    struct part piece = *low;
    if (first > low->umin || last < low->umax) {
        piece.umin = part_max_u(piece.umin, first);
        piece.umax = min_u64(piece.umax, last);
        if (piece.umin > piece.umax || !part_reduce(n, &piece)) {
            return;
        }
    }
    if (*some) {
        part_join(sum, &piece);
    } else {
        *sum = piece;
    }
    *some = true;
}

// Adds the low bits of main's numbers in [min, max], two members of one sign. False when they are all of
// `low`: then there is a number between, in a block of 2^sub numbers that lies inside.
static inline bool ops_add_pieces(struct width w, const struct part *main, const struct half *h,
                                  const struct part *low, struct part *sum, bool *some)
{
    uint64_t mask = part_mask(w.sub), next, first = h->min & mask, last = h->max & mask;
    if ((h->min ^ h->max) <= mask) {
        ops_add_piece(w.sub, low, first, last, sum, some);
        return true;
    }
    if (!part_member_from(main->bits & ~mask, main->unknown & ~mask, (h->min | mask) + 1, &next) ||
        next != (h->max & ~mask)) {
        return false;
    }
    ops_add_piece(w.sub, low, 0, last, sum, some);
    ops_add_piece(w.sub, low, first, mask, sum, some);
    return true;
}

// Intersects the low part with the low bits of main's numbers, exactly. Both are reduced and stay so; false
// when nothing is left.
static inline bool ops_tighten_low(struct width w, const struct part *main, struct part *low)
{
    struct half halves[2];
    struct part sum = *low;
    bool some = false;
    part_split(w.bits, main, halves);
    for (unsigned i = 0; i < 2; i++) {
        if (halves[i].some && !ops_add_pieces(w, main, &halves[i], low, &sum, &some)) {
            return true;
        }
    }
    *low = sum;
    return some;
}

// Raises *value to the smallest number whose low bits lie in both intervals of `low`; false when there is
// none.
static inline bool ops_raise(struct width w, const struct part *low, uint64_t *value)
{
    uint64_t mask = part_mask(w.sub), tail = *value & mask, wanted = part_max_u(tail, low->umin);
    uint64_t minus = (uint64_t)low->smin & mask;
    if (low->smin < 0 && low->smax >= 0 && wanted > (uint64_t)low->smax && wanted < minus) {
        wanted = minus;
    }
    if (wanted <= low->umax) {
        *value += wanted - tail;
        return true;
    }
    if ((*value | mask) == part_mask(w.bits)) {
        return false;
    }
    *value = (*value | mask) + 1 + low->umin;
    return true;
}

// The mirror image: lowers *value.
static inline bool ops_lower(struct width w, const struct part *low, uint64_t *value)
{
    uint64_t mask = part_mask(w.sub), tail = *value & mask, wanted = min_u64(tail, low->umax);
    uint64_t minus = (uint64_t)low->smin & mask;
    if (low->smin < 0 && low->smax >= 0 && wanted > (uint64_t)low->smax && wanted < minus) {
        wanted = (uint64_t)low->smax;
    }
    if (wanted >= low->umin) {
        *value -= tail - wanted;
        return true;
    }
    if (*value <= mask) {
        return false;
    }
    *value = (*value & ~mask) - 1 - (mask - low->umax);
    return true;
}

// Moves the ends of main to numbers that the low part allows; false when there are none.
static inline bool ops_tighten_main(struct width w, const struct part *low, struct part *main)
{
    uint64_t sign = part_sign(w.bits), mask = part_mask(w.sub);
    uint64_t smin = ((uint64_t)main->smin & part_mask(w.bits)) ^ sign;
    uint64_t smax = ((uint64_t)main->smax & part_mask(w.bits)) ^ sign;
    if (!ops_raise(w, low, &main->umin) || !ops_lower(w, low, &main->umax) || !ops_raise(w, low, &smin) ||
        !ops_lower(w, low, &smax)) {
        return false;
    }
    main->smin = part_signed(w.bits, smin ^ sign);
    main->smax = part_signed(w.bits, smax ^ sign);
    return part_meet_bits(main, low->bits, low->unknown | ~mask);
}

static inline bool ops_part_equal(const struct part *a, const struct part *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool ops_reduce_parts(struct width w, struct part *main, struct part *low)
{
    uint64_t mask = part_mask(w.sub);
    if (!part_reduce(w.bits, main)) {
        return false;
    }
    for (unsigned round = 0; round < OPS_REDUCE_ROUNDS; round++) {
        if (!part_meet_bits(low, main->bits & mask, main->unknown & mask) || !part_reduce(w.sub, low) ||
            !ops_tighten_low(w, main, low)) {
            return false;
        }
        struct part before = *main;
        if (!ops_tighten_main(w, low, main)) {
            return false;
        }
        if (ops_part_equal(&before, main)) {
            return true;
        }
        if (!part_reduce(w.bits, main)) {
            return false;
        }
    }
    return true;
}

// Reduces the parts and makes them the value of *a; false when there is no member.
static inline bool ops_finish(struct width w, struct part *main, struct part *low, struct scalar *a)
{
    if (!ops_reduce_parts(w, main, low)) {
        return false;
    }
    ops_store(main, low, a);
    return true;
}

static inline bool ops_reduce(struct width w, struct scalar *a)
{
    if ((a->bits & a->unknown) != 0) {
        return false;
    }
    struct part main = ops_main(a), low = ops_low(w, a);
    return ops_finish(w, &main, &low, a);
}

// --- elements and sets ---------------------------------------------------------------------------

static inline void ops_set_any(struct width w, struct scalar *a)
{
    struct part main = part_any(w.bits), low = part_any(w.sub);
    ops_store(&main, &low, a);
}

static inline void ops_set_const(struct width w, struct scalar *a, uint64_t value)
{
    struct part main = part_const(w.bits, value), low = part_const(w.sub, value);
    ops_store(&main, &low, a);
}

// A result is never empty while operators are sound; should that fail, knowing nothing is right.
static inline void ops_finish_result(struct width w, struct part *main, struct part *low, struct scalar *a)
{
    if (!ops_finish(w, main, low, a)) {
        ops_set_any(w, a);
    }
}

static inline bool ops_contains(struct width w, const struct scalar *a, uint64_t value)
{
    int64_t s = part_signed(w.bits, value), x = part_signed(w.sub, value & part_mask(w.sub));
    uint64_t tail = value & part_mask(w.sub);
    return a->umin <= value && value <= a->umax && a->smin <= s && s <= a->smax && a->wmin <= tail &&
           tail <= a->wmax && a->xmin <= x && x <= a->xmax && (value & ~a->unknown) == a->bits;
}

static inline bool ops_includes(const struct scalar *outer, const struct scalar *inner)
{
    return outer->umin <= inner->umin && inner->umax <= outer->umax && outer->smin <= inner->smin &&
           inner->smax <= outer->smax && outer->wmin <= inner->wmin && inner->wmax <= outer->wmax &&
           outer->xmin <= inner->xmin && inner->xmax <= outer->xmax &&
           (inner->unknown & ~outer->unknown) == 0 && ((outer->bits ^ inner->bits) & ~outer->unknown) == 0;
}

static inline bool ops_is_valid(struct width w, const struct scalar *a)
{
    struct scalar copy = *a;
    return ops_reduce(w, &copy) && memcmp(&copy, a, sizeof(copy)) == 0;
}

static inline bool ops_meet(struct width w, struct scalar *a, const struct scalar *b)
{
    struct part main = ops_main(a), low = ops_low(w, a), main_b = ops_main(b), low_b = ops_low(w, b);
    return part_meet(&main, &main_b) && part_meet(&low, &low_b) && ops_finish(w, &main, &low, a);
}

// Ends of reduced operands are members, so the result is the best element: nothing to reduce.
static inline void ops_join(struct width w, struct scalar *a, const struct scalar *b)
{
    struct part main = ops_main(a), low = ops_low(w, a), main_b = ops_main(b), low_b = ops_low(w, b);
    part_join(&main, &main_b);
    part_join(&low, &low_b);
    ops_store(&main, &low, a);
}

// --- widening ------------------------------------------------------------------------------------

struct ops_thresholds {
    const int64_t *value; // sorted
    size_t count;
};

// Number of thresholds below `value`.
static inline size_t ops_count_below(const struct ops_thresholds *t, int64_t value)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->value[middle] < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Smallest threshold in [value, limit], else the limit.
static inline int64_t ops_jump_up(const struct ops_thresholds *t, int64_t value, int64_t limit)
{
    size_t i = ops_count_below(t, value);
    return i < t->count && t->value[i] <= limit ? t->value[i] : limit;
}

// Largest threshold in [limit, value], else the limit.
static inline int64_t ops_jump_down(const struct ops_thresholds *t, int64_t value, int64_t limit)
{
    size_t i = value == INT64_MAX ? t->count : ops_count_below(t, value + 1);
    return i > 0 && t->value[i - 1] >= limit ? t->value[i - 1] : limit;
}

// The same for unsigned ends; thresholds are signed, so above INT64_MAX there are none.
static inline uint64_t ops_jump_up_unsigned(const struct ops_thresholds *t, uint64_t value, uint64_t limit)
{
    if (value > INT64_MAX) {
        return limit;
    }
    size_t i = ops_count_below(t, (int64_t)value);
    return i < t->count && (uint64_t)t->value[i] <= limit ? (uint64_t)t->value[i] : limit;
}

static inline uint64_t ops_jump_down_unsigned(const struct ops_thresholds *t, uint64_t value)
{
    return (uint64_t)ops_jump_down(t, (int64_t)min_u64(value, INT64_MAX), 0);
}

// *grown is the join of `old` and something: lets every end that moved jump, and forgets bits above the first
// change.
static inline void ops_widen_part(unsigned n, const struct ops_thresholds *t, const struct part *old,
                                  struct part *grown)
{
    struct part any = part_any(n);
    if (grown->umin < old->umin) {
        grown->umin = ops_jump_down_unsigned(t, grown->umin);
    }
    if (grown->umax > old->umax) {
        grown->umax = ops_jump_up_unsigned(t, grown->umax, any.umax);
    }
    if (grown->smin < old->smin) {
        grown->smin = ops_jump_down(t, grown->smin, any.smin);
    }
    if (grown->smax > old->smax) {
        grown->smax = ops_jump_up(t, grown->smax, any.smax);
    }
    if (grown->unknown != old->unknown) { // low known bits are a stride; those above follow from the ranges
        grown->unknown = (0 - (grown->unknown & (0 - grown->unknown))) & part_mask(n);
        grown->bits &= ~grown->unknown;
    }
}

static inline void ops_widen(struct width w, const struct ops_thresholds *t, struct scalar *a,
                             const struct scalar *b)
{
    struct part main = ops_main(a), low = ops_low(w, a), main_b = ops_main(b), low_b = ops_low(w, b);
    struct part old_main = main, old_low = low;
    part_join(&main, &main_b);
    part_join(&low, &low_b);
    ops_widen_part(w.bits, t, &old_main, &main);
    ops_widen_part(w.sub, t, &old_low, &low);
    low.unknown = main.unknown & part_mask(w.sub);
    low.bits = main.bits & part_mask(w.sub);
    ops_finish_result(w, &main, &low, a);
}

// --- change of width -----------------------------------------------------------------------------

// The low k bits of a, reduced.
static inline struct part ops_extract(struct width w, const struct scalar *a, unsigned k)
{
    struct part main = ops_main(a), low = ops_low(w, a), r = part_any(k);
    if (k == w.bits || k == w.sub) {
        return k == w.bits ? main : low;
    }
    part_clip_low(k, &r, &main);
    if (k < w.sub) {
        part_clip_low(k, &r, &low);
    }
    if (!part_reduce(k, &r)) {
        r = part_any(k);
    }
    return r;
}

// Keeps the low k bits. Up to sub width these are all there is to know: the result is reduced as it stands.
static inline void ops_zero_extend(struct width w, struct scalar *a, unsigned k)
{
    if (k >= w.bits) {
        return;
    }
    struct part part = ops_extract(w, a, k), main = part_zero_extend(&part), low = ops_low(w, a);
    if (k > w.sub) {
        ops_finish_result(w, &main, &low, a);
        return;
    }
    low = k == w.sub ? part : main;
    ops_store(&main, &low, a);
}

static inline void ops_sign_extend(struct width w, struct scalar *a, unsigned k)
{
    if (k >= w.bits) {
        return;
    }
    struct part part = ops_extract(w, a, k), main = part_sign_extend(w.bits, &part, k);
    struct part low = k < w.sub ? part_sign_extend(w.sub, &part, k) : ops_low(w, a);
    ops_finish_result(w, &main, &low, a);
}

// Reverses the order of the n / unit units of `unit` bits.
static inline uint64_t ops_swap(unsigned n, unsigned unit, uint64_t value)
{
    uint64_t swapped = 0;
    for (unsigned i = 0; i < n; i += unit, value >>= unit) {
        swapped = swapped << unit | (value & part_mask(unit));
    }
    return swapped;
}

// Reverses the units of the low k bits and zeroes the rest. Only known bits survive that.
static inline void ops_reverse(struct width w, struct scalar *a, unsigned k, unsigned unit)
{
    struct part part = ops_extract(w, a, k), low = part_any(w.sub), r = part_any(k);
    r.bits = ops_swap(k, unit, part.bits);
    r.unknown = ops_swap(k, unit, part.unknown);
    part_reduce(k, &r); // bits alone: never empty
    if (k < w.bits) {
        r = part_zero_extend(&r);
    }
    ops_finish_result(w, &r, &low, a);
}

// --- arithmetic ----------------------------------------------------------------------------------

// The concrete operation on n-bit numbers.
static inline uint64_t ops_fold(enum insn_sem sem, unsigned n, uint64_t d, uint64_t s)
{
    uint64_t mask = part_mask(n), k = s & (n - 1);
    int64_t ds = part_signed(n, d), ss = part_signed(n, s);
    switch (sem) {
    case SEM_ADD: return (d + s) & mask;
    case SEM_SUB: return (d - s) & mask;
    case SEM_MUL: return (d * s) & mask;
    case SEM_DIV: return s == 0 ? 0 : d / s;
    case SEM_MOD: return s == 0 ? d : d % s;
    case SEM_SDIV: return s == 0 ? 0 : s == mask ? (0 - d) & mask : (uint64_t)(ds / ss) & mask;
    case SEM_SMOD: return s == 0 ? d : s == mask ? 0 : (uint64_t)(ds % ss) & mask;
    case SEM_OR: return d | s;
    case SEM_AND: return d & s;
    case SEM_XOR: return d ^ s;
    case SEM_LSH: return d << k & mask;
    case SEM_RSH: return d >> k;
    default: return (uint64_t)(ds >> k) & mask; // SEM_ARSH
    }
}

static inline bool ops_is_binary(enum insn_sem sem)
{
    return sem >= SEM_ADD && sem <= SEM_ARSH;
}

// a <sem> b for parts of n bits, not reduced.
static inline struct part ops_part_alu(enum insn_sem sem, unsigned n, const struct part *a,
                                       const struct part *b)
{
    if (part_is_const(a) && part_is_const(b)) {
        return part_const(n, ops_fold(sem, n, a->umin, b->umin));
    }
    struct part r = part_any(n), amount;
    switch (sem) {
    case SEM_ADD: part_add(n, a, b, &r); break;
    case SEM_SUB: part_sub(n, a, b, &r); break;
    case SEM_MUL: part_mul(n, a, b, &r); break;
    case SEM_DIV: part_div(n, a, b, &r); break;
    case SEM_MOD: part_mod(n, a, b, &r); break;
    case SEM_SDIV: part_sdiv(n, a, b, &r); break;
    case SEM_SMOD: part_smod(n, a, b, &r); break;
    case SEM_OR:
    case SEM_AND:
    case SEM_XOR: part_bitwise(sem, n, a, b, &r); break;
    default: // SEM_LSH, SEM_RSH, SEM_ARSH
        amount = part_shift_amount(n, b);
        part_shift(sem, n, a, &amount, NULL, 0, &r);
        break;
    }
    return r;
}

// Whether the low bits of the result depend on the low bits of the operands only.
static inline bool ops_is_local(enum insn_sem sem)
{
    return sem == SEM_ADD || sem == SEM_SUB || sem == SEM_MUL || sem == SEM_OR || sem == SEM_AND ||
           sem == SEM_XOR;
}

static inline void ops_lsh(struct width w, struct scalar *d, const struct part *s)
{
    struct part main = ops_main(d), low = ops_low(w, d), amount = part_shift_amount(w.bits, s), r, r_low;
    part_shift(SEM_LSH, w.bits, &main, &amount, &low, w.sub, &r);
    part_shift(SEM_LSH, w.sub, &low, &amount, NULL, 0, &r_low);
    ops_finish_result(w, &r, &r_low, d);
}

// d = d <sem> s at full width, for the binary operators ADD .. ARSH.
static inline void ops_alu_full(struct width w, enum insn_sem sem, struct scalar *d, const struct scalar *s)
{
    struct part main = ops_main(d), main_s = ops_main(s), low = part_any(w.sub);
    if (part_is_const(&main) && part_is_const(&main_s)) {
        ops_set_const(w, d, ops_fold(sem, w.bits, main.umin, main_s.umin));
        return;
    }
    if (sem == SEM_LSH) {
        ops_lsh(w, d, &main_s);
        return;
    }
    if (ops_is_local(sem)) {
        struct part low_d = ops_low(w, d), low_s = ops_low(w, s);
        low = ops_part_alu(sem, w.sub, &low_d, &low_s);
    }
    main = ops_part_alu(sem, w.bits, &main, &main_s);
    ops_finish_result(w, &main, &low, d);
}

// The same at sub width, zero-extended.
static inline void ops_alu_sub(struct width w, enum insn_sem sem, struct scalar *d, const struct scalar *s)
{
    struct part low_d = ops_low(w, d), low_s = ops_low(w, s), low = ops_part_alu(sem, w.sub, &low_d, &low_s);
    if (!part_reduce(w.sub, &low)) {
        low = part_any(w.sub); // as in ops_finish_result
    }
    struct part main = part_zero_extend(&low);
    ops_store(&main, &low, d);
}

// --- comparisons ---------------------------------------------------------------------------------

// "d <sem> s is taken" as a relation between *d and *s, or between *s and *d (*swapped); false: not a
// comparison.
static inline bool ops_relation(enum insn_sem sem, bool taken, enum part_relation *relation, bool *swapped)
{
    *swapped = false;
    switch (sem) {
    case SEM_JEQ: *relation = taken ? PART_EQ : PART_NE; return true;
    case SEM_JNE: *relation = taken ? PART_NE : PART_EQ; return true;
    case SEM_JSET: *relation = taken ? PART_SET : PART_CLEAR; return true;
    case SEM_JLT: *relation = taken ? PART_ULT : PART_ULE; break;
    case SEM_JLE: *relation = taken ? PART_ULE : PART_ULT; break;
    case SEM_JSLT: *relation = taken ? PART_SLT : PART_SLE; break;
    case SEM_JSLE: *relation = taken ? PART_SLE : PART_SLT; break;
    case SEM_JGT: *relation = taken ? PART_ULT : PART_ULE; break;
    case SEM_JGE: *relation = taken ? PART_ULE : PART_ULT; break;
    case SEM_JSGT: *relation = taken ? PART_SLT : PART_SLE; break;
    case SEM_JSGE: *relation = taken ? PART_SLE : PART_SLT; break;
    default: return false;
    }
    bool greater = sem == SEM_JGT || sem == SEM_JGE || sem == SEM_JSGT || sem == SEM_JSGE;
    *swapped = greater == taken; // !(d < s) is s <= d
    return true;
}

// Refines *a and *b with the relation at full (sub = false) or at sub width.
static inline bool ops_assume_relation(struct width w, enum part_relation relation, bool sub,
                                       struct scalar *a, struct scalar *b)
{
    struct part main_a = ops_main(a), main_b = ops_main(b), low_a = ops_low(w, a), low_b = ops_low(w, b);
    if (relation == PART_EQ &&
        !part_assume(PART_EQ, w.sub, &low_a, &low_b)) { // equal numbers have equal low bits
        return false;
    }
    if (sub && relation != PART_EQ && !part_assume(relation, w.sub, &low_a, &low_b)) {
        return false;
    }
    if (!sub && !part_assume(relation, w.bits, &main_a, &main_b)) {
        return false;
    }
    return ops_finish(w, &main_a, &low_a, a) && ops_finish(w, &main_b, &low_b, b);
}

static inline bool ops_assume(struct width w, enum insn_sem sem, bool sub, bool taken, struct scalar *d,
                              struct scalar *s)
{
    enum part_relation relation;
    bool swapped;
    if (!ops_relation(sem, taken, &relation, &swapped)) {
        return true; // nothing learnt
    }
    return ops_assume_relation(w, relation, sub, swapped ? s : d, swapped ? d : s);
}
