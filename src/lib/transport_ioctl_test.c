// SPDX-License-Identifier: MIT
// Tests of the protocol of channels from the client's side, over a system that writes down what is asked of
// it and fails where it is told to.
#include "lib/transport_ioctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/test.h"

#define FIRST_FD     100
#define MAX_CHANNELS 32

static struct {
    char log[512];
    bool open[MAX_CHANNELS], published[MAX_CHANNELS];
    unsigned calls, fail_at; // the n-th call of the system fails; 0: none
    ebpf_result_t fail_with;
    unsigned alloc_fail; // countdown
    // The reply to requests and loads: `reply_size` bytes with this header.
    size_t reply_size;
    struct proto_header reply;
    uint8_t body[64]; // after the header
    size_t cut;       // bytes of the reply that never arrive
} fake;

static bool fails(void)
{
    return ++fake.calls == fake.fail_at;
}

static void note(const char *what, intptr_t channel)
{
    size_t used = str_len(fake.log);
    str_format(fake.log + used, sizeof(fake.log) - used, "%s%s%d", used != 0 ? " " : "", what, (int)channel);
}

// --- the system ----------------------------------------------------------------------------------

static ebpf_result_t fake_open(void *user, intptr_t *channel)
{
    UNUSED(user);
    if (fails()) {
        return fake.fail_with;
    }
    for (int i = 1; i < MAX_CHANNELS; i++) {
        if (!fake.open[i]) {
            fake.open[i] = true;
            *channel = i;
            note("open", i);
            return EBPF_SUCCESS;
        }
    }
    return EBPF_OUT_OF_SPACE;
}

static void fake_close(void *user, intptr_t channel)
{
    UNUSED(user);
    CHECK(fake.open[channel] && !fake.published[channel]);
    fake.open[channel] = false;
    note("close", channel);
}

static size_t put_reply(void *output, size_t capacity)
{
    struct proto_header header = fake.reply;
    uint8_t *bytes = output;
    if (fake.reply_size > capacity) {
        header.result = EBPF_INSUFFICIENT_BUFFER;
        header.objects = 0;
        memcpy(bytes, &header, sizeof(header));
        return sizeof(header);
    }
    memset(bytes, 0x5a, fake.reply_size);
    memcpy(bytes, &header, sizeof(header));
    if (fake.reply_size > sizeof(header)) {
        size_t rest = fake.reply_size - sizeof(header);
        memcpy(bytes + sizeof(header), fake.body, rest < sizeof(fake.body) ? rest : sizeof(fake.body));
    }
    return fake.reply_size - fake.cut;
}

static void make_token(intptr_t channel, struct proto_token *token)
{
    memset(token, (int)channel, sizeof(*token));
}

static ebpf_result_t fake_control(void *user, intptr_t channel, uint32_t function, const void *input,
                                  size_t input_size, void *output, size_t capacity, size_t *output_size)
{
    struct proto_token token;
    UNUSED(user);
    CHECK(fake.open[channel]);
    if (fails()) {
        return fake.fail_with;
    }
    switch (function) {
    case PROTO_CONTROL_OFFER:
        note("offer", channel);
        make_token(channel, &token);
        CHECK(input_size == 0 && capacity == sizeof(token));
        memcpy(output, &token, sizeof(token));
        *output_size = sizeof(token);
        return EBPF_SUCCESS;
    case PROTO_CONTROL_LEND:
        CHECK(input_size == sizeof(token) && capacity == 0);
        memcpy(&token, input, sizeof(token));
        note("lend", channel);
        note("to", token.bytes[0]);
        return EBPF_SUCCESS;
    case PROTO_CONTROL_REQUEST:
        note("request", channel);
        *output_size = put_reply(output, capacity);
        return EBPF_SUCCESS;
    default: return EBPF_OPERATION_NOT_SUPPORTED;
    }
}

static ebpf_result_t fake_load(void *user, const struct proto_token *token, const void *request, size_t size,
                               void **reply, size_t *reply_size)
{
    UNUSED(user);
    UNUSED(request);
    UNUSED(size);
    if (fails()) {
        return fake.fail_with;
    }
    note("load", token->bytes[0]);
    *reply = malloc(fake.reply_size);
    *reply_size = put_reply(*reply, fake.reply_size);
    return EBPF_SUCCESS;
}

