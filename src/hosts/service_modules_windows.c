// SPDX-License-Identifier: MIT
// service_modules: looks at the files of all services that are drivers of native modules: the one whose
// program is loaded is among them, whatever the client says. Only whether there is a signature: whether it is
// good is for the kernel's code integrity, which has loaded the driver.
#include "hosts/service_modules.h"

#include <windows.h>
#include <stdio.h>
#include <wchar.h>

#include "proto/proto.h"

#include <ebpf_native_driver.h>

#define SERVICES           L"SYSTEM\\CurrentControlSet\\Services"
#define POLICY             L"RequireSignedModules"
#define CERTIFICATE_HEADER 8u // of the first one: its size, and what it is

static bool is_required(void)
{
    DWORD value = 0, size = sizeof(value);
    return RegGetValueW(HKEY_LOCAL_MACHINE,
                        SERVICES L"\\"
                                 L"" NAME_SERVICE L"\\Parameters",
                        POLICY, RRF_RT_REG_DWORD, NULL, &value, &size) == 0 &&
           value == 1;
}

static bool is_native(const void *request, size_t size)
{
    struct proto_header header;
    struct proto_prog_load_request fixed;
    if (size < sizeof(header) + sizeof(fixed)) {
        return false;
    }
    memcpy(&header, request, sizeof(header));
    memcpy(&fixed, (const uint8_t *)request + sizeof(header), sizeof(fixed));
    return header.op == PROTO_PROG_LOAD && fixed.native != 0;
}

// --- files ---------------------------------------------------------------------------------------

// The table of certificates lies in the file, and is not empty. Source: Microsoft, "PE Format".
static bool has_certificates(const uint8_t *head, size_t size, uint64_t file_size)
{
    IMAGE_DOS_HEADER dos;
    IMAGE_NT_HEADERS64 nt;
    if (size < sizeof(dos)) {
        return false;
    }
    memcpy(&dos, head, sizeof(dos));
    if (dos.e_magic != IMAGE_DOS_SIGNATURE || dos.e_lfanew < 0 ||
        (uint64_t)dos.e_lfanew + sizeof(nt) > size) {
        return false;
    }
    memcpy(&nt, head + dos.e_lfanew, sizeof(nt));
    const IMAGE_DATA_DIRECTORY *table = &nt.OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_SECURITY];
    return nt.Signature == IMAGE_NT_SIGNATURE && nt.OptionalHeader.Magic == IMAGE_NT_OPTIONAL_HDR64_MAGIC &&
           nt.OptionalHeader.NumberOfRvaAndSizes > IMAGE_DIRECTORY_ENTRY_SECURITY &&
           table->Size >= CERTIFICATE_HEADER && table->VirtualAddress != 0 &&
           (uint64_t)table->VirtualAddress + table->Size <= file_size;
}

static bool is_signed(const wchar_t *path)
{
    uint8_t head[4096];
    DWORD size = 0;
    LARGE_INTEGER file_size = {.QuadPart = 0};
    HANDLE file =
        CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        return false;
    }
    bool good = GetFileSizeEx(file, &file_size) && ReadFile(file, head, sizeof(head), &size, NULL);
    CloseHandle(file);
    return good && has_certificates(head, size, (uint64_t)file_size.QuadPart);
}

// --- services ------------------------------------------------------------------------------------

static bool is_module(HKEY services, const wchar_t *name)
{
    wchar_t key[300];
    return swprintf(key, ARRAY_SIZE(key),
                    L"%ls\\"
                    L"" EBPF_NATIVE_ID_KEY,
                    name) > 0 &&
           RegGetValueW(services, key, L"" EBPF_NATIVE_ID_VALUE, RRF_RT_REG_BINARY, NULL, NULL, NULL) == 0;
}

// A path that user mode cannot follow counts as one without signature.
static bool is_service_signed(HKEY services, const wchar_t *name)
{
    static const wchar_t kernel[] = L"\\??\\";
    const size_t skipped = ARRAY_SIZE(kernel) - 1;
    wchar_t path[1024];
    DWORD size = sizeof(path);
    if (RegGetValueW(services, name, L"ImagePath", RRF_RT_REG_SZ | RRF_RT_REG_EXPAND_SZ | RRF_NOEXPAND, NULL,
                     path, &size) != 0) {
        return false;
    }
    return is_signed(wcsncmp(path, kernel, skipped) == 0 ? path + skipped : path);
}

static bool check_services(HKEY services, char why[SERVICE_MODULES_WHY])
{
    wchar_t name[257];
    DWORD length = ARRAY_SIZE(name);
    for (DWORD i = 0; RegEnumKeyExW(services, i, name, &length, NULL, NULL, NULL, NULL) == 0; i++) {
        if (is_module(services, name) && !is_service_signed(services, name)) {
            snprintf(why, SERVICE_MODULES_WHY,
                     "this machine wants signed native modules, and the driver of the service %.80ls has no "
                     "signature\n",
                     name);
            return false;
        }
        length = ARRAY_SIZE(name);
    }
    return true;
}

bool service_modules_allow(const void *request, size_t size, char why[SERVICE_MODULES_WHY])
{
    HKEY services;
    if (!is_native(request, size) || !is_required()) {
        return true;
    }
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, SERVICES, 0, KEY_READ, &services) != 0) {
        snprintf(why, SERVICE_MODULES_WHY, "the signatures of native modules cannot be looked for\n");
        return false;
    }
    bool allowed = check_services(services, why);
    RegCloseKey(services);
    return allowed;
}
