// SPDX-License-Identifier: MIT
// ir: memory of a translation, values and blocks of the intermediate form.
#include "jit/ir.h"

#define PURE  IR_PURE
#define READ  IR_READ
#define WRITE IR_WRITE
#define END   IR_END
#define ADDR  IR_ADDR
#define COMM  IR_COMM
#define IMM   IR_IMM_B
const struct ir_op_info ir_op_rows[IR_OP_COUNT] = {
#define OP(id, text, operands, flags) [IR_##id] = {operands, sizeof(operands) - 1, flags, operands[0] == 'p'},
#include "jit/ir_ops.def"
#undef OP
};
#undef PURE
#undef READ
#undef WRITE
#undef END
#undef ADDR
#undef COMM
#undef IMM
const char *const ir_op_texts[IR_OP_COUNT] = {
#define OP(id, text, ...) [IR_##id] = text,
#include "jit/ir_ops.def"
#undef OP
};

// --- memory --------------------------------------------------------------------------------------

// Before there is less below, or there are fewer values.
static void note_peak(struct jit *j)
{
    size_t values = (size_t)j->ir.value_count * sizeof(struct ir_value);
    if (j->memory.used + values > j->memory.peak) {
        j->memory.peak = j->memory.used + values;
    }
}

void *jit_room(struct jit *j, size_t count, size_t size)
{
    struct jit_memory *m = &j->memory;
    size_t bytes;
    if (!mul_size(count, size, &bytes) || bytes > m->size - m->used) {
        return NULL;
    }
    void *memory = m->base + m->used;
    m->used += (size_t)align_up(bytes, 8); // as is what was left
    return memory;
}

void *jit_alloc(struct jit *j, size_t count, size_t size)
{
    void *memory = jit_room(j, count, size);
    return memory == NULL ? NULL : memset(memory, 0, count * size);
}

void jit_rewind(struct jit *j, size_t mark)
{
    note_peak(j);
    j->memory.used = mark;
}

void ir_move_down(struct jit *j, size_t mark, size_t from)
{
    struct jit_memory *m = &j->memory;
    struct ir *ir = &j->ir;
    size_t down = from - mark;
    uint8_t *blocks_end = (uint8_t *)(ir->blocks + ir->block_count); // what is not in use stays behind
    uint8_t *rest = (uint8_t *)(ir->blocks + ir->block_capacity), *end = m->base + m->used;
    memmove(m->base + mark, m->base + from, (size_t)(blocks_end - (m->base + from)));
    memmove(rest - down, rest, (size_t)(end - rest));
    ir->pool = (uint32_t *)(void *)(m->base + mark);
    ir->blocks = (struct ir_block *)(void *)((uint8_t *)ir->blocks - down);
    ir->order = (uint32_t *)(void *)((uint8_t *)ir->order - down);
    ir->loops = (struct ir_loop *)(void *)((uint8_t *)ir->loops - down);
    for (uint32_t b = 1; b < ir->block_count; b++) {
        if (ir->blocks[b].preds == NULL) {
            continue;
        }
        ir->blocks[b].preds = (uint32_t *)(void *)((uint8_t *)ir->blocks[b].preds - down);
    }
    jit_rewind(j, m->used - down);
}

ebpf_result_t jit_refuse(struct jit *j, uint32_t pc)
{
    j->bad_pc = pc;
    return EBPF_JIT_COMPILATION_FAILED;
}

// --- values --------------------------------------------------------------------------------------

// Field by field: compilers make slow string instructions of structures of this size.
uint32_t ir_new(struct jit *j, enum ir_op op, uint8_t width, uint32_t a, uint32_t b, int64_t imm)
{
    struct ir *ir = &j->ir;
    struct jit_memory *m = &j->memory;
    if (m->size - m->used < sizeof(struct ir_value)) {
        return IR_NONE;
    }
    m->size -= sizeof(struct ir_value);
    ir->counted = ir->tidy = false;
    struct ir_value *v = ir_at(ir, ir->value_count);
    v->op = (uint8_t)op;
    v->width = width;
    v->cond = v->cwidth = v->flags = v->scale = 0;
    v->reg = IR_REG_NONE;
    v->mark = 0;
    v->slot = v->uses = 0;
    v->block = v->next = IR_NONE;
    v->a = a;
    v->b = b;
    v->c = v->d = IR_NONE;
    v->disp = 0;
    v->pc = 0;
    v->imm = imm;
    return ir->value_count++;
}

uint32_t ir_new_like(struct jit *j, const struct ir_value *like)
{
    uint32_t value = ir_new(j, like->op, like->width, like->a, like->b, like->imm);
    if (value == IR_NONE) {
        return IR_NONE;
    }
    struct ir_value *v = ir_at(&j->ir, value);
    v->cond = like->cond;
    v->cwidth = like->cwidth;
    v->flags = like->flags;
    v->scale = like->scale;
    v->reg = like->reg;
    v->mark = like->mark;
    v->slot = like->slot;
    v->uses = like->uses;
    v->c = like->c;
    v->d = like->d;
    v->disp = like->disp;
    v->pc = like->pc;
    return value;
}

void ir_drop_last(struct jit *j)
{
    note_peak(j);
    j->ir.value_count--;
    j->memory.size += sizeof(struct ir_value);
}

static bool is_leading(const struct ir *ir, uint32_t value)
{
    uint8_t op = ir_at(ir, value)->op;
    return op == IR_PARAM || op == IR_PHI;
}

