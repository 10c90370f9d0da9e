// SPDX-License-Identifier: MIT
// x86_encode: prefixes, ModRM and SIB of the rows of x86_insns.def.
#include "jit/x86_encode.h"

enum form_flags { BYTE = 1, BYTE_RM = 2, D64 = 4, VEX = 8, NO_W = 16 };

struct form {
    uint8_t prefix, digit;
    uint8_t bytes; // byte registers, enum form_flags
    uint8_t wide;  // REX.W when the width is 64: 8 or 0
    uint8_t size;  // bytes of the opcode
    uint8_t map, last;
    uint32_t opcode; // with its escapes, the first byte lowest
};

#define ESCAPED(map, opcode)                                                                                 \
    ((map) == 0   ? (uint32_t)(opcode)                                                                       \
     : (map) == 1 ? 0x0fu | (uint32_t)(opcode) << 8                                                          \
                  : 0x0fu | ((map) == 2 ? 0x3800u : 0x3a00u) | (uint32_t)(opcode) << 16)
#define FORM(prefix, map, opcode, digit, flags)                                                              \
    {prefix,                                                                                                 \
     digit,                                                                                                  \
     (flags) & (BYTE | BYTE_RM),                                                                             \
     ((flags) & (NO_W | D64)) == 0 ? 8 : 0,                                                                  \
     (map) < 2 ? (map) + 1 : 3,                                                                              \
     map,                                                                                                    \
     opcode,                                                                                                 \
     ESCAPED(map, opcode)}
#define PLAIN X86_INSN_COUNT // opcodes of one byte that are put together here
static const struct form forms[X86_INSN_COUNT + 1] = {
#define INSN(id, ...) [X86_##id] = FORM(__VA_ARGS__),
#include "jit/x86_insns.def"
#undef INSN
    [PLAIN] = FORM(0, 0, 0, 0, 0),
};

void x86_last_bytes(struct x86_code *c, uint64_t value, unsigned count)
{
    for (size_t at = c->size; count != 0 && at < c->capacity; count--, at++, value >>= 8) {
        c->bytes[at] = (uint8_t)value;
    }
}

// --- prefixes and operands -----------------------------------------------------------------------

// What registers are in ModRM, and above that in REX.
#define IN_REG(reg) (((reg) & 7) << 3 | ((reg) & 8) << 7)
#define IN_RM(reg)  (((reg) & 7) | ((reg) & 8) << 5)
#define ALL(in)                                                                                              \
    {in(0), in(1), in(2),  in(3),  in(4),  in(5),  in(6),  in(7),                                            \
     in(8), in(9), in(10), in(11), in(12), in(13), in(14), in(15)}
static const uint16_t in_reg[X86_REG_COUNT] = ALL(IN_REG), in_rm[X86_REG_COUNT] = ALL(IN_RM);

static bool needs_rex(unsigned reg) // as a byte register: 4-7 would be ah, ch, dh, bh
{
    return reg >= 4 && reg <= 7;
}

// REX of the form with `fields`; 0: none.
static unsigned rex_of(const struct form *f, unsigned width, unsigned fields, bool force)
{
    unsigned rex = (width >> 3 & f->wide) | fields >> 8, has_rex = (rex | force) != 0;
    return has_rex << 6 | rex;
}

// The bits of ModRM that say how long the displacement is; there is no short form without for rbp and r13.
static inline unsigned mod_of(int32_t disp, unsigned base)
{
    unsigned needed = (disp != 0) | ((base & 7) == 5);
    return needed << !x86_fits8(disp);
}
static inline unsigned disp_count(unsigned mod)
{
    return mod + (mod & 2);
}

