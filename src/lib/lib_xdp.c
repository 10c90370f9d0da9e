// SPDX-License-Identifier: MIT
// lib_xdp: XDP by interface, without a link in the caller's hands. The attachment is a link that is pinned at
// a path of its own, so that it outlives the process; whoever attaches, replaces or detaches later finds it
// there.
//
// Flags have the values of Linux' linux/if_link.h; all modes are one here, except that there is no offload.
#include <errno.h>

#include "lib/lib_info.h"

static void pin_path_of(uint32_t ifindex, char path[PROTO_PATH_SIZE])
{
    str_format(path, PROTO_PATH_SIZE, "%s/xdp_ifindex_%u", LIB_PIN_ROOT, ifindex);
}

// The pinned link of an interface. A link that was detached by its id is no attachment any more.
static ebpf_result_t open_attachment(uint32_t ifindex, int *fd)
{
    struct proto_object_info_reply info;
    char path[PROTO_PATH_SIZE];
    int link = -1;
    pin_path_of(ifindex, path);
    TRY(lib_pin_get(path, &link));
    ebpf_result_t result = lib_object_info(link, &info);
    if (result == EBPF_SUCCESS && (info.kind != PROTO_KIND_LINK || info.attached == 0)) {
        result = lib_unpin(path);
        result = result == EBPF_SUCCESS ? EBPF_OBJECT_NOT_FOUND : result;
    }
    if (result != EBPF_SUCCESS) {
        lib_close_fd(link);
        return result;
    }
    *fd = link;
    return EBPF_SUCCESS;
}

static ebpf_result_t attach_new(uint32_t ifindex, int prog_fd, uint32_t flags)
{
    char path[PROTO_PATH_SIZE];
    int fd = -1;
    pin_path_of(ifindex, path);
    TRY(lib_link_create(prog_fd, ATTACH_TYPE_XDP, ifindex, flags & ~(uint32_t)XDP_FLAG_REPLACE, &fd));
    ebpf_result_t result = lib_pin(fd, path);
    lib_close_fd(fd); // the pin keeps it
    return result;
}

// `old_prog_fd` -1: whatever is attached.
static ebpf_result_t attach(uint32_t ifindex, int prog_fd, uint32_t flags, int old_prog_fd)
{
    int fd = -1;
    ebpf_result_t result = open_attachment(ifindex, &fd);
    if (result == EBPF_OBJECT_NOT_FOUND) {
        return old_prog_fd >= 0 ? EBPF_OBJECT_NOT_FOUND : attach_new(ifindex, prog_fd, flags);
    }
    TRY(result);
    result = (flags & XDP_FLAG_UPDATE_IF_NOEXIST) != 0
                 ? EBPF_INVALID_STATE
                 : lib_link_update(fd, prog_fd, old_prog_fd >= 0 ? &old_prog_fd : NULL);
    lib_close_fd(fd);
    return result;
}

static bool runs_program(int link_fd, int prog_fd)
{
    struct proto_object_info_reply link, prog;
    return lib_object_info(link_fd, &link) == EBPF_SUCCESS &&
           lib_object_info(prog_fd, &prog) == EBPF_SUCCESS && prog.kind == PROTO_KIND_PROGRAM &&
           link.prog_id == prog.id;
}

// Something that a link of somebody else holds is not ours to detach.
static ebpf_result_t held_by_link(uint32_t ifindex)
{
    struct ebpf_hook_point point;
    ebpf_result_t result = lib_hook_next(ATTACH_TYPE_XDP, ifindex - 1, &point);
    return result == EBPF_SUCCESS && point.ifindex == ifindex && point.link_id != 0 ? EBPF_INVALID_STATE
                                                                                    : EBPF_SUCCESS;
}

