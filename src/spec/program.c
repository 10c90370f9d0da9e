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
    const char *name; // of the row of the tables that it is about, or ""
};

static bool refuse(struct fault *fault, uint32_t pc, const char *why)
{
    *fault = (struct fault){pc, why, ""};
    return false;
}

static bool refuse_row(struct fault *fault, uint32_t pc, const char *why, const char *name)
{
    *fault = (struct fault){pc, why, name};
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
    if (p->sleepable && (v->prog_types[p->type].flags & PROG_SLEEPABLE) == 0) {
        return refuse(fault, NO_PC, "programs of this type cannot sleep");
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

// Fields lie one after another inside the value.
static bool check_fields(const struct map_def *map, const struct map_facts *facts)
{
    uint64_t end = 0;
    if (facts->field_count > MAP_MAX_FIELDS) {
        return false;
    }
    for (uint32_t i = 0; i < facts->field_count; i++) {
        const struct map_field *f = &facts->fields[i];
        bool known = f->kind > MAP_FIELD_NONE && f->kind <= MAP_FIELD_OTHER;
        if (!known || f->off < end || f->size == 0 || (uint64_t)f->off + f->size > map->value_size) {
            return false;
        }
        end = (uint64_t)f->off + f->size;
    }
    return true;
}

static bool check_facts(const struct spec_view *v, const struct program *p, struct fault *fault)
{
    for (uint32_t i = 0; p->map_facts != NULL && i < p->map_count; i++) {
        const struct map_facts *facts = &p->map_facts[i];
        // The values of other maps are what user mode wrote: to take them for maps would be fatal.
        if (facts->has_inner && (v->map_types[p->maps[i].type].flags & MAP_OF_MAPS) == 0) {
            return refuse(fault, NO_PC, "a map that holds no maps has a template of inner maps");
        }
        if (facts->has_inner && facts->inner >= p->map_count) {
            return refuse(fault, NO_PC, "the template of inner maps is not among the maps");
        }
        if (!check_fields(&p->maps[i], facts)) {
            return refuse(fault, NO_PC, "the fields of a map's value are not sorted or lie outside of it");
        }
        if (facts->contents != NULL && (p->maps[i].flags & MAP_FLAG_RDONLY_PROG) == 0) {
            return refuse(fault, NO_PC,
                          "the contents of a map that programs may write to are given as constant");
        }
    }
    return true;
}

static bool check_contracts(const struct program *p, struct fault *fault)
{
    for (uint32_t i = 0; p->contracts != NULL && i < p->func_count; i++) {
        for (size_t a = 0; a < ARRAY_SIZE(p->contracts[i].args); a++) {
            const struct func_arg *arg = &p->contracts[i].args[a];
            bool is_memory = arg->kind == FUNC_ARG_MEM || arg->kind == FUNC_ARG_MEM_NONNULL;
            if (arg->kind > FUNC_ARG_UNKNOWN || (is_memory && (arg->size == 0 || arg->size > INT32_MAX))) {
                return refuse(fault, p->funcs[i].start, "the contract of a function is malformed");
            }
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
        check_maps(v, p, &fault) && check_facts(v, p, &fault) && check_funcs(p, &fault) &&
        check_contracts(p, &fault) && check_lines(p, &fault) && check_insns(p, &fault)) {
        return EBPF_SUCCESS;
    }
    *bad_pc = fault.pc;
    *why = fault.why;
    return EBPF_INVALID_ARGUMENT;
}

// --- what can be run -----------------------------------------------------------------------------

// Helpers that the runtime has no function for, and kernel functions; unknown ones (below 0) are the
// verifier's.
static bool check_called(const struct spec_view *v, const struct insn *in, uint32_t pc, struct fault *fault)
{
    uint8_t sem = insn_info(in->id)->sem;
    bool known = in->imm > 0 && in->imm < (int64_t)v->helper_count;
    if (sem == SEM_CALL_BTF) {
        return refuse_row(fault, pc, "functions of the kernel can be verified, but not called here",
                          known ? v->helpers[in->imm].name : "");
    }
    if (sem == SEM_LDDW_VAR) {
        return refuse(fault, pc, "variables of the kernel can be verified, but not read here");
    }
    if (sem == SEM_CALL && known && (v->helpers[in->imm].flags & HELPER_VERIFY_ONLY) != 0) {
        return refuse_row(fault, pc, "programs that call this helper can be verified here, but not loaded",
                          v->helpers[in->imm].name);
    }
    return true;
}

static bool check_runnable(const struct spec_view *v, const struct program *p, struct fault *fault)
{
    if ((v->prog_types[p->type].flags & PROG_VERIFY_ONLY) != 0) {
        return refuse_row(fault, NO_PC, "programs of this type can be verified here, but not loaded",
                          v->prog_types[p->type].name);
    }
    for (uint32_t i = 0; i < p->map_count; i++) {
        if ((v->map_types[p->maps[i].type].flags & MAP_VERIFY_ONLY) != 0) {
            return refuse_row(fault, NO_PC,
                              "programs with maps of this type can be verified here, but not loaded",
                              v->map_types[p->maps[i].type].name);
        }
    }
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        if (!check_called(v, &p->insns[pc], pc, fault)) {
            return false;
        }
    }
    return true;
}

ebpf_result_t program_check_loadable(const struct spec_view *v, const struct program *p, uint32_t *bad_pc,
                                     const char **why, const char **name)
{
    struct fault fault;
    if (check_runnable(v, p, &fault)) {
        return EBPF_SUCCESS;
    }
    *bad_pc = fault.pc;
    *why = fault.why;
    *name = fault.name;
    return EBPF_OPERATION_NOT_SUPPORTED;
}

uint32_t program_layout(const struct spec_view *v, const struct program *p)
{
    uint32_t special = LAYOUT_NONE;
    if (p->dialect == DIALECT_LINUX) {
        special = spec_target_layout(v, p->attach_type, p->section);
        special = special != LAYOUT_NONE ? special : v->attach_types[p->attach_type].layout;
    }
    return special != LAYOUT_NONE ? special : v->prog_types[p->type].layout[p->dialect];
}

bool program_exit_range(const struct spec_view *v, const struct program *p, int64_t *min, int64_t *max)
{
    const struct prog_type_row *type = &v->prog_types[p->type];
    const struct attach_type_row *attach = &v->attach_types[p->attach_type];
    if ((type->flags & PROG_NO_RESULT) != 0) {
        return false;
    }
    bool is_special = attach->has_range && p->dialect == DIALECT_LINUX;
    *min = is_special ? attach->ret_min : type->ret_min;
    *max = is_special ? attach->ret_max : type->ret_max;
    return true;
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

const char *program_poison(const struct program *p, const struct insn *in)
{
    int64_t off = -1 - in->imm - PROGRAM_POISON;
    return in->id == INSN_CALL && off >= 0 && off < p->strings_size ? p->strings + off : NULL;
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
