// SPDX-License-Identifier: MIT
// obligation_flow: comparisons, calls and exits.
#include "domain/obligation_flow.h"

#include "domain/call.h"
#include "domain/helper.h"
#include "domain/special.h"

// --- comparisons ---------------------------------------------------------------------------------

static bool is_packet(const struct value *v)
{
    return v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_END || v->kind == VALUE_PACKET_META;
}

// The outcome of comparing an address with a number tells the address, bit by bit.
static bool check_compare_leak(const struct domain_env *env, const struct domain_state *s,
                               const struct insn *in, struct domain_fault *fault)
{
    const struct insn_info *info = insn_info(in->id);
    const struct value *d = &s->regs[in->dst], *other = &s->regs[in->src];
    bool imm = info->form == FORM_JMP_IMM;
    bool pointer = value_is_pointer(d) || (!imm && value_is_pointer(other));
    bool null = info->width == 64 && (info->sem == SEM_JEQ || info->sem == SEM_JNE) &&
                (imm ? in->imm == 0 : value_is_zero(other) || value_is_zero(d));
    bool packets = !imm && info->width == 64 && is_packet(d) && is_packet(other);
    if (!env->unprivileged || !pointer || null || packets) {
        return true;
    }
    const struct value *v = value_is_pointer(d) ? d : other;
    fault_set(fault, DOMAIN_RULE_POINTER_LEAK);
    fault_message(fault, "compares an address with something other than NULL or the packet's end");
    fault_needed(fault, "numbers on both sides");
    fault_known_value(fault, env, fault_reg_name(v == d ? in->dst : in->src), v);
    fault_hint(fault, "compare what the pointer points to; only privileged programs may show addresses");
    return false;
}

bool flow_check_compare(const struct domain_env *env, const struct domain_state *s, const struct insn *in,
                        struct domain_fault *fault)
{
    return fault_check_init(s, in->dst, fault) &&
           (insn_info(in->id)->form == FORM_JMP_IMM || fault_check_init(s, in->src, fault)) &&
           check_compare_leak(env, s, in, fault);
}

// --- calls ---------------------------------------------------------------------------------------

uint32_t obligation_called_helper(const struct domain_env *env, const struct domain_state *s, uint32_t pc)
{
    const struct insn *in = &env->program->insns[pc];
    uint8_t sem = insn_info(in->id)->sem;
    if (sem == SEM_CALL || sem == SEM_CALL_BTF) {
        uint32_t id =
            in->imm > 0 && in->imm < (int64_t)env->spec->helper_count ? (uint32_t)in->imm : HELPER_NONE;
        bool by_name = (env->spec->helpers[id].flags & HELPER_KERNEL_FUNCTION) != 0;
        return by_name == (sem == SEM_CALL_BTF) ? id : HELPER_NONE;
    }
    const struct value *v = &s->regs[in->dst];
    if (sem != SEM_CALLX || !value_is_const(v) || v->num.umin > UINT32_MAX) {
        return HELPER_NONE;
    }
    return spec_helper_by_number(env->spec, (enum dialect)env->program->dialect, env->program->type,
                                 (uint32_t)v->num.umin);
}

static bool refuse_unknown(const struct domain_env *env, const struct insn *in, struct domain_fault *fault)
{
    const char *poison = program_poison(env->program, in);
    bool by_name = insn_info(in->id)->sem == SEM_CALL_BTF;
    fault_set(fault, by_name ? DOMAIN_RULE_UNKNOWN_KFUNC : DOMAIN_RULE_UNKNOWN_HELPER);
    if (poison != NULL) {
        bool types = str_starts_with(poison, "the CO-RE ");
        fault_set(fault, DOMAIN_RULE_UNRESOLVED_RELOCATION);
        fault_message(fault, "reaches an instruction that could not be resolved");
        fault_needed(fault, "the type, field or function exists where the program is to run");
        fault_known(fault, "%s", poison);
        fault_hint(fault, types ? "test with bpf_core_field_exists or bpf_core_type_exists before the access"
                                : "define the function in this file, or declare it __weak and test it before "
                                  "the call");
        return false;
    }
    fault_message(fault, "calls %s %lld, which is not known", by_name ? "kernel function" : "helper",
                  (long long)(in->imm < 0 ? -1 - in->imm : in->imm));
    fault_needed(fault, by_name ? "a kernel function that this platform has"
                                : "a helper of the program's dialect and type");
    fault_known(fault, "no row of the tables has this number");
    fault_hint(fault, "use another helper; docs/parity.md says which are known");
    return false;
}

// A function that is verified apart from its callers knows nothing of what they hold.
static bool check_call_local(const struct domain_env *env, const struct domain_state *s,
                             const struct insn *in, uint32_t pc, struct domain_fault *fault)
{
    const struct program *p = env->program;
    uint32_t func = program_func_at(p, (uint32_t)insn_target(in, pc));
    if (s->frame_count >= INSN_MAX_FRAMES) {
        fault_set(fault, DOMAIN_RULE_CALL_DEPTH);
        fault_needed(fault, "at most %d nested functions", INSN_MAX_FRAMES);
        fault_known(fault, "%u functions are active already", s->frame_count);
        fault_hint(fault, "inline some of the functions, for example with __always_inline");
        return false;
    }
    if (func < p->func_count && p->funcs[func].global != 0 && s->lock_ref != 0) {
        fault_set(fault, DOMAIN_RULE_LOCK);
        fault_message(fault, "calls global function %s while a spin lock is held", p->funcs[func].name);
        fault_needed(fault, "no spin lock is held");
        fault_known(fault, "a spin lock is held; a global function is verified without its callers");
        fault_hint(fault, "declare the function static, or call it after bpf_spin_unlock");
        return false;
    }
    if (func < p->func_count && p->funcs[func].global != 0 && p->sleepable && special_forbids_sleep(s)) {
        fault_set(fault, DOMAIN_RULE_SLEEPABLE);
        fault_message(fault, "calls global function %s where sleeping is not possible", p->funcs[func].name);
        fault_needed(fault, "no RCU read section, preemption and interrupts on");
        fault_known(fault, "the program is sleepable; a global function is verified without its callers");
        fault_hint(fault, "declare the function static, or call it after the section");
        return false;
    }
    return func >= p->func_count || !call_has_contract(p, func) || call_check_contract(env, s, func, fault);
}

