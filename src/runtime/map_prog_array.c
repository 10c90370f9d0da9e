// SPDX-License-Identifier: MIT
// map_prog_array: programs that a tail call can go to. User mode stores programs and reads their ids.
//
// All programs that are in the array, and all that may call through it, are alike: of one type, attach type
// and dialect, which the first of them decides. Programs hold the array and the array holds programs, so it
// is emptied when nobody but programs holds it (map_forsaken). Source of both rules: Linux, kernel/bpf/core.c
// and arraymap.c.
#include "runtime/runtime_int.h"

#define MAX_ENTRIES (1u << 20) // all of them are looked through when the array is given up, at DISPATCH

struct prog_array {
    struct plat_spinlock lock; // guards kind, and who replaces which program
    bool has_kind;
    uint32_t type, attach_type, dialect;
    struct prog *programs[]; // atomic; each referenced
};

static struct prog_array *array_of(const struct map *m)
{
    return m->state;
}

static struct prog *load(const struct map *m, uint32_t index)
{
    return __atomic_load_n(&array_of(m)->programs[index], __ATOMIC_SEQ_CST);
}

// The reference of what was there goes to the caller.
static struct prog *exchange(struct map *m, uint32_t index, struct prog *g)
{
    return __atomic_exchange_n(&array_of(m)->programs[index], g, __ATOMIC_SEQ_CST);
}

static void drop(struct prog *g)
{
    if (g != NULL) {
        object_drop(prog_object(g));
    }
}

// --- creation ------------------------------------------------------------------------------------

static ebpf_result_t check(const struct map_def *def)
{
    const uint32_t refused =
        MAP_FLAG_NO_PREALLOC | MAP_FLAG_MMAPABLE | MAP_FLAG_RDONLY_PROG | MAP_FLAG_WRONLY_PROG;
    return def->key_size == sizeof(uint32_t) && def->value_size == sizeof(uint32_t) &&
                   def->max_entries <= MAX_ENTRIES && (def->flags & refused) == 0
               ? EBPF_SUCCESS
               : EBPF_INVALID_ARGUMENT;
}

static ebpf_result_t init(struct map *m)
{
    size_t size = sizeof(struct prog_array) + (size_t)m->def.max_entries * sizeof(struct prog *);
    struct prog_array *a = plat_alloc(size, POOL_TAG_MAP);
    if (a == NULL) {
        return EBPF_NO_MEMORY;
    }
    plat_spinlock_init(&a->lock);
    m->state = a;
    m->memory = size;
    return EBPF_SUCCESS;
}

static void clear(struct map *m)
{
    for (uint32_t i = 0; i < m->def.max_entries; i++) {
        if (load(m, i) != NULL) {
            drop(exchange(m, i, NULL));
        }
    }
}

static void fini(struct map *m)
{
    clear(m);
    plat_free(array_of(m));
}

// --- which programs ------------------------------------------------------------------------------

ebpf_result_t map_admit_caller(struct map *m, const struct prog *g)
{
    struct prog_array *a = array_of(m);
    if (m->ops != &map_ops_PROG_ARRAY) {
        return EBPF_SUCCESS;
    }
    plat_spinlock_acquire(&a->lock);
    if (!a->has_kind) {
        a->has_kind = true;
        a->type = g->type;
        a->attach_type = g->attach_type;
        a->dialect = g->dialect;
    }
    bool alike = a->type == g->type && a->attach_type == g->attach_type && a->dialect == g->dialect;
    plat_spinlock_release(&a->lock);
    return alike ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

struct prog *map_find_program(struct map *m, uint32_t index)
{
    return index < m->def.max_entries ? load(m, index) : NULL;
}

static ebpf_result_t set_program(struct map *m, const void *key, struct prog *g, uint64_t flags)
{
    if (m->ops != &map_ops_PROG_ARRAY || flags != UPDATE_ANY) {
        return EBPF_INVALID_ARGUMENT; // keys of other maps may be shorter than an index
    }
    uint32_t index = map_index(key);
    if (index >= m->def.max_entries) {
        return EBPF_OUT_OF_SPACE;
    }
    TRY(map_admit_caller(m, g));
    object_acquire(prog_object(g));
    drop(exchange(m, index, g));
    return EBPF_SUCCESS;
}

ebpf_result_t map_user_set_program(struct map *m, const void *key, struct prog *g, uint64_t flags)
{
    if (!map_begin_write(m)) {
        return EBPF_ACCESS_DENIED;
    }
    ebpf_result_t result = set_program(m, key, g, flags);
    map_end_write(m);
    epoch_reclaim(m->object.rt);
    return result;
}

// --- operations ----------------------------------------------------------------------------------

static uint8_t *lookup(struct map *m, const void *key)
{
    UNUSED(m);
    UNUSED(key);
    return NULL; // programs see no elements
}

// A number is no program: see map_user_set_program.
static ebpf_result_t update(struct map *m, const void *key, const void *value, uint64_t flags)
{
    UNUSED(m);
    UNUSED(key);
    UNUSED(value);
    UNUSED(flags);
    return EBPF_INVALID_ARGUMENT;
}

static ebpf_result_t delete(struct map *m, const void *key)
{
    uint32_t index = map_index(key);
    if (index >= m->def.max_entries) {
        return EBPF_OUT_OF_SPACE;
    }
    struct prog *old = exchange(m, index, NULL);
    drop(old);
    return old != NULL ? EBPF_SUCCESS : EBPF_KEY_NOT_FOUND;
}

// In an epoch: a program that is taken out now keeps its id until we are done.
static ebpf_result_t user_lookup(struct map *m, const void *key, void *value)
{
    const struct prog *g = map_find_program(m, map_index(key));
    if (g == NULL) {
        return EBPF_KEY_NOT_FOUND;
    }
    memcpy(value, &g->object.id, sizeof(g->object.id));
    return EBPF_SUCCESS;
}

const struct map_ops map_ops_PROG_ARRAY = {
    .check = check,
    .init = init,
    .fini = fini,
    .lookup = lookup,
    .update = update,
    .delete = delete,
    .user_lookup = user_lookup,
    .user_update = update,
    .next_key = map_next_index,
    .forsaken = clear,
};
