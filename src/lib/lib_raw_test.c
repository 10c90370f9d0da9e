// SPDX-License-Identifier: MIT
// Tests of bpf_prog_load and test runs: what raw instructions become, seen by decoding the request that is
// sent.
#include <errno.h>

#include "lib/lib_testing.h"

#define SLOTS(array) (sizeof(array) / sizeof((array)[0]))

// Instructions as bytes: code, registers, offset, immediate.
#define I(code, dst, src, off, imm) {(code), (dst), (src), (off), (imm)}
#define EXIT                        I(0x95, 0, 0, 0, 0)
#define CALL(n)                     I(0x85, 0, 0, 0, (n))
#define CALL_LOCAL(d)               I(0x85, 0, 1, 0, (d))
#define MOV0                        I(0xb7, 0, 0, 0, 0)
#define LDDW(src, low, high)        I(0x18, 1, (src), 0, (low)), I(0, 0, 0, 0, (high))

static void queue_load(void)
{
    struct proto_prog_load_reply reply = {.text_size = 1, .json_size = 3};
    fake_reply(PROTO_PROG_LOAD, EBPF_SUCCESS, &reply, "\0[]", 4);
}

// The program of the last request.
static bool sent_program(struct arena *arena, struct program *out)
{
    const struct fake_sent *sent = fake_sent(fake_sent_count() - 1);
    return sent != NULL && sent->header.op == PROTO_PROG_LOAD &&
           proto_program_decode(sent->tail, sent->tail_size, arena, out) == EBPF_SUCCESS;
}

static void maps_and_helpers_are_bound(void)
{
    uint32_t known = spec_builtin()->helpers[HELPER_KTIME_GET_NS].number[LIB_DIALECT];
    int map, fd;
    struct program p;
    struct arena arena;
    fake_reset();
    map = fake_new_fd();
    struct bpf_insn insns[] = {LDDW(1, map, 0), LDDW(2, map, 16), CALL((int)known), CALL(4242), MOV0, EXIT};
    fake_reply_map_info(4, 8);
    queue_load();
    fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "raw", "GPL", insns, SLOTS(insns), NULL);
    REQUIRE(fd >= 0);
    arena_init(&arena, lib_mem_source(), 0);
    if (sent_program(&arena, &p)) {
        CHECK_EQ(p.type, PROG_TYPE_XDP);
        CHECK_EQ(p.attach_type, ATTACH_TYPE_XDP);
        CHECK_EQ(p.dialect, LIB_DIALECT);
        CHECK_STR(p.name, "raw");
        CHECK_STR(p.license, "GPL");
        CHECK_EQ(p.map_count, 1); // named twice, bound once
        CHECK_EQ(p.maps[0].key_size, 4);
        CHECK_EQ(p.insns[0].id, INSN_LDDW_MAP);
        CHECK_EQ(p.insns[0].imm, 0);
        CHECK_EQ(p.insns[2].id, INSN_LDDW_MAP_VALUE);
        CHECK_EQ(p.insns[2].imm, INT64_C(16) << 32);
        CHECK_EQ(p.insns[4].imm, HELPER_KTIME_GET_NS);
        CHECK_EQ(p.insns[5].imm, (unsigned long long)(-1 - 4242)); // unknown: kept for the verifier to name
    } else {
        CHECK(!"a program was sent");
    }
    arena_fini(&arena);
    CHECK_EQ(fake_sent(1)->fds[0], map);
    lib_close_fd(fd);
}

static void functions_are_cut_at_calls(void)
{
    struct bpf_insn insns[] = {CALL_LOCAL(1), EXIT, CALL_LOCAL(-3), MOV0, EXIT};
    struct program p;
    struct arena arena;
    fake_reset();
    queue_load();
    int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "cut", "", insns, SLOTS(insns), NULL);
    REQUIRE(fd >= 0);
    arena_init(&arena, lib_mem_source(), 0);
    if (sent_program(&arena, &p)) {
        CHECK_EQ(p.func_count, 2);
        CHECK_EQ(p.funcs[0].end, 2);
        CHECK_EQ(p.funcs[1].start, 2);
        CHECK_EQ(p.funcs[1].end, 5);
        CHECK_STR(p.funcs[0].name, "cut");
        CHECK_STR(p.funcs[1].name, "sub_2");
    } else {
        CHECK(!"a program was sent");
    }
    arena_fini(&arena);
    lib_close_fd(fd);
}

static void maps_by_index_need_an_array(void)
{
    struct bpf_insn insns[] = {LDDW(5, 1, 0), MOV0, EXIT};
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .fd_array_cnt = 2);
    int fds[2], fd;
    fake_reset();
    fds[0] = fake_new_fd();
    fds[1] = fake_new_fd();
    opts.fd_array = fds;
    fake_reply_map_info(4, 8);
    queue_load();
    fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "idx", "", insns, SLOTS(insns), &opts);
    REQUIRE(fd >= 0);
    CHECK_EQ(fake_sent(1)->fds[0], fds[1]);
    lib_close_fd(fd);
    opts.fd_array_cnt = 1;
    CHECK_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "idx", "", insns, SLOTS(insns), &opts),
             (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "idx", "", insns, SLOTS(insns), NULL),
             (unsigned long long)-EINVAL);
}

