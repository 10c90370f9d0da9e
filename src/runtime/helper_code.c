// SPDX-License-Identifier: MIT
// helper_code: calls that the code of programs has an eye on: packet loads, calls by a number that is known
// at run time only, tail calls.
#include "runtime/helper_int.h"

// Big endian, at an offset from the start of the data. Out of range: the run ends, with 0.
uint64_t helper_load_packet(uint64_t offset, uint64_t bytes, HELPER_ARG a3, HELPER_ARG a4, HELPER_ARG a5,
                            struct run *run)
{
    const struct run_data *data = run->context;
    uint64_t off = (uint32_t)offset, value = 0;
    if (run->prog == NULL || run->prog->type == PROG_TYPE_RAW_MEMORY) {
        data = &run->packet;
    }
    uint64_t size = (uint64_t)(data->data_end - data->data);
    if (off > size || size - off < bytes) {
        run->jit.aborted = 1;
        return 0;
    }
    for (uint64_t i = 0; i < bytes; i++) {
        value = value << 8 | data->data[off + i];
    }
    return value;
}

// The dialect's number of a helper is in run->jit.number. A tail call is none: it would have to leave the
// caller's frame.
uint64_t helper_call_number(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, struct run *run)
{
    uint64_t number = run->jit.number;
    uint32_t id = HELPER_NONE;
    if (run->raw_helper != NULL) {
        return run->raw_helper(number, (const uint64_t[5]){a1, a2, a3, a4, a5});
    }
    const struct spec_view *spec = run->rt->spec;
    if (number <= UINT32_MAX) {
        id = spec_helper_by_number(spec, (enum dialect)run->prog->dialect, run->prog->type, (uint32_t)number);
    }
    helper_fn fn = helper_function(spec, run->prog->type, id);
    if (fn == NULL || run->rt->helpers[id].kind == JIT_HELPER_TAIL_CALL) {
        return helper_result(EBPF_INVALID_ARGUMENT);
    }
    return fn(a1, a2, a3, a4, a5, run);
}

// --- tail calls ----------------------------------------------------------------------------------

#define TAIL_CALLS_MAX 33u // in one run, as Linux has

// Says where to go on; the engine goes there. Tail calls are made by main functions only (the verifier sees
// to it), whose frame the next program gets: it finds all frames free.
static uint64_t prepare_tail_call(struct run *run, struct map *m, uint32_t index)
{
    const struct prog *g = run->tail_calls < TAIL_CALLS_MAX ? map_find_program(m, index) : NULL;
    uint64_t entry = g != NULL ? __atomic_load_n(&g->code.entry, __ATOMIC_SEQ_CST) : 0;
    if (entry == 0) {
        return helper_result(EBPF_INVALID_ARGUMENT);
    }
    run->tail_calls++;
    run->next = &g->code;
    run->jit.number = entry;
    return 0;
}

HELPER_BODY(TAIL_CALL_LINUX)
{
    return prepare_tail_call(run, pointer(a2), (uint32_t)a3);
}

HELPER_BODY(TAIL_CALL_WINDOWS)
{
    return prepare_tail_call(run, pointer(a2), (uint32_t)a3);
}
