// SPDX-License-Identifier: MIT
// Machine code of x86-64 is run: every instruction on corner operands against isa_ops.def, in both calling
// conventions and with every option.
#include "jit/x86_fixture.h"

#if defined(X86_RUNS)

// --- what instructions compute -------------------------------------------------------------------

static uint64_t alu64(unsigned sem, uint64_t d, uint64_t s)
{
#define U uint64_t
#define S int64_t
#define W 64
    switch (sem) {
#define ALU_OP(sem, text, expression)                                                                        \
    case SEM_##sem: return (expression);
#define JMP_OP(sem, text, condition)                                                                         \
    case SEM_##sem: return (condition);
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
#undef U
#undef S
#undef W
    default: return 0;
    }
}

static uint64_t alu32(unsigned sem, uint32_t d, uint32_t s)
{
#define U uint32_t
#define S int32_t
#define W 32
    switch (sem) {
#define ALU_OP(sem, text, expression)                                                                        \
    case SEM_##sem: return (U)(expression);
#define JMP_OP(sem, text, condition)                                                                         \
    case SEM_##sem: return (condition);
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
#undef U
#undef S
#undef W
    default: return 0;
    }
}

static uint64_t low_bits(uint64_t value, unsigned width)
{
    return width == 64 ? value : value & ((UINT64_C(1) << width) - 1);
}

static uint64_t reversed(uint64_t value, unsigned width)
{
    uint64_t result = 0;
    for (unsigned i = 0; i < width; i += 8) {
        result = result << 8 | (value >> i & 0xff);
    }
    return result;
}

static uint64_t computed(const struct insn_info *info, uint64_t d, uint64_t s)
{
    switch (info->sem) {
    case SEM_LE: return low_bits(d, (unsigned)info->value);
    case SEM_BE:
    case SEM_BSWAP: return reversed(d, (unsigned)info->value);
    default: return info->width == 64 ? alu64(info->sem, d, s) : alu32(info->sem, (uint32_t)d, (uint32_t)s);
    }
}

static const uint64_t corners[] = {
    0,
    1,
    2,
    31,
    32,
    63,
    64,
    0x7f,
    0x80,
    0xff,
    0x8000,
    0xffff,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x100000000,
    0x7fffffffffffffff,
    0x8000000000000000,
    0xffffffff80000000,
    0xffffffffffffffff,
    0x123456789abcdef0,
    0xfedcba9876543210,
};
static const int32_t imm_corners[] = {0,   1,   2,   3,    5,          7,  8,  31,   63,   127,
                                      128, 255, 256, 1000, 0x7fffffff, -1, -2, -128, -129, INT32_MIN};

static bool is_alu(const struct insn_info *info)
{
    return info->form == FORM_ALU_IMM || info->form == FORM_ALU_REG || info->form == FORM_ALU_UNARY;
}

static bool is_jump(const struct insn_info *info)
{
    return info->form == FORM_JMP_IMM || info->form == FORM_JMP_REG;
}

// Loads r2 and r3 from the memory, does `in`, returns r2 (or for jumps, whether it was taken).
static void check_row(const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    char text[256], detail[96];
    bool jump = is_jump(info);
    unsigned failed = test_state.failed_checks;
    insn_print(in, text, sizeof(text));
    uint32_t n = 0;
    m.insns[n++] = (struct insn){.id = INSN_LDXDW, .dst = 2, .src = 1, .off = 0};
    m.insns[n++] = (struct insn){.id = INSN_LDXDW, .dst = 3, .src = 1, .off = 8};
    if (jump) {
        m.insns[n++] = (struct insn){.id = INSN_MOV64_IMM, .dst = 0, .imm = 1};
        m.insns[n++] = *in;
        m.insns[n++] = (struct insn){.id = INSN_MOV64_IMM, .dst = 0, .imm = 0};
    } else {
        m.insns[n++] = *in;
        m.insns[n++] = (struct insn){.id = INSN_MOV64_REG, .dst = 0, .src = 2};
    }
    m.insns[n++] = (struct insn){.id = INSN_EXIT};
    m.what = text;
    if (!translate(n)) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(corners) && test_state.failed_checks == failed; i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(corners); k++) {
            uint64_t operands[2] = {corners[i], corners[k]}, s = in->src == 2 ? corners[i] : corners[k];
            bool imm = info->form == FORM_ALU_IMM || info->form == FORM_JMP_IMM;
            memcpy(m.memory, operands, sizeof(operands));
            str_format(detail, sizeof(detail), "(0x%llx, 0x%llx)", (unsigned long long)operands[0],
                       (unsigned long long)operands[1]);
            expect(run((uint64_t)(uintptr_t)m.memory, 0),
                   computed(info, corners[i], imm ? (uint64_t)in->imm : s), detail);
            k += imm ? (unsigned)ARRAY_SIZE(corners) : 0; // the second operand is not read
        }
    }
}

