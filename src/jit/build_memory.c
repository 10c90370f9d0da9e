// SPDX-License-Identifier: MIT
// build_memory: atomics. Loads and stores are in build_insn.c.
#include "jit/build.h"

static const uint8_t atomic_ops[SEM_COUNT] = {
    [SEM_ATOMIC_ADD] = IR_ATOMIC_ADD,      [SEM_ATOMIC_OR] = IR_ATOMIC_OR,
    [SEM_ATOMIC_AND] = IR_ATOMIC_AND,      [SEM_ATOMIC_XOR] = IR_ATOMIC_XOR,
    [SEM_ATOMIC_FETCH_ADD] = IR_FETCH_ADD, [SEM_ATOMIC_FETCH_OR] = IR_FETCH_OR,
    [SEM_ATOMIC_FETCH_AND] = IR_FETCH_AND, [SEM_ATOMIC_FETCH_XOR] = IR_FETCH_XOR,
    [SEM_ATOMIC_XCHG] = IR_XCHG,           [SEM_ATOMIC_CMPXCHG] = IR_CMPXCHG,
};

ebpf_result_t build_atomic(struct build *b, const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    uint8_t op = atomic_ops[info->sem];
    if (op == 0) {
        return jit_refuse(b->j, b->pc);
    }
    uint32_t stored = build_read(b, in->src), address = build_read(b, in->dst);
    uint32_t value = build_emit(b, (enum ir_op)op, info->width, address, IR_NONE, 0);
    struct ir_value *v = ir_at(&b->j->ir, value);
    if (b->full) {
        return EBPF_NO_MEMORY;
    }
    v->c = stored;
    v->disp = in->off;
    if (op == IR_CMPXCHG) {
        v->b = build_read(b, 0);
        build_write(b, 0, value);
    } else if (op >= IR_FETCH_ADD) {
        build_write(b, in->src, value);
    }
    return EBPF_SUCCESS;
}
