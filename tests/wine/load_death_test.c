// SPDX-License-Identifier: MIT
// Death at every state of the load protocol: a client that is terminated, the service or its workers that are
// terminated, before, during and after verification. Each time the driver holds afterwards what it held
// before, and serves the next client. At last the driver itself stops under its clients. Run with the name of
// a state, this program is the client that stops there. Windows, beside a running ebpfcore.sys (Debug) and
// ebpfsvc.exe.
#include "tests/lib/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tlhelp32.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

#include "lib/rpc_client.h"
#include "lib/transport.h"
#include "tests/lib/scm.h"
#include "tests/test.h"

#define MAPS     3
#define WAIT_MS  20000
#define BEGUN_MS 1000 // a process takes some 50 to begin

LONG WINAPI NtSuspendProcess(HANDLE process);
LONG WINAPI NtResumeProcess(HANDLE process);

// --- the client that stops -----------------------------------------------------------------------

// States in the order in which a load goes through them; LINK is a request with something lent.
#define STATES(X)                                                                                            \
    X(opened)                                                                                                \
    X(offered)                                                                                               \
    X(lent_one)                                                                                              \
    X(lent_all)                                                                                              \
    X(asking)                                                                                                \
    X(answered)                                                                                              \
    X(published)                                                                                             \
    X(linking)                                                                                               \
    X(running)

enum state {
#define X(name) STATE_##name,
    STATES(X)
#undef X
        STATE_COUNT
};
static const char *const state_names[] = {
#define X(name) #name,
    STATES(X)
#undef X
};

static enum state stop_at;
static intptr_t shown; // a handle that the parent may want

// Tells the parent and stays until it is terminated.
static void reach(enum state state)
{
    if (state != stop_at) {
        return;
    }
    printf("%s %lld\n", state_names[state], (long long)shown);
    fflush(stdout);
    Sleep(INFINITE);
}

// Tells the parent and goes on into a call that does not come back.
static void announce(enum state state)
{
    if (state == stop_at) {
        printf("%s\n", state_names[state]);
        fflush(stdout);
    }
}

static HANDLE load_slowly(void)
{
    struct proto_token token;
    uint8_t request[2048];
    void *reply = NULL;
    size_t reply_size = 0, size = device_load_request(MAPS, request, sizeof(request));
    ebpf_result_t result = EBPF_FAILED;
    HANDLE maps[MAPS], channel = device_open();
    reach(STATE_opened);
    if (!device_offer(channel, &token)) {
        exit(3);
    }
    reach(STATE_offered);
    for (int i = 0; i < MAPS; i++) {
        maps[i] = device_make_map();
        if (!device_lend(maps[i], &token)) {
            exit(4);
        }
        if (i == 0) {
            reach(STATE_lent_one);
        }
    }
    reach(STATE_lent_all);
    announce(STATE_asking);
    uint32_t error = rpc_client_load(&token, request, size, &result, &reply, &reply_size);
    if (error != 0 || result != EBPF_SUCCESS || ((struct proto_header *)reply)->result != EBPF_SUCCESS) {
        printf("load: error %u, result %d\n", error, (int)result);
        exit(5);
    }
    reach(STATE_answered);
    return channel;
}

static void link_slowly(HANDLE program)
{
    struct proto_token token;
    HANDLE channel = device_open();
    if (!device_offer(channel, &token) || !device_lend(program, &token)) {
        exit(6);
    }
    reach(STATE_linking);
}

// A run of hours.
static void run_slowly(HANDLE program)
{
    struct {
        struct proto_header header;
        struct proto_prog_test_run_request fixed;
        char data[4];
    } request = {{.magic = PROTO_MAGIC,
                  .version = PROTO_WIRE_VERSION,
                  .op = PROTO_PROG_TEST_RUN,
                  .size = sizeof(request.header) + sizeof(request.fixed) + 4,
                  .objects = 1},
                 {.repeat = UINT32_MAX, .data_in_size = 4},
                 "abc"};
    uint8_t reply[256];
    size_t written = 0;
    announce(STATE_running);
    device_control(program, PROTO_CONTROL_REQUEST, &request, request.header.size, reply, sizeof(reply),
                   &written);
    exit(7); // it came back
}

