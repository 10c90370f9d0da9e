// SPDX-License-Identifier: MIT
// bpf: the low-level half of the libbpf API: one function per command of bpf(). All objects are file
// descriptors.
//
// Unless said otherwise a function returns 0, or a descriptor, and on failure -errno with errno set as well.
// Option structures start with their size `sz`: members beyond what the caller's header knew count as absent,
// and non-zero bytes beyond what this library knows are refused with EINVAL. NULL options mean all defaults.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/libbpf_common.h>

#ifdef __cplusplus
extern "C" {
#endif

// --- maps ----------------------------------------------------------------------------------------

struct bpf_map_create_opts {
    size_t sz;
    __u32 btf_fd, btf_key_type_id, btf_value_type_id, btf_vmlinux_value_type_id; // accepted and not used
    __u32 inner_map_fd; // must be 0: no map of maps yet
    __u32 map_flags;
    __u64 map_extra; // must be 0
    __u32 numa_node;
    __u32 map_ifindex; // must be 0
};
#define bpf_map_create_opts__last_field map_ifindex

LIBBPF_API int bpf_map_create(enum bpf_map_type map_type, const char *map_name, __u32 key_size,
                              __u32 value_size, __u32 max_entries, const struct bpf_map_create_opts *opts);
// Values of per-CPU maps are round_up(value_size, 8) * libbpf_num_possible_cpus() bytes here and below.
LIBBPF_API int bpf_map_lookup_elem(int fd, const void *key, void *value);
LIBBPF_API int bpf_map_lookup_elem_flags(int fd, const void *key, void *value, __u64 flags);
LIBBPF_API int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags);
LIBBPF_API int bpf_map_delete_elem(int fd, const void *key);
LIBBPF_API int bpf_map_delete_elem_flags(int fd, const void *key, __u64 flags);
LIBBPF_API int bpf_map_lookup_and_delete_elem(int fd, const void *key, void *value);
LIBBPF_API int bpf_map_lookup_and_delete_elem_flags(int fd, const void *key, void *value, __u64 flags);
// `key` NULL: first key. -ENOENT after the last.
LIBBPF_API int bpf_map_get_next_key(int fd, const void *key, void *next_key);
LIBBPF_API int bpf_map_freeze(int fd);

struct bpf_map_batch_opts {
    size_t sz;
    __u64 elem_flags; // Linux: must be 0; Windows: BPF_ANY, BPF_NOEXIST or BPF_EXIST in updates
    __u64 flags;      // must be 0
};
#define bpf_map_batch_opts__last_field flags

// *count: in, elements of the arrays; out, elements that were done. It stays as it was when the call is
// refused as a whole. -EOPNOTSUPP: the map type cannot. `in_batch` NULL: from the start; afterwards what the
// last call left in `out_batch`, which needs room for a key and at least 4 bytes. -ENOENT after the last
// element, with what *count says still valid. -ENOSPC: a bucket of a hash map has more elements than there is
// room for. What changes meanwhile may be missed, but nothing comes twice that is not put in anew.
LIBBPF_API int bpf_map_lookup_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values,
                                    __u32 *count, const struct bpf_map_batch_opts *opts);
LIBBPF_API int bpf_map_lookup_and_delete_batch(int fd, void *in_batch, void *out_batch, void *keys,
                                               void *values, __u32 *count,
                                               const struct bpf_map_batch_opts *opts);
// Stop at the first element that fails.
LIBBPF_API int bpf_map_update_batch(int fd, const void *keys, const void *values, __u32 *count,
                                    const struct bpf_map_batch_opts *opts);
LIBBPF_API int bpf_map_delete_batch(int fd, const void *keys, __u32 *count,
                                    const struct bpf_map_batch_opts *opts);

// --- programs ------------------------------------------------------------------------------------

struct bpf_insn;

struct bpf_prog_load_opts {
    size_t sz;
    int attempts; // accepted and not used
    enum bpf_attach_type expected_attach_type;
    __u32 prog_btf_fd, prog_flags, prog_ifindex, kern_version; // prog_flags and prog_ifindex must be 0
    __u32 attach_btf_id, attach_prog_fd, attach_btf_obj_fd;    // must be 0
    const int *fd_array;                                       // maps that instructions name by index
    const void *func_info;
    __u32 func_info_cnt, func_info_rec_size;
    const void *line_info;
    __u32 line_info_cnt, line_info_rec_size;
    __u32 log_level, log_size;
    char *log_buf;
    __u32 log_true_size; // out: bytes that the whole log has
    __u32 token_fd;      // must be 0
    __u32 fd_array_cnt;
};
#define bpf_prog_load_opts__last_field fd_array_cnt

#define BPF_LOG_BUF_SIZE (UINT32_MAX >> 8)

// Loads raw instructions with the platform's helper numbers; maps are named by descriptor in 64-bit
// immediates.
LIBBPF_API int bpf_prog_load(enum bpf_prog_type prog_type, const char *prog_name, const char *license,
                             const struct bpf_insn *insns, size_t insn_cnt,
                             const struct bpf_prog_load_opts *opts);