// Without branches that could not be foreseen: prefixes, opcode (with the bits `more`) and the `count` bytes
// behind it, then a displacement or immediate.
static inline void instruction(struct x86_code *c, const struct form *f, uint32_t more, unsigned rex,
                               uint64_t behind, unsigned count, uint32_t last, unsigned last_count)
{
    uint64_t bytes = behind << 8 * f->size | f->opcode | more;
    unsigned has_rex = rex != 0, has_prefix = f->prefix != 0;
    size_t at = c->size;
    bytes = bytes << 8 * has_rex | rex;
    bytes = bytes << 8 * has_prefix | f->prefix;
    count += f->size + has_rex + has_prefix;
    c->size += count + last_count;
    if (__builtin_expect(at + 16 <= c->capacity, 1)) {
        uint64_t behind_them = last;
        __builtin_memcpy(c->bytes + at, &bytes, 8);
        __builtin_memcpy(c->bytes + at + count, &behind_them, 8);
    } else {
        struct x86_code end = {c->bytes, c->capacity, at};
        x86_bytes(&end, bytes, count);
        x86_bytes(&end, last, last_count);
    }
}

static void form_rr(struct x86_code *c, const struct form *f, uint32_t more, unsigned width, unsigned reg,
                    unsigned rm)
{
    unsigned fields = in_reg[reg] | in_rm[rm];
    bool force = f->bytes != 0 &&
                 (((f->bytes & BYTE) != 0 && needs_rex(reg)) || ((f->bytes & BYTE_RM) != 0 && needs_rex(rm)));
    instruction(c, f, more, rex_of(f, width, fields, force), 0xc0 | (fields & 0xff), 1, 0, 0);
}

// With an immediate of `count` bytes. Not for bytes.
static void form_imm(struct x86_code *c, const struct form *f, uint32_t more, unsigned width, unsigned digit,
                     unsigned rm, int32_t imm, unsigned count)
{
    unsigned fields = in_reg[digit] | in_rm[rm];
    instruction(c, f, more, rex_of(f, width, fields, false), 0xc0 | (fields & 0xff), 1, (uint32_t)imm, count);
}

// Without a base the address takes SIB, as ModRM alone would mean one relative to rip.
static void form_absolute(struct x86_code *c, const struct form *f, uint32_t more, unsigned width,
                          unsigned reg, struct x86_mem m)
{
    bool force = (f->bytes & BYTE) != 0 && needs_rex(reg);
    unsigned index = m.index == X86_NO_REG ? 4 : m.index, fields = in_reg[reg] | (index & 8) << 6;
    unsigned sib = (unsigned)m.scale << 6 | (index & 7) << 3 | 5;
    instruction(c, f, more, rex_of(f, width, fields, force), (fields & 0x38) | 4 | sib << 8, 2,
                (uint32_t)m.disp, 4);
}

void x86_at_base(struct x86_code *c, unsigned insn, unsigned width, unsigned reg, unsigned base, int32_t disp)
{
    const struct form *f = &forms[insn];
    bool force = (f->bytes & BYTE) != 0 && needs_rex(reg);
    unsigned fields = in_reg[reg] | in_rm[base], mod = mod_of(disp, base);
    unsigned sib = (base & 7) == 4; // without an index
    unsigned behind = (fields & 0xff) | mod << 6 | (sib * 0x24) << 8;
    instruction(c, f, 0, rex_of(f, width, fields, force), behind, 1 + sib, (uint32_t)disp, disp_count(mod));
}

void x86_rm_with(struct x86_code *c, unsigned insn, uint32_t more, unsigned width, unsigned reg,
                 struct x86_mem m)
{
    const struct form *f = &forms[insn];
    if (m.base == X86_NO_REG) {
        form_absolute(c, f, more, width, reg, m);
        return;
    }
    bool force = (f->bytes & BYTE) != 0 && needs_rex(reg);
    unsigned fields = in_reg[reg] | in_rm[m.base], base = m.base & 7, count = 1;
    unsigned mod = mod_of(m.disp, base);
    unsigned behind = (fields & 0xff) | mod << 6;
    if (m.index != X86_NO_REG || base == 4) {
        unsigned index = m.index == X86_NO_REG ? 4 : m.index;
        fields |= (index & 8) << 6;
        behind = (behind & 0xf8) | 4 | ((unsigned)m.scale << 6 | (index & 7) << 3 | base) << 8;
        count = 2;
    }
    instruction(c, f, more, rex_of(f, width, fields, force), behind, count, (uint32_t)m.disp,
                disp_count(mod));
}

