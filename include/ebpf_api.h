// SPDX-License-Identifier: MIT
// ebpf_api: what this library offers beyond libbpf's names: descriptors without a C runtime, descriptions of
// objects that are the same on every platform, enumeration of pins and hooks, and verification without a
// daemon.
//
// Functions return an ebpf_result_t and write out-parameters on success only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <bpf/libbpf_common.h>
#include <ebpf_result.h>

#ifdef __cplusplus
extern "C" {
#endif

// --- descriptors ---------------------------------------------------------------------------------

// close() and dup() do as well, where the caller has the C runtime of the library: on Windows the UCRT. With
// an in-process execution context an object that close() has let go is released by the next request.
LIBBPF_API ebpf_result_t ebpf_close_fd(int fd);
LIBBPF_API ebpf_result_t ebpf_duplicate_fd(int fd, int *duplicate);

// Text of a result for people, without full stop. Never NULL.
LIBBPF_API const char *ebpf_result_text(ebpf_result_t result);
// The platform's errno for a result: positive.
LIBBPF_API int ebpf_result_errno(ebpf_result_t result);

// --- objects -------------------------------------------------------------------------------------

typedef enum ebpf_object_kind {
    EBPF_OBJECT_KIND_ANY = 0,
    EBPF_OBJECT_KIND_MAP = 1,
    EBPF_OBJECT_KIND_PROGRAM = 2,
    EBPF_OBJECT_KIND_LINK = 3,
} ebpf_object_kind_t;

#define EBPF_NAME_SIZE 64
#define EBPF_MAX_MAPS  64
#define EBPF_PATH_SIZE 256

// Everything that is known about an object; members of other kinds are zero. Names are static strings.
struct ebpf_object_info {
    ebpf_object_kind_t kind;
    uint32_t id;
    char name[EBPF_NAME_SIZE];
    const char *type;        // "xdp", "percpu_array"; never NULL
    const char *attach_type; // "" when there is none
    uint32_t pin_count;
    uint64_t memory; // bytes
    // maps
    uint32_t key_size, value_size, max_entries, map_flags;
    uint32_t user_value_size; // of the element calls: all CPUs of a per-CPU map
    bool frozen, per_cpu;
    // programs
    uint8_t tag[8];
    uint32_t insn_count;   // slots
    uint32_t jited_size;   // bytes of machine code; 0: it is interpreted
    uint64_t load_time_ns; // since boot
    uint64_t loaded_at;    // seconds since 1970
    uint64_t run_count, run_time_ns;
    bool windows_dialect;
    uint32_t map_count, map_ids[EBPF_MAX_MAPS];
    char module[EBPF_NAME_SIZE]; // whose code it is; "": of no native module
    uint32_t module_id;          // different for each instance of a module; 0: none
    bool module_revoked;         // the module's image has gone: the program runs no more
    // links
    uint32_t prog_id, ifindex;
    bool attached;
};
LIBBPF_API ebpf_result_t ebpf_object_get_info(int fd, struct ebpf_object_info *info);
// EBPF_NO_MORE_KEYS at the end.
LIBBPF_API ebpf_result_t ebpf_object_get_next_id(ebpf_object_kind_t kind, uint32_t start, uint32_t *next);
LIBBPF_API ebpf_result_t ebpf_object_open_id(ebpf_object_kind_t kind, uint32_t id, int *fd);

// Next pin in byte order after `start_path` ("" = first) of kind *kind, or of any kind; *kind becomes that of
// the object. EBPF_NO_MORE_KEYS at the end, EBPF_INSUFFICIENT_BUFFER when the path does not fit.
LIBBPF_API ebpf_result_t ebpf_get_next_pinned_object_path(const char *start_path, char *next_path,
                                                          size_t next_path_size, ebpf_object_kind_t *kind);
// The same with the object's id; `id` may be NULL.
LIBBPF_API ebpf_result_t ebpf_get_next_pin(const char *start_path, char *next_path, size_t next_path_size,
                                           ebpf_object_kind_t *kind, uint32_t *id);
LIBBPF_API ebpf_result_t ebpf_object_unpin(const char *path);
// Removes the pins that bpf_object__load has made for maps pinned by name; pins that it found stay.
struct bpf_object;
LIBBPF_API void ebpf_object_undo_pins(struct bpf_object *obj);

// Map type by name: the platform's number. EBPF_KEY_NOT_FOUND.
LIBBPF_API ebpf_result_t ebpf_get_map_type_by_name(const char *name, enum bpf_map_type *type);
// Calls back with the name of every map type that can be created, or of every program type (some can only be
// verified), in the order of the tables; stops when it returns false.
LIBBPF_API void ebpf_enumerate_map_types(bool (*each)(void *user, const char *name), void *user);
LIBBPF_API void ebpf_enumerate_program_types(bool (*each)(void *user, const char *name), void *user);

// --- memory of maps ------------------------------------------------------------------------------

// Maps the values of an array with BPF_F_MMAPABLE into this process: value i lies at
// i * round_up(value_size, 8). Programs read and write them at any moment. *size is whole pages. The memory
// stays until it is unmapped, though the map may be gone by then. What is not `writable` cannot be made so.
// A map that was ever mapped writable cannot be frozen any more.
// EBPF_INVALID_ARGUMENT: without BPF_F_MMAPABLE; EBPF_OPERATION_NOT_SUPPORTED: no array; EBPF_ACCESS_DENIED:
// the map is frozen, or its flags forbid it (BPF_F_WRONLY; with `writable` BPF_F_RDONLY and
// BPF_F_RDONLY_PROG).
LIBBPF_API ebpf_result_t ebpf_map_memory(int map_fd, bool writable, void **address, size_t *size);
LIBBPF_API void ebpf_map_memory_unmap(void *address, size_t size); // NULL allowed

// --- program and attach types --------------------------------------------------------------------

// In the order of a Windows GUID in memory.
struct ebpf_guid {
    uint32_t data1;
    uint16_t data2, data3;
    uint8_t data4[8];
};
// Types by the name of a type ("xdp") or of a section ("xdp/main"); GUIDs are the Windows ecosystem's.
// EBPF_KEY_NOT_FOUND. Pointers may be NULL.
LIBBPF_API ebpf_result_t ebpf_get_program_type_by_name(const char *name, struct ebpf_guid *program_type,
                                                       struct ebpf_guid *expected_attach_type);
// NULL when unknown.
LIBBPF_API const char *ebpf_get_program_type_name(const struct ebpf_guid *program_type);
LIBBPF_API const char *ebpf_get_attach_type_name(const struct ebpf_guid *attach_type);
LIBBPF_API ebpf_result_t ebpf_get_ebpf_program_type(enum bpf_prog_type type, struct ebpf_guid *program_type);
LIBBPF_API enum bpf_prog_type ebpf_get_bpf_program_type(const struct ebpf_guid *program_type);
LIBBPF_API ebpf_result_t ebpf_get_ebpf_attach_type(enum bpf_attach_type type, struct ebpf_guid *attach_type);
LIBBPF_API enum bpf_attach_type ebpf_get_bpf_attach_type(const struct ebpf_guid *attach_type);

// --- hooks ---------------------------------------------------------------------------------------

#define EBPF_MAX_COUNTERS 8
// An attachment point of a hook and what happened there.
struct ebpf_hook_point {
    uint32_t ifindex;
    char name[EBPF_NAME_SIZE];
    uint32_t link_id, prog_id; // 0: nothing attached
    uint32_t counter_count;
    struct {
        char name[16]; // verdict
        uint64_t packets;
    } counters[EBPF_MAX_COUNTERS];
    uint64_t packets, run_time_ns;
};
// Next point of the hook above `after_ifindex`; EBPF_NO_MORE_KEYS at the end.
LIBBPF_API ebpf_result_t ebpf_get_next_hook_point(enum bpf_attach_type type, uint32_t after_ifindex,
                                                  struct ebpf_hook_point *point);
// Index of an interface by the name that the hook, or else this machine, has for it. EBPF_OBJECT_NOT_FOUND.
LIBBPF_API ebpf_result_t ebpf_get_ifindex(enum bpf_attach_type type, const char *name, uint32_t *ifindex);

// --- verification without a daemon ---------------------------------------------------------------

enum ebpf_dialect { EBPF_DIALECT_AUTO = 0, EBPF_DIALECT_LINUX = 1, EBPF_DIALECT_WINDOWS = 2 };

// What a verification can write besides its report.
enum ebpf_verify_output {
    EBPF_VERIFY_SARIF = 1 << 0, // a log in SARIF 2.1.0 with the findings of all programs
    EBPF_VERIFY_HTML = 1 << 1,  // one page without references to anything outside of it
    EBPF_VERIFY_TRACE = 1 << 2, // the states at each instruction, as text
};

struct ebpf_verify_opts {
    size_t sz;
    const char *object_name;   // NULL: the file's name
    const char *type;          // program type for all programs; NULL: from the section names
    const char *section;       // only programs of this section; NULL: all
    const char *program;       // only the program of this name; NULL: all
    enum ebpf_dialect dialect; // AUTO: from the object, else the platform's
    const char *btf;           // file with the BTF of the target kernel for CO-RE; NULL: the object's own
    unsigned outputs;          // enum ebpf_verify_output; pieces come to `write` in order, one output's among
                               // those of the others
    void (*write)(void *user, enum ebpf_verify_output output, const char *text, size_t size);
    // Before each program: the `index`th of `count`. NULL: not told.
    void (*progress)(void *user, uint32_t index, uint32_t count, const char *section, const char *name);
    void *user;
    bool unprivileged; // as for a loader without rights: addresses must not become visible
    size_t : 0;
};
#define ebpf_verify_opts__last_field unprivileged

// A branch on the way to a finding, or another place in the program.
struct ebpf_verify_place {
    int64_t pc; // -1: none
    const char *file, *source;
    uint32_t line; // 0: not known
    bool taken;    // branches: whether the jump was taken
};

enum ebpf_verify_edit_action {
    EBPF_VERIFY_INSERT_BEFORE,
    EBPF_VERIFY_INSERT_AFTER,
    EBPF_VERIFY_REPLACE,
    EBPF_VERIFY_DELETE,
};
// A change of the source that a hint proposes: a whole line, without indentation.
struct ebpf_verify_edit {
    enum ebpf_verify_edit_action action;
    const char *file;
    uint32_t line;
    const char *text; // "" to delete
};

struct ebpf_verify_finding {
    const char *rule; // stable name in kebab case
    int64_t pc;       // -1: the program as a whole
    const char *file; // source position; "" and 0 when the object has none
    uint32_t line;
    const char *source; // text of the line
    const char *message, *needed, *known, *hint;
    const char *text;                     // all of it for people, 25 lines at most, each ended by '\n'
    const char *json;                     // all of it for programs: one JSON object, without white space
    struct ebpf_verify_place related;     // where the cause lies: an acquisition, a loop's head
    struct ebpf_verify_place lost;        // where two ways meet and a fact was lost
    const char *lost_text;                // which one; "" when nothing was lost
    const struct ebpf_verify_place *path; // branches, oldest first
    uint32_t path_count;
    const struct ebpf_verify_edit *edits;
    uint32_t edit_count;
};

struct ebpf_verify_program {
    const char *section, *name, *type; // type "" when the section selects none
    uint32_t insn_count;
    bool accepted;
    uint64_t time_us;
    uint32_t states, peak_kb;
    uint32_t finding_count;
    const struct ebpf_verify_finding *findings;
};

struct ebpf_verify_report {
    const char *object;
    bool readable; // false: error_section ("" when none is to blame) and error_message say why, and there are
                   // no programs
    const char *error_section, *error_message;
    bool accepted; // readable, and every program was accepted
    uint32_t program_count;
    const struct ebpf_verify_program *programs;
};

// EBPF_SUCCESS: judged, the report says how; free it. EBPF_NO_MEMORY, EBPF_INVALID_ARGUMENT otherwise. A file
// that cannot be opened is a report that is not readable.
LIBBPF_API ebpf_result_t ebpf_verify_file(const char *path, const struct ebpf_verify_opts *opts,
                                          struct ebpf_verify_report **report);
LIBBPF_API ebpf_result_t ebpf_verify_memory(const void *bytes, size_t size,
                                            const struct ebpf_verify_opts *opts,
                                            struct ebpf_verify_report **report);
LIBBPF_API void ebpf_verify_free(struct ebpf_verify_report *report); // NULL allowed

// --- native modules ------------------------------------------------------------------------------
// bpf_object__open and all others that take object files take native modules (.so, .dll, .sys), which hold
// the object that they were made of. A module's programs run as the machine code in its file:
// bpf_object__load refuses whatever was changed that the code relies on (types, definitions of maps, frozen
// data). A module from memory opens, but does not load.

struct ebpf_native_opts {
    size_t sz;
    const char *object_name;   // NULL: the file's name
    const char *type;          // program type for all programs; NULL: from the section names
    enum ebpf_dialect dialect; // AUTO: from the object, else the platform's
    const char *btf;           // as in ebpf_verify_opts
    bool lines;                // #line directives
    bool no_digest;            // leave the digest of the object file out
    void (*write)(void *user, const char *text, size_t size); // the text, piece by piece
    // SHA-256 of bytes, which modules hold; false: it cannot be made. The library has no cryptography.
    bool (*sha256)(void *user, const void *bytes, size_t size, uint8_t digest[32]);
    void *user;
    bool driver; // with what a Windows driver needs (ebpf_native_driver.h)
    size_t : 0;
};
#define ebpf_native_opts__last_field driver

// Verifies all programs of an object file and writes the C file of a native module with them (ebpf_native.h).
// EBPF_SUCCESS: judged. The module was written when (*report)->accepted and *error_message is NULL; the text
// is good for nothing otherwise. *error_message is a sentence on what cannot be translated, or run; free it
// with ebpf_free_string, and the report with ebpf_verify_free. EBPF_FILE_NOT_FOUND, EBPF_NO_MEMORY,
// EBPF_INVALID_ARGUMENT, EBPF_FAILED: sha256 has failed.
LIBBPF_API ebpf_result_t ebpf_generate_native(const char *path, const struct ebpf_native_opts *opts,
                                              struct ebpf_verify_report **report, const char **error_message);
// Texts of ebpf_native.h and ebpf_native_driver.h, which the C file includes.
LIBBPF_API const char *ebpf_native_header(void);
LIBBPF_API const char *ebpf_native_driver_header(void);

// --- processes -----------------------------------------------------------------------------------

// A process that holds objects, and how many descriptors of each kind it has open.
struct ebpf_holder {
    uint32_t pid;
    uint32_t maps, programs, links;
    uint32_t others; // without an object
};
// Next process above `after_pid` (0 = first). EBPF_NO_MORE_KEYS at the end, EBPF_OPERATION_NOT_SUPPORTED
// where the execution context does not know.
LIBBPF_API ebpf_result_t ebpf_get_next_holder(uint32_t after_pid, struct ebpf_holder *holder);

// --- loaded programs as text ---------------------------------------------------------------------

// An instruction of a loaded program. Texts are valid during the call only.
struct ebpf_listed_insn {
    uint32_t pc;          // slot
    uint8_t bytes[16];    // as Linux encodes it; maps are ids
    uint32_t size;        // 8 or 16
    const char *text;     // "r0 = 2", "call bpf_map_lookup_elem#1", "r1 = map[id:3]"
    const char *function; // name of the function that starts here, or NULL
    const char *file;     // of the source line that starts here, or NULL
    const char *source;   // its text
    uint32_t line, column;
    int64_t target;     // slot that a jump goes to, or -1
    bool falls_through; // the next instruction may follow
};
// Calls `each` for all instructions of a program, as the verifier saw it.
LIBBPF_API ebpf_result_t ebpf_program_list(int fd,
                                           void (*each)(void *user, const struct ebpf_listed_insn *insn),
                                           void *user);
// Machine code of a program. *size: in: room, out: bytes that there are (EBPF_INSUFFICIENT_BUFFER when they
// do not fit). EBPF_OPERATION_NOT_SUPPORTED: it is interpreted.
LIBBPF_API ebpf_result_t ebpf_program_get_code(int fd, void *code, size_t *size);

// --- object files as text ------------------------------------------------------------------------

// Disassembly of one program of an object file: the first that is in `section_name` (NULL: any) and called
// `program_name` (NULL: any). On success *disassembly is the text, on failure *error_message a sentence (NULL
// without memory); the other one is NULL. Free either with ebpf_free_string. EBPF_FILE_NOT_FOUND,
// EBPF_ELF_PARSING_FAILED, EBPF_OBJECT_NOT_FOUND (no such section or program), EBPF_NO_MEMORY.
LIBBPF_API ebpf_result_t ebpf_api_elf_disassemble_program(const char *file, const char *section_name,
                                                          const char *program_name, const char **disassembly,
                                                          const char **error_message);
LIBBPF_API void ebpf_free_string(const char *string); // NULL allowed

#ifdef __cplusplus
}
#endif
