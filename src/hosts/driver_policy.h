// SPDX-License-Identifier: MIT
// driver_policy: what this machine permits the driver to run.
#pragma once

#include "core/core.h"

// For core_options.integrity, gathered once at start. IRQL = PASSIVE.
struct core_integrity driver_policy_facts(void);
