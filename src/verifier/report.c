// SPDX-License-Identifier: MIT
// report: findings as text, at most REPORT_MAX_LINES lines each, and as JSON.
#include "verifier/report_int.h"

// --- text ----------------------------------------------------------------------------------------

#define SHOWN_INSNS 4u   // of the source line, the one at fault among them
#define SHOWN_STEPS 9u   // the newest; what was before them is counted
#define SHOWN_NAME  100u // bytes of a file's name: its end
#define SHOWN_LINE  300u // bytes of a line of the source: its beginning

static void put_field(struct output *o, const char *name, const char *text)
{
    if (*text != '\0') {
        put(o, "  %s ", name);
        put_clean(o, text);
        put(o, "\n");
    }
}

// No name or line of an object hides what the finding says: the end of a long name, the beginning of a long
// line. Cuts are between characters.
static void put_name(struct output *o, const char *name)
{
    size_t length = str_len(name), from = length > SHOWN_NAME ? length - SHOWN_NAME : 0;
    put(o, from != 0 ? "..." : "");
    while ((name[from] & 0xc0) == 0x80) {
        from++;
    }
    put_clean(o, name + from);
}

static void put_line(struct output *o, const char *line)
{
    char shown[SHOWN_LINE + 1];
    str_copy(shown, sizeof(shown), line);
    size_t length = str_len(shown);
    bool is_cut = line[length] != '\0';
    while (is_cut && length > 0 && (line[length] & 0xc0) == 0x80) {
        shown[--length] = '\0';
    }
    put_clean(o, shown);
    put(o, is_cut ? "..." : "");
}

static void put_source(struct output *o, const char *source)
{
    if (*source != '\0') {
        put(o, "  source: ");
        put_line(o, source);
        put(o, "\n");
    }
}

static void put_heading(struct output *o, const struct program *p, const struct finding *f,
                        const struct source_place *place)
{
    const char *name = f->rule == RULE_MALFORMED_PROGRAM ? "program" : p->name;
    put_name(o, *place->file != '\0' ? report_short_name(place->file) : name);
    if (place->line != 0) {
        put(o, ":%u", place->line);
    }
    put(o, ": ");
    put_clean(o, f->message);
    put(o, " [%s]\n", rule_row(f->rule)->name);
}

static bool same_line(const struct source_place *a, const struct source_place *b)
{
    return a->line == b->line && str_equal(a->file, b->file);
}

// The instruction at fault below its source line, with those of the same line just before it.
static void put_insns(struct output *o, const struct program *p, const struct finding *f,
                      const struct source_place *place)
{
    uint32_t first = f->pc;
    for (uint32_t pc = f->pc; pc-- > 0 && f->pc - pc < SHOWN_INSNS;) {
        struct source_place other;
        report_place(p, pc, &other);
        if (place->line == 0 || !same_line(&other, place)) {
            break;
        }
        first = p->insns[pc].id != INSN_NONE ? pc : first;
    }
    for (uint32_t pc = first; pc <= f->pc; pc++) {
        if (p->insns[pc].id == INSN_NONE && pc != f->pc) {
            continue;
        }
        put(o, pc == f->pc ? "  at:     %u: " : "          %u: ", pc);
        put_insn_text(o, p, pc, false);
        put(o, "\n");
    }
}

// One stretch of the path: branches of one source line in a row, of which the last says where it goes on. A
// condition of C can be several branches.
struct stretch {
    struct source_place at, to;
    uint32_t pc, count; // the last branch, and how often it is in the stretch
    bool taken;
};

static bool next_stretch(const struct program *p, const struct finding *f, uint32_t *i, struct stretch *out)
{
    uint32_t first = *i;
    if (first >= f->path_count) {
        return false;
    }
    memset(out, 0, sizeof(*out));
    for (; *i < f->path_count; ++*i) {
        const struct finding_step *step = &f->path[*i];
        struct source_place at;
        report_place(p, step->pc, &at);
        if (*i > first && (at.line == 0 ? step->pc != out->pc : !same_line(&at, &out->at))) {
            break;
        }
        out->count = step->pc == out->pc ? out->count + 1 : 1;
        out->pc = step->pc;
        out->taken = step->taken;
        out->at = at;
        report_place(p, report_step_target(p, step), &out->to);
    }
    return true;
}

