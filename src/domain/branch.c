// SPDX-License-Identifier: MIT
// branch: comparisons of numbers refine whole classes; comparisons with null decide nullness; 64-bit
// comparisons of packet pointers with the packet's end (or of metadata pointers with the packet's start)
// prove lengths, and those of pointers into the same memory bound their offsets. Offsets are below 2^30 and
// no memory lies that close to the end of the address space, so from the start of the memory on, addresses
// are ordered as offsets are. In front of it they are not: memory may lie low, and a subtraction wrap.
#include "domain/branch.h"

#include "domain/alu.h"
#include "domain/linear.h"
#include "domain/pointer.h"

enum relation { ANY, LT, LE, EQ, NE, GE, GT };

static enum relation mirrored(enum relation r)
{
    static const enum relation mirror[] = {
        [ANY] = ANY, [LT] = GT, [LE] = GE, [EQ] = EQ, [NE] = NE, [GE] = LE, [GT] = LT};
    return mirror[r];
}

static enum relation negated(enum relation r)
{
    static const enum relation negation[] = {
        [ANY] = ANY, [LT] = GE, [LE] = GT, [EQ] = NE, [NE] = EQ, [GE] = LT, [GT] = LE};
    return negation[r];
}

// What holds between two addresses; signed comparisons of them tell nothing.
static enum relation address_relation(unsigned sem, bool taken)
{
    enum relation r = ANY;
    switch (sem) {
    case SEM_JEQ: r = EQ; break;
    case SEM_JNE: r = NE; break;
    case SEM_JGT: r = GT; break;
    case SEM_JGE: r = GE; break;
    case SEM_JLT: r = LT; break;
    case SEM_JLE: r = LE; break;
    default: break;
    }
    return taken ? r : negated(r);
}

static bool holds_for_equal(enum relation r)
{
    return r == ANY || r == LE || r == EQ || r == GE;
}

static bool always_for_equal(unsigned sem)
{
    return sem == SEM_JEQ || sem == SEM_JGE || sem == SEM_JLE || sem == SEM_JSGE || sem == SEM_JSLE;
}

// --- null ----------------------------------------------------------------------------------------

static bool is_null_test(const struct insn_info *info, const struct value *d, const struct value *s)
{
    return info->width == 64 && (info->sem == SEM_JEQ || info->sem == SEM_JNE) && value_is_pointer(d) &&
           value_is_zero(s);
}

// Pointers whose base is never null and which are not moved. Packet pointers may be null when the packet is
// empty.
static bool is_never_null(const struct value *v)
{
    switch (v->kind) {
    case VALUE_STACK: return value_is_fixed(v) && v->off >= -INSN_STACK_SIZE && v->off <= 0;
    case VALUE_CTX:
    case VALUE_MAP_PTR:
    case VALUE_MEM:
    case VALUE_MAP_VALUE: return !v->maybe_null && value_is_fixed(v) && v->off == 0;
    default: return false;
    }
}

// --- packet pointers against their limit ---------------------------------------------------------

struct limit_test {
    const struct value *ptr; // packet pointer against the end; metadata pointer against the packet's start
    enum relation relation;
    int64_t off; // constant offset of ptr from the limit's own
};

// The end for packet pointers, a fixed packet pointer for metadata pointers.
static bool is_limit_of(const struct value *ptr, const struct value *limit)
{
    if (ptr->kind == VALUE_PACKET) {
        return limit->kind == VALUE_PACKET_END;
    }
    return ptr->kind == VALUE_PACKET_META && limit->kind == VALUE_PACKET && value_is_fixed(limit);
}

static bool read_limit_test(const struct insn_info *info, const struct value *d, const struct value *s,
                            bool taken, struct limit_test *out)
{
    enum relation r = address_relation(info->sem, taken);
    if (info->width != 64) {
        return false;
    }
    if (is_limit_of(d, s)) {
        *out = (struct limit_test){d, r, (int64_t)d->off - s->off};
    } else if (is_limit_of(s, d)) {
        *out = (struct limit_test){s, mirrored(r), (int64_t)s->off - d->off};
    } else {
        return false;
    }
    const struct value *limit = out->ptr == d ? s : d;
    bool ordered = out->ptr->off + out->ptr->num.smin >= 0 && limit->off >= 0;
    if (!ordered && out->relation != EQ && out->relation != NE) {
        out->relation = ANY;
    }
    return true;
}

