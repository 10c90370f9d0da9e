// SPDX-License-Identifier: MIT
// obligation: dispatch by instruction form, and the obligations of loads, stores, atomics, calls and exits.
#include "domain/obligation.h"

#include "domain/access.h"
#include "domain/alu.h"
#include "domain/helper.h"

static bool refuse_frame_pointer(struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_FRAME_POINTER_WRITE);
    fault_needed(fault, "a destination other than r10");
    return false;
}

static bool refuse_instruction(const struct insn *in, const char *known, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_UNSUPPORTED_INSTRUCTION);
    fault_message(fault, "'%s' is not supported here", insn_info(in->id)->mnemonic);
    fault_known(fault, "%s", known);
    return false;
}

// --- memory --------------------------------------------------------------------------------------

static bool check_load(const struct domain_env *env, const struct domain_state *s, const struct insn *in,
                       const struct insn_info *info, struct domain_fault *fault)
{
    struct access a = {&s->regs[in->src], fault_reg_name(in->src), in->off, info->width / 8u, ACCESS_READ};
    if (in->dst == 10) {
        return refuse_frame_pointer(fault);
    }
    if (a.ptr->kind != VALUE_CTX) {
        return access_check(env, s, &a, fault);
    }
    if (!access_check_context(env, &a, fault)) {
        return false;
    }
    int field = spec_field_find(env->spec, env->layout, a.ptr->off + in->off, a.size, false);
    const struct field_row *row = &env->spec->layouts[env->layout].fields[field];
    if (info->sem == SEM_LDXS && row->kind != FIELD_SCALAR) {
        fault_set(fault, DOMAIN_RULE_CONTEXT_FIELD);
        fault_message(fault, "reads the pointer '%s' of the context with sign extension", row->name);
        fault_needed(fault, "a load without sign extension");
        return false;
    }
    return true;
}

static bool check_store(const struct domain_env *env, const struct domain_state *s, const struct insn *in,
                        const struct insn_info *info, struct domain_fault *fault)
{
    struct access a = {&s->regs[in->dst], fault_reg_name(in->dst), in->off, info->width / 8u, ACCESS_WRITE};
    if (info->form == FORM_STORE_REG && !fault_check_init(s, in->src, fault)) {
        return false;
    }
    if (a.ptr->kind != VALUE_CTX) {
        return access_check(env, s, &a, fault);
    }
    if (!access_check_context(env, &a, fault)) {
        return false;
    }
    if (info->form == FORM_STORE_REG && s->regs[in->src].kind != VALUE_SCALAR) {
        fault_set(fault, DOMAIN_RULE_CONTEXT_STORE_POINTER);
        fault_needed(fault, "a number in %s", fault_reg_name(in->src));
        fault_known_value(fault, env, fault_reg_name(in->src), &s->regs[in->src]);
        return false;
    }
    return true;
}

// Bases of frames and map values are 8-byte aligned.
static bool is_aligned(const struct access *a)
{
    uint64_t mask = a->size - 1;
    uint64_t fixed = (uint64_t)((int64_t)a->ptr->off + a->off);
    return (a->ptr->num.unknown & mask) == 0 && ((a->ptr->num.bits + fixed) & mask) == 0;
}

static bool is_fetch(const struct insn_info *info)
{
    return info->sem != SEM_ATOMIC_ADD && info->sem != SEM_ATOMIC_OR && info->sem != SEM_ATOMIC_AND &&
           info->sem != SEM_ATOMIC_XOR && info->sem != SEM_ATOMIC_CMPXCHG;
}

static bool check_atomic(const struct domain_env *env, const struct domain_state *s, const struct insn *in,
                         const struct insn_info *info, struct domain_fault *fault)
{
    struct access a = {&s->regs[in->dst], fault_reg_name(in->dst), in->off, info->width / 8u,
                       ACCESS_READ | ACCESS_WRITE};
    if (is_fetch(info) && in->src == 10) {
        return refuse_frame_pointer(fault);
    }
    if (!fault_check_init(s, in->src, fault) ||
        (info->sem == SEM_ATOMIC_CMPXCHG && !fault_check_init(s, 0, fault)) ||
        !fault_check_init(s, in->dst, fault)) {
        return false;
    }
    if (a.ptr->kind != VALUE_STACK && a.ptr->kind != VALUE_MAP_VALUE) {
        fault_set(fault, DOMAIN_RULE_ATOMIC_MEMORY);
        fault_needed(fault, "a pointer to the stack or to a map value in %s", a.what);
        fault_known_value(fault, env, a.what, a.ptr);
        return false;
    }
    if (!access_check(env, s, &a, fault)) {
        return false;
    }
    if (!is_aligned(&a)) {
        fault_set(fault, DOMAIN_RULE_ATOMIC_ALIGNMENT);
        fault_needed(fault, "an address that is a multiple of %u", a.size);
        fault_known_value(fault, env, a.what, a.ptr);
        return false;
    }
    return true;
}

