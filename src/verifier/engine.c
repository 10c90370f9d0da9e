// SPDX-License-Identifier: MIT
// engine: the disjunctive fixpoint. Each point of a function (where ways meet, loops begin, callbacks are
// called) keeps a few states; arrivals are dropped, joined or kept by the policy of points.c; what is new is
// explored up to the next points. The lowest point in the weak topological order goes first, so that
// everything that leads to a point is there before it is explored, and inner loops are stable before outer
// ones.
//
// Soundness: when nothing is left to explore, each way from a stored state to the next point was followed to
// a state that a stored one entails. Packing, liveness cleaning and joining forget facts, so exploration goes
// on from stored states, never from what they were made of: a wrong hint or join costs precision, and
// replay.c finds it. Termination of the program: rank.c. Termination of the engine: joins at heads of loops
// widen, and instructions, states and work are counted, each with a limit.
//
// When a program with loops is refused, it is tried once more with the turns of all loops kept apart, as far
// as a smaller limit permits: that finds what a bounded loop initialises piece by piece. If this fails too,
// the first finding stands.
#include "verifier/engine.h"

#include "verifier/hint.h"
#include "verifier/thresholds.h"

#define WORK_PER_STEP    128u
#define UNROLL_STEPS     200000u
#define UNROLL_PER_POINT 256u // turns that differ; then the attempt ends

// --- limits --------------------------------------------------------------------------------------

static void find_budget(struct engine *e, const char *what, uint64_t limit)
{
    struct finding *f = path_find(e, RULE_BUDGET);
    if (f == NULL) {
        return;
    }
    str_format(f->needed, sizeof(f->needed), "at most %llu %s", (unsigned long long)limit, what);
    str_format(f->known, sizeof(f->known), "%llu instructions were followed, %u states are stored",
               (unsigned long long)e->report->steps, e->points.stored);
    str_copy(f->hint, sizeof(f->hint),
             "split the program; branches that depend on each other multiply the states");
}

bool engine_is_exhausted(struct engine *e)
{
    if (e->replaying) {
        return false;
    }
    if (e->report->steps > e->step_limit) {
        e->report->steps--;
        find_budget(e, "instructions", e->step_limit);
    } else if (e->points.work > e->work_limit) {
        find_budget(e, "words of states stored and compared", e->work_limit);
    } else if (e->points.stored > e->state_limit) {
        find_budget(e, "stored states", e->state_limit);
    }
    return e->failed;
}

// --- arrivals ------------------------------------------------------------------------------------

static ebpf_result_t place_at(struct engine *e, uint32_t block, struct place **out)
{
    struct instance *i = e->in;
    struct place **slot = &i->places[block - e->cfg.first_block[i->func]];
    if (*slot == NULL && !e->replaying) {
        struct place *made = arena_alloc(&e->memory, sizeof(*made));
        if (made == NULL) {
            return EBPF_NO_MEMORY;
        }
        bool calls_back = (e->cfg.flags[e->cfg.blocks[block].start] & CFG_CALLBACK) != 0;
        made->last = &made->first;
        made->point.is_head = wto_is_head(&e->wto, block) || calls_back;
        made->point.unroll = e->unroll;
        live_hints(&e->live, block, i->frame_count, &made->point.hints);
        made->point.hints.loops = e->unroll;
        made->point.hints.tested.saved[0] = ENGINE_SHADOW_REGS; // the caller may test what is learned
        *slot = made;
    }
    *out = *slot;
    return EBPF_SUCCESS;
}

static ebpf_result_t enqueue(struct engine *e, struct place *place, uint32_t block, struct node *n)
{
    struct instance *i = e->in;
    struct pending *p = pool_alloc(&e->pool, sizeof(*p));
    if (p == NULL) {
        return EBPF_NO_MEMORY;
    }
    *p = (struct pending){NULL, n};
    *place->last = p;
    place->last = &p->next;
    uint32_t at = e->wto.position[block] - e->cfg.first_block[i->func];
    i->todo[at / 64] |= (uint64_t)1 << (at % 64);
    i->first_todo = min_u32(i->first_todo, at / 64);
    return EBPF_SUCCESS;
}

