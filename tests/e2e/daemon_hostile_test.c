// SPDX-License-Identifier: MIT
// Clients that do with a socket what clients should not. After each, the daemon answers others, and has lost
// and leaked nothing. What any client can do is in hostile_e2e_test.c.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/e2e.h"

#define WITH_DAEMON(name)                                                                                    \
    static void name##_body(struct e2e_daemon *d, struct transport *t);                                      \
    static void name(void)                                                                                   \
    {                                                                                                        \
        with_daemon(name##_body, 0);                                                                         \
    }                                                                                                        \
    static void name##_body(struct e2e_daemon *d, struct transport *t)

static void with_daemon(void (*body)(struct e2e_daemon *, struct transport *), unsigned nofile)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {.nofile = nofile};
    struct transport *t = NULL;
    int fd = -1;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    CHECK_OK(e2e_version(t));
    unsigned fds = e2e_fd_count(&d);
    body(&d, t);
    CHECK_OK(e2e_version(t));
    CHECK(e2e_wait_fd_count(&d, fds)); // by now it has seen every death
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 0);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 0);
    CHECK_OK(e2e_load(t, true, &fd, NULL)); // all of it still works
    close(fd);
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

WITH_DAEMON(half_requests_and_death)
{
    uint8_t bytes[64];
    size_t size = e2e_version_request(bytes);
    UNUSED(t);
    for (size_t cut = 0; cut < size; cut++) {
        int fd = e2e_connect(d);
        REQUIRE(fd >= 0);
        CHECK(cut == 0 || e2e_send(fd, bytes, cut, -1, 0));
        close(fd);
    }
}

WITH_DAEMON(death_before_the_reply)
{
    uint8_t bytes[64];
    size_t size = e2e_version_request(bytes);
    UNUSED(t);
    for (int i = 0; i < 50; i++) {
        int fd = e2e_connect(d);
        REQUIRE(fd >= 0);
        CHECK(e2e_send(fd, bytes, size, -1, 0));
        close(fd);
    }
}

// Asks for an object and is gone before its descriptor arrives.
WITH_DAEMON(death_before_the_object)
{
    uint8_t bytes[256];
    struct proto_map_create_request fixed = {
        .def = {.type = MAP_TYPE_ARRAY, .number = 2, .key_size = 4, .value_size = 8, .max_entries = 1}};
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = PROTO_MAP_CREATE,
                                  .size = sizeof(header) + sizeof(fixed)};
    UNUSED(t);
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), &fixed, sizeof(fixed));
    unsigned fds = e2e_fd_count(d);
    for (int i = 0; i < 50; i++) {
        int fd = e2e_connect(d);
        REQUIRE(fd >= 0);
        CHECK(e2e_send(fd, bytes, header.size, -1, 0));
        close(fd);
    }
    CHECK(e2e_wait_fd_count(d, fds)); // all sessions have ended, all objects are gone
}

// Starts a run of hours and is gone: nobody pays for it. Its connection and its program would stay in the
// daemon.
WITH_DAEMON(death_during_a_long_run)
{
    uint8_t bytes[256];
    int prog = -1;
    struct proto_prog_test_run_request run = {.repeat = UINT32_MAX, .data_in_size = 4};
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = PROTO_PROG_TEST_RUN,
                                  .size = sizeof(header) + sizeof(run) + 4,
                                  .objects = 1};
    REQUIRE_OK(e2e_load(t, true, &prog, NULL));
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), &run, sizeof(run));
    memcpy(bytes + sizeof(header) + sizeof(run), "data", 4);
    int fd = e2e_connect(d);
    REQUIRE(fd >= 0);
    CHECK(e2e_send(fd, bytes, header.size, prog, 1));
    close(fd);
    close(prog);
}

