// SPDX-License-Identifier: MIT
// lib_module_windows: native modules that are drivers. The service control manager loads one: a service of
// its own, with a random id, under which the driver registers with ebpfcore (ebpf_native_driver.h) and the
// module is opened here, once; who may open modules is the device's business. The service is marked for
// deletion as soon as it runs, so that it goes with the driver, which ebpfcore unloads when nobody has the
// module any more. Windows loads no image twice, so that each load has a copy of its own, which ebpfcore
// deletes after the driver.
//
// Whoever dies half-way leaves a service, stopped or running, and the copy. A driver that runs is unloaded by
// ebpfcore after its grace; the next who loads a module marks all services for deletion. What belongs to
// the living is marked already, or has the mutex held for it.
#include <errno.h>
#include <stdlib.h>
#include <windows.h>

#include "lib/lib_int.h"
#include "plat/plat.h"

#include <ebpf_native_driver.h>

#define PREFIX       L"ebpf_"
#define SERVICES_KEY L"SYSTEM\\CurrentControlSet\\Services\\"
#define DIGITS       L"????????????????" // NAME_DIGITS
#define HEX          L"0123456789abcdef"
#define SUFFIX       L".sys"
#define MUTEX_NAME   L"Global\\ebpf_native_module_service"

enum {
    NAME_SIZE = 96, // of a service: prefix, name of the object, digits
    NAME_DIGITS = 16,
    KEY_SIZE = NAME_SIZE + 64,
    COPY_SIZE = MAX_PATH + NAME_SIZE,
    OPEN_TRIES = 200, // of 10 ms: registrars may attach later than the driver starts
    STEP_MS = 10,
    STOP_TRIES = 1000,
    MUTEX_MS = 30000, // for others, each of whom takes a moment
    ENUM_SIZE = 64 << 10,
};

struct install {
    const struct bpf_object *obj;
    SC_HANDLE manager, service;
    HANDLE mutex;
    uint8_t id[EBPF_NATIVE_ID_SIZE];
    wchar_t name[NAME_SIZE];
    wchar_t copy[COPY_SIZE]; // the driver's file; "": none yet
    bool running;
};

// --- words ---------------------------------------------------------------------------------------

// What the service control manager and the loader of drivers say. Source: Microsoft's winerror.h.
static const struct {
    DWORD error;
    ebpf_result_t result;
    const char *text;
} errors[] = {
    {ERROR_ACCESS_DENIED, EBPF_ACCESS_DENIED, "drivers are loaded by administrators only"},
    {ERROR_FILE_NOT_FOUND, EBPF_FILE_NOT_FOUND, "Windows does not find the file, or one that it needs"},
    {ERROR_PATH_NOT_FOUND, EBPF_FILE_NOT_FOUND,
     "Windows does not find the file; it must lie on a local disk"},
    {ERROR_BAD_EXE_FORMAT, EBPF_INVALID_OBJECT,
     "Windows does not take the file for a driver of this machine"},
    {ERROR_EXE_MACHINE_TYPE_MISMATCH, EBPF_INVALID_OBJECT, "the driver is for another machine"},
    {ERROR_MOD_NOT_FOUND, EBPF_INVALID_OBJECT, "Windows lacks a driver that it needs"},
    {ERROR_PROC_NOT_FOUND, EBPF_INVALID_OBJECT, "Windows lacks a function that the driver needs"},
    {577 /* ERROR_INVALID_IMAGE_HASH */, EBPF_BLOCKED_BY_POLICY,
     "Windows refuses its signature: sign the driver, or switch test signing on for one with a test "
     "signature"},
    {ERROR_DRIVER_BLOCKED, EBPF_BLOCKED_BY_POLICY, "Windows blocks this driver"},
    {4551 /* ERROR_SYSTEM_INTEGRITY_POLICY_VIOLATION */, EBPF_BLOCKED_BY_POLICY,
     "a code integrity policy of this machine does not permit this driver"},
    {ERROR_SERVICE_DISABLED, EBPF_BLOCKED_BY_POLICY, "its service was disabled"},
    {ERROR_OUTOFMEMORY, EBPF_NO_MEMORY, "Windows has no memory"},
    {ERROR_NOT_ENOUGH_MEMORY, EBPF_NO_MEMORY, "Windows has no memory"},
    {ERROR_NO_SYSTEM_RESOURCES, EBPF_NO_MEMORY, "Windows has no memory"},
};

