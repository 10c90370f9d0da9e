// SPDX-License-Identifier: MIT
// Division by constants: the numbers for all divisors of 8 and 16 bits, the values that the pass makes at 32
// and 64 bits against the division itself, by the interpreter of the intermediate form.
#include "jit/ir.h"
#include "jit/lower_divide.h"
#include "tests/test.h"

// --- numbers -------------------------------------------------------------------------------------

// Upper half of a product of 8 or 16 bits.
static uint64_t high(uint64_t a, uint64_t b, unsigned bits)
{
    return a * b >> bits;
}

static uint64_t with_unsigned(struct divide_magic m, uint64_t n, unsigned bits)
{
    n >>= m.before;
    uint64_t t = high(n, m.factor, bits);
    return m.add ? (((n - t) >> 1) + t) >> (m.after - 1) : t >> m.after;
}

// Floors change at multiples of the divisor only, and what is computed never falls when n grows.
static void check_unsigned(uint64_t d, unsigned bits)
{
    uint64_t end = UINT64_C(1) << bits;
    struct divide_magic m = divide_find_unsigned(d, bits);
    CHECK(m.factor < end);
    for (uint64_t n = d; n - 1 < end; n += d) {
        CHECK_EQ(with_unsigned(m, n - 1, bits), (n - 1) / d);
        if (n < end) {
            CHECK_EQ(with_unsigned(m, n, bits), n / d);
        }
    }
    CHECK_EQ(with_unsigned(m, end - 1, bits), (end - 1) / d);
}

static void check_signed(uint64_t d, unsigned bits)
{
    uint64_t last = UINT64_C(1) << (bits - 1);
    struct divide_magic m = divide_find_signed(d, bits);
    CHECK(m.factor < last * 2 && !m.add && m.before == 0);
    for (uint64_t n = d - 1; n <= last; n += d) {
        CHECK_EQ(high(n, m.factor, bits) >> m.after, n / d);
        CHECK_EQ(high(n + 1, m.factor, bits) >> m.after, (n + 1) / d);
    }
    CHECK_EQ(high(last, m.factor, bits) >> m.after, last / d);
}

static void check_half(uint64_t d, unsigned bits)
{
    uint64_t f = divide_find_half(d, bits), end = UINT64_C(1) << bits / 2;
    for (uint64_t n = d; n <= end; n += d) {
        CHECK_EQ(high(n - 1, f, bits), (n - 1) / d);
        CHECK_EQ(n < end ? high(n, f, bits) : end / d, n / d);
    }
    CHECK_EQ(high(end - 1, f, bits), (end - 1) / d);
}

static void every_divisor_of_16_bits_is_exact(void)
{
    for (unsigned bits = 8; bits <= 16; bits += 8) {
        for (uint64_t d = 3; d < UINT64_C(1) << bits; d++) {
            if ((d & (d - 1)) == 0) {
                continue;
            }
            check_unsigned(d, bits);
            if (d < UINT64_C(1) << (bits - 1)) {
                check_signed(d, bits);
            }
            if (d < UINT64_C(1) << bits / 2) {
                check_half(d, bits);
            }
        }
    }
}

// All dividends, to see that checking multiples only is enough.
static void every_pair_of_8_bits_is_exact(void)
{
    for (uint64_t d = 3; d < 256; d++) {
        if ((d & (d - 1)) == 0) {
            continue;
        }
        struct divide_magic m = divide_find_unsigned(d, 8), s = divide_find_signed(d & 127, 8);
        bool is_signed = d < 128;
        for (uint64_t n = 0; n < 256; n++) {
            CHECK_EQ(with_unsigned(m, n, 8), n / d);
            CHECK(!is_signed || n > 128 || high(n, s.factor, 8) >> s.after == n / d);
        }
    }
}

// --- values --------------------------------------------------------------------------------------

static _Alignas(16) uint8_t workspace[64 * 1024];
static const struct jit_options options = {.passes = JIT_ALL_PASSES};
static const enum ir_op operations[] = {IR_UDIV, IR_UMOD, IR_SDIV, IR_SMOD};
static uint64_t state = 1;

