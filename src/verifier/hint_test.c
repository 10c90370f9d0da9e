// SPDX-License-Identifier: MIT
// Hints read source text that an object carries and that may be anything. Random lines, instructions and
// states: nothing is read outside of a text, and every finding keeps to its lines. That hints help is
// measured in tests/verify/seeded.
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"
#include "verifier/hint.h"
#include "verifier/hint_source.h"

#define LINES 40
#define SLOTS 64

struct fixture {
    struct program p;
    struct insn insns[SLOTS];
    struct line lines[LINES];
    struct map_def maps[2];
    struct domain_state s;
    struct finding f;
    struct finding_step steps[4];
    char strings[LINES * 520];
    uint32_t size;
    uint32_t random;
};
static struct fixture x;
static const struct func func = {.start = 0, .end = SLOTS};

static uint32_t below(uint32_t limit)
{
    x.random = x.random * 1664525u + 1013904223u;
    return (x.random >> 8) % limit;
}

static uint32_t add_string(const char *text)
{
    uint32_t at = x.size;
    x.size += (uint32_t)strlen(text) + 1;
    CHECK(x.size <= sizeof(x.strings));
    memcpy(x.strings + at, text, strlen(text) + 1);
    return at;
}

static const char *const parts[] = {"if (",
                                    "while (",
                                    "for (",
                                    "return ",
                                    "x",
                                    "p",
                                    "->",
                                    "[",
                                    "]",
                                    "(",
                                    ")",
                                    "*",
                                    "&",
                                    "=",
                                    "==",
                                    ";",
                                    " ",
                                    "    ",
                                    "{",
                                    "}",
                                    "ctx",
                                    "data",
                                    "data_end",
                                    "0",
                                    "12",
                                    ",",
                                    ".",
                                    "int ",
                                    "!",
                                    "else",
                                    "sizeof(",
                                    "e",
                                    "bpf_map_lookup_elem(",
                                    "bpf_ringbuf_reserve(",
                                    "bpf_spin_lock("};

static void make_lines(void)
{
    x.size = 0;
    add_string("");
    uint32_t file = add_string("f.c");
    for (uint32_t i = 0; i < LINES; i++) {
        char text[512] = "";
        for (uint32_t k = below(14); k > 0; k--) {
            strcat(text, parts[below(ARRAY_SIZE(parts))]);
        }
        x.lines[i] = (struct line){.pc = i,
                                   .file_off = file,
                                   .text_off = add_string(text),
                                   .line = 1 + below(45),
                                   .column = below(3) != 0 ? below(60) : 0};
    }
}

static void make_insns(void)
{
    static const uint16_t ids[] = {INSN_LDXW,      INSN_STXW,      INSN_STW,        INSN_CALL, INSN_JEQ64_IMM,
                                   INSN_MOV64_REG, INSN_ADD64_REG, INSN_CALL_LOCAL, INSN_EXIT};
    for (uint32_t i = 0; i < SLOTS; i++) {
        int16_t to = (int16_t)(below(SLOTS) - i - 1);
        x.insns[i] = (struct insn){.id = ids[below(ARRAY_SIZE(ids))],
                                   .dst = (uint8_t)below(11),
                                   .src = (uint8_t)below(11),
                                   .off = to,
                                   .imm = below(200)};
    }
}

static void make_state(void)
{
    memset(&x.s, 0, sizeof(x.s));
    x.s.frame_count = 1;
    for (unsigned r = 0; r < INSN_REG_COUNT; r++) {
        struct scalar number;
        struct value *v = &x.s.regs[r];
        scalar_set_urange(&number, below(3), 3 + below(100));
        value_set_scalar(v, &number);
        if (below(2) == 0) {
            value_set_pointer(v, (enum value_kind)below(VALUE_KIND_COUNT), (int32_t)below(100) - 80);
            v->num = below(2) == 0 ? number : v->num;
            v->map = (uint16_t)below(2);
            v->maybe_null = below(3) == 0;
            v->ref = below(3);
            v->size = 32;
        }
    }
    x.s.ref_count = 1;
    x.s.refs[0].ref = 1;
    x.s.refs[0].pc = below(SLOTS);
}

static void make_finding(void)
{
    memset(&x.f, 0, sizeof(x.f));
    for (unsigned i = 0; i < ARRAY_SIZE(x.steps); i++) {
        uint32_t pc = below(SLOTS);
        x.steps[i] = (struct finding_step){pc, insn_is_jump(&x.insns[pc]) && below(2) == 0};
    }
    x.f.rule = (uint16_t)(1 + below(RULE_COUNT - 1));
    x.f.pc = below(SLOTS);
    x.f.related_pc = below(3) == 0 ? below(SLOTS) : UINT32_MAX;
    x.f.loss.pc = UINT32_MAX;
    x.f.path = x.steps;
    x.f.path_count = below(5);
}