static void check_rows(bool (*wanted)(const struct insn_info *info))
{
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        const struct insn_info *info = insn_info(id);
        struct insn in = {.id = (uint16_t)id, .dst = 2, .off = is_jump(info) ? 1 : 0};
        if (!wanted(info)) {
            continue;
        }
        if (info->form == FORM_ALU_IMM || info->form == FORM_JMP_IMM) {
            for (unsigned i = 0; i < ARRAY_SIZE(imm_corners); i++) {
                in.imm = imm_corners[i];
                check_row(&in);
            }
        } else if (info->form == FORM_ALU_UNARY) {
            check_row(&in);
        } else {
            in.src = 3;
            check_row(&in);
            in.src = 2;
            check_row(&in);
        }
    }
}

static void arithmetic(void)
{
    check_rows(is_alu);
}
static void every_arithmetic_row(void)
{
    each_config(arithmetic);
}

static void jumps(void)
{
    check_rows(is_jump);
}
static void every_jump_row(void)
{
    each_config(jumps);
}

// --- memory --------------------------------------------------------------------------------------

static bool is_atomic(const struct insn_info *info)
{
    return info->form == FORM_ATOMIC;
}

struct atomic {
    uint64_t memory, source, r0;
};

static void do_atomic(const struct insn_info *info, struct atomic *a)
{
    unsigned width = info->width;
    uint64_t old = low_bits(a->memory, width), s = low_bits(a->source, width), next = old;
    switch (info->sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_FETCH_ADD: next = old + s; break;
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_FETCH_OR: next = old | s; break;
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_FETCH_AND: next = old & s; break;
    case SEM_ATOMIC_XOR:
    case SEM_ATOMIC_FETCH_XOR: next = old ^ s; break;
    case SEM_ATOMIC_XCHG: next = s; break;
    default:
        next = low_bits(a->r0, width) == old ? s : old;
        a->r0 = old;
        break;
    }
    a->memory = (a->memory & ~low_bits(UINT64_MAX, width)) | low_bits(next, width);
    if (info->sem >= SEM_ATOMIC_FETCH_ADD && info->sem <= SEM_ATOMIC_XCHG) {
        a->source = old;
    }
}

// r0, r3 and r2 + off = r1 + 64 from the first words of the memory; afterwards r0 and r3 go to words 3 and 4.
static void check_atomic(const struct insn *in)
{
    char text[96];
    const struct insn_info *info = insn_info(in->id);
    insn_print(in, text, sizeof(text));
    m.what = text;
    const struct insn program[] = {
        {.id = INSN_LDXDW, .dst = 0, .src = 1, .off = 0},
        {.id = INSN_LDXDW, .dst = 3, .src = 1, .off = 8},
        {.id = INSN_MOV64_REG, .dst = 2, .src = 1},
        {.id = INSN_ADD64_IMM, .dst = 2, .imm = 64 - in->off},
        *in,
        {.id = INSN_STXDW, .dst = 1, .src = 0, .off = 24},
        {.id = INSN_STXDW, .dst = 1, .src = 3, .off = 32},
        {.id = INSN_EXIT},
    };
    memcpy(m.insns, program, sizeof(program));
    if (!translate(ARRAY_SIZE(program))) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(corners) * ARRAY_SIZE(corners); i++) {
        uint64_t *words = (uint64_t *)(void *)m.memory;
        struct atomic a = {corners[i % ARRAY_SIZE(corners)], corners[i / ARRAY_SIZE(corners)], 0};
        a.r0 = i % 3 == 0 ? a.memory : i % 3 == 1 ? low_bits(a.memory, 32) : a.source;
        words[0] = a.r0;
        words[1] = a.source;
        words[8] = a.memory;
        do_atomic(info, &a);
        expect(run((uint64_t)(uintptr_t)m.memory, 0), a.r0, "r0");
        expect(words[8], a.memory, "memory");
        expect(words[3], a.r0, "r0 stored");
        expect(words[4], a.source, "source");
    }
}

