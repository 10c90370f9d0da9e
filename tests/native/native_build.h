// SPDX-License-Identifier: MIT
// native_build: C files to modules in this process: written, compiled with a compiler of this machine, and
// loaded. For tests and benchmarks.
#pragma once

#include "cgen/cgen.h"
#include "ebpf_native.h"

struct native_module {
    void *handle;
    const struct ebpf_native_module *table;
};

// Path of a compiler ("clang", "gcc", ...) or false when this machine has none of that name.
bool native_has_compiler(const char *name);
// A compiler that this machine has, or NULL. NATIVE_COMPILER in the environment comes first.
const char *native_any_compiler(void);
// Writes the module's text to `path`. False: *error tells.
bool native_write(const struct cgen_input *input, const char *path, struct cgen_error *error);
// Writes, compiles with "COMPILER FLAGS" and loads it. False: it has printed why. NULL for `keep`: the folder
// that it works in goes away.
bool native_build(const struct cgen_input *input, const char *compiler, const char *flags,
                  struct native_module *out);
void native_unload(struct native_module *m);
// What nearly everybody wants.
#define NATIVE_FLAGS "-O2 -std=gnu17 -Wall -Werror -fno-strict-aliasing"
// Undefined behaviour traps.
#define NATIVE_UBSAN                                                                                         \
    "-O1 -std=gnu17 -Wall -Werror -fsanitize=undefined -fno-sanitize-recover=all "                           \
    "-fsanitize-undefined-trap-on-error"

// --- programs that nothing has verified ----------------------------------------------------------

// A program of type raw_memory over `insns`; functions are what calls go to. Memory is the arena's. False: no
// memory, or a call goes nowhere.
bool native_program(const struct insn *insns, uint32_t count, struct arena *arena, struct program *out);
// A module of one such program, whose calls go by number.
bool native_build_raw(const struct insn *insns, uint32_t count, const char *compiler, const char *flags,
                      struct native_module *out);
