// SPDX-License-Identifier: MIT
// opt_bytes: a number that is put together from loads side by side becomes one load: b[0] | b[1] << 8 | ...,
// or in the other order of bytes. All loads are in one block, nobody writes between them, and nothing else
// uses them; every byte of the new load was loaded before.
#include "jit/opt_fold.h"

#define MAX_PARTS 8
#define MAX_NODES 24

struct part {
    uint32_t load;
    uint32_t base; // address: base + off
    int64_t off;
    uint32_t position, bits; // where it lies in the number
    bool swapped;            // LOADBE, or swapped afterwards
};

struct node {
    uint32_t value, shift;
    uint32_t room; // bits of the number that operations on the way keep
};

struct bytes {
    struct jit *j;
    struct ir *ir;
    uint32_t *order; // by value: number in its block
    uint32_t *epoch; // by value: number of writes before it in its block
    struct part parts[MAX_PARTS];
    uint32_t part_count;
    struct node stack[MAX_NODES];
    uint32_t depth;
    struct ir_repair repair;
    bool tidy; // the function was
    bool changed;
    uint32_t *link;     // to the value that the walk is at
    uint32_t *division; // the link to the next one
};

// --- taking the number apart ---------------------------------------------------------------------

#define BIT(op)   ((uint64_t)1 << IR_##op)
#define SUMS      (BIT(OR) | BIT(ADD) | BIT(XOR)) // the same where no bits meet
#define PARTS     (SUMS | BIT(SHL) | BIT(ZEXT) | BIT(LOAD) | BIT(LOADBE) | BIT(BSWAP) | BIT(COPY))
#define DIVISIONS (BIT(UDIV) | BIT(UMOD) | BIT(SDIV) | BIT(SMOD))

static inline bool is_in(uint64_t set, const struct ir_value *v)
{
    return (set >> v->op & 1) != 0;
}

static bool push(struct bytes *s, uint32_t value, uint32_t shift, uint32_t room)
{
    if (s->depth == MAX_NODES) {
        return false;
    }
    s->stack[s->depth++] = (struct node){ir_resolve(s->ir, value), shift, room};
    return true;
}

static bool add_part(struct bytes *s, const struct node *n, uint32_t load, bool swap)
{
    const struct ir_value *v = ir_at(s->ir, load);
    if (s->part_count == MAX_PARTS || v->b != IR_NONE || v->uses != 1 || n->shift + v->width > n->room) {
        return false;
    }
    struct part p = {load, ir_resolve(s->ir, v->a), v->disp, n->shift, v->width, swap || v->op == IR_LOADBE};
    for (unsigned hops = 0; hops < 4; hops++) {
        const struct ir_value *base = ir_at(s->ir, p.base);
        int64_t number;
        if (base->op != IR_ADD || base->width != 64 || (base->flags & IR_IMM) != 0 ||
            !ir_is_const(s->ir, ir_resolve(s->ir, base->b), &number) || number != (int32_t)number) {
            break;
        }
        p.base = ir_resolve(s->ir, base->a);
        p.off += number;
    }
    s->parts[s->part_count++] = p;
    return true;
}

static bool take_shift(struct bytes *s, const struct node *n, const struct ir_value *v)
{
    int64_t count;
    if (!ir_is_const(s->ir, ir_resolve(s->ir, v->b), &count)) {
        return false;
    }
    count &= v->width - 1;
    return count % 8 == 0 && push(s, v->a, n->shift + (uint32_t)count, min_u32(n->room, n->shift + v->width));
}

