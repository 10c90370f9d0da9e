// SPDX-License-Identifier: MIT
// Tests of messages: what is sent, and every way in which a reply can be no reply. The peer is not trusted:
// nothing it says may crash the library, leak a descriptor or be taken for success.
#include <errno.h>

#include "lib/lib_testing.h"
#include "lib/transport.h"

static void requests_are_whole(void)
{
    uint8_t key[4] = {1, 2, 3, 4}, value[8] = {9};
    fake_reset();
    int fd = fake_new_fd();
    fake_reply(PROTO_MAP_UPDATE, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_OK(lib_map_update(fd, key, sizeof(key), value, sizeof(value), 2));
    REQUIRE(fake_sent_count() == 1);
    CHECK_EQ(fake_sent(0)->header.objects, 1);
    CHECK_EQ(fake_sent(0)->fds[0], fd);
    CHECK_EQ(((const struct proto_map_update_request *)fake_sent(0)->fixed)->flags, 2);
    CHECK_EQ(fake_sent(0)->tail_size, 12);
    CHECK(memcmp(fake_sent(0)->tail, key, 4) == 0 && memcmp(fake_sent(0)->tail + 4, value, 8) == 0);
}

static void refusals_are_results(void)
{
    uint32_t id = 55;
    fake_reset();
    fake_reply(PROTO_NEXT_ID, EBPF_NO_MORE_KEYS, NULL, NULL, 0);
    CHECK_EQ(ebpf_object_get_next_id(EBPF_OBJECT_KIND_MAP, 0, &id), EBPF_NO_MORE_KEYS);
    CHECK_EQ(id, 55);
    fake_fail(PROTO_NEXT_ID, EBPF_NO_MEMORY);
    CHECK_EQ(ebpf_object_get_next_id(EBPF_OBJECT_KIND_MAP, 0, &id), EBPF_NO_MEMORY);
    CHECK_EQ(ebpf_object_get_next_id(EBPF_OBJECT_KIND_MAP, 0, &id), EBPF_RPC_EXCEPTION); // the script is over
}

static unsigned warnings;
static char last_warning[256];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args)
{
    warnings += level == LIBBPF_WARN;
    return vsnprintf(last_warning, sizeof(last_warning), format, args);
}

// An execution context that has gone is no end of a list, and is said once.
static void nobody_answers(void)
{
    libbpf_print_fn_t former = libbpf_set_print(keep_warning);
    uint32_t id = 0;
    fake_reset();
    fake_reply(PROTO_NEXT_ID, EBPF_NO_MORE_KEYS, NULL, NULL, 0);
    CHECK_EQ(ebpf_object_get_next_id(EBPF_OBJECT_KIND_MAP, 0, &id), EBPF_NO_MORE_KEYS);
    warnings = 0;
    for (int i = 0; i < 3; i++) {
        fake_fail(PROTO_NEXT_ID, EBPF_OBJECT_NOT_FOUND);
        CHECK_EQ(ebpf_object_get_next_id(EBPF_OBJECT_KIND_MAP, 0, &id), EBPF_RPC_EXCEPTION);
    }
    CHECK_EQ(warnings, 1);
    CHECK(strstr(last_warning, transport_advice(EBPF_OBJECT_NOT_FOUND)) != NULL);
    CHECK(strstr(last_warning, "ebpf") != NULL);
    libbpf_set_print(former);
}

// Once until an exchange succeeds, whatever was said before.
static void another_version_is_said(void)
{
    libbpf_print_fn_t former = libbpf_set_print(keep_warning);
    uint32_t id = 0;
    fake_reset();
    fake_reply(PROTO_NEXT_ID, EBPF_NO_MORE_KEYS, NULL, NULL, 0);
    CHECK_EQ(ebpf_object_get_next_id(EBPF_OBJECT_KIND_MAP, 0, &id), EBPF_NO_MORE_KEYS);
    warnings = 0;
    for (int i = 0; i < 2; i++) {
        fake_fail(PROTO_NEXT_ID, EBPF_OPERATION_NOT_SUPPORTED);
        CHECK_EQ(ebpf_object_get_next_id(EBPF_OBJECT_KIND_MAP, 0, &id), EBPF_OPERATION_NOT_SUPPORTED);
    }
    CHECK_EQ(warnings, 1);
    CHECK(strstr(last_warning, "different versions") != NULL);
    libbpf_set_print(former);
}

