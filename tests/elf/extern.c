// SPDX-License-Identifier: MIT
// References to what is defined elsewhere: -DBIND chooses weak ones.
#ifndef BIND
#define BIND
#endif
#define SEC(name) __attribute__((section(name), used))

extern int CONFIG_HZ BIND __attribute__((section(".kconfig")));
extern int kernel_function(int a) BIND __attribute__((section(".ksyms")));

SEC("raw_memory") int prog(void *memory)
{
#ifdef WEAK
    return &CONFIG_HZ ? kernel_function(CONFIG_HZ) : 5;
#else
    return CONFIG_HZ;
#endif
}