static bool take_node(struct bytes *s, const struct node *n)
{
    const struct ir_value *v = ir_at(s->ir, n->value);
    if (v->uses != 1 || (v->flags & IR_IMM) != 0 || n->shift >= 64) {
        return false;
    }
    uint32_t room = min_u32(n->room, n->shift + v->width);
    if (is_in(SUMS, v)) {
        return push(s, v->a, n->shift, room) && push(s, v->b, n->shift, room);
    }
    switch (v->op) {
    case IR_SHL: return take_shift(s, n, v);
    case IR_ZEXT: return push(s, v->a, n->shift, min_u32(n->room, n->shift + (uint32_t)v->imm));
    case IR_LOAD: return add_part(s, n, n->value, false);
    case IR_LOADBE: return add_part(s, n, n->value, false);
    case IR_BSWAP: {
        uint32_t load = ir_resolve(s->ir, v->a);
        const struct ir_value *l = ir_at(s->ir, load);
        return l->op == IR_LOAD && l->width == v->imm && add_part(s, n, load, true);
    }
    default: return false;
    }
}

static bool take_apart(struct bytes *s, const struct ir_value *root)
{
    s->depth = s->part_count = 0;
    if (!push(s, root->a, 0, root->width) || !push(s, root->b, 0, root->width)) {
        return false;
    }
    while (s->depth != 0) {
        struct node n = s->stack[--s->depth];
        if (!take_node(s, &n)) {
            return false;
        }
    }
    return s->part_count >= 2;
}

// --- what it is ----------------------------------------------------------------------------------

// All loads are in one block, of one base: the block, or IR_NONE.
static uint32_t block_of(const struct bytes *s)
{
    uint32_t block = ir_at(s->ir, s->parts[0].load)->block;
    for (uint32_t i = 1; i < s->part_count; i++) {
        const struct part *p = &s->parts[i];
        if (ir_at(s->ir, p->load)->block != block || p->base != s->parts[0].base) {
            return IR_NONE;
        }
    }
    return block;
}

static bool same_epoch(const struct bytes *s)
{
    uint32_t epoch = s->epoch[s->parts[0].load], i = 1;
    while (i < s->part_count && s->epoch[s->parts[i].load] == epoch) {
        i++;
    }
    return i == s->part_count;
}

// The bits that the parts fill, without meeting; 0: they meet, or leave gaps, or are no number of a size.
static uint32_t filled(const struct bytes *s, uint32_t *lowest)
{
    uint64_t bits = 0;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < s->part_count; i++) {
        uint64_t mask = fold_mask(s->parts[i].bits) << s->parts[i].position;
        if ((bits & mask) != 0) {
            return 0;
        }
        bits |= mask;
        sum += s->parts[i].bits;
    }
    *lowest = (uint32_t)__builtin_ctzll(bits);
    bool whole = bits >> *lowest == fold_mask(sum) && (sum == 16 || sum == 32 || sum == 64);
    return whole ? sum : 0;
}

// Memory has the parts in the order of the number, or in the opposite one.
static bool in_order(const struct bytes *s, bool opposite)
{
    for (uint32_t i = 0; i < s->part_count; i++) {
        const struct part *p = &s->parts[i], *first = &s->parts[0];
        int64_t at = opposite ? -(int64_t)(p->position + p->bits) : (int64_t)p->position;
        int64_t first_at = opposite ? -(int64_t)(first->position + first->bits) : (int64_t)first->position;
        if ((p->off - first->off) * 8 != at - first_at || (p->bits != 8 && p->swapped != opposite)) {
            return false;
        }
    }
    return true;
}

// --- putting it together -------------------------------------------------------------------------

// Takes `value`, which the walk is at, to the place behind `load`, and gives it what is known of the place.
static void move_behind(struct bytes *s, uint32_t value, uint32_t load)
{
    struct ir_value *v = ir_at(s->ir, value), *l = ir_at(s->ir, load);
    if (s->link != &l->next) {
        *s->link = v->next;
        v->next = l->next;
        l->next = value;
        v->block = l->block;
    }
    v->pc = l->pc;
    if (s->order != NULL) {
        s->order[value] = s->order[load];
        s->epoch[value] = s->epoch[load];
    }
}

