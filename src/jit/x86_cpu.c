// SPDX-License-Identifier: MIT
// x86_cpu: what the processor that this runs on has beyond the baseline of x86-64.
#include <stdatomic.h>

#include "jit/jit.h"

#if defined(__x86_64__)

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static struct cpuid ask(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;
    __asm__("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

// Hypervisors answer each question themselves, which takes longer than the translation of a small program: it
// is asked once. Whoever asks at the same time gets the same answer.
#define KNOWN 0x80000000u
static _Atomic uint32_t answer;

// Bits from Intel's manual, volume 2, CPUID. BMI instructions have VEX prefixes but need no state that the
// system would have to save.
static uint32_t find_features(void)
{
    uint32_t cpu = 0, last = ask(0, 0).eax, last_extended = ask(0x80000000u, 0).eax;
    uint32_t features = ask(1, 0).ecx;
    cpu |= (features >> 22 & 1) != 0 ? JIT_CPU_MOVBE : 0u;
    cpu |= (features >> 23 & 1) != 0 ? JIT_CPU_POPCNT : 0u;
    if (last >= 7) {
        uint32_t more = ask(7, 0).ebx;
        cpu |= (more >> 3 & 1) != 0 ? JIT_CPU_BMI1 : 0u;
        cpu |= (more >> 8 & 1) != 0 ? JIT_CPU_BMI2 : 0u;
    }
    if (last_extended >= 0x80000001u) {
        cpu |= (ask(0x80000001u, 0).ecx >> 5 & 1) != 0 ? JIT_CPU_LZCNT : 0u;
    }
    return cpu;
}

uint32_t jit_host_cpu(void)
{
    uint32_t cpu = atomic_load_explicit(&answer, memory_order_relaxed);
    if (cpu == 0) {
        cpu = find_features() | KNOWN;
        atomic_store_explicit(&answer, cpu, memory_order_relaxed);
    }
    return cpu & ~KNOWN;
}

#endif
