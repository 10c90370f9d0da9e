// SPDX-License-Identifier: MIT
// cli_int: what the files of the command line share: the run's state, command tables, keyword tables,
// references.
//
// Commands return 0 or a negative errno and have said why by then (cli_error). With -j a command writes
// exactly one JSON value: its result, null, or {"error":...}.
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

#include "cli/cli.h"
#include "cli/json.h"

#define CLI_COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define CLI_PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))

// --- the run -------------------------------------------------------------------------------------

struct cli {
    const char *name; // "bpftool"
    bool json_output, pretty, debug, show_pins, help, version;
    bool no_mount; // accepted: nothing is ever mounted
    bool batch;
    int status_unwritten; // exit status when the output cannot be written; 0: the number of the error
    struct json json;
};

// "Error: ..." on stderr, or {"error":...}. Returns `status`, a negative errno or -1.
int cli_error(struct cli *c, int status, const char *format, ...) CLI_PRINTF(3, 4);
// Writes `text` between the other two to stdout. It comes from an object or a client and may hold anything:
// characters that a terminal would obey become '?', tabs blanks.
void cli_put(const char *before, const char *text, const char *after);
void cli_put_part(const char *before, const char *text, size_t size, const char *after);
// Result of a command that has nothing to show: null in JSON.
void cli_done(struct cli *c);
// error.c: what the C library says of an errno value that the library has set, in the words of Linux: outputs
// and statuses of this tool are the same on every platform.
const char *error_text(int err);
// The same for its number: of a positive errno of this platform, that of Linux.
int error_number(int err);
bool cli_is_terminal(FILE *file);
// "02 00 ..." with 16 bytes a line and a gap after 8.
void cli_print_hex(const void *bytes, size_t size, const char *separator);

// --- arguments left (args.c) ---------------------------------------------------------------------

struct args {
    int count;
    char **next; // next[0] .. next[count - 1]
};
const char *args_take(struct args *a); // NULL when none is left
// Whether the next argument is a prefix of `word`; takes it.
bool args_take_word(struct args *a, const char *word);
bool args_is_prefix(const char *prefix, const char *word);
// Says "'command' needs at least n arguments, m found".
int args_require(struct cli *c, const struct args *a, const char *command, int count);
// Says "what is 'x'?" when something is left.
int args_require_end(struct cli *c, const struct args *a);
bool args_parse_u32(const char *text, uint32_t *out);

enum keyword_kind {
    KEYWORD_TEXT, // const char *
    KEYWORD_U32,  // uint32_t
    KEYWORD_FLAG, // bool; takes no operand
    KEYWORD_CALL, // parse() reads the operands
};

// A row says everything about one keyword of a command: how it is parsed, shown in the help, and named in
// errors.
struct keyword {
    const char *name;
    const char *operand; // in the help
    enum keyword_kind kind;
    bool required, repeats;
    const char *what; // in messages: "key size"
    size_t off;       // of the member in the command's structure
    int (*parse)(struct cli *c, struct args *a, void *out);
};
struct keywords {
    const struct keyword *rows;
    size_t count; // at most 32
};
#define KEYWORDS(rows) {(rows), CLI_COUNT(rows)}
// Reads the rest of the line into `out`.
int keywords_parse(struct cli *c, struct args *a, const struct keywords *keywords, void *out);
void keywords_print(FILE *out, const struct keywords *keywords);

// --- commands ------------------------------------------------------------------------------------

struct command {
    const char *name;
    int (*run)(struct cli *c, struct args *a);
    const char *usage;               // positional arguments; NULL: another name of the row before
    const struct keywords *keywords; // or NULL
};
struct command_group {
    const char *name;
    const struct command *commands;
    size_t count;
    const char *const *notes; // lines after the commands in the help; NULL-terminated
    // What TYPE can be; NULL when no command takes one.
    void (*enumerate_types)(bool (*each)(void *user, const char *name), void *user);
};
extern const struct command_group cmd_prog_group, cmd_map_group, cmd_link_group, cmd_net_group, cmd_gen_group;

