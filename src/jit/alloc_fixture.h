// SPDX-License-Identifier: MIT
// alloc_fixture: a made-up machine and functions for the tests of the allocator. The machine has 6 registers;
// calls destroy 0 to 3; division is fixed to 0 and 1, shifts count in 2, and a subtraction may not overwrite
// what it subtracts. A wrong place is found by alloc_check, which looks at every function that tests
// allocate.
#pragma once

#include "jit/alloc.h"
#include "tests/test.h"

#define TOY_REGISTERS 6

static _Alignas(16) uint8_t fixture_workspace[4 << 20];
static struct jit fixture_jit;
static struct jit_options fixture_options;
static const struct jit_target *fixture_target; // NULL: toy_target

static inline void toy_constrain(const struct jit *j, const struct ir_value *v, struct jit_constraint *out)
{
    UNUSED(j);
    *out = (struct jit_constraint){.result = IR_REG_NONE};
    memset(out->operand, IR_REG_NONE, sizeof out->operand);
    switch (v->op) {
    case IR_CALL:
    case IR_CALL_LOCAL:
        out->clobbers = 0x0f;
        out->result = 0;
        break;
    case IR_UDIV:
    case IR_UMOD:
        out->clobbers = 0x03;
        out->forbid[1] = 0x03;
        out->operand[0] = 0;
        out->result = v->op == IR_UDIV ? 0 : 1;
        break;
    case IR_SHL:
        out->clobbers = (v->flags & IR_IMM) != 0 ? 0 : 0x04;
        out->operand[1] = (v->flags & IR_IMM) != 0 ? IR_REG_NONE : 2;
        out->same = 1;
        break;
    case IR_SUB:
        out->late = 2;
        out->same = 1;
        break;
    case IR_ADD:
    case IR_XOR: out->same = 1; break;
    case IR_RET: out->operand[0] = 0; break;
    default: break;
    }
}

static const struct jit_target toy_target = {
    .name = "toy",
    .register_count = TOY_REGISTERS,
    .allocatable = 0x3f,
    .allocatable_spills = 0x1f,
    .constrain = toy_constrain,
};

// An empty function for the toy machine.
static inline void fixture_begin(void)
{
    fixture_jit = (struct jit){.options = &fixture_options,
                               .target = fixture_target != NULL ? fixture_target : &toy_target};
    fixture_options.passes = JIT_ALL_PASSES;
    REQUIRE_OK(jit_begin(&fixture_jit, fixture_workspace, sizeof fixture_workspace));
    jit_begin_function(&fixture_jit, 0);
}

// The function that the text describes, with order and loops known; false (and a failed check): it cannot be
// read.
static inline bool fixture_parse(const char *text)
{
    uint32_t line = 0, where;
    fixture_begin();
    ebpf_result_t result = ir_parse(&fixture_jit, text, &line);
    if (result == EBPF_SUCCESS) {
        result = ir_find_order(&fixture_jit);
    }
    if (result == EBPF_SUCCESS) {
        result = ir_find_loops(&fixture_jit);
    }
    const char *wrong = result == EBPF_SUCCESS ? ir_check(&fixture_jit, &where) : "it cannot be read";
    if (wrong != NULL) {
        test_fail(__FILE__, __LINE__, "line %u: %s", line, wrong);
    }
    return wrong == NULL;
}

// alloc_layout and alloc_registers; what alloc_check says. NULL: all is right.
static inline const char *fixture_allocate(void)
{
    uint32_t where;
    ir_count_uses(&fixture_jit.ir);
    if (alloc_layout(&fixture_jit) != EBPF_SUCCESS || ir_check(&fixture_jit, &where) != NULL) {
        return "the layout failed";
    }
    if (alloc_registers(&fixture_jit) != EBPF_SUCCESS) {
        return "the allocation failed";
    }
    return alloc_check(&fixture_jit, &where);
}

// How many moves are on the edges of the function.
static inline uint32_t fixture_edge_moves(void)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < fixture_jit.ir.order_count; i++) {
        struct jit_move *moves;
        uint32_t count = 0;
        CHECK_OK(alloc_edge_moves(&fixture_jit, fixture_jit.ir.order[i], 31, &moves, &count));
        all += count;
    }
    return all;
}

