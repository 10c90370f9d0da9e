// SPDX-License-Identifier: MIT
// elf_core: CO-RE relocations: numbers in instructions that depend on how a type is laid out where the
// program runs. Against the object's own types the compiler's numbers are right already. Against a target's,
// every candidate of the type's name is tried, and all that have the part must agree on the number. What has
// none is 0 when the program asked whether it exists, else the instruction is poison.
#include "elf/elf_core.h"

#define CORE_BUDGET (64u << 20) // members looked at in one object

enum { MAX_CANDIDATES = 256 };

// What a relocation comes to on one side.
struct number {
    uint64_t value;
    uint32_t size;   // of the field that an offset is of; 0: the access keeps its width
    bool may_resize; // the field is a pointer or a number without sign
};

static const char *const kind_names[CORE_KIND_COUNT] = {
    [CORE_FIELD_OFFSET] = "offset of",     [CORE_FIELD_SIZE] = "size of",
    [CORE_FIELD_EXISTS] = "existence of",  [CORE_FIELD_SIGNED] = "signedness of",
    [CORE_FIELD_LSHIFT] = "left shift of", [CORE_FIELD_RSHIFT] = "right shift of",
    [CORE_TYPE_ID_LOCAL] = "local id of",  [CORE_TYPE_ID_TARGET] = "id of",
    [CORE_TYPE_EXISTS] = "existence of",   [CORE_TYPE_SIZE] = "size of",
    [CORE_ENUM_EXISTS] = "existence of",   [CORE_ENUM_VALUE] = "value of",
    [CORE_TYPE_MATCHES] = "match of",
};

// --- numbers -------------------------------------------------------------------------------------

// Type of the part at the end of a path, resolved; and its member, for bit-fields.
static bool part_type(const struct btf *btf, const struct core_path *path, uint32_t *id, uint32_t *bits)
{
    const struct core_step *last = &path->steps[path->count - 1];
    struct btf_type owner = btf_type(btf, last->type);
    *bits = 0;
    if (last->name == NULL) {
        return btf_resolve(btf, last->type, id);
    }
    struct btf_item item = btf_item(btf, &owner, last->index);
    *bits = owner.flag ? item.off >> 24 : 0;
    return btf_resolve(btf, item.type, id);
}

// First byte and number of bytes to load for a bit-field: naturally aligned, as wide as its type and wider if
// it has to.
static bool bitfield_bytes(uint64_t bit_off, uint32_t bits, uint32_t size, uint64_t *byte_off,
                           uint32_t *byte_size)
{
    if (size == 0) {
        return false;
    }
    for (; size <= 8; size *= 2) {
        *byte_off = bit_off / 8 / size * size;
        *byte_size = size;
        if (bit_off + bits <= (*byte_off + size) * 8) {
            return true;
        }
    }
    return false;
}

static bool is_signed(const struct btf *btf, const struct btf_type *type)
{
    return core_is_enum(type->kind)
               ? type->flag
               : type->kind == BTF_INT && (btf_item(btf, type, 0).off & BTF_INT_SIGNED) != 0;
}

static bool field_number(const struct btf *btf, const struct core_path *path, uint32_t kind,
                         struct number *out)
{
    uint32_t id, bits, size = 0;
    uint64_t byte_off = path->bit_off / 8;
    if (path->count == 0 || !part_type(btf, path, &id, &bits)) {
        return false;
    }
    struct btf_type type = btf_type(btf, id);
    if (kind == CORE_FIELD_OFFSET && bits == 0) { // even of types without a size
        out->value = byte_off;
        out->size = btf_size(btf, id, &size) ? size : 0;
        out->may_resize = type.kind == BTF_PTR || (type.kind == BTF_INT && !is_signed(btf, &type));
        return true;
    }
    bool is_scalar = type.kind == BTF_INT || core_is_enum(type.kind);
    bool has_size = btf_size(btf, id, &size);
    if (!has_size || (bits != 0 && !bitfield_bytes(path->bit_off, bits, size, &byte_off, &size))) {
        return false;
    }
    bits = bits != 0 ? bits : size * 8;
    switch (kind) {
    case CORE_FIELD_OFFSET: out->value = byte_off; return true;
    case CORE_FIELD_SIZE: out->value = size; return true;
    case CORE_FIELD_SIGNED: out->value = is_signed(btf, &type); return is_scalar || type.kind == BTF_PTR;
    case CORE_FIELD_LSHIFT: out->value = 64 - (path->bit_off + bits - byte_off * 8); return size <= 8;
    case CORE_FIELD_RSHIFT: out->value = 64 - bits; return size <= 8;
    default: return false;
    }
}

