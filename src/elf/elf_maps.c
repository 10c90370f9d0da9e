// SPDX-License-Identifier: MIT
// elf_maps: all maps of an object: definitions in `maps` sections, definitions in BTF (elf_btf_maps.c), and a
// map for each section of global data. Order: legacy, BTF, data; by place within each.
#include "elf/elf_int.h"

#define WORD 4u

// How a definition of `size` bytes continues after type, key size, value size and entries (words; 0 = no such
// field). The first row that fits is taken. Sizes without a row: flags at word 4, and the rest must be zero.
// The inner maps of a map of maps are like the one with the id `inner_id`, or like number `inner_index` of
// the section.
struct legacy_form {
    uint32_t size;
    bool windows; // only in the Windows dialect
    uint8_t flags, pinning, id, inner_id, inner_index;
};
static const struct legacy_form legacy_forms[] = {
    {32, true, 0, 5, 6, 7, 4},  // eBPF for Windows: inner_map_idx, pinning, id, inner_id
    {16, false, 0, 0, 0, 0, 0}, // the four common words
    {28, false, 4, 0, 0, 0,
     5}, // Linux samples: flags, inner_map_idx, numa_node; iproute2: flags, id, pinning
    {36, false, 4, 6, 5, 7, 0}, // iproute2: flags, id, pinning, inner_id, inner_idx
};

void elf_map_set_type(const struct elf_loader *l, struct map_def *def, uint32_t number)
{
    def->number = number;
    def->type = spec_map_type_by_number(l->options->spec, l->object->dialect, number);
}

// --- legacy definitions --------------------------------------------------------------------------

static bool names_legacy_map(const struct elf_loader *l, const struct elf_symbol *symbol)
{
    return symbol->section < l->section_count && l->sections[symbol->section].role == ELF_ROLE_LEGACY_MAPS &&
           symbol->name[0] != '\0' &&
           (symbol->type == ELF_SYM_OBJECT ||
            (symbol->type == ELF_SYM_NOTYPE && symbol->bind != ELF_BIND_LOCAL));
}

static ebpf_result_t place_legacy_maps(struct elf_loader *l, struct elf_pairs *places)
{
    places->items = arena_array(l->arena, l->symbol_count, sizeof(struct elf_pair));
    if (places->items == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t i = 0; i < l->symbol_count; i++) {
        const struct elf_symbol *symbol = &l->symbols[i];
        if (!names_legacy_map(l, symbol)) {
            continue;
        }
        const struct elf_section *s = &l->sections[symbol->section];
        if (symbol->value >= s->size) {
            return elf_fail(l, s, "map '%s' starts at byte %llu of a section of %llu bytes", symbol->name,
                            (unsigned long long)symbol->value, (unsigned long long)s->size);
        }
        places->items[places->count++] =
            (struct elf_pair){elf_place(symbol->section, (uint32_t)symbol->value), i};
    }
    elf_pairs_sort(places);
    elf_pairs_unique(places);
    return EBPF_SUCCESS;
}

static uint32_t definition_word(const struct elf_section *s, uint64_t off, uint32_t index)
{
    struct reader r;
    uint32_t value = 0;
    reader_init(&r, s->data, (size_t)s->size);
    if (reader_seek(&r, off + (uint64_t)index * WORD) != EBPF_SUCCESS ||
        reader_u32(&r, &value) != EBPF_SUCCESS) {
        return 0; // not reached: the definition lies inside the section
    }
    return value;
}

static struct legacy_form find_form(const struct elf_loader *l, uint32_t size, bool *tail_must_be_zero)
{
    bool is_windows = l->object->dialect == DIALECT_WINDOWS;
    *tail_must_be_zero = false;
    for (size_t i = 0; i < ARRAY_SIZE(legacy_forms); i++) {
        if (legacy_forms[i].size == size && (is_windows || !legacy_forms[i].windows)) {
            return legacy_forms[i];
        }
    }
    *tail_must_be_zero = true;
    return (struct legacy_form){.size = size, .flags = 4};
}

static ebpf_result_t read_legacy_map(struct elf_loader *l, const struct elf_symbol *symbol, uint32_t size,
                                     struct elf_map *out)
{
    const struct elf_section *s = &l->sections[symbol->section];
    bool tail_must_be_zero;
    struct legacy_form form = find_form(l, size, &tail_must_be_zero);
    for (uint32_t i = 5; tail_must_be_zero && i < size / WORD; i++) {
        if (definition_word(s, symbol->value, i) != 0) {
            return elf_fail(
                l, s, "map '%s': definitions have %u bytes, and word %u, which is not known, is not zero",
                symbol->name, size, i);
        }
    }
    elf_map_set_type(l, &out->def, definition_word(s, symbol->value, 0));
    out->def.key_size = definition_word(s, symbol->value, 1);
    out->def.value_size = definition_word(s, symbol->value, 2);
    out->def.max_entries = definition_word(s, symbol->value, 3);
    out->def.flags = form.flags != 0 ? definition_word(s, symbol->value, form.flags) : 0;
    out->pinning = form.pinning != 0 && definition_word(s, symbol->value, form.pinning) != 0;
    out->legacy = true;
    out->section = s->name;
    if (out->def.number == 0) {
        return elf_fail(l, s, "map '%s' has no type", symbol->name);
    }
    str_copy(out->def.name, sizeof(out->def.name), symbol->name);
    return EBPF_SUCCESS;
}

