// SPDX-License-Identifier: MIT
// Random instructions on a concrete machine and on the state that stands for it, in step: whatever the domain
// permits stays inside its memory, and after every step the machine is one that the state describes,
// identities, packet facts and sums included.
#include <stdlib.h>

#include "domain/domain.h"
#include "tests/concrete.h"
#include "tests/test.h"

enum { ROUNDS = 40000, STEPS = 24, PACKET_MOST = 96, META_MOST = 16, VALUE_SIZE = 64, STACK_AT = 64 };

static struct machine {
    uint64_t regs[INSN_REG_COUNT];
    uint8_t stack[INSN_STACK_SIZE];
    uint8_t packet[META_MOST + PACKET_MOST];
    uint8_t value[VALUE_SIZE];
    uint32_t length, meta; // bytes of packet and metadata
} m;

static struct domain_state *state;
static struct domain_env env;
static struct program program;
static struct map_def map = {.key_size = 4, .value_size = VALUE_SIZE, .max_entries = 1, .name = "map"};
static struct insn insn;
static char last_insn[80];

static uint64_t seed = 0x9e3779b97f4a7c15u;
static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1du;
}
static uint32_t pick(uint32_t below)
{
    return (uint32_t)(next_random() >> 33) % below;
}

// --- addresses -----------------------------------------------------------------------------------

// Where the memories lie; low places make subtractions from an address wrap.
static struct {
    uint64_t stack, packet, value;
} base;

static void choose_bases(void)
{
    static const uint64_t places[] = {UINT64_C(0x20), UINT64_C(0x7fff00000000), UINT64_C(0xffff888000000000)};
    uint64_t start = places[pick(ARRAY_SIZE(places))];
    base.value = start;
    base.packet = start + 0x80;
    base.stack = start + 0x100;
}

static uint64_t data(void)
{
    return base.packet + META_MOST;
}

static uint64_t base_of(const struct value *v)
{
    switch (v->kind) {
    case VALUE_STACK: return base.stack + INSN_STACK_SIZE;
    case VALUE_PACKET: return data();
    case VALUE_PACKET_END: return data() + m.length;
    case VALUE_PACKET_META: return data() - m.meta;
    case VALUE_MAP_VALUE: return base.value;
    default: return 0;
    }
}

// `size` bytes at `address`, which lie in [first, first + bytes), where `memory` is. NULL: they do not.
static uint8_t *inside(uint64_t address, uint32_t size, uint64_t first, uint64_t bytes, uint8_t *memory)
{
    return address >= first && address - first + size <= bytes ? memory + (address - first) : NULL;
}

static uint8_t *memory_at(uint64_t address, uint32_t size)
{
    uint8_t *at = inside(address, size, base.stack, sizeof(m.stack), m.stack);
    if (at == NULL) {
        at = inside(address, size, data() - m.meta, m.meta + m.length, &m.packet[META_MOST - m.meta]);
    }
    return at != NULL ? at : inside(address, size, base.value, sizeof(m.value), m.value);
}

// --- is the machine one of the state's? ----------------------------------------------------------

// What stands at `loc` of the machine: registers, and cells of the only frame.
static uint64_t machine_at(uint32_t loc, const struct value *v)
{
    uint64_t number = 0;
    if (loc < INSN_REG_COUNT) {
        return m.regs[loc];
    }
    memcpy(&number, &m.stack[(size_t)(loc - STATE_LOC_CELLS) * 4], v->width);
    return number;
}

// The variable part of an address, or the number itself.
static uint64_t variable_of(const struct value *v, uint64_t concrete)
{
    return v->kind == VALUE_SCALAR ? concrete : concrete - base_of(v) - (uint64_t)(int64_t)v->off;
}

static bool value_holds(const struct value *v, uint64_t concrete)
{
    if (v->maybe_null && concrete == 0) {
        return true;
    }
    return scalar_contains(&v->num, variable_of(v, concrete));
}

#define MAX_IDS 4096
static struct {
    uint32_t stamp;
    uint64_t n;
} known[MAX_IDS];
static uint32_t stamp;

static bool is_unit(const struct value *v)
{
    return v->id != VALUE_ID_NONE && v->id < MAX_IDS && !v->maybe_null && (v->cf == 1 || v->cf == -1);
}

