// SPDX-License-Identifier: MIT
// x86_emit_memory: loads, stores and atomics.
#include "jit/x86_emit.h"

static bool has_movbe(const struct x86_emitter *e)
{
    return (e->j->options->cpu & JIT_CPU_MOVBE) != 0;
}

// The address of an operation that has one: scratch registers hold parts that are in no register.
static struct x86_mem address(struct x86_emitter *e, uint32_t a, uint32_t b, const struct ir_value *v)
{
    struct x86_mem m = {X86_NO_REG, X86_NO_REG, 0, v->disp};
    if (a != IR_NONE && ir_at(e->ir, a)->op == IR_FRAME) {
        m = x86_frame(e, v->disp);
    } else if (a != IR_NONE) {
        m.base = (uint8_t)x86_source(e, a, X86_SCRATCH);
    }
    if (b != IR_NONE) {
        m.index = (uint8_t)x86_source(e, b, m.base == X86_SCRATCH ? X86_SCRATCH2 : X86_SCRATCH);
        m.scale = v->scale;
    }
    return m;
}

static struct x86_mem address_of(struct x86_emitter *e, const struct ir_value *v)
{
    return address(e, v->a, v->b, v);
}

void x86_emit_lea(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v);
    struct x86_mem m = address_of(e, v);
    if (m.base == X86_NO_REG && m.index != X86_NO_REG && m.scale == 1) {
        m = (struct x86_mem){m.index, m.index, 0, m.disp}; // without 32 bits of displacement
    }
    if (m.index == X86_NO_REG && m.base == to && m.base != X86_SCRATCH) {
        x86_alu_imm(&e->code, X86_ALU_ADD, v->width, to, m.disp);
    } else {
        x86_rm(&e->code, X86_LEA, v->width, to, m);
    }
    x86_finish(e, v, to);
}

void x86_emit_load(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v);
    x86_load(&e->code, v->width, to, address_of(e, v));
    x86_finish(e, v, to);
}

void x86_emit_loads(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v);
    enum x86_insn insn = v->width == 8 ? X86_MOVSX8 : v->width == 16 ? X86_MOVSX16 : X86_MOVSXD;
    x86_rm(&e->code, insn, 64, to, address_of(e, v));
    x86_finish(e, v, to);
}

void x86_emit_loadbe(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v);
    struct x86_mem from = address_of(e, v);
    if (v->width >= 32 && has_movbe(e)) {
        x86_rm(&e->code, X86_MOVBE, v->width, to, from);
    } else {
        x86_load(&e->code, v->width, to, from);
        if (v->width == 16) {
            x86_r(&e->code, X86_ROL_WORD_IMM8, 32, to);
            x86_bytes(&e->code, 8, 1);
        } else {
            x86_bswap(&e->code, v->width, to);
        }
    }
    x86_finish(e, v, to);
}

// The register that `value` is in while `m` is needed too. When the address took both scratch registers it is
// computed into one of them.
static unsigned data_register(struct x86_emitter *e, uint32_t value, struct x86_mem *m)
{
    if (alloc_location(e->ir, value).place == PLACE_REG) {
        return x86_source(e, value, X86_SCRATCH);
    }
    if (m->base == X86_SCRATCH && m->index == X86_SCRATCH2) {
        x86_rm(&e->code, X86_LEA, 64, X86_SCRATCH, *m);
        *m = x86_at(X86_SCRATCH, 0);
    }
    bool taken = m->base == X86_SCRATCH || m->index == X86_SCRATCH;
    return x86_source(e, value, taken ? X86_SCRATCH2 : X86_SCRATCH);
}

void x86_emit_store(struct x86_emitter *e, const struct ir_value *v)
{
    struct x86_mem to = address_of(e, v);
    if ((v->flags & IR_IMM) != 0) {
        x86_store_imm(&e->code, v->width, to, (int32_t)v->imm);
        return;
    }
    unsigned data = data_register(e, v->c, &to);
    x86_store(&e->code, v->width, to, data);
}

// Lowering makes it only where there is movbe.
void x86_emit_storebe(struct x86_emitter *e, const struct ir_value *v)
{
    struct x86_mem to = address_of(e, v);
    unsigned data = data_register(e, v->c, &to);
    x86_rm(&e->code, v->width == 16 ? X86_MOVBE_MR_WORD : X86_MOVBE_MR, v->width, data, to);
}

// --- atomics: at a + disp ------------------------------------------------------------------------

static enum x86_insn locked(unsigned op)
{
    switch (op) {
    case IR_ATOMIC_OR:
    case IR_FETCH_OR: return X86_OR_MR;
    case IR_ATOMIC_AND:
    case IR_FETCH_AND: return X86_AND_MR;
    case IR_ATOMIC_XOR:
    case IR_FETCH_XOR: return X86_XOR_MR;
    default: return X86_ADD_MR;
    }
}

void x86_emit_atomic(struct x86_emitter *e, const struct ir_value *v)
{
    struct x86_mem to = address_of(e, v);
    unsigned data = data_register(e, v->c, &to);
    x86_lock(&e->code);
    x86_rm(&e->code, locked(v->op), v->width, data, to);
}

// FETCH_ADD and XCHG: a register changes places with memory.
void x86_emit_exchange(struct x86_emitter *e, const struct ir_value *v)
{
    struct x86_mem at = address_of(e, v);
    unsigned data = at.base == X86_SCRATCH ? X86_SCRATCH2 : X86_SCRATCH;
    x86_fetch(e, v->c, v->width, data);
    if (v->op == IR_FETCH_ADD) {
        x86_lock(&e->code);
    }
    x86_rm(&e->code, v->op == IR_FETCH_ADD ? X86_XADD : X86_XCHG, v->width, data, at);
    x86_finish(e, v, data);
}

// FETCH_OR, _AND, _XOR: tries with what was there until nobody came between.
void x86_emit_fetch_loop(struct x86_emitter *e, const struct ir_value *v)
{
    bool frame = ir_at(e->ir, v->a)->op == IR_FRAME;
    struct x86_mem at = frame ? address_of(e, v) : x86_at(x86_source(e, v->a, X86_SCRATCH2), v->disp);
    x86_load(&e->code, v->width, X86_RAX, at);
    size_t again = e->code.size;
    x86_fetch(e, v->c, v->width, X86_SCRATCH);
    x86_rr(&e->code, locked(v->op), v->width, X86_RAX, X86_SCRATCH);
    x86_lock(&e->code);
    x86_rm(&e->code, X86_CMPXCHG, v->width, X86_SCRATCH, at);
    x86_jump_back(e, X86_CC_NE, again);
    x86_finish(e, v, X86_RAX);
}

// What is expected comes to rax, with its upper half cleared for 32 bits: success leaves rax alone.
void x86_emit_cmpxchg(struct x86_emitter *e, const struct ir_value *v)
{
    struct x86_mem at = address(e, v->a, IR_NONE, v);
    struct jit_location expected = alloc_location(e->ir, v->b);
    unsigned data = data_register(e, v->c, &at);
    if (v->width == 32 && expected.place == PLACE_REG && expected.reg == X86_RAX) {
        x86_mov(&e->code, 32, X86_RAX, X86_RAX);
    } else {
        x86_fetch(e, v->b, v->width, X86_RAX);
    }
    x86_lock(&e->code);
    x86_rm(&e->code, X86_CMPXCHG, v->width, data, at);
    x86_finish(e, v, X86_RAX);
}
