// SPDX-License-Identifier: MIT
// build_slots: bytes of the program's stack become values where every access of them is a load or store of
// the same bytes at a known place. Accesses at places that are known to lie in a range, and addresses that
// are passed on, leave the bytes that they may reach in memory: an address that a helper gets reaches from
// there to the end of its frame; one that goes anywhere else (to a function, into memory, through a PHI)
// reaches everything.
#include "jit/build.h"
#include "jit/ir_text.h"
#include "jit/opt.h"

#define SLOT_MAX  48u     // more only compete for registers
#define IN_MEMORY 0x7fffu // no number of an access
#define SLOT_BIT  0x8000u // first byte of slot number ...

// What is known of a value: an address at low..high from r10 of the function itself, or, with low > high, no
// address of its frames.
struct place {
    int32_t low, high;
};
static const struct place no_place = {1, 0};

struct slots {
    struct jit *j;
    struct ir *ir;
    struct opt opt;
    bool has_facts, wants_facts;
    bool lost;            // an address got away
    uint8_t op;           // of the base: FRAME or PARAM
    int32_t start;        // offset of the window's first byte: that of the lowest frame
    int32_t window;       // bytes of all frames of the function
    int32_t lowest;       // first byte of the part of the window that addresses and accesses reach
    int32_t bytes;        // of that part: from there to the window's end
    struct place *places; // by value
    uint16_t *owner;  // by byte of that part: 0, the only access there is (see access_number), or the above
    uint16_t *weight; // by byte of that part: of the access that starts there
    uint32_t *users;  // values that use an address, in order; in the end accesses of slots alone
    uint32_t user_count;
    int32_t passed[INSN_MAX_FRAMES]; // by frame: lowest address that a helper gets
    uint32_t count;                  // of slots
    uint16_t numbers[SLOT_MAX];      // accesses that become slots
    uint32_t zero;
    struct build_vars vars;
};

// --- places --------------------------------------------------------------------------------------

static bool is_place(struct place p)
{
    return p.low <= p.high;
}

// `p` moved by low..high; no place when it gets too far away. It may leave the frames, and come back.
static struct place moved(const struct slots *s, struct place p, int64_t low, int64_t high)
{
    int64_t first = p.low + low, last = p.high + high;
    if (first < s->start - s->window || last > s->start + 2 * s->window) {
        return no_place;
    }
    return (struct place){(int32_t)first, (int32_t)last};
}

static bool is_inside(const struct slots *s, struct place p)
{
    return is_place(p) && p.low >= s->start && p.high <= s->start + s->window;
}

// Range of an offset as a signed number; false: too wide to be of use.
static bool range_of(struct slots *s, uint32_t value, int64_t *low, int64_t *high)
{
    if (ir_is_const(s->ir, value, low)) {
        *high = *low;
    } else if (s->has_facts) {
        struct opt_fact fact = opt_fact_of(&s->opt, value);
        *low = (int64_t)fact.min;
        *high = (int64_t)fact.max;
    } else {
        s->wants_facts = true;
        return false;
    }
    return *low <= *high && *low >= -s->window && *high <= s->window;
}

static struct place sum(struct slots *s, const struct ir_value *v)
{
    struct place a = s->places[v->a], b = s->places[v->b];
    int64_t low, high;
    if (v->width != 64 || is_place(a) == is_place(b)) {
        return no_place;
    }
    if (!range_of(s, is_place(a) ? v->b : v->a, &low, &high)) {
        return no_place;
    }
    if (v->op == IR_SUB) {
        return is_place(a) ? moved(s, a, -high, -low) : no_place;
    }
    return moved(s, is_place(a) ? a : b, low, high);
}

static struct place place_of(struct slots *s, const struct ir_value *v)
{
    if (v->op == s->op && (v->op == IR_FRAME || v->imm == 6)) {
        return (struct place){0, 0};
    }
    if (v->op == IR_COPY) {
        return s->places[v->a];
    }
    bool sums = (v->op == IR_ADD || v->op == IR_SUB) && (v->flags & IR_IMM) == 0;
    return sums ? sum(s, v) : no_place;
}

// --- accesses ------------------------------------------------------------------------------------

// Bytes first..end-1 stay in memory, as far as they are in the frames.
static void keep(struct slots *s, int64_t first, int64_t end)
{
    for (int64_t at = first < s->lowest ? s->lowest : first; at < end && at < s->lowest + s->bytes; at++) {
        s->owner[at - s->lowest] = IN_MEMORY;
    }
}

