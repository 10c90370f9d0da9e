// SPDX-License-Identifier: MIT
// hint_source: see hint_source.h. Text is scanned by character; brackets are matched, strings are not looked
// into.
#include "verifier/hint_source.h"

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

const char *hint_skip_blanks(const char *text)
{
    while (is_blank(*text)) {
        text++;
    }
    return text;
}

static const char *find(const char *text, const char *part)
{
    for (; *text != '\0'; text++) {
        if (str_starts_with(text, part)) {
            return text;
        }
    }
    return NULL;
}

bool hint_contains(const char *text, const char *word)
{
    return find(text, word) != NULL;
}

const char *hint_find_word(const char *text, const char *word)
{
    size_t length = str_len(word);
    for (const char *at = find(text, word); at != NULL; at = find(at + 1, word)) {
        if ((at == text || !is_word(at[-1])) && !is_word(at[length])) {
            return at;
        }
    }
    return NULL;
}

bool hint_copy(const char *text, size_t start, size_t end, char *out, size_t size)
{
    while (start < end && is_blank(text[start])) {
        start++;
    }
    while (end > start && is_blank(text[end - 1])) {
        end--;
    }
    if (start == end || end - start >= size) {
        return false;
    }
    memcpy(out, text + start, end - start);
    out[end - start] = '\0';
    return true;
}

// --- lines ---------------------------------------------------------------------------------------

bool hint_line_at(const struct program *p, uint32_t pc, struct hint_line *out)
{
    const struct line *row = pc < p->insn_count ? program_line(p, pc) : NULL;
    if (row == NULL || row->line == 0) {
        return false;
    }
    *out = (struct hint_line){p, row, program_string(p, row->text_off), row->line};
    return *out->text != '\0';
}

bool hint_line_find(const struct hint_line *near, uint32_t number, struct hint_line *out)
{
    const struct program *p = near->p;
    const char *file = program_string(p, near->row->file_off);
    for (uint32_t i = 0; i < p->line_count; i++) {
        const struct line *row = &p->lines[i];
        if (row->line == number && str_equal(program_string(p, row->file_off), file)) {
            *out = (struct hint_line){p, row, program_string(p, row->text_off), number};
            return *out->text != '\0';
        }
    }
    return false;
}

static bool ends_open(const char *text)
{
    size_t size = str_len(text);
    while (size > 0 && is_blank(text[size - 1])) {
        size--;
    }
    char last = size > 0 ? text[size - 1] : ';';
    return last != ';' && last != '{' && last != '}' && last != ':' && last != ')' && last != '/' &&
           !str_starts_with(hint_skip_blanks(text), "#") && !str_starts_with(hint_skip_blanks(text), "//");
}

static bool starts_inside(const char *text)
{
    static const char *const marks[] = {"&&", "||", "?", ":", "+", "|", "&", ",", ")", "==", "/", "<", ">"};
    text = hint_skip_blanks(text);
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        if (str_starts_with(text, marks[i])) {
            return true;
        }
    }
    return false;
}

void hint_line_start(struct hint_line *at)
{
    struct hint_line before;
    for (unsigned i = 0; i < 4 && at->number > 1; i++) {
        bool seen = hint_line_find(at, at->number - 1, &before);
        if (!(seen && ends_open(before.text)) && !(starts_inside(at->text) && seen)) {
            return;
        }
        *at = before;
    }
}

static bool is_head(const char *text)
{
    static const char *const heads[] = {"if (", "for (", "while (", "else"};
    text = hint_skip_blanks(text);
    text = *text == '}' ? hint_skip_blanks(text + 1) : text;
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        if (str_starts_with(text, heads[i])) {
            return true;
        }
    }
    return false;
}

// The line that decides is the nearest before it that is less indented: "else" alone is not among the lines.
bool hint_is_bare_body(const struct hint_line *at)
{
    struct hint_line before;
    size_t level = (size_t)(hint_skip_blanks(at->text) - at->text);
    bool whole = hint_is_statement(at->text) || str_starts_with(hint_skip_blanks(at->text), "return");
    for (uint32_t by = 1; whole && by < 8 && by < at->number; by++) {
        if (hint_line_find(at, at->number - by, &before) &&
            (size_t)(hint_skip_blanks(before.text) - before.text) < level) {
            size_t size = str_len(before.text);
            while (size > 0 && is_blank(before.text[size - 1])) {
                size--;
            }
            return is_head(before.text) && before.text[size - 1] != '{';
        }
    }
    return false;
}