static bool check_wide(const struct domain_env *env, const struct insn *in, const struct insn_info *info,
                       struct domain_fault *fault)
{
    if (in->dst == 10) {
        return refuse_frame_pointer(fault);
    }
    if (info->sem == SEM_LDDW || info->sem == SEM_LDDW_CODE) {
        return true;
    }
    if (info->sem != SEM_LDDW_MAP && info->sem != SEM_LDDW_MAP_VALUE) {
        return refuse_instruction(in, "variables and descriptors of the running system cannot be named",
                                  fault);
    }
    const struct map_def *map = &env->program->maps[(uint32_t)in->imm];
    if (map->type == MAP_TYPE_NONE || map->type >= env->spec->map_type_count) {
        fault_set(fault, DOMAIN_RULE_UNKNOWN_MAP_TYPE);
        fault_message(fault, "map '%s' is of type %u, which is not known", map->name, map->number);
        fault_needed(fault, "a map type of the program's dialect");
        return false;
    }
    uint32_t off = (uint32_t)((uint64_t)in->imm >> 32);
    uint32_t flags = env->spec->map_types[map->type].flags;
    if (info->sem == SEM_LDDW_MAP ||
        ((flags & MAP_KEY_IS_INDEX) != 0 && (flags & MAP_PER_CPU) == 0 && map->max_entries == 1 &&
         off < map->value_size && off <= VALUE_MAX_OFFSET)) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_MAP_VALUE_ADDRESS);
    fault_needed(fault, "an array with one value, and an offset inside the value");
    fault_known(fault, "map '%s': %s with %u values of %u bytes; the offset is %u", map->name,
                env->spec->map_types[map->type].name, map->max_entries, map->value_size, off);
    return false;
}

static bool check_legacy(const struct domain_env *env, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_LEGACY_PACKET_LOAD);
    fault_needed(fault, "a program type with legacy packet loads");
    fault_known(fault, "%s programs have none", env->spec->prog_types[env->program->type].name);
    fault_hint(fault, "read the packet through the context's data and data_end");
    return false;
}

// --- calls and exits -----------------------------------------------------------------------------

uint32_t obligation_called_helper(const struct domain_env *env, const struct domain_state *s, uint32_t pc)
{
    const struct insn *in = &env->program->insns[pc];
    uint8_t sem = insn_info(in->id)->sem;
    if (sem == SEM_CALL) {
        return in->imm > 0 && in->imm < (int64_t)env->spec->helper_count ? (uint32_t)in->imm : HELPER_NONE;
    }
    const struct value *v = &s->regs[in->dst];
    if (sem != SEM_CALLX || !value_is_const(v) || v->num.umin > UINT32_MAX) {
        return HELPER_NONE;
    }
    return spec_helper_by_number(env->spec, (enum dialect)env->program->dialect, env->program->type,
                                 (uint32_t)v->num.umin);
}

static bool check_call(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                       struct domain_fault *fault)
{
    const struct insn *in = &env->program->insns[pc];
    uint32_t id = obligation_called_helper(env, s, pc);
    if (id != HELPER_NONE) {
        return helper_check(env, s, id, fault);
    }
    fault_set(fault, DOMAIN_RULE_UNKNOWN_HELPER);
    fault_message(fault, "calls helper %lld, which is not known",
                  (long long)(in->imm < 0 ? -1 - in->imm : in->imm));
    fault_needed(fault, "a helper of the program's dialect and type");
    return false;
}

