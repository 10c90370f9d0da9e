// SPDX-License-Identifier: MIT
// lib_info: ids, information, pins and hook points: everything that asks and changes nothing. The platform's
// public information structures are filled in lib_info_<platform>.c.
#include <errno.h>
#include <time.h>

#include "lib/lib_info.h"
#include "lib/transport.h"
#include "lib/transport_netif.h"
#include "plat/plat.h"

_Static_assert(EBPF_NAME_SIZE == SPEC_NAME_SIZE && EBPF_MAX_MAPS == SPEC_MAX_MAPS &&
                   EBPF_PATH_SIZE == PROTO_PATH_SIZE && EBPF_MAX_COUNTERS == PROTO_MAX_COUNTERS,
               "public limits are those inside");
_Static_assert((int)EBPF_OBJECT_KIND_MAP == PROTO_KIND_MAP &&
                   (int)EBPF_OBJECT_KIND_PROGRAM == PROTO_KIND_PROGRAM &&
                   (int)EBPF_OBJECT_KIND_LINK == PROTO_KIND_LINK,
               "public object kinds are those on the wire");

// --- descriptors ---------------------------------------------------------------------------------

ebpf_result_t ebpf_close_fd(int fd)
{
    struct transport *transport = NULL;
    if (fd < 0) {
        return EBPF_INVALID_FD;
    }
    TRY(transport_get(&transport));
    transport->ops->close_fd(transport, fd);
    return EBPF_SUCCESS;
}

ebpf_result_t ebpf_duplicate_fd(int fd, int *duplicate)
{
    return lib_dup_fd(fd, duplicate);
}

int libbpf_num_possible_cpus(void)
{
    struct proto_version_request fixed = {.version = PROTO_WIRE_VERSION};
    struct proto_version_reply reply = {0};
    ebpf_result_t result = lib_call_simple(PROTO_VERSION, &fixed, NULL, 0, &reply, sizeof(reply));
    if (result != EBPF_SUCCESS) {
        return lib_result(result);
    }
    return reply.cpu_count <= INT_MAX ? (int)reply.cpu_count : lib_fail(EINVAL);
}

// --- ids -----------------------------------------------------------------------------------------

ebpf_result_t ebpf_object_get_next_id(ebpf_object_kind_t kind, uint32_t start, uint32_t *next)
{
    struct proto_next_id_request fixed = {.kind = (uint32_t)kind, .start = start};
    struct proto_next_id_reply reply = {0};
    TRY(lib_call_simple(PROTO_NEXT_ID, &fixed, NULL, 0, &reply, sizeof(reply)));
    *next = reply.id;
    return EBPF_SUCCESS;
}

ebpf_result_t ebpf_object_open_id(ebpf_object_kind_t kind, uint32_t id, int *fd)
{
    struct proto_open_id_request fixed = {.kind = (uint32_t)kind, .id = id};
    return lib_call_new(PROTO_OPEN_ID, &fixed, NULL, 0, fd);
}

static int open_id(ebpf_object_kind_t kind, uint32_t id, const struct bpf_get_fd_by_id_opts *opts)
{
    int fd = -1;
    if (!LIB_OPTS_VALID(opts, bpf_get_fd_by_id_opts) || LIB_OPTS_GET(opts, open_flags, 0) != 0) {
        return lib_fail(EINVAL);
    }
    ebpf_result_t result = ebpf_object_open_id(kind, id, &fd);
    return result == EBPF_SUCCESS ? fd : lib_result(result);
}

int bpf_prog_get_next_id(__u32 start_id, __u32 *next_id)
{
    return lib_result(ebpf_object_get_next_id(EBPF_OBJECT_KIND_PROGRAM, start_id, next_id));
}

int bpf_map_get_next_id(__u32 start_id, __u32 *next_id)
{
    return lib_result(ebpf_object_get_next_id(EBPF_OBJECT_KIND_MAP, start_id, next_id));
}

int bpf_link_get_next_id(__u32 start_id, __u32 *next_id)
{
    return lib_result(ebpf_object_get_next_id(EBPF_OBJECT_KIND_LINK, start_id, next_id));
}