// --- statements ----------------------------------------------------------------------------------

// Numbers and names in capitals, which are constants by convention.
static bool is_constant(const char *expr)
{
    bool any = false;
    for (expr += *expr == '-'; *expr != '\0'; expr++) {
        if ((*expr < 'A' || *expr > 'Z') && (*expr < '0' || *expr > '9') && *expr != '_' && *expr != 'x') {
            return false;
        }
        any = true;
    }
    return any;
}

bool hint_returned(const char *text, char *expr, size_t size)
{
    const char *at = hint_find_word(text, "return"), *end = at != NULL ? find(at, ";") : NULL;
    return end != NULL && hint_copy(text, (size_t)(at - text) + 6, (size_t)(end - text), expr, size);
}

#define NEAR_LINES 14u

// In the program's own function an XDP program passes the packet; inlined functions may return anything, and
// 0 is good for numbers and pointers.
static const char *default_return(const struct hint_line *at)
{
    struct hint_line start;
    bool own =
        at->p->type == PROG_TYPE_XDP && hint_line_at(at->p, 0, &start) && start.number <= at->number &&
        str_equal(program_string(at->p, start.row->file_off), program_string(at->p, at->row->file_off));
    return own ? "return XDP_PASS;" : "return 0;";
}

void hint_early_return(const struct hint_line *at, char *out, size_t size)
{
    char expr[HINT_EXPR_SIZE];
    struct hint_line other;
    str_copy(out, size, default_return(at));
    for (uint32_t by = 0; by < NEAR_LINES; by++) {
        for (unsigned up = 0; up < 2; up++) {
            uint32_t number = up == 0 ? at->number + by : at->number > by ? at->number - by : 0;
            if (number != 0 && hint_line_find(at, number, &other) &&
                hint_returned(other.text, expr, sizeof(expr)) && is_constant(expr)) {
                str_format(out, size, "return %s;", expr);
                return;
            }
        }
    }
}

bool hint_assigned(const char *text, char *name, size_t size)
{
    for (const char *at = text; *at != '\0'; at++) {
        bool compares = at[1] == '=' || (at > text && (at[-1] == '=' || at[-1] == '!' || at[-1] == '<' ||
                                                       at[-1] == '>' || at[-1] == '+' || at[-1] == '-'));
        if (*at != '=' || compares) {
            continue;
        }
        size_t end = (size_t)(at - text), start;
        while (end > 0 && is_blank(text[end - 1])) {
            end--;
        }
        for (start = end; start > 0 && is_word(text[start - 1]); start--) {
        }
        return hint_copy(text, start, end, name, size);
    }
    return false;
}

bool hint_is_statement(const char *text)
{
    static const char *const keywords[] = {"return", "if",   "for",      "while",  "do",     "else", "switch",
                                           "case",   "goto", "struct",   "union",  "const",  "int",  "long",
                                           "char",   "void", "unsigned", "static", "default"};
    char word[HINT_EXPR_SIZE];
    text = hint_skip_blanks(text);
    size_t size = str_len(text), start = 0;
    while (size > 0 && is_blank(text[size - 1])) {
        size--;
    }
    if (size == 0 || text[size - 1] != ';' || text[0] == '}' || text[0] == '{') {
        return false;
    }
    while (is_word(text[start])) {
        start++;
    }
    if (start != 0 && hint_copy(text, 0, start, word, sizeof(word))) {
        for (size_t i = 0; i < ARRAY_SIZE(keywords); i++) {
            if (str_equal(word, keywords[i])) {
                return false;
            }
        }
        // Two names in a row declare something.
        const char *next = hint_skip_blanks(text + start);
        bool declares = is_word(*next) || (*next == '*' && text[start] == ' ' && is_word(next[1]));
        return !declares;
    }
    return true;
}

// --- expressions ---------------------------------------------------------------------------------

// The bracket that closes the one at text[at], or the length of the text.
static size_t match_forward(const char *text, size_t at)
{
    int depth = 0;
    for (; text[at] != '\0'; at++) {
        depth += text[at] == '(' || text[at] == '[' || text[at] == '{';
        depth -= text[at] == ')' || text[at] == ']' || text[at] == '}';
        if (depth == 0) {
            return at;
        }
    }
    return at;
}