void x86_rr(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned reg, unsigned rm)
{
    form_rr(c, &forms[insn], 0, width, reg, rm);
}

void x86_r(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned rm)
{
    form_rr(c, &forms[insn], 0, width, forms[insn].digit, rm);
}

void x86_vex(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned reg, unsigned vvvv, unsigned rm)
{
    const struct form *f = &forms[insn];
    unsigned pp = f->prefix == 0x66 ? 1 : f->prefix == 0xf3 ? 2 : f->prefix == 0xf2 ? 3 : 0;
    unsigned first = (~reg & 8) << 4 | 0x40 | (~rm & 8) << 2 | f->map;
    unsigned second = (width == 64 ? 0x80u : 0) | (~vvvv & 15) << 3 | pp;
    unsigned modrm = 0xc0 | (reg & 7) << 3 | (rm & 7);
    x86_bytes(c, 0xc4 | first << 8 | second << 16 | (uint64_t)f->last << 24 | (uint64_t)modrm << 32, 5);
}

// --- instructions that have several forms --------------------------------------------------------

void x86_mov(struct x86_code *c, unsigned width, unsigned to, unsigned from)
{
    form_rr(c, &forms[X86_MOV_MR], 0, width, from, to);
}

// An opcode without ModRM that has the register in its low bits, or none.
static void short_form(struct x86_code *c, unsigned opcode, unsigned width, unsigned reg)
{
    unsigned rex = rex_of(&forms[PLAIN], width, in_rm[reg], false);
    x86_bytes(c, rex != 0 ? rex | (opcode | (reg & 7)) << 8 : opcode | (reg & 7), rex != 0 ? 2 : 1);
}

// `clear`: as xor of the register with itself.
static void mov_unsigned(struct x86_code *c, unsigned to, uint64_t imm, unsigned clear)
{
    unsigned low = to & 7, high = to >> 3;
    uint64_t bytes = clear != 0 ? 0xc031 | low * 9 << 8 : 0xb8 | low | imm << 8;
    unsigned rex = high * (0x41 | clear << 2); // of both operands
    x86_bytes(c, bytes << 8 * high | rex, (clear != 0 ? 2 : 5) + high);
}

