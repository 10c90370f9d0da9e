// SPDX-License-Identifier: MIT
// Printer, parser and assembler. Bytes and texts of the first table agree with llvm-mc 19 where it knows the
// instruction (it prints numbers in hexadecimal).
#include "isa/isa.h"
#include "tests/test.h"

static const struct {
    const char *rfc, *assembly; // assembly NULL: no such spelling
    uint8_t bytes[16];
} texts[] = {
    {"r0 += r1", "add %r0, %r1", {0x0f, 0x10}},
    {"w0 += w1", "add32 r0, r1", {0x0c, 0x10}},
    {"r0 -= 3", "sub %r0, 3", {0x17, 0, 0, 0, 3}},
    {"w9 *= -1", "mul32 %r9, 0xffffffff", {0x24, 9, 0, 0, 0xff, 0xff, 0xff, 0xff}},
    {"r0 = -r0", "neg %r0", {0x87}},
    {"w0 = -w0", "neg32 %r0", {0x84}},
    {"r0 /= r1", "div %r0, %r1", {0x3f, 0x10}},
    {"r0 s/= r1", "sdiv %r0,%r1", {0x3f, 0x10, 1}},
    {"w0 s%= 5", "smod32 %r0, 0x5", {0x94, 0, 1, 0, 5}},
    {"w0 %= 5", "mod32 %r0, 5", {0x94, 0, 0, 0, 5}},
    {"r0 = r10", "mov %r0, %r10", {0xbf, 0xa0}},
    {"w0 = 2147483647", "mov32 %r0, 0x7fffffff", {0xb4, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f}},
    {"r0 = (s8)r1", "movsx864 %r0, %r1", {0xbf, 0x10, 8}},
    {"w0 = (s16)w1", "movsx1632 %r0, %r1", {0xbc, 0x10, 16}},
    {"r0 = (s32)r1", "movsx3264 %r0, %r1", {0xbf, 0x10, 32}},
    {"r0 <<= 32", "lsh %r0, 32", {0x67, 0, 0, 0, 32}},
    {"r0 >>= r2", "rsh %r0, %r2", {0x7f, 0x20}},
    {"r0 s>>= 3", "arsh %r0, 3", {0xc7, 0, 0, 0, 3}},
    {"r0 = le16 r0", "le16 %r0", {0xd4, 0, 0, 0, 0x10}},
    {"r0 = be64 r0", "be64 %r0", {0xdc, 0, 0, 0, 0x40}},
    {"r0 = bswap32 r0", "swap32 %r0", {0xd7, 0, 0, 0, 0x20}},
    {"if r0 s> r1 goto +1", "jsgt %r0, %r1, +1", {0x6d, 0x10, 1}},
    {"if w0 & 3 goto -2", "jset32 %r0, 3, -2", {0x46, 0, 0xfe, 0xff, 3}},
    {"if r1 != 1 goto +3", "jne %r1, 0x1, +3", {0x55, 1, 3, 0, 1}},
    {"gotol +5", "ja32 +5", {0x06, 0, 0, 0, 5}},
    {"goto +5", "ja +5", {0x05, 0, 5}},
    {"may_goto +5", "may_goto +5", {0xe5, 0, 5}},
    {"may_goto -2", "may goto -2", {0xe5, 0, 0xfe, 0xff}},
    {"call 5", "call 5", {0x85, 0, 0, 0, 5}},
    {"call local -1", "call_local -1", {0x85, 0x10, 0, 0, 0xff, 0xff, 0xff, 0xff}},
    {"call btf 7", "call_btf 7", {0x85, 0x20, 0, 0, 7}},
    {"callx r3", "call %r3", {0x8d, 3}},
    {"exit", "exit", {0x95}},
    {"r0 = *(s8 *)(r1 + 3)", "ldxsb %r0, [%r1+3]", {0x91, 0x10, 3}},
    {"r0 = *(u32 *)(r1 + 0)", "ldxw %r0, [%r1]", {0x61, 0x10}},
    {"*(u8 *)(r1 - 3) = 5", "stb [%r1-3], 0x5", {0x72, 1, 0xfd, 0xff, 5}},
    {"*(u64 *)(r10 - 8) = r2", "stxdw [%r10 - 8], %r2", {0x7b, 0x2a, 0xf8, 0xff}},
    {"r0 = 0x1122334455667788 ll",
     "lddw %r0, 0x1122334455667788",
     {0x18, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11}},
    {"r1 = map_fd 3 ll", "lddw_map_fd %r1, 3", {0x18, 0x11, 0, 0, 3}},
    {"r1 = map_value 3 + 8 ll", "lddw_map_value r1, 3, 8", {0x18, 0x61, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 8}},
    {"r1 = code -4 ll", "lddw_code r1, -4", {0x18, 0x41, 0, 0, 0xfc, 0xff, 0xff, 0xff}},
    {"r0 = *(u8 *)skb[10]", "ldabsb 10", {0x30, 0, 0, 0, 10}},
    {"r0 = *(u16 *)skb[r1 + 2]", "ldindh r1, 2", {0x48, 0x10, 0, 0, 2}},
    {"lock *(u64 *)(r1 + 0) += r2", "lock add [%r1], %r2", {0xdb, 0x21}},
    {"lock *(u32 *)(r1 + 0) |= w2", "lock or32 [%r1], %r2", {0xc3, 0x21, 0, 0, 0x40}},
    {"r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)", "lock fetch add [%r1+0], %r2", {0xdb, 0x21, 0, 0, 1}},
    {"w2 = atomic_fetch_xor((u32 *)(r1 - 4), w2)",
     "lock fetch xor32 [%r1-4], %r2",
     {0xc3, 0x21, 0xfc, 0xff, 0xa1}},
    {"r2 = xchg_64(r1 + 8, r2)", "lock xchg [%r1+8], %r2", {0xdb, 0x21, 8, 0, 0xe1}},
    {"w2 = xchg32_32(r1 + 8, w2)", "lock xchg32 [%r1+8], %r2", {0xc3, 0x21, 8, 0, 0xe1}},
    {"r0 = cmpxchg_64(r1 + 8, r0, r2)", "lock cmpxchg [%r1+8], %r2", {0xdb, 0x21, 8, 0, 0xf1}},
    {"w0 = cmpxchg32_32(r1 + 8, w0, w2)", "atomic_cmpxchg32 [r1+8], r2", {0xc3, 0x21, 8, 0, 0xf1}},
};

