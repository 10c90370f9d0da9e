// SPDX-License-Identifier: MIT
// obligation: dispatch by instruction form, and the obligations of loads, stores and atomics. Calls, exits
// and comparisons are in obligation_flow.c.
#include "domain/obligation.h"

#include "domain/access.h"
#include "domain/alu.h"
#include "domain/obligation_flow.h"
#include "domain/special.h"

static bool refuse_frame_pointer(struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_FRAME_POINTER_WRITE);
    fault_needed(fault, "a destination other than r10");
    fault_known(fault, "r10 is the frame pointer of the function");
    fault_hint(fault, "copy r10 to another register, and change that");
    return false;
}

static bool refuse_instruction(const struct insn *in, const char *known, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_UNSUPPORTED_INSTRUCTION);
    fault_message(fault, "'%s' is not supported here", insn_info(in->id)->mnemonic);
    fault_needed(fault, "an instruction that can be verified and run here");
    fault_known(fault, "%s", known);
    fault_hint(
        fault,
        "compile for the BPF instruction set of RFC 9669, and load the object with this project's tools");
    return false;
}

// --- memory --------------------------------------------------------------------------------------

// In bounds, permitted, and nothing that only helpers may touch.
static bool check_memory(const struct domain_env *env, const struct domain_state *s, const struct access *a,
                         struct domain_fault *fault)
{
    bool write = a->mode == ACCESS_WRITE; // what is also read must not be special at all
    return special_check_access(env, s, a->ptr, a->off, a->size, write, fault) &&
           access_check(env, s, a, fault);
}

static bool refuse_leak(const struct domain_env *env, const char *what, const struct value *v,
                        const char *needed, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_POINTER_LEAK);
    fault_needed(fault, "%s", needed);
    fault_known_value(fault, env, what, v);
    fault_hint(fault,
               "store or compare what the pointer points to; only privileged programs may show addresses");
    return false;
}

// Bytes of an address on the stack are no numbers.
static bool check_load_leak(const struct domain_env *env, const struct domain_state *s,
                            const struct access *a, struct domain_fault *fault)
{
    if (!env->unprivileged || a->ptr->kind != VALUE_STACK) {
        return true;
    }
    const struct value *v = special_find_address(s, a->ptr, a->off, a->size);
    bool whole = a->size == 8 && value_is_fixed(a->ptr) && ((int64_t)a->ptr->off + a->off) % 8 == 0;
    return v == NULL || whole ||
           refuse_leak(env, "the stack there", v, "an address is read as a whole", fault);
}

// Addresses are stored whole, and on the stack only.
static bool check_store_leak(const struct domain_env *env, const struct domain_state *s,
                             const struct access *a, unsigned src, struct domain_fault *fault)
{
    const struct value *v = &s->regs[src];
    if (!env->unprivileged || !value_is_pointer(v)) {
        return true;
    }
    bool whole = a->size == 8 && value_is_fixed(a->ptr) && ((int64_t)a->ptr->off + a->off) % 8 == 0;
    return (a->ptr->kind == VALUE_STACK && whole) ||
           refuse_leak(env, fault_reg_name(src), v, "an address is stored as a whole, and on the stack only",
                       fault);
}

static bool check_atomic_leak(const struct domain_env *env, const struct domain_state *s,
                              const struct insn *in, const struct insn_info *info, const struct access *a,
                              struct domain_fault *fault)
{
    const struct value *v = &s->regs[in->src];
    if (!env->unprivileged) {
        return true;
    }
    if (!value_is_pointer(v) && info->sem == SEM_ATOMIC_CMPXCHG) {
        v = &s->regs[0];
    }
    if (!value_is_pointer(v) && a->ptr->kind == VALUE_STACK) {
        v = special_find_address(s, a->ptr, a->off, a->size);
    }
    return v == NULL || !value_is_pointer(v) ||
           refuse_leak(env, "the operation", v, "atomic operations on numbers", fault);
}

