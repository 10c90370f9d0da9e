// SPDX-License-Identifier: MIT
// map_hash: hash map. Readers take no lock; writers of a bucket share one of a few spin locks. An update
// links a new element in the place of the old one, which the epoch frees: a reader sees the old value or the
// new one, and a value pointer stays good to the end of its run.
//
// Invariants: an element is in the chain of the bucket that its hash selects; a key is in a chain once;
// `count` is the number of linked elements and never above max_entries; an unlinked element keeps its `next`,
// so that a reader that stands on it finds the rest of the chain.
#include "runtime/runtime_int.h"

#define BUCKETS_MAX ((uint32_t)1 << 24)
#define LOCKS_MAX   256u

struct element {
    struct epoch_item retired; // first: what the epoch gives back
    struct element *next;      // in the bucket; atomic
    uint64_t hash;
    _Alignas(8) uint8_t key[]; // padded to 8, then the value
};

struct lock_line {
    struct plat_spinlock lock;
    uint8_t pad[CACHE_LINE - sizeof(struct plat_spinlock)];
};

struct hash {
    struct hash_key secret;
    struct element **buckets; // atomic
    uint32_t bucket_count;    // power of two
    uint32_t lock_count;      // power of two, at most bucket_count
    struct lock_line *locks;
    uint32_t value_off; // from element.key
    uint32_t element_size;
    uint32_t count; // atomic
};

static struct hash *hash_of(const struct map *m)
{
    return m->state;
}

static uint8_t *value_of(const struct hash *h, struct element *e)
{
    return e->key + h->value_off;
}

static struct element *load(struct element *const *at)
{
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}

static void store(struct element **at, struct element *e)
{
    __atomic_store_n(at, e, __ATOMIC_SEQ_CST);
}

// --- creation ------------------------------------------------------------------------------------

