// SPDX-License-Identifier: MIT
// Messages over a pipe: whole ones, pieces, garbage, large ones, death, patience and the signal to stop.
#include "hosts/service_pipe.h"

#include <stdlib.h>

#include "plat/plat.h"
#include "tests/test.h"

enum { BODY = 100, LARGE = 5 << 20 };

struct pair {
    struct pipe ours, theirs;
    HANDLE stop;
};

static bool make_pair(struct pair *p)
{
    memset(p, 0, sizeof(*p));
    p->stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (p->stop == NULL || pipe_create(&p->ours.handle, &p->theirs.handle) != EBPF_SUCCESS) {
        return false;
    }
    p->ours.stop = p->stop;
    p->ours.timeout_ms = 200;
    return true;
}

static void close_end(struct pipe *p)
{
    if (p->handle != NULL) {
        CloseHandle(p->handle);
        p->handle = NULL;
    }
}

static void close_pair(struct pair *p)
{
    close_end(&p->ours);
    close_end(&p->theirs);
    CloseHandle(p->stop);
}

static uint8_t *make_message(size_t size)
{
    uint8_t *bytes = calloc(1, size);
    struct proto_header header = {
        .magic = PROTO_MAGIC, .version = PROTO_WIRE_VERSION, .op = PROTO_PROG_LOAD, .size = (uint32_t)size};
    memcpy(bytes, &header, sizeof(header));
    for (size_t i = sizeof(header); i < size; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    return bytes;
}

static void small_messages_arrive(void)
{
    struct pair p;
    uint8_t *sent = make_message(sizeof(struct proto_header) + BODY), *got = NULL;
    size_t size = 0;
    REQUIRE(make_pair(&p));
    for (int i = 0; i < 3; i++) {
        CHECK(pipe_is_quiet(&p.ours));
        CHECK_OK(pipe_send(&p.theirs, sent, sizeof(struct proto_header) + BODY));
        CHECK(!pipe_is_quiet(&p.ours));
        REQUIRE_OK(pipe_receive(&p.ours, &got, &size));
        CHECK_EQ(size, sizeof(struct proto_header) + BODY);
        CHECK(memcmp(got, sent, size) == 0);
        free(got);
    }
    free(sent);
    close_pair(&p);
}

static void send_large(void *user)
{
    struct pair *p = user;
    uint8_t *bytes = make_message(LARGE);
    CHECK_OK(pipe_send(&p->theirs, bytes, LARGE));
    free(bytes);
}

// Larger than the pipe's buffer and than one transfer.
static void large_messages_arrive(void)
{
    struct pair p;
    struct plat_thread *thread;
    uint8_t *expected = make_message(LARGE), *got = NULL;
    size_t size = 0;
    REQUIRE(make_pair(&p));
    p.ours.timeout_ms = 30000;
    REQUIRE_OK(plat_thread_create(send_large, &p, &thread));
    CHECK_OK(pipe_receive(&p.ours, &got, &size));
    plat_thread_join(thread);
    CHECK_EQ(size, LARGE);
    CHECK(got != NULL && memcmp(got, expected, LARGE) == 0);
    free(got);
    free(expected);
    close_pair(&p);
}

static void send_raw(struct pipe *p, const void *bytes, size_t size)
{
    CHECK_OK(pipe_send(p, bytes, size)); // sends what it is given
}

// Cut at every place: an end between messages is one, within a message an accident.
static void a_death_is_noticed(void)
{
    uint8_t *bytes = make_message(sizeof(struct proto_header) + BODY), *got = NULL;
    size_t size = 0;
    for (size_t cut = 0; cut < sizeof(struct proto_header) + BODY; cut++) {
        struct pair p;
        REQUIRE(make_pair(&p));
        if (cut != 0) {
            send_raw(&p.theirs, bytes, cut);
        }
        close_end(&p.theirs);
        CHECK(cut != 0 || !pipe_is_quiet(&p.ours));
        CHECK_EQ(pipe_receive(&p.ours, &got, &size), cut == 0 ? EBPF_CANCELED : EBPF_RPC_EXCEPTION);
        CHECK(got == NULL);
        CHECK_EQ(pipe_send(&p.ours, bytes, BODY), EBPF_RPC_EXCEPTION);
        close_pair(&p);
    }
    free(bytes);
}

static void garbage_is_refused(void)
{
    struct pair p;
    uint8_t *got = NULL;
    size_t size = 0;
    REQUIRE(make_pair(&p));
    send_raw(&p.theirs, "this is no message of the protocol", 34);
    CHECK(pipe_receive(&p.ours, &got, &size) == EBPF_INVALID_ARGUMENT && got == NULL);
    close_pair(&p);
}

static void patience_ends(void)
{
    struct pair p;
    uint8_t *bytes = make_message(LARGE), *got = NULL;
    size_t size = 0;
    REQUIRE(make_pair(&p));
    CHECK_EQ(pipe_receive(&p.ours, &got, &size), EBPF_TIMEOUT);
    send_raw(&p.theirs, bytes, sizeof(struct proto_header) / 2);
    CHECK_EQ(pipe_receive(&p.ours, &got, &size), EBPF_TIMEOUT);
    CHECK_EQ(pipe_send(&p.ours, bytes, LARGE), EBPF_TIMEOUT); // nobody reads
    free(bytes);
    close_pair(&p);
}

static void a_stop_ends_the_wait(void)
{
    struct pair p;
    uint8_t *bytes = make_message(LARGE), *got = NULL;
    size_t size = 0;
    REQUIRE(make_pair(&p));
    p.ours.timeout_ms = 0;
    SetEvent(p.stop);
    CHECK_EQ(pipe_receive(&p.ours, &got, &size), EBPF_CANCELED);
    CHECK_EQ(pipe_send(&p.ours, bytes, LARGE), EBPF_CANCELED);
    free(bytes);
    close_pair(&p);
}

TEST_SUITE(service_pipe)
{
    if (plat_init() != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "cannot start");
        return;
    }
    RUN(small_messages_arrive);
    RUN(large_messages_arrive);
    RUN(a_death_is_noticed);
    RUN(garbage_is_refused);
    RUN(patience_ends);
    RUN(a_stop_ends_the_wait);
    plat_fini();
}
