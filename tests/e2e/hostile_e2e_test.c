// SPDX-License-Identifier: MIT
// Clients that do what clients should not, in every place (place.h). After each, others are served, and
// nothing is lost or left. What only a socket or only a device can be sent is in daemon_hostile_test.c and in
// tests/wine/driver_test.c.
#include <stdio.h>

#include "plat/plat.h"
#include "tests/e2e/child.h"
#include "tests/e2e/fixture.h"

static uint8_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint8_t)(state >> 32);
}

static size_t build(uint8_t *bytes, size_t body, uint16_t op, uint32_t objects)
{
    struct proto_header header = {.magic = PROTO_MAGIC,
                                  .version = PROTO_WIRE_VERSION,
                                  .op = op,
                                  .size = (uint32_t)(sizeof(header) + body),
                                  .objects = objects};
    memcpy(bytes, &header, sizeof(header));
    return header.size;
}

// --- bytes ---------------------------------------------------------------------------------------

// Whoever sends it is told why, and goes on afterwards, if need be on another connection.
static void check_refused(struct transport *t, struct proto_header h, ebpf_result_t expected)
{
    uint8_t bytes[sizeof(h) + 4] = {0};
    memcpy(bytes, &h, sizeof(h));
    ebpf_result_t result = e2e_send_bytes(t, bytes, sizeof(bytes), NULL, 0);
    CHECK_EQ(result, expected);
    CHECK_OK(e2e_version(t));
}

IN_PLACE(wrong_magic_size_version)
{
    struct proto_header good = {
        .magic = PROTO_MAGIC, .version = PROTO_WIRE_VERSION, .op = PROTO_VERSION, .size = sizeof(good) + 4};
    struct proto_header h = good;
    h.magic ^= 0x100;
    check_refused(t, h, EBPF_INVALID_ARGUMENT);
    h = good;
    h.size = UINT32_MAX;
    check_refused(t, h, EBPF_INVALID_ARGUMENT);
    h.size = PROTO_MAX_SIZE + 1;
    check_refused(t, h, EBPF_INVALID_ARGUMENT);
    h.size = 3;
    check_refused(t, h, EBPF_INVALID_ARGUMENT);
    h = good;
    h.version++;
    check_refused(t, h, EBPF_OPERATION_NOT_SUPPORTED);
}

IN_PLACE(garbage)
{
    for (unsigned i = 0; i < 100; i++) {
        uint8_t bytes[4096];
        for (size_t n = 0; n < sizeof(bytes); n++) {
            bytes[n] = next_random();
        }
        size_t size = sizeof(struct proto_header) + (i * 41) % (sizeof(bytes) - sizeof(struct proto_header));
        CHECK(e2e_send_bytes(t, bytes, size, NULL, 0) != EBPF_SUCCESS);
    }
}

// Valid frames of every operation, and of some that do not exist, around random bodies, with objects.
IN_PLACE(random_bodies)
{
    enum { OPERATIONS = PROTO_HOLDER_NEXT + 3, ROUNDS = 16 };
    int fds[2] = {-1, -1};
    REQUIRE_OK(e2e_create_map(t, &fds[0]));
    REQUIRE_OK(e2e_load(t, true, &fds[1], NULL));
    for (unsigned i = 0; i < OPERATIONS * ROUNDS; i++) {
        uint8_t bytes[512];
        uint16_t op = (uint16_t)(i % OPERATIONS);
        unsigned objects = i / OPERATIONS % 3, first = objects == 1 ? next_random() % 2 : 0;
        const struct proto_op_row *row = proto_op_row(op);
        size_t body = i % 5 != 0 && row != NULL ? row->request_size : i % 300;
        for (size_t n = 0; n < sizeof(bytes); n++) {
            bytes[n] = i % 2 == 0 ? 0 : next_random();
        }
        if (op == PROTO_PROG_TEST_RUN && i % 2 != 0) {
            continue; // a random repeat is hours
        }
        size_t size = build(bytes, body, op, objects);
        (void)e2e_send_bytes(t, bytes, size, fds + first, objects);
    }
    CHECK_OK(e2e_version(t));
    t->ops->close_fd(t, fds[0]);
    t->ops->close_fd(t, fds[1]);
}

// Every length of a request that is right but for it.
IN_PLACE(requests_that_are_cut)
{
    struct proto_map_create_request fixed = {
        .def = {.type = MAP_TYPE_ARRAY, .number = 2, .key_size = 4, .value_size = 8, .max_entries = 1}};
    uint8_t bytes[sizeof(struct proto_header) + sizeof(fixed) + 8] = {0};
    memcpy(bytes + sizeof(struct proto_header), &fixed, sizeof(fixed));
    for (size_t body = 0; body <= sizeof(fixed) + 8; body++) {
        ebpf_result_t expected = body == sizeof(fixed) ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
        size_t size = build(bytes, body, PROTO_MAP_CREATE, 0);
        CHECK_EQ(e2e_send_bytes(t, bytes, size, NULL, 0), expected);
    }
}

// --- descriptors ---------------------------------------------------------------------------------

// A request that announces `objects` and brings `count` times `fd`.
static ebpf_result_t ask(struct transport *t, uint16_t op, uint32_t objects, int fd, unsigned count)
{
    uint8_t bytes[512] = {0};
    int fds[300];
    for (unsigned i = 0; i < count; i++) {
        fds[i] = fd;
    }
    size_t size = build(bytes, proto_op_row(op)->request_size, op, objects);
    return e2e_send_bytes(t, bytes, size, fds, count);
}

