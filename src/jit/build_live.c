// SPDX-License-Identifier: MIT
// build_live: which variables live at the start of each block: PHIs are made for no others.
#include "jit/build.h"

#define SWEEPS 24 // over all blocks; what needs more is treated as if everything lived everywhere

#define BIT(reg)  ((uint32_t)1 << (reg))
#define ARGUMENTS (BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5))

enum effect { READS_DST = 1, READS_SRC = 2, WRITES_DST = 4, WRITES_R0 = 8 };

static const uint8_t effects[FORM_COUNT] = {
    [FORM_ALU_IMM] = READS_DST | WRITES_DST,
    [FORM_ALU_REG] = READS_DST | READS_SRC | WRITES_DST,
    [FORM_ALU_UNARY] = READS_DST | WRITES_DST,
    [FORM_JMP_IMM] = READS_DST,
    [FORM_JMP_REG] = READS_DST | READS_SRC,
    [FORM_CALLX] = READS_DST,
    [FORM_LOAD] = READS_SRC | WRITES_DST,
    [FORM_STORE_IMM] = READS_DST,
    [FORM_STORE_REG] = READS_DST | READS_SRC,
    [FORM_LDDW] = WRITES_DST,
    [FORM_LDABS] = WRITES_R0,
    [FORM_LDIND] = READS_SRC | WRITES_R0,
    [FORM_ATOMIC] = READS_DST | READS_SRC,
};

// --- one instruction -----------------------------------------------------------------------------

static uint32_t helper_reads(const struct jit *j, const struct insn *in)
{
    if (j->input->raw || in->imm <= 0 || in->imm >= (int64_t)j->input->helper_count) {
        return ARGUMENTS;
    }
    return (BIT(j->input->helpers[in->imm].arg_count + 1u) - 1) & ARGUMENTS;
}

static uint32_t local_reads(const struct jit *j, const struct insn *in, uint32_t pc)
{
    uint32_t func = build_func_at(j, insn_target(in, pc));
    return func == j->input->func_count ? ARGUMENTS : j->facts[func].reads;
}

static void call_effect(const struct jit *j, const struct insn *in, uint32_t pc, uint32_t *reads,
                        uint32_t *writes)
{
    switch (in->id) {
    case INSN_CALL: *reads |= helper_reads(j, in); break;
    case INSN_CALL_LOCAL: *reads |= local_reads(j, in, pc); break;
    default: *reads |= ARGUMENTS; break;
    }
    *writes |= ARGUMENTS | BIT(0);
}

static void atomic_effect(const struct insn *in, uint8_t sem, uint32_t *reads, uint32_t *writes)
{
    switch (sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_XOR: break;
    case SEM_ATOMIC_CMPXCHG:
        *reads |= BIT(0);
        *writes |= BIT(0);
        break;
    default: *writes |= BIT(in->src); break;
    }
}

static bool is_move(uint8_t sem)
{
    return sem == SEM_MOV || sem == SEM_MOVSX8 || sem == SEM_MOVSX16 || sem == SEM_MOVSX32;
}

void build_effect(const struct jit *j, uint32_t pc, uint32_t *reads, uint32_t *writes)
{
    const struct insn *in = &j->input->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    uint8_t effect = effects[info->form];
    bool reads_dst = (effect & READS_DST) != 0 && !is_move(info->sem);
    *reads = (reads_dst ? BIT(in->dst) : 0) | ((effect & READS_SRC) != 0 ? BIT(in->src) : 0);
    *writes = ((effect & WRITES_DST) != 0 ? BIT(in->dst) : 0) | ((effect & WRITES_R0) != 0 ? BIT(0) : 0);
    if (info->form == FORM_CALL || info->form == FORM_CALLX) {
        call_effect(j, in, pc, reads, writes);
    } else if (info->form == FORM_ATOMIC) {
        atomic_effect(in, info->sem, reads, writes);
    } else if (info->form == FORM_EXIT) {
        *reads = BIT(0);
    }
}

// --- blocks --------------------------------------------------------------------------------------

static uint64_t variables_of(uint32_t regs, uint8_t depth)
{
    uint64_t own = regs >> BUILD_SHARED & 0xf; // r6-r9
    return (regs & (BIT(BUILD_SHARED) - 1)) | own << (BUILD_SHARED + 4u * depth);
}

static void add_effect(struct build *b, struct build_block *block, uint32_t slot)
{
    const struct build_copy *copy = &b->copies[block->copy];
    uint32_t pc = build_pc(b, copy, slot), reads, writes;
    uint8_t depth = copy->depth;
    const struct insn *in = &b->j->input->insns[pc];
    build_effect(b->j, pc, &reads, &writes);
    if (in->id == INSN_CALL_LOCAL && build_copy_at(b, slot) != BUILD_NONE) {
        reads = 0; // its arguments are the same variables; it starts with no values in its own ones
        writes = BIT(6) | BIT(7) | BIT(8) | BIT(9);
        depth++;
    } else if (in->id == INSN_EXIT && depth != 0) {
        reads = 0;
        writes = ARGUMENTS;
    }
    block->use |= variables_of(reads, depth) & ~block->def;
    block->def |= variables_of(writes, depth);
}

static void scan(struct build *b, struct build_block *block)
{
    const struct build_copy *copy = &b->copies[block->copy];
    for (uint32_t slot = block->first; slot < block->end;) {
        add_effect(b, block, slot);
        slot += insn_slots(&b->j->input->insns[build_pc(b, copy, slot)]);
    }
    block->in = block->use;
}

static bool sweep(struct build *b)
{
    bool changed = false;
    for (uint32_t i = b->block_count; i-- > 0;) {
        struct build_block *block = &b->blocks[i];
        uint64_t out = 0;
        for (unsigned s = 0; s < 2; s++) {
            out |= block->succ[s] == BUILD_NONE ? 0 : b->blocks[block->succ[s]].in;
        }
        uint64_t in = block->use | (out & ~block->def);
        changed = changed || in != block->in;
        block->in = in;
    }
    return changed;
}

void build_find_live(struct build *b)
{
    unsigned sweeps = 0;
    for (uint32_t i = 0; i < b->block_count; i++) {
        if (b->blocks[i].reached && b->blocks[i].kind == BUILD_CODE) {
            scan(b, &b->blocks[i]);
        }
    }
    while (sweep(b)) {
        if (++sweeps == SWEEPS) {
            for (uint32_t i = 0; i < b->block_count; i++) {
                b->blocks[i].in = ((uint64_t)1 << b->var_count) - 1;
            }
            return;
        }
    }
}
