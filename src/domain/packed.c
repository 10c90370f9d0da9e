// SPDX-License-Identifier: MIT
// packed: layout is struct packed, one packed_frame for each frame, then entries in order of location, each
// followed by the words that its number needs.
#include "domain/packed.h"

struct packed_frame {
    uint64_t init[INSN_STACK_SIZE / 64];
    uint32_t return_pc;
    uint32_t reserved;
};

enum { NUM_ZERO, NUM_CONST, NUM_UNKNOWN, NUM_FULL, NUM_MASK = 3, NUM_DELTA = 4 };

struct packed_entry {
    uint16_t loc;
    uint8_t kind, maybe_null, frame, width;
    uint16_t map;
    int32_t off;
    uint32_t id;
    int32_t range;
    uint32_t form; // NUM_*
};

_Static_assert(sizeof(struct value) == 96, "the size that the memory figures assume");
_Static_assert(sizeof(struct packed) % 8 == 0 && sizeof(struct packed_frame) % 8 == 0 &&
                   sizeof(struct packed_entry) % 8 == 0 && sizeof(struct scalar) == 64,
               "everything in a packed state is 8-byte aligned");
_Static_assert(sizeof(struct packed) + INSN_MAX_FRAMES * sizeof(struct packed_frame) +
                       (10 + STATE_SAVED * INSN_MAX_FRAMES + STATE_CELL_COUNT * INSN_MAX_FRAMES) *
                           (sizeof(struct packed_entry) + 8 + sizeof(struct scalar)) <=
                   sizeof(((struct packed_scratch *)0)->buffer),
               "the largest state fits");

// --- identities ----------------------------------------------------------------------------------

// Identity that takes part in relations; constants carry none.
static uint32_t class_of(const struct value *v)
{
    return v->kind == VALUE_SCALAR && scalar_is_const(&v->num) ? VALUE_ID_NONE : v->id;
}

static uint32_t find_slot(struct packed_scratch *t, uint32_t id)
{
    uint32_t slot = id * 2654435761u % PACKED_SLOTS;
    while (t->slot_stamp[slot] == t->stamp && t->slot_id[slot] != id) {
        slot = (slot + 1) % PACKED_SLOTS;
    }
    if (t->slot_stamp[slot] != t->stamp) {
        t->slot_stamp[slot] = t->stamp;
        t->slot_id[slot] = id;
        t->slot_uses[slot] = 0;
        t->slot_canonical[slot] = VALUE_ID_NONE;
    }
    return slot;
}

static void next_stamp(struct packed_scratch *t)
{
    if (++t->stamp == 0) {
        memset(t->slot_stamp, 0, sizeof(t->slot_stamp));
        memset(t->class_stamp, 0, sizeof(t->class_stamp));
        t->stamp = 1;
    }
}

static bool is_live(const struct packed_live *live, uint32_t loc)
{
    if (live == NULL) {
        return true;
    }
    if (loc < STATE_LOC_SAVED) {
        return (live->regs >> loc & 1) != 0;
    }
    if (loc < STATE_LOC_CELLS) {
        loc -= STATE_LOC_SAVED;
        return (live->saved[loc / STATE_SAVED] >> (6 + loc % STATE_SAVED) & 1) != 0;
    }
    loc -= STATE_LOC_CELLS;
    const uint64_t *cells = live->cells[loc / STATE_CELL_COUNT];
    uint32_t c = loc % STATE_CELL_COUNT;
    // An 8-byte cell is in the even half; one live half keeps it.
    uint64_t halves = c % 2 == 0 ? 3 : 1;
    return (cells[c / 64] >> (c % 64) & halves) != 0;
}

static void count_uses(struct packed_scratch *t, const struct domain_state *s, const struct packed_live *live)
{
    STATE_FOR_EACH(loc, s)
    {
        uint32_t id = class_of(state_value((struct domain_state *)s, loc));
        if (id != VALUE_ID_NONE && is_live(live, loc)) {
            t->slot_uses[find_slot(t, id)]++;
        }
    }
}

