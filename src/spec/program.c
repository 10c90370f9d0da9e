// SPDX-License-Identifier: MIT
// program: the structural invariants of a canonical program, and its look-ups. The bytes behind a struct
// program may come from an untrusted sender: program_check reads nothing before it has checked the count that
// covers it.
#include "spec/spec.h"

#define NO_PC UINT32_MAX

// What a check leaves behind when it fails.
struct fault {
    uint32_t pc;
    const char *why;
};

static bool refuse(struct fault *fault, uint32_t pc, const char *why)
{
    *fault = (struct fault){pc, why};
    return false;
}

// --- header and tables ---------------------------------------------------------------------------

static bool check_type(const struct spec_view *v, const struct program *p, struct fault *fault)
{
    if (p->type == PROG_TYPE_NONE || p->type >= v->prog_type_count) {
        return refuse(fault, NO_PC, "the program type is unknown");
    }
    if (p->dialect >= DIALECT_COUNT) {
        return refuse(fault, NO_PC, "the dialect is unknown");
    }
    if (v->prog_types[p->type].number[p->dialect] == 0) {
        return refuse(fault, NO_PC, "the dialect has no such program type");
    }
    if (p->attach_type >= v->attach_type_count ||
        (p->attach_type != ATTACH_TYPE_NONE && v->attach_types[p->attach_type].prog_type != p->type)) {
        return refuse(fault, NO_PC, "the attach type is unknown or of another program type");
    }
    return true;
}

static bool check_counts(const struct program *p, struct fault *fault)
{
    if (p->insn_count == 0 || p->insn_count > INSN_MAX_SLOTS || p->insns == NULL) {
        return refuse(fault, NO_PC, "the number of instructions is zero or too large");
    }
    if (p->func_count == 0 || p->func_count > p->insn_count || p->funcs == NULL) {
        return refuse(fault, NO_PC, "the number of functions is zero or too large");
    }
    if (p->map_count > SPEC_MAX_MAPS || (p->map_count != 0 && p->maps == NULL)) {
        return refuse(fault, NO_PC, "the number of maps is too large");
    }
    if ((p->line_count != 0 && p->lines == NULL) || (p->strings_size != 0 && p->strings == NULL)) {
        return refuse(fault, NO_PC, "lines or strings are missing");
    }
    if (p->strings_size != 0 && (p->strings[0] != '\0' || p->strings[p->strings_size - 1] != '\0')) {
        return refuse(fault, NO_PC, "the strings do not start with an empty one or are not terminated");
    }
    return true;
}

static bool check_names(const struct program *p, struct fault *fault)
{
    bool good = str_is_terminated(p->name, sizeof(p->name)) &&
                str_is_terminated(p->section, sizeof(p->section)) &&
                str_is_terminated(p->license, sizeof(p->license));
    for (uint32_t i = 0; i < p->map_count && good; i++) {
        good = str_is_terminated(p->maps[i].name, sizeof(p->maps[i].name));
    }
    for (uint32_t i = 0; i < p->func_count && good; i++) {
        good = str_is_terminated(p->funcs[i].name, sizeof(p->funcs[i].name));
    }
    return good || refuse(fault, NO_PC, "a name is not terminated");
}

static bool check_maps(const struct spec_view *v, const struct program *p, struct fault *fault)
{
    for (uint32_t i = 0; i < p->map_count; i++) {
        if (p->maps[i].type >= v->map_type_count) {
            return refuse(fault, NO_PC, "a map has an unknown type");
        }
    }
    return true;
}

static bool check_funcs(const struct program *p, struct fault *fault)
{
    uint32_t pc = 0;
    for (uint32_t i = 0; i < p->func_count; i++) {
        const struct func *f = &p->funcs[i];
        if (f->start != pc || f->end <= f->start || f->end > p->insn_count) {
            return refuse(fault, pc, "the functions do not cover the instructions one after another");
        }
        if (f->global > 1) {
            return refuse(fault, pc, "a function is neither static nor global");
        }
        pc = f->end;
    }
    return pc == p->insn_count || refuse(fault, pc, "the last function ends before the last instruction");
}

