// SPDX-License-Identifier: MIT
// handles_windows: object descriptors inside one process as small numbers. They are no descriptors of the C
// runtime: _close() does not know them, and starting at 1000 keeps them apart from its own. The slot of a
// closed one is reused.
#include "hosts/handles.h"
#include "plat/plat.h"

#define FIRST_FD 1000

struct handles {
    struct plat_mutex lock;
    unsigned count, capacity;
    struct object **slots; // NULL: free
};

ebpf_result_t handles_create(struct handles **out)
{
    struct handles *h = plat_alloc(sizeof(*h), POOL_TAG_CORE);
    if (h == NULL) {
        return EBPF_NO_MEMORY;
    }
    plat_mutex_init(&h->lock);
    *out = h;
    return EBPF_SUCCESS;
}

void handles_destroy(struct handles *h)
{
    for (unsigned i = 0; i < h->capacity; i++) {
        if (h->slots[i] != NULL) {
            object_release(h->slots[i]);
        }
    }
    plat_free(h->slots);
    plat_mutex_fini(&h->lock);
    plat_free(h);
}

// Doubles the table; the lock is held.
static ebpf_result_t grow(struct handles *h)
{
    unsigned capacity = h->capacity == 0 ? 64 : h->capacity * 2;
    struct object **slots;
    if (capacity > INT_MAX - FIRST_FD) {
        return EBPF_OUT_OF_SPACE;
    }
    slots = plat_alloc(capacity * sizeof(*slots), POOL_TAG_CORE);
    if (slots == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (h->capacity != 0) {
        memcpy(slots, h->slots, h->capacity * sizeof(*slots));
    }
    plat_free(h->slots);
    h->slots = slots;
    h->capacity = capacity;
    return EBPF_SUCCESS;
}

// The lock is held.
static ebpf_result_t put(struct handles *h, struct object *o, int *fd)
{
    unsigned i = 0;
    if (h->count == h->capacity) {
        TRY(grow(h));
    }
    while (h->slots[i] != NULL) {
        i++;
    }
    h->slots[i] = o;
    h->count++;
    *fd = FIRST_FD + (int)i;
    return EBPF_SUCCESS;
}

ebpf_result_t handles_open(struct handles *h, struct object *o, int *fd)
{
    plat_mutex_acquire(&h->lock);
    ebpf_result_t result = put(h, o, fd);
    plat_mutex_release(&h->lock);
    if (result != EBPF_SUCCESS) {
        object_release(o);
    }
    return result;
}

// Slot of `fd`, or NULL; the lock is held.
static struct object **slot_of(struct handles *h, int fd)
{
    if (fd < FIRST_FD || (unsigned)(fd - FIRST_FD) >= h->capacity || h->slots[fd - FIRST_FD] == NULL) {
        return NULL;
    }
    return &h->slots[fd - FIRST_FD];
}

ebpf_result_t handles_find(struct handles *h, int fd, struct object **out)
{
    plat_mutex_acquire(&h->lock);
    struct object **slot = slot_of(h, fd);
    if (slot != NULL) {
        object_acquire(*slot);
        *out = *slot;
    }
    plat_mutex_release(&h->lock);
    return slot != NULL ? EBPF_SUCCESS : EBPF_INVALID_FD;
}

ebpf_result_t handles_dup(struct handles *h, int fd, int *out)
{
    struct object *o = NULL;
    TRY(handles_find(h, fd, &o));
    return handles_open(h, o, out);
}

void handles_close(struct handles *h, int fd)
{
    struct object *o = NULL;
    plat_mutex_acquire(&h->lock);
    struct object **slot = slot_of(h, fd);
    if (slot != NULL) {
        o = *slot;
        *slot = NULL;
        h->count--;
    }
    plat_mutex_release(&h->lock);
    if (o != NULL) {
        object_release(o);
    }
}

void handles_sweep(struct handles *h)
{
    UNUSED(h);
}

int handles_poll_fd(const struct handles *h)
{
    UNUSED(h);
    return -1;
}

unsigned handles_count(struct handles *h)
{
    plat_mutex_acquire(&h->lock);
    unsigned count = h->count;
    plat_mutex_release(&h->lock);
    return count;
}
