// SPDX-License-Identifier: MIT
// build_call: calls of helpers, of functions, by number, and packet loads, which are calls of the runtime.
#include "jit/build.h"

#define ARGUMENTS 5

bool build_may_abort(const struct jit *j, const struct insn *in, uint32_t pc)
{
    uint8_t form = insn_info(in->id)->form;
    if (in->id == INSN_CALL_LOCAL) {
        uint32_t func = build_func_at(j, insn_target(in, pc));
        return func != j->input->func_count && j->func_aborts[func] != 0;
    }
    return form == FORM_LDABS || form == FORM_LDIND;
}

static uint32_t undefined(struct build *b)
{
    return build_emit(b, IR_UNDEF, 64, IR_NONE, IR_NONE, 0);
}

static uint32_t emit_call(struct build *b, enum ir_op op, int64_t imm, const uint32_t *args, uint32_t count)
{
    uint32_t *list = b->full ? NULL : jit_room(b->j, count, sizeof(*list));
    if (list == NULL) {
        b->full = true;
        return IR_NONE;
    }
    memcpy(list, args, count * sizeof(*list));
    return build_emit(b, op, 64, ir_pool_index(&b->j->ir, list), count, imm);
}

// r0 has the result; r1-r5 are lost.
static void finish_call(struct build *b, uint32_t result)
{
    uint32_t zero = build_zero(b);
    build_write(b, 0, result);
    for (unsigned reg = 1; reg <= ARGUMENTS; reg++) {
        build_write(b, reg, zero);
    }
}

// --- by number -----------------------------------------------------------------------------------

static ebpf_result_t call_number(struct build *b, uint32_t number)
{
    uint32_t args[ARGUMENTS + 1];
    if (b->j->input->call_number == 0) {
        return jit_refuse(b->j, b->pc);
    }
    uint32_t store = build_emit(b, IR_STORE, 64, build_run(b), IR_NONE, 0);
    if (b->full) {
        return EBPF_NO_MEMORY;
    }
    ir_at(&b->j->ir, store)->c = number;
    ir_at(&b->j->ir, store)->disp = offsetof(struct jit_run, number);
    for (unsigned i = 0; i < ARGUMENTS; i++) {
        args[i] = build_read(b, i + 1);
    }
    args[ARGUMENTS] = build_run(b);
    b->j->ir.has_calls = true;
    finish_call(b, emit_call(b, IR_CALL, (int64_t)b->j->input->call_number, args, ARGUMENTS + 1));
    return EBPF_SUCCESS;
}

// --- helpers -------------------------------------------------------------------------------------

static ebpf_result_t call_helper(struct build *b, const struct insn *in)
{
    const struct jit_input *input = b->j->input;
    uint32_t args[ARGUMENTS + 1], count = 0;
    if (input->raw) {
        return call_number(b, build_const(b, in->imm));
    }
    if (in->imm <= 0 || in->imm >= (int64_t)input->helper_count ||
        input->helpers[in->imm].kind == JIT_HELPER_NONE || input->helpers[in->imm].arg_count > ARGUMENTS) {
        return jit_refuse(b->j, b->pc);
    }
    while (count < input->helpers[in->imm].arg_count) {
        args[count] = build_read(b, count + 1);
        count++;
    }
    args[count++] = build_run(b);
    uint32_t helper = emit_call(b, IR_HELPER, in->imm, args, count);
    ir_at(&b->j->ir, helper)->slot = b->j->ir.helpers;
    b->j->ir.helpers = helper;
    finish_call(b, helper);
    return EBPF_SUCCESS;
}

// --- functions -----------------------------------------------------------------------------------

// Frame top for the function that is called: on the native stack it makes its own, and the memory at the
// frame top is for programs that follow by a tail call.
static uint32_t next_frame(struct build *b)
{
    uint32_t top = build_param(b, 6);
    if (b->j->options->native_frame) {
        return top;
    }
    int64_t bytes = INSN_STACK_SIZE * (b->copies[b->copy].depth + 1);
    return build_emit(b, IR_ADD, 64, top, build_const(b, bytes), 0);
}

static bool is_taken_in(const struct build *b)
{
    const struct build_copy *copy = &b->copies[b->copy];
    uint32_t slot = copy->first + (b->pc - b->j->input->funcs[copy->func].start);
    return build_copy_at(b, slot) != BUILD_NONE;
}

static ebpf_result_t call_local(struct build *b, const struct insn *in)
{
    uint32_t func = build_func_at(b->j, insn_target(in, b->pc));
    uint32_t args[ARGUMENTS + 2];
    if (func == b->j->input->func_count) {
        return jit_refuse(b->j, b->pc);
    }
    uint32_t unused = undefined(b);
    for (unsigned i = 0; i < ARGUMENTS; i++) {
        bool reads = (b->j->facts[func].reads >> (i + 1) & 1) != 0;
        args[i] = reads ? build_read(b, i + 1) : unused;
    }
    args[ARGUMENTS] = build_run(b);
    args[ARGUMENTS + 1] = next_frame(b);
    b->j->ir.has_calls = true;
    finish_call(b, emit_call(b, IR_CALL_LOCAL, func, args, ARGUMENTS + 2));
    return EBPF_SUCCESS;
}

// --- packet loads --------------------------------------------------------------------------------

// The offset is a number of 32 bits. Other registers than r0 keep their values.
static ebpf_result_t load_packet(struct build *b, const struct insn *in, const struct insn_info *info)
{
    if (b->j->input->load_packet == 0) {
        return jit_refuse(b->j, b->pc);
    }
    uint32_t offset = build_const(b, (int64_t)(uint32_t)in->imm);
    if (info->form == FORM_LDIND) {
        offset = build_emit(b, IR_ADD, 32, build_read(b, in->src), offset, 0);
    }
    uint32_t unused = undefined(b);
    const uint32_t args[ARGUMENTS + 1] = {
        offset, build_const(b, info->width / 8), unused, unused, unused, build_run(b)};
    b->j->ir.has_calls = true;
    build_write(b, 0, emit_call(b, IR_CALL, (int64_t)b->j->input->load_packet, args, ARGUMENTS + 1));
    return EBPF_SUCCESS;
}

ebpf_result_t build_call(struct build *b, const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    switch (info->sem) {
    case SEM_CALL: return call_helper(b, in);
    case SEM_CALL_LOCAL: return is_taken_in(b) ? EBPF_SUCCESS : call_local(b, in); // build_end does it
    case SEM_CALLX: return call_number(b, build_read(b, in->dst));
    case SEM_LDABS:
    case SEM_LDIND: return load_packet(b, in, info);
    default: return jit_refuse(b->j, b->pc); // kernel functions
    }
}
