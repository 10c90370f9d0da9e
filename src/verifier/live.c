// SPDX-License-Identifier: MIT
// live: two passes over basic blocks. Forwards: which registers hold an address in the running frame (or a
// map, or a constant size), to know which stack cells an instruction touches. Backwards: what is read before
// it is written. Both repeat until nothing changes, a bounded number of times; beyond that nothing is
// assumed.
#include "verifier/live.h"

#define MAX_BLOCKS 65536u
#define MAX_SWEEPS 64u
#define ALL_CELLS  STATE_CELL_COUNT

// What a register may hold, as far as the stack of the running function is concerned.
enum track_kind { TRACK_NOWHERE, TRACK_OTHER, TRACK_FRAME, TRACK_MAP, TRACK_CONST, TRACK_MAYBE_FRAME };

struct track {
    uint8_t kind[10];
    int32_t value[10]; // FRAME: offset from r10; MAP: index; CONST: the number
};

struct live_block {
    uint32_t start, end; // slots
    uint32_t func;
    bool passes_frame; // ends with a call that is given an address in the running frame
    uint16_t regs;     // live on entry
    uint64_t cells[STATE_CELL_COUNT / 64];
    struct track in;
};

// Cells [read_from, read_to) may be read, [write_from, write_to) are overwritten as a whole.
struct touch {
    uint8_t read_from, read_to, write_from, write_to;
};

struct analysis {
    const struct domain_env *env;
    const struct program *p;
    struct live_block *blocks;
    uint32_t block_count;
    struct touch *touches; // by slot
    uint8_t *escapes;      // by function: an address in its frame was stored or passed on
    bool changed;
};

// --- blocks --------------------------------------------------------------------------------------

static bool ends_block(const struct insn *in)
{
    return insn_is_jump(in) || in->id == INSN_EXIT || in->id == INSN_CALL_LOCAL;
}

// Splits the program; with `blocks` NULL only counts.
static uint32_t split(const struct program *p, const struct cfg *cfg, struct live_block *blocks)
{
    uint32_t count = 0, func = 0;
    bool leader = true;
    for (uint32_t pc = 0; pc < p->insn_count; pc += insn_slots(&p->insns[pc])) {
        if (leader || cfg->flags[pc] != 0) {
            func += pc >= p->funcs[func].end;
            if (blocks != NULL) {
                blocks[count].start = pc;
                blocks[count].func = func;
            }
            count++;
        }
        if (blocks != NULL) {
            blocks[count - 1].end = pc + insn_slots(&p->insns[pc]);
        }
        leader = ends_block(&p->insns[pc]);
    }
    return count;
}

static struct live_block *block_at(struct live_block *blocks, uint32_t count, uint32_t pc)
{
    uint32_t low = 0, high = count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (blocks[middle].start <= pc) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return count != 0 && blocks[low].start == pc ? &blocks[low] : NULL;
}

// The last instruction of a block.
static uint32_t last_of(const struct program *p, const struct live_block *b)
{
    uint32_t pc = b->end - 1;
    return p->insns[pc].id == INSN_NONE && pc > b->start ? pc - 1 : pc;
}

// --- forwards ------------------------------------------------------------------------------------

