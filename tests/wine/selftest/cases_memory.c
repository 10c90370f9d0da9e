// SPDX-License-Identifier: MIT
// cases_memory: pool, sections, memory descriptor lists, tokens.
#include "tests/wine/selftest/driver.h"

static const char *check_zeroed(ULONG *block)
{
    EXPECT(block != NULL);
    for (unsigned i = 0; i < 25; i++) {
        EXPECT(block[i] == 0);
    }
    return NULL;
}

const char *case_pool_is_zeroed(void)
{
    ULONG *block = ExAllocatePool2(POOL_FLAG_NON_PAGED, 100, TAG);
    const char *text = check_zeroed(block);
    ExFreePoolWithTag(block, TAG);
    if (text != NULL) {
        return text;
    }
    block = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, 100, TAG);
    bool filled = block != NULL && block[0] != 0; // a driver that relies on zero is found
    ExFreePoolWithTag(block, TAG);
    EXPECT(filled);
    return NULL;
}

static bool is_aligned(SIZE_T size, ULONG_PTR alignment)
{
    void *block = ExAllocatePoolWithTag(NonPagedPoolNx, size, TAG);
    bool aligned = block != NULL && ((ULONG_PTR)block & (alignment - 1)) == 0;
    if (block != NULL) {
        ExFreePool(block);
    }
    return aligned;
}

const char *case_pool_is_aligned(void)
{
    EXPECT(is_aligned(1, 16));
    EXPECT(is_aligned(4095, 16));
    EXPECT(is_aligned(4096, 4096));
    EXPECT(is_aligned(4097, 4096));
    EXPECT(is_aligned(1 << 20, 4096));
    void *block = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_CACHE_ALIGNED, 10, TAG);
    bool aligned = block != NULL && ((ULONG_PTR)block & 63) == 0;
    ExFreePoolWithTag(block, TAG);
    EXPECT(aligned);
    return NULL;
}

const char *case_pool_refuses_absurd_sizes(void)
{
    EXPECT(ExAllocatePoolWithTag(NonPagedPoolNx, MAXULONG64 / 2, TAG) == NULL);
    EXPECT(ExAllocatePool2(POOL_FLAG_NON_PAGED, MAXULONG64 - 100, TAG) == NULL);
    EXPECT(ExAllocatePool2(POOL_FLAG_NON_PAGED, 1ull << 46, TAG) == NULL);
    return NULL;
}

void violate_pool_of_nothing(void)
{
    ExAllocatePoolWithTag(NonPagedPoolNx, 0, TAG);
}

void violate_pool_freed_twice(void)
{
    void *volatile block = ExAllocatePoolWithTag(NonPagedPoolNx, 8, TAG);
    ExFreePool(block);
    ExFreePool(block);
}

void violate_pool_freed_as_another(void)
{
    ExFreePoolWithTag(ExAllocatePoolWithTag(NonPagedPoolNx, 8, TAG), TAG + 1);
}

void violate_pool_overrun(void)
{
    volatile char *block = ExAllocatePoolWithTag(NonPagedPoolNx, 8, TAG);
    block[8] = 1;
    ExFreePool((void *)block);
}

void violate_pool_written_after_free(void)
{
    volatile char *block = ExAllocatePoolWithTag(NonPagedPoolNx, 8, TAG);
    ExFreePool((void *)block);
    block[3] = 1;
    for (unsigned i = 0; i < 2000; i++) { // until it leaves the quarantine
        ExFreePool(ExAllocatePoolWithTag(NonPagedPoolNx, 8, TAG));
    }
}

void violate_pages_overrun(void)
{
    volatile char *block = ExAllocatePoolWithTag(NonPagedPoolNx, 4096, TAG);
    block[4096] = 1;
}

void violate_pool_executed(void)
{
    unsigned char *block = ExAllocatePoolWithTag(NonPagedPoolNx, 4096, TAG);
    block[0] = 0xc3; // ret
    ((void (*)(void))block)();
}

void violate_pool_left_behind(void)
{
    ExAllocatePoolWithTag(NonPagedPoolNx, 24, TAG);
}

void violate_paged_pool_at_dispatch(void)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    ExAllocatePoolWithTag(PagedPool, 8, TAG);
}

// --- sections ---

