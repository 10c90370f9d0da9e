// SPDX-License-Identifier: MIT
// handles: descriptors for objects. A descriptor is one end of a socket pair (Linux) or of a pipe (Windows)
// whose other end is kept here: close(), dup(), fork(), passing it to another process and kill -9 all have
// their usual meaning, because the kept end breaks exactly when the last copy is gone. On Windows it is a
// descriptor of the C runtime.
#pragma once

#include "base/base.h"
#include "runtime/runtime.h"

struct handles;

ebpf_result_t handles_create(struct handles **out) MUST_CHECK;
void handles_destroy(struct handles *h); // releases the object of every descriptor
// Makes a descriptor for `o` and takes over the caller's reference, on failure too. EBPF_OUT_OF_SPACE: no
// descriptor is left. The descriptor belongs to the caller, who closes it or (Linux) sends it away.
ebpf_result_t handles_open(struct handles *h, struct object *o, int *fd) MUST_CHECK;
// The object of a descriptor, with a reference. EBPF_INVALID_FD: it is none of ours.
ebpf_result_t handles_find(struct handles *h, int fd, struct object **out) MUST_CHECK;
ebpf_result_t handles_dup(struct handles *h, int fd, int *out) MUST_CHECK;
void handles_close(struct handles *h, int fd);
// Releases the objects of descriptors that are closed everywhere.
void handles_sweep(struct handles *h);
// Descriptor that is readable while there is something to sweep; -1 where there is none (Windows).
int handles_poll_fd(const struct handles *h);
unsigned handles_count(struct handles *h);
