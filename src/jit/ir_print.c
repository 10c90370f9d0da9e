// SPDX-License-Identifier: MIT
// ir_print: the text form, for people and golden tests. ir_parse.c reads it.
#include "jit/ir_text.h"

const char *const ir_cond_names[IR_COND_COUNT] = {"eq",  "ne",  "ult", "uge", "ule", "ugt",
                                                  "slt", "sge", "sle", "sgt", "set", "clear"};

struct text {
    char line[256];
    size_t length;
};

static void put(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof(t->line) - t->length;
    size_t length = str_vformat(t->line + t->length, room, format, args);
    va_end(args);
    t->length += length < room ? length : room - 1;
}

static void put_address(struct text *t, const struct ir_value *v)
{
    const char *plus = "";
    put(t, "[");
    if (v->a != IR_NONE) {
        put(t, "v%u", v->a);
        plus = " + ";
    }
    if (v->b != IR_NONE && (ir_op_info(v->op)->flags & IR_ADDR) != 0) {
        put(t, "%sv%u", plus, v->b);
        if (v->scale != 0) {
            put(t, " << %u", v->scale);
        }
        plus = " + ";
    }
    if (v->disp < 0) {
        put(t, " - %lld", -(long long)v->disp);
    } else if (v->disp != 0 || plus[0] == '\0') {
        put(t, "%s%lld", plus, (long long)v->disp);
    }
    put(t, "]");
}

static void put_list(struct text *t, const uint32_t *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put(t, "%sv%u", i == 0 ? "" : ", ", list[i]);
    }
}

static void put_second(struct text *t, const struct ir_value *v)
{
    if ((v->flags & IR_IMM) != 0) {
        put(t, ", #%lld", (long long)v->imm);
    } else {
        put(t, ", v%u", v->b);
    }
}

static void put_comparison(struct text *t, const struct ir_value *v)
{
    put(t, " %s%u v%u", ir_cond_names[v->cond < IR_COND_COUNT ? v->cond : 0], v->cwidth, v->a);
    put_second(t, v);
}

static void put_memory(struct text *t, const struct ir_value *v)
{
    put(t, " ");
    put_address(t, v);
    if (v->op == IR_CMPXCHG) {
        put(t, ", v%u", v->b);
    }
    if ((v->flags & IR_IMM) != 0) {
        put(t, ", #%lld", (long long)v->imm);
    } else if (ir_has_operand(v->op, 'c')) {
        put(t, ", v%u", v->c);
    }
}

static void put_targets(struct text *t, const struct ir_block *b)
{
    put(t, " -> ");
    for (uint32_t i = 0; i < ir_successor_count(b); i++) {
        put(t, "%sb%u", i == 0 ? "" : ", ", ir_successor(b, i));
    }
}

static void put_plain(struct text *t, const struct ir_value *v)
{
    if (ir_has_operand(v->op, 'a')) {
        put(t, " v%u", v->a);
    }
    if (ir_has_operand(v->op, 'b')) {
        put_second(t, v);
    }
    if (ir_has_operand(v->op, 'c')) {
        put(t, ", v%u", v->c);
    }
    if (ir_has_operand(v->op, 'd')) {
        put(t, ", v%u", v->d);
    }
    if (ir_takes_number(v->op)) {
        put(t, "%s#%lld", v->op == IR_CONST || v->op == IR_PARAM || v->op == IR_MAP ? " " : ", ",
            (long long)v->imm);
    }
    if (v->op == IR_BITS) {
        put(t, ", #%d", v->disp);
    }
}

static void put_operands(struct text *t, const struct ir *ir, const struct ir_value *v)
{
    if (v->op == IR_PHI) {
        put(t, " ");
        put_list(t, ir_pool(ir, v), v->b);
    } else if (ir_has_operand(v->op, 'p')) {
        put(t, " #%lld(", (long long)v->imm);
        put_list(t, ir_pool(ir, v), v->b);
        put(t, ")");
    } else if (v->op == IR_BRANCH || v->op == IR_SELECT) {
        put_comparison(t, v);
        if (v->op == IR_SELECT) {
            put(t, " ? v%u : v%u", v->c, v->d);
        }
    } else if (ir_is_memory(v->op)) {
        put_memory(t, v);
    } else {
        put_plain(t, v);
    }
}

static void put_value(struct text *t, const struct ir *ir, uint32_t value)
{
    const struct ir_value *v = ir_at(ir, value);
    const struct ir_op_info *info = ir_op_info(v->op);
    put(t, "  ");
    if (ir_has_result(v->op)) {
        put(t, "v%u", value);
        if (v->reg != IR_REG_NONE) {
            put(t, ":r%u", v->reg);
        } else if (ir->placed && v->slot != 0) {
            put(t, ":s%u", v->slot - 1);
        }
        put(t, " = ");
    }
    put(t, "%s", ir_op_texts[v->op]);
    if (ir_has_width(v->op)) {
        put(t, "%u", v->width);
    }
    put_operands(t, ir, v);
    if ((info->flags & IR_END) != 0 && ir_successor_count(ir_block_at(ir, v->block)) != 0) {
        put_targets(t, ir_block_at(ir, v->block));
    }
    put(t, "%s%s%s", (v->flags & IR_NONZERO) != 0 ? " !nonzero" : "",
        (v->flags & IR_STEP) != 0 ? " !step" : "", (v->flags & IR_COLD) != 0 ? " !cold" : "");
}

static void put_block(struct text *t, const struct ir *ir, uint32_t block)
{
    const struct ir_block *b = ir_block_at(ir, block);
    put(t, "b%u:", block);
    for (uint32_t i = 0; i < b->pred_count; i++) {
        put(t, "%sb%u", i == 0 ? " <- " : ", ", b->preds[i]);
    }
    put(t, "%s", b->cold ? " !cold" : "");
}

void ir_print(const struct ir *ir, void (*line)(void *user, const char *line), void *user)
{
    struct text t = {.length = 0};
    put(&t, "func %u entry b%u", ir->func, ir->entry);
    line(user, t.line);
    for (uint32_t i = 0; i < ir->order_count; i++) {
        t.length = 0;
        put_block(&t, ir, ir->order[i]);
        line(user, t.line);
        for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_next(ir, v)) {
            t.length = 0;
            put_value(&t, ir, v);
            line(user, t.line);
        }
    }
}
