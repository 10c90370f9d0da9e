// SPDX-License-Identifier: MIT
// generate_data: statements that compute, load and store.
#include "tests/jit/generate.h"

static unsigned any_id(struct generator *g, unsigned form)
{
    for (;;) {
        unsigned id = 1 + gen_pick(g, INSN_ID_COUNT - 1);
        if (insn_info(id)->form == form) {
            return id;
        }
    }
}

// --- arithmetic ----------------------------------------------------------------------------------

static int64_t operand_imm(struct generator *g, unsigned id)
{
    unsigned sem = insn_info(id)->sem;
    bool shifts = sem == SEM_LSH || sem == SEM_RSH || sem == SEM_ARSH;
    return shifts && gen_chance(g, 95) ? (int32_t)gen_pick(g, insn_info(id)->width) : gen_small(g);
}

void gen_alu(struct generator *g)
{
    static const uint8_t forms[] = {FORM_ALU_IMM, FORM_ALU_IMM, FORM_ALU_REG, FORM_ALU_REG, FORM_ALU_UNARY};
    unsigned form = forms[gen_pick(g, ARRAY_SIZE(forms))];
    unsigned id = any_id(g, form), src = form == FORM_ALU_REG ? gen_number_reg(g) : 0;
    unsigned dst = gen_number_dst(g);
    if (gen_chance(g, 30) && (insn_info(id)->sem == SEM_MOV)) {
        dst = gen_free_reg(g);
    }
    gen_emit(g, id, dst, src, 0, form == FORM_ALU_IMM ? operand_imm(g, id) : 0);
    gen_set(g, dst, KIND_NUMBER, 0);
}

static unsigned copy_of(struct generator *g, unsigned reg, unsigned but)
{
    unsigned copy = gen_free_reg_but(g, but);
    if (copy != reg) {
        gen_emit(g, INSN_MOV64_REG, copy, reg, 0, 0);
    }
    gen_set(g, copy, KIND_NUMBER, 0);
    return copy;
}

// x << k | x >> (W - k), in both widths, now and then not quite.
static void rotate(struct generator *g)
{
    bool wide = gen_chance(g, 50);
    unsigned width = wide ? 64 : 32, x = gen_number_dst(g), k = 1 + gen_pick(g, width - 1);
    unsigned other = gen_chance(g, 90) ? width - k : gen_pick(g, width);
    if (!wide && gen_chance(g, 80)) {
        gen_emit(g, INSN_MOV32_REG, x, x, 0, 0);
    }
    unsigned t = gen_free_reg_but(g, x);
    gen_emit(g, wide ? INSN_MOV64_REG : INSN_MOV32_REG, t, x, 0, 0);
    gen_set(g, t, KIND_NUMBER, 0);
    // clang shifts 32-bit values that it knows to be zero-extended with 64-bit instructions, too
    gen_emit(g, wide ? INSN_LSH64_IMM : INSN_LSH32_IMM, t, 0, 0, k);
    gen_emit(g, wide || gen_chance(g, 30) ? INSN_RSH64_IMM : INSN_RSH32_IMM, x, 0, 0, other);
    static const uint16_t joins[] = {INSN_OR64_REG, INSN_OR64_REG, INSN_ADD64_REG, INSN_XOR64_REG,
                                     INSN_OR32_REG};
    gen_emit(g, joins[gen_pick(g, ARRAY_SIZE(joins))], x, t, 0, 0);
}

static void extend(struct generator *g)
{
    unsigned x = gen_number_dst(g), k = gen_chance(g, 60) ? 32 : gen_pick(g, 64);
    gen_emit(g, INSN_LSH64_IMM, x, 0, 0, k);
    gen_emit(g, gen_chance(g, 50) ? INSN_RSH64_IMM : INSN_ARSH64_IMM, x, 0, 0,
             gen_chance(g, 85) ? k : gen_pick(g, 64));
}

static void extract(struct generator *g)
{
    bool wide = gen_chance(g, 60);
    unsigned x = gen_number_dst(g);
    gen_emit(g, wide ? INSN_RSH64_IMM : INSN_RSH32_IMM, x, 0, 0, gen_pick(g, wide ? 64 : 32));
    gen_emit(g, wide ? INSN_AND64_IMM : INSN_AND32_IMM, x, 0, 0, (1 << gen_pick(g, 31)) - 1);
}

