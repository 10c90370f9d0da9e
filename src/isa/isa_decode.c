// SPDX-License-Identifier: MIT
// isa_decode: little-endian slots of untrusted bytes -> struct insn. Strict: what insn_check refuses does not
// decode, so that every consumer sees one form of each instruction (RFC 9669, section 3).
#include "isa/isa.h"

struct slot {
    uint8_t opcode, dst, src;
    int16_t off;
    int32_t imm;
};

static enum insn_error read_slot(struct reader *r, struct slot *out)
{
    uint8_t opcode, regs;
    uint16_t off;
    uint32_t imm;
    if (reader_u8(r, &opcode) != EBPF_SUCCESS || reader_u8(r, &regs) != EBPF_SUCCESS ||
        reader_u16(r, &off) != EBPF_SUCCESS || reader_u32(r, &imm) != EBPF_SUCCESS) {
        return INSN_ERR_LENGTH;
    }
    *out = (struct slot){opcode, regs & 0xf, regs >> 4, (int16_t)off, (int32_t)imm};
    return INSN_OK;
}

#define ROW_KEY(selector, opcode, value)                                                                     \
    ((uint32_t)(selector) << 24 | (uint32_t)(opcode) << 16 | (uint16_t)(value))

// Two rows of equal opcode, selector and value are a compile error here.
static unsigned find_row(unsigned selector, uint8_t opcode, int32_t value)
{
    if (value < 0 || value > INT16_MAX) {
        return INSN_NONE;
    }
    switch (ROW_KEY(selector, opcode, value)) {
#define INSN(id, op, sel, val, ...)                                                                          \
    case ROW_KEY(SELECT_##sel, op, val): return INSN_##id;
#include "isa/isa.def"
#undef INSN
    default: return INSN_NONE;
    }
}

// Row of a slot; the selecting field is cleared, because the row stands for it.
static unsigned select_row(struct slot *s)
{
    unsigned id = find_row(SELECT_NONE, s->opcode, 0);
    if (id == INSN_NONE && (id = find_row(SELECT_SRC, s->opcode, s->src)) != INSN_NONE) {
        s->src = 0;
    }
    if (id == INSN_NONE && (id = find_row(SELECT_OFF, s->opcode, s->off)) != INSN_NONE) {
        s->off = 0;
    }
    if (id == INSN_NONE && (id = find_row(SELECT_IMM, s->opcode, s->imm)) != INSN_NONE) {
        s->imm = 0;
    }
    return id;
}

// gcc and clang before 19 put the register of callx into the immediate.
static enum insn_error canonicalise_callx(struct slot *s)
{
    if (s->imm == 0) {
        return INSN_OK;
    }
    if (s->dst != 0) {
        return INSN_ERR_RESERVED;
    }
    if (s->imm < 0 || s->imm >= INSN_REG_COUNT) {
        return INSN_ERR_REGISTER;
    }
    s->dst = (uint8_t)s->imm;
    s->imm = 0;
    return INSN_OK;
}

static bool uses_second_immediate(unsigned sem)
{
    return sem == SEM_LDDW || sem == SEM_LDDW_MAP_VALUE_FD || sem == SEM_LDDW_MAP_VALUE;
}

static enum insn_error second_slot(struct reader *r, unsigned sem, struct insn *in)
{
    struct slot s;
    if (read_slot(r, &s) != INSN_OK || s.opcode != 0 || s.dst != 0 || s.src != 0 || s.off != 0 ||
        (s.imm != 0 && !uses_second_immediate(sem))) {
        return INSN_ERR_TRUNCATED;
    }
    if (sem != SEM_LDDW_CODE) { // a displacement stays sign-extended
        in->imm = (int64_t)((uint64_t)(uint32_t)s.imm << 32 | (uint32_t)in->imm);
    }
    return INSN_OK;
}

static enum insn_error decode_one(struct reader *r, struct insn *out)
{
    struct slot s;
    enum insn_error error = read_slot(r, &s);
    if (error != INSN_OK) {
        return error;
    }
    unsigned id = select_row(&s);
    if (id == INSN_CALLX && (error = canonicalise_callx(&s)) != INSN_OK) {
        return error;
    }
    struct insn in = {.id = (uint16_t)id, .dst = s.dst, .src = s.src, .off = s.off, .imm = s.imm};
    if (id != INSN_NONE && insn_info(id)->form == FORM_LDDW) {
        error = second_slot(r, insn_info(id)->sem, &in);
    }
    if (error == INSN_OK) {
        error = insn_check(&in);
    }
    if (error == INSN_OK) {
        *out = in;
    }
    return error;
}

enum insn_error insn_decode(const void *bytes, size_t size, struct insn *out, uint32_t *bad_pc)
{
    struct reader r;
    if (size == 0 || size % INSN_SLOT_SIZE != 0 || size / INSN_SLOT_SIZE > INSN_MAX_SLOTS) {
        *bad_pc = 0;
        return INSN_ERR_LENGTH;
    }
    reader_init(&r, bytes, size);
    for (uint32_t pc = 0; reader_left(&r) != 0;) {
        enum insn_error error = decode_one(&r, &out[pc]);
        if (error != INSN_OK) {
            *bad_pc = pc;
            return error;
        }
        if (insn_slots(&out[pc++]) == 2) {
            out[pc++] = (struct insn){0};
        }
    }
    return INSN_OK;
}
