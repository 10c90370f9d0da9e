// SPDX-License-Identifier: MIT
// reference: one switch over the rows of isa.def, arithmetic from isa_ops.def.
#include "tests/jit/reference.h"

#include "tests/concrete.h"

enum { SHIFT_ROOM = 4096, MAX_TAIL_CALLS = 33 };

struct frame {
    uint64_t saved[4]; // r6-r9
    uint16_t saved_init;
    uint32_t back;
    const struct jit_input *input; // goes on; a tail call below leaves another one behind
};

struct machine {
    struct reference *r;
    const struct jit_input *input;
    uint64_t regs[INSN_REG_COUNT];
    uint16_t init; // registers that were written
    uint32_t pc, depth;
    struct frame frames[INSN_MAX_FRAMES];
    uint8_t *stack;
    bool ended;
    uint32_t tail_calls;
};

static uint8_t stack_room[INSN_MAX_FRAMES * INSN_STACK_SIZE + SHIFT_ROOM] __attribute__((aligned(16)));
static bool stack_init[INSN_MAX_FRAMES * INSN_STACK_SIZE];

static bool fail(struct machine *m, const char *why)
{
    m->r->fault = why;
    return false;
}

// --- arithmetic ----------------------------------------------------------------------------------

static uint64_t low_bits(uint64_t value, unsigned bits)
{
    return bits == 64 ? value : value & (((uint64_t)1 << bits) - 1);
}

static uint64_t swapped(uint64_t value, unsigned bits)
{
    return __builtin_bswap64(value) >> (64 - bits);
}

static uint64_t unary_or_binary(const struct insn_info *info, uint64_t d, uint64_t s)
{
    switch (info->sem) {
    case SEM_LE: return low_bits(d, info->width);
    case SEM_BE:
    case SEM_BSWAP: return swapped(d, info->width);
    default: return concrete(info->sem, info->width, d, s);
    }
}

// --- registers and memory ------------------------------------------------------------------------

static bool get(struct machine *m, unsigned reg, uint64_t *out)
{
    *out = m->regs[reg];
    return (m->init >> reg & 1) != 0 || fail(m, "a register is read that was not written");
}

static void set(struct machine *m, unsigned reg, uint64_t value)
{
    m->regs[reg] = value;
    m->init |= (uint16_t)(1u << reg);
}

// The stack's frame that holds all the bytes; its index in stack_init, or -1.
static int64_t stack_index(const struct machine *m, uint64_t address, unsigned bytes)
{
    uint64_t at = address - (uintptr_t)m->stack;
    uint64_t frame = at / INSN_STACK_SIZE;
    return frame <= m->depth && (at + bytes - 1) / INSN_STACK_SIZE == frame ? (int64_t)at : -1;
}

static bool is_known(const struct machine *m, uint64_t address, unsigned bytes)
{
    for (uint32_t i = 0; i < m->r->region_count; i++) {
        const struct region *region = &m->r->regions[i];
        uint64_t at = address - (uintptr_t)region->start;
        if (at < region->size && region->size - at >= bytes) {
            return true;
        }
    }
    return false;
}

static bool touch(struct machine *m, uint64_t address, unsigned bytes, bool reads, bool writes)
{
    int64_t at = stack_index(m, address, bytes);
    if (at < 0) {
        return is_known(m, address, bytes) || fail(m, "an access is outside the known memory");
    }
    for (unsigned i = 0; i < bytes; i++) {
        if (reads && !stack_init[at + i]) {
            return fail(m, "a stack byte is read that was not written");
        }
        stack_init[at + i] |= writes;
    }
    return true;
}

static struct machine *running;

bool reference_allows(uint64_t address, uint64_t bytes, bool writes)
{
    for (uint64_t i = 0; i < bytes; i++) {
        if (running == NULL || bytes > INSN_STACK_SIZE || !touch(running, address + i, 1, !writes, writes)) {
            return false;
        }
    }
    return true;
}

static bool load(struct machine *m, uint64_t address, unsigned bits, uint64_t *out)
{
    *out = 0;
    if (!touch(m, address, bits / 8, true, false)) {
        return false;
    }
    memcpy(out, (const void *)(uintptr_t)address, bits / 8);
    return true;
}

static bool store(struct machine *m, uint64_t address, unsigned bits, uint64_t value)
{
    if (!touch(m, address, bits / 8, false, true)) {
        return false;
    }
    memcpy((void *)(uintptr_t)address, &value, bits / 8);
    return true;
}

static uint64_t combine(unsigned sem, uint64_t old, uint64_t operand)
{
    switch (sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_FETCH_ADD: return old + operand;
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_FETCH_OR: return old | operand;
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_FETCH_AND: return old & operand;
    case SEM_ATOMIC_XOR:
    case SEM_ATOMIC_FETCH_XOR: return old ^ operand;
    default: return operand;
    }
}

static bool is_fetching(unsigned sem)
{
    return sem >= SEM_ATOMIC_FETCH_ADD && sem <= SEM_ATOMIC_XCHG;
}

