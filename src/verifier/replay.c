// SPDX-License-Identifier: MIT
// replay: one pass over the stored states that are left, from each to the next points, where nothing is
// stored any more. It needs neither joins nor liveness nor an order of work, so it is what a checker of
// certificates does.
#include "verifier/engine.h"

static ebpf_result_t offer(struct engine *e, uint32_t pc, const struct packed *p)
{
    struct slot *t;
    if (e->options->stored == NULL) {
        return EBPF_SUCCESS;
    }
    TRY(explore_push(e, &t));
    packed_unpack(p, t->state);
    e->options->stored(e->options->stored_user, pc, t->state);
    e->slot_count--;
    return EBPF_SUCCESS;
}

static ebpf_result_t replay_point(struct engine *e, const struct point *at, bool exits)
{
    for (const struct node *n = summary_live(at->nodes); n != NULL && !e->failed; n = summary_live(n->next)) {
        TRY(offer(e, n->pc, n->state));
        // Of a program that was refused some states were not explored; of one that is accepted all are.
        if (!exits && (e->checking || n->explored)) {
            TRY(explore_node(e, n));
        }
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t replay_instance(struct engine *e, struct instance *i)
{
    uint32_t blocks = e->cfg.first_block[i->func + 1] - e->cfg.first_block[i->func];
    e->in = i;
    e->env.callee = i->kind != INSTANCE_PROGRAM;
    TRY(offer(e, e->env.program->funcs[i->func].start, i->entry));
    TRY(engine_enter_instance(e, i));
    for (uint32_t b = 0; b < blocks && !e->failed; b++) {
        if (i->places[b] != NULL) {
            TRY(replay_point(e, &i->places[b]->point, false));
        }
    }
    return replay_point(e, &i->exits, true);
}

// The program's own entry state must be one that was analysed.
static ebpf_result_t replay_entry(struct engine *e)
{
    struct slot *t;
    struct instance *root;
    TRY(explore_push(e, &t));
    state_enter_program(&e->env, t->state);
    TRY(summary_find(e, 0, INSTANCE_PROGRAM, &root));
    e->slot_count--;
    return EBPF_SUCCESS;
}

ebpf_result_t replay_run(struct engine *e, bool check)
{
    e->replaying = true;
    e->checking = check;
    e->failed = false;
    e->slot_count = e->slot_base = e->step_base = 0;
    e->node = NULL;
    e->depth = 1;
    if (check) {
        TRY(replay_entry(e));
    }
    for (uint32_t f = 0; f < e->env.program->func_count && !e->failed; f++) {
        for (struct instance *i = e->instances[f]; i != NULL && !e->failed; i = i->next) {
            if (i->complete || !check) { // others were given up, and are used by nobody
                TRY(replay_instance(e, i));
            }
        }
    }
    e->failed = e->failed || !check;
    return EBPF_SUCCESS;
}
