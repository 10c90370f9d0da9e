// SPDX-License-Identifier: MIT
// Frames through real links of a real runtime: verdicts in both dialects, counters, moved ends, attachment
// rules, test runs.
#include "hooks/hooks_fixture.h"

#define FRAME_SIZE 64u
#define CAPACITY   (HOOK_XDP_HEADROOM + FRAME_SIZE + HOOK_XDP_TAILROOM)

// A runtime with the xdp hook and two devices, 7 and 9.
struct rig {
    struct runtime *rt;
    struct hook_xdp *hook;
    struct hook_xdp_device *seven, *nine;
    struct prog *prog;
    struct link *link;
    uint8_t buffer[CAPACITY];
};

static bool rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    rig->rt = fixture_runtime();
    return rig->rt != NULL && hook_xdp_create(rig->rt, &rig->hook) == EBPF_SUCCESS &&
           hook_xdp_device_add(rig->hook, 7, "seven", &rig->seven) == EBPF_SUCCESS &&
           hook_xdp_device_add(rig->hook, 9, "nine", &rig->nine) == EBPF_SUCCESS;
}

static ebpf_result_t rig_attach(struct rig *rig, uint32_t ifindex, uint32_t flags, struct link **out)
{
    struct attach_params params = {.ifindex = ifindex, .flags = flags};
    return link_create(rig->rt, rig->prog, ATTACH_TYPE_XDP, &params, out);
}

static bool rig_load(struct rig *rig, enum dialect dialect, const struct fixture_insn *code, uint32_t count)
{
    return fixture_load(rig->rt, PROG_TYPE_XDP, dialect, code, count, &rig->prog) == EBPF_SUCCESS &&
           rig_attach(rig, 7, 0, &rig->link) == EBPF_SUCCESS;
}

static void rig_detach(struct rig *rig)
{
    if (rig->link != NULL) {
        fixture_release_link(rig->link);
    }
    if (rig->prog != NULL) {
        fixture_release_prog(rig->prog);
    }
    rig->link = NULL;
    rig->prog = NULL;
}

static void rig_close(struct rig *rig)
{
    rig_detach(rig);
    hook_xdp_device_remove(rig->seven);
    hook_xdp_device_remove(rig->nine);
    hook_xdp_destroy(rig->hook);
    runtime_destroy(rig->rt);
}

static struct hook_xdp_frame rig_frame(struct rig *rig, uint8_t first)
{
    rig->buffer[HOOK_XDP_HEADROOM] = first;
    return (struct hook_xdp_frame){
        .buffer = rig->buffer, .capacity = CAPACITY, .off = HOOK_XDP_HEADROOM, .size = FRAME_SIZE};
}

// Returns the frame's first byte, so that each frame of a batch chooses its verdict.
static const struct fixture_insn first_byte_linux[] = {
    OP_LOAD(LDXW, 2, 1, 0, "data"),
    OP_LOAD(LDXB, 0, 2, 0, NULL),
    OP_EXIT,
};
static const struct fixture_insn first_byte_windows[] = {
    OP_LOAD(LDXDW, 2, 1, 0, "data"),
    OP_LOAD(LDXB, 0, 2, 0, NULL),
    OP_EXIT,
};

static void passes_without_program(void)
{
    struct rig rig;
    REQUIRE(rig_open(&rig));
    struct hook_xdp_frame frame = rig_frame(&rig, 1);
    hook_xdp_run(rig.seven, &frame, 1);
    CHECK_EQ(frame.verdict, VERDICT_XDP_PASS);
    CHECK_EQ(frame.off, HOOK_XDP_HEADROOM);
    CHECK_EQ(frame.size, FRAME_SIZE);
    struct hook_xdp_counters c;
    hook_xdp_counters(rig.seven, &c);
    CHECK_EQ(c.unattached, 1);
    CHECK_EQ(c.pass, 0);
    CHECK_EQ(c.run_time_ns, 0);
    rig_close(&rig);
}

