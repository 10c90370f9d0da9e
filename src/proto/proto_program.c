// SPDX-License-Identifier: MIT
// proto_program: the wire form of a canonical program. Invariant: encode(decode(bytes)) == bytes for every
// accepted input, so that a digest of the bytes names the program.
//
// Layout, little endian: u32 format, type, attach_type, dialect, insn_count, func_count, map_count,
// line_count, strings_size, sleepable; name, section, licence; then instructions, functions, maps, lines,
// strings.
//   name:        u8 length (below SPEC_NAME_SIZE), bytes without NUL
//   instruction: u16 id, u8 dst, u8 src, i16 off, u8 size of the immediate (0, 1, 2, 4, 8: the smallest),
//   immediate
//   function:    u32 start, end, global; name; u32 known: 1 when its contract follows: u32 returns_void, five
//   times
//                {u32 kind, size}
//   map:         u32 type, number, key_size, value_size, max_entries, flags; name; u32 inner: index + 1 of
//   the template of
//                its inner maps, 0 = none; u32 field_count, as often {u32 off, size, kind}; u32 constant: 1
//                when value_size bytes follow: what the sender says that the frozen map holds (the core
//                compares)
//   line:        u32 pc, file_off, text_off, line, column
#include "proto/proto_int.h"

#define PROGRAM_FORMAT 2u
#define INSN_MIN_SIZE  7u
#define FUNC_MIN_SIZE  17u
#define MAP_MIN_SIZE   37u
#define LINE_SIZE      20u

// --- encode --------------------------------------------------------------------------------------

static void put_name(struct writer *w, const char *name)
{
    uint8_t length = 0;
    while (length < SPEC_NAME_SIZE - 1 && name[length] != 0) {
        length++;
    }
    put_bytes(w, &length, 1);
    put_bytes(w, name, length);
}

// Bytes of the smallest two's complement form of `imm`.
static uint8_t imm_size(int64_t imm)
{
    if (imm == 0) {
        return 0;
    }
    if (imm == (int8_t)imm) {
        return 1;
    }
    if (imm == (int16_t)imm) {
        return 2;
    }
    return imm == (int32_t)imm ? 4 : 8;
}

static void put_insn(struct writer *w, const struct insn *in)
{
    uint8_t size = imm_size(in->imm);
    put_bytes(w, &in->id, sizeof(in->id));
    put_bytes(w, &in->dst, 1);
    put_bytes(w, &in->src, 1);
    put_bytes(w, &in->off, sizeof(in->off));
    put_bytes(w, &size, 1);
    put_bytes(w, &in->imm, size); // little endian: the low bytes come first
}

static void put_map(struct writer *w, const struct map_def *map)
{
    put_u32(w, map->type);
    put_u32(w, map->number);
    put_u32(w, map->key_size);
    put_u32(w, map->value_size);
    put_u32(w, map->max_entries);
    put_u32(w, map->flags);
    put_name(w, map->name);
}

static void put_facts(struct writer *w, const struct map_facts *facts, uint32_t value_size)
{
    static const struct map_facts none;
    facts = facts != NULL ? facts : &none;
    put_u32(w, facts->has_inner ? facts->inner + 1 : 0);
    put_u32(w, facts->field_count);
    for (uint32_t i = 0; i < facts->field_count && i < MAP_MAX_FIELDS; i++) {
        put_u32(w, facts->fields[i].off);
        put_u32(w, facts->fields[i].size);
        put_u32(w, facts->fields[i].kind);
    }
    put_u32(w, facts->contents != NULL);
    put_bytes(w, facts->contents, facts->contents != NULL ? value_size : 0);
}

static void put_contract(struct writer *w, const struct func_contract *contract)
{
    bool known = contract != NULL && contract->known;
    put_u32(w, known);
    if (!known) {
        return;
    }
    put_u32(w, contract->returns_void);
    for (size_t i = 0; i < ARRAY_SIZE(contract->args); i++) {
        put_u32(w, contract->args[i].kind);
        put_u32(w, contract->args[i].size);
    }
}

static void put_head(struct writer *w, const struct program *p)
{
    put_u32(w, PROGRAM_FORMAT);
    put_u32(w, p->type);
    put_u32(w, p->attach_type);
    put_u32(w, p->dialect);
    put_u32(w, p->insn_count);
    put_u32(w, p->func_count);
    put_u32(w, p->map_count);
    put_u32(w, p->line_count);
    put_u32(w, p->strings_size);
    put_u32(w, p->sleepable);
    put_name(w, p->name);
    put_name(w, p->section);
    put_name(w, p->license);
}

