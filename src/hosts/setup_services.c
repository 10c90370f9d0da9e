// SPDX-License-Identifier: MIT
// setup_services: the driver and the verification service as the service control manager knows them. Both
// start with Windows: what is attached through them is to work before anybody logs on. The service does not
// depend on the driver, so that the driver can be stopped alone; it opens the device when it is asked
// something.
#include <stdio.h>

#include "hosts/service_config.h"
#include "hosts/setup.h"

#define STATE_TIMEOUT_MS 30000u
#define STATE_POLL_MS    10u
#define DRIVER_IMAGE                                                                                         \
    L"\\SystemRoot\\System32\\drivers\\"                                                                     \
    L"" NAME_DRIVER L".sys"

static const struct {
    const wchar_t *name;
    const char *utf8;
} rows[] = {
    [SETUP_SERVICE_DRIVER] = {L"" NAME_DRIVER, NAME_DRIVER},
    [SETUP_SERVICE_VERIFIER] = {L"" NAME_SERVICE, NAME_SERVICE},
};

// --- asking --------------------------------------------------------------------------------------

static SC_HANDLE open_service(const struct setup *s, uint32_t service, DWORD access)
{
    return OpenServiceW(s->manager, rows[service].name, access);
}

static DWORD query_state(SC_HANDLE handle, SERVICE_STATUS_PROCESS *out)
{
    DWORD needed;
    return QueryServiceStatusEx(handle, SC_STATUS_PROCESS_INFO, (BYTE *)out, sizeof(*out), &needed)
               ? 0
               : GetLastError();
}

bool setup_service_is_running(const struct setup *s, uint32_t service)
{
    SERVICE_STATUS_PROCESS status = {0};
    SC_HANDLE handle = open_service(s, service, SERVICE_QUERY_STATUS);
    if (handle == NULL) {
        return false;
    }
    DWORD error = query_state(handle, &status);
    CloseServiceHandle(handle);
    return error == 0 && status.dwCurrentState != SERVICE_STOPPED;
}

// The command line or image path of an existing service.
static DWORD query_image(SC_HANDLE handle, wchar_t out[SETUP_PATH])
{
    union {
        QUERY_SERVICE_CONFIGW config;
        BYTE room[8192]; // the most that the call can need
    } answer;
    DWORD needed;
    if (!QueryServiceConfigW(handle, &answer.config, sizeof(answer), &needed)) {
        return GetLastError();
    }
    if (wcslen(answer.config.lpBinaryPathName) >= SETUP_PATH) {
        return ERROR_FILENAME_EXCED_RANGE;
    }
    wcscpy(out, answer.config.lpBinaryPathName);
    return 0;
}

static DWORD read_image(const struct setup *s, uint32_t service, wchar_t out[SETUP_PATH])
{
    SC_HANDLE handle = open_service(s, service, SERVICE_QUERY_CONFIG);
    if (handle == NULL) {
        return GetLastError();
    }
    DWORD error = query_image(handle, out);
    CloseServiceHandle(handle);
    return error;
}

// Where the service's executable is to be; of the driver as the system writes it.
static DWORD wanted_image(const struct setup *s, uint32_t service, const wchar_t *folder,
                          wchar_t out[SETUP_PATH])
{
    UNUSED(s);
    if (service == SETUP_SERVICE_DRIVER) {
        wcscpy(out, DRIVER_IMAGE);
        return 0;
    }
    return setup_join(out, folder, L"ebpfsvc.exe");
}

// With or without quotes around the path.
static bool is_image(const wchar_t *image, const wchar_t *wanted)
{
    size_t length = wcslen(wanted);
    const wchar_t *start = image + (image[0] == L'"');
    return _wcsnicmp(start, wanted, length) == 0 && (start[length] == 0 || start[length] == L'"');
}

DWORD setup_services_find_foreign(struct setup *s, struct plan_note *note)
{
    for (uint32_t service = 0; service < SETUP_SERVICE_COUNT; service++) {
        wchar_t image[SETUP_PATH], ours[SETUP_PATH];
        char utf8[SETUP_PATH];
        const wchar_t *folder = s->installed ? s->installed_folder : s->folder;
        if (read_image(s, service, image) != 0 || wanted_image(s, service, folder, ours) != 0 ||
            is_image(image, ours)) {
            continue;
        }
        plan_note_format(note, "service %s, %s", rows[service].utf8, setup_utf8(image, utf8, sizeof(utf8)));
        return ERROR_SERVICE_EXISTS;
    }
    return 0;
}