// --- random functions ----------------------------------------------------------------------------

static uint64_t fixture_state;
static bool fixture_forward; // no loops

static inline uint32_t fixture_pick(uint32_t count)
{
    fixture_state += 0x9e3779b97f4a7c15;
    uint64_t z = (fixture_state ^ fixture_state >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)((z ^ z >> 31) % count);
}

static inline void fixture_link_forward(struct ir_block *b, uint32_t block, uint32_t count)
{
    b->succ[0] = block + 1 + fixture_pick(min_u32(count - block, 4));
    if (fixture_pick(3) != 0) {
        b->succ[1] = block + 1 + fixture_pick(min_u32(count - block, 12));
    }
}

static inline void fixture_link_block(struct ir *ir, uint32_t block, uint32_t count)
{
    struct ir_block *b = ir_block_at(ir, block);
    uint32_t way = fixture_pick(8);
    if (block == count || way == 0) {
        return; // RET
    }
    if (fixture_forward) {
        fixture_link_forward(b, block, count);
        return;
    }
    b->succ[0] = way < 6 ? block + 1 : 2 + fixture_pick(count - 1);
    if (way % 2 != 0) { // often back to where it came from
        uint32_t back = block - fixture_pick(min_u32(block - 1, 3) + 1);
        b->succ[1] = fixture_pick(2) == 0 || back == 1 ? 2 + fixture_pick(count - 1) : back;
    }
    if (b->succ[1] != IR_NONE && fixture_pick(8) == 0) {
        b->succ[0] = b->succ[1];
    }
}

static inline void fixture_link_all(struct ir *ir)
{
    for (uint32_t block = 1; block < ir->block_count; block++) {
        struct ir_block *b = ir_block_at(ir, block);
        b->cold = block != 1 && fixture_pick(8) == 0;
        for (uint32_t i = 0; i < ir_successor_count(b); i++) {
            ir_block_at(ir, b->succ[i])->pred_count++;
        }
    }
    for (uint32_t block = 1; block < ir->block_count; block++) {
        struct ir_block *b = ir_block_at(ir, block);
        b->preds = jit_alloc(&fixture_jit, b->pred_count + 1, sizeof *b->preds);
        b->pred_count = 0;
    }
    for (uint32_t block = 1; block < ir->block_count; block++) {
        struct ir_block *b = ir_block_at(ir, block);
        for (uint32_t i = 0; i < ir_successor_count(b); i++) {
            struct ir_block *to = ir_block_at(ir, b->succ[i]);
            to->preds[to->pred_count++] = block;
        }
    }
}

// A value that is there at the end of `block`, as far as it has been filled: the last ones more often.
static inline uint32_t fixture_any_value(const struct ir *ir, uint32_t block)
{
    for (uint32_t tries = 0; tries < 64; tries++) {
        uint32_t back = fixture_pick(4) == 0 ? fixture_pick(ir->value_count - 1)
                                             : fixture_pick(min_u32(ir->value_count - 1, 12));
        uint32_t value = ir->value_count - 1 - back;
        const struct ir_value *v = ir_at(ir, value);
        if (value != IR_NONE && v->block != IR_NONE && v->op != IR_STORE &&
            (ir_op_info(v->op)->flags & IR_END) == 0 && ir_dominates(ir, v->block, block)) {
            return value;
        }
    }
    return 1; // PARAM
}

static inline void fixture_append(struct ir *ir, uint32_t block, uint32_t value)
{
    REQUIRE(value != IR_NONE);
    ir_append(ir, block, value);
}

static inline void fixture_add_call(struct ir *ir, uint32_t block)
{
    uint32_t *list = jit_alloc(&fixture_jit, 6, sizeof *list), count = fixture_pick(7);
    for (uint32_t i = 0; i < count; i++) {
        list[i] = fixture_any_value(ir, block);
    }
    fixture_append(ir, block, ir_new(&fixture_jit, IR_CALL, 64, ir_pool_index(ir, list), count, 1));
}

