// SPDX-License-Identifier: MIT
// Folding of sums into addresses and into LEA, and what must not be folded.
#include "jit/lower_address.h"
#include "tests/test.h"

#include <string.h>

static _Alignas(16) uint8_t workspace[1024 * 1024];
static const struct jit_options options = {.passes = JIT_ALL_PASSES};
static struct jit jit;

static void collect(void *user, const char *line)
{
    char *text = user;
    size_t length = str_len(text);
    str_format(text + length, 4000 - length, "%s\n", line);
}

// No index that is the frame, as on all targets.
static bool any_address(const struct jit *j, const struct ir_value *v)
{
    bool indexed = (ir_op_info(v->op)->flags & IR_ADDR) != 0 && v->b != IR_NONE;
    return !indexed || ir_at(&j->ir, v->b)->op != IR_FRAME;
}

static bool no_scale(const struct jit *j, const struct ir_value *v)
{
    UNUSED(j);
    return v->scale == 0;
}

// `body` behind v1, v2 = param, v3 = frame; afterwards there has to be `expected`.
static void check(const char *body, lower_legal_fn legal, const char *expected)
{
    static char text[4000], out[4000];
    uint32_t line = 0;
    jit = (struct jit){.options = &options};
    str_format(text, sizeof(text), "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v3 = frame\n%s",
               body);
    REQUIRE_OK(jit_begin(&jit, workspace, sizeof(workspace)));
    jit_begin_function(&jit, 0);
    if (ir_parse(&jit, text, &line) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "line %u does not parse: %s", line, text);
        return;
    }
    ir_count_uses(&jit.ir);
    lower_addresses(&jit, legal);
    REQUIRE_OK(ir_clean(&jit));
    out[0] = '\0';
    ir_print(&jit.ir, collect, out);
    if (strstr(out, expected) == NULL) {
        test_fail(__FILE__, __LINE__, "\"%s\" is not in\n%s", expected, out);
    }
}

static void constants_become_displacements(void)
{
    check("  v4 = add64 v1, #100\n  v5 = load32 [v4 + 8]\n  ret v5\n", any_address, "load32 [v1 + 108]");
    check("  v4 = const #100\n  v5 = sub64 v1, v4\n  v6 = load8 [v5]\n  ret v6\n", any_address,
          "load8 [v1 - 100]");
    check("  v4 = add64 v1, #16\n  v5 = xchg64 [v4 + 8], v2\n  ret v5\n", any_address,
          "xchg64 [v1 + 24], v2");
}

static void what_overflows_or_is_narrow_stays(void)
{
    check("  v4 = add64 v1, #2147483647\n  v5 = load32 [v4 + 8]\n  ret v5\n", any_address, "load32 [v4 + 8]");
    check("  v4 = add32 v1, #100\n  v5 = load32 [v4 + 8]\n  ret v5\n", any_address, "load32 [v4 + 8]");
    check("  v4 = add64 v1, #8589934592\n  v5 = load32 [v4]\n  ret v5\n", any_address, "load32 [v4]");
    check("  v4 = shl32 v2, #2\n  v5 = load32 [v1 + v4]\n  ret v5\n", any_address, "load32 [v1 + v4]");
    check("  v4 = shl64 v2, #4\n  v5 = load32 [v1 + v4]\n  ret v5\n", any_address, "load32 [v1 + v4]");
}

static void shifts_become_scales(void)
{
    check("  v4 = shl64 v2, #3\n  v5 = add64 v1, v4\n  v6 = load64 [v5 + 40]\n  ret v6\n", any_address,
          "load64 [v1 + v2 << 3 + 40]");
    check("  v4 = shl64 v2, #3\n  v5 = add64 v4, v1\n  v6 = load64 [v5]\n  ret v6\n", any_address,
          "load64 [v1 + v2 << 3]");
    check("  v4 = add64 v2, #5\n  v5 = shl64 v4, #1\n  v6 = add64 v1, v5\n  v7 = load16 [v6]\n  ret v7\n",
          any_address, "load16 [v1 + v2 << 1 + 10]");
    check("  v4 = shl64 v2, #3\n  v5 = add64 v1, v4\n  v6 = load64 [v5 + 40]\n  ret v6\n", no_scale,
          "load64 [v1 + v4 + 40]");
}

static void sums_that_are_needed_anyway_stay(void)
{
    check("  v4 = add64 v1, v2\n  v5 = load64 [v4]\n  v6 = add64 v4, v5\n  ret v6\n", any_address,
          "load64 [v4]");
    check("  v4 = add64 v1, v2\n  v5 = load64 [v4]\n  v6 = load64 [v4 + 8]\n  v7 = xor64 v5, v6\n  ret v7\n",
          any_address, "load64 [v1 + v2 + 8]");
    check("  v4 = add64 v1, #8 !step\n  v5 = load64 [v4]\n  ret v5\n", any_address, "load64 [v4]");
}

static void frames_are_bases(void)
{
    check("  v4 = add64 v3, #-128\n  v5 = add64 v2, v4\n  v6 = load8 [v5]\n  ret v6\n", any_address,
          "load8 [v3 + v2 - 128]");
    check("  v4 = add64 v3, #-128\n  store64 [v2 + v4], v1\n  ret v1\n", any_address,
          "store64 [v3 + v2 - 128], v1");
    check("  v4 = add64 v3, #-8\n  ret v4\n", any_address, "lea64 [v3 - 8]");
}

static void sums_of_sums_become_one(void)
{
    check("  v4 = add64 v1, v2\n  v5 = add64 v4, #7\n  ret v5\n", any_address, "lea64 [v1 + v2 + 7]");
    check("  v4 = shl32 v1, #2\n  v5 = add32 v4, v2\n  ret v5\n", any_address, "lea32 [v2 + v1 << 2]");
    check("  v4 = shl64 v1, #2\n  v5 = add32 v4, v2\n  ret v5\n", any_address, "lea32 [v2 + v1 << 2]");
    check("  v4 = shl32 v1, #2\n  v5 = add64 v4, v2\n  ret v5\n", any_address, "add64 v4, v2");
    check("  v4 = add64 v1, v2\n  v5 = add64 v4, #7\n  v6 = xor64 v4, v5\n  ret v6\n", any_address,
          "add64 v4, #7");
    check("  v4 = shl64 v1, #2\n  v5 = add64 v2, v4\n  ret v5\n", no_scale, "add64 v2, v4");
}

TEST_SUITE(lower_address)
{
    RUN(constants_become_displacements);
    RUN(what_overflows_or_is_narrow_stays);
    RUN(shifts_become_scales);
    RUN(sums_that_are_needed_anyway_stay);
    RUN(frames_are_bases);
    RUN(sums_of_sums_become_one);
}