static bool run_atomic(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint64_t base, operand, old, expected;
    if (!get(m, in->dst, &base) || !get(m, in->src, &operand)) {
        return false;
    }
    uint64_t address = base + (uint64_t)(int64_t)in->off;
    if (address % (info->width / 8) != 0) {
        return fail(m, "an atomic access is not aligned");
    }
    if (!load(m, address, info->width, &old)) {
        return false;
    }
    if (info->sem == SEM_ATOMIC_CMPXCHG) {
        if (!get(m, 0, &expected)) {
            return false;
        }
        set(m, 0, old);
        return low_bits(expected, info->width) != old || store(m, address, info->width, operand);
    }
    if (is_fetching(info->sem)) {
        set(m, in->src, old);
    }
    return store(m, address, info->width, combine(info->sem, old, operand));
}

// --- flow ----------------------------------------------------------------------------------------

static uint64_t frame_top(const struct machine *m)
{
    return (uintptr_t)m->stack + (uint64_t)(m->depth + 1) * INSN_STACK_SIZE;
}

static void clobber_arguments(struct machine *m)
{
    m->init &= (uint16_t)~0x3eu;
}

static void begin(struct machine *m, const struct jit_input *input, uint64_t r1, uint64_t r2)
{
    size_t frame = m->depth * INSN_STACK_SIZE;
    m->input = input;
    m->pc = 0;
    m->init = 0;
    memset(stack_init + frame, 0, sizeof(stack_init) - frame);
    set(m, 1, r1);
    set(m, 2, r2);
    set(m, 10, frame_top(m));
}

// The next program takes the place of the function that leaves for it.
static bool tail_call(struct machine *m)
{
    const struct jit_input *next = m->r->program_at(m->r->run->number);
    if (next == NULL || ++m->tail_calls > MAX_TAIL_CALLS) {
        return fail(m, "a tail call goes nowhere");
    }
    begin(m, next, m->regs[1], 0);
    m->init = 1 << 1 | 1 << 10; // only r1 is handed on
    return true;
}

static uint64_t call(const struct machine *m, uint64_t address)
{
    jit_helper_fn fn = (jit_helper_fn)(uintptr_t)address;
    const uint64_t *r = m->regs;
    return fn(r[1], r[2], r[3], r[4], r[5], m->r->run);
}

static bool call_number(struct machine *m, uint64_t number)
{
    if (m->input->call_number == 0) {
        return fail(m, "there are no calls by number");
    }
    unsigned count = number < m->input->helper_count ? m->input->helpers[number].arg_count : 5;
    for (unsigned i = 1; i <= count; i++) {
        uint64_t ignored;
        if (!get(m, i, &ignored)) {
            return false;
        }
    }
    m->r->run->number = number;
    set(m, 0, call(m, m->input->call_number));
    clobber_arguments(m);
    m->pc++;
    return true;
}

static bool call_helper(struct machine *m, int64_t id)
{
    if (m->input->raw) {
        return call_number(m, (uint64_t)id);
    }
    const struct jit_helper *helper = &m->input->helpers[id < m->input->helper_count ? id : 0];
    for (unsigned i = 1; i <= helper->arg_count; i++) {
        uint64_t ignored;
        if (!get(m, i, &ignored)) {
            return false;
        }
    }
    if (id <= 0 || helper->kind == JIT_HELPER_NONE) {
        return fail(m, "a helper does not exist");
    }
    uint64_t result = call(m, helper->address);
    if (helper->kind == JIT_HELPER_TAIL_CALL && result == 0) {
        return tail_call(m);
    }
    set(m, 0, result);
    clobber_arguments(m);
    m->pc++;
    return true;
}

static bool call_local(struct machine *m, const struct insn *in)
{
    struct frame *f = &m->frames[m->depth];
    if (m->depth + 1 == INSN_MAX_FRAMES) {
        return fail(m, "calls nest too deep");
    }
    memcpy(f->saved, &m->regs[6], sizeof(f->saved));
    f->saved_init = m->init & 0x3c0;
    f->back = m->pc + 1;
    f->input = m->input;
    m->depth++;
    memset(&stack_init[m->depth * INSN_STACK_SIZE], 0, INSN_STACK_SIZE);
    m->init &= 0x3e;
    set(m, 10, frame_top(m));
    m->pc = (uint32_t)insn_target(in, m->pc);
    return true;
}

static bool leave(struct machine *m)
{
    if (!get(m, 0, &m->r->result)) {
        return false;
    }
    if (m->depth == 0) {
        m->ended = true;
        return true;
    }
    const struct frame *f = &m->frames[--m->depth];
    memcpy(&m->regs[6], f->saved, sizeof(f->saved));
    m->init = f->saved_init;
    set(m, 0, m->r->result);
    set(m, 10, frame_top(m));
    m->pc = f->back;
    m->input = f->input;
    return true;
}

