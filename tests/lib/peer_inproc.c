// SPDX-License-Identifier: MIT
// peer_inproc: the execution context as a part of the library's own process.
#include "tests/lib/peer.h"

#include <stdlib.h>

#include "hosts/inproc.h"
#include "plat/plat.h"
#include "tests/test.h"

static struct transport *opened;

static ebpf_result_t open_and_keep(struct transport **out)
{
    TRY(inproc_open(&opened));
    *out = opened;
    return EBPF_SUCCESS;
}

bool peer_start(void)
{
    static char choice[] = "EBPF_TRANSPORT=inproc";
    transport_open_inproc = open_and_keep;
    return putenv(choice) == 0;
}

bool peer_stop(void)
{
    if (opened != NULL) {
        opened->ops->close(opened);
    }
    return plat_sim_live_count() == 0;
}

static void fail_context(unsigned long n)
{
    plat_sim_fail_alloc(n);
}

static void context_allocations_fail(void)
{
    lib_e2e_loads_survive(fail_context);
}

void peer_cases(void)
{
    RUN(context_allocations_fail);
}
