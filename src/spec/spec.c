// SPDX-License-Identifier: MIT
// spec: the built-in tables, expanded from the .def files, and look-ups in any view. Row 0 of every table is
// zeros, so that "none" can be indexed; a number of 0 in a row means that the dialect has no such thing.
#include "spec/spec.h"
#include "spec/contexts.h"

// --- tables --------------------------------------------------------------------------------------

#define GUID(d1, d2, d3, ...)                                                                                \
    {                                                                                                        \
        d1, d2, d3,                                                                                          \
        {                                                                                                    \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define DIALECTS_LINUX          (1u << DIALECT_LINUX)
#define DIALECTS_WINDOWS        (1u << DIALECT_WINDOWS)
#define DIALECTS_BOTH           (DIALECTS_LINUX | DIALECTS_WINDOWS)
#define DATA_READ               true // data_read_only of a layout
#define DATA_READ_WRITE         false
#define MEMBER_SIZE(st, member) sizeof(((struct st *)0)->member)

static const struct map_type_row map_types[MAP_TYPE_COUNT] = {
#define MAP_TYPE(id, name, linux_number, windows_number, flags)                                              \
    [MAP_TYPE_##id] = {name, {linux_number, windows_number}, flags},
#include "spec/map_types.def"
#undef MAP_TYPE
};

static const struct prog_type_row prog_types[PROG_TYPE_COUNT] = {
#define PROG_TYPE(id, name, linux_number, windows_number, guid, linux_layout, windows_layout, min, max)      \
    [PROG_TYPE_##id] = {name, {linux_number, windows_number},                                                \
                        guid, {LAYOUT_##linux_layout, LAYOUT_##windows_layout},                              \
                        min,  max},
#include "spec/prog_types.def"
#undef PROG_TYPE
};

static const struct attach_type_row attach_types[ATTACH_TYPE_COUNT] = {
#define ATTACH_TYPE(id, name, prog_type, linux_number, windows_number, guid)                                 \
    [ATTACH_TYPE_##id] = {name, PROG_TYPE_##prog_type, {linux_number, windows_number}, guid},
#include "spec/attach_types.def"
#undef ATTACH_TYPE
};

static const struct helper_row helpers[HELPER_COUNT] = {
#define HELPER(id, name, linux_number, windows_number, prog_type, ret, a1, a2, a3, a4, a5, flags)            \
    [HELPER_##id] = {name,                                                                                   \
                     {linux_number, windows_number},                                                         \
                     PROG_TYPE_##prog_type,                                                                  \
                     RET_##ret,                                                                              \
                     {ARG_##a1, ARG_##a2, ARG_##a3, ARG_##a4, ARG_##a5},                                     \
                     flags},
#include "spec/helpers.def"
#undef HELPER
};

// One array of fields per layout: each LAYOUT row closes the array before it and opens its own.
// clang-format off
#define LAYOUT(id, ...) }; static const struct field_row fields_##id[] = {
#define FIELD(layout, name, off, size, kind, access, st, member)                                             \
    {name, off, size, FIELD_##kind, FIELD_##access, offsetof(struct st, member), MEMBER_SIZE(st, member)},
__attribute__((unused)) static const struct field_row fields_NONE[] = {
#include "spec/contexts.def"
};
// clang-format on
#undef LAYOUT
#undef FIELD

static const struct layout_row layouts[LAYOUT_COUNT] = {
#define LAYOUT(id, name, size, data_access)                                                                  \
    [LAYOUT_##id] = {name, size, ARRAY_SIZE(fields_##id), fields_##id, DATA_##data_access},
#define FIELD(...)
#include "spec/contexts.def"
#undef LAYOUT
#undef FIELD
};

static const struct section_row sections[] = {
#define SECTION(prefix, attach_type, exact, dialects)                                                        \
    {prefix, ATTACH_TYPE_##attach_type, exact, DIALECTS_##dialects},
#include "spec/sections.def"
#undef SECTION
};

static const struct verdict_row verdicts[VERDICT_COUNT] = {
#define VERDICT(prog_type, id, name, linux_value, windows_value)                                             \
    [VERDICT_##id] = {PROG_TYPE_##prog_type, name, {linux_value, windows_value}},
#include "spec/verdicts.def"
#undef VERDICT
};

const struct spec_view *spec_builtin(void)
{
    static const struct spec_view view = {
        .helpers = helpers,
        .helper_count = HELPER_COUNT,
        .map_types = map_types,
        .map_type_count = MAP_TYPE_COUNT,
        .prog_types = prog_types,
        .prog_type_count = PROG_TYPE_COUNT,
        .attach_types = attach_types,
        .attach_type_count = ATTACH_TYPE_COUNT,
        .layouts = layouts,
        .layout_count = LAYOUT_COUNT,
        .sections = sections,
        .section_count = ARRAY_SIZE(sections),
        .generation = 1,
    };
    return &view;
}

// --- look-ups ------------------------------------------------------------------------------------

// Returns the first id above 0 whose row meets `condition` (an expression in `row`), from the function around
// it.
#define RETURN_FIRST(rows, count, condition)                                                                 \
    for (uint32_t id_ = 1; id_ < (count); id_++) {                                                           \
        const __typeof__((rows)[0]) *row = &(rows)[id_];                                                     \
        if (condition) {                                                                                     \
            return id_;                                                                                      \
        }                                                                                                    \
    }                                                                                                        \
    return 0

#define SCOPED_HELPERS 0x10000u // Windows numbers from here on mean something else in each program type

uint32_t spec_helper_by_number(const struct spec_view *v, enum dialect d, uint32_t prog_type, uint32_t number)
{
    bool scoped = d == DIALECT_WINDOWS && number >= SCOPED_HELPERS;
    RETURN_FIRST(v->helpers, v->helper_count,
                 number != 0 && row->number[d] == number && (!scoped || row->prog_type == prog_type));
}

uint32_t spec_map_type_by_number(const struct spec_view *v, enum dialect d, uint32_t number)
{
    RETURN_FIRST(v->map_types, v->map_type_count, number != 0 && row->number[d] == number);
}

uint32_t spec_prog_type_by_number(const struct spec_view *v, enum dialect d, uint32_t number)
{
    RETURN_FIRST(v->prog_types, v->prog_type_count, number != 0 && row->number[d] == number);
}

uint32_t spec_attach_type_by_number(const struct spec_view *v, enum dialect d, uint32_t number)
{
    RETURN_FIRST(v->attach_types, v->attach_type_count, number != 0 && row->number[d] == number);
}

uint32_t spec_map_type_by_name(const struct spec_view *v, const char *name)
{
    RETURN_FIRST(v->map_types, v->map_type_count, str_equal(row->name, name));
}

uint32_t spec_prog_type_by_name(const struct spec_view *v, const char *name)
{
    RETURN_FIRST(v->prog_types, v->prog_type_count, str_equal(row->name, name));
}

uint32_t spec_attach_type_by_name(const struct spec_view *v, const char *name)
{
    RETURN_FIRST(v->attach_types, v->attach_type_count, str_equal(row->name, name));
}

static bool is_same_guid(const struct guid *a, const struct guid *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

uint32_t spec_prog_type_by_guid(const struct spec_view *v, const struct guid *guid)
{
    RETURN_FIRST(v->prog_types, v->prog_type_count, is_same_guid(&row->guid, guid));
}

uint32_t spec_attach_type_by_guid(const struct spec_view *v, const struct guid *guid)
{
    RETURN_FIRST(v->attach_types, v->attach_type_count, is_same_guid(&row->guid, guid));
}

uint32_t spec_default_attach_type(const struct spec_view *v, uint32_t prog_type)
{
    RETURN_FIRST(v->attach_types, v->attach_type_count, prog_type != 0 && row->prog_type == prog_type);
}

// --- sections ------------------------------------------------------------------------------------

// libbpf marks programs that are not loaded by default with a '?' before the section's name.
static const char *skip_mark(const char *section)
{
    return section[0] == '?' ? section + 1 : section;
}

// "name" or "name/...".
static bool section_is_named(const struct section_row *row, const char *section)
{
    if (!str_starts_with(section, row->prefix)) {
        return false;
    }
    char next = section[str_len(row->prefix)];
    return next == '\0' || next == '/';
}

static bool section_matches(const struct section_row *row, const char *section)
{
    return row->exact ? section_is_named(row, section) : str_starts_with(section, row->prefix);
}

uint32_t spec_attach_type_by_section(const struct spec_view *v, enum dialect d, const char *section)
{
    uint32_t best = ATTACH_TYPE_NONE;
    size_t best_length = 0;
    for (uint32_t i = 0; i < v->section_count; i++) {
        const struct section_row *row = &v->sections[i];
        size_t length = str_len(row->prefix);
        if ((row->dialects & 1u << d) != 0 && length > best_length &&
            section_matches(row, skip_mark(section))) {
            best = row->attach_type;
            best_length = length;
        }
    }
    return best;
}

unsigned spec_section_dialects(const struct spec_view *v, const char *section)
{
    unsigned dialects = 0;
    for (uint32_t i = 0; i < v->section_count; i++) {
        if (section_is_named(&v->sections[i], skip_mark(section))) {
            dialects |= v->sections[i].dialects;
        }
    }
    return dialects;
}

// --- context fields ------------------------------------------------------------------------------

static bool access_is_permitted(const struct field_row *f, uint32_t off, uint32_t size, bool store)
{
    bool whole = off == f->off && size == f->size;
    if (store) {
        return whole && (f->access & FIELD_WRITE) != 0;
    }
    return (whole || f->kind == FIELD_SCALAR) && (f->access & FIELD_READ) != 0;
}

int spec_field_find(const struct spec_view *v, uint32_t layout, int32_t off, uint32_t size, bool store)
{
    bool width_exists = size == 1 || size == 2 || size == 4 || size == 8;
    if (layout >= v->layout_count || off < 0 || !width_exists || (uint32_t)off % size != 0) {
        return -1;
    }
    const struct layout_row *row = &v->layouts[layout];
    for (unsigned i = 0; i < row->field_count; i++) {
        const struct field_row *f = &row->fields[i];
        bool inside = (uint32_t)off >= f->off && (uint64_t)off + size <= (uint64_t)f->off + f->size;
        if (inside) {
            return access_is_permitted(f, (uint32_t)off, size, store) ? (int)i : -1;
        }
    }
    return -1;
}

// --- verdicts ------------------------------------------------------------------------------------

const struct verdict_row *spec_verdict_row(unsigned verdict)
{
    return &verdicts[verdict < VERDICT_COUNT ? verdict : VERDICT_NONE];
}

unsigned spec_verdict(uint32_t prog_type, enum dialect d, uint32_t value)
{
    RETURN_FIRST(verdicts, VERDICT_COUNT,
                 value <= INT32_MAX && row->prog_type == prog_type && row->value[d] == (int32_t)value);
}
