// SPDX-License-Identifier: MIT
// elf_canonical: a program of an object, once its type is known, in the form that all consumers read.
#include "elf/elf_int.h"

// Maps of the program so far, in the order of their first use.
struct used_maps {
    const struct elf_object *object;
    struct map_def *defs;    // SPEC_MAX_MAPS entries
    struct map_facts *facts; // SPEC_MAX_MAPS entries
    uint32_t *map_of;
    uint32_t count;
};

// Index in the program of map `index` of the object; SPEC_MAX_MAPS when there are too many.
static uint32_t use_map(struct used_maps *used, uint32_t index)
{
    uint32_t at = 0;
    while (at < used->count && used->map_of[at] != index) {
        at++;
    }
    if (at == used->count && at < SPEC_MAX_MAPS) {
        used->map_of[at] = index;
        used->defs[at] = used->object->maps[index].def;
        used->count++;
    }
    return at;
}

// What is known of the maps; templates of inner maps become maps of the program. False when there are too
// many.
static bool add_facts(const struct spec_view *spec, struct used_maps *used)
{
    for (uint32_t i = 0; i < used->count; i++) { // grows meanwhile
        const struct elf_map *map = &used->object->maps[used->map_of[i]];
        struct map_facts *facts = &used->facts[i];
        if (map->inner != 0 && (spec->map_types[map->def.type].flags & MAP_OF_MAPS) != 0) {
            facts->has_inner = true;
            facts->inner = use_map(used, map->inner - 1);
            if (facts->inner == SPEC_MAX_MAPS) {
                return false;
            }
        }
        facts->field_count = map->field_count;
        memcpy(facts->fields, map->fields, sizeof(facts->fields));
        bool is_constant =
            map->kind == ELF_MAP_RODATA || (map->kind == ELF_MAP_KCONFIG && map->unknown == NULL);
        facts->contents = is_constant ? map->initial : NULL;
    }
    return true;
}

static int64_t helper_of(const struct spec_view *spec, enum dialect dialect, uint32_t prog_type, int64_t imm)
{
    uint32_t number = min_u32((uint32_t)imm, INT32_MAX); // larger ones have no form, nor a helper
    uint32_t id = spec_helper_by_number(spec, dialect, prog_type, number);
    return id != HELPER_NONE ? (int64_t)id : -1 - (int64_t)number;
}

// Translates helper numbers and map indices in place; false when the program uses too many maps.
static bool translate(const struct spec_view *spec, uint32_t prog_type, struct insn *insns, uint32_t count,
                      struct used_maps *used)
{
    for (uint32_t pc = 0; pc < count; pc++) {
        struct insn *in = &insns[pc];
        if (in->id == INSN_CALL) {
            in->imm = helper_of(spec, used->object->dialect, prog_type, in->imm);
        } else if (in->id == INSN_LDDW_MAP || in->id == INSN_LDDW_MAP_VALUE) {
            uint64_t imm = (uint64_t)in->imm;
            uint32_t map = use_map(used, (uint32_t)imm);
            if (map == SPEC_MAX_MAPS) {
                return false;
            }
            in->imm = (int64_t)((imm >> 32 << 32) | map);
        }
    }
    return true;
}

// Name of the type that the program gets its context as; "" when there is none.
static const char *context_name(const struct spec_view *spec, const struct program *p)
{
    bool known = p->type < spec->prog_type_count && p->attach_type < spec->attach_type_count;
    uint32_t layout = known ? program_layout(spec, p) : LAYOUT_NONE;
    return layout != LAYOUT_NONE && layout < spec->layout_count ? spec->layouts[layout].name : "";
}

static void fill_program(const struct elf_object *object, const struct elf_program *p, uint32_t prog_flags,
                         struct program *out)
{
    out->dialect = object->dialect;
    out->insn_count = p->insn_count;
    out->funcs = p->funcs;
    out->func_count = p->func_count;
    out->lines = p->lines;
    out->line_count = p->line_count;
    out->sleepable = p->sleepable && (prog_flags & PROG_SLEEPABLE) != 0;
    out->strings = object->strings;
    out->strings_size = object->strings_size;
    str_copy(out->name, sizeof(out->name), p->name);
    str_copy(out->section, sizeof(out->section), p->section);
    str_copy(out->license, sizeof(out->license), object->license);
}

static ebpf_result_t check(const struct spec_view *spec, const struct elf_program *p,
                           const struct program *program, struct elf_error *error)
{
    uint32_t pc = UINT32_MAX;
    const char *why = "";
    if (program_check(spec, program, &pc, &why) == EBPF_SUCCESS) {
        return EBPF_SUCCESS;
    }
    if (pc == UINT32_MAX) {
        elf_error_set(error, p->section, "program '%s': %s", p->name, why);
    } else {
        elf_error_set(error, p->section, "program '%s', instruction %u: %s", p->name, pc, why);
    }
    return EBPF_ELF_PARSING_FAILED;
}

ebpf_result_t elf_program_canonical(const struct elf_object *object, uint32_t index,
                                    const struct spec_view *spec, uint32_t prog_type, uint32_t attach_type,
                                    struct arena *arena, struct program *out, uint32_t map_of[SPEC_MAX_MAPS],
                                    struct elf_error *error)
{
    const struct elf_program *p = &object->programs[index];
    struct program program = {.type = prog_type, .attach_type = attach_type};
    struct insn *insns = arena_copy(arena, p->insns, (size_t)p->insn_count * sizeof(*insns));
    uint32_t *indices = arena_array(arena, SPEC_MAX_MAPS, sizeof(*indices));
    struct map_def *defs = arena_array(arena, SPEC_MAX_MAPS, sizeof(*defs));
    struct map_facts *facts = arena_array(arena, SPEC_MAX_MAPS, sizeof(*facts));
    struct used_maps used = {.object = object, .defs = defs, .facts = facts, .map_of = indices};
    if (insns == NULL || indices == NULL || defs == NULL || facts == NULL) {
        elf_error_set(error, "", "there is not enough memory for program '%s'", p->name);
        return EBPF_NO_MEMORY;
    }
    if (!translate(spec, prog_type, insns, p->insn_count, &used) || !add_facts(spec, &used)) {
        elf_error_set(error, p->section, "program '%s' uses more than %u maps", p->name, SPEC_MAX_MAPS);
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    fill_program(object, p, prog_type < spec->prog_type_count ? spec->prog_types[prog_type].flags : 0,
                 &program);
    program.insns = insns;
    program.maps = defs;
    program.map_count = used.count;
    program.map_facts = facts;
    if (elf_make_contracts(object, p, context_name(spec, &program), arena, &program.contracts) !=
        EBPF_SUCCESS) {
        elf_error_set(error, "", "there is not enough memory for program '%s'", p->name);
        return EBPF_NO_MEMORY;
    }
    TRY(check(spec, p, &program, error));
    memcpy(map_of, indices, SPEC_MAX_MAPS * sizeof(*indices));
    *out = program;
    return EBPF_SUCCESS;
}
