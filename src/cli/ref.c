// SPDX-License-Identifier: MIT
// ref: objects named on the command line, and what all kinds of objects have in common: show, pin, pinned
// paths.
#include "cli/cli_int.h"

const char *ref_kind_name(ebpf_object_kind_t kind)
{
    static const char *const names[] = {"object", "map", "prog", "link"};
    return (unsigned)kind < CLI_COUNT(names) ? names[kind] : "object";
}

void fds_close(struct fds *fds)
{
    for (size_t i = 0; i < fds->count; i++) {
        ebpf_close_fd(fds->fd[i]);
    }
    free(fds->fd);
    *fds = (struct fds){0};
}

// Takes over `fd` also when it fails.
static int fds_add(struct cli *c, struct fds *fds, int fd)
{
    int *grown = realloc(fds->fd, (fds->count + 1) * sizeof(*grown));
    if (grown == NULL) {
        ebpf_close_fd(fd);
        return cli_error(c, -ENOMEM, "out of memory");
    }
    fds->fd = grown;
    fds->fd[fds->count++] = fd;
    return 0;
}

int ref_info(struct cli *c, int fd, struct ebpf_object_info *info)
{
    ebpf_result_t result = ebpf_object_get_info(fd, info);
    return result == EBPF_SUCCESS ? 0
                                  : cli_error(c, -ebpf_result_errno(result), "can't get object info: %s",
                                              ebpf_result_text(result));
}

int ref_for_each(struct cli *c, ebpf_object_kind_t kind, int (*each)(struct cli *c, int fd, void *user),
                 void *user)
{
    uint32_t id = 0;
    for (;;) {
        ebpf_result_t result = ebpf_object_get_next_id(kind, id, &id);
        int fd = -1, status;
        if (result == EBPF_NO_MORE_KEYS) {
            return 0;
        }
        if (result != EBPF_SUCCESS) {
            return cli_error(c, -ebpf_result_errno(result), "can't get next %s: %s", ref_kind_name(kind),
                             ebpf_result_text(result));
        }
        if (ebpf_object_open_id(kind, id, &fd) != EBPF_SUCCESS) {
            continue; // gone since
        }
        status = each(c, fd, user);
        ebpf_close_fd(fd);
        if (status != 0) {
            return status;
        }
    }
}

// --- the four ways to name an object -------------------------------------------------------------

static int by_id(struct cli *c, ebpf_object_kind_t kind, const char *text, struct fds *out)
{
    uint32_t id = 0;
    ebpf_result_t result;
    int fd = -1;
    if (!args_parse_u32(text, &id)) {
        return cli_error(c, -1, "can't parse %s as ID", text);
    }
    result = ebpf_object_open_id(kind, id, &fd);
    if (result != EBPF_SUCCESS) {
        // Sentences and statuses as upstream bpftool has them for each kind.
        static const char *const what[] = {"get (%u)", "get map by id (%u)", "get by id (%u)",
                                           "failed to get link with ID %u"};
        char sentence[64];
        int err = ebpf_result_errno(result);
        snprintf(sentence, sizeof(sentence), what[kind], id);
        return cli_error(c, kind == EBPF_OBJECT_KIND_LINK ? -err : -1, "%s: %s", sentence, error_text(err));
    }
    return fds_add(c, out, fd);
}

static int by_path(struct cli *c, ebpf_object_kind_t kind, const char *path, struct fds *out)
{
    struct ebpf_object_info info;
    int status, fd = bpf_obj_get(path);
    if (fd < 0) {
        return cli_error(c, -1, "bpf obj get (%s): %s", path, error_text(errno));
    }
    status = ref_info(c, fd, &info);
    if (status == 0 && info.kind != kind) {
        status = cli_error(c, -1, "incorrect object type: %s", ref_kind_name(info.kind));
    }
    if (status != 0) {
        ebpf_close_fd(fd);
        return status;
    }
    return fds_add(c, out, fd);
}

struct wanted {
    const char *name; // or NULL
    uint8_t tag[8];
    struct fds *out;
};

static int take_match(struct cli *c, int fd, void *user)
{
    struct wanted *wanted = user;
    struct ebpf_object_info info;
    int copy = -1;
    bool same;
    if (ebpf_object_get_info(fd, &info) != EBPF_SUCCESS) {
        return 0;
    }
    same = wanted->name != NULL ? strcmp(info.name, wanted->name) == 0
                                : memcmp(info.tag, wanted->tag, sizeof(info.tag)) == 0;
    if (!same) {
        return 0;
    }
    return ebpf_duplicate_fd(fd, &copy) == EBPF_SUCCESS ? fds_add(c, wanted->out, copy)
                                                        : cli_error(c, -1, "can't duplicate a descriptor");
}

