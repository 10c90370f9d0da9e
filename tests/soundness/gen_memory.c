// SPDX-License-Identifier: MIT
// gen_memory: packets and their limits, map values, helper and local calls.
#include "tests/soundness/gen_int.h"

// --- packets -------------------------------------------------------------------------------------

// Loads the context's pointer of the kind, when there is a context and no register has it yet.
static unsigned fetch(struct gen *g, enum gen_kind kind, uint8_t field_kind)
{
    const struct spec_view *spec = spec_builtin();
    unsigned reg = gen_find(g, kind), ctx = gen_find(g, KIND_CTX);
    uint32_t layout = spec->prog_types[g->program.type].layout[g->program.dialect];
    if ((reg < 10 && !gen_chance(g, 8)) || ctx == 10 || layout == LAYOUT_NONE) {
        return reg;
    }
    const struct layout_row *row = &spec->layouts[layout];
    for (unsigned i = 0; i < row->field_count; i++) {
        if (row->fields[i].kind == field_kind) {
            reg = gen_target(g);
            gen_emit(g, row->fields[i].size == 8 ? INSN_LDXDW : INSN_LDXW, reg, ctx, row->fields[i].off, 0);
            gen_set(g, reg, kind);
            return reg;
        }
    }
    return reg;
}

// Jumps away unless p <= end, in one of the ways to say that. Returns the jump.
static uint32_t jump_beyond(struct gen *g, unsigned p, unsigned end)
{
    switch (gen_pick(g, 12)) {
    case 0:
    case 1: return gen_jump(g, INSN_JLT64_REG, end, p, 0);
    case 2: return gen_jump(g, INSN_JGE64_REG, p, end, 0);
    case 3: return gen_jump(g, INSN_JLE64_REG, end, p, 0);
    case 4: return gen_jump(g, INSN_JNE64_REG, p, end, 0);
    case 5: return gen_jump(g, gen_row(g, FORM_JMP_REG), p, end, 0);
    case 6: {
        uint32_t over = gen_jump(g, INSN_JLE64_REG, p, end, 0), away = gen_jump(g, INSN_JA, 0, 0, 0);
        gen_land(g, over);
        return away;
    }
    default: return gen_jump(g, INSN_JGT64_REG, p, end, 0);
    }
}

static void access(struct gen *g, unsigned p, int room)
{
    uint32_t size;
    if (gen_chance(g, 3)) {
        unsigned id = gen_store_row(g, &size);
        bool imm = insn_info(id)->form == FORM_STORE_IMM;
        gen_emit(g, id, p, imm ? 0 : gen_number(g, p), gen_offset(g, room, size), imm ? gen_imm(g) : 0);
        return;
    }
    unsigned id = gen_load_row(g, &size), to = gen_target(g);
    if (room < (int)size) {
        return;
    }
    gen_emit(g, id, to, p, gen_offset(g, room, size), 0);
    gen_set(g, to, KIND_NUMBER);
}

// Bounds the number in `n`; returns its limit.
static int bound(struct gen *g, unsigned n)
{
    int limit = 1 + (int)gen_pick(g, 24);
    switch (gen_pick(g, 6)) {
    case 0: gen_emit(g, INSN_AND64_IMM, n, 0, 0, limit); return limit;
    case 1: gen_emit(g, INSN_AND32_IMM, n, 0, 0, limit); return limit;
    case 2:
        gen_emit(g, INSN_JLE64_IMM, n, 0, 1, limit);
        gen_emit(g, INSN_MOV64_IMM, n, 0, 0, gen_pick(g, 4));
        return limit > 3 ? limit : 3;
    case 3:
        gen_emit(g, INSN_JLE32_IMM, n, 0, 1, limit);
        gen_emit(g, INSN_MOV32_IMM, n, 0, 0, 0);
        gen_emit(g, INSN_MOV32_REG, n, n, 0, 0);
        return limit;
    case 4: gen_emit(g, INSN_MOD64_IMM, n, 0, 0, limit); return limit - 1;
    default: gen_emit(g, INSN_RSH64_IMM, n, 0, 0, 60); return 15;
    }
}

