// SPDX-License-Identifier: MIT
// distance: how much a join of two packed states would lose, and keys of states that lose little.
#include "verifier/join.h"

// Weights of what is lost. They were chosen on public programs; with 64 states kept apart they hardly matter.
enum {
    LOST_KIND = 100,
    LOST_VALUE = 60,
    LOST_NULL = 40,
    LOST_BYTES = 30,
    LOST_PACKET = 20,
    LOST_TESTED = 6,
    LOST_IDENTITY = 3,
    LOST_OFFSET = 2,
    LOST_NUMBER = 1,
};
// What counts as important: 1 is a constant that a branch tests; more of the others, so that one is enough to
// keep states apart.
enum { IMPORTANT_TESTED = 1, IMPORTANT_FACT = 2, IMPORTANT_SHAPE = 4 };

enum { MAX_CHANGES = 16 };

// A pair of tested numbers, as ends of an identity: the same change in another place is not counted again.
struct change {
    uint32_t a, b;
    int64_t by;
};

struct measure {
    const struct join_hints *hints;
    int distance, important;
    struct change changes[MAX_CHANGES];
    uint32_t change_count;
};

static void lose(struct measure *m, int weight, int important)
{
    m->distance += weight;
    m->important += important;
}

static bool is_tested(const struct join_hints *hints, uint32_t loc)
{
    if (loc < STATE_LOC_SAVED) {
        return (hints->tested.regs >> loc & 1) != 0;
    }
    if (loc < STATE_LOC_LOOPS) {
        loc -= STATE_LOC_SAVED;
        return (hints->tested.saved[loc / STATE_SAVED] >> (6 + loc % STATE_SAVED) & 1) != 0;
    }
    if (loc < STATE_LOC_CELLS) {
        return loc < STATE_LOC_SPANS && hints->loops;
    }
    loc -= STATE_LOC_CELLS;
    uint32_t c = loc % STATE_CELL_COUNT;
    return (hints->tested.cells[loc / STATE_CELL_COUNT][c / 64] >> (c % 64) & 1) != 0;
}

// Pointers whose offsets may differ. Those of the context tell which field is meant.
static bool may_vary(const struct packed_entry *e)
{
    return value_may_vary(e->kind) && e->kind != VALUE_CTX;
}

// A fixed pointer to one of several things in the same memory: its offset tells which.
static bool tells_offset(const struct packed_entry *e)
{
    uint64_t number;
    return (e->kind == VALUE_STACK || e->kind == VALUE_MAP_VALUE || e->kind == VALUE_MEM) &&
           packed_is_const(e, &number) && number == 0;
}

// Which number it is: a constant or member of a class, and how far from it.
static uint32_t end_of(const struct packed_entry *e, int64_t *delta)
{
    uint64_t number;
    if (packed_is_const(e, &number)) {
        *delta = (int64_t)number + e->off;
        return PACKED_CONST;
    }
    *delta = packed_delta(e) + e->off;
    return e->id;
}

static bool is_new_change(struct measure *m, const struct packed_entry *x, const struct packed_entry *y)
{
    int64_t delta_x, delta_y;
    struct change c = {end_of(x, &delta_x), end_of(y, &delta_y), 0};
    c.by = (int64_t)((uint64_t)delta_x - (uint64_t)delta_y);
    for (uint32_t i = 0; i < m->change_count && c.a != VALUE_ID_NONE && c.b != VALUE_ID_NONE; i++) {
        if (m->changes[i].a == c.a && m->changes[i].b == c.b && m->changes[i].by == c.by) {
            return false;
        }
    }
    if (m->change_count < MAX_CHANGES) {
        m->changes[m->change_count++] = c;
    }
    return true;
}

static bool same_bounds(const struct scalar *x, const struct scalar *y)
{
    return x->umin == y->umin && x->umax == y->umax;
}

// A comparison with one number can tell the two apart. (Bits alone tell too many apart.)
static bool are_apart(const struct scalar *x, const struct scalar *y)
{
    return scalar_is_const(x) || scalar_is_const(y) || x->umax < y->umin || y->umax < x->umin ||
           x->smax < y->smin || y->smax < x->smin || x->wmax < y->wmin || y->wmax < x->wmin ||
           x->xmax < y->xmin || y->xmax < x->xmin;
}

