// SPDX-License-Identifier: MIT
// scm: services and drivers as the service control manager knows them, for tests. Windows.
#pragma once

#include <windows.h>

// Win32 errors; 0 is success. Start and stop wait for the state that they lead to, 30 seconds at most
// (ERROR_TIMEOUT). Of a service that ends instead of starting: its exit code.
DWORD scm_start(const wchar_t *service); // ERROR_SERVICE_ALREADY_RUNNING
DWORD scm_stop(const wchar_t *service);  // ERROR_SERVICE_NOT_ACTIVE
DWORD scm_state(const wchar_t *service, SERVICE_STATUS_PROCESS *out);
