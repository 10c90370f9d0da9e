// SPDX-License-Identifier: MIT
// build_memory: loads, stores and atomics.
#include "jit/build.h"

static const uint8_t atomic_ops[SEM_COUNT] = {
    [SEM_ATOMIC_ADD] = IR_ATOMIC_ADD,      [SEM_ATOMIC_OR] = IR_ATOMIC_OR,
    [SEM_ATOMIC_AND] = IR_ATOMIC_AND,      [SEM_ATOMIC_XOR] = IR_ATOMIC_XOR,
    [SEM_ATOMIC_FETCH_ADD] = IR_FETCH_ADD, [SEM_ATOMIC_FETCH_OR] = IR_FETCH_OR,
    [SEM_ATOMIC_FETCH_AND] = IR_FETCH_AND, [SEM_ATOMIC_FETCH_XOR] = IR_FETCH_XOR,
    [SEM_ATOMIC_XCHG] = IR_XCHG,           [SEM_ATOMIC_CMPXCHG] = IR_CMPXCHG,
};

static uint32_t access(struct build *b, enum ir_op op, const struct insn *in, uint8_t base, uint32_t stored)
{
    uint32_t address = build_read(b, base);
    uint32_t value = build_emit(b, op, insn_info(in->id)->width, address, IR_NONE, 0);
    struct ir_value *v = ir_at(&b->j->ir, value);
    if (!b->full) {
        v->c = stored;
        v->disp = in->off;
    }
    return value;
}

static ebpf_result_t build_atomic(struct build *b, const struct insn *in)
{
    uint8_t op = atomic_ops[insn_info(in->id)->sem];
    if (op == 0) {
        return jit_refuse(b->j, b->pc);
    }
    uint32_t value = access(b, (enum ir_op)op, in, in->dst, build_read(b, in->src));
    if (op == IR_CMPXCHG) {
        ir_at(&b->j->ir, value)->b = build_read(b, 0);
        build_write(b, 0, value);
    } else if (op >= IR_FETCH_ADD) {
        build_write(b, in->src, value);
    }
    return EBPF_SUCCESS;
}

ebpf_result_t build_memory(struct build *b, const struct insn *in)
{
    switch (insn_info(in->id)->sem) {
    case SEM_LDX: build_write(b, in->dst, access(b, IR_LOAD, in, in->src, IR_NONE)); break;
    case SEM_LDXS: build_write(b, in->dst, access(b, IR_LOADS, in, in->src, IR_NONE)); break;
    case SEM_ST: (void)access(b, IR_STORE, in, in->dst, build_const(b, in->imm)); break;
    case SEM_STX: (void)access(b, IR_STORE, in, in->dst, build_read(b, in->src)); break;
    default: return build_atomic(b, in);
    }
    return EBPF_SUCCESS;
}
