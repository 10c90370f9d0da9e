// SPDX-License-Identifier: MIT
// lib_memory: values of an array map as memory of this process.
#include "lib/lib_int.h"
#include "plat/plat.h"

ebpf_result_t ebpf_map_memory(int map_fd, bool writable, void **address, size_t *size)
{
    void *view = NULL;
    size_t view_size = 0;
    if (address == NULL || size == NULL) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(lib_map_memory(map_fd, writable, &view, &view_size));
    *address = view;
    *size = view_size;
    return EBPF_SUCCESS;
}

void ebpf_map_memory_unmap(void *address, size_t size)
{
    if (address != NULL) {
        plat_shared_unmap(address, size);
    }
}