size_t proto_program_encode(const struct program *p, void *bytes, size_t capacity)
{
    struct writer w = {bytes, capacity, 0};
    put_head(&w, p);
    for (uint32_t i = 0; i < p->insn_count; i++) {
        put_insn(&w, &p->insns[i]);
    }
    for (uint32_t i = 0; i < p->func_count; i++) {
        put_u32(&w, p->funcs[i].start);
        put_u32(&w, p->funcs[i].end);
        put_u32(&w, p->funcs[i].global);
        put_name(&w, p->funcs[i].name);
        put_contract(&w, p->contracts != NULL ? &p->contracts[i] : NULL);
    }
    for (uint32_t i = 0; i < p->map_count; i++) {
        put_map(&w, &p->maps[i]);
        put_facts(&w, p->map_facts != NULL ? &p->map_facts[i] : NULL, p->maps[i].value_size);
    }
    for (uint32_t i = 0; i < p->line_count; i++) {
        put_bytes(&w, &p->lines[i], LINE_SIZE);
    }
    put_bytes(&w, p->strings, p->strings_size);
    return w.size;
}
_Static_assert(sizeof(struct line) == LINE_SIZE && offsetof(struct line, column) == LINE_SIZE - 4,
               "lines travel as they lie in memory");

// --- decode --------------------------------------------------------------------------------------

static ebpf_result_t get_u32s(struct reader *r, uint32_t *const *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        TRY(reader_u32(r, fields[i]));
    }
    return EBPF_SUCCESS;
}
#define GET_U32S(r, ...)                                                                                     \
    get_u32s(r, (uint32_t *const[]){__VA_ARGS__},                                                            \
             sizeof((uint32_t *const[]){__VA_ARGS__}) / sizeof(uint32_t *))

