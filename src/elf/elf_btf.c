// SPDX-License-Identifier: MIT
// elf_btf: connects BTF and BTF.ext with the object: which FUNC a function has, its source lines, and where
// the variables of a DATASEC lie (compilers leave zeros there); and reads the CO-RE records, which elf_core.c
// applies. Source: Linux Documentation/bpf/btf.rst, section 4.
#include "elf/elf_int.h"

#define EXT_HEADER_SIZE 24u // up to and including line_info_len
#define FUNC_INFO_SIZE  8u
#define LINE_INFO_SIZE  16u
#define CORE_RELO_SIZE  16u
#define EXT_CORE_SIZE   32u // of a header that knows CO-RE
#define CORE_KINDS      13u

// A part of .BTF.ext: groups of records, one group a section.
struct part {
    const struct elf_section *section; // .BTF.ext
    const char *what;
    struct reader r;
    uint32_t record_size;
};

struct group {
    uint32_t section, count;
};

static struct elf_section *find_named(const struct elf_loader *l, const char *name)
{
    uint32_t index = elf_find_section(l, name);
    struct elf_section *s = index != ELF_NO_INDEX ? &l->sections[index] : NULL;
    return s != NULL && s->type == ELF_PROGBITS && s->size != 0 ? s : NULL;
}

