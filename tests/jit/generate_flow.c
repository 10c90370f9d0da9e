// SPDX-License-Identifier: MIT
// generate_flow: statements that branch, loop and call.
#include "tests/jit/generate.h"

uint32_t gen_branch(struct generator *g)
{
    unsigned id, dst = gen_number_reg(g), src = 0;
    do {
        id = 1 + gen_pick(g, INSN_ID_COUNT - 1);
    } while (insn_info(id)->form != FORM_JMP_IMM && insn_info(id)->form != FORM_JMP_REG);
    bool by_register = insn_info(id)->form == FORM_JMP_REG;
    if (by_register) {
        src = gen_number_reg(g);
    }
    return gen_emit(g, id, dst, src, 0, by_register ? 0 : gen_small(g));
}

static void aim(struct generator *g, uint32_t pc, uint32_t target)
{
    g->insns[pc].off = (int16_t)((int32_t)target - (int32_t)pc - 1);
}

void gen_land(struct generator *g, uint32_t pc)
{
    aim(g, pc, g->count);
}

// --- branches ------------------------------------------------------------------------------------

static void branch(struct generator *g)
{
    uint32_t pc = gen_branch(g);
    struct generate_state before = g->now;
    gen_block(g, 1 + gen_pick(g, 4));
    if (gen_chance(g, 50)) {
        uint32_t over = gen_emit(g, INSN_JA, 0, 0, 0, 0);
        struct generate_state first = g->now;
        gen_land(g, pc);
        g->now = before;
        gen_block(g, 1 + gen_pick(g, 4));
        gen_land(g, over);
        gen_merge(&g->now, &first);
    } else {
        gen_land(g, pc);
        gen_merge(&g->now, &before);
    }
}

static void leave_early(struct generator *g)
{
    uint32_t pc = gen_branch(g);
    struct generate_state before = g->now;
    if (g->now.regs[0].kind != KIND_NUMBER) {
        gen_emit(g, INSN_MOV64_IMM, 0, 0, 0, gen_small(g));
    }
    gen_emit(g, INSN_EXIT, 0, 0, 0, 0);
    gen_land(g, pc);
    g->now = before;
}

// x compared with one constant after the other.
static void chain(struct generator *g)
{
    uint32_t cases = 3 + gen_pick(g, 10), jumps[16], ends[16];
    unsigned x = gen_number_dst(g);
    int32_t first = gen_chance(g, 80) ? (int32_t)gen_pick(g, 5) : gen_small(g) / 2;
    bool wide = gen_chance(g, 60);
    if (gen_chance(g, 80)) {
        gen_emit(g, INSN_AND64_IMM, x, 0, 0, 15);
    }
    struct generate_state before = g->now;
    for (uint32_t i = 0; i < cases; i++) {
        int64_t value = (int64_t)first + (gen_chance(g, 90) ? i : gen_pick(g, 16));
        jumps[i] = gen_emit(g, wide ? INSN_JEQ64_IMM : INSN_JEQ32_IMM, x, 0, 0, (int32_t)value);
    }
    unsigned out = gen_free_reg_but(g, x);
    uint32_t over = gen_emit(g, INSN_JA, 0, 0, 0, 0);
    for (uint32_t i = 0; i < cases; i++) {
        gen_land(g, jumps[i]);
        g->now = before;
        gen_emit(g, INSN_MOV64_IMM, out, 0, 0, gen_small(g));
        ends[i] = gen_emit(g, INSN_JA, 0, 0, 0, 0);
    }
    gen_land(g, over);
    gen_emit(g, INSN_MOV64_IMM, out, 0, 0, gen_small(g));
    for (uint32_t i = 0; i < cases; i++) {
        gen_land(g, ends[i]);
    }
    g->now = before;
    gen_set(g, out, KIND_NUMBER, 0);
}

// --- loops ---------------------------------------------------------------------------------------

