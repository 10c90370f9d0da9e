// SPDX-License-Identifier: MIT
// runtime: the door of the execution context's objects: maps, programs, links, their ids and references, the
// epoch that frees what a running program may still see, helpers, and the engines that run programs.
//
// Kernel-safe. All calls at PASSIVE unless said otherwise. `struct object` is the common head; every function
// that returns an object gives the caller one reference.
#pragma once

#include <ebpf_native.h>

#include "base/base.h"
#include "jit/jit.h"
#include "plat/plat.h"
#include "runtime/provider.h"
#include "spec/spec.h"

enum object_kind {
    OBJECT_MAP = 1,
    OBJECT_PROGRAM = 2,
    OBJECT_LINK = 3,
    OBJECT_MODULE = 4,
    OBJECT_KIND_COUNT
};

struct object; // first member of struct map, struct prog, struct link

// What runs programs. The interpreter exists in builds with EBPF_INTERPRETER only (Debug ones): elsewhere
// runtime_create refuses it (EBPF_OPERATION_NOT_SUPPORTED).
enum runtime_engine { RUNTIME_JIT, RUNTIME_INTERPRETER };

// Machine code that has come to be, or (`gone`) is about to go, for profilers and debuggers.
struct code_notice {
    const char *name; // of the program
    uint32_t id;
    const uint8_t *code;
    uint32_t size;
    bool gone;
};

struct runtime_options {
    const struct spec_view *spec;
    enum runtime_engine engine;
    // How programs are translated; NULL: in the ordinary way. Machine and CPU are those that this runs on.
    const struct jit_options *jit;
    // Where bpf_trace_printk goes; NULL drops it. Called at any IRQL, text without newline.
    void (*trace)(void *user, const char *text);
    void *trace_user;
    // Called for each program, at PASSIVE, perhaps by several threads at once. NULL: nobody watches.
    void (*watch_code)(void *user, const struct code_notice *notice);
    void *watch_user;
};

ebpf_result_t runtime_create(const struct runtime_options *options, struct runtime **out) MUST_CHECK;
// All objects must have been released; waits for the epoch.
void runtime_destroy(struct runtime *rt);
const struct spec_view *runtime_spec(const struct runtime *rt);

// --- objects -------------------------------------------------------------------------------------

enum object_kind object_kind(const struct object *o);
uint32_t object_id(const struct object *o);
void object_acquire(struct object *o);
void object_release(struct object *o); // the last one destroys, through the epoch
// EBPF_OBJECT_NOT_FOUND; never EBPF_STALE_ID, because ids are not reused.
ebpf_result_t object_by_id(struct runtime *rt, enum object_kind kind, uint32_t id,
                           struct object **out) MUST_CHECK;
// Smallest id above `start`; EBPF_NO_MORE_KEYS at the end.
ebpf_result_t object_next_id(struct runtime *rt, enum object_kind kind, uint32_t start,
                             uint32_t *out) MUST_CHECK;
uint32_t object_count(struct runtime *rt, enum object_kind kind);

// --- maps ----------------------------------------------------------------------------------------

struct map;

struct map_info {
    uint32_t id;
    struct map_def def;
    uint32_t frozen;
    uint64_t memory; // bytes held
};

enum update_flags { UPDATE_ANY = 0, UPDATE_NOEXIST = 1, UPDATE_EXIST = 2 }; // Linux UAPI values

