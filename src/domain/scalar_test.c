// SPDX-License-Identifier: MIT
// The public operators at 64 and 32 bits: random elements around random and boundary numbers against the
// expressions of isa_ops.def, contracts, precision that programs rely on, and text. Exhaustive tests at small
// widths of the same code are in scalar_small_test.c and scalar_mid_test.c.
#include <string.h>

#include "domain/scalar.h"
#include "tests/concrete.h"
#include "tests/test.h"

#define MEMBERS 4u // concrete numbers known to lie in a random element

// --- random elements -----------------------------------------------------------------------------

static uint64_t random_state = 88172645463325252ull;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13; // xorshift
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1dull;
}

static const uint64_t boundaries[] = {0,
                                      1,
                                      2,
                                      3,
                                      7,
                                      8,
                                      14,
                                      31,
                                      32,
                                      33,
                                      63,
                                      64,
                                      65,
                                      127,
                                      128,
                                      255,
                                      256,
                                      1500,
                                      0x7fff,
                                      0x8000,
                                      0xffff,
                                      0x10000,
                                      0x7ffffffe,
                                      0x7fffffff,
                                      0x80000000,
                                      0x80000001,
                                      0xfffffffe,
                                      0xffffffff,
                                      0x100000000,
                                      0x100000001,
                                      0x1ffffffff,
                                      0x7ffffffffffffffe,
                                      0x7fffffffffffffff,
                                      0x8000000000000000,
                                      0x8000000000000001,
                                      0xfffffffeffffffff,
                                      0xffffffff00000000,
                                      0xffffffff7fffffff,
                                      0xffffffff80000000,
                                      0xffffffff80000001,
                                      0xffffffffffffff80,
                                      0xfffffffffffffffe,
                                      0xffffffffffffffff};

static uint64_t random_number(void)
{
    uint64_t r = next_random();
    switch (r & 7) {
    case 0: return next_random();
    case 1: return next_random() >> (r >> 8 & 63);
    case 2: return 0 - (next_random() >> (r >> 8 & 63));
    case 3: return (uint32_t)next_random();
    case 4: return boundaries[(r >> 8) % ARRAY_SIZE(boundaries)] + (r >> 32 & 3) - 1;
    default: return boundaries[(r >> 8) % ARRAY_SIZE(boundaries)];
    }
}

// Relaxes some fields of *a, which keeps its members.
static void loosen(struct scalar *a)
{
    uint64_t r = next_random(), span = next_random() >> (r >> 8 & 63);
    if ((r & 1) != 0) {
        a->umin -= a->umin < span ? a->umin : span;
    }
    if ((r & 2) != 0) {
        a->umax += UINT64_MAX - a->umax < span ? UINT64_MAX - a->umax : span;
    }
    if ((r & 4) != 0) {
        a->smin = INT64_MIN;
        a->xmin = INT32_MIN;
    }
    if ((r & 8) != 0) {
        a->smax = INT64_MAX;
        a->xmax = INT32_MAX;
    }
    if ((r & 16) != 0) {
        a->wmin = 0;
        a->wmax = UINT32_MAX;
    }
    if ((r & 32) != 0) {
        a->unknown |= next_random() & next_random();
        a->bits &= ~a->unknown;
    }
}

// An element, and numbers that it contains by construction.
static void random_element(struct scalar *a, uint64_t members[MEMBERS])
{
    uint64_t r = next_random(), base = random_number(), stride = 1ull << (r >> 16 & 7);
    for (unsigned i = 0; i < MEMBERS; i++) {
        struct scalar one;
        members[i] = (r & 3) == 0   ? base
                     : (r & 3) == 1 ? base + (next_random() >> 1 >> (r >> 8 & 63)) * stride
                     : (r & 3) == 2 ? base ^ (next_random() & (r >> 32))
                                    : random_number();
        scalar_set_const(&one, members[i]);
        if (i == 0) {
            *a = one;
        } else {
            scalar_join(a, &one);
        }
    }
    if ((r & 4) != 0) {
        loosen(a);
        CHECK(scalar_reduce(a));
    }
}

