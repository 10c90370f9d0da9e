// SPDX-License-Identifier: MIT
// arm64_emit_call: calls, and how functions begin and end.
#include "jit/arm64_emit.h"

static const struct jit_options *options_of(const struct arm64_emitter *e)
{
    return e->j->options;
}

// --- calls ---------------------------------------------------------------------------------------

#define STUBS_COMPARED 16 // stubs looked through for the same function; beyond there may be two for one

static uint32_t find_stub(struct arm64_emitter *e, uint64_t address)
{
    for (uint32_t i = e->stub_count; i > 0 && i + STUBS_COMPARED > e->stub_count; i--) {
        if (e->stubs[i - 1] == address) {
            return i - 1;
        }
    }
    e->stubs[e->stub_count] = address;
    return e->stub_count++;
}

// For jit_link.
static void note_call(struct arm64_emitter *e, uint64_t address)
{
    struct jit_code *out = e->out;
    if (out->call_capacity == 0) {
        return;
    }
    if (out->call_count == out->call_capacity) {
        e->full = true;
        return;
    }
    out->calls[out->call_count++] = (struct jit_call){.offset = (uint32_t)out->size, .target = address};
}

ebpf_result_t arm64_put_call(struct arm64_emitter *e, struct ir_value *v)
{
    const uint8_t *to = v->op == IR_CALL ? arm64_convention.helper : arm64_convention.local;
    uint32_t most =
        v->op == IR_CALL ? ARRAY_SIZE(arm64_convention.helper) : ARRAY_SIZE(arm64_convention.local);
    struct jit_move moves[ARRAY_SIZE(arm64_convention.local)];
    uint32_t count = 0;
    if (v->b > most) {
        return jit_refuse(e->j, v->pc);
    }
    for (uint32_t i = 0; i < v->b; i++) {
        struct jit_location from = alloc_location(e->ir, ir_pool(e->ir, v)[i]);
        if (from.place != PLACE_NONE) {
            moves[count++] = (struct jit_move){.to = arm64_in(to[i]), .from = from};
        }
    }
    TRY(arm64_put_parallel(e, moves, count));
    uint32_t word = arm64_branch(A64_BL, 64, 0, 0);
    if (v->op == IR_CALL) {
        note_call(e, (uint64_t)v->imm);
        arm64_put_fix(e, word, FIX_STUB, find_stub(e, (uint64_t)v->imm));
    } else {
        arm64_put_fix(e, word, FIX_FUNC, (uint32_t)v->imm);
    }
    arm64_keep(e, v, arm64_convention.result);
    return EBPF_SUCCESS;
}

// --- the frame -----------------------------------------------------------------------------------

#define MAX_FRAME 32752 // all of it is in reach of one instruction
#define PAGE      4096  // guard pages have to be touched one by one

static bool has_op(const struct ir *ir, uint8_t a, uint8_t b)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_next(ir, v)) {
            if (ir_at(ir, v)->op == a || ir_at(ir, v)->op == b) {
                return true;
            }
        }
    }
    return false;
}

ebpf_result_t arm64_plan_frame(struct arm64_emitter *e)
{
    const struct alloc_result *a = e->j->allocation;
    uint32_t used = a->used & arm64_convention.callee_saved, frame = 0;
    if (has_op(e->ir, IR_CALL, IR_CALL_LOCAL)) {
        e->saved[e->saved_count++] = A64_FP;
        e->saved[e->saved_count++] = A64_LR;
    }
    for (uint8_t reg = 0; reg < 31; reg++) {
        if ((used & REG_SET(reg)) != 0) {
            e->saved[e->saved_count++] = reg;
        }
    }
    if (options_of(e)->native_frame && has_op(e->ir, IR_FRAME, IR_FRAME)) {
        frame = e->ir->frame_low != 0 ? e->ir->frame_low : INSN_STACK_SIZE;
    }
    uint64_t slots = align_up((uint64_t)a->slot_count * 8, 16), size = slots + align_up(frame, 16);
    if (size > MAX_FRAME) {
        return jit_refuse(e->j, ir_block_at(e->ir, e->ir->entry)->pc);
    }
    e->local_size = e->program_frame = (uint32_t)size;
    return EBPF_SUCCESS;
}

static uint32_t saved_size(const struct arm64_emitter *e)
{
    return (uint32_t)align_up(e->saved_count * 8u, 16);
}

static void save_registers(struct arm64_emitter *e)
{
    for (uint32_t i = 0; i < e->saved_count; i += 2) {
        bool pair = i + 1 < e->saved_count;
        int size = (int)saved_size(e);
        if (i == 0) { // an odd one comes with the zero register: the stack moves by 16
            arm64_put(e, arm64_pair(A64_STP_PRE, e->saved[0], pair ? e->saved[1] : A64_ZR, A64_SP, -size));
        } else if (pair) {
            arm64_put(e, arm64_pair(A64_STP, e->saved[i], e->saved[i + 1], A64_SP, (int)i * 8));
        } else {
            arm64_put(e, arm64_memory(A64_STR, 64, e->saved[i], A64_SP, (int)i * 8));
        }
    }
}

