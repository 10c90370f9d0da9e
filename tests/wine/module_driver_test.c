// SPDX-License-Identifier: MIT
// Native modules that are drivers, loaded by the library through the service control manager into the real
// ebpfcore.sys. After each case the driver counts what it counted before, and no service of a module is left.
// The modules are in the folder MODULE_TEST_DIR (module_driver_test.py). Run with --client, this program is
// one that loads a module and is terminated.
#include "tests/wine/module_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// A case after which nothing is left; what is left all the same, does not fail the cases behind it.
#define WITH_NOTHING_LEFT(name)                                                                              \
    static void name##_body(void);                                                                           \
    static void name(void)                                                                                   \
    {                                                                                                        \
        struct proto_witness before;                                                                         \
        REQUIRE(device_wait_quiet(&before));                                                                 \
        unsigned copies = rig_copies();                                                                      \
        name##_body();                                                                                       \
        CHECK(device_wait_witness(&before));                                                                 \
        CHECK_EQ(rig_wait_services(0), 0);                                                                   \
        CHECK(rig_wait_copies(copies) <= copies);                                                            \
        rig_remove_services();                                                                               \
    }                                                                                                        \
    static void name##_body(void)

// --- life ----------------------------------------------------------------------------------------

WITH_NOTHING_LEFT(a_module_is_loaded_run_and_unloaded)
{
    struct rig_object o;
    REQUIRE(rig_must_load(&o, "droppacket.sys"));
    CHECK_EQ(rig_services(), 1);
    CHECK_EQ(rig_drop_frame(&o), RIG_DROP);
    CHECK_EQ(rig_drop_frame(&o), RIG_DROP);
    CHECK_EQ(rig_dropped(&o), 2);
    rig_close(&o);
}

WITH_NOTHING_LEFT(a_program_is_attached_and_detached)
{
    struct rig_object o;
    REQUIRE(rig_must_load(&o, "audit.sys"));
    struct bpf_link *link = bpf_program__attach(rig_program(&o, "count_bind"));
    CHECK(link != NULL);
    CHECK_EQ(rig_run(rig_program(&o, "answer")), 42);
    rig_close(&o); // the link holds the program, and that the module
    CHECK_EQ(rig_services(), 1);
    CHECK_EQ(bpf_link__destroy(link), 0);
}

WITH_NOTHING_LEFT(a_pin_keeps_the_module)
{
    static const char path[] = "BPF:\\module_test";
    struct rig_object o;
    REQUIRE(rig_must_load(&o, "droppacket.sys"));
    CHECK_EQ(bpf_program__pin(rig_program(&o, "DropPacket"), path), 0);
    rig_close(&o);
    CHECK_EQ(rig_services(), 1);
    int fd = bpf_obj_get(path);
    CHECK(fd >= 0);
    CHECK_EQ(rig_run_frame(fd), RIG_DROP);
    CHECK_EQ(ebpf_object_unpin(path), EBPF_SUCCESS);
    CHECK_EQ(rig_run_frame(fd), RIG_DROP);
    ebpf_close_fd(fd);
}

WITH_NOTHING_LEFT(two_modules_are_two_drivers)
{
    struct rig_object a, b;
    REQUIRE(rig_must_load(&a, "droppacket.sys") && rig_must_load(&b, "audit.sys"));
    CHECK_EQ(rig_services(), 2);
    CHECK_EQ(rig_drop_frame(&a), RIG_DROP);
    rig_close(&a);
    CHECK_EQ(rig_wait_services(1), 1);
    CHECK_EQ(rig_run(rig_program(&b, "answer")), 42);
    rig_close(&b);
}

WITH_NOTHING_LEFT(the_same_file_twice_is_two_instances)
{
    struct rig_object a, b;
    REQUIRE(rig_must_load(&a, "droppacket.sys") && rig_must_load(&b, "droppacket.sys"));
    CHECK_EQ(rig_services(), 2);
    CHECK_EQ(rig_drop_frame(&a), RIG_DROP);
    CHECK_EQ(rig_drop_frame(&a), RIG_DROP);
    CHECK_EQ(rig_drop_frame(&b), RIG_DROP);
    CHECK_EQ(rig_dropped(&a), 2);
    CHECK_EQ(rig_dropped(&b), 1);
    rig_close(&a);
    CHECK_EQ(rig_drop_frame(&b), RIG_DROP);
    rig_close(&b);
}

