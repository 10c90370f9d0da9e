// SPDX-License-Identifier: MIT
// alloc_live: numbers the values of a function; then one walk from the last to the first weighs them, asks
// the target what each operation needs, and at a definition knows all uses: most are in the same block, from
// the others the value is followed up to its definition.
#include "jit/alloc.h"
#include "jit/ir_text.h"

#define OFTEN          4 // alloc_block.often of blocks that are in no loop and not cold
#define OFTEN_LOOP     3 // more in a loop: it runs about 8 times
#define OFTEN_DEPTHS   4
#define WEIGHT_MAX     0x40000000u
#define NODES_A_BLOCK  64 // values live at the start of a block, on average; more only in made-up programs
#define NODES_AT_LEAST 4096
#define NODES_A_CHUNK  64 // at most
#define SCAN_CLOBBERS  64 // that are looked at one by one

// --- numbers -------------------------------------------------------------------------------------

static uint32_t how_often(const struct ir_block *b)
{
    uint32_t depth = b->depth < OFTEN_DEPTHS ? b->depth : OFTEN_DEPTHS;
    return b->cold ? 0 : OFTEN + depth * OFTEN_LOOP;
}

// Those of PHIs may have no number yet: there is room for them. UNDEF is never used.
static inline uint32_t *number_operands(const struct ir *ir, const struct ir_value *top,
                                        const struct ir_value *v, uint32_t *to)
{
    const struct ir_op_info *info = ir_op_info(v->op);
    const uint32_t *operand = &v->a;
    uint32_t count = info->count;
    if (info->operands[0] == 'p') {
        operand = ir_pool(ir, v);
        count = v->b;
        if (v->op == IR_PHI) {
            return to + count;
        }
    }
    for (const uint32_t *end = operand + count; operand != end; operand++) {
        *to++ = (top - *operand)->slot;
    }
    return to;
}

// One by one: the compiler would clear the rest of a whole record in a loop.
static inline void set_value(struct alloc_value *value, uint32_t v, uint8_t op, uint32_t operands)
{
    value->value = v;
    value->operands = operands;
    value->forbid = 0;
    value->weight = 0;
    value->length = 0;
    value->phi = 0;
    value->seen = 0;
    value->last = 0;
    value->uses = 0;
    value->reg = IR_REG_NONE;
    value->hint = IR_REG_NONE;
    value->result = IR_REG_NONE;
    value->late = 0;
    value->same = 0;
    value->kind = ALLOC_ABSENT;
    value->alone = false;
    value->op = op;
}

static inline void set_block(struct alloc_block *block, uint32_t first, uint32_t often)
{
    block->first = first;
    block->clobbered = 0;
    block->clobber = 0;
    block->live = 0;
    block->entered = 0;
    block->left = 0;
    block->often = often;
}

ALLOC_RARE static void number_values(struct alloc *a)
{
    const struct ir *ir = a->ir;
    struct ir_value *top = ir->top;
    uint32_t n = 1, *to = a->operands;
    const uint32_t *start = to;
    struct alloc_value *value = a->values;
    top->slot = 0; // of IR_NONE
    set_value(value++, IR_NONE, IR_NOP, 0);
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        struct alloc_block *block = &a->blocks[ir->order[i]];
        set_block(block, n, how_often(b));
        b->mark = 0;
        for (uint32_t number = b->first; number != IR_NONE; n++) {
            struct ir_value *v = top - number;
            ir_prefetch(v);
            set_value(value++, number, v->op, (uint32_t)(to - start));
            v->slot = v->op != IR_UNDEF ? n : 0;
            to = number_operands(ir, top, v, to);
            number = v->next;
        }
        block->end = n;
    }
    set_value(value, IR_NONE, IR_NOP, (uint32_t)(to - start));
}

// PHIs like their operands to be where they are, on the most frequent edge first.
static void note_phi(struct alloc *a, uint32_t phi, const struct ir_block *b)
{
    const uint32_t *list = ir_pool(a->ir, alloc_ir(a, &a->values[phi]));
    uint32_t *operands = a->operands + a->values[phi].operands;
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
    uint32_t number;        // of the block
    uint32_t first;         // its first value
    uint32_t often, weight; // of it
    uint64_t plain;         // of the target
};

ALLOC_RARE static bool more_uses(struct alloc *a)
{
    const struct alloc_use *uses = jit_room(a->j, a->chunk, sizeof *uses);
    if (uses == NULL) {
        a->full = true;
        return false;
    }
    a->use = (uint32_t)((const uint32_t *)uses - (const uint32_t *)(const void *)a->j->memory.base);
    a->use_end = a->use + a->chunk * (uint32_t)(sizeof *uses / sizeof(uint32_t));
    return true;
}

static inline void add_use(const struct walk *w, struct alloc_value *operand, uint32_t user)
{
    struct alloc *a = w->a;
    if (a->use != a->use_end || more_uses(a)) {
        *alloc_use_at(a, a->use) = (struct alloc_use){user, w->number, operand->uses};
        operand->uses = a->use;
        a->use += (uint32_t)(sizeof(struct alloc_use) / sizeof(uint32_t));
    }
}

