// SPDX-License-Identifier: MIT
// pointer: arithmetic with addresses. Inside the folder only.
#pragma once

#include "domain/fault.h"

// Eight bytes of the kernel's memory: an address as far as it is read through, a number for everything else.
static inline bool pointer_is_word(const struct value *v)
{
    return v->kind == VALUE_KERNEL && (v->flags & VALUE_UNTRUSTED) != 0 && !v->maybe_null;
}

// The variable part of `ptr` after - or + `number`. False when the result has no sufficient bounds.
bool pointer_can_move(const struct value *ptr, const struct scalar *number, bool subtract,
                      struct scalar *out);
// A 64-bit computation in which `d` or `s` is a pointer is possible.
bool pointer_check(const struct domain_env *env, const struct insn *in, const struct insn_info *info,
                   const struct value *d, const struct value *s, struct domain_fault *fault) MUST_CHECK;
// *p += or -= *by.
void pointer_move(struct domain_state *s, struct value *p, const struct value *by, bool subtract);
// left - right as a 64-bit number.
void pointer_subtract(struct domain_state *s, const struct value *left, const struct value *right,
                      struct value *out);
// Both count from the same address, so that their offsets compare as their addresses do.
bool pointer_same_base(const struct value *a, const struct value *b);
