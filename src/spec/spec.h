// SPDX-License-Identifier: MIT
// spec: the door of the platform's tables (helpers, map types, program types, attach types, context layouts)
// and of the canonical program. Every table is reached through a `const struct spec_view *`, never globals.
#pragma once

#include "base/base.h"
#include "isa/isa.h"

#define SPEC_NAME_SIZE 64 // object names with NUL; Linux shows the first 15 bytes
#define SPEC_MAX_MAPS  64 // maps that one program may reference

// Where relative pin paths start, by dialect.
#define SPEC_PIN_ROOT_LINUX   "/sys/fs/bpf"
#define SPEC_PIN_ROOT_WINDOWS "/ebpf/global"

// Which ecosystem's numbers and context layouts an object was compiled for (design, "Two dialects").
enum dialect { DIALECT_LINUX, DIALECT_WINDOWS, DIALECT_COUNT };

// Internal ids: rows of the .def files in order, append-only. 0 is "none" in each. The rows of *_verify.def
// come last: what can be verified here, but not run. The core refuses programs that need them.
enum map_type {
    MAP_TYPE_NONE,
#define MAP_TYPE(id, ...) MAP_TYPE_##id,
#include "spec/map_types.def"
    MAP_TYPE_RUN_COUNT, // types below can be created
    MAP_TYPE_BEFORE_VERIFY_ONLY = MAP_TYPE_RUN_COUNT - 1,
#include "spec/map_types_verify.def"
#undef MAP_TYPE
    MAP_TYPE_COUNT
};

enum prog_type {
    PROG_TYPE_NONE,
#define PROG_TYPE(id, ...) PROG_TYPE_##id,
#include "spec/prog_types.def"
    PROG_TYPE_RUN_COUNT, // types below can be loaded
    PROG_TYPE_BEFORE_VERIFY_ONLY = PROG_TYPE_RUN_COUNT - 1,
#include "spec/prog_types_verify.def"
#undef PROG_TYPE
    PROG_TYPE_COUNT
};

enum attach_type {
    ATTACH_TYPE_NONE,
#define ATTACH_TYPE(id, ...) ATTACH_TYPE_##id,
#include "spec/attach_types.def"
#include "spec/attach_types_verify.def"
#undef ATTACH_TYPE
    ATTACH_TYPE_COUNT
};

enum helper_id {
    HELPER_NONE,
#define HELPER(id, ...) HELPER_##id,
#include "spec/helpers.def"
    HELPER_RUN_COUNT, // helpers below have a function in the runtime
    HELPER_BEFORE_VERIFY_ONLY = HELPER_RUN_COUNT - 1,
#include "spec/helpers_verify.def"
#undef HELPER
#define KFUNC(id, ...) KFUNC_##id,
#include "spec/kfuncs.def"
#undef KFUNC
    HELPER_COUNT
};

enum context_layout {
    LAYOUT_NONE,
#define LAYOUT(id, ...) LAYOUT_##id,
#define OBJECT(id, ...) LAYOUT_##id,
#define PROBED(id, ...) LAYOUT_##id,
#define TARGET(id, ...) LAYOUT_##id,
#define FIELD(...)
#define VIEW(...)
#include "spec/contexts.def"
#include "spec/contexts_verify.def"
#include "spec/objects.def"
#include "spec/targets.def"
#undef LAYOUT
#undef OBJECT
#undef PROBED
#undef TARGET
#undef FIELD
#undef VIEW
    LAYOUT_COUNT
};

// 16 bytes in the order of a Windows GUID in memory (first three fields little endian).
struct guid {
    uint32_t data1;
    uint16_t data2, data3;
    uint8_t data4[8];
};

// --- rows ----------------------------------------------------------------------------------------