struct expected_verdict {
    uint8_t value;
    uint32_t verdict;
};
// Linux UAPI enum xdp_action; 4 redirects, but nothing said where to.
static const struct expected_verdict linux_verdicts[] = {
    {0, VERDICT_XDP_ABORTED}, {1, VERDICT_XDP_DROP},    {2, VERDICT_XDP_PASS},      {3, VERDICT_XDP_TX},
    {4, VERDICT_XDP_ABORTED}, {5, VERDICT_XDP_ABORTED}, {255, VERDICT_XDP_ABORTED},
};
static const struct expected_verdict windows_verdicts[] = {
    {0, VERDICT_XDP_ABORTED}, {1, VERDICT_XDP_PASS},    {2, VERDICT_XDP_DROP},      {3, VERDICT_XDP_TX},
    {4, VERDICT_XDP_ABORTED}, {5, VERDICT_XDP_ABORTED}, {255, VERDICT_XDP_ABORTED},
};

static void translates(enum dialect dialect, const struct expected_verdict *rows, unsigned count)
{
    struct rig rig;
    REQUIRE(rig_open(&rig));
    const struct fixture_insn *code = dialect == DIALECT_LINUX ? first_byte_linux : first_byte_windows;
    REQUIRE(rig_load(&rig, dialect, code, 3));
    for (unsigned i = 0; i < count; i++) {
        struct hook_xdp_frame frame = rig_frame(&rig, rows[i].value);
        hook_xdp_run(rig.seven, &frame, 1);
        CHECK_EQ(frame.verdict, rows[i].verdict);
        CHECK_EQ(frame.target_ifindex, 0);
    }
    rig_close(&rig);
}

static void translates_linux_verdicts(void)
{
    translates(DIALECT_LINUX, linux_verdicts, ARRAY_SIZE(linux_verdicts));
}

static void translates_windows_verdicts(void)
{
    translates(DIALECT_WINDOWS, windows_verdicts, ARRAY_SIZE(windows_verdicts));
}

// A batch mixes verdicts; each lands at its own frame and in its own counter, and another device's stay
// untouched.
static void counts_batches(void)
{
    struct rig rig;
    static uint8_t buffers[10][CAPACITY];
    struct hook_xdp_frame frames[10];
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_load(&rig, DIALECT_LINUX, first_byte_linux, 3));
    for (unsigned i = 0; i < 10; i++) {
        frames[i] = rig_frame(&rig, 0);
        frames[i].buffer = buffers[i];
        buffers[i][HOOK_XDP_HEADROOM] = i < 6 ? 1 : i < 9 ? 2 : 3; // 6 drop, 3 pass, 1 tx
    }
    hook_xdp_run(rig.seven, frames, 10);
    hook_xdp_run(rig.seven, frames, 10);
    CHECK_EQ(frames[5].verdict, VERDICT_XDP_DROP);
    CHECK_EQ(frames[6].verdict, VERDICT_XDP_PASS);
    CHECK_EQ(frames[9].verdict, VERDICT_XDP_TX);
    struct hook_xdp_counters c;
    hook_xdp_counters(rig.seven, &c);
    CHECK_EQ(c.drop, 12);
    CHECK_EQ(c.pass, 6);
    CHECK_EQ(c.tx, 2);
    CHECK_EQ(c.aborted + c.redirect + c.unattached, 0);
    hook_xdp_counters(rig.nine, &c);
    CHECK_EQ(c.drop + c.pass + c.tx + c.unattached, 0);
    rig_close(&rig);
}

