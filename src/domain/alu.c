// SPDX-License-Identifier: MIT
// alu: obligations and transfer of arithmetic. Ranges and bits are the scalar domain's business and addresses
// those of pointer.c; what is here are identities.
#include "domain/alu.h"

#include "domain/linear.h"
#include "domain/pointer.h"

void alu_operand(const struct domain_state *s, const struct insn *in, const struct insn_info *info,
                 struct value *out)
{
    if (info->form == FORM_ALU_REG || info->form == FORM_JMP_REG) {
        *out = s->regs[in->src];
    } else {
        value_set_const(out, info->width == 32 ? (uint32_t)in->imm : (uint64_t)in->imm);
    }
}

static bool is_move(unsigned sem)
{
    return sem == SEM_MOV;
}

static unsigned extended_from(unsigned sem)
{
    return sem == SEM_MOVSX8 ? 8 : sem == SEM_MOVSX16 ? 16 : sem == SEM_MOVSX32 ? 32 : 0;
}

// Words of the kernel's memory are numbers in everything but "address +- number".
static void settle_words(const struct insn_info *info, struct value *d, struct value *operand)
{
    bool left = value_is_pointer(d), right = value_is_pointer(operand);
    bool moves = info->width == 64 && info->form != FORM_ALU_UNARY && left != right &&
                 (info->sem == SEM_ADD || (info->sem == SEM_SUB && left));
    if (moves) {
        return;
    }
    if (pointer_is_word(d)) {
        value_set_unknown(d, 8);
    }
    if (pointer_is_word(operand)) {
        value_set_unknown(operand, 8);
    }
}

// --- obligations ---------------------------------------------------------------------------------

// The low half of an address is part of it.
static bool refuse_leak(const struct domain_env *env, const char *what, const struct value *v,
                        struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_POINTER_LEAK);
    fault_message(fault, "turns an address into a number");
    fault_needed(fault, "a number in %s", what);
    fault_known_value(fault, env, what, v);
    return false;
}

static bool check_halves(const struct domain_env *env, const struct insn *in, const struct insn_info *info,
                         const struct value *d, const struct value *s, struct domain_fault *fault)
{
    if (!env->unprivileged) {
        return true;
    }
    if (value_is_pointer(d) && value_is_pointer(s) && info->sem == SEM_SUB) {
        return pointer_check(env, in, info, d, s, fault);
    }
    bool left = value_is_pointer(d);
    return refuse_leak(env, fault_reg_name(left ? in->dst : in->src), left ? d : s, fault);
}

static bool check_operands(const struct domain_env *env, const struct domain_state *s, const struct insn *in,
                           const struct insn_info *info, bool reads_dst, struct domain_fault *fault)
{
    struct value d, operand;
    value_set_const(&d, 0);
    value_set_const(&operand, 0);
    if (info->form != FORM_ALU_UNARY) {
        alu_operand(s, in, info, &operand);
    }
    if (reads_dst) {
        d = s->regs[in->dst];
    }
    if (!is_move(info->sem)) {
        settle_words(info, &d, &operand);
    }
    if (!value_is_pointer(&d) && !value_is_pointer(&operand)) {
        return true;
    }
    if (info->width == 32 && info->form != FORM_ALU_UNARY) {
        return check_halves(env, in, info, &d, &operand, fault); // a number, whatever went in
    }
    return is_move(info->sem) || pointer_check(env, in, info, &d, &operand, fault);
}

bool alu_check(const struct domain_env *env, const struct domain_state *s, const struct insn *in,
               struct domain_fault *fault)
{
    const struct insn_info *info = insn_info(in->id);
    bool reads_dst = !is_move(info->sem) && extended_from(info->sem) == 0;
    if (in->dst == 10) {
        fault_set(fault, DOMAIN_RULE_FRAME_POINTER_WRITE);
        fault_needed(fault, "a destination other than r10");
        return false;
    }
    if ((reads_dst && !fault_check_init(s, in->dst, fault)) ||
        (info->form == FORM_ALU_REG && !fault_check_init(s, in->src, fault))) {
        return false;
    }
    return check_operands(env, s, in, info, reads_dst, fault);
}

// --- moves ---------------------------------------------------------------------------------------