// Bytes after N that are known to lie below the limit. For metadata N counts from data_meta, too.
static int64_t known_below(const struct domain_state *s, const struct limit_test *t)
{
    return t->ptr->kind == VALUE_PACKET ? state_packet_range(s, t->ptr)
                                        : (int64_t)s->meta_length - t->ptr->num.smax;
}

static bool limit_test_is_possible(const struct domain_state *s, const struct limit_test *t)
{
    int64_t below = known_below(s, t);
    switch (t->relation) {
    case GT: return t->off > below;
    case GE:
    case EQ: return t->off >= below;
    default: return true;
    }
}

// data_end - data lies in [min, max].
static bool learn_length(struct domain_state *s, int64_t min, int64_t max)
{
    struct scalar n;
    min = min < s->packet_length ? s->packet_length : min;
    max = max > VALUE_MAX_LENGTH ? VALUE_MAX_LENGTH : max;
    if (min > max) {
        return false;
    }
    scalar_set_srange(&n, min, max);
    return state_refine_number(s, VALUE_ID_LENGTH, &n);
}

static bool is_offset(int64_t number)
{
    return number >= -VALUE_MAX_OFFSET && number <= VALUE_MAX_OFFSET;
}

static bool is_bounded(const struct domain_state *s, uint32_t id, struct scalar *n)
{
    state_number_of(s, id, n);
    return is_offset(n->smin) && is_offset(n->smax);
}

// data + N(id) + range <= data_end, and N(id) is a sum: the bytes after its packet pointer are there. Rows
// hold modulo 2^64; as N(id) is an offset, one summand that is an offset, too, makes them hold for integers.
static void learn_summand_ranges(struct domain_state *s, uint32_t id, int64_t range)
{
    for (uint32_t i = 0; id != VALUE_ID_NONE && i < s->sum_count; i++) {
        const struct state_sum row = s->sums[i];
        struct scalar left, right;
        if (row.sum != id) {
            continue;
        }
        bool bounded = is_bounded(s, row.right, &right);
        if (bounded || (is_offset(right.smin) && is_bounded(s, row.left, &left))) {
            state_refine_range(s, row.left, range + right.smin);
        }
    }
}

static bool learn_limit(struct domain_state *s, const struct limit_test *t)
{
    enum relation r = t->relation;
    struct value ptr = *t->ptr;
    int64_t most = t->off + ptr.num.smax, range = t->off;
    bool below = r == LT || r == LE || r == EQ;
    if (r == LT || (r == NE && known_below(s, t) == t->off)) {
        below = true; // at most the limit, and not the limit
        range++;
    }
    if (ptr.kind == VALUE_PACKET_META) {
        if (below && range + ptr.num.smin > s->meta_length) {
            s->meta_length = value_clamp_range(range + ptr.num.smin);
        }
        return true;
    }
    if (below) {
        state_refine_range(s, ptr.id, ptr.id != VALUE_ID_NONE ? range : range + ptr.num.smin);
        learn_summand_ranges(s, ptr.id, range);
    }
    int64_t max = r == GT ? most - 1 : r == GE || r == EQ ? most : INT64_MAX;
    return learn_length(s, below ? range + ptr.num.smin : 0, max);
}

// --- numbers -------------------------------------------------------------------------------------

// N(id) is at most `most`.
static bool narrow_from_above(struct domain_state *s, uint32_t id, int64_t most)
{
    struct scalar n;
    scalar_set_srange(&n, INT64_MIN, most);
    return state_refine_number(s, id, &n);
}

// A limit of the sum limits both summands, where the other is known from below.
static bool learn_summands(struct domain_state *s, const struct state_sum *row)
{
    struct scalar left, right;
    state_number_of(s, row->left, &left);
    state_number_of(s, row->right, &right);
    if (!is_offset(left.smin) || !is_offset(right.smin) || row->max == INT64_MAX ||
        row->max < INT64_MIN + VALUE_MAX_OFFSET) {
        return true;
    }
    return narrow_from_above(s, row->left, row->max - right.smin) &&
           narrow_from_above(s, row->right, row->max - left.smin);
}

