// SPDX-License-Identifier: MIT
// access: who may talk to ebpfd. A pure function of facts, so that a table tests it.
#pragma once

#include "base/base.h"

struct access_facts {
    bool known;          // the kernel told the peer's credentials
    uint32_t peer_uid;   // effective, at connect
    uint32_t daemon_uid; // effective
};

// EBPF_SUCCESS or EBPF_ACCESS_DENIED: root and the user that the daemon runs as may do everything, others
// nothing.
ebpf_result_t access_decide(const struct access_facts *facts) MUST_CHECK;
