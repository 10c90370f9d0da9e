// SPDX-License-Identifier: MIT
// arm64_emit: one function to machine code. Branches are written without distance and completed at the end;
// when one does not reach, the function is written again with forms that go further. Calls of functions that
// come later are a chain through their own words, which begins in func_offset.
#include "jit/arm64_emit.h"

#define CHAIN     UINT32_C(0x80000000) // in func_offset: not there yet; the last branch to it, in words
#define CHAIN_END UINT32_C(0x7fffffff)

void arm64_put(struct arm64_emitter *e, uint32_t word)
{
    struct jit_code *out = e->out;
    if (e->full || out->capacity - out->size < sizeof(word)) {
        e->full = true;
        return;
    }
    memcpy(out->code + out->size, &word, sizeof(word));
    out->size += sizeof(word);
}

void arm64_put_fix(struct arm64_emitter *e, uint32_t word, enum arm64_fix_kind kind, uint32_t to)
{
    e->fixes[e->fix_count++] = (struct arm64_fix){.at = (uint32_t)e->out->size, .to = to, .kind = kind};
    arm64_put(e, word);
}

static uint32_t word_at(const struct jit_code *out, uint32_t at)
{
    uint32_t word;
    memcpy(&word, out->code + at, sizeof(word));
    return word;
}

static void set_word(struct jit_code *out, uint32_t at, uint32_t word)
{
    memcpy(out->code + at, &word, sizeof(word));
}

static bool set_distance(struct jit_code *out, uint32_t at, uint32_t to)
{
    uint32_t word = word_at(out, at);
    bool reached = arm64_set_distance(&word, (int64_t)to - (int64_t)at);
    set_word(out, at, word);
    return reached;
}

// --- one function --------------------------------------------------------------------------------

static void note_line(struct arm64_emitter *e, uint32_t pc)
{
    struct jit_code *out = e->out;
    if (out->line_capacity == 0 || pc == e->pc) {
        return;
    }
    e->pc = pc;
    if (out->line_count == out->line_capacity) {
        e->full = true;
        return;
    }
    out->lines[out->line_count++] = (struct jit_line){.offset = (uint32_t)out->size, .pc = pc};
}

static ebpf_result_t put_value(struct arm64_emitter *e, struct ir_value *v)
{
    switch (v->op) {
    case IR_PARAM:
    case IR_PHI: return EBPF_SUCCESS;
    case IR_CALL:
    case IR_CALL_LOCAL: return arm64_put_call(e, v);
    case IR_JUMP:
    case IR_BRANCH:
    case IR_SWITCH: return arm64_put_flow(e, v);
    case IR_RET:
    case IR_TAIL: return arm64_put_return(e, v);
    default: break;
    }
    bool known = arm64_put_alu(e, v) || arm64_put_memory(e, v) || arm64_put_atomic(e, v);
    return known ? EBPF_SUCCESS : jit_refuse(e->j, v->pc);
}

static ebpf_result_t put_edge(struct arm64_emitter *e, uint32_t block)
{
    struct jit_move *moves;
    uint32_t count;
    size_t mark = e->j->memory.used;
    uint32_t to = ir_block_at(e->ir, block)->succ[0];
    if (ir_at(e->ir, ir_block_at(e->ir, to)->first)->op != IR_PHI) {
        return EBPF_SUCCESS;
    }
    TRY(alloc_edge_moves(e->j, block, SCRATCH_B, &moves, &count));
    arm64_put_moves(e, moves, count);
    jit_rewind(e->j, mark);
    return EBPF_SUCCESS;
}

// What is made where it is used, or not at all.
static bool is_silent(const struct ir_value *v)
{
    bool made = v->op == IR_CONST || v->op == IR_MAP || v->op == IR_FRAME;
    return v->op == IR_NOP || v->op == IR_UNDEF || (made && v->reg == IR_REG_NONE && v->slot == 0);
}

// The value that the next instruction will be for.
static uint32_t next_value(const struct ir *ir, uint32_t value)
{
    do {
        value = ir_next(ir, value);
    } while (value != IR_NONE && is_silent(ir_at(ir, value)));
    return value;
}

