// SPDX-License-Identifier: MIT
// A program for Windows: -DMARK adds the section that its tools write, -DCONTEXT the context type's name.
typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))

typedef struct xdp_md_ {
    void *data, *data_end;
    u64 data_meta;
    unsigned int ingress_ifindex;
} xdp_md_t;

#ifndef CONTEXT
#define CONTEXT void
#endif
#ifndef SECTION
#define SECTION "xdp"
#endif

static u64 (*const boot_time)(void) = (void *)7; // Windows: bpf_ktime_get_boot_ns

SEC(SECTION) int now(CONTEXT *ctx)
{
    return ctx ? (int)boot_time() : 0;
}

#ifdef MARK
char mark[] SEC(".ebpf_for_windows") = "1";
#endif