IN_PLACE(descriptors_of_strangers)
{
    int map = -1, prog = -1, copy = -1;
    FILE *file = fopen(TEST_SOURCE_DIR "/LICENSE", "rb");
    REQUIRE(file != NULL);
    CHECK_EQ(ask(t, PROTO_OBJECT_INFO, 1, fileno(file), 1), EBPF_INVALID_FD);
    CHECK(fgetc(file) != EOF); // unharmed
    fclose(file);
    CHECK_EQ(ask(t, PROTO_OBJECT_INFO, 1, -1, 1), EBPF_INVALID_FD);
    CHECK_EQ(ask(t, PROTO_OBJECT_INFO, 1, 999999, 1), EBPF_INVALID_FD);
    REQUIRE_OK(e2e_create_map(t, &map));
    REQUIRE_OK(e2e_load(t, true, &prog, NULL));
    REQUIRE_OK(t->ops->dup_fd(t, map, &copy));
    t->ops->close_fd(t, copy);
    CHECK_EQ(ask(t, PROTO_OBJECT_INFO, 1, copy, 1), EBPF_INVALID_FD);      // closed
    CHECK_EQ(ask(t, PROTO_OBJECT_INFO, 1, map, 0), EBPF_INVALID_ARGUMENT); // announced, not sent
    CHECK_EQ(ask(t, PROTO_OBJECT_INFO, 0, map, 1), EBPF_INVALID_ARGUMENT); // sent, not announced
    CHECK_EQ(ask(t, PROTO_OBJECT_INFO, 1, map, 2), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(ask(t, PROTO_OBJECT_INFO, 2, map, 2), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(ask(t, PROTO_OBJECT_INFO, 1, map, 1), EBPF_SUCCESS);
    CHECK_EQ(ask(t, PROTO_LINK_DETACH, 1, map, 1), EBPF_INVALID_OBJECT);
    CHECK_EQ(ask(t, PROTO_MAP_FREEZE, 1, prog, 1), EBPF_INVALID_OBJECT);
    CHECK_EQ(ask(t, PROTO_PROG_BIND_MAP, 2, map, 2), EBPF_INVALID_OBJECT);
    t->ops->close_fd(t, map);
    t->ops->close_fd(t, prog);
}

IN_PLACE(too_many_descriptors)
{
    int map = -1;
    REQUIRE_OK(e2e_create_map(t, &map));
    CHECK_EQ(ask(t, PROTO_OBJECT_INFO, 253, map, 253), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(ask(t, PROTO_PROG_LOAD, 200, map, 200), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(ask(t, PROTO_VERSION, PROTO_MAX_OBJECTS, map, PROTO_MAX_OBJECTS), EBPF_INVALID_ARGUMENT);
    t->ops->close_fd(t, map);
}

IN_PLACE(objects_without_end)
{
    int fds[300];
    unsigned count = 0;
    while (count < ARRAY_SIZE(fds) && e2e_create_map(t, &fds[count]) == EBPF_SUCCESS) {
        count++;
    }
    CHECK_EQ(count, ARRAY_SIZE(fds));
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), count);
    while (count > 0) {
        t->ops->close_fd(t, fds[--count]);
    }
}

// --- processes -----------------------------------------------------------------------------------

static void unpin_names(struct transport *t)
{
    for (size_t i = 0; i < ARRAY_SIZE(fixture_names); i++) {
        CHECK(fixture_is_fair(e2e_path(t, PROTO_OBJECT_UNPIN, fixture_names[i], -1, NULL)));
    }
}

IN_SHARED_PLACE(processes_quarrel_over_names)
{
    if (e2e_install_module != NULL) {
        SKIP("of processes that load drivers at once, one is now and then refused under Wine; why is not "
             "known");
    }
    struct child children[4];
    for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
        REQUIRE(child_start(&children[i], "quarrel"));
    }
    for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
        CHECK_EQ(child_join(&children[i]), 0);
    }
    unpin_names(t);
}

// In whatever they are doing just then. They load nothing: when a process ends while it connects to a
// service, Wine 8 may lose the service's endpoint (rpcrt4: "pipe listen error c00000b1"). Deaths during a
// load are in tests/wine/load_death_test.c and daemon_service_test.c.
IN_SHARED_PLACE(processes_are_killed_in_a_quarrel)
{
    for (unsigned ms = 40; ms < 200; ms += 20) {
        struct child children[2];
        for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
            REQUIRE(child_start(&children[i], "quarrel_over_maps"));
        }
        plat_sleep_us(ms * 1000);
        child_kill(&children[0]);
        CHECK_OK(e2e_version(t));
        child_kill(&children[1]);
    }
    unpin_names(t);
}

TEST_SUITE(hostile_e2e)
{
    if (!fixture_begin()) {
        return;
    }
    RUN(wrong_magic_size_version);
    RUN(garbage);
    RUN(random_bodies);
    RUN(requests_that_are_cut);
    RUN(descriptors_of_strangers);
    RUN(too_many_descriptors);
    RUN(objects_without_end);
    if (place_is_shared) {
        RUN(processes_quarrel_over_names);
        RUN(processes_are_killed_in_a_quarrel);
    }
    fixture_end();
}