// Runs the command that the next argument selects; none selects the first.
int group_run(struct cli *c, const struct command_group *group, struct args *a);
void group_help(struct cli *c, const struct command_group *group);
// The nearest name of `count` ones, or NULL when none is near. `names` by stride.
const char *cli_suggest(const char *word, const char *const *names, size_t count);
void cli_print_options(FILE *out);

// --- references to objects (ref.c) ---------------------------------------------------------------

struct fds {
    int *fd;
    size_t count;
};
const char *ref_kind_name(ebpf_object_kind_t kind);
// id N | pinned PATH | name NAME | tag TAG: all objects that match, at least one. fds_close when done.
int ref_parse_all(struct cli *c, struct args *a, ebpf_object_kind_t kind, struct fds *out);
// The same, at the end of the command.
int ref_parse_only(struct cli *c, struct args *a, ebpf_object_kind_t kind, struct fds *out);
// Exactly one.
int ref_parse(struct cli *c, struct args *a, ebpf_object_kind_t kind, int *fd);
void fds_close(struct fds *fds);
// Calls `each` for all objects of a kind, in the order of ids; one that vanishes meanwhile is left out.
int ref_for_each(struct cli *c, ebpf_object_kind_t kind, int (*each)(struct cli *c, int fd, void *user),
                 void *user);
int ref_info(struct cli *c, int fd, struct ebpf_object_info *info);
// Calls `each` for all objects of `fds`, up to the first that fails; several make one JSON array. Closes
// `fds`.
int fds_for_each(struct cli *c, struct fds *fds, int (*each)(struct cli *c, int fd, void *user), void *user);
// How an object of some kind is shown.
struct printer {
    void (*plain)(struct cli *c, const struct ebpf_object_info *info);
    void (*json)(struct cli *c, const struct ebpf_object_info *info);
};
// `show` and `list` of every kind: [REF], then one output an object.
int ref_show(struct cli *c, struct args *a, ebpf_object_kind_t kind, const struct printer *printer);
// `pin REF PATH`.
int ref_pin(struct cli *c, struct args *a, ebpf_object_kind_t kind);
// `unpin PATH`: pins are no files that could be deleted.
int ref_unpin(struct cli *c, struct args *a, ebpf_object_kind_t kind);
// Paths that an object is pinned at: "\n\tpinned PATH" each, or a member "pinned".
void ref_show_pins(struct cli *c, const struct ebpf_object_info *info);
// Index of the interface `name` for XDP.
int ref_ifindex(struct cli *c, const char *name, uint32_t *ifindex);
// Name of an interface, "" when unknown.
void ref_ifname(uint32_t ifindex, char name[EBPF_NAME_SIZE]);

// --- commands of one file each -------------------------------------------------------------------

int cmd_prog_load(struct cli *c, struct args *a);
int cmd_prog_load_all(struct cli *c, struct args *a);
int cmd_prog_run(struct cli *c, struct args *a);
int cmd_prog_verify(struct cli *c, struct args *a);
// Shows what the verifier said; the status of `prog verify`.
int verify_show_report(struct cli *c, const struct ebpf_verify_report *report);
int cmd_prog_dump(struct cli *c, struct args *a);
// Machine code, one instruction a line (hexadecimal where nothing can disassemble it).
void cmd_prog_print_code(struct cli *c, const uint8_t *code, size_t size, bool opcodes);
int cmd_map_dump(struct cli *c, struct args *a);
int cmd_map_lookup(struct cli *c, struct args *a);
int cmd_map_update(struct cli *c, struct args *a);
int cmd_map_delete(struct cli *c, struct args *a);
int cmd_map_getnext(struct cli *c, struct args *a);
extern const struct keywords cmd_prog_load_keywords, cmd_prog_run_keywords, cmd_prog_verify_keywords;
extern const struct keywords cmd_gen_native_keywords;
extern const struct keywords cmd_map_key_keywords, cmd_map_update_keywords;
