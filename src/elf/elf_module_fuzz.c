// SPDX-License-Identifier: MIT
// elf_module_fuzz: any bytes either are an image whose object lies inside them, or give an error with a
// message.
#include <stdlib.h>

#include "elf/elf.h"

static void demand(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_module module;
    struct elf_error error = {0};
    if (elf_module_open(data, size, &module, &error) != EBPF_SUCCESS) {
        demand(error.message[0] != '\0');
        return 0;
    }
    demand(module.format == elf_image_format(data, size) && module.format != ELF_IMAGE_NONE);
    demand(module.object >= data && module.object_size != 0 && module.object_size <= size &&
           (size_t)(module.object - data) <= size - module.object_size);
    demand(elf_image_machine_name(module.machine)[0] != '\0');
    return 0;
}
