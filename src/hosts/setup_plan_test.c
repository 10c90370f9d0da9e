// SPDX-License-Identifier: MIT
// The installer's engine on a table of fake steps, each of which is a number that something holds.
#include "hosts/setup_plan.h"
#include "tests/test.h"

#define STEPS 4u

struct world {
    int value[STEPS], saved[STEPS];
    unsigned fail_remove; // argument + 1
    unsigned commits, told, tolerated;
    char order[64];
    struct plan_note last;
};

static void record(struct world *w, char letter, uint32_t argument)
{
    size_t n = str_len(w->order);
    str_format(w->order + n, sizeof(w->order) - n, "%c%u", letter, argument);
}

static enum plan_state fake_check(void *user, uint32_t argument, struct plan_note *note)
{
    struct world *w = user;
    plan_note_format(note, "value %d", w->value[argument]);
    return w->value[argument] == 0 ? PLAN_ABSENT : w->value[argument] == 2 ? PLAN_PRESENT : PLAN_DIFFERENT;
}

static uint32_t fake_apply(void *user, uint32_t argument, struct plan_note *note)
{
    struct world *w = user;
    note->tolerated = argument == 1;
    record(w, 'a', argument);
    w->saved[argument] = w->value[argument];
    w->value[argument] = 2;
    return 0;
}

static uint32_t fake_revert(void *user, uint32_t argument, struct plan_note *note)
{
    struct world *w = user;
    UNUSED(note);
    record(w, 'r', argument);
    w->value[argument] = w->saved[argument];
    return 0;
}

static void fake_commit(void *user, uint32_t argument)
{
    struct world *w = user;
    UNUSED(argument);
    w->commits++;
}

static uint32_t fake_remove(void *user, uint32_t argument, struct plan_note *note)
{
    struct world *w = user;
    UNUSED(note);
    record(w, 'd', argument);
    if (w->fail_remove == argument + 1) {
        return 32;
    }
    w->value[argument] = 0;
    return 0;
}

static void fake_tell(void *user, enum plan_event event, const struct plan_step *step, enum plan_state state,
                      uint32_t error, const struct plan_note *note)
{
    struct world *w = user;
    UNUSED(event);
    UNUSED(step);
    UNUSED(state);
    UNUSED(error);
    w->told++;
    w->tolerated += note->tolerated;
    w->last = *note;
}

#define FAKE(number) {"fake", number, fake_check, fake_apply, fake_revert, fake_commit, fake_remove}
static const struct plan_step steps[STEPS] = {FAKE(0), FAKE(1), FAKE(2), FAKE(3)};

static struct plan plan_of(struct world *w)
{
    return (struct plan){.steps = steps, .count = STEPS, .user = w, .tell = fake_tell};
}

static void in_order_and_backwards(void)
{
    struct world w = {.value = {0}};
    struct plan p = plan_of(&w);
    unsigned counts[3];
    CHECK_EQ(plan_install(&p), 0);
    CHECK_STR(w.order, "a0a1a2a3");
    CHECK_EQ(w.commits, STEPS);
    CHECK_EQ(w.tolerated, 1);
    plan_check(&p, counts);
    CHECK_EQ(counts[PLAN_PRESENT], STEPS);
    CHECK_STR(w.last.text, "value 2");
    w.order[0] = 0;
    CHECK_EQ(plan_uninstall(&p), 0);
    CHECK_STR(w.order, "d3d2d1d0");
    plan_check(&p, counts);
    CHECK_EQ(counts[PLAN_ABSENT], STEPS);
}

// At every step, from nothing and over something else.
static void a_failure_leaves_what_was_there(void)
{
    for (unsigned fail_at = 1; fail_at <= STEPS + 1; fail_at++) {
        for (int before = 0; before <= 1; before++) {
            struct world w = {.value = {before, before, before, before}, .saved = {9, 9, 9, 9}};
            struct plan p = plan_of(&w);
            p.fail_at = fail_at;
            p.fail_error = 1337;
            CHECK_EQ(plan_install(&p), 1337);
            CHECK_EQ(w.commits, 0);
            for (unsigned i = 0; i < STEPS; i++) {
                CHECK_EQ(w.value[i], before);
                CHECK_EQ(w.saved[i], i + 1 < fail_at ? before : 9);
            }
        }
    }
}

static void uninstalling_goes_on(void)
{
    struct world w = {.value = {2, 2, 2, 2}};
    struct plan p = plan_of(&w);
    w.fail_remove = 3;
    CHECK_EQ(plan_uninstall(&p), 32);
    CHECK_STR(w.order, "d3d2d1d0");
    CHECK_EQ(w.value[2], 2);
    CHECK_EQ(w.value[0], 0);
}

static void steps_may_lack_functions(void)
{
    static const struct plan_step empty[] = {{.name = "nothing"}};
    struct world w = {.value = {0}};
    struct plan p = {.steps = empty, .count = 1, .user = &w, .tell = fake_tell};
    unsigned counts[3];
    CHECK_EQ(plan_install(&p), 0);
    CHECK_EQ(plan_uninstall(&p), 0);
    plan_check(&p, counts);
    CHECK_EQ(counts[0] + counts[1] + counts[2], 0);
    p.fail_at = 2;
    p.fail_error = 5;
    CHECK_EQ(plan_install(&p), 5);
    CHECK_EQ(w.told, 0);
}

TEST_SUITE(setup_plan)
{
    RUN(in_order_and_backwards);
    RUN(a_failure_leaves_what_was_there);
    RUN(uninstalling_goes_on);
    RUN(steps_may_lack_functions);
}
