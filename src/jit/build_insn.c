// SPDX-License-Identifier: MIT
// build_insn: arithmetic, loads and stores, and the ends of blocks. What rows of isa.def become is in tables
// by their semantic.
#include "jit/build.h"

// Operations that are the same there; 0: none.
static const uint8_t alu_ops[SEM_COUNT] = {
    [SEM_ADD] = IR_ADD,   [SEM_SUB] = IR_SUB,   [SEM_MUL] = IR_MUL,  [SEM_DIV] = IR_UDIV, [SEM_MOD] = IR_UMOD,
    [SEM_SDIV] = IR_SDIV, [SEM_SMOD] = IR_SMOD, [SEM_OR] = IR_OR,    [SEM_AND] = IR_AND,  [SEM_XOR] = IR_XOR,
    [SEM_LSH] = IR_SHL,   [SEM_RSH] = IR_SHR,   [SEM_ARSH] = IR_SAR,
};

static const uint8_t conditions[SEM_COUNT] = {
    [SEM_JEQ] = IR_EQ,   [SEM_JNE] = IR_NE,   [SEM_JGT] = IR_UGT,  [SEM_JGE] = IR_UGE,
    [SEM_JLT] = IR_ULT,  [SEM_JLE] = IR_ULE,  [SEM_JSET] = IR_SET, [SEM_JSGT] = IR_SGT,
    [SEM_JSGE] = IR_SGE, [SEM_JSLT] = IR_SLT, [SEM_JSLE] = IR_SLE,
};

// --- arithmetic ----------------------------------------------------------------------------------

static bool is_imm(const struct insn_info *info)
{
    return info->form == FORM_ALU_IMM;
}

// The second operand: a register, or the immediate, sign-extended as the instruction has it.
static uint32_t second_operand(struct build *b, const struct insn *in, const struct insn_info *info)
{
    return is_imm(info) ? build_const(b, in->imm) : build_read(b, in->src);
}

static uint32_t extend(struct build *b, enum ir_op op, uint8_t width, uint32_t value, int64_t bits)
{
    return build_emit(b, op, width, value, IR_NONE, bits);
}

static uint32_t move(struct build *b, const struct insn *in, const struct insn_info *info)
{
    if (is_imm(info)) {
        return build_const(b, info->width == 32 ? (int64_t)(uint32_t)in->imm : in->imm);
    }
    uint32_t value = build_read(b, in->src);
    return info->width == 32 ? extend(b, IR_ZEXT, 64, value, 32) : value;
}

// To little endian (the machine's order), or to the other one.
static uint32_t order_bytes(struct build *b, const struct insn *in, const struct insn_info *info)
{
    uint32_t value = build_read(b, in->dst);
    if (info->sem != SEM_LE) {
        return extend(b, IR_BSWAP, 64, value, info->width);
    }
    return info->width == 64 ? value : extend(b, IR_ZEXT, 64, value, info->width);
}

static inline uint32_t compute(struct build *b, const struct insn *in, const struct insn_info *info)
{
    uint32_t first = build_read(b, in->dst), second = second_operand(b, in, info);
    return build_emit(b, (enum ir_op)alu_ops[info->sem], info->width, first, second, 0);
}

static uint32_t shift(struct build *b, const struct insn *in, const struct insn_info *info)
{
    uint32_t first = build_read(b, in->dst);
    uint32_t second = is_imm(info) ? build_const(b, in->imm & (info->width - 1)) : build_read(b, in->src);
    return build_emit(b, (enum ir_op)alu_ops[info->sem], info->width, first, second, 0);
}

static uint32_t divide(struct build *b, const struct insn *in, const struct insn_info *info)
{
    uint32_t value = compute(b, in, info);
    bool nonzero = is_imm(info) && (info->width == 32 ? (uint32_t)in->imm != 0 : in->imm != 0);
    if (nonzero && !b->full) {
        ir_at(&b->j->ir, value)->flags |= IR_NONZERO;
    }
    return value;
}

// --- memory --------------------------------------------------------------------------------------

static uint32_t load(struct build *b, enum ir_op op, const struct insn *in, const struct insn_info *info)
{
    uint32_t value = build_emit(b, op, info->width, build_read(b, in->src), IR_NONE, 0);
    if (!b->full) {
        ir_at(&b->j->ir, value)->disp = in->off;
    }
    return value;
}