// N of every class that has a member with coefficient 1 or -1; false when two members disagree.
static bool learn_classes(void)
{
    stamp++;
    known[VALUE_ID_LENGTH].stamp = stamp;
    known[VALUE_ID_LENGTH].n = m.length;
    STATE_FOR_EACH(loc, state)
    {
        const struct value *v = state_value(state, loc);
        if (!is_unit(v)) {
            continue;
        }
        uint64_t n = variable_of(v, machine_at(loc, v)) - (uint64_t)v->delta;
        n = v->cf == -1 ? 0 - n : n;
        if (known[v->id].stamp == stamp && known[v->id].n != n) {
            return false;
        }
        known[v->id].stamp = stamp;
        known[v->id].n = n;
    }
    return true;
}

static bool is_known(uint32_t id)
{
    return id < MAX_IDS && known[id].stamp == stamp;
}

static bool classes_hold(void)
{
    STATE_FOR_EACH(loc, state)
    {
        const struct value *v = state_value(state, loc);
        if (v->id != VALUE_ID_NONE && !v->maybe_null && is_known(v->id) &&
            variable_of(v, machine_at(loc, v)) !=
                (uint64_t)(int64_t)v->cf * known[v->id].n + (uint64_t)v->delta) {
            return false;
        }
        if (v->kind == VALUE_PACKET && v->id != VALUE_ID_NONE &&
            (int64_t)known[v->id].n + v->range > (int64_t)m.length) {
            return false;
        }
    }
    return true;
}

static bool sums_hold(void)
{
    for (uint32_t i = 0; i < state->sum_count; i++) {
        const struct state_sum *row = &state->sums[i];
        if (!is_known(row->left) || !is_known(row->right)) {
            continue;
        }
        uint64_t sum = known[row->left].n + known[row->right].n;
        if ((is_known(row->sum) && known[row->sum].n != sum) ||
            (row->max != INT64_MAX && (int64_t)sum > row->max)) {
            return false;
        }
    }
    return true;
}

static bool bounds_hold(void)
{
    for (uint32_t i = 0; i < state->bound_count; i++) {
        const struct state_bound *row = &state->bounds[i];
        if (is_known(row->low) && is_known(row->high) &&
            (int64_t)known[row->low].n + row->delta > (int64_t)known[row->high].n) {
            return false;
        }
    }
    return true;
}

static bool machine_is_inside(void)
{
    STATE_FOR_EACH(loc, state)
    {
        const struct value *v = state_value(state, loc);
        if (!value_holds(v, machine_at(loc, v))) {
            return false;
        }
    }
    return state_is_valid(state) && state->packet_length <= (int64_t)m.length &&
           state->meta_length <= (int64_t)m.meta && learn_classes() && classes_hold() && sums_hold() &&
           bounds_hold();
}

// --- the machine runs ----------------------------------------------------------------------------

static uint64_t operand(const struct insn_info *info)
{
    bool reg = info->form == FORM_ALU_REG || info->form == FORM_JMP_REG;
    return reg ? m.regs[insn.src] : (uint64_t)insn.imm;
}

static void run_memory(const struct insn_info *info)
{
    uint32_t size = info->width / 8u;
    bool load = info->form == FORM_LOAD;
    uint64_t address = m.regs[load ? insn.src : insn.dst] + (uint64_t)(int64_t)insn.off, number = 0;
    uint8_t *at = memory_at(address, size);
    if (at == NULL) {
        test_fail(__FILE__, __LINE__, "%s is permitted, outside of all memory", last_insn);
        return;
    }
    if (load) {
        memcpy(&number, at, size);
        if (info->sem == SEM_LDXS) {
            unsigned shift = 64u - info->width;
            number = (uint64_t)((int64_t)(number << shift) >> shift);
        }
        m.regs[insn.dst] = number;
    } else {
        number = info->form == FORM_STORE_IMM ? (uint64_t)insn.imm : m.regs[insn.src];
        memcpy(at, &number, size);
    }
}

