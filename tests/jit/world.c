// SPDX-License-Identifier: MIT
// world: helpers have a body without conventions (world_call) and one entry for each convention that the host
// can call. The entries destroy every register that their convention lets them destroy, and their shadow
// space.
#include "tests/jit/world.h"

struct world world;

static uint64_t mixed(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    return x ^ x >> 29;
}

static void note(uint64_t id, const uint64_t *args, unsigned count)
{
    world.state.trace = mixed(world.state.trace + id);
    for (unsigned i = 0; i < count; i++) {
        world.state.trace = mixed(world.state.trace ^ args[i]);
    }
}

// --- bodies --------------------------------------------------------------------------------------

static uint32_t map_of(uint64_t address)
{
    for (uint32_t i = 0; i < WORLD_MAPS; i++) {
        if (world.maps[i].address == address) {
            return i;
        }
    }
    world.misuse = "a helper got no map";
    return 0;
}

static bool may_use(const void *memory, uint64_t bytes, bool writes)
{
    if (world.allows == NULL || world.allows((uintptr_t)memory, bytes, writes)) {
        return true;
    }
    world.misuse = "a helper got an address that it may not use";
    return false;
}

static struct world_hash_slot *hash_find(uint32_t key)
{
    for (unsigned i = 0; i < WORLD_HASH_SLOTS; i++) {
        struct world_hash_slot *slot = &world.state.hash[i];
        if (slot->used != 0 && slot->key == key) {
            return slot;
        }
    }
    return NULL;
}

static uint8_t *lookup(uint32_t map, const void *key_bytes)
{
    const struct jit_map *m = &world.maps[map];
    uint32_t key;
    if (!may_use(key_bytes, sizeof(key), false)) {
        return NULL;
    }
    memcpy(&key, key_bytes, sizeof(key));
    if (map == WORLD_HASH) {
        struct world_hash_slot *slot = hash_find(key);
        return slot != NULL ? slot->value : NULL;
    }
    if (key >= m->max_entries) {
        return NULL;
    }
    return (uint8_t *)(uintptr_t)m->values + world.run->slot * m->cpu_stride + (uint64_t)key * m->stride;
}

static uint64_t update(uint32_t map, const void *key, const void *value)
{
    uint8_t *at = lookup(map, key);
    if (!may_use(key, 4, false) || !may_use(value, world.value_sizes[map], false)) {
        return 0;
    }
    for (unsigned i = 0; at == NULL && map == WORLD_HASH && i < WORLD_HASH_SLOTS; i++) {
        struct world_hash_slot *slot = &world.state.hash[i];
        if (slot->used == 0) {
            slot->used = 1;
            memcpy(&slot->key, key, sizeof(slot->key));
            at = slot->value;
        }
    }
    if (at != NULL) {
        memcpy(at, value, world.value_sizes[map]);
    }
    return at != NULL ? 0 : (uint64_t)-7;
}

static uint64_t delete(uint32_t map, const void *key_bytes)
{
    uint32_t key;
    if (!may_use(key_bytes, sizeof(key), false)) {
        return 0;
    }
    memcpy(&key, key_bytes, sizeof(key));
    struct world_hash_slot *slot = map == WORLD_HASH ? hash_find(key) : NULL;
    if (slot == NULL) {
        return (uint64_t)-2;
    }
    memset(slot, 0, sizeof(*slot));
    return 0;
}

static uint64_t sum(const uint8_t *bytes, uint64_t size)
{
    uint64_t total = size;
    for (uint64_t i = 0; may_use(bytes, size, false) && i < size; i++) {
        total = total * 31 + bytes[i];
    }
    return total;
}

static uint64_t fill(uint8_t *bytes, uint64_t size, uint64_t seed)
{
    for (uint64_t i = 0; may_use(bytes, size, true) && i < size; i++) {
        seed = mixed(seed + i);
        bytes[i] = (uint8_t)seed;
    }
    return size;
}

static uint64_t tail(uint32_t index)
{
    if (index >= world.tail_target_count || world.state.tail_calls >= 8) {
        return (uint64_t)-2;
    }
    world.state.tail_calls++;
    world.run->number = world.tail_targets[index];
    return 0;
}

