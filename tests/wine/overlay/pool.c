// SPDX-License-Identifier: MIT
// pool: memory that counts. Each block knows its tag and who asked for it; what a driver did not free is
// reported when it is unloaded. From 4096 bytes on blocks are page aligned, with an inaccessible page behind
// them. Blocks are filled when they are made and freed, freed ones are kept for a while, and writing beside
// or after them is found.
#include "tests/wine/overlay/overlay.h"

#include <stdio.h>

// POOL_FLAG_*, Microsoft's documentation of ExAllocatePool2; not in the headers.
#define FLAG_UNINITIALIZED     0x02
#define FLAG_CACHE_ALIGNED     0x08
#define FLAG_NON_PAGED_EXECUTE 0x80
#define FLAG_PAGED             0x100

#define FILL_NEW   0xcd
#define FILL_FREED 0xdd
#define FILL_EDGE  0xfd
#define FILLED_MAX 65536
#define EDGE       16  // bytes behind a small block that must stay as they are
#define QUARANTINE 512 // freed small blocks kept
#define BUCKETS    1024
// Bytes of all drivers together. Windows has a limit too, and a test must not take the machine's memory.
#define POOL_LIMIT  (2ull << 30)
#define LIVE_MAGIC  0x4c4f4f504556494cull
#define FREED_MAGIC 0x4c4f4f5044454546ull

// Stands before a small block; of a block of pages it is apart.
struct block {
    uint64_t magic;
    LIST_ENTRY live, bucket; // bucket: blocks of pages only
    uint8_t *address;
    void *raw; // small: what the heap gave
    size_t size;
    const void *caller;
    ULONG tag;
    bool paged, whole_pages;
};

static struct host_lock pool_lock;
static LIST_ENTRY live_blocks, buckets[BUCKETS];
static struct block *quarantine[QUARANTINE];
static unsigned quarantine_at;
static volatile LONG64 pool_used;

static void check_unload(const void *base, size_t size, const char *name);

void overlay_start_pool(void)
{
    InitializeListHead(&live_blocks);
    for (unsigned i = 0; i < BUCKETS; i++) {
        InitializeListHead(&buckets[i]);
    }
    host_on_unload(check_unload);
}

static LIST_ENTRY *bucket_of(const void *address)
{
    return &buckets[((uintptr_t)address >> 12) % BUCKETS];
}

static size_t tail_of(const struct block *block)
{
    return block->whole_pages ? (PAGE_SIZE - block->size % PAGE_SIZE) % PAGE_SIZE : EDGE;
}

static bool is_filled(const uint8_t *bytes, size_t size, uint8_t with)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != with) {
            return false;
        }
    }
    return true;
}

static void format_tag(ULONG tag, char text[5])
{
    memcpy(text, &tag, 4);
    text[4] = '\0';
    for (unsigned i = 0; i < 4; i++) {
        text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '.';
    }
}

// --- making blocks ---

static struct block *make_small(size_t size, size_t alignment)
{
    uint8_t *raw = host_heap_alloc(sizeof(struct block) + size + EDGE + alignment);
    if (raw == NULL) {
        return NULL;
    }
    uintptr_t address = ((uintptr_t)raw + sizeof(struct block) + alignment - 1) & ~(uintptr_t)(alignment - 1);
    struct block *block = (struct block *)address - 1;
    *block = (struct block){.address = (uint8_t *)address, .raw = raw};
    return block;
}

static struct block *make_pages(size_t size, bool executable)
{
    struct block *block = overlay_alloc(sizeof(*block));
    if (block == NULL) {
        return NULL;
    }
    block->address = host_pages_alloc(size, executable);
    block->whole_pages = true;
    if (block->address == NULL) {
        overlay_free(block);
        return NULL;
    }
    return block;
}

static bool reserve(size_t size)
{
    if (size > POOL_LIMIT) {
        return false;
    }
    if ((uint64_t)InterlockedExchangeAdd64(&pool_used, (LONG64)size) + size <= POOL_LIMIT) {
        return true;
    }
    InterlockedExchangeAdd64(&pool_used, -(LONG64)size);
    return false;
}

// Pages come zeroed; of many, only the first are filled.
static void fill(struct block *block, bool uninitialized)
{
    size_t size = !block->whole_pages || block->size < FILLED_MAX ? block->size : FILLED_MAX;
    if (uninitialized || !block->whole_pages) {
        memset(block->address, uninitialized ? FILL_NEW : 0, size);
    }
    memset(block->address + block->size, FILL_EDGE, tail_of(block));
}

