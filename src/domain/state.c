// SPDX-License-Identifier: MIT
// state: entry state, iteration over values, and refinement of whole identity classes.
#include "domain/state.h"

void state_make_env(const struct spec_view *spec, const struct program *p, struct domain_env *out)
{
    out->spec = spec;
    out->program = p;
    out->layout = spec->prog_types[p->type].layout[p->dialect];
}

static void reset(struct domain_state *s)
{
    memset(s->regs, 0, sizeof(s->regs));
    memset(s->frames[0].present, 0, sizeof(s->frames[0].present));
    memset(s->frames[0].init, 0, sizeof(s->frames[0].init));
    s->frame_count = 1;
    s->packet_length = 0;
    s->meta_length = 0;
    s->next_id = VALUE_ID_FIRST;
    value_set_pointer(&s->regs[10], VALUE_STACK, 0);
}

void state_enter_program(const struct domain_env *env, struct domain_state *s)
{
    reset(s);
    if (env->layout != LAYOUT_NONE) {
        value_set_pointer(&s->regs[1], VALUE_CTX, 0);
        return;
    }
    value_set_pointer(&s->regs[1], VALUE_PACKET, 0);
    struct scalar length;
    scalar_set_urange(&length, 0, VALUE_MAX_LENGTH);
    value_set_scalar(&s->regs[2], &length);
    s->regs[2].id = VALUE_ID_LENGTH;
}

struct value *state_value(struct domain_state *s, uint32_t loc)
{
    if (loc < STATE_LOC_SAVED) {
        return &s->regs[loc];
    }
    if (loc < STATE_LOC_CELLS) {
        loc -= STATE_LOC_SAVED;
        return &s->frames[loc / STATE_SAVED].saved[loc % STATE_SAVED];
    }
    loc -= STATE_LOC_CELLS;
    return &s->frames[loc / STATE_CELL_COUNT].cells[loc % STATE_CELL_COUNT];
}

static uint32_t next_saved(const struct domain_state *s, uint32_t loc)
{
    uint32_t end = STATE_LOC_SAVED + STATE_SAVED * (s->frame_count - 1);
    for (; loc < end; loc++) {
        uint32_t k = loc - STATE_LOC_SAVED;
        if (s->frames[k / STATE_SAVED].saved[k % STATE_SAVED].kind != VALUE_NOT_INIT) {
            return loc;
        }
    }
    return STATE_LOC_CELLS;
}

static uint32_t next_cell(const struct domain_state *s, uint32_t loc)
{
    uint32_t k = loc - STATE_LOC_CELLS;
    while (k < s->frame_count * STATE_CELL_COUNT) {
        uint64_t word = s->frames[k / STATE_CELL_COUNT].present[k % STATE_CELL_COUNT / 64] >> (k % 64);
        if (word != 0) {
            return STATE_LOC_CELLS + k + (uint32_t)__builtin_ctzll(word);
        }
        k = (k | 63) + 1;
    }
    return STATE_LOC_END;
}

uint32_t state_next(const struct domain_state *s, uint32_t loc)
{
    for (; loc < 10; loc++) {
        if (s->regs[loc].kind != VALUE_NOT_INIT) {
            return loc;
        }
    }
    if (loc < STATE_LOC_SAVED) {
        loc = STATE_LOC_SAVED;
    }
    if (loc < STATE_LOC_CELLS) {
        loc = next_saved(s, loc);
    }
    return loc < STATE_LOC_CELLS ? loc : next_cell(s, loc);
}

static void raise_length(struct domain_state *s, int64_t length)
{
    if (length > s->packet_length) {
        s->packet_length = value_clamp_range(length);
    }
}

// Intersects one member with "N lies in `number`".
static bool refine_member(struct value *v, const struct scalar *number)
{
    struct scalar here = *number;
    if (v->kind == VALUE_SCALAR && v->delta != 0) {
        struct scalar delta;
        scalar_set_const(&delta, (uint64_t)v->delta);
        scalar_alu(SEM_ADD, 64, &here, &delta);
    }
    return scalar_meet(&v->num, &here);
}