void x86_mov_imm(struct x86_code *c, unsigned to, int64_t imm, bool keep_flags)
{
    if (imm == (int64_t)(uint32_t)imm) {
        mov_unsigned(c, to, (uint32_t)imm, (imm == 0) & !keep_flags);
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
    form_rr(c, &forms[PLAIN], op << 3 | 1, width, from, to);
}

void x86_alu_rm(struct x86_code *c, enum x86_alu op, unsigned width, unsigned to, struct x86_mem from)
{
    x86_rm_with(c, PLAIN, op << 3 | 3, width, to, from);
}

void x86_alu_imm(struct x86_code *c, enum x86_alu op, unsigned width, unsigned to, int32_t imm)
{
    bool is_short = x86_fits8(imm);
    if (!is_short && to == X86_RAX) {
        short_form(c, (unsigned)op << 3 | 5, width, X86_RAX);
        x86_bytes(c, (uint64_t)imm, 4);
    } else {
        form_imm(c, &forms[is_short ? X86_ALU_IMM8 : X86_ALU_IMM32], 0, width, op, to, imm, is_short ? 1 : 4);
    }
}

void x86_alu_mem_imm(struct x86_code *c, enum x86_alu op, unsigned width, struct x86_mem to, int32_t imm)
{
    bool is_short = x86_fits8(imm);
    x86_rm_with(c, is_short ? X86_ALU_IMM8 : X86_ALU_IMM32, 0, width, op, to);
    x86_bytes(c, (uint64_t)imm, is_short ? 1 : 4);
}

// 32 bits do for an immediate without sign, and a byte where only its low seven bits can be set: the flags
// that are asked for afterwards are zero or not zero.
void x86_test_imm(struct x86_code *c, unsigned width, unsigned reg, int32_t imm)
{
    width = imm >= 0 ? 32 : width;
    if (imm >= 0 && imm <= 0x7f) {
        if (reg == X86_RAX) {
            x86_bytes(c, 0xa8, 1);
        } else {
            x86_r(c, X86_TEST_IMM8, 32, reg);
        }
        x86_bytes(c, (uint64_t)imm, 1);
        return;
    }
    if (reg == X86_RAX) {
        short_form(c, 0xa9, width, X86_RAX);
    } else {
        x86_r(c, X86_TEST_IMM32, width, reg);
    }
    x86_bytes(c, (uint64_t)imm, 4);
}

void x86_shift_imm(struct x86_code *c, enum x86_shift op, unsigned width, unsigned reg, unsigned count)
{
    form_imm(c, &forms[PLAIN], count == 1 ? 0xd1 : 0xc1, width, op, reg, (int32_t)count, count != 1);
}

void x86_imul_imm(struct x86_code *c, unsigned width, unsigned to, unsigned from, int32_t imm)
{
    bool is_short = x86_fits8(imm);
    x86_rr(c, is_short ? X86_IMUL_IMM8 : X86_IMUL_IMM32, width, to, from);
    x86_bytes(c, (uint64_t)imm, is_short ? 1 : 4);
}

void x86_cmov(struct x86_code *c, enum x86_cc cc, unsigned to, unsigned from)
{
    form_rr(c, &forms[X86_CMOV], (uint32_t)cc << 8, 64, to, from);
}

void x86_cmov_mem(struct x86_code *c, enum x86_cc cc, unsigned to, struct x86_mem from)
{
    x86_rm_with(c, X86_CMOV, (uint32_t)cc << 8, 64, to, from);
}

void x86_bswap(struct x86_code *c, unsigned width, unsigned reg)
{
    unsigned rex = (width == 64 ? 8u : 0) | (reg & 8) >> 3, opcode = 0xc80f | (reg & 7) << 8;
    x86_bytes(c, rex != 0 ? 0x40 | rex | opcode << 8 : opcode, rex != 0 ? 3 : 2);
}

void x86_push(struct x86_code *c, unsigned reg)
{
    short_form(c, 0x50, 32, reg);
}

void x86_pop(struct x86_code *c, unsigned reg)
{
    short_form(c, 0x58, 32, reg);
}

// --- the rest ------------------------------------------------------------------------------------

void x86_nops(struct x86_code *c, unsigned count)
{
    static const uint64_t nops[8] = {
        0x90,         0x9066,         0x001f0f,         0x00401f0f,
        0x0000441f0f, 0x0000441f0f66, 0x00000000801f0f, 0x0000000000841f0f,
    };
    while (count != 0) {
        unsigned n = count < 8 ? count : 8;
        x86_bytes(c, nops[n - 1], n);
        count -= n;
    }
}

void x86_lock(struct x86_code *c)
{
    x86_bytes(c, 0xf0, 1);
}

void x86_landing_pad(struct x86_code *c)
{
    x86_bytes(c, 0xfa1e0ff3, 4); // endbr64
}

void x86_lea_rip(struct x86_code *c, unsigned reg, size_t target)
{
    unsigned rex = 0x48 | (reg & 8) >> 1;
    x86_bytes(c, rex | 0x8d00u | ((reg & 7) << 3 | 5) << 16, 3);
    x86_bytes(c, (uint32_t)(target - (c->size + 4)), 4);
}
