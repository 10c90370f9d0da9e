// SPDX-License-Identifier: MIT
// Who may ask the verification service: every combination of the facts, against the rule in words.
#include "hosts/service_access.h"

#include "tests/test.h"

static void named_callers(void)
{
    static const struct {
        struct service_caller caller;
        ebpf_result_t result;
    } rows[] = {
        {{.local = true, .identified = true, .system = true}, EBPF_SUCCESS},
        {{.local = true, .identified = true, .administrator = true}, EBPF_SUCCESS},
        {{.local = true, .identified = true}, EBPF_ACCESS_DENIED},         // a user
        {{.identified = true, .administrator = true}, EBPF_ACCESS_DENIED}, // from elsewhere
        {{.local = true, .administrator = true}, EBPF_ACCESS_DENIED},      // unread token
        {{.local = true, .anonymous = true, .identified = true, .system = true}, EBPF_ACCESS_DENIED},
        {{.local = true, .identified = true, .administrator = true, .app_container = true},
         EBPF_ACCESS_DENIED},
        {{0}, EBPF_ACCESS_DENIED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CHECK_EQ(service_access_decide(&rows[i].caller), rows[i].result);
    }
}

// Of the 64 combinations three are admitted: local, identified, nothing against it, and one reason or both.
static void few_combinations_are_admitted(void)
{
    unsigned admitted = 0;
    for (unsigned bits = 0; bits < 64; bits++) {
        struct service_caller caller = {bits & 1, bits & 2, bits & 4, bits & 8, bits & 16, bits & 32};
        admitted += service_access_decide(&caller) == EBPF_SUCCESS;
    }
    CHECK_EQ(admitted, 3);
}

TEST_SUITE(service_access)
{
    RUN(named_callers);
    RUN(few_combinations_are_admitted);
}
