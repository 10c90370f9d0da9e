// SPDX-License-Identifier: MIT
// service_rig: what tests of the verification service on Windows share besides services (tests/lib/scm.h) and
// channels (tests/lib/device.h): its processes, its parameters, programs to load. Needs ebpfcore, running,
// and the rights of an administrator.
#pragma once

#include "tests/lib/device.h"
#include "tests/lib/scm.h"
#include "tests/test.h"

// --- the service ---------------------------------------------------------------------------------

// Runs ebpfsvc.exe with one option and nothing to say; its exit status.
DWORD rig_run_ebpfsvc(const wchar_t *option);
// A number in the service's Parameters key; 0 removes the key. Counts from the next start on.
void rig_set_parameter(const wchar_t *name, DWORD value);

// Processes whose parent is `pid`, `max` at most; how many.
unsigned rig_children(DWORD pid, DWORD *out, unsigned max);
DWORD rig_service_pid(void); // of ebpfsvc; 0: it does not run
bool rig_kill(DWORD pid);    // and waits for its end

// --- programs ------------------------------------------------------------------------------------

// A PROG_LOAD request, malloc'ed. GOOD verifies, BAD does not, SLOW takes the verifier seconds and is
// refused.
enum rig_program { RIG_GOOD, RIG_BAD, RIG_SLOW };
void *rig_request(enum rig_program which, size_t *size);

struct rig_load {
    enum rig_program program;
    HANDLE channel;       // of the program, when it was loaded; else it is empty
    uint32_t status;      // of the call
    ebpf_result_t result; // of the service, or what the reply says
    char text[512];       // of the reply
};
// Opens a channel and has a program loaded into it. The caller closes the channel.
void rig_load(struct rig_load *l);
// The same in a thread; rig_load_join waits for it.
HANDLE rig_load_begin(struct rig_load *l);
void rig_load_join(HANDLE thread);
