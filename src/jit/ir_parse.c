// SPDX-License-Identifier: MIT
// ir_parse: reads the text form that ir_print writes, for tests. Numbers of values and blocks are those of
// the text.
#include "jit/ir_text.h"

#define MAX_NUMBER 65536 // of values and blocks
#define MAX_LIST   64    // operands, successors

struct parser {
    struct jit *j;
    const char *at;
    uint32_t block; // that values go to
    uint32_t list[MAX_LIST];
    uint32_t count;
};

// --- tokens --------------------------------------------------------------------------------------

static void skip(struct parser *p)
{
    while (*p->at == ' ') {
        p->at++;
    }
}

static bool take(struct parser *p, const char *text)
{
    skip(p);
    if (!str_starts_with(p->at, text)) {
        return false;
    }
    p->at += str_len(text);
    return true;
}

static bool take_unsigned(struct parser *p, uint64_t *out)
{
    uint64_t value = 0;
    const char *start = p->at;
    while (*p->at >= '0' && *p->at <= '9') {
        value = value * 10 + (uint64_t)(*p->at++ - '0');
    }
    *out = value;
    return p->at != start;
}

static bool take_number(struct parser *p, int64_t *out)
{
    uint64_t value;
    skip(p);
    bool negative = *p->at == '-';
    p->at += negative;
    if (!take_unsigned(p, &value)) {
        return false;
    }
    *out = (int64_t)(negative ? 0 - value : value);
    return true;
}

