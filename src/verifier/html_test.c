// SPDX-License-Identifier: MIT
// The HTML page, the SARIF log and the trace, of a program whose names and sources are hostile: nothing of it
// becomes markup, script or a control character. That the page works is checked in a browser
// (tests/verify/report).
#include <string.h>

#include "domain/domain.h"
#include "tests/test.h"
#include "verifier/verifier.h"

#define EVIL "</script><script>alert(1)</script>'\"&\x1b[2J\xff"

static const struct insn insns[] = {{.id = INSN_JEQ64_IMM, .dst = 1, .off = 1},
                                    {.id = INSN_LDXW, .dst = 0, .src = 2, .off = 12},
                                    {.id = INSN_EXIT}};
static const char strings[] = "\0/src/" EVIL ".c\0x = \"" EVIL "\";";
static struct func func = {.start = 0, .end = 3};
static struct line lines[1] = {{.pc = 0, .file_off = 1, .line = 42, .column = 3}};
static const struct finding_step steps[] = {{0, false}};

struct fixture {
    struct program p;
    struct finding f;
    struct verify_report r;
    char text[65536];
    size_t length;
};

static void append(void *user, const char *text, size_t size)
{
    struct fixture *x = user;
    REQUIRE(x->length + size < sizeof(x->text));
    memcpy(x->text + x->length, text, size);
    x->length += size;
    x->text[x->length] = '\0';
}

static void make(struct fixture *x)
{
    memset(x, 0, sizeof(*x));
    lines[0].text_off = (uint32_t)(strlen(strings + 1) + 2);
    str_copy(func.name, sizeof(func.name), EVIL);
    x->p = (struct program){.type = PROG_TYPE_XDP,
                            .insns = insns,
                            .insn_count = 3,
                            .funcs = &func,
                            .func_count = 1,
                            .lines = lines,
                            .line_count = 1,
                            .strings = strings,
                            .strings_size = sizeof(strings)};
    str_copy(x->p.name, sizeof(x->p.name), EVIL);
    str_copy(x->p.section, sizeof(x->p.section), "xdp" EVIL);
    x->f = (struct finding){.rule = RULE_PACKET_BOUNDS,
                            .pc = 1,
                            .related_pc = 0,
                            .path = steps,
                            .path_count = 1,
                            .loss = {0, {0, 1}, EVIL},
                            .message = EVIL,
                            .hint = EVIL,
                            .edit_count = 1,
                            .edits = {{EDIT_REPLACE, 1, 42, EVIL}}};
    x->r.findings = &x->f;
    x->r.finding_count = 1;
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < ' ' && c != '\n') || c == 0x7f || c == 0xff) {
            return true;
        }
    }
    return false;
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        n++;
    }
    return n;
}

static void hostile_names_stay_text_in_html(void)
{
    static struct fixture x;
    struct html h;
    const struct report_sink sink = {append, &x};
    make(&x);
    html_begin(&h, &sink, EVIL);
    html_add_program(&h, &x.p, &x.r, NULL);
    html_add_sentence(&h, EVIL, EVIL, EVIL);
    html_end(&h, EVIL);
    CHECK_EQ(count(x.text, "<script>alert"), 0);
    CHECK_EQ(count(x.text, "<script"), 2); // the states, and the page's own
    CHECK_EQ(count(x.text, "</script>"), 2);
    CHECK(!has_control(x.text));
    CHECK_EQ(count(x.text, "<section>"), 1);
    CHECK(strstr(x.text, "class=\"insn bad\" id=\"p0-1\"") != NULL);
    CHECK(strstr(x.text, "class=\"insn path\" id=\"p0-0\"") != NULL);
    CHECK_EQ(count(x.text, "<svg"), 1);
    CHECK_EQ(count(x.text, "class=\"block"), 3);
}