// The identity that `v` has in the packed state; one that relates nothing is dropped.
static uint32_t canonical_id(struct packed_scratch *t, const struct value *v, uint32_t *id_count)
{
    uint32_t id = class_of(v);
    if (id == VALUE_ID_NONE || id == VALUE_ID_LENGTH) {
        return id;
    }
    uint32_t slot = find_slot(t, id);
    if (t->slot_uses[slot] < 2 && !v->maybe_null && v->kind != VALUE_PACKET) {
        return VALUE_ID_NONE;
    }
    if (t->slot_canonical[slot] == VALUE_ID_NONE) {
        t->slot_canonical[slot] = VALUE_ID_FIRST + (*id_count)++;
    }
    return t->slot_canonical[slot];
}

// --- packing -------------------------------------------------------------------------------------

static bool is_unknown(const struct scalar *n)
{
    return n->umin == 0 && n->umax == UINT64_MAX && n->unknown == UINT64_MAX && n->wmin == 0 &&
           n->wmax == UINT32_MAX && n->smin == INT64_MIN && n->smax == INT64_MAX && n->xmin == INT32_MIN &&
           n->xmax == INT32_MAX;
}

// Appends the number and delta of `v` at `at`; returns the words written.
static uint32_t write_number(const struct value *v, uint32_t id, uint64_t *at, uint32_t *form)
{
    uint32_t words = 0;
    if (scalar_is_const(&v->num)) {
        *form = v->num.umin == 0 ? NUM_ZERO : NUM_CONST;
        if (v->num.umin != 0) {
            at[words++] = v->num.umin;
        }
    } else if (is_unknown(&v->num)) {
        *form = NUM_UNKNOWN;
    } else {
        *form = NUM_FULL;
        memcpy(at, &v->num, sizeof(v->num));
        words = sizeof(v->num) / 8;
    }
    if (id != VALUE_ID_NONE && v->delta != 0) {
        *form |= NUM_DELTA;
        memcpy(&at[words++], &v->delta, sizeof(v->delta));
    }
    return words;
}

static uint32_t write_entry(const struct value *v, uint32_t loc, uint32_t id, uint64_t *at)
{
    struct packed_entry e;
    memset(&e, 0, sizeof(e));
    e.loc = (uint16_t)loc;
    e.kind = v->kind;
    e.maybe_null = v->maybe_null;
    e.frame = v->frame;
    e.width = v->width;
    e.map = v->map;
    e.off = v->off;
    e.id = id;
    e.range = v->kind == VALUE_PACKET && id != VALUE_ID_NONE ? v->range : 0;
    uint32_t words = sizeof(e) / 8;
    words += write_number(v, id, at + words, &e.form);
    memcpy(at, &e, sizeof(e));
    return words;
}

static void write_frame(const struct domain_state *s, uint32_t f, const struct packed_live *live,
                        uint64_t *at)
{
    struct packed_frame out;
    memset(&out, 0, sizeof(out));
    memcpy(out.init, s->frames[f].init, sizeof(out.init));
    out.return_pc = f + 1 < s->frame_count ? s->frames[f].return_pc : 0;
    for (uint32_t c = 0; live != NULL && c < STATE_CELL_COUNT; c++) {
        uint32_t pair = c & ~1u; // the halves of an 8-byte cell live and die together
        if ((live->cells[f][c / 64] >> (pair % 64) & 3) == 0) {
            out.init[c * 4 / 64] &= ~((uint64_t)15 << (c * 4 % 64));
        }
    }
    memcpy(at, &out, sizeof(out));
}

const struct packed *packed_make(struct packed_scratch *t, const struct domain_state *s,
                                 const struct packed_live *live)
{
    uint32_t words = sizeof(struct packed) / 8;
    for (uint32_t f = 0; f < s->frame_count; f++) {
        write_frame(s, f, live, t->buffer + words);
        words += sizeof(struct packed_frame) / 8;
    }
    next_stamp(t);
    count_uses(t, s, live);
    uint32_t entries = 0, ids = 0;
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value((struct domain_state *)s, loc);
        if (is_live(live, loc)) {
            words += write_entry(v, loc, canonical_id(t, v, &ids), t->buffer + words);
            entries++;
        }
    }
    struct packed head = {words * 8, entries, s->frame_count, s->packet_length, s->meta_length, ids};
    memcpy(t->buffer, &head, sizeof(head));
    return (const struct packed *)t->buffer;
}

// --- unpacking -----------------------------------------------------------------------------------

