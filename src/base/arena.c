// SPDX-License-Identifier: MIT
// arena: bump allocator over chunks of a mem_source; everything is freed at once. Large requests get a chunk
// of their own, which is linked behind the current one so that its free space stays in use.
#include "base/base.h"

#define ARENA_ALIGN 16u
#define ARENA_CHUNK (64u * 1024)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; // bytes of payload
    size_t used;
    size_t reserved; // keeps the payload aligned
};

void arena_init(struct arena *a, const struct mem_source *source, size_t limit)
{
    memset(a, 0, sizeof(*a));
    a->source = source;
    a->limit = limit;
}

void arena_fini(struct arena *a)
{
    struct arena_chunk *chunk = a->chunks;
    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;
        a->source->free(a->source->user, chunk);
        chunk = next;
    }
    a->chunks = NULL;
    a->used = a->held = 0;
}

static struct arena_chunk *chunk_create(struct arena *a, size_t size)
{
    size_t total, held;
    if (!add_size(size, sizeof(struct arena_chunk), &total) || !add_size(a->held, total, &held) ||
        (a->limit != 0 && held > a->limit)) {
        return NULL;
    }
    struct arena_chunk *chunk = a->source->alloc(a->source->user, total);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->next = NULL;
    chunk->size = size;
    chunk->used = 0;
    chunk->reserved = 0;
    a->held = held;
    return chunk;
}

static void *chunk_take(struct arena *a, struct arena_chunk *chunk, size_t size)
{
    void *memory = (char *)(chunk + 1) + chunk->used;
    chunk->used += size;
    a->used += size;
    memset(memory, 0, size);
    return memory;
}

// Chunk for a request that the current one cannot hold.
static struct arena_chunk *chunk_for(struct arena *a, size_t size)
{
    bool own = size > ARENA_CHUNK / 4 && a->chunks != NULL;
    struct arena_chunk *chunk = chunk_create(a, own || size > ARENA_CHUNK ? size : ARENA_CHUNK);
    if (chunk == NULL && size < ARENA_CHUNK) {
        chunk = chunk_create(a, size); // the last bytes below the limit
    }
    if (chunk == NULL) {
        return NULL;
    }
    if (own) {
        chunk->next = a->chunks->next;
        a->chunks->next = chunk;
    } else {
        chunk->next = a->chunks;
        a->chunks = chunk;
    }
    return chunk;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded;
    if (!add_size(size == 0 ? 1 : size, ARENA_ALIGN - 1, &rounded)) {
        return NULL;
    }
    rounded &= ~(size_t)(ARENA_ALIGN - 1);
    struct arena_chunk *chunk = a->chunks;
    if (chunk == NULL || rounded > chunk->size - chunk->used) {
        chunk = chunk_for(a, rounded);
    }
    return chunk != NULL ? chunk_take(a, chunk, rounded) : NULL;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t total;
    return mul_size(count, size, &total) ? arena_alloc(a, total) : NULL;
}

void *arena_copy(struct arena *a, const void *data, size_t size)
{
    void *copy = arena_alloc(a, size);
    return copy == NULL || size == 0 ? copy : memcpy(copy, data, size);
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_copy(a, s, str_len(s) + 1);
}