// Behind the bracket that closes the one at text[at], or the end of the text.
static size_t match_past(const char *text, size_t at)
{
    size_t close = match_forward(text, at);
    return close + (text[close] != '\0');
}

// The bracket that opens the one at text[at]; 0 when there is none.
static size_t match_backward(const char *text, size_t at)
{
    int depth = 0;
    for (;; at--) {
        depth += text[at] == ')' || text[at] == ']';
        depth -= text[at] == '(' || text[at] == '[';
        if (depth == 0 || at == 0) {
            return at;
        }
    }
}

// Start of the postfix expression that ends before `end`: names, "->", ".", calls and brackets.
static size_t postfix_start(const char *text, size_t end)
{
    size_t at = end;
    while (at > 0) {
        if (text[at - 1] == ')' || text[at - 1] == ']') {
            bool brackets = text[at - 1] == ']';
            at = match_backward(text, at - 1);
            if (!brackets && (at == 0 || !is_word(text[at - 1]))) {
                return at; // (expression)
            }
            continue;
        }
        while (at > 0 && is_word(text[at - 1])) {
            at--;
        }
        if (at > 1 && text[at - 1] == '>' && text[at - 2] == '-') {
            at -= 2;
        } else if (at > 1 && text[at - 1] == '.') {
            at -= 1;
        } else {
            return at;
        }
    }
    return at;
}

// End of the postfix expression that starts at `at`, up to "->" at the outer level or a bracket when asked.
static size_t postfix_end(const char *text, size_t at)
{
    if (text[at] == '(') {
        at = match_past(text, at);
    }
    for (;;) {
        if (is_word(text[at])) {
            at++;
        } else if (text[at] == '-' && text[at + 1] == '>') {
            at += 2;
        } else if (text[at] == '.' || text[at] == '[') {
            at = text[at] == '[' ? match_past(text, at) : at + 1;
        } else {
            return at;
        }
    }
}

bool hint_argument(const struct hint_line *at, const char *name, unsigned index, char *out, size_t size,
                   struct hint_span *span)
{
    const char *text = at->text, *call = name != NULL ? find(text, name) : NULL;
    size_t start = call != NULL ? (size_t)(call - text) : at->row->column != 0 ? at->row->column - 1 : 0;
    if (start >= str_len(text)) {
        return false;
    }
    while (text[start] != '\0' && text[start] != '(') {
        start++;
    }
    if (text[start] == '\0') {
        return false;
    }
    size_t end = match_forward(text, start), from = ++start;
    for (; start <= end && text[from] != '\0'; start++) {
        if (start < end && (text[start] == '(' || text[start] == '[' || text[start] == '{')) {
            start = match_forward(text, start);
            continue;
        }
        if (start == end || text[start] == ',') {
            if (index-- == 0) {
                if (span != NULL) {
                    *span = (struct hint_span){from, start};
                }
                return hint_copy(text, from, start, out, size);
            }
            from = start + 1;
        }
    }
    return false;
}

// Splits "v->slots[i]" that ends at `end` into pointer and index; "a[1].b" has no index.
static bool split(const char *text, size_t start, size_t end, char *pointer, char *index, size_t size)
{
    index[0] = '\0';
    if (end > start && text[end - 1] == ']') {
        size_t open = match_backward(text, end - 1);
        return open > start && hint_copy(text, start, open, pointer, size) &&
               hint_copy(text, open + 1, end - 1, index, size);
    }
    return hint_copy(text, start, end, pointer, size);
}

// "*p", "*(u32 *)p", "*p++": p. Casts are skipped.
static bool operand(const char *text, size_t at, char *pointer, char *index, size_t size)
{
    while (text[at] == '*' || is_blank(text[at])) {
        at++;
    }
    while (text[at] == '(') {
        size_t close = match_forward(text, at);
        const char *after = hint_skip_blanks(text + close + (text[close] != '\0'));
        if (!is_word(*after) && *after != '(') {
            break; // (p + 4), no cast
        }
        at = (size_t)(after - text);
    }
    return split(text, at, postfix_end(text, at), pointer, index, size);
}

