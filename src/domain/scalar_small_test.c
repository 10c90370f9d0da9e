// SPDX-License-Identifier: MIT
// Soundness of the numbers by exhaustion: the code that runs at 64 and 32 bits runs here at small widths over
// all elements of the full reduced product, against sets of concrete numbers held as bit masks. An operator
// that loses a single result, or a comparison that drops a single pair, fails.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain/scalar_ops.h"
#include "tests/test.h"

#define MAX_BITS     5
#define MAX_VALUES   (1u << MAX_BITS)
#define MAX_ELEMENTS 60000u
#define SEEN_SIZE    (1u << 18)

static const enum insn_sem binary_sems[] = {SEM_ADD, SEM_SUB, SEM_MUL, SEM_DIV, SEM_MOD, SEM_SDIV, SEM_SMOD,
                                            SEM_OR,  SEM_AND, SEM_XOR, SEM_LSH, SEM_RSH, SEM_ARSH};
static const char *const binary_names[] = {"add", "sub", "mul", "div", "mod", "sdiv", "smod",
                                           "or",  "and", "xor", "lsh", "rsh", "arsh"};
static const enum insn_sem jump_sems[] = {SEM_JEQ,  SEM_JNE,  SEM_JGT,  SEM_JGE,  SEM_JLT, SEM_JLE,
                                          SEM_JSET, SEM_JSGT, SEM_JSGE, SEM_JSLT, SEM_JSLE};

// A set of numbers below 2^MAX_BITS.
typedef uint32_t set_t;

// All elements of the product at one pair of widths, and tables from a field to the numbers that it allows.
static struct {
    struct width w;
    unsigned values; // 2^bits
    unsigned count;
    struct scalar element[MAX_ELEMENTS];
    set_t set[MAX_ELEMENTS];
    bool leads[MAX_ELEMENTS]; // first with its low part
    set_t by_u[MAX_VALUES][MAX_VALUES], by_s[MAX_VALUES][MAX_VALUES], by_w[MAX_VALUES][MAX_VALUES];
    set_t by_x[MAX_VALUES][MAX_VALUES], by_bits[MAX_VALUES][MAX_VALUES];
} all;

static set_t image[MAX_ELEMENTS][MAX_VALUES]; // [j][x]: results of x with members of element j
static uint64_t concretised, excess, exact;   // precision of the operator under test
static uint64_t with_constant, with_constant_exact;

// --- concrete numbers ----------------------------------------------------------------------------

static int to_signed(unsigned bits, unsigned value)
{
    return value >> (bits - 1) != 0 ? (int)value - (1 << bits) : (int)value;
}

// Written from the meaning of the instructions, not from the code under test.
static unsigned concrete_alu(enum insn_sem sem, unsigned bits, unsigned d, unsigned s)
{
    unsigned mask = (1u << bits) - 1, shift = s & (bits - 1);
    int sd = to_signed(bits, d), ss = to_signed(bits, s);
    switch (sem) {
    case SEM_ADD: return (d + s) & mask;
    case SEM_SUB: return (d - s) & mask;
    case SEM_MUL: return (d * s) & mask;
    case SEM_DIV: return s == 0 ? 0 : d / s;
    case SEM_MOD: return s == 0 ? d : d % s;
    case SEM_SDIV: return s == 0 ? 0 : (unsigned)(sd / ss) & mask;
    case SEM_SMOD: return s == 0 ? d : (unsigned)(sd % ss) & mask;
    case SEM_OR: return d | s;
    case SEM_AND: return d & s;
    case SEM_XOR: return d ^ s;
    case SEM_LSH: return (d << shift) & mask;
    case SEM_RSH: return d >> shift;
    case SEM_ARSH: return (unsigned)(sd >> shift) & mask;
    default: abort();
    }
}

static bool concrete_jump(enum insn_sem sem, unsigned bits, unsigned d, unsigned s)
{
    int sd = to_signed(bits, d), ss = to_signed(bits, s);
    switch (sem) {
    case SEM_JEQ: return d == s;
    case SEM_JNE: return d != s;
    case SEM_JGT: return d > s;
    case SEM_JGE: return d >= s;
    case SEM_JLT: return d < s;
    case SEM_JLE: return d <= s;
    case SEM_JSET: return (d & s) != 0;
    case SEM_JSGT: return sd > ss;
    case SEM_JSGE: return sd >= ss;
    case SEM_JSLT: return sd < ss;
    case SEM_JSLE: return sd <= ss;
    default: abort();
    }
}

