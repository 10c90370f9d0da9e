// SPDX-License-Identifier: MIT
// Sections whose name says no type, but the type of the first parameter does; not one type for all.
#define SEC(name) __attribute__((section(name), used))
typedef unsigned int u32;

struct xdp_md {
    u32 data, data_end;
};
struct __sk_buff {
    char pad[76];
    u32 data, data_end;
};

SEC("first") int xdp(struct xdp_md *ctx)
{
    return ctx->data_end != 0;
}

SEC("second") int packet(const struct __sk_buff *skb)
{
    char *data = (char *)(long)skb->data, *end = (char *)(long)skb->data_end;
    return data + 2 > end ? 0 : data[1];
}

SEC("third") int anything(void *ctx)
{
    return 0;
}
