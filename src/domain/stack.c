// SPDX-License-Identifier: MIT
// stack: cells of stack frames.
#include "domain/stack.h"

static bool has_cell(const struct state_frame *f, int32_t c)
{
    return c >= 0 && c < STATE_CELL_COUNT && (f->present[c / 64] >> (c % 64) & 1) != 0;
}

static void drop_cell(struct state_frame *f, int32_t c)
{
    f->present[c / 64] &= ~((uint64_t)1 << (c % 64));
    f->cells[c].kind = VALUE_NOT_INIT;
}

static void put_cell(struct state_frame *f, int32_t c, const struct value *v, uint8_t width)
{
    f->present[c / 64] |= (uint64_t)1 << (c % 64);
    f->cells[c] = *v;
    f->cells[c].width = width;
}

bool stack_is_init(const struct state_frame *f, int32_t at, int32_t size, int32_t *missing)
{
    for (int32_t i = at; i < at + size; i++) {
        if ((f->init[i / 64] >> (i % 64) & 1) == 0) {
            *missing = i;
            return false;
        }
    }
    return true;
}

void stack_mark_init(struct state_frame *f, int32_t at, int32_t size)
{
    for (int32_t i = at; i < at + size; i++) {
        f->init[i / 64] |= (uint64_t)1 << (i % 64);
    }
}

// The number in `size` bytes at byte `skip` of `v`.
static void extract(const struct value *v, uint32_t skip, uint32_t size, struct value *out)
{
    struct scalar part = v->num, by;
    if (skip != 0) {
        scalar_set_const(&by, 8 * skip);
        scalar_alu(SEM_RSH, 64, &part, &by);
    }
    if (size < 8) {
        scalar_zero_extend(&part, size * 8);
    }
    value_set_scalar(out, &part);
}

// A number of 8 bytes of which one half stays leaves a cell of 4 bytes.
static void keep_half(struct state_frame *f, int32_t c, int32_t at, int32_t size)
{
    struct value whole = f->cells[c], half;
    drop_cell(f, c);
    if (whole.kind != VALUE_SCALAR || whole.width != 8) {
        return;
    }
    if (at >= c * 4 + 4) {
        extract(&whole, 0, 4, &half);
        put_cell(f, c, &half, 4);
    } else if (at + size <= c * 4 + 4) {
        extract(&whole, 4, 4, &half);
        put_cell(f, c + 1, &half, 4);
    }
}

void stack_forget(struct state_frame *f, int32_t at, int32_t size)
{
    if (size <= 0) {
        return;
    }
    for (int32_t c = at / 4 - 1; c <= (at + size - 1) / 4; c++) {
        if (has_cell(f, c) && c * 4 < at + size && c * 4 + f->cells[c].width > at) {
            keep_half(f, c, at, size);
        }
    }
}

void stack_write(struct state_frame *f, int32_t at, uint32_t size, const struct value *v)
{
    stack_forget(f, at, (int32_t)size);
    stack_mark_init(f, at, (int32_t)size);
    if (size == 8 && at % 8 == 0) {
        put_cell(f, at / 4, v, 8);
    } else if (size == 4 && at % 4 == 0 && v->kind == VALUE_SCALAR) {
        if (v->num.umax <= UINT32_MAX) {
            put_cell(f, at / 4, v, 4);
        } else {
            struct value low;
            extract(v, 0, 4, &low);
            put_cell(f, at / 4, &low, 4);
        }
    }
}

void stack_read(const struct state_frame *f, int32_t at, uint32_t size, struct value *out)
{
    for (int32_t c = at / 4; c >= at / 4 - 1; c--) {
        if (!has_cell(f, c) || c * 4 + f->cells[c].width < at + (int32_t)size) {
            continue;
        }
        const struct value *v = &f->cells[c];
        if (at == c * 4 && size == v->width) {
            *out = *v;
            out->width = 0;
            return;
        }
        if (v->kind == VALUE_SCALAR) {
            extract(v, (uint32_t)(at - c * 4), size, out);
            return;
        }
    }
    value_set_unknown(out, size);
}
