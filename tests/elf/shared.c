// SPDX-License-Identifier: MIT
// Functions that share a section: a static one among programs, a program that another calls, a hidden one,
// and a pointer to a global function.
typedef unsigned int u32;
#define SEC(name) __attribute__((section(name), used))
#define NOINLINE  __attribute__((noinline))

static long (*const loop)(u32 count, void *body, void *user, unsigned long long flags) = (void *)181;

SEC("raw_memory") NOINLINE static long square(u32 *memory)
{
    return (long)memory[0] * memory[1];
}

SEC("raw_memory") NOINLINE int first(u32 *memory)
{
    return (int)square(memory) + 1;
}

__attribute__((visibility("hidden"))) NOINLINE int concealed(int a)
{
    return a ^ 77;
}

NOINLINE long each(u32 i, int *sum)
{
    *sum += concealed((int)i);
    return 0;
}

SEC("raw_memory/two") int second(u32 *memory)
{
    int sum = first(memory);
    loop(4, each, &sum, 0);
    return sum + (int)square(memory + 1);
}
