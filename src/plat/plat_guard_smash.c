// SPDX-License-Identifier: MIT
// plat_guard_smash: writes behind an array on its stack. The test wants to see that the stack protector ends
// it, and nothing that it runs into later.
#include "base/base.h"

__attribute__((noinline)) static unsigned fill(volatile char *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (char)i;
    }
    return (unsigned)out[0];
}

__attribute__((noinline)) static unsigned smash(size_t size)
{
    char text[32];
    return fill(text, size);
}

int main(int argc, char **argv)
{
    UNUSED(argv);
    return (int)smash(sizeof(char[32]) + 16 * (size_t)argc);
}
