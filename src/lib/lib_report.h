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

// --- lib_verify.c --------------------------------------------------------------------------------

// Told of each program that is accepted. The program and what *elf points to live as long as the report, and
// so does what is taken from `arena`; *elf itself, `map_of` and the evidence only during the call.
struct lib_verify_watch {
    ebpf_result_t (*accepted)(void *user, struct arena *arena, const struct elf_object *elf,
                              const struct program *p, const uint32_t *map_of,
                              const struct evidence *evidence);
    void *user;
};
// ebpf_verify_memory, watched.
ebpf_result_t lib_verify_watched(const void *bytes, size_t size, const struct ebpf_verify_opts *opts,
                                 const struct lib_verify_watch *watch,
                                 struct ebpf_verify_report **report) MUST_CHECK;