static void atomics(void)
{
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        if (is_atomic(insn_info(id))) {
            struct insn in = {.id = (uint16_t)id, .dst = 2, .src = 3};
            check_atomic(&in);
            in.off = 16;
            check_atomic(&in);
        }
    }
}
static void every_atomic_row(void)
{
    each_config(atomics);
}

static uint64_t loaded(const struct insn_info *info, const uint8_t *at)
{
    uint64_t value = 0;
    memcpy(&value, at, info->width / 8);
    if (info->sem == SEM_LDXS) {
        unsigned up = 64u - info->width;
        value = (uint64_t)((int64_t)(value << up) >> up);
    }
    return value;
}

static void check_load(const struct insn *in)
{
    const struct insn program[] = {*in, {.id = INSN_EXIT}};
    char text[96];
    insn_print(in, text, sizeof(text));
    m.what = text;
    memcpy(m.insns, program, sizeof(program));
    if (translate(ARRAY_SIZE(program))) {
        uint8_t *base = m.memory + 128;
        expect(run((uint64_t)(uintptr_t)base, 0), loaded(insn_info(in->id), base + in->off), "");
    }
}

// With a register and an immediate; only the bytes that belong to it change.
static void check_store(const struct insn *in, uint64_t value)
{
    const struct insn program[] = {*in, {.id = INSN_EXIT}};
    uint8_t wanted[MEMORY];
    char text[96];
    insn_print(in, text, sizeof(text));
    m.what = text;
    memcpy(m.insns, program, sizeof(program));
    memset(m.memory, 0x77, sizeof(m.memory));
    memcpy(wanted, m.memory, sizeof(wanted));
    memcpy(wanted + 128 + in->off, &value, insn_info(in->id)->width / 8);
    if (translate(ARRAY_SIZE(program))) {
        run((uint64_t)(uintptr_t)m.memory + 128, value);
        if (memcmp(m.memory, wanted, sizeof(wanted)) != 0) {
            expect(1, 0, "other bytes than expected");
        }
    }
}

static void accesses(void)
{
    static const int16_t offs[] = {0, 3, -8, 100, -128, 127 - 15};
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        const struct insn_info *info = insn_info(id);
        for (unsigned i = 0; i < ARRAY_SIZE(offs); i++) {
            struct insn in = {.id = (uint16_t)id, .off = offs[i]};
            if (info->form == FORM_LOAD) {
                for (unsigned k = 0; k < MEMORY; k++) {
                    m.memory[k] = (uint8_t)(k * 37 + 129);
                }
                in.src = 1;
                check_load(&in);
            } else if (info->form == FORM_STORE_REG) {
                in.dst = 1;
                in.src = 2;
                check_store(&in, 0xfedcba9876543210);
            } else if (info->form == FORM_STORE_IMM) {
                in.dst = 1;
                in.imm = imm_corners[(id + i) % ARRAY_SIZE(imm_corners)];
                check_store(&in, (uint64_t)in.imm);
            }
        }
    }
}
static void every_load_and_store_row(void)
{
    each_config(accesses);
}

// --- calls ---------------------------------------------------------------------------------------

static struct {
    uint64_t args[5];
    const struct jit_run *run;
    unsigned calls, misaligned; // stacks
} seen;

static uint64_t note_call(const uint64_t args[5], const struct jit_run *from)
{
    memcpy(seen.args, args, sizeof(seen.args));
    seen.run = from;
    seen.calls++;
    return args[0] + 2 * args[1] + 3 * args[2] + 4 * args[3] + 5 * args[4];
}

__attribute__((sysv_abi)) static uint64_t helper_sysv(uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                                                      uint64_t e, struct jit_run *from)
{
    const uint64_t args[] = {a, b, c, d, e};
    seen.misaligned += (uintptr_t)__builtin_frame_address(0) % 16 != 0;
    return note_call(args, from);
}

__attribute__((ms_abi)) static uint64_t helper_windows(uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                                                       uint64_t e, struct jit_run *from)
{
    const uint64_t args[] = {a, b, c, d, e};
    seen.misaligned += (uintptr_t)__builtin_frame_address(0) % 16 != 0;
    return note_call(args, from);
}

