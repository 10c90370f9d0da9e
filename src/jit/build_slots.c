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

// A byte of the window.
struct byte {
    uint16_t owner;  // 0, the only access there is (see access_number), or the above
    uint16_t weight; // of the access that starts there
};

struct slots {
    struct jit *j;
    struct ir *ir;
    struct opt opt;
    bool has_facts, wants_facts;
    bool late;           // facts may be asked for
    bool open;           // not decided: they would be
    bool lost;           // an address got away
    bool full;           // the workspace is
    uint8_t op;          // of the base: FRAME or PARAM
    int32_t start, end;  // offsets of the window: from the lowest frame on, all frames of the function
    struct byte *bytes;  // from the window's last byte down to where accesses reach: byte_count
    uint32_t byte_count; // of them; they are last in the workspace while they become more
    uint32_t *users;     // loads and stores of one place, in order; in the end those of slots alone
    uint32_t *addresses; // values whose ir_value.slot is their place (see pack); from the end of `users` down
    uint32_t address_count;
    uint16_t *number; // of each user's access
    uint32_t user_count;
    bool counts; // uses, while it looks at all values
    struct build_settling settling;
    uint8_t depth;                   // of the block that is looked at
    int32_t passed[INSN_MAX_FRAMES]; // by frame: lowest address that a helper gets
    uint32_t count;                  // of slots
    uint16_t numbers[SLOT_MAX];      // accesses that become slots
    uint32_t first;                  // value of this pass
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
    int32_t window = s->end - s->start;
    if (first < s->start - window || last > s->end + window) {
        return no_place;
    }
    return (struct place){(int32_t)first, (int32_t)last};
}

static bool is_inside(const struct slots *s, struct place p)
{
    return is_place(p) && p.low >= s->start && p.high <= s->end;
}

// Places in a word, which is 0 for none: nothing is as far from r10 as BIAS.
#define BIAS 0x4000
_Static_assert(3 * INSN_MAX_FRAMES * INSN_STACK_SIZE < BIAS, "places fit into half a word");

static uint32_t pack(struct place p)
{
    return is_place(p) ? (uint32_t)(p.low + BIAS) << 16 | (uint32_t)(p.high + BIAS) : 0;
}

static inline uint32_t word_at(const struct slots *s, uint32_t value)
{
    return ir_at(s->ir, value)->slot;
}

static void set_place(struct slots *s, uint32_t value, struct place p)
{
    if (is_place(p)) {
        *(s->addresses - s->address_count++) = value;
        ir_at(s->ir, value)->slot = pack(p);
    }
}

static void forget_places(struct slots *s)
{
    while (s->address_count != 0) {
        ir_at(s->ir, *(s->addresses - --s->address_count))->slot = 0;
    }
}

static struct place place_at(const struct slots *s, uint32_t value)
{
    uint32_t word = word_at(s, value);
    return word == 0 ? no_place
                     : (struct place){(int32_t)(word >> 16) - BIAS, (int32_t)(word & 0xffff) - BIAS};
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
    return *low <= *high && *low >= s->start - s->end && *high <= s->end - s->start;
}

