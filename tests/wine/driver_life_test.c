// SPDX-License-Identifier: MIT
// The life of ebpfcore.sys and of what it is asked: requests that are cancelled or whose process dies, the
// driver stopped and loaded twice, callers without rights, its own tests. After each case the driver's own
// counts are those of before.
#include <stdlib.h>

#include "spec/spec.h"
#include "tests/machine_code.h"
#include "tests/wine/driver_client.h"

// --- requests that end early ---------------------------------------------------------------------

struct long_run {
    HANDLE h;
    OVERLAPPED overlapped;
    uint8_t message[128], out[128];
};

// Starts a test run that would last for hours.
static bool start_long_run(struct long_run *r)
{
    struct proto_prog_test_run_request fixed = {.repeat = UINT32_MAX};
    HANDLE maker = client_open(0);
    struct proto_next_id_request first = {PROTO_KIND_PROGRAM, 0};
    struct proto_open_id_request open = {.kind = PROTO_KIND_PROGRAM};
    memset(r, 0, sizeof(*r));
    CHECK_OK(client_make_program(maker, PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY));
    // The handle of the run is asynchronous, and a second one to the same program.
    HANDLE asker = client_open(0);
    CHECK_OK(client_ask(asker, PROTO_NEXT_ID, &first, NULL, 0, 0));
    memcpy(&open.id, client_reply + sizeof(struct proto_header), sizeof(open.id));
    CloseHandle(asker);
    r->h = client_open(FILE_FLAG_OVERLAPPED);
    r->overlapped.hEvent = CreateEventA(NULL, TRUE, FALSE, NULL);
    size_t size = client_build(r->message, PROTO_OPEN_ID, &open, NULL, 0, 0);
    DWORD done = 0;
    if (!DeviceIoControl(r->h, PROTO_CONTROL_CODE(PROTO_CONTROL_REQUEST), r->message, (DWORD)size, r->out,
                         sizeof(r->out), &done, &r->overlapped) &&
        !GetOverlappedResult(r->h, &r->overlapped, &done, TRUE)) {
        return false;
    }
    CloseHandle(maker);
    size = client_build(r->message, PROTO_PROG_TEST_RUN, &fixed, NULL, 0, 1);
    ResetEvent(r->overlapped.hEvent);
    return !DeviceIoControl(r->h, PROTO_CONTROL_CODE(PROTO_CONTROL_REQUEST), r->message, (DWORD)size, r->out,
                            sizeof(r->out), &done, &r->overlapped) &&
           GetLastError() == ERROR_IO_PENDING;
}

static void wait_until_pending(uint32_t count)
{
    for (unsigned tries = 0; tries < 1500 && client_witness().pending_requests != count; tries++) {
        Sleep(10);
    }
    CHECK_EQ(client_witness().pending_requests, count);
}

static void end_long_run(struct long_run *r)
{
    CloseHandle(r->h);
    CloseHandle(r->overlapped.hEvent);
}

WITH_WITNESS(a_run_is_cancelled)
{
    static struct long_run r;
    DWORD done;
    CHECK(start_long_run(&r));
    wait_until_pending(1);
    Sleep(50); // so that a worker is likely to run it; what follows holds in any case
    CHECK(CancelIoEx(r.h, &r.overlapped));
    CHECK_EQ(WaitForSingleObject(r.overlapped.hEvent, 5000), WAIT_OBJECT_0);
    CHECK(!GetOverlappedResult(r.h, &r.overlapped, &done, FALSE));
    CHECK_EQ(GetLastError(), ERROR_OPERATION_ABORTED);
    end_long_run(&r);
}

// More runs than there are workers: some are cancelled while they run, some while they wait.
WITH_WITNESS(waiting_runs_are_cancelled)
{
    enum { RUNS = 8 };
    static struct long_run runs[RUNS];
    for (unsigned i = 0; i < RUNS; i++) {
        CHECK(start_long_run(&runs[i]));
    }
    wait_until_pending(RUNS);
    HANDLE h = client_open(0);
    CHECK_OK(client_make_program(h, PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY)); // others get their turn
    CloseHandle(h);
    for (unsigned i = RUNS; i-- > 0;) {
        DWORD done;
        CHECK(CancelIoEx(runs[i].h, &runs[i].overlapped));
        CHECK_EQ(WaitForSingleObject(runs[i].overlapped.hEvent, 5000), WAIT_OBJECT_0);
        CHECK(!GetOverlappedResult(runs[i].h, &runs[i].overlapped, &done, FALSE));
        CHECK_EQ(GetLastError(), ERROR_OPERATION_ABORTED);
        end_long_run(&runs[i]);
    }
}

