// SPDX-License-Identifier: MIT
// interp: the interpreter: direct-threaded, one handler per row of isa.def, arithmetic from isa_ops.def. A
// row without a handler does not compile.
//
// Invariants: operations come from interp_decode; the program was verified (or is trusted, in raw runs), so
// addresses are not checked. Registers are C locals; the program's stack is the slot's, not the kernel's.
#include "runtime/runtime_int.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the interpreter runs on little-endian machines");

// --- what instructions compute: expanded from isa_ops.def ----------------------------------------

#define U uint64_t
#define S int64_t
#define W 64
#define ALU_OP(sem, text, expression)                                                                        \
    static inline uint64_t alu64_##sem(U d, U s)                                                             \
    {                                                                                                        \
        UNUSED(d);                                                                                           \
        UNUSED(s);                                                                                           \
        return (expression);                                                                                 \
    }
#define JMP_OP(sem, text, condition)                                                                         \
    static inline bool jump64_##sem(U d, U s)                                                                \
    {                                                                                                        \
        return (condition);                                                                                  \
    }
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
#undef U
#undef S
#undef W

#define U uint32_t
#define S int32_t
#define W 32
#define ALU_OP(sem, text, expression)                                                                        \
    static inline uint64_t alu32_##sem(U d, U s)                                                             \
    {                                                                                                        \
        UNUSED(d);                                                                                           \
        UNUSED(s);                                                                                           \
        return (U)(expression);                                                                              \
    }
#define JMP_OP(sem, text, condition)                                                                         \
    static inline bool jump32_##sem(U d, U s)                                                                \
    {                                                                                                        \
        return (condition);                                                                                  \
    }
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
#undef U
#undef S
#undef W

// Byte order, with the shape of the other unary operations.
#define BYTE_ORDER_OPS(width)                                                                                \
    static inline uint64_t alu##width##_LE(uint64_t d, uint64_t s)                                           \
    {                                                                                                        \
        UNUSED(s);                                                                                           \
        return (uint##width##_t)d;                                                                           \
    }                                                                                                        \
    static inline uint64_t alu##width##_BE(uint64_t d, uint64_t s)                                           \
    {                                                                                                        \
        UNUSED(s);                                                                                           \
        return __builtin_bswap##width((uint##width##_t)d);                                                   \
    }                                                                                                        \
    static inline uint64_t alu##width##_BSWAP(uint64_t d, uint64_t s)                                        \
    {                                                                                                        \
        return alu##width##_BE(d, s);                                                                        \
    }
BYTE_ORDER_OPS(16)
BYTE_ORDER_OPS(32)
BYTE_ORDER_OPS(64)

// --- memory: addresses need no alignment ---------------------------------------------------------

#define LOAD_OP(sem, type, width)                                                                            \
    static inline uint64_t load##width##_##sem(const void *at)                                               \
    {                                                                                                        \
        type value;                                                                                          \
        memcpy(&value, at, sizeof(value));                                                                   \
        return (uint64_t)(int64_t)value;                                                                     \
    }
#define STORE_OP(width)                                                                                      \
    static inline void store##width(void *at, uint64_t reg)                                                  \
    {                                                                                                        \
        uint##width##_t value = (uint##width##_t)reg;                                                        \
        memcpy(at, &value, sizeof(value));                                                                   \
    }
LOAD_OP(LDX, uint8_t, 8)
LOAD_OP(LDX, uint16_t, 16)
LOAD_OP(LDX, uint32_t, 32)
LOAD_OP(LDX, uint64_t, 64)
LOAD_OP(LDXS, int8_t, 8)
LOAD_OP(LDXS, int16_t, 16)
LOAD_OP(LDXS, int32_t, 32)
STORE_OP(8)
STORE_OP(16)
STORE_OP(32)
STORE_OP(64)

// --- packet loads: big endian, at an offset from the start of the data ---------------------------

static bool load_packet(const struct run *run, uint64_t off, unsigned bytes, uint64_t *out)
{
    const struct run_data *data = run->context;
    uint64_t size, value = 0;
    if (run->prog == NULL || run->prog->type == PROG_TYPE_RAW_MEMORY) {
        data = &run->packet;
    }
    size = (uint64_t)(data->data_end - data->data);
    if (off > size || size - off < bytes) {
        return false;
    }
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | data->data[off + i];
    }
    *out = value;
    return true;
}

// --- calls by number -----------------------------------------------------------------------------

static uint64_t call_raw(struct run *run, uint64_t number, const uint64_t *regs)
{
    const uint64_t args[5] = {regs[1], regs[2], regs[3], regs[4], regs[5]};
    return run->raw_helper(number, args);
}

