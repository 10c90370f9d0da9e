// SPDX-License-Identifier: MIT
// Random functions do the same before and after each pass.
#include "jit/opt_random.h"

enum { INPUTS = 4, STEPS = 4000 };

struct step {
    const char *name;
    ebpf_result_t (*pass)(struct jit *j);
};
static const struct step steps[] = {
    {"simplify", opt_simplify},     {"loops", opt_loops}, {"prune", opt_prune},
    {"resimplify", opt_resimplify}, {"bytes", opt_bytes}, {"select", opt_select},
    {"switch", opt_switch},         {"clean", ir_clean},
};

static bool same(const struct random_outcome *a, const struct random_outcome *b)
{
    // What takes too many steps may take fewer afterwards.
    return a->end != EBPF_SUCCESS ||
           (b->end == EBPF_SUCCESS && a->result == b->result && a->calls == b->calls &&
            memcmp(a->memory, b->memory, sizeof(a->memory)) == 0);
}

// Runs the steps of `set`, one after the other.
static bool check_function(uint64_t seed, uint32_t size, unsigned set)
{
    static struct random_outcome before[INPUTS], after;
    if (!random_make(seed, size)) {
        test_fail(__FILE__, __LINE__, "no function from seed %llu", (unsigned long long)seed);
        return false;
    }
    for (unsigned i = 0; i < INPUTS; i++) {
        random_run(seed * INPUTS + i, STEPS, &before[i]);
    }
    for (unsigned s = 0; s < ARRAY_SIZE(steps); s++) {
        if ((set >> s & 1) == 0) {
            continue;
        }
        if (!fixture_pass(steps[s].pass)) {
            test_fail(__FILE__, __LINE__, "%s on seed %llu size %u set %u", steps[s].name,
                      (unsigned long long)seed, size, set);
            return false;
        }
        for (unsigned i = 0; i < INPUTS; i++) {
            random_run(seed * INPUTS + i, 4 * STEPS, &after); // counting constants, which some passes add
            if (!same(&before[i], &after)) {
                test_fail(__FILE__, __LINE__, "%s changes seed %llu size %u set %u, input %u", steps[s].name,
                          (unsigned long long)seed, size, set, i);
                return false;
            }
        }
    }
    return true;
}

static void all_passes(void)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        REQUIRE(check_function(seed, 10 + (uint32_t)(seed % 60), 0xff));
    }
}

static void some_passes(void)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        REQUIRE(check_function(seed, 5 + (uint32_t)(seed % 40), (unsigned)(seed * 2654435761u >> 16) | 0x80));
    }
}

TEST_SUITE(opt_random)
{
    RUN(all_passes);
    RUN(some_passes);
}
