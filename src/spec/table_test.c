// SPDX-License-Identifier: MIT
// What holds for all rows of the built-in tables, whatever they say.
#include "spec/spec.h"
#include "spec/contexts.h"
#include "tests/test.h"

#define ARG_COUNT         5
#define LAST_LINUX_HELPER 211

static const struct spec_view *v;

static unsigned kind_of(const struct helper_row *h, unsigned arg)
{
    return h->args[arg] & ARG_KIND_MASK;
}

// --- helpers: who may call them ------------------------------------------------------------------

// Each row is what its numbers find for each type that may call it: none is shadowed by another.
static void check_found(const struct helper_row *h, uint32_t id)
{
    unsigned types = 0;
    for (uint32_t type = 1; type < v->prog_type_count; type++) {
        if (!spec_helper_allowed(v, id, type, ATTACH_TYPE_NONE)) {
            continue;
        }
        types++;
        for (unsigned d = 0; d < DIALECT_COUNT; d++) {
            if (h->number[d] != 0) {
                CHECK_EQ(spec_helper_by_number(v, d, type, h->number[d]), id);
            }
        }
    }
    CHECK(types != 0);
}

static void helpers_are_found(void)
{
    for (uint32_t id = 1; id < v->helper_count; id++) {
        const struct helper_row *h = &v->helpers[id];
        bool by_name = (h->flags & HELPER_KERNEL_FUNCTION) != 0;
        REQUIRE(h->name != NULL);
        CHECK_EQ((h->flags & HELPER_VERIFY_ONLY) != 0, id >= HELPER_RUN_COUNT);
        CHECK_EQ(by_name, h->number[0] == 0 && h->number[1] == 0);
        CHECK_EQ(spec_kfunc_by_name(v, h->name), by_name ? id : HELPER_NONE);
        check_found(h, id);
    }
    CHECK_EQ(spec_kfunc_by_name(v, "bpf_map_lookup_elem"), HELPER_NONE);
    CHECK_EQ(spec_kfunc_by_name(v, ""), HELPER_NONE);
}

static void all_linux_helpers_are_there(void)
{
    for (uint32_t number = 1; number <= LAST_LINUX_HELPER; number++) {
        CHECK(spec_helper_by_number(v, DIALECT_LINUX, PROG_TYPE_SOCKET_FILTER, number) != HELPER_NONE);
    }
    CHECK_EQ(spec_helper_by_number(v, DIALECT_LINUX, PROG_TYPE_SOCKET_FILTER, LAST_LINUX_HELPER + 1), 0);
    for (uint32_t number = 1; number <= 35; number++) {
        CHECK(spec_helper_by_number(v, DIALECT_WINDOWS, PROG_TYPE_XDP, number) != HELPER_NONE);
    }
}

static void one_number_may_mean_several_helpers(void)
{
    CHECK_EQ(spec_helper_by_number(v, DIALECT_LINUX, PROG_TYPE_SCHED_CLS, 124), HELPER_SK_ASSIGN);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_LINUX, PROG_TYPE_SK_LOOKUP, 124), HELPER_SK_ASSIGN_LOOKUP);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_LINUX, PROG_TYPE_XDP, 124),
             HELPER_SK_ASSIGN); // may not call it
    CHECK(!spec_helper_allowed(v, HELPER_SK_ASSIGN, PROG_TYPE_XDP, ATTACH_TYPE_NONE));
    CHECK_EQ(spec_helper_by_number(v, DIALECT_LINUX, PROG_TYPE_XDP, 12), HELPER_TAIL_CALL_LINUX);
    CHECK_EQ(spec_helper_by_number(v, DIALECT_WINDOWS, PROG_TYPE_XDP, 5), HELPER_TAIL_CALL_WINDOWS);
    CHECK(spec_helper_allowed(v, HELPER_BIND, PROG_TYPE_CGROUP_SOCK_ADDR, ATTACH_TYPE_CGROUP_INET4_CONNECT));
    CHECK(!spec_helper_allowed(v, HELPER_BIND, PROG_TYPE_CGROUP_SOCK_ADDR, ATTACH_TYPE_CGROUP_INET4_BIND));
    CHECK(!spec_helper_allowed(v, HELPER_NONE, PROG_TYPE_XDP, ATTACH_TYPE_NONE));
    CHECK(!spec_helper_allowed(v, HELPER_COUNT, PROG_TYPE_XDP, ATTACH_TYPE_NONE));
    CHECK(spec_helper_allowed(v, HELPER_MAP_LOOKUP_ELEM, 4711, ATTACH_TYPE_NONE)); // of an extension
    CHECK(!spec_helper_allowed(v, HELPER_XDP_ADJUST_HEAD, 64 + PROG_TYPE_XDP, ATTACH_TYPE_NONE));
}