// q = p (+ number) + constant; if q <= end: use of p, q or copies.
static void check_and_use(struct gen *g, unsigned p, unsigned end)
{
    unsigned q = gen_target(g), n = gen_number(g, p);
    int size = 1 + (int)gen_pick(g, 24), limit = 0;
    if (q == p || q == end || q == n || n == end) {
        return;
    }
    bool variable = gen_chance(g, 2);
    if (variable) {
        limit = bound(g, n);
        if (gen_chance(g, 3)) {
            gen_emit(g, INSN_MOV64_REG, q, n, 0, 0); // another copy keeps the class alive
            gen_emit(g, INSN_ADD64_IMM, n, 0, 0, (int64_t)gen_pick(g, 9) - 2);
        }
    }
    gen_emit(g, INSN_MOV64_REG, q, p, 0, 0);
    if (variable) {
        gen_emit(g, gen_chance(g, 12) ? INSN_SUB64_REG : INSN_ADD64_REG, q, n, 0, 0);
    }
    bool copies = variable && gen_chance(g, 2);
    if (copies) {
        gen_emit(g, INSN_MOV64_REG, p, q, 0, 0); // p is now the moved pointer without the constant
    }
    gen_emit(g, INSN_ADD64_IMM, q, 0, 0, size);
    g->now.regs[q] = (struct gen_value){.kind = KIND_PACKET};
    struct gen_state before;
    uint32_t away = jump_beyond(g, q, end);
    before = g->now;
    g->now.regs[p].size = (int16_t)size;
    UNUSED(limit);
    for (unsigned i = 1 + gen_pick(g, 3); i > 0; i--) {
        access(g, p, size);
    }
    gen_block(g, gen_pick(g, 3));
    gen_land(g, away);
    gen_join(&g->now, &before);
}

// length = end - data; if length >= n: use of data.
static void check_length(struct gen *g, unsigned p, unsigned end)
{
    unsigned l = gen_target(g);
    int size = 1 + (int)gen_pick(g, 24), less = gen_chance(g, 3) ? (int)gen_pick(g, 8) : 0;
    if (l == p || l == end || end == 10) {
        return;
    }
    gen_emit(g, INSN_MOV64_REG, l, end, 0, 0);
    if (g->now.regs[end].kind == KIND_END) {
        gen_emit(g, INSN_SUB64_REG, l, p, 0, 0);
    }
    gen_emit(g, INSN_ADD64_IMM, l, 0, 0, -less);
    gen_set(g, l, KIND_NUMBER);
    struct gen_state before = g->now;
    uint32_t away = gen_jump(g, gen_chance(g, 2) ? INSN_JSLT64_IMM : INSN_JLT32_IMM, l, 0, size - less);
    access(g, p, size);
    gen_block(g, gen_pick(g, 3));
    gen_land(g, away);
    gen_join(&g->now, &before);
}

static void metadata(struct gen *g)
{
    unsigned m = fetch(g, KIND_META, FIELD_PACKET_META), p = fetch(g, KIND_PACKET, FIELD_PACKET);
    unsigned q = gen_target(g);
    int size = 4 * (int)(1 + gen_pick(g, 3));
    if (m == 10 || p == 10 || q == m || q == p || g->now.regs[m].kind != KIND_META) {
        return;
    }
    gen_emit(g, INSN_MOV64_REG, q, m, 0, 0);
    gen_emit(g, INSN_ADD64_IMM, q, 0, 0, size);
    gen_set(g, q, KIND_NONE);
    struct gen_state before = g->now;
    uint32_t away = jump_beyond(g, q, p);
    access(g, m, size);
    access(g, m, size);
    gen_land(g, away);
    gen_join(&g->now, &before);
}

