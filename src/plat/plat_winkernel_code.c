// SPDX-License-Identifier: MIT
// plat_winkernel_code: machine code in the kernel: pages of their own (never pool, whose protection is that
// of its neighbours), mapped once, not executable at first, and then turned. The system has no guard pages
// for such a mapping: the first and the last page of it hold traps and nothing else. Sources: Microsoft's
// documentation of MmAllocatePagesForMdlEx, MmMapLockedPagesSpecifyCache and MmProtectMdlSystemAddress. Under
// memory integrity the system refuses to make such pages executable; core_policy.c says so before.
#include "plat/plat_winkernel.h"

#if defined(__aarch64__)
#error "on arm64 the instruction cache has to be told, and traps are other bytes"
#endif

#define LARGEST_SIZE 0x10000000u // far beyond any program
#ifndef MM_ALLOCATE_FULLY_REQUIRED
#define MM_ALLOCATE_FULLY_REQUIRED 0x00000004u
#endif
#ifndef MdlMappingNoExecute
#define MdlMappingNoExecute 0x40000000u
#endif

static PMDL allocate_pages(size_t size)
{
    const PHYSICAL_ADDRESS lowest = {.QuadPart = 0}, highest = {.QuadPart = -1}, any = {.QuadPart = 0};
    PMDL mdl = MmAllocatePagesForMdlEx(lowest, highest, any, size, MmCached, MM_ALLOCATE_FULLY_REQUIRED);
    if (mdl != NULL && MmGetMdlByteCount(mdl) < size) {
        MmFreePagesFromMdl(mdl);
        raw_free(mdl);
        return NULL;
    }
    return mdl;
}

static void free_pages(PMDL mdl)
{
    MmFreePagesFromMdl(mdl);
    raw_free(mdl);
}

bool raw_code_open(size_t whole, struct plat_code *c)
{
    size_t size = whole + 2 * PLAT_PAGE_SIZE;
    PMDL mdl = whole <= LARGEST_SIZE ? allocate_pages(size) : NULL;
    if (mdl == NULL) {
        return false;
    }
    uint8_t *base = MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE,
                                                 NormalPagePriority | MdlMappingNoExecute);
    if (base == NULL) {
        free_pages(mdl);
        return false;
    }
    memset(base, 0xcc, size); // int3
    c->address = base + PLAT_PAGE_SIZE;
    c->handle = (intptr_t)mdl;
    return true;
}

bool raw_code_publish(struct plat_code *c, size_t whole, const struct plat_code_function *functions,
                      uint32_t count)
{
    UNUSED(whole);
    UNUSED(functions); // the kernel takes no tables from drivers: no exception may cross the code
    UNUSED(count);
    return NT_SUCCESS(MmProtectMdlSystemAddress((PMDL)c->handle, PAGE_EXECUTE_READ));
}

void raw_code_close(struct plat_code *c, size_t whole)
{
    UNUSED(whole);
    MmUnmapLockedPages(c->address - PLAT_PAGE_SIZE, (PMDL)c->handle);
    free_pages((PMDL)c->handle);
}
