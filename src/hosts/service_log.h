// SPDX-License-Identifier: MIT
// service_log: what the service tells whoever looks after the machine: lines in the system's event log, or on
// standard error when it runs in a console. Windows.
#pragma once

#include "base/base.h"

enum log_level { LOG_INFO, LOG_WARNING, LOG_ERROR };

void log_open(bool console);
void log_close(void);
// One line without its end; longer ones are cut at 500 bytes. Thread-safe; never fails visibly.
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
