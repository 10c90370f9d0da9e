// SPDX-License-Identifier: MIT
// Advice for the errors that people meet, and the order of versions.
#include "hosts/setup_error.h"
#include "tests/test.h"

static bool contains(const char *text, const char *word)
{
    while (text != NULL && *text != 0 && !str_starts_with(text, word)) {
        text++;
    }
    return text != NULL && *text != 0;
}

static void known_errors_have_advice(void)
{
    static const struct {
        uint32_t error;
        const char *word;
    } cases[] = {
        {2, "unpack"},
        {5, "administrator"},
        {577, "bcdedit /set testsigning on"},
        {1072, "deleted"},
        {1073, "another product"},
        {1275, "HVCI"},
        {1638, "uninstall it"},
        {193, "x64"},
        {127, "1809"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK(contains(setup_error_advice(cases[i].error), cases[i].word));
    }
    CHECK(setup_error_advice(0) == NULL);
    CHECK(setup_error_advice(99999) == NULL);
}

static void versions(void)
{
    uint32_t v[3];
    CHECK(setup_version_parse("0.1.0", v) && v[0] == 0 && v[1] == 1 && v[2] == 0);
    CHECK(setup_version_parse("10.200.999999", v) && v[2] == 999999);
    static const char *const wrong[] = {"",     "1",    "1.2",    "1.2.",        "1.2.3.4", "1.2.3x",
                                        ".1.2", "1..2", "-1.2.3", "1.2.9999999", " 1.2.3"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        CHECK(!setup_version_parse(wrong[i], v));
    }
    CHECK(setup_version_is_later("0.2.0", "0.1.9"));
    CHECK(setup_version_is_later("1.0.0", "0.99.99"));
    CHECK(setup_version_is_later("0.1.10", "0.1.9"));
    CHECK(!setup_version_is_later("0.1.0", "0.1.0"));
    CHECK(!setup_version_is_later("0.1.0", "0.2.0"));
    CHECK(!setup_version_is_later("x", "0.1.0"));
    CHECK(!setup_version_is_later("9.9.9", ""));
}

TEST_SUITE(setup_error)
{
    RUN(known_errors_have_advice);
    RUN(versions);
}
