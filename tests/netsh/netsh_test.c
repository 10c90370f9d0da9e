// SPDX-License-Identifier: MIT
// Tests of netsh's commands that golden files do not show: the tables, arguments, and failures half-way.
#include "cli/netsh_int.h"
#include "hosts/inproc.h"
#include "plat/plat.h"
#include "tests/test.h"

#define AUDIT TEST_SOURCE_DIR "/tests/netsh/audit.o"

static char output[8192];

static void collect(void *user, const char *text)
{
    size_t used = strlen(output);
    (void)user;
    snprintf(output + used, sizeof(output) - used, "%s", text);
}

static bool no_name(void *user, uint32_t pid, char *name, size_t size)
{
    (void)user, (void)pid, (void)name, (void)size;
    return false;
}

static const struct netsh_host host = {.print = collect, .process_name = no_name, .pin_root = "/pins"};

static enum netsh_status run(struct netsh *n, const char *group, const char *command, int count,
                             const char *const *arguments)
{
    output[0] = 0;
    for (size_t i = 0; i < netsh_row_count; i++) {
        if (str_equal(netsh_rows[i].group, group) && str_equal(netsh_rows[i].command, command)) {
            return netsh_run(n, &netsh_rows[i], count, (char *const *)arguments);
        }
    }
    CHECK(!"no such command");
    return NETSH_INVALID_SYNTAX;
}

// --- tables --------------------------------------------------------------------------------------

static void rows_are_sorted_by_group(void)
{
    for (size_t i = 1; i < netsh_row_count; i++) { // ebpfnetsh.dll makes its groups of neighbours
        int order = strcmp(netsh_rows[i - 1].group, netsh_rows[i].group);
        CHECK(order < 0 || (order == 0 && strcmp(netsh_rows[i - 1].command, netsh_rows[i].command) < 0));
    }
}

static void usage_names_the_command_once(void)
{
    for (size_t i = 0; i < netsh_row_count; i++) {
        const char *at = strstr(netsh_rows[i].usage, "%1!s!");
        REQUIRE(at != NULL);
        CHECK(strchr(at + 1, '%') == NULL); // for FormatMessage that would be another argument
        CHECK(strlen(netsh_rows[i].usage) < 4000);
    }
}

// What a command does not take is refused, so this finds tags that the usage forgets, and the other way
// round.
static void usage_names_every_tag(void)
{
    static const char *const tags[] = {"filename", "type",      "pinpath",  "interface",
                                       "pinned",   "execution", "id",       "level",
                                       "section",  "program",   "attached", "compartment"};
    struct netsh *n = netsh_open(&host);
    REQUIRE(n != NULL);
    for (size_t i = 0; i < netsh_row_count; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(tags); k++) {
            char argument[32], shown[32];
            const char *arguments[] = {argument, argument};
            snprintf(argument, sizeof(argument), "%s=", tags[k]);
            snprintf(shown, sizeof(shown), "[%s=]", tags[k]);
            // Twice, so that no command runs.
            enum netsh_status status = netsh_run(n, &netsh_rows[i], 2, (char *const *)arguments);
            CHECK(status == NETSH_TAG_ALREADY_PRESENT || status == NETSH_INVALID_OPTION_TAG);
            CHECK_EQ(strstr(netsh_rows[i].usage, shown) != NULL, status == NETSH_TAG_ALREADY_PRESENT);
        }
    }
    netsh_close(n);
}

// --- arguments -----------------------------------------------------------------------------------

static const struct netsh_tag some_tags[] = {{"filename", true}, {"section", false}, {"program", false}};

static enum netsh_status parse(int count, char *const *arguments, const char **values)
{
    struct netsh n = {.host = host};
    values[0] = values[1] = values[2] = NULL;
    output[0] = 0;
    return netsh_parse_tags(&n, some_tags, 3, count, arguments, values);
}

static void values_by_tag_and_by_place(void)
{
    const char *v[3];
    char *by_place[] = {"a.o", "xdp"}, *by_tag[] = {"PROG=p", "f=a=b.o", "xdp"}, *empty[] = {"section=", ""};
    CHECK_EQ(parse(2, by_place, v), NETSH_DONE);
    CHECK(v[2] == NULL);
    CHECK_STR(v[0], "a.o");
    CHECK_STR(v[1], "xdp");
    CHECK_EQ(parse(3, by_tag, v), NETSH_DONE);
    CHECK_STR(v[0], "a=b.o");
    CHECK_STR(v[1], "xdp");
    CHECK_STR(v[2], "p");
    CHECK_EQ(parse(2, empty, v), NETSH_DONE);
    CHECK_STR(v[0], "");
    CHECK_STR(v[1], "");
}