// How programs may use the map, and what its operations need.
enum map_type_flags {
    MAP_KEY_IS_INDEX = 1 << 0,    // u32 key below max_entries
    MAP_PER_CPU = 1 << 1,         // one value per CPU; user mode sees all of them, each rounded up to 8 bytes
    MAP_FIXED = 1 << 2,           // elements exist from creation on and cannot be deleted
    MAP_OF_MAPS = 1 << 3,         // look-ups find maps
    MAP_PROGRAMS = 1 << 4,        // holds programs, for tail calls
    MAP_NO_KEYS = 1 << 5,         // key_size is 0: queues, ring buffers
    MAP_KEY_IS_OBJECT = 1 << 6,   // local storage: helpers take the object instead of a key
    MAP_LOOKUP_ACQUIRES = 1 << 7, // the object that a look-up finds has to be released
    MAP_VALUES_READ_ONLY = 1 << 8, // programs may not write to what look-ups find
    MAP_VERIFY_ONLY = 1 << 9,      // programs that use it can be verified here, not run
};

struct map_type_row {
    const char *name; // "percpu_array", as bpftool prints it
    uint32_t number[DIALECT_COUNT];
    uint32_t flags;   // enum map_type_flags
    uint32_t element; // enum context_layout: the object that look-ups find; LAYOUT_NONE: a value (or a map)
};

// Which map types a helper takes: detail of ARG_MAP.
enum map_set {
    MAP_SET_ANY,
#define MAP_SET(id, ...) MAP_SET_##id,
#include "spec/map_sets.def"
#undef MAP_SET
    MAP_SET_COUNT
};

// Kinds of arguments. `detail` is the row's number for the argument. ARG_NULLABLE may be added to a kind:
// NULL is taken too (for sized memory: with size 0 only, unless the row says HELPER_NULL_ANY_SIZE).
enum arg_type {
    ARG_NONE,
    ARG_ANYTHING,         // any initialised value
    ARG_SCALAR,           // a number; pointers are refused
    ARG_SCALAR_OR_NONE,   // a number, or a register that was never written (variadic tail)
    ARG_CTX,              // pointer to the context, unmodified
    ARG_MAP,              // constant pointer to a map, or a non-null inner map; `detail`: enum map_set
    ARG_MAP_KEY,          // readable memory of the preceding map's key size
    ARG_MAP_VALUE,        // readable memory of the preceding map's value size
    ARG_MEM_READ,         // readable memory; its size is the next argument, or argument `detail` (1..5)
    ARG_MEM_READ_OR_NULL, // the same, or NULL when the size is 0
    ARG_MEM_WRITE,        // writable memory, may be uninitialised: the helper writes all of it; size follows
    ARG_MEM_COPY, // writable memory, may be uninitialised: the helper writes the first bytes, as many as
                  // the readable memory among its arguments has, or zeroes everything; size follows
    ARG_MEM_READ_WRITE,  // readable and writable memory; the next argument is its size
    ARG_SIZE,            // size of the preceding memory, at least 1
    ARG_SIZE_OR_ZERO,    // size of the preceding memory
    ARG_MAP_VALUE_WRITE, // writable memory of the preceding map's value size, may be uninitialised
    ARG_FIXED_READ,      // readable memory of `detail` bytes
    ARG_FIXED_WRITE,   // writable memory of `detail` bytes, may be uninitialised: the helper writes all of it
    ARG_CONST_STRING,  // NUL-terminated string in a read-only map
    ARG_ALLOC_SIZE,    // constant: size of the memory that is returned
    ARG_CONST,         // a constant number
    ARG_RECORD,        // start of a memory block that was acquired (ring buffer record)
    ARG_OBJECT,        // start of an object of layout `detail` (or one that holds it; spec_object_is)
    ARG_KERNEL,        // trusted kernel pointer
    ARG_SPIN_LOCK,     // address of a map value's spin lock
    ARG_TIMER,         // address of a map value's timer
    ARG_WORKQUEUE,     // address of a map value's work queue
    ARG_KPTR,          // address of a map value's kernel pointer field
    ARG_DYNPTR,        // initialised dynptr on the stack; `detail`: enum dynptr_detail
    ARG_DYNPTR_NEW,    // 16 bytes of stack that become a dynptr
    ARG_ITER,          // initialised iterator on the stack
    ARG_ITER_NEW,      // stack that becomes an iterator
    ARG_IRQ_FLAGS,     // saved interrupt flags on the stack
    ARG_IRQ_FLAGS_NEW, // 8 bytes of stack that become saved interrupt flags
    ARG_CALLBACK,      // address of a static function; `detail`: enum callback_type
    ARG_CALLBACK_CTX,  // stack pointer, map value or NULL that is passed to the callback
    ARG_FIXED_READ_WRITE, // readable and writable memory of `detail` bytes
    ARG_ANYTHING_OR_NONE, // any value, or a register that was never written (variadic tail)
    ARG_KIND_COUNT,
};
#define ARG_NULLABLE  0x80u
#define ARG_KIND_MASK 0x7fu

