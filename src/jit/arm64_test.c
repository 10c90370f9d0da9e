// SPDX-License-Identifier: MIT
// Machine code of arm64 is run: every instruction on corner operands against isa_ops.def, and programs, with
// every option. On other machines some programs are compared word by word.
#if defined(__aarch64__)
#include "jit/arm64_fixture.h"

// --- meaning, from the tables --------------------------------------------------------------------

static uint64_t alu_64(unsigned sem, uint64_t d, uint64_t s)
{
    typedef uint64_t U;
    typedef int64_t S;
    enum { W = 64 };
    switch (sem) {
#define ALU_OP(op, text, value)                                                                              \
    case SEM_##op: return value;
#define JMP_OP(...)
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
    default: return 0;
    }
}

static uint64_t alu_32(unsigned sem, uint32_t d, uint32_t s)
{
    typedef uint32_t U;
    typedef int32_t S;
    enum { W = 32 };
    switch (sem) {
#define ALU_OP(op, text, value)                                                                              \
    case SEM_##op: return (uint32_t)(value);
#define JMP_OP(...)
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
    default: return 0;
    }
}

static bool jump_64(unsigned sem, uint64_t d, uint64_t s)
{
    typedef int64_t S;
    switch (sem) {
#define ALU_OP(...)
#define JMP_OP(op, text, condition)                                                                          \
    case SEM_##op: return condition;
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
    default: return false;
    }
}

static bool jump_32(unsigned sem, uint32_t d, uint32_t s)
{
    typedef int32_t S;
    switch (sem) {
#define ALU_OP(...)
#define JMP_OP(op, text, condition)                                                                          \
    case SEM_##op: return condition;
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
    default: return false;
    }
}

static uint64_t swapped(uint64_t x, unsigned bits)
{
    return __builtin_bswap64(x) >> (64 - bits);
}

static uint64_t meaning(const struct insn_info *info, uint64_t d, uint64_t s)
{
    uint64_t low = info->width == 64 ? UINT64_MAX : (UINT64_C(1) << info->width) - 1;
    switch (info->sem) {
    case SEM_LE: return d & low;
    case SEM_BE:
    case SEM_BSWAP: return swapped(d, info->width);
    default: return info->width == 64 ? alu_64(info->sem, d, s) : alu_32(info->sem, (uint32_t)d, (uint32_t)s);
    }
}

// --- rows ----------------------------------------------------------------------------------------

static void differ(const struct insn_info *info, uint64_t d, uint64_t s, uint64_t is, uint64_t wanted)
{
    if (is != wanted) {
        test_fail(__FILE__, __LINE__, "%s: %s of %llx and %llx is %llx, not %llx", m.config->name,
                  info->mnemonic, (unsigned long long)d, (unsigned long long)s, (unsigned long long)is,
                  (unsigned long long)wanted);
    }
}

static void check_alu_reg(uint16_t id)
{
    const struct insn_info *info = insn_info(id);
    m.insns[0] = (struct insn){.id = INSN_MOV64_REG, .dst = 0, .src = 1};
    m.insns[1] = (struct insn){.id = id, .dst = 0, .src = info->form == FORM_ALU_REG ? 2 : 0};
    m.insns[2] = (struct insn){.id = INSN_EXIT};
    REQUIRE(translate(3));
    for (size_t i = 0; i < ARRAY_SIZE(corners); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(corners); k++) {
            uint64_t d = corners[i], s = corners[k];
            differ(info, d, s, run(d, s), meaning(info, d, s));
        }
    }
}

static void check_alu_imm(uint16_t id)
{
    const struct insn_info *info = insn_info(id);
    for (size_t k = 0; k < ARRAY_SIZE(imms); k++) {
        m.insns[0] = (struct insn){.id = INSN_MOV64_REG, .dst = 0, .src = 1};
        m.insns[1] = (struct insn){.id = id, .dst = 0, .imm = imms[k]};
        m.insns[2] = (struct insn){.id = INSN_EXIT};
        REQUIRE(translate(3));
        for (size_t i = 0; i < ARRAY_SIZE(corners); i++) {
            uint64_t s = (uint64_t)(int64_t)imms[k];
            differ(info, corners[i], s, run(corners[i], 0), meaning(info, corners[i], s));
        }
    }
}

