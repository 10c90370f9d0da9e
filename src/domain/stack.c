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

static void put_cell(struct state_frame *f, int32_t c, const struct value *v, uint32_t width)
{
    f->present[c / 64] |= (uint64_t)1 << (c % 64);
    f->cells[c] = *v;
    f->cells[c].width = (uint8_t)width;
}

// Length of the span that is certain.
static int64_t certain_span(const struct state_frame *f)
{
    return f->span.end.kind == VALUE_NOT_INIT ? 0 : f->span.end.num.smin;
}

static bool is_init(const struct state_frame *f, int32_t i)
{
    int64_t in_span = i - (int64_t)f->span.from;
    return (f->init[i / 64] >> (i % 64) & 1) != 0 || (in_span >= 0 && in_span < certain_span(f));
}

bool stack_is_init(const struct state_frame *f, int32_t at, int32_t size, int32_t *missing)
{
    for (int32_t i = at; i < at + size; i++) {
        if (!is_init(f, i)) {
            *missing = i;
            return false;
        }
    }
    return true;
}

int32_t stack_init_run(const struct state_frame *f, int32_t at)
{
    int32_t end = at;
    while (end < INSN_STACK_SIZE && is_init(f, end)) {
        end++;
    }
    return end - at;
}

void stack_mark_init(struct state_frame *f, int32_t at, int32_t size)
{
    for (int32_t i = at; i < at + size; i++) {
        f->init[i / 64] |= (uint64_t)1 << (i % 64);
    }
}

static void clear_init(struct state_frame *f, int32_t at, int32_t size)
{
    for (int32_t i = at; i < at + size; i++) {
        f->init[i / 64] &= ~((uint64_t)1 << (i % 64));
    }
}

// The number in `size` bytes at byte `skip` of `v`. It keeps its identity where it is the whole number.
static void extract(const struct value *v, uint32_t skip, uint32_t size, struct value *out)
{
    struct scalar part = v->num, by;
    if (skip == 0 && (size >= 8 || v->num.umax >> (8 * size) == 0)) {
        struct value whole = *v;
        *out = whole;
        out->width = 0;
        return;
    }
    if (skip != 0) {
        scalar_set_const(&by, 8 * skip);
        scalar_alu(SEM_RSH, 64, &part, &by);
    }
    if (size == 3) {
        scalar_set_const(&by, 0xffffff);
        scalar_alu(SEM_AND, 64, &part, &by);
    } else if (size < 8) {
        scalar_zero_extend(&part, size * 8);
    }
    value_set_scalar(out, &part);
}

// Keeps bytes [from, to) of `whole`, which was at byte `at`, as cells.
static void keep_part(struct state_frame *f, const struct value *whole, int32_t at, int32_t from, int32_t to)
{
    struct value part;
    while (from < to) {
        int32_t size = to - from < 4 ? to - from : 4;
        if (from % 4 == 0) {
            extract(whole, (uint32_t)(from - at), (uint32_t)size, &part);
            put_cell(f, from / 4, &part, (uint32_t)size);
        }
        from = (from & ~3) + 4;
    }
}

// The value of cell `c` is overwritten at [at, at + size). What is left of a number stays.
static void cut_cell(struct state_frame *f, int32_t c, int32_t at, int32_t size)
{
    struct value whole = f->cells[c];
    int32_t begin = c * 4, end = begin + whole.width;
    drop_cell(f, c);
    if (whole.kind == VALUE_SCALAR) {
        keep_part(f, &whole, begin, begin, at);
        keep_part(f, &whole, begin, at + size, end);
    } else {
        clear_init(f, begin, end - begin);
    }
}

void stack_forget(struct state_frame *f, int32_t at, int32_t size)
{
    if (size <= 0) {
        return;
    }
    for (int32_t c = at / 4 - 1; c <= (at + size - 1) / 4; c++) {
        if (has_cell(f, c) && c * 4 < at + size && c * 4 + f->cells[c].width > at) {
            cut_cell(f, c, at, size);
        }
    }
}

// The constant bytes of a cell that has a constant, and those of a new one behind or inside, are one
// constant.
static bool merge_constant(const struct state_frame *f, int32_t at, uint32_t size, const struct value *v,
                           struct value *out, uint32_t *width)
{
    int32_t c = at / 4;
    uint32_t skip = (uint32_t)at % 4;
    if (skip + size > 4 || !value_is_const(v) || !has_cell(f, c) || !value_is_const(&f->cells[c]) ||
        f->cells[c].width > 4 || f->cells[c].width < skip) {
        return false;
    }
    uint64_t mask = (((uint64_t)1 << (8 * size)) - 1) << (8 * skip);
    uint64_t number = (f->cells[c].num.umin & ~mask) | (v->num.umin << (8 * skip) & mask);
    value_set_const(out, number);
    *width = skip + size > f->cells[c].width ? skip + size : f->cells[c].width;
    return true;
}

// A constant of 8 bytes around byte `at` becomes two of 4.
static void split_constant(struct state_frame *f, int32_t at)
{
    int32_t c = at / 4 & ~1;
    if (has_cell(f, c) && f->cells[c].width == 8 && value_is_const(&f->cells[c])) {
        struct value whole = f->cells[c];
        drop_cell(f, c);
        keep_part(f, &whole, c * 4, c * 4, c * 4 + 8);
    }
}

