// SPDX-License-Identifier: MIT
// lib_alloc: the library's memory. One place, so that tests can fail every allocation and see every leak.
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/lib_int.h"

static _Atomic unsigned long fail_at; // 0: never
static _Atomic long live;

static bool must_fail(void)
{
    unsigned long left = atomic_load(&fail_at);
    while (left != 0 && !atomic_compare_exchange_weak(&fail_at, &left, left - 1)) {
    }
    return left == 1;
}

void *lib_alloc(size_t size)
{
    void *ptr = must_fail() ? NULL : calloc(1, size != 0 ? size : 1);
    if (ptr != NULL) {
        atomic_fetch_add(&live, 1);
    }
    return ptr;
}

void lib_free(void *ptr)
{
    if (ptr != NULL) {
        atomic_fetch_sub(&live, 1);
        free(ptr);
    }
}

char *lib_strdup(const char *s)
{
    size_t size = str_len(s) + 1;
    char *copy = lib_alloc(size);
    if (copy != NULL) {
        memcpy(copy, s, size);
    }
    return copy;
}

static void *source_alloc(void *user, size_t size)
{
    UNUSED(user);
    return lib_alloc(size);
}

static void source_free(void *user, void *ptr)
{
    UNUSED(user);
    lib_free(ptr);
}

const struct mem_source *lib_mem_source(void)
{
    static const struct mem_source source = {source_alloc, source_free, NULL};
    return &source;
}

void lib_alloc_fail(unsigned long nth)
{
    atomic_store(&fail_at, nth);
}

unsigned long lib_alloc_live(void)
{
    long count = atomic_load(&live);
    return count > 0 ? (unsigned long)count : 0;
}