// Where the state in a slot came from; of the branches on the way the newest ones.
static struct points_origin origin_of(const struct engine *e, const struct slot *from)
{
    uint32_t count = from->step_count - e->step_base;
    uint32_t kept = min_u32(count, VERIFY_MAX_PATH);
    const struct finding_step *steps = kept != 0 ? e->steps + from->step_count - kept : NULL;
    return (struct points_origin){e->node, steps, kept, from->from};
}

// Replaying: one of the states of the point must stand for the arriving one.
static void check_arrival(struct engine *e, const struct point *at, const struct packed *p)
{
    for (const struct node *n = at != NULL ? summary_live(at->nodes) : NULL; n != NULL;
         n = summary_live(n->next)) {
        if (packed_entails(e->scratch, n->state, p)) {
            return;
        }
    }
    if (e->checking) {
        path_find_internal(e);
    }
}

ebpf_result_t engine_arrive(struct engine *e, const struct domain_state *s, const struct slot *from,
                            uint32_t pc)
{
    uint32_t block = e->block_of[pc];
    struct place *place;
    TRY(place_at(e, block, &place));
    live_at(&e->live, block, s->frame_count, e->hint);
    e->hint->keep_packet = e->env.callee; // hidden callers may have pointers to it
    const struct packed *p = packed_make(e->scratch, s, e->hint);
    if (e->replaying) {
        check_arrival(e, place != NULL ? &place->point : NULL, p);
        return EBPF_SUCCESS;
    }
    struct points_origin origin = origin_of(e, from);
    enum points_result result;
    struct node *n;
    TRY(points_arrive(&e->points, &place->point, pc, p, &origin, &n, &result));
    if (e->points.stored > e->report->states) {
        e->report->states = e->points.stored;
    }
    if (e->unroll && place->point.live_count >= e->points.per_point) {
        find_budget(e, "turns that are kept apart", e->points.per_point);
        return EBPF_SUCCESS;
    }
    if (result != POINTS_KNOWN) {
        TRY(enqueue(e, place, block, n));
    }
    return e->points.pending != NULL ? enqueue(e, place, block, e->points.pending) : EBPF_SUCCESS;
}

// --- exits ---------------------------------------------------------------------------------------

static void find_result(struct engine *e)
{
    struct finding *f = path_find(e, RULE_GLOBAL_FUNCTION);
    if (f != NULL) {
        str_copy(f->needed, sizeof(f->needed), "a number as the result of a global function");
        str_copy(f->hint, sizeof(f->hint), "return a number, or make the function static");
    }
}

// What must hold at the exit beyond the obligations of the instruction. False: the way ends there.
static bool check_end(struct engine *e, const struct domain_state *s)
{
    const struct instance *i = e->in;
    if (i->kind >= INSTANCE_CALLBACK) {
        enum callback_type type = (enum callback_type)(i->kind - INSTANCE_CALLBACK);
        if (!helper_check_callback_exit(&e->env, s, type, e->fault) ||
            (call_is_deferred(type) &&
             !special_check_nothing_held(&e->env, s, "returns from a callback", e->fault))) {
            path_find_fault(e);
            return false;
        }
        return !call_is_deferred(type);
    }
    if (i->kind != INSTANCE_CONTRACT) {
        return i->kind == INSTANCE_CALL;
    }
    if (!special_check_nothing_held(&e->env, s, "returns from a global function", e->fault)) {
        path_find_fault(e);
    } else if (!e->env.program->contracts[i->func].returns_void && s->regs[0].kind != VALUE_SCALAR) {
        find_result(e);
    }
    return false;
}

// Callers are hidden: only the result is of interest, and what was learned about the arguments and the
// packet.
static void keep_result(const struct engine *e, struct domain_state *s)
{
    struct state_frame *f = &s->frames[0];
    bool used = e->live.result_used == NULL || e->live.result_used[e->in->func];
    if (!used && e->in->kind == INSTANCE_CALL) {
        memset(&s->regs[0], 0, sizeof(s->regs[0]));
    }
    if (e->in->frame_count == 1) {
        memset(&s->regs[1], 0, 9 * sizeof(s->regs[0]));
    }
    memset(f->present, 0, sizeof(f->present));
    memset(f->init, 0, sizeof(f->init));
    memset(&f->span, 0, sizeof(f->span));
    f->counting = 0;
    s->sum_count = s->bound_count = 0;
}