static ebpf_result_t say_error(const struct install *i, const char *what, DWORD error)
{
    for (size_t row = 0; row < ARRAY_SIZE(errors); row++) {
        if (errors[row].error == error) {
            lib_warn("module '%s': %s: %s\n", i->obj->module.path, what, errors[row].text);
            return errors[row].result;
        }
    }
    lib_warn("module '%s': %s: Windows error %lu\n", i->obj->module.path, what, error);
    return EBPF_FAILED;
}

// --- the service's key ---------------------------------------------------------------------------

static void service_path(const wchar_t *service, wchar_t out[KEY_SIZE])
{
    wcscpy(out, SERVICES_KEY);
    wcscat(out, service);
}

// Of its parameters.
static void key_path(const wchar_t *service, wchar_t out[KEY_SIZE])
{
    service_path(service, out);
    wcscat(out, L"\\"
                L"" EBPF_NATIVE_ID_KEY);
}

// The copy's path as the kernel has it, and the manager takes it; its length.
static size_t kernel_path(const struct install *i, wchar_t out[COPY_SIZE + 8])
{
    wcscpy(out, L"\\??\\");
    wcscat(out, i->copy);
    return wcslen(out);
}

static DWORD write_parameters(const struct install *i)
{
    wchar_t path[KEY_SIZE], image[COPY_SIZE + 8];
    key_path(i->name, path);
    DWORD size = (DWORD)(kernel_path(i, image) + 1) * (DWORD)sizeof(*image);
    LSTATUS error =
        RegSetKeyValueW(HKEY_LOCAL_MACHINE, path, L"" EBPF_NATIVE_ID_VALUE, REG_BINARY, i->id, sizeof(i->id));
    if (error == 0) {
        error = RegSetKeyValueW(HKEY_LOCAL_MACHINE, path, L"" NAME_MODULE_COPY, REG_SZ, image, size);
    }
    return (DWORD)error;
}

// Whether ebpfcore has left a sentence that says why it has refused the module.
static bool read_refusal(const struct install *i, char *out, DWORD size)
{
    wchar_t path[KEY_SIZE], text[256];
    DWORD bytes = sizeof(text);
    key_path(i->name, path);
    if (RegGetValueW(HKEY_LOCAL_MACHINE, path, L"" NAME_MODULE_ERROR, RRF_RT_REG_SZ, NULL, text, &bytes) !=
        0) {
        return false;
    }
    return WideCharToMultiByte(CP_UTF8, 0, text, -1, out, (int)size, NULL, NULL) > 1;
}

// As make_name makes them.
static bool is_module_name(const wchar_t *name)
{
    const size_t length = wcslen(name), least = wcslen(PREFIX) + 1 + NAME_DIGITS;
    return length >= least && length < NAME_SIZE && wcsncmp(name, PREFIX, wcslen(PREFIX)) == 0 &&
           name[length - NAME_DIGITS - 1] == L'_' && wcsspn(name + length - NAME_DIGITS, HEX) == NAME_DIGITS;
}

// By what the manager itself writes when it makes the service: whoever dies right after that has left no
// parameters.
static bool is_module_service(const wchar_t *name)
{
    wchar_t path[KEY_SIZE], group[ARRAY_SIZE(L"" NAME_LOAD_GROUP)];
    DWORD bytes = sizeof(group);
    if (!is_module_name(name)) {
        return false;
    }
    service_path(name, path);
    return RegGetValueW(HKEY_LOCAL_MACHINE, path, L"Group", RRF_RT_REG_SZ, NULL, group, &bytes) == 0 &&
           wcscmp(group, L"" NAME_LOAD_GROUP) == 0;
}

