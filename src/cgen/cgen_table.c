// SPDX-License-Identifier: MIT
// cgen_table: the module's tables: what programs need of whoever loads them, and what they are.
#include "cgen/cgen_int.h"
#include "ebpf_native.h"
#include "proto/proto.h"

// --- which helpers and maps ----------------------------------------------------------------------

static void collect_helper(struct cgen *c, const struct program *p, const struct insn *in)
{
    const struct helper_row *row = unit_helper(c->in->spec, in);
    if (row == NULL || c->in->raw || c->helper_rows[in->imm] != 0) {
        return;
    }
    c->helper_ids[c->helper_count] = (uint32_t)in->imm;
    c->helper_numbers[c->helper_count] = row->number[p->dialect];
    c->helper_rows[in->imm] = ++c->helper_count;
}

static void collect_map(const struct cgen *c, const struct cgen_program *p, const struct insn *in)
{
    if (in->id == INSN_LDDW_MAP || in->id == INSN_LDDW_MAP_VALUE) {
        uint32_t map = p->map_of[(uint32_t)in->imm];
        bool is_array = unit_is_array(c->in->spec, &c->in->maps[map].def);
        c->map_uses[map] |= in->id == INSN_LDDW_MAP ? EBPF_NATIVE_USE_ADDRESS : 0;
        c->map_uses[map] |= is_array ? EBPF_NATIVE_USE_VALUES : 0;
    }
}

static void collect_program(struct cgen *c, const struct cgen_program *p)
{
    for (uint32_t pc = 0; pc < p->program->insn_count; pc++) {
        collect_helper(c, p->program, &p->program->insns[pc]);
        collect_map(c, p, &p->program->insns[pc]);
    }
}

ebpf_result_t table_collect(struct cgen *c)
{
    uint32_t helpers = c->in->spec->helper_count;
    c->helper_rows = arena_array(c->arena, helpers, sizeof(*c->helper_rows));
    c->helper_ids = arena_array(c->arena, helpers, sizeof(*c->helper_ids));
    c->helper_numbers = arena_array(c->arena, helpers, sizeof(*c->helper_numbers));
    c->map_uses = arena_array(c->arena, c->in->map_count + 1, sizeof(*c->map_uses));
    c->digests = arena_array(c->arena, c->in->program_count + 1, sizeof(*c->digests));
    if (c->helper_rows == NULL || c->helper_ids == NULL || c->helper_numbers == NULL || c->map_uses == NULL ||
        c->digests == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < c->in->program_count; i++) {
        collect_program(c, &c->in->programs[i]);
    }
    return EBPF_SUCCESS;
}

// --- before the programs -------------------------------------------------------------------------

static uint32_t at_least_one(uint32_t count)
{
    return count != 0 ? count : 1;
}

void table_declare(const struct cgen *c)
{
    text_put(c, "// Made from ");
    text_comment(c, c->in->name);
    text_put(c, " by ");
    text_comment(c, c->in->version);
    text_put(c, "\n#define EBPF_NATIVE_MODULE\n#include <ebpf_native.h>\n");
    text_put(c, c->in->driver ? "#include <ebpf_native_driver.h>\n\n" : "\n");
    text_put(c, "// Filled in by whoever loads the module, before the first run.\n");
    text_write(c, "static struct ebpf_native_map_binding map_bindings[%u];\n",
               at_least_one(c->in->map_count));
    text_write(c, "static ebpf_native_helper_fn helper_bindings[%u];\n", at_least_one(c->helper_count));
    text_put(c, "static struct ebpf_native_imports imports = {.size = sizeof(imports)};\n\n");
}

// --- behind each program -------------------------------------------------------------------------

static void put_u32_list(const struct unit *u, const char *what, const uint32_t *list, uint32_t count)
{
    text_write(u->c, "static const uint32_t p%u_%s[%u] = {", (unsigned)u->index, what, at_least_one(count));
    for (uint32_t i = 0; i < count; i++) {
        text_write(u->c, i == 0 ? "%u" : ", %u", (unsigned)list[i]);
    }
    text_put(u->c, count == 0 ? "0};\n" : "};\n");
}

// Rows of the helpers that the program calls, each once.
static uint32_t *called_helpers(const struct unit *u, uint32_t *count)
{
    uint32_t *list = arena_array(u->c->arena, u->c->helper_count + 1, sizeof(*list));
    uint8_t *seen = arena_alloc(u->c->arena, u->c->helper_count + 1);
    *count = 0;
    for (uint32_t pc = 0; list != NULL && seen != NULL && pc < u->p->insn_count && !u->c->in->raw; pc++) {
        const struct insn *in = &u->p->insns[pc];
        uint32_t row = unit_helper(u->c->in->spec, in) != NULL ? u->c->helper_rows[in->imm] : 0;
        if (row != 0 && seen[row] == 0) {
            seen[row] = 1;
            list[(*count)++] = row - 1;
        }
    }
    return seen != NULL ? list : NULL;
}