int bpf_prog_get_fd_by_id_opts(__u32 id, const struct bpf_get_fd_by_id_opts *opts)
{
    return open_id(EBPF_OBJECT_KIND_PROGRAM, id, opts);
}

int bpf_prog_get_fd_by_id(__u32 id)
{
    return bpf_prog_get_fd_by_id_opts(id, NULL);
}

int bpf_map_get_fd_by_id_opts(__u32 id, const struct bpf_get_fd_by_id_opts *opts)
{
    return open_id(EBPF_OBJECT_KIND_MAP, id, opts);
}

int bpf_map_get_fd_by_id(__u32 id)
{
    return bpf_map_get_fd_by_id_opts(id, NULL);
}

int bpf_link_get_fd_by_id_opts(__u32 id, const struct bpf_get_fd_by_id_opts *opts)
{
    return open_id(EBPF_OBJECT_KIND_LINK, id, opts);
}

int bpf_link_get_fd_by_id(__u32 id)
{
    return bpf_link_get_fd_by_id_opts(id, NULL);
}

// --- libbpf's information structures -------------------------------------------------------------

ebpf_result_t lib_info_copy_map_ids(const struct proto_object_info_reply *from, void *ids, uint32_t room)
{
    uint32_t count = min_u32(room, min_u32(from->map_count, SPEC_MAX_MAPS));
    if (count == 0) {
        return EBPF_SUCCESS;
    }
    if (ids == NULL) {
        return EBPF_INVALID_POINTER;
    }
    memcpy(ids, from->map_ids, count * sizeof(from->map_ids[0]));
    return EBPF_SUCCESS;
}

// Room of the caller's structure, or 0 when it is longer than ours and not zero beyond it.
static size_t caller_size(const void *info, size_t given, size_t ours)
{
    for (size_t i = ours; i < given; i++) {
        if (((const uint8_t *)info)[i] != 0) {
            return 0;
        }
    }
    return given < ours ? given : ours;
}

static int copy_info(void *info, __u32 *info_len, const void *filled, size_t ours)
{
    size_t size = caller_size(info, *info_len, ours);
    if (size == 0) {
        return lib_fail(EINVAL);
    }
    memcpy(info, filled, size);
    *info_len = (__u32)size;
    return 0;
}

static int give_map(const struct proto_object_info_reply *from, void *info, __u32 *info_len)
{
    struct bpf_map_info filled;
    lib_info_fill_map(from, &filled);
    return copy_info(info, info_len, &filled, sizeof(filled));
}

static int give_link(const struct proto_object_info_reply *from, void *info, __u32 *info_len)
{
    struct bpf_link_info filled;
    lib_info_fill_link(from, &filled);
    return copy_info(info, info_len, &filled, sizeof(filled));
}

// The caller's structure also says where map ids go: it is read before it is overwritten.
static int give_prog(const struct proto_object_info_reply *from, void *info, __u32 *info_len)
{
    struct bpf_prog_info filled;
    size_t size = caller_size(info, *info_len, sizeof(filled));
    memset(&filled, 0, sizeof(filled));
    memcpy(&filled, info, size);
    if (size == 0 || lib_info_fill_prog(from, &filled) != EBPF_SUCCESS) {
        return lib_fail(size == 0 ? EINVAL : EFAULT);
    }
    return copy_info(info, info_len, &filled, sizeof(filled));
}

// `kind` 0: any.
static int give_info(int fd, uint32_t kind, void *info, __u32 *info_len)
{
    struct proto_object_info_reply reply;
    if (info == NULL || info_len == NULL) {
        return lib_fail(EFAULT);
    }
    ebpf_result_t result = lib_object_info(fd, &reply);
    if (result != EBPF_SUCCESS) {
        return lib_result(result);
    }
    if (kind != 0 && reply.kind != kind) {
        return lib_fail(EINVAL);
    }
    switch (reply.kind) {
    case PROTO_KIND_MAP: return give_map(&reply, info, info_len);
    case PROTO_KIND_PROGRAM: return give_prog(&reply, info, info_len);
    case PROTO_KIND_LINK: return give_link(&reply, info, info_len);
    default: return lib_fail(EINVAL);
    }
}

