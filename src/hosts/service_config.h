// SPDX-License-Identifier: MIT
// service_config: how the verification service is set up with Windows: what ebpf-setup.exe and
// `ebpfsvc.exe --install` share.
#pragma once

#include <windows.h>

#include "base/base.h"

// Creates or updates the service for the program `exe`, and its source of events. It starts with Windows and
// is restarted when it fails. *restricted (NULL allowed) is false when the system did not take the account,
// the service SID or the privileges and the service runs with more rights than it needs, and without the SID
// by which the driver knows it. Win32 error; 0 is success; after a failure a service that it made is gone
// again.
DWORD service_config_apply(SC_HANDLE manager, const wchar_t *exe, bool *restricted) MUST_CHECK;
// Removes the service, which should be stopped, and its source of events. One that is not there is no error.
DWORD service_config_remove(SC_HANDLE manager) MUST_CHECK;
