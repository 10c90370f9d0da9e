// SPDX-License-Identifier: MIT
// lib_object: object files: open, close, load as a whole, iterate, find, pin as a whole.
//
// Invariants: everything that belongs to an object lives in its arena, except pin paths of maps and
// descriptors, which bpf_object__close gives back. An object is loaded at most once, whether that succeeded
// or not.
#include <errno.h>

#include "lib/lib_int.h"

#define OBJECT_MEMORY_LIMIT ((size_t)256 << 20)

// --- open ----------------------------------------------------------------------------------------

// The file's name up to the first dot.
static void name_from_path(char name[SPEC_NAME_SIZE], const char *path)
{
    str_copy(name, SPEC_NAME_SIZE, lib_base_name(path));
    for (char *c = name; *c != '\0'; c++) {
        if (*c == '.' && c != name) {
            *c = 0;
            break;
        }
    }
}

static ebpf_result_t init_map(struct bpf_object *obj, uint32_t index)
{
    struct bpf_map *map = &obj->maps[index];
    struct elf_map *elf = &obj->elf.maps[index];
    *map = (struct bpf_map){.object = obj, .elf = elf, .fd = -1, .autocreate = true, .name = elf->def.name};
    if (elf->kind != ELF_MAP_USER) {
        map->initial = arena_alloc(&obj->arena, elf->def.value_size);
        if (map->initial == NULL) {
            return EBPF_NO_MEMORY;
        }
        if (elf->initial != NULL) { // .bss has none: zeros
            memcpy(map->initial, elf->initial, elf->def.value_size);
        }
    }
    if (elf->pinning == LIBBPF_PIN_BY_NAME) {
        char path[PROTO_PATH_SIZE];
        TRY(lib_pin_path_join(obj->pin_root, elf->def.name, path));
        map->pin_path = lib_strdup(path);
        return map->pin_path != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
    }
    return EBPF_SUCCESS;
}

static void init_program(struct bpf_object *obj, uint32_t index)
{
    const struct elf_program *elf = &obj->elf.programs[index];
    const struct spec_view *v = spec_builtin();
    obj->programs[index] = (struct bpf_program){
        .object = obj,
        .elf = elf,
        .index = index,
        .type = elf->attach_type < v->attach_type_count ? v->attach_types[elf->attach_type].prog_type
                                                        : PROG_TYPE_NONE,
        .attach_type = elf->attach_type,
        .fd = -1,
        .autoload = elf->autoload,
    };
}

