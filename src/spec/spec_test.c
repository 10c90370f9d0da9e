// SPDX-License-Identifier: MIT
// The built-in tables and their look-ups. Numbers that clients depend on are restated here.
#include "spec/spec.h"
#include "spec/contexts.h"
#include "tests/test.h"

static const struct spec_view *v;

static bool is_zero(const void *row, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (((const uint8_t *)row)[i] != 0) {
            return false;
        }
    }
    return true;
}

static void rows_0_are_zeros(void)
{
    CHECK(is_zero(&v->helpers[0], sizeof(v->helpers[0])));
    CHECK(is_zero(&v->map_types[0], sizeof(v->map_types[0])));
    CHECK(is_zero(&v->prog_types[0], sizeof(v->prog_types[0])));
    CHECK(is_zero(&v->attach_types[0], sizeof(v->attach_types[0])));
    CHECK(is_zero(&v->layouts[0], sizeof(v->layouts[0])));
    CHECK_EQ(v->helper_count, HELPER_COUNT);
    CHECK_EQ(v->map_type_count, MAP_TYPE_COUNT);
    CHECK_EQ(v->prog_type_count, PROG_TYPE_COUNT);
    CHECK_EQ(v->attach_type_count, ATTACH_TYPE_COUNT);
    CHECK_EQ(v->layout_count, LAYOUT_COUNT);
}

static void map_types_are_found(void)
{
    for (uint32_t id = 1; id < v->map_type_count; id++) {
        const struct map_type_row *m = &v->map_types[id];
        CHECK_EQ(spec_map_type_by_name(v, m->name), id);
        CHECK_EQ((m->flags & MAP_VERIFY_ONLY) != 0, id >= MAP_TYPE_RUN_COUNT);
        CHECK(m->element < v->layout_count);
        for (unsigned d = 0; d < DIALECT_COUNT; d++) {
            CHECK(m->number[d] == 0 || spec_map_type_by_number(v, d, m->number[d]) == id);
        }
    }
    CHECK_EQ(spec_map_type_by_number(v, DIALECT_LINUX, 6), MAP_TYPE_PERCPU_ARRAY);
    CHECK_EQ(spec_map_type_by_number(v, DIALECT_WINDOWS, 5), MAP_TYPE_PERCPU_ARRAY);
    CHECK_EQ(spec_map_type_by_number(v, DIALECT_LINUX, 0), MAP_TYPE_NONE);
    CHECK_EQ(spec_map_type_by_number(v, DIALECT_LINUX, 999), MAP_TYPE_NONE);
    CHECK_EQ(spec_map_type_by_name(v, "hashes"), MAP_TYPE_NONE);
    CHECK_EQ(spec_map_type_by_name(v, ""), MAP_TYPE_NONE);
}

static void prog_types_are_found(void)
{
    for (uint32_t id = 1; id < v->prog_type_count; id++) {
        const struct prog_type_row *t = &v->prog_types[id];
        CHECK_EQ(spec_prog_type_by_name(v, t->name), id);
        CHECK_EQ(spec_prog_type_by_guid(v, &t->guid),
                 is_zero(&t->guid, sizeof(t->guid)) ? PROG_TYPE_NONE : id);
        CHECK(t->number[DIALECT_WINDOWS] == 0 || !is_zero(&t->guid, sizeof(t->guid)));
        CHECK_EQ((t->flags & PROG_VERIFY_ONLY) != 0, id >= PROG_TYPE_RUN_COUNT);
        CHECK(t->ret_min <= t->ret_max);
        CHECK(spec_default_attach_type(v, id) != ATTACH_TYPE_NONE);
        CHECK_EQ(v->attach_types[spec_default_attach_type(v, id)].prog_type, id);
        for (unsigned d = 0; d < DIALECT_COUNT; d++) {
            CHECK(t->number[d] == 0 || spec_prog_type_by_number(v, d, t->number[d]) == id);
            CHECK(t->number[d] != 0 || t->layout[d] == LAYOUT_NONE);
            CHECK(t->layout[d] < v->layout_count);
        }
    }
    CHECK_EQ(spec_prog_type_by_number(v, DIALECT_LINUX, 6), PROG_TYPE_XDP);
    CHECK_EQ(spec_prog_type_by_number(v, DIALECT_WINDOWS, 1), PROG_TYPE_XDP);
    CHECK_EQ(spec_prog_type_by_number(v, DIALECT_LINUX, 0), PROG_TYPE_NONE);
    CHECK_EQ(spec_prog_type_by_name(v, "XDP"), PROG_TYPE_NONE);
    CHECK_EQ(spec_prog_type_by_guid(v, &(struct guid){0}), PROG_TYPE_NONE);
    CHECK_EQ(spec_default_attach_type(v, PROG_TYPE_NONE), ATTACH_TYPE_NONE);
}

