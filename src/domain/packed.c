// SPDX-License-Identifier: MIT
// packed: states to packed states and back. Entailment is in entail.c.
#include "domain/packed.h"

// Forms of a number: by its words, or one of those that are frequent.
enum {
    NUM_ZERO,
    NUM_CONST,
    NUM_UNKNOWN,
    NUM_BYTE,
    NUM_HALF,
    NUM_WORD,
    NUM_FULL,
    NUM_MASK = 7,
    NUM_DELTA = 8
};

static const struct scalar frequent[] = {
    [NUM_UNKNOWN] = {0, UINT64_MAX, INT64_MIN, INT64_MAX, 0, UINT32_MAX, INT32_MIN, INT32_MAX, 0, UINT64_MAX},
    [NUM_BYTE] = {0, UINT8_MAX, 0, UINT8_MAX, 0, UINT8_MAX, 0, UINT8_MAX, 0, UINT8_MAX},
    [NUM_HALF] = {0, UINT16_MAX, 0, UINT16_MAX, 0, UINT16_MAX, 0, UINT16_MAX, 0, UINT16_MAX},
    [NUM_WORD] = {0, UINT32_MAX, 0, UINT32_MAX, 0, UINT32_MAX, INT32_MIN, INT32_MAX, 0, UINT32_MAX},
};

_Static_assert(sizeof(struct value) == 104, "the size that the memory figures assume");
_Static_assert(sizeof(struct packed) % 8 == 0 && sizeof(struct packed_frame) % 8 == 0 &&
                   sizeof(struct packed_ref) == 16 && sizeof(struct packed_sum) == 24 &&
                   sizeof(struct state_bound) == 16 && sizeof(struct packed_entry) == 32 &&
                   sizeof(struct scalar) == 64,
               "everything in a packed state is 8-byte aligned and has no padding");
_Static_assert(sizeof(struct packed) + INSN_MAX_FRAMES * sizeof(struct packed_frame) +
                       STATE_MAX_REFS * sizeof(struct packed_ref) +
                       STATE_MAX_SUMS * sizeof(struct packed_sum) +
                       STATE_MAX_BOUNDS * sizeof(struct state_bound) +
                       STATE_LOC_END * (sizeof(struct packed_entry) + 8 + sizeof(struct scalar)) <=
                   sizeof(((struct packed_scratch *)0)->buffer),
               "the largest state fits");

// --- identities ----------------------------------------------------------------------------------

// Identity that takes part in relations; constants carry none.
static uint32_t class_of(const struct value *v)
{
    return scalar_is_const(&v->num) && !v->maybe_null ? VALUE_ID_NONE : v->id;
}

#define REF_KEY 0x80000000u // references are numbers of their own

static uint32_t find_slot(struct packed_scratch *t, uint32_t id)
{
    uint32_t slot = id * 2654435761u >> 20;
    _Static_assert(PACKED_SLOTS == 1u << 12, "the slots that the hash reaches");
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

void packed_reset(struct packed_scratch *t)
{
    t->pair_count = 0;
    if (++t->stamp == 0) {
        memset(t->slot_stamp, 0, sizeof(t->slot_stamp));
        memset(t->class_stamp, 0, sizeof(t->class_stamp));
        memset(t->ref_to_stamp, 0, sizeof(t->ref_to_stamp));
        memset(t->ref_from_stamp, 0, sizeof(t->ref_from_stamp));
        for (uint32_t i = 0; i < PACKED_SLOTS; i++) {
            t->pairs[i].stamp = 0;
        }
        t->stamp = 1;
    }
}

static bool is_span_live(const struct packed_live *live, const struct state_frame *f, uint32_t frame)
{
    uint32_t c = f->span.from / 4;
    uint64_t here = live->cells[frame][c / 64] >> (c % 64);
    return here != 0 || (c < 64 && live->cells[frame][1] != 0);
}

static bool is_live(const struct packed_live *live, const struct domain_state *s, uint32_t loc)
{
    if (live == NULL) {
        return true;
    }
    if (loc < STATE_LOC_SAVED) {
        return (live->regs >> loc & 1) != 0;
    }
    if (loc < STATE_LOC_LOOPS) {
        loc -= STATE_LOC_SAVED;
        return (live->saved[loc / STATE_SAVED] >> (6 + loc % STATE_SAVED) & 1) != 0;
    }
    if (loc < STATE_LOC_SPANS) {
        return true;
    }
    if (loc < STATE_LOC_CELLS) {
        return is_span_live(live, &s->frames[loc - STATE_LOC_SPANS], loc - STATE_LOC_SPANS);
    }
    loc -= STATE_LOC_CELLS;
    const uint64_t *cells = live->cells[loc / STATE_CELL_COUNT];
    uint32_t c = loc % STATE_CELL_COUNT;
    // An 8-byte cell is in the even half; one live half keeps it.
    uint64_t halves = c % 2 == 0 ? 3 : 1;
    return (cells[c / 64] >> (c % 64) & halves) != 0;
}

// What becomes of the packet's lengths, of rows and of identities depends on who uses them.
static bool count_uses(struct packed_scratch *t, const struct domain_state *s, const struct packed_live *live)
{
    bool packet = live == NULL || live->keep_packet;
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value((struct domain_state *)s, loc);
        if (!is_live(live, s, loc)) {
            continue;
        }
        uint32_t id = class_of(v);
        if (id != VALUE_ID_NONE) {
            t->slot_uses[find_slot(t, id)]++;
        }
        packet = packet || v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_END ||
                 v->kind == VALUE_PACKET_META || id == VALUE_ID_LENGTH;
    }
    if (packet) {
        t->slot_uses[find_slot(t, VALUE_ID_LENGTH)]++;
    }
    return packet;
}

