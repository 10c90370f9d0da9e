// SPDX-License-Identifier: MIT
// html: one page with source beside instructions, the states at each of them, findings and the control-flow
// graph. Nothing is loaded from anywhere, and a policy in the page forbids it. Whatever comes from the object
// is escaped: as text, or as JSON in a script element that is data.
#include "verifier/html_int.h"
#include "verifier/html_page.h"

#define MAX_SHOWN 100000u // instructions: browsers have their limits

void put_html(struct output *o, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0';) {
        size_t length = report_utf8_length(s);
        switch (*s) {
        case '<': put_bytes(o, "&lt;", 4); break;
        case '>': put_bytes(o, "&gt;", 4); break;
        case '&': put_bytes(o, "&amp;", 5); break;
        case '"': put_bytes(o, "&quot;", 6); break;
        case '\'': put_bytes(o, "&#39;", 5); break;
        case '\n': put_bytes(o, "\n", 1); break;
        case '\t': put_bytes(o, " ", 1); break;
        default:
            if (*s < 0x20 || *s == 0x7f || length == 0) {
                put_bytes(o, "?", 1);
            } else {
                put_bytes(o, (const char *)s, length);
            }
        }
        s += length == 0 ? 1 : length;
    }
}

// A JSON string in a script element: '<' could end the element.
static void put_script_string(struct output *o, const char *text)
{
    put_bytes(o, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0';) {
        size_t length = report_utf8_length(s);
        if (*s < 0x20 || *s == 0x7f || *s == '"' || *s == '\\' || *s == '<' || *s == '>' || *s == '&') {
            put(o, "\\u%04x", *s);
        } else {
            put_bytes(o, length != 0 ? (const char *)s : "?", length != 0 ? length : 1);
        }
        s += length == 0 ? 1 : length;
    }
    put_bytes(o, "\"", 1);
}

void html_begin(struct html *h, const struct report_sink *sink, const char *object)
{
    struct output o;
    *h = (struct html){sink, 0};
    output_start_sink(&o, sink);
    put(&o, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta http-equiv="
            "\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
            "script-src 'unsafe-inline'\">\n<title>");
    put_html(&o, object);
    put(&o, "</title>\n<style>");
    put_bytes(&o, HTML_STYLE, sizeof(HTML_STYLE) - 1);
    put(&o, "</style></head>\n<body>\n<h1>");
    put_html(&o, object);
    put(&o, "</h1>\n");
}

void html_end(struct html *h, const char *error)
{
    struct output o;
    output_start_sink(&o, h->sink);
    if (error != NULL) {
        put(&o, "<p class=\"rejected\">The object cannot be read: ");
        put_html(&o, error);
        put(&o, "</p>\n");
    }
    put(&o, "<script>");
    put_bytes(&o, HTML_SCRIPT, sizeof(HTML_SCRIPT) - 1);
    put(&o, "</script>\n</body></html>\n");
}

// --- findings ------------------------------------------------------------------------------------

// First finding at `pc`, or NULL.
static const struct finding *finding_at(const struct program *p, const struct verify_report *r, uint32_t pc)
{
    for (uint32_t i = 0; i < r->finding_count; i++) {
        if (report_has_insn(p, &r->findings[i]) && r->findings[i].pc == pc) {
            return &r->findings[i];
        }
    }
    return NULL;
}

static bool on_path(const struct verify_report *r, uint32_t pc)
{
    for (uint32_t i = 0; i < r->finding_count; i++) {
        for (uint32_t k = 0; k < r->findings[i].path_count; k++) {
            if (r->findings[i].path[k].pc == pc) {
                return true;
            }
        }
    }
    return false;
}

const char *html_class(const struct program *p, const struct verify_report *r, uint32_t first, uint32_t end)
{
    const char *found = "";
    for (uint32_t pc = first; pc < end; pc++) {
        if (finding_at(p, r, pc) != NULL) {
            return " bad";
        }
        found = on_path(r, pc) ? " path" : found;
    }
    return found;
}

static void put_findings(struct output *o, const struct html *h, const struct program *p,
                         const struct verify_report *r)
{
    for (uint32_t i = 0; i < r->finding_count; i++) {
        char text[8192];
        const struct finding *f = &r->findings[i];
        report_print_finding(p, f, text, sizeof(text));
        put(o, "<div class=\"finding\"");
        if (report_has_insn(p, f)) {
            put(o, " data-goto=\"p%u-%u\"", h->programs, f->pc);
        }
        put(o, " data-rule=\"%s\">", rule_row(f->rule)->name);
        put_html(o, text);
        put(o, "</div>\n");
    }
}

// --- source beside instructions ------------------------------------------------------------------

