// SPDX-License-Identifier: MIT
// helper_sys: time, identity, randomness, and bpf_trace_printk.
#include "runtime/helper_int.h"

HELPER_BODY(GET_PRANDOM_U32)
{
    return plat_random_u32();
}

HELPER_BODY(KTIME_GET_BOOT_NS)
{
    return plat_boot_time_ns();
}

HELPER_BODY(KTIME_GET_NS)
{
    return plat_time_ns();
}

HELPER_BODY(KTIME_GET_BOOT_MS)
{
    return plat_boot_time_ns() / 1000000u;
}

HELPER_BODY(KTIME_GET_MS)
{
    return plat_time_ns() / 1000000u;
}

HELPER_BODY(GET_SMP_PROCESSOR_ID)
{
    return run->jit.slot;
}

HELPER_BODY(GET_CURRENT_PID_TGID)
{
    return plat_pid_tgid();
}

// --- bpf_trace_printk ----------------------------------------------------------------------------
//
// Integers only: %d %i %u %x %X %c with flags '-' and '0', a width of at most two digits, and l or ll. Text
// must be printable and end inside its memory. Everything else is -EINVAL, before anything is printed.

#define TRACE_TEXT_SIZE 256u

struct conversion {
    char flag; // '-', '0' or 0
    uint8_t width;
    uint8_t longs; // how many l
    char letter;
    uint32_t length; // characters after the '%'
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// The character at `at`; NUL from `end` on.
static char peek(const char *at, const char *end)
{
    return at < end ? *at : '\0';
}

// Reads what follows a '%'. No branch accepts the NUL at the end.
static bool read_conversion(const char *at, const char *end, struct conversion *out)
{
    const char *start = at;
    struct conversion c = {0};
    if (peek(at, end) == '-' || peek(at, end) == '0') {
        c.flag = *at++;
    }
    for (unsigned digits = 0; digits < 2 && is_digit(peek(at, end)); digits++) {
        c.width = (uint8_t)(c.width * 10 + (*at++ - '0'));
    }
    while (peek(at, end) == 'l' && c.longs < 2) {
        c.longs++;
        at++;
    }
    c.letter = peek(at, end);
    c.length = (uint32_t)(at - start) + 1;
    *out = c;
    return c.letter == 'd' || c.letter == 'i' || c.letter == 'u' || c.letter == 'x' || c.letter == 'X' ||
           (c.letter == 'c' && c.longs == 0) || (c.letter == '%' && c.length == 1);
}

static bool is_printable(char c)
{
    return (c >= 0x20 && c < 0x7f) || (c >= '\t' && c <= '\r');
}

struct sink {
    char text[TRACE_TEXT_SIZE];
    size_t used; // always below the size
};

static void put(struct sink *s, char c)
{
    if (s->used + 1 < sizeof(s->text)) {
        s->text[s->used++] = c;
    }
}

static uint64_t argument_value(const struct conversion *c, uint64_t raw)
{
    bool is_signed = c->letter == 'd' || c->letter == 'i';
    if (c->longs > 0) {
        return raw;
    }
    return is_signed ? (uint64_t)(int64_t)(int32_t)raw : (uint32_t)raw;
}

static void put_padding(struct sink *s, char c, size_t have, size_t want)
{
    for (; have < want; have++) {
        put(s, c);
    }
}

static void put_conversion(struct sink *s, const struct conversion *c, uint64_t raw)
{
    char digits[24];
    const char *at = digits;
    size_t length;
    uint64_t value = argument_value(c, raw);
    if (c->letter == 'c') {
        char byte = (char)raw;
        digits[0] = is_printable(byte) ? byte : '?';
        digits[1] = '\0';
        length = 1;
    } else if (c->letter == 'd' || c->letter == 'i') {
        length = str_format(digits, sizeof(digits), "%lld", (long long)value);
    } else if (c->letter == 'u') {
        length = str_format(digits, sizeof(digits), "%llu", (unsigned long long)value);
    } else if (c->letter == 'x') {
        length = str_format(digits, sizeof(digits), "%llx", (unsigned long long)value);
    } else {
        length = str_format(digits, sizeof(digits), "%llX", (unsigned long long)value);
    }
    if (c->flag == '0') {
        if (*at == '-') {
            put(s, *at++);
        }
        put_padding(s, '0', length, c->width);
    } else if (c->flag == 0) {
        put_padding(s, ' ', length, c->width);
    }
    while (*at != '\0') {
        put(s, *at++);
    }
    if (c->flag == '-') {
        put_padding(s, ' ', length, c->width);
    }
}

// Prints into the sink; false when the format is wrong or asks for more than `count` arguments. The format
// may be in memory that others write meanwhile (a map value): one pass, never beyond `size` bytes, and
// nothing that was checked is read again.
static bool print(struct sink *s, const char *format, uint64_t size, const uint64_t *args, unsigned count)
{
    const char *end = format + size - 1;
    struct conversion c;
    for (const char *at = format; at < end; at++) {
        char letter = *at;
        if (letter == '\0') {
            break;
        }
        if (!is_printable(letter)) {
            return false;
        }
        if (letter != '%') {
            put(s, letter);
            continue;
        }
        if (!read_conversion(at + 1, end, &c) || (c.letter != '%' && count == 0)) {
            return false;
        }
        if (c.letter == '%') {
            put(s, '%');
        } else {
            put_conversion(s, &c, *args++);
            count--;
        }
        at += c.length;
    }
    return true;
}

// Returns the length of the text, as Linux does.
static uint64_t trace(struct run *run, const char *format, uint64_t size, const uint64_t args[3],
                      unsigned count)
{
    struct sink s = {.used = 0};
    if (size == 0 || format[size - 1] != '\0' || !print(&s, format, size, args, count)) {
        return helper_result(EBPF_INVALID_ARGUMENT);
    }
    if (s.used > 0 && s.text[s.used - 1] == '\n') {
        s.used--; // one call is one line anyway
    }
    s.text[s.used] = '\0';
    if (run->rt->trace != NULL) {
        run->rt->trace(run->rt->trace_user, s.text);
    }
    return s.used;
}

// In the Linux dialect one number serves all; the format says how many arguments count.
HELPER_BODY(TRACE_PRINTK)
{
    return trace(run, pointer(a1), a2, (const uint64_t[3]){a3, a4, a5}, 3);
}

HELPER_BODY(TRACE_PRINTK2)
{
    return trace(run, pointer(a1), a2, (const uint64_t[3]){a3, a4, a5}, 0);
}

HELPER_BODY(TRACE_PRINTK3)
{
    return trace(run, pointer(a1), a2, (const uint64_t[3]){a3, a4, a5}, 1);
}

HELPER_BODY(TRACE_PRINTK4)
{
    return trace(run, pointer(a1), a2, (const uint64_t[3]){a3, a4, a5}, 2);
}

HELPER_BODY(TRACE_PRINTK5)
{
    return trace(run, pointer(a1), a2, (const uint64_t[3]){a3, a4, a5}, 3);
}
