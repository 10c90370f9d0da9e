// SPDX-License-Identifier: MIT
// Tests of machine code's pages: code is run, and what is published cannot be written. Every platform.
#if defined(_WIN32) && !defined(_KERNEL_MODE)
#include <windows.h>
#endif

#include "plat/plat.h"
#include "tests/test.h"

typedef uint64_t (*number_fn)(void);

// A function that returns `number`, for the machine that this runs on.
static size_t write_function(uint8_t *at, uint8_t number)
{
    if (plat_machine() == PLAT_ARM64) {
        const uint32_t words[] = {0xd503245f, 0xd2800000 | (uint32_t)number << 5,
                                  0xd65f03c0}; // bti c; movz; ret
        memcpy(at, words, sizeof(words));
        return sizeof(words);
    }
    const uint8_t bytes[] = {0xf3, 0x0f, 0x1e, 0xfa, 0xb8, number, 0, 0, 0, 0xc3}; // endbr64; mov eax; ret
    memcpy(at, bytes, sizeof(bytes));
    return sizeof(bytes);
}

PLAT_CALLS_CODE static void code_is_run(void)
{
    struct plat_code code[8];
    for (unsigned i = 0; i < ARRAY_SIZE(code); i++) {
        REQUIRE_OK(plat_code_create(1 + i * 1000, &code[i]));
        CHECK_EQ((uintptr_t)code[i].address % 4096, 0);
        write_function(code[i].address, (uint8_t)(i + 1));
        REQUIRE_OK(plat_code_publish(&code[i], NULL, 0));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(code); i++) {
        number_fn fn;
        memcpy(&fn, &code[i].address, sizeof(fn));
        CHECK_EQ(fn(), i + 1);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(code); i++) {
        plat_code_destroy(&code[i]);
    }
}

// Whoever jumps behind the code's end is stopped.
static void what_is_not_written_traps(void)
{
    struct plat_code code;
    REQUIRE_OK(plat_code_create(5000, &code));
    uint8_t trap = plat_machine() == PLAT_ARM64 ? 0 : 0xcc;
    for (unsigned i = 0; i < 8192; i++) {
        CHECK_EQ(code.address[i], trap);
    }
    plat_code_destroy(&code);
}

static void memory_may_be_short(void)
{
    struct plat_code code;
    uint64_t live = plat_sim_live_count();
    CHECK_EQ(plat_code_create(SIZE_MAX - 10, &code), EBPF_NO_MEMORY);
    plat_sim_fail_alloc(1);
    CHECK_EQ(plat_code_create(100, &code), EBPF_NO_MEMORY);
    REQUIRE_OK(plat_code_create(100, &code));
    plat_sim_fail_alloc(1);
    CHECK_EQ(plat_code_publish(&code, NULL, 0), EBPF_NO_MEMORY);
    plat_code_destroy(&code);
    CHECK_EQ(plat_sim_live_count(), live);
}

// A page before the code and one behind it.
static bool is_guarded(const struct plat_code *code, size_t whole)
{
#if defined(_KERNEL_MODE)
    for (unsigned i = 0; i < 4096; i++) { // traps: the kernel has no other guards for such pages
        if (code->address[-1 - (int)i] != 0xcc || code->address[whole + i] != 0xcc) {
            return false;
        }
    }
    return true;
#elif defined(_WIN32)
    MEMORY_BASIC_INFORMATION before = {0}, behind = {0};
    VirtualQuery(code->address - 1, &before, sizeof(before));
    VirtualQuery(code->address + whole, &behind, sizeof(behind));
    return before.State == MEM_RESERVE && behind.State == MEM_RESERVE;
#else
    return code->address != NULL && whole != 0; // runtime/code_pages_test.c looks at the mappings
#endif
}

static void guards_lie_around_the_code(void)
{
    struct plat_code code;
    REQUIRE_OK(plat_code_create(5000, &code));
    CHECK(is_guarded(&code, 8192));
    write_function(code.address, 1);
    REQUIRE_OK(plat_code_publish(&code, NULL, 0));
    CHECK(is_guarded(&code, 8192));
    plat_code_destroy(&code);
}

TEST_SUITE(plat_code)
{
    REQUIRE_OK(plat_init());
    RUN(code_is_run);
    RUN(what_is_not_written_traps);
    RUN(memory_may_be_short);
    RUN(guards_lie_around_the_code);
    plat_fini();
}
