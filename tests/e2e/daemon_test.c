// SPDX-License-Identifier: MIT
// The real daemon and real clients: lifetimes across processes.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plat/plat.h"
#include "tests/e2e/e2e.h"

// Runs `body` with a fresh daemon and a client; afterwards the daemon must have no object, no descriptor more
// than before, and end well.
#define WITH_DAEMON(name)                                                                                    \
    static void name##_body(struct e2e_daemon *d, struct transport *t);                                      \
    static void name(void)                                                                                   \
    {                                                                                                        \
        with_daemon(name##_body);                                                                            \
    }                                                                                                        \
    static void name##_body(struct e2e_daemon *d, struct transport *t)

static void with_daemon(void (*body)(struct e2e_daemon *, struct transport *))
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {0};
    struct transport *t = NULL;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    CHECK_OK(e2e_version(t));
    unsigned fds = e2e_fd_count(&d);
    body(&d, t);
    if (d.pid != 0) {
        CHECK(e2e_wait_fd_count(&d, fds)); // by now it has seen every end
        CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 0);
        CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 0);
        CHECK_EQ(e2e_stop(&d), 0);
    }
    t->ops->close(t);
    e2e_remove(&d);
}

WITH_DAEMON(answers)
{
    CHECK(d->pid > 0);
    CHECK_OK(e2e_version(t));
    CHECK(e2e_service_pid(d) > 0);
}

WITH_DAEMON(loads_what_verifies)
{
    int fd = -1;
    char text[512];
    UNUSED(d);
    REQUIRE_OK(e2e_load(t, true, &fd, text));
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 1);
    close(fd);
    CHECK_EQ(e2e_load(t, false, &fd, text), EBPF_VERIFICATION_FAILED);
    CHECK(text[0] != 0);
}

WITH_DAEMON(two_clients_see_the_same)
{
    struct transport *other = NULL;
    struct e2e_reply got;
    int fd = -1;
    REQUIRE_OK(transport_open_unix(d->socket, &other));
    REQUIRE_OK(e2e_create_map(t, &fd));
    REQUIRE_OK(e2e_path(t, PROTO_OBJECT_PIN, "m", fd, NULL));
    REQUIRE_OK(e2e_path(other, PROTO_OBJECT_GET, "/sys/fs/bpf/m", -1, &got));
    uint32_t key = 0;
    uint64_t value = 4711;
    uint8_t tail[12];
    struct proto_map_update_request set = {.key_size = 4};
    struct proto_map_lookup_request find = {0};
    struct e2e_reply reply;
    memcpy(tail, &key, 4);
    memcpy(tail + 4, &value, 8);
    CHECK_OK(e2e_call(t, PROTO_MAP_UPDATE, &set, tail, sizeof(tail), &fd, 1, NULL));
    CHECK_OK(e2e_call(other, PROTO_MAP_LOOKUP, &find, &key, 4, &got.fd, 1, &reply));
    CHECK(memcmp(reply.text, &value, 8) == 0);
    CHECK_OK(e2e_path(other, PROTO_OBJECT_UNPIN, "m", -1, NULL));
    close(fd);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 1); // the other client has it
    close(got.fd);
    other->ops->close(other);
}

WITH_DAEMON(objects_live_as_long_as_a_descriptor)
{
    int fd = -1, copy = -1;
    UNUSED(d);
    REQUIRE_OK(e2e_create_map(t, &fd));
    REQUIRE_OK(t->ops->dup_fd(t, fd, &copy));
    close(fd);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 1);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        pause(); // holds a copy until it is killed
        _exit(0);
    }
    close(copy);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 0);
}