static void hostile_states_stay_data_in_html(void)
{
    static struct fixture x;
    static struct arena arena;
    static const struct trace_entry entry = {NULL, "r1=map(" EVIL ")"};
    const struct trace_entry *entries[3] = {&entry, NULL, NULL};
    uint32_t seen[3] = {1, 0, 0};
    struct html h;
    const struct report_sink sink = {append, &x};
    make(&x);
    struct trace t = {.program = &x.p, .arena = &arena, .entries = entries, .seen = seen};
    html_begin(&h, &sink, "o");
    html_add_program(&h, &x.p, &x.r, &t);
    html_end(&h, NULL);
    CHECK_EQ(count(x.text, "<script"), 2);
    CHECK_EQ(count(x.text, "</script>"), 2);
    CHECK(strstr(x.text, "\"0\":[\"r1=map(\\u003c/script\\u003e") != NULL);
    CHECK(!has_control(x.text));
}

static void hostile_names_stay_strings_in_sarif(void)
{
    static struct fixture x;
    struct sarif s;
    const struct report_sink sink = {append, &x};
    make(&x);
    sarif_begin(&s, &sink, EVIL);
    sarif_add_program(&s, &x.p, &x.r);
    sarif_add_sentence(&s, EVIL, EVIL, EVIL, EVIL);
    sarif_end(&s, EVIL);
    CHECK(!has_control(x.text));
    CHECK(strstr(x.text, "\"uri\":\"file:///src/%3C/script%3E%3Cscript%3Ealert%281%29") != NULL);
    CHECK(strstr(x.text, "\"ruleId\":\"packet-bounds\"") != NULL);
    CHECK(strstr(x.text, "\"codeFlows\":[{") != NULL && strstr(x.text, "\"fixes\":[{") != NULL);
    CHECK(strstr(x.text, "\"relatedLocations\":[{\"id\":1,") != NULL);
    CHECK(strstr(x.text, "\"executionSuccessful\":false") != NULL);
    CHECK_EQ(count(x.text, "{"), count(x.text, "}"));
}

static void drive_letters_make_file_uris(void)
{
    static struct fixture x;
    struct sarif s;
    const struct report_sink sink = {append, &x};
    make(&x);
    sarif_begin(&s, &sink, "C:\\my code\\a.o");
    sarif_add_sentence(&s, "r", "s", "n", "m");
    sarif_end(&s, NULL);
    CHECK(strstr(x.text, "\"uri\":\"file:///C:/my%20code/a.o\"") != NULL);
}

static void malformed_programs_are_a_sentence(void)
{
    static struct fixture x;
    struct html h;
    struct sarif s;
    const struct report_sink sink = {append, &x};
    make(&x);
    x.f.rule = RULE_MALFORMED_PROGRAM;
    x.p.lines = NULL; // nothing of it may be looked at
    x.p.insns = NULL;
    html_begin(&h, &sink, "o");
    html_add_program(&h, &x.p, &x.r, NULL);
    html_end(&h, NULL);
    CHECK_EQ(count(x.text, "<section>"), 0);
    x.length = 0;
    sarif_begin(&s, &sink, "o.o");
    sarif_add_program(&s, &x.p, &x.r);
    sarif_end(&s, NULL);
    CHECK(strstr(x.text, "\"uri\":\"o.o\"") != NULL);
}

static void state_is_one_line(void)
{
    static struct fixture x;
    static struct domain_state s;
    struct domain_env env;
    struct scalar range;
    char text[512];
    make(&x);
    state_make_env(spec_builtin(), &x.p, &env);
    state_enter_program(&env, &s);
    scalar_set_urange(&range, 0, 60);
    value_set_scalar(&s.regs[0], &range);
    value_set_pointer(&s.regs[2], VALUE_PACKET, 14);
    value_set_const(&s.regs[3], (uint64_t)-22);
    s.packet_length = 34;
    size_t length = state_print(&s, &x.p, text, sizeof(text));
    CHECK_EQ(length, strlen(text));
    CHECK_STR(text, "r0=[0,60] r1=ctx r2=packet+14 r3=-22 r10=fp; packet>=34");
}

TEST_SUITE(html)
{
    RUN(hostile_names_stay_text_in_html);
    RUN(hostile_states_stay_data_in_html);
    RUN(hostile_names_stay_strings_in_sarif);
    RUN(drive_letters_make_file_uris);
    RUN(malformed_programs_are_a_sentence);
    RUN(state_is_one_line);
}
