// SPDX-License-Identifier: MIT
// arm64_encode: words from fields.
#include "jit/arm64_encode.h"

static const uint32_t words[A64_OP_COUNT] = {
#define ROW(id, word) [A64_##id] = (word),
#include "jit/arm64_ops.def"
#undef ROW
};

static uint32_t wide(unsigned width)
{
    return width == 64 ? UINT32_C(1) << 31 : 0;
}

static uint32_t fields(unsigned d, unsigned n, unsigned m)
{
    return (uint32_t)d | (uint32_t)n << 5 | (uint32_t)m << 16;
}

// --- registers -----------------------------------------------------------------------------------

uint32_t arm64_shifted(enum arm64_op op, unsigned width, unsigned d, unsigned n, unsigned m,
                       enum arm64_shift kind, unsigned amount)
{
    return words[op] | wide(width) | fields(d, n, m) | (uint32_t)kind << 22 | (uint32_t)amount << 10;
}

uint32_t arm64_two(enum arm64_op op, unsigned width, unsigned d, unsigned n, unsigned m)
{
    uint32_t third = op == A64_UMULH ? UINT32_C(31) << 10 : 0;
    return words[op] | wide(width) | fields(d, n, m) | third;
}

uint32_t arm64_one(enum arm64_op op, unsigned width, unsigned d, unsigned n)
{
    return words[op] | wide(width) | fields(d, n, 0);
}

uint32_t arm64_three(enum arm64_op op, unsigned width, unsigned d, unsigned n, unsigned m, unsigned a)
{
    return words[op] | wide(width) | fields(d, n, m) | (uint32_t)a << 10;
}

uint32_t arm64_select(enum arm64_op op, unsigned width, unsigned d, unsigned n, unsigned m,
                      enum arm64_cond cond)
{
    return words[op] | wide(width) | fields(d, n, m) | (uint32_t)cond << 12;
}

uint32_t arm64_add_extended(unsigned d, unsigned n, unsigned m, unsigned amount)
{
    return words[A64_ADDX] | fields(d, n, m) | (uint32_t)amount << 10;
}

// --- numbers -------------------------------------------------------------------------------------

bool arm64_imm12(uint64_t imm, uint32_t *field)
{
    bool high = imm > 0xfff;
    if ((high && (imm & 0xfff) != 0) || imm > 0xfff000) {
        return false;
    }
    *field = (uint32_t)(high ? imm >> 12 | 1u << 12 : imm) << 10;
    return true;
}

uint32_t arm64_add_imm(enum arm64_op op, unsigned width, unsigned d, unsigned n, uint32_t field)
{
    return words[op] | wide(width) | fields(d, n, 0) | field;
}

static unsigned count_ones(uint64_t bits)
{
    unsigned n = 0;
    for (; bits != 0; bits &= bits - 1) {
        n++;
    }
    return n;
}

// A mask is an element of 2, 4, .. 64 bits, repeated; the element is a run of ones, rotated.
bool arm64_bitmask(uint64_t imm, unsigned width, uint32_t *field)
{
    if (width == 32) {
        imm = (uint32_t)imm | imm << 32;
    }
    if (imm == 0 || imm == UINT64_MAX) {
        return false;
    }
    unsigned size = 64;
    while (size > 2 &&
           (imm & ((UINT64_C(1) << size / 2) - 1)) == (imm >> size / 2 & ((UINT64_C(1) << size / 2) - 1))) {
        size /= 2;
    }
    uint64_t all = UINT64_MAX >> (64 - size), element = imm & all;
    uint64_t before = (element << 1 | element >> (size - 1)) & all; // each bit's lower neighbour
    uint64_t starts = element & ~before;
    if ((starts & (starts - 1)) != 0) {
        return false; // more than one run
    }
    unsigned start = (unsigned)__builtin_ctzll(starts);
    uint32_t immr = (size - start) % size, ones = count_ones(element);
    uint32_t imms = ((0u - 2 * size) & 0x3f) | (ones - 1);
    *field = (size == 64 ? UINT32_C(1) << 22 : 0) | immr << 16 | imms << 10;
    return true;
}

uint32_t arm64_logic_imm(enum arm64_op op, unsigned width, unsigned d, unsigned n, uint32_t field)
{
    return words[op] | wide(width) | fields(d, n, 0) | field;
}

uint32_t arm64_move_wide(enum arm64_op op, unsigned width, unsigned d, unsigned imm, unsigned half)
{
    return words[op] | wide(width) | (uint32_t)d | (uint32_t)imm << 5 | (uint32_t)half << 21;
}

uint32_t arm64_bitfield(enum arm64_op op, unsigned width, unsigned d, unsigned n, unsigned immr,
                        unsigned imms)
{
    uint32_t both = width == 64 ? UINT32_C(1) << 22 : 0;
    return words[op] | wide(width) | both | fields(d, n, immr) | (uint32_t)imms << 10;
}

uint32_t arm64_extract(unsigned width, unsigned d, unsigned n, unsigned m, unsigned lsb)
{
    uint32_t both = width == 64 ? UINT32_C(1) << 22 : 0;
    return words[A64_EXTR] | wide(width) | both | fields(d, n, m) | (uint32_t)lsb << 10;
}

// Halves of 16 bits that are not `skip`.
static unsigned count_halves(uint64_t imm, unsigned skip)
{
    unsigned n = 0;
    for (unsigned half = 0; half < 4; half++) {
        n += (imm >> (16 * half) & 0xffff) != skip;
    }
    return n;
}

