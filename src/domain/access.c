// SPDX-License-Identifier: MIT
// access: bounds of memory accesses by kind of pointer. Offsets are bounded by construction (value.h), so
// sums in 64 bits cannot overflow.
#include "domain/access.h"
#include "domain/stack.h"

static const char *verb(const struct access *a)
{
    return (a->mode & ACCESS_WRITE) == 0 ? "reads" : "writes";
}

static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

// First byte at the lowest offset, and byte after the last at the highest, from the base of the region.
static int64_t lowest(const struct access *a)
{
    return (int64_t)a->ptr->off + a->off + a->ptr->num.smin;
}

static int64_t highest(const struct access *a)
{
    return (int64_t)a->ptr->off + a->off + a->ptr->num.smax + a->size;
}

static void describe(const struct access *a, const char *region, struct domain_fault *fault)
{
    int64_t first = lowest(a), last = highest(a) - a->size;
    if (first == last) {
        fault_message(fault, "%s %u byte%s at %s offset %lld", verb(a), a->size, plural(a->size), region,
                      (long long)first);
    } else {
        fault_message(fault, "%s %u byte%s at a %s offset between %lld and %lld", verb(a), a->size,
                      plural(a->size), region, (long long)first, (long long)last);
    }
}

static bool check_stack(const struct domain_env *env, const struct domain_state *s, const struct access *a,
                        struct domain_fault *fault)
{
    UNUSED(env);
    if (lowest(a) < -INSN_STACK_SIZE || highest(a) > 0) {
        fault_set(fault, DOMAIN_RULE_STACK_BOUNDS);
        describe(a, "stack", fault);
        fault_needed(fault, "all bytes between r10-%d and r10", INSN_STACK_SIZE);
        fault_known(fault, "the access covers offsets [%lld, %lld) from the frame's top",
                    (long long)lowest(a), (long long)highest(a));
        fault_hint(fault,
                   "a function has 512 bytes of stack: use smaller variables, or a map for large data");
        return false;
    }
    int32_t at = stack_position(lowest(a)), missing;
    int32_t size = (int32_t)(highest(a) - lowest(a));
    if ((a->mode & ACCESS_READ) != 0 && !stack_is_init(&s->frames[a->ptr->frame], at, size, &missing)) {
        fault_set(fault, DOMAIN_RULE_UNINITIALIZED_STACK);
        describe(a, "stack", fault);
        fault_needed(fault, "every byte that is read was written before, on every path");
        fault_known(fault, "the byte at r10-%d was not written", INSN_STACK_SIZE - missing);
        fault_hint(fault, "initialise the whole variable, padding too, for example with = {0} or memset");
        return false;
    }
    return true;
}

static bool check_packet(const struct domain_env *env, const struct domain_state *s, const struct access *a,
                         struct domain_fault *fault)
{
    const struct layout_row *layout = &env->spec->layouts[env->layout];
    if ((a->mode & ACCESS_WRITE) != 0 && layout->data_read_only) {
        fault_set(fault, DOMAIN_RULE_PACKET_READ_ONLY);
        fault_needed(fault, "data that programs of this type may write to");
        fault_known(fault, "the data of %s is read-only", layout->name);
        return false;
    }
    bool meta = a->ptr->kind == VALUE_PACKET_META;
    int64_t end = (int64_t)a->ptr->off + a->off + a->size; // from N
    int64_t range = meta ? (int64_t)s->meta_length - a->ptr->num.smax : state_packet_range(s, a->ptr);
    if (lowest(a) >= 0 && end <= range) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_PACKET_BOUNDS);
    describe(a, meta ? "metadata" : "packet", fault);
    if (lowest(a) < 0) {
        fault_needed(fault, "an offset that is not negative");
        fault_known(fault, "the offset may be as low as %lld", (long long)lowest(a));
        fault_hint(fault,
                   "compare the number that is added with its lower bound as well, or make it unsigned");
        return false;
    }
    if (a->ptr->id == VALUE_ID_NONE) {
        fault_needed(fault, "at least %lld byte%s", (long long)end, plural(end));
        fault_known(fault, "the %s is known to have at least %d byte%s", meta ? "metadata" : "packet",
                    meta ? s->meta_length : s->packet_length,
                    plural(meta ? s->meta_length : s->packet_length));
    } else {
        fault_needed(fault, "at least %lld byte%s after %s", (long long)(end - a->ptr->off),
                     plural(end - a->ptr->off), a->what);
        fault_known(fault, "%lld bytes after %s are known to lie in the packet",
                    (long long)(range > a->ptr->off ? range - a->ptr->off : 0), a->what);
    }
    fault_hint(fault, meta ? "check data_meta + size <= data before the access"
                           : "check pointer + size <= data_end before the access, on every path");
    return false;
}

