// SPDX-License-Identifier: MIT
// service_rpc: the verification service's interface for clients, ebpfsvc.idl over local RPC. One per process,
// as the RPC runtime is. Windows.
#pragma once

#include "base/base.h"
#include "hosts/service_process.h"

// Listens. `judges` outlives it. A Win32 error, which the log explains; 0 is success.
uint32_t service_rpc_start(struct service_process *judges) MUST_CHECK;
// Takes no more calls and waits for those under way, `wait_ms` at most, calling `tick` now and then. False:
// some are still busy, and nothing that they use may be freed.
bool service_rpc_stop(uint32_t wait_ms, void (*tick)(void)) MUST_CHECK;
