// SPDX-License-Identifier: MIT
// client: requests over any transport, without the library: what the end-to-end tests on every system say.
#pragma once

#include "lib/transport.h"
#include "spec/spec.h"

struct e2e_reply {
    struct proto_header header;
    uint8_t fixed[512]; // fixed structure, when there is one
    char text[512];     // first part of the tail
    int fd;             // new object or -1
};
// One request; the result is the transport's or the reply's. `out` may be NULL (a new descriptor is closed
// then).
ebpf_result_t e2e_call(struct transport *t, uint16_t op, const void *fixed, const void *tail,
                       size_t tail_size, const int *fds, unsigned fd_count, struct e2e_reply *out);
ebpf_result_t e2e_version(struct transport *t);
ebpf_result_t e2e_create_map(struct transport *t, int *fd);
// A native module by its name in the folder of the run's modules.
ebpf_result_t e2e_open_module(struct transport *t, const char *name, int *fd);
// The same by a file's path, with what MODULE_LOAD says (`text`, NULL allowed). Where the execution context
// takes no paths, e2e_install_module does it; NULL: there is no other way.
ebpf_result_t e2e_load_module(struct transport *t, const char *path, int *fd, char text[512]);
extern ebpf_result_t (*e2e_install_module)(const char *path, int *fd);
// A program that verifies (r0 = 1), or with `good` false one that does not. `text` (NULL allowed) gets the
// findings.
ebpf_result_t e2e_load(struct transport *t, bool good, int *fd, char text[512]);
// A program of this instruction and an exit, and the machine code of a program (what `room` has room for).
ebpf_result_t e2e_load_insn(struct transport *t, struct insn first, int *fd);
ebpf_result_t e2e_code(struct transport *t, int prog, uint8_t *code, size_t room, size_t *size);
// A program for BIND that permits all, and a link of it to the one point that BIND has.
ebpf_result_t e2e_load_bind(struct transport *t, int *fd);
ebpf_result_t e2e_attach_bind(struct transport *t, int prog, int *link);
ebpf_result_t e2e_run(struct transport *t, int prog, uint32_t repeat, uint64_t *r0);
// The one element of e2e_create_map's map.
ebpf_result_t e2e_set_element(struct transport *t, int map, uint64_t value);
ebpf_result_t e2e_get_element(struct transport *t, int map, uint64_t *value);
ebpf_result_t e2e_info(struct transport *t, int fd, struct proto_object_info_reply *out);
// A descriptor of the object with the lowest id. EBPF_NO_MORE_KEYS: there is none.
ebpf_result_t e2e_first(struct transport *t, uint32_t kind, int *fd);
ebpf_result_t e2e_path(struct transport *t, uint16_t op, const char *path, int fd, struct e2e_reply *out);
unsigned e2e_object_count(struct transport *t, uint32_t kind); // UINT_MAX: nobody answered
unsigned e2e_pin_count(struct transport *t);
// Whatever the bytes are: the transport's result or that of the reply, which has a valid header.
ebpf_result_t e2e_send_bytes(struct transport *t, const void *bytes, size_t size, const int *fds,
                             unsigned fd_count);
