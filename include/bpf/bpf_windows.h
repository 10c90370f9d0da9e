// SPDX-License-Identifier: MIT
// bpf_windows: numbers and information structures of bpf() on Windows, as clients of the Windows eBPF
// ecosystem compile them in. Takes the place of <linux/bpf.h>; never included on Linux.
#pragma once

#include <stdint.h>

typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
typedef uint64_t __u64;
typedef int8_t __s8;
typedef int16_t __s16;
typedef int32_t __s32;
typedef int64_t __s64;

// Says that enum bpf_*_type have the Windows numbers.
#define BPF_WINDOWS_NUMBERS 1

#define BPF_OBJ_NAME_LEN 64

enum bpf_map_type {
    BPF_MAP_TYPE_UNSPEC = 0,
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_PROG_ARRAY = 3,
    BPF_MAP_TYPE_PERCPU_HASH = 4,
    BPF_MAP_TYPE_PERCPU_ARRAY = 5,
    BPF_MAP_TYPE_HASH_OF_MAPS = 6,
    BPF_MAP_TYPE_ARRAY_OF_MAPS = 7,
    BPF_MAP_TYPE_LRU_HASH = 8,
    BPF_MAP_TYPE_LPM_TRIE = 9,
    BPF_MAP_TYPE_QUEUE = 10,
    BPF_MAP_TYPE_LRU_PERCPU_HASH = 11,
    BPF_MAP_TYPE_STACK = 12,
    BPF_MAP_TYPE_RINGBUF = 13,
    BPF_MAP_TYPE_PERF_EVENT_ARRAY = 14,
    BPF_MAP_TYPE_SAMPLE_HASH_MAP = 15,
    BPF_MAP_TYPE_XSKMAP = 16,
};

enum bpf_prog_type {
    BPF_PROG_TYPE_UNSPEC = 0,
    BPF_PROG_TYPE_XDP = 1,
    BPF_PROG_TYPE_BIND = 2,
    BPF_PROG_TYPE_CGROUP_SOCK_ADDR = 3,
    BPF_PROG_TYPE_SOCK_OPS = 4,
    BPF_PROG_TYPE_NETEVENT = 5,
    BPF_PROG_TYPE_PROCESS = 6,
    BPF_PROG_TYPE_SAMPLE = 999,
};

enum bpf_attach_type {
    BPF_ATTACH_TYPE_UNSPEC = 0,
    BPF_XDP = 1,
    BPF_ATTACH_TYPE_BIND = 2,
    BPF_CGROUP_INET4_CONNECT = 3,
    BPF_CGROUP_INET6_CONNECT = 4,
    BPF_CGROUP_INET4_RECV_ACCEPT = 5,
    BPF_CGROUP_INET6_RECV_ACCEPT = 6,
    BPF_CGROUP_SOCK_OPS = 7,
    BPF_ATTACH_TYPE_SAMPLE = 8,
    BPF_ATTACH_TYPE_NETEVENT = 10,
    BPF_ATTACH_TYPE_PROCESS = 11,
};

enum bpf_link_type {
    BPF_LINK_TYPE_UNSPEC = 0,
    BPF_LINK_TYPE_PLAIN = 1,
    BPF_LINK_TYPE_CGROUP = 2,
    BPF_LINK_TYPE_XDP = 3,
};

enum {
    BPF_ANY = 0,
    BPF_NOEXIST = 1,
    BPF_EXIST = 2,
};

// Map creation flags have Linux' values.
#define BPF_F_NO_PREALLOC (1U << 0)
#define BPF_F_RDONLY      (1U << 3)
#define BPF_F_WRONLY      (1U << 4)
#define BPF_F_RDONLY_PROG (1U << 7)
#define BPF_F_WRONLY_PROG (1U << 8)
#define BPF_F_MMAPABLE    (1U << 10)
#define BPF_F_REPLACE     (1U << 2)

// Flags of bpf_xdp_attach, with the values that Linux' linux/if_link.h gives them.
#define XDP_FLAGS_UPDATE_IF_NOEXIST (1U << 0)
#define XDP_FLAGS_SKB_MODE          (1U << 1)
#define XDP_FLAGS_DRV_MODE          (1U << 2)
#define XDP_FLAGS_HW_MODE           (1U << 3)
#define XDP_FLAGS_REPLACE           (1U << 4)

// One 8-byte instruction slot (RFC 9669).
struct bpf_insn {
    __u8 code;
    __u8 dst_reg : 4;
    __u8 src_reg : 4;
    __s16 off;
    __s32 imm;
};

// A GUID in memory order.
struct bpf_guid {
    __u32 data1;
    __u16 data2, data3;
    __u8 data4[8];
};

struct bpf_link_info {
    __u32 id;
    __u32 prog_id;
    enum bpf_link_type type;
    enum bpf_attach_type attach_type;
    struct bpf_guid attach_type_uuid;
    struct bpf_guid program_type_uuid;
    union {
        struct {
            __u32 ifindex;
        } xdp;
        struct {
            __u64 cgroup_id;
        } cgroup;
        __u8 attach_data;
    };
};

struct bpf_map_info {
    __u32 id;
    enum bpf_map_type type;
    __u32 key_size;
    __u32 value_size;
    __u32 max_entries;
    char name[BPF_OBJ_NAME_LEN];
    __u32 map_flags;
    __u32 inner_map_id;
    __u32 pinned_path_count;
};

struct bpf_prog_info {
    __u32 id;
    enum bpf_prog_type type;
    __u32 nr_map_ids; // in: room at map_ids; out: maps of the program
    uintptr_t map_ids;
    char name[BPF_OBJ_NAME_LEN];
    struct bpf_guid type_uuid;
    struct bpf_guid attach_type_uuid;
    __u32 pinned_path_count;
    __u32 link_count;
};
