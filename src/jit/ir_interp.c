// SPDX-License-Identifier: MIT
// ir_interp: runs the intermediate form of a function, before or after lowering, so that tests can tell
// errors of the passes from errors of allocation and encoding. Addresses are real ones.
#include "jit/opt_fold.h"

#define MAX_ARGS 8

struct interp {
    struct jit *j;
    const struct ir *ir;
    struct ir_machine *m;
    uint64_t *values, *next;    // next: PHIs are read all at once
    uint32_t block, from, edge; // edge: which of the edges between the two
    uint64_t result;
    bool done;
};

static uint64_t value_of(const struct interp *in, uint32_t value)
{
    return value == IR_NONE ? 0 : in->values[value];
}

// --- memory --------------------------------------------------------------------------------------

static uint64_t read_memory(uint64_t address, unsigned bits)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)(uintptr_t)address, bits / 8);
    return value;
}

static void write_memory(uint64_t address, unsigned bits, uint64_t value)
{
    memcpy((void *)(uintptr_t)address, &value, bits / 8);
}

static uint64_t swap(uint64_t value, unsigned bits)
{
    return bits == 8 ? value & 0xff : __builtin_bswap64(value) >> (64 - bits);
}

static uint64_t address(const struct interp *in, const struct ir_value *v)
{
    bool indexed = (ir_op_info(v->op)->flags & IR_ADDR) != 0;
    uint64_t index = indexed ? value_of(in, v->b) << v->scale : 0;
    return value_of(in, v->a) + index + (uint64_t)(int64_t)v->disp;
}

static uint64_t run_load(const struct interp *in, const struct ir_value *v)
{
    uint64_t value = read_memory(address(in, v), v->width);
    switch (v->op) {
    case IR_LOADS: return fold_sign_extend(value, v->width);
    case IR_LOADBE: return swap(value, v->width);
    default: return value;
    }
}

static void run_store(const struct interp *in, const struct ir_value *v)
{
    uint64_t value = (v->flags & IR_IMM) != 0 ? (uint64_t)v->imm : value_of(in, v->c);
    write_memory(address(in, v), v->width, v->op == IR_STOREBE ? swap(value, v->width) : value);
}

static uint64_t run_atomic(const struct interp *in, const struct ir_value *v)
{
    uint64_t old = read_memory(address(in, v), v->width), mask = fold_mask(v->width);
    if (v->op != IR_CMPXCHG || old == (value_of(in, v->b) & mask)) {
        write_memory(address(in, v), v->width, fold_atomic(v->op, v->width, old, value_of(in, v->c)));
    }
    return old;
}

// --- calls, and what the program's surroundings say -----------------------------------------------

static uint64_t call_out(struct interp *in, const struct ir_value *v, const uint64_t *args, uint32_t count)
{
    return in->m->call == NULL ? 0 : in->m->call(in->m->user, v->op, v->imm, args, count);
}

static uint64_t run_call(struct interp *in, const struct ir_value *v)
{
    uint64_t args[MAX_ARGS];
    const uint32_t *list = ir_pool(in->ir, v);
    uint32_t count = min_u32(v->b, MAX_ARGS);
    for (uint32_t i = 0; i < count; i++) {
        args[i] = value_of(in, list[i]);
    }
    return call_out(in, v, args, count);
}

static uint64_t map_address(struct interp *in, const struct ir_value *v)
{
    const struct jit_input *input = in->j->input;
    if (input != NULL && (uint64_t)v->imm < input->map_count) {
        return input->maps[v->imm].address;
    }
    return call_out(in, v, NULL, 0);
}

// --- flow ----------------------------------------------------------------------------------------

// Goes to successor `i`.
static void go(struct interp *in, uint32_t i)
{
    const struct ir_block *b = ir_block_at(in->ir, in->block);
    uint32_t to = ir_successor(b, i);
    in->edge = 0;
    for (uint32_t k = 0; k < i; k++) {
        in->edge += ir_successor(b, k) == to;
    }
    in->from = in->block;
    in->block = to;
}

static void run_tail(struct interp *in, const struct ir_value *v)
{
    uint64_t args[] = {value_of(in, v->a), value_of(in, v->b), value_of(in, v->c), value_of(in, v->d)};
    in->result = call_out(in, v, args, 4);
    in->done = true;
}

static ebpf_result_t run_end(struct interp *in, const struct ir_value *v)
{
    uint64_t a = value_of(in, v->a);
    uint64_t b = (v->flags & IR_IMM) != 0 ? (uint64_t)v->imm : value_of(in, v->b);
    switch (v->op) {
    case IR_JUMP: go(in, 0); return EBPF_SUCCESS;
    case IR_BRANCH: go(in, fold_condition(v->cond, v->cwidth, a, b) ? 0 : 1); return EBPF_SUCCESS;
    case IR_SWITCH:
        if (a >= ir_block_at(in->ir, in->block)->target_count) {
            return EBPF_INVALID_ARGUMENT;
        }
        go(in, (uint32_t)a);
        return EBPF_SUCCESS;
    case IR_TAIL: run_tail(in, v); return EBPF_SUCCESS;
    default:
        in->result = a;
        in->done = true;
        return EBPF_SUCCESS;
    }
}

