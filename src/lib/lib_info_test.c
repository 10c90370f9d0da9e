// SPDX-License-Identifier: MIT
// Tests of ids, information, pins and hook points.
#include <errno.h>

#include "lib/lib_testing.h"

static void fills_map_info(void)
{
    struct bpf_map_info info = {0};
    __u32 size = sizeof(info);
    fake_reset();
    int fd = fake_new_fd();
    fake_reply_map_info(4, 8);
    CHECK_EQ(bpf_map_get_info_by_fd(fd, &info, &size), 0);
    CHECK_EQ(size, sizeof(info));
    CHECK_EQ(info.type, BPF_MAP_TYPE_HASH);
    CHECK_EQ(info.id, 7);
    CHECK_EQ(info.key_size, 4);
    CHECK_EQ(info.value_size, 8);
    CHECK_STR(info.name, "flows");
}

static void information_structures_may_grow(void)
{
    struct {
        struct bpf_map_info known;
        uint64_t later;
    } info = {.later = 0};
    __u32 size = sizeof(info);
    fake_reset();
    int fd = fake_new_fd();
    fake_reply_map_info(4, 8);
    CHECK_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
    CHECK_EQ(size, sizeof(info.known)); // what was written
    info.later = 1;
    size = sizeof(info);
    fake_reply_map_info(4, 8);
    CHECK_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), (unsigned long long)-EINVAL);
    info.later = 0;
    info.known.value_size = 99;
    size = 8; // an old caller: no more than its structure is written
    fake_reply_map_info(4, 8);
    CHECK_EQ(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
    CHECK_EQ(size, 8);
    CHECK_EQ(info.known.value_size, 99);
}

static void kinds_are_checked(void)
{
    struct bpf_prog_info info = {0};
    __u32 size = sizeof(info);
    fake_reset();
    int fd = fake_new_fd();
    fake_reply_map_info(4, 8);
    CHECK_EQ(bpf_prog_get_info_by_fd(fd, &info, &size), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_prog_get_info_by_fd(fd, NULL, &size), (unsigned long long)-EFAULT);
}

static void fake_reply_prog_info(void)
{
    struct proto_object_info_reply reply = {.kind = PROTO_KIND_PROGRAM,
                                            .id = 3,
                                            .type = PROG_TYPE_XDP,
                                            .insn_count = 5,
                                            .map_count = 3,
                                            .map_ids = {11, 12, 13},
                                            .name = "drop"};
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &reply, NULL, 0);
}

static void map_ids_go_where_the_caller_says(void)
{
    __u32 ids[4] = {0, 0, 77, 77};
    struct bpf_prog_info info = {.nr_map_ids = 2};
    __u32 size = sizeof(info);
    fake_reset();
    int fd = fake_new_fd();
    info.map_ids = (uintptr_t)ids;
    fake_reply_prog_info();
    CHECK_EQ(bpf_prog_get_info_by_fd(fd, &info, &size), 0);
    CHECK_EQ(info.nr_map_ids, 3); // all of them; two fitted
    CHECK_EQ(ids[0], 11);
    CHECK_EQ(ids[1], 12);
    CHECK_EQ(ids[2], 77);
    CHECK_EQ(info.type, BPF_PROG_TYPE_XDP);
    info = (struct bpf_prog_info){.nr_map_ids = 2};
    fake_reply_prog_info();
    CHECK_EQ(bpf_prog_get_info_by_fd(fd, &info, &size), (unsigned long long)-EFAULT);
}

static void own_description(void)
{
    struct ebpf_object_info info;
    fake_reset();
    int fd = fake_new_fd();
    fake_reply_prog_info();
    CHECK_OK(ebpf_object_get_info(fd, &info));
    CHECK_EQ(info.kind, EBPF_OBJECT_KIND_PROGRAM);
    CHECK_STR(info.type, "xdp");
    CHECK_STR(info.name, "drop");
    CHECK_EQ(info.map_count, 3);
    CHECK_EQ(info.map_ids[2], 13);
}

static void names_without_end_are_cut(void)
{
    struct proto_object_info_reply reply = {.kind = PROTO_KIND_MAP, .type = 9999, .map_count = 9999};
    struct ebpf_object_info info;
    fake_reset();
    int fd = fake_new_fd();
    memset(reply.name, 'n', sizeof(reply.name));
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &reply, NULL, 0);
    CHECK_OK(ebpf_object_get_info(fd, &info));
    CHECK_EQ(str_len(info.name), sizeof(info.name) - 1);
    CHECK_STR(info.type, "unknown");
    CHECK_EQ(info.map_count, EBPF_MAX_MAPS);
}