static void check_edits(void)
{
    CHECK(x.f.edit_count <= FINDING_MAX_EDITS);
    for (uint32_t i = 0; i < x.f.edit_count; i++) {
        const struct finding_edit *e = &x.f.edits[i];
        CHECK(e->kind <= EDIT_DELETE && e->line >= 1 && e->line <= 45);
        CHECK(str_is_terminated(e->text, sizeof(e->text)));
        CHECK((e->kind == EDIT_DELETE) == (e->text[0] == '\0'));
    }
}

static unsigned count_lines(const char *text)
{
    unsigned count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static void any_source_is_survived(void)
{
    static char text[16384];
    struct domain_env env;
    x.random = 1;
    for (unsigned turn = 0; turn < 5000; turn++) {
        make_lines();
        make_insns();
        make_state();
        make_finding();
        char *strings = malloc(x.size); // of exactly this size, for the sanitizer
        REQUIRE(strings != NULL);
        memcpy(strings, x.strings, x.size);
        x.p = (struct program){.type = PROG_TYPE_XDP,
                               .insns = x.insns,
                               .insn_count = SLOTS,
                               .funcs = &func,
                               .func_count = 1,
                               .maps = x.maps,
                               .map_count = 2,
                               .lines = x.lines,
                               .line_count = LINES,
                               .strings = strings,
                               .strings_size = x.size};
        state_make_env(spec_builtin(), &x.p, &env);
        hint_write(&env, below(5) != 0 ? &x.s : NULL, &x.f);
        check_edits();
        report_print_finding(&x.p, &x.f, text, sizeof(text));
        CHECK(count_lines(text) <= REPORT_MAX_LINES);
        free(strings);
    }
}

static struct hint_line line_of(const char *text, uint32_t column)
{
    static struct line row;
    static struct program p;
    row = (struct line){.line = 7, .column = column};
    p = (struct program){.lines = &row, .line_count = 0, .strings = "", .strings_size = 1};
    return (struct hint_line){&p, &row, text, 7};
}

static void pointers_are_found(void)
{
    static const struct {
        const char *text;
        uint32_t column;
        bool store;
        const char *pointer, *index;
    } cases[] = {
        {"    if (ip->protocol == 6)", 13, false, "ip", ""},
        {"    *hits += 1;", 11, false, "hits", ""},
        {"    sum += *word;", 12, false, "word", ""},
        {"    *w += *v;", 8, false, "w", ""},
        {"    *w += *v;", 11, false, "v", ""},
        {"    sum <<= *v;", 9, false, "v", ""},
        {"    h->slots[i] += 1;", 17, false, "h->slots", "i"},
        {"    first.text[i] = letter;", 19, true, "first.text", "i"},
        {"    e->source = ip->saddr;", 15, true, "e", ""},
        {"    __u16 port = *(__u16 *)at;", 18, false, "at", ""},
        {"    __sync_fetch_and_add(&to->uses, 1);", 5, false, "to", ""},
        {"    x = bpf_ntohs(udp->length);", 9, false, "udp", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char pointer[HINT_EXPR_SIZE], index[HINT_EXPR_SIZE];
        struct hint_line at = line_of(cases[i].text, cases[i].column);
        CHECK(hint_pointer(&at, cases[i].store, pointer, index, sizeof(pointer)));
        CHECK_STR(pointer, cases[i].pointer);
        CHECK_STR(index, cases[i].index);
    }
}

static void arguments_are_found(void)
{
    char text[HINT_EXPR_SIZE];
    struct hint_line at = line_of("    if (helper(&a[f(1, 2)], sizeof(*b) , c) != 0)", 9);
    CHECK(hint_argument(&at, "helper", 0, text, sizeof(text), NULL));
    CHECK_STR(text, "&a[f(1, 2)]");
    CHECK(hint_argument(&at, NULL, 1, text, sizeof(text), NULL)); // by the column
    CHECK_STR(text, "sizeof(*b)");
    CHECK(hint_argument(&at, "helper", 2, text, sizeof(text), NULL));
    CHECK_STR(text, "c");
    CHECK(!hint_argument(&at, "helper", 3, text, sizeof(text), NULL));
}

static void statements_are_told_from_declarations(void)
{
    CHECK(hint_is_statement("    x->y = 1;"));
    CHECK(hint_is_statement("    *hits += 1;"));
    CHECK(hint_is_statement("    call(a, b);"));
    CHECK(!hint_is_statement("    int x = 1;"));
    CHECK(!hint_is_statement("    struct event *e = f();"));
    CHECK(!hint_is_statement("    __u32 mark = sk->mark;"));
    CHECK(!hint_is_statement("    return x;"));
    CHECK(!hint_is_statement("    if (x) y = 1;"));
    CHECK(!hint_is_statement("    call(a,"));
}

TEST_SUITE(hint)
{
    RUN(pointers_are_found);
    RUN(arguments_are_found);
    RUN(statements_are_told_from_declarations);
    RUN(any_source_is_survived);
}
