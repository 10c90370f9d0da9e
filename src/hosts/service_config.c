// SPDX-License-Identifier: MIT
// service_config: account, service SID, privileges, restarts. Invariant: what the system refuses is either
// fatal or told to the caller, never assumed.
//
// Why so little: the service reads what strangers send it. It runs as LocalService, which owns nothing. Its
// SID type is RESTRICTED, not UNRESTRICTED: the SID is then in the token's list of restricting SIDs, too, and
// the token write-restricted, so that the service can write only to what names its SID, Everyone or the logon
// session: the device, which does, and the pipes and ports that it makes itself. It writes no file and no
// registry value. Of the privileges it keeps SeChangeNotify, without which no path can be walked; starting a
// worker with a restricted copy of its own token needs none. Source: Microsoft, ChangeServiceConfig2,
// SERVICE_SID_INFO, CreateProcessAsUser.
//
// It does not depend on the driver: it opens the device when it has a verdict, so either may be restarted
// without the other.
#include "hosts/service_config.h"

#include <stdlib.h>
#include <wchar.h>

#include "proto/proto.h"

#define ACCOUNT      L"NT AUTHORITY\\LocalService"
#define DISPLAY      L"eBPF verification service"
#define PRIVILEGES   L"SeChangeNotifyPrivilege\0" // a list: ends with two NULs
#define EVENT_SOURCE L"SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\" NAME
#define NAME         L"" NAME_SERVICE
#define RESET_AFTER  86400 // seconds without a failure

static wchar_t description[] = L"Verifies eBPF programs before they are loaded. Without it no program can be "
                               L"loaded; loaded ones keep running.";

// --- the service ---------------------------------------------------------------------------------

static DWORD last_error(BOOL done)
{
    return done ? ERROR_SUCCESS : GetLastError();
}

// `account` NULL: the local system.
static DWORD create_service(SC_HANDLE manager, const wchar_t *command, const wchar_t *account, SC_HANDLE *out)
{
    *out = CreateServiceW(manager, NAME, DISPLAY, SERVICE_ALL_ACCESS, SERVICE_WIN32_OWN_PROCESS,
                          SERVICE_AUTO_START, SERVICE_ERROR_NORMAL, command, NULL, NULL, NULL, account,
                          account != NULL ? L"" : NULL);
    return last_error(*out != NULL);
}

static DWORD update_service(SC_HANDLE manager, const wchar_t *command, const wchar_t *account, SC_HANDLE *out)
{
    *out = OpenServiceW(manager, NAME, SERVICE_ALL_ACCESS);
    if (*out == NULL) {
        return GetLastError();
    }
    DWORD error = last_error(ChangeServiceConfigW(*out, SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START,
                                                  SERVICE_ERROR_NORMAL, command, NULL, NULL, L"",
                                                  account != NULL ? account : L"LocalSystem", L"", DISPLAY));
    if (error != ERROR_SUCCESS) {
        CloseServiceHandle(*out);
    }
    return error;
}

struct made {
    SC_HANDLE service;
    bool is_new, has_account;
};

static DWORD make_service(SC_HANDLE manager, const wchar_t *command, struct made *out)
{
    const wchar_t *const accounts[] = {ACCOUNT, NULL};
    DWORD error = ERROR_SUCCESS;
    for (size_t i = 0; i < ARRAY_SIZE(accounts); i++) {
        out->has_account = accounts[i] != NULL;
        out->is_new = true;
        error = create_service(manager, command, accounts[i], &out->service);
        if (error == ERROR_SERVICE_EXISTS) {
            out->is_new = false;
            error = update_service(manager, command, accounts[i], &out->service);
        }
        // Only an account that the system does not have is a reason to try another.
        if (error != ERROR_INVALID_SERVICE_ACCOUNT && error != ERROR_INVALID_PARAMETER) {
            break;
        }
    }
    return error;
}

// --- its settings --------------------------------------------------------------------------------

static SC_ACTION restarts[] = {
    {SC_ACTION_RESTART, 1000}, {SC_ACTION_RESTART, 5000}, {SC_ACTION_RESTART, 30000}};
static SERVICE_DESCRIPTIONW described = {description};
static SERVICE_FAILURE_ACTIONSW failures = {
    .dwResetPeriod = RESET_AFTER, .cActions = ARRAY_SIZE(restarts), .lpsaActions = restarts};