static void attach_types_are_found(void)
{
    for (uint32_t id = 1; id < v->attach_type_count; id++) {
        const struct attach_type_row *a = &v->attach_types[id];
        CHECK_EQ(spec_attach_type_by_name(v, a->name), id);
        CHECK_EQ(spec_attach_type_by_guid(v, &a->guid),
                 is_zero(&a->guid, sizeof(a->guid)) ? ATTACH_TYPE_NONE : id);
        CHECK(a->number[DIALECT_WINDOWS] == 0 || !is_zero(&a->guid, sizeof(a->guid)));
        CHECK(a->ret_min <= a->ret_max);
        CHECK_EQ(spec_prog_type_by_guid(v, &a->guid), PROG_TYPE_NONE);
        for (unsigned d = 0; d < DIALECT_COUNT; d++) {
            CHECK(a->number[d] == 0 || spec_attach_type_by_number(v, d, a->number[d]) == id);
        }
    }
    CHECK_EQ(spec_attach_type_by_number(v, DIALECT_LINUX, 37), ATTACH_TYPE_XDP);
    CHECK_EQ(spec_attach_type_by_number(v, DIALECT_WINDOWS, 2), ATTACH_TYPE_BIND);
    CHECK_EQ(spec_attach_type_by_number(v, DIALECT_LINUX, 0), ATTACH_TYPE_NONE);
    CHECK_EQ(spec_attach_type_by_name(v, "cgroup"), ATTACH_TYPE_NONE);
}

static void guids_have_the_layout_of_windows(void)
{
    static const uint8_t xdp[16] = {0x85, 0x2a, 0x83, 0xf1, 0xd5, 0x85, 0xb0, 0x45,
                                    0x98, 0xa0, 0x70, 0x69, 0xd6, 0x30, 0x13, 0xb0};
    CHECK_EQ(sizeof(struct guid), 16);
    CHECK_EQ(memcmp(&v->prog_types[PROG_TYPE_XDP].guid, xdp, 16), 0);
}

static void helper_numbers_depend_on_dialect_and_type(void)
{
    CHECK_EQ(spec_helper_by_number(v, DIALECT_LINUX, PROG_TYPE_XDP, 7), HELPER_GET_PRANDOM_U32);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_WINDOWS, PROG_TYPE_XDP, 7), HELPER_KTIME_GET_BOOT_NS);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_WINDOWS, PROG_TYPE_XDP, 0x10000), HELPER_XDP_ADJUST_HEAD);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_WINDOWS, PROG_TYPE_SAMPLE, 0x10000), HELPER_SAMPLE_FUNCTION1);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_WINDOWS, PROG_TYPE_BIND, 0x10000), HELPER_NONE);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_LINUX, PROG_TYPE_XDP, 0x10000), HELPER_NONE);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_LINUX, PROG_TYPE_XDP, 0), HELPER_NONE);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_WINDOWS, PROG_TYPE_XDP, 0), HELPER_NONE);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_LINUX, PROG_TYPE_XDP, UINT32_MAX), HELPER_NONE);
}

static void check_section(const char *section, uint32_t linux_type, uint32_t windows_type)
{
    CHECK_EQ(spec_attach_type_by_section(v, DIALECT_LINUX, section), linux_type);
    CHECK_EQ(spec_attach_type_by_section(v, DIALECT_WINDOWS, section), windows_type);
}

