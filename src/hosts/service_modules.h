// SPDX-License-Identifier: MIT
// service_modules: the service's policy on native modules: whether their drivers must carry a signature.
// Windows.
#pragma once

#include "base/base.h"

enum { SERVICE_MODULES_WHY = 400 };
// Whether a PROG_LOAD request (whole message) may be judged: one for a native program is refused, with a
// sentence, when RequireSignedModules = 1 in the service's Parameters and a module's driver has no signature.
bool service_modules_allow(const void *request, size_t size, char why[SERVICE_MODULES_WHY]);
