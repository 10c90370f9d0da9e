// SPDX-License-Identifier: MIT
// test_main: runs one folder's suites. Usage: NAME_tests [filter] (or TEST_FILTER in the environment). Prints
// one line a failed or skipped case and closes with "N passed, N failed[, N skipped]"; exit status 0 when
// nothing failed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

struct test_state test_state;

static unsigned long live_count, fail_countdown;

bool test_begin(const char *file, const char *name)
{
    UNUSED(file);
    if (test_state.filter != NULL && strstr(name, test_state.filter) == NULL) {
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
        printf("FAILED %s\n", test_state.name);
    }
    fflush(stdout);
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    if (test_state.failed_checks++ >= 20) {
        return; // enough said about this case
    }
    printf("%s:%d: %s: ", file, line, test_state.name != NULL ? test_state.name : "?");
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
}

void test_skip(const char *reason)
{
    printf("SKIPPED %s: %s\n", test_state.name, reason);
    test_state.skipped++;
    test_state.name = NULL;
}

static void *source_alloc(void *user, size_t size)
{
    UNUSED(user);
    if (fail_countdown != 0 && --fail_countdown == 0) {
        return NULL;
    }
    void *ptr = malloc(size);
    live_count += ptr != NULL;
    return ptr;
}

static void source_free(void *user, void *ptr)
{
    UNUSED(user);
    live_count -= ptr != NULL;
    free(ptr);
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

#define X(name) void test_suite_##name(void);
TEST_SUITES
#undef X

int main(int argc, char **argv)
{
    test_state.filter = argc > 1 ? argv[1] : getenv("TEST_FILTER");
#define X(name) test_suite_##name();
    TEST_SUITES
#undef X
    printf("%u passed, %u failed", test_state.passed, test_state.failed);
    if (test_state.skipped != 0) {
        printf(", %u skipped", test_state.skipped);
    }
    printf("\n");
    return test_state.failed == 0 ? 0 : 1;
}