static void check_jump_on(uint16_t id, uint64_t imm)
{
    const struct insn_info *info = insn_info(id);
    bool reg = info->form == FORM_JMP_REG;
    m.insns[0] = (struct insn){.id = INSN_MOV64_IMM, .dst = 0, .imm = 1};
    m.insns[1] =
        (struct insn){.id = id, .dst = 1, .src = reg ? 2 : 0, .off = 1, .imm = reg ? 0 : (int64_t)imm};
    m.insns[2] = (struct insn){.id = INSN_MOV64_IMM, .dst = 0, .imm = 0};
    m.insns[3] = (struct insn){.id = INSN_EXIT};
    REQUIRE(translate(4));
    for (size_t i = 0; i < ARRAY_SIZE(corners); i++) {
        for (size_t k = 0; k < (reg ? ARRAY_SIZE(corners) : 1); k++) {
            uint64_t d = corners[i], s = reg ? corners[k] : imm;
            bool wanted =
                info->width == 64 ? jump_64(info->sem, d, s) : jump_32(info->sem, (uint32_t)d, (uint32_t)s);
            differ(info, d, s, run(d, s), wanted);
        }
    }
}

static void check_jump(uint16_t id)
{
    if (insn_info(id)->form == FORM_JMP_REG) {
        check_jump_on(id, 0);
        return;
    }
    for (size_t k = 0; k < ARRAY_SIZE(imms); k++) {
        check_jump_on(id, (uint64_t)(int64_t)imms[k]);
    }
}

static const int16_t offsets[] = {0,    1,    2,    4,    8,    -1,    -8,    255,   256,   257,    -256,
                                  -257, 4095, 4096, 8190, 8192, 16380, 16384, 32760, 32767, -32768, -1000};

static uint64_t part(uint64_t x, unsigned bits)
{
    return bits == 64 ? x : x & ((UINT64_C(1) << bits) - 1);
}

static void check_load(uint16_t id)
{
    const struct insn_info *info = insn_info(id);
    for (size_t k = 0; k < ARRAY_SIZE(offsets); k++) {
        uint8_t *at = m.memory + MEMORY / 2 + offsets[k];
        m.insns[0] = (struct insn){.id = id, .dst = 0, .src = 1, .off = offsets[k]};
        m.insns[1] = (struct insn){.id = INSN_EXIT};
        REQUIRE(translate(2));
        for (size_t i = 0; i < ARRAY_SIZE(corners); i++) {
            memcpy(at, &corners[i], 8);
            uint64_t wanted = part(corners[i], info->width), sign = UINT64_C(1) << (info->width - 1);
            wanted = info->sem == SEM_LDXS ? (wanted ^ sign) - sign : wanted;
            differ(info, (uint64_t)(int64_t)offsets[k], 0, run((uint64_t)m.memory + MEMORY / 2, 0), wanted);
        }
    }
}

static void check_store_at(uint16_t id, int16_t offset, uint64_t number)
{
    const struct insn_info *info = insn_info(id);
    bool reg = info->form == FORM_STORE_REG;
    uint8_t *at = m.memory + MEMORY / 2 + offset;
    m.insns[0] = (struct insn){
        .id = id, .dst = 1, .src = reg ? 2 : 0, .off = offset, .imm = reg ? 0 : (int64_t)number};
    m.insns[1] = (struct insn){.id = INSN_MOV64_IMM};
    m.insns[2] = (struct insn){.id = INSN_EXIT};
    REQUIRE(translate(3));
    uint64_t before = 0xa5a5a5a5a5a5a5a5, low = part(UINT64_MAX, info->width), after;
    memcpy(at, &before, 8);
    CHECK_EQ(run((uint64_t)m.memory + MEMORY / 2, number), 0);
    memcpy(&after, at, 8);
    differ(info, (uint64_t)(int64_t)offset, number, after, (before & ~low) | (number & low));
}

