// SPDX-License-Identifier: MIT
// core_policy: may programs run in this way on this machine? A pure function of facts that the host gathered,
// so that a table tests it. Under memory integrity (HVCI) kernel pages become executable only when they come
// from a signed image: machine code made at run time cannot be. The interpreter's code is data, and a native
// module is a signed image.
#include "core/core.h"

// Bits of CodeIntegrityOptions. Source: Microsoft's documentation of NtQuerySystemInformation
// (SYSTEM_CODEINTEGRITY_INFORMATION).
#define OPTION_TEST_SIGNING 0x002u
#define OPTION_HVCI         0x400u
#define OPTION_HVCI_AUDIT   0x800u

struct core_integrity core_integrity_from_options(uint32_t options)
{
    return (struct core_integrity){.hvci = (options & OPTION_HVCI) != 0,
                                   .hvci_audit = (options & OPTION_HVCI_AUDIT) != 0,
                                   .test_signing = (options & OPTION_TEST_SIGNING) != 0};
}

static const char *refusal(enum core_execution mode, const struct core_integrity *facts)
{
    if (mode == CORE_INTERPRETER || mode == CORE_NATIVE) {
        return NULL;
    }
    if (mode != CORE_JIT) {
        return "unknown way to run programs";
    }
    if (facts->unknown) {
        return "JIT compilation is refused: the system does not say whether memory integrity (HVCI) is on; "
               "use native mode";
    }
    return facts->hvci ? "JIT compilation is refused: memory integrity (HVCI) is on; use native mode" : NULL;
}

ebpf_result_t core_policy_check(enum core_execution mode, const struct core_integrity *facts,
                                const char **why)
{
    const char *sentence = refusal(mode, facts);
    if (sentence == NULL) {
        return EBPF_SUCCESS;
    }
    *why = sentence;
    return EBPF_BLOCKED_BY_POLICY;
}
