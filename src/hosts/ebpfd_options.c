// SPDX-License-Identifier: MIT
// ebpfd_options: parses the command line. Every mistake is one line that names the argument.
#include "hosts/ebpfd_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SOCKET     "/run/ebpfd.sock"
#define DEFAULT_TIMEOUT_MS 60000
#define MAX_TIMEOUT_S      86400

static const char usage[] =
    "Usage: ebpfd [OPTION]...\n"
    "Runs eBPF programs for Windows on this machine: plays the kernel's part for clients on a socket.\n"
    "\n"
    "  --socket PATH         listen on PATH (default: $EBPFD_SOCKET, else " DEFAULT_SOCKET ")\n"
    "  --service PATH        the verification service (default: ebpfsvc beside this program)\n"
    "  --verify-timeout SEC  time limit of one verification (default: 60)\n"
    "  --no-sandbox          do without the service's sandbox, where the kernel has no seccomp\n"
    "  --no-native           load no native modules\n"
    "  --jit-blind           hide the constants of programs in their machine code\n"
    "  --jit-retpoline       no indirect branches in machine code that speculation follows (x86-64)\n"
    "  --tap NAME[,NAME]...  TAP devices whose frames programs see; pairs are wired to each other\n"
    "  --trace FILE          append the lines of bpf_printk to FILE; - is standard output\n"
    "  --foreground          accepted for clarity: there is no other mode\n"
    "  --help, --version\n"
    "\n"
    "EBPF_PERF_MAP=1 in the environment: the addresses of programs are in /tmp/perf-PID.map, for perf;\n"
    "EBPF_GDB=1: gdb knows them.\n"
    "\n"
    "SIGTERM and SIGINT end it and remove the socket. Only root and the user that runs it may connect.\n";

static bool fail(int *status, const char *what, const char *argument)
{
    fprintf(stderr, "ebpfd: %s: %s\nTry 'ebpfd --help'.\n", what, argument);
    *status = 2;
    return false;
}

static bool parse_timeout(const char *text, uint32_t *ms, int *status)
{
    char *end = NULL;
    errno = 0;
    unsigned long seconds = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-' || seconds == 0 || seconds > MAX_TIMEOUT_S) {
        return fail(status, "--verify-timeout needs a number of seconds from 1 to 86400", text);
    }
    *ms = (uint32_t)seconds * 1000;
    return true;
}

static bool parse_taps(char *list, struct ebpfd_options *o, int *status)
{
    char *rest = NULL;
    if (list[0] == 0 || list[0] == ',' || list[strlen(list) - 1] == ',' || strstr(list, ",,") != NULL) {
        return fail(status, "--tap needs names between commas", list); // a variable of a script may be unset
    }
    for (char *name = strtok_r(list, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        if (o->tap_count == EBPFD_MAX_TAPS) {
            return fail(status, "too many TAP devices at", name);
        }
        o->taps[o->tap_count++] = name;
    }
    return true;
}

static bool parse_service(const char *path, struct ebpfd_options *o, int *status)
{
    return (path[0] != 0 && str_copy(o->service, sizeof(o->service), path)) ||
           fail(status, "--service: empty or too long", path);
}

// ebpfsvc in the folder of this program.
static bool find_service(struct ebpfd_options *o, int *status)
{
    static const char name[] = "ebpfsvc";
    ssize_t n = readlink("/proc/self/exe", o->service, sizeof(o->service) - sizeof(name));
    while (n > 0 && o->service[n - 1] != '/') {
        n--;
    }
    if (n <= 0) {
        return fail(status, "cannot find the verification service; name it with", "--service PATH");
    }
    memcpy(o->service + n, name, sizeof(name));
    return true;
}

enum option_id {
    OPT_HELP = 1,
    OPT_VERSION,
    OPT_SOCKET,
    OPT_SERVICE,
    OPT_TIMEOUT,
    OPT_NO_SANDBOX,
    OPT_NO_NATIVE,
    OPT_JIT_BLIND,
    OPT_JIT_RETPOLINE,
    OPT_TAP,
    OPT_TRACE,
    OPT_FOREGROUND
};

static const struct option options[] = {
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"service", required_argument, NULL, OPT_SERVICE},
    {"verify-timeout", required_argument, NULL, OPT_TIMEOUT},
    {"no-sandbox", no_argument, NULL, OPT_NO_SANDBOX},
    {"no-native", no_argument, NULL, OPT_NO_NATIVE},
    {"jit-blind", no_argument, NULL, OPT_JIT_BLIND},
    {"jit-retpoline", no_argument, NULL, OPT_JIT_RETPOLINE},
    {"tap", required_argument, NULL, OPT_TAP},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"foreground", no_argument, NULL, OPT_FOREGROUND},
    {0},
};

static bool print_and_end(const char *text, int *status)
{
    fputs(text, stdout);
    *status = EXIT_SUCCESS;
    return false;
}

static bool parse_one(int id, char *argument, const char *word, struct ebpfd_options *o, int *status)
{
    switch (id) {
    case OPT_HELP: return print_and_end(usage, status);
    case OPT_VERSION: return print_and_end("ebpfd " EBPF_VERSION "\n", status);
    case OPT_SOCKET: o->socket = argument; return true;
    case OPT_SERVICE: return parse_service(argument, o, status);
    case OPT_TIMEOUT: return parse_timeout(argument, &o->verify_timeout_ms, status);
    case OPT_NO_SANDBOX: o->no_sandbox = true; return true;
    case OPT_NO_NATIVE: o->no_native = true; return true;
    case OPT_JIT_BLIND: o->jit_blind = true; return true;
    case OPT_JIT_RETPOLINE: o->jit_retpoline = true; return true;
    case OPT_TAP: return parse_taps(argument, o, status);
    case OPT_TRACE: o->trace = argument; return true;
    case OPT_FOREGROUND: return true;
    case ':': return fail(status, "an argument is missing after", word);
    default: return fail(status, "no such option, or not a whole one", word);
    }
}

bool ebpfd_options_parse(int argc, char **argv, struct ebpfd_options *out, int *status)
{
    const char *from_environment = getenv("EBPFD_SOCKET");
    struct ebpfd_options *o = out;
    memset(o, 0, sizeof(*o));
    o->socket = from_environment != NULL && from_environment[0] != 0 ? from_environment : DEFAULT_SOCKET;
    o->verify_timeout_ms = DEFAULT_TIMEOUT_MS;
    for (int id; (id = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (!parse_one(id, optarg, argv[optind - 1], o, status)) {
            return false;
        }
    }
    if (optind != argc) {
        return fail(status, "unexpected argument", argv[optind]);
    }
    return o->service[0] != 0 || find_service(o, status);
}
