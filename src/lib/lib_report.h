// SPDX-License-Identifier: MIT
// lib_report: from the verifier's findings to the public report, and to the outputs that the caller asked for
// (SARIF, HTML, trace). Inside the folder only.
#pragma once

#include "lib/lib_int.h"
#include "verifier/verifier.h"

// The outputs of one verification, given away piece by piece.
struct lib_report {
    const struct ebpf_verify_opts *opts;
    unsigned outputs; // enum ebpf_verify_output
    struct report_sink sinks[3];
    struct sarif sarif;
    struct html html;
    struct trace trace;
    bool traced;
};
void lib_report_begin(struct lib_report *r, const struct ebpf_verify_opts *opts, const char *object);
// Before a program is verified: asks for its states where an output shows them. `arena` lives as long as *p.
ebpf_result_t lib_report_watch(struct lib_report *r, const struct program *p, struct arena *arena,
                               struct verify_options *options) MUST_CHECK;
// Afterwards.
void lib_report_program(struct lib_report *r, const struct program *p, const struct verify_report *report);
// Of a program that the verifier did not see.
void lib_report_sentence(struct lib_report *r, const struct ebpf_verify_program *program, const char *rule,
                         const char *message);
// `error`: why the object could not be read, or NULL.
void lib_report_end(struct lib_report *r, const char *error);

// Copies findings into `arena`: out->findings and finding_count.
ebpf_result_t lib_report_copy(struct arena *arena, const struct program *p,
                              const struct verify_report *report, struct ebpf_verify_program *out) MUST_CHECK;
// One finding that is a sentence.
ebpf_result_t lib_report_copy_sentence(struct arena *arena, const char *rule, const char *message,
                                       const char *hint, struct ebpf_verify_program *out) MUST_CHECK;