static void check_parse(const char *text, const uint8_t *bytes)
{
    struct insn out[2];
    uint8_t encoded[16] = {0};
    unsigned slots;
    uint32_t bad_pc;
    if (insn_parse(text, out, &slots) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "\"%s\" does not parse", text);
        return;
    }
    CHECK_EQ(insn_encode(out, slots, encoded, &bad_pc), INSN_OK);
    if (memcmp(encoded, bytes, 16) != 0) {
        test_fail(__FILE__, __LINE__, "\"%s\" has other bytes", text);
    }
}

static void texts_and_bytes_agree(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        struct insn out[2];
        uint32_t bad_pc;
        char text[96];
        size_t size = texts[i].bytes[0] == 0x18 ? 16 : 8;
        REQUIRE(insn_decode(texts[i].bytes, size, out, &bad_pc) == INSN_OK);
        CHECK_EQ(insn_print(out, text, sizeof(text)), str_len(texts[i].rfc));
        CHECK_STR(text, texts[i].rfc);
        check_parse(texts[i].rfc, texts[i].bytes);
        check_parse(texts[i].assembly, texts[i].bytes);
    }
}

static void blanks_are_free(void)
{
    static const uint8_t load[16] = {0x61, 0x10, 4}, jump[16] = {0x15, 1, 3, 0, 1},
                         local[16] = {0x85, 0x10, 0, 0, 2};
    check_parse("  ldxw\t%r0 ,[ %r1 + 4 ] ", load);
    check_parse("r0=*(u32 *)(r1+4)", load);
    check_parse("jeq %r1,1,+3\r\n", jump);
    check_parse("if r1==1 goto +3", jump);
    check_parse("call  local  +2", local);
}

static const char *const bad_lines[] = {
    "",
    " ",
    "foo",
    "mov",
    "mov %r0",
    "mov %r0,",
    "mov %r0, 1, 2",
    "mov %r11, 1",
    "mov %r10, 1",
    "mov r01, 1",
    "mov %r0, 0x",
    "mov %r0, 0x1g",
    "mov %r0, 4294967296",
    "mov %r0, -2147483649",
    "mov r0, 99999999999999999999",
    "mov32 %w0, 1",
    "mov32 %r0 %r1",
    "movr0, 1",
    "exit 1",
    "exi",
    "exits",
    "ja 5",
    "ja +32768",
    "ja -32769",
    "ja32 +2147483648",
    "ldxw %r0, [%r1+32768]",
    "ldxw %r0, [%r1-32769]",
    "ldxw %r0, [1]",
    "ldxw %r0, [%r1",
    "ldxw %r10, [%r1]",
    "lddw %r0, 0x10000000000000000",
    "call %r11",
    "callx 5",
    "r0 = r1 ll",
    "r0 = -r1",
    "w0 += r1",
    "r0 += w1",
    "w0 = (s32)w1",
    "r0 = le8 r0",
    "r0 = le16 r1",
    "r0 = xchg_64(r1 + 8, r2)",
    "r10 = atomic_fetch_add((u64 *)(r1 + 0), r10)",
    "lock *(u16 *)(r1 + 0) += r2",
    "*(s8 *)(r1 + 0) = 1",
    "r0 = *(s64 *)(r1 + 0)",
    "if r0 = 1 goto +1",
    "if r0 == w1 goto +1",
    "goto 5",
    "stb [%r1], %r2",
    "lock mul [%r1], %r2",
    "r1 = map -1 + 0 ll",
    "mov %%r0, 1",
};

static void bad_lines_are_refused(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(bad_lines); i++) {
        struct insn out[2];
        unsigned slots = 77;
        if (insn_parse(bad_lines[i], out, &slots) != EBPF_INVALID_ARGUMENT || slots != 77) {
            test_fail(__FILE__, __LINE__, "\"%s\" parses", bad_lines[i]);
        }
    }
}

