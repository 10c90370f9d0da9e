// SPDX-License-Identifier: MIT
// pool: memory of packed states, on an arena. Freed blocks are used again for blocks of the same size class.
#pragma once

#include "base/base.h"

enum { POOL_SMALL = 256, POOL_STEP = 64, POOL_LARGE = 8 };

struct pool {
    struct arena *arena;
    void *small[POOL_SMALL + 1]; // by multiples of POOL_STEP
    void *large[POOL_LARGE];     // by powers of two above
};

void pool_init(struct pool *p, struct arena *arena);
// NULL when the arena has no more. Aligned to 8 bytes, not zeroed.
void *pool_alloc(struct pool *p, size_t size);
void pool_free(struct pool *p, void *block, size_t size); // the same size
