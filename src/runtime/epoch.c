// SPDX-License-Identifier: MIT
// epoch: when memory that a running program may have seen can be reused. A run publishes the epoch that it
// entered in its slot; the epoch advances when every run under way has entered the current one; what was
// retired in epoch e is free from e + 2 on.
//
// Invariants: cpu_state.entered is 0 outside runs, and written by the slot's holder only. Loads of pointers
// that a run may follow, and stores that unlink, are sequentially consistent: with the store at entry that is
// what makes the argument hold without fences of its own.
#include "runtime/runtime_int.h"

#define EXITS_PER_ADVANCE 4u  // trying at every exit costs more than it frees
#define RECLAIM_TRIES     64u // of PASSIVE callers, while objects wait

static struct cpu_state *this_cpu(struct runtime *rt)
{
    return &rt->cpus[plat_cpu_current()];
}

// --- advancing -----------------------------------------------------------------------------------

static bool all_in(struct runtime *rt, uint64_t epoch)
{
    for (uint32_t i = 0; i < rt->cpu_count; i++) {
        uint64_t entered = __atomic_load_n(&rt->cpus[i].entered, __ATOMIC_SEQ_CST);
        if (entered != 0 && entered != epoch) {
            return false;
        }
    }
    return true;
}

static void try_advance(struct runtime *rt)
{
    uint64_t now = __atomic_load_n(&rt->epoch, __ATOMIC_SEQ_CST);
    if (all_in(rt, now)) {
        __atomic_compare_exchange_n(&rt->epoch, &now, now + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
}

// --- queues --------------------------------------------------------------------------------------

// Under the lock; read without it.
static void account(struct epoch_queue *queue, size_t count, size_t size)
{
    __atomic_store_n(&queue->count, queue->count + count, __ATOMIC_RELAXED);
    __atomic_store_n(&queue->size, queue->size + size, __ATOMIC_RELAXED);
}

static void push(struct epoch_queue *queue, struct epoch_item *item)
{
    item->next = NULL;
    plat_spinlock_acquire(&queue->lock);
    if (queue->head == NULL) {
        queue->head = item;
    } else {
        queue->tail->next = item;
    }
    queue->tail = item;
    account(queue, 1, item->size);
    plat_spinlock_release(&queue->lock);
}

// Unlinks the items that are ripe at `now`; they are a prefix, but for a stamp that was read just before
// another's.
static struct epoch_item *pop_ripe(struct epoch_queue *queue, uint64_t now)
{
    struct epoch_item *ripe = NULL, **end = &ripe;
    plat_spinlock_acquire(&queue->lock);
    while (queue->head != NULL && queue->head->stamp + 2 <= now) {
        *end = queue->head;
        end = &queue->head->next;
        account(queue, (size_t)-1, (size_t)0 - queue->head->size);
        queue->head = queue->head->next;
    }
    *end = NULL;
    plat_spinlock_release(&queue->lock);
    return ripe;
}

static void free_ripe(struct epoch_queue *queue, uint64_t now)
{
    struct epoch_item *item = pop_ripe(queue, now);
    while (item != NULL) {
        struct epoch_item *next = item->next;
        item->free(item);
        item = next;
    }
}

static void retire(struct runtime *rt, struct epoch_queue *queue, struct epoch_item *item, size_t size,
                   void (*free)(struct epoch_item *))
{
    item->size = size;
    item->free = free;
    // A read-modify-write, so that whoever advances the epoch has seen the unlinking before it.
    item->stamp = __atomic_fetch_add(&rt->epoch, 0, __ATOMIC_SEQ_CST);
    push(queue, item);
}

void epoch_retire(struct runtime *rt, struct epoch_item *item, size_t size, void (*free)(struct epoch_item *))
{
    retire(rt, &this_cpu(rt)->waiting, item, size, free);
}

void epoch_retire_object(struct runtime *rt, struct epoch_item *item, void (*free)(struct epoch_item *))
{
    retire(rt, &rt->dead_objects, item, 0, free);
}

static bool is_pressed(const struct cpu_state *cpu)
{
    return __atomic_load_n(&cpu->waiting.size, __ATOMIC_RELAXED) > EPOCH_WAITING_LIMIT;
}

bool epoch_is_pressed(struct runtime *rt)
{
    return is_pressed(this_cpu(rt));
}

// --- runs ----------------------------------------------------------------------------------------

void epoch_enter(struct runtime *rt)
{
    struct cpu_state *cpu = &rt->cpus[plat_cpu_enter()];
    if (cpu->depth++ == 0) {
        __atomic_store_n(&cpu->entered, __atomic_load_n(&rt->epoch, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
    }
}

// Every few exits, and at once when much waits.
static bool should_reclaim(struct cpu_state *cpu)
{
    if (__atomic_load_n(&cpu->waiting.count, __ATOMIC_RELAXED) == 0) {
        return false;
    }
    return ++cpu->exits % EXITS_PER_ADVANCE == 0 || is_pressed(cpu);
}

void epoch_exit(struct runtime *rt)
{
    struct cpu_state *cpu = this_cpu(rt);
    if (--cpu->depth == 0) {
        __atomic_store_n(&cpu->entered, 0, __ATOMIC_RELEASE);
        if (should_reclaim(cpu)) {
            try_advance(rt);
            try_advance(rt);
            free_ripe(&cpu->waiting, __atomic_load_n(&rt->epoch, __ATOMIC_SEQ_CST));
        }
    }
    plat_cpu_exit();
}

// --- PASSIVE work --------------------------------------------------------------------------------

static void free_all_ripe(struct runtime *rt)
{
    uint64_t now = __atomic_load_n(&rt->epoch, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < rt->cpu_count; i++) {
        free_ripe(&rt->cpus[i].waiting, now);
    }
    free_ripe(&rt->dead_objects, now);
}

static void reclaim_once(struct runtime *rt)
{
    try_advance(rt);
    try_advance(rt);
    free_all_ripe(rt);
}

static bool has_dead_objects(struct runtime *rt)
{
    return __atomic_load_n(&rt->dead_objects.count, __ATOMIC_RELAXED) != 0;
}

// Runs are short: one that is in the way now is usually gone after a few tries, and nobody might come by to
// free what waits for it. A run that is long, or the caller's own, is not waited for.
void epoch_reclaim(struct runtime *rt)
{
    reclaim_once(rt);
    for (unsigned i = 0; i < RECLAIM_TRIES && has_dead_objects(rt) && plat_irql() == PLAT_PASSIVE; i++) {
        plat_yield();
        reclaim_once(rt);
    }
}

void epoch_synchronize(struct runtime *rt)
{
    uint64_t target = __atomic_load_n(&rt->epoch, __ATOMIC_SEQ_CST) + 2;
    for (;;) {
        try_advance(rt);
        if (__atomic_load_n(&rt->epoch, __ATOMIC_SEQ_CST) >= target) {
            break;
        }
        plat_yield();
    }
    free_all_ripe(rt);
}
