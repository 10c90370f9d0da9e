// SPDX-License-Identifier: MIT
// selftest: hosts the test framework in a driver: the report goes into the caller's buffer, memory comes from
// the pool and is not counted. All state is that of the one run under way.
#include "hosts/selftest.h"

#include "plat/plat_int.h"
#include "tests/test_host.h"

#define TOTALS_ROOM 128u // kept free for the last lines, whatever was said before

static struct {
    char *text;
    size_t length, limit; // invariant: length < limit <= capacity
    bool truncated;
} report;
static uint32_t running;

void test_vprint(const char *fmt, va_list args)
{
    size_t left = report.limit - report.length;
    size_t wanted = str_vformat(report.text + report.length, left, fmt, args);
    if (wanted < left) {
        report.length += wanted;
    } else {
        report.length = report.limit - 1;
        report.truncated = true;
    }
}

void *test_alloc(size_t size)
{
    return raw_alloc(size, 16, POOL_TAG_TEST);
}

void test_free(void *ptr)
{
    if (ptr != NULL) {
        raw_free(ptr);
    }
}

static void end_report(void)
{
    report.limit += TOTALS_ROOM;
    if (report.truncated) {
        report.length += str_format(report.text + report.length, report.limit - report.length,
                                    "\n(the report is longer than the buffer)\n");
    }
    test_report_totals();
}

static size_t run_all(const char *filter, char *out, size_t capacity)
{
    memset(&test_state, 0, sizeof(test_state));
    memset(&report, 0, sizeof(report));
    test_state.filter = filter != NULL && *filter != '\0' ? filter : NULL;
    report.text = out;
    report.limit = capacity - TOTALS_ROOM;
    test_run_suites();
    end_report();
    return report.length;
}

size_t selftest_run(const char *filter, char *out, size_t capacity)
{
    size_t length;
    if (capacity < SELFTEST_CAPACITY_MIN || plat_cpu_count() == 0) {
        return 0;
    }
    if (__atomic_exchange_n(&running, 1, __ATOMIC_ACQUIRE) != 0) {
        return str_format(out, capacity, "another run is under way\n0 passed, 1 failed\n");
    }
    length = run_all(filter, out, capacity);
    __atomic_store_n(&running, 0, __ATOMIC_RELEASE);
    return length;
}