// --- the driver's file ---------------------------------------------------------------------------

// "C:\\Windows\\System32\\drivers\\" and `name`. False: it is too long.
static bool driver_path(const wchar_t *name, wchar_t out[COPY_SIZE])
{
    static const wchar_t folder[] = L"\\drivers\\";
    UINT length = GetSystemDirectoryW(out, MAX_PATH);
    if (length == 0 || length + wcslen(folder) + wcslen(name) >= COPY_SIZE) {
        return false;
    }
    wcscat(out, folder);
    wcscat(out, name);
    return true;
}

static DWORD copy_file(struct install *i)
{
    wchar_t file[NAME_SIZE + 8], *from = lib_alloc(LIB_FILE_PATH_SIZE * sizeof(*from));
    DWORD error = from == NULL ? ERROR_OUTOFMEMORY : 0;
    wcscpy(file, i->name);
    wcscat(file, SUFFIX);
    if (error == 0 && (!driver_path(file, i->copy) || MultiByteToWideChar(CP_ACP, 0, i->obj->module.path, -1,
                                                                          from, LIB_FILE_PATH_SIZE) == 0)) {
        error = ERROR_PATH_NOT_FOUND;
    }
    if (error == 0 && !CopyFileW(from, i->copy, TRUE)) {
        error = GetLastError();
    }
    if (error == 0) {
        (void)SetFileAttributesW(i->copy, FILE_ATTRIBUTE_NORMAL); // so that it can be deleted
    } else {
        i->copy[0] = 0;
    }
    lib_free(from);
    return error;
}

// --- what others have left -----------------------------------------------------------------------

// With the mutex held. Nothing depends on any of it.
static void remove_service(SC_HANDLE manager, const wchar_t *name)
{
    SC_HANDLE service = OpenServiceW(manager, name, DELETE);
    if (service != NULL) {
        (void)DeleteService(service);
        CloseServiceHandle(service);
    }
}

static void remove_services(const struct install *i)
{
    ENUM_SERVICE_STATUSW *rows = lib_alloc(ENUM_SIZE);
    DWORD needed, count, resume = 0;
    BOOL whole = FALSE;
    while (rows != NULL && !whole) {
        whole = EnumServicesStatusW(i->manager, SERVICE_KERNEL_DRIVER, SERVICE_STATE_ALL, rows, ENUM_SIZE,
                                    &needed, &count, &resume);
        if (!whole && GetLastError() != ERROR_MORE_DATA) {
            break;
        }
        for (DWORD row = 0; row < count; row++) {
            if (is_module_service(rows[row].lpServiceName)) {
                remove_service(i->manager, rows[row].lpServiceName);
            }
        }
    }
    lib_free(rows);
}

// A copy without a service; one that is still loaded stays.
static void remove_copy(const struct install *i, wchar_t *file)
{
    wchar_t path[COPY_SIZE];
    if (!driver_path(file, path)) {
        return;
    }
    file[wcslen(file) - (ARRAY_SIZE(SUFFIX) - 1)] = 0;
    SC_HANDLE service = OpenServiceW(i->manager, file, SERVICE_QUERY_STATUS);
    if (service != NULL) {
        CloseServiceHandle(service);
    } else if (GetLastError() == ERROR_SERVICE_DOES_NOT_EXIST) {
        (void)DeleteFileW(path);
    }
}

static void remove_copies(const struct install *i)
{
    wchar_t pattern[COPY_SIZE];
    WIN32_FIND_DATAW found;
    HANDLE find = driver_path(PREFIX L"*_" DIGITS SUFFIX, pattern) ? FindFirstFileW(pattern, &found)
                                                                   : INVALID_HANDLE_VALUE;
    for (BOOL more = find != INVALID_HANDLE_VALUE; more; more = FindNextFileW(find, &found)) {
        remove_copy(i, found.cFileName);
    }
    if (find != INVALID_HANDLE_VALUE) {
        FindClose(find);
    }
}

