// SPDX-License-Identifier: MIT
// report_int: what the printers of findings share: a bounded text that counts what the whole would need,
// escaping, and places in the source. Inside the folder only.
#pragma once

#include "verifier/verifier.h"

struct output {
    char *text;
    size_t size, length;            // length of the whole text, which may exceed size
    const struct report_sink *sink; // not NULL: the text goes there instead
};
void output_start(struct output *o, char *text, size_t size); // size > 0
void output_start_sink(struct output *o, const struct report_sink *sink);
// With a sink at most OUTPUT_MAX_PIECE bytes at once.
#define OUTPUT_MAX_PIECE 1024u
void put(struct output *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
void put_bytes(struct output *o, const char *bytes, size_t size);
// Text from an object may hold anything: what is not printable becomes '?', a tab a blank.
void put_clean(struct output *o, const char *text);
// A JSON string. Bytes that are not UTF-8 would make it invalid and become '?'.
void put_json_string(struct output *o, const char *text);
// Bytes of the UTF-8 character at `s`, which is NUL-terminated; 0: it is none.
size_t report_utf8_length(const unsigned char *s);

// A place in the source; "" and line 0 when there is none.
struct source_place {
    const char *file, *source; // source: without the blanks at its start
    uint32_t line, column;
};
void report_place(const struct program *p, uint32_t pc, struct source_place *out);
// The instruction as text; a call names its helper or kernel function (of the built-in tables).
void put_insn_text(struct output *o, const struct program *p, uint32_t pc, bool html);
// Name without folders, as people know the file.
const char *report_short_name(const char *file);
// Of a malformed program nothing can be trusted, its tables neither.
bool report_has_insn(const struct program *p, const struct finding *f);
// Instruction that runs after a branch of the path.
uint32_t report_step_target(const struct program *p, const struct finding_step *step);
// "insert before line 12", "replace line 12 by", ...
size_t report_print_edit(const struct finding_edit *edit, char *text, size_t size);
