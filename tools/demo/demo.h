// SPDX-License-Identifier: MIT
// demo: what the files of the demo share. Linux only.
//
// Two network namespaces are wired to each other by a pair of TAP devices that ebpfd serves:
//
//   client namespace                                       server namespace
//   sender process -> UDP socket -> tapC ~~ ebpfd (XDP program) ~~ tapS -> UDP socket -> receiver thread
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVER_DEVICE  "tapS"
#define CLIENT_DEVICE  "tapC"
#define SERVER_ADDRESS "10.77.0.1"
#define CLIENT_ADDRESS "10.77.0.2"
#define DEMO_NETMASK   "255.255.255.0"
#define DEMO_PORT      7777

struct demo_options {
    bool is_short;     // a second or two of traffic
    bool capture_only; // no live traffic even where it could be made
    const char *pcap;  // capture to read; NULL: one is made
    const char *ebpfd, *bpftool;
    const char *samples; // folder of the compiled programs
    const char *sources; // folder of their sources
};

extern volatile sig_atomic_t demo_interrupted; // a signal asked us to stop

// Headline of a step, and text under it.
void say_step(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
// One line of the closing table; returns `holds`.
bool say_check(bool holds, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// --- net.c: namespaces and devices; on failure `why` says what is missing ------------------------

#define WHY_SIZE 200
// Puts this process into a network namespace of its own, with a user namespace where it is not root.
bool net_enter_private(char why[WHY_SIZE]);
// Whether TAP devices can be made here.
bool net_has_tap(char why[WHY_SIZE]);
// Moves a device into the network namespace of process `pid`.
bool net_move_device(const char *name, pid_t pid, char why[WHY_SIZE]);
bool net_delete_device(const char *name, char why[WHY_SIZE]);
bool net_configure(const char *name, const char *address, char why[WHY_SIZE]);

// --- traffic.c -----------------------------------------------------------------------------------

#define TRAFFIC_FLOOD 15 // empty datagrams for each honest one

// Counters in memory that main, receiver thread and sender process share.
struct traffic_counts {
    _Atomic uint64_t honest_sent, empty_sent;
    _Atomic uint64_t honest_arrived, empty_arrived;
    _Atomic uint64_t damaged; // neither honest nor empty, or a second copy
    _Atomic bool is_sending;  // main: go on
    _Atomic bool is_stalled;  // sender: an honest datagram did not arrive in time
};
struct traffic;
// Starts the sender process, whose network namespace is its own and empty until a device is moved there.
bool traffic_open(struct traffic **out, char why[WHY_SIZE]);
pid_t traffic_sender(const struct traffic *t);
// Configures both ends and starts the receiver.
bool traffic_start(struct traffic *t, char why[WHY_SIZE]);
// Sends until traffic_pause; every honest datagram has arrived, or is lost, when that returns.
bool traffic_resume(struct traffic *t);
bool traffic_pause(struct traffic *t);
const struct traffic_counts *traffic_counts(const struct traffic *t);
void traffic_close(struct traffic *t); // NULL allowed

// --- live.c, capture.c ---------------------------------------------------------------------------

// 0: everything held. 1: something did not. 2: could not be run. 3: no right to make what it needs; nothing
// was shown.
int live_run(const struct demo_options *options);
int capture_run(const struct demo_options *options);
// Shows what the verifier says about the good and the bad program.
void demo_show_verifier(const struct demo_options *options);
// Runs a program with its output on ours; returns its exit status or -1.
int demo_run_tool(const char *path, const char *const *argv);
void demo_sample_path(const struct demo_options *options, const char *name, char *path, size_t size);