// --- helpers: what they take and give ------------------------------------------------------------

static bool is_memory(unsigned kind)
{
    return kind == ARG_MEM_READ || kind == ARG_MEM_READ_OR_NULL || kind == ARG_MEM_WRITE ||
           kind == ARG_MEM_COPY || kind == ARG_MEM_READ_WRITE;
}

static bool is_size(unsigned kind)
{
    return kind == ARG_SIZE || kind == ARG_SIZE_OR_ZERO || kind == ARG_ALLOC_SIZE;
}

// The argument that says how large memory argument `arg` is.
static unsigned size_arg(const struct helper_row *h, unsigned arg)
{
    return h->detail[arg] != 0 ? h->detail[arg] - 1u : arg + 1;
}

static void check_sizes(const struct helper_row *h)
{
    for (unsigned arg = 0; arg < ARG_COUNT; arg++) {
        unsigned kind = kind_of(h, arg), users = 0;
        if (is_memory(kind)) {
            CHECK(size_arg(h, arg) < ARG_COUNT && is_size(kind_of(h, size_arg(h, arg))));
        }
        for (unsigned other = 0; other < ARG_COUNT; other++) {
            users += is_memory(kind_of(h, other)) && size_arg(h, other) == arg;
        }
        CHECK(users != 0 || kind == ARG_ALLOC_SIZE || !is_size(kind));
    }
}

static bool has_map_before(const struct helper_row *h, unsigned arg)
{
    bool found = false;
    for (unsigned i = 0; i < arg; i++) {
        found = found || kind_of(h, i) == ARG_MAP;
    }
    return found;
}

static bool detail_is_good(const struct helper_row *h, unsigned arg)
{
    uint32_t detail = h->detail[arg];
    switch (kind_of(h, arg)) {
    case ARG_MAP: return detail > MAP_SET_ANY && detail < MAP_SET_COUNT;
    case ARG_MAP_KEY:
    case ARG_MAP_VALUE:
    case ARG_MAP_VALUE_WRITE: return detail == 0 && has_map_before(h, arg);
    case ARG_OBJECT: return detail > LAYOUT_NONE && detail < v->layout_count;
    case ARG_FIXED_READ:
    case ARG_FIXED_WRITE:
    case ARG_FIXED_READ_WRITE: return detail >= 1 && detail <= INSN_STACK_SIZE;
    case ARG_DYNPTR: return (detail & ~(uint32_t)DYNPTR_WRITABLE) <= DYNPTR_XDP;
    case ARG_DYNPTR_NEW: return (detail & ~(uint32_t)DYNPTR_WRITABLE) - 1 < DYNPTR_XDP;
    case ARG_ITER:
    case ARG_ITER_NEW:
        return detail >> 8 > ITER_NONE && detail >> 8 < ITER_COUNT && ITER_DETAIL_WORDS(detail) >= 1 &&
               ITER_DETAIL_WORDS(detail) <= 8;
    case ARG_CALLBACK: return detail <= CALLBACK_RINGBUF;
    case ARG_MEM_READ:
    case ARG_MEM_WRITE: return detail <= ARG_COUNT;
    default: return detail == 0;
    }
}