// 1 + place in the part that is reached * 4 + logarithm of the bytes.
static uint16_t access_number(const struct slots *s, int32_t at, unsigned bytes)
{
    unsigned log = bytes == 8 ? 3 : bytes == 4 ? 2 : bytes - 1;
    return (uint16_t)(1 + (unsigned)(at - s->lowest) * 4 + log);
}

static uint32_t number_place(uint16_t number)
{
    return (number - 1u) / 4;
}

static uint32_t number_bytes(uint16_t number)
{
    return 1u << ((number - 1u) & 3);
}

static bool is_owner(const struct slots *s, uint16_t number)
{
    for (uint32_t i = 0; i < number_bytes(number); i++) {
        if (s->owner[number_place(number) + i] != number) {
            return false;
        }
    }
    return true;
}

// Accesses in loops count for more.
static void note_exact(struct slots *s, int32_t at, unsigned bytes, uint8_t depth)
{
    uint16_t number = access_number(s, at, bytes);
    uint16_t *owner = &s->owner[at - s->lowest];
    for (unsigned i = 0; i < bytes; i++) {
        if (owner[i] != 0 && owner[i] != number) {
            keep(s, at, at + (int64_t)bytes);
            return;
        }
    }
    for (unsigned i = 0; i < bytes; i++) {
        owner[i] = number;
    }
    uint32_t weight = s->weight[at - s->lowest] + ((uint32_t)1 << (depth < 4 ? 3 * depth : 12));
    s->weight[at - s->lowest] = (uint16_t)min_u32(weight, UINT16_MAX);
}

static bool is_plain(unsigned op)
{
    return op == IR_LOAD || op == IR_LOADS || op == IR_STORE;
}

// Where a load or store goes to.
static struct place accessed(const struct slots *s, const struct ir_value *v)
{
    struct place p = s->places[v->a];
    return is_place(p) ? moved(s, p, v->disp, (int64_t)v->disp + v->width / 8) : no_place;
}

static void note_access(struct slots *s, const struct ir_value *v)
{
    struct place p = accessed(s, v);
    int32_t bytes = v->width / 8;
    if (!is_place(p)) {
        s->lost = true;
    } else if (is_plain(v->op) && p.high - p.low == bytes && is_inside(s, p)) {
        note_exact(s, p.low, (unsigned)bytes, ir_block_at(s->ir, v->block)->depth);
    } else {
        keep(s, p.low, p.high);
    }
}

// --- what becomes of addresses -------------------------------------------------------------------

static bool is_tail_helper(const struct jit *j, int64_t address)
{
    for (uint32_t i = 0; i < j->input->helper_count; i++) {
        const struct jit_helper *helper = &j->input->helpers[i];
        if (helper->kind == JIT_HELPER_TAIL_CALL && helper->address == (uint64_t)address) {
            return true;
        }
    }
    return false;
}

// The frame top that functions and other programs get: what they have there is not of this function.
static bool is_frame_top(const struct slots *s, const struct ir_value *v, uint32_t i)
{
    switch (v->op) {
    case IR_CALL_LOCAL: return i == 6;
    case IR_TAIL: return i == 3;
    case IR_CALL: return i == 3 && v->b == 6 && is_tail_helper(s->j, v->imm);
    default: return false;
    }
}

// A helper gets the address `p`; behind all frames it is good for nothing.
static void note_passed(struct slots *s, struct place p)
{
    uint32_t frame = (uint32_t)(p.low - s->start) / INSN_STACK_SIZE;
    if (!is_inside(s, p) || frame != (uint32_t)(p.high - s->start) / INSN_STACK_SIZE) {
        s->lost = true;
    } else if (frame < INSN_MAX_FRAMES && p.low < s->passed[frame]) {
        s->passed[frame] = p.low;
    }
}

static void note_use(struct slots *s, uint32_t user, uint32_t i, struct place p)
{
    const struct ir_value *v = ir_at(s->ir, user);
    bool atomic = v->op >= IR_ATOMIC_ADD && v->op <= IR_CMPXCHG;
    if (is_frame_top(s, v, i) || is_place(s->places[user])) {
        return;
    }
    if (i == 0 && (atomic || (is_plain(v->op) && v->b == IR_NONE))) {
        note_access(s, v);
    } else if (v->op == IR_CALL || v->op == IR_HELPER) {
        note_passed(s, p);
    } else {
        s->lost = true;
    }
}