static void native_programs_name_their_module(void)
{
    struct proto_object_info_reply reply = {.kind = PROTO_KIND_PROGRAM, .module_id = 5, .revoked = 1};
    struct ebpf_object_info info;
    fake_reset();
    int fd = fake_new_fd();
    memset(reply.module, 'm', sizeof(reply.module));
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &reply, NULL, 0);
    fake_reply(PROTO_PROG_DUMP, EBPF_SUCCESS, NULL, NULL, 0); // no code of ours
    CHECK_OK(ebpf_object_get_info(fd, &info));
    CHECK_EQ(str_len(info.module), sizeof(info.module) - 1);
    CHECK(info.module_revoked);
    CHECK_EQ(info.module_id, 5);
    CHECK_EQ(info.jited_size, 0);
    reply = (struct proto_object_info_reply){.kind = PROTO_KIND_PROGRAM};
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &reply, NULL, 0);
    fake_reply(PROTO_PROG_DUMP, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_OK(ebpf_object_get_info(fd, &info));
    CHECK_STR(info.module, "");
    CHECK(!info.module_revoked && info.module_id == 0);
}

static void queue_pin(const char *path, uint32_t kind, uint32_t id)
{
    struct proto_pin_next_reply reply = {.kind = kind, .id = id};
    str_copy(reply.path, sizeof(reply.path), path);
    fake_reply(PROTO_PIN_NEXT, EBPF_SUCCESS, &reply, NULL, 0);
}

static void pins_by_kind(void)
{
    char path[32];
    ebpf_object_kind_t kind = EBPF_OBJECT_KIND_PROGRAM;
    uint32_t id = 0;
    fake_reset();
    queue_pin("/a/map", PROTO_KIND_MAP, 1);
    queue_pin("/a/prog", PROTO_KIND_PROGRAM, 2);
    CHECK_OK(ebpf_get_next_pin("", path, sizeof(path), &kind, &id));
    CHECK_STR(path, "/a/prog");
    CHECK_EQ(id, 2);
    CHECK_STR((const char *)fake_sent(1)->fixed, "/a/map"); // goes on behind what it left out
    kind = EBPF_OBJECT_KIND_ANY;
    queue_pin("/a/map", PROTO_KIND_MAP, 1);
    CHECK_OK(ebpf_get_next_pinned_object_path("", path, sizeof(path), &kind));
    CHECK_EQ(kind, EBPF_OBJECT_KIND_MAP);
    queue_pin("/a/map", PROTO_KIND_MAP, 1);
    CHECK_EQ(ebpf_get_next_pin("", path, 6, &kind, &id), EBPF_INSUFFICIENT_BUFFER);
    fake_reply(PROTO_PIN_NEXT, EBPF_NO_MORE_KEYS, NULL, NULL, 0);
    CHECK_EQ(ebpf_get_next_pin("/z", path, sizeof(path), &kind, &id), EBPF_NO_MORE_KEYS);
}

static void queue_point(uint32_t ifindex, const char *name, uint32_t link_id, uint32_t prog_id)
{
    struct proto_hook_next_reply reply = {.ifindex = ifindex, .link_id = link_id, .prog_id = prog_id};
    reply.counter_count = 99; // more than there can be
    str_copy(reply.name, sizeof(reply.name), name);
    fake_reply(PROTO_HOOK_NEXT, EBPF_SUCCESS, &reply, NULL, 0);
}

static void interfaces_by_the_hooks_name(void)
{
    struct ebpf_hook_point point;
    uint32_t ifindex = 0;
    fake_reset();
    queue_point(4, "tap0", 0, 0);
    queue_point(9, "tap1", 5, 6);
    CHECK_OK(ebpf_get_ifindex(BPF_XDP, "tap1", &ifindex));
    CHECK_EQ(ifindex, 9);
    queue_point(9, "tap1", 5, 6);
    CHECK_OK(ebpf_get_next_hook_point(BPF_XDP, 8, &point));
    CHECK_EQ(point.prog_id, 6);
    CHECK_EQ(point.counter_count, EBPF_MAX_COUNTERS);
    fake_reply(PROTO_HOOK_NEXT, EBPF_NO_MORE_KEYS, NULL, NULL, 0);
    CHECK_EQ(ebpf_get_ifindex(BPF_XDP, "no such interface", &ifindex), EBPF_OBJECT_NOT_FOUND);
    CHECK_EQ(ebpf_get_next_hook_point((enum bpf_attach_type)9999, 0, &point), EBPF_INVALID_ARGUMENT);
}

static void counts_cpus(void)
{
    struct proto_version_reply reply = {.version = 1, .cpu_count = 6};
    fake_reset();
    fake_reply(PROTO_VERSION, EBPF_SUCCESS, &reply, NULL, 0);
    CHECK_EQ(libbpf_num_possible_cpus(), 6);
    fake_fail(PROTO_VERSION, EBPF_NO_MEMORY);
    CHECK_EQ(libbpf_num_possible_cpus(), (unsigned long long)-ENOMEM);
}

TEST_SUITE(lib_info)
{
    RUN(fills_map_info);
    RUN(information_structures_may_grow);
    RUN(kinds_are_checked);
    RUN(map_ids_go_where_the_caller_says);
    RUN(own_description);
    RUN(names_without_end_are_cut);
    RUN(native_programs_name_their_module);
    RUN(pins_by_kind);
    RUN(interfaces_by_the_hooks_name);
    RUN(counts_cpus);
}
