// SPDX-License-Identifier: MIT
// service_judge: verifies within the memory limit, measures, encodes. Invariant: a verifier that ran out of
// memory leaves enough for the reply that says so.
#include "hosts/service_judge.h"

#include "plat/plat.h"
#include "verifier/verifier.h"

void *service_judge(const void *request, size_t size, struct arena *arena, size_t *reply_size)
{
    struct service_verdict verdict;
    struct proto_header header;
    uint64_t start = plat_time_ns();
    if (size < sizeof(header)) {
        return NULL;
    }
    memcpy(&header, request, sizeof(header));
    arena->limit = VERIFY_MEMORY_LIMIT;
    service_verify(spec_builtin(), request, size, arena, &verdict);
    verdict.time_us = (plat_time_ns() - start) / 1000;
    arena->limit = 0; // the verdict itself must still fit
    return service_encode(&verdict, header.cookie, arena, reply_size);
}