ebpf_result_t map_create(struct runtime *rt, const struct map_def *def, struct map **out) MUST_CHECK;
struct object *map_object(struct map *m);
struct map *map_from_object(struct object *o); // NULL when `o` is of another kind
void map_info(const struct map *m, struct map_info *out);
// Size of a value as user mode sees it: value_size, or for per-CPU maps round_up(value_size, 8) * CPUs.
uint32_t map_user_value_size(const struct map *m);
// User-mode element calls: whole values are copied. Key and value have exactly key_size and user_value_size
// bytes. EBPF_KEY_NOT_FOUND, EBPF_KEY_ALREADY_EXISTS, EBPF_OUT_OF_SPACE (full, or update of an index past the
// end), EBPF_INVALID_ARGUMENT (flags, delete on an array), EBPF_OPERATION_NOT_SUPPORTED (lookup_and_delete on
// an array), EBPF_ACCESS_DENIED (frozen or RDONLY/WRONLY).
ebpf_result_t map_user_lookup(struct map *m, const void *key, void *value) MUST_CHECK;
ebpf_result_t map_user_lookup_and_delete(struct map *m, const void *key, void *value) MUST_CHECK;
ebpf_result_t map_user_update(struct map *m, const void *key, const void *value, uint64_t flags) MUST_CHECK;
ebpf_result_t map_user_delete(struct map *m, const void *key) MUST_CHECK;
// `key` NULL, or not in the map: first key. EBPF_NO_MORE_KEYS at the end.
ebpf_result_t map_user_next_key(struct map *m, const void *key, void *next) MUST_CHECK;
// Stores a program in a prog array; look-ups give its id. EBPF_OUT_OF_SPACE: an index past the end.
// EBPF_INVALID_ARGUMENT: no prog array, or a program that is not like those that may call it (of another
// type, attach type or dialect). EBPF_ACCESS_DENIED. A prog array that only programs hold loses what it has.
struct prog;
ebpf_result_t map_user_set_program(struct map *m, const void *key, struct prog *g, uint64_t flags) MUST_CHECK;
// A walk over all elements, in steps of bounded work. Each position is passed once, so that it ends however
// the map changes meanwhile.
struct map_batch {
    uint32_t position;      // where to go on; 0: at the first element
    uint32_t room;          // elements that `keys` and `values` have room for, at least 1
    uint32_t count;         // elements that are there; a step adds some
    bool full;              // the next elements have no room, or (hash) belong to a bucket that has none
    bool end;               // no element follows; an array says so only when there is room left
    uint8_t *keys, *values; // key_size and user_value_size bytes each
};
// One step, to be repeated until `full` or `end`; with `take` the elements are deleted as well.
// EBPF_ACCESS_DENIED, EBPF_OPERATION_NOT_SUPPORTED as above; a prog array has no batches.
ebpf_result_t map_user_batch(struct map *m, bool take, struct map_batch *b) MUST_CHECK;
bool map_can_delete(const struct map *m); // false: an array
// No user writes from now on; EBPF_ACCESS_DENIED when frozen already or BPF_F_RDONLY, EBPF_INVALID_STATE when
// user mode was ever given a view that it may write to.
ebpf_result_t map_freeze(struct map *m) MUST_CHECK;
// Nobody writes to it, now or ever: frozen, the last write of user mode is over, and programs may only read.
bool map_is_constant(const struct map *m);

// The memory of an array's values with BPF_F_MMAPABLE: value i lies at i * round_up(value_size, 8). It
// belongs to the map; views of it outlive the map.
struct map_memory {
    struct plat_shared *shared;
    size_t size; // whole pages
    bool writable;
};
// Asks for the right to a view; with `writable` the map cannot be frozen any more.
// EBPF_OPERATION_NOT_SUPPORTED: the map type has no such memory. EBPF_INVALID_ARGUMENT: the map was not made
// with BPF_F_MMAPABLE. EBPF_ACCESS_DENIED: user mode may not read; or, with `writable`: not write, the map is
// frozen, or programs may not write to it either.
ebpf_result_t map_user_open_memory(struct map *m, bool writable, struct map_memory *out) MUST_CHECK;
// No view was made after all.
void map_user_undo_memory(struct map *m, const struct map_memory *memory);

// --- programs ------------------------------------------------------------------------------------

struct prog;

struct prog_info {
    uint32_t id, type, attach_type, dialect;
    char name[SPEC_NAME_SIZE];
    uint32_t insn_count, map_count, link_count;
    uint32_t map_ids[SPEC_MAX_MAPS];
    uint64_t load_time_ns;           // plat_boot_time_ns at load
    uint64_t run_count, run_time_ns; // run_time only counted in test runs
    uint8_t tag[8];                  // digest of the canonical instructions, for people
    uint32_t jited_size;             // bytes of machine code; 0: there is none
    uint32_t module_id;              // of a native program; 0: none
    char module[SPEC_NAME_SIZE];     // its name
    bool revoked;                    // runs no more, because its module was revoked
};

// Loads a program that program_check accepts; `maps` are p->map_count maps in order (references are taken).
// Checks the evidence's form and every mark against the layout. EBPF_PROGRAM_LOAD_FAILED when it does not
// fit; EBPF_INVALID_ARGUMENT: it would call through a prog array whose programs are of another kind;
// EBPF_JIT_COMPILATION_FAILED.
ebpf_result_t prog_load(struct runtime *rt, const struct program *p, struct map *const *maps,
                        const struct evidence *evidence, struct prog **out) MUST_CHECK;
struct object *prog_object(struct prog *g);
struct prog *prog_from_object(struct object *o);
void prog_info(const struct prog *g, struct prog_info *out);
// The copy of program.source; *size 0: there was none.
const uint8_t *prog_source(const struct prog *g, uint32_t *size);
// The machine code; *size 0: there is none.
const uint8_t *prog_machine_code(const struct prog *g, uint32_t *size);
// Keeps `m` alive as long as the program (BPF_PROG_BIND_MAP).
ebpf_result_t prog_bind_map(struct prog *g, struct map *m) MUST_CHECK;

