// SPDX-License-Identifier: MIT
// Soundness by execution: random programs that the verifier accepts run on random memory in a small machine
// of this test's own. No access may leave its memory or read what was not written, and at every instruction
// some state that the verifier had there must contain the machine: registers, stack cells, initialised bytes,
// packet length.
#include <stdlib.h>

#include "domain/domain.h"
#include "tests/test.h"
#include "verifier/observe.h"
#include "verifier/verifier.h"

enum {
    MAX_INSNS = 256,
    MAX_SNAPSHOTS = 3000,
    MEM_SIZE = 64,
    MAP_SIZE = 64,
    PROGRAMS = 8000,
    RUNS = 6,
    MAX_RUN = 4000
};
#define MEM_BASE     0x100000000u
#define STACK_BASE   0x200000000u // top of frame f is at STACK_BASE + (f + 1) * STACK_STRIDE
#define MAP_BASE     0x300000000u
#define STACK_STRIDE 4096u

static uint64_t seed = 88172645463325252u;
static uint64_t random64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1du;
}

static uint32_t pick(uint32_t below)
{
    return (uint32_t)(random64() >> 33) % below;
}

// --- random programs -----------------------------------------------------------------------------

static struct insn insns[MAX_INSNS];
static uint32_t insn_count, known_length;
static struct func funcs[2];
static struct {
    uint32_t pc, left; // a jump, and the groups of instructions that it still skips
} pending[MAX_INSNS];
static uint32_t pending_count;

static void emit(unsigned id, unsigned dst, unsigned src, int off, int64_t imm)
{
    insns[insn_count++] = (struct insn){
        .id = (uint16_t)id, .dst = (uint8_t)dst, .src = (uint8_t)src, .off = (int16_t)off, .imm = imm};
}

static unsigned number_reg(void)
{
    static const uint8_t regs[] = {0, 3, 4, 5, 8};
    return regs[pick(ARRAY_SIZE(regs))];
}

static int64_t number(void)
{
    static const int64_t special[] = {
        0, 1, -1, 2, 7, 8, 31, 32, 63, 64, 255, 256, 0x7fffffff, -0x7fffffff - 1, -8, 65535};
    return pick(3) == 0   ? (int32_t)random64()
           : pick(2) == 0 ? (int64_t)pick(16)
                          : special[pick(ARRAY_SIZE(special))];
}

// A row of isa.def with this form, 64 or 32 bits wide.
static unsigned random_row(unsigned form)
{
    for (;;) {
        unsigned id = 1 + pick(INSN_ID_COUNT - 1);
        if (insn_info(id)->form == form) {
            return id;
        }
    }
}

static void emit_pointer_walk(void)
{
    unsigned index = number_reg();
    emit(INSN_MOV64_REG, 9, 6, 0, 0);
    emit(pick(2) != 0 ? INSN_AND64_IMM : INSN_AND32_IMM, index, 0, 0, (int64_t)(pick(2) != 0 ? 7 : pick(32)));
    emit(pick(8) == 0 ? INSN_SUB64_REG : INSN_ADD64_REG, 9, index, 0, 0);
    if (pick(3) == 0) {
        emit(INSN_ADD64_IMM, 9, 0, 0, (int64_t)pick(8));
    }
    if (pick(3) == 0) {
        index = number_reg();
        emit(INSN_AND64_IMM, index, 0, 0, (int64_t)pick(8));
        emit(INSN_ADD64_REG, 9, index, 0, 0);
    }
    if (pick(3) == 0) { // what a later check proves for the pointer
        unsigned end = number_reg();
        emit(INSN_MOV64_REG, end, 9, 0, 0);
        emit(pick(2) != 0 ? INSN_SUB64_REG : INSN_SUB32_REG, end, 6, 0, 0);
        emit(INSN_JGT64_REG, end, 7, 1, 0);
    }
    emit(random_row(FORM_LOAD), number_reg(), 9, (int)pick(12), 0);
}