// Sends a header and checks that the daemon says `expected` and closes.
static void check_refused(struct e2e_daemon *d, const struct proto_header *header, ebpf_result_t expected)
{
    struct proto_header reply = {0};
    int fd = e2e_connect(d);
    REQUIRE(fd >= 0);
    CHECK(e2e_send(fd, header, sizeof(*header), -1, 0));
    CHECK(e2e_read_header(fd, &reply));
    CHECK_EQ(reply.result, expected);
    CHECK(e2e_is_closed(fd));
    close(fd);
}

WITH_DAEMON(wrong_magic_size_version)
{
    struct proto_header good = {
        .magic = PROTO_MAGIC, .version = PROTO_WIRE_VERSION, .op = PROTO_VERSION, .size = sizeof(good) + 4};
    struct proto_header h = good;
    UNUSED(t);
    h.magic ^= 0x100;
    check_refused(d, &h, EBPF_INVALID_ARGUMENT);
    h = good;
    h.size = UINT32_MAX;
    check_refused(d, &h, EBPF_INVALID_ARGUMENT);
    h.size = PROTO_MAX_SIZE + 1;
    check_refused(d, &h, EBPF_INVALID_ARGUMENT);
    h.size = 3;
    check_refused(d, &h, EBPF_INVALID_ARGUMENT);
    h = good;
    h.version++;
    check_refused(d, &h, EBPF_OPERATION_NOT_SUPPORTED);
}

WITH_DAEMON(a_huge_request_that_never_comes)
{
    struct proto_header h = {
        .magic = PROTO_MAGIC, .version = PROTO_WIRE_VERSION, .op = PROTO_PROG_LOAD, .size = PROTO_MAX_SIZE};
    int fds[20];
    UNUSED(t);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = e2e_connect(d);
        REQUIRE(fds[i] >= 0);
        CHECK(e2e_send(fds[i], &h, sizeof(h), -1, 0));
    }
    CHECK_OK(e2e_version(t));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        close(fds[i]);
    }
}

WITH_DAEMON(garbage)
{
    uint64_t seed = 88172645463325252u;
    UNUSED(t);
    for (int i = 0; i < 30; i++) {
        uint8_t bytes[4096];
        int fd = e2e_connect(d);
        REQUIRE(fd >= 0);
        for (size_t n = 0; n < sizeof(bytes); n++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes[n] = (uint8_t)seed;
        }
        UNUSED(e2e_send(fd, bytes, sizeof(bytes), -1, 0)); // the daemon may close in the middle
        CHECK(e2e_is_closed(fd));
        close(fd);
    }
}

// Valid frames of every operation around random bodies: each gets a reply, and the connection stays usable.
WITH_DAEMON(random_bodies)
{
    uint64_t seed = 1;
    int fd = e2e_connect(d);
    UNUSED(t);
    REQUIRE(fd >= 0);
    for (unsigned i = 0; i < 400; i++) {
        uint8_t bytes[512];
        struct proto_header reply, header = {.magic = PROTO_MAGIC,
                                             .version = PROTO_WIRE_VERSION,
                                             .op = (uint16_t)(i % 25),
                                             .size = 24 + i % 300,
                                             .cookie = i};
        for (size_t n = 0; n < sizeof(bytes); n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[n] = i % 2 == 0 ? 0 : (uint8_t)(seed >> 56);
        }
        memcpy(bytes, &header, sizeof(header));
        REQUIRE(e2e_send(fd, bytes, header.size, -1, 0));
        REQUIRE(e2e_read_header(fd, &reply));
        CHECK(reply.cookie == i && reply.op == header.op && reply.size < sizeof(bytes));
        if (reply.size > sizeof(reply)) {
            REQUIRE(recv(fd, bytes, reply.size - sizeof(reply), MSG_WAITALL) ==
                    (ssize_t)(reply.size - sizeof(reply)));
        }
    }
    close(fd);
}

// --- descriptors ---------------------------------------------------------------------------------

