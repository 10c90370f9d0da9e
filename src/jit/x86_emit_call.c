// SPDX-License-Identifier: MIT
// x86_emit_call: calls of C functions, which go through stubs behind the code, and of the program's own; what
// comes behind the last function.
#include "jit/x86_emit.h"

#define INT3S UINT64_C(0xcccccccccccccccc)

ebpf_result_t x86_start(struct jit *j);
ebpf_result_t x86_finish_code(struct jit *j);
void x86_link(struct jit_code *code, uint64_t address);

// --- stubs ---------------------------------------------------------------------------------------

// The number of the stub of `target`; there is room for all targets that there are.
static uint32_t find_stub(struct x86_emitter *e, uint64_t target)
{
    uint32_t i = (uint32_t)((target * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
    for (;; i++) {
        uint16_t *number = &e->stub_table[i & (e->table_size - 1)];
        if (*number == 0) {
            if (e->stub_count == e->stub_capacity) {
                return X86_RETPOLINE;
            }
            e->stubs[e->stub_count] = (struct x86_stub){target, X86_CHAIN_END};
            *number = (uint16_t)++e->stub_count;
            i &= e->table_size - 1;
            e->stubs_at[i / 64] |= UINT64_C(1) << i % 64;
        }
        if (e->stubs[*number - 1].target == target) {
            return *number - 1u;
        }
    }
}

static void move_arguments_anywhere(struct x86_emitter *e, const uint32_t *list, const uint8_t *regs,
                                    uint32_t count)
{
    struct jit_move moves[7];
    for (uint32_t i = 0; i < count; i++) {
        struct jit_location to = x86_in_reg(regs[i]);
        if (regs[i] == IR_REG_NONE) {
            to = (struct jit_location){.place = PLACE_STACK_ARG,
                                       .slot = e->convention->helper_stack + 8 * (i - 4)};
        }
        moves[i] = (struct jit_move){to, alloc_location(e->ir, list[i])};
    }
    x86_moves(e, moves, count);
}

static void move_arguments(struct x86_emitter *e, const struct ir_value *v, const uint8_t *regs,
                           uint32_t regs_count)
{
    struct x86_shuffle s;
    const uint32_t *list = ir_pool(e->ir, v);
    uint32_t count = min_u32(v->b, regs_count);
    s.count = s.made_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (regs[i] == IR_REG_NONE || !x86_shuffle_add(e, &s, regs[i], list[i])) {
            move_arguments_anywhere(e, list, regs, count);
            return;
        }
    }
    x86_shuffle_make(e, &s);
}

void x86_emit_call(struct x86_emitter *e, const struct ir_value *v)
{
    move_arguments(e, v, e->convention->helper, ARRAY_SIZE(e->convention->helper));
    uint32_t stub = find_stub(e, (uint64_t)v->imm);
    if (v->imm == 0 || stub == X86_RETPOLINE) {
        e->result = jit_refuse(e->j, v->pc);
        return;
    }
    x86_add_patch(e, X86_PATCH_STUB, 5, stub, 0);
    x86_finish(e, v, X86_RAX);
}

void x86_emit_call_local(struct x86_emitter *e, const struct ir_value *v)
{
    move_arguments(e, v, e->convention->local, ARRAY_SIZE(e->convention->local));
    x86_add_patch(e, X86_PATCH_LOCAL, 5, (uint32_t)v->imm, 0);
    x86_finish(e, v, X86_RAX);
}

// --- the whole program ---------------------------------------------------------------------------

// Functions that can be called: helpers and look-ups, not more than instructions that call or name a map.
static ebpf_result_t allocate_stubs(struct x86_emitter *e)
{
    const struct jit_input *in = e->j->input;
    uint32_t targets = in == NULL ? 16 : min_u32(in->helper_count + in->map_count + 4, in->insn_count + 8);
    e->stub_capacity = in == NULL ? targets : min_u32(targets, e->j->calls + e->j->map_loads);
    e->stub_capacity = min_u32(e->stub_capacity, UINT16_MAX);
    e->table_size = e->stub_capacity > 1 ? 8 : 2; // a single stub is found in any table
    while (e->stub_capacity > 1 && e->table_size < targets + targets / 2) {
        e->table_size *= 2;
    }
    e->stubs_at = jit_alloc(e->j, (e->table_size + 63) / 64, sizeof(*e->stubs_at));
    e->stub_table = jit_alloc(e->j, e->table_size, sizeof(*e->stub_table));
    e->stubs = jit_room(e->j, e->stub_capacity, sizeof(*e->stubs));
    return e->stubs_at == NULL || e->stub_table == NULL || e->stubs == NULL ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

ebpf_result_t x86_start(struct jit *j)
{
    struct x86_emitter e;
    uint32_t funcs = j->input == NULL ? 1 : j->input->func_count;
    e.j = j;
    e.stub_count = 0;
    e.retpoline_chain = X86_CHAIN_END;
    j->emitter = jit_room(j, 1, X86_KEPT);
    e.func_chain = jit_room(j, funcs, sizeof(*e.func_chain));
    if (j->emitter == NULL || e.func_chain == NULL) {
        return EBPF_NO_MEMORY;
    }
    memset(e.func_chain, 0xff, funcs * sizeof(*e.func_chain));
    TRY(allocate_stubs(&e));
    memcpy(j->emitter, &e, X86_KEPT);
    return EBPF_SUCCESS;
}

void x86_resume(struct x86_emitter *e, struct jit *j)
{
    memcpy(e, j->emitter, X86_KEPT);
    e->j = j;
    e->ir = &j->ir;
    e->convention = x86_convention(j);
    e->code = (struct x86_code){j->out->code, j->out->capacity, j->out->size};
}

void x86_keep(const struct x86_emitter *e)
{
    memcpy(e->j->emitter, e, X86_KEPT);
    e->j->out->size = e->code.size;
}

static uint32_t read32(const struct x86_emitter *e, uint32_t at)
{
    uint32_t value;
    __builtin_memcpy(&value, e->code.bytes + at, 4);
    return value;
}

static void write32(struct x86_emitter *e, uint32_t at, uint32_t value)
{
    __builtin_memcpy(e->code.bytes + at, &value, 4);
}

// Each place of a chain has the next one where its displacement belongs.
static void resolve(struct x86_emitter *e, uint32_t chain, uint32_t target)
{
    while (chain != X86_CHAIN_END) {
        uint32_t next = read32(e, chain);
        write32(e, chain, target - (chain + 4));
        chain = next;
    }
}

void x86_align(struct x86_emitter *e)
{
    unsigned count = -(unsigned)e->code.size & 15;
    x86_bytes(&e->code, INT3S, min_u32(count, 8));
    x86_bytes(&e->code, INT3S, count - min_u32(count, 8));
}

static void emit_stub(struct x86_emitter *e, struct x86_stub *stub)
{
    x86_align(e);
    uint32_t start = (uint32_t)e->code.size;
    x86_bytes(&e->code, 0xbb49, 2); // movabs r11: always with 64 bits, so that all stubs look alike
    x86_bytes(&e->code, stub->target, 8);
    if (e->j->options->retpoline) {
        x86_bytes(&e->code, 0xe9, 1);
        uint32_t chain = (uint32_t)e->code.size;
        x86_bytes(&e->code, e->retpoline_chain, 4);
        e->retpoline_chain = chain;
    } else {
        x86_r(&e->code, X86_JMP_RM, 64, X86_SCRATCH);
    }
    if (e->code.size <= e->code.capacity) {
        resolve(e, stub->chain, start);
    }
}

// jmp *r11 that speculation cannot follow: the return is predicted to go to the endless loop.
static void emit_retpoline(struct x86_emitter *e)
{
    static const uint8_t code[] = {
        0xe8, 0x07, 0x00, 0x00, 0x00, // call 2f
        0xf3, 0x90,                   // 1: pause
        0x0f, 0xae, 0xe8,             // lfence
        0xeb, 0xf9,                   // jmp 1b
        0x4c, 0x89, 0x1c, 0x24,       // 2: mov [rsp], r11
        0xc3,                         // ret
    };
    x86_align(e);
    uint32_t start = (uint32_t)e->code.size;
    for (unsigned i = 0; i < sizeof(code); i++) {
        x86_bytes(&e->code, code[i], 1);
    }
    if (e->code.size <= e->code.capacity) {
        resolve(e, e->retpoline_chain, start);
    }
}

ebpf_result_t x86_finish_code(struct jit *j)
{
    struct x86_emitter emitter, *e = &emitter;
    x86_resume(e, j);
    for (uint32_t f = 0; j->input != NULL && f < j->input->func_count; f++) {
        if (e->func_chain[f] != X86_CHAIN_END && j->func_offset[f] == UINT32_MAX) {
            return jit_refuse(j, j->input->funcs[f].start);
        }
        resolve(e, e->func_chain[f], j->func_offset[f]);
    }
    for (uint32_t i = 0; i < e->table_size; i += 64) {
        for (uint64_t left = e->stubs_at[i / 64]; left != 0; left &= left - 1) {
            uint32_t at = i + (uint32_t)__builtin_ctzll(left);
            emit_stub(e, &e->stubs[e->stub_table[at] - 1]);
        }
    }
    if (e->retpoline_chain != X86_CHAIN_END) {
        emit_retpoline(e);
    }
    j->out->size = e->code.size;
    return e->code.size <= e->code.capacity ? EBPF_SUCCESS : EBPF_INSUFFICIENT_BUFFER;
}

void x86_link(struct jit_code *code, uint64_t address)
{
    for (uint32_t i = 0; i < code->call_count; i++) {
        const struct jit_call *call = &code->calls[i];
        int64_t distance = (int64_t)(call->target - (address + call->offset + 5));
        if (x86_fits32(distance)) {
            uint32_t field = (uint32_t)distance;
            memcpy(code->code + call->offset + 1, &field, 4);
        }
    }
}