static void put_bytes(const struct unit *u, const char *what, const uint8_t *bytes, size_t size)
{
    char name[32];
    str_format(name, sizeof(name), "p%u_%s", (unsigned)u->index, what);
    text_bytes(u->c, name, bytes, size);
}

static void put_counts(const struct unit *u, uint32_t helper_count)
{
    text_write(u->c, "enum { p%u_map_count = %u, p%u_helper_count = %u, p%u_uses = %u };\n\n",
               (unsigned)u->index, (unsigned)u->p->map_count, (unsigned)u->index, (unsigned)helper_count,
               (unsigned)u->index, (unsigned)u->uses);
}

ebpf_result_t table_program(struct unit *u)
{
    uint8_t none[1];
    uint32_t helper_count;
    size_t size = proto_program_encode(u->p, none, 0);
    uint8_t *bytes = arena_alloc(u->c->arena, size);
    uint32_t *helpers = called_helpers(u, &helper_count);
    if (bytes == NULL || helpers == NULL) {
        return EBPF_NO_MEMORY;
    }
    (void)proto_program_encode(u->p, bytes, size);
    TRY(proto_program_digest(u->c->in->spec, u->p, bytes, size, &u->source->evidence, u->c->in->hasher,
                             u->c->arena, u->c->digests[u->index]));
    put_bytes(u, "canonical", bytes, size);
    put_bytes(u, "evidence", u->source->evidence.bytes, u->source->evidence.size);
    put_u32_list(u, "maps", u->source->map_of, u->p->map_count);
    put_u32_list(u, "helpers", helpers, helper_count);
    put_counts(u, helper_count);
    return EBPF_SUCCESS;
}

// --- the module ----------------------------------------------------------------------------------

static void put_member(const struct cgen *c, const char *name, const char *text)
{
    text_write(c, "     .%s = ", name);
    text_string(c, text);
    text_put(c, ",\n");
}

static void put_helpers(const struct cgen *c)
{
    text_write(c, "static const struct ebpf_native_helper helpers[%u] = {\n", at_least_one(c->helper_count));
    for (uint32_t i = 0; i < c->helper_count; i++) {
        text_put(c, "    {");
        text_string(c, c->in->spec->helpers[c->helper_ids[i]].name);
        text_write(c, ", %u, %u},\n", (unsigned)c->helper_numbers[i], (unsigned)c->helper_ids[i]);
    }
    text_put(c, c->helper_count == 0 ? "    {0},\n};\n\n" : "};\n\n");
}

static void put_map(const struct cgen *c, uint32_t index)
{
    const struct cgen_map *map = &c->in->maps[index];
    const struct map_def *def = &map->def;
    bool in_line = (c->map_uses[index] & EBPF_NATIVE_USE_VALUES) != 0;
    text_put(c, "    {\n");
    put_member(c, "name", def->name);
    put_member(c, "type",
               def->type < c->in->spec->map_type_count ? c->in->spec->map_types[def->type].name : "");
    if (map->initial != NULL) {
        text_write(c, "     .initial = map%u_initial,\n", (unsigned)index);
    }
    text_write(c, "     .key_size = %u, .value_size = %u, .max_entries = %u, .flags = 0x%xu,\n",
               (unsigned)def->key_size, (unsigned)def->value_size, (unsigned)def->max_entries,
               (unsigned)def->flags);
    text_write(c, "     .pinning = %u, .kind = %u, .inner = %u, .stride = %u, .uses = %u},\n",
               (unsigned)map->pinning, (unsigned)map->kind, (unsigned)map->inner,
               in_line ? (unsigned)unit_stride(def) : 0, (unsigned)c->map_uses[index]);
}

static void put_maps(const struct cgen *c)
{
    for (uint32_t i = 0; i < c->in->map_count; i++) {
        char name[32];
        str_format(name, sizeof(name), "map%u_initial", (unsigned)i);
        if (c->in->maps[i].initial != NULL) {
            text_bytes(c, name, c->in->maps[i].initial, c->in->maps[i].def.value_size);
        }
    }
    text_write(c, "static const struct ebpf_native_map maps[%u] = {\n", at_least_one(c->in->map_count));
    for (uint32_t i = 0; i < c->in->map_count; i++) {
        put_map(c, i);
    }
    text_put(c, c->in->map_count == 0 ? "    {0},\n};\n\n" : "};\n\n");
}