// One request on a raw connection with `count` copies of `fd`; the reply's result.
static ebpf_result_t ask_with_fds(struct e2e_daemon *d, uint16_t op, uint32_t objects, int fd, unsigned count)
{
    struct proto_header reply = {.result = EBPF_FAILED};
    uint8_t bytes[512] = {0};
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = op,
                                  .size = (uint32_t)sizeof(header) + proto_op_row(op)->request_size,
                                  .objects = objects};
    int connection = e2e_connect(d);
    memcpy(bytes, &header, sizeof(header));
    CHECK(connection >= 0 && e2e_send(connection, bytes, header.size, fd, count));
    CHECK(e2e_read_header(connection, &reply));
    close(connection);
    return (ebpf_result_t)reply.result;
}

WITH_DAEMON(descriptors_of_strangers)
{
    int pair[2], pipes[2], map = -1, file = open("/dev/null", O_RDONLY);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
    int connection = e2e_connect(d);
    CHECK_EQ(ask_with_fds(d, PROTO_OBJECT_INFO, 1, pair[0], 1), EBPF_INVALID_FD);
    CHECK_EQ(ask_with_fds(d, PROTO_OBJECT_INFO, 1, pipes[0], 1), EBPF_INVALID_FD);
    CHECK_EQ(ask_with_fds(d, PROTO_OBJECT_INFO, 1, file, 1), EBPF_INVALID_FD);
    CHECK_EQ(ask_with_fds(d, PROTO_OBJECT_INFO, 1, connection, 1), EBPF_INVALID_FD); // a connection to it
    CHECK_EQ(ask_with_fds(d, PROTO_OBJECT_INFO, 1, -1, 0), EBPF_INVALID_ARGUMENT);   // announced, not sent
    REQUIRE_OK(e2e_create_map(t, &map));
    CHECK_EQ(ask_with_fds(d, PROTO_OBJECT_INFO, 0, map, 1), EBPF_INVALID_ARGUMENT); // sent, not announced
    CHECK_EQ(ask_with_fds(d, PROTO_OBJECT_INFO, 1, map, 2), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(ask_with_fds(d, PROTO_OBJECT_INFO, 1, map, 1), EBPF_SUCCESS);
    CHECK_EQ(ask_with_fds(d, PROTO_LINK_DETACH, 1, map, 1), EBPF_INVALID_OBJECT);
    shutdown(map, SHUT_RDWR); // hurts only the one who does it
    struct proto_empty fixed = {0};
    UNUSED(e2e_object_count(t, PROTO_KIND_MAP)); // has the daemon look
    CHECK_EQ(e2e_call(t, PROTO_OBJECT_INFO, &fixed, NULL, 0, &map, 1, NULL), EBPF_INVALID_FD);
    const int all[] = {pair[0], pair[1], pipes[0], pipes[1], file, connection, map};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        close(all[i]);
    }
}

WITH_DAEMON(too_many_descriptors)
{
    int map = -1;
    REQUIRE_OK(e2e_create_map(t, &map));
    CHECK_EQ(ask_with_fds(d, PROTO_OBJECT_INFO, 253, map, 253), EBPF_INVALID_FD);
    CHECK_EQ(ask_with_fds(d, PROTO_PROG_LOAD, 200, map, 200), EBPF_INVALID_FD);
    CHECK_EQ(ask_with_fds(d, PROTO_VERSION, PROTO_MAX_OBJECTS, map, PROTO_MAX_OBJECTS),
             EBPF_INVALID_ARGUMENT);
    int connection = e2e_connect(d); // descriptors with a message that never ends
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = PROTO_OBJECT_INFO,
                                  .size = 28,
                                  .objects = 1};
    CHECK(e2e_send(connection, &header, sizeof(header), map, 100));
    close(connection);
    close(map);
}

