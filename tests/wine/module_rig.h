// SPDX-License-Identifier: MIT
// module_rig: what the tests of module drivers do over and over: objects, runs, services.
#pragma once

#include "tests/lib/device.h"
#include "tests/lib/scm.h"
#include "tests/test.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

enum { RIG_DROP = 2, RIG_PASS = 1, RIG_NAME = 128 }; // XDP verdicts of Windows

struct rig_object {
    struct bpf_object *object;
};
// Opens and loads a file of the test's folder. False: nothing is there; rig_messages says what the library
// said.
bool rig_load(struct rig_object *o, const char *file);
// The same, and a failed check that says why not.
bool rig_must_load(struct rig_object *o, const char *file);
void rig_close(struct rig_object *o);
const char *rig_messages(void); // since the last rig_load began
struct bpf_program *rig_program(const struct rig_object *o, const char *name);

// Test runs: the program's result, or a negative error.
int64_t rig_run(const struct bpf_program *prog);
int64_t rig_run_frame(int fd);                      // with a frame that droppacket drops
int rig_run_repeated(int fd, uint32_t repeat);      // that frame
int64_t rig_drop_frame(const struct rig_object *o); // by droppacket
uint64_t rig_dropped(const struct rig_object *o);   // what droppacket has counted

// Services of modules, in whatever state.
unsigned rig_services(void);
unsigned rig_wait_services(unsigned count); // until there are so many, ten seconds at most
unsigned rig_copies(void);                  // drivers that were copied for a load
unsigned rig_wait_copies(unsigned count);   // until there are no more than so many
bool rig_first_service(wchar_t name[RIG_NAME]);
void rig_remove_services(void); // what a case has left that failed
// By hand, as a client that gets no further: a service for a file, with an id or not yet.
bool rig_make_service(const wchar_t *name, const char *file);
bool rig_make_service_without_id(const wchar_t *name, const char *file);
bool rig_wait_stopped(const wchar_t *name);
void rig_set_parameter(const wchar_t *name, DWORD value); // of ebpfcore, for its next start
// Restarts ebpfcore with another grace for modules that nobody opens; 0: the ordinary one.
void rig_set_grace(DWORD ms);
void rig_require_signatures(bool required); // of the verification service

// This program as a client that loads a module and stays.
HANDLE rig_start_client(void);
bool rig_is_client(void);
