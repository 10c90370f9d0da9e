// SPDX-License-Identifier: MIT
// callback: a helper that calls a function of the program is a loop at its call: from the state there, the
// function runs and comes back to the same point any number of times; from each state there, the helper may
// be done. The platform bounds the number of turns.
#include "verifier/engine.h"

// The states in which callee `i` leaves the helper call of slot `t` arrive at the call again.
static ebpf_result_t come_back(struct engine *e, const struct slot *t, const struct instance *i)
{
    struct slot *out, *scratch;
    TRY(explore_push(e, &out));
    TRY(explore_push(e, &scratch));
    out->pc = out->from = t->pc;
    for (const struct node *n = summary_live(i->exits.nodes); n != NULL; n = summary_live(n->next)) {
        state_copy(out->state, t->state);
        if (summary_return(i, n, scratch->state, out->state)) {
            call_resume(out->state, t->state);
            TRY(engine_arrive(e, out->state, out, t->pc));
        }
    }
    e->slot_count -= 2;
    return EBPF_SUCCESS;
}

static void find_depth(struct engine *e)
{
    struct finding *f = path_find(e, RULE_CALL_DEPTH);
    if (f != NULL) {
        str_format(f->needed, sizeof(f->needed), "at most %d nested functions, callbacks included",
                   INSN_MAX_FRAMES);
        str_format(f->known, sizeof(f->known),
                   "%u functions are active already, and this callback may add more", e->depth);
        str_copy(f->hint, sizeof(f->hint),
                 "call the helper further up, and pass no callback to functions deeper down");
    }
}

// The point of a callback is found before any value is known.
static void find_indirect(struct engine *e)
{
    struct finding *f = path_find(e, RULE_CALLBACK);
    if (f != NULL) {
        str_copy(f->needed, sizeof(f->needed), "a direct call of a helper that calls back");
        str_copy(f->known, sizeof(f->known), "its number comes from a register");
        str_copy(f->hint, sizeof(f->hint), "call the helper by its name");
    }
}

ebpf_result_t callback_turn(struct engine *e)
{
    struct slot *t = explore_top(e), *entry;
    struct instance *callee;
    struct helper_callback cb;
    uint32_t id = obligation_called_helper(&e->env, t->state, t->pc);
    if (id == HELPER_NONE || !helper_find_callback(&e->env, t->state, id, &cb)) {
        return EBPF_SUCCESS;
    }
    if ((e->cfg.flags[t->pc] & CFG_CALLBACK) == 0) {
        find_indirect(e);
        return EBPF_SUCCESS;
    }
    if (engine_depth(e, t->state) + e->cfg.height[cb.func] > INSN_MAX_FRAMES) {
        find_depth(e);
        return EBPF_SUCCESS;
    }
    uint16_t args = cb.ctx_reg != 0 ? (uint16_t)(1u << cb.ctx_reg) : 0;
    TRY(explore_push(e, &entry));
    entry->pc = t->pc;
    if (!call_enter_callback(&e->env, t->state, &cb, call_may_hide(t->state, args), entry->state, e->fault)) {
        e->slot_count--;
        path_find_fault(e);
        return EBPF_SUCCESS;
    }
    TRY(summary_find(e, cb.func, INSTANCE_CALLBACK + cb.type, &callee));
    if (e->failed) {
        return EBPF_SUCCESS;
    }
    e->slot_count--;
    bool deferred = call_is_deferred((enum callback_type)cb.type);
    return callee == NULL || deferred ? EBPF_SUCCESS : come_back(e, t, callee);
}
