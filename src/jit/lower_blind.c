// SPDX-License-Identifier: MIT
// lower_blind: numbers that a program chose are made from two that depend on a random key, so that nobody can
// write code of his own into immediates and displacements and jump into their middle.
//
// It makes that hard, not impossible. Numbers of one byte stay: they are few bits each, with bytes of the
// JIT's between them. So do offsets from the stack frame, of which there are only 512, and the addresses of
// helpers, which are not the program's. What instructions, registers and branch distances come out is still
// the program's choice. Runs when division has made its factors and before targets choose immediates; nothing
// folds constants after it.
#include "jit/ir.h"

struct blinding {
    struct jit *j;
    struct ir *ir;
    uint64_t random;
    uint32_t block, previous, pc;
    bool full;
};

// splitmix64
static uint64_t next_key(struct blinding *b)
{
    uint64_t z = b->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool is_small(int64_t number)
{
    return number == (int8_t)number;
}

static uint32_t insert(struct blinding *b, enum ir_op op, uint8_t width, uint32_t first, uint32_t second,
                       int64_t imm)
{
    uint32_t n = ir_new(b->j, op, width, first, second, imm);
    if (n == IR_NONE) {
        b->full = true;
        return first;
    }
    ir_at(b->ir, n)->pc = b->pc;
    ir_insert_after(b->ir, b->block, b->previous, n);
    b->previous = n;
    return n;
}

// Makes `v`, which is in its place already, the number. Keys have as many bits as the number needs: 32 where
// it is one of 32 bits, with or without sign.
static void become_blinded(struct blinding *b, struct ir_value *v, int64_t number)
{
    uint64_t key = next_key(b);
    bool is_unsigned = number == (int64_t)(uint32_t)number, is_signed = number == (int32_t)number;
    if (is_unsigned) {
        key = (uint32_t)key;
    } else if (is_signed) {
        key = (uint64_t)(int64_t)(int32_t)key;
    }
    uint32_t first = insert(b, IR_CONST, 64, IR_NONE, IR_NONE, (int64_t)((uint64_t)number ^ key));
    uint32_t second = insert(b, IR_CONST, 64, IR_NONE, IR_NONE, (int64_t)key);
    v->op = IR_XOR;
    v->width = is_unsigned ? 32 : 64;
    v->flags = 0;
    v->a = first;
    v->b = second;
    v->c = v->d = IR_NONE;
    v->imm = 0;
}

// A new value that is the number.
static uint32_t blinded(struct blinding *b, int64_t number)
{
    uint32_t n = ir_new(b->j, IR_CONST, 64, IR_NONE, IR_NONE, number);
    if (n == IR_NONE) {
        b->full = true;
        return n;
    }
    become_blinded(b, ir_at(b->ir, n), number);
    ir_at(b->ir, n)->pc = b->pc;
    ir_insert_after(b->ir, b->block, b->previous, n);
    b->previous = n;
    return n;
}

static void blind_immediate(struct blinding *b, struct ir_value *v)
{
    if ((v->flags & IR_IMM) == 0 || is_small(v->imm)) {
        return;
    }
    bool store = v->op == IR_STORE || v->op == IR_STOREBE;
    uint32_t n = blinded(b, v->imm);
    if (store) {
        v->c = n;
    } else {
        v->b = n;
    }
    v->flags &= (uint8_t)~IR_IMM;
    v->imm = 0;
}

static bool has_displacement(unsigned op)
{
    return (ir_op_info(op)->flags & IR_ADDR) != 0 || (op >= IR_ATOMIC_ADD && op <= IR_CMPXCHG);
}

static bool is_frame(const struct blinding *b, uint32_t value)
{
    const struct ir_value *v = ir_at(b->ir, value);
    return v->op == IR_FRAME || (v->op == IR_PARAM && v->imm == 6);
}

static void blind_displacement(struct blinding *b, struct ir_value *v)
{
    if (!has_displacement(v->op) || is_small(v->disp) || v->a == IR_NONE ||
        is_frame(b, ir_resolve(b->ir, v->a))) {
        return;
    }
    uint32_t number = blinded(b, v->disp);
    if (!b->full) {
        v->a = insert(b, IR_ADD, 64, v->a, number, 0);
        v->disp = 0;
    }
}

static void blind_value(struct blinding *b, uint32_t n)
{
    struct ir_value *v = ir_at(b->ir, n);
    b->pc = v->pc;
    if (v->op == IR_CONST && !is_small(v->imm)) {
        become_blinded(b, v, v->imm);
    } else if (v->op == IR_MAP) {
        become_blinded(b, v, (int64_t)b->j->input->maps[v->imm].address);
    } else {
        blind_immediate(b, v);
        blind_displacement(b, v);
    }
}

ebpf_result_t lower_blind(struct jit *j)
{
    struct blinding b = {.j = j, .ir = &j->ir};
    if (!j->options->blind) {
        return EBPF_SUCCESS;
    }
    j->ir.counted = j->ir.tidy = false;
    b.random = j->options->blind_seed + (uint64_t)j->ir.func * UINT64_C(0xd1342543de82ef95);
    for (uint32_t i = 0; i < b.ir->order_count && !b.full; i++) {
        b.block = b.ir->order[i];
        b.previous = IR_NONE;
        for (uint32_t n = ir_block_at(b.ir, b.block)->first; n != IR_NONE && !b.full; n = ir_next(b.ir, n)) {
            blind_value(&b, n);
            b.previous = n;
        }
    }
    return b.full ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}