static ebpf_result_t detach(uint32_t ifindex, int old_prog_fd)
{
    char path[PROTO_PATH_SIZE];
    int fd = -1;
    ebpf_result_t result = open_attachment(ifindex, &fd);
    if (result == EBPF_OBJECT_NOT_FOUND) {
        return held_by_link(ifindex); // nothing attached: success, as on Linux
    }
    TRY(result);
    if (old_prog_fd >= 0 && !runs_program(fd, old_prog_fd)) {
        result = EBPF_OBJECT_ALREADY_EXISTS; // Linux answers EEXIST when another program is attached
        goto close_fd;
    }
    TRY_OR(result, lib_link_detach(fd), close_fd);
    pin_path_of(ifindex, path);
    result = lib_unpin(path);

close_fd:
    lib_close_fd(fd);
    return result;
}

// --- public --------------------------------------------------------------------------------------

static bool arguments_ok(int ifindex, uint32_t flags, const struct bpf_xdp_attach_opts *opts)
{
    return LIB_OPTS_VALID(opts, bpf_xdp_attach_opts) && ifindex > 0 &&
           (flags & ~(uint32_t)XDP_FLAG_ALL) == 0 &&
           ((flags & XDP_FLAG_UPDATE_IF_NOEXIST) == 0 || (flags & XDP_FLAG_REPLACE) == 0);
}

// libbpf: descriptor 0 stands for "not given", as a zeroed option structure has it.
static int expected_program(uint32_t flags, const struct bpf_xdp_attach_opts *opts)
{
    int fd = LIB_OPTS_GET(opts, old_prog_fd, 0);
    return fd > 0 || ((flags & XDP_FLAG_REPLACE) != 0 && LIB_OPTS_HAS(opts, old_prog_fd)) ? fd : -1;
}

int bpf_xdp_detach(int ifindex, __u32 flags, const struct bpf_xdp_attach_opts *opts)
{
    if (!arguments_ok(ifindex, flags, opts)) {
        return lib_fail(EINVAL);
    }
    return lib_result(detach((uint32_t)ifindex, expected_program(flags, opts)));
}

int bpf_xdp_attach(int ifindex, int prog_fd, __u32 flags, const struct bpf_xdp_attach_opts *opts)
{
    if (prog_fd < 0) {
        return bpf_xdp_detach(ifindex, flags, opts);
    }
    if (!arguments_ok(ifindex, flags, opts)) {
        return lib_fail(EINVAL);
    }
    if ((flags & XDP_FLAG_HW_MODE) != 0) {
        return lib_result(EBPF_OPERATION_NOT_SUPPORTED);
    }
    return lib_result(attach((uint32_t)ifindex, prog_fd, flags, expected_program(flags, opts)));
}

int bpf_xdp_query_id(int ifindex, int flags, __u32 *prog_id)
{
    struct ebpf_hook_point point;
    if (ifindex <= 0 || (flags & ~(int)XDP_FLAG_ALL) != 0 || prog_id == NULL) {
        return lib_fail(EINVAL);
    }
    ebpf_result_t result = lib_hook_next(ATTACH_TYPE_XDP, (uint32_t)ifindex - 1, &point);
    if (result != EBPF_SUCCESS && result != EBPF_NO_MORE_KEYS) {
        return lib_result(result);
    }
    if (result == EBPF_NO_MORE_KEYS || point.ifindex != (uint32_t)ifindex) {
        return lib_fail(ENODEV); // not an attachment point of the hook
    }
    *prog_id = point.prog_id;
    return 0;
}

int bpf_xdp_query(int ifindex, int flags, struct bpf_xdp_query_opts *opts)
{
    uint32_t id = 0;
    if (opts == NULL || !LIB_OPTS_VALID(opts, bpf_xdp_query_opts)) {
        return lib_fail(EINVAL);
    }
    int result = bpf_xdp_query_id(ifindex, flags, &id);
    if (result != 0) {
        return result;
    }
    LIB_OPTS_SET(opts, prog_id, id);
    LIB_OPTS_SET(opts, drv_prog_id, id);
    LIB_OPTS_SET(opts, hw_prog_id, 0);
    LIB_OPTS_SET(opts, skb_prog_id, 0);
    LIB_OPTS_SET(opts, attach_mode, id != 0 ? 1 : 0);
    LIB_OPTS_SET(opts, feature_flags, 0);
    LIB_OPTS_SET(opts, xdp_zc_max_segs, 0);
    return 0;
}
