// SPDX-License-Identifier: MIT
// tap: carries frames between the kernel and XDP programs through TAP devices (Linux). Devices come in pairs,
// wired to each other: what the kernel sends out of A is on the wire and arrives at B, where B's program
// decides; and the other way round.
#pragma once

#include "core/core.h"
#include "hooks/hooks.h"

struct tap_bridge;

// Registers the built-in hooks (hooks_create) with the core's runtime, opens the devices (creating those that
// do not exist; they vanish with the bridge unless they were made persistent) and starts the bridge's thread.
// `count` 0: the hooks only, without devices and thread. Says on stderr why it fails: an odd count or bad
// name (EBPF_INVALID_ARGUMENT), no /dev/net/tun or no right to use it (EBPF_ACCESS_DENIED,
// EBPF_OBJECT_NOT_FOUND).
ebpf_result_t tap_bridge_create(struct core *core, const char *const *names, unsigned count,
                                struct tap_bridge **out) MUST_CHECK;
// Stops the thread, closes the devices, detaches links. NULL allowed. Before core_destroy.
void tap_bridge_destroy(struct tap_bridge *bridge);
// core_options.hook_next; `user` is a struct tap_bridge * or NULL (no points).
ebpf_result_t tap_bridge_hook_next(void *user, const struct proto_hook_next_request *request,
                                   struct proto_hook_next_reply *reply);

// What the bridge did with frames, since creation.
struct tap_counters {
    uint64_t received;     // read from devices
    uint64_t written;      // handed to a device
    uint64_t dropped;      // by verdict
    uint64_t write_failed; // the device was gone, down, or its queue full
    uint64_t no_target;    // redirected to an interface that the bridge does not have
    uint64_t wakeups;      // batches
};
void tap_bridge_counters(const struct tap_bridge *bridge, struct tap_counters *out);