static void wrong_arguments(void)
{
    const char *v[3];
    char *twice[] = {"filename=a", "filename=b"}, *unknown[] = {"a", "x=y"}, *missing[] = {"section=s"},
         *many[] = {"a", "b", "c", "d"};
    CHECK_EQ(parse(2, twice, v), NETSH_TAG_ALREADY_PRESENT);
    CHECK_EQ(parse(2, unknown, v), NETSH_INVALID_OPTION_TAG);
    CHECK_EQ(parse(1, missing, v), NETSH_MISSING_OPTION);
    CHECK_STR(output, "filename is missing.\n");
    CHECK_EQ(parse(4, many, v), NETSH_INVALID_SYNTAX);
    CHECK_EQ(parse(0, NULL, v), NETSH_MISSING_OPTION);
}

// --- output --------------------------------------------------------------------------------------

static void pins_are_shown_below_the_root(void)
{
    struct netsh n = {.host = host};
    char shown[EBPF_PATH_SIZE + 8];
    netsh_show_path(&n, "/pins/dir/name", shown);
    CHECK_STR(shown, "BPF:\\dir\\name");
    netsh_show_path(&n, "/pinsel/name", shown);
    CHECK_STR(shown, "/pinsel/name");
    netsh_show_path(&n, "/name", shown);
    CHECK_STR(shown, "/name");
}

static void terminals_get_no_orders(void)
{
    struct netsh n = {.host = host};
    output[0] = 0;
    netsh_print(&n, "a\x1b[2J\tb\xc2\x9b z\n");
    CHECK_STR(output, "a?[2J\tb?? z\n");
}

// --- failures ------------------------------------------------------------------------------------

static void check_nothing_is_left(void)
{
    for (int kind = EBPF_OBJECT_KIND_MAP; kind <= EBPF_OBJECT_KIND_LINK; kind++) {
        uint32_t id = 0;
        CHECK_EQ(ebpf_object_get_next_id((ebpf_object_kind_t)kind, 0, &id), EBPF_NO_MORE_KEYS);
    }
}

// Every allocation of the execution context fails once while a program is added; true: none was left to fail.
static bool add_with_failure(struct netsh *n, uint64_t nth, const char *option)
{
    const char *arguments[] = {AUDIT, option};
    char id[32] = "id=";
    plat_sim_fail_alloc(nth);
    enum netsh_status status = run(n, "add", "program", 2, arguments);
    bool pending = plat_sim_fail_pending();
    plat_sim_fail_alloc(0);
    if (status == NETSH_DONE) {
        const char *loaded = strstr(output, "Loaded with ID ");
        const char *delete[] = {id};
        snprintf(id + 3, sizeof(id) - 3, "%s", loaded != NULL ? loaded + 15 : "0");
        id[strcspn(id, "\n")] = 0;
        CHECK_EQ(run(n, "delete", "program", 1, delete), NETSH_DONE);
    } else {
        CHECK_EQ(status, NETSH_SUPPRESS_OUTPUT);
        CHECK(output[0] != 0);
    }
    check_nothing_is_left();
    return pending;
}

static void failures_leave_nothing(void)
{
    struct netsh *n = netsh_open(&host);
    REQUIRE(n != NULL);
    for (unsigned k = 0; k < 2; k++) {
        uint64_t nth = 1;
        while (nth < 2000 && !add_with_failure(n, nth, k == 0 ? "pinned=first" : "pinned=none")) {
            nth++;
        }
        CHECK(nth > 10 && nth < 2000);
    }
    netsh_close(n);
}

static void what_netsh_holds_ends_with_it(void)
{
    const char *arguments[] = {AUDIT, "pinned=none"};
    struct netsh *n = netsh_open(&host);
    REQUIRE(n != NULL);
    CHECK_EQ(run(n, "add", "program", 2, arguments), NETSH_DONE);
    netsh_close(n);
    check_nothing_is_left();
}

// The driver knows; its own test is tests/netsh/driver.
static void contexts_that_do_not_know_processes_say_so(void)
{
    struct netsh *n = netsh_open(&host);
    REQUIRE(n != NULL);
    CHECK_EQ(run(n, "show", "processes", 0, NULL), NETSH_SUPPRESS_OUTPUT);
    CHECK_STR(output, "This execution context does not know the processes that hold its objects.\n");
    netsh_close(n);
}

static struct transport *opened;

static ebpf_result_t open_and_keep(struct transport **out)
{
    ebpf_result_t result = inproc_open(out);
    opened = result == EBPF_SUCCESS ? *out : NULL;
    return result;
}

TEST_SUITE(netsh)
{
    transport_open_inproc = open_and_keep;
    RUN(rows_are_sorted_by_group);
    RUN(usage_names_the_command_once);
    RUN(usage_names_every_tag);
    RUN(values_by_tag_and_by_place);
    RUN(wrong_arguments);
    RUN(pins_are_shown_below_the_root);
    RUN(terminals_get_no_orders);
    RUN(failures_leave_nothing);
    RUN(what_netsh_holds_ends_with_it);
    RUN(contexts_that_do_not_know_processes_say_so);
    if (opened != NULL) {
        opened->ops->close(opened);
    }
}