static void put_digest(const struct cgen *c, uint32_t index)
{
    text_put(c, "     .digest = {");
    for (unsigned i = 0; i < PROTO_DIGEST_SIZE; i++) {
        text_write(c, i == 0 ? "%u" : ", %u", (unsigned)c->digests[index][i]);
    }
    text_put(c, "},\n");
}

static void put_program(const struct cgen *c, uint32_t index)
{
    const struct program *p = c->in->programs[index].program;
    unsigned i = index;
    text_put(c, "    {\n");
    put_member(c, "name", p->name);
    put_member(c, "section", p->section);
    put_member(c, "type", c->in->spec->prog_types[p->type].name);
    if (p->attach_type != ATTACH_TYPE_NONE) {
        put_member(c, "attach_type", c->in->spec->attach_types[p->attach_type].name);
    }
    text_write(c, "     .entry = p%u_", i);
    text_name(c, p->name);
    text_write(c, ",\n     .canonical = p%u_canonical, .canonical_size = sizeof(p%u_canonical),\n", i, i);
    text_write(c, "     .evidence = p%u_evidence, .evidence_size = %zu,\n", i,
               c->in->programs[index].evidence.size);
    put_digest(c, index);
    text_write(c, "     .maps = p%u_maps, .map_count = p%u_map_count,\n", i, i);
    text_write(c, "     .helpers = p%u_helpers, .helper_count = p%u_helper_count,\n", i, i);
    text_write(c, "     .insn_count = %u, .uses = p%u_uses},\n", (unsigned)p->insn_count, i);
}

static void put_programs(const struct cgen *c)
{
    text_write(c, "static const struct ebpf_native_program programs[%u] = {\n",
               at_least_one(c->in->program_count));
    for (uint32_t i = 0; i < c->in->program_count; i++) {
        put_program(c, i);
    }
    text_put(c, c->in->program_count == 0 ? "    {0},\n};\n\n" : "};\n\n");
}

static const char sizes[] = "    .size = sizeof(ebpf_native_module),\n"
                            "    .magic = EBPF_NATIVE_MAGIC,\n"
                            "    .version = EBPF_NATIVE_VERSION,\n"
                            "    .program_size = sizeof(struct ebpf_native_program),\n"
                            "    .map_size = sizeof(struct ebpf_native_map),\n"
                            "    .helper_size = sizeof(struct ebpf_native_helper),\n"
                            "    .binding_size = sizeof(struct ebpf_native_map_binding),\n";
static const char tables[] = "    .programs = programs,\n"
                             "    .maps = maps,\n"
                             "    .helpers = helpers,\n"
                             "    .map_bindings = map_bindings,\n"
                             "    .helper_bindings = helper_bindings,\n"
                             "    .imports = &imports,\n";

// Found by its section, in the image as a file: neither symbols nor relocations are needed.
void table_object(const struct cgen *c)
{
    unsigned long long size = c->in->object_size;
    if (c->in->object != NULL) {
        text_put(c, "// The object file, byte for byte.\n");
        text_write(c, "EBPF_NATIVE_OBJECT(%llu) object = {EBPF_NATIVE_OBJECT_MAGIC, %lluu,\n", size, size);
        text_literal(c, c->in->object, c->in->object_size);
        text_put(c, "\n};\n\n");
    }
}

static void put_object_members(const struct cgen *c)
{
    if (c->in->object != NULL && c->in->btf_size != 0) {
        text_write(c, "    .btf = object.bytes + %u,\n    .btf_size = %u,\n", (unsigned)c->in->btf_off,
                   (unsigned)c->in->btf_size);
    }
    if (c->in->object_digest != NULL) {
        text_put(c, "    .object_digest = object_digest,\n");
    }
}

void table_module(const struct cgen *c)
{
    put_helpers(c);
    put_maps(c);
    put_programs(c);
    if (c->in->object_digest != NULL) {
        text_bytes(c, "object_digest", c->in->object_digest, PROTO_DIGEST_SIZE);
    }
    text_put(c, "EBPF_NATIVE_EXPORT extern const struct ebpf_native_module ebpf_native_module;\n");
    text_put(c, "const struct ebpf_native_module ebpf_native_module = {\n");
    text_put(c, sizes);
    text_write(c, "    .program_count = %u,\n    .map_count = %u,\n    .helper_count = %u,\n",
               (unsigned)c->in->program_count, (unsigned)c->in->map_count, (unsigned)c->helper_count);
    text_put(c, "    .name = ");
    text_string(c, c->in->name);
    text_put(c, ",\n    .generator = ");
    text_string(c, c->in->version);
    text_put(c, ",\n");
    text_put(c, tables);
    put_object_members(c);
    text_put(c, "};\n");
}
