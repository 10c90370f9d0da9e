// SPDX-License-Identifier: MIT
// elf_reloc: applies the relocations of code sections to the decoded instructions, in place, then resolves
// what carries no relocation: calls within a section. Afterwards no instruction of a function holds a
// descriptor, every map reference is an index into the object's maps, and every reference to code is an index
// into the functions.
//
// Relocations are REL: the addend is the instruction's immediate. (Objects of 2016 without a machine number
// have RELA with type 0 on loads of maps.) LLVM leaves a symbol's value out of it. The GNU assembler up
// to 2.41 puts the value in (and counts a call's in bytes); such an object is known by its section names
// being apart from its symbol names, which LLVM never does, and by every addend lying inside its symbol.
// Source: LLVM documentation, BPF relocations; GNU binutils 2.40 as observed.
#include "elf/elf_int.h"

#define REL_SIZE  16u
#define RELA_SIZE 24u

enum { RELOC_NONE = 0, RELOC_LDDW = 1, RELOC_CALL = 10 }; // R_BPF_64_64, R_BPF_64_32

struct reloc {
    struct elf_section *code;
    uint32_t slot, type;
    const struct elf_symbol *symbol;
    bool has_addend; // of its own (RELA): the instruction's immediate does not count
    uint64_t addend;
};

static const char *symbol_name(const struct elf_loader *l, const struct elf_symbol *symbol)
{
    bool is_section = symbol->type == ELF_SYM_SECTION && symbol->section < l->section_count;
    return is_section ? l->sections[symbol->section].name : symbol->name;
}

static ebpf_result_t read_reloc(struct elf_loader *l, struct reader *r, const struct elf_section *rel,
                                struct reloc *out)
{
    uint64_t off, info;
    out->has_addend = rel->type == ELF_RELA;
    if (reader_u64(r, &off) != EBPF_SUCCESS || reader_u64(r, &info) != EBPF_SUCCESS ||
        (out->has_addend && reader_u64(r, &out->addend) != EBPF_SUCCESS)) {
        return elf_fail(l, rel, "the section ends inside a relocation");
    }
    if (off % INSN_SLOT_SIZE != 0 || off / INSN_SLOT_SIZE >= out->code->slots) {
        return elf_fail(l, rel, "a relocation is for byte %llu of section '%s', which is no instruction",
                        (unsigned long long)off, out->code->name);
    }
    if (info >> 32 >= l->symbol_count) {
        return elf_fail(l, rel, "a relocation uses symbol %llu, which does not exist",
                        (unsigned long long)(info >> 32));
    }
    out->slot = (uint32_t)(off / INSN_SLOT_SIZE);
    out->type = l->is_ancient && (uint32_t)info == RELOC_NONE ? RELOC_LDDW : (uint32_t)info;
    out->symbol = &l->symbols[info >> 32];
    return EBPF_SUCCESS;
}

// Calls `visit` for each relocation of code.
static ebpf_result_t each_reloc(struct elf_loader *l,
                                ebpf_result_t (*visit)(struct elf_loader *l, const struct reloc *reloc))
{
    for (uint32_t i = 0; i < l->section_count; i++) {
        const struct elf_section *rel = &l->sections[i];
        if ((rel->type != ELF_REL && rel->type != ELF_RELA) || rel->info >= l->section_count ||
            l->sections[rel->info].role != ELF_ROLE_CODE) {
            continue;
        }
        if (rel->link != l->symtab || rel->size % (rel->type == ELF_RELA ? RELA_SIZE : REL_SIZE) != 0) {
            return elf_fail(l, rel, "the section is no table of relocations by the object's symbols");
        }
        struct reloc reloc = {.code = &l->sections[rel->info]};
        struct reader r;
        reader_init(&r, rel->data, (size_t)rel->size);
        while (reader_left(&r) != 0) {
            TRY(read_reloc(l, &r, rel, &reloc));
            if (reloc.type != RELOC_NONE) {
                TRY(visit(l, &reloc));
            }
        }
    }
    return EBPF_SUCCESS;
}

// --- addends that hold their symbol's value ------------------------------------------------------