static SERVICE_FAILURE_ACTIONS_FLAG also_errors = {TRUE}; // not only crashes: also an end with an exit code
static SERVICE_SID_INFO sid = {SERVICE_SID_TYPE_RESTRICTED};
static SERVICE_REQUIRED_PRIVILEGES_INFOW privileges = {(wchar_t *)(uintptr_t)PRIVILEGES};

static const struct setting {
    DWORD level;
    void *value;
    bool confines; // without it the service has more rights than it needs
} settings[] = {
    {SERVICE_CONFIG_DESCRIPTION, &described, false},
    {SERVICE_CONFIG_FAILURE_ACTIONS, &failures, false},
    {SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &also_errors, false},
    {SERVICE_CONFIG_SERVICE_SID_INFO, &sid, true},
    {SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO, &privileges, true},
};

// A system that takes the setting without keeping it has not taken it.
static bool has_sid(SC_HANDLE service)
{
    SERVICE_SID_INFO now = {0};
    DWORD needed = 0;
    return QueryServiceConfig2W(service, SERVICE_CONFIG_SERVICE_SID_INFO, (BYTE *)&now, sizeof(now),
                                &needed) &&
           now.dwServiceSidType == SERVICE_SID_TYPE_RESTRICTED;
}

static bool configure(SC_HANDLE service)
{
    bool confined = true;
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        if (!ChangeServiceConfig2W(service, settings[i].level, settings[i].value)) {
            confined &= !settings[i].confines;
        }
    }
    return confined && has_sid(service);
}

// --- its source of events ------------------------------------------------------------------------

static DWORD add_event_source(const wchar_t *exe)
{
    DWORD types = EVENTLOG_ERROR_TYPE | EVENTLOG_WARNING_TYPE | EVENTLOG_INFORMATION_TYPE;
    HKEY key = NULL;
    LSTATUS error =
        RegCreateKeyExW(HKEY_LOCAL_MACHINE, EVENT_SOURCE, 0, NULL, 0, KEY_SET_VALUE, NULL, &key, NULL);
    if (error != ERROR_SUCCESS) {
        return (DWORD)error;
    }
    error = RegSetValueExW(key, L"EventMessageFile", 0, REG_EXPAND_SZ, (const BYTE *)exe,
                           (DWORD)((wcslen(exe) + 1) * sizeof(wchar_t)));
    if (error == ERROR_SUCCESS) {
        error = RegSetValueExW(key, L"TypesSupported", 0, REG_DWORD, (const BYTE *)&types, sizeof(types));
    }
    RegCloseKey(key);
    return (DWORD)error;
}

// --- both ----------------------------------------------------------------------------------------

static DWORD complete(const struct made *made, const wchar_t *exe, bool *restricted)
{
    DWORD error = add_event_source(exe);
    bool confined = configure(made->service) && made->has_account;
    if (error == ERROR_SUCCESS && restricted != NULL) {
        *restricted = confined;
    }
    if (error != ERROR_SUCCESS && made->is_new) {
        DeleteService(made->service);
    }
    return error;
}

DWORD service_config_apply(SC_HANDLE manager, const wchar_t *exe, bool *restricted)
{
    struct made made;
    size_t length = wcslen(exe);
    wchar_t *command = malloc((length + 3) * sizeof(wchar_t)); // quoted: the path may have blanks
    if (command == NULL) {
        return ERROR_NOT_ENOUGH_MEMORY;
    }
    command[0] = command[length + 1] = L'"';
    memcpy(command + 1, exe, length * sizeof(wchar_t));
    command[length + 2] = 0;
    DWORD error = make_service(manager, command, &made);
    free(command);
    if (error == ERROR_SUCCESS) {
        error = complete(&made, exe, restricted);
        CloseServiceHandle(made.service);
    }
    return error;
}

DWORD service_config_remove(SC_HANDLE manager)
{
    SC_HANDLE service = OpenServiceW(manager, NAME, DELETE);
    DWORD error = last_error(service != NULL);
    if (service != NULL) {
        error = last_error(DeleteService(service));
        CloseServiceHandle(service);
    }
    if (error != ERROR_SUCCESS && error != ERROR_SERVICE_DOES_NOT_EXIST) {
        return error;
    }
    LSTATUS removed = RegDeleteKeyW(HKEY_LOCAL_MACHINE, EVENT_SOURCE);
    return removed == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : (DWORD)removed;
}
