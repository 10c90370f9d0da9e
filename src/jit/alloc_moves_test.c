// SPDX-License-Identifier: MIT
// Moves that happen at once: made one by one in the order that alloc_order_moves gives, they do the same.
#include "jit/alloc_fixture.h"

#define PLACES  12 // 0-5 registers, 6-11 slots
#define SCRATCH 31

static struct jit_location place(uint32_t n)
{
    return n < 6 ? (struct jit_location){.place = PLACE_REG, .reg = (uint8_t)n}
                 : (struct jit_location){.place = PLACE_SLOT, .slot = n - 6};
}

static struct jit_location constant(uint32_t value)
{
    return (struct jit_location){.place = PLACE_CONST, .value = value};
}

static uint32_t *held(uint32_t *registers, uint32_t *slots, const struct jit_location *at)
{
    return at->place == PLACE_REG ? &registers[at->reg] : &slots[at->slot];
}

static void make(const struct jit_move *moves, uint32_t count, uint32_t *registers, uint32_t *slots)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t value = moves[i].from.place == PLACE_CONST ? moves[i].from.value
                                                            : *held(registers, slots, &moves[i].from);
        *held(registers, slots, &moves[i].to) = value;
    }
}

static uint32_t random_state = 1;
static uint32_t pick(uint32_t count)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % count;
}

// Each place is written once at most; what it gets is any place's value or a number.
static uint32_t random_moves(struct jit_move *moves, uint32_t *wanted)
{
    uint32_t count = 0;
    for (uint32_t to = 0; to < PLACES; to++) {
        wanted[to] = 100 + to;
        if (pick(4) != 0) {
            uint32_t from = pick(PLACES + 2);
            moves[count++] = (struct jit_move){place(to), from < PLACES ? place(from) : constant(from)};
            wanted[to] = from < PLACES ? 100 + from : from;
        }
    }
    return count;
}

static void random_moves_end_where_they_should(void)
{
    for (uint32_t round = 0; round < 20000 && test_state.failed_checks == 0; round++) {
        struct jit_move moves[PLACES], out[2 * PLACES];
        uint32_t wanted[PLACES], registers[32] = {0}, slots[6];
        uint32_t count = random_moves(moves, wanted);
        for (uint32_t i = 0; i < 6; i++) {
            registers[i] = 100 + i;
            slots[i] = 106 + i;
        }
        uint32_t made = alloc_order_moves(moves, count, SCRATCH, out);
        CHECK(made <= 2 * count);
        make(out, made, registers, slots);
        for (uint32_t i = 0; i < PLACES; i++) {
            CHECK_EQ(i < 6 ? registers[i] : slots[i - 6], wanted[i]);
        }
    }
}

static void a_swap_takes_three(void)
{
    struct jit_move moves[] = {{place(1), place(2)}, {place(2), place(1)}}, out[4];
    CHECK_EQ(alloc_order_moves(moves, 2, SCRATCH, out), 3);
}

static void what_is_in_place_is_left_out(void)
{
    struct jit_move moves[] = {{place(1), place(1)},
                               {place(7), place(7)},
                               {{.place = PLACE_NONE}, place(2)},
                               {place(2), {.place = PLACE_NONE}}},
                    out[8];
    CHECK_EQ(alloc_order_moves(moves, 4, SCRATCH, out), 0);
}

// The scratch register is needed for them, and a cycle may wait in it.
static void constants_come_last(void)
{
    struct jit_move moves[] = {{{.place = PLACE_STACK_ARG, .slot = 32}, constant(9)},
                               {place(1), place(2)},
                               {place(2), place(1)}},
                    out[6];
    REQUIRE(alloc_order_moves(moves, 3, SCRATCH, out) == 4);
    CHECK_EQ(out[3].from.place, PLACE_CONST);
}

TEST_SUITE(alloc_moves)
{
    RUN(random_moves_end_where_they_should);
    RUN(a_swap_takes_three);
    RUN(what_is_in_place_is_left_out);
    RUN(constants_come_last);
}
