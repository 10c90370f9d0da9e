// SPDX-License-Identifier: MIT
// tiny_module: native modules made by hand, as images of them would lie in memory: two instances of one, with
// four programs, for tests of what registers, binds and revokes modules. Canonical forms, evidence and
// digests are the test's to set where somebody looks at them.
#pragma once

#include "plat/plat.h"
#include "spec/spec.h"

#include <ebpf_native.h>

enum { TINY_ANSWER, TINY_COUNT, TINY_JUMP, TINY_HOLD, TINY_PROGRAMS };
enum { TINY_MAP_VALUES, TINY_MAP_PROGRAMS, TINY_MAPS };        // array of 4 u64; prog array of 4
enum { TINY_LOOKUP, TINY_TAIL_CALL, TINY_TIME, TINY_HELPERS }; // the last one is called by no program

struct tiny_module {
    struct ebpf_native_module table;
    struct ebpf_native_program programs[TINY_PROGRAMS];
    struct ebpf_native_map maps[TINY_MAPS];
    struct ebpf_native_helper helpers[TINY_HELPERS];
    struct ebpf_native_map_binding map_bindings[TINY_MAPS];
    ebpf_native_helper_fn helper_bindings[TINY_HELPERS];
    struct ebpf_native_imports imports;
    // Of TINY_HOLD: runs that are in it, and whether they may go on.
    uint32_t holding, may_go;
};
static struct tiny_module tiny[2];

#define TINY_INSN(name, d, s, o, i) {.id = INSN_##name, .dst = d, .src = s, .off = o, .imm = i}

static const struct insn tiny_answer[] = {TINY_INSN(MOV64_IMM, 0, 0, 0, 42), TINY_INSN(EXIT, 0, 0, 0, 0)};
// v = lookup(values, 1); if (v == 0) return 0; return ++*v;
static const struct insn tiny_count[] = {
    TINY_INSN(STW, 10, 0, -4, 1),
    TINY_INSN(LDDW_MAP, 1, 0, 0, 0),
    {0},
    TINY_INSN(MOV64_REG, 2, 10, 0, 0),
    TINY_INSN(ADD64_IMM, 2, 0, 0, -4),
    TINY_INSN(CALL, 0, 0, 0, HELPER_MAP_LOOKUP_ELEM),
    TINY_INSN(JEQ64_IMM, 0, 0, 4, 0),
    TINY_INSN(LDXDW, 1, 0, 0, 0),
    TINY_INSN(ADD64_IMM, 1, 0, 0, 1),
    TINY_INSN(STXDW, 0, 1, 0, 0),
    TINY_INSN(MOV64_REG, 0, 1, 0, 0),
    TINY_INSN(EXIT, 0, 0, 0, 0),
};
// Goes on with element 1 of the programs; 77 when there is none.
static const struct insn tiny_jump[] = {
    TINY_INSN(LDDW_MAP, 2, 0, 0, 0),   {0},
    TINY_INSN(MOV64_IMM, 3, 0, 0, 1),  TINY_INSN(CALL, 0, 0, 0, HELPER_TAIL_CALL_LINUX),
    TINY_INSN(MOV64_IMM, 0, 0, 0, 77), TINY_INSN(EXIT, 0, 0, 0, 0),
};

static inline uint64_t tiny_run_answer(uint64_t r1, uint64_t r2, struct ebpf_native_run *run,
                                       uint8_t *frame_top)
{
    UNUSED(r1);
    UNUSED(r2);
    UNUSED(run);
    UNUSED(frame_top);
    return 42;
}

// As generated code does it: in line, with the stride and the number of entries as constants.
static inline uint64_t tiny_count_in(struct tiny_module *m)
{
    uint64_t *value = (uint64_t *)(uintptr_t)(m->map_bindings[TINY_MAP_VALUES].values + 1 * 8);
    return ++*value;
}

PLAT_CALLS_CODE static inline uint64_t tiny_jump_from(struct tiny_module *m, uint64_t r1,
                                                      struct ebpf_native_run *run, uint8_t *frame_top)
{
    uint64_t map = m->map_bindings[TINY_MAP_PROGRAMS].address;
    uint64_t failed = m->helper_bindings[TINY_TAIL_CALL](r1, map, 1, (uint64_t)(uintptr_t)frame_top, 0, run);
    if (failed != 0) {
        return 77;
    }
    return ((ebpf_native_entry_fn)(uintptr_t)run->number)(r1, 0, run, frame_top);
}

static inline uint64_t tiny_hold_in(struct tiny_module *m)
{
    __atomic_fetch_add(&m->holding, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&m->may_go, __ATOMIC_SEQ_CST) == 0) {
    }
    __atomic_fetch_sub(&m->holding, 1, __ATOMIC_SEQ_CST);
    return 42;
}

// Each image has its own data, which its code knows.
#define TINY_ENTRY(n, name, call)                                                                            \
    static inline uint64_t tiny_run_##name##n(uint64_t r1, uint64_t r2, struct ebpf_native_run *run,         \
                                              uint8_t *frame_top)                                            \
    {                                                                                                        \
        UNUSED(r1);                                                                                          \
        UNUSED(r2);                                                                                          \
        UNUSED(run);                                                                                         \
        UNUSED(frame_top);                                                                                   \
        return call;                                                                                         \
    }
