// SPDX-License-Identifier: MIT
// opt_random: random functions of the intermediate form, in the shapes that compilers make of C: diamonds,
// counted loops, idioms. For tests.
#pragma once

#include "jit/opt_fixture.h"

enum { RANDOM_LIVE = 256, RANDOM_DEPTH = 3 };

struct random_function {
    uint64_t state;
    uint32_t block; // at work
    uint32_t live[RANDOM_LIVE], live_count;
    uint32_t budget; // operations that are left
};

static inline uint64_t random_next(struct random_function *r)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return r->state >> 33 ^ r->state << 13;
}
static inline uint32_t random_below(struct random_function *r, uint32_t n)
{
    return (uint32_t)((random_next(r) >> 16) % n);
}

static inline uint32_t random_value(struct random_function *r)
{
    if (random_below(r, 3) != 0 && r->live_count > 6) { // a young one
        return r->live[r->live_count - 1 - random_below(r, 6)];
    }
    return r->live[random_below(r, r->live_count)];
}

static inline uint32_t random_emit(struct random_function *r, enum ir_op op, unsigned width, uint32_t a,
                                   uint32_t b, int64_t imm)
{
    uint32_t v = ir_new(&fixture, op, (uint8_t)width, a, b, imm);
    ir_append(&fixture.ir, r->block, v);
    return v;
}
static inline uint32_t random_keep(struct random_function *r, uint32_t value)
{
    if (r->live_count < RANDOM_LIVE) {
        r->live[r->live_count++] = value;
    } else {
        r->live[random_below(r, RANDOM_LIVE)] = value;
    }
    return value;
}

static inline uint32_t random_const(struct random_function *r, int64_t imm)
{
    return random_emit(r, IR_CONST, 64, IR_NONE, IR_NONE, imm);
}

static inline int64_t random_number(struct random_function *r)
{
    static const int64_t special[] = {
        0,           1,         2,         3,          -1,         -2,        7,          8,
        16,          31,        32,        33,         63,         64,        65,         255,
        256,         65535,     65536,     1000,       INT32_MAX,  INT32_MIN, UINT32_MAX, 4294967296,
        -4294967296, INT64_MAX, INT64_MIN, 0xfffffff0, 0x80000000, -128,      10};
    switch (random_below(r, 4)) {
    case 0: return (int64_t)random_next(r) >> random_below(r, 64);
    case 1: return (int64_t)random_below(r, 64);
    default: return special[random_below(r, ARRAY_SIZE(special))];
    }
}

static inline uint32_t random_operand(struct random_function *r)
{
    return random_below(r, 3) == 0 ? random_const(r, random_number(r)) : random_value(r);
}

static inline unsigned random_width(struct random_function *r)
{
    return random_below(r, 2) == 0 ? 32 : 64;
}

static inline uint32_t random_small(struct random_function *r, uint32_t value)
{
    switch (random_below(r, 5)) {
    case 0: return random_emit(r, IR_ZEXT, 64, value, IR_NONE, 8 << random_below(r, 3));
    case 1:
        return random_emit(r, IR_AND, random_width(r), value, random_const(r, 1 + random_below(r, 70)), 0);
    case 2: return random_emit(r, IR_SHR, 64, value, random_const(r, 32 + random_below(r, 31)), 0);
    case 3:
        return random_emit(r, IR_UMOD, random_width(r), value, random_const(r, 1 + random_below(r, 300)), 0);
    default: return random_emit(r, IR_SEXT, random_width(r), value, IR_NONE, 8 << random_below(r, 3));
    }
}

static inline void random_binary(struct random_function *r)
{
    static const uint8_t ops[] = {IR_ADD,  IR_SUB, IR_MUL, IR_AND,  IR_OR,    IR_XOR,
                                  IR_SHL,  IR_SHR, IR_SAR, IR_UDIV, IR_UMOD,  IR_SDIV,
                                  IR_SMOD, IR_ROL, IR_ADD, IR_ANDN, IR_MULHU, IR_AND};
    enum ir_op op = (enum ir_op)ops[random_below(r, ARRAY_SIZE(ops))];
    uint32_t a = random_operand(r), b = random_operand(r);
    if (random_below(r, 4) == 0) {
        a = random_small(r, a);
    }
    if (random_below(r, 4) == 0) {
        b = random_small(r, b);
    }
    (void)random_keep(r, random_emit(r, op, op == IR_MULHU ? 64 : random_width(r), a, b, 0));
}

