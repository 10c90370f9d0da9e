// SPDX-License-Identifier: MIT
// cmd_prog_verify: `bpftool prog verify`: what the verifier says about an object file, with no daemon. Exit
// status 0: all programs accepted, 1: something rejected, 2: the object could not be read. The JSON is
// documented and stable.
#include "cli/cli_int.h"

enum { STATUS_ACCEPTED = 0, STATUS_REJECTED = 1, STATUS_UNREADABLE = 2 };

struct verify {
    const char *section, *program, *type, *dialect;
};

static const struct keyword rows[] = {
    {"section", "NAME", KEYWORD_TEXT, false, false, "section", offsetof(struct verify, section), NULL},
    {"program", "NAME", KEYWORD_TEXT, false, false, "program", offsetof(struct verify, program), NULL},
    {"type", "TYPE", KEYWORD_TEXT, false, false, "program type", offsetof(struct verify, type), NULL},
    {"dialect", "{ linux | windows }", KEYWORD_TEXT, false, false, "dialect",
     offsetof(struct verify, dialect), NULL},
};
const struct keywords cmd_prog_verify_keywords = KEYWORDS(rows);

// --- JSON ----------------------------------------------------------------------------------------

static void finding_json(struct json *j, const struct ebpf_verify_finding *f)
{
    json_start_object(j);
    json_string_member(j, "rule", f->rule);
    json_name(j, "pc");
    json_int(j, f->pc);
    json_string_member(j, "file", f->file);
    json_uint_member(j, "line", f->line);
    json_string_member(j, "source", f->source);
    json_string_member(j, "message", f->message);
    json_string_member(j, "needed", f->needed);
    json_string_member(j, "known", f->known);
    json_string_member(j, "hint", f->hint);
    json_end_object(j);
}

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
        finding_json(j, &p->findings[i]);
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

static void detail_plain(const char *title, const char *text)
{
    if (text[0] != 0) {
        cli_put(title, text, "\n");
    }
}

static void finding_plain(const struct ebpf_verify_finding *f)
{
    printf("  ");
    if (f->line != 0) {
        cli_put("", f->file, "");
        printf(":%u: ", f->line);
    } else if (f->pc >= 0) {
        printf("instruction %lld: ", (long long)f->pc);
    }
    cli_put("", f->message, "");
    printf(" [%s]\n", f->rule);
    detail_plain("    source: ", f->source + strspn(f->source, " \t"));
    detail_plain("    needed: ", f->needed);
    detail_plain("    known:  ", f->known);
    detail_plain("    hint:   ", f->hint);
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

static int verify_file(struct cli *c, const char *file, const struct verify *v, enum ebpf_dialect dialect)
{
    LIBBPF_OPTS(ebpf_verify_opts, opts, .type = v->type, .section = v->section, .program = v->program,
                .dialect = dialect);
    struct ebpf_verify_report *report = NULL;
    ebpf_result_t result = ebpf_verify_file(file, &opts, &report);
    int status;
    if (result != EBPF_SUCCESS) {
        return cli_error(c, STATUS_UNREADABLE, "cannot verify %s: %s", file, ebpf_result_text(result));
    }
    if (c->json_output) {
        report_json(&c->json, report);
    } else {
        report_plain(c, report);
    }
    status = !report->readable ? STATUS_UNREADABLE : report->accepted ? STATUS_ACCEPTED : STATUS_REJECTED;
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
    status = keywords_parse(c, a, &cmd_prog_verify_keywords, &v);
    if (status == 0) {
        status = choose_dialect(c, v.dialect, &dialect);
    }
    if (status == 0 && v.type != NULL && ebpf_get_program_type_by_name(v.type, NULL, NULL) != EBPF_SUCCESS) {
        status = cli_error(c, -1, "unknown program type '%s'", v.type);
    }
    return status == 0 ? verify_file(c, file, &v, dialect) : status;
}
