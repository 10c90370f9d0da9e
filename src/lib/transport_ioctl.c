// SPDX-License-Identifier: MIT
// transport_ioctl: requests over channels. One about a single object goes to that object's channel; any other
// gets a fresh channel, which becomes the new object's or is closed.
//
// Invariants: between calls nothing is held but what descriptors hold, so that a driver can be unloaded and
// started again under a client; whatever fails, the fresh channel is closed, and with it goes what was lent
// to it or made in it.
#include "lib/transport_ioctl.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/transport_memory.h"

#define FIRST_ROOM 4096 // for a reply; most are smaller

struct ioctl_transport {
    struct transport base;
    const struct channel_system *system;
};

struct question {
    const struct channel_system *system;
    const void *request;
    size_t size;
    const int *fds;
    unsigned fd_count;
};

struct answer {
    uint8_t *bytes;
    size_t capacity, size;
    int fd; // new object, or -1
};

static void read_header(const void *bytes, struct proto_header *out)
{
    memcpy(out, bytes, sizeof(*out));
}

// --- room for the reply --------------------------------------------------------------------------

static ebpf_result_t make_room(const struct question *q, struct answer *a, size_t capacity)
{
    free(a->bytes);
    a->bytes = q->system->alloc(capacity);
    a->capacity = a->bytes != NULL ? capacity : 0;
    return a->bytes != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

// Whether the answer is a bare header that says how much room the reply needs. At least doubling bounds the
// number of attempts, whatever a map does meanwhile.
static bool needs_room(const struct answer *a, size_t *needed)
{
    struct proto_header header;
    read_header(a->bytes, &header);
    if (header.result != EBPF_INSUFFICIENT_BUFFER || header.size <= a->capacity) {
        return false;
    }
    *needed = header.size > 2 * a->capacity ? header.size : 2 * a->capacity;
    *needed = *needed < PROTO_MAX_SIZE ? *needed : PROTO_MAX_SIZE;
    return true;
}

static ebpf_result_t check_answer(const struct answer *a)
{
    struct proto_header header;
    if (a->size < sizeof(header)) {
        return EBPF_RPC_EXCEPTION;
    }
    read_header(a->bytes, &header);
    bool wants = header.result == EBPF_INSUFFICIENT_BUFFER && a->size == sizeof(header) &&
                 header.size > a->capacity && header.size <= PROTO_MAX_SIZE;
    return wants || header.size == a->size ? EBPF_SUCCESS : EBPF_RPC_EXCEPTION;
}

static ebpf_result_t ask(const struct question *q, intptr_t channel, struct answer *a)
{
    a->size = 0;
    TRY(q->system->control(q->system->user, channel, PROTO_CONTROL_REQUEST, q->request, q->size, a->bytes,
                           a->capacity, &a->size));
    return check_answer(a);
}

// --- on the channel of the object ----------------------------------------------------------------

// A descriptor of a file refuses a control as unknown, one that may not be read and written refuses any, and
// one of a channel without object says that it is not possible.
static ebpf_result_t from_descriptor(ebpf_result_t result)
{
    switch (result) {
    case EBPF_OPERATION_NOT_SUPPORTED:
    case EBPF_ACCESS_DENIED:
    case EBPF_INVALID_OBJECT: return EBPF_INVALID_FD;
    default: return result;
    }
}

static ebpf_result_t ask_object(const struct question *q, struct answer *a)
{
    intptr_t channel = 0;
    TRY(q->system->find(q->system->user, q->fds[0], &channel));
    return from_descriptor(ask(q, channel, a));
}

// --- on a fresh channel --------------------------------------------------------------------------

static ebpf_result_t lend(const struct question *q, int fd, const struct proto_token *token)
{
    intptr_t lender = 0;
    size_t written = 0;
    TRY(q->system->find(q->system->user, fd, &lender));
    return from_descriptor(q->system->control(q->system->user, lender, PROTO_CONTROL_LEND, token,
                                              sizeof(*token), NULL, 0, &written));
}

// Our own channel is one, whatever is said.
static ebpf_result_t from_fresh(ebpf_result_t result)
{
    return result == EBPF_INVALID_FD ? EBPF_RPC_EXCEPTION : result;
}

static ebpf_result_t offer(const struct question *q, intptr_t channel, struct proto_token *token)
{
    size_t written = 0;
    TRY(from_fresh(q->system->control(q->system->user, channel, PROTO_CONTROL_OFFER, NULL, 0, token,
                                      sizeof(*token), &written)));
    return written == sizeof(*token) ? EBPF_SUCCESS : EBPF_RPC_EXCEPTION;
}

// What was lent goes with the channel: nothing has to be taken back.
static ebpf_result_t collect(const struct question *q, intptr_t channel, struct proto_token *token)
{
    TRY(offer(q, channel, token));
    for (unsigned i = 0; i < q->fd_count; i++) {
        TRY(lend(q, q->fds[i], token));
    }
    return EBPF_SUCCESS;
}

// The channel becomes the new object's descriptor, or is closed.
static ebpf_result_t settle(const struct question *q, intptr_t channel, struct answer *a)
{
    struct proto_header header;
    ebpf_result_t result = EBPF_SUCCESS;
    read_header(a->bytes, &header);
    if (header.result == EBPF_SUCCESS && header.objects == 1) {
        result = q->system->publish(q->system->user, channel, &a->fd);
    }
    if (a->fd < 0) {
        q->system->close(q->system->user, channel);
    }
    return result;
}

static ebpf_result_t ask_fresh(const struct question *q, struct answer *a)
{
    struct proto_token token;
    intptr_t channel = 0;
    ebpf_result_t result;
    TRY(q->system->open(q->system->user, &channel));
    if (q->fd_count != 0) {
        TRY_OR(result, collect(q, channel, &token), undo_channel);
    }
    TRY_OR(result, from_fresh(ask(q, channel, a)), undo_channel);
    return settle(q, channel, a);

undo_channel:
    q->system->close(q->system->user, channel);
    return result;
}

// --- by way of the verification service ----------------------------------------------------------

static ebpf_result_t load(const struct question *q, struct answer *a)
{
    struct proto_token token;
    intptr_t channel = 0;
    void *reply = NULL;
    ebpf_result_t result;
    TRY(q->system->open(q->system->user, &channel));
    TRY_OR(result, collect(q, channel, &token), undo_channel);
    TRY_OR(result, q->system->load(q->system->user, &token, q->request, q->size, &reply, &a->size),
           undo_channel);
    a->bytes = reply;
    TRY_OR(result, check_answer(a), undo_channel);
    return settle(q, channel, a);

undo_channel:
    q->system->close(q->system->user, channel);
    return result;
}

// --- the transport -------------------------------------------------------------------------------

static ebpf_result_t answer_question(const struct question *q, struct answer *a)
{
    struct proto_header header;
    size_t room = FIRST_ROOM;
    read_header(q->request, &header);
    if (header.op == PROTO_PROG_LOAD) {
        return load(q, a);
    }
    const struct proto_op_row *row = proto_op_row(header.op);
    bool about_one = q->fd_count == 1 && row != NULL && !row->new_object;
    do {
        TRY(make_room(q, a, room));
        TRY(about_one ? ask_object(q, a) : ask_fresh(q, a)); // what was lent is used up: all over again
    } while (needs_room(a, &room));
    return EBPF_SUCCESS;
}

static ebpf_result_t call_ioctl(struct transport *base, const void *request, size_t size, const int *fds,
                                unsigned fd_count, void **reply, size_t *reply_size, int *new_fd)
{
    struct question q = {((struct ioctl_transport *)base)->system, request, size, fds, fd_count};
    struct answer a = {.fd = -1};
    int saved = errno; // the C runtime's functions change it on their way
    if (fd_count > PROTO_MAX_OBJECTS || size < sizeof(struct proto_header)) {
        return EBPF_INVALID_ARGUMENT;
    }
    ebpf_result_t result = answer_question(&q, &a);
    errno = saved;
    if (result != EBPF_SUCCESS) {
        free(a.bytes);
        return result;
    }
    *reply = a.bytes;
    *reply_size = a.size;
    *new_fd = a.fd;
    return EBPF_SUCCESS;
}

static ebpf_result_t dup_ioctl(struct transport *base, int fd, int *out)
{
    const struct channel_system *system = ((struct ioctl_transport *)base)->system;
    return system->dup_fd(system->user, fd, out);
}

static void close_ioctl(struct transport *base, int fd)
{
    const struct channel_system *system = ((struct ioctl_transport *)base)->system;
    system->close_fd(system->user, fd);
}

static void destroy_ioctl(struct transport *base)
{
    free(base);
}

static ebpf_result_t map_ioctl(struct transport *base, int fd, bool writable, void **address, size_t *size)
{
    return transport_map_by_address(base, fd, writable, address, size); // the driver maps into its caller
}

ebpf_result_t transport_open_channels(const struct channel_system *system, struct transport **out)
{
    static const struct transport_ops ops = {.name = "ioctl",
                                             .call = call_ioctl,
                                             .dup_fd = dup_ioctl,
                                             .close_fd = close_ioctl,
                                             .map_memory = map_ioctl,
                                             .close = destroy_ioctl};
    intptr_t channel = 0;
    TRY(system->open(system->user, &channel)); // does anybody serve them?
    system->close(system->user, channel);
    struct ioctl_transport *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return EBPF_NO_MEMORY;
    }
    t->base.ops = &ops;
    t->system = system;
    *out = &t->base;
    return EBPF_SUCCESS;
}
