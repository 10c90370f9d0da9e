// SPDX-License-Identifier: MIT
// tiny_program: the smallest canonical program around two instructions, for tests of what carries programs
// about.
#pragma once

#include "spec/spec.h"

#define TINY_INSNS 2

// A raw-memory program of the Linux dialect without maps; the caller changes what it wants otherwise.
static inline struct program tiny_program(const struct insn insns[TINY_INSNS], const char *name)
{
    static const struct func funcs[] = {{0, TINY_INSNS, 0, "main"}};
    struct program p = {.type = PROG_TYPE_RAW_MEMORY,
                        .attach_type = ATTACH_TYPE_RAW_MEMORY,
                        .dialect = DIALECT_LINUX,
                        .insns = insns,
                        .insn_count = TINY_INSNS,
                        .funcs = funcs,
                        .func_count = 1,
                        .strings = "",
                        .strings_size = 1,
                        .section = "raw_memory",
                        .license = "MIT"};
    str_copy(p.name, sizeof(p.name), name);
    return p;
}
