// SPDX-License-Identifier: MIT
// Tests of words, numbers, keyword tables and suggestions.
#include "cli/cli_int.h"
#include "tests/test.h"

static void prefixes(void)
{
    CHECK(args_is_prefix("p", "prog"));
    CHECK(args_is_prefix("prog", "prog"));
    CHECK(!args_is_prefix("progs", "prog"));
    CHECK(!args_is_prefix("", "prog")); // an empty word names nothing
}

static void numbers(void)
{
    uint32_t n = 7;
    CHECK(args_parse_u32("0x10", &n) && n == 16);
    CHECK(args_parse_u32("4294967295", &n) && n == UINT32_MAX);
    CHECK(args_parse_u32("010", &n) && n == 8);
    CHECK(!args_parse_u32("4294967296", &n));
    CHECK(!args_parse_u32("99999999999999999999999", &n));
    CHECK(!args_parse_u32("-1", &n));
    CHECK(!args_parse_u32(" 1", &n));
    CHECK(!args_parse_u32("", &n));
    CHECK(!args_parse_u32("1x", &n));
    CHECK_EQ(n, 8); // failures write nothing
}

struct line {
    const char *name;
    uint32_t size;
    bool force;
};

static const struct keyword rows[] = {
    {"name", "NAME", KEYWORD_TEXT, true, false, "the name", offsetof(struct line, name), NULL},
    {"size", "N", KEYWORD_U32, false, false, "size", offsetof(struct line, size), NULL},
    {"force", NULL, KEYWORD_FLAG, false, true, "force", offsetof(struct line, force), NULL},
};
static const struct keywords keywords = KEYWORDS(rows);

static int parse(struct line *out, int count, const char *a, const char *b, const char *c, const char *d)
{
    char words[4][16];
    char *line[4];
    const char *given[4] = {a, b, c, d};
    struct cli cli = {.name = "test", .json_output = true};
    struct args args = {count, line};
    FILE *sink = tmpfile();
    int result;
    if (sink == NULL) {
        return -2;
    }
    for (int i = 0; i < count; i++) {
        snprintf(words[i], sizeof(words[i]), "%s", given[i]);
        line[i] = words[i];
    }
    json_init(&cli.json, sink, false); // errors go there
    memset(out, 0, sizeof(*out));
    result = keywords_parse(&cli, &args, &keywords, out);
    fclose(sink);
    return result;
}

static void tables_drive_parsing(void)
{
    struct line out;
    CHECK_EQ(parse(&out, 4, "si", "12", "name", "x"), 0); // any order, cut words
    CHECK_EQ(out.size, 12);
    CHECK(!out.force);
    CHECK_EQ(parse(&out, 4, "force", "n", "x", "force"), 0); // may repeat
    CHECK(out.force);
    CHECK_EQ(parse(&out, 2, "size", "1", "", ""), -1ULL);        // the name is missing
    CHECK_EQ(parse(&out, 1, "name", "", "", ""), -1ULL);         // no operand
    CHECK_EQ(parse(&out, 4, "name", "x", "name", "y"), -1ULL);   // twice
    CHECK_EQ(parse(&out, 4, "name", "x", "size", "big"), -1ULL); // no number
    CHECK_EQ(parse(&out, 3, "name", "x", "nothing", ""), -1ULL); // unknown
}

static void suggestions(void)
{
    static const char *const names[] = {"show", "list", "dump"};
    CHECK_STR(cli_suggest("shwo", names, 3), "show");
    CHECK_STR(cli_suggest("dmp", names, 3), "dump");
    CHECK(cli_suggest("update", names, 3) == NULL);
    CHECK(cli_suggest("a word that is much longer than any command", names, 3) == NULL);
}

TEST_SUITE(args)
{
    RUN(prefixes);
    RUN(numbers);
    RUN(tables_drive_parsing);
    RUN(suggestions);
}
