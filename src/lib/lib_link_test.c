// SPDX-License-Identifier: MIT
// Tests of links and of XDP by interface: the requests that each call makes, and what its failures leave.
#include <errno.h>

#include "lib/lib_testing.h"

static void links_are_created_updated_detached(void)
{
    LIBBPF_OPTS(bpf_link_update_opts, replace, .flags = BPF_F_REPLACE);
    struct proto_link_create_request sent;
    int prog, link;
    fake_reset();
    prog = fake_new_fd();
    replace.old_prog_fd = (__u32)prog;
    fake_reply(PROTO_LINK_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
    link = bpf_link_create(prog, 7, BPF_XDP, NULL);
    REQUIRE(link >= 0);
    memcpy(&sent, fake_sent(0)->fixed, sizeof(sent));
    CHECK_EQ(sent.attach_type, ATTACH_TYPE_XDP);
    CHECK_EQ(sent.ifindex, 7);
    fake_reply(PROTO_LINK_UPDATE, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_EQ(bpf_link_update(link, prog, NULL), 0);
    fake_reply(PROTO_LINK_REPLACE, EBPF_INVALID_STATE, NULL, NULL, 0);
    CHECK_EQ(bpf_link_update(link, prog, &replace), (unsigned long long)-EBUSY);
    CHECK_EQ(fake_sent(2)->fds[2], prog);
    fake_reply(PROTO_LINK_DETACH, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_EQ(bpf_link_detach(link), 0);
    replace.flags = 0; // an old program without the flag makes no sense
    CHECK_EQ(bpf_link_update(link, prog, &replace), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_link_create(prog, 7, (enum bpf_attach_type)9999, NULL), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_link_create(prog, -1, BPF_XDP, NULL), (unsigned long long)-EINVAL);
}

static struct bpf_link *open_link(void)
{
    struct proto_object_info_reply info = {.kind = PROTO_KIND_LINK};
    fake_reply(PROTO_OBJECT_GET, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &info, NULL, 0);
    return bpf_link__open("/sys/fs/bpf/link");
}

static void links_give_their_descriptor_back(void)
{
    unsigned long live = lib_alloc_live();
    fake_reset();
    struct bpf_link *link = open_link();
    REQUIRE(link != NULL);
    CHECK_STR(bpf_link__pin_path(link), "/sys/fs/bpf/link");
    CHECK_EQ(bpf_link__pin(link, "/other"), (unsigned long long)-EBUSY); // one path only
    fake_reply(PROTO_OBJECT_UNPIN, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_EQ(bpf_link__unpin(link), 0);
    CHECK(bpf_link__pin_path(link) == NULL);
    CHECK_EQ(bpf_link__unpin(link), (unsigned long long)-EINVAL);
    fake_reply(PROTO_OBJECT_PIN, EBPF_OBJECT_ALREADY_EXISTS, NULL, NULL, 0);
    CHECK_EQ(bpf_link__pin(link, "/other"), (unsigned long long)-EEXIST);
    CHECK(bpf_link__pin_path(link) == NULL);
    CHECK_EQ(bpf_link__destroy(link), 0);
    CHECK_EQ(fake_open_fds(), 0);
    CHECK_EQ(lib_alloc_live(), live);
    CHECK_EQ(bpf_link__destroy(NULL), 0);
}

static void disconnected_links_stay_open(void)
{
    fake_reset();
    struct bpf_link *link = open_link();
    REQUIRE(link != NULL);
    bpf_link__disconnect(link);
    CHECK_EQ(bpf_link__destroy(link), 0);
    CHECK_EQ(fake_open_fds(), 1);
}

static void only_links_open_as_links(void)
{
    struct proto_object_info_reply info = {.kind = PROTO_KIND_MAP};
    fake_reset();
    fake_reply(PROTO_OBJECT_GET, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &info, NULL, 0);
    CHECK(bpf_link__open("/x") == NULL);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(fake_open_fds(), 0);
}

static void opening_survives_allocation_failures(void)
{
    unsigned long live = lib_alloc_live();
    struct bpf_link *link = NULL;
    for (unsigned long n = 1; link == NULL && n < 50; n++) {
        fake_reset();
        lib_alloc_fail(n);
        link = open_link();
        lib_alloc_fail(0);
        if (link == NULL) {
            CHECK_EQ(errno, ENOMEM);
            CHECK_EQ(fake_open_fds() > 1, 0); // queued replies hold theirs until they are fetched
            CHECK_EQ(lib_alloc_live(), live);
        }
    }
    REQUIRE(link != NULL);
    bpf_link__destroy(link);
    CHECK_EQ(lib_alloc_live(), live);
}

// --- XDP by interface ----------------------------------------------------------------------------

static void queue_attachment(uint32_t prog_id)
{
    struct proto_object_info_reply info = {.kind = PROTO_KIND_LINK, .attached = 1, .prog_id = prog_id};
    fake_reply(PROTO_OBJECT_GET, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_INFO, EBPF_SUCCESS, &info, NULL, 0);
}

static void attaching_pins_a_link(void)
{
    fake_reset();
    int prog = fake_new_fd();
    fake_reply(PROTO_OBJECT_GET, EBPF_OBJECT_NOT_FOUND, NULL, NULL, 0);
    fake_reply(PROTO_LINK_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_PIN, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_EQ(bpf_xdp_attach(5, prog, 0, NULL), 0);
    CHECK(fake_script_is_done());
    CHECK_STR((const char *)fake_sent(2)->fixed, LIB_PIN_ROOT "/xdp_ifindex_5");
    CHECK_EQ(fake_open_fds(), 1); // the pin holds the link, not this process
}

static void attaching_replaces_or_refuses(void)
{
    LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
    fake_reset();
    int prog = fake_new_fd();
    queue_attachment(3);
    CHECK_EQ(bpf_xdp_attach(5, prog, XDP_FLAG_UPDATE_IF_NOEXIST, NULL), (unsigned long long)-EBUSY);
    queue_attachment(3);
    fake_reply(PROTO_LINK_UPDATE, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_EQ(bpf_xdp_attach(5, prog, 0, NULL), 0);
    opts.old_prog_fd = prog;
    queue_attachment(3);
    fake_reply(PROTO_LINK_REPLACE, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_EQ(bpf_xdp_attach(5, prog, XDP_FLAG_REPLACE, &opts), 0);
    CHECK(fake_script_is_done());
    CHECK_EQ(bpf_xdp_attach(0, prog, 0, NULL), (unsigned long long)-EINVAL);
    CHECK_EQ(bpf_xdp_attach(5, prog, XDP_FLAG_ALL + 1, NULL), (unsigned long long)-EINVAL);
    CHECK(bpf_xdp_attach(5, prog, XDP_FLAG_HW_MODE, NULL) < 0); // no offload
    CHECK_EQ(fake_open_fds(), 1);
}

static void a_failed_pin_detaches(void)
{
    fake_reset();
    int prog = fake_new_fd();
    fake_reply(PROTO_OBJECT_GET, EBPF_OBJECT_NOT_FOUND, NULL, NULL, 0);
    fake_reply(PROTO_LINK_CREATE, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_PIN, EBPF_NO_MEMORY, NULL, NULL, 0);
    CHECK_EQ(bpf_xdp_attach(5, prog, 0, NULL), (unsigned long long)-ENOMEM);
    CHECK_EQ(fake_open_fds(), 1); // the link's only reference is closed
}

static void detaching_unpins(void)
{
    struct proto_hook_next_reply held = {.ifindex = 5, .link_id = 9, .prog_id = 4};
    fake_reset();
    queue_attachment(3);
    fake_reply(PROTO_LINK_DETACH, EBPF_SUCCESS, NULL, NULL, 0);
    fake_reply(PROTO_OBJECT_UNPIN, EBPF_SUCCESS, NULL, NULL, 0);
    CHECK_EQ(bpf_xdp_detach(5, 0, NULL), 0);
    fake_reply(PROTO_OBJECT_GET, EBPF_OBJECT_NOT_FOUND, NULL, NULL, 0);
    fake_reply(PROTO_HOOK_NEXT, EBPF_NO_MORE_KEYS, NULL, NULL, 0);
    CHECK_EQ(bpf_xdp_detach(5, 0, NULL), 0); // nothing there: fine, as on Linux
    fake_reply(PROTO_OBJECT_GET, EBPF_OBJECT_NOT_FOUND, NULL, NULL, 0);
    fake_reply(PROTO_HOOK_NEXT, EBPF_SUCCESS, &held, NULL, 0);
    CHECK_EQ(bpf_xdp_detach(5, 0, NULL), (unsigned long long)-EBUSY); // a link of somebody else
    CHECK(fake_script_is_done());
    CHECK_EQ(fake_open_fds(), 0);
}

static void queries(void)
{
    struct proto_hook_next_reply point = {.ifindex = 5, .link_id = 9, .prog_id = 4};
    LIBBPF_OPTS(bpf_xdp_query_opts, opts);
    __u32 id = 0;
    fake_reset();
    fake_reply(PROTO_HOOK_NEXT, EBPF_SUCCESS, &point, NULL, 0);
    CHECK_EQ(bpf_xdp_query_id(5, 0, &id), 0);
    CHECK_EQ(id, 4);
    fake_reply(PROTO_HOOK_NEXT, EBPF_SUCCESS, &point, NULL, 0);
    CHECK_EQ(bpf_xdp_query(5, 0, &opts), 0);
    CHECK_EQ(opts.prog_id, 4);
    CHECK_EQ(opts.attach_mode, 1);
    fake_reply(PROTO_HOOK_NEXT, EBPF_SUCCESS, &point, NULL, 0);
    CHECK_EQ(bpf_xdp_query_id(3, 0, &id), (unsigned long long)-ENODEV); // the next one is another
    CHECK_EQ(bpf_xdp_query_id(0, 0, &id), (unsigned long long)-EINVAL);
}

TEST_SUITE(lib_link)
{
    RUN(links_are_created_updated_detached);
    RUN(links_give_their_descriptor_back);
    RUN(disconnected_links_stay_open);
    RUN(only_links_open_as_links);
    RUN(opening_survives_allocation_failures);
    RUN(attaching_pins_a_link);
    RUN(attaching_replaces_or_refuses);
    RUN(a_failed_pin_detaches);
    RUN(detaching_unpins);
    RUN(queries);
}