static bool may_be_null(unsigned kind)
{
    return kind == ARG_OBJECT || kind == ARG_KERNEL || kind == ARG_CTX || kind == ARG_MEM_WRITE ||
           kind == ARG_MAP_VALUE;
}

static void arguments_make_sense(void)
{
    for (uint32_t id = 1; id < v->helper_count; id++) {
        const struct helper_row *h = &v->helpers[id];
        bool ended = false;
        for (unsigned arg = 0; arg < ARG_COUNT; arg++) {
            unsigned kind = kind_of(h, arg);
            CHECK(kind < ARG_KIND_COUNT);
            CHECK(!ended || kind == ARG_NONE);
            CHECK((h->args[arg] & ARG_NULLABLE) == 0 || may_be_null(kind));
            if (!detail_is_good(h, arg)) {
                test_fail(__FILE__, __LINE__, "%s: bad detail of argument %u", h->name, arg + 1);
            }
            ended = kind == ARG_NONE;
        }
        check_sizes(h);
    }
}

static bool has_arg(const struct helper_row *h, unsigned kind)
{
    bool found = false;
    for (unsigned arg = 0; arg < ARG_COUNT; arg++) {
        found = found || kind_of(h, arg) == kind;
    }
    return found;
}

static bool result_is_good(const struct helper_row *h)
{
    switch (h->ret) {
    case RET_MAP_VALUE:
    case RET_MAP_VALUE_OR_NULL: return h->ret_detail == 0 && kind_of(h, 0) == ARG_MAP;
    case RET_MEM:
    case RET_MEM_OR_NULL: return (h->ret_detail != 0) != has_arg(h, ARG_ALLOC_SIZE);
    case RET_OBJECT:
    case RET_OBJECT_OR_NULL: return h->ret_detail > LAYOUT_NONE && h->ret_detail < v->layout_count;
    case RET_ITER_ELEMENT: return h->ret_detail != 0 && (h->flags & HELPER_ITER_NEXT) != 0;
    case RET_SIZE_OR_ERROR: return has_arg(h, ARG_MEM_WRITE);
    default: return h->ret < RET_KIND_COUNT && h->ret_detail == 0;
    }
}

static bool result_can_be_acquired(const struct helper_row *h)
{
    return h->ret == RET_MEM_OR_NULL || h->ret == RET_OBJECT || h->ret == RET_OBJECT_OR_NULL ||
           h->ret == RET_KERNEL || h->ret == RET_KERNEL_OR_NULL || has_arg(h, ARG_DYNPTR_NEW) ||
           has_arg(h, ARG_ITER_NEW) || has_arg(h, ARG_IRQ_FLAGS_NEW);
}

static bool can_release(const struct helper_row *h)
{
    return has_arg(h, ARG_RECORD) || has_arg(h, ARG_OBJECT) || has_arg(h, ARG_KERNEL) ||
           has_arg(h, ARG_DYNPTR) || has_arg(h, ARG_ITER) || has_arg(h, ARG_IRQ_FLAGS);
}

static void results_and_flags_make_sense(void)
{
    for (uint32_t id = 1; id < v->helper_count; id++) {
        const struct helper_row *h = &v->helpers[id];
        if (!result_is_good(h)) {
            test_fail(__FILE__, __LINE__, "%s: bad result", h->name);
        }
        CHECK((h->flags & HELPER_ACQUIRES) == 0 || result_can_be_acquired(h));
        CHECK((h->flags & HELPER_RELEASES) == 0 || can_release(h));
        CHECK((h->flags & (HELPER_LOCKS | HELPER_UNLOCKS)) == 0 || has_arg(h, ARG_SPIN_LOCK));
        CHECK((h->flags & HELPER_TAIL_CALL) == 0 || h->detail[1] == MAP_SET_PROGRAMS);
        CHECK((h->flags & HELPER_CASTS) == 0 || (has_arg(h, ARG_OBJECT) && h->ret == RET_OBJECT_OR_NULL));
        CHECK((h->flags & HELPER_ITER_NEXT) == 0 || has_arg(h, ARG_ITER));
        CHECK(!has_arg(h, ARG_RECORD) || (h->flags & HELPER_RELEASES) != 0);
    }
}