WITH_NOTHING_LEFT(modules_come_and_go_many_times)
{
    for (unsigned turn = 0; turn < 20; turn++) {
        struct rig_object o;
        REQUIRE(rig_must_load(&o, "droppacket.sys"));
        CHECK_EQ(rig_drop_frame(&o), RIG_DROP);
        rig_close(&o);
    }
}

// --- a driver is stopped while it is used --------------------------------------------------------

static void stop_module(void)
{
    wchar_t name[RIG_NAME];
    REQUIRE(rig_first_service(name));
    CHECK_EQ(scm_stop(name), 0);
}

WITH_NOTHING_LEFT(a_module_is_stopped_while_attached)
{
    struct rig_object o;
    REQUIRE(rig_must_load(&o, "audit.sys"));
    struct bpf_link *link = bpf_program__attach(rig_program(&o, "count_bind"));
    CHECK(link != NULL);
    stop_module();
    CHECK_EQ(rig_wait_services(0), 0);
    CHECK(rig_run(rig_program(&o, "answer")) < 0); // it is there and does not run
    CHECK_EQ(bpf_link__destroy(link), 0);
    rig_close(&o);
}

static DWORD WINAPI run_for_hours(void *user)
{
    return rig_run_repeated(*(int *)user, INT32_MAX) == 0 ? 0 : 1;
}

WITH_NOTHING_LEFT(a_module_is_stopped_while_it_runs)
{
    struct rig_object o;
    REQUIRE(rig_must_load(&o, "droppacket.sys"));
    int fd = bpf_program__fd(rig_program(&o, "DropPacket"));
    HANDLE thread = CreateThread(NULL, 0, run_for_hours, &fd, 0, NULL);
    for (unsigned tries = 0; tries < 500 && rig_dropped(&o) < 100; tries++) {
        Sleep(10);
    }
    CHECK(rig_dropped(&o) >= 100);
    stop_module();
    CHECK_EQ(WaitForSingleObject(thread, 10000), WAIT_OBJECT_0);
    CloseHandle(thread);
    rig_close(&o);
}

// ebpfcore unloads the modules when it goes itself. Under Wine they are unloaded a little later, so that the
// copies are left to the next load.
WITH_NOTHING_LEFT(the_execution_context_is_stopped_under_modules)
{
    struct rig_object a, b;
    REQUIRE(rig_must_load(&a, "droppacket.sys") && rig_must_load(&b, "audit.sys"));
    struct bpf_link *link = bpf_program__attach(rig_program(&b, "count_bind"));
    CHECK_EQ(scm_stop(L"" NAME_DRIVER), 0);
    CHECK_EQ(rig_wait_services(0), 0);
    CHECK(rig_drop_frame(&a) < 0);
    CHECK_EQ(scm_start(L"" NAME_DRIVER), 0);
    CHECK(rig_drop_frame(&a) < 0);
    (void)bpf_link__destroy(link);
    rig_close(&a);
    rig_close(&b);
    REQUIRE(rig_must_load(&a, "droppacket.sys"));
    CHECK_EQ(rig_drop_frame(&a), RIG_DROP);
    rig_close(&a);
}

// --- loads that are not finished -----------------------------------------------------------------

WITH_NOTHING_LEFT(a_driver_that_nobody_opens_goes)
{
    static const wchar_t name[] = L"ebpf_nobody_0011223344556677";
    rig_set_grace(400);
    REQUIRE(rig_make_service(name, "droppacket.sys"));
    CHECK_EQ(scm_start(name), 0);
    CHECK(rig_wait_stopped(name));
    CHECK_EQ(rig_services(), 1); // the service is left, stopped, until the next load
    rig_set_grace(0);
    struct rig_object o;
    REQUIRE(rig_must_load(&o, "droppacket.sys"));
    CHECK_EQ(rig_services(), 1);
    rig_close(&o);
}

WITH_NOTHING_LEFT(a_service_that_was_never_started_is_removed)
{
    static const wchar_t name[] = L"ebpf_nobody_0011223344556677";
    struct rig_object o;
    REQUIRE(rig_make_service(name, "droppacket.sys"));
    CHECK_EQ(rig_services(), 1);
    REQUIRE(rig_must_load(&o, "audit.sys"));
    CHECK_EQ(rig_services(), 1);
    rig_close(&o);
}

