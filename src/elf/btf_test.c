// SPDX-License-Identifier: MIT
// BTF written word by word: sizes, chains and cycles that no compiler produces.
#include "elf/btf.h"
#include "tests/test.h"

enum { MAX_WORDS = 256 };

struct blob {
    uint32_t words[MAX_WORDS]; // header, types, then one word of strings ("\0a\0\0")
    uint32_t count;
};

static uint32_t info(uint32_t kind, uint32_t vlen)
{
    return kind << 24 | vlen;
}

static void add(struct blob *b, uint32_t word)
{
    b->words[b->count++] = word;
}

static void add_type(struct blob *b, uint32_t kind, uint32_t vlen, uint32_t value)
{
    add(b, 1); // "a"
    add(b, info(kind, vlen));
    add(b, value);
}

static void start(struct blob *b)
{
    memset(b, 0, sizeof(*b));
    b->count = 6;
}

static ebpf_result_t finish(struct blob *b, struct arena *arena, struct btf *out, struct btf_error *error)
{
    uint32_t types = (b->count - 6) * 4;
    const uint32_t header[6] = {0x0001eb9f, 24, 0, types, types, 4};
    memcpy(b->words, header, sizeof(header));
    add(b, 0x00006100);
    arena_init(arena, test_mem_source(), 0);
    return btf_parse((const uint8_t *)b->words, (size_t)b->count * 4, arena, out, error);
}

static void sizes(void)
{
    struct blob b;
    struct arena arena;
    struct btf btf;
    struct btf_error error;
    uint32_t size = 0, id = 0;
    start(&b);
    add_type(&b, BTF_INT, 0, 4); // 1
    add(&b, 32);
    add_type(&b, BTF_TYPEDEF, 0, 1); // 2
    add_type(&b, BTF_CONST, 0, 2);   // 3
    add_type(&b, BTF_ARRAY, 0, 0);   // 4: const a[3]
    add(&b, 3);
    add(&b, 1);
    add(&b, 3);
    add_type(&b, BTF_ARRAY, 0, 0); // 5: too large
    add(&b, 4);
    add(&b, 1);
    add(&b, 0x40000000);
    add_type(&b, BTF_PTR, 0, 0);        // 6: void *
    add_type(&b, BTF_FUNC_PROTO, 0, 1); // 7
    REQUIRE_OK(finish(&b, &arena, &btf, &error));
    CHECK_EQ(btf.count, 7);
    CHECK(btf_size(&btf, 3, &size) && size == 4);
    CHECK(btf_size(&btf, 4, &size) && size == 12);
    CHECK(!btf_size(&btf, 5, &size));
    CHECK(btf_size(&btf, 6, &size) && size == 8);
    CHECK(!btf_size(&btf, 7, &size));
    CHECK(!btf_size(&btf, 0, &size));
    CHECK(!btf_size(&btf, 8, &size));
    CHECK(btf_resolve(&btf, 3, &id) && id == 1);
    CHECK_STR(btf_string(&btf, btf_type(&btf, 1).name_off), "a");
    CHECK_STR(btf_string(&btf, 4000), "");
    arena_fini(&arena);
}

static void cycles(void)
{
    struct blob b;
    struct arena arena;
    struct btf btf;
    struct btf_error error;
    uint32_t out = 77;
    start(&b);
    add_type(&b, BTF_TYPEDEF, 0, 2); // 1 -> 2 -> 1
    add_type(&b, BTF_CONST, 0, 1);
    add_type(&b, BTF_ARRAY, 0, 0); // 3: an array of itself
    add(&b, 3);
    add(&b, 3);
    add(&b, 1);
    REQUIRE_OK(finish(&b, &arena, &btf, &error));
    CHECK(!btf_resolve(&btf, 1, &out));
    CHECK(!btf_size(&btf, 1, &out));
    CHECK(!btf_size(&btf, 3, &out));
    CHECK_EQ(out, 77);
    arena_fini(&arena);
}

static void bad_ids(void)
{
    static const uint32_t kinds[] = {BTF_PTR,      BTF_TYPEDEF, BTF_FUNC,     BTF_FUNC_PROTO, BTF_VOLATILE,
                                     BTF_RESTRICT, BTF_CONST,   BTF_TYPE_TAG, BTF_VAR,        BTF_DECL_TAG};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct blob b;
        struct arena arena;
        struct btf btf;
        struct btf_error error;
        start(&b);
        add_type(&b, kinds[i], 0, 2);
        if (kinds[i] == BTF_VAR || kinds[i] == BTF_DECL_TAG) {
            add(&b, 0);
        }
        CHECK_EQ(finish(&b, &arena, &btf, &error), EBPF_INVALID_OBJECT);
        CHECK_EQ(error.type, 1);
        arena_fini(&arena);
    }
}

// Items: a member's type, a parameter's name, a variable of a section, the element of an array.
static void bad_items(void)
{
    static const struct {
        uint32_t kind, vlen, words[3], count;
    } rows[] = {
        {BTF_STRUCT, 1, {1, 2, 0}, 3},  {BTF_UNION, 1, {99, 1, 0}, 3},
        {BTF_FUNC_PROTO, 1, {1, 2}, 2}, {BTF_DATASEC, 1, {2, 0, 4}, 3},
        {BTF_ARRAY, 0, {2, 1, 3}, 3},   {BTF_ARRAY, 0, {1, 2, 3}, 3},
        {BTF_ENUM, 1, {99, 0}, 2},      {BTF_ENUM64, 1, {99, 0, 0}, 3},
        {BTF_STRUCT, 2, {1, 1, 0}, 3}, // one member missing
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct blob b;
        struct arena arena;
        struct btf btf;
        struct btf_error error = {0};
        start(&b);
        add_type(&b, rows[i].kind, rows[i].vlen, 0);
        for (uint32_t w = 0; w < rows[i].count; w++) {
            add(&b, rows[i].words[w]);
        }
        CHECK_EQ(finish(&b, &arena, &btf, &error), EBPF_INVALID_OBJECT);
        CHECK_EQ(error.type, 1);
        arena_fini(&arena);
    }
}

static void patches_stay_inside(void)
{
    struct blob b;
    struct arena arena;
    struct btf btf;
    struct btf_error error;
    start(&b);
    add_type(&b, BTF_INT, 0, 4);
    add(&b, 32);
    REQUIRE_OK(finish(&b, &arena, &btf, &error));
    btf_patch(&btf, 32, 8);
    CHECK_EQ(btf_type(&btf, 1).value, 8);
    btf_patch(&btf, btf.raw_size - 3, 0xffffffff);
    btf_patch(&btf, UINT32_MAX, 0xffffffff);
    CHECK_STR(btf_string(&btf, 1), "a");
    arena_fini(&arena);
}

TEST_SUITE(btf)
{
    RUN(sizes);
    RUN(cycles);
    RUN(bad_ids);
    RUN(bad_items);
    RUN(patches_stay_inside);
}