bool flow_check_call(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                     struct domain_fault *fault)
{
    const struct insn *in = &env->program->insns[pc];
    if (insn_info(in->id)->sem == SEM_CALL_LOCAL) {
        return check_call_local(env, s, in, pc, fault);
    }
    uint32_t id = obligation_called_helper(env, s, pc);
    return id != HELPER_NONE ? helper_check(env, s, id, pc, fault) : refuse_unknown(env, in, fault);
}

bool flow_check_callx(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
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
        fault_hint(fault, "call the helper by its name, so that the compiler knows its number");
        return false;
    }
    uint32_t id = obligation_called_helper(env, s, pc);
    if (id != HELPER_NONE && (env->spec->helpers[id].flags & HELPER_VERIFY_ONLY) == 0) {
        return helper_check(env, s, id, pc, fault);
    }
    // What the register holds is not seen when the program is loaded: only what can be run is called like
    // this.
    fault_set(fault, DOMAIN_RULE_UNKNOWN_HELPER);
    fault_message(fault, "calls helper %llu, which is not known", (unsigned long long)v->num.umin);
    fault_needed(fault, "a helper of the program's dialect and type");
    fault_known(fault, "the helper is not there, or can be verified only");
    fault_hint(fault, "use another helper; docs/parity.md says which are known");
    return false;
}

// --- exits ---------------------------------------------------------------------------------------

// Nothing of the function's own frame outlives it.
static bool check_return(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                         struct domain_fault *fault)
{
    const struct value *v = &s->regs[0];
    const struct program *p = env->program;
    uint32_t func = program_func_at(p, pc);
    if (v->kind == VALUE_STACK && v->frame == s->frame_count - 1) {
        fault_set(fault, DOMAIN_RULE_RETURN_STACK_POINTER);
        fault_needed(fault, "a result that does not point to the function's own stack");
        fault_known_value(fault, env, "r0", v);
        fault_hint(fault, "let the caller pass the address of a variable of its own, and fill that in");
        return false;
    }
    if (func >= p->func_count || func == 0 || p->funcs[func].global == 0) {
        return true;
    }
    if (!special_check_nothing_held(env, s, "returns from a global function", fault)) {
        return false;
    }
    bool is_void = p->contracts != NULL && p->contracts[func].known && p->contracts[func].returns_void;
    if (is_void || v->kind == VALUE_SCALAR) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_GLOBAL_FUNCTION);
    fault_message(fault, "global function %s returns something other than a number", p->funcs[func].name);
    fault_needed(fault, "a number in r0");
    fault_known_value(fault, env, "r0", v);
    fault_hint(fault, "return a number on every path, or declare the function static");
    return false;
}

static bool refuse_result(const struct domain_env *env, const struct domain_state *s, int64_t min,
                          int64_t max, struct domain_fault *fault)
{
    const struct value *v = &s->regs[0];
    if (value_is_pointer(v) && env->unprivileged) {
        fault_set(fault, DOMAIN_RULE_POINTER_LEAK);
        fault_message(fault, "the program returns an address");
    } else {
        fault_set(fault, DOMAIN_RULE_EXIT_VALUE);
    }
    if (v->kind == VALUE_SCALAR) {
        fault_needed(fault, "a result in [%lld, %lld]", (long long)min, (long long)max);
    } else {
        fault_needed(fault, "a number in r0");
    }
    fault_known_value(fault, env, "r0", v);
    fault_hint(fault,
               "return one of the constants of the program type on every path; limit a computed result with "
               "a comparison first");
    return false;
}

bool flow_check_exit(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                     struct domain_fault *fault)
{
    const struct value *v = &s->regs[0];
    int64_t min = INT64_MIN, max = INT64_MAX;
    if (s->frame_count > 1 || env->callee) {
        return check_return(env, s, pc, fault);
    }
    if (!special_check_nothing_held(env, s, "ends", fault)) {
        return false;
    }
    if (!program_exit_range(env->spec, env->program, &min, &max)) {
        return !env->unprivileged || !value_is_pointer(v) || refuse_result(env, s, min, max, fault);
    }
    // What was read from kernel memory is any number. What runs the program takes the low half of r0.
    bool is_any = v->kind == VALUE_KERNEL && (v->flags & VALUE_UNTRUSTED) != 0;
    bool is_free = min == INT64_MIN && max == INT64_MAX; // nothing is made of it
    if (!env->unprivileged &&
        ((is_any && min <= INT32_MIN && max >= INT32_MAX) || (is_free && value_is_pointer(v)))) {
        return true;
    }
    return fault_check_init(s, 0, fault) &&
           ((v->kind == VALUE_SCALAR && v->num.xmin >= min && v->num.xmax <= max) ||
            refuse_result(env, s, min, max, fault));
}
