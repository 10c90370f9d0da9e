// SPDX-License-Identifier: MIT
// interp_decode: turns bound instructions into what the interpreter runs: the handler's address, operands in
// place, distances instead of slots, and pairs of instructions that one handler does.
//
// Invariant of the result: every reachable operation's successor lies in ops[0, count], and ops[count] ends
// the run.
#include "runtime/interp.h"

struct decoder {
    const struct jit_input *from;
    struct interp_code *code;
    const struct interp_labels *labels;
};

static int32_t distance(const struct insn *in, uint32_t pc)
{
    return (int32_t)((insn_target(in, pc) - (int64_t)pc) * (int64_t)sizeof(struct interp_op));
}

static void decode_call(const struct decoder *d, const struct insn *in, uint32_t pc, struct interp_op *op)
{
    if (in->id == INSN_CALL_LOCAL) {
        op->imm = distance(in, pc);
    } else if (d->from->raw) {
        op->label = d->labels->raw_call;
    } else if (d->from->helpers[in->imm].kind == JIT_HELPER_TAIL_CALL) {
        op->label = d->labels->tail_call;
    }
}

// Nearly all numbers are small; then the distance is ready in bytes.
static void decode_jump_imm(const struct decoder *d, const struct insn *in, uint32_t pc, struct interp_op *op)
{
    if (in->imm == (int16_t)in->imm) {
        op->label = d->labels->pairs[in->id].short_jump;
        op->off = (int16_t)in->imm;
        op->imm = distance(in, pc);
    }
}

static void decode_one(const struct decoder *d, uint32_t pc)
{
    const struct insn *in = &d->from->insns[pc];
    struct interp_op *op = &d->code->ops[pc];
    if (in->id == INSN_NONE) {
        return; // its LDDW has filled it
    }
    op->label = d->labels->by_id[in->id];
    op->dst = in->dst;
    op->src = in->src;
    op->off = in->off;
    op->imm = (int32_t)in->imm;
    switch (insn_info(in->id)->form) {
    case FORM_JMP_IMM: decode_jump_imm(d, in, pc, op); break;
    case FORM_JMP_REG:
    case FORM_JA16:
    case FORM_JA32:
    case FORM_MAY_GOTO: op->imm = distance(in, pc); break;
    case FORM_CALL: decode_call(d, in, pc, op); break;
    case FORM_LDDW:
        op[1].value = in->id == INSN_LDDW_MAP ? d->from->maps[in->imm].address : (uint64_t)in->imm;
        break;
    default: break;
    }
}

// --- pairs ---------------------------------------------------------------------------------------

// 64-bit arithmetic needs all of what is copied. What the second one reads besides must not be what it
// writes.
static const void *pair_of_copy(const struct decoder *d, const struct insn *copy, const struct insn *next)
{
    const struct insn_info *info = insn_info(next->id);
    bool whole = copy->id == INSN_MOV64_REG || (copy->id == INSN_MOV32_REG && info->width == 32);
    bool reads_itself = info->form == FORM_ALU_REG && next->src == copy->dst;
    return whole && next->dst == copy->dst && !reads_itself ? d->labels->pairs[next->id].copy : NULL;
}

static const void *pair_of_step(const struct decoder *d, const struct insn *next)
{
    bool is_short = insn_info(next->id)->form != FORM_JMP_IMM || next->imm == (int16_t)next->imm;
    return is_short ? d->labels->pairs[next->id].step : NULL;
}

static const void *pair_of_shifts(const struct decoder *d, const struct insn *left, const struct insn *right)
{
    if (left->imm != 32 || right->imm != 32 || left->dst != right->dst) {
        return NULL;
    }
    return right->id == INSN_RSH64_IMM    ? d->labels->low_half
           : right->id == INSN_ARSH64_IMM ? d->labels->signed_half
                                          : NULL;
}

// A handler of this instruction and the next one, or NULL.
static const void *pair_of(const struct decoder *d, uint32_t pc)
{
    const struct insn *in = &d->from->insns[pc], *next = in + 1;
    switch (in->id) {
    case INSN_MOV64_REG:
    case INSN_MOV32_REG: return pair_of_copy(d, in, next);
    case INSN_ADD64_IMM: return pair_of_step(d, next);
    case INSN_LSH64_IMM: return pair_of_shifts(d, in, next);
    default: return NULL;
    }
}

static void find_pairs(const struct decoder *d)
{
    for (uint32_t pc = 0; pc + 1 < d->from->insn_count; pc++) {
        const void *label = pair_of(d, pc);
        if (label != NULL) {
            d->code->ops[pc].label = label;
        }
    }
}

// --- the whole program ---------------------------------------------------------------------------

static void decode_all(const struct decoder *d)
{
    for (uint32_t pc = 0; pc < d->from->insn_count; pc++) {
        decode_one(d, pc);
    }
    d->code->ops[d->from->insn_count].label = d->labels->end;
}

// Puts the observer before every instruction; the sentinel is none.
static void observe(const struct decoder *d)
{
    for (uint32_t pc = 0; pc < d->code->count; pc += insn_slots(&d->from->insns[pc])) {
        d->code->observed[pc] = d->code->ops[pc].label;
        d->code->ops[pc].label = d->labels->observer;
    }
}

// One piece of memory: the head, the operations, and what the observer hides.
ebpf_result_t interp_decode(struct runtime *rt, const struct jit_input *input, struct interp_code **out)
{
    size_t ops_size = ((size_t)input->insn_count + 1) * sizeof(struct interp_op);
    size_t observed_size = rt->observe != NULL ? input->insn_count * sizeof(void *) : 0;
    struct interp_code *code = plat_alloc(sizeof(*code) + ops_size + observed_size, POOL_TAG_PROGRAM);
    if (code == NULL) {
        return EBPF_NO_MEMORY;
    }
    code->ops = (struct interp_op *)(void *)(code + 1);
    code->observed = (const void **)(void *)((uint8_t *)code->ops + ops_size);
    code->count = input->insn_count;
    code->observe = rt->observe;
    code->observe_user = rt->observe_user;
    struct decoder d = {input, code, interp_labels()};
    decode_all(&d);
    if (code->observe != NULL) {
        observe(&d);
    } else {
        find_pairs(&d);
    }
    *out = code;
    return EBPF_SUCCESS;
}

void interp_free(struct interp_code *code)
{
    plat_free(code);
}

void interp_set_observer(struct runtime *rt,
                         void (*observer)(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT]),
                         void *user)
{
    rt->observe = observer;
    rt->observe_user = user;
}