static int search(struct cli *c, ebpf_object_kind_t kind, struct wanted *wanted, const char *text)
{
    int status = ref_for_each(c, kind, take_match, wanted);
    if (status == 0 && wanted->out->count == 0) {
        status = cli_error(c, -1, "no %s with %s '%s'", ref_kind_name(kind),
                           wanted->name != NULL ? "name" : "tag", text);
    }
    return status;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    return digit >= 'a' && digit <= 'f'   ? digit - 'a' + 10
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                          : -1;
}

static int by_tag(struct cli *c, const char *text, struct fds *out)
{
    struct wanted wanted = {.out = out};
    bool valid = strlen(text) == 2 * sizeof(wanted.tag);
    for (size_t i = 0; valid && i < sizeof(wanted.tag); i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        valid = high >= 0 && low >= 0;
        wanted.tag[i] = (uint8_t)(valid ? high * 16 + low : 0);
    }
    return valid ? search(c, EBPF_OBJECT_KIND_PROGRAM, &wanted, text) : cli_error(c, -1, "can't parse tag");
}

static int by_name(struct cli *c, ebpf_object_kind_t kind, const char *text, struct fds *out)
{
    struct wanted wanted = {.name = text, .out = out};
    return search(c, kind, &wanted, text);
}

static int unknown_way(struct cli *c, ebpf_object_kind_t kind, const char *word)
{
    const char *ways = kind == EBPF_OBJECT_KIND_PROGRAM ? "'id', 'tag', 'name' or 'pinned'"
                       : kind == EBPF_OBJECT_KIND_MAP   ? "'id', 'name' or 'pinned'"
                                                        : "'id' or 'pinned'";
    return word != NULL ? cli_error(c, -1, "expected %s, got: '%s'?", ways, word)
                        : cli_error(c, -1, "expected %s, got nothing", ways);
}

static int parse_reference(struct cli *c, struct args *a, ebpf_object_kind_t kind, struct fds *out)
{
    const char *way = args_take(a), *text = way != NULL ? args_take(a) : NULL;
    bool has_name = kind != EBPF_OBJECT_KIND_LINK, has_tag = kind == EBPF_OBJECT_KIND_PROGRAM;
    if (way != NULL && text == NULL &&
        (args_is_prefix(way, "id") || args_is_prefix(way, "pinned") || args_is_prefix(way, "name") ||
         args_is_prefix(way, "tag"))) {
        return cli_error(c, -1, "what is '%s'?", way);
    }
    if (way == NULL || text == NULL) {
        return unknown_way(c, kind, way);
    }
    if (args_is_prefix(way, "id")) {
        return by_id(c, kind, text, out);
    }
    if (args_is_prefix(way, "pinned")) {
        return by_path(c, kind, text, out);
    }
    if (has_name && args_is_prefix(way, "name")) {
        return by_name(c, kind, text, out);
    }
    return has_tag && args_is_prefix(way, "tag") ? by_tag(c, text, out) : unknown_way(c, kind, way);
}

int ref_parse_all(struct cli *c, struct args *a, ebpf_object_kind_t kind, struct fds *out)
{
    struct fds fds = {0};
    int status = parse_reference(c, a, kind, &fds);
    if (status != 0) {
        fds_close(&fds);
        return status;
    }
    *out = fds;
    return 0;
}

int ref_parse(struct cli *c, struct args *a, ebpf_object_kind_t kind, int *fd)
{
    struct fds fds = {0};
    int status = ref_parse_all(c, a, kind, &fds);
    if (status != 0) {
        return status;
    }
    if (fds.count != 1) {
        fds_close(&fds);
        return cli_error(c, -1, "several %ss match this handle", ref_kind_name(kind));
    }
    *fd = fds.fd[0];
    free(fds.fd);
    return 0;
}

// --- show and pin --------------------------------------------------------------------------------

int fds_for_each(struct cli *c, struct fds *fds, int (*each)(struct cli *c, int fd, void *user), void *user)
{
    bool list = c->json_output && fds->count > 1;
    int status = 0;
    if (list) {
        json_start_array(&c->json);
    }
    for (size_t i = 0; i < fds->count && status == 0; i++) {
        status = each(c, fds->fd[i], user);
    }
    if (list) {
        json_end_array(&c->json);
    }
    fds_close(fds);
    return status;
}

