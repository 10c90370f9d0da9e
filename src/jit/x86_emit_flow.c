// SPDX-License-Identifier: MIT
// x86_emit_flow: comparisons, branches, what ends a block.
#include "jit/x86_emit.h"

// --- inside the code of one value: near enough, and no patch between -----------------------------

size_t x86_skip(struct x86_emitter *e, enum x86_cc cc)
{
    x86_bytes(&e->code, cc == X86_CC_ALWAYS ? 0xeb : 0x70u | cc, 1);
    x86_bytes(&e->code, 0, 1);
    return e->code.size;
}

void x86_land(struct x86_emitter *e, size_t skip)
{
    if (skip <= e->code.capacity) {
        e->code.bytes[skip - 1] = (uint8_t)(e->code.size - skip);
    }
}

void x86_jump_back(struct x86_emitter *e, enum x86_cc cc, size_t target)
{
    x86_bytes(&e->code, 0x70u | cc, 1);
    x86_bytes(&e->code, (uint8_t)(target - (e->code.size + 1)), 1);
}

// --- comparisons ---------------------------------------------------------------------------------

enum x86_cc x86_condition(unsigned cond)
{
    static const uint8_t codes[IR_COND_COUNT] = {
        [IR_EQ] = X86_CC_E,   [IR_NE] = X86_CC_NE, [IR_ULT] = X86_CC_B,  [IR_UGE] = X86_CC_AE,
        [IR_ULE] = X86_CC_BE, [IR_UGT] = X86_CC_A, [IR_SLT] = X86_CC_L,  [IR_SGE] = X86_CC_GE,
        [IR_SLE] = X86_CC_LE, [IR_SGT] = X86_CC_G, [IR_SET] = X86_CC_NE, [IR_CLEAR] = X86_CC_E,
    };
    return (enum x86_cc)codes[cond];
}

static void compare_imm(struct x86_emitter *e, const struct ir_value *v, bool test)
{
    int32_t imm = (int32_t)v->imm;
    if (test) {
        x86_test_imm(&e->code, v->cwidth, x86_source(e, v->a, X86_SCRATCH), imm);
    } else if (x86_in_slot(e, v->a)) {
        x86_alu_mem_imm(&e->code, X86_ALU_CMP, v->cwidth, x86_slot_of(e, v->a), imm);
    } else {
        unsigned a = x86_source(e, v->a, X86_SCRATCH);
        if (imm == 0) {
            x86_rr(&e->code, X86_TEST, v->cwidth, a, a);
        } else {
            x86_alu_imm(&e->code, X86_ALU_CMP, v->cwidth, a, imm);
        }
    }
}

void x86_compare(struct x86_emitter *e, const struct ir_value *v)
{
    bool test = v->cond == IR_SET || v->cond == IR_CLEAR;
    if ((v->flags & IR_IMM) != 0) {
        compare_imm(e, v, test);
        return;
    }
    unsigned a = x86_source(e, v->a, X86_SCRATCH);
    if (!test && x86_in_slot(e, v->b)) {
        x86_alu_rm(&e->code, X86_ALU_CMP, v->cwidth, a, x86_slot_of(e, v->b));
        return;
    }
    unsigned b = x86_source(e, v->b, a == X86_SCRATCH ? X86_SCRATCH2 : X86_SCRATCH);
    x86_rr(&e->code, test ? X86_TEST : X86_CMP_MR, v->cwidth, b, a);
}

// --- patches -------------------------------------------------------------------------------------

// Halves the path that it walks, so that chains of jumps stay cheap.
uint32_t x86_follow(struct x86_emitter *e, uint32_t block)
{
    while (e->forward[block] != IR_NONE) {
        uint32_t next = e->forward[block];
        if (e->forward[next] != IR_NONE) {
            e->forward[block] = e->forward[next];
        }
        block = next;
    }
    return block;
}

static void go_to(struct x86_emitter *e, uint32_t block)
{
    if (block != e->next) {
        x86_branch(e, X86_CC_ALWAYS, block);
    }
}

// --- ends of blocks ------------------------------------------------------------------------------

static void make_edge_moves(struct x86_emitter *e, uint32_t block)
{
    struct jit_move *moves;
    uint32_t count;
    size_t mark = e->j->memory.used;
    ebpf_result_t result = alloc_edge_moves(e->j, block, X86_SCRATCH, &moves, &count);
    if (result != EBPF_SUCCESS) {
        e->result = result;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        x86_move(e, &moves[i]);
    }
    jit_rewind(e->j, mark);
}