// Sets the inner maps of the maps from `first` on, whose definitions of `size` bytes start at places[from].
static ebpf_result_t link_inner_maps(struct elf_loader *l, const struct elf_pairs *places, uint32_t from,
                                     uint32_t first, uint32_t size)
{
    const struct elf_section *s = &l->sections[places->items[from].key >> 32];
    uint32_t count = l->object->map_count - first;
    bool unused;
    struct legacy_form form = find_form(l, size, &unused);
    struct elf_pairs ids = {.items = arena_array(l->arena, count, sizeof(struct elf_pair)), .count = count};
    if (ids.items == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t off = (uint32_t)places->items[from + i].key;
        ids.items[i] = (struct elf_pair){definition_word(s, off, form.id), first + i};
    }
    elf_pairs_sort(&ids);
    for (uint32_t i = 0; i < count; i++) {
        struct elf_map *map = &l->object->maps[first + i];
        uint64_t off = (uint32_t)places->items[from + i].key;
        uint32_t id = form.inner_id != 0 ? definition_word(s, off, form.inner_id) : 0;
        uint32_t index = form.inner_index != 0 ? definition_word(s, off, form.inner_index) : ELF_NO_INDEX;
        if ((l->options->spec->map_types[map->def.type].flags & MAP_OF_MAPS) != 0) {
            uint32_t inner = id != 0 && form.id != 0 ? elf_pairs_find(&ids, id)
                             : index < count         ? first + index
                                                     : ELF_NO_INDEX;
            map->inner = inner + 1; // ELF_NO_INDEX: 0
        }
    }
    return EBPF_SUCCESS;
}

// Bytes of each definition of the maps places[from, to), which are those of one section: what they share
// evenly, else what their symbols say (linked objects have gaps where a definition was dropped). 0 when
// neither holds.
static uint32_t definition_size(const struct elf_loader *l, const struct elf_pairs *places, uint32_t from,
                                uint32_t to)
{
    const struct elf_section *s = &l->sections[places->items[from].key >> 32];
    uint64_t share = s->size % (to - from) == 0 ? s->size / (to - from) : 0;
    uint64_t symbol_size = l->symbols[places->items[from].value].size;
    bool even = share != 0, sized = true;
    uint64_t end = 0;
    for (uint32_t i = from; i < to; i++) {
        const struct elf_symbol *symbol = &l->symbols[places->items[i].value];
        even = even && symbol->value == (i - from) * share;
        sized = sized && symbol->size == symbol_size && symbol->value >= end &&
                symbol_size <= s->size - symbol->value;
        end = symbol->value + symbol->size;
    }
    uint64_t size = even ? share : sized ? symbol_size : 0;
    return size % WORD == 0 && size >= 4 * WORD && size <= 64 * WORD ? (uint32_t)size : 0;
}

// Adds the maps places[from, to), which are those of one section.
static ebpf_result_t collect_legacy_section(struct elf_loader *l, const struct elf_pairs *places,
                                            uint32_t from, uint32_t to)
{
    const struct elf_section *s = &l->sections[places->items[from].key >> 32];
    uint32_t size = definition_size(l, places, from, to), first = l->object->map_count;
    if (size == 0) {
        return elf_fail(l, s, "%llu bytes are no whole definitions of %u maps, one after another",
                        (unsigned long long)s->size, to - from);
    }
    for (uint32_t i = from; i < to; i++) {
        const struct elf_symbol *symbol = &l->symbols[places->items[i].value];
        TRY(read_legacy_map(l, symbol, size, &l->object->maps[l->object->map_count]));
        l->map_places.items[l->map_places.count++] =
            (struct elf_pair){places->items[i].key, l->object->map_count++};
    }
    return link_inner_maps(l, places, from, first, size);
}

static ebpf_result_t collect_legacy_maps(struct elf_loader *l, const struct elf_pairs *places)
{
    for (uint32_t from = 0, to; from < places->count; from = to) {
        to = elf_pairs_from(places, ((places->items[from].key >> 32) + 1) << 32);
        TRY(collect_legacy_section(l, places, from, to));
    }
    return EBPF_SUCCESS;
}

