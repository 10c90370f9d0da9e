// SPDX-License-Identifier: MIT
// The cases of tests/verify before the kernel (Linux only): what is accepted here and refused there belongs
// to a class of differences that is known (kernel.c), or is a path that is never taken. Loaded and closed
// again; nothing is attached or run. Skipped where bpf(2) is not permitted.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/soundness/kernel.h"
#include "tests/soundness/oracle.h"
#include "tests/soundness/sources.h"
#include "tests/test.h"

static unsigned asked, agreed, stricter, known, unexplained;

// Maps and types that the kernel makes the same of.
static bool is_expressible(const struct vt_case *c)
{
    uint32_t type = c->program.type;
    bool plain = type == PROG_TYPE_XDP || type == PROG_TYPE_SOCKET_FILTER || type == PROG_TYPE_SCHED_CLS;
    for (uint32_t i = 0; i < c->program.map_count; i++) {
        plain = plain && c->maps[i].type != MAP_TYPE_NONE &&
                (c->program.map_facts == NULL ||
                 (!c->program.map_facts[i].has_inner && c->program.map_facts[i].field_count == 0 &&
                  c->program.map_facts[i].contents == NULL));
    }
    for (uint32_t f = 0; f < c->program.func_count; f++) {
        plain = plain && c->funcs[f].global == 0;
    }
    for (uint32_t pc = 0; pc < c->program.insn_count; pc++) {
        uint16_t id = c->insns[pc].id;
        plain = plain && id != INSN_CALL_BTF && id != INSN_LDDW_VAR && id != INSN_CALLX;
    }
    return plain && c->program.dialect == DIALECT_LINUX && !c->unprivileged;
}

static void explain(const struct vt_case *c)
{
    const char *words = kernel_last_words();
    if (kernel_find_difference(&c->program, words) >= 0 || kernel_path_is_never_taken(oracle_visited)) {
        known++;
        return;
    }
    unexplained++;
    if (kernel_is_the_one_of_the_classes()) {
        test_fail(__FILE__, __LINE__, "%s: accepted here, refused by the kernel: %s", c->name, words);
    } else {
        printf("%s: accepted here, refused by the kernel: %s\n", c->name, words);
    }
}

static bool compare(void *user, const struct vt_case *c)
{
    int fds[CASE_MAX_MAPS];
    struct oracle_options options = {.spec = spec_builtin(), .runs = 8, .seed = 1, .max_steps = 100000};
    uint32_t made = 0;
    uint16_t rule;
    UNUSED(user);
    if (!is_expressible(c)) {
        return true;
    }
    while (made < c->program.map_count && (fds[made] = kernel_create_map(&c->maps[made])) >= 0) {
        made++;
    }
    if (made == c->program.map_count) {
        bool here = oracle_judge(&c->program, &options, &rule) == ORACLE_ACCEPTED;
        bool there = kernel_accepts(&c->program, fds);
        asked++;
        agreed += here == there;
        stricter += there && !here;
        if (here && !there) {
            explain(c);
        }
    }
    while (made > 0) {
        close(fds[--made]);
    }
    return true;
}

static void kernel_agrees_on_cases(void)
{
    static const struct map_def any = {MAP_TYPE_ARRAY, 2, 4, 8, 1, 0, "any"};
    int fd = kernel_create_map(&any);
    if (fd < 0) {
        SKIP("bpf(2) is not permitted");
    }
    close(fd);
    REQUIRE(oracle_open());
    source_each_case(compare, NULL);
    if (getenv("ORACLE_VERBOSE") != NULL) {
        printf("kernel: %u cases, the same verdict on %u, refused here only %u, refused there only %u "
               "(explained) + %u\n",
               asked, agreed, stricter, known, unexplained);
    }
    CHECK(asked > 50);
    oracle_close();
}

TEST_SUITE(kernel_cases)
{
    RUN(kernel_agrees_on_cases);
}
