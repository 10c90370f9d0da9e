// SPDX-License-Identifier: MIT
// What the end-to-end tests load by hand (tests/e2e/client.c), for the same in native modules.
#define SEC(name) __attribute__((section(name), used))

#ifdef BIND
SEC("bind") int permit(void *ctx)
{
    return 0;
}
#else
SEC("raw_memory") int one(void *ctx)
{
    return 1;
}
#endif

char _license[] SEC("license") = "MIT";
