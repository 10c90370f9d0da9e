// SPDX-License-Identifier: MIT
// runtime_int: the structures behind the door, shared by the files of this folder only.
//
// Order of locks: link_mutex, pin_mutex and object_lock are never held together, but for object_lock inside
// the other two; no lock is held while a provider is called or the epoch is waited for.
#pragma once

#include "runtime/runtime.h"
#include "spec/contexts.h"

#define CACHE_LINE 64u

// --- epoch (epoch.c) -----------------------------------------------------------------------------

// Memory that waits until no run can see it any more.
struct epoch_item {
    struct epoch_item *next;
    uint64_t stamp; // epoch at retirement; free from stamp + 2 on
    size_t size;    // bytes, for the limit on waiting memory
    void (*free)(struct epoch_item *item);
};

struct epoch_queue {
    struct plat_spinlock lock;
    struct epoch_item *head, *tail; // oldest first
    size_t count, size;             // items and bytes that wait; stored under the lock, read without
};

// Queues `item`. Inside an epoch; IRQL <= DISPATCH; `free` may run at DISPATCH.
void epoch_retire(struct runtime *rt, struct epoch_item *item, size_t size,
                  void (*free)(struct epoch_item *));
// More waits on this slot than EPOCH_WAITING_LIMIT. Inside an epoch.
bool epoch_is_pressed(struct runtime *rt);
#define EPOCH_WAITING_LIMIT ((size_t)8 << 20)
// The same for objects, whose `free` needs PASSIVE; anywhere.
void epoch_retire_object(struct runtime *rt, struct epoch_item *item, void (*free)(struct epoch_item *));
// Frees what is ripe; while dead objects wait, tries a bounded number of times. PASSIVE, outside an epoch.
void epoch_reclaim(struct runtime *rt);

// --- per CPU slot --------------------------------------------------------------------------------

#define RUN_NEST_MAX 4 // runs within runs on one slot

struct saved_frame {
    const void *back; // operation to return to
    uint64_t r6_to_r9[4];
};

// Program stacks of one run; not on the kernel's stack.
struct run_stack {
    uint8_t bytes[INSN_MAX_FRAMES][INSN_STACK_SIZE];
    struct saved_frame frames[INSN_MAX_FRAMES];
};

// Everything in it belongs to the thread that holds the slot, but for `entered` and the queue.
struct cpu_state {
    uint64_t entered; // epoch of the run under way, 0: none
    uint32_t depth;   // of epoch_enter
    uint32_t nest;    // run stacks in use
    uint32_t exits;   // counts epochs, so that not each one tries to advance
    struct epoch_queue waiting;
    _Alignas(CACHE_LINE) struct run_stack stacks[RUN_NEST_MAX];
};

// --- objects (object.c) --------------------------------------------------------------------------

struct object_ops {
    void (*last_release)(struct object *o); // PASSIVE, before the epoch; may be NULL
    void (*destroy)(struct object *o);      // PASSIVE, after the epoch; frees the structure
};

struct object {
    struct list node;       // of object_table.objects; self-linked when not published
    struct object *by_hash; // next in object_table.buckets
    struct runtime *rt;
    const struct object_ops *ops;
    uint64_t references;
    uint32_t id;
    uint32_t kind; // enum object_kind
    struct epoch_item retired;
};

#define OBJECT_BUCKETS 256u
struct object_table {
    struct list objects; // by rising id
    struct object *buckets[OBJECT_BUCKETS];
    uint32_t count;
    uint32_t last_id;
};

// Gives `o` one reference (the caller's) and an id, and publishes it. Cannot fail but for exhausted ids.
ebpf_result_t object_publish(struct runtime *rt, struct object *o, enum object_kind kind,
                             const struct object_ops *ops) MUST_CHECK;
// Takes a reference unless the last one is gone.
bool object_try_acquire(struct object *o);
// object_release without the reclaiming at its end: for use inside `destroy`, where the object is no link.
void object_drop(struct object *o);

// --- counters: one cell per slot, so that runs on different CPUs do not share a line -------------

