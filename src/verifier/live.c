// SPDX-License-Identifier: MIT
// live: two passes over basic blocks. Forwards: which registers hold an address in the running frame (or a
// map, or a constant size), to know which stack cells an instruction touches. Backwards: what is read before
// it is written, and what flows into a conditional jump. Both repeat until nothing changes, a bounded number
// of times; beyond that nothing is assumed.
#include "verifier/live.h"

#define MAX_BLOCKS 65536u
#define MAX_SWEEPS 64u
#define ALL_CELLS  STATE_CELL_COUNT

// What a register may hold, as far as the stack of the running function is concerned.
enum track_kind {
    TRACK_NOWHERE,
    TRACK_OTHER,
    TRACK_FRAME,       // an address in the frame
    TRACK_MAYBE_AT,    // that address in the frame, or something else
    TRACK_MAYBE_FRAME, // any address in the frame, or something else
    TRACK_MAP,
    TRACK_CONST
};

struct track {
    uint8_t kind[10];
    int32_t value[10]; // FRAME, MAYBE_AT: offset from r10; MAP: index; CONST: the number
};

// Addresses in a function's frame that it stores there, in 8-byte slots, at any time.
struct spills {
    uint8_t kind[INSN_STACK_SIZE / 8]; // NOWHERE: none, MAYBE_AT, MAYBE_FRAME
    int32_t value[INSN_STACK_SIZE / 8];
    bool anywhere; // and some are stored, or passed to who may store them, at unknown places
};

// What is true before an instruction.
struct facts {
    uint16_t regs, tested_regs;
    uint64_t cells[STATE_CELL_COUNT / 64], tested[STATE_CELL_COUNT / 64];
};

struct live_block {
    bool passes_frame; // ends with a call that is given an address in the running frame
    struct facts facts;
    struct track in;
};

// Cells [read_from, read_to) may be read, [write_from, write_to) are overwritten as a whole; a store that
// changes part of a cell still changes what is tested there.
struct touch {
    uint8_t read_from, read_to, write_from, write_to;
    bool exact; // a load or store of known place: what is read or written there is one value
};

struct analysis {
    const struct domain_env *env;
    const struct program *p;
    const struct cfg *cfg;
    struct live_block *blocks;
    bool *result_used;
    struct touch *touches; // by slot
    struct spills *spills; // by function
    bool changed;
};

// --- forwards ------------------------------------------------------------------------------------

static bool may_be_frame(uint8_t kind)
{
    return kind == TRACK_FRAME || kind == TRACK_MAYBE_AT || kind == TRACK_MAYBE_FRAME;
}

static void set(struct track *t, unsigned reg, enum track_kind kind, int64_t value)
{
    if (reg >= 10) {
        return;
    }
    if (value < INT32_MIN || value > INT32_MAX) {
        kind = may_be_frame((uint8_t)kind) ? TRACK_MAYBE_FRAME : TRACK_OTHER;
        value = 0;
    }
    t->kind[reg] = (uint8_t)kind;
    t->value[reg] = (int32_t)value;
}

static enum track_kind get(const struct track *t, unsigned reg, int32_t *value)
{
    *value = reg == 10 ? 0 : t->value[reg];
    return reg == 10 ? TRACK_FRAME : (enum track_kind)t->kind[reg];
}

static bool is_frame(const struct track *t, unsigned reg)
{
    int32_t value;
    return may_be_frame((uint8_t)get(t, reg, &value));
}

// What one of the two may be.
static uint8_t either(uint8_t a, int32_t *value_a, uint8_t b, int32_t value_b)
{
    if (a == b && (*value_a == value_b || a == TRACK_OTHER || a == TRACK_MAYBE_FRAME)) {
        return a;
    }
    if (a == TRACK_NOWHERE) {
        *value_a = value_b;
        return b;
    }
    if (!may_be_frame(a) && !may_be_frame(b)) {
        *value_a = 0;
        return TRACK_OTHER;
    }
    bool same = a == TRACK_MAYBE_FRAME || b == TRACK_MAYBE_FRAME
                    ? false
                    : !may_be_frame(a) || !may_be_frame(b) || *value_a == value_b;
    *value_a = !same ? 0 : may_be_frame(a) ? *value_a : value_b;
    return same ? TRACK_MAYBE_AT : TRACK_MAYBE_FRAME;
}

