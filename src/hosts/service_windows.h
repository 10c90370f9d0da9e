// SPDX-License-Identifier: MIT
// service_windows: the verification service as a process: under the service control manager, or in a console.
#pragma once

#include "base/base.h"

// Hands this process to the service control manager; returns when the service has ended. A Win32 error:
// ERROR_FAILED_SERVICE_CONTROLLER_CONNECT (1063) when nobody but a person started it.
uint32_t service_windows_dispatch(void) MUST_CHECK;
// The same without the manager, until Ctrl-C; tells its log on standard error. A Win32 error.
uint32_t service_windows_run_console(void) MUST_CHECK;