// --- making, starting, opening -------------------------------------------------------------------

// "ebpf_droppacket_0123456789abcdef": letters, digits and underscores.
static void make_name(struct install *i)
{
    wchar_t *at = i->name;
    plat_random_bytes(i->id, sizeof(i->id));
    wcscpy(at, PREFIX);
    at += wcslen(at);
    for (const char *c = i->obj->name; *c != '\0'; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        *at++ = plain ? (wchar_t)*c : L'_';
    }
    *at++ = L'_';
    for (unsigned byte = 0; byte < NAME_DIGITS / 2; byte++) {
        *at++ = HEX[i->id[byte] >> 4];
        *at++ = HEX[i->id[byte] & 15];
    }
    *at = 0;
}
_Static_assert(SPEC_NAME_SIZE + 5 + 1 + NAME_DIGITS <= NAME_SIZE, "a service's name fits");

static DWORD create(struct install *i)
{
    wchar_t image[COPY_SIZE + 8];
    DWORD error = copy_file(i);
    if (error != 0) {
        return error;
    }
    (void)kernel_path(i, image);
    i->service = CreateServiceW(i->manager, i->name, i->name,
                                SERVICE_START | SERVICE_STOP | SERVICE_QUERY_STATUS | DELETE,
                                SERVICE_KERNEL_DRIVER, SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL, image,
                                L"" NAME_LOAD_GROUP, NULL, NULL, NULL, NULL);
    return i->service != NULL ? write_parameters(i) : GetLastError();
}

// Drivers start before StartService returns on Windows; Wine's manager may say so a little later.
static DWORD await(const struct install *i, DWORD state)
{
    SERVICE_STATUS now = {0};
    for (unsigned tries = 0; tries < STOP_TRIES; tries++) {
        if (!QueryServiceStatus(i->service, &now)) {
            return GetLastError();
        }
        if (now.dwCurrentState == state) {
            return 0;
        }
        if (now.dwCurrentState == SERVICE_STOPPED) {
            return now.dwWin32ExitCode != 0 ? now.dwWin32ExitCode : ERROR_GEN_FAILURE;
        }
        Sleep(STEP_MS);
    }
    return ERROR_TIMEOUT;
}

static ebpf_result_t start(struct install *i)
{
    char refusal[256];
    DWORD error = StartServiceW(i->service, 0, NULL) ? await(i, SERVICE_RUNNING) : GetLastError();
    i->running = error == 0;
    if (i->running) {
        (void)DeleteService(i->service); // with the driver's end and the last handle
        return EBPF_SUCCESS;
    }
    if (read_refusal(i, refusal, sizeof(refusal))) {
        lib_warn("module '%s': the execution context refuses it: %s\n", i->obj->module.path, refusal);
        return EBPF_INVALID_OBJECT;
    }
    return say_error(i, "its driver does not start", error);
}

static ebpf_result_t open_module(const struct install *i, int *fd)
{
    char refusal[256];
    ebpf_result_t result = EBPF_OBJECT_NOT_FOUND;
    for (unsigned tries = 0; tries < OPEN_TRIES && result == EBPF_OBJECT_NOT_FOUND; tries++) {
        if (tries != 0) {
            Sleep(STEP_MS);
        }
        result = lib_module_open_id(i->id, fd);
    }
    if (result == EBPF_OBJECT_NOT_FOUND && read_refusal(i, refusal, sizeof(refusal))) {
        lib_warn("module '%s': the execution context refuses it: %s\n", i->obj->module.path, refusal);
        return EBPF_INVALID_OBJECT;
    }
    if (result == EBPF_OBJECT_NOT_FOUND) {
        lib_warn("module '%s': its driver runs, but has not registered with ebpfcore\n", i->obj->module.path);
    } else if (result != EBPF_SUCCESS) {
        lib_warn("module '%s': cannot be opened: %s\n", i->obj->module.path, ebpf_result_text(result));
    }
    return result;
}

