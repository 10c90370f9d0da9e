// SPDX-License-Identifier: MIT
// service_access: who may ask the verification service. A pure function of facts, so that a table tests it.
#pragma once

#include "base/base.h"

// What the RPC runtime and the caller's token say; false where they say nothing.
struct service_caller {
    bool local;         // on this machine, by local RPC
    bool anonymous;     // a null session, or nobody knows who
    bool identified;    // its token could be read
    bool system;        // the local system
    bool administrator; // with the group enabled: not an administrator's filtered token
    bool app_container; // or another token with restricting SIDs
};

// EBPF_SUCCESS or EBPF_ACCESS_DENIED: who may open the driver's device may ask, others cannot use the answer
// and need not cost us the time.
ebpf_result_t service_access_decide(const struct service_caller *caller) MUST_CHECK;