// Sign extension from `bits` at `width` leaves the number as it is.
static bool extension_changes_nothing(const struct scalar *n, unsigned bits, unsigned width)
{
    int64_t limit = (int64_t)1 << (bits - 1);
    if (width == 64) {
        return n->smin >= -limit && n->smax < limit;
    }
    return n->umax <= UINT32_MAX && n->xmin >= -limit && n->xmax < limit;
}

// May be shared between two registers; a cell's width is not part of what is copied.
static void copy(struct domain_state *s, struct value *from, struct value *to)
{
    linear_share(s, from);
    *to = *from;
}

static void move(struct domain_state *s, const struct insn *in, const struct insn_info *info)
{
    struct value *d = &s->regs[in->dst];
    unsigned bits = extended_from(info->sem);
    if (info->form == FORM_ALU_IMM) {
        alu_operand(s, in, info, d);
        return;
    }
    struct value *from = &s->regs[in->src];
    if (from->kind != VALUE_SCALAR) {
        if (info->width == 64 && bits == 0) {
            *d = *from;
        } else {
            value_set_unknown(d, info->width / 8u);
        }
        return;
    }
    if (bits != 0 ? extension_changes_nothing(&from->num, bits, info->width)
                  : info->width == 64 || from->num.umax <= UINT32_MAX) {
        copy(s, from, d);
        return;
    }
    struct scalar n;
    scalar_set_unknown(&n);
    scalar_alu((enum insn_sem)info->sem, info->width, &n, &from->num);
    value_set_scalar(d, &n);
}

// --- linear arithmetic ---------------------------------------------------------------------------

static bool fits_word(const struct scalar *n)
{
    return n->umax <= UINT32_MAX;
}

static bool are_disjoint(const struct scalar *a, const struct scalar *b)
{
    return ((a->bits | a->unknown) & (b->bits | b->unknown)) == 0;
}

// The result is the left operand as it was. Both operands are numbers of the operation's width.
static bool changes_nothing(unsigned sem, unsigned width, const struct scalar *d, const struct scalar *s)
{
    uint64_t k = s->umin;
    if (sem == SEM_MOD) {
        return d->umax < s->umin;
    }
    if (!scalar_is_const(s)) {
        return false;
    }
    switch (sem) {
    case SEM_AND: return ((d->bits | d->unknown) & ~k) == 0;
    case SEM_OR: return (k & ~d->bits) == 0;
    case SEM_LSH:
    case SEM_RSH:
    case SEM_ARSH: return (k & (width - 1)) == 0;
    case SEM_DIV: return k == 1;
    default: return false;
    }
}

// d <sem> s as a line, for 64 bits.
static bool linear_compute(unsigned sem, const struct value *d, const struct value *s, struct linear *out)
{
    struct linear by;
    if (!linear_of(d, out) || !linear_of(s, &by)) {
        return false;
    }
    switch (sem) {
    case SEM_OR:
    case SEM_XOR: return are_disjoint(&d->num, &s->num) && linear_add(out, &by);
    case SEM_ADD: return linear_add(out, &by);
    case SEM_SUB: return linear_scale(&by, -1) && linear_add(out, &by);
    case SEM_MUL:
        if (by.id == VALUE_ID_NONE) {
            return linear_scale(out, by.delta);
        }
        if (out->id != VALUE_ID_NONE || !linear_scale(&by, out->delta)) {
            return false;
        }
        *out = by;
        return true;
    case SEM_LSH:
        return by.id == VALUE_ID_NONE && (by.delta & 63) < 31 &&
               linear_scale(out, (int64_t)1 << (by.delta & 63));
    default: return false;
    }
}

// Small enough that sums do not wrap.
static bool is_summand(const struct value *v)
{
    const int64_t most = (int64_t)1 << 40;
    return v->delta >= -most && v->delta <= most && v->num.smin >= -most && v->num.smax <= most;
}

// d +- right of two classes: the result is a class too, so that a limit of the sum limits the two together.
// What is known about d against the turns of a loop carries over.
static void relate_classes(struct domain_state *s, bool subtract, const struct value *d, struct value *right,
                           struct value *out)
{
    linear_share(s, right);
    if (right->kind != VALUE_SCALAR || d->id == VALUE_ID_NONE || d->cf != 1 || !is_summand(d) ||
        !is_summand(right)) {
        return;
    }
    bool sum = !subtract && right->cf == 1 && right->id != VALUE_ID_NONE;
    if (!sum && !state_has_bounds(s, d->id)) {
        return;
    }
    out->id = state_make_id(s);
    out->cf = 1;
    out->delta = sum ? d->delta + right->delta : 0;
    state_carry_bounds(s, d->id, d->delta - out->delta, out->id,
                       subtract ? -right->num.smax : right->num.smin,
                       subtract ? -right->num.smin : right->num.smax);
    if (sum) {
        state_add_sum(s, d->id, right->id, out->id);
    }
}

