// SPDX-License-Identifier: MIT
// rules: names and sentences of rules.def.
#include "verifier/verifier.h"

static const struct rule_row rows[RULE_COUNT] = {
    [RULE_NONE] = {"none", ""},
#define RULE(id, name, sentence) [RULE_##id] = {name, sentence},
#include "verifier/rules.def"
#undef RULE
};

const struct rule_row *rule_row(unsigned rule)
{
    return &rows[rule < RULE_COUNT ? rule : RULE_NONE];
}
