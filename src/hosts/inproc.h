// SPDX-License-Identifier: MIT
// inproc: the execution context and the verification service inside the calling process.
#pragma once

#include "lib/transport.h"

// Descriptors are as in handles.h. close() releases an object with the next request that makes or lists
// objects; close_fd of the transport releases it at once.
ebpf_result_t inproc_open(struct transport **out) MUST_CHECK;
// Makes EBPF_TRANSPORT=inproc work in this process: sets transport_open_inproc. Before the first
// transport_get.
void inproc_install(void);
