// SPDX-License-Identifier: MIT
// lib_int: what the files of the library share and nobody else sees: memory, errors at the edge, requests,
// names, and the structures behind the public handles.
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "elf/elf.h"
#include "proto/proto.h"
#include "spec/spec.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

// The dialect whose numbers the public headers of this build have.
#ifdef BPF_WINDOWS_NUMBERS
#define LIB_DIALECT  DIALECT_WINDOWS
#define LIB_PIN_ROOT SPEC_PIN_ROOT_WINDOWS
#else
#define LIB_DIALECT  DIALECT_LINUX
#define LIB_PIN_ROOT SPEC_PIN_ROOT_LINUX
#endif

// --- lib_alloc.c: the only place that takes memory -----------------------------------------------

void *lib_alloc(size_t size); // zeroed, or NULL
void lib_free(void *ptr);     // NULL allowed
char *lib_strdup(const char *s);
const struct mem_source *lib_mem_source(void);
// Test hooks: fails the n-th allocation from now (1 = next) once; allocations not freed yet.
void lib_alloc_fail(unsigned long nth);
unsigned long lib_alloc_live(void);

// --- lib_error.c: errno, option structures, messages ---------------------------------------------

// Sets errno and returns -err; `err` is positive.
int lib_fail(int err);
// 0 for EBPF_SUCCESS, otherwise sets errno to the platform's number and returns its negative.
int lib_result(ebpf_result_t result);
void lib_set_errno(ebpf_result_t result);
// False (with a message) when `opts` is malformed: shorter than its size member, or non-zero beyond `known`
// bytes.
bool lib_opts_valid(const void *opts, size_t known, const char *name);
#define LIB_OPTS_VALID(opts, type) lib_opts_valid(opts, sizeof(struct type), #type)
// Whether the caller's structure has `member`; its value, or `fallback` when it has not.
#define LIB_OPTS_HAS(opts, member)                                                                           \
    ((opts) != NULL && (opts)->sz >= offsetof(__typeof__(*(opts)), member) + sizeof((opts)->member))
#define LIB_OPTS_GET(opts, member, fallback) (LIB_OPTS_HAS(opts, member) ? (opts)->member : (fallback))
#define LIB_OPTS_SET(opts, member, value)                                                                    \
    do {                                                                                                     \
        if (LIB_OPTS_HAS(opts, member)) {                                                                    \
            (opts)->member = (value);                                                                        \
        }                                                                                                    \
    } while (0)
void lib_print(enum libbpf_print_level level, const char *format, ...) PRINTF_LIKE(2, 3);
#define lib_warn(...) lib_print(LIBBPF_WARN, "libbpf: " __VA_ARGS__)

// --- lib_file.c ----------------------------------------------------------------------------------

// Whole file into lib memory. On failure errno says why.
ebpf_result_t lib_read_file(const char *path, uint8_t **bytes, size_t *size) MUST_CHECK;
// Last part of a path with either separator.
const char *lib_base_name(const char *path);

// --- lib_request.c: messages ---------------------------------------------------------------------

struct lib_part {
    const void *bytes;
    size_t size;
};
struct lib_request {
    enum proto_op op;
    const void *fixed; // row's request_size bytes
    struct lib_part tail[2];
    const int *fds;
    unsigned fd_count;
};
struct lib_reply {
    void *bytes;
    struct proto_header header;
    const void *fixed; // NULL when a failure came without a body
    const uint8_t *tail;
    size_t tail_size;
    int fd; // new object, or -1
};
// Sends and receives. Fails only when no valid reply came; header.result is the peer's verdict. Free the
// reply.
ebpf_result_t lib_exchange(const struct lib_request *request, struct lib_reply *reply) MUST_CHECK;
// The same, but a refusal of the peer is a failure too, and leaves nothing to free.
ebpf_result_t lib_call(const struct lib_request *request, struct lib_reply *reply) MUST_CHECK;
void lib_reply_free(struct lib_reply *reply);
// Requests that return nothing but a result, or a fixed structure of `out_size` bytes (0: none).
ebpf_result_t lib_call_simple(enum proto_op op, const void *fixed, const int *fds, unsigned fd_count,
                              void *out, size_t out_size) MUST_CHECK;
