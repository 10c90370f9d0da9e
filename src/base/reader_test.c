// SPDX-License-Identifier: MIT
// Tests of the bounded reader: nothing past the end, and nothing moved by a failure.
#include "tests/test.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 'a', 'b', 0, 'c'};

static void integers_are_little_endian(void)
{
    struct reader r;
    uint8_t u8 = 0;
    uint16_t u16 = 0;
    uint32_t u32 = 0;
    reader_init(&r, bytes, sizeof(bytes));
    CHECK_OK(reader_u8(&r, &u8));
    CHECK_OK(reader_u16(&r, &u16));
    CHECK_OK(reader_u32(&r, &u32));
    CHECK_EQ(u8, 1);
    CHECK_EQ(u16, 0x0302);
    CHECK_EQ(u32, 0x07060504);
    CHECK_EQ(r.pos, 7);
}

static void past_the_end_fails_and_does_not_move(void)
{
    struct reader r;
    uint64_t value = 77;
    reader_init(&r, bytes, 7);
    CHECK_EQ(reader_u64(&r, &value), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(value, 77);
    CHECK_EQ(r.pos, 0);
    CHECK_EQ(reader_skip(&r, 8), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(reader_skip(&r, UINT64_MAX), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(reader_seek(&r, 8), EBPF_INVALID_ARGUMENT);
    CHECK_OK(reader_seek(&r, 7));
    CHECK_EQ(reader_left(&r), 0);
}

static void slices_stay_inside(void)
{
    struct reader r, s;
    reader_init(&r, bytes, sizeof(bytes));
    CHECK_OK(reader_slice(&r, 4, 8, &s));
    CHECK_EQ(s.data[0], 5);
    CHECK_EQ(reader_slice(&r, 4, 9, &s), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(reader_slice(&r, UINT64_MAX, 2, &s), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(reader_slice(&r, 2, UINT64_MAX, &s), EBPF_INVALID_ARGUMENT);
    CHECK_OK(reader_slice(&r, sizeof(bytes), 0, &s));
    CHECK_EQ(s.size, 0);
}

TEST_SUITE(reader)
{
    RUN(integers_are_little_endian);
    RUN(past_the_end_fails_and_does_not_move);
    RUN(slices_stay_inside);
}
