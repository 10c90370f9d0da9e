// SPDX-License-Identifier: MIT
// lib_testing: a transport that plays a script, for the tests of this folder. Replies are queued beforehand;
// what the library sent is kept. Descriptors are numbers from 100 on, counted, so that a leaked one shows.
#pragma once

#include "lib/lib_int.h"
#include "tests/test.h"

// Starts a new script: no replies queued, nothing sent. Also makes the script the process's transport.
void fake_reset(void);
// Queues the reply to the next request, which must be `op`. `fixed` has the row's size (NULL: zeros); a
// failure goes without a body unless `fixed` is given. A successful reply to an operation that makes objects
// brings a descriptor.
void fake_reply(enum proto_op op, ebpf_result_t result, const void *fixed, const void *tail,
                size_t tail_size);
// The same as raw bytes, with a descriptor or -1: replies that are no replies.
void fake_reply_raw(enum proto_op op, const void *bytes, size_t size, int fd);
// The transport itself fails.
void fake_fail(enum proto_op op, ebpf_result_t result);
// Object information of a map.
void fake_reply_map_info(uint32_t key_size, uint32_t value_size);

// The n-th request sent (0 = first), NULL when there is none.
struct fake_sent {
    struct proto_header header;
    const uint8_t *fixed, *tail;
    size_t tail_size;
    int fds[PROTO_MAX_OBJECTS];
};
const struct fake_sent *fake_sent(unsigned n);
unsigned fake_sent_count(void);
int fake_new_fd(void);          // a descriptor that the test owns
unsigned fake_open_fds(void);   // descriptors that nobody has closed
bool fake_script_is_done(void); // every queued reply was fetched
