// SPDX-License-Identifier: MIT
// x86_target: what the middle knows of x86-64: registers, the two calling conventions, constraints.
#include "jit/x86_emit.h"

ebpf_result_t x86_lower(struct jit *j);
ebpf_result_t x86_start(struct jit *j);
ebpf_result_t x86_emit(struct jit *j);
ebpf_result_t x86_finish_code(struct jit *j);
void x86_link(struct jit_code *code, uint64_t address);

#define SET(reg) REG_SET(X86_##reg)
#define ALL      (0xffffu & ~(SET(RSP) | SET(R11)))

static const char *const register_names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                             "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

// Those that calls destroy first; of each kind those that need no REX prefix first.
#define PREFERRED (SET(RAX) | SET(RCX) | SET(RDX) | SET(RSI) | SET(RDI) | SET(R8) | SET(R9) | SET(R10))

// --- calling conventions -------------------------------------------------------------------------

static const struct jit_convention sysv = {
    .entry = {X86_RDI, X86_RSI, X86_RDX, X86_RCX},
    .helper = {X86_RDI, X86_RSI, X86_RDX, X86_RCX, X86_R8, X86_R9},
    .local = {X86_RDI, X86_RSI, X86_RDX, X86_RCX, X86_R8, X86_R9, X86_RAX},
    .result = X86_RAX,
    .callee_saved = SET(RBX) | SET(RBP) | SET(R12) | SET(R13) | SET(R14) | SET(R15),
};

// rdi and rsi carry arguments of local calls although callees preserve them: what the caller puts there is
// there again when the callee returns, and the caller's own caller gets back what it had.
static const struct jit_convention windows = {
    .entry = {X86_RCX, X86_RDX, X86_R8, X86_R9},
    .helper = {X86_RCX, X86_RDX, X86_R8, X86_R9, IR_REG_NONE, IR_REG_NONE},
    .local = {X86_RCX, X86_RDX, X86_R8, X86_R9, X86_RDI, X86_RSI, X86_RAX},
    .result = X86_RAX,
    .callee_saved = SET(RBX) | SET(RBP) | SET(RDI) | SET(RSI) | SET(R12) | SET(R13) | SET(R14) | SET(R15),
    .call_area = 48,
    .helper_stack = 32,
};

const struct jit_convention *x86_convention(const struct jit *j)
{
    return j->options->abi == JIT_ABI_WINDOWS ? &windows : &sysv;
}

// --- constraints ---------------------------------------------------------------------------------

static void constrain_call(const struct jit *j, const struct ir_value *v, struct jit_constraint *out)
{
    const struct jit_convention *c = x86_convention(j);
    out->clobbers = 0xffffu & ~(c->callee_saved | SET(RSP));
    out->result = c->result;
    for (uint32_t i = 0; v->op == IR_CALL_LOCAL && i < v->b && i < ARRAY_SIZE(c->local); i++) {
        if (ir_at(&j->ir, ir_pool(&j->ir, v)[i])->op != IR_UNDEF) {
            out->clobbers |= REG_SET(c->local[i]);
        }
    }
}

static void constrain_division(const struct ir_value *v, struct jit_constraint *out)
{
    out->clobbers = SET(RAX) | SET(RDX);
    out->forbid[1] = SET(RAX) | SET(RDX);
    out->operand[0] = X86_RAX;
    out->result = v->op == IR_UDIV || v->op == IR_SDIV ? X86_RAX : X86_RDX;
}

static void constrain_product(const struct jit *j, struct jit_constraint *out)
{
    if ((j->options->cpu & JIT_CPU_BMI2) != 0) {
        out->clobbers = SET(RDX);
        out->operand[0] = X86_RDX;
        return;
    }
    out->clobbers = SET(RAX) | SET(RDX);
    out->operand[0] = X86_RAX;
    out->result = X86_RDX;
}

static void constrain_shift(const struct jit *j, const struct ir_value *v, struct jit_constraint *out)
{
    bool bmi2 = (j->options->cpu & JIT_CPU_BMI2) != 0;
    if ((v->flags & IR_IMM) == 0 && (v->op == IR_ROL || !bmi2)) {
        out->clobbers = SET(RCX);
        out->operand[1] = X86_RCX;
    }
    if ((v->flags & IR_IMM) != 0 || v->op == IR_ROL || !bmi2) {
        out->same = 1;
    }
}