static void track_alu(struct track *t, const struct insn *in, const struct insn_info *info)
{
    int32_t a, b = 0;
    enum track_kind left = get(t, in->dst, &a), right = TRACK_CONST;
    int64_t number = in->imm;
    if (info->form == FORM_ALU_REG) {
        right = get(t, in->src, &b);
        number = b;
    }
    if (info->sem == SEM_MOV) {
        bool keeps = info->width == 64 || (right == TRACK_CONST && number >= 0);
        set(t, in->dst, keeps ? right : TRACK_OTHER, number);
        return;
    }
    bool moves = info->width == 64 && (info->sem == SEM_ADD || info->sem == SEM_SUB);
    bool known = left == TRACK_FRAME || left == TRACK_MAYBE_AT || left == TRACK_CONST;
    if (moves && right == TRACK_CONST && known) {
        set(t, in->dst, left, info->sem == SEM_ADD ? a + number : a - number);
    } else if (moves && (is_frame(t, in->dst) || may_be_frame((uint8_t)right))) {
        set(t, in->dst, TRACK_MAYBE_FRAME, 0);
    } else {
        set(t, in->dst, TRACK_OTHER, 0);
    }
}

static bool passes_frame(const struct track *t)
{
    bool any = false;
    for (unsigned r = 1; r <= 5; r++) {
        any = any || is_frame(t, r);
    }
    return any;
}

static void spill_anywhere(struct analysis *a, uint32_t func)
{
    a->changed = a->changed || !a->spills[func].anywhere;
    a->spills[func].anywhere = true;
}

// Register `reg`, which may be an address in the frame, is stored.
static void spill(struct analysis *a, uint32_t func, const struct track *t, const struct insn *in)
{
    int32_t base, value;
    enum track_kind to = get(t, in->dst, &base), kind = get(t, in->src, &value);
    int64_t slot = (INSN_STACK_SIZE + (int64_t)base + in->off) / 8;
    if (!may_be_frame((uint8_t)kind) || !may_be_frame((uint8_t)to)) {
        return; // memory that is no frame of this function does not bring it back
    }
    if (to != TRACK_FRAME || slot < 0 || slot >= INSN_STACK_SIZE / 8) {
        spill_anywhere(a, func);
        return;
    }
    struct spills *s = &a->spills[func];
    uint8_t old = s->kind[slot], stored = kind == TRACK_FRAME ? TRACK_MAYBE_AT : (uint8_t)kind;
    s->kind[slot] = either(old, &s->value[slot], stored, value);
    a->changed = a->changed || s->kind[slot] != old;
}

// What a load of 8 bytes from where `reg` points may give.
static enum track_kind loaded(const struct analysis *a, uint32_t func, const struct track *t,
                              const struct insn *in, int32_t *value)
{
    const struct spills *s = &a->spills[func];
    int32_t base;
    enum track_kind from = get(t, in->src, &base);
    int64_t slot = (INSN_STACK_SIZE + (int64_t)base + in->off) / 8;
    *value = 0;
    if (!may_be_frame((uint8_t)from)) {
        return TRACK_OTHER;
    }
    bool known = (from == TRACK_FRAME || from == TRACK_MAYBE_AT) && slot >= 0 && slot < INSN_STACK_SIZE / 8;
    if (s->anywhere || !known) {
        return TRACK_MAYBE_FRAME;
    }
    *value = s->value[slot];
    return s->kind[slot] == TRACK_NOWHERE ? TRACK_OTHER : (enum track_kind)s->kind[slot];
}

