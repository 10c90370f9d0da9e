// SPDX-License-Identifier: MIT
// map: what all map types share: limits, flags, freezing, and the calls of user mode. What a type does is in
// its table of operations, which map_types.def selects.
#include "runtime/runtime_int.h"

#define VALUE_SIZE_MAX ((uint32_t)1 << 22)

static const struct map_ops *const map_types[MAP_TYPE_RUN_COUNT] = {
#define MAP_TYPE(id, ...) [MAP_TYPE_##id] = &map_ops_##id,
#include "spec/map_types.def"
#undef MAP_TYPE
};

// --- values --------------------------------------------------------------------------------------

void map_value_read(void *out, const uint8_t *live, uint32_t size)
{
    const uint64_t *words = (const uint64_t *)(const void *)live;
    uint8_t *to = out;
    for (uint32_t done = 0; done < size; done += 8) {
        uint64_t word = __atomic_load_n(&words[done / 8], __ATOMIC_RELAXED);
        memcpy(to + done, &word, min_u32(size - done, 8));
    }
}

void map_value_write(uint8_t *live, const void *in, uint32_t size)
{
    uint64_t *words = (uint64_t *)(void *)live;
    const uint8_t *from = in;
    for (uint32_t done = 0; done < size; done += 8) {
        uint64_t word = 0;
        memcpy(&word, from + done, min_u32(size - done, 8));
        __atomic_store_n(&words[done / 8], word, __ATOMIC_RELAXED);
    }
}

ebpf_result_t map_next_index(struct map *m, const void *key, void *next)
{
    uint32_t index = key == NULL ? UINT32_MAX : map_index(key);
    if (index == m->def.max_entries - 1) {
        return EBPF_NO_MORE_KEYS;
    }
    index = index < m->def.max_entries ? index + 1 : 0;
    memcpy(next, &index, sizeof(index));
    return EBPF_SUCCESS;
}

ebpf_result_t map_lookup_copy(struct map *m, const void *key, void *value)
{
    const uint8_t *live = m->ops->lookup(m, key);
    if (live == NULL) {
        return EBPF_KEY_NOT_FOUND;
    }
    map_value_read(value, live, m->def.value_size);
    return EBPF_SUCCESS;
}

// --- creation ------------------------------------------------------------------------------------

static bool has_both(uint32_t flags, uint32_t pair)
{
    return (flags & pair) == pair;
}

