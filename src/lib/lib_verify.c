// SPDX-License-Identifier: MIT
// lib_verify: verification of object files without an execution context: the same reader and the same
// verifier that the service uses, in this process. The report owns one arena that holds everything it points
// to.
#include <errno.h>

#include "lib/lib_int.h"
#include "plat/plat.h"
#include "verifier/verifier.h"

struct holder {
    struct ebpf_verify_report report; // first: what the caller sees
    struct arena arena;
};

// What one verification works with.
struct job {
    struct holder *holder;
    const struct ebpf_verify_opts *opts;
    struct elf_object elf;
    struct ebpf_verify_program *programs;
};

static const char *keep(struct holder *holder, const char *text)
{
    const char *copy = arena_strdup(&holder->arena, text);
    return copy != NULL ? copy : ""; // a report without one text is still a report
}

// --- findings ------------------------------------------------------------------------------------

static void fill_source(struct holder *holder, const struct program *p, struct ebpf_verify_finding *out)
{
    const struct line *line = out->pc >= 0 ? program_line(p, (uint32_t)out->pc) : NULL;
    out->file = out->source = "";
    if (line != NULL) {
        out->file = keep(holder, program_string(p, line->file_off));
        out->source = keep(holder, program_string(p, line->text_off));
        out->line = line->line;
    }
}

static void fill_finding(struct holder *holder, const struct program *p, const struct finding *from,
                         struct ebpf_verify_finding *out)
{
    out->rule = rule_row(from->rule)->name;
    out->pc = from->pc == UINT32_MAX ? -1 : (int64_t)from->pc;
    fill_source(holder, p, out);
    out->message = keep(holder, from->message);
    out->needed = keep(holder, from->needed);
    out->known = keep(holder, from->known);
    out->hint = keep(holder, from->hint);
}

// A program that was refused before the verifier could see it.
static ebpf_result_t add_sentence(struct holder *holder, struct ebpf_verify_program *out, const char *rule,
                                  const char *message, const char *hint)
{
    struct ebpf_verify_finding *finding = arena_alloc(&holder->arena, sizeof(*finding));
    if (finding == NULL) {
        return EBPF_NO_MEMORY;
    }
    *finding = (struct ebpf_verify_finding){rule, -1, "", 0, "", keep(holder, message), "", "", hint};
    out->findings = finding;
    out->finding_count = 1;
    return EBPF_SUCCESS;
}

static ebpf_result_t take_findings(struct holder *holder, const struct program *p,
                                   const struct verify_report *report, struct ebpf_verify_program *out)
{
    struct ebpf_verify_finding *findings =
        arena_array(&holder->arena, report->finding_count, sizeof(*findings));
    if (findings == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < report->finding_count; i++) {
        fill_finding(holder, p, &report->findings[i], &findings[i]);
    }
    out->findings = findings;
    out->finding_count = report->finding_count;
    return EBPF_SUCCESS;
}

// --- one program ---------------------------------------------------------------------------------

static ebpf_result_t run_verifier(struct holder *holder, const struct program *p, struct arena *arena,
                                  struct ebpf_verify_program *out)
{
    struct verify_options options = {.spec = spec_builtin()};
    struct verify_report report = {0};
    uint64_t start = plat_time_ns();
    ebpf_result_t result = verify_program(p, &options, arena, &report);
    out->time_us = (plat_time_ns() - start) / 1000;
    out->states = report.states;
    out->peak_kb = (uint32_t)((report.peak_bytes + 1023) / 1024);
    out->accepted = result == EBPF_SUCCESS && report.accepted;
    if (!out->accepted && report.finding_count == 0) {
        return add_sentence(holder, out, result == EBPF_NO_MEMORY ? "memory-limit" : "malformed-program",
                            result == EBPF_NO_MEMORY
                                ? "the program needs more memory to verify than is permitted"
                                : ebpf_result_text(result),
                            "");
    }
    return take_findings(holder, p, &report, out);
}