// Stops with any failure at the first addend that does not lie inside its symbol.
static ebpf_result_t check_addend(struct elf_loader *l, const struct reloc *reloc)
{
    const struct elf_symbol *symbol = reloc->symbol;
    const struct insn *in = &reloc->code->insns[reloc->slot];
    if (reloc->type != RELOC_LDDW || reloc->has_addend || symbol->type == ELF_SYM_SECTION ||
        symbol->section == ELF_UNDEFINED || symbol->value == 0) {
        return EBPF_SUCCESS;
    }
    uint64_t addend = (uint64_t)in->imm;
    bool inside = addend >= symbol->value && addend - symbol->value <= symbol->size;
    l->value_in_addend = inside;
    return inside ? EBPF_SUCCESS : EBPF_FAILED;
}

static bool has_llvm_names(const struct elf_loader *l)
{
    return l->symtab != ELF_NO_INDEX && l->sections[l->symtab].link == l->names_section;
}

static void detect_addends(struct elf_loader *l)
{
    struct elf_error kept = *l->error;
    if (!has_llvm_names(l) && each_reloc(l, check_addend) != EBPF_SUCCESS) {
        l->value_in_addend = false;
        *l->error = kept; // what is malformed is reported when it is applied
    }
}

// --- references ----------------------------------------------------------------------------------

static ebpf_result_t fail_at(struct elf_loader *l, const struct reloc *reloc, const char *why)
{
    return elf_fail(l, reloc->code, "instruction %u: the reference to '%s' %s", reloc->slot,
                    symbol_name(l, reloc->symbol), why);
}

// Offset in the symbol's section that an LDDW refers to; any value when the object is malformed.
static uint64_t target_off(const struct elf_loader *l, const struct reloc *reloc)
{
    uint64_t addend = reloc->has_addend ? reloc->addend : (uint64_t)reloc->code->insns[reloc->slot].imm;
    bool has_value = l->value_in_addend && !reloc->has_addend && reloc->symbol->type != ELF_SYM_SECTION;
    return has_value ? addend : reloc->symbol->value + addend;
}

static void set_insn(struct insn *in, enum insn_id id, int64_t imm)
{
    in->id = (uint16_t)id;
    in->src = 0;
    in->imm = imm;
    in->reserved = ELF_RELOCATED;
}

static ebpf_result_t refer_code(struct elf_loader *l, const struct reloc *reloc, uint64_t off)
{
    uint32_t section = reloc->symbol->section, func = ELF_NO_INDEX;
    if (off % INSN_SLOT_SIZE == 0 && off / INSN_SLOT_SIZE < l->sections[section].slots) {
        func = elf_find_func(l, section, (uint32_t)(off / INSN_SLOT_SIZE));
    }
    if (func == ELF_NO_INDEX) {
        return fail_at(l, reloc, "does not lead to the start of a function");
    }
    set_insn(&reloc->code->insns[reloc->slot], reloc->type == RELOC_CALL ? INSN_CALL_LOCAL : INSN_LDDW_CODE,
             func);
    l->funcs[func].is_referenced = true;
    return EBPF_SUCCESS;
}

static ebpf_result_t refer_map(struct elf_loader *l, const struct reloc *reloc, uint64_t off)
{
    uint32_t map = off <= UINT32_MAX
                       ? elf_pairs_find(&l->map_places, elf_place(reloc->symbol->section, (uint32_t)off))
                       : ELF_NO_INDEX;
    if (map == ELF_NO_INDEX) {
        return fail_at(l, reloc, "does not lead to the start of a map");
    }
    set_insn(&reloc->code->insns[reloc->slot], INSN_LDDW_MAP, map);
    return EBPF_SUCCESS;
}

static ebpf_result_t refer_data(struct elf_loader *l, const struct reloc *reloc, uint64_t off)
{
    const struct elf_section *s = &l->sections[reloc->symbol->section];
    if (off >= s->size) {
        return fail_at(l, reloc, "leads outside its section");
    }
    set_insn(&reloc->code->insns[reloc->slot], INSN_LDDW_MAP_VALUE, (int64_t)(off << 32 | s->map));
    return EBPF_SUCCESS;
}

