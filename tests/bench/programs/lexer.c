// SPDX-License-Identifier: MIT
// A lexer: classes of characters by a switch, states by another one.
#include "bench_program.h"

enum { SPACE, DIGIT, LETTER, SIGN, OTHER };

INLINE u32 class_of(u8 c)
{
    switch (c & 31) {
    case 0:
    case 9:
    case 10:
    case 13: return SPACE;
    case 16:
    case 17:
    case 18:
    case 19:
    case 20: return DIGIT;
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: return LETTER;
    case 11:
    case 12:
    case 14: return SIGN;
    default: return OTHER;
    }
}

BENCH(lexer)
{
    u32 state = 0, tokens = 0, value = 0, sum = 0;
    ROLLED for (u32 i = 0; i < 256; i++)
    {
        COUNTER(i);
        u8 c = p[256 + (i & 255)];
        u32 class = class_of(c);
        switch (state) {
        case 0:
            state = class == DIGIT ? 1 : class == LETTER ? 2 : 0;
            value = c;
            break;
        case 1:
            if (class == DIGIT) {
                value = value * 10 + (c & 15);
            } else {
                sum += value;
                tokens++;
                state = class == SIGN ? 3 : 0;
            }
            break;
        case 2:
            if (class == LETTER || class == DIGIT) {
                value = value * 31 + c;
            } else {
                sum ^= value;
                tokens++;
                state = 0;
            }
            break;
        default:
            state = class == DIGIT ? 1 : 0;
            value = 0;
            break;
        }
    }
    return sum + tokens;
}
