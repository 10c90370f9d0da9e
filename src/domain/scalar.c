// SPDX-License-Identifier: MIT
// scalar: the public operators: those of scalar_ops.h at 64 bits with 32-bit halves. Results are reduced.
#include "domain/scalar_ops.h"

static const struct width width_64 = {64, 32};

void scalar_set_unknown(struct scalar *a)
{
    ops_set_any(width_64, a);
}

void scalar_set_const(struct scalar *a, uint64_t value)
{
    ops_set_const(width_64, a, value);
}

void scalar_set_urange(struct scalar *a, uint64_t min, uint64_t max)
{
    struct part main = part_any(64), low = part_any(32);
    main.umin = min;
    main.umax = max;
    ops_finish_result(width_64, &main, &low, a);
}

void scalar_set_srange(struct scalar *a, int64_t min, int64_t max)
{
    struct part main = part_any(64), low = part_any(32);
    main.smin = min;
    main.smax = max;
    ops_finish_result(width_64, &main, &low, a);
}

bool scalar_contains(const struct scalar *a, uint64_t value)
{
    return ops_contains(width_64, a, value);
}

bool scalar_includes(const struct scalar *outer, const struct scalar *inner)
{
    return ops_includes(outer, inner);
}

bool scalar_equal(const struct scalar *a, const struct scalar *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool scalar_is_valid(const struct scalar *a)
{
    return ops_is_valid(width_64, a);
}

bool scalar_reduce(struct scalar *a)
{
    return ops_reduce(width_64, a);
}

bool scalar_meet(struct scalar *a, const struct scalar *b)
{
    return ops_meet(width_64, a, b);
}

void scalar_join(struct scalar *a, const struct scalar *b)
{
    ops_join(width_64, a, b);
}

void scalar_widen(struct scalar *a, const struct scalar *b, const int64_t *thresholds, size_t count)
{
    struct ops_thresholds t = {thresholds, count};
    ops_widen(width_64, &t, a, b);
}

// d = sign-extended low bits of s; at 32 bits the result is zero-extended.
static void move_sign_extended(unsigned width, unsigned from, struct scalar *d, const struct scalar *s)
{
    struct scalar value = *s;
    ops_sign_extend(width_64, &value, from);
    if (width == 32) {
        ops_zero_extend(width_64, &value, 32);
    }
    *d = value;
}

static void move(unsigned width, struct scalar *d, const struct scalar *s)
{
    *d = *s;
    if (width == 32) {
        ops_zero_extend(width_64, d, 32);
    }
}

static void binary(enum insn_sem sem, unsigned width, struct scalar *d, const struct scalar *s)
{
    if (width == 32) {
        ops_alu_sub(width_64, sem, d, s);
    } else {
        ops_alu_full(width_64, sem, d, s);
    }
}

void scalar_alu(enum insn_sem sem, unsigned width, struct scalar *d, const struct scalar *s)
{
    struct scalar zero;
    switch (sem) {
    case SEM_MOV: move(width, d, s); break;
    case SEM_MOVSX8: move_sign_extended(width, 8, d, s); break;
    case SEM_MOVSX16: move_sign_extended(width, 16, d, s); break;
    case SEM_MOVSX32: move_sign_extended(width, 32, d, s); break;
    case SEM_NEG:
        scalar_set_const(&zero, 0);
        binary(SEM_SUB, width, &zero, d);
        *d = zero;
        break;
    default:
        if (ops_is_binary(sem)) {
            binary(sem, width, d, s);
        } else {
            scalar_set_unknown(d); // no arithmetic operator
        }
        break;
    }
}

void scalar_byte_order(enum insn_sem sem, unsigned width, struct scalar *d)
{
    if (sem == SEM_LE) {
        ops_zero_extend(width_64, d, width);
    } else {
        ops_reverse(width_64, d, width, 8);
    }
}

void scalar_zero_extend(struct scalar *a, unsigned bits)
{
    ops_zero_extend(width_64, a, bits);
}

void scalar_sign_extend(struct scalar *a, unsigned bits)
{
    ops_sign_extend(width_64, a, bits);
}

bool scalar_assume(enum insn_sem sem, unsigned width, bool taken, struct scalar *d, struct scalar *s)
{
    return ops_assume(width_64, sem, width == 32, taken, d, s);
}

// --- text ----------------------------------------------------------------------------------------

// A bounded text that remembers the length it would have.
struct text {
    char *at;
    size_t size, length;
};

static void append(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void append(struct text *t, const char *fmt, ...)
{
    char none[1];
    va_list args;
    va_start(args, fmt);
    bool fits = t->length < t->size;
    t->length +=
        str_vformat(fits ? t->at + t->length : none, fits ? t->size - t->length : sizeof(none), fmt, args);
    va_end(args);
}

// Known bits as hexadecimal digits: '.' where no bit of a digit is known, its bits in brackets where some
// are.
static void append_bits(struct text *t, uint64_t bits, uint64_t unknown)
{
    unsigned shift = 60;
    while (shift > 0 && (bits | unknown) >> shift == 0) {
        shift -= 4;
    }
    append(t, " bits ");
    for (unsigned left = shift / 4 + 1; left > 0; left--, shift -= 4) {
        unsigned digit = bits >> shift & 15, open = unknown >> shift & 15;
        if (open == 0) {
            append(t, "%x", digit);
        } else if (open == 15) {
            append(t, ".");
        } else {
            append(t, "(");
            for (unsigned bit = 8; bit != 0; bit >>= 1) {
                append(t, "%c", (open & bit) != 0 ? '.' : (digit & bit) != 0 ? '1' : '0');
            }
            append(t, ")");
        }
    }
}

// The interval of a part in the order that tells more, in both where neither tells all.
static void append_interval(struct text *t, unsigned n, const struct part *p)
{
    struct part any = part_any(n), from_u = any, from_s = any;
    from_u.umin = p->umin;
    from_u.umax = p->umax;
    from_s.smin = p->smin;
    from_s.smax = p->smax;
    bool some = part_reduce(n, &from_u) && part_reduce(n, &from_s);
    bool s_is_all = some && from_s.umin == p->umin && from_s.umax == p->umax;
    bool u_is_all = some && from_u.smin == p->smin && from_u.smax == p->smax;
    if (p->umin == 0 && p->umax == any.umax && p->smin == any.smin && p->smax == any.smax) {
        append(t, "any");
        return;
    }
    if (!s_is_all) {
        append(t, "[%llu, %llu]", (unsigned long long)p->umin, (unsigned long long)p->umax);
    }
    if (!s_is_all && !u_is_all) {
        append(t, " signed ");
    }
    if (s_is_all || !u_is_all) {
        append(t, "[%lld, %lld]", (long long)p->smin, (long long)p->smax);
    }
}

static bool same_intervals(const struct part *a, const struct part *b)
{
    return a->umin == b->umin && a->umax == b->umax && a->smin == b->smin && a->smax == b->smax;
}

// Both parts, the low one only where it says more; the main one not where it says nothing but that.
static void append_parts(struct text *t, const struct part *a_main, const struct part *a_low)
{
    struct part main = part_any(64), low = *a_low;
    ops_reduce_parts(width_64, &main, &low);
    bool low_is_all = same_intervals(&main, a_main);
    main = *a_main;
    low = part_any(32);
    ops_reduce_parts(width_64, &main, &low);
    if (same_intervals(&low, a_low)) {
        append_interval(t, 64, a_main);
        return;
    }
    main = part_any(64);
    append_interval(t, 64, low_is_all ? &main : a_main);
    append(t, " low ");
    append_interval(t, 32, a_low);
}

size_t scalar_print(const struct scalar *a, char *text, size_t size)
{
    struct text t = {text, size, 0};
    struct part main = ops_main(a), low = ops_low(width_64, a);
    if (scalar_is_const(a)) {
        append(&t, "%lld", (long long)a->smin);
        return t.length;
    }
    main.bits = low.bits = 0; // intervals first, then what bits they do not imply
    main.unknown = UINT64_MAX;
    low.unknown = UINT32_MAX;
    append_parts(&t, &main, &low);
    ops_reduce_parts(width_64, &main, &low);
    if (a->unknown != main.unknown) {
        append_bits(&t, a->bits, a->unknown);
    }
    return t.length;
}