static void elements_hold_their_members(void)
{
    for (unsigned k = 0; k < 50000; k++) {
        struct scalar a;
        uint64_t members[MEMBERS];
        random_element(&a, members);
        CHECK(scalar_is_valid(&a));
        for (unsigned i = 0; i < MEMBERS; i++) {
            CHECK(scalar_contains(&a, members[i]));
        }
    }
}

// --- operators -----------------------------------------------------------------------------------

static bool is_alu(enum insn_sem sem, unsigned width)
{
    return sem >= SEM_ADD && sem <= SEM_NEG && !(sem == SEM_MOVSX32 && width == 32);
}

static void check_alu(enum insn_sem sem, unsigned width)
{
    struct scalar d, s;
    uint64_t d_members[MEMBERS], s_members[MEMBERS];
    random_element(&d, d_members);
    random_element(&s, s_members);
    scalar_alu(sem, width, &d, &s);
    for (unsigned i = 0; i < MEMBERS * MEMBERS; i++) {
        uint64_t x = d_members[i / MEMBERS], y = s_members[i % MEMBERS], z = concrete(sem, width, x, y);
        if (!scalar_contains(&d, z)) {
            test_fail(__FILE__, __LINE__, "operator %d, %u bits: %llx and %llx give %llx", sem, width,
                      (unsigned long long)x, (unsigned long long)y, (unsigned long long)z);
        }
    }
    CHECK(scalar_is_valid(&d));
    CHECK(width == 64 || d.umax <= UINT32_MAX);
}

static void arithmetic_is_sound(void)
{
    for (enum insn_sem sem = SEM_ADD; sem <= SEM_NEG; sem++) {
        for (unsigned width = 32; width <= 64; width += 32) {
            for (unsigned k = 0; is_alu(sem, width) && k < 3000; k++) {
                check_alu(sem, width);
            }
        }
    }
}

static void constants_fold_exactly(void)
{
    for (unsigned k = 0; k < ARRAY_SIZE(boundaries) * ARRAY_SIZE(boundaries); k++) {
        uint64_t x = boundaries[k / ARRAY_SIZE(boundaries)], y = boundaries[k % ARRAY_SIZE(boundaries)];
        for (enum insn_sem sem = SEM_ADD; sem <= SEM_NEG; sem++) {
            for (unsigned width = 32; width <= 64; width += 32) {
                struct scalar d, s;
                scalar_set_const(&d, x);
                scalar_set_const(&s, y);
                if (is_alu(sem, width)) {
                    scalar_alu(sem, width, &d, &s);
                    CHECK(scalar_is_const(&d));
                    CHECK_EQ(d.umin, concrete(sem, width, x, y));
                }
            }
        }
    }
}

static void operands_may_be_one_object(void)
{
    struct scalar a, twice;
    scalar_set_urange(&a, 3, 9);
    twice = a;
    scalar_alu(SEM_ADD, 64, &twice, &twice);
    CHECK(twice.umin == 6 && twice.umax == 18);
    scalar_alu(SEM_MOVSX8, 32, &a, &a);
    CHECK(a.umin == 3 && a.umax == 9);
}

static void unknown_operator_knows_nothing(void)
{
    struct scalar a, any;
    scalar_set_unknown(&any);
    scalar_set_const(&a, 5);
    scalar_alu(SEM_JEQ, 64, &a, &any);
    CHECK(scalar_equal(&a, &any));
}

static uint64_t swap_bytes(uint64_t value, unsigned bytes)
{
    uint64_t r = 0;
    for (unsigned i = 0; i < bytes; i++) {
        r |= (value >> 8 * i & 255) << 8 * (bytes - 1 - i);
    }
    return r;
}

