// SPDX-License-Identifier: MIT
// path: findings of the engine, with the branches that led there. Nodes point to those that they were reached
// from, so the path is read backwards from the state that failed.
#include "verifier/engine.h"

#include "verifier/hint.h"
#include "verifier/loss.h"

struct finding *path_find_at(struct engine *e, enum rule_id rule, uint32_t pc)
{
    e->failed = true;
    return finding_add(e->report, rule, pc);
}

// Appends steps[0..count) to the path that is collected newest first. False when it is full.
static bool collect(struct finding_step *newest, uint32_t *count, const struct finding_step *steps,
                    uint32_t from)
{
    while (from > 0 && *count < VERIFY_MAX_PATH) {
        newest[(*count)++] = steps[--from];
    }
    return from == 0;
}

static void add_path(struct engine *e, const struct slot *t, struct finding *f)
{
    struct finding_step newest[VERIFY_MAX_PATH];
    uint32_t count = 0;
    uint32_t steps = t->step_count - e->step_base;
    bool whole = collect(newest, &count, steps != 0 ? e->steps + e->step_base : NULL, steps);
    for (const struct node *n = e->node; n != NULL && whole; n = n->parent) {
        whole = collect(newest, &count, n->steps, n->step_count);
    }
    f->path_is_cut = !whole;
    struct finding_step *path = arena_array(e->arena, count, sizeof(*path));
    if (path == NULL) {
        return; // the finding stands without it
    }
    for (uint32_t i = 0; i < count; i++) {
        path[i] = newest[count - 1 - i];
    }
    f->path = path;
    f->path_count = count;
}

struct finding *path_find(struct engine *e, enum rule_id rule)
{
    struct slot *t = explore_top(e);
    if (e->replaying && !e->checking) {
        t->kind = SLOT_DEAD;
        return NULL;
    }
    struct finding *f = path_find_at(e, rule, t->pc);
    add_path(e, t, f);
    return f;
}

void path_find_internal(struct engine *e)
{
    struct finding *f = path_find(e, RULE_BUDGET);
    str_copy(f->message, sizeof(f->message),
             "the verifier's result does not replay, which is an error of its own");
}

void path_find_fault(struct engine *e)
{
    _Static_assert((int)RULE_COUNT == (int)DOMAIN_RULE_COUNT, "one table of rules");
    _Static_assert(FINDING_TEXT_SIZE == FAULT_TEXT_SIZE, "texts are copied whole");
    struct finding *f = path_find(e, (enum rule_id)e->fault->rule);
    if (f == NULL) {
        return;
    }
    memcpy(f->message, e->fault->message, sizeof(f->message));
    memcpy(f->needed, e->fault->needed, sizeof(f->needed));
    memcpy(f->known, e->fault->known, sizeof(f->known));
    memcpy(f->hint, e->fault->hint, sizeof(f->hint));
    if (e->fault->related_pc != 0) {
        f->related_pc = e->fault->related_pc;
    }
    const struct slot *t = explore_top(e);
    loss_find(e, t->state, t->step_count - e->step_base, f);
    hint_write(&e->env, t->state, f);
}
