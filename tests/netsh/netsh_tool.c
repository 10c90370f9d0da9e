// SPDX-License-Identifier: MIT
// netsh_tool: the commands of netsh's context `ebpf` without netsh, for systems that have none.
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "hosts/inproc.h"
#include "tests/netsh/netsh_shell.h"

static struct netsh *session;
static struct transport *opened;

static void print(void *user, const char *text)
{
    (void)user;
    fputs(text, stdout);
}

static bool process_name(void *user, uint32_t pid, char *name, size_t size)
{
    char path[64];
    (void)user;
    snprintf(path, sizeof(path), "/proc/%u/comm", pid);
    FILE *file = fopen(path, "r");
    bool found = file != NULL && fgets(name, (int)size, file) != NULL;
    if (file != NULL) {
        fclose(file);
    }
    if (found) {
        name[strcspn(name, "\n")] = 0;
    }
    return found;
}

// The text with the command in place of %1!s!, as FormatMessage does it.
static void print_usage(const struct netsh_row *row)
{
    const char *at = strstr(row->usage, "%1!s!");
    printf("%.*s%s %s%s", (int)(at - row->usage), row->usage, row->group, row->command, at + 5);
}

static unsigned run_row(const struct netsh_row *row, int count, char **words)
{
    unsigned status;
    if (count == 1 && shell_asks_help(words[0])) {
        print_usage(row);
        return NETSH_DONE;
    }
    status = (unsigned)netsh_run(session, row, count, words);
    if (status == NETSH_INVALID_SYNTAX || status == NETSH_MISSING_OPTION) {
        print_usage(row);
    }
    return status;
}

static unsigned list(const char *group)
{
    unsigned status = 15004; // ERROR_CMD_NOT_FOUND
    for (size_t i = 0; i < netsh_row_count; i++) {
        const struct netsh_row *row = &netsh_rows[i];
        if (shell_matches(group, row->group)) {
            printf("%s %s - %s", row->group, row->command, row->brief);
            status = NETSH_DONE;
        }
    }
    return status;
}

unsigned shell_run(int count, char **words)
{
    if (count < 2 || !shell_matches(words[0], "ebpf")) {
        return 15004; // ERROR_CMD_NOT_FOUND
    }
    if (count == 2 || (count == 3 && shell_asks_help(words[2]))) {
        return list(words[1]);
    }
    for (size_t i = 0; i < netsh_row_count; i++) {
        if (shell_matches(words[1], netsh_rows[i].group) && shell_matches(words[2], netsh_rows[i].command)) {
            return run_row(&netsh_rows[i], count - 3, words + 3);
        }
    }
    return 15004;
}

static ebpf_result_t open_and_keep(struct transport **out)
{
    ebpf_result_t result = inproc_open(out);
    if (result == EBPF_SUCCESS) {
        opened = *out;
    }
    return result;
}

int main(int argc, char **argv)
{
    static const struct netsh_host host = {
        .print = print, .process_name = process_name, .pin_root = "/sys/fs/bpf"};
    int status;
    transport_open_inproc = open_and_keep;
    session = netsh_open(&host);
    if (session == NULL) {
        return 1;
    }
    status = shell_main(argc, argv);
    netsh_close(session);
    if (opened != NULL) {
        opened->ops->close(opened);
    }
    return status;
}