void ir_insert_after(struct ir *ir, uint32_t block, uint32_t after, uint32_t value)
{
    struct ir_block *b = ir_block_at(ir, block);
    struct ir_value *v = ir_at(ir, value);
    if (after == IR_NONE && !is_leading(ir, value)) {
        for (uint32_t i = b->first; i != IR_NONE && is_leading(ir, i); i = ir_next(ir, i)) {
            after = i;
        }
    }
    uint32_t *link = after == IR_NONE ? &b->first : &ir_at(ir, after)->next;
    v->block = block;
    v->next = *link;
    *link = value;
    if (v->next == IR_NONE) {
        b->last = value;
    }
}

void ir_append(struct ir *ir, uint32_t block, uint32_t value)
{
    struct ir_block *b = ir_block_at(ir, block);
    uint32_t after = b->last;
    if (after != IR_NONE && (ir_op_info(ir_at(ir, after)->op)->flags & IR_END) != 0) {
        uint32_t i = b->first;
        after = IR_NONE;
        for (; i != b->last; i = ir_next(ir, i)) {
            after = i;
        }
    }
    if (after != IR_NONE) {
        ir_insert_after(ir, block, after, value);
        return;
    }
    struct ir_value *v = ir_at(ir, value);
    v->block = block;
    v->next = b->first;
    b->first = value;
    if (v->next == IR_NONE) {
        b->last = value;
    }
}

void ir_become_copy(struct ir *ir, uint32_t value, uint32_t of)
{
    struct ir_value *v = ir_at(ir, value);
    v->op = IR_COPY;
    v->width = 64;
    v->a = of;
    v->b = v->c = v->d = IR_NONE;
    v->flags = 0;
}

void ir_become_const(struct ir *ir, uint32_t value, int64_t imm)
{
    struct ir_value *v = ir_at(ir, value);
    v->op = IR_CONST;
    v->width = 64;
    v->imm = imm;
    v->a = v->b = v->c = v->d = IR_NONE;
    v->flags = 0;
}

// --- blocks --------------------------------------------------------------------------------------

static bool grow_blocks(struct jit *j, uint32_t capacity)
{
    struct ir *ir = &j->ir;
    struct ir_block *blocks = jit_room(j, capacity, sizeof(*blocks));
    uint32_t *order = jit_room(j, capacity, sizeof(*order));
    if (blocks == NULL || order == NULL) {
        return false;
    }
    if (ir->blocks != NULL) {
        memcpy(blocks, ir->blocks, ir->block_count * sizeof(*blocks));
        memcpy(order, ir->order, ir->order_count * sizeof(*order));
    } else {
        blocks[IR_NONE] = (struct ir_block){0};
    }
    ir->blocks = blocks;
    ir->order = order;
    ir->block_capacity = capacity;
    return true;
}

bool ir_reserve_blocks(struct jit *j, uint32_t count)
{
    struct ir *ir = &j->ir;
    ir->block_count += ir->block_count == 0; // IR_NONE
    return ir->block_count + count <= ir->block_capacity || grow_blocks(j, ir->block_count + count);
}

uint32_t ir_new_block(struct jit *j, uint32_t pc)
{
    struct ir *ir = &j->ir;
    if (ir->block_count >= ir->block_capacity && !ir_reserve_blocks(j, ir->block_count + 8)) {
        return IR_NONE;
    }
    struct ir_block *b = &ir->blocks[ir->block_count];
    b->first = b->last = IR_NONE;
    b->succ[0] = b->succ[1] = IR_NONE;
    b->targets = b->preds = NULL;
    b->target_count = b->pred_count = 0;
    b->pc = pc;
    b->order = b->idom = 0;
    b->dom_first = b->dom_last = 0;
    b->loop = IR_NONE;
    b->depth = b->mark = 0;
    b->cold = b->untidy = false;
    b->extra = b->edge = 0;
    return ir->block_count++;
}

// PHIs that were released on the way are NOPs.
static bool may_lead(const struct ir *ir, uint32_t value)
{
    return is_leading(ir, value) || ir_at(ir, value)->op == IR_NOP;
}

void ir_move_edge(struct ir *ir, struct ir_block *b, uint32_t to, uint32_t from)
{
    b->preds[to] = b->preds[from];
    for (uint32_t p = b->first; to != from && p != IR_NONE && may_lead(ir, p); p = ir_next(ir, p)) {
        struct ir_value *v = ir_at(ir, p);
        if (v->op == IR_PHI) {
            ir_pool(ir, v)[to] = ir_pool(ir, v)[from];
        }
    }
}

void ir_keep_edges(struct ir *ir, struct ir_block *b, uint32_t count)
{
    for (uint32_t p = b->first; b->pred_count != count && p != IR_NONE && may_lead(ir, p);
         p = ir_next(ir, p)) {
        struct ir_value *v = ir_at(ir, p);
        if (v->op == IR_PHI) {
            v->b = count;
        }
    }
    b->pred_count = count;
}

ebpf_result_t ir_list_places(struct jit *j, uint32_t (**places)[2])
{
    const struct ir *ir = &j->ir;
    *places = jit_room(j, ir->block_count, sizeof(**places));
    if (*places == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        for (uint32_t p = 0; p < b->pred_count; p++) {
            const struct ir_block *from = ir_block_at(ir, b->preds[p]);
            (*places)[b->preds[p]][from->succ[0] == ir->order[i] ? 0 : 1] = p;
        }
    }
    return EBPF_SUCCESS;
}