static const struct packed_frame *frames_of(const struct packed *p)
{
    return (const struct packed_frame *)(p + 1);
}

static const struct packed_entry *first_entry(const struct packed *p)
{
    return (const struct packed_entry *)(frames_of(p) + p->frame_count);
}

// Decodes `e` and returns the entry after it.
static const struct packed_entry *read_entry(const struct packed_entry *e, struct value *v)
{
    const uint64_t *at = (const uint64_t *)(e + 1);
    memset(v, 0, sizeof(*v));
    v->kind = e->kind;
    v->maybe_null = e->maybe_null;
    v->frame = e->frame;
    v->width = e->width;
    v->map = e->map;
    v->off = e->off;
    v->id = e->id;
    v->range = e->range;
    switch (e->form & NUM_MASK) {
    case NUM_ZERO: scalar_set_const(&v->num, 0); break;
    case NUM_CONST: scalar_set_const(&v->num, *at++); break;
    case NUM_UNKNOWN: scalar_set_unknown(&v->num); break;
    case NUM_FULL:
        memcpy(&v->num, at, sizeof(v->num));
        at += sizeof(v->num) / 8;
        break;
    }
    if ((e->form & NUM_DELTA) != 0) {
        memcpy(&v->delta, at++, sizeof(v->delta));
    }
    return (const struct packed_entry *)at;
}

void packed_unpack(const struct packed *p, struct domain_state *s)
{
    memset(s->regs, 0, sizeof(s->regs));
    for (uint32_t f = 0; f < p->frame_count; f++) {
        struct state_frame *frame = &s->frames[f];
        memset(frame->present, 0, sizeof(frame->present));
        memset(frame->saved, 0, sizeof(frame->saved));
        memcpy(frame->init, frames_of(p)[f].init, sizeof(frame->init));
        frame->return_pc = frames_of(p)[f].return_pc;
    }
    s->frame_count = p->frame_count;
    s->packet_length = p->packet_length;
    s->meta_length = p->meta_length;
    s->next_id = VALUE_ID_FIRST + p->id_count;
    const struct packed_entry *e = first_entry(p);
    for (uint32_t i = 0; i < p->entry_count; i++) {
        uint32_t loc = e->loc;
        e = read_entry(e, state_value(s, loc));
        if (loc >= STATE_LOC_CELLS) {
            uint32_t k = loc - STATE_LOC_CELLS;
            s->frames[k / STATE_CELL_COUNT].present[k % STATE_CELL_COUNT / 64] |= (uint64_t)1 << (k % 64);
        }
    }
    value_set_pointer(&s->regs[10], VALUE_STACK, 0);
    s->regs[10].frame = (uint8_t)(p->frame_count - 1);
}

// --- entailment ----------------------------------------------------------------------------------

// What a class of the outer state stands for in the inner one, besides an inner identity.
enum { TAG_NOTHING = 0, TAG_NOT_NULL = 0xfffffffe, TAG_CONST = 0xffffffff };

// Records "N of outer class `id` is N' + shift, N' being `tag`", or compares with what was recorded. Two
// members that were one number in the outer state must be one number in the inner state.
static bool relate(struct packed_scratch *t, uint32_t id, uint32_t tag, int64_t shift)
{
    if (t->class_stamp[id] != t->stamp) {
        t->class_stamp[id] = t->stamp;
        t->class_tag[id] = tag;
        t->class_shift[id] = shift;
        return true;
    }
    return t->class_tag[id] == tag && tag != TAG_NOTHING && t->class_shift[id] == shift;
}

// `shift` for values N_outer + a (outer) and N_inner + b, or the constant b, modulo 2^64.
static int64_t difference(uint64_t b, uint64_t a)
{
    return (int64_t)(b - a);
}

static bool scalar_entails(struct packed_scratch *t, const struct value *outer, const struct value *inner)
{
    if (inner->kind != VALUE_SCALAR || !scalar_includes(&outer->num, &inner->num)) {
        return false;
    }
    if (outer->id == VALUE_ID_NONE) {
        return true;
    }
    if (outer->id == VALUE_ID_LENGTH) {
        return inner->id == VALUE_ID_LENGTH && inner->delta == outer->delta;
    }
    if (scalar_is_const(&inner->num)) {
        return relate(t, outer->id, TAG_CONST, difference(inner->num.umin, (uint64_t)outer->delta));
    }
    uint32_t tag = inner->id != VALUE_ID_NONE ? inner->id : (uint32_t)TAG_NOTHING;
    return relate(t, outer->id, tag, difference((uint64_t)inner->delta, (uint64_t)outer->delta));
}

