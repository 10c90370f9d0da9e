// SPDX-License-Identifier: MIT
// build_ssa: the function in SSA, in one pass over its blocks in reverse post-order. A PHI is made for a
// variable that lives at a join when the values that come in differ, or, as not all of them are known at the
// head of a loop, when the loop writes it. What edges backwards bring is filled in at the end.
#include "jit/build.h"

// --- values --------------------------------------------------------------------------------------

uint32_t build_emit(struct build *b, enum ir_op op, uint8_t width, uint32_t a, uint32_t second, int64_t imm)
{
    uint32_t value = b->full ? IR_NONE : ir_new(b->j, op, width, a, second, imm);
    if (value == IR_NONE) {
        b->full = true;
        return IR_NONE;
    }
    struct ir *ir = &b->j->ir;
    struct ir_value *v = ir_at(ir, value);
    struct ir_block *block = ir_block_at(ir, b->block); // its END comes last
    v->pc = b->pc;
    v->block = b->block;
    *(block->last == IR_NONE ? &block->first : &ir_at(ir, block->last)->next) = value;
    block->last = value;
    return value;
}

// Programs repeat their numbers: the last ones of the block are kept at hand.
uint32_t build_const(struct build *b, int64_t imm)
{
    uint32_t *kept = &b->consts[((uint64_t)imm ^ (uint64_t)imm >> 5) % ARRAY_SIZE(b->consts)];
    const struct ir_value *v = ir_at(&b->j->ir, *kept);
    if (*kept == IR_NONE || v->block != b->block || v->imm != imm) {
        *kept = build_emit(b, IR_CONST, 64, IR_NONE, IR_NONE, imm);
    }
    return *kept;
}

// A value at the start of the first block, once.
static uint32_t first_value(struct build *b, uint32_t *value, enum ir_op op, int64_t imm)
{
    if (*value == IR_NONE && !b->full) {
        *value = ir_new(b->j, op, 64, IR_NONE, IR_NONE, imm);
        b->full = *value == IR_NONE;
        if (!b->full) {
            ir_insert_after(&b->j->ir, b->j->ir.entry, IR_NONE, *value);
        }
    }
    return *value;
}

uint32_t build_zero(struct build *b)
{
    return first_value(b, &b->zero, IR_CONST, 0);
}

uint32_t build_param(struct build *b, unsigned number)
{
    return first_value(b, &b->params[number], IR_PARAM, number);
}

uint32_t build_run(struct build *b)
{
    return build_param(b, 5);
}

// The frames of functions that were taken in are behind that of the function itself: above it in the memory
// that the caller gave, below it on the native stack.
static uint32_t frame_at(struct build *b, uint8_t depth)
{
    struct ir *ir = &b->j->ir;
    bool native = b->j->options->native_frame;
    uint32_t low = (depth + 1u) * INSN_STACK_SIZE;
    uint32_t top = native ? first_value(b, &b->frame[0], IR_FRAME, 0) : build_param(b, 6);
    ir->frame_low = ir->frame_low > low ? ir->frame_low : low;
    if (depth == 0 || b->frame[depth] != IR_NONE || b->full) {
        return depth == 0 ? top : b->frame[depth];
    }
    uint32_t offset = IR_NONE;
    int64_t bytes = (int64_t)INSN_STACK_SIZE * depth;
    (void)first_value(b, &offset, IR_CONST, native ? -bytes : bytes);
    uint32_t frame = b->full ? IR_NONE : ir_new(b->j, IR_ADD, 64, top, offset, 0);
    b->full = frame == IR_NONE;
    if (!b->full) {
        ir_insert_after(ir, ir->entry, native ? top : offset, frame);
        b->frame[depth] = frame;
    }
    return frame;
}

uint32_t build_read(struct build *b, unsigned reg)
{
    uint8_t depth = b->copies[b->copy].depth;
    return reg == 10 ? frame_at(b, depth) : b->vars.now[build_var(depth, reg)];
}

void build_write(struct build *b, unsigned reg, uint32_t value)
{
    if (reg == 10) {
        b->writes_frame = true;
        return;
    }
    b->vars.now[build_var(b->copies[b->copy].depth, reg)] = value;
}

// --- blocks --------------------------------------------------------------------------------------

static uint32_t pc_of(const struct build *b, const struct build_block *block)
{
    uint32_t slot = block->kind == BUILD_TURN ? block->first - 1 : block->first;
    return build_pc(b, &b->copies[block->copy], slot);
}

static uint32_t count_blocks(const struct build *b)
{
    uint32_t count = b->blocks[0].has_preds;
    for (uint32_t i = 0; i < b->block_count; i++) {
        count += b->blocks[i].reached;
    }
    return count;
}

static uint32_t count_branches(const struct build *b)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->block_count; i++) {
        count += b->blocks[i].reached && b->blocks[i].succ[1] != BUILD_NONE;
    }
    return count;
}

// The layout splits about as many edges as there are branches.
static ebpf_result_t make_blocks(struct build *b, uint32_t count)
{
    struct ir *ir = &b->j->ir;
    uint32_t first_pc = b->j->input->funcs[b->func].start;
    if (!ir_reserve_blocks(b->j, count + count_branches(b))) {
        return EBPF_NO_MEMORY;
    }
    if (b->blocks[0].has_preds) {
        ir->entry = ir_new_block(b->j, first_pc);
    }
    for (uint32_t i = 0; i < b->block_count; i++) {
        struct build_block *block = &b->blocks[i];
        if (block->reached) {
            block->ir = ir_new_block(b->j, pc_of(b, block));
        }
    }
    if (!b->blocks[0].has_preds) {
        ir->entry = b->blocks[0].ir;
        return EBPF_SUCCESS;
    }
    ir_block_at(ir, ir->entry)->succ[0] = b->blocks[0].ir;
    ir_block_at(ir, b->blocks[0].ir)->pred_count++;
    return EBPF_SUCCESS;
}

