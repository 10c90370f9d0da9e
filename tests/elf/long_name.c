// SPDX-License-Identifier: MIT
// A program that is refused, from a file whose name has 10,000 letters: -DNAME='"..."'.
#define SEC(name) __attribute__((section(name), used))

struct xdp_md {
    unsigned int data, data_end;
};

#line 1 NAME
SEC("xdp") int beyond(struct xdp_md *ctx)
{
    return *(unsigned char *)(long)ctx->data;
}