static void and_not(struct generator *g)
{
    unsigned y = gen_number_reg(g), x = gen_number_dst(g);
    gen_emit(g, INSN_XOR64_IMM, x, 0, 0, -1);
    gen_emit(g, gen_chance(g, 60) ? INSN_AND64_REG : INSN_AND32_REG, x, y, 0, 0);
}

// a + (b << k) + c
static void scaled_sum(struct generator *g)
{
    bool wide = gen_chance(g, 60);
    unsigned a = gen_number_reg(g), b = gen_number_reg(g);
    unsigned t = copy_of(g, b, a);
    gen_emit(g, wide ? INSN_LSH64_IMM : INSN_LSH32_IMM, t, 0, 0, gen_pick(g, 5));
    gen_emit(g, wide ? INSN_ADD64_REG : INSN_ADD32_REG, t, a, 0, 0);
    gen_emit(g, wide ? INSN_ADD64_IMM : INSN_ADD32_IMM, t, 0, 0, gen_small(g));
}

static void divide(struct generator *g)
{
    static const uint16_t ids[] = {INSN_DIV64_IMM,  INSN_DIV32_IMM,  INSN_MOD64_IMM,  INSN_MOD32_IMM,
                                   INSN_SDIV64_IMM, INSN_SDIV32_IMM, INSN_SMOD64_IMM, INSN_SMOD32_IMM,
                                   INSN_DIV64_REG,  INSN_MOD64_REG,  INSN_DIV32_REG,  INSN_MOD32_REG,
                                   INSN_SDIV64_REG, INSN_SMOD64_REG};
    unsigned id = ids[gen_pick(g, ARRAY_SIZE(ids))], x = gen_number_dst(g);
    int64_t imm = gen_chance(g, 50) ? 1 + (int32_t)gen_pick(g, 200) : gen_small(g);
    if (insn_info(id)->form == FORM_ALU_REG) {
        unsigned y = gen_number_reg(g);
        if (gen_chance(g, 30) && y != x) {
            gen_emit(g, INSN_AND64_IMM, x, 0, 0, 0x7fffffff);
        }
        gen_emit(g, id, x, y, 0, 0);
        return;
    }
    gen_emit(g, id, x, 0, 0, imm);
}

// x = c; if (a ? b) x = d: what becomes a conditional move.
static void choose(struct generator *g)
{
    unsigned x = gen_number_dst(g), y = gen_number_reg(g);
    if (gen_chance(g, 50)) {
        gen_emit(g, INSN_MOV64_IMM, x, 0, 0, gen_small(g));
    }
    uint32_t pc = gen_branch(g);
    switch (gen_pick(g, 4)) {
    case 0: gen_emit(g, INSN_MOV64_IMM, x, 0, 0, gen_small(g)); break;
    case 1: gen_emit(g, INSN_MOV32_REG, x, y, 0, 0); break;
    case 2: gen_emit(g, INSN_ADD64_IMM, x, 0, 0, gen_small(g)); break;
    default: gen_emit(g, INSN_MOV64_REG, x, y, 0, 0);
    }
    gen_land(g, pc);
}

// The bits of x counted with masks, as C programs do.
static void count_bits(struct generator *g)
{
    unsigned x = gen_number_dst(g), t = gen_free_reg_but(g, x), c = 10;
    for (unsigned i = 0; i < 20 && (c == 10 || c == x || c == t); i++) {
        c = gen_free_reg_but(g, x);
    }
    if (c == 10 || c == x || c == t) {
        return;
    }
    static const uint64_t masks[] = {0x5555555555555555u, 0x3333333333333333u, 0x0f0f0f0f0f0f0f0fu};
    for (unsigned i = 0; i < 3; i++) {
        gen_lddw(g, INSN_LDDW, c, masks[i]);
        gen_emit(g, INSN_MOV64_REG, t, x, 0, 0);
        gen_emit(g, INSN_RSH64_IMM, t, 0, 0, 1 << i);
        if (i != 2) {
            gen_emit(g, INSN_AND64_REG, t, c, 0, 0);
        }
        if (i == 1) {
            gen_emit(g, INSN_AND64_REG, x, c, 0, 0);
        }
        gen_emit(g, i == 0 ? INSN_SUB64_REG : INSN_ADD64_REG, x, t, 0, 0);
        if (i == 2) {
            gen_emit(g, INSN_AND64_REG, x, c, 0, 0);
        }
    }
    gen_lddw(g, INSN_LDDW, c, 0x0101010101010101u);
    gen_emit(g, INSN_MUL64_REG, x, c, 0, 0);
    gen_emit(g, INSN_RSH64_IMM, x, 0, 0, 56);
    gen_set(g, t, KIND_NUMBER, 0);
    gen_set(g, c, KIND_NUMBER, 0);
}

