// SPDX-License-Identifier: MIT
// bench_engine: the table by which an engine joins a benchmark: a shared object exports `bk_engines`, which
// ends with an entry without name.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef uint64_t (*bk_fn)(void *mem, size_t len);

struct bk_engine {
    const char *name;
    // Bytecode whose first byte is the entry. A handle, or NULL: refused.
    void *(*load)(const void *insns, size_t bytes);
    // Machine code to call, or NULL: `run` is used.
    bk_fn (*entry)(void *handle);
    uint64_t (*run)(void *handle, void *mem, size_t len);
    void (*unload)(void *handle);
};
extern const struct bk_engine bk_engines[];