// Runs that fill their queue keep neither verdicts out, which have their own, nor anybody else.
WITH_WITNESS(a_full_queue_leaves_the_others)
{
    enum { LIMIT = 1024, MORE = 8 };
    static struct long_run r;
    static OVERLAPPED waiting[LIMIT + MORE];
    struct proto_prog_test_run_request fixed = {.repeat = UINT32_MAX};
    uint8_t message[128];
    unsigned pending = 0;
    DWORD done;
    CHECK(start_long_run(&r));
    size_t size = client_build(message, PROTO_PROG_TEST_RUN, &fixed, NULL, 0, 1);
    for (unsigned i = 0; i < LIMIT + MORE; i++) {
        CHECK(!DeviceIoControl(r.h, PROTO_CONTROL_CODE(PROTO_CONTROL_REQUEST), message, (DWORD)size, r.out,
                               sizeof(r.out), &done, &waiting[i]));
        DWORD error = GetLastError();
        pending += error == ERROR_IO_PENDING;
        CHECK(error == ERROR_IO_PENDING || error == ERROR_NO_SYSTEM_RESOURCES);
    }
    CHECK_EQ(pending, LIMIT - 1); // and the first
    HANDLE h = client_open(0);
    CHECK_OK(client_make_program(h, PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY));
    CloseHandle(h);
    CHECK(CancelIo(r.h));
    wait_until_pending(0);
    end_long_run(&r);
}

WITH_WITNESS(a_handle_is_closed_during_a_run)
{
    static struct long_run r;
    CHECK(start_long_run(&r));
    wait_until_pending(1);
    CloseHandle(r.h);
    CHECK_EQ(WaitForSingleObject(r.overlapped.hEvent, 5000), WAIT_OBJECT_0);
    CloseHandle(r.overlapped.hEvent);
}

// --- other processes: this executable, with what it is to do in the environment ------------------

#define CHILD_VARIABLE "DRIVER_TEST_CHILD"

static int run_until_killed(void)
{
    static struct long_run runs[3];
    for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
        (void)start_long_run(&runs[i]);
    }
    HANDLE map = client_open(0);
    (void)client_make_array(map, 4, 8);
    Sleep(INFINITE);
    return 0;
}

// Of the process of `token`, or this one's when it is NULL.
static HANDLE start_child(const char *what, HANDLE token)
{
    wchar_t path[MAX_PATH], line[] = L"child";
    STARTUPINFOW startup = {.cb = sizeof(startup)};
    PROCESS_INFORMATION child = {0};
    GetModuleFileNameW(NULL, path, ARRAY_SIZE(path));
    SetEnvironmentVariableA(CHILD_VARIABLE, what);
    BOOL made = CreateProcessAsUserW(token, path, line, NULL, NULL, FALSE, 0, NULL, NULL, &startup, &child);
    SetEnvironmentVariableA(CHILD_VARIABLE, NULL);
    CHECK(made);
    CloseHandle(child.hThread);
    return child.hProcess;
}

WITH_WITNESS(a_process_dies_during_its_runs)
{
    HANDLE child = start_child("run", NULL);
    for (unsigned tries = 0; tries < 1500 && client_witness().objects[PROTO_KIND_MAP] == 0; tries++) {
        Sleep(10); // the map is what the child makes last
    }
    wait_until_pending(3);
    CHECK(TerminateProcess(child, 9));
    CHECK_EQ(WaitForSingleObject(child, 5000), WAIT_OBJECT_0);
    CloseHandle(child);
}

// --- the driver as a whole -----------------------------------------------------------------------

WITH_WITNESS(a_second_load_fails_and_harms_nothing)
{
    static const wchar_t name[] = L"ebpfcore_again";
    struct proto_empty empty = {0};
    HANDLE h = client_open(0);
    CHECK_OK(client_make_array(h, 4, 8));
    CHECK_EQ(driver_clone(name), 0);
    CHECK(scm_start(name) != 0);
    CHECK_OK(client_ask(h, PROTO_OBJECT_INFO, &empty, NULL, 0, 1));
    driver_remove(name);
    CloseHandle(h);
}

static void pin(HANDLE h, const char *path)
{
    struct proto_path_request fixed = {{0}};
    str_copy(fixed.path, sizeof(fixed.path), path);
    CHECK_OK(client_ask(h, PROTO_OBJECT_PIN, &fixed, NULL, 0, 1));
}

