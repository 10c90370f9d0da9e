// SPDX-License-Identifier: MIT
// peer: the execution context that lib_e2e_test.c is run against. Each test executable links one: peer_inproc
// (in this process), peer_channels (in this process, behind the protocol of channels), peer_unix (an ebpfd
// of its own), peer_device (ebpfcore.sys and ebpfsvc.exe).
#pragma once

#include <stdbool.h>

// Brings it up and makes it the process's transport. False: something went wrong, and was said.
bool peer_start(void);
// Takes it down. False: it has not ended well, or something was left in it.
bool peer_stop(void);
// Further cases, for which one has to be inside the execution context.
void peer_cases(void);

// elements_cases.c: batches and mapped memory.
void elements_cases(void);

// lib_e2e_test.c: an object of tests/elf; where EBPF_TEST_MODULES is set, the native module of that name in
// that folder instead. NULL: no such file. Whether it is so.
struct bpf_object *lib_e2e_open(const char *name);
bool lib_e2e_is_native(void);
// Opens and loads an object again and again while `fail(n)` makes the n-th step fail, until
// nothing fails any more; checks that each failure leaves nothing.
void lib_e2e_loads_survive(void (*fail)(unsigned long n));