// `local`: functions of the program run with the arguments, directly or as callbacks.
static void track_call(struct analysis *a, uint32_t func, struct track *t, bool local)
{
    bool passes = local && passes_frame(t);
    if (passes) {
        spill_anywhere(a, func);
    }
    for (unsigned r = 1; r <= 5; r++) {
        set(t, r, TRACK_OTHER, 0);
    }
    set(t, 0, passes ? TRACK_MAYBE_FRAME : TRACK_OTHER, 0);
}

static void track_insn(struct analysis *a, uint32_t func, uint32_t pc, struct track *t)
{
    const struct insn *in = &a->p->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    int32_t value = 0;
    switch (info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG: track_alu(t, in, info); break;
    case FORM_ALU_UNARY: set(t, in->dst, TRACK_OTHER, 0); break;
    case FORM_LOAD: {
        enum track_kind kind = info->width == 64 ? loaded(a, func, t, in, &value) : TRACK_OTHER;
        set(t, in->dst, kind, value);
        break;
    }
    case FORM_LDABS:
    case FORM_LDIND: set(t, 0, TRACK_OTHER, 0); break;
    case FORM_STORE_REG: spill(a, func, t, in); break;
    case FORM_ATOMIC:
        if (is_frame(t, in->src)) {
            spill_anywhere(a, func);
        }
        set(t, info->sem == SEM_ATOMIC_CMPXCHG ? 0 : in->src,
            a->spills[func].anywhere ? TRACK_MAYBE_FRAME : TRACK_OTHER, 0);
        break;
    case FORM_LDDW:
        if (info->sem == SEM_LDDW_MAP) {
            set(t, in->dst, TRACK_MAP, (int32_t)in->imm);
        } else {
            set(t, in->dst, info->sem == SEM_LDDW ? TRACK_CONST : TRACK_OTHER, in->imm);
        }
        break;
    case FORM_CALL:
    case FORM_CALLX:
        track_call(a, func, t, info->sem == SEM_CALL_LOCAL || (a->cfg->flags[pc] & CFG_CALLBACK) != 0);
        break;
    default: break;
    }
}

// Joins `from` into the entry of a block.
static void flow(struct analysis *a, const struct track *from, uint32_t block)
{
    if (block == CFG_NONE) {
        return;
    }
    struct live_block *b = &a->blocks[block];
    for (unsigned r = 0; r < 10; r++) {
        int32_t value = b->in.value[r];
        uint8_t kind = either(b->in.kind[r], &value, from->kind[r], from->value[r]);
        a->changed = a->changed || kind != b->in.kind[r] || value != b->in.value[r];
        b->in.kind[r] = kind;
        b->in.value[r] = value;
    }
}

static void track_block(struct analysis *a, uint32_t index)
{
    const struct cfg_block *c = &a->cfg->blocks[index];
    struct live_block *b = &a->blocks[index];
    struct track t = b->in;
    for (uint32_t pc = c->start; pc < c->end; pc += insn_slots(&a->p->insns[pc])) {
        if (a->p->insns[pc].id == INSN_CALL_LOCAL) {
            b->passes_frame = passes_frame(&t) || a->spills[c->func].anywhere;
        }
        track_insn(a, c->func, pc, &t);
    }
    flow(a, &t, c->next[0]);
    flow(a, &t, c->next[1]);
}

static bool track_all(struct analysis *a)
{
    for (uint32_t f = 0; f < a->p->func_count; f++) {
        struct live_block *b = &a->blocks[a->cfg->first_block[f]];
        memset(b->in.kind, TRACK_OTHER, sizeof(b->in.kind));
    }
    for (uint32_t sweep = 0; sweep < MAX_SWEEPS; sweep++) {
        a->changed = false;
        for (uint32_t i = 0; i < a->cfg->block_count; i++) {
            if (a->blocks[i].in.kind[0] != TRACK_NOWHERE) {
                track_block(a, i);
            }
        }
        if (!a->changed) {
            return true;
        }
    }
    return false;
}

