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

// What to write, where the place itself has nothing better to say.
static const char *usual_hint(enum domain_rule rule)
{
    switch (rule) {
    case DOMAIN_RULE_POINTER_ARITHMETIC:
        return "index an array (a[i]) with a number that is bounded; let the compiler make the address";
    case DOMAIN_RULE_POINTER_OFFSET:
        return "write: if (i >= sizeof(array) / sizeof(array[0])) return ...; before the access, with an "
               "unsigned i";
    case DOMAIN_RULE_POSSIBLY_NULL: return "write: if (!p) return ...; between the look-up and this use";
    case DOMAIN_RULE_NOT_A_POINTER:
        return "use the pointer that the call returned, where it is not null and not released yet";
    case DOMAIN_RULE_UNINITIALIZED_STACK: return "initialise the whole variable, for example with = {0}";
    case DOMAIN_RULE_PACKET_BOUNDS: return "write: if (p + size > data_end) return ...; before the access";
    case DOMAIN_RULE_MAP_VALUE_BOUNDS:
    case DOMAIN_RULE_MEMORY_BOUNDS:
        return "write: if (i >= sizeof(value->member)) return ...; before the access, with an unsigned i";
    case DOMAIN_RULE_CONTEXT_FIELD:
    case DOMAIN_RULE_OBJECT_FIELD: return "use the structure's own members, as they are declared";
    case DOMAIN_RULE_CONTEXT_READ_ONLY: return "keep the value in a variable; this member can only be read";
    case DOMAIN_RULE_PACKET_READ_ONLY: return "copy the data to a variable, and change the copy";
    case DOMAIN_RULE_MEMORY_READ_ONLY:
        return "copy the data to a variable, and change the copy (dynptrs: bpf_dynptr_slice_rdwr gives "
               "memory to write)";
    case DOMAIN_RULE_LEGACY_PACKET_LOAD: return "read the packet through the context's data and data_end";
    case DOMAIN_RULE_POINTER_LEAK:
        return "use what the pointer points to; only privileged programs may show addresses";
    case DOMAIN_RULE_HELPER_SIZE:
        return "write: if (size > sizeof(buffer)) return ...; with an unsigned size";
    case DOMAIN_RULE_CALLBACK:
        return "pass a static function with the parameters that the helper calls it with";
    case DOMAIN_RULE_GLOBAL_FUNCTION:
        return "pass what the declaration says, or declare the function static, so that it is verified with "
               "its caller";
    default: return "";
    }
}

bool fault_set(struct domain_fault *f, enum domain_rule rule)
{
    memset(f, 0, sizeof(*f));
    f->rule = (uint16_t)rule;
    f->related_pc = UINT32_MAX;
    str_copy(f->message, sizeof(f->message), sentence(rule));
    str_copy(f->hint, sizeof(f->hint), usual_hint(rule));
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

bool fault_unknown_map_type(struct domain_fault *f, const struct map_def *map)
{
    fault_set(f, DOMAIN_RULE_UNKNOWN_MAP_TYPE);
    fault_message(f, "map '%s' is of type %u, which is not known", map->name, map->number);
    fault_known(f, "no row of the tables has the number %u", map->number);
    fault_needed(f, "a map type of the program's dialect");
    fault_hint(f, "use a map type that docs/parity.md names");
    return false;
}