// Opens the part at `off` from the end of the header. An empty part has no record size.
static ebpf_result_t open_part(struct elf_loader *l, const struct reader *body, uint32_t off, uint32_t size,
                               uint32_t min_record, struct part *part)
{
    if (reader_slice(body, off, size, &part->r) != EBPF_SUCCESS) {
        return elf_fail(l, part->section, "the %s lies outside the section", part->what);
    }
    if (size == 0) {
        return EBPF_SUCCESS;
    }
    if (reader_u32(&part->r, &part->record_size) != EBPF_SUCCESS || part->record_size < min_record ||
        part->record_size % 4 != 0) {
        return elf_fail(l, part->section, "the record size of the %s is wrong", part->what);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t next_group(struct elf_loader *l, struct part *part, struct group *out)
{
    uint32_t name_off;
    if (reader_u32(&part->r, &name_off) != EBPF_SUCCESS ||
        reader_u32(&part->r, &out->count) != EBPF_SUCCESS ||
        (uint64_t)out->count * part->record_size > reader_left(&part->r)) {
        return elf_fail(l, part->section, "the %s ends inside a group of records", part->what);
    }
    if (name_off >= l->btf.strings_size) {
        return elf_fail(l, part->section, "the %s names a section outside the strings of .BTF", part->what);
    }
    const char *name = btf_string(&l->btf, name_off);
    out->section = elf_find_section(l, name);
    if (out->section == ELF_NO_INDEX) {
        return elf_fail(l, part->section, "the %s is about section '%s', which does not exist", part->what,
                        name);
    }
    return EBPF_SUCCESS;
}

// Slot of a record of `group`, which starts with its instruction's offset in bytes.
static ebpf_result_t read_slot(struct elf_loader *l, struct part *part, const struct group *group,
                               struct reader *record, uint32_t *out)
{
    const uint8_t *bytes;
    uint32_t off;
    if (reader_view(&part->r, part->record_size, &bytes) != EBPF_SUCCESS) {
        return elf_fail(l, part->section, "the %s ends inside a record", part->what);
    }
    reader_init(record, bytes, part->record_size);
    const struct elf_section *s = &l->sections[group->section];
    if (reader_u32(record, &off) != EBPF_SUCCESS || off % INSN_SLOT_SIZE != 0 ||
        off / INSN_SLOT_SIZE >= s->slots) {
        return elf_fail(l, part->section, "the %s has a record for no instruction of section '%s'",
                        part->what, s->name);
    }
    *out = off / INSN_SLOT_SIZE;
    return EBPF_SUCCESS;
}

static bool set_func_type(struct elf_loader *l, uint32_t func, uint32_t id)
{
    struct btf_type type = btf_type(&l->btf, id);
    if (type.kind != BTF_FUNC) {
        return false;
    }
    l->funcs[func].btf = id;
    l->funcs[func].btf_global = type.vlen == BTF_LINKAGE_GLOBAL;
    return true;
}

static ebpf_result_t read_func_info(struct elf_loader *l, struct part *part)
{
    while (reader_left(&part->r) != 0) {
        struct group group;
        TRY(next_group(l, part, &group));
        for (uint32_t i = 0; i < group.count; i++) {
            struct reader record;
            uint32_t slot = 0, id = 0;
            TRY(read_slot(l, part, &group, &record, &slot));
            uint32_t func = elf_find_func(l, group.section, slot);
            if (reader_u32(&record, &id) != EBPF_SUCCESS ||
                (func != ELF_NO_INDEX && !set_func_type(l, func, id))) {
                return elf_fail(l, part->section,
                                "the %s gives instruction %u of section '%s' a type that is no function",
                                part->what, slot, l->sections[group.section].name);
            }
        }
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t read_line(struct elf_loader *l, struct part *part, const struct group *group,
                               struct elf_line *out)
{
    struct reader record;
    uint32_t where;
    TRY(read_slot(l, part, group, &record, &out->slot));
    if (reader_u32(&record, &out->file_off) != EBPF_SUCCESS ||
        reader_u32(&record, &out->text_off) != EBPF_SUCCESS || reader_u32(&record, &where) != EBPF_SUCCESS ||
        out->file_off >= l->btf.strings_size || out->text_off >= l->btf.strings_size) {
        return elf_fail(l, part->section,
                        "the %s of instruction %u of section '%s' is outside the strings of .BTF", part->what,
                        out->slot, l->sections[group->section].name);
    }
    out->line = where >> 10;
    out->column = where & 1023;
    return EBPF_SUCCESS;
}

static ebpf_result_t read_line_info(struct elf_loader *l, struct part *part)
{
    if (part->record_size == 0) {
        return EBPF_SUCCESS;
    }
    size_t bound = reader_left(&part->r) / part->record_size;
    l->lines = arena_array(l->arena, bound, sizeof(*l->lines));
    l->line_places.items = arena_array(l->arena, bound, sizeof(struct elf_pair));
    if (l->lines == NULL || l->line_places.items == NULL) {
        return elf_no_memory(l);
    }
    uint32_t count = 0;
    while (reader_left(&part->r) != 0) {
        struct group group;
        TRY(next_group(l, part, &group));
        for (uint32_t i = 0; i < group.count; i++, count++) {
            TRY(read_line(l, part, &group, &l->lines[count]));
            l->line_places.items[count] =
                (struct elf_pair){elf_place(group.section, l->lines[count].slot), count};
        }
    }
    l->line_places.count = count;
    elf_pairs_sort(&l->line_places);
    elf_pairs_unique(&l->line_places);
    return EBPF_SUCCESS;
}

static ebpf_result_t read_core_relo(struct elf_loader *l, struct part *part, const struct group *group,
                                    struct elf_core_relo *out)
{
    struct reader record;
    out->section = group->section;
    TRY(read_slot(l, part, group, &record, &out->slot));
    if (reader_u32(&record, &out->type) != EBPF_SUCCESS ||
        reader_u32(&record, &out->access_off) != EBPF_SUCCESS ||
        reader_u32(&record, &out->kind) != EBPF_SUCCESS || out->type > l->btf.count ||
        out->access_off >= l->btf.strings_size || out->kind >= CORE_KINDS) {
        return elf_fail(l, part->section,
                        "the %s of instruction %u of section '%s' is outside .BTF or of unknown kind",
                        part->what, out->slot, l->sections[group->section].name);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t read_core_relos(struct elf_loader *l, struct part *part)
{
    if (part->record_size == 0) {
        return EBPF_SUCCESS;
    }
    l->core_relos = arena_array(l->arena, reader_left(&part->r) / part->record_size, sizeof(*l->core_relos));
    if (l->core_relos == NULL) {
        return elf_no_memory(l);
    }
    while (reader_left(&part->r) != 0) {
        struct group group;
        TRY(next_group(l, part, &group));
        for (uint32_t i = 0; i < group.count; i++) {
            TRY(read_core_relo(l, part, &group, &l->core_relos[l->core_count++]));
        }
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t read_ext(struct elf_loader *l, const struct elf_section *s)
{
    struct reader r, body;
    uint16_t magic;
    uint32_t header_size, func_off, func_size, line_off, line_size;
    reader_init(&r, s->data, (size_t)s->size);
    if (reader_u16(&r, &magic) != EBPF_SUCCESS || reader_skip(&r, 2) != EBPF_SUCCESS ||
        reader_u32(&r, &header_size) != EBPF_SUCCESS || reader_u32(&r, &func_off) != EBPF_SUCCESS ||
        reader_u32(&r, &func_size) != EBPF_SUCCESS || reader_u32(&r, &line_off) != EBPF_SUCCESS ||
        reader_u32(&r, &line_size) != EBPF_SUCCESS) {
        return elf_fail(l, s, "the section ends inside its header");
    }
    if (magic != BTF_MAGIC || header_size < EXT_HEADER_SIZE || header_size > s->size) {
        return elf_fail(l, s, "the magic number or the length of the header is wrong");
    }
    if (reader_slice(&r, header_size, s->size - header_size, &body) != EBPF_SUCCESS) {
        return elf_fail(l, s, "the section ends inside its header");
    }
    struct part funcs = {.section = s, .what = "function information"};
    struct part lines = {.section = s, .what = "line information"};
    TRY(open_part(l, &body, func_off, func_size, FUNC_INFO_SIZE, &funcs));
    TRY(open_part(l, &body, line_off, line_size, LINE_INFO_SIZE, &lines));
    TRY(read_func_info(l, &funcs));
    TRY(read_line_info(l, &lines));
    uint32_t core_off, core_size;
    if (header_size < EXT_CORE_SIZE || reader_u32(&r, &core_off) != EBPF_SUCCESS ||
        reader_u32(&r, &core_size) != EBPF_SUCCESS) {
        return EBPF_SUCCESS;
    }
    struct part core = {.section = s, .what = "CO-RE relocation"};
    TRY(open_part(l, &body, core_off, core_size, CORE_RELO_SIZE, &core));
    return read_core_relos(l, &core);
}

// Fills size and offsets of a DATASEC from the section and its symbols.
static void fill_datasec(struct elf_loader *l, uint32_t id)
{
    struct btf_type type = btf_type(&l->btf, id);
    uint32_t index = elf_find_section(l, btf_string(&l->btf, type.name_off));
    if (index == ELF_NO_INDEX || l->sections[index].datasec != 0) {
        return; // .kconfig and .ksyms are no sections
    }
    l->sections[index].datasec = id;
    if (l->sections[index].size <= UINT32_MAX) {
        btf_patch(&l->btf, type.items - 4, (uint32_t)l->sections[index].size);
    }
    for (uint32_t i = 0; i < type.vlen; i++) {
        struct btf_type var = btf_type(&l->btf, btf_item(&l->btf, &type, i).type);
        uint32_t symbol = elf_find_symbol(l, btf_string(&l->btf, var.name_off), index);
        if (symbol != ELF_NO_INDEX && l->symbols[symbol].value <= UINT32_MAX) {
            btf_patch(&l->btf, btf_item_off(&type, i) + 4, (uint32_t)l->symbols[symbol].value);
        }
    }
}

// gcc writes FUNC types but no function information: functions get theirs by name.
static ebpf_result_t match_by_name(struct elf_loader *l)
{
    struct elf_pairs names = {.items = arena_array(l->arena, l->func_count, sizeof(struct elf_pair))};
    if (names.items == NULL) {
        return elf_no_memory(l);
    }
    for (; names.count < l->func_count; names.count++) {
        names.items[names.count] =
            (struct elf_pair){elf_name_key(l->funcs[names.count].name, 0), names.count};
    }
    elf_pairs_sort(&names);
    for (uint32_t id = 1; id <= l->btf.count; id++) {
        struct btf_type type = btf_type(&l->btf, id);
        if (type.kind != BTF_FUNC) {
            continue;
        }
        const char *name = btf_string(&l->btf, type.name_off);
        uint32_t func = elf_pairs_find(&names, elf_name_key(name, 0));
        if (func != ELF_NO_INDEX && l->funcs[func].btf == 0 && str_equal(l->funcs[func].name, name)) {
            set_func_type(l, func, id);
        }
    }
    return EBPF_SUCCESS;
}

ebpf_result_t elf_read_btf(struct elf_loader *l)
{
    const struct elf_section *s = find_named(l, ".BTF");
    const struct elf_section *ext = find_named(l, ".BTF.ext");
    if (s == NULL) {
        return ext == NULL ? EBPF_SUCCESS
                           : elf_fail(l, ext, "there is no .BTF section that it could refer to");
    }
    struct btf_error error = {0};
    ebpf_result_t result = btf_parse(s->data, (size_t)s->size, l->arena, &l->btf, &error);
    if (result == EBPF_NO_MEMORY) {
        return elf_no_memory(l);
    }
    if (result != EBPF_SUCCESS) {
        return error.type == 0 ? elf_fail(l, s, "%s", error.why)
                               : elf_fail(l, s, "%s (type %u)", error.why, error.type);
    }
    l->has_btf = true;
    for (uint32_t id = 1; id <= l->btf.count; id++) {
        if (btf_type(&l->btf, id).kind == BTF_DATASEC) {
            fill_datasec(l, id);
        }
    }
    if (ext != NULL) {
        TRY(read_ext(l, ext));
    }
    return match_by_name(l);
}