static void emit_map_walk(void)
{
    unsigned index = number_reg();
    emit(INSN_LDDW_MAP_VALUE, 9, 0, 0, (int64_t)((uint64_t)pick(8) << 32));
    emit(INSN_NONE, 0, 0, 0, 0);
    emit(INSN_AND64_IMM, index, 0, 0, (int64_t)pick(64));
    emit(INSN_ADD64_REG, 9, index, 0, 0);
    if (pick(2) != 0) {
        emit(random_row(FORM_LOAD), number_reg(), 9, (int)pick(16), 0);
    } else {
        emit(random_row(FORM_STORE_REG), 9, number_reg(), (int)pick(16), 0);
    }
}

static void emit_length_check(void)
{
    unsigned temp = number_reg();
    int64_t need = (int64_t)pick(24);
    emit(INSN_MOV64_REG, temp, 7, 0, 0);
    emit(INSN_ADD64_IMM, temp, 0, 0, -(int64_t)pick(8));
    emit(pick(2) != 0 ? INSN_JSLT64_IMM : INSN_JLT64_IMM, temp, 0, 1, need);
    emit(INSN_LDXB, temp, 6, (int)pick(24), 0);
}

static void emit_stack_walk(void)
{
    unsigned index = number_reg();
    emit(INSN_MOV64_REG, 9, 10, 0, 0);
    emit(INSN_AND64_IMM, index, 0, 0, pick(2) != 0 ? 24 : 31);
    emit(INSN_ADD64_REG, 9, index, 0, 0);
    emit(random_row(pick(2) != 0 ? FORM_LOAD : FORM_STORE_IMM), 9, 9, -48 + (int)pick(12), 7);
    insns[insn_count - 1].dst =
        insn_info(insns[insn_count - 1].id)->form == FORM_LOAD ? (uint8_t)number_reg() : 9;
    insns[insn_count - 1].src = insn_info(insns[insn_count - 1].id)->form == FORM_LOAD ? 9 : 0;
}

static void emit_call(void)
{
    emit(INSN_MOV64_REG, 1, number_reg(), 0, 0);
    if (pick(2) != 0) {
        emit(INSN_MOV64_REG, 2, 10, 0, 0);
        emit(INSN_ADD64_IMM, 2, 0, 0, -8 * (int64_t)(1 + pick(4)));
    } else {
        emit(INSN_MOV64_REG, 2, 6, 0, 0);
    }
    emit(INSN_CALL_LOCAL, 0, 0, 0, 0); // displacement: when the function's place is known
    emit(INSN_MOV64_IMM, 3, 0, 0, number());
    emit(INSN_MOV64_REG, 4, 0, 0, 0);
    emit(INSN_MOV64_REG, 5, 8, 0, 0);
    emit(INSN_MOV64_REG, 1, 6, 0, 0);
}

static void emit_loop(void)
{
    emit(INSN_MOV64_IMM, 9, 0, 0, 1 + (int64_t)pick(5));
    emit(random_row(FORM_ALU_IMM), number_reg(), 0, 0, number());
    emit(INSN_STXDW, 10, number_reg(), -8 * (1 + (int)pick(4)), 0);
    emit(INSN_ADD64_IMM, 9, 0, 0, -1);
    emit(INSN_JNE64_IMM, 9, 0, -4, 0);
}

static void emit_jump(void)
{
    if (pick(2) != 0) {
        emit(random_row(FORM_JMP_IMM), number_reg(), 0, 0, number());
    } else {
        emit(random_row(FORM_JMP_REG), number_reg(), number_reg(), 0, 0);
    }
    pending[pending_count].pc = insn_count - 1;
    pending[pending_count++].left = 2 + pick(4);
}

static void emit_stack(void)
{
    int off = -8 * (1 + (int)pick(4)) + (pick(4) == 0 ? (int)pick(4) : 0);
    switch (pick(4)) {
    case 0: emit(random_row(FORM_LOAD), number_reg(), 10, off, 0); break;
    case 1: emit(random_row(FORM_STORE_IMM), 10, 0, off, number()); break;
    case 2: emit(random_row(FORM_ATOMIC), 10, number_reg(), off & ~7, 0); break;
    default: emit(random_row(FORM_STORE_REG), 10, number_reg(), off, 0); break;
    }
}

