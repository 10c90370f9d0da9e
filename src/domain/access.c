// SPDX-License-Identifier: MIT
// access: bounds of memory accesses by kind of pointer. Offsets are bounded by construction (value.h), so
// sums in 64 bits cannot overflow.
#include "domain/access.h"

#include "domain/linear.h"
#include "domain/special.h"
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

// --- stack ---------------------------------------------------------------------------------------

static bool check_stack_init(const struct domain_state *s, const struct access *a, struct domain_fault *fault)
{
    int32_t missing, size = (int32_t)(highest(a) - lowest(a));
    if (stack_is_init(&s->frames[a->ptr->frame], stack_position(lowest(a)), size, &missing)) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_UNINITIALIZED_STACK);
    describe(a, "stack", fault);
    fault_needed(fault, "every byte that is read was written before, on every path");
    fault_known(fault, "the byte at r10-%d was not written", INSN_STACK_SIZE - missing);
    fault_hint(fault, "initialise the whole variable, padding too, for example with = {0} or memset");
    return false;
}

static bool check_stack(const struct domain_state *s, const struct access *a, struct domain_fault *fault)
{
    if (lowest(a) >= -INSN_STACK_SIZE && highest(a) <= 0) {
        return (a->mode & ACCESS_READ) == 0 || check_stack_init(s, a, fault);
    }
    fault_set(fault, DOMAIN_RULE_STACK_BOUNDS);
    describe(a, "stack", fault);
    fault_needed(fault, "all bytes between r10-%d and r10", INSN_STACK_SIZE);
    fault_known(fault, "the access covers offsets [%lld, %lld) from the frame's top", (long long)lowest(a),
                (long long)highest(a));
    fault_hint(fault, "a function has 512 bytes of stack: use smaller variables, or a map for large data");
    return false;
}

// --- packet --------------------------------------------------------------------------------------

static bool check_packet_mode(const struct domain_env *env, const struct access *a,
                              struct domain_fault *fault)
{
    const struct layout_row *layout = &env->spec->layouts[env->layout];
    if ((a->mode & ACCESS_WRITE) == 0 || !layout->data_read_only) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_PACKET_READ_ONLY);
    fault_needed(fault, "data that programs of this type may write to");
    fault_known(fault, "the data of %s is read-only", layout->name);
    return false;
}

static bool refuse_low_offset(const struct access *a, struct domain_fault *fault)
{
    fault_needed(fault, "an offset that is not negative");
    fault_known(fault, "the offset may be as low as %lld", (long long)lowest(a));
    fault_hint(fault, "compare the number that is added with its lower bound as well, or make it unsigned");
    return false;
}

// Bytes of the packet or the metadata after N that are known to be there.
static int64_t known_after(const struct domain_state *s, const struct value *ptr)
{
    return ptr->kind == VALUE_PACKET_META ? (int64_t)s->meta_length - ptr->num.smax
                                          : state_packet_range(s, ptr);
}

