// SPDX-License-Identifier: MIT
// place_unix: an ebpfd and an ebpfsvc of the test's own. Linux.
#include "tests/e2e/place.h"

#include <stdlib.h>

#include "tests/e2e/e2e.h"

#define SOCKET "E2E_SOCKET" // for children

const bool place_is_shared = true;
const unsigned place_patience = 1;

static struct e2e_daemon daemon_of_test;
static unsigned fds; // that it has open when it serves nobody

bool place_up(void)
{
    struct e2e_setup setup = {0};
    unsigned before = fds;
    if (!e2e_start(&daemon_of_test, &setup)) {
        return false;
    }
    fds = e2e_fd_count(&daemon_of_test);
    return before == 0 || fds == before;
}

bool place_start(void)
{
    return place_up() && setenv(SOCKET, daemon_of_test.socket, 1) == 0;
}

bool place_down(void)
{
    return e2e_stop(&daemon_of_test) == 0;
}

bool place_stop(void)
{
    bool good = place_down();
    e2e_remove(&daemon_of_test);
    return good;
}

ebpf_result_t place_open(struct transport **out)
{
    return transport_open_unix(getenv(SOCKET), out);
}

bool place_is_idle(void)
{
    return e2e_wait_fd_count(&daemon_of_test, fds);
}
