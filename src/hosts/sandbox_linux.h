// SPDX-License-Identifier: MIT
// sandbox_linux: what a verifying process cannot do any more: no file system, no network, no other process,
// no new code. Built on libseccomp; decision 0006 says why nothing runs without it unless told to.
#pragma once

#include "base/base.h"

#define SANDBOX_OFF_OPTION   "--no-sandbox"    // of ebpfd and ebpfsvc
#define SANDBOX_CHECK_OPTION "--check-sandbox" // of ebpfsvc: enters the sandbox and ends with status 0
#define SANDBOX_EXIT_STATUS  78                // of ebpfsvc when it cannot enter; EX_CONFIG of sysexits.h

// "seccomp", or why this build has no sandbox.
const char *sandbox_name(void);
// Confines this process, which must have one thread, for the rest of its life. It may exchange messages on
// `fd`, write to standard error, get and give back memory that is never executable, and end. Any other system
// call kills it with SIGSYS. EBPF_OPERATION_NOT_SUPPORTED: the kernel or this build cannot; stderr says
// which.
ebpf_result_t sandbox_enter(int fd) MUST_CHECK;