static unsigned move_halves(unsigned d, uint64_t imm, bool inverted, uint32_t out[4])
{
    unsigned count = 0, skip = inverted ? 0xffff : 0;
    for (unsigned half = 0; half < 4; half++) {
        unsigned part = (unsigned)(imm >> (16 * half) & 0xffff);
        if (part == skip) {
            continue;
        }
        bool first = count == 0;
        enum arm64_op op = !first ? A64_MOVK : inverted ? A64_MOVN : A64_MOVZ;
        out[count++] = arm64_move_wide(op, 64, d, first && inverted ? part ^ 0xffff : part, half);
    }
    if (count == 0) {
        out[count++] = arm64_move_wide(inverted ? A64_MOVN : A64_MOVZ, 64, d, 0, 0);
    }
    return count;
}

unsigned arm64_move_imm(unsigned d, uint64_t imm, uint32_t out[4])
{
    uint32_t field;
    unsigned zeros = count_halves(imm, 0), ones = count_halves(imm, 0xffff);
    if (zeros > 1 && ones > 1) {
        if (imm >> 32 == 0 && (imm >> 16 == 0xffff || (imm & 0xffff) == 0xffff)) {
            unsigned half = imm >> 16 == 0xffff ? 0 : 1; // the other one is all ones
            out[0] = arm64_move_wide(A64_MOVN, 32, d, (unsigned)(~imm >> (16 * half) & 0xffff), half);
            return 1;
        }
        if (arm64_bitmask(imm, 64, &field)) {
            out[0] = arm64_logic_imm(A64_ORRI, 64, d, A64_ZR, field);
            return 1;
        }
        if (imm >> 32 == 0 && arm64_bitmask(imm, 32, &field)) {
            out[0] = arm64_logic_imm(A64_ORRI, 32, d, A64_ZR, field);
            return 1;
        }
    }
    return move_halves(d, imm, ones < zeros, out);
}

// --- memory --------------------------------------------------------------------------------------

static unsigned size_of(unsigned bits)
{
    return bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3;
}

static bool is_scaled(unsigned bits, int64_t disp)
{
    unsigned size = size_of(bits);
    return disp >= 0 && (disp & ((1 << size) - 1)) == 0 && disp >> size <= 0xfff;
}

bool arm64_is_offset(unsigned bits, int64_t disp)
{
    return is_scaled(bits, disp) || (disp >= -256 && disp <= 255);
}

uint32_t arm64_memory(enum arm64_op op, unsigned bits, unsigned t, unsigned n, int64_t disp)
{
    uint32_t word = words[op] | (uint32_t)size_of(bits) << 30 | fields(t, n, 0);
    if (is_scaled(bits, disp)) {
        return word | (uint32_t)(disp >> size_of(bits)) << 10;
    }
    return (word & ~(UINT32_C(1) << 24)) | (uint32_t)(disp & 0x1ff) << 12;
}

bool arm64_is_scale(unsigned bits, unsigned scale)
{
    return scale == 0 || scale == size_of(bits);
}

uint32_t arm64_memory_index(enum arm64_op op, unsigned bits, unsigned t, unsigned n, unsigned m,
                            unsigned scale)
{
    uint32_t word = (words[op] & ~(UINT32_C(1) << 24)) | UINT32_C(1) << 21 | UINT32_C(2) << 10;
    uint32_t shifted = scale != 0 ? UINT32_C(1) << 12 : 0;
    return word | (uint32_t)size_of(bits) << 30 | fields(t, n, m) | UINT32_C(3) << 13 | shifted;
}

uint32_t arm64_pair(enum arm64_op op, unsigned t, unsigned t2, unsigned n, int disp)
{
    return words[op] | fields(t, n, 0) | (uint32_t)t2 << 10 | ((uint32_t)(disp / 8) & 0x7f) << 15;
}

uint32_t arm64_atomic(enum arm64_op op, unsigned width, unsigned s, unsigned t, unsigned n)
{
    uint32_t other = op == A64_LDXR ? 31 : (uint32_t)s;
    return words[op] | (uint32_t)size_of(width) << 30 | fields(t, n, other);
}

// --- branches ------------------------------------------------------------------------------------

uint32_t arm64_branch(enum arm64_op op, unsigned width, unsigned t, unsigned bit)
{
    switch (op) {
    case A64_B:
    case A64_BL: return words[op];
    case A64_TBZ:
    case A64_TBNZ: return words[op] | (uint32_t)t | (uint32_t)(bit & 31) << 19 | (uint32_t)(bit >> 5) << 31;
    case A64_BCOND: return words[op] | (uint32_t)t;
    default: return words[op] | (uint32_t)t | wide(width);
    }
}

static bool set_field(uint32_t *word, int64_t distance, unsigned at, unsigned bits)
{
    int64_t units = distance / 4, limit = INT64_C(1) << (bits - 1);
    if (distance % 4 != 0 || units < -limit || units >= limit) {
        return false;
    }
    uint32_t mask = (UINT32_C(1) << bits) - 1;
    *word = (*word & ~(mask << at)) | ((uint32_t)units & mask) << at;
    return true;
}

bool arm64_set_distance(uint32_t *word, int64_t distance)
{
    if ((*word & 0x7c000000) == words[A64_B]) {
        return set_field(word, distance, 0, 26);
    }
    if ((*word & 0x7e000000) == words[A64_TBZ]) {
        return set_field(word, distance, 5, 14);
    }
    return set_field(word, distance, 5, 19); // of ADR: a multiple of 4
}

uint32_t arm64_jump_register(enum arm64_op op, unsigned n)
{
    return words[op] | (uint32_t)n << 5;
}

uint32_t arm64_plain(enum arm64_op op)
{
    return words[op];
}

uint32_t arm64_adr(unsigned d)
{
    return words[A64_ADR] | (uint32_t)d;
}
