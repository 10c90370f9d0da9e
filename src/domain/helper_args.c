// SPDX-License-Identifier: MIT
// helper_args: one check per kind of argument. A pair of memory and size is checked at its memory argument;
// nullness is checked for every argument.
#include "domain/access.h"
#include "domain/helper_int.h"
#include "domain/special.h"

const char *helper_arg_name(unsigned arg)
{
    static const char *const names[HELPER_ARG_COUNT] = {"r1", "r2", "r3", "r4", "r5"};
    return names[arg];
}

static const struct value *arg_value(const struct helper_call *c, unsigned arg)
{
    return &c->s->regs[arg + 1];
}

uint32_t helper_map_before(const struct domain_state *s, const struct helper_row *row, unsigned arg)
{
    for (unsigned i = arg; i-- > 0;) {
        const struct value *v = &s->regs[i + 1];
        if (helper_arg_kind(row, i) == ARG_MAP && v->kind == VALUE_MAP_PTR) {
            return v->map;
        }
    }
    return UINT32_MAX;
}

unsigned helper_released_arg(const struct helper_row *row)
{
    unsigned arg = 0;
    while ((row->flags & HELPER_RELEASES) != 0 && arg < HELPER_ARG_COUNT) {
        unsigned kind = helper_arg_kind(row, arg);
        if (kind == ARG_RECORD || kind == ARG_OBJECT || kind == ARG_KERNEL || kind == ARG_DYNPTR ||
            kind == ARG_ITER || kind == ARG_IRQ_FLAGS) {
            return arg;
        }
        arg++;
    }
    return HELPER_ARG_COUNT;
}

bool helper_refuse(const struct helper_call *c, unsigned arg, const char *needed)
{
    const struct value *v = arg_value(c, arg);
    fault_set(c->fault,
              v->kind == VALUE_NOT_INIT ? DOMAIN_RULE_UNINITIALIZED_REGISTER : DOMAIN_RULE_HELPER_ARGUMENT);
    fault_message(c->fault, "argument %u of %s is not what the helper takes", arg + 1, c->row->name);
    fault_needed(c->fault, "%s in %s", needed, helper_arg_name(arg));
    fault_known_value(c->fault, c->env, helper_arg_name(arg), v);
    if (v->kind == VALUE_NOT_INIT) {
        fault_hint(c->fault,
                   "set the argument right before the call: a call leaves nothing in r1-r5, and what was "
                   "released, or moved with the packet, is gone");
    } else {
        fault_hint(c->fault,
                   "compare the call with the helper's prototype: the arguments may be swapped, or the "
                   "address (&) of a variable is meant");
    }
    return false;
}

bool helper_refuse_null(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    fault_set(c->fault, DOMAIN_RULE_POSSIBLY_NULL);
    fault_message(c->fault, "argument %u of %s %s null", arg + 1, c->row->name,
                  v->maybe_null ? "may be" : "is");
    fault_needed(c->fault, "%s is not null", helper_arg_name(arg));
    fault_known_value(c->fault, c->env, helper_arg_name(arg), v);
    fault_hint(c->fault,
               "write: if (!p) return ...; between the call that returned the pointer and this one");
    return false;
}

static bool is_memory(const struct value *v)
{
    return v->kind == VALUE_STACK || v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_META ||
           v->kind == VALUE_MAP_VALUE || v->kind == VALUE_MEM;
}

static bool check_is_memory(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (v->maybe_null || value_is_zero(v)) {
        return helper_refuse_null(c, arg);
    }
    // The helper may move the packet first and read or write the memory afterwards.
    bool moves = (c->row->flags & HELPER_CHANGES_PACKET) != 0 &&
                 (v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_META ||
                  (v->kind == VALUE_MEM && (v->flags & VALUE_PACKET_SLICE) != 0));
    if (moves) {
        return helper_refuse(c, arg, "memory outside the packet, which the helper changes,");
    }
    return is_memory(v) || helper_refuse(c, arg, "a pointer to stack, packet, map value or other memory");
}

