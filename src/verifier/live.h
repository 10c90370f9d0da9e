// SPDX-License-Identifier: MIT
// live: which registers and stack cells a later instruction may read. A hint that makes stored states few and
// alike. A wrong hint can only make the verifier refuse more: the engine goes on from the cleaned state
// itself.
#pragma once

#include "domain/domain.h"
#include "verifier/cfg.h"

struct live_block;

struct live {
    const struct live_block *blocks; // sorted by start; NULL: nothing is known, everything counts as live
    uint32_t block_count;
};

// EBPF_NO_MEMORY. Programs with very many blocks are not analysed.
ebpf_result_t live_analyse(const struct domain_env *env, const struct cfg *cfg, struct arena *arena,
                           struct live *out) MUST_CHECK;
// What is live in `s` at `pc`, a point or the start of a function. False: everything.
bool live_at(const struct live *live, const struct domain_state *s, uint32_t pc, struct packed_live *out);
