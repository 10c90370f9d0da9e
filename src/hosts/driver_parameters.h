// SPDX-License-Identifier: MIT
// driver_parameters: values in the key Parameters of a driver's service.
#pragma once

#include <ntifs.h>

#include "base/base.h"

// `service_key` is what a DriverEntry gets. All at IRQL = PASSIVE.
// A REG_DWORD; 0 when it is not there.
uint32_t parameters_read(const UNICODE_STRING *service_key, const wchar_t *name);
// A REG_SZ; empty when it is not there or has no room.
void parameters_read_text(const UNICODE_STRING *service_key, const wchar_t *name, UNICODE_STRING *out);
// A REG_SZ of ASCII text. What cannot be written is not: nobody relies on it.
void parameters_write(const UNICODE_STRING *service_key, const wchar_t *name, const char *text);
