// SPDX-License-Identifier: MIT
// plat_winkernel_code: machine code in the kernel: pages of their own (never pool, whose protection is that
// of its neighbours), mapped once, not executable at first, and then turned. The system has no guard pages
// for such a mapping: the first and the last page of it hold traps and nothing else. Sources: Microsoft's
// documentation of MmAllocatePagesForMdlEx, MmMapLockedPagesSpecifyCache and MmProtectMdlSystemAddress. Under
// memory integrity the system refuses to make such pages executable; core_policy.c says so before.
#include "plat/plat_winkernel.h"

#define LARGEST_SIZE 0x10000000u // far beyond any program
#ifndef MM_ALLOCATE_FULLY_REQUIRED
#define MM_ALLOCATE_FULLY_REQUIRED 0x00000004u
#endif
#ifndef MdlMappingNoExecute
#define MdlMappingNoExecute 0x40000000u
#endif

// --- instruction caches --------------------------------------------------------------------------

#if defined(__aarch64__)
#define TRAP 0 // four of them are undefined for ever

// The length of a cache's line, from its field of CTR_EL0.
static uintptr_t line_size(uint32_t shift)
{
    uint64_t types;
    __asm__("mrs %0, ctr_el0" : "=r"(types));
    return (uintptr_t)4 << (types >> shift & 0xf);
}

static ULONG_PTR NTAPI synchronize(ULONG_PTR unused)
{
    __asm__ volatile("isb" ::: "memory");
    return unused;
}

// What was written is told to the place where instructions and data meet, from there on to all processors'
// instruction caches; and no processor goes on with what it has fetched before. Source: Arm Architecture
// Reference Manual for A-profile, "Concurrent modification and execution of instructions".
static void publish_instructions(const uint8_t *start, size_t size)
{
    uintptr_t first = (uintptr_t)start, end = first + size, data = line_size(16), code = line_size(0);
    for (uintptr_t line = first; line < end; line += data) {
        __asm__ volatile("dc cvau, %0" : : "r"(line) : "memory");
    }
    __asm__ volatile("dsb ish" ::: "memory");
    for (uintptr_t line = first; line < end; line += code) {
        __asm__ volatile("ic ivau, %0" : : "r"(line) : "memory");
    }
    __asm__ volatile("dsb ish" ::: "memory");
    KeIpiGenericCall(synchronize, 0);
}
#else
#define TRAP 0xcc // int3

// x64 has no stale instructions where there were none before.
static void publish_instructions(const uint8_t *start, size_t size)
{
    UNUSED(start);
    UNUSED(size);
}
#endif

// --- pages ---------------------------------------------------------------------------------------

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
    memset(base, TRAP, size);
    c->address = base + PLAT_PAGE_SIZE;
    c->handle = (intptr_t)mdl;
    return true;
}

ebpf_result_t raw_code_publish(struct plat_code *c, size_t whole, const struct plat_code_function *functions,
                               uint32_t count)
{
    UNUSED(functions); // the kernel takes no tables from drivers: no exception may cross the code
    UNUSED(count);
    NTSTATUS status = MmProtectMdlSystemAddress((PMDL)c->handle, PAGE_EXECUTE_READ);
    if (!NT_SUCCESS(status)) {
        return status == STATUS_INSUFFICIENT_RESOURCES ? EBPF_NO_MEMORY : EBPF_BLOCKED_BY_POLICY;
    }
    publish_instructions(c->address, whole);
    return EBPF_SUCCESS;
}

void raw_code_close(struct plat_code *c, size_t whole)
{
    UNUSED(whole);
    MmUnmapLockedPages(c->address - PLAT_PAGE_SIZE, (PMDL)c->handle);
    free_pages((PMDL)c->handle);
}