static void *allocate(size_t size, ULONG tag, ULONG64 flags, const void *caller)
{
    size_t alignment = (flags & FLAG_CACHE_ALIGNED) != 0 ? 64 : 16;
    overlay_require_irql((flags & FLAG_PAGED) != 0 ? APC_LEVEL : DISPATCH_LEVEL, "a pool allocation", caller);
    if (size == 0 || tag == 0) {
        overlay_bugcheck("BAD_POOL_CALLER", caller, "pool of %llu bytes with tag %lu",
                         (unsigned long long)size, tag);
    }
    if (!reserve(size)) {
        return NULL;
    }
    struct block *block = size >= PAGE_SIZE ? make_pages(size, (flags & FLAG_NON_PAGED_EXECUTE) != 0)
                                            : make_small(size, alignment);
    if (block == NULL) {
        InterlockedExchangeAdd64(&pool_used, -(LONG64)size);
        return NULL;
    }
    block->size = size;
    block->tag = tag;
    block->caller = caller;
    block->paged = (flags & FLAG_PAGED) != 0;
    block->magic = LIVE_MAGIC;
    fill(block, (flags & FLAG_UNINITIALIZED) != 0);
    host_lock(&pool_lock);
    InsertTailList(&live_blocks, &block->live);
    if (block->whole_pages) {
        InsertTailList(bucket_of(block->address), &block->bucket);
    }
    host_unlock(&pool_lock);
    return block->address;
}

void *overlay_alloc_pool(size_t size, ULONG tag, const void *caller)
{
    return allocate(size, tag, 0, caller);
}

// --- freeing them ---

static struct block *find_pages(const void *address)
{
    struct block *found = NULL;
    LIST_ENTRY *head = bucket_of(address);
    host_lock(&pool_lock);
    for (LIST_ENTRY *entry = head->Flink; entry != head && found == NULL; entry = entry->Flink) {
        struct block *block = CONTAINING_RECORD(entry, struct block, bucket);
        found = block->address == address ? block : NULL;
    }
    host_unlock(&pool_lock);
    return found;
}

// The block at an address, also a freed one in quarantine; NULL: not one of ours.
static struct block *find(void *address)
{
    if (((uintptr_t)address & (PAGE_SIZE - 1)) == 0) {
        struct block *block = find_pages(address);
        if (block != NULL) {
            return block;
        }
    }
    struct block *block = (struct block *)address - 1;
    bool ours = ((uintptr_t)address & 15) == 0 && MmIsAddressValid(block) &&
                (block->magic == LIVE_MAGIC || block->magic == FREED_MAGIC) && block->address == address;
    return ours ? block : NULL;
}

static void check_free(const struct block *block, ULONG tag, const void *caller)
{
    char has[5], wants[5];
    format_tag(block->tag, has);
    format_tag(tag, wants);
    overlay_require_irql(block->paged ? APC_LEVEL : DISPATCH_LEVEL, "ExFreePool", caller);
    if (block->magic == FREED_MAGIC) {
        overlay_bugcheck("BAD_POOL_CALLER", caller, "block %p with tag '%s' is freed twice",
                         (void *)block->address, has);
    }
    if (tag != 0 && tag != block->tag) {
        overlay_bugcheck("BAD_POOL_CALLER", caller, "block with tag '%s' is freed with tag '%s'", has, wants);
    }
    if (!is_filled(block->address + block->size, tail_of(block), FILL_EDGE)) {
        overlay_bugcheck("BAD_POOL_HEADER", caller,
                         "block of %llu bytes with tag '%s' was written beyond its end",
                         (unsigned long long)block->size, has);
    }
}

// Keeps a freed block; returns one that was kept long enough, or NULL.
static struct block *keep(struct block *block)
{
    memset(block->address, FILL_FREED, block->size);
    struct block *old = quarantine[quarantine_at];
    quarantine[quarantine_at] = block;
    quarantine_at = (quarantine_at + 1) % QUARANTINE;
    return old;
}

static void end_small(struct block *block)
{
    char tag[5];
    format_tag(block->tag, tag);
    if (!is_filled(block->address, block->size, FILL_FREED)) {
        overlay_bugcheck("DRIVER_VERIFIER_DETECTED_VIOLATION", block->caller,
                         "block of %llu bytes with tag '%s' was written after it was freed",
                         (unsigned long long)block->size, tag);
    }
    block->magic = 0;
    host_heap_free(block->raw);
}

