// SPDX-License-Identifier: MIT
// e2e: what the end-to-end tests share: a daemon of their own in a folder of their own, clients over the real
// transport, raw connections for clients that misbehave. Linux.
#pragma once

#include <sys/types.h>

#include "lib/transport.h"
#include "tests/test.h"

struct e2e_daemon {
    pid_t pid; // 0: not running
    char folder[64];
    char socket[80];
};

struct e2e_setup {
    bool quiet;          // what it says on stderr is expected
    const char *service; // NULL: the real one
    const char *mode;    // of the fake service: contents of folder/mode
    unsigned nofile;     // RLIMIT_NOFILE of the daemon; 0: as it is
    unsigned timeout_s;  // --verify-timeout; 0: default
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
pid_t e2e_service_pid(const struct e2e_daemon *d); // 0: none
unsigned e2e_fd_count(const struct e2e_daemon *d);
// Waits until the daemon has `count` open descriptors; false after some ten seconds.
bool e2e_wait_fd_count(const struct e2e_daemon *d, unsigned count);
bool e2e_exists(const char *path);

// --- clients -------------------------------------------------------------------------------------

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
// A program that verifies (r0 = 1), or with `good` false one that does not. `text` (NULL allowed) gets the
// findings.
ebpf_result_t e2e_load(struct transport *t, bool good, int *fd, char text[512]);
ebpf_result_t e2e_path(struct transport *t, uint16_t op, const char *path, int fd, struct e2e_reply *out);
unsigned e2e_object_count(struct transport *t, uint32_t kind); // UINT_MAX: the daemon did not answer

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
