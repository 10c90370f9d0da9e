// SPDX-License-Identifier: MIT
#include "bench_bind.h"

#include <stdlib.h>
#include <string.h>

enum { HELPER_ABSENT = HELPER_COUNT }; // of a weak function that the object lacks

#define FUNCTIONS   0x7f0000001000u
#define MAPS        0x7f0000100000u
#define VALUES      0x7f0100000000u
#define CALL_NUMBER 0x7f0000000100u
#define LOAD_PACKET 0x7f0000000200u

static uint8_t helper_kind(uint32_t id)
{
    switch (id) {
    case HELPER_MAP_LOOKUP_ELEM: return JIT_HELPER_MAP_LOOKUP;
    case HELPER_GET_SMP_PROCESSOR_ID: return JIT_HELPER_CPU_ID;
    case HELPER_TAIL_CALL_LINUX:
    case HELPER_TAIL_CALL_WINDOWS: return JIT_HELPER_TAIL_CALL;
    default: return JIT_HELPER_CALL;
    }
}

static uint8_t argument_count(const struct helper_row *row)
{
    uint8_t count = ARRAY_SIZE(row->args);
    while (count > 0 && row->args[count - 1] == ARG_NONE) {
        count--;
    }
    return count;
}

static struct jit_helper helper(uint32_t id)
{
    const struct spec_view *spec = spec_builtin();
    return (struct jit_helper){.address = FUNCTIONS + id * 64u,
                               .kind = helper_kind(id),
                               .arg_count = id < spec->helper_count ? argument_count(&spec->helpers[id]) : 0};
}

static uint8_t map_kind(uint32_t type)
{
    switch (type) {
    case MAP_TYPE_ARRAY: return JIT_MAP_ARRAY;
    case MAP_TYPE_PERCPU_ARRAY: return JIT_MAP_PERCPU_ARRAY;
    default: return JIT_MAP_OTHER;
    }
}

static struct jit_map map(const struct map_def *def, uint32_t index)
{
    uint32_t stride = (def->value_size + 7) / 8 * 8;
    return (struct jit_map){.address = MAPS + index * 4096u,
                            .kind = map_kind(def->type),
                            .stride = stride,
                            .max_entries = def->max_entries,
                            .values = VALUES + (uint64_t)index * 0x100000,
                            .cpu_stride = (uint64_t)stride * def->max_entries,
                            .lookup =
                                def->type == MAP_TYPE_NONE ? 0 : FUNCTIONS + 0x10000u + def->type * 64u};
}

static void bind_insn(struct insn *in)
{
    if (in->id == INSN_LDDW_MAP_VALUE) {
        uint64_t index = (uint32_t)in->imm, offset = (uint64_t)in->imm >> 32;
        in->id = INSN_LDDW;
        in->imm = (int64_t)(VALUES + index * 0x100000 + offset);
    } else if (in->id == INSN_CALL && in->imm < 0) {
        in->imm = HELPER_ABSENT;
    }
}

bool bench_bind(const struct program *p, struct bench_bound *out)
{
    struct insn *insns = malloc(p->insn_count * sizeof(*insns));
    if (insns == NULL) {
        return false;
    }
    memcpy(insns, p->insns, p->insn_count * sizeof(*insns));
    for (uint32_t i = 0; i < p->insn_count; i++) {
        bind_insn(&insns[i]);
    }
    for (uint32_t id = 0; id <= HELPER_ABSENT; id++) {
        out->helpers[id] = id == HELPER_NONE ? (struct jit_helper){0} : helper(id);
    }
    for (uint32_t i = 0; i < p->map_count; i++) {
        out->maps[i] = map(&p->maps[i], i);
    }
    out->insns = insns;
    out->input = (struct jit_input){.insns = insns,
                                    .insn_count = p->insn_count,
                                    .funcs = p->funcs,
                                    .func_count = p->func_count,
                                    .maps = out->maps,
                                    .map_count = p->map_count,
                                    .helpers = out->helpers,
                                    .helper_count = ARRAY_SIZE(out->helpers),
                                    .call_number = CALL_NUMBER,
                                    .load_packet = LOAD_PACKET};
    return true;
}

void bench_unbind(struct bench_bound *b)
{
    free(b->insns);
}
