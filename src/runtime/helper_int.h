// SPDX-License-Identifier: MIT
// helper_int: how helper functions are written. Arguments are raw registers; the verifier has proved what the
// row in helpers.def asks of them.
#pragma once

#include "runtime/runtime_int.h"

// Opens the definition of helper `id`. Not every helper uses every argument.
#define HELPER_ARG __attribute__((unused)) uint64_t
#define HELPER_BODY(id)                                                                                      \
    uint64_t helper_##id(HELPER_ARG a1, HELPER_ARG a2, HELPER_ARG a3, HELPER_ARG a4, HELPER_ARG a5,          \
                         __attribute__((unused)) struct run *run)

// Errnos of Linux that no ebpf_result_t stands for alone.
#define HELPER_EACCES ((uint64_t)-13)

static inline void *pointer(uint64_t reg)
{
    return (void *)(uintptr_t)reg;
}

// Characters before the first NUL among `size` bytes.
static inline uint64_t text_length(const char *text, uint64_t size)
{
    uint64_t length = 0;
    while (length < size && text[length] != '\0') {
        length++;
    }
    return length;
}