// --- sets and elements ---------------------------------------------------------------------------

static unsigned size_of(set_t set)
{
    return (unsigned)__builtin_popcount(set);
}

// The best element for a set that is not empty, field by field.
static struct scalar hull_of(struct width w, set_t set)
{
    struct scalar h = {UINT64_MAX, 0, INT64_MAX, INT64_MIN, UINT32_MAX, 0, INT32_MAX, INT32_MIN, 0, 0};
    uint64_t ones = 0, zeros = 0, tail_mask = (1u << w.sub) - 1;
    for (unsigned v = 0; v < 1u << w.bits; v++) {
        if ((set >> v & 1) == 0) {
            continue;
        }
        int s = to_signed(w.bits, v), x = to_signed(w.sub, v & tail_mask);
        uint32_t tail = v & tail_mask;
        h.umin = v < h.umin ? v : h.umin;
        h.umax = v > h.umax ? v : h.umax;
        h.smin = s < h.smin ? s : h.smin;
        h.smax = s > h.smax ? s : h.smax;
        h.wmin = tail < h.wmin ? tail : h.wmin;
        h.wmax = tail > h.wmax ? tail : h.wmax;
        h.xmin = x < h.xmin ? x : h.xmin;
        h.xmax = x > h.xmax ? x : h.xmax;
        ones |= v;
        zeros |= ~(uint64_t)v & ((1u << w.bits) - 1);
    }
    h.unknown = ones & zeros;
    h.bits = ones & ~zeros;
    return h;
}

// The numbers that an element stands for.
static set_t set_of(const struct scalar *a)
{
    unsigned mask = all.values - 1, tail_mask = (1u << all.w.sub) - 1;
    return all.by_u[a->umin][a->umax] & all.by_s[a->smin & mask][a->smax & mask] &
           all.by_w[a->wmin][a->wmax] & all.by_x[a->xmin & tail_mask][a->xmax & tail_mask] &
           all.by_bits[a->bits][a->unknown];
}

static void fill_tables(void)
{
    unsigned tail_mask = (1u << all.w.sub) - 1;
    for (unsigned a = 0; a < all.values; a++) {
        for (unsigned b = 0; b < all.values; b++) {
            set_t u = 0, s = 0, w = 0, x = 0, bits = 0;
            for (unsigned v = 0; v < all.values; v++) {
                int sv = to_signed(all.w.bits, v), xv = to_signed(all.w.sub, v & tail_mask);
                int xa = to_signed(all.w.sub, a & tail_mask), xb = to_signed(all.w.sub, b & tail_mask);
                set_t one = (set_t)1 << v;
                u |= a <= v && v <= b ? one : 0;
                s |= to_signed(all.w.bits, a) <= sv && sv <= to_signed(all.w.bits, b) ? one : 0;
                w |= a <= (v & tail_mask) && (v & tail_mask) <= b ? one : 0;
                x |= xa <= xv && xv <= xb ? one : 0;
                bits |= (v & ~b) == a ? one : 0; // nothing where a & b != 0
            }
            all.by_u[a][b] = u;
            all.by_s[a][b] = s;
            all.by_w[a][b] = w;
            all.by_x[a][b] = x;
            all.by_bits[a][b] = bits;
        }
    }
}

static bool see(set_t *seen, set_t set)
{
    uint32_t at = set * 2654435761u >> 14 & (SEEN_SIZE - 1);
    while (seen[at] != 0 && seen[at] != set) {
        at = (at + 1) & (SEEN_SIZE - 1);
    }
    bool is_new = seen[at] == 0;
    seen[at] = set;
    return is_new;
}

// Adds to all.set the intersections of its first `count` sets with the sets of one field.
static void intersect_all(set_t *seen, set_t by[MAX_VALUES][MAX_VALUES])
{
    unsigned count = all.count;
    for (unsigned a = 0; a < all.values; a++) {
        for (unsigned b = 0; b < all.values; b++) {
            for (unsigned i = 0; i < count && by[a][b] != 0; i++) {
                set_t set = all.set[i] & by[a][b];
                if (set != 0 && see(seen, set) && all.count < MAX_ELEMENTS) {
                    all.set[all.count++] = set;
                }
            }
        }
    }
}

