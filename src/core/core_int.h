// SPDX-License-Identifier: MIT
// core_int: one request on its way through the core. Every row of ops.def has a handler, declared here by the
// row.
#pragma once

#include "core/core.h"
#include "core/pin_path.h"

struct core {
    struct core_options options;
    struct runtime *runtime;
    struct channels *channels; // of a driver; NULL elsewhere
};

struct execution {
    struct core *core;
    struct core_call *call;
    struct proto_request request;
    uint8_t *reply; // made by core_make_reply; header still zero
    size_t reply_size;
    size_t size_wanted; // of a reply that the caller has no room for; 0: none was
    bool detailed;      // the reply is worth sending although the handler fails
    struct object *new_object;
};

// Makes the reply's memory and returns its fixed structure, zeroed; *tail (NULL allowed when `tail_size` is
// 0) gets the tail. NULL: no memory, above PROTO_MAX_SIZE, or more than the caller can carry away. Handlers
// call it before they change anything.
void *core_make_reply(struct execution *x, size_t tail_size, uint8_t **tail);
// Copies the fixed request structure to `out`.
void core_get_fixed(const struct execution *x, void *out);
struct map *core_map(const struct execution *x, unsigned index); // of a checked kind: never NULL
struct prog *core_prog(const struct execution *x, unsigned index);
struct link *core_link(const struct execution *x, unsigned index);
// Hands one reference of `o` to the caller and describes it in `reply`.
void core_give_object(struct execution *x, struct object *o, struct proto_new_object *reply);

// --- native programs (core_module.c) -------------------------------------------------------------

struct native_load {
    struct module *module; // entered
    uint32_t index;
    struct module_program row;
};
// A PROG_LOAD with `native` != 0: the module and its program, which calls what there is, and is that of the
// request. The caller leaves the module after success.
ebpf_result_t core_native_begin(struct execution *x, uint32_t native, struct native_load *out) MUST_CHECK;
// What binds the program to its verification here and now: evidence and digest.
ebpf_result_t core_native_check(struct execution *x, const struct native_load *n,
                                const struct program *p) MUST_CHECK;
// Refuses a PROG_LOAD with one sentence of the core's own.
ebpf_result_t core_refuse_load(struct execution *x, ebpf_result_t result, const char *why);

// Fails with the result of the reply. A failing handler leaves no object behind.
#define OP(id, ...) ebpf_result_t handle_##id(struct execution *x) MUST_CHECK;
#include "proto/ops.def"
#undef OP