WITH_WITNESS(a_stop_takes_all_objects)
{
    static struct long_run r;
    struct proto_empty empty = {0};
    HANDLE map = client_open(0), prog = client_open(0), link = client_open(0);
    CHECK_OK(client_make_array(map, 4, 8));
    CHECK_OK(client_make_program(prog, PROG_TYPE_BIND, ATTACH_TYPE_BIND));
    CHECK_OK(client_make_link(link, prog));
    pin(map, "/ebpf/global/m");
    pin(link, "/ebpf/global/l");
    CloseHandle(prog);
    CHECK(start_long_run(&r));
    wait_until_pending(1);
    CHECK_EQ(scm_stop(L"" NAME_DRIVER), 0);
    CHECK_EQ(WaitForSingleObject(r.overlapped.hEvent, 5000), WAIT_OBJECT_0);
    CHECK(client_open(0) == INVALID_HANDLE_VALUE);
    CHECK_EQ(client_ask(map, PROTO_OBJECT_INFO, &empty, NULL, 0, 1), EBPF_RPC_EXCEPTION);
    CHECK_EQ(client_ask(link, PROTO_OBJECT_INFO, &empty, NULL, 0, 1), EBPF_RPC_EXCEPTION);
    CHECK_EQ(scm_start(L"" NAME_DRIVER), 0);
    struct proto_witness w = client_witness();
    CHECK(w.objects[1] == 0 && w.objects[2] == 0 && w.objects[3] == 0 && w.channels == 1);
    CHECK_EQ(client_ask(map, PROTO_OBJECT_INFO, &empty, NULL, 0, 1), EBPF_RPC_EXCEPTION); // still not
    end_long_run(&r);
    CloseHandle(map);
    CloseHandle(link);
}

static volatile LONG hammers_stop;

// Whatever the results: the driver may come and go.
static DWORD WINAPI hammer(void *user)
{
    struct proto_version_request version = {PROTO_WIRE_VERSION};
    uint8_t message[64], out[64];
    UNUSED(user);
    while (hammers_stop == 0) {
        HANDLE h = client_open(0);
        size_t length = client_build(message, PROTO_VERSION, &version, NULL, 0, 0), size;
        struct proto_token token;
        for (unsigned i = 0; i < 5 && h != INVALID_HANDLE_VALUE; i++) {
            (void)device_offer(h, &token);
            (void)client_control(h, PROTO_CONTROL_REQUEST, message, length, out, sizeof(out), &size);
        }
        CloseHandle(h);
    }
    return 0;
}

WITH_WITNESS(stops_and_starts_under_load)
{
    HANDLE threads[4];
    hammers_stop = 0;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        threads[i] = CreateThread(NULL, 0, hammer, NULL, 0, NULL);
    }
    for (unsigned i = 0; i < 10; i++) {
        Sleep(30);
        CHECK_EQ(scm_stop(L"" NAME_DRIVER), 0);
        CHECK_EQ(scm_start(L"" NAME_DRIVER), 0);
    }
    hammers_stop = 1;
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        CHECK_EQ(WaitForSingleObject(threads[i], 10000), WAIT_OBJECT_0);
        CloseHandle(threads[i]);
    }
}

// Every allocation of the driver's bring-up fails once: it does not start, and the test bed reports what an
// unload leaves behind.
WITH_WITNESS(a_start_may_run_out_of_memory)
{
    enum { ENOUGH = 500 };
    DWORD error = 1, nth = 1;
    while (error != 0 && nth < ENOUGH) {
        CHECK_EQ(scm_stop(L"" NAME_DRIVER) == 0, nth == 1);
        driver_set_parameter(L"FailAllocation", nth);
        error = scm_start(L"" NAME_DRIVER);
        nth++;
    }
    CHECK(nth > 5 && nth < ENOUGH);
    driver_set_parameter(L"FailAllocation", 0);
    CHECK_EQ(scm_stop(L"" NAME_DRIVER), 0);
    CHECK_EQ(scm_start(L"" NAME_DRIVER), 0);
}

// --- rights --------------------------------------------------------------------------------------

// This process's token without its membership in Administrators.
static HANDLE lesser_token(void)
{
    static uint64_t sid[SECURITY_MAX_SID_SIZE / 8 + 1];
    SID_AND_ATTRIBUTES administrators = {.Sid = (PSID)sid};
    DWORD size = sizeof(sid);
    HANDLE own = NULL, less = NULL;
    CHECK(OpenProcessToken(GetCurrentProcess(), TOKEN_ALL_ACCESS, &own));
    CHECK(CreateWellKnownSid(WinBuiltinAdministratorsSid, NULL, sid, &size));
    CHECK(CreateRestrictedToken(own, DISABLE_MAX_PRIVILEGE, 1, &administrators, 0, NULL, 0, NULL, &less));
    CloseHandle(own);
    return less;
}

