// SPDX-License-Identifier: MIT
// core_batch: handlers of operations on many elements at once. Sizes come from the map; memory is bounded by
// what the map can hold and by the size of a message, and work by asking whether somebody still waits.
#include "core/core_int.h"

#define ELEMENTS_PER_QUESTION 256u // between two looks at whether somebody waits

static bool is_abandoned(const struct execution *x)
{
    return x->call->is_abandoned != NULL && x->call->is_abandoned(x->call->user);
}

struct element_sizes {
    size_t key, value;
    uint32_t max_entries;
};

static struct element_sizes sizes_of(const struct map *map)
{
    struct map_info info;
    map_info(map, &info);
    return (struct element_sizes){info.def.key_size, map_user_value_size(map), info.def.max_entries};
}

// --- lookups -------------------------------------------------------------------------------------

// Elements that a reply is given room for: no more than a message has, and one more than the map can have, so
// that a walk that wants more sees the end. 0: not even one fits.
static uint32_t room_for(const struct element_sizes *s, uint32_t wanted)
{
    size_t head = sizeof(struct proto_header) + sizeof(struct proto_map_batch_reply);
    size_t fit = (PROTO_MAX_SIZE - head) / (s->key + s->value);
    return min_u32(wanted <= s->max_entries ? wanted : s->max_entries + 1, (uint32_t)fit);
}

static ebpf_result_t walk(struct execution *x, bool take, struct map_batch *b)
{
    while (!b->full && !b->end) {
        if (is_abandoned(x)) {
            return EBPF_CANCELED;
        }
        TRY(map_user_batch(core_map(x, 0), take, b));
    }
    return EBPF_SUCCESS;
}

// Values follow the keys that came, not those there was room for.
static void close_gap(struct execution *x, const struct element_sizes *s, const struct map_batch *b)
{
    memmove(b->keys + b->count * s->key, b->values, b->count * s->value);
    x->reply_size -= (b->room - b->count) * (s->key + s->value);
}

ebpf_result_t handle_MAP_LOOKUP_BATCH(struct execution *x)
{
    struct proto_map_lookup_batch_request request;
    struct element_sizes s = sizes_of(core_map(x, 0));
    struct map_batch b = {0};
    core_get_fixed(x, &request);
    if (request.count == 0 || request.delete_too > 1) {
        return EBPF_INVALID_ARGUMENT;
    }
    b.position = request.position;
    b.room = room_for(&s, request.count);
    struct proto_map_batch_reply *reply = core_make_reply(x, b.room * (s.key + s.value), &b.keys);
    if (reply == NULL || b.room == 0) {
        return EBPF_NO_MEMORY;
    }
    b.values = b.keys + b.room * s.key;
    TRY(walk(x, request.delete_too != 0, &b));
    close_gap(x, &s, &b);
    *reply = (struct proto_map_batch_reply){.done = b.count, .end = b.end, .position = b.position};
    x->detailed = b.count == 0 && b.full;
    return x->detailed ? EBPF_INSUFFICIENT_BUFFER : EBPF_SUCCESS;
}

// --- updates and deletions -----------------------------------------------------------------------

// `value` NULL: a deletion.
static ebpf_result_t change_one(struct map *map, const uint8_t *key, const uint8_t *value, uint64_t flags)
{
    return value != NULL ? map_user_update(map, key, value, flags) : map_user_delete(map, key);
}

static ebpf_result_t change_all(struct execution *x, const struct proto_map_batch_request *request,
                                const struct element_sizes *s, struct proto_map_batch_reply *reply)
{
    const uint8_t *keys = x->request.tail;
    const uint8_t *values = s->value != 0 ? keys + request->count * s->key : NULL;
    for (; reply->done < request->count; reply->done++) {
        if (reply->done % ELEMENTS_PER_QUESTION == 0 && is_abandoned(x)) {
            return EBPF_CANCELED;
        }
        TRY(change_one(core_map(x, 0), keys + reply->done * s->key,
                       values != NULL ? values + reply->done * s->value : NULL, request->flags));
    }
    return EBPF_SUCCESS;
}

// A refusal of the whole has no body; whoever is told how far it went knows that something was tried.
static ebpf_result_t change(struct execution *x, const struct proto_map_batch_request *request,
                            const struct element_sizes *s)
{
    if (request->count == 0 || x->request.tail_size != (uint64_t)request->count * (s->key + s->value)) {
        return EBPF_INVALID_ARGUMENT;
    }
    struct proto_map_batch_reply *reply = core_make_reply(x, 0, NULL);
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    ebpf_result_t result = change_all(x, request, s, reply);
    x->detailed = result != EBPF_SUCCESS && (reply->done != 0 || result != EBPF_ACCESS_DENIED);
    return result;
}

ebpf_result_t handle_MAP_UPDATE_BATCH(struct execution *x)
{
    struct proto_map_batch_request request;
    struct element_sizes s = sizes_of(core_map(x, 0));
    core_get_fixed(x, &request);
    return change(x, &request, &s);
}

ebpf_result_t handle_MAP_DELETE_BATCH(struct execution *x)
{
    struct proto_map_batch_request request;
    struct element_sizes s = sizes_of(core_map(x, 0));
    core_get_fixed(x, &request);
    s.value = 0; // none come with it
    if (request.flags != 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    return map_can_delete(core_map(x, 0)) ? change(x, &request, &s) : EBPF_OPERATION_NOT_SUPPORTED;
}
