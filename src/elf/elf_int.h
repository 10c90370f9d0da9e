// SPDX-License-Identifier: MIT
// elf_int: what the files of this folder share. One loader exists for the time of one elf_open; everything
// that it points to lies in the arena or in the object's own bytes. Invariants: every index, offset and
// string in sections, symbols and functions was checked when it was read; strings end inside tables that end
// with NUL; the bytes of all sections together are not more than the file, so that work per section is linear
// in the file.
#pragma once

#include "elf/btf.h"
#include "elf/elf.h"

#define ELF_NO_INDEX  UINT32_MAX
#define ELF_MAX_NAME  1023u       // bytes of a section's, function's or variable's name
#define ELF_TEMPLATE  0x80000000u // elf_map.inner while maps are collected: index in the loader's templates
#define ELF_MAX_SLOTS (4u << 20)  // instructions of all programs, subprograms counted once a program

// ELF constants (System V ABI; machine number and relocations: LLVM's BPF target).
enum {
    ELF_NULL = 0,
    ELF_PROGBITS = 1,
    ELF_SYMTAB = 2,
    ELF_STRTAB = 3,
    ELF_RELA = 4,
    ELF_NOBITS = 8,
    ELF_REL = 9
};
enum { ELF_FLAG_EXEC = 4 };
enum { ELF_UNDEFINED = 0, ELF_RESERVED = 0xff00, ELF_COMMON = 0xfff2 };
enum { ELF_SYM_NOTYPE = 0, ELF_SYM_OBJECT = 1, ELF_SYM_FUNC = 2, ELF_SYM_SECTION = 3, ELF_SYM_FILE = 4 };
enum { ELF_BIND_LOCAL = 0, ELF_BIND_GLOBAL = 1, ELF_BIND_WEAK = 2 };
enum { ELF_HIDDEN_INTERNAL = 1, ELF_HIDDEN = 2 };

enum elf_role { ELF_ROLE_NONE, ELF_ROLE_CODE, ELF_ROLE_DATA, ELF_ROLE_MAPS, ELF_ROLE_LEGACY_MAPS };

struct elf_section {
    const char *name;
    const uint8_t *data; // NULL when the section has no bytes in the file
    uint64_t size;
    uint64_t flags;
    uint32_t type, link, info;
    uint8_t role;       // enum elf_role
    uint8_t map_kind;   // DATA: enum elf_map_kind
    bool text;          // CODE: holds subprograms (.text, .text.*)
    bool has_functions; // CODE: some symbol says FUNC
    bool has_entries;   // CODE: some function is not static
    uint32_t slots;     // CODE
    struct insn *insns; // CODE: decoded, then relocated in place
    uint32_t map;       // DATA: index of its map
    uint32_t datasec;   // id of its DATASEC in BTF, 0 = none
};

struct elf_symbol {
    const char *name;
    uint64_t value, size;
    uint16_t section; // below section_count, or at least ELF_RESERVED
    uint8_t type, bind, visibility;
};

// A function: slots [start, end) of a code section. Sorted by section and start; they do not overlap.
struct elf_func {
    const char *name;
    uint32_t section, start, end;
    uint32_t btf;       // id of its FUNC, 0 = none
    bool is_static;     // by its symbol
    bool is_hidden;     // by its symbol: a static function for the verifier
    bool btf_global;    // by its FUNC
    bool is_label;      // no symbol says FUNC
    bool is_referenced; // some code calls it or takes its address
    uint32_t user;      // last program that took it, counted from 1
    uint32_t position;  // first slot in that program
};

// A key with what it stands for; sorted arrays of them are this folder's only index.
struct elf_pair {
    uint64_t key;
    uint32_t value;
};

struct elf_pairs {
    struct elf_pair *items;
    uint32_t count;
};

// A variable or function of .kconfig or .ksyms.
struct elf_extern {
    const char *name;
    uint32_t off;  // KCONFIG: in the value of the map
    uint32_t type; // function: id of its FUNC
    bool is_kconfig, is_func;
};

