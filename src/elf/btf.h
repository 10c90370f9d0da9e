// SPDX-License-Identifier: MIT
// btf: BPF Type Format (Linux Documentation/bpf/btf.rst). btf_parse checks every header field, type id and
// string offset once; afterwards ids up to `count` and the items of a type can be read without failing. Type
// chains may still be cyclic: every walk has a limit.
#pragma once

#include "base/base.h"

enum btf_kind {
    BTF_VOID = 0,
    BTF_INT = 1,
    BTF_PTR,
    BTF_ARRAY,
    BTF_STRUCT,
    BTF_UNION,
    BTF_ENUM,
    BTF_FWD,
    BTF_TYPEDEF,
    BTF_VOLATILE,
    BTF_CONST,
    BTF_RESTRICT,
    BTF_FUNC,
    BTF_FUNC_PROTO,
    BTF_VAR,
    BTF_DATASEC,
    BTF_FLOAT,
    BTF_DECL_TAG,
    BTF_TYPE_TAG,
    BTF_ENUM64,
    BTF_KIND_COUNT
};
enum { BTF_INT_SIGNED = 1 << 24, BTF_INT_CHAR = 1 << 25, BTF_INT_BOOL = 1 << 26 }; // of an INT's word
enum { BTF_LINKAGE_STATIC = 0, BTF_LINKAGE_GLOBAL = 1, BTF_LINKAGE_EXTERN = 2 };
#define BTF_MAGIC     0xeb9fu // of .BTF and .BTF.ext
#define BTF_MAX_CHAIN 32      // modifiers, typedefs and arrays on the way to a type

struct btf {
    uint8_t *raw; // copy of the section
    uint32_t raw_size;
    struct reader bytes; // over raw
    uint32_t *type_offs; // by id, in raw; [0] is unused
    uint32_t count;      // ids are 1..count; 0 is void
    const char *strings; // in raw; starts with "" and ends with NUL
    uint32_t strings_size;
};

struct btf_type {
    uint32_t kind; // enum btf_kind
    uint32_t name_off;
    uint32_t vlen;  // items; FUNC: linkage
    bool flag;      // struct, union: members may be bit-fields; enum: signed; FWD: union
    uint32_t value; // size in bytes, or the id of the type referred to
    uint32_t items; // offset in raw of what follows the common part
};

// A member, parameter (off 0), variable of a DATASEC (name_off 0), array (type, size = elements), enumerator
// (off and size are the low and the high half of its value, sign-extended), or what an INT, VAR or DECL_TAG
// says in one word (off: encoding, linkage, component).
struct btf_item {
    uint32_t name_off, type;
    uint32_t off, size;
};

struct btf_error {
    const char *why;
    uint32_t type; // id, 0 = the header
};

// EBPF_INVALID_OBJECT with *error, or EBPF_NO_MEMORY. Copies `bytes`.
ebpf_result_t btf_parse(const uint8_t *bytes, size_t size, struct arena *arena, struct btf *out,
                        struct btf_error *error) MUST_CHECK;
// BTF_VOID for id 0 and ids out of range.
struct btf_type btf_type(const struct btf *btf, uint32_t id);
const char *btf_string(const struct btf *btf, uint32_t off); // "" when out of range
// Item `index` (below vlen) of a struct, union, func proto, datasec or enum; index 0 of the others.
struct btf_item btf_item(const struct btf *btf, const struct btf_type *type, uint32_t index);
// Offset in raw of item `index`.
uint32_t btf_item_off(const struct btf_type *type, uint32_t index);
// First type behind modifiers and typedefs; false when there are more than BTF_MAX_CHAIN of them (a cycle).
bool btf_resolve(const struct btf *btf, uint32_t id, uint32_t *out) MUST_CHECK;
// Size in bytes of a value of this type; false for types without one, cycles and overflow.
bool btf_size(const struct btf *btf, uint32_t id, uint32_t *out) MUST_CHECK;
// Length of a name without its "___flavour".
uint32_t btf_name_length(const char *name);
// Overwrites a 32-bit word at `off` of raw.
void btf_patch(struct btf *btf, uint32_t off, uint32_t value);
