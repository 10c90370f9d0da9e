// SPDX-License-Identifier: MIT
// lib_elem: maps by descriptor: creation and element calls. The low-level calls of libbpf carry no sizes, so
// these ask the map for them first; callers that know them use the lib_map_* functions.
#include <errno.h>

#include "lib/lib_int.h"

ebpf_result_t lib_map_create(const struct map_def *def, int *fd)
{
    struct proto_map_create_request fixed = {.def = *def};
    return lib_call_new(PROTO_MAP_CREATE, &fixed, NULL, 0, fd);
}

ebpf_result_t lib_map_definition(int fd, struct map_def *def)
{
    struct proto_object_info_reply info;
    TRY(lib_object_info(fd, &info));
    if (info.kind != PROTO_KIND_MAP) {
        return EBPF_INVALID_ARGUMENT;
    }
    *def = (struct map_def){
        .type = info.type,
        .number = lib_map_type_number(info.type),
        .key_size = info.key_size,
        .value_size = info.value_size,
        .max_entries = info.max_entries,
        .flags = info.map_flags,
    };
    info.name[sizeof(info.name) - 1] = '\0';
    str_copy(def->name, sizeof(def->name), info.name);
    return EBPF_SUCCESS;
}

ebpf_result_t lib_map_update(int fd, const void *key, size_t key_size, const void *value, size_t value_size,
                             uint64_t flags)
{
    struct proto_map_update_request fixed = {.flags = flags, .key_size = (uint32_t)key_size};
    struct lib_request request = {
        .op = PROTO_MAP_UPDATE,
        .fixed = &fixed,
        .tail = {{key, key_size}, {value, value_size}},
        .fds = &fd,
        .fd_count = 1,
    };
    struct lib_reply reply;
    TRY(lib_call(&request, &reply));
    lib_reply_free(&reply);
    return EBPF_SUCCESS;
}

static ebpf_result_t set_program(int fd, const void *key, size_t key_size, const void *value, uint64_t flags)
{
    struct proto_map_set_program_request fixed = {.flags = flags};
    int fds[2] = {fd, -1};
    memcpy(&fds[1], value, sizeof(fds[1]));
    struct lib_request request = {
        .op = PROTO_MAP_SET_PROGRAM, .fixed = &fixed, .tail = {{key, key_size}}, .fds = fds, .fd_count = 2};
    struct lib_reply reply;
    TRY(lib_call(&request, &reply));
    lib_reply_free(&reply);
    return EBPF_SUCCESS;
}

// Requests with a key whose reply's tail is exactly `out_size` bytes.
static ebpf_result_t call_with_key(enum proto_op op, const void *fixed, int fd, const void *key,
                                   size_t key_size, void *out, size_t out_size)
{
    struct lib_request request = {
        .op = op, .fixed = fixed, .tail = {{key, key != NULL ? key_size : 0}}, .fds = &fd, .fd_count = 1};
    struct lib_reply reply;
    ebpf_result_t result = EBPF_SUCCESS;
    TRY(lib_call(&request, &reply));
    if (reply.tail_size != out_size) {
        result = EBPF_RPC_EXCEPTION;
    } else if (out_size != 0) {
        memcpy(out, reply.tail, out_size);
    }
    lib_reply_free(&reply);
    return result;
}

ebpf_result_t lib_map_lookup(int fd, const void *key, size_t key_size, void *value, size_t value_size,
                             bool delete_too)
{
    struct proto_map_lookup_request fixed = {.delete_too = delete_too};
    return call_with_key(PROTO_MAP_LOOKUP, &fixed, fd, key, key_size, value, value_size);
}

ebpf_result_t lib_map_delete(int fd, const void *key, size_t key_size)
{
    struct proto_map_delete_request fixed = {0};
    return call_with_key(PROTO_MAP_DELETE, &fixed, fd, key, key_size, NULL, 0);
}

ebpf_result_t lib_map_next_key(int fd, const void *key, size_t key_size, void *next)
{
    struct proto_map_next_key_request fixed = {0};
    return call_with_key(PROTO_MAP_NEXT_KEY, &fixed, fd, key, key_size, next, key_size);
}

ebpf_result_t lib_map_freeze(int fd)
{
    struct proto_empty fixed = {0};
    return lib_call_simple(PROTO_MAP_FREEZE, &fixed, &fd, 1, NULL, 0);
}

// --- bpf.h ---------------------------------------------------------------------------------------

