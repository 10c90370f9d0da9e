// SPDX-License-Identifier: MIT
// Tests of test runs, raw and through a hook's context.
#include "runtime/fixture.h"

// return mem[0]++ when there is memory, else 77
static const struct insn bump[] = {
    I(MOV64_IMM, 0, 0, 0, 77), I(JEQ64_IMM, 2, 0, 4, 0), I(LDXB, 0, 1, 0, 0), I(MOV64_REG, 3, 0, 0, 0),
    I(ADD64_IMM, 3, 0, 0, 1),  I(STXB, 1, 3, 0, 0),      I(EXIT, 0, 0, 0, 0),
};

static void raw_programs_get_the_data(void)
{
    struct fixture f;
    struct prog_info info;
    uint8_t in[3] = {5, 6, 7}, out[4] = {0};
    struct test_run t = {.data_in = in, .data_in_size = 3, .data_out = out, .data_out_size = 4};
    REQUIRE(fixture_open(&f));
    struct prog *g = FIXTURE_PROG(&f, PROG_TYPE_RAW_MEMORY, DIALECT_LINUX, bump);
    REQUIRE(g != NULL);
    CHECK_OK(prog_test_run(g, &t));
    CHECK_EQ(t.retval, 5);
    CHECK_EQ(t.data_out_size, 3);
    CHECK_EQ(memcmp(out, "\6\6\7\0", 4), 0);
    CHECK_EQ(in[0], 5);
    t = (struct test_run){.data_in = in, .data_in_size = 3, .repeat = 150}; // no output wanted
    CHECK_OK(prog_test_run(g, &t));
    CHECK_EQ(t.retval, 5 + 149);
    CHECK_EQ(t.data_out_size, 3);
    prog_info(g, &info);
    CHECK_EQ(info.run_count, 151);
    t = (struct test_run){.data_in = in, .data_in_size = 3, .data_out = out, .data_out_size = 1};
    out[1] = 0xcc;
    CHECK_EQ(prog_test_run(g, &t), EBPF_INSUFFICIENT_BUFFER);
    CHECK(t.data_out_size == 3 && out[0] == 6 && out[1] == 0xcc && t.retval == 5);
    t = (struct test_run){0};
    CHECK_OK(prog_test_run(g, &t)); // no data at all
    CHECK_EQ(t.retval, 77);
    object_release(prog_object(g));
    fixture_close(&f);
}

static bool say_yes(void *user)
{
    (*(unsigned *)user)++;
    return true;
}

static void long_tests_can_be_cancelled(void)
{
    struct fixture f;
    struct prog *g;
    struct prog_info info;
    unsigned asked = 0;
    struct test_run t = {.repeat = UINT32_MAX, .is_cancelled = say_yes, .cancel_user = &asked};
    REQUIRE(fixture_open(&f));
    g = FIXTURE_PROG(&f, PROG_TYPE_RAW_MEMORY, DIALECT_LINUX, bump);
    REQUIRE(g != NULL);
    CHECK_EQ(prog_test_run(g, &t), EBPF_CANCELED);
    CHECK_EQ(asked, 1);
    prog_info(g, &info);
    CHECK(info.run_count > 0 && info.run_count < UINT32_MAX);
    object_release(prog_object(g));
    fixture_close(&f);
}

// Takes 4 bytes off the head and adds 2 at the tail; returns the interface.
static const struct insn reshape[] = {
    I(MOV64_REG, 6, 1, 0, 0), I(MOV64_IMM, 2, 0, 0, 4), I(CALL, 0, 0, 0, HELPER_XDP_ADJUST_HEAD),
    I(MOV64_REG, 1, 6, 0, 0), I(MOV64_IMM, 2, 0, 0, 2), I(CALL, 0, 0, 0, HELPER_XDP_ADJUST_TAIL),
    I(LDXW, 0, 6, 12, 0),     I(EXIT, 0, 0, 0, 0),
};
static const uint32_t reshape_marks[] = {6, 3};