// --- starting and stopping -----------------------------------------------------------------------

// Waits until the state is `wanted`. A service that stops while it should start failed: its exit code.
static DWORD wait_for_state(SC_HANDLE handle, DWORD wanted)
{
    SERVICE_STATUS_PROCESS status;
    ULONGLONG end = GetTickCount64() + STATE_TIMEOUT_MS;
    for (;;) {
        DWORD error = query_state(handle, &status);
        if (error != 0 || status.dwCurrentState == wanted) {
            return error;
        }
        if (wanted == SERVICE_RUNNING && status.dwCurrentState == SERVICE_STOPPED) {
            return status.dwWin32ExitCode != 0 ? status.dwWin32ExitCode : ERROR_PROCESS_ABORTED;
        }
        if (GetTickCount64() >= end) {
            return wanted == SERVICE_RUNNING ? ERROR_SERVICE_REQUEST_TIMEOUT : ERROR_TIMEOUT;
        }
        Sleep(STATE_POLL_MS);
    }
}

static DWORD start_service(const struct setup *s, uint32_t service)
{
    SC_HANDLE handle = open_service(s, service, SERVICE_START | SERVICE_QUERY_STATUS);
    DWORD error = 0;
    if (handle == NULL) {
        return GetLastError();
    }
    if (!StartServiceW(handle, 0, NULL)) {
        error = GetLastError();
    }
    error = error == 0 || error == ERROR_SERVICE_ALREADY_RUNNING ? wait_for_state(handle, SERVICE_RUNNING)
                                                                 : error;
    CloseServiceHandle(handle);
    return error;
}

static DWORD stop_service(const struct setup *s, uint32_t service)
{
    SERVICE_STATUS unused;
    SC_HANDLE handle = open_service(s, service, SERVICE_STOP | SERVICE_QUERY_STATUS);
    DWORD error = 0;
    if (handle == NULL) {
        error = GetLastError();
        return error == ERROR_SERVICE_DOES_NOT_EXIST ? 0 : error;
    }
    if (!ControlService(handle, SERVICE_CONTROL_STOP, &unused)) {
        error = GetLastError();
    }
    if (error == 0 || error == ERROR_SERVICE_CANNOT_ACCEPT_CTRL) { // e.g. it is stopping already
        error = wait_for_state(handle, SERVICE_STOPPED);
    }
    CloseServiceHandle(handle);
    return error == ERROR_SERVICE_NOT_ACTIVE ? 0 : error;
}

static void name_service(uint32_t service, struct plan_note *note)
{
    plan_note_format(note, "%s", rows[service].utf8);
}

uint32_t setup_pause_apply(void *user, uint32_t service, struct plan_note *note)
{
    struct setup *s = user;
    s->services[service].was_running = setup_service_is_running(s, service);
    if (!s->services[service].was_running) {
        plan_note_format(note, "%s did not run", rows[service].utf8);
        return 0;
    }
    name_service(service, note);
    DWORD error = stop_service(s, service);
    if (error != 0) {
        (void)start_service(s, service); // it may have stopped after all
    }
    return error;
}

uint32_t setup_pause_revert(void *user, uint32_t service, struct plan_note *note)
{
    struct setup *s = user;
    plan_note_format(note, s->services[service].was_running ? "%s runs again" : "%s did not run",
                     rows[service].utf8);
    return s->services[service].was_running ? start_service(s, service) : 0;
}

enum plan_state setup_running_check(void *user, uint32_t service, struct plan_note *note)
{
    name_service(service, note);
    return setup_service_is_running(user, service) ? PLAN_PRESENT : PLAN_ABSENT;
}

uint32_t setup_running_apply(void *user, uint32_t service, struct plan_note *note)
{
    name_service(service, note);
    return start_service(user, service);
}