static inline void fixture_add_operation(struct ir *ir, uint32_t block)
{
    static const uint8_t ops[] = {IR_ADD,   IR_XOR, IR_SUB,    IR_SUB,   IR_UDIV,  IR_UMOD,
                                  IR_SHL,   IR_SHL, IR_SELECT, IR_CONST, IR_STORE, IR_CALL,
                                  IR_FRAME, IR_MAP, IR_UNDEF,  IR_LEA,   IR_ADD};
    uint8_t op = ops[fixture_pick(ARRAY_SIZE(ops))];
    if (op == IR_CALL) {
        fixture_add_call(ir, block);
        return;
    }
    uint32_t letters = (uint32_t)ir_operand_count(&(struct ir_value){.op = op}), operands[4] = {0};
    for (uint32_t i = 0; i < letters; i++) {
        operands[i] = fixture_any_value(ir, block);
    }
    uint32_t value = ir_new(&fixture_jit, (enum ir_op)op, 64, operands[0], operands[1], 0);
    struct ir_value *v = ir_at(ir, value);
    v->c = operands[2];
    v->d = operands[3];
    v->cwidth = 64;
    if (op == IR_LEA) {
        v->b = IR_NONE;
        v->disp = 8;
    }
    if (op == IR_SHL && fixture_pick(2) == 0) {
        v->b = IR_NONE;
        v->flags = IR_IMM;
        v->imm = 3;
    }
    fixture_append(ir, block, value);
}

static inline void fixture_fill_block(struct ir *ir, uint32_t block, uint32_t length)
{
    const struct ir_block *b = ir_block_at(ir, block);
    for (uint32_t i = block == ir->entry ? 5 : 0; i-- > 0;) {
        fixture_append(ir, block, ir_new(&fixture_jit, IR_PARAM, 64, IR_NONE, IR_NONE, i));
    }
    for (uint32_t i = b->pred_count > 1 ? fixture_pick(5) : 0; i-- > 0;) {
        uint32_t *list = jit_alloc(&fixture_jit, b->pred_count, sizeof *list);
        fixture_append(ir, block,
                       ir_new(&fixture_jit, IR_PHI, 64, ir_pool_index(ir, list), b->pred_count, 0));
    }
    for (uint32_t i = fixture_pick(length) + 1; i-- > 0;) {
        fixture_add_operation(ir, block);
    }
    uint32_t count = ir_successor_count(b), value = fixture_any_value(ir, block);
    enum ir_op op = count == 0 ? IR_RET : count == 1 ? IR_JUMP : IR_BRANCH;
    uint32_t end = ir_new(&fixture_jit, op, 64, count == 1 ? IR_NONE : value, IR_NONE, 0);
    if (op == IR_BRANCH) {
        ir_at(ir, end)->b = fixture_any_value(ir, block);
        ir_at(ir, end)->cwidth = 64;
        ir_at(ir, end)->flags = fixture_pick(8) == 0 ? IR_COLD : 0;
    }
    fixture_append(ir, block, end);
}

static inline void fixture_fill_phis(struct ir *ir)
{
    for (uint32_t v = 1; v < ir->value_count; v++) {
        struct ir_value *value = ir_at(ir, v);
        for (uint32_t k = 0; value->op == IR_PHI && k < value->b; k++) {
            ir_pool(ir, value)[k] = fixture_any_value(ir, ir_block_at(ir, value->block)->preds[k]);
        }
    }
}

// A function with `blocks` blocks of `length` operations each: any graph, loops with two entries too.
static inline void fixture_random(uint64_t seed, uint32_t blocks, uint32_t length)
{
    fixture_state = seed;
    fixture_begin();
    struct ir *ir = &fixture_jit.ir;
    for (uint32_t i = 0; i < blocks; i++) {
        REQUIRE(ir_new_block(&fixture_jit, i) != IR_NONE);
    }
    ir->entry = 1;
    for (uint32_t i = 1; i <= blocks; i++) {
        fixture_link_block(ir, i, blocks);
    }
    fixture_link_all(ir);
    REQUIRE_OK(ir_find_order(&fixture_jit));
    REQUIRE_OK(ir_find_loops(&fixture_jit));
    for (uint32_t i = 0; i < ir->order_count; i++) {
        fixture_fill_block(ir, ir->order[i], length);
    }
    fixture_fill_phis(ir);
}