static bool check_map_value(const struct domain_env *env, const struct domain_state *s,
                            const struct access *a, struct domain_fault *fault)
{
    UNUSED(s);
    const struct map_def *map = &env->program->maps[a->ptr->map];
    if ((a->mode & ACCESS_WRITE) != 0 && (map->flags & MAP_FLAG_RDONLY_PROG) != 0) {
        fault_set(fault, DOMAIN_RULE_MAP_READ_ONLY);
        fault_needed(fault, "a map that programs may write to");
        fault_known(fault, "map '%s' is read-only for programs", map->name);
        fault_hint(fault, "constants (.rodata) and maps made with BPF_F_RDONLY_PROG cannot be changed");
        return false;
    }
    if ((a->mode & ACCESS_READ) != 0 && (map->flags & MAP_FLAG_WRONLY_PROG) != 0) {
        fault_set(fault, DOMAIN_RULE_MAP_WRITE_ONLY);
        fault_needed(fault, "a map that programs may read");
        fault_known(fault, "map '%s' is write-only for programs", map->name);
        fault_hint(fault, "the map was made with BPF_F_WRONLY_PROG");
        return false;
    }
    if (lowest(a) >= 0 && highest(a) <= map->value_size) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_MAP_VALUE_BOUNDS);
    describe(a, "map value", fault);
    fault_needed(fault, "all bytes inside the %u bytes of a value", map->value_size);
    fault_known(fault, "a value of map '%s' has %u bytes, the access covers [%lld, %lld)", map->name,
                map->value_size, (long long)lowest(a), (long long)highest(a));
    fault_hint(fault, "bound the index with a comparison or a mask before it is used");
    return false;
}

static bool refuse_null(const struct domain_env *env, const struct access *a, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_POSSIBLY_NULL);
    fault_message(fault, "%s memory through %s, which may be null", verb(a), a->what);
    fault_needed(fault, "%s is not null", a->what);
    fault_known_value(fault, env, a->what, a->ptr);
    fault_hint(fault, "compare the result of the look-up with NULL before using it");
    return false;
}

static bool refuse_kind(const struct domain_env *env, const struct access *a, struct domain_fault *fault)
{
    if (a->ptr->kind == VALUE_NOT_INIT) {
        fault_set(fault, DOMAIN_RULE_UNINITIALIZED_REGISTER);
        fault_message(fault, "%s is read before it was written", a->what);
        fault_hint(fault,
                   "calls leave nothing in r1-r5; a helper that moves the packet ends all packet pointers");
    } else {
        fault_set(fault, DOMAIN_RULE_NOT_A_POINTER);
        fault_message(fault, "%s %u bytes through %s, which is no pointer to memory", verb(a), a->size,
                      a->what);
    }
    fault_needed(fault, "a pointer to memory in %s", a->what);
    fault_known_value(fault, env, a->what, a->ptr);
    return false;
}

bool access_check(const struct domain_env *env, const struct domain_state *s, const struct access *a,
                  struct domain_fault *fault)
{
    if (a->ptr->maybe_null) {
        return refuse_null(env, a, fault);
    }
    switch (a->ptr->kind) {
    case VALUE_STACK: return check_stack(env, s, a, fault);
    case VALUE_PACKET:
    case VALUE_PACKET_META: return check_packet(env, s, a, fault);
    case VALUE_MAP_VALUE: return check_map_value(env, s, a, fault);
    default: return refuse_kind(env, a, fault);
    }
}

// The field is found again from the instruction alone when the program is loaded.
static bool refuse_moved_context(const struct access *a, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_CONTEXT_FIELD);
    fault_message(fault, "%s the context through a pointer that was moved", verb(a));
    fault_needed(fault, "the context pointer that the program was given in %s", a->what);
    fault_known(fault, "%s was moved by %d bytes", a->what, a->ptr->off);
    fault_hint(fault, "use the structure's own members, not a pointer to one of them");
    return false;
}

bool access_check_context(const struct domain_env *env, const struct access *a, struct domain_fault *fault)
{
    const struct layout_row *layout = &env->spec->layouts[env->layout];
    bool store = (a->mode & ACCESS_WRITE) != 0;
    int32_t off = a->ptr->off + a->off;
    if (a->ptr->off != 0) {
        return refuse_moved_context(a, fault);
    }
    if (spec_field_find(env->spec, env->layout, off, a->size, store) >= 0) {
        return true;
    }
    int field = store ? spec_field_find(env->spec, env->layout, off, a->size, false) : -1;
    if (field >= 0 && (layout->fields[field].access & FIELD_WRITE) == 0) {
        fault_set(fault, DOMAIN_RULE_CONTEXT_READ_ONLY);
        fault_message(fault, "writes to the context field '%s'", layout->fields[field].name);
        fault_needed(fault, "a field that programs may write");
        fault_known(fault, "'%s' of %s is read-only", layout->fields[field].name, layout->name);
        return false;
    }
    fault_set(fault, DOMAIN_RULE_CONTEXT_FIELD);
    fault_message(fault, "%s %u byte%s at context offset %d", verb(a), a->size, plural(a->size), off);
    fault_needed(fault, "exactly one field of %s, with its size and alignment", layout->name);
    fault_known(fault, "%s has %u bytes; no field permits this access", layout->name, layout->size);
    fault_hint(fault, "use the structure's own members; pointers must be read whole");
    return false;
}