// What a narrower class `id` says about those that it is related to by sums. A class whose sum with a packet
// pointer's N is the packet's length proves bytes after that pointer.
static bool learn_rest(struct domain_state *s, uint32_t id)
{
    for (uint32_t i = 0; i < s->sum_count; i++) {
        const struct state_sum row = s->sums[i];
        if (row.sum == VALUE_ID_LENGTH && row.left == id) {
            struct scalar n;
            state_number_of(s, id, &n);
            if (is_offset(n.smin)) {
                state_refine_range(s, row.right, n.smin);
            }
        } else if (row.sum == id && !learn_summands(s, &row)) {
            return false;
        }
    }
    return true;
}

// The number of a scalar or the variable part of a pointer lies in `num`: narrows the value and its class.
static bool narrow(struct domain_state *s, struct value *v, const struct scalar *num)
{
    struct value old = *v;
    if (v->id == VALUE_ID_NONE) {
        v->num = *num;
        return true;
    }
    if (!state_refine_value(s, &old, num)) {
        return false;
    }
    return learn_rest(s, old.id);
}

// How two numbers of one class that differ by a constant compare: -1, 0, 1 as left against right. False when
// that is not certain.
static bool compare_in_class(const struct insn_info *info, const struct value *d, const struct value *s,
                             int *order)
{
    int64_t unused, by = (int64_t)((uint64_t)s->delta - (uint64_t)d->delta); // right = left + by
    if (d->id == VALUE_ID_NONE || d->id != s->id || d->cf != s->cf) {
        return false;
    }
    bool is_signed =
        info->sem == SEM_JSGT || info->sem == SEM_JSGE || info->sem == SEM_JSLT || info->sem == SEM_JSLE;
    bool equality = info->sem == SEM_JEQ || info->sem == SEM_JNE;
    uint64_t fits = is_signed ? INT32_MAX : UINT32_MAX;
    if (info->width == 32 && (d->num.umax > fits || s->num.umax > fits)) {
        *order = (uint32_t)by != 0;
        return equality;
    }
    *order = by == 0 ? 0 : by > 0 ? -1 : 1;
    if (equality || by == 0) {
        return true;
    }
    if (is_signed || info->width == 32) {
        return !__builtin_add_overflow(by > 0 ? d->num.smax : d->num.smin, by, &unused);
    }
    return by > 0 ? d->num.umax <= UINT64_MAX - (uint64_t)by : d->num.umin >= 0 - (uint64_t)by;
}

static bool order_satisfies(unsigned sem, int order)
{
    switch (sem) {
    case SEM_JEQ: return order == 0;
    case SEM_JNE: return order != 0;
    case SEM_JGT:
    case SEM_JSGT: return order > 0;
    case SEM_JGE:
    case SEM_JSGE: return order >= 0;
    case SEM_JLT:
    case SEM_JSLT: return order < 0;
    default: return order <= 0;
    }
}

static bool numbers_are_possible(const struct insn_info *info, const struct value *d, const struct value *s,
                                 bool taken)
{
    int order;
    struct scalar a = d->num, b = s->num;
    if (info->sem != SEM_JSET && compare_in_class(info, d, s, &order) &&
        order_satisfies(info->sem, order) != taken) {
        return false;
    }
    return scalar_assume((enum insn_sem)info->sem, info->width, taken, &a, &b);
}

// --- equal numbers -------------------------------------------------------------------------------

// Every value of class `drop` may become one of class `keep`, whose coefficients are `cf` times as large.
static bool can_rename(struct domain_state *s, uint32_t drop, const struct linear *keep)
{
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value(s, loc);
        struct linear l = *keep;
        if (v->id != drop) {
            continue;
        }
        bool packet = v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_META;
        if (v->maybe_null || (packet && (keep->cf != 1 || keep->delta != 0)) ||
            (v->kind != VALUE_SCALAR && keep->id == VALUE_ID_LENGTH) || !linear_scale(&l, v->cf)) {
            return false;
        }
    }
    return true;
}

static void drop_rows(struct domain_state *s, uint32_t id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->sum_count; i++) {
        const struct state_sum row = s->sums[i];
        if (row.left != id && row.right != id && row.sum != id) {
            s->sums[kept++] = row;
        }
    }
    s->sum_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < s->bound_count; i++) {
        const struct state_bound row = s->bounds[i];
        if (row.low != id && row.high != id) {
            s->bounds[kept++] = row;
        }
    }
    s->bound_count = kept;
}

