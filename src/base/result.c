// SPDX-License-Identifier: MIT
// result: the one translation of results to errno, Win32, NTSTATUS and text. Facts are in result.def.
#include "base/base.h"

static const struct result_row rows[EBPF_RESULT_COUNT] = {
#define RESULT(name, linux_errno, ucrt_errno, win32, ntstatus, sentence)                                     \
    [name] = {#name, linux_errno, ucrt_errno, win32, ntstatus, sentence},
#include "base/result.def"
#undef RESULT
};

const struct result_row *result_row(ebpf_result_t result)
{
    unsigned index = (unsigned)result;
    return &rows[index < EBPF_RESULT_COUNT ? index : EBPF_FAILED];
}