static void redirects(void)
{
    const struct fixture_insn code[] = {OP_MOV(1, 42), OP_MOV(2, 0), OP_CALL(REDIRECT), OP_EXIT};
    struct rig rig;
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_load(&rig, DIALECT_LINUX, code, ARRAY_SIZE(code)));
    struct hook_xdp_frame frame = rig_frame(&rig, 0);
    hook_xdp_run(rig.seven, &frame, 1);
    CHECK_EQ(frame.verdict, VERDICT_XDP_REDIRECT);
    CHECK_EQ(frame.target_ifindex, 42);
    struct hook_xdp_counters c;
    hook_xdp_counters(rig.seven, &c);
    CHECK_EQ(c.redirect, 1);
    rig_close(&rig);
}

static void moves_the_start(void)
{
    const struct fixture_insn code[] = {OP_MOV(2, -4), OP_CALL(XDP_ADJUST_HEAD), OP_MOV(0, 2), OP_EXIT};
    struct rig rig;
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_load(&rig, DIALECT_LINUX, code, ARRAY_SIZE(code)));
    struct hook_xdp_frame frame = rig_frame(&rig, 0);
    hook_xdp_run(rig.seven, &frame, 1);
    CHECK_EQ(frame.verdict, VERDICT_XDP_PASS);
    CHECK_EQ(frame.off, HOOK_XDP_HEADROOM - 4);
    CHECK_EQ(frame.size, FRAME_SIZE + 4);
    rig_close(&rig);
}

static void shows_the_interface(void)
{
    const struct fixture_insn code[] = {OP_LOAD(LDXW, 0, 1, 12, "ingress_ifindex"), OP_EXIT};
    struct rig rig;
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_load(&rig, DIALECT_LINUX, code, ARRAY_SIZE(code)));
    struct link *on_nine = NULL;
    struct attach_params params = {.ifindex = 2};
    CHECK_EQ(link_create(rig.rt, rig.prog, ATTACH_TYPE_XDP, &params, &on_nine), EBPF_OBJECT_NOT_FOUND);
    struct hook_xdp_device *two = NULL;
    REQUIRE_OK(hook_xdp_device_add(rig.hook, 2, "two", &two));
    REQUIRE_OK(link_create(rig.rt, rig.prog, ATTACH_TYPE_XDP, &params, &on_nine));
    struct hook_xdp_frame frame = rig_frame(&rig, 0);
    hook_xdp_run(two, &frame, 1); // returns 2: XDP_PASS
    CHECK_EQ(frame.verdict, VERDICT_XDP_PASS);
    hook_xdp_run(rig.seven, &frame, 1); // returns 7: nothing
    CHECK_EQ(frame.verdict, VERDICT_XDP_ABORTED);
    fixture_release_link(on_nine);
    hook_xdp_device_remove(two);
    rig_close(&rig);
}

static void refuses_bad_attachments(void)
{
    struct rig rig;
    struct link *link = NULL;
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_load(&rig, DIALECT_LINUX, first_byte_linux, 3));
    CHECK_EQ(rig_attach(&rig, 0, 0, &link), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(rig_attach(&rig, 8, 0, &link), EBPF_OBJECT_NOT_FOUND);
    CHECK_EQ(rig_attach(&rig, 7, 0, &link), EBPF_INVALID_STATE); // taken
    CHECK_EQ(rig_attach(&rig, 9, 1 << 3, &link), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(rig_attach(&rig, 9, 1 << 5, &link), EBPF_INVALID_ARGUMENT);
    CHECK(link == NULL);
    REQUIRE_OK(rig_attach(&rig, 9, 1 << 1, &link)); // the refused attempts left nothing behind
    fixture_release_link(link);
    rig_close(&rig);
}

static void attaches_again_after_detach(void)
{
    struct rig rig;
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_load(&rig, DIALECT_LINUX, first_byte_linux, 3));
    link_detach(rig.link);
    struct hook_xdp_frame frame = rig_frame(&rig, 1);
    hook_xdp_run(rig.seven, &frame, 1);
    CHECK_EQ(frame.verdict, VERDICT_XDP_PASS);
    struct link *second = NULL;
    REQUIRE_OK(rig_attach(&rig, 7, 0, &second));
    hook_xdp_run(rig.seven, &frame, 1);
    CHECK_EQ(frame.verdict, VERDICT_XDP_DROP);
    fixture_release_link(second);
    hook_xdp_run(rig.seven, &frame, 1);
    CHECK_EQ(frame.verdict, VERDICT_XDP_PASS);
    rig_close(&rig);
}

