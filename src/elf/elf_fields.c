// SPDX-License-Identifier: MIT
// elf_fields: the parts of a map's value that programs may use through helpers only: locks, timers, kernel
// pointers, lists. They are known by the names of their types and tags. What cannot be listed (too many, too
// deep) is closed as a whole: a program that touches it is refused. Source: Linux
// Documentation/bpf/map_hash.rst, graph_ds_impl.rst, kptr tags of tools/lib/bpf/bpf_helpers.h.
#include "elf/elf_int.h"

enum { MAX_DEPTH = 8, MAX_STEPS = 1 << 14, MAX_ALL_STEPS = 1 << 22 }; // of one map, of all

static const struct {
    const char *name;
    uint32_t kind;
} field_types[] = {
    {"bpf_spin_lock", MAP_FIELD_SPIN_LOCK}, {"bpf_res_spin_lock", MAP_FIELD_OTHER},
    {"bpf_timer", MAP_FIELD_TIMER},         {"bpf_wq", MAP_FIELD_WORKQUEUE},
    {"bpf_task_work", MAP_FIELD_OTHER},     {"bpf_list_head", MAP_FIELD_OTHER},
    {"bpf_list_node", MAP_FIELD_OTHER},     {"bpf_rb_root", MAP_FIELD_OTHER},
    {"bpf_rb_node", MAP_FIELD_OTHER},       {"bpf_refcount", MAP_FIELD_OTHER},
};
static const char *const pointer_tags[] = {"kptr", "kptr_untrusted", "percpu_kptr", "uptr"};

// A structure or array on the way to the part that is looked at, and how far its items are done.
struct level {
    uint32_t type;   // id
    uint32_t off;    // bytes from the start of the value
    uint32_t next;   // item
    uint32_t fields; // found before it
};

struct walk {
    const struct btf *btf;
    struct elf_map *map;
    struct level levels[MAX_DEPTH];
    uint32_t depth, steps;
};

static uint32_t named_field(const struct btf *btf, const struct btf_type *type)
{
    for (size_t i = 0; type->kind == BTF_STRUCT && i < ARRAY_SIZE(field_types); i++) {
        if (str_equal(btf_string(btf, type->name_off), field_types[i].name)) {
            return field_types[i].kind;
        }
    }
    return MAP_FIELD_NONE;
}

// Whether a pointer of type `id` has one of the tags on its way.
static bool is_kernel_pointer(const struct btf *btf, uint32_t id)
{
    struct btf_type type = btf_type(btf, id);
    for (int step = 0; step < BTF_MAX_CHAIN && type.kind != BTF_VOID; step++) {
        for (size_t i = 0; type.kind == BTF_TYPE_TAG && i < ARRAY_SIZE(pointer_tags); i++) {
            if (str_equal(btf_string(btf, type.name_off), pointer_tags[i])) {
                return true;
            }
        }
        bool goes_on = type.kind == BTF_PTR || type.kind == BTF_TYPE_TAG || type.kind == BTF_CONST ||
                       type.kind == BTF_VOLATILE || type.kind == BTF_RESTRICT || type.kind == BTF_TYPEDEF;
        type = goes_on ? btf_type(btf, type.value) : (struct btf_type){0};
    }
    return false;
}

// Closes the value from `off` on.
static void close_rest(struct elf_map *map, uint32_t off)
{
    while (map->field_count != 0 && map->fields[map->field_count - 1].off >= off) {
        map->field_count--;
    }
    if (map->field_count == MAP_MAX_FIELDS) {
        off = map->fields[--map->field_count].off;
    }
    uint32_t size = off < map->def.value_size ? map->def.value_size - off : 0;
    if (size != 0) {
        map->fields[map->field_count++] = (struct map_field){off, size, MAP_FIELD_OTHER};
    }
}

// False when there is no room: the rest of the value is closed then.
static bool add_field(struct elf_map *map, uint32_t off, uint32_t size, uint32_t kind)
{
    const struct map_field *last = map->field_count != 0 ? &map->fields[map->field_count - 1] : NULL;
    bool in_order = last == NULL || (off >= last->off && off - last->off >= last->size);
    if (map->field_count == MAP_MAX_FIELDS || !in_order || off > map->def.value_size || size == 0 ||
        size > map->def.value_size - off) {
        close_rest(map, last != NULL && off < last->off ? 0 : off);
        return false;
    }
    map->fields[map->field_count++] = (struct map_field){off, size, kind};
    return true;
}

