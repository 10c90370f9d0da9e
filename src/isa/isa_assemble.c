// SPDX-License-Identifier: MIT
// isa_assemble: assembler for tests and tools: lines of insn_parse with labels. Two passes without memory of
// their own: the first parses with +0 in place of each label, the second finds every label by counting the
// slots of the lines before it.
#include "isa/isa.h"

#define LINE_SIZE  160
#define LABEL_SIZE 64

// A line without its comment and label.
struct statement {
    char label[LABEL_SIZE]; // defined before the instruction; "" if none
    char text[LINE_SIZE];   // "" when the line has no instruction
};

// Reads the text line by line.
struct lines {
    const char *at;
    uint32_t number; // of the line read last, from 1
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

static bool is_label(const char *s)
{
    if (*s == '\0' || (*s >= '0' && *s <= '9')) {
        return false;
    }
    while (is_label_char(*s)) {
        s++;
    }
    return *s == '\0';
}

// Copies [from, to) without blanks at its ends. False when it does not fit.
static bool copy_trimmed(char *dst, size_t size, const char *from, const char *to)
{
    while (from < to && is_space(*from)) {
        from++;
    }
    while (to > from && is_space(to[-1])) {
        to--;
    }
    size_t length = (size_t)(to - from);
    if (length >= size) {
        return false;
    }
    memcpy(dst, from, length);
    dst[length] = 0;
    return true;
}

static const char *find_char(const char *from, const char *to, char c)
{
    while (from < to && *from != c) {
        from++;
    }
    return from;
}

// Splits the next line. False when it is malformed; the caller stops at the end of the text.
static bool read_statement(struct lines *lines, struct statement *out)
{
    const char *start = lines->at, *end = start;
    while (*end != '\0' && *end != '\n') {
        end++;
    }
    lines->at = *end == '\0' ? end : end + 1;
    lines->number++;
    const char *code_end = find_char(start, end, '#');
    const char *colon = find_char(start, code_end, ':');
    out->label[0] = 0;
    if (colon < code_end) {
        if (!copy_trimmed(out->label, sizeof(out->label), start, colon) || !is_label(out->label)) {
            return false;
        }
        start = colon + 1;
    }
    return copy_trimmed(out->text, sizeof(out->text), start, code_end);
}

// Start of the last operand: after the last comma or blank.
static char *last_operand(char *text)
{
    char *last = text;
    for (char *c = text; *c != '\0'; c++) {
        if (is_space(*c) || *c == ',') {
            last = c + 1;
        }
    }
    return last;
}

// Parses a statement; `label` receives the label that its displacement names, or "".
static ebpf_result_t parse_statement(const char *statement, struct insn out[2], unsigned *slots,
                                     char label[LABEL_SIZE])
{
    char text[LINE_SIZE + 2];
    label[0] = 0;
    if (insn_parse(statement, out, slots) == EBPF_SUCCESS) {
        return EBPF_SUCCESS;
    }
    (void)str_copy(text, sizeof(text), statement);
    char *operand = last_operand(text);
    char name[LABEL_SIZE];
    if (!str_copy(name, sizeof(name), operand) || !is_label(name) || operand == text) {
        return EBPF_INVALID_ARGUMENT;
    }
    (void)str_copy(operand, (size_t)(text + sizeof(text) - operand), "+0");
    TRY(insn_parse(text, out, slots));
    memcpy(label, name, sizeof(name));
    return insn_target(out, 0) >= 0 ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

// Slot that `label` stands for, counting over the instructions of the first pass. False when it is defined
// nowhere or twice.
static bool find_label(const char *text, const char *label, const struct insn *insns, uint32_t *out)
{
    struct lines lines = {text, 0};
    struct statement s;
    uint32_t pc = 0, found = UINT32_MAX, first_exit = UINT32_MAX;
    while (*lines.at != 0 && read_statement(&lines, &s)) {
        if (str_equal(s.label, label)) {
            if (found != UINT32_MAX) {
                return false;
            }
            found = pc;
        }
        if (s.text[0] != '\0') {
            first_exit = insns[pc].id == INSN_EXIT ? min_u32(first_exit, pc) : first_exit;
            pc += insn_slots(&insns[pc]);
        }
    }
    *out = found == UINT32_MAX && str_equal(label, "exit") ? first_exit : found;
    return *out != UINT32_MAX;
}

static ebpf_result_t set_target(struct insn *in, uint32_t pc, uint32_t target)
{
    int64_t displacement = (int64_t)target - pc - 1;
    uint8_t form = insn_info(in->id)->form;
    if (form == FORM_JA32 || form == FORM_CALL || form == FORM_LDDW) {
        in->imm = displacement;
        return EBPF_SUCCESS;
    }
    if (displacement < INT16_MIN || displacement > INT16_MAX) {
        return EBPF_INVALID_ARGUMENT;
    }
    in->off = (int16_t)displacement;
    return EBPF_SUCCESS;
}

// One line of a pass. `*pc` advances over its slots.
static ebpf_result_t assemble_line(const char *text, const struct statement *s, bool resolve,
                                   struct insn *out, uint32_t capacity, uint32_t *pc)
{
    struct insn insns[2];
    unsigned slots;
    uint32_t target;
    char label[LABEL_SIZE];
    if (s->text[0] == '\0') {
        return EBPF_SUCCESS;
    }
    TRY(parse_statement(s->text, insns, &slots, label));
    if (slots > capacity - *pc) {
        return EBPF_INSUFFICIENT_BUFFER;
    }
    if (resolve && label[0] != '\0') {
        if (!find_label(text, label, out, &target)) {
            return EBPF_INVALID_ARGUMENT;
        }
        TRY(set_target(&insns[0], *pc, target));
    }
    memcpy(&out[*pc], insns, slots * sizeof(insns[0]));
    *pc += slots;
    return EBPF_SUCCESS;
}

static ebpf_result_t assemble_pass(const char *text, bool resolve, struct insn *out, uint32_t capacity,
                                   uint32_t *count, uint32_t *bad_line)
{
    struct lines lines = {text, 0};
    struct statement s;
    uint32_t pc = 0;
    while (*lines.at != 0) {
        ebpf_result_t result = EBPF_INVALID_ARGUMENT;
        if (read_statement(&lines, &s)) {
            result = assemble_line(text, &s, resolve, out, capacity, &pc);
        }
        if (result != EBPF_SUCCESS) {
            *bad_line = lines.number;
            return result;
        }
    }
    *count = pc;
    return EBPF_SUCCESS;
}

ebpf_result_t isa_assemble(const char *text, struct insn *out, uint32_t capacity, uint32_t *count,
                           uint32_t *bad_line)
{
    uint32_t slots;
    TRY(assemble_pass(text, false, out, capacity, &slots, bad_line));
    return assemble_pass(text, true, out, capacity, count, bad_line);
}
