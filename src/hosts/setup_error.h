// SPDX-License-Identifier: MIT
// setup_error: what to do about a Win32 error, for people who install.
#pragma once

#include "base/base.h"

// A sentence that says what is in the way and what to do, without full stop; NULL: no better one is known
// than the system's own.
const char *setup_error_advice(uint32_t error);

// Three numbers with dots, "0.1.0". Returns whether `text` is one.
bool setup_version_parse(const char *text, uint32_t out[3]);
// Whether `a` is a later version than `b`; false when one of them is none.
bool setup_version_is_later(const char *a, const char *b);
