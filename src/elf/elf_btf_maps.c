// SPDX-License-Identifier: MIT
// elf_btf_maps: maps that are variables of the section .maps; their definition is the variable's type. A
// member says a number by the length of an array that it points to, a type by pointing to it. Source:
// libbpf's documentation, BTF defined maps.
#include "elf/elf_int.h"

enum { MAX_MEMBERS = 32 }; // variables may share a type: keeps the work linear

// What a definition's members say so far.
struct definition {
    struct elf_loader *l;
    const struct elf_section *section;
    const char *name;
    struct elf_map *map;
    bool has_key_size, has_value_size, has_values;
    uint32_t inner_type;   // of the inner maps' definition, 0 = none
    uint32_t id, inner_id; // eBPF for Windows: inner maps are like the one with this id; 0 = none
};

enum member_kind {
    // numbers
    MEMBER_TYPE,
    MEMBER_ENTRIES,
    MEMBER_FLAGS,
    MEMBER_PINNING,
    MEMBER_KEY_SIZE,
    MEMBER_VALUE_SIZE,
    // types
    MEMBER_KEY,
    MEMBER_VALUE,
    MEMBER_ID,
    MEMBER_INNER_ID,
    // an initialiser
    MEMBER_VALUES,
    MEMBER_IGNORED
};

static const struct {
    const char *name;
    enum member_kind kind;
} members[] = {
    {"type", MEMBER_TYPE},
    {"max_entries", MEMBER_ENTRIES},
    {"map_flags", MEMBER_FLAGS},
    {"flags", MEMBER_FLAGS},
    {"pinning", MEMBER_PINNING},
    {"key_size", MEMBER_KEY_SIZE},
    {"value_size", MEMBER_VALUE_SIZE},
    {"key", MEMBER_KEY},
    {"value", MEMBER_VALUE},
    {"values", MEMBER_VALUES},
    {"numa_node", MEMBER_IGNORED},
    {"map_extra", MEMBER_IGNORED},
    // eBPF for Windows
    {"id", MEMBER_ID},
    {"inner_id", MEMBER_INNER_ID},
    {"inner_map_idx", MEMBER_IGNORED},
};

static ebpf_result_t read_number(const struct definition *d, const char *member, uint32_t id, uint32_t *out)
{
    const struct btf *btf = &d->l->btf;
    uint32_t resolved, target;
    struct btf_type type, array;
    if (btf_resolve(btf, id, &resolved) && (type = btf_type(btf, resolved)).kind == BTF_PTR &&
        btf_resolve(btf, type.value, &target) && (array = btf_type(btf, target)).kind == BTF_ARRAY) {
        *out = btf_item(btf, &array, 0).size;
        return EBPF_SUCCESS;
    }
    return elf_fail(d->l, d->section, "map '%s': '%s' is not a number written with __uint", d->name, member);
}

// The type that `id` points to, and its size.
static ebpf_result_t read_type(const struct definition *d, const char *member, uint32_t id, uint32_t *out,
                               uint32_t *size)
{
    const struct btf *btf = &d->l->btf;
    uint32_t resolved;
    struct btf_type type;
    if (!btf_resolve(btf, id, &resolved) || (type = btf_type(btf, resolved)).kind != BTF_PTR) {
        return elf_fail(d->l, d->section, "map '%s': '%s' is not a type written with __type", d->name,
                        member);
    }
    if (!btf_size(btf, type.value, size)) {
        return elf_fail(d->l, d->section, "map '%s': the type of '%s' has no size", d->name, member);
    }
    *out = type.value;
    return EBPF_SUCCESS;
}

// Sets a size that may be given twice, as a number and by a type.
static ebpf_result_t set_size(const struct definition *d, const char *member, bool *is_set, uint32_t *size,
                              uint32_t value)
{
    if (*is_set && *size != value) {
        return elf_fail(d->l, d->section,
                        "map '%s': '%s' says %u bytes, but the size was already given as %u", d->name, member,
                        value, *size);
    }
    *is_set = true;
    *size = value;
    return EBPF_SUCCESS;
}

