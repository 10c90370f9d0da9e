// SPDX-License-Identifier: MIT
// sarif: findings as a log in SARIF 2.1.0 (OASIS standard), for code scanning and editors: locations, the
// branch path as a code flow, where a fact was lost and what was acquired as related locations, edits as
// fixes.
#include "verifier/report_int.h"

static void start(struct output *o, const struct sarif *s)
{
    output_start_sink(o, s->sink);
}

static void put_text(struct output *o, const char *text)
{
    put(o, "{\"text\":");
    put_json_string(o, text);
    put(o, "}");
}

// --- head ----------------------------------------------------------------------------------------

static void put_rules(struct output *o)
{
    put(o, "\"rules\":[");
    for (unsigned rule = 1; rule < RULE_COUNT; rule++) {
        put(o, "%s\n{\"id\":\"%s\",\"shortDescription\":", rule == 1 ? "" : ",", rule_row(rule)->name);
        put_text(o, rule_row(rule)->sentence);
        put(o, ",\"defaultConfiguration\":{\"level\":\"error\"}}");
    }
    put(o, "]");
}

void sarif_begin(struct sarif *s, const struct report_sink *sink, const char *object)
{
    struct output o;
    *s = (struct sarif){sink, object, 0};
    start(&o, s);
    put(&o, "{\"$schema\":\"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
            "sarif-schema-2.1.0.json\",\n\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{"
            "\"name\":\"bpftool prog verify\",\"fullName\":\"eBPF for Windows, in C: the verifier\",");
    put_rules(&o);
    put(&o, "}},\n\"results\":[");
}

// --- locations -----------------------------------------------------------------------------------

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '/';
}

static bool is_drive(const char *file)
{
    char c = (char)(file[0] | 0x20);
    return c >= 'a' && c <= 'z' && file[1] == ':' && (file[2] == '/' || file[2] == '\\');
}

// A file name as URI reference (RFC 3986).
static void put_uri(struct output *o, const char *file)
{
    put(o, "\"artifactLocation\":{\"uri\":\"%s",
        is_drive(file)   ? "file:///"
        : file[0] == '/' ? "file://"
                         : "");
    for (const char *c = file; *c != '\0'; c++) {
        if (is_plain(*c) || (is_drive(file) && c == file + 1)) {
            put_bytes(o, c, 1);
        } else if (*c == '\\') {
            put_bytes(o, "/", 1);
        } else {
            put(o, "%%%02X", (unsigned char)*c);
        }
    }
    put(o, "\"}");
}

static void put_region(struct output *o, const struct source_place *place)
{
    put(o, ",\"region\":{\"startLine\":%u", place->line);
    if (place->column != 0) {
        put(o, ",\"startColumn\":%u", place->column);
    }
    if (*place->source != '\0') {
        put(o, ",\"snippet\":");
        put_text(o, place->source);
    }
    put(o, "}");
}

static void put_logical(struct output *o, const char *section, const char *name)
{
    put(o, ",\"logicalLocations\":[{\"kind\":\"function\",\"name\":");
    put_json_string(o, name);
    put(o, ",\"fullyQualifiedName\":");
    char full[2 * SPEC_NAME_SIZE + 2];
    str_format(full, sizeof(full), "%s/%s", section, name);
    put_json_string(o, full);
    put(o, "}]");
}

// The members of a location object, without its braces. `p` NULL: of the object as a whole.
static void put_location(struct output *o, const struct sarif *s, const struct program *p, uint32_t pc)
{
    struct source_place place = {"", "", 0, 0};
    if (p != NULL) {
        report_place(p, pc, &place);
    }
    put(o, "\"physicalLocation\":{");
    put_uri(o, place.line != 0 ? place.file : s->object);
    if (place.line != 0) {
        put_region(o, &place);
    }
    put(o, "}");
}

// --- results -------------------------------------------------------------------------------------

static void put_message(struct output *o, const struct finding *f)
{
    char text[3 * FINDING_TEXT_SIZE + 40];
    str_format(text, sizeof(text), "%s%s%s%s%s", f->message, *f->needed != '\0' ? "; needed: " : "",
               f->needed, *f->known != '\0' ? "; known: " : "", f->known);
    put(o, "\"message\":");
    put_text(o, text);
}

static void put_flow_location(struct output *o, const struct sarif *s, const struct program *p, uint32_t pc,
                              const char *message)
{
    put(o, "{\"location\":{");
    put_location(o, s, p, pc);
    put(o, ",\"message\":");
    put_text(o, message);
    put(o, "}}");
}

static void put_code_flow(struct output *o, const struct sarif *s, const struct program *p,
                          const struct finding *f)
{
    if (f->path_count == 0) {
        return;
    }
    put(o, ",\"codeFlows\":[{\"threadFlows\":[{\"locations\":[");
    for (uint32_t i = 0; i < f->path_count; i++) {
        char text[64];
        str_format(text, sizeof(text), "jump %s at instruction %u", f->path[i].taken ? "taken" : "not taken",
                   f->path[i].pc);
        put_flow_location(o, s, p, f->path[i].pc, text);
        put(o, ",");
    }
    put_flow_location(o, s, p, f->pc, f->message);
    put(o, "]}]}]");
}