// detail of ARG_ITER and ARG_ITER_NEW: which iterator, and how many 8-byte words of stack it has.
#define ITER_DETAIL(type, words)  ((type) << 8 | (words))
#define ITER_DETAIL_WORDS(detail) ((detail) & 0xffu)
enum iter_type {
    ITER_NONE,
#define ITER(id, ...) ITER_##id,
#include "spec/iters.def"
#undef ITER
    ITER_COUNT
};

enum ret_type {
    RET_INTEGER,           // any 64-bit number
    RET_U32,               // zero-extended 32-bit number
    RET_INT32,             // number in [-2^31, 2^31)
    RET_MAP_VALUE_OR_NULL, // pointer to a value of the first argument's map (an inner map: itself)
    RET_VOID,              // r0 is not readable afterwards
    RET_ERROR,             // number in [-4095, 0]
    RET_SIZE_OR_ERROR,     // number in [-4095, size of the first memory argument]
    RET_BOOL,              // a C bool: its low byte is 0 or 1, and nothing is said of the others
    RET_MAP_VALUE,         // the same, never NULL
    RET_MEM_OR_NULL,       // memory block: size of ARG_ALLOC_SIZE, or row.ret_detail bytes
    RET_MEM,               // the same, never NULL
    RET_OBJECT_OR_NULL,    // object of layout row.ret_detail
    RET_OBJECT,
    RET_KERNEL_OR_NULL, // kernel pointer
    RET_KERNEL,
    RET_ITER_ELEMENT, // element of an iterator: memory block of row.ret_detail bytes, or NULL at the end
    RET_KIND_COUNT,
};

enum dynptr_detail {
    DYNPTR_ANY,
    DYNPTR_LOCAL,
    DYNPTR_RINGBUF,
    DYNPTR_SKB,
    DYNPTR_XDP,
    DYNPTR_WRITABLE = 1 << 4
};

// What a callback is called with, and what it may return.
enum callback_type {
    CALLBACK_LOOP,     // (u32 index, ctx) -> 0 or 1; bpf_loop
    CALLBACK_FOR_EACH, // (map, key, value, ctx) -> 0 or 1; bpf_for_each_map_elem
    CALLBACK_TIMER,    // (map, key, value) -> 0; runs later, on a stack of its own
    CALLBACK_FIND_VMA, // (task, vma, ctx) -> 0
    CALLBACK_RINGBUF,  // (dynptr, ctx) -> 0 or 1; bpf_user_ringbuf_drain
};

enum helper_flags {
    HELPER_CHANGES_PACKET = 1 << 0, // all packet pointers and packet facts die
    HELPER_ACQUIRES = 1 << 1,       // the result (or the dynptr, iterator made) has to be released
    HELPER_RELEASES = 1 << 2,       // the first argument that can hold a reference is released
    HELPER_GPL = 1 << 3,            // for programs with a GPL-compatible licence (Linux)
    HELPER_SLEEPS = 1 << 4,         // sleepable programs only
    HELPER_NULL_ANY_SIZE = 1 << 5,  // nullable memory may be NULL with any size
    HELPER_TAIL_CALL = 1 << 6,
    HELPER_LOCKS = 1 << 7,
    HELPER_UNLOCKS = 1 << 8,
    HELPER_RCU_ENTERS = 1 << 9,
    HELPER_RCU_LEAVES = 1 << 10,
    HELPER_PREEMPT_DISABLES = 1 << 11,
    HELPER_PREEMPT_ENABLES = 1 << 12,
    HELPER_VERIFY_ONLY = 1 << 13,     // programs that call it can be verified here, not run
    HELPER_KERNEL_FUNCTION = 1 << 14, // a kfunc: called by name (CALL_BTF), not by number
    HELPER_ITER_NEXT = 1 << 15,
    HELPER_CASTS = 1 << 16, // the result is the first ARG_OBJECT itself as another type; shares its reference
    HELPER_UNPRIVILEGED = 1 << 17, // programs of unprivileged users may call it
};

