// SPDX-License-Identifier: MIT
// overlay: start, the end of the host, and what a driver prints.
#include "tests/wine/overlay/overlay.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_MAX 512

struct thread_state *overlay_thread(void)
{
    struct thread_state *state = host_thread_block(sizeof(*state));
    if (state == NULL) {
        host_print("BUGCHECK: the overlay has no memory for a thread");
        host_terminate();
    }
    return state;
}

void overlay_bugcheck(const char *code, const void *caller, const char *format, ...)
{
    char line[LINE_MAX], place[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    char whole[LINE_MAX + 256];
    int at = snprintf(whole, sizeof(whole), "BUGCHECK: %s: %s", code, line);
    if (caller != NULL) {
        host_format_address(caller, place, sizeof(place));
        snprintf(whole + at, sizeof(whole) - (size_t)at, " (called from %s)", place);
    }
    host_print(whole);
    host_terminate();
}

void overlay_require_irql(KIRQL max, const char *what, const void *caller)
{
    static const char *const names[] = {"PASSIVE_LEVEL", "APC_LEVEL", "DISPATCH_LEVEL"};
    KIRQL irql = overlay_thread()->irql;
    if (irql > max) {
        overlay_bugcheck("IRQL_NOT_LESS_OR_EQUAL", caller, "%s at %s", what,
                         irql <= DISPATCH_LEVEL ? names[irql] : "a device's level");
    }
}

void *overlay_alloc(size_t size)
{
    void *block = host_heap_alloc(size);
    return block != NULL ? memset(block, 0, size) : NULL;
}

void overlay_free(void *block)
{
    host_heap_free(block);
}

static void report_fault(uint32_t code, const void *address, const void *accessed)
{
    overlay_bugcheck("SYSTEM_THREAD_EXCEPTION_NOT_HANDLED", address, "exception %08x, address accessed %p",
                     code, accessed);
}

static void check_idle(void)
{
    struct thread_state *state = overlay_thread();
    if (state->irql != PASSIVE_LEVEL) {
        overlay_bugcheck("IRQL_UNEXPECTED_VALUE", NULL,
                         "a dispatch routine returned at level %u, holding %u spin locks", state->irql,
                         state->spin_locks);
    }
}

void overlay_start(void)
{
    overlay_start_irql();
    overlay_start_pool();
    overlay_start_dpc();
    host_on_unhandled(report_fault);
    host_on_idle(check_idle);
}

// --- stop codes ---

void overlay_KeBugCheckEx(ULONG code, ULONG_PTR a, ULONG_PTR b, ULONG_PTR c, ULONG_PTR d)
{
    overlay_bugcheck("KeBugCheckEx", CALLER, "%08lx (%llx, %llx, %llx, %llx)", code, a, b, c, d);
}

void overlay_KeBugCheck(ULONG code)
{
    overlay_bugcheck("KeBugCheck", CALLER, "%08lx", code);
}

// --- text of drivers ---

static ULONG print(const char *prefix, const char *format, va_list arguments)
{
    char line[LINE_MAX];
    int at = snprintf(line, sizeof(line), "%s", prefix);
    vsnprintf(line + at, sizeof(line) - at, format, arguments);
    size_t end = strlen(line);
    if (end > 0 && line[end - 1] == '\n') {
        line[end - 1] = '\0';
    }
    host_print(line);
    return STATUS_SUCCESS;
}

ULONG overlay_DbgPrint(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ULONG result = print("", format, arguments);
    va_end(arguments);
    return result;
}

ULONG overlay_DbgPrintEx(ULONG component, ULONG level, const char *format, ...)
{
    va_list arguments;
    UNREFERENCED_PARAMETER(component);
    UNREFERENCED_PARAMETER(level);
    va_start(arguments, format);
    ULONG result = print("", format, arguments);
    va_end(arguments);
    return result;
}

ULONG overlay_vDbgPrintEx(ULONG component, ULONG level, const char *format, va_list arguments)
{
    UNREFERENCED_PARAMETER(component);
    UNREFERENCED_PARAMETER(level);
    return print("", format, arguments);
}

ULONG overlay_vDbgPrintExWithPrefix(const char *prefix, ULONG component, ULONG level, const char *format,
                                    va_list arguments)
{
    UNREFERENCED_PARAMETER(component);
    UNREFERENCED_PARAMETER(level);
    return print(prefix, format, arguments);
}
