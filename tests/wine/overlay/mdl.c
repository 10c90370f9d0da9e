// SPDX-License-Identifier: MIT
// mdl: memory descriptor lists. Pages of MmAllocatePagesForMdlEx are a section, so that they can be mapped
// into the driver host and into the process that asks; other lists describe memory of the driver host, which
// is locked by nature.
#include "tests/wine/overlay/overlay.h"

#define NO_EXECUTE 0x40000000 // MdlMappingNoExecute, MdlMappingNoWrite: Microsoft's documentation
#define NO_WRITE   0x80000000
#define MDL_TAG    0x206c644d // 'Mdl ', what Windows uses

struct pages {
    LIST_ENTRY entry;
    PMDL mdl;
    HANDLE section;
};

static struct host_lock mdl_lock;
static LIST_ENTRY all_pages = {&all_pages, &all_pages};

static struct pages *pages_of(const MDL *mdl)
{
    struct pages *found = NULL;
    host_lock(&mdl_lock);
    for (LIST_ENTRY *entry = all_pages.Flink; entry != &all_pages && found == NULL; entry = entry->Flink) {
        struct pages *pages = CONTAINING_RECORD(entry, struct pages, entry);
        found = pages->mdl == mdl ? pages : NULL;
    }
    host_unlock(&mdl_lock);
    return found;
}

static __attribute__((noreturn)) void misuse(const char *what, const void *caller)
{
    overlay_bugcheck("DRIVER_VERIFIER_DETECTED_VIOLATION", caller, "%s", what);
}

// --- pages of their own ---

