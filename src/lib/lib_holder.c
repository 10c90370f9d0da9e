// SPDX-License-Identifier: MIT
// lib_holder: who holds objects.
#include "lib/lib_int.h"

ebpf_result_t ebpf_get_next_holder(uint32_t after_pid, struct ebpf_holder *holder)
{
    struct proto_holder_next_request fixed = {.after_pid = after_pid};
    struct proto_holder_next_reply reply;
    TRY(lib_call_simple(PROTO_HOLDER_NEXT, &fixed, NULL, 0, &reply, sizeof(reply)));
    *holder = (struct ebpf_holder){.pid = reply.pid,
                                   .maps = reply.maps,
                                   .programs = reply.programs,
                                   .links = reply.links,
                                   .others = reply.others};
    return EBPF_SUCCESS;
}
