// SPDX-License-Identifier: MIT
// plat_shared: shared memory on every platform: a handle of the system's and one view of ours, for as long as
// the object lives. Further views belong to those who asked for them, and outlive it.
#include "plat/plat_int.h"

struct plat_shared {
    intptr_t handle;
    void *address;
    size_t size; // whole pages
};

static ebpf_result_t open_memory(struct plat_shared *s)
{
    if (!sim_admit_alloc() || !raw_shared_open(s->size, &s->handle)) {
        return EBPF_NO_MEMORY;
    }
    s->address = raw_shared_hold(s->handle, s->size);
    if (s->address == NULL) {
        raw_shared_close(s->handle);
        return EBPF_NO_MEMORY;
    }
    sim_count_alloc();
    return EBPF_SUCCESS;
}

ebpf_result_t plat_shared_create(size_t size, enum pool_tag tag, struct plat_shared **out)
{
    size_t whole = (size_t)align_up(size, PLAT_PAGE_SIZE);
    plat_sim_check_irql(PLAT_PASSIVE, "plat_shared_create");
    if (whole < size) {
        return EBPF_NO_MEMORY;
    }
    struct plat_shared *s = plat_alloc(sizeof(*s), tag);
    if (s == NULL) {
        return EBPF_NO_MEMORY;
    }
    s->size = whole;
    ebpf_result_t result = open_memory(s);
    if (result != EBPF_SUCCESS) {
        plat_free(s);
        return result;
    }
    *out = s;
    return EBPF_SUCCESS;
}

void plat_shared_destroy(struct plat_shared *s)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_shared_destroy");
    if (s == NULL) {
        return;
    }
    raw_shared_drop(s->handle, s->address, s->size);
    raw_shared_close(s->handle);
    sim_count_free();
    plat_free(s);
}

void *plat_shared_address(const struct plat_shared *s)
{
    return s->address;
}

// Not counted: a view may end with a call of the system's, or with the process.
ebpf_result_t plat_shared_map(struct plat_shared *s, bool writable, void **address)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_shared_map");
    void *view = sim_admit_alloc() ? raw_shared_map(s->handle, s->size, writable) : NULL;
    if (view == NULL) {
        return EBPF_NO_MEMORY;
    }
    *address = view;
    return EBPF_SUCCESS;
}

void plat_shared_unmap(void *address, size_t size)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_shared_unmap");
    raw_shared_unmap(address, (size_t)align_up(size, PLAT_PAGE_SIZE));
}

int plat_shared_fd(struct plat_shared *s, bool writable)
{
    plat_sim_check_irql(PLAT_PASSIVE, "plat_shared_fd");
    return raw_shared_fd(s->handle, writable);
}
