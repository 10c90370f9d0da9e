// SPDX-License-Identifier: MIT
// facts: what the overlay's test driver and its test program agree on.
#pragma once

// In: the number of a case or violation of cases.def. Out: text, empty for success.
#define SELFTEST_CASE    CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define SELFTEST_VIOLATE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)
// Out: what ran of struct selftest_facts.
#define SELFTEST_FACTS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x802, METHOD_BUFFERED, FILE_ANY_ACCESS)

#define SELFTEST_TEXT_SIZE 256
#define SELFTEST_SID_SIZE  68
#define SELFTEST_MAGIC     0x5e1f7e57u

struct selftest_facts {
    unsigned long long view;              // of a page that begins with SELFTEST_MAGIC, in the caller
    unsigned keeper_started;              // the keeper's DriverEntry ran in this host
    unsigned is_administrator;            // the caller's token
    unsigned char sid[SELFTEST_SID_SIZE]; // of the caller's user
};