// What the PHIs of the only successor take.
static void note_end(const struct walk *w)
{
    struct alloc *a = w->a;
    if (ir_successor_count(w->b) != 1) {
        return;
    }
    for (uint32_t n = a->blocks[ir_successor(w->b, 0)].first; a->values[n].op == IR_PHI; n++) {
        uint32_t operand = alloc_operand(a, n, w->b->edge);
        if (operand != 0) {
            add_use(w, &a->values[operand], 0);
        }
    }
}

// --- wishes and needs ----------------------------------------------------------------------------

static inline void add_weight(struct alloc_value *value, uint32_t weight)
{
    uint32_t sum = value->weight + weight;
    value->weight = sum < WEIGHT_MAX ? sum : WEIGHT_MAX;
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

static inline void note_kind(struct alloc_value *operand, unsigned op, uint32_t i, uint32_t weight)
{
    if (!alloc_is_remade(operand->op)) {
        operand->kind = ALLOC_KEPT;
    } else if (alloc_is_moved(op, operand->op, i)) {
        return;
    } else {
        operand->kind = ALLOC_REMADE;
    }
    add_weight(operand, weight);
}

ALLOC_RARE static void note_phi_operands(const struct walk *w, uint32_t n)
{
    struct alloc *a = w->a;
    for (uint32_t k = 0; k < w->b->pred_count; k++) {
        uint32_t number = alloc_operand(a, n, k), often = a->blocks[w->b->preds[k]].often;
        if (number != 0) {
            hint(&a->values[number], a->values[n].hint, often);
            note_kind(&a->values[number], IR_PHI, k, alloc_weight(often));
        }
    }
}

static inline void note_operands(const struct walk *w, uint32_t n, const struct alloc_value *user)
{
    struct alloc_value *values = w->a->values;
    uint32_t *place = w->a->operands + user->operands, *end = w->a->operands + user[1].operands;
    uint32_t weight = w->weight, block = w->number, first = w->first;
    unsigned op = user->op;
    for (uint32_t i = 0; place != end; i++, place++) {
        uint32_t number = *place;
        if (number == 0) {
            continue;
        }
        struct alloc_value *operand = &values[number];
        note_kind(operand, op, i, weight);
        if (operand->seen != block) { // upwards the first use in a block is the last one
            operand->seen = block;
            operand->last = n;
            *place = number | ALLOC_LAST;
            if (number < first) {
                add_use(w, operand, n);
            }
        } else if (operand->last == n) {
            *place = number | ALLOC_LAST;
        }
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

// --- lives ---------------------------------------------------------------------------------------

// The walk is at the definition of a value that needs a place.
static inline void note_life(const struct walk *w, uint32_t n, struct alloc_value *value)
{
    uint32_t end = n;
    if (value->seen == w->number) {
        value->forbid |= alloc_clobbered_by(w->a, w->block, value->last);
        end = value->last;
    }
    if (value->uses != 0) {
        alloc_follow(w->a, n, w->number);
        end = w->block->left == n ? w->block->end : end;
    }
    value->length += end - n;
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
    if (value->kind != ALLOC_ABSENT || (value->uses != 0 && !alloc_is_remade(value->op))) {
        note_life(w, n, value);
    }
    value->uses = 0; // no slot yet
    if (value->kind == ALLOC_KEPT) {
        add_weight(value, w->weight);
    }
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
        .number = number,
        .first = first,
        .often = block->often,
        .weight = alloc_weight(block->often),
        .plain = a->target->plain,
    };
    note_end(&w);
    for (struct alloc_value *value = &a->values[n]; n != first;) {
        walk_value(&w, --n, --value);
    }
    a->clobbered |= block->clobbered;
}

// What a value's uses like is known before its own operands are seen.
static ebpf_result_t walk_all(struct alloc *a)
{
    a->stack[0] = IR_NONE;
    for (uint32_t i = a->ir->order_count; i-- > 0 && !a->full;) {
        walk_block(a, a->ir->order[i]);
    }
    return a->full ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

static ebpf_result_t prepare(struct alloc *a, const struct alloc_survey *survey)
{
    a->value_count = survey->values + 1;
    a->values = jit_room(a->j, a->value_count + 1, sizeof *a->values);
    a->operands = jit_room(a->j, survey->operands + 1, sizeof *a->operands);
    a->blocks = jit_room(a->j, a->ir->block_count, sizeof *a->blocks);
    a->stack = jit_room(a->j, a->ir->block_count + 1, sizeof *a->stack);
    a->loop_registers = jit_room(a->j, a->ir->loop_count + 1, sizeof *a->loop_registers);
    a->chunk = min_u32(2 + survey->values / 16, NODES_A_CHUNK);
    a->nodes_left = NODES_AT_LEAST + NODES_A_BLOCK * a->ir->order_count;
    bool memory = a->values != NULL && a->operands != NULL && a->blocks != NULL && a->stack != NULL &&
                  a->loop_registers != NULL;
    return memory ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

ebpf_result_t alloc_live(struct alloc *a, const struct alloc_survey *survey)
{
    TRY(prepare(a, survey));
    number_values(a);
    note_phis(a);
    return walk_all(a);
}
