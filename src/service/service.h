// SPDX-License-Identifier: MIT
// service: the door of the verification service: load request in, verdict and evidence out. Reads no ELF,
// opens nothing.
#pragma once

#include "base/base.h"
#include "proto/proto.h"

struct service_verdict {
    ebpf_result_t result; // EBPF_SUCCESS, EBPF_VERIFICATION_FAILED, or why the request cannot be judged
    const uint8_t *evidence;
    size_t evidence_size;
    const char *text, *json; // findings; never NULL
    uint32_t states, peak_kb;
    uint64_t time_us; // filled by the caller's clock where there is one, else 0
};

// Verifies the program of a PROG_LOAD request (header included). All memory comes from `arena`.
void service_verify(const struct spec_view *spec, const void *request, size_t size, struct arena *arena,
                    struct service_verdict *out);
// Encodes the verdict as the reply message of proto.h ("between ebpfd and ebpfsvc"). NULL: no memory.
void *service_encode(const struct service_verdict *v, uint32_t cookie, struct arena *arena, size_t *size);
// Decodes such a message; pointers into `bytes`.
ebpf_result_t service_decode(const void *bytes, size_t size, struct service_verdict *out) MUST_CHECK;