// What the edge to `to` brings to its PHIs.
static void take_edge(struct x86_emitter *e, uint32_t block, const struct ir_block *to)
{
    struct x86_shuffle s;
    uint32_t edge = ir_block_at(e->ir, block)->edge;
    s.count = s.made_count = 0;
    for (uint32_t n = to->first; ir_at(e->ir, n)->op == IR_PHI; n = ir_next(e->ir, n)) {
        const struct ir_value *phi = ir_at(e->ir, n);
        if (!x86_is_wanted(phi)) {
            continue;
        }
        if (phi->reg == IR_REG_NONE || !x86_shuffle_add(e, &s, phi->reg, ir_pool(e->ir, phi)[edge])) {
            make_edge_moves(e, block);
            return;
        }
    }
    x86_shuffle_make(e, &s);
}

void x86_emit_jump(struct x86_emitter *e, const struct ir_value *v)
{
    uint32_t succ = ir_block_at(e->ir, v->block)->succ[0];
    const struct ir_block *b = ir_block_at(e->ir, succ);
    if (ir_at(e->ir, b->first)->op == IR_PHI) {
        take_edge(e, v->block, b);
    }
    uint32_t to = x86_find(e, succ);
    if (to == e->next || e->result != EBPF_SUCCESS) {
        return;
    }
    if (alloc_copies_tail(e->ir, v->block, to, &e->tail_room)) {
        e->tail = to;
    } else {
        x86_branch(e, X86_CC_ALWAYS, to);
    }
}

void x86_emit_branch(struct x86_emitter *e, const struct ir_value *v)
{
    const struct ir_block *b = ir_block_at(e->ir, v->block);
    uint32_t yes = x86_find(e, b->succ[0]), no = x86_find(e, b->succ[1]);
    enum x86_cc cc = x86_condition(v->cond);
    if (yes == no) {
        go_to(e, yes);
        return;
    }
    x86_compare(e, v);
    if (yes == e->next) {
        x86_branch(e, cc ^ 1, no);
    } else {
        x86_branch(e, cc, yes);
        go_to(e, no);
    }
}

// A table of distances from its own start; each target has a landing pad. The index may be in rax, which is
// read before it is written.
void x86_emit_switch(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned index = x86_source(e, v->a, X86_RAX);
    x86_add_patch(e, X86_PATCH_TABLE, 7, v->block, 0);
    x86_rm(&e->code, X86_MOVSXD, 64, X86_RAX, (struct x86_mem){X86_SCRATCH, (uint8_t)index, 2, 0});
    x86_alu(&e->code, X86_ALU_ADD, 64, X86_SCRATCH, X86_RAX);
    x86_jump_scratch(e);
}

void x86_jump_scratch(struct x86_emitter *e)
{
    if (e->j->options->retpoline) {
        x86_add_patch(e, X86_PATCH_STUB, 5, X86_RETPOLINE, X86_CC_ALWAYS);
    } else {
        x86_r(&e->code, X86_JMP_RM, 64, X86_SCRATCH);
    }
}

void x86_epilogue(struct x86_emitter *e)
{
    if (e->frame_size != 0) {
        x86_alu_imm(&e->code, X86_ALU_ADD, 64, X86_RSP, (int32_t)e->frame_size);
    }
    for (unsigned reg = X86_REG_COUNT; reg-- != 0;) {
        if ((e->saved & REG_SET(reg)) != 0) {
            x86_pop(&e->code, reg);
        }
    }
}

void x86_emit_ret(struct x86_emitter *e, const struct ir_value *v)
{
    x86_fetch(e, v->a, 64, X86_RAX);
    x86_epilogue(e);
    x86_bytes(&e->code, 0xc3, 1);
}

// Windows' unwinder undoes the rest of an epilogue by reading it: it has nothing but the addition, pops and a
// jump, which has REX.W when it goes to a register.
void x86_emit_tail(struct x86_emitter *e, const struct ir_value *v)
{
    const struct jit_convention *c = e->convention;
    const uint32_t values[] = {v->a, v->b, v->c, v->d};
    const uint8_t regs[] = {X86_RAX, c->entry[0], c->entry[2], c->entry[3]};
    struct jit_move moves[ARRAY_SIZE(values)];
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        moves[i] = (struct jit_move){x86_in_reg(regs[i]), alloc_location(e->ir, values[i])};
    }
    x86_moves(e, moves, ARRAY_SIZE(values));
    x86_mov(&e->code, 64, X86_SCRATCH, X86_RAX);
    x86_epilogue(e);
    if (e->j->options->retpoline) {
        x86_jump_scratch(e);
    } else {
        x86_bytes(&e->code, 0xe3ff49, 3); // jmp r11
    }
}
