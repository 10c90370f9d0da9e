// SPDX-License-Identifier: MIT
// transport_netif: names of network interfaces on this machine.
#pragma once

#include "base/base.h"

// EBPF_OBJECT_NOT_FOUND. On Windows `name` is the interface's alias or its index.
ebpf_result_t transport_netif_index(const char *name, uint32_t *ifindex) MUST_CHECK;