void gen_packet_group(struct gen *g)
{
    bool raw = g->program.type == PROG_TYPE_RAW_MEMORY;
    unsigned p = fetch(g, KIND_PACKET, FIELD_PACKET);
    unsigned end = raw ? (g->now.regs[2].kind == KIND_NUMBER ? 2 : 10) : fetch(g, KIND_END, FIELD_PACKET_END);
    if (g->depth > 6 || p == 10 || g->now.regs[p].kind != KIND_PACKET) {
        return;
    }
    if (g->now.regs[p].size > 0 && gen_chance(g, 3)) {
        access(g, p, g->now.regs[p].size);
    } else if (raw || gen_chance(g, 5)) {
        check_length(g, p, end);
    } else if (g->program.type == PROG_TYPE_XDP && gen_chance(g, 6)) {
        metadata(g);
    } else if (end != 10 && end != p && g->now.regs[end].kind == KIND_END) {
        check_and_use(g, p, end);
    }
}

// --- maps ----------------------------------------------------------------------------------------

static void load_map(struct gen *g, unsigned reg, uint32_t map)
{
    gen_emit(g, INSN_LDDW_MAP, reg, 0, 0, map);
    gen_emit(g, INSN_NONE, 0, 0, 0, 0);
}

// r2 = a key on the stack.
static void load_key(struct gen *g)
{
    unsigned slot = gen_pick(g, 2);
    if (gen_chance(g, 2)) {
        gen_emit(g, INSN_STDW, 10, 0, -8 * (int)(slot + 1), gen_pick(g, 5));
        g->now.slots[slot] = (struct gen_value){.kind = KIND_NUMBER};
    }
    gen_emit(g, INSN_MOV64_REG, 2, 10, 0, 0);
    gen_emit(g, INSN_ADD64_IMM, 2, 0, 0, -8 * (int)(slot + 1));
}

static void look_up(struct gen *g)
{
    uint32_t map = gen_pick(g, GEN_MAPS);
    load_map(g, 1, map);
    load_key(g);
    gen_emit(g, INSN_CALL, 0, 0, 0, HELPER_MAP_LOOKUP_ELEM);
    gen_clobber(g);
    g->now.regs[0] = (struct gen_value){.kind = KIND_NULLABLE, .map = (uint8_t)map, .id = ++g->next_id};
}

// What came from look-up `id` is not null.
static void not_null(struct gen *g, uint16_t id)
{
    for (unsigned i = 0; i < 10 + GEN_SLOTS; i++) {
        struct gen_value *v = i < 10 ? &g->now.regs[i] : &g->now.slots[i - 10];
        if (v->kind == KIND_NULLABLE && v->id == id) {
            v->kind = KIND_VALUE;
            v->id = 0;
        }
    }
}

static void check_null(struct gen *g, unsigned p)
{
    struct gen_state before = g->now;
    uint16_t id = g->now.regs[p].id;
    if (gen_chance(g, 3)) {
        uint32_t over = gen_jump(g, INSN_JNE64_IMM, p, 0, 0);
        gen_emit(g, INSN_MOV64_IMM, 0, 0, 0, 1);
        gen_emit(g, INSN_EXIT, 0, 0, 0, 0);
        gen_land(g, over);
        not_null(g, id);
        return;
    }
    uint32_t away = gen_jump(g, gen_chance(g, 40) ? INSN_JEQ32_IMM : INSN_JEQ64_IMM, p, 0, 0);
    not_null(g, id);
    for (unsigned i = 1 + gen_pick(g, 3); i > 0; i--) {
        gen_map_group(g);
    }
    gen_block(g, gen_pick(g, 3));
    gen_land(g, away);
    gen_join(&g->now, &before);
}