// --- stack cells that instructions touch ---------------------------------------------------------

// Bytes [off, off + size) from r10 as cells; what lies outside of the frame is cut off.
static void cells_of(int64_t off, int64_t size, bool whole, uint8_t *from, uint8_t *to)
{
    int64_t first = INSN_STACK_SIZE + off, last = first + size;
    first = first < 0 ? 0 : first;
    last = last > INSN_STACK_SIZE ? INSN_STACK_SIZE : last;
    if (first >= last) {
        return;
    }
    int64_t a = whole ? (first + 3) / 4 : first / 4, b = whole ? last / 4 : (last + 3) / 4;
    if (a < b) {
        *from = (uint8_t)a;
        *to = (uint8_t)b;
    }
}

static void add_read(struct touch *touch, int64_t off, int64_t size)
{
    uint8_t from = 0, to = 0;
    cells_of(off, size, false, &from, &to);
    if (to == 0) {
        return;
    }
    touch->read_from = touch->read_to == 0 || from < touch->read_from ? from : touch->read_from;
    touch->read_to = to > touch->read_to ? to : touch->read_to;
}

static void read_all(struct touch *touch)
{
    touch->read_from = 0;
    touch->read_to = ALL_CELLS;
}

static void touch_memory(const struct track *t, const struct insn *in, const struct insn_info *info,
                         struct touch *out)
{
    bool load = info->form == FORM_LOAD;
    int32_t off;
    enum track_kind kind = get(t, load ? in->src : in->dst, &off);
    int64_t at = (int64_t)off + in->off, size = info->width / 8;
    if (load || info->form == FORM_ATOMIC) {
        if (kind == TRACK_FRAME || kind == TRACK_MAYBE_AT) {
            add_read(out, at, size);
            out->exact = load && kind == TRACK_FRAME;
        } else if (kind == TRACK_MAYBE_FRAME) {
            read_all(out);
        }
    } else if (kind == TRACK_FRAME) {
        cells_of(at, size, true, &out->write_from, &out->write_to);
        out->exact = true;
    }
}

// Size of what a helper reads at `arg`, or that of a whole frame.
static int64_t read_size(const struct analysis *a, const struct track *t, const struct helper_row *row,
                         unsigned arg)
{
    unsigned type = row->args[arg] & ARG_KIND_MASK;
    int32_t value;
    if (type == ARG_MAP_KEY || type == ARG_MAP_VALUE) {
        enum track_kind map = get(t, 1, &value);
        if (map == TRACK_MAP && row->args[0] == ARG_MAP && (uint32_t)value < a->p->map_count) {
            const struct map_def *def = &a->p->maps[value];
            return type == ARG_MAP_KEY ? def->key_size : def->value_size;
        }
    } else if (type == ARG_FIXED_READ) {
        return row->detail[arg];
    } else if (type >= ARG_DYNPTR && type <= ARG_IRQ_FLAGS_NEW) {
        return 64; // no such object is larger
    } else if (arg < 4 && get(t, arg + 2, &value) == TRACK_CONST && value >= 0) {
        return value;
    }
    return INSN_STACK_SIZE;
}

static bool reads_memory(unsigned type)
{
    switch (type & ARG_KIND_MASK) {
    case ARG_NONE:
    case ARG_SCALAR:
    case ARG_CTX:
    case ARG_MAP:
    case ARG_MEM_WRITE:
    case ARG_MEM_COPY:
    case ARG_MAP_VALUE_WRITE:
    case ARG_FIXED_WRITE:
    case ARG_SIZE:
    case ARG_SIZE_OR_ZERO: return false;
    default: return true;
    }
}

static const struct helper_row *row_of(const struct analysis *a, const struct insn *in)
{
    bool known = in->id == INSN_CALL && in->imm > 0 && in->imm < (int64_t)a->env->spec->helper_count;
    return known ? &a->env->spec->helpers[in->imm] : NULL;
}