static bool take_name(struct parser *p, const char *letter, uint32_t *out)
{
    uint64_t number;
    const char *start = p->at;
    if (!take(p, letter) || !take_unsigned(p, &number) || number >= MAX_NUMBER) {
        p->at = start;
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

// Whether `line`'s next word is `word`, followed by no letter; digits may follow.
static bool take_word(struct parser *p, const char *word)
{
    skip(p);
    size_t length = str_len(word);
    char next = str_starts_with(p->at, word) ? p->at[length] : 'x';
    if ((next >= 'a' && next <= 'z') || next == '_') {
        return false;
    }
    p->at += length;
    return true;
}

// --- operands ------------------------------------------------------------------------------------

static bool take_list(struct parser *p, const char *letter)
{
    p->count = 0;
    do {
        if (p->count == MAX_LIST || !take_name(p, letter, &p->list[p->count])) {
            return p->count == 0;
        }
        p->count++;
    } while (take(p, ","));
    return true;
}

static bool keep_list(struct parser *p, struct ir_value *v)
{
    uint32_t *list = jit_alloc(p->j, p->count + 1, sizeof(*list));
    if (list == NULL) {
        return false;
    }
    memcpy(list, p->list, p->count * sizeof(*list));
    v->a = ir_pool_index(&p->j->ir, list);
    v->b = p->count;
    return true;
}

static bool take_address(struct parser *p, struct ir_value *v)
{
    int64_t number;
    if (!take(p, "[")) {
        return false;
    }
    bool more = !take_name(p, "v", &v->a) || take(p, "+");
    if (more && take_name(p, "v", &v->b)) {
        if (take(p, "<<")) {
            if (!take_number(p, &number)) {
                return false;
            }
            v->scale = (uint8_t)number;
        }
        more = take(p, "+");
    }
    bool minus = take(p, "- ");
    if ((more || minus) && take_number(p, &number)) {
        v->disp = (int32_t)(minus ? -number : number);
    }
    return take(p, "]");
}

static bool take_second(struct parser *p, struct ir_value *v)
{
    if (!take(p, ",")) {
        return false;
    }
    if (take(p, "#")) {
        v->flags |= IR_IMM;
        return take_number(p, &v->imm);
    }
    return take_name(p, "v", &v->b);
}

static bool take_comparison(struct parser *p, struct ir_value *v)
{
    int64_t width;
    for (unsigned c = 0; c < IR_COND_COUNT; c++) {
        if (take_word(p, ir_cond_names[c])) {
            v->cond = (uint8_t)c;
            if (!take_number(p, &width)) {
                return false;
            }
            v->cwidth = (uint8_t)width;
            return take_name(p, "v", &v->a) && take_second(p, v);
        }
    }
    return false;
}

static bool take_memory(struct parser *p, struct ir_value *v)
{
    if (!take_address(p, v)) {
        return false;
    }
    if (v->op == IR_CMPXCHG && !(take(p, ",") && take_name(p, "v", &v->b))) {
        return false;
    }
    if (!ir_has_operand(v->op, 'c')) {
        return true;
    }
    if (!take(p, ",")) {
        return false;
    }
    if (take(p, "#")) {
        v->flags |= IR_IMM;
        return take_number(p, &v->imm);
    }
    return take_name(p, "v", &v->c);
}

static bool take_plain(struct parser *p, struct ir_value *v)
{
    int64_t number = 0;
    bool fits = !ir_has_operand(v->op, 'a') || take_name(p, "v", &v->a);
    fits = fits && (!ir_has_operand(v->op, 'b') || take_second(p, v));
    fits = fits && (!ir_has_operand(v->op, 'c') || (take(p, ",") && take_name(p, "v", &v->c)));
    fits = fits && (!ir_has_operand(v->op, 'd') || (take(p, ",") && take_name(p, "v", &v->d)));
    if (fits && ir_takes_number(v->op)) {
        (void)take(p, ",");
        fits = take(p, "#") && take_number(p, &v->imm);
    }
    if (fits && v->op == IR_BITS) {
        fits = take(p, ",") && take(p, "#") && take_number(p, &number);
        v->disp = (int32_t)number;
    }
    return fits;
}

static bool take_operands(struct parser *p, struct ir_value *v)
{
    if (v->op == IR_PHI) {
        return take_list(p, "v") && keep_list(p, v);
    }
    if (ir_has_operand(v->op, 'p')) {
        return take(p, "#") && take_number(p, &v->imm) && take(p, "(") && take_list(p, "v") && take(p, ")") &&
               keep_list(p, v);
    }
    if (v->op == IR_BRANCH) {
        return take_comparison(p, v);
    }
    if (v->op == IR_SELECT) {
        return take_comparison(p, v) && take(p, "?") && take_name(p, "v", &v->c) && take(p, ":") &&
               take_name(p, "v", &v->d);
    }
    return ir_is_memory(v->op) ? take_memory(p, v) : take_plain(p, v);
}

// --- lines ---------------------------------------------------------------------------------------

static bool take_op(struct parser *p, struct ir_value *v)
{
    int64_t width = 64;
    for (unsigned op = 1; op < IR_OP_COUNT; op++) {
        if (take_word(p, ir_op_texts[op])) {
            v->op = (uint8_t)op;
            if (ir_has_width(op) && !take_number(p, &width)) {
                return false;
            }
            v->width = (uint8_t)width;
            return true;
        }
    }
    return false;
}

static bool take_successors(struct parser *p, const struct ir_value *v)
{
    struct ir_block *b = ir_block_at(&p->j->ir, p->block);
    if (!take(p, "->")) {
        return true;
    }
    if (!take_list(p, "b") || (v->op != IR_SWITCH && p->count > 2)) {
        return false;
    }
    if (v->op != IR_SWITCH) {
        b->succ[0] = p->count > 0 ? p->list[0] : IR_NONE;
        b->succ[1] = p->count > 1 ? p->list[1] : IR_NONE;
        return true;
    }
    b->targets = jit_alloc(p->j, p->count + 1, sizeof(*b->targets));
    b->target_count = p->count;
    if (b->targets != NULL) {
        memcpy(b->targets, p->list, p->count * sizeof(*b->targets));
    }
    return b->targets != NULL;
}

static void take_flags(struct parser *p, struct ir_value *v)
{
    v->flags |= take(p, "!nonzero") ? IR_NONZERO : 0;
    v->flags |= take(p, "!step") ? IR_STEP : 0;
    v->flags |= take(p, "!cold") ? IR_COLD : 0;
}

// Values up to `number` exist afterwards.
static bool reserve_values(struct parser *p, uint32_t number)
{
    while (p->j->ir.value_count <= number) {
        if (ir_new(p->j, IR_NOP, 64, IR_NONE, IR_NONE, 0) == IR_NONE) {
            return false;
        }
    }
    return true;
}

static void link_value(struct ir *ir, uint32_t block, uint32_t value)
{
    struct ir_block *b = ir_block_at(ir, block);
    uint32_t *link = b->first == IR_NONE ? &b->first : &ir_at(ir, b->last)->next;
    *link = b->last = value;
    ir_at(ir, value)->block = block;
    ir_at(ir, value)->next = IR_NONE;
}

static bool take_value(struct parser *p)
{
    struct ir_value v = {.reg = IR_REG_NONE};
    uint32_t number = IR_NONE;
    const char *start = p->at;
    if (!take_name(p, "v", &number) || !take(p, "=")) {
        p->at = start;
        number = IR_NONE;
    }
    if (p->block == IR_NONE || !take_op(p, &v) || !take_operands(p, &v) || !take_successors(p, &v)) {
        return false;
    }
    take_flags(p, &v);
    number = number != IR_NONE ? number : p->j->ir.value_count;
    if (!reserve_values(p, number)) {
        return false;
    }
    *ir_at(&p->j->ir, number) = v;
    link_value(&p->j->ir, p->block, number);
    return true;
}

static bool reserve_blocks(struct parser *p, uint32_t number)
{
    while (p->j->ir.block_count <= number) {
        if (ir_new_block(p->j, 0) == IR_NONE) {
            return false;
        }
    }
    return true;
}

static bool take_block(struct parser *p)
{
    uint32_t number;
    if (!take_name(p, "b", &number) || number == IR_NONE || !take(p, ":") || !reserve_blocks(p, number)) {
        return false;
    }
    struct ir_block *b = ir_block_at(&p->j->ir, number);
    if (take(p, "<-")) {
        if (!take_list(p, "b")) {
            return false;
        }
        b->preds = jit_alloc(p->j, p->count + 1, sizeof(*b->preds));
        if (b->preds == NULL) {
            return false;
        }
        memcpy(b->preds, p->list, p->count * sizeof(*b->preds));
        b->pred_count = p->count;
    }
    b->cold = take(p, "!cold");
    p->block = number;
    return true;
}

static bool take_func(struct parser *p)
{
    int64_t func;
    if (!take_number(p, &func) || !take(p, "entry") || !take_name(p, "b", &p->j->ir.entry)) {
        return false;
    }
    p->j->ir.func = (uint32_t)func;
    return reserve_blocks(p, p->j->ir.entry);
}

static bool take_line(struct parser *p)
{
    skip(p);
    bool fits = true;
    if (*p->at == '\n' || *p->at == '#') {
        while (*p->at != '\n' && *p->at != '\0') {
            p->at++;
        }
    } else if (take_word(p, "func")) {
        fits = take_func(p);
    } else {
        const char *start = p->at;
        if (!take_block(p)) {
            p->at = start;
            fits = take_value(p);
        }
    }
    skip(p);
    return fits && (*p->at == '\n' || *p->at == '\0');
}

// --- the whole -----------------------------------------------------------------------------------

// The numbers that were read name something.
static bool is_closed(const struct ir *ir)
{
    for (uint32_t n = 1; n < ir->block_count; n++) {
        const struct ir_block *b = ir_block_at(ir, n);
        for (uint32_t i = 0; i < ir_successor_count(b); i++) {
            if (ir_successor(b, i) >= ir->block_count) {
                return false;
            }
        }
        for (uint32_t i = 0; i < b->pred_count; i++) {
            if (b->preds[i] == IR_NONE || b->preds[i] >= ir->block_count) {
                return false;
            }
        }
    }
    for (uint32_t n = 1; n < ir->value_count; n++) {
        struct ir_value *v = ir_at(ir, n);
        for (uint32_t i = 0; i < ir_operand_count(v); i++) {
            if (*ir_operand(ir, v, i) >= ir->value_count) {
                return false;
            }
        }
    }
    return ir->entry != IR_NONE && ir_block_at(ir, ir->entry)->first != IR_NONE;
}

// Values without name get numbers above all names.
static bool reserve_names(struct parser *p)
{
    struct parser scan = {.j = p->j};
    for (const char *c = p->at; *c != '\0'; c++) {
        uint32_t number;
        scan.at = c;
        if (take_name(&scan, "v", &number) && !reserve_values(p, number)) {
            return false;
        }
    }
    return true;
}

ebpf_result_t ir_parse(struct jit *j, const char *text, uint32_t *bad_line)
{
    struct parser p = {.j = j, .at = text};
    *bad_line = 1;
    if (!reserve_names(&p)) {
        return EBPF_NO_MEMORY;
    }
    while (*p.at != '\0') {
        if (!take_line(&p)) {
            return EBPF_INVALID_ARGUMENT;
        }
        if (*p.at == '\n') {
            p.at++;
            (*bad_line)++;
        }
    }
    if (!is_closed(&j->ir)) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(ir_find_order(j));
    return ir_find_loops(j);
}
