// SPDX-License-Identifier: MIT
// The verification service as an unreliable or hostile neighbour: it dies, hangs, lies, talks nonsense. One
// load fails with a clear text; the next one works.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/e2e.h"

static void check_one_failure(const char *mode, ebpf_result_t expected, const char *words)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {.service = FAKE_SERVICE_PATH, .mode = mode, .timeout_s = 1};
    struct transport *t = NULL;
    char text[512] = "";
    int fd = -1;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    CHECK_OK(e2e_version(t));
    unsigned fds = e2e_fd_count(&d);
    for (int i = 0; i < 2; i++) { // not only the first time
        CHECK_EQ(e2e_load(t, true, &fd, text), expected);
        if (strstr(text, words) == NULL) {
            test_fail(__FILE__, __LINE__, "mode %s says: %s", mode, text);
        }
        CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 0);
    }
    CHECK(e2e_set_mode(&d, "honest"));
    CHECK_OK(e2e_load(t, true, &fd, NULL));
    close(fd);
    CHECK_EQ(e2e_load(t, false, &fd, NULL), EBPF_VERIFICATION_FAILED);
    CHECK(e2e_wait_fd_count(&d, fds));
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

static void a_crash_fails_one_load(void)
{
    check_one_failure("crash", EBPF_RPC_EXCEPTION, "crashed (signal 11)");
}

static void an_exit_fails_one_load(void)
{
    check_one_failure("exit", EBPF_RPC_EXCEPTION, "ended (status 3)");
}

static void a_hang_ends_at_the_limit(void)
{
    check_one_failure("hang", EBPF_TIMEOUT, "took longer than");
}

static void nonsense_fails_one_load(void)
{
    check_one_failure("garbage", EBPF_RPC_EXCEPTION, "did not answer as it should");
    check_one_failure("cookie", EBPF_RPC_EXCEPTION, "did not answer as it should");
    check_one_failure("cut", EBPF_RPC_EXCEPTION, "ended (status 0)");
}

static void a_lie_is_found_out(void)
{
    check_one_failure("lie", EBPF_PROGRAM_LOAD_FAILED, "evidence");
}

// --- the real one --------------------------------------------------------------------------------

