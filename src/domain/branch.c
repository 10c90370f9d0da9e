// SPDX-License-Identifier: MIT
// branch: comparisons of numbers refine whole classes; comparisons with null decide nullness; 64-bit
// comparisons of packet pointers with the packet's end (or of metadata pointers with the packet's start)
// prove lengths. A packet pointer is within 2^30 of its base, so `p <= data_end` holds for the machine only
// if it holds for integers.
#include "domain/alu.h"
#include "domain/branch.h"

static bool always_for_equal(unsigned sem)
{
    return sem == SEM_JEQ || sem == SEM_JGE || sem == SEM_JLE || sem == SEM_JSGE || sem == SEM_JSLE;
}

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
    case VALUE_MAP_VALUE: return !v->maybe_null && value_is_fixed(v) && v->off == 0;
    default: return false;
    }
}

// --- packet pointers -----------------------------------------------------------------------------

struct packet_test {
    const struct value *ptr; // packet or metadata pointer
    bool at_most;            // proves ptr <= end
    bool below;              // proves ptr < end
    bool refutes;            // needs ptr > end or ptr >= end
    bool strict;             // refutes: needs ptr > end
};

// A limit: the end for packet pointers, the unmoved start for metadata pointers.
static bool is_limit_of(const struct value *ptr, const struct value *limit)
{
    if (ptr->kind == VALUE_PACKET) {
        return limit->kind == VALUE_PACKET_END;
    }
    return ptr->kind == VALUE_PACKET_META && limit->kind == VALUE_PACKET && limit->off == 0 &&
           value_is_fixed(limit);
}

static unsigned mirrored(unsigned sem)
{
    switch (sem) {
    case SEM_JGT: return SEM_JLT;
    case SEM_JGE: return SEM_JLE;
    case SEM_JLT: return SEM_JGT;
    case SEM_JLE: return SEM_JGE;
    default: return sem;
    }
}

static bool read_packet_test(const struct insn_info *info, const struct value *d, const struct value *s,
                             bool taken, struct packet_test *out)
{
    unsigned sem = info->sem;
    if (info->width != 64) {
        return false;
    }
    if (is_limit_of(d, s)) {
        out->ptr = d;
    } else if (is_limit_of(s, d)) {
        out->ptr = s;
        sem = mirrored(sem);
    } else {
        return false;
    }
    out->below = (sem == SEM_JLT && taken) || (sem == SEM_JGE && !taken);
    out->at_most = out->below || (sem == SEM_JLE && taken) || (sem == SEM_JGT && !taken) ||
                   (sem == SEM_JEQ && taken) || (sem == SEM_JNE && !taken);
    out->strict = (sem == SEM_JGT && taken) || (sem == SEM_JLE && !taken);
    out->refutes = out->strict || (sem == SEM_JGE && taken) || (sem == SEM_JLT && !taken);
    return true;
}

// The pointer is known to lie inside the packet, so "beyond the end" cannot be.
static bool packet_test_is_possible(const struct domain_state *s, const struct packet_test *t)
{
    if (t->ptr->kind != VALUE_PACKET || !t->refutes || t->ptr->off + t->ptr->num.smin < 0) {
        return true;
    }
    int64_t range = state_packet_range(s, t->ptr);
    return t->strict ? t->ptr->off > range : t->ptr->off >= range;
}

static void learn_packet(struct domain_state *s, const struct packet_test *t)
{
    if (!t->at_most) {
        return;
    }
    int64_t range = (int64_t)t->ptr->off + (t->below ? 1 : 0);
    if (t->ptr->kind == VALUE_PACKET) {
        state_refine_range(s, t->ptr->id, range);
    } else if (range + t->ptr->num.smin > s->meta_length) {
        s->meta_length = value_clamp_range(range + t->ptr->num.smin);
    }
}

// --- numbers -------------------------------------------------------------------------------------

// `v` is known to lie in `num`: narrows it and its class.
static bool narrow(struct domain_state *s, struct value *v, const struct scalar *num)
{
    struct value old = *v;
    v->num = *num;
    if (old.id == VALUE_ID_NONE) {
        return true;
    }
    struct scalar n = *num, delta;
    scalar_set_const(&delta, (uint64_t)old.delta);
    scalar_alu(SEM_SUB, 64, &n, &delta);
    return state_refine_number(s, old.id, &n);
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
    return scalar_meet(&b, &right->num) && narrow(s, right, &b);
}

bool branch_assume(struct domain_state *s, const struct insn *in, bool taken)
{
    const struct insn_info *info = insn_info(in->id);
    struct value operand;
    alu_operand(s, in, info, &operand);
    if (!branch_is_possible(s, in, taken)) {
        return false;
    }
    const struct value *d = &s->regs[in->dst];
    struct packet_test test;
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
    } else if (read_packet_test(info, d, &operand, taken, &test)) {
        learn_packet(s, &test);
    }
    return true;
}

bool branch_is_possible(const struct domain_state *s, const struct insn *in, bool taken)
{
    const struct insn_info *info = insn_info(in->id);
    const struct value *d = &s->regs[in->dst];
    struct value operand;
    struct packet_test test;
    alu_operand(s, in, info, &operand);
    if (info->form == FORM_JMP_REG && in->src == in->dst) {
        return info->sem == SEM_JSET || always_for_equal(info->sem) == taken;
    }
    if (d->kind == VALUE_SCALAR && operand.kind == VALUE_SCALAR) {
        struct scalar a = d->num, b = operand.num;
        return scalar_assume((enum insn_sem)info->sem, info->width, taken, &a, &b);
    }
    if (is_null_test(info, d, &operand) && is_never_null(d)) {
        return (info->sem == SEM_JEQ) != taken;
    }
    if (is_null_test(info, &operand, d) && is_never_null(&operand)) {
        return (info->sem == SEM_JEQ) != taken;
    }
    return !read_packet_test(info, d, &operand, taken, &test) || packet_test_is_possible(s, &test);
}