static void malformed_instructions_are_named(void)
{
    struct bpf_insn insns[] = {MOV0, I(0xff, 0, 0, 0, 0), EXIT};
    char log[64] = "";
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = sizeof(log));
    fake_reset();
    CHECK_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "bad", "", insns, SLOTS(insns), &opts),
             (unsigned long long)-EINVAL);
    CHECK(str_starts_with(log, "instruction 1: "));
    CHECK_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "bad", "", insns, 0, NULL), (unsigned long long)-E2BIG);
    CHECK_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "bad", "", NULL, 1, NULL), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_prog_load(BPF_PROG_TYPE_UNSPEC, "bad", "", insns, 1, NULL), (unsigned long long)-EINVAL);
    opts.expected_attach_type = (enum bpf_attach_type)lib_attach_type_number(ATTACH_TYPE_BIND);
    insns[1] = insns[0];
    CHECK_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "bad", "", insns, SLOTS(insns), &opts),
             (unsigned long long)-EINVAL);
    CHECK_EQ(fake_sent_count(), 0);
}

static void findings_reach_the_log(void)
{
    struct bpf_insn insns[] = {EXIT};
    struct proto_prog_load_reply reply = {.text_size = 12, .json_size = 3};
    char log[8] = "";
    LIBBPF_OPTS(bpf_prog_load_opts, opts, .log_buf = log, .log_size = sizeof(log));
    fake_reset();
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    fake_reply(PROTO_PROG_LOAD, EBPF_VERIFICATION_FAILED, &reply, "r0 is unset\0[]", 15);
    CHECK_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "no", "", insns, 1, &opts), (unsigned long long)-EACCES);
    CHECK_STR(log, "r0 is u"); // cut, and ended
    CHECK_EQ(opts.log_true_size, 12);
    reply.text_size = 99; // more than there is: taken for no text
    fake_reply(PROTO_PROG_LOAD, EBPF_VERIFICATION_FAILED, &reply, "r0 is unset\0[]", 15);
    CHECK_EQ(bpf_prog_load(BPF_PROG_TYPE_XDP, "no", "", insns, 1, &opts), (unsigned long long)-EACCES);
    CHECK_STR(log, "");
    libbpf_set_print(former);
}

static void allocation_failures_leave_nothing(void)
{
    struct bpf_insn insns[] = {CALL_LOCAL(1), EXIT, MOV0, EXIT};
    unsigned long live = lib_alloc_live();
    int fd = -ENOMEM;
    for (unsigned long n = 1; fd == -ENOMEM && n < 100; n++) {
        fake_reset();
        queue_load();
        lib_alloc_fail(n);
        fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "mem", "", insns, SLOTS(insns), NULL);
        lib_alloc_fail(0);
        CHECK_EQ(lib_alloc_live(), live);
    }
    CHECK(fd >= 0);
    lib_close_fd(fd);
}

// --- test runs -----------------------------------------------------------------------------------

static void runs_give_outputs(void)
{
    struct proto_prog_test_run_reply reply = {
        .retval = 2, .duration_ns = 50, .data_out_size = 4, .ctx_out_size = 2};
    struct proto_prog_test_run_request sent;
    uint8_t in[3] = {1, 2, 3}, out[8] = {0}, ctx[2] = {0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = 3, .data_out = out,
                .data_size_out = 8, .ctx_out = ctx, .ctx_size_out = 2, .repeat = 5);
    fake_reset();
    int fd = fake_new_fd();
    fake_reply(PROTO_PROG_TEST_RUN, EBPF_SUCCESS, &reply, "abcdXY", 6);
    CHECK_EQ(bpf_prog_test_run_opts(fd, &opts), 0);
    memcpy(&sent, fake_sent(0)->fixed, sizeof(sent));
    CHECK_EQ(sent.repeat, 5);
    CHECK_EQ(sent.data_in_size, 3);
    CHECK_EQ(sent.data_out_capacity, 8);
    CHECK_EQ(opts.retval, 2);
    CHECK_EQ(opts.duration, 50);
    CHECK_EQ(opts.data_size_out, 4);
    CHECK(memcmp(out, "abcd", 4) == 0 && memcmp(ctx, "XY", 2) == 0);
}

static void cut_outputs_are_errors(void)
{
    struct proto_prog_test_run_reply reply = {.retval = 2, .data_out_size = 9};
    uint8_t out[4] = {0};
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = "x", .data_size_in = 1, .data_out = out,
                .data_size_out = 4);
    fake_reset();
    int fd = fake_new_fd();
    fake_reply(PROTO_PROG_TEST_RUN, EBPF_SUCCESS, &reply, "abcd", 4);
    CHECK_EQ(bpf_prog_test_run_opts(fd, &opts), (unsigned long long)-ENOSPC);
    CHECK_EQ(opts.data_size_out, 9);
    CHECK(memcmp(out, "abcd", 4) == 0);
    opts.data_size_out = 4;
    // Less than it says: no byte beyond it is read.
    fake_reply(PROTO_PROG_TEST_RUN, EBPF_SUCCESS, &reply, "ab", 2);
    CHECK_EQ(bpf_prog_test_run_opts(fd, &opts), (unsigned long long)-ENOSPC);
}

static void runs_refuse_bad_options(void)
{
    LIBBPF_OPTS(bpf_test_run_opts, flags, .flags = 1);
    LIBBPF_OPTS(bpf_test_run_opts, nothing, .data_size_in = 4);
    fake_reset();
    int fd = fake_new_fd();
    CHECK_EQ(bpf_prog_test_run_opts(fd, NULL), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_prog_test_run_opts(fd, &flags), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_prog_test_run_opts(fd, &nothing), (unsigned long long)-EINVAL);
    CHECK_EQ(fake_sent_count(), 0);
}

TEST_SUITE(lib_raw)
{
    RUN(maps_and_helpers_are_bound);
    RUN(functions_are_cut_at_calls);
    RUN(maps_by_index_need_an_array);
    RUN(malformed_instructions_are_named);
    RUN(findings_reach_the_log);
    RUN(allocation_failures_leave_nothing);
    RUN(runs_give_outputs);
    RUN(cut_outputs_are_errors);
    RUN(runs_refuse_bad_options);
}
