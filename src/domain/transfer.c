// SPDX-License-Identifier: MIT
// transfer: loads, stores, atomics, calls and returns; arithmetic is in alu.c, comparisons in branch.c, the
// effects of helpers in helper.c.
#include "domain/transfer.h"

#include "domain/alu.h"
#include "domain/branch.h"
#include "domain/helper.h"
#include "domain/obligation.h"
#include "domain/stack.h"

static void load_context(const struct domain_env *env, const struct value *ptr, const struct insn *in,
                         uint32_t size, struct value *out)
{
    int field = spec_field_find(env->spec, env->layout, ptr->off + in->off, size, false);
    uint8_t kind = field < 0 ? FIELD_SCALAR : env->spec->layouts[env->layout].fields[field].kind;
    switch (kind) {
    case FIELD_PACKET: value_set_pointer(out, VALUE_PACKET, 0); break;
    case FIELD_PACKET_END: value_set_pointer(out, VALUE_PACKET_END, 0); break;
    case FIELD_PACKET_META: value_set_pointer(out, VALUE_PACKET_META, 0); break;
    default: value_set_unknown(out, size); break;
    }
}

static void load(const struct domain_env *env, struct domain_state *s, const struct insn *in, uint32_t size,
                 struct value *out)
{
    const struct value *ptr = &s->regs[in->src];
    if (ptr->kind == VALUE_CTX) {
        load_context(env, ptr, in, size, out);
    } else if (ptr->kind == VALUE_STACK && value_is_fixed(ptr)) {
        stack_read(&s->frames[ptr->frame], stack_position((int64_t)ptr->off + in->off), size, out);
    } else {
        value_set_unknown(out, size);
    }
}

static void transfer_load(const struct domain_env *env, struct domain_state *s, const struct insn *in,
                          const struct insn_info *info)
{
    struct value v;
    load(env, s, in, info->width / 8u, &v);
    if (info->sem == SEM_LDXS) {
        struct scalar n;
        if (v.kind != VALUE_SCALAR) {
            value_set_unknown(&v, info->width / 8u);
        }
        n = v.num;
        scalar_sign_extend(&n, info->width);
        value_set_scalar(&v, &n);
    }
    s->regs[in->dst] = v;
}

static void write_stack(struct domain_state *s, const struct value *ptr, int32_t off, uint32_t size,
                        const struct value *v)
{
    struct state_frame *f = &s->frames[ptr->frame];
    int64_t first = (int64_t)ptr->off + off;
    if (value_is_fixed(ptr)) {
        stack_write(f, stack_position(first), size, v);
    } else {
        // One of several places changes: none of them keeps its value, none is initialised by it.
        int64_t spread = ptr->num.smax - ptr->num.smin;
        stack_forget(f, stack_position(first + ptr->num.smin), (int32_t)(spread + size));
    }
}

static void transfer_store(struct domain_state *s, const struct insn *in, const struct insn_info *info)
{
    const struct value *ptr = &s->regs[in->dst];
    if (ptr->kind != VALUE_STACK) {
        return; // contents of other memory are not tracked
    }
    struct value v;
    if (info->sem == SEM_ST) {
        value_set_const(&v, (uint64_t)in->imm);
    } else {
        struct value *from = &s->regs[in->src];
        if (from->kind == VALUE_SCALAR && from->id == VALUE_ID_NONE && !scalar_is_const(&from->num)) {
            from->id = state_make_id(s);
            from->delta = 0;
        }
        v = *from;
    }
    struct value target = *ptr;
    write_stack(s, &target, in->off, info->width / 8u, &v);
}

// The memory changes in an unknown way; the old value, where the program gets it, is unknown.
static void transfer_atomic(struct domain_state *s, const struct insn *in, const struct insn_info *info)
{
    const struct value ptr = s->regs[in->dst];
    uint32_t size = info->width / 8u;
    if (ptr.kind == VALUE_STACK) {
        struct value unknown;
        value_set_unknown(&unknown, size);
        write_stack(s, &ptr, in->off, size, &unknown);
    }
    switch (info->sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_XOR: break;
    case SEM_ATOMIC_CMPXCHG: value_set_unknown(&s->regs[0], size); break;
    default: value_set_unknown(&s->regs[in->src], size); break;
    }
}

static void transfer_wide(struct domain_state *s, const struct insn *in, const struct insn_info *info)
{
    struct value *d = &s->regs[in->dst];
    switch (info->sem) {
    case SEM_LDDW: value_set_const(d, (uint64_t)in->imm); break;
    case SEM_LDDW_MAP:
        value_set_pointer(d, VALUE_MAP_PTR, 0);
        d->map = (uint16_t)in->imm;
        break;
    case SEM_LDDW_MAP_VALUE:
        value_set_pointer(d, VALUE_MAP_VALUE, (int32_t)((uint64_t)in->imm >> 32));
        d->map = (uint16_t)in->imm;
        break;
    default: value_set_pointer(d, VALUE_CODE, 0); break;
    }
}

void transfer_insn(const struct domain_env *env, struct domain_state *s, uint32_t pc)
{
    const struct insn *in = &env->program->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    switch (info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG:
    case FORM_ALU_UNARY: alu_apply(s, in); break;
    case FORM_LOAD: transfer_load(env, s, in, info); break;
    case FORM_STORE_IMM:
    case FORM_STORE_REG: transfer_store(s, in, info); break;
    case FORM_ATOMIC: transfer_atomic(s, in, info); break;
    case FORM_LDDW: transfer_wide(s, in, info); break;
    case FORM_CALL:
    case FORM_CALLX: helper_apply(env, s, obligation_called_helper(env, s, pc)); break;
    default: break;
    }
}

bool transfer_branch(const struct domain_env *env, struct domain_state *s, uint32_t pc, bool taken)
{
    return branch_assume(s, &env->program->insns[pc], taken);
}

bool transfer_branch_is_possible(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                                 bool taken)
{
    return branch_is_possible(s, &env->program->insns[pc], taken);
}

void transfer_call(const struct domain_env *env, struct domain_state *s, uint32_t pc)
{
    UNUSED(env);
    struct state_frame *caller = state_top(s);
    caller->return_pc = pc + 1;
    memcpy(caller->saved, &s->regs[6], sizeof(caller->saved));
    memset(&s->regs[6], 0, sizeof(caller->saved));
    memset(&s->regs[0], 0, sizeof(s->regs[0]));
    s->frame_count++;
    struct state_frame *frame = state_top(s);
    memset(frame->present, 0, sizeof(frame->present));
    memset(frame->init, 0, sizeof(frame->init));
    s->regs[10].frame = (uint8_t)(s->frame_count - 1);
}

uint32_t transfer_return(struct domain_state *s)
{
    s->frame_count--;
    struct state_frame *caller = state_top(s);
    memcpy(&s->regs[6], caller->saved, sizeof(caller->saved));
    memset(caller->saved, 0, sizeof(caller->saved));
    memset(&s->regs[1], 0, 5 * sizeof(s->regs[1]));
    s->regs[10].frame = (uint8_t)(s->frame_count - 1);
    state_forget_frame(s, s->frame_count);
    return caller->return_pc;
}
