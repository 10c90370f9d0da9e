// SPDX-License-Identifier: MIT
// btf: parsing in two linear passes (where each type starts; whether its ids and names are in range), then
// reading.
#include "elf/btf.h"

#define BTF_HEADER_SIZE 24u
#define BTF_TYPE_SIZE   12u

// What follows the common 12 bytes of a kind: `fixed` bytes, then vlen times `each` bytes. Words of an item
// that hold a name or a type id, -1 = none.
struct kind_row {
    uint8_t fixed, each;
    bool refers; // `value` is a type id
    int8_t item_name, item_type;
};

static const struct kind_row kinds[BTF_KIND_COUNT] = {
    [BTF_INT] = {4, 0, false, -1, -1},     [BTF_PTR] = {0, 0, true, -1, -1},
    [BTF_ARRAY] = {12, 0, false, -1, -1}, // its two ids are checked apart
    [BTF_STRUCT] = {0, 12, false, 0, 1},   [BTF_UNION] = {0, 12, false, 0, 1},
    [BTF_ENUM] = {0, 8, false, 0, -1},     [BTF_FWD] = {0, 0, false, -1, -1},
    [BTF_TYPEDEF] = {0, 0, true, -1, -1},  [BTF_VOLATILE] = {0, 0, true, -1, -1},
    [BTF_CONST] = {0, 0, true, -1, -1},    [BTF_RESTRICT] = {0, 0, true, -1, -1},
    [BTF_FUNC] = {0, 0, true, -1, -1},     [BTF_FUNC_PROTO] = {0, 8, true, 0, 1},
    [BTF_VAR] = {4, 0, true, -1, -1},      [BTF_DATASEC] = {0, 12, false, -1, 0},
    [BTF_FLOAT] = {0, 0, false, -1, -1},   [BTF_DECL_TAG] = {4, 0, true, -1, -1},
    [BTF_TYPE_TAG] = {0, 0, true, -1, -1}, [BTF_ENUM64] = {0, 12, false, 0, -1},
};

struct header {
    uint32_t size, type_off, type_size, string_off, string_size;
};

static ebpf_result_t malformed(struct btf_error *error, uint32_t type, const char *why)
{
    error->why = why;
    error->type = type;
    return EBPF_INVALID_OBJECT;
}

// Word at `off`, which parsing has found to be inside; 0 otherwise.
static uint32_t word(const struct btf *btf, uint32_t off)
{
    struct reader r = btf->bytes;
    uint32_t value = 0;
    if (reader_seek(&r, off) != EBPF_SUCCESS || reader_u32(&r, &value) != EBPF_SUCCESS) {
        return 0;
    }
    return value;
}