static void put_stretch(struct output *o, const struct stretch *s)
{
    if (s->at.line == 0) {
        put(o, "instruction %u: jump %s", s->pc, s->taken ? "taken" : "not taken");
    } else {
        put(o, *s->at.source != '\0' ? "line %u: " : "line %u", s->at.line);
        put_line(o, s->at.source);
        put(o, " (jump %s", s->taken ? "taken" : "not taken");
        if (s->to.line != 0 && s->to.line != s->at.line) {
            put(o, ", to line %u", s->to.line);
        }
        put(o, ")");
    }
    if (s->count > 1) {
        put(o, " %u times", s->count);
    }
    put(o, "\n");
}

static void put_path(struct output *o, const struct program *p, const struct finding *f)
{
    struct stretch s;
    uint32_t total = 0, n = 0;
    for (uint32_t i = 0; next_stretch(p, f, &i, &s); total++) {
    }
    uint32_t skipped = total > SHOWN_STEPS ? total - SHOWN_STEPS + 1 : 0;
    const char *title = "path:   ";
    if (skipped != 0 || (f->path_is_cut && total != 0)) {
        put(o, "  %s(%s%u earlier branches)\n", title, f->path_is_cut ? "more than " : "", skipped);
        title = "        ";
    }
    for (uint32_t i = 0; next_stretch(p, f, &i, &s); n++) {
        if (n >= skipped) {
            put(o, "  %s", title);
            put_stretch(o, &s);
            title = "        ";
        }
    }
}

// "see:    line 12: ..." for the place that a finding refers to.
static void put_related(struct output *o, const struct program *p, const struct finding *f)
{
    struct source_place place;
    if (f->related_pc >= p->insn_count || f->related_pc == f->pc) {
        return;
    }
    report_place(p, f->related_pc, &place);
    if (place.line == 0) {
        put(o, "  see:    instruction %u\n", f->related_pc);
        return;
    }
    put(o, "  see:    line %u: ", place.line);
    put_line(o, place.source);
    put(o, "\n");
}

static void put_loss(struct output *o, const struct program *p, const struct finding_loss *loss)
{
    struct source_place at, from[2];
    if (loss->text[0] == '\0' || loss->pc >= p->insn_count) {
        return;
    }
    report_place(p, loss->pc, &at);
    report_place(p, loss->from[0], &from[0]);
    report_place(p, loss->from[1], &from[1]);
    if (at.line == 0) {
        put(o, "  lost:   at instruction %u two ways meet: ", loss->pc);
    } else {
        put(o, "  lost:   at line %u two ways meet", at.line);
        if (from[0].line != 0 && from[1].line != 0 && from[0].line != from[1].line) {
            put(o, ", from line %u and line %u", from[0].line, from[1].line);
        }
        put(o, ": ");
    }
    put_clean(o, loss->text);
    put(o, "\n");
}

static void put_hint(struct output *o, const struct finding *f)
{
    put_field(o, "hint:  ", f->hint);
    for (uint32_t i = 0; i < f->edit_count; i++) {
        char text[FINDING_TEXT_SIZE + 40];
        report_print_edit(&f->edits[i], text, sizeof(text));
        put_field(o, f->hint[0] == '\0' && i == 0 ? "hint:  " : "       ", text);
    }
}

static void put_finding(struct output *o, const struct program *p, const struct finding *f)
{
    struct source_place place;
    bool has_insn = report_has_insn(p, f);
    report_place(p, has_insn ? f->pc : UINT32_MAX, &place);
    put_heading(o, p, f, &place);
    put_source(o, place.source);
    if (has_insn) {
        put_insns(o, p, f, &place);
    }
    put_field(o, "needed:", f->needed);
    put_field(o, "known: ", f->known);
    if (f->rule != RULE_MALFORMED_PROGRAM) {
        put_related(o, p, f);
        put_path(o, p, f);
        put_loss(o, p, &f->loss);
    }
    put_hint(o, f);
}

size_t report_print_finding(const struct program *p, const struct finding *f, char *text, size_t size)
{
    struct output o;
    output_start(&o, text, size);
    put_finding(&o, p, f);
    return o.length;
}

size_t report_print_text(const struct program *p, const struct verify_report *r, char *text, size_t size)
{
    struct output o;
    output_start(&o, text, size);
    for (uint32_t i = 0; i < r->finding_count; i++) {
        put_finding(&o, p, &r->findings[i]);
    }
    return o.length;
}

// --- JSON ----------------------------------------------------------------------------------------

static void put_member(struct output *o, const char *key, const char *text)
{
    put(o, ",\"%s\":", key);
    put_json_string(o, text);
}

static void put_pc(struct output *o, const char *key, uint32_t pc)
{
    put(o, "\"%s\":%lld", key, pc == UINT32_MAX ? -1LL : (long long)pc);
}

