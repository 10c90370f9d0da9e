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

// Object kinds on the wire: enum object_kind values. Modules have no pins, and no walks by id.
enum proto_kind { PROTO_KIND_MAP = 1, PROTO_KIND_PROGRAM = 2, PROTO_KIND_LINK = 3, PROTO_KIND_MODULE = 4 };

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
    // 0: the program is translated here. n: the code is that of program n-1 of the native module that is the
    // last object, behind the maps; the tail is that module's canonical program, byte for byte.
    uint32_t native;
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
    uint32_t link_count;                                   // programs: links that hold it, detached ones too
    uint64_t memory, load_time_ns, run_count, run_time_ns; // run_count of a link: invocations
    uint8_t tag[8];
    char name[SPEC_NAME_SIZE];
    uint32_t map_ids[SPEC_MAX_MAPS];
    char module[SPEC_NAME_SIZE]; // of a native program: the module's name; "": none
    uint32_t module_id;          // 0: none
    uint32_t revoked;            // 1: its module's image has gone, so that it runs no more
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

// Elements from a position on: 0, or where the last reply ended. A position has 32 bits whatever the key,
// because that is what libbpf's callers keep for it. Each position is passed once, so that a walk ends
// however the map changes meanwhile; what is returned was read one element after the other: not a snapshot. A
// hash map gives whole buckets: EBPF_INSUFFICIENT_BUFFER, with a body, when not even the first one fits.
struct proto_map_lookup_batch_request {
    uint32_t count;      // elements wanted, at least 1; fewer may come
    uint32_t delete_too; // 1: each element that is returned is deleted
    uint32_t flags;      // 0
    uint32_t position;
}; // reply tail: `done` keys, then `done` values
struct proto_map_batch_request {
    uint64_t flags; // of an update: BPF_ANY, ...; of a delete: 0
    uint32_t count, reserved;
}; // tail: `count` keys, then (update) `count` values
// An update or delete that fails half-way sends this with its error: `done` elements were done.
struct proto_map_batch_reply {
    uint32_t done;
    uint32_t end;      // lookup: 1 when the map has no further element and (an array) more were wanted
    uint32_t position; // lookup: where to go on
    uint32_t reserved; // 0
};
// Stores a program in a prog array. tail: key
struct proto_map_set_program_request {
    uint64_t flags;
};
// What a loaded program is, in pieces: the reply's tail has at most `size` bytes from `offset` on.
enum proto_dump {
    PROTO_DUMP_PROGRAM, // the program as it was loaded, for proto_program_decode
    PROTO_DUMP_CODE,    // its machine code; nothing when it is not machine code that runs it
};
struct proto_prog_dump_request {
    uint32_t what; // enum proto_dump
    uint32_t offset, size;
    uint32_t reserved; // 0
};
struct proto_prog_dump_reply {
    uint64_t total; // bytes of the whole
};
// Brings the code of a native module (ebpf_native.h) into the execution context. tail: path of the file,
// absolute, with its NUL. EBPF_OPERATION_NOT_SUPPORTED where modules come by themselves (drivers:
// MODULE_OPEN). Each success is an instance of its own, also of the same file. The object is the module: it
// goes, and its code with it, when neither a handle nor a program is left.
struct proto_module_load_request {
    uint32_t flags; // 0
    uint32_t reserved;
};
// Sent whether it worked or not. tail: one sentence that says why not, with its NUL; "" with success.
struct proto_module_load_reply {
    struct proto_new_object object;
    uint32_t text_size, reserved;
};
// The module that has registered itself with this id (drivers). EBPF_OBJECT_NOT_FOUND.
struct proto_module_open_request {
    uint8_t id[16];
};
// Program `index` of the module. reply tail: canonical program, then `map_count` u32: rows of the module's
// maps, which are in the order of the object's. EBPF_NO_MORE_KEYS past the last one.
struct proto_module_program_request {
    uint32_t index, reserved;
};
struct proto_module_program_reply {
    char name[SPEC_NAME_SIZE];
    uint32_t canonical_size, map_count;
};
// Maps the values of an array with BPF_F_MMAPABLE into the client: value i lies at i * round_up(value_size,
// 8).
struct proto_map_memory_request {
    uint32_t writable, reserved;
};
// `address` is valid where the execution context can map into the client by itself (driver, in process);
// ebpfd sends a descriptor of the memory instead, and address 0. A map that was ever mapped writable cannot
// be frozen; one that is frozen, or that user mode may not write, cannot be mapped writable.
struct proto_map_memory_reply {
    uint64_t address, size;
};
// Processes that hold objects, by ascending id. EBPF_NO_MORE_KEYS at the end; EBPF_OPERATION_NOT_SUPPORTED
// where the execution context does not know them (ebpfd: a descriptor may be anywhere).
struct proto_holder_next_request {
    uint32_t after_pid, reserved;
};
struct proto_holder_next_reply {
    uint32_t pid;
    uint32_t maps, programs, links; // open handles by kind
    uint32_t others;                // open handles of modules, or without an object
};

