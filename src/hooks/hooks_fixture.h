// SPDX-License-Identifier: MIT
// hooks_fixture: what the tests of this folder share: a runtime, and small hand-made programs in canonical
// form, which no verifier has seen. Tests only.
#pragma once

#include "hooks/hooks.h"
#include "runtime/runtime.h"
#include "tests/test.h"

#define FIXTURE_MAX_INSNS 8

// An instruction of a fixture program; `field` names the context field that it reads (NULL: none).
struct fixture_insn {
    struct insn insn;
    const char *field;
};
#define OP_MOV(reg, value) {{.id = INSN_MOV64_IMM, .dst = (reg), .imm = (value)}, NULL}
#define OP_CALL(helper)    {{.id = INSN_CALL, .imm = HELPER_##helper}, NULL}
#define OP_EXIT            {{.id = INSN_EXIT}, NULL}
#define OP_LOAD(id_, to, from, offset, field_)                                                               \
    {{.id = INSN_##id_, .dst = (to), .src = (from), .off = (offset)}, field_}

static inline struct runtime *fixture_runtime(void)
{
    struct runtime_options options = {.spec = spec_builtin()};
    struct runtime *rt = NULL;
    return runtime_create(&options, &rt) == EBPF_SUCCESS ? rt : NULL;
}

static inline uint32_t fixture_field(uint32_t layout, const char *name)
{
    const struct layout_row *row = &spec_builtin()->layouts[layout];
    for (uint32_t i = 0; i < row->field_count; i++) {
        if (str_equal(row->fields[i].name, name)) {
            return i;
        }
    }
    return UINT32_MAX;
}

// Loads a program made of `count` instructions; the evidence says which fields it reads.
static inline ebpf_result_t fixture_load(struct runtime *rt, uint32_t type, enum dialect dialect,
                                         const struct fixture_insn *code, uint32_t count, struct prog **out)
{
    struct insn insns[FIXTURE_MAX_INSNS];
    uint32_t evidence[4 + 2 * FIXTURE_MAX_INSNS] = {EVIDENCE_MAGIC, EVIDENCE_FORMAT, count, 0};
    for (uint32_t pc = 0; pc < count; pc++) {
        insns[pc] = code[pc].insn;
        if (code[pc].field != NULL) {
            uint32_t *mark = &evidence[4 + 2 * evidence[3]++];
            mark[0] = pc;
            mark[1] = fixture_field(spec_builtin()->prog_types[type].layout[dialect], code[pc].field);
        }
    }
    struct func entry = {.start = 0, .end = count, .global = 1, .name = "fixture"};
    struct program program = {.type = type,
                              .attach_type = spec_default_attach_type(spec_builtin(), type),
                              .dialect = dialect,
                              .insns = insns,
                              .insn_count = count,
                              .funcs = &entry,
                              .func_count = 1,
                              .strings = "",
                              .strings_size = 1,
                              .name = "fixture",
                              .section = "fixture"};
    struct evidence given = {(const uint8_t *)evidence, (4 + 2 * evidence[3]) * sizeof(uint32_t)};
    return prog_load(rt, &program, NULL, &given, out);
}

// The whole program is "return value".
static inline ebpf_result_t fixture_load_constant(struct runtime *rt, uint32_t type, enum dialect dialect,
                                                  int value, struct prog **out)
{
    const struct fixture_insn code[] = {OP_MOV(0, value), OP_EXIT};
    return fixture_load(rt, type, dialect, code, ARRAY_SIZE(code), out);
}

static inline void fixture_release_prog(struct prog *prog)
{
    object_release(prog_object(prog));
}

static inline void fixture_release_link(struct link *link)
{
    object_release(link_object(link));
}