static uint64_t atomic_result(unsigned sem, uint64_t old, uint64_t with, uint64_t expected)
{
    switch (sem) {
    case SEM_ATOMIC_ADD:
    case SEM_ATOMIC_FETCH_ADD: return old + with;
    case SEM_ATOMIC_OR:
    case SEM_ATOMIC_FETCH_OR: return old | with;
    case SEM_ATOMIC_AND:
    case SEM_ATOMIC_FETCH_AND: return old & with;
    case SEM_ATOMIC_XOR:
    case SEM_ATOMIC_FETCH_XOR: return old ^ with;
    case SEM_ATOMIC_XCHG: return with;
    default: return old == expected ? with : old;
    }
}

static void run_atomic(const struct insn_info *info)
{
    uint32_t size = info->width / 8u;
    uint64_t address = m.regs[insn.dst] + (uint64_t)(int64_t)insn.off, old = 0;
    uint64_t mask = size == 8 ? UINT64_MAX : UINT32_MAX;
    uint8_t *at = memory_at(address, size);
    if (at == NULL) {
        test_fail(__FILE__, __LINE__, "%s is permitted, outside of all memory", last_insn);
        return;
    }
    memcpy(&old, at, size);
    uint64_t result = atomic_result(info->sem, old, m.regs[insn.src] & mask, m.regs[0] & mask);
    memcpy(at, &result, size);
    if (info->sem == SEM_ATOMIC_CMPXCHG) {
        m.regs[0] = old;
    } else if (info->sem != SEM_ATOMIC_ADD && info->sem != SEM_ATOMIC_OR && info->sem != SEM_ATOMIC_AND &&
               info->sem != SEM_ATOMIC_XOR) {
        m.regs[insn.src] = old;
    }
}

static void run_machine(const struct insn_info *info)
{
    if (info->form == FORM_ATOMIC) {
        run_atomic(info);
    } else if (info->form == FORM_LOAD || info->form == FORM_STORE_IMM || info->form == FORM_STORE_REG) {
        run_memory(info);
    } else {
        m.regs[insn.dst] = concrete(info->sem, info->width, m.regs[insn.dst], operand(info));
    }
}

// --- random instructions -------------------------------------------------------------------------

static uint16_t usable[INSN_ID_COUNT], frequent[INSN_ID_COUNT];
static uint32_t usable_count, frequent_count;

static bool is_usable(const struct insn_info *info)
{
    switch (info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_REG:
    case FORM_JMP_IMM:
    case FORM_JMP_REG:
    case FORM_LOAD:
    case FORM_STORE_IMM:
    case FORM_STORE_REG:
    case FORM_ATOMIC: return true;
    case FORM_ALU_UNARY: return info->sem == SEM_NEG;
    default: return false;
    }
}

// What programs do with pointers: copies, sums, differences, comparisons of whole registers.
static bool is_frequent(const struct insn_info *info)
{
    bool reg = info->form == FORM_ALU_REG || info->form == FORM_JMP_REG;
    bool address = info->sem == SEM_MOV || info->sem == SEM_ADD || info->sem == SEM_SUB;
    return info->width == 64 && (reg || info->form == FORM_JMP_IMM) &&
           (address || info->form == FORM_JMP_REG || info->form == FORM_JMP_IMM);
}

static void find_usable(void)
{
    usable_count = frequent_count = 0;
    for (uint16_t id = 1; id < INSN_ID_COUNT; id++) {
        const struct insn_info *info = insn_info(id);
        if (is_usable(info)) {
            usable[usable_count++] = id;
        }
        if (is_usable(info) && is_frequent(info)) {
            frequent[frequent_count++] = id;
        }
    }
}

static int64_t small_number(void)
{
    static const int64_t numbers[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 96, 255, -1, -2, -4, -8};
    return pick(8) != 0 ? numbers[pick(ARRAY_SIZE(numbers))] : (int32_t)next_random();
}

static void make_insn(void)
{
    memset(&insn, 0, sizeof(insn));
    insn.id = pick(2) == 0 ? usable[pick(usable_count)] : frequent[pick(frequent_count)];
    const struct insn_info *info = insn_info(insn.id);
    insn.dst = (uint8_t)pick(10);
    insn.src = (uint8_t)pick(10);
    if (info->form == FORM_LOAD || info->form == FORM_STORE_IMM || info->form == FORM_STORE_REG ||
        info->form == FORM_ATOMIC) {
        bool stack = pick(2) == 0;
        *(info->form == FORM_LOAD ? &insn.src : &insn.dst) = stack ? 10 : (uint8_t)pick(10);
        insn.off = (int16_t)(stack ? -(int)(1 + pick(STACK_AT / 4)) * 4 : (int)pick(16) - 2);
    }
    bool immediate = info->form == FORM_ALU_IMM || info->form == FORM_JMP_IMM || info->form == FORM_STORE_IMM;
    if (immediate) {
        insn.imm = small_number();
    }
    if (immediate && info->form == FORM_ALU_IMM &&
        (info->sem == SEM_LSH || info->sem == SEM_RSH || info->sem == SEM_ARSH)) {
        insn.imm &= 7;
    }
}

