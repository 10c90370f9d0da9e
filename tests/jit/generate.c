// SPDX-License-Identifier: MIT
// generate: functions, registers, and what the state means. r6 always holds the address of the memory; it is
// the first argument of every function. Statements are in generate_data.c and generate_flow.c.
#include "tests/jit/generate.h"

// --- chance --------------------------------------------------------------------------------------

static uint64_t next_random(struct generator *g)
{
    uint64_t x = g->seed += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint32_t gen_pick(struct generator *g, uint32_t below)
{
    return (uint32_t)((next_random(g) >> 32) * below >> 32);
}

bool gen_chance(struct generator *g, uint32_t percent)
{
    return gen_pick(g, 100) < percent;
}

uint64_t gen_number(struct generator *g)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     0x7f,
                                     0x80,
                                     0xff,
                                     0x7fff,
                                     0x8000,
                                     0xffff,
                                     0x7fffffff,
                                     0x80000000u,
                                     0xffffffffu,
                                     0x100000000u,
                                     0x7fffffffffffffffu,
                                     0x8000000000000000u};
    uint64_t edge = edges[gen_pick(g, ARRAY_SIZE(edges))];
    switch (gen_pick(g, 6)) {
    case 0: return gen_pick(g, 20);
    case 1: return (uint64_t)1 << gen_pick(g, 64);
    case 2: return edge;
    case 3: return 0 - edge - gen_pick(g, 2);
    case 4: return next_random(g) >> gen_pick(g, 64);
    default: return next_random(g);
    }
}

int32_t gen_small(struct generator *g)
{
    return (int32_t)(uint32_t)gen_number(g);
}

// --- instructions --------------------------------------------------------------------------------

bool gen_is_full(const struct generator *g)
{
    return g->count >= g->target || g->count + 400 > GENERATE_INSNS;
}

uint32_t gen_emit(struct generator *g, unsigned id, unsigned dst, unsigned src, int off, int64_t imm)
{
    if (g->count == GENERATE_INSNS) {
        return g->count - 1; // the program is refused by its check
    }
    g->insns[g->count] = (struct insn){
        .id = (uint16_t)id, .dst = (uint8_t)dst, .src = (uint8_t)src, .off = (int16_t)off, .imm = imm};
    return g->count++;
}

void gen_lddw(struct generator *g, unsigned id, unsigned dst, uint64_t imm)
{
    gen_emit(g, id, dst, 0, 0, (int64_t)imm);
    gen_emit(g, INSN_NONE, 0, 0, 0, 0);
}

void gen_set(struct generator *g, unsigned reg, unsigned kind, int off)
{
    g->now.regs[reg] = (struct generate_value){.kind = (uint8_t)kind, .off = (int16_t)off};
}

unsigned gen_free_reg_but(struct generator *g, unsigned other)
{
    for (;;) {
        unsigned reg = gen_pick(g, 10);
        if ((g->locked >> reg & 1) == 0 && reg != other) {
            return reg;
        }
    }
}

unsigned gen_free_reg(struct generator *g)
{
    return gen_free_reg_but(g, 10);
}

void gen_load_number(struct generator *g, unsigned reg)
{
    uint64_t number = gen_number(g);
    switch (gen_pick(g, 4)) {
    case 0: gen_emit(g, INSN_MOV64_IMM, reg, 0, 0, (int32_t)(uint32_t)number); break;
    case 1: gen_emit(g, INSN_MOV32_IMM, reg, 0, 0, (int32_t)(uint32_t)number); break;
    case 2: gen_emit(g, INSN_LDXDW, reg, 6, (int)gen_pick(g, WORLD_MEM - 7), 0); break;
    default: gen_lddw(g, INSN_LDDW, reg, number);
    }
    gen_set(g, reg, KIND_NUMBER, 0);
}

unsigned gen_number_reg(struct generator *g)
{
    for (unsigned i = 0; i < 12; i++) {
        unsigned reg = gen_pick(g, 10);
        if (g->now.regs[reg].kind == KIND_NUMBER) {
            return reg;
        }
    }
    unsigned reg = gen_free_reg(g);
    gen_load_number(g, reg);
    return reg;
}

unsigned gen_number_dst(struct generator *g)
{
    unsigned reg = gen_number_reg(g);
    if ((g->locked >> reg & 1) == 0) {
        return reg;
    }
    unsigned copy = gen_free_reg(g);
    gen_emit(g, INSN_MOV64_REG, copy, reg, 0, 0);
    gen_set(g, copy, KIND_NUMBER, 0);
    return copy;
}

bool gen_can_call(const struct generator *g)
{
    return (g->locked & 0x3f) == 0;
}

// --- states --------------------------------------------------------------------------------------

static bool are_same(const struct generate_value *a, const struct generate_value *b)
{
    return a->kind == b->kind && a->off == b->off && a->size == b->size;
}

void gen_merge(struct generate_state *into, const struct generate_state *other)
{
    for (unsigned i = 0; i < ARRAY_SIZE(into->regs); i++) {
        if (!are_same(&into->regs[i], &other->regs[i])) {
            into->regs[i].kind = KIND_NONE;
        }
    }
    for (unsigned i = 0; i < SPILL_SLOTS; i++) {
        if (!are_same(&into->spills[i], &other->spills[i])) {
            into->spills[i].kind = KIND_NONE;
        }
    }
}

