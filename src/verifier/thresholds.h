// SPDX-License-Identifier: MIT
// thresholds: numbers at which growing bounds stop, taken from the program itself.
#pragma once

#include "verifier/join.h"

#define THRESHOLDS_MAX 512u

// Fills options->thresholds. EBPF_NO_MEMORY.
ebpf_result_t thresholds_collect(const struct program *p, struct arena *arena,
                                 struct join_options *options) MUST_CHECK;
