// SPDX-License-Identifier: MIT
// point: one place where at most one link can be attached. Private to the hooks.
//
// The link is published and withdrawn atomically; whoever invokes it does so inside link_batch_begin and
// _end, whose epoch keeps a withdrawn link alive until the last such invocation has ended.
#pragma once

#include <stdatomic.h>

#include "runtime/provider.h"

struct point {
    _Atomic(struct link *) link;
};

// EBPF_INVALID_STATE when another link is attached.
static inline ebpf_result_t point_attach(struct point *point, struct link *link)
{
    struct link *none = NULL;
    return atomic_compare_exchange_strong(&point->link, &none, link) ? EBPF_SUCCESS : EBPF_INVALID_STATE;
}

static inline void point_detach(struct point *point)
{
    atomic_store(&point->link, NULL);
}

static inline struct link *point_link(struct point *point)
{
    return atomic_load(&point->link);
}
