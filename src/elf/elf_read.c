// SPDX-License-Identifier: MIT
// elf_read: ELF header, section headers and symbols of an ELF64 little-endian relocatable object for BPF.
// After it, names, sizes and indices can be used without further checks. Source: System V ABI, chapter 4.
#include "elf/elf_int.h"

#define HEADER_SIZE         64u
#define SECTION_HEADER_SIZE 64u
#define SYMBOL_SIZE         24u
#define TYPE_RELOCATABLE    1u
#define MACHINE_BPF         247u
#define MACHINE_NONE        0u // what LLVM wrote before BPF had a number

struct header {
    uint64_t section_off;
    uint16_t type, machine, section_size, section_count, names_section;
};

static ebpf_result_t check_ident(struct elf_loader *l, const uint8_t *ident)
{
    static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};
    if (memcmp(ident, magic, sizeof(magic)) != 0) {
        return elf_fail(l, NULL, "this is not an ELF object (its magic number is wrong)");
    }
    if (ident[4] != 2) {
        return elf_fail(l, NULL, "this is not a 64-bit ELF object");
    }
    if (ident[5] == 2) {
        return elf_refuse(l, NULL,
                          "the object is big endian, which is not supported: compile with -target bpfel");
    }
    if (ident[5] != 1 || ident[6] != 1) {
        return elf_fail(l, NULL, "the byte order or version in the ELF header is not known");
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t read_header(struct elf_loader *l, struct header *out)
{
    struct reader r = l->file;
    const uint8_t *ident;
    if (reader_view(&r, 16, &ident) != EBPF_SUCCESS || reader_left(&r) < HEADER_SIZE - 16) {
        return elf_fail(l, NULL, "the file is too short for an ELF header (%zu bytes)", l->file.size);
    }
    TRY(check_ident(l, ident));
    bool ok = reader_u16(&r, &out->type) == EBPF_SUCCESS && reader_u16(&r, &out->machine) == EBPF_SUCCESS &&
              reader_seek(&r, 40) == EBPF_SUCCESS && reader_u64(&r, &out->section_off) == EBPF_SUCCESS &&
              reader_seek(&r, 58) == EBPF_SUCCESS && reader_u16(&r, &out->section_size) == EBPF_SUCCESS &&
              reader_u16(&r, &out->section_count) == EBPF_SUCCESS &&
              reader_u16(&r, &out->names_section) == EBPF_SUCCESS;
    if (!ok) {
        return elf_fail(l, NULL, "the file ends inside the ELF header");
    }
    if (out->machine != MACHINE_BPF && out->machine != MACHINE_NONE) {
        return elf_fail(l, NULL, "the object is for machine %u, not for BPF (247)", out->machine);
    }
    l->is_ancient = out->machine == MACHINE_NONE;
    if (out->type != TYPE_RELOCATABLE) {
        return elf_fail(l, NULL,
                        "the object is not relocatable (ELF type %u): give the compiler's output, unlinked",
                        out->type);
    }
    return EBPF_SUCCESS;
}

// Reads section header `index`; the name's offset goes to *name_off.
static ebpf_result_t read_section(struct elf_loader *l, struct reader *r, uint32_t index, uint32_t *name_off,
                                  struct elf_section *out)
{
    uint64_t off;
    struct reader bytes;
    if (reader_u32(r, name_off) != EBPF_SUCCESS || reader_u32(r, &out->type) != EBPF_SUCCESS ||
        reader_u64(r, &out->flags) != EBPF_SUCCESS || reader_skip(r, 8) != EBPF_SUCCESS ||
        reader_u64(r, &off) != EBPF_SUCCESS || reader_u64(r, &out->size) != EBPF_SUCCESS ||
        reader_u32(r, &out->link) != EBPF_SUCCESS || reader_u32(r, &out->info) != EBPF_SUCCESS ||
        reader_skip(r, 16) != EBPF_SUCCESS) {
        return elf_fail(l, NULL, "the section headers lie outside the file");
    }
    out->map = ELF_NO_INDEX;
    if (index == 0 || out->type == ELF_NULL) { // neither holds anything
        *out = (struct elf_section){.name = "", .map = ELF_NO_INDEX};
        return EBPF_SUCCESS;
    }
    if (out->type == ELF_NOBITS) {
        return EBPF_SUCCESS;
    }
    if (reader_slice(&l->file, off, out->size, &bytes) != EBPF_SUCCESS) {
        return elf_fail(l, NULL, "section %u (%llu bytes at offset %llu) lies outside the file of %zu bytes",
                        index, (unsigned long long)out->size, (unsigned long long)off, l->file.size);
    }
    out->data = bytes.data;
    return EBPF_SUCCESS;
}

// Bytes of a string table that ends with NUL, so that every offset inside starts a string; copied, as names
// are kept.
static ebpf_result_t copy_strings(struct elf_loader *l, uint32_t index, const char *use, const char **out)
{
    const struct elf_section *s = index < l->section_count ? &l->sections[index] : NULL;
    if (s == NULL || s->type != ELF_STRTAB) {
        return elf_fail(l, NULL, "section %u, which should hold the names of %s, is not a string table",
                        index, use);
    }
    if (s->size == 0 || s->data[s->size - 1] != '\0') {
        return elf_fail(l, NULL, "the string table with the names of %s does not end with NUL", use);
    }
    *out = arena_copy(l->arena, s->data, (size_t)s->size);
    return *out != NULL ? EBPF_SUCCESS : elf_no_memory(l);
}

static ebpf_result_t name_sections(struct elf_loader *l, const uint32_t *name_offs)
{
    const char *names;
    TRY(copy_strings(l, l->names_section, "sections", &names));
    l->section_names.items = arena_array(l->arena, l->section_count, sizeof(struct elf_pair));
    if (l->section_names.items == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t i = 0; i < l->section_count; i++) {
        struct elf_section *s = &l->sections[i];
        if (name_offs[i] >= l->sections[l->names_section].size) {
            return elf_fail(l, NULL, "the name of section %u lies outside the string table", i);
        }
        s->name = names + name_offs[i];
        if (elf_name_length(s->name) > ELF_MAX_NAME) {
            return elf_fail(l, NULL, "the name of section %u is longer than %u bytes", i, ELF_MAX_NAME);
        }
        l->section_names.items[i] = (struct elf_pair){elf_name_key(s->name, 0), i};
    }
    l->section_names.count = l->section_count;
    elf_pairs_sort(&l->section_names);
    return EBPF_SUCCESS;
}

static ebpf_result_t read_sections(struct elf_loader *l, const struct header *h)
{
    struct reader r;
    if (h->section_count == 0) {
        return elf_fail(l, NULL, "the object has no sections");
    }
    if (h->section_size != SECTION_HEADER_SIZE) {
        return elf_fail(l, NULL, "section headers have %u bytes, not %u", h->section_size,
                        SECTION_HEADER_SIZE);
    }
    if (reader_slice(&l->file, h->section_off, (uint64_t)h->section_count * SECTION_HEADER_SIZE, &r) !=
        EBPF_SUCCESS) {
        return elf_fail(l, NULL, "the section headers lie outside the file (%u of them at offset %llu)",
                        h->section_count, (unsigned long long)h->section_off);
    }
    l->section_count = h->section_count;
    l->names_section = h->names_section;
    l->sections = arena_array(l->arena, l->section_count, sizeof(*l->sections));
    uint32_t *name_offs = arena_array(l->arena, l->section_count, sizeof(*name_offs));
    if (l->sections == NULL || name_offs == NULL) {
        return elf_no_memory(l);
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < l->section_count; i++) {
        struct elf_section *s = &l->sections[i];
        s->name = "";
        TRY(read_section(l, &r, i, &name_offs[i], s));
        total += s->data != NULL ? s->size : 0;
        if (total > l->file.size) {
            return elf_fail(l, NULL, "sections overlap: up to section %u they have more bytes than the file",
                            i);
        }
    }
    return name_sections(l, name_offs);
}

static ebpf_result_t find_symtab(struct elf_loader *l)
{
    l->symtab = ELF_NO_INDEX;
    for (uint32_t i = 0; i < l->section_count; i++) {
        if (l->sections[i].type != ELF_SYMTAB) {
            continue;
        }
        if (l->symtab != ELF_NO_INDEX) {
            return elf_fail(l, &l->sections[i], "the object has more than one symbol table");
        }
        l->symtab = i;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t read_symbol(struct elf_loader *l, struct reader *r, uint32_t index, const char *names,
                                 uint64_t names_size, struct elf_symbol *out)
{
    const struct elf_section *symtab = &l->sections[l->symtab];
    uint32_t name_off;
    uint8_t info, other;
    if (reader_u32(r, &name_off) != EBPF_SUCCESS || reader_u8(r, &info) != EBPF_SUCCESS ||
        reader_u8(r, &other) != EBPF_SUCCESS || reader_u16(r, &out->section) != EBPF_SUCCESS ||
        reader_u64(r, &out->value) != EBPF_SUCCESS || reader_u64(r, &out->size) != EBPF_SUCCESS) {
        return elf_fail(l, symtab, "the symbol table ends inside symbol %u", index);
    }
    if (name_off >= names_size) {
        return elf_fail(l, symtab, "the name of symbol %u lies outside the string table", index);
    }
    if (out->section >= l->section_count && out->section < ELF_RESERVED) {
        return elf_fail(l, symtab, "symbol %u is in section %u, which does not exist", index, out->section);
    }
    out->name = names + name_off;
    out->type = info & 15;
    out->bind = info >> 4;
    out->visibility = other & 3;
    if (elf_name_length(out->name) > ELF_MAX_NAME) {
        return elf_fail(l, symtab, "the name of symbol %u is longer than %u bytes", index, ELF_MAX_NAME);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t index_symbols(struct elf_loader *l)
{
    struct elf_pairs *pairs = &l->symbol_names;
    pairs->items = arena_array(l->arena, l->symbol_count, sizeof(struct elf_pair));
    if (pairs->items == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t i = 0; i < l->symbol_count; i++) {
        const struct elf_symbol *s = &l->symbols[i];
        if (s->name[0] != '\0' && s->type <= ELF_SYM_FUNC) {
            pairs->items[pairs->count++] = (struct elf_pair){elf_name_key(s->name, s->section), i};
        }
    }
    elf_pairs_sort(pairs);
    return EBPF_SUCCESS;
}

static ebpf_result_t read_symbols(struct elf_loader *l)
{
    TRY(find_symtab(l));
    if (l->symtab == ELF_NO_INDEX) {
        return EBPF_SUCCESS;
    }
    const struct elf_section *symtab = &l->sections[l->symtab];
    const char *names;
    struct reader r;
    if (symtab->size % SYMBOL_SIZE != 0) {
        return elf_fail(l, symtab, "the size of the symbol table (%llu) is not a multiple of %u",
                        (unsigned long long)symtab->size, SYMBOL_SIZE);
    }
    TRY(copy_strings(l, symtab->link, "symbols", &names));
    l->symbol_count = (uint32_t)(symtab->size / SYMBOL_SIZE);
    l->symbols = arena_array(l->arena, l->symbol_count, sizeof(*l->symbols));
    if (l->symbols == NULL) {
        return elf_no_memory(l);
    }
    reader_init(&r, symtab->data, (size_t)symtab->size);
    for (uint32_t i = 0; i < l->symbol_count; i++) {
        TRY(read_symbol(l, &r, i, names, l->sections[symtab->link].size, &l->symbols[i]));
    }
    return index_symbols(l);
}

static bool is_family(const char *name, const char *stem)
{
    size_t length = str_len(stem);
    return str_starts_with(name, stem) && (name[length] == '\0' || name[length] == '.');
}

static void classify(struct elf_section *s)
{
    if (s->type == ELF_PROGBITS && (s->flags & ELF_FLAG_EXEC) != 0) {
        s->role = s->size != 0 ? ELF_ROLE_CODE : ELF_ROLE_NONE;
        s->text = is_family(s->name, ".text");
    } else if (s->type != ELF_PROGBITS && s->type != ELF_NOBITS) {
        s->role = ELF_ROLE_NONE;
    } else if (s->type == ELF_PROGBITS && str_equal(s->name, ".maps")) {
        s->role = ELF_ROLE_MAPS;
    } else if (s->type == ELF_PROGBITS && (str_equal(s->name, "maps") || str_starts_with(s->name, "maps/"))) {
        s->role = ELF_ROLE_LEGACY_MAPS;
    } else if (is_family(s->name, ".rodata") || is_family(s->name, ".data") || is_family(s->name, ".bss")) {
        s->role = s->size != 0 ? ELF_ROLE_DATA : ELF_ROLE_NONE;
        s->map_kind = s->type == ELF_NOBITS           ? ELF_MAP_BSS
                      : is_family(s->name, ".rodata") ? ELF_MAP_RODATA
                                                      : ELF_MAP_DATA;
    }
}

ebpf_result_t elf_read_all(struct elf_loader *l)
{
    struct header h;
    if (l->file.size > ELF_MAX_SIZE) {
        return elf_fail(l, NULL, "the object has %zu bytes; the limit is %u", l->file.size, ELF_MAX_SIZE);
    }
    TRY(read_header(l, &h));
    TRY(read_sections(l, &h));
    for (uint32_t i = 0; i < l->section_count; i++) {
        classify(&l->sections[i]);
    }
    return read_symbols(l);
}
