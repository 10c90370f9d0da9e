// SPDX-License-Identifier: MIT
// fault: texts of unmet obligations.
#include "domain/fault.h"

static const char *sentence(enum domain_rule rule)
{
    static const char *const sentences[DOMAIN_RULE_COUNT] = {
        [DOMAIN_RULE_NONE] = "",
#define RULE(id, name, text) [DOMAIN_RULE_##id] = text,
#include "domain/rules.def"
#undef RULE
    };
    return sentences[rule];
}

bool fault_set(struct domain_fault *f, enum domain_rule rule)
{
    memset(f, 0, sizeof(*f));
    f->rule = (uint16_t)rule;
    str_copy(f->message, sizeof(f->message), sentence(rule));
    return false;
}

void fault_message(struct domain_fault *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    str_vformat(f->message, sizeof(f->message), fmt, args);
    va_end(args);
}

void fault_needed(struct domain_fault *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    str_vformat(f->needed, sizeof(f->needed), fmt, args);
    va_end(args);
}

void fault_known(struct domain_fault *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    str_vformat(f->known, sizeof(f->known), fmt, args);
    va_end(args);
}

void fault_hint(struct domain_fault *f, const char *hint)
{
    str_copy(f->hint, sizeof(f->hint), hint);
}

void fault_known_value(struct domain_fault *f, const struct domain_env *env, const char *what,
                       const struct value *v)
{
    char text[128];
    value_print(v, env->program, text, sizeof(text));
    fault_known(f, "%s holds %s", what, text);
}

const char *fault_reg_name(unsigned reg)
{
    static const char *const names[INSN_REG_COUNT] = {"r0", "r1", "r2", "r3", "r4", "r5",
                                                      "r6", "r7", "r8", "r9", "r10"};
    return names[reg];
}

bool fault_check_init(const struct domain_state *s, unsigned reg, struct domain_fault *f)
{
    if (s->regs[reg].kind != VALUE_NOT_INIT) {
        return true;
    }
    fault_set(f, DOMAIN_RULE_UNINITIALIZED_REGISTER);
    fault_message(f, "r%u is read before it was written", reg);
    fault_needed(f, "r%u was written on every path to here", reg);
    fault_known(f, "r%u was not written, or does not survive a call on the way", reg);
    fault_hint(f, reg == 0
                      ? "return a value on every path"
                      : "initialise the variable; a helper that moves the packet ends all packet pointers");
    return false;
}