static uint64_t random_number(void)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    uint64_t bits = state * 0x9e3779b97f4a7c15u;
    return bits >> (state >> 58);
}

static uint64_t expected(enum ir_op op, unsigned width, uint64_t n, uint64_t d)
{
    bool narrow = width == 32, is_signed = op == IR_SDIV || op == IR_SMOD,
         modulo = op == IR_UMOD || op == IR_SMOD;
    n = narrow ? (is_signed ? (uint64_t)(int32_t)n : (uint32_t)n) : n;
    d = narrow ? (is_signed ? (uint64_t)(int32_t)d : (uint32_t)d) : d;
    uint64_t q;
    if (d == 0) {
        q = 0;
    } else if (is_signed) {
        q = d == UINT64_MAX ? 0 - n : (uint64_t)((int64_t)n / (int64_t)d);
    } else {
        q = n / d;
    }
    uint64_t result = modulo ? n - q * d : q;
    return narrow ? (uint32_t)result : result;
}

// `return n op d`, lowered. False: it could not be made.
static bool make(struct jit *j, enum ir_op op, unsigned width, uint64_t d)
{
    char text[200];
    uint32_t line;
    *j = (struct jit){.options = &options};
    if (jit_begin(j, workspace, sizeof(workspace)) != EBPF_SUCCESS) {
        return false;
    }
    jit_begin_function(j, 0);
    (void)str_format(
        text, sizeof(text),
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #%lld\n  v3 = %s%u v1, v2\n  ret v3\n",
        (long long)d, ir_op_texts[op], width);
    return ir_parse(j, text, &line) == EBPF_SUCCESS && lower_divide(j) == EBPF_SUCCESS;
}

static bool has_division(const struct ir *ir)
{
    for (uint32_t v = ir_block_at(ir, ir->entry)->first; v != IR_NONE; v = ir_at(ir, v)->next) {
        uint8_t op = ir_at(ir, v)->op;
        if (op == IR_UDIV || op == IR_UMOD || op == IR_SDIV || op == IR_SMOD) {
            return true;
        }
    }
    return false;
}

static void check_dividend(struct jit *j, enum ir_op op, unsigned width, uint64_t n, uint64_t d)
{
    struct ir_machine machine = {.params = {n}, .steps = 100};
    uint64_t result = 0;
    CHECK_OK(ir_run(j, &machine, &result));
    if (result != expected(op, width, n, d)) {
        test_fail(__FILE__, __LINE__, "%s%u of %llx and %llx is %llx", ir_op_texts[op], width,
                  (unsigned long long)n, (unsigned long long)d, (unsigned long long)result);
    }
}

static const uint64_t corners[] = {0,
                                   1,
                                   2,
                                   3,
                                   7,
                                   10,
                                   0x7fffffff,
                                   0x80000000,
                                   0x80000001,
                                   0xfffffffe,
                                   0xffffffff,
                                   0x100000000,
                                   0x7fffffffffffffff,
                                   0x8000000000000000,
                                   0x8000000000000001,
                                   0xfffffffffffffff9,
                                   0xfffffffffffffffe,
                                   0xffffffffffffffff};

static void check_divisor(enum ir_op op, unsigned width, uint64_t d)
{
    struct jit j;
    uint32_t where;
    REQUIRE(make(&j, op, width, d));
    CHECK(!has_division(&j.ir));
    CHECK(ir_check(&j, &where) == NULL);
    for (size_t i = 0; i < ARRAY_SIZE(corners); i++) {
        check_dividend(&j, op, width, corners[i], d);
    }
    for (unsigned i = 0; i < 12; i++) {
        uint64_t multiple = random_number() * d;
        check_dividend(&j, op, width, multiple, d);
        check_dividend(&j, op, width, multiple - 1, d);
        check_dividend(&j, op, width, random_number(), d);
    }
}

static void check_all(uint64_t d)
{
    for (size_t op = 0; op < ARRAY_SIZE(operations); op++) {
        check_divisor(operations[op], 32, d);
        check_divisor(operations[op], 64, d);
    }
}

