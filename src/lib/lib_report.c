// SPDX-License-Identifier: MIT
// lib_report: see lib_report.h.
#include "lib/lib_report.h"

// --- outputs -------------------------------------------------------------------------------------

static void write_output(const struct lib_report *r, enum ebpf_verify_output output, const char *text,
                         size_t size)
{
    r->opts->write(r->opts->user, output, text, size);
}

static void write_sarif(void *report, const char *text, size_t size)
{
    write_output(report, EBPF_VERIFY_SARIF, text, size);
}

static void write_html(void *report, const char *text, size_t size)
{
    write_output(report, EBPF_VERIFY_HTML, text, size);
}

static void write_trace(void *report, const char *text, size_t size)
{
    write_output(report, EBPF_VERIFY_TRACE, text, size);
}

void lib_report_begin(struct lib_report *r, const struct ebpf_verify_opts *opts, const char *object)
{
    memset(r, 0, sizeof(*r));
    r->opts = opts;
    r->outputs = LIB_OPTS_GET(opts, write, NULL) != NULL ? LIB_OPTS_GET(opts, outputs, 0u) : 0;
    r->sinks[0] = (struct report_sink){write_sarif, r};
    r->sinks[1] = (struct report_sink){write_html, r};
    r->sinks[2] = (struct report_sink){write_trace, r};
    if ((r->outputs & EBPF_VERIFY_SARIF) != 0) {
        sarif_begin(&r->sarif, &r->sinks[0], object);
    }
    if ((r->outputs & EBPF_VERIFY_HTML) != 0) {
        html_begin(&r->html, &r->sinks[1], object);
    }
}

ebpf_result_t lib_report_watch(struct lib_report *r, const struct program *p, struct arena *arena,
                               struct verify_options *options)
{
    r->traced = (r->outputs & (EBPF_VERIFY_HTML | EBPF_VERIFY_TRACE)) != 0;
    if (r->traced) {
        TRY(trace_init(&r->trace, p, arena));
        options->observe = trace_observe;
        options->observe_user = &r->trace;
    }
    return EBPF_SUCCESS;
}

static bool is_malformed(const struct verify_report *report)
{
    return report->finding_count != 0 && report->findings[0].rule == RULE_MALFORMED_PROGRAM;
}

void lib_report_program(struct lib_report *r, const struct program *p, const struct verify_report *report)
{
    if ((r->outputs & EBPF_VERIFY_SARIF) != 0) {
        sarif_add_program(&r->sarif, p, report);
    }
    if ((r->outputs & EBPF_VERIFY_HTML) != 0) {
        html_add_program(&r->html, p, report, r->traced ? &r->trace : NULL);
    }
    if ((r->outputs & EBPF_VERIFY_TRACE) != 0 && !is_malformed(report)) {
        trace_print(&r->sinks[2], &r->trace);
    }
}

void lib_report_sentence(struct lib_report *r, const struct ebpf_verify_program *program, const char *rule,
                         const char *message)
{
    if ((r->outputs & EBPF_VERIFY_SARIF) != 0) {
        sarif_add_sentence(&r->sarif, rule, program->section, program->name, message);
    }
    if ((r->outputs & EBPF_VERIFY_HTML) != 0) {
        html_add_sentence(&r->html, program->section, program->name, message);
    }
}

void lib_report_end(struct lib_report *r, const char *error)
{
    if ((r->outputs & EBPF_VERIFY_SARIF) != 0) {
        sarif_end(&r->sarif, error);
    }
    if ((r->outputs & EBPF_VERIFY_HTML) != 0) {
        html_end(&r->html, error);
    }
}

// --- findings ------------------------------------------------------------------------------------

static const char *keep(struct arena *arena, const char *text)
{
    const char *copy = text[0] != '\0' ? arena_strdup(arena, text) : NULL;
    return copy != NULL ? copy : ""; // a report without one text is still a report
}

static struct ebpf_verify_place make_place(struct arena *arena, const struct program *p, uint32_t pc)
{
    struct ebpf_verify_place place = {-1, "", "", 0, false};
    const struct line *line = pc < p->insn_count ? program_line(p, pc) : NULL;
    if (pc < p->insn_count) {
        place.pc = pc;
    }
    if (line != NULL) {
        place.file = keep(arena, program_string(p, line->file_off));
        place.source = keep(arena, program_string(p, line->text_off));
        place.line = line->line;
    }
    return place;
}

// What one of the printers says; `otherwise` without memory.
static const char *make_text(struct arena *arena, const struct program *p, const struct finding *f,
                             size_t (*printer)(const struct program *, const struct finding *, char *,
                                               size_t),
                             const char *otherwise)
{
    char none[1];
    size_t size = printer(p, f, none, sizeof(none)) + 1;
    char *text = arena_alloc(arena, size);
    if (text == NULL) {
        return otherwise;
    }
    printer(p, f, text, size);
    return text;
}

