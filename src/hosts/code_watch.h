// SPDX-License-Identifier: MIT
// code_watch: tells profilers and debuggers where the machine code of programs is. User mode.
#pragma once

#include "runtime/runtime.h"

// For runtime_options.watch_code, when the environment asks for it:
//   EBPF_PERF_MAP=1  appends a line for each program to /tmp/perf-PID.map, which `perf report` reads (Linux)
//   EBPF_GDB=1       registers each program with gdb's JIT interface
// NULL: it does not.
typedef void (*code_watch_fn)(void *user, const struct code_notice *notice);
code_watch_fn code_watch_from_environment(void);

// A file of the form that gdb wants, with one symbol for the code. Returns its size, or 0 when `capacity` is
// too small: it needs 512 bytes and the length of the name.
size_t code_watch_make_object(const struct code_notice *notice, uint8_t *out, size_t capacity);
