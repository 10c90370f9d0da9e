// SPDX-License-Identifier: MIT
// cli: the door of the command lines over the public headers: bpftool as one function, and the commands of
// netsh's context `ebpf`.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Runs one command line and returns the exit status as bpftool has it: 0, or a negative errno with Linux's
// number (the shell sees its low byte: 255 for wrong usage). `prog verify` returns 0, 1 or 2. Uses stdout and
// stderr.
int cli_main(int argc, char **argv);

// --- file.c: files that a user names ---

// fopen for reading. A directory is refused with EISDIR, a name that cannot exist with ENOENT, on every
// platform.
FILE *file_open_input(const char *path, const char *mode);
// Whether these are two names of one regular file that is there. NULL allowed.
bool file_is_same(const char *a, const char *b);

// What `gen native` wants of the machine. NULL: it cannot work.
struct cli_host {
    // Runs a program that PATH has, to its end: its exit status, or -1 when there is none.
    int (*run)(const char *const *words);
    bool (*make_folder)(char *path, size_t size); // for temporary files
    void (*remove_folder)(const char *path, const char *const *files);
    bool (*sha256)(void *user, const void *bytes, size_t size, uint8_t digest[32]); // false: it cannot
    const char *target, *arch; // of modules for this machine
};
extern const struct cli_host *cli_host;

// --- netsh (netsh*.c): portable, so that all of it is tested on every platform -------------------

// What a command returns to netsh.exe. Values: Microsoft's documentation of netsh.h.
enum netsh_status {
    NETSH_DONE = 0,
    NETSH_INVALID_SYNTAX = 15001, // netsh shows the usage
    NETSH_TAG_ALREADY_PRESENT = 15008,
    NETSH_INVALID_OPTION_TAG = 15009,
    NETSH_MISSING_OPTION = 15011,
    NETSH_OKAY = 15015,            // netsh says "Ok."
    NETSH_SUPPRESS_OUTPUT = 15017, // failed, and the command has said why
};

struct netsh_row {
    const char *group, *command;
    unsigned number;
    const char *brief, *usage; // "%1!s!" stands for the command
};
extern const struct netsh_row netsh_rows[];
extern const size_t netsh_row_count;

struct netsh_host {
    void *user;
    void (*print)(void *user, const char *text); // UTF-8, lines end with '\n'
    // File name of a process; false when it is gone, or not to be seen.
    bool (*process_name)(void *user, uint32_t pid, char *name, size_t size);
    const char *pin_root; // where relative pins start; what lies there is shown as BPF:\...
};

// One run of netsh: holds what its commands have loaded without pinning it.
struct netsh;
struct netsh *netsh_open(const struct netsh_host *host); // NULL: no memory
void netsh_close(struct netsh *n);
// Runs the command of a row. `arguments` are what follows it: "tag=value", or values in the order of the
// tags.
enum netsh_status netsh_run(struct netsh *n, const struct netsh_row *row, int count, char *const *arguments);
