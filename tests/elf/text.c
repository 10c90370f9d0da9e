// SPDX-License-Identifier: MIT
// Functions in .text only: programs of their own. One calls itself: refusing that is the verifier's business.
__attribute__((noinline)) static int step(int a)
{
    return a * 3 + 1;
}

__attribute__((noinline)) long climb(long a)
{
    return a > 100 ? a : climb(climb(a * 3) ^ a);
}

int walk(int *memory)
{
    return step(memory[0]) + step(memory[1]);
}
