// SPDX-License-Identifier: MIT
// e2e: what the end-to-end tests share: a daemon of their own in a folder of their own, clients over the real
// transport, raw connections for clients that misbehave. Linux.
#pragma once

#include <sys/types.h>

#include "tests/e2e/client.h"
#include "tests/test.h"

struct e2e_daemon {
    pid_t pid; // 0: not running
    char folder[64];
    char socket[80];
};

struct e2e_setup {
    bool quiet;                    // what it says on stderr is expected
    const char *service;           // NULL: the real one
    const char *mode;              // of the fake service: contents of folder/mode
    unsigned nofile;               // RLIMIT_NOFILE of the daemon; 0: as it is
    unsigned timeout_s;            // --verify-timeout; 0: default
    bool no_sandbox;               // --no-sandbox
    bool no_native;                // --no-native
    bool jit_blind, jit_retpoline; // --jit-blind, --jit-retpoline
};

// Starts a daemon and waits until it says that it listens. The folder is made where d->folder is empty.
bool e2e_start(struct e2e_daemon *d, const struct e2e_setup *setup);
// SIGTERM; exit status, or -1 when it was killed by a signal.
int e2e_stop(struct e2e_daemon *d);
void e2e_kill(struct e2e_daemon *d);   // SIGKILL
void e2e_remove(struct e2e_daemon *d); // the folder
bool e2e_set_mode(const struct e2e_daemon *d, const char *mode);
// Waits until the fake service has put it there; false after some ten seconds.
bool e2e_wait_mode(const struct e2e_daemon *d, const char *mode);
// Runs a second daemon on the same socket; its exit status.
int e2e_run_second(const struct e2e_daemon *d);
pid_t e2e_service_pid(const struct e2e_daemon *d); // of one worker; 0: none
// Number after NAME: in /proc/PID/status, or -1.
int e2e_status(pid_t pid, const char *name);
unsigned e2e_fd_count(const struct e2e_daemon *d);
// Waits until the daemon has `count` open descriptors; false after some ten seconds.
bool e2e_wait_fd_count(const struct e2e_daemon *d, unsigned count);
bool e2e_exists(const char *path);

// --- raw connections -----------------------------------------------------------------------------

int e2e_connect(const struct e2e_daemon *d); // -1: errno says why
// Sends bytes, with `count` copies of descriptor `fd`.
bool e2e_send(int connection, const void *bytes, size_t size, int fd, unsigned count);
// Reads one reply of a bare header, or the header of a longer one; false when the connection ends first.
bool e2e_read_header(int connection, struct proto_header *out);
// True when the daemon has closed the connection (waits for it).
bool e2e_is_closed(int connection);
// A valid VERSION request.
size_t e2e_version_request(uint8_t bytes[64]);
