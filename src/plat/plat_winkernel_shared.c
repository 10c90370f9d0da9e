// SPDX-License-Identifier: MIT
// plat_winkernel_shared: sections whose pages are locked and that the kernel sees at any IRQL, mapped into
// the caller's process on request. Such a view belongs to the process: the system removes it when the process
// ends, so a driver that is unloaded leaves nothing dangling and needs no list of views.
//
// Three addresses: `view` is the section in system space, pageable, and only there to be locked; `address` is
// a second one to the same, now locked, pages; each process has its own.
#include "plat/plat_winkernel.h"

#define LARGEST_SIZE 0x7ffff000u // what one memory descriptor list may describe: 2 GB less a page
#ifndef SEC_NO_CHANGE
#define SEC_NO_CHANGE 0x00400000u // the protection of the view is final
#endif
#ifndef PROCESS_VM_OPERATION
#define PROCESS_VM_OPERATION 0x0008u
#endif
#ifndef MdlMappingNoExecute
#define MdlMappingNoExecute 0x40000000u
#endif

struct native {
    HANDLE section; // of the kernel: valid in every process
    PVOID object;   // the section
    PVOID view;
    SIZE_T size;
    PMDL mdl;
    void *address;
};

// --- locking pages -------------------------------------------------------------------------------

