// SPDX-License-Identifier: MIT
// host: the overlay's only file that includes Win32. See host.h.
#include <windows.h>
#include <winternl.h>
#include <stdio.h>

#include "tests/wine/overlay/host.h"

#define MODULE_NAME_MAX 64

// Wine's own: writes to the Unix descriptor 2, which works in a process without a console.
__declspec(dllimport) int __cdecl __wine_dbg_output(const char *text);

static DWORD block_slot = TLS_OUT_OF_INDEXES;

// --- the end of the host ---

void host_print(const char *text)
{
    __wine_dbg_output(text);
    __wine_dbg_output("\n");
}

void host_terminate(void)
{
    TerminateProcess(GetCurrentProcess(), 0xdead);
    for (;;) {
        Sleep(INFINITE);
    }
}

void *host_module_of(const void *address)
{
    HMODULE module = NULL;
    GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                       address, &module);
    return module;
}

void host_format_address(const void *address, char *text, size_t size)
{
    char path[MAX_PATH] = "";
    const char *base = host_module_of(address);
    if (base == NULL || GetModuleFileNameA((HMODULE)base, path, sizeof(path)) == 0) {
        snprintf(text, size, "%p", address);
        return;
    }
    const char *name = strrchr(path, '\\');
    snprintf(text, size, "%s+0x%llx", name != NULL ? name + 1 : path,
             (unsigned long long)((const char *)address - base));
}

// --- threads and processors ---

unsigned host_processor_count(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwNumberOfProcessors < 64 ? info.dwNumberOfProcessors : 64;
}

bool host_is_own_process(const void *id)
{
    return (uintptr_t)id == GetCurrentProcessId();
}

struct start {
    void (*body)(void *);
    void *argument;
};

static DWORD WINAPI run_thread(void *user)
{
    struct start start = *(struct start *)user;
    host_heap_free(user);
    start.body(start.argument);
    return 0;
}

bool host_start_thread(void (*body)(void *), void *argument)
{
    struct start *start = host_heap_alloc(sizeof(*start));
    if (start == NULL) {
        return false;
    }
    *start = (struct start){body, argument};
    HANDLE thread = CreateThread(NULL, 0, run_thread, start, 0, NULL);
    if (thread == NULL) {
        host_heap_free(start);
        return false;
    }
    CloseHandle(thread);
    return true;
}

void host_yield(void)
{
    SwitchToThread();
}

void host_sleep_ms(unsigned milliseconds)
{
    Sleep(milliseconds);
}

void *host_thread_block(size_t size)
{
    DWORD error = GetLastError(); // TlsGetValue clears it
    void *block = TlsGetValue(block_slot);
    if (block == NULL) {
        block = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, size);
        TlsSetValue(block_slot, block);
    }
    SetLastError(error);
    return block;
}

void host_lock(struct host_lock *lock)
{
    AcquireSRWLockExclusive((SRWLOCK *)&lock->state);
}

void host_unlock(struct host_lock *lock)
{
    ReleaseSRWLockExclusive((SRWLOCK *)&lock->state);
}

void *host_event_create(void)
{
    return CreateEventW(NULL, FALSE, FALSE, NULL);
}

void host_event_set(void *event)
{
    SetEvent(event);
}

void host_event_wait(void *event)
{
    WaitForSingleObject(event, INFINITE);
}

// --- memory ---

static HANDLE pool_heap;

void *host_heap_alloc(size_t size)
{
    return HeapAlloc(pool_heap, 0, size);
}

void host_heap_free(void *block)
{
    HeapFree(pool_heap, 0, block);
}

void *host_pages_alloc(size_t size, bool executable)
{
    SIZE_T whole = (size + 4095) & ~(SIZE_T)4095;
    if (whole < size || whole + 4096 < whole) {
        return NULL;
    }
    void *pages = VirtualAlloc(NULL, whole + 4096, MEM_RESERVE, PAGE_NOACCESS);
    if (pages != NULL && VirtualAlloc(pages, whole, MEM_COMMIT,
                                      executable ? PAGE_EXECUTE_READWRITE : PAGE_READWRITE) == NULL) {
        VirtualFree(pages, 0, MEM_RELEASE);
        return NULL;
    }
    return pages;
}

void host_pages_free(void *pages)
{
    VirtualFree(pages, 0, MEM_RELEASE);
}

bool host_pages_protect(void *pages, size_t size, uint32_t protection)
{
    DWORD old;
    return VirtualProtect(pages, size, protection, &old);
}

// --- time ---

uint64_t host_time_utc(void)
{
    FILETIME time;
    GetSystemTimePreciseAsFileTime(&time);
    return (uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime;
}

// The performance counter of Wine is CLOCK_MONOTONIC: no suspended time is in it.
uint64_t host_time_awake(void)
{
    LARGE_INTEGER now, frequency;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&frequency);
    uint64_t seconds = now.QuadPart / frequency.QuadPart, rest = now.QuadPart % frequency.QuadPart;
    return seconds * 10000000 + rest * 10000000 / frequency.QuadPart;
}

// Wine offers no clock that counts suspended time in this resolution; a test machine is not suspended.
uint64_t host_time_boot(void)
{
    return host_time_awake();
}

// --- exceptions ---

static unsigned (*privileged_handler)(const uint8_t *, uint64_t *);
static void (*unhandled_handler)(uint32_t, const void *, const void *);
static void (*unload_handler)(const void *, size_t, const char *);
static void (*idle_handler)(void);

