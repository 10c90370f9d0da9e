// SPDX-License-Identifier: MIT
// Fuzzes batches: requests with any numbers and sizes on a small hash map and an array, beside a model of
// what the hash map holds. Input: steps of five bytes (what, count, position, half the length of what
// follows, unused) and a tail. Every reply must be one; a walk over all must give exactly what the model has.
#include <stdlib.h>

#include "core/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEP_HEAD = 5, ENTRIES = 16, VALUE = 3, ROOM = 512, KEYS = 256 };

struct state {
    struct core *core;
    struct object *hash, *array;
    struct arena arena;
    bool present[KEYS]; // the model: keys have one byte
    uint8_t values[KEYS];
    uint32_t count;
};

struct answer {
    struct proto_header header;
    struct proto_map_batch_reply body; // zero without one
    const uint8_t *tail;
    size_t tail_size;
};

static void must(bool condition)
{
    if (!condition) {
        abort();
    }
}

static struct object *make_map(struct core *core, uint32_t type, uint32_t key_size)
{
    struct map_def def = {.type = type, .key_size = key_size, .value_size = VALUE, .max_entries = ENTRIES};
    struct map *m = NULL;
    must(map_create(core_runtime(core), &def, &m) == EBPF_SUCCESS);
    return map_object(m);
}

static void open_state(struct state *s)
{
    struct core_options options = {.runtime = {.spec = spec_builtin()}, .platform = DIALECT_LINUX};
    memset(s, 0, sizeof(*s));
    must(plat_init() == EBPF_SUCCESS && core_create(&options, &s->core) == EBPF_SUCCESS);
    s->hash = make_map(s->core, MAP_TYPE_HASH, 1);
    s->array = make_map(s->core, MAP_TYPE_ARRAY, sizeof(uint32_t));
    arena_init(&s->arena, plat_mem_source(), 0);
}

static void close_state(struct state *s)
{
    object_release(s->hash);
    object_release(s->array);
    core_destroy(s->core);
    arena_fini(&s->arena);
    must(plat_sim_live_count() == 0);
    plat_fini();
}

static struct answer execute(struct state *s, struct object *map, uint16_t op, const void *fixed,
                             const uint8_t *tail, size_t tail_size)
{
    uint8_t message[sizeof(struct proto_header) + sizeof(struct proto_map_batch_request) + ROOM];
    size_t head = sizeof(struct proto_header) + sizeof(struct proto_map_batch_request);
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = op,
                                  .size = (uint32_t)(head + tail_size),
                                  .objects = 1};
    struct answer a = {0};
    const void *body;
    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), fixed, sizeof(struct proto_map_batch_request));
    memcpy(message + head, tail, tail_size);
    arena_fini(&s->arena);
    arena_init(&s->arena, plat_mem_source(), 0);
    struct core_call call = {.request = message,
                             .request_size = header.size,
                             .objects = &map,
                             .object_count = 1,
                             .arena = &s->arena};
    must(core_execute(s->core, &call) == EBPF_SUCCESS);
    must(proto_reply_check(op, call.reply, call.reply_size, &a.header, &body, &a.tail, &a.tail_size) ==
         EBPF_SUCCESS);
    if (body != NULL) {
        memcpy(&a.body, body, sizeof(a.body));
    }
    return a;
}

_Static_assert(sizeof(struct proto_map_batch_request) == sizeof(struct proto_map_lookup_batch_request),
               "one buffer for both");

// --- the model -----------------------------------------------------------------------------------

static void model_update(struct state *s, const uint8_t *tail, uint32_t count, uint32_t done)
{
    for (uint32_t i = 0; i < done; i++) {
        s->count += !s->present[tail[i]];
        s->present[tail[i]] = true;
        s->values[tail[i]] = tail[count + i * VALUE];
    }
}

static void model_delete(struct state *s, uint8_t key)
{
    must(s->present[key]);
    s->present[key] = false;
    s->count--;
}

