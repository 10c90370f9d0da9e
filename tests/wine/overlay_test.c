// SPDX-License-Identifier: MIT
// overlay_test: tests the overlay. Starts the test driver as a service in the host of all tests, asks it for
// each case, and provokes each violation in a host of its own. EBPF_WINE_LOG names the file with what driver
// hosts write to stderr.
#include <windows.h>
#include <winioctl.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/test.h"
#include "tests/wine/selftest/facts.h"

#define GROUP   L"eBPF"
#define WAIT_MS 10000

struct driver {
    SC_HANDLE service;
    HANDLE device;
};

static SC_HANDLE manager;
static const char *log_path;
static const WCHAR *fault_group = L"eBPF faults"; // EBPF_FAULT_GROUP names another, to see the test bed fail
static struct driver driver = {.device = INVALID_HANDLE_VALUE};

// --- services ---

static void path_of(const WCHAR *file, WCHAR path[MAX_PATH])
{
    GetModuleFileNameW(NULL, path, MAX_PATH);
    wcscpy(wcsrchr(path, L'\\') + 1, file);
}

static bool wait_for_state(SC_HANDLE service, DWORD state)
{
    SERVICE_STATUS status;
    for (unsigned waited = 0; waited < WAIT_MS; waited += 10) {
        if (QueryServiceStatus(service, &status) && status.dwCurrentState == state) {
            return true;
        }
        Sleep(10);
    }
    return false;
}

static SC_HANDLE make_service(const WCHAR *name, const WCHAR *file, const WCHAR *group)
{
    WCHAR path[MAX_PATH];
    path_of(file, path);
    SC_HANDLE old = OpenServiceW(manager, name, SERVICE_ALL_ACCESS); // of an earlier case
    if (old != NULL) {
        ChangeServiceConfigW(old, SERVICE_NO_CHANGE, SERVICE_NO_CHANGE, SERVICE_NO_CHANGE, path, group, NULL,
                             NULL, NULL, NULL, NULL);
        return old;
    }
    return CreateServiceW(manager, name, name, SERVICE_ALL_ACCESS, SERVICE_KERNEL_DRIVER,
                          SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL, path, group, NULL, NULL, NULL, NULL);
}

// A service whose host has ended can be started again, as soon as the service manager has seen the end.
static bool start_service(SC_HANDLE service)
{
    for (unsigned waited = 0; waited < WAIT_MS; waited += 20) {
        if (StartServiceW(service, 0, NULL)) {
            return wait_for_state(service, SERVICE_RUNNING);
        }
        Sleep(20);
    }
    return false;
}

static bool start_driver(struct driver *out, const WCHAR *name, const WCHAR *group)
{
    WCHAR device[64];
    swprintf(device, 64, L"\\\\.\\%ls", name);
    out->device = INVALID_HANDLE_VALUE;
    out->service = make_service(name, L"wine_selftest.sys", group);
    if (out->service != NULL && start_service(out->service)) {
        out->device = CreateFileW(device, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    }
    if (out->device == INVALID_HANDLE_VALUE) {
        printf("cannot start %ls: error %lu\n", name, GetLastError());
        return false;
    }
    return true;
}

static bool stop_driver(struct driver *d)
{
    SERVICE_STATUS status;
    CloseHandle(d->device);
    bool stopped = d->service != NULL && ControlService(d->service, SERVICE_CONTROL_STOP, &status) &&
                   wait_for_state(d->service, SERVICE_STOPPED);
    DeleteService(d->service);
    CloseServiceHandle(d->service);
    return stopped;
}

// --- cases ---

static void check_case(unsigned number)
{
    char text[SELFTEST_TEXT_SIZE] = "no answer";
    DWORD size;
    CHECK(DeviceIoControl(driver.device, SELFTEST_CASE, &number, sizeof(number), text, sizeof(text), &size,
                          NULL));
    CHECK_STR(text, "");
}

static void read_own_sid(unsigned char sid[SELFTEST_SID_SIZE])
{
    unsigned char room[sizeof(TOKEN_USER) + SELFTEST_SID_SIZE];
    HANDLE token;
    DWORD size;
    REQUIRE(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token));
    REQUIRE(GetTokenInformation(token, TokenUser, room, sizeof(room), &size));
    CloseHandle(token);
    PSID own = ((TOKEN_USER *)room)->User.Sid;
    memcpy(sid, own, GetLengthSid(own));
}

static void the_caller_is_seen(void)
{
    struct selftest_facts facts;
    unsigned char sid[SELFTEST_SID_SIZE] = {0};
    DWORD size;
    REQUIRE(DeviceIoControl(driver.device, SELFTEST_FACTS, NULL, 0, &facts, sizeof(facts), &size, NULL));
    read_own_sid(sid);
    CHECK(memcmp(facts.sid, sid, sizeof(sid)) == 0 && sid[0] == 1);
    CHECK_EQ(facts.is_administrator, 1); // Wine's users are
    CHECK_EQ(facts.keeper_started, 1);   // another driver of the group is in the same host
    REQUIRE(facts.view != 0);
    CHECK_EQ(*(unsigned *)(uintptr_t)facts.view, SELFTEST_MAGIC);
}