static bool check_packet(const struct domain_env *env, const struct domain_state *s, const struct access *a,
                         struct domain_fault *fault)
{
    bool meta = a->ptr->kind == VALUE_PACKET_META;
    int64_t end = (int64_t)a->ptr->off + a->off + a->size; // from N
    int64_t range = known_after(s, a->ptr);
    if (!check_packet_mode(env, a, fault)) {
        return false;
    }
    if (lowest(a) >= 0 && end <= range) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_PACKET_BOUNDS);
    describe(a, meta ? "metadata" : "packet", fault);
    if (lowest(a) < 0) {
        return refuse_low_offset(a, fault);
    }
    if (a->ptr->id == VALUE_ID_NONE) {
        int32_t length = meta ? s->meta_length : s->packet_length;
        fault_needed(fault, "at least %lld byte%s", (long long)end, plural(end));
        fault_known(fault, "the %s is known to have at least %d byte%s", meta ? "metadata" : "packet", length,
                    plural(length));
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

// --- map values and memory blocks ----------------------------------------------------------------

static bool check_map_mode(const struct domain_env *env, const struct access *a, const struct map_def *map,
                           struct domain_fault *fault)
{
    uint32_t type = map->type < env->spec->map_type_count ? map->type : MAP_TYPE_NONE;
    bool read_only = (map->flags & MAP_FLAG_RDONLY_PROG) != 0 ||
                     (env->spec->map_types[type].flags & MAP_VALUES_READ_ONLY) != 0;
    if ((a->mode & ACCESS_WRITE) != 0 && read_only) {
        fault_set(fault, DOMAIN_RULE_MAP_READ_ONLY);
        fault_needed(fault, "a map that programs may write to");
        fault_known(fault, "map '%s' is read-only for programs", map->name);
        fault_hint(
            fault,
            "constants (.rodata), device maps, and maps made with BPF_F_RDONLY_PROG cannot be changed");
        return false;
    }
    if ((a->mode & ACCESS_READ) != 0 && (map->flags & MAP_FLAG_WRONLY_PROG) != 0) {
        fault_set(fault, DOMAIN_RULE_MAP_WRITE_ONLY);
        fault_needed(fault, "a map that programs may read");
        fault_known(fault, "map '%s' is write-only for programs", map->name);
        fault_hint(fault, "the map was made with BPF_F_WRONLY_PROG");
        return false;
    }
    return true;
}

static bool check_map_value(const struct domain_env *env, const struct access *a, struct domain_fault *fault)
{
    const struct map_def *map = &env->program->maps[a->ptr->map];
    if (!check_map_mode(env, a, map, fault)) {
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

static bool refuse_write(const struct domain_env *env, const struct access *a, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_MEMORY_READ_ONLY);
    fault_message(fault, "writes through %s to memory that may only be read", a->what);
    fault_needed(fault, "memory that programs may write to");
    fault_known_value(fault, env, a->what, a->ptr);
    return false;
}

static bool check_block(const struct domain_env *env, const struct access *a, struct domain_fault *fault)
{
    if ((a->mode & ACCESS_WRITE) != 0 && (a->ptr->flags & VALUE_READ_ONLY) != 0) {
        return refuse_write(env, a, fault);
    }
    if (lowest(a) >= 0 && highest(a) <= a->ptr->size) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_MEMORY_BOUNDS);
    describe(a, "memory block", fault);
    fault_needed(fault, "all bytes inside the %u bytes of the block", a->ptr->size);
    fault_known(fault, "the block has %u bytes, the access covers [%lld, %lld)", a->ptr->size,
                (long long)lowest(a), (long long)highest(a));
    fault_hint(fault, "bound the index with a comparison or a mask before it is used");
    return false;
}

// --- objects -------------------------------------------------------------------------------------

static bool check_object(const struct domain_env *env, const struct access *a, struct domain_fault *fault)
{
    const struct layout_row *layout = &env->spec->layouts[a->ptr->map];
    bool store = (a->mode & ACCESS_WRITE) != 0;
    int64_t off = lowest(a);
    if (layout->is_probed) {
        return !store || refuse_write(env, a, fault);
    }
    if (value_is_fixed(a->ptr) && off >= 0 && off <= UINT16_MAX &&
        spec_field_find(env->spec, a->ptr->map, (int32_t)off, a->size, store) >= 0) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_OBJECT_FIELD);
    describe(a, layout->name, fault);
    fault_needed(fault, "exactly one %sfield of %s, with its size and alignment", store ? "writable " : "",
                 layout->name);
    fault_known(fault, "%s has %u bytes; no field permits this access", layout->name, layout->size);
    fault_hint(fault, "use the structure's own members");
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
    case VALUE_STACK: return check_stack(s, a, fault);
    case VALUE_PACKET:
    case VALUE_PACKET_META: return check_packet(env, s, a, fault);
    case VALUE_MAP_VALUE: return check_map_value(env, a, fault);
    case VALUE_MEM: return check_block(env, a, fault);
    case VALUE_OBJECT: return check_object(env, a, fault);
    case VALUE_KERNEL: return (a->mode & ACCESS_WRITE) == 0 || refuse_write(env, a, fault);
    default: return refuse_kind(env, a, fault);
    }
}

// --- memory and a size that is no constant -------------------------------------------------------

