// SPDX-License-Identifier: MIT
// overlay: a test-only ntoskrnl.exe in front of Wine's own (renamed wntoskrnl.dll). A function overlay_X of
// these files is exported as X; every other name is forwarded to Wine. Inside these files plain X is Wine's
// function.
//
// It does what Wine 8.0 lacks, and ends the driver host with a line "BUGCHECK: ..." where Windows would stop
// or a Driver Verifier would: waits at DISPATCH_LEVEL, unbalanced spin locks, pool misuse, leaks. It knows
// nothing of the drivers that it serves.
#pragma once

#include <ntifs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/wine/overlay/host.h"

// What a thread is doing, one block a thread.
struct thread_state {
    KIRQL irql;
    bool holds_processor;
    bool runs_dpc;
    bool holds_cancel_lock;
    unsigned processor;  // held, or held last
    unsigned spin_locks; // held
    KAFFINITY affinity;  // processors it may run on; 0: any
};
struct thread_state *overlay_thread(void);

// Ends the host with a line that names the stop code, the reason and where the driver called from.
void overlay_bugcheck(const char *code, const void *caller, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
#define CALLER __builtin_return_address(0)

// Ends the host when this thread is above `max`. `what` is the function that the driver called.
void overlay_require_irql(KIRQL max, const char *what, const void *caller);

// Changes the level of this thread. Reaching DISPATCH_LEVEL claims a virtual processor, waiting for one that
// the thread may run on; leaving it gives the processor back. Two threads at DISPATCH_LEVEL never have the
// same one.
void overlay_set_irql(KIRQL irql, const void *caller);
// The same for a thread that serves one processor's DPCs.
void overlay_enter_dpc(unsigned processor);
void overlay_leave_dpc(void);
unsigned overlay_processor(void);

// Pool that is not counted against any driver, for the overlay's own objects. Zeroed, or NULL.
void *overlay_alloc(size_t size);
void overlay_free(void *block);
// Memory that a driver frees with ExFreePool: counted against the driver that called.
void *overlay_alloc_pool(size_t size, ULONG tag, const void *caller);

// The parts' bring-up, called once while the process is single-threaded.
void overlay_start_irql(void);
void overlay_start_dpc(void);
void overlay_start_pool(void);
