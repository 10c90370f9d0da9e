// SPDX-License-Identifier: MIT
// Tests of the JSON writer: layout, escapes, and text that is no text.
#include "cli/json.h"

#include <stdlib.h>

#include "tests/test.h"

static char text[1024];

// What `write` writes.
static const char *written(bool pretty, void (*write)(struct json *j))
{
    struct json j;
    size_t size;
    FILE *file = tmpfile();
    if (file == NULL) {
        return "no temporary file";
    }
    json_init(&j, file, pretty);
    write(&j);
    rewind(file);
    size = fread(text, 1, sizeof(text) - 1, file);
    text[size] = 0;
    fclose(file);
    return text;
}

static void write_nested(struct json *j)
{
    json_start_object(j);
    json_uint_member(j, "a", UINT64_MAX);
    json_name(j, "b");
    json_start_array(j);
    json_int(j, -1);
    json_null(j);
    json_start_object(j);
    json_end_object(j);
    json_end_array(j);
    json_bool_member(j, "c", true);
    json_end_object(j);
}

static void nests(void)
{
    CHECK_STR(written(false, write_nested), "{\"a\":18446744073709551615,\"b\":[-1,null,{}],\"c\":true}");
    CHECK_STR(written(true, write_nested),
              "{\n    \"a\": 18446744073709551615,\n    \"b\": [-1,null,{}\n    ],\n    \"c\": true\n}");
}

static void write_escapes(struct json *j)
{
    json_string(j, "\"\\\n\t\r\b\f\x01\x7f/");
}

static void escapes(void)
{
    CHECK_STR(written(false, write_escapes), "\"\\\"\\\\\\n\\t\\r\\b\\f\\u0001\\u007f/\"");
}

static void write_utf8(struct json *j)
{
    json_start_array(j);
    json_string(j, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9d"); // well formed: 2, 3 and 4 bytes
    json_string(j, "\xff\xc3");                             // no start; cut
    json_string(j, "\xc0\xaf\xed\xa0\x80");                 // overlong; surrogate
    json_string(j, "\xf4\x90\x80\x80\xe2\x82");             // beyond U+10FFFF; cut
    json_end_array(j);
}

static void bytes_that_are_no_text_are_escaped(void)
{
    CHECK_STR(written(false, write_utf8), "[\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9d\",\"\\u00ff\\u00c3\","
                                          "\"\\u00c0\\u00af\\u00ed\\u00a0\\u0080\","
                                          "\"\\u00f4\\u0090\\u0080\\u0080\\u00e2\\u0082\"]");
}

static void write_bytes(struct json *j)
{
    json_bytes(j, "\x00\xfe", 2);
}

static void bytes(void)
{
    CHECK_STR(written(false, write_bytes), "[\"0x00\",\"0xfe\"]");
}

static void write_value(struct json *j)
{
    json_start_object(j);
    json_name(j, "a");
    json_value(j, "[{\"b\":\"x\\\"],{:\",\"c\":-1},[],{},true,\"\\\\\"]");
    json_null(j);
    json_end_object(j);
}

static void values_are_laid_out(void)
{
    CHECK_STR(written(false, write_value),
              "{\"a\":[{\"b\":\"x\\\"],{:\",\"c\":-1},[],{},true,\"\\\\\"],null}");
    CHECK_STR(written(true, write_value),
              "{\n    \"a\": [{\n            \"b\": \"x\\\"],{:\",\n            \"c\": -1\n"
              "        },[],{},true,\"\\\\\"\n    ],null\n}");
}

TEST_SUITE(json)
{
    RUN(nests);
    RUN(escapes);
    RUN(bytes_that_are_no_text_are_escaped);
    RUN(bytes);
    RUN(values_are_laid_out);
}
