// SPDX-License-Identifier: MIT
// x86_unwind: UNWIND_INFO of Windows x64 for the frames that x86_emit makes: pushes, then one allocation.
// From "x64 exception handling" of Microsoft's documentation.
#include "jit/jit.h"

enum { UWOP_PUSH_NONVOL = 0, UWOP_ALLOC_LARGE = 1, UWOP_ALLOC_SMALL = 2 };

#define SMALL_MAX 128u

struct codes {
    uint8_t *out;
    size_t used, capacity;
};

static void put16(struct codes *c, unsigned low, unsigned high)
{
    if (c->used + 2 <= c->capacity) {
        c->out[c->used] = (uint8_t)low;
        c->out[c->used + 1] = (uint8_t)high;
    }
    c->used += 2;
}

static void put_allocation(struct codes *c, const struct jit_frame *frame)
{
    if (frame->allocated == 0) {
        return;
    }
    if (frame->allocated <= SMALL_MAX) {
        put16(c, frame->prologue, UWOP_ALLOC_SMALL | (frame->allocated / 8 - 1) << 4);
        return;
    }
    uint32_t slots = frame->allocated / 8;
    put16(c, frame->prologue, UWOP_ALLOC_LARGE);
    put16(c, slots & 0xff, slots >> 8 & 0xff);
}

size_t jit_unwind_x64(const struct jit_frame *frame, uint8_t *out, size_t capacity)
{
    const size_t head = 4;
    struct codes c = {out, head, capacity};
    put_allocation(&c, frame);
    for (unsigned i = frame->pushed_count; i-- != 0;) { // the last step of the prologue comes first
        put16(&c, frame->push_end[i], UWOP_PUSH_NONVOL | (unsigned)frame->pushed[i] << 4);
    }
    size_t count = (c.used - head) / 2;
    if (count % 2 != 0) {
        put16(&c, 0, 0); // the codes fill whole words of 32 bits
    }
    if (c.used > capacity) {
        return 0;
    }
    out[0] = 1; // version, no handlers
    out[1] = (uint8_t)frame->prologue;
    out[2] = (uint8_t)count;
    out[3] = 0; // no frame register
    return c.used;
}
