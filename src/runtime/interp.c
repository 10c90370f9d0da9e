// SPDX-License-Identifier: MIT
// interp: the interpreter: direct-threaded, one handler per row of isa.def, arithmetic from isa_ops.def. A
// row without a handler does not compile.
//
// Invariants: operations come from interp_decode; the program was verified (or is trusted, in raw runs), so
// addresses are not checked. Registers are C locals; the program's stack is the slot's, not the kernel's.
#include "runtime/interp.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the interpreter runs on little-endian machines");

// --- what instructions compute: expanded from isa_ops.def ----------------------------------------

#include "isa/isa_functions.def"

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

// --- the machine ---------------------------------------------------------------------------------

struct saved_frame {
    const struct interp_op *back; // operation to return to
    uint64_t r6_to_r9[4];
};

struct machine {
    const struct interp_code *code;
    struct run *run;
    struct run_stack *stack;
    uint64_t result;
    unsigned depth; // of local calls
    struct saved_frame frames[INSN_MAX_FRAMES];
};

static uint64_t call_number(struct run *run, uint64_t number, const uint64_t *r)
{
    run->jit.number = number;
    return helper_call_number(r[1], r[2], r[3], r[4], r[5], run);
}

static uint64_t call_helper(const struct machine *m, int32_t id, const uint64_t *r)
{
    helper_fn fn = (helper_fn)(uintptr_t)m->run->rt->helpers[id].address;
    return fn(r[1], r[2], r[3], r[4], r[5], m->run);
}

static uint64_t frame_top(struct run_stack *stack, unsigned depth)
{
    return (uintptr_t)stack->bytes[depth] + INSN_STACK_SIZE;
}

static inline const struct interp_op *start(const struct machine *m, uint64_t *r)
{
    r[1] = m->run->r1;
    r[2] = m->run->r2;
    r[10] = frame_top(m->stack, 0);
    return m->code->ops;
}

// Into a local call: its first operation, or NULL when there is no frame left.
static inline const struct interp_op *enter(struct machine *m, uint64_t *r, const struct interp_op *op)
{
    struct saved_frame *frame = &m->frames[m->depth];
    if (m->depth == INSN_MAX_FRAMES - 1) {
        return NULL;
    }
    frame->back = op + 1;
    memcpy(frame->r6_to_r9, &r[6], sizeof(frame->r6_to_r9));
    r[10] = frame_top(m->stack, ++m->depth);
    return (const struct interp_op *)(const void *)((const char *)op + op->imm);
}

// Back to the caller: the operation behind the call, or NULL when there is no caller.
static inline const struct interp_op *leave(struct machine *m, uint64_t *r)
{
    if (m->depth == 0) {
        m->result = r[0];
        return NULL;
    }
    const struct saved_frame *frame = &m->frames[--m->depth];
    memcpy(&r[6], frame->r6_to_r9, sizeof(frame->r6_to_r9));
    r[10] = frame_top(m->stack, m->depth);
    return frame->back;
}

// Handlers by form. `r` are the registers, `op` the operation; each ends by going to the next handler, from a
// place of its own, so that the CPU predicts what follows each kind of operation.
#define GO goto * op->label
#define NEXT                                                                                                 \
    op++;                                                                                                    \
    GO
#define FAR                                                                                                  \
    op = (const struct interp_op *)(const void *)((const char *)op + op->imm);                               \
    GO
#define DST(width)   (uint##width##_t) r[op->dst]
#define SRC(width)   (uint##width##_t) r[op->src]
#define IMM(width)   (uint##width##_t)(int64_t) op->imm
#define SHORT(width) (uint##width##_t)(int64_t) op->off
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
        FAR;                                                                                                 \
    }                                                                                                        \
    NEXT;
#define DO_JA16(sem, width) FAR;
#define DO_JA32(sem, width) FAR;
#define DO_MAY_GOTO(sem, width)                                                                              \
    if (m->run->jit.turns == 0) {                                                                            \
        FAR;                                                                                                 \
    }                                                                                                        \
    m->run->jit.turns--;                                                                                     \
    NEXT;
#define DO_LOAD(sem, width)                                                                                  \
    r[op->dst] = load##width##_##sem(ADDRESS(op->src));                                                      \
    NEXT;
#define DO_STORE_IMM(sem, width)                                                                             \
    store##width(ADDRESS(op->dst), IMM(64));                                                                 \
    NEXT;
#define DO_STORE_REG(sem, width)                                                                             \
    store##width(ADDRESS(op->dst), r[op->src]);                                                              \
    NEXT;
#define DO_LDDW(sem, width)                                                                                  \
    r[op->dst] = op[1].value;                                                                                \
    op++;                                                                                                    \
    NEXT;
#define DO_LDABS(sem, width) DO_PACKET(IMM(32), width)
#define DO_LDIND(sem, width) DO_PACKET((uint32_t)(IMM(32) + SRC(32)), width)
#define DO_PACKET(offset, width)                                                                             \
    r[0] = helper_load_packet(offset, width / 8, 0, 0, 0, m->run);                                           \
    if (m->run->jit.aborted != 0) {                                                                          \
        goto abort_run;                                                                                      \
    }                                                                                                        \
    NEXT;
#define DO_CALLX(sem, width)                                                                                 \
    r[0] = call_number(m->run, r[op->dst], r);                                                               \
    NEXT;
#define DO_CALL(sem, width) RUN_##sem
#define RUN_CALL                                                                                             \
    r[0] = call_helper(m, op->imm, r);                                                                       \
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

