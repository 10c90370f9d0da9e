// SPDX-License-Identifier: MIT
// scan_x86: follows the control flow from the starts of the functions, as jump tables lie between them.
#include <capstone/capstone.h>

#include "tests/jit/scan.h"

enum { MAX_CODE = 1 << 20, MAX_WORK = 1 << 16, MAX_TABLES = 4096 };

struct walk {
    struct scan *s;
    csh handle;
    cs_insn *insn;
    uint32_t work[MAX_WORK], work_count;
    uint32_t table;                           // that the last lea took the address of
    uint32_t tables[MAX_TABLES], table_count; // of all functions
};
static uint8_t seen[MAX_CODE];
static struct walk walk;

// Everything that the translator has a use for.
static const uint16_t allowed[] = {
    X86_INS_ADD,    X86_INS_OR,     X86_INS_AND,    X86_INS_SUB,    X86_INS_XOR,  X86_INS_CMP,
    X86_INS_TEST,   X86_INS_XCHG,   X86_INS_MOV,    X86_INS_MOVABS, X86_INS_LEA,  X86_INS_MOVSXD,
    X86_INS_MOVZX,  X86_INS_MOVSX,  X86_INS_IMUL,   X86_INS_MUL,    X86_INS_BSF,  X86_INS_BSR,
    X86_INS_TZCNT,  X86_INS_LZCNT,  X86_INS_POPCNT, X86_INS_MOVBE,  X86_INS_XADD, X86_INS_CMPXCHG,
    X86_INS_NOT,    X86_INS_NEG,    X86_INS_DIV,    X86_INS_IDIV,   X86_INS_INC,  X86_INS_DEC,
    X86_INS_CALL,   X86_INS_JMP,    X86_INS_ROL,    X86_INS_ROR,    X86_INS_SHL,  X86_INS_SHR,
    X86_INS_SAR,    X86_INS_BSWAP,  X86_INS_PUSH,   X86_INS_POP,    X86_INS_RET,  X86_INS_NOP,
    X86_INS_CDQ,    X86_INS_CQO,    X86_INS_ANDN,   X86_INS_RORX,   X86_INS_SHLX, X86_INS_SHRX,
    X86_INS_SARX,   X86_INS_BEXTR,  X86_INS_BZHI,   X86_INS_BT,     X86_INS_SETE, X86_INS_SETNE,
    X86_INS_LFENCE, X86_INS_PAUSE,  X86_INS_INT3,   X86_INS_SAL,    X86_INS_MULX, X86_INS_BLSI,
    X86_INS_BLSR,   X86_INS_MFENCE,
};

static bool is_conditional(unsigned id)
{
    switch (id) {
    case X86_INS_JA:
    case X86_INS_JAE:
    case X86_INS_JB:
    case X86_INS_JBE:
    case X86_INS_JE:
    case X86_INS_JNE:
    case X86_INS_JG:
    case X86_INS_JGE:
    case X86_INS_JL:
    case X86_INS_JLE:
    case X86_INS_JS:
    case X86_INS_JNS:
    case X86_INS_JP:
    case X86_INS_JNP:
    case X86_INS_JO:
    case X86_INS_JNO: return true;
    default: return false;
    }
}

static bool is_conditional_move(unsigned id)
{
    switch (id) {
    case X86_INS_CMOVA:
    case X86_INS_CMOVAE:
    case X86_INS_CMOVB:
    case X86_INS_CMOVBE:
    case X86_INS_CMOVE:
    case X86_INS_CMOVNE:
    case X86_INS_CMOVG:
    case X86_INS_CMOVGE:
    case X86_INS_CMOVL:
    case X86_INS_CMOVLE:
    case X86_INS_CMOVS:
    case X86_INS_CMOVNS: return true;
    default: return false;
    }
}

static bool is_allowed(unsigned id)
{
    for (unsigned i = 0; i < ARRAY_SIZE(allowed); i++) {
        if (allowed[i] == id) {
            return true;
        }
    }
    return is_conditional(id) || is_conditional_move(id);
}

static bool is_landing_pad(const struct scan *s, uint32_t at)
{
    static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    return at + 4 <= s->code->size && memcmp(s->code->code + at, endbr64, 4) == 0;
}

static void visit(struct walk *w, uint64_t at)
{
    if (at < w->s->code->size && seen[at] == 0 && w->work_count < MAX_WORK) {
        w->work[w->work_count++] = (uint32_t)at;
    }
}