// --- the whole -----------------------------------------------------------------------------------

static void close_mutex(struct install *i, bool held)
{
    if (i->mutex != NULL && held) {
        ReleaseMutex(i->mutex);
    }
    if (i->mutex != NULL) {
        CloseHandle(i->mutex);
    }
    i->mutex = NULL;
}

// The mutex first: of threads of one process that connect to the manager at the same time, Wine 8 mixes up
// the handles.
static ebpf_result_t prepare(struct install *i)
{
    i->mutex = CreateMutexW(NULL, FALSE, MUTEX_NAME);
    if (i->mutex == NULL || WaitForSingleObject(i->mutex, MUTEX_MS) == WAIT_TIMEOUT) {
        close_mutex(i, false);
        lib_warn("module '%s': other modules are being loaded; try again\n", i->obj->module.path);
        return EBPF_INVALID_STATE;
    }
    i->manager = OpenSCManagerW(
        NULL, NULL, SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE | SC_MANAGER_ENUMERATE_SERVICE);
    if (i->manager == NULL) {
        return say_error(i, "no service can be made for its driver", GetLastError());
    }
    remove_services(i);
    remove_copies(i);
    make_name(i);
    DWORD error = create(i);
    return error != 0 ? say_error(i, "no service can be made for its driver", error) : EBPF_SUCCESS;
}

// A driver that is not wanted is stopped.
static void finish(struct install *i, bool good)
{
    SERVICE_STATUS status;
    if (i->service != NULL && i->running && !good &&
        ControlService(i->service, SERVICE_CONTROL_STOP, &status)) {
        (void)await(i, SERVICE_STOPPED);
    }
    if (!good && i->copy[0] != 0) {
        (void)DeleteFileW(i->copy);
    }
    if (i->service != NULL && !i->running) {
        (void)DeleteService(i->service);
    }
    if (i->service != NULL) {
        CloseServiceHandle(i->service);
    }
    close_mutex(i, true);
    if (i->manager != NULL) {
        CloseServiceHandle(i->manager);
    }
}

static ebpf_result_t check_file(const struct bpf_object *obj)
{
    USHORT process, native = IMAGE_FILE_MACHINE_AMD64;
    if (!obj->module.is_driver) {
        lib_warn("module '%s': ebpfcore takes modules that are drivers (bpftool gen native --target "
                 "windows-driver); this one is for processes\n",
                 obj->module.path);
        return EBPF_INVALID_ARGUMENT;
    }
    (void)IsWow64Process2(GetCurrentProcess(), &process, &native);
    enum elf_image_machine machine =
        native == IMAGE_FILE_MACHINE_ARM64 ? ELF_MACHINE_ARM64 : ELF_MACHINE_X86_64;
    if (obj->module.machine != machine) {
        lib_warn("module '%s': the driver is for %s, and this machine is %s\n", obj->module.path,
                 elf_image_machine_name(obj->module.machine), elf_image_machine_name(machine));
        return EBPF_INVALID_OBJECT;
    }
    return EBPF_SUCCESS;
}

ebpf_result_t lib_module_install(const struct bpf_object *obj, int *fd)
{
    struct install i = {.obj = obj};
    TRY(check_file(obj));
    ebpf_result_t result = prepare(&i);
    if (result == EBPF_SUCCESS) {
        result = start(&i);
    }
    if (result == EBPF_SUCCESS) {
        close_mutex(&i, true); // others may mark the service for deletion once more
        result = open_module(&i, fd);
    }
    finish(&i, result == EBPF_SUCCESS);
    return result;
}

ebpf_result_t lib_module_path(const char *path, char out[LIB_FILE_PATH_SIZE])
{
    if (_fullpath(out, path, LIB_FILE_PATH_SIZE) == NULL) {
        return errno == ENOMEM ? EBPF_NO_MEMORY : EBPF_INVALID_ARGUMENT;
    }
    return EBPF_SUCCESS;
}
