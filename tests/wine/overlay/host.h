// SPDX-License-Identifier: MIT
// host: what the overlay needs of the user-mode process that Wine runs drivers in, in plain types: the
// headers of the kernel and of Win32 cannot be included together. Implemented by host.c alone.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void overlay_start(void); // called by the host when it is up itself, in overlay.c

// --- the end of the host ---

// Writes one line to stderr of the process, which tests/wine/up sends to wine.log.
void host_print(const char *text);
// Ends this process at once. Never returns.
void host_terminate(void) __attribute__((noreturn));
// "driver.sys+0x1234" for an address inside a module, or the bare address. `text` has room for `size` bytes.
void host_format_address(const void *address, char *text, size_t size);
// Base of the module that holds the address, or NULL.
void *host_module_of(const void *address);

// --- threads and processors ---

unsigned host_processor_count(void);      // at most 64
bool host_is_own_process(const void *id); // as PsGetCurrentProcessId answers
// A thread that ends with the process.
bool host_start_thread(void (*body)(void *), void *argument);
void host_yield(void); // lets another thread run
void host_sleep_ms(unsigned milliseconds);

// One zeroed block of `size` bytes per thread, freed when the thread ends. The size of the first call counts.
void *host_thread_block(size_t size);

struct host_lock {
    void *state;
};
void host_lock(struct host_lock *lock);
void host_unlock(struct host_lock *lock);

void *host_event_create(void); // automatic reset
void host_event_set(void *event);
void host_event_wait(void *event);

// --- memory ---

void *host_heap_alloc(size_t size); // not executable, aligned to 16 bytes; NULL when there is none
void host_heap_free(void *block);
// Whole pages with an inaccessible one behind them. NULL when there are none.
void *host_pages_alloc(size_t size, bool executable);
void host_pages_free(void *pages);
bool host_pages_protect(void *pages, size_t size, uint32_t protection); // PAGE_*

// --- time, in units of 100 ns ---

uint64_t host_time_utc(void);
uint64_t host_time_awake(void); // since boot, without suspended time
uint64_t host_time_boot(void);  // since boot

// --- exceptions ---

// A machine instruction that user mode may not execute. `registers` are rax..r15 in the order of their
// encoding; the handler returns the length of the instruction it emulated, or 0.
void host_on_privileged(unsigned (*handler)(const uint8_t *code, uint64_t *registers));
// A fault that nobody handled; the process ends afterwards.
void host_on_unhandled(void (*handler)(uint32_t code, const void *address, const void *accessed));
// A module is about to be unloaded.
void host_on_unload(void (*handler)(const void *base, size_t size, const char *name));
// Every wait of Wine's own request loop, between two requests.
void host_on_idle(void (*handler)(void));
