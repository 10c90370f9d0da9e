// SPDX-License-Identifier: MIT
// connect: sends connections to a service to its back end, and refuses forbidden ports. For Linux' cgroup
// hooks.
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct service {
    __u32 address;
    __u16 port;
    __u16 pad;
};

struct backend {
    __u32 address;
    __u32 port;
    __u64 uses;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, struct service);
    __type(value, struct backend);
    __uint(max_entries, 256);
} services SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, __u32);
    __type(value, __u32);
    __uint(max_entries, 256);
} forbidden SEC(".maps");

SEC("cgroup/connect4")
int connecting(struct bpf_sock_addr *ctx)
{
    __u32 port = ctx->user_port;
    __u32 *rule = bpf_map_lookup_elem(&forbidden, &port);
    if (rule)
        return 0;
    struct service key = {};
    key.address = ctx->user_ip4;
    key.port = ctx->user_port;
    struct backend *to = bpf_map_lookup_elem(&services, &key);
    if (!to)
        return 1;
    __sync_fetch_and_add(&to->uses, 1);
    ctx->user_ip4 = to->address;
    ctx->user_port = to->port;
    return 1;
}

SEC("cgroup/bind4")
int binding(struct bpf_sock_addr *ctx)
{
    __u32 port = ctx->user_port;
    __u32 *rule = bpf_map_lookup_elem(&forbidden, &port);
    if (!rule)
        return 1;
    int verdict = *rule & 1;
    return verdict;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
