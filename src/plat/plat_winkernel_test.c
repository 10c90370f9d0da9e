// SPDX-License-Identifier: MIT
// Tests of what only the kernel's platform has: substitutes for functions of newer systems, exceptions turned
// into results, the real IRQL.
#include "plat/plat_guard.h"
#include "plat/plat_winkernel.h"
#include "tests/test.h"

static void old_systems_have_substitutes(void)
{
    winkernel_find_routines(false);
    uint8_t *small = plat_alloc(100, POOL_TAG_TEST), *pages = plat_alloc_pages(4097, POOL_TAG_TEST);
    uint64_t time = plat_time_ns(), boot_time = plat_boot_time_ns();
    plat_sleep_us(2000);
    CHECK(plat_time_ns() >= time + 1000000);
    CHECK(plat_boot_time_ns() >= boot_time + 1000000);
    winkernel_find_routines(true);
    REQUIRE(small != NULL && pages != NULL);
    CHECK_EQ((uintptr_t)pages % 4096, 0);
    for (unsigned i = 0; i < 100; i++) {
        CHECK_EQ(small[i], 0);
    }
    for (unsigned i = 0; i < 8192; i++) {
        CHECK_EQ(pages[i], 0);
    }
    plat_free_pages(pages, 4097);
    plat_free(small);
}

// The system raises one when memory is short, or when it reads a list where nothing is.
static void an_exception_becomes_a_status(void)
{
    PMDL nowhere = (PMDL)(uintptr_t)0x100;
    CHECK_EQ((uint32_t)winkernel_lock_pages(nowhere), (uint32_t)STATUS_INSUFFICIENT_RESOURCES);
}

static void a_slot_below_a_spin_lock(void)
{
    struct plat_spinlock lock;
    plat_spinlock_init(&lock);
    plat_spinlock_acquire(&lock);
    CHECK_EQ(plat_cpu_current(), UINT32_MAX); // at DISPATCH, and yet none is held
    uint32_t slot = plat_cpu_enter();
    CHECK_EQ(plat_cpu_current(), slot);
    plat_cpu_exit();
    CHECK_EQ(plat_irql(), PLAT_DISPATCH);
    CHECK_EQ(plat_cpu_current(), UINT32_MAX);
    plat_spinlock_release(&lock);
    CHECK_EQ(plat_irql(), PLAT_PASSIVE);
}

static void shared_memory_at_dispatch(void)
{
    struct plat_shared *s = NULL;
    REQUIRE_OK(plat_shared_create(4096, POOL_TAG_TEST, &s));
    volatile uint32_t *word = plat_shared_address(s);
    plat_cpu_enter();
    *word = 77;
    plat_cpu_exit();
    CHECK_EQ(*word, 77);
    plat_shared_destroy(s);
}

// Where the system tells the protection of kernel addresses: Wine's driver host does, Windows does not.
typedef NTSTATUS(NTAPI *query_fn)(HANDLE process, PVOID address, ULONG what, PVOID out, SIZE_T size,
                                  SIZE_T *length);
struct region { // MEMORY_BASIC_INFORMATION
    PVOID base, allocation;
    ULONG allocation_protection, partition;
    SIZE_T size;
    ULONG state, protection, type, pad;
};
_Static_assert(sizeof(struct region) == 48, "MEMORY_BASIC_INFORMATION");

static bool find_protection(const void *address, ULONG *out)
{
    struct region region = {0};
    SIZE_T length;
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, L"ZwQueryVirtualMemory");
    query_fn query = (query_fn)MmGetSystemRoutineAddress(&name);
    if (query == NULL || !NT_SUCCESS(query((HANDLE)(LONG_PTR)-1, (PVOID)(uintptr_t)address, 0, &region,
                                           sizeof(region), &length))) {
        return false;
    }
    *out = region.protection;
    return true;
}

static void code_is_never_writable_and_executable(void)
{
    struct plat_code code;
    ULONG protection = 0;
    REQUIRE_OK(plat_code_create(5000, &code));
    if (!find_protection(code.address, &protection)) {
        plat_code_destroy(&code);
        SKIP("the system does not tell");
    }
    CHECK_EQ(protection, PAGE_READWRITE);
    CHECK_OK(plat_code_publish(&code, NULL, 0));
    for (int at = 0; at <= 4096; at += 4096) {
        CHECK(find_protection(code.address + at, &protection));
        CHECK_EQ(protection, PAGE_EXECUTE_READ);
    }
    CHECK_EQ(code.address[-1], 0xcc); // traps around it
    CHECK_EQ(code.address[8192], 0xcc);
    plat_code_destroy(&code);
}

static void the_stack_has_a_guard_of_its_own(void)
{
    CHECK(__stack_chk_guard != GUARD_AT_FIRST);
    CHECK_EQ(__stack_chk_guard & 0xff, 0);
}

TEST_SUITE(plat_winkernel)
{
    REQUIRE_OK(plat_init());
    RUN(old_systems_have_substitutes);
    RUN(an_exception_becomes_a_status);
    RUN(a_slot_below_a_spin_lock);
    RUN(shared_memory_at_dispatch);
    RUN(code_is_never_writable_and_executable);
    RUN(the_stack_has_a_guard_of_its_own);
    plat_fini();
}
