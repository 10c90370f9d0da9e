// SPDX-License-Identifier: MIT
// service_confine: starts a process that can do little more than compute: what the sandbox is on Linux.
// Windows.
//
// Its token is a restricted copy of ours, without privileges, in which everything that is not everybody's is
// for denial only: so it is neither an administrator nor the service, and the driver takes no verdict from
// it. Integrity is low. Its job allows one process and a limited memory, no windows, clipboard or desktops,
// and ends it with us. Mitigations of its process: no code but that of images, no windows subsystem, no
// children. It inherits one handle: its end of a pipe, as standard input. Sources: Microsoft's documentation
// of CreateRestrictedToken, job objects and UpdateProcThreadAttribute.
#pragma once

#include <windows.h>

#include "base/base.h"

#define CONFINED_KILLED 1067u // exit status of a worker that we ended; ERROR_PROCESS_ABORTED

struct confined_process {
    HANDLE process, job;
};

// Runs the program `path` (UTF-8) with --worker and `pipe`, an inheritable handle, as its standard input.
// A protection that the system does not know is done without: the table in service_confine_windows.c says
// which may be. Win32 error; 0 is success.
DWORD confine_start(const char *path, HANDLE pipe, struct confined_process *out) MUST_CHECK;
void confine_close(struct confined_process *p); // ends the process, too
