// SPDX-License-Identifier: MIT
// alloc_live: numbers the values of a function, and has alloc_life find what lives over the edges of blocks;
// then one walk from the last value to the first weighs them, asks the target what each operation needs, and
// at a definition knows all uses in its block.
#include "jit/alloc.h"
#include "jit/ir_text.h"

#define OFTEN           4 // alloc_block.often of blocks that are in no loop and not cold
#define OFTEN_LOOP      3 // more in a loop: it runs about 8 times
#define OFTEN_DEPTHS    4
#define WEIGHT_MAX      (UINT32_MAX / 2)
#define OPERANDS_BEYOND 2 // that number_operands may write behind the last one
#define CLOBBERS        64 // that are looked at one by one: if there are more, as if there were all of the block

// --- numbers -------------------------------------------------------------------------------------

static uint32_t how_often(const struct ir_block *b)
{
    uint32_t depth = b->depth < OFTEN_DEPTHS ? b->depth : OFTEN_DEPTHS;
    return b->cold ? 0 : OFTEN + depth * OFTEN_LOOP;
}

// Where the next ones go.
struct numbering {
    const struct ir *ir;
    const struct ir_value *top;
    uint32_t *operand, *exposed;
    uint32_t exposed_count;
    uint32_t first; // value of the block, less 1
};

// One operand. UNDEF, which has number 0, is never used.
static inline void number_operand(struct numbering *to, uint32_t i, const struct ir_value *operand)
{
    uint32_t number = operand->slot;
    to->operand[i] = number;
    to->exposed[to->exposed_count] = number;
    to->exposed_count += number - 1 < to->first;
}

// Of what could be made anew, but had better be in a register for this operation.
ALLOC_RARE static void note_remade(const struct alloc *a, const struct ir_value *v)
{
    const uint32_t *operand = &v->a;
    for (uint32_t i = 0; i < ir_op_info(v->op)->count; i++) {
        const struct ir_value *from = ir_at(a->ir, operand[i]);
        if (alloc_is_remade(from->op) && !alloc_is_moved(v->op, from->op, i)) {
            a->values[from->slot].kind = ALLOC_REMADE;
        }
    }
}

// Those of PHIs may have no number yet: there is room for them.
static inline void number_list(struct numbering *to, const struct ir_value *v)
{
    const uint32_t *list = ir_pool(to->ir, v);
    for (uint32_t i = 0; i < v->b && v->op != IR_PHI; i++) {
        number_operand(to, i, to->top - list[i]);
    }
    to->operand += v->b;
}

// Without a loop, which nobody can tell the end of: what is written beyond the last one, the next value's
// take the place of.
static inline void number_operands(const struct alloc *alloc, struct numbering *to, const struct ir_value *v)
{
    static const uint32_t masks[5][4] = {
        {0}, // by the number of operands: which fields are some
        {UINT32_MAX},
        {UINT32_MAX, UINT32_MAX},
        {UINT32_MAX, UINT32_MAX},
        {UINT32_MAX, UINT32_MAX, 0, UINT32_MAX},
    };
    const struct ir_op_info *info = ir_op_info(v->op);
    if (info->listed) {
        number_list(to, v);
        return;
    }
    uint32_t count = info->count;
    const struct ir_value *a = to->top - (v->a & masks[count][0]), *b = to->top - (v->b & masks[count][1]);
    uint64_t remade = ALLOC_REMADE_OPS >> a->op | ALLOC_REMADE_OPS >> b->op;
    number_operand(to, 0, a);
    number_operand(to, 1, b);
    if (count > 2) {
        const struct ir_value *c = to->top - v->c, *d = to->top - (v->d & masks[count][3]);
        remade |= ALLOC_REMADE_OPS >> c->op | ALLOC_REMADE_OPS >> d->op;
        number_operand(to, 2, c);
        number_operand(to, 3, d);
    }
    to->operand += count;
    if ((remade & 1) != 0) {
        note_remade(alloc, v);
    }
}

// One by one: the compiler would clear the rest of a whole record in a loop.
static inline void set_value(struct alloc_value *value, uint32_t v, const struct ir_value *like,
                             uint32_t operands)
{
    bool kept = (like->uses != 0) & ((ALLOC_NOT_KEPT_OPS >> like->op & 1) == 0);
    value->value = v;
    value->operands = operands;
    value->forbid = 0;
    value->weight = 0;
    value->length = 0;
    value->phi = 0;
    value->seen = 0;
    value->last = UINT32_MAX;
    value->uses = 0;
    value->reg = IR_REG_NONE;
    value->hint = IR_REG_NONE;
    value->result = IR_REG_NONE;
    value->late = 0;
    value->same = 0;
    value->kind = (uint8_t)(kept * ALLOC_KEPT);
    value->alone = false;
    value->op = like->op;
}

