// SPDX-License-Identifier: MIT
// map_array: array and per-CPU array. All values exist from creation on, in one slab of whole pages; they are
// written in place, so a reader may see some words of one update and some of another, as on Linux.
//
// Invariant: value i of CPU c lies at slab + c * cpu_stride + i * value_stride. A plain array has one "CPU".
// With BPF_F_MMAPABLE user mode may have the slab mapped and write to it at any moment, which is no different
// from a program that does.
#include "runtime/runtime_int.h"

#define PAGE     4096u
#define SLAB_MAX (((uint64_t)1 << 32) - PAGE) // so that the values of all CPUs have a size of 32 bits

struct array {
    uint8_t *slab;
    size_t slab_size;
    struct plat_shared *shared; // the slab's memory when it can be mapped; NULL: private pages
    size_t cpu_stride;          // whole pages, so that CPUs share no line
};

static struct array *array_of(const struct map *m)
{
    return m->state;
}

static uint8_t *value_at(const struct map *m, uint32_t cpu, uint32_t index)
{
    const struct array *a = array_of(m);
    return a->slab + cpu * a->cpu_stride + (size_t)index * m->value_stride;
}

// --- creation ------------------------------------------------------------------------------------

static ebpf_result_t check(const struct map_def *def)
{
    return def->key_size == sizeof(uint32_t) && (def->flags & MAP_FLAG_NO_PREALLOC) == 0
               ? EBPF_SUCCESS
               : EBPF_INVALID_ARGUMENT;
}

