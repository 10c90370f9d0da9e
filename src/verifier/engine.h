// SPDX-License-Identifier: MIT
// engine: the fixpoint over one program. See engine.c for why it is sound and why it ends. The parts:
//   engine.c   the work list of a function, attempts, limits
//   explore.c  from one stored state along all ways to the next points
//   summary.c  calls: analyses of functions, kept by their entry state
//   callback.c helpers that call functions of the program
//   rank.c     whether loops end
//   path.c     findings, and how the path led there
//   replay.c   the result checked once more
// Inside the folder only.
#pragma once

#include "domain/domain.h"
#include "verifier/cfg.h"
#include "verifier/live.h"
#include "verifier/points.h"
#include "verifier/pool.h"
#include "verifier/result.h"
#include "verifier/verifier.h"
#include "verifier/wto.h"

#define ENGINE_NO_MARK      0u
#define ENGINE_OTHER_MEMORY UINT32_MAX
#define ENGINE_MAX_TURNS    ((int64_t)1 << 32) // of a loop that is accepted
#define ENGINE_SHADOW_REGS  0x3c0u             // r6-r9
#define ENGINE_MAX_ENTRIES  64u                // analyses of one function before entry states are joined

enum slot_kind {
    SLOT_PATH,  // `state` is before the instruction at `pc`
    SLOT_EXITS, // `state` is a caller, at its call, that goes on after each exit from `exit` on
    SLOT_DEAD,  // ends here
};

// A state that is worked on, or waits until those above it are done.
struct slot {
    struct domain_state *state;
    uint32_t pc;
    uint32_t from;       // last instruction before pc
    uint32_t step_count; // branches on the way, in engine.steps
    uint32_t kind;       // enum slot_kind
    bool fresh;          // at the point that the exploration started from
    bool branched;       // `last` is not in engine.steps yet
    struct finding_step last;
    const struct instance *callee;
    const struct node *exit; // next one
};

// More states than this do not wait: they are stored at the block that they go to, point or not.
#define ENGINE_MAX_WAITING 24u

struct engine {
    struct domain_env env;
    const struct verify_options *options;
    struct arena *arena; // the caller's
    struct verify_report *report;
    struct cfg cfg;
    struct wto wto;
    uint8_t *counted; // by block: successors (bits) that may end a turn without may_goto; NULL: it has none
    struct live live;
    uint32_t *block_of;    // by slot of the program: its block
    uint32_t *marks;       // by slot of the program: field of the context + 1, or one of ENGINE_*
    bool *changes_packet;  // by function: a helper that it calls may move the packet
    bool *may_end;         // by function: it may end the whole program
    bool *breaks_contract; // by function: it is not verified against its contract
    struct join_options join;
    struct domain_fault *fault;

    // One attempt; memory of its own.
    struct arena memory;
    struct pool pool;
    struct points points;
    struct packed_scratch *scratch;
    struct packed_live *hint;
    struct instance **instances; // by function
    struct instance *root;
    struct instance *in;     // the running one
    const struct node *node; // that is explored
    struct slot **slots;
    uint32_t slot_count, slot_base, slot_capacity, slots_made;
    struct finding_step *steps;
    uint32_t step_base, step_capacity;
    uint32_t depth; // instances that run inside each other
    bool unroll;    // turns of loops are kept apart
    bool replaying, checking;
    bool failed; // a finding was made, or replaying went wrong
    uint64_t step_limit, work_limit;
    uint32_t state_limit;
};

// Prepares *e for a program that satisfies program_check. EBPF_NO_MEMORY.
ebpf_result_t engine_init(struct engine *e) MUST_CHECK;
// Explores everything, or up to the first finding. EBPF_NO_MEMORY.
ebpf_result_t engine_run(struct engine *e) MUST_CHECK;
void engine_fini(struct engine *e);
// Runs `i` until nothing changes any more, or something is found.
ebpf_result_t engine_run_instance(struct engine *e, struct instance *i) MUST_CHECK;
// The entry state of `i`, the running instance, arrives at its first block.
ebpf_result_t engine_enter_instance(struct engine *e, const struct instance *i) MUST_CHECK;
// `s` arrives at the start of a block, or at its call of a callback.
ebpf_result_t engine_arrive(struct engine *e, const struct domain_state *s, const struct slot *from,
                            uint32_t pc) MUST_CHECK;