// Limits that no type exceeds. Source: Linux, kernel/bpf: bpf_map_flags_access_ok, htab_map_alloc_check.
static ebpf_result_t check_def(const struct spec_view *spec, const struct map_def *def)
{
    const uint32_t known = MAP_FLAG_NO_PREALLOC | MAP_FLAG_RDONLY | MAP_FLAG_WRONLY | MAP_FLAG_RDONLY_PROG |
                           MAP_FLAG_WRONLY_PROG | MAP_FLAG_MMAPABLE;
    if (def->type == MAP_TYPE_NONE || def->type >= spec->map_type_count) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (def->type >= MAP_TYPE_RUN_COUNT) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    if (def->key_size == 0 || def->key_size > MAP_KEY_SIZE_MAX || def->value_size == 0 ||
        def->value_size > VALUE_SIZE_MAX || def->max_entries == 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    if ((def->flags & ~known) != 0 || has_both(def->flags, MAP_FLAG_RDONLY | MAP_FLAG_WRONLY) ||
        has_both(def->flags, MAP_FLAG_RDONLY_PROG | MAP_FLAG_WRONLY_PROG)) {
        return EBPF_INVALID_ARGUMENT;
    }
    return str_is_terminated(def->name, sizeof(def->name)) ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

static void destroy(struct object *o)
{
    struct map *m = CONTAINER_OF(o, struct map, object);
    m->ops->fini(m);
    plat_free(m);
}

static const struct object_ops object_ops = {NULL, NULL, destroy};

// Of maps that would otherwise keep themselves alive, through the programs that they hold.
static void released(struct object *o)
{
    struct map *m = CONTAINER_OF(o, struct map, object);
    m->ops->forsaken(m);
}

static const struct object_ops watched_ops = {NULL, released, destroy};

void map_keep(struct map *m)
{
    object_keep(&m->object);
}

void map_drop(struct map *m)
{
    object_drop_kept(&m->object);
}

ebpf_result_t map_create(struct runtime *rt, const struct map_def *def, struct map **out)
{
    ebpf_result_t result;
    TRY(check_def(rt->spec, def));
    TRY(map_types[def->type]->check(def));
    struct map *m = plat_alloc(sizeof(*m), POOL_TAG_OBJECT);
    if (m == NULL) {
        return EBPF_NO_MEMORY;
    }
    m->object.rt = rt;
    m->ops = map_types[def->type];
    m->def = *def;
    m->value_stride = (uint32_t)align_up(def->value_size, 8);
    TRY_OR(result, m->ops->init(m), undo_alloc);
    const struct object_ops *ops = m->ops->forsaken != NULL ? &watched_ops : &object_ops;
    TRY_OR(result, object_publish(rt, &m->object, OBJECT_MAP, ops), undo_init);
    *out = m;
    return EBPF_SUCCESS;

undo_init:
    m->ops->fini(m);
undo_alloc:
    plat_free(m);
    return result;
}

struct object *map_object(struct map *m)
{
    return &m->object;
}

struct map *map_from_object(struct object *o)
{
    return o->kind == OBJECT_MAP ? CONTAINER_OF(o, struct map, object) : NULL;
}

static bool is_frozen(const struct map *m)
{
    return __atomic_load_n(&m->seal, __ATOMIC_SEQ_CST) == MAP_FROZEN;
}

// A writer counts itself before it looks at the seal: when none is counted after the map was sealed, none
// comes.
bool map_is_constant(const struct map *m)
{
    return is_frozen(m) && __atomic_load_n(&m->user_writers, __ATOMIC_SEQ_CST) == 0 &&
           (m->def.flags & MAP_FLAG_RDONLY_PROG) != 0;
}

void map_info(const struct map *m, struct map_info *out)
{
    out->id = m->object.id;
    out->def = m->def;
    out->frozen = is_frozen(m);
    out->memory = sizeof(*m) + m->memory + (m->ops->element_memory != NULL ? m->ops->element_memory(m) : 0);
}

static bool is_per_cpu(const struct map *m)
{
    return (m->object.rt->spec->map_types[m->def.type].flags & MAP_PER_CPU) != 0;
}

uint32_t map_user_value_size(const struct map *m)
{
    return is_per_cpu(m) ? m->value_stride * m->object.rt->cpu_count : m->def.value_size;
}

// --- programs ------------------------------------------------------------------------------------

uint8_t *map_lookup(struct map *m, const void *key)
{
    return m->ops->lookup(m, key);
}

ebpf_result_t map_update(struct map *m, const void *key, const void *value, uint64_t flags)
{
    if ((m->def.flags & MAP_FLAG_RDONLY_PROG) != 0) {
        return EBPF_ACCESS_DENIED;
    }
    return flags > UPDATE_EXIST ? EBPF_INVALID_ARGUMENT : m->ops->update(m, key, value, flags);
}

ebpf_result_t map_delete(struct map *m, const void *key)
{
    return (m->def.flags & MAP_FLAG_RDONLY_PROG) != 0 ? EBPF_ACCESS_DENIED : m->ops->delete(m, key);
}

// --- user mode -----------------------------------------------------------------------------------

static bool may_read(const struct map *m)
{
    return (m->def.flags & MAP_FLAG_WRONLY) == 0;
}

// Counted, so that map_freeze knows when the last write is over.
bool map_begin_write(struct map *m)
{
    __atomic_fetch_add(&m->user_writers, 1, __ATOMIC_SEQ_CST);
    if ((m->def.flags & MAP_FLAG_RDONLY) == 0 && !is_frozen(m)) {
        epoch_enter(m->object.rt);
        return true;
    }
    __atomic_fetch_sub(&m->user_writers, 1, __ATOMIC_SEQ_CST);
    return false;
}

void map_end_write(struct map *m)
{
    epoch_exit(m->object.rt);
    __atomic_fetch_sub(&m->user_writers, 1, __ATOMIC_SEQ_CST);
}

ebpf_result_t map_user_lookup(struct map *m, const void *key, void *value)
{
    if (!may_read(m)) {
        return EBPF_ACCESS_DENIED;
    }
    epoch_enter(m->object.rt);
    ebpf_result_t result = m->ops->user_lookup(m, key, value);
    epoch_exit(m->object.rt);
    return result;
}

ebpf_result_t map_user_lookup_and_delete(struct map *m, const void *key, void *value)
{
    if (m->ops->user_take == NULL) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    if (!may_read(m) || !map_begin_write(m)) {
        return EBPF_ACCESS_DENIED;
    }
    ebpf_result_t result = m->ops->user_take(m, key, value);
    map_end_write(m);
    return result;
}

ebpf_result_t map_user_update(struct map *m, const void *key, const void *value, uint64_t flags)
{
    ebpf_result_t result = EBPF_INVALID_ARGUMENT;
    if (!map_begin_write(m)) {
        return EBPF_ACCESS_DENIED;
    }
    if (flags <= UPDATE_EXIST) {
        result = m->ops->user_update(m, key, value, flags);
    }
    map_end_write(m);
    return result;
}

ebpf_result_t map_user_delete(struct map *m, const void *key)
{
    if (!map_begin_write(m)) {
        return EBPF_ACCESS_DENIED;
    }
    ebpf_result_t result = m->ops->delete(m, key);
    map_end_write(m);
    if (m->ops->forsaken != NULL) { // then it held an object
        epoch_reclaim(m->object.rt);
    }
    return result;
}

ebpf_result_t map_user_next_key(struct map *m, const void *key, void *next)
{
    if (!may_read(m)) {
        return EBPF_ACCESS_DENIED;
    }
    epoch_enter(m->object.rt);
    ebpf_result_t result = m->ops->next_key(m, key, next);
    epoch_exit(m->object.rt);
    return result;
}

uint8_t *map_batch_add(const struct map *m, struct map_batch *b, const void *key)
{
    uint32_t at = b->count++;
    memcpy(b->keys + (size_t)at * m->def.key_size, key, m->def.key_size);
    return b->values + (size_t)at * map_user_value_size(m);
}

static ebpf_result_t take_batch(struct map *m, struct map_batch *b)
{
    if (m->ops->user_take == NULL) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    if (!may_read(m) || !map_begin_write(m)) {
        return EBPF_ACCESS_DENIED;
    }
    m->ops->batch(m, true, b);
    map_end_write(m);
    return EBPF_SUCCESS;
}

ebpf_result_t map_user_batch(struct map *m, bool take, struct map_batch *b)
{
    if (m->ops->batch == NULL) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    if (take) {
        return take_batch(m, b);
    }
    if (!may_read(m)) {
        return EBPF_ACCESS_DENIED;
    }
    epoch_enter(m->object.rt);
    m->ops->batch(m, false, b);
    epoch_exit(m->object.rt);
    return EBPF_SUCCESS;
}

bool map_can_delete(const struct map *m)
{
    return m->ops->user_take != NULL;
}

// --- freezing and mapped memory ------------------------------------------------------------------

// As Linux: who may not write may not freeze. EBPF_INVALID_STATE: user mode has, or had, a view that it may
// write to; when the last of them goes nobody tells us.
ebpf_result_t map_freeze(struct map *m)
{
    uint32_t seal = 0;
    if ((m->def.flags & MAP_FLAG_RDONLY) != 0) {
        return EBPF_ACCESS_DENIED;
    }
    if (!__atomic_compare_exchange_n(&m->seal, &seal, MAP_FROZEN, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        return seal == MAP_FROZEN ? EBPF_ACCESS_DENIED : EBPF_INVALID_STATE;
    }
    while (__atomic_load_n(&m->user_writers, __ATOMIC_SEQ_CST) != 0) {
        plat_sleep_us(100); // a yield would keep out a writer of lower priority
    }
    return EBPF_SUCCESS;
}

// Before the view is made, so that nobody freezes the map meanwhile.
static bool count_writable_view(struct map *m)
{
    uint32_t seal = __atomic_load_n(&m->seal, __ATOMIC_SEQ_CST);
    while (seal != MAP_FROZEN && seal <= UINT32_MAX - MAP_WRITABLE_VIEW) {
        if (__atomic_compare_exchange_n(&m->seal, &seal, seal + MAP_WRITABLE_VIEW, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            return true;
        }
    }
    return false;
}

// Source of who may: Linux, bpf_map_mmap.
static ebpf_result_t check_memory_right(struct map *m, bool writable)
{
    if (!may_read(m)) {
        return EBPF_ACCESS_DENIED;
    }
    if (writable &&
        ((m->def.flags & (MAP_FLAG_RDONLY | MAP_FLAG_RDONLY_PROG)) != 0 || !count_writable_view(m))) {
        return EBPF_ACCESS_DENIED;
    }
    return EBPF_SUCCESS;
}

ebpf_result_t map_user_open_memory(struct map *m, bool writable, struct map_memory *out)
{
    struct map_memory memory = {.writable = writable};
    if (m->ops->shared == NULL) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    memory.shared = m->ops->shared(m, &memory.size);
    if (memory.shared == NULL) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(check_memory_right(m, writable));
    *out = memory;
    return EBPF_SUCCESS;
}

void map_user_undo_memory(struct map *m, const struct map_memory *memory)
{
    if (memory->writable) {
        __atomic_fetch_sub(&m->seal, MAP_WRITABLE_VIEW, __ATOMIC_SEQ_CST);
    }
}
