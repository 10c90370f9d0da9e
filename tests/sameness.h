// SPDX-License-Identifier: MIT
// sameness: stands for SHA-256 in tests where only sameness matters. It protects nothing.
#pragma once

#include "base/base.h"

static inline bool sameness(void *user, const void *bytes, size_t size, uint8_t digest[32])
{
    const uint8_t *at = bytes;
    uint64_t state = 0xcbf29ce484222325u;
    UNUSED(user);
    for (size_t i = 0; i < size; i++) {
        state = (state ^ at[i]) * 0x100000001b3u;
    }
    for (size_t i = 0; i < 32; i++) {
        digest[i] = (uint8_t)(state >> (i % 8 * 8));
    }
    return true;
}
