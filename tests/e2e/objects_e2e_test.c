// SPDX-License-Identifier: MIT
// Objects over clients, threads, processes and the end of their execution context: the same cases in process,
// over ebpfd, and over driver and service (place.h). After each case the place holds what it held before.
#include <stdio.h>
#include <stdlib.h>

#include "plat/plat.h"
#include "tests/e2e/child.h"
#include "tests/e2e/fixture.h"

// --- one client ----------------------------------------------------------------------------------

IN_PLACE(answers)
{
    CHECK_OK(e2e_version(t));
    CHECK_EQ(e2e_pin_count(t), 0);
}

IN_PLACE(loads_what_verifies)
{
    uint64_t r0 = 0;
    int fd = -1;
    char text[512];
    REQUIRE_OK(e2e_load(t, true, &fd, text));
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 1);
    CHECK_OK(e2e_run(t, fd, 1, &r0));
    CHECK_EQ(r0, 1);
    t->ops->close_fd(t, fd);
    CHECK_EQ(e2e_load(t, false, &fd, text), EBPF_VERIFICATION_FAILED);
    CHECK(text[0] != 0);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 0);
}

IN_PLACE(objects_live_as_long_as_a_descriptor)
{
    int fd = -1, copy = -1;
    REQUIRE_OK(e2e_create_map(t, &fd));
    REQUIRE_OK(t->ops->dup_fd(t, fd, &copy));
    t->ops->close_fd(t, fd);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 1);
    CHECK_OK(e2e_set_element(t, copy, 1));
    t->ops->close_fd(t, copy);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 0);
}

IN_PLACE(pins_outlive_descriptors)
{
    int map = -1, prog = -1, link = -1;
    struct e2e_reply got;
    struct proto_object_info_reply info;
    REQUIRE_OK(e2e_create_map(t, &map));
    REQUIRE_OK(e2e_load_bind(t, &prog));
    REQUIRE_OK(e2e_attach_bind(t, prog, &link));
    CHECK_OK(e2e_path(t, PROTO_OBJECT_PIN, "m", map, NULL));
    CHECK_OK(e2e_path(t, PROTO_OBJECT_PIN, "l", link, NULL));
    t->ops->close_fd(t, map);
    t->ops->close_fd(t, prog);
    t->ops->close_fd(t, link);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 1);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 1); // the link has it
    REQUIRE_OK(e2e_path(t, PROTO_OBJECT_GET, "l", -1, &got));
    CHECK_OK(e2e_info(t, got.fd, &info));
    CHECK_EQ(info.kind, PROTO_KIND_LINK);
    CHECK_EQ(info.attached, 1);
    t->ops->close_fd(t, got.fd);
    CHECK_OK(e2e_path(t, PROTO_OBJECT_UNPIN, "m", -1, NULL));
    CHECK_OK(e2e_path(t, PROTO_OBJECT_UNPIN, "l", -1, NULL));
}

// --- threads -------------------------------------------------------------------------------------

struct worker {
    struct transport *t;
    ebpf_result_t created, loaded, answered; // first that is no success
    char text[512];                          // of the load
};

static void keep_first(ebpf_result_t *kept, ebpf_result_t result)
{
    *kept = *kept == EBPF_SUCCESS ? result : *kept;
}

static void close_made(struct transport *t, int fd)
{
    if (fd >= 0) {
        t->ops->close_fd(t, fd);
    }
}

static void work(void *user)
{
    struct worker *w = user;
    for (int i = 0; i < 50; i++) {
        int map = -1, prog = -1;
        keep_first(&w->created, e2e_create_map(w->t, &map));
        if (i % 10 == 0 && w->loaded == EBPF_SUCCESS) {
            w->loaded = e2e_load(w->t, true, &prog, w->text);
        }
        keep_first(&w->answered, e2e_version(w->t));
        close_made(w->t, map);
        close_made(w->t, prog);
    }
}

