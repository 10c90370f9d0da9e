// SPDX-License-Identifier: MIT
// Fuzzes the program decoder: what it accepts must encode to the same bytes, and memory stays in proportion.
#include <stdlib.h>

#include "proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *source_alloc(void *user, size_t size)
{
    UNUSED(user);
    return malloc(size);
}

static void source_free(void *user, void *ptr)
{
    UNUSED(user);
    free(ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mem_source source = {source_alloc, source_free, NULL};
    struct arena arena;
    struct program p;
    arena_init(&arena, &source, 64u * (size + 4096));
    ebpf_result_t result = proto_program_decode(data, size, &arena, &p);
    if (result == EBPF_NO_MEMORY) {
        abort();
    }
    if (result == EBPF_SUCCESS) {
        uint8_t *copy = malloc(size + 1);
        if (copy == NULL || proto_program_encode(&p, copy, size) != size || memcmp(copy, data, size) != 0) {
            abort();
        }
        free(copy);
    }
    arena_fini(&arena);
    return 0;
}