void gen_forget_values(struct generate_state *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(s->regs); i++) {
        if (s->regs[i].kind == KIND_VALUE || s->regs[i].kind == KIND_BUFFER) {
            s->regs[i].kind = KIND_NONE;
        }
    }
    for (unsigned i = 0; i < SPILL_SLOTS; i++) {
        s->spills[i].kind = KIND_NONE; // a spill is not made again in a loop
    }
}

static void make_again(struct generator *g, unsigned reg, const struct generate_value *wanted)
{
    bool is_stack = wanted->kind == KIND_STACK;
    if (wanted->kind == KIND_NUMBER) {
        gen_load_number(g, reg);
        return;
    }
    gen_emit(g, INSN_MOV64_REG, reg, is_stack ? 10 : 6, 0, 0);
    if (wanted->off != 0) {
        gen_emit(g, INSN_ADD64_IMM, reg, 0, 0, wanted->off);
    }
    g->now.regs[reg] = *wanted;
}

void gen_restore(struct generator *g, const struct generate_state *wanted)
{
    for (unsigned reg = 0; reg < ARRAY_SIZE(wanted->regs); reg++) {
        const struct generate_value *w = &wanted->regs[reg];
        if (w->kind != KIND_NONE && !are_same(w, &g->now.regs[reg])) {
            make_again(g, reg, w);
        }
    }
}

// --- functions -----------------------------------------------------------------------------------

static void choose_arguments(struct generator *g)
{
    for (uint32_t f = 0; f < g->func_count; f++) {
        g->arg_kinds[f][0] = KIND_MEM;
        for (unsigned i = 1; i < 5; i++) {
            unsigned choice = gen_pick(g, 4);
            g->arg_kinds[f][i] = f == 0        ? KIND_NONE
                                 : choice == 0 ? KIND_BUFFER
                                 : choice == 1 ? KIND_NONE
                                               : KIND_NUMBER;
        }
        if (f == 0) {
            g->arg_kinds[f][1] = g->options.tail_calls ? KIND_NONE : KIND_NUMBER; // the size of the memory
        }
    }
}

static void begin_function(struct generator *g)
{
    const uint8_t *kinds = g->arg_kinds[g->func];
    memset(&g->now, 0, sizeof(g->now));
    for (unsigned i = 0; i < 5; i++) {
        gen_set(g, i + 1, kinds[i], 0);
    }
    gen_emit(g, INSN_MOV64_REG, 6, 1, 0, 0);
    gen_set(g, 6, KIND_MEM, 0);
    g->locked = 1 << 6;
    g->depth = g->loops = 0;
    memset(g->bounds, 0, sizeof(g->bounds));
    for (unsigned i = 0; i < NUMBER_SLOTS; i++) {
        int off = -8 * (int)(i + 1);
        unsigned reg = 1 + gen_pick(g, 5);
        if (g->now.regs[reg].kind == KIND_NUMBER) {
            gen_emit(g, INSN_STXDW, 10, reg, off, 0);
        } else {
            gen_emit(g, INSN_STDW, 10, 0, off, gen_small(g));
        }
    }
}

// Everything that the function computed flows into r0.
static void end_function(struct generator *g)
{
    if (g->now.regs[0].kind != KIND_NUMBER) {
        gen_load_number(g, 0);
    }
    for (unsigned reg = 1; reg < 10; reg++) {
        if (g->now.regs[reg].kind == KIND_NUMBER && gen_chance(g, 80)) {
            gen_emit(g, INSN_MUL64_IMM, 0, 0, 0, 31);
            gen_emit(g, gen_chance(g, 50) ? INSN_XOR64_REG : INSN_ADD64_REG, 0, reg, 0, 0);
        }
    }
    for (unsigned i = 0; i < NUMBER_SLOTS; i++) {
        if (gen_chance(g, 50)) {
            gen_emit(g, INSN_LDXDW, 1, 10, -8 * (int)(i + 1), 0);
            gen_emit(g, INSN_ADD64_REG, 0, 1, 0, 0);
            gen_emit(g, INSN_MUL64_IMM, 0, 0, 0, 7);
        }
    }
    gen_emit(g, INSN_EXIT, 0, 0, 0, 0);
}

static void make_function(struct generator *g, uint32_t share)
{
    g->funcs[g->func].start = g->count;
    g->target = g->count + share;
    begin_function(g);
    if (gen_chance(g, 20)) {
        gen_tangle(g);
    }
    while (!gen_is_full(g)) {
        gen_block(g, 1 + gen_pick(g, 8));
    }
    end_function(g);
    g->funcs[g->func].end = g->count;
}

static void resolve_calls(struct generator *g)
{
    for (uint32_t i = 0; i < g->call_count; i++) {
        uint32_t pc = g->calls[i].pc;
        g->insns[pc].imm = (int64_t)g->funcs[g->calls[i].func].start - pc - 1;
    }
}

void generate(struct generator *g, uint64_t seed, const struct generate_options *options)
{
    memset(g->funcs, 0, sizeof(g->funcs));
    g->seed = seed;
    g->options = *options;
    g->count = g->call_count = 0;
    g->func_count = gen_chance(g, 50) ? 1 : 1 + gen_pick(g, GENERATE_FUNCS);
    choose_arguments(g);
    for (g->func = 0; g->func < g->func_count; g->func++) {
        make_function(g, g->func == 0 ? options->size : options->size / g->func_count);
    }
    resolve_calls(g);
}