static void constrain_exchange(struct jit_constraint *out)
{
    out->clobbers = SET(RAX);
    out->forbid[0] = out->forbid[2] = SET(RAX);
    out->result = X86_RAX;
}

static void constrain_tail(const struct jit *j, struct jit_constraint *out)
{
    const struct jit_convention *c = x86_convention(j);
    out->operand[0] = X86_RAX;
    out->operand[1] = c->entry[0];
    out->operand[2] = c->entry[2];
    out->operand[3] = c->entry[3];
}

static void constrain(const struct jit *j, const struct ir_value *v, struct jit_constraint *out)
{
    *out = (struct jit_constraint){.result = IR_REG_NONE};
    memset(out->operand, IR_REG_NONE, sizeof(out->operand));
    switch (v->op) {
    case IR_CALL:
    case IR_CALL_LOCAL: constrain_call(j, v, out); break;
    case IR_UDIV:
    case IR_UMOD:
    case IR_SDIV:
    case IR_SMOD: constrain_division(v, out); break;
    case IR_MULHU: constrain_product(j, out); break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROL: constrain_shift(j, v, out); break;
    case IR_FETCH_OR:
    case IR_FETCH_AND:
    case IR_FETCH_XOR: constrain_exchange(out); break;
    case IR_CMPXCHG:
        constrain_exchange(out);
        out->operand[1] = X86_RAX;
        break;
    case IR_SWITCH: out->clobbers = SET(RAX); break;
    case IR_RET: out->operand[0] = X86_RAX; break;
    case IR_TAIL: constrain_tail(j, out); break;
    case IR_SUB:
        out->same = 1;
        out->late = (v->flags & IR_IMM) != 0 ? 0 : 1u << 1; // b - a takes a step more than a - b
        break;
    case IR_ADD:
    case IR_MUL:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_NEG:
    case IR_BSWAP:
    case IR_BITS: out->same = 1; break;
    case IR_SELECT: out->same = 4; break;
    default: break;
    }
}

#define PLAIN                                                                                                \
    (OP_BIT(IR_FRAME) | OP_BIT(IR_CONST) | OP_BIT(IR_MAP) | OP_BIT(IR_SEXT) | OP_BIT(IR_ZEXT) |              \
     OP_BIT(IR_ANDN) | OP_BIT(IR_LEA) | OP_BIT(IR_LOAD) | OP_BIT(IR_LOADS) | OP_BIT(IR_LOADBE) |             \
     OP_BIT(IR_STORE) | OP_BIT(IR_STOREBE) | OP_BIT(IR_JUMP) | OP_BIT(IR_BRANCH))
#define TWO_ADDRESS                                                                                          \
    (OP_BIT(IR_ADD) | OP_BIT(IR_MUL) | OP_BIT(IR_AND) | OP_BIT(IR_OR) | OP_BIT(IR_XOR) | OP_BIT(IR_NEG) |    \
     OP_BIT(IR_BSWAP) | OP_BIT(IR_BITS))
#define TWO_ADDRESS_NUMBER                                                                                   \
    (OP_BIT(IR_SUB) | OP_BIT(IR_SHL) | OP_BIT(IR_SHR) | OP_BIT(IR_SAR) | OP_BIT(IR_ROL))

const struct jit_target x86_target = {
    .name = "x86-64",
    .register_count = X86_REG_COUNT,
    .register_names = register_names,
    .allocatable = ALL,
    .allocatable_spills = ALL & ~SET(R10),
    .preferred = PREFERRED,
    .immediate_moves_are_free = true,
    .lower = x86_lower,
    .plain = PLAIN,
    .two_address = TWO_ADDRESS,
    .two_address_number = TWO_ADDRESS_NUMBER,
    .constrain = constrain,
    .start = x86_start,
    .emit = x86_emit,
    .finish = x86_finish_code,
    .link = x86_link,
};
