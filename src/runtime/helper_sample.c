// SPDX-License-Identifier: MIT
// helper_sample: the helpers of the sample program type: something small of each argument kind, for tests of
// the verifier and of extensions. Texts end at a NUL or at the end of their memory.
#include "runtime/helper_int.h"

#define SAMPLE_ERROR ((uint64_t)-1)

HELPER_BODY(SAMPLE_FUNCTION1)
{
    return 0;
}

// Offset of the first occurrence of the second text in the first, or -1.
HELPER_BODY(SAMPLE_FIND)
{
    const char *text = pointer(a1), *wanted = pointer(a3);
    uint64_t length = text_length(text, a2), size = text_length(wanted, a4);
    for (uint64_t at = 0; at + size <= length; at++) {
        if (memcmp(text + at, wanted, size) == 0) {
            return at;
        }
    }
    return SAMPLE_ERROR;
}

// Writes the text a4 over the one in a1 from position a3 on, up to the last byte but one. 0, or -1.
HELPER_BODY(SAMPLE_REPLACE)
{
    char *text = pointer(a1);
    if (a3 >= a2) { // negative positions are large here
        return SAMPLE_ERROR;
    }
    uint64_t room = a2 - 1 - a3;
    memmove(text + a3, pointer(a4), min_u64(room, text_length(pointer(a4), a5)));
    return 0;
}
