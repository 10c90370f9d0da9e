// SPDX-License-Identifier: MIT
// netsh_int: what the files of netsh's commands share: the run, tags, output, pins, links.
//
// Commands print what they have to say, failures too, and return NETSH_DONE, NETSH_OKAY or
// NETSH_SUPPRESS_OUTPUT. Nothing here knows bpftool's structures.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ebpf_api.h>

#include "cli/cli.h"

#define NETSH_COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define NETSH_PRINTF(fmt, va) __attribute__((format(printf, fmt, va)))
#define NETSH_MAX_TAGS        7

struct netsh {
    struct netsh_host host;
    struct netsh_held *held; // what was loaded and is not forgotten yet
};

// --- output (netsh.c) ----------------------------------------------------------------------------

// Control characters, which may come from an object, become '?'; line ends and tabs stay.
void netsh_put(struct netsh *n, const char *text);
void netsh_print(struct netsh *n, const char *format, ...) NETSH_PRINTF(2, 3);
// "error NUMBER: WHAT". Returns NETSH_SUPPRESS_OUTPUT.
enum netsh_status netsh_fail(struct netsh *n, int number, const char *format, ...) NETSH_PRINTF(3, 4);
// Just a sentence.
enum netsh_status netsh_refuse(struct netsh *n, const char *format, ...) NETSH_PRINTF(2, 3);

// --- tags (netsh_args.c) -------------------------------------------------------------------------

struct netsh_tag {
    const char *name;
    bool required;
};
// Fills values[i] with what tag i got, or NULL. Says what is wrong.
enum netsh_status netsh_parse_tags(struct netsh *n, const struct netsh_tag *tags, size_t tag_count, int count,
                                   char *const *arguments, const char **values);
// Number of the word that `value` is (whatever its case); `fallback` for NULL. Says what is wrong.
enum netsh_status netsh_parse_word(struct netsh *n, const char *tag, const char *value,
                                   const char *const *words, size_t word_count, unsigned *out);
enum netsh_status netsh_parse_id(struct netsh *n, const char *value, uint32_t *out);

// --- commands ------------------------------------------------------------------------------------

struct netsh_command {
    unsigned number; // of its row
    enum netsh_status (*run)(struct netsh *n, const char *const *values);
    struct netsh_tag tags[NETSH_MAX_TAGS];
};
enum netsh_status netsh_add_program(struct netsh *n, const char *const *values);
enum netsh_status netsh_delete_program(struct netsh *n, const char *const *values);
enum netsh_status netsh_set_program(struct netsh *n, const char *const *values);
enum netsh_status netsh_pin_map(struct netsh *n, const char *const *values);
enum netsh_status netsh_pin_program(struct netsh *n, const char *const *values);
enum netsh_status netsh_unpin_map(struct netsh *n, const char *const *values);
enum netsh_status netsh_unpin_program(struct netsh *n, const char *const *values);
enum netsh_status netsh_show_links(struct netsh *n, const char *const *values);
enum netsh_status netsh_show_maps(struct netsh *n, const char *const *values);
enum netsh_status netsh_show_pins(struct netsh *n, const char *const *values);
enum netsh_status netsh_show_processes(struct netsh *n, const char *const *values);
enum netsh_status netsh_show_programs(struct netsh *n, const char *const *values);
enum netsh_status netsh_show_disassembly(struct netsh *n, const char *const *values);
enum netsh_status netsh_show_sections(struct netsh *n, const char *const *values);
enum netsh_status netsh_show_verification(struct netsh *n, const char *const *values);

// --- pins and links (netsh_pin.c, netsh_link.c) --------------------------------------------------

// A path as it is shown: "BPF:\dir\name" below the root, else as it is.
void netsh_show_path(const struct netsh *n, const char *path, char out[EBPF_PATH_SIZE + 8]);
// Removes all pins of an object; says which with `tell`.
enum netsh_status netsh_unpin_all(struct netsh *n, ebpf_object_kind_t kind, uint32_t id, bool tell);
// Calls `each` for all objects of a kind in the order of ids; one that vanishes meanwhile is left out.
enum netsh_status netsh_for_each(struct netsh *n, ebpf_object_kind_t kind,
                                 enum netsh_status (*each)(struct netsh *n, int fd,
                                                           const struct ebpf_object_info *info, void *user),
                                 void *user);

// Attaches to `interface` (NULL: all that there are); links that are `kept` outlive this process. The link
// descriptors go to `links` (room for NETSH_MAX_LINKS) when they are not kept.
#define NETSH_MAX_LINKS 64
struct netsh_links {
    int fds[NETSH_MAX_LINKS];
    size_t count;
};
enum netsh_status netsh_attach(struct netsh *n, int prog_fd, enum bpf_attach_type type, const char *interface,
                               struct netsh_links *out);
enum netsh_status netsh_keep_links(struct netsh *n, const struct netsh_links *links);
void netsh_close_links(struct netsh_links *links);
// Detaches all links of a program. *found: there was one.
enum netsh_status netsh_detach(struct netsh *n, uint32_t prog_id, bool *found);
// How many attached links a program has.
uint32_t netsh_link_count(struct netsh *n, uint32_t prog_id);

// --- what this process holds (netsh_program.c) ---------------------------------------------------

void netsh_release_all(struct netsh *n);
void netsh_release_detached(struct netsh *n); // links that are nobody's attachment any more
