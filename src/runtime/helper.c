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

static uint32_t argument_count(const struct helper_row *row)
{
    uint32_t count = ARRAY_SIZE(row->args);
    while (count > 0 && row->args[count - 1] == ARG_NONE) {
        count--;
    }
    return count;
}

// What machine code does better than to call the function.
static uint8_t kind_of(uint32_t id)
{
    switch (id) {
    case HELPER_MAP_LOOKUP_ELEM: return JIT_HELPER_MAP_LOOKUP;
    case HELPER_GET_SMP_PROCESSOR_ID: return JIT_HELPER_CPU_ID;
    case HELPER_TAIL_CALL_LINUX:
    case HELPER_TAIL_CALL_WINDOWS: return JIT_HELPER_TAIL_CALL;
    default: return JIT_HELPER_CALL;
    }
}

void helper_describe(const struct spec_view *spec, struct jit_helper table[HELPER_TABLE_SIZE])
{
    table[HELPER_ID_ABSENT] =
        (struct jit_helper){.address = (uintptr_t)helper_absent, .kind = JIT_HELPER_CALL};
    for (uint32_t id = 1; id < HELPER_RUN_COUNT; id++) {
        table[id] = (struct jit_helper){.address = (uintptr_t)functions[id],
                                        .kind = kind_of(id),
                                        .arg_count = (uint8_t)argument_count(&spec->helpers[id])};
    }
}

HELPER_BODY(absent)
{
    return helper_result(EBPF_INVALID_ARGUMENT);
}

uint64_t helper_result(ebpf_result_t result)
{
    return (uint64_t)-(int64_t)result_row(result)->linux_errno;
}
