// SPDX-License-Identifier: MIT
// build_ssa: the function in SSA, in one pass over its blocks in reverse post-order. A PHI is made for a
// variable that lives at a join when the values that come in differ, or, as not all of them are known at the
// head of a loop, when the loop writes it. What edges backwards bring is filled in at the end.
#include "jit/build.h"

// --- values --------------------------------------------------------------------------------------

// A value that was just made goes to the start of the first block. That may be under construction, and then
// ends in `last`.
static void put_first(struct build *b, uint32_t after, uint32_t value)
{
    struct ir *ir = &b->j->ir;
    struct ir_block *entry = ir_block_at(ir, ir->entry);
    if (b->block == ir->entry) {
        entry->last = b->last;
    }
    ir_insert_after(ir, ir->entry, after, value);
    if (b->block == ir->entry) {
        b->last = entry->last;
        b->link = &ir_at(ir, entry->last)->next;
    }
}

// A value at the start of the first block, once.
static uint32_t first_value(struct build *b, uint32_t *value, enum ir_op op, int64_t imm)
{
    if (*value == IR_NONE && !b->full) {
        *value = ir_new(b->j, op, 64, IR_NONE, IR_NONE, imm);
        b->full = *value == IR_NONE;
        if (!b->full) {
            put_first(b, IR_NONE, *value);
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
    uint32_t top = native ? first_value(b, &b->top, IR_FRAME, 0) : build_param(b, 6);
    ir->frame_low = ir->frame_low > low ? ir->frame_low : low;
    if (depth == 0 || b->full) {
        return top;
    }
    uint32_t offset = IR_NONE;
    int64_t bytes = (int64_t)INSN_STACK_SIZE * depth;
    (void)first_value(b, &offset, IR_CONST, native ? -bytes : bytes);
    uint32_t frame = b->full ? IR_NONE : ir_new(b->j, IR_ADD, 64, top, offset, 0);
    b->full = frame == IR_NONE;
    if (!b->full) {
        put_first(b, native ? top : offset, frame);
    }
    return frame;
}

uint32_t build_frame(struct build *b, unsigned reg)
{
    if (reg != 10) {
        return IR_NONE;
    }
    return b->vars.now[b->vars_of[reg]] = frame_at(b, b->copies[b->copy].depth);
}

// --- blocks --------------------------------------------------------------------------------------

static uint32_t pc_of(const struct build *b, const struct build_block *block)
{
    uint32_t slot = block->kind == BUILD_TURN ? block->first - 1 : block->first;
    return build_pc(&b->copies[block->copy], slot);
}

// The layout splits about as many edges as there are branches.
static ebpf_result_t make_room(struct build *b, uint32_t blocks, uint32_t **preds)
{
    uint32_t split = 2u * b->j->facts[b->func].tail_calls; // a tail call becomes three blocks
    if (!ir_reserve_blocks(b->j, blocks + b->branch_count + split)) {
        return EBPF_NO_MEMORY;
    }
    uint32_t edges = b->edge_count + (b->blocks[0].pred_count != 0);
    *preds = jit_room(b->j, edges, sizeof(**preds));
    return *preds == NULL ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

static uint32_t add_ir_block(struct build *b, uint32_t pc, uint32_t source, uint64_t in, uint64_t def)
{
    struct ir *ir = &b->j->ir;
    uint32_t at = ir->block_count++;
    memset(ir_block_at(ir, at), 0, sizeof(struct ir_block));
    ir_block_at(ir, at)->pc = pc;
    b->source[at] = source;
    b->vars.in[at] = in;
    b->vars.def[at] = def;
    return at;
}

// Blocks with room for their predecessors.
static void make_blocks(struct build *b, uint32_t *preds)
{
    struct ir *ir = &b->j->ir;
    bool extra = b->blocks[0].pred_count != 0; // nothing leads to the first block
    if (extra) {
        (void)add_ir_block(b, b->j->input->funcs[b->func].start, BUILD_NONE, 0, 0);
    }
    for (uint32_t i = 0; i < b->block_count; i++) {
        struct build_block *block = &b->blocks[i];
        if (block->reached) {
            block->ir = add_ir_block(b, pc_of(b, block), i, block->in, block->def);
            ir_block_at(ir, block->ir)->preds = preds;
            preds += block->pred_count + (extra && i == 0);
        }
    }
    ir->entry = extra ? b->blocks[0].ir - 1 : b->blocks[0].ir;
}

static void connect(struct ir *ir, uint32_t from, unsigned way, uint32_t to)
{
    struct ir_block *block = ir_block_at(ir, to);
    ir_block_at(ir, from)->succ[way] = to;
    block->preds[block->pred_count++] = from;
}

static void connect_blocks(struct build *b)
{
    struct ir *ir = &b->j->ir;
    if (ir->entry != b->blocks[0].ir) {
        connect(ir, ir->entry, 0, b->blocks[0].ir);
    }
    for (uint32_t i = 0; i < b->block_count; i++) {
        const struct build_block *block = &b->blocks[i];
        for (unsigned s = 0; s < 2 && block->succ[s] != BUILD_NONE; s++) {
            if (block->reached) {
                connect(ir, block->ir, s, b->blocks[block->succ[s]].ir);
            }
        }
    }
}

// What ir_find_order would find.
static void set_order(struct build *b)
{
    struct ir *ir = &b->j->ir;
    ir->order_count = 0;
    if (ir->entry != b->blocks[0].ir) {
        ir_block_at(ir, ir->entry)->order = ir->order_count;
        ir->order[ir->order_count++] = ir->entry;
    }
    for (uint32_t i = b->reached_count; i-- > 0;) {
        uint32_t block = b->blocks[b->left[i]].ir, place = ir->order_count++;
        ir->order[place] = block;
        ir_block_at(ir, block)->order = place;
    }
    ir->acyclic = !b->loops;
}

static ebpf_result_t make_graph(struct build *b, uint32_t blocks)
{
    uint32_t *preds;
    TRY(make_room(b, blocks, &preds));
    make_blocks(b, preds);
    connect_blocks(b);
    set_order(b);
    return ir_find_loops(b->j);
}

// --- variables -----------------------------------------------------------------------------------

static ebpf_result_t init_variables(struct build *b, uint32_t blocks)
{
    b->source = jit_room(b->j, blocks + 1, sizeof(*b->source));
    if (b->source == NULL) {
        return EBPF_NO_MEMORY;
    }
    return build_vars_init(&b->vars, b->j, b->var_count, blocks + 1);
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

static void enter_copy(struct build *b, uint32_t copy)
{
    if (b->copy == copy) {
        return;
    }
    b->copy = copy;
    for (unsigned reg = 0; reg < INSN_REG_COUNT; reg++) {
        b->vars_of[reg] = (uint8_t)build_var(b->copies[copy].depth, reg);
    }
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
    struct ir_block *block = ir_block_at(ir, at);
    b->last = block->last;
    b->link = block->last == IR_NONE ? &block->first : &ir_at(ir, block->last)->next;
    if (b->source[at] == BUILD_NONE) {
        (void)build_emit(b, IR_JUMP, 64, IR_NONE, IR_NONE, 0);
    } else {
        const struct build_block *source = &b->blocks[b->source[at]];
        enter_copy(b, source->copy);
        TRY(build_code(b, source));
        build_end(b, source);
    }
    if (b->full) {
        return EBPF_NO_MEMORY;
    }
    block->last = b->last;
    build_vars_leave(&b->vars, at);
    return EBPF_SUCCESS;
}

ebpf_result_t build_values(struct build *b)
{
    struct ir *ir = &b->j->ir;
    uint32_t blocks = b->reached_count + (b->blocks[0].pred_count != 0);
    TRY(init_variables(b, blocks));
    size_t from = b->j->memory.used; // behind what is needed no longer than the build
    ir->pool = (uint32_t *)(void *)(b->j->memory.base + from);
    TRY(make_graph(b, blocks));
    build_vars_find_mods(&b->vars);
    b->copy = BUILD_NONE;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        TRY(fill_block(b, ir->order[i]));
    }
    TRY(build_vars_fill(&b->vars));
    ir_move_down(b->j, b->mark, from);
    ir->whole = true;
    return EBPF_SUCCESS;
}
