// SPDX-License-Identifier: MIT
// elf_extern: symbols that an object uses and does not define. Variables of .kconfig become a map with the
// values that the caller knows; functions that a table row names become calls by name; addresses of kernel
// variables are numbers that nobody knows here (LDDW_VAR); weak ones are 0, as for a loader that does not
// find them. What remains is poison: an instruction that is refused when a path reaches it. Source: libbpf's
// documentation, .kconfig and .ksyms.
#include "elf/elf_int.h"

// --- poison --------------------------------------------------------------------------------------

// Room for `size` more bytes of texts.
static bool reserve_text(struct elf_loader *l, size_t size)
{
    uint64_t needed = (uint64_t)l->texts_size + size;
    if (needed <= l->texts_capacity) {
        return true;
    }
    uint64_t capacity = 2 * needed + 256;
    char *texts = capacity < PROGRAM_POISON / 2 ? arena_alloc(l->arena, (size_t)capacity) : NULL;
    if (texts == NULL) {
        return false;
    }
    if (l->texts_size != 0) {
        memcpy(texts, l->texts, l->texts_size);
    }
    l->texts = texts;
    l->texts_capacity = (uint32_t)capacity;
    return true;
}

ebpf_result_t elf_poison(struct elf_loader *l, struct elf_section *code, uint32_t slot, const char *why)
{
    size_t size = str_len(why) + 1;
    uint32_t base = l->has_btf ? l->btf.strings_size : 1;
    struct insn *in = &code->insns[slot];
    bool same = l->texts_size >= size && memcmp(l->texts + l->texts_size - size, why, size) == 0;
    if (!same && (!reserve_text(l, size) || base > PROGRAM_POISON / 2)) {
        return elf_no_memory(l);
    }
    if (!same) {
        memcpy(l->texts + l->texts_size, why, size);
        elf_make_printable(l->texts + l->texts_size);
        l->texts_size += (uint32_t)size;
    }
    if (insn_slots(in) == 2) { // the second slot is an instruction of its own now
        code->insns[slot + 1] = (struct insn){.id = INSN_JA, .reserved = ELF_RELOCATED};
    }
    uint32_t off = base + l->texts_size - (uint32_t)size;
    *in = (struct insn){.id = INSN_CALL, .imm = PROGRAM_POISON + (int64_t)off, .reserved = ELF_RELOCATED};
    return EBPF_SUCCESS;
}

ebpf_result_t elf_join_texts(struct elf_loader *l)
{
    struct elf_object *o = l->object;
    o->strings = l->has_btf ? l->btf.strings : "";
    o->strings_size = l->has_btf ? l->btf.strings_size : 1;
    if (l->texts_size == 0) {
        return EBPF_SUCCESS;
    }
    char *strings = arena_alloc(l->arena, (size_t)o->strings_size + l->texts_size);
    if (strings == NULL) {
        return elf_no_memory(l);
    }
    memcpy(strings, o->strings, o->strings_size);
    memcpy(strings + o->strings_size, l->texts, l->texts_size);
    o->strings = strings;
    o->strings_size += l->texts_size;
    return EBPF_SUCCESS;
}

// --- the variables and functions of .kconfig and .ksyms ------------------------------------------

static uint32_t find_datasec(const struct elf_loader *l, const char *name)
{
    for (uint32_t id = 1; l->has_btf && id <= l->btf.count; id++) {
        struct btf_type type = btf_type(&l->btf, id);
        if (type.kind == BTF_DATASEC && str_equal(btf_string(&l->btf, type.name_off), name)) {
            return id;
        }
    }
    return 0;
}

static void add_extern(struct elf_loader *l, const struct elf_extern *row)
{
    struct elf_pairs *names = &l->extern_names;
    l->externs[names->count] = *row;
    names->items[names->count] = (struct elf_pair){elf_name_key(row->name, 0), names->count};
    names->count++;
}

static void add_ksyms(struct elf_loader *l, uint32_t id)
{
    struct btf_type datasec = btf_type(&l->btf, id);
    for (uint32_t i = 0; i < datasec.vlen; i++) {
        uint32_t var = btf_item(&l->btf, &datasec, i).type;
        struct btf_type type = btf_type(&l->btf, var);
        struct elf_extern row = {
            .name = btf_string(&l->btf, type.name_off), .type = var, .is_func = type.kind == BTF_FUNC};
        add_extern(l, &row);
    }
}

// Value of `name` in the lines "NAME=value" of options->kconfig, and its length; NULL if it has none.
static const char *find_value(const struct elf_loader *l, const char *name, size_t *length)
{
    size_t name_length = str_len(name);
    for (const char *at = l->options->kconfig; at != NULL && *at != '\0';) {
        bool found = str_starts_with(at, name) && at[name_length] == '=';
        const char *value = at + name_length + 1;
        while (*at != '\0' && *at != '\n') {
            at++;
        }
        if (found) {
            *length = (size_t)(at - value);
            return value;
        }
        at += *at == '\n';
    }
    return NULL;
}