// Set of program types: bit 1 << enum prog_type. Types from 64 on (of extensions) are in PROG_TYPES_ALL only.
#define PROG_TYPES_ALL UINT64_MAX

// Several rows may have one number when their program types differ (bpf_get_socket_cookie).
struct helper_row {
    const char *name;               // "bpf_map_lookup_elem"
    uint32_t number[DIALECT_COUNT]; // 0: the dialect has none
    uint64_t prog_types;            // the types that may call it
    uint8_t ret;                    // enum ret_type
    uint8_t args[5];                // enum arg_type, perhaps with ARG_NULLABLE
    uint32_t flags;                 // enum helper_flags
    uint16_t detail[5];             // see enum arg_type
    uint16_t ret_detail;            // see enum ret_type
};

enum field_kind {
    FIELD_SCALAR,
    FIELD_PACKET,
    FIELD_PACKET_END,
    FIELD_PACKET_META,
    FIELD_OBJECT,         // pointer to an object of layout `detail`
    FIELD_OBJECT_OR_NULL, // the same, or NULL
    FIELD_KERNEL, // number or kernel pointer, which may be read, not passed to helpers (VALUE_UNTRUSTED)
};
enum field_access {
    FIELD_READ = 1,
    FIELD_WRITE = 2,
    FIELD_READ_WRITE = 3,
    FIELD_ANY_WRITE = 7,   // stores may have any width, too (naturally aligned, inside the field)
    FIELD_WORD_WRITE = 11, // stores may have 4 or 8 bytes (naturally aligned, inside the field)
};

// A field of a context as programs see it, and where it lives in the runtime's own context (contexts.h).
// Loads may be narrower than a scalar field when naturally aligned; stores and pointer loads must be exact.
// With `unit` the field is an array of units, each of which can only be loaded and stored as a whole.
struct field_row {
    const char *name;
    uint16_t off, size; // bytes, in the program's layout
    uint8_t kind;       // enum field_kind
    uint8_t access;     // enum field_access
    uint16_t native_off,
        native_size; // bytes, in the runtime's context; pointers are 8 bytes there. 0: verify only
    uint8_t unit;    // bytes; 0: see above
    uint8_t detail;  // OBJECT: enum context_layout
};

// A context, or an object that programs get pointers to.
struct layout_row {
    const char *name; // BTF name of the structure
    uint16_t size;    // bytes
    uint16_t field_count;
    const struct field_row *fields;
    bool data_read_only; // programs may not write to what the packet pointers reach
    bool is_probed; // object of the kernel's own: anything may be read; faults read as zeroes. Has no fields
    uint8_t
        base; // enum context_layout: what is also good where this layout is wanted from; see spec_object_is
};

enum prog_type_flags {
    PROG_VERIFY_ONLY = 1 << 0,  // can be verified, not loaded
    PROG_LEGACY_LOADS = 1 << 1, // may use LD_ABS and LD_IND
    PROG_SLEEPABLE = 1 << 2,    // may be sleepable
    PROG_NO_RESULT = 1 << 3,    // r0 may be anything at exit, also unwritten
};

struct prog_type_row {
    const char *name; // "xdp", as bpftool prints it
    uint32_t number[DIALECT_COUNT];
    struct guid guid;
    uint8_t layout[DIALECT_COUNT]; // enum context_layout; LAYOUT_NONE = r1 is raw memory and r2 its length
    // Range that r0 must lie in at exit, as a signed number. [INT64_MIN, INT64_MAX]: anything. See
    // program_exit_range.
    int64_t ret_min, ret_max;
    uint32_t flags; // enum prog_type_flags
};

// Every program type has at least one. Number 0: the dialect has no number for it.
struct attach_type_row {
    const char *name; // "xdp", as libbpf_bpf_attach_type_str prints it
    uint8_t prog_type;
    uint32_t number[DIALECT_COUNT];
    struct guid guid;
    bool has_range; // in a Linux program, r0 must lie in [ret_min, ret_max], not in the program type's range
    int64_t ret_min, ret_max;
    uint8_t layout; // enum context_layout of Linux programs; LAYOUT_NONE: that of the program type
};

