// SPDX-License-Identifier: MIT
// driver_policy: asks the system for its code integrity options, which cannot change while it runs, and the
// registry for what the administrator wants.
#include "hosts/driver_policy.h"

#include "hosts/driver_parameters.h"

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

struct jit_options driver_policy_jit(const UNICODE_STRING *service_key)
{
    return (struct jit_options){.passes = JIT_ALL_PASSES,
                                .blind = parameters_read(service_key, L"JitBlind") != 0,
                                .retpoline = parameters_read(service_key, L"JitRetpoline") != 0};
}