ebpf_result_t engine_arrive_exit(struct engine *e, struct domain_state *s, const struct slot *from)
{
    struct instance *i = e->in;
    if (!check_end(e, s)) {
        return EBPF_SUCCESS;
    }
    call_end_frame(s);
    if (s->frame_count > 1) {
        call_leave(s);
    }
    if (i->is_hidden) {
        keep_result(e, s);
    }
    const struct packed *p = packed_make(e->scratch, s, NULL);
    if (e->replaying) {
        check_arrival(e, &i->exits, p);
        return EBPF_SUCCESS;
    }
    struct points_origin origin = origin_of(e, from);
    enum points_result result;
    struct node *n;
    return points_arrive(&e->points, &i->exits, from->pc, p, &origin, &n, &result);
}

// --- the work list -------------------------------------------------------------------------------

// Lowest position with something to explore, or CFG_NONE.
static uint32_t first_todo(struct engine *e, struct instance *i)
{
    uint32_t blocks = e->cfg.first_block[i->func + 1] - e->cfg.first_block[i->func];
    for (; i->first_todo < (blocks + 63) / 64; i->first_todo++) {
        uint64_t word = i->todo[i->first_todo];
        if (word != 0) {
            return i->first_todo * 64 + (uint32_t)__builtin_ctzll(word);
        }
    }
    return CFG_NONE;
}

// Oldest state of the place that is not explored and not joined into another one, or NULL.
static struct node *take(struct engine *e, struct place *place)
{
    while (place->first != NULL) {
        struct pending *p = place->first;
        struct node *n = p->node;
        place->first = p->next;
        if (place->first == NULL) {
            place->last = &place->first;
        }
        pool_free(&e->pool, p, sizeof(*p));
        if (!n->dead) {
            return n;
        }
    }
    return NULL;
}

ebpf_result_t engine_enter_instance(struct engine *e, const struct instance *i)
{
    struct slot *t;
    uint32_t block = e->cfg.first_block[i->func];
    TRY(explore_push(e, &t));
    packed_unpack(i->entry, t->state);
    t->pc = t->from = e->cfg.blocks[block].start;
    rank_edge(e, t->state, CFG_NONE, block);
    TRY(engine_arrive(e, t->state, t, t->pc));
    e->slot_count--;
    return EBPF_SUCCESS;
}

ebpf_result_t engine_run_instance(struct engine *e, struct instance *i)
{
    uint32_t first = e->cfg.first_block[i->func];
    TRY(engine_enter_instance(e, i));
    for (uint32_t at; !e->failed && (at = first_todo(e, i)) != CFG_NONE;) {
        struct place *place = i->places[e->wto.order[first + at] - first];
        struct node *n = take(e, place);
        if (n == NULL) {
            i->todo[at / 64] &= ~((uint64_t)1 << (at % 64));
            continue;
        }
        n->explored = true;
        TRY(explore_node(e, n));
    }
    i->complete = !e->failed;
    return EBPF_SUCCESS;
}

// --- attempts ------------------------------------------------------------------------------------

static bool is_reference(const struct insn *in)
{
    uint8_t sem = insn_info(in->id)->sem;
    return sem == SEM_CALL_BTF || (sem >= SEM_LDDW_MAP_FD && sem <= SEM_LDDW_MAP_VALUE);
}

// What an instruction names is bound when the program is loaded, also in code that nothing reaches. These
// obligations hold in every state or in none.
static ebpf_result_t check_references(struct engine *e)
{
    const struct program *p = e->env.program;
    struct slot *t;
    TRY(explore_push(e, &t));
    state_enter_program(&e->env, t->state);
    for (t->pc = 0; t->pc < p->insn_count && !e->failed; t->pc++) {
        if (is_reference(&p->insns[t->pc]) && p->insns[t->pc].id != INSN_CALL_BTF &&
            !obligation_check(&e->env, t->state, t->pc, e->fault)) {
            path_find_fault(e);
        }
    }
    e->slot_count--;
    return EBPF_SUCCESS;
}

