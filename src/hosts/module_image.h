// SPDX-License-Identifier: MIT
// module_image: files of native modules into this process, as the core's loader: each load is an image of
// its own, made of a private copy of the file. Linux: shared objects. Windows: DLLs, for execution contexts
// in process.
#pragma once

#include "core/core.h"

#define MODULE_IMAGE_WHY 160 // as core_module_loader has it

void module_image_loader(struct core_module_loader *out);

// module_image.c: whether the bytes are a whole module that this process can run. EBPF_INVALID_OBJECT with a
// sentence.
ebpf_result_t module_image_check(const void *bytes, size_t size, char why[MODULE_IMAGE_WHY]) MUST_CHECK;
// Fills in the sentence and returns `result`.
ebpf_result_t module_image_fail(ebpf_result_t result, char why[MODULE_IMAGE_WHY], const char *format, ...)
    PRINTF_LIKE(3, 4);
