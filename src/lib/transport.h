// SPDX-License-Identifier: MIT
// transport: how requests travel from the library to an execution context. Two exist: `unix` (a socket to
// ebpfd) and `inproc` (hosts/inproc.c). An object is known to the caller by a file descriptor: with `unix`
// one end of a socket whose other end ebpfd holds, so that close(), dup(), fork() and death all release the
// reference by themselves.
#pragma once

#include "base/base.h"
#include "proto/proto.h"

struct transport;

struct transport_ops {
    const char *name;
    // Sends one request (header included) with `fd_count` object descriptors and waits for the reply, which
    // is written to a malloc'ed buffer in *reply. *new_fd is the descriptor of a new object, or -1.
    // EBPF_INVALID_FD: a descriptor is not an object of this transport. EBPF_RPC_EXCEPTION: the peer is gone.
    // The result inside the reply's header is not looked at.
    ebpf_result_t (*call)(struct transport *t, const void *request, size_t size, const int *fds,
                          unsigned fd_count, void **reply, size_t *reply_size, int *new_fd);
    ebpf_result_t (*dup_fd)(struct transport *t, int fd, int *out);
    void (*close_fd)(struct transport *t, int fd);
    void (*close)(struct transport *t);
};

struct transport {
    const struct transport_ops *ops;
};

// The process's transport, made at first use from the environment: EBPF_TRANSPORT=inproc, or unix[:PATH]
// (default PATH /run/ebpfd.sock, or $EBPFD_SOCKET). Thread-safe.
ebpf_result_t transport_get(struct transport **out) MUST_CHECK;
// Installed by hosts: opens the in-process transport. NULL when this build has none.
extern ebpf_result_t (*transport_open_inproc)(struct transport **out);
// transport_unix.c, in every build. EBPF_OBJECT_NOT_FOUND when no daemon listens, EBPF_ACCESS_DENIED when
// this user may not talk to it, EBPF_OPERATION_NOT_SUPPORTED where there are no Unix sockets.
ebpf_result_t transport_open_unix(const char *path, struct transport **out) MUST_CHECK;
