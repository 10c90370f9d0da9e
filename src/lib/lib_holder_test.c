// SPDX-License-Identifier: MIT
#include "lib/lib_testing.h"

static void holders_one_by_one(void)
{
    struct proto_holder_next_reply reply = {.pid = 40, .maps = 1, .programs = 2, .links = 3, .others = 4};
    struct ebpf_holder holder = {0};
    fake_reset();
    fake_reply(PROTO_HOLDER_NEXT, EBPF_SUCCESS, &reply, NULL, 0);
    CHECK_OK(ebpf_get_next_holder(39, &holder));
    CHECK_EQ(holder.pid, 40);
    CHECK_EQ(holder.maps, 1);
    CHECK_EQ(holder.programs, 2);
    CHECK_EQ(holder.links, 3);
    CHECK_EQ(holder.others, 4);
    struct proto_holder_next_request sent;
    memcpy(&sent, fake_sent(0)->fixed, sizeof(sent));
    CHECK_EQ(sent.after_pid, 39);
}

static void failures_write_nothing(void)
{
    struct ebpf_holder holder = {.pid = 7};
    fake_reset();
    fake_reply(PROTO_HOLDER_NEXT, EBPF_NO_MORE_KEYS, NULL, NULL, 0);
    CHECK_EQ(ebpf_get_next_holder(0, &holder), EBPF_NO_MORE_KEYS);
    fake_reply(PROTO_HOLDER_NEXT, EBPF_OPERATION_NOT_SUPPORTED, NULL, NULL, 0);
    CHECK_EQ(ebpf_get_next_holder(0, &holder), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_EQ(holder.pid, 7);
}

TEST_SUITE(lib_holder)
{
    RUN(holders_one_by_one);
    RUN(failures_write_nothing);
}
