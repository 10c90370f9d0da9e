// SPDX-License-Identifier: MIT
// helper: the table of helper functions, expanded from the same rows as the verifier's prototypes, so that
// the two cannot disagree about order. What the functions do is in helper_<family>.c.
#include "runtime/helper_int.h"

static const helper_fn functions[HELPER_COUNT] = {
#define HELPER(id, ...) [HELPER_##id] = helper_##id,
#include "spec/helpers.def"
#undef HELPER
};

helper_fn helper_function(const struct spec_view *spec, uint32_t prog_type, uint32_t id)
{
    if (id == HELPER_NONE || id >= HELPER_COUNT || id >= spec->helper_count) {
        return NULL;
    }
    const struct helper_row *row = &spec->helpers[id];
    return row->prog_type == PROG_TYPE_NONE || row->prog_type == prog_type ? functions[id] : NULL;
}

HELPER_BODY(absent)
{
    return helper_result(EBPF_INVALID_ARGUMENT);
}

uint64_t helper_result(ebpf_result_t result)
{
    return (uint64_t)-(int64_t)result_row(result)->linux_errno;
}