static void byte_order_is_sound(void)
{
    for (unsigned k = 0; k < 20000; k++) {
        unsigned width = 16u << (k % 3);
        struct scalar a, swapped, kept;
        uint64_t members[MEMBERS];
        random_element(&a, members);
        swapped = kept = a;
        scalar_byte_order((k & 1) != 0 ? SEM_BE : SEM_BSWAP, width, &swapped);
        scalar_byte_order(SEM_LE, width, &kept);
        for (unsigned i = 0; i < MEMBERS; i++) {
            CHECK(scalar_contains(&swapped, swap_bytes(members[i], width / 8)));
            CHECK(scalar_contains(&kept, members[i] & ~0ull >> (64 - width)));
        }
        CHECK(scalar_is_valid(&swapped) && scalar_is_valid(&kept));
    }
}

static void extensions_are_sound(void)
{
    for (unsigned k = 0; k < 20000; k++) {
        unsigned bits = 8u << (k % 3);
        struct scalar a, zero, sign;
        uint64_t members[MEMBERS];
        random_element(&a, members);
        zero = sign = a;
        scalar_zero_extend(&zero, bits);
        scalar_sign_extend(&sign, bits);
        for (unsigned i = 0; i < MEMBERS; i++) {
            uint64_t low = members[i] & ((1ull << bits) - 1), top = 1ull << (bits - 1);
            CHECK(scalar_contains(&zero, low));
            CHECK(scalar_contains(&sign, (low ^ top) - top));
        }
        CHECK(scalar_is_valid(&zero) && scalar_is_valid(&sign));
    }
}

static void check_jump(enum insn_sem sem, unsigned width)
{
    struct scalar d, s, refined_d[2], refined_s[2];
    uint64_t d_members[MEMBERS], s_members[MEMBERS];
    random_element(&d, d_members);
    random_element(&s, s_members);
    bool may[2];
    for (unsigned taken = 0; taken < 2; taken++) {
        refined_d[taken] = d;
        refined_s[taken] = s;
        may[taken] = scalar_assume(sem, width, taken != 0, &refined_d[taken], &refined_s[taken]);
        CHECK(!may[taken] || (scalar_is_valid(&refined_d[taken]) && scalar_includes(&d, &refined_d[taken])));
        CHECK(!may[taken] || (scalar_is_valid(&refined_s[taken]) && scalar_includes(&s, &refined_s[taken])));
    }
    for (unsigned i = 0; i < MEMBERS * MEMBERS; i++) {
        uint64_t x = d_members[i / MEMBERS], y = s_members[i % MEMBERS];
        bool taken = concrete(sem, width, x, y);
        CHECK(may[taken] && scalar_contains(&refined_d[taken], x) && scalar_contains(&refined_s[taken], y));
    }
}

static void comparisons_keep_pairs(void)
{
    for (enum insn_sem sem = SEM_JEQ; sem <= SEM_JSLE; sem++) {
        for (unsigned width = 32; width <= 64; width += 32) {
            for (unsigned k = 0; k < 4000; k++) {
                check_jump(sem, width);
            }
        }
    }
}

// --- sets ----------------------------------------------------------------------------------------

static void lattice_laws_hold(void)
{
    for (unsigned k = 0; k < 50000; k++) {
        struct scalar a, b, joined, met, widened;
        uint64_t in_a[MEMBERS], in_b[MEMBERS];
        random_element(&a, in_a);
        random_element(&b, in_b);
        joined = met = widened = a;
        scalar_join(&joined, &b);
        scalar_widen(&widened, &b, NULL, 0);
        CHECK(scalar_is_valid(&joined) && scalar_includes(&joined, &a) && scalar_includes(&joined, &b));
        CHECK(scalar_is_valid(&widened) && scalar_includes(&widened, &joined));
        bool common = scalar_meet(&met, &b);
        CHECK(!common || (scalar_is_valid(&met) && scalar_includes(&a, &met) && scalar_includes(&b, &met)));
        for (unsigned i = 0; i < MEMBERS; i++) {
            CHECK(!scalar_contains(&b, in_a[i]) || (common && scalar_contains(&met, in_a[i])));
        }
        met = joined;
        CHECK(scalar_meet(&met, &a) && scalar_equal(&met, &a)); // absorption
    }
}

