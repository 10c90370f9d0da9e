// SPDX-License-Identifier: MIT
// ebpfsvc.exe as Windows sees it, with the real driver: installed, started, asked, killed, stopped, in every
// order. After each case the driver holds what it held before.
#include "tests/wine/service_rig.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "lib/rpc_client.h"
#include "plat/plat.h"
#include "service/service.h"

#define SERVICE L"" NAME_SERVICE
#define DRIVER  L"" NAME_DRIVER

static struct proto_witness before;

// What was under way may need a moment to be put away.
static void check_nothing_left(void)
{
    CHECK(device_wait_witness(&before));
}

static void check_loads(void)
{
    struct rig_load l = {.program = RIG_GOOD};
    rig_load(&l);
    CHECK_EQ(l.status, 0);
    CHECK_EQ(l.result, EBPF_SUCCESS);
    CloseHandle(l.channel);
}

static DWORD worker_pid(void)
{
    DWORD pid = 0;
    return rig_children(rig_service_pid(), &pid, 1) == 1 ? pid : 0;
}

// Begins to load the slow program; it is under way when this returns.
static HANDLE begin_slow(struct rig_load *l)
{
    l->program = RIG_SLOW;
    HANDLE thread = rig_load_begin(l);
    Sleep(1000); // it takes many seconds
    CHECK_EQ(WaitForSingleObject(thread, 0), WAIT_TIMEOUT);
    return thread;
}

// --- the service control manager -----------------------------------------------------------------

static void starts_and_stops(void)
{
    SERVICE_STATUS_PROCESS now = {0};
    CHECK_EQ(scm_start(SERVICE), ERROR_SERVICE_ALREADY_RUNNING);
    check_loads();
    CHECK_EQ(scm_stop(SERVICE), 0);
    CHECK_EQ(scm_state(SERVICE, &now), 0);
    CHECK_EQ(now.dwWin32ExitCode, 0);
    CHECK_EQ(scm_stop(SERVICE), ERROR_SERVICE_NOT_ACTIVE);
    CHECK_EQ(scm_start(SERVICE), 0);
    check_loads();
}

static void installing_again_updates(void)
{
    CHECK_EQ(rig_run_ebpfsvc(L"--install"), 0);
    check_loads();
    CHECK_EQ(rig_run_ebpfsvc(L"--nonsense"), 2);
    CHECK_EQ(rig_run_ebpfsvc(L"--install --console"), 2);
    CHECK_EQ(rig_run_ebpfsvc(L"--worker"), 2); // without a pipe
    CHECK_EQ(rig_run_ebpfsvc(L"--version"), 0);
}

static void wrong_parameters_are_ignored(void)
{
    rig_set_parameter(L"Workers", 1000);
    CHECK_EQ(scm_stop(SERVICE), 0);
    CHECK_EQ(scm_start(SERVICE), 0);
    check_loads();
    rig_set_parameter(NULL, 0);
}

// --- verdicts ------------------------------------------------------------------------------------

static void good_programs_are_loaded(void)
{
    struct proto_witness now;
    struct rig_load l = {.program = RIG_GOOD};
    rig_load(&l);
    CHECK_EQ(l.status, 0);
    CHECK_EQ(l.result, EBPF_SUCCESS);
    REQUIRE(device_witness(&now));
    CHECK_EQ(now.objects[PROTO_KIND_PROGRAM], before.objects[PROTO_KIND_PROGRAM] + 1);
    CloseHandle(l.channel);
}

// The words are those that the same request gets anywhere else.
static void bad_programs_are_refused_as_everywhere(void)
{
    struct rig_load l = {.program = RIG_BAD};
    struct service_verdict v;
    struct arena arena;
    size_t size = 0;
    void *request = rig_request(RIG_BAD, &size);
    rig_load(&l);
    arena_init(&arena, plat_mem_source(), 0);
    service_verify(spec_builtin(), request, size, &arena, &v);
    CHECK_EQ(l.status, 0);
    CHECK_EQ(l.result, EBPF_VERIFICATION_FAILED);
    CHECK_STR(l.text, v.text);
    arena_fini(&arena);
    free(request);
    CloseHandle(l.channel);
}