static void restore_registers(struct arm64_emitter *e)
{
    for (uint32_t i = (e->saved_count + 1) & ~1u; i > 0; i -= 2) {
        uint32_t first = i - 2;
        bool pair = first + 1 < e->saved_count;
        if (first == 0) {
            arm64_put(e, arm64_pair(A64_LDP_POST, e->saved[0], pair ? e->saved[1] : A64_ZR, A64_SP,
                                    (int)saved_size(e)));
        } else if (pair) {
            arm64_put(e, arm64_pair(A64_LDP, e->saved[first], e->saved[first + 1], A64_SP, (int)first * 8));
        } else {
            arm64_put(e, arm64_memory(A64_LDR, 64, e->saved[first], A64_SP, (int)first * 8));
        }
    }
}

static void allocate_locals(struct arm64_emitter *e)
{
    uint32_t left = e->local_size;
    for (; left >= PAGE; left -= PAGE) {
        arm64_put_add(e, 64, A64_SP, A64_SP, -PAGE);
        arm64_put(e, arm64_memory(A64_STR, 64, A64_ZR, A64_SP, 0));
    }
    if (left != 0) {
        arm64_put_add(e, 64, A64_SP, A64_SP, -(int64_t)left);
    }
}

static void leave(struct arm64_emitter *e)
{
    uint32_t whole = e->local_size & ~(uint32_t)(PAGE - 1);
    if (whole != 0) {
        arm64_put_add(e, 64, A64_SP, A64_SP, whole);
    }
    if (e->local_size != whole) {
        arm64_put_add(e, 64, A64_SP, A64_SP, e->local_size - whole);
    }
    restore_registers(e);
}

// The register that parameter `number` comes in, or IR_REG_NONE.
static uint8_t incoming(const struct arm64_emitter *e, int64_t number)
{
    if (!e->ir->is_entry) {
        return arm64_convention.local[number];
    }
    static const uint8_t entry[7] = {0, 1, IR_REG_NONE, IR_REG_NONE, IR_REG_NONE, 2, 3};
    uint8_t place = entry[number];
    return place == IR_REG_NONE ? IR_REG_NONE : arm64_convention.entry[place];
}

// Parameters go from the convention's registers to where the allocator wants them.
static ebpf_result_t move_parameters(struct arm64_emitter *e)
{
    const struct ir *ir = e->ir;
    struct jit_move moves[7];
    uint32_t count = 0;
    for (uint32_t i = ir_block_at(ir, ir->entry)->first; i != IR_NONE; i = ir_next(ir, i)) {
        const struct ir_value *v = ir_at(ir, i);
        struct jit_location to = alloc_location(ir, i);
        if (v->op != IR_PARAM || (to.place != PLACE_REG && to.place != PLACE_SLOT)) {
            continue;
        }
        uint8_t reg = incoming(e, v->imm);
        if (reg == IR_REG_NONE || count == ARRAY_SIZE(moves)) {
            return jit_refuse(e->j, v->pc);
        }
        moves[count++] = (struct jit_move){.to = to, .from = arm64_in(reg)};
    }
    return arm64_put_parallel(e, moves, count);
}

ebpf_result_t arm64_put_prologue(struct arm64_emitter *e)
{
    if (e->ir->is_entry && !options_of(e)->no_landing) {
        arm64_put(e, arm64_plain(A64_BTI_C));
    }
    save_registers(e);
    if (e->saved_count != 0 && e->saved[0] == A64_FP) {
        arm64_put_add(e, 64, A64_FP, A64_SP, 0);
    }
    allocate_locals(e);
    return move_parameters(e);
}

// --- returns -------------------------------------------------------------------------------------

// To the entry of another program, through x16: its landing pad takes that.
static ebpf_result_t tail_call(struct arm64_emitter *e, const struct ir_value *v)
{
    const uint8_t *entry = arm64_convention.entry;
    const struct jit_move moves[3] = {{arm64_in(entry[0]), alloc_location(e->ir, v->b)},
                                      {arm64_in(entry[2]), alloc_location(e->ir, v->c)},
                                      {arm64_in(entry[3]), alloc_location(e->ir, v->d)}};
    unsigned address = arm64_use(e, v->a, SCRATCH_A);
    if (address != SCRATCH_A) {
        arm64_put(e, arm64_two(A64_ORR, 64, SCRATCH_A, A64_ZR, address));
    }
    TRY(arm64_put_parallel(e, moves, ARRAY_SIZE(moves)));
    leave(e);
    arm64_put(e, arm64_jump_register(A64_BR, SCRATCH_A));
    return EBPF_SUCCESS;
}

ebpf_result_t arm64_put_return(struct arm64_emitter *e, struct ir_value *v)
{
    if (v->op == IR_TAIL) {
        return tail_call(e, v);
    }
    struct jit_move result = {arm64_in(arm64_convention.result), alloc_location(e->ir, v->a)};
    arm64_put_moves(e, &result, 1);
    leave(e);
    arm64_put(e, arm64_plain(A64_RET));
    return EBPF_SUCCESS;
}
