// SPDX-License-Identifier: MIT
// cmd_prog_verify: `bpftool prog verify`: what the verifier says about an object file, with no daemon. Exit
// status 0: all programs accepted, 1: something rejected, 2: the object could not be read, or an output not
// written. The JSON is documented and stable.
#include <time.h>

#include "cli/cli_int.h"

enum { STATUS_ACCEPTED = 0, STATUS_REJECTED = 1, STATUS_UNREADABLE = 2 };

struct verify {
    const char *section, *program, *type, *dialect, *btf, *sarif, *html;
    bool trace, unprivileged;
};

static const struct keyword rows[] = {
    {"section", "NAME", KEYWORD_TEXT, false, false, "section", offsetof(struct verify, section), NULL},
    {"program", "NAME", KEYWORD_TEXT, false, false, "program", offsetof(struct verify, program), NULL},
    {"type", "TYPE", KEYWORD_TEXT, false, false, "program type", offsetof(struct verify, type), NULL},
    {"dialect", "{ linux | windows }", KEYWORD_TEXT, false, false, "dialect",
     offsetof(struct verify, dialect), NULL},
    {"--btf", "FILE", KEYWORD_TEXT, false, false, "BTF file", offsetof(struct verify, btf), NULL},
    {"--sarif", "FILE", KEYWORD_TEXT, false, false, "SARIF file", offsetof(struct verify, sarif), NULL},
    {"--html", "FILE", KEYWORD_TEXT, false, false, "HTML file", offsetof(struct verify, html), NULL},
    {"--trace", NULL, KEYWORD_FLAG, false, false, "trace", offsetof(struct verify, trace), NULL},
    {"--unprivileged", NULL, KEYWORD_FLAG, false, false, "unprivileged",
     offsetof(struct verify, unprivileged), NULL},
};
const struct keywords cmd_prog_verify_keywords = KEYWORDS(rows);

// --- JSON ----------------------------------------------------------------------------------------

static void program_json(struct json *j, const struct ebpf_verify_program *p)
{
    json_start_object(j);
    json_string_member(j, "section", p->section);
    json_string_member(j, "name", p->name);
    json_string_member(j, "type", p->type);
    json_uint_member(j, "insns", p->insn_count);
    json_string_member(j, "verdict", p->accepted ? "accept" : "reject");
    json_uint_member(j, "time_us", p->time_us);
    json_uint_member(j, "states", p->states);
    json_uint_member(j, "peak_kb", p->peak_kb);
    json_name(j, "findings");
    json_start_array(j);
    for (uint32_t i = 0; i < p->finding_count; i++) {
        json_value(j, p->findings[i].json);
    }
    json_end_array(j);
    json_end_object(j);
}

static void report_json(struct json *j, const struct ebpf_verify_report *r)
{
    json_start_object(j);
    json_string_member(j, "object", r->object);
    if (r->readable) {
        json_name(j, "programs");
        json_start_array(j);
        for (uint32_t i = 0; i < r->program_count; i++) {
            program_json(j, &r->programs[i]);
        }
        json_end_array(j);
    } else {
        json_name(j, "error");
        json_start_object(j);
        json_string_member(j, "section", r->error_section);
        json_string_member(j, "message", r->error_message);
        json_end_object(j);
    }
    json_end_object(j);
}

// --- text ----------------------------------------------------------------------------------------

// The library's text, indented.
static void finding_plain(const struct ebpf_verify_finding *f)
{
    for (const char *text = f->text; *text != 0;) {
        size_t size = strcspn(text, "\n");
        cli_put_part("  ", text, size, "\n");
        text += size + (text[size] != 0);
    }
}

static void report_plain(struct cli *c, const struct ebpf_verify_report *r)
{
    if (!r->readable) {
        cli_error(c, 0, "%s: %s%s%s", r->object, r->error_section, r->error_section[0] != 0 ? ": " : "",
                  r->error_message);
    }
    for (uint32_t i = 0; i < r->program_count; i++) {
        const struct ebpf_verify_program *p = &r->programs[i];
        cli_put("", p->section, "/");
        cli_put("", p->name, ": ");
        printf("%s (%u insns, %llu us)\n", p->accepted ? "accepted" : "rejected", p->insn_count,
               (unsigned long long)p->time_us);
        for (uint32_t k = 0; k < p->finding_count; k++) {
            finding_plain(&p->findings[k]);
        }
    }
}

// --- command -------------------------------------------------------------------------------------

static int choose_dialect(struct cli *c, const char *name, enum ebpf_dialect *out)
{
    if (name == NULL) {
        return 0;
    }
    if (strcmp(name, "linux") == 0) {
        *out = EBPF_DIALECT_LINUX;
    } else if (strcmp(name, "windows") == 0) {
        *out = EBPF_DIALECT_WINDOWS;
    } else {
        return cli_error(c, -1, "expected 'linux' or 'windows', got: '%s'?", name);
    }
    return 0;
}

// --- files beside the report ---------------------------------------------------------------------

struct outputs {
    FILE *sarif, *html;
    bool progress, shown;
    time_t start;
};

static void write_piece(void *user, enum ebpf_verify_output output, const char *text, size_t size)
{
    struct outputs *o = user;
    FILE *file = output == EBPF_VERIFY_SARIF ? o->sarif : output == EBPF_VERIFY_HTML ? o->html : stdout;
    fwrite(text, 1, size, file); // errors are found when the file is closed
}