struct loop {
    unsigned counter, limit_reg; // limit_reg 10: an immediate
    unsigned fuel;               // register of the turns that a wild loop has left; 10: it ends by itself
    int64_t start, limit, step;
    bool narrow, top;      // 32-bit; tested before the body
    unsigned again, leave; // instructions that compare with an immediate: "goes on", "ends"
    uint32_t breaks[4], break_count;
    uint32_t nexts[4], next_count; // jumps from the body to the step
    struct generate_state head, end;
    bool has_end;
};

static void choose_upward(struct generator *g, struct loop *l, int64_t turns)
{
    static const uint16_t again[2][3] = {{INSN_JLT64_IMM, INSN_JNE64_IMM, INSN_JSLT64_IMM},
                                         {INSN_JLT32_IMM, INSN_JNE32_IMM, INSN_JSLT32_IMM}};
    static const uint16_t leave[2][3] = {{INSN_JGE64_IMM, INSN_JEQ64_IMM, INSN_JSGE64_IMM},
                                         {INSN_JGE32_IMM, INSN_JEQ32_IMM, INSN_JSGE32_IMM}};
    unsigned which = gen_pick(g, 3);
    l->start = gen_pick(g, 3);
    l->limit = l->start + turns * l->step;
    if (which != 1) {
        l->limit -= gen_pick(g, (uint32_t)l->step);
    }
    if (which == 2 && gen_chance(g, 30)) {
        l->start -= 8;
        l->limit -= 8;
    }
    l->again = again[l->narrow][which];
    l->leave = leave[l->narrow][which];
}

static void choose_downward(struct generator *g, struct loop *l, int64_t turns)
{
    static const uint16_t again[2][3] = {{INSN_JGT64_IMM, INSN_JNE64_IMM, INSN_JSGT64_IMM},
                                         {INSN_JGT32_IMM, INSN_JNE32_IMM, INSN_JSGT32_IMM}};
    static const uint16_t leave[2][3] = {{INSN_JLE64_IMM, INSN_JEQ64_IMM, INSN_JSLE64_IMM},
                                         {INSN_JLE32_IMM, INSN_JEQ32_IMM, INSN_JSLE32_IMM}};
    unsigned which = gen_pick(g, 3);
    l->limit = gen_pick(g, 3);
    l->start = l->limit + turns * l->step;
    if (which == 0) {
        l->limit += l->step; // what is below would wrap around
        l->start += l->step;
    }
    l->step = -l->step;
    l->again = again[l->narrow][which];
    l->leave = leave[l->narrow][which];
}

// Counters that wrap around, miss their limit, or never get there: the fuel ends the loop then.
static void choose_wildly(struct generator *g, struct loop *l)
{
    unsigned first = l->narrow ? INSN_JEQ32_IMM : INSN_JEQ64_IMM;
    l->again = first + 2 * gen_pick(g, 11); // pairs of rows, _IMM and _REG
    l->leave = first + 2 * gen_pick(g, 11);
    l->start = gen_small(g);
    l->step = gen_chance(g, 60) ? (int64_t)gen_pick(g, 9) - 4 : gen_small(g);
    l->limit =
        gen_chance(g, 50) ? (int32_t)(uint32_t)(l->start + (int64_t)gen_pick(g, 40) - 20) : gen_small(g);
    l->fuel = 0; // to be chosen
}

static void set_constant(struct generator *g, unsigned reg, int64_t value, bool narrow)
{
    gen_emit(g, narrow && gen_chance(g, 50) ? INSN_MOV32_IMM : INSN_MOV64_IMM, reg, 0, 0, value);
    gen_set(g, reg, KIND_NUMBER, 0);
    g->locked |= (uint16_t)(1u << reg);
}