static const struct jit_frame *frame_of(const struct scan *s, uint32_t at)
{
    for (uint32_t i = 0; i < s->code->frame_count; i++) {
        if (at >= s->code->frames[i].start && at < s->code->frames[i].end) {
            return &s->code->frames[i];
        }
    }
    return NULL;
}

static bool takes_table(const cs_insn *insn, uint32_t at, uint32_t *table)
{
    if (insn->id != X86_INS_LEA || insn->detail->x86.operands[1].mem.base != X86_REG_RIP) {
        return false;
    }
    *table = at + insn->size + (uint32_t)insn->detail->x86.operands[1].mem.disp;
    return true;
}

// Tables lie behind the code of their function, one after the other: where each one starts.
static void find_tables(struct walk *w, const struct jit_frame *frame)
{
    const uint8_t *bytes = w->s->code->code + frame->start;
    size_t left = frame->end - frame->start;
    uint64_t address = frame->start;
    while (left != 0) {
        uint32_t at = (uint32_t)address, table;
        if (is_landing_pad(w->s, at)) {
            bytes += 4;
            left -= 4;
            address += 4;
        } else if (!cs_disasm_iter(w->handle, &bytes, &left, &address, w->insn)) {
            return; // follow() finds it, too
        } else if (takes_table(w->insn, at, &table) && w->table_count < MAX_TABLES) {
            w->tables[w->table_count++] = table;
        }
    }
}

// Where the table that the walk has found must end: the next one, the next function, or the end.
static uint32_t table_end(const struct walk *w)
{
    const struct jit_code *code = w->s->code;
    uint32_t end = (uint32_t)code->size;
    for (uint32_t i = 0; i < w->table_count; i++) {
        end = w->tables[i] > w->table && w->tables[i] < end ? w->tables[i] : end;
    }
    for (uint32_t i = 0; i < code->frame_count; i++) {
        end = code->frames[i].start > w->table && code->frames[i].start < end ? code->frames[i].start : end;
    }
    return end;
}

// Distances from the table's own start to places of the same function.
static bool visit_table(struct walk *w, uint32_t from)
{
    const struct jit_frame *frame = frame_of(w->s, from);
    uint32_t end = table_end(w), at = w->table;
    for (; at + 4 <= end; at += 4) {
        int32_t distance;
        memcpy(&distance, w->s->code->code + at, sizeof(distance));
        int64_t target = (int64_t)w->table + distance;
        if (target < frame->start || target >= frame->end) {
            break; // padding, or a stub
        }
        if (!w->s->options->no_landing && !is_landing_pad(w->s, (uint32_t)target)) {
            return scan_fail(w->s, (uint32_t)target, "no landing pad where a table leads to");
        }
        visit(w, (uint64_t)target);
    }
    w->s->table_entries += (at - w->table) / 4;
    return at != w->table || scan_fail(w->s, from, "a jump by a table that has no entries");
}

// --- the stack pointer ---------------------------------------------------------------------------

static bool writes_rsp(const struct walk *w)
{
    const cs_x86 *x = &w->insn->detail->x86;
    for (unsigned i = 0; i < x->op_count; i++) {
        const cs_x86_op *op = &x->operands[i];
        if (op->type == X86_OP_REG &&
            (op->reg == X86_REG_RSP || op->reg == X86_REG_ESP || op->reg == X86_REG_SP) &&
            (op->access & CS_AC_WRITE) != 0) {
            return true;
        }
    }
    return w->insn->id == X86_INS_PUSH || w->insn->id == X86_INS_POP;
}

// From here on nothing but what leaves the frame, up to a return or a jump.
static bool is_epilogue(const struct scan *s, csh handle, uint32_t at)
{
    cs_insn *insn = cs_malloc(handle);
    const uint8_t *bytes = s->code->code + at;
    size_t left = s->code->size - at;
    uint64_t address = at;
    bool leaves = false, good = true;
    while (good && !leaves && cs_disasm_iter(handle, &bytes, &left, &address, insn)) {
        leaves = insn->id == X86_INS_RET || insn->id == X86_INS_JMP;
        bool moves = insn->id == X86_INS_POP || insn->id == X86_INS_MOV || insn->id == X86_INS_MOVABS;
        bool adds = insn->id == X86_INS_ADD && insn->detail->x86.operands[0].reg == X86_REG_RSP;
        good = leaves || moves || adds;
    }
    cs_free(insn, 1);
    return leaves;
}

