// SPDX-License-Identifier: MIT
// state: entry state, iteration over values, references, turn counters, and what makes a state valid.
// Refinement of whole identity classes is in refine.c.
#include "domain/state.h"

void state_make_env(const struct spec_view *spec, const struct program *p, struct domain_env *out)
{
    memset(out, 0, sizeof(*out));
    out->spec = spec;
    out->program = p;
    out->layout = program_layout(spec, p);
}

static void reset(struct domain_state *s)
{
    struct state_frame *f = &s->frames[0];
    memset(s->regs, 0, sizeof(s->regs));
    memset(f, 0, offsetof(struct state_frame, cells));
    memset(&s->frame_count, 0, sizeof(*s) - offsetof(struct domain_state, frame_count));
    s->frame_count = 1;
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
    value_set_id(&s->regs[2], VALUE_ID_LENGTH);
}

static void copy_cells(struct state_frame *dst, const struct state_frame *src)
{
    for (uint32_t w = 0; w < ARRAY_SIZE(src->present); w++) {
        for (uint64_t left = src->present[w]; left != 0; left &= left - 1) {
            uint32_t c = w * 64 + (uint32_t)__builtin_ctzll(left);
            dst->cells[c] = src->cells[c];
        }
    }
}

static void copy_frame(struct state_frame *dst, const struct state_frame *src, bool is_top)
{
    memcpy(dst, src, offsetof(struct state_frame, saved));
    if (!is_top) {
        memcpy(dst->saved, src->saved, sizeof(dst->saved));
    }
    for (uint32_t left = src->counting; left != 0; left &= left - 1) {
        uint32_t d = (uint32_t)__builtin_ctz(left);
        dst->loops[d] = src->loops[d];
    }
    dst->span = src->span;
    copy_cells(dst, src);
}

void state_copy(struct domain_state *dst, const struct domain_state *src)
{
    memcpy(dst->regs, src->regs, sizeof(dst->regs));
    for (uint32_t f = 0; f < src->frame_count; f++) {
        copy_frame(&dst->frames[f], &src->frames[f], f + 1 == src->frame_count);
    }
    memcpy(&dst->frame_count, &src->frame_count, sizeof(*dst) - offsetof(struct domain_state, frame_count));
}

// --- locations -----------------------------------------------------------------------------------

struct value *state_value(struct domain_state *s, uint32_t loc)
{
    if (loc < STATE_LOC_SAVED) {
        return &s->regs[loc];
    }
    if (loc >= STATE_LOC_CELLS) {
        loc -= STATE_LOC_CELLS;
        return &s->frames[loc / STATE_CELL_COUNT].cells[loc % STATE_CELL_COUNT];
    }
    if (loc < STATE_LOC_LOOPS) {
        loc -= STATE_LOC_SAVED;
        return &s->frames[loc / STATE_SAVED].saved[loc % STATE_SAVED];
    }
    if (loc < STATE_LOC_SPANS) {
        loc -= STATE_LOC_LOOPS;
        return &s->frames[loc / STATE_MAX_LOOPS].loops[loc % STATE_MAX_LOOPS];
    }
    return &s->frames[loc - STATE_LOC_SPANS].span.end;
}

void state_set_present(struct domain_state *s, uint32_t loc, bool present)
{
    if (loc >= STATE_LOC_CELLS) {
        uint32_t k = loc - STATE_LOC_CELLS;
        uint64_t *word = &s->frames[k / STATE_CELL_COUNT].present[k % STATE_CELL_COUNT / 64];
        *word = (*word & ~((uint64_t)1 << (k % 64))) | (uint64_t)present << (k % 64);
    } else if (loc >= STATE_LOC_LOOPS && loc < STATE_LOC_SPANS) {
        uint32_t k = loc - STATE_LOC_LOOPS;
        uint8_t *bits = &s->frames[k / STATE_MAX_LOOPS].counting;
        uint8_t bit = (uint8_t)(1u << (k % STATE_MAX_LOOPS));
        *bits = present ? (uint8_t)(*bits | bit) : (uint8_t)(*bits & ~bit);
    }
}

void state_put(struct domain_state *s, uint32_t loc, const struct value *v)
{
    struct value *at = state_value(s, loc);
    if (v != NULL && v->kind != VALUE_NOT_INIT) {
        *at = *v;
        state_set_present(s, loc, true);
    } else {
        memset(at, 0, sizeof(*at));
        state_set_present(s, loc, false);
    }
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
    return STATE_LOC_LOOPS;
}

static uint32_t next_loop(const struct domain_state *s, uint32_t loc)
{
    uint32_t k = loc - STATE_LOC_LOOPS;
    while (k < s->frame_count * STATE_MAX_LOOPS) {
        uint32_t bits = (uint32_t)s->frames[k / STATE_MAX_LOOPS].counting >> (k % STATE_MAX_LOOPS);
        if (bits != 0) {
            return STATE_LOC_LOOPS + k + (uint32_t)__builtin_ctz(bits);
        }
        k = (k | (STATE_MAX_LOOPS - 1)) + 1;
    }
    return STATE_LOC_SPANS;
}