static void hooks_make_contexts(void)
{
    struct fixture f;
    struct fixture_hook hook;
    struct fixture_program p;
    struct prog *g = NULL;
    uint8_t in[20], out[40];
    uint32_t ifindex = 31, ifindex_out = 0;
    struct test_run t = {.data_in = in, .data_in_size = 20, .data_out = out, .data_out_size = 40};
    REQUIRE(fixture_open(&f));
    for (int i = 0; i < 20; i++) {
        in[i] = (uint8_t)(i + 1);
    }
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, reshape, ARRAY_SIZE(reshape));
    fixture_program_marks(&p, reshape_marks, 1);
    REQUIRE_OK(fixture_load(&f, &p, NULL, 0, &g));
    CHECK_EQ(prog_test_run(g, &t), EBPF_OPERATION_NOT_SUPPORTED); // no hook yet
    fixture_hook_init(&hook, ATTACH_TYPE_XDP, 1);
    CHECK_OK(provider_register(f.rt, &hook.provider));
    t.data_out_size = 40;
    t.ctx_in = (const uint8_t *)&ifindex;
    t.ctx_in_size = 4;
    t.ctx_out = (uint8_t *)&ifindex_out;
    t.ctx_out_size = 4;
    CHECK_OK(prog_test_run(g, &t));
    CHECK_EQ(t.retval, 31);
    CHECK_EQ(t.data_out_size, 18);
    CHECK(out[0] == 5 && out[15] == 20 && out[16] == 0 && out[17] == 0);
    CHECK(t.ctx_out_size == 4 && ifindex_out == 31);
    CHECK(!hook.has_context);
    t.ctx_in_size = 3; // the hook refuses it
    CHECK_EQ(prog_test_run(g, &t), EBPF_INVALID_ARGUMENT);
    CHECK(!hook.has_context);
    hook.provider.context_create = NULL;
    CHECK_EQ(prog_test_run(g, &t), EBPF_OPERATION_NOT_SUPPORTED);
    provider_unregister(f.rt, &hook.provider);
    object_release(prog_object(g));
    fixture_close(&f);
}

// The largest frame that grows into what a page leaves, as on Linux.
static void large_data_has_its_place(void)
{
    struct fixture f;
    static uint8_t in[10000], out[10000];
    struct test_run t = {
        .data_in = in, .data_in_size = sizeof(in), .data_out = out, .data_out_size = sizeof(out)};
    REQUIRE(fixture_open(&f));
    struct prog *g = FIXTURE_PROG(&f, PROG_TYPE_RAW_MEMORY, DIALECT_LINUX, bump);
    REQUIRE(g != NULL);
    memset(in, 9, sizeof(in));
    CHECK_OK(prog_test_run(g, &t));
    CHECK(t.data_out_size == sizeof(in) && out[0] == 10 && out[9999] == 9);
    object_release(prog_object(g));
    fixture_close(&f);
}

// Many short runs share an epoch; one that takes long has it to itself, so that a processor is at DISPATCH no
// longer than it must be.
static void long_runs_share_no_epoch(void)
{
    uint32_t count = 1;
    for (unsigned i = 0; i < 10; i++) {
        count = test_run_next_count(count, 1000);
    }
    CHECK_EQ(count, 64);
    for (unsigned i = 0; i < 10; i++) {
        count = test_run_next_count(count, 20000000);
    }
    CHECK_EQ(count, 1);
    CHECK_EQ(test_run_next_count(3, 500000), 6);
    CHECK_EQ(test_run_next_count(3, 500001), 1);
    CHECK_EQ(test_run_next_count(64, 0), 64);
}

TEST_SUITE(test_run)
{
    RUN(long_runs_share_no_epoch);
    RUN(raw_programs_get_the_data);
    RUN(long_tests_can_be_cancelled);
    RUN(hooks_make_contexts);
    RUN(large_data_has_its_place);
}
