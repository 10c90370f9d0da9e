// SPDX-License-Identifier: MIT
// x86_encode: prefixes, ModRM and SIB of the rows of x86_insns.def.
#include "jit/x86_encode.h"

enum form_flags { BYTE = 1, BYTE_RM = 2, D64 = 4, VEX = 8, NO_W = 16 };

struct form {
    uint8_t prefix, map, opcode, digit, flags;
};

static const struct form forms[X86_INSN_COUNT] = {
#define INSN(id, prefix, map, opcode, digit, flags) [X86_##id] = {prefix, map, opcode, digit, flags},
#include "jit/x86_insns.def"
#undef INSN
};

static void byte(struct x86_code *c, unsigned value)
{
    if (c->size < c->capacity) {
        c->bytes[c->size] = (uint8_t)value;
    }
    c->size++;
}

void x86_bytes(struct x86_code *c, uint64_t value, unsigned count)
{
    for (; count != 0; count--, value >>= 8) {
        byte(c, value & 0xff);
    }
}

// --- prefixes and operands -----------------------------------------------------------------------

static bool needs_rex(unsigned reg) // as a byte register: 4-7 would be ah, ch, dh, bh
{
    return reg >= 4 && reg <= 7;
}

static void prefixes(struct x86_code *c, const struct form *f, unsigned width, unsigned reg, unsigned index,
                     unsigned base, bool force)
{
    static const uint8_t escapes[] = {0, 0, 0x38, 0x3a};
    bool wide = width == 64 && (f->flags & (NO_W | D64)) == 0;
    unsigned rex = 0x40 | (unsigned)wide << 3 | (reg & 8) >> 1 | (index & 8) >> 2 | (base & 8) >> 3;
    if (f->prefix != 0) {
        byte(c, f->prefix);
    }
    if (rex != 0x40 || force) {
        byte(c, rex);
    }
    if (f->map != 0) {
        byte(c, 0x0f);
    }
    if (f->map >= 2) {
        byte(c, escapes[f->map]);
    }
}

