// SPDX-License-Identifier: MIT
// service_judge: what a worker does with one request, on every system: bytes in, bytes out.
#pragma once

#include "base/base.h"
#include "service/service.h"

// Address space of a worker: room for the request, the verifier's memory, the verdict and code. Bytes.
#define SERVICE_WORKER_MEMORY ((uint64_t)3 << 30)

// Judges a PROG_LOAD request (a whole message). The reply (proto.h, "between ebpfd and ebpfsvc") is memory of
// `arena`, which the caller makes empty and unlimited. NULL: no memory, not even for a reply that says so.
void *service_judge(const void *request, size_t size, struct arena *arena, size_t *reply_size);