static void eight_clients_at_once(void)
{
    struct rig_load loads[8];
    HANDLE threads[ARRAY_SIZE(loads)];
    for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
        loads[i].program = i % 4 == 3 ? RIG_BAD : RIG_GOOD;
        threads[i] = rig_load_begin(&loads[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
        rig_load_join(threads[i]);
        CHECK_EQ(loads[i].status, 0);
        CHECK_EQ(loads[i].result, i % 4 == 3 ? EBPF_VERIFICATION_FAILED : EBPF_SUCCESS);
        CloseHandle(loads[i].channel);
    }
}

static void a_slow_program_holds_nobody_up(void)
{
    DWORD workers[4];
    struct rig_load l;
    rig_set_parameter(L"Workers", 2);
    CHECK_EQ(scm_stop(SERVICE), 0);
    CHECK_EQ(scm_start(SERVICE), 0);
    HANDLE thread = begin_slow(&l);
    check_loads();
    CHECK_EQ(WaitForSingleObject(thread, 0), WAIT_TIMEOUT); // still
    unsigned count = rig_children(rig_service_pid(), workers, ARRAY_SIZE(workers));
    CHECK_EQ(count, 2);
    for (unsigned i = 0; i < count; i++) {
        CHECK(rig_kill(workers[i])); // it would take seconds more
    }
    rig_load_join(thread);
    CHECK_EQ(l.result, EBPF_RPC_EXCEPTION);
    CloseHandle(l.channel);
    rig_set_parameter(NULL, 0);
}

// A worker is no administrator, so that the driver takes no verdict from it, and cannot outlive the service.
// Its other confinements (restricting SIDs, privileges, integrity, mitigations) Wine takes without effect:
// what is to be seen of them on Windows is in docs/windows.md.
static void workers_are_no_administrators(void)
{
    HANDLE process, token = NULL, copy = NULL;
    BYTE sid[SECURITY_MAX_SID_SIZE];
    DWORD size = sizeof(sid);
    BOOL in_job = FALSE, administrator = TRUE, ours = FALSE;
    check_loads();
    process = OpenProcess(PROCESS_QUERY_INFORMATION, FALSE, worker_pid());
    REQUIRE(process != NULL);
    CHECK(IsProcessInJob(process, NULL, &in_job) && in_job);
    CHECK(OpenProcessToken(process, TOKEN_QUERY | TOKEN_DUPLICATE, &token));
    CHECK(DuplicateToken(token, SecurityIdentification, &copy));
    CHECK(CreateWellKnownSid(WinBuiltinAdministratorsSid, NULL, sid, &size));
    CHECK(CheckTokenMembership(copy, sid, &administrator) && !administrator);
    CHECK(CheckTokenMembership(NULL, sid, &ours) && ours); // the test itself is one: the check can tell
    CloseHandle(copy);
    CloseHandle(token);
    CloseHandle(process);
}

// --- bad input -----------------------------------------------------------------------------------

// Sends `size` bytes with a fresh token; what the service says.
static ebpf_result_t send_bytes(const void *bytes, size_t size, uint32_t *status, struct proto_header *reply)
{
    struct proto_token token;
    ebpf_result_t result = EBPF_FAILED;
    void *message = NULL;
    size_t message_size = 0;
    HANDLE channel = device_open();
    CHECK(device_offer(channel, &token));
    *status = rpc_client_load(&token, bytes, size, &result, &message, &message_size);
    if (message != NULL && message_size >= sizeof(*reply)) {
        memcpy(reply, message, sizeof(*reply));
        result = (ebpf_result_t)reply->result;
    }
    free(message);
    CloseHandle(channel);
    return result;
}

static void garbage_is_refused(void)
{
    struct proto_header reply;
    uint32_t status = 0;
    size_t size = 0;
    uint8_t *request = rig_request(RIG_GOOD, &size);
    CHECK_EQ(send_bytes(request, 0, &status, &reply), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(status, 0);
    for (size_t cut = 1; cut < size; cut += 7) {
        CHECK_EQ(send_bytes(request, cut, &status, &reply), EBPF_INVALID_ARGUMENT);
        CHECK_EQ(status, 0);
    }
    for (size_t i = 0; i < size; i += 3) { // whatever a flipped byte means, there is an answer
        request[i] ^= 0xff;
        ebpf_result_t result = send_bytes(request, size, &status, &reply);
        CHECK_EQ(status, 0);
        CHECK(result < EBPF_RESULT_COUNT && result != EBPF_RPC_EXCEPTION);
        request[i] ^= 0xff;
    }
    free(request);
}

static void huge_requests_are_refused(void)
{
    enum { HUGE_SIZE = 40 << 20 };
    struct proto_header reply,
        header = {
            .magic = PROTO_MAGIC, .version = PROTO_WIRE_VERSION, .op = PROTO_PROG_LOAD, .size = HUGE_SIZE};
    uint32_t status = 0;
    uint8_t *bytes = calloc(1, PROTO_MAX_SIZE + 1);
    REQUIRE(bytes != NULL);
    memcpy(bytes, &header, sizeof(header));
    CHECK(send_bytes(bytes, HUGE_SIZE, &status, &reply) != EBPF_SUCCESS);
    CHECK_EQ(status, 0);
    send_bytes(bytes, (size_t)PROTO_MAX_SIZE + 1, &status, &reply);
    CHECK(status != 0); // does not even leave
    free(bytes);
}

static void tokens_of_nobody_are_refused(void)
{
    struct proto_token token = {{1, 2, 3}};
    ebpf_result_t result = EBPF_FAILED;
    void *reply = NULL;
    size_t size = 0, reply_size = 0;
    void *request = rig_request(RIG_GOOD, &size);
    CHECK_EQ(rpc_client_load(&token, request, size, &result, &reply, &reply_size), 0);
    CHECK_EQ(result, EBPF_OBJECT_NOT_FOUND);
    CHECK(reply == NULL);
    free(request);
}

// --- deaths --------------------------------------------------------------------------------------

// Kills until the load has lost its worker: a first one may still have been idle.
static void a_killed_worker_loses_one_load(void)
{
    struct rig_load l;
    HANDLE thread = begin_slow(&l);
    do {
        rig_kill(worker_pid());
    } while (WaitForSingleObject(thread, 200) == WAIT_TIMEOUT);
    rig_load_join(thread);
    CHECK_EQ(l.status, 0);
    CHECK_EQ(l.result, EBPF_RPC_EXCEPTION);
    CHECK(strstr(l.text, "the verification service ended (status 9)") != NULL);
    CloseHandle(l.channel);
    check_loads();
}

static void an_idle_worker_that_dies_nobody_misses(void)
{
    check_loads();
    CHECK(rig_kill(worker_pid()));
    check_loads();
}

static void a_killed_service_loses_its_loads(void)
{
    struct rig_load l;
    DWORD pid = rig_service_pid();
    HANDLE thread = begin_slow(&l);
    DWORD worker = worker_pid();
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, worker);
    CHECK(process != NULL);
    CHECK(rig_kill(pid));
    rig_load_join(thread);
    CHECK(l.status == RPC_S_CALL_FAILED || l.status == RPC_S_SERVER_UNAVAILABLE);
    CHECK_EQ(WaitForSingleObject(process, 20000), WAIT_OBJECT_0); // its worker goes with it
    CloseHandle(process);
    CloseHandle(l.channel);
    DWORD error = ERROR_SERVICE_ALREADY_RUNNING;
    for (int i = 0; i < 500 && error == ERROR_SERVICE_ALREADY_RUNNING; i++) {
        error = scm_start(SERVICE); // until the manager has seen the death
        Sleep(10);
    }
    CHECK_EQ(error, 0);
    check_loads();
}

static void a_stop_ends_loads_with_words(void)
{
    struct rig_load l;
    HANDLE thread = begin_slow(&l);
    CHECK_EQ(scm_stop(SERVICE), 0);
    rig_load_join(thread);
    CHECK_EQ(l.status, 0);
    CHECK_EQ(l.result, EBPF_CANCELED);
    CHECK_STR(l.text, "the verification service is ending\n");
    CloseHandle(l.channel);
    struct rig_load after = {.program = RIG_GOOD};
    rig_load(&after);
    CHECK_EQ(after.status, RPC_S_SERVER_UNAVAILABLE);
    CloseHandle(after.channel);
    CHECK_EQ(scm_start(SERVICE), 0);
    check_loads();
}

static void a_slow_program_ends_at_the_limit(void)
{
    struct rig_load l = {.program = RIG_SLOW};
    rig_set_parameter(L"VerifyTimeout", 1);
    CHECK_EQ(scm_stop(SERVICE), 0);
    CHECK_EQ(scm_start(SERVICE), 0);
    rig_load(&l);
    CHECK_EQ(l.status, 0);
    CHECK_EQ(l.result, EBPF_TIMEOUT);
    CHECK(strstr(l.text, "took longer than 1000 ms") != NULL);
    CloseHandle(l.channel);
    check_loads();
    rig_set_parameter(NULL, 0);
    CHECK_EQ(scm_stop(SERVICE), 0);
    CHECK_EQ(scm_start(SERVICE), 0);
}

// The client's handle is closed while its program is judged: there is nobody to give the verdict to.
static void a_client_that_goes_leaves_nothing(void)
{
    struct rig_load l;
    HANDLE thread = begin_slow(&l);
    CloseHandle(l.channel);
    rig_load_join(thread);
    CHECK_EQ(l.status, 0);
    CHECK_EQ(l.result, EBPF_OBJECT_NOT_FOUND);
    check_loads();
}

// --- the driver ----------------------------------------------------------------------------------

static void the_driver_may_be_away(void)
{
    CHECK_EQ(scm_stop(DRIVER), 0);
    tokens_of_nobody_are_refused();
    CHECK_EQ(scm_start(DRIVER), 0);
    REQUIRE(device_wait_quiet(&before)); // a new one
    check_loads();
}

// --- suite ---------------------------------------------------------------------------------------

#define RUN_AND_COUNT(name)                                                                                  \
    static void name##_counted(void)                                                                         \
    {                                                                                                        \
        name();                                                                                              \
        check_nothing_left();                                                                                \
    }
RUN_AND_COUNT(starts_and_stops)
RUN_AND_COUNT(installing_again_updates)
RUN_AND_COUNT(wrong_parameters_are_ignored)
RUN_AND_COUNT(good_programs_are_loaded)
RUN_AND_COUNT(bad_programs_are_refused_as_everywhere)
RUN_AND_COUNT(eight_clients_at_once)
RUN_AND_COUNT(a_slow_program_holds_nobody_up)
RUN_AND_COUNT(workers_are_no_administrators)
RUN_AND_COUNT(garbage_is_refused)
RUN_AND_COUNT(huge_requests_are_refused)
RUN_AND_COUNT(tokens_of_nobody_are_refused)
RUN_AND_COUNT(a_killed_worker_loses_one_load)
RUN_AND_COUNT(an_idle_worker_that_dies_nobody_misses)
RUN_AND_COUNT(a_killed_service_loses_its_loads)
RUN_AND_COUNT(a_stop_ends_loads_with_words)
RUN_AND_COUNT(a_slow_program_ends_at_the_limit)
RUN_AND_COUNT(a_client_that_goes_leaves_nothing)
RUN_AND_COUNT(the_driver_may_be_away)

// Where the service is installed, it is this build's for a while, and its own again afterwards.
static wchar_t installed[1024];

static bool take_over(void)
{
    union {
        QUERY_SERVICE_CONFIGW config;
        BYTE room[8192];
    } old;
    DWORD needed = 0;
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = OpenServiceW(manager, SERVICE, SERVICE_QUERY_CONFIG);
    if (service != NULL && QueryServiceConfigW(service, &old.config, sizeof(old), &needed)) {
        wcsncpy(installed, old.config.lpBinaryPathName, ARRAY_SIZE(installed) - 1);
    }
    CloseServiceHandle(service);
    CloseServiceHandle(manager);
    scm_stop(SERVICE);
    rig_set_parameter(NULL, 0);
    return rig_run_ebpfsvc(L"--install") == 0 && scm_start(SERVICE) == 0 && device_wait_quiet(&before);
}

static void hand_back(void)
{
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = OpenServiceW(manager, SERVICE, SERVICE_CHANGE_CONFIG);
    scm_stop(SERVICE);
    if (installed[0] == 0) {
        rig_run_ebpfsvc(L"--uninstall");
    } else {
        ChangeServiceConfigW(service, SERVICE_NO_CHANGE, SERVICE_NO_CHANGE, SERVICE_NO_CHANGE, installed,
                             NULL, NULL, NULL, NULL, NULL, NULL);
    }
    CloseServiceHandle(service);
    CloseServiceHandle(manager);
    if (installed[0] != 0) {
        scm_start(SERVICE);
    }
}

static bool there;

static void driver_and_service_are_there(void)
{
    CHECK(there);
}

TEST_SUITE(service)
{
    there = plat_init() == EBPF_SUCCESS && take_over(); // whichever cases are asked for
    RUN(driver_and_service_are_there);
    if (!there) {
        return; // nothing else could be told from that
    }
    RUN(starts_and_stops_counted);
    RUN(installing_again_updates_counted);
    RUN(wrong_parameters_are_ignored_counted);
    RUN(good_programs_are_loaded_counted);
    RUN(bad_programs_are_refused_as_everywhere_counted);
    RUN(eight_clients_at_once_counted);
    RUN(a_slow_program_holds_nobody_up_counted);
    RUN(workers_are_no_administrators_counted);
    RUN(garbage_is_refused_counted);
    RUN(huge_requests_are_refused_counted);
    RUN(tokens_of_nobody_are_refused_counted);
    RUN(a_killed_worker_loses_one_load_counted);
    RUN(an_idle_worker_that_dies_nobody_misses_counted);
    RUN(a_stop_ends_loads_with_words_counted);
    RUN(a_slow_program_ends_at_the_limit_counted);
    RUN(a_client_that_goes_leaves_nothing_counted);
    RUN(the_driver_may_be_away_counted);
    // The last: Wine keeps the connection of a call that failed, and with it a process whose next service is
    // stopped, too, asks nobody any more.
    RUN(a_killed_service_loses_its_loads_counted);
    hand_back();
}
