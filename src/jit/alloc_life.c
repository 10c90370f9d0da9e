// SPDX-License-Identifier: MIT
// alloc_life: which values are live at the starts of blocks. Without loops one walk over the blocks finds it,
// from the last to the first: what is live behind a block is known when the walk comes to it. With loops
// each value is followed from its uses in other blocks up to its definition.
#include "jit/alloc.h"

#define A_BLOCK  64 // values live at the start of a block, on average; more only in made-up programs
#define AT_LEAST 4096
#define A_CHUNK  64 // records that are allocated at a time, at most

// How many values may be live at the starts of all blocks together.
static uint32_t lives_max(const struct alloc *a)
{
    return AT_LEAST + A_BLOCK * a->ir->order_count;
}

static uint32_t chunk(const struct alloc *a)
{
    return min_u32(2 + a->value_count / 16, A_CHUNK) & ~1u; // rooms that follow each other are one
}

// --- without loops -------------------------------------------------------------------------------

struct sweep {
    struct alloc *a;
    uint32_t count, room; // of alloc.lives
};

// One block.
struct front {
    struct alloc_value *values;
    uint32_t *lives;        // alloc.lives
    uint32_t count;         // of those so far
    uint32_t mark;          // alloc_value.seen of what was seen
    uint32_t first, length; // the block's first value, and how many it has
};

// The value is read in the block, or live behind it. No branches: nobody can tell whether that is new.
static inline void add_live(struct front *f, uint32_t n)
{
    struct alloc_value *value = &f->values[n];
    bool is_new = (n < f->first) & (value->seen != f->mark);
    value->seen = f->mark;
    value->length += alloc_if(is_new, f->length);
    f->lives[f->count] = n;
    f->count += is_new;
}

// The same, unless the value is made anew.
static inline void add_use(struct front *f, uint32_t n)
{
    struct alloc_value *value = &f->values[n];
    bool is_new = (value->kind != ALLOC_ABSENT) & (n < f->first) & (value->seen != f->mark);
    value->seen = f->mark;
    value->length += alloc_if(is_new, f->length);
    f->lives[f->count] = n;
    f->count += is_new;
}

ALLOC_RARE static bool grow(struct sweep *s, uint32_t count)
{
    uint32_t more = (count + 2 + chunk(s->a)) & ~1u;
    s->room += more;
    return jit_room(s->a->j, more, sizeof *s->a->lives) != NULL;
}

// Behind `count` lives there is room for `more`, and one.
static inline bool make_room(struct sweep *s, uint32_t count, uint32_t more)
{
    return s->room - count > more || grow(s, more);
}

// What is live behind the block, `b` of the form.
static inline bool sweep_end(struct sweep *s, const struct ir_block *b, struct front *f)
{
    const struct alloc *a = s->a;
    uint32_t count = ir_successor_count(b);
    for (uint32_t i = 0; i < count; i++) {
        const struct alloc_block *to = &a->blocks[ir_successor(b, i)];
        if (!make_room(s, f->count, to->live_end - to->live)) {
            return false;
        }
        for (uint32_t k = to->live, end = to->live_end; k != end; k++) {
            add_live(f, f->lives[k]);
        }
    }
    if (count != 1) {
        return true;
    }
    for (uint32_t n = a->blocks[ir_successor(b, 0)].first; f->values[n].op == IR_PHI; n++) {
        if (!make_room(s, f->count, 1)) {
            return false;
        }
        add_use(f, alloc_operand(a, n, b->edge));
    }
    return true;
}

static bool sweep_block(struct sweep *s, uint32_t number)
{
    const struct alloc *a = s->a;
    struct alloc_block *block = &a->blocks[number];
    struct front f = {a->values, a->lives, s->count, number, block->first, block->end - block->first};
    if (!sweep_end(s, ir_block_at(a->ir, number), &f) ||
        !make_room(s, f.count, block->live_end - block->live)) {
        return false;
    }
    for (const uint32_t *n = a->exposed + block->live, *end = a->exposed + block->live_end; n != end; n++) {
        add_use(&f, *n);
    }
    block->live = s->count;
    block->live_end = s->count = f.count;
    return true;
}

ebpf_result_t alloc_sweep(struct alloc *a, bool *many)
{
    struct sweep s = {.a = a};
    uint32_t most = lives_max(a);
    a->lives = jit_room(a->j, 0, sizeof *a->lives);
    for (uint32_t i = a->ir->order_count; i-- > 0 && s.count <= most;) {
        if (!sweep_block(&s, a->ir->flow[i])) {
            return EBPF_NO_MEMORY;
        }
    }
    *many = s.count > most;
    jit_rewind(a->j, a->j->memory.used - (size_t)(s.room - s.count) / 2 * 2 * sizeof *a->lives);
    return EBPF_SUCCESS;
}

// --- with loops ----------------------------------------------------------------------------------