static void open_loop(struct generator *g, struct loop *l)
{
    int64_t turns = 1 + gen_pick(g, g->loops == 1 ? 10 : 4);
    l->step = gen_chance(g, 60) ? 1 : 1 + (int64_t)gen_pick(g, 4);
    l->narrow = gen_chance(g, 40);
    l->top = gen_chance(g, 35);
    l->fuel = 10;
    if (gen_chance(g, 15)) {
        choose_wildly(g, l);
    } else if (gen_chance(g, 60)) {
        choose_upward(g, l, turns);
    } else {
        choose_downward(g, l, turns);
    }
    l->counter = gen_free_reg(g);
    l->limit_reg = 10;
    set_constant(g, l->counter, l->start, l->narrow);
    if (gen_chance(g, 25)) {
        l->limit_reg = gen_free_reg(g);
        set_constant(g, l->limit_reg, l->limit, l->narrow);
    }
    if (l->fuel != 10) {
        l->fuel = gen_free_reg(g);
        set_constant(g, l->fuel, 2 + gen_pick(g, 12), false);
    } else if (l->start >= 0) {
        g->bounds[l->counter] = (uint8_t)(l->start > l->limit ? l->start : l->limit);
    }
}

static uint32_t test_loop(struct generator *g, const struct loop *l, unsigned id)
{
    if (l->limit_reg == 10) {
        return gen_emit(g, id, l->counter, 0, 0, l->limit);
    }
    return gen_emit(g, id + 1u, l->counter, l->limit_reg, 0, 0); // the row after an _IMM is its _REG
}

static void leave_loop(struct generator *g, struct loop *l, uint32_t pc)
{
    l->breaks[l->break_count++] = pc;
    if (l->has_end) {
        gen_merge(&l->end, &g->now);
    } else {
        l->end = g->now;
        l->has_end = true;
    }
}

// From the middle of the body to the step.
static void next_turn(struct generator *g, struct loop *l)
{
    uint32_t pc = gen_branch(g);
    struct generate_state before = g->now;
    gen_block(g, gen_pick(g, 3));
    gen_restore(g, &l->head);
    l->nexts[l->next_count++] = gen_emit(g, INSN_JA, 0, 0, 0, 0);
    gen_land(g, pc);
    g->now = before;
}

static void run_body(struct generator *g, struct loop *l)
{
    if (g->options.may_goto && gen_chance(g, 40)) {
        leave_loop(g, l, gen_emit(g, INSN_MAY_GOTO, 0, 0, 0, 0));
    }
    if (l->fuel != 10) {
        gen_emit(g, INSN_ADD64_IMM, l->fuel, 0, 0, -1);
        leave_loop(g, l, gen_emit(g, INSN_JEQ64_IMM, l->fuel, 0, 0, 0));
    }
    gen_block(g, 1 + gen_pick(g, 4));
    if (gen_chance(g, 30)) {
        leave_loop(g, l, gen_branch(g));
        gen_block(g, 1 + gen_pick(g, 3));
    }
    while (gen_chance(g, 30) && l->next_count < ARRAY_SIZE(l->nexts)) {
        next_turn(g, l);
    }
    gen_restore(g, &l->head);
    for (uint32_t i = 0; i < l->next_count; i++) {
        gen_land(g, l->nexts[i]);
        g->now = l->head;
    }
}

static void loop(struct generator *g)
{
    struct loop l = {0};
    uint16_t locked = g->locked;
    g->loops++;
    open_loop(g, &l);
    gen_forget_values(&g->now);
    l.head = g->now;
    uint32_t head = g->count;
    if (l.top) {
        leave_loop(g, &l, test_loop(g, &l, l.leave));
    }
    run_body(g, &l);
    gen_emit(g, l.narrow ? INSN_ADD32_IMM : INSN_ADD64_IMM, l.counter, 0, 0, l.step);
    uint32_t back = l.top ? gen_emit(g, INSN_JA, 0, 0, 0, 0) : test_loop(g, &l, l.again);
    aim(g, back, head);
    if (l.top) {
        g->now = l.end;
    } else if (l.has_end) {
        gen_merge(&g->now, &l.end);
    }
    for (uint32_t i = 0; i < l.break_count; i++) {
        gen_land(g, l.breaks[i]);
    }
    g->locked = locked;
    g->bounds[l.counter] = 0;
    g->loops--;
}

