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

// Internal ids: rows of the .def files in order, append-only. 0 is "none" in each.
enum map_type {
    MAP_TYPE_NONE,
#define MAP_TYPE(id, ...) MAP_TYPE_##id,
#include "spec/map_types.def"
#undef MAP_TYPE
    MAP_TYPE_COUNT
};

enum prog_type {
    PROG_TYPE_NONE,
#define PROG_TYPE(id, ...) PROG_TYPE_##id,
#include "spec/prog_types.def"
#undef PROG_TYPE
    PROG_TYPE_COUNT
};

enum attach_type {
    ATTACH_TYPE_NONE,
#define ATTACH_TYPE(id, ...) ATTACH_TYPE_##id,
#include "spec/attach_types.def"
#undef ATTACH_TYPE
    ATTACH_TYPE_COUNT
};

enum helper_id {
    HELPER_NONE,
#define HELPER(id, ...) HELPER_##id,
#include "spec/helpers.def"
#undef HELPER
    HELPER_COUNT
};

enum context_layout {
    LAYOUT_NONE,
#define LAYOUT(id, ...) LAYOUT_##id,
#define FIELD(...)
#include "spec/contexts.def"
#undef LAYOUT
#undef FIELD
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
    MAP_KEY_IS_INDEX = 1 << 0, // u32 key below max_entries
    MAP_PER_CPU = 1 << 1,      // one value per CPU; user mode sees all of them, each rounded up to 8 bytes
    MAP_FIXED = 1 << 2,        // elements exist from creation on and cannot be deleted
};

struct map_type_row {
    const char *name; // "percpu_array", as bpftool prints it
    uint32_t number[DIALECT_COUNT];
    uint32_t flags; // enum map_type_flags
};

enum arg_type {
    ARG_NONE,
    ARG_ANYTHING,         // any initialised value
    ARG_SCALAR,           // a number; pointers are refused
    ARG_SCALAR_OR_NONE,   // a number, or a register that was never written (variadic tail)
    ARG_CTX,              // pointer to the context, unmodified
    ARG_MAP,              // constant pointer to a map
    ARG_MAP_KEY,          // readable memory of the preceding map's key size
    ARG_MAP_VALUE,        // readable memory of the preceding map's value size
    ARG_MEM_READ,         // readable memory; the next argument is its size
    ARG_MEM_READ_OR_NULL, // the same, or NULL when the size is 0
    ARG_MEM_WRITE,        // writable memory, may be uninitialised: the helper writes all of it; size follows
    ARG_MEM_COPY, // writable memory, may be uninitialised: the helper writes the first bytes, as many as
                  // the readable memory among its arguments has, or zeroes everything; size follows
    ARG_MEM_READ_WRITE, // readable and writable memory; the next argument is its size
    ARG_SIZE,           // size of the preceding memory, at least 1
    ARG_SIZE_OR_ZERO,   // size of the preceding memory
};

enum ret_type {
    RET_INTEGER,           // any 64-bit number
    RET_U32,               // zero-extended 32-bit number
    RET_INT32,             // number in [-2^31, 2^31)
    RET_MAP_VALUE_OR_NULL, // pointer to a value of the first argument's map
};

enum helper_flags {
    HELPER_CHANGES_PACKET = 1 << 0, // all packet pointers and packet facts die
};

struct helper_row {
    const char *name;               // "bpf_map_lookup_elem"
    uint32_t number[DIALECT_COUNT]; // 0: the dialect has none
    uint8_t prog_type;              // enum prog_type; PROG_TYPE_NONE = any type may call it
    uint8_t ret;                    // enum ret_type
    uint8_t args[5];                // enum arg_type
    uint16_t flags;                 // enum helper_flags
};

enum field_kind { FIELD_SCALAR, FIELD_PACKET, FIELD_PACKET_END, FIELD_PACKET_META };
enum field_access { FIELD_READ = 1, FIELD_WRITE = 2, FIELD_READ_WRITE = 3 };

