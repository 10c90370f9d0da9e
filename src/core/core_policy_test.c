// SPDX-License-Identifier: MIT
// What may run where, by table, and that a load asks.
#include "core/core_fixture.h"

struct policy_case {
    enum core_execution mode;
    struct core_integrity facts;
    bool permitted;
    const char *word; // in the sentence of a refusal
};

static const struct policy_case cases[] = {
    {CORE_INTERPRETER, {0}, true, ""},
    {CORE_INTERPRETER, {.hvci = true}, true, ""},
    {CORE_INTERPRETER, {.unknown = true}, true, ""},
    {CORE_JIT, {0}, true, ""},
    {CORE_JIT, {.test_signing = true}, true, ""},
    {CORE_JIT, {.hvci_audit = true}, true, ""},
    {CORE_JIT, {.hvci = true}, false, "memory integrity (HVCI) is on; use native mode"},
    {CORE_JIT, {.hvci = true, .test_signing = true}, false, "native mode"},
    {CORE_JIT, {.hvci = true, .hvci_audit = true}, false, "native mode"},
    {CORE_JIT, {.unknown = true}, false, "native mode"},
    {CORE_NATIVE, {0}, true, ""},
    {CORE_NATIVE, {.hvci = true}, true, ""},
    {CORE_NATIVE, {.unknown = true}, true, ""},
    {(enum core_execution)3, {0}, false, "unknown"},
};

static bool contains(const char *text, const char *word)
{
    for (; *text != 0; text++) {
        if (str_starts_with(text, word)) {
            return true;
        }
    }
    return word[0] == 0;
}

static void modes_and_machines(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct policy_case *c = &cases[i];
        const char *why = "";
        CHECK_EQ(core_policy_check(c->mode, &c->facts, &why),
                 c->permitted ? EBPF_SUCCESS : EBPF_BLOCKED_BY_POLICY);
        CHECK(contains(why, c->word));
        CHECK_EQ(str_len(why) == 0, c->permitted);
    }
}

static void options_of_the_system(void)
{
    struct core_integrity f = core_integrity_from_options(0x1);
    CHECK(!f.unknown && !f.hvci && !f.hvci_audit && !f.test_signing);
    f = core_integrity_from_options(0x3);
    CHECK(f.test_signing && !f.hvci);
    f = core_integrity_from_options(0x401);
    CHECK(f.hvci && !f.hvci_audit && !f.test_signing);
    f = core_integrity_from_options(0x801);
    CHECK(f.hvci_audit && !f.hvci);
}

// Loads a program into a core with these options. The reply's text is what the client prints as its log.
static void load_with(struct core_options options, ebpf_result_t expected, const char *word)
{
    static struct bench b;
    struct object *prog = NULL;
    REQUIRE_OK(bench_init(&b));
    struct core *usual = b.core;
    options.runtime.spec = spec_builtin();
    CHECK_OK(core_create(&options, &b.core));
    CHECK_EQ(bench_load_answer(&b, PROG_TYPE_XDP, &prog), expected);
    CHECK_EQ(prog != NULL, expected == EBPF_SUCCESS);
    CHECK(b.tail != NULL && contains((const char *)b.tail, word));
    bench_release(prog);
    core_destroy(b.core);
    b.core = usual;
    bench_fini(&b);
}

static void a_load_asks(void)
{
    load_with((struct core_options){.execution = CORE_JIT, .integrity = {.hvci = true}},
              EBPF_BLOCKED_BY_POLICY, "native mode");
    load_with((struct core_options){.execution = CORE_JIT}, EBPF_SUCCESS, "");
    load_with((struct core_options){.execution = CORE_NATIVE}, EBPF_OPERATION_NOT_SUPPORTED,
              "only programs of native modules");
#if defined(EBPF_INTERPRETER)
    load_with((struct core_options){.execution = CORE_INTERPRETER, .integrity = {.hvci = true}}, EBPF_SUCCESS,
              "");
#endif
}

TEST_SUITE(core_policy)
{
    RUN(modes_and_machines);
    RUN(options_of_the_system);
    RUN(a_load_asks);
}