static void contradictions_are_empty(void)
{
    struct scalar a, b;
    scalar_set_urange(&a, 0, 10);
    scalar_set_urange(&b, 11, 20);
    CHECK(!scalar_meet(&a, &b));
    scalar_set_urange(&a, 5, 6);
    a.unknown = ~7ull; // a multiple of 8
    a.bits = 0;
    CHECK(!scalar_reduce(&a));
    scalar_set_urange(&a, 0, 10);
    a.smax = -1;
    CHECK(!scalar_reduce(&a));
    scalar_set_const(&a, 7);
    a.wmin = 8;
    CHECK(!scalar_reduce(&a));
    scalar_set_const(&a, 7);
    a.unknown = 1; // contradicts bits & unknown == 0
    CHECK(!scalar_is_valid(&a) && !scalar_reduce(&a));
    scalar_set_urange(&a, 0, 10);
    a.umax = 20; // not reduced
    CHECK(!scalar_is_valid(&a));
}

// Widens with the number just outside one of the fields, again and again.
static unsigned chain_length(uint64_t start, const int64_t *thresholds, size_t count)
{
    struct scalar a, one;
    unsigned steps = 0;
    scalar_set_const(&a, start);
    for (unsigned idle = 0, at = 0; idle < 80; at++) {
        uint64_t outside[] = {a.umax + 1,
                              a.umin - 1,
                              (uint64_t)a.smax + 1,
                              (uint64_t)a.smin - 1,
                              a.wmax + 1ull,
                              (uint64_t)(int64_t)a.xmin - 1,
                              a.bits ^ 1ull << (at & 63),
                              a.umin ^ 1ull << (at & 63)};
        uint64_t next = outside[(at + start) % ARRAY_SIZE(outside)];
        idle++;
        if (!scalar_contains(&a, next)) {
            scalar_set_const(&one, next);
            scalar_widen(&a, &one, thresholds, count);
            CHECK(scalar_contains(&a, next));
            steps++;
            idle = 0;
        }
    }
    return steps;
}

static void widening_ends(void)
{
    static const int64_t thresholds[] = {INT64_MIN, -4096, -1,         0,          1,
                                         64,        1500,  0x7fffffff, 0xffffffff, INT64_MAX};
    for (unsigned k = 0; k < 400; k++) {
        uint64_t start = k < ARRAY_SIZE(boundaries) ? boundaries[k] : random_number();
        CHECK(chain_length(start, NULL, 0) <= 64 + 8);
        CHECK(chain_length(start, thresholds, ARRAY_SIZE(thresholds)) <=
              64 + 8 * (ARRAY_SIZE(thresholds) + 1));
    }
}

static void widening_stops_at_thresholds(void)
{
    static const int64_t thresholds[] = {-8, 0, 100, 4096};
    struct scalar a, b;
    scalar_set_const(&a, 0);
    scalar_set_urange(&b, 0, 4);
    b.unknown = 4; // 0 or 4: stride 4
    CHECK(scalar_reduce(&b));
    scalar_widen(&a, &b, thresholds, ARRAY_SIZE(thresholds));
    CHECK(a.umin == 0 && a.umax == 100);
    scalar_set_const(&b, 101);
    scalar_widen(&a, &b, thresholds, ARRAY_SIZE(thresholds));
    CHECK(a.umin == 0 && a.umax == 4096);
    scalar_set_const(&b, 1ull << 40 | 5000);
    scalar_widen(&a, &b, thresholds, ARRAY_SIZE(thresholds));
    CHECK(a.umin == 0 && a.umax == 0x7fffffff7fffffff); // both halves stay positive
    scalar_set_const(&a, 10);
    scalar_set_srange(&b, -3, 10);
    scalar_widen(&a, &b, thresholds, ARRAY_SIZE(thresholds));
    CHECK(a.smin == -8 && a.smax == 10);
}