static inline void set_block(struct alloc_block *block, uint32_t first, uint32_t often)
{
    block->first = first;
    block->clobbered = 0;
    block->clobber = 0;
    block->entered = 0;
    block->often = often;
}

ALLOC_RARE static void number_values(struct alloc *a)
{
    const struct ir *ir = a->ir;
    struct ir_value *top = ir->top;
    uint32_t n = 1;
    struct numbering to = {ir, top, a->operands, a->exposed, 0, 0};
    struct alloc_value *value = a->values;
    top->slot = 0; // of IR_NONE
    set_value(value++, IR_NONE, top, 0);
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        struct alloc_block *block = &a->blocks[ir->order[i]];
        set_block(block, n, how_often(b));
        block->live = to.exposed_count;
        to.first = n - 1;
        b->mark = 0;
        for (uint32_t number = b->first; number != IR_NONE; n++) {
            struct ir_value *v = top - number;
            ir_prefetch(v);
            set_value(value++, number, v, (uint32_t)(to.operand - a->operands));
            v->slot = v->op != IR_UNDEF ? n : 0;
            number_operands(a, &to, v);
            number = v->next;
        }
        block->end = n;
        block->live_end = to.exposed_count;
    }
    set_value(value, IR_NONE, top, (uint32_t)(to.operand - a->operands));
    a->exposed_count = to.exposed_count;
}

// PHIs like their operands to be where they are, on the most frequent edge first.
static void note_phi(struct alloc *a, uint32_t phi, const struct ir_block *b)
{
    const uint32_t *list = ir_pool(a->ir, alloc_ir(a, &a->values[phi]));
    uint32_t *operands = a->operands + a->values[phi].operands;
    a->passed += b->pred_count;
    for (uint32_t k = 0; k < b->pred_count; k++) {
        operands[k] = ir_at(a->ir, list[k])->slot;
        struct alloc_value *operand = &a->values[operands[k]];
        uint32_t often = a->blocks[b->preds[k]].often;
        if (operand->phi == 0 || often > operand->phi_often) {
            operand->phi = phi;
            operand->phi_often = (uint8_t)often;
        }
    }
}

ALLOC_RARE static void note_phis(struct alloc *a)
{
    const uint32_t *order = a->ir->order, *end = order + a->ir->order_count;
    a->passed = 0;
    for (; order != end; order++) {
        for (uint32_t n = a->blocks[*order].first; a->values[n].op == IR_PHI; n++) {
            note_phi(a, n, ir_block_at(a->ir, *order));
        }
    }
}

// --- the walk ------------------------------------------------------------------------------------

// Through one block, from its last value to its first.
struct walk {
    struct alloc *a;
    const struct ir_block *b;
    struct alloc_block *block;
    uint32_t leaving;       // alloc_leaving of it
    uint32_t often, weight; // of it
    uint64_t plain;         // of the target
};

static inline void mark_leaving(const struct walk *w, uint32_t n)
{
    w->a->values[n].last = w->leaving;
}

// What is live at the end of the block: at the starts of those behind it, and what their PHIs take.
static void note_end(const struct walk *w)
{
    const struct alloc *a = w->a;
    uint32_t count = ir_successor_count(w->b);
    for (uint32_t i = 0; i < count; i++) {
        const struct alloc_block *to = &a->blocks[ir_successor(w->b, i)];
        const uint32_t *live = a->lives + to->live, *end = a->lives + to->live_end;
        for (; live != end; live++) {
            mark_leaving(w, *live);
        }
    }
    if (count != 1) {
        return;
    }
    for (uint32_t n = a->blocks[ir_successor(w->b, 0)].first; a->values[n].op == IR_PHI; n++) {
        mark_leaving(w, alloc_operand(a, n, w->b->edge));
    }
}

// --- wishes and needs ----------------------------------------------------------------------------

static inline void add_weight(struct alloc_value *value, uint32_t weight)
{
    value->weight += weight;
    if (value->weight > WEIGHT_MAX) {
        value->weight = WEIGHT_MAX;
    }
}

static inline void hint(struct alloc_value *value, uint8_t reg, uint32_t often)
{
    if (reg != IR_REG_NONE && (value->hint == IR_REG_NONE || often > value->hint_often)) {
        value->hint = reg;
        value->hint_often = (uint8_t)often;
    }
}

static bool is_call(unsigned op)
{
    return op == IR_CALL || op == IR_CALL_LOCAL || op == IR_HELPER;
}