static uint32_t next_span(const struct domain_state *s, uint32_t loc)
{
    for (uint32_t f = loc - STATE_LOC_SPANS; f < s->frame_count; f++) {
        if (s->frames[f].span.end.kind != VALUE_NOT_INIT) {
            return STATE_LOC_SPANS + f;
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
    if (loc >= STATE_LOC_CELLS) {
        return next_cell(s, loc);
    }
    for (; loc < 10; loc++) {
        if (s->regs[loc].kind != VALUE_NOT_INIT) {
            return loc;
        }
    }
    if (loc < STATE_LOC_LOOPS) {
        loc = next_saved(s, loc < STATE_LOC_SAVED ? STATE_LOC_SAVED : loc);
    }
    if (loc >= STATE_LOC_LOOPS && loc < STATE_LOC_SPANS) {
        loc = next_loop(s, loc);
    }
    if (loc >= STATE_LOC_SPANS && loc < STATE_LOC_CELLS) {
        loc = next_span(s, loc);
    }
    return loc < STATE_LOC_CELLS ? loc : next_cell(s, loc);
}

// --- forgetting ----------------------------------------------------------------------------------

// A pointer in a cell leaves bytes that nobody may read as a number.
static void forget(struct domain_state *s, uint32_t loc)
{
    if (loc >= STATE_LOC_CELLS && state_value(s, loc)->kind != VALUE_SCALAR) {
        uint32_t k = loc - STATE_LOC_CELLS, byte = k % STATE_CELL_COUNT * 4;
        s->frames[k / STATE_CELL_COUNT].init[byte / 64] &= ~((uint64_t)0xff << (byte % 64));
    }
    state_put(s, loc, NULL);
}

static bool speaks_of_length(uint32_t a, uint32_t b, uint32_t c)
{
    return a == VALUE_ID_LENGTH || b == VALUE_ID_LENGTH || c == VALUE_ID_LENGTH;
}

static void forget_length_rows(struct domain_state *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->sum_count; i++) {
        const struct state_sum *row = &s->sums[i];
        if (!speaks_of_length(row->left, row->right, row->sum)) {
            s->sums[kept++] = *row;
        }
    }
    s->sum_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < s->bound_count; i++) {
        const struct state_bound *row = &s->bounds[i];
        if (!speaks_of_length(row->low, row->high, 0)) {
            s->bounds[kept++] = *row;
        }
    }
    s->bound_count = kept;
}

static bool is_in_packet(const struct value *v)
{
    return v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_END || v->kind == VALUE_PACKET_META ||
           (v->kind == VALUE_MEM && (v->flags & VALUE_PACKET_SLICE) != 0);
}

void state_forget_packet(struct domain_state *s)
{
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (is_in_packet(v)) {
            forget(s, loc);
        } else if (v->id == VALUE_ID_LENGTH) {
            value_drop_id(v);
        }
    }
    forget_length_rows(s);
    s->packet_length = 0;
    s->meta_length = 0;
    s->packet_changed = true;
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

// --- references ----------------------------------------------------------------------------------

const struct state_ref *state_find_ref(const struct domain_state *s, uint32_t ref)
{
    for (uint32_t i = 0; i < s->ref_count; i++) {
        if (s->refs[i].ref == ref) {
            return &s->refs[i];
        }
    }
    return NULL;
}

bool state_acquire(struct domain_state *s, uint32_t ref, uint32_t pc, enum state_ref_kind kind,
                   uint8_t detail)
{
    uint32_t at = s->ref_count;
    if (at == STATE_MAX_REFS) {
        return false;
    }
    for (; at > 0 && s->refs[at - 1].ref > ref; at--) {
        s->refs[at] = s->refs[at - 1];
    }
    s->refs[at] = (struct state_ref){.ref = ref, .pc = pc, .kind = (uint8_t)kind, .detail = detail};
    s->ref_count++;
    return true;
}

bool state_drop_ref(struct domain_state *s, uint32_t ref)
{
    const struct state_ref *found = state_find_ref(s, ref);
    if (found == NULL) {
        return false;
    }
    uint32_t at = (uint32_t)(found - s->refs);
    memmove(&s->refs[at], &s->refs[at + 1], (s->ref_count - at - 1) * sizeof(s->refs[0]));
    s->ref_count--;
    return true;
}

bool state_release(struct domain_state *s, uint32_t ref)
{
    if (!state_drop_ref(s, ref)) {
        return false;
    }
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        if (v->ref == ref && (v->kind == VALUE_MEM || v->kind == VALUE_OBJECT || v->kind == VALUE_KERNEL)) {
            uint8_t width = v->width;
            value_set_pointer(v, VALUE_RELEASED, 0);
            v->width = width;
        }
    }
    state_forget_ref(s, ref);
    return true;
}

void state_forget_ref(struct domain_state *s, uint32_t ref)
{
    STATE_FOR_EACH(loc, s)
    {
        if (state_value(s, loc)->ref == ref) {
            forget(s, loc);
        }
    }
}

// --- turn counters -------------------------------------------------------------------------------