static void set_helper(void)
{
    bool windows = m.config->abi == JIT_ABI_WINDOWS;
    m.helpers[1] = (struct jit_helper){.address = windows ? (uint64_t)(uintptr_t)helper_windows
                                                          : (uint64_t)(uintptr_t)helper_sysv,
                                       .kind = JIT_HELPER_CALL,
                                       .arg_count = 5};
    seen.calls = seen.misaligned = 0;
}

// Values live over the call; arguments change places; all come through, and the run.
static void helper_calls(void)
{
    set_helper();
    if (!assemble("r6 = *(u64 *)(r1 + 0)\nr7 = *(u64 *)(r1 + 8)\nr8 = r1\nr9 = r2\n"
                  "r1 = r2\nr2 = r7\nr3 = r6\nr4 = 0x12345678\nr5 = 7\ncall 1\n"
                  "r6 += r0\nr1 = r6\nr2 = *(u64 *)(r8 + 0)\nr3 = r9\nr4 = r7\nr5 = r8\ncall 1\n"
                  "r0 += r6\nexit\n")) {
        return;
    }
    uint64_t words[] = {1000, 77}, base = (uint64_t)(uintptr_t)m.memory;
    memcpy(m.memory, words, sizeof(words));
    uint64_t first = 5 + 2 * 77 + 3 * 1000 + 4 * UINT64_C(0x12345678) + 5 * 7 + 1000;
    uint64_t second = first + 2 * 1000 + 3 * 5 + 4 * 77 + 5 * base;
    expect(run(base, 5), first + second, "");
    expect(seen.calls, 2, "calls");
    expect(seen.args[4], base, "fifth argument");
    expect((uint64_t)(uintptr_t)seen.run, (uint64_t)(uintptr_t)&m.run, "run");
    expect(seen.misaligned, 0, "misaligned stacks");
}
static void helpers_get_their_arguments(void)
{
    each_config(helper_calls);
}

// What jit_frame says is what the bytes of the prologue do.
static void check_frame(const struct jit_frame *frame)
{
    const uint8_t *code = m.code.code + frame->start;
    uint32_t at = memcmp(code, "\xf3\x0f\x1e\xfa", 4) == 0 ? 4 : 0;
    expect(at != 0, frame->start == 0, "endbr64 at the entry, nowhere else");
    for (unsigned i = 0; i < frame->pushed_count; i++) {
        unsigned high = code[at] == 0x41;
        expect(code[at + high], 0x50u | (frame->pushed[i] & 7u), "push");
        expect(high, frame->pushed[i] >> 3, "REX of push");
        at += 1 + high;
        expect(frame->push_end[i], at, "end of push");
    }
    if (frame->allocated != 0) {
        bool byte = code[at + 1] == 0x83;
        expect(code[at + 2], 0xec, "sub rsp");
        expect(byte ? code[at + 3] : code[at + 3] | (uint32_t)code[at + 4] << 8, frame->allocated,
               "allocation");
        at += byte ? 4 : 7;
    }
    expect(frame->prologue, at, "length of the prologue");
}

static void check_frames(void)
{
    for (uint32_t i = 0; i < m.code.frame_count; i++) {
        check_frame(&m.frames[i]);
    }
}

static bool has_bytes(const char *bytes, size_t size)
{
    for (size_t i = 0; i + size <= m.code.size; i++) {
        if (memcmp(m.code.code + i, bytes, size) == 0) {
            return true;
        }
    }
    return false;
}

static void indirect_jumps(void)
{
    set_helper();
    if (assemble("r2 = 2\nr3 = 3\nr4 = 4\nr5 = 5\ncall 1\nexit\n")) {
        expect(has_bytes("\x41\xff\xe3", 3), !m.config->retpoline, "jmp r11"); // of the stub
        expect(has_bytes("\x4c\x89\x1c\x24\xc3", 5), m.config->retpoline, "retpoline");
        expect(run(1, 0), 1 + 4 + 9 + 16 + 25, "");
    }
}
static void retpolines_take_the_place_of_indirect_jumps(void)
{
    each_config(indirect_jumps);
}