// callx: the register holds the dialect's number of a helper.
static uint64_t call_number(const struct interp_code *code, struct run *run, uint64_t number,
                            const uint64_t *r)
{
    uint32_t id = HELPER_NONE;
    if (run->raw_helper != NULL) {
        return call_raw(run, number, r);
    }
    if (number <= UINT32_MAX) {
        id =
            spec_helper_by_number(code->spec, (enum dialect)code->dialect, code->prog_type, (uint32_t)number);
    }
    helper_fn fn = helper_function(code->spec, code->prog_type, id);
    return fn != NULL ? fn(r[1], r[2], r[3], r[4], r[5], run) : helper_result(EBPF_INVALID_ARGUMENT);
}

// --- the machine ---------------------------------------------------------------------------------

struct machine {
    const struct interp_code *code;
    struct run *run;
    struct run_stack *stack;
    uint64_t result;
    uint32_t turns; // that may_goto still grants to this run, whichever function asks
};

static uint64_t frame_top(struct run_stack *stack, unsigned depth)
{
    return (uintptr_t)stack->bytes[depth] + INSN_STACK_SIZE;
}

// Handlers by form. `r` are the registers, `op` the operation; each ends by going to the next handler.
#define NEXT                                                                                                 \
    do {                                                                                                     \
        op++;                                                                                                \
        goto * op->label;                                                                                    \
    } while (0)
#define DST(width)   (uint##width##_t) r[op->dst]
#define SRC(width)   (uint##width##_t) r[op->src]
#define IMM(width)   (uint##width##_t) op->imm
#define ADDRESS(reg) ((void *)(uintptr_t)(r[reg] + (uint64_t)(int64_t)op->off))
#define DO_ALU_IMM(sem, width)                                                                               \
    r[op->dst] = alu##width##_##sem(DST(width), IMM(width));                                                 \
    NEXT;
#define DO_ALU_REG(sem, width)                                                                               \
    r[op->dst] = alu##width##_##sem(DST(width), SRC(width));                                                 \
    NEXT;
#define DO_ALU_UNARY(sem, width)                                                                             \
    r[op->dst] = alu##width##_##sem(DST(width), 0);                                                          \
    NEXT;
#define DO_JMP_IMM(sem, width)                                                                               \
    if (jump##width##_##sem(DST(width), IMM(width))) {                                                       \
        op += op->off;                                                                                       \
    }                                                                                                        \
    NEXT;
#define DO_JMP_REG(sem, width)                                                                               \
    if (jump##width##_##sem(DST(width), SRC(width))) {                                                       \
        op += op->off;                                                                                       \
    }                                                                                                        \
    NEXT;
#define DO_JA16(sem, width)                                                                                  \
    op += op->off;                                                                                           \
    NEXT;
#define DO_JA32(sem, width)                                                                                  \
    op += op->off;                                                                                           \
    NEXT;
#define DO_MAY_GOTO(sem, width)                                                                              \
    if (m->turns == 0) {                                                                                     \
        op += op->off;                                                                                       \
    } else {                                                                                                 \
        m->turns--;                                                                                          \
    }                                                                                                        \
    NEXT;
#define DO_LOAD(sem, width)                                                                                  \
    r[op->dst] = load##width##_##sem(ADDRESS(op->src));                                                      \
    NEXT;
#define DO_STORE_IMM(sem, width)                                                                             \
    store##width(ADDRESS(op->dst), (uint64_t)op->imm);                                                       \
    NEXT;
#define DO_STORE_REG(sem, width)                                                                             \
    store##width(ADDRESS(op->dst), r[op->src]);                                                              \
    NEXT;
#define DO_LDDW(sem, width)                                                                                  \
    r[op->dst] = (uint64_t)op->imm;                                                                          \
    op++;                                                                                                    \
    NEXT;
#define DO_LDABS(sem, width)                                                                                 \
    if (!load_packet(m->run, IMM(32), width / 8, &r[0])) {                                                   \
        goto abort_run;                                                                                      \
    }                                                                                                        \
    NEXT;
#define DO_LDIND(sem, width)                                                                                 \
    if (!load_packet(m->run, (uint32_t)(IMM(32) + SRC(32)), width / 8, &r[0])) {                             \
        goto abort_run;                                                                                      \
    }                                                                                                        \
    NEXT;
#define DO_CALLX(sem, width)                                                                                 \
    r[0] = call_number(m->code, m->run, r[op->dst], r);                                                      \
    NEXT;
#define DO_CALL(sem, width) RUN_##sem
#define RUN_CALL                                                                                             \
    r[0] = op->fn(r[1], r[2], r[3], r[4], r[5], m->run);                                                     \
    NEXT;