bool state_refine_number(struct domain_state *s, uint32_t id, const struct scalar *number)
{
    if (id == VALUE_ID_NONE) {
        return true;
    }
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (v->id != id || v->maybe_null) {
            continue;
        }
        if (!refine_member(v, number)) {
            return false;
        }
        if (v->kind == VALUE_PACKET && scalar_is_const(&v->num)) {
            raise_length(s, v->num.smin + v->range);
        }
        value_normalize(v);
    }
    if (id == VALUE_ID_LENGTH) {
        raise_length(s, number->smin);
    }
    return true;
}

void state_refine_null(struct domain_state *s, uint32_t id, bool null)
{
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (v->id != id || !v->maybe_null) {
            continue;
        }
        if (null) {
            uint8_t width = v->width;
            value_set_const(v, 0);
            v->width = width;
        } else {
            v->maybe_null = 0;
            v->id = VALUE_ID_NONE;
        }
    }
}

void state_refine_range(struct domain_state *s, uint32_t id, int64_t range)
{
    if (id == VALUE_ID_NONE) {
        raise_length(s, range);
        return;
    }
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (v->kind != VALUE_PACKET || v->id != id) {
            continue;
        }
        if (range > v->range) {
            v->range = value_clamp_range(range);
        }
        // The smallest N that is possible gives a length that is certain.
        raise_length(s, v->num.smin + range);
    }
}

int64_t state_packet_range(const struct domain_state *s, const struct value *v)
{
    int64_t by_length = (int64_t)s->packet_length - v->num.smax;
    return v->id != VALUE_ID_NONE && v->range > by_length ? v->range : by_length;
}

// Removes the value at `loc`; a stack cell's bytes stay initialised.
static void forget(struct domain_state *s, uint32_t loc)
{
    memset(state_value(s, loc), 0, sizeof(struct value));
    if (loc >= STATE_LOC_CELLS) {
        uint32_t k = loc - STATE_LOC_CELLS;
        s->frames[k / STATE_CELL_COUNT].present[k % STATE_CELL_COUNT / 64] &= ~((uint64_t)1 << (k % 64));
    }
}

void state_forget_packet(struct domain_state *s)
{
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_END || v->kind == VALUE_PACKET_META) {
            forget(s, loc);
        } else if (v->id == VALUE_ID_LENGTH) {
            v->id = VALUE_ID_NONE;
            v->delta = 0;
        }
    }
    s->packet_length = 0;
    s->meta_length = 0;
}

void state_forget_frame(struct domain_state *s, uint32_t frame)
{
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value(s, loc);
        if (v->kind == VALUE_STACK && v->frame >= frame) {
            forget(s, loc);
        }
    }
}

static bool cells_are_valid(const struct state_frame *f)
{
    for (uint32_t c = 0; c < STATE_CELL_COUNT; c++) {
        if ((f->present[c / 64] >> (c % 64) & 1) == 0) {
            continue;
        }
        const struct value *v = &f->cells[c];
        if (v->kind == VALUE_NOT_INIT || (v->width != 4 && v->width != 8) || (v->width == 8 && c % 2 != 0) ||
            (v->width == 8 && (f->present[(c + 1) / 64] >> ((c + 1) % 64) & 1) != 0) ||
            (v->width == 4 && (v->kind != VALUE_SCALAR || v->num.umax > UINT32_MAX))) {
            return false;
        }
        for (uint32_t byte = c * 4; byte < c * 4 + v->width; byte++) {
            if ((f->init[byte / 64] >> (byte % 64) & 1) == 0) {
                return false;
            }
        }
    }
    return true;
}

bool state_is_valid(const struct domain_state *s)
{
    if (s->frame_count < 1 || s->frame_count > INSN_MAX_FRAMES || s->packet_length < 0 ||
        s->meta_length < 0 || s->regs[10].kind != VALUE_STACK || s->regs[10].frame != s->frame_count - 1) {
        return false;
    }
    for (uint32_t f = 0; f < s->frame_count; f++) {
        if (!cells_are_valid(&s->frames[f])) {
            return false;
        }
    }
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value((struct domain_state *)s, loc);
        if (!value_is_valid(v) || v->id >= s->next_id ||
            (v->kind == VALUE_STACK && v->frame >= s->frame_count)) {
            return false;
        }
    }
    return true;
}
