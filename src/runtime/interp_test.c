// SPDX-License-Identifier: MIT
// Tests of what the interpreter alone has: bounds that need no verifier, and the observer.
#include "runtime/fixture.h"

static struct fixture fixture;

static uint64_t run(const struct insn *insns, uint32_t count)
{
    struct raw_source raw = {insns, count, NULL};
    uint64_t result = 0xdeadbeef;
    CHECK_OK(raw_prog_once(fixture.rt, RUNTIME_INTERPRETER, &raw, NULL, 0, &result));
    return result;
}

// Counts frames down: r1 levels. More than there are frames ends the run.
static void local_calls_are_bounded(void)
{
    static const struct insn insns[] = {
        I(MOV64_REG, 0, 1, 0, 0),   I(JEQ64_IMM, 1, 0, 2, 0), I(SUB64_IMM, 1, 0, 0, 1),
        I(CALL_LOCAL, 0, 0, 0, -4), I(ADD64_IMM, 0, 0, 0, 1), I(EXIT, 0, 0, 0, 0),
    };
    struct insn deep[ARRAY_SIZE(insns) + 1] = {I(MOV64_IMM, 1, 0, 0, 7)};
    memcpy(deep + 1, insns, sizeof(insns));
    CHECK_EQ(run(deep, ARRAY_SIZE(deep)), 8);
    deep[0].imm = 8;
    CHECK_EQ(run(deep, ARRAY_SIZE(deep)), 0);
}

// Without an exit the sentinel ends the run.
static void running_off_the_end_stops(void)
{
    static const struct insn insns[] = {I(MOV64_IMM, 0, 0, 0, 3)};
    CHECK_EQ(run(insns, 1), 0);
}

// --- observer ------------------------------------------------------------------------------------

struct seen {
    uint32_t pcs[8];
    uint64_t r0[8];
    unsigned count;
};

static void see(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT])
{
    struct seen *s = user;
    if (s->count < ARRAY_SIZE(s->pcs)) {
        s->pcs[s->count] = pc;
        s->r0[s->count] = regs[0];
    }
    s->count++;
}

static void observer_sees_every_instruction(void)
{
    static const struct insn insns[] = {I(MOV64_IMM, 0, 0, 0, 4), I2(LDDW, 2, 1),
                                        I(ADD64_REG, 0, 2, 0, 0), I(JA, 0, 0, 1, 0),
                                        I(EXIT, 0, 0, 0, 0),      I(EXIT, 0, 0, 0, 0)};
    struct seen s = {0};
    interp_set_observer(fixture.rt, see, &s);
    CHECK_EQ(run(insns, ARRAY_SIZE(insns)), 5);
    REQUIRE(s.count == 5);
    CHECK(s.pcs[0] == 0 && s.pcs[1] == 1 && s.pcs[2] == 3 && s.pcs[3] == 4 && s.pcs[4] == 6);
    CHECK(s.r0[0] == 0 && s.r0[1] == 4 && s.r0[3] == 5);
    interp_set_observer(fixture.rt, NULL, NULL);
    CHECK_EQ(run(insns, ARRAY_SIZE(insns)), 5);
    CHECK_EQ(s.count, 5);
}

TEST_SUITE(interp)
{
    REQUIRE(fixture_open(&fixture));
    RUN(local_calls_are_bounded);
    RUN(running_off_the_end_stops);
    RUN(observer_sees_every_instruction);
    fixture_close(&fixture);
}
