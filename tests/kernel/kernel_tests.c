// SPDX-License-Identifier: MIT
// kernel_tests: asks the running Debug ebpfcore.sys to test itself (SELFTEST) and prints its report. Usage:
// kernel_tests [filter] (or TEST_FILTER in the environment). Exit status 0 when nothing failed. Windows.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/device.h"

#define REPORT_SIZE (256u << 10)

static bool ask(const char *filter, char *report, size_t capacity)
{
    size_t length = 0;
    HANDLE device = device_open();
    bool done =
        device != INVALID_HANDLE_VALUE &&
        device_control(device, PROTO_CONTROL_SELFTEST, filter, strlen(filter), report, capacity - 1, &length);
    if (!done) {
        printf("no report from %s: error %lu\n", NAME_DEVICE_USER, GetLastError());
    }
    report[length] = '\0';
    CloseHandle(device);
    return done;
}

// The report ends with the totals. One that ends otherwise was cut off by something.
static bool is_good(const char *report)
{
    unsigned passed, failed;
    const char *totals = strstr(report, " passed, ");
    while (totals != NULL && totals > report && totals[-1] != '\n') {
        totals--;
    }
    return totals != NULL && sscanf(totals, "%u passed, %u failed", &passed, &failed) == 2 && failed == 0;
}

int main(int argc, char **argv)
{
    struct proto_witness start;
    const char *variable = getenv("TEST_FILTER"), *filter = argc > 1 ? argv[1] : variable;
    char *report = malloc(REPORT_SIZE);
    // The unit tests count allocations: nothing of anybody else may go meanwhile.
    if (report == NULL || !device_wait_quiet(&start) ||
        !ask(filter != NULL ? filter : "", report, REPORT_SIZE)) {
        free(report);
        return 1;
    }
    fputs(report, stdout);
    bool good = is_good(report);
    free(report);
    return good ? 0 : 1;
}