static bool parse_number(const char *text, size_t length, uint64_t *out)
{
    uint64_t value = 0;
    bool is_hex = length > 2 && text[0] == '0' && text[1] == 'x';
    bool is_negative = length > 1 && text[0] == '-';
    size_t i = is_hex ? 2 : is_negative ? 1 : 0;
    if (i == length) {
        return false;
    }
    for (; i < length; i++) {
        char c = text[i];
        bool digit = c >= '0' && c <= '9';
        bool letter = is_hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
        if ((!digit && !letter) || value > UINT64_MAX / 16 - 16) {
            return false;
        }
        value = value * (is_hex ? 16 : 10) + (uint64_t)(digit ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    *out = is_negative ? 0 - value : value;
    return true;
}

// Writes the value of a variable of `size` bytes at `out`; false when the text does not fit the variable.
static bool write_value(const struct elf_loader *l, uint32_t type_id, const char *text, size_t length,
                        uint8_t *out, uint32_t size)
{
    uint32_t id = 0;
    uint64_t value = 0;
    struct btf_type type = btf_resolve(&l->btf, type_id, &id) ? btf_type(&l->btf, id) : (struct btf_type){0};
    if (type.kind == BTF_ARRAY) { // of char: a string in quotes, cut to fit, as libbpf does
        if (length < 2 || text[0] != '"' || text[length - 1] != '"' || size == 0) {
            return false;
        }
        memcpy(out, text + 1, (size_t)min_u64(length - 2, size - 1));
        return true;
    }
    bool is_letter = length == 1 && (*text == 'y' || *text == 'n' || *text == 'm');
    bool is_enum = type.kind == BTF_ENUM; // enum libbpf_tristate: no, yes, module
    bool is_char = type.kind == BTF_INT && (btf_item(&l->btf, &type, 0).off & BTF_INT_CHAR) != 0;
    if (is_letter) {
        value = is_char ? (uint8_t)*text : *text == 'n' ? 0 : *text == 'y' ? 1 : 2;
        if (value == 2 && !is_enum) {
            return false;
        }
    } else if (!parse_number(text, length, &value)) {
        return false;
    }
    if (size != 1 && size != 2 && size != 4 && size != 8) {
        return false;
    }
    memcpy(out, &value, size); // little endian
    return true;
}

// Alignment of a variable: that of its scalar, or of an array's element.
static uint32_t alignment(uint32_t size)
{
    return size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;
}

static bool is_weak(const struct elf_loader *l, const char *name)
{
    uint32_t symbol = elf_find_symbol(l, name, ELF_UNDEFINED);
    return symbol != ELF_NO_INDEX && l->symbols[symbol].bind == ELF_BIND_WEAK;
}

// Lays the variables out and says how large they are together.
static ebpf_result_t place_kconfig(struct elf_loader *l, const struct btf_type *datasec, uint32_t *out)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < datasec->vlen; i++) {
        struct btf_type var = btf_type(&l->btf, btf_item(&l->btf, datasec, i).type);
        const char *name = btf_string(&l->btf, var.name_off);
        uint32_t size = 0;
        if (var.kind != BTF_VAR || !btf_size(&l->btf, var.value, &size) || size == 0) {
            return elf_fail(l, NULL, "the extern variable '%s' of .kconfig has no size", name);
        }
        end = align_up(end, alignment(size));
        add_extern(l, &(struct elf_extern){.name = name, .off = (uint32_t)end, .is_kconfig = true});
        end += size;
        if (end > INT32_MAX / 2) {
            return elf_fail(l, NULL, "the variables of .kconfig are too large");
        }
    }
    *out = (uint32_t)end;
    return EBPF_SUCCESS;
}

static void fill_kconfig(struct elf_loader *l, const struct btf_type *datasec, uint32_t first,
                         struct elf_map *map, uint8_t *value)
{
    for (uint32_t i = 0; i < datasec->vlen; i++) {
        struct btf_type var = btf_type(&l->btf, btf_item(&l->btf, datasec, i).type);
        const struct elf_extern *row = &l->externs[first + i];
        size_t length = 0;
        uint32_t size = 0;
        const char *text = find_value(l, row->name, &length);
        bool known = text != NULL && btf_size(&l->btf, var.value, &size) &&
                     write_value(l, var.value, text, length, value + row->off, size);
        if (!known && !is_weak(l, row->name)) {
            map->unknown = row->name;
        }
    }
}