static ebpf_result_t read_header(struct reader *r, struct header *out, struct btf_error *error)
{
    uint16_t magic;
    uint8_t version, flags;
    if (reader_u16(r, &magic) != EBPF_SUCCESS || reader_u8(r, &version) != EBPF_SUCCESS ||
        reader_u8(r, &flags) != EBPF_SUCCESS || reader_u32(r, &out->size) != EBPF_SUCCESS ||
        reader_u32(r, &out->type_off) != EBPF_SUCCESS || reader_u32(r, &out->type_size) != EBPF_SUCCESS ||
        reader_u32(r, &out->string_off) != EBPF_SUCCESS || reader_u32(r, &out->string_size) != EBPF_SUCCESS) {
        return malformed(error, 0, "the section ends inside the BTF header");
    }
    if (magic != BTF_MAGIC) {
        return malformed(error, 0, "the BTF magic number is wrong");
    }
    if (version != 1) {
        return malformed(error, 0, "this version of BTF is not known");
    }
    if (out->size < BTF_HEADER_SIZE || out->size > r->size || out->size % 4 != 0) {
        return malformed(error, 0, "the length of the BTF header is out of range");
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t find_strings(struct btf *btf, const struct header *h, struct btf_error *error)
{
    struct reader part;
    const uint8_t *bytes;
    if (reader_slice(&btf->bytes, (uint64_t)h->size + h->string_off, h->string_size, &part) != EBPF_SUCCESS ||
        reader_view(&part, h->string_size, &bytes) != EBPF_SUCCESS) {
        return malformed(error, 0, "the BTF strings lie outside the section");
    }
    if (h->string_size == 0 || bytes[0] != '\0' || bytes[h->string_size - 1] != '\0') {
        return malformed(error, 0, "the BTF strings do not start and end with NUL");
    }
    btf->strings = (const char *)bytes;
    btf->strings_size = h->string_size;
    return EBPF_SUCCESS;
}

// Reads the common part of a type at `off`; its kind is not checked.
static struct btf_type read_type(const struct btf *btf, uint32_t off)
{
    uint32_t info = word(btf, off + 4);
    struct btf_type type = {
        .kind = info >> 24 & 31,
        .name_off = word(btf, off),
        .vlen = info & 0xffff,
        .flag = info >> 31 != 0,
        .value = word(btf, off + 8),
        .items = off + BTF_TYPE_SIZE,
    };
    return type;
}

// First pass: finds where each type starts.
static ebpf_result_t find_types(struct btf *btf, const struct header *h, struct btf_error *error)
{
    uint64_t start = (uint64_t)h->size + h->type_off, end = start + h->type_size;
    if (end > btf->raw_size || start % 4 != 0) {
        return malformed(error, 0, "the BTF types lie outside the section");
    }
    uint64_t strings = (uint64_t)h->size + h->string_off;
    if (start < strings + h->string_size && strings < end) { // btf_patch must not reach a string
        return malformed(error, 0, "the BTF types and strings overlap");
    }
    for (uint64_t off = start; off < end;) {
        uint32_t id = btf->count + 1;
        if (end - off < BTF_TYPE_SIZE) {
            return malformed(error, id, "the BTF types end inside a type");
        }
        struct btf_type type = read_type(btf, (uint32_t)off);
        if (type.kind == BTF_VOID || type.kind >= BTF_KIND_COUNT) {
            return malformed(error, id, "a BTF type has an unknown kind");
        }
        const struct kind_row *row = &kinds[type.kind];
        uint64_t size = BTF_TYPE_SIZE + row->fixed + (uint64_t)type.vlen * row->each;
        if (size > end - off) {
            return malformed(error, id, "the BTF types end inside a type");
        }
        btf->type_offs[id] = (uint32_t)off;
        btf->count = id;
        off += size;
    }
    return EBPF_SUCCESS;
}

static bool names_and_ids_hold(const struct btf *btf, const struct btf_type *type)
{
    const struct kind_row *row = &kinds[type->kind];
    bool ok = type->name_off < btf->strings_size && (!row->refers || type->value <= btf->count);
    if (type->kind == BTF_ARRAY) {
        ok = ok && word(btf, type->items) <= btf->count && word(btf, type->items + 4) <= btf->count;
    }
    for (uint32_t i = 0; ok && row->each != 0 && i < type->vlen; i++) {
        uint32_t off = type->items + i * row->each;
        ok = (row->item_name < 0 || word(btf, off + 4u * (uint32_t)row->item_name) < btf->strings_size) &&
             (row->item_type < 0 || word(btf, off + 4u * (uint32_t)row->item_type) <= btf->count);
    }
    return ok;
}

ebpf_result_t btf_parse(const uint8_t *bytes, size_t size, struct arena *arena, struct btf *out,
                        struct btf_error *error)
{
    struct btf btf = {0};
    struct header h;
    struct reader r;
    if (size > UINT32_MAX / 2) {
        return malformed(error, 0, "the section is too large");
    }
    reader_init(&r, bytes, size);
    TRY(read_header(&r, &h, error));
    btf.raw = arena_copy(arena, bytes, size);
    btf.raw_size = (uint32_t)size;
    btf.type_offs =
        arena_array(arena, (size_t)min_u64(h.type_size, size) / BTF_TYPE_SIZE + 2, sizeof(uint32_t));
    if (btf.raw == NULL || btf.type_offs == NULL) {
        return EBPF_NO_MEMORY;
    }
    reader_init(&btf.bytes, btf.raw, size);
    TRY(find_strings(&btf, &h, error));
    TRY(find_types(&btf, &h, error));
    for (uint32_t id = 1; id <= btf.count; id++) {
        struct btf_type type = read_type(&btf, btf.type_offs[id]);
        if (!names_and_ids_hold(&btf, &type)) {
            return malformed(error, id, "a BTF type names a type or string that does not exist");
        }
    }
    *out = btf;
    return EBPF_SUCCESS;
}

struct btf_type btf_type(const struct btf *btf, uint32_t id)
{
    struct btf_type none = {0};
    return id == 0 || id > btf->count ? none : read_type(btf, btf->type_offs[id]);
}

const char *btf_string(const struct btf *btf, uint32_t off)
{
    return off < btf->strings_size ? btf->strings + off : "";
}

uint32_t btf_item_off(const struct btf_type *type, uint32_t index)
{
    return type->items + kinds[type->kind].fixed + index * kinds[type->kind].each;
}

struct btf_item btf_item(const struct btf *btf, const struct btf_type *type, uint32_t index)
{
    struct btf_item item = {0};
    uint32_t off = btf_item_off(type, index);
    switch (type->kind) {
    case BTF_STRUCT:
    case BTF_UNION:
        item.off = word(btf, off + 8);
        item.name_off = word(btf, off);
        item.type = word(btf, off + 4);
        break;
    case BTF_FUNC_PROTO:
        item.name_off = word(btf, off);
        item.type = word(btf, off + 4);
        break;
    case BTF_DATASEC:
        item.type = word(btf, off);
        item.off = word(btf, off + 4);
        item.size = word(btf, off + 8);
        break;
    case BTF_ARRAY:
        item.type = word(btf, type->items);
        item.size = word(btf, type->items + 8);
        break;
    case BTF_ENUM:
        item.name_off = word(btf, off);
        item.off = word(btf, off + 4);
        item.size = type->flag && item.off >> 31 != 0 ? UINT32_MAX : 0;
        break;
    case BTF_ENUM64:
        item.name_off = word(btf, off);
        item.off = word(btf, off + 4);
        item.size = word(btf, off + 8);
        break;
    case BTF_INT:
    case BTF_VAR:
    case BTF_DECL_TAG: item.off = word(btf, type->items); break;
    default: break;
    }
    return item;
}

static bool is_modifier(uint32_t kind)
{
    return kind == BTF_TYPEDEF || kind == BTF_VOLATILE || kind == BTF_CONST || kind == BTF_RESTRICT ||
           kind == BTF_TYPE_TAG;
}

bool btf_resolve(const struct btf *btf, uint32_t id, uint32_t *out)
{
    for (int step = 0; step <= BTF_MAX_CHAIN; step++) {
        struct btf_type type = btf_type(btf, id);
        if (!is_modifier(type.kind)) {
            *out = id;
            return true;
        }
        id = type.value;
    }
    return false;
}

static bool has_size(uint32_t kind)
{
    return kind == BTF_INT || kind == BTF_STRUCT || kind == BTF_UNION || kind == BTF_ENUM ||
           kind == BTF_FLOAT || kind == BTF_ENUM64 || kind == BTF_DATASEC;
}

bool btf_size(const struct btf *btf, uint32_t id, uint32_t *out)
{
    uint64_t elements = 1;
    for (int step = 0; step <= BTF_MAX_CHAIN; step++) {
        uint32_t resolved;
        if (!btf_resolve(btf, id, &resolved)) {
            return false;
        }
        struct btf_type type = btf_type(btf, resolved);
        if (type.kind == BTF_ARRAY) {
            struct btf_item array = btf_item(btf, &type, 0);
            elements *= array.size;
            id = array.type;
        } else if (has_size(type.kind) || type.kind == BTF_PTR) {
            elements *= type.kind == BTF_PTR ? 8 : type.value;
            *out = (uint32_t)elements;
            return elements <= UINT32_MAX;
        } else {
            return false;
        }
        if (elements > UINT32_MAX) {
            return false;
        }
    }
    return false;
}

uint32_t btf_name_length(const char *name)
{
    uint32_t length = 0;
    while (name[length] != '\0') {
        if (length != 0 && name[length] == '_' && name[length + 1] == '_' && name[length + 2] == '_' &&
            name[length + 3] != '_' && name[length + 3] != '\0' && name[length - 1] != '_') {
            return length;
        }
        length++;
    }
    return length;
}

void btf_patch(struct btf *btf, uint32_t off, uint32_t value)
{
    if (off > btf->raw_size || btf->raw_size - off < 4) {
        return;
    }
    for (int i = 0; i < 4; i++) {
        btf->raw[off + (uint32_t)i] = (uint8_t)(value >> 8 * i);
    }
}
