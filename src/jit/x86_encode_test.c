// SPDX-License-Identifier: MIT
// Every form of the encoder against bytes that another assembler made; where that assembler is on the path,
// the bytes are asked of it again.
#include "jit/x86_encode.h"
#include "plat/plat.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    unsigned line;
    const char *text, *bytes;
};

static const struct row rows[] = {
#define ROW(text, bytes, ...) {__LINE__, text, bytes},
#include "jit/x86_encode_rows.def"
#undef ROW
};

static void encode(unsigned line, struct x86_code *c)
{
    switch (line) {
#define ROW(text, bytes, ...)                                                                                \
    case __LINE__: __VA_ARGS__; break;
#include "jit/x86_encode_rows.def"
#undef ROW
    default: break;
    }
}

static void to_hex(const struct x86_code *c, char text[64])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < c->size; i++) {
        text[2 * i] = digits[c->bytes[i] >> 4];
        text[2 * i + 1] = digits[c->bytes[i] & 15];
    }
    text[2 * c->size] = '\0';
}

static void forms_have_the_right_bytes(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t bytes[31];
        char text[64];
        struct x86_code c = {bytes, sizeof(bytes), 0};
        encode(rows[i].line, &c);
        to_hex(&c, text);
        if (strcmp(text, rows[i].bytes) != 0) {
            test_fail(__FILE__, __LINE__, "%s is %s, not %s", rows[i].text, text, rows[i].bytes);
        }
    }
}

static void nothing_is_written_behind_the_buffer(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint8_t bytes[32];
        struct x86_code c = {bytes, 3, 0};
        memset(bytes, 0xee, sizeof(bytes));
        encode(rows[i].line, &c);
        CHECK_EQ(c.size, strlen(rows[i].bytes) / 2);
        for (size_t k = 3; k < sizeof(bytes); k++) {
            CHECK_EQ(bytes[k], 0xee);
        }
    }
}

static void nops_have_their_length(void)
{
    for (unsigned n = 0; n < 20; n++) {
        uint8_t bytes[32];
        struct x86_code c = {bytes, sizeof(bytes), 0};
        x86_nops(&c, n);
        CHECK_EQ(c.size, n);
    }
}

// Writes "encoding: [0x48,0x01,0xd8]"; a prefix that it takes for an instruction of its own has a line of its
// own.
static bool next_encoding(FILE *from, char *text, size_t size)
{
    char line[512];
    while (fgets(line, sizeof(line), from) != NULL) {
        const char *at = strstr(line, "encoding: [");
        if (at == NULL) {
            continue;
        }
        size_t used = strlen(text);
        for (at += 11; *at != ']' && *at != '\0' && used + 3 < size; at++) {
            if (at[0] == '0' && at[1] == 'x') {
                text[used++] = at[2];
                text[used++] = at[3];
                at += 3;
            }
        }
        text[used] = '\0';
        return true;
    }
    return false;
}

static void another_assembler_agrees(void)
{
    if (plat_machine() == PLAT_X86_64_WINDOWS) {
        SKIP("asked elsewhere");
    }
    char path[] = "/tmp/x86_encode_XXXXXX", command[256];
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    REQUIRE(file != NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        fprintf(file, "%s\n", rows[i].text);
    }
    fclose(file);
    snprintf(command, sizeof(command),
             "llvm-mc-19 -triple=x86_64 -mattr=+bmi,+bmi2,+movbe,+lzcnt,+popcnt -x86-asm-syntax=intel "
             "-show-encoding %s 2>/dev/null",
             path);
    FILE *from = popen(command, "r");
    bool present = false;
    for (size_t i = 0; i < ARRAY_SIZE(rows) && from != NULL; i++) {
        char text[64] = "";
        while (strlen(text) < strlen(rows[i].bytes) && next_encoding(from, text, sizeof(text))) {
            present = true;
        }
        if (!present) {
            break;
        }
        CHECK_STR(text, rows[i].bytes);
    }
    if (from != NULL) {
        pclose(from);
    }
    remove(path);
    if (!present) {
        SKIP("llvm-mc-19 is not there");
    }
}
TEST_SUITE(x86_encode)
{
    RUN(forms_have_the_right_bytes);
    RUN(nothing_is_written_behind_the_buffer);
    RUN(nops_have_their_length);
    RUN(another_assembler_agrees);
}