static bool check_load(const struct domain_env *env, const struct domain_state *s, const struct insn *in,
                       const struct insn_info *info, struct domain_fault *fault)
{
    struct access a = {&s->regs[in->src], fault_reg_name(in->src), in->off, info->width / 8u, ACCESS_READ};
    if (in->dst == 10) {
        return refuse_frame_pointer(fault);
    }
    if (a.ptr->kind != VALUE_CTX) {
        return check_memory(env, s, &a, fault) && check_load_leak(env, s, &a, fault);
    }
    if (!access_check_context(env, &a, fault)) {
        return false;
    }
    int field = spec_field_find(env->spec, env->layout, a.ptr->off + in->off, a.size, false);
    if (field < 0) {
        return true; // one of several words
    }
    const struct field_row *row = &env->spec->layouts[env->layout].fields[field];
    if (info->sem == SEM_LDXS && row->kind != FIELD_SCALAR && row->kind != FIELD_KERNEL) {
        fault_set(fault, DOMAIN_RULE_CONTEXT_FIELD);
        fault_message(fault, "reads the pointer '%s' of the context with sign extension", row->name);
        fault_needed(fault, "a load without sign extension");
        fault_known(fault, "'%s' is a pointer", row->name);
        fault_hint(fault, "read the member as it is declared, without a cast to a signed type");
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
        return check_memory(env, s, &a, fault) &&
               (info->form != FORM_STORE_REG || check_store_leak(env, s, &a, in->src, fault));
    }
    if (!access_check_context(env, &a, fault)) {
        return false;
    }
    if (info->form == FORM_STORE_REG && s->regs[in->src].kind != VALUE_SCALAR) {
        fault_set(fault, DOMAIN_RULE_CONTEXT_STORE_POINTER);
        fault_needed(fault, "a number in %s", fault_reg_name(in->src));
        fault_known_value(fault, env, fault_reg_name(in->src), &s->regs[in->src]);
        fault_hint(fault, "store the number that the pointer points to");
        return false;
    }
    return true;
}

// Records start at multiples of 8; other blocks may start anywhere.
static bool is_record(const struct domain_state *s, const struct value *v)
{
    const struct state_ref *ref = v->kind == VALUE_MEM && v->ref != 0 ? state_find_ref(s, v->ref) : NULL;
    return ref != NULL && ref->kind == STATE_REF_RECORD;
}

// Bases of frames, map values and records are 8-byte aligned.
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
    if (a.ptr->kind != VALUE_STACK && a.ptr->kind != VALUE_MAP_VALUE && !is_record(s, a.ptr)) {
        fault_set(fault, DOMAIN_RULE_ATOMIC_MEMORY);
        fault_needed(fault, "a pointer to the stack, a map value or a ring buffer record in %s", a.what);
        fault_known_value(fault, env, a.what, a.ptr);
        fault_hint(fault, "count in a map value; packets and contexts are changed by plain loads and stores");
        return false;
    }
    if (!check_memory(env, s, &a, fault) || !check_atomic_leak(env, s, in, info, &a, fault)) {
        return false;
    }
    if (!is_aligned(&a)) {
        fault_set(fault, DOMAIN_RULE_ATOMIC_ALIGNMENT);
        fault_needed(fault, "an address that is a multiple of %u", a.size);
        fault_known_value(fault, env, a.what, a.ptr);
        fault_hint(fault, "let the compiler align the member: no packed structure around a counter");
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
    if (info->sem == SEM_LDDW || info->sem == SEM_LDDW_CODE || info->sem == SEM_LDDW_VAR) {
        return true;
    }
    if (info->sem != SEM_LDDW_MAP && info->sem != SEM_LDDW_MAP_VALUE) {
        return refuse_instruction(in, "variables and descriptors of the running system cannot be named",
                                  fault);
    }
    const struct map_def *map = &env->program->maps[(uint32_t)in->imm];
    if (map->type == MAP_TYPE_NONE || map->type >= env->spec->map_type_count) {
        return fault_unknown_map_type(fault, map);
    }
    uint32_t off = (uint32_t)((uint64_t)in->imm >> 32);
    uint32_t flags = env->spec->map_types[map->type].flags, array = MAP_KEY_IS_INDEX | MAP_FIXED;
    if (info->sem == SEM_LDDW_MAP || // other types with indices hold programs, maps, devices
        ((flags & (array | MAP_PER_CPU)) == array && map->max_entries == 1 && off < map->value_size &&
         off <= VALUE_MAX_OFFSET)) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_MAP_VALUE_ADDRESS);
    fault_needed(fault, "an array with one value, and an offset inside the value");
    fault_hint(fault, "look the value up with bpf_map_lookup_elem");
    fault_known(fault, "map '%s': %s with %u values of %u bytes; the offset is %u", map->name,
                env->spec->map_types[map->type].name, map->max_entries, map->value_size, off);
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
    case FORM_JMP_REG:
    case FORM_JMP_IMM: return flow_check_compare(env, s, in, fault);
    case FORM_JA16:
    case FORM_JA32:
    case FORM_MAY_GOTO: return true; // reads nothing that the program has
    case FORM_CALL: return flow_check_call(env, s, pc, fault);
    case FORM_CALLX: return flow_check_callx(env, s, pc, fault);
    case FORM_EXIT: return flow_check_exit(env, s, pc, fault);
    case FORM_LOAD: return check_load(env, s, in, info, fault);
    case FORM_STORE_IMM:
    case FORM_STORE_REG: return check_store(env, s, in, info, fault);
    case FORM_LDDW: return check_wide(env, in, info, fault);
    case FORM_LDABS:
    case FORM_LDIND: return access_check_legacy(env, s, pc, fault);
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
    if (ptr->kind != VALUE_CTX || !value_is_fixed(ptr)) {
        return -1;
    }
    return spec_field_find(env->spec, env->layout, ptr->off + in->off, info->width / 8u, store);
}
