// SPDX-License-Identifier: MIT
// audit: two programs for Windows with maps, for the tests of netsh: binds are counted, the sample extension
// gets 42. audit.o is made of it by tests/netsh/build.sh.
#include "bpf_helpers.h"

#include "ebpf_nethooks.h"
#include "sample_ext_helpers.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, uint32_t);
    __type(value, uint64_t);
    __uint(max_entries, 2);
} binds SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, uint16_t);
    __type(value, uint32_t);
    __uint(max_entries, 16);
} ports SEC(".maps");

SEC("bind")
bind_action_t count_bind(bind_md_t *ctx)
{
    uint32_t key = 0;
    uint64_t *count = bpf_map_lookup_elem(&binds, &key);
    uint16_t port = 80;
    if (count != NULL) {
        (*count)++;
    }
    return bpf_map_lookup_elem(&ports, &port) != NULL ? BIND_DENY : BIND_PERMIT;
}

SEC("sample_ext")
int answer(sample_program_context_t *ctx)
{
    return 42;
}
