// SPDX-License-Identifier: MIT
// place_inproc: every client is an execution context of its own, in this process.
#include "tests/e2e/place.h"

#include "hosts/inproc.h"
#include "plat/plat.h"

const bool place_is_shared = false;
const unsigned place_patience = 1;

bool place_start(void)
{
    return true;
}

bool place_stop(void)
{
    return plat_sim_live_count() == 0;
}

ebpf_result_t place_open(struct transport **out)
{
    return inproc_open(out);
}

bool place_is_idle(void)
{
    return plat_sim_live_count() == 0;
}

bool place_down(void)
{
    return false;
}

bool place_up(void)
{
    return false;
}
