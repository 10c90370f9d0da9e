// SPDX-License-Identifier: MIT
// value: what is known about one register or stack cell. A plain copyable record of 104 bytes without
// ownership.
//
// A pointer's address is base + off + X: `off` is the constant part, `num` the set that X lies in. Offsets
// are bounded by VALUE_MAX_OFFSET, so address arithmetic never wraps. Identities name an unknown number N
// of 64 bits that lives as long as the state: a SCALAR of identity i has the value cf * N + delta, a pointer
// of identity i has X = cf * N + delta, both modulo 2^64. PACKET and PACKET_META pointers always have cf = 1,
// delta = 0 (their `range` speaks of N). All members of a class are refined together. A maybe-null pointer
// has an identity that stands for its nullness instead (off = X = 0, cf = 1, delta = 0).
// `ref` names an object rather than a number: the reference that a MEM or OBJECT pointer stands for (while it
// is in state.refs, it has to be released), or the look-up that a MAP_VALUE pointer came from (locks).
#pragma once

#include "base/base.h"
#include "domain/scalar.h"
#include "spec/spec.h"

enum value_kind {
    VALUE_NOT_INIT,
    VALUE_SCALAR,
    VALUE_CTX,         // base: start of the context
    VALUE_STACK,       // base: top of frame `frame`, so offsets are in [-INSN_STACK_SIZE, 0)
    VALUE_PACKET,      // base: data
    VALUE_PACKET_END,  // base: data_end
    VALUE_PACKET_META, // base: data_meta
    VALUE_MAP_VALUE,   // base: start of a value of map `map`
    VALUE_MAP_PTR,     // map `map` itself
    VALUE_CODE,        // address of a function: `map` is its index
    VALUE_MEM,         // base: start of a memory block of `size` bytes (ring buffer record, slice, argument)
    VALUE_OBJECT,      // base: start of an object that is read through layout `map` of the spec (a socket)
    VALUE_KERNEL,      // some kernel address that may be read at any offset; faults read as zeroes
    VALUE_DYNPTR,      // stack cells only: one of the two words of a dynptr (see special.h)
    VALUE_ITER,        // stack cells only: the words of an open-coded iterator (see special.h)
    VALUE_IRQ,         // stack cells only: saved interrupt flags
    VALUE_RELEASED,    // pointed to something that was released: good for nothing, kept for findings
    VALUE_KIND_COUNT
};

#define VALUE_ID_NONE    0u
#define VALUE_ID_LENGTH  1u // N = data_end - data
#define VALUE_ID_FIRST   2u
#define VALUE_MAX_OFFSET (1 << 29)
#define VALUE_MAX_LENGTH (1 << 28) // no packet is longer: RUN_MAX_DATA of spec/contexts.h

enum value_flags {
    VALUE_INNER = 1 << 1,     // MAP_PTR, MAP_VALUE: `map` is the template of an inner map; `ref` says which
    VALUE_READ_ONLY = 1 << 2, // MEM: programs may not write
    VALUE_UNTRUSTED = 1 << 3, // OBJECT, KERNEL: may be read, may not be passed to helpers
    VALUE_PACKET_SLICE = 1 << 4, // MEM: lies in the packet, gone when the packet moves
    VALUE_ACQUIRED = 1 << 5, // `ref` is held while the pointer is not null (what an acquiring helper returns)
};

struct value {
    uint8_t kind;       // enum value_kind
    uint8_t maybe_null; // MAP_VALUE, MAP_PTR (inner), MEM, OBJECT, KERNEL
    uint8_t frame;      // STACK
    uint8_t width;      // bytes of a stack cell: 1 to 4 or 8; 0 in registers
    uint16_t map;       // MAP_VALUE, MAP_PTR: index in the program's maps; CODE: function; OBJECT: layout
    uint16_t flags;     // enum value_flags
    int32_t off;
    uint32_t id;
    int32_t range; // PACKET with an identity: data + N + range <= data_end is known
    int32_t cf;    // with an identity: not 0
    int64_t delta; // with an identity
    uint32_t ref;  // 0: none
    uint32_t size; // MEM: bytes
    struct scalar num;
};

void value_set_scalar(struct value *v, const struct scalar *num);
void value_set_unknown(struct value *v, uint32_t bytes); // zero-extended number of `bytes` bytes
void value_set_const(struct value *v, uint64_t number);
void value_set_pointer(struct value *v, enum value_kind kind, int32_t off);

static inline bool value_is_pointer(const struct value *v)
{
    return v->kind >= VALUE_CTX;
}
static inline bool value_is_const(const struct value *v)
{
    return v->kind == VALUE_SCALAR && scalar_is_const(&v->num);
}
static inline bool value_is_zero(const struct value *v)
{
    return value_is_const(v) && v->num.umin == 0;
}
// A pointer whose offset is one constant.
static inline bool value_is_fixed(const struct value *v)
{
    return scalar_is_const(&v->num) && v->num.umin == 0;
}
static inline void value_drop_id(struct value *v)
{
    v->id = VALUE_ID_NONE;
    v->cf = 0;
    v->delta = 0;
    v->range = 0;
}
// The value becomes the member of class `id` that equals its number.
static inline void value_set_id(struct value *v, uint32_t id)
{
    v->id = id;
    v->cf = 1;
    v->delta = 0;
}
static inline int32_t value_clamp_range(int64_t range)
{
    return range > INT32_MAX ? INT32_MAX : range < INT32_MIN ? INT32_MIN : (int32_t)range;
}
// Adds a constant to the constant offset of a pointer, or to a scalar (its identity survives).
void value_add_const(struct value *v, int64_t number);
// Moves the constant part of `num` of a pointer into `off`, and drops what a fixed pointer does not need.
void value_normalize(struct value *v);
// Pointers of this kind may be NULL as long as nobody has compared them.
bool value_may_be_null(uint8_t kind);
// Pointers of this kind may have an offset that is not constant.
bool value_may_vary(uint8_t kind);
// True when num lies in [-VALUE_MAX_OFFSET, VALUE_MAX_OFFSET].
bool value_is_bounded(const struct scalar *num);
// Invariants of the record, for asserts and tests.
bool value_is_valid(const struct value *v);
// "a packet pointer at offset 14". Returns the length, as str_format does. `p` names the maps; NULL: by
// index.
size_t value_print(const struct value *v, const struct program *p, char *text, size_t size);