IN_PLACE(many_threads_at_once)
{
    enum { THREADS = 8 };
    struct plat_thread *threads[THREADS];
    struct worker workers[THREADS];
    struct transport *other = NULL;
    REQUIRE_OK(place_open(&other));
    for (int i = 0; i < THREADS; i++) { // half of them share a transport
        workers[i] = (struct worker){.t = i % 2 == 0 ? t : other};
        REQUIRE_OK(plat_thread_create(work, &workers[i], &threads[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        plat_thread_join(threads[i]);
        CHECK_OK(workers[i].created);
        CHECK_OK(workers[i].answered);
        CHECK_OK(workers[i].loaded);
        CHECK_STR(workers[i].text, "");
    }
    CHECK_EQ(e2e_object_count(other, PROTO_KIND_MAP), 0);
    CHECK_EQ(e2e_object_count(other, PROTO_KIND_PROGRAM), 0);
    other->ops->close(other);
}

// --- several clients -----------------------------------------------------------------------------

IN_SHARED_PLACE(two_clients_see_the_same)
{
    static const struct proto_path_request first;
    struct transport *other = NULL;
    struct e2e_reply pin, got;
    uint64_t value = 0;
    int fd = -1;
    REQUIRE_OK(place_open(&other));
    REQUIRE_OK(e2e_create_map(t, &fd));
    REQUIRE_OK(e2e_path(t, PROTO_OBJECT_PIN, "m", fd, NULL));
    REQUIRE_OK(e2e_call(other, PROTO_PIN_NEXT, &first, NULL, 0, NULL, 0, &pin)); // its whole path
    CHECK(!str_equal((const char *)pin.fixed, "m"));
    REQUIRE_OK(e2e_path(other, PROTO_OBJECT_GET, (const char *)pin.fixed, -1, &got));
    CHECK_OK(e2e_set_element(t, fd, 4711));
    CHECK_OK(e2e_get_element(other, got.fd, &value));
    CHECK_EQ(value, 4711);
    CHECK_OK(e2e_path(other, PROTO_OBJECT_UNPIN, "m", -1, NULL));
    t->ops->close_fd(t, fd);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 1); // the other client has it
    other->ops->close_fd(other, got.fd);
    other->ops->close(other);
}

// --- several processes: what children do ---------------------------------------------------------

// Sees what the parent has made, by id, and leaves its mark in the map.
static int look(struct transport *t)
{
    int map = -1, prog = -1;
    uint64_t value = 0, r0 = 0;
    bool good = e2e_object_count(t, PROTO_KIND_MAP) == 1 && e2e_object_count(t, PROTO_KIND_PROGRAM) == 1 &&
                e2e_first(t, PROTO_KIND_MAP, &map) == EBPF_SUCCESS &&
                e2e_first(t, PROTO_KIND_PROGRAM, &prog) == EBPF_SUCCESS &&
                e2e_get_element(t, map, &value) == EBPF_SUCCESS && value == 1 &&
                e2e_run(t, prog, 1, &r0) == EBPF_SUCCESS && r0 == 1 &&
                e2e_set_element(t, map, 2) == EBPF_SUCCESS;
    return good ? 0 : 1;
}

// Holds what it was given.
static int hold(struct transport *t)
{
    int fd = -1;
    child_say(child_receive(&fd) && e2e_set_element(t, fd, 5) == EBPF_SUCCESS);
    child_rest();
    return 1;
}

static int make_and_send(struct transport *t)
{
    int fd = -1;
    bool sent =
        e2e_create_map(t, &fd) == EBPF_SUCCESS && e2e_set_element(t, fd, 6) == EBPF_SUCCESS && child_send(fd);
    child_say(sent);
    child_rest();
    return 1;
}

// One of everything, and pins of a program, a map and a link.
static int make_everything(struct transport *t)
{
    int map = -1, pinned_map = -1, prog = -1, pinned = -1, bind = -1, link = -1;
    bool done = e2e_create_map(t, &map) == EBPF_SUCCESS && e2e_create_map(t, &pinned_map) == EBPF_SUCCESS &&
                e2e_load(t, true, &prog, NULL) == EBPF_SUCCESS &&
                e2e_load(t, true, &pinned, NULL) == EBPF_SUCCESS && e2e_load_bind(t, &bind) == EBPF_SUCCESS &&
                e2e_attach_bind(t, bind, &link) == EBPF_SUCCESS &&
                e2e_path(t, PROTO_OBJECT_PIN, "map", pinned_map, NULL) == EBPF_SUCCESS &&
                e2e_path(t, PROTO_OBJECT_PIN, "prog", pinned, NULL) == EBPF_SUCCESS &&
                e2e_path(t, PROTO_OBJECT_PIN, "link", link, NULL) == EBPF_SUCCESS;
    child_say(done);
    child_rest();
    return 1;
}

// A run of hours, which somebody must end.
static int run_for_hours(struct transport *t)
{
    uint64_t r0 = 0;
    int prog = -1;
    bool loaded = e2e_load(t, true, &prog, NULL) == EBPF_SUCCESS;
    child_say(loaded);
    return loaded && e2e_run(t, prog, UINT32_MAX, &r0) == EBPF_SUCCESS ? 1 : 0;
}

static int write_memory(struct transport *t)
{
    struct e2e_reply got;
    void *memory = NULL;
    size_t size = 0;
    bool done = e2e_path(t, PROTO_OBJECT_GET, "shared", -1, &got) == EBPF_SUCCESS &&
                t->ops->map_memory(t, got.fd, true, &memory, &size) == EBPF_SUCCESS;
    if (done) {
        ((volatile uint64_t *)memory)[999] = 4711;
    }
    child_say(done);
    child_rest();
    return 1;
}

static const struct {
    const char *name;
    int (*body)(struct transport *t);
} tasks[] = {
    {"look", look},
    {"hold", hold},
    {"make_and_send", make_and_send},
    {"make_everything", make_everything},
    {"run_for_hours", run_for_hours},
    {"write_memory", write_memory},
    {"quarrel", fixture_quarrel},
    {"quarrel_over_maps", fixture_quarrel_over_maps},
};

static int be_child(const char *task)
{
    struct transport *t = NULL;
    int status = 5;
    if (place_open(&t) != EBPF_SUCCESS) {
        return 4;
    }
    for (size_t i = 0; i < ARRAY_SIZE(tasks); i++) {
        if (str_equal(task, tasks[i].name)) {
            status = tasks[i].body(t);
        }
    }
    t->ops->close(t);
    return status;
}

// --- several processes ---------------------------------------------------------------------------

IN_SHARED_PLACE(a_second_process_sees_them)
{
    struct child c;
    uint64_t value = 0;
    int map = -1, prog = -1;
    REQUIRE_OK(e2e_create_map(t, &map));
    REQUIRE_OK(e2e_load(t, true, &prog, NULL));
    CHECK_OK(e2e_set_element(t, map, 1));
    REQUIRE(child_start(&c, "look"));
    CHECK_EQ(child_join(&c), 0);
    CHECK_OK(e2e_get_element(t, map, &value));
    CHECK_EQ(value, 2);
    t->ops->close_fd(t, map);
    t->ops->close_fd(t, prog);
}

IN_SHARED_PLACE(objects_live_as_long_as_a_process_has_a_copy)
{
    struct child c;
    int fd = -1;
    REQUIRE_OK(e2e_create_map(t, &fd));
    REQUIRE(child_start(&c, "hold"));
    CHECK(child_give(&c, fd));
    t->ops->close_fd(t, fd);
    CHECK(child_listen(&c));
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 1);
    child_kill(&c);
    CHECK(fixture_has_count(t, PROTO_KIND_MAP, 0));
}

IN_SHARED_PLACE(objects_go_from_process_to_process)
{
    struct child c;
    uint64_t value = 0;
    int fd = -1;
    REQUIRE(child_start(&c, "make_and_send"));
    CHECK(child_take(&c, &fd));
    CHECK(child_listen(&c));
    child_kill(&c);
    CHECK_OK(e2e_get_element(t, fd, &value));
    CHECK_EQ(value, 6);
    t->ops->close_fd(t, fd);
}

IN_SHARED_PLACE(a_killed_process_leaves_only_its_pins)
{
    struct child c;
    struct e2e_reply got = {.fd = -1};
    uint64_t r0 = 0;
    REQUIRE(child_start(&c, "make_everything"));
    CHECK(child_listen(&c));
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 3);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 2);
    child_kill(&c);
    CHECK(fixture_has_count(t, PROTO_KIND_PROGRAM, 2)); // that of the pinned link is one
    CHECK(fixture_has_count(t, PROTO_KIND_MAP, 1));
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_LINK), 1);
    REQUIRE_OK(e2e_path(t, PROTO_OBJECT_GET, "prog", -1, &got));
    CHECK_OK(e2e_run(t, got.fd, 1, &r0));
    CHECK_EQ(r0, 1);
    t->ops->close_fd(t, got.fd);
    CHECK_OK(e2e_path(t, PROTO_OBJECT_UNPIN, "prog", -1, NULL));
    CHECK_OK(e2e_path(t, PROTO_OBJECT_UNPIN, "map", -1, NULL));
    CHECK_OK(e2e_path(t, PROTO_OBJECT_UNPIN, "link", -1, NULL));
}

