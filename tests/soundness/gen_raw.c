// SPDX-License-Identifier: MIT
// gen_raw: dense little programs over raw memory (r1 = memory, r2 = its length): pointer walks of every form,
// stack stores and atomics of any width at any place, jumps from group to group, count-down loops, a callee
// that gets pointers. Less careful than gen.c, so that more of them are wrong.
#include "tests/soundness/gen_int.h"

enum { MAX_PENDING = GEN_MAX_INSNS };

static struct gen *g; // the program at hand
static uint32_t known_length;
static struct {
    uint32_t pc, left; // a jump, and the groups of instructions that it still skips
} pending[MAX_PENDING];
static uint32_t pending_count;

static uint32_t pick(uint32_t below)
{
    return gen_pick(g, below);
}

static void emit(unsigned id, unsigned dst, unsigned src, int off, int64_t imm)
{
    gen_emit(g, id, dst, src, off, imm);
}

static unsigned number_reg(void)
{
    static const uint8_t regs[] = {0, 3, 4, 5, 8};
    return regs[pick(ARRAY_SIZE(regs))];
}

static int64_t number(void)
{
    static const int64_t special[] = {
        0, 1, -1, 2, 7, 8, 31, 32, 63, 64, 255, 256, 0x7fffffff, -0x7fffffff - 1, -8, 65535};
    return pick(3) == 0   ? (int32_t)gen_random(g)
           : pick(2) == 0 ? (int64_t)pick(16)
                          : special[pick(ARRAY_SIZE(special))];
}

static unsigned random_row(unsigned form)
{
    return gen_row(g, form);
}

static void emit_pointer_walk(void)
{
    unsigned index = number_reg();
    emit(INSN_MOV64_REG, 9, 6, 0, 0);
    emit(pick(2) != 0 ? INSN_AND64_IMM : INSN_AND32_IMM, index, 0, 0, (int64_t)(pick(2) != 0 ? 7 : pick(32)));
    emit(pick(8) == 0 ? INSN_SUB64_REG : INSN_ADD64_REG, 9, index, 0, 0);
    if (pick(3) == 0) {
        emit(INSN_ADD64_IMM, 9, 0, 0, (int64_t)pick(8));
    }
    if (pick(3) == 0) {
        index = number_reg();
        emit(INSN_AND64_IMM, index, 0, 0, (int64_t)pick(8));
        emit(INSN_ADD64_REG, 9, index, 0, 0);
    }
    if (pick(3) == 0) { // what a later check proves for the pointer
        unsigned end = number_reg();
        emit(INSN_MOV64_REG, end, 9, 0, 0);
        emit(pick(2) != 0 ? INSN_SUB64_REG : INSN_SUB32_REG, end, 6, 0, 0);
        emit(INSN_JGT64_REG, end, 7, 1, 0);
    }
    emit(random_row(FORM_LOAD), number_reg(), 9, (int)pick(12), 0);
}

static void emit_map_walk(void)
{
    unsigned index = number_reg();
    emit(INSN_LDDW_MAP_VALUE, 9, 0, 0, (int64_t)((uint64_t)pick(8) << 32));
    emit(INSN_NONE, 0, 0, 0, 0);
    emit(INSN_AND64_IMM, index, 0, 0, (int64_t)pick(64));
    emit(INSN_ADD64_REG, 9, index, 0, 0);
    if (pick(2) != 0) {
        emit(random_row(FORM_LOAD), number_reg(), 9, (int)pick(16), 0);
    } else {
        emit(random_row(FORM_STORE_REG), 9, number_reg(), (int)pick(16), 0);
    }
}

static void emit_length_check(void)
{
    unsigned temp = number_reg();
    int64_t need = (int64_t)pick(24);
    emit(INSN_MOV64_REG, temp, 7, 0, 0);
    emit(INSN_ADD64_IMM, temp, 0, 0, -(int64_t)pick(8));
    emit(pick(2) != 0 ? INSN_JSLT64_IMM : INSN_JLT64_IMM, temp, 0, 1, need);
    emit(INSN_LDXB, temp, 6, (int)pick(24), 0);
}

static void emit_stack_walk(void)
{
    unsigned index = number_reg();
    emit(INSN_MOV64_REG, 9, 10, 0, 0);
    emit(INSN_AND64_IMM, index, 0, 0, pick(2) != 0 ? 24 : 31);
    emit(INSN_ADD64_REG, 9, index, 0, 0);
    emit(random_row(pick(2) != 0 ? FORM_LOAD : FORM_STORE_IMM), 9, 9, -48 + (int)pick(12), 7);
    g->insns[g->count - 1].dst =
        insn_info(g->insns[g->count - 1].id)->form == FORM_LOAD ? (uint8_t)number_reg() : 9;
    g->insns[g->count - 1].src = insn_info(g->insns[g->count - 1].id)->form == FORM_LOAD ? 9 : 0;
}

static void emit_call(void)
{
    emit(INSN_MOV64_REG, 1, number_reg(), 0, 0);
    if (pick(2) != 0) {
        emit(INSN_MOV64_REG, 2, 10, 0, 0);
        emit(INSN_ADD64_IMM, 2, 0, 0, -8 * (int64_t)(1 + pick(4)));
    } else {
        emit(INSN_MOV64_REG, 2, 6, 0, 0);
    }
    emit(INSN_CALL_LOCAL, 0, 0, 0, 0); // displacement: when the function's place is known
    emit(INSN_MOV64_IMM, 3, 0, 0, number());
    emit(INSN_MOV64_REG, 4, 0, 0, 0);
    emit(INSN_MOV64_REG, 5, 8, 0, 0);
    emit(INSN_MOV64_REG, 1, 6, 0, 0);
}