static void sections_select_attach_types(void)
{
    check_section("xdp", ATTACH_TYPE_XDP, ATTACH_TYPE_XDP);
    check_section("?xdp", ATTACH_TYPE_XDP, ATTACH_TYPE_XDP);
    check_section("xdp/foo", ATTACH_TYPE_XDP, ATTACH_TYPE_XDP);
    check_section("xdp.frags", ATTACH_TYPE_XDP, ATTACH_TYPE_XDP);
    check_section("xdp_drop", ATTACH_TYPE_NONE, ATTACH_TYPE_XDP);
    check_section("?xdp_drop", ATTACH_TYPE_NONE, ATTACH_TYPE_XDP);
    check_section("bind", ATTACH_TYPE_NONE, ATTACH_TYPE_BIND);
    check_section("bind/filter", ATTACH_TYPE_NONE, ATTACH_TYPE_BIND);
    check_section("sample_ext/x", ATTACH_TYPE_NONE, ATTACH_TYPE_SAMPLE);
    check_section("raw_memory", ATTACH_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY);
    check_section("raw_memory_x", ATTACH_TYPE_NONE, ATTACH_TYPE_NONE);
    check_section("??xdp", ATTACH_TYPE_NONE, ATTACH_TYPE_NONE);
    check_section("XDP", ATTACH_TYPE_NONE, ATTACH_TYPE_NONE);
    check_section("sockops", ATTACH_TYPE_CGROUP_SOCK_OPS, ATTACH_TYPE_CGROUP_SOCK_OPS);
    check_section("cgroup/connect4", ATTACH_TYPE_CGROUP_INET4_CONNECT, ATTACH_TYPE_CGROUP_INET4_CONNECT);
    check_section("cgroup/recv_accept6", ATTACH_TYPE_NONE, ATTACH_TYPE_CGROUP_INET6_RECV_ACCEPT);
    check_section("process", ATTACH_TYPE_NONE, ATTACH_TYPE_PROCESS);
    check_section("tc/tail", ATTACH_TYPE_SCHED_CLS, ATTACH_TYPE_NONE);
    check_section("tc/ingress", ATTACH_TYPE_TCX_INGRESS, ATTACH_TYPE_NONE);
    check_section("tc_mark", ATTACH_TYPE_NONE, ATTACH_TYPE_NONE);
    check_section("raw_tracepoint/sched_switch", ATTACH_TYPE_RAW_TRACEPOINT, ATTACH_TYPE_NONE);
    check_section("kprobe.multi/x", ATTACH_TYPE_KPROBE_MULTI, ATTACH_TYPE_NONE);
    check_section("xd", ATTACH_TYPE_NONE, ATTACH_TYPE_NONE);
    check_section(".text", ATTACH_TYPE_NONE, ATTACH_TYPE_NONE);
    check_section("", ATTACH_TYPE_NONE, ATTACH_TYPE_NONE);
    check_section("?", ATTACH_TYPE_NONE, ATTACH_TYPE_NONE);
}

static void check_row(const char *section, uint32_t attach_type, bool sleepable, bool legacy)
{
    const struct section_row *row = spec_section_row(v, DIALECT_LINUX, section);
    REQUIRE(row != NULL);
    CHECK_EQ(row->attach_type, attach_type);
    CHECK_EQ(row->sleepable, sleepable);
    CHECK_EQ(row->legacy, legacy);
}

static void rows_of_sections_say_more(void)
{
    check_row("xdp", ATTACH_TYPE_XDP, false, false);
    check_row("xdp_drop", ATTACH_TYPE_XDP, false, true);
    check_row("socket1", ATTACH_TYPE_SOCKET_FILTER, false, true);
    check_row("socket/1", ATTACH_TYPE_SOCKET_FILTER, false, false);
    check_row("tc_mark", ATTACH_TYPE_SCHED_CLS, false, true);
    check_row("lsm.s/file_open", ATTACH_TYPE_LSM_MAC, true, false);
    check_row("lsm/file_open", ATTACH_TYPE_LSM_MAC, false, false);
    check_row("?fentry.s/x", ATTACH_TYPE_TRACE_FENTRY, true, false);
    CHECK(spec_section_row(v, DIALECT_LINUX, "2/1") == NULL);
    CHECK(spec_section_row(v, DIALECT_WINDOWS, "socket1") == NULL);
}

static void helpers_tell_types_apart(void)
{
    static const uint32_t plain[] = {1, 2, 3, 12}, skb[] = {1, 9, 10}, xdp[] = {1, 44};
    static const struct {
        uint32_t type;
        bool plain, skb, xdp;
    } rows[] = {
        {PROG_TYPE_SOCKET_FILTER, true, false, false},
        {PROG_TYPE_SCHED_CLS, true, true, false},
        {PROG_TYPE_XDP, true, false, true},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t type = rows[i].type;
        CHECK(spec_may_call_all(v, DIALECT_LINUX, type, plain, 0));
        CHECK(spec_may_call_all(v, DIALECT_LINUX, type, plain, ARRAY_SIZE(plain)) == rows[i].plain);
        CHECK(spec_may_call_all(v, DIALECT_LINUX, type, skb, ARRAY_SIZE(skb)) == rows[i].skb);
        CHECK(spec_may_call_all(v, DIALECT_LINUX, type, xdp, ARRAY_SIZE(xdp)) == rows[i].xdp);
    }
}

