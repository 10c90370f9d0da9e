// SPDX-License-Identifier: MIT
// isa_encode: struct insn -> little-endian slots. The inverse of the decoder: what it writes decodes to the
// same entry.
#include "isa/isa.h"

static void write_slot(uint8_t *bytes, uint8_t opcode, unsigned regs, int16_t off, uint32_t imm)
{
    bytes[0] = opcode;
    bytes[1] = (uint8_t)regs;
    bytes[2] = (uint8_t)off;
    bytes[3] = (uint8_t)((uint16_t)off >> 8);
    for (unsigned i = 0; i < 4; i++) {
        bytes[4 + i] = (uint8_t)(imm >> (8 * i));
    }
}

static void encode_first(const struct insn *in, const struct insn_info *info, uint8_t *bytes)
{
    unsigned src = info->selector == SELECT_SRC ? (unsigned)info->value : in->src;
    int16_t off = info->selector == SELECT_OFF ? info->value : in->off;
    uint32_t imm = info->selector == SELECT_IMM ? (uint32_t)info->value : (uint32_t)in->imm;
    write_slot(bytes, info->opcode, src << 4 | in->dst, off, imm);
}

// `left` entries follow from `in` on; `bytes` has room for as many slots.
static enum insn_error encode_one(const struct insn *in, size_t left, uint8_t *bytes)
{
    const struct insn_info *info = insn_info(in->id);
    enum insn_error error = insn_check(in);
    if (error != INSN_OK) {
        return error;
    }
    if (info->form == FORM_LDDW) {
        if (left < 2 || !insn_is_second_slot(&in[1])) {
            return INSN_ERR_TRUNCATED;
        }
        uint32_t high = info->sem == SEM_LDDW_CODE ? 0 : (uint32_t)((uint64_t)in->imm >> 32);
        write_slot(bytes + INSN_SLOT_SIZE, 0, 0, 0, high);
    }
    encode_first(in, info, bytes);
    return INSN_OK;
}

enum insn_error insn_encode(const struct insn *insns, size_t count, void *bytes, uint32_t *bad_pc)
{
    if (count == 0 || count > INSN_MAX_SLOTS) {
        *bad_pc = 0;
        return INSN_ERR_LENGTH;
    }
    for (size_t pc = 0; pc < count; pc += insn_slots(&insns[pc])) {
        enum insn_error error = encode_one(&insns[pc], count - pc, (uint8_t *)bytes + pc * INSN_SLOT_SIZE);
        if (error != INSN_OK) {
            *bad_pc = (uint32_t)pc;
            return error;
        }
    }
    return INSN_OK;
}
