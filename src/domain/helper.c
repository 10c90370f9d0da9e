// SPDX-License-Identifier: MIT
// helper: may this call be made at all, here and by this program? Arguments are checked in helper_args.c and
// helper_special.c, effects are in helper_effects.c.
#include "domain/helper_int.h"

#include "domain/special.h"

static bool refuse_helper(const struct helper_call *c, enum domain_rule rule, const char *needed,
                          const char *known, const char *hint)
{
    fault_set(c->fault, rule);
    fault_message(c->fault, "calls %s: %s", c->row->name, known);
    fault_needed(c->fault, "%s", needed);
    fault_known(c->fault, "%s", known);
    fault_hint(c->fault, hint);
    return false;
}

static bool check_permitted(const struct helper_call *c)
{
    const struct program *p = c->env->program;
    const struct helper_row *row = c->row;
    bool exists = row->number[p->dialect] != 0 || (row->flags & HELPER_KERNEL_FUNCTION) != 0;
    bool allowed = exists && spec_helper_allowed(c->env->spec, c->id, p->type, p->attach_type);
    if (allowed && (!c->env->unprivileged || (row->flags & HELPER_UNPRIVILEGED) != 0)) {
        return true;
    }
    fault_set(c->fault, DOMAIN_RULE_HELPER_NOT_ALLOWED);
    fault_message(c->fault, "calls %s, which %s programs cannot", row->name,
                  allowed ? "unprivileged" : "these");
    fault_needed(c->fault, "a helper that %s programs may call", c->env->spec->prog_types[p->type].name);
    if (!exists) {
        fault_known(c->fault, "%s does not exist in the %s dialect", row->name,
                    p->dialect == DIALECT_LINUX ? "Linux" : "Windows");
    } else {
        fault_known(c->fault, "%s is for %s", row->name,
                    allowed ? "privileged programs" : "programs of other types");
    }
    fault_hint(c->fault,
               allowed ? "remove the call, or load the program with privileges"
                       : "remove the call, or put the program into a section of a type that has the helper");
    return false;
}

static bool check_licence(const struct helper_call *c)
{
    const struct program *p = c->env->program;
    if ((c->row->flags & HELPER_GPL) == 0 || p->dialect != DIALECT_LINUX || spec_license_is_gpl(p->license)) {
        return true;
    }
    fault_set(c->fault, DOMAIN_RULE_NOT_GPL);
    fault_message(c->fault, "calls %s, which is for programs under a GPL-compatible licence", c->row->name);
    fault_needed(c->fault, "a licence that the kernel counts as GPL-compatible");
    fault_known(c->fault, "the program's licence is '%s'", p->license);
    fault_hint(c->fault,
               "declare the licence: char _license[] SEC(\"license\") = \"Dual MIT/GPL\"; if that is what "
               "you want");
    return false;
}

static bool check_sleep(const struct helper_call *c)
{
    const struct domain_state *s = c->s;
    if ((c->row->flags & HELPER_SLEEPS) == 0) {
        return true;
    }
    const char *known = !c->env->program->sleepable ? "it may sleep, and the program is not sleepable"
                        : s->rcu_depth != 0         ? "it may sleep, and an RCU read section is open"
                        : s->preempt_depth != 0     ? "it may sleep, and preemption is disabled"
                        : special_forbids_sleep(s)  ? "it may sleep, and interrupts are disabled"
                                                    : NULL;
    return known == NULL ||
           refuse_helper(c, DOMAIN_RULE_SLEEPABLE, "a place where sleeping is possible", known,
                         "use a sleepable section (name with .s), or end the section that forbids "
                         "sleeping before the call");
}

// While a lock is held nothing is called that could wait, or take it again.
static bool check_lock(const struct helper_call *c)
{
    uint32_t flags = c->row->flags;
    if (c->s->lock_ref != 0 && (flags & HELPER_UNLOCKS) == 0) {
        refuse_helper(
            c, DOMAIN_RULE_LOCK, "no calls but bpf_spin_unlock while a spin lock is held",
            "a spin lock is held",
            "call it before bpf_spin_lock or after bpf_spin_unlock, and keep the result in a variable");
        fault_known(c->fault, "the spin lock of a value of map '%s' is held",
                    c->env->program->maps[c->s->lock_map].name);
        return false;
    }
    if ((flags & HELPER_RCU_LEAVES) != 0 && c->s->rcu_depth == 0) {
        return refuse_helper(c, DOMAIN_RULE_LOCK, "an open RCU read section", "no RCU read section is open",
                             "call bpf_rcu_read_lock first, once for each unlock");
    }
    if ((flags & HELPER_PREEMPT_ENABLES) != 0 && c->s->preempt_depth == 0) {
        return refuse_helper(c, DOMAIN_RULE_LOCK, "preemption was disabled by the program",
                             "preemption is not disabled",
                             "call bpf_preempt_disable first, once for each bpf_preempt_enable");
    }
    if (((flags & HELPER_RCU_ENTERS) != 0 && c->s->rcu_depth == UINT8_MAX) ||
        ((flags & HELPER_PREEMPT_DISABLES) != 0 && c->s->preempt_depth == UINT8_MAX)) {
        return refuse_helper(c, DOMAIN_RULE_LOCK, "at most 255 sections inside each other",
                             "255 sections are open already", "close the section in the loop that opens it");
    }
    return true;
}