static LONG CALLBACK first_chance(EXCEPTION_POINTERS *exception)
{
    if (exception->ExceptionRecord->ExceptionCode != EXCEPTION_PRIV_INSTRUCTION ||
        privileged_handler == NULL) {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    CONTEXT *context = exception->ContextRecord;
    unsigned length = privileged_handler((const uint8_t *)context->Rip, (uint64_t *)&context->Rax);
    context->Rip += length;
    return length != 0 ? EXCEPTION_CONTINUE_EXECUTION : EXCEPTION_CONTINUE_SEARCH;
}

static LONG CALLBACK last_chance(EXCEPTION_POINTERS *exception)
{
    const EXCEPTION_RECORD *record = exception->ExceptionRecord;
    bool access = record->ExceptionCode == EXCEPTION_ACCESS_VIOLATION && record->NumberParameters >= 2;
    if (unhandled_handler != NULL) {
        unhandled_handler(record->ExceptionCode, record->ExceptionAddress,
                          access ? (const void *)record->ExceptionInformation[1] : NULL);
    }
    host_terminate();
}

void host_on_privileged(unsigned (*handler)(const uint8_t *code, uint64_t *registers))
{
    privileged_handler = handler;
    AddVectoredExceptionHandler(1, first_chance);
}

void host_on_unhandled(void (*handler)(uint32_t code, const void *address, const void *accessed))
{
    unhandled_handler = handler;
    SetUnhandledExceptionFilter(last_chance);
}

// LDR_DLL_NOTIFICATION_DATA, as Microsoft documents it for LdrRegisterDllNotification.
struct dll_notification {
    ULONG flags;
    const UNICODE_STRING *full_name, *base_name;
    void *base;
    ULONG size;
};
#define DLL_NOTIFICATION_UNLOADED 2
NTSYSAPI NTSTATUS NTAPI LdrRegisterDllNotification(
    ULONG flags, void(CALLBACK *notify)(ULONG, const struct dll_notification *, void *), void *user,
    void **cookie);

static void CALLBACK dll_changed(ULONG reason, const struct dll_notification *data, void *user)
{
    char name[MODULE_NAME_MAX];
    (void)user;
    if (reason != DLL_NOTIFICATION_UNLOADED || unload_handler == NULL) {
        return;
    }
    unsigned length = data->base_name->Length / sizeof(WCHAR);
    length = length < sizeof(name) - 1 ? length : sizeof(name) - 1;
    for (unsigned i = 0; i < length; i++) {
        name[i] = (char)data->base_name->Buffer[i];
    }
    name[length] = '\0';
    unload_handler(data->base, data->size, name);
}

void host_on_unload(void (*handler)(const void *base, size_t size, const char *name))
{
    void *cookie;
    unload_handler = handler;
    LdrRegisterDllNotification(0, dll_changed, NULL, &cookie);
}

static DWORD WINAPI loop_wait(DWORD count, const HANDLE *handles, BOOL all, DWORD milliseconds,
                              BOOL alertable)
{
    if (idle_handler != NULL) {
        idle_handler();
    }
    return WaitForMultipleObjectsEx(count, handles, all, milliseconds, alertable);
}

// Address of the pointer through which `module` calls `function` of `library`, or NULL.
static void **import_slot(char *module, const char *library, const char *function)
{
    IMAGE_NT_HEADERS *headers = (IMAGE_NT_HEADERS *)(module + ((IMAGE_DOS_HEADER *)module)->e_lfanew);
    IMAGE_DATA_DIRECTORY *directory = &headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
    IMAGE_IMPORT_DESCRIPTOR *row = (IMAGE_IMPORT_DESCRIPTOR *)(module + directory->VirtualAddress);
    for (; row->Name != 0; row++) {
        if (_stricmp(module + row->Name, library) != 0) {
            continue;
        }
        IMAGE_THUNK_DATA *name = (IMAGE_THUNK_DATA *)(module + row->OriginalFirstThunk);
        for (unsigned i = 0; name[i].u1.AddressOfData != 0; i++) {
            IMAGE_IMPORT_BY_NAME *import = (IMAGE_IMPORT_BY_NAME *)(module + name[i].u1.AddressOfData);
            if (!IMAGE_SNAP_BY_ORDINAL(name[i].u1.Ordinal) && strcmp((char *)import->Name, function) == 0) {
                return (void **)(module + row->FirstThunk) + i;
            }
        }
    }
    return NULL;
}

void host_on_idle(void (*handler)(void))
{
    DWORD old;
    HMODULE kernel = GetModuleHandleW(L"wntoskrnl.dll");
    void **slot =
        kernel != NULL ? import_slot((char *)kernel, "kernel32.dll", "WaitForMultipleObjectsEx") : NULL;
    if (slot == NULL) {
        host_print(
            "overlay: cannot watch the request loop: this Wine is not the one the overlay was made for");
        return;
    }
    idle_handler = handler;
    VirtualProtect(slot, sizeof(*slot), PAGE_READWRITE, &old);
    *slot = (void *)loop_wait;
    VirtualProtect(slot, sizeof(*slot), old, &old);
}

// --- start ---

BOOL WINAPI DllMainCRTStartup(HINSTANCE module, DWORD reason, void *reserved);
BOOL WINAPI DllMainCRTStartup(HINSTANCE module, DWORD reason, void *reserved)
{
    (void)module, (void)reserved;
    if (reason == DLL_PROCESS_ATTACH) {
        block_slot = TlsAlloc();
        pool_heap = HeapCreate(0, 0, 0);
        if (block_slot == TLS_OUT_OF_INDEXES || pool_heap == NULL) {
            return FALSE;
        }
        overlay_start();
    } else if (reason == DLL_THREAD_DETACH) {
        HeapFree(GetProcessHeap(), 0, TlsGetValue(block_slot));
        TlsSetValue(block_slot, NULL);
    }
    return TRUE;
}
