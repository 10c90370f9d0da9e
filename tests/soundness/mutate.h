// SPDX-License-Identifier: MIT
// mutate: small mistakes in programs, of the kinds that people and compilers make.
#pragma once

#include "tests/soundness/gen.h"

// *out becomes `from` with one to three changes; it satisfies program_check. Draws from from->seed.
void mutate(struct gen *from, struct gen *out);
