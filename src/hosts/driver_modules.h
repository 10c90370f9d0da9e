// SPDX-License-Identifier: MIT
// driver_modules: native modules that are drivers of their own. ebpfcore is the provider of an interface that
// Windows' network module registrar keeps; each module's driver is a client of it (ebpf_native_driver.h).
#pragma once

#include "core/core.h"

struct driver_modules;

// A module that nobody has opened for `grace_ms` is asked to go: whoever loaded it has died. IRQL = PASSIVE,
// all.
ebpf_result_t modules_create(struct core *core, uint32_t grace_ms, struct driver_modules **out) MUST_CHECK;
// Registers ebpfcore: modules that are loaded already come at once.
ebpf_result_t modules_open(struct driver_modules *all) MUST_CHECK;
// Unloads the drivers of all modules. None of them is used any more when it returns; a driver that does not
// go stays loaded, with nothing to do.
void modules_destroy(struct driver_modules *all);
