// SPDX-License-Identifier: MIT
// lib_verify: verification of object files without an execution context: the same reader and the same
// verifier that the service uses, in this process. The report owns one arena that holds everything it points
// to.
#include <errno.h>

#include "lib/lib_report.h"
#include "plat/plat.h"

struct holder {
    struct ebpf_verify_report report; // first: what the caller sees
    struct arena arena;
    const struct lib_verify_watch *watch; // or NULL
};

// What one verification works with.
struct job {
    struct holder *holder;
    const struct ebpf_verify_opts *opts;
    struct elf_object elf;
    struct ebpf_verify_program *programs;
    struct lib_report outputs;
};

static const char *keep(struct holder *holder, const char *text)
{
    const char *copy = arena_strdup(&holder->arena, text);
    return copy != NULL ? copy : ""; // a report without one text is still a report
}

// --- one program ---------------------------------------------------------------------------------

// A program that was refused before the verifier could see it.
static ebpf_result_t refuse(struct job *job, struct ebpf_verify_program *out, const char *rule,
                            const char *message, const char *hint)
{
    lib_report_sentence(&job->outputs, out, rule, message);
    return lib_report_copy_sentence(&job->holder->arena, rule, message, hint, out);
}

static ebpf_result_t run_verifier(struct job *job, const struct program *p, const uint32_t *map_of,
                                  struct arena *arena, struct ebpf_verify_program *out)
{
    const struct lib_verify_watch *watch = job->holder->watch;
    struct verify_options options = {
        .spec = spec_builtin(), .replay = true, .unprivileged = LIB_OPTS_GET(job->opts, unprivileged, false)};
    struct verify_report report = {0};
    TRY(lib_report_watch(&job->outputs, p, arena, &options));
    uint64_t start = plat_time_ns();
    ebpf_result_t result = verify_program(p, &options, arena, &report);
    out->time_us = (plat_time_ns() - start) / 1000;
    out->states = report.states;
    out->peak_kb = (uint32_t)((report.peak_bytes + 1023) / 1024);
    out->accepted = result == EBPF_SUCCESS && report.accepted;
    if (!out->accepted && report.finding_count == 0) {
        return refuse(job, out, result == EBPF_NO_MEMORY ? "memory-limit" : "malformed-program",
                      result == EBPF_NO_MEMORY ? "the program needs more memory to verify than is permitted"
                                               : ebpf_result_text(result),
                      "");
    }
    lib_report_program(&job->outputs, p, &report);
    if (out->accepted && watch != NULL) {
        const struct evidence evidence = {report.evidence, report.evidence_size};
        TRY(watch->accepted(watch->user, &job->holder->arena, &job->elf, p, map_of, &evidence));
    }
    return lib_report_copy(&job->holder->arena, p, &report, out);
}