// What is acquired can be released: for each object there is a row, and each iterator is whole.
static bool can_be_released(const struct helper_row *made)
{
    for (uint32_t id = 1; id < v->helper_count; id++) {
        const struct helper_row *h = &v->helpers[id];
        bool object = made->ret == RET_OBJECT || made->ret == RET_OBJECT_OR_NULL;
        if ((h->flags & HELPER_RELEASES) == 0) {
            continue;
        }
        if ((object && kind_of(h, 0) == ARG_OBJECT && spec_object_is(v, made->ret_detail, h->detail[0])) ||
            (has_arg(made, ARG_DYNPTR_NEW) && has_arg(h, ARG_DYNPTR)) ||
            (kind_of(made, 0) == ARG_ITER_NEW && kind_of(h, 0) == ARG_ITER &&
             h->detail[0] == made->detail[0]) ||
            (has_arg(made, ARG_IRQ_FLAGS_NEW) && has_arg(h, ARG_IRQ_FLAGS)) ||
            (made->ret == RET_MEM_OR_NULL && has_arg(h, ARG_RECORD)) ||
            (made->ret == RET_KERNEL_OR_NULL && has_arg(h, ARG_KERNEL))) {
            return true;
        }
    }
    return false;
}

static void what_is_acquired_can_be_released(void)
{
    for (uint32_t id = 1; id < v->helper_count; id++) {
        const struct helper_row *h = &v->helpers[id];
        if ((h->flags & HELPER_ACQUIRES) != 0 && !can_be_released(h)) {
            test_fail(__FILE__, __LINE__, "%s acquires what nothing releases", h->name);
        }
    }
}

static void helpers_take_their_maps(void)
{
    static const struct {
        uint32_t helper, type;
        bool taken;
    } rows[] = {
        {HELPER_MAP_LOOKUP_ELEM, MAP_TYPE_HASH, true},
        {HELPER_MAP_LOOKUP_ELEM, MAP_TYPE_ARRAY_OF_MAPS, true},
        {HELPER_MAP_LOOKUP_ELEM, MAP_TYPE_PROG_ARRAY, false},
        {HELPER_MAP_LOOKUP_ELEM, MAP_TYPE_RINGBUF, false},
        {HELPER_MAP_UPDATE_ELEM, MAP_TYPE_ARRAY_OF_MAPS, false},
        {HELPER_MAP_UPDATE_ELEM, MAP_TYPE_LRU_HASH, true},
        {HELPER_TAIL_CALL_LINUX, MAP_TYPE_PROG_ARRAY, true},
        {HELPER_TAIL_CALL_LINUX, MAP_TYPE_ARRAY, false},
        {HELPER_PERF_EVENT_OUTPUT, MAP_TYPE_PERF_EVENT_ARRAY, true},
        {HELPER_PERF_EVENT_OUTPUT, MAP_TYPE_RINGBUF, false},
        {HELPER_RINGBUF_RESERVE, MAP_TYPE_RINGBUF, true},
        {HELPER_MAP_PUSH_ELEM, MAP_TYPE_BLOOM_FILTER, true},
        {HELPER_MAP_POP_ELEM, MAP_TYPE_BLOOM_FILTER, false},
        {HELPER_MAP_LOOKUP_ELEM, 64 + MAP_TYPE_HASH, false}, // of an extension
        {HELPER_GET_PRANDOM_U32, MAP_TYPE_HASH, false},      // takes no map
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CHECK_EQ(spec_helper_takes_map(v, rows[i].helper, rows[i].type), rows[i].taken);
    }
}

