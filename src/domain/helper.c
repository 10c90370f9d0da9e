// SPDX-License-Identifier: MIT
// helper: one check per kind of argument. A pair of memory and size is checked at its memory argument;
// nullness is checked for every argument.
#include "domain/helper.h"

#include "domain/access.h"
#include "domain/stack.h"

#define ARG_COUNT 5

struct call {
    const struct domain_env *env;
    const struct domain_state *s;
    const struct helper_row *row;
    struct domain_fault *fault;
};

static const char *arg_name(unsigned arg)
{
    static const char *const names[ARG_COUNT] = {"r1", "r2", "r3", "r4", "r5"};
    return names[arg];
}

static const struct value *arg_value(const struct call *c, unsigned arg)
{
    return &c->s->regs[arg + 1];
}

// The map that the arguments before `arg` name, or NULL.
static const struct map_def *call_map(const struct domain_env *env, const struct domain_state *s,
                                      const struct helper_row *row, unsigned arg)
{
    for (unsigned i = arg; i-- > 0;) {
        const struct value *v = &s->regs[i + 1];
        if (row->args[i] == ARG_MAP && v->kind == VALUE_MAP_PTR) {
            return &env->program->maps[v->map];
        }
    }
    return NULL;
}

static bool refuse(const struct call *c, unsigned arg, const char *needed)
{
    fault_set(c->fault, DOMAIN_RULE_HELPER_ARGUMENT);
    fault_message(c->fault, "argument %u of %s is not what the helper takes", arg + 1, c->row->name);
    fault_needed(c->fault, "%s in %s", needed, arg_name(arg));
    fault_known_value(c->fault, c->env, arg_name(arg), arg_value(c, arg));
    return false;
}

static bool refuse_null(const struct call *c, unsigned arg)
{
    fault_set(c->fault, DOMAIN_RULE_POSSIBLY_NULL);
    fault_message(c->fault, "argument %u of %s may be null", arg + 1, c->row->name);
    fault_needed(c->fault, "%s is not null", arg_name(arg));
    fault_known_value(c->fault, c->env, arg_name(arg), arg_value(c, arg));
    fault_hint(c->fault, "compare the result of the look-up with NULL before passing it on");
    return false;
}

static bool is_memory(const struct value *v)
{
    return v->kind == VALUE_STACK || v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_META ||
           v->kind == VALUE_MAP_VALUE;
}

static bool check_memory(const struct call *c, unsigned arg, uint64_t size, unsigned mode)
{
    const struct value *v = arg_value(c, arg);
    if (v->maybe_null) {
        return refuse_null(c, arg);
    }
    if (!is_memory(v)) {
        return refuse(c, arg, "a pointer to stack, packet or map value memory");
    }
    struct access a = {v, arg_name(arg), 0, (uint32_t)size, mode};
    return access_check(c->env, c->s, &a, c->fault);
}

static bool check_map(const struct call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (v->kind != VALUE_MAP_PTR) {
        return refuse(c, arg, "a map");
    }
    const struct map_def *map = &c->env->program->maps[v->map];
    bool changes = c->row == &c->env->spec->helpers[HELPER_MAP_UPDATE_ELEM] ||
                   c->row == &c->env->spec->helpers[HELPER_MAP_DELETE_ELEM];
    if (changes && (map->flags & MAP_FLAG_RDONLY_PROG) != 0) {
        fault_set(c->fault, DOMAIN_RULE_MAP_READ_ONLY);
        fault_known(c->fault, "map '%s' is read-only for programs", map->name);
        return false;
    }
    return true;
}

static bool check_element(const struct call *c, unsigned arg, bool key)
{
    const struct map_def *map = call_map(c->env, c->s, c->row, arg);
    if (map == NULL) {
        return refuse(c, arg, "a map argument before it");
    }
    uint32_t size = key ? map->key_size : map->value_size;
    return size == 0 || check_memory(c, arg, size, ACCESS_READ);
}

