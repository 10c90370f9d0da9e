// SPDX-License-Identifier: MIT
// engine: explores every path of the program depth first, one working state at a time.
//
// Soundness: a path is followed until it exits, faults, or arrives at a point with a state that a stored,
// *completely explored* state entails; whatever could happen from here was then looked at already. Packing
// and liveness cleaning forget facts, so the engine goes on from the stored state, not from the one that it
// was made of: a wrong hint costs precision, never soundness. Termination of the program: nothing is dropped
// because of a state that is still being explored. When the exploration ends, every path has ended. A state
// that equals one of its own ancestors would go on for ever. Termination of the engine: steps, work and
// states are counted, each with a limit.
#include "verifier/engine.h"

#define DONE_PER_POINT 64u

struct stored {
    struct stored *next;
    uint32_t pc;
    uint32_t reserved;
    struct packed state; // and what follows it
};

static size_t stored_size(const struct packed *p)
{
    return offsetof(struct stored, state) + p->size;
}

// --- findings ------------------------------------------------------------------------------------

static void find_fault(struct engine *e)
{
    _Static_assert((int)RULE_COUNT == (int)DOMAIN_RULE_COUNT, "one table of rules");
    _Static_assert(FINDING_TEXT_SIZE == FAULT_TEXT_SIZE, "texts are copied whole");
    struct finding *f = finding_add(e->report, (enum rule_id)e->fault->rule, e->pc);
    memcpy(f->message, e->fault->message, sizeof(f->message));
    memcpy(f->needed, e->fault->needed, sizeof(f->needed));
    memcpy(f->known, e->fault->known, sizeof(f->known));
    memcpy(f->hint, e->fault->hint, sizeof(f->hint));
    e->alive = false;
}

static struct finding *find_rule(struct engine *e, enum rule_id rule)
{
    e->alive = false;
    return finding_add(e->report, rule, e->pc);
}

// The loop that the path is in, when a limit was reached: the point with the most states on the path.
static uint32_t busiest_point(const struct engine *e, uint32_t *visits)
{
    uint32_t best = UINT32_MAX;
    *visits = 0;
    for (uint32_t i = 0; i < e->path_count; i++) {
        const struct engine_step *step = &e->path[i];
        const struct engine_point *point = step->kind == PATH_STATE ? e->points[step->pc] : NULL;
        if (point != NULL && point->visits > *visits) {
            *visits = point->visits;
            best = step->pc;
        }
    }
    return best;
}

// A limit was reached. A path that went through one point very often is named as a loop.
static void find_budget(struct engine *e, const char *what, uint64_t limit)
{
    uint32_t visits, loop = busiest_point(e, &visits);
    bool is_loop = visits >= 256;
    struct finding *f = find_rule(e, is_loop ? RULE_UNBOUNDED_LOOP : RULE_BUDGET);
    str_format(f->needed, sizeof(f->needed), "at most %llu %s", (unsigned long long)limit, what);
    if (is_loop) {
        f->pc = loop;
        str_format(f->known, sizeof(f->known), "the loop was followed %u times without coming to an end",
                   visits);
        str_copy(f->hint, sizeof(f->hint), "give the loop a constant upper bound, and make it small");
    } else {
        str_format(f->known, sizeof(f->known), "%llu instructions were followed, %u states are stored",
                   (unsigned long long)e->report->steps, e->stored);
        str_copy(f->hint, sizeof(f->hint),
                 "split the program; branches that are independent of each other multiply the paths");
    }
}

static bool charge(struct engine *e, uint64_t words)
{
    e->work += words;
    if (e->work > e->max_work) {
        find_budget(e, "words of states stored and compared", e->max_work);
        return false;
    }
    return true;
}

// --- the path ------------------------------------------------------------------------------------

