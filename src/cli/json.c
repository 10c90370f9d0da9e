// SPDX-License-Identifier: MIT
// json: see json.h. Commas are decided by what precedes on the level, so callers never think of them.
#include "cli/json.h"

#include <inttypes.h>
#include <string.h>

void json_init(struct json *j, FILE *out, bool pretty)
{
    *j = (struct json){.out = out, .pretty = pretty};
}

static void new_line(struct json *j)
{
    if (j->pretty) {
        fprintf(j->out, "\n%*s", (int)(4 * j->depth), "");
    }
}

// Before a value.
static void separate(struct json *j)
{
    if (j->separator) {
        fputc(',', j->out);
    }
    j->separator = true;
}

static void begin(struct json *j, char bracket)
{
    separate(j);
    fputc(bracket, j->out);
    j->depth++;
    j->separator = false;
}

static void end(struct json *j, char bracket)
{
    j->depth--;
    if (j->separator) {
        new_line(j);
    }
    fputc(bracket, j->out);
    j->separator = true;
}

void json_start_object(struct json *j)
{
    begin(j, '{');
}

void json_end_object(struct json *j)
{
    end(j, '}');
}

void json_start_array(struct json *j)
{
    begin(j, '[');
}

void json_end_array(struct json *j)
{
    end(j, ']');
}

static void put_char(struct json *j, unsigned char c)
{
    static const char escaped[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
    for (size_t i = 0; i < sizeof(letters) - 1; i++) {
        if (c == (unsigned char)escaped[i]) {
            fprintf(j->out, "\\%c", letters[i]);
            return;
        }
    }
    if (c < ' ' || c == 0x7f) {
        fprintf(j->out, "\\u%04x", c);
    } else {
        fputc(c, j->out);
    }
}

// Length of a well-formed UTF-8 sequence, or 0 (RFC 3629).
static size_t utf8_length(const unsigned char *s)
{
    static const unsigned char first_second[][4] = {
        // lead range, second byte range
        {0xc2, 0xdf, 0x80, 0xbf}, {0xe0, 0xe0, 0xa0, 0xbf}, {0xe1, 0xec, 0x80, 0xbf},
        {0xed, 0xed, 0x80, 0x9f}, {0xee, 0xef, 0x80, 0xbf}, {0xf0, 0xf0, 0x90, 0xbf},
        {0xf1, 0xf3, 0x80, 0xbf}, {0xf4, 0xf4, 0x80, 0x8f},
    };
    for (size_t i = 0; i < sizeof(first_second) / sizeof(first_second[0]); i++) {
        const unsigned char *r = first_second[i];
        size_t length = r[0] < 0xe0 ? 2 : r[0] < 0xf0 ? 3 : 4;
        if (s[0] < r[0] || s[0] > r[1] || s[1] < r[2] || s[1] > r[3]) {
            continue;
        }
        for (size_t k = 2; k < length; k++) {
            if ((s[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return length;
    }
    return 0;
}

static void put_string(struct json *j, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    fputc('"', j->out);
    while (*s != 0) {
        size_t length = *s < 0x80 ? 1 : utf8_length(s);
        if (length == 0) {
            fprintf(j->out, "\\u00%02x", *s); // names may hold anything; the output stays valid
            s++;
        } else if (length == 1) {
            put_char(j, *s++);
        } else {
            fwrite(s, 1, length, j->out);
            s += length;
        }
    }
    fputc('"', j->out);
}

void json_name(struct json *j, const char *name)
{
    separate(j);
    new_line(j);
    put_string(j, name);
    fputs(j->pretty ? ": " : ":", j->out);
    j->separator = false;
}

void json_string(struct json *j, const char *text)
{
    separate(j);
    put_string(j, text);
}

void json_uint(struct json *j, uint64_t value)
{
    separate(j);
    fprintf(j->out, "%" PRIu64, value);
}

void json_int(struct json *j, int64_t value)
{
    separate(j);
    fprintf(j->out, "%" PRId64, value);
}

void json_bool(struct json *j, bool value)
{
    separate(j);
    fputs(value ? "true" : "false", j->out);
}

void json_null(struct json *j)
{
    separate(j);
    fputs("null", j->out);
}

void json_string_member(struct json *j, const char *name, const char *text)
{
    json_name(j, name);
    json_string(j, text);
}

void json_uint_member(struct json *j, const char *name, uint64_t value)
{
    json_name(j, name);
    json_uint(j, value);
}

void json_bool_member(struct json *j, const char *name, bool value)
{
    json_name(j, name);
    json_bool(j, value);
}

// Its length, quotes included.
static size_t string_length(const char *text)
{
    size_t length = 1;
    while (text[length] != '"' && text[length] != 0) {
        length += text[length] == '\\' && text[length + 1] != 0 ? 2 : 1;
    }
    return length + (text[length] == '"');
}

// A name with its colon, a string, or another word.
static size_t copy_word(struct json *j, const char *text)
{
    size_t length = *text == '"' ? string_length(text) : strcspn(text, ",]}");
    bool is_name = *text == '"' && text[length] == ':';
    separate(j);
    if (is_name) {
        new_line(j);
    }
    fwrite(text, 1, length, j->out);
    if (is_name) {
        fputs(j->pretty ? ": " : ":", j->out);
        j->separator = false;
    }
    return length + is_name;
}

void json_value(struct json *j, const char *text)
{
    while (*text != 0) {
        switch (*text) {
        case '{':
        case '[': begin(j, *text++); break;
        case '}':
        case ']': end(j, *text++); break;
        case ',': text++; break;
        default: text += copy_word(j, text); break;
        }
    }
}

void json_bytes(struct json *j, const void *bytes, size_t size)
{
    json_start_array(j);
    for (size_t i = 0; i < size; i++) {
        char text[8];
        snprintf(text, sizeof(text), "0x%02x", ((const unsigned char *)bytes)[i]);
        json_string(j, text);
    }
    json_end_array(j);
}
