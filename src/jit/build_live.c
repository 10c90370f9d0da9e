// SPDX-License-Identifier: MIT
// build_live: which variables live at the start of each block: PHIs are made for no others.
#include "jit/build.h"

#define SWEEPS 24 // over all blocks; what needs more is treated as if everything lived everywhere

#define BIT(reg)  ((uint32_t)1 << (reg))
#define ARGUMENTS (BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5))
#define OWN       (BIT(6) | BIT(7) | BIT(8) | BIT(9))

// --- traits --------------------------------------------------------------------------------------

#define OF_ALU_IMM   (BUILD_READS_DST | BUILD_WRITES_DST)
#define OF_ALU_REG   (BUILD_READS_DST | BUILD_READS_SRC | BUILD_WRITES_DST)
#define OF_ALU_UNARY (BUILD_READS_DST | BUILD_WRITES_DST)
#define OF_JMP_IMM   (BUILD_READS_DST | BUILD_FLOW)
#define OF_JMP_REG   (BUILD_READS_DST | BUILD_READS_SRC | BUILD_FLOW)
#define OF_JA16      BUILD_FLOW
#define OF_JA32      BUILD_FLOW
#define OF_MAY_GOTO  BUILD_FLOW
#define OF_CALL      (BUILD_SPECIAL | BUILD_NOTED)
#define OF_CALLX     (BUILD_READS_DST | BUILD_SPECIAL | BUILD_NOTED)
#define OF_EXIT      (BUILD_SPECIAL | BUILD_FLOW)
#define OF_LOAD      (BUILD_READS_SRC | BUILD_WRITES_DST)
#define OF_STORE_IMM BUILD_READS_DST
#define OF_STORE_REG (BUILD_READS_DST | BUILD_READS_SRC)
#define OF_LDDW      (BUILD_WRITES_DST | BUILD_WIDE)
#define OF_LDABS     (BUILD_SPECIAL | BUILD_FLOW | BUILD_NOTED)
#define OF_LDIND     (BUILD_READS_SRC | BUILD_SPECIAL | BUILD_FLOW | BUILD_NOTED)
#define OF_ATOMIC    (BUILD_READS_DST | BUILD_READS_SRC | BUILD_SPECIAL)

#define IS_MOVE(sem) ((sem) == SEM_MOV || (sem) == SEM_MOVSX8 || (sem) == SEM_MOVSX16 || (sem) == SEM_MOVSX32)
#define LESS(sem)    (IS_MOVE(sem) ? BUILD_READS_DST : 0)
#define MORE(sem)    ((sem) == SEM_CALL_LOCAL ? BUILD_FLOW : (sem) == SEM_LDDW_MAP ? BUILD_NOTED : 0)

const uint32_t build_traits[256] = {
#define INSN(id, opcode, selector, value, mnemonic, form, sem, width, group)                                 \
    [INSN_##id] = (OF_##form & ~LESS(SEM_##sem)) | MORE(SEM_##sem),
#include "isa/isa.def"
#undef INSN
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

static uint32_t call_reads(const struct jit *j, const struct insn *in, uint32_t pc)
{
    switch (in->id) {
    case INSN_CALL: return helper_reads(j, in);
    case INSN_CALL_LOCAL: return local_reads(j, in, pc);
    default: return ARGUMENTS;
    }
}

// Registers r0-r10 that an instruction reads, as bits, and, from WRITTEN on, those that it writes.
#define WRITTEN 16
_Static_assert(BUILD_WRITES_DST == BUILD_READS_DST << WRITTEN, "both are moved by the register's number");

static uint32_t effect_of(const struct insn *in, unsigned traits)
{
    uint32_t reads_src = traits / BUILD_READS_SRC & 1;
    return (traits & (BUILD_READS_DST | BUILD_WRITES_DST)) << in->dst | reads_src << in->src;
}

static uint32_t atomic_effect(const struct insn *in, uint8_t sem)
{
    switch (sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_XOR: return 0;
    case SEM_ATOMIC_CMPXCHG: return BIT(0) | BIT(0) << WRITTEN;
    default: return BIT(in->src) << WRITTEN;
    }
}

// What BUILD_SPECIAL stands for; `depth`: of the copy.
static uint32_t special_effect(const struct build *b, const struct insn *in, uint32_t slot, uint8_t depth)
{
    const struct insn_info *info = insn_info(in->id);
    switch (info->form) {
    case FORM_CALL:
    case FORM_CALLX:
        if (in->id == INSN_CALL_LOCAL && build_copy_at(b, slot) != BUILD_NONE) {
            return 0; // its arguments are the same variables
        }
        return call_reads(b->j, in, (uint32_t)(in - b->j->input->insns)) | (ARGUMENTS | BIT(0)) << WRITTEN;
    case FORM_ATOMIC: return atomic_effect(in, info->sem);
    case FORM_EXIT: return depth == 0 ? BIT(0) : ARGUMENTS << WRITTEN;
    default: return BIT(0) << WRITTEN; // packet loads
    }
}

bool build_writes_frame(const struct insn *in)
{
    uint32_t effect = effect_of(in, build_traits_of(in));
    if (insn_info(in->id)->form == FORM_ATOMIC) {
        effect |= atomic_effect(in, insn_info(in->id)->sem);
    }
    return (effect >> WRITTEN & BIT(10)) != 0;
}

// --- blocks --------------------------------------------------------------------------------------

static uint64_t variables_of(uint32_t regs, uint8_t depth)
{
    uint64_t own = regs >> BUILD_SHARED & 0xf; // r6-r9
    return (regs & (BIT(BUILD_SHARED) - 1)) | own << (BUILD_SHARED + 4u * depth);
}

// A function that was taken in starts with no values in its own variables.
static uint64_t entered(const struct build *b, const struct build_block *block, const struct insn *last)
{
    bool enters = last->id == INSN_CALL_LOCAL && build_copy_at(b, block->end - 1) != BUILD_NONE;
    return enters ? variables_of(OWN, (uint8_t)(b->copies[block->copy].depth + 1)) : 0;
}

static void scan(struct build *b, struct build_block *block)
{
    const struct build_copy *copy = &b->copies[block->copy];
    const struct insn *in = &b->j->input->insns[build_pc(copy, block->first)], *first = in;
    const struct insn *end = in + (block->end - block->first);
    uint32_t use = 0, unwritten = UINT32_MAX;
    for (; in < end; in++) { // the second slot of an instruction has no effect
        unsigned traits = build_traits_of(in);
        uint32_t effect = effect_of(in, traits);
        if ((traits & BUILD_SPECIAL) != 0) {
            effect |= special_effect(b, in, block->first + (uint32_t)(in - first), copy->depth);
        }
        use |= effect & unwritten;
        unwritten &= ~(effect >> WRITTEN);
    }
    b->writes_frame |= (unwritten & BIT(10)) == 0;
    block->use = block->in = variables_of(use, copy->depth);
    block->def = variables_of(~unwritten, copy->depth) | entered(b, block, end - 1);
}

// True when what is alive changed where a block that was there before comes from.
static bool sweep(struct build *b)
{
    bool changed = false;
    for (uint32_t i = b->block_count; i-- > 0;) {
        struct build_block *block = &b->blocks[i];
        uint64_t out = 0;
        for (unsigned s = 0; s < 2 && block->succ[s] != BUILD_NONE; s++) {
            out |= b->blocks[block->succ[s]].in;
        }
        uint64_t in = block->use | (out & ~block->def);
        changed |= block->repeats && in != block->in;
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
