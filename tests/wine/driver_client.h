// SPDX-License-Identifier: MIT
// driver_client: more of the device of ebpfcore by hand (tests/lib/device.h): requests with tails, programs
// and links, and the driver as a service.
#pragma once

#include "spec/spec.h"
#include "tests/lib/device.h"
#include "tests/lib/scm.h"
#include "tests/test.h"

#include <winioctl.h>

#define CLIENT_ROOM 8192u

// A case after which the driver counts what it counted before.
#define WITH_WITNESS(name)                                                                                   \
    static void name##_body(void);                                                                           \
    static void name(void)                                                                                   \
    {                                                                                                        \
        struct proto_witness before;                                                                         \
        REQUIRE(device_wait_quiet(&before));                                                                 \
        name##_body();                                                                                       \
        CHECK(device_wait_witness(&before));                                                                 \
    }                                                                                                        \
    static void name##_body(void)

// The last reply: whole message.
extern uint8_t client_reply[CLIENT_ROOM];
extern size_t client_reply_size;

HANDLE client_open(DWORD flags); // INVALID_HANDLE_VALUE with GetLastError
// 0 or the Win32 error.
DWORD client_control(HANDLE h, uint32_t function, const void *in, size_t in_size, void *out, size_t out_size,
                     size_t *size);
// Puts a message together at `out` and returns its size.
size_t client_build(uint8_t *out, uint16_t op, const void *fixed, const void *tail, size_t tail_size,
                    unsigned objects);
// Sends one; the reply's result. EBPF_RPC_EXCEPTION with GetLastError when the control failed.
ebpf_result_t client_ask(HANDLE h, uint16_t op, const void *fixed, const void *tail, size_t tail_size,
                         unsigned objects);
// A verdict of acceptance for a program that returns 42.
size_t client_build_verdict(uint8_t out[CLIENT_ROOM], const struct proto_token *token, uint32_t prog_type,
                            uint32_t attach_type);

ebpf_result_t client_make_array(HANDLE h, uint32_t elements, uint32_t value_size);
// By a verdict of one's own, which VerdictFromAdministrators permits.
ebpf_result_t client_make_program(HANDLE h, uint32_t prog_type, uint32_t attach_type);
ebpf_result_t client_make_insn(HANDLE h, struct insn first); // this and an exit
// Attaches the program of `prog` to the one point of BIND; `h` becomes the link.
ebpf_result_t client_make_link(HANDLE h, HANDLE prog);

// What this thread gets when it asks for the device: 0 or the Win32 error. Wine gives out a handle although
// the driver refuses the open, and fails what is done with it.
DWORD client_try(void);

struct proto_witness client_witness(void); // zeros when there is no driver

// --- the service of the driver (started and stopped by tests/lib/scm.h) --------------------------

// Makes a second service of the same file.
DWORD driver_clone(const wchar_t *name);
void driver_remove(const wchar_t *name);
// A REG_DWORD that the driver reads when it starts.
void driver_set_parameter(const wchar_t *name, DWORD value);
