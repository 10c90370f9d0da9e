// SPDX-License-Identifier: MIT
// Tests of batches: how they are cut into requests, what is believed, and what *count says afterwards.
#include <errno.h>

#include "lib/lib_testing.h"

#define ERR(number) ((unsigned long long)-(number))

static void reply_info(uint32_t type, uint32_t key_size, uint32_t value_size)
{
    struct proto_object_info_reply info = {.kind = PROTO_KIND_MAP,
                                           .type = type,
                                           .key_size = key_size,
                                           .value_size = value_size,
                                           .user_value_size = value_size,
                                           .max_entries = 100};
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &info, NULL, 0);
}

static void reply_elements(uint32_t done, uint32_t end, uint32_t position, const void *tail, size_t size)
{
    struct proto_map_batch_reply r = {.done = done, .end = end, .position = position};
    fake_reply(PROTO_MAP_LOOKUP_BATCH, EBPF_SUCCESS, &r, tail, size);
}

static struct proto_map_lookup_batch_request sent_lookup(unsigned n)
{
    struct proto_map_lookup_batch_request r = {0};
    if (fake_sent(n) != NULL) {
        memcpy(&r, fake_sent(n)->fixed, sizeof(r));
    }
    return r;
}

static void looks_up(void)
{
    uint32_t elements[] = {1, 2, 3, 10, 20, 30}; // keys, then values
    uint32_t keys[5] = {0}, values[5] = {0}, position = 0, count = 5;
    fake_reset();
    int fd = fake_new_fd();
    reply_info(MAP_TYPE_HASH, 4, 4);
    reply_elements(3, 0, 17, elements, sizeof(elements));
    reply_elements(0, 1, 32, NULL, 0);
    CHECK_EQ(bpf_map_lookup_batch(fd, NULL, &position, keys, values, &count, NULL), ERR(ENOENT));
    CHECK_EQ(count, 3);
    CHECK_EQ(position, 32);
    CHECK(memcmp(keys, elements, 12) == 0 && memcmp(values, elements + 3, 12) == 0);
    CHECK_EQ(sent_lookup(1).position, 0);
    CHECK_EQ(sent_lookup(1).count, 5);
    CHECK_EQ(sent_lookup(2).position, 17);
    CHECK_EQ(sent_lookup(2).count, 2);
    CHECK_EQ(sent_lookup(2).delete_too, 0);
}

// A position has four bytes whatever the key; that of an array is the last index.
static void positions_are_the_callers(void)
{
    uint8_t elements[2] = {7, 70}, keys[4], values[4];
    uint32_t position = 5, count = 1;
    fake_reset();
    int fd = fake_new_fd();
    reply_info(MAP_TYPE_HASH, 1, 1);
    reply_elements(1, 0, 6, elements, 2);
    CHECK_EQ(bpf_map_lookup_and_delete_batch(fd, &position, &position, keys, values, &count, NULL), 0);
    CHECK_EQ(position, 6);
    CHECK_EQ(sent_lookup(1).position, 5);
    CHECK_EQ(sent_lookup(1).delete_too, 1);
    struct {
        uint32_t in, sent;
    } cases[] = {{0, 1}, {98, 99}, {99, 100}, {100, 0}, {UINT32_MAX, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_reset();
        fd = fake_new_fd();
        reply_info(MAP_TYPE_ARRAY, 4, 4);
        reply_elements(0, 1, 100, NULL, 0);
        position = cases[i].in;
        count = 1;
        CHECK_EQ(bpf_map_lookup_batch(fd, &position, &position, keys, values, &count, NULL), ERR(ENOENT));
        CHECK_EQ(sent_lookup(1).position, cases[i].sent);
        CHECK_EQ(position, cases[i].in); // nothing was done
        CHECK_EQ(count, 0);
    }
}

// A peer that sends more than was asked for, or never comes to an end.
static void does_not_believe_everything(void)
{
    static const struct {
        uint32_t done, end;
        size_t size;
    } cases[] = {{3, 0, 24}, {2, 0, 15}, {2, 0, 17}, {0, 0, 0}, {0, 1, 8}, {UINT32_MAX, 0, 16}};
    uint8_t elements[24] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t keys[2], values[2], position = 4, count = 2;
        fake_reset();
        int fd = fake_new_fd();
        reply_info(MAP_TYPE_HASH, 4, 4);
        reply_elements(cases[i].done, cases[i].end, 1, elements, cases[i].size);
        CHECK_EQ(bpf_map_lookup_batch(fd, NULL, &position, keys, values, &count, NULL), ERR(EIO));
        CHECK_EQ(count, 2);
        CHECK_EQ(position, 4);
    }
}