static void set(struct track *t, unsigned reg, enum track_kind kind, int64_t value)
{
    if (reg >= 10) {
        return;
    }
    if (value < INT32_MIN || value > INT32_MAX) {
        kind = kind == TRACK_FRAME ? TRACK_MAYBE_FRAME : TRACK_OTHER;
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
    enum track_kind kind = get(t, reg, &value);
    return kind == TRACK_FRAME || kind == TRACK_MAYBE_FRAME;
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
    if (moves && right == TRACK_CONST && (left == TRACK_FRAME || left == TRACK_CONST)) {
        set(t, in->dst, left, info->sem == SEM_ADD ? a + number : a - number);
    } else if (moves && (is_frame(t, in->dst) || right == TRACK_FRAME || right == TRACK_MAYBE_FRAME)) {
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

static void escape(struct analysis *a, uint32_t func)
{
    if (!a->escapes[func]) {
        a->escapes[func] = 1;
        a->changed = true;
    }
}

static void track_call(struct analysis *a, uint32_t func, struct track *t, bool local)
{
    bool passes = local && passes_frame(t);
    if (passes) {
        escape(a, func);
    }
    for (unsigned r = 1; r <= 5; r++) {
        set(t, r, TRACK_OTHER, 0);
    }
    set(t, 0, local && (passes || a->escapes[func]) ? TRACK_MAYBE_FRAME : TRACK_OTHER, 0);
}

static void track_insn(struct analysis *a, uint32_t func, uint32_t pc, struct track *t)
{
    const struct insn *in = &a->p->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    enum track_kind loaded = a->escapes[func] ? TRACK_MAYBE_FRAME : TRACK_OTHER;
    switch (info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG: track_alu(t, in, info); break;
    case FORM_ALU_UNARY: set(t, in->dst, TRACK_OTHER, 0); break;
    case FORM_LOAD: set(t, in->dst, loaded, 0); break;
    case FORM_LDABS:
    case FORM_LDIND: set(t, 0, TRACK_OTHER, 0); break;
    case FORM_STORE_REG:
        if (is_frame(t, in->src)) {
            escape(a, func);
        }
        break;
    case FORM_ATOMIC:
        if (is_frame(t, in->src)) {
            escape(a, func);
        }
        set(t, info->sem == SEM_ATOMIC_CMPXCHG ? 0 : in->src, loaded, 0);
        break;
    case FORM_LDDW:
        if (info->sem == SEM_LDDW_MAP) {
            set(t, in->dst, TRACK_MAP, (int32_t)in->imm);
        } else {
            set(t, in->dst, info->sem == SEM_LDDW ? TRACK_CONST : TRACK_OTHER, in->imm);
        }
        break;
    case FORM_CALL:
    case FORM_CALLX: track_call(a, func, t, info->sem == SEM_CALL_LOCAL); break;
    default: break;
    }
}

// Joins `from` into the entry of the block at `pc`.
static void flow(struct analysis *a, const struct track *from, uint32_t pc)
{
    struct live_block *b = block_at(a->blocks, a->block_count, pc);
    if (b == NULL) {
        return;
    }
    for (unsigned r = 0; r < 10; r++) {
        uint8_t old = b->in.kind[r], new = from->kind[r];
        if (old == new &&
            (b->in.value[r] == from->value[r] || old == TRACK_OTHER || old == TRACK_MAYBE_FRAME)) {
            continue;
        }
        if (old == TRACK_NOWHERE) {
            b->in.value[r] = from->value[r];
        } else {
            bool frame = old == TRACK_FRAME || old == TRACK_MAYBE_FRAME || new == TRACK_FRAME ||
                         new == TRACK_MAYBE_FRAME;
            new = frame ? TRACK_MAYBE_FRAME : TRACK_OTHER;
            if (old == new) {
                continue;
            }
            b->in.value[r] = 0;
        }
        b->in.kind[r] = new;
        a->changed = true;
    }
}

static void track_block(struct analysis *a, struct live_block *b)
{
    struct track t = b->in;
    uint32_t last = last_of(a->p, b);
    for (uint32_t pc = b->start; pc < b->end; pc += insn_slots(&a->p->insns[pc])) {
        if (pc == last && a->p->insns[pc].id == INSN_CALL_LOCAL) {
            b->passes_frame = passes_frame(&t) || a->escapes[b->func];
        }
        track_insn(a, b->func, pc, &t);
    }
    const struct insn *in = &a->p->insns[last];
    if (insn_is_jump(in)) {
        flow(a, &t, (uint32_t)insn_target(in, last));
    }
    if ((!insn_is_jump(in) || insn_is_conditional(in)) && in->id != INSN_EXIT) {
        flow(a, &t, b->end);
    }
}

static bool track_all(struct analysis *a)
{
    for (uint32_t i = 0; i < a->block_count; i++) {
        struct live_block *b = &a->blocks[i];
        if (b->start == a->p->funcs[b->func].start) {
            memset(b->in.kind, TRACK_OTHER, sizeof(b->in.kind));
        }
    }
    for (uint32_t sweep = 0; sweep < MAX_SWEEPS; sweep++) {
        a->changed = false;
        for (uint32_t i = 0; i < a->block_count; i++) {
            if (a->blocks[i].in.kind[0] != TRACK_NOWHERE) {
                track_block(a, &a->blocks[i]);
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
        if (kind == TRACK_FRAME) {
            add_read(out, at, size);
        } else if (kind == TRACK_MAYBE_FRAME) {
            read_all(out);
        }
    } else if (kind == TRACK_FRAME) {
        cells_of(at, size, true, &out->write_from, &out->write_to);
    }
}

// Size of what a helper reads at `arg`, or that of a whole frame.
static int64_t read_size(const struct analysis *a, const struct track *t, const struct helper_row *row,
                         unsigned arg)
{
    unsigned type = row->args[arg];
    int32_t value;
    if (type == ARG_MAP_KEY || type == ARG_MAP_VALUE) {
        enum track_kind map = get(t, 1, &value);
        if (map == TRACK_MAP && row->args[0] == ARG_MAP && (uint32_t)value < a->p->map_count) {
            const struct map_def *def = &a->p->maps[value];
            return type == ARG_MAP_KEY ? def->key_size : def->value_size;
        }
    } else if (arg < 4 && get(t, arg + 2, &value) == TRACK_CONST && value >= 0) {
        return value;
    }
    return INSN_STACK_SIZE;
}

static void touch_helper(const struct analysis *a, const struct track *t, const struct insn *in,
                         struct touch *out)
{
    if (in->imm <= 0 || in->imm >= (int64_t)a->env->spec->helper_count) {
        return; // refused anyway
    }
    const struct helper_row *row = &a->env->spec->helpers[in->imm];
    for (unsigned arg = 0; arg < 5; arg++) {
        unsigned type = row->args[arg];
        bool reads = type == ARG_MAP_KEY || type == ARG_MAP_VALUE || type == ARG_MEM_READ ||
                     type == ARG_MEM_READ_OR_NULL || type == ARG_MEM_READ_WRITE;
        int32_t off;
        enum track_kind kind = get(t, arg + 1, &off);
        if (reads && kind == TRACK_FRAME) {
            add_read(out, off, read_size(a, t, row, arg));
        } else if (reads && kind == TRACK_MAYBE_FRAME) {
            read_all(out);
        }
    }
}

static void touch_insn(struct analysis *a, const struct live_block *b, uint32_t pc, const struct track *t)
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
        if (info->sem == SEM_CALL) {
            touch_helper(a, t, in, out);
        } else if (b->passes_frame) {
            read_all(out);
        }
        break;
    default: break;
    }
}

static void touch_all(struct analysis *a)
{
    for (uint32_t i = 0; i < a->block_count; i++) {
        struct live_block *b = &a->blocks[i];
        struct track t = b->in;
        if (t.kind[0] == TRACK_NOWHERE) {
            continue; // not reachable
        }
        for (uint32_t pc = b->start; pc < b->end; pc += insn_slots(&a->p->insns[pc])) {
            touch_insn(a, b, pc, &t);
            track_insn(a, b->func, pc, &t);
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
    uint16_t regs = 0;
    if (in->imm <= 0 || in->imm >= (int64_t)a->env->spec->helper_count) {
        return ARGUMENTS;
    }
    for (unsigned arg = 0; arg < 5; arg++) {
        if (a->env->spec->helpers[in->imm].args[arg] != ARG_NONE) {
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
    const struct live_block *callee = block_at(a->blocks, a->block_count, (uint32_t)insn_target(in, pc));
    return (uint16_t)((regs & ~CALL_CLOBBER) | (callee != NULL ? callee->regs & ARGUMENTS : ARGUMENTS));
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

static void add_successor(struct analysis *a, uint32_t pc, uint16_t *regs, uint64_t cells[2])
{
    const struct live_block *b = block_at(a->blocks, a->block_count, pc);
    if (b != NULL) {
        *regs |= b->regs;
        cells[0] |= b->cells[0];
        cells[1] |= b->cells[1];
    }
}

static void live_block(struct analysis *a, struct live_block *b)
{
    uint32_t last = last_of(a->p, b);
    const struct insn *in = &a->p->insns[last];
    uint16_t regs = 0;
    uint64_t cells[2] = {0, 0};
    if (insn_is_jump(in)) {
        add_successor(a, (uint32_t)insn_target(in, last), &regs, cells);
    }
    if ((!insn_is_jump(in) || insn_is_conditional(in)) && in->id != INSN_EXIT) {
        add_successor(a, b->end, &regs, cells);
    }
    for (uint32_t pc = b->end; pc-- > b->start;) {
        if (a->p->insns[pc].id == INSN_NONE) {
            continue;
        }
        regs = regs_before(a, &a->p->insns[pc], pc, regs) & NUMBERED;
        cells_before(&a->touches[pc], cells);
    }
    if (regs != b->regs || cells[0] != b->cells[0] || cells[1] != b->cells[1]) {
        b->regs = regs;
        memcpy(b->cells, cells, sizeof(cells));
        a->changed = true;
    }
}

static bool live_all(struct analysis *a)
{
    for (uint32_t sweep = 0; sweep < MAX_SWEEPS; sweep++) {
        a->changed = false;
        for (uint32_t i = a->block_count; i-- > 0;) {
            live_block(a, &a->blocks[i]);
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
    struct analysis a = {.env = env, .p = env->program};
    out->blocks = NULL;
    out->block_count = 0;
    a.block_count = split(a.p, cfg, NULL);
    if (a.block_count > MAX_BLOCKS) {
        return EBPF_SUCCESS;
    }
    a.blocks = arena_array(arena, a.block_count, sizeof(*a.blocks));
    a.touches = arena_array(arena, a.p->insn_count, sizeof(*a.touches));
    a.escapes = arena_array(arena, a.p->func_count, 1);
    if (a.blocks == NULL || a.touches == NULL || a.escapes == NULL) {
        return EBPF_NO_MEMORY;
    }
    split(a.p, cfg, a.blocks);
    if (!track_all(&a)) {
        return EBPF_SUCCESS;
    }
    touch_all(&a);
    if (live_all(&a)) {
        out->blocks = a.blocks;
        out->block_count = a.block_count;
    }
    return EBPF_SUCCESS;
}

bool live_at(const struct live *live, const struct domain_state *s, uint32_t pc, struct packed_live *out)
{
    if (live->blocks == NULL) {
        return false;
    }
    struct live_block *blocks = (struct live_block *)live->blocks;
    const struct live_block *here = block_at(blocks, live->block_count, pc);
    if (here == NULL) {
        return false;
    }
    out->regs = here->regs;
    uint32_t top = s->frame_count - 1;
    memcpy(out->cells[top], here->cells, sizeof(here->cells));
    for (uint32_t f = 0; f < top; f++) {
        const struct live_block *back = block_at(blocks, live->block_count, s->frames[f].return_pc);
        if (back == NULL || back == blocks) {
            return false;
        }
        out->saved[f] = back->regs;
        // The block before the return is the one that ends with the call.
        bool passed = back[-1].passes_frame;
        out->cells[f][0] = passed ? UINT64_MAX : back->cells[0];
        out->cells[f][1] = passed ? UINT64_MAX : back->cells[1];
    }
    return true;
}
