// SPDX-License-Identifier: MIT
// verifier: the door of the fixpoint engine: canonical program in, findings and evidence out. Pure: no plat,
// no libc beyond mem*; memory comes from the caller's arena, whose limit bounds it.
#pragma once

#include "base/base.h"
#include "spec/spec.h"

enum rule_id {
    RULE_NONE,
#define RULE(id, ...) RULE_##id,
#include "verifier/rules.def"
#undef RULE
    RULE_COUNT
};
struct rule_row {
    const char *name; // stable, in kebab case: "packet-bounds"
    const char *sentence;
};
const struct rule_row *rule_row(unsigned rule);

#define FINDING_TEXT_SIZE 160
// One reason to refuse. Texts are for people; tests match `rule`.
struct finding {
    uint16_t rule; // enum rule_id
    uint32_t pc;   // UINT32_MAX: the program as a whole
    char message[FINDING_TEXT_SIZE];
    char needed[FINDING_TEXT_SIZE]; // what would have to hold
    char known[FINDING_TEXT_SIZE];  // what was known there
    char hint[FINDING_TEXT_SIZE];   // what to change in the source; may be ""
};

#define VERIFY_MAX_STEPS    1000000u
#define VERIFY_MAX_STATES   32768u
#define VERIFY_MEMORY_LIMIT ((size_t)1 << 30) // of the arena, wherever a program is verified

struct verify_options {
    const struct spec_view *spec;
    uint64_t max_steps;  // instructions interpreted abstractly; 0 = VERIFY_MAX_STEPS
    uint32_t max_states; // states stored; 0 = VERIFY_MAX_STATES
    // Test hook: the state at each instruction is offered before it is interpreted (see verifier/observe.h).
    // NULL: off.
    void (*observe)(void *user, uint32_t pc, const void *state);
    void *observe_user;
};

#define VERIFY_MAX_FINDINGS 16
struct verify_report {
    bool accepted;
    uint32_t finding_count;
    struct finding *findings;
    uint32_t states; // stored
    uint64_t steps;
    size_t peak_bytes; // of the arena
    uint8_t *evidence; // format 1 of spec.h; NULL when refused
    size_t evidence_size;
};

// EBPF_SUCCESS: judged, see out->accepted. EBPF_NO_MEMORY: the arena's limit was reached before a verdict.
// EBPF_INVALID_ARGUMENT: program_check refuses the program (a finding is given as well).
ebpf_result_t verify_program(const struct program *p, const struct verify_options *options,
                             struct arena *arena, struct verify_report *out) MUST_CHECK;

// Prints the findings: text ("droppacket.c:42: reads past the packet ...", one finding after another), or a
// JSON array of the objects that `bpftool -j prog verify` documents. Return the whole length, as str_format
// does.
size_t report_print_text(const struct program *p, const struct verify_report *r, char *text, size_t size);
size_t report_print_json(const struct program *p, const struct verify_report *r, char *text, size_t size);
