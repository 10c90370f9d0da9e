// SPDX-License-Identifier: MIT
// The sample hook: invocation with a context that the program changes, test runs.
#include "hooks/hooks_fixture.h"

static ebpf_result_t load_writer(struct runtime *rt, struct prog **out)
{
    // context->uint32_data = 5; return context->uint16_data
    const struct fixture_insn code[] = {
        {{.id = INSN_STW, .dst = 1, .off = 16, .imm = 5}, "uint32_data"},
        OP_LOAD(LDXH, 0, 1, 20, "uint16_data"),
        OP_EXIT,
    };
    return fixture_load(rt, PROG_TYPE_SAMPLE, DIALECT_WINDOWS, code, ARRAY_SIZE(code), out);
}

static void invokes(void)
{
    struct runtime *rt = fixture_runtime();
    struct hook_sample *hook = NULL;
    struct prog *prog = NULL;
    struct link *link = NULL;
    struct sample_context context = {.uint32_data = 1, .uint16_data = 600};
    uint64_t value = 0;
    REQUIRE(rt != NULL);
    REQUIRE_OK(hook_sample_create(rt, &hook));
    CHECK_EQ(hook_sample_run(hook, &context, &value), EBPF_OBJECT_NOT_FOUND);
    REQUIRE_OK(load_writer(rt, &prog));
    REQUIRE_OK(link_create(rt, prog, ATTACH_TYPE_SAMPLE, &(struct attach_params){0}, &link));
    REQUIRE_OK(hook_sample_run(hook, &context, &value));
    CHECK_EQ(value, 600);
    CHECK_EQ(context.uint32_data, 5);
    link_detach(link);
    CHECK_EQ(hook_sample_run(hook, &context, &value), EBPF_OBJECT_NOT_FOUND);
    fixture_release_link(link);
    fixture_release_prog(prog);
    hook_sample_destroy(hook);
    runtime_destroy(rt);
}

static void test_run_with_context(void)
{
    struct runtime *rt = fixture_runtime();
    struct hook_sample *hook = NULL;
    struct prog *prog = NULL;
    // Two addresses, then 32 and 16 bits, then two words.
    uint32_t in[8] = {0, 0, 0, 0, 1, 300, 8, 9}, out[8] = {0};
    uint8_t data[4] = {0};
    REQUIRE(rt != NULL);
    REQUIRE_OK(hook_sample_create(rt, &hook));
    REQUIRE_OK(load_writer(rt, &prog));
    struct test_run run = {.data_in = data,
                           .data_in_size = sizeof(data),
                           .ctx_in = (const uint8_t *)in,
                           .ctx_in_size = sizeof(in),
                           .ctx_out = (uint8_t *)out,
                           .ctx_out_size = sizeof(out)};
    REQUIRE_OK(prog_test_run(prog, &run));
    CHECK_EQ(run.retval, 300);
    CHECK_EQ(out[4], 5);
    CHECK_EQ(out[5], 300);
    CHECK_EQ(out[7], 9);
    fixture_release_prog(prog);
    hook_sample_destroy(hook);
    runtime_destroy(rt);
}

TEST_SUITE(hook_sample)
{
    RUN(invokes);
    RUN(test_run_with_context);
}