// A CO-RE relocation of .BTF.ext (elf_core.c).
struct elf_core_relo {
    uint32_t section, slot;
    uint32_t type, access_off, kind; // id and string of .BTF, below BTF's counts; enum core_kind
};

struct elf_line {
    uint32_t slot; // in its section
    uint32_t file_off, text_off, line, column;
};

struct elf_loader {
    const struct elf_options *options;
    struct arena *arena;
    struct arena *scratch; // for what elf_open needs itself
    struct elf_error *error;
    struct reader file;
    struct elf_section *sections;
    uint32_t section_count;
    uint32_t names_section; // of section names
    uint32_t symtab;        // section, ELF_NO_INDEX = none
    struct elf_symbol *symbols;
    uint32_t symbol_count;
    struct elf_func *funcs;
    uint32_t func_count;
    struct elf_pairs section_names; // hash of the name -> section
    struct elf_pairs symbol_names;  // hash of name and section -> symbol
    struct elf_pairs map_places;    // section << 32 | offset -> map
    struct elf_pairs line_places;   // section << 32 | slot -> row of `lines`
    struct elf_line *lines;
    bool has_btf;
    struct btf btf;
    struct elf_extern *externs;
    struct elf_pairs extern_names; // hash of the name -> row of `externs`
    uint32_t kconfig_map;          // ELF_NO_INDEX = none
    struct elf_map *templates;     // of inner maps, until they follow the maps
    uint32_t template_count;
    uint32_t field_steps; // taken by elf_find_fields so far
    struct elf_core_relo *core_relos;
    uint32_t core_count;
    struct elf_target *target; // types that CO-RE relocations are resolved against (elf_core.c)
    char *texts;               // why instructions are poisoned; they follow the strings of .BTF
    uint32_t texts_size, texts_capacity;
    bool is_ancient;      // from before BPF had a machine number
    bool value_in_addend; // addends already hold their symbol's value (elf_reloc.c)
    struct elf_object *object;
};

// In the instructions of a section, `reserved` says that a relocation wrote the entry; CALL_LOCAL and
// LDDW_CODE then hold the index of the function in `imm`.
enum { ELF_RAW = 0, ELF_RELOCATED = 1 };

static inline uint64_t elf_place(uint32_t section, uint32_t off)
{
    return (uint64_t)section << 32 | off;
}

// --- elf_index.c ---------------------------------------------------------------------------------