static void touch_helper(const struct analysis *a, const struct track *t, const struct insn *in,
                         struct touch *out)
{
    const struct helper_row *row = row_of(a, in);
    for (unsigned arg = 0; arg < 5; arg++) {
        int32_t off;
        enum track_kind kind = get(t, arg + 1, &off);
        if (row != NULL && !reads_memory(row->args[arg])) {
            continue;
        }
        bool whole = row == NULL || (row->args[arg] & ARG_KIND_MASK) == ARG_CALLBACK_CTX;
        if (kind == TRACK_MAYBE_FRAME || (may_be_frame((uint8_t)kind) && whole)) {
            read_all(out);
        } else if (may_be_frame((uint8_t)kind)) {
            add_read(out, off, read_size(a, t, row, arg));
        }
    }
}

static void touch_insn(struct analysis *a, bool passes, uint32_t pc, const struct track *t)
{
    const struct insn *in = &a->p->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    struct touch *out = &a->touches[pc];
    switch (info->form) {
    case FORM_LOAD:
    case FORM_STORE_IMM:
    case FORM_STORE_REG:
    case FORM_ATOMIC: touch_memory(t, in, info, out); break;
    case FORM_CALLX:
        if (passes_frame(t)) {
            read_all(out);
        }
        break;
    case FORM_CALL:
        if (info->sem != SEM_CALL_LOCAL) {
            touch_helper(a, t, in, out);
        } else if (passes) {
            read_all(out);
        }
        break;
    default: break;
    }
}

static void touch_all(struct analysis *a)
{
    for (uint32_t i = 0; i < a->cfg->block_count; i++) {
        const struct cfg_block *c = &a->cfg->blocks[i];
        struct track t = a->blocks[i].in;
        if (t.kind[0] == TRACK_NOWHERE) {
            continue; // not reachable
        }
        for (uint32_t pc = c->start; pc < c->end; pc += insn_slots(&a->p->insns[pc])) {
            touch_insn(a, a->blocks[i].passes_frame, pc, &t);
            track_insn(a, c->func, pc, &t);
        }
    }
}

// --- backwards -----------------------------------------------------------------------------------

#define BIT(r)       ((uint16_t)(1u << (r)))
#define ARGUMENTS    ((uint16_t)0x3e) // r1-r5
#define CALL_CLOBBER ((uint16_t)0x3f)
#define NUMBERED     ((uint16_t)0x3ff) // r0-r9

static uint16_t helper_reads(const struct analysis *a, const struct insn *in)
{
    const struct helper_row *row = row_of(a, in);
    uint16_t regs = 0;
    for (unsigned arg = 0; arg < 5; arg++) {
        if (row == NULL || row->args[arg] != ARG_NONE) {
            regs |= BIT(arg + 1);
        }
    }
    return regs;
}

// Registers that are live before `in`, from those that are live after it.
static uint16_t regs_before(struct analysis *a, const struct insn *in, uint32_t pc, uint16_t regs)
{
    const struct insn_info *info = insn_info(in->id);
    uint16_t dst = BIT(in->dst), src = BIT(in->src);
    bool overwrites = info->sem == SEM_MOV || info->sem == SEM_MOVSX8 || info->sem == SEM_MOVSX16 ||
                      info->sem == SEM_MOVSX32;
    switch (info->form) {
    case FORM_ALU_IMM: return (uint16_t)(overwrites ? regs & ~dst : regs | dst);
    case FORM_ALU_REG: return (uint16_t)((overwrites ? regs & ~dst : regs | dst) | src);
    case FORM_ALU_UNARY:
    case FORM_JMP_IMM: return regs | dst;
    case FORM_JMP_REG:
    case FORM_STORE_REG: return regs | dst | src;
    case FORM_STORE_IMM: return regs | dst;
    case FORM_LOAD: return (uint16_t)((regs & ~dst) | src);
    case FORM_LDDW: return (uint16_t)(regs & ~dst);
    case FORM_ATOMIC: return (uint16_t)(regs | dst | src | (info->sem == SEM_ATOMIC_CMPXCHG ? BIT(0) : 0));
    case FORM_LDABS:
    case FORM_LDIND:
        return (uint16_t)((regs & ~CALL_CLOBBER) | BIT(6) | (info->form == FORM_LDIND ? src : 0));
    case FORM_CALLX: return (uint16_t)((regs & ~CALL_CLOBBER) | ARGUMENTS | dst);
    case FORM_EXIT: return BIT(0);
    case FORM_CALL: break;
    default: return regs;
    }
    if (info->sem != SEM_CALL_LOCAL) {
        return (uint16_t)((regs & ~CALL_CLOBBER) | helper_reads(a, in));
    }
    uint32_t callee = a->cfg->first_block[cfg_callee(a->p, pc)];
    return (uint16_t)((regs & ~CALL_CLOBBER) | (a->blocks[callee].facts.regs & ARGUMENTS));
}

