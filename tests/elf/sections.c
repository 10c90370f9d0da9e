// SPDX-License-Identifier: MIT
// Sections whose name says no type: what programs do tells it, for verification only.
#define SEC(name) __attribute__((section(name), used))
typedef unsigned int u32;

static long (*adjust_head)(void *ctx, int delta) = (void *)44;

// Reads what only XDP has at these places, through pointers.
SEC("2/1") int first(char *ctx)
{
    char *data = (char *)(long)*(u32 *)ctx, *end = (char *)(long)*(u32 *)(ctx + 4);
    return data + 2 > end ? 0 : data[1];
}

// The same type, as both are called by tail calls.
SEC("2/2") int second(void *ctx)
{
    return adjust_head(ctx, 4);
}

SEC("other") __attribute__((noinline)) int function(int a)
{
    return a * 3;
}

SEC("xdp") int caller(void *ctx)
{
    return function(5);
}

SEC("raw_memory") static __attribute__((noinline)) int called(int a)
{
    return a * 7;
}

SEC("raw_memory") int calls(void *memory)
{
    return called(6);
}
