// SPDX-License-Identifier: MIT
// Tests of both engines: every class of instruction once by hand. Arithmetic in full is tested by the data
// files of the instruction set.
#include "runtime/fixture.h"

static struct fixture fixture;

static uint64_t sum_args(uint64_t id, const uint64_t args[5])
{
    return id * 100000 + args[0] + args[1] * 10 + args[2] * 100 + args[3] * 1000 + args[4] * 10000;
}

static uint64_t run_on(const struct insn *insns, uint32_t count, void *mem, size_t size)
{
    struct raw_source raw = {insns, count, sum_args};
    uint64_t result = 0xdeadbeef;
    CHECK_OK(raw_prog_once(fixture.rt, fixture_engine, &raw, mem, size, &result));
    return result;
}

#define EXPECT_ON(mem, size, expected, ...)                                                                  \
    do {                                                                                                     \
        static const struct insn insns_[] = {__VA_ARGS__, I(EXIT, 0, 0, 0, 0)};                              \
        CHECK_EQ(run_on(insns_, ARRAY_SIZE(insns_), mem, size), expected);                                   \
    } while (0)
#define EXPECT(expected, ...) EXPECT_ON(NULL, 0, expected, __VA_ARGS__)

static void arithmetic(void)
{
    EXPECT(5, I(MOV64_IMM, 0, 0, 0, 2), I(ADD64_IMM, 0, 0, 0, 3));
    EXPECT((uint64_t)-1, I(MOV64_IMM, 0, 0, 0, -1));
    EXPECT(0xffffffff, I(MOV32_IMM, 0, 0, 0, -1)); // zero-extended
    EXPECT(0xfffffffe, I(MOV32_IMM, 0, 0, 0, -1), I(MOV64_REG, 2, 0, 0, 0), I(ADD32_REG, 0, 2, 0, 0));
    EXPECT(0, I(MOV64_IMM, 0, 0, 0, 7), I(DIV64_IMM, 0, 0, 0, 0));
    EXPECT(7, I(MOV64_IMM, 0, 0, 0, 7), I(MOD64_IMM, 0, 0, 0, 0));
    EXPECT((uint64_t)-2, I(MOV64_IMM, 0, 0, 0, -7), I(SDIV64_IMM, 0, 0, 0, 3));
    EXPECT((uint64_t)-1, I(MOV64_IMM, 0, 0, 0, -7), I(SMOD64_IMM, 0, 0, 0, 3));
    EXPECT((uint64_t)INT64_MIN, I2(LDDW, 0, INT64_MIN), I(SDIV64_IMM, 0, 0, 0, -1));
    EXPECT(0x80000000, I(MOV32_IMM, 0, 0, 0, INT32_MIN), I(SDIV32_IMM, 0, 0, 0, -1));
    EXPECT(0, I(MOV32_IMM, 0, 0, 0, INT32_MIN), I(SMOD32_IMM, 0, 0, 0, -1));
    EXPECT(2, I(MOV64_IMM, 0, 0, 0, 1), I(MOV64_IMM, 2, 0, 0, 65), I(LSH64_REG, 0, 2, 0, 0)); // masked
    EXPECT((uint64_t)-4, I(MOV64_IMM, 0, 0, 0, -8), I(ARSH64_IMM, 0, 0, 0, 1));
    EXPECT(0xfffffffc, I(MOV64_IMM, 0, 0, 0, -8), I(ARSH32_IMM, 0, 0, 0, 1));
    EXPECT((uint64_t)-5, I(MOV64_IMM, 0, 0, 0, 5), I(NEG64, 0, 0, 0, 0));
    EXPECT(0xfffffffb, I(MOV64_IMM, 0, 0, 0, 5), I(NEG32, 0, 0, 0, 0));
    EXPECT((uint64_t)-128, I(MOV64_IMM, 2, 0, 0, 0x80), I(MOVSX64_8, 0, 2, 0, 0));
    EXPECT(0xffff8000, I(MOV64_IMM, 2, 0, 0, 0x8000), I(MOVSX32_16, 0, 2, 0, 0));
}

