// SPDX-License-Identifier: MIT
// Who may talk to the daemon, by table.
#include "hosts/access.h"
#include "tests/test.h"

static void decisions(void)
{
    static const struct {
        struct access_facts facts;
        ebpf_result_t expected;
    } cases[] = {
        {{true, 0, 0}, EBPF_SUCCESS},
        {{true, 0, 1000}, EBPF_SUCCESS},
        {{true, 1000, 1000}, EBPF_SUCCESS},
        {{true, 1000, 0}, EBPF_ACCESS_DENIED},
        {{true, 1001, 1000}, EBPF_ACCESS_DENIED},
        {{true, UINT32_MAX, 0}, EBPF_ACCESS_DENIED}, // overflow uid of another namespace
        {{false, 0, 0}, EBPF_ACCESS_DENIED},
        {{false, 1000, 1000}, EBPF_ACCESS_DENIED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(access_decide(&cases[i].facts), cases[i].expected);
    }
}

TEST_SUITE(access)
{
    RUN(decisions);
}