// Place of the edge that was taken among the predecessors; UINT32_MAX: it is not there.
static uint32_t find_pred(const struct interp *in, const struct ir_block *b)
{
    uint32_t skip = in->edge;
    for (uint32_t p = 0; p < b->pred_count; p++) {
        if (b->preds[p] == in->from && skip-- == 0) {
            return p;
        }
    }
    return UINT32_MAX;
}

static ebpf_result_t run_phis(struct interp *in)
{
    const struct ir_block *b = ir_block_at(in->ir, in->block);
    uint32_t pred = in->from == IR_NONE ? 0 : find_pred(in, b);
    for (uint32_t v = b->first; v != IR_NONE; v = ir_next(in->ir, v)) {
        const struct ir_value *phi = ir_at(in->ir, v);
        if (phi->op == IR_PHI) {
            if (pred >= phi->b) {
                return EBPF_INVALID_ARGUMENT;
            }
            in->next[v] = value_of(in, ir_pool(in->ir, phi)[pred]);
        }
    }
    for (uint32_t v = b->first; v != IR_NONE; v = ir_next(in->ir, v)) {
        if (ir_at(in->ir, v)->op == IR_PHI) {
            in->values[v] = in->next[v];
        }
    }
    return EBPF_SUCCESS;
}

// --- values --------------------------------------------------------------------------------------

static bool run_pure(struct interp *in, const struct ir_value *v, uint64_t *result)
{
    uint64_t operands[4] = {0};
    uint32_t count = ir_operand_count(v);
    const uint32_t names[4] = {v->a, v->b, v->c, v->d};
    for (uint32_t i = 0; i < count; i++) {
        operands[i] = value_of(in, names[i]);
    }
    return fold_value(v, operands, result);
}

static ebpf_result_t run_value(struct interp *in, uint32_t value)
{
    const struct ir_value *v = ir_at(in->ir, value);
    uint64_t *out = &in->values[value];
    if ((ir_op_info(v->op)->flags & IR_END) != 0) {
        return run_end(in, v);
    }
    switch (v->op) {
    case IR_NOP:
    case IR_PHI:
    case IR_UNDEF: break;
    case IR_COPY: *out = value_of(in, v->a); break;
    case IR_PARAM: *out = in->m->params[v->imm]; break;
    case IR_FRAME: *out = in->m->frame_top; break;
    case IR_CONST: *out = (uint64_t)v->imm; break;
    case IR_MAP: *out = map_address(in, v); break;
    case IR_LOAD:
    case IR_LOADS:
    case IR_LOADBE: *out = run_load(in, v); break;
    case IR_STORE:
    case IR_STOREBE: run_store(in, v); break;
    case IR_HELPER:
    case IR_CALL:
    case IR_CALL_LOCAL: *out = run_call(in, v); break;
    default:
        if (v->op >= IR_ATOMIC_ADD && v->op <= IR_CMPXCHG) {
            *out = run_atomic(in, v);
        } else if (!run_pure(in, v, out)) {
            return EBPF_INVALID_ARGUMENT;
        }
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t run_block(struct interp *in)
{
    TRY(run_phis(in));
    uint32_t v = ir_block_at(in->ir, in->block)->first;
    while (v != IR_NONE) {
        if (in->m->steps-- == 0) {
            return EBPF_TIMEOUT;
        }
        uint32_t next = ir_next(in->ir, v);
        TRY(run_value(in, v));
        v = next;
    }
    return EBPF_SUCCESS;
}

ebpf_result_t ir_run(struct jit *j, struct ir_machine *m, uint64_t *result)
{
    struct interp in = {.j = j, .ir = &j->ir, .m = m, .block = j->ir.entry};
    size_t mark = j->memory.used, size = (size_t)j->ir.value_count * sizeof(uint64_t);
    in.values = jit_alloc(j, j->ir.value_count, sizeof(uint64_t));
    in.next = jit_alloc(j, j->ir.value_count, sizeof(uint64_t));
    ebpf_result_t end = in.values == NULL || in.next == NULL ? EBPF_NO_MEMORY : EBPF_SUCCESS;
    if (end == EBPF_SUCCESS) {
        memset(in.values, 0xa5, size); // what is read before it was written differs from what it should be
    }
    while (end == EBPF_SUCCESS && !in.done) {
        end = run_block(&in);
    }
    jit_rewind(j, mark);
    if (end == EBPF_SUCCESS) {
        *result = in.result;
    }
    return end;
}