// --- layouts -------------------------------------------------------------------------------------

static bool is_pointer(const struct field_row *f)
{
    return f->kind != FIELD_SCALAR && f->kind != FIELD_KERNEL;
}

static void check_field_row(const struct field_row *f, bool run)
{
    bool object = f->kind == FIELD_OBJECT || f->kind == FIELD_OBJECT_OR_NULL;
    CHECK(f->name != NULL && f->size != 0);
    CHECK(!is_pointer(f) || f->access == FIELD_READ);
    CHECK((f->access & FIELD_READ) != 0);
    CHECK_EQ(f->detail != LAYOUT_NONE, object);
    CHECK(f->detail < v->layout_count);
    CHECK(f->unit == 0 || (f->size % f->unit == 0 && f->off % f->unit == 0));
    CHECK_EQ(f->native_size != 0, run);
    CHECK(!run || (f->kind == FIELD_SCALAR ? f->native_size >= f->size : f->native_size == 8));
}

static void layouts_are_ordered_and_inside(void)
{
    for (uint32_t id = 1; id < v->layout_count; id++) {
        const struct layout_row *l = &v->layouts[id];
        uint32_t end = 0;
        CHECK(l->name != NULL && l->base < v->layout_count && l->base != id);
        CHECK_EQ(l->field_count == 0, l->is_probed);
        for (unsigned i = 0; i < l->field_count; i++) {
            const struct field_row *f = &l->fields[i];
            CHECK(f->off >= end && (uint32_t)f->off + f->size <= l->size);
            check_field_row(f, id < LAYOUT_SKB_SOCKET_FILTER);
            end = (uint32_t)f->off + f->size;
        }
    }
    CHECK_EQ(v->layouts[LAYOUT_XDP_LINUX].field_count, 6);
    CHECK_EQ(v->layouts[LAYOUT_XDP_WINDOWS].field_count, 4);
    CHECK_STR(v->layouts[LAYOUT_BIND].name, "bind_md_t");
    CHECK_EQ(v->layouts[LAYOUT_BIND].fields[2].native_off, offsetof(struct bind_context, process_id));
}

static bool may(uint32_t layout, int32_t off, uint32_t size, bool store)
{
    return spec_field_find(v, layout, off, size, store) >= 0;
}

static void contexts_permit_what_linux_does(void)
{
    CHECK(may(LAYOUT_SKB_TC, 8, 4, true) && !may(LAYOUT_SKB_SOCKET_FILTER, 8, 4, true));     // mark
    CHECK(may(LAYOUT_SKB_TC, 76, 4, false) && !may(LAYOUT_SKB_SOCKET_FILTER, 76, 4, false)); // data
    CHECK(!may(LAYOUT_SKB_TC, 76, 2, false) && !may(LAYOUT_SKB_TC, 76, 4, true));
    CHECK(may(LAYOUT_SKB_TC, 48, 8, true) && may(LAYOUT_SKB_TC, 49, 1, true)); // cb
    CHECK(!may(LAYOUT_SKB_TC, 64, 8, true) && !may(LAYOUT_SKB_SK, 48, 4, true));
    CHECK(may(LAYOUT_SKB_TC, 152, 8, true) && !may(LAYOUT_SKB_TC, 152, 4, false));    // tstamp
    CHECK(!may(LAYOUT_SKB_TC, 88, 4, false) && may(LAYOUT_SKB_CGROUP, 88, 4, false)); // family
    CHECK(may(LAYOUT_SOCK_ADDR_IP6, 8, 8, true) && !may(LAYOUT_SOCK_ADDR_IP6, 8, 2, true));
    CHECK(!may(LAYOUT_SOCK_ADDR_IP4, 8, 4, false) && may(LAYOUT_SOCK_ADDR_IP4, 4, 2, false));
    CHECK(may(LAYOUT_SOCK_CONTEXT, 0, 4, true) && !may(LAYOUT_SOCK_CONTEXT_BOUND4, 0, 4, false));
    CHECK(may(LAYOUT_TRACEPOINT, 8, 8, false) && !may(LAYOUT_TRACEPOINT, 0, 8, false));
    CHECK(!may(LAYOUT_TRACEPOINT, 8192, 1, false) && may(LAYOUT_TRACEPOINT, 8191, 1, false));
    CHECK(may(LAYOUT_TRACING, 16, 8, false) && !may(LAYOUT_TRACING, 16, 4, false));
    CHECK(!may(LAYOUT_KERNEL_TASK, 0, 8, false)); // probed: has no fields
}