static ebpf_result_t check_percpu(const struct map_def *def)
{
    TRY(check(def));
    return (def->flags & MAP_FLAG_MMAPABLE) == 0 ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

static ebpf_result_t alloc_slab(struct array *a, bool shared)
{
    if (shared) {
        TRY(plat_shared_create(a->slab_size, POOL_TAG_MAP, &a->shared));
        a->slab = plat_shared_address(a->shared);
        return EBPF_SUCCESS;
    }
    a->slab = plat_alloc_pages(a->slab_size, POOL_TAG_MAP);
    return a->slab != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

static void free_slab(struct array *a)
{
    if (a->shared != NULL) {
        plat_shared_destroy(a->shared);
    } else {
        plat_free_pages(a->slab, a->slab_size);
    }
}

static ebpf_result_t init_copies(struct map *m, uint32_t copies)
{
    uint64_t copy_size = align_up((uint64_t)m->value_stride * m->def.max_entries, PAGE);
    if (copy_size > SLAB_MAX / copies) {
        return EBPF_NO_MEMORY;
    }
    struct array *a = plat_alloc(sizeof(*a), POOL_TAG_MAP);
    if (a == NULL) {
        return EBPF_NO_MEMORY;
    }
    a->cpu_stride = (size_t)copy_size;
    a->slab_size = (size_t)copy_size * copies;
    ebpf_result_t result = alloc_slab(a, (m->def.flags & MAP_FLAG_MMAPABLE) != 0);
    if (result != EBPF_SUCCESS) {
        plat_free(a);
        return result;
    }
    m->state = a;
    m->memory = sizeof(*a) + a->slab_size;
    return EBPF_SUCCESS;
}

static ebpf_result_t init(struct map *m)
{
    return init_copies(m, 1);
}

static ebpf_result_t init_percpu(struct map *m)
{
    return init_copies(m, m->object.rt->cpu_count);
}

static void fini(struct map *m)
{
    struct array *a = array_of(m);
    free_slab(a);
    plat_free(a);
}

// --- both kinds ----------------------------------------------------------------------------------

// Source of the order of errors: Linux, array_map_update_elem.
static ebpf_result_t check_update(const struct map *m, uint32_t index, uint64_t flags)
{
    if (index >= m->def.max_entries) {
        return EBPF_OUT_OF_SPACE;
    }
    return flags == UPDATE_NOEXIST ? EBPF_KEY_ALREADY_EXISTS : EBPF_SUCCESS;
}

static ebpf_result_t delete(struct map *m, const void *key)
{
    UNUSED(m);
    UNUSED(key);
    return EBPF_INVALID_ARGUMENT; // elements of an array cannot go
}

// Steps over as many elements as there is room and work for.
static void batch(struct map *m, bool take, struct map_batch *b)
{
    size_t value_size = map_user_value_size(m);
    UNUSED(take);
    for (size_t done = 0; b->position < m->def.max_entries && done < MAP_STEP_BYTES; done += value_size) {
        if (b->count == b->room) {
            break;
        }
        uint32_t index = b->position++;
        if (m->ops->user_lookup(m, &index, map_batch_add(m, b, &index)) != EBPF_SUCCESS) {
            b->count--; // cannot be: every index below max_entries has a value
        }
    }
    b->full = b->count == b->room;
    b->end = !b->full && b->position >= m->def.max_entries;
}

// --- array ---------------------------------------------------------------------------------------

static uint8_t *lookup(struct map *m, const void *key)
{
    uint32_t index = map_index(key);
    return index < m->def.max_entries ? value_at(m, 0, index) : NULL;
}

static ebpf_result_t update(struct map *m, const void *key, const void *value, uint64_t flags)
{
    uint32_t index = map_index(key);
    TRY(check_update(m, index, flags));
    map_value_write(value_at(m, 0, index), value, m->def.value_size);
    return EBPF_SUCCESS;
}

static uint8_t *value_address(struct map *m, uint32_t off)
{
    return m->def.max_entries == 1 && off < m->def.value_size ? value_at(m, 0, 0) + off : NULL;
}

static void describe(struct map *m, struct jit_map *out)
{
    out->kind = JIT_MAP_ARRAY;
    out->values = (uintptr_t)array_of(m)->slab;
    out->lookup = (uintptr_t)lookup;
}

static struct plat_shared *memory(const struct map *m, size_t *size)
{
    *size = array_of(m)->slab_size;
    return array_of(m)->shared;
}

const struct map_ops map_ops_ARRAY = {
    .check = check,
    .init = init,
    .fini = fini,
    .lookup = lookup,
    .update = update,
    .delete = delete,
    .user_lookup = map_lookup_copy,
    .user_update = update,
    .next_key = map_next_index,
    .batch = batch,
    .describe = describe,
    .value_address = value_address,
    .shared = memory,
};

// --- per-CPU array -------------------------------------------------------------------------------

static uint8_t *lookup_percpu(struct map *m, const void *key)
{
    uint32_t index = map_index(key);
    return index < m->def.max_entries ? value_at(m, plat_cpu_current(), index) : NULL;
}

static ebpf_result_t update_percpu(struct map *m, const void *key, const void *value, uint64_t flags)
{
    uint32_t index = map_index(key);
    TRY(check_update(m, index, flags));
    map_value_write(value_at(m, plat_cpu_current(), index), value, m->def.value_size);
    return EBPF_SUCCESS;
}

static ebpf_result_t user_lookup_percpu(struct map *m, const void *key, void *value)
{
    uint32_t index = map_index(key);
    uint8_t *out = value;
    if (index >= m->def.max_entries) {
        return EBPF_KEY_NOT_FOUND;
    }
    for (uint32_t cpu = 0; cpu < m->object.rt->cpu_count; cpu++) {
        map_value_read(out + (size_t)cpu * m->value_stride, value_at(m, cpu, index), m->value_stride);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t user_update_percpu(struct map *m, const void *key, const void *value, uint64_t flags)
{
    uint32_t index = map_index(key);
    const uint8_t *in = value;
    TRY(check_update(m, index, flags));
    for (uint32_t cpu = 0; cpu < m->object.rt->cpu_count; cpu++) {
        map_value_write(value_at(m, cpu, index), in + (size_t)cpu * m->value_stride, m->def.value_size);
    }
    return EBPF_SUCCESS;
}

static void describe_percpu(struct map *m, struct jit_map *out)
{
    out->kind = JIT_MAP_PERCPU_ARRAY;
    out->values = (uintptr_t)array_of(m)->slab;
    out->cpu_stride = array_of(m)->cpu_stride;
    out->lookup = (uintptr_t)lookup_percpu;
}

const struct map_ops map_ops_PERCPU_ARRAY = {
    .check = check_percpu,
    .init = init_percpu,
    .fini = fini,
    .lookup = lookup_percpu,
    .update = update_percpu,
    .delete = delete,
    .user_lookup = user_lookup_percpu,
    .user_update = user_update_percpu,
    .next_key = map_next_index,
    .batch = batch,
    .describe = describe_percpu,
};