void stack_write(struct state_frame *f, int32_t at, uint32_t size, const struct value *v)
{
    struct value part;
    uint32_t width = size;
    if (size < 4) {
        split_constant(f, at);
    }
    if (v->kind != VALUE_SCALAR && f->span.from < (uint32_t)at + size) {
        memset(&f->span, 0, sizeof(f->span)); // spans are numbers
    }
    bool merged = size < 4 && merge_constant(f, at, size, v, &part, &width);
    stack_forget(f, at, (int32_t)size);
    stack_mark_init(f, at, (int32_t)size);
    if (merged) {
        put_cell(f, at / 4, &part, width);
    } else if (size == 8 && at % 8 == 0) {
        put_cell(f, at / 4, v, 8);
    } else if (size == 8 && at % 4 == 0 && v->kind == VALUE_SCALAR) {
        keep_part(f, v, at, at, at + 8);
    } else if (size <= 4 && at % 4 == 0 && v->kind == VALUE_SCALAR) {
        extract(v, 0, size, &part);
        put_cell(f, at / 4, &part, size);
    } else if (v->kind != VALUE_SCALAR) {
        clear_init(f, at, (int32_t)size); // a piece of an address
    }
}

// Two numbers of 4 bytes side by side, read as one of 8.
static bool read_halves(const struct state_frame *f, int32_t at, struct value *out)
{
    int32_t c = at / 4;
    if (at % 4 != 0 || !has_cell(f, c) || !has_cell(f, c + 1) || f->cells[c].width != 4 ||
        f->cells[c + 1].width != 4) {
        return false;
    }
    struct scalar n = f->cells[c + 1].num, by;
    scalar_set_const(&by, 32);
    scalar_alu(SEM_LSH, 64, &n, &by);
    scalar_alu(SEM_OR, 64, &n, &f->cells[c].num);
    value_set_scalar(out, &n);
    return true;
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
    if (size != 8 || !read_halves(f, at, out)) {
        value_set_unknown(out, size);
    }
}

// Something is remembered about [at, at + size).
static bool is_known(const struct state_frame *f, int32_t at, int32_t size)
{
    for (int32_t c = at / 4 - 1; c <= (at + size - 1) / 4; c++) {
        if (has_cell(f, c) && c * 4 < at + size && c * 4 + f->cells[c].width > at) {
            return true;
        }
    }
    return false;
}

void stack_load(struct domain_state *s, uint32_t frame, int32_t at, uint32_t size, struct value *out)
{
    struct state_frame *f = &s->frames[frame];
    int32_t c = at / 4, missing;
    stack_read(f, at, size, out);
    if (out->kind != VALUE_SCALAR || out->id != VALUE_ID_NONE || scalar_is_const(&out->num) || at % 4 != 0 ||
        (size == 8 && at % 8 != 0)) {
        return;
    }
    bool whole = has_cell(f, c) && f->cells[c].width == size;
    if (!whole && (is_known(f, at, (int32_t)size) || !stack_is_init(f, at, (int32_t)size, &missing))) {
        return;
    }
    value_set_id(out, state_make_id(s));
    stack_mark_init(f, at, (int32_t)size);
    put_cell(f, c, out, size);
}

void stack_read_range(const struct state_frame *f, int32_t first, int32_t last, uint32_t size,
                      struct value *out)
{
    struct value one;
    stack_read(f, first, size, out);
    for (int32_t at = first + 1; out->kind == VALUE_SCALAR && at <= last; at++) {
        stack_read(f, at, size, &one);
        if (one.kind != VALUE_SCALAR) {
            *out = one;
            break;
        }
        scalar_join(&out->num, &one.num);
    }
    if (out->kind != VALUE_SCALAR) {
        value_set_unknown(out, size);
    }
    struct scalar num = out->num;
    if (first != last) {
        value_set_scalar(out, &num);
    }
}

// Whether the store begins exactly where the span ends, whatever N is.
static bool continues_span(const struct state_span *span, const struct value *ptr, int32_t off)
{
    const struct value *end = &span->end;
    int64_t at = INSN_STACK_SIZE + (int64_t)ptr->off + off; // + cf * N + delta
    return end->kind != VALUE_NOT_INIT && end->id != VALUE_ID_NONE && ptr->id == end->id &&
           ptr->cf == end->cf && at - span->from == end->delta - ptr->delta;
}

void stack_write_range(struct domain_state *s, uint32_t frame, const struct value *ptr, int32_t off,
                       uint32_t size, const struct value *v)
{
    struct state_frame *f = &s->frames[frame];
    int32_t first = stack_position((int64_t)ptr->off + off + ptr->num.smin);
    int64_t spread = ptr->num.smax - ptr->num.smin;
    stack_forget(f, first, (int32_t)(spread + size));
    if (v->kind != VALUE_SCALAR) {
        clear_init(f, first, (int32_t)(spread + size));
        return;
    }
    if (continues_span(&f->span, ptr, off)) {
        value_add_const(&f->span.end, size);
        stack_settle_span(f);
    }
}

void stack_settle_span(struct state_frame *f)
{
    struct value *end = &f->span.end;
    if (end->kind == VALUE_NOT_INIT || !scalar_is_const(&end->num)) {
        return;
    }
    int64_t size = end->num.smin, room = INSN_STACK_SIZE - (int64_t)f->span.from;
    if (size > 0) {
        stack_mark_init(f, (int32_t)f->span.from, (int32_t)(size < room ? size : room));
    }
    memset(&f->span, 0, sizeof(f->span));
}
