// SPDX-License-Identifier: MIT
#include "cli/gen_toolchain.h"
#include "tests/test.h"

enum { HEADER = 0x40, FIELD = HEADER + 24 + 64, SIZE = FIELD + 5 };

static void make(uint8_t image[SIZE])
{
    memset(image, 0, SIZE);
    memcpy(image, "MZ", 2);
    image[0x3c] = HEADER;
    memcpy(image + HEADER, "PE", 2);
}

static uint32_t field(const uint8_t *image)
{
    return image[FIELD] | (uint32_t)image[FIELD + 1] << 8 | (uint32_t)image[FIELD + 2] << 16 |
           (uint32_t)image[FIELD + 3] << 24;
}

// "MZ", the offset, "PE" and the last, odd byte are all that is not zero.
static void sum_is_of_words(void)
{
    uint8_t image[SIZE];
    make(image);
    CHECK(gen_pe_finish(image, SIZE));
    CHECK_EQ(field(image), 0x5a4d + HEADER + 0x4550 + SIZE);
    CHECK(gen_pe_finish(image, SIZE)); // what is there does not count
    CHECK_EQ(field(image), 0x5a4d + HEADER + 0x4550 + SIZE);
    image[SIZE - 1] = 7;
    CHECK(gen_pe_finish(image, SIZE));
    CHECK_EQ(field(image), 0x5a4d + HEADER + 0x4550 + 7 + SIZE);
}

static void carry_comes_round(void)
{
    uint8_t image[SIZE];
    make(image);
    image[2] = image[3] = image[4] = image[5] = 0xff;
    CHECK(gen_pe_finish(image, SIZE));
    CHECK_EQ(field(image), 0x5a4d + HEADER + 0x4550 + SIZE); // 0xffff is nothing
}

static void other_files_are_refused(void)
{
    uint8_t image[SIZE];
    for (size_t size = 0; size < FIELD + 4; size++) {
        make(image);
        CHECK(!gen_pe_finish(image, size));
    }
    make(image);
    image[0] = 'Z';
    CHECK(!gen_pe_finish(image, SIZE));
    make(image);
    image[0x3f] = 0xff; // far outside
    CHECK(!gen_pe_finish(image, SIZE));
    make(image);
    image[HEADER + 2] = 1;
    CHECK(!gen_pe_finish(image, SIZE));
}

TEST_SUITE(gen_pe)
{
    RUN(sum_is_of_words);
    RUN(carry_comes_round);
    RUN(other_files_are_refused);
}