// "->member" at `at`: what stands before the arrow; if the member is an array that is indexed, the index
// matters.
static bool member_at(const char *text, size_t at, char *pointer, char *index, size_t size)
{
    size_t start = postfix_start(text, at - 2), end = at;
    while (is_word(text[end])) {
        end++;
    }
    if (text[end] == '[') {
        return split(text, start, match_past(text, end), pointer, index, size);
    }
    index[0] = '\0';
    return hint_copy(text, start, at - 2, pointer, size);
}

// "call(&x->member, ...)" whose bracket is at `open`: the memory is its first argument.
static bool first_argument(const char *text, size_t open, char *pointer, char *index, size_t size)
{
    size_t first = open + 1 + (text[open + 1] == '&');
    if (!is_word(text[first])) {
        return false;
    }
    size_t end = postfix_end(text, first), arrow = end;
    while (arrow > first && !(text[arrow] == '-' && text[arrow + 1] == '>')) {
        arrow--;
    }
    return split(text, first, arrow > first ? arrow : end, pointer, index, size);
}

static bool pointer_at(const char *text, size_t at, char *pointer, char *index, size_t size)
{
    if (at >= 2 && text[at - 1] == '>' && text[at - 2] == '-') {
        return member_at(text, at, pointer, index, size);
    }
    if (text[at] == '*') {
        return operand(text, at, pointer, index, size);
    }
    if (!is_word(text[at])) {
        return false;
    }
    size_t end = postfix_end(text, at);
    if (text[end] == '(') {
        return first_argument(text, end, pointer, index, size);
    }
    if (text[end - 1] == ']') {
        return split(text, at, end, pointer, index, size);
    }
    for (size_t arrow = end; arrow > at; arrow--) {
        if (text[arrow] == '-' && text[arrow + 1] == '>') {
            index[0] = '\0';
            return hint_copy(text, at, arrow, pointer, size);
        }
    }
    return false;
}

// Where the first assignment of the line stands, or its end.
static size_t assignment(const char *text)
{
    for (size_t i = 1; text[i] != '\0'; i++) {
        bool compares = text[i + 1] == '=' || text[i - 1] == '=' || text[i - 1] == '!' ||
                        text[i - 1] == '<' || text[i - 1] == '>';
        if (text[i] == '=' && !compares) {
            return i;
        }
    }
    return str_len(text);
}

// "+=", "<<=": the column of what loads the left side is the operator's.
static bool is_compound(const char *op)
{
    bool shift = (op[0] == '<' || op[0] == '>') && op[1] == op[0] && op[2] == '=';
    const char *plain = "+-*/%&|^";
    while (*plain != '\0' && *plain != op[0]) {
        plain++;
    }
    return shift || (*plain != '\0' && op[1] == '=');
}

// What follows the column, then what is anywhere before `length`.
static bool pointer_near(const char *text, size_t column, size_t length, char *pointer, char *index,
                         size_t size)
{
    for (unsigned turn = 0; turn < 2; turn++) {
        for (size_t i = turn == 0 ? column : 0; i < length; i++) {
            bool member = i >= 2 && text[i - 1] == '>' && text[i - 2] == '-';
            bool star = text[i] == '*' && is_word(text[i + 1]) && (i == 0 || !is_word(text[i - 1])) &&
                        !(i >= 1 && is_blank(text[i - 1]) && i >= 2 && is_word(text[i - 2]));
            bool bracket = text[i] == '[' && i > 0 && is_word(text[i - 1]);
            size_t from = bracket ? postfix_start(text, i) : i;
            if ((member || star || bracket) && pointer_at(text, from, pointer, index, size)) {
                return true;
            }
        }
    }
    return false;
}

bool hint_pointer(const struct hint_line *at, bool store, char *pointer, char *index, size_t size)
{
    const char *text = at->text;
    size_t column = at->row->column != 0 ? at->row->column - 1 : 0, length = str_len(text);
    if (store && assignment(text) < length) { // what is written stands on the left
        column = 0;
        length = assignment(text);
    } else if (column < length && pointer_at(text, column, pointer, index, size)) {
        return true;
    } else if (column < length && is_compound(text + column) &&
               pointer_near(text, 0, column, pointer, index, size)) {
        return true;
    }
    return pointer_near(text, column, length, pointer, index, size); // the column belongs to an operator
}

// --- the end of the packet -----------------------------------------------------------------------

