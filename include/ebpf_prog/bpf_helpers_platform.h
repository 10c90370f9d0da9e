// SPDX-License-Identifier: MIT
// What differs between eBPF for Windows and Linux in a program's source: the object's mark, fixed-width types
// without a C library, and the type of a legacy map definition.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// clang says __bpf__, gcc __BPF__.
#if defined(__bpf__) || defined(__BPF__)
#define EBPF_TARGET 1
#endif

#ifdef EBPF_TARGET
// The target has no C library: <stdint.h> of the build machine may drag in headers that do not know it.
typedef __INT8_TYPE__ int8_t;
typedef __INT16_TYPE__ int16_t;
typedef __INT32_TYPE__ int32_t;
typedef __INT64_TYPE__ int64_t;
typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __INTPTR_TYPE__ intptr_t;
typedef __UINTPTR_TYPE__ uintptr_t;

// Loaders recognise an object for Windows by this section.
const bool __ebpf_for_windows_tag __attribute__((section(".ebpf_for_windows"))) = true;

// The Linux names of the types, for sources that use them.
typedef int8_t __s8;
typedef int16_t __s16;
typedef int32_t __s32;
typedef int64_t __s64;
typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
typedef uint64_t __u64;
typedef uint16_t __be16;
typedef uint32_t __be32;
typedef uint64_t __be64;
typedef uint32_t __wsum;
#else
#include <stdint.h>
#endif

// Map calls of a program take the definition as the map.
#define bpf_map _ebpf_map_definition_in_file