static void put_related(struct output *o, const struct sarif *s, const struct program *p,
                        const struct finding *f)
{
    bool cause = f->related_pc < p->insn_count && f->related_pc != f->pc;
    bool loss = f->loss.text[0] != '\0' && f->loss.pc < p->insn_count;
    if (!cause && !loss) {
        return;
    }
    put(o, ",\"relatedLocations\":[");
    if (cause) {
        put(o, "{\"id\":1,");
        put_location(o, s, p, f->related_pc);
        put(o, ",\"message\":{\"text\":\"where this comes from\"}}%s", loss ? "," : "");
    }
    if (loss) {
        put(o, "{\"id\":2,");
        put_location(o, s, p, f->loss.pc);
        put(o, ",\"message\":");
        put_text(o, f->loss.text);
        put(o, "}");
    }
    put(o, "]");
}

static void put_replacement(struct output *o, const struct program *p, const struct finding_edit *e)
{
    uint32_t first = e->kind == EDIT_INSERT_AFTER ? e->line + 1 : e->line;
    bool inserts = e->kind == EDIT_INSERT_BEFORE || e->kind == EDIT_INSERT_AFTER;
    put(o, "{");
    put_uri(o, program_string(p, e->file_off));
    put(o,
        ",\"replacements\":[{\"deletedRegion\":{\"startLine\":%u,\"startColumn\":1,\"endLine\":%u,"
        "\"endColumn\":1}",
        first, inserts ? first : first + 1);
    if (e->kind != EDIT_DELETE) {
        char line[FINDING_TEXT_SIZE + 2];
        str_format(line, sizeof(line), "%s\n", e->text);
        put(o, ",\"insertedContent\":");
        put_text(o, line);
    }
    put(o, "}]}");
}

static void put_fixes(struct output *o, const struct program *p, const struct finding *f)
{
    if (f->edit_count == 0) {
        return;
    }
    put(o, ",\"fixes\":[{\"description\":");
    put_text(o, *f->hint != '\0' ? f->hint : f->message);
    put(o, ",\"artifactChanges\":[");
    for (uint32_t i = 0; i < f->edit_count; i++) {
        put(o, "%s", i == 0 ? "" : ",");
        put_replacement(o, p, &f->edits[i]);
    }
    put(o, "]}]");
}

static void put_properties(struct output *o, const struct finding *f)
{
    put(o, ",\"properties\":{\"pc\":%lld,\"needed\":", f->pc == UINT32_MAX ? -1LL : (long long)f->pc);
    put_json_string(o, f->needed);
    put(o, ",\"known\":");
    put_json_string(o, f->known);
    put(o, ",\"hint\":");
    put_json_string(o, f->hint);
    put(o, "}}");
}

static void add_finding(struct sarif *s, const struct program *p, const struct finding *f)
{
    struct output o;
    bool sane = f->rule != RULE_MALFORMED_PROGRAM;
    start(&o, s);
    put(&o, "%s\n{\"ruleId\":\"%s\",\"ruleIndex\":%d,\"kind\":\"fail\",\"level\":\"error\",",
        s->results++ == 0 ? "" : ",", rule_row(f->rule)->name, f->rule - 1);
    put_message(&o, f);
    put(&o, ",\"locations\":[{");
    put_location(&o, s, sane ? p : NULL, f->pc);
    put_logical(&o, sane ? p->section : "", sane ? p->name : "program");
    put(&o, "}]");
    if (sane) {
        put_related(&o, s, p, f);
        put_code_flow(&o, s, p, f);
        put_fixes(&o, p, f);
    }
    put_properties(&o, f);
}

void sarif_add_program(struct sarif *s, const struct program *p, const struct verify_report *r)
{
    for (uint32_t i = 0; i < r->finding_count; i++) {
        add_finding(s, p, &r->findings[i]);
    }
}

void sarif_add_sentence(struct sarif *s, const char *rule, const char *section, const char *name,
                        const char *message)
{
    struct output o;
    start(&o, s);
    put(&o, "%s\n{\"ruleId\":", s->results++ == 0 ? "" : ",");
    put_json_string(&o, rule);
    put(&o, ",\"kind\":\"fail\",\"level\":\"error\",\"message\":");
    put_text(&o, message);
    put(&o, ",\"locations\":[{");
    put_location(&o, s, NULL, 0);
    put_logical(&o, section, name);
    put(&o, "}]}");
}

void sarif_end(struct sarif *s, const char *error)
{
    struct output o;
    start(&o, s);
    put(&o, "],\n\"invocations\":[{\"executionSuccessful\":%s", error == NULL ? "true" : "false");
    if (error != NULL) {
        put(&o, ",\"toolExecutionNotifications\":[{\"level\":\"error\",\"message\":");
        put_text(&o, error);
        put(&o, "}]");
    }
    put(&o, "}]}]}\n");
}