WITH_DAEMON(objects_go_from_process_to_process)
{
    int pair[2], fd = -1;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) { // makes a map and sends it away
        struct transport *own = NULL;
        int made = -1;
        bool sent = transport_open_unix(d->socket, &own) == EBPF_SUCCESS &&
                    e2e_create_map(own, &made) == EBPF_SUCCESS && e2e_send(pair[1], "x", 1, made, 1);
        _exit(sent ? 0 : 1);
    }
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    CHECK_EQ(recvmsg(pair[0], &message, MSG_CMSG_CLOEXEC), 1);
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
    REQUIRE(CMSG_FIRSTHDR(&message) != NULL);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    struct proto_empty fixed = {0};
    CHECK_OK(e2e_call(t, PROTO_OBJECT_INFO, &fixed, NULL, 0, &fd, 1, NULL));
    close(fd);
    close(pair[0]);
    close(pair[1]);
}

// A child that loads, pins and holds, and says when it is done.
static void load_and_wait(const struct e2e_daemon *d, int ready)
{
    struct transport *t = NULL;
    int prog = -1, pinned = -1, map = -1;
    bool done = transport_open_unix(d->socket, &t) == EBPF_SUCCESS &&
                e2e_load(t, true, &prog, NULL) == EBPF_SUCCESS &&
                e2e_load(t, true, &pinned, NULL) == EBPF_SUCCESS && e2e_create_map(t, &map) == EBPF_SUCCESS &&
                e2e_path(t, PROTO_OBJECT_PIN, "kept", pinned, NULL) == EBPF_SUCCESS;
    if (write(ready, done ? "+" : "-", 1) == 1) {
        pause();
    }
    _exit(0);
}

WITH_DAEMON(kill_9_of_a_loader_keeps_only_pins)
{
    int ready[2];
    char said = 0;
    REQUIRE(pipe(ready) == 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        load_and_wait(d, ready[1]);
    }
    close(ready[1]);
    CHECK(read(ready[0], &said, 1) == 1 && said == '+');
    close(ready[0]);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 2);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 1);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 0);
    struct e2e_reply got;
    REQUIRE_OK(e2e_path(t, PROTO_OBJECT_GET, "kept", -1, &got));
    struct proto_prog_test_run_request run = {.data_in_size = 4};
    struct e2e_reply ran;
    CHECK_OK(e2e_call(t, PROTO_PROG_TEST_RUN, &run, "data", 4, &got.fd, 1, &ran));
    CHECK_EQ(ran.fixed[0], 1); // r0
    close(got.fd);
    CHECK_OK(e2e_path(t, PROTO_OBJECT_UNPIN, "kept", -1, NULL));
}

struct worker {
    const char *socket;
    struct transport *shared;
    unsigned failures;
};

static void *work(void *user)
{
    struct worker *w = user;
    for (int i = 0; i < 50; i++) {
        int map = -1, prog = -1;
        w->failures += e2e_create_map(w->shared, &map) != EBPF_SUCCESS;
        w->failures += i % 10 == 0 && e2e_load(w->shared, true, &prog, NULL) != EBPF_SUCCESS;
        w->failures += e2e_version(w->shared) != EBPF_SUCCESS;
        close(map);
        if (prog >= 0) {
            close(prog);
        }
    }
    return NULL;
}

WITH_DAEMON(many_threads_at_once)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    struct transport *own = NULL;
    REQUIRE_OK(transport_open_unix(d->socket, &own));
    for (int i = 0; i < THREADS; i++) { // half of them share a transport
        workers[i] = (struct worker){d->socket, i % 2 == 0 ? t : own, 0};
        REQUIRE(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(workers[i].failures, 0);
    }
    own->ops->close(own);
    struct transport *fresh = NULL; // idle connections of `t` count as descriptors: leave one, as before
    REQUIRE_OK(transport_open_unix(d->socket, &fresh));
    CHECK_EQ(e2e_object_count(fresh, PROTO_KIND_MAP), 0);
    fresh->ops->close(fresh);
    CHECK_EQ(e2e_stop(d), 0);
}

