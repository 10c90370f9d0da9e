// SPDX-License-Identifier: MIT
// setup_plan: the installer's engine. What an installation consists of is a table of steps in order;
// installing applies them, a failure half-way reverts what was applied, uninstalling removes them backwards,
// status checks them. Portable: it knows nothing of files or services.
#pragma once

#include "base/base.h"

#define PLAN_NOTE_SIZE 640

enum plan_state {
    PLAN_ABSENT,
    PLAN_PRESENT,
    PLAN_DIFFERENT
}; // different: there, but not as this setup makes it

// What a step has to say besides its outcome: a path, a reason. UTF-8.
struct plan_note {
    char text[PLAN_NOTE_SIZE];
    bool tolerated; // the system refused a part of the step that can be done without
};
void plan_note_format(struct plan_note *note, const char *fmt, ...) PRINTF_LIKE(2, 3);

// Functions return a Win32 error, 0 for success. `user` is the plan's, `argument` the step's. NULL: nothing
// to do. `remove` and `check` find out for themselves what there is; `revert` and `commit` follow an `apply`
// of the same process.
struct plan_step {
    const char *name;
    uint32_t argument;
    enum plan_state (*check)(void *user, uint32_t argument, struct plan_note *note);
    // Leaves things as they were when it fails.
    uint32_t (*apply)(void *user, uint32_t argument, struct plan_note *note);
    // Back to what was there before `apply`.
    uint32_t (*revert)(void *user, uint32_t argument, struct plan_note *note);
    // Forgets what `revert` would need. Cannot fail.
    void (*commit)(void *user, uint32_t argument);
    // Success also when there is nothing to remove.
    uint32_t (*remove)(void *user, uint32_t argument, struct plan_note *note);
};

enum plan_event { PLAN_APPLIED, PLAN_REVERTED, PLAN_REMOVED, PLAN_CHECKED };

struct plan {
    const struct plan_step *steps;
    unsigned count;
    void *user;
    // For tests: the step that fails instead of being applied, from 1 on; count + 1: after all. 0: none.
    unsigned fail_at;
    uint32_t fail_error;
    // Told after each step that had something to do; `error` is its outcome, `state` of checks only.
    void (*tell)(void *user, enum plan_event event, const struct plan_step *step, enum plan_state state,
                 uint32_t error, const struct plan_note *note);
};

// Applies all, or reverts what was applied and returns the error.
uint32_t plan_install(const struct plan *p);
// Removes all, last first; goes on after an error and returns the first.
uint32_t plan_uninstall(const struct plan *p);
// How many steps are in a state, over all steps that can be checked.
void plan_check(const struct plan *p, unsigned counts[3]);