WITH_WITNESS(an_unprivileged_thread_is_turned_away)
{
    HANDLE token = lesser_token();
    REQUIRE(ImpersonateLoggedOnUser(token));
    DWORD error = client_try();
    RevertToSelf();
    CloseHandle(token);
    CHECK_EQ(error, ERROR_ACCESS_DENIED);
    CHECK_EQ(client_try(), 0);
}

WITH_WITNESS(an_unprivileged_process_is_turned_away)
{
    HANDLE token = lesser_token(), child = start_child("try", token);
    DWORD error = 0;
    CHECK_EQ(WaitForSingleObject(child, 10000), WAIT_OBJECT_0);
    CHECK(GetExitCodeProcess(child, &error));
    CHECK_EQ(error, ERROR_ACCESS_DENIED);
    CloseHandle(child);
    CloseHandle(token);
}

#define VERDICT_PARAMETER L"VerdictFromAdministrators"

static void restart(void)
{
    CHECK_EQ(scm_stop(L"" NAME_DRIVER), 0);
    CHECK_EQ(scm_start(L"" NAME_DRIVER), 0);
}

WITH_WITNESS(an_administrator_is_no_judge_unless_set)
{
    driver_set_parameter(VERDICT_PARAMETER, 0);
    restart();
    HANDLE h = client_open(0);
    CHECK_EQ(client_make_program(h, PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY), EBPF_RPC_EXCEPTION);
    CHECK_EQ(GetLastError(), ERROR_ACCESS_DENIED);
    CHECK_OK(client_make_array(h, 4, 8)); // asking is permitted
    CloseHandle(h);
    driver_set_parameter(VERDICT_PARAMETER, 1);
    restart();
}

// --- hardening -----------------------------------------------------------------------------------

static const uint8_t *code_of(struct insn first, size_t *size)
{
    const size_t head = sizeof(struct proto_header) + sizeof(struct proto_prog_dump_reply);
    struct proto_prog_dump_request fixed = {.what = PROTO_DUMP_CODE, .size = 4096};
    HANDLE h = client_open(0);
    CHECK_OK(client_make_insn(h, first));
    CHECK_OK(client_ask(h, PROTO_PROG_DUMP, &fixed, NULL, 0, 1));
    CloseHandle(h);
    CHECK(client_reply_size > head);
    *size = client_reply_size - head;
    return client_reply + head;
}

static void check_code(bool blind, bool retpoline)
{
    size_t size;
    driver_set_parameter(L"JitBlind", blind);
    driver_set_parameter(L"JitRetpoline", retpoline);
    restart();
    const uint8_t *code = code_of(TINY_SECRET_INSN, &size);
    CHECK(code_has_secret(code, size) != blind);
    code = code_of(TINY_CALL_INSN, &size);
    CHECK(code_has_indirect_jump(code, size) != retpoline);
    CHECK(code_has_retpoline(code, size) == retpoline);
}

WITH_WITNESS(code_is_hardened_when_the_registry_says_so)
{
    check_code(true, false);
    check_code(false, true);
    check_code(false, false);
}

// --- inside --------------------------------------------------------------------------------------

// All of them: kernel_tests.
WITH_WITNESS(unit_tests_inside_the_driver)
{
    static char report[1 << 12];
    HANDLE h = client_open(0);
    size_t size = 0;
    CHECK_EQ(client_control(h, PROTO_CONTROL_SELFTEST, "channel", 7, report, sizeof(report) - 1, &size), 0);
    report[size] = '\0';
    if (strstr(report, " passed, 0 failed") == NULL || strtoul(report, NULL, 10) == 0) {
        test_fail(__FILE__, __LINE__, "%s", report);
    }
    CloseHandle(h);
}

TEST_SUITE(driver_life)
{
    const char *child = getenv(CHILD_VARIABLE);
    if (child != NULL) {
        exit(strcmp(child, "run") == 0 ? run_until_killed() : (int)client_try());
    }
    (void)scm_start(L"" NAME_DRIVER); // when it does not run yet
    RUN(a_run_is_cancelled);
    RUN(waiting_runs_are_cancelled);
    RUN(a_full_queue_leaves_the_others);
    RUN(a_handle_is_closed_during_a_run);
    RUN(a_process_dies_during_its_runs);
    RUN(a_second_load_fails_and_harms_nothing);
    RUN(a_stop_takes_all_objects);
    RUN(stops_and_starts_under_load);
    RUN(a_start_may_run_out_of_memory);
    RUN(an_unprivileged_thread_is_turned_away);
    RUN(an_unprivileged_process_is_turned_away);
    RUN(an_administrator_is_no_judge_unless_set);
    RUN(code_is_hardened_when_the_registry_says_so);
    RUN(unit_tests_inside_the_driver);
}