static void put_place(struct output *o, const struct source_place *place)
{
    put_member(o, "file", place->file);
    put(o, ",\"line\":%u", place->line);
    put_member(o, "source", place->source);
}

static void put_json_path(struct output *o, const struct program *p, const struct finding *f)
{
    put(o, ",\"path\":[");
    for (uint32_t i = 0; i < f->path_count; i++) {
        struct source_place place;
        report_place(p, f->path[i].pc, &place);
        put(o, "%s{", i == 0 ? "" : ",");
        put_pc(o, "pc", f->path[i].pc);
        put(o, ",\"line\":%u,\"taken\":%s}", place.line, f->path[i].taken ? "true" : "false");
    }
    put(o, "]");
}

// Without the closing brace.
static void put_json_place(struct output *o, const struct program *p, const char *key, uint32_t pc)
{
    struct source_place place;
    report_place(p, pc, &place);
    put(o, ",\"%s\":{", key);
    put_pc(o, "pc", pc);
    put_place(o, &place);
}

static void put_json_extra(struct output *o, const struct program *p, const struct finding *f)
{
    if (f->related_pc < p->insn_count) {
        put_json_place(o, p, "related", f->related_pc);
        put(o, "}");
    }
    if (f->loss.text[0] != '\0' && f->loss.pc < p->insn_count) {
        put_json_place(o, p, "lost", f->loss.pc);
        put_member(o, "text", f->loss.text);
        put(o, "}");
    }
}

static const char *const edit_names[] = {
    [EDIT_INSERT_BEFORE] = "insert-before",
    [EDIT_INSERT_AFTER] = "insert-after",
    [EDIT_REPLACE] = "replace",
    [EDIT_DELETE] = "delete",
};

static void put_json_edits(struct output *o, const struct program *p, const struct finding *f)
{
    put(o, ",\"edits\":[");
    for (uint32_t i = 0; i < f->edit_count; i++) {
        const struct finding_edit *e = &f->edits[i];
        put(o, "%s{\"action\":\"%s\"", i == 0 ? "" : ",", edit_names[e->kind]);
        put_member(o, "file", program_string(p, e->file_off));
        put(o, ",\"line\":%u", e->line);
        put_member(o, "text", e->text);
        put(o, "}");
    }
    put(o, "]");
}

// Without the closing brace.
static void put_json_head(struct output *o, const char *rule, uint32_t pc, const struct source_place *place)
{
    put(o, "{\"rule\":");
    put_json_string(o, rule);
    put(o, ",");
    put_pc(o, "pc", pc);
    put_place(o, place);
}

static void put_json_sentences(struct output *o, const char *message, const char *needed, const char *known,
                               const char *hint)
{
    put_member(o, "message", message);
    put_member(o, "needed", needed);
    put_member(o, "known", known);
    put_member(o, "hint", hint);
}

static void put_json_finding(struct output *o, const struct program *p, const struct finding *f)
{
    struct source_place place;
    report_place(p, report_has_insn(p, f) ? f->pc : UINT32_MAX, &place);
    put_json_head(o, rule_row(f->rule)->name, f->pc, &place);
    put_json_sentences(o, f->message, f->needed, f->known, f->hint);
    if (f->rule != RULE_MALFORMED_PROGRAM) {
        put_json_extra(o, p, f);
        put_json_path(o, p, f);
        put_json_edits(o, p, f);
    } else {
        put(o, ",\"path\":[],\"edits\":[]");
    }
    put(o, "}");
}

size_t report_print_finding_json(const struct program *p, const struct finding *f, char *text, size_t size)
{
    struct output o;
    output_start(&o, text, size);
    put_json_finding(&o, p, f);
    return o.length;
}

size_t report_print_sentence_json(const char *rule, const char *message, const char *hint, char *text,
                                  size_t size)
{
    static const struct source_place nowhere = {"", "", 0, 0};
    struct output o;
    output_start(&o, text, size);
    put_json_head(&o, rule, UINT32_MAX, &nowhere);
    put_json_sentences(&o, message, "", "", hint);
    put(&o, ",\"path\":[],\"edits\":[]}");
    return o.length;
}

size_t report_print_json(const struct program *p, const struct verify_report *r, char *text, size_t size)
{
    struct output o;
    output_start(&o, text, size);
    put(&o, "[");
    for (uint32_t i = 0; i < r->finding_count; i++) {
        put(&o, "%s", i == 0 ? "" : ",");
        put_json_finding(&o, p, &r->findings[i]);
    }
    put(&o, "]");
    return o.length;
}