// Bytes that programs of the unprivileged hand out must not hold addresses.
static bool check_no_address(const struct helper_call *c, unsigned arg, uint64_t size)
{
    const struct value *v = arg_value(c, arg);
    if (!c->env->unprivileged || v->kind != VALUE_STACK) {
        return true;
    }
    const struct value *address = special_find_address(c->s, v, 0, size);
    if (address == NULL) {
        return true;
    }
    fault_set(c->fault, DOMAIN_RULE_POINTER_LEAK);
    fault_message(c->fault, "%s is given memory that holds an address", c->row->name);
    fault_needed(c->fault, "memory without addresses in %s", helper_arg_name(arg));
    fault_known_value(c->fault, c->env, "the stack there", address);
    fault_hint(c->fault, "copy the number that the pointer points to, not the pointer");
    return false;
}

static bool check_fixed_memory(const struct helper_call *c, unsigned arg, uint64_t size, unsigned mode)
{
    const struct value *v = arg_value(c, arg);
    if (helper_arg_is_nullable(c->row, arg) && value_is_zero(v)) {
        return true;
    }
    if (!check_is_memory(c, arg)) {
        return false;
    }
    struct access a = {v, helper_arg_name(arg), 0, (uint32_t)size, mode};
    return size == 0 || (access_check(c->env, c->s, &a, c->fault) &&
                         special_check_access(c->env, c->s, v, 0, size, mode == ACCESS_WRITE, c->fault) &&
                         ((mode & ACCESS_READ) == 0 || check_no_address(c, arg, size)));
}

// --- maps ----------------------------------------------------------------------------------------

static bool changes_elements(uint32_t id)
{
    switch (id) {
    case HELPER_MAP_UPDATE_ELEM:
    case HELPER_MAP_DELETE_ELEM:
    case HELPER_MAP_LOOKUP_AND_DELETE_ELEM:
    case HELPER_MAP_PUSH_ELEM:
    case HELPER_MAP_POP_ELEM: return true;
    default: return false;
    }
}

// Elements that are freed while a program sleeps stay until it ends.
static bool outlasts_sleep(uint32_t map_type)
{
    switch (map_type) {
    case MAP_TYPE_PROG_ARRAY:
    case MAP_TYPE_PERF_EVENT_ARRAY:
    case MAP_TYPE_STACK_TRACE:
    case MAP_TYPE_CGROUP_ARRAY:
    case MAP_TYPE_LPM_TRIE:
    case MAP_TYPE_DEVMAP:
    case MAP_TYPE_DEVMAP_HASH:
    case MAP_TYPE_CPUMAP:
    case MAP_TYPE_XSKMAP:
    case MAP_TYPE_SOCKMAP:
    case MAP_TYPE_SOCKHASH:
    case MAP_TYPE_REUSEPORT_SOCKARRAY:
    case MAP_TYPE_CGROUP_STORAGE:
    case MAP_TYPE_PERCPU_CGROUP_STORAGE:
    case MAP_TYPE_BLOOM_FILTER: return false;
    default: return true;
    }
}

static bool refuse_map_in_sleep(const struct helper_call *c, unsigned arg, const struct map_def *map)
{
    fault_set(c->fault, DOMAIN_RULE_HELPER_ARGUMENT);
    fault_message(c->fault, "%s is given a map that programs which sleep cannot use", c->row->name);
    fault_needed(c->fault, "a map whose elements stay while the program sleeps in %s", helper_arg_name(arg));
    fault_known(c->fault, "map '%s' is of type %s, the program is sleepable", map->name,
                c->env->spec->map_types[map->type].name);
    fault_hint(c->fault, "use an array, a hash map, a ring buffer, or a section without .s");
    return false;
}

