// SPDX-License-Identifier: MIT
// native: translated programs in pages of their own, called with every register that has to survive checked.
#pragma once

#include "jit/jit.h"

// One translation that can be called.
struct native {
    struct jit_options options;
    struct jit_code code; // with the buffers below
    uint32_t bad_pc;      // where translation failed
    const uint8_t *entry; // of the machine code that can be run
    const char *crash;    // a signal that translation or run ended with; NULL: none
    const char *misuse;   // what the code destroyed; NULL: nothing
};

#define NATIVE_ENDLESS "it does not end" // a crash by time

enum native_place {
    NATIVE_FAR,
    NATIVE_NEAR,
    NATIVE_PLACES
}; // from the helpers: within a relative call, or not

// Pages and signal handlers; false: the system gives none.
bool native_open(void);
void native_close(void);
// Translates and publishes `input`. With `slot` 0..3 several programs are there at once. Signals, and
// workspaces that are too small, are part of the answer.
ebpf_result_t native_translate(struct native *n, const struct jit_input *input,
                               const struct jit_options *options, enum native_place place,
                               unsigned slot) MUST_CHECK;
// Runs it; false: n->crash or n->misuse tells.
bool native_run(struct native *n, uint64_t r1, uint64_t r2, struct jit_run *run, uint64_t *result);
// Calls body(user); false: a signal ended it, *crash tells which.
bool native_guard(void (*body)(void *user), void *user, const char **crash);
unsigned native_arch(void); // enum jit_arch, enum jit_abi of the machine that this runs on
unsigned native_abi(void);
