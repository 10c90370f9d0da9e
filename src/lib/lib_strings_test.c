// SPDX-License-Identifier: MIT
// Tests of names and numbers of types.
#include <errno.h>

#include "lib/lib_testing.h"

// Also types that the platform has no number for must survive a round trip.
static void numbers_survive_round_trips(void)
{
    const struct spec_view *v = spec_builtin();
    for (uint32_t i = 1; i < v->map_type_count; i++) {
        CHECK(lib_map_type_number(i) != 0);
        CHECK_EQ(lib_map_type_from_number(lib_map_type_number(i)), i);
    }
    for (uint32_t i = 1; i < v->prog_type_count; i++) {
        CHECK(lib_prog_type_number(i) != 0);
        CHECK_EQ(lib_prog_type_from_number(lib_prog_type_number(i)), i);
    }
    for (uint32_t i = 1; i < v->attach_type_count; i++) {
        CHECK(lib_attach_type_number(i) != 0);
        CHECK_EQ(lib_attach_type_from_number(lib_attach_type_number(i)), i);
    }
    CHECK_EQ(lib_map_type_from_number(0), 0);
    CHECK_EQ(lib_map_type_number(9999), 0);
}

static void numbers_are_the_platforms(void)
{
#define MAP_TYPE(id, ...) CHECK_EQ(lib_map_type_number(MAP_TYPE_##id), BPF_MAP_TYPE_##id);
#include "spec/map_types.def"
#undef MAP_TYPE
    CHECK_EQ(lib_prog_type_number(PROG_TYPE_XDP), BPF_PROG_TYPE_XDP);
    CHECK_EQ(lib_attach_type_number(ATTACH_TYPE_XDP), BPF_XDP);
#ifdef BPF_WINDOWS_NUMBERS
    CHECK_EQ(lib_prog_type_number(PROG_TYPE_BIND), BPF_PROG_TYPE_BIND);
    CHECK_EQ(lib_prog_type_number(PROG_TYPE_SAMPLE), BPF_PROG_TYPE_SAMPLE);
    CHECK_EQ(lib_attach_type_number(ATTACH_TYPE_BIND), BPF_ATTACH_TYPE_BIND);
    CHECK_EQ(lib_attach_type_number(ATTACH_TYPE_SAMPLE), BPF_ATTACH_TYPE_SAMPLE);
#endif
}

static void names(void)
{
    CHECK_STR(libbpf_bpf_map_type_str(BPF_MAP_TYPE_PERCPU_ARRAY), "percpu_array");
    CHECK_STR(libbpf_bpf_prog_type_str(BPF_PROG_TYPE_XDP), "xdp");
    CHECK_STR(libbpf_bpf_attach_type_str(BPF_XDP), "xdp");
    CHECK_STR(libbpf_bpf_link_type_str(BPF_LINK_TYPE_XDP), "xdp");
    CHECK(libbpf_bpf_map_type_str((enum bpf_map_type)4321) == NULL);
    CHECK(libbpf_bpf_prog_type_str((enum bpf_prog_type)4321) == NULL);
    CHECK(libbpf_bpf_attach_type_str((enum bpf_attach_type)4321) == NULL);
}

static void types_by_section(void)
{
    enum bpf_prog_type type = BPF_PROG_TYPE_UNSPEC;
    enum bpf_attach_type attach = (enum bpf_attach_type)0;
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    CHECK_EQ(libbpf_prog_type_by_name("xdp/main", &type, &attach), 0);
    CHECK_EQ(type, BPF_PROG_TYPE_XDP);
    CHECK_EQ(attach, BPF_XDP);
    CHECK_EQ(libbpf_prog_type_by_name("no/such", &type, &attach), (unsigned long long)-ESRCH);
    CHECK_EQ(libbpf_prog_type_by_name(NULL, &type, &attach), (unsigned long long)-EINVAL);
    CHECK_EQ(libbpf_attach_type_by_name("xdp", &attach), 0);
    CHECK_EQ(libbpf_attach_type_by_name("no/such", &attach), (unsigned long long)-EINVAL);
    libbpf_set_print(former);
}

// Public GUIDs of the Windows ecosystem.
static void guids(void)
{
    struct ebpf_guid type, attach;
    CHECK_OK(ebpf_get_program_type_by_name("bind", &type, &attach));
    CHECK_EQ(type.data1, 0x608c517c);
    CHECK_EQ(attach.data1, 0xb9707e04);
    CHECK_STR(ebpf_get_program_type_name(&type), "bind");
    CHECK_STR(ebpf_get_attach_type_name(&attach), "bind");
    CHECK_EQ(ebpf_get_bpf_program_type(&type), lib_prog_type_number(PROG_TYPE_BIND));
    CHECK_EQ(ebpf_get_bpf_attach_type(&attach), lib_attach_type_number(ATTACH_TYPE_BIND));
    CHECK_OK(ebpf_get_ebpf_program_type(BPF_PROG_TYPE_XDP, &type));
    CHECK_EQ(type.data1, 0xf1832a85);
    type.data1 ^= 1;
    CHECK(ebpf_get_program_type_name(&type) == NULL);
    CHECK_EQ(ebpf_get_bpf_program_type(&type), 0);
    CHECK_EQ(ebpf_get_program_type_by_name("nothing", &type, NULL), EBPF_KEY_NOT_FOUND);
    CHECK_EQ(ebpf_get_program_type_by_name(NULL, NULL, NULL), EBPF_INVALID_ARGUMENT);
}

static bool count_name(void *user, const char *name)
{
    unsigned *count = user;
    enum bpf_map_type type;
    ++*count;
    CHECK_OK(ebpf_get_map_type_by_name(name, &type));
    return *count < 2;
}

static bool count_all(void *user, const char *name)
{
    unsigned *count = user;
    ++*count;
    return !str_equal(name, "ringbuf"); // can be verified, not created
}

static void map_types_by_name(void)
{
    enum bpf_map_type type;
    unsigned count = 0;
    ebpf_enumerate_map_types(count_name, &count);
    CHECK_EQ(count, 2); // stopped when told so
    count = 0;
    ebpf_enumerate_map_types(count_all, &count);
    CHECK_EQ(count, MAP_TYPE_RUN_COUNT - 1);
    CHECK_EQ(ebpf_get_map_type_by_name("nothing", &type), EBPF_KEY_NOT_FOUND);
}

TEST_SUITE(lib_strings)
{
    RUN(numbers_survive_round_trips);
    RUN(numbers_are_the_platforms);
    RUN(names);
    RUN(types_by_section);
    RUN(guids);
    RUN(map_types_by_name);
}