static inline void random_unary(struct random_function *r)
{
    static const uint8_t ops[] = {IR_NEG, IR_SEXT, IR_ZEXT, IR_BSWAP, IR_POPCNT, IR_CLZ, IR_CTZ, IR_BITS};
    enum ir_op op = (enum ir_op)ops[random_below(r, ARRAY_SIZE(ops))];
    unsigned width = random_width(r), part = 8u << random_below(r, 3);
    part = op == IR_BSWAP ? 16u << random_below(r, 3) : part;
    width = op == IR_BSWAP ? 64 : width;
    uint32_t v = random_emit(r, op, width, random_value(r), IR_NONE, 0);
    if (op == IR_BITS) {
        part = 1 + random_below(r, width - 1);
        ir_at(&fixture.ir, v)->disp = (int32_t)random_below(r, width - part + 1);
    }
    ir_at(&fixture.ir, v)->imm =
        op == IR_SEXT || op == IR_ZEXT || op == IR_BSWAP || op == IR_BITS ? (int64_t)part : 0;
    (void)random_keep(r, v);
}

// Two shifts, as rotations and extensions are written.
static inline void random_shifts(struct random_function *r)
{
    unsigned width = random_width(r);
    uint32_t x = random_value(r), count = 1 + random_below(r, width - 1);
    unsigned other = random_below(r, 4) == 0 ? random_below(r, width) : width - count;
    if (random_below(r, 2) == 0) {
        uint32_t left = random_emit(r, IR_SHL, width, x, random_const(r, count), 0);
        uint32_t from = random_below(r, 3) == 0 ? random_emit(r, IR_ZEXT, 64, x, IR_NONE, 32) : x;
        uint32_t right = random_emit(r, IR_SHR, random_width(r), from, random_const(r, other), 0);
        static const uint8_t ops[] = {IR_OR, IR_ADD, IR_XOR};
        (void)random_keep(
            r, random_emit(r, (enum ir_op)ops[random_below(r, 3)], random_width(r), left, right, 0));
        return;
    }
    static const uint32_t counts[] = {32, 48, 56, 24, 16, 33};
    count = counts[random_below(r, ARRAY_SIZE(counts))];
    uint32_t up = random_emit(r, IR_SHL, 64, x, random_const(r, count), 0);
    count = random_below(r, 3) == 0 ? 32 + random_below(r, 32) : count;
    enum ir_op op = random_below(r, 2) == 0 ? IR_SHR : IR_SAR;
    (void)random_keep(r, random_emit(r, op, 64, up, random_const(r, count), 0));
}

static inline void random_rotation(struct random_function *r)
{
    unsigned width = random_width(r);
    uint32_t x = random_value(r), n = random_value(r);
    uint32_t masked =
        random_below(r, 2) == 0 ? random_emit(r, IR_AND, 64, n, random_const(r, width - 1), 0) : n;
    uint32_t other = random_below(r, 2) == 0
                         ? random_emit(r, IR_NEG, 64, n, IR_NONE, 0)
                         : random_emit(r, IR_SUB, random_width(r), random_const(r, width), n, 0);
    uint32_t left = random_emit(r, IR_SHL, width, x, masked, 0),
             right = random_emit(r, IR_SHR, width, x, other, 0);
    (void)random_keep(r, random_emit(r, random_below(r, 4) == 0 ? IR_ADD : IR_OR, width, left, right, 0));
}

static inline uint32_t random_address(struct random_function *r, uint32_t value, int32_t *disp)
{
    uint32_t index = random_emit(r, IR_AND, random_width(r), value, random_const(r, 127), 0);
    *disp = (int32_t)random_below(r, FIXTURE_MEMORY - 128 - 8);
    return random_emit(r, IR_ADD, 64, r->live[0], index, 0);
}