static bool check_map_type(const struct helper_call *c, unsigned arg, const struct map_def *map)
{
    const struct spec_view *spec = c->env->spec;
    if (map->type == MAP_TYPE_NONE || map->type >= spec->map_type_count) {
        // An inner map; others are refused where they are named.
        return fault_unknown_map_type(c->fault, map);
    }
    const struct map_type_row *type = &spec->map_types[map->type];
    uint32_t index = c->s->regs[arg + 1].map;
    if (!spec_helper_takes_map(spec, c->id, map->type)) {
        fault_set(c->fault, DOMAIN_RULE_HELPER_ARGUMENT);
        fault_message(c->fault, "%s does not work on maps of type %s", c->row->name, type->name);
        fault_needed(c->fault, "a map of a type that %s takes in %s", c->row->name, helper_arg_name(arg));
        fault_known(c->fault, "map '%s' is of type %s", map->name, type->name);
        fault_hint(c->fault, "use another map, or the helper that is made for this type of map");
        return false;
    }
    if (c->env->program->sleepable && !outlasts_sleep(map->type)) {
        return refuse_map_in_sleep(c, arg, map);
    }
    bool known = c->env->program->map_facts != NULL && c->env->program->map_facts[index].has_inner;
    if ((type->flags & MAP_OF_MAPS) == 0 || known || c->row->ret != RET_MAP_VALUE_OR_NULL) {
        return true;
    }
    fault_set(c->fault, DOMAIN_RULE_INNER_MAP);
    fault_message(c->fault, "looks up a map in '%s', whose inner maps are not described", map->name);
    fault_needed(c->fault, "the definition of the inner maps");
    fault_known(c->fault, "'%s' holds maps; nothing says of which type and sizes", map->name);
    fault_hint(c->fault, "write: __array(values, struct inner_map); in the definition of the outer map");
    return false;
}

static bool check_map(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (v->kind == VALUE_MAP_PTR && v->maybe_null) {
        fault_set(c->fault, DOMAIN_RULE_INNER_MAP);
        fault_message(c->fault, "argument %u of %s is an inner map that may be null", arg + 1, c->row->name);
        fault_needed(c->fault, "%s is not null", helper_arg_name(arg));
        fault_known(c->fault, "%s holds the result of a look-up in '%s', which may find nothing",
                    helper_arg_name(arg), c->env->program->maps[v->map].name);
        fault_hint(c->fault,
                   "compare the result of the look-up in the outer map with NULL before it is used");
        return false;
    }
    if (v->kind != VALUE_MAP_PTR) {
        return helper_refuse(c, arg, "a map");
    }
    const struct map_def *map = &c->env->program->maps[v->map];
    if (!check_map_type(c, arg, map)) {
        return false;
    }
    if (changes_elements(c->id) && (map->flags & MAP_FLAG_RDONLY_PROG) != 0) {
        fault_set(c->fault, DOMAIN_RULE_MAP_READ_ONLY);
        fault_needed(c->fault, "a map that programs may write to");
        fault_known(c->fault, "map '%s' is read-only for programs", map->name);
        fault_hint(c->fault,
                   "leave BPF_F_RDONLY_PROG out of the map's flags; constants (.rodata) cannot be changed");
        return false;
    }
    return true;
}

static bool check_element(const struct helper_call *c, unsigned arg, bool key, unsigned mode)
{
    uint32_t index = helper_map_before(c->s, c->row, arg);
    if (index == UINT32_MAX) {
        return helper_refuse(c, arg, "a map argument before it");
    }
    const struct map_def *map = &c->env->program->maps[index];
    uint32_t size = key ? map->key_size : map->value_size;
    // Maps without keys (queues) take no key, not even the address of one.
    return check_fixed_memory(c, arg, size, mode);
}

// --- sizes ---------------------------------------------------------------------------------------

static bool refuse_size(const struct helper_call *c, unsigned arg, const char *needed, const char *hint)
{
    fault_set(c->fault, DOMAIN_RULE_HELPER_SIZE);
    fault_message(c->fault, "argument %u of %s is a size without sufficient bounds", arg + 1, c->row->name);
    fault_needed(c->fault, "%s", needed);
    fault_known_value(c->fault, c->env, helper_arg_name(arg), arg_value(c, arg));
    fault_hint(c->fault, hint);
    return false;
}

static bool check_size(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (v->kind != VALUE_SCALAR) {
        return helper_refuse(c, arg, "a size");
    }
    if (v->num.umax > VALUE_MAX_OFFSET) {
        return refuse_size(
            c, arg, "a size that has an upper limit and is not negative",
            "use an unsigned variable and write: if (size > sizeof(buffer)) return ...; before the "
            "call");
    }
    if (helper_arg_kind(c->row, arg) == ARG_SIZE && v->num.umin == 0) {
        return refuse_size(c, arg, "a size of at least 1",
                           "write: if (size == 0) return ...; before the call");
    }
    return true;
}