static void measure_numbers(struct measure *m, const struct packed_entry *x, const struct packed_entry *y)
{
    struct scalar space_x, space_y;
    const struct scalar *a = packed_number(x, &space_x), *b = packed_number(y, &space_y);
    if (a == b || scalar_includes(a, b) || scalar_includes(b, a)) {
        if (!same_bounds(a, b)) {
            lose(m, LOST_NUMBER, 0);
        }
    } else if (!is_tested(m->hints, x->loc) || !are_apart(a, b)) {
        lose(m, LOST_NUMBER, 0);
    } else if (x->loc >= STATE_LOC_LOOPS && x->loc < STATE_LOC_SPANS) {
        lose(m, LOST_TESTED, IMPORTANT_FACT); // turns that are kept apart
    } else if (is_new_change(m, x, y)) {
        lose(m, LOST_TESTED, IMPORTANT_TESTED);
    }
}

static void measure_packet(struct measure *m, const struct packed_entry *x, const struct packed_entry *y)
{
    if ((x->id != VALUE_ID_NONE) != (y->id != VALUE_ID_NONE)) {
        lose(m, LOST_IDENTITY, 0);
    } else if (x->id != VALUE_ID_NONE && x->range - x->off != y->range - y->off) {
        lose(m, LOST_PACKET, IMPORTANT_FACT);
    }
}

static void measure_pointers(struct measure *m, const struct packed_entry *x, const struct packed_entry *y)
{
    if (x->map != y->map || x->frame != y->frame || x->flags != y->flags) {
        lose(m, LOST_KIND, IMPORTANT_SHAPE);
    }
    if (x->off != y->off) {
        bool moves = may_vary(x);
        bool tells = m->hints->offsets && tells_offset(x) && tells_offset(y) && is_new_change(m, x, y);
        lose(m, moves ? LOST_OFFSET + tells * LOST_TESTED : LOST_KIND,
             moves ? tells * IMPORTANT_FACT : IMPORTANT_SHAPE);
    }
    if (x->kind == VALUE_PACKET) {
        measure_packet(m, x, y);
    }
}

static bool is_null(const struct packed_entry *e)
{
    uint64_t number;
    return e->kind == VALUE_SCALAR && packed_is_const(e, &number) && number == 0;
}

// The number in a stack cell is forgotten; its bytes stay initialised, which is compared as a whole.
static void lose_cell(struct measure *m, const struct packed_entry *e)
{
    uint64_t number;
    bool tested = packed_is_const(e, &number) && is_tested(m->hints, e->loc);
    lose(m, tested ? LOST_TESTED : LOST_NUMBER, tested ? IMPORTANT_TESTED : 0);
}

static bool is_number_cell(const struct packed_entry *e)
{
    return e->kind == VALUE_SCALAR && e->loc >= STATE_LOC_CELLS;
}

static void measure_entry(struct measure *m, const struct packed_entry *x, const struct packed_entry *y)
{
    if (x->width != y->width && is_number_cell(x) && is_number_cell(y)) {
        lose_cell(m, x);
        lose_cell(m, y);
    } else if (x->kind != y->kind || x->width != y->width) {
        bool null = (is_null(x) && value_may_be_null(y->kind)) || (is_null(y) && value_may_be_null(x->kind));
        lose(m, null ? LOST_NULL : LOST_KIND, null ? IMPORTANT_FACT : IMPORTANT_SHAPE);
    } else if (x->maybe_null != y->maybe_null) {
        lose(m, LOST_NULL, IMPORTANT_FACT);
    } else if (x->kind == VALUE_SCALAR) {
        measure_numbers(m, x, y);
    } else {
        measure_pointers(m, x, y);
    }
}

// The end of a span, and a counter, come and go without harm.
static void measure_missing(struct measure *m, const struct packed_entry *e)
{
    if (is_number_cell(e)) {
        lose_cell(m, e);
    } else if (e->loc < STATE_LOC_LOOPS || e->loc >= STATE_LOC_CELLS) {
        lose(m, LOST_VALUE, IMPORTANT_SHAPE);
    }
}