static inline void random_load(struct random_function *r)
{
    static const uint8_t ops[] = {IR_LOAD, IR_LOADS, IR_LOADBE, IR_LOAD};
    int32_t disp = (int32_t)random_below(r, FIXTURE_MEMORY - 8);
    uint32_t address = random_below(r, 2) == 0 ? r->live[0] : random_address(r, random_value(r), &disp);
    enum ir_op op = (enum ir_op)ops[random_below(r, ARRAY_SIZE(ops))];
    uint32_t v = random_emit(r, op, 8u << random_below(r, op == IR_LOAD ? 4 : 3), address, IR_NONE, 0);
    ir_at(&fixture.ir, v)->disp = disp;
    (void)random_keep(r, v);
}

// Bytes side by side, put together.
static inline void random_bytes(struct random_function *r)
{
    unsigned part = 8u << random_below(r, 3), count = 2u << random_below(r, 2);
    bool big = random_below(r, 2) == 0;
    int32_t disp = (int32_t)random_below(r, FIXTURE_MEMORY - 64);
    uint32_t sum = IR_NONE;
    for (unsigned i = 0; i < count; i++) {
        uint32_t v = random_emit(r, IR_LOAD, part, r->live[0], IR_NONE, 0);
        unsigned at = random_below(r, 12) == 0 ? random_below(r, count) : i;
        unsigned shift = part * (big ? count - 1 - i : i);
        ir_at(&fixture.ir, v)->disp = disp + (int32_t)(at * part / 8);
        if (random_below(r, 40) == 0) {
            uint32_t s = random_emit(r, IR_STORE, 8, r->live[0], IR_NONE, 0);
            ir_at(&fixture.ir, s)->c = random_value(r);
            ir_at(&fixture.ir, s)->disp = disp;
        }
        unsigned width = shift + part <= 32 ? random_width(r) : 64;
        v = shift == 0 ? v : random_emit(r, IR_SHL, width, v, random_const(r, shift % 64), 0);
        enum ir_op op = random_below(r, 6) == 0 ? IR_ADD : IR_OR;
        sum = sum == IR_NONE ? v : random_emit(r, op, random_width(r), v, sum, 0);
        if (random_below(r, 30) == 0) {
            (void)random_keep(r, v);
        }
    }
    (void)random_keep(r, sum);
}

static inline void random_store(struct random_function *r)
{
    int32_t disp = (int32_t)random_below(r, FIXTURE_MEMORY - 8);
    uint32_t address = random_below(r, 2) == 0 ? r->live[0] : random_address(r, random_value(r), &disp);
    bool atomic = random_below(r, 5) == 0;
    enum ir_op op = atomic ? (enum ir_op)(IR_ATOMIC_ADD + random_below(r, 10)) : IR_STORE;
    uint32_t v = random_emit(r, op, atomic ? random_width(r) : 8u << random_below(r, 4), address, IR_NONE, 0);
    struct ir_value *s = ir_at(&fixture.ir, v);
    s->disp = disp;
    s->c = random_value(r);
    if (op == IR_CMPXCHG) {
        s->b = random_value(r);
    }
    if (op >= IR_FETCH_ADD && op <= IR_CMPXCHG) {
        (void)random_keep(r, v);
    }
}

static inline void random_call(struct random_function *r)
{
    uint32_t *list = jit_alloc(&fixture, 2, sizeof(*list));
    list[0] = random_value(r);
    list[1] = random_value(r);
    uint32_t v =
        random_emit(r, IR_HELPER, 64, ir_pool_index(&fixture.ir, list), 2, (int64_t)random_below(r, 9));
    (void)random_keep(r, v);
}

static inline void random_condition(struct random_function *r, struct ir_value *v)
{
    v->cond = (uint8_t)random_below(r, IR_COND_COUNT);
    v->cwidth = (uint8_t)random_width(r);
}

static inline void random_select(struct random_function *r)
{
    uint32_t a = random_value(r), b = random_operand(r), c = random_operand(r), d = random_operand(r);
    uint32_t v = random_emit(r, IR_SELECT, random_width(r), a, b, 0);
    ir_at(&fixture.ir, v)->c = c;
    ir_at(&fixture.ir, v)->d = d;
    random_condition(r, ir_at(&fixture.ir, v));
    (void)random_keep(r, v);
}