static bool moves(const struct insn_info *info)
{
    return info->sem == SEM_MOV || info->sem == SEM_MOVSX8 || info->sem == SEM_MOVSX16 ||
           info->sem == SEM_MOVSX32;
}

static bool any_cell(const uint64_t cells[2], unsigned from, unsigned to)
{
    bool any = false;
    for (unsigned c = from; c < to; c++) {
        any = any || (cells[c / 64] >> (c % 64) & 1) != 0;
    }
    return any;
}

// What is tested before `in`, from what is tested after it.
static void tested_before(const struct insn *in, const struct insn_info *info, const struct touch *touch,
                          struct facts *f)
{
    uint16_t dst = BIT(in->dst), src = BIT(in->src);
    bool wanted = (f->tested_regs & dst) != 0;
    switch (info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG:
        f->tested_regs = (uint16_t)(moves(info) ? f->tested_regs & ~dst : f->tested_regs);
        f->tested_regs |= info->form == FORM_ALU_REG && wanted ? src : 0;
        break;
    case FORM_JMP_REG: f->tested_regs |= src; // fall through
    case FORM_JMP_IMM: f->tested_regs |= dst; break;
    case FORM_LOAD:
        f->tested_regs &= (uint16_t)~dst;
        for (unsigned c = touch->read_from; wanted && touch->exact && c < touch->read_to; c++) {
            f->tested[c / 64] |= (uint64_t)1 << (c % 64);
        }
        break;
    case FORM_STORE_REG:
        if (touch->exact && any_cell(f->tested, touch->write_from, touch->write_to)) {
            f->tested_regs |= src;
        }
        break;
    case FORM_LDDW: f->tested_regs &= (uint16_t)~dst; break;
    case FORM_EXIT: f->tested_regs |= BIT(0); break; // by the caller, perhaps
    case FORM_CALL:
    case FORM_CALLX:
    case FORM_LDABS:
    case FORM_LDIND: f->tested_regs &= (uint16_t)~CALL_CLOBBER; break;
    default: break;
    }
    f->tested_regs &= NUMBERED;
    for (unsigned c = touch->write_from; c < touch->write_to; c++) {
        f->tested[c / 64] &= ~((uint64_t)1 << (c % 64));
    }
}

static void cells_before(const struct touch *touch, uint64_t cells[2])
{
    for (unsigned c = touch->write_from; c < touch->write_to; c++) {
        cells[c / 64] &= ~((uint64_t)1 << (c % 64));
    }
    for (unsigned c = touch->read_from; c < touch->read_to; c++) {
        cells[c / 64] |= (uint64_t)1 << (c % 64);
    }
}

static void add_successor(const struct analysis *a, uint32_t block, struct facts *f)
{
    if (block == CFG_NONE) {
        return;
    }
    const struct facts *from = &a->blocks[block].facts;
    f->regs |= from->regs;
    f->tested_regs |= from->tested_regs;
    for (unsigned w = 0; w < ARRAY_SIZE(f->cells); w++) {
        f->cells[w] |= from->cells[w];
        f->tested[w] |= from->tested[w];
    }
}