static void killed_between_loads_nobody_notices(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {0};
    struct transport *t = NULL;
    int fd = -1;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    pid_t first = e2e_service_pid(&d);
    REQUIRE(first > 0);
    CHECK_EQ(kill(first, SIGKILL), 0);
    CHECK_OK(e2e_version(t));
    ebpf_result_t result = EBPF_FAILED;
    for (int i = 0; i < 100 && result != EBPF_SUCCESS; i++) { // the kill may take a moment to arrive
        result = e2e_load(t, true, &fd, NULL);
        CHECK(result == EBPF_SUCCESS || result == EBPF_RPC_EXCEPTION);
    }
    REQUIRE_OK(result);
    close(fd);
    CHECK(e2e_service_pid(&d) > 0);
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

// A child loads while the service stands still; then the service is killed. Whether the request was under way
// already or not, the daemon answers: a failure, or a load by the next service.
static void killed_during_a_load(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {0};
    struct transport *t = NULL;
    int status = -1, fd = -1;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    pid_t service = e2e_service_pid(&d);
    REQUIRE(service > 0);
    CHECK_EQ(kill(service, SIGSTOP), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int loaded = -1;
        _exit((int)e2e_load(t, true, &loaded, NULL));
    }
    for (int i = 0; i < 20; i++) {
        CHECK_OK(e2e_version(t)); // others are served meanwhile
        usleep(5000);
    }
    CHECK_EQ(kill(service, SIGKILL), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == EBPF_RPC_EXCEPTION || WEXITSTATUS(status) == EBPF_SUCCESS);
    CHECK_OK(e2e_load(t, true, &fd, NULL));
    close(fd);
    CHECK(e2e_service_pid(&d) > 0 && e2e_service_pid(&d) != service);
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

// The client whose load is given up still hears why.
static int load_and_be_told(struct transport *t)
{
    char text[512] = "";
    int fd = -1;
    ebpf_result_t result = e2e_load(t, true, &fd, text);
    return result == EBPF_CANCELED && strcmp(text, "the daemon is ending\n") == 0 ? 0 : 1;
}

static void a_daemon_ends_during_a_load(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {.service = FAKE_SERVICE_PATH, .mode = "announce"};
    struct transport *t = NULL;
    int status = -1;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    pid_t service = e2e_service_pid(&d);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(load_and_be_told(t));
    }
    CHECK(e2e_wait_mode(&d, "hanging"));
    CHECK_EQ(e2e_stop(&d), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(kill(service, 0) != 0);
    t->ops->close(t);
    e2e_remove(&d);
}

// Nobody waits for the verdict any more: the load goes when the worker is given up, and with it what it held.
static void a_client_dies_during_its_load(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {.service = FAKE_SERVICE_PATH, .mode = "announce", .timeout_s = 1};
    struct transport *t = NULL;
    int fd = -1;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    CHECK_OK(e2e_version(t));
    unsigned fds = e2e_fd_count(&d);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(load_and_be_told(t));
    }
    CHECK(e2e_wait_mode(&d, "hanging"));
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK(e2e_set_mode(&d, "honest"));
    CHECK(e2e_wait_fd_count(&d, fds - 1));  // the connection has gone, and the worker that was given up
    CHECK_OK(e2e_load(t, true, &fd, NULL)); // by another one
    close(fd);
    CHECK(e2e_wait_fd_count(&d, fds));
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 0);
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

static void a_missing_service_is_said_at_the_start(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {.service = "/nonexistent/ebpfsvc", .quiet = true};
    CHECK(!e2e_start(&d, &setup));
    CHECK(!e2e_exists(d.socket));
    e2e_remove(&d);
}

// --- several workers, each in its sandbox --------------------------------------------------------

// While one program is judged for ever, another is loaded.
static void a_hang_holds_nobody_up(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {.service = FAKE_SERVICE_PATH, .mode = "announce"};
    struct transport *t = NULL;
    int fd = -1;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(load_and_be_told(t));
    }
    CHECK(e2e_wait_mode(&d, "hanging"));
    CHECK(e2e_set_mode(&d, "honest"));
    CHECK_OK(e2e_load(t, true, &fd, NULL));
    close(fd);
    CHECK_EQ(waitpid(child, NULL, WNOHANG), 0); // still
    CHECK_EQ(e2e_stop(&d), 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    t->ops->close(t);
    e2e_remove(&d);
}

static void check_sandbox(bool no_sandbox, int seccomp)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {.no_sandbox = no_sandbox};
    struct transport *t = NULL;
    int fd = -1;
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    CHECK_OK(e2e_load(t, true, &fd, NULL)); // then it has entered
    CHECK_EQ(e2e_status(e2e_service_pid(&d), "Seccomp"), seccomp);
    CHECK_EQ(e2e_status(e2e_service_pid(&d), "NoNewPrivs"), 1);
    close(fd);
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

// 2 is a filter, 0 nothing; see proc(5). What the filter does is tested beside it.
static void workers_have_a_sandbox(void)
{
    check_sandbox(false, EXPECTED_SECCOMP);
    check_sandbox(true, 0);
}

static void without_a_sandbox_nothing_starts(void)
{
    struct e2e_daemon d = {0};
    struct e2e_setup setup = {.service = FAKE_SERVICE_PATH, .mode = "unconfinable", .quiet = true};
    struct transport *t = NULL;
    CHECK(!e2e_start(&d, &setup));
    CHECK(!e2e_exists(d.socket));
    setup.no_sandbox = true; // unless one says so
    REQUIRE(e2e_start(&d, &setup));
    REQUIRE_OK(transport_open_unix(d.socket, &t));
    CHECK_OK(e2e_version(t));
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

TEST_SUITE(daemon_service)
{
    RUN(a_hang_holds_nobody_up);
    RUN(workers_have_a_sandbox);
    RUN(without_a_sandbox_nothing_starts);
    RUN(a_crash_fails_one_load);
    RUN(an_exit_fails_one_load);
    RUN(a_hang_ends_at_the_limit);
    RUN(nonsense_fails_one_load);
    RUN(a_lie_is_found_out);
    RUN(killed_between_loads_nobody_notices);
    RUN(killed_during_a_load);
    RUN(a_daemon_ends_during_a_load);
    RUN(a_client_dies_during_its_load);
    RUN(a_missing_service_is_said_at_the_start);
}
