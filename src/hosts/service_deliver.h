// SPDX-License-Identifier: MIT
// service_deliver: brings verdicts to the driver. Each goes over a handle of its own: the driver may have
// been restarted since the last one, and a handle kept open would keep it from being unloaded. Windows.
#pragma once

#include "base/base.h"
#include "core/core.h"

// Delivers the verdict on `request` to the channel with `token`. The reply is malloc'ed, a whole message.
// EBPF_OBJECT_NOT_FOUND: no such channel (its client is gone), or ebpfcore does not run. EBPF_ACCESS_DENIED:
// the driver takes no verdicts from this process. EBPF_NO_MEMORY, EBPF_PROGRAM_TOO_LARGE (PROTO_MAX_VERDICT).
ebpf_result_t service_deliver(const struct proto_token *token, const struct core_verdict *verdict,
                              const void *request, size_t size, void **reply, size_t *reply_size) MUST_CHECK;