static void byte_order(void)
{
    EXPECT(0x7788, I2(LDDW, 0, 0x1122334455667788), I(LE16, 0, 0, 0, 0));
    EXPECT(0x55667788, I2(LDDW, 0, 0x1122334455667788), I(LE32, 0, 0, 0, 0));
    EXPECT(0x1122334455667788, I2(LDDW, 0, 0x1122334455667788), I(LE64, 0, 0, 0, 0));
    EXPECT(0x8877, I2(LDDW, 0, 0x1122334455667788), I(BE16, 0, 0, 0, 0));
    EXPECT(0x88776655, I2(LDDW, 0, 0x1122334455667788), I(BE32, 0, 0, 0, 0));
    EXPECT(0x8877665544332211, I2(LDDW, 0, 0x1122334455667788), I(BE64, 0, 0, 0, 0));
    EXPECT(0x8877, I2(LDDW, 0, 0x1122334455667788), I(BSWAP16, 0, 0, 0, 0));
    EXPECT(0x8877665544332211, I2(LDDW, 0, 0x1122334455667788), I(BSWAP64, 0, 0, 0, 0));
}

static void jumps(void)
{
    // A loop: 10 + 9 + ... + 1.
    EXPECT(55, I(MOV64_IMM, 0, 0, 0, 0), I(MOV64_IMM, 2, 0, 0, 10), I(ADD64_REG, 0, 2, 0, 0),
           I(SUB64_IMM, 2, 0, 0, 1), I(JNE64_IMM, 2, 0, -3, 0));
    EXPECT(1, I(MOV64_IMM, 0, 0, 0, 1), I(JA, 0, 0, 1, 0), I(MOV64_IMM, 0, 0, 0, 2));
    EXPECT(1, I(MOV64_IMM, 0, 0, 0, 1), I(JA32, 0, 0, 0, 1), I(MOV64_IMM, 0, 0, 0, 2));
    EXPECT(1, I(MOV64_IMM, 0, 0, 0, 1), I(MOV64_IMM, 2, 0, 0, -1), I(JSLT64_IMM, 2, 0, 1, 0),
           I(MOV64_IMM, 0, 0, 0, 2));
    EXPECT(2, I(MOV64_IMM, 0, 0, 0, 1), I(MOV64_IMM, 2, 0, 0, -1), I(JLT64_IMM, 2, 0, 1, 0),
           I(MOV64_IMM, 0, 0, 0, 2));
    // 32-bit comparisons see the low half only.
    EXPECT(1, I(MOV64_IMM, 0, 0, 0, 1), I2(LDDW, 2, 0x100000005), I(JEQ32_IMM, 2, 0, 1, 5),
           I(MOV64_IMM, 0, 0, 0, 2));
    EXPECT(2, I(MOV64_IMM, 0, 0, 0, 1), I2(LDDW, 2, 0x100000005), I(JEQ64_IMM, 2, 0, 1, 5),
           I(MOV64_IMM, 0, 0, 0, 2));
    EXPECT(1, I(MOV64_IMM, 0, 0, 0, 1), I(MOV64_IMM, 2, 0, 0, 6), I(JSET64_IMM, 2, 0, 1, 2),
           I(MOV64_IMM, 0, 0, 0, 2));
}

static void memory(void)
{
    uint8_t mem[32] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88};
    EXPECT_ON(mem, 32, 0x80, I(LDXB, 0, 1, 0, 0));
    EXPECT_ON(mem, 32, 0x8281, I(LDXH, 0, 1, 1, 0)); // unaligned
    EXPECT_ON(mem, 32, 0x84838281, I(LDXW, 0, 1, 1, 0));
    EXPECT_ON(mem, 32, 0x8887868584838281, I(LDXDW, 0, 1, 1, 0));
    EXPECT_ON(mem, 32, 0xffffffffffffff80, I(LDXSB, 0, 1, 0, 0));
    EXPECT_ON(mem, 32, 0xffffffffffff8281, I(LDXSH, 0, 1, 1, 0));
    EXPECT_ON(mem, 32, 0xffffffff84838281, I(LDXSW, 0, 1, 1, 0));
    EXPECT_ON(mem, 32, 32, I(MOV64_REG, 0, 2, 0, 0)); // r2 is the size
    EXPECT_ON(mem, 32, 0, I(STDW, 1, 0, 16, -2), I(STW, 1, 0, 9, 0x11223344), I(MOV64_IMM, 2, 0, 0, 0x99),
              I(STXB, 1, 2, 31, 0), I(MOV64_IMM, 0, 0, 0, 0));
    CHECK_EQ(memcmp(mem + 9, "\x44\x33\x22\x11", 4), 0);
    CHECK_EQ(mem[16], 0xfe);
    CHECK_EQ(mem[23], 0xff);
    CHECK_EQ(mem[31], 0x99);
    EXPECT(0x12345678, I(STW, 10, 0, -512, 0x12345678), I(LDXW, 0, 10, -512, 0));
}

