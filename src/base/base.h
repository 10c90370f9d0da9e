// SPDX-License-Identifier: MIT
// base: the door of layer 0. Fixed-width types, result codes, checked arithmetic, lists, the bounded byte
// reader, the arena, strings and the keyed table hash. Freestanding C; includes only <ebpf_result.h>.
#pragma once

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ebpf_result.h>

// The only libc functions that kernel-safe code may call.
void *memcpy(void *restrict dst, const void *restrict src, size_t size);
void *memmove(void *dst, const void *src, size_t size);
void *memset(void *dst, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define UNUSED(x)                       ((void)(x))
#define MUST_CHECK                      __attribute__((warn_unused_result))
// The conversions are those of C99 on every target; mingw's plain `printf` would mean Microsoft's old ones.
#if defined(__GNUC__) && !defined(__clang__)
#define PRINTF_LIKE(fmt_arg, first_vararg) __attribute__((format(gnu_printf, fmt_arg, first_vararg)))
#else
#define PRINTF_LIKE(fmt_arg, first_vararg) __attribute__((format(printf, fmt_arg, first_vararg)))
#endif

// TRY returns the error of `expr`; only for functions that own nothing yet.
#define TRY(expr)                                                                                            \
    do {                                                                                                     \
        ebpf_result_t try_result_ = (expr);                                                                  \
        if (try_result_ != EBPF_SUCCESS) {                                                                   \
            return try_result_;                                                                              \
        }                                                                                                    \
    } while (0)

// TRY_OR stores the error of `expr` in `result` and jumps to the cleanup label that undoes what is owned.
#define TRY_OR(result, expr, label)                                                                          \
    do {                                                                                                     \
        (result) = (expr);                                                                                   \
        if ((result) != EBPF_SUCCESS) {                                                                      \
            goto label;                                                                                      \
        }                                                                                                    \
    } while (0)

static inline bool add_size(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

static inline bool mul_size(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static inline uint64_t align_up(uint64_t value, uint64_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// --- results (result.c, result.def) --------------------------------------------------------------

// One row of result.def.
struct result_row {
    const char *name;     // "EBPF_NO_MEMORY"
    int linux_errno;      // errno of the Linux dialect
    int ucrt_errno;       // errno of the Windows dialect (UCRT numbers)
    uint32_t win32;       // ERROR_*
    uint32_t ntstatus;    // STATUS_*
    const char *sentence; // for people, without full stop
};

// The row of `result`; unknown values get the row of EBPF_FAILED. Never NULL.
const struct result_row *result_row(ebpf_result_t result);

// --- intrusive doubly linked list ----------------------------------------------------------------

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_push_back(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

// Unlinks `node` and leaves it self-linked, so that a second removal does nothing.
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#define LIST_FOR_EACH(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)

// --- bounded byte reader (reader.c): the only way to read untrusted bytes ------------------------

struct reader {
    const uint8_t *data;
    size_t size;
    size_t pos; // invariant: pos <= size
};

void reader_init(struct reader *r, const void *data, size_t size);
static inline size_t reader_left(const struct reader *r)
{
    return r->size - r->pos;
}
// Sub-range [off, off + size) of the whole data of `r` as a reader of its own.
// EBPF_INVALID_ARGUMENT when it does not lie inside.
ebpf_result_t reader_slice(const struct reader *r, uint64_t off, uint64_t size,
                           struct reader *out) MUST_CHECK;
ebpf_result_t reader_seek(struct reader *r, uint64_t pos) MUST_CHECK;
ebpf_result_t reader_skip(struct reader *r, uint64_t size) MUST_CHECK;
// Little-endian integers; advance on success, write nothing on failure.
ebpf_result_t reader_u8(struct reader *r, uint8_t *out) MUST_CHECK;
ebpf_result_t reader_u16(struct reader *r, uint16_t *out) MUST_CHECK;
ebpf_result_t reader_u32(struct reader *r, uint32_t *out) MUST_CHECK;
ebpf_result_t reader_u64(struct reader *r, uint64_t *out) MUST_CHECK;
// Copies `size` bytes and advances.
ebpf_result_t reader_bytes(struct reader *r, void *out, size_t size) MUST_CHECK;
// Points at `size` bytes inside the data (no copy) and advances.
ebpf_result_t reader_view(struct reader *r, size_t size, const uint8_t **out) MUST_CHECK;

// --- memory source and arena (arena.c) -----------------------------------------------------------

// Where an arena gets its chunks. `alloc` returns NULL on failure and memory aligned to 16 bytes otherwise.
struct mem_source {
    void *(*alloc)(void *user, size_t size);
    void (*free)(void *user, void *ptr);
    void *user;
};

struct arena_chunk;
// Bump allocator: everything is freed at once. Memory is zeroed, aligned to 16 bytes.
struct arena {
    const struct mem_source *source;
    struct arena_chunk *chunks;
    size_t used;  // bytes handed out
    size_t held;  // bytes taken from the source
    size_t limit; // upper bound of `held`; 0 = none
};

void arena_init(struct arena *a, const struct mem_source *source, size_t limit);
void arena_fini(struct arena *a);
// NULL when the source fails or the limit is reached. `size` 0 gives a valid unique pointer.
void *arena_alloc(struct arena *a, size_t size);
// NULL also when count * size overflows.
void *arena_array(struct arena *a, size_t count, size_t size);
void *arena_copy(struct arena *a, const void *data, size_t size);
char *arena_strdup(struct arena *a, const char *s);

// --- strings: bounded, always terminated ---------------------------------------------------------

size_t str_len(const char *s);
bool str_equal(const char *a, const char *b);
bool str_starts_with(const char *s, const char *prefix);
// Whether one of the first `size` bytes is NUL.
bool str_is_terminated(const char *s, size_t size);
// Copies what fits; returns false when truncated. size > 0.
bool str_copy(char *dst, size_t size, const char *src);
// Formats %s %c %d %i %u %x %X %ld %lu %lx %lld %llu %llx %zu %p %% with width, '-', '0'; no floating point.
// Writes at most `size` bytes including NUL and returns the length that the whole text has.
size_t str_format(char *dst, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t str_vformat(char *dst, size_t size, const char *fmt, va_list args);

// --- keyed table hash (hash.c): SipHash-1-3 ------------------------------------------------------

struct hash_key {
    uint64_t k0, k1;
};
// For hash tables whose keys an attacker may choose; not a MAC. Source: Aumasson and Bernstein, SipHash.
uint64_t hash_bytes(const struct hash_key *key, const void *data, size_t size);
// The same for numbers, much quicker, and with other results. Use its low bits.
uint64_t hash_number(const struct hash_key *key, uint64_t number);