// An identifier with "end" in it that is a variable here, not a member.
static bool end_variable(const char *text, char *out, size_t size)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (!is_word(text[i]) || (i > 0 && is_word(text[i - 1]))) {
            continue;
        }
        size_t end = i;
        while (is_word(text[end])) {
            end++;
        }
        bool member = i > 0 && (text[i - 1] == '>' || text[i - 1] == '.');
        if (!member && text[end] != '(' && hint_copy(text, i, end, out, size) &&
            (hint_contains(out, "end") || hint_contains(out, "End")) && !hint_contains(out, "send") &&
            !hint_contains(out, "endian") && !hint_contains(out, "append")) {
            return true;
        }
        i = end - 1;
    }
    return false;
}

// What the line reads `member` of: "ctx" of "ctx->data_end".
static bool context_name(const char *text, const char *member, char *out, size_t size)
{
    for (const char *at = text; (at = hint_find_word(at, member)) != NULL; at++) {
        size_t arrow = (size_t)(at - text);
        if (arrow >= 3 && at[-1] == '>' && at[-2] == '-') {
            return hint_copy(text, postfix_start(text, arrow - 2), arrow - 2, out, size);
        }
    }
    return false;
}

static bool end_in(const struct hint_line *at, const char *member, char *out, size_t size)
{
    char context[HINT_EXPR_SIZE];
    if (!context_name(at->text, member, context, sizeof(context))) {
        return false;
    }
    const char *cast = at->p->dialect == DIALECT_LINUX ? "(void *)(long)" : "";
    return str_format(out, size, "%s%s->data_end", cast, context) < size;
}

bool hint_packet_end(const struct hint_line *at, char *out, size_t size)
{
    struct hint_line other;
    for (uint32_t by = 0; by < 60; by++) {
        for (unsigned up = 0; up < 2; up++) {
            uint32_t number = up != 0 ? at->number + by : at->number > by ? at->number - by : 0;
            if (number != 0 && hint_line_find(at, number, &other) &&
                (end_variable(other.text, out, size) || end_in(&other, "data_end", out, size))) {
                return true;
            }
        }
    }
    for (uint32_t by = 0; by < 60 && by < at->number; by++) {
        if (hint_line_find(at, at->number - by, &other) && end_in(&other, "data", out, size)) {
            return true;
        }
    }
    return false;
}

bool hint_packet_start(const struct hint_line *at, char *out, size_t size)
{
    static const char *const types[] = {"void *", "uint8_t *", "__u8 *", "char *", "unsigned char *"};
    struct hint_line line;
    char context[HINT_EXPR_SIZE];
    for (uint32_t by = 1; by < 40 && by < at->number; by++) {
        if (!hint_line_find(at, at->number - by, &line) ||
            !context_name(line.text, "data", context, sizeof(context))) {
            continue;
        }
        const char *text = hint_skip_blanks(line.text);
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
            if (str_starts_with(text, types[i])) {
                return hint_assigned(text, out, size);
            }
        }
        return false;
    }
    return false;
}

bool hint_used_later(const struct hint_line *at, const char *pointer, uint32_t count)
{
    struct hint_line other;
    for (uint32_t by = 1; by <= count; by++) {
        if (hint_line_find(at, at->number + by, &other) && hint_find_word(other.text, pointer) != NULL) {
            return true;
        }
    }
    return false;
}

static bool small_number(const char *text, char end, uint32_t *out)
{
    *out = 0;
    size_t i = 0;
    for (; i < 5 && text[i] >= '0' && text[i] <= '9'; i++) {
        *out = *out * 10 + (uint32_t)(text[i] - '0');
    }
    return i != 0 && text[i] == end;
}

bool hint_last_index(const struct hint_line *at, const char *pointer, const char *index, uint32_t count,
                     uint32_t *last)
{
    struct hint_line line;
    uint32_t number;
    size_t size = str_len(pointer);
    if (!small_number(index, '\0', last)) {
        return false;
    }
    for (uint32_t by = 0; by <= count; by++) {
        const char *text = hint_line_find(at, at->number + by, &line) ? line.text : "";
        while ((text = hint_find_word(text, pointer)) != NULL) {
            bool greater = text[size] == '[' && small_number(text + size + 1, ']', &number) && number > *last;
            *last = greater ? number : *last;
            text += size;
        }
    }
    return true;
}