static ebpf_result_t start_attempt(struct engine *e, bool unroll)
{
    struct mem_source const *source = e->arena->source;
    size_t limit = e->arena->limit;
    if (limit != 0) {
        limit = limit > e->arena->held ? limit - e->arena->held : 1;
    }
    arena_init(&e->memory, source, limit);
    pool_init(&e->pool, &e->memory);
    e->instances = arena_array(&e->memory, e->env.program->func_count, sizeof(*e->instances));
    e->points =
        (struct points){.arena = &e->memory, .pool = &e->pool, .scratch = e->scratch, .join = e->join};
    e->points.per_point = e->options->per_point != 0 ? e->options->per_point : VERIFY_PER_POINT;
    e->slots = NULL;
    e->slot_count = e->slot_base = e->slot_capacity = e->slots_made = 0;
    e->steps = NULL;
    e->step_base = e->step_capacity = 0;
    e->in = NULL;
    e->node = NULL;
    e->depth = 0;
    e->unroll = unroll;
    e->failed = e->replaying = e->checking = false;
    memset(e->marks, 0, e->env.program->insn_count * sizeof(*e->marks));
    if (unroll) {
        e->points.per_point = UNROLL_PER_POINT;
        uint64_t limit_steps = e->report->steps + UNROLL_STEPS;
        e->step_limit = min_u64(e->step_limit, limit_steps);
        e->work_limit = min_u64(e->work_limit, (uint64_t)UNROLL_STEPS * WORK_PER_STEP);
    }
    return e->instances != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

static ebpf_result_t attempt(struct engine *e, bool unroll)
{
    struct slot *entry;
    TRY(start_attempt(e, unroll));
    TRY(explore_push(e, &entry));
    state_enter_program(&e->env, entry->state);
    TRY(summary_find(e, 0, INSTANCE_PROGRAM, &e->root));
    if (!e->failed) {
        e->slot_count--;
        TRY(rank_check(e));
    }
    return e->failed ? EBPF_SUCCESS : check_references(e);
}

static void end_attempt(struct engine *e)
{
    size_t held = e->arena->held + e->memory.held;
    if (held > e->report->peak_bytes) {
        e->report->peak_bytes = held;
    }
    arena_fini(&e->memory);
}

static bool wants_replay(const struct engine *e)
{
    return e->options->observe != NULL || e->options->stored != NULL || (e->options->replay && !e->failed);
}

static void offer_analyses(struct engine *e)
{
    for (uint32_t f = 0; f < e->env.program->func_count && e->options->analysed != NULL; f++) {
        for (const struct instance *i = e->instances[f]; i != NULL; i = i->next) {
            if (i->complete) {
                e->options->analysed(e->options->analysed_user, i);
            }
        }
    }
}

static ebpf_result_t finish(struct engine *e)
{
    if (!e->failed) {
        offer_analyses(e);
    }
    if (!wants_replay(e)) {
        return EBPF_SUCCESS;
    }
    bool accepted = !e->failed;
    TRY(replay_run(e, accepted));
    return accepted && e->failed ? EBPF_FAILED : EBPF_SUCCESS;
}

ebpf_result_t engine_run(struct engine *e)
{
    TRY(attempt(e, false));
    if (e->failed && e->wto.loop_count != 0 && e->wto.max_depth <= STATE_MAX_LOOPS) {
        struct finding first = e->report->findings[0];
        end_attempt(e);
        e->report->finding_count = 0;
        ebpf_result_t result = attempt(e, true);
        if (result != EBPF_SUCCESS && result != EBPF_NO_MEMORY) {
            return result;
        }
        if (e->failed || result != EBPF_SUCCESS) {
            e->report->findings[0] = first;
            e->report->finding_count = 1;
        }
        if (result != EBPF_SUCCESS) {
            return EBPF_SUCCESS; // what is there of the attempt cannot be looked at
        }
    }
    return finish(e);
}

void engine_fini(struct engine *e)
{
    if (e->memory.source != NULL) {
        end_attempt(e);
    }
}

// --- set-up --------------------------------------------------------------------------------------

static ebpf_result_t index_blocks(struct engine *e)
{
    e->block_of = arena_array(e->arena, e->env.program->insn_count, sizeof(*e->block_of));
    if (e->block_of == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t b = 0; b < e->cfg.block_count; b++) {
        for (uint32_t pc = e->cfg.blocks[b].start; pc < e->cfg.blocks[b].end; pc++) {
            e->block_of[pc] = b;
        }
    }
    return EBPF_SUCCESS;
}

// A packet load that fails ends the whole program.
static bool insn_may_end_program(const struct insn *in)
{
    uint8_t form = insn_info(in->id)->form;
    return form == FORM_LDABS || form == FORM_LDIND;
}

static bool insn_changes_packet(const struct engine *e, const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    if (info->form == FORM_CALLX || info->sem == SEM_CALL_BTF) {
        return true;
    }
    bool helper = in->id == INSN_CALL && in->imm > 0 && in->imm < (int64_t)e->env.spec->helper_count;
    return helper && (e->env.spec->helpers[in->imm].flags & HELPER_CHANGES_PACKET) != 0;
}

// Adds what instruction `pc` and the function that it calls, if any, do to what function `f` does.
static bool add_effects(struct engine *e, uint32_t f, uint32_t pc)
{
    const struct insn *in = &e->env.program->insns[pc];
    uint32_t callee = cfg_callee(e->env.program, pc);
    bool packet = insn_changes_packet(e, in) || (callee != CFG_NONE && e->changes_packet[callee]);
    bool ends = insn_may_end_program(in) || (callee != CFG_NONE && e->may_end[callee]);
    bool changed = (packet && !e->changes_packet[f]) || (ends && !e->may_end[f]);
    e->changes_packet[f] |= packet;
    e->may_end[f] |= ends;
    return changed;
}

// What functions do, directly or through those they call. Nesting is at most 8 deep.
static ebpf_result_t find_effects(struct engine *e)
{
    const struct program *p = e->env.program;
    e->changes_packet = arena_array(e->arena, p->func_count, sizeof(bool));
    e->may_end = arena_array(e->arena, p->func_count, sizeof(bool));
    e->breaks_contract = arena_array(e->arena, p->func_count, sizeof(bool));
    if (e->changes_packet == NULL || e->may_end == NULL || e->breaks_contract == NULL) {
        return EBPF_NO_MEMORY;
    }
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint32_t f = 0; f < p->func_count; f++) {
            for (uint32_t pc = p->funcs[f].start; pc < p->funcs[f].end; pc++) {
                changed |= add_effects(e, f, pc);
            }
        }
    }
    return EBPF_SUCCESS;
}

