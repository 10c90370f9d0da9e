// SPDX-License-Identifier: MIT
// The sample extension: SEC("sample_ext") programs and their helpers.
#pragma once

#include "bpf_helpers_platform.h"

typedef struct _sample_program_context {
    uint8_t *data_start;
    uint8_t *data_end;
    uint32_t uint32_data;
    uint16_t uint16_data;
    uint32_t helper_data_1;
    uint32_t helper_data_2;
} sample_program_context_t;

#ifndef EBPF_HELPER
#define EBPF_HELPER(return_type, name, args) typedef return_type(*const name##_t) args
#endif

#define SAMPLE_EXT_HELPER_FN_BASE 0xFFFF

// A helper that takes the context. 0.
EBPF_HELPER(int64_t, sample_ebpf_extension_helper_function1, (sample_program_context_t * context));
#define sample_ebpf_extension_helper_function1                                                               \
    ((sample_ebpf_extension_helper_function1_t)(SAMPLE_EXT_HELPER_FN_BASE + 1))

// Offset at which the bytes of `find` occur in `buffer`, or a negative number.
EBPF_HELPER(int64_t, sample_ebpf_extension_find, (void *buffer, size_t size, void *find, size_t find_size));
#define sample_ebpf_extension_find ((sample_ebpf_extension_find_t)(SAMPLE_EXT_HELPER_FN_BASE + 2))

// Overwrites `buffer` from `position` on. 0, or -1 when the replacement does not fit.
EBPF_HELPER(int64_t, sample_ebpf_extension_replace,
            (void *buffer, size_t size, int64_t position, void *replace, size_t replace_size));
#define sample_ebpf_extension_replace ((sample_ebpf_extension_replace_t)(SAMPLE_EXT_HELPER_FN_BASE + 3))
