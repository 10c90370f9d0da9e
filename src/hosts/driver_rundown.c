// SPDX-License-Identifier: MIT
// driver_rundown: counts dispatch routines under way. Windows unloads a driver only when no handle is open,
// and then nobody is inside; Wine does it at once, while its dispatch thread may be on its way in.
//
// Nobody is suspended inside, where others may wait for him: Windows suspends a thread, and ends one, by a
// kernel call that a critical region holds off.
//
// The rundown is the image's and not the device's, so that whoever comes too late touches nothing that is
// gone.
#include "hosts/driver.h"

#define DRAIN_STEP_US 1000u

static uint32_t inside;
static bool open;

void rundown_start(void)
{
    __atomic_store_n(&open, true, __ATOMIC_SEQ_CST);
}

bool rundown_acquire(void)
{
    KeEnterCriticalRegion();
    __atomic_fetch_add(&inside, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&open, __ATOMIC_SEQ_CST)) {
        rundown_release();
        return false;
    }
    return true;
}

void rundown_release(void)
{
    __atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
    KeLeaveCriticalRegion();
}

void rundown_wait(void)
{
    __atomic_store_n(&open, false, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&inside, __ATOMIC_SEQ_CST) != 0) {
        plat_sleep_us(DRAIN_STEP_US);
    }
}
