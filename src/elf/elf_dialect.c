// SPDX-License-Identifier: MIT
// elf_dialect: which ecosystem an object was compiled for. In order: what the user says; a section that only
// Windows tools write; the name of a program's context type in BTF; a program's whole section name that only
// one dialect has; the platform's default. A hint that decides for some program decides for the object.
#include "elf/elf_int.h"

// Dialects whose context layouts include `name`: bit mask.
static unsigned layout_dialects(const struct spec_view *v, const char *name)
{
    unsigned mask = 0;
    for (uint32_t type = 1; type < v->prog_type_count; type++) {
        for (unsigned d = 0; d < DIALECT_COUNT; d++) {
            uint32_t layout = v->prog_types[type].layout[d];
            if (layout != LAYOUT_NONE && layout < v->layout_count &&
                str_equal(v->layouts[layout].name, name)) {
                mask |= 1u << d;
            }
        }
    }
    return mask;
}

// Dialects that the type of the first parameter points to, by the first name on the way that is a layout's.
static unsigned context_dialects(const struct elf_loader *l, const struct elf_func *f)
{
    struct btf_type proto = btf_type(&l->btf, btf_type(&l->btf, f->btf).value);
    uint32_t id;
    if (proto.kind != BTF_FUNC_PROTO || proto.vlen == 0 ||
        !btf_resolve(&l->btf, btf_item(&l->btf, &proto, 0).type, &id)) {
        return 0;
    }
    struct btf_type type = btf_type(&l->btf, id);
    if (type.kind != BTF_PTR) {
        return 0;
    }
    for (int step = 0; step <= BTF_MAX_CHAIN && type.value != 0; step++) {
        type = btf_type(&l->btf, type.value);
        bool is_named = type.kind == BTF_STRUCT || type.kind == BTF_FWD || type.kind == BTF_TYPEDEF;
        unsigned mask = is_named ? layout_dialects(l->options->spec, btf_string(&l->btf, type.name_off)) : 0;
        bool goes_on = type.kind == BTF_TYPEDEF || type.kind == BTF_CONST || type.kind == BTF_VOLATILE ||
                       type.kind == BTF_RESTRICT || type.kind == BTF_TYPE_TAG;
        if (mask != 0 || !goes_on) {
            return mask;
        }
    }
    return 0;
}

static unsigned section_dialects(const struct elf_loader *l, const struct elf_func *f)
{
    return spec_section_dialects(l->options->spec, l->sections[f->section].name);
}

// The dialect that `hint` names alone for the first program for which it does; false if for none.
static bool ask_programs(const struct elf_loader *l,
                         unsigned (*hint)(const struct elf_loader *l, const struct elf_func *f),
                         enum dialect *out)
{
    for (uint32_t i = 0; i < l->func_count; i++) {
        if (!elf_is_entry(l, &l->funcs[i])) {
            continue;
        }
        unsigned mask = hint(l, &l->funcs[i]);
        for (unsigned d = 0; d < DIALECT_COUNT; d++) {
            if (mask == 1u << d) {
                *out = (enum dialect)d;
                return true;
            }
        }
    }
    return false;
}

void elf_choose_dialect(struct elf_loader *l)
{
    enum dialect chosen = l->options->platform_default;
    if (l->options->dialect_given) {
        chosen = l->options->dialect;
    } else if (elf_find_section(l, ".ebpf_for_windows") != ELF_NO_INDEX) {
        chosen = DIALECT_WINDOWS;
    } else if (!ask_programs(l, context_dialects, &chosen)) {
        ask_programs(l, section_dialects, &chosen);
    }
    l->object->dialect = chosen;
}