// N of class `drop` is the line `keep` of another class.
static void rename_class(struct domain_state *s, uint32_t drop, const struct linear *keep)
{
    STATE_FOR_EACH(loc, s)
    {
        struct value *v = state_value(s, loc);
        struct linear l = *keep;
        if (v->id == drop && linear_scale(&l, v->cf)) {
            v->id = keep->id;
            v->cf = (int32_t)l.cf;
            v->delta = (int64_t)((uint64_t)v->delta + (uint64_t)l.delta);
        }
    }
    drop_rows(s, drop);
}

// Two registers are known to hold the same number: what one has for an identity is good for both.
static void unify(struct domain_state *s, struct value *a, struct value *b)
{
    if (scalar_is_const(&a->num) || scalar_is_const(&b->num) || a->id == b->id) {
        return;
    }
    if (a->id == VALUE_ID_NONE || b->id == VALUE_ID_NONE) {
        struct value *to = a->id == VALUE_ID_NONE ? a : b, *from = to == a ? b : a;
        to->id = from->id;
        to->cf = from->cf;
        to->delta = from->delta;
        return;
    }
    const struct value *drop = b->cf == 1 && b->id >= VALUE_ID_FIRST ? b : a, *keep = drop == a ? b : a;
    if (drop->cf != 1 || drop->id < VALUE_ID_FIRST) {
        return;
    }
    struct linear line = {keep->id, keep->cf, (int64_t)((uint64_t)keep->delta - (uint64_t)drop->delta)};
    uint32_t id = drop->id;
    if (can_rename(s, id, &line)) {
        rename_class(s, id, &line);
    }
}

static bool are_equal(const struct insn_info *info, bool taken, const struct value *a, const struct value *b)
{
    return (info->sem == SEM_JEQ) == taken && (info->sem == SEM_JEQ || info->sem == SEM_JNE) &&
           (info->width == 64 || (a->num.umax <= UINT32_MAX && b->num.umax <= UINT32_MAX));
}

static bool assume_numbers(struct domain_state *s, const struct insn *in, const struct insn_info *info,
                           const struct value *operand, bool taken)
{
    struct value *d = &s->regs[in->dst];
    struct scalar a = d->num, b = operand->num;
    if (!scalar_assume((enum insn_sem)info->sem, info->width, taken, &a, &b) || !narrow(s, d, &a)) {
        return false;
    }
    if (info->form != FORM_JMP_REG) {
        return true;
    }
    // The class of the left side may have narrowed the right side already.
    struct value *right = &s->regs[in->src];
    if (!scalar_meet(&b, &right->num) || !narrow(s, right, &b)) {
        return false;
    }
    if (are_equal(info, taken, d, right)) {
        unify(s, d, right);
    }
    return true;
}

// --- pointers into the same memory ---------------------------------------------------------------

static void offset_range(const struct value *p, struct scalar *out)
{
    struct scalar off;
    *out = p->num;
    scalar_set_const(&off, (uint64_t)(int64_t)p->off);
    scalar_alu(SEM_ADD, 64, out, &off);
}

// Not in front of the memory.
static bool is_ordered(const struct value *p, const struct scalar *offset)
{
    return offset->smin >= (p->kind == VALUE_STACK ? -INSN_STACK_SIZE : 0);
}

static enum insn_sem signed_sem(enum relation r)
{
    switch (r) {
    case LT: return SEM_JSLT;
    case LE: return SEM_JSLE;
    case GE: return SEM_JSGE;
    case GT: return SEM_JSGT;
    case NE: return SEM_JNE;
    default: return SEM_JEQ;
    }
}

static bool have_same_variable(const struct value *a, const struct value *b)
{
    return (value_is_fixed(a) && value_is_fixed(b)) ||
           (a->id != VALUE_ID_NONE && a->id == b->id && a->cf == b->cf && a->delta == b->delta);
}

// Offsets of both pointers under the relation; *some is false when it says nothing about them. False when it
// cannot hold.
static bool compare_offsets(const struct insn_info *info, const struct value *d, const struct value *s,
                            bool taken, struct scalar *a, struct scalar *b, bool *some)
{
    enum relation r = address_relation(info->sem, taken);
    *some = info->width == 64 && r != ANY && pointer_same_base(d, s);
    if (!*some) {
        return true;
    }
    offset_range(d, a);
    offset_range(s, b);
    *some = r == EQ || r == NE || (is_ordered(d, a) && is_ordered(s, b));
    if (!*some) {
        return true;
    }
    if (have_same_variable(d, s)) {
        int64_t by = (int64_t)d->off - s->off;
        return by == 0 ? holds_for_equal(r) : r == NE || (by < 0 ? r == LT || r == LE : r == GT || r == GE);
    }
    return scalar_assume(signed_sem(r), 64, true, a, b);
}

