// SPDX-License-Identifier: MIT
// service_access: the decision. Everything must speak for the caller.
#include "hosts/service_access.h"

ebpf_result_t service_access_decide(const struct service_caller *caller)
{
    bool known = caller->local && caller->identified && !caller->anonymous && !caller->app_container;
    return known && (caller->system || caller->administrator) ? EBPF_SUCCESS : EBPF_ACCESS_DENIED;
}
