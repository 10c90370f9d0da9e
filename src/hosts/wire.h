// SPDX-License-Identifier: MIT
// wire: whole messages over a stream socket, with descriptors, deadlines and a way to be stopped. Linux.
#pragma once

#include "base/base.h"
#include "proto/proto.h"

struct wire {
    int fd;
    int stop_fd;         // readable: give up; -1: never
    uint32_t idle_ms;    // wait for the first byte; 0: for ever
    uint32_t message_ms; // from the first byte to the last; 0: for ever
};

struct wire_message {
    uint8_t *bytes; // malloc'ed
    size_t size;
    int fds[PROTO_MAX_OBJECTS];
    unsigned fd_count;
    bool surplus_fds; // more than PROTO_MAX_OBJECTS came; the surplus is closed
    bool lost_fds;    // this process had no room for some
};

// Receives one message; memory grows with what really arrives. On failure nothing is left to free.
// EBPF_CANCELED: the peer closed between messages, or stop_fd. EBPF_RPC_EXCEPTION: it died within a message.
// EBPF_TIMEOUT. EBPF_INVALID_ARGUMENT, EBPF_OPERATION_NOT_SUPPORTED: not a message of ours
// (proto_frame_size).
ebpf_result_t wire_receive(const struct wire *w, struct wire_message *out) MUST_CHECK;
void wire_message_fini(struct wire_message *m); // frees the bytes, closes the descriptors
void wire_message_close_fds(struct wire_message *m);
// Sends a message with one descriptor (`fd` -1: none), which stays the caller's. Never raises SIGPIPE.
// What fits leaves at once, also when stop_fd is readable: who is asked to end still answers.
// EBPF_RPC_EXCEPTION: the peer is gone. EBPF_TIMEOUT; EBPF_CANCELED: it would have to wait, and stop_fd.
ebpf_result_t wire_send(const struct wire *w, const void *bytes, size_t size, int fd) MUST_CHECK;
// Tries to tell the peer why it is turned away, without waiting: a bare header with operation 0.
void wire_refuse(int fd, ebpf_result_t result);