static bool check_lines(const struct program *p, struct fault *fault)
{
    uint32_t pc = 0;
    for (uint32_t i = 0; i < p->line_count; i++) {
        const struct line *l = &p->lines[i];
        if (l->pc < pc || l->pc >= p->insn_count) {
            return refuse(fault, l->pc, "the source lines are not sorted or name no instruction");
        }
        if (l->file_off >= p->strings_size || l->text_off >= p->strings_size) {
            return refuse(fault, l->pc, "a source line names a string outside the strings");
        }
        pc = l->pc;
    }
    return true;
}

// --- instructions --------------------------------------------------------------------------------

static bool is_func_start(const struct program *p, int64_t target)
{
    if (target < 0 || target >= p->insn_count) {
        return false;
    }
    return p->funcs[program_func_at(p, (uint32_t)target)].start == target;
}

// Pairs of slots have been checked before: an INSN_NONE is the second slot of the entry before it.
static bool is_insn_inside(const struct program *p, const struct func *f, int64_t target)
{
    return target >= f->start && target < f->end && p->insns[target].id != INSN_NONE;
}

static bool check_operand(const struct program *p, const struct func *f, uint32_t pc, struct fault *fault)
{
    const struct insn *in = &p->insns[pc];
    if (insn_is_jump(in)) {
        return is_insn_inside(p, f, insn_target(in, pc)) ||
               refuse(fault, pc, "a jump leaves its function or lands inside an instruction");
    }
    switch (insn_info(in->id)->sem) {
    case SEM_CALL_LOCAL:
    case SEM_LDDW_CODE:
        return is_func_start(p, insn_target(in, pc)) ||
               refuse(fault, pc, "the target is no start of a function");
    case SEM_LDDW_MAP:
    case SEM_LDDW_MAP_VALUE:
        return (uint32_t)in->imm < p->map_count || refuse(fault, pc, "the map index is out of range");
    case SEM_LDDW_MAP_FD:
    case SEM_LDDW_MAP_VALUE_FD:
        return refuse(fault, pc, "a map descriptor has no place in a canonical program");
    default: return true;
    }
}

// Entries by themselves, and pairs of slots whole and inside one function.
static bool check_slots(const struct program *p, const struct func *f, struct fault *fault)
{
    for (uint32_t pc = f->start; pc < f->end; pc += insn_slots(&p->insns[pc])) {
        enum insn_error error = insn_check(&p->insns[pc]);
        if (error != INSN_OK) {
            return refuse(fault, pc, insn_error_text(error));
        }
        if (insn_slots(&p->insns[pc]) == 2 && (f->end - pc < 2 || !insn_is_second_slot(&p->insns[pc + 1]))) {
            return refuse(fault, pc, insn_error_text(INSN_ERR_TRUNCATED));
        }
    }
    return true;
}

static bool check_insns(const struct program *p, struct fault *fault)
{
    for (uint32_t i = 0; i < p->func_count; i++) {
        if (!check_slots(p, &p->funcs[i], fault)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < p->func_count; i++) {
        const struct func *f = &p->funcs[i];
        for (uint32_t pc = f->start; pc < f->end; pc += insn_slots(&p->insns[pc])) {
            if (!check_operand(p, f, pc, fault)) {
                return false;
            }
        }
    }
    return true;
}

ebpf_result_t program_check(const struct spec_view *v, const struct program *p, uint32_t *bad_pc,
                            const char **why)
{
    struct fault fault;
    if (check_type(v, p, &fault) && check_counts(p, &fault) && check_names(p, &fault) &&
        check_maps(v, p, &fault) && check_funcs(p, &fault) && check_lines(p, &fault) &&
        check_insns(p, &fault)) {
        return EBPF_SUCCESS;
    }
    *bad_pc = fault.pc;
    *why = fault.why;
    return EBPF_INVALID_ARGUMENT;
}

// --- look-ups ------------------------------------------------------------------------------------

const struct line *program_line(const struct program *p, uint32_t pc)
{
    uint32_t low = 0, high = p->line_count; // lines[low - 1].pc <= pc < lines[high].pc
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (p->lines[middle].pc <= pc) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NULL : &p->lines[low - 1];
}

const char *program_string(const struct program *p, uint32_t off)
{
    return off < p->strings_size ? p->strings + off : "";
}

uint32_t program_func_at(const struct program *p, uint32_t pc)
{
    uint32_t low = 0, high = p->func_count; // functions tile the program: the one that ends first after pc
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (p->funcs[middle].end <= pc) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