static struct place sum(struct slots *s, const struct ir_value *v)
{
    struct place a = place_at(s, v->a), b = place_at(s, v->b);
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

// Of a COPY or sum.
static struct place place_of(struct slots *s, const struct ir_value *v)
{
    if (v->op == IR_COPY) {
        return place_at(s, v->a);
    }
    return (v->flags & IR_IMM) == 0 ? sum(s, v) : no_place;
}

// --- accesses ------------------------------------------------------------------------------------

// Makes the byte at `low`, and all above it, part of the list.
static bool reach(struct slots *s, int64_t low)
{
    uint32_t count = (uint32_t)(s->end - low);
    if (count > s->byte_count && !s->full) {
        uint32_t more = (uint32_t)align_up(count - s->byte_count, 16);
        s->full = jit_alloc(s->j, more, sizeof(*s->bytes)) == NULL;
        s->byte_count += s->full ? 0 : more;
    }
    return !s->full;
}

// Bytes first..end-1 stay in memory, as far as they are in the frames.
static void keep(struct slots *s, int64_t first, int64_t end)
{
    first = first < s->start ? s->start : first;
    end = end < s->end ? end : s->end;
    if (first < end && reach(s, first)) {
        for (int64_t i = s->end - end; i < s->end - first; i++) {
            s->bytes[i].owner = IN_MEMORY;
        }
    }
}

// 1 + place of the first byte in the list * 4 + logarithm of the bytes.
static uint16_t access_number(const struct slots *s, int32_t at, unsigned bytes)
{
    return (uint16_t)(1 + (unsigned)(s->end - 1 - at) * 4 + (unsigned)__builtin_ctz(bytes));
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
    const struct byte *first = &s->bytes[number_place(number)];
    uint32_t i = 0, bytes = number_bytes(number);
    while (i < bytes && (first - i)->owner == number) {
        i++;
    }
    return i == bytes;
}

static void set_owner(struct slots *s, uint16_t number, uint16_t owner)
{
    struct byte *last = &s->bytes[number_place(number) + 1 - number_bytes(number)];
    for (uint32_t i = 0; i < number_bytes(number); i++) {
        last[i].owner = owner;
    }
}

static bool is_free(const struct slots *s, uint16_t number)
{
    const struct byte *last = &s->bytes[number_place(number) + 1 - number_bytes(number)];
    unsigned any = 0;
    for (uint32_t i = 0; i < number_bytes(number); i++) {
        any |= last[i].owner;
    }
    return any == 0;
}

// Once a part of an access is in memory, all that other accesses find there is that it has an owner.
static void note_exact(struct slots *s, uint32_t value, int32_t at, unsigned bytes)
{
    uint16_t number = access_number(s, at, bytes);
    if (!reach(s, at)) {
        return;
    }
    struct byte *first = &s->bytes[number_place(number)];
    if (first->owner != number) {
        if (!is_free(s, number)) {
            set_owner(s, number, IN_MEMORY);
            return;
        }
        set_owner(s, number, number);
    }
    s->users[s->user_count] = value;
    s->number[s->user_count++] = number;
    uint32_t weight = first->weight + ((uint32_t)1 << (s->depth < 4 ? 3 * s->depth : 12)); // more in loops
    first->weight = (uint16_t)min_u32(weight, UINT16_MAX);
}

static bool is_plain(unsigned op)
{
    return op == IR_LOAD || op == IR_LOADS || op == IR_STORE;
}

static void note_access(struct slots *s, uint32_t value, const struct ir_value *v, struct place base)
{
    int32_t bytes = v->width / 8;
    struct place p = moved(s, base, v->disp, (int64_t)v->disp + bytes);
    if (!is_place(p)) {
        s->lost = true;
    } else if (is_plain(v->op) && p.high - p.low == bytes && is_inside(s, p)) {
        note_exact(s, value, p.low, (unsigned)bytes);
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

static void note_use(struct slots *s, uint32_t user, const struct ir_value *v, uint32_t i, struct place p)
{
    bool atomic = v->op >= IR_ATOMIC_ADD && v->op <= IR_CMPXCHG;
    if (i == 0 && (atomic || (is_plain(v->op) && v->b == IR_NONE))) {
        note_access(s, user, v, p);
    } else if (v->op == IR_CALL || v->op == IR_HELPER) {
        if (!is_frame_top(s, v, i)) {
            note_passed(s, p);
        }
    } else if (!is_frame_top(s, v, i)) {
        s->lost = true;
    }
}

// Nearly all users: a load or store at one place in the window.
static bool note_plain(struct slots *s, uint32_t value, const struct ir_value *v)
{
    if (!is_plain(v->op)) {
        return false;
    }
    uint32_t word = word_at(s, v->a), bytes = v->width / 8u;
    bool other = (v->b != IR_NONE) | (word_at(s, v->c) != 0) | (word == 0) | (word >> 16 != (word & 0xffff));
    if (other) {
        return false;
    }
    int64_t at = (int64_t)(word >> 16) - BIAS + v->disp;
    if (at < s->start || at > s->end - (int64_t)bytes) {
        return false;
    }
    note_exact(s, value, (int32_t)at, bytes);
    return true;
}

// Whether it is an address, or may be one of a place that is known only with facts.
static bool note_sum(struct slots *s, uint32_t value, const struct ir_value *v)
{
    bool wanted = s->wants_facts;
    s->wants_facts = false;
    struct place p = place_of(s, v);
    bool is_address = s->wants_facts || is_place(p);
    set_place(s, value, p);
    s->wants_facts |= wanted;
    return is_address;
}

static void note_user(struct slots *s, uint32_t value, struct ir_value *v)
{
    bool sums = v->op == IR_ADD || v->op == IR_SUB || v->op == IR_COPY;
    if (note_plain(s, value, v) || (sums && note_sum(s, value, v))) {
        return;
    }
    const uint32_t *operands = ir_operands(s->ir, v);
    uint32_t count = ir_operand_count(v);
    for (uint32_t i = 0; i < count; i++) {
        if (word_at(s, operands[i]) != 0) {
            note_use(s, value, v, i, place_at(s, operands[i]));
        }
    }
}

// Whether an operand is an address; each has one use more when they are counted.
static uint32_t look_at_list(struct slots *s, const struct ir_value *v)
{
    const uint32_t *list = ir_pool(s->ir, v);
    uint32_t any = 0;
    for (uint32_t i = 0; i < v->b; i++) {
        struct ir_value *operand = ir_at(s->ir, list[i]);
        operand->uses += s->counts;
        any |= operand->slot;
    }
    return any;
}

// The same. Fields that are no operands are IR_NONE.
static inline uint32_t look_at_fields(struct ir_value *top, const struct ir_value *v, uint32_t counts)
{
    struct ir_value *a = top - v->a, *b = top - v->b;
    uint32_t any = a->slot | b->slot;
    a->uses += counts;
    b->uses += counts;
    if ((v->c | v->d) != IR_NONE) {
        struct ir_value *c = top - v->c, *d = top - v->d;
        any |= c->slot | d->slot;
        c->uses += counts;
        d->uses += counts;
    }
    return any;
}

// What makes an address, and a COPY of what is none.
static void note_special(struct slots *s, uint32_t value, struct ir_value *v)
{
    if (v->op == IR_COPY) {
        v->d = s->settling.copies;
        s->settling.copies = value;
    } else if (v->op == IR_FRAME || v->imm == 6) {
        set_place(s, value, (struct place){0, 0});
    }
}

// PHIs come later.
static inline void note_block(struct slots *s, const struct ir_block *block, const uint32_t counts)
{
    struct ir_value *const top = s->ir->top, *v;
    const uint64_t special = (uint64_t)1 << s->op | (uint64_t)counts << IR_COPY;
    s->depth = block->depth;
    for (uint32_t at = block->first; at != IR_NONE; at = v->next) {
        v = top - at;
        ir_prefetch(v);
        v->uses &= counts - 1;
        uint32_t any;
        if (__builtin_expect(ir_op_info(v->op)->listed, 0)) {
            any = v->op == IR_PHI ? 0 : look_at_list(s, v);
        } else {
            any = look_at_fields(top, v, counts);
        }
        if (any != 0) {
            note_user(s, at, v);
        } else if ((special >> v->op & 1) != 0) {
            note_special(s, at, v);
        }
    }
}

// PHIs may use what comes later: they are looked at when all places are known.
static bool joins_addresses(struct slots *s)
{
    const struct ir *ir = s->ir;
    uint32_t any = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t v = ir_block_at(ir, ir->order[i])->first;
        ir_prefetch_first(ir, i + IR_AHEAD / 4);
        for (; ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
            any |= look_at_list(s, ir_at(ir, v));
        }
    }
    return any != 0;
}

static void finish_counts(struct slots *s)
{
    struct ir *ir = s->ir;
    ir->counted = true;
    ir->params = 0;
    for (uint32_t v = ir_block_at(ir, ir->entry)->first; ir_at(ir, v)->op == IR_PARAM; v = ir_next(ir, v)) {
        ir->params |= (uint32_t)1 << ir_at(ir, v)->imm;
    }
}

static ebpf_result_t analyse(struct slots *s)
{
    s->bytes = jit_room(s->j, 0, sizeof(*s->bytes));
    if (s->bytes == NULL) {
        return EBPF_NO_MEMORY;
    }
    forget_places(s);
    s->counts = s->ir->whole && !s->ir->counted && jit_has_pass(s->j, JIT_PASS_SIMPLIFY); // which needs them
    for (uint32_t f = 0; f < INSN_MAX_FRAMES; f++) {
        s->passed[f] = INT32_MAX;
    }
    s->byte_count = s->user_count = 0;
    s->wants_facts = false;
    for (uint32_t i = 0; i < s->ir->order_count && !s->lost; i++) {
        const struct ir_block *block = ir_block_at(s->ir, s->ir->order[i]);
        if (s->counts) {
            note_block(s, block, 1);
        } else {
            note_block(s, block, 0);
        }
    }
    if (!s->lost) {
        s->lost = joins_addresses(s);
        if (s->counts) {
            finish_counts(s);
        }
    }
    return s->full ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

// --- choice --------------------------------------------------------------------------------------

// Sorted by weight; the lightest one goes when there are too many.
static void add_slot(struct slots *s, uint16_t number)
{
    uint32_t weight = s->bytes[number_place(number)].weight;
    uint32_t at = s->count < SLOT_MAX ? s->count++ : SLOT_MAX - 1;
    if (at == SLOT_MAX - 1 && s->numbers[at] != 0 &&
        s->bytes[number_place(s->numbers[at])].weight >= weight) {
        return;
    }
    while (at > 0 && s->bytes[number_place(s->numbers[at - 1])].weight < weight) {
        s->numbers[at] = s->numbers[at - 1];
        at--;
    }
    s->numbers[at] = number;
}

// From the lowest byte up.
static void choose(struct slots *s)
{
    for (uint32_t f = 0; f < INSN_MAX_FRAMES; f++) {
        if (s->passed[f] != INT32_MAX) {
            keep(s, s->passed[f], s->start + (int64_t)(f + 1) * INSN_STACK_SIZE);
        }
    }
    for (uint32_t at = s->byte_count; at-- > 0;) {
        uint16_t number = s->bytes[at].owner;
        if (number != 0 && number != IN_MEMORY && number_place(number) == at && is_owner(s, number)) {
            add_slot(s, number);
        }
    }
    for (uint32_t i = 0; i < s->count; i++) {
        set_owner(s, s->numbers[i], 0);
        s->bytes[number_place(s->numbers[i])].owner = (uint16_t)(SLOT_BIT | i);
    }
}

// Bytes below r10 that are still in use.
static uint32_t frame_low(const struct slots *s)
{
    for (uint32_t at = s->byte_count; at-- > 0;) {
        if (s->bytes[at].owner != 0 && (s->bytes[at].owner & SLOT_BIT) == 0) {
            int32_t lowest = s->end - 1 - (int32_t)at;
            return lowest < 0 ? (uint32_t)-lowest : 0;
        }
    }
    return 0;
}

// User `at` of the list; one that comes later will be looked at.
static struct ir_value *user_at(const struct slots *s, uint32_t at)
{
    if (at + IR_AHEAD / 4 < s->user_count) {
        __builtin_prefetch(ir_at(s->ir, s->users[at + IR_AHEAD / 4]));
    }
    return ir_at(s->ir, s->users[at]);
}

// Those that go are left in the list; their mark is their slot.
static void mark_accesses(struct slots *s)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < s->user_count; i++) {
        uint16_t owner = s->bytes[number_place(s->number[i])].owner;
        if ((owner & SLOT_BIT) != 0) {
            ir_at(s->ir, s->users[i])->mark = (uint8_t)(owner & ~SLOT_BIT);
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
    memset(s->vars.in, 0, s->ir->block_count * sizeof(*s->vars.in));
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

static void use_less(const struct slots *s, uint32_t value)
{
    ir_at(s->ir, value)->uses--;
}

static void store(struct slots *s, uint32_t value, uint32_t slot)
{
    struct ir_value *v = ir_at(s->ir, value);
    uint64_t mask = v->width == 64 ? UINT64_MAX : ((uint64_t)1 << v->width) - 1;
    uint32_t stored = v->c;
    int64_t number = v->imm;
    s->vars.now[slot] = value;
    use_less(s, v->a);
    if ((v->flags & IR_IMM) != 0 || ir_is_const(s->ir, stored, &number)) {
        use_less(s, stored);
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
    use_less(s, v->a);
    ir_become_copy(s->ir, value, s->vars.now[slot]);
    ir_at(s->ir, v->a)->uses++;
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
        struct ir_value *v = ir_at(s->ir, s->users[*at]);
        uint32_t slot = v->mark;
        v->mark = 0;
        if (v->op == IR_STORE) {
            store(s, s->users[*at], slot);
        } else {
            load(s, s->users[*at], slot);
        }
    }
    build_vars_leave(&s->vars, block);
    return EBPF_SUCCESS;
}

// --- all together --------------------------------------------------------------------------------

// Only the operands of PHIs stay in the workspace.
static void move_down(struct slots *s, size_t mark, size_t from)
{
    struct jit_memory *m = &s->j->memory;
    memmove(m->base + mark, m->base + from, m->used - from);
    for (uint32_t v = s->first; v < s->ir->value_count; v++) {
        struct ir_value *phi = ir_at(s->ir, v);
        phi->a -= phi->op == IR_PHI ? (uint32_t)((from - mark) / sizeof(uint32_t)) : 0;
    }
    jit_rewind(s->j, m->used - (from - mark));
}

// `mark`: of the workspace, before anything of this pass.
static ebpf_result_t rename(struct slots *s, size_t mark)
{
    struct jit *j = s->j;
    uint32_t at = 0;
    s->first = s->ir->value_count;
    TRY(build_vars_init(&s->vars, j, s->count, s->ir->block_count));
    find_live(s);
    build_vars_find_mods(&s->vars);
    for (uint32_t i = 0; i < s->ir->order_count; i++) {
        TRY(rename_block(s, s->ir->order[i], &at));
    }
    size_t from = j->memory.used;
    bool settles = s->counts && s->ir->acyclic;
    TRY(build_vars_fill(&s->vars));
    s->ir->counted = s->ir->tidy = false;
    if (settles) {
        s->settling.users = s->users;
        s->settling.user_count = s->user_count;
        s->settling.first = s->first;
        build_settle(&s->settling);
    }
    build_forget_copies(&s->settling);
    move_down(s, mark, from);
    j->changes++;
    return settles ? EBPF_SUCCESS : ir_clean(j);
}

static ebpf_result_t decide(struct slots *s)
{
    TRY(analyse(s));
    if (s->wants_facts && !s->lost && s->late) {
        TRY(opt_init(&s->opt, s->j));
        TRY(opt_find_facts(&s->opt));
        s->has_facts = true;
        TRY(analyse(s));
    }
    forget_places(s);
    s->open = !s->late && (s->lost || s->wants_facts);
    if (!s->lost && !s->open) {
        choose(s);
        if (s->full) {
            return EBPF_NO_MEMORY;
        }
        s->ir->frame_low = frame_low(s);
        mark_accesses(s);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t find_slots(struct slots *s)
{
    struct jit *j = s->j;
    size_t mark = j->memory.used;
    s->users = jit_room(j, j->ir.value_count, sizeof(*s->users));
    s->number = jit_room(j, j->ir.value_count, sizeof(*s->number));
    if (s->users == NULL || s->number == NULL) {
        return EBPF_NO_MEMORY;
    }
    s->addresses = s->users + j->ir.value_count - 1;
    TRY(decide(s));
    if (s->count == 0) {
        build_forget_copies(&s->settling);
        jit_rewind(j, mark);
        return EBPF_SUCCESS;
    }
    jit_rewind(j, mark + (size_t)align_up(s->user_count * sizeof(*s->users), 8));
    return rename(s, mark);
}

static ebpf_result_t run(struct jit *j, bool late)
{
    bool native = j->options->native_frame;
    int32_t window = (int32_t)align_up(j->ir.frame_low, INSN_STACK_SIZE); // as the build left it
    struct slots s = {.j = j,
                      .ir = &j->ir,
                      .settling = {.ir = &j->ir},
                      .late = late,
                      .op = native ? IR_FRAME : IR_PARAM,
                      .start = native ? -window : -(int32_t)INSN_STACK_SIZE};
    s.end = s.start + window;
    TRY(find_slots(&s));
    j->slots = s.open ? JIT_SLOTS_OPEN : late && s.count != 0 ? JIT_SLOTS_LATE : JIT_SLOTS_DONE;
    return EBPF_SUCCESS;
}

ebpf_result_t build_slots(struct jit *j)
{
    if (j->ir.frame_low == 0) {
        return EBPF_SUCCESS; // r10 is not used
    }
    if (j->ir.loops == NULL) {
        TRY(ir_find_order(j));
        TRY(ir_find_loops(j));
    }
    return run(j, false);
}

ebpf_result_t build_late_slots(struct jit *j)
{
    return j->slots == JIT_SLOTS_OPEN ? run(j, true) : EBPF_SUCCESS;
}