static int show_one(struct cli *c, int fd, void *user)
{
    const struct printer *printer = user;
    struct ebpf_object_info info;
    int status = ref_info(c, fd, &info);
    if (status == 0) {
        (c->json_output ? printer->json : printer->plain)(c, &info);
    }
    return status;
}

static int show_list(struct cli *c, ebpf_object_kind_t kind, const struct printer *printer)
{
    if (c->json_output) {
        json_start_array(&c->json);
    }
    int status = ref_for_each(c, kind, show_one, (void *)printer);
    if (c->json_output) {
        json_end_array(&c->json);
    }
    return status;
}

// All objects that the command names, and nothing behind them.
int ref_parse_only(struct cli *c, struct args *a, ebpf_object_kind_t kind, struct fds *out)
{
    int status = ref_parse_all(c, a, kind, out);
    if (status != 0) {
        return status;
    }
    status = args_require_end(c, a);
    if (status != 0) {
        fds_close(out);
    }
    return status;
}

int ref_show(struct cli *c, struct args *a, ebpf_object_kind_t kind, const struct printer *printer)
{
    struct fds fds = {0};
    if (a->count == 0) {
        return show_list(c, kind, printer);
    }
    int status = ref_parse_only(c, a, kind, &fds);
    return status == 0 ? fds_for_each(c, &fds, show_one, (void *)printer) : status;
}

int ref_pin(struct cli *c, struct args *a, ebpf_object_kind_t kind)
{
    const char *path;
    int fd = -1, status;
    if (args_require(c, a, "pin", 3) != 0) {
        return -EINVAL;
    }
    status = ref_parse(c, a, kind, &fd);
    if (status != 0) {
        return status;
    }
    path = args_take(a);
    status = path == NULL ? cli_error(c, -1, "'pin' needs FILE") : args_require_end(c, a);
    if (status == 0 && bpf_obj_pin(fd, path) != 0) {
        status = cli_error(c, -errno, "can't pin the object (%s): %s", path, error_text(errno));
    }
    ebpf_close_fd(fd);
    if (status == 0) {
        cli_done(c);
    }
    return status;
}

static int unpin_path(struct cli *c, ebpf_object_kind_t kind, const char *path)
{
    struct fds fds = {0};
    int status = by_path(c, kind, path, &fds);
    fds_close(&fds);
    if (status != 0) {
        return status;
    }
    ebpf_result_t result = ebpf_object_unpin(path);
    return result == EBPF_SUCCESS ? 0
                                  : cli_error(c, -ebpf_result_errno(result), "can't unpin (%s): %s", path,
                                              error_text(ebpf_result_errno(result)));
}

int ref_unpin(struct cli *c, struct args *a, ebpf_object_kind_t kind)
{
    const char *path;
    int status = args_require(c, a, "unpin", 1);
    if (status != 0) {
        return status;
    }
    path = args_take(a);
    status = args_require_end(c, a);
    if (status == 0) {
        status = unpin_path(c, kind, path);
    }
    if (status == 0) {
        cli_done(c);
    }
    return status;
}

void ref_show_pins(struct cli *c, const struct ebpf_object_info *info)
{
    char path[EBPF_PATH_SIZE] = "", next[EBPF_PATH_SIZE];
    ebpf_object_kind_t kind = info->kind;
    uint32_t id = 0;
    bool any = false;
    if (!c->show_pins || info->pin_count == 0) {
        return;
    }
    while (ebpf_get_next_pin(path, next, sizeof(next), &kind, &id) == EBPF_SUCCESS) {
        memcpy(path, next, sizeof(path));
        if (id != info->id) {
            continue;
        }
        if (!c->json_output) {
            printf("\n\tpinned %s", path);
            continue;
        }
        if (!any) {
            json_name(&c->json, "pinned");
            json_start_array(&c->json);
            any = true;
        }
        json_string(&c->json, path);
    }
    if (any) {
        json_end_array(&c->json);
    }
}

// --- interfaces ----------------------------------------------------------------------------------

int ref_ifindex(struct cli *c, const char *name, uint32_t *ifindex)
{
    return ebpf_get_ifindex(BPF_XDP, name, ifindex) == EBPF_SUCCESS
               ? 0
               : cli_error(c, -1, "invalid devname %s", name);
}

void ref_ifname(uint32_t ifindex, char name[EBPF_NAME_SIZE])
{
    struct ebpf_hook_point point;
    name[0] = 0;
    if (ifindex != 0 && ebpf_get_next_hook_point(BPF_XDP, ifindex - 1, &point) == EBPF_SUCCESS &&
        point.ifindex == ifindex) {
        memcpy(name, point.name, EBPF_NAME_SIZE);
    }
}