static void use_value(struct gen *g, unsigned p)
{
    int room = (int)g->maps[g->now.regs[p].map].value_size - g->now.regs[p].off;
    unsigned n = gen_number(g, p), q = gen_target(g);
    if (gen_chance(g, 8)) {
        gen_emit(g, gen_row(g, FORM_ATOMIC), p, n, 8 * (int)gen_pick(g, 4), 0);
        return;
    }
    if (q == p || q == n || gen_chance(g, 2)) {
        access(g, p, room);
        return;
    }
    int limit = bound(g, n);
    gen_emit(g, INSN_MOV64_REG, q, p, 0, 0);
    gen_emit(g, INSN_ADD64_REG, q, n, 0, 0);
    gen_set(g, q, KIND_NONE);
    access(g, q, room - limit);
}

static void change_map(struct gen *g)
{
    uint32_t map = gen_pick(g, 3);
    unsigned value = gen_find(g, KIND_VALUE);
    bool update = gen_chance(g, 2);
    if (value < 10 && update) {
        map = g->now.regs[value].map;
        gen_emit(g, INSN_MOV64_REG, 3, value, 0, 0);
    } else if (update) {
        for (int i = 0; i < 6; i++) {
            gen_emit(g, INSN_STDW, 10, 0, -8 * (i + 1), gen_imm(g));
            g->now.slots[i] = (struct gen_value){.kind = KIND_NUMBER};
        }
        gen_emit(g, INSN_MOV64_REG, 3, 10, 0, 0);
        gen_emit(g, INSN_ADD64_IMM, 3, 0, 0, -48);
    }
    load_key(g);
    load_map(g, 1, map);
    gen_emit(g, INSN_MOV64_IMM, 4, 0, 0, gen_pick(g, 3));
    gen_emit(g, INSN_CALL, 0, 0, 0, update ? HELPER_MAP_UPDATE_ELEM : HELPER_MAP_DELETE_ELEM);
    gen_clobber(g);
    gen_set(g, 0, KIND_NUMBER);
}

void gen_map_group(struct gen *g)
{
    unsigned nullable = gen_find(g, KIND_NULLABLE), value = gen_find(g, KIND_VALUE);
    if (nullable < 10 && g->depth < 7 && !gen_chance(g, 4)) {
        check_null(g, nullable);
    } else if (value < 10 && !gen_chance(g, 6)) {
        use_value(g, value);
    } else if (gen_chance(g, 3)) {
        unsigned to = gen_target(g);
        uint32_t map = gen_chance(g, 2) ? GEN_ARRAY_ONE : GEN_READ_ONLY, off = gen_pick(g, 8);
        gen_emit(g, INSN_LDDW_MAP_VALUE, to, 0, 0, (int64_t)((uint64_t)off << 32 | map));
        gen_emit(g, INSN_NONE, 0, 0, 0, 0);
        g->now.regs[to] = (struct gen_value){.kind = KIND_VALUE, .map = (uint8_t)map, .off = (int16_t)off};
    } else if (gen_chance(g, 3)) {
        change_map(g);
    } else {
        look_up(g);
    }
}

void gen_copy_group(struct gen *g)
{
    enum { LIMIT = 40, LAST = 47 - LIMIT };
    unsigned n = gen_target(g), c = gen_target(g), q = gen_target(g);
    int first = (int)gen_pick(g, 4), second = gen_chance(g, 2) ? first : (int)gen_pick(g, 4);
    if (c == n || q == n || q == c) {
        return;
    }
    uint32_t over = gen_branch(g);
    gen_land(g, over); // numbers that the branch below compares exist from here on
    gen_emit(g, INSN_LDDW_MAP_VALUE, q, 0, 0, GEN_ARRAY_ONE);
    gen_emit(g, INSN_NONE, 0, 0, 0, 0);
    gen_set(g, q, KIND_NONE);
    gen_emit(g, INSN_LDXB, n, q, (int)gen_pick(g, 48), 0);
    gen_emit(g, INSN_MOV64_REG, c, n, 0, 0);
    gen_emit(g, INSN_ADD64_IMM, c, 0, 0, first);
    gen_set(g, n, KIND_NONE);
    gen_set(g, c, KIND_NONE);
    over = gen_branch(g);
    if (gen_chance(g, 3)) {
        gen_emit(g, INSN_LDXB, c, q, (int)gen_pick(g, 48), 0);
    } else {
        gen_emit(g, INSN_MOV64_REG, c, n, 0, 0);
        gen_emit(g, INSN_ADD64_IMM, c, 0, 0, second);
    }
    gen_land(g, over);
    gen_emit(g, INSN_JGT64_IMM, n, 0, 2, LIMIT - first);
    gen_emit(g, INSN_ADD64_REG, q, c, 0, 0);
    gen_emit(g, INSN_LDXB, c, q, gen_chance(g, 12) ? LAST + 1 : LAST, 0);
    gen_set(g, c, KIND_NUMBER);
    gen_set(g, n, KIND_NUMBER);
}

