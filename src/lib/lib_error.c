// SPDX-License-Identifier: MIT
// lib_error: the edge where results become errno, and where the library speaks to people. Nothing below this
// file knows errno, nothing above it knows ebpf_result_t.
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/lib_int.h"

int ebpf_result_errno(ebpf_result_t result)
{
    const struct result_row *row = result_row(result);
    return LIB_DIALECT == DIALECT_WINDOWS ? row->ucrt_errno : row->linux_errno;
}

const char *ebpf_result_text(ebpf_result_t result)
{
    return result_row(result)->sentence;
}

int lib_fail(int err)
{
    errno = err;
    return -err;
}

void lib_set_errno(ebpf_result_t result)
{
    errno = ebpf_result_errno(result);
}

int lib_result(ebpf_result_t result)
{
    return result == EBPF_SUCCESS ? 0 : lib_fail(ebpf_result_errno(result));
}

long libbpf_get_error(const void *ptr)
{
    return ptr == NULL ? -errno : 0;
}

bool lib_opts_valid(const void *opts, size_t known, const char *name)
{
    size_t size;
    if (opts == NULL) {
        return true;
    }
    memcpy(&size, opts, sizeof(size));
    if (size < sizeof(size)) {
        lib_warn("%s: size %zu is too small\n", name, size);
        return false;
    }
    for (size_t i = known; i < size; i++) {
        if (((const uint8_t *)opts)[i] != 0) {
            lib_warn("%s: has non-zero members that this library does not know\n", name);
            return false;
        }
    }
    return true;
}

// --- messages ------------------------------------------------------------------------------------

// Names come from objects: what would steer a terminal is shown as '?'. A client's own printer gets the text
// as it is.
static void clean(char *text)
{
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text < ' ' && *text != '\n' && *text != '\t') || *text == 0x7f) {
            *text = '?';
        }
    }
}

static int print_default(enum libbpf_print_level level, const char *format, va_list args)
{
    if (level == LIBBPF_DEBUG) {
        return 0;
    }
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text =
        length >= 0 ? malloc((size_t)length + 1) : NULL; // not counted: a message about no memory is one too
    if (text == NULL) {
        return fputs("libbpf: a message is lost: out of memory\n", stderr);
    }
    vsnprintf(text, (size_t)length + 1, format, args);
    clean(text);
    fputs(text, stderr);
    free(text);
    return length;
}

static _Atomic(libbpf_print_fn_t) print_fn = print_default;

libbpf_print_fn_t libbpf_set_print(libbpf_print_fn_t fn)
{
    return atomic_exchange(&print_fn, fn);
}

// Keeps errno: messages are made between a failure and its report.
void lib_print(enum libbpf_print_level level, const char *format, ...)
{
    libbpf_print_fn_t fn = atomic_load(&print_fn);
    int saved = errno;
    va_list args;
    if (fn == NULL) {
        return;
    }
    va_start(args, format);
    fn(level, format, args);
    va_end(args);
    errno = saved;
}

// --- texts of error numbers ----------------------------------------------------------------------

static const char *const own_texts[] = {
    "the object file cannot be read",
    "the object file is malformed",
    "the object's kernel version is missing or malformed",
    "the object is of the other byte order",
    "internal error of the library",
    "a relocation failed",
    "the program could not be loaded",
    "the verifier rejected the program",
    "the program is too large",
    "the program was made for another kernel version",
    "the program type is not supported",
    "the answer was for another process",
    "the answer was out of sequence",
    "the answer is malformed",
};

static int copy_text(char *buf, size_t size, const char *text)
{
    return str_copy(buf, size, text) ? 0 : lib_fail(ERANGE);
}

int libbpf_strerror(int err, char *buf, size_t size)
{
    int number = err > 0 ? err : -err;
    if (buf == NULL || size == 0 || err == INT_MIN) {
        return lib_fail(EINVAL);
    }
    if (number < __LIBBPF_ERRNO__START) {
        return copy_text(buf, size, strerror(number));
    }
    if (number < __LIBBPF_ERRNO__END) {
        return copy_text(buf, size, own_texts[number - __LIBBPF_ERRNO__START]);
    }
    str_format(buf, size, "unknown library error %d", number);
    return lib_fail(ENOENT);
}
