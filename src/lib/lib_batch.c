// SPDX-License-Identifier: MIT
// lib_batch: many elements with one call. What leaves is cut into requests of bounded size; the answers are
// those of bpf(2), Linux 6.x: kernel/bpf/syscall.c (generic_map_*_batch), kernel/bpf/hashtab.c
// (__htab_map_lookup_and_delete_batch).
//
// Invariant: *count is written once the execution context has looked at elements, and then says how many were
// done; until then it stays as it was.
#include <errno.h>

#include "lib/lib_int.h"

#define REQUEST_BYTES ((size_t)1 << 20) // keys and values of one request; more when a hash bucket needs it

struct batch {
    int fd;
    size_t key_size, value_size; // value_size 0: keys alone travel
    bool by_index;               // arrays: a position in the caller's hands is the last index, as on Linux
    uint32_t max_entries;
    uint32_t wanted, done;
    uint64_t flags;
};

static bool is_array(uint32_t type)
{
    return type == MAP_TYPE_ARRAY || type == MAP_TYPE_PERCPU_ARRAY;
}

static ebpf_result_t open_batch(int fd, const uint32_t *count, struct batch *b)
{
    struct proto_object_info_reply info;
    TRY(lib_object_info(fd, &info));
    if (info.kind != PROTO_KIND_MAP) {
        return EBPF_INVALID_OBJECT;
    }
    *b = (struct batch){.fd = fd,
                        .key_size = info.key_size,
                        .value_size = info.user_value_size,
                        .by_index = is_array(info.type),
                        .max_entries = info.max_entries,
                        .wanted = *count};
    return EBPF_SUCCESS;
}

// Elements of the next request.
static uint32_t chunk_of(const struct batch *b, size_t bytes)
{
    uint32_t fit = (uint32_t)(bytes / (b->key_size + b->value_size));
    return min_u32(b->wanted - b->done, fit != 0 ? fit : 1);
}

// --- lookups -------------------------------------------------------------------------------------

struct walk {
    uint8_t *keys, *values;
    uint32_t position;
    bool take, end;
};

// A peer that says more than was asked for, or that goes on without going forward, is none of ours.
static bool is_sound(const struct batch *b, const struct lib_reply *reply, uint32_t asked,
                     const struct proto_map_batch_reply *r)
{
    return r->done <= asked && (r->done != 0 || r->end != 0) &&
           reply->tail_size == r->done * (b->key_size + b->value_size);
}

static ebpf_result_t take_elements(struct batch *b, struct walk *w, const struct lib_reply *reply,
                                   uint32_t asked)
{
    struct proto_map_batch_reply r;
    memcpy(&r, reply->fixed, sizeof(r));
    if (!is_sound(b, reply, asked, &r)) {
        return EBPF_RPC_EXCEPTION;
    }
    memcpy(w->keys + b->done * b->key_size, reply->tail, r.done * b->key_size);
    memcpy(w->values + b->done * b->value_size, reply->tail + r.done * b->key_size, r.done * b->value_size);
    b->done += r.done;
    w->position = r.position;
    w->end = r.end != 0;
    return EBPF_SUCCESS;
}

static ebpf_result_t request_elements(struct batch *b, struct walk *w, uint32_t asked)
{
    struct proto_map_lookup_batch_request fixed = {
        .count = asked, .delete_too = w->take, .position = w->position};
    struct lib_request request = {
        .op = PROTO_MAP_LOOKUP_BATCH, .fixed = &fixed, .fds = &b->fd, .fd_count = 1};
    struct lib_reply reply;
    TRY(lib_call(&request, &reply));
    ebpf_result_t result = take_elements(b, w, &reply, asked);
    lib_reply_free(&reply);
    return result;
}

// A bucket that does not fit in a request gets a larger one, up to what the caller has room for; when that is
// too small, it is an error only if nothing was there before it.
static ebpf_result_t walk(struct batch *b, struct walk *w)
{
    size_t bytes = REQUEST_BYTES;
    while (b->done < b->wanted && !w->end) {
        uint32_t asked = chunk_of(b, bytes);
        ebpf_result_t result = request_elements(b, w, asked);
        if (result == EBPF_INSUFFICIENT_BUFFER && asked < b->wanted - b->done && bytes < PROTO_MAX_SIZE) {
            bytes *= 2;
        } else if (result == EBPF_INSUFFICIENT_BUFFER && b->done != 0) {
            return EBPF_SUCCESS;
        } else if (result != EBPF_SUCCESS) {
            return result;
        }
    }
    return w->end ? EBPF_NO_MORE_KEYS : EBPF_SUCCESS;
}

// Linux takes an index past the end for none, and starts at the first.
static uint32_t read_position(const struct batch *b, const void *in)
{
    uint32_t position;
    if (in == NULL) {
        return 0;
    }
    memcpy(&position, in, sizeof(position));
    return !b->by_index ? position : position < b->max_entries ? position + 1 : 0;
}

static void write_position(const struct batch *b, const struct walk *w, void *out)
{
    uint32_t position = b->by_index ? w->position - 1 : w->position;
    if (!b->by_index || b->done != 0) {
        memcpy(out, &position, sizeof(position));
    }
}

// Whether the execution context has refused before it looked at any element.
static bool was_refused(const struct batch *b, ebpf_result_t result)
{
    return b->done == 0 && result != EBPF_SUCCESS && result != EBPF_NO_MORE_KEYS &&
           result != EBPF_INSUFFICIENT_BUFFER;
}