// A pointer that may be null is covered whether the inner one is null, is not, or may be.
static bool null_entails(struct packed_scratch *t, const struct value *outer, const struct value *inner)
{
    if (value_is_zero(inner)) {
        return relate(t, outer->id, TAG_CONST, 0);
    }
    if (inner->kind != outer->kind || inner->map != outer->map || inner->off != 0 || !value_is_fixed(inner)) {
        return false;
    }
    return relate(t, outer->id, inner->maybe_null ? inner->id : (uint32_t)TAG_NOT_NULL, 0);
}

// The range that the outer packet pointer promises must hold in the inner state: N_outer = N_inner + shift.
static bool range_entails(const struct value *outer, const struct value *inner, int32_t inner_length,
                          int64_t shift)
{
    int64_t known = (int64_t)inner_length - inner->num.smax;
    if (inner->id != VALUE_ID_NONE && inner->range > known) {
        known = inner->range;
    }
    return outer->range <= known - shift;
}

static bool pointer_entails(struct packed_scratch *t, const struct value *outer, const struct value *inner,
                            int32_t inner_length)
{
    if (inner->kind != outer->kind || inner->maybe_null || inner->map != outer->map ||
        inner->frame != outer->frame) {
        return false;
    }
    int64_t shift = (int64_t)inner->off - outer->off;
    struct scalar moved = inner->num, by;
    scalar_set_const(&by, (uint64_t)shift);
    scalar_alu(SEM_ADD, 64, &moved, &by);
    if (!scalar_includes(&outer->num, &moved)) {
        return false;
    }
    if (outer->id == VALUE_ID_NONE) {
        return true;
    }
    if (outer->kind == VALUE_PACKET && !range_entails(outer, inner, inner_length, shift)) {
        return false;
    }
    if (scalar_is_const(&moved)) {
        return relate(t, outer->id, TAG_CONST, moved.smin);
    }
    return relate(t, outer->id, inner->id, shift);
}

static bool value_entails(struct packed_scratch *t, const struct value *outer, const struct value *inner,
                          int32_t inner_length)
{
    if (outer->width != inner->width) {
        return false;
    }
    if (outer->kind == VALUE_SCALAR) {
        return scalar_entails(t, outer, inner);
    }
    return outer->maybe_null ? null_entails(t, outer, inner) : pointer_entails(t, outer, inner, inner_length);
}

static bool frames_entail(const struct packed *outer, const struct packed *inner)
{
    for (uint32_t f = 0; f < outer->frame_count; f++) {
        const struct packed_frame *a = &frames_of(outer)[f], *b = &frames_of(inner)[f];
        if (a->return_pc != b->return_pc) {
            return false;
        }
        for (uint32_t w = 0; w < ARRAY_SIZE(a->init); w++) {
            if ((a->init[w] & ~b->init[w]) != 0) {
                return false;
            }
        }
    }
    return true;
}

bool packed_entails(struct packed_scratch *t, const struct packed *outer, const struct packed *inner)
{
    if (outer->frame_count != inner->frame_count || outer->packet_length > inner->packet_length ||
        outer->meta_length > inner->meta_length || outer->entry_count > inner->entry_count ||
        !frames_entail(outer, inner)) {
        return false;
    }
    next_stamp(t);
    const struct packed_entry *a = first_entry(outer), *b = first_entry(inner);
    uint32_t left = inner->entry_count;
    for (uint32_t i = 0; i < outer->entry_count; i++) {
        struct value x, y = {0};
        uint16_t loc = a->loc;
        a = read_entry(a, &x);
        uint16_t found = UINT16_MAX;
        while (left > 0 && b->loc <= loc) {
            found = b->loc;
            b = read_entry(b, &y);
            left--;
        }
        if (found != loc || !value_entails(t, &x, &y, inner->packet_length)) {
            return false;
        }
    }
    return true;
}
