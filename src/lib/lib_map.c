// SPDX-License-Identifier: MIT
// lib_map: maps of an object: definition, creation with initial contents, pins, element calls.
//
// Invariant: map->fd >= 0 after a successful load unless the map is not to be created; what a failed load has
// created or pinned is undone by lib_object_drop_maps.
#include <errno.h>

#include "lib/lib_int.h"
#include "plat/plat.h"

// --- the definition ------------------------------------------------------------------------------

const char *bpf_map__name(const struct bpf_map *map)
{
    return map != NULL ? map->name : NULL;
}

enum bpf_map_type bpf_map__type(const struct bpf_map *map)
{
    return (enum bpf_map_type)lib_map_type_number(map->elf->def.type);
}

__u32 bpf_map__key_size(const struct bpf_map *map)
{
    return map->elf->def.key_size;
}

__u32 bpf_map__value_size(const struct bpf_map *map)
{
    return map->elf->def.value_size;
}

__u32 bpf_map__max_entries(const struct bpf_map *map)
{
    return map->elf->def.max_entries;
}

__u32 bpf_map__map_flags(const struct bpf_map *map)
{
    return map->elf->def.flags;
}

__u32 bpf_map__btf_key_type_id(const struct bpf_map *map)
{
    return map->elf->btf_key_type;
}

__u32 bpf_map__btf_value_type_id(const struct bpf_map *map)
{
    return map->elf->btf_value_type;
}

bool bpf_map__autocreate(const struct bpf_map *map)
{
    return map->autocreate;
}

bool bpf_map__is_internal(const struct bpf_map *map)
{
    return map->elf->kind != ELF_MAP_USER;
}

int bpf_map__fd(const struct bpf_map *map)
{
    return map != NULL ? map->fd : lib_fail(EINVAL);
}

// Setters work until the map exists.
static int set_u32(struct bpf_map *map, uint32_t *field, uint32_t value)
{
    if (map->fd >= 0) {
        return lib_fail(EBUSY);
    }
    *field = value;
    return 0;
}

int bpf_map__set_type(struct bpf_map *map, enum bpf_map_type type)
{
    uint32_t id = lib_map_type_from_number((uint32_t)type);
    if (id == MAP_TYPE_NONE) {
        return lib_fail(EINVAL);
    }
    map->elf->def.number = map->fd < 0 ? (uint32_t)type : map->elf->def.number;
    return set_u32(map, &map->elf->def.type, id);
}

int bpf_map__set_key_size(struct bpf_map *map, __u32 size)
{
    return set_u32(map, &map->elf->def.key_size, size);
}

int bpf_map__set_value_size(struct bpf_map *map, __u32 size)
{
    if (map->fd < 0 && map->initial != NULL) {
        return lib_result(EBPF_OPERATION_NOT_SUPPORTED);
    }
    return set_u32(map, &map->elf->def.value_size, size);
}

int bpf_map__set_max_entries(struct bpf_map *map, __u32 max_entries)
{
    return set_u32(map, &map->elf->def.max_entries, max_entries);
}

int bpf_map__set_map_flags(struct bpf_map *map, __u32 flags)
{
    return set_u32(map, &map->elf->def.flags, flags);
}

int bpf_map__set_autocreate(struct bpf_map *map, bool autocreate)
{
    if (map->object->loaded) {
        return lib_fail(EBUSY);
    }
    map->autocreate = autocreate;
    return 0;
}

void *bpf_map__initial_value(const struct bpf_map *map, size_t *size)
{
    if (map == NULL || map->initial == NULL) {
        return NULL;
    }
    *size = map->elf->def.value_size;
    return map->memory != NULL ? map->memory : map->initial;
}

int bpf_map__set_initial_value(struct bpf_map *map, const void *data, size_t size)
{
    if (map->fd >= 0) {
        return lib_fail(EBUSY);
    }
    if (map->initial == NULL || data == NULL || size != map->elf->def.value_size) {
        return lib_fail(EINVAL);
    }
    memcpy(map->initial, data, size);
    return 0;
}

// --- another map in its place --------------------------------------------------------------------