// --- calls ---------------------------------------------------------------------------------------

// Packet pointers end when the packet moves.
static void forget_packet(struct gen *g)
{
    for (unsigned i = 0; i < 10 + GEN_SLOTS; i++) {
        struct gen_value *v = i < 10 ? &g->now.regs[i] : &g->now.slots[i - 10];
        if (v->kind == KIND_PACKET || v->kind == KIND_END || v->kind == KIND_META) {
            *v = (struct gen_value){.kind = i < 10 ? KIND_NONE : KIND_NUMBER};
        }
    }
}

static void move_packet(struct gen *g)
{
    static const uint8_t helpers[] = {HELPER_XDP_ADJUST_HEAD, HELPER_XDP_ADJUST_TAIL, HELPER_XDP_ADJUST_META};
    unsigned ctx = gen_find(g, KIND_CTX);
    uint8_t helper = g->program.dialect == DIALECT_LINUX ? helpers[gen_pick(g, 3)] : HELPER_XDP_ADJUST_HEAD;
    if (g->program.type != PROG_TYPE_XDP || ctx == 10) {
        return;
    }
    gen_emit(g, INSN_MOV64_REG, 1, ctx, 0, 0);
    gen_emit(g, INSN_MOV64_IMM, 2, 0, 0, 4 * ((int64_t)gen_pick(g, 12) - 6));
    gen_emit(g, INSN_CALL, 0, 0, 0, helper);
    gen_clobber(g);
    forget_packet(g);
    gen_set(g, 0, KIND_NUMBER);
}

// The memory family of the Windows dialect, on the stack or a map value; bpf_csum_diff in both.
static void memory_helper(struct gen *g)
{
    static const uint8_t helpers[] = {HELPER_MEMCPY_S, HELPER_MEMMOVE_S, HELPER_MEMSET,   HELPER_STRNCPY_S,
                                      HELPER_MEMCMP_S, HELPER_STRNLEN_S, HELPER_CSUM_DIFF};
    uint8_t helper = g->program.dialect == DIALECT_LINUX ? HELPER_CSUM_DIFF : helpers[gen_pick(g, 7)];
    unsigned value = gen_find(g, KIND_VALUE), n = gen_number(g, 10);
    int at = -8 * (int)(1 + gen_pick(g, GEN_SLOTS)), size = 4 * (int)(1 + gen_pick(g, 4));
    if (value >= 6 && value < 10 && gen_chance(g, 2)) {
        gen_emit(g, INSN_MOV64_REG, 1, value, 0, 0);
    } else {
        gen_emit(g, INSN_MOV64_REG, 1, 10, 0, 0);
        gen_emit(g, INSN_ADD64_IMM, 1, 0, 0, at);
    }
    gen_emit(g, INSN_MOV64_REG, 2, n == 1 ? 10 : n, 0, 0);
    if (n == 1 || gen_chance(g, 2)) {
        gen_emit(g, INSN_MOV64_IMM, 2, 0, 0, size);
    } else {
        gen_emit(g, INSN_AND64_IMM, 2, 0, 0, 7);
        gen_emit(g, INSN_ADD64_IMM, 2, 0, 0, 1);
    }
    gen_emit(g, INSN_MOV64_REG, 3, 10, 0, 0);
    gen_emit(g, INSN_ADD64_IMM, 3, 0, 0, helper == HELPER_CSUM_DIFF ? -16 : -8);
    gen_emit(g, INSN_MOV64_IMM, 4, 0, 0, 1 + gen_pick(g, 8));
    gen_emit(g, INSN_MOV64_IMM, 5, 0, 0, 0);
    if (helper == HELPER_MEMSET) {
        gen_emit(g, INSN_MOV64_IMM, 3, 0, 0, gen_pick(g, 256));
    }
    gen_emit(g, INSN_CALL, 0, 0, 0, helper);
    gen_clobber(g);
    gen_set(g, 0, KIND_NUMBER);
    for (unsigned i = 0; i < GEN_SLOTS; i++) {
        if (g->now.slots[i].kind != KIND_NONE) {
            g->now.slots[i] = (struct gen_value){.kind = KIND_NUMBER}; // may have been written
        }
    }
}