static ebpf_result_t put_values(struct arm64_emitter *e, uint32_t block)
{
    for (uint32_t i = ir_block_at(e->ir, block)->first; i != IR_NONE; i = ir_next(e->ir, i)) {
        struct ir_value *v = ir_at(e->ir, i);
        if (is_silent(v)) {
            continue;
        }
        uint32_t next = next_value(e->ir, i);
        note_line(e, v->pc);
        if (next != IR_NONE && arm64_put_fused(e, v, ir_at(e->ir, next))) {
            i = next;
            continue;
        }
        if (v->op == IR_JUMP) {
            TRY(put_edge(e, block));
        }
        TRY(put_value(e, v));
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t put_block(struct arm64_emitter *e, uint32_t block)
{
    ir_block_at(e->ir, block)->extra = (uint32_t)e->out->size;
    e->tail_room = ALLOC_TAIL_ROOM;
    for (e->tail = block; e->tail != IR_NONE;) {
        block = e->tail;
        e->tail = IR_NONE; // until a jump says so
        TRY(put_values(e, block));
    }
    return EBPF_SUCCESS;
}

// Stubs hold addresses that are further away than `bl` goes. No data between the code.
static void put_stubs(struct arm64_emitter *e, uint32_t *stub_offsets)
{
    for (uint32_t i = 0; i < e->stub_count; i++) {
        stub_offsets[i] = (uint32_t)e->out->size;
        arm64_put_number(e, SCRATCH_A, e->stubs[i]);
        arm64_put(e, arm64_jump_register(A64_BR, SCRATCH_A));
    }
}

static void note_frame(struct arm64_emitter *e, uint32_t start, uint32_t prologue)
{
    struct jit_code *out = e->out;
    if (out->frame_capacity == 0) {
        return;
    }
    if (out->frame_count == out->frame_capacity) {
        e->full = true;
        return;
    }
    struct jit_frame *f = &out->frames[out->frame_count++];
    *f = (struct jit_frame){.start = start,
                            .end = (uint32_t)out->size,
                            .prologue = prologue,
                            .allocated = e->local_size,
                            .pushed_count = (uint8_t)e->saved_count};
    memcpy(f->pushed, e->saved, e->saved_count);
}

// --- branches ------------------------------------------------------------------------------------

// Only for a function that is there or a chain.
static bool fix_call(struct arm64_emitter *e, const struct arm64_fix *f)
{
    uint32_t *offset = &e->j->func_offset[f->to];
    if ((*offset & CHAIN) == 0) {
        return set_distance(e->out, f->at, *offset);
    }
    set_word(e->out, f->at, *offset & ~CHAIN);
    *offset = f->at / 4 | CHAIN;
    return true;
}

// All that called the function before it was there.
static bool resolve_chain(struct jit *j, uint32_t func, uint32_t start)
{
    uint32_t at = j->func_offset[func] & ~CHAIN;
    bool reached = true;
    while (at != CHAIN_END) {
        uint32_t next = word_at(j->out, at * 4);
        set_word(j->out, at * 4, arm64_branch(A64_BL, 64, 0, 0));
        reached = set_distance(j->out, at * 4, start) && reached;
        at = next;
    }
    j->func_offset[func] = start;
    return reached;
}

// Branches and stubs inside the function; false: one does not reach.
static bool fix_near(struct arm64_emitter *e, const uint32_t *stub_offsets)
{
    for (uint32_t i = 0; i < e->fix_count; i++) {
        const struct arm64_fix *f = &e->fixes[i];
        uint32_t to = f->kind == FIX_STUB ? stub_offsets[f->to] : ir_block_at(e->ir, f->to)->extra;
        if (f->kind != FIX_FUNC && !set_distance(e->out, f->at, to)) {
            return false;
        }
    }
    return true;
}

static bool fix_calls(struct arm64_emitter *e)
{
    bool reached = true;
    for (uint32_t i = 0; i < e->fix_count; i++) {
        if (e->fixes[i].kind == FIX_FUNC) {
            reached = fix_call(e, &e->fixes[i]) && reached;
        }
    }
    return reached;
}

// --- the whole -----------------------------------------------------------------------------------

static uint32_t count_branches(const struct ir *ir)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        count += 2 + ir_block_at(ir, ir->order[i])->target_count;
    }
    return count;
}

