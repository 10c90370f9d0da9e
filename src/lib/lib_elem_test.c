// SPDX-License-Identifier: MIT
// Tests of maps by descriptor.
#include <errno.h>

#include "lib/lib_testing.h"

static void creates(void)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
    struct proto_map_create_request sent;
    fake_reset();
    fake_reply(PROTO_MAP_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
    int fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "counts", 4, 12, 3, &opts);
    REQUIRE(fd >= 0);
    memcpy(&sent, fake_sent(0)->fixed, sizeof(sent));
    CHECK_EQ(sent.def.type, MAP_TYPE_PERCPU_ARRAY);
    CHECK_EQ(sent.def.key_size, 4);
    CHECK_EQ(sent.def.value_size, 12);
    CHECK_EQ(sent.def.max_entries, 3);
    CHECK_EQ(sent.def.flags, MAP_FLAG_NO_PREALLOC);
    CHECK_STR(sent.def.name, "counts");
    lib_close_fd(fd);
    CHECK_EQ(fake_open_fds(), 0);
}

static void refuses_what_it_cannot_create(void)
{
    LIBBPF_OPTS(bpf_map_create_opts, inner, .inner_map_fd = 3);
    LIBBPF_OPTS(bpf_map_create_opts, extra, .map_extra = 3);
    fake_reset();
    CHECK_EQ(bpf_map_create((enum bpf_map_type)12345, "x", 4, 4, 1, NULL), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_map_create(BPF_MAP_TYPE_UNSPEC, "x", 4, 4, 1, NULL), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_map_create(BPF_MAP_TYPE_HASH, "x", 4, 4, 1, &inner), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_map_create(BPF_MAP_TYPE_HASH, "x", 4, 4, 1, &extra), (unsigned long long)-EINVAL);
    CHECK_EQ(fake_sent_count(), 0);
}

static void looks_up(void)
{
    uint8_t key[4] = {1}, value[8] = {0}, stored[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    fake_reset();
    int fd = fake_new_fd();
    fake_reply_map_info(4, 8);
    fake_reply(PROTO_MAP_LOOKUP, EBPF_SUCCESS, NULL, stored, sizeof(stored));
    CHECK_EQ(bpf_map_lookup_elem(fd, key, value), 0);
    CHECK(memcmp(value, stored, sizeof(value)) == 0);
    CHECK_EQ(fake_sent(1)->tail_size, 4);
    fake_reply_map_info(4, 8);
    fake_reply(PROTO_MAP_LOOKUP, EBPF_KEY_NOT_FOUND, NULL, NULL, 0);
    CHECK_EQ(bpf_map_lookup_elem(fd, key, value), (unsigned long long)-ENOENT);
    CHECK_EQ(bpf_map_lookup_elem_flags(fd, key, value, 1), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_map_lookup_elem(fd, NULL, value), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_map_lookup_elem(99, key, value), (unsigned long long)-EBADF);
}

// A value of another size than the map said would be read or written past its end.
static void refuses_values_of_another_size(void)
{
    uint8_t key[4] = {1}, value[8], stored[16] = {0};
    fake_reset();
    int fd = fake_new_fd();
    fake_reply_map_info(4, 8);
    fake_reply(PROTO_MAP_LOOKUP, EBPF_SUCCESS, NULL, stored, sizeof(stored));
    CHECK_EQ(bpf_map_lookup_elem(fd, key, value), (unsigned long long)-EIO);
    fake_reply_map_info(4, 8);
    fake_reply(PROTO_MAP_LOOKUP, EBPF_SUCCESS, NULL, stored, 7);
    CHECK_EQ(bpf_map_lookup_elem(fd, key, value), (unsigned long long)-EIO);
    fake_reply_map_info(4, 8);
    fake_reply(PROTO_MAP_NEXT_KEY, EBPF_SUCCESS, NULL, stored, 5);
    CHECK_EQ(bpf_map_get_next_key(fd, key, value), (unsigned long long)-EIO);
}

static void walks_keys(void)
{
    uint8_t key[4] = {1}, next[4];
    fake_reset();
    int fd = fake_new_fd();
    fake_reply_map_info(4, 8);
    fake_reply(PROTO_MAP_NEXT_KEY, EBPF_SUCCESS, NULL, key, sizeof(key));
    CHECK_EQ(bpf_map_get_next_key(fd, NULL, next), 0);
    CHECK_EQ(next[0], 1);
    CHECK_EQ(fake_sent(1)->tail_size, 0); // no key: the first one
    fake_reply_map_info(4, 8);
    fake_reply(PROTO_MAP_NEXT_KEY, EBPF_NO_MORE_KEYS, NULL, NULL, 0);
    CHECK_EQ(bpf_map_get_next_key(fd, next, next), (unsigned long long)-ENOENT);
    CHECK_EQ(fake_sent(3)->tail_size, 4);
}

static void refuses_other_objects(void)
{
    struct proto_object_info_reply info = {.kind = PROTO_KIND_PROGRAM};
    uint8_t key[4] = {0}, value[8];
    fake_reset();
    int fd = fake_new_fd();
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &info, NULL, 0);
    CHECK_EQ(bpf_map_lookup_elem(fd, key, value), (unsigned long long)-EBADF);
    CHECK_EQ(fake_sent_count(), 1);
}

TEST_SUITE(lib_elem)
{
    RUN(creates);
    RUN(refuses_what_it_cannot_create);
    RUN(looks_up);
    RUN(refuses_values_of_another_size);
    RUN(walks_keys);
    RUN(refuses_other_objects);
}