// Section name -> program type. `exact` rows match the name or "name/..."; prefix rows what starts with it.
struct section_row {
    const char *prefix;
    uint8_t attach_type;
    bool exact;
    uint8_t dialects; // bit mask of 1 << enum dialect
    bool sleepable;   // programs there may sleep
    bool legacy;      // good enough to verify such a program, not to load it; last choice
};

// An immutable snapshot of all tables. Row arrays are indexed by internal id; row 0 is zeros.
struct spec_view {
    const struct helper_row *helpers;
    uint32_t helper_count;
    const struct map_type_row *map_types;
    uint32_t map_type_count;
    const struct prog_type_row *prog_types;
    uint32_t prog_type_count;
    const struct attach_type_row *attach_types;
    uint32_t attach_type_count;
    const struct layout_row *layouts;
    uint32_t layout_count;
    const struct section_row *sections;
    uint32_t section_count;
    uint64_t generation;
};

// The tables that are compiled in.
const struct spec_view *spec_builtin(void);

// Look-ups by a dialect's number; 0 (…_NONE) when there is no row. A helper's row is the one that `prog_type`
// may call, else any that has the number. Numbers from 0x10000 on mean something else in each program type in
// the Windows dialect: there is no other row then.
uint32_t spec_helper_by_number(const struct spec_view *v, enum dialect d, uint32_t prog_type,
                               uint32_t number);
uint32_t spec_map_type_by_number(const struct spec_view *v, enum dialect d, uint32_t number);
uint32_t spec_prog_type_by_number(const struct spec_view *v, enum dialect d, uint32_t number);
uint32_t spec_attach_type_by_number(const struct spec_view *v, enum dialect d, uint32_t number);
// Kernel function (KFUNC_...) of this name, or HELPER_NONE.
uint32_t spec_kfunc_by_name(const struct spec_view *v, const char *name);
uint32_t spec_map_type_by_name(const struct spec_view *v, const char *name);
uint32_t spec_prog_type_by_name(const struct spec_view *v, const char *name);
uint32_t spec_attach_type_by_name(const struct spec_view *v, const char *name);
uint32_t spec_prog_type_by_guid(const struct spec_view *v, const struct guid *guid);
uint32_t spec_attach_type_by_guid(const struct spec_view *v, const struct guid *guid);
// Attach type that a section name selects (a leading '?' is ignored); the longest matching row wins.
uint32_t spec_attach_type_by_section(const struct spec_view *v, enum dialect d, const char *section);
// Row of a section, also a legacy one, or NULL. Only rows that are not legacy give an attach type above.
const struct section_row *spec_section_row(const struct spec_view *v, enum dialect d, const char *section);
// Programs of this type may call all helpers with these numbers.
bool spec_may_call_all(const struct spec_view *v, enum dialect d, uint32_t prog_type, const uint32_t *numbers,
                       uint32_t count);
// Dialects that have a section of exactly this name or "name/...": bit mask of 1 << enum dialect. What only
// starts like a name speaks for no dialect: objects of both have sections such as "xdp_drop".
unsigned spec_section_dialects(const struct spec_view *v, const char *section);
// First attach type of a program type.
uint32_t spec_default_attach_type(const struct spec_view *v, uint32_t prog_type);

// `helper` may be called by programs of this type and expected attach type (ATTACH_TYPE_NONE: any).
bool spec_helper_allowed(const struct spec_view *v, uint32_t helper, uint32_t prog_type,
                         uint32_t attach_type);
// The ARG_MAP of `helper` may be a map of type `map_type`.
bool spec_helper_takes_map(const struct spec_view *v, uint32_t helper, uint32_t map_type);
// Layout of what programs of this attach type and section get, or LAYOUT_NONE: that of the attach type.
uint32_t spec_target_layout(const struct spec_view *v, uint32_t attach_type, const char *section);
// A pointer to an object of layout `have` may be passed where one of layout `want` is needed.
bool spec_object_is(const struct spec_view *v, uint32_t have, uint32_t want);
// The licence permits helpers with HELPER_GPL.
bool spec_license_is_gpl(const char *license);