// One line that is overwritten, after the first second.
static void show_progress(void *user, uint32_t index, uint32_t count, const char *section, const char *name)
{
    struct outputs *o = user;
    (void)section;
    if (o->progress && time(NULL) > o->start + 1) {
        fprintf(stderr, "\r%u of %u: ", index + 1, count);
        for (size_t i = 0; i < 40; i++) {
            unsigned char c = *name != 0 ? (unsigned char)*name++ : ' ';
            fputc(c >= ' ' && c < 0x7f ? c : '?', stderr);
        }
        fflush(stderr);
        o->shown = true;
    }
}

// An output over the object that it is about would be a costly slip of the keyboard.
static int open_output(struct cli *c, const char *path, const char *const *others, FILE **out)
{
    *out = NULL;
    for (size_t i = 0; path != NULL && i < 3; i++) {
        if (file_is_same(path, others[i])) {
            return cli_error(c, -1, "%s is read, or written to, by this command already", path);
        }
    }
    *out = path != NULL ? fopen(path, "wb") : NULL;
    return path != NULL && *out == NULL
               ? cli_error(c, STATUS_UNREADABLE, "cannot write %s: %s", path, error_text(errno))
               : 0;
}

static bool close_output(FILE *file)
{
    bool failed = file != NULL && ferror(file) != 0;
    return (file == NULL || fclose(file) == 0) && !failed;
}

// The output that could not be written in full, or NULL.
static const char *close_outputs(const struct verify *v, struct outputs *o)
{
    bool sarif = close_output(o->sarif), html = close_output(o->html);
    return !sarif ? v->sarif : !html ? v->html : NULL;
}

int verify_show_report(struct cli *c, const struct ebpf_verify_report *report)
{
    if (c->json_output) {
        report_json(&c->json, report);
    } else {
        report_plain(c, report);
    }
    return !report->readable ? STATUS_UNREADABLE : report->accepted ? STATUS_ACCEPTED : STATUS_REJECTED;
}

static int verify_file(struct cli *c, const char *file, const struct verify *v, enum ebpf_dialect dialect,
                       struct outputs *o, struct ebpf_verify_report **out)
{
    LIBBPF_OPTS(ebpf_verify_opts, opts, .type = v->type, .section = v->section, .program = v->program,
                .dialect = dialect, .btf = v->btf, .write = write_piece, .progress = show_progress, .user = o,
                .unprivileged = v->unprivileged);
    opts.outputs = (o->sarif != NULL ? EBPF_VERIFY_SARIF : 0u) | (o->html != NULL ? EBPF_VERIFY_HTML : 0u) |
                   (v->trace ? EBPF_VERIFY_TRACE : 0u);
    ebpf_result_t result = ebpf_verify_file(file, &opts, out);
    if (o->shown) {
        fprintf(stderr, "\r%60s\r", "");
    }
    if (result != EBPF_SUCCESS) {
        return cli_error(c, STATUS_UNREADABLE, "cannot verify %s: %s", file, ebpf_result_text(result));
    }
    return 0;
}

static int verify_with_outputs(struct cli *c, const char *file, const struct verify *v,
                               enum ebpf_dialect dialect)
{
    struct outputs o = {.progress = cli_is_terminal(stderr), .start = time(NULL)};
    if (v->trace && c->json_output) {
        return cli_error(c, -1, "--trace prints text: it cannot be had with --json");
    }
    const char *const others[] = {file, v->btf, v->sarif};
    struct ebpf_verify_report *report = NULL;
    int status = open_output(c, v->sarif, (const char *const[]){file, v->btf, NULL}, &o.sarif);
    if (status == 0) {
        status = open_output(c, v->html, others, &o.html);
    }
    if (status == 0) {
        status = verify_file(c, file, v, dialect, &o, &report);
    }
    const char *failed = close_outputs(v, &o);
    // JSON is one value: the report, or why it is not all that was asked for.
    if (report != NULL && (failed == NULL || !c->json_output)) {
        status = verify_show_report(c, report);
    }
    if (report != NULL && failed != NULL) {
        status = cli_error(c, STATUS_UNREADABLE, "cannot write all of %s", failed);
    }
    ebpf_verify_free(report);
    return status;
}

int cmd_prog_verify(struct cli *c, struct args *a)
{
    struct verify v = {0};
    enum ebpf_dialect dialect = EBPF_DIALECT_AUTO;
    const char *file;
    int status = args_require(c, a, "verify", 1);
    if (status != 0) {
        return status;
    }
    file = args_take(a);
    c->status_unwritten = c->batch ? 0 : STATUS_UNREADABLE; // a report in part is none
    status = keywords_parse(c, a, &cmd_prog_verify_keywords, &v);
    if (status == 0) {
        status = choose_dialect(c, v.dialect, &dialect);
    }
    if (status == 0 && v.type != NULL && ebpf_get_program_type_by_name(v.type, NULL, NULL) != EBPF_SUCCESS) {
        status = cli_error(c, -1, "unknown program type '%s'", v.type);
    }
    return status == 0 ? verify_with_outputs(c, file, &v, dialect) : status;
}
