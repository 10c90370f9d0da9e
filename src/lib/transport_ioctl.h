// SPDX-License-Identifier: MIT
// transport_ioctl: the load protocol of channels (core.h), from the client's side. What it needs of its
// system is here as functions, so that the same code runs against the device of ebpfcore, against channels in
// the same process, and against a script.
#pragma once

#include "lib/transport.h"

// A channel is known by a number that means something to the system only. Functions may be called from any
// thread, at once for one channel too.
struct channel_system {
    void *user;
    // A fresh channel. EBPF_OBJECT_NOT_FOUND: nobody serves them; EBPF_ACCESS_DENIED: not for this user.
    ebpf_result_t (*open)(void *user, intptr_t *channel);
    void (*close)(void *user, intptr_t channel);
    // One control of controls.def; *output_size is how much of `output` was written. Failures are those of
    // channel_control; EBPF_INVALID_FD: this is no channel; EBPF_RPC_EXCEPTION: nobody serves it any more.
    ebpf_result_t (*control)(void *user, intptr_t channel, uint32_t function, const void *input,
                             size_t input_size, void *output, size_t capacity, size_t *output_size);
    // Has the verification service judge a PROG_LOAD request for the channel with the token. The reply is
    // malloc'ed.
    ebpf_result_t (*load)(void *user, const struct proto_token *token, const void *request, size_t size,
                          void **reply, size_t *reply_size);
    // The channel behind a descriptor, which keeps it. EBPF_INVALID_FD.
    ebpf_result_t (*find)(void *user, int fd, intptr_t *channel);
    // Makes a descriptor of a channel, which then belongs to it; on failure it stays the caller's.
    // EBPF_OUT_OF_SPACE: no descriptor is left.
    ebpf_result_t (*publish)(void *user, intptr_t channel, int *fd);
    ebpf_result_t (*dup_fd)(void *user, int fd, int *out); // EBPF_INVALID_FD
    void (*close_fd)(void *user, int fd);
    void *(*alloc)(size_t size); // malloc, or one that fails; for replies, which their owner frees
};

// The transport over channels of `system`, which must outlive it; opens and closes one channel to see whether
// anybody serves them.
ebpf_result_t transport_open_channels(const struct channel_system *system, struct transport **out) MUST_CHECK;
