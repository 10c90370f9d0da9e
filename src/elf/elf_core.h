// SPDX-License-Identifier: MIT
// elf_core: what the two files of CO-RE share: elf_core.c applies relocations to instructions,
// elf_core_match.c finds a local type, field or enumerator among the target's types. Source: the
// documentation of BTF.ext's core_relo records (Linux Documentation/bpf/llvm_reloc.rst) and of libbpf's rules
// for flavours and compatible types.
#pragma once

#include "elf/elf_int.h"

enum core_kind {
    CORE_FIELD_OFFSET,
    CORE_FIELD_SIZE,
    CORE_FIELD_EXISTS,
    CORE_FIELD_SIGNED,
    CORE_FIELD_LSHIFT,
    CORE_FIELD_RSHIFT,
    CORE_TYPE_ID_LOCAL,
    CORE_TYPE_ID_TARGET,
    CORE_TYPE_EXISTS,
    CORE_TYPE_SIZE,
    CORE_ENUM_EXISTS,
    CORE_ENUM_VALUE,
    CORE_TYPE_MATCHES,
    CORE_KIND_COUNT
};

enum { CORE_MAX_STEPS = 64 };

// A way from a type to a part of it. Members of unnamed structures and unions count as the outer one's.
struct core_step {
    const char *name; // of a member; NULL: an element of an array
    uint32_t type;    // structure or union with the member, or the element's type
    uint32_t index;   // of the member in it, or of the element
};
struct core_path {
    uint32_t root; // resolved type; for enumerators and types: the type itself
    uint32_t count;
    uint64_t bit_off; // of the part, from the start of the root
    struct core_step steps[CORE_MAX_STEPS];
};

// Budget of one object: looking at a member or type costs 1.
struct core_work {
    uint64_t left;
};

// Types by the plain names that the relocations of an object use.
struct elf_target {
    struct btf btf;
    struct elf_pairs names; // hash of the plain name -> type
    struct core_work work;
};

static inline bool core_is_composite(uint32_t kind)
{
    return kind == BTF_STRUCT || kind == BTF_UNION;
}
static inline bool core_is_enum(uint32_t kind)
{
    return kind == BTF_ENUM || kind == BTF_ENUM64;
}
static inline bool core_is_field_kind(uint32_t kind)
{
    return kind <= CORE_FIELD_RSHIFT;
}

// Whether two names are equal but for flavours.
bool core_same_name(const char *a, const char *b);
// Path of an access string ("0:1:2") from the local type `id`. False when it is malformed.
bool core_local_path(const struct btf *btf, uint32_t id, const char *access, uint32_t kind,
                     struct core_path *out);
// The same part of the target's type `id`. False when it has none, or one of an incompatible type.
bool core_target_path(const struct btf *local, const struct core_path *path, uint32_t kind,
                      const struct btf *target, uint32_t id, struct core_work *work, struct core_path *out);
