// SPDX-License-Identifier: MIT
// engine: the exploration of one program. See engine.c for why it is sound and why it ends.
#pragma once

#include "domain/domain.h"
#include "verifier/cfg.h"
#include "verifier/live.h"
#include "verifier/pool.h"
#include "verifier/verifier.h"

struct stored; // a packed state at a point

// Where several ways meet.
struct engine_point {
    struct stored *done; // explored to the end without a fault, newest first
    struct stored
        *checkpoint; // one that is being explored; an equal arrival means that nothing changes any more
    uint32_t done_count;
    uint32_t visits;
};

enum engine_path { PATH_STATE, PATH_BRANCH };

// What is left to do, newest last: a stored state that is done when everything above it is, or the second
// outcome of a branch.
struct engine_step {
    struct stored *stored;
    uint32_t pc;
    uint32_t kind; // enum engine_path
};

#define ENGINE_NO_MARK      0u
#define ENGINE_OTHER_MEMORY UINT32_MAX

struct engine {
    struct domain_env env;
    const struct verify_options *options;
    struct arena *arena;
    struct verify_report *report;
    struct cfg cfg;
    struct live live;
    struct pool pool;
    struct domain_state *state; // working state
    struct packed_scratch *scratch;
    struct domain_fault *fault;
    struct packed_live *hint;
    struct engine_point **points; // by slot
    uint32_t *marks;              // by slot: field of the context + 1, or one of ENGINE_*
    struct engine_step *path;
    uint32_t path_count, path_capacity;
    uint32_t pc;
    bool alive;      // something is left to explore
    uint32_t stored; // states held now
    uint64_t work;   // measure of time: packed words compared and written
    uint64_t max_steps, max_work;
    uint32_t max_states;
};

// Prepares *e for a program that satisfies program_check. EBPF_NO_MEMORY.
ebpf_result_t engine_init(struct engine *e) MUST_CHECK;
// Explores everything, or up to the first finding. EBPF_NO_MEMORY.
ebpf_result_t engine_run(struct engine *e) MUST_CHECK;

// Adds a finding with the rule's sentence, at most VERIFY_MAX_FINDINGS; the texts can be replaced afterwards.
struct finding *finding_add(struct verify_report *report, enum rule_id rule, uint32_t pc);