static ebpf_result_t judge(struct job *job, uint32_t index, uint32_t type, uint32_t attach_type,
                           struct ebpf_verify_program *out)
{
    uint32_t map_of[SPEC_MAX_MAPS];
    struct elf_error error = {0};
    struct program program;
    struct arena arena;
    arena_init(&arena, lib_mem_source(), VERIFY_MEMORY_LIMIT);
    ebpf_result_t result = elf_program_canonical(&job->elf, index, spec_builtin(), type, attach_type, &arena,
                                                 &program, map_of, &error);
    if (result == EBPF_SUCCESS) {
        result = run_verifier(job->holder, &program, &arena, out);
    } else if (result != EBPF_NO_MEMORY) {
        result = add_sentence(job->holder, out, "malformed-program",
                              error.message[0] != '\0' ? error.message : ebpf_result_text(result), "");
    }
    arena_fini(&arena);
    return result;
}

static ebpf_result_t verify_one(struct job *job, uint32_t index, struct ebpf_verify_program *out)
{
    const struct elf_program *elf = &job->elf.programs[index];
    const struct spec_view *v = spec_builtin();
    const char *wanted = LIB_OPTS_GET(job->opts, type, NULL);
    uint32_t attach = elf->attach_type, type = v->attach_types[attach].prog_type;
    if (wanted != NULL) {
        TRY(lib_type_by_name(wanted, &type, &attach));
    }
    *out = (struct ebpf_verify_program){
        .section = keep(job->holder, elf->section),
        .name = keep(job->holder, elf->name),
        .type = type != PROG_TYPE_NONE ? lib_prog_type_name(type) : "",
        .insn_count = elf->insn_count,
    };
    if (type == PROG_TYPE_NONE) {
        return add_sentence(job->holder, out, "unknown-section", "no program type is known for this section",
                            "name the section after a program type, or say which type is meant");
    }
    return judge(job, index, type, attach, out);
}

static bool selected(const struct job *job, const struct elf_program *elf)
{
    const char *section = LIB_OPTS_GET(job->opts, section, NULL),
               *name = LIB_OPTS_GET(job->opts, program, NULL);
    return (section == NULL || str_equal(section, elf->section)) &&
           (name == NULL || str_equal(name, elf->name));
}

// --- the object ----------------------------------------------------------------------------------

static void say_unreadable(struct holder *holder, const char *section, const char *message)
{
    holder->report.readable = false;
    holder->report.error_section = keep(holder, section);
    holder->report.error_message = keep(holder, message);
}

