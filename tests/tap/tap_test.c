// SPDX-License-Identifier: MIT
// The TAP bridge in a private network namespace: frames of an experimental EtherType go in and out through
// packet sockets on real devices, programs decide by the frame's payload. Frames keep their order, so a frame
// that arrives proves that an earlier one which did not was dropped: no case waits for nothing to happen.
#define _GNU_SOURCE
#include "hooks/hooks_fixture.h"
#include "hosts/tap.h"
#include "tools/demo/demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ETHERTYPE  0x88b5 // IEEE 802: local experiments
#define FRAME_SIZE 60
#define WAIT_MS    10000

static char no_net[WHY_SIZE]; // why there is no private namespace; "" when there is

struct rig {
    struct core *core;
    struct runtime *rt;
    struct tap_bridge *bridge;
    int sockets[4];
    uint32_t ifindex[4];
    struct prog *prog;
    struct link *link;
};
static const char *const names[] = {"tapA", "tapB", "tapC", "tapD"};

static bool raise_device(const char *name, bool up)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    str_copy(request.ifr_name, IFNAMSIZ, name);
    request.ifr_flags = up ? IFF_UP : 0;
    bool done = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return done;
}

static int open_socket(uint32_t ifindex)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE), .sll_ifindex = (int)ifindex};
    int one = 1, fd = socket(AF_PACKET, SOCK_RAW, htons(ETHERTYPE));
    if (fd >= 0 && (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) != 0 ||
                    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool rig_open(struct rig *rig)
{
    struct core_options options = {.runtime = {.spec = spec_builtin()}, .platform = DIALECT_LINUX};
    memset(rig, 0, sizeof(*rig));
    if (core_create(&options, &rig->core) != EBPF_SUCCESS ||
        tap_bridge_create(rig->core, names, 4, &rig->bridge) != EBPF_SUCCESS) {
        return false;
    }
    rig->rt = core_runtime(rig->core);
    bool works = true;
    for (int i = 0; i < 4; i++) {
        rig->ifindex[i] = if_nametoindex(names[i]);
        works = works && raise_device(names[i], true);
        rig->sockets[i] =
            open_socket(rig->ifindex[i]); // a socket on a device that is down starts with an error
        works = works && rig->sockets[i] >= 0;
    }
    return works;
}

static void rig_close(struct rig *rig)
{
    if (rig->link != NULL) {
        fixture_release_link(rig->link);
        fixture_release_prog(rig->prog);
    }
    for (int i = 0; i < 4; i++) {
        close(rig->sockets[i]);
    }
    tap_bridge_destroy(rig->bridge);
    core_destroy(rig->core);
}

static bool rig_attach(struct rig *rig, int device, const struct fixture_insn *code, uint32_t count)
{
    struct attach_params params = {.ifindex = rig->ifindex[device]};
    return fixture_load(rig->rt, PROG_TYPE_XDP, DIALECT_LINUX, code, count, &rig->prog) == EBPF_SUCCESS &&
           link_create(rig->rt, rig->prog, ATTACH_TYPE_XDP, &params, &rig->link) == EBPF_SUCCESS;
}

// A frame out of device `from`, onto the wire. Byte 14, the first of the payload, says what a program is to
// do.
static bool put_frame(struct rig *rig, int from, uint8_t action, uint8_t mark)
{
    uint8_t frame[FRAME_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1};
    frame[12] = ETHERTYPE >> 8;
    frame[13] = ETHERTYPE & 0xff;
    frame[14] = action;
    frame[15] = mark;
    return send(rig->sockets[from], frame, sizeof(frame), 0) == (ssize_t)sizeof(frame);
}

// Mark of the next frame that the kernel receives on device `at`, or -1. A socket reports once that its
// device was down.
static int get_frame(struct rig *rig, int at)
{
    uint8_t frame[2048];
    struct pollfd polled = {.fd = rig->sockets[at], .events = POLLIN};
    while (poll(&polled, 1, WAIT_MS) > 0) {
        ssize_t size = recv(rig->sockets[at], frame, sizeof(frame), MSG_DONTWAIT);
        if (size >= 16) {
            return frame[15];
        }
        if (size < 0 && errno != ENETDOWN && errno != EAGAIN) {
            return -1;
        }
    }
    return -1;
}

// Returns byte 14 of the frame.
static const struct fixture_insn decide_by_payload[] = {
    OP_LOAD(LDXW, 2, 1, 0, "data"),
    OP_LOAD(LDXB, 0, 2, 14, NULL),
    OP_EXIT,
};

static void passes_both_ways(void)
{
    struct rig rig;
    REQUIRE(rig_open(&rig));
    REQUIRE(put_frame(&rig, 0, 0, 1));
    CHECK_EQ(get_frame(&rig, 1), 1);
    REQUIRE(put_frame(&rig, 1, 0, 2));
    CHECK_EQ(get_frame(&rig, 0), 2);
    REQUIRE(put_frame(&rig, 3, 0, 3));
    CHECK_EQ(get_frame(&rig, 2), 3);
    rig_close(&rig);
}

static void carries_out_verdicts(void)
{
    struct rig rig;
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_attach(&rig, 1, decide_by_payload, ARRAY_SIZE(decide_by_payload)));
    REQUIRE(put_frame(&rig, 0, 1, 10)); // drop
    REQUIRE(put_frame(&rig, 0, 0, 11)); // aborted
    REQUIRE(put_frame(&rig, 0, 3, 12)); // back to A
    REQUIRE(put_frame(&rig, 0, 2, 13)); // pass
    CHECK_EQ(get_frame(&rig, 1), 13);
    CHECK_EQ(get_frame(&rig, 0), 12);
    REQUIRE(put_frame(&rig, 1, 1, 14)); // B's program does not see what arrives at A
    CHECK_EQ(get_frame(&rig, 0), 14);
    struct tap_counters c;
    tap_bridge_counters(rig.bridge, &c);
    CHECK_EQ(c.dropped, 2);
    CHECK(c.received >= 5 && c.wakeups >= 1);
    struct proto_hook_next_request request = {.attach_type = ATTACH_TYPE_XDP,
                                              .after_ifindex = rig.ifindex[1] - 1};
    struct proto_hook_next_reply reply;
    REQUIRE_OK(tap_bridge_hook_next(rig.bridge, &request, &reply));
    CHECK_STR(reply.name, "tapB");
    CHECK_EQ(reply.prog_id, object_id(prog_object(rig.prog)));
    rig_close(&rig);
}

