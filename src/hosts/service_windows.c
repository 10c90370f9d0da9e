// SPDX-License-Identifier: MIT
// service_windows: start, run, stop. Bring-up is a staircase; when the stop comes the stairs are walked down,
// and each landing is reported.
#include "hosts/service_windows.h"

#include <stdlib.h>
#include <windows.h>

#include "hosts/service_log.h"
#include "hosts/service_process.h"
#include "hosts/service_rpc.h"
#include "plat/plat.h"

#define START_HINT_MS     10000u
#define STOP_HINT_MS      2000u // between two signs of life
#define DRAIN_MS          10000u
#define DEFAULT_TIMEOUT_S 60u
#define MAX_TIMEOUT_S     86400u
#define PATH_ROOM         (4 * MAX_PATH)
#define PARAMETERS_KEY    "SYSTEM\\CurrentControlSet\\Services\\" NAME_SERVICE "\\Parameters"
#define NAME              L"" NAME_SERVICE

static struct host {
    SERVICE_STATUS_HANDLE manager; // NULL: console
    SERVICE_STATUS status;
    HANDLE stop; // event
    char path[PATH_ROOM];
    struct service_process *judges;
} host;

// --- telling the manager -------------------------------------------------------------------------

static void report(DWORD state, DWORD hint_ms)
{
    SERVICE_STATUS *s = &host.status;
    bool pending = state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;
    s->dwServiceType = SERVICE_WIN32_OWN_PROCESS;
    s->dwCheckPoint = pending ? (s->dwCurrentState == state ? s->dwCheckPoint + 1 : 1) : 0;
    s->dwCurrentState = state;
    s->dwWaitHint = hint_ms;
    s->dwControlsAccepted = state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN : 0;
    if (host.manager != NULL) {
        SetServiceStatus(host.manager, s);
    }
}

static void report_stopping(void)
{
    report(SERVICE_STOP_PENDING, STOP_HINT_MS);
}

// Only asks: the service's own thread reports, so that states cannot overtake each other.
static DWORD WINAPI control(DWORD code, DWORD type, void *data, void *context)
{
    UNUSED(type);
    UNUSED(data);
    UNUSED(context);
    switch (code) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_SHUTDOWN: SetEvent(host.stop); return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE: return NO_ERROR;
    default: return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

static BOOL WINAPI console_control(DWORD code)
{
    UNUSED(code);
    SetEvent(host.stop);
    return TRUE;
}

// --- parameters ----------------------------------------------------------------------------------

// A number from the service's Parameters key; `fallback` when it is absent or out of range.
static uint32_t read_parameter(const char *name, uint32_t fallback, uint32_t max)
{
    DWORD value = 0, size = sizeof(value);
    LSTATUS error =
        RegGetValueA(HKEY_LOCAL_MACHINE, PARAMETERS_KEY, name, RRF_RT_REG_DWORD, NULL, &value, &size);
    if (error == ERROR_FILE_NOT_FOUND) {
        return fallback;
    }
    if (error != ERROR_SUCCESS || value == 0 || value > max) {
        log_line(LOG_WARNING, "parameter %s is not a number from 1 to %u: ignored", name, max);
        return fallback;
    }
    return value;
}

// This program's path: workers are the same program.
static DWORD find_path(void)
{
    wchar_t wide[PATH_ROOM];
    DWORD length = GetModuleFileNameW(NULL, wide, PATH_ROOM);
    if (length == 0 || length >= PATH_ROOM) {
        return length == 0 ? GetLastError() : ERROR_FILENAME_EXCED_RANGE;
    }
    return WideCharToMultiByte(CP_UTF8, 0, wide, -1, host.path, sizeof(host.path), NULL, NULL) > 0
               ? ERROR_SUCCESS
               : GetLastError();
}

// --- the service ---------------------------------------------------------------------------------

static DWORD make_judges(void)
{
    struct service_process_options options = {
        .worker = {.path = host.path,
                   .timeout_ms = read_parameter("VerifyTimeout", DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S) * 1000,
                   .stop = (intptr_t)host.stop},
        .host = "verification service",
        .workers = read_parameter("Workers", 0, SERVICE_MAX_WORKERS),
        .prestart = 1};
    ebpf_result_t result = service_process_create(&options, &host.judges);
    if (result != EBPF_SUCCESS) {
        log_line(LOG_ERROR, "no worker can be started: %s", result_row(result)->sentence);
    }
    return result_row(result)->win32;
}

// Until the stop. Workers go when the last call has: a call that does not end in time keeps what it uses, and
// the end of the process ends it.
static DWORD serve(void)
{
    DWORD error = service_rpc_start(host.judges);
    if (error != ERROR_SUCCESS) {
        service_process_destroy(host.judges);
        return error;
    }
    report(SERVICE_RUNNING, 0);
    log_line(LOG_INFO, "version " EBPF_VERSION " verifies programs");
    WaitForSingleObject(host.stop, INFINITE);
    report_stopping();
    if (service_rpc_stop(DRAIN_MS, report_stopping)) {
        service_process_destroy(host.judges);
    } else {
        log_line(LOG_WARNING, "ends with calls under way");
    }
    return ERROR_SUCCESS;
}

static DWORD run(void)
{
    DWORD error = find_path();
    if (error != ERROR_SUCCESS) {
        return error;
    }
    if (plat_init() != EBPF_SUCCESS) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    error = make_judges();
    if (error == ERROR_SUCCESS) {
        error = serve();
    }
    return error; // without plat_fini: threads of the RPC runtime may still be on their way out
}

static DWORD run_logged(bool console)
{
    log_open(console);
    DWORD error = run();
    if (error != ERROR_SUCCESS) {
        log_line(LOG_ERROR, "cannot run: error %u", (unsigned)error);
    }
    log_close();
    return error;
}

static void WINAPI service_main(DWORD argc, wchar_t **argv)
{
    UNUSED(argc);
    UNUSED(argv);
    host.manager = RegisterServiceCtrlHandlerExW(NAME, control, NULL);
    if (host.manager == NULL) {
        return; // then there is nobody to tell
    }
    report(SERVICE_START_PENDING, START_HINT_MS);
    host.status.dwWin32ExitCode = run_logged(false);
    report(SERVICE_STOPPED, 0);
}

static DWORD make_stop(void)
{
    host.stop = CreateEventW(NULL, TRUE, FALSE, NULL); // before anybody can ask
    return host.stop != NULL ? ERROR_SUCCESS : GetLastError();
}

uint32_t service_windows_dispatch(void)
{
    static wchar_t name[] = NAME;
    SERVICE_TABLE_ENTRYW table[] = {{name, service_main}, {NULL, NULL}};
    DWORD error = make_stop();
    if (error != ERROR_SUCCESS) {
        return error;
    }
    return StartServiceCtrlDispatcherW(table) ? ERROR_SUCCESS : GetLastError();
}

uint32_t service_windows_run_console(void)
{
    DWORD error = make_stop();
    if (error != ERROR_SUCCESS) {
        return error;
    }
    SetConsoleCtrlHandler(console_control, TRUE);
    return run_logged(true);
}