// --- global data ---------------------------------------------------------------------------------

// libbpf's name of a data map: "<object>.data" in 15 characters, of which the section's name takes as many as
// it has and at least 7; sections with a second dot stand alone.
static void name_data_map(const char *object_name, const char *section_name, char *out)
{
    enum { ROOM = 15, MIN_SUFFIX = 7 };
    uint32_t length = elf_name_length(section_name), prefix = 0;
    bool alone = false;
    for (uint32_t i = 1; i < length; i++) {
        alone = alone || section_name[i] == '.';
    }
    uint32_t reserved = length < MIN_SUFFIX ? MIN_SUFFIX : min_u32(length, ROOM);
    while (!alone && prefix < ROOM - reserved && object_name[prefix] != '\0' && object_name[prefix] != '.') {
        out[prefix] = object_name[prefix];
        prefix++;
    }
    for (uint32_t i = 0; i < min_u32(length, ROOM); i++) {
        out[prefix++] = section_name[i];
    }
    out[prefix] = '\0';
    for (; *out != '\0'; out++) {
        bool ok = (*out >= '0' && *out <= '9') || (*out >= 'A' && *out <= 'Z') ||
                  (*out >= 'a' && *out <= 'z') || *out == '.';
        *out = ok ? *out : '_';
    }
}

void elf_data_map(struct elf_loader *l, const char *section, uint32_t size, enum elf_map_kind kind,
                  struct elf_map *out)
{
    bool is_constant = kind == ELF_MAP_RODATA || kind == ELF_MAP_KCONFIG;
    out->def.type = MAP_TYPE_ARRAY;
    out->def.number = l->options->spec->map_types[MAP_TYPE_ARRAY].number[l->object->dialect];
    out->def.key_size = sizeof(uint32_t);
    out->def.value_size = size;
    out->def.max_entries = 1;
    out->def.flags = is_constant ? MAP_FLAG_RDONLY_PROG : 0;
    out->kind = (uint8_t)kind;
    out->section = section;
    name_data_map(l->options->name != NULL ? l->options->name : "object", section, out->def.name);
}

static ebpf_result_t make_data_map(struct elf_loader *l, struct elf_section *s, struct elf_map *out)
{
    if (s->size > INT32_MAX) {
        return elf_fail(l, s, "%llu bytes of data are more than a map's value can have",
                        (unsigned long long)s->size);
    }
    elf_data_map(l, s->name, (uint32_t)s->size, (enum elf_map_kind)s->map_kind, out);
    out->btf_value_type = s->datasec;
    elf_find_fields(l, out);
    if (s->map_kind != ELF_MAP_BSS) {
        out->initial = arena_copy(l->arena, s->data, (size_t)s->size);
        return out->initial != NULL ? EBPF_SUCCESS : elf_no_memory(l);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t collect_data_maps(struct elf_loader *l)
{
    for (uint32_t i = 0; i < l->section_count; i++) {
        struct elf_section *s = &l->sections[i];
        if (s->role == ELF_ROLE_DATA) {
            TRY(make_data_map(l, s, &l->object->maps[l->object->map_count]));
            s->map = l->object->map_count++;
        }
    }
    return EBPF_SUCCESS;
}

// Lets the templates follow the maps, which are complete.
static void append_templates(struct elf_loader *l)
{
    struct elf_object *o = l->object;
    for (uint32_t i = 0; i < l->template_count; i++) {
        o->maps[o->map_count + i] = l->templates[i];
    }
    o->template_count = l->template_count;
    for (uint32_t i = 0; i < o->map_count; i++) {
        struct elf_map *map = &o->maps[i];
        if ((map->inner & ELF_TEMPLATE) != 0) {
            map->inner = o->map_count + (map->inner & ~ELF_TEMPLATE) + 1;
        }
    }
}

ebpf_result_t elf_collect_maps(struct elf_loader *l)
{
    struct elf_pairs places = {0};
    TRY(place_legacy_maps(l, &places));
    size_t bound = (size_t)places.count + elf_btf_map_bound(l);
    l->map_places.items = arena_array(l->arena, bound, sizeof(struct elf_pair));
    l->object->maps =
        arena_array(l->arena, 2 * bound + l->section_count + 1, sizeof(struct elf_map)); // 1: .kconfig
    l->templates = arena_array(l->arena, bound, sizeof(struct elf_map));
    if (l->map_places.items == NULL || l->object->maps == NULL || l->templates == NULL) {
        return elf_no_memory(l);
    }
    TRY(collect_legacy_maps(l, &places));
    TRY(elf_collect_btf_maps(l));
    elf_pairs_sort(&l->map_places);
    TRY(collect_data_maps(l));
    TRY(elf_collect_externs(l));
    append_templates(l);
    return EBPF_SUCCESS;
}