// Redirected to C, a frame leaves on C's wire: it arrives at D.
static void redirects_to_the_other_wire(void)
{
    struct rig rig;
    REQUIRE(rig_open(&rig));
    const struct fixture_insn code[] = {
        OP_MOV(1, (int)rig.ifindex[2]),
        OP_MOV(2, 0),
        OP_CALL(REDIRECT),
        OP_EXIT,
    };
    REQUIRE(rig_attach(&rig, 1, code, ARRAY_SIZE(code)));
    REQUIRE(put_frame(&rig, 0, 0, 20));
    CHECK_EQ(get_frame(&rig, 3), 20);
    rig_close(&rig);
}

static void counts_redirects_to_nowhere(void)
{
    struct rig rig;
    struct tap_counters c = {0};
    REQUIRE(rig_open(&rig));
    const struct fixture_insn code[] = {OP_MOV(1, 9999), OP_MOV(2, 0), OP_CALL(REDIRECT), OP_EXIT};
    REQUIRE(rig_attach(&rig, 1, code, ARRAY_SIZE(code)));
    REQUIRE(put_frame(&rig, 0, 0, 21));
    for (int i = 0; i < WAIT_MS && c.no_target == 0; i++) {
        plat_sleep_us(1000);
        tap_bridge_counters(rig.bridge, &c);
    }
    CHECK(c.no_target >= 1);
    rig_close(&rig);
}

// More frames than one batch takes, all in order.
static void carries_many_frames(void)
{
    struct rig rig;
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_attach(&rig, 1, decide_by_payload, ARRAY_SIZE(decide_by_payload)));
    for (int i = 0; i < 200; i++) {
        REQUIRE(put_frame(&rig, 0, i % 2 == 0 ? 2 : 1, (uint8_t)i));
    }
    for (int i = 0; i < 200; i += 2) {
        REQUIRE(get_frame(&rig, 1) == i);
    }
    rig_close(&rig);
}