// The operand that the result of `user` takes the register of wants what the result wants.
static void note_same(struct alloc_value *operand, const struct alloc_value *user, uint8_t result,
                      uint32_t often)
{
    hint(operand, user->hint != IR_REG_NONE ? user->hint : result, often);
    if (operand->phi == 0) {
        operand->phi = user->phi;
        operand->phi_often = user->phi_often;
    }
}

ALLOC_RARE static void note_phi_operands(const struct walk *w, uint32_t n)
{
    struct alloc *a = w->a;
    for (uint32_t k = 0; k < w->b->pred_count; k++) {
        uint32_t number = alloc_operand(a, n, k), often = a->blocks[w->b->preds[k]].often;
        if (number != 0) {
            hint(&a->values[number], a->values[n].hint, often);
            add_weight(&a->values[number],
                       alloc_if(a->values[number].kind == ALLOC_KEPT, alloc_weight(often)));
        }
    }
}

// Operand i. Few branches, as nobody can tell which way they go: what is noted of value 0 means nothing.
static inline void note_operand(const struct walk *w, uint32_t use, const struct alloc_value *user,
                                uint32_t i, uint32_t *place)
{
    struct alloc_value *operand = &w->a->values[*place];
    uint32_t last = operand->last; // upwards the first use in a block is the last one
    last ^= alloc_if(last > w->leaving, last ^ use);
    operand->last = last;
    *place |= (last - use - 1) & ALLOC_LAST; // it is not less than `use`
    if (operand->kind != ALLOC_REMADE || !alloc_is_moved(user->op, operand->op, i)) {
        add_weight(operand, w->weight);
    }
}

static inline void note_operands(const struct walk *w, uint32_t n, const struct alloc_value *user)
{
    uint32_t count = user[1].operands - user->operands, *place = w->a->operands + user->operands;
    for (uint32_t i = 0; i != count; i++) {
        note_operand(w, alloc_use_by(n), user, i, &place[i]);
    }
}

// Registers in which the operands of a call are passed.
static void note_arguments(const struct walk *w, uint32_t n)
{
    struct alloc *a = w->a;
    const struct jit_convention *convention = jit_convention(a->j);
    bool local = a->values[n].op == IR_CALL_LOCAL;
    const uint8_t *arguments = local ? convention->local : convention->helper;
    uint32_t most = local ? ARRAY_SIZE(convention->local) : ARRAY_SIZE(convention->helper);
    uint32_t count = min_u32(alloc_operand_count(a, n), most);
    for (uint32_t i = 0; i < count; i++) {
        hint(&a->values[alloc_operand(a, n, i)], arguments[i], w->often);
    }
}

static void note_needs(const struct walk *w, uint32_t n, const struct jit_constraint *c)
{
    struct alloc *a = w->a;
    uint32_t count = alloc_operand_count(a, n);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = alloc_operand(a, n, i);
        struct alloc_value *operand = &a->values[number];
        if (number == 0) {
            continue;
        }
        operand->forbid |= c->forbid[i];
        hint(operand, c->operand[i], w->often);
        if (c->same == i + 1) {
            note_same(operand, &a->values[n], c->result, w->often);
        }
    }
}

// --- clobbers ------------------------------------------------------------------------------------

static void note_clobbers(const struct walk *w, uint32_t n, uint32_t set)
{
    if (set != 0) {
        w->a->values[n].own = set;
        w->a->values[n].clobber = w->block->clobber;
        w->block->clobber = n;
        w->block->clobbered |= set;
    }
}

// Registers that values of the block before `end` clobber, from the first on that the walk has seen.
static uint32_t clobbers_before(const struct alloc *a, const struct alloc_block *b, uint32_t end)
{
    uint32_t set = 0, count = 0;
    for (uint32_t n = b->clobber; n != 0 && n < end && set != b->clobbered; n = a->values[n].clobber) {
        set |= a->values[n].own;
        if (++count == CLOBBERS) {
            return b->clobbered;
        }
    }
    return set;
}

// Those that they clobber while the value is live, of which all uses in the block were seen.
static inline uint32_t clobbered_by(const struct walk *w, const struct alloc_value *value)
{
    const struct alloc_block *b = w->block;
    if (alloc_use_by(b->clobber) >= value->last) {
        return 0;
    }
    return value->last == w->leaving ? b->clobbered : clobbers_before(w->a, b, value->last / 2);
}

// --- lives ---------------------------------------------------------------------------------------

// The walk is at the definition of a value, which may need a place.
static inline void note_life(const struct walk *w, uint32_t n, struct alloc_value *value)
{
    value->length += alloc_if(value->last <= w->leaving, value->last / 2 - n);
    if (w->block->clobber != 0 && value->last <= w->leaving) {
        value->forbid |= clobbered_by(w, value);
    }
}