static bool is_first_with_low_part(unsigned j)
{
    struct part p = ops_low(all.w, &all.element[j]);
    for (unsigned k = 0; k < j; k++) {
        struct part q = ops_low(all.w, &all.element[k]);
        if (ops_part_equal(&p, &q)) {
            return false;
        }
    }
    return true;
}

// Enumerates the product at one pair of widths: every set that the fields can express, once.
static void enumerate(unsigned bits, unsigned sub)
{
    static set_t seen[SEEN_SIZE];
    if (all.w.bits == bits && all.w.sub == sub) {
        return;
    }
    memset(seen, 0, sizeof(seen));
    all.w = (struct width){bits, sub};
    all.values = 1u << bits;
    fill_tables();
    all.set[0] = (set_t)((1ull << all.values) - 1);
    all.count = 1;
    see(seen, all.set[0]);
    intersect_all(seen, all.by_u);
    intersect_all(seen, all.by_s);
    intersect_all(seen, all.by_w);
    intersect_all(seen, all.by_x);
    intersect_all(seen, all.by_bits);
    for (unsigned i = 0; i < all.count; i++) {
        all.element[i] = hull_of(all.w, all.set[i]);
        all.leads[i] = is_first_with_low_part(i);
    }
}

// --- reporting -----------------------------------------------------------------------------------

static void describe(const char *what, const struct scalar *a)
{
    printf("  %s u[%llu,%llu] s[%lld,%lld] w[%u,%u] x[%d,%d] bits %llx/%llx set %08x\n", what,
           (unsigned long long)a->umin, (unsigned long long)a->umax, (long long)a->smin, (long long)a->smax,
           a->wmin, a->wmax, a->xmin, a->xmax, (unsigned long long)a->bits, (unsigned long long)a->unknown,
           set_of(a));
}

static void fail_pair(const char *what, unsigned i, unsigned j, const struct scalar *result, set_t wanted)
{
    test_fail(__FILE__, __LINE__, "%s: elements %u and %u: wanted %08x", what, i, j, wanted);
    if (test_state.failed_checks < 4) {
        describe("a", &all.element[i]);
        describe("b", &all.element[j]);
        describe("result", result);
    }
}

// --- elements, order, lattice --------------------------------------------------------------------

static void elements_are_valid(void)
{
    for (unsigned i = 0; i < all.count; i++) {
        const struct scalar *a = &all.element[i];
        CHECK(ops_is_valid(all.w, a));
        CHECK_EQ(set_of(a), all.set[i]);
        for (unsigned v = 0; v < all.values; v++) {
            CHECK(ops_contains(all.w, a, v) == (all.set[i] >> v & 1));
        }
    }
}

static unsigned step; // pairs looked at: every step-th

// Inclusion is exact; meet is exact and reduces fully; join is the best element above both.
static void lattice_is_exact(void)
{
    for (unsigned i = 0; i < all.count; i++) {
        for (unsigned j = i % step; j < all.count; j += step) {
            set_t a = all.set[i], b = all.set[j];
            struct scalar m = all.element[i], o = all.element[i];
            if (ops_includes(&all.element[i], &all.element[j]) != ((b & ~a) == 0)) {
                fail_pair("includes", i, j, &m, a);
            }
            bool some = ops_meet(all.w, &m, &all.element[j]);
            if (some != ((a & b) != 0) || (some && set_of(&m) != (a & b))) {
                fail_pair("meet", i, j, &m, a & b);
            }
            ops_join(all.w, &o, &all.element[j]);
            struct scalar best = hull_of(all.w, a | b);
            if (memcmp(&o, &best, sizeof(o)) != 0) {
                fail_pair("join", i, j, &o, a | b);
            }
            if (some) {
                best = hull_of(all.w, a & b);
                if (memcmp(&m, &best, sizeof(m)) != 0) {
                    fail_pair("reduced meet", i, j, &m, a & b);
                }
            }
        }
    }
}

