// SPDX-License-Identifier: MIT
// gen: numbers, stack, context, branches and loops; packets, maps and calls are in gen_memory.c.
#include "tests/soundness/gen_int.h"

uint64_t gen_random(struct gen *g)
{
    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;
    return g->seed * 0x2545f4914f6cdd1du;
}

uint32_t gen_pick(struct gen *g, uint32_t below)
{
    return (uint32_t)(gen_random(g) >> 33) % below;
}

bool gen_chance(struct gen *g, uint32_t one_in)
{
    return gen_pick(g, one_in) == 0;
}

// Room is left for the exit of the function.
void gen_emit(struct gen *g, unsigned id, unsigned dst, unsigned src, int off, int64_t imm)
{
    if (g->count + 8 >= GEN_MAX_INSNS) {
        g->failed = true;
        return;
    }
    g->insns[g->count++] = (struct insn){
        .id = (uint16_t)id, .dst = (uint8_t)dst, .src = (uint8_t)src, .off = (int16_t)off, .imm = imm};
}

unsigned gen_row(struct gen *g, unsigned form)
{
    for (;;) {
        unsigned id = 1 + gen_pick(g, INSN_ID_COUNT - 1);
        if (insn_info(id)->form == form) {
            return id;
        }
    }
}

int64_t gen_imm(struct gen *g)
{
    static const int64_t special[] = {
        0,    1,     -1,    2,   3,   7,   8,   15,         16,        31,  32,         33,
        63,   64,    127,   128, 255, 256, -2,  -8,         -64,       511, 0x7fffffff, -0x7fffffff - 1,
        4096, 65535, 65536, 240, 252, 254, 248, 0x0f0f0f0f, 0x10000000};
    switch (gen_pick(g, 4)) {
    case 0: return (int32_t)gen_random(g);
    case 1: return gen_pick(g, 24);
    default: return special[gen_pick(g, ARRAY_SIZE(special))];
    }
}

void gen_set(struct gen *g, unsigned reg, enum gen_kind kind)
{
    g->now.regs[reg] = (struct gen_value){.kind = (uint8_t)kind};
}

// r6 mostly keeps what the program was entered with.
unsigned gen_target(struct gen *g)
{
    unsigned reg = gen_pick(g, 10);
    return reg == 6 && !gen_chance(g, 24) ? 0 : reg;
}

unsigned gen_number(struct gen *g, unsigned other)
{
    unsigned from = gen_pick(g, 10);
    for (unsigned i = 0; i < 10; i++) {
        unsigned reg = (from + i) % 10;
        if (reg != other && g->now.regs[reg].kind == KIND_NUMBER) {
            return reg;
        }
    }
    unsigned reg = other == 0 ? 1 : 0;
    gen_emit(g, INSN_MOV64_IMM, reg, 0, 0, gen_imm(g));
    gen_set(g, reg, KIND_NUMBER);
    return reg;
}

unsigned gen_find(struct gen *g, enum gen_kind kind)
{
    unsigned from = gen_pick(g, 10);
    for (unsigned i = 0; i < 10; i++) {
        if (g->now.regs[(from + i) % 10].kind == kind) {
            return (from + i) % 10;
        }
    }
    return 10;
}

unsigned gen_load_row(struct gen *g, uint32_t *size)
{
    unsigned id = gen_row(g, FORM_LOAD);
    *size = insn_info(id)->width / 8u;
    return id;
}

unsigned gen_store_row(struct gen *g, uint32_t *size)
{
    unsigned id = gen_row(g, gen_chance(g, 2) ? FORM_STORE_IMM : FORM_STORE_REG);
    *size = insn_info(id)->width / 8u;
    return id;
}

int gen_offset(struct gen *g, int room, uint32_t size)
{
    int most = room - (int)size;
    if (gen_chance(g, 60)) {
        return most + 1;
    }
    if (most <= 0 || gen_chance(g, 16)) {
        return 0;
    }
    return gen_chance(g, 3) ? most : (int)gen_pick(g, (uint32_t)most + 1);
}