// The second operand as a 64-bit number: what a narrow immediate stands for is -1 rather than 2^32 - 1.
static void wide_operand(const struct insn *in, const struct insn_info *info, const struct value *operand,
                         struct value *out)
{
    if (info->form == FORM_ALU_IMM) {
        value_set_const(out, (uint64_t)in->imm);
    } else {
        *out = *operand;
    }
}

// A shift by a narrow amount is one by a wide amount only where the masks agree.
static bool is_modular(unsigned sem, const struct scalar *s)
{
    switch (sem) {
    case SEM_ADD:
    case SEM_SUB:
    case SEM_MUL:
    case SEM_OR:
    case SEM_XOR: return true;
    case SEM_LSH: return s->umax < 32;
    default: return false;
    }
}

// The operation has the same result at 64 bits: it is, or its 64-bit result has 32 bits only.
static bool is_exact(const struct insn_info *info, const struct value *d, const struct value *s)
{
    struct scalar n = d->num;
    if (info->width == 64) {
        return true;
    }
    if (!is_modular(info->sem, &s->num)) {
        return false;
    }
    scalar_alu((enum insn_sem)info->sem, 64, &n, &s->num);
    return fits_word(&n);
}

// Keeps what identities say about the result in *out, whose number is set.
static void relate(struct domain_state *s, const struct insn *in, const struct insn_info *info,
                   const struct value *d, const struct value *operand, struct value *out)
{
    struct value wide;
    struct linear line;
    wide_operand(in, info, operand, &wide);
    if (scalar_is_const(&d->num) && info->form == FORM_ALU_REG && in->src != in->dst &&
        (info->sem == SEM_ADD || info->sem == SEM_SUB)) { // the other number stays in its register
        linear_share(s, &s->regs[in->src]);
        if (s->regs[in->src].kind == VALUE_SCALAR) {
            wide = s->regs[in->src];
        }
    }
    if (!is_exact(info, d, &wide)) {
        return;
    }
    if (linear_compute(info->sem, d, &wide, &line)) {
        linear_store(&line, out);
    } else if ((info->sem == SEM_ADD || info->sem == SEM_SUB) && info->form == FORM_ALU_REG &&
               in->src != in->dst) {
        relate_classes(s, info->sem == SEM_SUB, d, &s->regs[in->src], out);
    }
}

static void compute(struct domain_state *s, const struct insn *in, const struct insn_info *info,
                    const struct value *operand)
{
    struct value *d = &s->regs[in->dst], out;
    if ((info->width == 64 || (fits_word(&d->num) && fits_word(&operand->num))) &&
        changes_nothing(info->sem, info->width, &d->num, &operand->num)) {
        return;
    }
    struct scalar n = d->num;
    scalar_alu((enum insn_sem)info->sem, info->width, &n, &operand->num);
    value_set_scalar(&out, &n);
    relate(s, in, info, d, operand, &out);
    *d = out;
}

// --- extensions by two shifts --------------------------------------------------------------------

// Compilers without 32-bit instructions extend numbers by r <<= 32 and r >>= 32. What r holds in between has
// no simple relation to what it held, so that is kept aside for one instruction.
static void begin_extension(struct domain_state *s, const struct insn *in, const struct insn_info *info)
{
    const struct value *d = &s->regs[in->dst];
    if (info->sem == SEM_LSH && info->width == 64 && info->form == FORM_ALU_IMM && d->kind == VALUE_SCALAR &&
        d->id != VALUE_ID_NONE) {
        s->shifted = *d;
        s->shifted_reg = in->dst;
        s->shifted_by = (uint8_t)(in->imm & 63);
    }
}

