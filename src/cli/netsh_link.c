// SPDX-License-Identifier: MIT
// netsh_link: attachments of programs. A link that is to outlive netsh is pinned below a folder of its own,
// by its id; detaching a program removes these pins too.
#include "cli/netsh_int.h"

#define LINK_FOLDER "netsh_links"

static void link_path(uint32_t id, char path[64])
{
    snprintf(path, 64, LINK_FOLDER "/%u", id);
}

void netsh_close_links(struct netsh_links *links)
{
    for (size_t i = 0; i < links->count; i++) {
        ebpf_close_fd(links->fds[i]);
    }
    links->count = 0;
}

static enum netsh_status keep_link(struct netsh *n, int fd)
{
    struct ebpf_object_info info;
    char path[64];
    ebpf_result_t result = ebpf_object_get_info(fd, &info);
    if (result != EBPF_SUCCESS) {
        return netsh_fail(n, (int)result, "could not keep the attachment: %s", ebpf_result_text(result));
    }
    link_path(info.id, path);
    return bpf_obj_pin(fd, path) == 0 ? NETSH_DONE : netsh_fail(n, errno, "could not pin to %s", path);
}

static void forget_link(struct netsh *n, int fd)
{
    struct ebpf_object_info info;
    if (ebpf_object_get_info(fd, &info) == EBPF_SUCCESS) {
        netsh_unpin_all(n, EBPF_OBJECT_KIND_LINK, info.id, false);
    }
}

enum netsh_status netsh_keep_links(struct netsh *n, const struct netsh_links *links)
{
    enum netsh_status status = NETSH_DONE;
    size_t done = 0;
    while (done < links->count && status == NETSH_DONE) {
        status = keep_link(n, links->fds[done]);
        done += status == NETSH_DONE;
    }
    while (status != NETSH_DONE && done-- > 0) {
        forget_link(n, links->fds[done]);
    }
    return status;
}

// --- attach --------------------------------------------------------------------------------------

static bool parse_index(const char *text, uint32_t *ifindex)
{
    char *end = NULL;
    unsigned long long number = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    *ifindex = (uint32_t)number;
    return end != NULL && *end == 0 && number <= UINT32_MAX;
}

// 0: all interfaces, as without a name.
static enum netsh_status find_interface(struct netsh *n, enum bpf_attach_type type, const char *interface,
                                        uint32_t *ifindex)
{
    if (type != BPF_XDP) {
        return netsh_refuse(
            n, "Interface parameter is not allowed for program types that don't support interfaces.");
    }
    if (!parse_index(interface, ifindex) && ebpf_get_ifindex(type, interface, ifindex) != EBPF_SUCCESS) {
        return netsh_refuse(n, "Interface parameter is invalid.");
    }
    return NETSH_DONE;
}

static enum netsh_status attach_to(struct netsh *n, int prog_fd, enum bpf_attach_type type, uint32_t ifindex,
                                   struct netsh_links *out)
{
    int fd;
    if (out->count == NETSH_MAX_LINKS) {
        return netsh_refuse(n, "There are more than %d interfaces: name one.", NETSH_MAX_LINKS);
    }
    fd = bpf_link_create(prog_fd, (int)ifindex, type, NULL);
    if (fd < 0) {
        return netsh_fail(n, errno, "could not attach program");
    }
    out->fds[out->count++] = fd;
    return NETSH_DONE;
}

static enum netsh_status attach_everywhere(struct netsh *n, int prog_fd, struct netsh_links *out)
{
    struct ebpf_hook_point point = {.ifindex = 0};
    enum netsh_status status = NETSH_DONE;
    while (status == NETSH_DONE && ebpf_get_next_hook_point(BPF_XDP, point.ifindex, &point) == EBPF_SUCCESS) {
        status = attach_to(n, prog_fd, BPF_XDP, point.ifindex, out);
    }
    if (status == NETSH_DONE && out->count == 0) {
        return netsh_refuse(n, "There is no interface that XDP programs can be attached to.");
    }
    return status;
}

enum netsh_status netsh_attach(struct netsh *n, int prog_fd, enum bpf_attach_type type, const char *interface,
                               struct netsh_links *out)
{
    uint32_t ifindex = 0;
    enum netsh_status status = interface != NULL ? find_interface(n, type, interface, &ifindex) : NETSH_DONE;
    out->count = 0;
    if (status != NETSH_DONE) {
        return status;
    }
    status = type == BPF_XDP && ifindex == 0 ? attach_everywhere(n, prog_fd, out)
                                             : attach_to(n, prog_fd, type, ifindex, out);
    if (status != NETSH_DONE) {
        netsh_close_links(out);
    }
    return status;
}

// --- links of a program --------------------------------------------------------------------------

struct search {
    uint32_t prog_id, count;
};

static enum netsh_status detach_one(struct netsh *n, int fd, const struct ebpf_object_info *info, void *user)
{
    struct search *search = user;
    if (info->prog_id != search->prog_id) {
        return NETSH_DONE;
    }
    if (info->attached && bpf_link_detach(fd) != 0) {
        return netsh_fail(n, errno, "could not detach program");
    }
    search->count += info->attached;
    return netsh_unpin_all(n, EBPF_OBJECT_KIND_LINK, info->id, false);
}

enum netsh_status netsh_detach(struct netsh *n, uint32_t prog_id, bool *found)
{
    struct search search = {.prog_id = prog_id};
    enum netsh_status status = netsh_for_each(n, EBPF_OBJECT_KIND_LINK, detach_one, &search);
    netsh_release_detached(n);
    *found = search.count != 0;
    return status;
}

static enum netsh_status count_one(struct netsh *n, int fd, const struct ebpf_object_info *info, void *user)
{
    struct search *search = user;
    (void)n;
    (void)fd;
    search->count += info->prog_id == search->prog_id && info->attached;
    return NETSH_DONE;
}

uint32_t netsh_link_count(struct netsh *n, uint32_t prog_id)
{
    struct search search = {.prog_id = prog_id};
    netsh_for_each(n, EBPF_OBJECT_KIND_LINK, count_one, &search);
    return search.count;
}

// --- show links ----------------------------------------------------------------------------------

static enum netsh_status show_link(struct netsh *n, int fd, const struct ebpf_object_info *info, void *user)
{
    (void)fd;
    (void)user;
    netsh_print(n, "%7u  %7u  %s%s\n", info->id, info->prog_id, info->attach_type,
                info->attached ? "" : " (detached)");
    return NETSH_DONE;
}

enum netsh_status netsh_show_links(struct netsh *n, const char *const *values)
{
    (void)values;
    netsh_put(n, "\n   Link  Program  Attach\n     ID       ID  Type\n=======  =======  =============\n");
    return netsh_for_each(n, EBPF_OBJECT_KIND_LINK, show_link, NULL);
}
