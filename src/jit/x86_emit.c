// SPDX-License-Identifier: MIT
// x86_emit: one function: what is to know before, prologue, blocks in the order of the layout, final form.
#include "jit/alloc.h"
#include "jit/x86_emit.h"

#define PAGE       4096u
#define MAX_FRAME  (4 * PAGE) // kernel stacks are small
#define ALIGN_NOPS 15         // padding that the head of an innermost loop is worth: two instructions, once

ebpf_result_t x86_emit(struct jit *j);

static x86_emit_fn *const emitters[IR_OP_COUNT] = {
    [IR_COPY] = x86_emit_copy,
    [IR_CONST] = x86_emit_constant,
    [IR_MAP] = x86_emit_constant,
    [IR_FRAME] = x86_emit_constant,
    [IR_ADD] = x86_emit_alu,
    [IR_SUB] = x86_emit_alu,
    [IR_AND] = x86_emit_alu,
    [IR_OR] = x86_emit_alu,
    [IR_XOR] = x86_emit_alu,
    [IR_MUL] = x86_emit_mul,
    [IR_MULHU] = x86_emit_mulhu,
    [IR_ANDN] = x86_emit_andn,
    [IR_SHL] = x86_emit_shift,
    [IR_SHR] = x86_emit_shift,
    [IR_SAR] = x86_emit_shift,
    [IR_ROL] = x86_emit_shift,
    [IR_UDIV] = x86_emit_division,
    [IR_UMOD] = x86_emit_division,
    [IR_SDIV] = x86_emit_division,
    [IR_SMOD] = x86_emit_division,
    [IR_NEG] = x86_emit_neg,
    [IR_SEXT] = x86_emit_sext,
    [IR_ZEXT] = x86_emit_zext,
    [IR_BSWAP] = x86_emit_bswap,
    [IR_BITS] = x86_emit_bits,
    [IR_POPCNT] = x86_emit_popcnt,
    [IR_CLZ] = x86_emit_clz,
    [IR_CTZ] = x86_emit_ctz,
    [IR_SELECT] = x86_emit_select,
    [IR_LEA] = x86_emit_lea,
    [IR_LOAD] = x86_emit_load,
    [IR_LOADS] = x86_emit_loads,
    [IR_LOADBE] = x86_emit_loadbe,
    [IR_STORE] = x86_emit_store,
    [IR_STOREBE] = x86_emit_storebe,
    [IR_ATOMIC_ADD] = x86_emit_atomic,
    [IR_ATOMIC_OR] = x86_emit_atomic,
    [IR_ATOMIC_AND] = x86_emit_atomic,
    [IR_ATOMIC_XOR] = x86_emit_atomic,
    [IR_FETCH_ADD] = x86_emit_exchange,
    [IR_FETCH_OR] = x86_emit_fetch_loop,
    [IR_FETCH_AND] = x86_emit_fetch_loop,
    [IR_FETCH_XOR] = x86_emit_fetch_loop,
    [IR_XCHG] = x86_emit_exchange,
    [IR_CMPXCHG] = x86_emit_cmpxchg,
    [IR_CALL] = x86_emit_call,
    [IR_CALL_LOCAL] = x86_emit_call_local,
    [IR_JUMP] = x86_emit_jump,
    [IR_BRANCH] = x86_emit_branch,
    [IR_SWITCH] = x86_emit_switch,
    [IR_RET] = x86_emit_ret,
    [IR_TAIL] = x86_emit_tail,
};

// What has no code, or none when nobody wants the result. One branch asks for all of that: it cannot be
// foreseen.
static bool emits_nothing(const struct ir_value *v)
{
    const uint64_t nothing = OP_BIT(IR_NOP) | OP_BIT(IR_PARAM) | OP_BIT(IR_UNDEF) | OP_BIT(IR_PHI);
    uint32_t place = (v->reg ^ IR_REG_NONE) | v->slot;
    unsigned idle = (place == 0) & ir_op_info(v->op)->flags;
    _Static_assert(IR_PURE == 1, "the lowest bit, as that of what has no code");
    return ((nothing >> v->op | idle) & 1) != 0;
}

// --- before --------------------------------------------------------------------------------------

