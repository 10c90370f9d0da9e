// SPDX-License-Identifier: MIT
// machine_code: what the options of the JIT do to the code of two tiny programs, for tests of whoever sets
// them. (That they do it to all programs is what tests/jit/scan.h looks at.)
#pragma once

#include "spec/spec.h"

#define TINY_SECRET 0x5ec12e75 // wide enough not to be in code by chance

// The first instruction of a program whose second one is an exit: what blinding hides, what needs a jump to
// an address outside of the code.
#define TINY_SECRET_INSN ((struct insn){.id = INSN_MOV64_IMM, .imm = TINY_SECRET})
#define TINY_CALL_INSN   ((struct insn){.id = INSN_CALL, .imm = HELPER_KTIME_GET_NS})

static inline bool code_has(const uint8_t *code, size_t size, const void *part, size_t part_size)
{
    for (size_t at = 0; at + part_size <= size; at++) {
        if (memcmp(code + at, part, part_size) == 0) {
            return true;
        }
    }
    return false;
}

static inline bool code_has_secret(const uint8_t *code, size_t size)
{
    static const uint32_t secret = TINY_SECRET;
    return code_has(code, size, &secret, sizeof(secret));
}

// x86-64: jmp r11.
static inline bool code_has_indirect_jump(const uint8_t *code, size_t size)
{
    static const uint8_t jump[] = {0x41, 0xff, 0xe3};
    return code_has(code, size, jump, sizeof(jump));
}

// x86-64: the pause and lfence where speculation waits.
static inline bool code_has_retpoline(const uint8_t *code, size_t size)
{
    static const uint8_t wait[] = {0xf3, 0x90, 0x0f, 0xae, 0xe8};
    return code_has(code, size, wait, sizeof(wait));
}