static ebpf_result_t verify_all(struct job *job)
{
    struct ebpf_verify_report *report = &job->holder->report;
    job->programs = arena_array(&job->holder->arena, job->elf.program_count, sizeof(*job->programs));
    if (job->programs == NULL) {
        return EBPF_NO_MEMORY;
    }
    report->readable = report->accepted = true;
    report->programs = job->programs;
    for (uint32_t i = 0; i < job->elf.program_count; i++) {
        struct ebpf_verify_program *out = &job->programs[report->program_count];
        if (selected(job, &job->elf.programs[i])) {
            TRY(verify_one(job, i, out));
            report->program_count++;
            report->accepted &= out->accepted;
        }
    }
    if (report->program_count == 0) {
        report->accepted = false;
        say_unreadable(job->holder, "",
                       job->elf.program_count == 0 ? "the object has no program" : "no program is selected");
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t verify_object(struct holder *holder, const void *bytes, size_t size,
                                   const struct ebpf_verify_opts *opts)
{
    enum ebpf_dialect dialect = LIB_OPTS_GET(opts, dialect, EBPF_DIALECT_AUTO);
    struct elf_options options = {
        .spec = spec_builtin(),
        .dialect_given = dialect != EBPF_DIALECT_AUTO,
        .dialect = dialect == EBPF_DIALECT_WINDOWS ? DIALECT_WINDOWS : DIALECT_LINUX,
        .platform_default = LIB_DIALECT,
        .name = lib_base_name(holder->report.object),
    };
    struct elf_error error = {0};
    struct job job = {.holder = holder, .opts = opts};
    ebpf_result_t result = elf_open(bytes, size, &options, &holder->arena, &job.elf, &error);
    if (result == EBPF_NO_MEMORY) {
        return result;
    }
    if (result != EBPF_SUCCESS) {
        say_unreadable(holder, error.section,
                       error.message[0] != '\0' ? error.message : ebpf_result_text(result));
        return EBPF_SUCCESS;
    }
    return verify_all(&job);
}

// --- public --------------------------------------------------------------------------------------

static bool opts_ok(const struct ebpf_verify_opts *opts)
{
    uint32_t type = 0, attach = 0;
    const char *wanted = LIB_OPTS_VALID(opts, ebpf_verify_opts) ? LIB_OPTS_GET(opts, type, NULL) : NULL;
    return LIB_OPTS_VALID(opts, ebpf_verify_opts) &&
           (wanted == NULL || lib_type_by_name(wanted, &type, &attach) == EBPF_SUCCESS) &&
           (unsigned)LIB_OPTS_GET(opts, dialect, EBPF_DIALECT_AUTO) <= EBPF_DIALECT_WINDOWS;
}

static ebpf_result_t create_holder(const char *name, struct holder **out)
{
    struct holder *holder = lib_alloc(sizeof(*holder));
    if (holder == NULL) {
        return EBPF_NO_MEMORY;
    }
    arena_init(&holder->arena, lib_mem_source(), 0);
    holder->report.error_section = holder->report.error_message = "";
    holder->report.object = arena_strdup(&holder->arena, name);
    if (holder->report.object == NULL) {
        ebpf_verify_free(&holder->report);
        return EBPF_NO_MEMORY;
    }
    *out = holder;
    return EBPF_SUCCESS;
}

ebpf_result_t ebpf_verify_memory(const void *bytes, size_t size, const struct ebpf_verify_opts *opts,
                                 struct ebpf_verify_report **report)
{
    struct holder *holder = NULL;
    if (!opts_ok(opts)) {
        return EBPF_INVALID_ARGUMENT;
    }
    const char *name = LIB_OPTS_GET(opts, object_name, NULL);
    TRY(create_holder(name != NULL ? name : "object", &holder));
    ebpf_result_t result = plat_init(); // clocks need it on Windows
    if (result == EBPF_SUCCESS) {
        result = verify_object(holder, bytes, size, opts);
        plat_fini();
    }
    if (result != EBPF_SUCCESS) {
        ebpf_verify_free(&holder->report);
        return result;
    }
    *report = &holder->report;
    return EBPF_SUCCESS;
}

static ebpf_result_t report_no_file(const char *path, struct ebpf_verify_report **report)
{
    const char *why = strerror(errno);
    struct holder *holder = NULL;
    TRY(create_holder(path, &holder));
    say_unreadable(holder, "", why);
    *report = &holder->report;
    return EBPF_SUCCESS;
}

ebpf_result_t ebpf_verify_file(const char *path, const struct ebpf_verify_opts *opts,
                               struct ebpf_verify_report **report)
{
    struct ebpf_verify_opts named = {.sz = sizeof(named)};
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (path == NULL || !opts_ok(opts)) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (opts != NULL) {
        memcpy(&named, opts, min_u64(opts->sz, sizeof(named)));
        named.sz = sizeof(named);
    }
    named.object_name = named.object_name != NULL ? named.object_name : path;
    ebpf_result_t result = lib_read_file(path, &bytes, &size);
    if (result == EBPF_NO_MEMORY) {
        return result;
    }
    if (result != EBPF_SUCCESS) {
        return report_no_file(named.object_name, report);
    }
    result = ebpf_verify_memory(bytes, size, &named, report);
    lib_free(bytes);
    return result;
}

void ebpf_verify_free(struct ebpf_verify_report *report)
{
    if (report != NULL) {
        struct holder *holder = CONTAINER_OF(report, struct holder, report);
        arena_fini(&holder->arena);
        lib_free(holder);
    }
}