// One group of instructions; jumps go from group to group.
static void emit_group(void)
{
    switch (pick(14)) {
    case 0:
    case 1: emit(random_row(FORM_ALU_IMM), number_reg(), 0, 0, number()); break;
    case 2:
    case 3: emit(random_row(FORM_ALU_REG), number_reg(), number_reg(), 0, 0); break;
    case 4: emit(random_row(FORM_ALU_UNARY), number_reg(), 0, 0, 0); break;
    case 5: emit(random_row(FORM_LOAD), number_reg(), 6, (int)pick(known_length), 0); break;
    case 6: emit_pointer_walk(); break;
    case 7: emit_map_walk(); break;
    case 8: emit_length_check(); break;
    case 9: emit_stack_walk(); break;
    case 10: emit_loop(); break;
    case 11: (pick(4) == 0 ? emit_call : emit_stack)(); break;
    case 12: emit_stack(); break;
    default: emit_jump(); break;
    }
}

static void close_jumps(bool all)
{
    for (uint32_t i = 0; i < pending_count; i++) {
        if (pending[i].left != 0 && (--pending[i].left == 0 || all)) {
            pending[i].left = 0;
            insns[pending[i].pc].off = (int16_t)(insn_count - pending[i].pc - 1);
        }
    }
}

static void emit_callee(void)
{
    funcs[0].end = funcs[1].start = insn_count;
    emit(INSN_MOV64_REG, 0, 1, 0, 0);
    emit(random_row(FORM_ALU_IMM), 0, 0, 0, number());
    emit(INSN_STXDW, 10, 0, -8, 0);
    if (pick(2) != 0) {
        emit(random_row(pick(2) != 0 ? FORM_STORE_IMM : FORM_LOAD), 2, 2, 0, 5);
        bool load = insn_info(insns[insn_count - 1].id)->form == FORM_LOAD;
        insns[insn_count - 1].dst = load ? 3 : 2;
        insns[insn_count - 1].src = load ? 2 : 0;
        insns[insn_count - 1].imm = load ? 0 : 5;
    }
    emit(INSN_EXIT, 0, 0, 0, 0);
    funcs[1].end = insn_count;
    for (uint32_t pc = 0; pc < funcs[1].start; pc++) {
        if (insns[pc].id == INSN_CALL_LOCAL) {
            insns[pc].imm = (int64_t)funcs[1].start - pc - 1;
        }
    }
}

static void make_program(void)
{
    insn_count = pending_count = 0;
    known_length = 8 + pick(24);
    emit(INSN_MOV64_REG, 6, 1, 0, 0);
    emit(INSN_MOV64_REG, 7, 2, 0, 0);
    emit(INSN_MOV64_IMM, 0, 0, 0, number());
    emit(INSN_JLT64_IMM, 2, 0, 0, known_length); // patched: to the end
    for (int off = -8; off >= -48; off -= 8) {
        emit(INSN_STDW, 10, 0, off, number());
    }
    emit(INSN_LDXDW, 3, 6, 0, 0);
    emit(INSN_LDXB, 4, 6, 3, 0);
    emit(INSN_LDXH, 5, 6, 5, 0);
    emit(INSN_MOV64_IMM, 8, 0, 0, number());
    for (uint32_t groups = 3 + pick(14); groups != 0; groups--) {
        emit_group();
        close_jumps(false);
    }
    close_jumps(true);
    insns[3].off = (int16_t)(insn_count - 4);
    emit(INSN_EXIT, 0, 0, 0, 0);
    emit_callee();
}

// --- what the verifier saw -----------------------------------------------------------------------

static struct {
    struct packed *state;
    uint32_t pc;
} snapshots[MAX_SNAPSHOTS];
static uint32_t snapshot_count;
static bool too_many;
static struct packed_scratch *scratch;
static struct domain_state *unpacked;

static void remember(void *user, uint32_t pc, const void *state)
{
    UNUSED(user);
    const struct packed *p = packed_make(scratch, state, NULL);
    if (snapshot_count == MAX_SNAPSHOTS) {
        too_many = true;
        return;
    }
    snapshots[snapshot_count].pc = pc;
    snapshots[snapshot_count].state = malloc(p->size);
    memcpy(snapshots[snapshot_count++].state, p, p->size);
}

static void forget_all(void)
{
    while (snapshot_count > 0) {
        free(snapshots[--snapshot_count].state);
    }
    too_many = false;
}