// Two operations at once, where the second one is in nobody's way: a copy and what is computed with it, and a
// step and the test behind it. The second one's own handler stays, for those who jump to it. SHORT jumps have
// their number in `off` and the distance in `imm`.
#define PAIR_ALU_IMM(id, sem, width)                                                                         \
    copy_##id : r[op->dst] = alu##width##_##sem(SRC(width), (uint##width##_t)(int64_t)op[1].imm);            \
    op++;                                                                                                    \
    NEXT;
#define PAIR_ALU_REG(id, sem, width)                                                                         \
    copy_##id : r[op->dst] = alu##width##_##sem(SRC(width), (uint##width##_t)r[op[1].src]);                  \
    op++;                                                                                                    \
    NEXT;
#define PAIR_JMP_IMM(id, sem, width)                                                                         \
    step_##id : r[op->dst] += IMM(64);                                                                       \
    op++;                                                                                                    \
    short_##id : if (jump##width##_##sem(DST(width), SHORT(width)))                                          \
    {                                                                                                        \
        FAR;                                                                                                 \
    }                                                                                                        \
    NEXT;
#define PAIR_JMP_REG(id, sem, width)                                                                         \
    step_##id : r[op->dst] += IMM(64);                                                                       \
    op++;                                                                                                    \
    DO_JMP_REG(sem, width)
#define PAIR_ALU_UNARY(id, sem, width)
#define PAIR_JA16(id, sem, width)
#define PAIR_JA32(id, sem, width)
#define PAIR_MAY_GOTO(id, sem, width)
#define PAIR_LOAD(id, sem, width)
#define PAIR_STORE_IMM(id, sem, width)
#define PAIR_STORE_REG(id, sem, width)
#define PAIR_LDDW(id, sem, width)
#define PAIR_LDABS(id, sem, width)
#define PAIR_LDIND(id, sem, width)
#define PAIR_CALLX(id, sem, width)
#define PAIR_CALL(id, sem, width)
#define PAIR_EXIT(id, sem, width)
#define PAIR_ATOMIC(id, sem, width)
#define NO_PAIR(id)        {NULL, NULL, NULL}
#define LABELS_ALU_IMM(id) {&&copy_##id, NULL, NULL}
#define LABELS_ALU_REG(id) {&&copy_##id, NULL, NULL}
#define LABELS_JMP_IMM(id) {NULL, &&step_##id, &&short_##id}
#define LABELS_JMP_REG(id) {NULL, &&step_##id, NULL}
#define LABELS_ALU_UNARY   NO_PAIR
#define LABELS_JA16        NO_PAIR
#define LABELS_JA32        NO_PAIR
#define LABELS_MAY_GOTO    NO_PAIR
#define LABELS_LOAD        NO_PAIR
#define LABELS_STORE_IMM   NO_PAIR
#define LABELS_STORE_REG   NO_PAIR
#define LABELS_LDDW        NO_PAIR
#define LABELS_LDABS       NO_PAIR
#define LABELS_LDIND       NO_PAIR
#define LABELS_CALLX       NO_PAIR
#define LABELS_CALL        NO_PAIR
#define LABELS_EXIT        NO_PAIR
#define LABELS_ATOMIC      NO_PAIR

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
        .pairs =
            {
#define INSN(id, opcode, selector, value, mnemonic, form, sem, width, group) [INSN_##id] = LABELS_##form(id),
#include "isa/isa.def"
#undef INSN
            },
        .raw_call = &&raw_call,
        .tail_call = &&tail_call,
        .end = &&abort_run,
        .observer = &&observer,
        .low_half = &&low_half,
        .signed_half = &&signed_half,
    };
    uint64_t r[INSN_REG_COUNT] = {0};

    if (m == NULL) {
        return &labels;
    }
    const struct interp_op *op = start(m, r);
    GO;

#define INSN(id, opcode, selector, value, mnemonic, form, sem, width, group)                                 \
    op_##id : DO_##form(sem, width) PAIR_##form(id, sem, width)
#include "isa/isa.def"
#undef INSN

low_half: // a shift to the left by 32, and one back
    r[op->dst] = (uint32_t)r[op->dst];
    op++;
    NEXT;

signed_half:
    r[op->dst] = (uint64_t)(int64_t)(int32_t)r[op->dst];
    op++;
    NEXT;

raw_call:
    r[0] = call_number(m->run, (uint64_t)(int64_t)op->imm, r);
    NEXT;

tail_call: // in a main function
    r[0] = call_helper(m, op->imm, r);
    if (r[0] == 0) {
        m->code = m->run->next->interp;
        op = m->code->ops;
        GO;
    }
    NEXT;

call_local:
    op = enter(m, r, op);
    if (op == NULL) {
        return NULL;
    }
    GO;

leave:
    op = leave(m, r);
    if (op == NULL) {
        return NULL;
    }
    GO;

observer:
    m->code->observe(m->code->observe_user, (uint32_t)(op - m->code->ops), r);
    goto * m->code->observed[op - m->code->ops];

abort_run: // a packet load out of range ends the program, with 0; nothing else gets here in a verified one
    return NULL;
}

const struct interp_labels *interp_labels(void)
{
    return execute(NULL);
}

uint64_t interp_run(const struct interp_code *code, struct run *run, struct run_stack *stack)
{
    struct machine m = {.code = code, .run = run, .stack = stack};
    execute(&m);
    return m.result;
}