// Blocks that jump to one another as they like, until the fuel in r9 is used up.
void gen_tangle(struct generator *g)
{
    uint32_t starts[8], count = 3 + gen_pick(g, 6), jumps[8][3];
    for (unsigned reg = 0; reg < 10; reg++) {
        if (reg != 6 && g->now.regs[reg].kind != KIND_NUMBER) {
            gen_load_number(g, reg);
        }
    }
    gen_emit(g, INSN_MOV64_IMM, 9, 0, 0, 4 + gen_pick(g, 30));
    uint16_t locked = g->locked;
    g->locked |= 1 << 9;
    g->depth += 4; // no blocks inside
    gen_forget_values(&g->now);
    struct generate_state same = g->now;
    for (uint32_t i = 0; i < count; i++) {
        starts[i] = g->count;
        g->now = same;
        gen_block(g, 1 + gen_pick(g, 4));
        gen_restore(g, &same);
        gen_emit(g, INSN_ADD64_IMM, 9, 0, 0, -1);
        jumps[i][0] = gen_emit(g, INSN_JEQ64_IMM, 9, 0, 0, 0);
        jumps[i][1] = gen_branch(g);
        jumps[i][2] = gen_emit(g, INSN_JA, 0, 0, 0, 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        gen_land(g, jumps[i][0]);
        aim(g, jumps[i][1], starts[gen_pick(g, count)]);
        aim(g, jumps[i][2], starts[gen_pick(g, count)]);
    }
    g->now = same;
    g->locked = locked;
    g->depth -= 4;
}

// --- calls ---------------------------------------------------------------------------------------

static void forget_arguments(struct generator *g)
{
    for (unsigned reg = 1; reg <= 5; reg++) {
        g->now.regs[reg].kind = KIND_NONE;
    }
    gen_set(g, 0, KIND_NUMBER, 0);
}

// Argument registers are filled in order: those below `arg` hold arguments.
static void number_argument(struct generator *g, unsigned arg)
{
    for (unsigned i = 0; i < 6; i++) {
        unsigned reg = gen_pick(g, 10);
        if (g->now.regs[reg].kind == KIND_NUMBER && (reg == 0 || reg >= arg)) {
            if (reg != arg) {
                gen_emit(g, INSN_MOV64_REG, arg, reg, 0, 0);
            }
            return;
        }
    }
    gen_load_number(g, arg);
}

static void stack_argument(struct generator *g, unsigned arg, unsigned bytes, unsigned align)
{
    unsigned more = gen_pick(g, 8 * NUMBER_SLOTS - bytes + 1) / align * align;
    gen_emit(g, INSN_MOV64_REG, arg, 10, 0, 0);
    gen_emit(g, INSN_ADD64_IMM, arg, 0, 0, -(int64_t)(bytes + more));
}

static void finish_call(struct generator *g, unsigned helper)
{
    if (g->options.calls_by_number && gen_chance(g, 30) && (g->locked >> 8 & 1) == 0) {
        gen_emit(g, INSN_MOV64_IMM, 8, 0, 0, helper);
        gen_set(g, 8, KIND_NUMBER, 0);
        gen_emit(g, INSN_CALLX, 8, 0, 0, 0);
    } else {
        gen_emit(g, INSN_CALL, 0, 0, 0, helper);
    }
    forget_arguments(g);
}

static void call_with_numbers(struct generator *g)
{
    unsigned which = gen_pick(g, 7);
    if (which >= 5) {
        finish_call(g, which == 5 ? WORLD_NEXT : WORLD_CPU_ID);
        return;
    }
    for (unsigned arg = 1; arg <= which + 1; arg++) {
        number_argument(g, arg);
    }
    finish_call(g, WORLD_MIX1 + which);
}

static void call_with_memory(struct generator *g)
{
    unsigned bytes = 1 + gen_pick(g, 16);
    bool fills = gen_chance(g, 50);
    if (gen_chance(g, 60)) {
        stack_argument(g, 1, bytes, 1);
    } else {
        gen_emit(g, INSN_MOV64_REG, 1, 6, 0, 0);
        gen_emit(g, INSN_ADD64_IMM, 1, 0, 0, gen_pick(g, WORLD_MEM - bytes + 1));
    }
    gen_emit(g, INSN_MOV64_IMM, 2, 0, 0, bytes);
    if (fills) {
        number_argument(g, 3);
    }
    finish_call(g, fills ? WORLD_FILL : WORLD_SUM);
}

// The key of a map goes to a number slot; its address to r2, the map's to r1.
static void map_and_key(struct generator *g, unsigned map)
{
    int off = -4 - 4 * (int)gen_pick(g, 2 * NUMBER_SLOTS);
    if (gen_chance(g, 60)) {
        gen_emit(g, INSN_STW, 10, 0, off, gen_pick(g, 10));
    } else {
        unsigned key = gen_number_dst(g);
        if (gen_chance(g, 80)) {
            gen_emit(g, INSN_AND64_IMM, key, 0, 0, 7);
        }
        gen_emit(g, INSN_STXW, 10, key, off, 0);
    }
    gen_lddw(g, INSN_LDDW_MAP, 1, map);
    gen_emit(g, INSN_MOV64_REG, 2, 10, 0, 0);
    gen_emit(g, INSN_ADD64_IMM, 2, 0, 0, off);
}

// The register that a look-up's result is tested in: at once, or in a copy some instructions later.
static unsigned hold_result(struct generator *g)
{
    unsigned reg = gen_chance(g, 50) ? 0 : gen_free_reg_but(g, 0);
    if (reg != 0) {
        gen_emit(g, INSN_MOV64_REG, reg, 0, 0, 0);
    }
    g->now.regs[0].kind = KIND_NONE;
    g->now.regs[reg].kind = KIND_NONE;
    if (gen_chance(g, 40) && (g->locked >> reg & 1) == 0) {
        g->locked |= (uint16_t)(1u << reg);
        gen_alu(g);
        gen_alu(g);
        g->locked &= (uint16_t)~(1u << reg);
    }
    return reg;
}

static void look_up(struct generator *g)
{
    unsigned map = gen_pick(g, WORLD_MAPS);
    map_and_key(g, map);
    gen_emit(g, INSN_CALL, 0, 0, 0, WORLD_LOOKUP);
    forget_arguments(g);
    unsigned reg = hold_result(g);
    bool inverse = gen_chance(g, 20);
    uint32_t pc = gen_emit(g, inverse ? INSN_JNE64_IMM : INSN_JEQ64_IMM, reg, 0, 0, 0);
    if (inverse) {
        uint32_t found = pc;
        pc = gen_emit(g, INSN_JA, 0, 0, 0, 0);
        gen_land(g, found);
    }
    struct generate_state before = g->now;
    g->now.regs[reg] = (struct generate_value){.kind = KIND_VALUE, .size = (uint8_t)world.value_sizes[map]};
    gen_access(g);
    gen_block(g, 1 + gen_pick(g, 3));
    gen_land(g, pc);
    gen_merge(&g->now, &before);
}

static void change_map(struct generator *g)
{
    unsigned map = gen_pick(g, WORLD_MAPS);
    bool deletes = gen_chance(g, 40);
    map_and_key(g, map);
    if (!deletes) {
        stack_argument(g, 3, world.value_sizes[map], 1);
    }
    gen_emit(g, INSN_CALL, 0, 0, 0, deletes ? WORLD_DELETE : WORLD_UPDATE);
    forget_arguments(g);
}

static void call_function(struct generator *g)
{
    if (g->func + 1 >= g->func_count || g->call_count == ARRAY_SIZE(g->calls) || g->loops > 1) {
        call_with_numbers(g);
        return;
    }
    uint32_t callee = g->func + 1 + gen_pick(g, g->func_count - g->func - 1);
    for (unsigned arg = 1; arg <= 5; arg++) {
        switch (g->arg_kinds[callee][arg - 1]) {
        case KIND_MEM: gen_emit(g, INSN_MOV64_REG, arg, 6, 0, 0); break;
        case KIND_NUMBER: number_argument(g, arg); break;
        case KIND_BUFFER: stack_argument(g, arg, BUFFER_BYTES, 8); break;
        default: break;
        }
    }
    g->calls[g->call_count].func = callee;
    g->calls[g->call_count++].pc = gen_emit(g, INSN_CALL_LOCAL, 0, 0, 0, 0);
    forget_arguments(g);
}

static void load_packet(struct generator *g)
{
    unsigned id = INSN_LDABSB + gen_pick(g, 6), reg = gen_number_dst(g);
    int64_t imm = gen_pick(g, gen_chance(g, 97) ? WORLD_MEM - 20 : WORLD_MEM * 2);
    if (insn_info(id)->form == FORM_LDIND) {
        gen_emit(g, INSN_AND64_IMM, reg, 0, 0, 15);
        gen_emit(g, id, 0, reg, 0, imm);
    } else {
        gen_emit(g, id, 0, 0, 0, imm);
    }
    forget_arguments(g);
}

// `choice` is one of ten. Functions that are called are short, and few.
static bool wants_tail_call(const struct generator *g, unsigned choice)
{
    bool is_below = g->func != 0;
    return g->options.tail_calls && choice <= (is_below ? 6u : 1u) &&
           (!is_below || g->options.tail_calls_below);
}

static void call_next_program(struct generator *g)
{
    gen_emit(g, INSN_MOV64_REG, 1, 6, 0, 0);
    gen_lddw(g, INSN_LDDW_MAP, 2, WORLD_HASH);
    gen_emit(g, INSN_MOV64_IMM, 3, 0, 0, gen_pick(g, WORLD_PROGRAMS + 1));
    gen_emit(g, INSN_CALL, 0, 0, 0, WORLD_TAIL);
    forget_arguments(g);
}

void gen_call(struct generator *g)
{
    if (!gen_can_call(g)) {
        gen_alu(g);
        return;
    }
    unsigned choice = gen_pick(g, 10);
    if (g->options.packets && choice == 0) {
        load_packet(g);
    } else if (wants_tail_call(g, choice)) {
        call_next_program(g);
    } else if (choice <= 3) {
        call_function(g);
    } else if (choice == 4) {
        call_with_memory(g);
    } else if (choice <= 7 && !g->options.raw && g->depth < 4) {
        g->depth++;
        look_up(g);
        g->depth--;
    } else if (choice == 8 && !g->options.raw) {
        change_map(g);
    } else {
        call_with_numbers(g);
    }
}

// --- statements ----------------------------------------------------------------------------------

void gen_flow(struct generator *g)
{
    unsigned choice = gen_pick(g, 10);
    if (g->depth >= 4) {
        gen_alu(g);
        return;
    }
    g->depth++;
    if (choice <= 3 && g->loops < 2) {
        loop(g);
    } else if (choice == 4) {
        leave_early(g);
    } else if (choice == 5) {
        chain(g);
    } else {
        branch(g);
    }
    g->depth--;
}

void gen_block(struct generator *g, uint32_t statements)
{
    static void (*const kinds[])(struct generator *) = {
        gen_alu,    gen_alu,    gen_alu,    gen_alu,    gen_alu,   gen_idiom, gen_idiom,
        gen_access, gen_access, gen_access, gen_atomic, gen_spill, gen_call,  gen_flow,
    };
    for (uint32_t i = 0; i < statements && !gen_is_full(g); i++) {
        kinds[gen_pick(g, ARRAY_SIZE(kinds))](g);
    }
}