// One number, loaded byte by byte, in either order; now and then a byte is missing or a store is between.
static void join_bytes(struct generator *g)
{
    static const uint8_t counts[] = {2, 4, 8};
    unsigned count = counts[gen_pick(g, 3)], sum = gen_free_reg(g), t = gen_free_reg_but(g, sum);
    bool big = gen_chance(g, 50), stack = gen_chance(g, 25);
    int off = stack ? -64 + (int)gen_pick(g, 64 - count + 1) : (int)gen_pick(g, WORLD_MEM - count + 1);
    unsigned base = stack ? 10 : 6, odd = gen_chance(g, 20) ? gen_pick(g, count) : count;
    for (unsigned i = 0; i < count; i++) {
        unsigned to = i == 0 ? sum : t, shift = 8 * (big ? count - 1 - i : i);
        gen_emit(g, INSN_LDXB, to, base, off + (int)(i == odd ? 0 : i), 0);
        if (i == odd && gen_chance(g, 50)) {
            gen_emit(g, INSN_STB, base, 0, off + (int)gen_pick(g, count), gen_small(g));
        }
        if (shift != 0) {
            gen_emit(g, INSN_LSH64_IMM, to, 0, 0, shift);
        }
        if (i != 0) {
            gen_emit(g, gen_chance(g, 90) ? INSN_OR64_REG : INSN_ADD64_REG, sum, t, 0, 0);
        }
    }
    gen_set(g, sum, KIND_NUMBER, 0);
    gen_set(g, t, KIND_NUMBER, 0);
}

void gen_idiom(struct generator *g)
{
    static void (*const idioms[])(struct generator *) = {rotate,  rotate,     extend,     extract,
                                                         and_not, scaled_sum, divide,     divide,
                                                         choose,  choose,     count_bits, join_bytes};
    idioms[gen_pick(g, ARRAY_SIZE(idioms))](g);
}

// --- memory --------------------------------------------------------------------------------------

static int aligned_pick(struct generator *g, unsigned room, unsigned align)
{
    return (int)(gen_pick(g, room + 1) / align * align);
}

// Base and index: an index that a mask bounds, or a loop's counter.
static unsigned indexed(struct generator *g, unsigned bytes, unsigned align, int *off)
{
    bool stack = gen_chance(g, 35);
    unsigned counter = gen_pick(g, 10), span = stack ? 8 * NUMBER_SLOTS : WORLD_MEM, bits, shift, t;
    if (!stack && g->bounds[counter] != 0 && g->bounds[counter] * 8u + bytes <= span && gen_chance(g, 70)) {
        t = copy_of(g, counter, 10);
        shift = align == 1 ? gen_pick(g, 3) : 3;
        *off = aligned_pick(g, span - bytes - ((unsigned)g->bounds[counter] << shift), align);
    } else {
        bits = 1 + gen_pick(g, 3);
        shift = align == 1 ? gen_pick(g, 3) : 3;
        t = copy_of(g, gen_number_reg(g), 10);
        gen_emit(g, gen_chance(g, 50) ? INSN_AND64_IMM : INSN_AND32_IMM, t, 0, 0, (1 << bits) - 1);
        unsigned most = ((1u << bits) - 1) << shift;
        *off = aligned_pick(g, span - bytes - min_u64(most, span - bytes), align);
        if (most > span - bytes) {
            gen_emit(g, INSN_AND64_IMM, t, 0, 0, 0);
        }
    }
    if (shift != 0) {
        gen_emit(g, gen_chance(g, 70) ? INSN_LSH64_IMM : INSN_LSH32_IMM, t, 0, 0, shift);
    }
    gen_emit(g, INSN_ADD64_REG, t, stack ? 10 : 6, 0, 0);
    gen_set(g, t, KIND_NONE, 0);
    *off -= stack ? 8 * NUMBER_SLOTS : 0;
    return t;
}