static bool load_packet(struct machine *m, uint32_t offset, unsigned bytes)
{
    jit_helper_fn fn = (jit_helper_fn)(uintptr_t)m->input->load_packet;
    uint64_t value = fn(offset, bytes, 0, 0, 0, m->r->run);
    if (m->r->run->aborted != 0) {
        m->r->result = 0;
        m->ended = true;
        return true;
    }
    set(m, 0, value);
    clobber_arguments(m);
    m->pc++;
    return true;
}

static bool jump_if(struct machine *m, const struct insn *in, bool taken)
{
    m->pc = taken ? (uint32_t)insn_target(in, m->pc) : m->pc + 1;
    return true;
}

static bool compare(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint64_t d, s = (uint64_t)in->imm;
    if (!get(m, in->dst, &d) || (info->form == FORM_JMP_REG && !get(m, in->src, &s))) {
        return false;
    }
    return jump_if(m, in, concrete(info->sem, info->width, d, s) != 0);
}

static bool compute(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    bool moves = info->sem == SEM_MOV || (info->sem >= SEM_MOVSX8 && info->sem <= SEM_MOVSX32);
    uint64_t d = 0, s = (uint64_t)in->imm;
    if ((!moves && !get(m, in->dst, &d)) || (info->form == FORM_ALU_REG && !get(m, in->src, &s))) {
        return false;
    }
    set(m, in->dst, unary_or_binary(info, d, s));
    m->pc++;
    return true;
}

static bool access(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint64_t base, value = (uint64_t)in->imm;
    bool loads = info->form == FORM_LOAD;
    if (!get(m, loads ? in->src : in->dst, &base) ||
        (info->form == FORM_STORE_REG && !get(m, in->src, &value))) {
        return false;
    }
    uint64_t address = base + (uint64_t)(int64_t)in->off;
    m->pc++;
    if (!loads) {
        return store(m, address, info->width, value);
    }
    if (!load(m, address, info->width, &value)) {
        return false;
    }
    unsigned spare = 64u - info->width;
    set(m, in->dst, info->sem == SEM_LDXS ? (uint64_t)((int64_t)(value << spare) >> spare) : value);
    return true;
}

static bool load_constant(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint64_t value = (uint64_t)in->imm;
    if (info->sem == SEM_LDDW_MAP) {
        value = m->input->maps[in->imm].address;
    } else if (info->sem != SEM_LDDW) {
        return fail(m, "this immediate is not for machines");
    }
    set(m, in->dst, value);
    m->pc += 2;
    return true;
}

static bool indirect_packet(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint64_t index;
    return get(m, in->src, &index) && load_packet(m, (uint32_t)in->imm + (uint32_t)index, info->width / 8);
}

static bool call_any(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    switch (info->sem) {
    case SEM_CALL: return call_helper(m, in->imm);
    case SEM_CALL_LOCAL: return call_local(m, in);
    default: return fail(m, "kernel functions are not there");
    }
}

static bool may_goto(struct machine *m, const struct insn *in)
{
    bool ends = m->r->run->turns == 0;
    m->r->run->turns -= ends ? 0 : 1;
    return jump_if(m, in, ends);
}

static bool step(struct machine *m)
{
    const struct insn *in = &m->input->insns[m->pc];
    const struct insn_info *info = insn_info(in->id);
    uint64_t number;
    switch (info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG:
    case FORM_ALU_UNARY: return compute(m, in, info);
    case FORM_JMP_IMM:
    case FORM_JMP_REG: return compare(m, in, info);
    case FORM_JA16:
    case FORM_JA32: return jump_if(m, in, true);
    case FORM_MAY_GOTO: return may_goto(m, in);
    case FORM_CALL: return call_any(m, in, info);
    case FORM_CALLX: return get(m, in->dst, &number) && call_number(m, number);
    case FORM_EXIT: return leave(m);
    case FORM_LOAD:
    case FORM_STORE_IMM:
    case FORM_STORE_REG: return access(m, in, info);
    case FORM_LDDW: return load_constant(m, in, info);
    case FORM_LDABS: return load_packet(m, (uint32_t)in->imm, info->width / 8);
    case FORM_LDIND: return indirect_packet(m, in, info);
    case FORM_ATOMIC: m->pc++; return run_atomic(m, in, info);
    default: return fail(m, "the program leaves its instructions");
    }
}

bool reference_run(struct reference *r)
{
    struct machine m = {.r = r, .stack = stack_room + r->shift};
    running = &m;
    memset(stack_room, r->shift == 0 ? 0xa5 : 0x5a, sizeof(stack_room));
    r->fault = NULL;
    begin(&m, r->input, r->r1, r->r2);
    for (r->steps = 0; !m.ended; r->steps++) {
        r->pc = m.pc;
        if (r->steps == r->limit) {
            return fail(&m, "it runs for too long");
        }
        if (m.pc >= m.input->insn_count) {
            return fail(&m, "it runs off its end");
        }
        if (!step(&m)) {
            return false;
        }
    }
    return true;
}
