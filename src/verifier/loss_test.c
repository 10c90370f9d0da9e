// SPDX-License-Identifier: MIT
// What findings tell beside rule and place: the path, and where two ways met and a fact was lost.
#include <string.h>

#include "tests/test.h"
#include "verifier/case.h"
#include "verifier/verifier.h"

static struct vt_case parsed;

// The only finding of a program, in the arena's memory.
static const struct finding *find(const char *text, struct arena *arena)
{
    const char *error;
    struct verify_report report;
    struct verify_options options = {.spec = spec_builtin(), .per_point = 1};
    bool read = case_read(&text, &parsed, &error) && error == NULL;
    CHECK(read);
    CHECK_OK(verify_program(&parsed.program, &options, arena, &report));
    CHECK(!report.accepted && report.finding_count == 1);
    return &report.findings[0];
}

static void shorter_packet_is_told(void)
{
    struct arena arena;
    arena_init(&arena, test_mem_source(), 0);
    const struct finding *f = find("case meet\n"
                                   "r6 = *(u32 *)(r1 + 0)\n"
                                   "r7 = *(u32 *)(r1 + 4)\n"
                                   "r2 = r6\n"
                                   "r0 = *(u32 *)(r1 + 12)\n"
                                   "if r0 == 0 goto short\n"
                                   "r2 += 40\n"
                                   "if r2 > r7 goto out\n"
                                   "goto read\n"
                                   "short: r2 += 20\n"
                                   "if r2 > r7 goto out\n"
                                   "read: r0 = *(u8 *)(r6 + 30)\n"
                                   "out: r0 = 0\n"
                                   "exit\n",
                                   &arena);
    CHECK_STR(rule_row(f->rule)->name, "packet-bounds");
    CHECK_EQ(f->loss.pc, 10);
    CHECK(strstr(f->loss.text, "at least 40 bytes") != NULL &&
          strstr(f->loss.text, "20 on the other") != NULL);
    CHECK_EQ(f->loss.from[0] + f->loss.from[1], 7 + 9);
    arena_fini(&arena);
}

static void path_ends_before_the_finding(void)
{
    struct arena arena;
    arena_init(&arena, test_mem_source(), 0);
    const struct finding *f = find("case path\n"
                                   "r2 = *(u32 *)(r1 + 12)\n"
                                   "if r2 == 0 goto out\n"
                                   "if r2 > 7 goto bad\n"
                                   "out: r0 = 0\n"
                                   "exit\n"
                                   "bad: r0 = *(u8 *)(r2 + 0)\n"
                                   "exit\n",
                                   &arena);
    CHECK_STR(rule_row(f->rule)->name, "not-a-pointer");
    REQUIRE(f->path_count == 2);
    CHECK(f->path[0].pc == 1 && !f->path[0].taken);
    CHECK(f->path[1].pc == 2 && f->path[1].taken);
    CHECK_EQ(f->loss.pc, UINT32_MAX);
    arena_fini(&arena);
}

TEST_SUITE(loss)
{
    RUN(shorter_packet_is_told);
    RUN(path_ends_before_the_finding);
}
