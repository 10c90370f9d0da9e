// SPDX-License-Identifier: MIT
// args: the rest of a command line, read word by word or by a table of keywords. Keywords may be cut to a
// prefix, as in bpftool; with several candidates the first row wins.
#include "cli/cli_int.h"

const char *args_take(struct args *a)
{
    if (a->count == 0) {
        return NULL;
    }
    a->count--;
    return *a->next++;
}

bool args_is_prefix(const char *prefix, const char *word)
{
    return prefix[0] != 0 && strncmp(word, prefix, strlen(prefix)) == 0;
}

bool args_take_word(struct args *a, const char *word)
{
    if (a->count == 0 || !args_is_prefix(a->next[0], word)) {
        return false;
    }
    args_take(a);
    return true;
}

int args_require(struct cli *c, const struct args *a, const char *command, int count)
{
    if (a->count < count) {
        return cli_error(c, -1, "'%s' needs at least %d arguments, %d found", command, count, a->count);
    }
    return 0;
}

int args_require_end(struct cli *c, const struct args *a)
{
    return a->count == 0 ? 0 : cli_error(c, -1, "what is '%s'?", a->next[0]);
}

bool args_parse_u32(const char *text, uint32_t *out)
{
    char *end = NULL;
    unsigned long long value;
    if (text[0] < '0' || text[0] > '9') {
        return false; // strtoull takes signs and blanks
    }
    errno = 0;
    value = strtoull(text, &end, 0);
    if (errno != 0 || *end != 0 || value > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

// --- keywords ------------------------------------------------------------------------------------

static const struct keyword *find_keyword(const struct keywords *keywords, const char *word)
{
    for (size_t i = 0; i < keywords->count; i++) {
        if (args_is_prefix(word, keywords->rows[i].name)) {
            return &keywords->rows[i];
        }
    }
    return NULL;
}

static int unknown_keyword(struct cli *c, const struct keywords *keywords, const char *word)
{
    const char *names[32], *near;
    for (size_t i = 0; i < keywords->count; i++) {
        names[i] = keywords->rows[i].name;
    }
    near = cli_suggest(word, names, keywords->count);
    if (keywords->count == 0) {
        return cli_error(c, -1, "what is '%s'?", word);
    }
    return near != NULL ? cli_error(c, -1, "unknown arg %s, did you mean '%s'?", word, near)
                        : cli_error(c, -1, "unknown arg %s", word);
}

static int parse_operand(struct cli *c, struct args *a, const struct keyword *k, void *out)
{
    void *member = (char *)out + k->off;
    const char *operand;
    if (k->kind == KEYWORD_CALL) {
        return k->parse(c, a, out);
    }
    if (k->kind == KEYWORD_FLAG) {
        *(bool *)member = true;
        return 0;
    }
    operand = args_take(a);
    if (operand == NULL) {
        return cli_error(c, -1, "'%s' needs %s", k->name, k->operand);
    }
    if (k->kind == KEYWORD_TEXT) {
        *(const char **)member = operand;
        return 0;
    }
    return args_parse_u32(operand, member) ? 0 : cli_error(c, -1, "can't parse %s as %s", operand, k->what);
}

static int require_all(struct cli *c, const struct keywords *keywords, uint32_t seen)
{
    for (size_t i = 0; i < keywords->count; i++) {
        if (keywords->rows[i].required && (seen >> i & 1) == 0) {
            return cli_error(c, -1, "did not find %s", keywords->rows[i].what);
        }
    }
    return 0;
}

int keywords_parse(struct cli *c, struct args *a, const struct keywords *keywords, void *out)
{
    uint32_t seen = 0;
    while (a->count != 0) {
        const char *word = args_take(a);
        const struct keyword *k = find_keyword(keywords, word);
        uint32_t bit;
        int result;
        if (k == NULL) {
            return unknown_keyword(c, keywords, word);
        }
        bit = UINT32_C(1) << (k - keywords->rows);
        if ((seen & bit) != 0 && !k->repeats) {
            return cli_error(c, -1, "%s already specified", k->what);
        }
        seen |= bit;
        result = parse_operand(c, a, k, out);
        if (result != 0) {
            return result;
        }
    }
    return require_all(c, keywords, seen);
}

void keywords_print(FILE *out, const struct keywords *keywords)
{
    for (size_t i = 0; i < keywords->count; i++) {
        const struct keyword *k = &keywords->rows[i];
        fprintf(out, " %s%s%s%s%s", k->required ? "" : "[", k->name, k->operand != NULL ? " " : "",
                k->operand != NULL ? k->operand : "", k->required ? "" : "]");
    }
}
