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
// A branch on the way to a finding.
struct finding_step {
    uint32_t pc;
    bool taken;
};
// Where two ways met and a fact that the obligation needs was lost: known on one way, not on the other.
struct finding_loss {
    uint32_t pc;                  // the meeting point; UINT32_MAX: nothing was lost
    uint32_t from[2];             // last instructions of the two ways
    char text[FINDING_TEXT_SIZE]; // "r3 is 0 on the way from 12, -22 on the way from 17"
};
// A change of the source that a hint proposes, for people and for tools (hint.h makes it).
enum finding_edit_kind { EDIT_INSERT_BEFORE, EDIT_INSERT_AFTER, EDIT_REPLACE, EDIT_DELETE };
struct finding_edit {
    uint16_t kind;     // enum finding_edit_kind
    uint32_t file_off; // name of the file, in program.strings
    uint32_t line;
    char text[FINDING_TEXT_SIZE]; // the whole line, without indentation; "" for EDIT_DELETE
};
#define FINDING_MAX_EDITS 2
// One reason to refuse. Texts are for people; tests match `rule`.
struct finding {
    uint16_t rule;                   // enum rule_id
    uint32_t pc;                     // UINT32_MAX: the program as a whole
    uint32_t related_pc;             // where the cause lies (an acquisition, a loop head); UINT32_MAX: none
    const struct finding_step *path; // oldest first; the newest VERIFY_MAX_PATH at most
    uint32_t path_count;
    bool path_is_cut;
    struct finding_loss loss;
    char message[FINDING_TEXT_SIZE];
    char needed[FINDING_TEXT_SIZE]; // what would have to hold
    char known[FINDING_TEXT_SIZE];  // what was known there
    char hint[FINDING_TEXT_SIZE];   // what to change in the source; may be ""
    struct finding_edit edits[FINDING_MAX_EDITS];
    uint32_t edit_count; // 0: the hint is a sentence only
};

#define VERIFY_MAX_STEPS    8000000u
#define VERIFY_MAX_STATES   131072u
#define VERIFY_MAX_PATH     64u
#define VERIFY_PER_POINT    64u               // states that are kept apart where ways meet
#define VERIFY_MEMORY_LIMIT ((size_t)1 << 30) // of the arena, wherever a program is verified

struct instance;

struct verify_options {
    const struct spec_view *spec;
    uint64_t max_steps;  // instructions interpreted abstractly; 0 = VERIFY_MAX_STEPS
    uint32_t max_states; // states stored; 0 = VERIFY_MAX_STATES
    uint32_t per_point;  // states kept apart at one point; 0 = VERIFY_PER_POINT
    bool unprivileged;   // addresses must not become visible (rule pointer-leak)
    bool replay; // check the result once more in one pass without a fixpoint; EBPF_FAILED if it does not hold
    // For the trace and the HTML page: every state that is stored where ways meet, at entries and exits, once
    // the verdict is known. `state` is a struct domain_state. NULL: off.
    void (*stored)(void *user, uint32_t pc, const void *state);
    void *stored_user;
    // What a certificate is made of, once a program is accepted: each analysis of a function with its states
    // (verifier/result.h), which live until the function returns. NULL: off.
    void (*analysed)(void *user, const struct instance *analysis);
    void *analysed_user;
    // For tests and traces: the state before each instruction, as often as it is reached from one of the
    // states that are stored in the end. NULL: off.
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

#include "verifier/report.h"