static void modrm_reg(struct x86_code *c, unsigned reg, unsigned rm)
{
    byte(c, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

// An address without base or index takes SIB, as ModRM alone would mean one relative to rip.
static void modrm_mem(struct x86_code *c, unsigned reg, struct x86_mem m)
{
    unsigned field = (reg & 7) << 3, index = m.index == X86_NO_REG ? 4u : m.index & 7u;
    if (m.base == X86_NO_REG) {
        byte(c, field | 4);
        byte(c, (unsigned)m.scale << 6 | index << 3 | 5);
        x86_bytes(c, (uint32_t)m.disp, 4);
        return;
    }
    unsigned mod = m.disp == 0 && (m.base & 7) != 5 ? 0 : x86_fits8(m.disp) ? 1 : 2;
    if (m.index == X86_NO_REG && (m.base & 7) != 4) {
        byte(c, mod << 6 | field | (m.base & 7));
    } else {
        byte(c, mod << 6 | field | 4);
        byte(c, (unsigned)m.scale << 6 | index << 3 | (m.base & 7));
    }
    x86_bytes(c, (uint32_t)m.disp, mod == 0 ? 0 : mod == 1 ? 1 : 4);
}

static void form_rr(struct x86_code *c, const struct form *f, unsigned width, unsigned reg, unsigned rm)
{
    bool force = ((f->flags & BYTE) != 0 && needs_rex(reg)) || ((f->flags & BYTE_RM) != 0 && needs_rex(rm));
    prefixes(c, f, width, reg, 0, rm, force);
    byte(c, f->opcode);
    modrm_reg(c, reg, rm);
}

static void form_rm(struct x86_code *c, const struct form *f, unsigned width, unsigned reg,
                    struct x86_mem mem)
{
    bool force = (f->flags & BYTE) != 0 && needs_rex(reg);
    prefixes(c, f, width, reg, mem.index == X86_NO_REG ? 0 : mem.index, mem.base == X86_NO_REG ? 0 : mem.base,
             force);
    byte(c, f->opcode);
    modrm_mem(c, reg, mem);
}

void x86_rr(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned reg, unsigned rm)
{
    form_rr(c, &forms[insn], width, reg, rm);
}

void x86_rm(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned reg, struct x86_mem mem)
{
    form_rm(c, &forms[insn], width, reg, mem);
}

void x86_r(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned rm)
{
    form_rr(c, &forms[insn], width, forms[insn].digit, rm);
}

void x86_m(struct x86_code *c, enum x86_insn insn, unsigned width, struct x86_mem mem)
{
    form_rm(c, &forms[insn], width, forms[insn].digit, mem);
}

void x86_vex(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned reg, unsigned vvvv, unsigned rm)
{
    const struct form *f = &forms[insn];
    unsigned pp = f->prefix == 0x66 ? 1 : f->prefix == 0xf3 ? 2 : f->prefix == 0xf2 ? 3 : 0;
    byte(c, 0xc4);
    byte(c, (~reg & 8) << 4 | 0x40 | (~rm & 8) << 2 | f->map);
    byte(c, (width == 64 ? 0x80u : 0) | (~vvvv & 15) << 3 | pp);
    byte(c, f->opcode);
    modrm_reg(c, reg, rm);
}

// --- instructions that have several forms --------------------------------------------------------

void x86_mov(struct x86_code *c, unsigned width, unsigned to, unsigned from)
{
    x86_rr(c, X86_MOV_MR, width, from, to);
}

// An opcode that has the register in its low bits.
static void short_form(struct x86_code *c, unsigned opcode, unsigned width, unsigned reg)
{
    unsigned rex = 0x40 | (width == 64 ? 8u : 0) | (reg & 8) >> 3;
    if (rex != 0x40) {
        byte(c, rex);
    }
    byte(c, opcode | (reg & 7));
}

void x86_mov_imm(struct x86_code *c, unsigned to, int64_t imm, bool keep_flags)
{
    if (imm == 0 && !keep_flags) {
        x86_rr(c, X86_XOR_MR, 32, to, to);
    } else if (imm == (int64_t)(uint32_t)imm) {
        short_form(c, 0xb8, 32, to);
        x86_bytes(c, (uint64_t)imm, 4);
    } else if (x86_fits32(imm)) {
        x86_r(c, X86_MOV_IMM32, 64, to);
        x86_bytes(c, (uint64_t)imm, 4);
    } else {
        short_form(c, 0xb8, 64, to);
        x86_bytes(c, (uint64_t)imm, 8);
    }
}

void x86_alu(struct x86_code *c, enum x86_alu op, unsigned width, unsigned to, unsigned from)
{
    const struct form f = {0, 0, (uint8_t)(op << 3 | 1), 0, 0};
    form_rr(c, &f, width, from, to);
}

void x86_alu_rm(struct x86_code *c, enum x86_alu op, unsigned width, unsigned to, struct x86_mem from)
{
    const struct form f = {0, 0, (uint8_t)(op << 3 | 3), 0, 0};
    form_rm(c, &f, width, to, from);
}

void x86_alu_imm(struct x86_code *c, enum x86_alu op, unsigned width, unsigned to, int32_t imm)
{
    static const struct form in_rax = {0, 0, 0, 0, 0};
    if (x86_fits8(imm)) {
        form_rr(c, &forms[X86_ALU_IMM8], width, op, to);
        x86_bytes(c, (uint64_t)imm, 1);
        return;
    }
    if (to == X86_RAX) {
        prefixes(c, &in_rax, width, 0, 0, 0, false);
        byte(c, (unsigned)op << 3 | 5);
    } else {
        form_rr(c, &forms[X86_ALU_IMM32], width, op, to);
    }
    x86_bytes(c, (uint64_t)imm, 4);
}

void x86_alu_mem_imm(struct x86_code *c, enum x86_alu op, unsigned width, struct x86_mem to, int32_t imm)
{
    bool is_short = x86_fits8(imm);
    form_rm(c, &forms[is_short ? X86_ALU_IMM8 : X86_ALU_IMM32], width, op, to);
    x86_bytes(c, (uint64_t)imm, is_short ? 1 : 4);
}

// 32 bits do for an immediate without sign, and a byte where only its low seven bits can be set: the flags
// that are asked for afterwards are zero or not zero.
void x86_test_imm(struct x86_code *c, unsigned width, unsigned reg, int32_t imm)
{
    static const struct form in_rax = {0, 0, 0, 0, 0};
    width = imm >= 0 ? 32 : width;
    if (imm >= 0 && imm <= 0x7f) {
        if (reg == X86_RAX) {
            byte(c, 0xa8);
        } else {
            x86_r(c, X86_TEST_IMM8, 32, reg);
        }
        x86_bytes(c, (uint64_t)imm, 1);
        return;
    }
    if (reg == X86_RAX) {
        prefixes(c, &in_rax, width, 0, 0, 0, false);
        byte(c, 0xa9);
    } else {
        x86_r(c, X86_TEST_IMM32, width, reg);
    }
    x86_bytes(c, (uint64_t)imm, 4);
}

void x86_shift_imm(struct x86_code *c, enum x86_shift op, unsigned width, unsigned reg, unsigned count)
{
    const struct form f = {0, 0, count == 1 ? 0xd1 : 0xc1, 0, 0};
    form_rr(c, &f, width, op, reg);
    if (count != 1) {
        byte(c, count);
    }
}

void x86_imul_imm(struct x86_code *c, unsigned width, unsigned to, unsigned from, int32_t imm)
{
    bool is_short = x86_fits8(imm);
    x86_rr(c, is_short ? X86_IMUL_IMM8 : X86_IMUL_IMM32, width, to, from);
    x86_bytes(c, (uint64_t)imm, is_short ? 1 : 4);
}

static struct form cmov_form(enum x86_cc cc)
{
    struct form f = forms[X86_CMOV];
    f.opcode = (uint8_t)(f.opcode | cc);
    return f;
}

void x86_cmov(struct x86_code *c, enum x86_cc cc, unsigned to, unsigned from)
{
    struct form f = cmov_form(cc);
    form_rr(c, &f, 64, to, from);
}

void x86_cmov_mem(struct x86_code *c, enum x86_cc cc, unsigned to, struct x86_mem from)
{
    struct form f = cmov_form(cc);
    form_rm(c, &f, 64, to, from);
}

void x86_bswap(struct x86_code *c, unsigned width, unsigned reg)
{
    const struct form f = {0, 1, 0, 0, 0};
    prefixes(c, &f, width, 0, 0, reg, false);
    byte(c, 0xc8 | (reg & 7));
}

void x86_push(struct x86_code *c, unsigned reg)
{
    short_form(c, 0x50, 32, reg);
}

void x86_pop(struct x86_code *c, unsigned reg)
{
    short_form(c, 0x58, 32, reg);
}

// --- memory --------------------------------------------------------------------------------------

void x86_store_imm(struct x86_code *c, unsigned bits, struct x86_mem to, int32_t imm)
{
    x86_m(c, bits == 8 ? X86_MOV_IMM8 : bits == 16 ? X86_MOV_IMM16 : X86_MOV_IMM32, bits, to);
    x86_bytes(c, (uint64_t)imm, bits == 64 ? 4 : bits / 8);
}

void x86_load(struct x86_code *c, unsigned bits, unsigned to, struct x86_mem from)
{
    x86_rm(c, bits == 8 ? X86_MOVZX8 : bits == 16 ? X86_MOVZX16 : X86_MOV, bits, to, from);
}

void x86_store(struct x86_code *c, unsigned bits, struct x86_mem to, unsigned from)
{
    x86_rm(c, bits == 8 ? X86_MOV_MR_BYTE : bits == 16 ? X86_MOV_MR_WORD : X86_MOV_MR, bits, from, to);
}

// --- the rest ------------------------------------------------------------------------------------

void x86_nops(struct x86_code *c, unsigned count)
{
    static const uint8_t nops[8][8] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };
    while (count != 0) {
        unsigned n = count < 8 ? count : 8;
        for (unsigned i = 0; i < n; i++) {
            byte(c, nops[n - 1][i]);
        }
        count -= n;
    }
}

void x86_lock(struct x86_code *c)
{
    byte(c, 0xf0);
}

void x86_landing_pad(struct x86_code *c)
{
    x86_bytes(c, 0xfa1e0ff3, 4); // endbr64
}

void x86_lea_rip(struct x86_code *c, unsigned reg, size_t target)
{
    static const struct form lea = {0, 0, 0x8d, 0, 0};
    prefixes(c, &lea, 64, reg, 0, 0, false);
    byte(c, lea.opcode);
    byte(c, (reg & 7) << 3 | 5);
    x86_bytes(c, (uint32_t)(target - (c->size + 4)), 4);
}