#define RUN_CALL_BTF        goto abort_run;
#define RUN_CALL_LOCAL      goto call_local;
#define DO_EXIT(sem, width) goto leave;
#define DO_ATOMIC(sem, width)                                                                                \
    RUN_##sem(width);                                                                                        \
    NEXT;

// Atomics: sequentially consistent, as RFC 9669 leaves nothing weaker.
#define CELL(width)                 ((uint##width##_t *)ADDRESS(op->dst))
#define FETCH(op_name, width)       __atomic_fetch_##op_name(CELL(width), SRC(width), __ATOMIC_SEQ_CST)
#define RUN_ATOMIC_ADD(width)       (void)FETCH(add, width)
#define RUN_ATOMIC_OR(width)        (void)FETCH(or, width)
#define RUN_ATOMIC_AND(width)       (void)FETCH(and, width)
#define RUN_ATOMIC_XOR(width)       (void)FETCH(xor, width)
#define RUN_ATOMIC_FETCH_ADD(width) r[op->src] = FETCH(add, width)
#define RUN_ATOMIC_FETCH_OR(width)  r[op->src] = FETCH(or, width)
#define RUN_ATOMIC_FETCH_AND(width) r[op->src] = FETCH(and, width)
#define RUN_ATOMIC_FETCH_XOR(width) r[op->src] = FETCH(xor, width)
#define RUN_ATOMIC_XCHG(width)      r[op->src] = __atomic_exchange_n(CELL(width), SRC(width), __ATOMIC_SEQ_CST)
#define RUN_ATOMIC_CMPXCHG(width)                                                                            \
    do {                                                                                                     \
        uint##width##_t expected = (uint##width##_t)r[0];                                                    \
        __atomic_compare_exchange_n(CELL(width), &expected, SRC(width), false, __ATOMIC_SEQ_CST,             \
                                    __ATOMIC_SEQ_CST);                                                       \
        r[0] = expected;                                                                                     \
    } while (0)

// Runs `m`, or, with NULL, only gives the addresses of its handlers. Accesses of programs to map values are
// races by design, like those of machine code: ThreadSanitizer does not look here.
__attribute__((noinline, no_sanitize_thread)) static const struct interp_labels *execute(struct machine *m)
{
    static const struct interp_labels labels = {
        .by_id =
            {
#define INSN(id, ...) [INSN_##id] = &&op_##id,
#include "isa/isa.def"
#undef INSN
            },
        .raw_call = &&raw_call,
        .end = &&abort_run,
        .observer = &&observer,
    };
    uint64_t r[INSN_REG_COUNT] = {0};
    unsigned depth = 0;

    if (m == NULL) {
        return &labels;
    }
    r[1] = m->run->r1;
    r[2] = m->run->r2;
    r[10] = frame_top(m->stack, 0);
    const struct interp_op *op = m->code->ops;
    goto * op->label;

#define INSN(id, opcode, selector, value, mnemonic, form, sem, width, group) op_##id : DO_##form(sem, width)
#include "isa/isa.def"
#undef INSN

raw_call:
    r[0] = call_raw(m->run, (uint64_t)op->imm, r);
    NEXT;

call_local:
    if (depth == INSN_MAX_FRAMES - 1) {
        goto abort_run;
    }
    m->stack->frames[depth].back = op + 1;
    memcpy(m->stack->frames[depth].r6_to_r9, &r[6], sizeof(m->stack->frames[depth].r6_to_r9));
    r[10] = frame_top(m->stack, ++depth);
    op += op->off;
    NEXT;

leave:
    if (depth == 0) {
        m->result = r[0];
        return NULL;
    }
    depth--;
    memcpy(&r[6], m->stack->frames[depth].r6_to_r9, sizeof(m->stack->frames[depth].r6_to_r9));
    r[10] = frame_top(m->stack, depth);
    op = m->stack->frames[depth].back;
    goto * op->label;

observer:
    m->code->observe(m->code->observe_user, (uint32_t)(op - m->code->ops), r);
    goto * m->code->observed[op - m->code->ops];

abort_run: // a packet load out of range ends the program; nothing else gets here in a verified program
    m->result = 0;
    return NULL;
}

const struct interp_labels *interp_labels(void)
{
    return execute(NULL);
}

ebpf_result_t interp_run(const struct interp_code *code, struct run *run, uint64_t *result)
{
    struct cpu_state *cpu = &run->rt->cpus[run->slot];
    struct machine m = {.code = code, .run = run, .turns = INSN_MAY_GOTO_TURNS};
    if (cpu->nest == RUN_NEST_MAX) {
        return EBPF_INVALID_STATE;
    }
    m.stack = &cpu->stacks[cpu->nest++];
    execute(&m);
    cpu->nest--;
    *result = m.result;
    return EBPF_SUCCESS;
}
