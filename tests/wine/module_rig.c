// SPDX-License-Identifier: MIT
// module_rig: see module_rig.h.
#include "tests/wine/module_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include <ebpf_native_driver.h>

#define SERVICES L"SYSTEM\\CurrentControlSet\\Services"
#define CLIENT   "MODULE_TEST_CLIENT"

static char messages[8192];

// --- objects -------------------------------------------------------------------------------------

static int collect(enum libbpf_print_level level, const char *format, va_list arguments)
{
    size_t used = strlen(messages);
    UNUSED(level);
    vsnprintf(messages + used, sizeof(messages) - used, format, arguments);
    return 0;
}

static void file_path(const char *file, char out[MAX_PATH])
{
    const char *folder = getenv("MODULE_TEST_DIR");
    snprintf(out, MAX_PATH, "%s\\%s", folder != NULL ? folder : ".", file);
}

bool rig_load(struct rig_object *o, const char *file)
{
    char path[MAX_PATH];
    messages[0] = '\0';
    libbpf_set_print(collect);
    file_path(file, path);
    o->object = bpf_object__open(path);
    if (o->object != NULL && bpf_object__load(o->object) != 0) {
        bpf_object__close(o->object);
        o->object = NULL;
    }
    return o->object != NULL;
}

bool rig_must_load(struct rig_object *o, const char *file)
{
    bool loaded = rig_load(o, file);
    if (!loaded) {
        test_fail(__FILE__, __LINE__, "%s is not loaded: %s", file, messages);
    }
    return loaded;
}

void rig_close(struct rig_object *o)
{
    bpf_object__close(o->object);
}

const char *rig_messages(void)
{
    return messages;
}

struct bpf_program *rig_program(const struct rig_object *o, const char *name)
{
    return bpf_object__find_program_by_name(o->object, name);
}

// --- runs ----------------------------------------------------------------------------------------

static int64_t run(int fd, const void *data, uint32_t size, uint32_t repeat)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = size, .repeat = (int)repeat);
    int error = bpf_prog_test_run_opts(fd, &opts);
    return error != 0 ? error : (int64_t)opts.retval;
}

int64_t rig_run(const struct bpf_program *prog)
{
    static const char data[16] = "0123456789";
    return run(bpf_program__fd(prog), data, sizeof(data), 1);
}

// Ethernet, IPv4, UDP without payload.
static const uint8_t frame[60] = {[12] = 0x08, [14] = 0x45, [17] = 28, [23] = 17, [39] = 8};

int64_t rig_run_frame(int fd)
{
    return run(fd, frame, sizeof(frame), 1);
}

int rig_run_repeated(int fd, uint32_t repeat)
{
    return run(fd, frame, sizeof(frame), repeat) < 0 ? -1 : 0;
}

int64_t rig_drop_frame(const struct rig_object *o)
{
    return rig_run_frame(bpf_program__fd(rig_program(o, "DropPacket")));
}

uint64_t rig_dropped(const struct rig_object *o)
{
    uint32_t key = 0;
    uint64_t count = 0;
    const struct bpf_map *map = bpf_object__find_map_by_name(o->object, "dropped_packets");
    return bpf_map_lookup_elem(bpf_map__fd(map), &key, &count) == 0 ? count : UINT64_MAX;
}

// --- services ------------------------------------------------------------------------------------

// By the registry, which knows those too that are marked for deletion.
static unsigned list_services(wchar_t first[RIG_NAME])
{
    unsigned count = 0;
    HKEY key;
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, SERVICES, 0, KEY_READ, &key) != 0) {
        return UINT32_MAX;
    }
    wchar_t name[256];
    DWORD size = ARRAY_SIZE(name);
    for (DWORD i = 0; RegEnumKeyExW(key, i, name, &size, NULL, NULL, NULL, NULL) == 0; i++) {
        if (wcsncmp(name, L"ebpf_", 5) == 0) {
            if (count == 0 && first != NULL) {
                wcsncpy(first, name, RIG_NAME - 1);
                first[RIG_NAME - 1] = 0;
            }
            count++;
        }
        size = ARRAY_SIZE(name);
    }
    RegCloseKey(key);
    return count;
}

unsigned rig_services(void)
{
    return list_services(NULL);
}

unsigned rig_wait_services(unsigned count)
{
    unsigned now = rig_services();
    for (unsigned tries = 0; tries < 1000 && now != count; tries++) {
        Sleep(10);
        now = rig_services();
    }
    return now;
}

unsigned rig_copies(void)
{
    unsigned count = 0;
    WIN32_FIND_DATAW found;
    HANDLE find = FindFirstFileW(L"C:\\windows\\system32\\drivers\\ebpf_*.sys", &found);
    for (BOOL more = find != INVALID_HANDLE_VALUE; more; more = FindNextFileW(find, &found)) {
        count++;
    }
    FindClose(find);
    return count;
}

