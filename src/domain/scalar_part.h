// SPDX-License-Identifier: MIT
// scalar_part: one half of a scalar: numbers of n bits (1 <= n <= 64) as an unsigned interval, a signed
// interval and known bits. Private to scalar.c and its test. Every function takes n, so that the code that
// runs at 64 and 32 bits is the code that the test runs over all elements at 4.
//
// Unsigned fields hold values below 2^n; signed fields are sign-extended to 64 bits. A part is reduced when
// no field can be tightened without losing a member. Operators expect reduced parts and leave reducing to the
// caller.
#pragma once

#include "base/base.h"
#include "isa/isa.h"

struct part {
    uint64_t umin, umax;
    int64_t smin, smax;
    uint64_t bits, unknown;
};

// The members of a part with one sign: signed and unsigned order agree among them.
struct half {
    bool some; // false: none, and the rest means nothing
    uint64_t min, max;
};

static inline uint64_t part_mask(unsigned n)
{
    return ~0ull >> (64 - n);
}

static inline uint64_t part_sign(unsigned n)
{
    return 1ull << (n - 1);
}

static inline int64_t part_signed(unsigned n, uint64_t value)
{
    return (int64_t)(value << (64 - n)) >> (64 - n);
}

// All bits from the highest one of `value` down.
static inline uint64_t part_fill(uint64_t value)
{
    return value == 0 ? 0 : ~0ull >> __builtin_clzll(value);
}