static void check_store(uint16_t id)
{
    for (size_t k = 0; k < ARRAY_SIZE(offsets); k++) {
        check_store_at(id, offsets[k], (uint64_t)(int64_t)imms[k]);
    }
    for (size_t k = 0; k < ARRAY_SIZE(imms); k++) {
        check_store_at(id, 16, (uint64_t)(int64_t)imms[k]);
    }
}

static uint64_t combined(unsigned sem, uint64_t old, uint64_t s)
{
    switch (sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_FETCH_ADD: return old + s;
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_FETCH_OR: return old | s;
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_FETCH_AND: return old & s;
    case SEM_ATOMIC_XOR:
    case SEM_ATOMIC_FETCH_XOR: return old ^ s;
    default: return s;
    }
}

// r0 is what is expected, r2 the operand; the result is r2 or, of a comparison, r0.
static void check_atomic_on(const struct insn_info *info, int16_t offset, uint64_t old, uint64_t s,
                            uint64_t expected)
{
    uint64_t *at = (uint64_t *)(void *)(m.memory + MEMORY / 2 + offset), now;
    uint64_t low = part(UINT64_MAX, info->width), fetched = old & low;
    *at = old;
    memcpy(m.memory, &expected, 8);
    uint64_t result = run((uint64_t)m.memory + MEMORY / 2, s);
    now = *at;
    bool compares = info->sem == SEM_ATOMIC_CMPXCHG, stores = !compares || (old & low) == (expected & low);
    bool plain = info->sem == SEM_ATOMIC_ADD || info->sem == SEM_ATOMIC_OR || info->sem == SEM_ATOMIC_AND ||
                 info->sem == SEM_ATOMIC_XOR;
    uint64_t wanted = stores ? (old & ~low) | (combined(info->sem, old, s) & low) : old;
    differ(info, old, s, now, wanted);
    differ(info, old, s, result, plain ? s : fetched);
}

static void check_atomic_at(uint16_t id, int16_t offset)
{
    static const uint64_t some[] = {0, 1, 0xffffffff, 0x80000000, 0x123456789abcdef0, UINT64_MAX};
    const struct insn_info *info = insn_info(id);
    bool compares = info->sem == SEM_ATOMIC_CMPXCHG;
    m.insns[0] = (struct insn){.id = INSN_MOV64_REG, .dst = 3, .src = 1};
    m.insns[1] = (struct insn){.id = INSN_ADD64_IMM, .dst = 3, .imm = -MEMORY / 2};
    m.insns[2] = (struct insn){.id = INSN_LDXDW, .dst = 0, .src = 3};
    m.insns[3] = (struct insn){.id = id, .dst = 1, .src = 2, .off = offset};
    m.insns[4] = (struct insn){.id = INSN_MOV64_REG, .dst = 0, .src = compares ? 0 : 2};
    m.insns[5] = (struct insn){.id = INSN_EXIT};
    REQUIRE(translate(6));
    for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(some); k++) {
            check_atomic_on(info, offset, some[i], some[k], some[(i + k) % ARRAY_SIZE(some)]);
            check_atomic_on(info, offset, some[i], some[k], some[i]);
        }
    }
}

static void check_atomic(uint16_t id)
{
    check_atomic_at(id, 0);
    check_atomic_at(id, 264);
    check_atomic_at(id, -8);
    check_atomic_at(id, 16384 + 8);
}

// By form; NULL: those that programs below cover.
static void (*const checks[FORM_COUNT])(uint16_t id) = {
    [FORM_ALU_IMM] = check_alu_imm, [FORM_ALU_REG] = check_alu_reg, [FORM_ALU_UNARY] = check_alu_reg,
    [FORM_JMP_IMM] = check_jump,    [FORM_JMP_REG] = check_jump,    [FORM_LOAD] = check_load,
    [FORM_STORE_IMM] = check_store, [FORM_STORE_REG] = check_store, [FORM_ATOMIC] = check_atomic,
};