static ebpf_result_t fake_find(void *user, int fd, intptr_t *channel)
{
    UNUSED(user);
    if (fd < FIRST_FD || fd >= FIRST_FD + MAX_CHANNELS || !fake.published[fd - FIRST_FD]) {
        return EBPF_INVALID_FD;
    }
    *channel = fd - FIRST_FD;
    return EBPF_SUCCESS;
}

static ebpf_result_t fake_publish(void *user, intptr_t channel, int *fd)
{
    UNUSED(user);
    if (fails()) {
        return fake.fail_with;
    }
    note("publish", channel);
    fake.published[channel] = true;
    *fd = FIRST_FD + (int)channel;
    return EBPF_SUCCESS;
}

static ebpf_result_t fake_dup(void *user, int fd, int *out)
{
    intptr_t channel = 0, copy = 0;
    TRY(fake_find(user, fd, &channel));
    TRY(fake_open(user, &copy));
    return fake_publish(user, copy, out);
}

static void fake_close_fd(void *user, int fd)
{
    UNUSED(user);
    fake.published[fd - FIRST_FD] = fake.open[fd - FIRST_FD] = false;
}

static void *fake_alloc(size_t size)
{
    return fake.alloc_fail != 0 && --fake.alloc_fail == 0 ? NULL : malloc(size);
}

static const struct channel_system fake_system = {.open = fake_open,
                                                  .close = fake_close,
                                                  .control = fake_control,
                                                  .load = fake_load,
                                                  .find = fake_find,
                                                  .publish = fake_publish,
                                                  .dup_fd = fake_dup,
                                                  .close_fd = fake_close_fd,
                                                  .alloc = fake_alloc};

// --- helpers -------------------------------------------------------------------------------------

// Channels 1 to 3 are objects with the descriptors 101 to 103.
static struct transport *start(void)
{
    struct transport *t = NULL;
    memset(&fake, 0, sizeof(fake));
    CHECK_OK(transport_open_channels(&fake_system, &t));
    for (int i = 1; i <= 3; i++) {
        fake.open[i] = fake.published[i] = true;
    }
    memset(fake.log, 0, sizeof(fake.log));
    fake.calls = 0;
    return t;
}

static unsigned open_channels(void)
{
    unsigned count = 0;
    for (int i = 0; i < MAX_CHANNELS; i++) {
        count += fake.open[i];
    }
    return count;
}

static void set_reply(ebpf_result_t result, unsigned objects, size_t size)
{
    fake.reply =
        (struct proto_header){PROTO_MAGIC, PROTO_WIRE_VERSION, 0, (uint32_t)size, 0, result, objects};
    fake.reply_size = size;
}

struct outcome {
    ebpf_result_t result;
    void *reply;
    size_t size;
    int fd;
};

static struct outcome call(struct transport *t, uint16_t op, const int *fds, unsigned fd_count)
{
    struct proto_header header = {PROTO_MAGIC, PROTO_WIRE_VERSION, op, sizeof(header), 0, 0, fd_count};
    struct outcome o = {.fd = -1};
    o.result = t->ops->call(t, &header, sizeof(header), fds, fd_count, &o.reply, &o.size, &o.fd);
    return o;
}

// A successful call: its log, the size of its reply, whether it made an object.
static void check_call(struct transport *t, uint16_t op, const int *fds, unsigned fd_count, const char *log,
                       bool makes)
{
    fake.log[0] = 0;
    struct outcome o = call(t, op, fds, fd_count);
    CHECK_OK(o.result);
    CHECK_EQ(o.size, fake.reply_size);
    CHECK_EQ(o.fd >= 0, makes);
    CHECK_STR(fake.log, log);
    free(o.reply);
    if (o.fd >= 0) {
        t->ops->close_fd(t, o.fd);
    }
    CHECK_EQ(open_channels(), 3);
}

// --- cases ---------------------------------------------------------------------------------------