// The value is read in the block, or at its end.
struct use {
    uint32_t next; // index + 1, 0: end
    uint32_t block;
};
// It is live at the start of the block.
struct entry {
    uint32_t value, block;
};

struct life {
    struct alloc *a;
    struct use *uses;
    uint32_t use_count;
    struct entry *entries; // of all values
    uint32_t count, room, most;
    uint32_t *stack, *top; // blocks; the first one is IR_NONE
    uint32_t n, length;    // the value at work, and what its length grows by
    bool full;             // there is no memory
};

static void note_use(struct life *l, uint32_t n, uint32_t block)
{
    struct alloc_value *value = &l->a->values[n];
    if (value->kind != ALLOC_ABSENT) {
        l->uses[l->use_count] = (struct use){value->uses, block};
        value->uses = ++l->use_count;
    }
}

static void note_uses(struct life *l)
{
    const struct alloc *a = l->a;
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        uint32_t number = a->ir->order[i];
        const struct ir_block *b = ir_block_at(a->ir, number);
        for (uint32_t e = a->blocks[number].live; e != a->blocks[number].live_end; e++) {
            note_use(l, a->exposed[e], number);
        }
        uint32_t to = ir_successor_count(b) == 1 ? ir_successor(b, 0) : IR_NONE;
        for (uint32_t n = to != IR_NONE ? a->blocks[to].first : 0; a->values[n].op == IR_PHI; n++) {
            note_use(l, alloc_operand(a, n, b->edge), number);
        }
    }
}

// False: the value is alone from now on.
static bool more_entries(struct life *l)
{
    uint32_t count = min_u32(chunk(l->a), l->most - l->count);
    if (count == 0 || jit_room(l->a->j, count, sizeof *l->entries) == NULL) {
        l->full = l->full || count != 0;
        l->a->values[l->n].alone = true;
        return false;
    }
    l->room += count;
    return true;
}

// The value is live at the start of the block, unless it is made there. Whether that is new, so that the
// blocks before have to be told.
static inline bool enter(struct life *l, uint32_t block)
{
    struct alloc_block *b = &l->a->blocks[block];
    if (b->entered == l->n || l->n >= b->first) {
        return false;
    }
    if (l->count == l->room && !more_entries(l)) {
        l->top = l->stack + 1;
        return false;
    }
    l->entries[l->count++] = (struct entry){l->n, block};
    b->entered = l->n;
    l->length += b->end - b->first;
    return true;
}

// Up from the start of `block`; most have one predecessor, and need no stack.
static void climb(struct life *l, uint32_t block)
{
    const struct ir_block *blocks = l->a->ir->blocks;
    while (block != IR_NONE) {
        const uint32_t *pred = blocks[block].preds, *last = pred + blocks[block].pred_count - 1;
        for (; pred != last; pred++) {
            if (enter(l, *pred)) {
                *l->top++ = *pred;
            }
        }
        block = enter(l, *last) ? *last : *--l->top;
    }
    l->top++;
}

static void follow(struct life *l, uint32_t n)
{
    struct alloc_value *value = &l->a->values[n];
    l->n = n;
    l->length = 0;
    for (uint32_t u = value->uses; u != 0 && !value->alone; u = l->uses[u - 1].next) {
        if (enter(l, l->uses[u - 1].block)) {
            climb(l, l->uses[u - 1].block);
        }
    }
    value->uses = 0;
    value->length += l->length;
}

// From the entries, which are by value, the lists by block.
static ebpf_result_t list_lives(const struct life *l)
{
    struct alloc *a = l->a;
    a->lives = jit_room(a->j, l->count + 1, sizeof *a->lives);
    if (a->lives == NULL || l->full) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        a->blocks[a->ir->order[i]].live_end = 0;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        a->blocks[l->entries[i].block].live_end++;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        struct alloc_block *block = &a->blocks[a->ir->order[i]];
        count += block->live_end;
        block->live = block->live_end = count - block->live_end;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        a->lives[a->blocks[l->entries[i].block].live_end++] = l->entries[i].value;
    }
    return EBPF_SUCCESS;
}

ebpf_result_t alloc_follow(struct alloc *a)
{
    struct life l = {.a = a, .most = lives_max(a)};
    l.uses = jit_room(a->j, (size_t)a->exposed_count + a->passed, sizeof *l.uses);
    l.stack = jit_room(a->j, a->ir->block_count + 1, sizeof *l.stack);
    if (l.uses == NULL || l.stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    note_uses(&l);
    l.entries = jit_room(a->j, 0, sizeof *l.entries);
    l.stack[0] = IR_NONE;
    l.top = l.stack + 1;
    for (uint32_t n = a->value_count; n-- > 1 && !l.full;) {
        if (a->values[n].uses != 0) {
            follow(&l, n);
        }
    }
    return list_lives(&l);
}
