// SPDX-License-Identifier: MIT
// cmd_net: `bpftool net`: what is attached to network interfaces, with the counters of each verdict.
#include "cli/cli_int.h"

// Flags of bpf_xdp_attach by the word that selects them (Linux UAPI linux/if_link.h).
struct attach_word {
    const char *name;
    uint32_t flags;
};
static const struct attach_word words[] = {
    {"xdp", 0},
    {"xdpgeneric", 1u << 1},
    {"xdpdrv", 1u << 2},
    {"xdpoffload", 1u << 3},
};
#define FLAG_IF_NOEXIST 1u

// --- show ----------------------------------------------------------------------------------------

static void show_plain(const struct ebpf_hook_point *p)
{
    printf("%s(%u) driver id %u\n", p->name, p->ifindex, p->prog_id);
    printf("\tlink %u  packets %llu", p->link_id, (unsigned long long)p->packets);
    for (uint32_t i = 0; i < p->counter_count; i++) {
        printf("  %s %llu", p->counters[i].name, (unsigned long long)p->counters[i].packets);
    }
    printf("  ns/packet %llu\n", (unsigned long long)(p->packets != 0 ? p->run_time_ns / p->packets : 0));
}

static void show_json(struct json *j, const struct ebpf_hook_point *p)
{
    json_start_object(j);
    json_string_member(j, "devname", p->name);
    json_uint_member(j, "ifindex", p->ifindex);
    json_string_member(j, "mode", "driver");
    json_uint_member(j, "id", p->prog_id);
    json_uint_member(j, "link_id", p->link_id);
    json_uint_member(j, "packets", p->packets);
    json_uint_member(j, "run_time_ns", p->run_time_ns);
    json_name(j, "verdicts");
    json_start_object(j);
    for (uint32_t i = 0; i < p->counter_count; i++) {
        json_uint_member(j, p->counters[i].name, p->counters[i].packets);
    }
    json_end_object(j);
    json_end_object(j);
}

// `only` 0: all interfaces.
static int show_points(struct cli *c, uint32_t only)
{
    struct ebpf_hook_point p = {0};
    for (;;) {
        ebpf_result_t result = ebpf_get_next_hook_point(BPF_XDP, p.ifindex, &p);
        if (result == EBPF_NO_MORE_KEYS) {
            return 0;
        }
        if (result != EBPF_SUCCESS) {
            return cli_error(c, -ebpf_result_errno(result), "can't list interfaces: %s",
                             ebpf_result_text(result));
        }
        if (p.link_id == 0 || (only != 0 && p.ifindex != only)) {
            continue;
        }
        if (c->json_output) {
            show_json(&c->json, &p);
        } else {
            show_plain(&p);
        }
    }
}

static int show_all(struct cli *c, uint32_t only)
{
    struct json *j = &c->json;
    int status;
    if (c->json_output) {
        json_start_array(j);
        json_start_object(j);
        json_name(j, "xdp");
        json_start_array(j);
    } else {
        printf("xdp:\n");
    }
    status = show_points(c, only);
    if (c->json_output) {
        json_end_array(j);
        json_end_object(j);
        json_end_array(j);
    }
    return status;
}

static int take_device(struct cli *c, struct args *a, uint32_t *ifindex)
{
    const char *name;
    if (!args_take_word(a, "dev")) {
        return cli_error(c, -EINVAL, "expected 'dev', got: '%s'?", a->count != 0 ? a->next[0] : "nothing");
    }
    name = args_take(a);
    return name != NULL ? ref_ifindex(c, name, ifindex) : cli_error(c, -EINVAL, "'dev' needs NAME");
}

static int show(struct cli *c, struct args *a)
{
    uint32_t ifindex = 0;
    int status = a->count != 0 ? take_device(c, a, &ifindex) : 0;
    if (status == 0) {
        status = args_require_end(c, a);
    }
    return status == 0 ? show_all(c, ifindex) : status;
}

// --- attach and detach ---------------------------------------------------------------------------

static int take_type(struct cli *c, struct args *a, uint32_t *flags)
{
    const char *word = args_take(a);
    for (size_t i = 0; i < CLI_COUNT(words); i++) {
        if (strcmp(word, words[i].name) == 0) {
            *flags = words[i].flags;
            return 0;
        }
    }
    return cli_error(c, -EINVAL, "invalid net attach/detach type: %s", word);
}

static int take_overwrite(struct cli *c, struct args *a, uint32_t *flags)
{
    bool overwrite = a->count != 0 && args_take_word(a, "overwrite");
    if (a->count != 0) {
        return cli_error(c, -EINVAL, "expected 'overwrite', got: '%s'?", a->next[0]);
    }
    *flags |= overwrite ? 0 : FLAG_IF_NOEXIST;
    return 0;
}

static int attach(struct cli *c, struct args *a)
{
    uint32_t flags = 0, ifindex = 0;
    int fd = -1, status;
    if (args_require(c, a, "attach", 5) != 0 || take_type(c, a, &flags) != 0) {
        return -EINVAL;
    }
    status = ref_parse(c, a, EBPF_OBJECT_KIND_PROGRAM, &fd);
    if (status != 0) {
        return -EINVAL;
    }
    status = take_device(c, a, &ifindex) == 0 ? take_overwrite(c, a, &flags) : -EINVAL;
    if (status == 0 && bpf_xdp_attach((int)ifindex, fd, flags, NULL) != 0) {
        status = cli_error(c, -errno, "interface xdp attach failed: %s", error_text(errno));
    }
    ebpf_close_fd(fd);
    if (status == 0) {
        cli_done(c);
    }
    return status;
}

static int detach(struct cli *c, struct args *a)
{
    uint32_t flags = 0, ifindex = 0;
    int status;
    if (args_require(c, a, "detach", 3) != 0 || take_type(c, a, &flags) != 0) {
        return -EINVAL;
    }
    status = take_device(c, a, &ifindex) == 0 ? args_require_end(c, a) : -EINVAL;
    if (status == 0 && bpf_xdp_detach((int)ifindex, flags, NULL) != 0) {
        status = cli_error(c, -errno, "interface xdp detach failed: %s", error_text(errno));
    }
    if (status == 0) {
        cli_done(c);
    }
    return status;
}

// --- the table -----------------------------------------------------------------------------------

static const struct command commands[] = {
    {"show", show, "[dev NAME]", NULL},
    {"list", show, NULL, NULL},
    {"attach", attach, "ATTACH_TYPE PROG dev NAME [overwrite]", NULL},
    {"detach", detach, "ATTACH_TYPE dev NAME", NULL},
};

static const char *const notes[] = {
    "PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }",
    "ATTACH_TYPE := { xdp | xdpgeneric | xdpdrv | xdpoffload }",
    NULL,
};

const struct command_group cmd_net_group = {"net", commands, CLI_COUNT(commands), notes, NULL};