void gen_clobber(struct gen *g)
{
    for (unsigned r = 1; r <= 5; r++) {
        gen_set(g, r, KIND_NONE);
    }
}

// --- control flow --------------------------------------------------------------------------------

uint32_t gen_jump(struct gen *g, unsigned id, unsigned dst, unsigned src, int64_t imm)
{
    gen_emit(g, id, dst, src, 0, imm);
    return g->count - 1;
}

void gen_land(struct gen *g, uint32_t jump)
{
    if (!g->failed) {
        g->insns[jump].off = (int16_t)(g->count - jump - 1);
    }
}

static void join_value(struct gen_value *a, const struct gen_value *b, bool in_memory)
{
    if (a->kind == b->kind && a->map == b->map && a->id == b->id && a->off == b->off) {
        a->size = a->size < b->size ? a->size : b->size;
        return;
    }
    bool written = in_memory && a->kind != KIND_NONE && b->kind != KIND_NONE;
    *a = (struct gen_value){.kind = written ? KIND_NUMBER : KIND_NONE};
}

void gen_join(struct gen_state *a, const struct gen_state *b)
{
    for (unsigned i = 0; i < 10; i++) {
        join_value(&a->regs[i], &b->regs[i], false);
    }
    for (unsigned i = 0; i < GEN_SLOTS; i++) {
        join_value(&a->slots[i], &b->slots[i], true);
    }
}

uint32_t gen_branch(struct gen *g)
{
    if (gen_chance(g, 24)) {
        return gen_jump(g, INSN_MAY_GOTO, 0, 0, 0);
    }
    unsigned a = gen_number(g, 10);
    if (gen_chance(g, 2)) {
        return gen_jump(g, gen_row(g, FORM_JMP_IMM), a, 0, gen_imm(g));
    }
    return gen_jump(g, gen_row(g, FORM_JMP_REG), a, gen_number(g, gen_chance(g, 8) ? 10 : a), 0);
}

static void group_if(struct gen *g)
{
    uint32_t to_else = gen_branch(g);
    struct gen_state before = g->now, after;
    gen_block(g, 1 + gen_pick(g, 3));
    if (gen_chance(g, 2)) {
        gen_land(g, to_else);
        gen_join(&g->now, &before);
        return;
    }
    uint32_t to_end = gen_jump(g, INSN_JA, 0, 0, 0);
    after = g->now;
    g->now = before;
    gen_land(g, to_else);
    gen_block(g, 1 + gen_pick(g, 3));
    gen_land(g, to_end);
    gen_join(&g->now, &after);
}

// A counter in a stack slot of its own, so that the body cannot spoil it by accident.
static void group_loop(struct gen *g)
{
    int off = -GEN_SLOT_TOP - 8 * (int)(1 + g->depth + 4 * g->func);
    gen_emit(g, gen_chance(g, 2) ? INSN_STDW : INSN_STW, 10, 0, off, 0);
    bool wide = g->insns[g->count - 1].id == INSN_STDW;
    struct gen_state before = g->now;
    gen_clobber(g); // the body may lose what it was entered with
    for (unsigned r = 0; r < 10; r++) {
        if (g->now.regs[r].kind != KIND_NUMBER && g->now.regs[r].kind != KIND_CTX) {
            gen_set(g, r, KIND_NONE);
        }
    }
    struct gen_state entry = g->now;
    uint32_t top = g->count;
    gen_block(g, 1 + gen_pick(g, 2));
    unsigned r = gen_target(g);
    gen_emit(g, wide ? INSN_LDXDW : INSN_LDXW, r, 10, off, 0);
    gen_emit(g, gen_chance(g, 2) ? INSN_ADD64_IMM : INSN_ADD32_IMM, r, 0, 0, 1 + (int64_t)gen_pick(g, 2));
    gen_emit(g, wide ? INSN_STXDW : INSN_STXW, 10, r, off, 0);
    gen_set(g, r, KIND_NUMBER);
    if (gen_chance(g, 8)) { // as often as the platform lets it
        gen_emit(g, INSN_MAY_GOTO, 0, 0, 1, 0);
        gen_emit(g, INSN_JA, 0, 0, (int)top - (int)g->count - 1, 0);
    } else {
        gen_emit(g, gen_chance(g, 2) ? INSN_JLT64_IMM : INSN_JSLE32_IMM, r, 0, (int)top - (int)g->count - 1,
                 1 + (int64_t)gen_pick(g, 6));
    }
    gen_join(&g->now, &entry);
    gen_join(&g->now, &before);
}

