// SPDX-License-Identifier: MIT
// lib_module: objects that are embedded in a native module. They are opened and their maps made as those of
// any object; then the module itself comes into the execution context, and its programs are loaded from
// the bytes that it has of them.
//
// Invariant: obj->module.fd is a descriptor from lib_module_load to lib_module_release only.
#include <errno.h>

#include "lib/lib_int.h"

// --- opening -------------------------------------------------------------------------------------

static ebpf_result_t keep_path(struct bpf_object *obj, const char *path)
{
    char whole[LIB_FILE_PATH_SIZE];
    ebpf_result_t result = lib_module_path(path, whole);
    if (result != EBPF_SUCCESS) {
        lib_warn("module '%s': no absolute path leads to it: %s\n", path, ebpf_result_text(result));
        return result;
    }
    obj->module.path = arena_strdup(&obj->arena, whole);
    return obj->module.path != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

ebpf_result_t lib_module_note(struct bpf_object *obj, const void *bytes, size_t size, const char *path)
{
    struct elf_module module;
    struct elf_error error;
    obj->module.fd = -1;
    if (elf_image_format(bytes, size) == ELF_IMAGE_NONE) {
        return EBPF_SUCCESS;
    }
    TRY(elf_module_open(bytes, size, &module, &error)); // as elf_open has, so that there is nothing to say
    obj->module.format = module.format;
    obj->module.machine = module.machine;
    obj->module.is_driver = module.is_driver;
    return path != NULL ? keep_path(obj, path) : EBPF_SUCCESS;
}

void lib_module_unwrap(const uint8_t **bytes, size_t *size)
{
    struct elf_module module;
    struct elf_error error;
    if (elf_module_open(*bytes, *size, &module, &error) == EBPF_SUCCESS) {
        *bytes = module.object;
        *size = module.object_size;
    }
}

// --- into the execution context ------------------------------------------------------------------

static const char *load_text(const struct lib_reply *reply)
{
    struct proto_module_load_reply fixed;
    if (reply->fixed == NULL) {
        return "";
    }
    memcpy(&fixed, reply->fixed, sizeof(fixed));
    return lib_reply_text(reply, fixed.text_size);
}

static void say_refused(const char *path, ebpf_result_t result, const char *text)
{
    lib_warn("module '%s': %s\n", path, text[0] != '\0' ? text : ebpf_result_text(result));
}

static ebpf_result_t send_path(const char *path, int *fd)
{
    struct proto_module_load_request fixed = {0};
    struct lib_request request = {
        .op = PROTO_MODULE_LOAD, .fixed = &fixed, .tail = {{path, str_len(path) + 1}}};
    struct lib_reply reply;
    TRY(lib_exchange(&request, &reply));
    ebpf_result_t result = (ebpf_result_t)reply.header.result;
    if (result == EBPF_SUCCESS) {
        *fd = reply.fd;
    } else if (result != EBPF_OPERATION_NOT_SUPPORTED || load_text(&reply)[0] != '\0') {
        say_refused(path, result, load_text(&reply));
    }
    lib_reply_free(&reply);
    return result;
}

ebpf_result_t lib_module_open_id(const uint8_t id[16], int *fd)
{
    struct proto_module_open_request fixed;
    memcpy(fixed.id, id, sizeof(fixed.id));
    return lib_call_new(PROTO_MODULE_OPEN, &fixed, NULL, 0, fd);
}

static bool wants_programs(const struct bpf_object *obj)
{
    for (uint32_t i = 0; i < obj->elf.program_count; i++) {
        if (obj->programs[i].autoload) {
            return true;
        }
    }
    return false;
}

ebpf_result_t lib_module_load(struct bpf_object *obj)
{
    if (obj->module.format == ELF_IMAGE_NONE || !wants_programs(obj)) {
        return EBPF_SUCCESS;
    }
    if (obj->module.path == NULL) {
        lib_warn("object '%s': a native module is loaded from its file: open it by its path\n", obj->name);
        return EBPF_INVALID_ARGUMENT;
    }
    ebpf_result_t result = send_path(obj->module.path, &obj->module.fd);
    return result == EBPF_OPERATION_NOT_SUPPORTED ? lib_module_install(obj, &obj->module.fd) : result;
}

void lib_module_release(struct bpf_object *obj)
{
    lib_close_fd(obj->module.fd);
    obj->module.fd = -1;
}

// --- programs ------------------------------------------------------------------------------------

// A program of the module as it came: the reply holds what `canonical` and `maps` are part of.
struct row {
    struct lib_reply reply;
    uint32_t index;
    char name[SPEC_NAME_SIZE];
    struct lib_part canonical;
    uint32_t map_count;
    const uint8_t *maps; // u32 each, unaligned
};

static bool read_row(struct row *row)
{
    struct proto_module_program_reply fixed;
    const struct lib_reply *reply = &row->reply;
    memcpy(&fixed, reply->fixed, sizeof(fixed));
    fixed.name[sizeof(fixed.name) - 1] = '\0';
    str_copy(row->name, sizeof(row->name), fixed.name);
    row->canonical = (struct lib_part){reply->tail, fixed.canonical_size};
    row->map_count = fixed.map_count;
    if (fixed.map_count > SPEC_MAX_MAPS ||
        (uint64_t)fixed.canonical_size + fixed.map_count * 4u != reply->tail_size) {
        return false;
    }
    row->maps = reply->tail + fixed.canonical_size;
    return true;
}

static ebpf_result_t get_row(const struct bpf_object *obj, uint32_t index, struct row *row)
{
    struct proto_module_program_request fixed = {.index = index};
    struct lib_request request = {
        .op = PROTO_MODULE_PROGRAM, .fixed = &fixed, .fds = &obj->module.fd, .fd_count = 1};
    TRY(lib_call(&request, &row->reply));
    row->index = index;
    if (!read_row(row)) {
        lib_reply_free(&row->reply);
        return EBPF_RPC_EXCEPTION;
    }
    return EBPF_SUCCESS;
}

// Rows hold as much of a name as programs do.
static bool is_named(const struct row *row, const char *name)
{
    char known[SPEC_NAME_SIZE];
    (void)str_copy(known, sizeof(known), name);
    return str_equal(row->name, known);
}

// Modules have their rows in the order of their objects' programs, so that the first guess is right; if it
// is not, all are looked at. EBPF_NO_MORE_KEYS: there is none of this name.
static ebpf_result_t find_row(const struct bpf_program *prog, struct row *row)
{
    ebpf_result_t result = get_row(prog->object, prog->index, row);
    for (uint32_t i = 0; result == EBPF_SUCCESS || i == 0; i++) {
        if (result == EBPF_SUCCESS && is_named(row, prog->elf->name)) {
            return EBPF_SUCCESS;
        }
        if (result == EBPF_SUCCESS) {
            lib_reply_free(&row->reply);
        } else if (result != EBPF_NO_MORE_KEYS) {
            return result;
        }
        result = get_row(prog->object, i, row);
    }
    return result;
}

// What the code was made for is what it is; an object whose section says nothing learns it here.
static ebpf_result_t settle_type(struct bpf_program *prog, const struct program *program)
{
    bool same = prog->type == program->type && prog->attach_type == program->attach_type;
    if (prog->type == PROG_TYPE_NONE || same) {
        prog->type = program->type;
        prog->attach_type = program->attach_type;
        return EBPF_SUCCESS;
    }
    lib_warn("prog '%s': its native code is for type %s, attached as %s, and cannot be loaded as %s, %s\n",
             prog->elf->name, lib_prog_type_name(program->type), lib_attach_type_name(program->attach_type),
             lib_prog_type_name(prog->type), lib_attach_type_name(prog->attach_type));
    return EBPF_INVALID_ARGUMENT;
}

static ebpf_result_t check_type(struct bpf_program *prog, const struct row *row)
{
    struct program program;
    struct arena arena;
    arena_init(&arena, lib_mem_source(), 0);
    ebpf_result_t result = proto_program_decode(row->canonical.bytes, row->canonical.size, &arena, &program);
    if (result == EBPF_SUCCESS) {
        result = settle_type(prog, &program);
    } else if (result != EBPF_NO_MEMORY) {
        lib_warn("prog '%s': what the module has of it is no program\n", prog->elf->name);
    }
    arena_fini(&arena);
    return result;
}

// Descriptors of its maps, and behind them of the module.
static ebpf_result_t collect_fds(const struct bpf_program *prog, const struct row *row,
                                 int fds[SPEC_MAX_MAPS + 1])
{
    const struct bpf_object *obj = prog->object;
    for (uint32_t i = 0; i < row->map_count; i++) {
        uint32_t index;
        memcpy(&index, row->maps + 4 * i, sizeof(index));
        if (index >= obj->elf.map_count) {
            lib_warn("prog '%s': uses a map of maps, which cannot be loaded yet\n", prog->elf->name);
            return EBPF_OPERATION_NOT_SUPPORTED;
        }
        const struct bpf_map *map = &obj->maps[index];
        if (map->fd < 0) {
            lib_warn("prog '%s': uses map '%s', which is not to be created\n", prog->elf->name, map->name);
            return EBPF_INVALID_ARGUMENT;
        }
        fds[i] = map->fd;
    }
    fds[row->map_count] = obj->module.fd;
    return EBPF_SUCCESS;
}

ebpf_result_t lib_module_load_program(struct bpf_program *prog, struct lib_log *log)
{
    int fds[SPEC_MAX_MAPS + 1];
    struct row row;
    ebpf_result_t result = find_row(prog, &row);
    if (result != EBPF_SUCCESS) {
        bool none = result == EBPF_NO_MORE_KEYS;
        lib_warn("prog '%s': the module has no code of it%s%s\n", prog->elf->name, none ? "" : ": ",
                 none ? "" : ebpf_result_text(result));
        return none ? EBPF_INVALID_OBJECT : result;
    }
    TRY_OR(result, check_type(prog, &row), done);
    TRY_OR(result, collect_fds(prog, &row, fds), done);
    struct lib_wire_program p = {.name = prog->elf->name,
                                 .bytes = row.canonical,
                                 .fds = fds,
                                 .fd_count = row.map_count + 1,
                                 .native = row.index + 1};
    result = lib_prog_load_wire(&p, log, &prog->fd);
done:
    lib_reply_free(&row.reply);
    return result;
}