int bpf_map__reuse_fd(struct bpf_map *map, int fd)
{
    struct map_def def;
    int copy = -1;
    if (map->object->loaded) {
        return lib_fail(EBUSY);
    }
    ebpf_result_t result = lib_map_definition(fd, &def);
    if (result != EBPF_SUCCESS || (result = lib_dup_fd(fd, &copy)) != EBPF_SUCCESS) {
        return lib_result(result);
    }
    if (map->initial != NULL && def.value_size != map->elf->def.value_size) {
        lib_close_fd(copy); // instructions name offsets in a value of the object's size
        return lib_fail(EINVAL);
    }
    lib_close_fd(map->fd);
    map->fd = copy;
    map->reused = true;
    map->elf->def = def;
    return 0;
}

// --- creation ------------------------------------------------------------------------------------

static bool same_shape(const struct map_def *a, const struct map_def *b)
{
    return a->type == b->type && a->key_size == b->key_size && a->value_size == b->value_size &&
           a->max_entries == b->max_entries && a->flags == b->flags;
}

// Takes the map that is pinned at the map's path. EBPF_OBJECT_NOT_FOUND when there is none.
static ebpf_result_t take_pinned(struct bpf_map *map)
{
    struct map_def def;
    ebpf_result_t result;
    int fd = -1;
    TRY(lib_pin_get(map->pin_path, &fd));
    TRY_OR(result, lib_map_definition(fd, &def), undo_fd);
    if (!same_shape(&def, &map->elf->def)) {
        lib_warn("map '%s': the map pinned at '%s' has another definition\n", map->name, map->pin_path);
        result = EBPF_INVALID_ARGUMENT;
        goto undo_fd;
    }
    map->fd = fd;
    map->reused = map->pinned = true;
    return EBPF_SUCCESS;

undo_fd:
    lib_close_fd(fd);
    return result;
}

static bool is_constant(const struct bpf_map *map)
{
    return map->elf->kind == ELF_MAP_RODATA || map->elf->kind == ELF_MAP_KCONFIG;
}

// Global data gets its initial value; what programs must not change, nobody changes any more.
static ebpf_result_t fill(const struct bpf_map *map)
{
    uint32_t zero = 0;
    if (map->initial == NULL) {
        return EBPF_SUCCESS;
    }
    TRY(lib_map_update(map->fd, &zero, sizeof(zero), map->initial, map->elf->def.value_size, 0));
    return is_constant(map) ? lib_map_freeze(map->fd) : EBPF_SUCCESS;
}

// Which of its numbers is out of range only who wrote them can tell.
static void warn_of_definition(const struct bpf_map *map)
{
    const struct map_def *def = &map->elf->def;
    lib_warn("map '%s': type %u, key_size %u, value_size %u, max_entries %u, map_flags 0x%x\n", map->name,
             def->number, def->key_size, def->value_size, def->max_entries, def->flags);
}