static ebpf_result_t get_name(struct reader *r, char name[SPEC_NAME_SIZE])
{
    uint8_t length = 0;
    TRY(reader_u8(r, &length));
    if (length >= SPEC_NAME_SIZE) {
        return EBPF_INVALID_ARGUMENT;
    }
    memset(name, 0, SPEC_NAME_SIZE);
    TRY(reader_bytes(r, name, length));
    return str_len(name) == length ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

static ebpf_result_t get_imm(struct reader *r, int64_t *out)
{
    uint8_t size = 0;
    uint64_t raw = 0;
    int64_t imm = 0;
    TRY(reader_u8(r, &size));
    if (size > sizeof(raw)) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(reader_bytes(r, &raw, size));
    switch (size) {
    case 0: imm = 0; break;
    case 1: imm = (int8_t)raw; break;
    case 2: imm = (int16_t)raw; break;
    case 4: imm = (int32_t)raw; break;
    default: imm = (int64_t)raw; break;
    }
    *out = imm;
    return imm_size(imm) == size ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT; // one number, one encoding
}

static ebpf_result_t get_insn(struct reader *r, struct insn *in)
{
    uint16_t off = 0;
    TRY(reader_u16(r, &in->id));
    TRY(reader_u8(r, &in->dst));
    TRY(reader_u8(r, &in->src));
    TRY(reader_u16(r, &off));
    in->off = (int16_t)off;
    return get_imm(r, &in->imm);
}

static ebpf_result_t get_func(struct reader *r, struct func *f)
{
    TRY(GET_U32S(r, &f->start, &f->end, &f->global));
    return get_name(r, f->name);
}

static ebpf_result_t get_map(struct reader *r, struct map_def *m)
{
    TRY(GET_U32S(r, &m->type, &m->number, &m->key_size, &m->value_size, &m->max_entries, &m->flags));
    return get_name(r, m->name);
}

static ebpf_result_t get_bool(struct reader *r, bool *out)
{
    uint32_t value = 0;
    TRY(reader_u32(r, &value));
    *out = value != 0;
    return value <= 1 ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

static ebpf_result_t get_facts(struct reader *r, struct arena *a, uint32_t value_size, struct map_facts *f)
{
    bool constant;
    const uint8_t *contents;
    TRY(GET_U32S(r, &f->inner, &f->field_count));
    f->has_inner = f->inner != 0;
    f->inner -= f->has_inner;
    if (f->field_count > MAP_MAX_FIELDS) {
        return EBPF_INVALID_ARGUMENT;
    }
    for (uint32_t i = 0; i < f->field_count; i++) {
        TRY(GET_U32S(r, &f->fields[i].off, &f->fields[i].size, &f->fields[i].kind));
    }
    TRY(get_bool(r, &constant));
    if (constant) {
        TRY(reader_view(r, value_size, &contents));
        f->contents = arena_copy(a, contents, value_size);
        return f->contents != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t get_contract(struct reader *r, struct func_contract *c)
{
    TRY(get_bool(r, &c->known));
    if (!c->known) {
        return EBPF_SUCCESS;
    }
    TRY(get_bool(r, &c->returns_void));
    for (size_t i = 0; i < ARRAY_SIZE(c->args); i++) {
        TRY(GET_U32S(r, &c->args[i].kind, &c->args[i].size));
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t get_line(struct reader *r, struct line *l)
{
    return GET_U32S(r, &l->pc, &l->file_off, &l->text_off, &l->line, &l->column);
}

static ebpf_result_t get_head(struct reader *r, struct program *p)
{
    uint32_t format = 0;
    TRY(reader_u32(r, &format));
    if (format != PROGRAM_FORMAT) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    TRY(GET_U32S(r, &p->type, &p->attach_type, &p->dialect));
    TRY(GET_U32S(r, &p->insn_count, &p->func_count, &p->map_count, &p->line_count, &p->strings_size));
    TRY(get_bool(r, &p->sleepable));
    if (p->insn_count > INSN_MAX_SLOTS) {
        return EBPF_PROGRAM_TOO_LARGE;
    }
    if (p->map_count > SPEC_MAX_MAPS) {
        return EBPF_INVALID_ARGUMENT;
    }
    TRY(get_name(r, p->name));
    TRY(get_name(r, p->section));
    return get_name(r, p->license);
}

// Room for `count` entries, each of which takes at least `least` of the bytes that are left.
static ebpf_result_t make_array(struct reader *r, struct arena *a, uint32_t count, size_t least, size_t size,
                                void *out)
{
    void *array;
    if (count > reader_left(r) / least) {
        return EBPF_INVALID_ARGUMENT;
    }
    array = arena_array(a, count, size);
    if (array == NULL) {
        return EBPF_NO_MEMORY;
    }
    memcpy(out, &array, sizeof(array));
    return EBPF_SUCCESS;
}

static ebpf_result_t get_code(struct reader *r, struct arena *a, struct program *p)
{
    struct insn *insns = NULL;
    struct func *funcs = NULL;
    struct func_contract *contracts = NULL;
    TRY(make_array(r, a, p->insn_count, INSN_MIN_SIZE, sizeof(*insns), &insns));
    for (uint32_t i = 0; i < p->insn_count; i++) {
        TRY(get_insn(r, &insns[i]));
    }
    TRY(make_array(r, a, p->func_count, FUNC_MIN_SIZE, sizeof(*funcs), &funcs));
    TRY(make_array(r, a, p->func_count, FUNC_MIN_SIZE, sizeof(*contracts), &contracts));
    for (uint32_t i = 0; i < p->func_count; i++) {
        TRY(get_func(r, &funcs[i]));
        TRY(get_contract(r, &contracts[i]));
    }
    p->insns = insns;
    p->funcs = funcs;
    p->contracts = contracts;
    return EBPF_SUCCESS;
}

static ebpf_result_t get_data(struct reader *r, struct arena *a, struct program *p)
{
    struct map_def *maps = NULL;
    struct map_facts *facts = NULL;
    struct line *lines = NULL;
    char *strings = NULL;
    TRY(make_array(r, a, p->map_count, MAP_MIN_SIZE, sizeof(*maps), &maps));
    TRY(make_array(r, a, p->map_count, MAP_MIN_SIZE, sizeof(*facts), &facts));
    for (uint32_t i = 0; i < p->map_count; i++) {
        TRY(get_map(r, &maps[i]));
        TRY(get_facts(r, a, maps[i].value_size, &facts[i]));
    }
    TRY(make_array(r, a, p->line_count, LINE_SIZE, sizeof(*lines), &lines));
    for (uint32_t i = 0; i < p->line_count; i++) {
        TRY(get_line(r, &lines[i]));
    }
    TRY(make_array(r, a, p->strings_size, 1, 1, &strings));
    TRY(reader_bytes(r, strings, p->strings_size));
    p->maps = maps;
    p->map_facts = facts;
    p->lines = lines;
    p->strings = strings;
    return EBPF_SUCCESS;
}

ebpf_result_t proto_program_decode(const void *bytes, size_t size, struct arena *a, struct program *out)
{
    struct reader r;
    struct program p;
    memset(&p, 0, sizeof(p));
    reader_init(&r, bytes, size);
    TRY(get_head(&r, &p));
    TRY(get_code(&r, a, &p));
    TRY(get_data(&r, a, &p));
    if (reader_left(&r) != 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    *out = p;
    return EBPF_SUCCESS;
}
