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
    LIBBPF_OPTS(ebpf_verify_opts, opts, .program = "prog");
    struct ebpf_verify_report *r = verify(OBJECT("extern_weak.o"), &opts);
    REQUIRE(r != NULL);
    CHECK(r->readable && !r->accepted);
    CHECK_EQ(r->program_count, 1);
    if (r->program_count == 1 && r->programs[0].finding_count > 0) {
        const struct ebpf_verify_finding *f = &r->programs[0].findings[0];
        CHECK_STR(f->rule, "unresolved-relocation");
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
    LIBBPF_OPTS(ebpf_verify_opts, opts, .dialect = EBPF_DIALECT_WINDOWS);
    struct ebpf_verify_report *r = verify(OBJECT("text.o"), &opts);
    REQUIRE(r != NULL);
    CHECK(r->readable && !r->accepted && r->program_count > 0);
    for (uint32_t i = 0; i < r->program_count; i++) {
        CHECK_STR(r->programs[i].type, "");
        CHECK_STR(r->programs[i].findings[0].rule, "unknown-section");
    }
    ebpf_verify_free(r);
}

// Loaders of Linux gave such programs any type: the report says which one was taken.
static void types_are_guessed_for_linux(void)
{
    LIBBPF_OPTS(ebpf_verify_opts, opts, .dialect = EBPF_DIALECT_LINUX);
    struct ebpf_verify_report *r = verify(OBJECT("text.o"), &opts);
    REQUIRE(r != NULL);
    CHECK(r->readable && r->program_count > 0);
    for (uint32_t i = 0; i < r->program_count; i++) {
        CHECK_STR(r->programs[i].type, "socket_filter");
    }
    ebpf_verify_free(r);
}

static const struct ebpf_verify_program *only_program(const struct ebpf_verify_report *r, const char *name)
{
    for (uint32_t i = 0; r != NULL && i < r->program_count; i++) {
        if (strcmp(r->programs[i].name, name) == 0) {
            return &r->programs[i];
        }
    }
    return NULL;
}

// CO-RE against the object's own types, and against a file: what the file lacks is refused where it is
// reached.
static void relocates_against_a_file(void)
{
    LIBBPF_OPTS(ebpf_verify_opts, opts, .btf = "core_target.btf");
    FILE *file = fopen("core_target.btf", "wb");
    struct bpf_object *target = bpf_object__open(OBJECT("core_target.o"));
    REQUIRE(file != NULL && target != NULL);
    fwrite(target->elf.btf, 1, target->elf.btf_size, file);
    fclose(file);
    bpf_object__close(target);
    struct ebpf_verify_report *r = verify(OBJECT("core.o"), &opts);
    const struct ebpf_verify_program *types = only_program(r, "types"),
                                     *poisoned = only_program(r, "offsets");
    REQUIRE(types != NULL && poisoned != NULL);
    CHECK(types->accepted);
    CHECK(!poisoned->accepted && poisoned->finding_count == 1);
    ebpf_verify_free(r);
    opts.btf = "no such file";
    r = verify(OBJECT("core.o"), &opts);
    REQUIRE(r != NULL);
    CHECK(!r->readable && strstr(r->error_message, "no such file") != NULL);
    ebpf_verify_free(r);
    remove("core_target.btf");
}

// Every allocation fails once: an error, or a verdict that is no "accepted"; nothing stays.
struct written {
    size_t size[EBPF_VERIFY_TRACE + 1]; // by output
    char first[EBPF_VERIFY_TRACE + 1];
    unsigned programs;
};

static void keep_size(void *user, enum ebpf_verify_output output, const char *text, size_t size)
{
    struct written *w = user;
    w->first[output] = w->size[output] == 0 ? text[0] : w->first[output];
    w->size[output] += size;
}

static void count_programs(void *user, uint32_t index, uint32_t count, const char *section, const char *name)
{
    struct written *w = user;
    CHECK(index < count && section[0] != 0 && name[0] != 0);
    w->programs++;
}

static void writes_what_is_asked_for(void)
{
    struct written w = {0};
    LIBBPF_OPTS(ebpf_verify_opts, opts, .outputs = EBPF_VERIFY_SARIF | EBPF_VERIFY_HTML, .write = keep_size,
                .progress = count_programs, .user = &w);
    ebpf_verify_free(verify(OBJECT("shared.o"), &opts));
    CHECK_EQ(w.programs, 2);
    CHECK(w.first[EBPF_VERIFY_SARIF] == '{' && w.first[EBPF_VERIFY_HTML] == '<');
    CHECK_EQ(w.size[EBPF_VERIFY_TRACE], 0);
    opts.outputs = EBPF_VERIFY_SARIF | EBPF_VERIFY_TRACE;
    w = (struct written){0};
    ebpf_verify_free(verify(OBJECT("no such file"), &opts)); // the log says so
    CHECK(w.size[EBPF_VERIFY_SARIF] > 0 && w.size[EBPF_VERIFY_TRACE] == 0);
    ebpf_verify_free(verify(OBJECT("neutral.o"), &opts));
    CHECK(w.size[EBPF_VERIFY_TRACE] > 0);
}

static void findings_say_what_to_change(void)
{
    struct ebpf_verify_report *r = verify(OBJECT("shared.o"), NULL);
    REQUIRE(r != NULL);
    CHECK(r->program_count == 2 && r->programs[0].finding_count == 1);
    if (r->program_count == 2 && r->programs[0].finding_count == 1) {
        const struct ebpf_verify_finding *f = &r->programs[0].findings[0];
        CHECK(strstr(f->text, f->message) != NULL && strstr(f->text, f->rule) != NULL);
        CHECK_EQ(f->text[strlen(f->text) - 1], '\n');
        CHECK(f->lost_text != NULL && f->related.file != NULL && f->lost.source != NULL);
    }
    ebpf_verify_free(r);
}

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
    RUN(types_are_guessed_for_linux);
    RUN(relocates_against_a_file);
    RUN(writes_what_is_asked_for);
    RUN(findings_say_what_to_change);
    RUN(survives_allocation_failures);
}