void *make_section(void)
{
    LARGE_INTEGER size = {.QuadPart = PAGE_SIZE};
    HANDLE handle;
    void *object = NULL;
    if (!NT_SUCCESS(
            ZwCreateSection(&handle, SECTION_ALL_ACCESS, NULL, &size, PAGE_READWRITE, SEC_COMMIT, NULL))) {
        return NULL;
    }
    if (!NT_SUCCESS(ObReferenceObjectByHandle(handle, SECTION_MAP_READ | SECTION_MAP_WRITE, NULL, KernelMode,
                                              &object, NULL))) {
        object = NULL;
    }
    ZwClose(handle);
    return object;
}

const char *case_sections_are_mapped(void)
{
    void *section = make_section(), *first = NULL, *second = NULL;
    SIZE_T size = 0, again = 0;
    EXPECT(section != NULL);
    EXPECT(NT_SUCCESS(MmMapViewInSystemSpace(section, &first, &size)));
    EXPECT(NT_SUCCESS(MmMapViewInSystemSpace(section, &second, &again)));
    ObDereferenceObject(section); // the views keep the pages
    EXPECT(size == PAGE_SIZE && first != second);
    *(volatile ULONG *)first = 42;
    EXPECT(*(volatile ULONG *)second == 42);
    EXPECT(NT_SUCCESS(MmUnmapViewInSystemSpace(first)));
    EXPECT(*(volatile ULONG *)second == 42);
    EXPECT(NT_SUCCESS(MmUnmapViewInSystemSpace(second)));
    return NULL;
}

void violate_view_unmapped_twice(void)
{
    void *section = make_section(), *view = NULL;
    SIZE_T size = 0;
    MmMapViewInSystemSpace(section, &view, &size);
    ObDereferenceObject(section);
    MmUnmapViewInSystemSpace(view);
    MmUnmapViewInSystemSpace(view);
}

// --- memory descriptor lists ---

PMDL make_pages(SIZE_T size)
{
    PHYSICAL_ADDRESS low = {.QuadPart = 0}, high = {.QuadPart = -1}, skip = {.QuadPart = 0};
    return MmAllocatePagesForMdlEx(low, high, skip, size, MmCached, 0);
}

void free_pages(PMDL mdl)
{
    if ((mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) != 0) {
        MmUnmapLockedPages(mdl->MappedSystemVa, mdl);
    }
    MmFreePagesFromMdl(mdl);
    ExFreePool(mdl);
}

const char *case_pages_are_mapped(void)
{
    PMDL mdl = make_pages(PAGE_SIZE + 1);
    EXPECT(mdl != NULL && MmGetMdlByteCount(mdl) == 2 * PAGE_SIZE);
    volatile ULONG *view =
        MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    EXPECT(view != NULL && view[0] == 0);
    view[0] = 7;
    EXPECT(MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) == view);
    EXPECT(NT_SUCCESS(MmProtectMdlSystemAddress(mdl, PAGE_READONLY)) && view[0] == 7);
    EXPECT(NT_SUCCESS(MmProtectMdlSystemAddress(mdl, PAGE_READWRITE)));
    view[0] = 8;
    MmUnmapLockedPages((void *)view, mdl);
    view = MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    EXPECT(view != NULL && view[0] == 8); // the pages are what they were
    free_pages(mdl);
    return NULL;
}

const char *case_locked_memory_is_mapped(void)
{
    ULONG *block = ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG);
    EXPECT(block != NULL);
    PMDL mdl = IoAllocateMdl(block, 64, FALSE, FALSE, NULL);
    EXPECT(mdl != NULL);
    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    ULONG *view = MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);
    EXPECT(view != NULL);
    view[1] = 99;
    EXPECT(block[1] == 99);
    MmUnlockPages(mdl);
    EXPECT((mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA)) == 0);
    MmBuildMdlForNonPagedPool(mdl);
    EXPECT(MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) == block);
    IoFreeMdl(mdl);
    ExFreePool(block);
    return NULL;
}

void violate_read_only_pages_written(void)
{
    PMDL mdl = make_pages(PAGE_SIZE);
    volatile ULONG *view =
        MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    MmProtectMdlSystemAddress(mdl, PAGE_EXECUTE_READ);
    view[0] = 1;
}

