// SPDX-License-Identifier: MIT
// contain: membership of a concrete state, value by value, then relation by relation.
#include "tests/soundness/contain.h"

#include "domain/call.h"

enum { MAX_IDS = 8192, MAX_REFS = 64, GHOST_BITS = 40 };

// What is known of N of each class: its low `bits` bits.
struct classes {
    uint64_t n[MAX_IDS];
    uint8_t bits[MAX_IDS];
    uint16_t used[MAX_IDS];
    uint32_t used_count;
    struct {
        uint32_t ref;
        uint64_t base;
    } refs[MAX_REFS];
    uint32_t ref_count;
    uint32_t nulls[MAX_REFS]; // references of pointers that turned out to be null: nothing was acquired
    uint32_t null_count;
};

struct check {
    const struct contain_view *view;
    struct domain_state *s;
    struct classes *classes;
    uint32_t hidden; // concrete frames below the first abstract one
    char *why;
};

static bool no(const struct check *c, const char *what, uint32_t loc, uint64_t number)
{
    str_format(c->why, CONTAIN_WHY, "%s (place %u, 0x%llx)", what, loc, (unsigned long long)number);
    return false;
}

// --- identities -----------------------------------------------------------------------------------

static uint64_t low_bits(unsigned bits)
{
    return bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

static uint64_t inverse(uint64_t odd)
{
    uint64_t x = odd;
    for (unsigned i = 0; i < 6; i++) {
        x *= 2 - odd * x;
    }
    return x;
}

// cf * N = product, modulo 2^64.
static bool agrees(struct classes *c, uint32_t id, int32_t cf, uint64_t product)
{
    uint64_t factor = (uint64_t)(int64_t)cf;
    unsigned zeros = 0;
    if (id == VALUE_ID_NONE || id >= MAX_IDS) {
        return true;
    }
    if (factor == 0) {
        return false;
    }
    while ((factor & 1) == 0) {
        factor >>= 1;
        zeros++;
    }
    if ((product & low_bits(zeros)) != 0) {
        return false;
    }
    uint64_t n = (product >> zeros) * inverse(factor);
    unsigned bits = 64 - zeros, common = c->bits[id] < bits ? c->bits[id] : bits;
    if (((n ^ c->n[id]) & low_bits(common)) != 0) {
        return false;
    }
    if (c->bits[id] == 0) {
        c->used[c->used_count++] = (uint16_t)id;
    }
    if (bits > c->bits[id]) {
        c->bits[id] = (uint8_t)bits;
        c->n[id] = (uint64_t)((int64_t)(n << zeros) >> zeros); // numbers are small, negative ones too
    }
    return true;
}

static bool is_known(const struct classes *c, uint32_t id)
{
    return id < MAX_IDS && c->bits[id] >= GHOST_BITS;
}

static int64_t number_of(const struct classes *c, uint32_t id)
{
    return (int64_t)c->n[id];
}

static bool same_object(struct classes *c, uint32_t ref, uint64_t base)
{
    for (uint32_t i = 0; i < c->ref_count; i++) {
        if (c->refs[i].ref == ref) {
            return c->refs[i].base == base;
        }
    }
    if (ref != 0 && c->ref_count < MAX_REFS) {
        c->refs[c->ref_count].ref = ref;
        c->refs[c->ref_count++].base = base;
    }
    return true;
}

// --- values ---------------------------------------------------------------------------------------

static bool fits(const struct value *v, uint64_t number, uint64_t base)
{
    return scalar_contains(&v->num, number - base - (uint64_t)(int64_t)v->off);
}

static bool moved(const struct check *c, const struct value *v, uint64_t number, uint64_t base)
{
    uint64_t x = number - base - (uint64_t)(int64_t)v->off;
    return scalar_contains(&v->num, x) && agrees(c->classes, v->id, v->cf, x - (uint64_t)v->delta);
}

static bool is_object(const struct value *v)
{
    return v->kind == VALUE_MAP_VALUE || v->kind == VALUE_MEM || v->kind == VALUE_OBJECT ||
           v->kind == VALUE_MAP_PTR || v->kind == VALUE_KERNEL;
}

static void note_null(struct classes *c, const struct value *v)
{
    uint32_t i = 0;
    while (i < c->null_count && c->nulls[i] != v->ref) {
        i++;
    }
    if ((v->flags & VALUE_ACQUIRED) != 0 && i == c->null_count && i < MAX_REFS) {
        c->nulls[c->null_count++] = v->ref;
    }
}

static bool object_contains(const struct check *c, const struct value *v, uint64_t number)
{
    uint64_t base;
    if (v->maybe_null && !agrees(c->classes, v->id, 1, number != 0)) {
        return false;
    }
    if (v->maybe_null && number == 0) {
        note_null(c->classes, v);
        return true;
    }
    for (uint32_t i = 0; c->view->base(c->view->user, v, number, i, &base); i++) {
        if (fits(v, number, base)) {
            // Slices of one dynptr share its reference and are different memory.
            bool slice = v->kind == VALUE_MEM && (v->flags & VALUE_ACQUIRED) == 0;
            return (slice || same_object(c->classes, v->ref, base)) &&
                   (v->maybe_null || moved(c, v, number, base));
        }
    }
    return c->view->plausible != NULL && c->view->plausible(c->view->user, v, number);
}

static bool packet_contains(const struct check *c, const struct value *v, uint64_t number)
{
    uint64_t data = c->view->data;
    int64_t length = (int64_t)(c->view->data_end - data);
    int64_t x = (int64_t)(number - data - (uint64_t)(int64_t)v->off);
    return moved(c, v, number, data) && (v->id == VALUE_ID_NONE || length - x >= v->range);
}

static bool contains(const struct check *c, const struct value *v, uint64_t number)
{
    switch (v->kind) {
    case VALUE_NOT_INIT: return true;
    case VALUE_SCALAR:
        return scalar_contains(&v->num, number) &&
               agrees(c->classes, v->id, v->cf, number - (uint64_t)v->delta);
    case VALUE_CTX: return moved(c, v, number, c->view->context);
    case VALUE_STACK: return moved(c, v, number, c->view->frames[c->hidden + v->frame].top);
    case VALUE_PACKET: return packet_contains(c, v, number);
    case VALUE_PACKET_END: return moved(c, v, number, c->view->data_end);
    case VALUE_PACKET_META: return moved(c, v, number, c->view->data_meta);
    case VALUE_CODE: return number != 0;
    case VALUE_RELEASED: return true; // anything
    default: return !is_object(v) || object_contains(c, v, number);
    }
}

// The first frame stands for hidden callers: what it has saved are the arguments of the function above.
static bool is_shadow(const struct domain_state *s, uint32_t f)
{
    return f == 0 && s->frame_count > 1 && s->frames[0].return_pc == CALL_SHADOW;
}

// False: a ghost, which has no concrete value.
static bool concrete(const struct check *c, uint32_t loc, const struct value *v, uint64_t *out)
{
    *out = 0;
    if (loc < STATE_LOC_SAVED) {
        *out = c->view->regs[loc];
        return true;
    }
    if (loc < STATE_LOC_LOOPS) {
        loc -= STATE_LOC_SAVED;
        uint32_t f = loc / STATE_SAVED;
        const struct contain_frame *there = &c->view->frames[c->hidden + f + is_shadow(c->s, f)];
        const uint64_t *kept = is_shadow(c->s, f) ? there->args : there->saved;
        *out = kept != NULL ? kept[loc % STATE_SAVED] : 0;
        return kept != NULL;
    }
    if (loc < STATE_LOC_CELLS) {
        return false;
    }
    loc -= STATE_LOC_CELLS;
    memcpy(out, c->view->frames[c->hidden + loc / STATE_CELL_COUNT].bytes + loc % STATE_CELL_COUNT * 4,
           v->width);
    return true;
}

static bool values_are_inside(const struct check *c)
{
    STATE_FOR_EACH(loc, c->s)
    {
        const struct value *v = state_value(c->s, loc);
        uint64_t number;
        if (loc < INSN_REG_COUNT && v->kind != VALUE_NOT_INIT && (c->view->regs_init >> loc & 1) == 0) {
            return no(c, "a register that was not written", loc, 0);
        }
        if (concrete(c, loc, v, &number) && !contains(c, v, number)) {
            return no(c, "a value", loc, number);
        }
    }
    return contains(c, &c->s->regs[10], c->view->regs[10]) || no(c, "a value", 10, c->view->regs[10]);
}

// --- frames ---------------------------------------------------------------------------------------

static bool span_is_written(const struct check *c, uint32_t f)
{
    const struct state_span *span = &c->s->frames[f].span;
    const struct value *end = &span->end;
    if (end->kind == VALUE_NOT_INIT) {
        return true;
    }
    int64_t size = end->num.smin;
    if (end->id != VALUE_ID_NONE && is_known(c->classes, end->id)) {
        uint64_t x = (uint64_t)(int64_t)end->cf * c->classes->n[end->id] + (uint64_t)end->delta;
        if (!scalar_contains(&end->num, x)) {
            return no(c, "the end of a span", f, x);
        }
        size = (int64_t)x;
    }
    for (int64_t i = 0; i < size && span->from + i < INSN_STACK_SIZE; i++) {
        if (!c->view->frames[c->hidden + f].init[span->from + i]) {
            return no(c, "a byte of a span was not written", f, (uint64_t)i);
        }
    }
    return true;
}

static bool loops_fit(const struct check *c, uint32_t f)
{
    const struct state_frame *frame = &c->s->frames[f];
    for (uint32_t d = 0; d < STATE_MAX_LOOPS; d++) {
        const struct value *v = &frame->loops[d];
        if ((frame->counting >> d & 1) != 0 && v->kind == VALUE_SCALAR && v->id != VALUE_ID_NONE &&
            is_known(c->classes, v->id)) {
            uint64_t x = (uint64_t)(int64_t)v->cf * c->classes->n[v->id] + (uint64_t)v->delta;
            if (!scalar_contains(&v->num, x)) {
                return no(c, "the turns of a loop", d, x);
            }
        }
    }
    return true;
}

static bool frame_is_inside(const struct check *c, uint32_t f)
{
    const struct state_frame *frame = &c->s->frames[f];
    const struct contain_frame *there = &c->view->frames[c->hidden + f];
    if (is_shadow(c->s, f)) {
        return true;
    }
    for (uint32_t i = 0; i < INSN_STACK_SIZE; i++) {
        if ((frame->init[i / 64] >> (i % 64) & 1) != 0 && !there->init[i]) {
            return no(c, "a stack byte that was not written", f, i);
        }
    }
    return true;
}

// --- relations ------------------------------------------------------------------------------------

static bool sums_hold(const struct check *c)
{
    const struct classes *k = c->classes;
    for (uint32_t i = 0; i < c->s->sum_count; i++) {
        const struct state_sum *row = &c->s->sums[i];
        int64_t sum;
        if (!is_known(k, row->left) || !is_known(k, row->right)) {
            continue;
        }
        uint64_t wrapped = (uint64_t)number_of(k, row->left) + (uint64_t)number_of(k, row->right);
        if (row->sum != VALUE_ID_NONE && k->bits[row->sum] == 64 && k->bits[row->left] == 64 &&
            k->bits[row->right] == 64 && k->n[row->sum] != wrapped) {
            return no(c, "a sum", i, wrapped);
        }
        bool over = __builtin_add_overflow(number_of(k, row->left), number_of(k, row->right), &sum);
        if (row->max != INT64_MAX && (over || sum > row->max)) {
            return no(c, "the bound of a sum", i, (uint64_t)sum);
        }
    }
    for (uint32_t i = 0; i < c->s->bound_count; i++) {
        const struct state_bound *row = &c->s->bounds[i];
        int64_t low;
        if (is_known(k, row->low) && is_known(k, row->high) &&
            (__builtin_add_overflow(number_of(k, row->low), row->delta, &low) ||
             low > number_of(k, row->high))) {
            return no(c, "a bound", i, (uint64_t)number_of(k, row->high));
        }
    }
    return true;
}

// A global function is verified without its callers: what they hold is not in its states.
static bool callers_may_hold(const struct check *c)
{
    const struct program *p = c->view->program;
    bool global = false;
    for (uint32_t f = 0; p->contracts != NULL && f < p->func_count; f++) {
        global = global || (p->funcs[f].global != 0 && p->contracts[f].known);
    }
    return global && c->hidden > 0;
}

static bool facts_hold(const struct check *c)
{
    const struct contain_view *v = c->view;
    const struct domain_state *s = c->s;
    if ((int64_t)(v->data_end - v->data) < s->packet_length ||
        (int64_t)(v->data - v->data_meta) < s->meta_length) {
        return no(c, "the length of the packet", 0, v->data_end - v->data);
    }
    if (v->held == UINT32_MAX || callers_may_hold(c)) {
        return true;
    }
    if (v->held + c->classes->null_count > s->ref_count) {
        return no(c, "the number of references", s->ref_count, v->held);
    }
    if ((v->lock != 0) != (s->lock_ref != 0) || v->rcu != s->rcu_depth || v->preempt != s->preempt_depth) {
        return no(c, "a critical section", 0, v->lock);
    }
    return s->lock_ref < VALUE_ID_FIRST || same_object(c->classes, s->lock_ref, v->lock) ||
           no(c, "the lock", 0, v->lock);
}

static bool all(const struct check *c)
{
    if (c->s->frame_count > c->view->depth + 1 || c->s->frame_count == 0) {
        return no(c, "the number of frames", c->s->frame_count, c->view->depth + 1);
    }
    // data_end - data is the N of VALUE_ID_LENGTH
    if (!agrees(c->classes, VALUE_ID_LENGTH, 1, c->view->data_end - c->view->data) || !values_are_inside(c)) {
        return false;
    }
    for (uint32_t f = 0; f < c->s->frame_count; f++) {
        if (!frame_is_inside(c, f) || !span_is_written(c, f) || !loops_fit(c, f)) {
            return false;
        }
    }
    return facts_hold(c) && sums_hold(c);
}

bool contain_state(const struct contain_view *view, struct domain_state *s, char *why)
{
    static struct classes classes;
    while (classes.used_count > 0) {
        classes.bits[classes.used[--classes.used_count]] = 0;
    }
    classes.ref_count = classes.null_count = 0;
    struct check c = {view, s, &classes, view->depth + 1 - s->frame_count, why};
    return all(&c);
}