// A field of a context as programs see it, and where it lives in the runtime's own context (contexts.h).
// Loads may be narrower than a scalar field when naturally aligned; stores and pointer loads must be exact.
struct field_row {
    const char *name;
    uint16_t off, size;               // bytes, in the program's layout
    uint8_t kind;                     // enum field_kind
    uint8_t access;                   // enum field_access
    uint16_t native_off, native_size; // bytes, in the runtime's context; pointers are 8 bytes there
};

struct layout_row {
    const char *name; // BTF name of the structure
    uint16_t size;    // bytes
    uint16_t field_count;
    const struct field_row *fields;
    bool data_read_only; // programs may not write to what the packet pointers reach
};

struct prog_type_row {
    const char *name; // "xdp", as bpftool prints it
    uint32_t number[DIALECT_COUNT];
    struct guid guid;
    uint8_t layout[DIALECT_COUNT]; // enum context_layout; LAYOUT_NONE = r1 is raw memory and r2 its length
    int64_t ret_min, ret_max;      // range that r0 must lie in at exit (as signed 32-bit number)
};

struct attach_type_row {
    const char *name; // "xdp", as libbpf_bpf_attach_type_str prints it
    uint8_t prog_type;
    uint32_t number[DIALECT_COUNT];
    struct guid guid;
};

// Section name -> program type. `exact` rows match the name or "name/..."; prefix rows what starts with it.
struct section_row {
    const char *prefix;
    uint8_t attach_type;
    bool exact;
    uint8_t dialects; // bit mask of 1 << enum dialect
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

// Look-ups by a dialect's number; 0 (…_NONE) when there is no row. Helper numbers from 0x10000 on are
// scoped by program type in the Windows dialect.
uint32_t spec_helper_by_number(const struct spec_view *v, enum dialect d, uint32_t prog_type,
                               uint32_t number);
uint32_t spec_map_type_by_number(const struct spec_view *v, enum dialect d, uint32_t number);
uint32_t spec_prog_type_by_number(const struct spec_view *v, enum dialect d, uint32_t number);
uint32_t spec_attach_type_by_number(const struct spec_view *v, enum dialect d, uint32_t number);
uint32_t spec_map_type_by_name(const struct spec_view *v, const char *name);
uint32_t spec_prog_type_by_name(const struct spec_view *v, const char *name);
uint32_t spec_attach_type_by_name(const struct spec_view *v, const char *name);
uint32_t spec_prog_type_by_guid(const struct spec_view *v, const struct guid *guid);
uint32_t spec_attach_type_by_guid(const struct spec_view *v, const struct guid *guid);
// Attach type that a section name selects (a leading '?' is ignored); the longest matching row wins.
uint32_t spec_attach_type_by_section(const struct spec_view *v, enum dialect d, const char *section);
// Dialects that have a section of exactly this name or "name/...": bit mask of 1 << enum dialect. What only
// starts like a name speaks for no dialect: objects of both have sections such as "xdp_drop".
unsigned spec_section_dialects(const struct spec_view *v, const char *section);
// First attach type of a program type.
uint32_t spec_default_attach_type(const struct spec_view *v, uint32_t prog_type);

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

struct map_def {
    uint32_t type;   // enum map_type; MAP_TYPE_NONE: not known here, and the verifier refuses it
    uint32_t number; // the dialect's number of the type, for messages
    uint32_t key_size, value_size, max_entries;
    uint32_t flags; // enum map_flags
    char name[SPEC_NAME_SIZE];
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
    const struct line *lines;
    uint32_t line_count;
    const char *strings; // NUL-terminated strings one after another; offset 0 is ""
    uint32_t strings_size;
    char name[SPEC_NAME_SIZE];
    char section[SPEC_NAME_SIZE];
    char license[SPEC_NAME_SIZE];
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