static void rows(const struct config *config)
{
    unsigned checked = 0;
    begin(config);
    for (uint16_t id = 1; id < INSN_ID_COUNT; id++) {
        if (checks[insn_info(id)->form] != NULL) {
            checks[insn_info(id)->form](id);
            checked++;
        }
    }
    CHECK(checked > 140);
}

// --- programs ------------------------------------------------------------------------------------

struct example {
    const char *text;
    uint64_t r1, r2, result;
};
static const struct example programs[] = {
    // Large numbers, and one that is in no register.
    {"lddw %r0, 0x123456789abcdef0\nadd %r0, %r1\nexit\n", 1, 0, 0x123456789abcdef1},
    // The sum of 0..9 by a loop.
    {"mov %r0, 0\nadd %r0, %r1\nadd %r1, -1\njne %r1, 0, -3\nexit\n", 9, 0, 45},
    // A frame, also by a variable index.
    {"stdw [%r10-8], 5\nstdw [%r10-16], 6\nmov %r3, %r10\nand %r1, 8\nsub %r3, %r1\nldxdw %r0, "
     "[%r3-8]\nexit\n",
     8, 0, 6},
    {"stdw [%r10-512], 77\nmov %r3, %r10\nadd %r3, -512\nldxdw %r0, [%r3+0]\nexit\n", 0, 0, 77},
    // Values live over calls, five arguments.
    {"mov %r6, 6\nmov %r7, %r1\nmov %r8, %r2\nmov %r1, 1\nmov %r2, 2\nmov %r3, 3\nmov %r4, 4\nmov %r5, "
     "5\ncall 1\n"
     "add %r0, %r6\nadd %r0, %r7\nadd %r0, %r8\nexit\n",
     100, 1000, 55 + 6 + 1100},
    // Arguments that change places.
    {"mov %r3, %r1\nmov %r1, %r2\nmov %r2, %r3\nmov %r4, %r1\nmov %r5, %r2\ncall 1\nexit\n", 1, 10,
     10 + 2 + 3 + 40 + 5},
    // Functions: each has a frame and registers of its own, and they call each other.
    {"mov %r3, 3\nmov %r4, 4\nmov %r5, 5\nmov %r6, 7\nstdw [%r10-8], 1000\ncall local f\nadd %r0, %r6\nldxdw "
     "%r1, [%r10-8]\n"
     "add %r0, %r1\nexit\n"
     "f:\nmov %r6, %r1\nmov %r7, %r5\nstxdw [%r10-8], %r2\ncall local g\nldxdw %r1, [%r10-8]\nadd %r0, "
     "%r1\nadd %r0, %r6\n"
     "add %r0, %r7\nexit\n"
     "g:\nstdw [%r10-8], 3\nmov %r0, %r1\nadd %r0, %r4\nmov %r6, 0\nldxdw %r1, [%r10-8]\nadd %r0, "
     "%r1\nexit\n",
     10000, 20000, 10000 + 4 + 3 + 20000 + 10000 + 5 + 7 + 1000},
    // Processor number, look-ups in line.
    {"call 3\nexit\n", 0, 0, 3},
};

static void check_program(const struct example *p)
{
    REQUIRE(assemble(p->text));
    uint64_t result = run(p->r1, p->r2);
    if (result != p->result) {
        test_fail(__FILE__, __LINE__, "%s: %s is %llx", m.config->name, p->text, (unsigned long long)result);
    }
}

static void whole_programs(const struct config *config)
{
    begin(config);
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
        check_program(&programs[i]);
    }
}

// How often the code of an instruction begins.
static unsigned times_written(uint32_t pc)
{
    unsigned times = 0;
    for (uint32_t i = 0; i < m.code.line_count; i++) {
        times += m.lines[i].pc == pc;
    }
    return times;
}