static NTSTATUS create_pages(SIZE_T size, const void *caller, struct pages **out)
{
    LARGE_INTEGER bytes = {.QuadPart = (LONGLONG)size};
    struct pages *pages = overlay_alloc(sizeof(*pages));
    if (pages == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    NTSTATUS status = ZwCreateSection(&pages->section, SECTION_ALL_ACCESS, NULL, &bytes,
                                      PAGE_EXECUTE_READWRITE, SEC_COMMIT, NULL);
    if (!NT_SUCCESS(status)) {
        overlay_free(pages);
        return status;
    }
    pages->mdl = overlay_alloc_pool(sizeof(MDL), MDL_TAG, caller);
    if (pages->mdl == NULL) {
        ZwClose(pages->section);
        overlay_free(pages);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    *out = pages;
    return STATUS_SUCCESS;
}

PMDL overlay_MmAllocatePagesForMdlEx(PHYSICAL_ADDRESS low, PHYSICAL_ADDRESS high, PHYSICAL_ADDRESS skip,
                                     SIZE_T size, MEMORY_CACHING_TYPE cache, ULONG flags)
{
    struct pages *pages;
    UNREFERENCED_PARAMETER(low);
    UNREFERENCED_PARAMETER(high);
    UNREFERENCED_PARAMETER(skip);
    UNREFERENCED_PARAMETER(cache);
    UNREFERENCED_PARAMETER(flags);
    overlay_require_irql(APC_LEVEL, "MmAllocatePagesForMdlEx", CALLER);
    size = (size + PAGE_SIZE - 1) & ~(SIZE_T)(PAGE_SIZE - 1);
    if (size == 0 || size > MAXULONG || !NT_SUCCESS(create_pages(size, CALLER, &pages))) {
        return NULL;
    }
    *pages->mdl = (MDL){.Size = sizeof(MDL), .MdlFlags = MDL_PAGES_LOCKED, .ByteCount = (ULONG)size};
    host_lock(&mdl_lock);
    InsertTailList(&all_pages, &pages->entry);
    host_unlock(&mdl_lock);
    return pages->mdl;
}

// The list itself is freed by the driver, with ExFreePool.
void overlay_MmFreePagesFromMdl(PMDL mdl)
{
    struct pages *pages = pages_of(mdl);
    overlay_require_irql(APC_LEVEL, "MmFreePagesFromMdl", CALLER);
    if (pages == NULL) {
        misuse("MmFreePagesFromMdl of a list that has no pages of its own", CALLER);
    }
    if ((mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) != 0) {
        misuse("MmFreePagesFromMdl of pages that are mapped", CALLER);
    }
    host_lock(&mdl_lock);
    RemoveEntryList(&pages->entry);
    host_unlock(&mdl_lock);
    ZwClose(pages->section);
    overlay_free(pages);
    mdl->MdlFlags &= ~MDL_PAGES_LOCKED;
}

// --- mapping ---

static HANDLE open_caller(void)
{
    OBJECT_ATTRIBUTES attributes = {.Length = sizeof(attributes)};
    CLIENT_ID id = {.UniqueProcess = PsGetCurrentProcessId()};
    HANDLE process;
    return NT_SUCCESS(ZwOpenProcess(&process, PROCESS_ALL_ACCESS, &attributes, &id)) ? process : NULL;
}

static ULONG protection_of(ULONG priority, KPROCESSOR_MODE mode)
{
    bool executable = (priority & NO_EXECUTE) == 0 && mode == KernelMode;
    if ((priority & NO_WRITE) != 0) {
        return executable ? PAGE_EXECUTE_READ : PAGE_READONLY;
    }
    return executable ? PAGE_EXECUTE_READWRITE : PAGE_READWRITE;
}

static void *map_view(const struct pages *pages, HANDLE process, ULONG protection)
{
    PVOID view = NULL;
    SIZE_T size = 0;
    NTSTATUS status =
        ZwMapViewOfSection(pages->section, process, &view, 0, 0, NULL, &size, ViewUnmap, 0, protection);
    return NT_SUCCESS(status) ? view : NULL;
}

static void *map_for_caller(const struct pages *pages, ULONG priority)
{
    HANDLE process = open_caller();
    if (process == NULL) {
        return NULL;
    }
    void *view = map_view(pages, process, protection_of(priority, UserMode));
    ZwClose(process);
    return view;
}

// A view can only ever be protected as it was at first, or more strictly: it begins with everything, so that
// MmProtectMdlSystemAddress finds nothing forbidden.
static void *map_for_system(const struct pages *pages, ULONG priority)
{
    void *view = map_view(pages, NtCurrentProcess(), PAGE_EXECUTE_READWRITE);
    if (view != NULL) {
        host_pages_protect(view, pages->mdl->ByteCount, protection_of(priority, KernelMode));
    }
    return view;
}

static void *map_pages(const struct pages *pages, KPROCESSOR_MODE mode, ULONG priority)
{
    return mode == UserMode ? map_for_caller(pages, priority) : map_for_system(pages, priority);
}

static void set_mapped(PMDL mdl, void *address)
{
    mdl->MappedSystemVa = address;
    mdl->MdlFlags |= MDL_MAPPED_TO_SYSTEM_VA;
}

void *overlay_MmMapLockedPagesSpecifyCache(PMDL mdl, KPROCESSOR_MODE mode, MEMORY_CACHING_TYPE cache,
                                           PVOID wanted, ULONG bugcheck, ULONG priority)
{
    const struct pages *pages = pages_of(mdl);
    void *address = NULL;
    UNREFERENCED_PARAMETER(cache);
    UNREFERENCED_PARAMETER(wanted);
    UNREFERENCED_PARAMETER(bugcheck);
    overlay_require_irql(mode == KernelMode ? DISPATCH_LEVEL : APC_LEVEL, "MmMapLockedPagesSpecifyCache",
                         CALLER);
    if ((mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL)) == 0) {
        misuse("mapping pages that are not locked", CALLER);
    }
    if (mode == KernelMode && (mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) != 0) {
        misuse("mapping pages that are mapped", CALLER);
    }
    if (pages != NULL) {
        address = map_pages(pages, mode, priority);
    } else if (mode == KernelMode) { // of memory that is no section's, nothing can be mapped elsewhere
        address = (char *)mdl->StartVa + mdl->ByteOffset;
    }
    if (mode == KernelMode && address != NULL) {
        set_mapped(mdl, address);
    }
    return address;
}

static NTSTATUS unmap_view(void *address, bool in_caller)
{
    HANDLE process = in_caller ? open_caller() : NtCurrentProcess();
    NTSTATUS status = process != NULL ? ZwUnmapViewOfSection(process, address) : STATUS_INVALID_PARAMETER;
    if (in_caller && process != NULL) {
        ZwClose(process);
    }
    return status;
}

static void unmap(PMDL mdl, void *address, const void *caller)
{
    bool system = (mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) != 0 && mdl->MappedSystemVa == address;
    if (pages_of(mdl) != NULL && !NT_SUCCESS(unmap_view(address, !system))) {
        misuse("MmUnmapLockedPages of what is not mapped", caller);
    }
    if (system) {
        mdl->MdlFlags &= ~MDL_MAPPED_TO_SYSTEM_VA;
    }
}

void overlay_MmUnmapLockedPages(PVOID address, PMDL mdl)
{
    overlay_require_irql(DISPATCH_LEVEL, "MmUnmapLockedPages", CALLER);
    unmap(mdl, address, CALLER);
}

NTSTATUS overlay_MmProtectMdlSystemAddress(PMDL mdl, ULONG protection)
{
    overlay_require_irql(APC_LEVEL, "MmProtectMdlSystemAddress", CALLER);
    if (pages_of(mdl) == NULL || (mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) == 0) {
        return STATUS_NOT_MAPPED_VIEW;
    }
    return host_pages_protect(mdl->MappedSystemVa, mdl->ByteCount, protection)
               ? STATUS_SUCCESS
               : STATUS_INVALID_PAGE_PROTECTION;
}

// --- memory that is there already ---

void overlay_MmBuildMdlForNonPagedPool(PMDL mdl)
{
    mdl->MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL;
    mdl->MappedSystemVa = (char *)mdl->StartVa + mdl->ByteOffset;
}

void overlay_MmProbeAndLockPages(PMDL mdl, KPROCESSOR_MODE mode, LOCK_OPERATION operation)
{
    overlay_require_irql(APC_LEVEL, "MmProbeAndLockPages", CALLER);
    if (mode != KernelMode) {
        misuse("MmProbeAndLockPages of user memory, which the driver host does not see", CALLER);
    }
    if ((mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL)) != 0) {
        misuse("MmProbeAndLockPages of pages that are locked", CALLER);
    }
    mdl->MdlFlags |= MDL_PAGES_LOCKED | (operation != IoReadAccess ? MDL_WRITE_OPERATION : 0);
}

void overlay_MmUnlockPages(PMDL mdl)
{
    overlay_require_irql(DISPATCH_LEVEL, "MmUnlockPages", CALLER);
    if ((mdl->MdlFlags & MDL_PAGES_LOCKED) == 0 || pages_of(mdl) != NULL) {
        misuse("MmUnlockPages of pages that were not locked", CALLER);
    }
    if ((mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) != 0) { // Windows unmaps them too
        unmap(mdl, mdl->MappedSystemVa, CALLER);
    }
    mdl->MdlFlags &= ~(MDL_PAGES_LOCKED | MDL_WRITE_OPERATION);
}

void overlay_IoFreeMdl(PMDL mdl)
{
    overlay_require_irql(DISPATCH_LEVEL, "IoFreeMdl", CALLER);
    if ((mdl->MdlFlags & MDL_PAGES_LOCKED) != 0) {
        misuse("IoFreeMdl of locked pages", CALLER);
    }
    IoFreeMdl(mdl);
}