static bool is_used(struct packed_scratch *t, uint32_t id)
{
    return id != VALUE_ID_NONE && t->slot_uses[find_slot(t, id)] != 0;
}

static void keep_id(struct packed_scratch *t, uint32_t id)
{
    t->slot_uses[find_slot(t, id)] += 2;
}

// A row keeps the identities that it relates, and nothing alive.
static bool sum_is_useful(struct packed_scratch *t, const struct state_sum *row)
{
    return is_used(t, row->left) && is_used(t, row->right) && (row->max != INT64_MAX || is_used(t, row->sum));
}

static bool bound_is_useful(struct packed_scratch *t, const struct state_bound *row)
{
    return is_used(t, row->low) && is_used(t, row->high);
}

static void count_rows(struct packed_scratch *t, const struct domain_state *s)
{
    for (uint32_t i = 0; i < s->sum_count; i++) {
        const struct state_sum *row = &s->sums[i];
        if (sum_is_useful(t, row)) {
            keep_id(t, row->left);
            keep_id(t, row->right);
            if (is_used(t, row->sum)) {
                keep_id(t, row->sum);
            }
        }
    }
    for (uint32_t i = 0; i < s->bound_count; i++) {
        if (bound_is_useful(t, &s->bounds[i])) {
            keep_id(t, s->bounds[i].low);
            keep_id(t, s->bounds[i].high);
        }
    }
}

static uint32_t number_slot(struct packed_scratch *t, uint32_t slot, uint32_t *count)
{
    if (t->slot_canonical[slot] == VALUE_ID_NONE) {
        t->slot_canonical[slot] = VALUE_ID_FIRST + (*count)++;
    }
    return t->slot_canonical[slot];
}

// The identity that `v` has in the packed state; one that relates nothing is dropped.
static uint32_t canonical_id(struct packed_scratch *t, const struct value *v, uint32_t *count)
{
    uint32_t id = class_of(v);
    if (id == VALUE_ID_NONE || id == VALUE_ID_LENGTH) {
        return id;
    }
    uint32_t slot = find_slot(t, id);
    if (t->slot_uses[slot] < 2 && !v->maybe_null && v->kind != VALUE_PACKET) {
        return VALUE_ID_NONE;
    }
    return number_slot(t, slot, count);
}

static uint32_t canonical_ref(struct packed_scratch *t, uint32_t ref, uint32_t *count)
{
    return ref < VALUE_ID_FIRST ? ref : number_slot(t, find_slot(t, ref | REF_KEY), count);
}

// The number that an identity got; rows speak of such only.
static uint32_t given_id(struct packed_scratch *t, uint32_t id)
{
    return id == VALUE_ID_NONE || id == VALUE_ID_LENGTH ? id : t->slot_canonical[find_slot(t, id)];
}

// --- packing -------------------------------------------------------------------------------------