// Field of `layout` that an access of `size` bytes at `off` touches: index of the row, or -1 when the access
// does not lie in exactly one field, is not naturally aligned, or is not of a width that the field permits.
int spec_field_find(const struct spec_view *v, uint32_t layout, int32_t off, uint32_t size, bool store);

// --- verdicts: what a program returns, by dialect ------------------------------------------------

enum verdict {
    VERDICT_NONE,
#define VERDICT(prog_type, id, ...) VERDICT_##id,
#include "spec/verdicts.def"
#undef VERDICT
    VERDICT_COUNT
};
struct verdict_row {
    uint8_t prog_type;
    const char *name;
    int32_t value[DIALECT_COUNT]; // -1: the dialect has none
};
const struct verdict_row *spec_verdict_row(unsigned verdict);
// Verdict of a returned value; VERDICT_NONE when the dialect has none of this value.
unsigned spec_verdict(uint32_t prog_type, enum dialect d, uint32_t value);

// --- the canonical program -----------------------------------------------------------------------

// Creation flags of a map (Linux UAPI values).
enum map_flags {
    MAP_FLAG_NO_PREALLOC = 1 << 0,
    MAP_FLAG_RDONLY = 1 << 3,      // user mode may not write
    MAP_FLAG_WRONLY = 1 << 4,      // user mode may not read
    MAP_FLAG_RDONLY_PROG = 1 << 7, // programs may not write
    MAP_FLAG_WRONLY_PROG = 1 << 8, // programs may not read
    MAP_FLAG_MMAPABLE = 1 << 10,
};

// Flags of an XDP attachment (Linux UAPI values, XDP_FLAGS_* of linux/if_link.h).
enum xdp_flags {
    XDP_FLAG_UPDATE_IF_NOEXIST = 1 << 0,
    XDP_FLAG_SKB_MODE = 1 << 1,
    XDP_FLAG_DRV_MODE = 1 << 2,
    XDP_FLAG_HW_MODE = 1 << 3,
    XDP_FLAG_REPLACE = 1 << 4,
    XDP_FLAG_ALL = (1 << 5) - 1,
};

// Parts of a map value that programs may use through helpers only (found through the map's BTF).
enum map_field_kind {
    MAP_FIELD_NONE,
    MAP_FIELD_SPIN_LOCK, // 4 bytes
    MAP_FIELD_TIMER,     // 16 bytes
    MAP_FIELD_WORKQUEUE, // 16 bytes
    MAP_FIELD_KPTR,      // 8 bytes
    MAP_FIELD_OTHER,     // lists, trees: `size` bytes that nobody may touch
};
struct map_field {
    uint32_t off, size; // bytes
    uint32_t kind;      // enum map_field_kind
};
#define MAP_MAX_FIELDS 8

struct map_def {
    uint32_t type;   // enum map_type; MAP_TYPE_NONE: not known here, and the verifier refuses it
    uint32_t number; // the dialect's number of the type, for messages
    uint32_t key_size, value_size, max_entries;
    uint32_t flags; // enum map_flags
    char name[SPEC_NAME_SIZE];
};

// What the verifier may know of a map beyond its definition.
struct map_facts {
    bool has_inner; // `inner`: index in program.maps of the template of the inner maps of a map of maps
    uint32_t inner;
    uint32_t field_count;
    struct map_field fields[MAP_MAX_FIELDS]; // sorted by offset
    // Value of a frozen array with one element (MAP_FLAG_RDONLY_PROG): value_size bytes that never change;
    // NULL: not known.
    const uint8_t *contents;
};

// Contract of a global function, from its BTF.
enum func_arg_kind {
    FUNC_ARG_NONE,
    FUNC_ARG_SCALAR,
    FUNC_ARG_CTX,
    FUNC_ARG_MEM, // pointer to `size` bytes that may be null
    FUNC_ARG_MEM_NONNULL,
    FUNC_ARG_UNKNOWN, // a type that no contract can be made of
};
struct func_arg {
    uint32_t kind; // enum func_arg_kind
    uint32_t size; // bytes, MEM only
};

struct func_contract {
    bool known; // false: the function has no BTF
    bool returns_void;
    struct func_arg args[5];
};