static void run_branch(const struct insn_info *info)
{
    bool taken = concrete(info->sem, info->width, m.regs[insn.dst], operand(info)) != 0;
    CHECK(transfer_branch_is_possible(&env, state, 0, taken));
    CHECK(transfer_branch(&env, state, 0, taken));
}

// `insn` on both sides, if the domain permits it.
static bool run_both(void)
{
    struct domain_fault fault;
    const struct insn_info *info = insn_info(insn.id);
    str_format(last_insn, sizeof(last_insn), "%s r%u, r%u, off %d, imm %lld", info->mnemonic, insn.dst,
               insn.src, insn.off, (long long)insn.imm);
    if (!obligation_check(&env, state, 0, &fault)) {
        return true;
    }
    if (info->form == FORM_JMP_IMM || info->form == FORM_JMP_REG) {
        run_branch(info);
    } else {
        transfer_insn(&env, state, 0);
        run_machine(info);
    }
    return machine_is_inside();
}

// --- random beginnings ---------------------------------------------------------------------------

static void make_number(unsigned reg)
{
    struct scalar n;
    uint64_t low = pick(3) == 0 ? 0 : pick(64), high = low + pick(128);
    uint64_t value = low + pick((uint32_t)(high - low) + 1);
    if (pick(4) == 0) {
        scalar_set_srange(&n, (int64_t)low - 40, (int64_t)high);
    } else {
        scalar_set_urange(&n, low, high);
    }
    value_set_scalar(&state->regs[reg], &n);
    m.regs[reg] = value;
}

static void make_address(unsigned reg, enum value_kind kind)
{
    struct value *v = &state->regs[reg];
    value_set_pointer(v, kind, 0);
    if (kind == VALUE_MAP_VALUE) {
        v->ref = state_make_id(state);
        if (pick(3) == 0) {
            v->maybe_null = 1;
            value_set_id(v, state_make_id(state));
        }
    }
    m.regs[reg] = v->maybe_null && pick(2) == 0 ? 0 : base_of(v);
}

// Rows such as loops make them, between two numbers of the machine.
static void make_rows(void)
{
    struct value *a = &state->regs[0], *b = &state->regs[1];
    value_set_id(a, state_make_id(state));
    value_set_id(b, state_make_id(state));
    int64_t slack = pick(4);
    state->bounds[state->bound_count++] =
        (struct state_bound){a->id, b->id, (int64_t)(m.regs[1] - m.regs[0]) - slack};
    state->sums[state->sum_count++] =
        (struct state_sum){a->id, b->id, VALUE_ID_NONE, (int64_t)(m.regs[0] + m.regs[1]) + slack, false};
}

static void begin_round(void)
{
    state_enter_program(&env, state);
    choose_bases();
    m.length = pick(PACKET_MOST + 1);
    m.meta = pick(META_MOST + 1);
    for (size_t i = 0; i < sizeof(m.packet); i++) {
        m.packet[i] = (uint8_t)next_random();
    }
    for (size_t i = 0; i < sizeof(m.value); i++) {
        m.value[i] = (uint8_t)next_random();
    }
    m.regs[10] = base.stack + INSN_STACK_SIZE;
    for (unsigned reg = 0; reg < 5; reg++) {
        make_number(reg);
    }
    if (pick(4) == 0) {
        make_rows();
    }
    make_address(5, VALUE_PACKET);
    make_address(6, VALUE_PACKET_END);
    make_address(7, pick(2) == 0 ? VALUE_PACKET_META : VALUE_PACKET);
    make_address(8, VALUE_MAP_VALUE);
    make_address(9, pick(2) == 0 ? VALUE_PACKET : VALUE_MAP_VALUE);
}

