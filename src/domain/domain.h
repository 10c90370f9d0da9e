// SPDX-License-Identifier: MIT
// domain: the door of the abstract domain: numbers (scalar.h), values (value.h), states (state.h) and their
// packed form (packed.h), what an instruction needs (obligation.h) and what it does (transfer.h).
// Kernel-safe: no allocation, no recursion; large records live in the caller's memory.
#pragma once

#include "domain/call.h"
#include "domain/obligation.h"
#include "domain/packed.h"
#include "domain/scalar.h"
#include "domain/stack.h"
#include "domain/special.h"
#include "domain/state.h"
#include "domain/transfer.h"
#include "domain/value.h"