static void check_elements(const struct state *s, const struct answer *a, uint32_t wanted)
{
    must(a->body.done <= wanted && a->tail_size == a->body.done * (1 + VALUE));
    for (uint32_t i = 0; i < a->body.done; i++) {
        uint8_t key = a->tail[i];
        must(s->present[key] && a->tail[a->body.done + i * VALUE] == s->values[key]);
    }
}

// --- steps ---------------------------------------------------------------------------------------

static struct answer look_up(struct state *s, struct object *map, uint32_t count, uint32_t position,
                             bool take)
{
    struct proto_map_lookup_batch_request fixed = {.count = count, .delete_too = take, .position = position};
    return execute(s, map, PROTO_MAP_LOOKUP_BATCH, &fixed, NULL, 0);
}

static void step_lookup(struct state *s, uint32_t count, uint32_t position, bool take)
{
    struct answer a = look_up(s, s->hash, count, position, take);
    if (a.header.result == EBPF_SUCCESS) {
        check_elements(s, &a, count);
        for (uint32_t i = 0; take && i < a.body.done; i++) {
            model_delete(s, a.tail[i]);
        }
    }
    a = look_up(s, s->array, count, position, take);
    must(a.header.result != EBPF_SUCCESS || a.tail_size == a.body.done * (sizeof(uint32_t) + VALUE));
}

static void step_change(struct state *s, uint16_t op, uint32_t count, const uint8_t *tail, size_t size)
{
    struct proto_map_batch_request fixed = {.count = count};
    struct answer a = execute(s, s->hash, op, &fixed, tail, size);
    uint32_t done = a.header.result == EBPF_SUCCESS ? count : a.body.done;
    must(done <= count);
    if (op == PROTO_MAP_UPDATE_BATCH) {
        model_update(s, tail, count, done);
    }
    for (uint32_t i = 0; op == PROTO_MAP_DELETE_BATCH && i < done; i++) {
        model_delete(s, tail[i]);
    }
    must(s->count <= ENTRIES);
    a = execute(s, s->array, op, &fixed, tail, size);
    must(a.header.result == EBPF_SUCCESS || a.body.done < count || count == 0);
}

static void step(struct state *s, const uint8_t *head, const uint8_t *tail, size_t size)
{
    static const uint32_t odd[] = {UINT32_MAX, 0x40000000, 0x80000001, 1u << 16};
    uint32_t count = head[1] < 0xf0 ? head[1] : odd[head[1] % ARRAY_SIZE(odd)];
    uint32_t position = head[2] < 0xf0 ? head[2] : odd[head[2] % ARRAY_SIZE(odd)];
    switch (head[0] % 6) {
    case 0: step_lookup(s, count, position, false); break;
    case 1: step_lookup(s, count, position, true); break;
    case 2: step_change(s, PROTO_MAP_UPDATE_BATCH, count, tail, size); break;
    case 3: step_change(s, PROTO_MAP_DELETE_BATCH, count, tail, size); break;
    case 4: step_change(s, PROTO_MAP_UPDATE_BATCH, (uint32_t)(size / (1 + VALUE)), tail, size); break;
    default: step_change(s, PROTO_MAP_DELETE_BATCH, (uint32_t)size, tail, size); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct state s;
    open_state(&s);
    while (size >= STEP_HEAD) {
        size_t tail = min_u32(data[3] * 2u, (uint32_t)min_u64(size - STEP_HEAD, ROOM));
        step(&s, data, data + STEP_HEAD, tail);
        data += STEP_HEAD + tail;
        size -= STEP_HEAD + tail;
    }
    struct answer all = look_up(&s, s.hash, ENTRIES, 0, false);
    must(all.header.result == EBPF_SUCCESS && all.body.end == 1 && all.body.done == s.count);
    check_elements(&s, &all, ENTRIES);
    close_state(&s);
    return 0;
}
