// SPDX-License-Identifier: MIT
// kernel: the kernel's verdict on a program, and why it may differ from ours (Linux only).
#pragma once

#include "spec/spec.h"

// A sentence of the kernel's log, and why a program that is refused with it is no danger here.
struct kernel_difference {
    const char *text, *why;
    bool (*applies)(const struct program *p); // NULL: to every program
};
extern const struct kernel_difference kernel_differences[];
extern const size_t kernel_difference_count;

// Descriptor of a new map, or negative.
int kernel_create_map(const struct map_def *def);
// True when the kernel takes the program. Otherwise its reasons are kept for the functions below.
bool kernel_accepts(const struct program *p, const int *map_fds);
// The sentence with which it refused last.
const char *kernel_last_words(void);
// It refused on a path through an instruction that our verifier never visits.
bool kernel_path_is_never_taken(bool (*visited)(uint32_t pc));
// Index of the class that explains the refusal, or -1.
int kernel_find_difference(const struct program *p, const char *words);
// The sentences are those of this kernel.
bool kernel_is_the_one_of_the_classes(void);