static void survey_local_call(struct x86_emitter *e, const struct ir_value *v, uint32_t *used)
{
    for (uint32_t i = 0; i < v->b && i < ARRAY_SIZE(e->convention->local); i++) {
        if (ir_at(e->ir, ir_pool(e->ir, v)[i])->op != IR_UNDEF) {
            *used |= REG_SET(e->convention->local[i]);
        }
    }
}

static uint32_t used_by_local_calls(struct x86_emitter *e)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < e->ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(e->ir, e->ir->order[i]);
        for (uint32_t n = b->first; n != IR_NONE; n = ir_next(e->ir, n)) {
            if (ir_at(e->ir, n)->op == IR_CALL_LOCAL) {
                survey_local_call(e, ir_at(e->ir, n), &used);
            }
        }
    }
    return used;
}

// Counts patches and finds out what kind of frame is needed, and registers that are used beyond the
// allocator's.
static void survey(struct x86_emitter *e, uint32_t *patches, uint32_t *used)
{
    const struct alloc_result *a = e->j->allocation;
    *patches += 4 * e->ir->order_count + a->calls; // two branches, a loop's head, a tail call; calls
    e->uses_frame = (a->ops & OP_BIT(IR_FRAME)) != 0;
    e->calls_c = (a->ops & OP_BIT(IR_CALL)) != 0;
    e->calls = a->calls != 0;
    if ((a->ops & OP_BIT(IR_CALL_LOCAL)) != 0) {
        *used |= used_by_local_calls(e);
    }
}

static unsigned bits_in(uint32_t set)
{
    unsigned n = 0;
    for (; set != 0; set &= set - 1) {
        n++;
    }
    return n;
}

// From rsp up: arguments and shadow space for calls of C, spill slots, the program's frame.
static ebpf_result_t lay_out_frame(struct x86_emitter *e, uint32_t used)
{
    const struct alloc_result *a = e->j->allocation;
    uint32_t size = e->calls_c ? e->convention->call_area : 0;
    e->spill_off = size;
    if (a->slot_count > MAX_FRAME / 8 || e->ir->frame_low > MAX_FRAME) {
        return jit_refuse(e->j, 0);
    }
    size += a->slot_count * 8;
    if (e->uses_frame) {
        size = (uint32_t)align_up(size + (e->ir->frame_low != 0 ? e->ir->frame_low : INSN_STACK_SIZE), 16);
        e->frame_top = size;
    }
    e->saved = (used | a->used) & e->convention->callee_saved;
    bool aligned = (8 * bits_in(e->saved) + size) % 16 == 8;
    if ((e->calls || e->uses_frame) && !aligned) {
        size += 8;
    }
    e->frame_size = size;
    return size <= MAX_FRAME ? EBPF_SUCCESS : jit_refuse(e->j, 0);
}

// Whether the PHIs behind the only edge of `b` take anything from another place.
static bool moves_something(const struct x86_emitter *e, const struct ir_block *b)
{
    const struct ir *ir = e->ir;
    uint32_t n = ir_block_at(ir, b->succ[0])->first;
    for (; ir_at(ir, n)->op == IR_PHI; n = ir_next(ir, n)) {
        const struct ir_value *to = ir_at(ir, n), *from = ir_at(ir, ir_pool(ir, to)[b->edge]);
        bool same = to->reg == from->reg && (to->reg != IR_REG_NONE || to->slot == from->slot);
        if (!same && x86_is_wanted(to) && (x86_is_wanted(from) || alloc_is_remade(from->op))) {
            return true;
        }
    }
    return false;
}

// Blocks that do nothing but jump are left out.
static void find_empty(struct x86_emitter *e, uint32_t block)
{
    const struct ir_block *b = ir_block_at(e->ir, block);
    if (b->first != b->last || ir_at(e->ir, b->first)->op != IR_JUMP) {
        return;
    }
    uint32_t target = x86_find(e, b->succ[0]);
    if (target != block && !moves_something(e, b)) {
        e->forward[block] = target;
    }
}

// Marks blocks that jump tables lead to.
static void mark_targets(struct x86_emitter *e)
{
    const struct ir *ir = e->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        ir_block_at(ir, ir->order[i])->mark = 0;
    }
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        for (uint32_t k = 0; k < b->target_count; k++) {
            ir_block_at(ir, x86_find(e, b->targets[k]))->mark = 1;
        }
    }
}

