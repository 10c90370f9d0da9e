// SPDX-License-Identifier: MIT
// cmd_link: `bpftool link`: the table of its commands.
#include "cli/cli_int.h"

// --- show ----------------------------------------------------------------------------------------

static void show_plain(struct cli *c, const struct ebpf_object_info *info)
{
    char name[EBPF_NAME_SIZE];
    printf("%u: %s  prog %u", info->id, info->type, info->prog_id);
    if (info->ifindex != 0) {
        ref_ifname(info->ifindex, name);
        printf("\n\tifindex %s(%u)%s", name[0] != 0 ? name : "unknown", info->ifindex,
               info->attached ? "" : "  detached");
    } else if (!info->attached) {
        printf("\n\tdetached");
    }
    ref_show_pins(c, info);
    putchar('\n');
}

static void show_json(struct cli *c, const struct ebpf_object_info *info)
{
    struct json *j = &c->json;
    char name[EBPF_NAME_SIZE];
    json_start_object(j);
    json_uint_member(j, "id", info->id);
    json_string_member(j, "type", info->type);
    json_uint_member(j, "prog_id", info->prog_id);
    if (info->ifindex != 0) {
        ref_ifname(info->ifindex, name);
        json_string_member(j, "devname", name);
        json_uint_member(j, "ifindex", info->ifindex);
    }
    json_bool_member(j, "attached", info->attached);
    ref_show_pins(c, info);
    json_end_object(j);
}

static int show(struct cli *c, struct args *a)
{
    static const struct printer printer = {show_plain, show_json};
    return ref_show(c, a, EBPF_OBJECT_KIND_LINK, &printer);
}

// --- pin and detach ------------------------------------------------------------------------------

static int pin(struct cli *c, struct args *a)
{
    return ref_pin(c, a, EBPF_OBJECT_KIND_LINK);
}

static int unpin(struct cli *c, struct args *a)
{
    return ref_unpin(c, a, EBPF_OBJECT_KIND_LINK);
}

static int detach(struct cli *c, struct args *a)
{
    int fd = -1, status = args_require(c, a, "detach", 2);
    if (status != 0) {
        return status;
    }
    if (ref_parse(c, a, EBPF_OBJECT_KIND_LINK, &fd) != 0) {
        return 1; // as upstream bpftool: this command has one status for whatever fails
    }
    status = args_require_end(c, a);
    if (status == 0 && bpf_link_detach(fd) != 0) {
        status = cli_error(c, 1, "failed link detach: %s", error_text(errno));
    }
    ebpf_close_fd(fd);
    if (status == 0) {
        cli_done(c);
    }
    return status;
}

// --- the table -----------------------------------------------------------------------------------

static const struct command commands[] = {
    {"show", show, "[LINK]", NULL}, {"list", show, NULL, NULL},       {"pin", pin, "LINK FILE", NULL},
    {"unpin", unpin, "FILE", NULL}, {"detach", detach, "LINK", NULL},
};

static const char *const notes[] = {
    "LINK := { id LINK_ID | pinned FILE }",
    NULL,
};

const struct command_group cmd_link_group = {"link", commands, CLI_COUNT(commands), notes, NULL};