// The shift to the right that follows: a multiple of what was held, if the first shift lost none of its bits.
static bool end_extension(const struct value *held, uint64_t up, uint64_t down, unsigned sem, struct value *d)
{
    const struct scalar *n = &held->num;
    struct linear line;
    if (down == 0 || down > up || up - down > 30 || !linear_of(held, &line)) {
        return false;
    }
    int64_t limit = (int64_t)1 << (63 - up);
    bool whole =
        sem == SEM_RSH ? n->umax >> (64 - up) == 0 : sem == SEM_ARSH && n->smin >= -limit && n->smax < limit;
    if (!whole || !linear_scale(&line, (int64_t)1 << (up - down))) {
        return false;
    }
    struct scalar by, out = *n;
    scalar_set_const(&by, up - down);
    scalar_alu(SEM_LSH, 64, &out, &by);
    value_set_scalar(d, &out);
    linear_store(&line, d);
    return true;
}

// --- the rest ------------------------------------------------------------------------------------

static void byte_order(struct value *d, const struct insn_info *info)
{
    if (d->kind != VALUE_SCALAR) {
        value_set_unknown(d, info->width / 8u);
        return;
    }
    bool extends = info->sem == SEM_LE && (info->width == 64 || d->num.umax >> info->width == 0);
    if (extends) {
        return;
    }
    struct scalar n = d->num;
    scalar_byte_order((enum insn_sem)info->sem, info->width, &n);
    value_set_scalar(d, &n);
}

// 0 - d, which is what a subtraction leaves.
static void negate(struct value *d, unsigned width)
{
    struct scalar n = d->num;
    struct linear line;
    bool linear = width == 64 && linear_of(d, &line) && linear_scale(&line, -1);
    scalar_alu(SEM_NEG, width, &n, &n);
    value_set_scalar(d, &n);
    if (linear) {
        linear_store(&line, d);
    }
}

// The low half of a distance is the distance itself where that fits.
static void subtract_pointers(struct domain_state *s, const struct insn_info *info, const struct value *right,
                              struct value *d)
{
    struct value left = *d;
    pointer_subtract(s, &left, right, d);
    if (info->width == 32 && !fits_word(&d->num)) {
        struct scalar low = d->num;
        scalar_zero_extend(&low, 32);
        value_set_scalar(d, &low);
    }
}

static void compute_address(struct domain_state *s, const struct insn *in, const struct insn_info *info,
                            const struct value *operand)
{
    struct value *d = &s->regs[in->dst];
    if (value_is_pointer(d) && value_is_pointer(operand) && info->sem == SEM_SUB) {
        struct value right = *operand;
        subtract_pointers(s, info, &right, d);
        return;
    }
    if (info->width == 32 || info->form == FORM_ALU_UNARY) {
        value_set_unknown(d, info->width / 8u);
        return;
    }
    bool pointer_first = value_is_pointer(d);
    struct value p = pointer_first ? *d : *operand, number = pointer_first ? *operand : *d;
    if (pointer_first && info->form == FORM_ALU_REG) { // the number stays in its register
        linear_share(s, &s->regs[in->src]);
        number = s->regs[in->src];
    }
    pointer_move(s, &p, &number, info->sem == SEM_SUB);
    *d = p;
}

void alu_apply(struct domain_state *s, const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    struct value *d = &s->regs[in->dst], operand;
    bool follows = s->shifted.kind == VALUE_SCALAR && s->shifted_reg == in->dst &&
                   info->form == FORM_ALU_IMM && info->width == 64;
    s->shifted.kind = VALUE_NOT_INIT;
    if (follows && end_extension(&s->shifted, s->shifted_by, (uint64_t)in->imm & 63, info->sem, d)) {
        return;
    }
    begin_extension(s, in, info);
    if (is_move(info->sem) || extended_from(info->sem) != 0) {
        move(s, in, info);
        return;
    }
    if (info->sem == SEM_LE || info->sem == SEM_BE || info->sem == SEM_BSWAP) {
        byte_order(d, info);
        return;
    }
    value_set_const(&operand, 0);
    if (info->form != FORM_ALU_UNARY) {
        alu_operand(s, in, info, &operand);
    }
    settle_words(info, d, &operand);
    if (value_is_pointer(d) || value_is_pointer(&operand)) {
        compute_address(s, in, info, &operand);
    } else if (info->form == FORM_ALU_UNARY) {
        negate(d, info->width);
    } else {
        compute(s, in, info, &operand);
    }
}