static bool refuse_size(const struct call *c, unsigned arg, const char *needed)
{
    fault_set(c->fault, DOMAIN_RULE_HELPER_SIZE);
    fault_message(c->fault, "argument %u of %s is a size without sufficient bounds", arg + 1, c->row->name);
    fault_needed(c->fault, "%s", needed);
    fault_known_value(c->fault, c->env, arg_name(arg), arg_value(c, arg));
    fault_hint(c->fault, "compare the size with its limits before the call");
    return false;
}

static bool check_size(const struct call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (v->kind != VALUE_SCALAR) {
        return refuse(c, arg, "a size");
    }
    if (v->num.umax > VALUE_MAX_OFFSET) {
        return refuse_size(c, arg, "a size that has an upper limit and is not negative");
    }
    if (c->row->args[arg] == ARG_SIZE && v->num.umin == 0) {
        return refuse_size(c, arg, "a size of at least 1");
    }
    return true;
}

static unsigned mode_of(unsigned type)
{
    switch (type) {
    case ARG_MEM_WRITE:
    case ARG_MEM_COPY: return ACCESS_WRITE;
    case ARG_MEM_READ_WRITE: return ACCESS_READ | ACCESS_WRITE;
    default: return ACCESS_READ;
    }
}

static bool is_size(unsigned type)
{
    return type == ARG_SIZE || type == ARG_SIZE_OR_ZERO;
}

// Memory whose size is the next argument.
static bool check_sized_memory(const struct call *c, unsigned arg)
{
    unsigned type = c->row->args[arg];
    if (arg + 1 >= ARG_COUNT || !is_size(c->row->args[arg + 1])) {
        return refuse(c, arg, "a prototype row with a size after the memory");
    }
    if (!check_size(c, arg + 1)) {
        return false;
    }
    uint64_t size = arg_value(c, arg + 1)->num.umax;
    const struct value *v = arg_value(c, arg);
    if (size == 0) {
        // Nothing is accessed, yet only a prototype that says so takes NULL.
        if (type == ARG_MEM_READ_OR_NULL && (value_is_zero(v) || is_memory(v))) {
            return true;
        }
        if (v->maybe_null) {
            return refuse_null(c, arg);
        }
        return is_memory(v) || refuse(c, arg, "a pointer to stack, packet or map value memory");
    }
    if (type == ARG_MEM_READ_OR_NULL && value_is_zero(v)) {
        return refuse_size(c, arg + 1, "the size 0, as the memory is NULL");
    }
    return check_memory(c, arg, size, mode_of(type));
}

static bool check_arg(const struct call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    switch (c->row->args[arg]) {
    case ARG_NONE: return true;
    case ARG_ANYTHING: return v->kind != VALUE_NOT_INIT || refuse(c, arg, "any value");
    case ARG_SCALAR: return v->kind == VALUE_SCALAR || refuse(c, arg, "a number");
    case ARG_SCALAR_OR_NONE:
        return v->kind == VALUE_SCALAR || v->kind == VALUE_NOT_INIT || refuse(c, arg, "a number");
    case ARG_CTX:
        return (v->kind == VALUE_CTX && v->off == 0 && value_is_fixed(v)) ||
               refuse(c, arg, "the context pointer that the program was given");
    case ARG_MAP: return check_map(c, arg);
    case ARG_MAP_KEY: return check_element(c, arg, true);
    case ARG_MAP_VALUE: return check_element(c, arg, false);
    case ARG_MEM_READ:
    case ARG_MEM_READ_OR_NULL:
    case ARG_MEM_WRITE:
    case ARG_MEM_COPY:
    case ARG_MEM_READ_WRITE: return check_sized_memory(c, arg);
    case ARG_SIZE:
    case ARG_SIZE_OR_ZERO: return check_size(c, arg);
    default: return refuse(c, arg, "an argument of a known kind");
    }
}