static void emit_loop(void)
{
    emit(INSN_MOV64_IMM, 9, 0, 0, 1 + (int64_t)pick(5));
    emit(random_row(FORM_ALU_IMM), number_reg(), 0, 0, number());
    emit(INSN_STXDW, 10, number_reg(), -8 * (1 + (int)pick(4)), 0);
    emit(INSN_ADD64_IMM, 9, 0, 0, -1);
    emit(INSN_JNE64_IMM, 9, 0, -4, 0);
}

static void emit_jump(void)
{
    if (pick(2) != 0) {
        emit(random_row(FORM_JMP_IMM), number_reg(), 0, 0, number());
    } else {
        emit(random_row(FORM_JMP_REG), number_reg(), number_reg(), 0, 0);
    }
    pending[pending_count].pc = g->count - 1;
    pending[pending_count++].left = 2 + pick(4);
}

static void emit_stack(void)
{
    int off = -8 * (1 + (int)pick(4)) + (pick(4) == 0 ? (int)pick(4) : 0);
    switch (pick(4)) {
    case 0: emit(random_row(FORM_LOAD), number_reg(), 10, off, 0); break;
    case 1: emit(random_row(FORM_STORE_IMM), 10, 0, off, number()); break;
    case 2: emit(random_row(FORM_ATOMIC), 10, number_reg(), off & ~7, 0); break;
    default: emit(random_row(FORM_STORE_REG), 10, number_reg(), off, 0); break;
    }
}

// One group of instructions; jumps go from group to group.
static void emit_group(void)
{
    switch (pick(14)) {
    case 0:
    case 1: emit(random_row(FORM_ALU_IMM), number_reg(), 0, 0, number()); break;
    case 2:
    case 3: emit(random_row(FORM_ALU_REG), number_reg(), number_reg(), 0, 0); break;
    case 4: emit(random_row(FORM_ALU_UNARY), number_reg(), 0, 0, 0); break;
    case 5: emit(random_row(FORM_LOAD), number_reg(), 6, (int)pick(known_length), 0); break;
    case 6: emit_pointer_walk(); break;
    case 7: emit_map_walk(); break;
    case 8: emit_length_check(); break;
    case 9: emit_stack_walk(); break;
    case 10: emit_loop(); break;
    case 11: (pick(4) == 0 ? emit_call : emit_stack)(); break;
    case 12: emit_stack(); break;
    default: emit_jump(); break;
    }
}

static void close_jumps(bool all)
{
    for (uint32_t i = 0; i < pending_count; i++) {
        if (pending[i].left != 0 && (--pending[i].left == 0 || all)) {
            pending[i].left = 0;
            g->insns[pending[i].pc].off = (int16_t)(g->count - pending[i].pc - 1);
        }
    }
}

static void emit_callee(void)
{
    g->funcs[0].end = g->funcs[1].start = g->count;
    emit(INSN_MOV64_REG, 0, 1, 0, 0);
    emit(random_row(FORM_ALU_IMM), 0, 0, 0, number());
    emit(INSN_STXDW, 10, 0, -8, 0);
    if (pick(2) != 0) {
        emit(random_row(pick(2) != 0 ? FORM_STORE_IMM : FORM_LOAD), 2, 2, 0, 5);
        bool load = insn_info(g->insns[g->count - 1].id)->form == FORM_LOAD;
        g->insns[g->count - 1].dst = load ? 3 : 2;
        g->insns[g->count - 1].src = load ? 2 : 0;
        g->insns[g->count - 1].imm = load ? 0 : 5;
    }
    emit(INSN_EXIT, 0, 0, 0, 0);
    g->funcs[1].end = g->count;
    for (uint32_t pc = 0; pc < g->funcs[1].start; pc++) {
        if (g->insns[pc].id == INSN_CALL_LOCAL) {
            g->insns[pc].imm = (int64_t)g->funcs[1].start - pc - 1;
        }
    }
}

static void make_body(void)
{
    pending_count = 0;
    known_length = 8 + pick(24);
    emit(INSN_MOV64_REG, 6, 1, 0, 0);
    emit(INSN_MOV64_REG, 7, 2, 0, 0);
    emit(INSN_MOV64_IMM, 0, 0, 0, number());
    emit(INSN_JLT64_IMM, 2, 0, 0, known_length); // patched: to the end
    for (int off = -8; off >= -48; off -= 8) {
        emit(INSN_STDW, 10, 0, off, number());
    }
    emit(INSN_LDXDW, 3, 6, 0, 0);
    emit(INSN_LDXB, 4, 6, 3, 0);
    emit(INSN_LDXH, 5, 6, 5, 0);
    emit(INSN_MOV64_IMM, 8, 0, 0, number());
    for (uint32_t groups = 3 + pick(14); groups != 0; groups--) {
        emit_group();
        close_jumps(false);
    }
    close_jumps(true);
    g->insns[3].off = (int16_t)(g->count - 4);
    emit(INSN_EXIT, 0, 0, 0, 0);
    emit_callee();
}

void gen_raw_program(struct gen *out, uint64_t seed)
{
    static const struct map_def map = {MAP_TYPE_ARRAY, 2, 4, 64, 1, 0, "map"};
    memset(out, 0, sizeof(*out));
    g = out;
    g->origin = seed;
    g->seed = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
    for (unsigned i = 0; i < 8; i++) {
        gen_random(g);
    }
    g->maps[0] = map;
    make_body();
    g->program = (struct program){.type = PROG_TYPE_RAW_MEMORY,
                                  .insns = g->insns,
                                  .insn_count = g->count,
                                  .funcs = g->funcs,
                                  .func_count = 2,
                                  .maps = g->maps,
                                  .map_count = 1,
                                  .strings = "",
                                  .strings_size = 1};
}
