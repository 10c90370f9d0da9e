// SPDX-License-Identifier: MIT
// report_output: bounded output, escaping, and places in the source.
#include "verifier/html_int.h"
#include "verifier/report_int.h"

void output_start(struct output *o, char *text, size_t size)
{
    *o = (struct output){text, size, 0, NULL};
    text[0] = '\0';
}

void output_start_sink(struct output *o, const struct report_sink *sink)
{
    *o = (struct output){NULL, 0, 0, sink};
}

void put(struct output *o, const char *fmt, ...)
{
    char piece[OUTPUT_MAX_PIECE];
    size_t at = o->length < o->size ? o->length : o->size - 1, length;
    va_list args;
    va_start(args, fmt);
    if (o->sink == NULL) {
        o->length += str_vformat(o->text + at, o->size - at, fmt, args);
    } else {
        length = str_vformat(piece, sizeof(piece), fmt, args);
        put_bytes(o, piece, min_u64(length, sizeof(piece) - 1));
    }
    va_end(args);
}

void put_bytes(struct output *o, const char *bytes, size_t size)
{
    if (o->sink != NULL) {
        o->sink->write(o->sink->user, bytes, size);
    } else if (o->length < o->size) {
        size_t fits = min_u64(size, o->size - 1 - o->length);
        memcpy(o->text + o->length, bytes, fits);
        o->text[o->length + fits] = '\0';
    }
    o->length += size;
}

// What a terminal would obey: control characters of ASCII, and of Latin-1 in their UTF-8 form; separators of
// lines and marks that turn the direction of what follows (U+2028-202E, U+2066-2069).
static bool is_control(const unsigned char *s)
{
    bool marks = s[0] == 0xe2 && ((s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) ||
                                  (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9));
    return marks || s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f);
}

void put_clean(struct output *o, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0';) {
        size_t length = report_utf8_length(s);
        if (length == 0 || is_control(s)) {
            put_bytes(o, *s == '\t' ? " " : "?", 1);
        } else {
            put_bytes(o, (const char *)s, length);
        }
        s += length == 0 ? 1 : length;
    }
}

size_t report_utf8_length(const unsigned char *s)
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

void put_json_string(struct output *o, const char *text)
{
    put_bytes(o, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0';) {
        size_t length = report_utf8_length(s);
        if (*s == '"' || *s == '\\') {
            put(o, "\\%c", *s);
        } else if (*s < 0x20 || *s == 0x7f) {
            put(o, "\\u%04x", *s);
        } else if (length == 0) {
            put_bytes(o, "?", 1);
        } else {
            put_bytes(o, (const char *)s, length);
        }
        s += length == 0 ? 1 : length;
    }
    put_bytes(o, "\"", 1);
}

void report_place(const struct program *p, uint32_t pc, struct source_place *out)
{
    const struct line *line = pc < p->insn_count ? program_line(p, pc) : NULL;
    out->file = line != NULL ? program_string(p, line->file_off) : "";
    out->source = line != NULL ? program_string(p, line->text_off) : "";
    out->line = line != NULL ? line->line : 0;
    out->column = line != NULL ? line->column : 0;
    while (*out->source == ' ' || *out->source == '\t') {
        out->source++;
    }
}

const char *report_short_name(const char *file)
{
    const char *name = file;
    for (; *file != '\0'; file++) {
        if (*file == '/' || *file == '\\') {
            name = file + 1;
        }
    }
    return name;
}

bool report_has_insn(const struct program *p, const struct finding *f)
{
    return f->rule != RULE_MALFORMED_PROGRAM && f->pc < p->insn_count;
}

uint32_t report_step_target(const struct program *p, const struct finding_step *step)
{
    const struct insn *in = &p->insns[step->pc];
    return step->taken && insn_is_jump(in) ? (uint32_t)insn_target(in, step->pc) : step->pc + 1;
}

size_t report_print_edit(const struct finding_edit *edit, char *text, size_t size)
{
    struct output o;
    output_start(&o, text, size);
    switch (edit->kind) {
    case EDIT_INSERT_BEFORE: put(&o, "insert before line %u: %s", edit->line, edit->text); break;
    case EDIT_INSERT_AFTER: put(&o, "insert after line %u: %s", edit->line, edit->text); break;
    case EDIT_REPLACE: put(&o, "change line %u to: %s", edit->line, edit->text); break;
    default: put(&o, "remove line %u", edit->line); break;
    }
    return o.length;
}

// NULL: no call of a function that has a name.
static const char *called_name(const struct insn *in)
{
    const struct spec_view *v = spec_builtin();
    uint8_t sem = insn_info(in->id)->sem;
    bool calls = sem == SEM_CALL || sem == SEM_CALL_BTF;
    return calls && in->imm > 0 && in->imm < (int64_t)v->helper_count ? v->helpers[in->imm].name : NULL;
}

void put_insn_text(struct output *o, const struct program *p, uint32_t pc, bool html)
{
    char text[96];
    const char *name = called_name(&p->insns[pc]);
    if (name != NULL) {
        str_format(text, sizeof(text), "call %s", name);
    } else {
        insn_print(&p->insns[pc], text, sizeof(text));
    }
    (html ? put_html : put_clean)(o, text);
}
