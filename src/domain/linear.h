// SPDX-License-Identifier: MIT
// linear: numbers as linear functions of an identity, cf * N + delta modulo 2^64. Inside the folder only.
#pragma once

#include "domain/state.h"

struct linear {
    uint32_t id; // VALUE_ID_NONE: the constant delta
    int64_t cf;
    int64_t delta;
};

// False when nothing linear is known about the number (of a scalar, or the variable part of a pointer).
static inline bool linear_of(const struct value *v, struct linear *out)
{
    if (scalar_is_const(&v->num)) {
        *out = (struct linear){VALUE_ID_NONE, 0, v->num.smin};
        return true;
    }
    *out = (struct linear){v->id, v->cf, v->delta};
    return v->id != VALUE_ID_NONE && !v->maybe_null;
}

// a * number, or false when the coefficient does not fit.
static inline bool linear_scale(struct linear *a, int64_t number)
{
    a->delta = (int64_t)((uint64_t)a->delta * (uint64_t)number);
    if (a->id == VALUE_ID_NONE) {
        return true;
    }
    if (number == 0) {
        a->id = VALUE_ID_NONE;
    }
    return !__builtin_mul_overflow(a->cf, number, &a->cf) && a->cf > INT32_MIN && a->cf <= INT32_MAX;
}

// a + b, or false when they are of two classes.
static inline bool linear_add(struct linear *a, const struct linear *b)
{
    if (a->id != VALUE_ID_NONE && b->id != VALUE_ID_NONE && a->id != b->id) {
        return false;
    }
    a->id = a->id != VALUE_ID_NONE ? a->id : b->id;
    a->cf += b->cf; // two int32 at most
    a->delta = (int64_t)((uint64_t)a->delta + (uint64_t)b->delta);
    if (a->cf == 0) {
        a->id = VALUE_ID_NONE;
    }
    return a->cf > INT32_MIN && a->cf <= INT32_MAX;
}

// Writes the identity of a line to a value whose number is set already. A constant becomes that number.
static inline void linear_store(const struct linear *a, struct value *v)
{
    v->id = a->id;
    v->cf = (int32_t)a->cf;
    v->delta = a->id != VALUE_ID_NONE ? a->delta : 0;
    if (a->id == VALUE_ID_NONE) {
        v->cf = 0;
        scalar_set_const(&v->num, (uint64_t)a->delta);
    }
}

// Gives a number that is copied an identity, so that what is learnt about one copy holds for all.
static inline void linear_share(struct domain_state *s, struct value *v)
{
    if (v->kind == VALUE_SCALAR && v->id == VALUE_ID_NONE && !scalar_is_const(&v->num)) {
        v->id = state_make_id(s);
        v->cf = 1;
        v->delta = 0;
    }
}