static ebpf_result_t prepare(struct x86_emitter *e, struct jit *j)
{
    uint32_t patches = 9, used = 0;
    e->calls = e->calls_c = e->uses_frame = e->keep_flags = false;
    e->patch_count = 1;
    e->last_pc = UINT32_MAX;
    e->first_line = j->out->line_count;
    e->result = EBPF_SUCCESS;
    survey(e, &patches, &used);
    TRY(lay_out_frame(e, used));
    e->patches = jit_room(j, patches, sizeof(*e->patches));
    e->forward = jit_alloc(j, e->ir->block_count, sizeof(*e->forward));
    e->starts = jit_room(j, e->ir->block_count, sizeof(*e->starts));
    e->outer = jit_alloc(j, e->ir->loop_count + 1, sizeof(*e->outer));
    if (e->patches == NULL || e->forward == NULL || e->starts == NULL || e->outer == NULL) {
        return EBPF_NO_MEMORY;
    }
    e->patches[0] = (struct x86_patch){.kind = X86_PATCH_NONE};
    for (uint32_t i = 1; i < e->ir->loop_count; i++) {
        e->outer[e->ir->loops[i].parent] = 1;
    }
    for (uint32_t i = e->ir->order_count; i-- > 1;) {
        find_empty(e, e->ir->order[i]);
    }
    e->pads = (j->allocation->ops & OP_BIT(IR_SWITCH)) != 0 && !j->options->no_landing;
    if (e->pads) {
        mark_targets(e);
    }
    return EBPF_SUCCESS;
}

// --- prologue ------------------------------------------------------------------------------------

static void push_saved(struct x86_emitter *e, struct jit_frame *f)
{
    for (unsigned reg = 0; reg < X86_REG_COUNT; reg++) {
        if ((e->saved & REG_SET(reg)) != 0) {
            x86_push(&e->code, reg);
            f->pushed[f->pushed_count] = (uint8_t)reg;
            f->push_end[f->pushed_count++] = (uint8_t)(e->code.size - e->start);
        }
    }
}

// A frame of more than a page touches each of them, so that a guard page is not stepped over.
static void make_frame(struct x86_emitter *e)
{
    for (uint32_t below = PAGE; below <= e->frame_size; below += PAGE) {
        x86_rm(&e->code, X86_TEST, 32, X86_RAX, x86_at(X86_RSP, -(int32_t)below));
    }
    if (e->frame_size != 0) {
        x86_alu_imm(&e->code, X86_ALU_SUB, 64, X86_RSP, (int32_t)e->frame_size);
    }
}

static void prologue(struct x86_emitter *e, struct jit_frame *f)
{
    if (e->ir->is_entry && !e->j->options->no_landing) {
        x86_landing_pad(&e->code);
    }
    push_saved(e, f);
    make_frame(e);
    f->allocated = e->frame_size;
    f->prologue = (uint32_t)e->code.size - e->start;
}

// Where a PARAM comes in; IR_REG_NONE: it is not passed, which means zero.
static uint8_t incoming(const struct x86_emitter *e, int64_t number)
{
    static const uint8_t entry[] = {0, 1, IR_REG_NONE, IR_REG_NONE, IR_REG_NONE, 2, 3};
    if (!e->ir->is_entry) {
        return e->convention->local[number];
    }
    return entry[number] == IR_REG_NONE ? IR_REG_NONE : e->convention->entry[entry[number]];
}

static void take_params(struct x86_emitter *e)
{
    struct jit_move moves[7];
    uint32_t count = 0, first = ir_block_at(e->ir, e->ir->entry)->first;
    for (uint32_t n = first; n != IR_NONE && ir_at(e->ir, n)->op == IR_PARAM; n = ir_next(e->ir, n)) {
        const struct ir_value *v = ir_at(e->ir, n);
        uint8_t reg = incoming(e, v->imm);
        if (x86_is_wanted(v) && reg != IR_REG_NONE) {
            moves[count++] = (struct jit_move){alloc_location(e->ir, n), x86_in_reg(reg)};
        }
    }
    x86_moves(e, moves, count);
    for (uint32_t n = first; n != IR_NONE && ir_at(e->ir, n)->op == IR_PARAM; n = ir_next(e->ir, n)) {
        const struct ir_value *v = ir_at(e->ir, n);
        if (x86_is_wanted(v) && incoming(e, v->imm) == IR_REG_NONE) {
            unsigned reg = x86_target_reg(v);
            x86_mov_imm(&e->code, reg, 0, false);
            x86_finish(e, v, reg);
        }
    }
}