static ebpf_result_t push(struct engine *e, struct stored *stored, uint32_t pc, enum engine_path kind)
{
    if (e->path_count == e->path_capacity) {
        uint32_t capacity = e->path_capacity == 0 ? 256 : e->path_capacity * 2;
        struct engine_step *grown = arena_array(e->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return EBPF_NO_MEMORY;
        }
        if (e->path_count != 0) {
            memcpy(grown, e->path, e->path_count * sizeof(*grown));
        }
        e->path = grown;
        e->path_capacity = capacity;
    }
    e->path[e->path_count++] = (struct engine_step){stored, pc, kind};
    return EBPF_SUCCESS;
}

static ebpf_result_t store(struct engine *e, const struct packed *p, uint32_t pc, struct stored **out)
{
    struct stored *s = pool_alloc(&e->pool, stored_size(p));
    if (s == NULL) {
        return EBPF_NO_MEMORY;
    }
    s->next = NULL;
    s->pc = pc;
    s->reserved = 0;
    memcpy(&s->state, p, p->size);
    e->stored++;
    if (e->stored > e->report->states) {
        e->report->states = e->stored;
    }
    *out = s;
    return EBPF_SUCCESS;
}

static void release(struct engine *e, struct stored *s)
{
    e->stored--;
    pool_free(&e->pool, s, stored_size(&s->state));
}

// Everything that follows from `s` was explored.
static void complete(struct engine *e, struct stored *s)
{
    struct engine_point *point = e->points[s->pc];
    if (point->checkpoint == s) {
        point->checkpoint = NULL;
        point->visits = 0;
    }
    s->next = point->done;
    point->done = s;
    if (++point->done_count <= DONE_PER_POINT) {
        return;
    }
    struct stored **last = &point->done;
    while ((*last)->next != NULL) {
        last = &(*last)->next;
    }
    release(e, *last);
    *last = NULL;
    point->done_count--;
}

// This path has ended: goes back to the newest branch whose second outcome is possible.
static void backtrack(struct engine *e)
{
    while (e->path_count > 0) {
        struct engine_step step = e->path[--e->path_count];
        if (step.kind == PATH_STATE) {
            complete(e, step.stored);
            continue;
        }
        packed_unpack(&step.stored->state, e->state);
        uint64_t words = step.stored->state.size / 8;
        release(e, step.stored);
        e->pc = step.pc;
        if (!charge(e, words)) {
            return;
        }
        if (transfer_branch(&e->env, e->state, step.pc, true)) {
            e->pc = (uint32_t)insn_target(&e->env.program->insns[step.pc], step.pc);
            return;
        }
    }
    e->alive = false;
}

// --- points --------------------------------------------------------------------------------------

static ebpf_result_t point_at(struct engine *e, uint32_t pc, struct engine_point **out)
{
    if (e->points[pc] == NULL) {
        e->points[pc] = arena_alloc(e->arena, sizeof(**e->points));
        if (e->points[pc] == NULL) {
            return EBPF_NO_MEMORY;
        }
    }
    *out = e->points[pc];
    return EBPF_SUCCESS;
}

static bool is_explored(struct engine *e, struct engine_point *point, const struct packed *arriving)
{
    struct stored **link = &point->done;
    for (; *link != NULL; link = &(*link)->next) {
        struct stored *s = *link;
        e->work += 4 + s->state.entry_count;
        if (packed_entails(e->scratch, &s->state, arriving)) {
            *link = s->next; // what was useful once goes to the front
            s->next = point->done;
            point->done = s;
            return true;
        }
    }
    return false;
}

static void find_endless(struct engine *e)
{
    struct finding *f = find_rule(e, RULE_UNBOUNDED_LOOP);
    str_copy(f->message, sizeof(f->message), "a loop comes back to here with nothing changed");
    str_copy(f->needed, sizeof(f->needed), "every turn of the loop brings it closer to its end");
    str_copy(f->known, sizeof(f->known), "all that is known is the same as one turn, or some turns, before");
    str_copy(f->hint, sizeof(f->hint),
             "count the turns in a local variable and leave the loop at a constant limit");
}