// --- the machine ---------------------------------------------------------------------------------

struct machine {
    uint64_t regs[INSN_REG_COUNT];
    uint64_t saved[INSN_MAX_FRAMES][4];
    uint32_t returns[INSN_MAX_FRAMES];
    uint32_t depth, pc, length;
    uint8_t mem[MEM_SIZE], map[MAP_SIZE];
    uint8_t stack[INSN_MAX_FRAMES][INSN_STACK_SIZE];
    bool init[INSN_MAX_FRAMES][INSN_STACK_SIZE];
};

static uint64_t frame_top(uint32_t depth)
{
    return STACK_BASE + (uint64_t)(depth + 1) * STACK_STRIDE;
}

// Bytes at `address`, or NULL when an access there is wrong.
static uint8_t *resolve(struct machine *m, uint64_t address, uint32_t size, bool read, bool write)
{
    if (address >= MEM_BASE && address - MEM_BASE + size <= m->length) {
        return m->mem + (address - MEM_BASE);
    }
    if (address >= MAP_BASE && address - MAP_BASE + size <= MAP_SIZE) {
        return m->map + (address - MAP_BASE);
    }
    for (uint32_t f = 0; f <= m->depth; f++) {
        uint64_t bottom = frame_top(f) - INSN_STACK_SIZE;
        if (address < bottom || address - bottom + size > INSN_STACK_SIZE) {
            continue;
        }
        bool *init = m->init[f] + (address - bottom);
        for (uint32_t i = 0; i < size; i++) {
            if (read && !init[i]) {
                return NULL;
            }
            init[i] = init[i] || write;
        }
        return m->stack[f] + (address - bottom);
    }
    return NULL;
}

static uint64_t compute64(unsigned sem, uint64_t d, uint64_t s)
{
    typedef uint64_t U;
    typedef int64_t S;
    enum { W = 64 };
    switch (sem) {
#define ALU_OP(id, text, expression)                                                                         \
    case SEM_##id: return expression;
#define JMP_OP(id, text, condition)                                                                          \
    case SEM_##id: return condition;
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
    default: return d;
    }
}

static uint64_t compute32(unsigned sem, uint32_t d, uint32_t s)
{
    typedef uint32_t U;
    typedef int32_t S;
    enum { W = 32 };
    switch (sem) {
#define ALU_OP(id, text, expression)                                                                         \
    case SEM_##id: return (U)(expression);
#define JMP_OP(id, text, condition)                                                                          \
    case SEM_##id: return condition;
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
    default: return d;
    }
}

static uint64_t compute(const struct insn_info *info, uint64_t d, uint64_t s)
{
    return info->width == 64 ? compute64(info->sem, d, s) : compute32(info->sem, (uint32_t)d, (uint32_t)s);
}

static uint64_t swap(const struct insn_info *info, uint64_t d)
{
    if (info->sem == SEM_LE) {
        return info->width == 64 ? d : d & (((uint64_t)1 << info->width) - 1);
    }
    return info->width == 16   ? __builtin_bswap16((uint16_t)d)
           : info->width == 32 ? __builtin_bswap32((uint32_t)d)
                               : __builtin_bswap64(d);
}

static uint64_t get(const uint8_t *at, uint32_t size)
{
    uint64_t value = 0;
    for (uint32_t i = size; i-- > 0;) {
        value = value << 8 | at[i];
    }
    return value;
}