static int be_client(const char *state)
{
    for (stop_at = 0; stop_at < STATE_COUNT && strcmp(state, state_names[stop_at]) != 0;) {
        stop_at++;
    }
    HANDLE program = load_slowly();
    int fd = -1;
    if (transport_fd_open((intptr_t)program, &fd) != EBPF_SUCCESS) {
        return 8;
    }
    shown = (intptr_t)program;
    reach(STATE_published);
    link_slowly(program);
    run_slowly(program);
    return 9;
}

// --- processes -----------------------------------------------------------------------------------

struct client {
    HANDLE process, out;
    long long shown; // the handle that it named
};

// Starts a client and waits until it says that it has reached its state.
static bool client_start(const char *state, struct client *c)
{
    SECURITY_ATTRIBUTES inherited = {sizeof(inherited), NULL, TRUE};
    STARTUPINFOA startup = {.cb = sizeof(startup), .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION process;
    char self[MAX_PATH], line[MAX_PATH + 64];
    HANDLE theirs = NULL;
    GetModuleFileNameA(NULL, self, sizeof(self));
    snprintf(line, sizeof(line), "\"%s\" --client %s", self, state);
    if (!CreatePipe(&c->out, &theirs, &inherited, 0)) {
        return false;
    }
    SetHandleInformation(c->out, HANDLE_FLAG_INHERIT, 0);
    startup.hStdOutput = startup.hStdError = theirs;
    bool started = false; // under Wine 8, one in some thousand new processes ends before it has begun
    for (int i = 0; i < 3 && !started; i++) {
        started = CreateProcessA(self, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &process);
    }
    CloseHandle(theirs);
    if (!started) {
        CloseHandle(c->out);
        return false;
    }
    CloseHandle(process.hThread);
    c->process = process.hProcess;
    return true;
}

// False: the client has ended, or says nothing for longer than anything takes.
static bool client_speaks(const struct client *c)
{
    DWORD available = 0;
    for (int i = 0; i < WAIT_MS / 10; i++) {
        if (!PeekNamedPipe(c->out, NULL, 0, NULL, &available, NULL) || available != 0) {
            return available != 0;
        }
        Sleep(10);
    }
    return false;
}

// Reads the client's line; false when it says something else, or nothing.
static bool client_wait(struct client *c, const char *state)
{
    char text[128] = "";
    DWORD used = 0, n = 0;
    while (used < sizeof(text) - 1 && strchr(text, '\n') == NULL && client_speaks(c) &&
           ReadFile(c->out, text + used, sizeof(text) - 1 - used, &n, NULL) && n != 0) {
        used += n;
        text[used] = 0;
    }
    if (strncmp(text, state, strlen(state)) != 0) {
        printf("instead of reaching %s the client says: %s\n", state, text);
        return false;
    }
    c->shown = strtoll(text + strlen(state), NULL, 10);
    return true;
}

static bool client_runs(const struct client *c)
{
    return WaitForSingleObject(c->process, 0) == WAIT_TIMEOUT;
}

static void client_kill(struct client *c)
{
    TerminateProcess(c->process, 1);
    WaitForSingleObject(c->process, WAIT_MS);
    CloseHandle(c->process);
    CloseHandle(c->out);
}

// --- the service ---------------------------------------------------------------------------------

static SERVICE_STATUS_PROCESS service_status(void)
{
    SERVICE_STATUS_PROCESS status = {0};
    (void)scm_state(L"" NAME_SERVICE, &status); // zeros when there is none
    return status;
}

static bool process_runs(DWORD id)
{
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, id);
    bool runs = process != NULL && WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
    if (process != NULL) {
        CloseHandle(process);
    }
    return runs;
}