// The first operand that is an address, or how many there are.
static uint32_t find_address(const struct slots *s, struct ir_value *v)
{
    uint32_t i = 0, count = ir_operand_count(v);
    while (i < count && !is_place(s->places[*ir_operand(s->ir, v, i)])) {
        i++;
    }
    return i;
}

static void note_value(struct slots *s, uint32_t value, struct ir_value *v)
{
    uint32_t count = ir_operand_count(v);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t operand = *ir_operand(s->ir, v, i);
        if (is_place(s->places[operand])) {
            note_use(s, value, i, s->places[operand]);
        }
    }
}

// What of the window `v` reaches: its address, if it is one, and what it accesses.
static void note_reach(struct slots *s, uint32_t value)
{
    const struct ir_value *v = ir_at(s->ir, value);
    struct place p = s->places[value], at = ir_is_memory(v->op) ? accessed(s, v) : no_place;
    s->lowest = is_place(p) && p.low < s->lowest ? p.low : s->lowest;
    s->lowest = is_place(at) && at.low < s->lowest ? at.low : s->lowest;
}

static void find_places(struct slots *s)
{
    int32_t end = s->start + s->window;
    for (uint32_t v = 0; v < s->ir->value_count; v++) {
        s->places[v] = no_place;
    }
    s->lowest = end;
    s->user_count = 0;
    for (uint32_t i = 0; i < s->ir->order_count; i++) {
        for (uint32_t v = ir_block_at(s->ir, s->ir->order[i])->first; v != IR_NONE; v = ir_next(s->ir, v)) {
            struct ir_value *value = ir_at(s->ir, v);
            s->places[v] = place_of(s, value);
            note_reach(s, v);
            if (value->op != IR_PHI && find_address(s, value) != ir_operand_count(value)) {
                s->users[s->user_count++] = v;
            }
        }
    }
    s->lowest = s->lowest < s->start ? s->start : s->lowest;
    s->bytes = end - s->lowest;
}

// PHIs are no places, and may use what comes later: they are looked at when all places are known.
static bool joins_addresses(const struct slots *s)
{
    const struct ir *ir = s->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t v = ir_block_at(ir, ir->order[i])->first;
        ir_prefetch_first(ir, i + IR_AHEAD / 4);
        for (; ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
            if (find_address(s, ir_at(ir, v)) != ir_operand_count(ir_at(ir, v))) {
                return true;
            }
        }
    }
    return false;
}

// User `at` of the list; one that comes later will be looked at.
static struct ir_value *user_at(const struct slots *s, uint32_t at)
{
    if (at + IR_AHEAD / 4 < s->user_count) {
        __builtin_prefetch(ir_at(s->ir, s->users[at + IR_AHEAD / 4]));
    }
    return ir_at(s->ir, s->users[at]);
}

static void find_accesses(struct slots *s)
{
    for (uint32_t i = 0; i < s->user_count && !s->lost; i++) {
        note_value(s, s->users[i], user_at(s, i));
    }
    s->lost = s->lost || joins_addresses(s);
}

static ebpf_result_t analyse(struct slots *s)
{
    s->places = jit_room(s->j, s->ir->value_count, sizeof(*s->places));
    if (s->places == NULL) {
        return EBPF_NO_MEMORY;
    }
    find_places(s);
    s->owner = jit_alloc(s->j, (size_t)s->bytes, sizeof(*s->owner));
    s->weight = jit_alloc(s->j, (size_t)s->bytes, sizeof(*s->weight));
    if (s->owner == NULL || s->weight == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t f = 0; f < INSN_MAX_FRAMES; f++) {
        s->passed[f] = INT32_MAX;
    }
    find_accesses(s);
    return EBPF_SUCCESS;
}

// --- choice --------------------------------------------------------------------------------------

// Sorted by weight; the lightest one goes when there are too many.
static void add_slot(struct slots *s, uint16_t number)
{
    uint32_t weight = s->weight[number_place(number)];
    uint32_t at = s->count < SLOT_MAX ? s->count++ : SLOT_MAX - 1;
    if (at == SLOT_MAX - 1 && s->numbers[at] != 0 && s->weight[number_place(s->numbers[at])] >= weight) {
        return;
    }
    while (at > 0 && s->weight[number_place(s->numbers[at - 1])] < weight) {
        s->numbers[at] = s->numbers[at - 1];
        at--;
    }
    s->numbers[at] = number;
}