// Requests that return a descriptor.
ebpf_result_t lib_call_new(enum proto_op op, const void *fixed, const int *fds, unsigned fd_count,
                           int *fd) MUST_CHECK;
ebpf_result_t lib_object_info(int fd, struct proto_object_info_reply *info) MUST_CHECK;
ebpf_result_t lib_dup_fd(int fd, int *out) MUST_CHECK;
void lib_close_fd(int fd); // negative: nothing
// Maps the memory of an array with BPF_F_MMAPABLE; *size is whole pages. plat_shared_unmap ends it.
ebpf_result_t lib_map_memory(int fd, bool writable, void **address, size_t *size) MUST_CHECK;

// --- lib_dump.c ----------------------------------------------------------------------------------

uint32_t lib_code_size(int fd); // of a program's machine code; 0: there is none

// --- lib_path.c ----------------------------------------------------------------------------------

// "dir/name" with dots and slashes of `name` as underscores, as libbpf pins objects' parts.
// EBPF_INVALID_ARGUMENT, here and below: no path, or a path that is too long.
ebpf_result_t lib_pin_path_join(const char *dir, const char *name, char out[PROTO_PATH_SIZE]) MUST_CHECK;
ebpf_result_t lib_pin(int fd, const char *path) MUST_CHECK;
ebpf_result_t lib_unpin(const char *path) MUST_CHECK;
ebpf_result_t lib_pin_get(const char *path, int *fd) MUST_CHECK;

// --- lib_strings.c: internal ids <-> the platform's numbers --------------------------------------

// Types that the platform has no number for get one of their own, so that every type survives a round trip.
uint32_t lib_map_type_number(uint32_t type);
uint32_t lib_map_type_from_number(uint32_t number);
uint32_t lib_prog_type_number(uint32_t type);
uint32_t lib_prog_type_from_number(uint32_t number);
uint32_t lib_attach_type_number(uint32_t type);
uint32_t lib_attach_type_from_number(uint32_t number);
const char *lib_map_type_name(uint32_t type); // "unknown" when out of range
const char *lib_prog_type_name(uint32_t type);
const char *lib_attach_type_name(uint32_t type);
// Program type of a type's name ("xdp") or of a section's ("xdp/main"), and its attach type.
ebpf_result_t lib_type_by_name(const char *name, uint32_t *prog_type, uint32_t *attach_type) MUST_CHECK;

// --- lib_elem.c ----------------------------------------------------------------------------------

ebpf_result_t lib_map_create(const struct map_def *def, int *fd) MUST_CHECK;
// EBPF_INVALID_ARGUMENT: not a map.
ebpf_result_t lib_map_definition(int fd, struct map_def *def) MUST_CHECK;
ebpf_result_t lib_map_update(int fd, const void *key, size_t key_size, const void *value, size_t value_size,
                             uint64_t flags) MUST_CHECK;
ebpf_result_t lib_map_lookup(int fd, const void *key, size_t key_size, void *value, size_t value_size,
                             bool delete_too) MUST_CHECK;
ebpf_result_t lib_map_delete(int fd, const void *key, size_t key_size) MUST_CHECK;
ebpf_result_t lib_map_next_key(int fd, const void *key, size_t key_size, void *next) MUST_CHECK;
ebpf_result_t lib_map_freeze(int fd) MUST_CHECK;

// --- lib_link.c ----------------------------------------------------------------------------------

ebpf_result_t lib_link_create(int prog_fd, uint32_t attach_type, uint32_t ifindex, uint32_t flags,
                              int *fd) MUST_CHECK;
// `old_prog_fd` NULL: in place of whatever program the link has; else only in place of this one.
ebpf_result_t lib_link_update(int link_fd, int prog_fd, const int *old_prog_fd) MUST_CHECK;
ebpf_result_t lib_link_detach(int link_fd) MUST_CHECK;

// --- lib_load.c: a canonical program into the execution context ----------------------------------