static bool check_stack(struct walk *w, uint32_t at)
{
    const struct jit_frame *frame = frame_of(w->s, at);
    if (!writes_rsp(w)) {
        return true;
    }
    if (frame != NULL && at < frame->start + frame->prologue) {
        return true;
    }
    return is_epilogue(w->s, w->handle, at) ||
           scan_fail(w->s, at, "the stack pointer changes outside of prologue and epilogue");
}

// --- branches ------------------------------------------------------------------------------------

static bool check_indirect(struct walk *w, uint32_t at)
{
    if (w->s->options->retpoline) {
        return scan_fail(w->s, at, "an indirect branch, with retpolines asked for");
    }
    if (w->table != 0 && frame_of(w->s, at) != NULL && w->insn->id == X86_INS_JMP) {
        return visit_table(w, at);
    }
    return true; // to another program
}

static bool check_branch(struct walk *w, uint32_t at)
{
    const cs_x86_op *op = &w->insn->detail->x86.operands[0];
    if (op->type != X86_OP_IMM) {
        return check_indirect(w, at);
    }
    visit(w, (uint64_t)op->imm); // calls may leave the code once it is linked
    if (w->insn->id != X86_INS_CALL && (uint64_t)op->imm >= w->s->code->size) {
        return scan_fail(w->s, at, "a jump leaves the code");
    }
    return true;
}

static void check_immediates(struct walk *w)
{
    const cs_x86 *x = &w->insn->detail->x86;
    for (unsigned i = 0; i < x->op_count; i++) {
        if (x->operands[i].type == X86_OP_IMM && scan_is_secret(w->s, (uint64_t)x->operands[i].imm)) {
            w->s->has_constant = true;
        }
    }
}

static bool check_one(struct walk *w, uint32_t at)
{
    unsigned id = w->insn->id;
    bool branches = id == X86_INS_JMP || id == X86_INS_CALL || is_conditional(id);
    if (!is_allowed(id)) {
        char what[64];
        str_format(what, sizeof(what), "%s %s", w->insn->mnemonic, w->insn->op_str);
        return scan_fail(w->s, at, what);
    }
    (void)takes_table(w->insn, at, &w->table);
    if (branches) {
        return check_branch(w, at);
    }
    check_immediates(w);
    return check_stack(w, at);
}

// Straight on until control goes elsewhere.
static bool follow(struct walk *w, uint32_t start)
{
    const struct scan *s = w->s;
    uint32_t at = start;
    while (at < s->code->size && seen[at] == 0) {
        const uint8_t *bytes = s->code->code + at;
        size_t left = s->code->size - at;
        uint64_t address = at;
        seen[at] = 1;
        if (is_landing_pad(s, at)) { // older versions of Capstone do not know it
            at += 4;
            continue;
        }
        if (bytes[0] == 0x3e) {
            return scan_fail(w->s, at, "a prefix without use");
        }
        if (!cs_disasm_iter(w->handle, &bytes, &left, &address, w->insn)) {
            return scan_fail(w->s, at, "no instruction");
        }
        w->s->insns++;
        if (!check_one(w, at)) {
            return false;
        }
        if (w->insn->id == X86_INS_JMP || w->insn->id == X86_INS_RET || w->insn->id == X86_INS_INT3) {
            return true;
        }
        at += w->insn->size;
    }
    return at < s->code->size || scan_fail(w->s, start, "the code runs off its end");
}

bool scan_x86(struct scan *s, size_t handle)
{
    struct walk *w = &walk;
    *w = (struct walk){.s = s, .handle = handle, .insn = cs_malloc(handle)};
    if (s->code->size > MAX_CODE) {
        return scan_fail(s, 0, "the code is too large for this test");
    }
    memset(seen, 0, s->code->size);
    bool good =
        s->options->no_landing || is_landing_pad(s, 0) || scan_fail(s, 0, "no landing pad at the entry");
    visit(w, 0);
    for (uint32_t i = 0; i < s->code->frame_count; i++) {
        visit(w, s->code->frames[i].start);
        find_tables(w, &s->code->frames[i]);
    }
    while (good && w->work_count != 0) {
        w->table = 0;
        good = follow(w, w->work[--w->work_count]);
    }
    cs_free(w->insn, 1);
    return good;
}