static void follows_a_replaced_program(void)
{
    struct rig rig;
    struct prog *dropper = NULL, *foreign = NULL;
    REQUIRE(rig_open(&rig));
    REQUIRE_OK(fixture_load_constant(rig.rt, PROG_TYPE_XDP, DIALECT_LINUX, 2, &rig.prog));
    REQUIRE_OK(rig_attach(&rig, 7, 0, &rig.link));
    REQUIRE_OK(fixture_load_constant(rig.rt, PROG_TYPE_XDP, DIALECT_LINUX, 1, &dropper));
    REQUIRE_OK(fixture_load_constant(rig.rt, PROG_TYPE_XDP, DIALECT_WINDOWS, 1, &foreign));
    struct hook_xdp_frame frame = rig_frame(&rig, 0);
    hook_xdp_run(rig.seven, &frame, 1);
    CHECK_EQ(frame.verdict, VERDICT_XDP_PASS);
    REQUIRE_OK(link_update(rig.link, dropper, NULL));
    hook_xdp_run(rig.seven, &frame, 1);
    CHECK_EQ(frame.verdict, VERDICT_XDP_DROP);
    CHECK_EQ(link_update(rig.link, foreign, NULL), EBPF_INVALID_ARGUMENT); // 1 would mean pass from now on
    hook_xdp_run(rig.seven, &frame, 1);
    CHECK_EQ(frame.verdict, VERDICT_XDP_DROP);
    fixture_release_prog(foreign);
    fixture_release_prog(dropper);
    rig_close(&rig);
}

// A link outlives its device, and the point can be made again.
static void survives_removed_devices(void)
{
    struct rig rig;
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_load(&rig, DIALECT_LINUX, first_byte_linux, 3));
    hook_xdp_device_remove(rig.seven);
    REQUIRE_OK(hook_xdp_device_add(rig.hook, 7, "seven again", &rig.seven));
    struct hook_xdp_frame frame = rig_frame(&rig, 1);
    hook_xdp_run(rig.seven, &frame, 1);
    CHECK_EQ(frame.verdict, VERDICT_XDP_PASS); // the old link is not on the new device
    fixture_release_link(rig.link);
    rig.link = NULL;
    rig_close(&rig);
}

static void refuses_bad_devices(void)
{
    struct rig rig;
    struct hook_xdp_device *device = NULL;
    struct hook_xdp *second = NULL;
    REQUIRE(rig_open(&rig));
    CHECK_EQ(hook_xdp_device_add(rig.hook, 0, "zero", &device), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(hook_xdp_device_add(rig.hook, 7, "seven", &device), EBPF_OBJECT_ALREADY_EXISTS);
    CHECK_EQ(hook_xdp_create(rig.rt, &second), EBPF_OBJECT_ALREADY_EXISTS);
    CHECK(device == NULL && second == NULL);
    rig_close(&rig);
}

static void lists_points_in_order(void)
{
    struct rig rig;
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_load(&rig, DIALECT_LINUX, first_byte_linux, 3));
    struct hook_xdp_frame frame = rig_frame(&rig, 1);
    hook_xdp_run(rig.seven, &frame, 1);
    struct proto_hook_next_request request = {.attach_type = ATTACH_TYPE_XDP, .after_ifindex = 0};
    struct proto_hook_next_reply reply;
    REQUIRE_OK(hook_xdp_next(rig.hook, &request, &reply));
    CHECK_EQ(reply.ifindex, 7);
    CHECK_STR(reply.name, "seven");
    CHECK_EQ(reply.link_id, link_id(rig.link));
    CHECK_EQ(reply.packets, 1);
    CHECK_EQ(reply.counter_count, 6);
    CHECK_STR(reply.counters[1].name, "drop");
    CHECK_EQ(reply.counters[1].packets, 1);
    CHECK_STR(reply.counters[5].name, "unattached");
    request.after_ifindex = 7;
    REQUIRE_OK(hook_xdp_next(rig.hook, &request, &reply));
    CHECK_EQ(reply.ifindex, 9);
    CHECK_EQ(reply.link_id, 0);
    request.after_ifindex = 9;
    CHECK_EQ(hook_xdp_next(rig.hook, &request, &reply), EBPF_NO_MORE_KEYS);
    rig_close(&rig);
}

