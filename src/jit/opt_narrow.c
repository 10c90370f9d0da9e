// SPDX-License-Identifier: MIT
// opt_narrow: finds values whose upper halves nobody looks at. Sums, products and the like become 32 bits
// wide, extensions from 32 bits go. Facts about what changed are void afterwards.
#include "jit/opt.h"

struct narrowing {
    struct opt *o;
    uint32_t *stack, depth;
};

// What an operation wants of an operand's upper half.
enum wish { NEVER, IF_WANTED, ALWAYS }; // IF_WANTED: if its own upper half is wanted

static enum wish by_width(unsigned width)
{
    return width == 64 ? ALWAYS : NEVER;
}

static enum wish wish_of_memory(const struct ir_value *v, char operand)
{
    bool indexed = (ir_op_info(v->op)->flags & IR_ADDR) != 0;
    bool address = operand == 'a' || (operand == 'b' && indexed);
    return address ? ALWAYS : by_width(v->width);
}

static enum wish wish(const struct ir_value *v, char operand)
{
    switch (v->op) {
    case IR_COPY:
    case IR_PHI: return IF_WANTED;
    case IR_ADD:
    case IR_SUB:
    case IR_MUL:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_NEG: return v->width == 64 ? IF_WANTED : NEVER;
    case IR_SHL: return v->width == 64 && operand == 'a' ? IF_WANTED : NEVER;
    case IR_SHR:
    case IR_SAR:
    case IR_ROL: return operand == 'a' ? by_width(v->width) : NEVER;
    case IR_SEXT:
    case IR_ZEXT: return NEVER;
    case IR_BSWAP: return v->imm == 64 ? ALWAYS : NEVER;
    case IR_BRANCH: return by_width(v->cwidth);
    case IR_SELECT:
        return operand == 'a' || operand == 'b' ? by_width(v->cwidth) : v->width == 64 ? IF_WANTED : NEVER;
    case IR_RET:
    case IR_SWITCH:
    case IR_TAIL:
    case IR_HELPER:
    case IR_CALL:
    case IR_CALL_LOCAL:
    case IR_LEA: return ALWAYS;
    default: break;
    }
    bool memory = (ir_op_info(v->op)->flags & (IR_READ | IR_WRITE)) != 0;
    return memory ? wish_of_memory(v, operand) : by_width(v->width);
}

static void want(struct narrowing *n, uint32_t value)
{
    struct ir_value *v = ir_at(n->o->ir, value);
    if (value != IR_NONE && v->mark == 0) {
        v->mark = 1;
        n->stack[n->depth++] = value;
    }
}

static void want_operands(struct narrowing *n, uint32_t value, enum wish least)
{
    const struct ir *ir = n->o->ir;
    struct ir_value *v = ir_at(ir, value);
    const char *operands = ir_op_info(v->op)->operands;
    uint32_t count = ir_operand_count(v);
    for (uint32_t i = 0; i < count; i++) {
        if (wish(v, operands[0] == 'p' ? 'p' : operands[i]) >= least) {
            want(n, *ir_operand(ir, v, i));
        }
    }
}

static void find_wanted(struct narrowing *n)
{
    const struct ir *ir = n->o->ir;
    for (uint32_t v = 0; v < ir->value_count; v++) {
        ir_at(ir, v)->mark = 0;
    }
    for (uint32_t i = 0; i < ir->order_count; i++) {
        for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_at(ir, v)->next) {
            want_operands(n, v, ALWAYS);
        }
    }
    while (n->depth != 0) {
        want_operands(n, n->stack[--n->depth], IF_WANTED);
    }
}

// The low half of the result is that of the operation in 32 bits.
static bool is_narrowable(const struct ir *ir, const struct ir_value *v)
{
    int64_t count;
    switch (v->op) {
    case IR_ADD:
    case IR_SUB:
    case IR_MUL:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_NEG: return true;
    case IR_SHL: return ir_is_const(ir, ir_resolve(ir, v->b), &count) && (count & 63) < 32;
    default: return false;
    }
}

static void narrow(struct opt *o, uint32_t value, bool *copies)
{
    struct ir_value *v = ir_at(o->ir, value);
    if (v->mark != 0 || v->width != 64 || (v->flags & IR_IMM) != 0) {
        return;
    }
    if ((v->op == IR_ZEXT || v->op == IR_SEXT) && v->imm == 32) {
        ir_become_copy(o->ir, value, v->a);
        *copies = true;
    } else if (is_narrowable(o->ir, v) && opt_fact_of(o, value).max > UINT32_MAX) {
        v->width = 32;
        o->changed = true;
    }
}

ebpf_result_t opt_narrow(struct opt *o, bool *copies)
{
    const struct ir *ir = o->ir;
    struct narrowing n = {.o = o};
    size_t mark = o->j->memory.used;
    n.stack = jit_alloc(o->j, ir->value_count, sizeof(*n.stack));
    if (n.stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    find_wanted(&n);
    jit_rewind(o->j, mark);
    for (uint32_t i = 0; i < ir->order_count; i++) {
        for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_at(ir, v)->next) {
            narrow(o, v, copies);
        }
    }
    return EBPF_SUCCESS;
}