// `v` becomes one that loads what is at the address of `load`.
static void become_load(struct bytes *s, struct ir_value *v, const struct ir_value *load, unsigned op,
                        uint32_t bits)
{
    v->op = (uint8_t)op;
    v->width = (uint8_t)bits;
    v->flags = load->flags;
    v->scale = load->scale;
    v->a = ir_resolve(s->ir, load->a); // uses are those of what is behind a COPY
    v->b = ir_resolve(s->ir, load->b);
    v->disp = load->disp;
    v->imm = 0;
    ir_at(s->ir, v->a)->uses++;
    ir_at(s->ir, v->b)->uses++;
}

// The load `last` becomes that of all parts, and the sum a shift of it.
static ebpf_result_t load_and_shift(struct bytes *s, struct ir_value *sum, uint32_t last,
                                    const struct ir_value *first, unsigned op, uint32_t bits, uint32_t lowest)
{
    struct ir *ir = s->ir;
    struct ir_value *v = ir_at(ir, last);
    uint32_t address = v->a, count = ir_new(s->j, IR_CONST, 64, IR_NONE, IR_NONE, lowest);
    if (count == IR_NONE) {
        return EBPF_NO_MEMORY;
    }
    become_load(s, v, first, op, bits);
    ir_insert_after(ir, v->block, last, count);
    ir_at(ir, count)->uses = 1;
    v->uses++;
    sum->op = IR_SHL;
    sum->a = last;
    sum->b = count;
    if (s->tidy) {
        ir_release(&s->repair, address);
    }
    return EBPF_SUCCESS;
}

// The last of the loads becomes the one of all parts, or the sum does in its place.
static ebpf_result_t combine(struct bytes *s, uint32_t root, uint32_t bits, uint32_t lowest, bool opposite)
{
    struct ir *ir = s->ir;
    const struct part *first = &s->parts[0]; // in memory
    uint32_t last = s->parts[0].load;        // in the block
    for (uint32_t i = 1; i < s->part_count; i++) {
        const struct part *p = &s->parts[i];
        first = p->off < first->off ? p : first;
        last = s->order[p->load] > s->order[last] ? p->load : last;
    }
    struct ir_value *r = ir_at(ir, root);
    const struct ir_value *at = ir_at(ir, first->load);
    uint32_t a = r->a, b = r->b;
    unsigned op = opposite ? IR_LOADBE : IR_LOAD;
    s->changed = true;
    if (lowest == 0) {
        become_load(s, r, at, op, bits);
        move_behind(s, root, last);
    } else {
        TRY(load_and_shift(s, r, last, at, op, bits, lowest));
    }
    if (s->tidy) {
        ir_release(&s->repair, a);
        ir_release(&s->repair, b);
    }
    return EBPF_SUCCESS;
}

static void load_signed(struct bytes *s, uint32_t value)
{
    struct ir_value *v = ir_at(s->ir, value);
    uint32_t a = v->a, from = ir_resolve(s->ir, a);
    const struct ir_value *load = ir_at(s->ir, from);
    if (v->width == 64 && load->op == IR_LOAD && load->uses == 1 && load->width == v->imm) { // nobody else
        become_load(s, v, load, IR_LOADS, load->width);
        move_behind(s, value, from);
        s->changed = true;
        if (s->tidy) {
            ir_release(&s->repair, a);
        }
    }
}

// Marks what only goes into a sum, shifted or not.
static void mark_inner(struct bytes *s, uint32_t block, bool shifts)
{
    for (uint32_t v = ir_block_at(s->ir, block)->first; v != IR_NONE; v = ir_next(s->ir, v)) {
        const struct ir_value *value = ir_at(s->ir, v);
        if (shifts ? value->op == IR_SHL && value->mark != 0 : is_in(SUMS, value)) {
            ir_at(s->ir, ir_resolve(s->ir, value->a))->mark = 1;
            ir_at(s->ir, ir_resolve(s->ir, value->b))->mark = 1;
        }
    }
}

static void number_block(struct bytes *s, uint32_t block)
{
    uint32_t order = 0, epoch = 0;
    for (uint32_t v = ir_block_at(s->ir, block)->first; v != IR_NONE; v = ir_next(s->ir, v)) {
        s->order[v] = order++;
        ir_at(s->ir, v)->mark = 0;
        s->epoch[v] = epoch;
        epoch += (ir_op_info(ir_at(s->ir, v)->op)->flags & IR_WRITE) != 0;
    }
}

