// SPDX-License-Identifier: MIT
// cgen_unit: what has to be known of a program before and while it is written: where jumps go, what accesses
// the context, which functions a packet load may end, which registers hold a map or an address of the stack.
#include "cgen/cgen_int.h"
#include "ebpf_native.h"

#define MARK_SIZE   8u
#define HEAD_SIZE   16u
#define CALL_RESULT 0x1u  // r0
#define ARGUMENTS   0x3eu // r1-r5

// --- tables --------------------------------------------------------------------------------------

const struct helper_row *unit_helper(const struct spec_view *v, const struct insn *in)
{
    bool known = in->id == INSN_CALL && in->imm > 0 && in->imm < (int64_t)v->helper_count;
    return known ? &v->helpers[in->imm] : NULL;
}

uint32_t unit_arg_count(const struct helper_row *row)
{
    uint32_t count = ARRAY_SIZE(row->args);
    while (count > 0 && row->args[count - 1] == ARG_NONE) {
        count--;
    }
    return count;
}

bool unit_calls_tail(const struct spec_view *v, const struct insn *in)
{
    const struct helper_row *row = unit_helper(v, in);
    return row != NULL && (row->flags & HELPER_TAIL_CALL) != 0;
}

bool unit_is_array(const struct spec_view *v, const struct map_def *map)
{
    uint32_t flags = map->type < v->map_type_count ? v->map_types[map->type].flags : 0;
    uint32_t wanted = MAP_KEY_IS_INDEX | MAP_FIXED;
    return (flags & wanted) == wanted && (flags & (MAP_OF_MAPS | MAP_PROGRAMS)) == 0;
}

uint32_t unit_func_at(const struct unit *u, int64_t pc)
{
    uint32_t func = pc >= 0 && pc < u->p->insn_count ? program_func_at(u->p, (uint32_t)pc) : u->p->func_count;
    return func < u->p->func_count && u->p->funcs[func].start == pc ? func : u->p->func_count;
}

// --- evidence ------------------------------------------------------------------------------------

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static ebpf_result_t check_head(const struct unit *u, const struct evidence *e)
{
    bool good = e->size >= HEAD_SIZE && read_u32(e->bytes) == EVIDENCE_MAGIC &&
                read_u32(e->bytes + 4) == EVIDENCE_FORMAT && read_u32(e->bytes + 8) == u->p->insn_count &&
                (e->size - HEAD_SIZE) / MARK_SIZE == read_u32(e->bytes + 12);
    return good ? EBPF_SUCCESS
                : cgen_refuse(u->c, u->index, UINT32_MAX, EBPF_INVALID_ARGUMENT,
                              "the evidence is not of this program");
}

static ebpf_result_t take_marks(struct unit *u, const struct evidence *e)
{
    for (uint32_t pc = 0; pc < u->p->insn_count; pc++) {
        u->fields[pc] = -1;
    }
    if (e->bytes == NULL) {
        return EBPF_SUCCESS; // of a program that has no context
    }
    TRY(check_head(u, e));
    for (size_t at = HEAD_SIZE; at + MARK_SIZE <= e->size; at += MARK_SIZE) {
        uint32_t pc = read_u32(e->bytes + at);
        if (pc >= u->p->insn_count) {
            return cgen_refuse(u->c, u->index, pc, EBPF_INVALID_ARGUMENT,
                               "the evidence names an instruction that is not there");
        }
        u->fields[pc] = (int32_t)read_u32(e->bytes + at + 4);
    }
    return EBPF_SUCCESS;
}

// --- functions that a packet load may end --------------------------------------------------------

static bool aborts_here(const struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    uint8_t form = insn_info(in->id)->form;
    if (in->id == INSN_CALL_LOCAL) {
        uint32_t func = unit_func_at(u, insn_target(in, pc));
        return func < u->p->func_count && u->aborts[func] != 0;
    }
    return form == FORM_LDABS || form == FORM_LDIND;
}

static bool find_aborting(struct unit *u)
{
    bool changed = false;
    for (uint32_t f = 0; f < u->p->func_count; f++) {
        for (uint32_t pc = u->p->funcs[f].start; pc < u->p->funcs[f].end && u->aborts[f] == 0; pc++) {
            if (aborts_here(u, pc)) {
                u->aborts[f] = 1;
                changed = true;
            }
        }
    }
    return changed;
}

// --- beginning -----------------------------------------------------------------------------------

static void look_at(struct unit *u, uint32_t func, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    uint8_t form = insn_info(in->id)->form;
    if (insn_is_jump(in)) {
        u->targets[insn_target(in, pc)] = 1;
    }
    if (unit_calls_tail(u->c->in->spec, in) && !u->c->in->raw) {
        u->tails[func] = 1;
        u->any_tails = true;
    }
    u->calls_first |= in->id == INSN_CALL_LOCAL && unit_func_at(u, insn_target(in, pc)) == 0;
    if (form == FORM_CALLX || (form == FORM_CALL && u->c->in->raw && in->id == INSN_CALL)) {
        u->uses |= EBPF_NATIVE_USE_CALL_NUMBER;
    } else if (form == FORM_LDABS || form == FORM_LDIND) {
        u->uses |= EBPF_NATIVE_USE_LOAD_PACKET;
    }
}

