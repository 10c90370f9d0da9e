// SPDX-License-Identifier: MIT
// Tests of verification without a daemon, over the objects of tests/elf.
#include "lib/lib_testing.h"

#define OBJECT(name) TEST_SOURCE_DIR "/tests/elf/" name

static struct ebpf_verify_report *verify(const char *path, const struct ebpf_verify_opts *opts)
{
    struct ebpf_verify_report *report = NULL;
    CHECK_OK(ebpf_verify_file(path, opts, &report));
    return report;
}

static void accepts(void)
{
    struct ebpf_verify_report *r = verify(OBJECT("neutral.o"), NULL);
    REQUIRE(r != NULL);
    CHECK(r->readable && r->accepted);
    CHECK_EQ(r->program_count, 1);
    if (r->program_count == 1) {
        CHECK_STR(r->programs[0].section, "xdp");
        CHECK_STR(r->programs[0].name, "now");
        CHECK_STR(r->programs[0].type, "xdp");
        CHECK(r->programs[0].accepted);
        CHECK_EQ(r->programs[0].finding_count, 0);
        CHECK(r->programs[0].insn_count > 0);
    }
    ebpf_verify_free(r);
}

static void rejects_with_findings(void)
{
    LIBBPF_OPTS(ebpf_verify_opts, opts, .program = "callback");
    struct ebpf_verify_report *r = verify(OBJECT("rich.o"), &opts);
    REQUIRE(r != NULL);
    CHECK(r->readable && !r->accepted);
    CHECK_EQ(r->program_count, 1);
    if (r->program_count == 1 && r->programs[0].finding_count > 0) {
        const struct ebpf_verify_finding *f = &r->programs[0].findings[0];
        CHECK_STR(f->rule, "unknown-helper");
        CHECK(f->pc >= 0 && f->line > 0);
        CHECK(f->file[0] != 0 && f->source[0] != 0 && f->message[0] != 0);
    } else {
        CHECK(!"one program with a finding");
    }
    ebpf_verify_free(r);
}

static void says_why_an_object_cannot_be_read(void)
{
    struct ebpf_verify_report *r = verify(OBJECT("big_endian.o"), NULL);
    REQUIRE(r != NULL);
    CHECK(!r->readable && !r->accepted);
    CHECK(r->error_message[0] != 0);
    CHECK_EQ(r->program_count, 0);
    ebpf_verify_free(r);
    r = verify(OBJECT("no such file"), NULL);
    REQUIRE(r != NULL);
    CHECK(!r->readable);
    CHECK(r->error_message[0] != 0);
    ebpf_verify_free(r);
    r = NULL;
    CHECK_OK(ebpf_verify_memory("junk", 4, NULL, &r));
    REQUIRE(r != NULL);
    CHECK(!r->readable);
    ebpf_verify_free(r);
}

static void selects(void)
{
    LIBBPF_OPTS(ebpf_verify_opts, opts, .section = "no such section");
    struct ebpf_verify_report *r = verify(OBJECT("rich.o"), &opts);
    REQUIRE(r != NULL);
    CHECK(!r->readable); // nothing was judged: never "accepted"
    CHECK(!r->accepted);
    ebpf_verify_free(r);
    opts.section = NULL;
    opts.type = "no such type";
    r = NULL;
    CHECK_EQ(ebpf_verify_file(OBJECT("rich.o"), &opts, &r), EBPF_INVALID_ARGUMENT);
    opts.type = NULL;
    opts.dialect = (enum ebpf_dialect)7;
    CHECK_EQ(ebpf_verify_file(OBJECT("rich.o"), &opts, &r), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(ebpf_verify_file(NULL, NULL, &r), EBPF_INVALID_ARGUMENT);
    CHECK(r == NULL);
}

static void programs_without_a_type(void)
{
    struct ebpf_verify_report *r = verify(OBJECT("text.o"), NULL);
    REQUIRE(r != NULL);
    CHECK(r->readable && !r->accepted);
    for (uint32_t i = 0; i < r->program_count; i++) {
        CHECK_STR(r->programs[i].type, "");
        CHECK_STR(r->programs[i].findings[0].rule, "unknown-section");
    }
    ebpf_verify_free(r);
}

// Every allocation fails once: an error, or a verdict that is no "accepted"; nothing stays.
static void survives_allocation_failures(void)
{
    unsigned long live = lib_alloc_live(), n;
    bool done = false;
    for (n = 1; !done && n < 500; n++) {
        struct ebpf_verify_report *r = NULL;
        ebpf_result_t result;
        lib_alloc_fail(n);
        result = ebpf_verify_file(OBJECT("neutral.o"), NULL, &r);
        lib_alloc_fail(0);
        CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
        done = result == EBPF_SUCCESS && r->accepted;
        ebpf_verify_free(r);
        CHECK_EQ(lib_alloc_live(), live);
    }
    CHECK(done);
    CHECK(n > 3);
}

TEST_SUITE(lib_verify)
{
    RUN(accepts);
    RUN(rejects_with_findings);
    RUN(says_why_an_object_cannot_be_read);
    RUN(selects);
    RUN(programs_without_a_type);
    RUN(survives_allocation_failures);
}
