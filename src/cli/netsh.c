// SPDX-License-Identifier: MIT
// netsh: the table of netsh's commands, one run, and what it prints.
#include <stdarg.h>

#include "cli/netsh_int.h"

// --- the tables ----------------------------------------------------------------------------------

const struct netsh_row netsh_rows[] = {
#define NETSH_COMMAND(group, command, id, number, brief, usage) {#group, #command, number, brief, usage},
#include "cli/netsh.def"
#undef NETSH_COMMAND
};
const size_t netsh_row_count = NETSH_COUNT(netsh_rows);

enum number {
#define NETSH_COMMAND(group, command, id, number, ...) id = number,
#include "cli/netsh.def"
#undef NETSH_COMMAND
};

static const struct netsh_command commands[] = {
    {ADD_PROGRAM,
     netsh_add_program,
     {{"filename", true},
      {"type", false},
      {"pinpath", false},
      {"interface", false},
      {"pinned", false},
      {"execution", false},
      {"compartment", false}}},
    {DELETE_PROGRAM, netsh_delete_program, {{"id", true}}},
    {PIN_MAP, netsh_pin_map, {{"id", true}, {"pinpath", false}}},
    {PIN_PROGRAM, netsh_pin_program, {{"id", true}, {"pinpath", false}}},
    {SET_PROGRAM,
     netsh_set_program,
     {{"id", true}, {"attached", false}, {"pinpath", false}, {"interface", false}}},
    {SHOW_DISASSEMBLY, netsh_show_disassembly, {{"filename", true}, {"section", false}, {"program", false}}},
    {SHOW_LINKS, netsh_show_links, {{NULL, false}}},
    {SHOW_MAPS, netsh_show_maps, {{NULL, false}}},
    {SHOW_PINS, netsh_show_pins, {{NULL, false}}},
    {SHOW_PROCESSES, netsh_show_processes, {{NULL, false}}},
    {SHOW_PROGRAMS,
     netsh_show_programs,
     {{"type", false},
      {"attached", false},
      {"pinned", false},
      {"level", false},
      {"filename", false},
      {"section", false},
      {"id", false}}},
    {SHOW_SECTIONS, netsh_show_sections, {{"filename", true}, {"section", false}, {"level", false}}},
    {SHOW_VERIFICATION,
     netsh_show_verification,
     {{"filename", true}, {"section", false}, {"program", false}, {"type", false}, {"level", false}}},
    {UNPIN_MAP, netsh_unpin_map, {{"id", true}, {"pinpath", false}}},
    {UNPIN_PROGRAM, netsh_unpin_program, {{"id", true}, {"pinpath", false}}},
};
_Static_assert(NETSH_COUNT(commands) == NETSH_COUNT(netsh_rows), "every row has its command");

static size_t tag_count(const struct netsh_command *command)
{
    size_t count = 0;
    while (count < NETSH_MAX_TAGS && command->tags[count].name != NULL) {
        count++;
    }
    return count;
}

// --- output --------------------------------------------------------------------------------------

// Control characters of ASCII, and of Latin-1 in their UTF-8 form (ESC [ is also U+009B).
static void clean(char *text)
{
    for (unsigned char *s = (unsigned char *)text; *s != 0; s++) {
        bool wide = s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f;
        if ((*s < ' ' && *s != '\n' && *s != '\t') || *s == 0x7f || wide) {
            *s = '?';
            s[wide ? 1 : 0] = '?';
        }
    }
}

// Of any length: names come from objects and from users.
static void print_args(struct netsh *n, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    char *text = length >= 0 ? malloc((size_t)length + 1) : NULL;
    if (text == NULL) {
        n->host.print(n->host.user, "out of memory\n");
    } else {
        vsnprintf(text, (size_t)length + 1, format, again);
        clean(text);
        n->host.print(n->host.user, text);
    }
    free(text);
    va_end(again);
}

void netsh_print(struct netsh *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_args(n, format, args);
    va_end(args);
}

void netsh_put(struct netsh *n, const char *text)
{
    netsh_print(n, "%s", text);
}

enum netsh_status netsh_refuse(struct netsh *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_args(n, format, args);
    va_end(args);
    netsh_put(n, "\n");
    return NETSH_SUPPRESS_OUTPUT;
}

enum netsh_status netsh_fail(struct netsh *n, int number, const char *format, ...)
{
    va_list args;
    netsh_print(n, "error %d: ", number);
    va_start(args, format);
    print_args(n, format, args);
    va_end(args);
    netsh_put(n, "\n");
    return NETSH_SUPPRESS_OUTPUT;
}

// --- one run -------------------------------------------------------------------------------------

struct netsh *netsh_open(const struct netsh_host *host)
{
    struct netsh *n = calloc(1, sizeof(*n));
    if (n != NULL) {
        n->host = *host;
    }
    return n;
}

void netsh_close(struct netsh *n)
{
    if (n != NULL) {
        netsh_release_all(n);
        free(n);
    }
}

// What the library has to say belongs to the output. It has no place for the run, and netsh runs one command
// at a time.
static struct netsh *speaker;

static int print_library(enum libbpf_print_level level, const char *format, va_list args)
{
    char text[4096];
    int length = 0;
    if (level != LIBBPF_DEBUG && speaker != NULL) {
        length = vsnprintf(text, sizeof(text), format, args);
        netsh_put(speaker, text);
    }
    return length;
}

static enum netsh_status run(struct netsh *n, const struct netsh_command *command, int count,
                             char *const *arguments)
{
    const char *values[NETSH_MAX_TAGS] = {NULL};
    enum netsh_status status =
        netsh_parse_tags(n, command->tags, tag_count(command), count, arguments, values);
    if (status != NETSH_DONE) {
        return status;
    }
    libbpf_print_fn_t before = libbpf_set_print(print_library);
    speaker = n;
    status = command->run(n, values);
    speaker = NULL;
    libbpf_set_print(before);
    return status;
}

enum netsh_status netsh_run(struct netsh *n, const struct netsh_row *row, int count, char *const *arguments)
{
    for (size_t i = 0; i < NETSH_COUNT(commands); i++) {
        if (commands[i].number == row->number) {
            return run(n, &commands[i], count, arguments);
        }
    }
    return NETSH_INVALID_SYNTAX;
}