unsigned rig_wait_copies(unsigned count)
{
    unsigned now = rig_copies();
    for (unsigned tries = 0; tries < 1000 && now > count; tries++) {
        Sleep(10);
        now = rig_copies();
    }
    return now;
}

bool rig_first_service(wchar_t name[RIG_NAME])
{
    return list_services(name) != 0;
}

static bool write_id(const wchar_t *name)
{
    static const uint8_t id[EBPF_NATIVE_ID_SIZE] = {0, 1, 2, 3};
    wchar_t path[RIG_NAME + 64];
    swprintf(path, ARRAY_SIZE(path),
             SERVICES L"\\%ls\\"
                      L"" EBPF_NATIVE_ID_KEY,
             name);
    return RegSetKeyValueW(HKEY_LOCAL_MACHINE, path, L"" EBPF_NATIVE_ID_VALUE, REG_BINARY, id, sizeof(id)) ==
           0;
}

bool rig_make_service_without_id(const wchar_t *name, const char *file)
{
    char path[MAX_PATH];
    wchar_t image[MAX_PATH];
    file_path(file, path);
    swprintf(image, ARRAY_SIZE(image), L"\\??\\%hs", path);
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CREATE_SERVICE);
    SC_HANDLE service =
        CreateServiceW(manager, name, name, SERVICE_ALL_ACCESS, SERVICE_KERNEL_DRIVER, SERVICE_DEMAND_START,
                       SERVICE_ERROR_NORMAL, image, L"" NAME_LOAD_GROUP, NULL, NULL, NULL, NULL);
    CloseServiceHandle(service);
    CloseServiceHandle(manager);
    return service != NULL;
}

bool rig_make_service(const wchar_t *name, const char *file)
{
    return rig_make_service_without_id(name, file) && write_id(name);
}

static void remove_service(const wchar_t *name)
{
    (void)scm_stop(name);
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = OpenServiceW(manager, name, DELETE);
    (void)DeleteService(service);
    CloseServiceHandle(service);
    CloseServiceHandle(manager);
}

void rig_remove_services(void)
{
    wchar_t name[RIG_NAME];
    for (unsigned tries = 0; tries < 10 && rig_first_service(name); tries++) {
        unsigned count = rig_services();
        remove_service(name);
        (void)rig_wait_services(count - 1);
    }
}

bool rig_wait_stopped(const wchar_t *name)
{
    SERVICE_STATUS_PROCESS now = {0};
    for (unsigned tries = 0; tries < 1000; tries++) {
        if (scm_state(name, &now) != 0 || now.dwCurrentState == SERVICE_STOPPED) {
            return true;
        }
        Sleep(10);
    }
    return false;
}

void rig_set_parameter(const wchar_t *name, DWORD value)
{
    static const wchar_t path[] = SERVICES L"\\"
                                           L"" NAME_DRIVER L"\\Parameters";
    CHECK_EQ(RegSetKeyValueW(HKEY_LOCAL_MACHINE, path, name, REG_DWORD, &value, sizeof(value)), 0);
}

void rig_set_grace(DWORD ms)
{
    rig_set_parameter(L"ModuleGraceMs", ms);
    CHECK_EQ(scm_stop(L"" NAME_DRIVER), 0);
    CHECK_EQ(scm_start(L"" NAME_DRIVER), 0);
}

void rig_require_signatures(bool required)
{
    static const wchar_t path[] = SERVICES L"\\"
                                           L"" NAME_SERVICE L"\\Parameters";
    DWORD value = required;
    CHECK_EQ(
        RegSetKeyValueW(HKEY_LOCAL_MACHINE, path, L"RequireSignedModules", REG_DWORD, &value, sizeof(value)),
        0);
}

// --- clients -------------------------------------------------------------------------------------

HANDLE rig_start_client(void)
{
    wchar_t self[MAX_PATH], line[] = L"client";
    STARTUPINFOW startup = {.cb = sizeof(startup)};
    PROCESS_INFORMATION process;
    GetModuleFileNameW(NULL, self, ARRAY_SIZE(self));
    SetEnvironmentVariableA(CLIENT, "1");
    BOOL made = CreateProcessW(self, line, NULL, NULL, FALSE, 0, NULL, NULL, &startup, &process);
    DWORD error = GetLastError();
    SetEnvironmentVariableA(CLIENT, NULL);
    if (!made) {
        test_fail(__FILE__, __LINE__, "the client does not start: error %lu", error);
        return NULL;
    }
    CloseHandle(process.hThread);
    return process.hProcess;
}

bool rig_is_client(void)
{
    return getenv(CLIENT) != NULL;
}