static ebpf_result_t apply_number(struct definition *d, enum member_kind kind, const char *member,
                                  uint32_t number)
{
    switch (kind) {
    case MEMBER_TYPE: elf_map_set_type(d->l, &d->map->def, number); break;
    case MEMBER_ENTRIES: d->map->def.max_entries = number; break;
    case MEMBER_FLAGS: d->map->def.flags = number; break;
    case MEMBER_ID: d->id = number; break;
    case MEMBER_INNER_ID: d->inner_id = number; break;
    case MEMBER_KEY_SIZE: return set_size(d, member, &d->has_key_size, &d->map->def.key_size, number);
    case MEMBER_VALUE_SIZE: return set_size(d, member, &d->has_value_size, &d->map->def.value_size, number);
    case MEMBER_PINNING:
        // 2 is what iproute2 and eBPF for Windows call global; other values are the loader's.
        d->map->pinning = number == 2 ? 1 : number;
        break;
    default: break; // types and initialisers are no numbers
    }
    return EBPF_SUCCESS;
}

// The structure that an array of pointers is about: the definition of inner maps; 0 for others (programs).
static uint32_t inner_definition(const struct btf *btf, uint32_t id)
{
    uint32_t array = 0, pointer = 0, target = 0;
    if (!btf_resolve(btf, id, &array) || btf_type(btf, array).kind != BTF_ARRAY) {
        return 0;
    }
    struct btf_type type = btf_type(btf, array);
    if (!btf_resolve(btf, btf_item(btf, &type, 0).type, &pointer) || btf_type(btf, pointer).kind != BTF_PTR ||
        !btf_resolve(btf, btf_type(btf, pointer).value, &target) ||
        btf_type(btf, target).kind != BTF_STRUCT) {
        return 0;
    }
    return target;
}

static ebpf_result_t apply_member(struct definition *d, const struct btf_item *item)
{
    const char *member = btf_string(&d->l->btf, item->name_off);
    uint32_t number = 0, size = 0;
    size_t row = 0;
    while (row < ARRAY_SIZE(members) && !str_equal(members[row].name, member)) {
        row++;
    }
    if (row == ARRAY_SIZE(members)) {
        return elf_fail(d->l, d->section, "map '%s': the field '%s' is not known", d->name, member);
    }
    switch (members[row].kind) {
    case MEMBER_IGNORED: return EBPF_SUCCESS;
    case MEMBER_VALUES:
        d->has_values = true;
        d->inner_type = inner_definition(&d->l->btf, item->type);
        return EBPF_SUCCESS;
    case MEMBER_KEY:
        TRY(read_type(d, member, item->type, &d->map->btf_key_type, &size));
        return set_size(d, member, &d->has_key_size, &d->map->def.key_size, size);
    case MEMBER_VALUE:
        TRY(read_type(d, member, item->type, &d->map->btf_value_type, &size));
        return set_size(d, member, &d->has_value_size, &d->map->def.value_size, size);
    default:
        TRY(read_number(d, member, item->type, &number));
        return apply_number(d, members[row].kind, member, number);
    }
}

static ebpf_result_t read_map(struct definition *d, uint32_t type_id)
{
    struct elf_loader *l = d->l;
    uint32_t resolved;
    if (!btf_resolve(&l->btf, type_id, &resolved) || btf_type(&l->btf, resolved).kind != BTF_STRUCT) {
        return elf_fail(l, d->section, "map '%s' is not a structure", d->name);
    }
    struct btf_type type = btf_type(&l->btf, resolved);
    if (type.vlen > MAX_MEMBERS) {
        return elf_fail(l, d->section, "map '%s' has %u fields; the limit is %u", d->name, type.vlen,
                        MAX_MEMBERS);
    }
    for (uint32_t i = 0; i < type.vlen; i++) {
        struct btf_item item = btf_item(&l->btf, &type, i);
        TRY(apply_member(d, &item));
    }
    if (d->map->def.number == 0) {
        return elf_fail(l, d->section, "map '%s' has no type", d->name);
    }
    if (d->has_values) { // of programs or maps: descriptors for whoever looks from outside
        d->map->def.key_size = d->has_key_size ? d->map->def.key_size : sizeof(uint32_t);
        d->map->def.value_size = d->has_value_size ? d->map->def.value_size : sizeof(uint32_t);
    }
    d->map->section = d->section->name;
    str_copy(d->map->def.name, sizeof(d->map->def.name), d->name);
    elf_find_fields(l, d->map);
    return EBPF_SUCCESS;
}

// Describes the inner maps of `outer` as a template.
static ebpf_result_t read_template(const struct definition *outer)
{
    struct elf_loader *l = outer->l;
    struct definition inner = {.l = l, .section = outer->section, .name = outer->name};
    if (outer->inner_type == 0) {
        return EBPF_SUCCESS;
    }
    inner.map = &l->templates[l->template_count];
    TRY(read_map(&inner, outer->inner_type));
    if (inner.inner_type != 0) {
        return elf_fail(l, inner.section, "map '%s': its inner maps are maps of maps again", inner.name);
    }
    outer->map->inner = ELF_TEMPLATE | l->template_count++;
    return EBPF_SUCCESS;
}