static ebpf_result_t init_parts(struct bpf_object *obj)
{
    lib_maps_complete(&obj->elf);
    obj->maps = arena_array(&obj->arena, obj->elf.map_count, sizeof(*obj->maps));
    obj->programs = arena_array(&obj->arena, obj->elf.program_count, sizeof(*obj->programs));
    if (obj->maps == NULL || obj->programs == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < obj->elf.program_count; i++) {
        init_program(obj, i);
    }
    for (uint32_t i = 0; i < obj->elf.map_count; i++) {
        TRY(init_map(obj, i));
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t open_elf(struct bpf_object *obj, const void *bytes, size_t size,
                              const struct elf_options *options)
{
    struct elf_error error = {0};
    ebpf_result_t result = elf_open(bytes, size, options, &obj->arena, &obj->elf, &error);
    if (result != EBPF_SUCCESS) {
        lib_warn("elf: %s: %s%s%s\n", obj->name, error.section, error.section[0] != '\0' ? ": " : "",
                 error.message[0] != '\0' ? error.message : ebpf_result_text(result));
    }
    return result;
}

static ebpf_result_t read_elf(struct bpf_object *obj, const void *bytes, size_t size,
                              const struct bpf_object_open_opts *opts)
{
    struct elf_options options = {.spec = spec_builtin(),
                                  .platform_default = LIB_DIALECT,
                                  .name = obj->name,
                                  .kconfig = LIB_OPTS_GET(opts, kconfig, NULL)};
    const char *path = LIB_OPTS_GET(opts, btf_custom_path, NULL);
    uint8_t *target = NULL;
    if (path != NULL) {
        ebpf_result_t result = lib_read_file(path, &target, &options.target_btf_size);
        if (result != EBPF_SUCCESS) {
            lib_warn("failed to open BTF file '%s': %s\n", path, strerror(errno));
            return result;
        }
    }
    options.target_btf = target;
    ebpf_result_t result = open_elf(obj, bytes, size, &options);
    lib_free(target);
    return result;
}

static ebpf_result_t take_options(struct bpf_object *obj, const struct bpf_object_open_opts *opts)
{
    const char *root = LIB_OPTS_GET(opts, pin_root_path, NULL);
    const char *name = LIB_OPTS_GET(opts, object_name, NULL);
    if (name != NULL) {
        str_copy(obj->name, sizeof(obj->name), name);
    }
    obj->pin_root = arena_strdup(&obj->arena, root != NULL ? root : LIB_PIN_ROOT);
    obj->log_buf = LIB_OPTS_GET(opts, kernel_log_buf, NULL);
    obj->log_size = LIB_OPTS_GET(opts, kernel_log_size, 0);
    obj->log_level = LIB_OPTS_GET(opts, kernel_log_level, 0);
    if ((obj->log_buf == NULL) != (obj->log_size == 0)) {
        return EBPF_INVALID_ARGUMENT;
    }
    return obj->pin_root != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

// `path` NULL: the bytes are from no file.
static struct bpf_object *open_bytes(const void *bytes, size_t size, const char *name, const char *path,
                                     const struct bpf_object_open_opts *opts)
{
    ebpf_result_t result = EBPF_NO_MEMORY;
    struct bpf_object *obj = lib_alloc(sizeof(*obj));
    if (obj == NULL) {
        goto report;
    }
    arena_init(&obj->arena, lib_mem_source(), OBJECT_MEMORY_LIMIT);
    str_copy(obj->name, sizeof(obj->name), name);
    TRY_OR(result, take_options(obj, opts), undo_object);
    TRY_OR(result, read_elf(obj, bytes, size, opts), undo_object);
    TRY_OR(result, lib_module_note(obj, bytes, size, path), undo_object);
    TRY_OR(result, init_parts(obj), undo_object);
    return obj;

undo_object:
    bpf_object__close(obj);
report:
    lib_set_errno(result);
    return NULL;
}

struct bpf_object *bpf_object__open_mem(const void *obj_buf, size_t obj_buf_sz,
                                        const struct bpf_object_open_opts *opts)
{
    char name[SPEC_NAME_SIZE];
    if (obj_buf == NULL || obj_buf_sz == 0 || !LIB_OPTS_VALID(opts, bpf_object_open_opts)) {
        lib_fail(EINVAL);
        return NULL;
    }
    str_format(name, sizeof(name), "%llx-%llx", (unsigned long long)(uintptr_t)obj_buf,
               (unsigned long long)obj_buf_sz);
    return open_bytes(obj_buf, obj_buf_sz, name, NULL, opts);
}

struct bpf_object *bpf_object__open_file(const char *path, const struct bpf_object_open_opts *opts)
{
    char name[SPEC_NAME_SIZE];
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (path == NULL || !LIB_OPTS_VALID(opts, bpf_object_open_opts)) {
        lib_fail(EINVAL);
        return NULL;
    }
    if (lib_read_file(path, &bytes, &size) != EBPF_SUCCESS) {
        lib_warn("elf: failed to open %s: %s\n", path, strerror(errno));
        return NULL; // errno is the file's
    }
    name_from_path(name, path);
    struct bpf_object *obj = open_bytes(bytes, size, name, path, opts);
    lib_free(bytes);
    return obj;
}

struct bpf_object *bpf_object__open(const char *path)
{
    return bpf_object__open_file(path, NULL);
}

void bpf_object__close(struct bpf_object *obj)
{
    int saved = errno;
    if (obj == NULL) {
        return;
    }
    for (uint32_t i = 0; obj->programs != NULL && i < obj->elf.program_count; i++) {
        lib_close_fd(obj->programs[i].fd);
    }
    for (uint32_t i = 0; obj->maps != NULL && i < obj->elf.map_count; i++) {
        struct bpf_map *map = &obj->maps[i];
        if (map->object != NULL) { // opening may have failed before it
            lib_map_close(map);
            lib_free(map->pin_path);
        }
    }
    arena_fini(&obj->arena);
    lib_free(obj);
    errno = saved;
}

// --- iterate and find ----------------------------------------------------------------------------

const char *bpf_object__name(const struct bpf_object *obj)
{
    return obj->name;
}

unsigned int bpf_object__kversion(const struct bpf_object *obj)
{
    return obj->elf.kernel_version;
}

struct bpf_program *bpf_object__next_program(const struct bpf_object *obj, struct bpf_program *prog)
{
    uint32_t index = prog == NULL ? 0 : prog->index + 1;
    return index < obj->elf.program_count ? &obj->programs[index] : NULL;
}

struct bpf_program *bpf_object__prev_program(const struct bpf_object *obj, struct bpf_program *prog)
{
    uint32_t index = prog == NULL ? obj->elf.program_count : prog->index;
    return index > 0 ? &obj->programs[index - 1] : NULL;
}

struct bpf_program *bpf_object__find_program_by_name(const struct bpf_object *obj, const char *name)
{
    for (uint32_t i = 0; i < obj->elf.program_count; i++) {
        if (str_equal(obj->programs[i].elf->name, name)) {
            return &obj->programs[i];
        }
    }
    lib_fail(ENOENT);
    return NULL;
}

struct bpf_map *bpf_object__next_map(const struct bpf_object *obj, const struct bpf_map *map)
{
    size_t index = map == NULL ? 0 : (size_t)(map - obj->maps) + 1;
    return index < obj->elf.map_count ? &obj->maps[index] : NULL;
}

struct bpf_map *bpf_object__prev_map(const struct bpf_object *obj, const struct bpf_map *map)
{
    size_t index = map == NULL ? obj->elf.map_count : (size_t)(map - obj->maps);
    return index > 0 ? &obj->maps[index - 1] : NULL;
}

struct bpf_map *bpf_object__find_map_by_name(const struct bpf_object *obj, const char *name)
{
    for (uint32_t i = 0; i < obj->elf.map_count; i++) {
        struct bpf_map *map = &obj->maps[i];
        bool by_section = name[0] == '.' && map->elf->kind != ELF_MAP_USER;
        if (str_equal(by_section ? map->elf->section : map->name, name)) {
            return map;
        }
    }
    lib_fail(ENOENT);
    return NULL;
}

int bpf_object__find_map_fd_by_name(const struct bpf_object *obj, const char *name)
{
    struct bpf_map *map = bpf_object__find_map_by_name(obj, name);
    return map != NULL ? map->fd : lib_fail(ENOENT);
}
