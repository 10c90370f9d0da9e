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

TEST_SUITE(file)
{
    RUN(directories_are_no_input);
    RUN(impossible_names_are_not_there);
    RUN(files_are_opened);
}