static void put(uint8_t *at, uint32_t size, uint64_t value)
{
    for (uint32_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static bool run_load(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint32_t size = info->width / 8u;
    const uint8_t *at = resolve(m, m->regs[in->src] + (uint64_t)in->off, size, true, false);
    if (at == NULL) {
        return false;
    }
    uint64_t value = get(at, size);
    if (info->sem == SEM_LDXS) {
        unsigned shift = 64 - info->width;
        value = (uint64_t)((int64_t)(value << shift) >> shift);
    }
    m->regs[in->dst] = value;
    return true;
}

static bool run_store(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint32_t size = info->width / 8u;
    uint8_t *at = resolve(m, m->regs[in->dst] + (uint64_t)in->off, size, false, true);
    if (at == NULL) {
        return false;
    }
    put(at, size, info->form == FORM_STORE_IMM ? (uint64_t)in->imm : m->regs[in->src]);
    return true;
}

static bool run_atomic(struct machine *m, const struct insn *in, const struct insn_info *info)
{
    uint32_t size = info->width / 8u;
    uint8_t *at = resolve(m, m->regs[in->dst] + (uint64_t)in->off, size, true, true);
    if (at == NULL) {
        return false;
    }
    uint64_t old = get(at, size), s = m->regs[in->src], mask = size == 8 ? UINT64_MAX : UINT32_MAX, new = s;
    switch (info->sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_FETCH_ADD: new = old + s; break;
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_FETCH_OR: new = old | s; break;
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_FETCH_AND: new = old &s; break;
    case SEM_ATOMIC_XOR:
    case SEM_ATOMIC_FETCH_XOR: new = old ^ s; break;
    case SEM_ATOMIC_CMPXCHG:
        new = old == (m->regs[0] & mask) ? s : old;
        m->regs[0] = old;
        break;
    default: break;
    }
    put(at, size, new);
    if (info->sem >= SEM_ATOMIC_FETCH_ADD && info->sem <= SEM_ATOMIC_XCHG) {
        m->regs[in->src] = old;
    }
    return true;
}

static void run_call(struct machine *m, const struct insn *in)
{
    memcpy(m->saved[m->depth], &m->regs[6], sizeof(m->saved[0]));
    m->returns[m->depth++] = m->pc + 1;
    memset(m->init[m->depth], 0, sizeof(m->init[0]));
    m->regs[10] = frame_top(m->depth);
    m->pc = (uint32_t)insn_target(in, m->pc);
}

static void run_return(struct machine *m)
{
    m->pc = m->returns[--m->depth];
    memcpy(&m->regs[6], m->saved[m->depth], sizeof(m->saved[0]));
    m->regs[10] = frame_top(m->depth);
}

// One instruction; false when it is wrong. An exit from the first frame leaves the pc where it is.
static bool run_insn(struct machine *m)
{
    const struct insn *in = &insns[m->pc];
    const struct insn_info *info = insn_info(in->id);
    uint64_t *d = &m->regs[in->dst];
    uint64_t s =
        info->form == FORM_ALU_REG || info->form == FORM_JMP_REG ? m->regs[in->src] : (uint64_t)in->imm;
    bool right = true;
    switch (info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG: *d = compute(info, *d, s); break;
    case FORM_ALU_UNARY: *d = info->sem == SEM_NEG ? compute(info, *d, 0) : swap(info, *d); break;
    case FORM_JMP_IMM:
    case FORM_JMP_REG:
        m->pc = compute(info, *d, s) != 0 ? (uint32_t)insn_target(in, m->pc) : m->pc + 1;
        return true;
    case FORM_LOAD: right = run_load(m, in, info); break;
    case FORM_STORE_IMM:
    case FORM_STORE_REG: right = run_store(m, in, info); break;
    case FORM_ATOMIC: right = run_atomic(m, in, info); break;
    case FORM_LDDW: *d = MAP_BASE + ((uint64_t)in->imm >> 32); break;
    case FORM_CALL: run_call(m, in); return true;
    case FORM_EXIT:
        if (m->depth > 0) {
            run_return(m);
        }
        return true;
    default: return false;
    }
    m->pc += insn_slots(in);
    return right;
}

// --- containment ---------------------------------------------------------------------------------

static bool frame_is_inside(const struct machine *m, const struct domain_state *s, uint32_t f)
{
    const struct state_frame *frame = &s->frames[f];
    for (uint32_t i = 0; i < INSN_STACK_SIZE; i++) {
        if ((frame->init[i / 64] >> (i % 64) & 1) != 0 && !m->init[f][i]) {
            return false;
        }
    }
    for (uint32_t c = 0; c < STATE_CELL_COUNT; c++) {
        const struct value *v = &frame->cells[c];
        if ((frame->present[c / 64] >> (c % 64) & 1) != 0 && v->kind == VALUE_SCALAR &&
            !scalar_contains(&v->num, get(m->stack[f] + c * 4, v->width))) {
            return false;
        }
    }
    return true;
}

static bool is_inside(const struct machine *m, const struct packed *p)
{
    const struct observe_bases bases = {
        .packet = MEM_BASE, .packet_end = MEM_BASE + m->length, .frame_top = frame_top(m->depth)};
    packed_unpack(p, unpacked);
    if (unpacked->frame_count != m->depth + 1 || !observe_contains(unpacked, m->regs, &bases)) {
        return false;
    }
    for (uint32_t f = 0; f <= m->depth; f++) {
        if (!frame_is_inside(m, unpacked, f)) {
            return false;
        }
    }
    return true;
}

static bool was_foreseen(const struct machine *m)
{
    for (uint32_t i = 0; i < snapshot_count; i++) {
        if (snapshots[i].pc == m->pc && is_inside(m, snapshots[i].state)) {
            return true;
        }
    }
    return false;
}

static void start(struct machine *m)
{
    memset(m, 0, sizeof(*m));
    for (unsigned i = 0; i < MEM_SIZE; i++) {
        m->mem[i] = (uint8_t)(pick(3) == 0 ? 0 : pick(3) == 0 ? 255 : random64() >> 20);
        m->map[i] = (uint8_t)(random64() >> 20);
    }
    m->length = pick(3) == 0 ? known_length : pick(MEM_SIZE + 1);
    m->regs[1] = MEM_BASE;
    m->regs[2] = m->length;
    m->regs[10] = frame_top(0);
}

// Steps that were followed; 0 when something went wrong.
static unsigned run_once(void)
{
    static struct machine m;
    unsigned steps = 0;
    start(&m);
    while (steps < MAX_RUN) {
        char text[96];
        bool foreseen = was_foreseen(&m), last = insns[m.pc].id == INSN_EXIT && m.depth == 0;
        uint32_t pc = m.pc;
        steps++;
        if (foreseen && last) {
            return steps;
        }
        if (!foreseen || !run_insn(&m)) {
            insn_print(&insns[pc], text, sizeof(text));
            test_fail(__FILE__, __LINE__, "%s at %u: %s", foreseen ? "a wrong access" : "an unforeseen state",
                      (unsigned)pc, text);
            return 0;
        }
    }
    test_fail(__FILE__, __LINE__, "a program that was accepted does not end");
    return 0;
}

static bool accept_program(struct arena *arena)
{
    static const struct map_def map = {MAP_TYPE_ARRAY, 2, 4, MAP_SIZE, 1, 0, "map"};
    struct program p = {.type = PROG_TYPE_RAW_MEMORY,
                        .insns = insns,
                        .insn_count = insn_count,
                        .funcs = funcs,
                        .func_count = 2,
                        .maps = &map,
                        .map_count = 1,
                        .strings = "",
                        .strings_size = 1};
    struct verify_options options = {.spec = spec_builtin(), .max_steps = 20000, .observe = remember};
    struct verify_report report;
    ebpf_result_t result = verify_program(&p, &options, arena, &report);
    return result == EBPF_SUCCESS && report.accepted && !too_many;
}

static void print_program(void)
{
    char text[96];
    for (uint32_t pc = 0; pc < insn_count; pc++) {
        insn_print(&insns[pc], text, sizeof(text));
        test_fail(__FILE__, __LINE__, "%3u: %s", (unsigned)pc, text);
    }
}

static void accepted_programs_do_what_was_foreseen(void)
{
    unsigned accepted = 0, steps = 0;
    scratch = calloc(1, sizeof(*scratch));
    unpacked = calloc(1, sizeof(*unpacked));
    bool right = scratch != NULL && unpacked != NULL;
    for (unsigned i = 0; i < PROGRAMS && right; i++) {
        struct arena arena;
        arena_init(&arena, test_mem_source(), 0);
        make_program();
        bool good = accept_program(&arena);
        arena_fini(&arena);
        for (unsigned run = 0; run < RUNS && good && right; run++) {
            unsigned followed = run_once();
            right = followed != 0;
            steps += followed;
        }
        accepted += good;
        forget_all();
    }
    if (!right) {
        print_program();
    }
    CHECK(accepted > PROGRAMS / 20);
    CHECK(steps > PROGRAMS * 2);
    free(scratch);
    free(unpacked);
}

TEST_SUITE(soundness)
{
    RUN(accepted_programs_do_what_was_foreseen);
}