// The end of the loop is written behind the ways through its body. The result is that of x86-64's test of the
// same program.
static void loop_ends(const struct config *config)
{
    static const char text[] =
        "r0 = r1\nr3 = 0\nagain:\nr4 = r0\nr4 &= 7\nif r4 == 0 goto swap\nif r4 == 1 goto add\n"
        "if r4 == 2 goto shared\nif r4 == 3 goto more\nif r4 == 4 goto next\nif r4 == 5 goto turn\n"
        "r0 *= 5\ngoto next\nswap:\nr5 = r0\nr0 = r2\nr2 = r5\ngoto next\nadd:\nr0 += r2\ngoto next\n"
        "turn:\nr0 ^= -1\ngoto next\nmore:\nr2 += r3\nshared:\nr0 -= r2\n"
        "next:\nr0 += 3\nr3 += 1\nif r3 != 1000 goto again\nr0 ^= r2\nexit\n";
    enum { TEST = 24 };
    begin(config);
    REQUIRE(assemble(text));
    CHECK_EQ(m.insns[TEST].id, INSN_JNE64_IMM);
    CHECK(times_written(TEST) > 3);
    CHECK_EQ(run(12345, 678), 0xac9ffad1202ede9f);
}

// A helper after a tail call that went nowhere; one that goes.
static void tail_calls(const struct config *config)
{
    static const char text[] =
        "mov %r6, %r1\nmov %r3, %r2\nmov %r2, 0\nstdw [%r10-8], 5\ncall 2\nadd %r0, %r6\nexit\n";
    begin(config);
    REQUIRE(assemble("mov %r0, %r1\nadd %r0, 1000\nstdw [%r10-512], 1\nexit\n"));
    REQUIRE(publish(&m.second));
    REQUIRE(assemble(text));
    CHECK_EQ(run(50, 7), 1050);
    CHECK_EQ(run(50, 8), 48);
}

static void may_goto(const struct config *config)
{
    begin(config);
    m.insns[0] = (struct insn){.id = INSN_MOV64_IMM};
    m.insns[1] = (struct insn){.id = INSN_MAY_GOTO, .off = 2};
    m.insns[2] = (struct insn){.id = INSN_ADD64_IMM, .imm = 2};
    m.insns[3] = (struct insn){.id = INSN_JA, .off = -3};
    m.insns[4] = (struct insn){.id = INSN_EXIT};
    REQUIRE(translate(5));
    CHECK_EQ(run(0, 0), 200);
}

static void packet_loads(const struct config *config)
{
    begin(config);
    m.insns[0] = (struct insn){.id = INSN_MOV64_REG, .dst = 6, .src = 1};
    m.insns[1] = (struct insn){.id = INSN_MOV64_REG, .dst = 7, .src = 2};
    m.insns[2] = (struct insn){.id = INSN_CALL_LOCAL, .imm = 2};
    m.insns[3] = (struct insn){.id = INSN_ADD64_IMM, .imm = 1};
    m.insns[4] = (struct insn){.id = INSN_EXIT};
    m.insns[5] = (struct insn){.id = INSN_MOV64_REG, .dst = 6, .src = 1};
    m.insns[6] = (struct insn){.id = INSN_MOV64_REG, .dst = 7, .src = 2};
    m.insns[7] = (struct insn){.id = INSN_LDINDH, .src = 7, .imm = 4};
    m.insns[8] = (struct insn){.id = INSN_EXIT};
    REQUIRE(translate(9));
    CHECK_EQ(run((uint64_t)m.memory, 10), 14 * 16 + 2 + 1);
    CHECK_EQ(run((uint64_t)m.memory, 100), 0); // out of range: all functions return at once
    m.insns[0] = (struct insn){.id = INSN_MOV64_REG, .dst = 6, .src = 1};
    m.insns[1] = (struct insn){.id = INSN_LDABSB, .imm = 40};
    m.insns[2] = (struct insn){.id = INSN_EXIT};
    REQUIRE(translate(3));
    CHECK_EQ(run((uint64_t)m.memory, 0), 641);
}

