// SPDX-License-Identifier: MIT
// netsh_show: programs, maps and processes, as tables. Columns and words are those of the Windows ecosystem's
// helper: scripts read them.
#include "cli/netsh_int.h"

enum netsh_status netsh_for_each(struct netsh *n, ebpf_object_kind_t kind,
                                 enum netsh_status (*each)(struct netsh *n, int fd,
                                                           const struct ebpf_object_info *info, void *user),
                                 void *user)
{
    enum netsh_status status = NETSH_DONE;
    uint32_t id = 0;
    while (status == NETSH_DONE) {
        struct ebpf_object_info info;
        ebpf_result_t result = ebpf_object_get_next_id(kind, id, &id);
        int fd = -1;
        if (result == EBPF_NO_MORE_KEYS) {
            return NETSH_DONE;
        }
        if (result != EBPF_SUCCESS) {
            return netsh_fail(n, (int)result, "%s", ebpf_result_text(result));
        }
        if (ebpf_object_open_id(kind, id, &fd) != EBPF_SUCCESS) {
            continue; // gone since
        }
        if (ebpf_object_get_info(fd, &info) == EBPF_SUCCESS) {
            status = each(n, fd, &info, user);
        }
        ebpf_close_fd(fd);
    }
    return status;
}

// --- show programs -------------------------------------------------------------------------------

enum { TYPE, ATTACHED, PINNED, LEVEL, FILENAME, SECTION, ID };
enum constraint { ANY, YES, NO };

struct filter {
    const char *type;          // NULL: all
    unsigned attached, pinned; // enum constraint
    unsigned verbose;
    uint32_t id; // 0: all
};

static enum netsh_status parse_constraint(struct netsh *n, const char *tag, const char *value, unsigned *out)
{
    static const char *const words[] = {"any", "yes", "no"};
    return netsh_parse_word(n, tag, value, words, NETSH_COUNT(words), out);
}

static enum netsh_status parse_type(struct netsh *n, const char *value, const char **type)
{
    struct ebpf_guid guid;
    if (value == NULL) {
        return NETSH_DONE;
    }
    if (ebpf_get_program_type_by_name(value, &guid, NULL) != EBPF_SUCCESS) {
        return netsh_refuse(n, "'%s' is no program type.", value);
    }
    *type = ebpf_get_program_type_name(&guid);
    return NETSH_DONE;
}

static enum netsh_status parse_filter(struct netsh *n, const char *const *values, struct filter *f)
{
    static const char *const levels[] = {"normal", "verbose"};
    enum netsh_status status = parse_type(n, values[TYPE], &f->type);
    f->verbose = values[ID] != NULL;
    if (status == NETSH_DONE && (values[FILENAME] != NULL || values[SECTION] != NULL)) {
        status =
            netsh_refuse(n, "Loaded programs do not know their file: filename and section cannot be used.");
    }
    if (status == NETSH_DONE) {
        status = parse_constraint(n, "attached", values[ATTACHED], &f->attached);
    }
    if (status == NETSH_DONE) {
        status = parse_constraint(n, "pinned", values[PINNED], &f->pinned);
    }
    if (status == NETSH_DONE) {
        status = netsh_parse_word(n, "level", values[LEVEL], levels, NETSH_COUNT(levels), &f->verbose);
    }
    return status == NETSH_DONE && values[ID] != NULL ? netsh_parse_id(n, values[ID], &f->id) : status;
}

static bool satisfies(unsigned constraint, bool fact)
{
    return constraint == ANY || (constraint == YES) == fact;
}

static const char *mode(const struct ebpf_object_info *info)
{
    return info->module[0] != 0 ? "NATIVE" : "JIT";
}

static void print_program(struct netsh *n, const struct ebpf_object_info *info, uint32_t links)
{
    netsh_print(n, "\nID             : %u\nName           : %s\nProgram type   : %s\nMode           : %s\n",
                info->id, info->name, info->type, mode(info));
    if (info->module[0] != 0) {
        netsh_print(n, "Module         : %s%s\n", info->module, info->module_revoked ? " (revoked)" : "");
    }
    netsh_print(n, "# map IDs      : %u\n", info->map_count);
    for (uint32_t i = 0; i < info->map_count; i++) {
        netsh_print(n, "%s%u\n", i == 0 ? "map IDs        : " : "                 ", info->map_ids[i]);
    }
    netsh_print(n, "# pinned paths : %u\n# links        : %u\n", info->pin_count, links);
}

