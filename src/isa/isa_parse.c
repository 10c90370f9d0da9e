// SPDX-License-Identifier: MIT
// isa_parse: matches a line against the templates of isa_syntax.c, row after row; the row whose template
// consumes the whole line is the instruction. For tests and tools; what it returns passes insn_check.
#include "isa/isa_int.h"

struct match {
    const char *start, *at; // text that is left
    const struct insn_info *info;
    struct insn insn;
    bool has_dst, has_src; // a register named twice must be the same
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void skip_blanks(struct match *m)
{
    while (is_blank(*m->at)) {
        m->at++;
    }
}

// A space of a template: separates two words, otherwise optional.
static bool match_space(struct match *m)
{
    const char *before = m->at;
    skip_blanks(m);
    return m->at != before || before == m->start || !is_word(before[-1]) || !is_word(*m->at);
}

static bool match_char(struct match *m, char c)
{
    if (*m->at != c) {
        return false;
    }
    m->at++;
    return true;
}

// Text of a table. Where a word ends is the next space's business.
static bool match_text(struct match *m, const char *s)
{
    for (; *s != '\0'; s++) {
        bool as_blank = *s == '_' && is_blank(*m->at); // "call local" for call_local
        if (as_blank) {
            skip_blanks(m);
        } else if (!match_char(m, *s)) {
            return false;
        }
    }
    return true;
}

static bool match_register(struct match *m, char prefix, uint8_t *reg, bool *seen)
{
    (void)match_char(m, '%');
    if (!match_char(m, prefix) || *m->at < '0' || *m->at > '9') {
        return false;
    }
    unsigned number = (unsigned)(*m->at++ - '0');
    if (number == 1 && *m->at == '0') {
        m->at++;
        number = 10;
    }
    if (is_word(*m->at) || (*seen && *reg != number)) {
        return false;
    }
    *reg = (uint8_t)number;
    *seen = true;
    return true;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

// Decimal or 0x hexadecimal digits, at least one, below 2^64.
static bool match_magnitude(struct match *m, uint64_t *out)
{
    unsigned base = 10;
    uint64_t value = 0;
    if (m->at[0] == '0' && (m->at[1] == 'x' || m->at[1] == 'X')) {
        base = 16;
        m->at += 2;
    }
    const char *first = m->at;
    for (; is_word(*m->at); m->at++) {
        unsigned digit = (unsigned)digit_of(*m->at);
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *out = value;
    return m->at != first;
}

// A number with optional sign whose bits fit `bits`: [-2^(bits-1), 2^bits), as the low bits of *out.
static bool match_number(struct match *m, unsigned bits, uint64_t *out)
{
    bool negative = match_char(m, '-');
    uint64_t magnitude, limit = negative ? UINT64_C(1) << (bits - 1) : UINT64_MAX >> (64 - bits);
    if (!match_magnitude(m, &magnitude) || magnitude > limit) {
        return false;
    }
    *out = negative ? 0 - magnitude : magnitude;
    return true;
}

// '+' or '-' and a magnitude, blanks between allowed; the value lies in [min, max].
static bool match_signed(struct match *m, int64_t min, int64_t max, int64_t *out)
{
    bool negative = *m->at == '-';
    uint64_t magnitude;
    if (!match_char(m, negative ? '-' : '+')) {
        return false;
    }
    skip_blanks(m);
    if (!match_magnitude(m, &magnitude) || magnitude > (negative ? (uint64_t)-min : (uint64_t)max)) {
        return false;
    }
    *out = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

static bool match_address(struct match *m, uint8_t *reg, bool *seen)
{
    int64_t off = 0;
    if (!match_register(m, 'r', reg, seen)) {
        return false;
    }
    const char *after = m->at;
    skip_blanks(m);
    if (*m->at != '+' && *m->at != '-') {
        m->at = after;
        return true;
    }
    if (!match_signed(m, INT16_MIN, INT16_MAX, &off)) {
        return false;
    }
    m->insn.off = (int16_t)off;
    return true;
}

static bool match_type(struct match *m)
{
    char type[8];
    str_format(type, sizeof(type), "%c%u", m->info->sem == SEM_LDXS ? 's' : 'u', (unsigned)m->info->width);
    return match_text(m, type);
}

static bool match_immediate(struct match *m, char placeholder)
{
    uint64_t bits, old = (uint64_t)m->insn.imm;
    if (!match_number(m, placeholder == 'x' ? 64 : 32, &bits)) {
        return false;
    }
    switch (placeholder) {
    case 'x': m->insn.imm = (int64_t)bits; break;
    case 'p': m->insn.imm = (int64_t)(uint32_t)bits; break;
    case 'q': m->insn.imm = (int64_t)(bits << 32 | (uint32_t)old); break;
    default: m->insn.imm = (int32_t)(uint32_t)bits; break;
    }
    return true;
}

static bool match_displacement(struct match *m, char placeholder)
{
    int64_t value;
    if (placeholder == 'J') {
        return match_signed(m, INT32_MIN, INT32_MAX, &m->insn.imm);
    }
    if (!match_signed(m, INT16_MIN, INT16_MAX, &value)) {
        return false;
    }
    m->insn.off = (int16_t)value;
    return true;
}

static bool match_operand(struct match *m, char placeholder)
{
    char prefix = m->info->width == 32 ? 'w' : 'r';
    switch (placeholder) {
    case 'd': return match_register(m, prefix, &m->insn.dst, &m->has_dst);
    case 's': return match_register(m, prefix, &m->insn.src, &m->has_src);
    case 'D': return match_register(m, 'r', &m->insn.dst, &m->has_dst);
    case 'S': return match_register(m, 'r', &m->insn.src, &m->has_src);
    case 'm': return match_address(m, &m->insn.dst, &m->has_dst);
    case 'M': return match_address(m, &m->insn.src, &m->has_src);
    case 't': return match_type(m);
    case 'o': return match_text(m, syntax_operator(m->info));
    case 'n': return match_text(m, m->info->mnemonic);
    case 'j':
    case 'J': return match_displacement(m, placeholder);
    default: return match_immediate(m, placeholder);
    }
}

static bool match_template(const char *template, const char *line, unsigned id, struct insn *out)
{
    struct match m = {.start = line, .at = line, .info = insn_info(id), .insn = {.id = (uint16_t)id}};
    skip_blanks(&m);
    for (const char *c = template; *c != '\0'; c++) {
        bool matched = *c == '%' ? match_operand(&m, *++c) : *c == ' ' ? match_space(&m) : match_char(&m, *c);
        if (!matched) {
            return false;
        }
    }
    skip_blanks(&m);
    if (*m.at != 0 || insn_check(&m.insn) != INSN_OK) {
        return false;
    }
    *out = m.insn;
    return true;
}

static bool parse_as(unsigned id, const char *line, struct insn *out)
{
    const struct insn_info *info = insn_info(id);
    if (match_template(syntax_rfc_template(info), line, id, out) ||
        match_template(syntax_asm_template(info), line, id, out)) {
        return true;
    }
    const char *alias;
    for (unsigned i = 0; (alias = syntax_alias_template(id, i)) != NULL; i++) {
        if (match_template(alias, line, id, out)) {
            return true;
        }
    }
    return false;
}

ebpf_result_t insn_parse(const char *line, struct insn out[2], unsigned *slots)
{
    struct insn in;
    for (unsigned id = INSN_NONE + 1; id < INSN_ID_COUNT; id++) {
        if (parse_as(id, line, &in)) {
            out[0] = in;
            out[1] = (struct insn){0};
            *slots = insn_slots(&in);
            return EBPF_SUCCESS;
        }
    }
    return EBPF_INVALID_ARGUMENT;
}