static unsigned through_register(struct generator *g, unsigned reg, unsigned bytes, unsigned align, int *off)
{
    const struct generate_value *v = &g->now.regs[reg];
    switch (v->kind) {
    case KIND_MEM: *off = aligned_pick(g, WORLD_MEM - bytes, align) - v->off; break;
    case KIND_STACK:
        *off = aligned_pick(g, 8 * NUMBER_SLOTS - bytes, align) - 8 * NUMBER_SLOTS - v->off;
        break;
    case KIND_BUFFER: *off = aligned_pick(g, BUFFER_BYTES - bytes, align); break;
    default: *off = aligned_pick(g, v->size - bytes, align);
    }
    return reg;
}

unsigned gen_memory(struct generator *g, unsigned bytes, unsigned align, int *off)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned reg = gen_pick(g, 10), kind = g->now.regs[reg].kind;
        if (kind > KIND_NUMBER) {
            return through_register(g, reg, bytes, align, off);
        }
    }
    if (gen_chance(g, 30)) {
        return indexed(g, bytes, align, off);
    }
    *off = -(int)bytes - aligned_pick(g, 8 * NUMBER_SLOTS - bytes, align);
    return 10;
}

// A pointer into the memory or the stack in a register of its own.
static void take_address(struct generator *g)
{
    unsigned reg = gen_free_reg(g);
    bool stack = gen_chance(g, 50);
    int off = stack ? -8 * (1 + (int)gen_pick(g, NUMBER_SLOTS)) : 8 * (int)gen_pick(g, WORLD_MEM / 8);
    gen_emit(g, INSN_MOV64_REG, reg, stack ? 10 : 6, 0, 0);
    gen_emit(g, INSN_ADD64_IMM, reg, 0, 0, off);
    gen_set(g, reg, stack ? KIND_STACK : KIND_MEM, off);
}

void gen_access(struct generator *g)
{
    static const uint8_t forms[] = {FORM_LOAD, FORM_LOAD, FORM_STORE_REG, FORM_STORE_IMM};
    unsigned id = any_id(g, forms[gen_pick(g, ARRAY_SIZE(forms))]), bytes = insn_info(id)->width / 8;
    int off;
    if (gen_chance(g, 15)) {
        take_address(g);
    }
    if (insn_info(id)->form == FORM_LOAD) {
        unsigned base = gen_memory(g, bytes, 1, &off), dst = gen_free_reg(g);
        gen_emit(g, id, dst, base, off, 0);
        gen_set(g, dst, KIND_NUMBER, 0);
        return;
    }
    bool by_register = insn_info(id)->form == FORM_STORE_REG;
    unsigned src = by_register ? gen_number_reg(g) : 0, base = gen_memory(g, bytes, 1, &off);
    if (by_register && g->now.regs[src].kind != KIND_NUMBER) {
        src = gen_number_reg(g); // the address took the register
        if (src == base || g->now.regs[base].kind == KIND_NUMBER) {
            return;
        }
    }
    gen_emit(g, id, base, src, off, by_register ? 0 : gen_small(g));
}

void gen_atomic(struct generator *g)
{
    unsigned id = any_id(g, FORM_ATOMIC), bytes = insn_info(id)->width / 8;
    int off;
    if (insn_info(id)->sem == SEM_ATOMIC_CMPXCHG && g->now.regs[0].kind != KIND_NUMBER) {
        if ((g->locked & 1) != 0) {
            return;
        }
        gen_load_number(g, 0);
    }
    unsigned src = gen_number_dst(g), base = gen_memory(g, bytes, 8, &off);
    bool lost = g->now.regs[src].kind != KIND_NUMBER || (g->locked & 1) != 0 ||
                (insn_info(id)->sem == SEM_ATOMIC_CMPXCHG && g->now.regs[0].kind != KIND_NUMBER);
    if (!lost && src != base) {
        gen_emit(g, id, base, src, off, 0);
    }
}

void gen_spill(struct generator *g)
{
    unsigned slot = gen_pick(g, SPILL_SLOTS), reg = gen_pick(g, 10);
    int off = -8 * (int)(NUMBER_SLOTS + 1 + slot);
    if (g->now.spills[slot].kind != KIND_NONE && gen_chance(g, 60)) {
        reg = gen_free_reg(g);
        gen_emit(g, INSN_LDXDW, reg, 10, off, 0);
        g->now.regs[reg] = g->now.spills[slot];
    } else if (g->now.regs[reg].kind != KIND_NONE) {
        gen_emit(g, INSN_STXDW, 10, reg, off, 0);
        g->now.spills[slot] = g->now.regs[reg];
    }
}
