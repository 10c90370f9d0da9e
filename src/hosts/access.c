// SPDX-License-Identifier: MIT
// access: the decision, without looking anything up.
#include "hosts/access.h"

ebpf_result_t access_decide(const struct access_facts *facts)
{
    bool permitted = facts->known && (facts->peer_uid == 0 || facts->peer_uid == facts->daemon_uid);
    return permitted ? EBPF_SUCCESS : EBPF_ACCESS_DENIED;
}
