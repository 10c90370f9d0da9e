// SPDX-License-Identifier: MIT
// opt_fixture: what the tests of the passes share: functions from text, passes over them, running them.
#pragma once

#include "jit/ir.h"
#include "tests/test.h"

#define FIXTURE_MEMORY 256 // bytes that functions may touch, at param 0

static _Alignas(16) uint8_t fixture_workspace[1024 * 1024];
static struct jit_options fixture_options = {.passes = JIT_ALL_PASSES, .cpu = JIT_CPU_POPCNT};
static struct jit fixture;
static char fixture_text[64 * 1024];

static inline bool fixture_begin(void)
{
    memset(fixture_workspace, 0xa5, sizeof(fixture_workspace)); // what passes do not set shows
    fixture = (struct jit){.options = &fixture_options};
    if (jit_begin(&fixture, fixture_workspace, sizeof(fixture_workspace)) != EBPF_SUCCESS) {
        return false;
    }
    jit_begin_function(&fixture, 0);
    return true;
}

static inline bool fixture_parse(const char *text)
{
    uint32_t line = 0;
    if (!fixture_begin() || ir_parse(&fixture, text, &line) != EBPF_SUCCESS) {
        test_fail(__FILE__, (int)line, "line %u of the text is wrong", line);
        return false;
    }
    return ir_clean(&fixture) == EBPF_SUCCESS;
}

static inline void fixture_collect(void *user, const char *line)
{
    size_t *length = user;
    *length += str_format(fixture_text + *length, sizeof(fixture_text) - *length, "%s\n", line);
}

static inline const char *fixture_print(void)
{
    size_t length = 0;
    fixture_text[0] = '\0';
    ir_print(&fixture.ir, fixture_collect, &length);
    return fixture_text;
}

// Runs one pass and looks whether the form is whole.
static inline bool fixture_pass(ebpf_result_t (*pass)(struct jit *j))
{
    size_t used = fixture.memory.used;
    memset(fixture.memory.base + used, 0x5a,
           (size_t)((uint8_t *)(fixture.ir.top + 1 - fixture.ir.value_count) - fixture.memory.base) - used);
    if (pass(&fixture) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "the pass failed");
        return false;
    }
    uint32_t where = 0;
    const char *wrong = ir_check(&fixture, &where);
    if (wrong != NULL) {
        test_fail(__FILE__, __LINE__, "%s (at %u):\n%s", wrong, where, fixture_print());
    }
    return wrong == NULL;
}

// The text is the function after `pass`, values and all.
static inline void fixture_expect(const char *before, ebpf_result_t (*pass)(struct jit *j), const char *after)
{
    if (fixture_parse(before) && fixture_pass(pass)) {
        CHECK_STR(fixture_print(), after);
    }
}

// `part` is somewhere in the function after the pass.
static inline bool fixture_contains(const char *part)
{
    const char *text = fixture_print();
    for (; *text != '\0'; text++) {
        if (str_starts_with(text, part)) {
            return true;
        }
    }
    return false;
}
