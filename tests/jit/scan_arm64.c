// SPDX-License-Identifier: MIT
// scan_arm64: word by word; words that are loaded as literals are data. By encoding classes (Arm Architecture
// Reference Manual, C4.1) rather than by names, as old versions of Capstone do not know the atomics of
// Armv8.1; what Capstone has no name for has to be one of them.
#include <capstone/capstone.h>

#include "tests/jit/scan.h"

enum { MAX_WORDS = 1 << 18 };
static bool is_data[MAX_WORDS];

struct pattern {
    uint32_t mask, word;
};

// Branches to registers, exceptions, system registers, SIMD and floating point are in no line.
static const struct pattern allowed[] = {
    {0x1c000000, 0x10000000}, // data processing, immediate (all of op0 100x)
    {0x0e000000, 0x0a000000}, // data processing, register
    {0x7c000000, 0x14000000}, // b, bl
    {0xff000010, 0x54000000}, // b.cond
    {0x7e000000, 0x34000000}, // cbz, cbnz
    {0x7e000000, 0x36000000}, // tbz, tbnz
    {0xfffffc1f, 0xd61f0000}, // br
    {0xfffffc1f, 0xd63f0000}, // blr
    {0xffffffff, 0xd65f03c0}, // ret
    {0xffffff3f, 0xd503241f}, // bti
    {0xffffffff, 0xd503201f}, // nop
    {0xffffffff, 0xd5033bbf}, // dmb ish
    {0x3b000000, 0x39000000}, // load/store, unsigned offset
    {0x3b200c00, 0x38000000}, // load/store, unscaled
    {0x3b200c00, 0x38200800}, // load/store, register offset
    {0x7e000000, 0x28000000}, // load/store pair
    {0xff000000, 0x58000000}, // ldr x, literal
    {0x3f000000, 0x08000000}, // exclusive, acquire, release, compare and swap
    {0x3b200c00, 0x38200000}, // atomic memory operations
    {0x3b200400, 0x38000400}, // pre- and post-indexed
};

static bool is_allowed(uint32_t word)
{
    for (unsigned i = 0; i < ARRAY_SIZE(allowed); i++) {
        if ((word & allowed[i].mask) == allowed[i].word) {
            return true;
        }
    }
    return false;
}

static uint32_t word_at(const struct scan *s, uint32_t index)
{
    uint32_t word;
    memcpy(&word, s->code->code + index * 4u, sizeof(word));
    return word;
}

static void mark_literals(const struct scan *s, uint32_t count)
{
    memset(is_data, 0, sizeof(is_data));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t word = word_at(s, i);
        uint32_t at = i + (uint32_t)((int32_t)(word << 8) >> 13);
        if ((word & 0xff000000) == 0x58000000 && at + 1 < count) {
            is_data[at] = is_data[at + 1] = true;
        }
    }
}

// add/sub immediate to sp, and loads and stores that write it back.
static bool writes_sp(uint32_t word)
{
    bool adds = (word & 0x3f800000) == 0x11000000 && (word & 0x1f) == 31 && (word & 0x20000000) == 0;
    bool extended = (word & 0x1fe00000) == 0x0b200000 && (word & 0x1f) == 31 && (word & 0x20000000) == 0;
    bool pair = (word & 0x7e000000) == 0x28000000 && (word & 0x00800000) != 0 && (word >> 5 & 31) == 31;
    bool indexed = (word & 0x3b200400) == 0x38000400 && (word >> 5 & 31) == 31;
    return adds || extended || pair || indexed;
}

// Up to the next return or branch nothing but loads of pairs and registers from the stack, and moves.
static bool is_epilogue(const struct scan *s, uint32_t index, uint32_t count)
{
    for (; index < count; index++) {
        uint32_t word = word_at(s, index);
        if (word == 0xd65f03c0 || (word & 0xfffffc1f) == 0xd61f0000) {
            return true;
        }
        bool loads = ((word & 0x7e400000) == 0x28400000 || (word & 0x3b400000) == 0x38400000 ||
                      (word & 0x3bc00000) == 0x39400000) &&
                     (word >> 5 & 31) == 31;
        bool moves = (word & 0x7fe0ffe0) == 0x2a0003e0 || (word & 0x1f800000) == 0x12800000;
        if (!loads && !moves && !writes_sp(word)) {
            return false;
        }
    }
    return false;
}

static bool is_in_prologue(const struct scan *s, uint32_t offset)
{
    for (uint32_t i = 0; i < s->code->frame_count; i++) {
        const struct jit_frame *f = &s->code->frames[i];
        if (offset >= f->start && offset < f->start + f->prologue) {
            return true;
        }
    }
    return false;
}