// --- numbers -------------------------------------------------------------------------------------

static void group_number(struct gen *g)
{
    unsigned d = gen_number(g, 10);
    switch (gen_pick(g, 6)) {
    case 0: gen_emit(g, gen_row(g, FORM_ALU_REG), d, gen_number(g, gen_chance(g, 8) ? 10 : d), 0, 0); break;
    case 1: gen_emit(g, gen_row(g, FORM_ALU_UNARY), d, 0, 0, 0); break;
    case 2: {
        unsigned t = gen_target(g);
        gen_emit(g, gen_chance(g, 3) ? INSN_MOV32_REG : INSN_MOV64_REG, t, d, 0, 0);
        gen_set(g, t, KIND_NUMBER);
        break;
    }
    case 3: {
        unsigned t = gen_target(g);
        gen_emit(g, INSN_LDDW, t, 0, 0, gen_chance(g, 2) ? (int64_t)gen_random(g) : gen_imm(g));
        gen_emit(g, INSN_NONE, 0, 0, 0, 0);
        gen_set(g, t, KIND_NUMBER);
        break;
    }
    default: gen_emit(g, gen_row(g, FORM_ALU_IMM), d, 0, 0, gen_imm(g)); break;
    }
}

// Copies whatever a register holds; half of a pointer is a number.
static void group_copy(struct gen *g)
{
    unsigned from = gen_pick(g, 10), to = gen_target(g);
    if (g->now.regs[from].kind == KIND_NONE) {
        return;
    }
    bool whole = !gen_chance(g, 12);
    gen_emit(g, whole ? INSN_MOV64_REG : INSN_MOV32_REG, to, from, 0, 0);
    g->now.regs[to] = g->now.regs[from];
    if (!whole) {
        gen_set(g, to, KIND_NUMBER);
    }
}

// --- the stack -----------------------------------------------------------------------------------

// Bytes [at, at + size) above r10 - GEN_SLOT_TOP were written with `v`.
static void write_slots(struct gen *g, int at, uint32_t size, const struct gen_value *v)
{
    for (int i = at / 8; i <= (at + (int)size - 1) / 8 && i < GEN_SLOTS; i++) {
        struct gen_value *slot = &g->now.slots[GEN_SLOTS - 1 - i];
        if (at == i * 8 && size == 8) {
            *slot = *v;
        } else if (slot->kind != KIND_NONE) {
            *slot = (struct gen_value){.kind = KIND_NUMBER};
        }
    }
}

static void group_store(struct gen *g)
{
    uint32_t size;
    unsigned id = gen_store_row(g, &size), src = gen_chance(g, 2) ? gen_number(g, 10) : gen_pick(g, 10);
    bool aligned = !gen_chance(g, 6);
    if (g->now.regs[src].kind == KIND_NONE || insn_info(id)->form == FORM_STORE_IMM) {
        src = gen_number(g, 10);
    }
    if (g->now.regs[src].kind != KIND_NUMBER && !gen_chance(g, 6)) {
        id = INSN_STXDW;
        size = 8;
    }
    int at = (int)gen_pick(g, GEN_SLOT_TOP - size + 1);
    at = aligned ? at / (int)size * (int)size : at;
    bool imm = insn_info(id)->form == FORM_STORE_IMM;
    gen_emit(g, id, 10, imm ? 0 : src, at - GEN_SLOT_TOP, imm ? gen_imm(g) : 0);
    struct gen_value v = imm ? (struct gen_value){.kind = KIND_NUMBER} : g->now.regs[src];
    write_slots(g, at, size, &v);
}

