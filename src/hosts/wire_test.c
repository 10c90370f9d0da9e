// SPDX-License-Identifier: MIT
// Messages over a socket pair: whole ones, pieces, garbage, strangers' descriptors, death and patience.
#include "hosts/wire.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plat/plat.h"
#include "tests/test.h"

enum { BODY = 100 };

struct pair {
    int ours, theirs;
    struct wire wire;
};

static bool make_pair(struct pair *p)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return false;
    }
    *p = (struct pair){fds[0], fds[1], {.fd = fds[0], .stop_fd = -1, .idle_ms = 200, .message_ms = 200}};
    return true;
}

static void close_pair(struct pair *p)
{
    close(p->ours);
    if (p->theirs >= 0) {
        close(p->theirs);
    }
}

static size_t make_message(uint8_t bytes[sizeof(struct proto_header) + BODY])
{
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = PROTO_VERSION,
                                  .size = sizeof(header) + BODY};
    memset(bytes, 0x5a, header.size);
    memcpy(bytes, &header, sizeof(header));
    return header.size;
}

static int open_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static bool put(int fd, const void *bytes, size_t size)
{
    return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static void messages_arrive_whole(void)
{
    struct pair p;
    struct wire_message m;
    uint8_t bytes[sizeof(struct proto_header) + BODY];
    size_t size = make_message(bytes);
    REQUIRE(make_pair(&p));
    for (size_t cut = 1; cut < size; cut += 13) { // the kernel may deliver a message in two pieces
        REQUIRE(put(p.theirs, bytes, cut) && put(p.theirs, bytes + cut, size - cut));
        REQUIRE_OK(wire_receive(&p.wire, &m));
        CHECK(m.size == size && memcmp(m.bytes, bytes, size) == 0 && m.fd_count == 0);
        wire_message_fini(&m);
    }
    close_pair(&p);
}

static void messages_do_not_mix(void)
{
    struct pair p;
    struct wire_message m;
    uint8_t bytes[sizeof(struct proto_header) + BODY];
    size_t size = make_message(bytes);
    REQUIRE(make_pair(&p));
    for (uint8_t i = 0; i < 3; i++) {
        bytes[size - 1] = i;
        REQUIRE_OK(wire_send(&(struct wire){.fd = p.theirs, .stop_fd = -1}, bytes, size, -1));
    }
    for (uint8_t i = 0; i < 3; i++) {
        REQUIRE_OK(wire_receive(&p.wire, &m));
        CHECK_EQ(m.bytes[m.size - 1], i);
        wire_message_fini(&m);
    }
    close_pair(&p);
}

static void garbage_is_refused(void)
{
    static const struct proto_header cases[] = {
        {.magic = 0, .version = 1, .size = 64},
        {.magic = PROTO_MAGIC, .version = 1, .size = 23},
        {.magic = PROTO_MAGIC, .version = 1, .size = 0},
        {.magic = PROTO_MAGIC, .version = 1, .size = PROTO_MAX_SIZE + 1},
        {.magic = PROTO_MAGIC, .version = 1, .size = UINT32_MAX},
        {.magic = PROTO_MAGIC, .version = 9, .size = 64},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct pair p;
        struct wire_message m;
        REQUIRE(make_pair(&p));
        REQUIRE(put(p.theirs, &cases[i], sizeof(cases[i])));
        CHECK_EQ(wire_receive(&p.wire, &m),
                 cases[i].version == 9 ? EBPF_OPERATION_NOT_SUPPORTED : EBPF_INVALID_ARGUMENT);
        close_pair(&p);
    }
}

static void death_is_noticed(void)
{
    uint8_t bytes[sizeof(struct proto_header) + BODY];
    size_t size = make_message(bytes);
    for (size_t sent = 0; sent < size; sent += 31) {
        struct pair p;
        struct wire_message m;
        REQUIRE(make_pair(&p));
        REQUIRE(sent == 0 || put(p.theirs, bytes, sent));
        close(p.theirs);
        p.theirs = -1;
        CHECK_EQ(wire_receive(&p.wire, &m), sent == 0 ? EBPF_CANCELED : EBPF_RPC_EXCEPTION);
        CHECK_EQ(wire_send(&p.wire, bytes, size, -1), EBPF_RPC_EXCEPTION); // and no SIGPIPE
        close_pair(&p);
    }
}

static void patience_ends(void)
{
    struct pair p;
    struct wire_message m;
    uint8_t bytes[sizeof(struct proto_header) + BODY];
    make_message(bytes);
    REQUIRE(make_pair(&p));
    p.wire.idle_ms = p.wire.message_ms = 1;
    CHECK_EQ(wire_receive(&p.wire, &m), EBPF_TIMEOUT);
    REQUIRE(put(p.theirs, bytes, 10));
    CHECK_EQ(wire_receive(&p.wire, &m), EBPF_TIMEOUT);
    close_pair(&p);
}

static void a_peer_that_does_not_read_is_given_up(void)
{
    enum { SIZE = 8 << 20 };
    static uint8_t bytes[SIZE];
    struct pair p;
    REQUIRE(make_pair(&p));
    p.wire.message_ms = 1;
    CHECK_EQ(wire_send(&p.wire, bytes, SIZE, -1), EBPF_TIMEOUT);
    close_pair(&p);
}

static void stopping_works(void)
{
    enum { SIZE = 8 << 20 };
    static uint8_t bytes[SIZE];
    struct pair p;
    struct wire_message m;
    REQUIRE(make_pair(&p));
    p.wire.idle_ms = 0; // for ever
    p.wire.stop_fd = eventfd(1, EFD_CLOEXEC);
    CHECK_EQ(wire_receive(&p.wire, &m), EBPF_CANCELED);
    CHECK_OK(wire_send(&p.wire, "x", 1, -1)); // an answer that is ready still leaves
    CHECK_EQ(wire_send(&p.wire, bytes, SIZE, -1), EBPF_CANCELED);
    close(p.wire.stop_fd);
    close_pair(&p);
}

// --- descriptors ---------------------------------------------------------------------------------

static bool put_with_fds(int to, const void *bytes, size_t size, unsigned count)
{
    int fds[253];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(fds))];
    } control = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * count);
    for (unsigned i = 0; i < count; i++) {
        fds[i] = to;
    }
    memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
    return sendmsg(to, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

static void descriptors_are_collected_anywhere(void)
{
    struct pair p;
    struct wire_message m;
    uint8_t bytes[sizeof(struct proto_header) + BODY];
    size_t size = make_message(bytes);
    int before;
    REQUIRE(make_pair(&p));
    before = open_fds();
    REQUIRE(put_with_fds(p.theirs, bytes, 10, 2) && put_with_fds(p.theirs, bytes + 10, size - 10, 1));
    REQUIRE_OK(wire_receive(&p.wire, &m));
    CHECK_EQ(m.fd_count, 3);
    CHECK(!m.surplus_fds && !m.lost_fds);
    CHECK_EQ(open_fds(), before + 3);
    wire_message_fini(&m);
    CHECK_EQ(open_fds(), before);
    close_pair(&p);
}

static void surplus_descriptors_are_closed(void)
{
    struct pair p;
    struct wire_message m;
    uint8_t bytes[sizeof(struct proto_header) + BODY];
    size_t size = make_message(bytes);
    int before;
    REQUIRE(make_pair(&p));
    before = open_fds();
    REQUIRE(put_with_fds(p.theirs, bytes, size, 200));
    REQUIRE_OK(wire_receive(&p.wire, &m));
    CHECK(m.surplus_fds);
    CHECK_EQ(m.fd_count, PROTO_MAX_OBJECTS);
    wire_message_fini(&m);
    CHECK_EQ(open_fds(), before);
    REQUIRE(put_with_fds(p.theirs, bytes, 30, 5)); // and those of a message that never ends
    CHECK_EQ(wire_receive(&p.wire, &m), EBPF_TIMEOUT);
    CHECK_EQ(open_fds(), before);
    close_pair(&p);
}

static void a_descriptor_is_sent(void)
{
    struct pair p;
    struct wire_message m;
    uint8_t bytes[sizeof(struct proto_header) + BODY];
    size_t size = make_message(bytes);
    REQUIRE(make_pair(&p));
    REQUIRE_OK(wire_send(&(struct wire){.fd = p.theirs, .stop_fd = -1}, bytes, size, p.theirs));
    REQUIRE_OK(wire_receive(&p.wire, &m));
    CHECK_EQ(m.fd_count, 1);
    CHECK((fcntl(m.fds[0], F_GETFD) & FD_CLOEXEC) != 0);
    wire_message_fini(&m);
    close_pair(&p);
}

static void refusals_are_bare_headers(void)
{
    struct pair p;
    struct wire_message m;
    struct proto_header header;
    REQUIRE(make_pair(&p));
    wire_refuse(p.theirs, EBPF_OUT_OF_SPACE);
    REQUIRE_OK(wire_receive(&p.wire, &m));
    memcpy(&header, m.bytes, sizeof(header));
    CHECK(header.op == 0 && header.result == EBPF_OUT_OF_SPACE && m.size == sizeof(header));
    wire_message_fini(&m);
    close_pair(&p);
}

TEST_SUITE(wire)
{
    RUN(messages_arrive_whole);
    RUN(messages_do_not_mix);
    RUN(garbage_is_refused);
    RUN(death_is_noticed);
    RUN(patience_ends);
    RUN(a_peer_that_does_not_read_is_given_up);
    RUN(stopping_works);
    RUN(descriptors_are_collected_anywhere);
    RUN(surplus_descriptors_are_closed);
    RUN(a_descriptor_is_sent);
    RUN(refusals_are_bare_headers);
}