struct lib_log {
    char *buf; // NULL: through the print callback when the program is refused
    size_t size;
    uint32_t level;
    uint32_t true_size; // out: bytes of the whole log with its NUL
};
ebpf_result_t lib_prog_load(const struct program *program, const int *map_fds, struct lib_log *log,
                            int *fd) MUST_CHECK;
// The same for a program that has its wire form already.
struct lib_wire_program {
    const char *name;
    struct lib_part bytes;
    const int *fds; // of its maps, and of the module whose code it is
    unsigned fd_count;
    uint32_t native; // 1 + row of the module; 0: none
};
ebpf_result_t lib_prog_load_wire(const struct lib_wire_program *p, struct lib_log *log, int *fd) MUST_CHECK;
// What the peer has to say: `size` bytes with their NUL at the start of the tail; "" when they are not there.
const char *lib_reply_text(const struct lib_reply *reply, uint32_t size);

// --- the structures behind the handles -----------------------------------------------------------

struct bpf_map {
    struct bpf_object *object;
    struct elf_map *elf; // its def is what the setters change
    int fd;              // -1: none
    bool reused;         // not created by us: its contents stay as they are
    bool autocreate, pinned;
    bool pinned_by_load; // undone when the load fails
    char *pin_path;      // or NULL
    uint8_t *initial;    // global data, else NULL
    void *memory;        // the live value of global data once it is loaded, or NULL
    size_t memory_size;
    char *name;
};

struct bpf_program {
    struct bpf_object *object;
    const struct elf_program *elf;
    uint32_t index;
    uint32_t type, attach_type; // internal ids
    int fd;                     // -1: not loaded
    bool autoload;
    char *log_buf;
    size_t log_size;
    uint32_t log_level;
};

// Of an object that is embedded in a native module.
struct lib_module {
    enum elf_image_format format; // ELF_IMAGE_NONE: it is not
    enum elf_image_machine machine;
    bool is_driver;
    const char *path; // absolute; NULL: the bytes came from memory
    int fd;           // of the module, while programs are loaded
};

struct bpf_object {
    struct arena arena;
    struct lib_module module;
    struct elf_object elf;
    char name[SPEC_NAME_SIZE];
    const char *pin_root;
    bool loaded; // a load was tried
    char *log_buf;
    size_t log_size;
    uint32_t log_level;
    struct bpf_map *maps;         // elf.map_count
    struct bpf_program *programs; // elf.program_count
};

struct bpf_link {
    int fd;
    char *pin_path;
    bool disconnected;
};

// lib_map.c
// Definitions that are not the object's to choose: global data can be mapped, as libbpf makes it.
void lib_maps_complete(struct elf_object *elf);
ebpf_result_t lib_object_create_maps(struct bpf_object *obj) MUST_CHECK;
void lib_object_drop_maps(struct bpf_object *obj); // also undoes pins that the load made
void lib_map_close(struct bpf_map *map);           // descriptor and memory

// lib_module.c
// The bytes of the object, where they are a native module that holds one.
void lib_module_unwrap(const uint8_t **bytes, size_t *size);
// What `bytes` are; `path` NULL: they have no file.
ebpf_result_t lib_module_note(struct bpf_object *obj, const void *bytes, size_t size,
                              const char *path) MUST_CHECK;
// Brings the object's module into the execution context: obj->module.fd. Says why when it cannot.
ebpf_result_t lib_module_load(struct bpf_object *obj) MUST_CHECK;
// The module stays as long as one of its programs.
void lib_module_release(struct bpf_object *obj);
ebpf_result_t lib_module_load_program(struct bpf_program *prog, struct lib_log *log) MUST_CHECK;
// MODULE_OPEN.
ebpf_result_t lib_module_open_id(const uint8_t id[16], int *fd) MUST_CHECK;

// lib_module_linux.c, lib_module_windows.c
#define LIB_FILE_PATH_SIZE 4096
// An absolute path that leads to the same file from everywhere.
ebpf_result_t lib_module_path(const char *path, char out[LIB_FILE_PATH_SIZE]) MUST_CHECK;
// For execution contexts into which modules come by the system. Says why when it cannot.
ebpf_result_t lib_module_install(const struct bpf_object *obj, int *fd) MUST_CHECK;