static unsigned mode_of(unsigned kind)
{
    switch (kind) {
    case ARG_MEM_WRITE:
    case ARG_MEM_COPY: return ACCESS_WRITE;
    case ARG_MEM_READ_WRITE: return ACCESS_READ | ACCESS_WRITE;
    default: return ACCESS_READ;
    }
}

static bool refuse_lifetime(const struct helper_call *c, unsigned arg, const char *message, const char *hint)
{
    fault_set(c->fault, DOMAIN_RULE_DYNPTR);
    fault_message(c->fault, "%s %s", c->row->name, message);
    fault_needed(c->fault, "a pointer to a map value in %s", helper_arg_name(arg));
    fault_known_value(c->fault, c->env, helper_arg_name(arg), arg_value(c, arg));
    fault_hint(c->fault, hint);
    return false;
}

// Memory that a dynptr is made of, or that may be returned as its slice, is not tracked any more and must not
// end before it: values of maps stay; stack and records do not. Reading what is left of a stack frame does no
// harm.
static bool check_lasting(const struct helper_call *c, unsigned arg)
{
    uint8_t kind = arg_value(c, arg)->kind;
    unsigned dynptr = helper_find_arg(c->row, ARG_DYNPTR);
    if (kind == VALUE_MAP_VALUE) {
        return true;
    }
    if (helper_has_arg(c->row, ARG_DYNPTR_NEW)) {
        return refuse_lifetime(c, arg, "makes a dynptr of memory that may end before it",
                               "make the dynptr of a map value; for a record use bpf_ringbuf_reserve_dynptr");
    }
    if (dynptr == HELPER_ARG_COUNT || (c->row->ret != RET_MEM_OR_NULL && c->row->ret != RET_MEM)) {
        return true;
    }
    bool writes = (c->row->detail[dynptr] & DYNPTR_WRITABLE) != 0;
    return (kind == VALUE_STACK && !writes) ||
           refuse_lifetime(c, arg, "may return its buffer, which would be written behind the verifier's back",
                           "pass NULL as buffer, or use bpf_dynptr_read and bpf_dynptr_write with it");
}

// A size without limit: the hint says what would fit.
static bool suggest_limit(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    int64_t room = v->kind == VALUE_MAP_VALUE ? (int64_t)c->env->program->maps[v->map].value_size
                   : v->kind == VALUE_MEM     ? (int64_t)v->size
                                              : 0;
    room -= v->off + v->num.smax;
    if (c->fault->rule == DOMAIN_RULE_HELPER_SIZE && (v->kind == VALUE_MAP_VALUE || v->kind == VALUE_MEM) &&
        room > 0) {
        str_format(c->fault->hint, sizeof(c->fault->hint),
                   "use an unsigned variable and write: if (size > %lld) return ...; before the call",
                   (long long)room);
    }
    return false;
}

static bool check_sized_memory(const struct helper_call *c, unsigned arg)
{
    unsigned size_arg = helper_size_arg(c->row, arg), kind = helper_arg_kind(c->row, arg);
    const struct value *v = arg_value(c, arg);
    unsigned size_kind = size_arg < HELPER_ARG_COUNT ? helper_arg_kind(c->row, size_arg) : ARG_NONE;
    if (size_kind != ARG_SIZE && size_kind != ARG_SIZE_OR_ZERO && size_kind != ARG_ALLOC_SIZE) {
        return helper_refuse(c, arg, "a prototype row that says which argument is the size");
    }
    const struct value *size = arg_value(c, size_arg);
    bool null_any_size = (c->row->flags & HELPER_NULL_ANY_SIZE) != 0;
    bool nullable = helper_arg_is_nullable(c->row, arg);
    if (!check_size(c, size_arg)) {
        return size->num.umax > VALUE_MAX_OFFSET && suggest_limit(c, arg);
    }
    if (nullable && value_is_zero(v)) {
        return null_any_size || size->num.umax == 0 ||
               refuse_size(c, size_arg, "the size 0, as the memory is NULL",
                           "pass 0 as size together with NULL");
    }
    if (!(nullable && null_any_size && v->maybe_null && is_memory(v)) && !check_is_memory(c, arg)) {
        return false;
    }
    struct value memory = *v;
    memory.maybe_null = 0; // NULL was permitted above
    struct access a = {&memory, helper_arg_name(arg), 0, 1, mode_of(kind)};
    return access_check_sized(c->env, c->s, &a, size, c->fault) &&
           (size->num.umax == 0 ||
            (special_check_access(c->env, c->s, &memory, 0, size->num.umax, a.mode == ACCESS_WRITE,
                                  c->fault) &&
             ((a.mode & ACCESS_READ) == 0 || check_no_address(c, arg, size->num.umax)))) &&
           check_lasting(c, arg);
}

