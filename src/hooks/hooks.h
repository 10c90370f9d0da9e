// SPDX-License-Identifier: MIT
// hooks: the door of the built-in hooks: xdp, bind and the sample extension. Each is a provider behind
// runtime/provider.h, exactly as a third-party extension would be. Kernel-safe.
//
// A hook knows attachment points and verdicts, never where events come from: hosts (a TAP bridge, WFP
// callouts, a test) call hook_xdp_run, hook_bind_run or hook_sample_run and carry the verdicts out.
#pragma once

#include "base/base.h"
#include "proto/proto.h"
#include "runtime/provider.h"
#include "spec/contexts.h"
#include "spec/spec.h"

// --- all of them ---------------------------------------------------------------------------------

struct hooks;
// Registers every built-in hook with `rt`. IRQL = PASSIVE.
ebpf_result_t hooks_create(struct runtime *rt, struct hooks **out) MUST_CHECK;
void hooks_destroy(struct hooks *hooks); // detaches all their links; NULL allowed
struct hook_xdp *hooks_xdp(struct hooks *hooks);
struct hook_bind *hooks_bind(struct hooks *hooks);
struct hook_sample *hooks_sample(struct hooks *hooks);
// Answers HOOK_NEXT as core_options.hook_next wants it; `user` is a struct hooks * (NULL: no points). prog_id
// stays 0: the caller knows links. EBPF_NO_MORE_KEYS at the end.
ebpf_result_t hooks_next(void *user, const struct proto_hook_next_request *request,
                         struct proto_hook_next_reply *reply) MUST_CHECK;

// --- xdp (hook_xdp.c) ----------------------------------------------------------------------------

// Room that a frame's buffer should have before and after its data, so that programs can grow it.
#define HOOK_XDP_HEADROOM 256u
#define HOOK_XDP_TAILROOM 256u

struct hook_xdp;
struct hook_xdp_device;

// One frame of a batch. `off` and `size` say where the data lies in `buffer`, before and (a program may move
// either end) after the run; off + size <= capacity.
struct hook_xdp_frame {
    uint8_t *buffer;
    uint32_t capacity;
    uint32_t off, size;
    uint32_t rx_queue;
    uint32_t verdict;        // out: VERDICT_XDP_*
    uint32_t target_ifindex; // out: where VERDICT_XDP_REDIRECT sends it
};

ebpf_result_t hook_xdp_create(struct runtime *rt, struct hook_xdp **out) MUST_CHECK;
// Detaches all links. Every device must have been removed.
void hook_xdp_destroy(struct hook_xdp *hook); // NULL allowed

// Makes interface `ifindex` (> 0) known as an attachment point. EBPF_OBJECT_ALREADY_EXISTS,
// EBPF_INVALID_ARGUMENT.
ebpf_result_t hook_xdp_device_add(struct hook_xdp *hook, uint32_t ifindex, const char *name,
                                  struct hook_xdp_device **out) MUST_CHECK;
// The attachment point disappears; a link on it stays with the runtime, but nothing invokes it any more. No
// run on the device may be under way or follow.
void hook_xdp_device_remove(struct hook_xdp_device *device);

// Runs the program of `device` over `count` frames in one epoch and fills their verdicts. Without a program
// every frame passes. A program that returns a value that its dialect does not know, or redirects without a
// target, aborts the frame (which the host drops). IRQL <= DISPATCH; several CPUs may run frames of the same
// device at once.
void hook_xdp_run(struct hook_xdp_device *device, struct hook_xdp_frame *frames, unsigned count);

struct hook_xdp_counters {
    uint64_t aborted, drop, pass, tx, redirect; // frames by the program's verdict
    uint64_t unattached;                        // frames that passed because no program was attached
    uint64_t run_time_ns;                       // summed time of the batches that a program saw
};
void hook_xdp_counters(const struct hook_xdp_device *device, struct hook_xdp_counters *out);
// Next device above request->after_ifindex; EBPF_NO_MORE_KEYS at the end.
ebpf_result_t hook_xdp_next(struct hook_xdp *hook, const struct proto_hook_next_request *request,
                            struct proto_hook_next_reply *reply) MUST_CHECK;

// --- bind (hook_bind.c): one attachment point; a host's callout asks before a socket is bound ----

struct hook_bind;
ebpf_result_t hook_bind_create(struct runtime *rt, struct hook_bind **out) MUST_CHECK;
void hook_bind_destroy(struct hook_bind *hook); // NULL allowed
// Verdict of the attached program: VERDICT_BIND_*; without a program the bind is permitted, a value that the
// program's dialect does not know denies it. IRQL <= DISPATCH.
uint32_t hook_bind_run(struct hook_bind *hook, struct bind_context *context);

// --- sample (hook_sample.c): the extension for tests and for people who write one ----------------

struct hook_sample;
ebpf_result_t hook_sample_create(struct runtime *rt, struct hook_sample **out) MUST_CHECK;
void hook_sample_destroy(struct hook_sample *hook); // NULL allowed
// Invokes the attached program; r0 in *result. EBPF_OBJECT_NOT_FOUND: nothing is attached. IRQL <= DISPATCH.
ebpf_result_t hook_sample_run(struct hook_sample *hook, struct sample_context *context,
                              uint64_t *result) MUST_CHECK;
