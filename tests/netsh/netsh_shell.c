// SPDX-License-Identifier: MIT
#include "tests/netsh/netsh_shell.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

#define MAX_WORDS 32

bool shell_matches(const char *typed, const char *word)
{
    size_t i = 0;
    while (typed[i] != 0 && tolower((unsigned char)typed[i]) == tolower((unsigned char)word[i])) {
        i++;
    }
    return i != 0 && typed[i] == 0;
}

bool shell_asks_help(const char *typed)
{
    return strcmp(typed, "?") == 0 || strcmp(typed, "/?") == 0 || strcmp(typed, "-?") == 0 ||
           shell_matches(typed, "help");
}

int shell_say_status(unsigned status)
{
    switch (status) {
    case NETSH_DONE: return 0;
    case NETSH_OKAY: printf("Ok.\n\n"); return 0;
    case NETSH_SUPPRESS_OUTPUT: return 1;
    default: printf("[netsh %u]\n", status); return 1;
    }
}

// Blanks separate words, double quotes hold them together.
static int split(char *line, char **words)
{
    int count = 0;
    for (char *p = line; count < MAX_WORDS; count++) {
        bool quoted = false;
        char *to;
        p += strspn(p, " \t\r\n");
        if (*p == 0 || *p == '#') {
            return count;
        }
        words[count] = to = p;
        for (; *p != 0 && (quoted || strchr(" \t\r\n", *p) == NULL); p++) {
            if (*p == '"') {
                quoted = !quoted;
            } else {
                *to++ = *p;
            }
        }
        p += *p != 0;
        *to = 0;
    }
    return count;
}

static int run_file(FILE *file)
{
    char line[4096], *words[MAX_WORDS];
    int failed = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\r\n")] = 0;
        printf("netsh>%s\n", line);
        int count = split(line, words);
        if (count > 0) {
            failed |= shell_say_status(shell_run(count, words));
        }
        fflush(stdout);
    }
    return failed;
}

int shell_main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "-f") != 0) {
        return shell_say_status(shell_run(argc - 1, argv + 1));
    }
    FILE *file = argc > 2 && strcmp(argv[2], "-") != 0 ? fopen(argv[2], "r") : stdin;
    if (file == NULL) {
        printf("cannot open %s\n", argv[2]);
        return 1;
    }
    int failed = run_file(file);
    if (file != stdin) {
        fclose(file);
    }
    return failed;
}
