// SPDX-License-Identifier: MIT
// report: printers of findings. All append to a bounded text and count what the whole would need.
#include "verifier/verifier.h"

struct output {
    char *text;
    size_t size, length; // length of the whole text, which may exceed size
};

static void put(struct output *o, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct output *o, const char *fmt, ...)
{
    size_t at = o->length < o->size ? o->length : o->size - 1;
    va_list args;
    va_start(args, fmt);
    o->length += str_vformat(o->text + at, o->size - at, fmt, args);
    va_end(args);
}

// Of a malformed program nothing can be trusted, its tables neither.
static bool has_insn(const struct program *p, const struct finding *f)
{
    return f->rule != RULE_MALFORMED_PROGRAM && f->pc < p->insn_count;
}

// File name and text of the source line at a finding; "" and line 0 when there is none.
struct place {
    const char *file, *source;
    uint32_t line;
};

static void find_place(const struct program *p, const struct finding *f, struct place *out)
{
    const struct line *line = has_insn(p, f) ? program_line(p, f->pc) : NULL;
    out->file = line != NULL ? program_string(p, line->file_off) : "";
    out->source = line != NULL ? program_string(p, line->text_off) : "";
    out->line = line != NULL ? line->line : 0;
    while (*out->source == ' ' || *out->source == '\t') {
        out->source++;
    }
}

// Name without folders, as people know the file.
static const char *short_name(const char *file)
{
    const char *name = file;
    for (; *file != '\0'; file++) {
        if (*file == '/' || *file == '\\') {
            name = file + 1;
        }
    }
    return name;
}

// Text from an object may hold anything: what is not printable becomes '?'.
static void put_clean(struct output *o, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        put(o, "%c", c < 0x20 || c == 0x7f ? '?' : c);
    }
}

static void put_field(struct output *o, const char *name, const char *text)
{
    if (*text != '\0') {
        put(o, "  %s ", name);
        put_clean(o, text);
        put(o, "\n");
    }
}

static void put_finding(struct output *o, const struct program *p, const struct finding *f)
{
    struct place place;
    find_place(p, f, &place);
    const char *name = f->rule == RULE_MALFORMED_PROGRAM ? "program" : p->name;
    put_clean(o, *place.file != '\0' ? short_name(place.file) : name);
    if (place.line != 0) {
        put(o, ":%u", place.line);
    }
    put(o, ": ");
    put_clean(o, f->message);
    put(o, " [%s]\n", rule_row(f->rule)->name);
    if (*place.source != '\0') {
        put_field(o, "source:", place.source);
    }
    if (has_insn(p, f)) {
        char insn[96];
        insn_print(&p->insns[f->pc], insn, sizeof(insn));
        put(o, "  at:     %u: ", f->pc);
        put_clean(o, insn);
        put(o, "\n");
    }
    put_field(o, "needed:", f->needed);
    put_field(o, "known: ", f->known);
    put_field(o, "hint:  ", f->hint);
}

size_t report_print_text(const struct program *p, const struct verify_report *r, char *text, size_t size)
{
    struct output o = {text, size, 0};
    text[0] = '\0';
    for (uint32_t i = 0; i < r->finding_count; i++) {
        put_finding(&o, p, &r->findings[i]);
    }
    return o.length;
}

// A JSON string: control characters and quotes escaped; bytes that are not UTF-8 would make it invalid and
// become '?'.
static size_t utf8_length(const unsigned char *s)
{
    size_t more = s[0] < 0x80 ? 0 : s[0] >= 0xc2 && s[0] < 0xe0 ? 1 : s[0] >= 0xe0 && s[0] < 0xf0 ? 2 : 3;
    if (more == 3 && (s[0] < 0xf0 || s[0] > 0xf4)) {
        return 0;
    }
    for (size_t i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] >= 0xa0;
    return overlong || surrogate || (s[0] == 0xf4 && s[1] >= 0x90) ? 0 : more + 1;
}

static void put_json_string(struct output *o, const char *text)
{
    put(o, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0';) {
        size_t length = utf8_length(s);
        if (*s == '"' || *s == '\\') {
            put(o, "\\%c", *s);
        } else if (*s < 0x20 || *s == 0x7f) {
            put(o, "\\u%04x", *s);
        } else if (length == 0) {
            put(o, "?");
        } else {
            for (size_t i = 0; i < length; i++) {
                put(o, "%c", s[i]);
            }
        }
        s += length == 0 ? 1 : length;
    }
    put(o, "\"");
}

static void put_json_member(struct output *o, const char *key, const char *text)
{
    put(o, ",\"%s\":", key);
    put_json_string(o, text);
}

static void put_json_finding(struct output *o, const struct program *p, const struct finding *f)
{
    struct place place;
    find_place(p, f, &place);
    put(o, "{\"rule\":\"%s\"", rule_row(f->rule)->name);
    if (f->pc == UINT32_MAX) {
        put(o, ",\"pc\":-1");
    } else {
        put(o, ",\"pc\":%u", f->pc);
    }
    put_json_member(o, "file", place.file);
    put(o, ",\"line\":%u", place.line);
    put_json_member(o, "source", place.source);
    put_json_member(o, "message", f->message);
    put_json_member(o, "needed", f->needed);
    put_json_member(o, "known", f->known);
    put_json_member(o, "hint", f->hint);
    put(o, "}");
}

size_t report_print_json(const struct program *p, const struct verify_report *r, char *text, size_t size)
{
    struct output o = {text, size, 0};
    text[0] = '\0';
    put(&o, "[");
    for (uint32_t i = 0; i < r->finding_count; i++) {
        put(&o, "%s", i == 0 ? "" : ",");
        put_json_finding(&o, p, &r->findings[i]);
    }
    put(&o, "]");
    return o.length;
}
