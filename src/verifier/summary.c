// SPDX-License-Identifier: MIT
// summary: a function is analysed once for each state that it is entered in, unless a known analysis starts
// from a state that stands for this one too. Analyses are complete before anybody uses their exits: functions
// do not call themselves.
#include "verifier/engine.h"

// --- analyses ------------------------------------------------------------------------------------

static bool fits(struct engine *e, const struct instance *i, unsigned kind, const struct packed *entry)
{
    bool usable = i->complete || (e->replaying && !e->checking);
    return i->kind == kind && usable && i->entry->frame_count == entry->frame_count &&
           packed_entails(e->scratch, i->entry, entry);
}

// The oldest one: the same one now and when the result is replayed.
static struct instance *find_known(struct engine *e, uint32_t func, unsigned kind, const struct packed *entry,
                                   uint32_t *count)
{
    *count = 0;
    for (struct instance *i = e->instances[func]; i != NULL; i = i->next) {
        if (fits(e, i, kind, entry)) {
            return i;
        }
        *count += i->kind == kind && i->entry->frame_count == entry->frame_count;
    }
    return NULL;
}

static const struct packed *keep(struct engine *e, const struct packed *p)
{
    struct packed *copy = pool_alloc(&e->pool, p->size);
    if (copy != NULL) {
        memcpy(copy, p, p->size);
    }
    return copy;
}

// So many entry states: the new analysis is for this one and the newest other one together.
static const struct packed *widen_entry(struct engine *e, uint32_t func, unsigned kind,
                                        const struct packed *entry)
{
    struct join_options options = e->points.join;
    options.widen = true;
    const struct packed *newest = NULL;
    for (struct instance *i = e->instances[func]; i != NULL; i = i->next) {
        if (i->kind == kind && i->entry->frame_count == entry->frame_count) {
            newest = i->entry;
        }
    }
    const struct packed *joined = join_states(e->scratch, newest, entry, &options);
    return joined != NULL ? keep(e, joined) : entry;
}

static ebpf_result_t make_instance(struct engine *e, uint32_t func, unsigned kind, const struct packed *entry,
                                   struct instance **out)
{
    uint32_t blocks = e->cfg.first_block[func + 1] - e->cfg.first_block[func];
    struct instance *i = arena_alloc(&e->memory, sizeof(*i));
    if (i == NULL) {
        return EBPF_NO_MEMORY;
    }
    i->places = arena_array(&e->memory, blocks, sizeof(*i->places));
    i->todo = arena_array(&e->memory, (blocks + 63) / 64, sizeof(*i->todo));
    if (i->places == NULL || i->todo == NULL) {
        return EBPF_NO_MEMORY;
    }
    i->place_count = blocks;
    i->func = func;
    i->kind = kind;
    i->height = 1;
    i->entry = entry;
    i->frame_count = entry->frame_count;
    i->is_hidden = entry->frame_count == 1 ||
                   (entry->frame_count == 2 && packed_frames(entry)[0].return_pc == CALL_SHADOW);
    i->exits.hints.tested.regs = 1u | (i->is_hidden ? ENGINE_SHADOW_REGS : 0u);
    if (i->frame_count > 1) {
        memset(i->exits.hints.tested.cells[i->frame_count - 2], 0xff, sizeof(i->exits.hints.tested.cells[0]));
    }
    struct instance **end = &e->instances[func];
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = i;
    *out = i;
    return EBPF_SUCCESS;
}

static ebpf_result_t run(struct engine *e, struct instance *i)
{
    struct instance *outer = e->in;
    bool callee = e->env.callee;
    e->in = i;
    e->env.callee = i->kind != INSTANCE_PROGRAM;
    e->depth++;
    TRY(engine_run_instance(e, i));
    e->depth--;
    e->env.callee = callee;
    e->in = outer;
    return EBPF_SUCCESS;
}

static void find_depth(struct engine *e)
{
    struct finding *f = path_find(e, RULE_CALL_DEPTH);
    if (f != NULL) {
        str_format(f->needed, sizeof(f->needed), "at most %d nested functions", INSN_MAX_FRAMES);
        str_format(f->known, sizeof(f->known), "%u functions are active already, and this call may add more",
                   e->depth);
        str_copy(f->hint, sizeof(f->hint), "inline some of the functions, for example with __always_inline");
    }
}

// The analysis of `func` from the state of the top slot on; NULL as summary_find says.
static ebpf_result_t find_or_run(struct engine *e, uint32_t func, unsigned kind, struct instance **out)
{
    uint32_t count;
    const struct packed *entry = packed_make(e->scratch, explore_top(e)->state, NULL);
    *out = find_known(e, func, kind, entry, &count);
    if (*out != NULL) {
        return EBPF_SUCCESS;
    }
    if (e->replaying) {
        if (e->checking) {
            path_find_internal(e);
        }
        return EBPF_SUCCESS;
    }
    entry = keep(e, entry);
    if (entry != NULL && count >= ENGINE_MAX_ENTRIES) {
        entry = widen_entry(e, func, kind, entry);
    }
    if (entry == NULL) {
        return EBPF_NO_MEMORY;
    }
    struct instance *made;
    TRY(make_instance(e, func, kind, entry, &made));
    TRY(run(e, made));
    *out = e->failed ? NULL : made;
    return EBPF_SUCCESS;
}

