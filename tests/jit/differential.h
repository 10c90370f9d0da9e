// SPDX-License-Identifier: MIT
// differential: one program (or some that tail-call one another), run by the reference and by an engine;
// their results, the memory, the maps and the trace of helper calls have to be equal. What differs is cut
// down to a small program.
#pragma once

#include "tests/jit/generate.h"
#include "tests/jit/native.h"

enum { SUBJECT_INSNS = GENERATE_INSNS };

struct subject_program {
    struct insn insns[SUBJECT_INSNS];
    uint32_t insn_count;
    struct func funcs[GENERATE_FUNCS];
    uint32_t func_count;
};

struct subject {
    uint64_t seed; // of the world
    uint32_t turns;
    bool raw;
    struct subject_program programs[WORLD_PROGRAMS]; // the first one is run
    uint32_t program_count;
    // What the reference says (subject_expect):
    uint64_t result;
    uint32_t turns_left, aborted, steps;
    struct world_state state;
    const char *fault; // the program has no meaning
};

struct config {
    struct jit_options options;
    enum native_place place;
};

// Why an engine differs; "": it does not.
struct difference {
    char text[160];
};

void subject_make(struct subject *s, struct generator *g, uint64_t seed); // a random one
bool subject_expect(struct subject *s);                                   // false: no meaning, or too long
void subject_print(const struct subject *s, void (*put)(const char *line));
// Number `index` of the seed's configurations. 0: everything on, as programs are loaded.
void config_choose(struct config *c, uint64_t seed, unsigned index);
void config_print(const struct config *c, char *text, size_t size);
// Runs the subject, whose expectation is there, in machine code.
bool native_differs(const struct subject *s, const struct config *c, struct difference *d);
// The same in the intermediate form, as it is before pass `end`. Programs with tail calls say nothing.
bool ir_differs(const struct subject *s, const struct config *c, unsigned end, struct difference *d);
// The same in the interpreter. Programs with tail calls or few turns of may_goto say nothing there: false.
bool interp_differs(const struct subject *s, struct difference *d);
void differential_interp_close(void);
// What a run left behind is not what the reference says.
void subject_begin(const struct subject *s, struct jit_run *run); // the world as it is before a run
const struct jit_input *subject_bind(const struct subject *s, unsigned abi); // inputs of all programs
bool outcome_differs(const struct subject *s, const struct jit_run *run, uint64_t result,
                     struct difference *d);
// Cuts the first program down as long as `differs` holds; `scratch` is room for one more.
void subject_reduce(struct subject *s, struct subject *scratch,
                    bool (*differs)(const struct subject *s, const void *user, struct difference *d),
                    const void *user);