// Few functions have such numbers: what there is to know of a block is found with the first one.
static ebpf_result_t study(struct bytes *s, uint32_t block)
{
    struct ir *ir = s->ir;
    if (s->order == NULL) {
        s->order = jit_room(s->j, ir->value_count, sizeof(*s->order));
        s->epoch = jit_room(s->j, ir->value_count, sizeof(*s->epoch));
        if (s->order == NULL || s->epoch == NULL) {
            return EBPF_NO_MEMORY;
        }
        for (uint32_t b = 1; b < ir->block_count; b++) {
            ir->blocks[b].mark = 0;
        }
    }
    if (ir_block_at(ir, block)->mark == 0) {
        ir_block_at(ir, block)->mark = 1;
        number_block(s, block);
        mark_inner(s, block, false);
        mark_inner(s, block, true);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t load_sum(struct bytes *s, uint32_t value, uint32_t block)
{
    struct ir_value *v = ir_at(s->ir, value);
    uint32_t bits, lowest, loads;
    if (!take_apart(s, v) || (loads = block_of(s)) == IR_NONE || (bits = filled(s, &lowest)) == 0) {
        return EBPF_SUCCESS;
    }
    TRY(study(s, loads));
    TRY(study(s, block));
    if (!same_epoch(s)) {
        return EBPF_SUCCESS;
    }
    // Two bytes of three are not worth it, and a load that meets two stores of bytes waits for both.
    if (bits == 16 && v->mark != 0 && v->uses == 1) {
        return EBPF_SUCCESS;
    }
    bool straight = in_order(s, false);
    return straight || in_order(s, true) ? combine(s, value, bits, lowest, !straight) : EBPF_SUCCESS;
}

static bool may_be_number(const struct bytes *s, const struct ir_value *v)
{
    return (v->flags & IR_IMM) == 0 && is_in(PARTS, ir_at(s->ir, v->b)) && is_in(PARTS, ir_at(s->ir, v->a));
}

static ebpf_result_t combine_value(struct bytes *s, uint32_t n, uint32_t block)
{
    struct ir_value *v = ir_at(s->ir, n);
    if (is_in(SUMS, v)) {
        return may_be_number(s, v) ? load_sum(s, n, block) : EBPF_SUCCESS;
    }
    if (v->op == IR_SEXT) {
        load_signed(s, n);
    } else {
        *s->division = n;
        s->division = (uint32_t *)(void *)&v->disp;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t combine_all(struct bytes *s)
{
    const struct ir *ir = s->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t block = ir->order[i];
        s->link = &ir_block_at(ir, block)->first;
        for (uint32_t n = *s->link, next; n != IR_NONE; n = next) {
            struct ir_value *v = ir_at(ir, n);
            ir_prefetch(v);
            next = v->next;
            if (is_in(SUMS | DIVISIONS | BIT(SEXT), v)) {
                TRY(combine_value(s, n, block));
            }
            s->link = *s->link == n ? &v->next : s->link; // else it has gone to another place
        }
    }
    return EBPF_SUCCESS;
}

ebpf_result_t opt_bytes(struct jit *j)
{
    struct bytes s; // most of it is room
    s.j = j;
    s.ir = &j->ir;
    s.order = s.epoch = NULL;
    s.repair = ir_begin_repair(s.ir);
    s.tidy = s.ir->tidy;
    s.changed = false;
    s.division = &s.ir->divisions;
    size_t mark = j->memory.used;
    ebpf_result_t result = combine_all(&s);
    jit_rewind(j, mark);
    *s.division = IR_NONE;
    s.ir->divisions_known = true;
    if (result != EBPF_SUCCESS || !s.changed) {
        return result;
    }
    if (!s.tidy) {
        return ir_clean(j);
    }
    ir_repair(&s.repair);
    return EBPF_SUCCESS;
}