static bool narrow_offset(struct domain_state *s, struct value *p, struct scalar *offset)
{
    struct scalar off;
    scalar_set_const(&off, (uint64_t)(int64_t)p->off);
    scalar_alu(SEM_SUB, 64, offset, &off);
    return scalar_meet(offset, &p->num) && narrow(s, p, offset);
}

static bool assume_offsets(struct domain_state *s, const struct insn *in, const struct insn_info *info,
                           bool taken)
{
    struct value *d = &s->regs[in->dst], *right = &s->regs[in->src];
    struct scalar a, b;
    bool some;
    if (!compare_offsets(info, d, right, taken, &a, &b, &some)) {
        return false;
    }
    return !some || (narrow_offset(s, d, &a) && narrow_offset(s, right, &b));
}

// --- all together --------------------------------------------------------------------------------

// A word of the kernel's memory is a number where it is compared with one, except with null.
static bool is_compared_word(const struct insn_info *info, const struct value *v, const struct value *with)
{
    return pointer_is_word(v) && with->kind == VALUE_SCALAR && !is_null_test(info, v, with);
}

static void settle_words(struct domain_state *s, const struct insn *in, const struct insn_info *info,
                         struct value *operand)
{
    struct value *d = &s->regs[in->dst];
    if (is_compared_word(info, d, operand)) {
        value_set_unknown(d, 8);
    } else if (is_compared_word(info, operand, d)) {
        value_set_unknown(&s->regs[in->src], 8);
        value_set_unknown(operand, 8);
    }
}

bool branch_assume(struct domain_state *s, const struct insn *in, bool taken)
{
    const struct insn_info *info = insn_info(in->id);
    struct value operand;
    if (info->form == FORM_MAY_GOTO) {
        return true;
    }
    alu_operand(s, in, info, &operand);
    if (!branch_is_possible(s, in, taken)) {
        return false;
    }
    settle_words(s, in, info, &operand);
    const struct value *d = &s->regs[in->dst];
    struct limit_test test;
    if (info->form == FORM_JMP_REG && in->src == in->dst) {
        return true;
    }
    if (d->kind == VALUE_SCALAR && operand.kind == VALUE_SCALAR) {
        return assume_numbers(s, in, info, &operand, taken);
    }
    if (is_null_test(info, d, &operand) && d->maybe_null) {
        state_refine_null(s, d->id, (info->sem == SEM_JEQ) == taken);
    } else if (is_null_test(info, &operand, d) && operand.maybe_null) {
        state_refine_null(s, operand.id, (info->sem == SEM_JEQ) == taken);
    } else if (read_limit_test(info, d, &operand, taken, &test)) {
        return learn_limit(s, &test);
    } else if (value_is_pointer(d) && value_is_pointer(&operand)) {
        return assume_offsets(s, in, info, taken);
    }
    return true;
}

bool branch_is_possible(const struct domain_state *s, const struct insn *in, bool taken)
{
    const struct insn_info *info = insn_info(in->id);
    const struct value *d = &s->regs[in->dst];
    struct value operand;
    struct limit_test test;
    struct scalar a, b;
    bool some;
    if (info->form == FORM_MAY_GOTO) {
        return true; // how much of the budget is left is not in the state
    }
    alu_operand(s, in, info, &operand);
    if (info->form == FORM_JMP_REG && in->src == in->dst) {
        return info->sem == SEM_JSET || always_for_equal(info->sem) == taken;
    }
    if (d->kind == VALUE_SCALAR && operand.kind == VALUE_SCALAR) {
        return numbers_are_possible(info, d, &operand, taken);
    }
    if ((is_null_test(info, d, &operand) && is_never_null(d)) ||
        (is_null_test(info, &operand, d) && is_never_null(&operand))) {
        return (info->sem == SEM_JEQ) != taken;
    }
    if (read_limit_test(info, d, &operand, taken, &test)) {
        return limit_test_is_possible(s, &test);
    }
    return compare_offsets(info, d, &operand, taken, &a, &b, &some);
}
