// SPDX-License-Identifier: MIT
// mutate: checks dropped, inverted or weakened; constants, offsets, registers and widths changed.
#include "tests/soundness/mutate.h"

#include "tests/soundness/gen_int.h"

enum { MUTATE_TRIES = 1000 };

static uint32_t pick_insn(struct gen *g, const struct gen *in)
{
    uint32_t pc;
    do {
        pc = gen_pick(g, in->count);
    } while (in->insns[pc].id == INSN_NONE);
    return pc;
}

static bool is_access(const struct insn *in)
{
    unsigned form = insn_info(in->id)->form;
    return form == FORM_LOAD || form == FORM_STORE_IMM || form == FORM_STORE_REG || form == FORM_ATOMIC;
}

// Another row with the same form, so that all operands still fit.
static void change_row(struct gen *g, struct insn *in)
{
    const struct insn_info *old = insn_info(in->id);
    bool keep = gen_chance(g, 2); // the same meaning in another width
    for (unsigned tries = 0; tries < 64; tries++) {
        unsigned id = gen_row(g, old->form);
        if (!keep || insn_info(id)->sem == old->sem) {
            in->id = (uint16_t)id;
            return;
        }
    }
}

static void change_number(struct gen *g, struct insn *in)
{
    static const int8_t steps[] = {1, -1, 2, -2, 4, -4, 8, -8, 16, -16};
    int step = steps[gen_pick(g, ARRAY_SIZE(steps))];
    if (is_access(in)) {
        in->off = (int16_t)(in->off + step);
        return;
    }
    unsigned form = insn_info(in->id)->form;
    if (form == FORM_ALU_IMM || form == FORM_JMP_IMM) {
        in->imm = gen_chance(g, 4) ? gen_imm(g) : (int32_t)((int64_t)in->imm + step);
    }
}

static void change_register(struct gen *g, struct insn *in)
{
    unsigned form = insn_info(in->id)->form;
    bool has_src = form == FORM_ALU_REG || form == FORM_JMP_REG || form == FORM_LOAD ||
                   form == FORM_STORE_REG || form == FORM_ATOMIC;
    if (has_src && gen_chance(g, 2)) {
        in->src = (uint8_t)gen_pick(g, 11);
    } else if (has_src || form == FORM_ALU_IMM || form == FORM_JMP_IMM || form == FORM_STORE_IMM) {
        in->dst = (uint8_t)gen_pick(g, 11);
    }
}

// Nothing happens any more, or the jump is always taken.
static void drop(struct gen *g, struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    if (info->form == FORM_LDDW || info->form == FORM_EXIT) {
        return;
    }
    int off = insn_is_conditional(in) && gen_chance(g, 3) ? in->off : 0;
    *in = (struct insn){.id = INSN_JA, .off = (int16_t)off};
}

static bool may_swap(const struct insn *in)
{
    unsigned form = insn_info(in->id)->form;
    return in->id != INSN_NONE && form != FORM_LDDW && !insn_is_jump(in) && form != FORM_EXIT &&
           in->id != INSN_CALL_LOCAL;
}

static void swap_with_next(struct gen *out, uint32_t pc)
{
    if (pc + 1 < out->count && may_swap(&out->insns[pc]) && may_swap(&out->insns[pc + 1])) {
        struct insn first = out->insns[pc];
        out->insns[pc] = out->insns[pc + 1];
        out->insns[pc + 1] = first;
    }
}

static void change(struct gen *g, struct gen *out)
{
    uint32_t pc = pick_insn(g, out);
    struct insn *in = &out->insns[pc];
    switch (gen_pick(g, 7)) {
    case 0: drop(g, in); break;
    case 1: change_row(g, in); break;
    case 2:
    case 3: change_number(g, in); break;
    case 4: change_register(g, in); break;
    case 5: swap_with_next(out, pc); break;
    default:
        if (insn_is_conditional(in)) {
            in->off = (int16_t)(in->off + (gen_chance(g, 2) ? 1 : -1));
        } else {
            change_number(g, in);
        }
        break;
    }
}

static bool is_well_formed(const struct program *p)
{
    uint32_t bad_pc;
    const char *why;
    return program_check(spec_builtin(), p, &bad_pc, &why) == EBPF_SUCCESS;
}

void mutate(struct gen *from, struct gen *out)
{
    for (unsigned tries = 0;; tries++) {
        *out = *from;
        out->program.insns = out->insns;
        out->program.funcs = out->funcs;
        if (from->program.maps == from->maps) { // else they are another's, and stay
            out->program.maps = out->maps;
        }
        for (unsigned i = 1 + gen_pick(from, 3); i > 0; i--) {
            change(from, out);
        }
        if (tries == MUTATE_TRIES || is_well_formed(&out->program)) {
            return; // perhaps one that program_check refuses
        }
    }
}
