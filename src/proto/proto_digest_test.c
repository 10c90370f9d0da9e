// SPDX-License-Identifier: MIT
// The digest of a program changes with everything that its code was made of, and with nothing else.
#include "proto/proto.h"
#include "tests/test.h"

#define I(name, d, s, o, i) {.id = INSN_##name, .dst = d, .src = s, .off = o, .imm = i}
enum { FIELDS = 4, HELPERS = HELPER_RUN_COUNT };

// A program with a map, a helper and a context access, and tables that a test may change.
struct scene {
    struct spec_view spec;
    struct helper_row helpers[HELPERS];
    struct layout_row layouts[LAYOUT_COUNT];
    struct field_row fields[FIELDS];
    struct insn insns[6];
    struct func func;
    struct map_def map;
    struct map_facts facts;
    uint8_t contents[8];
    struct program p;
    uint32_t evidence[6];
    size_t evidence_size;
    uint8_t stream[2048]; // what was hashed
    size_t stream_size;
    bool fails;
    const struct mem_source *memory;
};
static struct scene scene;

static bool hash(void *user, const void *bytes, size_t size, uint8_t digest[PROTO_DIGEST_SIZE])
{
    struct scene *s = user;
    const struct hash_key key = {1, 2};
    uint64_t value = hash_bytes(&key, bytes, size);
    CHECK(size <= sizeof(s->stream));
    memcpy(s->stream, bytes, size <= sizeof(s->stream) ? size : 0);
    s->stream_size = size;
    memset(digest, 0, PROTO_DIGEST_SIZE);
    memcpy(digest, &value, sizeof(value));
    return !s->fails;
}

static void set_tables(struct scene *s)
{
    const struct spec_view *builtin = spec_builtin();
    s->spec = *builtin;
    memcpy(s->helpers, builtin->helpers, sizeof(s->helpers));
    REQUIRE(builtin->layout_count <= ARRAY_SIZE(s->layouts));
    memcpy(s->layouts, builtin->layouts, builtin->layout_count * sizeof(s->layouts[0]));
    uint32_t layout = program_layout(builtin, &s->p);
    REQUIRE(builtin->layouts[layout].field_count >= FIELDS);
    memcpy(s->fields, builtin->layouts[layout].fields, sizeof(s->fields));
    s->layouts[layout].fields = s->fields;
    s->layouts[layout].field_count = FIELDS;
    s->spec.helpers = s->helpers;
    s->spec.helper_count = HELPERS;
    s->spec.layouts = s->layouts;
}

static struct scene *reset(void)
{
    static const struct insn insns[] = {
        I(LDXW, 6, 1, 12, 0),     I(LDDW_MAP, 1, 0, 0, 0), {0}, I(CALL, 0, 0, 0, HELPER_MAP_LOOKUP_ELEM),
        I(MOV64_IMM, 0, 0, 0, 1), I(EXIT, 0, 0, 0, 0),
    };
    static const uint32_t evidence[] = {EVIDENCE_MAGIC, EVIDENCE_FORMAT, ARRAY_SIZE(insns), 1, 0, 3};
    struct scene *s = &scene;
    memset(s, 0, sizeof(*s));
    s->memory = test_mem_source();
    memcpy(s->insns, insns, sizeof(insns));
    memcpy(s->evidence, evidence, sizeof(evidence));
    s->evidence_size = sizeof(evidence);
    s->func = (struct func){.start = 0, .end = ARRAY_SIZE(insns), .name = "f"};
    s->map = (struct map_def){
        .type = MAP_TYPE_ARRAY, .number = 2, .key_size = 4, .value_size = 8, .max_entries = 1, .name = "m"};
    s->facts.contents = s->contents;
    s->p = (struct program){.type = PROG_TYPE_XDP,
                            .attach_type = ATTACH_TYPE_XDP,
                            .dialect = DIALECT_LINUX,
                            .insns = s->insns,
                            .insn_count = ARRAY_SIZE(insns),
                            .funcs = &s->func,
                            .func_count = 1,
                            .maps = &s->map,
                            .map_facts = &s->facts,
                            .map_count = 1,
                            .strings = "",
                            .strings_size = 1,
                            .name = "p",
                            .section = "xdp",
                            .license = "MIT"};
    set_tables(s);
    return s;
}

