// SPDX-License-Identifier: MIT
// vectors: reads the instruction-set vectors (tests/isa/*.data). Format, that of the public conformance suite
// with several cases a file: '#' comments; "-- case NAME" opens a case; then the sections "-- asm"
// (isa_assemble), "-- mem" (hexadecimal bytes: r1 points to them, r2 is their number) and "-- result" (r0 as
// a 64-bit number).
#pragma once

#include "base/base.h"

enum { VECTOR_ASM_SIZE = 4096, VECTOR_MEM_SIZE = 256 };

struct vector {
    char name[64];
    char text[VECTOR_ASM_SIZE]; // assembly
    uint8_t mem[VECTOR_MEM_SIZE];
    size_t mem_size;
    uint64_t result;
    bool has_result;
};

// Reads the next case of the text at *at and advances. False at the end. `*error` is set to a sentence when
// the text is malformed.
bool vector_next(const char **at, struct vector *out, const char **error);
