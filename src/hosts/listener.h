// SPDX-License-Identifier: MIT
// listener: the daemon's socket in the file system. One daemon a path, stale files handled. Linux.
#pragma once

#include "base/base.h"

#define LISTENER_PATH_SIZE 104 // with room for ".lock" in sun_path's 108

struct listener {
    int fd;   // listening, non-blocking
    int lock; // of PATH.lock, which says that a daemon owns PATH
    char path[LISTENER_PATH_SIZE];
};

// Says on stderr why it fails. EBPF_OBJECT_ALREADY_EXISTS: another daemon owns the path, or something that is
// no socket is in the way. EBPF_INVALID_ARGUMENT: the path is too long. EBPF_ACCESS_DENIED,
// EBPF_FILE_NOT_FOUND.
ebpf_result_t listener_open(const char *path, struct listener *out) MUST_CHECK;
void listener_close(struct listener *l); // removes the files
