// SPDX-License-Identifier: MIT
// alu: obligations and transfer of arithmetic. Numbers are the scalar domain's business; what is here are
// pointers and identities.
#include "domain/alu.h"

void alu_operand(const struct domain_state *s, const struct insn *in, const struct insn_info *info,
                 struct value *out)
{
    if (info->form == FORM_ALU_REG || info->form == FORM_JMP_REG) {
        *out = s->regs[in->src];
    } else {
        value_set_const(out, info->width == 32 ? (uint32_t)in->imm : (uint64_t)in->imm);
    }
}

bool alu_move_pointer(const struct value *ptr, const struct scalar *number, bool subtract, struct scalar *out)
{
    if (!value_is_bounded(number)) {
        return false;
    }
    struct scalar moved = ptr->num;
    scalar_alu(subtract ? SEM_SUB : SEM_ADD, 64, &moved, number);
    int64_t low = moved.smin + ptr->off, high = moved.smax + ptr->off;
    if (!value_is_bounded(&moved) || low < -VALUE_MAX_OFFSET || high > VALUE_MAX_OFFSET) {
        return false;
    }
    *out = moved;
    return true;
}

// --- obligations ---------------------------------------------------------------------------------

static bool refuse_arithmetic(const struct domain_env *env, const char *what, const struct value *v,
                              const char *needed, struct domain_fault *fault)
{
    fault_set(fault, DOMAIN_RULE_POINTER_ARITHMETIC);
    fault_needed(fault, "%s", needed);
    fault_known_value(fault, env, what, v);
    return false;
}

// Pointers that a number may be added to.
static bool check_movable(const struct domain_env *env, const char *what, const struct value *ptr,
                          const struct scalar *number, struct domain_fault *fault)
{
    if (ptr->maybe_null) {
        fault_set(fault, DOMAIN_RULE_POSSIBLY_NULL);
        fault_message(fault, "computes with %s, which may be null", what);
        fault_needed(fault, "%s is not null", what);
        fault_known_value(fault, env, what, ptr);
        fault_hint(fault, "compare the result of the look-up with NULL before using it");
        return false;
    }
    switch (ptr->kind) {
    case VALUE_STACK:
    case VALUE_PACKET:
    case VALUE_PACKET_META:
    case VALUE_MAP_VALUE: return true;
    case VALUE_CTX:
        if (scalar_is_const(number)) {
            return true;
        }
        return refuse_arithmetic(env, what, ptr, "a constant offset into the context", fault);
    default: return refuse_arithmetic(env, what, ptr, "a pointer that numbers can be added to", fault);
    }
}

static bool check_move(const struct domain_env *env, const char *what, const struct value *ptr,
                       const struct value *number, bool subtract, struct domain_fault *fault)
{
    struct scalar moved;
    if (!check_movable(env, what, ptr, &number->num, fault)) {
        return false;
    }
    if (alu_move_pointer(ptr, &number->num, subtract, &moved)) {
        return true;
    }
    fault_set(fault, DOMAIN_RULE_POINTER_OFFSET);
    fault_needed(fault, "an offset between -%d and %d", VALUE_MAX_OFFSET, VALUE_MAX_OFFSET);
    fault_known_value(fault, env, subtract ? "the number that is subtracted" : "the number that is added",
                      number);
    fault_hint(fault, "bound the number with a comparison or a mask before it is added to a pointer");
    return false;
}

static bool is_packet_side(const struct value *v)
{
    return v->kind == VALUE_PACKET || v->kind == VALUE_PACKET_END || v->kind == VALUE_PACKET_META;
}

static bool check_difference(const struct domain_env *env, const struct insn *in, const struct value *d,
                             const struct value *s, struct domain_fault *fault)
{
    if (!d->maybe_null && !s->maybe_null &&
        (d->kind == s->kind || (is_packet_side(d) && is_packet_side(s)))) {
        return true;
    }
    refuse_arithmetic(env, fault_reg_name(in->src), s, "two pointers into the same memory", fault);
    return false;
}

// 64-bit computation in which at least one operand is a pointer.
static bool check_pointers(const struct domain_env *env, const struct insn *in, const struct insn_info *info,
                           const struct value *d, const struct value *s, struct domain_fault *fault)
{
    bool add = info->sem == SEM_ADD, subtract = info->sem == SEM_SUB;
    if (value_is_pointer(d) && !value_is_pointer(s) && (add || subtract)) {
        return check_move(env, fault_reg_name(in->dst), d, s, subtract, fault);
    }
    if (!value_is_pointer(d) && add) {
        return check_move(env, fault_reg_name(in->src), s, d, false, fault);
    }
    if (value_is_pointer(d) && value_is_pointer(s) && subtract) {
        return check_difference(env, in, d, s, fault);
    }
    bool left = value_is_pointer(d);
    return refuse_arithmetic(env, fault_reg_name(left ? in->dst : in->src), left ? d : s,
                             "numbers; only + and - work with pointers", fault);
}