// --- precision that verification of real programs rests on ---------------------------------------

static void ranges_are_precise(void)
{
    struct scalar a, b;
    scalar_set_urange(&a, 14, 1514);
    scalar_set_urange(&b, 20, 60);
    scalar_alu(SEM_ADD, 64, &a, &b);
    CHECK(a.umin == 34 && a.umax == 1574 && a.wmin == 34 && a.wmax == 1574 && a.smin == 34 && a.smax == 1574);
    scalar_alu(SEM_SUB, 64, &a, &b); // crosses nothing: [34 - 60, 1574 - 20]
    CHECK(a.smin == -26 && a.smax == 1554 && a.xmin == -26 && a.xmax == 1554);
    scalar_set_unknown(&a);
    scalar_set_const(&b, 15);
    scalar_alu(SEM_AND, 64, &a, &b);
    CHECK(a.umin == 0 && a.umax == 15);
    scalar_set_const(&b, 2);
    scalar_alu(SEM_LSH, 64, &a, &b);
    CHECK(a.umin == 0 && a.umax == 60 && a.unknown == 60);
    scalar_set_srange(&a, -20, 20);
    scalar_set_const(&b, 3);
    scalar_alu(SEM_MUL, 64, &a, &b);
    CHECK(a.smin == -60 && a.smax == 60);
    scalar_alu(SEM_SDIV, 64, &a, &b);
    CHECK(a.smin == -20 && a.smax == 20);
    scalar_alu(SEM_SMOD, 32, &a, &b);
    CHECK(a.xmin == -2 && a.xmax == 2 && a.umax <= UINT32_MAX);
    scalar_set_urange(&a, 1000, 1007);
    scalar_set_const(&b, 100);
    scalar_alu(SEM_MOD, 64, &a, &b);
    CHECK(a.umin == 0 && a.umax == 7);
}

static void signs_are_precise(void)
{
    struct scalar a, b;
    scalar_set_srange(&a, -4, 3); // & across zero
    scalar_set_const(&b, 2);
    scalar_alu(SEM_OR, 64, &a, &b);
    CHECK(a.smin == -2 && a.smax == 3);
    scalar_set_unknown(&a); // sign extension by shifts of a 32-bit range
    scalar_set_unknown(&b);
    a.xmin = -7;
    a.xmax = 9;
    CHECK(scalar_reduce(&a));
    scalar_set_const(&b, 32);
    scalar_alu(SEM_LSH, 64, &a, &b);
    scalar_alu(SEM_ARSH, 64, &a, &b);
    CHECK(a.smin == -7 && a.smax == 9);
    scalar_set_srange(&a, -1, 1);
    CHECK(a.xmin == -1 && a.xmax == 1 && a.umax == UINT64_MAX);
    scalar_sign_extend(&a, 8);
    CHECK(a.smin == -1 && a.smax == 1);
}

static void byte_order_is_precise(void)
{
    struct scalar a, b;
    scalar_set_unknown(&a);
    scalar_zero_extend(&a, 16);
    scalar_byte_order(SEM_BE, 16, &a);
    CHECK(a.umax == 0xffff);
    scalar_set_const(&b, 0xff00);
    scalar_alu(SEM_AND, 64, &a, &b);
    scalar_byte_order(SEM_BSWAP, 16, &a);
    CHECK(a.umax == 0xff);
    scalar_set_const(&a, 0x1122334455667788);
    scalar_byte_order(SEM_BSWAP, 64, &a);
    CHECK_EQ(a.umin, 0x8877665544332211);
    scalar_byte_order(SEM_LE, 32, &a);
    CHECK_EQ(a.umin, 0x44332211);
    CHECK(scalar_is_const(&a));
}

