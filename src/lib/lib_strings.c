// SPDX-License-Identifier: MIT
// lib_strings: names and numbers of types. Inside there are internal ids only; numbers are those of the
// platform whose headers the client has compiled with.
#include <errno.h>

#include "lib/lib_int.h"

// Numbers of types that the platform has none for: the other dialect's, in a range that no platform uses.
#define OTHER_NUMBERS 0x57000000u
#define NO_NUMBERS    0x57800000u // plus the id: attach types that no platform has a number for

static uint32_t number_of(const uint32_t numbers[DIALECT_COUNT])
{
    uint32_t own = numbers[LIB_DIALECT],
             other = numbers[LIB_DIALECT == DIALECT_LINUX ? DIALECT_WINDOWS : DIALECT_LINUX];
    return own != 0 || other == 0 ? own : OTHER_NUMBERS + other;
}

uint32_t lib_map_type_number(uint32_t type)
{
    const struct spec_view *v = spec_builtin();
    return type < v->map_type_count ? number_of(v->map_types[type].number) : 0;
}

uint32_t lib_prog_type_number(uint32_t type)
{
    const struct spec_view *v = spec_builtin();
    return type < v->prog_type_count ? number_of(v->prog_types[type].number) : 0;
}

uint32_t lib_attach_type_number(uint32_t type)
{
    const struct spec_view *v = spec_builtin();
    if (type == ATTACH_TYPE_NONE || type >= v->attach_type_count) {
        return 0;
    }
    uint32_t number = number_of(v->attach_types[type].number);
    return number != 0 ? number : NO_NUMBERS + type;
}

// Id whose number is `number`; 0 for none.
static uint32_t find_number(uint32_t (*number_of_id)(uint32_t), uint32_t count, uint32_t number)
{
    for (uint32_t id = 1; id < count && number != 0; id++) {
        if (number_of_id(id) == number) {
            return id;
        }
    }
    return 0;
}

uint32_t lib_map_type_from_number(uint32_t number)
{
    return find_number(lib_map_type_number, spec_builtin()->map_type_count, number);
}

uint32_t lib_prog_type_from_number(uint32_t number)
{
    return find_number(lib_prog_type_number, spec_builtin()->prog_type_count, number);
}

uint32_t lib_attach_type_from_number(uint32_t number)
{
    return find_number(lib_attach_type_number, spec_builtin()->attach_type_count, number);
}

const char *lib_map_type_name(uint32_t type)
{
    const struct spec_view *v = spec_builtin();
    return type != 0 && type < v->map_type_count ? v->map_types[type].name : "unknown";
}

const char *lib_prog_type_name(uint32_t type)
{
    const struct spec_view *v = spec_builtin();
    return type != 0 && type < v->prog_type_count ? v->prog_types[type].name : "unknown";
}

const char *lib_attach_type_name(uint32_t type)
{
    const struct spec_view *v = spec_builtin();
    return type != 0 && type < v->attach_type_count ? v->attach_types[type].name : "unknown";
}

ebpf_result_t lib_type_by_name(const char *name, uint32_t *prog_type, uint32_t *attach_type)
{
    const struct spec_view *v = spec_builtin();
    uint32_t type = spec_prog_type_by_name(v, name), attach = 0;
    if (type != PROG_TYPE_NONE) {
        *prog_type = type;
        *attach_type = spec_default_attach_type(v, type);
        return EBPF_SUCCESS;
    }
    attach = spec_attach_type_by_section(v, LIB_DIALECT, name);
    for (unsigned d = 0; d < DIALECT_COUNT && attach == ATTACH_TYPE_NONE; d++) {
        attach = spec_attach_type_by_section(v, (enum dialect)d, name);
    }
    if (attach == ATTACH_TYPE_NONE) {
        return EBPF_KEY_NOT_FOUND;
    }
    *prog_type = v->attach_types[attach].prog_type;
    *attach_type = attach;
    return EBPF_SUCCESS;
}

// --- libbpf --------------------------------------------------------------------------------------

__u32 libbpf_major_version(void)
{
    return LIBBPF_MAJOR_VERSION;
}

__u32 libbpf_minor_version(void)
{
    return LIBBPF_MINOR_VERSION;
}

#define TEXT(x)       #x
#define VERSION(a, b) "v" TEXT(a) "." TEXT(b)

const char *libbpf_version_string(void)
{
    return VERSION(LIBBPF_MAJOR_VERSION, LIBBPF_MINOR_VERSION);
}

int libbpf_set_strict_mode(enum libbpf_strict_mode mode)
{
    UNUSED(mode);
    return 0;
}

const char *libbpf_bpf_map_type_str(enum bpf_map_type t)
{
    uint32_t type = lib_map_type_from_number((uint32_t)t);
    return type != 0 ? lib_map_type_name(type) : t == BPF_MAP_TYPE_UNSPEC ? "unspec" : NULL;
}

const char *libbpf_bpf_prog_type_str(enum bpf_prog_type t)
{
    uint32_t type = lib_prog_type_from_number((uint32_t)t);
    return type != 0 ? lib_prog_type_name(type) : t == BPF_PROG_TYPE_UNSPEC ? "unspec" : NULL;
}

const char *libbpf_bpf_attach_type_str(enum bpf_attach_type t)
{
    uint32_t type = lib_attach_type_from_number((uint32_t)t);
    return type != 0 ? lib_attach_type_name(type) : NULL;
}

