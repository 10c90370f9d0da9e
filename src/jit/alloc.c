// SPDX-License-Identifier: MIT
// alloc: the pass that gives every value its place, and what the emitter asks afterwards.
#include "jit/alloc.h"

// Of 8 bytes. Kernel stacks are small, and eight functions may be under way.
#define SLOTS_MAX 96

static uint32_t limit(uint32_t registers, const struct jit *j)
{
    const uint8_t *order = j->target->preference;
    uint32_t left = j->options->registers, set = 0;
    if (left == 0) {
        return registers;
    }
    for (uint32_t i = 0; i < (uint32_t)__builtin_popcount(j->target->allocatable) && left != 0; i++) {
        if ((registers & REG_SET(order[i])) != 0) {
            set |= REG_SET(order[i]);
            left--;
        }
    }
    return set;
}

// --- result --------------------------------------------------------------------------------------

static void write_places(struct alloc *a, struct alloc_result *result)
{
    for (uint32_t n = 1; n < a->value_count; n++) {
        struct ir_value *v = alloc_ir(a, &a->values[n]);
        __builtin_prefetch(alloc_ir(a, &a->values[min_u32(n + IR_AHEAD / 2, a->value_count)]));
        v->slot = a->values[n].slot;
        v->reg = a->values[n].reg;
        result->used |= v->reg != IR_REG_NONE ? REG_SET(v->reg) : 0;
    }
    result->used |= a->clobbered;
    result->slot_count = a->slot_count;
    result->spilled = a->spilled != 0;
}

static ebpf_result_t find_places(struct jit *j, const struct alloc_survey *survey,
                                 struct alloc_result *result)
{
    struct alloc a = {.j = j, .ir = &j->ir, .target = j->target};
    size_t mark = j->memory.used;
    TRY(alloc_live(&a, survey));
    alloc_scan(&a, limit(j->target->allocatable, j));
    if (a.spilled != 0) {
        alloc_scan(&a, limit(j->target->allocatable_spills, j));
        result->spilled = true;
        TRY(alloc_slots(&a));
    }
    write_places(&a, result);
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

// Takes the block out when it does nothing: its predecessor goes to its successor.
static bool bypass(struct ir *ir, uint32_t block)
{
    const struct ir_block *b = ir_block_at(ir, block);
    if (block == ir->entry || b->first != b->last || ir_at(ir, b->last)->op != IR_JUMP ||
        b->pred_count != 1 || b->succ[0] == block || edge_moves(ir, b)) {
        return false;
    }
    struct ir_block *pred = ir_block_at(ir, b->preds[0]);
    alloc_redirect(pred, block, b->succ[0]);
    pred->edge = b->edge;
    ir_block_at(ir, b->succ[0])->preds[b->edge] = b->preds[0];
    return true;
}

static void bypass_all(struct ir *ir)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t block = ir->order[i];
        if (bypass(ir, block)) {
            ir_block_at(ir, block)->order = UINT32_MAX;
        } else {
            ir_block_at(ir, block)->order = count;
            ir->order[count++] = block;
        }
    }
    ir->order_count = count;
}

// --- doors ---------------------------------------------------------------------------------------

ebpf_result_t alloc_registers(struct jit *j)
{
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