// Its client died before it had written one.
WITH_NOTHING_LEFT(a_service_without_an_id_is_removed)
{
    static const wchar_t name[] = L"ebpf_nobody_0011223344556677";
    struct rig_object o;
    REQUIRE(rig_make_service_without_id(name, "droppacket.sys"));
    REQUIRE(rig_must_load(&o, "audit.sys"));
    CHECK_EQ(rig_services(), 1);
    rig_close(&o);
}

// Another load sees to it that the service does not outlive its driver.
WITH_NOTHING_LEFT(a_service_that_runs_for_nobody_goes_with_its_driver)
{
    static const wchar_t name[] = L"ebpf_nobody_0011223344556677";
    struct rig_object o;
    REQUIRE(rig_make_service(name, "droppacket.sys"));
    CHECK_EQ(scm_start(name), 0);
    REQUIRE(rig_must_load(&o, "audit.sys"));
    CHECK_EQ(rig_services(), 2);
    rig_close(&o);
    CHECK_EQ(scm_stop(name), 0);
}

// Services of others are not touched, whatever their names begin with.
WITH_NOTHING_LEFT(a_service_that_is_no_modules_stays)
{
    static const wchar_t *const names[] = {L"ebpf_0011223344556677", L"ebpf_nobody_001122334455667G"};
    struct rig_object o;
    REQUIRE(rig_make_service(names[0], "droppacket.sys") && rig_make_service(names[1], "droppacket.sys"));
    REQUIRE(rig_must_load(&o, "audit.sys"));
    CHECK_EQ(rig_services(), 3);
    rig_close(&o);
    CHECK_EQ(rig_wait_services(2), 2);
    rig_remove_services();
}

// The driver waits for ebpfcore, registers when that comes, and goes because nobody opens it.
WITH_NOTHING_LEFT(a_driver_that_comes_before_ebpfcore)
{
    static const wchar_t name[] = L"ebpf_nobody_0011223344556677";
    struct proto_witness now;
    struct rig_object o;
    rig_set_grace(400);
    CHECK_EQ(scm_stop(L"" NAME_DRIVER), 0);
    CHECK(rig_make_service(name, "droppacket.sys"));
    CHECK_EQ(scm_start(name), 0);
    CHECK_EQ(scm_start(L"" NAME_DRIVER), 0);
    CHECK(rig_wait_stopped(name));
    CHECK(device_wait_quiet(&now)); // and ebpfcore did not take it for its own
    rig_set_grace(0);
    REQUIRE(rig_must_load(&o, "droppacket.sys"));
    rig_close(&o);
}

// A driver that runs already is taken in while ebpfcore starts: every allocation of both fails once, and the
// test bed reports what is left. A module that is not taken in stays out.
WITH_NOTHING_LEFT(memory_runs_out_while_a_module_is_taken_in)
{
    enum { ENOUGH = 200 };
    static const wchar_t name[] = L"ebpf_nobody_0011223344556677";
    struct proto_witness now = {0};
    struct rig_object o;
    DWORD nth = 0;
    REQUIRE(rig_make_service(name, "droppacket.sys"));
    while (now.objects[PROTO_KIND_MODULE] == 0 && ++nth < ENOUGH) {
        CHECK(scm_stop(L"" NAME_DRIVER) == 0 || nth != 1);
        CHECK(scm_start(name) == 0 || nth != 1); // it stays from one turn to the next
        rig_set_parameter(L"FailAllocation", nth);
        if (scm_start(L"" NAME_DRIVER) == 0) {
            CHECK(device_witness(&now));
        }
    }
    CHECK(nth > 5 && nth < ENOUGH);
    rig_set_parameter(L"FailAllocation", 0);
    CHECK_EQ(scm_stop(L"" NAME_DRIVER), 0);
    CHECK_EQ(scm_start(L"" NAME_DRIVER), 0);
    CHECK(rig_wait_stopped(name));
    REQUIRE(rig_must_load(&o, "droppacket.sys"));
    rig_close(&o);
}

static void load_and_close(void)
{
    struct rig_object o;
    REQUIRE(rig_must_load(&o, "droppacket.sys"));
    rig_close(&o);
    CHECK_EQ(rig_wait_services(0), 0);
}

static void kill_client_after(DWORD wait)
{
    wchar_t name[RIG_NAME];
    HANDLE child = rig_start_client();
    REQUIRE(child != NULL);
    CHECK_EQ(rig_wait_services(1), 1);
    Sleep(wait);
    CHECK(TerminateProcess(child, 9));
    CHECK_EQ(WaitForSingleObject(child, 5000), WAIT_OBJECT_0);
    CloseHandle(child);
    CHECK(!rig_first_service(name) || rig_wait_stopped(name));
    load_and_close(); // removes what was left
}