static uint64_t mix(uint64_t id, const uint64_t *args, unsigned count)
{
    note(id, args, count);
    return mixed(world.state.trace);
}

uint64_t world_call(uint64_t id, const uint64_t args[5])
{
    void *first = (void *)(uintptr_t)args[0], *second = (void *)(uintptr_t)args[1];
    switch (id) {
    case WORLD_LOOKUP: return (uintptr_t)lookup(map_of(args[0]), second);
    case WORLD_CPU_ID: return world.run->slot;
    case WORLD_MIX1: return mix(id, args, 1);
    case WORLD_MIX2: return mix(id, args, 2);
    case WORLD_MIX3: return mix(id, args, 3);
    case WORLD_MIX4: return mix(id, args, 4);
    case WORLD_MIX5: return mix(id, args, 5);
    case WORLD_SUM: note(id, &args[1], 1); return sum(first, args[1]);
    case WORLD_FILL: note(id, &args[1], 2); return fill(first, args[1], args[2]);
    case WORLD_UPDATE: note(id, args, 1); return update(map_of(args[0]), second, (void *)(uintptr_t)args[2]);
    case WORLD_DELETE: note(id, args, 1); return delete (map_of(args[0]), second);
    case WORLD_NEXT: return mixed(++world.state.sequence);
    case WORLD_TAIL: note(id, &args[2], 1); return tail((uint32_t)args[2]);
    default: return mix(id, args, 0);
    }
}

// --- entries -------------------------------------------------------------------------------------

#if defined(__x86_64__)
#define DESTROY_SHARED "rax", "rcx", "rdx", "r8", "r9", "r10", "r11"
#define DESTROY_CODE                                                                                         \
    "mov $0x5aa5a55aa55a5aa5, %%rax\n\tmov %%rax, %%rcx\n\tmov %%rax, %%rdx\n\tmov %%rax, %%r8\n\t"          \
    "mov %%rax, %%r9\n\tmov %%rax, %%r10\n\tmov %%rax, %%r11\n\t"
#define DESTROY_SYSV()                                                                                       \
    __asm__ volatile(DESTROY_CODE "mov %%rax, %%rsi\n\tmov %%rax, %%rdi" ::: DESTROY_SHARED, "rsi", "rdi")
#define DESTROY_MS()                                                                                         \
    do {                                                                                                     \
        __asm__ volatile(DESTROY_CODE ::: DESTROY_SHARED);                                                   \
        volatile uint64_t *home = (volatile uint64_t *)__builtin_frame_address(0) + 2;                       \
        home[0] = home[1] = home[2] = home[3] = 0x5a5a5a5a;                                                  \
    } while (0)