// Chooses the form of the number of `v`; writes the words that it needs.
static uint32_t write_number(const struct value *v, uint32_t id, uint64_t *at, uint8_t *form)
{
    uint32_t words = 0;
    const struct scalar *n = &v->num;
    uint8_t wide = n->umax == UINT8_MAX    ? NUM_BYTE
                   : n->umax == UINT16_MAX ? NUM_HALF
                   : n->umax == UINT32_MAX ? NUM_WORD
                                           : NUM_UNKNOWN;
    if (scalar_is_const(n)) {
        *form = n->umin == 0 ? NUM_ZERO : NUM_CONST;
        if (n->umin != 0) {
            at[words++] = n->umin;
        }
    } else if (n->umin == 0 && memcmp(n, &frequent[wide], sizeof(*n)) == 0) {
        *form = wide;
    } else {
        *form = NUM_FULL;
        memcpy(at, n, sizeof(*n));
        words = sizeof(*n) / 8;
    }
    if (id != VALUE_ID_NONE && v->delta != 0) {
        *form |= NUM_DELTA;
        memcpy(&at[words++], &v->delta, sizeof(v->delta));
    }
    return words;
}

static uint32_t write_entry(const struct value *v, uint32_t loc, uint32_t id, uint32_t ref, uint64_t *at)
{
    struct packed_entry e;
    e.loc = (uint16_t)loc;
    e.kind = v->kind;
    e.maybe_null = v->maybe_null;
    e.frame = v->frame;
    e.width = v->width;
    e.map = v->map;
    e.off = v->off;
    e.id = id;
    e.range = v->kind != VALUE_PACKET ? (int32_t)v->size : id != VALUE_ID_NONE ? v->range : 0;
    e.cf = id != VALUE_ID_NONE ? v->cf : 0;
    e.ref = ref;
    e.flags = v->flags;
    e.words = (uint8_t)write_number(v, id, at + sizeof(e) / 8, &e.form);
    memcpy(at, &e, sizeof(e));
    return sizeof(e) / 8 + e.words;
}

// Bytes of the cells of `live`; the halves of an 8-byte cell live and die together.
static uint64_t live_bytes(const uint64_t cells[STATE_CELL_COUNT / 64], uint32_t word)
{
    uint64_t bytes = 0;
    for (uint32_t pair = 0; pair < 8; pair++) {
        uint32_t c = word * 16 + pair * 2;
        if ((cells[c / 64] >> (c % 64) & 3) != 0) {
            bytes |= (uint64_t)0xff << (pair * 8);
        }
    }
    return bytes;
}

static uint32_t write_frames(const struct domain_state *s, const struct packed_live *live, uint64_t *at)
{
    for (uint32_t f = 0; f < s->frame_count; f++) {
        const struct state_frame *frame = &s->frames[f];
        struct packed_frame out;
        memcpy(out.init, frame->init, sizeof(out.init));
        for (uint32_t w = 0; live != NULL && w < ARRAY_SIZE(out.init); w++) {
            out.init[w] &= out.init[w] != 0 ? live_bytes(live->cells[f], w) : 0;
        }
        out.return_pc = f + 1 < s->frame_count ? frame->return_pc : 0;
        out.span_from = frame->span.end.kind != VALUE_NOT_INIT && is_live(live, s, STATE_LOC_SPANS + f)
                            ? frame->span.from
                            : 0;
        memcpy(at + f * sizeof(out) / 8, &out, sizeof(out));
    }
    return s->frame_count * (uint32_t)sizeof(struct packed_frame) / 8;
}

// Writes the references at `at`, sorted by their new numbers.
static void write_refs(struct packed_scratch *t, const struct domain_state *s, uint32_t *count, uint64_t *at)
{
    for (uint32_t i = 0; i < s->ref_count; i++) {
        const struct state_ref *r = &s->refs[i];
        struct packed_ref row = {canonical_ref(t, r->ref, count), r->pc, r->kind, r->detail, {0}}, other;
        uint32_t j = i;
        for (; j > 0; j--) {
            memcpy(&other, at + (j - 1) * sizeof(other) / 8, sizeof(other));
            if (other.ref < row.ref) {
                break;
            }
            memcpy(at + j * sizeof(other) / 8, &other, sizeof(other));
        }
        memcpy(at + j * sizeof(row) / 8, &row, sizeof(row));
    }
}

static void write_sums(struct packed_scratch *t, const struct domain_state *s, uint64_t *at)
{
    for (uint32_t i = 0; i < s->sum_count; i++) {
        const struct state_sum *row = &s->sums[i];
        if (sum_is_useful(t, row)) {
            struct packed_sum out = {given_id(t, row->left), given_id(t, row->right),
                                     is_used(t, row->sum) ? given_id(t, row->sum) : VALUE_ID_NONE, 0,
                                     row->max};
            memcpy(at, &out, sizeof(out));
            at += sizeof(out) / 8;
        }
    }
}