static ebpf_result_t create_and_fill(struct bpf_map *map)
{
    if (map->elf->unknown != NULL) {
        lib_warn("extern (kconfig) '%s': not found in the open options' kconfig\n", map->elf->unknown);
        return EBPF_OBJECT_NOT_FOUND;
    }
    if (map->elf->def.type == MAP_TYPE_NONE) {
        lib_warn("map '%s': map type %u is not supported\n", map->name, map->elf->def.number);
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    ebpf_result_t result = lib_map_create(&map->elf->def, &map->fd);
    if (result == EBPF_INVALID_ARGUMENT || result == EBPF_NO_MEMORY) {
        warn_of_definition(map);
    }
    TRY(result);
    return fill(map);
}

// Somebody else may pin a map of this name between our look and our pin: then theirs is taken.
static ebpf_result_t pin_created(struct bpf_map *map)
{
    ebpf_result_t result = lib_pin(map->fd, map->pin_path);
    if (result == EBPF_OBJECT_ALREADY_EXISTS) {
        lib_close_fd(map->fd);
        map->fd = -1;
        return take_pinned(map);
    }
    map->pinned = map->pinned_by_load = result == EBPF_SUCCESS;
    return result;
}

static ebpf_result_t create_map(struct bpf_map *map)
{
    if (!map->autocreate || map->fd >= 0) {
        return EBPF_SUCCESS;
    }
    if (map->pin_path != NULL) {
        ebpf_result_t result = take_pinned(map);
        if (result != EBPF_OBJECT_NOT_FOUND) {
            return result;
        }
    }
    TRY(create_and_fill(map));
    return map->pin_path != NULL ? pin_created(map) : EBPF_SUCCESS;
}

// Global data is mapped, so that its initial value becomes the live one, as libbpf does it. An execution
// context that cannot is no reason to fail, nor is somebody else's map that does not permit it: then the
// initial value stays a copy.
static ebpf_result_t map_data(struct bpf_map *map)
{
    void *memory = NULL;
    size_t size = 0;
    if (map->initial == NULL || map->fd < 0 || (map->elf->def.flags & MAP_FLAG_MMAPABLE) == 0) {
        return EBPF_SUCCESS;
    }
    ebpf_result_t result = lib_map_memory(map->fd, !is_constant(map), &memory, &size);
    if (result != EBPF_SUCCESS) {
        return result == EBPF_OPERATION_NOT_SUPPORTED || map->reused ? EBPF_SUCCESS : result;
    }
    if (size < map->elf->def.value_size) {
        plat_shared_unmap(memory, size);
        return EBPF_RPC_EXCEPTION;
    }
    map->memory = memory;
    map->memory_size = size;
    return EBPF_SUCCESS;
}

void lib_map_close(struct bpf_map *map)
{
    if (map->memory != NULL) {
        plat_shared_unmap(map->memory, map->memory_size);
        map->memory = NULL;
    }
    lib_close_fd(map->fd);
    map->fd = -1;
}

// "not supported" does not say what is not.
static void warn_not_created(const struct bpf_map *map, ebpf_result_t result)
{
    const struct spec_view *v = spec_builtin();
    uint32_t type = map->elf->def.type;
    if (result == EBPF_OPERATION_NOT_SUPPORTED && type < v->map_type_count &&
        (v->map_types[type].flags & MAP_VERIFY_ONLY) != 0) {
        lib_warn("map '%s': maps of this type can be verified here, but not created: %s\n", map->name,
                 v->map_types[type].name);
    } else {
        lib_warn("map '%s': cannot be created: %s\n", map->name, ebpf_result_text(result));
    }
}

void lib_maps_complete(struct elf_object *elf)
{
    for (uint32_t i = 0; i < elf->map_count; i++) {
        if (elf->maps[i].kind != ELF_MAP_USER) {
            elf->maps[i].def.flags |= MAP_FLAG_MMAPABLE;
        }
    }
}

ebpf_result_t lib_object_create_maps(struct bpf_object *obj)
{
    for (uint32_t i = 0; i < obj->elf.map_count; i++) {
        struct bpf_map *map = &obj->maps[i];
        ebpf_result_t result = create_map(map);
        if (result == EBPF_SUCCESS) {
            result = map_data(map);
        }
        if (result != EBPF_SUCCESS) {
            warn_not_created(map, result);
            return result;
        }
    }
    return EBPF_SUCCESS;
}

void ebpf_object_undo_pins(struct bpf_object *obj)
{
    for (uint32_t i = 0; i < obj->elf.map_count; i++) {
        struct bpf_map *map = &obj->maps[i];
        if (map->pinned_by_load && lib_unpin(map->pin_path) == EBPF_SUCCESS) {
            map->pinned = map->pinned_by_load = false;
        }
    }
}

void lib_object_drop_maps(struct bpf_object *obj)
{
    ebpf_object_undo_pins(obj);
    for (uint32_t i = 0; i < obj->elf.map_count; i++) {
        lib_map_close(&obj->maps[i]);
    }
}

// --- pins ----------------------------------------------------------------------------------------

int bpf_map__set_pin_path(struct bpf_map *map, const char *path)
{
    char *copy = NULL;
    if (path != NULL && (copy = lib_strdup(path)) == NULL) {
        return lib_fail(ENOMEM);
    }
    lib_free(map->pin_path);
    map->pin_path = copy;
    return 0;
}

const char *bpf_map__pin_path(const struct bpf_map *map)
{
    return map->pin_path;
}

const char *bpf_map__get_pin_path(const struct bpf_map *map)
{
    return bpf_map__pin_path(map);
}

bool bpf_map__is_pinned(const struct bpf_map *map)
{
    return map->pinned;
}

// The path that a pin call means: given, or the map's own; a pinned map has one path only.
static const char *choose_path(const struct bpf_map *map, const char *path)
{
    if (path == NULL) {
        return map->pin_path;
    }
    return map->pin_path == NULL || !map->pinned || str_equal(map->pin_path, path) ? path : NULL;
}

int bpf_map__pin(struct bpf_map *map, const char *path)
{
    const char *chosen = choose_path(map, path);
    if (chosen == NULL) {
        return lib_fail(EINVAL);
    }
    if (map->pinned) {
        return lib_fail(EEXIST);
    }
    if (chosen != map->pin_path && bpf_map__set_pin_path(map, chosen) != 0) {
        return lib_fail(ENOMEM);
    }
    ebpf_result_t result = lib_pin(map->fd, map->pin_path);
    map->pinned = result == EBPF_SUCCESS;
    return lib_result(result);
}

int bpf_map__unpin(struct bpf_map *map, const char *path)
{
    const char *chosen = choose_path(map, path);
    if (chosen == NULL) {
        return lib_fail(EINVAL);
    }
    ebpf_result_t result = lib_unpin(chosen);
    if (result == EBPF_SUCCESS) {
        map->pinned = map->pinned_by_load = false;
    }
    return lib_result(result);
}

// --- elements ------------------------------------------------------------------------------------

// Size of a value as the element calls see it, or 0 when the number of CPUs cannot be asked for.
static size_t user_value_size(const struct bpf_map *map)
{
    const struct spec_view *v = spec_builtin();
    const struct map_def *def = &map->elf->def;
    if (def->type >= v->map_type_count || (v->map_types[def->type].flags & MAP_PER_CPU) == 0) {
        return def->value_size;
    }
    int cpus = libbpf_num_possible_cpus();
    return cpus > 0 ? (size_t)align_up(def->value_size, 8) * (unsigned)cpus : 0;
}

static bool key_ok(const struct bpf_map *map, size_t key_size)
{
    return key_size == map->elf->def.key_size;
}

static ebpf_result_t check(const struct bpf_map *map, size_t key_size)
{
    return map->fd < 0 ? EBPF_OBJECT_NOT_FOUND : key_ok(map, key_size) ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

static ebpf_result_t check_value(const struct bpf_map *map, size_t key_size, size_t value_size)
{
    TRY(check(map, key_size));
    return value_size == user_value_size(map) ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

static ebpf_result_t look_up(const struct bpf_map *map, const void *key, size_t key_size, void *value,
                             size_t value_size, uint64_t flags, bool delete_too)
{
    TRY(check_value(map, key_size, value_size));
    if (flags != 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    return lib_map_lookup(map->fd, key, key_size, value, value_size, delete_too);
}

int bpf_map__lookup_elem(const struct bpf_map *map, const void *key, size_t key_sz, void *value,
                         size_t value_sz, __u64 flags)
{
    return lib_result(look_up(map, key, key_sz, value, value_sz, flags, false));
}

int bpf_map__lookup_and_delete_elem(const struct bpf_map *map, const void *key, size_t key_sz, void *value,
                                    size_t value_sz, __u64 flags)
{
    return lib_result(look_up(map, key, key_sz, value, value_sz, flags, true));
}

int bpf_map__update_elem(const struct bpf_map *map, const void *key, size_t key_sz, const void *value,
                         size_t value_sz, __u64 flags)
{
    ebpf_result_t result = check_value(map, key_sz, value_sz);
    if (result == EBPF_SUCCESS) {
        result = lib_map_update(map->fd, key, key_sz, value, value_sz, flags);
    }
    return lib_result(result);
}

int bpf_map__delete_elem(const struct bpf_map *map, const void *key, size_t key_sz, __u64 flags)
{
    ebpf_result_t result = flags != 0 ? EBPF_INVALID_ARGUMENT : check(map, key_sz);
    if (result == EBPF_SUCCESS) {
        result = lib_map_delete(map->fd, key, key_sz);
    }
    return lib_result(result);
}

int bpf_map__get_next_key(const struct bpf_map *map, const void *cur_key, void *next_key, size_t key_sz)
{
    ebpf_result_t result = check(map, key_sz);
    if (result == EBPF_SUCCESS) {
        result = lib_map_next_key(map->fd, cur_key, key_sz, next_key);
    }
    return lib_result(result);
}
