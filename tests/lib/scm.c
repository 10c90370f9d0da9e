// SPDX-License-Identifier: MIT
// scm: opens what a call is about and closes it again; nothing is held between calls.
#include "tests/lib/scm.h"

enum { WAIT_MS = 30000, STEP_MS = 10 };

struct opened {
    SC_HANDLE manager, service; // `service` NULL: GetLastError says why
};

static struct opened open_service(const wchar_t *name)
{
    struct opened o = {.manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT)};
    if (o.manager != NULL) {
        o.service = OpenServiceW(o.manager, name, SERVICE_START | SERVICE_STOP | SERVICE_QUERY_STATUS);
    }
    return o;
}

static DWORD close_service(const struct opened *o, DWORD error)
{
    if (o->service != NULL) {
        CloseServiceHandle(o->service);
    }
    if (o->manager != NULL) {
        CloseServiceHandle(o->manager);
    }
    return error;
}

static DWORD query(SC_HANDLE service, SERVICE_STATUS_PROCESS *out)
{
    DWORD needed = 0;
    return QueryServiceStatusEx(service, SC_STATUS_PROCESS_INFO, (BYTE *)out, sizeof(*out), &needed)
               ? 0
               : GetLastError();
}

static DWORD await_state(SC_HANDLE service, DWORD state)
{
    SERVICE_STATUS_PROCESS now = {0};
    for (unsigned waited = 0; waited < WAIT_MS; waited += STEP_MS) {
        DWORD error = query(service, &now);
        if (error != 0 || now.dwCurrentState == state) {
            return error;
        }
        if (state == SERVICE_RUNNING && now.dwCurrentState == SERVICE_STOPPED) {
            return now.dwWin32ExitCode != 0 ? now.dwWin32ExitCode : ERROR_PROCESS_ABORTED;
        }
        Sleep(STEP_MS);
    }
    return ERROR_TIMEOUT;
}

DWORD scm_start(const wchar_t *service)
{
    struct opened o = open_service(service);
    DWORD error = o.service != NULL && StartServiceW(o.service, 0, NULL) ? 0 : GetLastError();
    return close_service(&o, error != 0 ? error : await_state(o.service, SERVICE_RUNNING));
}

DWORD scm_stop(const wchar_t *service)
{
    SERVICE_STATUS status;
    struct opened o = open_service(service);
    BOOL sent = o.service != NULL && ControlService(o.service, SERVICE_CONTROL_STOP, &status);
    DWORD error = sent ? 0 : GetLastError();
    return close_service(&o, error != 0 ? error : await_state(o.service, SERVICE_STOPPED));
}

DWORD scm_state(const wchar_t *service, SERVICE_STATUS_PROCESS *out)
{
    struct opened o = open_service(service);
    return close_service(&o, o.service != NULL ? query(o.service, out) : GetLastError());
}