static void objects_stand_for_each_other(void)
{
    CHECK(spec_object_is(v, LAYOUT_SOCK, LAYOUT_SOCK_COMMON));
    CHECK(spec_object_is(v, LAYOUT_TCP_SOCK, LAYOUT_SOCK_COMMON));
    CHECK(spec_object_is(v, LAYOUT_SOCK, LAYOUT_SOCK));
    CHECK(!spec_object_is(v, LAYOUT_SOCK_COMMON, LAYOUT_SOCK));
    CHECK(!spec_object_is(v, LAYOUT_TCP_SOCK, LAYOUT_SOCK));
    CHECK(spec_object_is(v, LAYOUT_KERNEL_TCP_SOCK, LAYOUT_SOCK_COMMON));
    CHECK(!spec_object_is(v, LAYOUT_NONE, LAYOUT_NONE));
    CHECK(!spec_object_is(v, LAYOUT_COUNT, LAYOUT_COUNT));
}

// --- types, sections -----------------------------------------------------------------------------

static void attach_types_have_numbers_of_their_own(void)
{
    for (uint32_t id = 1; id < v->attach_type_count; id++) {
        const struct attach_type_row *a = &v->attach_types[id];
        const struct prog_type_row *t = &v->prog_types[a->prog_type];
        CHECK(a->prog_type != PROG_TYPE_NONE && a->prog_type < v->prog_type_count);
        for (unsigned d = 0; d < DIALECT_COUNT; d++) {
            CHECK(a->number[d] == 0 || t->number[d] != 0);
        }
    }
}

static bool is_same_section(const struct section_row *a, const struct section_row *b)
{
    return str_equal(a->prefix, b->prefix) && (a->dialects & b->dialects) != 0 && a->legacy == b->legacy;
}

static void sections_are_unique(void)
{
    for (uint32_t i = 0; i < v->section_count; i++) {
        const struct section_row *row = &v->sections[i];
        const struct attach_type_row *a = &v->attach_types[row->attach_type];
        CHECK(row->attach_type != ATTACH_TYPE_NONE && row->dialects != 0);
        CHECK(!row->sleepable || (v->prog_types[a->prog_type].flags & PROG_SLEEPABLE) != 0);
        for (unsigned d = 0; d < DIALECT_COUNT; d++) {
            CHECK((row->dialects >> d & 1) == 0 || v->prog_types[a->prog_type].number[d] != 0);
        }
        for (uint32_t other = i + 1; other < v->section_count; other++) {
            CHECK(!is_same_section(row, &v->sections[other]));
        }
    }
}

static void check_exit(uint32_t attach_type, uint32_t dialect, int64_t expected_min, int64_t expected_max)
{
    struct program p = {
        .type = v->attach_types[attach_type].prog_type, .attach_type = attach_type, .dialect = dialect};
    int64_t min = 77, max = 77;
    REQUIRE(program_exit_range(v, &p, &min, &max));
    CHECK_EQ(min, expected_min);
    CHECK_EQ(max, expected_max);
}

