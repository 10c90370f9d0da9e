// SPDX-License-Identifier: MIT
// access_windows: who may open the device of ebpfcore, and what for. Pure functions of facts, for the driver
// and for the tests that check them by table. Kernel-safe.
//
// Two lines of defence say the same: the descriptor of the device (ACCESS_SDDL), which the I/O manager
// enforces before the driver sees anything, and access_decide_windows, which the driver asks at every open.
#pragma once

#include "base/base.h"

// Well-known security identifiers. Source: Microsoft's documentation "Well-known SIDs".
#define ACCESS_SID_SYSTEM         "S-1-5-18"
#define ACCESS_SID_ADMINISTRATORS "S-1-5-32-544"
#define ACCESS_SID_NETWORK        "S-1-5-2"
// That of the service ebpfsvc: S-1-5-80, then the SHA-1 of the upper-case name as UTF-16LE, read as five
// 32-bit little-endian numbers. (Python: struct.unpack("<5I",
// hashlib.sha1("EBPFSVC".encode("utf-16le")).digest()); `sc showsid ebpfsvc` says the same.)
#define ACCESS_SID_SERVICE "S-1-5-80-3453964624-2861012444-1105579853-3193141192-1897355174"

// Full access for these three, nothing for anybody else, nothing inherited.
#define ACCESS_SDDL                                                                                          \
    "D:P(A;;GA;;;" ACCESS_SID_SYSTEM ")(A;;GA;;;" ACCESS_SID_ADMINISTRATORS ")(A;;GA;;;" ACCESS_SID_SERVICE  \
    ")"

// --- the decision --------------------------------------------------------------------------------

// What the caller's token says. A group counts when it is enabled and not for denial only.
struct access_token_facts {
    bool is_known;         // the token could be read
    bool is_impersonation; // a thread's token at a level that proves no identity (anonymous, identification)
    bool is_system;        // the user is SYSTEM
    bool is_administrator; // member of Administrators
    bool is_service;       // has the SID of ebpfsvc
    bool is_restricted;    // has restricting SIDs
    bool is_app_container;
    bool is_network; // logged on over the network
};

// The channel rights (enum channel_right) of an opener, 0: none, the open fails with EBPF_ACCESS_DENIED.
// `verdict_from_administrators` is the driver's parameter of that name: the installer sets it where a service
// cannot be given its SID. It gives nothing away: an administrator can load drivers anyway.
uint32_t access_decide_windows(const struct access_token_facts *facts, bool verdict_from_administrators);

// --- security identifiers and descriptors --------------------------------------------------------

#define ACCESS_SID_SUBS 8
// As in a token: revision, count, authority (big endian), sub-authorities (little endian).
struct access_sid {
    uint8_t size; // of `bytes` in use
    uint8_t bytes[8 + 4 * ACCESS_SID_SUBS];
};
// Reads "S-1-..." at *text and moves *text behind it. EBPF_INVALID_ARGUMENT: malformed, or too many parts.
ebpf_result_t access_read_sid(const char **text, struct access_sid *out) MUST_CHECK;
// The SID of the entry `index` of a descriptor in the form of ACCESS_SDDL. EBPF_NO_MORE_KEYS at the end,
// EBPF_INVALID_ARGUMENT for anything that grants otherwise than ACCESS_SDDL does.
ebpf_result_t access_read_sddl(const char *sddl, unsigned index, struct access_sid *out) MUST_CHECK;