static bool may_make_iterator(const struct engine *e, const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    if (info->form != FORM_CALL && info->form != FORM_CALLX) {
        return false;
    }
    bool helper = (info->sem == SEM_CALL || info->sem == SEM_CALL_BTF) && in->imm > 0 &&
                  in->imm < (int64_t)e->env.spec->helper_count;
    bool makes = !helper;
    for (unsigned arg = 0; helper && arg < 5; arg++) {
        unsigned type = e->env.spec->helpers[in->imm].args[arg] & ARG_KIND_MASK;
        makes = makes || type == ARG_ITER_NEW || type == ARG_CALLBACK;
    }
    return makes;
}

// Marks the loops that call something which may make an iterator.
static void find_renewals(struct engine *e)
{
    const struct program *p = e->env.program;
    for (uint32_t pc = 0; pc < p->insn_count && e->wto.loop_count != 0; pc++) {
        uint32_t loop = may_make_iterator(e, &p->insns[pc]) ? e->wto.loop[e->block_of[pc]] : CFG_NONE;
        for (; loop != CFG_NONE; loop = e->wto.loops[loop].parent) {
            e->wto.loops[loop].renews = true;
        }
    }
}

ebpf_result_t engine_init(struct engine *e)
{
    e->step_limit = e->options->max_steps != 0 ? e->options->max_steps : VERIFY_MAX_STEPS;
    e->state_limit = e->options->max_states != 0 ? e->options->max_states : VERIFY_MAX_STATES;
    e->work_limit = (uint64_t)VERIFY_MAX_STEPS * WORK_PER_STEP;
    e->scratch = arena_alloc(e->arena, sizeof(*e->scratch));
    e->fault = arena_alloc(e->arena, sizeof(*e->fault));
    e->hint = arena_alloc(e->arena, sizeof(*e->hint));
    e->marks = arena_array(e->arena, e->env.program->insn_count, sizeof(*e->marks));
    if (e->scratch == NULL || e->fault == NULL || e->hint == NULL || e->marks == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY(index_blocks(e));
    TRY(find_effects(e));
    find_renewals(e);
    TRY(rank_find_counted(e));
    return thresholds_collect(e->env.program, e->arena, &e->join);
}
