// SPDX-License-Identifier: MIT
// The words of every form against those of an assembler: stored ones, which are compared with llvm-mc where
// it is installed; all bit masks; numbers made by moves.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit/arm64_encode.h"
#include "tests/test.h"

static uint32_t near(uint32_t word, int64_t distance)
{
    CHECK(arm64_set_distance(&word, distance));
    return word;
}

static uint32_t add_imm(enum arm64_op op, unsigned width, unsigned d, unsigned n, uint64_t imm)
{
    uint32_t field = 0;
    CHECK(arm64_imm12(imm, &field));
    return arm64_add_imm(op, width, d, n, field);
}

static uint32_t mask(enum arm64_op op, unsigned width, unsigned d, unsigned n, uint64_t imm)
{
    uint32_t field = 0;
    CHECK(arm64_bitmask(imm, width, &field));
    return arm64_logic_imm(op, width, d, n, field);
}

static void check_word(const char *text, uint32_t made, uint32_t word)
{
    if (made != word) {
        test_fail(__FILE__, __LINE__, "%s is %08x, not %08x", text, made, word);
    }
}

static void words_are_those_of_an_assembler(void)
{
#define WORD(text, word, ...) check_word(text, __VA_ARGS__, word);
#include "jit/arm64_words.def"
#undef WORD
}

// --- numbers -------------------------------------------------------------------------------------

// The meaning of a bit mask's field, as the architecture's manual defines it. 0: no mask.
static uint64_t decode_mask(uint32_t field)
{
    unsigned big = field >> 22 & 1, immr = field >> 16 & 63, imms = field >> 10 & 63, size = 64;
    unsigned length = big << 6 | (~imms & 63);
    while (size > 1 && (length & size) == 0) {
        size /= 2;
    }
    unsigned ones = (imms & (size - 1)) + 1, turn = immr & (size - 1);
    if (size < 2 || ones == size) {
        return 0;
    }
    uint64_t all = UINT64_MAX >> (64 - size), element = (UINT64_C(1) << ones) - 1;
    element = turn == 0 ? element : ((element >> turn | element << (size - turn)) & all);
    for (; size < 64; size *= 2) {
        element |= element << size;
    }
    return element;
}

static void every_bit_mask_has_its_field(void)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < 1u << 13; i++) {
        uint64_t value = decode_mask(i << 10);
        uint32_t field = 0;
        if (value == 0) {
            continue;
        }
        CHECK(arm64_bitmask(value, 64, &field));
        CHECK_EQ(decode_mask(field), value);
        count += (field >> 10) == i;
        if (value >> 32 == (uint32_t)value) {
            CHECK(arm64_bitmask((uint32_t)value, 32, &field));
            CHECK_EQ(field >> 22, 0);
            CHECK_EQ((uint32_t)decode_mask(field), (uint32_t)value);
        }
    }
    CHECK_EQ(count, 5334); // different masks
}

static void no_other_number_is_a_bit_mask(void)
{
    uint64_t x = 88172645463325252u;
    uint32_t field;
    unsigned accepted = 0;
    CHECK(!arm64_bitmask(0, 64, &field));
    CHECK(!arm64_bitmask(UINT64_MAX, 64, &field));
    CHECK(!arm64_bitmask(UINT32_MAX, 32, &field));
    for (unsigned i = 0; i < 200000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t value = x & (x >> 11) & 0xff; // few bits, repeated by 8, 16, 32
        value |= value << (8u << (x >> 60) % 3);
        if (arm64_bitmask(value, 64, &field)) {
            CHECK_EQ(decode_mask(field), value);
            accepted++;
        }
    }
    CHECK(accepted != 0);
}