static inline void random_operation(struct random_function *r)
{
    switch (random_below(r, 20)) {
    case 0:
    case 1: random_unary(r); break;
    case 2: random_shifts(r); break;
    case 3: random_rotation(r); break;
    case 4:
    case 5: random_load(r); break;
    case 6: random_store(r); break;
    case 7: random_bytes(r); break;
    case 8: random_select(r); break;
    case 9: (void)random_keep(r, random_small(r, random_value(r))); break;
    case 10:
        if (random_below(r, 4) == 0) {
            random_call(r);
            break;
        }
        // fallthrough
    default: random_binary(r); break;
    }
}

// --- flow ----------------------------------------------------------------------------------------

static inline uint32_t random_block(uint32_t pred_room)
{
    uint32_t b = ir_new_block(&fixture, 0);
    uint32_t *preds = jit_alloc(&fixture, pred_room, sizeof(*preds));
    ir_block_at(&fixture.ir, b)->preds = preds;
    return b;
}

static inline void random_edge(uint32_t from, unsigned i, uint32_t to)
{
    struct ir_block *b = ir_block_at(&fixture.ir, to);
    ir_block_at(&fixture.ir, from)->succ[i] = to;
    b->preds[b->pred_count++] = from;
}

static inline void random_jump(struct random_function *r, uint32_t to)
{
    (void)random_emit(r, IR_JUMP, 64, IR_NONE, IR_NONE, 0);
    random_edge(r->block, 0, to);
}

static inline void random_branch(struct random_function *r, uint32_t yes, uint32_t no)
{
    uint32_t a = random_value(r), b = random_operand(r);
    uint32_t v = random_emit(r, IR_BRANCH, 64, a, b, 0);
    random_condition(r, ir_at(&fixture.ir, v));
    random_edge(r->block, 0, yes);
    random_edge(r->block, 1, no);
}

static inline uint32_t random_phi(struct random_function *r, const uint32_t *operands, uint32_t count)
{
    uint32_t *list = jit_alloc(&fixture, count, sizeof(*list));
    memcpy(list, operands, count * sizeof(*list));
    return random_emit(r, IR_PHI, 64, ir_pool_index(&fixture.ir, list), count, 0);
}

static inline void random_region(struct random_function *r, unsigned depth);

static inline void random_diamond(struct random_function *r, unsigned depth)
{
    uint32_t from = r->block, yes = random_block(1), no = random_below(r, 2) == 0 ? random_block(1) : IR_NONE;
    uint32_t join = random_block(2), live = r->live_count;
    uint32_t first[2] = {r->live[random_below(r, live)], r->live[live - 1]},
             second[2] = {random_value(r), r->live[0]};
    random_branch(r, yes, no == IR_NONE ? join : no);
    r->block = yes;
    random_region(r, depth);
    first[0] = random_value(r);
    first[1] = random_value(r);
    random_jump(r, join);
    r->live_count = live;
    if (no != IR_NONE) {
        r->block = no;
        random_region(r, depth);
        second[0] = random_value(r);
        second[1] = random_value(r);
        random_jump(r, join);
        r->live_count = live;
    }
    r->block = join;
    bool direct = ir_block_at(&fixture.ir, join)->preds[0] == from; // the triangle's edge came first
    for (unsigned i = 0; i < 2; i++) {
        uint32_t operands[2] = {direct ? second[i] : first[i], direct ? first[i] : second[i]};
        (void)random_keep(r, random_phi(r, operands, 2));
    }
}

