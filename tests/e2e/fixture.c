// SPDX-License-Identifier: MIT
// fixture: see fixture.h.
#include "tests/e2e/fixture.h"

#include <stdio.h>

#include "plat/plat.h"

const char *const fixture_names[3] = {"a", "b", "c"};

bool fixture_begin(void)
{
    bool up = place_start();
    if (!up) {
        printf("the execution context is not there\n");
        test_state.failed++;
    }
    return up;
}

void fixture_end(void)
{
    if (!place_stop()) {
        printf("the execution context has not ended well\n");
        test_state.failed++;
    }
}

static bool await_count(struct transport *t, uint32_t kind, unsigned count, unsigned patience)
{
    unsigned now = UINT_MAX;
    for (unsigned i = 0; i < patience && now != count; i++) {
        if (i != 0) {
            plat_sleep_us(10000);
        }
        now = e2e_object_count(t, kind);
    }
    return now == count;
}

bool fixture_has_count(struct transport *t, uint32_t kind, unsigned count)
{
    return await_count(t, kind, count, place_patience);
}

bool fixture_wait_count(struct transport *t, uint32_t kind, unsigned count)
{
    return await_count(t, kind, count, 1000);
}

void fixture_run(void (*body)(struct transport *t))
{
    struct transport *t = NULL;
    int fd = -1;
    REQUIRE_OK(place_open(&t));
    body(t);
    CHECK(fixture_has_count(t, PROTO_KIND_MAP, 0));
    CHECK(fixture_has_count(t, PROTO_KIND_PROGRAM, 0));
    CHECK(fixture_has_count(t, PROTO_KIND_LINK, 0));
    CHECK_EQ(e2e_pin_count(t), 0);
    CHECK_OK(e2e_load(t, true, &fd, NULL));
    if (fd >= 0) {
        t->ops->close_fd(t, fd);
    }
    t->ops->close(t);
    CHECK(place_is_idle());
}

// --- names that several use ----------------------------------------------------------------------

bool fixture_is_fair(ebpf_result_t result)
{
    return result == EBPF_SUCCESS || result == EBPF_OBJECT_ALREADY_EXISTS ||
           result == EBPF_OBJECT_NOT_FOUND || result == EBPF_NOT_PINNED || result == EBPF_NO_MORE_KEYS;
}

// One round; how often the answer was unfair.
static unsigned quarrel_once(struct transport *t, const char *name, bool loads, bool unpins)
{
    struct e2e_reply got = {.fd = -1};
    int fd = -1;
    ebpf_result_t made = loads ? e2e_load(t, true, &fd, NULL) : e2e_create_map(t, &fd);
    unsigned unfair = made != EBPF_SUCCESS;
    if (unfair != 0) {
        fprintf(stderr, "a quarrelling process is not given its %s: result %d\n", loads ? "program" : "map",
                (int)made);
    }
    unfair += !fixture_is_fair(e2e_path(t, PROTO_OBJECT_PIN, name, fd, NULL));
    unfair += !fixture_is_fair(e2e_path(t, PROTO_OBJECT_GET, name, -1, &got));
    if (unpins) {
        unfair += !fixture_is_fair(e2e_path(t, PROTO_OBJECT_UNPIN, name, -1, NULL));
    }
    if (fd >= 0) {
        t->ops->close_fd(t, fd);
    }
    if (got.fd >= 0) {
        t->ops->close_fd(t, got.fd);
    }
    return unfair;
}

static int quarrel(struct transport *t, bool loads)
{
    unsigned unfair = 0;
    uint32_t seed = (uint32_t)(plat_pid_tgid() >> 32); // every child another way
    for (unsigned i = 0; i < 300; i++) {
        seed = seed * 1103515245u + 12345u;
        const char *name = fixture_names[(seed >> 16) % ARRAY_SIZE(fixture_names)];
        unfair += quarrel_once(t, name, loads && i % 10 == 0, i % 3 != 0);
    }
    return unfair == 0 ? 0 : 1;
}

int fixture_quarrel(struct transport *t)
{
    return quarrel(t, true);
}

int fixture_quarrel_over_maps(struct transport *t)
{
    return quarrel(t, false);
}