static bool check_const(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (v->kind != VALUE_SCALAR) {
        return helper_refuse(c, arg, "a constant number");
    }
    if (!scalar_is_const(&v->num)) {
        return refuse_size(c, arg, "a number that is the same on every path",
                           "use a constant, such as sizeof(struct event)");
    }
    if (helper_arg_kind(c->row, arg) == ARG_ALLOC_SIZE &&
        (v->num.umin == 0 || v->num.umin > VALUE_MAX_OFFSET)) {
        return refuse_size(c, arg, "a size of at least 1 byte and at most 512 MB",
                           "use sizeof(struct event)");
    }
    return true;
}

// --- objects -------------------------------------------------------------------------------------

// Nothing of what the register once held is left.
static bool is_gone(const struct value *v)
{
    return v->kind == VALUE_NOT_INIT || v->kind == VALUE_RELEASED;
}

// What is given back was acquired, and not given back before.
static bool check_release(const struct helper_call *c, unsigned arg, enum state_ref_kind kind)
{
    const struct value *v = arg_value(c, arg);
    const struct state_ref *r = v->ref != 0 ? state_find_ref(c->s, v->ref) : NULL;
    if (v->kind != VALUE_NOT_INIT && r != NULL && r->kind == kind && v->off == 0 && value_is_fixed(v)) {
        return true;
    }
    fault_set(c->fault, DOMAIN_RULE_INVALID_RELEASE);
    fault_message(c->fault, "%s is given something that was not acquired, or was released before",
                  c->row->name);
    fault_needed(c->fault, "%s in %s, as it was acquired and once only",
                 kind == STATE_REF_RECORD ? "the start of a ring buffer record" : "an acquired object",
                 helper_arg_name(arg));
    if (v->kind == VALUE_NOT_INIT) {
        fault_known(c->fault, "%s holds nothing: it was never written, or a call has ended it",
                    helper_arg_name(arg));
    } else {
        fault_known_value(c->fault, c->env, helper_arg_name(arg), v);
    }
    fault_hint(c->fault,
               "release each pointer once on each path, with the value that the acquiring call returned: "
               "return right after the release");
    return false;
}

static bool check_record(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (v->maybe_null || value_is_zero(v)) {
        return helper_refuse_null(c, arg);
    }
    if (v->kind != VALUE_MEM && !is_gone(v)) {
        return helper_refuse(c, arg, "the start of a ring buffer record");
    }
    return check_release(c, arg, STATE_REF_RECORD);
}

static bool check_object(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    bool releases = helper_released_arg(c->row) == arg;
    bool is_object = v->kind == VALUE_OBJECT || v->kind == VALUE_KERNEL;
    if (helper_arg_is_nullable(c->row, arg) &&
        (value_is_zero(v) || (v->maybe_null && is_object && !releases))) {
        return true;
    }
    if (v->maybe_null || value_is_zero(v)) {
        return helper_refuse_null(c, arg);
    }
    if (releases && is_gone(v)) {
        return check_release(c, arg, STATE_REF_OBJECT);
    }
    // Whose type is known is no per-CPU variable; a field of a map may take it over.
    bool fits = helper_arg_kind(c->row, arg) == ARG_KERNEL
                    ? v->kind == VALUE_KERNEL || (is_object && releases)
                    : v->kind == VALUE_OBJECT && spec_object_is(c->env->spec, v->map, c->row->detail[arg]);
    if (!fits || (v->flags & VALUE_UNTRUSTED) != 0 || v->off != 0 || !value_is_fixed(v)) {
        return helper_refuse(c, arg,
                             "the start of an object of the right type, from a helper or the context");
    }
    return !releases || check_release(c, arg, STATE_REF_OBJECT);
}