static void measure_entries(struct measure *m, const struct packed *a, const struct packed *b)
{
    const struct packed_entry *x = packed_first(a), *y = packed_first(b);
    uint32_t left_x = a->entry_count, left_y = b->entry_count;
    while (left_x > 0 || left_y > 0) {
        bool take_x = left_x > 0 && (left_y == 0 || x->loc <= y->loc);
        bool take_y = left_y > 0 && (left_x == 0 || y->loc <= x->loc);
        if (take_x && take_y) {
            measure_entry(m, x, y);
        } else {
            measure_missing(m, take_x ? x : y);
        }
        x = take_x ? packed_next(x) : x;
        y = take_y ? packed_next(y) : y;
        left_x -= take_x;
        left_y -= take_y;
    }
}

static bool may_join(const struct packed *a, const struct packed *b)
{
    if (a->frame_count != b->frame_count || a->ref_count != b->ref_count || a->lock_map != b->lock_map ||
        (a->lock_ref != 0) != (b->lock_ref != 0) || a->rcu_depth != b->rcu_depth ||
        a->preempt_depth != b->preempt_depth) {
        return false;
    }
    for (uint32_t f = 0; f < a->frame_count; f++) {
        if (packed_frames(a)[f].return_pc != packed_frames(b)[f].return_pc) {
            return false;
        }
    }
    return true;
}

static void measure_facts(struct measure *m, const struct packed *a, const struct packed *b)
{
    if (a->packet_length != b->packet_length) {
        lose(m, LOST_PACKET, IMPORTANT_FACT);
    }
    if (a->packet_changed != b->packet_changed) {
        lose(m, LOST_KIND, IMPORTANT_SHAPE);
    }
    for (uint32_t f = 0; f < a->frame_count; f++) {
        if (memcmp(packed_frames(a)[f].init, packed_frames(b)[f].init, sizeof(packed_frames(a)[f].init)) !=
            0) {
            lose(m, LOST_BYTES, IMPORTANT_SHAPE);
        }
    }
}

int join_distance(const struct packed *a, const struct packed *b, const struct join_hints *hints,
                  int *important)
{
    struct measure m = {.hints = hints};
    *important = IMPORTANT_SHAPE;
    if (!may_join(a, b)) {
        return JOIN_IMPOSSIBLE;
    }
    measure_facts(&m, a, b);
    measure_entries(&m, a, b);
    *important = m.important;
    return m.distance;
}

static uint64_t mix(uint64_t hash, uint64_t number)
{
    hash = (hash ^ number) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

uint64_t join_key(const struct packed *p, const struct join_hints *hints)
{
    uint64_t hash = mix(p->frame_count, p->ref_count), number;
    hash = mix(hash, (uint64_t)p->lock_map << 32 | (uint64_t)p->rcu_depth << 16 | p->preempt_depth);
    hash = mix(hash, (uint64_t)(p->lock_ref != 0) << 1 | p->packet_changed);
    for (uint32_t f = 0; f < p->frame_count; f++) {
        for (uint32_t w = 0; w < ARRAY_SIZE(packed_frames(p)[f].init); w++) {
            hash = mix(hash, packed_frames(p)[f].init[w]);
        }
    }
    const struct packed_entry *e = packed_first(p);
    for (uint32_t i = 0; i < p->entry_count; i++, e = packed_next(e)) {
        if (e->loc >= STATE_LOC_SPANS && e->loc < STATE_LOC_CELLS) {
            continue;
        }
        if (is_number_cell(e) && (!is_tested(hints, e->loc) || !packed_is_const(e, &number))) {
            continue;
        }
        hash = mix(hash, (uint64_t)e->loc << 16 | (uint64_t)e->kind << 8 | e->maybe_null);
        if (e->kind != VALUE_SCALAR) {
            hash = mix(hash, (uint64_t)e->map << 32 | (uint64_t)e->frame << 16 | e->flags);
            bool tells = !may_vary(e) || (hints->offsets && tells_offset(e));
            hash = mix(hash, tells ? (uint32_t)e->off : 0);
        } else if (is_tested(hints, e->loc) && packed_is_const(e, &number)) {
            hash = mix(hash, number + 77);
        }
    }
    return hash;
}