static void write_bounds(struct packed_scratch *t, const struct domain_state *s, uint64_t *at)
{
    for (uint32_t i = 0; i < s->bound_count; i++) {
        const struct state_bound *row = &s->bounds[i];
        if (bound_is_useful(t, row)) {
            struct state_bound out = {given_id(t, row->low), given_id(t, row->high), row->delta};
            memcpy(at, &out, sizeof(out));
            at += sizeof(out) / 8;
        }
    }
}

static void count_parts(struct packed_scratch *t, const struct domain_state *s, struct packed *head)
{
    head->ref_count = (uint8_t)s->ref_count;
    for (uint32_t i = 0; i < s->sum_count; i++) {
        head->sum_count = (uint8_t)(head->sum_count + sum_is_useful(t, &s->sums[i]));
    }
    for (uint32_t i = 0; i < s->bound_count; i++) {
        head->bound_count = (uint8_t)(head->bound_count + bound_is_useful(t, &s->bounds[i]));
    }
}

const struct packed *packed_make(struct packed_scratch *t, const struct domain_state *s,
                                 const struct packed_live *live)
{
    struct packed head = {.frame_count = s->frame_count};
    packed_reset(t);
    bool packet = count_uses(t, s, live);
    count_rows(t, s);
    count_parts(t, s, &head);
    uint32_t words = sizeof(head) / 8;
    words += write_frames(s, live, t->buffer + words);
    uint64_t *refs = t->buffer + words, *sums = refs + head.ref_count * sizeof(struct packed_ref) / 8;
    uint64_t *bounds = sums + head.sum_count * sizeof(struct packed_sum) / 8;
    uint64_t *entry = bounds + head.bound_count * sizeof(struct state_bound) / 8;
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value((struct domain_state *)s, loc);
        if (is_live(live, s, loc)) {
            uint32_t id = canonical_id(t, v, &head.id_count);
            entry += write_entry(v, loc, id, canonical_ref(t, v->ref, &head.ref_id_count), entry);
            head.entry_count++;
        }
    }
    head.lock_ref = canonical_ref(t, s->lock_ref, &head.ref_id_count);
    write_refs(t, s, &head.ref_id_count, refs);
    write_sums(t, s, sums);
    write_bounds(t, s, bounds);
    head.size = (uint32_t)((size_t)(entry - t->buffer) * 8);
    head.packet_length = packet ? s->packet_length : 0;
    head.meta_length = packet ? s->meta_length : 0;
    head.lock_map = s->lock_map;
    head.rcu_depth = s->rcu_depth;
    head.preempt_depth = s->preempt_depth;
    head.packet_changed = s->packet_changed;
    memcpy(t->buffer, &head, sizeof(head));
    return (const struct packed *)t->buffer;
}

// --- reading -------------------------------------------------------------------------------------

const struct scalar *packed_number(const struct packed_entry *e, struct scalar *space)
{
    switch (e->form & NUM_MASK) {
    case NUM_ZERO: scalar_set_const(space, 0); return space;
    case NUM_CONST: scalar_set_const(space, *(const uint64_t *)(e + 1)); return space;
    case NUM_FULL: return (const struct scalar *)(const void *)(e + 1);
    default: return &frequent[e->form & NUM_MASK];
    }
}

int64_t packed_delta(const struct packed_entry *e)
{
    return (e->form & NUM_DELTA) != 0 ? (int64_t)((const uint64_t *)(e + 1))[e->words - 1] : 0;
}

bool packed_is_const(const struct packed_entry *e, uint64_t *number)
{
    uint32_t form = e->form & NUM_MASK;
    if (form != NUM_ZERO && form != NUM_CONST) {
        return false;
    }
    *number = form == NUM_ZERO ? 0 : *(const uint64_t *)(e + 1);
    return true;
}

void packed_value(const struct packed_entry *e, struct value *out)
{
    bool packet = e->kind == VALUE_PACKET;
    out->kind = e->kind;
    out->maybe_null = e->maybe_null;
    out->frame = e->frame;
    out->width = e->width;
    out->map = e->map;
    out->flags = e->flags;
    out->off = e->off;
    out->id = e->id;
    out->range = packet ? e->range : 0;
    out->cf = e->cf;
    out->delta = packed_delta(e);
    out->ref = e->ref;
    out->size = packet ? 0 : (uint32_t)e->range;
    const struct scalar *num = packed_number(e, &out->num);
    if (num != &out->num) {
        out->num = *num;
    }
}