static void group_fill(struct gen *g)
{
    unsigned slot = gen_pick(g, GEN_SLOTS), to = gen_target(g);
    uint32_t size;
    unsigned id = gen_load_row(g, &size);
    for (unsigned i = 0; i < GEN_SLOTS && g->now.slots[slot].kind == KIND_NONE; i++) {
        slot = (slot + 1) % GEN_SLOTS;
    }
    if (g->now.slots[slot].kind == KIND_NONE && !gen_chance(g, 16)) {
        return;
    }
    int off = -8 * (int)(slot + 1);
    if (gen_chance(g, 2)) {
        gen_emit(g, INSN_LDXDW, to, 10, off, 0);
        g->now.regs[to] = g->now.slots[slot];
        return;
    }
    gen_emit(g, id, to, 10, off + (int)gen_pick(g, 9 - size), 0);
    gen_set(g, to, KIND_NUMBER);
}

// Stores the address of a place in this frame through `p`, which may point into a caller's.
static void store_pointer(struct gen *g, unsigned p)
{
    unsigned to = gen_target(g);
    if (to == p || gen_chance(g, 3)) {
        gen_emit(g, INSN_STXDW, p, p, gen_chance(g, 8) ? 4 : 0, 0);
        return;
    }
    int off = -8 * (int)(2 + gen_pick(g, 4));
    gen_emit(g, INSN_MOV64_REG, to, 10, 0, 0);
    gen_emit(g, INSN_ADD64_IMM, to, 0, 0, off);
    gen_emit(g, INSN_STDW, to, 0, 0, gen_imm(g));
    gen_emit(g, INSN_STXDW, p, to, 0, 0);
    g->now.regs[to] = (struct gen_value){.kind = KIND_STACK, .off = (int16_t)off};
}

static void group_stack_pointer(struct gen *g)
{
    unsigned p = gen_find(g, KIND_STACK), n = gen_number(g, 10), to;
    uint32_t size;
    if (p == 10 || gen_chance(g, 3)) {
        p = gen_target(g);
        int off = -8 * (int)(2 + gen_pick(g, GEN_SLOTS - 2));
        gen_emit(g, INSN_MOV64_REG, p, 10, 0, 0);
        gen_emit(g, INSN_ADD64_IMM, p, 0, 0, off);
        g->now.regs[p] = (struct gen_value){.kind = KIND_STACK, .off = (int16_t)off};
        return;
    }
    if (n != p && gen_chance(g, 4)) {
        gen_emit(g, INSN_AND64_IMM, n, 0, 0, gen_chance(g, 2) ? 8 : 7);
        gen_emit(g, gen_chance(g, 8) ? INSN_SUB64_REG : INSN_ADD64_REG, p, n, 0, 0);
    }
    if (gen_chance(g, 2)) {
        unsigned id = gen_load_row(g, &size);
        to = gen_target(g);
        gen_emit(g, id, to, p, gen_offset(g, 8, size), 0);
        gen_set(g, to, KIND_NUMBER);
    } else if (gen_chance(g, 4)) {
        store_pointer(g, p);
    } else if (gen_chance(g, 3)) {
        gen_emit(g, gen_row(g, FORM_ATOMIC), p, gen_number(g, p), 0, 0);
    } else {
        unsigned id = gen_store_row(g, &size);
        bool imm = insn_info(id)->form == FORM_STORE_IMM;
        gen_emit(g, id, p, imm ? 0 : gen_number(g, p), gen_offset(g, 8, size), imm ? gen_imm(g) : 0);
    }
}

// --- the context ---------------------------------------------------------------------------------

static enum gen_kind kind_of_field(const struct field_row *f)
{
    switch (f->kind) {
    case FIELD_PACKET: return KIND_PACKET;
    case FIELD_PACKET_END: return KIND_END;
    case FIELD_PACKET_META: return KIND_META;
    default: return KIND_NUMBER;
    }
}