static void calls_by_number(const struct config *config)
{
    begin(config);
    REQUIRE(assemble("mov %r7, %r2\nmov %r2, 2\nmov %r3, 3\nmov %r4, 4\nmov %r5, 5\ncall %r7\nexit\n"));
    CHECK_EQ(run(1, 77), 55);
    CHECK_EQ(run(1, 78), 0xbad);
    m.input.raw = true;
    REQUIRE(assemble("mov %r2, 2\nmov %r3, 3\nmov %r4, 4\nmov %r5, 5\ncall 77\nexit\n"));
    CHECK_EQ(run(1, 0), 55);
}

// Array and per-CPU array in line: key r1, the address of the value or null.
static void look_up(const struct config *config)
{
    begin(config);
    for (unsigned map = 0; map < 2; map++) {
        m.insns[0] = (struct insn){.id = INSN_STXW, .dst = 10, .src = 1, .off = -4};
        m.insns[1] = (struct insn){.id = INSN_LDDW_MAP, .dst = 1, .imm = map};
        m.insns[2] = (struct insn){0};
        m.insns[3] = (struct insn){.id = INSN_MOV64_REG, .dst = 2, .src = 10};
        m.insns[4] = (struct insn){.id = INSN_ADD64_IMM, .dst = 2, .imm = -4};
        m.insns[5] = (struct insn){.id = INSN_CALL, .imm = HELPER_LOOKUP};
        m.insns[6] = (struct insn){.id = INSN_EXIT};
        REQUIRE(translate(7));
        uint64_t at = (uint64_t)m.memory;
        CHECK_EQ(run(2, 0), map == 0 ? at + 48 : at + 3 * 4096 + 16);
        CHECK_EQ(run(4, 0), map == 0 ? at + 96 : 0);
        CHECK_EQ(run(5, 0), 0);
        CHECK_EQ(run(0x80000000, 0), 0);
    }
}

// Branches that go further than one instruction can: over `count` additions that cannot be left out. TBZ
// reaches 32 KiB, others 1 MiB.
static void check_far(uint32_t count, const struct insn *branch, uint64_t taken, uint64_t not_taken)
{
    m.insns[0] = (struct insn){.id = INSN_MOV64_REG, .dst = 0, .src = 2};
    m.insns[1] = *branch;
    m.insns[1].off = (int16_t)count;
    for (uint32_t i = 0; i < count; i++) {
        m.insns[2 + i] = (struct insn){
            .id = i % 2 != 0 ? INSN_STXW : INSN_ADD64_REG, .dst = i % 2 != 0 ? 10 : 0, .off = -8};
        m.insns[2 + i].src = i % 2 != 0 ? 0 : 2;
    }
    m.insns[2 + count] = (struct insn){.id = INSN_EXIT};
    REQUIRE(translate(3 + count));
    CHECK_EQ(run(taken, 3), 3);
    CHECK_EQ(run(not_taken, 3), 3 + 3 * ((count + 1) / 2));
}

static void far_branches(const struct config *config)
{
    const struct insn bit = {.id = INSN_JSET64_IMM, .dst = 1, .imm = 16},
                      zero = {.id = INSN_JEQ64_IMM, .dst = 1};
    const struct insn less = {.id = INSN_JLT64_IMM, .dst = 1, .imm = 7};
    begin(config);
    for (uint32_t count = 100; count <= 20100; count += 10000) {
        check_far(count, &bit, 16, 15);
        check_far(count, &zero, 0, 1);
        check_far(count, &less, 6, 7);
    }
}
#else
#include <string.h>

#include "jit/jit.h"
#include "tests/test.h"

static _Alignas(16) uint8_t workspace[4 << 20];
#endif

// --- everywhere ----------------------------------------------------------------------------------

