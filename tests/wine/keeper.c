// SPDX-License-Identifier: MIT
// keeper: a driver that does nothing. While it runs, its load-order group has a driver host, so that the host
// of tests ends for one reason only: a crash. Another driver sees by keeper_started whether both live in one
// host.
#include <ntddk.h>

static ULONG started;

__declspec(dllexport) ULONG keeper_started(void);
ULONG keeper_started(void)
{
    return started;
}

static VOID NTAPI unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    started = 0;
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = unload;
    started = 1;
    return STATUS_SUCCESS;
}
