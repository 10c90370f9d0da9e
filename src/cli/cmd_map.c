// SPDX-License-Identifier: MIT
// cmd_map: `bpftool map`: the table of its commands, show, create, pin and freeze.
#include "cli/cli_int.h"

// --- show ----------------------------------------------------------------------------------------

static void show_plain(struct cli *c, const struct ebpf_object_info *info)
{
    printf("%u: %s  ", info->id, info->type);
    if (info->name[0] != 0) {
        cli_put("name ", info->name, "  ");
    }
    printf("flags 0x%x\n\tkey %uB  value %uB  max_entries %u  memlock %lluB", info->map_flags, info->key_size,
           info->value_size, info->max_entries, (unsigned long long)info->memory);
    ref_show_pins(c, info);
    printf("\n%s", info->frozen ? "\tfrozen\n" : "");
}

static void show_json(struct cli *c, const struct ebpf_object_info *info)
{
    struct json *j = &c->json;
    json_start_object(j);
    json_uint_member(j, "id", info->id);
    json_string_member(j, "type", info->type);
    if (info->name[0] != 0) {
        json_string_member(j, "name", info->name);
    }
    json_uint_member(j, "flags", info->map_flags);
    json_uint_member(j, "bytes_key", info->key_size);
    json_uint_member(j, "bytes_value", info->value_size);
    json_uint_member(j, "max_entries", info->max_entries);
    json_uint_member(j, "bytes_memlock", info->memory);
    json_uint_member(j, "frozen", info->frozen);
    ref_show_pins(c, info);
    json_end_object(j);
}

static int show(struct cli *c, struct args *a)
{
    static const struct printer printer = {show_plain, show_json};
    return ref_show(c, a, EBPF_OBJECT_KIND_MAP, &printer);
}

// --- create --------------------------------------------------------------------------------------

struct create {
    const char *type, *name;
    uint32_t key_size, value_size, max_entries, flags;
};

static const struct keyword create_rows[] = {
    {"type", "TYPE", KEYWORD_TEXT, true, false, "map type", offsetof(struct create, type), NULL},
    {"key", "KEY_SIZE", KEYWORD_U32, true, false, "key size", offsetof(struct create, key_size), NULL},
    {"value", "VALUE_SIZE", KEYWORD_U32, true, false, "value size", offsetof(struct create, value_size),
     NULL},
    {"entries", "MAX_ENTRIES", KEYWORD_U32, true, false, "max entries", offsetof(struct create, max_entries),
     NULL},
    {"name", "NAME", KEYWORD_TEXT, true, false, "map name", offsetof(struct create, name), NULL},
    {"flags", "FLAGS", KEYWORD_U32, false, false, "flags", offsetof(struct create, flags), NULL},
};
static const struct keywords create_keywords = KEYWORDS(create_rows);

struct type_names {
    const char *names[32];
    size_t count;
};

static bool collect_name(void *user, const char *name)
{
    struct type_names *all = user;
    all->names[all->count++] = name;
    return all->count < CLI_COUNT(all->names);
}

static int unknown_type(struct cli *c, const char *type)
{
    struct type_names all = {.count = 0};
    const char *near;
    ebpf_enumerate_map_types(collect_name, &all);
    near = cli_suggest(type, all.names, all.count);
    return near != NULL ? cli_error(c, -1, "unrecognized map type: %s, did you mean '%s'?", type, near)
                        : cli_error(c, -1, "unrecognized map type: %s", type);
}

static int create_pinned(struct cli *c, const char *path, const struct create *create)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = create->flags);
    enum bpf_map_type type;
    int fd, status = 0;
    if (ebpf_get_map_type_by_name(create->type, &type) != EBPF_SUCCESS) {
        return unknown_type(c, create->type);
    }
    fd = bpf_map_create(type, create->name, create->key_size, create->value_size, create->max_entries, &opts);
    if (fd < 0) {
        return cli_error(c, -1, "map create failed: %s", error_text(errno));
    }
    if (bpf_obj_pin(fd, path) != 0) {
        status = cli_error(c, -errno, "can't pin the object (%s): %s", path, error_text(errno));
    }
    ebpf_close_fd(fd);
    return status;
}

static int create(struct cli *c, struct args *a)
{
    struct create create = {0};
    const char *path;
    int status = args_require(c, a, "create", 7);
    if (status != 0) {
        return status;
    }
    path = args_take(a);
    status = keywords_parse(c, a, &create_keywords, &create);
    if (status == 0) {
        status = create_pinned(c, path, &create);
    }
    if (status == 0) {
        cli_done(c);
    }
    return status;
}

// --- pin and freeze ------------------------------------------------------------------------------

static int pin(struct cli *c, struct args *a)
{
    return ref_pin(c, a, EBPF_OBJECT_KIND_MAP);
}

static int unpin(struct cli *c, struct args *a)
{
    return ref_unpin(c, a, EBPF_OBJECT_KIND_MAP);
}

static int freeze(struct cli *c, struct args *a)
{
    int fd = -1, status = args_require(c, a, "freeze", 2);
    if (status == 0) {
        status = ref_parse(c, a, EBPF_OBJECT_KIND_MAP, &fd);
    }
    if (status != 0) {
        return status;
    }
    status = args_require_end(c, a);
    if (status == 0 && bpf_map_freeze(fd) != 0) {
        status = cli_error(c, -errno, "failed to freeze map: %s", error_text(errno));
    }
    ebpf_close_fd(fd);
    if (status == 0) {
        cli_done(c);
    }
    return status;
}

// --- the table -----------------------------------------------------------------------------------

static const struct command commands[] = {
    {"show", show, "[MAP]", NULL},
    {"list", show, NULL, NULL},
    {"create", create, "FILE", &create_keywords},
    {"dump", cmd_map_dump, "MAP", NULL},
    {"update", cmd_map_update, "MAP", &cmd_map_update_keywords},
    {"lookup", cmd_map_lookup, "MAP", &cmd_map_key_keywords},
    {"getnext", cmd_map_getnext, "MAP [key DATA]", NULL},
    {"delete", cmd_map_delete, "MAP", &cmd_map_key_keywords},
    {"pin", pin, "MAP FILE", NULL},
    {"unpin", unpin, "FILE", NULL},
    {"freeze", freeze, "MAP", NULL},
};

static const char *const notes[] = {
    "MAP := { id MAP_ID | pinned FILE | name MAP_NAME }",
    "DATA := { [hex] BYTES }",
    "UPDATE_FLAGS := { any | exist | noexist }",
    NULL,
};

const struct command_group cmd_map_group = {"map", commands, CLI_COUNT(commands), notes,
                                            ebpf_enumerate_map_types};
