// SPDX-License-Identifier: MIT
// gate: looks at the level before Wine's function runs. What it passes on it does not know: the arguments
// stay where they are (Microsoft's x64 calling convention: rcx, rdx, r8, r9, then the stack), and Wine's
// function returns to the driver itself.
#include "tests/wine/overlay/overlay.h"

void gate_check(const char *what, unsigned max, const void *caller);
void gate_check(const char *what, unsigned max, const void *caller)
{
    overlay_require_irql((KIRQL)max, what, caller);
}

// At entry rsp is 8 off a multiple of 16; four pushes and 40 bytes make it one, with 32 bytes for the callee.
#define GATE_CODE(function, max)                                                                             \
    __asm__(".text\n"                                                                                        \
            ".globl overlay_" #function "\n"                                                                 \
            "overlay_" #function ":\n"                                                                       \
            "    push %rcx\n"                                                                                \
            "    push %rdx\n"                                                                                \
            "    push %r8\n"                                                                                 \
            "    push %r9\n"                                                                                 \
            "    sub $40, %rsp\n"                                                                            \
            "    lea 1f(%rip), %rcx\n"                                                                       \
            "    mov $" #max ", %edx\n"                                                                      \
            "    mov 72(%rsp), %r8\n"                                                                        \
            "    call gate_check\n"                                                                          \
            "    add $40, %rsp\n"                                                                            \
            "    pop %r9\n"                                                                                  \
            "    pop %r8\n"                                                                                  \
            "    pop %rdx\n"                                                                                 \
            "    pop %rcx\n"                                                                                 \
            "    jmp *__imp_" #function "(%rip)\n"                                                           \
            "1:  .asciz \"" #function "\"\n");
#define GATE_EXPANDED(function, max) GATE_CODE(function, max)
#define GATE(function, max)          GATE_EXPANDED(function, max)
#include "tests/wine/overlay/gates.def"
