// SPDX-License-Identifier: MIT
// elf_code: decodes code sections and cuts them into functions at their symbols. Compilers mark functions
// FUNC; objects of old compilers and assemblers have plain global labels, which count in sections without any
// FUNC; a section without either is one function.
#include "elf/elf_int.h"

static ebpf_result_t decode_section(struct elf_loader *l, struct elf_section *s)
{
    uint32_t bad_pc = 0;
    if (s->size % INSN_SLOT_SIZE != 0) {
        return elf_fail(l, s, "the size of this code section (%llu) is not a multiple of %u",
                        (unsigned long long)s->size, INSN_SLOT_SIZE);
    }
    if (s->size / INSN_SLOT_SIZE > INSN_MAX_SLOTS) {
        return elf_fail(l, s, "the section has %llu instructions; the limit is %u",
                        (unsigned long long)(s->size / INSN_SLOT_SIZE), INSN_MAX_SLOTS);
    }
    s->slots = (uint32_t)(s->size / INSN_SLOT_SIZE);
    s->insns = arena_array(l->arena, s->slots, sizeof(struct insn));
    if (s->insns == NULL) {
        return elf_no_memory(l);
    }
    enum insn_error error = insn_decode(s->data, (size_t)s->size, s->insns, &bad_pc);
    if (error != INSN_OK) {
        return elf_fail(l, s, "instruction %u cannot be decoded: %s", bad_pc, insn_error_text(error));
    }
    return EBPF_SUCCESS;
}

// Section of code that a symbol lies in, or NULL.
static struct elf_section *code_of(const struct elf_loader *l, const struct elf_symbol *symbol)
{
    if (symbol->section >= l->section_count || l->sections[symbol->section].role != ELF_ROLE_CODE) {
        return NULL;
    }
    return &l->sections[symbol->section];
}

static bool starts_function(const struct elf_loader *l, const struct elf_symbol *symbol)
{
    const struct elf_section *s = code_of(l, symbol);
    if (s == NULL) {
        return false;
    }
    return symbol->type == ELF_SYM_FUNC ||
           (symbol->type == ELF_SYM_NOTYPE && symbol->bind != ELF_BIND_LOCAL && symbol->name[0] != '\0' &&
            !s->has_functions);
}

// Pairs of place and symbol of all functions; ELF_NO_INDEX for a section that is one function without a
// symbol.
static ebpf_result_t place_functions(struct elf_loader *l, struct elf_pairs *places)
{
    places->items =
        arena_array(l->arena, (size_t)l->symbol_count + l->section_count, sizeof(struct elf_pair));
    bool *named = arena_array(l->arena, l->section_count, sizeof(*named));
    if (places->items == NULL || named == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t i = 0; i < l->symbol_count; i++) {
        const struct elf_symbol *symbol = &l->symbols[i];
        if (!starts_function(l, symbol)) {
            continue;
        }
        const struct elf_section *s = &l->sections[symbol->section];
        if (symbol->value % INSN_SLOT_SIZE != 0 || symbol->value / INSN_SLOT_SIZE >= s->slots) {
            return elf_fail(l, s, "function '%s' starts at byte %llu, which is no instruction of the section",
                            symbol->name, (unsigned long long)symbol->value);
        }
        named[symbol->section] = true;
        places->items[places->count++] =
            (struct elf_pair){elf_place(symbol->section, (uint32_t)(symbol->value / INSN_SLOT_SIZE)), i};
    }
    for (uint32_t i = 0; i < l->section_count; i++) {
        if (l->sections[i].role == ELF_ROLE_CODE && !named[i]) {
            places->items[places->count++] = (struct elf_pair){elf_place(i, 0), ELF_NO_INDEX};
        }
    }
    elf_pairs_sort(places);
    elf_pairs_unique(places); // of aliases the last one stays: global symbols come after local ones
    return EBPF_SUCCESS;
}

// `limit` is the start of the next function, or the end of the section.
static ebpf_result_t make_function(struct elf_loader *l, const struct elf_pair *place, uint32_t limit,
                                   struct elf_func *out)
{
    out->section = (uint32_t)(place->key >> 32);
    out->start = (uint32_t)place->key;
    out->end = limit;
    struct elf_section *s = &l->sections[out->section];
    if (place->value == ELF_NO_INDEX) {
        out->name = s->name;
        s->has_entries = true;
        return EBPF_SUCCESS;
    }
    const struct elf_symbol *symbol = &l->symbols[place->value];
    uint64_t slots = symbol->size / INSN_SLOT_SIZE;
    if (symbol->size % INSN_SLOT_SIZE != 0 || slots > limit - out->start) {
        return elf_fail(l, s,
                        "function '%s' has %llu bytes, which do not fit before the next function or the end",
                        symbol->name, (unsigned long long)symbol->size);
    }
    out->name = symbol->name[0] != '\0' ? symbol->name : s->name;
    out->end = slots != 0 ? out->start + (uint32_t)slots : limit;
    out->is_label = symbol->type != ELF_SYM_FUNC && l->sections[l->symtab].link == l->names_section;
    out->is_static = symbol->bind == ELF_BIND_LOCAL;
    out->is_hidden = symbol->visibility == ELF_HIDDEN || symbol->visibility == ELF_HIDDEN_INTERNAL;
    s->has_entries = s->has_entries || !out->is_static;
    return EBPF_SUCCESS;
}

static ebpf_result_t cut_functions(struct elf_loader *l)
{
    struct elf_pairs places = {0};
    TRY(place_functions(l, &places));
    l->funcs = arena_array(l->arena, places.count, sizeof(*l->funcs));
    if (l->funcs == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t i = 0; i < places.count; i++) {
        uint32_t section = (uint32_t)(places.items[i].key >> 32);
        bool last = i + 1 == places.count || places.items[i + 1].key >> 32 != section;
        uint32_t limit = last ? l->sections[section].slots : (uint32_t)places.items[i + 1].key;
        TRY(make_function(l, &places.items[i], limit, &l->funcs[i]));
        l->func_count = i + 1;
    }
    return EBPF_SUCCESS;
}

bool elf_is_entry(const struct elf_loader *l, const struct elf_func *f)
{
    return !f->is_static || !l->sections[f->section].has_entries;
}

ebpf_result_t elf_collect_code(struct elf_loader *l)
{
    for (uint32_t i = 0; i < l->symbol_count; i++) {
        struct elf_section *s = code_of(l, &l->symbols[i]);
        if (s != NULL && l->symbols[i].type == ELF_SYM_FUNC) {
            s->has_functions = true;
        }
    }
    for (uint32_t i = 0; i < l->section_count; i++) {
        if (l->sections[i].role == ELF_ROLE_CODE) {
            TRY(decode_section(l, &l->sections[i]));
        }
    }
    return cut_functions(l);
}