static bool create_opts_ok(const struct bpf_map_create_opts *opts)
{
    return LIB_OPTS_VALID(opts, bpf_map_create_opts) && LIB_OPTS_GET(opts, inner_map_fd, 0) == 0 &&
           LIB_OPTS_GET(opts, map_extra, 0) == 0 && LIB_OPTS_GET(opts, map_ifindex, 0) == 0;
}

int bpf_map_create(enum bpf_map_type map_type, const char *map_name, __u32 key_size, __u32 value_size,
                   __u32 max_entries, const struct bpf_map_create_opts *opts)
{
    struct map_def def = {
        .type = lib_map_type_from_number((uint32_t)map_type),
        .number = (uint32_t)map_type,
        .key_size = key_size,
        .value_size = value_size,
        .max_entries = max_entries,
        .flags = LIB_OPTS_GET(opts, map_flags, 0),
    };
    int fd = -1;
    if (!create_opts_ok(opts) || def.type == MAP_TYPE_NONE) {
        return lib_fail(EINVAL);
    }
    str_copy(def.name, sizeof(def.name), map_name != NULL ? map_name : ""); // libbpf cuts long names, too
    ebpf_result_t result = lib_map_create(&def, &fd);
    return result == EBPF_SUCCESS ? fd : lib_result(result);
}

static ebpf_result_t map_sizes(int fd, size_t *key_size, size_t *value_size)
{
    struct proto_object_info_reply info;
    TRY(lib_object_info(fd, &info));
    if (info.kind != PROTO_KIND_MAP) {
        return EBPF_INVALID_OBJECT;
    }
    *key_size = info.key_size;
    *value_size = info.user_value_size;
    return EBPF_SUCCESS;
}

static ebpf_result_t lookup(int fd, const void *key, void *value, uint64_t flags, bool delete_too)
{
    size_t key_size = 0, value_size = 0;
    if (flags != 0 || key == NULL || value == NULL) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(map_sizes(fd, &key_size, &value_size));
    return lib_map_lookup(fd, key, key_size, value, value_size, delete_too);
}

int bpf_map_lookup_elem_flags(int fd, const void *key, void *value, __u64 flags)
{
    return lib_result(lookup(fd, key, value, flags, false));
}

int bpf_map_lookup_elem(int fd, const void *key, void *value)
{
    return bpf_map_lookup_elem_flags(fd, key, value, 0);
}

int bpf_map_lookup_and_delete_elem_flags(int fd, const void *key, void *value, __u64 flags)
{
    return lib_result(lookup(fd, key, value, flags, true));
}

int bpf_map_lookup_and_delete_elem(int fd, const void *key, void *value)
{
    return bpf_map_lookup_and_delete_elem_flags(fd, key, value, 0);
}

// The value of a prog array's element is a program's descriptor.
static ebpf_result_t update(int fd, const void *key, const void *value, uint64_t flags)
{
    struct proto_object_info_reply info;
    if (key == NULL || value == NULL) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(lib_object_info(fd, &info));
    if (info.kind != PROTO_KIND_MAP) {
        return EBPF_INVALID_OBJECT;
    }
    return info.type == MAP_TYPE_PROG_ARRAY
               ? set_program(fd, key, info.key_size, value, flags)
               : lib_map_update(fd, key, info.key_size, value, info.user_value_size, flags);
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
    return lib_result(update(fd, key, value, flags));
}

static ebpf_result_t delete_element(int fd, const void *key, uint64_t flags)
{
    size_t key_size = 0, value_size = 0;
    if (flags != 0 || key == NULL) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(map_sizes(fd, &key_size, &value_size));
    return lib_map_delete(fd, key, key_size);
}

int bpf_map_delete_elem_flags(int fd, const void *key, __u64 flags)
{
    return lib_result(delete_element(fd, key, flags));
}

int bpf_map_delete_elem(int fd, const void *key)
{
    return bpf_map_delete_elem_flags(fd, key, 0);
}

static ebpf_result_t next_key(int fd, const void *key, void *next)
{
    size_t key_size = 0, value_size = 0;
    if (next == NULL) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(map_sizes(fd, &key_size, &value_size));
    return lib_map_next_key(fd, key, key_size, next);
}

int bpf_map_get_next_key(int fd, const void *key, void *next_key_out)
{
    return lib_result(next_key(fd, key, next_key_out));
}

int bpf_map_freeze(int fd)
{
    return lib_result(lib_map_freeze(fd));
}