static bool is_move(const struct insn_info *info)
{
    return info->sem == SEM_MOV;
}

bool alu_check(const struct domain_env *env, const struct domain_state *s, const struct insn *in,
               struct domain_fault *fault)
{
    const struct insn_info *info = insn_info(in->id);
    bool reads_dst =
        !is_move(info) && info->sem != SEM_MOVSX8 && info->sem != SEM_MOVSX16 && info->sem != SEM_MOVSX32;
    if (in->dst == 10) {
        fault_set(fault, DOMAIN_RULE_FRAME_POINTER_WRITE);
        fault_needed(fault, "a destination other than r10");
        return false;
    }
    if ((reads_dst && !fault_check_init(s, in->dst, fault)) ||
        (info->form == FORM_ALU_REG && !fault_check_init(s, in->src, fault))) {
        return false;
    }
    if (is_move(info) || (info->width == 32 && info->form != FORM_ALU_UNARY)) {
        return true; // a 32-bit result is a number whatever went in
    }
    struct value operand;
    value_set_const(&operand, 0);
    if (info->form != FORM_ALU_UNARY) {
        alu_operand(s, in, info, &operand);
    }
    struct value none;
    value_set_const(&none, 0);
    const struct value *d = reads_dst ? &s->regs[in->dst] : &none;
    if (!value_is_pointer(d) && !value_is_pointer(&operand)) {
        return true;
    }
    return check_pointers(env, in, info, d, &operand, fault);
}

// --- transfer ------------------------------------------------------------------------------------

// Gives a number that is copied an identity, so that what is learnt about one copy holds for all.
static void share(struct domain_state *s, struct value *v)
{
    if (v->kind == VALUE_SCALAR && v->id == VALUE_ID_NONE && !scalar_is_const(&v->num)) {
        v->id = state_make_id(s);
        v->delta = 0;
    }
}

static void move(struct domain_state *s, const struct insn *in, const struct insn_info *info)
{
    struct value *d = &s->regs[in->dst];
    if (info->form == FORM_ALU_IMM) {
        alu_operand(s, in, info, d);
        return;
    }
    struct value *from = &s->regs[in->src];
    if (info->width == 64 || (from->kind == VALUE_SCALAR && from->num.umax <= UINT32_MAX)) {
        share(s, from);
        *d = *from;
    } else if (from->kind == VALUE_SCALAR) {
        struct scalar low = from->num;
        scalar_zero_extend(&low, 32);
        value_set_scalar(d, &low);
    } else {
        value_set_unknown(d, 4);
    }
}

// The variable part of `p` becomes one that has the class of the number that was added, where that is exact.
static bool adopt_class(struct domain_state *s, struct value *p, struct value *number)
{
    share(s, number);
    struct scalar n = number->num, delta;
    scalar_set_const(&delta, (uint64_t)number->delta);
    scalar_alu(SEM_SUB, 64, &n, &delta);
    if (number->id < VALUE_ID_FIRST || !value_is_fixed(p) || !value_is_bounded(&n) ||
        number->delta < -VALUE_MAX_OFFSET || number->delta > VALUE_MAX_OFFSET) {
        return false;
    }
    p->id = number->id;
    p->off = (int32_t)(p->off + number->delta);
    p->num = n;
    return true;
}

// Range of a packet pointer whose class has other members: the best that any of them knows.
static int64_t class_range(struct domain_state *s, uint32_t id, int64_t at_least)
{
    STATE_FOR_EACH(loc, s)
    {
        const struct value *v = state_value(s, loc);
        if (v->kind == VALUE_PACKET && v->id == id && v->range > at_least) {
            at_least = v->range;
        }
    }
    return at_least;
}

// p + number or p - number, the number not being constant; `number` is the register that holds it.
static void move_by_number(struct domain_state *s, struct value *p, struct value *number, bool subtract)
{
    int64_t range = state_packet_range(s, p);
    struct scalar moved = p->num;
    if (!alu_move_pointer(p, &number->num, subtract, &moved)) {
        return; // excluded by the obligations
    }
    int64_t most = subtract ? -number->num.smin : number->num.smax;
    if (!subtract && adopt_class(s, p, number)) {
        range = p->kind == VALUE_PACKET ? class_range(s, p->id, (int64_t)s->packet_length - p->num.smax) : 0;
    } else {
        p->id = state_make_id(s);
        p->num = moved;
        range -= most;
    }
    p->range = p->kind == VALUE_PACKET ? value_clamp_range(range) : 0;
}

