// SPDX-License-Identifier: MIT
// rank: why loops end. Every loop (component of the weak topological order) has a counter in the state, a
// number that no program can see: 0 when the loop is entered, one more whenever its head is reached from
// inside. It takes part in joins and refinements like any number, so what bounds the program's own counters
// bounds it too. Whatever runs for ever stays in one loop for ever and passes through its head infinitely
// often; so a program ends when each counter has a bound in the final states at its head.
//
// Events that the platform permits a bounded number of times (an iterator gives an element) start the
// counters anew: between two of them the turns are bounded, and there are boundedly many. Turns in which a
// may_goto goes on for certain, because no other way leads from the head to the edge that ends them, are not
// counted: there are no more of them than the budget of the run.
#include "verifier/engine.h"
#include "verifier/hint.h"

static bool holds(const struct engine *e, uint32_t loop, uint32_t block)
{
    return wto_holds(&e->wto, loop, block);
}

// Of an edge back to a head: the turn that it ends may have needed no may_goto.
static bool is_counted(const struct engine *e, uint32_t from, uint32_t to)
{
    bool known = false, counted = e->counted == NULL;
    for (unsigned way = 0; way < 2 && !counted; way++) {
        bool is_edge = e->cfg.blocks[from].next[way] == to;
        known = known || is_edge;
        counted = is_edge && (e->counted[from] >> way & 1) != 0;
    }
    return counted || !known;
}

// `from` CFG_NONE: the function is entered.
void rank_edge(const struct engine *e, struct domain_state *s, uint32_t from, uint32_t to)
{
    const struct wto *w = &e->wto;
    uint32_t leaving = from != CFG_NONE ? w->loop[from] : CFG_NONE, entering = w->loop[to];
    for (; leaving != CFG_NONE && !holds(e, leaving, to); leaving = w->loops[leaving].parent) {
        state_leave_loop(s, w->loops[leaving].depth);
    }
    if (wto_is_head(w, to) && from != CFG_NONE && holds(e, entering, from)) {
        if (is_counted(e, from, to)) {
            state_turn_loop(s, w->loops[entering].depth);
        }
        return;
    }
    for (; entering != CFG_NONE && (from == CFG_NONE || !holds(e, entering, from));
         entering = w->loops[entering].parent) {
        state_enter_loop(s, w->loops[entering].depth);
    }
}

void rank_platform_event(const struct engine *e, struct domain_state *s, uint32_t pc)
{
    uint32_t loop = e->wto.loop[e->block_of[pc]];
    for (; loop != CFG_NONE && !e->wto.loops[loop].renews; loop = e->wto.loops[loop].parent) {
        state_enter_loop(s, e->wto.loops[loop].depth);
    }
}

// --- turns of may_goto ---------------------------------------------------------------------------

// A breadth-first walk over the blocks of one loop.
struct walk {
    uint32_t *queue, *seen; // seen: the loop + 1 that a block was met in last
    uint32_t count;
};

// Successor `way` of the block is where its may_goto goes on. (Its jump may have the same target.)
static bool goes_on(const struct engine *e, uint32_t block, unsigned way)
{
    const struct cfg_block *b = &e->cfg.blocks[block];
    return way == 0 && b->next[0] == block + 1 &&
           e->env.program->insns[cfg_last(e->env.program, b)].id == INSN_MAY_GOTO;
}

// Marks the edges back to the loop's head that can be reached from there while no may_goto goes on.
static void walk_loop(struct engine *e, uint32_t loop, struct walk *w)
{
    uint32_t head = e->wto.loops[loop].head;
    w->queue[0] = head;
    w->count = 1;
    for (uint32_t i = 0; i < w->count; i++) {
        uint32_t block = w->queue[i];
        for (unsigned way = 0; way < 2; way++) {
            uint32_t next = e->cfg.blocks[block].next[way];
            if (next == CFG_NONE || goes_on(e, block, way)) {
                continue;
            }
            if (next == head) {
                e->counted[block] |= (uint8_t)(1u << way);
            } else if (holds(e, loop, next) && w->seen[next] != loop + 1) {
                w->seen[next] = loop + 1;
                w->queue[w->count++] = next;
            }
        }
    }
}

static bool has_may_goto(const struct program *p)
{
    uint32_t pc = 0;
    while (pc < p->insn_count && p->insns[pc].id != INSN_MAY_GOTO) {
        pc++;
    }
    return pc < p->insn_count;
}

ebpf_result_t rank_find_counted(struct engine *e)
{
    uint32_t count = e->cfg.block_count;
    if (e->wto.loop_count == 0 || !has_may_goto(e->env.program)) {
        return EBPF_SUCCESS;
    }
    struct walk w = {arena_array(e->arena, count, sizeof(uint32_t)),
                     arena_array(e->arena, count, sizeof(uint32_t)), 0};
    e->counted = arena_array(e->arena, count, sizeof(*e->counted));
    if (w.queue == NULL || w.seen == NULL || e->counted == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t loop = 0; loop < e->wto.loop_count; loop++) {
        walk_loop(e, loop, &w);
    }
    return EBPF_SUCCESS;
}

// --- the bounds ----------------------------------------------------------------------------------

static void find_unbounded(struct engine *e, const struct wto_loop *loop)
{
    uint32_t head = e->cfg.blocks[loop->head].start;
    struct finding *f = path_find_at(e, RULE_UNBOUNDED_LOOP, head);
    f->related_pc = head;
    str_copy(f->needed, sizeof(f->needed), "a number that bounds the turns of the loop");
    str_copy(f->known, sizeof(f->known),
             "nothing that changes in each turn has a limit where the loop goes on");
    str_copy(f->hint, sizeof(f->hint),
             "count the turns in a local variable and leave the loop at a constant limit");
    hint_write(&e->env, NULL, f);
}

// The states at the head of a loop bound its turns.
static ebpf_result_t check_place(struct engine *e, const struct place *place, const struct wto_loop *loop)
{
    struct slot *t;
    TRY(explore_push(e, &t));
    for (const struct node *n = summary_live(place->point.nodes); n != NULL && !e->failed;
         n = summary_live(n->next)) {
        packed_unpack(n->state, t->state);
        if (state_loop_bound(t->state, loop->depth) > ENGINE_MAX_TURNS) {
            find_unbounded(e, loop);
        }
    }
    e->slot_count--;
    return EBPF_SUCCESS;
}

static ebpf_result_t check_instance(struct engine *e, const struct instance *i)
{
    const struct wto *w = &e->wto;
    for (uint32_t k = 0; k < w->loop_count && !e->failed; k++) {
        const struct wto_loop *loop = &w->loops[k];
        if (loop->func != i->func) {
            continue;
        }
        const struct place *place = i->places[loop->head - e->cfg.first_block[i->func]];
        if (place != NULL) {
            TRY(check_place(e, place, loop));
        }
    }
    return EBPF_SUCCESS;
}

ebpf_result_t rank_check(struct engine *e)
{
    for (uint32_t f = 0; f < e->env.program->func_count && e->wto.loop_count != 0; f++) {
        for (const struct instance *i = e->instances[f]; i != NULL && !e->failed; i = i->next) {
            if (i->complete) { // others were given up
                TRY(check_instance(e, i));
            }
        }
    }
    return EBPF_SUCCESS;
}