static void comparisons_are_precise(void)
{
    struct scalar a, b;
    scalar_set_unknown(&a);
    scalar_set_const(&b, 64);
    CHECK(scalar_assume(SEM_JLE, 32, true, &a, &b)); // the low half only
    CHECK(a.wmax == 64 && a.umax == 0xffffffff00000040);
    scalar_zero_extend(&a, 32);
    CHECK_EQ(a.umax, 64);
    CHECK(scalar_assume(SEM_JSGE, 64, true, &a, &b));
    CHECK(scalar_is_const(&a));
    scalar_set_urange(&a, 0, 127);
    a.unknown = 0x7c; // multiples of 4
    CHECK(scalar_reduce(&a));
    CHECK_EQ(a.umax, 124);
    scalar_set_const(&b, 124);
    CHECK(scalar_assume(SEM_JNE, 64, true, &a, &b));
    CHECK_EQ(a.umax, 120);
    scalar_set_const(&b, 4);
    CHECK(scalar_assume(SEM_JSET, 64, true, &a, &b));
    CHECK(a.umin == 4 && a.umax == 116);
    CHECK(!scalar_assume(SEM_JSET, 64, false, &a, &b));
    scalar_set_srange(&a, -5, 5);
    scalar_set_const(&b, 0);
    CHECK(scalar_assume(SEM_JSLT, 32, true, &a, &b));
    CHECK(a.smin == -5 && a.smax == -1);
}

// --- text ----------------------------------------------------------------------------------------

static void check_text(const struct scalar *a, const char *wanted)
{
    char text[200], small[8];
    size_t length = scalar_print(a, text, sizeof(text));
    CHECK_STR(text, wanted);
    CHECK_EQ(length, strlen(wanted));
    CHECK_EQ(scalar_print(a, small, sizeof(small)), length); // cut, and terminated
    CHECK(strncmp(small, wanted, sizeof(small) - 1) == 0 && strlen(small) <= sizeof(small) - 1);
}

static void prints(void)
{
    struct scalar a;
    scalar_set_const(&a, 42);
    check_text(&a, "42");
    scalar_set_const(&a, UINT64_MAX - 1);
    check_text(&a, "-2");
    scalar_set_unknown(&a);
    check_text(&a, "any");
    scalar_set_urange(&a, 0, 255);
    check_text(&a, "[0, 255]");
    scalar_set_srange(&a, -1, 5);
    check_text(&a, "[-1, 5]");
    scalar_set_urange(&a, 0, 1000);
    a.unknown = 0x3fc;
    CHECK(scalar_reduce(&a));
    check_text(&a, "[0, 1000] bits (00..).(..00)");
    a.wmin = 4;
    CHECK(scalar_reduce(&a));
    check_text(&a, "[4, 1000] bits (00..).(..00)");
    scalar_set_unknown(&a);
    a.wmax = 9;
    CHECK(scalar_reduce(&a));
    check_text(&a, "any low [0, 9]");
    scalar_set_unknown(&a);
    a.xmin = -3;
    a.xmax = 3;
    CHECK(scalar_reduce(&a));
    check_text(&a, "any low [-3, 3]");
}

TEST_SUITE(scalar)
{
    RUN(elements_hold_their_members);
    RUN(arithmetic_is_sound);
    RUN(constants_fold_exactly);
    RUN(operands_may_be_one_object);
    RUN(unknown_operator_knows_nothing);
    RUN(byte_order_is_sound);
    RUN(extensions_are_sound);
    RUN(comparisons_keep_pairs);
    RUN(lattice_laws_hold);
    RUN(contradictions_are_empty);
    RUN(widening_ends);
    RUN(widening_stops_at_thresholds);
    RUN(ranges_are_precise);
    RUN(signs_are_precise);
    RUN(byte_order_is_precise);
    RUN(comparisons_are_precise);
    RUN(prints);
}