// --- blocks --------------------------------------------------------------------------------------

// Notes it, and keeps it when it is another one: that cannot be foreseen.
static void note_line(struct x86_emitter *e, uint32_t pc)
{
    struct jit_code *out = e->j->out;
    if (out->lines != NULL && out->line_count < out->line_capacity) {
        uint32_t at = (uint32_t)e->code.size, other = pc != e->last_pc, distance = at - e->last_line;
        out->lines[out->line_count] = (struct jit_line){distance, pc};
        out->line_count += other;
        e->last_line += distance & -other;
        e->last_pc = pc;
    }
}

static void emit_value(struct x86_emitter *e, const struct ir_value *v)
{
    x86_emit_fn *emit = emitters[v->op];
    if (emits_nothing(v)) {
        return;
    }
    if (emit == NULL) {
        e->result = jit_refuse(e->j, v->pc);
        return;
    }
    note_line(e, v->pc);
    emit(e, v);
}

static bool is_innermost_head(const struct x86_emitter *e, uint32_t block)
{
    uint32_t loop = ir_block_at(e->ir, block)->loop;
    return loop != IR_NONE && e->ir->loops[loop].head == block && e->outer[loop] == 0;
}

static void emit_block(struct x86_emitter *e, uint32_t block)
{
    const struct ir *ir = e->ir;
    if (is_innermost_head(e, block)) {
        x86_add_patch(e, X86_PATCH_ALIGN, ALIGN_NOPS, 0, 0);
    }
    e->starts[block] = (struct x86_start){(uint32_t)e->code.size, e->patch_count - 1};
    if (e->pads && ir_block_at(ir, block)->mark != 0) {
        x86_landing_pad(&e->code);
    }
    e->tail_room = ALLOC_TAIL_ROOM;
    for (e->tail = block; e->tail != IR_NONE;) {
        uint32_t n = ir_block_at(ir, e->tail)->first;
        e->tail = IR_NONE; // until a jump says so
        for (; n != IR_NONE && e->result == EBPF_SUCCESS; n = ir_next(ir, n)) {
            emit_value(e, ir_at(ir, n));
        }
    }
}

static void emit_blocks(struct x86_emitter *e)
{
    const struct ir *ir = e->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        if (e->forward[ir->order[i]] != IR_NONE) {
            continue;
        }
        uint32_t next = i + 1;
        while (next < ir->order_count && e->forward[ir->order[next]] != IR_NONE) {
            next++;
        }
        e->next = next < ir->order_count ? ir->order[next] : IR_NONE;
        emit_block(e, ir->order[i]);
        i = next - 1;
    }
}

static ebpf_result_t emit_function(struct x86_emitter *e)
{
    struct jit *j = e->j;
    struct jit_frame frame = {0};
    x86_align(e);
    e->start = frame.start = (uint32_t)e->code.size;
    e->last_line = 0;
    if (j->func_offset != NULL) {
        j->func_offset[e->ir->func] = e->start;
    }
    prologue(e, &frame);
    take_params(e);
    emit_blocks(e);
    TRY(e->result);
    if (e->code.size > e->code.capacity) {
        return EBPF_INSUFFICIENT_BUFFER;
    }
    TRY(x86_relax(e));
    frame.end = e->end;
    if (j->out->frames != NULL && j->out->frame_count < j->out->frame_capacity) {
        j->out->frames[j->out->frame_count++] = frame;
    }
    return EBPF_SUCCESS;
}

ebpf_result_t x86_emit(struct jit *j)
{
    struct x86_emitter e;
    x86_resume(&e, j);
    TRY(prepare(&e, j));
    TRY(emit_function(&e));
    x86_keep(&e);
    return EBPF_SUCCESS;
}