void violate_locked_pages_freed(void)
{
    static ULONG memory[16];
    PMDL mdl = IoAllocateMdl(memory, sizeof(memory), FALSE, FALSE, NULL);
    MmProbeAndLockPages(mdl, KernelMode, IoReadAccess);
    IoFreeMdl(mdl);
}

// --- tokens ---

const char *case_tokens_are_the_callers(void)
{
    SECURITY_SUBJECT_CONTEXT context;
    TOKEN_GROUPS *groups = NULL;
    SeCaptureSubjectContext(&context);
    PACCESS_TOKEN token = SeQuerySubjectContextToken(&context);
    EXPECT(token != NULL && context.ClientToken == NULL);
    EXPECT(SeTokenType(token) == TokenPrimary);
    EXPECT(!SeTokenIsRestricted(token));
    EXPECT(NT_SUCCESS(SeQueryInformationToken(token, TokenGroups, (PVOID *)&groups)));
    EXPECT(groups->GroupCount > 0);
    ExFreePool(groups);
    SeReleaseSubjectContext(&context);
    return NULL;
}

static BOOLEAN may(PSECURITY_DESCRIPTOR descriptor, ACCESS_MASK wanted, KPROCESSOR_MODE mode)
{
    static GENERIC_MAPPING mapping = {FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE,
                                      FILE_ALL_ACCESS};
    SECURITY_SUBJECT_CONTEXT context;
    ACCESS_MASK granted = 0;
    NTSTATUS status = STATUS_SUCCESS;
    SeCaptureSubjectContext(&context);
    BOOLEAN yes =
        SeAccessCheck(descriptor, &context, FALSE, wanted, 0, NULL, &mapping, mode, &granted, &status);
    SeReleaseSubjectContext(&context);
    return yes && NT_SUCCESS(status) && granted == wanted;
}

const char *case_access_is_checked(void)
{
    // Owner and group: BUILTIN\Administrators. An access list without entries admits nobody, none admits
    // everybody.
    static struct {
        UCHAR revision, count, authority[6];
        ULONG parts[2];
    } owner = {1, 2, {0, 0, 0, 0, 0, 5}, {SECURITY_BUILTIN_DOMAIN_RID, DOMAIN_ALIAS_RID_ADMINS}};
    SECURITY_DESCRIPTOR open, closed;
    ACL none = {.AclRevision = ACL_REVISION, .AclSize = sizeof(none)};
    RtlCreateSecurityDescriptor(&open, SECURITY_DESCRIPTOR_REVISION);
    RtlCreateSecurityDescriptor(&closed, SECURITY_DESCRIPTOR_REVISION);
    open.Owner = open.Group = closed.Owner = closed.Group = (PSID)&owner;
    RtlSetDaclSecurityDescriptor(&open, TRUE, NULL, FALSE);
    RtlSetDaclSecurityDescriptor(&closed, TRUE, &none, FALSE);
    EXPECT(may(&open, FILE_READ_DATA, UserMode));
    EXPECT(!may(&closed, FILE_READ_DATA, UserMode));
    EXPECT(may(&closed, FILE_READ_DATA, KernelMode));
    return NULL;
}

static VOID NTAPI read_mode(PVOID context)
{
    *(KPROCESSOR_MODE *)context = ExGetPreviousMode();
    PsTerminateSystemThread(STATUS_SUCCESS);
}

const char *case_previous_mode_is_known(void)
{
    KPROCESSOR_MODE mode = UserMode;
    EXPECT(ExGetPreviousMode() == UserMode);
    EXPECT(run_in_thread(read_mode, &mode));
    EXPECT(mode == KernelMode);
    return NULL;
}

// --- names ---

const char *case_names_are_looked_up_in_the_overlay(void)
{
    UNICODE_STRING there = RTL_CONSTANT_STRING(L"KeQueryUnbiasedInterruptTimePrecise");
    UNICODE_STRING absent = RTL_CONSTANT_STRING(L"KeNobodyKnowsThis");
    ULONGLONG(NTAPI * time)(PULONG64) = MmGetSystemRoutineAddress(&there);
    ULONG64 counter;
    EXPECT(time != NULL && time(&counter) != 0);
    EXPECT(MmGetSystemRoutineAddress(&absent) == NULL);
    return NULL;
}
