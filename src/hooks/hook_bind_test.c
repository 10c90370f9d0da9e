// SPDX-License-Identifier: MIT
// Binds through a real link: verdicts, the application's id as data, test runs with a context.
#include "hooks/hooks_fixture.h"

// The bind context as a program for Windows sees it (spec/contexts.def), for test runs.
struct bind_view {
    uint64_t app_id_start, app_id_end, process_id;
    uint8_t socket_address[16], socket_address_length, pad[3];
    uint32_t operation;
    uint8_t protocol, pad2[7];
};

static uint32_t verdict_of(struct runtime *rt, struct hook_bind *hook, int value)
{
    struct prog *prog = NULL;
    struct link *link = NULL;
    struct attach_params params = {0};
    struct bind_context context = {.process_id = 1};
    if (fixture_load_constant(rt, PROG_TYPE_BIND, DIALECT_WINDOWS, value, &prog) != EBPF_SUCCESS ||
        link_create(rt, prog, ATTACH_TYPE_BIND, &params, &link) != EBPF_SUCCESS) {
        return UINT32_MAX;
    }
    uint32_t verdict = hook_bind_run(hook, &context);
    fixture_release_link(link);
    fixture_release_prog(prog);
    return verdict;
}

static void decides(void)
{
    struct runtime *rt = fixture_runtime();
    struct hook_bind *hook = NULL;
    struct bind_context context = {.process_id = 1};
    REQUIRE(rt != NULL);
    REQUIRE_OK(hook_bind_create(rt, &hook));
    CHECK_EQ(hook_bind_run(hook, &context), VERDICT_BIND_PERMIT_SOFT);
    CHECK_EQ(verdict_of(rt, hook, 0), VERDICT_BIND_PERMIT_SOFT);
    CHECK_EQ(verdict_of(rt, hook, 1), VERDICT_BIND_DENY);
    CHECK_EQ(verdict_of(rt, hook, 2), VERDICT_BIND_REDIRECT);
    CHECK_EQ(verdict_of(rt, hook, 3), VERDICT_BIND_PERMIT_HARD);
    CHECK_EQ(verdict_of(rt, hook, 4), VERDICT_BIND_DENY); // no verdict: closed
    CHECK_EQ(verdict_of(rt, hook, -1), VERDICT_BIND_DENY);
    hook_bind_destroy(hook);
    runtime_destroy(rt);
}

static void refuses_bad_attachments(void)
{
    struct runtime *rt = fixture_runtime();
    struct hook_bind *hook = NULL;
    struct prog *prog = NULL;
    struct link *link = NULL, *second = NULL;
    REQUIRE(rt != NULL);
    REQUIRE_OK(hook_bind_create(rt, &hook));
    REQUIRE_OK(fixture_load_constant(rt, PROG_TYPE_BIND, DIALECT_WINDOWS, 0, &prog));
    CHECK_EQ(link_create(rt, prog, ATTACH_TYPE_BIND, &(struct attach_params){.ifindex = 1}, &link),
             EBPF_INVALID_ARGUMENT);
    CHECK_EQ(link_create(rt, prog, ATTACH_TYPE_BIND, &(struct attach_params){.flags = 1}, &link),
             EBPF_INVALID_ARGUMENT);
    REQUIRE_OK(link_create(rt, prog, ATTACH_TYPE_BIND, &(struct attach_params){0}, &link));
    CHECK_EQ(link_create(rt, prog, ATTACH_TYPE_BIND, &(struct attach_params){0}, &second),
             EBPF_INVALID_STATE);
    fixture_release_link(link);
    fixture_release_prog(prog);
    hook_bind_destroy(hook);
    runtime_destroy(rt);
}

// r0 = process_id - 1000 + first byte of the application's id.
static void test_run_with_context(void)
{
    const struct fixture_insn code[] = {
        OP_LOAD(LDXDW, 2, 1, 0, "app_id_start"),
        OP_LOAD(LDXB, 2, 2, 0, NULL),
        OP_LOAD(LDXDW, 0, 1, 16, "process_id"),
        {{.id = INSN_ADD64_REG, .dst = 0, .src = 2}, NULL},
        {{.id = INSN_ADD64_IMM, .dst = 0, .imm = -1000}, NULL},
        OP_EXIT,
    };
    struct runtime *rt = fixture_runtime();
    struct hook_bind *hook = NULL;
    struct prog *prog = NULL;
    struct bind_view in = {.process_id = 1005, .operation = 1, .protocol = 17, .socket_address_length = 16},
                     out;
    uint8_t app_id[] = {'z', 0, 'y', 0};
    REQUIRE(rt != NULL);
    REQUIRE_OK(hook_bind_create(rt, &hook));
    REQUIRE_OK(fixture_load(rt, PROG_TYPE_BIND, DIALECT_WINDOWS, code, ARRAY_SIZE(code), &prog));
    in.socket_address[3] = 9;
    struct test_run run = {.data_in = app_id,
                           .data_in_size = sizeof(app_id),
                           .ctx_in = (const uint8_t *)&in,
                           .ctx_in_size = sizeof(in),
                           .ctx_out = (uint8_t *)&out,
                           .ctx_out_size = sizeof(out)};
    REQUIRE_OK(prog_test_run(prog, &run));
    CHECK_EQ(run.retval, 5 + 'z');
    CHECK_EQ(out.process_id, 1005);
    CHECK_EQ(out.operation, 1);
    CHECK_EQ(out.protocol, 17);
    CHECK_EQ(out.socket_address[3], 9);
    CHECK_EQ(out.app_id_start, 0);
    run.ctx_in_size = sizeof(in) - 8;
    CHECK_EQ(prog_test_run(prog, &run), EBPF_INVALID_ARGUMENT);
    fixture_release_prog(prog);
    hook_bind_destroy(hook);
    runtime_destroy(rt);
}

TEST_SUITE(hook_bind)
{
    RUN(decides);
    RUN(refuses_bad_attachments);
    RUN(test_run_with_context);
}
