// SPDX-License-Identifier: MIT
// session: the daemon's clients, a thread each. Nothing that a client does, or fails to do, ends more than
// its own session; its objects are released by their descriptors (handles.h), not here. Linux.
#pragma once

#include "base/base.h"
#include "core/core.h"
#include "hosts/handles.h"
#include "hosts/service_process.h"

struct sessions;

struct sessions_options {
    struct core *core;
    struct handles *handles;
    struct service_process *service;
    int stop_fd;      // readable: sessions end
    unsigned limit;   // clients at once; further ones are told EBPF_OUT_OF_SPACE
    uint32_t slow_ms; // a message must be complete in this time, and a reply taken
};

ebpf_result_t sessions_create(const struct sessions_options *options, struct sessions **out) MUST_CHECK;
// After stop_fd became readable: waits for the threads, `wait_ms` at most. False: some are still busy, and
// nothing of theirs may be freed.
bool sessions_destroy(struct sessions *s, uint32_t wait_ms) MUST_CHECK;
// Accepts every connection that waits on `listen_fd`.
void sessions_accept(struct sessions *s, int listen_fd);
// Joins threads that ended; sessions_poll_fd is readable when there are some.
void sessions_reap(struct sessions *s);
int sessions_poll_fd(const struct sessions *s);