static uint32_t maps_section(const struct elf_loader *l)
{
    uint32_t index = elf_find_section(l, ".maps");
    bool usable =
        index != ELF_NO_INDEX && l->sections[index].role == ELF_ROLE_MAPS && l->sections[index].size != 0;
    return usable ? index : ELF_NO_INDEX;
}

uint32_t elf_btf_map_bound(const struct elf_loader *l)
{
    uint32_t index = maps_section(l);
    return index != ELF_NO_INDEX && l->has_btf ? btf_type(&l->btf, l->sections[index].datasec).vlen : 0;
}

// Pairs of the offset in the section and the variable's id.
static ebpf_result_t place_variables(struct elf_loader *l, uint32_t section, struct elf_pairs *places)
{
    const struct elf_section *s = &l->sections[section];
    struct btf_type datasec = btf_type(&l->btf, s->datasec);
    places->items = arena_array(l->arena, datasec.vlen, sizeof(struct elf_pair));
    if (places->items == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t i = 0; i < datasec.vlen; i++) {
        uint32_t id = btf_item(&l->btf, &datasec, i).type;
        struct btf_type var = btf_type(&l->btf, id);
        const char *name = btf_string(&l->btf, var.name_off);
        uint32_t symbol = elf_find_symbol(l, name, section);
        if (var.kind != BTF_VAR || symbol == ELF_NO_INDEX) {
            return elf_fail(l, s, "map '%s', which .BTF describes, has no symbol in the section", name);
        }
        if (l->symbols[symbol].value >= s->size) {
            return elf_fail(l, s, "map '%s' lies outside the section", name);
        }
        places->items[places->count++] =
            (struct elf_pair){elf_place(section, (uint32_t)l->symbols[symbol].value), id};
    }
    elf_pairs_sort(places);
    return EBPF_SUCCESS;
}

// What the definitions of one section say of each other's ids.
struct links {
    struct elf_pairs ids; // id -> map
    uint32_t *inner_ids;  // by map, from `first` on
    uint32_t first;
};

static ebpf_result_t add_map(struct elf_loader *l, const struct elf_section *s, const struct elf_pair *place,
                             struct links *links)
{
    uint32_t map = l->object->map_count;
    struct btf_type var = btf_type(&l->btf, place->value);
    struct definition d = {.l = l, .section = s, .map = &l->object->maps[map]};
    d.name = btf_string(&l->btf, var.name_off);
    if (map != links->first && l->map_places.items[l->map_places.count - 1].key == place->key) {
        return elf_fail(l, s, "map '%s' lies at the same place as another", d.name);
    }
    TRY(read_map(&d, var.value));
    TRY(read_template(&d));
    links->ids.items[links->ids.count++] = (struct elf_pair){d.id, map};
    links->inner_ids[map - links->first] = d.inner_id;
    l->map_places.items[l->map_places.count++] = (struct elf_pair){place->key, map};
    l->object->map_count++;
    return EBPF_SUCCESS;
}

static void link_by_id(struct elf_loader *l, struct links *links)
{
    elf_pairs_sort(&links->ids);
    for (uint32_t i = 0; i < links->ids.count; i++) {
        struct elf_map *map = &l->object->maps[links->first + i];
        if (links->inner_ids[i] != 0 && map->inner == 0) {
            map->inner = elf_pairs_find(&links->ids, links->inner_ids[i]) + 1; // ELF_NO_INDEX: 0
        }
    }
}

ebpf_result_t elf_collect_btf_maps(struct elf_loader *l)
{
    struct elf_pairs places = {0};
    uint32_t section = maps_section(l);
    if (section == ELF_NO_INDEX) {
        return EBPF_SUCCESS;
    }
    const struct elf_section *s = &l->sections[section];
    if (!l->has_btf || s->datasec == 0) {
        return elf_fail(l, s, "maps in this section need BTF: compile with -g (clang) or -gbtf (gcc)");
    }
    TRY(place_variables(l, section, &places));
    struct links links = {.first = l->object->map_count};
    links.ids.items = arena_array(l->arena, places.count, sizeof(struct elf_pair));
    links.inner_ids = arena_array(l->arena, places.count, sizeof(*links.inner_ids));
    if (links.ids.items == NULL || links.inner_ids == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t i = 0; i < places.count; i++) {
        TRY(add_map(l, s, &places.items[i], &links));
    }
    link_by_id(l, &links);
    return EBPF_SUCCESS;
}
