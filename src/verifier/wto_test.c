// SPDX-License-Identifier: MIT
// Control flow: blocks, heights of call trees, loops and their nesting.
#include "verifier/wto.h"

#include <stdlib.h>

#include "tests/test.h"
#include "verifier/case.h"

static struct vt_case parsed;

// Assembles, builds and keeps the result in *arena.
static bool build(const char *text, struct arena *arena, struct cfg *cfg, struct wto *wto)
{
    const char *error;
    arena_init(arena, test_mem_source(), 0);
    return case_read(&text, &parsed, &error) && error == NULL &&
           cfg_build(spec_builtin(), &parsed.program, arena, cfg) == EBPF_SUCCESS &&
           wto_build(&parsed.program, cfg, arena, wto) == EBPF_SUCCESS;
}

static void straight_code_has_no_loop(void)
{
    struct arena arena;
    struct cfg cfg;
    struct wto wto;
    REQUIRE(build("case straight\nr0 = 0\nif r0 == 1 goto out\nr0 = 2\nout: exit\n", &arena, &cfg, &wto));
    CHECK_EQ(cfg.block_count, 3);
    CHECK_EQ(wto.loop_count, 0);
    CHECK((cfg.flags[3] & CFG_POINT) != 0 && (cfg.flags[2] & CFG_POINT) == 0);
    for (uint32_t b = 0; b < 3; b++) {
        CHECK_EQ(wto.position[b], b);
        CHECK_EQ(wto.order[b], b);
    }
    arena_fini(&arena);
}

static void loops_nest(void)
{
    struct arena arena;
    struct cfg cfg;
    struct wto wto;
    REQUIRE(build("case nested\nr1 = 0\nouter: r2 = 0\ninner: r2 += 1\nif r2 < 8 goto inner\nr1 += 1\n"
                  "if r1 < 8 goto outer\nr0 = 0\nexit\n",
                  &arena, &cfg, &wto));
    uint32_t outer = cfg_block_at(&cfg, 1), inner = cfg_block_at(&cfg, 2), after = cfg_block_at(&cfg, 4),
             end = cfg_block_at(&cfg, 6);
    CHECK_EQ(wto.loop_count, 2);
    CHECK_EQ(wto.max_depth, 2);
    CHECK(wto_is_head(&wto, outer) && wto_is_head(&wto, inner) && !wto_is_head(&wto, after));
    CHECK_EQ(wto.loops[wto.loop[inner]].depth, 1);
    CHECK_EQ(wto.loops[wto.loop[inner]].parent, wto.loop[outer]);
    CHECK_EQ(wto.loop[after], wto.loop[outer]);
    CHECK_EQ(wto.loop[end], CFG_NONE);
    CHECK(wto_holds(&wto, wto.loop[outer], inner) && !wto_holds(&wto, wto.loop[inner], after));
    arena_fini(&arena);
}

// Two ways in: one component all the same, and every way back goes to its head or stays in a nested one.
static void loops_with_two_entries_are_found(void)
{
    struct arena arena;
    struct cfg cfg;
    struct wto wto;
    REQUIRE(
        build("case two\nr1 = 0\nif r1 == 0 goto b\na: r1 += 1\nb: r1 += 2\nif r1 < 9 goto a\nr0 = 0\nexit\n",
              &arena, &cfg, &wto));
    uint32_t a = cfg_block_at(&cfg, 2), b = cfg_block_at(&cfg, 3);
    CHECK_EQ(wto.loop_count, 1);
    CHECK(wto.loop[a] == 0 && wto.loop[b] == 0);
    CHECK(wto_is_head(&wto, a) != wto_is_head(&wto, b));
    arena_fini(&arena);
}

// Each edge goes forwards, or to the head of a loop that holds both ends.
static void check_order(const struct cfg *cfg, const struct wto *wto)
{
    for (uint32_t b = 0; b < cfg->block_count; b++) {
        for (unsigned e = 0; e < 2; e++) {
            uint32_t next = cfg->blocks[b].next[e];
            if (next == CFG_NONE || wto->position[b] == CFG_NONE || wto->position[next] > wto->position[b]) {
                continue;
            }
            CHECK(wto_is_head(wto, next));
            CHECK(wto->loop[next] != CFG_NONE && wto_holds(wto, wto->loop[next], b));
        }
    }
}

static void every_way_back_goes_to_a_head(void)
{
    enum { SIZE = 40, ROUNDS = 2000 };
    static struct insn insns[SIZE];
    struct func whole = {.start = 0, .end = SIZE};
    struct program p = {.insns = insns, .insn_count = SIZE, .funcs = &whole, .func_count = 1};
    uint64_t seed = 7;
    for (int round = 0; round < ROUNDS; round++) {
        struct arena arena;
        struct cfg cfg;
        struct wto wto;
        for (int i = 0; i < SIZE; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            int target = (int)(seed >> 33) % SIZE;
            insns[i] = (struct insn){.id = INSN_MOV64_IMM, .dst = 1};
            if ((seed >> 60) < 5) {
                insns[i] = (struct insn){.id = INSN_JEQ64_IMM, .off = (int16_t)(target - i - 1)};
            }
        }
        insns[SIZE - 1] = (struct insn){.id = INSN_EXIT};
        arena_init(&arena, test_mem_source(), 0);
        CHECK_OK(cfg_build(spec_builtin(), &p, &arena, &cfg));
        CHECK_OK(wto_build(&p, &cfg, &arena, &wto));
        if (wto.max_depth <= WTO_MAX_DEPTH) {
            check_order(&cfg, &wto);
        }
        arena_fini(&arena);
    }
}

static void heights_count_frames(void)
{
    struct arena arena;
    struct cfg cfg;
    struct wto wto;
    REQUIRE(build("case calls\ncall local f\nexit\nf: call local g\ncall local g\nexit\ng: r0 = 0\nexit\n",
                  &arena, &cfg, &wto));
    CHECK_EQ(cfg.recursive, CFG_NONE);
    CHECK_EQ(cfg.height[0], 3);
    CHECK_EQ(cfg.height[1], 2);
    CHECK_EQ(cfg.height[2], 1);
    arena_fini(&arena);
    REQUIRE(build("case recursion\ncall local f\nexit\nf: call local g\nexit\ng: call local f\nexit\n",
                  &arena, &cfg, &wto));
    CHECK(cfg.recursive == 1 || cfg.recursive == 2);
    arena_fini(&arena);
}

TEST_SUITE(wto)
{
    RUN(straight_code_has_no_loop);
    RUN(loops_nest);
    RUN(loops_with_two_entries_are_found);
    RUN(every_way_back_goes_to_a_head);
    RUN(heights_count_frames);
}
