// SPDX-License-Identifier: MIT
// arm64_target: what the middle knows of A64 under AAPCS64, which Linux and Windows share. x13-x17 belong to
// the emitter, x18 to the platform, x29 and x30 hold the frame record of functions that call. Almost nothing
// is constrained: instructions have three operands, and sequences end with the write of their result.
#include "jit/arm64_emit.h"

static const char *const names[] = {
    "x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",  "x8",  "x9",  "x10",
    "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
    "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30",
};

// Away from the argument registers first, those that have to be saved last.
#define PREFERRED      0x1f00u // 8 to 12
#define PREFERRED_DOWN 0xffu   // 7 to 0

const struct jit_convention arm64_convention = {
    .entry = {0, 1, 2, 3},
    .helper = {0, 1, 2, 3, 4, 5},
    .local = {0, 1, 2, 3, 4, 5, 6},
    .result = 0,
    .callee_saved = ARM64_SAVED,
};

static void constrain_call(const struct jit_target *target, struct jit_constraint *out)
{
    out->clobbers = target->allocatable & ~(uint32_t)ARM64_SAVED;
    out->result = arm64_convention.result;
}

static void constrain(const struct jit *j, const struct ir_value *v, struct jit_constraint *out)
{
    *out = (struct jit_constraint){.result = IR_REG_NONE,
                                   .operand = {IR_REG_NONE, IR_REG_NONE, IR_REG_NONE, IR_REG_NONE}};
    switch (v->op) {
    case IR_CALL:
    case IR_CALL_LOCAL: constrain_call(j->target, out); break;
    case IR_RET: out->operand[0] = arm64_convention.result; break;
    case IR_TAIL:
        out->operand[1] = arm64_convention.entry[0];
        out->operand[2] = arm64_convention.entry[2];
        out->operand[3] = arm64_convention.entry[3];
        break;
    default: break;
    }
}

// Nothing lasts longer than a function.
static ebpf_result_t start(struct jit *j)
{
    UNUSED(j);
    return EBPF_SUCCESS;
}

const struct jit_target arm64_target = {
    .name = "arm64",
    .register_count = ARRAY_SIZE(names),
    .register_names = names,
    .allocatable = UINT32_C(0x1fff) | ARM64_SAVED,
    .allocatable_spills = UINT32_C(0x1fff) | ARM64_SAVED,
    .preferred = PREFERRED,
    .preferred_down = PREFERRED_DOWN,
    .immediate_moves_are_free = true,
    .start = start,
    .lower = arm64_lower,
    .plain = ~(OP_BIT(IR_PHI) | OP_BIT(IR_CALL) | OP_BIT(IR_CALL_LOCAL) | OP_BIT(IR_RET) | OP_BIT(IR_TAIL)),
    .constrain = constrain,
    .emit = arm64_emit,
    .finish = arm64_finish,
    .link = arm64_link,
};
