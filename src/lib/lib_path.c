// SPDX-License-Identifier: MIT
// lib_path: pins by path. What a path means, and which spellings are the same, only the execution context
// knows: paths travel as the client wrote them.
#include "lib/lib_int.h"

// The path as it travels.
static ebpf_result_t copy_path(const char *input, char out[PROTO_PATH_SIZE])
{
    if (input == NULL || input[0] == '\0' || str_len(input) >= PROTO_PATH_SIZE) {
        return EBPF_INVALID_ARGUMENT;
    }
    memset(out, 0, PROTO_PATH_SIZE); // the whole field travels
    str_copy(out, PROTO_PATH_SIZE, input);
    return EBPF_SUCCESS;
}

ebpf_result_t lib_pin_path_join(const char *dir, const char *name, char out[PROTO_PATH_SIZE])
{
    TRY(copy_path(dir, out));
    size_t length = str_len(out);
    if (str_format(out + length, PROTO_PATH_SIZE - length, "/%s", name) >= PROTO_PATH_SIZE - length) {
        return EBPF_INVALID_ARGUMENT;
    }
    for (char *c = out + length + 1; *c != '\0'; c++) {
        *c = *c == '.' || *c == '/' ? '_' : *c; // old programs are called after their section
    }
    return EBPF_SUCCESS;
}

ebpf_result_t lib_pin(int fd, const char *path)
{
    struct proto_path_request fixed = {0};
    TRY(copy_path(path, fixed.path));
    return lib_call_simple(PROTO_OBJECT_PIN, &fixed, &fd, 1, NULL, 0);
}

ebpf_result_t lib_unpin(const char *path)
{
    struct proto_path_request fixed = {0};
    TRY(copy_path(path, fixed.path));
    return lib_call_simple(PROTO_OBJECT_UNPIN, &fixed, NULL, 0, NULL, 0);
}

ebpf_result_t lib_pin_get(const char *path, int *fd)
{
    struct proto_path_request fixed = {0};
    TRY(copy_path(path, fixed.path));
    return lib_call_new(PROTO_OBJECT_GET, &fixed, NULL, 0, fd);
}

// --- public --------------------------------------------------------------------------------------

ebpf_result_t ebpf_object_unpin(const char *path)
{
    return lib_unpin(path);
}

int bpf_obj_pin_opts(int fd, const char *pathname, const struct bpf_obj_pin_opts *opts)
{
    if (!LIB_OPTS_VALID(opts, bpf_obj_pin_opts) || LIB_OPTS_GET(opts, file_flags, 0) != 0 ||
        LIB_OPTS_GET(opts, path_fd, 0) != 0) {
        return lib_result(EBPF_INVALID_ARGUMENT);
    }
    return lib_result(lib_pin(fd, pathname));
}

int bpf_obj_pin(int fd, const char *pathname)
{
    return bpf_obj_pin_opts(fd, pathname, NULL);
}

int bpf_obj_get_opts(const char *pathname, const struct bpf_obj_get_opts *opts)
{
    int fd = -1;
    if (!LIB_OPTS_VALID(opts, bpf_obj_get_opts) || LIB_OPTS_GET(opts, file_flags, 0) != 0 ||
        LIB_OPTS_GET(opts, path_fd, 0) != 0) {
        return lib_result(EBPF_INVALID_ARGUMENT);
    }
    ebpf_result_t result = lib_pin_get(pathname, &fd);
    return result == EBPF_SUCCESS ? fd : lib_result(result);
}

int bpf_obj_get(const char *pathname)
{
    return bpf_obj_get_opts(pathname, NULL);
}
