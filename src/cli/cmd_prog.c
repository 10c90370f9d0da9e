// SPDX-License-Identifier: MIT
// cmd_prog: `bpftool prog`: the table of its commands, show and pin.
#include <time.h>

#include "cli/cli_int.h"

// --- show ----------------------------------------------------------------------------------------

static void print_tag(const struct ebpf_object_info *info, char text[17])
{
    for (size_t i = 0; i < sizeof(info->tag); i++) {
        snprintf(text + 2 * i, 3, "%02x", info->tag[i]);
    }
}

static void show_plain(struct cli *c, const struct ebpf_object_info *info)
{
    char tag[17], when[40];
    time_t loaded = (time_t)info->loaded_at;
    struct tm *local = localtime(&loaded);
    print_tag(info, tag);
    printf("%u: %s  ", info->id, info->type);
    if (info->name[0] != 0) {
        cli_put("name ", info->name, "  ");
    }
    printf("tag %s", tag);
    if (info->run_count != 0) {
        printf(" run_time_ns %llu run_cnt %llu", (unsigned long long)info->run_time_ns,
               (unsigned long long)info->run_count);
    }
    putchar('\n');
    if (info->loaded_at != 0 && local != NULL &&
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S%z", local) != 0) {
        printf("\tloaded_at %s\n", when);
    }
    printf("\txlated %uB  ", info->insn_count * 8);
    if (info->module[0] != 0) {
        cli_put("native module ", info->module, info->module_revoked ? ", revoked" : "");
    } else if (info->jited_size != 0) {
        printf("jited %uB", info->jited_size);
    } else {
        printf("not jited");
    }
    for (uint32_t i = 0; i < info->map_count; i++) {
        printf("%s%u", i == 0 ? "  map_ids " : ",", info->map_ids[i]);
    }
    ref_show_pins(c, info);
    putchar('\n');
}

static void show_json(struct cli *c, const struct ebpf_object_info *info)
{
    struct json *j = &c->json;
    char tag[17];
    print_tag(info, tag);
    json_start_object(j);
    json_uint_member(j, "id", info->id);
    json_string_member(j, "type", info->type);
    if (info->name[0] != 0) {
        json_string_member(j, "name", info->name);
    }
    json_string_member(j, "tag", tag);
    if (info->run_count != 0) {
        json_uint_member(j, "run_time_ns", info->run_time_ns);
        json_uint_member(j, "run_cnt", info->run_count);
    }
    if (info->loaded_at != 0) {
        json_uint_member(j, "loaded_at", info->loaded_at);
    }
    json_uint_member(j, "bytes_xlated", (uint64_t)info->insn_count * 8);
    json_bool_member(j, "jited", info->jited_size != 0);
    if (info->jited_size != 0) {
        json_uint_member(j, "bytes_jited", info->jited_size);
    }
    if (info->module[0] != 0) {
        json_string_member(j, "module", info->module);
    }
    if (info->module_revoked) {
        json_bool_member(j, "revoked", true);
    }
    if (info->map_count != 0) {
        json_name(j, "map_ids");
        json_start_array(j);
        for (uint32_t i = 0; i < info->map_count; i++) {
            json_uint(j, info->map_ids[i]);
        }
        json_end_array(j);
    }
    ref_show_pins(c, info);
    json_end_object(j);
}

static int show(struct cli *c, struct args *a)
{
    static const struct printer printer = {show_plain, show_json};
    return ref_show(c, a, EBPF_OBJECT_KIND_PROGRAM, &printer);
}

static int pin(struct cli *c, struct args *a)
{
    return ref_pin(c, a, EBPF_OBJECT_KIND_PROGRAM);
}

static int unpin(struct cli *c, struct args *a)
{
    return ref_unpin(c, a, EBPF_OBJECT_KIND_PROGRAM);
}

// --- the table -----------------------------------------------------------------------------------

static const struct command commands[] = {
    {"show", show, "[PROG]", NULL},
    {"list", show, NULL, NULL},
    {"dump", cmd_prog_dump, "xlated PROG [{ file FILE | [opcodes] [linum] [visual] }]", NULL},
    {"dump", cmd_prog_dump, "jited  PROG [{ file FILE | [opcodes] [linum] }]", NULL},
    {"pin", pin, "PROG FILE", NULL},
    {"unpin", unpin, "FILE", NULL},
    {"load", cmd_prog_load, "OBJ PATH", &cmd_prog_load_keywords},
    {"loadall", cmd_prog_load_all, NULL, NULL},
    {"run", cmd_prog_run, "PROG", &cmd_prog_run_keywords},
    {"verify", cmd_prog_verify, "OBJ", &cmd_prog_verify_keywords},
};

static const char *const notes[] = {
    "MAP := { id MAP_ID | pinned FILE | name MAP_NAME }",
    "PROG := { id PROG_ID | pinned FILE | tag PROG_TAG | name PROG_NAME }",
    NULL,
};

const struct command_group cmd_prog_group = {"prog", commands, CLI_COUNT(commands), notes,
                                             ebpf_enumerate_program_types};
