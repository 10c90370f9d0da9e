// SPDX-License-Identifier: MIT
// build_vars: where variables need PHIs: at a join at which they live, when the values that come in differ,
// or, as not all of them are known at the head of a loop, when the loop writes them. What edges backwards
// bring is filled in at the end. Registers of the program and slots of its stack both become values this way.
#include "jit/build.h"

ebpf_result_t build_vars_init(struct build_vars *vars, struct jit *j, uint32_t count, uint32_t blocks)
{
    vars->j = j;
    vars->count = count;
    vars->left = vars->first_phi = vars->last_phi = IR_NONE;
    vars->in = jit_room(j, blocks, sizeof(*vars->in));
    vars->def = jit_room(j, blocks, sizeof(*vars->def));
    vars->mods = jit_room(j, blocks, sizeof(*vars->mods)); // there are no more loops
    vars->out = jit_room(j, (size_t)blocks * count, sizeof(*vars->out));
    bool full = vars->in == NULL || vars->def == NULL || vars->mods == NULL || vars->out == NULL;
    return full ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

// From the last block to the first: a loop's head comes when all of its other blocks were there.
void build_vars_find_mods(struct build_vars *vars)
{
    const struct ir *ir = &vars->j->ir;
    memset(vars->mods, 0, ir->loop_count * sizeof(*vars->mods));
    for (uint32_t i = ir->order_count; i-- > 0 && ir->loop_count > 1;) {
        uint32_t at = ir->order[i], loop = ir_block_at(ir, at)->loop;
        vars->mods[loop] |= vars->def[at];
        if (loop != IR_NONE && ir->loops[loop].head == at) {
            vars->mods[ir->loops[loop].parent] |= vars->mods[loop];
        }
    }
}

// Variables that may change on the ways back to `at`: none when no way back leads there, all of them when one
// comes from outside of a loop that `at` heads.
static uint64_t unknown_at(const struct build_vars *vars, uint32_t at)
{
    const struct ir *ir = &vars->j->ir;
    const struct ir_block *block = ir_block_at(ir, at);
    bool heads = block->loop != IR_NONE && ir->loops[block->loop].head == at, back = false;
    for (uint32_t p = 0; p < block->pred_count; p++) {
        uint32_t pred = block->preds[p];
        if (ir_block_at(ir, pred)->order < block->order) {
            continue;
        }
        if (!heads || !ir_dominates(ir, at, pred)) {
            return UINT64_MAX;
        }
        back = true;
    }
    return back ? vars->mods[block->loop] : 0;
}

static const uint32_t *values_behind(const struct build_vars *vars, uint32_t block)
{
    return vars->out + (size_t)block * vars->count;
}

// Those of `alive` whose values differ between the predecessors that are done; *values: behind the first one.
static uint64_t differing(const struct build_vars *vars, const struct ir_block *block, uint64_t alive,
                          const uint32_t **values)
{
    uint64_t differ = 0;
    *values = NULL;
    for (uint32_t p = 0; p < block->pred_count; p++) {
        uint32_t pred = block->preds[p];
        if (ir_block_at(&vars->j->ir, pred)->order >= block->order) {
            continue;
        }
        const uint32_t *others = values_behind(vars, pred);
        *values = *values == NULL ? others : *values;
        for (uint64_t left = others == *values ? 0 : alive & ~differ; left != 0; left &= left - 1) {
            unsigned var = (unsigned)__builtin_ctzll(left);
            differ |= (uint64_t)((*values)[var] != others[var]) << var;
        }
    }
    return differ;
}

// Its operands come when all blocks are done; until then `imm` has the variable, and `a` is the next one.
static uint32_t make_phi(struct build_vars *vars, uint32_t at, uint32_t var)
{
    struct ir *ir = &vars->j->ir;
    const struct ir_block *block = ir_block_at(ir, at);
    uint32_t phi = ir_new(vars->j, IR_PHI, 64, IR_NONE, block->pred_count, var);
    if (phi == IR_NONE) {
        return IR_NONE;
    }
    ir_at(ir, phi)->pc = block->pc;
    ir_insert_after(ir, at, IR_NONE, phi);
    *(vars->last_phi == IR_NONE ? &vars->first_phi : &ir_at(ir, vars->last_phi)->a) = phi;
    vars->last_phi = phi;
    vars->operand_count += block->pred_count;
    return phi;
}

bool build_vars_join(struct build_vars *vars, uint32_t at)
{
    const struct ir_block *block = ir_block_at(&vars->j->ir, at);
    uint64_t alive = vars->in[at] & (((uint64_t)1 << vars->count) - 1);
    const uint32_t *values;
    uint64_t joined = unknown_at(vars, at) | differing(vars, block, alive, &values);
    for (uint64_t left = alive; left != 0; left &= left - 1) {
        unsigned var = (unsigned)__builtin_ctzll(left);
        uint32_t value = (joined >> var & 1) != 0 ? make_phi(vars, at, var) : values[var];
        if (value == IR_NONE) {
            return false;
        }
        vars->now[var] = value;
    }
    return true;
}

void build_vars_leave(struct build_vars *vars, uint32_t at)
{
    memcpy(vars->out + (size_t)at * vars->count, vars->now, vars->count * sizeof(*vars->now));
    vars->left = at;
}

static void fill_phi(const struct build_vars *vars, struct ir_value *phi, uint32_t *list)
{
    const struct ir_block *block = ir_block_at(&vars->j->ir, phi->block);
    for (uint32_t p = 0; p < block->pred_count; p++) {
        list[p] = vars->out[(size_t)block->preds[p] * vars->count + (size_t)phi->imm];
    }
    phi->a = ir_pool_index(&vars->j->ir, list);
    phi->imm = 0;
}

ebpf_result_t build_vars_fill(struct build_vars *vars)
{
    const struct ir *ir = &vars->j->ir;
    uint32_t *list = jit_room(vars->j, vars->operand_count, sizeof(*list));
    if (list == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t v = vars->first_phi; v != IR_NONE;) {
        struct ir_value *phi = ir_at(ir, v);
        v = phi->a;
        fill_phi(vars, phi, list);
        list += phi->b;
    }
    return EBPF_SUCCESS;
}