static ebpf_result_t init(struct arm64_emitter *e, struct jit *j, enum arm64_reach reach)
{
    uint32_t calls = j->allocation->calls, branches = count_branches(&j->ir);
    *e = (struct arm64_emitter){.j = j, .ir = &j->ir, .out = j->out, .reach = reach, .pc = UINT32_MAX};
    e->fixes = jit_room(j, (size_t)branches + calls, sizeof(*e->fixes));
    e->stubs = jit_room(j, calls, sizeof(*e->stubs));
    if (e->fixes == NULL || e->stubs == NULL) {
        return EBPF_NO_MEMORY;
    }
    return arm64_plan_frame(e);
}

static ebpf_result_t put_function(struct arm64_emitter *e, uint32_t *prologue)
{
    struct ir *ir = e->ir;
    uint32_t start = (uint32_t)e->out->size;
    TRY(arm64_put_prologue(e));
    *prologue = (uint32_t)e->out->size - start;
    for (e->position = 0; e->position < ir->order_count; e->position++) {
        TRY(put_block(e, ir->order[e->position]));
    }
    return EBPF_SUCCESS;
}

// *reached: whether all branches do; the function is complete then.
static ebpf_result_t emit_with(struct jit *j, enum arm64_reach reach, bool *reached)
{
    struct arm64_emitter e;
    uint32_t start = (uint32_t)j->out->size, prologue;
    TRY(init(&e, j, reach));
    TRY(put_function(&e, &prologue));
    uint32_t *stub_offsets = jit_room(j, e.stub_count, sizeof(*stub_offsets));
    if (stub_offsets == NULL) {
        return EBPF_NO_MEMORY;
    }
    put_stubs(&e, stub_offsets);
    note_frame(&e, start, prologue);
    if (e.full) {
        return EBPF_INSUFFICIENT_BUFFER;
    }
    *reached = fix_near(&e, stub_offsets);
    if (*reached && !(fix_calls(&e) && resolve_chain(j, j->ir.func, start))) {
        return jit_refuse(j, ir_block_at(&j->ir, j->ir.entry)->pc); // more than 128 MiB of code
    }
    return EBPF_SUCCESS;
}

ebpf_result_t arm64_emit(struct jit *j)
{
    struct jit_code *out = j->out, before = *out;
    size_t mark = j->memory.used;
    bool reached = false;
    ir_count_uses(&j->ir);
    for (unsigned reach = REACH_BIT; reach < REACH_COUNT && !reached; reach++) {
        out->size = before.size;
        out->call_count = before.call_count;
        out->line_count = before.line_count;
        out->frame_count = before.frame_count;
        TRY(emit_with(j, (enum arm64_reach)reach, &reached));
        jit_rewind(j, mark);
    }
    return reached ? EBPF_SUCCESS : jit_refuse(j, ir_block_at(&j->ir, j->ir.entry)->pc);
}

// Nothing is left over: stubs lie behind each function.
ebpf_result_t arm64_finish(struct jit *j)
{
    for (uint32_t f = 0; f < j->input->func_count; f++) {
        uint32_t offset = j->func_offset[f];
        if ((offset & CHAIN) != 0 && (offset & ~CHAIN) != CHAIN_END) {
            return jit_refuse(j, j->input->funcs[f].start); // called, but it has no code
        }
    }
    return EBPF_SUCCESS;
}

void arm64_link(struct jit_code *code, uint64_t address)
{
    for (uint32_t i = 0; i < code->call_count; i++) {
        const struct jit_call *call = &code->calls[i];
        uint32_t word = word_at(code, call->offset);
        if (arm64_set_distance(&word, (int64_t)(call->target - (address + call->offset)))) {
            set_word(code, call->offset, word);
        }
    }
}
