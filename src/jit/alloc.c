// SPDX-License-Identifier: MIT
// alloc: the pass that gives every value its place, and what the emitter asks afterwards.
#include "jit/alloc.h"

// Of 8 bytes. Kernel stacks are small, and eight functions may be under way.
#define SLOTS_MAX 96

static uint32_t limit(uint32_t registers, const struct jit *j)
{
    uint32_t left = j->options->registers, others = registers;
    if (left == 0) {
        return registers;
    }
    for (; others != 0 && left != 0; left--) {
        others &= ~REG_SET(jit_preferred(j->target, others));
    }
    return registers & ~others;
}

// --- result --------------------------------------------------------------------------------------

static void write_places(struct alloc *a)
{
    struct ir_value *top = a->ir->top;
    const struct alloc_value *value = &a->values[1], *end = a->values + a->value_count;
    for (; value < end; value++) {
        struct ir_value *v = top - value->value;
        ir_prefetch(v);
        v->slot = value->slot;
        v->reg = value->reg;
    }
}

static ebpf_result_t find_places(struct jit *j, const struct alloc_survey *survey,
                                 struct alloc_result *result)
{
    struct alloc a = {.j = j, .ir = &j->ir, .target = j->target};
    size_t mark = j->memory.used;
    TRY(alloc_live(&a, survey));
    uint32_t given =
        alloc_scan(&a, limit(j->target->allocatable, j), limit(j->target->allocatable_spills, j));
    if (a.spilled != 0) {
        TRY(alloc_slots(&a));
    }
    result->used = given | a.clobbered;
    result->slot_count = a.slot_count;
    result->spilled = a.spilled != 0;
    write_places(&a);
    TRY(alloc_hoist(&a));
    jit_rewind(j, mark);
    if (a.slot_count > SLOTS_MAX) {
        j->crowded = true;
        return jit_refuse(j, ir_block_at(&j->ir, j->ir.entry)->pc);
    }
    return EBPF_SUCCESS;
}

// --- blocks that are not needed ------------------------------------------------------------------

static bool edge_moves(const struct ir *ir, const struct ir_block *b)
{
    const struct ir_block *to = ir_block_at(ir, b->succ[0]);
    for (uint32_t v = to->first; ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
        struct jit_location place = alloc_location(ir, v);
        struct jit_location from = alloc_location(ir, ir_pool(ir, ir_at(ir, v))[b->edge]);
        if (place.place != PLACE_NONE && from.place != PLACE_NONE && !alloc_same_place(&place, &from)) {
            return true;
        }
    }
    return false;
}

// The block does nothing, so that its predecessor can go to its successor.
static bool can_bypass(const struct ir *ir, uint32_t block, const struct ir_block *b)
{
    return block != ir->entry && ir_at(ir, b->last)->op == IR_JUMP && b->pred_count == 1 &&
           b->succ[0] != block && !edge_moves(ir, b);
}

static void bypass(const struct ir *ir, uint32_t block, const struct ir_block *b)
{
    struct ir_block *pred = ir_block_at(ir, b->preds[0]);
    alloc_redirect(pred, block, b->succ[0]);
    pred->edge = b->edge;
    ir_block_at(ir, b->succ[0])->preds[b->edge] = b->preds[0];
}

static void bypass_all(struct ir *ir)
{
    struct ir_block *blocks = ir->blocks;
    uint32_t count = 0, *order = ir->order;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t block = order[i];
        struct ir_block *b = &blocks[block];
        if (b->first == b->last && can_bypass(ir, block, b)) {
            bypass(ir, block, b);
            b->order = UINT32_MAX;
        } else {
            b->order = count;
            order[count++] = block;
        }
    }
    ir->order_count = count;
}

// --- doors ---------------------------------------------------------------------------------------

ebpf_result_t alloc_registers(struct jit *j)
{
    j->ir.placed = true;
    j->allocation = jit_alloc(j, 1, sizeof *j->allocation);
    if (j->allocation == NULL) {
        return EBPF_NO_MEMORY;
    }
    struct alloc_survey survey;
    TRY(alloc_sink(j, &survey));
    j->allocation->ops = survey.ops;
    j->allocation->calls = survey.calls;
    TRY(find_places(j, &survey, j->allocation));
    bypass_all(&j->ir);
#if !defined(NDEBUG)
    uint32_t where;
    const char *wrong = alloc_check(j, &where);
    if (wrong != NULL && wrong[0] != '\0') {
        __builtin_trap();
    }
#endif
    return EBPF_SUCCESS;
}
