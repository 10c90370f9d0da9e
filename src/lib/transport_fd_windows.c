// SPDX-License-Identifier: MIT
// transport_fd on Windows: descriptors of the C runtime around handles. Invariant: no function changes errno.
// Source: Microsoft's UCRT reference.
#include <windows.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>

#include "lib/transport.h"

// The runtime ends the process on a wrong descriptor unless the thread says otherwise. Not in mingw's
// headers.
typedef void(__cdecl *invalid_parameter_fn)(const wchar_t *, const wchar_t *, const wchar_t *, unsigned,
                                            uintptr_t);
__declspec(dllimport)
invalid_parameter_fn __cdecl _set_thread_local_invalid_parameter_handler(invalid_parameter_fn handler);

static void __cdecl ignore_invalid(const wchar_t *expression, const wchar_t *function, const wchar_t *file,
                                   unsigned line, uintptr_t reserved)
{
    UNUSED(expression);
    UNUSED(function);
    UNUSED(file);
    UNUSED(line);
    UNUSED(reserved);
}

ebpf_result_t transport_fd_handle(int fd, intptr_t *handle)
{
    int saved = errno;
    invalid_parameter_fn former = _set_thread_local_invalid_parameter_handler(ignore_invalid);
    intptr_t found = fd >= 0 ? _get_osfhandle(fd) : -1;
    _set_thread_local_invalid_parameter_handler(former);
    errno = saved;
    if (found == -1 || found == -2) { // -2: a standard stream without a console
        return EBPF_INVALID_FD;
    }
    *handle = found;
    return EBPF_SUCCESS;
}

ebpf_result_t transport_fd_open(intptr_t handle, int *fd)
{
    int saved = errno;
    int opened = _open_osfhandle(handle, _O_BINARY | _O_NOINHERIT);
    ebpf_result_t result = EBPF_SUCCESS;
    if (opened < 0) {
        result = errno == EMFILE ? EBPF_OUT_OF_SPACE : errno == ENOMEM ? EBPF_NO_MEMORY : EBPF_FAILED;
    } else {
        *fd = opened;
    }
    errno = saved;
    return result;
}

ebpf_result_t transport_fd_dup(int fd, int *out)
{
    HANDLE self = GetCurrentProcess(), copy = NULL;
    intptr_t handle = 0;
    ebpf_result_t result;
    TRY(transport_fd_handle(fd, &handle));
    if (!DuplicateHandle(self, (HANDLE)handle, self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS)) {
        return GetLastError() == ERROR_INVALID_HANDLE ? EBPF_INVALID_FD : EBPF_NO_MEMORY;
    }
    TRY_OR(result, transport_fd_open((intptr_t)copy, out), undo_copy);
    return EBPF_SUCCESS;

undo_copy:
    CloseHandle(copy);
    return result;
}

void transport_fd_close(int fd)
{
    int saved = errno;
    invalid_parameter_fn former = _set_thread_local_invalid_parameter_handler(ignore_invalid);
    _close(fd);
    _set_thread_local_invalid_parameter_handler(former);
    errno = saved;
}