// The interface goes away below the bridge; the other pair goes on, and its point leaves the list.
static void survives_a_device_that_goes_away(void)
{
    struct rig rig;
    struct proto_hook_next_request request = {.attach_type = ATTACH_TYPE_XDP};
    struct proto_hook_next_reply reply;
    char why[WHY_SIZE] = "";
    REQUIRE(rig_open(&rig));
    REQUIRE(rig_attach(&rig, 1, decide_by_payload, ARRAY_SIZE(decide_by_payload)));
    request.after_ifindex = rig.ifindex[1] - 1;
    REQUIRE(net_delete_device("tapB", why));
    for (int i = 0; i < WAIT_MS; i++) {
        if (tap_bridge_hook_next(rig.bridge, &request, &reply) == EBPF_SUCCESS &&
            reply.ifindex != rig.ifindex[1]) {
            break;
        }
        plat_sleep_us(1000);
    }
    CHECK_EQ(reply.ifindex, rig.ifindex[2]);
    REQUIRE(put_frame(&rig, 0, 2, 30)); // to nobody
    REQUIRE(put_frame(&rig, 2, 2, 31));
    CHECK_EQ(get_frame(&rig, 3), 31);
    rig_close(&rig);
}

static void survives_a_device_that_is_down(void)
{
    struct rig rig;
    struct tap_counters c = {0};
    REQUIRE(rig_open(&rig));
    REQUIRE(raise_device("tapB", false));
    REQUIRE(put_frame(&rig, 0, 0, 40));
    for (int i = 0; i < WAIT_MS && c.write_failed == 0; i++) {
        plat_sleep_us(1000);
        tap_bridge_counters(rig.bridge, &c);
    }
    CHECK(c.write_failed >= 1);
    REQUIRE(raise_device("tapB", true));
    REQUIRE(put_frame(&rig, 0, 0, 41));
    int mark = get_frame(&rig, 1);
    if (mark == 40) { // what failed was a frame of the kernel's own, and ours was still on its way
        mark = get_frame(&rig, 1);
    }
    CHECK_EQ(mark, 41);
    rig_close(&rig);
}

static void refuses_bad_names(void)
{
    const char *const bad[][2] = {{"same", "same"}, {"", "x"}, {"sixteen-letters-", "x"}, {"a/b", "x"}};
    struct core_options options = {.runtime = {.spec = spec_builtin()}};
    struct core *core = NULL;
    struct tap_bridge *bridge = NULL;
    REQUIRE_OK(core_create(&options, &core));
    CHECK_EQ(tap_bridge_create(core, names, 3, &bridge), EBPF_INVALID_ARGUMENT);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQ(tap_bridge_create(core, bad[i], 2, &bridge), EBPF_INVALID_ARGUMENT);
    }
    CHECK(bridge == NULL);
    REQUIRE_OK(tap_bridge_create(core, NULL, 0, &bridge)); // hooks alone
    tap_bridge_destroy(bridge);
    core_destroy(core);
}

// A name that is taken by another kind of device: nothing of the first one stays.
static void leaves_nothing_when_creation_fails(void)
{
    const char *const pair[] = {"tapA", "lo"};
    struct core_options options = {.runtime = {.spec = spec_builtin()}};
    struct core *core = NULL;
    struct tap_bridge *bridge = NULL;
    REQUIRE_OK(core_create(&options, &core));
    CHECK(tap_bridge_create(core, pair, 2, &bridge) != EBPF_SUCCESS);
    CHECK_EQ(if_nametoindex("tapA"), 0);
    REQUIRE_OK(tap_bridge_create(core, names, 2, &bridge));
    CHECK(if_nametoindex("tapA") != 0);
    tap_bridge_destroy(bridge);
    CHECK_EQ(if_nametoindex("tapA"), 0);
    core_destroy(core);
}

static void needs_a_namespace(void)
{
    SKIP(no_net);
}

TEST_SUITE(tap)
{
    RUN(refuses_bad_names);
    if (!net_enter_private(no_net) || !net_has_tap(no_net)) {
        RUN(needs_a_namespace);
        return;
    }
    RUN(passes_both_ways);
    RUN(carries_out_verdicts);
    RUN(redirects_to_the_other_wire);
    RUN(counts_redirects_to_nowhere);
    RUN(carries_many_frames);
    RUN(survives_a_device_that_goes_away);
    RUN(survives_a_device_that_is_down);
    RUN(leaves_nothing_when_creation_fails);
}
