// SPDX-License-Identifier: MIT
// cgen_text: pieces of C. What comes from an object (names, source lines) may hold anything, and becomes C
// that means nothing but itself.
#include "cgen/cgen_int.h"

#define PIECE_SIZE    512
#define BYTES_PER_ROW 32

void text_put(const struct cgen *c, const char *text)
{
    c->sink->put(c->sink->user, text, str_len(text));
}

// Pieces longer than PIECE_SIZE are for text_put.
void text_write(const struct cgen *c, const char *fmt, ...)
{
    char piece[PIECE_SIZE];
    va_list args;
    va_start(args, fmt);
    str_vformat(piece, sizeof(piece), fmt, args);
    va_end(args);
    text_put(c, piece);
}

static bool is_plain(uint8_t byte)
{
    return byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\' && byte != '?';
}

void text_string(const struct cgen *c, const char *text)
{
    text_put(c, "\"");
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (is_plain(byte)) {
            text_write(c, "%c", byte);
        } else {
            text_write(c, "\\%u%u%u", (unsigned)byte >> 6, (unsigned)byte >> 3 & 7, (unsigned)byte & 7);
        }
    }
    text_put(c, "\"");
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

void text_name(const struct cgen *c, const char *text)
{
    for (; *text != '\0'; text++) {
        text_write(c, "%c", is_name_char(*text) ? *text : '_');
    }
}

// A line that ends with a backslash (or the trigraph of one) would take the next line in.
void text_comment(const struct cgen *c, const char *text)
{
    char last = '\0';
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    for (; *text != '\0'; text++) {
        bool plain = *text >= ' ' && *text < 0x7f;
        char shown = plain ? *text : *text == '\t' ? ' ' : '?';
        text_write(c, "%c", shown);
        last = shown == ' ' ? last : shown;
    }
    if (last == '\\' || last == '/') {
        text_put(c, ".");
    }
}

static char *put_octal(char *out, unsigned byte, bool is_long)
{
    *out++ = '\\';
    if (is_long || byte >= 0100) {
        *out++ = (char)('0' + (byte >> 6));
    }
    if (is_long || byte >= 010) {
        *out++ = (char)('0' + (byte >> 3 & 7));
    }
    *out++ = (char)('0' + (byte & 7));
    return out;
}

// A digit behind a short number would belong to it.
static char *put_byte(char *out, uint8_t byte, bool digit_follows)
{
    if (!is_plain(byte)) {
        return put_octal(out, byte, digit_follows);
    }
    *out++ = (char)byte;
    return out;
}

void text_literal(const struct cgen *c, const uint8_t *bytes, size_t size)
{
    for (size_t row = 0; row == 0 || row < size; row += BYTES_PER_ROW) {
        char text[BYTES_PER_ROW * 4 + 8], *out = text;
        size_t end = size - row < BYTES_PER_ROW ? size : row + BYTES_PER_ROW;
        for (const char *in = row == 0 ? "    \"" : "\n    \""; *in != '\0';) {
            *out++ = *in++;
        }
        for (size_t i = row; i < end; i++) {
            out = put_byte(out, bytes[i], i + 1 < end && bytes[i + 1] >= '0' && bytes[i + 1] <= '9');
        }
        *out++ = '"';
        *out = '\0';
        text_put(c, text);
    }
}

void text_bytes(const struct cgen *c, const char *name, const uint8_t *bytes, size_t size)
{
    text_write(c, "static const uint8_t %s[%zu] =\n", name, size == 0 ? 1 : size);
    text_literal(c, bytes, size);
    text_put(c, ";\n");
}

void text_number(const struct cgen *c, int64_t value, unsigned width)
{
    bool is_small = value > -65536 && value < 65536;
    int64_t shown = width == 32 ? (int32_t)value : value;
    is_small = is_small || (width == 32 && shown > -65536 && shown < 65536);
    if (!is_small) {
        text_write(c, width == 32 ? "0x%llxu" : "UINT64_C(0x%llx)",
                   (unsigned long long)(width == 32 ? (uint32_t)value : (uint64_t)value));
    } else if (shown < 0) {
        text_write(c, "(uint%u_t)%lld", width, (long long)shown);
    } else {
        text_write(c, "%lld", (long long)shown);
    }
}

ebpf_result_t cgen_refuse(const struct cgen *c, uint32_t program, uint32_t pc, ebpf_result_t result,
                          const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    c->error->program = program;
    c->error->pc = pc;
    str_vformat(c->error->why, sizeof(c->error->why), fmt, args);
    va_end(args);
    return result;
}
