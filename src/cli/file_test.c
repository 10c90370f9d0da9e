// SPDX-License-Identifier: MIT
#include "cli/cli_int.h"
#include "tests/test.h"

static void directories_are_no_input(void)
{
    errno = 0;
    CHECK(file_open_input(TEST_SOURCE_DIR, "rb") == NULL);
    CHECK_EQ(errno, EISDIR);
}

static void impossible_names_are_not_there(void)
{
    errno = 0;
    CHECK(file_open_input(TEST_SOURCE_DIR "/no\x1bsuch", "rb") == NULL);
    CHECK_EQ(errno, ENOENT);
}

static void files_are_opened(void)
{
    FILE *file = file_open_input(TEST_SOURCE_DIR "/LICENSE", "rb");
    REQUIRE(file != NULL);
    CHECK(fgetc(file) != EOF);
    fclose(file);
}

static void two_names_of_one_file(void)
{
    const char *licence = TEST_SOURCE_DIR "/LICENSE";
    CHECK(file_is_same(licence, licence));
    CHECK(!file_is_same(licence, TEST_SOURCE_DIR "/README.md"));
    CHECK(!file_is_same(licence, TEST_SOURCE_DIR "/no such file"));
    CHECK(!file_is_same(TEST_SOURCE_DIR, TEST_SOURCE_DIR));
    CHECK(!file_is_same(licence, NULL) && !file_is_same(NULL, licence));
}

TEST_SUITE(file)
{
    RUN(two_names_of_one_file);
    RUN(directories_are_no_input);
    RUN(impossible_names_are_not_there);
    RUN(files_are_opened);
}