static inline uint64_t part_max_u(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline int64_t part_max_s(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t part_min_s(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline struct part part_any(unsigned n)
{
    uint64_t mask = part_mask(n);
    return (struct part){0, mask, part_signed(n, part_sign(n)), (int64_t)(mask >> 1), 0, mask};
}

static inline struct part part_const(unsigned n, uint64_t value)
{
    value &= part_mask(n);
    int64_t s = part_signed(n, value);
    return (struct part){value, value, s, s, value, 0};
}

static inline bool part_is_const(const struct part *p)
{
    return p->umin == p->umax;
}

static inline bool part_has_zero(const struct part *p)
{
    return p->umin == 0; // ends of a reduced part are members
}

// --- sets ----------------------------------------------------------------------------------------

static inline void part_join(struct part *p, const struct part *q)
{
    p->umin = min_u64(p->umin, q->umin);
    p->umax = part_max_u(p->umax, q->umax);
    p->smin = part_min_s(p->smin, q->smin);
    p->smax = part_max_s(p->smax, q->smax);
    p->unknown |= q->unknown | (p->bits ^ q->bits);
    p->bits &= ~p->unknown;
}

static inline bool part_meet_bits(struct part *p, uint64_t bits, uint64_t unknown)
{
    if (((p->bits ^ bits) & ~p->unknown & ~unknown) != 0) {
        return false;
    }
    p->unknown &= unknown;
    p->bits = (p->bits | bits) & ~p->unknown;
    return true;
}

// Componentwise; the caller reduces, which finds empty intervals.
static inline bool part_meet(struct part *p, const struct part *q)
{
    p->umin = part_max_u(p->umin, q->umin);
    p->umax = min_u64(p->umax, q->umax);
    p->smin = part_max_s(p->smin, q->smin);
    p->smax = part_min_s(p->smax, q->smax);
    return part_meet_bits(p, q->bits, q->unknown);
}

static inline bool part_includes(const struct part *outer, const struct part *inner)
{
    return outer->umin <= inner->umin && inner->umax <= outer->umax && outer->smin <= inner->smin &&
           inner->smax <= outer->smax && (inner->unknown & ~outer->unknown) == 0 &&
           ((outer->bits ^ inner->bits) & ~outer->unknown) == 0;
}

// Intersects with the run of span + 1 numbers that starts at `first` and may wrap round 2^n: exact in each
// order in which the run does not wrap. span < 2^n.
static inline void part_clip_run(unsigned n, struct part *p, uint64_t first, uint64_t span)
{
    uint64_t mask = part_mask(n), sign = part_sign(n);
    first &= mask;
    if (first <= mask - span) {
        p->umin = part_max_u(p->umin, first);
        p->umax = min_u64(p->umax, first + span);
    }
    if ((first ^ sign) <= mask - span) {
        p->smin = part_max_s(p->smin, part_signed(n, first));
        p->smax = part_min_s(p->smax, part_signed(n, first + span));
    }
}

// --- reduction -----------------------------------------------------------------------------------

// Smallest number >= value that has the known bits; false when there is none.
static inline bool part_member_from(uint64_t bits, uint64_t unknown, uint64_t value, uint64_t *out)
{
    if (value > (bits | unknown)) {
        return false;
    }
    if (((value ^ bits) & ~unknown) == 0) {
        *out = value;
        return true;
    }
    uint64_t below = part_fill((value ^ bits) & ~unknown); // up to the highest bit that is wrong
    uint64_t wrong = below ^ (below >> 1);
    if ((value & wrong) != 0) { // must shrink there, so the lowest free zero above has to grow
        uint64_t room = unknown & ~value & ~below;
        wrong = room & (0 - room);
        below = wrong | (wrong - 1);
        bits |= wrong;
    }
    *out = (value & ~below) | (bits & below);
    return true;
}

// Largest number <= value that has the known bits: the mirror image of the above.
static inline bool part_member_to(uint64_t bits, uint64_t unknown, uint64_t value, uint64_t *out)
{
    uint64_t found;
    if (!part_member_from(~bits & ~unknown, unknown, ~value, &found)) {
        return false;
    }
    *out = ~found;
    return true;
}

// The members of one sign: `sign` is 0 or the sign bit. Both ends are members; *unknown is what differs among
// them.
static inline struct half part_take_half(unsigned n, const struct part *p, uint64_t sign, uint64_t *unknown)
{
    struct half none = {false, 0, 0}, h = {true, 0, 0};
    uint64_t top = part_sign(n), mask = part_mask(n);
    if (((p->bits ^ sign) & top & ~p->unknown) != 0) {
        return none;
    }
    int64_t smin = part_max_s(p->smin, part_signed(n, sign));
    int64_t smax = part_min_s(p->smax, part_signed(n, sign | (top - 1)));
    if (smin > smax) {
        return none;
    }
    h.min = part_max_u(p->umin, (uint64_t)smin & mask);
    h.max = min_u64(p->umax, (uint64_t)smax & mask);
    uint64_t bits = p->bits | sign;
    *unknown = p->unknown & ~top;
    if (h.min > h.max || !part_member_from(bits, *unknown, h.min, &h.min) ||
        !part_member_to(bits, *unknown, h.max, &h.max) || h.min > h.max) {
        return none;
    }
    *unknown &= part_fill(h.min ^ h.max);
    return h;
}

// Sets the intervals from the halves; false when both are empty.
static inline bool part_set_halves(unsigned n, struct part *p, const struct half *plus,
                                   const struct half *minus)
{
    if (!plus->some && !minus->some) {
        return false;
    }
    p->umin = plus->some ? plus->min : minus->min;
    p->umax = minus->some ? minus->max : plus->max;
    p->smin = part_signed(n, minus->some ? minus->min : plus->min);
    p->smax = part_signed(n, plus->some ? plus->max : minus->max);
    return true;
}

// Tightens all fields to the best ones for the set of numbers that the part stands for; false when that is
// empty.
static inline bool part_reduce(unsigned n, struct part *p)
{
    uint64_t plus_unknown = 0, minus_unknown = 0;
    struct half plus = part_take_half(n, p, 0, &plus_unknown);
    struct half minus = part_take_half(n, p, part_sign(n), &minus_unknown);
    if (!part_set_halves(n, p, &plus, &minus)) {
        return false;
    }
    p->unknown = plus.some ? plus_unknown : 0;
    if (minus.some) {
        p->unknown |= minus_unknown | (plus.some ? plus.min ^ minus.min : 0);
    }
    p->bits = p->umin & ~p->unknown;
    return true;
}

// Halves of a reduced part, without work.
static inline void part_split(unsigned n, const struct part *p, struct half halves[2])
{
    uint64_t mask = part_mask(n);
    halves[0].some = p->smax >= 0;
    halves[0].min = p->umin;
    halves[0].max = (uint64_t)p->smax & mask;
    halves[1].some = p->smin < 0;
    halves[1].min = (uint64_t)p->smin & mask;
    halves[1].max = p->umax;
}

// --- change of width -----------------------------------------------------------------------------

// Intersects p (n bits) with what the low n bits of q, a wider part, can be; false when nothing is left for
// sure.
static inline bool part_clip_low(unsigned n, struct part *p, const struct part *q)
{
    uint64_t mask = part_mask(n);
    uint64_t uspan = q->umax - q->umin, sspan = (uint64_t)q->smax - (uint64_t)q->smin;
    if (uspan < mask) {
        part_clip_run(n, p, q->umin, uspan);
    }
    if (sspan < mask) {
        part_clip_run(n, p, (uint64_t)q->smin, sspan);
    }
    return part_meet_bits(p, q->bits & mask, q->unknown & mask);
}

// p (from bits) as an n-bit number that repeats its sign; n >= from.
static inline struct part part_sign_extend(unsigned n, const struct part *p, unsigned from)
{
    struct part r = part_any(n);
    r.smin = p->smin;
    r.smax = p->smax;
    r.unknown = (uint64_t)part_signed(from, p->unknown) & part_mask(n);
    r.bits = (uint64_t)part_signed(from, p->bits) & part_mask(n) & ~r.unknown;
    return r;
}

// p as a wider number with zeros above.
static inline struct part part_zero_extend(const struct part *p)
{
    return (struct part){p->umin, p->umax, (int64_t)p->umin, (int64_t)p->umax, p->bits, p->unknown};
}

// --- operators: r = a <op> b, both reduced, r not yet --------------------------------------------

// Known bits of a sum: a carry is unknown where the sums of the least and of the largest members differ.
static inline void part_add(unsigned n, const struct part *a, const struct part *b, struct part *r)
{
    uint64_t mask = part_mask(n), span;
    *r = part_any(n);
    uint64_t least = a->bits + b->bits, most = least + a->unknown + b->unknown;
    r->unknown = ((least ^ most) | a->unknown | b->unknown) & mask;
    r->bits = least & mask & ~r->unknown;
    if (!__builtin_add_overflow(a->umax - a->umin, b->umax - b->umin, &span) && span <= mask) {
        part_clip_run(n, r, a->umin + b->umin, span);
    }
    uint64_t aspan = (uint64_t)a->smax - (uint64_t)a->smin, bspan = (uint64_t)b->smax - (uint64_t)b->smin;
    if (!__builtin_add_overflow(aspan, bspan, &span) && span <= mask) {
        part_clip_run(n, r, (uint64_t)a->smin + (uint64_t)b->smin, span);
    }
}

static inline void part_sub(unsigned n, const struct part *a, const struct part *b, struct part *r)
{
    uint64_t mask = part_mask(n), span;
    *r = part_any(n);
    uint64_t middle = a->bits - b->bits;
    uint64_t most = middle + a->unknown, least = middle - b->unknown;
    r->unknown = ((least ^ most) | a->unknown | b->unknown) & mask;
    r->bits = middle & mask & ~r->unknown;
    if (!__builtin_add_overflow(a->umax - a->umin, b->umax - b->umin, &span) && span <= mask) {
        part_clip_run(n, r, a->umin - b->umax, span);
    }
    uint64_t aspan = (uint64_t)a->smax - (uint64_t)a->smin, bspan = (uint64_t)b->smax - (uint64_t)b->smin;
    if (!__builtin_add_overflow(aspan, bspan, &span) && span <= mask) {
        part_clip_run(n, r, (uint64_t)a->smin - (uint64_t)b->smax, span);
    }
}

// Long multiplication: the known product of the known bits plus, per row, what may be added to it. After
// "Sound, Precise, and Fast Abstract Interpretation with Tristate Numbers" (Vishwanathan et al., CGO 2022).
static inline void part_mul_bits(unsigned n, const struct part *a, const struct part *b, struct part *r)
{
    if ((a->bits | a->unknown) > (b->bits | b->unknown)) { // fewer rows
        const struct part *swap = a;
        a = b;
        b = swap;
    }
    uint64_t product = a->bits * b->bits, added = 0;
    struct part rows = *a, row = *b;
    for (; (rows.bits | rows.unknown) != 0;
         rows.bits >>= 1, rows.unknown >>= 1, row.bits <<= 1, row.unknown <<= 1) {
        uint64_t some = (rows.bits & 1) != 0      ? row.unknown
                        : (rows.unknown & 1) != 0 ? row.bits | row.unknown
                                                  : 0;
        added = (added + some) | added | some;
    }
    r->unknown = (((product + added) ^ product) | added) & part_mask(n);
    r->bits = product & part_mask(n) & ~r->unknown;
}

// Product of two sign-extended numbers, modulo 2^128.
static inline unsigned __int128 part_wide_product(int64_t a, int64_t b)
{
    return (unsigned __int128)(__int128)a * (unsigned __int128)(__int128)b;
}

static inline void part_mul(unsigned n, const struct part *a, const struct part *b, struct part *r)
{
    uint64_t mask = part_mask(n);
    *r = part_any(n);
    part_mul_bits(n, a, b, r);
    unsigned __int128 first = (unsigned __int128)a->umin * b->umin,
                      span = (unsigned __int128)a->umax * b->umax - first;
    if (span <= mask) {
        part_clip_run(n, r, (uint64_t)first, (uint64_t)span);
    }
    __int128 corner[4] = {
        (__int128)part_wide_product(a->smin, b->smin), (__int128)part_wide_product(a->smin, b->smax),
        (__int128)part_wide_product(a->smax, b->smin), (__int128)part_wide_product(a->smax, b->smax)};
    __int128 min = corner[0], max = corner[0];
    for (unsigned i = 1; i < 4; i++) {
        min = corner[i] < min ? corner[i] : min;
        max = corner[i] > max ? corner[i] : max;
    }
    span = (unsigned __int128)max - (unsigned __int128)min;
    if (span <= mask) {
        part_clip_run(n, r, (uint64_t)min, (uint64_t)span);
    }
}

static inline uint64_t part_sum_up_to(uint64_t a, uint64_t b, uint64_t limit)
{
    return a > limit - b ? limit : a + b; // b <= limit
}

// Interval of a & b, a | b or a ^ b for numbers in [0, limit], limit = 2^k - 1.
static inline struct half part_bitwise_half(enum insn_sem sem, uint64_t limit, const struct half *a,
                                            const struct half *b)
{
    struct half r = {true, 0, limit};
    uint64_t both = a->min > limit - b->min ? a->min - (limit - b->min) : 0; // least a & b: a + b - (a | b)
    if (sem == SEM_AND) {
        r.min = both;
        r.max = min_u64(a->max, b->max);
    } else if (sem == SEM_OR) {
        r.min = part_max_u(a->min, b->min);
        r.max = part_sum_up_to(a->max, b->max, limit);
    } else {
        r.min = a->min > b->max ? a->min - b->max : b->min > a->max ? b->min - a->max : 0;
        r.max = min_u64(part_sum_up_to(a->max, b->max, limit), limit - both);
    }
    return r;
}

static inline void part_bitwise_bits(enum insn_sem sem, const struct part *a, const struct part *b,
                                     struct part *r)
{
    uint64_t a_may = a->bits | a->unknown, b_may = b->bits | b->unknown;
    if (sem == SEM_AND) {
        r->bits = a->bits & b->bits;
        r->unknown = a_may & b_may & ~r->bits;
    } else if (sem == SEM_OR) {
        r->bits = a->bits | b->bits;
        r->unknown = (a_may | b_may) & ~r->bits;
    } else {
        r->unknown = a->unknown | b->unknown;
        r->bits = (a->bits ^ b->bits) & ~r->unknown;
    }
}

// AND, OR, XOR: each pair of signs by itself, without the sign bit, so that ranges across zero lose little.
static inline void part_bitwise(enum insn_sem sem, unsigned n, const struct part *a, const struct part *b,
                                struct part *r)
{
    uint64_t sign = part_sign(n), limit = sign - 1;
    struct half x[2], y[2], out[2] = {{false, 0, 0}, {false, 0, 0}};
    part_split(n, a, x);
    part_split(n, b, y);
    for (unsigned pair = 0; pair < 4; pair++) {
        unsigned i = pair & 1, j = pair >> 1, k = sem == SEM_AND ? i & j : sem == SEM_OR ? i | j : i ^ j;
        if (!x[i].some || !y[j].some) {
            continue;
        }
        struct half p = {true, x[i].min & limit, x[i].max & limit},
                    q = {true, y[j].min & limit, y[j].max & limit};
        struct half h = part_bitwise_half(sem, limit, &p, &q);
        h.min |= k == 0 ? 0 : sign;
        h.max |= k == 0 ? 0 : sign;
        out[k].min = out[k].some ? min_u64(out[k].min, h.min) : h.min;
        out[k].max = out[k].some ? part_max_u(out[k].max, h.max) : h.max;
        out[k].some = true;
    }
    part_set_halves(n, r, &out[0], &out[1]);
    part_bitwise_bits(sem, a, b, r);
}

// --- shifts --------------------------------------------------------------------------------------

// a << k; the low `tail_width` bits of a are known better by `tail` (NULL: they are not). k >= n gives 0.
static inline struct part part_lsh_by(unsigned n, const struct part *a, unsigned k, const struct part *tail,
                                      unsigned tail_width)
{
    if (k >= n) {
        return part_const(n, 0);
    }
    struct part r = part_any(n);
    uint64_t mask = part_mask(n), uspan = a->umax - a->umin, sspan = (uint64_t)a->smax - (uint64_t)a->smin;
    r.bits = (a->bits << k) & mask;
    r.unknown = (a->unknown << k) & mask;
    if (uspan <= mask >> k) {
        part_clip_run(n, &r, a->umin << k, uspan << k);
    }
    if (sspan <= mask >> k) {
        part_clip_run(n, &r, (uint64_t)a->smin << k, sspan << k);
    }
    if (tail != NULL && n - k <= tail_width) { // nothing above the tail is left
        uspan = tail->umax - tail->umin;
        sspan = (uint64_t)tail->smax - (uint64_t)tail->smin;
        if (uspan <= mask >> k) {
            part_clip_run(n, &r, tail->umin << k, uspan << k);
        }
        if (sspan <= mask >> k) {
            part_clip_run(n, &r, (uint64_t)tail->smin << k, sspan << k);
        }
    }
    return r;
}

static inline struct part part_rsh_by(unsigned n, const struct part *a, unsigned k)
{
    if (k == 0) {
        return *a;
    }
    struct part r = {a->umin >> k, a->umax >> k, 0, 0, a->bits >> k, a->unknown >> k};
    r.smin = part_signed(n, r.umin);
    r.smax = part_signed(n, r.umax);
    return r;
}

// Keeps signs, and so both orders.
static inline struct part part_arsh_by(unsigned n, const struct part *a, unsigned k)
{
    uint64_t mask = part_mask(n);
    struct part r;
    r.umin = (uint64_t)(part_signed(n, a->umin) >> k) & mask;
    r.umax = (uint64_t)(part_signed(n, a->umax) >> k) & mask;
    r.smin = a->smin >> k;
    r.smax = a->smax >> k;
    r.unknown = (uint64_t)(part_signed(n, a->unknown) >> k) & mask;
    r.bits = (uint64_t)(part_signed(n, a->bits) >> k) & mask & ~r.unknown;
    return r;
}

// Shifts by every amount in `by` (already masked, reduced) and joins the results.
static inline void part_shift(enum insn_sem sem, unsigned n, const struct part *a, const struct part *by,
                              const struct part *tail, unsigned tail_width, struct part *r)
{
    bool first = true;
    for (uint64_t k = by->umin; k <= by->umax; k++) {
        if (((k ^ by->bits) & ~by->unknown) != 0) {
            continue;
        }
        struct part shifted = sem == SEM_LSH   ? part_lsh_by(n, a, (unsigned)k, tail, tail_width)
                              : sem == SEM_RSH ? part_rsh_by(n, a, (unsigned)k)
                                               : part_arsh_by(n, a, (unsigned)k);
        if (first) {
            *r = shifted;
        } else {
            part_join(r, &shifted);
        }
        first = false;
    }
}

// The shift amounts that b gives at n bits: b & (n - 1).
static inline struct part part_shift_amount(unsigned n, const struct part *b)
{
    struct part mask = part_const(n, n - 1), amount;
    part_bitwise(SEM_AND, n, b, &mask, &amount);
    part_reduce(n, &amount);
    return amount;
}

// --- division ------------------------------------------------------------------------------------

static inline bool part_is_power_of_two(const struct part *p)
{
    return part_is_const(p) && p->umin != 0 && (p->umin & (p->umin - 1)) == 0;
}

// Unsigned; x / 0 is 0.
static inline void part_div(unsigned n, const struct part *a, const struct part *b, struct part *r)
{
    if (b->umax == 0) {
        *r = part_const(n, 0);
        return;
    }
    if (part_is_power_of_two(b)) {
        *r = part_rsh_by(n, a, (unsigned)__builtin_ctzll(b->umin));
        return;
    }
    *r = part_any(n);
    r->umin = part_has_zero(b) ? 0 : a->umin / b->umax;
    r->umax = a->umax / part_max_u(b->umin, 1);
}

// A remainder of a keeps the low bits in which every divisor is zero, also for divisor 0, which gives a.
static inline void part_keep_low_bits(unsigned n, const struct part *a, const struct part *b, struct part *r)
{
    uint64_t may = b->bits | b->unknown, low = (may & (0 - may)) - 1; // may != 0
    r->unknown = (a->unknown | ~low) & part_mask(n);
    r->bits = a->bits & low;
}

// Unsigned; x % 0 is x.
static inline void part_mod(unsigned n, const struct part *a, const struct part *b, struct part *r)
{
    if (b->umax == 0 || a->umax < b->umin) {
        *r = *a;
        return;
    }
    if (part_is_const(b) && a->umin / b->umin == a->umax / b->umin) { // one quotient: a subtraction
        struct part product = part_const(n, a->umin / b->umin * b->umin);
        part_sub(n, a, &product, r);
        return;
    }
    *r = part_any(n);
    r->umax = part_has_zero(b) ? a->umax : min_u64(a->umax, b->umax - 1);
    part_keep_low_bits(n, a, b, r);
}

// Signed, towards zero; x / 0 is 0 and the least number / -1 is itself.
static inline void part_sdiv(unsigned n, const struct part *a, const struct part *b, struct part *r)
{
    if (a->smin >= 0 && b->smin >= 0) {
        part_div(n, a, b, r);
        return;
    }
    *r = part_any(n);
    int64_t most_negative = part_min_s(b->smax, -1); // divisor closest to zero from below
    if (a->smin == part_signed(n, part_sign(n)) && b->smin <= -1 && most_negative == -1) {
        return; // the quotient may wrap
    }
    bool zero = part_has_zero(b);
    int64_t min = zero ? 0 : INT64_MAX, max = zero ? 0 : INT64_MIN;
    if (b->smax > 0) {
        int64_t near = part_max_s(b->smin, 1), far = b->smax;
        min = part_min_s(min, a->smin / (a->smin < 0 ? near : far));
        max = part_max_s(max, a->smax / (a->smax < 0 ? far : near));
    }
    if (b->smin < 0) {
        int64_t near = most_negative, far = b->smin;
        min = part_min_s(min, a->smax / (a->smax < 0 ? far : near));
        max = part_max_s(max, a->smin / (a->smin < 0 ? near : far));
    }
    r->smin = min;
    r->smax = max;
}

// Magnitudes of a signed interval.
static inline uint64_t part_abs(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

// Signed, with the sign of a; x % 0 is x.
static inline void part_smod(unsigned n, const struct part *a, const struct part *b, struct part *r)
{
    if (a->smin >= 0 && b->smin >= 0) {
        part_mod(n, a, b, r);
        return;
    }
    uint64_t a_most = part_max_u(part_abs(a->smin), part_abs(a->smax));
    uint64_t b_most = part_max_u(part_abs(b->smin), part_abs(b->smax));
    uint64_t b_least = b->smin > 0 ? (uint64_t)b->smin : b->smax < 0 ? part_abs(b->smax) : 0;
    if (b_most == 0 || a_most < b_least) {
        *r = *a;
        return;
    }
    *r = part_any(n);
    r->smin = part_min_s(a->smin, 0);
    r->smax = part_max_s(a->smax, 0);
    if (!part_has_zero(b)) { // |a % b| < |b|; the bound is below 2^63
        int64_t bound = (int64_t)(b_most - 1);
        r->smin = part_max_s(r->smin, -bound);
        r->smax = part_min_s(r->smax, bound);
    }
    part_keep_low_bits(n, a, b, r);
}

// --- comparisons: refine both parts with "a <relation> b"; false when that cannot be -------------

enum part_relation { PART_EQ, PART_NE, PART_SET, PART_CLEAR, PART_ULT, PART_ULE, PART_SLT, PART_SLE };

// Removes `value` from the ends of p, which are the ends of its halves too.
static inline void part_trim(unsigned n, struct part *p, uint64_t value)
{
    int64_t s = part_signed(n, value);
    p->umin += p->umin == value;
    p->umax -= p->umax == value;
    p->smin += p->smin == s;
    p->smax -= p->smax == s;
}

static inline bool part_assume_ne(unsigned n, struct part *a, struct part *b)
{
    if (part_is_const(a) && part_is_const(b)) {
        return a->umin != b->umin;
    }
    if (part_is_const(b)) {
        part_trim(n, a, b->umin);
    } else if (part_is_const(a)) {
        part_trim(n, b, a->umin);
    }
    return true;
}

// a & b != 0: some bit is set in both.
static inline bool part_assume_set(struct part *a, struct part *b)
{
    uint64_t common = (a->bits | a->unknown) & (b->bits | b->unknown), least = common & (0 - common);
    if (common == 0) {
        return false;
    }
    a->umin = part_max_u(a->umin, least);
    b->umin = part_max_u(b->umin, least);
    return least != common || (part_meet_bits(a, least, ~least) && part_meet_bits(b, least, ~least));
}

// a & b == 0: no bit is set in both, so a + b is a | b and does not overflow.
static inline bool part_assume_clear(unsigned n, struct part *a, struct part *b)
{
    uint64_t a_ones = a->bits, b_ones = b->bits, mask = part_mask(n);
    a->umax = min_u64(a->umax, mask - b->umin);
    b->umax = min_u64(b->umax, mask - a->umin);
    return part_meet_bits(a, 0, ~b_ones) && part_meet_bits(b, 0, ~a_ones);
}

static inline bool part_assume_unsigned(unsigned n, uint64_t strict, struct part *a, struct part *b)
{
    if (strict != 0 && (b->umax == 0 || a->umin == part_mask(n))) {
        return false;
    }
    a->umax = min_u64(a->umax, b->umax - strict);
    b->umin = part_max_u(b->umin, a->umin + strict);
    return true;
}

static inline bool part_assume_signed(unsigned n, int64_t strict, struct part *a, struct part *b)
{
    int64_t least = part_signed(n, part_sign(n)), most = part_signed(n, part_sign(n) - 1);
    if (strict != 0 && (b->smax == least || a->smin == most)) {
        return false;
    }
    a->smax = part_min_s(a->smax, b->smax - strict);
    b->smin = part_max_s(b->smin, a->smin + strict);
    return true;
}

static inline bool part_assume(enum part_relation relation, unsigned n, struct part *a, struct part *b)
{
    switch (relation) {
    case PART_EQ:
        if (!part_meet(a, b)) {
            return false;
        }
        *b = *a;
        return true;
    case PART_NE: return part_assume_ne(n, a, b);
    case PART_SET: return part_assume_set(a, b);
    case PART_CLEAR: return part_assume_clear(n, a, b);
    case PART_ULT: return part_assume_unsigned(n, 1, a, b);
    case PART_ULE: return part_assume_unsigned(n, 0, a, b);
    case PART_SLT: return part_assume_signed(n, 1, a, b);
    case PART_SLE: return part_assume_signed(n, 0, a, b);
    }
    return true;
}