// Greatest X + size for the variable part X of the pointer, where the two are related. INT64_MAX: they are
// not.
static int64_t related_sum(const struct domain_state *s, const struct value *ptr, const struct value *size)
{
    struct linear x, n;
    if (!linear_of(ptr, &x) || !linear_of(size, &n)) {
        return INT64_MAX;
    }
    struct linear sum = x;
    if (linear_add(&sum, &n)) {
        return sum.id == VALUE_ID_NONE ? sum.delta : INT64_MAX; // both are small: no wrap
    }
    int64_t most = x.cf == 1 && n.cf == 1 ? state_sum_max(s, x.id, n.id) : INT64_MAX;
    bool small = x.delta >= -VALUE_MAX_OFFSET && x.delta <= VALUE_MAX_OFFSET &&
                 n.delta >= -VALUE_MAX_OFFSET && n.delta <= VALUE_MAX_OFFSET && most <= VALUE_MAX_OFFSET &&
                 most >= -VALUE_MAX_OFFSET;
    return small ? most + x.delta + n.delta : INT64_MAX;
}

// All bytes that the pair may touch lie between the lowest address and the greatest end: as one plain access.
static bool check_related(const struct domain_env *env, const struct domain_state *s, const struct access *a,
                          const struct value *size, struct domain_fault *fault)
{
    int64_t sum = related_sum(s, a->ptr, size), first = lowest(a);
    if (sum == INT64_MAX || sum + a->ptr->off + a->off <= first) {
        return false;
    }
    struct value ptr = *a->ptr;
    value_set_pointer(&ptr, (enum value_kind)a->ptr->kind, (int32_t)(first - a->off));
    ptr.frame = a->ptr->frame;
    ptr.map = a->ptr->map;
    ptr.flags = a->ptr->flags;
    ptr.size = a->ptr->size;
    struct access whole = *a;
    whole.ptr = &ptr;
    whole.size = (uint32_t)(sum + a->ptr->off + a->off - first);
    return access_check(env, s, &whole, fault);
}

// Bytes after N that are known because a pointer to the pair's end was compared with the packet's end.
static int64_t range_of_sum(struct domain_state *s, uint32_t id)
{
    int64_t range = INT64_MIN;
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value(s, loc);
        if (v->kind == VALUE_PACKET && v->id == id && v->range > range) {
            range = v->range;
        }
    }
    return range;
}

// off + N(ptr) + N(size) + delta <= length, by a row of sums.
static bool packet_row_proves(const struct domain_state *s, const struct state_sum *row,
                              const struct value *ptr, const struct value *size, int64_t end)
{
    bool pair =
        (row->left == ptr->id && row->right == size->id) || (row->left == size->id && row->right == ptr->id);
    if (!pair || row->sum == VALUE_ID_NONE) {
        return false;
    }
    return row->sum == VALUE_ID_LENGTH ? end <= 0 : end <= range_of_sum((struct domain_state *)s, row->sum);
}

static bool packet_pair_is_inside(const struct domain_state *s, const struct access *a,
                                  const struct value *size)
{
    int64_t end = (int64_t)a->ptr->off + a->off + size->delta; // without N(ptr) + N(size)
    if (a->ptr->kind != VALUE_PACKET || size->id == VALUE_ID_NONE || size->cf != 1 || lowest(a) < 0 ||
        size->delta < -VALUE_MAX_OFFSET || size->delta > VALUE_MAX_OFFSET) {
        return false;
    }
    if (size->id == VALUE_ID_LENGTH && value_is_fixed(a->ptr)) {
        return end <= 0;
    }
    for (uint32_t i = 0; i < s->sum_count && a->ptr->id != VALUE_ID_NONE; i++) {
        if (packet_row_proves(s, &s->sums[i], a->ptr, size, end)) {
            return true;
        }
    }
    return false;
}

bool access_check_sized(const struct domain_env *env, const struct domain_state *s, const struct access *a,
                        const struct value *size, struct domain_fault *fault)
{
    struct access most = *a;
    most.size = (uint32_t)min_u64(size->num.umax, VALUE_MAX_OFFSET);
    if (size->num.umax == 0 || (size->num.umax <= VALUE_MAX_OFFSET && access_check(env, s, &most, fault))) {
        return true;
    }
    if (!a->ptr->maybe_null && !scalar_is_const(&size->num) && size->num.umax <= VALUE_MAX_OFFSET) {
        bool block =
            a->ptr->kind == VALUE_STACK || a->ptr->kind == VALUE_MAP_VALUE || a->ptr->kind == VALUE_MEM;
        struct domain_fault other;
        if ((block && check_related(env, s, a, size, &other)) ||
            (packet_pair_is_inside(s, a, size) && check_packet_mode(env, a, &other))) {
            return true;
        }
    }
    return access_check(env, s, &most, fault);
}