static void widen_covers_both(const struct ops_thresholds *t)
{
    for (unsigned i = 0; i < all.count; i++) {
        for (unsigned j = i % step; j < all.count; j += step) {
            set_t a = all.set[i], b = all.set[j];
            struct scalar r = all.element[i];
            ops_widen(all.w, t, &r, &all.element[j]);
            if (((a | b) & ~set_of(&r)) != 0 || ((b & ~a) == 0 && set_of(&r) != a)) {
                fail_pair("widen", i, j, &r, a | b);
            }
        }
    }
}

static void widen_is_sound(void)
{
    static const int64_t thresholds[] = {-5, -1, 0, 3, 6};
    struct ops_thresholds none = {NULL, 0}, some = {thresholds, ARRAY_SIZE(thresholds)};
    widen_covers_both(&none);
    widen_covers_both(&some);
}

// Longest possible chain of widenings over all sequences of operands: elements by falling size, so that what
// a widening gives (a larger element) is known first. Small widths only: elements are found by their set.
static unsigned longest_chain(const struct ops_thresholds *t)
{
    static unsigned short chain_of_set[1u << 16];
    unsigned longest = 0;
    memset(chain_of_set, 0, sizeof(chain_of_set));
    for (unsigned size = all.values; size > 0; size--) {
        for (unsigned i = 0; i < all.count; i++) {
            unsigned chain = 0;
            for (unsigned j = 0; j < all.count && size_of(all.set[i]) == size; j++) {
                struct scalar r = all.element[i];
                ops_widen(all.w, t, &r, &all.element[j]);
                set_t set = set_of(&r);
                chain = set != all.set[i] && chain_of_set[set] >= chain ? chain_of_set[set] + 1u : chain;
            }
            chain_of_set[all.set[i]] =
                size_of(all.set[i]) == size ? (unsigned short)chain : chain_of_set[all.set[i]];
            longest = chain > longest ? chain : longest;
        }
    }
    return longest;
}

static void widen_chains_are_short(void)
{
    static const int64_t thresholds[] = {-5, -1, 0, 3, 6};
    struct ops_thresholds none = {NULL, 0}, some = {thresholds, ARRAY_SIZE(thresholds)};
    unsigned plain = longest_chain(&none), stepped = longest_chain(&some);
    CHECK(plain <= all.w.bits + 8); // a jump of each end, and one for each low known bit
    CHECK(stepped <= all.w.bits + 8 + ARRAY_SIZE(thresholds));
    if (test_is_nightly()) {
        printf("widening at %u bits: longest chain %u, with thresholds %u\n", all.w.bits, plain, stepped);
    }
}

// --- arithmetic ----------------------------------------------------------------------------------

// Fills image[j][x] for "x <sem> member of j" at `bits` bits (the low ones of both).
static void fill_image(enum insn_sem sem, unsigned bits)
{
    unsigned mask = (1u << bits) - 1;
    static set_t single[MAX_VALUES][MAX_VALUES];
    for (unsigned x = 0; x < all.values; x++) {
        for (unsigned y = 0; y < all.values; y++) {
            single[x][y] = (set_t)1 << concrete_alu(sem, bits, x & mask, y & mask);
        }
    }
    for (unsigned j = 0; j < all.count; j++) {
        for (unsigned x = 0; x < all.values; x++) {
            image[j][x] = 0;
            for (set_t left = all.set[j]; left != 0; left &= left - 1) {
                image[j][x] |= single[x][__builtin_ctz(left)];
            }
        }
    }
}

static set_t image_of(set_t a, unsigned j)
{
    set_t out = 0;
    for (; a != 0; a &= a - 1) {
        out |= image[j][__builtin_ctz(a)];
    }
    return out;
}

// Operators that lose nothing by a constant must not start to.
static void check_exact_by_constant(bool wanted)
{
    if (wanted && all.w.bits == 4 && all.w.sub == 2 && step == 1) {
        CHECK(with_constant != 0);
        CHECK_EQ(with_constant_exact, with_constant);
    }
}