// Arrives at a point. Unless the path ends here, the working state becomes what is stored.
static ebpf_result_t arrive(struct engine *e, bool *ended)
{
    struct engine_point *point;
    TRY(point_at(e, e->pc, &point));
    bool known = live_at(&e->live, e->state, e->pc, e->hint);
    const struct packed *p = packed_make(e->scratch, e->state, known ? e->hint : NULL);
    *ended = true;
    if (!charge(e, p->size / 8)) {
        return EBPF_SUCCESS;
    }
    if (is_explored(e, point, p)) {
        backtrack(e);
        return EBPF_SUCCESS;
    }
    if (point->checkpoint != NULL && packed_equal(&point->checkpoint->state, p)) {
        find_endless(e);
        return EBPF_SUCCESS;
    }
    if (e->stored >= e->max_states) {
        find_budget(e, "stored states", e->max_states);
        return EBPF_SUCCESS;
    }
    struct stored *s;
    TRY(store(e, p, e->pc, &s));
    TRY(push(e, s, e->pc, PATH_STATE));
    point->visits++;
    if (point->checkpoint == NULL || (point->visits & (point->visits - 1)) == 0) {
        point->checkpoint = s;
    }
    packed_unpack(&s->state, e->state);
    *ended = false;
    return EBPF_SUCCESS;
}

// --- instructions --------------------------------------------------------------------------------

// Goes on at `next`, which follows the instruction.
static void fall_through(struct engine *e, uint32_t next)
{
    if (next >= e->env.program->insn_count || (e->cfg.flags[next] & CFG_FUNCTION) != 0) {
        struct finding *f = find_rule(e, RULE_MISSING_EXIT);
        str_copy(f->needed, sizeof(f->needed), "an exit or a jump as the last instruction of the function");
        return;
    }
    e->pc = next;
}

// What the instruction accesses must be the same on every path: the field is fixed in its machine code.
static bool mark_access(struct engine *e)
{
    const struct insn_info *info = insn_info(e->env.program->insns[e->pc].id);
    if (info->form != FORM_LOAD && info->form != FORM_STORE_IMM && info->form != FORM_STORE_REG) {
        return true;
    }
    int field = obligation_context_field(&e->env, e->state, e->pc);
    uint32_t mark = field < 0 ? ENGINE_OTHER_MEMORY : (uint32_t)field + 1;
    if (e->marks[e->pc] == ENGINE_NO_MARK) {
        e->marks[e->pc] = mark;
    }
    if (e->marks[e->pc] == mark) {
        return true;
    }
    struct finding *f = find_rule(e, RULE_MIXED_CONTEXT_ACCESS);
    str_copy(f->needed, sizeof(f->needed), "the same field of the context, or other memory, on every path");
    str_copy(f->known, sizeof(f->known),
             "another path accesses another field, or memory that is not the context");
    str_copy(f->hint, sizeof(f->hint), "read the context into a local variable before the branch");
    return false;
}

static ebpf_result_t step_branch(struct engine *e, const struct insn *in)
{
    bool taken = transfer_branch_is_possible(&e->env, e->state, e->pc, true);
    bool through = transfer_branch_is_possible(&e->env, e->state, e->pc, false);
    if (taken && through) {
        const struct packed *p = packed_make(e->scratch, e->state, NULL);
        struct stored *s;
        if (!charge(e, p->size / 8)) {
            return EBPF_SUCCESS;
        }
        if (e->stored >= e->max_states) {
            find_budget(e, "stored states", e->max_states);
            return EBPF_SUCCESS;
        }
        TRY(store(e, p, e->pc, &s));
        TRY(push(e, s, e->pc, PATH_BRANCH));
    }
    if (through ? transfer_branch(&e->env, e->state, e->pc, false)
                : taken && transfer_branch(&e->env, e->state, e->pc, true)) {
        if (through) {
            fall_through(e, e->pc + 1);
        } else {
            e->pc = (uint32_t)insn_target(in, e->pc);
        }
    } else {
        backtrack(e); // no outcome is possible: the path does not exist
    }
    return EBPF_SUCCESS;
}