// A test of the counter (or of its next value) that leads out of the loop.
static inline void random_loop_end(struct random_function *r, uint32_t t, int64_t bound, int64_t step,
                                   uint32_t head, uint32_t out, uint32_t varying)
{
    static const uint8_t up[] = {IR_ULT, IR_ULE, IR_SLT, IR_SLE, IR_NE},
                         down[] = {IR_UGT, IR_UGE, IR_SGT, IR_SGE, IR_NE};
    unsigned cond = (step > 0 ? up : down)[random_below(r, 5)];
    uint32_t b = cond != IR_NE && varying != IR_NONE ? varying : random_const(r, bound);
    bool swap = random_below(r, 4) == 0;
    uint32_t v = random_emit(r, IR_BRANCH, 64, swap ? b : t, swap ? t : b, 0);
    struct ir_value *branch = ir_at(&fixture.ir, v);
    static const uint8_t swapped[IR_COND_COUNT] = {IR_EQ,  IR_NE,  IR_UGT, IR_ULE, IR_UGE,
                                                   IR_ULT, IR_SGT, IR_SLE, IR_SGE, IR_SLT};
    branch->cond = swap ? swapped[cond] : (uint8_t)cond;
    branch->cwidth = (uint8_t)random_width(r);
    bool other = random_below(r, 2) == 0;
    branch->cond ^= other;
    random_edge(r->block, other, head);
    random_edge(r->block, !other, out);
}

// A loop that counts; steps are limited in any case, for counters that never meet their bound.
static inline void random_loop(struct random_function *r, unsigned depth)
{
    uint32_t head = random_block(2), out = random_block(1), live = r->live_count;
    unsigned width = random_width(r);
    int64_t step = 1 + random_below(r, 4), start = random_below(r, 3) == 0 ? 0 : random_below(r, 40);
    int64_t bound =
        random_below(r, 4) == 0 ? (int64_t)random_below(r, 60) : start + step * (1 + random_below(r, 9));
    if (random_below(r, 3) == 0) {
        int64_t first = start;
        start = bound;
        bound = random_below(r, 4) == 0 ? first - 1 : first;
        step = -step;
    }
    uint32_t started = random_below(r, 5) == 0 ? random_small(r, random_value(r)) : random_const(r, start);
    uint32_t varying = random_below(r, 4) == 0 ? random_small(r, random_value(r)) : IR_NONE;
    uint32_t values[2] = {random_value(r), random_operand(r)};
    random_jump(r, head);
    r->block = head;
    uint32_t nothing[2] = {started, IR_NONE};
    uint32_t counter = random_keep(r, random_phi(r, nothing, 2));
    uint32_t sums[2];
    for (unsigned i = 0; i < 2; i++) {
        uint32_t operands[2] = {values[i], IR_NONE};
        sums[i] = random_keep(r, random_phi(r, operands, 2));
    }
    random_region(r, depth);
    (void)random_keep(r, counter);
    random_operation(r);
    uint32_t next = random_below(r, 4) == 0
                        ? random_emit(r, IR_SUB, width, counter, random_const(r, -step), 0)
                        : random_emit(r, IR_ADD, width, counter, random_const(r, step), 0);
    next = random_keep(r, random_below(r, 5) == 0 ? random_emit(r, IR_ZEXT, 64, next, IR_NONE, 32) : next);
    ir_pool(&fixture.ir, ir_at(&fixture.ir, counter))[1] = next;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t v = random_below(r, 2) == 0 ? random_emit(r, random_below(r, 2) == 0 ? IR_ADD : IR_XOR,
                                                           random_width(r), sums[i], random_value(r), 0)
                                             : random_value(r);
        ir_pool(&fixture.ir, ir_at(&fixture.ir, sums[i]))[1] = v;
    }
    random_loop_end(r, random_below(r, 2) == 0 ? next : counter, bound, step, head, out, varying);
    r->block = out;
    r->live_count = min_u32(r->live_count, live + 4);
}

static inline void random_chain(struct random_function *r, unsigned depth);

static inline void random_region(struct random_function *r, unsigned depth)
{
    uint32_t count = 1 + random_below(r, 8);
    for (uint32_t i = 0; i < count && r->budget != 0; i++) {
        r->budget--;
        unsigned kind = depth == 0 ? 2 : random_below(r, 12);
        if (kind == 0) {
            random_diamond(r, depth - 1);
        } else if (kind == 1) {
            random_loop(r, depth - 1);
        } else if (kind == 11 && random_below(r, 3) == 0) {
            random_chain(r, depth - 1);
        } else {
            random_operation(r);
        }
    }
}