// A function calls back whatever address it is handed, which the call graph does not tell: an analysis knows
// how many frames it took, and needs as many wherever it is used again.
ebpf_result_t summary_find(struct engine *e, uint32_t func, unsigned kind, struct instance **out)
{
    TRY(find_or_run(e, func, kind, out));
    if (*out == NULL || e->in == NULL || e->replaying) {
        return EBPF_SUCCESS;
    }
    if (e->in->height <= (*out)->height) {
        e->in->height = (*out)->height + 1;
    }
    if (e->depth + (*out)->height > INSN_MAX_FRAMES) {
        find_depth(e);
        *out = NULL;
    }
    return EBPF_SUCCESS;
}

// --- calls ---------------------------------------------------------------------------------------

// A global function: its contract is all that the caller knows. When the function cannot be verified from its
// contract alone, *done is false: then it is verified for each call, as static ones are.
static ebpf_result_t call_by_contract(struct engine *e, struct slot *t, uint32_t func, bool *done)
{
    struct slot *entry;
    struct instance *callee;
    *done = false;
    if (e->breaks_contract[func] || (e->may_end[func] && t->state->ref_count != 0)) {
        return EBPF_SUCCESS;
    }
    *done = true;
    if (!call_check_contract(&e->env, t->state, func, e->fault)) {
        path_find_fault(e);
        return EBPF_SUCCESS;
    }
    uint32_t slots = e->slot_count;
    TRY(explore_push(e, &entry));
    call_enter_contract(&e->env, func, entry->state);
    TRY(summary_find(e, func, INSTANCE_CONTRACT, &callee));
    e->slot_count = slots;
    if (callee == NULL) {
        e->breaks_contract[func] = true;
        e->failed = *done = false;
        e->report->finding_count = 0;
        return EBPF_SUCCESS;
    }
    call_apply_contract(&e->env, t->state, func, e->changes_packet[func]);
    explore_fall_through(e, t, t->pc + 1);
    return EBPF_SUCCESS;
}

ebpf_result_t summary_call(struct engine *e)
{
    struct slot *t = explore_top(e), *entry;
    struct instance *callee;
    uint32_t func = cfg_callee(e->env.program, t->pc);
    if (engine_depth(e, t->state) + e->cfg.height[func] > INSN_MAX_FRAMES) {
        find_depth(e);
        return EBPF_SUCCESS;
    }
    if (call_has_contract(e->env.program, func)) {
        bool done;
        TRY(call_by_contract(e, t, func, &done));
        if (done) {
            return EBPF_SUCCESS;
        }
    }
    uint16_t args = live_arguments(&e->live, e->cfg.first_block[func]);
    TRY(explore_push(e, &entry));
    call_enter(t->state, entry->state, args, call_may_hide(t->state, args));
    entry->pc = t->pc;
    TRY(summary_find(e, func, INSTANCE_CALL, &callee));
    if (e->failed) {
        return EBPF_SUCCESS;
    }
    e->slot_count--;
    t->kind = callee != NULL ? SLOT_EXITS : SLOT_DEAD;
    t->callee = callee;
    t->exit = callee != NULL ? summary_live(callee->exits.nodes) : NULL;
    return EBPF_SUCCESS;
}

bool summary_return(const struct instance *i, const struct node *exit, struct domain_state *scratch,
                    struct domain_state *s)
{
    packed_unpack(exit->state, scratch);
    if (i->is_hidden) {
        return call_return(s, scratch);
    }
    state_copy(s, scratch);
    return true;
}

// The caller in slot `t`, or a copy of it, goes on after t->exit.
static ebpf_result_t go_on(struct engine *e, struct slot *t, struct slot *out)
{
    struct slot *scratch;
    TRY(explore_push(e, &scratch));
    bool possible = summary_return(t->callee, t->exit, scratch->state, out->state);
    e->slot_count--;
    out->kind = possible ? SLOT_PATH : SLOT_DEAD;
    out->pc = t->pc;
    if (possible) {
        explore_fall_through(e, out, out->pc + 1);
    }
    return EBPF_SUCCESS;
}

ebpf_result_t summary_next_exit(struct engine *e)
{
    struct slot *t = explore_top(e), *out;
    if (t->exit == NULL) {
        e->slot_count--; // the function does not come back
        return EBPF_SUCCESS;
    }
    const struct node *after = summary_live(t->exit->next);
    if (after == NULL) {
        return go_on(e, t, t);
    }
    bool crowded = explore_is_crowded(e);
    TRY(explore_push(e, &out));
    state_copy(out->state, t->state);
    TRY(go_on(e, t, out));
    t->exit = after;
    if (crowded && !e->failed && out->kind == SLOT_PATH) {
        TRY(engine_arrive(e, out->state, out, out->pc)); // what follows a call starts a block
        e->slot_count--;
    }
    return EBPF_SUCCESS;
}
