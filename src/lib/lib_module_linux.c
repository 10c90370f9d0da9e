// SPDX-License-Identifier: MIT
// lib_module_linux: files of native modules on Linux, where the execution context loads them by their path.
#include <errno.h>
#include <stdlib.h>

#include "lib/lib_int.h"

ebpf_result_t lib_module_path(const char *path, char out[LIB_FILE_PATH_SIZE])
{
    char *whole = realpath(path, NULL);
    if (whole == NULL) {
        return errno == ENOMEM ? EBPF_NO_MEMORY : EBPF_FILE_NOT_FOUND;
    }
    bool fits = str_copy(out, LIB_FILE_PATH_SIZE, whole);
    free(whole);
    return fits ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

ebpf_result_t lib_module_install(const struct bpf_object *obj, int *fd)
{
    UNUSED(fd);
    lib_warn("module '%s': this execution context loads no native modules\n", obj->module.path);
    return EBPF_OPERATION_NOT_SUPPORTED;
}
