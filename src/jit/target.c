// SPDX-License-Identifier: MIT
// target: the calling convention that a translation is for.
#include "jit/target.h"

#include "jit/x86_emit.h"

extern const struct jit_convention arm64_convention;

const struct jit_convention *jit_convention(const struct jit *j)
{
    return j->options->arch == JIT_ARM64 ? &arm64_convention : x86_convention(j);
}