// Looks at one part of the value; false ends the walk.
static bool visit(struct walk *w, uint32_t id, uint32_t off)
{
    uint32_t resolved = 0, size = 0;
    if (!btf_resolve(w->btf, id, &resolved)) {
        close_rest(w->map, 0);
        return false;
    }
    struct btf_type type = btf_type(w->btf, resolved);
    uint32_t kind = named_field(w->btf, &type);
    if (type.kind == BTF_PTR && is_kernel_pointer(w->btf, resolved)) {
        return add_field(w->map, off, 8, MAP_FIELD_KPTR);
    }
    if (kind != MAP_FIELD_NONE) {
        return add_field(w->map, off, btf_size(w->btf, resolved, &size) ? size : 0, kind);
    }
    if (type.kind != BTF_STRUCT && type.kind != BTF_UNION && type.kind != BTF_ARRAY &&
        type.kind != BTF_DATASEC) {
        return true;
    }
    if (w->depth == MAX_DEPTH) {
        close_rest(w->map, off);
        return false;
    }
    w->levels[w->depth++] = (struct level){resolved, off, 0, w->map->field_count};
    return true;
}

// Whether values of this type can hold a field at all: without it, arrays of plain elements would be walked.
static bool is_plain(const struct btf *btf, uint32_t id)
{
    uint32_t resolved = 0;
    if (!btf_resolve(btf, id, &resolved)) {
        return false;
    }
    uint32_t kind = btf_type(btf, resolved).kind;
    return kind == BTF_INT || kind == BTF_ENUM || kind == BTF_ENUM64 || kind == BTF_FLOAT ||
           (kind == BTF_PTR && !is_kernel_pointer(btf, resolved));
}

// Type and offset of item `index` of a level.
static uint32_t item_of(const struct walk *w, const struct level *level, uint32_t index, uint64_t *off)
{
    struct btf_type type = btf_type(w->btf, level->type);
    bool is_array = type.kind == BTF_ARRAY;
    struct btf_item item = btf_item(w->btf, &type, is_array ? 0 : index);
    uint32_t size = 0;
    *off = level->off;
    if (is_array) {
        *off += btf_size(w->btf, item.type, &size) ? (uint64_t)index * size : UINT32_MAX;
        return item.type;
    }
    if (type.kind == BTF_DATASEC) {
        *off += item.off;
        return btf_type(w->btf, item.type).value; // of the variable
    }
    *off += (type.flag ? item.off & 0xffffff : item.off) / 8;
    return item.type;
}

// Whether nothing remains to be found in a level: arrays end with the first element that has no field.
static bool is_done(const struct walk *w, const struct level *level)
{
    struct btf_type type = btf_type(w->btf, level->type);
    struct btf_item item = btf_item(w->btf, &type, 0);
    if (type.kind != BTF_ARRAY) {
        return level->next >= type.vlen;
    }
    return level->next >= item.size || is_plain(w->btf, item.type) ||
           (level->next == 1 && w->map->field_count == level->fields);
}

// Goes on by one item; false ends the walk.
static bool step(struct walk *w)
{
    struct level *level = &w->levels[w->depth - 1];
    uint64_t off;
    if (is_done(w, level)) {
        w->depth--;
        return true;
    }
    uint32_t id = item_of(w, level, level->next++, &off);
    if (++w->steps > MAX_STEPS || off > w->map->def.value_size) {
        close_rest(w->map, (uint32_t)min_u64(off, w->map->def.value_size));
        return false;
    }
    return visit(w, id, (uint32_t)off);
}

void elf_find_fields(struct elf_loader *l, struct elf_map *map)
{
    struct walk w = {.btf = &l->btf, .map = map};
    if (!l->has_btf || map->btf_value_type == 0) {
        return;
    }
    if (l->field_steps > MAX_ALL_STEPS) {
        close_rest(map, 0);
        return;
    }
    bool goes_on = visit(&w, map->btf_value_type, 0);
    while (goes_on && w.depth != 0) {
        goes_on = step(&w);
    }
    l->field_steps += w.steps;
}
