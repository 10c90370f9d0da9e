// SPDX-License-Identifier: MIT
// Tests of the table of results.
#include "tests/test.h"

static void rows_are_complete(void)
{
    for (unsigned i = 0; i < EBPF_RESULT_COUNT; i++) {
        const struct result_row *row = result_row((ebpf_result_t)i);
        CHECK(row->name != NULL && str_starts_with(row->name, "EBPF_"));
        CHECK(row->sentence != NULL && row->sentence[0] != '\0');
        CHECK((row->linux_errno == 0) == (i == 0));
        CHECK((row->ntstatus == 0) == (i == 0));
    }
}

static void unknown_result_is_failure(void)
{
    CHECK_STR(result_row((ebpf_result_t)EBPF_RESULT_COUNT)->name, "EBPF_FAILED");
    CHECK_STR(result_row((ebpf_result_t)-1)->name, "EBPF_FAILED");
}

static void errno_of_clients(void)
{
    CHECK_EQ(result_row(EBPF_KEY_NOT_FOUND)->linux_errno, 2);
    CHECK_EQ(result_row(EBPF_KEY_ALREADY_EXISTS)->linux_errno, 17);
    CHECK_EQ(result_row(EBPF_OUT_OF_SPACE)->linux_errno, 7);
    CHECK_EQ(result_row(EBPF_OPERATION_NOT_SUPPORTED)->ucrt_errno, 130);
}

TEST_SUITE(result)
{
    RUN(rows_are_complete);
    RUN(unknown_result_is_failure);
    RUN(errno_of_clients);
}