struct test_run {
    const uint8_t *data_in;
    size_t data_in_size;
    uint8_t *data_out;     // may be NULL
    size_t data_out_size;  // in: capacity; out: size of the data (EBPF_INSUFFICIENT_BUFFER when it was cut)
    const uint8_t *ctx_in; // may be NULL
    size_t ctx_in_size;
    uint8_t *ctx_out; // may be NULL
    size_t ctx_out_size;
    uint32_t repeat;   // 0 = 1
    uint64_t retval;   // out: r0
    uint64_t duration; // out: mean ns of one run
    // Asked every few milliseconds between runs; true ends the test with EBPF_CANCELED. NULL: never.
    bool (*is_cancelled)(void *user);
    void *cancel_user;
};
// EBPF_OPERATION_NOT_SUPPORTED when the type's provider makes no contexts. RAW_MEMORY needs no provider.
ebpf_result_t prog_test_run(struct prog *g, struct test_run *run) MUST_CHECK;

// --- native modules (module.c) -------------------------------------------------------------------
// A module is the code of programs in an image that the system has loaded (ebpf_native.h). It is bound to
// maps when its programs are loaded: each of its map rows to one map at a time, because the code has one
// place for it. Its programs hold it. When it is revoked, because its image goes, its programs stay but run
// no more.

#define MODULE_ID_SIZE  16
#define MODULE_WHY_SIZE 160
// At one time: each costs a process descriptors and mappings.
#define RUNTIME_MAX_MODULES 1024u
struct module;

struct module_source {
    const struct ebpf_native_module *table; // stays until `gone` was called, or module_revoke has returned
    uint8_t id[MODULE_ID_SIZE];             // for module_by_id; zeroes: none
    // Of a module with module_keep_registered: neither a handle nor a program is left, so that the image may
    // be asked to go. At any level up to DISPATCH, perhaps more than once; not any more when module_revoke
    // has returned. May be NULL.
    void (*idle)(void *user, struct module *m);
    // Of all others: the module is destroyed and nothing of the image is used any more. At PASSIVE, once. May
    // be NULL.
    void (*gone)(void *user);
    void *user;
};

struct module_info {
    uint32_t id;
    const char *name, *generator; // valid as long as the module
    uint32_t program_count, map_count;
    bool revoked;
};

// Checks the table as far as it is not code: magic, version, sizes of rows, what rows point to.
// EBPF_INVALID_OBJECT when it is not fit; EBPF_OBJECT_ALREADY_EXISTS: the id is taken; EBPF_OUT_OF_SPACE:
// RUNTIME_MAX_MODULES are there;
// EBPF_OPERATION_NOT_SUPPORTED: the runtime's engine is the interpreter; all with a sentence in `why`.
// EBPF_NO_MEMORY. `gone` is not called after an error. The caller gets one reference.
ebpf_result_t module_register(struct runtime *rt, const struct module_source *source,
                              char why[MODULE_WHY_SIZE], struct module **out) MUST_CHECK;
// EBPF_OBJECT_NOT_FOUND. Not found once it is revoked.
ebpf_result_t module_by_id(struct runtime *rt, const uint8_t id[MODULE_ID_SIZE],
                           struct module **out) MUST_CHECK;
struct object *module_object(struct module *m);
struct module *module_from_object(struct object *o);
void module_info(const struct module *m, struct module_info *out);
// Turns the caller's reference into that of the image, which does not count when `idle` is asked; from then
// on the module stays until module_revoke. For images that unload themselves (drivers).
void module_keep_registered(struct module *m);
// Its programs run no more, and nothing of the table or its code is used when it returns; links and handles
// stay. Waits for runs: PASSIVE, outside an epoch. Drops the image's reference if there is one. Idempotent.
void module_revoke(struct module *m);
// Between the two the table stays: module_revoke waits. EBPF_INVALID_STATE: revoked. Nests. IRQL <= DISPATCH.
ebpf_result_t module_enter(struct module *m) MUST_CHECK;
void module_leave(struct module *m);
// Row `index` as the table has it, what this version does not know cut off. EBPF_NO_MORE_KEYS past the end.
// Within module_enter, and valid as long.
struct module_program {
    const char *name;
    const uint8_t *canonical, *evidence, *digest;
    uint32_t canonical_size, evidence_size;
    const uint32_t *maps;
    uint32_t map_count;
};
ebpf_result_t module_program(struct module *m, uint32_t index, struct module_program *out) MUST_CHECK;
// Whether all helpers are there that program `index`, which there is, calls. EBPF_PROGRAM_LOAD_FAILED with a
// sentence. Within module_enter.
ebpf_result_t module_check_helpers(struct module *m, uint32_t index, char why[MODULE_WHY_SIZE]) MUST_CHECK;
// prog_load with the code of program `index` of the module. What binds program, evidence and digest is the
// caller's to check; this checks what the code itself relies on: helpers (by name), maps, strides. A sentence
// in `why` for EBPF_PROGRAM_LOAD_FAILED and EBPF_INVALID_STATE (a map row is bound to another map, or the
// module is revoked).
ebpf_result_t prog_load_native(struct runtime *rt, const struct program *p, struct map *const *maps,
                               const struct evidence *evidence, struct module *m, uint32_t index,
                               char why[MODULE_WHY_SIZE], struct prog **out) MUST_CHECK;