// --- context -------------------------------------------------------------------------------------

// The field is found again from the instruction alone when the program is loaded.
static bool refuse_moved_context(const struct access *a, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_CONTEXT_FIELD);
    fault_message(fault, "%s the context through a pointer that was moved", verb(a));
    fault_needed(fault, "the context pointer that the program was given in %s", a->what);
    if (value_is_fixed(a->ptr)) {
        fault_known(fault, "%s was moved by %d bytes", a->what, a->ptr->off);
    } else {
        fault_known(fault, "%s was moved by %lld to %lld bytes", a->what,
                    (long long)a->ptr->off + a->ptr->num.smin, (long long)a->ptr->off + a->ptr->num.smax);
    }
    fault_hint(fault, "use the structure's own members, not a pointer to one of them");
    return false;
}

#define MAX_PLACES 64

// Every place that may be meant is a word of the kernel's memory: which one makes no difference.
static bool are_kernel_words(const struct domain_env *env, const struct access *a)
{
    const struct layout_row *layout = &env->spec->layouts[env->layout];
    const struct scalar *x = &a->ptr->num;
    int64_t first = (int64_t)a->ptr->off + a->off;
    if ((a->mode & ACCESS_WRITE) != 0 || first + x->smin < 0 || first + x->smax > layout->size ||
        x->smax - x->smin > MAX_PLACES * 8) {
        return false;
    }
    for (int64_t i = x->smin; i <= x->smax; i++) {
        if (((uint64_t)i & ~x->unknown) != x->bits) {
            continue;
        }
        int field = spec_field_find(env->spec, env->layout, (int32_t)(first + i), a->size, false);
        if (field < 0 || layout->fields[field].kind != FIELD_KERNEL) {
            return false;
        }
    }
    return true;
}

bool access_check_context(const struct domain_env *env, const struct access *a, struct domain_fault *fault)
{
    const struct layout_row *layout = &env->spec->layouts[env->layout];
    bool store = (a->mode & ACCESS_WRITE) != 0;
    int32_t off = a->ptr->off + a->off;
    if (a->ptr->off != 0 || !value_is_fixed(a->ptr)) {
        return are_kernel_words(env, a) || refuse_moved_context(a, fault);
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

// --- legacy packet loads -------------------------------------------------------------------------

bool access_check_legacy(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                         struct domain_fault *fault)
{
    const struct insn *in = &env->program->insns[pc];
    const struct prog_type_row *type = &env->spec->prog_types[env->program->type];
    const struct value *context = &s->regs[6];
    fault_set(fault, DOMAIN_RULE_LEGACY_PACKET_LOAD);
    if ((type->flags & PROG_LEGACY_LOADS) == 0) {
        fault_needed(fault, "a program type with legacy packet loads");
        fault_known(fault, "%s programs have none", type->name);
        fault_hint(fault, "read the packet through the context's data and data_end");
        return false;
    }
    if (context->kind != VALUE_CTX || context->off != 0 || !value_is_fixed(context)) {
        fault_needed(fault, "the context pointer that the program was given in r6");
        fault_known_value(fault, env, "r6", context);
        return false;
    }
    if (s->frame_count > 1 || env->callee) {
        fault_needed(fault, "a legacy packet load in the program's main function, as it may end the program");
        return false;
    }
    const struct value *offset = &s->regs[in->src];
    if (insn_info(in->id)->form == FORM_LDIND && offset->kind != VALUE_SCALAR) {
        fault_needed(fault, "a number in %s", fault_reg_name(in->src));
        fault_known_value(fault, env, fault_reg_name(in->src), offset);
        return false;
    }
    return special_check_nothing_held(env, s, "may end in a legacy packet load", fault);
}
