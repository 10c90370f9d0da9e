// SPDX-License-Identifier: MIT
// elf_module: what the readers of the two image formats share.
#pragma once

#include "elf/elf.h"

struct module_image {
    struct reader file;
    struct elf_module *out;
    struct elf_error *error;
};

ebpf_result_t elf_module_fail(const struct module_image *image, const char *format, ...) PRINTF_LIKE(2, 3);
// A part that the headers name; fails with a sentence when the file ends before it does.
ebpf_result_t elf_module_part(const struct module_image *image, const char *what, uint64_t off, uint64_t size,
                              struct reader *out) MUST_CHECK;
// Takes the object out of the section. NULL: there was none.
ebpf_result_t elf_module_take(const struct module_image *image, const struct reader *section) MUST_CHECK;

// pe_module.c: checks headers, and fills all of image->out.
ebpf_result_t pe_module_read(const struct module_image *image) MUST_CHECK;