static void local_calls(void)
{
    set_helper();
    if (!assemble(
            "r6 = r1\nr7 = r2\nr1 = 1\nr2 = r6\nr3 = r7\nr4 = 4\nr5 = 5\n"
            "*(u64 *)(r10 - 8) = r7\n"
            "call_local sum\n"
            "r1 = *(u64 *)(r10 - 8)\nr0 += r1\nr0 += r6\nr0 += r7\nexit\n"
            "sum:\n*(u64 *)(r10 - 8) = r1\n*(u64 *)(r10 - 16) = r5\nr6 = r2\nr7 = r3\nr8 = r4\nr1 = r3\n"
            "call_local twice\nr0 += r6\nr0 += r7\nr0 += r8\nr1 = *(u64 *)(r10 - 8)\nr0 += r1\n"
            "r1 = *(u64 *)(r10 - 16)\nr0 += r1\nexit\n"
            "twice:\nr6 = r1\nr6 *= 2\nr1 = r6\nr2 = 0\nr3 = 0\nr4 = 0\nr5 = 0\ncall 1\n"
            "*(u64 *)(r10 - 8) = r0\nr0 = *(u64 *)(r10 - 8)\nexit\n")) {
        return;
    }
    uint64_t a = 1000000, b = 333;
    expect(run(a, b), 2 * b + a + b + 4 + 1 + 5 + b + a + b, "");
    expect(seen.calls, 1, "calls");
    expect(seen.misaligned, 0, "misaligned stacks");
    check_frames();
}
static void functions_call_one_another(void)
{
    each_config(local_calls);
}

// --- many values, long code ----------------------------------------------------------------------

static uint32_t append(char *text, uint32_t size, uint32_t at, const char *format, unsigned a, unsigned b)
{
    return at + (uint32_t)str_format(text + at, size - at, format, a, b);
}

// Forty stack words are live at once, promoted or not.
static void pressure(void)
{
    static char text[16384];
    uint32_t n = 0;
    uint64_t wanted = 0;
    n = append(text, sizeof(text), n, "r6 = r1\nr7 = r2\n", 0, 0);
    for (unsigned i = 1; i <= 40; i++) {
        n = append(text, sizeof(text), n, "r3 = r6\nr3 *= %u\nr3 ^= r7\n*(u64 *)(r10 - %u) = r3\n", i, i * 8);
    }
    n = append(text, sizeof(text), n, "r0 = 0\n", 0, 0);
    for (unsigned i = 1; i <= 40; i++) {
        n = append(text, sizeof(text), n, "r3 = *(u64 *)(r10 - %u)\nr4 = r3\nr4 >>= %u\nr0 += r3\nr0 *= r4\n",
                   i * 8, i % 7);
    }
    append(text, sizeof(text), n, "exit\n", 0, 0);
    for (unsigned i = 1; i <= 40; i++) {
        uint64_t word = (UINT64_C(987654321) * i) ^ 12345;
        wanted = (wanted + word) * (word >> (i % 7));
    }
    if (assemble(text)) {
        m.what = "forty live values";
        expect(run(987654321, 12345), wanted, "");
    }
}
static void values_that_find_no_register_are_spilled(void)
{
    each_config(pressure);
}