static bool is_18(unsigned reg)
{
    return reg == ARM64_REG_X18 || reg == ARM64_REG_W18;
}

// Windows keeps the block of the processor, or of the thread, there. Atomics that Capstone has no name for
// have their registers in the same three fields.
static bool touches_x18(const cs_insn *insn, bool known, uint32_t word)
{
    if (!known) {
        return (word & 31) == 18 || (word >> 5 & 31) == 18 || (word >> 16 & 31) == 18;
    }
    for (unsigned i = 0; i < insn->detail->arm64.op_count; i++) {
        const cs_arm64_op *op = &insn->detail->arm64.operands[i];
        if ((op->type == ARM64_OP_REG && is_18(op->reg)) ||
            (op->type == ARM64_OP_MEM && (is_18(op->mem.base) || is_18(op->mem.index)))) {
            return true;
        }
    }
    return false;
}

static bool check_word(struct scan *s, csh handle, cs_insn *insn, uint32_t index, uint32_t count)
{
    uint32_t word = word_at(s, index), offset = index * 4;
    const uint8_t *bytes = s->code->code + offset;
    size_t left = 4;
    uint64_t address = offset;
    bool known = cs_disasm_iter(handle, &bytes, &left, &address, insn);
    bool is_atomic = (word & 0x3b200c00) == 0x38200000 || (word & 0x3f000000) == 0x08000000;
    s->insns++;
    if (!is_allowed(word) || (!known && !is_atomic)) {
        char what[64];
        str_format(what, sizeof(what), "word %08x %s %s", (unsigned)word, known ? insn->mnemonic : "",
                   known ? insn->op_str : "");
        return scan_fail(s, offset, what);
    }
    if (touches_x18(insn, known, word)) {
        return scan_fail(s, offset, "x18, which is the platform's");
    }
    if (writes_sp(word) && !is_in_prologue(s, offset) && !is_epilogue(s, index, count)) {
        return scan_fail(s, offset, "the stack pointer changes outside of prologue and epilogue");
    }
    return true;
}

// A jump table is code: `add x, x, index` and `br x`, then a landing pad and a branch for each entry.
static bool check_table(struct scan *s, uint32_t index, uint32_t count)
{
    uint32_t add = word_at(s, index), reg = add & 31, entry = index + 2;
    bool is_table = (add & 0xffe0f000) == 0x8b206000 && (add >> 5 & 31) == reg && entry < count &&
                    word_at(s, index + 1) == (0xd61f0000 | reg << 5);
    if (!is_table || s->options->no_landing) {
        return true;
    }
    while (entry + 1 < count && word_at(s, entry) == 0xd503249f &&
           (word_at(s, entry + 1) & 0xfc000000) == 0x14000000) {
        s->table_entries++;
        entry += 2;
    }
    return entry != index + 2 || scan_fail(s, entry * 4, "no landing pad where a table leads to");
}

// movz/movn and the movk behind it.
static void find_constants(struct scan *s, uint32_t count)
{
    uint64_t values[32] = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t word = word_at(s, i), reg = word & 31, shift = 16 * (word >> 21 & 3);
        uint64_t imm = (uint64_t)(word >> 5 & 0xffff) << shift;
        bool wide = (word >> 31) != 0;
        switch (word & 0x7f800000) {
        case 0x52800000: values[reg] = imm; break;
        case 0x12800000: values[reg] = wide ? ~imm : (uint32_t)~imm; break;
        case 0x72800000: values[reg] = (values[reg] & ~((uint64_t)0xffff << shift)) | imm; break;
        default: continue;
        }
        uint32_t next = i + 1 < count ? word_at(s, i + 1) : 0;
        if ((next & 0x7f80001f) != (0x72800000 | reg) && scan_is_secret(s, values[reg])) {
            s->has_constant = true;
        }
    }
}

bool scan_arm64(struct scan *s, size_t handle)
{
    uint32_t count = (uint32_t)(s->code->size / 4);
    cs_insn *insn = cs_malloc(handle);
    bool good = true;
    if (count > MAX_WORDS || s->code->size % 4 != 0) {
        good = scan_fail(s, 0, "the code is too large for this test, or no whole words");
    } else if (!s->options->no_landing && (word_at(s, 0) & 0xffffff7f) != 0xd503245f) {
        good = scan_fail(s, 0, "no landing pad at the entry");
    }
    if (good) {
        mark_literals(s, count);
        find_constants(s, count);
    }
    for (uint32_t i = 0; good && i < count; i++) {
        good = is_data[i] || (check_word(s, handle, insn, i, count) && check_table(s, i, count));
    }
    cs_free(insn, 1);
    return good;
}