static void values_divide(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(corners); i++) {
        check_all(corners[i]);
    }
    for (unsigned i = 0; i < 64; i++) {
        check_all(UINT64_C(1) << i);
        check_all(0 - (UINT64_C(1) << i));
        check_all((UINT64_C(1) << i) + 1);
        check_all((UINT64_C(1) << i) - 1);
    }
    for (uint64_t d = 3; d < 120; d++) {
        check_all(d);
    }
    for (unsigned i = 0; i < 300; i++) {
        check_all(random_number());
    }
}

// A factor is made in front of the loop.
static void constants_leave_loops(void)
{
    struct jit j = {.options = &options};
    uint32_t line;
    REQUIRE_OK(jit_begin(&j, workspace, sizeof(workspace)));
    jit_begin_function(&j, 0);
    REQUIRE_OK(
        ir_parse(&j,
                 "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #10\n  jump -> b2\n"
                 "b2: <- b1, b2\n  v3 = phi v1, v4\n  v4 = udiv64 v3, v2\n  branch ne64 v4, #0 -> b2, b3\n"
                 "b3: <- b2\n  ret v3\n",
                 &line));
    REQUIRE_OK(ir_find_order(&j));
    REQUIRE_OK(ir_find_loops(&j));
    REQUIRE_OK(lower_divide(&j));
    unsigned found = 0;
    for (uint32_t v = ir_block_at(&j.ir, j.ir.entry)->first; v != IR_NONE; v = ir_at(&j.ir, v)->next) {
        found += ir_at(&j.ir, v)->op == IR_CONST && ir_at(&j.ir, v)->imm == (int64_t)0xcccccccccccccccd;
    }
    CHECK_EQ(found, 1);
    struct ir_machine machine = {.params = {7654}, .steps = 1000};
    uint64_t result = 0;
    CHECK_OK(ir_run(&j, &machine, &result));
    CHECK_EQ(result, 7);
}

// What is divided is a quotient itself, which nobody else uses: a tidy function stays so.
static void quotients_are_divided(void)
{
    struct jit j = {.options = &options};
    uint32_t line, where;
    REQUIRE_OK(jit_begin(&j, workspace, sizeof(workspace)));
    jit_begin_function(&j, 0);
    REQUIRE_OK(ir_parse(&j,
                        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #10\n  v3 = udiv64 v1, v2\n"
                        "  v4 = umod64 v3, v2\n  v5 = udiv64 v4, v2\n  v6 = add64 v4, v5\n  ret v6\n",
                        &line));
    REQUIRE_OK(ir_clean(&j));
    REQUIRE_OK(lower_divide(&j));
    CHECK(j.ir.tidy && ir_check(&j, &where) == NULL);
    struct ir_machine machine = {.params = {7654}, .steps = 1000};
    uint64_t result = 0;
    CHECK_OK(ir_run(&j, &machine, &result));
    CHECK_EQ(result, 5);
}

// When the workspace is full there is an error, at whatever value that happens.
static void memory_ends_in_an_error(void)
{
    static const char text[] =
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #-7\n  v3 = smod64 v1, v2\n  ret v3\n";
    unsigned failed = 0, done = 0;
    for (size_t left = 0; left < 4096; left += 16) {
        struct jit j = {.options = &options};
        uint32_t line;
        REQUIRE_OK(jit_begin(&j, workspace, sizeof(workspace)));
        jit_begin_function(&j, 0);
        REQUIRE_OK(ir_parse(&j, text, &line));
        size_t room = (j.memory.size - j.memory.used) & ~(size_t)15;
        REQUIRE(room > left && jit_alloc(&j, room - left, 1) != NULL);
        ebpf_result_t result = lower_divide(&j);
        CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
        failed += result != EBPF_SUCCESS;
        done += result == EBPF_SUCCESS;
    }
    CHECK(failed > 10 && done > 10);
}

TEST_SUITE(lower_divide)
{
    RUN(every_pair_of_8_bits_is_exact);
    RUN(every_divisor_of_16_bits_is_exact);
    RUN(values_divide);
    RUN(constants_leave_loops);
    RUN(quotients_are_divided);
    RUN(memory_ends_in_an_error);
}
