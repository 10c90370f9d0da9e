// SPDX-License-Identifier: MIT
// service_pipe: whole messages between the service and a worker, over a named pipe without a reachable name,
// with deadlines and a way to be stopped. What wire.h is on Linux. Windows.
#pragma once

#include <windows.h>

#include "base/base.h"
#include "proto/proto.h"

struct pipe {
    HANDLE handle;       // of one end, opened for overlapped I/O
    HANDLE stop;         // event: give up; NULL: never
    uint32_t timeout_ms; // from the call to the last byte; 0: for ever
};

// Both ends; `theirs` is inheritable. EBPF_OUT_OF_SPACE.
ebpf_result_t pipe_create(HANDLE *ours, HANDLE *theirs) MUST_CHECK;
// Receives one message into malloc'ed memory, which grows with what really arrives. EBPF_CANCELED: the peer
// closed between messages, or `stop`. EBPF_RPC_EXCEPTION: it died within one. EBPF_TIMEOUT, EBPF_NO_MEMORY;
// others: not a message of ours (proto_frame_size).
ebpf_result_t pipe_receive(const struct pipe *p, uint8_t **bytes, size_t *size) MUST_CHECK;
// EBPF_RPC_EXCEPTION: the peer is gone. EBPF_TIMEOUT, EBPF_CANCELED, EBPF_NO_MEMORY.
ebpf_result_t pipe_send(const struct pipe *p, const void *bytes, size_t size) MUST_CHECK;
// Whether there is nothing to read and the peer is there.
bool pipe_is_quiet(const struct pipe *p);
