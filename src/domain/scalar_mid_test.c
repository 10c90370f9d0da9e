// SPDX-License-Identifier: MIT
// Soundness of the numbers at 8 bits (halves of 4), where sets of numbers are too large to go through: the
// expected results are hulls of all concrete results, built by adding one number at a time to intervals and
// by merging the two halves of a set of known bits. All known-bits elements meet each other, all intervals
// and known-bits elements meet constants, random elements of the whole product meet each other. EBPF_NIGHTLY
// leaves nothing out.
#include <stdlib.h>
#include <string.h>

#include "domain/scalar_ops.h"
#include "tests/test.h"

#define VALUES 256u
#define TNUMS  6561u // 3^8

static const struct width w8 = {8, 4};
static const enum insn_sem binary_sems[] = {SEM_ADD, SEM_SUB, SEM_MUL, SEM_DIV, SEM_MOD, SEM_SDIV, SEM_SMOD,
                                            SEM_OR,  SEM_AND, SEM_XOR, SEM_LSH, SEM_RSH, SEM_ARSH};
static const enum insn_sem jump_sems[] = {SEM_JEQ,  SEM_JNE,  SEM_JGT,  SEM_JGE,  SEM_JLT, SEM_JLE,
                                          SEM_JSET, SEM_JSGT, SEM_JSGE, SEM_JSLT, SEM_JSLE};

// Bounds and bits of some concrete numbers; of none when umin > umax.
struct seen {
    unsigned umin, umax, wmin, wmax, ones, zeros;
    int smin, smax, xmin, xmax;
};

static struct {
    struct scalar element[TNUMS];
    uint8_t bits[TNUMS], unknown[TNUMS];
    uint16_t index[VALUES][VALUES]; // [unknown][bits]
} tnums;

static uint8_t table[VALUES][VALUES]; // concrete results of the operator under test
static struct seen expected[TNUMS];

static int signed_of(unsigned bits, unsigned value)
{
    return value >> (bits - 1) != 0 ? (int)value - (1 << bits) : (int)value;
}

static uint8_t concrete_alu(enum insn_sem sem, unsigned d, unsigned s)
{
    int sd = signed_of(8, d), ss = signed_of(8, s);
    unsigned shift = s & 7;
    switch (sem) {
    case SEM_ADD: return (uint8_t)(d + s);
    case SEM_SUB: return (uint8_t)(d - s);
    case SEM_MUL: return (uint8_t)(d * s);
    case SEM_DIV: return (uint8_t)(s == 0 ? 0 : d / s);
    case SEM_MOD: return (uint8_t)(s == 0 ? d : d % s);
    case SEM_SDIV: return (uint8_t)(s == 0 ? 0 : sd / ss);
    case SEM_SMOD: return (uint8_t)(s == 0 ? sd : sd % ss);
    case SEM_OR: return (uint8_t)(d | s);
    case SEM_AND: return (uint8_t)(d & s);
    case SEM_XOR: return (uint8_t)(d ^ s);
    case SEM_LSH: return (uint8_t)(d << shift);
    case SEM_RSH: return (uint8_t)(d >> shift);
    case SEM_ARSH: return (uint8_t)(sd >> shift);
    default: abort();
    }
}