static ebpf_result_t store(struct build *b, const struct insn *in, const struct insn_info *info)
{
    uint32_t stored = info->sem == SEM_ST ? build_const(b, in->imm) : build_read(b, in->src);
    uint32_t value = build_emit(b, IR_STORE, info->width, build_read(b, in->dst), IR_NONE, 0);
    if (!b->full) {
        struct ir_value *v = ir_at(&b->j->ir, value);
        v->c = stored;
        v->disp = in->off;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t load_map(struct build *b, const struct insn *in)
{
    if (in->id != INSN_LDDW_MAP || in->imm < 0 || in->imm >= (int64_t)b->j->input->map_count) {
        return jit_refuse(b->j, b->pc); // not bound, or an address of code
    }
    build_write(b, in->dst, build_emit(b, IR_MAP, 64, IR_NONE, IR_NONE, in->imm));
    return EBPF_SUCCESS;
}

// --- one instruction -----------------------------------------------------------------------------

// What is rare.
static ebpf_result_t build_other(struct build *b, const struct insn *in, const struct insn_info *info)
{
    switch (info->form) {
    case FORM_LDDW: return load_map(b, in);
    case FORM_ATOMIC: return build_atomic(b, in);
    case FORM_CALL:
    case FORM_CALLX:
    case FORM_LDABS:
    case FORM_LDIND: return build_call(b, in);
    default: return jit_refuse(b->j, b->pc);
    }
}

static inline ebpf_result_t build_insn(struct build *b, const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    uint32_t value;
    switch (info->sem) {
    case SEM_ADD:
    case SEM_SUB:
    case SEM_MUL:
    case SEM_OR:
    case SEM_AND:
    case SEM_XOR: value = compute(b, in, info); break;
    case SEM_LSH:
    case SEM_RSH:
    case SEM_ARSH: value = shift(b, in, info); break;
    case SEM_DIV:
    case SEM_MOD:
    case SEM_SDIV:
    case SEM_SMOD: value = divide(b, in, info); break;
    case SEM_MOV: value = move(b, in, info); break;
    case SEM_MOVSX8: value = extend(b, IR_SEXT, info->width, build_read(b, in->src), 8); break;
    case SEM_MOVSX16: value = extend(b, IR_SEXT, info->width, build_read(b, in->src), 16); break;
    case SEM_MOVSX32: value = extend(b, IR_SEXT, info->width, build_read(b, in->src), 32); break;
    case SEM_NEG: value = build_emit(b, IR_NEG, info->width, build_read(b, in->dst), IR_NONE, 0); break;
    case SEM_LE:
    case SEM_BE:
    case SEM_BSWAP: value = order_bytes(b, in, info); break;
    case SEM_LDX: value = load(b, IR_LOAD, in, info); break;
    case SEM_LDXS: value = load(b, IR_LOADS, in, info); break;
    case SEM_LDDW: value = build_const(b, in->imm); break;
    case SEM_ST:
    case SEM_STX: return store(b, in, info);
    case SEM_JA:
    case SEM_JEQ:
    case SEM_JNE:
    case SEM_JGT:
    case SEM_JGE:
    case SEM_JLT:
    case SEM_JLE:
    case SEM_JSET:
    case SEM_JSGT:
    case SEM_JSGE:
    case SEM_JSLT:
    case SEM_JSLE:
    case SEM_MAY_GOTO:
    case SEM_EXIT: return EBPF_SUCCESS; // build_end does it
    default: return build_other(b, in, info);
    }
    build_write(b, in->dst, value);
    return EBPF_SUCCESS;
}

ebpf_result_t build_code(struct build *b, const struct build_block *block)
{
    uint32_t pc = build_pc(&b->copies[block->copy], block->first), end = pc + (block->end - block->first);
    const struct insn *insns = b->j->input->insns;
    bool writes_frame = b->writes_frame;
    while (pc < end) {
        const struct insn *in = &insns[pc];
        b->pc = pc;
        TRY(build_insn(b, in));
        if (writes_frame && build_writes_frame(in)) {
            return jit_refuse(b->j, pc);
        }
        pc += (build_traits_of(in) & BUILD_WIDE) != 0 ? 2 : 1;
    }
    return EBPF_SUCCESS;
}

// --- ends of blocks ------------------------------------------------------------------------------

static void jump(struct build *b)
{
    (void)build_emit(b, IR_JUMP, 64, IR_NONE, IR_NONE, 0);
}

static void branch(struct build *b, enum ir_cond cond, uint8_t width, uint32_t first, uint32_t second,
                   bool cold)
{
    uint32_t value = build_emit(b, IR_BRANCH, 64, first, second, 0);
    if (!b->full) {
        struct ir_value *v = ir_at(&b->j->ir, value);
        v->cond = (uint8_t)cond;
        v->cwidth = width;
        v->flags = cold ? IR_COLD : 0;
    }
}

// Where a function that was taken in ends, its r1-r5 do too: they are zero, as after any call.
static void leave(struct build *b)
{
    if (b->copies[b->copy].parent == BUILD_NONE) {
        (void)build_emit(b, IR_RET, 64, build_read(b, 0), IR_NONE, 0);
        return;
    }
    uint32_t zero = build_zero(b);
    for (unsigned reg = 1; reg <= 5; reg++) {
        build_write(b, reg, zero);
    }
    jump(b);
}

static void enter(struct build *b, uint32_t copy)
{
    for (unsigned reg = 6; reg <= 9; reg++) {
        b->vars.now[build_var(b->copies[copy].depth, reg)] = build_zero(b);
    }
    jump(b);
}

static uint32_t load_run(struct build *b, size_t offset)
{
    uint32_t value = build_emit(b, IR_LOAD, 32, build_run(b), IR_NONE, 0);
    ir_at(&b->j->ir, value)->disp = (int32_t)offset;
    return value;
}

// Goes on while there are turns; the block behind it takes one.
static void test_turns(struct build *b)
{
    uint32_t turns = load_run(b, offsetof(struct jit_run, turns));
    branch(b, IR_EQ, 32, turns, build_const(b, 0), true);
}

static void take_turn(struct build *b)
{
    struct ir *ir = &b->j->ir;
    const struct ir_block *tested = ir_block_at(ir, ir_block_at(ir, b->block)->preds[0]);
    uint32_t turns = ir_at(ir, tested->last)->a;
    uint32_t left = build_emit(b, IR_ADD, 32, turns, build_const(b, -1), 0);
    uint32_t store = build_emit(b, IR_STORE, 32, build_run(b), IR_NONE, 0);
    ir_at(ir, store)->c = left;
    ir_at(ir, store)->disp = offsetof(struct jit_run, turns);
    jump(b);
}

static void test_aborted(struct build *b)
{
    uint32_t aborted = load_run(b, offsetof(struct jit_run, aborted));
    branch(b, IR_NE, 32, aborted, build_const(b, 0), true);
}

// Goes on at [0] when the condition holds, where that is somewhere else.
static void end_jump(struct build *b, const struct build_block *block, const struct insn *in,
                     const struct insn_info *info)
{
    if (block->succ[1] == BUILD_NONE) {
        jump(b);
        return;
    }
    uint32_t first = build_read(b, in->dst);
    uint32_t second = info->form == FORM_JMP_IMM ? build_const(b, in->imm) : build_read(b, in->src);
    branch(b, (enum ir_cond)conditions[info->sem], info->width, first, second, false);
}

static void end_code(struct build *b, const struct build_block *block, const struct insn *in, uint32_t slot)
{
    const struct insn_info *info = insn_info(in->id);
    switch (info->form) {
    case FORM_JMP_IMM:
    case FORM_JMP_REG: end_jump(b, block, in, info); return;
    case FORM_EXIT: leave(b); return;
    case FORM_MAY_GOTO: test_turns(b); return;
    default: break;
    }
    uint32_t callee = in->id == INSN_CALL_LOCAL ? build_copy_at(b, slot) : BUILD_NONE;
    if (callee != BUILD_NONE) {
        enter(b, callee);
    } else if (block->succ[1] == BUILD_NONE) {
        jump(b);
    } else {
        test_aborted(b);
    }
}

void build_end(struct build *b, const struct build_block *block)
{
    if (block->kind == BUILD_ABORT) {
        ir_block_at(&b->j->ir, b->block)->cold = true;
        (void)build_emit(b, IR_RET, 64, build_zero(b), IR_NONE, 0);
        return;
    }
    if (block->kind == BUILD_TURN) {
        take_turn(b);
        return;
    }
    const struct build_copy *copy = &b->copies[block->copy];
    uint32_t last = block->end - 1;
    const struct insn *in = &b->j->input->insns[build_pc(copy, last)];
    end_code(b, block, in, last);
}