static ebpf_result_t create_mappable(struct transport *t, int *fd)
{
    struct proto_map_create_request fixed = {.def = {.type = MAP_TYPE_ARRAY,
                                                     .number = 2,
                                                     .key_size = 4,
                                                     .value_size = 8,
                                                     .max_entries = 1000,
                                                     .flags = MAP_FLAG_MMAPABLE,
                                                     .name = "m"}};
    struct e2e_reply reply;
    TRY(e2e_call(t, PROTO_MAP_CREATE, &fixed, NULL, 0, NULL, 0, &reply));
    *fd = reply.fd;
    return EBPF_SUCCESS;
}

IN_SHARED_PLACE(what_a_process_writes_survives_it)
{
    struct child c;
    void *memory = NULL;
    size_t size = 0;
    int fd = -1;
    REQUIRE_OK(create_mappable(t, &fd));
    REQUIRE_OK(e2e_path(t, PROTO_OBJECT_PIN, "shared", fd, NULL));
    REQUIRE_OK(t->ops->map_memory(t, fd, false, &memory, &size));
    CHECK_EQ(size, 8192);
    REQUIRE(child_start(&c, "write_memory"));
    CHECK(child_listen(&c));
    CHECK_EQ(((volatile uint64_t *)memory)[999], 4711);
    child_kill(&c);
    t->ops->close_fd(t, fd);
    CHECK_OK(e2e_path(t, PROTO_OBJECT_UNPIN, "shared", -1, NULL));
    CHECK(fixture_has_count(t, PROTO_KIND_MAP, 0));
    CHECK_EQ(((volatile uint64_t *)memory)[999], 4711); // the view outlives the map
    plat_shared_unmap(memory, size);
}

