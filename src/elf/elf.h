// SPDX-License-Identifier: MIT
// elf: the door of the object reader: ELF64 relocatable objects for BPF + BTF -> programs and maps in
// canonical form. A function from bytes to bytes; nothing in the object is trusted. Memory comes from the
// caller's arena and lives as long as it; the object's own bytes may be dropped after elf_open (whatever is
// kept is copied).
#pragma once

#include "base/base.h"
#include "isa/isa.h"
#include "spec/spec.h"

#define ELF_MAX_SIZE (64u << 20) // bytes of one object

struct elf_error {
    char section[SPEC_NAME_SIZE]; // "" when no section is to blame
    char message[256];            // one line for people
};

struct elf_options {
    const struct spec_view *spec;
    bool dialect_given; // `dialect` was asked for by the user and beats every hint in the object
    enum dialect dialect;
    enum dialect platform_default;
    const char *name; // object name for the maps of global data ("<name>.rodata"); NULL: "object"
    // Types that CO-RE relocations are resolved against, as bytes of a .BTF section or of an ELF file that
    // has one; NULL: the object's own. Bytes that are no BTF fail the object only when it has such
    // relocations.
    const void *target_btf;
    size_t target_btf_size;
    const char *kconfig; // values of extern variables of .kconfig, "NAME=value" lines; NULL: none is known
};

enum elf_map_kind { ELF_MAP_USER, ELF_MAP_RODATA, ELF_MAP_DATA, ELF_MAP_BSS, ELF_MAP_KCONFIG };

struct elf_map {
    struct map_def def;
    uint8_t kind;           // enum elf_map_kind
    bool legacy;            // from a `maps` section
    uint32_t pinning;       // 0 none, 1 by name (LIBBPF_PIN_BY_NAME), else as the object has it
    const char *section;    // ".maps", ".rodata.str1.1", ...
    const uint8_t *initial; // def.value_size bytes for RODATA, DATA and KCONFIG, else NULL (BSS: zeroes)
    uint32_t btf_key_type, btf_value_type; // ids in `btf`, 0 = none
    uint32_t inner; // of a map of maps: 1 + index of the inner maps' template in elf_object.maps; 0 = none
    const char *unknown;  // KCONFIG: a variable that has no value (the map cannot be loaded then), or NULL
    uint32_t field_count; // parts of the value that programs may use through helpers only
    struct map_field fields[MAP_MAX_FIELDS];
};

// A program as the object has it: decoded instructions with calls, data and maps resolved within the object.
// Call immediates still hold helper numbers and `maps` indexes the object's maps: elf_program_canonical does
// the rest, once the type is known.
struct elf_program {
    const char *name, *section;
    bool autoload;  // false for "?section"
    bool sleepable; // the section says so ("lsm.s/...")
    // No program: other code calls it, and its section is of no type. `insns` call it for any numbers as
    // arguments.
    bool is_function;
    uint32_t attach_type;        // from the section name, ATTACH_TYPE_NONE when it says nothing
    uint32_t likely_attach_type; // the same, or a guess that is good enough to verify the program
    uint32_t insn_count;         // slots, subprograms included
    const struct insn *insns;    // map references are indices into elf_object.maps
    const struct func *funcs;
    const uint32_t *func_types; // ids of the functions' FUNCs in `btf`, 0 = none
    uint32_t func_count;
    const struct line *lines;
    uint32_t line_count;
};

struct elf_object {
    const char *license; // "" when missing
    bool has_license;
    uint32_t kernel_version;
    enum dialect dialect;
    struct elf_map *maps;
    uint32_t map_count;
    uint32_t template_count; // templates of inner maps follow in `maps`: they are described, never created
    struct elf_program *programs;
    uint32_t program_count;
    const uint8_t *btf; // raw .BTF, or NULL
    uint32_t btf_size;
    const struct btf *types;     // the same, parsed, or NULL
    const struct elf_tags *tags; // of parameters of functions, or NULL (elf_contract.c)
    const char *strings;         // of the lines and of poison
    uint32_t strings_size;
};

// Of a native module, its object is opened. Time is linear in `size`, memory up to some 40 times `size` and,
// where programs share large subprograms, some 300 MB more: give the arena a limit. Objects above
// ELF_MAX_SIZE are refused. EBPF_ELF_PARSING_FAILED with *error filled, EBPF_NO_MEMORY,
// EBPF_OPERATION_NOT_SUPPORTED (a valid object that uses what is not supported; *error says what).
ebpf_result_t elf_open(const void *bytes, size_t size, const struct elf_options *options, struct arena *arena,
                       struct elf_object *out, struct elf_error *error) MUST_CHECK;

// Canonical form of program `index` as `prog_type`/`attach_type`: helper numbers become ids, maps become
// indices into out->maps. map_of[i] is the index in object->maps of out->maps[i] (SPEC_MAX_MAPS entries);
// from object->map_count on it is a template.
ebpf_result_t elf_program_canonical(const struct elf_object *object, uint32_t index,
                                    const struct spec_view *spec, uint32_t prog_type, uint32_t attach_type,
                                    struct arena *arena, struct program *out, uint32_t map_of[SPEC_MAX_MAPS],
                                    struct elf_error *error) MUST_CHECK;

// --- native modules: images that hold an object file (elf_module.c, pe_module.c) -------------------

// The section of an image that holds the object which its programs were made of: 8 bytes, ELF_MODULE_MAGIC;
// the object's size as u64; the object's bytes. What follows is padding. Neither symbols nor relocations are
// needed to find it.
#define ELF_MODULE_SECTION ".ebpfobj" // 8 letters, as many as PE has room for; ELF has a NUL behind them
#define ELF_MODULE_MAGIC   "EbFobj\0\1"

enum elf_image_format { ELF_IMAGE_NONE, ELF_IMAGE_ELF, ELF_IMAGE_PE };
enum elf_image_machine { ELF_MACHINE_OTHER, ELF_MACHINE_X86_64, ELF_MACHINE_ARM64 };

struct elf_module {
    enum elf_image_format format;
    enum elf_image_machine machine;
    bool is_driver;     // PE: for the kernel
    bool writable_code; // some of it is to be writable and executable; ELF: or the stacks of whoever loads it
    const uint8_t *object;
    size_t object_size;
};

// What the first bytes say: a shared object for another machine than BPF, a PE image, or neither.
enum elf_image_format elf_image_format(const void *bytes, size_t size);
const char *elf_image_machine_name(enum elf_image_machine machine); // "x86_64"
// Finds the object inside an image that is whole: all parts that its headers name lie inside the file.
// EBPF_ELF_PARSING_FAILED with *error filled. out->object points into `bytes`.
ebpf_result_t elf_module_open(const void *bytes, size_t size, struct elf_module *out,
                              struct elf_error *error) MUST_CHECK;
