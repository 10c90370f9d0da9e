// SPDX-License-Identifier: MIT
// bench: programs and the engines that run them (bench_compute.c, bench_program.c, bench_kernel.c).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_MEMORY = 1024 };

// An engine that has one program loaded.
struct bench_run {
    // Runs it `turns` times over `memory`; the last result. False: it failed.
    bool (*run)(struct bench_run *r, uint8_t *memory, uint64_t turns, uint32_t *result);
    void (*close)(struct bench_run *r);
    double ns; // where the engine measures itself (the kernel): of one run, after `run`; else 0
    uint32_t insns;
    void *state;
};

enum bench_engine {
    BENCH_JIT,
    BENCH_INTERP,
    BENCH_MODULE, // C by a compiler of this machine; for programs without maps and helpers
};
bool bench_open_program(struct bench_run *r, const char *path, enum bench_engine engine);
bool bench_open_kernel(struct bench_run *r, const char *path); // false: not permitted, or refused
