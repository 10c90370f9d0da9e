// SPDX-License-Identifier: MIT
// proto: the door of the request table. A request is a header, the fixed structure of its operation, and a
// tail of bytes where the row of ops.def allows one; replies likewise. All integers little endian, structures
// without padding. The same bytes travel over a socket, an IOCTL, or a call in process. References to objects
// travel beside the bytes (descriptors, handles, pointers) and are counted in the header.
#pragma once

#include "base/base.h"
#include "spec/spec.h"

#define PROTO_WIRE_VERSION 1u          // proto_header.version (PROTO_VERSION is the operation)
#define PROTO_MAGIC        0x66504245u // "EBPf"
#define PROTO_MAX_SIZE     (64u << 20) // one request or reply
#define PROTO_PATH_SIZE    256
#define PROTO_MAX_OBJECTS  (SPEC_MAX_MAPS + 1)

enum proto_op {
#define OP(id, number, ...) PROTO_##id = number,
#include "proto/ops.def"
#undef OP
};

struct proto_header {
    uint32_t magic;
    uint16_t version;
    uint16_t op;      // enum proto_op
    uint32_t size;    // of the whole message with this header
    uint32_t cookie;  // chosen by the client, returned in the reply
    uint32_t result;  // ebpf_result_t in replies, 0 in requests
    uint32_t objects; // number of object references that travel beside the bytes
};

// Object kinds on the wire: enum object_kind values 1 map, 2 program, 3 link.
enum proto_kind { PROTO_KIND_MAP = 1, PROTO_KIND_PROGRAM = 2, PROTO_KIND_LINK = 3 };

struct proto_empty {
    uint32_t reserved; // 0
};
struct proto_new_object {
    uint32_t kind, id;
};

struct proto_version_request {
    uint32_t version;
};
struct proto_version_reply {
    uint32_t version, cpu_count, platform, reserved; // platform: enum dialect that is the default here
};
struct proto_map_create_request {
    struct map_def def;
};
struct proto_map_lookup_request { // tail: key
    uint32_t delete_too;          // 1: lookup and delete
    uint32_t flags;               // 0
}; // reply tail: value
struct proto_map_update_request { // tail: key, value
    uint64_t flags;
    uint32_t key_size, reserved;
};
struct proto_map_delete_request { // tail: key
    uint32_t flags, reserved;     // 0
};
struct proto_map_next_key_request { // tail: key, or nothing for the first
    uint32_t reserved, reserved2;   // 0
}; // reply tail: key
// tail: program (proto_program_encode). The objects are the program's maps in order.
struct proto_prog_load_request {
    uint32_t log_level; // 0: only the first finding, 1: all
    uint32_t flags;     // 0
};
// Sent whether accepted or not. Tail: findings as text lines, NUL-terminated, then as JSON array,
// NUL-terminated.
struct proto_prog_load_reply {
    struct proto_new_object object;
    uint32_t text_size, json_size; // with their NULs
    uint32_t states, peak_kb;
    uint64_t time_us;
};
struct proto_prog_test_run_request { // tail: data_in, ctx_in
    uint32_t repeat, flags;
    uint32_t data_in_size, ctx_in_size;
    uint32_t data_out_capacity, ctx_out_capacity;
};
struct proto_prog_test_run_reply { // tail: data_out, ctx_out (cut to the capacities)
    uint64_t retval, duration_ns;
    uint32_t data_out_size, ctx_out_size; // whole sizes
};
struct proto_link_create_request {
    uint32_t attach_type; // enum attach_type (internal)
    uint32_t ifindex, flags, reserved;
};
struct proto_path_request {
    char path[PROTO_PATH_SIZE];
};
struct proto_pin_next_reply {
    char path[PROTO_PATH_SIZE];
    uint32_t kind, id;
};
struct proto_next_id_request {
    uint32_t kind, start;
};
struct proto_next_id_reply {
    uint32_t id, reserved;
};
struct proto_open_id_request {
    uint32_t kind, id;
};
struct proto_object_info_reply {
    uint32_t kind, id;
    uint32_t type, attach_type, dialect; // internal ids; dialect of a program
    uint32_t map_flags, key_size, value_size, max_entries, frozen, user_value_size;
    uint32_t insn_count, map_count;
    uint32_t prog_id, ifindex, attached; // links
    uint32_t pin_count;
    uint32_t link_count;                                   // programs: attached links
    uint64_t memory, load_time_ns, run_count, run_time_ns; // run_count of a link: invocations
    uint8_t tag[8];
    char name[SPEC_NAME_SIZE];
    uint32_t map_ids[SPEC_MAX_MAPS];
};
// Attachment points of a hook, by ascending ifindex. EBPF_NO_MORE_KEYS at the end.
struct proto_hook_next_request {
    uint32_t attach_type, after_ifindex;
};
#define PROTO_MAX_COUNTERS 8
struct proto_hook_next_reply {
    uint32_t ifindex, link_id, prog_id, counter_count;
    char name[SPEC_NAME_SIZE];
    struct {
        char name[16]; // verdict name
        uint64_t packets;
    } counters[PROTO_MAX_COUNTERS];
    uint64_t run_time_ns, packets; // summed time of all batches and their packets
};