static void another_group_has_another_host(void)
{
    struct driver other;
    struct selftest_facts facts;
    DWORD size;
    REQUIRE(start_driver(&other, L"wine_selftest_other", fault_group));
    CHECK(DeviceIoControl(other.device, SELFTEST_FACTS, NULL, 0, &facts, sizeof(facts), &size, NULL));
    CHECK_EQ(facts.keeper_started, 0);
    CHECK(stop_driver(&other));
}

// --- violations ---

static long log_size(void)
{
    FILE *file = fopen(log_path, "rb");
    if (file == NULL) {
        return -1;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fclose(file);
    return size;
}

// Whether the log says, from `from` on, that a host ended with the code.
static bool log_says(long from, const char *code)
{
    char line[1024], wanted[128];
    bool found = false;
    FILE *file = fopen(log_path, "rb");
    if (file == NULL) {
        return false;
    }
    snprintf(wanted, sizeof(wanted), "BUGCHECK: %s: ", code);
    fseek(file, from, SEEK_SET);
    while (!found && fgets(line, sizeof(line), file) != NULL) {
        found = strncmp(line, wanted, strlen(wanted)) == 0;
    }
    fclose(file);
    return found;
}

static bool wait_for_log(long from, const char *code)
{
    for (unsigned waited = 0; waited < WAIT_MS; waited += 10) {
        if (log_says(from, code)) {
            return true;
        }
        Sleep(10);
    }
    return false;
}

struct violation {
    unsigned number;
    const char *code;
    bool at_unload;
};

static void check_violation(const struct violation *v)
{
    struct driver victim;
    SERVICE_STATUS status;
    DWORD size;
    long from = log_size();
    REQUIRE(from >= 0);
    REQUIRE(start_driver(&victim, L"wine_selftest_fault", fault_group));
    BOOL answered = DeviceIoControl(victim.device, SELFTEST_VIOLATE, (void *)&v->number, sizeof(v->number),
                                    NULL, 0, &size, NULL);
    CHECK(!v->at_unload || answered);
    CloseHandle(victim.device);
    if (v->at_unload) {
        ControlService(victim.service, SERVICE_CONTROL_STOP, &status);
    }
    CHECK(wait_for_log(from, v->code));
    CloseServiceHandle(victim.service);
}

// Started once more, so that it can be stopped and deleted.
static void the_victim_is_removed(void)
{
    struct driver victim;
    REQUIRE(start_driver(&victim, L"wine_selftest_fault", fault_group));
    CHECK(stop_driver(&victim));
}

static void the_driver_starts(void)
{
    CHECK(log_path != NULL && log_size() >= 0);
    CHECK(driver.device != INVALID_HANDLE_VALUE);
}

// A request after all violations: the driver's own host is the one that it was.
static void the_host_lives_on(void)
{
    check_case(0);
}

static void the_driver_leaves_nothing_behind(void)
{
    long from = log_size();
    CHECK(stop_driver(&driver));
    CHECK(!log_says(from, "DRIVER_VERIFIER_DETECTED_VIOLATION"));
}

// --- all ---

enum case_number {
#define CASE(name) CASE_##name,
#define VIOLATION(name, code, when)
#include "tests/wine/selftest/cases.def"
#undef CASE
#undef VIOLATION
};
enum violation_number {
#define CASE(name)
#define VIOLATION(name, code, when) VIOLATION_##name,
#include "tests/wine/selftest/cases.def"
#undef CASE
#undef VIOLATION
};
enum { REQUEST = 0, UNLOAD = 1 };

TEST_SUITE(overlay)
{
    log_path = getenv("EBPF_WINE_LOG");
    fault_group = _wgetenv(L"EBPF_FAULT_GROUP") != NULL ? _wgetenv(L"EBPF_FAULT_GROUP") : fault_group;
    manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_ALL_ACCESS);
    if (!start_driver(&driver, L"wine_selftest", GROUP)) {
        RUN(the_driver_starts);
        return;
    }
    RUN(the_driver_starts);
    RUN(the_caller_is_seen);
    RUN(another_group_has_another_host);
#define CASE(name) RUN_WITH(#name, check_case, CASE_##name);
#define VIOLATION(name, code, when)                                                                          \
    RUN_WITH(#name, check_violation, (&(struct violation){VIOLATION_##name, code, when}));
#include "tests/wine/selftest/cases.def"
#undef CASE
#undef VIOLATION
    RUN(the_victim_is_removed);
    RUN(the_host_lives_on);
    RUN(the_driver_leaves_nothing_behind);
    stop_driver(&driver); // when only some cases were asked for
}