// The data of a test run reach the program, its changes reach the caller, and so do the context's fields.
static void test_run_linux(void)
{
    const struct fixture_insn code[] = {OP_LOAD(LDXW, 0, 1, 12, "ingress_ifindex"), OP_EXIT};
    struct rig rig;
    uint8_t data[FRAME_SIZE] = {1, 2, 3}, out[FRAME_SIZE] = {0};
    uint32_t ctx[6] = {0, FRAME_SIZE, 0, 77, 3, 0}, ctx_out[6] = {0};
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_load(&rig, DIALECT_LINUX, code, ARRAY_SIZE(code)));
    struct test_run run = {.data_in = data,
                           .data_in_size = sizeof(data),
                           .data_out = out,
                           .data_out_size = sizeof(out),
                           .ctx_in = (const uint8_t *)ctx,
                           .ctx_in_size = sizeof(ctx),
                           .ctx_out = (uint8_t *)ctx_out,
                           .ctx_out_size = sizeof(ctx_out)};
    REQUIRE_OK(prog_test_run(rig.prog, &run));
    CHECK_EQ(run.retval, 77);
    CHECK_EQ(run.data_out_size, sizeof(data));
    CHECK(memcmp(out, data, sizeof(data)) == 0);
    CHECK_EQ(ctx_out[3], 77);
    CHECK_EQ(ctx_out[4], 3);
    ctx[0] = 8; // metadata
    CHECK_EQ(prog_test_run(rig.prog, &run), EBPF_OPERATION_NOT_SUPPORTED);
    ctx[0] = 0;
    ctx[1] = FRAME_SIZE - 1;
    CHECK_EQ(prog_test_run(rig.prog, &run), EBPF_INVALID_ARGUMENT);
    ctx[1] = 0;
    run.ctx_in_size = 20;
    CHECK_EQ(prog_test_run(rig.prog, &run), EBPF_INVALID_ARGUMENT);
    rig_close(&rig);
}

static void test_run_moves_the_start(void)
{
    const struct fixture_insn code[] = {OP_MOV(2, -4), OP_CALL(XDP_ADJUST_HEAD), OP_EXIT};
    struct rig rig;
    uint8_t data[FRAME_SIZE] = {9}, out[FRAME_SIZE + 8] = {0};
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_load(&rig, DIALECT_WINDOWS, code, ARRAY_SIZE(code)));
    struct test_run run = {
        .data_in = data, .data_in_size = sizeof(data), .data_out = out, .data_out_size = sizeof(out)};
    REQUIRE_OK(prog_test_run(rig.prog, &run));
    CHECK_EQ(run.retval, 0);
    CHECK_EQ(run.data_out_size, sizeof(data) + 4);
    CHECK_EQ(out[4], 9);
    rig_close(&rig);
}

// Frames run on another thread while links come, change and go: each frame is decided by one of the programs
// or by none.
struct runner {
    struct rig *rig;
    _Atomic bool is_stopping;
    uint64_t passed, dropped, others;
};