// Canonical programs live as long as the report where somebody watches.
static ebpf_result_t judge(struct job *job, uint32_t index, uint32_t type, uint32_t attach_type,
                           struct ebpf_verify_program *out)
{
    uint32_t map_of[SPEC_MAX_MAPS];
    struct elf_error error = {0};
    struct program program;
    struct arena arena, *keep = job->holder->watch != NULL ? &job->holder->arena : &arena;
    arena_init(&arena, lib_mem_source(), VERIFY_MEMORY_LIMIT);
    ebpf_result_t result = elf_program_canonical(&job->elf, index, spec_builtin(), type, attach_type, keep,
                                                 &program, map_of, &error);
    if (!job->elf.has_license) { // whoever loads such an object says it
        str_copy(program.license, sizeof(program.license), "GPL");
    }
    if (result == EBPF_SUCCESS) {
        result = run_verifier(job, &program, map_of, &arena, out);
    } else if (result != EBPF_NO_MEMORY) {
        result = refuse(job, out, "malformed-program",
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
    uint32_t attach = elf->likely_attach_type, type = v->attach_types[attach].prog_type;
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
        return refuse(job, out, "unknown-section", "no program type is known for this section",
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

static void tell_progress(const struct job *job, uint32_t index)
{
    const struct elf_program *elf = &job->elf.programs[index];
    if (LIB_OPTS_GET(job->opts, progress, NULL) != NULL) {
        job->opts->progress(LIB_OPTS_GET(job->opts, user, NULL), index, job->elf.program_count, elf->section,
                            elf->name);
    }
}

PRINTF_LIKE(3, 4)
static void append(char *text, size_t size, const char *fmt, ...)
{
    size_t length = str_len(text);
    va_list args;
    va_start(args, fmt);
    str_vformat(text + length, size - length, fmt, args);
    va_end(args);
}

// Who asks for what is not there wants to know what is.
static void say_nothing_selected(struct job *job)
{
    enum { SHOWN = 8 };
    const char *section = LIB_OPTS_GET(job->opts, section, NULL),
               *name = LIB_OPTS_GET(job->opts, program, NULL);
    uint32_t count = job->elf.program_count;
    char text[1024] = "the object has ";
    for (uint32_t i = 0; i < count && i < SHOWN; i++) {
        append(text, sizeof(text), "%s%s/%s", i == 0 ? "" : ", ", job->elf.programs[i].section,
               job->elf.programs[i].name);
    }
    if (count > SHOWN) {
        append(text, sizeof(text), " and %u more", count - SHOWN);
    }
    append(text, sizeof(text), "%sno program", count == 0 ? "" : ", but ");
    if (name != NULL && count != 0) {
        append(text, sizeof(text), " '%s'", name);
    }
    if (section != NULL && count != 0) {
        append(text, sizeof(text), " of section '%s'", section);
    }
    say_unreadable(job->holder, "", text);
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
            tell_progress(job, i);
            TRY(verify_one(job, i, out));
            report->program_count++;
            report->accepted &= out->accepted;
        }
    }
    if (report->program_count == 0) {
        report->accepted = false;
        say_nothing_selected(job);
    }
    return EBPF_SUCCESS;
}

static void end_outputs(struct job *job)
{
    const struct ebpf_verify_report *report = &job->holder->report;
    lib_report_end(&job->outputs, report->readable ? NULL : report->error_message);
}

static ebpf_result_t verify_object(struct holder *holder, const void *bytes, size_t size,
                                   const struct ebpf_verify_opts *opts, const void *target,
                                   size_t target_size)
{
    enum ebpf_dialect dialect = LIB_OPTS_GET(opts, dialect, EBPF_DIALECT_AUTO);
    struct elf_options options = {
        .spec = spec_builtin(),
        .dialect_given = dialect != EBPF_DIALECT_AUTO,
        .dialect = dialect == EBPF_DIALECT_WINDOWS ? DIALECT_WINDOWS : DIALECT_LINUX,
        .platform_default = LIB_DIALECT,
        .name = lib_base_name(holder->report.object),
        .target_btf = target,
        .target_btf_size = target_size,
    };
    struct elf_error error = {0};
    struct job job = {.holder = holder, .opts = opts};
    lib_report_begin(&job.outputs, opts, holder->report.object);
    ebpf_result_t result = elf_open(bytes, size, &options, &holder->arena, &job.elf, &error);
    if (result == EBPF_NO_MEMORY) {
        return result;
    }
    if (result != EBPF_SUCCESS) {
        say_unreadable(holder, error.section,
                       error.message[0] != '\0' ? error.message : ebpf_result_text(result));
        end_outputs(&job);
        return EBPF_SUCCESS;
    }
    lib_maps_complete(&job.elf);
    result = verify_all(&job);
    end_outputs(&job);
    return result;
}

static ebpf_result_t say_no_btf(struct holder *holder, const char *path, const char *reason)
{
    static const char format[] = "cannot read the BTF file '%s': %s";
    size_t size = sizeof(format) + str_len(path) + str_len(reason);
    char *message = arena_alloc(&holder->arena, size);
    if (message == NULL) {
        return EBPF_NO_MEMORY;
    }
    str_format(message, size, format, path, reason);
    holder->report.readable = false;
    holder->report.error_message = message;
    return EBPF_SUCCESS;
}

// The same, with the types that CO-RE relocations are resolved against.
static ebpf_result_t verify_against(struct holder *holder, const void *bytes, size_t size,
                                    const struct ebpf_verify_opts *opts)
{
    const char *path = LIB_OPTS_GET(opts, btf, NULL);
    uint8_t *target = NULL;
    size_t target_size = 0;
    if (path != NULL) {
        ebpf_result_t result = lib_read_file(path, &target, &target_size);
        if (result == EBPF_NO_MEMORY) {
            return result;
        }
        if (result != EBPF_SUCCESS) {
            return say_no_btf(holder, path, strerror(errno));
        }
    }
    ebpf_result_t result = verify_object(holder, bytes, size, opts, target, target_size);
    lib_free(target);
    return result;
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

ebpf_result_t lib_verify_watched(const void *bytes, size_t size, const struct ebpf_verify_opts *opts,
                                 const struct lib_verify_watch *watch, struct ebpf_verify_report **report)
{
    struct holder *holder = NULL;
    if (!opts_ok(opts)) {
        return EBPF_INVALID_ARGUMENT;
    }
    const char *name = LIB_OPTS_GET(opts, object_name, NULL);
    TRY(create_holder(name != NULL ? name : "object", &holder));
    holder->watch = watch;
    ebpf_result_t result = plat_init(); // clocks need it on Windows
    if (result == EBPF_SUCCESS) {
        result = verify_against(holder, bytes, size, opts);
        plat_fini();
    }
    if (result != EBPF_SUCCESS) {
        ebpf_verify_free(&holder->report);
        return result;
    }
    *report = &holder->report;
    return EBPF_SUCCESS;
}

ebpf_result_t ebpf_verify_memory(const void *bytes, size_t size, const struct ebpf_verify_opts *opts,
                                 struct ebpf_verify_report **report)
{
    return lib_verify_watched(bytes, size, opts, NULL, report);
}

static ebpf_result_t report_no_file(const struct ebpf_verify_opts *opts, struct ebpf_verify_report **report)
{
    const char *why = strerror(errno);
    struct job job = {.opts = opts};
    struct holder *holder = NULL;
    TRY(create_holder(opts->object_name, &holder));
    say_unreadable(holder, "", why);
    job.holder = holder;
    lib_report_begin(&job.outputs, opts, holder->report.object);
    end_outputs(&job);
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
        return report_no_file(&named, report);
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