// Wherever it is then: between making the service and holding the programs.
WITH_NOTHING_LEFT(a_client_is_killed)
{
    rig_set_grace(400);
    for (DWORD wait = 0; wait < 40; wait += 8) {
        kill_client_after(wait);
        rig_remove_services();
    }
    rig_set_grace(0);
    load_and_close(); // the copy, when the dead client's service was still open at the load before
}

static int be_client(void)
{
    struct rig_object o;
    if (!rig_load(&o, "droppacket.sys")) {
        return 1;
    }
    Sleep(INFINITE);
    return 0;
}

// --- policy of the service -----------------------------------------------------------------------

WITH_NOTHING_LEFT(unsigned_modules_are_refused_when_signatures_are_wanted)
{
    struct rig_object o;
    rig_require_signatures(true);
    CHECK(!rig_load(&o, "droppacket.sys"));
    CHECK(strstr(rig_messages(), "wants signed native modules") != NULL);
    CHECK_EQ(rig_wait_services(0), 0); // the driver that was refused would be found, too
    REQUIRE(rig_must_load(&o, "signed.sys"));
    CHECK_EQ(rig_drop_frame(&o), RIG_DROP);
    rig_close(&o);
    rig_require_signatures(false);
    REQUIRE(rig_must_load(&o, "droppacket.sys"));
    rig_close(&o);
}

// --- refusals ------------------------------------------------------------------------------------

// File, and a part of the sentence that says why it is refused. Wine never unmaps a driver that did not
// start, so that the copy stays.
static const struct refusal {
    const char *file, *text;
    bool stays;
} refusals[] = {
    {"wrong_digest.sys", "digest is wrong", false},
    {"other_version.sys", "is of version 2; this execution context takes version 1", true},
    {"missing_helper.sys", "bpf_map_lookup_none", false},
    {"other_evidence.sys", "evidence", false},
    {"unverified.sys", "reads 1 byte at packet offset 23", false},
    {"truncated.sys", "truncated", false},
    {"process.dll", "is for processes", false},
    {"arm64.sys", "is for arm64", false},
    {"missing_driver.sys", "does not start", true},
};

static void check_refused(const struct refusal *r)
{
    struct proto_witness before;
    struct rig_object o;
    REQUIRE(device_wait_quiet(&before));
    unsigned copies = rig_copies();
    bool loaded = rig_load(&o, r->file);
    CHECK(!loaded);
    if (loaded) {
        rig_close(&o);
    }
    if (strstr(rig_messages(), r->text) == NULL) {
        test_fail(__FILE__, __LINE__, "%s: no \"%s\" in: %s", r->file, r->text, rig_messages());
    }
    CHECK(device_wait_witness(&before));
    CHECK_EQ(rig_wait_services(0), 0);
    CHECK(rig_wait_copies(copies + r->stays) <= copies + r->stays);
    rig_remove_services();
}

TEST_SUITE(module_driver)
{
    if (rig_is_client()) {
        exit(be_client());
    }
    (void)scm_start(L"" NAME_DRIVER);
    RUN(a_module_is_loaded_run_and_unloaded);
    RUN(a_program_is_attached_and_detached);
    RUN(a_pin_keeps_the_module);
    RUN(two_modules_are_two_drivers);
    RUN(the_same_file_twice_is_two_instances);
    RUN(modules_come_and_go_many_times);
    RUN(a_module_is_stopped_while_attached);
    RUN(a_module_is_stopped_while_it_runs);
    RUN(the_execution_context_is_stopped_under_modules);
    RUN(a_driver_that_nobody_opens_goes);
    RUN(a_service_that_was_never_started_is_removed);
    RUN(a_service_without_an_id_is_removed);
    RUN(a_service_that_runs_for_nobody_goes_with_its_driver);
    RUN(a_service_that_is_no_modules_stays);
    RUN(a_driver_that_comes_before_ebpfcore);
    RUN(memory_runs_out_while_a_module_is_taken_in);
    RUN(a_client_is_killed);
    RUN(unsigned_modules_are_refused_when_signatures_are_wanted);
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) { // last, for the copies that stay
        RUN_WITH(refusals[i].file, check_refused, &refusals[i]);
    }
}
