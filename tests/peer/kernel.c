// SPDX-License-Identifier: MIT
// kernel: see kernel.h. Apart from the rest, because <linux/bpf.h> and the project's headers name the same
// things.
#define _GNU_SOURCE // syscall
#include "tests/peer/kernel.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t address(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

// A number of the kernel's own that some operations let slip out; no C library has a name for it.
#define KERNEL_ENOTSUPP 524

static int call(enum bpf_cmd cmd, union bpf_attr *attr)
{
    long result = syscall(SYS_bpf, cmd, attr, sizeof(*attr));
    int error = errno == KERNEL_ENOTSUPP ? EOPNOTSUPP : errno;
    return result >= 0 ? (int)result : -error;
}

int kernel_is_permitted(const char **reason)
{
    int fd = kernel_map_create(&(struct kernel_map_def){BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0});
    if (fd >= 0) {
        close(fd);
        return 1;
    }
    *reason = fd == -ENOSYS ? "this kernel has no bpf(2)" : "bpf(2) is not permitted here";
    return 0;
}

// "0-3" or "0": the last number is the highest.
unsigned kernel_possible_cpus(void)
{
    unsigned first = 0, last = 0;
    FILE *file = fopen("/sys/devices/system/cpu/possible", "r");
    if (file == NULL) {
        return 0;
    }
    int count = fscanf(file, "%u-%u", &first, &last);
    fclose(file);
    return count == 2 ? last + 1 : count == 1 ? first + 1 : 0;
}

// --- maps ----------------------------------------------------------------------------------------

int kernel_map_create(const struct kernel_map_def *def)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_type = def->type;
    attr.key_size = def->key_size;
    attr.value_size = def->value_size;
    attr.max_entries = def->max_entries;
    attr.map_flags = def->flags;
    memcpy(attr.map_name, "peer", sizeof("peer"));
    return call(BPF_MAP_CREATE, &attr);
}

static int element(enum bpf_cmd cmd, int fd, const void *key, const void *value, uint64_t flags)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_fd = (uint32_t)fd;
    attr.key = address(key);
    attr.value = address(value);
    attr.flags = flags;
    return call(cmd, &attr);
}

int kernel_map_lookup(int fd, const void *key, void *value, uint64_t flags)
{
    return element(BPF_MAP_LOOKUP_ELEM, fd, key, value, flags);
}

int kernel_map_update(int fd, const void *key, const void *value, uint64_t flags)
{
    return element(BPF_MAP_UPDATE_ELEM, fd, key, value, flags);
}

int kernel_map_delete(int fd, const void *key)
{
    return element(BPF_MAP_DELETE_ELEM, fd, key, NULL, 0);
}

int kernel_map_take(int fd, const void *key, void *value)
{
    return element(BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, key, value, 0);
}

int kernel_map_next_key(int fd, const void *key, void *next)
{
    return element(BPF_MAP_GET_NEXT_KEY, fd, key, next, 0);
}

int kernel_map_freeze(int fd)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_fd = (uint32_t)fd;
    return call(BPF_MAP_FREEZE, &attr);
}

int kernel_map_batch(int fd, enum kernel_batch operation, struct kernel_batch_call *c)
{
    static const enum bpf_cmd commands[] = {[KERNEL_LOOKUP_BATCH] = BPF_MAP_LOOKUP_BATCH,
                                            [KERNEL_TAKE_BATCH] = BPF_MAP_LOOKUP_AND_DELETE_BATCH,
                                            [KERNEL_UPDATE_BATCH] = BPF_MAP_UPDATE_BATCH,
                                            [KERNEL_DELETE_BATCH] = BPF_MAP_DELETE_BATCH};
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.batch.in_batch = address(c->in_batch);
    attr.batch.out_batch = address(c->out_batch);
    attr.batch.keys = address(c->keys);
    attr.batch.values = address(c->values);
    attr.batch.count = c->count;
    attr.batch.map_fd = (uint32_t)fd;
    attr.batch.elem_flags = c->elem_flags;
    attr.batch.flags = c->flags;
    int result = call(commands[operation], &attr);
    c->count = attr.batch.count;
    return result;
}

void *kernel_map_mmap(int fd, size_t size, int prot, int *result)
{
    void *view = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
    *result = view == MAP_FAILED ? -errno : 0;
    return view == MAP_FAILED ? NULL : view;
}

void kernel_map_munmap(void *view, size_t size)
{
    munmap(view, size);
}

// --- programs ------------------------------------------------------------------------------------

int kernel_load_xdp(const void *insns, uint32_t count, const char *license)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.expected_attach_type = BPF_XDP;
    attr.insns = address(insns);
    attr.insn_cnt = count;
    attr.license = address(license);
    return call(BPF_PROG_LOAD, &attr);
}

int kernel_test_run(int fd, struct kernel_run *run)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.test.prog_fd = (uint32_t)fd;
    attr.test.data_in = address(run->data_in);
    attr.test.data_size_in = run->data_in_size;
    attr.test.data_out = address(run->data_out);
    attr.test.data_size_out = run->data_out_size;
    attr.test.repeat = run->repeat;
    int result = call(BPF_PROG_TEST_RUN, &attr);
    run->data_out_size = attr.test.data_size_out;
    run->retval = attr.test.retval;
    return result;
}
