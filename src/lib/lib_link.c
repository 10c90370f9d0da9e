// SPDX-License-Identifier: MIT
// lib_link: links: a program on an attachment point. The attachment lives as long as anything refers to the
// link: a descriptor, a pin.
#include <errno.h>

#include "lib/lib_int.h"

// --- by descriptor -------------------------------------------------------------------------------

ebpf_result_t lib_link_create(int prog_fd, uint32_t attach_type, uint32_t ifindex, uint32_t flags, int *fd)
{
    struct proto_link_create_request fixed = {.attach_type = attach_type, .ifindex = ifindex, .flags = flags};
    return lib_call_new(PROTO_LINK_CREATE, &fixed, &prog_fd, 1, fd);
}

ebpf_result_t lib_link_update(int link_fd, int prog_fd, const int *old_prog_fd)
{
    struct proto_empty fixed = {0};
    int fds[] = {link_fd, prog_fd, old_prog_fd != NULL ? *old_prog_fd : -1};
    return old_prog_fd != NULL ? lib_call_simple(PROTO_LINK_REPLACE, &fixed, fds, 3, NULL, 0)
                               : lib_call_simple(PROTO_LINK_UPDATE, &fixed, fds, 2, NULL, 0);
}

ebpf_result_t lib_link_detach(int link_fd)
{
    struct proto_empty fixed = {0};
    return lib_call_simple(PROTO_LINK_DETACH, &fixed, &link_fd, 1, NULL, 0);
}

int bpf_link_create(int prog_fd, int target, enum bpf_attach_type attach_type,
                    const struct bpf_link_create_opts *opts)
{
    uint32_t type = lib_attach_type_from_number((uint32_t)attach_type);
    int fd = -1;
    if (!LIB_OPTS_VALID(opts, bpf_link_create_opts) || LIB_OPTS_GET(opts, iter_info, NULL) != NULL ||
        LIB_OPTS_GET(opts, iter_info_len, 0) != 0 || LIB_OPTS_GET(opts, target_btf_id, 0) != 0 ||
        type == ATTACH_TYPE_NONE || target < 0) {
        return lib_fail(EINVAL);
    }
    ebpf_result_t result =
        lib_link_create(prog_fd, type, (uint32_t)target, LIB_OPTS_GET(opts, flags, 0), &fd);
    return result == EBPF_SUCCESS ? fd : lib_result(result);
}

int bpf_link_update(int link_fd, int new_prog_fd, const struct bpf_link_update_opts *opts)
{
    uint32_t flags = LIB_OPTS_GET(opts, flags, 0);
    int old_prog_fd = (int)LIB_OPTS_GET(opts, old_prog_fd, 0);
    if (!LIB_OPTS_VALID(opts, bpf_link_update_opts) || (flags & ~(uint32_t)BPF_F_REPLACE) != 0 ||
        (flags == 0 && old_prog_fd != 0)) {
        return lib_fail(EINVAL);
    }
    return lib_result(lib_link_update(link_fd, new_prog_fd, flags != 0 ? &old_prog_fd : NULL));
}

int bpf_link_detach(int link_fd)
{
    return lib_result(lib_link_detach(link_fd));
}

// --- as structures -------------------------------------------------------------------------------

// Takes over `fd` also when it fails.
static struct bpf_link *wrap(int fd, const char *pin_path)
{
    struct bpf_link *link = lib_alloc(sizeof(*link));
    if (link == NULL) {
        goto undo_fd;
    }
    link->fd = fd;
    if (pin_path != NULL && (link->pin_path = lib_strdup(pin_path)) == NULL) {
        goto undo_link;
    }
    return link;

undo_link:
    lib_free(link);
undo_fd:
    lib_close_fd(fd);
    lib_fail(ENOMEM);
    return NULL;
}

static struct bpf_link *attach(const struct bpf_program *prog, uint32_t attach_type, uint32_t ifindex)
{
    int fd = -1;
    if (prog->fd < 0) {
        lib_warn("prog '%s': not loaded, cannot be attached\n", prog->elf->name);
        lib_fail(EINVAL);
        return NULL;
    }
    ebpf_result_t result = lib_link_create(prog->fd, attach_type, ifindex, 0, &fd);
    if (result != EBPF_SUCCESS) {
        lib_warn("prog '%s': cannot be attached: %s\n", prog->elf->name, ebpf_result_text(result));
        lib_set_errno(result);
        return NULL;
    }
    return wrap(fd, NULL);
}

struct bpf_link *bpf_program__attach_xdp(const struct bpf_program *prog, int ifindex)
{
    if (ifindex <= 0) {
        lib_fail(EINVAL);
        return NULL;
    }
    return attach(prog, ATTACH_TYPE_XDP, (uint32_t)ifindex);
}

struct bpf_link *bpf_program__attach(const struct bpf_program *prog)
{
    if (prog->attach_type == ATTACH_TYPE_NONE || prog->attach_type == ATTACH_TYPE_XDP) {
        lib_set_errno(EBPF_OPERATION_NOT_SUPPORTED);
        return NULL;
    }
    return attach(prog, prog->attach_type, 0);
}

struct bpf_link *bpf_link__open(const char *path)
{
    struct proto_object_info_reply info;
    int fd = -1;
    ebpf_result_t result = lib_pin_get(path, &fd);
    if (result == EBPF_SUCCESS) {
        result = lib_object_info(fd, &info);
        if (result == EBPF_SUCCESS && info.kind != PROTO_KIND_LINK) {
            result = EBPF_INVALID_ARGUMENT;
        }
    }
    if (result != EBPF_SUCCESS) {
        lib_close_fd(fd);
        lib_set_errno(result);
        return NULL;
    }
    return wrap(fd, path);
}

int bpf_link__fd(const struct bpf_link *link)
{
    return link->fd;
}

const char *bpf_link__pin_path(const struct bpf_link *link)
{
    return link->pin_path;
}

int bpf_link__pin(struct bpf_link *link, const char *path)
{
    char *copy;
    if (link->pin_path != NULL) {
        return lib_fail(EBUSY);
    }
    if (path == NULL) {
        return lib_fail(EINVAL);
    }
    if ((copy = lib_strdup(path)) == NULL) {
        return lib_fail(ENOMEM);
    }
    ebpf_result_t result = lib_pin(link->fd, path);
    if (result != EBPF_SUCCESS) {
        lib_free(copy);
        return lib_result(result);
    }
    link->pin_path = copy;
    return 0;
}

int bpf_link__unpin(struct bpf_link *link)
{
    if (link->pin_path == NULL) {
        return lib_fail(EINVAL);
    }
    ebpf_result_t result = lib_unpin(link->pin_path);
    if (result == EBPF_SUCCESS) {
        lib_free(link->pin_path);
        link->pin_path = NULL;
    }
    return lib_result(result);
}

int bpf_link__update_program(struct bpf_link *link, struct bpf_program *prog)
{
    return prog->fd < 0 ? lib_fail(EINVAL) : bpf_link_update(link->fd, prog->fd, NULL);
}

int bpf_link__detach(struct bpf_link *link)
{
    return bpf_link_detach(link->fd);
}

void bpf_link__disconnect(struct bpf_link *link)
{
    link->disconnected = true;
}

// A disconnected link keeps its descriptor open: the attachment then ends with the process.
int bpf_link__destroy(struct bpf_link *link)
{
    if (link == NULL) {
        return 0;
    }
    if (!link->disconnected) {
        lib_close_fd(link->fd);
    }
    lib_free(link->pin_path);
    lib_free(link);
    return 0;
}
