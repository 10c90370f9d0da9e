// SPDX-License-Identifier: MIT
// UNWIND_INFO against what another assembler makes of the same prologues (.seh_pushreg, .seh_stackalloc).
#include "jit/jit.h"
#include "tests/test.h"

// endbr64; push rbx; push rsi; push r15; sub rsp, allocated
static struct jit_frame frame_of(uint32_t allocated, uint32_t prologue)
{
    return (struct jit_frame){.end = 100,
                              .prologue = prologue,
                              .allocated = allocated,
                              .pushed = {3, 6, 15},
                              .pushed_count = 3,
                              .push_end = {5, 6, 8}};
}

static void check(const struct jit_frame *frame, const uint8_t *bytes, size_t size)
{
    uint8_t out[80];
    CHECK_EQ(jit_unwind_x64(frame, out, sizeof(out)), size);
    for (size_t i = 0; i < size; i++) {
        CHECK_EQ(out[i], bytes[i]);
    }
    CHECK_EQ(jit_unwind_x64(frame, out, size - 1), 0);
}

static void allocations_take_their_shortest_code(void)
{
    static const uint8_t by_40[] = {0x01, 0x0c, 0x04, 0x00, 0x0c, 0x42, 0x08, 0xf0, 0x06, 0x60, 0x05, 0x30};
    static const uint8_t by_128[] = {0x01, 0x0f, 0x04, 0x00, 0x0f, 0xf2, 0x08, 0xf0, 0x06, 0x60, 0x05, 0x30};
    static const uint8_t by_136[] = {0x01, 0x0f, 0x05, 0x00, 0x0f, 0x01, 0x11, 0x00,
                                     0x08, 0xf0, 0x06, 0x60, 0x05, 0x30, 0x00, 0x00};
    static const uint8_t by_5000[] = {0x01, 0x0f, 0x05, 0x00, 0x0f, 0x01, 0x71, 0x02,
                                      0x08, 0xf0, 0x06, 0x60, 0x05, 0x30, 0x00, 0x00};
    struct jit_frame frame = frame_of(40, 12);
    check(&frame, by_40, sizeof(by_40));
    frame = frame_of(128, 15);
    check(&frame, by_128, sizeof(by_128));
    frame = frame_of(136, 15);
    check(&frame, by_136, sizeof(by_136));
    frame = frame_of(5000, 15);
    check(&frame, by_5000, sizeof(by_5000));
}

static void frameless_functions_have_no_codes(void)
{
    static const uint8_t none[] = {0x01, 0x04, 0x00, 0x00};
    const struct jit_frame frame = {.end = 5, .prologue = 4};
    check(&frame, none, sizeof(none));
}

TEST_SUITE(x86_unwind)
{
    RUN(allocations_take_their_shortest_code);
    RUN(frameless_functions_have_no_codes);
}