// Compares one value with several constants, as `switch` does.
static inline void random_chain(struct random_function *r, unsigned depth)
{
    uint32_t count = 3 + random_below(r, 6), join = random_block(count + 1), live = r->live_count;
    uint32_t value = random_small(r, random_value(r)), first = random_below(r, 8), operands[16];
    unsigned width = random_width(r);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t yes = random_block(1), no = random_block(1);
        uint32_t number = random_const(r, first + (random_below(r, 5) == 0 ? random_below(r, 12) : i));
        uint32_t v = random_emit(r, IR_BRANCH, 64, value, number, 0);
        bool other = random_below(r, 2) == 0;
        ir_at(&fixture.ir, v)->cond = other ? IR_NE : IR_EQ;
        ir_at(&fixture.ir, v)->cwidth = (uint8_t)width;
        random_edge(r->block, other, yes);
        random_edge(r->block, !other, no);
        r->block = yes;
        random_region(r, depth);
        operands[i] = random_value(r);
        random_jump(r, join);
        r->live_count = live;
        r->block = no;
    }
    operands[count] = random_value(r);
    random_jump(r, join);
    r->block = join;
    (void)random_keep(r, random_phi(r, operands, count + 1));
}

// A whole function of about `size` operations. Parameters: memory, and two numbers.
static inline bool random_make(uint64_t seed, uint32_t size)
{
    struct random_function r = {.state = seed * 0x9e3779b97f4a7c15 + 1, .budget = size};
    if (!fixture_begin()) {
        return false;
    }
    fixture.ir.entry = r.block = random_block(1);
    for (int64_t p = 0; p < 3; p++) {
        (void)random_keep(&r, random_emit(&r, IR_PARAM, 64, IR_NONE, IR_NONE, p));
    }
    while (r.budget != 0) {
        random_region(&r, RANDOM_DEPTH);
    }
    uint32_t result = random_value(&r);
    for (unsigned i = 0; i < 4; i++) {
        result = random_emit(&r, IR_XOR, 64, result, random_value(&r), 0);
    }
    (void)random_emit(&r, IR_RET, 64, result, IR_NONE, 0);
    return ir_find_order(&fixture) == EBPF_SUCCESS && ir_find_loops(&fixture) == EBPF_SUCCESS &&
           ir_clean(&fixture) == EBPF_SUCCESS;
}

// --- running -------------------------------------------------------------------------------------

struct random_outcome {
    ebpf_result_t end;
    uint64_t result, calls; // hash of all calls
    uint8_t memory[FIXTURE_MEMORY];
};

static inline uint64_t random_called(void *user, uint32_t op, int64_t imm, const uint64_t *args,
                                     uint32_t count)
{
    uint64_t *hash = user;
    *hash = (*hash ^ (uint64_t)imm ^ (uint64_t)op << 32) * 0x9e3779b97f4a7c15;
    for (uint32_t i = 0; i < count; i++) {
        *hash = (*hash ^ args[i] ^ *hash >> 31) * 0x9e3779b97f4a7c15;
    }
    return *hash >> 7;
}

static uint8_t random_memory[FIXTURE_MEMORY + 16];

static inline void random_run(uint64_t input, uint64_t steps, struct random_outcome *out)
{
    static const uint64_t numbers[] = {0,          1, UINT64_MAX,         0x80000000,
                                       0xffffffff, 5, 0x123456789abcdef0, 0x7fffffffffffffff};
    struct ir_machine m = {.call = random_called, .user = &out->calls, .steps = steps};
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < sizeof(random_memory); i++) {
        random_memory[i] = (uint8_t)(input * 131 + i * 17 + i * i * input);
    }
    m.params[0] = (uint64_t)(uintptr_t)random_memory;
    m.params[1] = numbers[input % ARRAY_SIZE(numbers)];
    m.params[2] = numbers[input / ARRAY_SIZE(numbers) % ARRAY_SIZE(numbers)] + input;
    out->end = ir_run(&fixture, &m, &out->result);
    memcpy(out->memory, random_memory, sizeof(out->memory));
}