ebpf_result_t unit_begin(struct unit *u, struct cgen *c, uint32_t index)
{
    const struct cgen_program *source = &c->in->programs[index];
    *u = (struct unit){.c = c, .p = source->program, .source = source, .index = index};
    u->targets = arena_alloc(c->arena, u->p->insn_count);
    u->aborts = arena_alloc(c->arena, u->p->func_count);
    u->fields = arena_array(c->arena, u->p->insn_count, sizeof(*u->fields));
    u->tails = arena_alloc(c->arena, u->p->func_count);
    if (u->targets == NULL || u->aborts == NULL || u->tails == NULL || u->fields == NULL) {
        return EBPF_NO_MEMORY;
    }
    u->shares = u->p->map_count != 0;
    TRY(take_marks(u, &source->evidence));
    for (uint32_t f = 0; f < u->p->func_count; f++) {
        const struct func *func = &u->p->funcs[f];
        for (uint32_t pc = func->start; pc < func->end; pc += insn_slots(&u->p->insns[pc])) {
            look_at(u, f, pc);
        }
    }
    for (uint32_t round = 0; round < u->p->func_count && find_aborting(u); round++) {
    }
    return EBPF_SUCCESS;
}

// --- what instructions read and write ------------------------------------------------------------

static uint32_t bit(unsigned reg)
{
    return (uint32_t)1 << reg;
}

static void call_effect(const struct unit *u, const struct insn *in, uint32_t *reads, uint32_t *writes)
{
    const struct helper_row *row = unit_helper(u->c->in->spec, in);
    *writes = CALL_RESULT;
    *reads = ARGUMENTS;
    if (row != NULL && !u->c->in->raw) {
        *reads = (bit(unit_arg_count(row) + 1) - 1) & ARGUMENTS;
    }
}

static void atomic_effect(const struct insn *in, const struct insn_info *info, uint32_t *reads,
                          uint32_t *writes)
{
    *reads = bit(in->dst) | bit(in->src);
    *writes = 0;
    if (info->sem == SEM_ATOMIC_CMPXCHG) {
        *reads |= bit(0);
        *writes = bit(0);
    } else if (info->sem >= SEM_ATOMIC_FETCH_ADD) {
        *writes = bit(in->src);
    }
}

static bool is_move(const struct insn_info *info)
{
    return info->sem == SEM_MOV || info->sem == SEM_MOVSX8 || info->sem == SEM_MOVSX16 ||
           info->sem == SEM_MOVSX32;
}

void unit_effect(const struct unit *u, uint32_t pc, uint32_t *reads, uint32_t *writes)
{
    const struct insn *in = &u->p->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    uint32_t first = is_move(info) ? 0 : bit(in->dst);
    *reads = *writes = 0;
    switch ((enum insn_form)info->form) {
    case FORM_ALU_IMM:
    case FORM_ALU_UNARY: *reads = first, *writes = bit(in->dst); break;
    case FORM_ALU_REG: *reads = first | bit(in->src), *writes = bit(in->dst); break;
    case FORM_JMP_IMM:
    case FORM_STORE_IMM: *reads = bit(in->dst); break;
    case FORM_JMP_REG:
    case FORM_STORE_REG: *reads = bit(in->dst) | bit(in->src); break;
    case FORM_LOAD: *reads = bit(in->src), *writes = bit(in->dst); break;
    case FORM_LDDW: *writes = bit(in->dst); break;
    case FORM_LDABS: *writes = CALL_RESULT; break;
    case FORM_LDIND: *reads = bit(in->src), *writes = CALL_RESULT; break;
    case FORM_CALL: call_effect(u, in, reads, writes); break;
    case FORM_CALLX: *reads = ARGUMENTS | bit(in->dst), *writes = CALL_RESULT; break;
    case FORM_EXIT: *reads = bit(0); break;
    case FORM_ATOMIC: atomic_effect(in, info, reads, writes); break;
    case FORM_JA16:
    case FORM_JA32:
    case FORM_MAY_GOTO:
    case FORM_NONE:
    case FORM_COUNT: break;
    }
}

// --- what is known of registers ------------------------------------------------------------------

static bool is_stack_offset(int64_t offset)
{
    return offset >= -INSN_STACK_SIZE && offset <= 0;
}

static struct known moved(struct known from, int64_t by)
{
    const struct known nothing = {KNOWN_NOTHING, 0};
    bool good = from.kind == KNOWN_STACK && by > -INSN_STACK_SIZE * 2 && by < INSN_STACK_SIZE * 2 &&
                is_stack_offset(from.value + by);
    return good ? (struct known){KNOWN_STACK, (int32_t)(from.value + by)} : nothing;
}

static struct known made(const struct unit *u, const struct insn *in)
{
    switch (in->id) {
    case INSN_MOV64_REG: return u->known[in->src];
    case INSN_ADD64_IMM: return moved(u->known[in->dst], in->imm);
    case INSN_SUB64_IMM: return moved(u->known[in->dst], -in->imm);
    case INSN_LDDW_MAP: return (struct known){KNOWN_MAP, (int32_t)in->imm};
    default: return (struct known){KNOWN_NOTHING, 0};
    }
}

void unit_step(struct unit *u, uint32_t pc)
{
    const struct insn *in = &u->p->insns[pc];
    uint8_t form = insn_info(in->id)->form;
    const struct known nothing = {KNOWN_NOTHING, 0}, value = made(u, in);
    uint32_t reads, writes;
    unit_effect(u, pc, &reads, &writes);
    writes |= form == FORM_CALL || form == FORM_CALLX ? ARGUMENTS : 0;
    for (unsigned reg = 0; reg < INSN_REG_COUNT - 1; reg++) {
        if ((writes >> reg & 1) != 0) {
            u->known[reg] = reg == in->dst ? value : nothing;
        }
    }
}