// The service manager of Wine says RUNNING of a service whose process is dead: the process is looked at, too.
static bool service_runs(void)
{
    SERVICE_STATUS_PROCESS status = service_status();
    return status.dwCurrentState == SERVICE_RUNNING && process_runs(status.dwProcessId);
}

static bool service_start(void)
{
    DWORD error = 0;
    for (int i = 0; i < WAIT_MS / 10 && !service_runs(); i++) {
        error = scm_start(L"" NAME_SERVICE); // refused while the manager has not seen the old one's end
        Sleep(10);
    }
    if (!service_runs()) {
        printf("the service does not start: error %lu\n", error);
    }
    return service_runs();
}

static bool with_process(DWORD id, DWORD right, void (*act)(HANDLE process))
{
    HANDLE process = OpenProcess(right | SYNCHRONIZE, FALSE, id);
    if (process == NULL) {
        return false;
    }
    act(process);
    CloseHandle(process);
    return true;
}

static void kill_process(HANDLE process)
{
    TerminateProcess(process, 1);
    WaitForSingleObject(process, WAIT_MS);
}

static void suspend_process(HANDLE process)
{
    NtSuspendProcess(process);
}

static void resume_process(HANDLE process)
{
    NtResumeProcess(process);
}

// Does something to every worker of the service; how many there were.
static unsigned with_workers(DWORD right, void (*act)(HANDLE process))
{
    PROCESSENTRY32W entry = {.dwSize = sizeof(entry)};
    unsigned count = 0;
    DWORD service = service_status().dwProcessId;
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    for (BOOL more = Process32FirstW(all, &entry); more; more = Process32NextW(all, &entry)) {
        if (entry.th32ParentProcessID == service && service != 0) {
            count += with_process(entry.th32ProcessID, right, act);
        }
    }
    CloseHandle(all);
    return count;
}

static bool service_kill(void)
{
    return with_process(service_status().dwProcessId, PROCESS_TERMINATE, kill_process) && !service_runs();
}

// --- cases ---------------------------------------------------------------------------------------

static struct proto_witness before;

static bool something_is_held(void)
{
    struct proto_witness now;
    return device_witness(&now) && now.channels > before.channels;
}

// The next client gets what it wants: all of it still works.
static void check_next_client(void)
{
    struct client c;
    REQUIRE(client_start("published", &c));
    CHECK(client_wait(&c, "published"));
    client_kill(&c);
    CHECK(device_wait_witness(&before));
}

static void client_dies_at(const char *state)
{
    struct client c;
    REQUIRE(client_start(state, &c));
    CHECK(client_wait(&c, state));
    CHECK(something_is_held());
    client_kill(&c);
    CHECK(device_wait_witness(&before));
}

// Between the states that have a name, too: the start of a process takes some 50 ms, the rest of its way
// less. Up to the call of the service: in Wine 8 one that dies while it connects may take the service's
// endpoint along (rpcrt4: "pipe listen error c00000b1"), and the next start of the service may never return.
static void clients_die_at_any_moment(void)
{
    for (DWORD ms = 0; ms < 150; ms += 5) {
        struct client c;
        REQUIRE(client_start("lent_all", &c));
        Sleep(ms);
        client_kill(&c);
    }
    CHECK(device_wait_witness(&before));
    check_next_client();
}

static DWORD youngest_ms;

