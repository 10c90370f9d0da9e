// SPDX-License-Identifier: MIT
// cmd_prog_load: `bpftool prog load` and `loadall`: an object file becomes pinned programs. When a step
// fails, nothing of the object stays.
#include "cli/cli_int.h"

#define MAX_REPLACEMENTS 64

struct replacement {
    bool by_index;
    uint32_t index;
    const char *name;
    int fd;
};

struct load {
    const char *type, *pin_maps;
    struct replacement replacements[MAX_REPLACEMENTS];
    size_t replacement_count;
};

// map { idx N | name NAME } MAP
static int parse_replacement(struct cli *c, struct args *a, void *out)
{
    struct load *load = out;
    struct replacement r = {0};
    const char *way = args_take(a), *text = way != NULL ? args_take(a) : NULL;
    int status;
    if (text == NULL || load->replacement_count == MAX_REPLACEMENTS) {
        return text == NULL ? cli_error(c, -1, "not enough args for map")
                            : cli_error(c, -1, "more than %d maps are given", MAX_REPLACEMENTS);
    }
    if (args_is_prefix(way, "idx")) {
        r.by_index = true;
        if (!args_parse_u32(text, &r.index)) {
            return cli_error(c, -1, "can't parse %s as IDX", text);
        }
    } else if (args_is_prefix(way, "name")) {
        r.name = text;
    } else {
        return cli_error(c, -1, "expected 'idx' or 'name', got: '%s'?", way);
    }
    status = ref_parse(c, a, EBPF_OBJECT_KIND_MAP, &r.fd);
    if (status == 0) {
        load->replacements[load->replacement_count++] = r;
    }
    return status;
}

static const struct keyword rows[] = {
    {"type", "TYPE", KEYWORD_TEXT, false, false, "program type", offsetof(struct load, type), NULL},
    {"map", "{ idx IDX | name NAME } MAP", KEYWORD_CALL, false, true, "map", 0, parse_replacement},
    {"pinmaps", "MAP_DIR", KEYWORD_TEXT, false, false, "map directory", offsetof(struct load, pin_maps),
     NULL},
};
const struct keywords cmd_prog_load_keywords = KEYWORDS(rows);

// --- what happens to an opened object ------------------------------------------------------------

static int set_types(struct cli *c, struct bpf_object *obj, const char *name)
{
    struct ebpf_guid type_guid, attach_guid;
    struct bpf_program *prog;
    if (name == NULL) {
        return 0;
    }
    if (ebpf_get_program_type_by_name(name, &type_guid, &attach_guid) != EBPF_SUCCESS) {
        return cli_error(c, -1, "unknown program type '%s'", name);
    }
    bpf_object__for_each_program(prog, obj)
    {
        if (bpf_program__set_type(prog, ebpf_get_bpf_program_type(&type_guid)) != 0 ||
            bpf_program__set_expected_attach_type(prog, ebpf_get_bpf_attach_type(&attach_guid)) != 0) {
            return cli_error(c, -1, "can't set the type of program %s: %s", bpf_program__name(prog),
                             error_text(errno));
        }
    }
    return 0;
}

static struct bpf_map *find_map(const struct bpf_object *obj, const struct replacement *r)
{
    struct bpf_map *map;
    uint32_t index = 0;
    if (!r->by_index) {
        return bpf_object__find_map_by_name(obj, r->name);
    }
    bpf_object__for_each_map(map, obj)
    {
        if (index++ == r->index) {
            return map;
        }
    }
    return NULL;
}

static int replace_maps(struct cli *c, struct bpf_object *obj, const struct load *load)
{
    for (size_t i = 0; i < load->replacement_count; i++) {
        const struct replacement *r = &load->replacements[i];
        struct bpf_map *map = find_map(obj, r);
        if (map == NULL && r->by_index) {
            return cli_error(c, -1, "the object has no map number %u", r->index);
        }
        if (map == NULL) {
            return cli_error(c, -1, "the object has no map '%s'", r->name);
        }
        if (bpf_map__reuse_fd(map, r->fd) != 0) {
            return cli_error(c, -1, "failed to set up map reuse: %s", error_text(errno));
        }
    }
    return 0;
}

// The first program that is loaded at `path`, or all of them below it.
static int pin_programs(struct cli *c, struct bpf_object *obj, const char *path, bool all)
{
    struct bpf_program *prog = bpf_object__next_program(obj, NULL);
    if (all) {
        return bpf_object__pin_programs(obj, path) == 0
                   ? 0
                   : cli_error(c, -1, "failed to pin all programs: %s", error_text(errno));
    }
    while (prog != NULL && bpf_program__fd(prog) < 0) {
        prog = bpf_object__next_program(obj, prog);
    }
    if (prog == NULL) {
        return cli_error(c, -1, "the object has no program to load");
    }
    return bpf_program__pin(prog, path) == 0 ? 0
                                             : cli_error(c, -1, "failed to pin program %s at %s: %s",
                                                         bpf_program__name(prog), path, error_text(errno));
}

static void unpin_programs(struct bpf_object *obj, const char *path, bool all)
{
    if (all) {
        bpf_object__unpin_programs(obj, path);
    } else {
        ebpf_object_unpin(path);
    }
}

static int load_object(struct cli *c, struct bpf_object *obj, const char *path, const struct load *load,
                       bool all)
{
    int status = set_types(c, obj, load->type);
    if (status == 0) {
        status = replace_maps(c, obj, load);
    }
    if (status != 0) {
        return status;
    }
    if (bpf_object__load(obj) != 0) {
        return cli_error(c, -1, "failed to load object file");
    }
    status = pin_programs(c, obj, path, all);
    if (status == 0 && load->pin_maps != NULL && bpf_object__pin_maps(obj, load->pin_maps) != 0) {
        status = cli_error(c, -1, "failed to pin all maps: %s", error_text(errno));
        unpin_programs(obj, path, all);
    }
    if (status != 0) {
        ebpf_object_undo_pins(obj);
    }
    return status;
}

// --- commands ------------------------------------------------------------------------------------

static int open_and_load(struct cli *c, const char *file, const char *path, const struct load *load, bool all)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_level = c->debug ? 1 : 0);
    struct bpf_object *obj = bpf_object__open_file(file, &opts);
    int status;
    if (obj == NULL) {
        return cli_error(c, -1, "failed to open object file");
    }
    status = load_object(c, obj, path, load, all);
    bpf_object__close(obj);
    if (status == 0) {
        cli_done(c);
    }
    return status;
}

static int run_load(struct cli *c, struct args *a, bool all)
{
    struct load load = {0};
    const char *file, *path;
    int status;
    if (args_require(c, a, all ? "loadall" : "load", 2) != 0) {
        return -1;
    }
    file = args_take(a);
    path = args_take(a);
    status = keywords_parse(c, a, &cmd_prog_load_keywords, &load);
    if (status == 0) {
        status = open_and_load(c, file, path, &load, all);
    }
    for (size_t i = 0; i < load.replacement_count; i++) {
        ebpf_close_fd(load.replacements[i].fd);
    }
    return status;
}

int cmd_prog_load(struct cli *c, struct args *a)
{
    return run_load(c, a, false);
}

int cmd_prog_load_all(struct cli *c, struct args *a)
{
    return run_load(c, a, true);
}
