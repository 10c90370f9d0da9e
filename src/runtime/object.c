// SPDX-License-Identifier: MIT
// object: ids, references and the tables of objects, one table a kind.
//
// Invariants: an object is in its table from object_publish until its last reference goes; ids of a kind rise
// and are never used twice; a table hands out only objects whose count was not zero. The structure itself is
// freed after the epoch, so that runs and table walks that still see it may look at it.
#include "runtime/runtime_int.h"

static struct object **bucket_of(struct object_table *table, uint32_t id)
{
    return &table->buckets[id % OBJECT_BUCKETS];
}

ebpf_result_t object_publish(struct runtime *rt, struct object *o, enum object_kind kind,
                             const struct object_ops *ops)
{
    struct object_table *table = &rt->tables[kind];
    ebpf_result_t result = EBPF_OUT_OF_SPACE;
    o->rt = rt;
    o->ops = ops;
    o->kind = kind;
    o->references = 1;
    plat_spinlock_acquire(&rt->object_lock);
    if (table->last_id != UINT32_MAX) {
        struct object **bucket;
        o->id = ++table->last_id;
        bucket = bucket_of(table, o->id);
        o->by_hash = *bucket;
        *bucket = o;
        list_push_back(&table->objects, &o->node);
        table->count++;
        result = EBPF_SUCCESS;
    }
    plat_spinlock_release(&rt->object_lock);
    return result;
}

static void unpublish(struct object *o)
{
    struct object_table *table = &o->rt->tables[o->kind];
    plat_spinlock_acquire(&o->rt->object_lock);
    struct object **at = bucket_of(table, o->id);
    while (*at != o) {
        at = &(*at)->by_hash;
    }
    *at = o->by_hash;
    list_remove(&o->node);
    table->count--;
    plat_spinlock_release(&o->rt->object_lock);
}

// --- references ----------------------------------------------------------------------------------

enum object_kind object_kind(const struct object *o)
{
    return (enum object_kind)o->kind;
}

uint32_t object_id(const struct object *o)
{
    return o->id;
}

void object_acquire(struct object *o)
{
    __atomic_fetch_add(&o->references, 1, __ATOMIC_RELAXED);
}

bool object_try_acquire(struct object *o)
{
    uint64_t count = __atomic_load_n(&o->references, __ATOMIC_RELAXED);
    while (count != 0) {
        if (__atomic_compare_exchange_n(&o->references, &count, count + 1, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

static void destroy_retired(struct epoch_item *item)
{
    struct object *o = CONTAINER_OF(item, struct object, retired);
    o->ops->destroy(o);
}

static void drop_last(struct object *o)
{
    unpublish(o);
    if (o->ops->last_release != NULL) {
        o->ops->last_release(o);
    }
    epoch_retire_object(o->rt, &o->retired, destroy_retired);
}

// Others may drop their references meanwhile: only the epoch keeps the object for `released`.
static void drop_watched(struct object *o)
{
    struct runtime *rt = o->rt;
    epoch_enter(rt);
    uint64_t left = __atomic_sub_fetch(&o->references, 1, __ATOMIC_SEQ_CST);
    if (left == 0) {
        drop_last(o);
    } else if ((uint32_t)left == left / OBJECT_KEEPER) {
        o->ops->released(o);
    }
    epoch_exit(rt);
}

void object_keep(struct object *o)
{
    __atomic_fetch_add(&o->references, 1 + OBJECT_KEEPER, __ATOMIC_RELAXED);
}

void object_drop_kept(struct object *o)
{
    if (__atomic_sub_fetch(&o->references, 1 + OBJECT_KEEPER, __ATOMIC_SEQ_CST) == 0) {
        drop_last(o);
    }
}

void object_drop(struct object *o)
{
    if (o->ops->released != NULL) {
        drop_watched(o);
    } else if (__atomic_fetch_sub(&o->references, 1, __ATOMIC_ACQ_REL) == 1) {
        drop_last(o);
    }
}

void object_release(struct object *o)
{
    struct runtime *rt = o->rt;
    object_drop(o);
    epoch_reclaim(rt);
}

// --- look-up -------------------------------------------------------------------------------------

static struct object *find_by_id(struct object_table *table, uint32_t id)
{
    struct object *o = *bucket_of(table, id);
    while (o != NULL && o->id != id) {
        o = o->by_hash;
    }
    return o;
}

static bool is_kind(enum object_kind kind)
{
    return kind >= OBJECT_MAP && kind < OBJECT_KIND_COUNT;
}

ebpf_result_t object_by_id(struct runtime *rt, enum object_kind kind, uint32_t id, struct object **out)
{
    if (!is_kind(kind)) {
        return EBPF_INVALID_ARGUMENT;
    }
    plat_spinlock_acquire(&rt->object_lock);
    struct object *o = find_by_id(&rt->tables[kind], id);
    if (o != NULL && !object_try_acquire(o)) {
        o = NULL;
    }
    plat_spinlock_release(&rt->object_lock);
    if (o == NULL) {
        return EBPF_OBJECT_NOT_FOUND;
    }
    *out = o;
    return EBPF_SUCCESS;
}

// First object above `start`: behind it when it is still there, otherwise by walking.
static struct list *after_id(struct object_table *table, uint32_t start)
{
    struct object *o = find_by_id(table, start);
    struct list *at = o != NULL ? o->node.next : table->objects.next;
    while (at != &table->objects && CONTAINER_OF(at, struct object, node)->id <= start) {
        at = at->next;
    }
    return at;
}

ebpf_result_t object_next_id(struct runtime *rt, enum object_kind kind, uint32_t start, uint32_t *out)
{
    ebpf_result_t result = EBPF_NO_MORE_KEYS;
    if (!is_kind(kind)) {
        return EBPF_INVALID_ARGUMENT;
    }
    struct object_table *table = &rt->tables[kind];
    epoch_reclaim(rt); // a list shows no maps that only a dead program holds
    plat_spinlock_acquire(&rt->object_lock);
    struct list *at = after_id(table, start);
    if (at != &table->objects) {
        *out = CONTAINER_OF(at, struct object, node)->id;
        result = EBPF_SUCCESS;
    }
    plat_spinlock_release(&rt->object_lock);
    return result;
}

uint32_t object_count(struct runtime *rt, enum object_kind kind)
{
    if (!is_kind(kind)) {
        return 0;
    }
    plat_spinlock_acquire(&rt->object_lock);
    uint32_t count = rt->tables[kind].count;
    plat_spinlock_release(&rt->object_lock);
    return count;
}