static ebpf_result_t make_kconfig(struct elf_loader *l, uint32_t id)
{
    struct btf_type datasec = btf_type(&l->btf, id);
    uint32_t first = l->extern_names.count, size = 0;
    TRY(place_kconfig(l, &datasec, &size));
    if (size == 0) {
        return EBPF_SUCCESS;
    }
    uint8_t *value = arena_alloc(l->arena, size);
    if (value == NULL) {
        return elf_no_memory(l);
    }
    struct elf_map *map = &l->object->maps[l->object->map_count];
    l->kconfig_map = l->object->map_count++;
    elf_data_map(l, ".kconfig", size, ELF_MAP_KCONFIG, map);
    map->initial = value;
    fill_kconfig(l, &datasec, first, map, value);
    return EBPF_SUCCESS;
}

ebpf_result_t elf_collect_externs(struct elf_loader *l)
{
    uint32_t kconfig = find_datasec(l, ".kconfig"), ksyms = find_datasec(l, ".ksyms");
    size_t bound = (size_t)btf_type(&l->btf, kconfig).vlen + btf_type(&l->btf, ksyms).vlen;
    l->kconfig_map = ELF_NO_INDEX;
    l->externs = arena_array(l->arena, bound, sizeof(*l->externs));
    l->extern_names.items = arena_array(l->arena, bound, sizeof(struct elf_pair));
    if (l->externs == NULL || l->extern_names.items == NULL) {
        return elf_no_memory(l);
    }
    if (kconfig != 0) {
        TRY(make_kconfig(l, kconfig));
    }
    if (ksyms != 0) {
        add_ksyms(l, ksyms);
    }
    elf_pairs_sort(&l->extern_names);
    return EBPF_SUCCESS;
}

// --- references ----------------------------------------------------------------------------------

static const struct elf_extern *find_extern(const struct elf_loader *l, const char *name)
{
    uint32_t row = elf_pairs_find(&l->extern_names, elf_name_key(name, 0));
    return row != ELF_NO_INDEX && str_equal(l->externs[row].name, name) ? &l->externs[row] : NULL;
}

// Function of the platform that a symbol names. Of several declarations of one function that differ in a
// suffix
// "___flavour", those count that have as many parameters as the function. HELPER_NONE if there is none.
static uint32_t find_function(const struct elf_loader *l, const char *symbol, char *name, size_t size)
{
    const struct elf_extern *row = find_extern(l, symbol);
    uint32_t length = btf_name_length(symbol), count = 0;
    str_copy(name, size, symbol);
    if (length < size) {
        name[length] = '\0';
    }
    uint32_t id = spec_kfunc_by_name(l->options->spec, name);
    struct btf_type proto = btf_type(&l->btf, btf_type(&l->btf, row != NULL ? row->type : 0).value);
    if (id == HELPER_NONE || symbol[length] == '\0' || proto.kind != BTF_FUNC_PROTO) {
        return id;
    }
    const struct helper_row *helper = &l->options->spec->helpers[id];
    while (count < ARRAY_SIZE(helper->args) && helper->args[count] != ARG_NONE) {
        count++;
    }
    return proto.vlen == count ? id : HELPER_NONE;
}

static ebpf_result_t call_extern(struct elf_loader *l, struct elf_section *code, uint32_t slot,
                                 const struct elf_symbol *symbol)
{
    char name[128], why[256];
    uint32_t id = find_function(l, symbol->name, name, sizeof(name));
    if (id != HELPER_NONE) {
        code->insns[slot] = (struct insn){.id = INSN_CALL_BTF, .imm = id, .reserved = ELF_RELOCATED};
        return EBPF_SUCCESS;
    }
    str_format(why, sizeof(why), "the function '%s' is defined neither in the object nor by the platform",
               name);
    return elf_poison(l, code, slot, why);
}

// A weak symbol that nobody defines has address 0; whether the platform defines it decides for functions.
static bool is_missing(const struct elf_loader *l, const struct elf_symbol *symbol,
                       const struct elf_extern *row)
{
    char name[128];
    return symbol->bind == ELF_BIND_WEAK &&
           (row == NULL || !row->is_func ||
            find_function(l, symbol->name, name, sizeof(name)) == HELPER_NONE);
}

ebpf_result_t elf_refer_extern(struct elf_loader *l, struct elf_section *code, uint32_t slot,
                               const struct elf_symbol *symbol)
{
    struct insn *in = &code->insns[slot];
    const struct elf_extern *row = find_extern(l, symbol->name);
    if (in->id == INSN_CALL || in->id == INSN_CALL_LOCAL || in->id == INSN_CALL_BTF) {
        return call_extern(l, code, slot, symbol);
    }
    in->src = 0;
    in->reserved = ELF_RELOCATED;
    if (row != NULL && row->is_kconfig) {
        in->id = INSN_LDDW_MAP_VALUE;
        in->imm = (int64_t)((uint64_t)row->off << 32 | l->kconfig_map);
        return EBPF_SUCCESS;
    }
    in->id = is_missing(l, symbol, row) ? INSN_LDDW : INSN_LDDW_VAR;
    in->imm = 0;
    return EBPF_SUCCESS;
}
