// SPDX-License-Identifier: MIT
// setup_error: the table of advice, and the order of versions.
#include "hosts/setup_error.h"

static const struct {
    uint32_t error;
    const char *sentence;
} rows[] = {
#define ADVICE(error, sentence) {error, sentence},
#include "hosts/setup_errors.def"
#undef ADVICE
};

const char *setup_error_advice(uint32_t error)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].error == error) {
            return rows[i].sentence;
        }
    }
    return NULL;
}

// One number of at most six digits; *text moves behind it.
static bool parse_number(const char **text, uint32_t *out)
{
    unsigned digits = 0;
    *out = 0;
    for (; **text >= '0' && **text <= '9' && digits < 7; digits++, (*text)++) {
        *out = *out * 10 + (uint32_t)(**text - '0');
    }
    return digits > 0 && digits < 7;
}

bool setup_version_parse(const char *text, uint32_t out[3])
{
    for (unsigned i = 0; i < 3; i++) {
        if ((i > 0 && *text++ != '.') || !parse_number(&text, &out[i])) {
            return false;
        }
    }
    return *text == 0;
}

bool setup_version_is_later(const char *a, const char *b)
{
    uint32_t x[3], y[3];
    if (!setup_version_parse(a, x) || !setup_version_parse(b, y)) {
        return false;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (x[i] != y[i]) {
            return x[i] > y[i];
        }
    }
    return false;
}