static void buckets_get_room(void)
{
    static uint8_t keys[16], values[8 << 18], tail[(8 << 18) + 16];
    struct proto_map_batch_reply none = {0};
    uint32_t position = 0, count = 8;
    fake_reset();
    int fd = fake_new_fd();
    reply_info(MAP_TYPE_HASH, 2, 1 << 18); // four fit in a request
    fake_reply(PROTO_MAP_LOOKUP_BATCH, EBPF_INSUFFICIENT_BUFFER, &none, NULL, 0);
    reply_elements(7, 0, 3, tail, 7 * ((1 << 18) + 2));
    fake_reply(PROTO_MAP_LOOKUP_BATCH, EBPF_INSUFFICIENT_BUFFER, &none, NULL, 0);
    CHECK_EQ(bpf_map_lookup_batch(fd, NULL, &position, keys, values, &count, NULL), 0);
    CHECK_EQ(count, 7);
    CHECK_EQ(position, 3);
    CHECK_EQ(sent_lookup(1).count, 3);
    CHECK_EQ(sent_lookup(2).count, 7);
    CHECK_EQ(sent_lookup(3).count, 1);
    reply_info(MAP_TYPE_HASH, 2, 1 << 18);
    fake_reply(PROTO_MAP_LOOKUP_BATCH, EBPF_INSUFFICIENT_BUFFER, &none, NULL, 0);
    count = 1;
    CHECK_EQ(bpf_map_lookup_batch(fd, NULL, &position, keys, values, &count, NULL), ERR(ENOSPC));
    CHECK_EQ(count, 0);
}

static void long_updates_are_cut(void)
{
    enum { COUNT = 300000 };
    static uint32_t keys[COUNT], values[COUNT];
    struct proto_map_batch_reply half = {.done = 11};
    struct proto_map_batch_request sent;
    uint32_t count = COUNT;
    fake_reset();
    int fd = fake_new_fd();
    keys[131072] = 4711;
    values[131072] = 4712;
    reply_info(MAP_TYPE_HASH, 4, 4);
    fake_reply(PROTO_MAP_UPDATE_BATCH, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_MAP_UPDATE_BATCH, EBPF_OUT_OF_SPACE, &half, NULL, 0);
    CHECK_EQ(bpf_map_update_batch(fd, keys, values, &count, NULL), ERR(E2BIG));
    CHECK_EQ(count, 131072 + 11);
    REQUIRE(fake_sent_count() == 3);
    memcpy(&sent, fake_sent(2)->fixed, sizeof(sent));
    CHECK_EQ(sent.count, 131072);
    CHECK_EQ(fake_sent(2)->tail_size, 131072 * 8);
    CHECK(memcmp(fake_sent(2)->tail, &keys[131072], 4) == 0);
    CHECK(memcmp(fake_sent(2)->tail + 131072 * 4, &values[131072], 4) == 0);
}

