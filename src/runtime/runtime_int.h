// SPDX-License-Identifier: MIT
// runtime_int: the structures behind the door, shared by the files of this folder only.
//
// Order of locks: link_mutex, pin_mutex and object_lock are never held together, but for object_lock inside
// the other two; no lock is held while a provider is called or the epoch is waited for.
#pragma once

#include "jit/jit.h"
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

// Program stacks of one run; not on the kernel's stack.
struct run_stack {
    uint8_t bytes[INSN_MAX_FRAMES][INSN_STACK_SIZE];
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
    // The last reference of others than keepers went (object_keep). In an epoch; the object may be dead
    // already. May be NULL.
    void (*released)(struct object *o);
    void (*destroy)(struct object *o); // PASSIVE, after the epoch; frees the structure
};

struct object {
    struct list node;       // of object_table.objects; self-linked when not published
    struct object *by_hash; // next in object_table.buckets
    struct runtime *rt;
    const struct object_ops *ops;
    uint64_t references; // lower half: all of them; upper half: those of keepers
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
#define OBJECT_KEEPER ((uint64_t)1 << 32)
// References that do not count when `released` is asked: whoever holds them is held by the object, or may be.
void object_keep(struct object *o);
void object_drop_kept(struct object *o);

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
    // A step of map_user_batch. `take` only where there is user_take. NULL: never.
    void (*batch)(struct map *m, bool take, struct map_batch *b);
    // Nobody but programs holds the map any more. In an epoch. NULL: it does not matter.
    void (*forsaken)(struct map *m);
    // What machine code may know of the map: kind, values, lookup. NULL: nothing.
    void (*describe)(struct map *m, struct jit_map *out);
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

// Of the types whose keys are indices: the index, and next_key.
static inline uint32_t map_index(const void *key)
{
    uint32_t index;
    memcpy(&index, key, sizeof(index));
    // The key may change while we look at it: what is checked must be what is used, so it is read once.
    __asm__("" : "+r"(index));
    return index;
}
ebpf_result_t map_next_index(struct map *m, const void *key, void *next) MUST_CHECK;

// user_lookup of the types that have one value an element.
ebpf_result_t map_lookup_copy(struct map *m, const void *key, void *value);

// Appends an element to a batch that has room: its key, and room for the value, which is returned.
uint8_t *map_batch_add(const struct map *m, struct map_batch *b, const void *key);

// For programs (prog.c): a reference that does not keep the map's programs alive.
void map_keep(struct map *m);
void map_drop(struct map *m);
// A write of user mode: false when it may not write. In an epoch between the two.
bool map_begin_write(struct map *m);
void map_end_write(struct map *m);

// Prog arrays (map_prog_array.c). Whether `g` may be in the array, or call through it; other maps take any.
// EBPF_INVALID_ARGUMENT.
ebpf_result_t map_admit_caller(struct map *m, const struct prog *g) MUST_CHECK;
// The program at `index`, or NULL. In an epoch.
struct prog *map_find_program(struct map *m, uint32_t index);

// Copies between a live value (8-aligned, padded to 8) and a buffer: word by word with relaxed atomics,
// because a program may write the value meanwhile. A word is never torn, a value may be.
void map_value_read(void *out, const uint8_t *live, uint32_t size);
void map_value_write(uint8_t *live, const void *in, uint32_t size);

// --- runs ----------------------------------------------------------------------------------------

// One run of a program. Helpers get it as their last argument.
struct run {
    struct jit_run jit; // first: what machine code knows of a run
    struct runtime *rt;
    struct prog
        *prog; // that was started; NULL in raw runs. A tail call leaves it alone: the next one is alike
    const struct prog_code *next; // of a tail call that succeeds
    uint32_t tail_calls;          // so far
    void *context;                // structure of contexts.h, or the memory of a raw program
    struct run_data packet;       // raw programs only: what LDABS reads
    uint64_t r1, r2;              // registers at entry
    uint64_t (*raw_helper)(uint64_t id, const uint64_t args[5]);
};
_Static_assert(offsetof(struct run, jit) == 0, "machine code passes one as the other");

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
// jit_input.helpers: by enum helper_id; the last row is helper_absent.
#define HELPER_ID_ABSENT  ((uint32_t)HELPER_RUN_COUNT)
#define HELPER_TABLE_SIZE (HELPER_ID_ABSENT + 1)
void helper_describe(const struct spec_view *spec, struct jit_helper table[HELPER_TABLE_SIZE]);

// What programs call that is no helper of theirs, with the types of jit_input (helper_code.c).
uint64_t helper_load_packet(uint64_t offset, uint64_t bytes, uint64_t a3, uint64_t a4, uint64_t a5,
                            struct run *run);
uint64_t helper_call_number(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, struct run *run);

// --- bound programs (prog_bind.c) ----------------------------------------------------------------

struct bind_source {
    const struct insn *insns;
    uint32_t insn_count;
    const struct func *funcs;
    uint32_t func_count;
    uint32_t prog_type, dialect;
    bool raw;                // calls keep their number and go to run->raw_helper
    struct map *const *maps; // by index
    uint32_t map_count;
    const uint8_t *marks; // of the evidence: pairs of u32, little endian
    uint32_t mark_count;
};

// Where a map and its values are.
void bind_describe_map(struct map *m, struct jit_map *out);

// What both engines start from: see struct jit_input. Only needed until the engine has made its code.
struct bound {
    struct jit_input input; // instructions and maps are its own; functions are the source's
    struct insn *insns;
    struct jit_map *maps;
};

// EBPF_PROGRAM_LOAD_FAILED when something has no meaning here; EBPF_NO_MEMORY.
ebpf_result_t bind_program(struct runtime *rt, const struct bind_source *source,
                           struct bound *out) MUST_CHECK;
void bind_free(struct bound *b);

// --- engines (prog_code.c) --------------------------------------------------------------------------

struct interp_code;

// What a bound program has become: machine code, or, in Debug builds, what the interpreter runs.
struct prog_code {
    struct plat_code pages; // machine code; size 0: there is none
    // Address; 0: it runs no more, because its module was revoked. Interpreted programs have one nobody goes
    // to.
    uint64_t entry;
    uint32_t size; // of the code, without what lies behind it
#if defined(EBPF_INTERPRETER)
    struct interp_code *interp;
#endif
};

// Sets what depends on the machine that this runs on. Asking the CPU is slow: once for each runtime.
void prog_code_set_machine(struct jit_options *options);
// Memory that translations use again and again. EBPF_NO_MEMORY.
ebpf_result_t prog_code_init(struct runtime *rt) MUST_CHECK;
void prog_code_fini(struct runtime *rt);
// EBPF_JIT_COMPILATION_FAILED; EBPF_NO_MEMORY.
ebpf_result_t prog_code_make(struct runtime *rt, enum runtime_engine engine, const struct bound *b,
                             struct prog_code *out) MUST_CHECK;
void prog_code_free(struct prog_code *code);
// In an epoch, by the holder of run->jit.slot. EBPF_INVALID_STATE when runs nest too deeply.
ebpf_result_t prog_code_run(const struct prog_code *code, struct run *run, uint64_t *result) MUST_CHECK;

#if defined(EBPF_INTERPRETER)
// The interpreter (interp_decode.c, interp.c).
ebpf_result_t interp_decode(struct runtime *rt, const struct jit_input *input,
                            struct interp_code **out) MUST_CHECK;
void interp_free(struct interp_code *code);
uint64_t interp_run(const struct interp_code *code, struct run *run, struct run_stack *stack);
#endif

// --- programs (prog.c) ---------------------------------------------------------------------------

struct prog {
    struct object object;
    uint32_t type, attach_type, dialect;
    char name[SPEC_NAME_SIZE];
    uint32_t insn_count;
    struct prog_code code;
    struct module_use *use; // of a native program; NULL: its code is its own
    uint8_t *source;        // bytes that it came in, or NULL
    uint32_t source_size;
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

// --- native modules (module.c) -------------------------------------------------------------------

// A row of the module's maps.
struct module_row {
    struct map *map; // while there are users
    uint32_t users;  // programs
};

struct module {
    struct object object;
    struct list node;     // of runtime.modules
    struct list programs; // module_use.node
    struct module_source source;
    char name[SPEC_NAME_SIZE], generator[SPEC_NAME_SIZE]; // perhaps cut
    uint32_t program_count, map_count;
    uint32_t readers; // of the table
    bool published;   // has its object's references
    bool revoked;
    bool keeps_itself, has_image; // module_keep_registered; and not revoked yet
    struct module_row rows[];     // map_count
};

// What a program has of its module.
struct module_use {
    struct list node;
    struct module *module; // referenced
    struct prog *prog;
    uint32_t count, rows[]; // that its maps are bound to
};

// Gives `g` the code of program `index`: sets g->code.entry and g->use, bound to `maps`. In module_enter.
// Errors and `why` as of prog_load_native.
ebpf_result_t module_take_code(struct module *m, uint32_t index, const struct program *p,
                               struct map *const *maps, char why[MODULE_WHY_SIZE], struct prog *g) MUST_CHECK;
// Nobody runs it any more.
void module_return_code(struct module_use *use);

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
    void (*watch_code)(void *user, const struct code_notice *notice);
    void *watch_user;
    enum runtime_engine engine;
    struct jit_options jit; // of all translations
    void *spare;            // memory of the last translation (prog_code.c); atomic
    struct jit_helper helpers[HELPER_TABLE_SIZE];
#if defined(EBPF_INTERPRETER)
    void (*observe)(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT]);
    void *observe_user;
#endif

    uint32_t cpu_count;
    struct cpu_state *cpus;
    uint64_t epoch; // never 0
    struct epoch_queue dead_objects;

    struct plat_spinlock object_lock; // guards tables, maps bound to programs, and modules
    struct list modules;
    uint32_t module_count; // in the list
    struct object_table tables[OBJECT_KIND_COUNT];

    struct plat_mutex link_mutex; // guards links, link states and providers
    struct list links;
    struct provider_slot *providers; // by attach type

    struct plat_mutex pin_mutex; // guards pins
    struct list pins;            // by path
};