static bool path_number(const struct btf *btf, const struct core_path *path, uint32_t kind,
                        struct number *out)
{
    uint32_t size = 0;
    struct btf_type type = btf_type(btf, path->count != 0 ? path->steps[path->count - 1].type : 0);
    switch (kind) {
    case CORE_FIELD_EXISTS:
    case CORE_TYPE_EXISTS:
    case CORE_ENUM_EXISTS:
    case CORE_TYPE_MATCHES: out->value = 1; return true;
    case CORE_TYPE_ID_LOCAL:
    case CORE_TYPE_ID_TARGET: out->value = path->root; return true;
    case CORE_TYPE_SIZE: out->value = btf_size(btf, path->root, &size) ? size : 0; return size != 0;
    case CORE_ENUM_VALUE: {
        struct btf_item item = btf_item(btf, &type, path->steps[path->count - 1].index);
        out->value = (uint64_t)item.size << 32 | item.off;
        return true;
    }
    default: return field_number(btf, path, kind, out);
    }
}

// --- candidates ----------------------------------------------------------------------------------

// The type behind qualifiers: typedefs have names of their own, by which they are looked up.
static uint32_t named_type(const struct btf *btf, uint32_t id)
{
    for (int step = 0; step < BTF_MAX_CHAIN; step++) {
        struct btf_type type = btf_type(btf, id);
        if (type.kind != BTF_CONST && type.kind != BTF_VOLATILE && type.kind != BTF_RESTRICT &&
            type.kind != BTF_TYPE_TAG) {
            break;
        }
        id = type.value;
    }
    return id;
}

static uint64_t plain_key(const char *name)
{
    return elf_bytes_key(name, min_u32(btf_name_length(name), ELF_MAX_NAME));
}

static bool is_candidate_kind(uint32_t local, uint32_t target)
{
    return local == target || (core_is_enum(local) && core_is_enum(target));
}

enum outcome { FOUND, MISSING, AMBIGUOUS, TOO_MUCH };

// The number that all candidates which have the part agree on.
static enum outcome ask_target(struct elf_loader *l, const struct core_path *local, uint32_t root,
                               uint32_t kind, struct number *out)
{
    struct elf_target *t = l->target;
    struct btf_type type = btf_type(&l->btf, root);
    const char *name = btf_string(&l->btf, type.name_off);
    uint64_t key = plain_key(name);
    uint32_t from = elf_pairs_from(&t->names, key), found = 0;
    for (uint32_t i = from; i < t->names.count && t->names.items[i].key == key; i++) {
        uint32_t id = t->names.items[i].value;
        struct btf_type candidate = btf_type(&t->btf, id);
        struct core_path path;
        struct number number = {0};
        if (i - from == MAX_CANDIDATES || t->work.left == 0) {
            return TOO_MUCH;
        }
        t->work.left--;
        if (!is_candidate_kind(type.kind, candidate.kind) ||
            !core_same_name(btf_string(&t->btf, candidate.name_off), name) ||
            !core_target_path(&l->btf, local, kind, &t->btf, id, &t->work, &path) ||
            !path_number(&t->btf, &path, kind, &number)) {
            continue;
        }
        if (found++ != 0 && (number.value != out->value || number.size != out->size)) {
            return AMBIGUOUS;
        }
        *out = number;
    }
    return t->work.left == 0 ? TOO_MUCH : found != 0 ? FOUND : MISSING;
}

// --- instructions --------------------------------------------------------------------------------

// Width of a load or store in bytes; 0 for other instructions.
static uint32_t access_size(const struct insn *in)
{
    const struct insn_info *info = insn_info(in->id);
    bool is_access = info->form == FORM_LOAD || info->form == FORM_STORE_IMM || info->form == FORM_STORE_REG;
    return is_access ? info->width / 8u : 0;
}

// The same instruction with another width; INSN_NONE if there is none.
static uint16_t resized(const struct insn *in, uint32_t size)
{
    const struct insn_info *info = insn_info(in->id);
    for (uint16_t id = 1; id < INSN_ID_COUNT; id++) {
        const struct insn_info *other = insn_info(id);
        if (other->form == info->form && other->sem == info->sem && other->width == size * 8) {
            return id;
        }
    }
    return INSN_NONE;
}

static bool patch_access(struct insn *in, const struct number *local, const struct number *number)
{
    if (number->value > INT16_MAX || (uint64_t)(uint16_t)in->off != (local->value & 0xffff)) {
        return false;
    }
    if (local->size != number->size &&
        local->size == access_size(in)) { // the access is of the field as a whole
        uint16_t id = local->may_resize && number->may_resize ? resized(in, number->size) : INSN_NONE;
        if (id == INSN_NONE) {
            return false;
        }
        in->id = id;
    }
    in->off = (int16_t)number->value;
    return true;
}

