// SPDX-License-Identifier: MIT
// Printers of findings: whole texts, escaping, and lengths when the text does not fit.
#include <string.h>

#include "tests/test.h"
#include "verifier/report_int.h"

static const struct insn insns[2] = {{.id = INSN_LDXW, .dst = 0, .src = 2, .off = 12}, {.id = INSN_EXIT}};
static const struct func func = {.start = 0, .end = 2};
static const char strings[] = "\0/src/drop.c\0\treturn \"a\\b\";\001\xff \xc3\xa9";
static const struct line lines[1] = {{.pc = 0, .file_off = 1, .text_off = 13, .line = 42, .column = 3}};

static void make(struct program *p, struct finding *f, struct verify_report *r)
{
    memset(p, 0, sizeof(*p));
    memset(f, 0, sizeof(*f));
    memset(r, 0, sizeof(*r));
    p->type = PROG_TYPE_XDP;
    p->insns = insns;
    p->insn_count = 2;
    p->funcs = &func;
    p->func_count = 1;
    p->lines = lines;
    p->line_count = 1;
    p->strings = strings;
    p->strings_size = sizeof(strings);
    str_copy(p->name, sizeof(p->name), "drop");
    f->rule = RULE_PACKET_BOUNDS;
    str_copy(f->message, sizeof(f->message), "reads 4 bytes at packet offset 12");
    str_copy(f->needed, sizeof(f->needed), "at least 16 bytes");
    str_copy(f->known, sizeof(f->known), "the packet is known to have at least 14 bytes");
    f->related_pc = f->loss.pc = UINT32_MAX;
    r->findings = f;
    r->finding_count = 1;
}

static void text_names_the_line(void)
{
    struct program p;
    struct finding f;
    struct verify_report r;
    char text[800];
    make(&p, &f, &r);
    size_t length = report_print_text(&p, &r, text, sizeof(text));
    CHECK_STR(text, "drop.c:42: reads 4 bytes at packet offset 12 [packet-bounds]\n"
                    "  source: return \"a\\b\";?? \xc3\xa9\n"
                    "  at:     0: r0 = *(u32 *)(r2 + 12)\n"
                    "  needed: at least 16 bytes\n"
                    "  known:  the packet is known to have at least 14 bytes\n");
    CHECK_EQ(length, str_len(text));
}

static void what_a_terminal_obeys_is_not_shown(void)
{
    char text[64];
    struct output o;
    output_start(&o, text, sizeof(text));
    put_clean(&o, "a\tb\x1b[31m\x7f\xc2\x9b"
                  "c\xe2\x80\xae"
                  "d\xe2\x81\xa6\xe2\x80\xa8\xe2\x80\x94\xe2\x80");
    CHECK_STR(text, "a b?[31m??"
                    "c?"
                    "d??\xe2\x80\x94??"); // a dash is no mark, half a character none
}

