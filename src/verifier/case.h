// SPDX-License-Identifier: MIT
// case: reads tests/verify/*.vt (the format is described in registers.vt). Tests only.
#pragma once

#include "spec/spec.h"

enum {
    CASE_MAX_INSNS = 512,
    CASE_MAX_MAPS = 8,
    CASE_MAX_FUNCS = 16,
    CASE_MAX_CONTENTS = 64,
    CASE_TEXT_SIZE = 8192
};

struct vt_case {
    char name[80];
    char rule[40];    // expected rule, "accept", or "" when the file does not say
    uint32_t rule_pc; // UINT32_MAX: not said
    uint64_t steps;
    uint32_t states;
    bool unprivileged;
    struct program program; // points into the members below
    struct insn insns[CASE_MAX_INSNS];
    struct func funcs[CASE_MAX_FUNCS];
    struct func_contract contracts[CASE_MAX_FUNCS];
    struct map_def maps[CASE_MAX_MAPS];
    struct map_facts facts[CASE_MAX_MAPS];
    uint8_t contents[CASE_MAX_MAPS][CASE_MAX_CONTENTS];
    char code[CASE_TEXT_SIZE];
};

// Reads the next case at *text, which it advances. False at the end; with *error set when a case is
// malformed.
bool case_read(const char **text, struct vt_case *out, const char **error);
