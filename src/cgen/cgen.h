// SPDX-License-Identifier: MIT
// cgen: the door of the translation of canonical programs to C, for native modules: a function from programs,
// their maps and their evidence to the text of one C file that includes <ebpf_native.h>. Pure: memory comes
// from the caller's arena, the text goes to a sink.
//
// The expressions are those of isa/isa_ops.def. What cannot be translated is an error that names the
// instruction; nothing is left out silently.
#pragma once

#include "base/base.h"
#include "isa/isa.h"
#include "proto/proto.h"
#include "spec/spec.h"

struct cgen_map {
    struct map_def def;
    uint32_t kind;          // enum elf_map_kind
    uint32_t pinning;       // 0 none, 1 by name
    uint32_t inner;         // 1 + index of the inner maps' template; 0 = none
    const uint8_t *initial; // def.value_size bytes, or NULL: zeroes
};

// A program that was verified, and what the verifier gave for it.
struct cgen_program {
    const struct program *program;
    struct evidence evidence;
    const uint32_t *map_of; // index in cgen_input.maps of each map of the program
};

struct cgen_input {
    const struct spec_view *spec;
    const struct proto_hasher *hasher;
    const char *name;    // of the object
    const char *version; // of the generator
    const struct cgen_program *programs;
    uint32_t program_count;
    const struct cgen_map *maps;
    uint32_t map_count;
    const uint8_t *object_digest; // SHA-256 of the object file, or NULL
    const uint8_t *object;        // the object file, which goes into the module as it is; NULL: it does not
    size_t object_size;
    uint32_t btf_off, btf_size; // its .BTF; size 0: none
    bool raw;                   // no helpers: all calls go by number, as numbers are in the instructions
    bool lines;                 // #line directives: debuggers show the programs' source
    bool driver;                // with what a Windows driver needs (ebpf_native_driver.h)
};

struct cgen_sink {
    void (*put)(void *user, const char *text, size_t size);
    void *user;
};

struct cgen_error {
    uint32_t program; // index; UINT32_MAX: the module
    uint32_t pc;      // UINT32_MAX: the program as a whole
    char why[160];    // one line for people
};

// EBPF_OPERATION_NOT_SUPPORTED with *error when a program uses what has no translation; EBPF_INVALID_ARGUMENT
// with *error when the evidence does not fit the program; EBPF_NO_MEMORY; EBPF_FAILED when the hasher fails.
// The programs have passed program_check. Nothing of the text is good after an error.
ebpf_result_t cgen_write(const struct cgen_input *input, const struct cgen_sink *sink, struct arena *arena,
                         struct cgen_error *error) MUST_CHECK;
