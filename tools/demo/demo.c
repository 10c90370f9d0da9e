// SPDX-License-Identifier: MIT
// demo: the main job on one screen after another: a C program, compiled by clang, decides about packets. On
// live traffic where this machine lets us make a network namespace and TAP devices, else over a packet
// capture.
#define _GNU_SOURCE
#include "demo.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ebpf_api.h>

volatile sig_atomic_t demo_interrupted;

static void interrupt(int signal)
{
    (void)signal;
    demo_interrupted = 1;
}

static const char *style(const char *code)
{
    return isatty(STDOUT_FILENO) ? code : "";
}

void say(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

void say_step(const char *fmt, ...)
{
    va_list args;
    printf("\n%s== ", style("\033[1m"));
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("%s\n", style("\033[0m"));
    fflush(stdout);
}

bool say_check(bool holds, const char *fmt, ...)
{
    va_list args;
    printf("  %s%s%s  ", style(holds ? "\033[32m" : "\033[31m"), holds ? "  ok" : "FAIL", style("\033[0m"));
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
    return holds;
}

int demo_run_tool(const char *path, const char *const *argv)
{
    int status = -1;
    printf("  $");
    for (const char *const *arg = argv; *arg != NULL; arg++) {
        const char *slash = strrchr(*arg, '/');
        printf(" %s", slash != NULL ? slash + 1 : *arg);
    }
    printf("\n");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(STDOUT_FILENO, STDERR_FILENO);
        execv(path, (char *const *)argv);
        printf("demo: %s cannot be run\n", path);
        fflush(stdout);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        return -1;
    }
    return WEXITSTATUS(status);
}

void demo_sample_path(const struct demo_options *options, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", options->samples, name);
}

// What the proof took, through the API.
static void show_effort(const char *path)
{
    struct ebpf_verify_report *report = NULL;
    if (ebpf_verify_file(path, NULL, &report) != EBPF_SUCCESS) {
        return;
    }
    for (uint32_t i = 0; i < report->program_count; i++) {
        const struct ebpf_verify_program *p = &report->programs[i];
        say("  It followed every path through %u instructions: %u states, %llu us, %u KB.", p->insn_count,
            p->states, (unsigned long long)p->time_us, p->peak_kb);
    }
    ebpf_verify_free(report);
}

void demo_show_verifier(const struct demo_options *options)
{
    char good[512], bad[512];
    demo_sample_path(options, "droppacket.o", good, sizeof(good));
    demo_sample_path(options, "bad/no_bounds_check.o", bad, sizeof(bad));
    const char *const verify_good[] = {"bpftool", "prog", "verify", good, NULL};
    const char *const verify_bad[] = {"bpftool", "prog", "verify", bad, NULL};
    say_step("The verifier has to prove it safe first");
    demo_run_tool(options->bpftool, verify_good);
    show_effort(good);
    say("  A program that forgets to compare with the end of the frame is refused, before it ever runs:");
    demo_run_tool(options->bpftool, verify_bad);
}

static int usage(void)
{
    fprintf(stderr, "usage: demo --ebpfd PATH --bpftool PATH --samples DIR --sources DIR [--short] "
                    "[--capture [FILE.pcap]]\n");
    return 2;
}

// Takes the value of a path option; false when it is missing.
static bool take_path(const char *name, const char *arg, const char *value, const char **out, bool *taken)
{
    if (strcmp(arg, name) != 0) {
        return true;
    }
    *taken = true;
    *out = value;
    return value != NULL;
}

static bool parse(int argc, char **argv, struct demo_options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool taken = false;
        if (!take_path("--ebpfd", argv[i], value, &o->ebpfd, &taken) ||
            !take_path("--bpftool", argv[i], value, &o->bpftool, &taken) ||
            !take_path("--samples", argv[i], value, &o->samples, &taken) ||
            !take_path("--sources", argv[i], value, &o->sources, &taken)) {
            return false;
        }
        if (taken) {
            i++;
        } else if (strcmp(argv[i], "--short") == 0) {
            o->is_short = true;
        } else if (strcmp(argv[i], "--capture") == 0) {
            o->capture_only = true;
            if (value != NULL && value[0] != '-') {
                o->pcap = argv[++i];
            }
        } else {
            return false;
        }
    }
    return o->ebpfd != NULL && o->bpftool != NULL && o->samples != NULL && o->sources != NULL;
}

int main(int argc, char **argv)
{
    struct demo_options options = {0};
    if (!parse(argc, argv, &options)) {
        return usage();
    }
    struct sigaction action = {.sa_handler = interrupt}; // no SA_RESTART: waits end
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (options.capture_only) {
        return capture_run(&options);
    }
    int status = live_run(&options);
    if (status != 3) {
        return status;
    }
    say("  Instead, the same program runs over a packet capture.");
    return capture_run(&options);
}