struct bpf_test_run_opts {
    size_t sz;
    const void *data_in;
    void *data_out;
    __u32 data_size_in;
    __u32 data_size_out; // in: room; out: size of the data
    const void *ctx_in;
    void *ctx_out;
    __u32 ctx_size_in;
    __u32 ctx_size_out; // in: room; out: size of the context
    __u32 retval;       // out
    int repeat;
    __u32 duration; // out: mean ns of one run
    __u32 flags;    // must be 0
    __u32 cpu;
    __u32 batch_size; // must be 0
};
#define bpf_test_run_opts__last_field batch_size

// -ENOSPC: the output did not fit; the sizes are written and what fits is copied.
LIBBPF_API int bpf_prog_test_run_opts(int prog_fd, struct bpf_test_run_opts *opts);

struct bpf_prog_bind_opts {
    size_t sz;
    __u32 flags; // must be 0
};
#define bpf_prog_bind_opts__last_field flags
LIBBPF_API int bpf_prog_bind_map(int prog_fd, int map_fd, const struct bpf_prog_bind_opts *opts);

// --- pins ----------------------------------------------------------------------------------------

struct bpf_obj_pin_opts {
    size_t sz;
    __u32 file_flags; // must be 0
    int path_fd;      // must be 0
    size_t : 0;
};
#define bpf_obj_pin_opts__last_field path_fd

struct bpf_obj_get_opts {
    size_t sz;
    __u32 file_flags; // must be 0
    int path_fd;      // must be 0
    size_t : 0;
};
#define bpf_obj_get_opts__last_field path_fd

// Relative paths start at the pin root (/sys/fs/bpf, on Windows /ebpf/global). A pin is a name in the
// execution context, not a file.
LIBBPF_API int bpf_obj_pin(int fd, const char *pathname);
LIBBPF_API int bpf_obj_pin_opts(int fd, const char *pathname, const struct bpf_obj_pin_opts *opts);
LIBBPF_API int bpf_obj_get(const char *pathname);
LIBBPF_API int bpf_obj_get_opts(const char *pathname, const struct bpf_obj_get_opts *opts);

// --- links ---------------------------------------------------------------------------------------

struct bpf_link_create_opts {
    size_t sz;
    __u32 flags;
    void *iter_info;     // must be NULL
    __u32 iter_info_len; // must be 0
    __u32 target_btf_id; // must be 0
    size_t : 0;
};
#define bpf_link_create_opts__last_field target_btf_id

struct bpf_link_update_opts {
    size_t sz;
    __u32 flags; // BPF_F_REPLACE: only if the link still runs old_prog_fd
    __u32 old_prog_fd;
};
#define bpf_link_update_opts__last_field old_prog_fd

// `target` is the interface's index for XDP and 0 for hooks that have one attachment point.
LIBBPF_API int bpf_link_create(int prog_fd, int target, enum bpf_attach_type attach_type,
                               const struct bpf_link_create_opts *opts);
LIBBPF_API int bpf_link_update(int link_fd, int new_prog_fd, const struct bpf_link_update_opts *opts);
LIBBPF_API int bpf_link_detach(int link_fd);

// --- ids and information -------------------------------------------------------------------------

struct bpf_get_fd_by_id_opts {
    size_t sz;
    __u32 open_flags; // must be 0
    size_t : 0;
};
#define bpf_get_fd_by_id_opts__last_field open_flags

// Smallest id above `start_id`; -ENOENT at the end.
LIBBPF_API int bpf_prog_get_next_id(__u32 start_id, __u32 *next_id);
LIBBPF_API int bpf_map_get_next_id(__u32 start_id, __u32 *next_id);
LIBBPF_API int bpf_link_get_next_id(__u32 start_id, __u32 *next_id);
LIBBPF_API int bpf_prog_get_fd_by_id(__u32 id);
LIBBPF_API int bpf_prog_get_fd_by_id_opts(__u32 id, const struct bpf_get_fd_by_id_opts *opts);
LIBBPF_API int bpf_map_get_fd_by_id(__u32 id);
LIBBPF_API int bpf_map_get_fd_by_id_opts(__u32 id, const struct bpf_get_fd_by_id_opts *opts);
LIBBPF_API int bpf_link_get_fd_by_id(__u32 id);
LIBBPF_API int bpf_link_get_fd_by_id_opts(__u32 id, const struct bpf_get_fd_by_id_opts *opts);

struct bpf_prog_info;
struct bpf_map_info;
struct bpf_link_info;
// *info_len: in, size of the caller's structure (a longer one than the library's must be zero beyond it);
// out, bytes that were written. The three others refuse objects of another kind with EINVAL.
LIBBPF_API int bpf_obj_get_info_by_fd(int bpf_fd, void *info, __u32 *info_len);
LIBBPF_API int bpf_prog_get_info_by_fd(int prog_fd, struct bpf_prog_info *info, __u32 *info_len);
LIBBPF_API int bpf_map_get_info_by_fd(int map_fd, struct bpf_map_info *info, __u32 *info_len);
LIBBPF_API int bpf_link_get_info_by_fd(int link_fd, struct bpf_link_info *info, __u32 *info_len);

#ifdef __cplusplus
}
#endif
