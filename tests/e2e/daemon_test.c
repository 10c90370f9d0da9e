// SPDX-License-Identifier: MIT
// The real daemon: its own life, and its clients' connections. What its objects do is in objects_e2e_test.c,
// where other execution contexts do the same.
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plat/plat.h"
#include "tests/e2e/e2e.h"
#include "tests/machine_code.h"

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

// Whatever the file: the path is not even looked at.
static void modules_can_be_forbidden(void)
{
    static const struct proto_module_load_request request;
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {.no_native = true};
    struct transport *t = NULL;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    CHECK_EQ(e2e_call(t, PROTO_MODULE_LOAD, &request, "/x", 3, NULL, 0, NULL), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(e2e_stop(&d), 0);
    t->ops->close(t);
    e2e_remove(&d);
}

// Also where it shows its machine code.
static size_t code_of(struct transport *t, struct insn first, uint8_t code[512])
{
    int prog = -1;
    size_t size = 0;
    CHECK_OK(e2e_load_insn(t, first, &prog));
    CHECK_OK(e2e_code(t, prog, code, 512, &size));
    CHECK(size > 0);
    t->ops->close_fd(t, prog);
    return size;
}

static void code_is_hardened_when_asked_for(const struct e2e_setup *setup)
{
    struct e2e_daemon d = {0};
    struct transport *t = NULL;
    uint8_t code[512];
    REQUIRE(e2e_start(&d, setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    size_t size = code_of(t, TINY_SECRET_INSN, code);
    CHECK(code_has_secret(code, size) != setup->jit_blind);
#if defined(__x86_64__)
    size = code_of(t, TINY_CALL_INSN, code);
    CHECK(code_has_indirect_jump(code, size) != setup->jit_retpoline);
    CHECK(code_has_retpoline(code, size) == setup->jit_retpoline);
#endif
    CHECK_EQ(e2e_stop(&d), 0);
    t->ops->close(t);
    e2e_remove(&d);
}

TEST_SUITE(daemon)
{
    static const struct {
        const char *name;
        struct e2e_setup setup;
    } hardened[] = {
        {"code_is_plain_unless_asked", {.quiet = false}},
        {"jit_blind", {.jit_blind = true}},
        {"jit_retpoline", {.jit_retpoline = true}},
        {"jit_blind_and_retpoline", {.jit_blind = true, .jit_retpoline = true}},
    };
    RUN(modules_can_be_forbidden);
    for (size_t i = 0; i < ARRAY_SIZE(hardened); i++) {
        RUN_WITH(hardened[i].name, code_is_hardened_when_asked_for, &hardened[i].setup);
    }
    RUN(answers);
    RUN(a_forked_client_gets_answers_of_its_own);
    RUN(a_second_daemon_is_refused);
    RUN(stale_sockets_are_replaced);
    RUN(the_end_is_clean);
    RUN(the_end_does_not_wait_for_a_long_run);
    RUN(what_is_no_socket_stays);
}