static void print_cuts_and_counts(void)
{
    struct insn in = {.id = INSN_ATOMIC_FETCH_ADD64, .dst = 10, .src = 9, .off = INT16_MIN};
    const char *whole = "r9 = atomic_fetch_add((u64 *)(r10 - 32768), r9)";
    char text[96];
    CHECK_EQ(insn_print(&in, NULL, 0), str_len(whole));
    for (size_t size = 1; size < sizeof(text); size++) {
        memset(text, 'x', sizeof(text));
        CHECK_EQ(insn_print(&in, text, size), str_len(whole));
        size_t kept = size <= str_len(whole) ? size - 1 : str_len(whole);
        CHECK(memcmp(text, whole, kept) == 0 && text[kept] == 0);
        CHECK(size >= sizeof(text) - 1 || text[size] == 'x');
    }
    insn_print(&(struct insn){0}, text, sizeof(text));
    CHECK_STR(text, "?");
    insn_print(&(struct insn){.id = 0xffff}, text, sizeof(text));
    CHECK_STR(text, "?");
}

static ebpf_result_t assemble(const char *text, struct insn out[16], uint32_t *count, uint32_t *bad_line)
{
    *bad_line = 0;
    return isa_assemble(text, out, 16, count, bad_line);
}

static void labels_are_resolved(void)
{
    struct insn out[16];
    uint32_t count, bad_line;
    REQUIRE_OK(assemble("# a comment\n"
                        "start: mov %r0, 0 # and another\n"
                        "\n"
                        "lddw %r1, 0x100000000\n"
                        "jeq %r1, %r0, done\n"
                        "if r1 > 3 goto start\r\n"
                        "call local helper\n"
                        "ja32 done\n"
                        "done:\n"
                        "   exit\n"
                        "helper:\n"
                        "lddw_code %r0, start\n"
                        "exit",
                        out, &count, &bad_line));
    CHECK_EQ(count, 11);
    CHECK_EQ(insn_target(&out[3], 3), 7);
    CHECK_EQ(insn_target(&out[4], 4), 0);
    CHECK_EQ(insn_target(&out[5], 5), 8);
    CHECK_EQ(insn_target(&out[6], 6), 7);
    CHECK_EQ(insn_target(&out[8], 8), 0);
    CHECK_EQ(out[2].id, INSN_NONE);
}

static void exit_is_a_label_too(void)
{
    struct insn out[16];
    uint32_t count, bad_line;
    REQUIRE_OK(assemble("jne %r0, 1, exit\nmov %r0, 1\nexit\nexit\n", out, &count, &bad_line));
    CHECK_EQ(insn_target(&out[0], 0), 2);
    REQUIRE_OK(assemble("jne %r0, 1, exit\nexit\nexit:\nmov %r0, 1\nexit\n", out, &count, &bad_line));
    CHECK_EQ(insn_target(&out[0], 0), 2);
}

static void bad_assembly_names_its_line(void)
{
    static const struct {
        const char *text;
        uint32_t line;
    } cases[] = {
        {"mov %r0, 0\nbogus\nexit", 2},
        {"ja nowhere\nexit", 1},
        {"exit\n1abel:\nexit", 2},
        {"a b: exit", 1},
        {"mov %r0, label\nlabel:", 1},
        {"\n\nja twice\ntwice:\ntwice:\nexit", 3},
        {"ja exit", 1},
    };
    struct insn out[16];
    uint32_t count = 55, bad_line;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(assemble(cases[i].text, out, &count, &bad_line), EBPF_INVALID_ARGUMENT);
        CHECK_EQ(bad_line, cases[i].line);
    }
    CHECK_EQ(count, 55);
    CHECK_EQ(isa_assemble("exit\nlddw r0, 1", out, 2, &count, &bad_line), EBPF_INSUFFICIENT_BUFFER);
    CHECK_EQ(bad_line, 2);
    CHECK_OK(isa_assemble("", out, 0, &count, &bad_line));
    CHECK_EQ(count, 0);
}

static void long_lines_are_refused(void)
{
    char line[400];
    struct insn out[16];
    uint32_t count, bad_line;
    memset(line, ' ', sizeof(line));
    memcpy(line, "exit", 4);
    line[sizeof(line) - 2] = 'x';
    line[sizeof(line) - 1] = 0;
    CHECK_EQ(assemble(line, out, &count, &bad_line), EBPF_INVALID_ARGUMENT);
    memset(line, 'a', 100);
    line[100] = ':';
    line[101] = 0;
    CHECK_EQ(assemble(line, out, &count, &bad_line), EBPF_INVALID_ARGUMENT);
}

TEST_SUITE(isa_text)
{
    RUN(texts_and_bytes_agree);
    RUN(blanks_are_free);
    RUN(bad_lines_are_refused);
    RUN(print_cuts_and_counts);
    RUN(labels_are_resolved);
    RUN(exit_is_a_label_too);
    RUN(bad_assembly_names_its_line);
    RUN(long_lines_are_refused);
}
