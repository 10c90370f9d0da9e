// SPDX-License-Identifier: MIT
// no_capture: stands in for capture.c where libpcap was missing when this was built.
#include "demo.h"

int capture_run(const struct demo_options *options)
{
    (void)options;
    say("demo: captures need libpcap, which was missing when this was built (package libpcap-dev)");
    return 2;
}
