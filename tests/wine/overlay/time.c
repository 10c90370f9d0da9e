// SPDX-License-Identifier: MIT
// time: the clocks that Wine lacks. Microsoft's documentation of each function gives the units: 100 ns.
#include "tests/wine/overlay/overlay.h"

static ULONGLONG with_counter(ULONGLONG time, PULONG64 counter)
{
    if (counter != NULL) {
        *counter = time;
    }
    return time;
}

void overlay_KeQuerySystemTimePrecise(PLARGE_INTEGER time)
{
    time->QuadPart = (LONGLONG)host_time_utc();
}

ULONGLONG overlay_KeQueryInterruptTime(void)
{
    return host_time_boot();
}

ULONGLONG overlay_KeQueryInterruptTimePrecise(PULONG64 counter)
{
    return with_counter(host_time_boot(), counter);
}

ULONGLONG overlay_KeQueryUnbiasedInterruptTime(void)
{
    return host_time_awake();
}

ULONGLONG overlay_KeQueryUnbiasedInterruptTimePrecise(PULONG64 counter)
{
    return with_counter(host_time_awake(), counter);
}