static bool load_argument(struct gen *g, unsigned reg, const struct gen_value *want)
{
    unsigned from = want->kind == KIND_NUMBER ? gen_number(g, 10) : gen_find(g, (enum gen_kind)want->kind);
    if (want->kind == KIND_STACK) {
        gen_emit(g, INSN_MOV64_REG, reg, 10, 0, 0);
        gen_emit(g, INSN_ADD64_IMM, reg, 0, 0, -16);
    } else if (from == 10) {
        return false;
    } else {
        gen_emit(g, INSN_MOV64_REG, reg, from, 0, 0);
    }
    g->now.regs[reg] = (struct gen_value){.kind = want->kind, .off = -16};
    return true;
}

static void local_call(struct gen *g)
{
    uint32_t callee = g->func + 1 + gen_pick(g, GEN_FUNCS);
    if (callee >= GEN_FUNCS || g->count + 64 > GEN_MAX_INSNS) {
        return;
    }
    struct gen_state before = g->now;
    uint32_t count = g->count;
    for (unsigned i = 0; i < 3; i++) {
        if (!load_argument(g, 1 + i, &g->args[callee][i])) {
            g->now = before;
            g->count = count;
            return;
        }
    }
    gen_emit(g, INSN_CALL_LOCAL, 0, 0, 0, callee); // the displacement when all places are known
    gen_clobber(g);
    gen_set(g, 0, KIND_NUMBER);
    for (unsigned i = 0; i < 2; i++) {
        // A pointer into the callee's frame may be there now, which would be wrong to use.
        bool trap = gen_chance(g, 6) && g->args[callee][0].kind == KIND_STACK;
        g->now.slots[i] = (struct gen_value){.kind = trap ? KIND_STACK : KIND_NUMBER, .off = -16};
    }
}

static void plain_helper(struct gen *g)
{
    static const uint8_t helpers[] = {HELPER_GET_PRANDOM_U32, HELPER_KTIME_GET_NS,
                                      HELPER_GET_SMP_PROCESSOR_ID};
    uint8_t helper = helpers[gen_pick(g, ARRAY_SIZE(helpers))];
    if (gen_chance(g, 4)) {
        unsigned to = gen_target(g);
        gen_emit(g, INSN_MOV64_IMM, to, 0, 0, spec_builtin()->helpers[helper].number[g->program.dialect]);
        gen_set(g, to, KIND_NUMBER);
        gen_emit(g, INSN_CALLX, to, 0, 0, 0);
    } else {
        gen_emit(g, INSN_CALL, 0, 0, 0, helper);
    }
    gen_clobber(g);
    gen_set(g, 0, KIND_NUMBER);
}

void gen_call_group(struct gen *g)
{
    switch (gen_pick(g, 5)) {
    case 0: plain_helper(g); break;
    case 1: move_packet(g); break;
    case 2: memory_helper(g); break;
    default: local_call(g); break;
    }
}