static void copy_path(struct arena *arena, const struct program *p, const struct finding *from,
                      struct ebpf_verify_finding *out)
{
    struct ebpf_verify_place *path = arena_array(arena, from->path_count, sizeof(*path));
    if (path == NULL) {
        return;
    }
    for (uint32_t i = 0; i < from->path_count; i++) {
        path[i] = make_place(arena, p, from->path[i].pc);
        path[i].taken = from->path[i].taken;
    }
    out->path = path;
    out->path_count = from->path_count;
}

static void copy_edits(struct arena *arena, const struct program *p, const struct finding *from,
                       struct ebpf_verify_finding *out)
{
    struct ebpf_verify_edit *edits = arena_array(arena, from->edit_count, sizeof(*edits));
    if (edits == NULL) {
        return;
    }
    for (uint32_t i = 0; i < from->edit_count; i++) {
        const struct finding_edit *e = &from->edits[i];
        edits[i] = (struct ebpf_verify_edit){
            .action = (enum ebpf_verify_edit_action)e->kind, // the same order
            .file = keep(arena, program_string(p, e->file_off)),
            .line = e->line,
            .text = keep(arena, e->text),
        };
    }
    out->edits = edits;
    out->edit_count = from->edit_count;
}

static void copy_finding(struct arena *arena, const struct program *p, const struct finding *from,
                         struct ebpf_verify_finding *out)
{
    bool sane = from->rule != RULE_MALFORMED_PROGRAM; // else tables of the program cannot be trusted
    struct ebpf_verify_place at = make_place(arena, p, sane ? from->pc : UINT32_MAX);
    *out = (struct ebpf_verify_finding){
        .rule = rule_row(from->rule)->name,
        .pc = from->pc == UINT32_MAX ? -1 : (int64_t)from->pc,
        .file = at.file,
        .line = at.line,
        .source = at.source,
        .message = keep(arena, from->message),
        .needed = keep(arena, from->needed),
        .known = keep(arena, from->known),
        .hint = keep(arena, from->hint),
        .text = make_text(arena, p, from, report_print_finding, ""),
        .json = make_text(arena, p, from, report_print_finding_json, "null"),
        .related = make_place(arena, p, sane ? from->related_pc : UINT32_MAX),
        .lost = make_place(arena, p, sane && from->loss.text[0] != '\0' ? from->loss.pc : UINT32_MAX),
        .lost_text = keep(arena, sane ? from->loss.text : ""),
    };
    if (sane) {
        copy_path(arena, p, from, out);
        copy_edits(arena, p, from, out);
    }
}

ebpf_result_t lib_report_copy(struct arena *arena, const struct program *p,
                              const struct verify_report *report, struct ebpf_verify_program *out)
{
    struct ebpf_verify_finding *findings = arena_array(arena, report->finding_count, sizeof(*findings));
    if (findings == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < report->finding_count; i++) {
        copy_finding(arena, p, &report->findings[i], &findings[i]);
    }
    out->findings = findings;
    out->finding_count = report->finding_count;
    return EBPF_SUCCESS;
}

ebpf_result_t lib_report_copy_sentence(struct arena *arena, const char *rule, const char *message,
                                       const char *hint, struct ebpf_verify_program *out)
{
    struct ebpf_verify_finding *f = arena_alloc(arena, sizeof(*f));
    char none[1];
    size_t size = str_len(out->name) + str_len(message) + str_len(rule) + str_len(hint) + 32;
    size_t json_size = report_print_sentence_json(rule, message, hint, none, sizeof(none)) + 1;
    char *text = f != NULL ? arena_alloc(arena, size) : NULL;
    char *json = text != NULL ? arena_alloc(arena, json_size) : NULL;
    if (json == NULL) {
        return EBPF_NO_MEMORY;
    }
    report_print_sentence_json(rule, message, hint, json, json_size);
    str_format(text, size, "%s: %s [%s]\n%s%s%s", out->name, message, rule,
               hint[0] != '\0' ? "  hint:   " : "", hint, hint[0] != '\0' ? "\n" : "");
    *f = (struct ebpf_verify_finding){
        .rule = rule,
        .pc = -1,
        .file = "",
        .source = "",
        .message = keep(arena, message),
        .needed = "",
        .known = "",
        .hint = keep(arena, hint),
        .text = text,
        .json = json,
        .related = {-1, "", "", 0, false},
        .lost = {-1, "", "", 0, false},
        .lost_text = "",
    };
    out->findings = f;
    out->finding_count = 1;
    return EBPF_SUCCESS;
}
