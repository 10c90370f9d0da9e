// SPDX-License-Identifier: MIT
// test_main: runs one folder's suites in a process. Usage: NAME_tests [filter] (or TEST_FILTER in the
// environment). Prints one line a failed or skipped case and closes with "N passed, N failed[, N skipped]";
// exit status 0 when nothing failed.
#include <stdio.h>
#include <stdlib.h>

#include "tests/test_host.h"

void test_vprint(const char *fmt, va_list args)
{
    vprintf(fmt, args);
    fflush(stdout); // a crash must not take what was said with it
}

void *test_alloc(size_t size)
{
    return malloc(size);
}

void test_free(void *ptr)
{
    free(ptr);
}

uint64_t test_setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

bool test_is_nightly(void)
{
    return test_setting("EBPF_NIGHTLY", 0) != 0;
}

int main(int argc, char **argv)
{
    test_state.filter = argc > 1 ? argv[1] : getenv("TEST_FILTER");
    test_run_suites();
    test_report_totals();
    return test_state.failed == 0 ? 0 : 1;
}
