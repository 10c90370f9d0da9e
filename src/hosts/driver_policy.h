// SPDX-License-Identifier: MIT
// driver_policy: what this machine permits the driver to run.
#pragma once

#include <ntifs.h>

#include "core/core.h"

// For core_options.integrity, gathered once at start. IRQL = PASSIVE.
struct core_integrity driver_policy_facts(void);
// What the service's Parameters ask of machine code: JitBlind, JitRetpoline. IRQL = PASSIVE.
struct jit_options driver_policy_jit(const UNICODE_STRING *service_key);
