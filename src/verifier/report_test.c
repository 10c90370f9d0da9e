// SPDX-License-Identifier: MIT
// Printers of findings: whole texts, escaping, and lengths when the text does not fit.
#include "tests/test.h"
#include "verifier/verifier.h"

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
    r->findings = f;
    r->finding_count = 1;
}

static void text_names_the_line(void)
{
    struct program p;
    struct finding f;
    struct verify_report r;
    char text[600];
    make(&p, &f, &r);
    size_t length = report_print_text(&p, &r, text, sizeof(text));
    CHECK_STR(text, "drop.c:42: reads 4 bytes at packet offset 12 [packet-bounds]\n"
                    "  source: return \"a\\b\";?\xff \xc3\xa9\n"
                    "  at:     0: r0 = *(u32 *)(r2 + 12)\n"
                    "  needed: at least 16 bytes\n"
                    "  known:  the packet is known to have at least 14 bytes\n");
    CHECK_EQ(length, str_len(text));
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

static void json_has_every_key_and_escapes(void)
{
    struct program p;
    struct finding f;
    struct verify_report r;
    char text[800];
    make(&p, &f, &r);
    str_copy(f.hint, sizeof(f.hint), "line\nbreak");
    size_t length = report_print_json(&p, &r, text, sizeof(text));
    CHECK_STR(text,
              "[{\"rule\":\"packet-bounds\",\"pc\":0,\"file\":\"/src/drop.c\",\"line\":42,"
              "\"source\":\"return \\\"a\\\\b\\\";\\u0001? \xc3\xa9\","
              "\"message\":\"reads 4 bytes at packet offset 12\",\"needed\":\"at least 16 bytes\","
              "\"known\":\"the packet is known to have at least 14 bytes\",\"hint\":\"line\\u000abreak\"}]");
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
    char whole[800], part[800];
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
    RUN(text_without_lines_names_the_program);
    RUN(json_has_every_key_and_escapes);
    RUN(short_buffers_are_terminated);
    RUN(rules_have_unique_names);
}
