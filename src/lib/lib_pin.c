// SPDX-License-Identifier: MIT
// lib_pin: all maps or all programs of an object pinned in a directory. All or nothing: a failure undoes what
// was done.
#include <errno.h>

#include "lib/lib_int.h"

// --- maps ----------------------------------------------------------------------------------------

// Where a map goes: dir/name, or its own path. False when it has none, and is left out.
static bool map_path(const struct bpf_map *map, const char *dir, char path[PROTO_PATH_SIZE],
                     ebpf_result_t *result)
{
    *result = EBPF_SUCCESS;
    if (map->fd < 0) {
        return false;
    }
    if (dir != NULL) {
        *result = lib_pin_path_join(dir, map->name, path);
        return true;
    }
    return map->pin_path != NULL && str_copy(path, PROTO_PATH_SIZE, map->pin_path);
}

static ebpf_result_t pin_map(struct bpf_map *map, const char *dir, bool *done)
{
    char path[PROTO_PATH_SIZE];
    ebpf_result_t result;
    *done = false;
    if (!map_path(map, dir, path, &result)) {
        return EBPF_SUCCESS;
    }
    TRY(result);
    if (map->pinned && map->pin_path != NULL && str_equal(map->pin_path, path)) {
        return EBPF_SUCCESS; // the load has pinned it there
    }
    TRY(lib_pin(map->fd, path));
    *done = true;
    map->pinned = true;
    return EBPF_SUCCESS;
}

static void unpin_map(struct bpf_map *map, const char *dir)
{
    char path[PROTO_PATH_SIZE];
    ebpf_result_t result;
    if (map_path(map, dir, path, &result) && result == EBPF_SUCCESS && lib_unpin(path) == EBPF_SUCCESS) {
        map->pinned = map->pinned_by_load = false;
    }
}

int bpf_object__pin_maps(struct bpf_object *obj, const char *path)
{
    ebpf_result_t result = EBPF_SUCCESS;
    uint32_t i;
    if (!obj->loaded) {
        return lib_fail(ENOENT);
    }
    bool *done = lib_alloc(obj->elf.map_count + 1); // which maps this call has pinned
    if (done == NULL) {
        return lib_fail(ENOMEM);
    }
    for (i = 0; i < obj->elf.map_count && result == EBPF_SUCCESS; i++) {
        result = pin_map(&obj->maps[i], path, &done[i]);
    }
    while (result != EBPF_SUCCESS && i-- > 0) {
        if (done[i]) {
            unpin_map(&obj->maps[i], path);
        }
    }
    lib_free(done);
    return lib_result(result);
}

int bpf_object__unpin_maps(struct bpf_object *obj, const char *path)
{
    for (uint32_t i = 0; i < obj->elf.map_count; i++) {
        struct bpf_map *map = &obj->maps[i];
        char full[PROTO_PATH_SIZE];
        ebpf_result_t result;
        if (!map_path(map, path, full, &result)) {
            continue;
        }
        if (result != EBPF_SUCCESS || (result = lib_unpin(full)) != EBPF_SUCCESS) {
            return lib_result(result);
        }
        map->pinned = map->pinned_by_load = false;
    }
    return 0;
}

// --- programs ------------------------------------------------------------------------------------

static ebpf_result_t pin_program(const struct bpf_program *prog, const char *dir)
{
    char path[PROTO_PATH_SIZE];
    TRY(lib_pin_path_join(dir, prog->elf->name, path));
    return lib_pin(prog->fd, path);
}

static ebpf_result_t unpin_program(const struct bpf_program *prog, const char *dir)
{
    char path[PROTO_PATH_SIZE];
    TRY(lib_pin_path_join(dir, prog->elf->name, path));
    return lib_unpin(path);
}

int bpf_object__pin_programs(struct bpf_object *obj, const char *path)
{
    ebpf_result_t result = EBPF_SUCCESS;
    uint32_t i;
    if (!obj->loaded || path == NULL) {
        return lib_fail(ENOENT);
    }
    for (i = 0; i < obj->elf.program_count && result == EBPF_SUCCESS; i++) {
        if (obj->programs[i].fd >= 0) {
            result = pin_program(&obj->programs[i], path);
        }
    }
    if (result != EBPF_SUCCESS) {
        for (i--; i-- > 0;) { // the last one is what failed
            if (obj->programs[i].fd >= 0 && unpin_program(&obj->programs[i], path) != EBPF_SUCCESS) {
                lib_warn("prog '%s': cannot be unpinned\n", obj->programs[i].elf->name);
            }
        }
    }
    return lib_result(result);
}

int bpf_object__unpin_programs(struct bpf_object *obj, const char *path)
{
    for (uint32_t i = 0; i < obj->elf.program_count; i++) {
        if (obj->programs[i].fd >= 0) {
            ebpf_result_t result = unpin_program(&obj->programs[i], path);
            if (result != EBPF_SUCCESS) {
                return lib_result(result);
            }
        }
    }
    return 0;
}

// --- both ----------------------------------------------------------------------------------------

int bpf_object__pin(struct bpf_object *obj, const char *path)
{
    int result = bpf_object__pin_maps(obj, path);
    if (result != 0) {
        return result;
    }
    result = bpf_object__pin_programs(obj, path);
    if (result != 0) {
        int saved = errno;
        bpf_object__unpin_maps(obj, path);
        errno = saved;
    }
    return result;
}

int bpf_object__unpin(struct bpf_object *obj, const char *path)
{
    int result = bpf_object__unpin_programs(obj, path);
    return result != 0 ? result : bpf_object__unpin_maps(obj, path);
}