struct counter {
    uint64_t *cells;
};
ebpf_result_t counter_init(struct counter *c) MUST_CHECK;
void counter_fini(struct counter *c);
uint64_t counter_sum(const struct counter *c);
#define COUNTER_STRIDE (CACHE_LINE / sizeof(uint64_t))
// By the holder of `slot` only.
static inline void counter_increment(struct counter *c, uint32_t slot)
{
    uint64_t *cell = &c->cells[slot * COUNTER_STRIDE];
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

// --- maps (map.c and map_*.c) --------------------------------------------------------------------

struct map;

#define MAP_KEY_SIZE_MAX 512u // one program stack frame, as Linux has

// What a map type does. Keys and values have the sizes of the definition. All but check, init and fini are
// called in an epoch.
struct map_ops {
    // Checks the definition against the type's rules (general limits were checked before).
    ebpf_result_t (*check)(const struct map_def *def);
    ebpf_result_t (*init)(struct map *m); // sets m->memory
    void (*fini)(struct map *m);
    uint8_t *(*lookup)(struct map *m, const void *key); // value of this CPU, or NULL
    ebpf_result_t (*update)(struct map *m, const void *key, const void *value, uint64_t flags);
    ebpf_result_t (*delete)(struct map *m, const void *key);
    // Whole values, as user mode sees them.
    ebpf_result_t (*user_lookup)(struct map *m, const void *key, void *value);
    ebpf_result_t (*user_update)(struct map *m, const void *key, const void *value, uint64_t flags);
    // Looks up and deletes; NULL: never.
    ebpf_result_t (*user_take)(struct map *m, const void *key, void *value);
    ebpf_result_t (*next_key)(struct map *m, const void *key, void *next);
    // A step of map_user_batch. `take` only where there is user_take.
    void (*batch)(struct map *m, bool take, struct map_batch *b);
    // Address of byte `off` of the only value, for LDDW; NULL: the type has none.
    uint8_t *(*value_address)(struct map *m, uint32_t off);
    uint64_t (*element_memory)(const struct map *m); // beyond m->memory; NULL: none
    // Memory of all values and its size, or NULL when this map was not made to be mapped. NULL: never.
    struct plat_shared *(*shared)(const struct map *m, size_t *size);
};

// Work of one step of a batch, for it is done in an epoch, which on some systems is at DISPATCH.
#define MAP_STEP_BYTES ((size_t)64 * 1024)

#define MAP_FROZEN        1u
#define MAP_WRITABLE_VIEW 2u

struct map {
    struct object object;
    const struct map_ops *ops;
    struct map_def def;
    uint32_t value_stride; // value_size rounded up to 8
    uint32_t seal;         // MAP_FROZEN, or 2 for every view that user mode may write to; never both
    uint32_t user_writers; // user writes under way
    uint64_t memory;       // bytes held from creation on
    void *state;           // of the type
};

// Table of the types, by enum map_type; one row per row of map_types.def.
#define MAP_TYPE(id, ...) extern const struct map_ops map_ops_##id;
#include "spec/map_types.def"
#undef MAP_TYPE

// What a program calls. In an epoch.
uint8_t *map_lookup(struct map *m, const void *key);
ebpf_result_t map_update(struct map *m, const void *key, const void *value, uint64_t flags) MUST_CHECK;
ebpf_result_t map_delete(struct map *m, const void *key) MUST_CHECK;

// user_lookup of the types that have one value an element.
ebpf_result_t map_lookup_copy(struct map *m, const void *key, void *value);

// Appends an element to a batch that has room: its key, and room for the value, which is returned.
uint8_t *map_batch_add(const struct map *m, struct map_batch *b, const void *key);

// Copies between a live value (8-aligned, padded to 8) and a buffer: word by word with relaxed atomics,
// because a program may write the value meanwhile. A word is never torn, a value may be.
void map_value_read(void *out, const uint8_t *live, uint32_t size);
void map_value_write(uint8_t *live, const void *in, uint32_t size);

// --- programs (prog.c), runs and the interpreter (interp_decode.c, interp.c) ---------------------

// One run of a program. Helpers get it as their last argument.
struct run {
    struct runtime *rt;
    struct prog *prog; // NULL in raw runs
    uint32_t slot;
    void *context;          // structure of contexts.h, or the memory of a raw program
    struct run_data packet; // raw programs only: what LDABS reads
    uint64_t r1, r2;        // registers at entry
    uint64_t (*raw_helper)(uint64_t id, const uint64_t args[5]);
};

typedef uint64_t (*helper_fn)(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
                              struct run *run);

// Functions of helpers.def's rows, and the table of them by enum helper_id (helper.c).
#define HELPER(id, ...)                                                                                      \
    uint64_t helper_##id(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, struct run *run);
#include "spec/helpers.def"
#undef HELPER
// NULL when there is no such helper, or a program of `prog_type` may not call it.
helper_fn helper_function(const struct spec_view *spec, uint32_t prog_type, uint32_t id);
// Stands for a helper number that the dialect does not know, in code that the verifier found unreachable:
// -EINVAL.
uint64_t helper_absent(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, struct run *run);
// What a helper returns for `result`: 0 or a negative errno of Linux.
uint64_t helper_result(ebpf_result_t result);

// A pre-decoded instruction; the array is parallel to the slots, with one sentinel behind.
struct interp_op {
    const void *label; // where the interpreter handles it
    uint8_t dst, src;
    int32_t off; // memory: bytes; jumps and local calls: slots from the next instruction
    union {
        int64_t imm; // constants and addresses
        helper_fn fn;
    };
};

struct interp_code {
    struct interp_op *ops;
    const void **observed; // labels behind the observer's, or NULL
    uint32_t count;        // without the sentinel
    uint32_t prog_type, dialect;
    const struct spec_view *spec;
    void (*observe)(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT]);
    void *observe_user;
};

