// SPDX-License-Identifier: MIT
// netsh_pin: pins: shown, made and removed.
#include "cli/netsh_int.h"

enum { ID, PINPATH };

void netsh_show_path(const struct netsh *n, const char *path, char out[EBPF_PATH_SIZE + 8])
{
    size_t root = strlen(n->host.pin_root);
    char *c = out;
    if (strncmp(path, n->host.pin_root, root) != 0 || path[root] != '/') {
        snprintf(out, EBPF_PATH_SIZE + 8, "%s", path);
        return;
    }
    snprintf(out, EBPF_PATH_SIZE + 8, "BPF:\\%s", path + root + 1);
    for (; *c != 0; c++) {
        *c = *c == '/' ? '\\' : *c;
    }
}

// --- all pins of an object -----------------------------------------------------------------------

static enum netsh_status unpin_one(struct netsh *n, const char *path, uint32_t id, bool tell)
{
    char shown[EBPF_PATH_SIZE + 8];
    ebpf_result_t result = ebpf_object_unpin(path);
    netsh_show_path(n, path, shown);
    if (result != EBPF_SUCCESS) {
        return netsh_refuse(n, "Error %d unpinning %u from %s", (int)result, id, shown);
    }
    if (tell) {
        netsh_print(n, "Unpinned %u from %s\n", id, shown);
    }
    return NETSH_DONE;
}

enum netsh_status netsh_unpin_all(struct netsh *n, ebpf_object_kind_t kind, uint32_t id, bool tell)
{
    char path[EBPF_PATH_SIZE] = "", next[EBPF_PATH_SIZE];
    enum netsh_status status = NETSH_DONE;
    uint32_t pinned = 0;
    ebpf_object_kind_t found = kind;
    while (ebpf_get_next_pin(path, next, sizeof(next), &found, &pinned) == EBPF_SUCCESS) {
        memcpy(path, next, sizeof(path));
        if (pinned == id) {
            enum netsh_status one = unpin_one(n, path, id, tell);
            status = one != NETSH_DONE ? one : status;
        }
    }
    return status;
}

// --- show pins -----------------------------------------------------------------------------------

enum netsh_status netsh_show_pins(struct netsh *n, const char *const *values)
{
    static const char *const kinds[] = {"Object", "Map", "Program", "Link"};
    char path[EBPF_PATH_SIZE] = "", next[EBPF_PATH_SIZE], shown[EBPF_PATH_SIZE + 8];
    ebpf_object_kind_t kind = EBPF_OBJECT_KIND_ANY;
    uint32_t id = 0;
    ebpf_result_t result;
    (void)values;
    netsh_put(n, "\n     ID     Type  Path\n=======  =======  ==============\n");
    while ((result = ebpf_get_next_pin(path, next, sizeof(next), &kind, &id)) == EBPF_SUCCESS) {
        memcpy(path, next, sizeof(path));
        netsh_show_path(n, path, shown);
        netsh_print(n, "%7u  %7s  %s\n", id, (unsigned)kind < NETSH_COUNT(kinds) ? kinds[kind] : kinds[0],
                    shown);
        kind = EBPF_OBJECT_KIND_ANY;
    }
    return result == EBPF_NO_MORE_KEYS
               ? NETSH_DONE
               : netsh_fail(n, (int)result, "could not list pins: %s", ebpf_result_text(result));
}

// --- pin and unpin one object --------------------------------------------------------------------

static const char *kind_name(ebpf_object_kind_t kind)
{
    return kind == EBPF_OBJECT_KIND_MAP ? "Map" : "Program";
}

// Opens the object that `id=` names; *path is what `pinpath=` says, or the object's name.
static enum netsh_status open_named(struct netsh *n, ebpf_object_kind_t kind, const char *const *values,
                                    struct ebpf_object_info *info, const char **path, int *fd)
{
    uint32_t id = 0;
    enum netsh_status status = netsh_parse_id(n, values[ID], &id);
    if (status != NETSH_DONE) {
        return status;
    }
    if (ebpf_object_open_id(kind, id, fd) != EBPF_SUCCESS) {
        return netsh_refuse(n, "%s not found.", kind_name(kind));
    }
    if (ebpf_object_get_info(*fd, info) != EBPF_SUCCESS) {
        ebpf_close_fd(*fd);
        return netsh_refuse(n, "%s not found.", kind_name(kind));
    }
    *path = values[PINPATH] != NULL && values[PINPATH][0] != 0 ? values[PINPATH] : info->name;
    return NETSH_DONE;
}

static enum netsh_status pin_object(struct netsh *n, ebpf_object_kind_t kind, const char *const *values)
{
    struct ebpf_object_info info;
    const char *path = NULL;
    int fd = -1;
    enum netsh_status status = open_named(n, kind, values, &info, &path, &fd);
    if (status != NETSH_DONE) {
        return status;
    }
    if (bpf_obj_pin(fd, path) != 0) {
        status = netsh_fail(n, errno, "could not pin to %s", path);
    }
    ebpf_close_fd(fd);
    return status;
}

// Only a pin of the very object goes.
static enum netsh_status unpin_path(struct netsh *n, const struct ebpf_object_info *info, const char *path)
{
    struct ebpf_object_info pinned = {.kind = EBPF_OBJECT_KIND_ANY};
    int fd = bpf_obj_get(path);
    bool same = fd >= 0 && ebpf_object_get_info(fd, &pinned) == EBPF_SUCCESS && pinned.kind == info->kind &&
                pinned.id == info->id;
    if (fd >= 0) {
        ebpf_close_fd(fd);
    }
    if (!same) {
        return netsh_refuse(n, "%s %u is not pinned to %s.", kind_name(info->kind), info->id, path);
    }
    ebpf_result_t result = ebpf_object_unpin(path);
    return result == EBPF_SUCCESS
               ? NETSH_DONE
               : netsh_fail(n, (int)result, "could not unpin %s: %s", path, ebpf_result_text(result));
}

static enum netsh_status unpin_object(struct netsh *n, ebpf_object_kind_t kind, const char *const *values)
{
    struct ebpf_object_info info;
    const char *path = NULL;
    int fd = -1;
    enum netsh_status status = open_named(n, kind, values, &info, &path, &fd);
    if (status == NETSH_DONE) {
        status = unpin_path(n, &info, path);
        ebpf_close_fd(fd);
    }
    return status;
}

enum netsh_status netsh_pin_map(struct netsh *n, const char *const *values)
{
    return pin_object(n, EBPF_OBJECT_KIND_MAP, values);
}

enum netsh_status netsh_pin_program(struct netsh *n, const char *const *values)
{
    return pin_object(n, EBPF_OBJECT_KIND_PROGRAM, values);
}

enum netsh_status netsh_unpin_map(struct netsh *n, const char *const *values)
{
    return unpin_object(n, EBPF_OBJECT_KIND_MAP, values);
}

enum netsh_status netsh_unpin_program(struct netsh *n, const char *const *values)
{
    return unpin_object(n, EBPF_OBJECT_KIND_PROGRAM, values);
}
