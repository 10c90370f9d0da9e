// SPDX-License-Identifier: MIT
// pool: free lists by size class.
#include "verifier/pool.h"

void pool_init(struct pool *p, struct arena *arena)
{
    memset(p, 0, sizeof(*p));
    p->arena = arena;
}

// List of blocks of the class, and the size that its blocks have.
static void **class_of(struct pool *p, size_t size, size_t *rounded)
{
    size_t steps = (size + POOL_STEP - 1) / POOL_STEP;
    if (steps <= POOL_SMALL) {
        *rounded = steps * POOL_STEP;
        return &p->small[steps];
    }
    size_t bytes = (size_t)POOL_SMALL * POOL_STEP * 2;
    unsigned k = 0;
    while (bytes < size && k + 1 < POOL_LARGE) {
        bytes *= 2;
        k++;
    }
    *rounded = bytes;
    return &p->large[k];
}

void *pool_alloc(struct pool *p, size_t size)
{
    size_t rounded;
    void **list = class_of(p, size, &rounded);
    if (rounded < size) {
        return NULL;
    }
    void *block = *list;
    if (block == NULL) {
        return arena_alloc(p->arena, rounded);
    }
    memcpy(list, block, sizeof(*list));
    return block;
}

void pool_free(struct pool *p, void *block, size_t size)
{
    size_t rounded;
    void **list = class_of(p, size, &rounded);
    memcpy(block, list, sizeof(*list));
    *list = block;
}
