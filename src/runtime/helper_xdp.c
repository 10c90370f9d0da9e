// SPDX-License-Identifier: MIT
// helper_xdp: moving the ends of a frame, and redirection. Limits as on Linux: at least an Ethernet header
// remains, metadata is at most 32 bytes and whole words. Source: Linux, net/core/filter.c. Invariant:
// frame_start <= data_meta <= data <= data_end <= frame_end.
#include "runtime/helper_int.h"

#define ETHERNET_HEADER 14
#define META_MAX        32

// Distances are compared instead of pointers, which may not leave their buffer.
static int64_t distance(const uint8_t *from, const uint8_t *to)
{
    return to - from;
}

// Metadata moves with the start of the data.
HELPER_BODY(XDP_ADJUST_HEAD)
{
    struct xdp_context *x = pointer(a1);
    struct run_data *p = &x->packet;
    int32_t delta = (int32_t)a2;
    int64_t meta = distance(p->data_meta, p->data);
    if (delta < -distance(x->frame_start, p->data_meta) ||
        delta > distance(p->data, p->data_end) - ETHERNET_HEADER) {
        return helper_result(EBPF_INVALID_ARGUMENT);
    }
    memmove(p->data_meta + delta, p->data_meta, (size_t)meta);
    p->data_meta += delta;
    p->data += delta;
    return 0;
}

HELPER_BODY(XDP_ADJUST_META)
{
    struct xdp_context *x = pointer(a1);
    struct run_data *p = &x->packet;
    int32_t delta = (int32_t)a2;
    int64_t size = distance(p->data_meta, p->data) - delta;
    if (delta < -distance(x->frame_start, p->data_meta) || size < 0) {
        return helper_result(EBPF_INVALID_ARGUMENT);
    }
    if (size % 4 != 0 || size > META_MAX) {
        return HELPER_EACCES;
    }
    p->data_meta += delta;
    return 0;
}

// What the tail grows by is zeroed: the buffer may hold bytes of another frame.
HELPER_BODY(XDP_ADJUST_TAIL)
{
    struct xdp_context *x = pointer(a1);
    struct run_data *p = &x->packet;
    int32_t delta = (int32_t)a2;
    if (delta > distance(p->data_end, x->frame_end) ||
        delta < ETHERNET_HEADER - distance(p->data, p->data_end)) {
        return helper_result(EBPF_INVALID_ARGUMENT);
    }
    if (delta > 0) {
        memset(p->data_end, 0, (size_t)delta);
    }
    p->data_end += delta;
    return 0;
}

static uint64_t verdict_value(const struct run *run, unsigned verdict)
{
    return (uint32_t)spec_verdict_row(verdict)->value[run->prog->dialect];
}

// No flag has a meaning here.
HELPER_BODY(REDIRECT)
{
    struct xdp_context *x = run->context;
    if (a2 != 0) {
        return verdict_value(run, VERDICT_XDP_ABORTED);
    }
    x->redirect_ifindex = (uint32_t)a1;
    return verdict_value(run, VERDICT_XDP_REDIRECT);
}
