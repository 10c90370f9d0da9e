// SPDX-License-Identifier: MIT
// rpc_client: the client's side of ebpfsvc.idl for code that knows no RPC. Stubs report failures by raising
// structured exceptions, which not every compiler of this project can catch: here they are numbers. Windows.
#pragma once

#include "base/base.h"
#include "proto/proto.h"

// Has the verification service judge a PROG_LOAD request (whole message) for the channel with `token`, and
// waits. Returns 0 when the service answered, else the RPC runtime's error, which is a Win32 error:
// RPC_S_SERVER_UNAVAILABLE (1722, it does not run), RPC_S_CALL_FAILED (1726, it ended meanwhile),
// RPC_S_CALL_FAILED_DNE (1727, it was restarted and did not get the request),
// RPC_S_ACCESS_DENIED (5), RPC_S_OUT_OF_MEMORY (14), ... Only with 0: *result is what the service says of the
// call (ebpfsvc.idl), and with EBPF_SUCCESS *reply is a malloc'ed message of *reply_size bytes. Thread-safe;
// keeps nothing.
uint32_t rpc_client_load(const struct proto_token *token, const void *request, size_t size,
                         ebpf_result_t *result, void **reply, size_t *reply_size);