static bool check_permitted(const struct domain_env *env, uint32_t id, struct domain_fault *fault)
{
    const struct helper_row *row = &env->spec->helpers[id];
    const struct program *p = env->program;
    if ((row->prog_type == PROG_TYPE_NONE || row->prog_type == p->type) && row->number[p->dialect] != 0) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_HELPER_NOT_ALLOWED);
    fault_message(fault, "calls %s, which programs of this type cannot", row->name);
    fault_needed(fault, "a helper that %s programs may call", env->spec->prog_types[p->type].name);
    if (row->number[p->dialect] == 0) {
        fault_known(fault, "%s does not exist in the %s dialect", row->name,
                    p->dialect == DIALECT_LINUX ? "Linux" : "Windows");
    } else {
        fault_known(fault, "%s is for %s programs", row->name, env->spec->prog_types[row->prog_type].name);
    }
    return false;
}

bool helper_check(const struct domain_env *env, const struct domain_state *s, uint32_t id,
                  struct domain_fault *fault)
{
    if (!check_permitted(env, id, fault)) {
        return false;
    }
    struct call c = {env, s, &env->spec->helpers[id], fault};
    for (unsigned arg = 0; arg < ARG_COUNT; arg++) {
        if (!check_arg(&c, arg)) {
            return false;
        }
    }
    return true;
}

// --- effects -------------------------------------------------------------------------------------

// Bytes that the helper certainly writes at memory argument `arg`.
static uint64_t written_at_least(const struct domain_state *s, const struct helper_row *row, unsigned arg)
{
    uint64_t size = s->regs[arg + 2].num.umin;
    if (row->args[arg] != ARG_MEM_COPY) {
        return size;
    }
    for (unsigned i = 0; i + 1 < ARG_COUNT; i++) {
        if (row->args[i] == ARG_MEM_READ) {
            size = min_u64(size, s->regs[i + 2].num.umin);
        }
    }
    return size;
}

static void write_memory(struct domain_state *s, const struct helper_row *row, unsigned arg)
{
    const struct value *v = &s->regs[arg + 1];
    if (v->kind != VALUE_STACK) {
        return;
    }
    struct state_frame *f = &s->frames[v->frame];
    int64_t first = (int64_t)v->off + v->num.smin;
    int64_t spread = v->num.smax - v->num.smin;
    stack_forget(f, stack_position(first), (int32_t)(spread + (int64_t)s->regs[arg + 2].num.umax));
    if (value_is_fixed(v)) {
        stack_mark_init(f, stack_position(first), (int32_t)written_at_least(s, row, arg));
    }
}

static void set_result(struct domain_state *s, const struct helper_row *row, uint16_t map, struct value *out)
{
    struct scalar n;
    switch (row->ret) {
    case RET_MAP_VALUE_OR_NULL:
        value_set_pointer(out, VALUE_MAP_VALUE, 0);
        out->map = map;
        out->maybe_null = 1;
        out->id = state_make_id(s);
        break;
    case RET_U32: value_set_unknown(out, 4); break;
    case RET_INT32:
        scalar_set_srange(&n, INT32_MIN, INT32_MAX);
        value_set_scalar(out, &n);
        break;
    default: value_set_unknown(out, 8); break;
    }
}

void helper_apply(const struct domain_env *env, struct domain_state *s, uint32_t id)
{
    const struct helper_row *row = &env->spec->helpers[id];
    for (unsigned arg = 0; arg + 1 < ARG_COUNT; arg++) {
        unsigned type = row->args[arg];
        if (type == ARG_MEM_WRITE || type == ARG_MEM_COPY || type == ARG_MEM_READ_WRITE) {
            write_memory(s, row, arg);
        }
    }
    uint16_t map = s->regs[1].map;
    memset(&s->regs[0], 0, 6 * sizeof(s->regs[0]));
    if ((row->flags & HELPER_CHANGES_PACKET) != 0) {
        state_forget_packet(s);
    }
    set_result(s, row, map, &s->regs[0]);
}