const char *libbpf_bpf_link_type_str(enum bpf_link_type t)
{
    return t == BPF_LINK_TYPE_XDP ? "xdp" : t == BPF_LINK_TYPE_UNSPEC ? "unspec" : NULL;
}

int libbpf_prog_type_by_name(const char *name, enum bpf_prog_type *prog_type,
                             enum bpf_attach_type *expected_attach_type)
{
    const struct spec_view *v = spec_builtin();
    if (name == NULL) {
        return lib_fail(EINVAL);
    }
    uint32_t attach = spec_attach_type_by_section(v, LIB_DIALECT, name);
    if (attach == ATTACH_TYPE_NONE) {
        lib_warn("no program type is known for section '%s'\n", name);
        return lib_fail(ESRCH);
    }
    *prog_type = (enum bpf_prog_type)lib_prog_type_number(v->attach_types[attach].prog_type);
    *expected_attach_type = (enum bpf_attach_type)lib_attach_type_number(attach);
    return 0;
}

int libbpf_attach_type_by_name(const char *name, enum bpf_attach_type *attach_type)
{
    if (name == NULL) {
        return lib_fail(EINVAL);
    }
    uint32_t attach = spec_attach_type_by_section(spec_builtin(), LIB_DIALECT, name);
    if (attach == ATTACH_TYPE_NONE) {
        return lib_fail(EINVAL);
    }
    *attach_type = (enum bpf_attach_type)lib_attach_type_number(attach);
    return 0;
}

// --- names and GUIDs -----------------------------------------------------------------------------

_Static_assert(sizeof(struct ebpf_guid) == sizeof(struct guid), "one layout of GUIDs");

static void copy_guid(struct ebpf_guid *out, const struct guid *guid)
{
    if (out != NULL) {
        memcpy(out, guid, sizeof(*out));
    }
}

static uint32_t prog_type_of(const struct ebpf_guid *guid)
{
    struct guid g;
    memcpy(&g, guid, sizeof(g));
    return spec_prog_type_by_guid(spec_builtin(), &g);
}

static uint32_t attach_type_of(const struct ebpf_guid *guid)
{
    struct guid g;
    memcpy(&g, guid, sizeof(g));
    return spec_attach_type_by_guid(spec_builtin(), &g);
}

ebpf_result_t ebpf_get_program_type_by_name(const char *name, struct ebpf_guid *program_type,
                                            struct ebpf_guid *expected_attach_type)
{
    const struct spec_view *v = spec_builtin();
    uint32_t type = 0, attach = 0;
    if (name == NULL) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(lib_type_by_name(name, &type, &attach));
    copy_guid(program_type, &v->prog_types[type].guid);
    copy_guid(expected_attach_type, &v->attach_types[attach].guid);
    return EBPF_SUCCESS;
}

const char *ebpf_get_program_type_name(const struct ebpf_guid *program_type)
{
    uint32_t type = prog_type_of(program_type);
    return type != 0 ? lib_prog_type_name(type) : NULL;
}

const char *ebpf_get_attach_type_name(const struct ebpf_guid *attach_type)
{
    uint32_t type = attach_type_of(attach_type);
    return type != 0 ? lib_attach_type_name(type) : NULL;
}

ebpf_result_t ebpf_get_ebpf_program_type(enum bpf_prog_type type, struct ebpf_guid *program_type)
{
    uint32_t id = lib_prog_type_from_number((uint32_t)type);
    if (id == 0) {
        return EBPF_KEY_NOT_FOUND;
    }
    copy_guid(program_type, &spec_builtin()->prog_types[id].guid);
    return EBPF_SUCCESS;
}

enum bpf_prog_type ebpf_get_bpf_program_type(const struct ebpf_guid *program_type)
{
    return (enum bpf_prog_type)lib_prog_type_number(prog_type_of(program_type));
}

ebpf_result_t ebpf_get_ebpf_attach_type(enum bpf_attach_type type, struct ebpf_guid *attach_type)
{
    uint32_t id = lib_attach_type_from_number((uint32_t)type);
    if (id == 0) {
        return EBPF_KEY_NOT_FOUND;
    }
    copy_guid(attach_type, &spec_builtin()->attach_types[id].guid);
    return EBPF_SUCCESS;
}

enum bpf_attach_type ebpf_get_bpf_attach_type(const struct ebpf_guid *attach_type)
{
    return (enum bpf_attach_type)lib_attach_type_number(attach_type_of(attach_type));
}

ebpf_result_t ebpf_get_map_type_by_name(const char *name, enum bpf_map_type *type)
{
    uint32_t id = name != NULL ? spec_map_type_by_name(spec_builtin(), name) : 0;
    if (id == MAP_TYPE_NONE) {
        return EBPF_KEY_NOT_FOUND;
    }
    *type = (enum bpf_map_type)lib_map_type_number(id);
    return EBPF_SUCCESS;
}

void ebpf_enumerate_map_types(bool (*each)(void *user, const char *name), void *user)
{
    const struct spec_view *v = spec_builtin();
    for (uint32_t i = 1; i < v->map_type_count; i++) {
        if ((v->map_types[i].flags & MAP_VERIFY_ONLY) == 0 && !each(user, v->map_types[i].name)) {
            return;
        }
    }
}

void ebpf_enumerate_program_types(bool (*each)(void *user, const char *name), void *user)
{
    const struct spec_view *v = spec_builtin();
    for (uint32_t i = 1; i < v->prog_type_count && each(user, v->prog_types[i].name); i++) {
    }
}
