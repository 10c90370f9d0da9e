// SPDX-License-Identifier: MIT
// json: a writer that cannot produce malformed JSON out of well nested calls. Plain or pretty, in the layout
// that bpftool's users know.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *out;
    bool pretty;
    bool separator; // a value precedes on this level
    unsigned depth;
};

void json_init(struct json *j, FILE *out, bool pretty);
void json_start_object(struct json *j);
void json_end_object(struct json *j);
void json_start_array(struct json *j);
void json_end_array(struct json *j);
void json_name(struct json *j, const char *name);
void json_string(struct json *j, const char *text); // bytes that are no text are escaped
void json_uint(struct json *j, uint64_t value);
void json_int(struct json *j, int64_t value);
void json_bool(struct json *j, bool value);
void json_null(struct json *j);
// Name and value at once.
void json_string_member(struct json *j, const char *name, const char *text);
void json_uint_member(struct json *j, const char *name, uint64_t value);
void json_bool_member(struct json *j, const char *name, bool value);
// A value that is JSON already, without white space: laid out as the rest.
void json_value(struct json *j, const char *text);
// ["0x01","0x02"]
void json_bytes(struct json *j, const void *bytes, size_t size);