void packed_number_of(const struct packed *p, uint32_t id, struct scalar *out)
{
    struct scalar n, space, by;
    scalar_set_unknown(out);
    if (id == VALUE_ID_LENGTH) {
        scalar_set_urange(out, (uint64_t)min_u32((uint32_t)p->packet_length, VALUE_MAX_LENGTH),
                          VALUE_MAX_LENGTH);
    }
    const struct packed_entry *e = packed_first(p);
    for (uint32_t i = 0; i < p->entry_count; i++, e = packed_next(e)) {
        if (e->id != id || e->maybe_null || (e->cf != 1 && e->cf != -1)) {
            continue;
        }
        n = *packed_number(e, &space);
        scalar_set_const(&by, (uint64_t)packed_delta(e));
        scalar_alu(SEM_SUB, 64, &n, &by);
        if (e->cf == -1) {
            scalar_alu(SEM_NEG, 64, &n, &n);
        }
        struct scalar both = *out;
        if (scalar_meet(&both, &n)) {
            *out = both;
        }
    }
}

uint32_t packed_init_run(const struct packed *p, uint32_t frame, uint32_t from)
{
    const uint64_t *init = packed_frames(p)[frame].init;
    uint32_t end = from, limit = INSN_STACK_SIZE, first = state_loc_cell(frame, 0);
    const struct packed_entry *e = packed_first(p);
    for (uint32_t i = 0; i < p->entry_count; i++, e = packed_next(e)) {
        uint32_t at = (e->loc - first) * 4;
        if (e->loc >= first && e->loc < first + STATE_CELL_COUNT && e->kind != VALUE_SCALAR &&
            at + 8 > from) {
            limit = min_u32(limit, at);
        }
    }
    while (end < limit && (init[end / 64] >> (end % 64) & 1) != 0) {
        end++;
    }
    return end - from;
}

static void unpack_rows(const struct packed *p, struct domain_state *s)
{
    s->ref_count = p->ref_count;
    for (uint32_t i = 0; i < p->ref_count; i++) {
        const struct packed_ref *r = &packed_refs(p)[i];
        s->refs[i] = (struct state_ref){.ref = r->ref, .pc = r->pc, .kind = r->kind, .detail = r->detail};
    }
    s->sum_count = p->sum_count;
    for (uint32_t i = 0; i < p->sum_count; i++) {
        const struct packed_sum *r = &packed_sums(p)[i];
        s->sums[i] = (struct state_sum){.left = r->left, .right = r->right, .sum = r->sum, .max = r->max};
    }
    s->bound_count = p->bound_count;
    memcpy(s->bounds, packed_bounds(p), p->bound_count * sizeof(s->bounds[0]));
}

void packed_unpack(const struct packed *p, struct domain_state *s)
{
    memset(s->regs, 0, sizeof(s->regs));
    for (uint32_t f = 0; f < p->frame_count; f++) {
        struct state_frame *frame = &s->frames[f];
        memset(frame, 0, offsetof(struct state_frame, loops));
        memcpy(frame->init, packed_frames(p)[f].init, sizeof(frame->init));
        frame->return_pc = packed_frames(p)[f].return_pc;
        frame->span.from = packed_frames(p)[f].span_from;
        frame->span.end.kind = VALUE_NOT_INIT;
    }
    s->frame_count = p->frame_count;
    s->packet_length = p->packet_length;
    s->meta_length = p->meta_length;
    s->next_id = VALUE_ID_FIRST + (p->id_count > p->ref_id_count ? p->id_count : p->ref_id_count);
    s->lock_ref = p->lock_ref;
    s->lock_map = p->lock_map;
    s->rcu_depth = p->rcu_depth;
    s->preempt_depth = p->preempt_depth;
    s->packet_changed = p->packet_changed != 0;
    s->shifted.kind = VALUE_NOT_INIT;
    unpack_rows(p, s);
    const struct packed_entry *e = packed_first(p);
    for (uint32_t i = 0; i < p->entry_count; i++, e = packed_next(e)) {
        packed_value(e, state_value(s, e->loc));
        state_set_present(s, e->loc, true);
    }
    value_set_pointer(&s->regs[10], VALUE_STACK, 0);
    s->regs[10].frame = (uint8_t)(p->frame_count - 1);
}
