// SPDX-License-Identifier: MIT
// device: ebpfcore's device without the library, for tests that stop half-way and tests that count what is
// left. Windows.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <windows.h>

#include "base/base.h"
#include "proto/proto.h"

// INVALID_HANDLE_VALUE: GetLastError says why.
HANDLE device_open(void);
// One control, synchronous. False: GetLastError.
bool device_control(HANDLE device, uint32_t function, const void *input, size_t input_size, void *output,
                    size_t capacity, size_t *output_size);
// A request without tail. The result of the reply, or EBPF_RPC_EXCEPTION when there is none.
ebpf_result_t device_request(HANDLE device, uint16_t op, const void *fixed, unsigned objects);
bool device_offer(HANDLE device, struct proto_token *token);
bool device_lend(HANDLE device, const struct proto_token *token);
// Handle of a new map, or INVALID_HANDLE_VALUE.
HANDLE device_make_map(void);
// A PROG_LOAD request for a program of two instructions that names `maps` maps; its size.
size_t device_load_request(unsigned maps, uint8_t *bytes, size_t capacity);

// Counts in a Debug driver. False: no driver, or one that does not count.
bool device_witness(struct proto_witness *out);
// The counts to begin with, when nobody has anything of the driver. What an earlier case had may go a little
// later: a module's driver is unloaded, its file is deleted, the channels of a process that has ended are
// closed. The driver says what it holds for itself, so that what never goes is not taken for the beginning:
// after ten seconds the counts are printed and the answer is false.
bool device_wait_quiet(struct proto_witness *out);
// Waits until the counts are those of `expected`; prints both and returns false when they are not after ten
// seconds.
bool device_wait_witness(const struct proto_witness *expected);