static unsigned row_of_size(unsigned form, uint32_t size, bool sign)
{
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        const struct insn_info *info = insn_info(id);
        if (info->form == form && info->width == size * 8 && (info->sem == SEM_LDXS) == sign) {
            return id;
        }
    }
    return INSN_LDXDW;
}

static void group_context(struct gen *g)
{
    const struct spec_view *spec = spec_builtin();
    unsigned ctx = gen_find(g, KIND_CTX),
             layout = spec->prog_types[g->program.type].layout[g->program.dialect];
    if (ctx == 10 || layout == LAYOUT_NONE) {
        return;
    }
    const struct field_row *f = &spec->layouts[layout].fields[gen_pick(g, spec->layouts[layout].field_count)];
    uint32_t size = f->size > 8 ? 8 : f->size, off = f->off;
    if ((f->access & FIELD_WRITE) != 0 && gen_chance(g, 2)) {
        gen_emit(g, row_of_size(FORM_STORE_REG, size, false), ctx, gen_number(g, ctx), (int)off, 0);
        return;
    }
    if (f->kind == FIELD_SCALAR && gen_chance(g, 3)) {
        size = 1u << gen_pick(g, 2);
        off += gen_pick(g, f->size / size > 0 ? f->size / size : 1) * size;
    }
    bool sign = f->kind == FIELD_SCALAR && size < 8 && gen_chance(g, 6);
    unsigned to = gen_target(g);
    gen_emit(g, row_of_size(FORM_LOAD, size, sign), to, ctx, (int)off, 0);
    gen_set(g, to, kind_of_field(f));
}

// --- programs ------------------------------------------------------------------------------------

static void group(struct gen *g)
{
    switch (gen_pick(g, 20)) {
    case 0:
    case 1: group_number(g); break;
    case 2: group_copy(g); break;
    case 3:
    case 4: group_store(g); break;
    case 5:
    case 6: group_fill(g); break;
    case 7: group_stack_pointer(g); break;
    case 8: group_context(g); break;
    case 9:
    case 10:
    case 11:
    case 12: gen_packet_group(g); break;
    case 13:
    case 14: gen_map_group(g); break;
    case 15: (gen_chance(g, 6) ? gen_copy_group : gen_call_group)(g); break;
    case 16: (g->depth < 4 && gen_chance(g, 2) ? group_loop : group_number)(g); break;
    default: (g->depth < 4 ? group_if : group_number)(g); break;
    }
}

void gen_block(struct gen *g, uint32_t count)
{
    g->depth++;
    for (uint32_t i = 0; i < count && !g->failed; i++) {
        group(g);
    }
    g->depth--;
}

static void close_function(struct gen *g)
{
    g->failed = g->failed || g->count + 4 > GEN_MAX_INSNS;
    if (g->failed) {
        return;
    }
    if (g->now.regs[0].kind != KIND_NUMBER) {
        g->insns[g->count++] = (struct insn){.id = INSN_MOV64_IMM, .imm = 2};
    }
    g->insns[g->count++] = (struct insn){.id = INSN_EXIT};
}

static void make_function(struct gen *g, uint32_t func)
{
    bool raw = g->program.type == PROG_TYPE_RAW_MEMORY;
    memset(&g->now, 0, sizeof(g->now));
    g->func = func;
    if (func > 0) {
        memcpy(&g->now.regs[1], g->args[func], sizeof(g->args[func]));
    } else {
        gen_set(g, 1, raw ? KIND_PACKET : KIND_CTX);
        gen_set(g, 2, raw ? KIND_NUMBER : KIND_NONE);
        gen_emit(g, INSN_MOV64_REG, 6, 1, 0, 0);
        g->now.regs[6] = g->now.regs[1];
        gen_emit(g, INSN_STDW, 10, 0, -8, gen_imm(g));
        gen_emit(g, INSN_STDW, 10, 0, -16, 0);
        g->now.slots[0].kind = g->now.slots[1].kind = KIND_NUMBER;
    }
    gen_block(g, func > 0 ? 3 + gen_pick(g, 5) : 6 + gen_pick(g, 14));
    close_function(g);
}