static void atomics(void)
{
    uint64_t mem[2] = {10, 0xffffffff00000001};
    EXPECT_ON(mem, 16, 3, I(MOV64_IMM, 0, 0, 0, 3), I(ATOMIC_ADD64, 1, 0, 0, 0));
    CHECK_EQ(mem[0], 13);
    EXPECT_ON(mem, 16, 13, I(MOV64_IMM, 0, 0, 0, 4), I(ATOMIC_FETCH_OR64, 1, 0, 0, 0));
    CHECK_EQ(mem[0], 13);
    EXPECT_ON(mem, 16, 13, I(MOV64_IMM, 0, 0, 0, 5), I(ATOMIC_XCHG64, 1, 0, 0, 0));
    CHECK_EQ(mem[0], 5);
    EXPECT_ON(mem, 16, 5, I(MOV64_IMM, 0, 0, 0, 5), I(MOV64_IMM, 3, 0, 0, 8),
              I(ATOMIC_CMPXCHG64, 1, 3, 0, 0));
    CHECK_EQ(mem[0], 8);
    EXPECT_ON(mem, 16, 8, I(MOV64_IMM, 0, 0, 0, 5), I(MOV64_IMM, 3, 0, 0, 9),
              I(ATOMIC_CMPXCHG64, 1, 3, 0, 0));
    CHECK_EQ(mem[0], 8);
    // 32 bits: the upper half of memory stays, the result is zero-extended.
    EXPECT_ON(mem, 16, 1, I(MOV64_IMM, 0, 0, 0, -1), I(ATOMIC_FETCH_ADD32, 1, 0, 8, 0));
    CHECK_EQ(mem[1], 0xffffffff00000000);
    EXPECT_ON(mem, 16, 0, I(MOV64_IMM, 0, 0, 0, 0), I(MOV64_IMM, 3, 0, 0, -1),
              I(ATOMIC_CMPXCHG32, 1, 3, 8, 0));
    CHECK_EQ(mem[1], 0xffffffffffffffff);
    EXPECT_ON(mem, 16, 0xffffffff, I(MOV64_IMM, 0, 0, 0, 0x0f), I(ATOMIC_FETCH_AND32, 1, 0, 12, 0));
    CHECK_EQ(mem[1], 0x0000000fffffffff);
    EXPECT_ON(mem, 16, 6, I(MOV64_IMM, 0, 0, 0, 6), I(ATOMIC_XOR64, 1, 0, 0, 0));
    CHECK_EQ(mem[0], 14);
}