static bool patch(struct insn *in, const struct number *local, const struct number *number)
{
    uint8_t form = insn_info(in->id)->form;
    if (access_size(in) != 0) {
        return patch_access(in, local, number);
    }
    if (in->id == INSN_LDDW) {
        in->imm = (int64_t)number->value;
        return true;
    }
    bool fits = number->value <= INT32_MAX || number->value >= (uint64_t)INT32_MIN ||
                (insn_info(in->id)->width == 32 && number->value <= UINT32_MAX);
    in->imm = (int32_t)number->value;
    return form == FORM_ALU_IMM && fits;
}

// --- one relocation ------------------------------------------------------------------------------

// "struct foo.bar[2].baz" for people.
static void print_path(const struct btf *btf, uint32_t root, const struct core_path *path, char *out,
                       size_t size)
{
    struct btf_type type = btf_type(btf, root);
    const char *keyword = type.kind == BTF_STRUCT   ? "struct "
                          : type.kind == BTF_UNION  ? "union "
                          : core_is_enum(type.kind) ? "enum "
                                                    : "";
    size_t length = str_format(out, size, "%s%s", keyword, btf_string(btf, type.name_off));
    for (uint32_t i = core_is_enum(type.kind) ? 0 : 1; i < path->count && length < size; i++) {
        const struct core_step *step = &path->steps[i];
        length += step->name != NULL ? str_format(out + length, size - length, ".%s", step->name)
                                     : str_format(out + length, size - length, "[%u]", step->index);
    }
}

static ebpf_result_t give_up(struct elf_loader *l, const struct elf_core_relo *relo,
                             const struct core_path *path, const char *why)
{
    char part[128], text[256];
    print_path(&l->btf, named_type(&l->btf, relo->type), path, part, sizeof(part));
    str_format(text, sizeof(text), "the CO-RE relocation for the %s '%s' %s", kind_names[relo->kind], part,
               why);
    return elf_poison(l, &l->sections[relo->section], relo->slot, text);
}

// Whether 0 is the answer for what the target does not have.
static bool may_be_missing(uint32_t kind)
{
    return kind == CORE_FIELD_EXISTS || kind == CORE_ENUM_EXISTS ||
           (kind >= CORE_TYPE_ID_LOCAL && kind <= CORE_TYPE_SIZE) || kind == CORE_TYPE_MATCHES;
}

static ebpf_result_t apply(struct elf_loader *l, const struct elf_core_relo *relo)
{
    struct elf_section *code = &l->sections[relo->section];
    struct core_path path = {0};
    struct number local = {0}, number = {0};
    uint32_t root = named_type(&l->btf, relo->type);
    const char *access = btf_string(&l->btf, relo->access_off);
    if (relo->kind == CORE_TYPE_ID_LOCAL || code->insns[relo->slot].reserved != ELF_RAW) {
        return EBPF_SUCCESS; // right already, or poison already
    }
    if (code->insns[relo->slot].id == INSN_NONE ||
        !core_local_path(&l->btf, relo->type, access, relo->kind, &path)) {
        return elf_fail(l, code, "instruction %u: the CO-RE relocation \"%s\" of type %u is malformed",
                        relo->slot, access, relo->type);
    }
    if (!path_number(&l->btf, &path, relo->kind, &local) && core_is_field_kind(relo->kind)) {
        return give_up(l, relo, &path, "asks for what the object's own type does not have");
    }
    enum outcome outcome = ask_target(l, &path, root, relo->kind, &number);
    if (outcome == TOO_MUCH) {
        return elf_fail(l, code, "instruction %u: the CO-RE relocations take too long to resolve",
                        relo->slot);
    }
    if (outcome == AMBIGUOUS) {
        return give_up(l, relo, &path, "has several answers among the target's types");
    }
    if (outcome == MISSING && !may_be_missing(relo->kind)) {
        return give_up(l, relo, &path, "could not be resolved: the target's types have no such part");
    }
    if (!patch(&code->insns[relo->slot], &local, &number)) {
        return give_up(l, relo, &path, "does not fit the instruction");
    }
    return EBPF_SUCCESS;
}

// --- the target ----------------------------------------------------------------------------------

// Sorted keys of the names that the relocations are about.
static ebpf_result_t collect_names(struct elf_loader *l, struct elf_pairs *out)
{
    out->items = arena_array(l->scratch, l->core_count, sizeof(struct elf_pair));
    if (out->items == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t i = 0; i < l->core_count; i++) {
        uint32_t id = named_type(&l->btf, l->core_relos[i].type);
        const char *name = btf_string(&l->btf, btf_type(&l->btf, id).name_off);
        out->items[out->count++] = (struct elf_pair){plain_key(name), 0};
    }
    elf_pairs_sort(out);
    elf_pairs_unique(out);
    return EBPF_SUCCESS;
}

