// SPDX-License-Identifier: MIT
// plat_code: machine code on every platform: pages that are written first and run afterwards, never both.
#include "plat/plat_int.h"

enum plat_machine plat_machine(void)
{
#if defined(__aarch64__)
    return PLAT_ARM64;
#elif defined(_WIN32)
    return PLAT_X86_64_WINDOWS;
#else
    return PLAT_X86_64_SYSV;
#endif
}

static size_t whole_pages(const struct plat_code *c)
{
    return (size_t)align_up(c->size, PLAT_PAGE_SIZE);
}

// int3 on x86; on arm64 a zero word is undefined for ever, and pages are zero.
static void fill_with_traps(struct plat_code *c)
{
    if (plat_machine() != PLAT_ARM64) {
        memset(c->address, 0xcc, whole_pages(c));
    }
}

ebpf_result_t plat_code_create(size_t size, struct plat_code *out)
{
    struct plat_code c = {.size = size};
    plat_sim_check_irql(PLAT_PASSIVE, "plat_code_create");
    if (whole_pages(&c) < size || !sim_admit_alloc() || !raw_code_open(whole_pages(&c), &c)) {
        return EBPF_NO_MEMORY;
    }
    sim_count_alloc();
    fill_with_traps(&c);
    *out = c;
    return EBPF_SUCCESS;
}

ebpf_result_t plat_code_publish(struct plat_code *c, const struct plat_code_function *functions,
                                uint32_t count)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_code_publish");
    if (!sim_admit_alloc()) {
        return EBPF_NO_MEMORY;
    }
    TRY(raw_code_publish(c, whole_pages(c), functions, count));
    sim_count_alloc(); // it might have failed like an allocation, so it is counted like one that is over
    sim_count_free();
    return EBPF_SUCCESS;
}

void plat_code_destroy(struct plat_code *c)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_code_destroy");
    sim_count_free();
    raw_code_close(c, whole_pages(c));
    c->address = NULL;
}
