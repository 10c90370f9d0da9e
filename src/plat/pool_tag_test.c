// SPDX-License-Identifier: MIT
// Tests of the table of tags: each is four visible characters, and no two are the same.
#include "plat/plat.h"
#include "tests/test.h"

static void codes_are_visible_and_differ(void)
{
    for (unsigned a = POOL_TAG_NONE + 1; a < POOL_TAG_COUNT; a++) {
        uint32_t code = pool_tag_code((enum pool_tag)a);
        for (unsigned shift = 0; shift < 32; shift += 8) {
            CHECK((code >> shift & 0xff) > ' ' && (code >> shift & 0xff) < 0x7f);
        }
        for (unsigned b = a + 1; b < POOL_TAG_COUNT; b++) {
            CHECK(code != pool_tag_code((enum pool_tag)b));
        }
    }
    CHECK_EQ(pool_tag_code(POOL_TAG_TEST), 'e' | 'T' << 8 | 's' << 16 | 't' << 24);
}

TEST_SUITE(pool_tag)
{
    RUN(codes_are_visible_and_differ);
}