struct interp_source {
    const struct insn *insns;
    uint32_t insn_count;
    uint32_t prog_type, dialect;
    bool raw;                // calls keep their number and go to run->raw_helper
    struct map *const *maps; // by index
    uint32_t map_count;
    const uint8_t *marks; // of the evidence: pairs of u32, little endian
    uint32_t mark_count;
};

// EBPF_PROGRAM_LOAD_FAILED when something has no meaning here; EBPF_NO_MEMORY.
ebpf_result_t interp_decode(struct runtime *rt, const struct interp_source *source,
                            struct interp_code *out) MUST_CHECK;
void interp_fini(struct interp_code *code);
// In an epoch, by the holder of run->slot. EBPF_INVALID_STATE when runs nest too deeply.
ebpf_result_t interp_run(const struct interp_code *code, struct run *run, uint64_t *result) MUST_CHECK;
// Labels of the interpreter by enum insn_id, and of the sentinel and the observer (interp.c).
struct interp_labels {
    const void *by_id[INSN_ID_COUNT];
    const void *raw_call, *end, *observer;
};
const struct interp_labels *interp_labels(void);

struct prog {
    struct object object;
    uint32_t type, attach_type, dialect;
    char name[SPEC_NAME_SIZE];
    uint32_t insn_count;
    struct interp_code code;
    // Referenced; the program's first, then bound ones, added under object_lock.
    struct map *maps[SPEC_MAX_MAPS];
    uint32_t map_count;
    uint32_t link_count;
    uint64_t load_time_ns, run_time_ns;
    struct counter runs;
    uint8_t tag[8];
};

// In an epoch.
ebpf_result_t prog_run(struct prog *g, struct run *run, uint64_t *result) MUST_CHECK;

// --- test runs (test_run.c) ----------------------------------------------------------------------

// How many runs may share the next epoch, after `count` of them took so long.
uint32_t test_run_next_count(uint32_t count, uint64_t took_ns);

// --- links and providers (link.c, provider.c) ----------------------------------------------------

enum link_state { LINK_DETACHED, LINK_ATTACHING, LINK_ATTACHED, LINK_DETACHING };

struct link {
    struct object object;
    struct list node;  // of runtime.links while not LINK_DETACHED
    struct prog *prog; // referenced; swapped atomically
    uint32_t live;     // invocations may start
    enum link_state state;
    uint32_t attach_type;
    uint32_t dialect;
    struct attach_params params;
    const struct hook_provider *provider;
    void *hook_context;
    struct counter invocations;
};

// Registered provider of an attach type. `users` keeps it registered while it is called without the mutex.
struct provider_slot {
    const struct hook_provider *provider;
    uint32_t users;
    bool closing;
};

// Provider of `attach_type` with a use counted, or NULL. Takes link_mutex.
const struct hook_provider *provider_acquire(struct runtime *rt, uint32_t attach_type);
// The same with link_mutex held.
const struct hook_provider *provider_acquire_locked(struct runtime *rt, uint32_t attach_type);
void provider_release(struct runtime *rt, uint32_t attach_type);
// Detaches all links that `provider` holds.
void link_detach_all(struct runtime *rt, const struct hook_provider *provider);

// --- the runtime itself --------------------------------------------------------------------------

struct runtime {
    const struct spec_view *spec;
    void (*trace)(void *user, const char *text);
    void *trace_user;
    void (*observe)(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT]);
    void *observe_user;

    uint32_t cpu_count;
    struct cpu_state *cpus;
    uint64_t epoch; // never 0
    struct epoch_queue dead_objects;

    struct plat_spinlock object_lock; // guards tables, and maps bound to programs
    struct object_table tables[OBJECT_KIND_COUNT];

    struct plat_mutex link_mutex; // guards links, link states and providers
    struct list links;
    struct provider_slot *providers; // by attach type

    struct plat_mutex pin_mutex; // guards pins
    struct list pins;            // by path
};
