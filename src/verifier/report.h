// SPDX-License-Identifier: MIT
// report: findings and states for people and tools: text, JSON, SARIF, one HTML page. All texts that come
// from the object are escaped or cleaned. Part of the door verifier.h.
#pragma once

#include "base/base.h"
#include "spec/spec.h"

struct finding;
struct verify_report;

#define REPORT_MAX_LINES 25u // of one finding as text

// One finding as text: "droppacket.c:42: reads past the packet ...", the source line with its instructions,
// what was needed and known, the path, what was lost, a hint. Returns the whole length, as str_format does.
size_t report_print_finding(const struct program *p, const struct finding *f, char *text, size_t size);
// The same as a JSON object, which `bpftool -j prog verify` documents.
size_t report_print_finding_json(const struct program *p, const struct finding *f, char *text, size_t size);
// One that is a sentence, of a program that the verifier did not see.
size_t report_print_sentence_json(const char *rule, const char *message, const char *hint, char *text,
                                  size_t size);
// All findings: text, one after another, or a JSON array. Return the whole length.
size_t report_print_text(const struct program *p, const struct verify_report *r, char *text, size_t size);
size_t report_print_json(const struct program *p, const struct verify_report *r, char *text, size_t size);

// --- states --------------------------------------------------------------------------------------

// A struct domain_state in one line: "r0=7 r1=ctx r2=packet+14 r10=fp; fp-8=[0,60]; packet>=34". `p` names
// the maps. Returns the whole length.
size_t state_print(const void *state, const struct program *p, char *text, size_t size);

// The states that were seen at each instruction: the first ones that differ, TRACE_PER_INSN at most.
#define TRACE_PER_INSN  8u
#define TRACE_MAX_BYTES (4u << 20) // of text in all
struct trace_entry {
    const struct trace_entry *next; // newest first
    const char *text;
};
struct trace {
    const struct program *program;
    struct arena *arena;
    const struct trace_entry **entries; // by slot
    uint32_t *seen;                     // by slot: states that came by, those left out included
    size_t bytes;
};
ebpf_result_t trace_init(struct trace *t, const struct program *p, struct arena *arena) MUST_CHECK;
// To be verify_options.observe, with the trace as its user.
void trace_observe(void *trace, uint32_t pc, const void *state);

// --- whole objects -------------------------------------------------------------------------------

// Where printers of unbounded length write.
struct report_sink {
    void (*write)(void *user, const char *text, size_t size);
    void *user;
};

// Each instruction with its states, oldest first.
void trace_print(const struct report_sink *sink, const struct trace *t);

// SARIF 2.1.0, one run: begin, then each program, then end. The object's name stands where a finding has no
// source.
struct sarif {
    const struct report_sink *sink;
    const char *object;
    uint32_t results;
};
void sarif_begin(struct sarif *s, const struct report_sink *sink, const char *object);
void sarif_add_program(struct sarif *s, const struct program *p, const struct verify_report *r);
// A finding that is not the verifier's: of the reader, or of the section's name.
void sarif_add_sentence(struct sarif *s, const char *rule, const char *section, const char *name,
                        const char *message);
// `error`: why the object could not be read; NULL: it was.
void sarif_end(struct sarif *s, const char *error);

// One HTML page without references to anything outside: begin, programs, end.
struct html {
    const struct report_sink *sink;
    uint32_t programs;
};
void html_begin(struct html *h, const struct report_sink *sink, const char *object);
// `t` may be NULL: no states are shown.
void html_add_program(struct html *h, const struct program *p, const struct verify_report *r,
                      const struct trace *t);
void html_add_sentence(struct html *h, const char *section, const char *name, const char *message);
void html_end(struct html *h, const char *error);
