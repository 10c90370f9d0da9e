// SPDX-License-Identifier: MIT
// transfer: loads, stores and atomics; arithmetic is in alu.c and pointer.c, comparisons in branch.c, the
// effects of helpers in helper.c, of calls in call.c.
#include "domain/transfer.h"

#include "domain/alu.h"
#include "domain/branch.h"
#include "domain/helper.h"
#include "domain/linear.h"
#include "domain/obligation.h"
#include "domain/pointer.h"
#include "domain/special.h"
#include "domain/stack.h"

// --- loads ---------------------------------------------------------------------------------------

static void set_object(struct domain_state *s, uint32_t layout, bool maybe_null, struct value *out)
{
    value_set_pointer(out, VALUE_OBJECT, 0);
    out->map = (uint16_t)layout;
    if (maybe_null) {
        out->maybe_null = 1;
        value_set_id(out, state_make_id(s));
    }
}

// What the kernel's own memory holds: 8 bytes may be an address.
static void set_kernel_word(uint32_t size, struct value *out)
{
    if (size < 8) {
        value_set_unknown(out, size);
        return;
    }
    value_set_pointer(out, VALUE_KERNEL, 0);
    out->flags = VALUE_UNTRUSTED;
}

// A field of the context or of an object.
static void load_field(const struct domain_env *env, struct domain_state *s, uint32_t layout, int32_t off,
                       uint32_t size, struct value *out)
{
    int field = spec_field_find(env->spec, layout, off, size, false);
    const struct field_row *row = field < 0 ? NULL : &env->spec->layouts[layout].fields[field];
    switch (row == NULL ? FIELD_SCALAR : row->kind) {
    case FIELD_PACKET: value_set_pointer(out, VALUE_PACKET, 0); break;
    case FIELD_PACKET_END: value_set_pointer(out, VALUE_PACKET_END, 0); break;
    case FIELD_PACKET_META: value_set_pointer(out, VALUE_PACKET_META, 0); break;
    case FIELD_OBJECT: set_object(s, row->detail, false, out); break;
    case FIELD_OBJECT_OR_NULL: set_object(s, row->detail, true, out); break;
    case FIELD_KERNEL: set_kernel_word(size, out); break;
    default: value_set_unknown(out, size); break;
    }
}

static uint64_t read_bytes(const uint8_t *bytes, uint32_t size)
{
    uint64_t number = 0;
    for (uint32_t i = size; i-- > 0;) {
        number = number << 8 | bytes[i];
    }
    return number;
}

#define MAX_CHOICES 64 // places in a constant value that a load may read from
#define MAX_SPREAD  4096

// A value that never changes is known: joins what is at all the places that `ptr` may mean. False when it is
// not known or there are too many.
static bool load_constant(const struct domain_env *env, const struct value *ptr, int32_t off, uint32_t size,
                          struct scalar *out)
{
    const struct program *p = env->program;
    const struct scalar *x = &ptr->num;
    if (p->map_facts == NULL || p->map_facts[ptr->map].contents == NULL || (ptr->flags & VALUE_INNER) != 0 ||
        x->smax - x->smin > MAX_SPREAD) {
        return false;
    }
    const uint8_t *contents = p->map_facts[ptr->map].contents;
    int64_t first = (int64_t)ptr->off + off;
    uint32_t choices = 0;
    for (int64_t i = x->smin; i <= x->smax; i++) {
        struct scalar at;
        if (((uint64_t)i & ~x->unknown) != x->bits) {
            continue;
        }
        if (++choices > MAX_CHOICES) {
            return false;
        }
        scalar_set_const(&at, read_bytes(contents + first + i, size));
        if (choices == 1) {
            *out = at;
        } else {
            scalar_join(out, &at);
        }
    }
    return choices > 0;
}

static void load_map_value(const struct domain_env *env, const struct value *ptr, int32_t off, uint32_t size,
                           struct value *out)
{
    struct scalar n;
    if (load_constant(env, ptr, off, size, &n)) {
        value_set_scalar(out, &n);
    } else {
        value_set_unknown(out, size);
    }
}