static void exits_depend_on_the_attach_type(void)
{
    struct program p = {.type = PROG_TYPE_STRUCT_OPS, .attach_type = ATTACH_TYPE_STRUCT_OPS};
    int64_t min, max;
    check_exit(ATTACH_TYPE_XDP, DIALECT_LINUX, INT32_MIN, INT32_MAX);
    check_exit(ATTACH_TYPE_CGROUP_INET_EGRESS, DIALECT_LINUX, 0, 3);
    check_exit(ATTACH_TYPE_CGROUP_INET_INGRESS, DIALECT_LINUX, 0, 1);
    check_exit(ATTACH_TYPE_CGROUP_UDP4_RECVMSG, DIALECT_LINUX, 1, 1);
    check_exit(ATTACH_TYPE_CGROUP_INET4_CONNECT, DIALECT_LINUX, 0, 1);
    check_exit(ATTACH_TYPE_CGROUP_INET4_CONNECT, DIALECT_WINDOWS, INT32_MIN, INT32_MAX);
    check_exit(ATTACH_TYPE_TRACE_FENTRY, DIALECT_LINUX, 0, 0);
    check_exit(ATTACH_TYPE_LSM_MAC, DIALECT_LINUX, -4095, 0);
    CHECK(!program_exit_range(v, &p, &min, &max));
}

static void layouts_depend_on_the_attach_type(void)
{
    struct program p = {.type = PROG_TYPE_CGROUP_SOCK_ADDR, .attach_type = ATTACH_TYPE_CGROUP_INET6_CONNECT};
    CHECK_EQ(program_layout(v, &p), LAYOUT_SOCK_ADDR_IP6);
    p.dialect = DIALECT_WINDOWS;
    CHECK_EQ(program_layout(v, &p), LAYOUT_SOCK_ADDR_WINDOWS);
    p = (struct program){
        .type = PROG_TYPE_TRACING, .attach_type = ATTACH_TYPE_TRACE_RAW_TP, .section = "tp_btf/x"};
    CHECK_EQ(program_layout(v, &p), LAYOUT_TRACING);
    str_copy(p.section, sizeof(p.section), "?tp_btf/sched_switch");
    CHECK_EQ(program_layout(v, &p), LAYOUT_TP_SCHED_SWITCH);
    p.attach_type = ATTACH_TYPE_TRACE_ITER;
    str_copy(p.section, sizeof(p.section), "iter.s/task");
    CHECK_EQ(program_layout(v, &p), LAYOUT_ITER_TASK);
    str_copy(p.section, sizeof(p.section), "iter");
    CHECK_EQ(program_layout(v, &p), LAYOUT_ITER_OTHER);
    p = (struct program){.type = PROG_TYPE_XDP, .attach_type = ATTACH_TYPE_XDP};
    CHECK_EQ(program_layout(v, &p), LAYOUT_XDP_LINUX);
    p.attach_type = ATTACH_TYPE_NONE;
    CHECK_EQ(program_layout(v, &p), LAYOUT_XDP_LINUX);
}

static void licences_are_those_of_linux(void)
{
    CHECK(spec_license_is_gpl("GPL"));
    CHECK(spec_license_is_gpl("Dual MIT/GPL"));
    CHECK(!spec_license_is_gpl("MIT"));
    CHECK(!spec_license_is_gpl("GPL "));
    CHECK(!spec_license_is_gpl(""));
}

TEST_SUITE(table)
{
    v = spec_builtin();
    RUN(helpers_are_found);
    RUN(all_linux_helpers_are_there);
    RUN(one_number_may_mean_several_helpers);
    RUN(arguments_make_sense);
    RUN(results_and_flags_make_sense);
    RUN(what_is_acquired_can_be_released);
    RUN(helpers_take_their_maps);
    RUN(layouts_are_ordered_and_inside);
    RUN(contexts_permit_what_linux_does);
    RUN(objects_stand_for_each_other);
    RUN(attach_types_have_numbers_of_their_own);
    RUN(sections_are_unique);
    RUN(exits_depend_on_the_attach_type);
    RUN(layouts_depend_on_the_attach_type);
    RUN(licences_are_those_of_linux);
}
