// SPDX-License-Identifier: MIT
// hint_source: reads C statements from the source lines that the object carries, as far as hints need: the
// pointer that an access goes through, arguments of a call, returns. It knows no types and sees only lines
// with instructions; whoever uses it must be content with "not found".
#pragma once

#include "spec/spec.h"

#define HINT_EXPR_SIZE 96u

// One line of the source.
struct hint_line {
    const struct program *p;
    const struct line *row;
    const char *text; // with the blanks at its start
    uint32_t number;
};
bool hint_line_at(const struct program *p, uint32_t pc, struct hint_line *out);
// The line `number` of the file of `near`.
bool hint_line_find(const struct hint_line *near, uint32_t number, struct hint_line *out);
// The line in which the statement of `at` starts, as far as that can be seen.
void hint_line_start(struct hint_line *at);

// Whether the statement is the body, without braces, of the line before.
bool hint_is_bare_body(const struct hint_line *at);

// A statement that leaves the function early: the nearest "return CONSTANT;", else what such programs return.
void hint_early_return(const struct hint_line *at, char *out, size_t size);
// "return EXPR;" in the text: EXPR. False when there is none.
bool hint_returned(const char *text, char *expr, size_t size);
// The variable that the line assigns: the identifier before '='.
bool hint_assigned(const char *text, char *name, size_t size);
// `index`th argument (from 0) of the call that the column points at; without column, of the first call of a
// function whose name contains `name`. *at, if not NULL: where it stands in the text.
struct hint_span {
    size_t start, end;
};
bool hint_argument(const struct hint_line *at, const char *name, unsigned index, char *out, size_t size,
                   struct hint_span *span);
// The pointer that the line reads or writes through: "ip" of "ip->protocol", "p" of "*p", "v->slots" of
// "v->slots[i]", and what is in brackets, "" otherwise. `store`: what is assigned to is meant.
bool hint_pointer(const struct hint_line *at, bool store, char *pointer, char *index, size_t size);
// Name of the end of the packet, as variable or expression.
bool hint_packet_end(const struct hint_line *at, char *out, size_t size);
// The variable that holds the start of the packet, of a type whose size is 1; of a line before `at`.
bool hint_packet_start(const struct hint_line *at, char *out, size_t size);
// Whether a line after `at` (up to `count` more) reads or writes through `pointer`.
bool hint_used_later(const struct hint_line *at, const char *pointer, uint32_t count);

// When `index` is a number: the greatest one that `pointer` is indexed with from here to `count` lines on.
bool hint_last_index(const struct hint_line *at, const char *pointer, const char *index, uint32_t count,
                     uint32_t *last);

bool hint_contains(const char *text, const char *word);         // anywhere
const char *hint_find_word(const char *text, const char *word); // as a whole identifier, or NULL
const char *hint_skip_blanks(const char *text);
// An expression statement in one line: no declaration, no keyword, ends with ';'.
bool hint_is_statement(const char *text);
// Copies text[start, end) without blanks around it; false when it is empty or too long.
bool hint_copy(const char *text, size_t start, size_t end, char *out, size_t size);