static enum netsh_status show_program(struct netsh *n, int fd, const struct ebpf_object_info *info,
                                      void *user)
{
    const struct filter *f = user;
    uint32_t links = netsh_link_count(n, info->id);
    (void)fd;
    if ((f->type != NULL && strcmp(info->type, f->type) != 0) || (f->id != 0 && info->id != f->id) ||
        !satisfies(f->attached, links != 0) || !satisfies(f->pinned, info->pin_count != 0)) {
        return NETSH_DONE;
    }
    if (f->verbose) {
        print_program(n, info, links);
    } else {
        netsh_print(n, "%6u  %4u  %5u  %-9s  %-13s  %s\n", info->id, info->pin_count, links, mode(info),
                    info->type, info->name);
    }
    return NETSH_DONE;
}

enum netsh_status netsh_show_programs(struct netsh *n, const char *const *values)
{
    struct filter f = {0};
    enum netsh_status status = parse_filter(n, values, &f);
    if (status != NETSH_DONE) {
        return status;
    }
    if (!f.verbose) {
        netsh_put(n, "\n    ID  Pins  Links  Mode       Type           Name\n"
                     "======  ====  =====  =========  =============  ====================\n");
    }
    return netsh_for_each(n, EBPF_OBJECT_KIND_PROGRAM, show_program, &f);
}

// --- show maps -----------------------------------------------------------------------------------

static enum netsh_status show_map(struct netsh *n, int fd, const struct ebpf_object_info *info, void *user)
{
    (void)fd;
    (void)user;
    netsh_print(n, "%7u  %18s%6u%7u%9u%7u%6u  %s\n", info->id, info->type, info->key_size, info->value_size,
                info->max_entries, 0u, info->pin_count, info->name); // no map holds maps yet
    return NETSH_DONE;
}

enum netsh_status netsh_show_maps(struct netsh *n, const char *const *values)
{
    (void)values;
    netsh_put(n, "\n"
                 "                              Key  Value      Max  Inner\n"
                 "     ID            Map Type  Size   Size  Entries     ID  Pins  Name\n"
                 "=======  ==================  ====  =====  =======  =====  ====  ========\n");
    return netsh_for_each(n, EBPF_OBJECT_KIND_MAP, show_map, NULL);
}

// --- show processes ------------------------------------------------------------------------------

static enum netsh_status no_more_processes(struct netsh *n, ebpf_result_t result)
{
    switch (result) {
    case EBPF_NO_MORE_KEYS: return NETSH_DONE;
    case EBPF_ACCESS_DENIED: return netsh_refuse(n, "This command requires running as Administrator");
    case EBPF_OPERATION_NOT_SUPPORTED:
        return netsh_refuse(n, "This execution context does not know the processes that hold its objects.");
    default: return netsh_fail(n, (int)result, "%s", ebpf_result_text(result));
    }
}

static void show_process(struct netsh *n, const struct ebpf_holder *h)
{
    char name[256];
    if (!n->host.process_name(n->host.user, h->pid, name, sizeof(name))) {
        strcpy(name, "<unknown>");
    }
    netsh_print(n, "%5u  %-20s  %4u  %8u  %5u\n", h->pid, name, h->maps, h->programs, h->links);
}

enum netsh_status netsh_show_processes(struct netsh *n, const char *const *values)
{
    struct ebpf_holder h = {.pid = 0};
    ebpf_result_t result = ebpf_get_next_holder(0, &h);
    (void)values;
    if (result != EBPF_SUCCESS && result != EBPF_NO_MORE_KEYS) {
        return no_more_processes(n, result);
    }
    netsh_put(n, "\n  PID  Name                  Maps  Programs  Links\n"
                 "=====  ====================  ====  ========  =====\n");
    while (result == EBPF_SUCCESS) {
        if (h.maps + h.programs + h.links != 0) { // else it only asks, as this command does
            show_process(n, &h);
        }
        result = ebpf_get_next_holder(h.pid, &h);
    }
    return no_more_processes(n, result);
}