static void requests_take_their_ways(void)
{
    static const int fds[] = {101, 102, 103};
    static const int again[] = {103, 101, 101};
    struct transport *t = start();
    set_reply(EBPF_SUCCESS, 0, 100);
    check_call(t, PROTO_MAP_LOOKUP, fds + 1, 1, "request2", false);
    check_call(t, PROTO_OBJECT_INFO, fds, 1, "request1", false);
    check_call(t, PROTO_VERSION, NULL, 0, "open4 request4 close4", false);
    check_call(t, PROTO_NEXT_ID, NULL, 0, "open4 request4 close4", false);
    check_call(t, PROTO_LINK_UPDATE, fds, 2, "open4 offer4 lend1 to4 lend2 to4 request4 close4", false);
    check_call(t, PROTO_LINK_REPLACE, again, 3, "open4 offer4 lend3 to4 lend1 to4 lend1 to4 request4 close4",
               false);
    set_reply(EBPF_SUCCESS, 1, 100);
    check_call(t, PROTO_MAP_CREATE, NULL, 0, "open4 request4 publish4", true);
    check_call(t, PROTO_LINK_CREATE, fds + 2, 1, "open4 offer4 lend3 to4 request4 publish4", true);
    check_call(t, PROTO_PROG_LOAD, fds, 2, "open4 offer4 lend1 to4 lend2 to4 load4 publish4", true);
    check_call(t, PROTO_PROG_LOAD, NULL, 0, "open4 offer4 load4 publish4", true);
    t->ops->close(t);
}

static void what_is_refused_makes_nothing(void)
{
    static const int fds[] = {101, 102};
    struct transport *t = start();
    set_reply(EBPF_VERIFICATION_FAILED, 0, 300); // findings come with it
    check_call(t, PROTO_PROG_LOAD, fds, 2, "open4 offer4 lend1 to4 lend2 to4 load4 close4", false);
    set_reply(EBPF_NO_MEMORY, 0, sizeof(struct proto_header));
    check_call(t, PROTO_MAP_CREATE, NULL, 0, "open4 request4 close4", false);
    set_reply(EBPF_INSUFFICIENT_BUFFER, 0, sizeof(struct proto_header)); // says the operation: not about room
    check_call(t, PROTO_OBJECT_INFO, fds, 1, "request1", false);
    t->ops->close(t);
}

static void room_for_the_reply_grows(void)
{
    static const int fds[] = {101};
    struct transport *t = start();
    set_reply(EBPF_SUCCESS, 0, 4096);
    check_call(t, PROTO_MAP_LOOKUP, fds, 1, "request1", false);
    set_reply(EBPF_SUCCESS, 0, 4097);
    check_call(t, PROTO_MAP_LOOKUP, fds, 1, "request1 request1", false);
    set_reply(EBPF_SUCCESS, 0, 5000000);
    check_call(t, PROTO_MAP_LOOKUP, fds, 1, "request1 request1", false);
    check_call(t, PROTO_PIN_NEXT, NULL, 0, "open4 request4 close4 open4 request4 close4", false);
    set_reply(EBPF_SUCCESS, 1, 5000); // what was lent is used up
    check_call(t, PROTO_LINK_CREATE, fds, 1,
               "open4 offer4 lend1 to4 request4 close4 open4 offer4 lend1 to4 request4 publish4", true);
    t->ops->close(t);
}

// A peer that always wants more is given up.
static void room_has_an_end(void)
{
    static const int fds[] = {101};
    struct transport *t = start();
    set_reply(EBPF_SUCCESS, 0, PROTO_MAX_SIZE + 1);
    CHECK_EQ(call(t, PROTO_MAP_LOOKUP, fds, 1).result, EBPF_RPC_EXCEPTION);
    set_reply(EBPF_SUCCESS, 0, PROTO_MAX_SIZE + 1);
    fake.reply.size = PROTO_MAX_SIZE; // a lie
    CHECK_EQ(call(t, PROTO_MAP_LOOKUP, fds, 1).result, EBPF_RPC_EXCEPTION);
    CHECK_EQ(open_channels(), 3);
    t->ops->close(t);
}

static void malformed_replies(void)
{
    static const int fds[] = {101};
    struct transport *t = start();
    set_reply(EBPF_SUCCESS, 0, 100);
    for (fake.cut = 1; fake.cut <= 100; fake.cut++) {
        CHECK_EQ(call(t, PROTO_MAP_LOOKUP, fds, 1).result, EBPF_RPC_EXCEPTION);
        CHECK_EQ(call(t, PROTO_MAP_CREATE, NULL, 0).result, EBPF_RPC_EXCEPTION);
        CHECK_EQ(call(t, PROTO_PROG_LOAD, NULL, 0).result, EBPF_RPC_EXCEPTION);
    }
    CHECK_EQ(open_channels(), 3);
    t->ops->close(t);
}