static unsigned count_lines(const char *text)
{
    unsigned count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static void text_has_path_loss_cause_and_edits(void)
{
    struct program p;
    struct finding f;
    struct verify_report r;
    char text[2000];
    const struct finding_step steps[] = {{0, false}, {0, false}, {1, false}};
    make(&p, &f, &r);
    f.pc = 1;
    f.related_pc = 0;
    f.path = steps;
    f.path_count = 3;
    f.loss = (struct finding_loss){1, {0, 1}, "r3 is 0 on one way, -22 on the other"};
    str_copy(f.hint, sizeof(f.hint), "check first");
    f.edits[0] = (struct finding_edit){EDIT_INSERT_BEFORE, 1, 42, "if (x) return 0;"};
    f.edits[1] = (struct finding_edit){EDIT_DELETE, 1, 43, ""};
    f.edit_count = 2;
    report_print_text(&p, &r, text, sizeof(text));
    CHECK(strstr(text, "  see:    line 42: return") != NULL);
    CHECK(strstr(text, "  path:   line 42: return \"a\\b\";?? \xc3\xa9 (jump not taken)") != NULL);
    CHECK(strstr(text, "  lost:   at line 42 two ways meet: r3 is 0 on one way, -22 on the other\n") != NULL);
    CHECK(strstr(text, "  hint:   check first\n          insert before line 42: if (x) return 0;\n"
                       "          remove line 43\n") != NULL);
}

// However long the path is.
static void text_has_25_lines_at_most(void)
{
    static struct insn many[400];
    struct program p;
    struct finding f;
    struct verify_report r;
    struct finding_step steps[VERIFY_MAX_PATH];
    char text[8000];
    make(&p, &f, &r);
    for (uint32_t i = 0; i < ARRAY_SIZE(many); i++) {
        many[i] = (struct insn){.id = INSN_EXIT};
    }
    for (uint32_t i = 0; i < VERIFY_MAX_PATH; i++) {
        steps[i] = (struct finding_step){i * 2, i % 2 == 0};
    }
    p.insns = many;
    p.insn_count = ARRAY_SIZE(many);
    f.pc = 399;
    f.related_pc = 7;
    f.path = steps;
    f.path_count = VERIFY_MAX_PATH;
    f.path_is_cut = true;
    f.loss = (struct finding_loss){9, {1, 2}, "something"};
    str_copy(f.hint, sizeof(f.hint), "do something");
    f.edits[0] = f.edits[1] = (struct finding_edit){EDIT_REPLACE, 1, 42, "x;"};
    f.edit_count = 2;
    for (unsigned known = 0; known < 2; known++) {
        p.line_count = known;
        report_print_text(&p, &r, text, sizeof(text));
        CHECK(count_lines(text) <= REPORT_MAX_LINES);
        CHECK(strstr(text, "earlier branches)") != NULL || known == 1);
    }
}

static void text_without_lines_names_the_program(void)
{
    struct program p;
    struct finding f;
    struct verify_report r;
    char text[600];
    make(&p, &f, &r);
    p.line_count = 0;
    f.pc = UINT32_MAX;
    f.needed[0] = f.known[0] = '\0';
    report_print_text(&p, &r, text, sizeof(text));
    CHECK_STR(text, "drop: reads 4 bytes at packet offset 12 [packet-bounds]\n");
    r.finding_count = 0;
    CHECK_EQ(report_print_text(&p, &r, text, sizeof(text)), 0);
    CHECK_STR(text, "");
}

// Cut between characters, and the finding is all there.
static void long_names_leave_room_for_the_finding(void)
{
    enum { NAME = 10000 };
    static char names[2 * NAME + 3];
    static const struct line line = {.pc = 0, .file_off = 1, .text_off = NAME + 2, .line = 42, .column = 3};
    struct program p;
    struct finding f;
    struct verify_report r;
    char text[2000];
    for (unsigned i = 0; i < NAME; i += 2) {
        memcpy(&names[1 + i], "\xc3\xa9", 2);
    }
    memcpy(&names[NAME + 2], &names[1], NAME);
    for (unsigned shift = 0; shift < 2; shift++) {
        make(&p, &f, &r);
        p.strings = names;
        p.strings_size = sizeof(names);
        p.lines = &line;
        names[NAME] = names[NAME + 2] = shift != 0 ? 'x' : names[NAME];
        report_print_text(&p, &r, text, sizeof(text));
        CHECK(str_starts_with(text, "...\xc3\xa9"));
        CHECK(strstr(text, ":42: reads 4 bytes at packet offset 12 [packet-bounds]\n") != NULL);
        CHECK(strstr(text, "\xc3\xa9...\n  at:     0: r0") != NULL);
        CHECK(strstr(text, "at least 14 bytes\n") != NULL);
    }
}

static void sentences_have_the_same_keys(void)
{
    char text[400];
    size_t length = report_print_sentence_json("a-rule", "why \"so\"", "do", text, sizeof(text));
    CHECK_STR(text, "{\"rule\":\"a-rule\",\"pc\":-1,\"file\":\"\",\"line\":0,\"source\":\"\",\"message\":"
                    "\"why \\\"so\\\"\","
                    "\"needed\":\"\",\"known\":\"\",\"hint\":\"do\",\"path\":[],\"edits\":[]}");
    CHECK_EQ(length, str_len(text));
}

static void json_has_every_key_and_escapes(void)
{
    struct program p;
    struct finding f;
    struct verify_report r;
    char text[1200];
    const struct finding_step steps[] = {{0, true}};
    make(&p, &f, &r);
    f.path = steps;
    f.path_count = 1;
    f.related_pc = 1;
    f.loss = (struct finding_loss){1, {0, 1}, "r3"};
    f.edits[0] = (struct finding_edit){EDIT_REPLACE, 1, 42, "x = \"1\";"};
    f.edit_count = 1;
    str_copy(f.hint, sizeof(f.hint), "line\nbreak");
    size_t length = report_print_json(&p, &r, text, sizeof(text));
    CHECK_STR(text,
              "[{\"rule\":\"packet-bounds\",\"pc\":0,\"file\":\"/src/drop.c\",\"line\":42,"
              "\"source\":\"return \\\"a\\\\b\\\";\\u0001? \xc3\xa9\","
              "\"message\":\"reads 4 bytes at packet offset 12\",\"needed\":\"at least 16 bytes\","
              "\"known\":\"the packet is known to have at least 14 bytes\",\"hint\":\"line\\u000abreak\","
              "\"related\":{\"pc\":1,\"file\":\"/src/drop.c\",\"line\":42,"
              "\"source\":\"return \\\"a\\\\b\\\";\\u0001? \xc3\xa9\"},"
              "\"lost\":{\"pc\":1,\"file\":\"/src/drop.c\",\"line\":42,"
              "\"source\":\"return \\\"a\\\\b\\\";\\u0001? \xc3\xa9\",\"text\":\"r3\"},"
              "\"path\":[{\"pc\":0,\"line\":42,\"taken\":true}],"
              "\"edits\":[{\"action\":\"replace\",\"file\":\"/src/drop.c\",\"line\":42,"
              "\"text\":\"x = \\\"1\\\";\"}]}]");
    CHECK_EQ(length, str_len(text));
    r.finding_count = 0;
    report_print_json(&p, &r, text, sizeof(text));
    CHECK_STR(text, "[]");
}

static void short_buffers_are_terminated(void)
{
    struct program p;
    struct finding f;
    struct verify_report r;
    char whole[1000], part[1000];
    make(&p, &f, &r);
    size_t length = report_print_json(&p, &r, whole, sizeof(whole));
    for (size_t size = 1; size < length; size++) {
        memset(part, 'x', sizeof(part));
        CHECK_EQ(report_print_json(&p, &r, part, size), length);
        CHECK_EQ(str_len(part), size - 1);
        CHECK(memcmp(part, whole, size - 1) == 0);
        CHECK_EQ(part[size], 'x');
    }
}

static void rules_have_unique_names(void)
{
    for (unsigned a = 1; a < RULE_COUNT; a++) {
        CHECK(rule_row(a)->name != NULL && rule_row(a)->sentence[0] != '\0');
        for (unsigned b = 1; b < a; b++) {
            CHECK(!str_equal(rule_row(a)->name, rule_row(b)->name));
        }
    }
    CHECK_STR(rule_row(9999)->name, "none");
}

TEST_SUITE(report)
{
    RUN(text_names_the_line);
    RUN(what_a_terminal_obeys_is_not_shown);
    RUN(text_has_path_loss_cause_and_edits);
    RUN(text_has_25_lines_at_most);
    RUN(text_without_lines_names_the_program);
    RUN(long_names_leave_room_for_the_finding);
    RUN(sentences_have_the_same_keys);
    RUN(json_has_every_key_and_escapes);
    RUN(short_buffers_are_terminated);
    RUN(rules_have_unique_names);
}