// Checks one result and counts how much it says beyond the best one.
static void check_result(const char *what, unsigned i, unsigned j, const struct scalar *r)
{
    set_t wanted = image_of(all.set[i], j), have = set_of(r);
    if ((wanted & ~have) != 0) {
        fail_pair(what, i, j, r, wanted);
    }
    bool constant = (all.set[j] & (all.set[j] - 1)) == 0;
    if (constant || ((i ^ j) & 31) == 0) { // a sample for precision and for the invariant
        struct scalar best = hull_of(all.w, wanted);
        bool is_exact = have == set_of(&best);
        with_constant += constant;
        with_constant_exact += constant && is_exact;
        concretised++;
        excess += size_of(have) - size_of(set_of(&best));
        exact += is_exact;
        CHECK(ops_is_valid(all.w, r));
    }
}

static void print_precision(const char *name, unsigned bits)
{
    if (test_is_nightly()) {
        printf("precision %-6s %u bits: exact in %5.1f %%, %.3f numbers too many on average", name, bits,
               100.0 * (double)exact / (double)concretised, (double)excess / (double)concretised);
        printf("; by a constant exact in %5.1f %%\n",
               with_constant == 0 ? 0.0 : 100.0 * (double)with_constant_exact / (double)with_constant);
    }
    concretised = excess = exact = with_constant = with_constant_exact = 0;
}

static void alu_full(unsigned op)
{
    fill_image(binary_sems[op], all.w.bits);
    for (unsigned i = 0; i < all.count; i++) {
        for (unsigned j = i % step; j < all.count; j += step) {
            struct scalar r = all.element[i];
            ops_alu_full(all.w, binary_sems[op], &r, &all.element[j]);
            check_result(binary_names[op], i, j, &r);
        }
    }
    check_exact_by_constant(binary_sems[op] == SEM_ADD || binary_sems[op] == SEM_SUB);
    print_precision(binary_names[op], all.w.bits);
}

// Sums, differences and products of unsigned intervals that do not overflow are the intervals that they
// should be.
static void intervals_are_exact(void)
{
    unsigned top = all.values - 1;
    for (unsigned at = 0; at < 1u << 4 * all.w.bits; at++) {
        unsigned mask = top, n = all.w.bits, a1 = at & mask, a2 = at >> n & mask, b1 = at >> 2 * n & mask;
        unsigned b2 = at >> 3 * n;
        struct scalar a, b, sum, product, difference;
        if (a1 > a2 || b1 > b2) {
            continue;
        }
        a = hull_of(all.w, all.by_u[a1][a2]);
        b = hull_of(all.w, all.by_u[b1][b2]);
        sum = product = difference = a;
        ops_alu_full(all.w, SEM_ADD, &sum, &b);
        ops_alu_full(all.w, SEM_MUL, &product, &b);
        ops_alu_full(all.w, SEM_SUB, &difference, &b);
        CHECK(a2 + b2 > top || (sum.umin == a1 + b1 && sum.umax == a2 + b2));
        CHECK(a2 * b2 > top || (product.umin == a1 * b1 && product.umax == a2 * b2));
        CHECK(a1 < b2 || (difference.umin == a1 - b2 && difference.umax == a2 - b1));
    }
}

// The result of an operator of sub width depends on the low parts only, so one operand runs over their
// different values while the other one runs over all elements.
static void alu_sub(unsigned op)
{
    fill_image(binary_sems[op], all.w.sub);
    for (unsigned j = 0; j < all.count; j++) {
        for (unsigned i = 0; i < all.count && all.leads[j]; i++) {
            struct scalar r = all.element[i], q = all.element[j];
            ops_alu_sub(all.w, binary_sems[op], &r, &all.element[j]);
            check_result(binary_names[op], i, j, &r);
            ops_alu_sub(all.w, binary_sems[op], &q, &all.element[i]);
            check_result(binary_names[op], j, i, &q);
        }
    }
    print_precision(binary_names[op], all.w.sub);
}

// --- unary operators -----------------------------------------------------------------------------

enum unary { ZERO_EXTEND, SIGN_EXTEND, REVERSE_UNITS, REVERSE_BITS, NEGATE, NEGATE_SUB, UNARY_COUNT };

static unsigned concrete_reverse(unsigned value, unsigned bits, unsigned unit)
{
    unsigned r = 0;
    for (unsigned i = 0; i < bits; i++) { // bit i goes to the mirrored unit, same place within
        unsigned to = (bits / unit - 1 - i / unit) * unit + i % unit;
        r |= (value >> i & 1) << to;
    }
    return r;
}