// --- the end of the execution context ------------------------------------------------------------

static void check_nothing(struct transport *t)
{
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 0);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 0);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_LINK), 0);
    CHECK_EQ(e2e_pin_count(t), 0);
}

// Objects that are held, pinned and attached, by this process and another.
IN_SHARED_PLACE(the_end_takes_everything)
{
    struct child c;
    struct proto_object_info_reply info;
    int map = -1;
    REQUIRE_OK(e2e_create_map(t, &map));
    REQUIRE(child_start(&c, "make_everything"));
    CHECK(child_listen(&c));
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 3);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_PROGRAM), 3);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_LINK), 1);
    CHECK_EQ(e2e_pin_count(t), 3);
    REQUIRE(place_down());
    CHECK(e2e_info(t, map, &info) != EBPF_SUCCESS);
    REQUIRE(place_up());
    check_nothing(t);                               // although two processes have descriptors still
    CHECK(e2e_info(t, map, &info) != EBPF_SUCCESS); // of an object of another life
    child_kill(&c);
    t->ops->close_fd(t, map);
    check_nothing(t);
}

IN_SHARED_PLACE(a_client_finds_the_next_one)
{
    int map = -1, prog = -1;
    REQUIRE(place_down());
    CHECK_EQ(e2e_version(t), EBPF_OBJECT_NOT_FOUND);
    REQUIRE(place_up());
    CHECK_OK(e2e_version(t));
    CHECK_OK(e2e_create_map(t, &map));
    CHECK_OK(e2e_load(t, true, &prog, NULL));
    t->ops->close_fd(t, map);
    t->ops->close_fd(t, prog);
}

// A run of billions cannot be waited for: it is given up, and its client told.
IN_SHARED_PLACE(the_end_does_not_wait_for_a_long_run)
{
    struct child c;
    REQUIRE(child_start(&c, "run_for_hours"));
    CHECK(child_listen(&c));
    plat_sleep_us(50000); // so that it is likely to run; what follows holds in any case
    REQUIRE(place_down());
    CHECK_EQ(child_join(&c), 0); // it was refused
    REQUIRE(place_up());
    check_nothing(t);
}

IN_SHARED_PLACE(a_killed_process_takes_its_run_along)
{
    struct child c;
    REQUIRE(child_start(&c, "run_for_hours"));
    CHECK(child_listen(&c));
    plat_sleep_us(50000);
    child_kill(&c);
    CHECK_OK(e2e_version(t));
    CHECK(fixture_wait_count(t, PROTO_KIND_PROGRAM, 0)); // it has to be found out, and the run given up
}

TEST_SUITE(objects_e2e)
{
    if (child_task() != NULL) {
        exit(be_child(child_task()));
    }
    if (!fixture_begin()) {
        return;
    }
    RUN(answers);
    RUN(loads_what_verifies);
    RUN(objects_live_as_long_as_a_descriptor);
    RUN(pins_outlive_descriptors);
    RUN(many_threads_at_once);
    if (place_is_shared) {
        RUN(two_clients_see_the_same);
        RUN(a_second_process_sees_them);
        RUN(objects_live_as_long_as_a_process_has_a_copy);
        RUN(objects_go_from_process_to_process);
        RUN(a_killed_process_leaves_only_its_pins);
        RUN(what_a_process_writes_survives_it);
        RUN(the_end_takes_everything);
        RUN(a_client_finds_the_next_one);
        RUN(the_end_does_not_wait_for_a_long_run);
        RUN(a_killed_process_takes_its_run_along);
    }
    fixture_end();
}