// Every call of the system fails once, on every way.
static void failures_leave_nothing(void)
{
    static const struct {
        uint16_t op;
        unsigned fd_count;
    } ways[] = {{PROTO_MAP_LOOKUP, 1},   {PROTO_MAP_CREATE, 0}, {PROTO_LINK_CREATE, 1},
                {PROTO_LINK_REPLACE, 3}, {PROTO_PROG_LOAD, 3},  {PROTO_PROG_LOAD, 0}};
    static const int fds[] = {101, 102, 103};
    for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
        struct outcome o = {.result = EBPF_FAILED};
        for (unsigned n = 1; o.result != EBPF_SUCCESS && n < 20; n++) {
            struct transport *t = start();
            set_reply(EBPF_SUCCESS, 1, 6000);
            fake.fail_at = n;
            fake.fail_with = EBPF_NO_MEMORY;
            o = call(t, ways[w].op, fds, ways[w].fd_count);
            CHECK(o.result == EBPF_NO_MEMORY || o.result == EBPF_SUCCESS);
            CHECK_EQ(open_channels(), o.result == EBPF_SUCCESS && o.fd >= 0 ? 4 : 3);
            free(o.reply);
            t->ops->close(t);
        }
        CHECK_OK(o.result);
    }
}

static void memory_fails(void)
{
    static const int fds[] = {101};
    struct transport *t = start();
    set_reply(EBPF_SUCCESS, 0, 6000);
    for (unsigned n = 1; n <= 2; n++) {
        fake.alloc_fail = n;
        CHECK_EQ(call(t, PROTO_MAP_LOOKUP, fds, 1).result, EBPF_NO_MEMORY);
        fake.alloc_fail = n;
        CHECK_EQ(call(t, PROTO_NEXT_ID, NULL, 0).result, EBPF_NO_MEMORY);
    }
    CHECK_EQ(open_channels(), 3);
    t->ops->close(t);
}

static void strangers_are_refused(void)
{
    static const int none[] = {101, 7};
    static const ebpf_result_t said[] = {EBPF_OPERATION_NOT_SUPPORTED, EBPF_ACCESS_DENIED,
                                         EBPF_INVALID_OBJECT, EBPF_INVALID_FD};
    static const int ours[] = {101, 102};
    int out = -1;
    struct transport *t = start();
    set_reply(EBPF_SUCCESS, 0, 100);
    CHECK_EQ(call(t, PROTO_MAP_LOOKUP, none + 1, 1).result, EBPF_INVALID_FD);
    CHECK_EQ(call(t, PROTO_LINK_UPDATE, none, 2).result, EBPF_INVALID_FD);
    CHECK_EQ(call(t, PROTO_PROG_LOAD, none, 2).result, EBPF_INVALID_FD);
    CHECK_EQ(t->ops->dup_fd(t, 7, &out), EBPF_INVALID_FD);
    for (size_t i = 0; i < ARRAY_SIZE(said); i++) { // a descriptor of a file: its driver does not know us
        fake.fail_with = said[i];
        fake.calls = 0;
        fake.fail_at = 1;
        CHECK_EQ(call(t, PROTO_MAP_LOOKUP, ours, 1).result, EBPF_INVALID_FD);
        fake.calls = 0;
        fake.fail_at = 4; // open, offer, lend, lend
        CHECK_EQ(call(t, PROTO_LINK_UPDATE, ours, 2).result, EBPF_INVALID_FD);
    }
    fake.fail_with = EBPF_INVALID_FD; // of the fresh channel: not the caller's mistake
    for (unsigned n = 2; n <= 5; n += 3) {
        fake.calls = 0;
        fake.fail_at = n;
        CHECK_EQ(call(t, PROTO_LINK_UPDATE, ours, 2).result, EBPF_RPC_EXCEPTION);
    }
    CHECK_EQ(open_channels(), 3);
    t->ops->close(t);
}