// What a sequence of moves, or ORR with a mask, leaves in its register.
static uint64_t decode_moves(const uint32_t *words, unsigned count)
{
    uint64_t value = 0xdead;
    for (unsigned i = 0; i < count; i++) {
        uint32_t w = words[i];
        uint64_t imm = (uint64_t)(w >> 5 & 0xffff) << (16 * (w >> 21 & 3));
        uint64_t all = w >> 31 != 0 ? UINT64_MAX : UINT32_MAX;
        switch (w >> 23 & 0x3f) {
        case 0x24: value = decode_mask(w & (0x1fffu << 10)) & all; break; // ORR
        default:
            if ((w >> 29 & 3) == 3) { // MOVK
                value = (value & ~(UINT64_C(0xffff) << (16 * (w >> 21 & 3)))) | imm;
            } else {
                value = (w >> 29 & 3) == 0 ? ~imm & all : imm;
            }
            break;
        }
    }
    return value;
}

static void numbers_are_made(void)
{
    static const uint16_t parts[] = {0, 0xffff, 1, 0x8000, 0x7fff, 0xfff0, 0x1234, 0xff};
    uint32_t words[4];
    unsigned lengths[5] = {0};
    for (unsigned i = 0; i < 8 * 8 * 8 * 8; i++) {
        uint64_t imm = parts[i & 7] | (uint64_t)parts[i >> 3 & 7] << 16 | (uint64_t)parts[i >> 6 & 7] << 32 |
                       (uint64_t)parts[i >> 9] << 48;
        unsigned count = arm64_move_imm(7, imm, words);
        CHECK_EQ(decode_moves(words, count), imm);
        CHECK(count >= 1 && count <= 4);
        lengths[count]++;
        CHECK((words[0] & 31) == 7);
    }
    CHECK(lengths[1] > 100 && lengths[2] > 100 && lengths[3] > 100 && lengths[4] > 100);
    CHECK_EQ(arm64_move_imm(0, 0, words), 1);
    CHECK_EQ(arm64_move_imm(0, UINT64_MAX, words), 1);
    CHECK_EQ(arm64_move_imm(0, 0xffff1234, words), 1);
    CHECK_EQ(arm64_move_imm(0, 0xffffffffffff1234, words), 1);
    CHECK_EQ(arm64_move_imm(0, 0x5555555555555555, words), 1);
    CHECK_EQ(arm64_move_imm(0, 0x0ff00ff0, words), 1);
    CHECK_EQ(arm64_move_imm(0, 0xffffffff12345678, words), 2);
}

static void what_does_not_fit_is_said(void)
{
    uint32_t field, b = arm64_branch(A64_B, 64, 0, 0), c = arm64_branch(A64_CBZ, 64, 1, 0);
    uint32_t t = arm64_branch(A64_TBNZ, 64, 1, 40);
    CHECK(!arm64_imm12(4097, &field));
    CHECK(!arm64_imm12(0x1000000, &field));
    CHECK(!arm64_imm12((uint64_t)-1, &field));
    CHECK(!arm64_set_distance(&b, 134217728) && !arm64_set_distance(&b, -134217732) &&
          !arm64_set_distance(&b, 2));
    CHECK(!arm64_set_distance(&c, 1048576) && !arm64_set_distance(&c, -1048580));
    CHECK(!arm64_set_distance(&t, 32768) && !arm64_set_distance(&t, -32772));
    CHECK(arm64_is_offset(64, 32760) && !arm64_is_offset(64, 32768) && !arm64_is_offset(64, 257));
    CHECK(arm64_is_offset(64, 255) && arm64_is_offset(8, 4095) && !arm64_is_offset(8, 4096));
    CHECK(arm64_is_offset(16, -256) && !arm64_is_offset(16, -257));
    CHECK(arm64_is_scale(32, 2) && arm64_is_scale(32, 0) && !arm64_is_scale(32, 3) && !arm64_is_scale(8, 1));
}

TEST_SUITE(arm64_encode)
{
    RUN(words_are_those_of_an_assembler);
    RUN(every_bit_mask_has_its_field);
    RUN(no_other_number_is_a_bit_mask);
    RUN(numbers_are_made);
    RUN(what_does_not_fit_is_said);
}
