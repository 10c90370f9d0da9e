// SPDX-License-Identifier: MIT
// transport: how requests travel from the library to an execution context. Three exist: `unix` (a socket to
// ebpfd), `ioctl` (the device of ebpfcore.sys, and RPC to ebpfsvc for loads) and `inproc` (hosts/inproc.c).
// An object is known to the caller by a file descriptor, which close(), dup(), death and (Linux) fork() treat
// as they treat any other: with `unix` one end of a socket whose other end ebpfd holds, with `ioctl` a handle
// of the device as a descriptor of the C runtime, with `inproc` one end of a socket or pipe of this process.
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
    // Sends a MAP_MEMORY request for the map `fd` and maps what comes back; whoever has the address unmaps it
    // with plat_shared_unmap. Results as of a MAP_MEMORY request.
    ebpf_result_t (*map_memory)(struct transport *t, int fd, bool writable, void **address, size_t *size);
    void (*close)(struct transport *t);
};

struct transport {
    const struct transport_ops *ops;
};

// The process's transport, made at first use from the environment: EBPF_TRANSPORT=inproc, or ioctl, or
// unix[:PATH] (default PATH /run/ebpfd.sock, or $EBPFD_SOCKET). Without it: ioctl on Windows, unix elsewhere;
// never in process by itself. Thread-safe.
ebpf_result_t transport_get(struct transport **out) MUST_CHECK;
// Installed by hosts: opens the in-process transport. NULL when this build has none.
extern ebpf_result_t (*transport_open_inproc)(struct transport **out);
// transport_unix.c, in every build. EBPF_OBJECT_NOT_FOUND when no daemon listens, EBPF_ACCESS_DENIED when
// this user may not talk to it, EBPF_OPERATION_NOT_SUPPORTED where there are no Unix sockets.
ebpf_result_t transport_open_unix(const char *path, struct transport **out) MUST_CHECK;
// transport_memory.c: a map_memory for transports whose peer maps into this process by itself.
ebpf_result_t transport_map_by_address(struct transport *t, int fd, bool writable, void **address,
                                       size_t *size) MUST_CHECK;
// transport_device.c, in every build. EBPF_OBJECT_NOT_FOUND when ebpfcore does not run, EBPF_ACCESS_DENIED
// when this user may not open it, EBPF_OPERATION_NOT_SUPPORTED where there are no drivers.
ebpf_result_t transport_open_ioctl(struct transport **out) MUST_CHECK;
// What a person can do when transport_get has failed with `why`: a sentence without full stop. Also there.
const char *transport_advice(ebpf_result_t why);

// transport_fd_windows.c: descriptors of the C runtime around handles. They keep errno, and wrong
// descriptors do no harm.
ebpf_result_t transport_fd_handle(int fd, intptr_t *handle) MUST_CHECK; // EBPF_INVALID_FD
// The handle belongs to the descriptor then; on failure it stays the caller's. EBPF_OUT_OF_SPACE: no
// descriptor is left.
ebpf_result_t transport_fd_open(intptr_t handle, int *fd) MUST_CHECK;
ebpf_result_t transport_fd_dup(int fd, int *out) MUST_CHECK; // not inherited by child processes
void transport_fd_close(int fd);