static unsigned concrete_unary(enum unary what, unsigned k, unsigned v)
{
    unsigned low = v & ((1u << k) - 1), mask = all.values - 1;
    switch (what) {
    case ZERO_EXTEND: return low;
    case SIGN_EXTEND: return (unsigned)to_signed(k, low) & mask;
    case REVERSE_UNITS: return concrete_reverse(low, k, 2);
    case REVERSE_BITS: return concrete_reverse(low, k, 1);
    case NEGATE: return (0 - v) & mask;
    default: return (0 - v) & ((1u << all.w.sub) - 1);
    }
}

static void apply_unary(enum unary what, unsigned k, struct scalar *a)
{
    struct scalar zero;
    ops_set_const(all.w, &zero, 0);
    switch (what) {
    case ZERO_EXTEND: ops_zero_extend(all.w, a, k); return;
    case SIGN_EXTEND: ops_sign_extend(all.w, a, k); return;
    case REVERSE_UNITS: ops_reverse(all.w, a, k, 2); return;
    case REVERSE_BITS: ops_reverse(all.w, a, k, 1); return;
    case NEGATE: ops_alu_full(all.w, SEM_SUB, &zero, a); break;
    default: ops_alu_sub(all.w, SEM_SUB, &zero, a); break;
    }
    *a = zero;
}

static void unary_is_sound(void)
{
    for (unsigned what = 0; what < UNARY_COUNT; what++) {
        for (unsigned k = 1; k <= all.w.bits; k++) {
            if (what == REVERSE_UNITS && k % 2 != 0) {
                continue;
            }
            for (unsigned i = 0; i < all.count; i++) {
                struct scalar r = all.element[i];
                set_t wanted = 0;
                for (unsigned v = 0; v < all.values; v++) {
                    wanted |= (all.set[i] >> v & 1) << concrete_unary(what, k, v);
                }
                apply_unary(what, k, &r);
                if ((wanted & ~set_of(&r)) != 0 || !ops_is_valid(all.w, &r)) {
                    fail_pair("unary", i, what * 100 + k, &r, wanted);
                }
            }
        }
    }
}

// --- comparisons ---------------------------------------------------------------------------------

static set_t partners[2][MAX_ELEMENTS]; // [0][j]: x with "x <sem> some member of j"; [1][i]: y with "some of
                                        // i <sem> y"

static void fill_partners(enum insn_sem sem, bool taken, unsigned bits)
{
    unsigned mask = (1u << bits) - 1;
    for (unsigned j = 0; j < all.count; j++) {
        partners[0][j] = partners[1][j] = 0;
        for (unsigned v = 0; v < all.values; v++) {
            for (unsigned x = 0; x < all.values && (all.set[j] >> v & 1) != 0; x++) {
                partners[0][j] |= (set_t)(concrete_jump(sem, bits, x & mask, v & mask) == taken) << x;
                partners[1][j] |= (set_t)(concrete_jump(sem, bits, v & mask, x & mask) == taken) << x;
            }
        }
    }
}

// Refines with one comparison, by relation or (relation NULL) by instruction, and checks that no pair is
// lost.
static void check_jump(const enum part_relation *relation, enum insn_sem sem, bool sub, bool taken,
                       unsigned i, unsigned j)
{
    struct scalar a = all.element[i], b = all.element[j];
    set_t want_a = all.set[i] & partners[0][j], want_b = all.set[j] & partners[1][i];
    bool may = relation != NULL ? ops_assume_relation(all.w, *relation, sub, &a, &b)
                                : ops_assume(all.w, sem, sub, taken, &a, &b);
    if (!may) {
        if (want_a != 0) {
            fail_pair("refused comparison", i, j, &a, want_a);
        }
        return;
    }
    set_t have_a = set_of(&a), have_b = set_of(&b);
    if ((want_a & ~have_a) != 0 || (have_a & ~all.set[i]) != 0) {
        fail_pair("left operand", i, j, &a, want_a);
    }
    if ((want_b & ~have_b) != 0 || (have_b & ~all.set[j]) != 0) {
        fail_pair("right operand", i, j, &b, want_b);
    }
    bool constant = (all.set[j] & (all.set[j] - 1)) == 0;
    if (constant || ((i ^ j) & 31) == 0) {
        with_constant += 2 * constant;
        with_constant_exact += constant ? (have_a == want_a) + (have_b == want_b) : 0;
        concretised += 2;
        excess += size_of(have_a & ~want_a) + size_of(have_b & ~want_b);
        exact += (have_a == want_a) + (have_b == want_b);
        CHECK(ops_is_valid(all.w, &a) && ops_is_valid(all.w, &b));
    }
}