// The words are the same on all hosts.
static void a_program_is_these_words(void)
{
    static const uint32_t wanted[] = {0xd503245f, 0x8b010000, 0xd65f03c0}; // bti c; add x0, x0, x1; ret
    static uint32_t words[16];
    const struct insn insns[] = {
        {.id = INSN_MOV64_REG, .src = 1}, {.id = INSN_ADD64_REG, .src = 2}, {.id = INSN_EXIT}};
    const struct func func = {.start = 0, .end = ARRAY_SIZE(insns)};
    const struct jit_input input = {
        .insns = insns, .insn_count = ARRAY_SIZE(insns), .funcs = &func, .func_count = 1};
    const struct jit_options o = {.arch = JIT_ARM64, .abi = JIT_ABI_AAPCS64, .passes = JIT_ALL_PASSES};
    struct jit_code code = {.code = (uint8_t *)words, .capacity = sizeof(words)};
    uint32_t bad_pc;
    REQUIRE_OK(jit_translate(&input, &o, workspace, sizeof(workspace), &code, &bad_pc));
    CHECK_EQ(code.size, sizeof(wanted));
    CHECK(memcmp(words, wanted, sizeof(wanted)) == 0);
    // A buffer that is too small is said to be.
    for (size_t size = 0; size < sizeof(wanted); size++) {
        code.capacity = size;
        CHECK_EQ(jit_translate(&input, &o, workspace, sizeof(workspace), &code, &bad_pc),
                 EBPF_INSUFFICIENT_BUFFER);
    }
}

// A call reaches what is near directly, and what is far through its stub.
static void calls_are_linked(void)
{
    enum { HELPER = 1 };
    static uint32_t words[64];
    const struct insn insns[] = {{.id = INSN_CALL, .imm = HELPER}, {.id = INSN_EXIT}};
    const struct func func = {.start = 0, .end = ARRAY_SIZE(insns)};
    const struct jit_helper helpers[] = {{0}, {0x40001000, JIT_HELPER_CALL, 0}};
    const struct jit_input input = {.insns = insns,
                                    .insn_count = ARRAY_SIZE(insns),
                                    .funcs = &func,
                                    .func_count = 1,
                                    .helpers = helpers,
                                    .helper_count = ARRAY_SIZE(helpers)};
    const struct jit_options o = {.arch = JIT_ARM64, .abi = JIT_ABI_AAPCS64, .passes = JIT_ALL_PASSES};
    struct jit_call call;
    struct jit_code code = {
        .code = (uint8_t *)words, .capacity = sizeof(words), .calls = &call, .call_capacity = 1};
    uint32_t bad_pc;
    REQUIRE_OK(jit_translate(&input, &o, workspace, sizeof(workspace), &code, &bad_pc));
    REQUIRE(code.call_count == 1 && call.target == 0x40001000 && call.offset % 4 == 0);
    uint32_t *bl = &words[call.offset / 4], stub = *bl;
    CHECK_EQ(*bl >> 26, 0x25);                                  // BL
    CHECK_EQ(words[code.size / 4 - 1], 0xd61f0200);             // BR x16 ends the stub
    jit_link(&o, &code, 0x40001000 + 0x08000004 - call.offset); // one too far: +128 MiB + 4
    CHECK_EQ(*bl, stub);
    jit_link(&o, &code, 0x40001000 - 0x1000 - call.offset);
    CHECK_EQ(*bl, 0x94000000 | 0x400);
}

TEST_SUITE(arm64)
{
    RUN(a_program_is_these_words);
    RUN(calls_are_linked);
#if defined(__aarch64__)
    static const struct suite_case cases[] = {
        {"rows", rows},         {"whole_programs", whole_programs}, {"tail_calls", tail_calls},
        {"may_goto", may_goto}, {"packet_loads", packet_loads},     {"calls_by_number", calls_by_number},
        {"look_up", look_up},   {"far_branches", far_branches},     {"loop_ends", loop_ends},
    };
    run_all(cases, ARRAY_SIZE(cases));
#endif
}