static bool concrete_jump(enum insn_sem sem, unsigned bits, unsigned d, unsigned s)
{
    d &= (1u << bits) - 1;
    s &= (1u << bits) - 1;
    int sd = signed_of(bits, d), ss = signed_of(bits, s);
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

// --- hulls ---------------------------------------------------------------------------------------

static const struct seen seen_nothing = {VALUES, 0, VALUES, 0, 0, 0, 1000, -1000, 1000, -1000};

#define KEEP_MIN(field) a->field = b->field < a->field ? b->field : a->field
#define KEEP_MAX(field) a->field = b->field > a->field ? b->field : a->field

static void seen_merge(struct seen *a, const struct seen *b)
{
    KEEP_MIN(umin);
    KEEP_MAX(umax);
    KEEP_MIN(wmin);
    KEEP_MAX(wmax);
    KEEP_MIN(smin);
    KEEP_MAX(smax);
    KEEP_MIN(xmin);
    KEEP_MAX(xmax);
    a->ones |= b->ones;
    a->zeros |= b->zeros;
}

static void seen_add(struct seen *a, unsigned v)
{
    int s = signed_of(8, v), x = signed_of(4, v & 15);
    struct seen one = {v, v, v & 15, v & 15, v, ~v & 255, s, s, x, x};
    seen_merge(a, &one);
}

static bool seen_is_nothing(const struct seen *a)
{
    return a->umin > a->umax;
}

// Whether the element covers all numbers that were seen.
static bool covers(const struct scalar *r, const struct seen *s)
{
    uint64_t wrong = (s->ones & ~r->bits) | (s->zeros & r->bits);
    return seen_is_nothing(s) || (r->umin <= s->umin && s->umax <= r->umax && r->smin <= s->smin &&
                                  s->smax <= r->smax && r->wmin <= s->wmin && s->wmax <= r->wmax &&
                                  r->xmin <= s->xmin && s->xmax <= r->xmax && (wrong & ~r->unknown) == 0);
}

static void check_alu(enum insn_sem sem, const struct scalar *d, const struct scalar *s,
                      const struct seen *wanted)
{
    struct scalar r = *d;
    ops_alu_full(w8, sem, &r, s);
    if (!covers(&r, wanted)) {
        test_fail(__FILE__, __LINE__,
                  "operator %d of u[%u,%u] bits %x/%x and u[%u,%u] bits %x/%x: [%u,%u] is not in [%u,%u]",
                  sem, (unsigned)d->umin, (unsigned)d->umax, (unsigned)d->bits, (unsigned)d->unknown,
                  (unsigned)s->umin, (unsigned)s->umax, (unsigned)s->bits, (unsigned)s->unknown, wanted->umin,
                  wanted->umax, (unsigned)r.umin, (unsigned)r.umax);
    }
}

// --- elements ------------------------------------------------------------------------------------

static void element_from_bits(uint8_t bits, uint8_t unknown, struct scalar *a)
{
    ops_set_any(w8, a);
    a->bits = bits;
    a->unknown = unknown;
    CHECK(ops_reduce(w8, a));
}

static void element_from_range(bool is_signed, int min, int max, struct scalar *a)
{
    ops_set_any(w8, a);
    if (is_signed) {
        a->smin = min;
        a->smax = max;
    } else {
        a->umin = (unsigned)min;
        a->umax = (unsigned)max;
    }
    CHECK(ops_reduce(w8, a));
}

static void make_tnums(void)
{
    unsigned count = 0;
    for (unsigned unknown = 0; unknown < VALUES; unknown++) { // fewer unknown bits come first
        for (unsigned bits = 0; bits < VALUES; bits++) {
            if ((bits & unknown) == 0) {
                tnums.bits[count] = (uint8_t)bits;
                tnums.unknown[count] = (uint8_t)unknown;
                tnums.index[unknown][bits] = (uint16_t)count;
                element_from_bits((uint8_t)bits, (uint8_t)unknown, &tnums.element[count++]);
            }
        }
    }
    CHECK_EQ(count, TNUMS);
}

static void fill_table(enum insn_sem sem)
{
    for (unsigned d = 0; d < VALUES; d++) {
        for (unsigned s = 0; s < VALUES; s++) {
            table[d][s] = concrete_alu(sem, d, s);
        }
    }
}

// expected[i] = hull of the results of element i with the members of element j (first = false: j with i),
// from constants upwards.
static void expect_with(unsigned j, bool first)
{
    for (unsigned i = 0; i < TNUMS; i++) {
        unsigned bits = tnums.bits[i], unknown = tnums.unknown[i], lowest = unknown & (0u - unknown);
        expected[i] = seen_nothing;
        if (unknown != 0) {
            seen_merge(&expected[i], &expected[tnums.index[unknown ^ lowest][bits]]);
            seen_merge(&expected[i], &expected[tnums.index[unknown ^ lowest][bits | lowest]]);
            continue;
        }
        unsigned open = tnums.unknown[j], part = open;
        do { // all subsets of the unknown bits
            unsigned other = tnums.bits[j] | part;
            seen_add(&expected[i], first ? table[bits][other] : table[other][bits]);
            part = (part - 1) & open;
        } while (part != open);
    }
}

static void known_bits_pairs(void)
{
    unsigned step = test_is_nightly() ? 1 : SCALAR_EVERY == 1 ? 101 : 997;
    make_tnums();
    for (unsigned op = 0; op < ARRAY_SIZE(binary_sems); op++) {
        fill_table(binary_sems[op]);
        for (unsigned j = op; j < TNUMS; j += step) {
            expect_with(j, true);
            for (unsigned i = 0; i < TNUMS; i++) {
                check_alu(binary_sems[op], &tnums.element[i], &tnums.element[j], &expected[i]);
            }
            expect_with(j, false);
            for (unsigned i = 0; i < TNUMS; i++) {
                check_alu(binary_sems[op], &tnums.element[j], &tnums.element[i], &expected[i]);
            }
        }
    }
}

// --- intervals and known bits against constants --------------------------------------------------

// All intervals of one signedness with the constant c on either side. The hull grows with the upper end.
static void ranges_with_constant(enum insn_sem sem, bool is_signed, unsigned c)
{
    int base = is_signed ? -128 : 0;
    struct scalar constant, range;
    ops_set_const(w8, &constant, c);
    for (int min = base; min < base + 256; min++) {
        struct seen left = seen_nothing, right = seen_nothing;
        for (int max = min; max < base + 256; max++) {
            seen_add(&left, table[max & 255][c]);
            seen_add(&right, table[c][max & 255]);
            element_from_range(is_signed, min, max, &range);
            check_alu(sem, &range, &constant, &left);
            check_alu(sem, &constant, &range, &right);
        }
    }
}

static bool is_chosen(unsigned c)
{
    bool edge = c == 0 || c == 255 || c == 127 || c == 128;
    return test_is_nightly() || edge || (SCALAR_EVERY == 1 && (c <= 2 || c == 7 || c == 254 || c % 83 == 12));
}

static void abstract_with_constants(void)
{
    for (unsigned op = 0; op < ARRAY_SIZE(binary_sems); op++) {
        fill_table(binary_sems[op]);
        for (unsigned c = 0; c < VALUES; c++) {
            if (is_chosen(c)) {
                ranges_with_constant(binary_sems[op], false, c);
                ranges_with_constant(binary_sems[op], true, c);
            }
        }
    }
}

static void check_jump(enum insn_sem sem, bool sub, bool taken, const struct scalar *d, unsigned c,
                       const struct seen *wanted)
{
    struct scalar a = *d, b;
    ops_set_const(w8, &b, c);
    bool may = ops_assume(w8, sem, sub, taken, &a, &b);
    if (may ? !covers(&a, wanted) || !ops_contains(w8, &b, c) || !ops_includes(d, &a)
            : !seen_is_nothing(wanted)) {
        test_fail(__FILE__, __LINE__, "jump %d sub %d taken %d of u[%u,%u] s[%d,%d] and %u", sem, sub, taken,
                  (unsigned)d->umin, (unsigned)d->umax, (int)d->smin, (int)d->smax, c);
    }
}

static void jumps_with_constant(enum insn_sem sem, bool sub, bool taken, bool is_signed, unsigned c)
{
    int base = is_signed ? -128 : 0;
    for (int min = base; min < base + 256; min++) {
        struct seen wanted = seen_nothing;
        for (int max = min; max < base + 256; max++) {
            struct scalar range;
            if (concrete_jump(sem, sub ? 4 : 8, max & 255, c) == taken) {
                seen_add(&wanted, max & 255);
            }
            element_from_range(is_signed, min, max, &range);
            check_jump(sem, sub, taken, &range, c, &wanted);
        }
    }
}

static void jumps_with_constants(void)
{
    for (unsigned at = 0; at < ARRAY_SIZE(jump_sems) * 8; at++) {
        for (unsigned c = at % 3; c < VALUES; c += 3) {
            if (is_chosen(c)) {
                jumps_with_constant(jump_sems[at / 8], (at & 1) != 0, (at & 2) != 0, (at & 4) != 0, c);
            }
        }
    }
}

// --- random elements of the product --------------------------------------------------------------

static uint32_t next_random(void)
{
    static uint64_t state = 88172645463325252ull; // fixed seed: xorshift
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static void random_element(struct scalar *a)
{
    do {
        uint32_t r = next_random(), q = next_random();
        ops_set_any(w8, a);
        if ((r & 1) != 0) {
            a->umin = q & 255;
            a->umax = a->umin + (next_random() & (255 - a->umin));
        }
        if ((r & 2) != 0) {
            a->smin = (int)(q >> 8 & 255) - 128;
            a->smax = a->smin + next_random() % (unsigned)(128 - a->smin);
        }
        if ((r & 4) != 0) {
            a->wmin = q >> 16 & 7;
            a->wmax = a->wmin + (q >> 20 & 7);
        }
        if ((r & 8) != 0) {
            a->xmin = (int)(q >> 24 & 7) - 8;
            a->xmax = a->xmin + (int)(q >> 28 & 7);
        }
        if ((r & 16) != 0) {
            a->unknown = next_random() & 255;
            a->bits = next_random() & 255 & ~a->unknown;
        }
    } while (!ops_reduce(w8, a));
}

static void random_pairs(void)
{
    unsigned count = test_is_nightly() ? 4000 : 150;
    struct scalar a, b, r;
    for (unsigned op = 0; op < ARRAY_SIZE(binary_sems); op++) {
        fill_table(binary_sems[op]);
        for (unsigned k = 0; k < count; k++) {
            struct seen wanted = seen_nothing;
            random_element(&a);
            random_element(&b);
            for (unsigned d = 0; d < VALUES; d++) {
                for (unsigned s = 0; s < VALUES && ops_contains(w8, &a, d); s++) {
                    if (ops_contains(w8, &b, s)) {
                        seen_add(&wanted, table[d][s]);
                    }
                }
            }
            r = a;
            check_alu(binary_sems[op], &a, &b, &wanted);
            ops_alu_full(w8, binary_sems[op], &r, &b);
            CHECK(ops_is_valid(w8, &r));
        }
    }
}

// A reduced element is the best one for its numbers.
static void reduction_is_exact(void)
{
    for (unsigned k = 0; k < 20000; k++) {
        struct scalar a;
        struct seen s = seen_nothing;
        random_element(&a);
        for (unsigned v = 0; v < VALUES; v++) {
            if (ops_contains(w8, &a, v)) {
                seen_add(&s, v);
            }
        }
        CHECK(a.umin == s.umin && a.umax == s.umax && a.smin == s.smin && a.smax == s.smax);
        CHECK(a.wmin == s.wmin && a.wmax == s.wmax && a.xmin == s.xmin && a.xmax == s.xmax);
        CHECK_EQ(a.unknown, s.ones & s.zeros);
        CHECK(ops_is_valid(w8, &a));
    }
}

static void random_jumps(void)
{
    unsigned count = test_is_nightly() ? 2000 : 100;
    for (unsigned at = 0; at < ARRAY_SIZE(jump_sems) * 4 * count; at++) {
        enum insn_sem sem = jump_sems[at / 4 % ARRAY_SIZE(jump_sems)];
        bool sub = (at & 1) != 0, taken = (at & 2) != 0;
        struct scalar a, b;
        struct seen want_a = seen_nothing, want_b = seen_nothing;
        random_element(&a);
        random_element(&b);
        for (unsigned d = 0; d < VALUES; d++) {
            for (unsigned s = 0; s < VALUES && ops_contains(w8, &a, d); s++) {
                if (ops_contains(w8, &b, s) && concrete_jump(sem, sub ? 4 : 8, d, s) == taken) {
                    seen_add(&want_a, d);
                    seen_add(&want_b, s);
                }
            }
        }
        bool may = ops_assume(w8, sem, sub, taken, &a, &b);
        CHECK(may ? covers(&a, &want_a) && covers(&b, &want_b) : seen_is_nothing(&want_a));
    }
}

TEST_SUITE(scalar_mid)
{
    RUN(reduction_is_exact);
    RUN(known_bits_pairs);
    RUN(abstract_with_constants);
    RUN(jumps_with_constants);
    RUN(random_pairs);
    RUN(random_jumps);
}