struct lookup {
    const void *in;
    void *out, *keys, *values;
    bool take;
};

static ebpf_result_t look_up(int fd, const struct lookup *l, uint32_t *count,
                             const struct bpf_map_batch_opts *opts)
{
    struct batch b;
    TRY(open_batch(fd, count, &b));
    if (LIB_OPTS_GET(opts, elem_flags, 0) != 0 || (!b.by_index && LIB_OPTS_GET(opts, flags, 0) != 0)) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (b.wanted == 0) {
        return EBPF_SUCCESS;
    }
    if (l->out == NULL || l->keys == NULL || l->values == NULL) {
        *count = 0;
        return EBPF_INVALID_POINTER;
    }
    struct walk w = {
        .keys = l->keys, .values = l->values, .take = l->take, .position = read_position(&b, l->in)};
    ebpf_result_t result = walk(&b, &w);
    if (!was_refused(&b, result)) {
        *count = b.done;
        write_position(&b, &w, l->out);
    }
    return result;
}

static int look_up_checked(int fd, const struct lookup *l, __u32 *count,
                           const struct bpf_map_batch_opts *opts)
{
    if (count == NULL || !LIB_OPTS_VALID(opts, bpf_map_batch_opts)) {
        return lib_fail(EINVAL);
    }
    return lib_result(look_up(fd, l, count, opts));
}

int bpf_map_lookup_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values, __u32 *count,
                         const struct bpf_map_batch_opts *opts)
{
    struct lookup l = {in_batch, out_batch, keys, values, false};
    return look_up_checked(fd, &l, count, opts);
}

int bpf_map_lookup_and_delete_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values,
                                    __u32 *count, const struct bpf_map_batch_opts *opts)
{
    struct lookup l = {in_batch, out_batch, keys, values, true};
    return look_up_checked(fd, &l, count, opts);
}

// --- updates and deletions -----------------------------------------------------------------------

// Adds what was done to b->done. *looked_at: the execution context came as far as the elements.
static ebpf_result_t read_progress(struct batch *b, const struct lib_reply *reply, uint32_t asked,
                                   bool *looked_at)
{
    struct proto_map_batch_reply r;
    if (reply->header.result == EBPF_SUCCESS) {
        b->done += asked;
        *looked_at = true;
    } else if (reply->fixed != NULL) {
        memcpy(&r, reply->fixed, sizeof(r));
        if (r.done >= asked) {
            return EBPF_RPC_EXCEPTION;
        }
        b->done += r.done;
        *looked_at = true;
    }
    return (ebpf_result_t)reply->header.result;
}

static ebpf_result_t change_some(struct batch *b, const uint8_t *keys, const uint8_t *values, bool *looked_at)
{
    uint32_t asked = chunk_of(b, REQUEST_BYTES);
    struct proto_map_batch_request fixed = {.flags = b->flags, .count = asked};
    struct lib_request request = {
        .op = values != NULL ? PROTO_MAP_UPDATE_BATCH : PROTO_MAP_DELETE_BATCH,
        .fixed = &fixed,
        .tail = {{keys + b->done * b->key_size, asked * b->key_size}},
        .fds = &b->fd,
        .fd_count = 1,
    };
    struct lib_reply reply;
    if (values != NULL) {
        request.tail[1] = (struct lib_part){values + b->done * b->value_size, asked * b->value_size};
    }
    TRY(lib_exchange(&request, &reply));
    ebpf_result_t result = read_progress(b, &reply, asked, looked_at);
    lib_reply_free(&reply);
    return result;
}

// Linux knows no flag for the elements of a batch but the one for spin locks; Windows has the update flags.
static bool flags_ok(uint64_t flags, bool update)
{
    return flags == 0 || (update && LIB_DIALECT == DIALECT_WINDOWS && flags <= BPF_EXIST);
}

static ebpf_result_t change(int fd, const void *keys, const void *values, bool update, uint32_t *count,
                            uint64_t flags)
{
    struct batch b;
    bool looked_at = false;
    TRY(open_batch(fd, count, &b));
    if (!flags_ok(flags, update)) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (b.wanted == 0) {
        return EBPF_SUCCESS;
    }
    if (keys == NULL || (update && values == NULL)) {
        *count = 0;
        return EBPF_INVALID_POINTER;
    }
    b.flags = flags;
    b.value_size = update ? b.value_size : 0;
    ebpf_result_t result = EBPF_SUCCESS;
    while (result == EBPF_SUCCESS && b.done < b.wanted) {
        result = change_some(&b, keys, values, &looked_at);
    }
    if (looked_at) {
        *count = b.done;
    }
    return result;
}

static int change_checked(int fd, const void *keys, const void *values, bool update, __u32 *count,
                          const struct bpf_map_batch_opts *opts)
{
    if (count == NULL || !LIB_OPTS_VALID(opts, bpf_map_batch_opts)) {
        return lib_fail(EINVAL);
    }
    return lib_result(change(fd, keys, values, update, count, LIB_OPTS_GET(opts, elem_flags, 0)));
}

int bpf_map_update_batch(int fd, const void *keys, const void *values, __u32 *count,
                         const struct bpf_map_batch_opts *opts)
{
    return change_checked(fd, keys, values, true, count, opts);
}

int bpf_map_delete_batch(int fd, const void *keys, __u32 *count, const struct bpf_map_batch_opts *opts)
{
    return change_checked(fd, keys, NULL, false, count, opts);
}