// --- the table -----------------------------------------------------------------------------------
struct proto_op_row {
    const char *name;
    uint16_t number;
    int16_t objects;                   // -1: any number up to PROTO_MAX_OBJECTS
    uint8_t kinds[3];                  // bit mask of 1 << enum proto_kind
    uint32_t request_size, reply_size; // fixed structures
    bool request_tail, reply_tail, new_object;
    bool waits; // may take long: not in a driver's dispatch
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

// What binds a program to all that it was resolved with (proto_digest.c): SHA-256 of its canonical form, its
// evidence, the rows of the helpers that it calls, kind and place in the runtime's context of the fields that
// the evidence names. Native modules carry it; who loads one makes it again.
#define PROTO_DIGEST_SIZE 32
// SHA-256 by whoever calls: cryptography is the platform's. False: it cannot be made.
struct proto_hasher {
    bool (*sha256)(void *user, const void *bytes, size_t size, uint8_t digest[PROTO_DIGEST_SIZE]);
    void *user;
};
// `canonical` is the wire form of `p`, which has passed program_check. EBPF_NO_MEMORY; EBPF_FAILED when the
// hasher fails.
ebpf_result_t proto_program_digest(const struct spec_view *spec, const struct program *p,
                                   const void *canonical, size_t canonical_size,
                                   const struct evidence *evidence, const struct proto_hasher *hasher,
                                   struct arena *arena, uint8_t digest[PROTO_DIGEST_SIZE]) MUST_CHECK;

// --- between ebpfd and ebpfsvc (design: "the same request + evidence") ---------------------------
// Request: proto_header with op PROTO_PROG_LOAD, proto_prog_load_request, program. No objects.
// Reply: proto_header with the result of struct service_verdict, proto_verify_reply, evidence (only with
// success), text, json.
struct proto_verify_reply {
    uint32_t evidence_size, text_size, json_size, states;
    uint64_t time_us;
    uint32_t peak_kb, reserved;
};

// --- the device of ebpfcore (Windows) ------------------------------------------------------------
// One open handle of the device is one channel (core.h): nothing yet, or one object. Requests travel by
// DeviceIoControl with one of these control codes, all METHOD_BUFFERED with function codes from 0x900 on, on
// a handle with read and write access: one for reading only, which the system gives to tokens of low
// integrity and to write-restricted ones, would do as well otherwise. Object references never travel as
// handle values: the object of a request is that of the channel it is sent on, or those that were lent to the
// channel before.
enum proto_control {
#define CONTROL(id, function, ...) PROTO_CONTROL_##id = (function),
#include "proto/controls.def"
#undef CONTROL
};
// The whole I/O control code: FILE_DEVICE_NULL, FILE_READ_ACCESS | FILE_WRITE_ACCESS, the function,
// METHOD_BUFFERED.
#define PROTO_CONTROL_CODE(function) (0x0015c000u | (uint32_t)(function) << 2)

// What whoever opened the channel may send on it.
enum channel_right { CHANNEL_REQUEST = 1, CHANNEL_VERDICT = 2 };

struct proto_control_row {
    const char *name;
    uint16_t function;
    uint8_t right;                  // enum channel_right bit that it needs
    uint32_t input_min, output_min; // smallest buffers
    bool debug;                     // Debug builds only
};
const struct proto_control_row *proto_control_row(uint32_t function); // NULL: unknown

// Names a channel for others; who knows it may lend objects to the channel or deliver its verdict.
struct proto_token {
    uint8_t bytes[16];
};
// Input of VERDICT: what the service found out about a request that the channel `token` waits for. Followed
// by evidence, text and json (both with their NUL), and the PROG_LOAD request itself.
struct proto_verdict {
    struct proto_token token;
    uint32_t result; // EBPF_SUCCESS, or why not
    uint32_t evidence_size, text_size, json_size, request_size;
    uint32_t states, peak_kb, reserved;
    uint64_t time_us;
};
// What a Debug driver counts, for tests that nothing is left behind.
struct proto_witness {
    uint64_t channels, live_allocations;   // open handles; allocations not freed yet
    uint32_t objects[5];                   // by enum proto_kind
    uint32_t pending_requests, violations; // IRPs not completed yet; broken IRQL contracts
    uint32_t own_allocations;              // of the driver itself, since its start
};
#define PROTO_MAX_VERDICT (2 * PROTO_MAX_SIZE) // whole input of VERDICT
// A verdict's parts, pointers into the input. EBPF_INVALID_ARGUMENT when they do not fill it exactly, or a
// text has no NUL at its end.
struct proto_verdict_parts {
    struct proto_verdict head;
    const uint8_t *evidence;
    const char *text, *json;
    const void *request;
};
ebpf_result_t proto_verdict_check(const void *input, size_t size, struct proto_verdict_parts *out) MUST_CHECK;
// The input with these parts, whose sizes `head` says. Returns the size needed, writes when it fits.
size_t proto_verdict_encode(const struct proto_verdict_parts *v, void *bytes, size_t capacity);

// A reply that did not fit: a bare header with EBPF_INSUFFICIENT_BUFFER whose `size` is what the reply needs.
// Nothing was done. Anything else that goes wrong with a channel is a failed DeviceIoControl.

// --- names (Windows) -----------------------------------------------------------------------------
// Narrow; L"" NAME makes them wide.
#define NAME_DRIVER      "ebpfcore" // driver service, and the device's name
#define NAME_DEVICE      "\\Device\\EbpfCore"
#define NAME_DEVICE_LINK "\\DosDevices\\EbpfCore"
// Not the short name: another process of the same logon session may redirect that.
#define NAME_DEVICE_USER  "\\\\?\\GLOBALROOT\\Device\\EbpfCore"
#define NAME_SERVICE      "ebpfsvc"
#define NAME_RPC_SEQUENCE "ncalrpc"
#define NAME_RPC_ENDPOINT "ebpfsvc"
#define NAME_LOAD_GROUP   "eBPF" // lpLoadOrderGroup of all our drivers
// REG_SZ in the Parameters of a native module's service: why ebpfcore has refused the module.
#define NAME_MODULE_ERROR "LoadError"
// REG_SZ there: the driver's file, as the kernel names it, which ebpfcore deletes after the driver.
#define NAME_MODULE_COPY "DeleteImage"
