// SPDX-License-Identifier: MIT
// isa: the expanded instruction table and what follows from a row alone: jump targets and field rules.
#include "isa/isa.h"

const struct insn_info insn_rows[INSN_ID_COUNT] = {
    [INSN_NONE] = {.mnemonic = "?"},
#define INSN(id, opcode, selector, value, mnemonic, form, sem, width, group)                                 \
    [INSN_##id] = {opcode, SELECT_##selector, FORM_##form, SEM_##sem, width, GROUP_##group, value, mnemonic},
#include "isa/isa.def"
#undef INSN
};

int64_t insn_target(const struct insn *in, uint32_t pc)
{
    const struct insn_info *info = insn_info(in->id);
    if (insn_is_conditional(in) || info->form == FORM_JA16) {
        return (int64_t)pc + 1 + in->off;
    }
    if (info->form == FORM_JA32 || info->sem == SEM_CALL_LOCAL || info->sem == SEM_LDDW_CODE) {
        return (int64_t)pc + 1 + (int32_t)in->imm;
    }
    return -1;
}

// How a form uses a register field.
enum { UNUSED_REG, READ_REG, WRITTEN_REG };

struct form_rule {
    uint8_t dst, src; // how the register is used
    uint8_t off, imm; // 1: used
};

static const struct form_rule rules[FORM_COUNT] = {
    [FORM_ALU_IMM] = {WRITTEN_REG, UNUSED_REG, 0, 1},   [FORM_ALU_REG] = {WRITTEN_REG, READ_REG, 0, 0},
    [FORM_ALU_UNARY] = {WRITTEN_REG, UNUSED_REG, 0, 0}, [FORM_JMP_IMM] = {READ_REG, UNUSED_REG, 1, 1},
    [FORM_JMP_REG] = {READ_REG, READ_REG, 1, 0},        [FORM_JA16] = {UNUSED_REG, UNUSED_REG, 1, 0},
    [FORM_JA32] = {UNUSED_REG, UNUSED_REG, 0, 1},       [FORM_CALL] = {UNUSED_REG, UNUSED_REG, 0, 1},
    [FORM_CALLX] = {READ_REG, UNUSED_REG, 0, 0},        [FORM_EXIT] = {UNUSED_REG, UNUSED_REG, 0, 0},
    [FORM_LOAD] = {WRITTEN_REG, READ_REG, 1, 0},        [FORM_STORE_IMM] = {READ_REG, UNUSED_REG, 1, 1},
    [FORM_STORE_REG] = {READ_REG, READ_REG, 1, 0},      [FORM_LDDW] = {WRITTEN_REG, UNUSED_REG, 0, 1},
    [FORM_LDABS] = {UNUSED_REG, UNUSED_REG, 0, 1},      [FORM_LDIND] = {UNUSED_REG, READ_REG, 0, 1},
    [FORM_ATOMIC] = {READ_REG, READ_REG, 1, 0},         [FORM_MAY_GOTO] = {UNUSED_REG, UNUSED_REG, 1, 0},
};

// Atomics that return the old value in their source register. CMPXCHG returns it in r0.
static bool writes_source(const struct insn_info *info)
{
    return info->sem >= SEM_ATOMIC_FETCH_ADD && info->sem <= SEM_ATOMIC_XCHG;
}

static enum insn_error check_register(uint8_t reg, unsigned use)
{
    if (use == UNUSED_REG) {
        return reg == 0 ? INSN_OK : INSN_ERR_RESERVED;
    }
    unsigned limit = use == WRITTEN_REG ? INSN_REG_COUNT - 1 : INSN_REG_COUNT; // r10 is read-only
    return reg < limit ? INSN_OK : INSN_ERR_REGISTER;
}

// Immediates that have fewer bits on the wire than in struct insn.
static bool immediate_fits(const struct insn *in, const struct insn_info *info)
{
    switch (info->sem) {
    case SEM_LDDW:
    case SEM_LDDW_MAP_VALUE_FD:
    case SEM_LDDW_MAP_VALUE: return true;
    case SEM_LDDW_MAP_FD:
    case SEM_LDDW_VAR:
    case SEM_LDDW_MAP: return in->imm >= 0 && in->imm <= UINT32_MAX;
    default: return in->imm >= INT32_MIN && in->imm <= INT32_MAX;
    }
}

enum insn_error insn_check(const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    const struct form_rule *rule = &rules[info->form];
    if (info->form == FORM_NONE) {
        return INSN_ERR_OPCODE;
    }
    enum insn_error error = check_register(in->dst, rule->dst);
    if (error == INSN_OK) {
        error = check_register(in->src, writes_source(info) ? WRITTEN_REG : rule->src);
    }
    if (error != INSN_OK) {
        return error;
    }
    if ((in->off != 0 && !rule->off) || (in->imm != 0 && !rule->imm) || in->reserved != 0) {
        return INSN_ERR_RESERVED;
    }
    return immediate_fits(in, info) ? INSN_OK : INSN_ERR_RESERVED;
}

bool insn_is_second_slot(const struct insn *in)
{
    return in->id == INSN_NONE && in->dst == 0 && in->src == 0 && in->off == 0 && in->reserved == 0 &&
           in->imm == 0;
}

const char *insn_error_text(enum insn_error error)
{
    static const char *const texts[] = {
        [INSN_OK] = "no error",
        [INSN_ERR_OPCODE] = "unknown instruction",
        [INSN_ERR_REGISTER] = "no such register, or r10 as destination",
        [INSN_ERR_RESERVED] = "a field that the instruction does not use is not zero",
        [INSN_ERR_TRUNCATED] = "the second slot of a 64-bit immediate is missing or malformed",
        [INSN_ERR_LENGTH] = "the length is zero, not a multiple of 8, or too large",
    };
    return (unsigned)error < ARRAY_SIZE(texts) ? texts[error] : "unknown error";
}