WITH_DAEMON(a_forked_client_gets_answers_of_its_own)
{
    int status = -1;
    UNUSED(d);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) { // inherits the connection and must not use it
        unsigned failures = 0;
        for (int i = 0; i < 100; i++) {
            failures += e2e_version(t) != EBPF_SUCCESS;
        }
        _exit(failures == 0 ? 0 : 1);
    }
    for (int i = 0; i < 100; i++) {
        CHECK_OK(e2e_version(t));
    }
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
}

// --- the daemon's own life -----------------------------------------------------------------------

WITH_DAEMON(a_second_daemon_is_refused)
{
    CHECK_EQ(e2e_run_second(d), 1);
    CHECK_OK(e2e_version(t)); // and the first is unharmed
}

static void stale_sockets_are_replaced(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {0};
    struct transport *t = NULL;
    REQUIRE(e2e_start(&d, &setup));
    e2e_kill(&d);
    CHECK(e2e_exists(d.socket));
    // The service may hold the daemon's socket for a moment, until its exec has closed what it inherited.
    for (int i = 0; i < 1000 && transport_open_unix(d.socket, &t) == EBPF_SUCCESS; i++) {
        t->ops->close(t);
        plat_sleep_us(10000);
    }
    CHECK_EQ(transport_open_unix(d.socket, &t), EBPF_OBJECT_NOT_FOUND);
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    CHECK_OK(e2e_version(t));
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

static void the_end_is_clean(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {0};
    struct transport *t = NULL;
    char lock[100];
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    pid_t service = e2e_service_pid(&d);
    snprintf(lock, sizeof(lock), "%s.lock", d.socket);
    CHECK(e2e_exists(lock));
    CHECK_EQ(e2e_stop(&d), 0);
    CHECK(!e2e_exists(d.socket) && !e2e_exists(lock));
    CHECK(service > 0 && kill(service, 0) != 0);
    CHECK_EQ(e2e_version(t), EBPF_OBJECT_NOT_FOUND); // the connection is dead, and so is the daemon
    REQUIRE(e2e_start(&d, &setup));
    CHECK_OK(e2e_version(t)); // the same client finds the next one
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

// A run of billions cannot be waited for: it is given up, and the daemon ends.
static void the_end_does_not_wait_for_a_long_run(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {.quiet = true};
    struct transport *t = NULL;
    int fd = -1, status = 0;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    REQUIRE_OK(e2e_load(t, true, &fd, NULL));
    pid_t service = e2e_service_pid(&d);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct proto_prog_test_run_request run = {.repeat = UINT32_MAX, .data_in_size = 4};
        _exit((int)e2e_call(t, PROTO_PROG_TEST_RUN, &run, "data", 4, &fd, 1, NULL));
    }
    usleep(50000);
    CHECK_EQ(e2e_stop(&d), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) != EBPF_SUCCESS);
    CHECK(!e2e_exists(d.socket) && kill(service, 0) != 0);
    close(fd);
    t->ops->close(t);
    e2e_remove(&d);
}

static void what_is_no_socket_stays(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {0};
    REQUIRE(e2e_start(&d, &setup));
    CHECK_EQ(e2e_stop(&d), 0);
    FILE *file = fopen(d.socket, "w");
    REQUIRE(file != NULL);
    fclose(file);
    CHECK_EQ(e2e_run_second(&d), 1);
    CHECK(e2e_exists(d.socket));
    e2e_remove(&d);
}

TEST_SUITE(daemon)
{
    RUN(answers);
    RUN(loads_what_verifies);
    RUN(two_clients_see_the_same);
    RUN(objects_live_as_long_as_a_descriptor);
    RUN(objects_go_from_process_to_process);
    RUN(kill_9_of_a_loader_keeps_only_pins);
    RUN(many_threads_at_once);
    RUN(a_forked_client_gets_answers_of_its_own);
    RUN(a_second_daemon_is_refused);
    RUN(stale_sockets_are_replaced);
    RUN(the_end_is_clean);
    RUN(the_end_does_not_wait_for_a_long_run);
    RUN(what_is_no_socket_stays);
}