struct relation_row {
    enum part_relation relation;
    enum insn_sem sem;
    bool taken;
    const char *name;
};
static const struct relation_row relations[] = {
    {PART_EQ, SEM_JEQ, true, "eq"},    {PART_NE, SEM_JEQ, false, "ne"},
    {PART_SET, SEM_JSET, true, "set"}, {PART_CLEAR, SEM_JSET, false, "clear"},
    {PART_ULT, SEM_JLT, true, "ult"},  {PART_ULE, SEM_JLE, true, "ule"},
    {PART_SLT, SEM_JSLT, true, "slt"}, {PART_SLE, SEM_JSLE, true, "sle"}};

static void relation_full(unsigned at)
{
    const struct relation_row *row = &relations[at];
    fill_partners(row->sem, row->taken, all.w.bits);
    for (unsigned i = 0; i < all.count; i++) {
        for (unsigned j = i % step; j < all.count; j += step) {
            check_jump(&row->relation, row->sem, false, row->taken, i, j);
        }
    }
    check_exact_by_constant(row->relation != PART_NE && row->relation != PART_SET);
    print_precision(row->name, all.w.bits);
}

// As for alu_sub: what is learnt about one operand depends on the low part of the other one only.
static void relation_sub(unsigned at)
{
    const struct relation_row *row = &relations[at];
    fill_partners(row->sem, row->taken, all.w.sub);
    for (unsigned j = 0; j < all.count; j++) {
        for (unsigned i = 0; i < all.count && all.leads[j]; i++) {
            check_jump(&row->relation, row->sem, true, row->taken, i, j);
            check_jump(&row->relation, row->sem, true, row->taken, j, i);
        }
    }
    print_precision(row->name, all.w.sub);
}

// Every instruction, taken and not: the way from instruction to relation, over a sample of the pairs.
static void jumps_keep_pairs(void)
{
    for (unsigned at = 0; at < 4 * ARRAY_SIZE(jump_sems); at++) {
        enum insn_sem sem = jump_sems[at / 4];
        bool sub = (at & 1) != 0, taken = (at & 2) != 0;
        fill_partners(sem, taken, sub ? all.w.sub : all.w.bits);
        for (unsigned i = 0; i < all.count; i++) {
            for (unsigned j = i % (97 * step); j < all.count; j += 97 * step) {
                check_jump(NULL, sem, sub, taken, i, j);
            }
        }
    }
    concretised = excess = exact = with_constant = with_constant_exact = 0;
}

// --- the whole at one pair of widths -------------------------------------------------------------

static void run_all(unsigned bits, unsigned sub, unsigned every)
{
    enumerate(bits, sub);
    step = every;
    RUN(elements_are_valid);
    RUN(lattice_is_exact);
    RUN(widen_is_sound);
    if (bits < 4 || (bits == 4 && every == 1)) {
        RUN(widen_chains_are_short);
    }
    RUN(unary_is_sound);
    if (bits <= 4) {
        RUN(intervals_are_exact);
    }
    for (unsigned op = 0; op < ARRAY_SIZE(binary_sems); op++) {
        RUN_WITH(binary_names[op], alu_full, op);
        RUN_WITH(binary_names[op], alu_sub, op);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(relations); i++) {
        RUN_WITH(relations[i].name, relation_full, i);
        RUN_WITH(relations[i].name, relation_sub, i);
    }
    RUN(jumps_keep_pairs);
}

TEST_SUITE(scalar_small)
{
    run_all(3, 1, 1);
    run_all(3, 2, 1);
    // All pairs in the plain build, a sample in the others.
    run_all(4, 2, test_is_nightly() ? 1 : SCALAR_EVERY);
    if (test_is_nightly()) {
        run_all(4, 1, 1);
        run_all(4, 3, 1);
        run_all(5, 2, 997);
        run_all(5, 3, 1999);
    }
}