static ebpf_result_t check(const struct map_def *def)
{
    return (def->flags & MAP_FLAG_MMAPABLE) == 0 ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

static uint32_t power_of_two_for(uint32_t entries)
{
    uint32_t count = 1;
    while (count < entries && count < BUCKETS_MAX) {
        count *= 2;
    }
    return count;
}

static void set_sizes(struct map *m, struct hash *h)
{
    h->bucket_count = power_of_two_for(m->def.max_entries);
    h->lock_count = min_u32(h->bucket_count, LOCKS_MAX);
    h->value_off = (uint32_t)align_up(m->def.key_size, 8);
    h->element_size = (uint32_t)sizeof(struct element) + h->value_off + m->value_stride;
}

static ebpf_result_t init(struct map *m)
{
    ebpf_result_t result = EBPF_NO_MEMORY;
    struct hash *h = plat_alloc(sizeof(*h), POOL_TAG_MAP);
    if (h == NULL) {
        return EBPF_NO_MEMORY;
    }
    set_sizes(m, h);
    h->buckets = plat_alloc_pages((size_t)h->bucket_count * sizeof(*h->buckets), POOL_TAG_MAP);
    if (h->buckets == NULL) {
        goto undo_alloc;
    }
    h->locks = plat_alloc(h->lock_count * sizeof(*h->locks), POOL_TAG_MAP);
    if (h->locks == NULL) {
        goto undo_buckets;
    }
    for (uint32_t i = 0; i < h->lock_count; i++) {
        plat_spinlock_init(&h->locks[i].lock);
    }
    plat_random_bytes(&h->secret, sizeof(h->secret));
    m->state = h;
    m->memory = sizeof(*h) + h->bucket_count * sizeof(*h->buckets) + h->lock_count * sizeof(*h->locks);
    return EBPF_SUCCESS;

undo_buckets:
    plat_free_pages(h->buckets, (size_t)h->bucket_count * sizeof(*h->buckets));
undo_alloc:
    plat_free(h);
    return result;
}

static void fini(struct map *m)
{
    struct hash *h = hash_of(m);
    for (uint32_t i = 0; i < h->bucket_count; i++) {
        struct element *e = h->buckets[i];
        while (e != NULL) {
            struct element *next = e->next;
            plat_free(e);
            e = next;
        }
    }
    plat_free(h->locks);
    plat_free_pages(h->buckets, (size_t)h->bucket_count * sizeof(*h->buckets));
    plat_free(h);
}

static uint64_t element_memory(const struct map *m)
{
    const struct hash *h = hash_of(m);
    return (uint64_t)__atomic_load_n(&h->count, __ATOMIC_RELAXED) * h->element_size;
}

// --- finding -------------------------------------------------------------------------------------

static uint64_t hash_key(const struct map *m, const void *key)
{
    const struct hash_key *secret = &hash_of(m)->secret;
    uint64_t number = 0;
    if (m->def.key_size != 4 && m->def.key_size != 8) {
        return hash_bytes(secret, key, m->def.key_size);
    }
    memcpy(&number, key, m->def.key_size);
    return hash_number(secret, number);
}

static uint32_t bucket_of(const struct hash *h, uint64_t hash)
{
    return (uint32_t)hash & (h->bucket_count - 1);
}

static bool is_element(const struct map *m, const struct element *e, uint64_t hash, const void *key)
{
    return e->hash == hash && memcmp(e->key, key, m->def.key_size) == 0;
}

static struct element *find(const struct map *m, uint64_t hash, const void *key)
{
    struct hash *h = hash_of(m);
    struct element *e = load(&h->buckets[bucket_of(h, hash)]);
    while (e != NULL && !is_element(m, e, hash, key)) {
        e = load(&e->next);
    }
    return e;
}

static uint8_t *lookup(struct map *m, const void *key)
{
    struct element *e = find(m, hash_key(m, key), key);
    return e != NULL ? value_of(hash_of(m), e) : NULL;
}

// --- the same for keys of one word, which machine code calls without detours ---------------------

// The key may change while we look at it: it is read once.
#define LOOKUP_WORD(bits)                                                                                    \
    static uint8_t *lookup##bits(struct map *m, const void *key)                                             \
    {                                                                                                        \
        uint##bits##_t word;                                                                                 \
        struct hash *h = hash_of(m);                                                                         \
        memcpy(&word, key, sizeof(word));                                                                    \
        __asm__("" : "+r"(word));                                                                            \
        uint64_t hash = hash_number(&h->secret, word);                                                       \
        struct element *e = load(&h->buckets[bucket_of(h, hash)]);                                           \
        while (e != NULL && *(const uint##bits##_t *)(const void *)e->key != word) {                         \
            e = load(&e->next);                                                                              \
        }                                                                                                    \
        return e != NULL ? value_of(h, e) : NULL;                                                            \
    }
LOOKUP_WORD(32)
LOOKUP_WORD(64)

static void describe(struct map *m, struct jit_map *out)
{
    uint8_t *(*fn)(struct map *, const void *) = m->def.key_size == 4   ? lookup32
                                                 : m->def.key_size == 8 ? lookup64
                                                                        : lookup;
    out->lookup = (uintptr_t)fn;
}

// --- links ---------------------------------------------------------------------------------------

// Link that points at the element of `key`, or the NULL link at the end of its chain. Under the bucket's
// lock.
static struct element **find_link(const struct map *m, uint64_t hash, const void *key)
{
    struct hash *h = hash_of(m);
    struct element **at = &h->buckets[bucket_of(h, hash)];
    while (*at != NULL && !is_element(m, *at, hash, key)) {
        at = &(*at)->next;
    }
    return at;
}

static struct plat_spinlock *lock_of(const struct hash *h, uint64_t hash)
{
    return &h->locks[bucket_of(h, hash) & (h->lock_count - 1)].lock;
}

// --- writing -------------------------------------------------------------------------------------

static void free_element(struct epoch_item *item)
{
    plat_free(CONTAINER_OF(item, struct element, retired));
}

static void retire(struct map *m, struct element *e)
{
    epoch_retire(m->object.rt, &e->retired, hash_of(m)->element_size, free_element);
}

static struct element *make(const struct map *m, uint64_t hash, const void *key, const void *value)
{
    struct hash *h = hash_of(m);
    struct element *e = plat_alloc(h->element_size, POOL_TAG_MAP);
    if (e != NULL) {
        e->hash = hash;
        memcpy(e->key, key, m->def.key_size);
        map_value_write(value_of(h, e), value, m->def.value_size);
    }
    return e;
}

// Counts one more element; false when the map is full.
static bool take_room(const struct map *m)
{
    struct hash *h = hash_of(m);
    uint32_t count = __atomic_load_n(&h->count, __ATOMIC_RELAXED);
    while (count < m->def.max_entries) {
        if (__atomic_compare_exchange_n(&h->count, &count, count + 1, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

static void give_room(const struct map *m)
{
    __atomic_fetch_sub(&hash_of(m)->count, 1, __ATOMIC_RELAXED);
}

// A slot that retires faster than runs end must stop taking memory: then a value is written in place, as
// Linux's preallocated maps may show it, and nothing new is inserted.
static ebpf_result_t replace(struct map *m, struct element **at, uint64_t hash, const void *key,
                             const void *value)
{
    struct element *old = *at, *e;
    if (epoch_is_pressed(m->object.rt)) {
        map_value_write(value_of(hash_of(m), old), value, m->def.value_size);
        return EBPF_SUCCESS;
    }
    e = make(m, hash, key, value);
    if (e == NULL) {
        return EBPF_NO_MEMORY;
    }
    __atomic_store_n(&e->next, old->next, __ATOMIC_RELAXED);
    store(at, e);
    retire(m, old);
    return EBPF_SUCCESS;
}

static ebpf_result_t insert(struct map *m, uint64_t hash, const void *key, const void *value)
{
    struct hash *h = hash_of(m);
    struct element **head = &h->buckets[bucket_of(h, hash)], *e;
    if (!take_room(m)) {
        return EBPF_OUT_OF_SPACE;
    }
    e = epoch_is_pressed(m->object.rt) ? NULL : make(m, hash, key, value);
    if (e == NULL) {
        give_room(m);
        return EBPF_NO_MEMORY;
    }
    __atomic_store_n(&e->next, *head, __ATOMIC_RELAXED);
    store(head, e);
    return EBPF_SUCCESS;
}

static void read_key(uint8_t *out, const uint8_t *key, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        out[i] = __atomic_load_n(&key[i], __ATOMIC_RELAXED);
    }
}

// The key may be in a map's value, which others change while we look at it: what is hashed must be what is
// stored, or the element would be in a chain where nobody finds it. So the key is copied first.
static ebpf_result_t update(struct map *m, const void *unsteady_key, const void *value, uint64_t flags)
{
    uint8_t key[MAP_KEY_SIZE_MAX];
    read_key(key, unsteady_key, m->def.key_size);
    uint64_t hash = hash_key(m, key);
    struct plat_spinlock *lock = lock_of(hash_of(m), hash);
    ebpf_result_t result;
    plat_spinlock_acquire(lock);
    struct element **at = find_link(m, hash, key);
    if (*at != NULL) {
        result = flags == UPDATE_NOEXIST ? EBPF_KEY_ALREADY_EXISTS : replace(m, at, hash, key, value);
    } else {
        result = flags == UPDATE_EXIST ? EBPF_KEY_NOT_FOUND : insert(m, hash, key, value);
    }
    plat_spinlock_release(lock);
    return result;
}

// Unlinks the element of `key`. Its value goes to `value` first when that is not NULL.
static ebpf_result_t take(struct map *m, const void *key, void *value)
{
    uint64_t hash = hash_key(m, key);
    struct plat_spinlock *lock = lock_of(hash_of(m), hash);
    struct element **at, *e;
    plat_spinlock_acquire(lock);
    at = find_link(m, hash, key);
    e = *at;
    if (e != NULL) {
        store(at, e->next);
        give_room(m);
    }
    plat_spinlock_release(lock);
    if (e == NULL) {
        return EBPF_KEY_NOT_FOUND;
    }
    if (value != NULL) {
        map_value_read(value, value_of(hash_of(m), e), m->def.value_size);
    }
    retire(m, e);
    return EBPF_SUCCESS;
}

static ebpf_result_t delete(struct map *m, const void *key)
{
    return take(m, key, NULL);
}

// --- user mode -----------------------------------------------------------------------------------

// First element in the buckets from `bucket` on.
static struct element *first_from(const struct hash *h, uint32_t bucket)
{
    for (; bucket < h->bucket_count; bucket++) {
        struct element *e = load(&h->buckets[bucket]);
        if (e != NULL) {
            return e;
        }
    }
    return NULL;
}

// The order is that of buckets and chains: it stands still for elements that stay, whatever happens to
// others.
static ebpf_result_t next_key(struct map *m, const void *key, void *next)
{
    struct hash *h = hash_of(m);
    struct element *e = key != NULL ? find(m, hash_key(m, key), key) : NULL;
    if (e == NULL) {
        e = first_from(h, 0);
    } else {
        struct element *behind = load(&e->next);
        e = behind != NULL ? behind : first_from(h, bucket_of(h, e->hash) + 1);
    }
    if (e == NULL) {
        return EBPF_NO_MORE_KEYS;
    }
    memcpy(next, e->key, m->def.key_size);
    return EBPF_SUCCESS;
}

// --- batches -------------------------------------------------------------------------------------

#define STEP_BUCKETS 512u // looked at in one step, most of which may be empty

static void add_to_batch(const struct map *m, struct map_batch *b, struct element *e)
{
    map_value_read(map_batch_add(m, b, e->key), value_of(hash_of(m), e), m->def.value_size);
}

// Adds the elements of a bucket, all or none. Each of them was there at some moment; none comes twice,
// because a new one only ever appears in front.
static bool read_bucket(const struct map *m, uint32_t bucket, struct map_batch *b)
{
    uint32_t before = b->count;
    for (struct element *e = load(&hash_of(m)->buckets[bucket]); e != NULL; e = load(&e->next)) {
        if (b->count == b->room) {
            b->count = before;
            return false;
        }
        add_to_batch(m, b, e);
    }
    return true;
}

// Unlinks the chain of a bucket if it has at most `room` elements; false when it has more.
static bool unlink_chain(const struct map *m, uint32_t bucket, uint32_t room, struct element **chain)
{
    struct hash *h = hash_of(m);
    struct plat_spinlock *lock = lock_of(h, bucket);
    uint32_t length = 0;
    plat_spinlock_acquire(lock);
    *chain = h->buckets[bucket];
    for (const struct element *e = *chain; e != NULL && length <= room; e = e->next) {
        length++;
    }
    if (length != 0 && length <= room) {
        store(&h->buckets[bucket], NULL);
        __atomic_fetch_sub(&h->count, length, __ATOMIC_RELAXED);
    }
    plat_spinlock_release(lock);
    return length <= room;
}

// Once unlinked the chain is ours; readers that stand in it see it unchanged until the epoch ends.
static bool take_bucket(struct map *m, uint32_t bucket, struct map_batch *b)
{
    struct element *chain;
    if (!unlink_chain(m, bucket, b->room - b->count, &chain)) {
        return false;
    }
    while (chain != NULL) {
        struct element *e = chain;
        chain = e->next;
        add_to_batch(m, b, e);
        retire(m, e);
    }
    return true;
}

static void batch(struct map *m, bool take, struct map_batch *b)
{
    const struct hash *h = hash_of(m);
    uint32_t before = b->count, looked_at = 0;
    while (b->position < h->bucket_count && looked_at++ < STEP_BUCKETS &&
           (size_t)(b->count - before) * h->element_size < MAP_STEP_BYTES) {
        if (!(take ? take_bucket(m, b->position, b) : read_bucket(m, b->position, b))) {
            b->full = true;
            return;
        }
        b->position++;
    }
    b->end = b->position >= h->bucket_count;
}

const struct map_ops map_ops_HASH = {
    .check = check,
    .init = init,
    .fini = fini,
    .lookup = lookup,
    .update = update,
    .delete = delete,
    .user_lookup = map_lookup_copy,
    .user_update = update,
    .user_take = take,
    .next_key = next_key,
    .batch = batch,
    .describe = describe,
    .element_memory = element_memory,
};
