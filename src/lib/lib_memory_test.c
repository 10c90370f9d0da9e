// SPDX-License-Identifier: MIT
// Tests of mapped memory over a scripted context: which replies are believed.
#include "lib/lib_testing.h"
#include "plat/plat.h"

static ebpf_result_t ask(const struct proto_map_memory_reply *reply)
{
    void *memory = NULL;
    size_t size = 0;
    fake_reset();
    int fd = fake_new_fd();
    fake_reply(PROTO_MAP_MEMORY, EBPF_SUCCESS, reply, NULL, 0);
    ebpf_result_t result = ebpf_map_memory(fd, false, &memory, &size);
    CHECK((memory != NULL) == (result == EBPF_SUCCESS));
    return result;
}

static void addresses_must_be_some(void)
{
    CHECK_EQ(ask(&(struct proto_map_memory_reply){0, 4096}), EBPF_RPC_EXCEPTION);
    CHECK_EQ(ask(&(struct proto_map_memory_reply){4096, 0}), EBPF_RPC_EXCEPTION);
    CHECK_EQ(ask(&(struct proto_map_memory_reply){0x10000, 4096}), EBPF_SUCCESS);
}

static void replies_must_be_whole(void)
{
    struct {
        struct proto_header header;
        struct proto_map_memory_reply fixed;
    } reply = {{PROTO_MAGIC, PROTO_WIRE_VERSION, PROTO_MAP_MEMORY, sizeof(reply), 0, 0, 0}, {0x10000, 4096}};
    void *memory = NULL;
    size_t size = 0;
    for (size_t cut = 0; cut < sizeof(reply); cut += 4) {
        fake_reset();
        int fd = fake_new_fd();
        fake_reply_raw(PROTO_MAP_MEMORY, &reply, cut, -1);
        CHECK_EQ(ebpf_map_memory(fd, false, &memory, &size), EBPF_RPC_EXCEPTION);
        CHECK(memory == NULL);
    }
    fake_reset();
    int fd = fake_new_fd();
    fake_reply_raw(PROTO_MAP_MEMORY, &reply, sizeof(reply), fake_new_fd()); // nobody asked for a descriptor
    CHECK_EQ(ebpf_map_memory(fd, false, &memory, &size), EBPF_RPC_EXCEPTION);
    CHECK_EQ(fake_open_fds(), 1); // it is closed
}

static void refusals_come_through(void)
{
    struct proto_map_memory_request sent;
    void *memory = NULL;
    size_t size = 0;
    fake_reset();
    int fd = fake_new_fd();
    fake_reply(PROTO_MAP_MEMORY, EBPF_ACCESS_DENIED, NULL, NULL, 0);
    CHECK_EQ(ebpf_map_memory(fd, true, &memory, &size), EBPF_ACCESS_DENIED);
    memcpy(&sent, fake_sent(0)->fixed, sizeof(sent));
    CHECK_EQ(sent.writable, 1);
    CHECK_EQ(ebpf_map_memory(99, true, &memory, &size), EBPF_INVALID_FD);
    CHECK_EQ(ebpf_map_memory(fd, true, &memory, NULL), EBPF_INVALID_ARGUMENT);
}

TEST_SUITE(lib_memory)
{
    RUN(addresses_must_be_some);
    RUN(replies_must_be_whole);
    RUN(refusals_come_through);
}
