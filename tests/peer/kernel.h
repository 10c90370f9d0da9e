// SPDX-License-Identifier: MIT
// kernel: the running Linux kernel as a peer that says what is right: maps, loading and test runs through
// bpf(2). Nothing is attached or pinned; what is made goes with its descriptor. Results are 0 or -errno,
// descriptors or -errno; the kernel's own ENOTSUPP is EOPNOTSUPP here.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct kernel_map_def {
    uint32_t type; // Linux number
    uint32_t key_size, value_size, max_entries, flags;
};

// Whether this process may use it; else *reason says why not.
int kernel_is_permitted(const char **reason);
unsigned kernel_possible_cpus(void); // by which the kernel sizes values of per-CPU maps

int kernel_map_create(const struct kernel_map_def *def);
int kernel_map_lookup(int fd, const void *key, void *value, uint64_t flags);
int kernel_map_update(int fd, const void *key, const void *value, uint64_t flags);
int kernel_map_delete(int fd, const void *key);
int kernel_map_take(int fd, const void *key, void *value); // lookup and delete
int kernel_map_next_key(int fd, const void *key, void *next);
int kernel_map_freeze(int fd);

enum kernel_batch { KERNEL_LOOKUP_BATCH, KERNEL_TAKE_BATCH, KERNEL_UPDATE_BATCH, KERNEL_DELETE_BATCH };
struct kernel_batch_call {
    const void *in_batch;
    void *out_batch, *keys, *values;
    uint32_t count; // in and out
    uint64_t elem_flags, flags;
};
int kernel_map_batch(int fd, enum kernel_batch operation, struct kernel_batch_call *call);
// Maps a map's values; NULL and *result < 0 when that is refused.
void *kernel_map_mmap(int fd, size_t size, int prot, int *result);
void kernel_map_munmap(void *address, size_t size);

int kernel_load_xdp(const void *insns, uint32_t count, const char *license);
struct kernel_run {
    const void *data_in;
    void *data_out;
    uint32_t data_in_size, data_out_size; // the latter in: room, out: size of the data
    uint32_t repeat, retval;
};
int kernel_test_run(int fd, struct kernel_run *run);