// --- links ---------------------------------------------------------------------------------------

struct link_info {
    uint32_t id, prog_id, attach_type;
    struct attach_params params;
    uint32_t attached;
    uint64_t invoke_count;
};

// Attaches through the provider of `attach_type`. EBPF_EXTENSION_FAILED_TO_LOAD: no provider.
// EBPF_INVALID_ARGUMENT: the program is of another type. EBPF_INVALID_STATE: the point is taken.
ebpf_result_t link_create(struct runtime *rt, struct prog *g, uint32_t attach_type,
                          const struct attach_params *params, struct link **out) MUST_CHECK;
struct object *link_object(struct link *l);
struct link *link_from_object(struct object *o);
void link_info(const struct link *l, struct link_info *out);
// Swaps the program atomically. `expected` NULL: whatever is there; otherwise EBPF_INVALID_STATE when it
// differs. EBPF_INVALID_ARGUMENT: a program of another type or dialect. EBPF_INVALID_STATE: detached.
ebpf_result_t link_update(struct link *l, struct prog *g, struct prog *expected) MUST_CHECK;
// Detaches now; idempotent. The link object stays until released. Releasing the last reference detaches too.
void link_detach(struct link *l);

// --- pins ----------------------------------------------------------------------------------------

#define PIN_PATH_SIZE 256
// A pin is a reference by path. Paths are compared byte by byte; callers canonicalise.
// EBPF_OBJECT_ALREADY_EXISTS; EBPF_INVALID_ARGUMENT: the path is empty or too long.
ebpf_result_t pin_add(struct runtime *rt, const char *path, struct object *o) MUST_CHECK;
// EBPF_OBJECT_NOT_FOUND.
ebpf_result_t pin_get(struct runtime *rt, const char *path, struct object **out) MUST_CHECK;
ebpf_result_t pin_remove(struct runtime *rt, const char *path) MUST_CHECK;
// Next path in byte order after `start` ("" = first); EBPF_NO_MORE_KEYS at the end.
ebpf_result_t pin_next(struct runtime *rt, const char *start, char next[PIN_PATH_SIZE],
                       struct object **out) MUST_CHECK;
// Number of paths that `o` is pinned at.
uint32_t pin_count(struct runtime *rt, const struct object *o);
void pin_remove_all(struct runtime *rt);

// --- epoch (also for hooks) ----------------------------------------------------------------------

// Between enter and exit nothing that the runtime has freed since is reused. Nests. IRQL <= DISPATCH.
void epoch_enter(struct runtime *rt);
void epoch_exit(struct runtime *rt);
// Waits until every run that was under way has ended. IRQL = PASSIVE, outside an epoch.
void epoch_synchronize(struct runtime *rt);

// --- raw programs --------------------------------------------------------------------------------

// Canonical instructions that nothing has verified, for tests of the instruction set and benchmarks: no maps,
// and only the `helper` callback for calls (NULL: calls return 0). The program must be trusted not to leave
// its memory and its stack. Functions are what calls go to.
struct raw_source {
    const struct insn *insns;
    uint32_t insn_count;
    uint64_t (*helper)(uint64_t id, const uint64_t args[5]);
};
struct raw_prog;
// With the given engine, whatever the runtime's is. EBPF_PROGRAM_LOAD_FAILED: the instructions do not bind.
ebpf_result_t raw_prog_load(struct runtime *rt, enum runtime_engine engine, const struct raw_source *source,
                            struct raw_prog **out) MUST_CHECK;
// r1 = mem, r2 = size. Enters the epoch.
ebpf_result_t raw_prog_run(struct raw_prog *g, void *mem, size_t size, uint64_t *result) MUST_CHECK;
void raw_prog_free(struct raw_prog *g); // nobody runs it
// All three.
ebpf_result_t raw_prog_once(struct runtime *rt, enum runtime_engine engine, const struct raw_source *source,
                            void *mem, size_t size, uint64_t *result) MUST_CHECK;

#if defined(EBPF_INTERPRETER)
// Calls `observe` with the registers before each instruction of programs loaded into the interpreter from now
// on; NULL: off, at no cost. For tests: checks of the verifier's states against concrete ones.
void interp_set_observer(struct runtime *rt,
                         void (*observe)(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT]),
                         void *user);
#endif