static void too_much_is_refused(void)
{
    static const int many[PROTO_MAX_OBJECTS + 1];
    void *reply = NULL;
    size_t size = 0;
    int fd = -1;
    struct transport *t = start();
    CHECK_EQ(call(t, PROTO_PROG_LOAD, many, PROTO_MAX_OBJECTS + 1).result, EBPF_INVALID_ARGUMENT);
    CHECK_EQ(t->ops->call(t, "short", 5, NULL, 0, &reply, &size, &fd), EBPF_INVALID_ARGUMENT);
    CHECK_STR(fake.log, "");
    t->ops->close(t);
}

static void copies_are_descriptors(void)
{
    int copy = -1;
    struct transport *t = start();
    REQUIRE_OK(t->ops->dup_fd(t, 101, &copy));
    CHECK_EQ(open_channels(), 4);
    t->ops->close_fd(t, copy);
    CHECK_EQ(open_channels(), 3);
    t->ops->close(t);
}

static void nobody_serves_channels(void)
{
    struct transport *t = NULL;
    memset(&fake, 0, sizeof(fake));
    fake.fail_at = 1;
    fake.fail_with = EBPF_OBJECT_NOT_FOUND;
    CHECK_EQ(transport_open_channels(&fake_system, &t), EBPF_OBJECT_NOT_FOUND);
    CHECK(t == NULL && open_channels() == 0);
}

static void errno_is_kept(void)
{
    static const int fds[] = {101};
    struct transport *t = start();
    set_reply(EBPF_SUCCESS, 0, 100);
    errno = 42;
    struct outcome o = call(t, PROTO_MAP_LOOKUP, fds, 1);
    CHECK_EQ(errno, 42);
    free(o.reply);
    t->ops->close(t);
}

// --- memory --------------------------------------------------------------------------------------

static ebpf_result_t map(struct transport *t, ebpf_result_t result, uint64_t address, uint64_t size)
{
    struct proto_map_memory_reply fixed = {address, size};
    void *mapped = NULL;
    size_t mapped_size = 0;
    set_reply(result, 0, sizeof(struct proto_header) + (result == EBPF_SUCCESS ? sizeof(fixed) : 0));
    fake.reply.op = PROTO_MAP_MEMORY;
    memcpy(fake.body, &fixed, sizeof(fixed));
    ebpf_result_t got = t->ops->map_memory(t, 101, false, &mapped, &mapped_size);
    CHECK((mapped != NULL) == (got == EBPF_SUCCESS));
    CHECK(got != EBPF_SUCCESS || ((uintptr_t)mapped == address && mapped_size == size));
    return got;
}

static void memory_is_mapped_by_the_peer(void)
{
    struct transport *t = start();
    CHECK_OK(map(t, EBPF_SUCCESS, 0x10000, 4096));
    CHECK_STR(fake.log, "request1");
    CHECK_EQ(map(t, EBPF_SUCCESS, 0, 4096), EBPF_RPC_EXCEPTION);
    CHECK_EQ(map(t, EBPF_SUCCESS, 0x10000, 0), EBPF_RPC_EXCEPTION);
    CHECK_EQ(map(t, EBPF_OPERATION_NOT_SUPPORTED, 0, 0), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(map(t, EBPF_ACCESS_DENIED, 0, 0), EBPF_ACCESS_DENIED);
    fake.cut = 1;
    CHECK_EQ(map(t, EBPF_SUCCESS, 0x10000, 4096), EBPF_RPC_EXCEPTION);
    t->ops->close(t);
}

// --- the process's transport ---------------------------------------------------------------------

static void advice_is_never_empty(void)
{
    for (int i = 0; i < EBPF_RESULT_COUNT; i++) {
        CHECK(str_len(transport_advice((ebpf_result_t)i)) > 5);
    }
}

TEST_SUITE(transport_ioctl)
{
    RUN(requests_take_their_ways);
    RUN(what_is_refused_makes_nothing);
    RUN(room_for_the_reply_grows);
    RUN(room_has_an_end);
    RUN(malformed_replies);
    RUN(failures_leave_nothing);
    RUN(memory_fails);
    RUN(strangers_are_refused);
    RUN(too_much_is_refused);
    RUN(copies_are_descriptors);
    RUN(nobody_serves_channels);
    RUN(errno_is_kept);
    RUN(memory_is_mapped_by_the_peer);
    RUN(advice_is_never_empty);
}