static void note_age(HANDLE process)
{
    FILETIME created, other[3], now;
    if (!GetProcessTimes(process, &created, &other[0], &other[1], &other[2])) {
        return;
    }
    GetSystemTimeAsFileTime(&now);
    uint64_t age = (((uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime) -
                    ((uint64_t)created.dwHighDateTime << 32 | created.dwLowDateTime)) /
                   10000;
    youngest_ms = age < youngest_ms ? (DWORD)age : youngest_ms;
}

// A process that is suspended while it starts may hold locks of Wine that every new process needs: there is a
// worker, and each is old enough to have begun long ago.
static bool workers_have_begun(void)
{
    for (int i = 0; i < WAIT_MS / 50; i++) {
        youngest_ms = MAXDWORD;
        if (with_workers(PROCESS_QUERY_INFORMATION, note_age) != 0 && youngest_ms >= BEGUN_MS) {
            return true;
        }
        Sleep(50);
    }
    printf("the service has no workers, or young ones only\n");
    return false;
}

// The workers do not come on: the client waits in its call.
static bool start_waiting_client(struct client *c)
{
    check_next_client(); // a service that was started just now has a worker then that has answered
    if (!workers_have_begun()) {
        return false;
    }
    with_workers(PROCESS_SUSPEND_RESUME, suspend_process);
    if (client_start("asking", c)) {
        bool asks = client_wait(c, "asking");
        Sleep(300); // so that the request is likely to have arrived; what follows holds in any case
        if (asks && client_runs(c) && something_is_held()) {
            return true;
        }
        client_kill(c);
    }
    with_workers(PROCESS_SUSPEND_RESUME, resume_process);
    return false;
}

static void client_dies_during_verification(void)
{
    struct client c;
    REQUIRE(start_waiting_client(&c));
    client_kill(&c);
    with_workers(PROCESS_SUSPEND_RESUME, resume_process); // the verdict finds nobody
    CHECK(device_wait_witness(&before));
    check_next_client();
}

// Reads what a client says that got no program.
static void check_failed_load(struct client *c, const char *expected)
{
    CHECK(client_wait(c, expected));
    WaitForSingleObject(c->process, WAIT_MS);
    CHECK(!client_runs(c));
    client_kill(c);
    CHECK(device_wait_witness(&before));
}

static void workers_die_during_verification(void)
{
    struct client c;
    REQUIRE(start_waiting_client(&c));
    CHECK(with_workers(PROCESS_TERMINATE, kill_process) != 0);
    check_failed_load(&c, "load: error 0, result 0"); // a reply, which says that the worker died
    check_next_client();
}

static void service_dies_during_verification(void)
{
    struct client c;
    REQUIRE(start_waiting_client(&c));
    CHECK(service_kill());
    check_failed_load(&c, "load: error 17"); // 1722 or 1726
    CHECK(service_start());
    check_next_client();
}

static void service_dies_between(void)
{
    struct client c;
    REQUIRE(service_kill());
    CHECK(device_wait_witness(&before));
    REQUIRE(client_start("published", &c));
    check_failed_load(&c, "load: error 1722");
    CHECK(service_start());
    check_next_client();
}

static bool sees_objects(void)
{
    uint32_t id = 0;
    return bpf_map_get_next_id(0, &id) == 0 && bpf_prog_get_next_id(0, &id) == 0;
}

// Programs that are loaded stay, for this process to see, whatever becomes of who verified them.
static void objects_outlive_the_service(void)
{
    struct client c;
    REQUIRE(client_start("published", &c));
    CHECK(client_wait(&c, "published"));
    CHECK(service_kill());
    CHECK(client_runs(&c) && something_is_held() && sees_objects());
    CHECK(service_start());
    client_kill(&c);
    CHECK(device_wait_witness(&before));
    CHECK(!sees_objects());
}

// Descriptors go from process to process as handles do: whoever has a copy keeps the object.
static void a_copy_in_another_process_keeps_the_object(void)
{
    struct ebpf_object_info info;
    struct client c;
    HANDLE copy = NULL;
    int fd = -1;
    REQUIRE(client_start("published", &c));
    CHECK(client_wait(&c, "published"));
    CHECK(DuplicateHandle(c.process, (HANDLE)(intptr_t)c.shown, GetCurrentProcess(), &copy, 0, FALSE,
                          DUPLICATE_SAME_ACCESS));
    client_kill(&c);
    REQUIRE_OK(transport_fd_open((intptr_t)copy, &fd));
    CHECK_OK(ebpf_object_get_info(fd, &info));
    CHECK_EQ(info.kind, EBPF_OBJECT_KIND_PROGRAM);
    CHECK(something_is_held());
    CHECK_OK(ebpf_close_fd(fd));
    CHECK(device_wait_witness(&before));
}

// --- the driver ----------------------------------------------------------------------------------

static char warning[256];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args)
{
    UNUSED(level);
    return vsnprintf(warning, sizeof(warning), format, args);
}

