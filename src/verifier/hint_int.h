// SPDX-License-Identifier: MIT
// hint_int: what the writers of hints share. Inside hint*.c only.
#pragma once

#include "verifier/hint.h"
#include "verifier/hint_source.h"
#include "verifier/report_int.h"

struct writer {
    const struct domain_env *env;
    const struct domain_state *s; // NULL: none
    struct finding *f;
    struct hint_line at; // the line at fault
};

// Adds a change of a line. One that does not fit into its text takes back all: half a line helps nobody.
void hint_edit(struct writer *w, const struct hint_line *at, enum finding_edit_kind kind, const char *fmt,
               ...) PRINTF_LIKE(4, 5);
// The sentence beside the edits.
void hint_say(struct writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool hint_is_call(const struct writer *w);
// Row of the helper that the instruction calls, or NULL.
const struct helper_row *hint_helper(const struct writer *w, uint32_t pc);
// Puts `with` where the span stands in the line.
void hint_replace_span(struct writer *w, const struct hint_line *at, const struct hint_span *span,
                       const char *with);

// hint_release.c: what is acquired and released, locks, results and loops.
void hint_unreleased(struct writer *w);
void hint_lock(struct writer *w);
// "if (pointer)" in a line before `from` should be "if (!pointer)".
bool hint_flip_test(struct writer *w, const struct hint_line *from, const char *pointer);
void hint_remove_line(struct writer *w, const char *why);
void hint_used_after_release(struct writer *w);
void hint_exit_value(struct writer *w);
void hint_loop(struct writer *w);