// What programs typically begin with, so that later steps find relations.
static const char *const preludes[][4] = {
    {"r4 = r6", "r4 -= r5"},
    {"r9 = r5", "r9 += r0", "r4 = r6", "r4 -= r9"},
    {"r9 = r5", "r9 += r0", "r9 += r1", "if r9 > r6 goto +0"},
    {"r9 = r8", "r9 += r0", "r8 += r1"},
    {"r3 = r0", "r3 += 7", "r2 = r0"},
    {"r3 = r0", "r3 <<= 2", "r3 += 1"},
    {"r3 = r0", "r3 <<= 2", "r3 += 1", "r5 += r3"},
    {"r3 = r0", "r3 *= -2", "r4 = r3", "r5 += r4"},
    {"r9 = r5", "r9 += r3", "r9 += 4", "if r9 > r6 goto +0"},
    {"r3 = r0", "r3 += r1", "r4 = r1"},
    {"r3 = r0", "r3 -= r1"},
    {"r3 = r0", "if r0 == r1 goto +0"},
    {"r3 = r0", "r4 = r1", "r4 += 1", "if r3 == r4 goto +0"},
    {"w3 = w0", "w3 += 5", "r5 += r3"},
    {"*(u64 *)(r10 - 8) = r0", "r3 = *(u64 *)(r10 - 8)"},
    {"*(u64 *)(r10 - 16) = r5", "r5 += r0", "r9 = *(u64 *)(r10 - 16)"},
    {"if r5 == r6 goto +0", "r4 = r6", "r4 -= r5"},
    {"r1 += r2", "if r1 > 40 goto +0"},
    {"r3 = r0", "r3 <<= 32", "r3 >>= 32", "if r3 > 9 goto +0"},
    {"r3 = r0", "r3 <<= 32", "r3 s>>= 30", "if r3 s> 9 goto +0"},
    {"r3 = r1", "r3 <<= 58", "r3 s>>= 57", "if r3 s> 9 goto +0"},
    {"r3 = r1", "r3 <<= 58", "r3 >>= 58"},
    {"r3 = r0", "r3 <<= 32", "r3 *= 3", "r3 >>= 32"},
    {"r5 -= r0", "if r5 > r6 goto +0", "r4 = r6", "r4 -= r5"},
    {"r9 = r8", "r9 += r3", "if r9 < r8 goto +0"},
    {"r1 -= r2", "if r1 s< 10 goto +0"},
    {"r3 = r0", "r3 &= 128", "r3 = (s8)r3"},
    {"w3 = w0", "w3 <<= 9", "w3 &= 32768", "w3 = (s16)w3"},
};

static bool run_prelude(void)
{
    const char *const *lines = preludes[pick(ARRAY_SIZE(preludes))];
    for (unsigned i = 0; i < 4 && lines[i] != NULL; i++) {
        struct insn parsed[2];
        unsigned slots;
        if (insn_parse(lines[i], parsed, &slots) != EBPF_SUCCESS) {
            test_fail(__FILE__, __LINE__, "not an instruction: %s", lines[i]);
            return false;
        }
        insn = parsed[0];
        if (!run_both()) {
            return false;
        }
    }
    return true;
}

static bool step_once(void)
{
    if (pick(6) == 0) {
        return run_prelude();
    }
    make_insn();
    return run_both();
}

static void machines_stay_inside(void)
{
    unsigned rounds = test_is_nightly() ? 50 * ROUNDS : ROUNDS;
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t start = seed;
        begin_round();
        for (unsigned step = 0; step < STEPS; step++) {
            if (!step_once()) {
                test_fail(__FILE__, __LINE__, "round %u (seed %llx), step %u: %s leaves the state", round,
                          (unsigned long long)start, step, last_insn);
                return;
            }
            if (test_state.failed_checks != 0) {
                test_fail(__FILE__, __LINE__, "round %u, step %u: %s", round, step, last_insn);
                return;
            }
        }
    }
}

TEST_SUITE(transfer_random)
{
    state = calloc(1, sizeof(*state));
    program.type = spec_prog_type_by_name(spec_builtin(), "xdp");
    program.insns = &insn;
    program.insn_count = 1;
    program.maps = &map;
    program.map_count = 1;
    if (state != NULL) {
        state_make_env(spec_builtin(), &program, &env);
        find_usable();
        RUN(machines_stay_inside);
    }
    free(state);
}
