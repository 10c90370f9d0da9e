// SPDX-License-Identifier: MIT
// special: objects that programs hold but do not look into: dynptrs, iterators and saved interrupt flags in
// stack cells; locks, timers and other fields of map values.
//
// A dynptr is two 8-byte cells {kind VALUE_DYNPTR, ref, map = enum dynptr_detail, VALUE_READ_ONLY, size =
// number of the word}; its slices are MEM pointers with the same `ref`. An iterator is as many cells as its
// row says {VALUE_ITER, ref, map = detail of the row, size = number of the word}; its elements are MEM
// pointers with the same `ref`. Saved interrupt flags are one cell {VALUE_IRQ, ref}. While `ref` is in
// state.refs, the object has to be released.
#pragma once

#include "domain/fault.h"

// 8-byte words of stack that an iterator takes, from the detail of its row.
#define SPECIAL_ITER_WORDS(detail) ITER_DETAIL_WORDS((uint32_t)(detail))

// MAP_VALUE pointers to values with a lock have a `ref` that says which value: that of the look-up, or this
// one for the single value of a map whose address is taken directly. 0: not known which.
#define SPECIAL_REF_DIRECT VALUE_ID_LENGTH

// An access of `size` bytes at `off` from `ptr` meets no special cell of the stack and no special field of a
// map value. Pointers to other memory always pass.
bool special_check_access(const struct domain_env *env, const struct domain_state *s, const struct value *ptr,
                          int64_t off, uint64_t size, bool write, struct domain_fault *fault) MUST_CHECK;

// Bytes [at, at + size) of frame `frame` are about to be written: the objects that they touch are gone, and
// with them what they lent out.
void special_overwrite(struct domain_state *s, uint32_t frame, int32_t at, int32_t size);

// The object of `words` cells that starts at stack pointer `ptr`, or NULL: its first cell.
const struct value *special_find(const struct domain_state *s, const struct value *ptr, enum value_kind kind,
                                 uint32_t words);
// Writes an object of `words` cells to where `ptr` points; `cell` is its first cell.
void special_place(struct domain_state *s, const struct value *ptr, const struct value *cell, uint32_t words);

// Special field of map `map` at `off`, or NULL.
const struct map_field *special_field_at(const struct domain_env *env, uint32_t map, int64_t off);
// First special field of this kind, or NULL.
const struct map_field *special_field_of(const struct domain_env *env, uint32_t map,
                                         enum map_field_kind kind);
// An RCU read section is open, or preemption or interrupts are off.
bool special_forbids_sleep(const struct domain_state *s);
// Nothing is held that outlives the program or must not be held over a tail call: `doing` is "exits" and the
// like.
bool special_check_nothing_held(const struct domain_env *env, const struct domain_state *s, const char *doing,
                                struct domain_fault *fault) MUST_CHECK;

// A cell with an address among the stack bytes that an access of `size` bytes at `off` from `ptr` touches, or
// NULL.
const struct value *special_find_address(const struct domain_state *s, const struct value *ptr, int64_t off,
                                         uint64_t size);
