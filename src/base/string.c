// SPDX-License-Identifier: MIT
// string: bounded strings and a formatter without libc. Output is always terminated; lengths are those of the
// whole text, so that callers see truncation.
#include "base/base.h"

size_t str_len(const char *s)
{
    size_t n = 0;
    while (s[n] != '\0') {
        n++;
    }
    return n;
}

bool str_equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

bool str_starts_with(const char *s, const char *prefix)
{
    while (*prefix != '\0' && *s == *prefix) {
        s++;
        prefix++;
    }
    return *prefix == '\0';
}

bool str_is_terminated(const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (s[i] == '\0') {
            return true;
        }
    }
    return false;
}

bool str_copy(char *dst, size_t size, const char *src)
{
    size_t length = str_len(src), n = length < size ? length : size - 1;
    memcpy(dst, src, n);
    dst[n] = '\0';
    return n == length;
}

struct sink {
    char *text;
    size_t size, length;
};

static void put(struct sink *out, char c)
{
    if (out->length + 1 < out->size) {
        out->text[out->length] = c;
    }
    out->length++;
}

// One conversion: [-][0][width][l|ll|z]letter
struct conversion {
    bool left, zero;
    unsigned width, longs;
    char letter;
};

static const char *conversion_parse(const char *fmt, struct conversion *c)
{
    memset(c, 0, sizeof(*c));
    for (; *fmt == '-' || *fmt == '0'; fmt++) {
        c->left |= *fmt == '-';
        c->zero |= *fmt == '0';
    }
    for (; *fmt >= '0' && *fmt <= '9'; fmt++) {
        c->width = c->width * 10 + (unsigned)(*fmt - '0');
    }
    for (; *fmt == 'l' || *fmt == 'z'; fmt++) {
        c->longs += *fmt == 'z' ? 2 : 1;
    }
    c->letter = *fmt;
    return *fmt != '\0' ? fmt + 1 : fmt;
}

static void put_padded(struct sink *out, const struct conversion *c, const char *prefix, const char *body,
                       size_t size)
{
    size_t length = str_len(prefix) + size;
    size_t pad = c->width > length ? c->width - length : 0;
    for (; pad != 0 && !c->left && !c->zero; pad--) {
        put(out, ' ');
    }
    while (*prefix != '\0') {
        put(out, *prefix++);
    }
    for (; pad != 0 && !c->left; pad--) {
        put(out, '0');
    }
    for (size_t i = 0; i < size; i++) {
        put(out, body[i]);
    }
    for (; pad != 0; pad--) {
        put(out, ' ');
    }
}

static void put_number(struct sink *out, const struct conversion *c, const char *prefix, uint64_t value,
                       unsigned radix)
{
    const char *digits = c->letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    char body[24];
    size_t start = sizeof(body);
    do {
        body[--start] = digits[value % radix];
        value /= radix;
    } while (value != 0);
    put_padded(out, c, prefix, body + start, sizeof(body) - start);
}

// `long` has 32 bits on Windows and 64 on Linux; size_t and long long have 64 on both.
static int64_t take_signed(const struct conversion *c, va_list *args)
{
    return c->longs >= 2   ? va_arg(*args, long long)
           : c->longs == 1 ? va_arg(*args, long)
                           : va_arg(*args, int);
}

static uint64_t take_unsigned(const struct conversion *c, va_list *args)
{
    return c->longs >= 2   ? va_arg(*args, unsigned long long)
           : c->longs == 1 ? va_arg(*args, unsigned long)
                           : va_arg(*args, unsigned);
}

static void put_signed(struct sink *out, const struct conversion *c, int64_t value)
{
    put_number(out, c, value < 0 ? "-" : "", value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

static void convert(struct sink *out, struct conversion *c, va_list *args)
{
    char one;
    switch (c->letter) {
    case 's': {
        const char *s = va_arg(*args, const char *);
        c->zero = false;
        s = s != NULL ? s : "(null)";
        put_padded(out, c, "", s, str_len(s));
        break;
    }
    case 'c':
        one = (char)va_arg(*args, int);
        put_padded(out, c, "", &one, 1);
        break;
    case 'd':
    case 'i': put_signed(out, c, take_signed(c, args)); break;
    case 'u': put_number(out, c, "", take_unsigned(c, args), 10); break;
    case 'x':
    case 'X': put_number(out, c, "", take_unsigned(c, args), 16); break;
    case 'p': put_number(out, c, "0x", (uint64_t)(uintptr_t)va_arg(*args, void *), 16); break;
    case '%': put(out, '%'); break;
    default: put(out, '?'); break;
    }
}

size_t str_vformat(char *dst, size_t size, const char *fmt, va_list args)
{
    struct sink out = {dst, size, 0};
    va_list copy; // an array type on some platforms: only a local one can be passed by address
    va_copy(copy, args);
    while (*fmt != '\0') {
        if (*fmt != '%') {
            put(&out, *fmt++);
            continue;
        }
        struct conversion c;
        fmt = conversion_parse(fmt + 1, &c);
        convert(&out, &c, &copy);
    }
    va_end(copy);
    if (size != 0) {
        dst[out.length < size ? out.length : size - 1] = '\0';
    }
    return out.length;
}

size_t str_format(char *dst, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t length = str_vformat(dst, size, fmt, args);
    va_end(args);
    return length;
}
