// SPDX-License-Identifier: MIT
// transport: chooses the process's transport, once. Invariant: `chosen` is written before `state` says READY,
// and never again; a failed choice leaves no trace, so that a daemon that starts later is found.
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/transport.h"
#include "plat/plat.h"

#define DEFAULT_SOCKET "/run/ebpfd.sock"

ebpf_result_t (*transport_open_inproc)(struct transport **out);

enum { IDLE, CHOOSING, READY };
static atomic_int state;
static struct transport *chosen;

static const char *socket_path(void)
{
    const char *path = getenv("EBPFD_SOCKET");
    return path != NULL && path[0] != '\0' ? path : DEFAULT_SOCKET;
}

static ebpf_result_t open_inproc(struct transport **out)
{
    return transport_open_inproc != NULL ? transport_open_inproc(out) : EBPF_OPERATION_NOT_SUPPORTED;
}

// What the system has by nature: the device, or where there are no drivers the daemon.
static ebpf_result_t open_default(struct transport **out)
{
    ebpf_result_t result = transport_open_ioctl(out);
    return result == EBPF_OPERATION_NOT_SUPPORTED ? transport_open_unix(socket_path(), out) : result;
}

static ebpf_result_t open_chosen(const char *choice, struct transport **out)
{
    if (choice == NULL || choice[0] == '\0') {
        return open_default(out);
    }
    if (str_equal(choice, "inproc")) {
        return open_inproc(out);
    }
    if (str_equal(choice, "ioctl")) {
        return transport_open_ioctl(out);
    }
    if (str_equal(choice, "unix")) {
        return transport_open_unix(socket_path(), out);
    }
    if (str_starts_with(choice, "unix:") && choice[5] != '\0') {
        return transport_open_unix(choice + 5, out);
    }
    return EBPF_INVALID_ARGUMENT;
}

// True when this thread is the one to choose; false once somebody has chosen.
static bool claim_choice(void)
{
    for (;;) {
        int seen = IDLE;
        if (atomic_compare_exchange_strong(&state, &seen, CHOOSING)) {
            return true;
        }
        if (seen == READY) {
            return false;
        }
        plat_sleep_us(100);
    }
}

ebpf_result_t transport_get(struct transport **out)
{
    if (atomic_load(&state) != READY && claim_choice()) {
        ebpf_result_t result = open_chosen(getenv("EBPF_TRANSPORT"), &chosen);
        atomic_store(&state, result == EBPF_SUCCESS ? READY : IDLE);
        if (result != EBPF_SUCCESS) {
            return result;
        }
    }
    *out = chosen;
    return EBPF_SUCCESS;
}