// MmProbeAndLockPages raises an exception when memory is short. clang makes the tables for that (what may
// raise has to be a call in the body of __try); gcc has no structured exceptions, so
// this is a frame with a scope table of its own: the range from 1 to 2 is guarded, whatever is raised there
// continues at 4. Source: Microsoft, "x64 exception handling", and struct SCOPE_TABLE_AMD64.
#if defined(__clang__)
NTSTATUS winkernel_lock_pages(PMDL mdl)
{
    __try {
        MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    } __except (1) { // EXCEPTION_EXECUTE_HANDLER
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}
#else
__asm__(".text\n"
        ".globl winkernel_lock_pages\n"
        ".def winkernel_lock_pages; .scl 2; .type 32; .endef\n"
        ".seh_proc winkernel_lock_pages\n"
        "winkernel_lock_pages:\n"
        "    sub $40, %rsp\n"
        "    .seh_stackalloc 40\n"
        "    .seh_endprologue\n"
        "1:  xor %edx, %edx\n" // KernelMode
        "    mov $1, %r8d\n"   // IoWriteAccess
        "    call *__imp_MmProbeAndLockPages(%rip)\n"
        "    nop\n"
        "2:  xor %eax, %eax\n" // STATUS_SUCCESS
        "3:  add $40, %rsp\n"
        "    ret\n"
        "4:  mov $0xc000009a, %eax\n" // STATUS_INSUFFICIENT_RESOURCES
        "    jmp 3b\n"
        "    .seh_handler __C_specific_handler, @except\n"
        "    .seh_handlerdata\n"
        "    .long 1\n"
        "    .rva 1b, 2b\n"
        "    .long 1\n" // EXCEPTION_EXECUTE_HANDLER
        "    .rva 4b\n"
        "    .text\n"
        "    .seh_endproc\n");
#endif

// --- creation ------------------------------------------------------------------------------------

static NTSTATUS create_section(struct native *n)
{
    OBJECT_ATTRIBUTES attributes;
    LARGE_INTEGER size = {.QuadPart = (LONGLONG)n->size};
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateSection(&n->section, SECTION_ALL_ACCESS, &attributes, &size, PAGE_READWRITE, SEC_COMMIT,
                           NULL);
}

static NTSTATUS lock_view(struct native *n)
{
    NTSTATUS status;
    n->mdl = IoAllocateMdl(n->view, (ULONG)n->size, FALSE, FALSE, NULL);
    if (n->mdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    status = winkernel_lock_pages(n->mdl);
    if (!NT_SUCCESS(status)) {
        IoFreeMdl(n->mdl);
        return status;
    }
    n->address = MmGetSystemAddressForMdlSafe(n->mdl, NormalPagePriority | MdlMappingNoExecute);
    if (n->address == NULL) {
        MmUnlockPages(n->mdl);
        IoFreeMdl(n->mdl);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS open_section(struct native *n)
{
    NTSTATUS status = create_section(n);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = ObReferenceObjectByHandle(n->section, SECTION_MAP_READ | SECTION_MAP_WRITE, NULL, KernelMode,
                                       &n->object, NULL);
    if (!NT_SUCCESS(status)) {
        goto close_section;
    }
    status = MmMapViewInSystemSpace(n->object, &n->view, &n->size);
    if (!NT_SUCCESS(status)) {
        goto dereference;
    }
    status = lock_view(n);
    if (NT_SUCCESS(status)) {
        return status;
    }
    MmUnmapViewInSystemSpace(n->view);
dereference:
    ObDereferenceObject(n->object);
close_section:
    ZwClose(n->section);
    return status;
}

bool raw_shared_open(size_t size, intptr_t *handle)
{
    struct native *n = size <= LARGEST_SIZE ? raw_alloc(sizeof(*n), 16, POOL_TAG_MAP) : NULL;
    if (n == NULL) {
        return false;
    }
    n->size = size;
    if (!NT_SUCCESS(open_section(n))) {
        raw_free(n);
        return false;
    }
    *handle = (intptr_t)n;
    return true;
}

void raw_shared_close(intptr_t handle)
{
    struct native *n = (struct native *)handle;
    MmUnlockPages(n->mdl); // the mapping at `address` goes with it
    IoFreeMdl(n->mdl);
    MmUnmapViewInSystemSpace(n->view);
    ObDereferenceObject(n->object);
    ZwClose(n->section);
    raw_free(n);
}

void *raw_shared_hold(intptr_t handle, size_t size)
{
    UNUSED(size);
    return ((struct native *)handle)->address;
}

void raw_shared_drop(intptr_t handle, void *view, size_t size)
{
    UNUSED(handle);
    UNUSED(view);
    UNUSED(size);
}

// --- views of processes --------------------------------------------------------------------------

// A handle of the process on whose behalf the thread runs. By its id and not as ZwCurrentProcess(), which
// names the host of the driver where drivers are hosted in a process (Wine).
static NTSTATUS open_caller(HANDLE *process)
{
    OBJECT_ATTRIBUTES attributes;
    CLIENT_ID caller = {PsGetCurrentProcessId(), NULL};
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwOpenProcess(process, PROCESS_VM_OPERATION, &attributes, &caller);
}

static PVOID map_into(const struct native *n, HANDLE process, bool writable)
{
    PVOID view = NULL;
    SIZE_T size = 0; // the whole section
    NTSTATUS status =
        ZwMapViewOfSection(n->section, process, &view, 0, 0, NULL, &size, ViewUnmap,
                           writable ? 0 : SEC_NO_CHANGE, writable ? PAGE_READWRITE : PAGE_READONLY);
    return NT_SUCCESS(status) ? view : NULL;
}

void *raw_shared_map(intptr_t handle, size_t size, bool writable)
{
    HANDLE process;
    UNUSED(size);
    if (!NT_SUCCESS(open_caller(&process))) {
        return NULL;
    }
    PVOID view = map_into((const struct native *)handle, process, writable);
    ZwClose(process);
    return view;
}

// For a request that fails after it mapped; otherwise the process unmaps its views itself.
void raw_shared_unmap(void *view, size_t size)
{
    HANDLE process;
    UNUSED(size);
    if (NT_SUCCESS(open_caller(&process))) {
        ZwUnmapViewOfSection(process, view);
        ZwClose(process);
    }
}

int raw_shared_fd(intptr_t handle, bool writable)
{
    UNUSED(handle);
    UNUSED(writable);
    return -1; // handles of processes do not travel
}
