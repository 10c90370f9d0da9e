// SPDX-License-Identifier: MIT
// The installer's command line.
#include "hosts/setup_options.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/test.h"

#define MAX_ARGS 8

struct parsed {
    struct setup_options options;
    bool go_on;
    int status;
};

static unsigned split(char *words, char **argv)
{
    unsigned argc = 1;
    for (char *c = words; *c != 0 && argc < MAX_ARGS; argc++) {
        argv[argc] = c;
        while (*c != 0 && *c != ' ') {
            c++;
        }
        if (*c == ' ') {
            *c++ = 0;
        }
    }
    return argc;
}

static struct parsed run(int argc, char **argv)
{
    struct parsed p = {.status = -1};
    optind = 0; // getopt starts afresh
    p.go_on = setup_options_parse(argc, argv, &p.options, &p.status);
    return p;
}

// Parses `line`, split at blanks; what it prints goes to the test's output.
static struct parsed parse(const char *line)
{
    static char words[256];
    char *argv[MAX_ARGS + 1] = {(char *)(uintptr_t)"ebpf-setup"};
    str_copy(words, sizeof(words), line);
    return run((int)split(words, argv), argv);
}

static void verbs(void)
{
    struct parsed p = parse("install");
    CHECK(p.go_on && p.options.verb == SETUP_INSTALL && p.options.dir == NULL);
    p = parse("install --dir D:\\ebpf");
    CHECK(p.go_on);
    CHECK_STR(p.options.dir, "D:\\ebpf");
    p = parse("--dir=x install");
    CHECK(p.go_on && p.options.dir != NULL);
    CHECK(!p.options.in_place);
    CHECK(parse("install --in-place").options.in_place);
    p = parse("uninstall");
    CHECK(p.go_on && p.options.verb == SETUP_UNINSTALL);
    p = parse("status --json");
    CHECK(p.go_on && p.options.verb == SETUP_STATUS && p.options.json);
    CHECK(!parse("status").options.json);
}

static void questions_end_with_success(void)
{
    CHECK(!parse("--help").go_on);
    CHECK_EQ(parse("--help").status, 0);
    CHECK_EQ(parse("install --version").status, 0);
}

static void mistakes_end_with_2(void)
{
    static const char *const lines[] = {
        "",
        "instal",
        "install now",
        "install --nonsense",
        "install --dir",
        "install --dir=",
        "install --json",
        "install --in-place --dir x",
        "uninstall --in-place",
        "uninstall --dir x",
        "status --dir x",
        "install --fail-at 0",
        "install --fail-at x",
        "install --fail-at -1",
        "install --die-at 5x",
        "install --die-at 9999999999999999999999",
        "status --fail-at 1",
        "uninstall --die-at 1",
        "-x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct parsed p = parse(lines[i]);
        CHECK(!p.go_on);
        CHECK_EQ(p.status, 2);
    }
}

// They exist in Debug builds only.
static void failures_on_demand(void)
{
#if defined(NDEBUG)
    CHECK_EQ(parse("install --fail-at 3").status, 2);
    CHECK_EQ(parse("install --die-at 3").status, 2);
#else
    CHECK_EQ(parse("install --fail-at 3").options.fail_at, 3);
    CHECK_EQ(parse("install --die-at 1000").options.die_at, 1000);
#endif
}

TEST_SUITE(setup_options)
{
    RUN(verbs);
    RUN(questions_end_with_success);
    RUN(mistakes_end_with_2);
    RUN(failures_on_demand);
}