static bool check_context(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (helper_arg_is_nullable(c->row, arg) && value_is_zero(v)) {
        return true;
    }
    return (v->kind == VALUE_CTX && v->off == 0 && value_is_fixed(v)) ||
           helper_refuse(c, arg, "the context pointer that the program was given");
}

// A NUL-terminated string among constants.
static bool check_string(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    const struct program *p = c->env->program;
    if (v->kind == VALUE_MAP_VALUE && !v->maybe_null && value_is_fixed(v) && v->off >= 0 &&
        p->map_facts != NULL && p->map_facts[v->map].contents != NULL &&
        (p->maps[v->map].flags & MAP_FLAG_RDONLY_PROG) != 0 && (v->flags & VALUE_INNER) == 0) {
        for (uint32_t i = (uint32_t)v->off; i < p->maps[v->map].value_size; i++) {
            if (p->map_facts[v->map].contents[i] == 0) {
                return true;
            }
        }
    }
    return helper_refuse(c, arg, "a NUL-terminated string in constant data");
}

// Any value, unless it shows an address to others.
static bool check_anything(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    if (v->kind == VALUE_NOT_INIT) {
        return helper_refuse(c, arg, "any value");
    }
    if (!c->env->unprivileged || !value_is_pointer(v)) {
        return true;
    }
    fault_set(c->fault, DOMAIN_RULE_POINTER_LEAK);
    fault_message(c->fault, "argument %u of %s is an address", arg + 1, c->row->name);
    fault_needed(c->fault, "a number in %s", helper_arg_name(arg));
    fault_known_value(c->fault, c->env, helper_arg_name(arg), v);
    fault_hint(c->fault, "pass what the pointer points to, not the pointer");
    return false;
}

// What was read from kernel memory may be an address that can be read, and is a number as well.
static bool is_number(const struct value *v)
{
    return v->kind == VALUE_SCALAR || (v->kind == VALUE_KERNEL && (v->flags & VALUE_UNTRUSTED) != 0);
}

bool helper_check_arg(const struct helper_call *c, unsigned arg)
{
    const struct value *v = arg_value(c, arg);
    unsigned kind = helper_arg_kind(c->row, arg);
    switch (kind) {
    case ARG_NONE: return true;
    case ARG_ANYTHING: return check_anything(c, arg);
    case ARG_ANYTHING_OR_NONE: return v->kind == VALUE_NOT_INIT || check_anything(c, arg);
    case ARG_SCALAR: return is_number(v) || helper_refuse(c, arg, "a number");
    case ARG_SCALAR_OR_NONE:
        return is_number(v) || v->kind == VALUE_NOT_INIT || helper_refuse(c, arg, "a number");
    case ARG_CTX: return check_context(c, arg);
    case ARG_MAP: return check_map(c, arg);
    case ARG_MAP_KEY: return check_element(c, arg, true, ACCESS_READ);
    case ARG_MAP_VALUE: return check_element(c, arg, false, ACCESS_READ);
    case ARG_MAP_VALUE_WRITE: return check_element(c, arg, false, ACCESS_WRITE);
    case ARG_FIXED_READ: return check_fixed_memory(c, arg, c->row->detail[arg], ACCESS_READ);
    case ARG_FIXED_WRITE: return check_fixed_memory(c, arg, c->row->detail[arg], ACCESS_WRITE);
    case ARG_FIXED_READ_WRITE:
        return check_fixed_memory(c, arg, c->row->detail[arg], ACCESS_READ | ACCESS_WRITE);
    case ARG_SIZE:
    case ARG_SIZE_OR_ZERO: return check_size(c, arg);
    case ARG_ALLOC_SIZE:
    case ARG_CONST: return check_const(c, arg);
    case ARG_CONST_STRING: return check_string(c, arg);
    case ARG_RECORD: return check_record(c, arg);
    case ARG_OBJECT:
    case ARG_KERNEL: return check_object(c, arg);
    default: return helper_arg_is_sized(kind) ? check_sized_memory(c, arg) : helper_check_special(c, arg);
    }
}