#elif defined(__aarch64__)
#define DESTROY_SYSV()                                                                                       \
    __asm__ volatile("mov x1, #0x5a5a\n\tmov x2, x1\n\tmov x3, x1\n\tmov x4, x1\n\tmov x5, x1\n\t"           \
                     "mov x6, x1\n\tmov x7, x1\n\tmov x8, x1\n\tmov x9, x1\n\tmov x10, x1\n\t"               \
                     "mov x11, x1\n\tmov x12, x1\n\tmov x13, x1\n\tmov x14, x1\n\tmov x15, x1\n\t"           \
                     "mov x16, x1\n\tmov x17, x1" ::                                                         \
                         : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",  \
                           "x13", "x14", "x15", "x16", "x17", "cc")
#endif

static void check_call(const void *frame, const struct jit_run *run)
{
    if ((uintptr_t)frame % 16 != 0) {
        world.misuse = "a helper was called with a misaligned stack";
    }
    if (run != world.run) {
        world.misuse = "a helper did not get the run";
    }
}

#define ARGUMENTS uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, struct jit_run *run
#define ENTRY(attribute, name, id, destroy)                                                                  \
    attribute __attribute__((noinline)) static uint64_t name(ARGUMENTS)                                      \
    {                                                                                                        \
        const uint64_t args[5] = {a1, a2, a3, a4, a5};                                                       \
        check_call(__builtin_frame_address(0), run);                                                         \
        volatile uint64_t result = world_call(id, args);                                                     \
        destroy();                                                                                           \
        return result;                                                                                       \
    }
#define LOOKUP_ENTRY(attribute, name, destroy)                                                               \
    attribute __attribute__((noinline)) static void *name(uint64_t map, const void *key)                     \
    {                                                                                                        \
        check_call(__builtin_frame_address(0), world.run);                                                   \
        void *volatile result = lookup(map_of(map), key);                                                    \
        destroy();                                                                                           \
        return result;                                                                                       \
    }
#define PACKET_ENTRY(attribute, name, destroy)                                                               \
    attribute __attribute__((noinline)) static uint64_t name(ARGUMENTS)                                      \
    {                                                                                                        \
        check_call(__builtin_frame_address(0), run);                                                         \
        UNUSED(a3);                                                                                          \
        UNUSED(a4);                                                                                          \
        UNUSED(a5);                                                                                          \
        volatile uint64_t result = load_packet(a1, a2);                                                      \
        destroy();                                                                                           \
        return result;                                                                                       \
    }

static uint64_t load_packet(uint64_t offset, uint64_t bytes)
{
    uint64_t value = 0;
    if (offset > WORLD_MEM || WORLD_MEM - offset < bytes) {
        world.run->aborted = 1;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | world.state.mem[offset + i];
    }
    return value;
}

#ifdef _WIN32
#define HOME_DESTROY DESTROY_MS
#else
#define HOME_DESTROY DESTROY_SYSV
#endif
#define HELPER(id, kind, count) ENTRY(, home_##id, WORLD_##id, HOME_DESTROY)
#include "tests/jit/world_helpers.def"
#undef HELPER
ENTRY(, home_number, run->number, HOME_DESTROY)
LOOKUP_ENTRY(, home_find, HOME_DESTROY)
PACKET_ENTRY(, home_packet, HOME_DESTROY)

#if defined(__x86_64__) && !defined(_WIN32)
#define MS                      __attribute__((ms_abi))
#define HELPER(id, kind, count) ENTRY(MS, ms_##id, WORLD_##id, DESTROY_MS)
#include "tests/jit/world_helpers.def"
#undef HELPER
ENTRY(MS, ms_number, run->number, DESTROY_MS)
LOOKUP_ENTRY(MS, ms_find, DESTROY_MS)
PACKET_ENTRY(MS, ms_packet, DESTROY_MS)
#endif

// --- binding -------------------------------------------------------------------------------------

#define ADDRESS(function) ((uint64_t)(uintptr_t)(function))
static struct jit_helper home_helpers[WORLD_HELPERS];
static struct jit_map home_maps[WORLD_MAPS];
#if defined(__x86_64__) && !defined(_WIN32)
static struct jit_helper ms_helpers[WORLD_HELPERS];
static struct jit_map ms_maps[WORLD_MAPS];
#endif

static void name_maps(void)
{
    struct world_state *s = &world.state;
    const struct jit_map maps[WORLD_MAPS] = {
        [WORLD_ARRAY_ONE] = {.kind = JIT_MAP_ARRAY,
                             .stride = 8,
                             .max_entries = 1,
                             .values = ADDRESS(s->array_one)},
        [WORLD_ARRAY] = {.kind = JIT_MAP_ARRAY, .stride = 16, .max_entries = 8, .values = ADDRESS(s->array)},
        [WORLD_ARRAY_ODD] = {.kind = JIT_MAP_ARRAY,
                             .stride = 24,
                             .max_entries = 5,
                             .values = ADDRESS(s->array_odd)},
        [WORLD_PERCPU] = {.kind = JIT_MAP_PERCPU_ARRAY,
                          .stride = 16,
                          .max_entries = 4,
                          .values = ADDRESS(s->percpu),
                          .cpu_stride = sizeof(s->percpu[0])},
        [WORLD_HASH] = {.kind = JIT_MAP_OTHER, .max_entries = WORLD_HASH_SLOTS},
    };
    static const uint32_t sizes[WORLD_MAPS] = {8, 16, 24, 16, 24};
    memcpy(world.maps, maps, sizeof(maps));
    memcpy(world.value_sizes, sizes, sizeof(sizes));
    for (unsigned i = 0; i < WORLD_MAPS; i++) {
        world.maps[i].address = ADDRESS(&world.maps[i]);
        world.key_sizes[i] = 4;
    }
}

static void bind_home(struct jit_input *input)
{
#define HELPER(id, its_kind, count)                                                                          \
    home_helpers[WORLD_##id] = (struct jit_helper){                                                          \
        .address = ADDRESS(home_##id), .kind = JIT_HELPER_##its_kind, .arg_count = count};
#include "tests/jit/world_helpers.def"
#undef HELPER
    memcpy(home_maps, world.maps, sizeof(home_maps));
    home_maps[WORLD_HASH].lookup = ADDRESS(home_find);
    input->helpers = home_helpers;
    input->maps = home_maps;
    input->call_number = ADDRESS(home_number);
    input->load_packet = ADDRESS(home_packet);
}

static void bind_ms(struct jit_input *input)
{
#if defined(__x86_64__) && !defined(_WIN32)
#define HELPER(id, its_kind, count)                                                                          \
    ms_helpers[WORLD_##id] =                                                                                 \
        (struct jit_helper){.address = ADDRESS(ms_##id), .kind = JIT_HELPER_##its_kind, .arg_count = count};
#include "tests/jit/world_helpers.def"
#undef HELPER
    memcpy(ms_maps, world.maps, sizeof(ms_maps));
    ms_maps[WORLD_HASH].lookup = ADDRESS(ms_find);
    input->helpers = ms_helpers;
    input->maps = ms_maps;
    input->call_number = ADDRESS(ms_number);
    input->load_packet = ADDRESS(ms_packet);
#else
    UNUSED(input);
#endif
}

static unsigned home_abi(void)
{
#if defined(__aarch64__)
    return JIT_ABI_AAPCS64;
#elif defined(_WIN32)
    return JIT_ABI_WINDOWS;
#else
    return JIT_ABI_SYSV;
#endif
}

bool world_has_abi(unsigned abi)
{
#if defined(__x86_64__) && !defined(_WIN32)
    return abi == JIT_ABI_SYSV || abi == JIT_ABI_WINDOWS;
#else
    return abi == home_abi();
#endif
}

void world_bind(struct jit_input *input, unsigned abi)
{
    name_maps();
    if (abi == home_abi()) {
        bind_home(input);
    } else {
        bind_ms(input);
    }
    input->map_count = WORLD_MAPS;
    input->helper_count = WORLD_HELPERS;
}

void world_reset(uint64_t seed)
{
    uint64_t *words = (uint64_t *)(void *)&world.state;
    for (size_t i = 0; i < sizeof(world.state) / sizeof(*words); i++) {
        words[i] = mixed(seed += 0x632be59bd9b4e019u);
    }
    memset(world.state.hash, 0, sizeof(world.state.hash));
    for (uint32_t i = 0; i < WORLD_HASH_SLOTS / 2; i++) {
        world.state.hash[i].used = 1;
        world.state.hash[i].key = i * 2;
        fill(world.state.hash[i].value, WORLD_VALUE, seed + i);
    }
    world.state.trace = world.state.sequence = 0;
    world.state.tail_calls = world.state.reserved = 0;
    world.misuse = NULL;
}

uint32_t world_regions(struct region out[8])
{
    struct world_state *s = &world.state;
    uint32_t count = 0;
    out[count++] = (struct region){s->mem, sizeof(s->mem)};
    out[count++] = (struct region){s->array_one, sizeof(s->array_one)};
    out[count++] = (struct region){&s->array[0][0], sizeof(s->array)};
    out[count++] = (struct region){&s->array_odd[0][0], sizeof(s->array_odd)};
    out[count++] = (struct region){&s->percpu[0][0][0], sizeof(s->percpu)};
    out[count++] = (struct region){(uint8_t *)s->hash, sizeof(s->hash)};
    return count;
}