// Branches over every distance round the limit of a byte, forwards and back.
static void distances(void)
{
    static char text[32768];
    for (unsigned length = 0; length < 70; length += m.config->passes == 0 ? 1 : 7) {
        uint32_t n = append(text, sizeof(text), 0, "r0 = 0\nr3 = 3\nagain:\nif r1 == r2 goto over\n", 0, 0);
        for (unsigned i = 0; i < length; i++) {
            n = append(text, sizeof(text), n, "r0 ^= r1\nr0 += %u\n", i, 0);
        }
        n = append(text, sizeof(text), n, "over:\nr0 += 1\nr3 -= 1\nif r3 != 0 goto again\nr0 += 100\nexit\n",
                   0, 0);
        if (!assemble(text)) {
            return;
        }
        uint64_t wanted = 0;
        for (unsigned round = 0; round < 3; round++) {
            for (unsigned i = 0; i < length; i++) {
                wanted = (wanted ^ 5) + i;
            }
            wanted++;
        }
        m.what = "branch distances";
        expect(run(5, 6), wanted + 100, "not taken");
        expect(run(5, 5), 103, "taken");
    }
}
static void branches_reach_every_distance(void)
{
    each_config(distances);
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

// The end of the loop is written behind each of the ways through its body, with what each has to move, and
// behind a block that two of them share.
static void loop_ends(void)
{
    static const char text[] = "r0 = r1\nr3 = 0\n"
                               "again:\nr4 = r0\nr4 &= 7\n"
                               "if r4 == 0 goto swap\nif r4 == 1 goto add\nif r4 == 2 goto shared\n"
                               "if r4 == 3 goto more\nif r4 == 4 goto next\nif r4 == 5 goto turn\n"
                               "r0 *= 5\ngoto next\n"
                               "swap:\nr5 = r0\nr0 = r2\nr2 = r5\ngoto next\n"
                               "add:\nr0 += r2\ngoto next\n"
                               "turn:\nr0 ^= -1\ngoto next\n"
                               "more:\nr2 += r3\n"
                               "shared:\nr0 -= r2\n"
                               "next:\nr0 += 3\nr3 += 1\nif r3 != 1000 goto again\nr0 ^= r2\nexit\n";
    enum { TEST = 24 };
    if (!assemble(text)) {
        return;
    }
    uint64_t a = 12345, b = 678, old;
    for (uint64_t i = 0; i < 1000; i++, a += 3) {
        switch (a & 7) {
        case 0: old = a, a = b, b = old; break;
        case 1: a += b; break;
        case 3: b += i; // fall through
        case 2: a -= b; break;
        case 4: break;
        case 5: a = ~a; break;
        default: a *= 5; break;
        }
    }
    CHECK_EQ(m.insns[TEST].id, INSN_JNE64_IMM);
    expect(m.config->blind || times_written(TEST) > 3, true, "copies"); // blinded it is longer
    m.what = "ends of a loop";
    expect(run(12345, 678), a ^ b, "");
}
static void ends_of_loops_are_copied_rightly(void)
{
    each_config(loop_ends);
}

// Whatever room is missing, nothing is written where there is none, and the caller is told which.
static void short_of_room(void)
{
    uint32_t bad_pc;
    set_helper();
    if (!assemble(
            "r6 = r1\nr7 = 5\nagain:\nr1 = r6\nr2 = 2\nr3 = 3\nr4 = 4\nr5 = 5\ncall 1\nr6 += r0\nr7 -= 1\n"
            "if r7 != 0 goto again\nr1 = r6\nr2 = 0\nr3 = 0\nr4 = 0\nr5 = 0\ncall_local half\nexit\n"
            "half:\nr0 = r1\nr0 /= 2\nexit\n")) {
        return;
    }
    struct jit_options options = options_of(m.config);
    size_t full = m.code.size, used = m.code.workspace_used;
    for (size_t capacity = 0; capacity < full; capacity++) {
        struct jit_code code = {.code = m.buffer, .capacity = capacity};
        memset(m.buffer, 0xee, full + 64);
        expect(jit_translate(&m.input, &options, m.workspace, WORKSPACE, &code, &bad_pc),
               EBPF_INSUFFICIENT_BUFFER, "result");
        for (size_t i = capacity; i < full + 64; i++) {
            expect(m.buffer[i], 0xee, "byte behind the buffer");
        }
    }
    for (size_t size = 0; size < used; size += 208) {
        struct jit_code code = {.code = m.buffer, .capacity = CODE};
        ebpf_result_t result = jit_translate(&m.input, &options, m.workspace, size, &code, &bad_pc);
        expect(result == EBPF_NO_MEMORY || result == EBPF_SUCCESS, true, "result with little workspace");
    }
}
static void missing_room_is_reported(void)
{
    each_config(short_of_room);
}

TEST_SUITE(x86)
{
    RUN(missing_room_is_reported);
    RUN(every_arithmetic_row);
    RUN(every_jump_row);
    RUN(every_atomic_row);
    RUN(every_load_and_store_row);
    RUN(helpers_get_their_arguments);
    RUN(retpolines_take_the_place_of_indirect_jumps);
    RUN(functions_call_one_another);
    RUN(values_that_find_no_register_are_spilled);
    RUN(branches_reach_every_distance);
    RUN(ends_of_loops_are_copied_rightly);
}

#else

static void machine_code(void)
{
    SKIP("runs on x86-64");
}

TEST_SUITE(x86)
{
    RUN(machine_code);
}
#endif
