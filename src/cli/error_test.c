// SPDX-License-Identifier: MIT
#include "cli/cli_int.h"
#include "tests/test.h"

struct expected {
    ebpf_result_t result;
    int number;
    const char *text;
};

// What upstream bpftool prints and returns on Linux.
static const struct expected expected[] = {
    {EBPF_ACCESS_DENIED, 1, "Operation not permitted"},
    {EBPF_OBJECT_NOT_FOUND, 2, "No such file or directory"},
    {EBPF_RPC_EXCEPTION, 5, "Input/output error"},
    {EBPF_OUT_OF_SPACE, 7, "Argument list too long"},
    {EBPF_INVALID_FD, 9, "Bad file descriptor"},
    {EBPF_NO_MEMORY, 12, "Cannot allocate memory"},
    {EBPF_INVALID_STATE, 16, "Device or resource busy"},
    {EBPF_KEY_ALREADY_EXISTS, 17, "File exists"},
    {EBPF_INVALID_ARGUMENT, 22, "Invalid argument"},
    {EBPF_INSUFFICIENT_BUFFER, 28, "No space left on device"},
    {EBPF_OPERATION_NOT_SUPPORTED, 95, "Operation not supported"},
    {EBPF_CANCELED, 125, "Operation canceled"},
};

static void words_are_those_of_linux(void)
{
    for (size_t i = 0; i < CLI_COUNT(expected); i++) {
        int err = ebpf_result_errno(expected[i].result);
        CHECK_STR(error_text(err), expected[i].text);
        CHECK_EQ(error_number(err), expected[i].number);
    }
}

TEST_SUITE(error)
{
    RUN(words_are_those_of_linux);
}
