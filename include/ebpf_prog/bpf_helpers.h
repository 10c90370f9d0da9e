// SPDX-License-Identifier: MIT
// The header that every program for eBPF for Windows includes first: sections, map descriptions, helpers.
#pragma once

#include "bpf_helpers_platform.h"
#include "ebpf_structs.h"

#ifndef NULL
#define NULL ((void *)0)
#endif

// Puts a function or variable into an ELF section: the section's name selects the program type.
#define SEC(NAME) __attribute__((section(NAME), used))

// Members of a map description in ".maps". BTF has no values, so a number is carried as the length of an
// array and a type as a pointer to it (Linux kernel documentation, "BPF Type Format").
#define __uint(name, value) int(*name)[value]
#define __type(name, type)  typeof(type) *name
#define __array(name, type) typeof(type) *name[]

// A definition in the section "maps".
#define bpf_map_def _ebpf_map_definition_in_file

#ifndef EBPF_HELPER
#define EBPF_HELPER(return_type, name, args) typedef return_type(*const name##_t) args
#endif

#include "bpf_helper_defs.h"
#include "ebpf_nethooks.h"

// Sources for both systems ask for it.
#if defined(EBPF_TARGET) && !defined(_WIN32)
#define _WIN32
#endif