static void choose_args(struct gen *g)
{
    static const uint8_t kinds[] = {KIND_NUMBER, KIND_NUMBER, KIND_STACK, KIND_CTX, KIND_PACKET};
    for (uint32_t f = 1; f < GEN_FUNCS; f++) {
        for (unsigned i = 0; i < 3; i++) {
            uint8_t kind = kinds[gen_pick(g, ARRAY_SIZE(kinds))];
            bool raw = g->program.type == PROG_TYPE_RAW_MEMORY;
            g->args[f][i] = (struct gen_value){.kind = raw && kind == KIND_CTX ? KIND_NUMBER : kind};
        }
    }
}

static void choose_type(struct gen *g)
{
    static const struct {
        uint32_t type, dialect;
    } types[] = {{PROG_TYPE_XDP, DIALECT_LINUX},        {PROG_TYPE_XDP, DIALECT_WINDOWS},
                 {PROG_TYPE_XDP, DIALECT_LINUX},        {PROG_TYPE_SAMPLE, DIALECT_WINDOWS},
                 {PROG_TYPE_RAW_MEMORY, DIALECT_LINUX}, {PROG_TYPE_RAW_MEMORY, DIALECT_WINDOWS}};
    unsigned i = gen_pick(g, ARRAY_SIZE(types));
    g->program.type = types[i].type;
    g->program.dialect = types[i].dialect;
}

static bool is_called(const struct gen *g, uint32_t func)
{
    for (uint32_t pc = 0; pc < g->count; pc++) {
        if (g->insns[pc].id == INSN_CALL_LOCAL && g->insns[pc].imm == (int64_t)func) {
            return true;
        }
    }
    return func == 0;
}

// Functions that nothing calls are left out.
static void make_functions(struct gen *g)
{
    uint32_t start[GEN_FUNCS] = {0};
    for (uint32_t f = 0; f < GEN_FUNCS; f++) {
        if (is_called(g, f)) {
            start[f] = g->count;
            make_function(g, f);
            g->funcs[g->program.func_count++] = (struct func){.start = start[f], .end = g->count};
        }
    }
    for (uint32_t pc = 0; pc < g->count; pc++) {
        if (g->insns[pc].id == INSN_CALL_LOCAL) {
            g->insns[pc].imm = (int64_t)start[g->insns[pc].imm] - pc - 1;
        }
    }
}

void gen_program(struct gen *g, uint64_t seed)
{
    static const struct map_def maps[GEN_MAPS] = {
        [GEN_ARRAY_ONE] = {MAP_TYPE_ARRAY, 2, 4, 48, 1, 0, "one"},
        [GEN_ARRAY] = {MAP_TYPE_ARRAY, 2, 4, 24, 4, 0, "array"},
        [GEN_HASH] = {MAP_TYPE_HASH, 1, 8, 40, 8, 0, "hash"},
        [GEN_PERCPU] = {MAP_TYPE_PERCPU_ARRAY, 6, 4, 13, 2, 0, "percpu"},
        [GEN_READ_ONLY] = {MAP_TYPE_ARRAY, 2, 4, 32, 1, MAP_FLAG_RDONLY_PROG, "fixed"},
    };
    memset(g, 0, sizeof(*g));
    g->origin = seed;
    g->seed = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
    for (unsigned i = 0; i < 8; i++) {
        gen_random(g); // seeds that differ in few bits drift apart
    }
    memcpy(g->maps, maps, sizeof(maps));
    choose_type(g);
    choose_args(g);
    make_functions(g);
    g->program.attach_type = spec_default_attach_type(spec_builtin(), g->program.type);
    g->program.insns = g->insns;
    g->program.insn_count = g->count;
    g->program.funcs = g->funcs;
    g->program.maps = g->maps;
    g->program.map_count = GEN_MAPS;
    g->program.strings = "";
    g->program.strings_size = 1;
}