static void choose(struct slots *s)
{
    for (uint32_t f = 0; f < INSN_MAX_FRAMES; f++) {
        if (s->passed[f] != INT32_MAX) {
            keep(s, s->passed[f], s->start + (int64_t)(f + 1) * INSN_STACK_SIZE);
        }
    }
    for (uint32_t at = 0; at < (uint32_t)s->bytes; at++) {
        uint16_t number = s->owner[at];
        if (number != 0 && number != IN_MEMORY && number_place(number) == at && is_owner(s, number)) {
            add_slot(s, number);
        }
    }
    for (uint32_t i = 0; i < s->count; i++) {
        memset(&s->owner[number_place(s->numbers[i])], 0, number_bytes(s->numbers[i]) * sizeof(*s->owner));
        s->owner[number_place(s->numbers[i])] = (uint16_t)(SLOT_BIT | i);
    }
}

// Bytes below r10 that are still in use.
static uint32_t frame_low(const struct slots *s)
{
    for (uint32_t at = 0; at < (uint32_t)s->bytes; at++) {
        if (s->owner[at] != 0 && (s->owner[at] & SLOT_BIT) == 0) {
            int32_t lowest = s->lowest + (int32_t)at;
            return lowest < 0 ? (uint32_t)-lowest : 0;
        }
    }
    return 0;
}

// Those that go are left in the list; their mark is their slot.
static void mark_accesses(struct slots *s)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < s->user_count; i++) {
        struct ir_value *v = user_at(s, i);
        struct place p = is_plain(v->op) && v->b == IR_NONE ? accessed(s, v) : no_place;
        if (is_inside(s, p) && p.high - p.low == v->width / 8 &&
            (s->owner[p.low - s->lowest] & SLOT_BIT) != 0) {
            v->mark = (uint8_t)(s->owner[p.low - s->lowest] & ~SLOT_BIT);
            s->users[left++] = s->users[i];
        }
    }
    s->user_count = left;
}

// --- slots to values -----------------------------------------------------------------------------

static bool is_next_in(const struct slots *s, uint32_t at, uint32_t block)
{
    return at < s->user_count && user_at(s, at)->block == block;
}

// `at`: where the accesses of the block are in the list. Returns where those of the next one are.
static uint32_t find_block_effect(struct slots *s, uint32_t block, uint32_t at)
{
    uint64_t use = 0, def = 0;
    for (; is_next_in(s, at, block); at++) {
        const struct ir_value *v = ir_at(s->ir, s->users[at]);
        uint64_t bit = (uint64_t)1 << v->mark;
        if (v->op == IR_STORE) {
            def |= bit;
        } else {
            use |= bit & ~def;
        }
    }
    s->vars.in[block] = use;
    s->vars.def[block] = def;
    return at;
}

#define SWEEPS 16 // what needs more is treated as if everything lived everywhere

static bool sweep(struct slots *s)
{
    bool changed = false;
    for (uint32_t i = s->ir->order_count; i-- > 0;) {
        const struct ir_block *b = ir_block_at(s->ir, s->ir->order[i]);
        uint64_t out = 0, *in = &s->vars.in[s->ir->order[i]];
        for (uint32_t k = 0; k < ir_successor_count(b); k++) {
            out |= s->vars.in[ir_successor(b, k)];
        }
        out &= ~s->vars.def[s->ir->order[i]];
        changed = changed || (out & ~*in) != 0;
        *in |= out;
    }
    return changed;
}

static void find_live(struct slots *s)
{
    for (uint32_t i = 0, at = 0; i < s->ir->order_count; i++) {
        at = find_block_effect(s, s->ir->order[i], at);
    }
    unsigned sweeps = 0;
    while (sweep(s)) {
        if (++sweeps == SWEEPS) {
            memset(s->vars.in, 0xff, s->ir->block_count * sizeof(*s->vars.in));
            return;
        }
    }
}

static void store(struct slots *s, uint32_t value, uint32_t slot)
{
    struct ir_value *v = ir_at(s->ir, value);
    uint64_t mask = v->width == 64 ? UINT64_MAX : ((uint64_t)1 << v->width) - 1;
    uint32_t stored = v->c;
    int64_t number = v->imm;
    s->vars.now[slot] = value;
    if ((v->flags & IR_IMM) != 0 || ir_is_const(s->ir, stored, &number)) {
        ir_become_const(s->ir, value, (int64_t)((uint64_t)number & mask));
        return;
    }
    uint8_t width = v->width;
    ir_become_copy(s->ir, value, stored);
    if (width != 64) {
        v->op = IR_ZEXT;
        v->imm = width;
    }
}

