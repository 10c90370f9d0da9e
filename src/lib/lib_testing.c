// SPDX-License-Identifier: MIT
// lib_testing: see lib_testing.h.
#include "lib/lib_testing.h"

#include <stdlib.h>

#include "lib/transport.h"

#define MAX_STEPS 64
#define FIRST_FD  100
#define MAX_FDS   256

struct step {
    enum proto_op op;
    ebpf_result_t transport_result;
    uint8_t *bytes;
    size_t size;
    int fd;
};

static struct {
    struct step steps[MAX_STEPS];
    unsigned step_count, next_step;
    struct fake_sent sent[MAX_STEPS];
    uint8_t *messages[MAX_STEPS];
    unsigned sent_count;
    bool open[MAX_FDS];
} fake;

int fake_new_fd(void)
{
    for (int i = 0; i < MAX_FDS; i++) {
        if (!fake.open[i]) {
            fake.open[i] = true;
            return FIRST_FD + i;
        }
    }
    return -1;
}

static bool is_open(int fd)
{
    return fd >= FIRST_FD && fd < FIRST_FD + MAX_FDS && fake.open[fd - FIRST_FD];
}

static void keep_request(const void *request, size_t size, const int *fds, unsigned fd_count)
{
    struct fake_sent *sent = &fake.sent[fake.sent_count];
    uint8_t *copy = malloc(size);
    struct proto_request checked;
    uint8_t kinds[PROTO_MAX_OBJECTS];
    memcpy(copy, request, size);
    fake.messages[fake.sent_count++] = copy;
    memcpy(&sent->header, copy, sizeof(sent->header));
    const struct proto_op_row *row = proto_op_row(sent->header.op);
    for (unsigned i = 0; i < fd_count; i++) {
        kinds[i] = (uint8_t)__builtin_ctz(row->kinds[row->objects < 0 ? 0 : i]); // one that is permitted
        sent->fds[i] = fds[i];
    }
    CHECK_OK(proto_request_check(copy, size, kinds, fd_count, &checked)); // everything we send is well formed
    sent->fixed = checked.fixed;
    sent->tail = checked.tail;
    sent->tail_size = checked.tail_size;
}

static ebpf_result_t call(struct transport *t, const void *request, size_t size, const int *fds,
                          unsigned fd_count, void **reply, size_t *reply_size, int *new_fd)
{
    const struct step *step = &fake.steps[fake.next_step];
    UNUSED(t);
    for (unsigned i = 0; i < fd_count; i++) {
        if (!is_open(fds[i])) {
            return EBPF_INVALID_FD;
        }
    }
    if (fake.next_step == fake.step_count || fake.sent_count == MAX_STEPS) {
        return EBPF_RPC_EXCEPTION;
    }
    keep_request(request, size, fds, fd_count);
    fake.next_step++;
    CHECK_EQ(fake.sent[fake.sent_count - 1].header.op, step->op);
    if (step->transport_result != EBPF_SUCCESS) {
        return step->transport_result;
    }
    *reply = malloc(step->size + 1);
    memcpy(*reply, step->bytes, step->size);
    *reply_size = step->size;
    *new_fd = step->fd;
    return EBPF_SUCCESS;
}

static ebpf_result_t dup_fd(struct transport *t, int fd, int *out)
{
    UNUSED(t);
    if (!is_open(fd)) {
        return EBPF_INVALID_FD;
    }
    *out = fake_new_fd();
    return EBPF_SUCCESS;
}

static void close_fd(struct transport *t, int fd)
{
    UNUSED(t);
    CHECK(is_open(fd));
    fake.open[fd - FIRST_FD] = false;
}

static ebpf_result_t open_fake(struct transport **out)
{
    static const struct transport_ops ops = {.name = "fake",
                                             .call = call,
                                             .dup_fd = dup_fd,
                                             .close_fd = close_fd,
                                             .map_memory = transport_map_by_address};
    static struct transport transport = {&ops};
    *out = &transport;
    return EBPF_SUCCESS;
}

void fake_reset(void)
{
    static char choice[] = "EBPF_TRANSPORT=inproc";
    for (unsigned i = 0; i < fake.step_count; i++) {
        free(fake.steps[i].bytes);
    }
    for (unsigned i = 0; i < fake.sent_count; i++) {
        free(fake.messages[i]);
    }
    memset(&fake, 0, sizeof(fake));
    putenv(choice);
    transport_open_inproc = open_fake;
}

static struct step *add_step(enum proto_op op)
{
    struct step *step = &fake.steps[fake.step_count++];
    *step = (struct step){.op = op, .fd = -1};
    return step;
}

void fake_reply_raw(enum proto_op op, const void *bytes, size_t size, int fd)
{
    struct step *step = add_step(op);
    step->bytes = malloc(size + 1);
    step->size = size;
    step->fd = fd;
    memcpy(step->bytes, bytes, size);
}

void fake_reply(enum proto_op op, ebpf_result_t result, const void *fixed, const void *tail, size_t tail_size)
{
    const struct proto_op_row *row = proto_op_row((uint16_t)op);
    bool body = result == EBPF_SUCCESS || fixed != NULL;
    bool object = row->new_object && result == EBPF_SUCCESS;
    size_t size = sizeof(struct proto_header) + (body ? row->reply_size + tail_size : 0);
    uint8_t *bytes = calloc(1, size);
    struct proto_header header = {PROTO_MAGIC, PROTO_WIRE_VERSION, (uint16_t)op, (uint32_t)size, 0, result,
                                  object};
    memcpy(bytes, &header, sizeof(header));
    if (fixed != NULL) {
        memcpy(bytes + sizeof(header), fixed, row->reply_size);
    }
    if (body && tail_size != 0) {
        memcpy(bytes + sizeof(header) + row->reply_size, tail, tail_size);
    }
    fake_reply_raw(op, bytes, size, object ? fake_new_fd() : -1);
    free(bytes);
}

void fake_fail(enum proto_op op, ebpf_result_t result)
{
    add_step(op)->transport_result = result;
}

void fake_reply_map_info(uint32_t key_size, uint32_t value_size)
{
    struct proto_object_info_reply info = {
        .kind = PROTO_KIND_MAP,
        .id = 7,
        .type = MAP_TYPE_HASH,
        .key_size = key_size,
        .value_size = value_size,
        .user_value_size = value_size,
        .max_entries = 3,
        .name = "flows",
    };
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &info, NULL, 0);
}

const struct fake_sent *fake_sent(unsigned n)
{
    return n < fake.sent_count ? &fake.sent[n] : NULL;
}

unsigned fake_sent_count(void)
{
    return fake.sent_count;
}

unsigned fake_open_fds(void)
{
    unsigned count = 0;
    for (int i = 0; i < MAX_FDS; i++) {
        count += fake.open[i];
    }
    return count;
}

bool fake_script_is_done(void)
{
    return fake.next_step == fake.step_count;
}