int bpf_obj_get_info_by_fd(int bpf_fd, void *info, __u32 *info_len)
{
    return give_info(bpf_fd, 0, info, info_len);
}

int bpf_prog_get_info_by_fd(int prog_fd, struct bpf_prog_info *info, __u32 *info_len)
{
    return give_info(prog_fd, PROTO_KIND_PROGRAM, info, info_len);
}

int bpf_map_get_info_by_fd(int map_fd, struct bpf_map_info *info, __u32 *info_len)
{
    return give_info(map_fd, PROTO_KIND_MAP, info, info_len);
}

int bpf_link_get_info_by_fd(int link_fd, struct bpf_link_info *info, __u32 *info_len)
{
    return give_info(link_fd, PROTO_KIND_LINK, info, info_len);
}

// --- our own description -------------------------------------------------------------------------

static const char *type_name(const struct proto_object_info_reply *r)
{
    switch (r->kind) {
    case PROTO_KIND_MAP: return lib_map_type_name(r->type);
    case PROTO_KIND_PROGRAM: return lib_prog_type_name(r->type);
    default: return r->attach_type != 0 ? lib_attach_type_name(r->attach_type) : "unknown";
    }
}

static bool is_per_cpu(const struct proto_object_info_reply *r)
{
    const struct spec_view *v = spec_builtin();
    return r->kind == PROTO_KIND_MAP && r->type < v->map_type_count &&
           (v->map_types[r->type].flags & MAP_PER_CPU) != 0;
}

// The execution context is on this machine, so its clock since boot is ours.
static uint64_t loaded_at(uint64_t load_time_ns)
{
    time_t today = time(NULL);
    if (plat_init() != EBPF_SUCCESS) { // clocks need it on Windows
        return 0;
    }
    uint64_t now = plat_boot_time_ns();
    plat_fini();
    return load_time_ns != 0 && load_time_ns <= now ? (uint64_t)today - (now - load_time_ns) / 1000000000u
                                                    : 0;
}

ebpf_result_t ebpf_object_get_info(int fd, struct ebpf_object_info *info)
{
    struct proto_object_info_reply r;
    TRY(lib_object_info(fd, &r));
    *info = (struct ebpf_object_info){
        .kind = (ebpf_object_kind_t)r.kind,
        .id = r.id,
        .type = type_name(&r),
        .attach_type = r.attach_type != 0 ? lib_attach_type_name(r.attach_type) : "",
        .pin_count = r.pin_count,
        .memory = r.memory,
        .key_size = r.key_size,
        .value_size = r.value_size,
        .max_entries = r.max_entries,
        .map_flags = r.map_flags,
        .user_value_size = r.user_value_size,
        .frozen = r.frozen != 0,
        .per_cpu = is_per_cpu(&r),
        .insn_count = r.insn_count,
        .jited_size = r.kind == PROTO_KIND_PROGRAM ? lib_code_size(fd) : 0,
        .load_time_ns = r.load_time_ns,
        .loaded_at = loaded_at(r.load_time_ns),
        .run_count = r.run_count,
        .run_time_ns = r.run_time_ns,
        .windows_dialect = r.dialect == DIALECT_WINDOWS,
        .map_count = min_u32(r.map_count, EBPF_MAX_MAPS),
        .module_id = r.module_id,
        .module_revoked = r.revoked != 0,
        .prog_id = r.prog_id,
        .ifindex = r.ifindex,
        .attached = r.attached != 0,
    };
    memcpy(info->tag, r.tag, sizeof(info->tag));
    memcpy(info->map_ids, r.map_ids, sizeof(info->map_ids));
    r.name[sizeof(r.name) - 1] = r.module[sizeof(r.module) - 1] = '\0';
    str_copy(info->name, sizeof(info->name), r.name);
    str_copy(info->module, sizeof(info->module), r.module);
    return EBPF_SUCCESS;
}

// --- pins ----------------------------------------------------------------------------------------