static void only_whole_section_names_speak_for_a_dialect(void)
{
    const unsigned linux_only = 1u << DIALECT_LINUX, windows_only = 1u << DIALECT_WINDOWS;
    CHECK_EQ(spec_section_dialects(v, "xdp"), linux_only | windows_only);
    CHECK_EQ(spec_section_dialects(v, "?xdp/foo"), linux_only | windows_only);
    CHECK_EQ(spec_section_dialects(v, "xdp.frags"), linux_only);
    CHECK_EQ(spec_section_dialects(v, "xdp.frags/foo"), linux_only);
    CHECK_EQ(spec_section_dialects(v, "bind"), windows_only);
    CHECK_EQ(spec_section_dialects(v, "bind/filter"), windows_only);
    CHECK_EQ(spec_section_dialects(v, "sample_ext/x"), windows_only);
    CHECK_EQ(spec_section_dialects(v, "xdp_fwd"), 0);
    CHECK_EQ(spec_section_dialects(v, "?xdp_fwd"), 0);
    CHECK_EQ(spec_section_dialects(v, "bind4"), 0);
    CHECK_EQ(spec_section_dialects(v, "kprobe/x"), linux_only);
    CHECK_EQ(spec_section_dialects(v, "cgroup/listen4"), windows_only);
    CHECK_EQ(spec_section_dialects(v, "sockops"), linux_only | windows_only);
    CHECK_EQ(spec_section_dialects(v, ".text"), 0);
    CHECK_EQ(spec_section_dialects(v, ""), 0);
}

static void the_longest_prefix_wins(void)
{
    static const struct section_row rows[] = {
        {"a", 1, false, 1 << DIALECT_LINUX, false, false},
        {"abc", 3, false, 1 << DIALECT_LINUX, false, false},
        {"ab", 2, false, 1 << DIALECT_LINUX, false, false},
    };
    struct spec_view view = *v;
    view.sections = rows;
    view.section_count = ARRAY_SIZE(rows);
    CHECK_EQ(spec_attach_type_by_section(&view, DIALECT_LINUX, "abcd"), 3);
    CHECK_EQ(spec_attach_type_by_section(&view, DIALECT_LINUX, "abd"), 2);
    CHECK_EQ(spec_attach_type_by_section(&view, DIALECT_LINUX, "ad"), 1);
    CHECK_EQ(spec_attach_type_by_section(&view, DIALECT_WINDOWS, "abcd"), 0);
}

static void check_field(uint32_t layout, int32_t off, uint32_t size, bool store, const char *name)
{
    int index = spec_field_find(v, layout, off, size, store);
    if (name == NULL) {
        CHECK_EQ(index, -1);
    } else {
        REQUIRE(index >= 0 && index < v->layouts[layout].field_count);
        CHECK_STR(v->layouts[layout].fields[index].name, name);
    }
}

static void loads_find_their_field(void)
{
    check_field(LAYOUT_XDP_LINUX, 0, 4, false, "data");
    check_field(LAYOUT_XDP_LINUX, 4, 4, false, "data_end");
    check_field(LAYOUT_XDP_LINUX, 12, 4, false, "ingress_ifindex");
    check_field(LAYOUT_XDP_LINUX, 14, 2, false, "ingress_ifindex");
    check_field(LAYOUT_XDP_LINUX, 15, 1, false, "ingress_ifindex");
    check_field(LAYOUT_XDP_WINDOWS, 8, 8, false, "data_end");
    check_field(LAYOUT_BIND, 32, 8, false, "socket_address");
    check_field(LAYOUT_BIND, 40, 1, false, "socket_address_length");
}