static ebpf_result_t apply_lddw(struct elf_loader *l, const struct reloc *reloc)
{
    const struct elf_symbol *symbol = reloc->symbol;
    uint16_t id = reloc->code->insns[reloc->slot].id;
    if (id != INSN_LDDW && id != INSN_LDDW_MAP_FD) {
        return fail_at(l, reloc, "is not a 64-bit load");
    }
    if (symbol->section == ELF_UNDEFINED) {
        return elf_refer_extern(l, reloc->code, reloc->slot, symbol);
    }
    if (symbol->section == ELF_COMMON) {
        return fail_at(l, reloc, "is to a common symbol: compile with -fno-common");
    }
    if (symbol->section >= l->section_count) {
        return fail_at(l, reloc, "is to a symbol outside all sections");
    }
    switch (l->sections[symbol->section].role) {
    case ELF_ROLE_CODE: return refer_code(l, reloc, target_off(l, reloc));
    case ELF_ROLE_DATA: return refer_data(l, reloc, target_off(l, reloc));
    case ELF_ROLE_MAPS:
    case ELF_ROLE_LEGACY_MAPS: return refer_map(l, reloc, target_off(l, reloc));
    default: return fail_at(l, reloc, "leads into a section that is no code, map or global data");
    }
}

static ebpf_result_t apply_call(struct elf_loader *l, const struct reloc *reloc)
{
    const struct elf_symbol *symbol = reloc->symbol;
    const struct insn *in = &reloc->code->insns[reloc->slot];
    if (in->id != INSN_CALL_LOCAL && in->id != INSN_CALL && in->id != INSN_CALL_BTF) {
        return fail_at(l, reloc, "is not a call");
    }
    if (reloc->has_addend) {
        return elf_refuse(l, reloc->code, "instruction %u: calls with a RELA relocation are not supported",
                          reloc->slot);
    }
    if (symbol->section == ELF_UNDEFINED) {
        return elf_refer_extern(l, reloc->code, reloc->slot, symbol);
    }
    if (symbol->section >= l->section_count || l->sections[symbol->section].role != ELF_ROLE_CODE) {
        return fail_at(l, reloc, "does not lead to code");
    }
    // -1 is "the symbol itself". The GNU assembler counts the symbol's value in bytes on top.
    bool is_named = symbol->type != ELF_SYM_SECTION;
    bool is_gnu = is_named && symbol->value <= INT32_MAX && in->imm == (int64_t)symbol->value - 1;
    uint64_t addend = is_gnu ? 0 : (uint64_t)(in->imm + 1) * INSN_SLOT_SIZE;
    return refer_code(l, reloc, symbol->value + addend);
}

static ebpf_result_t apply(struct elf_loader *l, const struct reloc *reloc)
{
    if (reloc->code->insns[reloc->slot].reserved != ELF_RAW) {
        return fail_at(l, reloc, "is one of several for the same instruction");
    }
    switch (reloc->type) {
    case RELOC_LDDW: return apply_lddw(l, reloc);
    case RELOC_CALL: return apply_call(l, reloc);
    default:
        return elf_fail(l, reloc->code, "instruction %u: relocation type %u is not known", reloc->slot,
                        reloc->type);
    }
}

// --- instructions without a relocation -----------------------------------------------------------

static ebpf_result_t resolve_insn(struct elf_loader *l, uint32_t section, uint32_t pc)
{
    const struct elf_section *s = &l->sections[section];
    struct insn *in = &s->insns[pc];
    switch (in->id) {
    case INSN_CALL_LOCAL:
    case INSN_LDDW_CODE: {
        int64_t target = insn_target(in, pc);
        uint32_t func =
            target >= 0 && target < s->slots ? elf_find_func(l, section, (uint32_t)target) : ELF_NO_INDEX;
        if (func == ELF_NO_INDEX) {
            return elf_fail(l, s, "instruction %u refers to instruction %lld, where no function starts", pc,
                            (long long)target);
        }
        set_insn(in, (enum insn_id)in->id, func);
        l->funcs[func].is_referenced = true;
        return EBPF_SUCCESS;
    }
    case INSN_LDDW_MAP_FD:
    case INSN_LDDW_MAP_VALUE_FD:
    case INSN_LDDW_VAR:
    case INSN_LDDW_MAP:
    case INSN_LDDW_MAP_VALUE:
        return elf_fail(
            l, s, "instruction %u loads a map or variable by a number that means nothing in an object", pc);
    default: return EBPF_SUCCESS;
    }
}

ebpf_result_t elf_relocate(struct elf_loader *l)
{
    detect_addends(l);
    TRY(each_reloc(l, apply));
    for (uint32_t i = 0; i < l->func_count; i++) {
        const struct elf_func *f = &l->funcs[i];
        for (uint32_t pc = f->start; pc < f->end; pc++) {
            if (l->sections[f->section].insns[pc].reserved == ELF_RAW) {
                TRY(resolve_insn(l, f->section, pc));
            }
        }
    }
    return EBPF_SUCCESS;
}