static ebpf_result_t digest_of(struct scene *s, uint8_t digest[PROTO_DIGEST_SIZE])
{
    static uint8_t canonical[1024];
    const struct proto_hasher hasher = {hash, s};
    const struct evidence evidence = {(const uint8_t *)s->evidence, s->evidence_size};
    struct arena arena;
    arena_init(&arena, s->memory, 0);
    size_t size = proto_program_encode(&s->p, canonical, sizeof(canonical));
    CHECK(size <= sizeof(canonical));
    ebpf_result_t result =
        proto_program_digest(&s->spec, &s->p, canonical, size, &evidence, &hasher, &arena, digest);
    arena_fini(&arena);
    return result;
}

// --- changes -------------------------------------------------------------------------------------

struct change {
    const char *name;
    void (*make)(struct scene *s);
    bool same; // the digest stays
};

#define CHANGE(name, ...)                                                                                    \
    static void name(struct scene *s)                                                                        \
    {                                                                                                        \
        __VA_ARGS__;                                                                                         \
    }
#define LOOKUP s->helpers[HELPER_MAP_LOOKUP_ELEM]
CHANGE(nothing, UNUSED(s))
CHANGE(immediate, s->insns[4].imm = 2)
CHANGE(opcode, s->insns[4].id = INSN_MOV32_IMM)
CHANGE(offset, s->insns[0].off = 16)
CHANGE(other_helper, s->insns[3].imm = HELPER_MAP_DELETE_ELEM)
CHANGE(name_of_program, s->p.name[0] = 'q')
CHANGE(type_of_program, s->p.attach_type = ATTACH_TYPE_BIND)
CHANGE(dialect_of_program, s->p.dialect = DIALECT_WINDOWS)
CHANGE(map_type, s->map.type = MAP_TYPE_PERCPU_ARRAY)
CHANGE(map_number, s->map.number = 6)
CHANGE(map_key, s->map.key_size = 8)
CHANGE(map_value, s->map.value_size = 4)
CHANGE(map_entries, s->map.max_entries = 2)
CHANGE(map_flags, s->map.flags = MAP_FLAG_RDONLY_PROG)
CHANGE(map_name, s->map.name[0] = 'n')
CHANGE(map_contents, s->contents[7] = 1)
CHANGE(map_unknown, s->facts.contents = NULL)
CHANGE(helper_name, LOOKUP.name = "bpf_map_lookup_elen")
CHANGE(helper_result, LOOKUP.ret++)
CHANGE(helper_argument, LOOKUP.args[1]++)
CHANGE(helper_more, LOOKUP.args[4] = ARG_CTX)
CHANGE(helper_detail, LOOKUP.detail[0]++)
CHANGE(helper_flags, LOOKUP.flags ^= HELPER_GPL)
CHANGE(another_row, s->helpers[HELPER_MAP_DELETE_ELEM].args[1]++)
CHANGE(field_place, s->fields[3].native_off += 8)
CHANGE(field_size, s->fields[3].native_size += 4)
CHANGE(field_kind, s->fields[3].kind++)
CHANGE(another_field, s->fields[2].native_off += 8)
CHANGE(evidence_mark, s->evidence[5] = 2)
CHANGE(evidence_slot, s->evidence[4] = 1)
CHANGE(evidence_format, s->evidence[1]++)
CHANGE(evidence_less, s->evidence_size -= 8)

static const struct change changes[] = {
    {"nothing", nothing, true},
    {"immediate", immediate, false},
    {"opcode", opcode, false},
    {"offset", offset, false},
    {"other_helper", other_helper, false},
    {"name_of_program", name_of_program, false},
    {"type_of_program", type_of_program, false},
    {"dialect_of_program", dialect_of_program, false},
    {"map_type", map_type, false},
    {"map_number", map_number, false},
    {"map_key", map_key, false},
    {"map_value", map_value, false},
    {"map_entries", map_entries, false},
    {"map_flags", map_flags, false},
    {"map_name", map_name, false},
    {"map_contents", map_contents, false},
    {"map_unknown", map_unknown, false},
    {"helper_name", helper_name, false},
    {"helper_result", helper_result, false},
    {"helper_argument", helper_argument, false},
    {"helper_more", helper_more, false},
    {"helper_detail", helper_detail, false},
    {"helper_flags", helper_flags, false},
    {"another_row", another_row, true},
    {"field_place", field_place, false},
    {"field_size", field_size, false},
    {"field_kind", field_kind, false},
    {"another_field", another_field, true},
    {"evidence_mark", evidence_mark, false},
    {"evidence_slot", evidence_slot, false},
    {"evidence_format", evidence_format, false},
    {"evidence_less", evidence_less, false},
};