// Values that are live at the start of the block, where the walk is now.
static void note_lives(const struct walk *w)
{
    const uint32_t *live = w->a->lives + w->block->live, *end = w->a->lives + w->block->live_end;
    for (; live != end; live++) {
        w->a->values[*live].forbid |= clobbered_by(w, &w->a->values[*live]);
    }
}

// --- the function --------------------------------------------------------------------------------

ALLOC_RARE static void constrain(const struct walk *w, uint32_t n, struct alloc_value *value)
{
    struct jit_constraint c;
    w->a->target->constrain(w->a->j, alloc_ir(w->a, value), &c);
    value->result = c.result;
    value->late = c.late;
    value->same = c.same;
    if (is_call(value->op)) {
        note_arguments(w, n);
    } else {
        note_needs(w, n, &c);
    }
    note_clobbers(w, n, c.clobbers);
}

static bool is_two_address(const struct alloc *a, const struct alloc_value *value)
{
    const struct jit_target *target = a->target;
    return (target->two_address >> value->op & 1) != 0 ||
           ((target->two_address_number >> value->op & 1) != 0 && (alloc_ir(a, value)->flags & IR_IMM) != 0);
}

// What is not plain. False: a PHI, which reads nothing here.
static bool note_special(const struct walk *w, uint32_t n, struct alloc_value *value)
{
    const struct alloc *a = w->a;
    if (value->op == IR_PHI) {
        note_phi_operands(w, n);
        return false;
    }
    if (is_two_address(a, value)) {
        value->same = 1;
        note_same(&a->values[a->operands[value->operands]], value, IR_REG_NONE, w->often);
    } else if (value->op != IR_PARAM) {
        constrain(w, n, value);
    }
    return true;
}

static inline void walk_value(const struct walk *w, uint32_t n, struct alloc_value *value)
{
    note_life(w, n, value);
    // One that only PHIs use which the walk has not seen has none.
    add_weight(value, alloc_if((value->kind == ALLOC_KEPT) & (value->weight != 0), w->weight));
    if ((w->plain >> value->op & 1) != 0 || note_special(w, n, value)) {
        note_operands(w, n, value);
    }
}

static void walk_block(struct alloc *a, uint32_t number)
{
    struct alloc_block *block = &a->blocks[number];
    uint32_t first = block->first, n = block->end;
    const struct walk w = {
        .a = a,
        .b = ir_block_at(a->ir, number),
        .block = block,
        .leaving = alloc_leaving(block->end),
        .often = block->often,
        .weight = alloc_weight(block->often),
        .plain = a->target->plain,
    };
    note_end(&w);
    for (struct alloc_value *value = &a->values[n]; n != first;) {
        walk_value(&w, --n, --value);
    }
    if (block->clobber != 0) {
        note_lives(&w);
    }
    a->clobbered |= block->clobbered;
}

// What a value's uses like is known before its own operands are seen.
static void walk_all(struct alloc *a)
{
    for (uint32_t i = a->ir->order_count; i-- > 0;) {
        walk_block(a, a->ir->order[i]);
    }
    set_value(a->values, IR_NONE, a->ir->top, 0); // as it was
}

static ebpf_result_t prepare(struct alloc *a, const struct alloc_survey *survey)
{
    a->value_count = survey->values + 1;
    a->values = jit_room(a->j, a->value_count + 1, sizeof *a->values);
    a->operands = jit_room(a->j, survey->operands + OPERANDS_BEYOND, sizeof *a->operands);
    a->blocks = jit_room(a->j, a->ir->block_count, sizeof *a->blocks);
    a->loop_registers = jit_room(a->j, a->ir->loop_count + 1, sizeof *a->loop_registers);
    a->exposed = jit_room(a->j, survey->operands + 1, sizeof *a->exposed); // the last one
    bool memory = a->values != NULL && a->operands != NULL && a->blocks != NULL && a->exposed != NULL &&
                  a->loop_registers != NULL;
    return memory ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

// Of the room for exposed values, what is not used goes.
static void number_all(struct alloc *a)
{
    number_values(a);
    note_phis(a);
    jit_rewind(a->j, (size_t)((uint8_t *)(a->exposed + (a->exposed_count + 1) / 2 * 2) - a->j->memory.base));
}

static ebpf_result_t find_lives(struct alloc *a)
{
    bool many = a->ir->flow == NULL;
    if (!many) {
        TRY(alloc_sweep(a, &many));
        if (!many) {
            return EBPF_SUCCESS;
        }
        number_all(a); // anew
    }
    return alloc_follow(a);
}

ebpf_result_t alloc_live(struct alloc *a, const struct alloc_survey *survey)
{
    TRY(prepare(a, survey));
    number_all(a);
    TRY(find_lives(a));
    walk_all(a);
    return EBPF_SUCCESS;
}