static void run_frames(void *user)
{
    struct runner *runner = user;
    uint8_t buffer[CAPACITY];
    while (!runner->is_stopping) {
        struct hook_xdp_frame frame = {
            .buffer = buffer, .capacity = CAPACITY, .off = HOOK_XDP_HEADROOM, .size = FRAME_SIZE};
        hook_xdp_run(runner->rig->seven, &frame, 1);
        runner->passed += frame.verdict == VERDICT_XDP_PASS;
        runner->dropped += frame.verdict == VERDICT_XDP_DROP;
        runner->others += frame.verdict != VERDICT_XDP_PASS && frame.verdict != VERDICT_XDP_DROP;
        plat_yield();
    }
}

static void links_come_and_go_under_traffic(void)
{
    struct rig rig;
    struct prog *other = NULL;
    struct plat_thread *thread = NULL;
    struct hook_xdp_counters c = {0};
    REQUIRE(rig_open(&rig));
    REQUIRE_OK(fixture_load_constant(rig.rt, PROG_TYPE_XDP, DIALECT_LINUX, 1, &rig.prog));
    REQUIRE_OK(fixture_load_constant(rig.rt, PROG_TYPE_XDP, DIALECT_LINUX, 2, &other));
    struct runner runner = {.rig = &rig};
    REQUIRE_OK(plat_thread_create(run_frames, &runner, &thread));
    for (int i = 0; i < 300 || ((c.drop == 0 || c.pass == 0) && i < 1000000); i++) {
        struct link *link = NULL;
        CHECK_OK(rig_attach(&rig, 7, 0, &link));
        plat_yield();
        CHECK_OK(link_update(link, other, NULL));
        plat_yield();
        fixture_release_link(link);
        hook_xdp_counters(rig.seven, &c);
    }
    runner.is_stopping = true;
    plat_thread_join(thread);
    CHECK_EQ(runner.others, 0);
    CHECK(c.drop > 0 && c.pass > 0); // both programs had frames
    hook_xdp_counters(rig.seven, &c);
    CHECK_EQ(c.pass + c.unattached, runner.passed); // every frame is counted exactly once
    CHECK_EQ(c.drop, runner.dropped);
    fixture_release_prog(other);
    rig_close(&rig);
}

static void survives_failed_allocations(void)
{
    uint64_t live = 0;
    ebpf_result_t result = EBPF_NO_MEMORY;
    struct runtime *rt = fixture_runtime();
    REQUIRE(rt != NULL);
    live = plat_sim_live_count();
    for (uint64_t n = 1; result != EBPF_SUCCESS && n < 100; n++) {
        struct hook_xdp *hook = NULL;
        struct hook_xdp_device *device = NULL;
        plat_sim_fail_alloc(n);
        result = hook_xdp_create(rt, &hook);
        if (result == EBPF_SUCCESS) {
            result = hook_xdp_device_add(hook, 1, "one", &device);
        }
        plat_sim_fail_alloc(0);
        CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
        if (device != NULL) {
            hook_xdp_device_remove(device);
        }
        hook_xdp_destroy(hook);
        CHECK_EQ(plat_sim_live_count(), live);
    }
    CHECK_EQ(result, EBPF_SUCCESS);
    runtime_destroy(rt);
}

TEST_SUITE(hook_xdp)
{
    RUN(passes_without_program);
    RUN(translates_linux_verdicts);
    RUN(translates_windows_verdicts);
    RUN(counts_batches);
    RUN(redirects);
    RUN(moves_the_start);
    RUN(shows_the_interface);
    RUN(refuses_bad_attachments);
    RUN(attaches_again_after_detach);
    RUN(follows_a_replaced_program);
    RUN(survives_removed_devices);
    RUN(refuses_bad_devices);
    RUN(lists_points_in_order);
    RUN(test_run_linux);
    RUN(test_run_moves_the_start);
    RUN(links_come_and_go_under_traffic);
    RUN(survives_failed_allocations);
}