static void packet_loads(void)
{
    uint8_t mem[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    EXPECT_ON(mem, 8, 0x02, I(LDABSB, 0, 0, 0, 1));
    EXPECT_ON(mem, 8, 0x0304, I(LDABSH, 0, 0, 0, 2));
    EXPECT_ON(mem, 8, 0x05060708, I(LDABSW, 0, 0, 0, 4));
    EXPECT_ON(mem, 8, 0x0405, I(MOV64_IMM, 2, 0, 0, 2), I(LDINDH, 0, 2, 0, 1));
    // A load past the end ends the run.
    EXPECT_ON(mem, 8, 0, I(MOV64_IMM, 0, 0, 0, 9), I(LDABSW, 0, 0, 0, 5), I(MOV64_IMM, 0, 0, 0, 7));
    EXPECT_ON(mem, 8, 0, I(MOV64_IMM, 2, 0, 0, -2), I(LDINDB, 0, 2, 0, 1), I(MOV64_IMM, 0, 0, 0, 7));
}

static void calls(void)
{
    EXPECT(354321, I(MOV64_IMM, 1, 0, 0, 1), I(MOV64_IMM, 2, 0, 0, 2), I(MOV64_IMM, 3, 0, 0, 3),
           I(MOV64_IMM, 4, 0, 0, 4), I(MOV64_IMM, 5, 0, 0, 5), I(CALL, 0, 0, 0, 3));
    EXPECT(200000, I(MOV64_IMM, 1, 0, 0, 0), I(MOV64_IMM, 2, 0, 0, 0), I(MOV64_IMM, 3, 0, 0, 0),
           I(MOV64_IMM, 4, 0, 0, 0), I(MOV64_IMM, 5, 0, 0, 0), I(MOV64_IMM, 6, 0, 0, 2),
           I(CALLX, 6, 0, 0, 0));
}

// The callee has its own r6 - r9 and its own stack; r0 comes back.
static void local_calls(void)
{
    static const struct insn insns[] = {
        I(MOV64_IMM, 6, 0, 0, 100), I(STDW, 10, 0, -8, 7),    I(MOV64_IMM, 1, 0, 0, 5),
        I(CALL_LOCAL, 0, 0, 0, 4), // to 8
        I(ADD64_REG, 0, 6, 0, 0),   I(LDXDW, 6, 10, -8, 0),   I(ADD64_REG, 0, 6, 0, 0),
        I(EXIT, 0, 0, 0, 0),        I(STDW, 10, 0, -8, 1),    I(MOV64_IMM, 6, 0, 0, 1000),
        I(MOV64_REG, 0, 1, 0, 0),   I(MUL64_IMM, 0, 0, 0, 2), I(EXIT, 0, 0, 0, 0),
    };
    CHECK_EQ(run_on(insns, ARRAY_SIZE(insns), NULL, 0), 5 * 2 + 100 + 7);
}

// --- what does not bind --------------------------------------------------------------------

static void refuse(const struct insn *insns, uint32_t count)
{
    struct raw_source raw = {insns, count, NULL};
    uint64_t result = 42;
    CHECK_EQ(raw_prog_once(fixture.rt, fixture_engine, &raw, NULL, 0, &result), EBPF_PROGRAM_LOAD_FAILED);
    CHECK_EQ(result, 42);
}

#define REFUSE(...)                                                                                          \
    do {                                                                                                     \
        static const struct insn insns_[] = {__VA_ARGS__};                                                   \
        refuse(insns_, ARRAY_SIZE(insns_));                                                                  \
    } while (0)

static void nonsense_is_refused(void)
{
    refuse(NULL, 0);
    REFUSE(I(JA, 0, 0, 5, 0), I(EXIT, 0, 0, 0, 0));
    REFUSE(I(JA, 0, 0, -2, 0), I(EXIT, 0, 0, 0, 0));
    REFUSE(I(CALL_LOCAL, 0, 0, 0, 100), I(EXIT, 0, 0, 0, 0));
    REFUSE(I(CALL_BTF, 0, 0, 0, 1), I(EXIT, 0, 0, 0, 0));
    REFUSE(I2(LDDW_MAP, 1, 0), I(EXIT, 0, 0, 0, 0));
    REFUSE(I2(LDDW_MAP_VALUE, 1, 0), I(EXIT, 0, 0, 0, 0));
    REFUSE(I2(LDDW_MAP_FD, 1, 3), I(EXIT, 0, 0, 0, 0));
    REFUSE(I2(LDDW_CODE, 1, 0), I(EXIT, 0, 0, 0, 0));
    REFUSE(I(LDDW, 1, 0, 0, 0));
    REFUSE({.id = INSN_ID_COUNT}, I(EXIT, 0, 0, 0, 0));
    REFUSE({.id = INSN_MOV64_IMM, .dst = 11}, I(EXIT, 0, 0, 0, 0));
    REFUSE({.id = INSN_MOV64_REG, .src = 11}, I(EXIT, 0, 0, 0, 0));
}

static void run_all(void)
{
    REQUIRE(fixture_open(&fixture));
    RUN(arithmetic);
    RUN(byte_order);
    RUN(jumps);
    RUN(memory);
    RUN(atomics);
    RUN(packet_loads);
    RUN(calls);
    RUN(local_calls);
    RUN(nonsense_is_refused);
    fixture_close(&fixture);
}

TEST_SUITE(raw_prog)
{
    fixture_for_each_engine(run_all);
}