// --- the table -----------------------------------------------------------------------------------
struct proto_op_row {
    const char *name;
    uint16_t number;
    int16_t objects;                   // -1: any number up to PROTO_MAX_OBJECTS
    uint8_t kinds[3];                  // bit mask of 1 << enum proto_kind
    uint32_t request_size, reply_size; // fixed structures
    bool request_tail, reply_tail, new_object;
};
const struct proto_op_row *proto_op_row(uint16_t op); // NULL: unknown

struct proto_request {
    const struct proto_op_row *row;
    struct proto_header header;
    const void *fixed; // row->request_size bytes, 8-aligned copy is not needed: memcpy from it
    const uint8_t *tail;
    size_t tail_size;
};
// Validates everything that can be said without looking at objects: magic, version, known operation, sizes,
// object count, zero reserved fields, terminated paths. `object_kinds[i]` is the kind of reference i. Before
// any handler.
ebpf_result_t proto_request_check(const void *bytes, size_t size, const uint8_t *object_kinds,
                                  unsigned object_count, struct proto_request *out) MUST_CHECK;
// Whole size of a message whose first sizeof(struct proto_header) bytes have arrived: magic, version and the
// limits are checked, nothing else. For transports that read from a stream.
ebpf_result_t proto_frame_size(const void *header, size_t *size) MUST_CHECK;
// The same for a reply to `op`. A reply whose result is an error may be the header alone: then *fixed is NULL
// and the tail is empty. *fixed may be unaligned: memcpy from it.
ebpf_result_t proto_reply_check(uint16_t op, const void *bytes, size_t size, struct proto_header *header,
                                const void **fixed, const uint8_t **tail, size_t *tail_size) MUST_CHECK;

// Wire form of a canonical program. encode: returns the size needed, writes when it fits. decode:
// program_check is still to be called; memory comes from the arena.
size_t proto_program_encode(const struct program *p, void *bytes, size_t capacity);
ebpf_result_t proto_program_decode(const void *bytes, size_t size, struct arena *a,
                                   struct program *out) MUST_CHECK;

// --- between ebpfd and ebpfsvc (design: "the same request + evidence") ---------------------------
// Request: proto_header with op PROTO_PROG_LOAD, proto_prog_load_request, program. No objects.
// Reply: proto_header with the result of struct service_verdict, proto_verify_reply, evidence (only with
// success), text, json.
struct proto_verify_reply {
    uint32_t evidence_size, text_size, json_size, states;
    uint64_t time_us;
    uint32_t peak_kb, reserved;
};
