// SPDX-License-Identifier: MIT
// build_machine: runs bytecode as RFC 9669 says, for tests that compare it with the intermediate form. Slow
// and plain on purpose; its arithmetic is that of isa_ops.def.
#pragma once

#include "jit/build_fixture.h"

struct machine {
    const struct jit_input *input;
    struct jit_run *run;
    uint64_t steps; // that are left
    bool native;    // frames grow downwards
};

#define U uint64_t
#define S int64_t
#define W 64
static inline uint64_t machine_alu64(uint8_t sem, U d, U s)
{
    switch (sem) {
#define ALU_OP(sem, text, expression)                                                                        \
    case SEM_##sem: return (expression);
#define JMP_OP(sem, text, condition)                                                                         \
    case SEM_##sem: return (condition);
#include "isa/isa_ops.def"
    default: return 0;
    }
}
#undef U
#undef S
#undef W
#define U uint32_t
#define S int32_t
#define W 32
static inline uint64_t machine_alu32(uint8_t sem, U d, U s)
{
    switch (sem) {
#include "isa/isa_ops.def"
    default: return 0;
    }
}
#undef ALU_OP
#undef JMP_OP
#undef U
#undef S
#undef W

static inline uint64_t machine_compute(const struct insn_info *info, uint64_t d, uint64_t s)
{
    if (info->sem == SEM_LE || info->sem == SEM_BE || info->sem == SEM_BSWAP) {
        uint64_t low = info->width == 64 ? d : d & (((uint64_t)1 << info->width) - 1);
        return info->sem == SEM_LE ? low : __builtin_bswap64(low) >> (64 - info->width);
    }
    return info->width == 64 ? machine_alu64(info->sem, d, s)
                             : machine_alu32(info->sem, (uint32_t)d, (uint32_t)s);
}

static inline uint64_t machine_load(uint64_t address, const struct insn_info *info)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)(uintptr_t)address, info->width / 8u);
    unsigned shift = 64u - info->width;
    return info->sem == SEM_LDXS ? (uint64_t)((int64_t)(value << shift) >> shift) : value;
}

static inline void machine_atomic(const struct insn *in, const struct insn_info *info, uint64_t *r)
{
    void *at = (void *)(uintptr_t)(r[in->dst] + (uint64_t)(int64_t)in->off);
    uint64_t old = machine_load((uintptr_t)at, info), source = r[in->src], new = source;
    uint64_t mask = info->width == 64 ? UINT64_MAX : UINT32_MAX;
    bool swaps = true;
    switch (info->sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_FETCH_ADD: new = old + source; break;
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_FETCH_OR: new = old | source; break;
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_FETCH_AND: new = old &source; break;
    case SEM_ATOMIC_XOR:
    case SEM_ATOMIC_FETCH_XOR: new = old ^ source; break;
    case SEM_ATOMIC_CMPXCHG: swaps = old == (r[0] & mask); break;
    default: break;
    }
    if (swaps) {
        memcpy(at, &new, info->width / 8u);
    }
    if (info->sem == SEM_ATOMIC_CMPXCHG) {
        r[0] = old;
    } else if (info->sem >= SEM_ATOMIC_FETCH_ADD) {
        r[in->src] = old;
    }
}

// Memory that FIXTURE_PLAIN reads and writes where its first argument points to it.
static uint64_t machine_low, machine_high;

static inline uint64_t machine_plain(const uint64_t *args)
{
    uint32_t word = 0;
    if (args[0] >= machine_low && args[0] < machine_high) {
        memcpy(&word, (const void *)(uintptr_t)args[0], sizeof(word));
        word += (uint32_t)args[1];
        memcpy((void *)(uintptr_t)args[0], &word, sizeof(word));
    }
    return args[0] * 3 + args[1] + word + 1;
}

// What the fixture's helpers do.
static inline uint64_t machine_helper(const struct jit_input *input, uint32_t helper, const uint64_t *args,
                                      const struct jit_run *run)
{
    if (helper == FIXTURE_CPU) {
        return run->slot;
    }
    if (helper != FIXTURE_LOOKUP) {
        return machine_plain(args);
    }
    for (uint32_t i = 0; i < input->map_count; i++) {
        const struct jit_map *map = &input->maps[i];
        uint32_t key;
        memcpy(&key, (const void *)(uintptr_t)args[1], sizeof(key));
        if (map->address == args[0]) {
            uint64_t cpu = map->kind == JIT_MAP_PERCPU_ARRAY ? run->slot * map->cpu_stride : 0;
            return key < map->max_entries ? map->values + cpu + (uint64_t)key * map->stride : 0;
        }
    }
    return 0;
}

static inline uint64_t machine_packet(struct jit_run *run, uint64_t offset, uint64_t bytes)
{
    if (offset + bytes > 64) {
        run->aborted = 1;
        return 0;
    }
    return offset * 7 + bytes;
}

