// SPDX-License-Identifier: MIT
// The daemon's command line.
#include "hosts/ebpfd_options.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/test.h"

#define MAX_ARGS 16

struct parsed {
    struct ebpfd_options options;
    bool go_on;
    int status;
};

// Parses `line`, split at blanks, with stdout and stderr out of the way.
static struct parsed parse(const char *line)
{
    static char words[512];
    char *argv[MAX_ARGS + 1] = {(char *)(uintptr_t)"ebpfd"};
    static struct parsed p;
    int argc = 1, null = open("/dev/null", O_WRONLY), out = dup(1), err = dup(2);
    str_copy(words, sizeof(words), line);
    for (char *c = words; *c != 0 && argc < MAX_ARGS; argc++) {
        argv[argc] = c;
        while (*c != 0 && *c != ' ') {
            c++;
        }
        if (*c == ' ') {
            *c++ = 0;
        }
    }
    fflush(NULL);
    dup2(null, 1);
    dup2(null, 2);
    optind = 0; // getopt starts afresh
    p.status = -1;
    p.go_on = ebpfd_options_parse(argc, argv, &p.options, &p.status);
    fflush(NULL);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    close(null);
    return p;
}

static void defaults(void)
{
    struct parsed p = parse("");
    CHECK(p.go_on);
    CHECK_EQ(p.options.verify_timeout_ms, 60000);
    CHECK_EQ(p.options.tap_count, 0);
    CHECK(p.options.trace == NULL);
    CHECK(!p.options.no_sandbox);
    CHECK(!p.options.no_native);
    CHECK(!p.options.jit_blind && !p.options.jit_retpoline);
    size_t n = str_len(p.options.service);
    CHECK(n > 8 && str_equal(p.options.service + n - 8, "/ebpfsvc"));
}

static void everything_is_understood(void)
{
    struct parsed p =
        parse("--socket /s --service=/v --tap a,b --tap=c,d --verify-timeout 5 --trace=- --foreground "
              "--no-sandbox --no-native --jit-blind --jit-retpoline");
    REQUIRE(p.go_on);
    CHECK_STR(p.options.socket, "/s");
    CHECK_STR(p.options.service, "/v");
    REQUIRE(p.options.tap_count == 4);
    CHECK_STR(p.options.taps[3], "d");
    CHECK_EQ(p.options.verify_timeout_ms, 5000);
    CHECK_STR(p.options.trace, "-");
    CHECK(p.options.no_sandbox);
    CHECK(p.options.no_native);
    CHECK(p.options.jit_blind && p.options.jit_retpoline);
}

static void questions_end_with_success(void)
{
    CHECK(!parse("--help").go_on);
    CHECK_EQ(parse("--help").status, 0);
    CHECK(!parse("--version").go_on);
    CHECK_EQ(parse("--version").status, 0);
}

static void mistakes_end_with_2(void)
{
    static const char *const lines[] = {
        "--nonsense",
        "-x",
        "--socket",
        "--verify-timeout 0",
        "--verify-timeout -1",
        "--verify-timeout 5x",
        "--verify-timeout x",
        "--verify-timeout 99999999999999999999",
        "stray",
        "--verify-timeout 86401",
        "--help=1",
        "--tap=",
        "--tap a,,b",
        "--tap ,a",
        "--tap a,",
        "--service=",
        "--no-sandbox=1",
        "--jit",
        "--jit-blind=1",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct parsed p = parse(lines[i]);
        CHECK(!p.go_on);
        CHECK_EQ(p.status, 2);
    }
}

TEST_SUITE(ebpfd_options)
{
    RUN(defaults);
    RUN(everything_is_understood);
    RUN(questions_end_with_success);
    RUN(mistakes_end_with_2);
}