static void move_pointer(struct domain_state *s, const struct insn *in, const struct value *operand,
                         bool subtract)
{
    struct value *d = &s->regs[in->dst];
    bool pointer_first = value_is_pointer(d);
    struct value p = pointer_first ? *d : *operand;
    const struct scalar *k = pointer_first ? &operand->num : &d->num;
    if (scalar_is_const(k)) {
        value_add_const(&p, subtract ? -k->smin : k->smin);
    } else {
        // Only a register can hold a number that is not constant. It may be given an identity here.
        move_by_number(s, &p, pointer_first ? &s->regs[in->src] : d, subtract);
    }
    *d = p;
}

// data_end - data and the like. Distances within a packet are below 2^31; everything else is not known.
static void difference(const struct domain_state *s, const struct value *left, const struct value *right,
                       struct value *out)
{
    struct scalar n;
    if (left->kind == VALUE_PACKET_END && right->kind == VALUE_PACKET && value_is_fixed(right)) {
        scalar_set_urange(&n, (uint64_t)s->packet_length, VALUE_MAX_LENGTH);
        value_set_scalar(out, &n);
        out->id = VALUE_ID_LENGTH;
        value_add_const(out, -(int64_t)right->off);
        return;
    }
    if (left->kind == right->kind && left->kind == VALUE_PACKET) {
        struct scalar by;
        n = left->num;
        scalar_alu(SEM_SUB, 64, &n, &right->num);
        scalar_set_const(&by, (uint64_t)((int64_t)left->off - right->off));
        if (left->id != VALUE_ID_NONE && left->id == right->id) {
            n = by;
        } else {
            scalar_alu(SEM_ADD, 64, &n, &by);
        }
        value_set_scalar(out, &n);
        return;
    }
    value_set_unknown(out, 8);
}

// The low half of a distance is the distance itself where that fits.
static void subtract_pointers(const struct domain_state *s, const struct insn_info *info,
                              const struct value *right, struct value *d)
{
    struct value left = *d;
    difference(s, &left, right, d);
    if (info->width == 32 && d->num.umax > UINT32_MAX) {
        value_set_unknown(d, 4);
    }
}

static void byte_order(struct value *d, const struct insn_info *info)
{
    if (d->kind != VALUE_SCALAR) {
        value_set_unknown(d, info->width / 8u);
        return;
    }
    struct scalar n = d->num;
    scalar_byte_order((enum insn_sem)info->sem, info->width, &n);
    value_set_scalar(d, &n);
}

static void compute(struct domain_state *s, const struct insn *in, const struct insn_info *info,
                    const struct value *operand)
{
    struct value *d = &s->regs[in->dst];
    bool moves = info->width == 64 && (info->sem == SEM_ADD || info->sem == SEM_SUB);
    if (moves && d->kind == VALUE_SCALAR && value_is_const(operand)) {
        value_add_const(d, info->sem == SEM_ADD ? operand->num.smin : (int64_t)(0 - operand->num.umin));
        return;
    }
    struct scalar n = d->num;
    if (d->kind != VALUE_SCALAR) {
        scalar_set_unknown(&n); // MOVSX reads the operand only
    }
    scalar_alu((enum insn_sem)info->sem, info->width, &n, &operand->num);
    value_set_scalar(d, &n);
}

void alu_apply(struct domain_state *s, const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    struct value *d = &s->regs[in->dst], operand;
    if (is_move(info)) {
        move(s, in, info);
        return;
    }
    if (info->sem == SEM_LE || info->sem == SEM_BE || info->sem == SEM_BSWAP) {
        byte_order(d, info);
        return;
    }
    if (info->form == FORM_ALU_UNARY) {
        value_set_const(&operand, 0);
    } else {
        alu_operand(s, in, info, &operand);
    }
    bool overwrites = info->sem == SEM_MOVSX8 || info->sem == SEM_MOVSX16 || info->sem == SEM_MOVSX32;
    bool pointers = (!overwrites && value_is_pointer(d)) || value_is_pointer(&operand);
    if (pointers && !overwrites && info->sem == SEM_SUB && value_is_pointer(d) &&
        value_is_pointer(&operand)) {
        subtract_pointers(s, info, &operand, d);
    } else if (pointers && info->width == 32) {
        value_set_unknown(d, 4);
    } else if (pointers) {
        move_pointer(s, in, &operand, info->sem == SEM_SUB);
    } else {
        compute(s, in, info, &operand);
    }
}