struct new_object_reply {
    struct proto_header header;
    struct proto_new_object object;
};

static struct new_object_reply good_reply(void)
{
    return (struct new_object_reply){{PROTO_MAGIC, PROTO_WIRE_VERSION, PROTO_OBJECT_GET,
                                      sizeof(struct new_object_reply), 0, EBPF_SUCCESS, 1},
                                     {PROTO_KIND_MAP, 1}};
}

static void expect_refused(const struct new_object_reply *reply, size_t size, bool with_fd)
{
    unsigned long live = lib_alloc_live();
    fake_reset();
    fake_reply_raw(PROTO_OBJECT_GET, reply, size, with_fd ? fake_new_fd() : -1);
    errno = 0;
    CHECK_EQ(bpf_obj_get("/x"), (unsigned long long)-EIO);
    CHECK_EQ(errno, EIO);
    CHECK_EQ(fake_open_fds(), 0);
    CHECK_EQ(lib_alloc_live(), live);
}

static void malformed_replies_are_refused(void)
{
    struct new_object_reply r = good_reply();
    fake_reset();
    fake_reply_raw(PROTO_OBJECT_GET, &r, sizeof(r), fake_new_fd());
    int fd = bpf_obj_get("/x");
    CHECK(fd >= 0); // the good one passes
    lib_close_fd(fd);
    r.header.magic ^= 1;
    expect_refused(&r, sizeof(r), true);
    r = good_reply();
    r.header.op = PROTO_OPEN_ID;
    expect_refused(&r, sizeof(r), true);
    r = good_reply();
    r.header.size += 8;
    expect_refused(&r, sizeof(r), true);
    r = good_reply();
    r.header.objects = 0;
    expect_refused(&r, sizeof(r), true);
    r = good_reply();
    r.header.result = EBPF_RESULT_COUNT;
    expect_refused(&r, sizeof(r), true);
    r = good_reply();
    expect_refused(&r, sizeof(r), false); // promised a descriptor and brought none
    expect_refused(&r, sizeof(r.header), true);
    expect_refused(&r, 3, false);
}

static void paths_travel_whole(void)
{
    char path[PROTO_PATH_SIZE + 1];
    fake_reset();
    memset(path, 'p', sizeof(path));
    path[PROTO_PATH_SIZE] = 0;
    CHECK_EQ(bpf_obj_get(path), (unsigned long long)-EINVAL); // one too long
    CHECK_EQ(bpf_obj_get(""), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_obj_get(NULL), (unsigned long long)-EINVAL);
    CHECK_EQ(fake_sent_count(), 0);
    path[PROTO_PATH_SIZE - 1] = 0;
    fake_reply(PROTO_OBJECT_GET, EBPF_OBJECT_NOT_FOUND, NULL, NULL, 0);
    CHECK_EQ(bpf_obj_get(path), (unsigned long long)-ENOENT);
    CHECK_STR((const char *)fake_sent(0)->fixed, path);
}

static void allocation_failures(void)
{
    unsigned long live = lib_alloc_live();
    uint32_t id = 0;
    fake_reset();
    lib_alloc_fail(1);
    CHECK_EQ(ebpf_object_get_next_id(EBPF_OBJECT_KIND_MAP, 0, &id), EBPF_NO_MEMORY);
    lib_alloc_fail(0);
    CHECK_EQ(lib_alloc_live(), live);
}

TEST_SUITE(lib_request)
{
    RUN(requests_are_whole);
    RUN(refusals_are_results);
    RUN(nobody_answers);
    RUN(another_version_is_said);
    RUN(malformed_replies_are_refused);
    RUN(paths_travel_whole);
    RUN(allocation_failures);
}
