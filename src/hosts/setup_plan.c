// SPDX-License-Identifier: MIT
// setup_plan: walks the table of steps, forwards and backwards.
#include "hosts/setup_plan.h"

void plan_note_format(struct plan_note *note, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    str_vformat(note->text, sizeof(note->text), fmt, args);
    va_end(args);
}

static void tell(const struct plan *p, enum plan_event event, unsigned i, uint32_t error,
                 const struct plan_note *note)
{
    if (p->tell != NULL) {
        p->tell(p->user, event, &p->steps[i], PLAN_ABSENT, error, note);
    }
}

static uint32_t apply(const struct plan *p, unsigned i)
{
    const struct plan_step *s = &p->steps[i];
    struct plan_note note = {{0}, false};
    uint32_t error = 0;
    if (p->fail_at == i + 1) {
        error = p->fail_error;
        plan_note_format(&note, "made to fail by --fail-at");
    } else if (s->apply != NULL) {
        error = s->apply(p->user, s->argument, &note);
    } else {
        return 0;
    }
    tell(p, PLAN_APPLIED, i, error, &note);
    return error;
}

static void revert(const struct plan *p, unsigned applied)
{
    while (applied-- > 0) {
        const struct plan_step *s = &p->steps[applied];
        struct plan_note note = {{0}, false};
        if (s->revert != NULL) {
            uint32_t error = s->revert(p->user, s->argument, &note);
            tell(p, PLAN_REVERTED, applied, error, &note);
        }
    }
}

uint32_t plan_install(const struct plan *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        uint32_t error = apply(p, i);
        if (error != 0) {
            revert(p, i);
            return error;
        }
    }
    if (p->fail_at == p->count + 1) {
        revert(p, p->count);
        return p->fail_error;
    }
    for (unsigned i = 0; i < p->count; i++) {
        if (p->steps[i].commit != NULL) {
            p->steps[i].commit(p->user, p->steps[i].argument);
        }
    }
    return 0;
}

uint32_t plan_uninstall(const struct plan *p)
{
    uint32_t first = 0;
    for (unsigned i = p->count; i-- > 0;) {
        const struct plan_step *s = &p->steps[i];
        struct plan_note note = {{0}, false};
        if (s->remove == NULL) {
            continue;
        }
        uint32_t error = s->remove(p->user, s->argument, &note);
        tell(p, PLAN_REMOVED, i, error, &note);
        first = first == 0 ? error : first;
    }
    return first;
}

void plan_check(const struct plan *p, unsigned counts[3])
{
    memset(counts, 0, 3 * sizeof(counts[0]));
    for (unsigned i = 0; i < p->count; i++) {
        const struct plan_step *s = &p->steps[i];
        struct plan_note note = {{0}, false};
        if (s->check == NULL) {
            continue;
        }
        enum plan_state state = s->check(p->user, s->argument, &note);
        counts[state]++;
        if (p->tell != NULL) {
            p->tell(p->user, PLAN_CHECKED, s, state, 0, &note);
        }
    }
}
