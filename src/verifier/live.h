// SPDX-License-Identifier: MIT
// live: which registers and stack cells a later instruction may read, and which of them a later branch tests
// before they change. Hints that make stored states few and alike. A wrong hint can only make the verifier
// refuse more: the engine goes on from the cleaned state itself.
#pragma once

#include "domain/domain.h"
#include "verifier/cfg.h"
#include "verifier/join.h"

struct live_block;

struct live {
    const struct live_block *blocks; // as those of the cfg; NULL: nothing is known, everything counts as live
    const bool *result_used;         // by function: some caller reads r0
};

// EBPF_NO_MEMORY. Programs with very many blocks are not analysed.
ebpf_result_t live_analyse(const struct domain_env *env, const struct cfg *cfg, struct arena *arena,
                           struct live *out) MUST_CHECK;
// What is live at the start of `block`, in the last of `frame_count` frames; in the others everything.
void live_at(const struct live *live, uint32_t block, uint32_t frame_count, struct packed_live *out);
// What is tested after the start of `block`, in the last of `frame_count` frames.
void live_hints(const struct live *live, uint32_t block, uint32_t frame_count, struct join_hints *out);
// Arguments (bits 1-5) that function `func`, which starts with `block`, reads.
uint16_t live_arguments(const struct live *live, uint32_t block);