ebpf_result_t ebpf_get_next_pin(const char *start_path, char *next_path, size_t next_path_size,
                                ebpf_object_kind_t *kind, uint32_t *id)
{
    struct proto_path_request fixed = {0};
    struct proto_pin_next_reply reply;
    if (start_path == NULL || next_path_size == 0 || !str_copy(fixed.path, sizeof(fixed.path), start_path)) {
        return EBPF_INVALID_ARGUMENT;
    }
    do {
        TRY(lib_call_simple(PROTO_PIN_NEXT, &fixed, NULL, 0, &reply, sizeof(reply)));
        reply.path[sizeof(reply.path) - 1] = '\0';
        memcpy(fixed.path, reply.path, sizeof(fixed.path));
    } while (*kind != EBPF_OBJECT_KIND_ANY && reply.kind != (uint32_t)*kind);
    if (str_len(reply.path) >= next_path_size) {
        return EBPF_INSUFFICIENT_BUFFER;
    }
    str_copy(next_path, next_path_size, reply.path);
    *kind = (ebpf_object_kind_t)reply.kind;
    if (id != NULL) {
        *id = reply.id;
    }
    return EBPF_SUCCESS;
}

ebpf_result_t ebpf_get_next_pinned_object_path(const char *start_path, char *next_path, size_t next_path_size,
                                               ebpf_object_kind_t *kind)
{
    return ebpf_get_next_pin(start_path, next_path, next_path_size, kind, NULL);
}

// --- hook points ---------------------------------------------------------------------------------

// The program of a link; 0 when the link went away meanwhile.
static uint32_t link_program(uint32_t link_id)
{
    struct proto_object_info_reply info;
    uint32_t prog_id = 0;
    int fd = -1;
    if (link_id == 0 || ebpf_object_open_id(EBPF_OBJECT_KIND_LINK, link_id, &fd) != EBPF_SUCCESS) {
        return 0;
    }
    if (lib_object_info(fd, &info) == EBPF_SUCCESS) {
        prog_id = info.prog_id;
    }
    lib_close_fd(fd);
    return prog_id;
}

ebpf_result_t lib_hook_next(uint32_t attach_type, uint32_t after_ifindex, struct ebpf_hook_point *point)
{
    struct proto_hook_next_request fixed = {.attach_type = attach_type, .after_ifindex = after_ifindex};
    struct proto_hook_next_reply reply;
    TRY(lib_call_simple(PROTO_HOOK_NEXT, &fixed, NULL, 0, &reply, sizeof(reply)));
    *point = (struct ebpf_hook_point){
        .ifindex = reply.ifindex,
        .link_id = reply.link_id,
        .prog_id = reply.prog_id != 0 ? reply.prog_id : link_program(reply.link_id),
        .counter_count = min_u32(reply.counter_count, EBPF_MAX_COUNTERS),
        .packets = reply.packets,
        .run_time_ns = reply.run_time_ns,
    };
    reply.name[sizeof(reply.name) - 1] = '\0';
    str_copy(point->name, sizeof(point->name), reply.name);
    for (uint32_t i = 0; i < point->counter_count; i++) {
        reply.counters[i].name[sizeof(reply.counters[i].name) - 1] = '\0';
        str_copy(point->counters[i].name, sizeof(point->counters[i].name), reply.counters[i].name);
        point->counters[i].packets = reply.counters[i].packets;
    }
    return EBPF_SUCCESS;
}

ebpf_result_t ebpf_get_next_hook_point(enum bpf_attach_type type, uint32_t after_ifindex,
                                       struct ebpf_hook_point *point)
{
    uint32_t attach_type = lib_attach_type_from_number((uint32_t)type);
    return attach_type != 0 ? lib_hook_next(attach_type, after_ifindex, point) : EBPF_INVALID_ARGUMENT;
}

// The hook's own names come first: its devices may live in another network namespace than this process.
ebpf_result_t ebpf_get_ifindex(enum bpf_attach_type type, const char *name, uint32_t *ifindex)
{
    struct ebpf_hook_point point = {0};
    ebpf_result_t result;
    if (name == NULL) {
        return EBPF_INVALID_ARGUMENT;
    }
    do {
        result = ebpf_get_next_hook_point(type, point.ifindex, &point);
        if (result == EBPF_SUCCESS && str_equal(point.name, name)) {
            *ifindex = point.ifindex;
            return EBPF_SUCCESS;
        }
    } while (result == EBPF_SUCCESS);
    return transport_netif_index(name, ifindex);
}