static void load_stack(struct domain_state *s, const struct value *ptr, int32_t off, uint32_t size,
                       struct value *out)
{
    int64_t first = (int64_t)ptr->off + off;
    if (value_is_fixed(ptr)) {
        stack_load(s, ptr->frame, stack_position(first), size, out);
    } else {
        stack_read_range(&s->frames[ptr->frame], stack_position(first + ptr->num.smin),
                         stack_position(first + ptr->num.smax), size, out);
    }
}

static void load(const struct domain_env *env, struct domain_state *s, const struct insn *in, uint32_t size,
                 struct value *out)
{
    const struct value ptr = s->regs[in->src];
    switch (ptr.kind) {
    case VALUE_CTX:
        if (value_is_fixed(&ptr)) {
            load_field(env, s, env->layout, ptr.off + in->off, size, out);
        } else {
            set_kernel_word(size, out);
        }
        break;
    case VALUE_STACK: load_stack(s, &ptr, in->off, size, out); break;
    case VALUE_MAP_VALUE: load_map_value(env, &ptr, in->off, size, out); break;
    case VALUE_KERNEL: set_kernel_word(size, out); break;
    case VALUE_OBJECT:
        if (env->spec->layouts[ptr.map].is_probed) {
            set_kernel_word(size, out);
        } else {
            load_field(env, s, ptr.map, ptr.off + in->off, size, out);
        }
        break;
    default: value_set_unknown(out, size); break;
    }
}

// Sign extension of a number that is small enough leaves it, and its identity, as it is.
static void extend(const struct insn_info *info, struct value *v)
{
    if (v->kind != VALUE_SCALAR) {
        value_set_unknown(v, info->width / 8u);
    }
    if (v->num.umax >> (info->width - 1) == 0) {
        return;
    }
    struct scalar n = v->num;
    scalar_sign_extend(&n, info->width);
    value_set_scalar(v, &n);
}

static void transfer_load(const struct domain_env *env, struct domain_state *s, const struct insn *in,
                          const struct insn_info *info)
{
    struct value v;
    load(env, s, in, info->width / 8u, &v);
    if (info->sem == SEM_LDXS) {
        extend(info, &v);
    }
    s->regs[in->dst] = v;
}

// LD_ABS and LD_IND are calls of the kernel: they leave a number in r0 and nothing in r1-r5.
static void transfer_legacy(struct domain_state *s, const struct insn_info *info)
{
    memset(&s->regs[1], 0, 5 * sizeof(s->regs[1]));
    value_set_unknown(&s->regs[0], info->width / 8u);
}

// --- stores --------------------------------------------------------------------------------------

// Objects of the stack that the store touches are gone, and what they lent out with them.
static void clear_special(struct domain_state *s, const struct value *ptr, int32_t off, uint32_t size)
{
    int64_t first = (int64_t)ptr->off + off + ptr->num.smin;
    int32_t spread = (int32_t)(ptr->num.smax - ptr->num.smin);
    special_overwrite(s, ptr->frame, stack_position(first), spread + (int32_t)size);
}

static void write_stack(struct domain_state *s, const struct value *ptr, int32_t off, uint32_t size,
                        const struct value *v)
{
    if (value_is_fixed(ptr)) {
        stack_write(&s->frames[ptr->frame], stack_position((int64_t)ptr->off + off), size, v);
    } else {
        stack_write_range(s, ptr->frame, ptr, off, size, v);
    }
}

// What the instruction stores.
static void stored_value(struct domain_state *s, const struct insn *in, const struct insn_info *info,
                         struct value *out)
{
    if (info->sem == SEM_ST) {
        value_set_const(out, (uint64_t)in->imm);
        return;
    }
    linear_share(s, &s->regs[in->src]);
    *out = s->regs[in->src];
    bool lent = out->kind == VALUE_NOT_INIT; // by what the store overwrites
    if (lent || (pointer_is_word(out) && info->width < 64)) {
        value_set_unknown(out, 8);
    }
}

static void transfer_store(struct domain_state *s, const struct insn *in, const struct insn_info *info)
{
    const struct value ptr = s->regs[in->dst];
    struct value v;
    if (ptr.kind != VALUE_STACK) {
        return; // contents of other memory are not tracked
    }
    clear_special(s, &ptr, in->off, info->width / 8u);
    stored_value(s, in, info, &v);
    write_stack(s, &ptr, in->off, info->width / 8u, &v);
}

