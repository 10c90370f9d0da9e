// SPDX-License-Identifier: MIT
// lower_divide: numbers to multiply by instead of dividing. Inside the folder only.
#pragma once

#include "base/base.h"

// floor(n / d) for n of so many bits (8, 16, 32 or 64; `hi` is the upper half of a product of twice as many):
//   t = hi((n >> before) * factor)
//   add ? (((n - t) >> 1) + t) >> (after - 1) : t >> after
struct divide_magic {
    uint64_t factor;
    uint8_t before, after;
    bool add;
};

// d is neither 0 nor a power of two, and below 2^bits.
struct divide_magic divide_find_unsigned(uint64_t d, unsigned bits);
// The same for n up to 2^(bits - 1), which includes what is behind a sign; d is at most that. Never `before`,
// `add`.
struct divide_magic divide_find_signed(uint64_t d, unsigned bits);
// 2^bits / d, rounded up: hi(n * factor) = floor(n / d) when n and d have half as many bits.
uint64_t divide_find_half(uint64_t d, unsigned bits);
