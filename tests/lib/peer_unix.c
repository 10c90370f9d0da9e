// SPDX-License-Identifier: MIT
// peer_unix: an ebpfd and an ebpfsvc of the test's own. Linux.
#include "tests/lib/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "tests/e2e/e2e.h"
#include "tests/test.h"

static struct e2e_daemon daemon_of_test;

bool peer_start(void)
{
    static char choice[sizeof(daemon_of_test.socket) + 32];
    struct e2e_setup setup = {0};
    if (!e2e_start(&daemon_of_test, &setup)) {
        return false;
    }
    snprintf(choice, sizeof(choice), "EBPF_TRANSPORT=unix:%s", daemon_of_test.socket);
    return putenv(choice) == 0;
}

bool peer_stop(void)
{
    bool good = e2e_stop(&daemon_of_test) == 0;
    e2e_remove(&daemon_of_test);
    return good;
}

// Neither an object nor a connection takes the place of a closed standard stream.
static void closed_streams_stay_closed(void)
{
    int input = dup(STDIN_FILENO), map, closed;
    close(STDIN_FILENO);
    map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "m", 4, 4, 1, NULL);
    closed = close(STDIN_FILENO);
    if (input >= 0) {
        dup2(input, STDIN_FILENO);
        close(input);
    }
    CHECK(map > STDERR_FILENO);
    CHECK_EQ(closed, -1);
    close(map);
}

void peer_cases(void)
{
    RUN(closed_streams_stay_closed);
}
