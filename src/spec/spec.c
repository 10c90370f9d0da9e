// SPDX-License-Identifier: MIT
// spec: the built-in tables, expanded from the .def files, and look-ups in any view. Row 0 of every table is
// zeros, so that "none" can be indexed; a number of 0 in a row means that the dialect has no such thing.
#include "spec/spec.h"
#include "spec/contexts.h"
#include "spec/prog_sets.h"

// --- tables --------------------------------------------------------------------------------------

#define GUID(d1, d2, d3, ...)                                                                                \
    {                                                                                                        \
        d1, d2, d3,                                                                                          \
        {                                                                                                    \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define NO_GUID                   GUID(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
#define R0_ANY                    false, 0, 0, LAYOUT_NONE
#define R0(min, max)              true, min, max, LAYOUT_NONE
#define R0_VIEW(min, max, layout) true, min, max, LAYOUT_##layout
#define DIALECTS_LINUX            (1u << DIALECT_LINUX)
#define DIALECTS_WINDOWS          (1u << DIALECT_WINDOWS)
#define DIALECTS_BOTH             (DIALECTS_LINUX | DIALECTS_WINDOWS)
#define DATA_READ                 true // data_read_only of a layout
#define DATA_READ_WRITE           false
#define MEMBER_SIZE(st, member)   sizeof(((struct st *)0)->member)

#define MAP_TYPE_ROW(id, name, linux_number, windows_number, flags, element)                                 \
    [MAP_TYPE_##id] = {name, {linux_number, windows_number}, flags, LAYOUT_##element},
static const struct map_type_row map_types[MAP_TYPE_COUNT] = {
#define MAP_TYPE MAP_TYPE_ROW
#include "spec/map_types.def"
#undef MAP_TYPE
#define MAP_TYPE(id, name, linux_number, windows_number, flags, element)                                     \
    MAP_TYPE_ROW(id, name, linux_number, windows_number, (flags) | MAP_VERIFY_ONLY, element)
#include "spec/map_types_verify.def"
#undef MAP_TYPE
};

// Bit masks of 1 << enum map_type.
static const uint64_t map_sets[MAP_SET_COUNT] = {
    [MAP_SET_ANY] = UINT64_MAX,
#define T(type)              (UINT64_C(1) << MAP_TYPE_##type)
#define MAP_SET(id, members) [MAP_SET_##id] = (members),
#include "spec/map_sets.def"
#undef MAP_SET
#undef T
};

static const struct prog_type_row prog_types[PROG_TYPE_COUNT] = {
#define PROG_TYPE(id, name, linux_number, windows_number, guid, linux_layout, windows_layout, min, max,      \
                  flags)                                                                                     \
    [PROG_TYPE_##id] = {name, {linux_number, windows_number},                                                \
                        guid, {LAYOUT_##linux_layout, LAYOUT_##windows_layout},                              \
                        min,  max,                                                                           \
                        flags},
#include "spec/prog_types.def"
#undef PROG_TYPE
#define PROG_TYPE(id, name, linux_number, windows_number, guid, linux_layout, windows_layout, min, max,      \
                  flags)                                                                                     \
    [PROG_TYPE_##id] = {                                                                                     \
        name, {linux_number, windows_number}, guid, {LAYOUT_##linux_layout, LAYOUT_##windows_layout}, min,   \
        max,  (flags) | PROG_VERIFY_ONLY},
#include "spec/prog_types_verify.def"
#undef PROG_TYPE
};

static const struct attach_type_row attach_types[ATTACH_TYPE_COUNT] = {
#define ATTACH_TYPE(id, name, prog_type, linux_number, windows_number, guid, ...)                            \
    [ATTACH_TYPE_##id] = {name, PROG_TYPE_##prog_type, {linux_number, windows_number}, guid, __VA_ARGS__},
#include "spec/attach_types.def"
#include "spec/attach_types_verify.def"
#undef ATTACH_TYPE
};

// Kinds with their detail in the bits above the kind's.
#define DETAIL_SHIFT               8
#define ARG_OR_NULL(kind)          (ARG_##kind | ARG_NULLABLE)
#define ARG_MAP(set)               (ARG_MAP | MAP_SET_##set << DETAIL_SHIFT)
#define ARG_OBJECT(layout)         (ARG_OBJECT | LAYOUT_##layout << DETAIL_SHIFT)
#define ARG_FIXED_READ(size)       (ARG_FIXED_READ | (size) << DETAIL_SHIFT)
#define ARG_FIXED_WRITE(size)      (ARG_FIXED_WRITE | (size) << DETAIL_SHIFT)
#define ARG_DYNPTR(kind)           (ARG_DYNPTR | (DYNPTR_##kind) << DETAIL_SHIFT)
#define ARG_DYNPTR_NEW(kind)       (ARG_DYNPTR_NEW | (DYNPTR_##kind) << DETAIL_SHIFT)
#define ARG_FIXED_READ_WRITE(size) (ARG_FIXED_READ_WRITE | (size) << DETAIL_SHIFT)
#define ARG_MEM_READ(size)         (ARG_MEM_READ | (size) << DETAIL_SHIFT)
#define ARG_MEM_WRITE(size)        (ARG_MEM_WRITE | (size) << DETAIL_SHIFT)
#define ARG_ITER(type, words)      (ARG_ITER | ITER_DETAIL(ITER_##type, words) << DETAIL_SHIFT)
#define ARG_ITER_NEW(type, words)  (ARG_ITER_NEW | ITER_DETAIL(ITER_##type, words) << DETAIL_SHIFT)
#define ARG_CALLBACK(type)         (ARG_CALLBACK | CALLBACK_##type << DETAIL_SHIFT)
#define RET_OBJECT(layout)         (RET_OBJECT | LAYOUT_##layout << DETAIL_SHIFT)
#define RET_OBJECT_OR_NULL(layout) (RET_OBJECT_OR_NULL | LAYOUT_##layout << DETAIL_SHIFT)
#define RET_MEM(size)              (RET_MEM | (size) << DETAIL_SHIFT)
#define RET_MEM_OR_NULL(size)      (RET_MEM_OR_NULL | (size) << DETAIL_SHIFT)
#define RET_ITER_ELEMENT(size)     (RET_ITER_ELEMENT | (size) << DETAIL_SHIFT)
#define KIND(number)               (uint8_t)((number) & ((1u << DETAIL_SHIFT) - 1))
#define DETAIL(number)             (uint16_t)((number) >> DETAIL_SHIFT)

#define HELPER_ROW(id, name, linux_number, windows_number, types, ret, a1, a2, a3, a4, a5, flags)            \
    [id] = {name,                                                                                            \
            {linux_number, windows_number},                                                                  \
            types,                                                                                           \
            KIND(ret),                                                                                       \
            {KIND(a1), KIND(a2), KIND(a3), KIND(a4), KIND(a5)},                                              \
            flags,                                                                                           \
            {DETAIL(a1), DETAIL(a2), DETAIL(a3), DETAIL(a4), DETAIL(a5)},                                    \
            DETAIL(ret)},
static const struct helper_row helpers[HELPER_COUNT] = {
#define HELPER(id, name, linux_number, windows_number, types, ret, a1, a2, a3, a4, a5, flags)                \
    HELPER_ROW(HELPER_##id, name, linux_number, windows_number, TYPES_##types, RET_##ret, ARG_##a1,          \
               ARG_##a2, ARG_##a3, ARG_##a4, ARG_##a5, flags)
#include "spec/helpers.def"
#undef HELPER
#define HELPER(id, name, linux_number, windows_number, types, ret, a1, a2, a3, a4, a5, flags)                \
    HELPER_ROW(HELPER_##id, name, linux_number, windows_number, TYPES_##types, RET_##ret, ARG_##a1,          \
               ARG_##a2, ARG_##a3, ARG_##a4, ARG_##a5, (flags) | HELPER_VERIFY_ONLY)
#include "spec/helpers_verify.def"
#undef HELPER
#define KFUNC(id, name, types, ret, a1, a2, a3, a4, a5, flags)                                               \
    HELPER_ROW(KFUNC_##id, name, 0, 0, TYPES_##types, RET_##ret, ARG_##a1, ARG_##a2, ARG_##a3, ARG_##a4,     \
               ARG_##a5, (flags) | HELPER_KERNEL_FUNCTION | HELPER_VERIFY_ONLY)
#include "spec/kfuncs.def"
#undef KFUNC
};

// One array of fields per layout: each LAYOUT row closes the array before it and opens its own.
// clang-format off
#define LAYOUT(id, ...) }; static const struct field_row fields_##id[] = {
#define OBJECT          LAYOUT
#define TARGET          LAYOUT
#define PROBED(...)
#define FIELD(layout, name, off, size, kind, access, st, member)                                             \
    {name, off, size, FIELD_##kind, FIELD_##access, offsetof(struct st, member), MEMBER_SIZE(st, member), 0, 0},
#define VIEW(layout, name, off, size, kind, access, unit, object)                                            \
    {name, off, size, FIELD_##kind, FIELD_##access, 0, 0, unit, LAYOUT_##object},
__attribute__((unused)) static const struct field_row fields_NONE[] = {
#include "spec/contexts.def"
#include "spec/contexts_verify.def"
#include "spec/objects.def"
#include "spec/targets.def"
};
// clang-format on
#undef LAYOUT
#undef OBJECT
#undef TARGET
#undef PROBED
#undef FIELD
#undef VIEW

static const struct layout_row layouts[LAYOUT_COUNT] = {
#define FIELD(...)
#define VIEW(...)
#define LAYOUT(id, name, size, data_access)                                                                  \
    [LAYOUT_##                                                                                               \
        id] = {name, size, ARRAY_SIZE(fields_##id), fields_##id, DATA_##data_access, false, LAYOUT_NONE},
#define OBJECT(id, name, size, base)                                                                         \
    [LAYOUT_##id] = {name, size, ARRAY_SIZE(fields_##id), fields_##id, true, false, LAYOUT_##base},
#define TARGET(id, attach_type, name, words)                                                                 \
    [LAYOUT_##id] = {name, (words) * 8, ARRAY_SIZE(fields_##id), fields_##id, true, false, LAYOUT_NONE},
#define PROBED(id, name, base) [LAYOUT_##id] = {name, 0, 0, NULL, true, true, LAYOUT_##base},
#include "spec/contexts.def"
#include "spec/contexts_verify.def"
#include "spec/objects.def"
#include "spec/targets.def"
#undef LAYOUT
#undef OBJECT
#undef TARGET
#undef PROBED
#undef FIELD
#undef VIEW
};
_Static_assert(LAYOUT_COUNT <= UINT8_MAX, "rows keep layouts in a byte");

static const struct {
    uint8_t layout, attach_type;
} targets[] = {
#define VIEW(...)
#define TARGET(id, attach, name, words) {LAYOUT_##id, ATTACH_TYPE_##attach},
#include "spec/targets.def"
#undef VIEW
#undef TARGET
};

static const struct {
    uint16_t helper;
    uint8_t attach_type;
} limits[] = {
#define HELPER_NOT(id, attach) {HELPER_##id, ATTACH_TYPE_##attach},
#include "spec/helper_limits.def"
#undef HELPER_NOT
};

static const struct section_row sections[] = {
#define SECTION(prefix, attach_type, exact, dialects)                                                        \
    {prefix, ATTACH_TYPE_##attach_type, exact, DIALECTS_##dialects, false, false},
#define SECTION_SLEEPS(prefix, attach_type)                                                                  \
    {prefix, ATTACH_TYPE_##attach_type, true, DIALECTS_LINUX, true, false},
#define SECTION_LEGACY(prefix, attach_type)                                                                  \
    {prefix, ATTACH_TYPE_##attach_type, false, DIALECTS_LINUX, false, true},
#include "spec/sections.def"
#undef SECTION
#undef SECTION_SLEEPS
#undef SECTION_LEGACY
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

static bool type_is_in(uint64_t types, uint32_t prog_type)
{
    return types == PROG_TYPES_ALL || (prog_type < 64 && (types >> prog_type & 1) != 0);
}

static uint32_t helper_for_type(const struct spec_view *v, enum dialect d, uint32_t prog_type,
                                uint32_t number)
{
    RETURN_FIRST(v->helpers, v->helper_count,
                 number != 0 && row->number[d] == number && type_is_in(row->prog_types, prog_type));
}

static uint32_t helper_for_any(const struct spec_view *v, enum dialect d, uint32_t number)
{
    RETURN_FIRST(v->helpers, v->helper_count, number != 0 && row->number[d] == number);
}

uint32_t spec_helper_by_number(const struct spec_view *v, enum dialect d, uint32_t prog_type, uint32_t number)
{
    uint32_t id = helper_for_type(v, d, prog_type, number);
    bool scoped = d == DIALECT_WINDOWS && number >= SCOPED_HELPERS;
    return id != HELPER_NONE || scoped ? id : helper_for_any(v, d, number);
}

uint32_t spec_kfunc_by_name(const struct spec_view *v, const char *name)
{
    RETURN_FIRST(v->helpers, v->helper_count,
                 (row->flags & HELPER_KERNEL_FUNCTION) != 0 && str_equal(row->name, name));
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

// Rows without a GUID have zeros.
static bool is_same_guid(const struct guid *a, const struct guid *b)
{
    static const struct guid none;
    return memcmp(a, b, sizeof(*a)) == 0 && memcmp(a, &none, sizeof(*a)) != 0;
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

// --- what goes with what -------------------------------------------------------------------------

bool spec_helper_allowed(const struct spec_view *v, uint32_t helper, uint32_t prog_type, uint32_t attach_type)
{
    for (unsigned i = 0; i < ARRAY_SIZE(limits); i++) {
        if (limits[i].helper == helper && limits[i].attach_type == attach_type) {
            return false;
        }
    }
    return helper != HELPER_NONE && helper < v->helper_count &&
           type_is_in(v->helpers[helper].prog_types, prog_type);
}

bool spec_helper_takes_map(const struct spec_view *v, uint32_t helper, uint32_t map_type)
{
    const struct helper_row *row = &v->helpers[helper];
    for (unsigned i = 0; i < ARRAY_SIZE(row->args); i++) {
        if ((row->args[i] & ARG_KIND_MASK) == ARG_MAP) {
            uint64_t set = map_sets[row->detail[i] < MAP_SET_COUNT ? row->detail[i] : MAP_SET_ANY];
            return set == UINT64_MAX || (map_type < 64 && (set >> map_type & 1) != 0);
        }
    }
    return false;
}

bool spec_object_is(const struct spec_view *v, uint32_t have, uint32_t want)
{
    while (have != LAYOUT_NONE && have < v->layout_count && have != want) {
        have = v->layouts[have].base;
    }
    return have != LAYOUT_NONE && have < v->layout_count && have == want;
}

// "tp_btf/sched_switch", "iter.s/task", ...
uint32_t spec_target_layout(const struct spec_view *v, uint32_t attach_type, const char *section)
{
    const char *name = section;
    while (*name != '\0' && *name != '/') {
        name++;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(targets) && *name != '\0'; i++) {
        if (targets[i].attach_type == attach_type &&
            str_equal(v->layouts[targets[i].layout].name, name + 1)) {
            return targets[i].layout;
        }
    }
    return LAYOUT_NONE;
}

bool spec_license_is_gpl(const char *license)
{
    static const char *const gpl[] = {"GPL",          "GPL v2",       "GPL and additional rights",
                                      "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"};
    for (unsigned i = 0; i < ARRAY_SIZE(gpl); i++) {
        if (str_equal(license, gpl[i])) {
            return true;
        }
    }
    return false;
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

// Row with the longest prefix among the legacy ones or the others.
static const struct section_row *find_section(const struct spec_view *v, enum dialect d, const char *section,
                                              bool legacy)
{
    const struct section_row *best = NULL;
    size_t best_length = 0;
    for (uint32_t i = 0; i < v->section_count; i++) {
        const struct section_row *row = &v->sections[i];
        size_t length = str_len(row->prefix);
        if (row->legacy == legacy && (row->dialects & 1u << d) != 0 && length > best_length &&
            section_matches(row, skip_mark(section))) {
            best = row;
            best_length = length;
        }
    }
    return best;
}

const struct section_row *spec_section_row(const struct spec_view *v, enum dialect d, const char *section)
{
    const struct section_row *row = find_section(v, d, section, false);
    return row != NULL ? row : find_section(v, d, section, true);
}

uint32_t spec_attach_type_by_section(const struct spec_view *v, enum dialect d, const char *section)
{
    const struct section_row *row = find_section(v, d, section, false);
    return row != NULL ? row->attach_type : ATTACH_TYPE_NONE;
}

unsigned spec_section_dialects(const struct spec_view *v, const char *section)
{
    unsigned dialects = 0;
    for (uint32_t i = 0; i < v->section_count; i++) {
        if (!v->sections[i].legacy && section_is_named(&v->sections[i], skip_mark(section))) {
            dialects |= v->sections[i].dialects;
        }
    }
    return dialects;
}

bool spec_may_call_all(const struct spec_view *v, enum dialect d, uint32_t prog_type, const uint32_t *numbers,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (helper_for_type(v, d, prog_type, numbers[i]) == HELPER_NONE) {
            return false;
        }
    }
    return true;
}

// --- context fields ------------------------------------------------------------------------------

static bool store_is_permitted(const struct field_row *f, bool whole, uint32_t size)
{
    if ((f->access & FIELD_WRITE) == 0) {
        return false;
    }
    if (f->access == FIELD_ANY_WRITE || (f->access == FIELD_WORD_WRITE && size >= 4)) {
        return true;
    }
    return f->unit != 0 ? size == f->unit : whole;
}

static bool access_is_permitted(const struct field_row *f, uint32_t off, uint32_t size, bool store)
{
    bool whole = off == f->off && size == f->size;
    if (store) {
        return store_is_permitted(f, whole, size);
    }
    if ((f->access & FIELD_READ) == 0) {
        return false;
    }
    return f->unit != 0 ? size == f->unit && (off - f->off) % f->unit == 0 : whole || f->kind == FIELD_SCALAR;
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