static void insn_before(struct analysis *a, uint32_t pc, struct facts *f)
{
    const struct insn *in = &a->p->insns[pc];
    if (in->id == INSN_NONE) {
        return;
    }
    if (in->id == INSN_CALL_LOCAL && (f->regs & BIT(0)) != 0) {
        bool *used = &a->result_used[cfg_callee(a->p, pc)];
        a->changed = a->changed || !*used;
        *used = true;
    }
    tested_before(in, insn_info(in->id), &a->touches[pc], f);
    if (insn_info(in->id)->form == FORM_EXIT && a->cfg->blocks[cfg_block_of(a->cfg, pc)].func == 0) {
        f->tested_regs = 0; // nobody in the program tests its result
    }
    f->regs = regs_before(a, in, pc, f->regs) & NUMBERED;
    cells_before(&a->touches[pc], f->cells);
}

static void live_block(struct analysis *a, uint32_t index)
{
    const struct cfg_block *c = &a->cfg->blocks[index];
    struct live_block *b = &a->blocks[index];
    struct facts f;
    memset(&f, 0, sizeof(f));
    add_successor(a, c->next[0], &f);
    add_successor(a, c->next[1], &f);
    for (uint32_t pc = c->end; pc-- > c->start;) {
        insn_before(a, pc, &f);
    }
    if (memcmp(&f, &b->facts, sizeof(f)) != 0) {
        memcpy(&b->facts, &f, sizeof(f));
        a->changed = true;
    }
}

static bool live_all(struct analysis *a)
{
    for (uint32_t sweep = 0; sweep < MAX_SWEEPS; sweep++) {
        a->changed = false;
        for (uint32_t i = a->cfg->block_count; i-- > 0;) {
            live_block(a, i);
        }
        if (!a->changed) {
            return true;
        }
    }
    return false;
}

ebpf_result_t live_analyse(const struct domain_env *env, const struct cfg *cfg, struct arena *arena,
                           struct live *out)
{
    struct analysis a = {.env = env, .p = env->program, .cfg = cfg};
    out->blocks = NULL;
    out->result_used = NULL;
    if (cfg->block_count > MAX_BLOCKS) {
        return EBPF_SUCCESS;
    }
    a.blocks = arena_array(arena, cfg->block_count, sizeof(*a.blocks));
    a.touches = arena_array(arena, a.p->insn_count, sizeof(*a.touches));
    a.spills = arena_array(arena, a.p->func_count, sizeof(*a.spills));
    a.result_used = arena_array(arena, a.p->func_count, sizeof(*a.result_used));
    if (a.blocks == NULL || a.touches == NULL || a.spills == NULL || a.result_used == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (!track_all(&a)) {
        return EBPF_SUCCESS;
    }
    touch_all(&a);
    if (live_all(&a)) {
        out->blocks = a.blocks;
        out->result_used = a.result_used;
    }
    return EBPF_SUCCESS;
}

void live_at(const struct live *live, uint32_t block, uint32_t frame_count, struct packed_live *out)
{
    memset(out, 0xff, sizeof(*out));
    if (live->blocks == NULL) {
        return;
    }
    const struct facts *f = &live->blocks[block].facts;
    out->regs = f->regs;
    memcpy(out->cells[frame_count - 1], f->cells, sizeof(f->cells));
}

void live_hints(const struct live *live, uint32_t block, uint32_t frame_count, struct join_hints *out)
{
    memset(out, 0, sizeof(*out));
    if (live->blocks == NULL) {
        return;
    }
    const struct facts *f = &live->blocks[block].facts;
    out->tested.regs = f->tested_regs;
    memcpy(out->tested.cells[frame_count - 1], f->tested, sizeof(f->tested));
}

uint16_t live_arguments(const struct live *live, uint32_t block)
{
    return live->blocks == NULL ? ARGUMENTS : (uint16_t)(live->blocks[block].facts.regs & ARGUMENTS);
}