static bool check_callx(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                        struct domain_fault *fault)
{
    const struct insn *in = &env->program->insns[pc];
    const struct value *v = &s->regs[in->dst];
    if (!fault_check_init(s, in->dst, fault)) {
        return false;
    }
    if (!value_is_const(v)) {
        fault_set(fault, DOMAIN_RULE_CALL_REGISTER);
        fault_needed(fault, "the constant number of a helper in %s", fault_reg_name(in->dst));
        fault_known_value(fault, env, fault_reg_name(in->dst), v);
        return false;
    }
    uint32_t id = obligation_called_helper(env, s, pc);
    if (id != HELPER_NONE) {
        return helper_check(env, s, id, fault);
    }
    fault_set(fault, DOMAIN_RULE_UNKNOWN_HELPER);
    fault_message(fault, "calls helper %llu, which is not known", (unsigned long long)v->num.umin);
    fault_needed(fault, "a helper of the program's dialect and type");
    return false;
}

static bool check_call_local(const struct domain_state *s, struct domain_fault *fault)
{
    if (s->frame_count < INSN_MAX_FRAMES) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_CALL_DEPTH);
    fault_needed(fault, "at most %d nested functions", INSN_MAX_FRAMES);
    fault_known(fault, "%u functions are active already", s->frame_count);
    fault_hint(fault, "inline some of the functions, for example with __always_inline");
    return false;
}

static bool check_return(const struct domain_env *env, const struct domain_state *s,
                         struct domain_fault *fault)
{
    const struct value *v = &s->regs[0];
    if (v->kind != VALUE_STACK || v->frame != s->frame_count - 1) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_RETURN_STACK_POINTER);
    fault_needed(fault, "a result that does not point to the function's own stack");
    fault_known_value(fault, env, "r0", v);
    return false;
}

static bool check_exit(const struct domain_env *env, const struct domain_state *s, struct domain_fault *fault)
{
    const struct value *v = &s->regs[0];
    const struct prog_type_row *row = &env->spec->prog_types[env->program->type];
    if (s->frame_count > 1) {
        return check_return(env, s, fault);
    }
    if (!fault_check_init(s, 0, fault)) {
        return false;
    }
    if (v->kind == VALUE_SCALAR && v->num.xmin >= row->ret_min && v->num.xmax <= row->ret_max) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_EXIT_VALUE);
    if (v->kind == VALUE_SCALAR) {
        fault_needed(fault, "a result in [%lld, %lld]", (long long)row->ret_min, (long long)row->ret_max);
    } else {
        fault_needed(fault, "a number in r0");
    }
    fault_known_value(fault, env, "r0", v);
    return false;
}

bool obligation_check(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                      struct domain_fault *fault)
{
    const struct insn *in = &env->program->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    switch (info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG:
    case FORM_ALU_UNARY: return alu_check(env, s, in, fault);
    case FORM_JMP_REG: return fault_check_init(s, in->dst, fault) && fault_check_init(s, in->src, fault);
    case FORM_JMP_IMM: return fault_check_init(s, in->dst, fault);
    case FORM_JA16:
    case FORM_JA32: return true;
    case FORM_CALL:
        if (info->sem == SEM_CALL) {
            return check_call(env, s, pc, fault);
        }
        return info->sem == SEM_CALL_LOCAL
                   ? check_call_local(s, fault)
                   : refuse_instruction(in, "functions of the system cannot be called", fault);
    case FORM_CALLX: return check_callx(env, s, pc, fault);
    case FORM_EXIT: return check_exit(env, s, fault);
    case FORM_LOAD: return check_load(env, s, in, info, fault);
    case FORM_STORE_IMM:
    case FORM_STORE_REG: return check_store(env, s, in, info, fault);
    case FORM_LDDW: return check_wide(env, in, info, fault);
    case FORM_LDABS:
    case FORM_LDIND: return check_legacy(env, fault);
    case FORM_ATOMIC: return check_atomic(env, s, in, info, fault);
    default: return refuse_instruction(in, "no instruction starts here", fault);
    }
}

int obligation_context_field(const struct domain_env *env, const struct domain_state *s, uint32_t pc)
{
    const struct insn *in = &env->program->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    bool store = info->form == FORM_STORE_IMM || info->form == FORM_STORE_REG;
    if (!store && info->form != FORM_LOAD) {
        return -1;
    }
    const struct value *ptr = &s->regs[store ? in->dst : in->src];
    if (ptr->kind != VALUE_CTX) {
        return -1;
    }
    return spec_field_find(env->spec, env->layout, ptr->off + in->off, info->width / 8u, store);
}
