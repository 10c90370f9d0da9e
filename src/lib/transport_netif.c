// SPDX-License-Identifier: MIT
// transport_netif: the platform's look-up of interface names (RFC 3493: if_nametoindex).
#include "lib/transport_netif.h"

#ifdef _WIN32
#include <winsock2.h>
#include <iphlpapi.h>
#include <netioapi.h>
#else
#include <net/if.h>
#endif

ebpf_result_t transport_netif_index(const char *name, uint32_t *ifindex)
{
    uint32_t index = if_nametoindex(name);
    if (index == 0) {
        return EBPF_OBJECT_NOT_FOUND;
    }
    *ifindex = index;
    return EBPF_SUCCESS;
}
