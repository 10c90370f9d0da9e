// SPDX-License-Identifier: MIT
// error: errors of the library, in the words and numbers of Linux. The library speaks the
// platform's errno; a user's script reads the same sentence and the same exit status everywhere.
#include "cli/cli_int.h"

struct error_row {
    ebpf_result_t result;
    int number; // Linux UAPI asm-generic/errno*.h
    const char *text;
};

// Results whose errno has another number or another sentence elsewhere. Sentences are glibc's.
static const struct error_row rows[] = {
    {EBPF_ACCESS_DENIED, 1, "Operation not permitted"},
    {EBPF_RPC_EXCEPTION, 5, "Input/output error"},
    {EBPF_OUT_OF_SPACE, 7, "Argument list too long"},
    {EBPF_INVALID_FD, 9, "Bad file descriptor"},
    {EBPF_NO_MEMORY, 12, "Cannot allocate memory"},
    {EBPF_INVALID_POINTER, 14, "Bad address"},
    {EBPF_INVALID_STATE, 16, "Device or resource busy"},
    {EBPF_EXTENSION_FAILED_TO_LOAD, 19, "No such device"},
    {EBPF_ARITHMETIC_OVERFLOW, 75, "Value too large for defined data type"},
    {EBPF_OPERATION_NOT_SUPPORTED, 95, "Operation not supported"},
    {EBPF_TIMEOUT, 110, "Connection timed out"},
    {EBPF_ALREADY_INITIALIZED, 114, "Operation already in progress"},
    {EBPF_PENDING, 115, "Operation now in progress"},
    {EBPF_CANCELED, 125, "Operation canceled"},
};

static const struct error_row *find(int err)
{
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        if (ebpf_result_errno(rows[i].result) == err) {
            return &rows[i];
        }
    }
    return NULL;
}

const char *error_text(int err)
{
    const struct error_row *row = find(err);
    return row != NULL ? row->text : strerror(err);
}

int error_number(int err)
{
    const struct error_row *row = find(err);
    return row != NULL ? row->number : err;
}
