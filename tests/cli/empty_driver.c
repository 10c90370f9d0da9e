// SPDX-License-Identifier: MIT
// empty_driver: restarts ebpfcore, which leaves it without objects. The service may stay: it opens the device
// when it needs it. Status 0, or 1 with a sentence.
#include <stdio.h>

#include "proto/proto.h"
#include "tests/lib/scm.h"

static int fail(const char *what, DWORD error)
{
    printf("empty_driver: " NAME_DRIVER " %s: error %lu\n", what, error);
    return 1;
}

int main(void)
{
    DWORD error = scm_stop(L"" NAME_DRIVER);
    if (error != 0 && error != ERROR_SERVICE_NOT_ACTIVE) {
        return fail("does not stop", error);
    }
    error = scm_start(L"" NAME_DRIVER);
    return error == 0 ? 0 : fail("does not start", error);
}
