// SPDX-License-Identifier: MIT
// Mapped memory across processes: what one writes the other sees, whoever dies; and a daemon that has run out
// of descriptors.
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plat/plat.h"
#include "tests/e2e/e2e.h"

static ebpf_result_t create_map(struct transport *t, int *fd)
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

static bool start(struct e2e_daemon *d, struct transport **t, unsigned nofile)
{
    struct e2e_setup setup = {.nofile = nofile};
    return e2e_start(d, &setup) && transport_open_unix(d->socket, t) == EBPF_SUCCESS;
}

// Opens the pinned map, writes to it, and waits to be killed.
static void write_and_wait(const struct e2e_daemon *d, int ready)
{
    struct transport *t = NULL;
    struct e2e_reply got;
    void *memory = NULL;
    size_t size = 0;
    bool done = transport_open_unix(d->socket, &t) == EBPF_SUCCESS &&
                e2e_path(t, PROTO_OBJECT_GET, "shared", -1, &got) == EBPF_SUCCESS &&
                t->ops->map_memory(t, got.fd, true, &memory, &size) == EBPF_SUCCESS;
    if (done) {
        ((volatile uint64_t *)memory)[999] = 4711;
    }
    if (write(ready, done ? "+" : "-", 1) == 1) {
        pause();
    }
    _exit(0);
}

static void memory_survives_everybody(void)
{
    struct e2e_daemon d = {0};
    struct transport *t = NULL;
    void *memory = NULL;
    size_t size = 0;
    int fd = -1, ready[2];
    char said = 0;
    REQUIRE(start(&d, &t, 0) && pipe(ready) == 0);
    REQUIRE_OK(create_map(t, &fd));
    REQUIRE_OK(e2e_path(t, PROTO_OBJECT_PIN, "shared", fd, NULL));
    REQUIRE_OK(t->ops->map_memory(t, fd, false, &memory, &size));
    CHECK_EQ(size, 8192);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        write_and_wait(&d, ready[1]);
    }
    close(ready[1]);
    CHECK(read(ready[0], &said, 1) == 1 && said == '+');
    CHECK_EQ(((volatile uint64_t *)memory)[999], 4711);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(fd);
    CHECK_OK(e2e_path(t, PROTO_OBJECT_UNPIN, "shared", -1, NULL));
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 0);
    CHECK_EQ(((volatile uint64_t *)memory)[999], 4711);
    e2e_kill(&d);
    CHECK_EQ(((volatile uint64_t *)memory)[0], 0);
    CHECK_EQ(((volatile uint64_t *)memory)[999], 4711);
    plat_shared_unmap(memory, size);
    close(ready[0]);
    t->ops->close(t);
    e2e_remove(&d);
}

// Each such map takes a descriptor of the daemon beside that of its object.
static void descriptors_run_out(void)
{
    enum { MAPS = 64, NOFILE = 40 };
    struct e2e_daemon d = {0};
    struct transport *t = NULL;
    int fds[MAPS], count = 0;
    REQUIRE(start(&d, &t, NOFILE));
    CHECK_OK(e2e_version(t));
    unsigned before = e2e_fd_count(&d);
    ebpf_result_t result = EBPF_SUCCESS;
    while (count < MAPS && (result = create_map(t, &fds[count])) == EBPF_SUCCESS) {
        count++;
    }
    CHECK(result == EBPF_NO_MEMORY || result == EBPF_OUT_OF_SPACE);
    CHECK(count > 2 && count < NOFILE);
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), (unsigned)count);
    for (int i = 0; i < count; i++) {
        void *memory = NULL;
        size_t size = 0;
        result = t->ops->map_memory(t, fds[i], true, &memory, &size);
        CHECK(result == EBPF_SUCCESS || result == EBPF_OUT_OF_SPACE);
        if (result == EBPF_SUCCESS) {
            plat_shared_unmap(memory, size);
        }
        close(fds[i]);
    }
    CHECK_EQ(e2e_object_count(t, PROTO_KIND_MAP), 0);
    CHECK(e2e_wait_fd_count(&d, before));
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

// A map that has no memory to give, and a descriptor that is no map.
static void refusals_bring_no_descriptor(void)
{
    struct e2e_daemon d = {0};
    struct transport *t = NULL;
    void *memory = NULL;
    size_t size = 0;
    int fd = -1;
    REQUIRE(start(&d, &t, 0));
    REQUIRE_OK(e2e_create_map(t, &fd));
    CHECK_EQ(t->ops->map_memory(t, fd, false, &memory, &size), EBPF_INVALID_ARGUMENT);
    close(fd);
    REQUIRE_OK(e2e_load(t, true, &fd, NULL));
    CHECK_EQ(t->ops->map_memory(t, fd, false, &memory, &size), EBPF_INVALID_OBJECT);
    close(fd);
    CHECK_EQ(t->ops->map_memory(t, 0, false, &memory, &size), EBPF_INVALID_FD);
    CHECK(memory == NULL);
    t->ops->close(t);
    CHECK_EQ(e2e_stop(&d), 0);
    e2e_remove(&d);
}

TEST_SUITE(daemon_memory)
{
    RUN(memory_survives_everybody);
    RUN(descriptors_run_out);
    RUN(refusals_bring_no_descriptor);
}
