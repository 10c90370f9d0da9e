// SPDX-License-Identifier: MIT
// pin_path: one spelling for each pin path.
#pragma once

#include "base/base.h"
#include "runtime/runtime.h"
#include "spec/spec.h"

// Writes the canonical form of `path`: absolute, '/' between parts, no empty part, no "." and no "..".
// Relative names, also after "BPF:", lie below the platform's root ("/sys/fs/bpf" for Linux, "/ebpf/global"
// for Windows); '\' counts as '/'. EBPF_INVALID_ARGUMENT: empty, nothing but the root, control characters, a
// ".." that climbs above "/" (a relative name: above the platform's root), or too long for PIN_PATH_SIZE.
ebpf_result_t pin_path_canonicalize(enum dialect platform, const char *path,
                                    char out[PIN_PATH_SIZE]) MUST_CHECK;