static void step_exit(struct engine *e)
{
    if (e->state->frame_count == 1) {
        backtrack(e);
        return;
    }
    fall_through(e, transfer_return(e->state));
}

static ebpf_result_t step(struct engine *e)
{
    const struct insn *in = &e->env.program->insns[e->pc];
    const struct insn_info *info = insn_info(in->id);
    if (insn_is_conditional(in)) {
        return step_branch(e, in);
    }
    if (insn_is_jump(in)) {
        e->pc = (uint32_t)insn_target(in, e->pc);
    } else if (info->sem == SEM_CALL_LOCAL) {
        transfer_call(&e->env, e->state, e->pc);
        e->pc = (uint32_t)insn_target(in, e->pc);
    } else if (info->form == FORM_EXIT) {
        step_exit(e);
    } else {
        transfer_insn(&e->env, e->state, e->pc);
        fall_through(e, e->pc + insn_slots(in));
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t advance(struct engine *e)
{
    if (++e->report->steps > e->max_steps) {
        e->report->steps--;
        find_budget(e, "instructions", e->max_steps);
        return EBPF_SUCCESS;
    }
    if ((e->cfg.flags[e->pc] & CFG_POINT) != 0) {
        bool ended;
        TRY(arrive(e, &ended));
        if (ended) {
            return EBPF_SUCCESS;
        }
    }
    if (e->options->observe != NULL) {
        e->options->observe(e->options->observe_user, e->pc, e->state);
    }
    if (!obligation_check(&e->env, e->state, e->pc, e->fault)) {
        find_fault(e);
        return EBPF_SUCCESS;
    }
    return mark_access(e) ? step(e) : EBPF_SUCCESS;
}

static bool is_reference(const struct insn *in)
{
    uint8_t sem = insn_info(in->id)->sem;
    return sem == SEM_CALL_BTF || (sem >= SEM_LDDW_MAP_FD && sem <= SEM_LDDW_MAP_VALUE);
}

// What an instruction names is bound when the program is loaded, also in code that nothing reaches. These
// obligations hold in every state or in none.
static void check_references(struct engine *e)
{
    const struct program *p = e->env.program;
    state_enter_program(&e->env, e->state);
    for (e->pc = 0; e->pc < p->insn_count; e->pc++) {
        if (is_reference(&p->insns[e->pc]) && !obligation_check(&e->env, e->state, e->pc, e->fault)) {
            find_fault(e);
            return;
        }
    }
}

ebpf_result_t engine_run(struct engine *e)
{
    state_enter_program(&e->env, e->state);
    e->pc = 0;
    e->alive = true;
    while (e->alive) {
        TRY(advance(e));
    }
    if (e->report->finding_count == 0) {
        check_references(e);
    }
    return EBPF_SUCCESS;
}

ebpf_result_t engine_init(struct engine *e)
{
    uint32_t count = e->env.program->insn_count;
    e->max_steps = e->options->max_steps != 0 ? e->options->max_steps : VERIFY_MAX_STEPS;
    e->max_states = e->options->max_states != 0 ? e->options->max_states : VERIFY_MAX_STATES;
    e->max_work = e->max_steps < UINT64_MAX / 256 ? e->max_steps * 256 : UINT64_MAX;
    pool_init(&e->pool, e->arena);
    e->state = arena_alloc(e->arena, sizeof(*e->state));
    e->scratch = arena_alloc(e->arena, sizeof(*e->scratch));
    e->fault = arena_alloc(e->arena, sizeof(*e->fault));
    e->hint = arena_alloc(e->arena, sizeof(*e->hint));
    e->points = arena_array(e->arena, count, sizeof(struct engine_point *));
    e->marks = arena_array(e->arena, count, sizeof(*e->marks));
    bool all = e->state != NULL && e->scratch != NULL && e->fault != NULL && e->hint != NULL &&
               e->points != NULL && e->marks != NULL;
    return all ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}