static void refusals_leave_the_count(void)
{
    uint32_t keys[3] = {1, 2, 3}, count = 3;
    struct proto_map_batch_reply lie = {.done = 3};
    fake_reset();
    int fd = fake_new_fd();
    reply_info(MAP_TYPE_ARRAY, 4, 4);
    fake_reply(PROTO_MAP_DELETE_BATCH, EBPF_OPERATION_NOT_SUPPORTED, NULL, NULL, 0);
    int expected = ebpf_result_errno(EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(bpf_map_delete_batch(fd, keys, &count, NULL), ERR(expected));
    CHECK_EQ(count, 3);
    reply_info(MAP_TYPE_HASH, 4, 4);
    fake_reply(PROTO_MAP_DELETE_BATCH, EBPF_KEY_NOT_FOUND, &lie, NULL, 0); // as many as were asked for
    CHECK_EQ(bpf_map_delete_batch(fd, keys, &count, NULL), ERR(EIO));
    CHECK_EQ(count, 3);
    CHECK_EQ(bpf_map_delete_batch(99, keys, &count, NULL), ERR(EBADF));
    CHECK_EQ(count, 3);
}

static void arguments_are_checked(void)
{
    LIBBPF_OPTS(bpf_map_batch_opts, element, .elem_flags = 4);
    LIBBPF_OPTS(bpf_map_batch_opts, flags, .flags = 1);
    uint32_t keys[3] = {1, 2, 3}, count = 3, zero = 0;
    fake_reset();
    int fd = fake_new_fd();
    CHECK_EQ(bpf_map_delete_batch(fd, keys, NULL, NULL), ERR(EINVAL));
    element.sz = 2;
    libbpf_print_fn_t print = libbpf_set_print(NULL);
    CHECK_EQ(bpf_map_update_batch(fd, keys, keys, &count, &element), ERR(EINVAL));
    libbpf_set_print(print);
    CHECK_EQ(fake_sent_count(), 0);
    element.sz = sizeof(element);
    reply_info(MAP_TYPE_HASH, 4, 4);
    CHECK_EQ(bpf_map_update_batch(fd, keys, keys, &count, &element), ERR(EINVAL));
    reply_info(MAP_TYPE_HASH, 4, 4);
    CHECK_EQ(bpf_map_lookup_batch(fd, NULL, keys, keys, keys, &count, &flags), ERR(EINVAL));
    CHECK_EQ(count, 3);
    reply_info(MAP_TYPE_HASH, 4, 4);
    CHECK_EQ(bpf_map_lookup_batch(fd, NULL, keys, keys, keys, &zero, NULL), 0);
    reply_info(MAP_TYPE_HASH, 4, 4);
    CHECK_EQ(bpf_map_lookup_batch(fd, NULL, keys, NULL, keys, &count, NULL), ERR(EFAULT));
    CHECK_EQ(count, 0);
    count = 3;
    reply_info(MAP_TYPE_HASH, 4, 4);
    CHECK_EQ(bpf_map_update_batch(fd, keys, NULL, &count, NULL), ERR(EFAULT));
    CHECK(fake_script_is_done());
}

static void update_flags_are_the_dialects(void)
{
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = BPF_NOEXIST);
    uint32_t keys[1] = {1}, count = 1;
    fake_reset();
    int fd = fake_new_fd();
    reply_info(MAP_TYPE_HASH, 4, 4);
    if (LIB_DIALECT == DIALECT_WINDOWS) {
        struct proto_map_batch_request sent;
        fake_reply(PROTO_MAP_UPDATE_BATCH, EBPF_SUCCESS, NULL, NULL, 0);
        CHECK_EQ(bpf_map_update_batch(fd, keys, keys, &count, &opts), 0);
        REQUIRE(fake_sent_count() == 2);
        memcpy(&sent, fake_sent(1)->fixed, sizeof(sent));
        CHECK_EQ(sent.flags, BPF_NOEXIST);
    } else {
        CHECK_EQ(bpf_map_update_batch(fd, keys, keys, &count, &opts), ERR(EINVAL));
    }
    reply_info(MAP_TYPE_HASH, 4, 4);
    CHECK_EQ(bpf_map_delete_batch(fd, keys, &count, &opts), ERR(EINVAL));
}

TEST_SUITE(lib_batch)
{
    RUN(looks_up);
    RUN(positions_are_the_callers);
    RUN(does_not_believe_everything);
    RUN(buckets_get_room);
    RUN(long_updates_are_cut);
    RUN(refusals_leave_the_count);
    RUN(arguments_are_checked);
    RUN(update_flags_are_the_dialects);
}