// A tail call in another function would leave that function only, with the other program's result.
static bool check_tail_call(const struct helper_call *c)
{
    if ((c->row->flags & HELPER_TAIL_CALL) == 0) {
        return true;
    }
    if (program_func_at(c->env->program, c->pc) != 0 || c->env->callee || c->s->frame_count > 1) {
        return refuse_helper(c, DOMAIN_RULE_TAIL_CALL, "a tail call in the program's main function",
                             "it is called in a function that others call",
                             "return a flag to the main function and make the tail call there, or inline the "
                             "function with __always_inline");
    }
    return special_check_nothing_held(c->env, c->s, "makes a tail call", c->fault);
}

// Look-ups in maps of sockets acquire what they find.
static bool check_room(const struct helper_call *c)
{
    bool acquires = (c->row->flags & HELPER_ACQUIRES) != 0 || c->row->ret == RET_MAP_VALUE_OR_NULL;
    if (!acquires || c->s->ref_count < STATE_MAX_REFS) {
        return true;
    }
    refuse_helper(c, DOMAIN_RULE_UNRELEASED_REFERENCE, "fewer than 16 acquired things at once",
                  "16 acquired things are held already",
                  "release what a turn of the loop acquires before the next turn");
    c->fault->related_pc = c->s->refs[0].pc;
    return false;
}

bool helper_check(const struct domain_env *env, const struct domain_state *s, uint32_t id, uint32_t pc,
                  struct domain_fault *fault)
{
    struct helper_call c = {env, s, &env->spec->helpers[id], fault, id, pc};
    if (!check_permitted(&c) || !check_licence(&c) || !check_lock(&c) || !check_sleep(&c) ||
        !check_room(&c)) {
        return false;
    }
    for (unsigned arg = 0; arg < HELPER_ARG_COUNT; arg++) {
        if (!helper_check_arg(&c, arg)) {
            return false;
        }
    }
    return check_tail_call(&c);
}

// --- callbacks -----------------------------------------------------------------------------------

bool helper_find_callback(const struct domain_env *env, const struct domain_state *s, uint32_t id,
                          struct helper_callback *out)
{
    const struct helper_row *row = &env->spec->helpers[id];
    unsigned arg = helper_find_arg(row, ARG_CALLBACK);
    if (arg == HELPER_ARG_COUNT) {
        return false;
    }
    memset(out, 0, sizeof(*out));
    out->func = s->regs[arg + 1].map;
    out->type = (uint8_t)row->detail[arg];
    unsigned ctx = helper_find_arg(row, ARG_CALLBACK_CTX), map = helper_find_arg(row, ARG_MAP);
    out->ctx_reg = (uint8_t)(ctx < HELPER_ARG_COUNT ? ctx + 1 : 0);
    out->map_reg = (uint8_t)(map < HELPER_ARG_COUNT ? map + 1 : 0);
    out->object_reg = (uint8_t)(arg > 0 && map == HELPER_ARG_COUNT ? 1 : 0);
    return true;
}

bool helper_check_callback_exit(const struct domain_env *env, const struct domain_state *s,
                                enum callback_type type, struct domain_fault *fault)
{
    const struct value *v = &s->regs[0];
    int64_t most = type == CALLBACK_LOOP || type == CALLBACK_FOR_EACH || type == CALLBACK_RINGBUF ? 1 : 0;
    if (v->kind == VALUE_SCALAR && v->num.smin >= 0 && v->num.smax <= most) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_CALLBACK);
    fault_message(fault, "a callback returns something that its helper does not take");
    fault_needed(fault, most == 1 ? "r0 is 0 (go on) or 1 (stop)" : "r0 is 0");
    fault_known_value(fault, env, "r0", v);
    fault_hint(fault, most == 1 ? "write: return 0; to go on and return 1; to end the loop"
                                : "write: return 0; at every end of the callback");
    return false;
}
