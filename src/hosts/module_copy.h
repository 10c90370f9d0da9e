// SPDX-License-Identifier: MIT
// module_copy: a file of code as it was at one moment: what is checked is what runs. Linux.
//
// Who may have code run here: the file's owner. It has to be root or this process's own user, and nobody
// else may be permitted to write to the file. The folders above it, and their owners, are not looked at: who
// can write there can put another file of such an owner in its place, but not one of his own.
#pragma once

#include "base/base.h"

#define MODULE_COPY_WHY 160
#define MODULE_COPY_MAX (64u << 20) // bytes

struct module_copy {
    int fd; // a sealed memory file; -1: given up
    const void *bytes;
    size_t size;
};

// A sentence in `why` with EBPF_FILE_NOT_FOUND, EBPF_ACCESS_DENIED, EBPF_INVALID_ARGUMENT (the path is not
// absolute), EBPF_INVALID_OBJECT, EBPF_BLOCKED_BY_POLICY, EBPF_NO_MEMORY, EBPF_FAILED.
ebpf_result_t module_copy_make(const char *path, struct module_copy *out,
                               char why[MODULE_COPY_WHY]) MUST_CHECK;
void module_copy_forget_bytes(struct module_copy *copy); // the descriptor is enough from now on
void module_copy_close(struct module_copy *copy);