// `s` arrives at the end of the running instance.
ebpf_result_t engine_arrive_exit(struct engine *e, struct domain_state *s,
                                 const struct slot *from) MUST_CHECK;
// Functions that are active in `s`: hidden ones are not among its frames, and the last pass starts in the
// middle.
static inline uint32_t engine_depth(const struct engine *e, const struct domain_state *s)
{
    return e->depth > s->frame_count ? e->depth : s->frame_count;
}
// A limit was reached, and a finding made.
bool engine_is_exhausted(struct engine *e);

// --- explore.c -----------------------------------------------------------------------------------

// From `n` to the next points.
ebpf_result_t explore_node(struct engine *e, const struct node *n) MUST_CHECK;
// A slot on top of the others, its state void. EBPF_NO_MEMORY.
ebpf_result_t explore_push(struct engine *e, struct slot **out) MUST_CHECK;
static inline struct slot *explore_top(struct engine *e)
{
    return e->slots[e->slot_count - 1];
}
// The state in slot `t` goes on at `next`, from its pc.
void explore_go(struct engine *e, struct slot *t, uint32_t next);
// The same, at what follows the instruction at t->pc.
void explore_fall_through(struct engine *e, struct slot *t, uint32_t next);
// So many states wait that the next one had better be stored.
static inline bool explore_is_crowded(const struct engine *e)
{
    return e->slot_count - e->slot_base >= ENGINE_MAX_WAITING;
}

// --- summary.c -----------------------------------------------------------------------------------

// The call at the top slot's pc: the slot becomes one of SLOT_EXITS.
ebpf_result_t summary_call(struct engine *e) MUST_CHECK;
// The next exit state of the top slot goes on from a new slot; without one the slot goes.
ebpf_result_t summary_next_exit(struct engine *e) MUST_CHECK;
// The analysis of `func` from the state of the top slot on: a known one, or a new one that is run. NULL when
// something was found, or when replaying and there is none.
ebpf_result_t summary_find(struct engine *e, uint32_t func, unsigned kind, struct instance **out) MUST_CHECK;
// *s, a caller of `i`, becomes the state after the call that ended as `exit`. False: not possible from *s.
bool summary_return(const struct instance *i, const struct node *exit, struct domain_state *scratch,
                    struct domain_state *s) MUST_CHECK;
// First live node from `n` on, or NULL.
static inline const struct node *summary_live(const struct node *n)
{
    while (n != NULL && n->dead) {
        n = n->next;
    }
    return n;
}

// --- callback.c ----------------------------------------------------------------------------------

// Turns of the callback that the call at the top slot's pc makes, if it has one: each arrives at the same
// point.
ebpf_result_t callback_turn(struct engine *e) MUST_CHECK;

// --- rank.c --------------------------------------------------------------------------------------

// Every loop has a bounded turn counter, or a finding is made.
ebpf_result_t rank_check(struct engine *e) MUST_CHECK;
// The turn counters of the loops that an edge enters, turns in and leaves.
void rank_edge(const struct engine *e, struct domain_state *s, uint32_t from, uint32_t to);
// Something happened that the platform permits a bounded number of times: the counters of the loops around
// `pc` in which it is not made anew start again.
void rank_platform_event(const struct engine *e, struct domain_state *s, uint32_t pc);
// Finds the turns that may_goto bounds (engine.counted). EBPF_NO_MEMORY.
ebpf_result_t rank_find_counted(struct engine *e) MUST_CHECK;

// --- path.c --------------------------------------------------------------------------------------

// A finding of `rule` at the top slot. NULL while a result that was refused is replayed: the slot ends.
struct finding *path_find(struct engine *e, enum rule_id rule);
// The finding that engine.fault tells of, at the top slot.
void path_find_fault(struct engine *e);
// The result does not replay: an error of ours.
void path_find_internal(struct engine *e);
// A finding about `pc`, without path.
struct finding *path_find_at(struct engine *e, enum rule_id rule, uint32_t pc);

// --- replay.c ------------------------------------------------------------------------------------

// Goes over the stored states once, without storing any; offers states to options->observe and ->stored. When
// `check`, every arrival must be entailed by a live state: otherwise a finding is made.
ebpf_result_t replay_run(struct engine *e, bool check) MUST_CHECK;

// Adds a finding with the rule's sentence, at most VERIFY_MAX_FINDINGS; the texts can be replaced afterwards.
struct finding *finding_add(struct verify_report *report, enum rule_id rule, uint32_t pc);