// --- atomics -------------------------------------------------------------------------------------

static enum insn_sem atomic_operator(unsigned sem)
{
    switch (sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_FETCH_ADD: return SEM_ADD;
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_FETCH_OR: return SEM_OR;
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_FETCH_AND: return SEM_AND;
    case SEM_ATOMIC_XOR:
    case SEM_ATOMIC_FETCH_XOR: return SEM_XOR;
    case SEM_ATOMIC_XCHG: return SEM_MOV;
    default: return SEM_NONE;
    }
}

// What memory holds after the operation; `old` is what it held.
static void compute_atomic(const struct insn_info *info, const struct value *old, const struct value *with,
                           struct value *out)
{
    enum insn_sem sem = atomic_operator(info->sem);
    if (sem == SEM_MOV && (info->width == 64 || with->kind == VALUE_SCALAR)) {
        *out = *with; // the stack keeps the low bytes
        return;
    }
    if (old->kind != VALUE_SCALAR || with->kind != VALUE_SCALAR) {
        value_set_unknown(out, info->width / 8u);
        return;
    }
    struct scalar n = old->num, operand = with->num;
    scalar_zero_extend(&n, info->width);
    scalar_zero_extend(&operand, info->width);
    if (sem == SEM_NONE) { // compare and exchange: one or the other
        scalar_join(&n, &operand);
    } else {
        scalar_alu(sem, info->width, &n, &operand);
    }
    value_set_scalar(out, &n);
}

// The stack is the program's own; other memory may change at any time.
static void transfer_atomic(struct domain_state *s, const struct insn *in, const struct insn_info *info)
{
    const struct value ptr = s->regs[in->dst], with = s->regs[in->src];
    uint32_t size = info->width / 8u;
    struct value old, new;
    value_set_unknown(&old, size);
    if (ptr.kind == VALUE_STACK) {
        load_stack(s, &ptr, in->off, size, &old);
        compute_atomic(info, &old, &with, &new);
        clear_special(s, &ptr, in->off, size);
        write_stack(s, &ptr, in->off, size, &new);
    }
    switch (info->sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_XOR: break;
    case SEM_ATOMIC_CMPXCHG: s->regs[0] = old; break;
    default: s->regs[in->src] = old; break;
    }
}

// --- all together --------------------------------------------------------------------------------

static void transfer_wide(const struct domain_env *env, struct domain_state *s, const struct insn *in,
                          const struct insn_info *info, uint32_t pc)
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
        if (special_field_of(env, d->map, MAP_FIELD_SPIN_LOCK) != NULL) {
            d->ref = SPECIAL_REF_DIRECT;
        }
        break;
    case SEM_LDDW_CODE:
        value_set_pointer(d, VALUE_CODE, 0);
        d->map = (uint16_t)program_func_at(env->program, insn_target(in, pc));
        break;
    default: value_set_unknown(d, 8); break; // a variable that nobody knows here
    }
}

void transfer_insn(const struct domain_env *env, struct domain_state *s, uint32_t pc)
{
    const struct insn *in = &env->program->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    if (info->form != FORM_ALU_IMM) {
        s->shifted.kind = VALUE_NOT_INIT;
    }
    switch (info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG:
    case FORM_ALU_UNARY: alu_apply(s, in); break;
    case FORM_LOAD: transfer_load(env, s, in, info); break;
    case FORM_STORE_IMM:
    case FORM_STORE_REG: transfer_store(s, in, info); break;
    case FORM_ATOMIC: transfer_atomic(s, in, info); break;
    case FORM_LDDW: transfer_wide(env, s, in, info, pc); break;
    case FORM_LDABS:
    case FORM_LDIND: transfer_legacy(s, info); break;
    case FORM_CALL:
    case FORM_CALLX: helper_apply(env, s, obligation_called_helper(env, s, pc), pc); break;
    default: break;
    }
}

bool transfer_branch(const struct domain_env *env, struct domain_state *s, uint32_t pc, bool taken)
{
    s->shifted.kind = VALUE_NOT_INIT;
    return branch_assume(s, &env->program->insns[pc], taken);
}

bool transfer_branch_is_possible(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                                 bool taken)
{
    return branch_is_possible(s, &env->program->insns[pc], taken);
}