static void bad_loads_find_none(void)
{
    check_field(LAYOUT_XDP_LINUX, 0, 8, false, NULL);  // over data and data_end
    check_field(LAYOUT_XDP_LINUX, 0, 2, false, NULL);  // part of a pointer
    check_field(LAYOUT_XDP_LINUX, 13, 2, false, NULL); // not aligned
    check_field(LAYOUT_XDP_LINUX, 16, 8, false, NULL); // straddles
    check_field(LAYOUT_XDP_LINUX, 24, 4, false, NULL); // behind the end
    check_field(LAYOUT_XDP_LINUX, -4, 4, false, NULL);
    check_field(LAYOUT_XDP_LINUX, INT32_MIN, 8, false, NULL);
    check_field(LAYOUT_XDP_LINUX, INT32_MAX - 7, 8, false, NULL);
    check_field(LAYOUT_XDP_LINUX, 12, 3, false, NULL); // no such width
    check_field(LAYOUT_XDP_LINUX, 12, 0, false, NULL);
    check_field(LAYOUT_XDP_WINDOWS, 0, 4, false, NULL);  // half of a pointer
    check_field(LAYOUT_XDP_WINDOWS, 28, 4, false, NULL); // padding
    check_field(LAYOUT_BIND, 24, 16, false, NULL);       // inside, but no such width
    check_field(LAYOUT_BIND, 40, 2, false, NULL);        // into padding
    check_field(LAYOUT_NONE, 0, 4, false, NULL);
    check_field(LAYOUT_COUNT, 0, 4, false, NULL);
}

static void stores_are_exact(void)
{
    check_field(LAYOUT_SAMPLE, 16, 4, true, "uint32_data");
    check_field(LAYOUT_SAMPLE, 20, 2, true, "uint16_data");
    check_field(LAYOUT_SAMPLE, 16, 2, true, NULL);
    check_field(LAYOUT_SAMPLE, 18, 2, true, NULL);
    check_field(LAYOUT_SAMPLE, 0, 8, true, NULL); // read-only
    check_field(LAYOUT_XDP_LINUX, 12, 4, true, NULL);
    check_field(LAYOUT_BIND, 44, 4, true, NULL);
}

static void verdicts_differ_by_dialect(void)
{
    CHECK_EQ(spec_verdict(PROG_TYPE_XDP, DIALECT_LINUX, 1), VERDICT_XDP_DROP);
    CHECK_EQ(spec_verdict(PROG_TYPE_XDP, DIALECT_LINUX, 2), VERDICT_XDP_PASS);
    CHECK_EQ(spec_verdict(PROG_TYPE_XDP, DIALECT_WINDOWS, 1), VERDICT_XDP_PASS);
    CHECK_EQ(spec_verdict(PROG_TYPE_XDP, DIALECT_WINDOWS, 2), VERDICT_XDP_DROP);
    CHECK_EQ(spec_verdict(PROG_TYPE_XDP, DIALECT_LINUX, 0), VERDICT_XDP_ABORTED);
    CHECK_EQ(spec_verdict(PROG_TYPE_XDP, DIALECT_WINDOWS, 0), VERDICT_NONE);
    CHECK_EQ(spec_verdict(PROG_TYPE_XDP, DIALECT_LINUX, 5), VERDICT_NONE);
    CHECK_EQ(spec_verdict(PROG_TYPE_XDP, DIALECT_WINDOWS, UINT32_MAX), VERDICT_NONE);
    CHECK_EQ(spec_verdict(PROG_TYPE_BIND, DIALECT_WINDOWS, 1), VERDICT_BIND_DENY);
    CHECK_EQ(spec_verdict(PROG_TYPE_BIND, DIALECT_LINUX, UINT32_MAX), VERDICT_NONE);
    CHECK_EQ(spec_verdict(PROG_TYPE_SAMPLE, DIALECT_WINDOWS, 1), VERDICT_NONE);
}

static void verdict_rows_are_distinct(void)
{
    for (unsigned id = 1; id < VERDICT_COUNT; id++) {
        const struct verdict_row *row = spec_verdict_row(id);
        CHECK(row->name != NULL);
        for (unsigned d = 0; d < DIALECT_COUNT; d++) {
            CHECK(row->value[d] < 0 || spec_verdict(row->prog_type, d, (uint32_t)row->value[d]) == id);
        }
    }
    CHECK(spec_verdict_row(VERDICT_COUNT)->name == NULL);
}

TEST_SUITE(spec)
{
    v = spec_builtin();
    RUN(rows_0_are_zeros);
    RUN(map_types_are_found);
    RUN(prog_types_are_found);
    RUN(attach_types_are_found);
    RUN(guids_have_the_layout_of_windows);
    RUN(helper_numbers_depend_on_dialect_and_type);
    RUN(sections_select_attach_types);
    RUN(rows_of_sections_say_more);
    RUN(helpers_tell_types_apart);
    RUN(only_whole_section_names_speak_for_a_dialect);
    RUN(the_longest_prefix_wins);
    RUN(loads_find_their_field);
    RUN(bad_loads_find_none);
    RUN(stores_are_exact);
    RUN(verdicts_differ_by_dialect);
    RUN(verdict_rows_are_distinct);
}
