// SPDX-License-Identifier: MIT
// test_cases: counts cases and reports those that fail or are skipped, on whatever host (test_host.h). Free
// of libc, so that it runs inside the driver as well. TEST_SUITES: X(name) for each suite of the program.
#include "tests/test_host.h"

#define FAILURES_SHOWN 20u // of one case

struct test_state test_state;

static unsigned long live_count, fail_countdown;

PRINTF_LIKE(1, 2)
static void print(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    test_vprint(fmt, args);
    va_end(args);
}

static bool contains(const char *text, const char *part)
{
    for (; *text != '\0'; text++) {
        if (str_starts_with(text, part)) {
            return true;
        }
    }
    return *part == '\0';
}

bool test_begin(const char *file, const char *name)
{
    UNUSED(file);
    if (test_state.filter != NULL && !contains(name, test_state.filter)) {
        return false;
    }
    test_state.name = name;
    test_state.failed_checks = 0;
    return true;
}

void test_end(void)
{
    if (test_state.name == NULL) { // skipped
        return;
    }
    if (test_state.failed_checks == 0) {
        test_state.passed++;
    } else {
        test_state.failed++;
        print("FAILED %s\n", test_state.name);
    }
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    if (test_state.failed_checks++ >= FAILURES_SHOWN) {
        return; // enough said about this case
    }
    print("%s:%d: %s: ", file, line, test_state.name != NULL ? test_state.name : "?");
    va_start(args, fmt);
    test_vprint(fmt, args);
    va_end(args);
    print("\n");
}

void test_skip(const char *reason)
{
    print("SKIPPED %s: %s\n", test_state.name, reason);
    test_state.skipped++;
    test_state.name = NULL;
}

// --- memory that can fail ------------------------------------------------------------------------

static void *source_alloc(void *user, size_t size)
{
    UNUSED(user);
    if (fail_countdown != 0 && --fail_countdown == 0) {
        return NULL;
    }
    void *ptr = test_alloc(size);
    live_count += ptr != NULL;
    return ptr;
}

static void source_free(void *user, void *ptr)
{
    UNUSED(user);
    live_count -= ptr != NULL;
    test_free(ptr);
}

const struct mem_source *test_mem_source(void)
{
    static const struct mem_source source = {source_alloc, source_free, NULL};
    return &source;
}

void test_mem_fail(unsigned long nth)
{
    fail_countdown = nth;
}

unsigned long test_mem_live(void)
{
    return live_count;
}

// --- the suites ----------------------------------------------------------------------------------

#define X(name) void test_suite_##name(void);
TEST_SUITES
#undef X

void test_run_suites(void)
{
#define X(name) test_suite_##name();
    TEST_SUITES
#undef X
}

void test_report_totals(void)
{
    print("%u passed, %u failed", test_state.passed, test_state.failed);
    if (test_state.skipped != 0) {
        print(", %u skipped", test_state.skipped);
    }
    print("\n");
}