// Runs function `func` on a frame; false: steps are used up.
static inline bool machine_run(struct machine *m, uint32_t func, const uint64_t args[5], uint64_t top,
                               uint64_t *result);

static inline bool machine_call(struct machine *m, const struct insn *in, uint32_t pc, uint64_t *r)
{
    uint32_t func = 0;
    if (in->id == INSN_CALL) {
        r[0] = machine_helper(m->input, (uint32_t)in->imm, &r[1], m->run);
        return true;
    }
    if (in->id == INSN_CALLX) {
        r[0] = r[in->dst] * 5 + r[1] + r[5];
        return true;
    }
    while (m->input->funcs[func].start != insn_target(in, pc)) {
        func++;
    }
    uint64_t top = m->native ? r[10] - INSN_STACK_SIZE : r[10] + INSN_STACK_SIZE;
    return machine_run(m, func, &r[1], top, &r[0]);
}

static inline bool machine_jumps(struct machine *m, const struct insn *in, const struct insn_info *info,
                                 const uint64_t *r)
{
    if (in->id == INSN_MAY_GOTO) {
        return m->run->turns == 0 || m->run->turns-- == 0;
    }
    uint64_t second = info->form == FORM_JMP_IMM ? (uint64_t)in->imm : r[in->src];
    return !insn_is_conditional(in) || machine_compute(info, r[in->dst], second) != 0;
}

static inline void machine_simple(struct machine *m, const struct insn *in, uint64_t *r)
{
    const struct insn_info *info = insn_info(in->id);
    void *to = (void *)(uintptr_t)(r[in->dst] + (uint64_t)(int64_t)in->off);
    switch (info->form) {
    case FORM_ALU_IMM: r[in->dst] = machine_compute(info, r[in->dst], (uint64_t)in->imm); break;
    case FORM_ALU_REG: r[in->dst] = machine_compute(info, r[in->dst], r[in->src]); break;
    case FORM_ALU_UNARY: r[in->dst] = machine_compute(info, r[in->dst], 0); break;
    case FORM_LOAD: r[in->dst] = machine_load(r[in->src] + (uint64_t)(int64_t)in->off, info); break;
    case FORM_STORE_IMM: memcpy(to, &in->imm, info->width / 8u); break;
    case FORM_STORE_REG: memcpy(to, &r[in->src], info->width / 8u); break;
    case FORM_ATOMIC: machine_atomic(in, info, r); break;
    case FORM_LDABS: r[0] = machine_packet(m->run, (uint32_t)in->imm, info->width / 8u); break;
    case FORM_LDIND:
        r[0] = machine_packet(m->run, (uint32_t)((uint64_t)in->imm + r[in->src]), info->width / 8u);
        break;
    default:
        r[in->dst] = in->id == INSN_LDDW_MAP ? m->input->maps[in->imm].address : (uint64_t)in->imm;
        break;
    }
}

static inline bool machine_run(struct machine *m, uint32_t func, const uint64_t args[5], uint64_t top,
                               uint64_t *result)
{
    uint64_t r[INSN_REG_COUNT] = {0, args[0], args[1], args[2], args[3], args[4]};
    uint32_t pc = m->input->funcs[func].start;
    r[10] = top;
    for (; m->steps != 0; m->steps--) {
        const struct insn *in = &m->input->insns[pc];
        const struct insn_info *info = insn_info(in->id);
        if (in->id == INSN_EXIT) {
            *result = r[0];
            return true;
        }
        if (insn_is_jump(in)) {
            pc = machine_jumps(m, in, info, r) ? (uint32_t)insn_target(in, pc) : pc + 1;
            continue;
        }
        if (info->form == FORM_CALL || info->form == FORM_CALLX) {
            if (!machine_call(m, in, pc, r)) {
                return false;
            }
        } else {
            machine_simple(m, in, r);
        }
        if (m->run->aborted != 0) {
            *result = 0;
            return true;
        }
        pc += insn_slots(in);
    }
    return false;
}

// ir_machine.call of a struct machine.
static inline uint64_t machine_called(void *user, uint32_t op, int64_t imm, const uint64_t *args,
                                      uint32_t count)
{
    struct machine *m = user;
    uint64_t result = 0;
    if (op == IR_CALL_LOCAL) {
        uint64_t top = m->native ? args[6] - INSN_STACK_SIZE : args[6]; // the caller passes its own there
        return machine_run(m, (uint32_t)imm, args, top, &result) ? result : 0;
    }
    if (op == IR_HELPER) {
        return machine_helper(m->input, (uint32_t)imm, args, m->run);
    }
    if ((uint64_t)imm == m->input->load_packet) {
        return machine_packet(m->run, args[0], args[1]);
    }
    if ((uint64_t)imm == m->input->call_number) {
        return m->run->number * 5 + args[0] + args[4];
    }
    uint32_t helper = (uint32_t)imm / 0x1000; // fixture_helpers
    return machine_helper(m->input, count == 2 ? FIXTURE_LOOKUP : helper, args, m->run);
}