// Sets successors, counts predecessors and then lists them.
static uint32_t connect_blocks(struct build *b)
{
    struct ir *ir = &b->j->ir;
    uint32_t edges = b->blocks[0].has_preds;
    for (uint32_t i = 0; i < b->block_count; i++) {
        const struct build_block *block = &b->blocks[i];
        for (unsigned s = 0; s < 2 && block->reached; s++) {
            if (block->succ[s] != BUILD_NONE) {
                uint32_t to = b->blocks[block->succ[s]].ir;
                ir_block_at(ir, block->ir)->succ[s] = to;
                ir_block_at(ir, to)->pred_count++;
                edges++;
            }
        }
    }
    return edges;
}

static void list_preds(struct ir *ir, uint32_t *room)
{
    for (uint32_t i = 1; i < ir->block_count; i++) {
        struct ir_block *b = ir_block_at(ir, i);
        b->preds = room;
        room += b->pred_count;
        b->pred_count = 0;
    }
    for (uint32_t i = 1; i < ir->block_count; i++) {
        for (uint32_t s = 0; s < ir_successor_count(ir_block_at(ir, i)); s++) {
            struct ir_block *to = ir_block_at(ir, ir_successor(ir_block_at(ir, i), s));
            to->preds[to->pred_count++] = i;
        }
    }
}

static ebpf_result_t make_graph(struct build *b, uint32_t blocks)
{
    TRY(make_blocks(b, blocks));
    uint32_t *room = jit_alloc(b->j, connect_blocks(b), sizeof(*room));
    if (room == NULL) {
        return EBPF_NO_MEMORY;
    }
    list_preds(&b->j->ir, room);
    TRY(ir_find_order(b->j));
    return ir_find_loops(b->j);
}

// --- variables -----------------------------------------------------------------------------------

static ebpf_result_t init_variables(struct build *b, uint32_t blocks)
{
    b->source = jit_room(b->j, blocks + 1, sizeof(*b->source));
    if (b->source == NULL) {
        return EBPF_NO_MEMORY;
    }
    memset(b->source, 0xff, (blocks + 1) * sizeof(*b->source));
    return build_vars_init(&b->vars, b->j, b->var_count, blocks + 1);
}

static void take_variables(struct build *b)
{
    for (uint32_t i = 0; i < b->block_count; i++) {
        const struct build_block *block = &b->blocks[i];
        if (block->reached) {
            b->source[block->ir] = i;
            b->vars.in[block->ir] = block->in;
            b->vars.def[block->ir] = block->def;
        }
    }
    build_vars_find_mods(&b->vars);
}

// Registers at the start of the function: the arguments, and zero in all others.
static void start_function(struct build *b)
{
    uint32_t arguments = b->func == 0 ? 2 : 5;
    b->pc = b->j->input->funcs[b->func].start;
    for (uint32_t var = 0; var < b->var_count; var++) {
        if ((b->blocks[0].in >> var & 1) != 0) {
            bool argument = var >= 1 && var <= arguments;
            b->vars.now[var] = argument ? build_param(b, var - 1) : build_zero(b);
        }
    }
}

// --- all together --------------------------------------------------------------------------------

static bool is_body(const struct build *b, const struct insn *in, uint32_t slot)
{
    return !insn_is_jump(in) && in->id != INSN_EXIT &&
           (in->id != INSN_CALL_LOCAL || build_copy_at(b, slot) == BUILD_NONE);
}

static ebpf_result_t fill_code(struct build *b, const struct build_block *source)
{
    const struct build_copy *copy = &b->copies[source->copy];
    uint32_t slots;
    b->copy = source->copy;
    for (uint32_t slot = source->first; slot < source->end; slot += slots) {
        b->pc = build_pc(b, copy, slot);
        const struct insn *in = &b->j->input->insns[b->pc];
        slots = insn_slots(in);
        if (is_body(b, in, slot)) {
            TRY(build_insn(b, in));
        }
    }
    return build_end(b, source);
}

static ebpf_result_t fill_block(struct build *b, uint32_t at)
{
    struct ir *ir = &b->j->ir;
    b->block = at;
    if (at == ir->entry) {
        start_function(b);
    } else {
        b->full |= !build_vars_enter(&b->vars, at);
    }
    if (b->source[at] == BUILD_NONE) {
        (void)build_emit(b, IR_JUMP, 64, IR_NONE, IR_NONE, 0);
    } else {
        TRY(fill_code(b, &b->blocks[b->source[at]]));
    }
    if (b->full) {
        return EBPF_NO_MEMORY;
    }
    build_vars_leave(&b->vars, at);
    return EBPF_SUCCESS;
}

ebpf_result_t build_values(struct build *b)
{
    struct ir *ir = &b->j->ir;
    uint32_t blocks = count_blocks(b);
    TRY(init_variables(b, blocks));
    size_t from = b->j->memory.used; // behind what is needed no longer than the build
    ir->pool = (uint32_t *)(void *)(b->j->memory.base + from);
    TRY(make_graph(b, blocks));
    take_variables(b);
    for (uint32_t i = 0; i < ir->order_count; i++) {
        TRY(fill_block(b, ir->order[i]));
    }
    TRY(build_vars_fill(&b->vars));
    ir_move_down(b->j, b->mark, from);
    return EBPF_SUCCESS;
}
