// SPDX-License-Identifier: MIT
// helper: the table of helper functions, expanded from the same rows as the verifier's prototypes, so that
// the two cannot disagree about order. What the functions do is in helper_<family>.c.
#include "runtime/helper_int.h"

static const helper_fn functions[HELPER_RUN_COUNT] = {
#define HELPER(id, ...) [HELPER_##id] = helper_##id,
#include "spec/helpers.def"
#undef HELPER
};

helper_fn helper_function(const struct spec_view *spec, uint32_t prog_type, uint32_t id)
{
    if (id == HELPER_NONE || id >= HELPER_RUN_COUNT || id >= spec->helper_count) {
        return NULL;
    }
    return spec_helper_allowed(spec, id, prog_type, ATTACH_TYPE_NONE) ? functions[id] : NULL;
}

HELPER_BODY(absent)
{
    return helper_result(EBPF_INVALID_ARGUMENT);
}

uint64_t helper_result(ebpf_result_t result)
{
    return (uint64_t)-(int64_t)result_row(result)->linux_errno;
}