static void fill_descriptors(struct e2e_daemon *d, struct transport *t)
{
    enum { LIMIT = 40 };
    int fds[LIMIT], count = 0, extra[LIMIT], connected = 0;
    ebpf_result_t result = EBPF_SUCCESS;
    while (count < LIMIT && (result = e2e_create_map(t, &fds[count])) == EBPF_SUCCESS) {
        count++;
    }
    CHECK_EQ(result, EBPF_OUT_OF_SPACE);
    CHECK(count > 5 && count < LIMIT);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), count); // the failed one left nothing
    for (; connected < LIMIT; connected++) { // the daemon takes what it can and says so to the rest
        struct proto_header reply = {0};
        uint8_t bytes[64];
        size_t size = e2e_version_request(bytes);
        extra[connected] = e2e_connect(d);
        REQUIRE(extra[connected] >= 0);
        UNUSED(e2e_send(extra[connected], bytes, size, -1, 0));
        CHECK(e2e_read_header(extra[connected], &reply));
        if (reply.op == 0) {
            CHECK_EQ(reply.result, EBPF_OUT_OF_SPACE);
            break;
        }
    }
    CHECK(connected < LIMIT);
    struct proto_empty fixed = {0}; // now there is no room for a descriptor that comes with a request
    CHECK_EQ(e2e_call(t, PROTO_OBJECT_INFO, &fixed, NULL, 0, &fds[0], 1, NULL), EBPF_OUT_OF_SPACE);
    for (int i = 0; i <= connected && i < LIMIT; i++) {
        close(extra[i]);
    }
    while (count > 0) {
        close(fds[--count]);
    }
}

static void running_out_of_descriptors(void)
{
    with_daemon(fill_descriptors, 40);
}

// --- too many, and not permitted -----------------------------------------------------------------

WITH_DAEMON(too_many_clients)
{
    enum { MOST = 256, TRIES = 300 };
    int fds[TRIES], count = 0;
    bool refused = false;
    uint8_t bytes[64];
    size_t size = e2e_version_request(bytes);
    UNUSED(t);
    while (count < TRIES && !refused) {
        struct proto_header reply = {0};
        fds[count] = e2e_connect(d);
        REQUIRE(fds[count] >= 0);
        UNUSED(e2e_send(fds[count], bytes, size, -1, 0));
        CHECK(e2e_read_header(fds[count], &reply));
        refused = reply.op == 0 && reply.result == EBPF_OUT_OF_SPACE;
        count++;
    }
    CHECK(refused);
    CHECK_EQ(count, MOST); // our transport's connection is one of them, and the last was refused
    while (count > 0) {
        close(fds[--count]);
    }
}

// In a child without rights: what does the daemon say?
static ebpf_result_t ask_as_nobody(const char *socket)
{
    struct transport *t = NULL;
    if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0) {
        return EBPF_FAILED;
    }
    TRY(transport_open_unix(socket, &t));
    return e2e_version(t);
}

static int exit_status_of_nobody(const char *socket)
{
    int status = -1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit((int)ask_as_nobody(socket));
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void other_users_are_refused(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {0};
    if (geteuid() != 0) {
        SKIP("needs root to become somebody else");
    }
    REQUIRE(e2e_start(&d, &setup));
    CHECK_EQ(chmod(d.folder, 0755), 0);
    CHECK_EQ(exit_status_of_nobody(d.socket), EBPF_ACCESS_DENIED); // by the file's mode
    CHECK_EQ(chmod(d.socket, 0666), 0);
    CHECK_EQ(exit_status_of_nobody(d.socket), EBPF_ACCESS_DENIED); // by the daemon
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

TEST_SUITE(daemon_hostile)
{
    RUN(half_requests_and_death);
    RUN(death_before_the_reply);
    RUN(death_before_the_object);
    RUN(death_during_a_long_run);
    RUN(wrong_magic_size_version);
    RUN(a_huge_request_that_never_comes);
    RUN(garbage);
    RUN(random_bodies);
    RUN(descriptors_of_strangers);
    RUN(too_many_descriptors);
    RUN(running_out_of_descriptors);
    RUN(too_many_clients);
    RUN(other_users_are_refused);
}