static void load(struct slots *s, uint32_t value, uint32_t slot)
{
    struct ir_value *v = ir_at(s->ir, value);
    bool extends = v->op == IR_LOADS;
    uint8_t width = v->width;
    ir_become_copy(s->ir, value, s->vars.now[slot]);
    if (extends) {
        v->op = IR_SEXT;
        v->imm = width;
    }
}

// What was never written reads as zero.
static ebpf_result_t start(struct slots *s)
{
    uint32_t zero = ir_new(s->j, IR_CONST, 64, IR_NONE, IR_NONE, 0);
    if (zero == IR_NONE) {
        return EBPF_NO_MEMORY;
    }
    ir_insert_after(s->ir, s->ir->entry, IR_NONE, zero);
    for (uint32_t slot = 0; slot < s->count; slot++) {
        s->vars.now[slot] = zero;
    }
    return EBPF_SUCCESS;
}

// *at: as above.
static ebpf_result_t rename_block(struct slots *s, uint32_t block, uint32_t *at)
{
    if (block == s->ir->entry) {
        TRY(start(s));
    } else if (!build_vars_enter(&s->vars, block)) {
        return EBPF_NO_MEMORY;
    }
    for (; is_next_in(s, *at, block); ++*at) {
        const struct ir_value *v = ir_at(s->ir, s->users[*at]);
        if (v->op == IR_STORE) {
            store(s, s->users[*at], v->mark);
        } else {
            load(s, s->users[*at], v->mark);
        }
    }
    build_vars_leave(&s->vars, block);
    return EBPF_SUCCESS;
}

// Only the operands of PHIs stay in the workspace.
static ebpf_result_t fill(struct slots *s, size_t mark)
{
    struct jit_memory *m = &s->j->memory;
    size_t from = m->used;
    TRY(build_vars_fill(&s->vars));
    memmove(m->base + mark, m->base + from, m->used - from);
    for (uint32_t v = s->vars.first_phi; v < s->ir->value_count; v++) {
        struct ir_value *phi = ir_at(s->ir, v);
        phi->a -= phi->op == IR_PHI ? (uint32_t)((from - mark) / sizeof(uint32_t)) : 0;
    }
    jit_rewind(s->j, m->used - (from - mark));
    return EBPF_SUCCESS;
}

// `mark`: of the workspace, before anything of this pass.
static ebpf_result_t rename(struct slots *s, size_t mark)
{
    uint32_t at = 0;
    TRY(build_vars_init(&s->vars, s->j, s->count, s->ir->block_count));
    find_live(s);
    build_vars_find_mods(&s->vars);
    for (uint32_t i = 0; i < s->ir->order_count; i++) {
        TRY(rename_block(s, s->ir->order[i], &at));
    }
    TRY(fill(s, mark));
    s->j->changed = true;
    return ir_clean(s->j);
}

// --- all together --------------------------------------------------------------------------------

static ebpf_result_t decide(struct slots *s)
{
    TRY(analyse(s));
    if (s->wants_facts) {
        TRY(opt_init(&s->opt, s->j));
        TRY(opt_find_facts(&s->opt));
        s->has_facts = true;
        s->lost = false;
        TRY(analyse(s));
    }
    if (!s->lost) {
        choose(s);
        s->ir->frame_low = frame_low(s);
        mark_accesses(s);
    }
    return EBPF_SUCCESS;
}

ebpf_result_t build_slots(struct jit *j)
{
    bool native = j->options->native_frame;
    int32_t window = (int32_t)align_up(j->ir.frame_low, INSN_STACK_SIZE); // as the build left it
    struct slots s = {.j = j,
                      .ir = &j->ir,
                      .op = native ? IR_FRAME : IR_PARAM,
                      .start = native ? -window : -(int32_t)INSN_STACK_SIZE,
                      .window = window};
    size_t mark = j->memory.used;
    if (j->ir.frame_low == 0) {
        return EBPF_SUCCESS; // r10 is not used
    }
    s.users = jit_room(j, j->ir.value_count, sizeof(*s.users));
    if (s.users == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY(decide(&s));
    if (s.lost || s.count == 0) {
        jit_rewind(j, mark);
        return EBPF_SUCCESS;
    }
    jit_rewind(j, mark + (size_t)align_up(s.user_count * sizeof(*s.users), 8));
    return rename(&s, mark);
}