static void release(void *address, ULONG tag, const void *caller)
{
    if (address == NULL) {
        overlay_bugcheck("BAD_POOL_CALLER", caller, "ExFreePool of NULL");
    }
    struct block *block = find(address), *old = NULL;
    if (block == NULL) { // memory that a function of Wine handed out
        ExFreePoolWithTag(address, tag);
        return;
    }
    check_free(block, tag, caller);
    InterlockedExchangeAdd64(&pool_used, -(LONG64)block->size);
    host_lock(&pool_lock);
    RemoveEntryList(&block->live);
    block->magic = FREED_MAGIC;
    if (block->whole_pages) {
        RemoveEntryList(&block->bucket);
    } else {
        old = keep(block);
    }
    host_unlock(&pool_lock);
    if (old != NULL) {
        end_small(old);
    }
    if (block->whole_pages) {
        host_pages_free(block->address);
        overlay_free(block);
    }
}

// --- leaks ---

static bool is_from(const struct block *block, const void *base, size_t size)
{
    return (uintptr_t)block->caller - (uintptr_t)base < size;
}

// Frozen by design: nothing of the host runs on after a driver left memory behind.
static void check_unload(const void *base, size_t size, const char *name)
{
    unsigned count = 0;
    const struct block *first = NULL;
    host_lock(&pool_lock);
    for (LIST_ENTRY *entry = live_blocks.Flink; entry != &live_blocks; entry = entry->Flink) {
        const struct block *block = CONTAINING_RECORD(entry, struct block, live);
        if (is_from(block, base, size)) {
            char line[128], tag[5];
            format_tag(block->tag, tag);
            snprintf(line, sizeof(line), "LEAK: %s+0x%llx: %llu bytes, tag '%s'", name,
                     (unsigned long long)((uintptr_t)block->caller - (uintptr_t)base),
                     (unsigned long long)block->size, tag);
            host_print(line);
            first = first != NULL ? first : block;
            count++;
        }
    }
    host_unlock(&pool_lock);
    if (count != 0) {
        overlay_bugcheck("DRIVER_VERIFIER_DETECTED_VIOLATION", first->caller,
                         "%s was unloaded with %u live pool blocks", name, count);
    }
}

// --- the exported forms ---

static ULONG64 flags_of(POOL_TYPE type)
{
    ULONG64 flags = FLAG_UNINITIALIZED;
    flags |= (type & PagedPool) != 0 ? FLAG_PAGED : 0;
    flags |= (type & NonPagedPoolCacheAligned) != 0 ? FLAG_CACHE_ALIGNED : 0;
    flags |= (type & (NonPagedPoolNx | PagedPool)) == 0 ? FLAG_NON_PAGED_EXECUTE : 0;
    return flags;
}

#define NO_TAG 0x656e6f4e // 'None', what Windows uses

void *overlay_ExAllocatePoolWithTag(POOL_TYPE type, SIZE_T size, ULONG tag)
{
    return allocate(size, tag, flags_of(type), CALLER);
}

void *overlay_ExAllocatePoolWithTagPriority(POOL_TYPE type, SIZE_T size, ULONG tag, EX_POOL_PRIORITY priority)
{
    UNREFERENCED_PARAMETER(priority);
    return allocate(size, tag, flags_of(type), CALLER);
}

void *overlay_ExAllocatePoolWithQuotaTag(POOL_TYPE type, SIZE_T size, ULONG tag)
{
    return allocate(size, tag, flags_of(type & ~POOL_QUOTA_FAIL_INSTEAD_OF_RAISE), CALLER);
}

void *overlay_ExAllocatePoolWithQuota(POOL_TYPE type, SIZE_T size)
{
    return allocate(size, NO_TAG, flags_of(type & ~POOL_QUOTA_FAIL_INSTEAD_OF_RAISE), CALLER);
}

void *overlay_ExAllocatePool(POOL_TYPE type, SIZE_T size)
{
    return allocate(size, NO_TAG, flags_of(type), CALLER);
}

void *overlay_ExAllocatePool2(ULONG64 flags, SIZE_T size, ULONG tag)
{
    return allocate(size, tag, flags, CALLER);
}

void overlay_ExFreePool(void *address)
{
    release(address, 0, CALLER);
}

void overlay_ExFreePoolWithTag(void *address, ULONG tag)
{
    release(address, tag, CALLER);
}
