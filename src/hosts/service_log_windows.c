// SPDX-License-Identifier: MIT
// service_log: the event source is registered by service_config.c; its only message is "%1".
#include "hosts/service_log.h"

#include <stdio.h>
#include <windows.h>

#include "ebpfsvc_messages.h"
#include "proto/proto.h"

enum { LINE_SIZE = 500 };

static HANDLE source; // NULL: a console, or no event log

void log_open(bool console)
{
    source = console ? NULL : RegisterEventSourceA(NULL, NAME_SERVICE);
}

void log_close(void)
{
    if (source != NULL) {
        DeregisterEventSource(source);
        source = NULL;
    }
}

static WORD event_type(enum log_level level)
{
    switch (level) {
    case LOG_ERROR: return EVENTLOG_ERROR_TYPE;
    case LOG_WARNING: return EVENTLOG_WARNING_TYPE;
    default: return EVENTLOG_INFORMATION_TYPE;
    }
}

void log_line(enum log_level level, const char *fmt, ...)
{
    char line[LINE_SIZE];
    const char *strings[] = {line};
    va_list args;
    va_start(args, fmt);
    str_vformat(line, sizeof(line), fmt, args);
    va_end(args);
    if (source == NULL) {
        fprintf(stderr, NAME_SERVICE ": %s\n", line);
    } else {
        ReportEventA(source, event_type(level), 0, EVENT_LINE, NULL, 1, 0, strings, NULL);
    }
}