// Objects vanish with the driver; their descriptors are dead, and a new driver does not take them for its
// own.
static void driver_stops_under_clients(void)
{
    struct client c;
    uint32_t key = 0;
    uint64_t value = 0;
    int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "m", 4, 8, 1, NULL);
    REQUIRE(map >= 0 && client_start("linking", &c));
    CHECK(client_wait(&c, "linking"));
    REQUIRE(scm_stop(L"" NAME_DRIVER) == 0);
    CHECK(bpf_map_lookup_elem(map, &key, &value) < 0);
    libbpf_print_fn_t former = libbpf_set_print(keep_warning);
    CHECK_EQ(bpf_map_create(BPF_MAP_TYPE_ARRAY, "m", 4, 8, 1, NULL), -EIO);
    libbpf_set_print(former);
    CHECK(strstr(warning, "sc start " NAME_DRIVER) != NULL); // what to do
    CHECK(device_open() == INVALID_HANDLE_VALUE);
    REQUIRE(scm_start(L"" NAME_DRIVER) == 0);
    CHECK(bpf_map_lookup_elem(map, &key, &value) < 0);
    REQUIRE(device_wait_quiet(&before)); // a new driver begins anew
    client_kill(&c);
    CHECK_OK(ebpf_close_fd(map));
    CHECK(device_wait_witness(&before));
    check_next_client();
}

// The verdict comes to a driver that never gave out its token.
static void driver_stops_during_verification(void)
{
    char expected[64];
    struct client c;
    bool waits = start_waiting_client(&c);
    CHECK(waits);
    CHECK_EQ(scm_stop(L"" NAME_DRIVER), 0);
    CHECK_EQ(scm_start(L"" NAME_DRIVER), 0);
    CHECK(device_wait_quiet(&before));
    with_workers(PROCESS_SUSPEND_RESUME, resume_process);
    REQUIRE(waits);
    snprintf(expected, sizeof(expected), "load: error 0, result %d", EBPF_OBJECT_NOT_FOUND);
    check_failed_load(&c, expected);
    check_next_client();
}

TEST_SUITE(load_death)
{
    int count = 0;
    wchar_t **words = CommandLineToArgvW(GetCommandLineW(), &count);
    if (count == 3 && wcscmp(words[1], L"--client") == 0) {
        char state[32];
        snprintf(state, sizeof(state), "%ls", words[2]);
        exit(be_client(state));
    }
    LocalFree(words);
    _putenv("EBPF_TRANSPORT=ioctl");
    if (!service_start() || !device_wait_quiet(&before)) {
        test_state.failed++;
        return;
    }
    RUN_WITH("client_dies_opened", client_dies_at, "opened");
    RUN_WITH("client_dies_offered", client_dies_at, "offered");
    RUN_WITH("client_dies_lent_one", client_dies_at, "lent_one");
    RUN_WITH("client_dies_lent_all", client_dies_at, "lent_all");
    RUN_WITH("client_dies_asking", client_dies_at, "asking");
    RUN_WITH("client_dies_answered", client_dies_at, "answered");
    RUN_WITH("client_dies_published", client_dies_at, "published");
    RUN_WITH("client_dies_linking", client_dies_at, "linking");
    RUN_WITH("client_dies_running", client_dies_at, "running");
    RUN(clients_die_at_any_moment);
    RUN(client_dies_during_verification);
    RUN(workers_die_during_verification);
    RUN(service_dies_during_verification);
    RUN(service_dies_between);
    RUN(objects_outlive_the_service);
    RUN(a_copy_in_another_process_keeps_the_object);
    RUN(driver_stops_under_clients);
    RUN(driver_stops_during_verification);
}
