// SPDX-License-Identifier: MIT
// helper_int: what the helper_*.c files share.
#pragma once

#include "domain/helper.h"

#define HELPER_ARG_COUNT 5u

// A call that is being checked.
struct helper_call {
    const struct domain_env *env;
    const struct domain_state *s;
    const struct helper_row *row;
    struct domain_fault *fault;
    uint32_t id; // of the row
    uint32_t pc;
};

static inline unsigned helper_arg_kind(const struct helper_row *row, unsigned arg)
{
    return row->args[arg] & ARG_KIND_MASK;
}
static inline bool helper_arg_is_nullable(const struct helper_row *row, unsigned arg)
{
    return (row->args[arg] & ARG_NULLABLE) != 0 || helper_arg_kind(row, arg) == ARG_MEM_READ_OR_NULL;
}
// Memory whose size another argument gives; that argument: detail - 1, or the next one.
static inline bool helper_arg_is_sized(unsigned kind)
{
    return kind == ARG_MEM_READ || kind == ARG_MEM_READ_OR_NULL || kind == ARG_MEM_WRITE ||
           kind == ARG_MEM_COPY || kind == ARG_MEM_READ_WRITE;
}
static inline unsigned helper_size_arg(const struct helper_row *row, unsigned arg)
{
    return row->detail[arg] != 0 ? row->detail[arg] - 1u : arg + 1;
}
static inline bool helper_has_arg(const struct helper_row *row, unsigned kind)
{
    for (unsigned i = 0; i < HELPER_ARG_COUNT; i++) {
        if (helper_arg_kind(row, i) == kind) {
            return true;
        }
    }
    return false;
}
// First argument of the kind; HELPER_ARG_COUNT: there is none.
static inline unsigned helper_find_arg(const struct helper_row *row, unsigned kind)
{
    unsigned i = 0;
    while (i < HELPER_ARG_COUNT && helper_arg_kind(row, i) != kind) {
        i++;
    }
    return i;
}
// Index of the map that the arguments before `arg` name; UINT32_MAX: none.
uint32_t helper_map_before(const struct domain_state *s, const struct helper_row *row, unsigned arg);
// "r1" to "r5".
const char *helper_arg_name(unsigned arg);
// Argument that the call gives back (HELPER_RELEASES), HELPER_ARG_COUNT: none.
unsigned helper_released_arg(const struct helper_row *row);

// Faults of an argument; false, so that callers can return them.
bool helper_refuse(const struct helper_call *c, unsigned arg, const char *needed);
bool helper_refuse_null(const struct helper_call *c, unsigned arg);
// Everything that one argument needs.
bool helper_check_arg(const struct helper_call *c, unsigned arg) MUST_CHECK;
// Arguments of special objects (helper_special.c): locks, timers, dynptrs, iterators, interrupt flags,
// callbacks.
bool helper_check_special(const struct helper_call *c, unsigned arg) MUST_CHECK;
