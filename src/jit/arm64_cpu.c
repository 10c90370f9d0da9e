// SPDX-License-Identifier: MIT
// arm64_cpu: what this machine's CPU has. User mode may read the register only where the kernel answers in
// the CPU's place, which Linux does. Kernels read it themselves: whoever builds for one says so by
// JIT_CPU_READABLE. Elsewhere nothing is asked and the baseline is assumed.
#include "jit/jit.h"

#if defined(__aarch64__) && (defined(__ELF__) || defined(JIT_CPU_READABLE))
uint32_t jit_host_cpu(void)
{
    uint64_t features;
    __asm__("mrs %0, id_aa64isar0_el1" : "=r"(features));
    return (features >> 20 & 0xf) >= 2 ? JIT_CPU_LSE : 0;
}
#elif defined(__aarch64__)
uint32_t jit_host_cpu(void)
{
    return 0;
}
#endif
