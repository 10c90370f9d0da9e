// SPDX-License-Identifier: MIT
// loss: where two ways met and a fact that an obligation wants was lost.
#pragma once

#include "verifier/engine.h"

// Fills f->loss of a finding whose path is set, made in state `s` while e->node was explored; `recent`
// branches of the path lie behind that node. Leaves it alone when no join is to blame, as far as can be seen.
void loss_find(struct engine *e, const struct domain_state *s, uint32_t recent, struct finding *f);