uint32_t setup_running_remove(void *user, uint32_t service, struct plan_note *note)
{
    name_service(service, note);
    return stop_service(user, service);
}

// --- making and deleting -------------------------------------------------------------------------

static DWORD create_driver(const struct setup *s)
{
    SC_HANDLE handle = CreateServiceW(s->manager, L"" NAME_DRIVER, L"eBPF core driver", SERVICE_CHANGE_CONFIG,
                                      SERVICE_KERNEL_DRIVER, SERVICE_AUTO_START, SERVICE_ERROR_NORMAL,
                                      DRIVER_IMAGE, L"" NAME_LOAD_GROUP, NULL, NULL, NULL, NULL);
    if (handle == NULL) {
        return GetLastError();
    }
    CloseServiceHandle(handle);
    return 0;
}

// What is there has been found to be ours: only what may have changed is set.
static DWORD set_image(const struct setup *s, uint32_t service, const wchar_t *image)
{
    SC_HANDLE handle = open_service(s, service, SERVICE_CHANGE_CONFIG);
    DWORD error = 0;
    if (handle == NULL) {
        return GetLastError();
    }
    if (!ChangeServiceConfigW(handle, SERVICE_NO_CHANGE, SERVICE_AUTO_START, SERVICE_NO_CHANGE, image, NULL,
                              NULL, NULL, NULL, NULL, NULL)) {
        error = GetLastError();
    }
    CloseServiceHandle(handle);
    return error;
}

enum plan_state setup_service_check(void *user, uint32_t service, struct plan_note *note)
{
    struct setup *s = user;
    wchar_t image[SETUP_PATH], wanted[SETUP_PATH];
    if (read_image(s, service, image) != 0) {
        return PLAN_ABSENT;
    }
    setup_utf8(image, note->text, sizeof(note->text));
    return wanted_image(s, service, s->folder, wanted) == 0 && is_image(image, wanted) ? PLAN_PRESENT
                                                                                       : PLAN_DIFFERENT;
}

static DWORD apply_verifier(struct setup *s, struct plan_note *note)
{
    wchar_t exe[SETUP_PATH];
    bool restricted = true;
    DWORD error = wanted_image(s, SETUP_SERVICE_VERIFIER, s->folder, exe);
    error = error != 0 ? error : service_config_apply(s->manager, exe, &restricted);
    s->unrestricted = error == 0 && !restricted;
    if (s->unrestricted) {
        plan_note_format(note, NAME_SERVICE ": this system refuses an account of its own, its SID or its "
                                            "privileges; it runs unrestricted");
        note->tolerated = true;
    }
    return error;
}

uint32_t setup_service_apply(void *user, uint32_t service, struct plan_note *note)
{
    struct setup *s = user;
    struct setup_saved_service *saved = &s->services[service];
    DWORD error = read_image(s, service, saved->image);
    saved->existed = error == 0;
    if (error != 0 && error != ERROR_SERVICE_DOES_NOT_EXIST) {
        return error;
    }
    name_service(service, note);
    if (service == SETUP_SERVICE_VERIFIER) {
        return apply_verifier(s, note);
    }
    return saved->existed ? set_image(s, service, DRIVER_IMAGE) : create_driver(s);
}

static DWORD delete_service(const struct setup *s, uint32_t service)
{
    if (service == SETUP_SERVICE_VERIFIER) {
        return service_config_remove(s->manager);
    }
    SC_HANDLE handle = open_service(s, service, DELETE);
    DWORD error = 0;
    if (handle == NULL) {
        error = GetLastError();
        return error == ERROR_SERVICE_DOES_NOT_EXIST ? 0 : error;
    }
    if (!DeleteService(handle)) {
        error = GetLastError();
    }
    CloseServiceHandle(handle);
    return error;
}

uint32_t setup_service_revert(void *user, uint32_t service, struct plan_note *note)
{
    struct setup *s = user;
    name_service(service, note);
    return s->services[service].existed ? set_image(s, service, s->services[service].image)
                                        : delete_service(s, service);
}

uint32_t setup_service_remove(void *user, uint32_t service, struct plan_note *note)
{
    name_service(service, note);
    return delete_service(user, service);
}
