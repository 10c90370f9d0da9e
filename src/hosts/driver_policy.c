// SPDX-License-Identifier: MIT
// driver_policy: asks the system for its code integrity options. They cannot change while the system runs.
#include "hosts/driver_policy.h"

#include <ntddk.h>

// Source: Microsoft's documentation of NtQuerySystemInformation; no header for drivers declares them.
#define SYSTEM_CODE_INTEGRITY_INFORMATION 103u
struct code_integrity {
    ULONG length, options;
};
_Static_assert(sizeof(struct code_integrity) == 8, "SYSTEM_CODEINTEGRITY_INFORMATION");

NTSYSAPI NTSTATUS NTAPI ZwQuerySystemInformation(ULONG information_class, PVOID information, ULONG length,
                                                 PULONG return_length);

struct core_integrity driver_policy_facts(void)
{
    struct code_integrity answer = {.length = sizeof(answer)};
    NTSTATUS status =
        ZwQuerySystemInformation(SYSTEM_CODE_INTEGRITY_INFORMATION, &answer, sizeof(answer), NULL);
    return NT_SUCCESS(status) ? core_integrity_from_options(answer.options)
                              : (struct core_integrity){.unknown = true};
}