// A function of the program: [start, end) in slots. Function 0 is the entry and starts at slot 0.
struct func {
    uint32_t start, end;
    uint32_t global; // 1: verified against its BTF contract, 0: static
    char name[SPEC_NAME_SIZE];
};

// Source line of the instructions from `pc` on (BTF.ext line info); sorted by pc. Offsets into
// program.strings.
struct line {
    uint32_t pc;
    uint32_t file_off, text_off;
    uint32_t line, column;
};

// A program in canonical form: dialect-free but for `dialect`, which selects the context layout, the verdicts
// and the numbers that callx takes. Helper ids are internal, maps are indices into `maps`. Memory belongs to
// whoever made it (arena or message); all pointers are valid for the stated counts.
struct program {
    uint32_t type;        // enum prog_type
    uint32_t attach_type; // enum attach_type, expected
    uint32_t dialect;     // enum dialect
    const struct insn *insns;
    uint32_t insn_count; // slots
    const struct func *funcs;
    uint32_t func_count; // at least 1
    const struct map_def *maps;
    uint32_t map_count;
    const struct map_facts *map_facts;     // map_count rows, or NULL: nothing is known
    const struct func_contract *contracts; // func_count rows, or NULL: nothing is known
    const struct line *lines;
    uint32_t line_count;
    const char *strings; // NUL-terminated strings one after another; offset 0 is ""
    uint32_t strings_size;
    char name[SPEC_NAME_SIZE];
    char section[SPEC_NAME_SIZE];
    char license[SPEC_NAME_SIZE];
    bool sleepable;
    const uint8_t *source; // the bytes that it came in, or NULL
    uint32_t source_size;
};

// Structural invariants that every consumer relies on: counts in range, functions tile [0, insn_count), first
// function at 0, known insn ids and registers, LDDW pairs whole, jumps and calls inside their function
// (calls: to a function start), map indices in range, type and dialect known, lines sorted, strings
// terminated. Helper ids and map types may be unknown (see struct insn and map_def): the verifier refuses
// them with a finding. The core checks what it receives with this before anything else. On failure `*bad_pc`
// is the slot where one can be named, else UINT32_MAX, and `*why` a static sentence.
ebpf_result_t program_check(const struct spec_view *v, const struct program *p, uint32_t *bad_pc,
                            const char **why) MUST_CHECK;
// Line row that covers `pc`, or NULL.
const struct line *program_line(const struct program *p, uint32_t pc);
const char *program_string(const struct program *p, uint32_t off);
// A call that the object reader could not make sense of has a number from here on, and is refused only when
// it is reached: the number's offset into program.strings is the reason. NULL for other instructions.
#define PROGRAM_POISON 0x40000000
const char *program_poison(const struct program *p, const struct insn *in);
// A program that can be verified may still need what cannot be run here: its type, a map's type, a helper, a
// kernel function. EBPF_OPERATION_NOT_SUPPORTED then, with `*bad_pc` and `*why` as of program_check, which
// comes first; `*name` is that of the row, or "".
ebpf_result_t program_check_loadable(const struct spec_view *v, const struct program *p, uint32_t *bad_pc,
                                     const char **why, const char **name) MUST_CHECK;
// Layout of the program's context. It may depend on the section's name: what "tp_btf/sched_switch" gets has
// types of its own.
uint32_t program_layout(const struct spec_view *v, const struct program *p);
// Range that r0 must lie in at exit, as a signed 64-bit number. False: nothing need be known of it; it need
// not even have been written (struct_ops).
bool program_exit_range(const struct spec_view *v, const struct program *p, int64_t *min, int64_t *max);
// Index of the function that holds `pc`; p->func_count if none.
uint32_t program_func_at(const struct program *p, uint32_t pc);

// --- evidence ------------------------------------------------------------------------------------

// Evidence of verification (design, section 4): versioned bytes made by the verifier.
struct evidence {
    const uint8_t *bytes;
    size_t size;
};
// Evidence format 1, little endian: u32 magic, u32 format, u32 insn_count, u32 mark_count, then mark_count
// times {u32 pc, u32 field}: instruction `pc` accesses field `field` of the program's context layout. Sorted
// by pc.
#define EVIDENCE_MAGIC  0x45766245u
#define EVIDENCE_FORMAT 1u
