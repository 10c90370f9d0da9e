// SPDX-License-Identifier: MIT
// gen_toolchain: the compilers that make native modules, for `bpftool gen native`.
#pragma once

#include "cli/cli_int.h"

enum { GEN_PATH_SIZE = 1024 };

// What a module can be for. NULL, with a message, when `name` is none of them.
struct gen_target {
    const char *name, *extension;
    bool is_pe, is_driver;
};
const struct gen_target *gen_target_find(struct cli *c, const char *name);
int gen_arch_check(struct cli *c, const char *name);

// Compiles FOLDER/module.c with the headers beside it to `module`, in the same folder, by the first compiler
// that is there, for processors like `cpu` (NULL: all). 0, or a status with a message.
int gen_compile(struct cli *c, const struct gen_target *target, const char *arch, const char *cpu,
                const char *folder, const char *module);
// Files that it may have made in the folder.
extern const char *const gen_files[];

// gen_pe.c: what linkers leave out. Writes the checksum of a PE image into its header. False: it is none.
bool gen_pe_finish(uint8_t *image, size_t size);