// Fills the error (section may be NULL) and returns EBPF_ELF_PARSING_FAILED.
ebpf_result_t elf_fail(struct elf_loader *l, const struct elf_section *section, const char *fmt, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK;
// The same for EBPF_OPERATION_NOT_SUPPORTED and EBPF_NO_MEMORY.
ebpf_result_t elf_refuse(struct elf_loader *l, const struct elf_section *section, const char *fmt, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK;
ebpf_result_t elf_no_memory(struct elf_loader *l) MUST_CHECK;
void elf_error_set(struct elf_error *error, const char *section, const char *fmt, ...) PRINTF_LIKE(3, 4);

// Replaces what is no printable ASCII.
void elf_make_printable(char *text);

// Sorts by key, then value. In place, n log n.
void elf_pairs_sort(struct elf_pairs *pairs);
// Keeps the last pair of each key of a sorted array.
void elf_pairs_unique(struct elf_pairs *pairs);
// First position whose key is at least `key`.
uint32_t elf_pairs_from(const struct elf_pairs *pairs, uint64_t key);
// Value of the first pair with `key`; ELF_NO_INDEX if none.
uint32_t elf_pairs_find(const struct elf_pairs *pairs, uint64_t key);

// Key of a name within a scope (a section, or 0).
uint64_t elf_name_key(const char *name, uint32_t scope);
// Key of the first `length` bytes of a name.
uint64_t elf_bytes_key(const char *name, uint32_t length);
// Length up to ELF_MAX_NAME + 1.
uint32_t elf_name_length(const char *name);
uint32_t elf_find_section(const struct elf_loader *l, const char *name);
uint32_t elf_find_symbol(const struct elf_loader *l, const char *name, uint32_t section);
// Function that starts at `slot` of `section`; ELF_NO_INDEX if none.
uint32_t elf_find_func(const struct elf_loader *l, uint32_t section, uint32_t slot);

// --- elf_extern.c --------------------------------------------------------------------------------

// Makes instruction `slot` one that is refused, for the reason `why`, when it is reached.
ebpf_result_t elf_poison(struct elf_loader *l, struct elf_section *code, uint32_t slot,
                         const char *why) MUST_CHECK;
// Sets the object's strings: those of .BTF and the texts of poison.
ebpf_result_t elf_join_texts(struct elf_loader *l) MUST_CHECK;
// Resolves a call or 64-bit load of an undefined symbol.
ebpf_result_t elf_refer_extern(struct elf_loader *l, struct elf_section *code, uint32_t slot,
                               const struct elf_symbol *symbol) MUST_CHECK;

// --- elf_contract.c ------------------------------------------------------------------------------

// Decl tags of parameters: function << 32 | parameter -> id of the tag.
struct elf_tags {
    const struct btf *btf;
    struct elf_pairs pairs;
};
ebpf_result_t elf_collect_tags(const struct btf *btf, struct arena *arena, struct elf_tags **out) MUST_CHECK;
// Contracts of a program's functions, those of its global ones known; NULL when it has none. `context`: the
// name of the context's type, or "". EBPF_NO_MEMORY.
ebpf_result_t elf_make_contracts(const struct elf_object *object, const struct elf_program *p,
                                 const char *context, struct arena *arena,
                                 const struct func_contract **out) MUST_CHECK;

// --- In order of use -----------------------------------------------------------------------------

ebpf_result_t elf_read_all(struct elf_loader *l) MUST_CHECK;     // elf_read.c: sections, symbols
ebpf_result_t elf_collect_code(struct elf_loader *l) MUST_CHECK; // elf_code.c: instructions, functions
ebpf_result_t elf_read_btf(struct elf_loader *l) MUST_CHECK;     // elf_btf.c: types, lines, linkage
bool elf_is_entry(const struct elf_loader *l, const struct elf_func *f); // elf_code.c: a program of its own
void elf_choose_dialect(struct elf_loader *l);                           // elf_dialect.c
ebpf_result_t elf_collect_maps(struct elf_loader *l) MUST_CHECK;         // elf_maps.c
// elf_btf_maps.c: number of variables in .maps at most; appends their maps to the object's.
uint32_t elf_btf_map_bound(const struct elf_loader *l);
ebpf_result_t elf_collect_btf_maps(struct elf_loader *l) MUST_CHECK;
// elf_maps.c: sets type and number of a definition from the dialect's number.
void elf_map_set_type(const struct elf_loader *l, struct map_def *def, uint32_t number);
// elf_maps.c: describes an array of one element that holds a section's data.
void elf_data_map(struct elf_loader *l, const char *section, uint32_t size, enum elf_map_kind kind,
                  struct elf_map *out);
// elf_fields.c: finds the parts of a map's value that only helpers may use.
void elf_find_fields(struct elf_loader *l, struct elf_map *map);
ebpf_result_t elf_collect_externs(struct elf_loader *l) MUST_CHECK;  // elf_extern.c; may append a map
ebpf_result_t elf_relocate_core(struct elf_loader *l) MUST_CHECK;    // elf_core.c
ebpf_result_t elf_relocate(struct elf_loader *l) MUST_CHECK;         // elf_reloc.c
ebpf_result_t elf_collect_programs(struct elf_loader *l) MUST_CHECK; // elf_programs.c
ebpf_result_t elf_guess_types(struct elf_loader *l) MUST_CHECK;      // elf_guess.c