static void put_source(struct output *o, const struct source_place *place)
{
    put(o, "<tr><td class=\"ln\" title=\"");
    put_html(o, place->file);
    put(o, "\">");
    if (place->line != 0) {
        put_html(o, report_short_name(place->file));
        put(o, ":%u", place->line);
    }
    put(o, "</td><td class=\"src\">");
    put_html(o, place->source);
    put(o, "</td><td>");
}

static void put_insn(struct output *o, const struct html *h, const struct program *p,
                     const struct verify_report *r, const struct trace *t, uint32_t pc)
{
    put(o, "<div class=\"insn%s%s\" id=\"p%u-%u\" data-pc=\"%u\">%u: ", html_class(p, r, pc, pc + 1),
        t != NULL && t->seen[pc] == 0 ? " unseen" : "", h->programs, pc, pc, pc);
    put_insn_text(o, p, pc, true);
    put(o, "</div>");
}

static void put_code(struct output *o, const struct html *h, const struct program *p,
                     const struct verify_report *r, const struct trace *t)
{
    struct source_place before = {"", "", UINT32_MAX, 0}, place;
    uint32_t end = min_u32(p->insn_count, MAX_SHOWN);
    put(o, "<table class=\"code\">");
    for (uint32_t pc = 0; pc < end; pc++) {
        if (p->insns[pc].id == INSN_NONE) {
            continue;
        }
        report_place(p, pc, &place);
        if (place.line != before.line || !str_equal(place.file, before.file)) {
            put(o, "%s", before.line == UINT32_MAX ? "" : "</td></tr>\n");
            put_source(o, &place);
        }
        before = place;
        put_insn(o, h, p, r, t, pc);
    }
    put(o, "</td></tr></table>\n");
    if (end < p->insn_count) {
        put(o, "<p>%u more instructions are not shown.</p>\n", p->insn_count - end);
    }
}

// --- states --------------------------------------------------------------------------------------

static void put_state_list(struct output *o, const struct trace_entry *e)
{
    const struct trace_entry *kept[TRACE_PER_INSN];
    uint32_t count = 0;
    for (; e != NULL && count < TRACE_PER_INSN; e = e->next) {
        kept[count++] = e;
    }
    for (uint32_t i = count; i-- > 0;) {
        put_script_string(o, kept[i]->text);
        put(o, "%s", i != 0 ? "," : "");
    }
}

static void put_states(struct output *o, const struct program *p, const struct trace *t)
{
    bool first = true;
    put(o, "<script type=\"application/json\">{\"traced\":%s,\"states\":{", t != NULL ? "true" : "false");
    for (uint32_t pc = 0; t != NULL && pc < p->insn_count; pc++) {
        if (t->entries[pc] != NULL) {
            put(o, "%s\"%u\":[", first ? "" : ",\n", pc);
            put_state_list(o, t->entries[pc]);
            put(o, "]");
            first = false;
        }
    }
    put(o, "}}</script>\n");
}

// --- programs ------------------------------------------------------------------------------------

static void put_title(struct output *o, const char *section, const char *name, bool accepted)
{
    put(o, "<h2>");
    put_html(o, section);
    put(o, "/");
    put_html(o, name);
    put(o, ": <span class=\"%s\">%s</span></h2>\n", accepted ? "accepted" : "rejected",
        accepted ? "accepted" : "rejected");
}

static bool is_malformed(const struct verify_report *r)
{
    return r->finding_count != 0 && r->findings[0].rule == RULE_MALFORMED_PROGRAM;
}

void html_add_program(struct html *h, const struct program *p, const struct verify_report *r,
                      const struct trace *t)
{
    struct output o;
    if (is_malformed(r)) {
        html_add_sentence(h, p->section, p->name, r->findings[0].known);
        return;
    }
    output_start_sink(&o, h->sink);
    put(&o, "<section>");
    put_title(&o, p->section, p->name, r->accepted);
    put(&o, "<p>%u instructions, %u states stored, %llu steps</p>\n", p->insn_count, r->states,
        (unsigned long long)r->steps);
    put_findings(&o, h, p, r);
    put(&o, "<div class=\"panes\"><div class=\"left\">");
    put_code(&o, h, p, r, t);
    put(&o,
        "</div><div class=\"right\"><div class=\"state\">Point at an instruction, or click it, to see the "
        "states before it.</div>\n");
    html_put_graphs(&o, h, p, r);
    put(&o, "</div></div>\n");
    put_states(&o, p, t);
    put(&o, "</section>\n");
    h->programs++;
}

void html_add_sentence(struct html *h, const char *section, const char *name, const char *message)
{
    struct output o;
    output_start_sink(&o, h->sink);
    put_title(&o, section, name, false);
    put(&o, "<div class=\"finding\">");
    put_html(&o, message);
    put(&o, "</div>\n");
}
