// SPDX-License-Identifier: MIT
// vectors: line by line; a section collects lines until the next "-- ".
#include "tests/isa/vectors.h"

enum section { SECTION_NONE, SECTION_ASM, SECTION_MEM, SECTION_RESULT };

struct source_line {
    const char *start;
    size_t length;
};

static bool next_line(const char **at, struct source_line *out)
{
    const char *end = *at;
    if (*end == 0) {
        return false;
    }
    while (*end != 0 && *end != '\n') {
        end++;
    }
    *out = (struct source_line){*at, (size_t)(end - *at)};
    *at = *end == 0 ? end : end + 1;
    if (out->length != 0 && out->start[out->length - 1] == '\r') {
        out->length--;
    }
    return true;
}

static bool line_is(const struct source_line *line, const char *text)
{
    return line->length == str_len(text) && memcmp(line->start, text, line->length) == 0;
}

static bool line_starts(const struct source_line *line, const char *text)
{
    return line->length >= str_len(text) && memcmp(line->start, text, str_len(text)) == 0;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return -1;
}

static bool append_text(struct vector *v, const struct source_line *line)
{
    size_t used = str_len(v->text);
    if (used + line->length + 2 > sizeof(v->text)) {
        return false;
    }
    memcpy(v->text + used, line->start, line->length);
    memcpy(v->text + used + line->length, "\n", 2);
    return true;
}

// Hexadecimal pairs separated by blanks.
static bool append_mem(struct vector *v, const struct source_line *line)
{
    for (size_t i = 0; i < line->length;) {
        if (line->start[i] == ' ') {
            i++;
            continue;
        }
        if (i + 1 >= line->length || v->mem_size == sizeof(v->mem)) {
            return false;
        }
        int high = digit_of(line->start[i]), low = digit_of(line->start[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        v->mem[v->mem_size++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    return true;
}

static bool read_result(struct vector *v, const struct source_line *line)
{
    uint64_t value = 0;
    if (v->has_result || !line_starts(line, "0x") || line->length < 3 || line->length > 18) {
        return false;
    }
    for (size_t i = 2; i < line->length; i++) {
        int digit = digit_of(line->start[i]);
        if (digit < 0) {
            return false;
        }
        value = value << 4 | (unsigned)digit;
    }
    v->result = value;
    v->has_result = true;
    return true;
}

static bool add_line(struct vector *v, enum section section, const struct source_line *line)
{
    if (line->length == 0 || line->start[0] == '#') {
        return section != SECTION_ASM || append_text(v, line); // keeps the line numbers of the assembly
    }
    switch (section) {
    case SECTION_ASM: return append_text(v, line);
    case SECTION_MEM: return append_mem(v, line);
    case SECTION_RESULT: return read_result(v, line);
    default: return false;
    }
}

static bool open_section(const struct source_line *line, enum section *section)
{
    *section = line_is(line, "-- asm")      ? SECTION_ASM
               : line_is(line, "-- mem")    ? SECTION_MEM
               : line_is(line, "-- result") ? SECTION_RESULT
                                            : SECTION_NONE;
    return *section != SECTION_NONE;
}

// Skips to the line after the next "-- case"; its name goes to `v`.
static bool open_case(const char **at, struct vector *v, const char **error)
{
    const char prefix[] = "-- case ";
    struct source_line line;
    while (next_line(at, &line)) {
        if (line_starts(&line, prefix)) {
            size_t length = min_u64(line.length - (sizeof(prefix) - 1), sizeof(v->name) - 1);
            memcpy(v->name, line.start + sizeof(prefix) - 1, length);
            v->name[length] = 0;
            return true;
        }
        if (line.length != 0 && line.start[0] != '#') {
            *error = "text before the first case";
            return false;
        }
    }
    return false;
}

bool vector_next(const char **at, struct vector *out, const char **error)
{
    struct source_line line;
    enum section section = SECTION_NONE;
    *error = NULL;
    *out = (struct vector){0};
    if (!open_case(at, out, error)) {
        return false;
    }
    for (const char *next = *at; next_line(&next, &line); *at = next) {
        if (line_starts(&line, "-- case ")) {
            break;
        }
        bool good = line_starts(&line, "-- ") ? open_section(&line, &section) : add_line(out, section, &line);
        if (!good) {
            *error = "malformed section or line";
        }
    }
    if (*error == NULL && (!out->has_result || out->text[0] == 0)) {
        *error = "a case needs assembly and a result";
    }
    return true;
}