// Finds the target's types that have one of the names.
static ebpf_result_t index_target(struct elf_loader *l, struct elf_target *t)
{
    struct elf_pairs wanted = {0};
    TRY(collect_names(l, &wanted));
    t->names.items = arena_array(l->scratch, t->btf.count, sizeof(struct elf_pair));
    if (t->names.items == NULL) {
        return elf_no_memory(l);
    }
    for (uint32_t id = 1; id <= t->btf.count; id++) {
        struct btf_type type = btf_type(&t->btf, id);
        if (type.name_off == 0 || type.kind == BTF_FUNC || type.kind == BTF_VAR ||
            type.kind == BTF_DECL_TAG) {
            continue;
        }
        uint64_t key = plain_key(btf_string(&t->btf, type.name_off));
        if (elf_pairs_find(&wanted, key) != ELF_NO_INDEX) {
            t->names.items[t->names.count++] = (struct elf_pair){key, id};
        }
    }
    elf_pairs_sort(&t->names);
    return EBPF_SUCCESS;
}

// Offset and size of section `index`, and where its name is, by the headers at `headers` of an ELF64 file.
static bool read_place(const struct reader *file, uint64_t headers, uint32_t index, uint32_t *name,
                       uint64_t *off, uint64_t *size)
{
    struct reader r = *file;
    return reader_seek(&r, headers + 64 * (uint64_t)index) == EBPF_SUCCESS &&
           reader_u32(&r, name) == EBPF_SUCCESS && reader_skip(&r, 20) == EBPF_SUCCESS &&
           reader_u64(&r, off) == EBPF_SUCCESS && reader_u64(&r, size) == EBPF_SUCCESS;
}

// The section .BTF of a little-endian ELF64 file of any machine.
static bool find_in_elf(const struct reader *file, struct reader *out)
{
    static const char wanted[] = ".BTF";
    struct reader r = *file, names;
    uint64_t headers, off, size;
    uint16_t each, count, strings;
    uint32_t name;
    if (reader_seek(&r, 40) != EBPF_SUCCESS || reader_u64(&r, &headers) != EBPF_SUCCESS ||
        reader_seek(&r, 58) != EBPF_SUCCESS || reader_u16(&r, &each) != EBPF_SUCCESS ||
        reader_u16(&r, &count) != EBPF_SUCCESS || reader_u16(&r, &strings) != EBPF_SUCCESS || each != 64 ||
        headers > r.size || !read_place(file, headers, strings, &name, &off, &size) ||
        reader_slice(file, off, size, &names) != EBPF_SUCCESS) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *text;
        struct reader at = names;
        if (read_place(file, headers, i, &name, &off, &size) && reader_seek(&at, name) == EBPF_SUCCESS &&
            reader_view(&at, sizeof(wanted), &text) == EBPF_SUCCESS &&
            memcmp(text, wanted, sizeof(wanted)) == 0) {
            return reader_slice(file, off, size, out) == EBPF_SUCCESS;
        }
    }
    return false;
}

// The bytes of BTF that the caller gave, as they are or inside an ELF file.
static struct reader target_bytes(const struct elf_options *options)
{
    static const uint8_t magic[6] = {0x7f, 'E', 'L', 'F', 2, 1};
    struct reader file, found;
    reader_init(&file, options->target_btf, options->target_btf_size);
    bool is_elf = file.size > sizeof(magic) && memcmp(file.data, magic, sizeof(magic)) == 0;
    return is_elf && find_in_elf(&file, &found) ? found : file;
}

static ebpf_result_t open_target(struct elf_loader *l)
{
    struct reader bytes = target_bytes(l->options);
    struct btf_error error = {0};
    struct elf_target *t = arena_alloc(l->scratch, sizeof(*t));
    if (t == NULL) {
        return elf_no_memory(l);
    }
    ebpf_result_t result = btf_parse(bytes.data, bytes.size, l->scratch, &t->btf, &error);
    if (result == EBPF_NO_MEMORY) {
        return elf_no_memory(l);
    }
    if (result != EBPF_SUCCESS) {
        const char *format = "the BTF to relocate against: %s (type %u)";
        return error.type == 0 ? elf_fail(l, NULL, "the BTF to relocate against: %s", error.why)
                               : elf_fail(l, NULL, format, error.why, error.type);
    }
    t->work.left = CORE_BUDGET;
    l->target = t;
    return index_target(l, t);
}

ebpf_result_t elf_relocate_core(struct elf_loader *l)
{
    if (l->core_count == 0 || l->options->target_btf == NULL) {
        return EBPF_SUCCESS;
    }
    TRY(open_target(l));
    for (uint32_t i = 0; i < l->core_count; i++) {
        TRY(apply(l, &l->core_relos[i]));
    }
    return EBPF_SUCCESS;
}
