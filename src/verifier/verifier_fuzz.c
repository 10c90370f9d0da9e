// SPDX-License-Identifier: MIT
// Fuzzer: bytes -> instructions -> a canonical program of one or two functions -> verify. Must neither crash
// nor hang; what is accepted must have well-formed evidence and survive the replay. The first byte selects
// type and dialect.
#include <stdint.h>
#include <stdlib.h>

#include "verifier/verifier.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_INSNS = 512, MAP_COUNT = 3 };

static void *take(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void give(void *user, void *block)
{
    (void)user;
    free(block);
}

static const struct map_def maps[MAP_COUNT] = {
    {MAP_TYPE_ARRAY, 2, 4, 64, 1, 0, "array"},
    {MAP_TYPE_HASH, 1, 8, 16, 8, 0, "hash"},
    {MAP_TYPE_ARRAY, 2, 4, 8, 1, MAP_FLAG_RDONLY_PROG, "constants"},
};

// Object form to canonical form, as far as a fuzzer needs it: map descriptors are indices, helpers are
// internal ids.
static void canonicalise(struct insn *in)
{
    if (in->id == INSN_LDDW_MAP_FD) {
        in->id = INSN_LDDW_MAP;
        in->imm = (uint32_t)in->imm % MAP_COUNT;
    } else if (in->id == INSN_LDDW_MAP_VALUE_FD) {
        in->id = INSN_LDDW_MAP_VALUE;
        in->imm = (int64_t)(((uint64_t)in->imm & ~(uint64_t)UINT32_MAX) | (uint32_t)in->imm % MAP_COUNT);
    }
}

static uint32_t find_funcs(const struct insn *insns, uint32_t count, struct func funcs[2])
{
    uint32_t split = 0;
    for (uint32_t pc = 0; pc < count && split == 0; pc++) {
        int64_t target = insns[pc].id == INSN_CALL_LOCAL ? insn_target(&insns[pc], pc) : 0;
        split = target > 0 && target < (int64_t)count ? (uint32_t)target : 0;
    }
    memset(funcs, 0, 2 * sizeof(*funcs));
    funcs[0].end = split != 0 ? split : count;
    funcs[1].start = split;
    funcs[1].end = count;
    return split != 0 ? 2 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mem_source source = {take, give, NULL};
    static struct insn insns[MAX_INSNS];
    struct func funcs[2];
    uint32_t bad_pc;
    if (size < 9 || (size - 1) / 8 > MAX_INSNS) {
        return 0;
    }
    uint32_t count = (uint32_t)((size - 1) / 8);
    if (insn_decode(data + 1, (size_t)count * 8, insns, &bad_pc) != INSN_OK) {
        return 0;
    }
    for (uint32_t pc = 0; pc < count; pc++) {
        canonicalise(&insns[pc]);
    }
    struct program p = {.type = 1 + data[0] % (PROG_TYPE_COUNT - 1),
                        .dialect = data[0] >> 7,
                        .insns = insns,
                        .insn_count = count,
                        .funcs = funcs,
                        .func_count = find_funcs(insns, count, funcs),
                        .maps = maps,
                        .map_count = MAP_COUNT,
                        .strings = "",
                        .strings_size = 1};
    struct verify_options options = {
        .spec = spec_builtin(), .max_steps = 2000, .max_states = 500, .replay = true};
    struct verify_report report;
    struct arena arena;
    char text[512];
    arena_init(&arena, &source, 8u << 20);
    ebpf_result_t result = verify_program(&p, &options, &arena, &report);
    bool judged = result == EBPF_SUCCESS;
    if (result == EBPF_FAILED || report.accepted != (judged && report.finding_count == 0) ||
        (report.accepted && report.evidence == NULL)) {
        abort();
    }
    if (report.findings != NULL) {
        report_print_text(&p, &report, text, sizeof(text));
        report_print_json(&p, &report, text, sizeof(text));
    }
    arena_fini(&arena);
    return 0;
}
