// SPDX-License-Identifier: MIT
// bench_bind: programs of objects bound to made-up addresses as the runtime binds them to real ones, so that
// they can be translated without a runtime. Nothing of it may run.
#pragma once

#include "jit/jit.h"
#include "spec/spec.h"

struct bench_bound {
    struct jit_input input;
    struct insn *insns; // input.insns: the program's, with addresses of global data and calls bound
    struct jit_map maps[SPEC_MAX_MAPS];
    struct jit_helper helpers[HELPER_COUNT + 1];
};

// *out holds pointers into itself. False: no memory. bench_unbind gives it back.
bool bench_bind(const struct program *p, struct bench_bound *out) MUST_CHECK;
void bench_unbind(struct bench_bound *b);
