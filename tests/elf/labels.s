# SPDX-License-Identifier: MIT
# Plain global labels instead of FUNC symbols, as old compilers left them, and a section without any symbol.
    .section xdp, "ax", @progbits
    .globl first
first:
    r0 = 1
    exit
    .globl second
second:
    r0 = 2
    if r1 == 0 goto local
    r0 = 3
local:
    exit

    .section xdp/alone, "ax", @progbits
    .globl alone
alone:
    r0 = 4
    exit

    .section raw_memory, "ax", @progbits
    r0 = *(u8 *)(r1 + 0)
    exit
