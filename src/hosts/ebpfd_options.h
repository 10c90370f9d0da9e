// SPDX-License-Identifier: MIT
// ebpfd_options: the daemon's command line.
#pragma once

#include "base/base.h"

#define EBPFD_MAX_TAPS 64

struct ebpfd_options {
    const char *socket;
    const char *trace; // NULL: none; "-": standard output
    const char *taps[EBPFD_MAX_TAPS];
    unsigned tap_count;
    uint32_t verify_timeout_ms;
    bool no_sandbox;               // of the verification service
    bool no_native;                // modules are not loaded
    bool jit_blind, jit_retpoline; // of struct jit_options
    char service[4096];
};

// False when the process should end with *status (0 after --help and --version, 2 after a mistake, which
// stderr names). Splits the --tap arguments in place.
bool ebpfd_options_parse(int argc, char **argv, struct ebpfd_options *out, int *status) MUST_CHECK;
