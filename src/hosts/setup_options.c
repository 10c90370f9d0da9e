// SPDX-License-Identifier: MIT
// setup_options: parses the command line. Every mistake is one line that names the argument.
#include "hosts/setup_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STEP 1000

static const char usage[] =
    "Usage: ebpf-setup install [--dir PATH | --in-place]\n"
    "       ebpf-setup uninstall\n"
    "       ebpf-setup status [--json]\n"
    "Installs eBPF for Windows on this machine from the files beside this program.\n"
    "\n"
    "  install     the drivers into System32\\drivers, the rest into %ProgramFiles%\\ebpf or PATH; starts "
    "them.\n"
    "              Over an installation of the same or an earlier version: replaces it. A failure\n"
    "              leaves what was there before\n"
    "  uninstall   stops and removes what install made\n"
    "  status      what is installed, whether it runs and answers, and whether memory integrity (HVCI) and\n"
    "              test signing are on. Exit status: 0 all is well, 1 something is wrong, 3 not installed\n"
    "\n"
    "  --dir PATH  where to install; its parent must exist\n"
    "  --in-place  nothing but the drivers is copied: the files beside this program are used where they "
    "are,\n"
    "              and stay there when it is uninstalled\n"
    "  --json      status as JSON\n"
    "  --help, --version\n"
#if !defined(NDEBUG)
    "\n"
    "Debug build: --fail-at STEP makes the step fail, --die-at STEP ends the process there.\n"
#endif
    "\n"
    "install and uninstall need an administrator.\n";

static bool fail(int *status, const char *what, const char *argument)
{
    fprintf(stderr, "ebpf-setup: %s: %s\nTry 'ebpf-setup --help'.\n", what, argument);
    *status = 2;
    return false;
}

static bool print_and_end(const char *text, int *status)
{
    fputs(text, stdout);
    *status = EXIT_SUCCESS;
    return false;
}

enum option_id { OPT_HELP = 1, OPT_VERSION, OPT_DIR, OPT_IN_PLACE, OPT_JSON, OPT_FAIL_AT, OPT_DIE_AT };

static const struct option options[] = {
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"dir", required_argument, NULL, OPT_DIR},
    {"in-place", no_argument, NULL, OPT_IN_PLACE},
    {"json", no_argument, NULL, OPT_JSON},
#if !defined(NDEBUG)
    {"fail-at", required_argument, NULL, OPT_FAIL_AT},
    {"die-at", required_argument, NULL, OPT_DIE_AT},
#endif
    {0},
};

static bool parse_step(const char *text, unsigned *out, int *status)
{
    char *end = NULL;
    errno = 0;
    unsigned long step = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-' || step == 0 || step > MAX_STEP) {
        return fail(status, "not the number of a step", text);
    }
    *out = (unsigned)step;
    return true;
}

static bool parse_one(int id, char *argument, const char *word, struct setup_options *o, int *status)
{
    switch (id) {
    case OPT_HELP: return print_and_end(usage, status);
    case OPT_VERSION: return print_and_end("ebpf-setup " EBPF_VERSION "\n", status);
    case OPT_DIR: o->dir = argument; return argument[0] != 0 || fail(status, "--dir needs a path, not", "''");
    case OPT_IN_PLACE: o->in_place = true; return true;
    case OPT_JSON: o->json = true; return true;
    case OPT_FAIL_AT: return parse_step(argument, &o->fail_at, status);
    case OPT_DIE_AT: return parse_step(argument, &o->die_at, status);
    case ':': return fail(status, "an argument is missing after", word);
    default: return fail(status, "no such option, or not a whole one", word);
    }
}

static bool parse_verb(const char *word, enum setup_verb *out, int *status)
{
    static const char *const verbs[] = {
        [SETUP_INSTALL] = "install", [SETUP_UNINSTALL] = "uninstall", [SETUP_STATUS] = "status"};
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(word, verbs[i]) == 0) {
            *out = (enum setup_verb)i;
            return true;
        }
    }
    return fail(status, "install, uninstall or status is needed, not", word);
}

// Options that the verb has no use for are mistakes.
static bool check_fit(const struct setup_options *o, int *status)
{
    if (o->dir != NULL && o->verb != SETUP_INSTALL) {
        return fail(status, "only install takes", "--dir");
    }
    if (o->in_place && o->verb != SETUP_INSTALL) {
        return fail(status, "only install takes", "--in-place");
    }
    if (o->in_place && o->dir != NULL) {
        return fail(status, "--in-place and --dir exclude each other", o->dir);
    }
    if (o->json && o->verb != SETUP_STATUS) {
        return fail(status, "only status takes", "--json");
    }
    if ((o->fail_at != 0 || o->die_at != 0) && o->verb != SETUP_INSTALL) {
        return fail(status, "only install takes", o->fail_at != 0 ? "--fail-at" : "--die-at");
    }
    return true;
}

bool setup_options_parse(int argc, char **argv, struct setup_options *out, int *status)
{
    struct setup_options *o = out;
    memset(o, 0, sizeof(*o));
    for (int id; (id = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (!parse_one(id, optarg, argv[optind - 1], o, status)) {
            return false;
        }
    }
    if (optind == argc) {
        return fail(status, "install, uninstall or status is needed", "nothing was given");
    }
    if (!parse_verb(argv[optind], &o->verb, status)) {
        return false;
    }
    return optind + 1 == argc ? check_fit(o, status) : fail(status, "unexpected argument", argv[optind + 1]);
}