static void one_change(const void *argument)
{
    const struct change *c = argument;
    uint8_t before[PROTO_DIGEST_SIZE], after[PROTO_DIGEST_SIZE];
    CHECK_OK(digest_of(reset(), before));
    struct scene *s = reset();
    c->make(s);
    CHECK_OK(digest_of(s, after));
    CHECK_EQ(memcmp(before, after, sizeof(before)) == 0, c->same);
}

// --- the stream ----------------------------------------------------------------------------------

static uint32_t word_at(const struct scene *s, size_t at)
{
    uint32_t word = 0;
    CHECK(at + 4 <= s->stream_size);
    memcpy(&word, s->stream + at, 4);
    return word;
}

// What modules were made with must stay so: a new form needs a new version of modules.
static void the_stream_is_as_documented(void)
{
    uint8_t digest[PROTO_DIGEST_SIZE];
    struct scene *s = reset();
    const struct field_row *field = &s->fields[3];
    CHECK_OK(digest_of(s, digest));
    size_t at = word_at(s, 0) + 4; // behind the canonical form
    CHECK_EQ(word_at(s, at), sizeof(s->evidence));
    CHECK(memcmp(s->stream + at + 4, s->evidence, sizeof(s->evidence)) == 0);
    at += 4 + sizeof(s->evidence);
    CHECK_EQ(word_at(s, at), HELPER_MAP_LOOKUP_ELEM);
    CHECK_STR((const char *)s->stream + at + 4, "bpf_map_lookup_elem");
    at += 4 + sizeof("bpf_map_lookup_elem");
    CHECK_EQ(word_at(s, at), LOOKUP.ret);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQ(word_at(s, at + 4 + i * 8), LOOKUP.args[i]);
        CHECK_EQ(word_at(s, at + 8 + i * 8), LOOKUP.detail[i]);
    }
    CHECK_EQ(word_at(s, at + 44), LOOKUP.flags);
    at += 48;
    CHECK_EQ(word_at(s, at), 0);
    CHECK_EQ(word_at(s, at + 4), field->kind);
    CHECK_EQ(word_at(s, at + 8), field->native_off);
    CHECK_EQ(word_at(s, at + 12), field->native_size);
    CHECK_EQ(s->stream_size, at + 16);
}

static void odd_evidence_is_hashed_as_it_is(void)
{
    uint8_t digest[PROTO_DIGEST_SIZE];
    struct scene *s = reset();
    s->evidence[5] = UINT32_MAX; // names no field
    CHECK_OK(digest_of(s, digest));
    size_t without = s->stream_size;
    s->evidence_size = 23;
    CHECK_OK(digest_of(s, digest));
    CHECK_EQ(s->stream_size, without - 1);
    s->evidence_size = 0;
    CHECK_OK(digest_of(s, digest));
    CHECK_EQ(s->stream_size, without - 24);
    s = reset();
    s->insns[3].imm = HELPERS; // names no helper; nor does a poisoned call
    CHECK_OK(digest_of(s, digest));
    s->insns[3].imm = -1;
    CHECK_OK(digest_of(s, digest));
}

static void *no_memory(void *user, size_t size)
{
    UNUSED(user);
    UNUSED(size);
    return NULL;
}

static void failures_are_told(void)
{
    static const struct mem_source none = {.alloc = no_memory};
    uint8_t digest[PROTO_DIGEST_SIZE];
    struct scene *s = reset();
    s->fails = true;
    CHECK_EQ(digest_of(s, digest), EBPF_FAILED);
    s->fails = false;
    s->memory = &none;
    s->stream_size = 0;
    CHECK_EQ(digest_of(s, digest), EBPF_NO_MEMORY);
    CHECK_EQ(s->stream_size, 0);
}

TEST_SUITE(proto_digest)
{
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        RUN_WITH(changes[i].name, one_change, &changes[i]);
    }
    RUN(the_stream_is_as_documented);
    RUN(odd_evidence_is_hashed_as_it_is);
    RUN(failures_are_told);
}