TINY_ENTRY(0, count, tiny_count_in(&tiny[0]))
TINY_ENTRY(1, count, tiny_count_in(&tiny[1]))
TINY_ENTRY(0, jump, tiny_jump_from(&tiny[0], r1, run, frame_top))
TINY_ENTRY(1, jump, tiny_jump_from(&tiny[1], r1, run, frame_top))
TINY_ENTRY(0, hold, tiny_hold_in(&tiny[0]))
TINY_ENTRY(1, hold, tiny_hold_in(&tiny[1]))

// Instructions and map definitions as of a program's canonical form; without maps: none.
struct tiny_source {
    const char *name;
    const struct insn *insns;
    uint32_t insn_count;
    uint32_t map_count; // 0 or 1
    uint32_t map;       // row
    uint32_t helper_count, helper;
};
static const struct tiny_source tiny_sources[TINY_PROGRAMS] = {
    [TINY_ANSWER] = {"answer", tiny_answer, ARRAY_SIZE(tiny_answer), 0, 0, 0, 0},
    [TINY_COUNT] = {"count", tiny_count, ARRAY_SIZE(tiny_count), 1, TINY_MAP_VALUES, 1, TINY_LOOKUP},
    [TINY_JUMP] = {"jump", tiny_jump, ARRAY_SIZE(tiny_jump), 1, TINY_MAP_PROGRAMS, 1, TINY_TAIL_CALL},
    [TINY_HOLD] = {"hold", tiny_answer, ARRAY_SIZE(tiny_answer), 0, 0, 0, 0},
};

static inline void tiny_set_programs(struct tiny_module *m, const ebpf_native_entry_fn entries[TINY_PROGRAMS])
{
    static const uint8_t some_bytes[] = {1, 2, 3};
    for (unsigned i = 0; i < TINY_PROGRAMS; i++) {
        const struct tiny_source *s = &tiny_sources[i];
        m->programs[i] = (struct ebpf_native_program){.name = s->name,
                                                      .section = "xdp",
                                                      .type = "xdp",
                                                      .attach_type = "xdp",
                                                      .entry = entries[i],
                                                      .canonical = some_bytes,
                                                      .canonical_size = sizeof(some_bytes),
                                                      .evidence = some_bytes,
                                                      .evidence_size = sizeof(some_bytes),
                                                      .maps = &s->map,
                                                      .map_count = s->map_count,
                                                      .helpers = &s->helper,
                                                      .helper_count = s->helper_count,
                                                      .insn_count = s->insn_count};
    }
}

static inline void tiny_set_table(struct tiny_module *m)
{
    m->table = (struct ebpf_native_module){.size = sizeof(m->table),
                                           .magic = EBPF_NATIVE_MAGIC,
                                           .version = EBPF_NATIVE_VERSION,
                                           .program_size = sizeof(m->programs[0]),
                                           .map_size = sizeof(m->maps[0]),
                                           .helper_size = sizeof(m->helpers[0]),
                                           .binding_size = sizeof(m->map_bindings[0]),
                                           .program_count = TINY_PROGRAMS,
                                           .map_count = TINY_MAPS,
                                           .helper_count = TINY_HELPERS,
                                           .name = "tiny",
                                           .generator = "by hand",
                                           .programs = m->programs,
                                           .maps = m->maps,
                                           .helpers = m->helpers,
                                           .map_bindings = m->map_bindings,
                                           .helper_bindings = m->helper_bindings,
                                           .imports = &m->imports};
}

// Instance `n` as a fresh image.
static inline struct tiny_module *tiny_module_reset(unsigned n)
{
    static const ebpf_native_entry_fn entries[2][TINY_PROGRAMS] = {
        {tiny_run_answer, tiny_run_count0, tiny_run_jump0, tiny_run_hold0},
        {tiny_run_answer, tiny_run_count1, tiny_run_jump1, tiny_run_hold1},
    };
    tiny[n] = (struct tiny_module){
        .maps = {{.name = "values",
                  .type = "array",
                  .key_size = 4,
                  .value_size = 8,
                  .max_entries = 4,
                  .stride = 8,
                  .uses = EBPF_NATIVE_USE_ADDRESS | EBPF_NATIVE_USE_VALUES},
                 {.name = "programs",
                  .type = "prog_array",
                  .key_size = 4,
                  .value_size = 4,
                  .max_entries = 4,
                  .uses = EBPF_NATIVE_USE_ADDRESS}},
        .helpers = {{"bpf_map_lookup_elem", 1, HELPER_MAP_LOOKUP_ELEM},
                    {"bpf_tail_call", 12, HELPER_TAIL_CALL_LINUX},
                    {"bpf_ktime_get_ns", 5, HELPER_KTIME_GET_NS}},
        .imports = {.size = sizeof(struct ebpf_native_imports)},
    };
    tiny_set_programs(&tiny[n], entries[n]);
    tiny_set_table(&tiny[n]);
    return &tiny[n];
}
