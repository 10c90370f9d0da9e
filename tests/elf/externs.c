// SPDX-License-Identifier: MIT
// What an object uses and does not define: values of .kconfig of each type, functions and variables of
// .ksyms, and the functions that compilers call by themselves.
#define SEC(name) __attribute__((section(name), used))
#define KCONFIG   __attribute__((section(".kconfig")))
#define KSYM      __attribute__((section(".ksyms")))
#define WEAK      __attribute__((weak))
typedef unsigned int u32;
typedef unsigned long long u64;
enum libbpf_tristate { NO, YES, MODULE };

extern u32 LINUX_KERNEL_VERSION KCONFIG;
extern _Bool CONFIG_BOOL KCONFIG;
extern enum libbpf_tristate CONFIG_TRISTATE KCONFIG;
extern char CONFIG_LETTER KCONFIG;
extern u64 CONFIG_WIDE KCONFIG;
extern const char CONFIG_NAME[8] KCONFIG;
extern u32 CONFIG_MISSING KCONFIG WEAK;

struct bpf_iter_num {
    u64 opaque[1];
};
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) KSYM;
extern int bpf_iter_num_new___old(struct bpf_iter_num *it, int start) KSYM WEAK;
extern void no_such_function(void) KSYM WEAK;
extern const void kernel_variable KSYM;
extern const void missing_variable KSYM WEAK;

// As compilers before clang 19 left them where an object of some size is set or copied.
extern void *set(void *memory, int byte, u64 size) __asm__("memset");
extern void *copy(void *memory, const void *other, u64 size) __asm__("memcpy");

SEC("socket") long configured(void *ctx)
{
    return LINUX_KERNEL_VERSION + CONFIG_BOOL + CONFIG_TRISTATE + CONFIG_LETTER + CONFIG_WIDE +
           CONFIG_NAME[1] + CONFIG_MISSING;
}

SEC("socket") long functions(void *ctx)
{
    struct bpf_iter_num it;
    if (no_such_function) {
        no_such_function();
    }
    if (bpf_iter_num_new___old) {
        return bpf_iter_num_new(&it, 0, 1);
    }
    return 0;
}

SEC("socket") long variables(void *ctx)
{
    return (long)&kernel_variable + (long)&missing_variable;
}

SEC("socket") long builtins(void *ctx)
{
    char memory[64], other[64];
    set(memory, 1, sizeof(memory));
    copy(other, memory, sizeof(other));
    return other[0];
}