void state_enter_loop(struct domain_state *s, uint32_t depth)
{
    struct state_frame *f = state_top(s);
    value_set_const(&f->loops[depth], 0);
    f->counting |= (uint8_t)(1u << depth);
}

void state_turn_loop(struct domain_state *s, uint32_t depth)
{
    struct state_frame *f = state_top(s);
    struct value *n = &f->loops[depth];
    struct scalar covered;
    if ((f->counting >> depth & 1) == 0) {
        return;
    }
    value_add_const(n, 1);
    scalar_set_srange(&covered, 0, STATE_MAX_TURNS);
    if (!scalar_meet(&n->num, &covered)) {
        value_set_const(n, (uint64_t)STATE_MAX_TURNS);
    }
}

void state_leave_loop(struct domain_state *s, uint32_t depth)
{
    struct state_frame *f = state_top(s);
    f->counting &= (uint8_t)~(1u << depth);
    memset(&f->loops[depth], 0, sizeof(f->loops[depth]));
}

int64_t state_loop_bound(const struct domain_state *s, uint32_t depth)
{
    const struct state_frame *f = &s->frames[s->frame_count - 1];
    if ((f->counting >> depth & 1) == 0 || f->loops[depth].num.smax >= STATE_MAX_TURNS) {
        return INT64_MAX;
    }
    return f->loops[depth].num.smax;
}

// --- invariants ----------------------------------------------------------------------------------

static bool has_bit(const uint64_t *bits, uint32_t i)
{
    return (bits[i / 64] >> (i % 64) & 1) != 0;
}

// The cells of one value: a width that cells have, all bytes written, no other value in them.
static bool cell_is_valid(const struct state_frame *f, uint32_t c)
{
    const struct value *v = &f->cells[c];
    if (v->kind == VALUE_NOT_INIT || v->width == 0 || (v->width > 4 && v->width != 8)) {
        return false;
    }
    if (v->width == 8 && (c % 2 != 0 || has_bit(f->present, c + 1))) {
        return false;
    }
    if (v->width < 8 && (v->kind != VALUE_SCALAR || v->num.umax >> (8 * v->width) != 0)) {
        return false;
    }
    for (uint32_t byte = c * 4; byte < c * 4 + v->width; byte++) {
        if (!has_bit(f->init, byte)) {
            return false;
        }
    }
    return true;
}

static bool frame_is_valid(const struct state_frame *f)
{
    for (uint32_t c = 0; c < STATE_CELL_COUNT; c++) {
        if (has_bit(f->present, c) && !cell_is_valid(f, c)) {
            return false;
        }
    }
    for (uint32_t d = 0; d < STATE_MAX_LOOPS; d++) {
        if ((f->counting >> d & 1) != 0 && f->loops[d].kind != VALUE_SCALAR) {
            return false;
        }
    }
    return (f->span.end.kind == VALUE_NOT_INIT || f->span.end.kind == VALUE_SCALAR) &&
           f->span.from < INSN_STACK_SIZE;
}

static bool refs_are_valid(const struct domain_state *s)
{
    for (uint32_t i = 0; i < s->ref_count; i++) {
        if (s->refs[i].ref >= s->next_id || (i > 0 && s->refs[i].ref <= s->refs[i - 1].ref)) {
            return false;
        }
    }
    return true;
}

static bool rows_are_valid(const struct domain_state *s)
{
    for (uint32_t i = 0; i < s->sum_count; i++) {
        const struct state_sum *row = &s->sums[i];
        if (row->left == VALUE_ID_NONE || row->right == VALUE_ID_NONE || row->left >= s->next_id ||
            row->right >= s->next_id || row->sum >= s->next_id) {
            return false;
        }
    }
    for (uint32_t i = 0; i < s->bound_count; i++) {
        const struct state_bound *row = &s->bounds[i];
        if (row->low == VALUE_ID_NONE || row->high == VALUE_ID_NONE || row->low >= s->next_id ||
            row->high >= s->next_id) {
            return false;
        }
    }
    return true;
}

static bool facts_are_valid(const struct domain_state *s)
{
    return s->frame_count >= 1 && s->frame_count <= INSN_MAX_FRAMES && s->packet_length >= 0 &&
           s->meta_length >= 0 && s->regs[10].kind == VALUE_STACK &&
           s->regs[10].frame == s->frame_count - 1 && s->ref_count <= STATE_MAX_REFS &&
           s->sum_count <= STATE_MAX_SUMS && s->bound_count <= STATE_MAX_BOUNDS && refs_are_valid(s) &&
           rows_are_valid(s);
}

bool state_is_valid(const struct domain_state *s)
{
    if (!facts_are_valid(s)) {
        return false;
    }
    for (uint32_t f = 0; f < s->frame_count; f++) {
        if (!frame_is_valid(&s->frames[f])) {
            return false;
        }
    }
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value((struct domain_state *)s, loc);
        if (!value_is_valid(v) || v->id >= s->next_id || v->ref >= s->next_id ||
            (v->kind == VALUE_STACK && v->frame >= s->frame_count)) {
            return false;
        }
    }
    return true;
}
