// SPDX-License-Identifier: MIT
// access: may `size` bytes at an offset from a pointer be read or written? Inside the folder only.
#pragma once

#include "domain/fault.h"

enum access_mode { ACCESS_READ = 1, ACCESS_WRITE = 2 };

struct access {
    const struct value *ptr;
    const char *what; // "r2", for messages
    int32_t off;      // from the pointer
    uint32_t size;    // bytes; at least 1
    unsigned mode;    // enum access_mode
};

// Memory other than the context: stack, packet, metadata, map value, memory block, object, kernel memory.
bool access_check(const struct domain_env *env, const struct domain_state *s, const struct access *a,
                  struct domain_fault *fault) MUST_CHECK;
// Memory whose size is the scalar `size` (a->size is not used); nothing is needed where that is 0. Holds also
// where only the sum of the pointer's offset and the size is known to be small enough.
bool access_check_sized(const struct domain_env *env, const struct domain_state *s, const struct access *a,
                        const struct value *size, struct domain_fault *fault) MUST_CHECK;
// A field of the context.
bool access_check_context(const struct domain_env *env, const struct access *a,
                          struct domain_fault *fault) MUST_CHECK;
// The LD_ABS or LD_IND instruction `pc`.
bool access_check_legacy(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                         struct domain_fault *fault) MUST_CHECK;
