// SPDX-License-Identifier: MIT
// Tests of prog arrays and tail calls, with every engine.
#include "runtime/fixture.h"

static struct fixture f;

static struct map *make_array(uint32_t entries)
{
    return fixture_map(&f, MAP_TYPE_PROG_ARRAY, 4, 4, entries);
}

static ebpf_result_t set(struct map *m, uint32_t index, struct prog *g)
{
    return map_user_set_program(m, &index, g, UPDATE_ANY);
}

static uint64_t run_xdp(struct prog *g)
{
    uint8_t frame[64] = {0};
    struct xdp_context x = {.packet = {frame, frame + 60, frame}, .ingress_ifindex = 7};
    struct run run = {.context = &x, .r1 = (uintptr_t)&x};
    uint64_t r0 = 0xdead;
    epoch_enter(f.rt);
    CHECK_OK(prog_run(g, &run, &r0));
    epoch_exit(f.rt);
    return r0;
}

// Goes to element `imm` of the array, and returns 77 when there is none.
#define JUMP(helper, index)                                                                                  \
    I2(LDDW_MAP, 2, 0), I(MOV64_IMM, 3, 0, 0, index), I(CALL, 0, 0, 0, HELPER_##helper)
static const struct insn jump_to_1[] = {JUMP(TAIL_CALL_LINUX, 1), I(MOV64_IMM, 0, 0, 0, 77),
                                        I(EXIT, 0, 0, 0, 0)};
static const struct insn return_5[] = {I(MOV64_IMM, 0, 0, 0, 5), I(EXIT, 0, 0, 0, 0)};
static const struct insn ifindex[] = {I(LDXW, 0, 1, 12, 0), I(EXIT, 0, 0, 0, 0)};
static const uint32_t ifindex_marks[] = {0, 3};

static struct prog *load_jump(const struct insn *insns, uint32_t count, struct map *m, enum dialect dialect)
{
    struct fixture_program p;
    struct prog *g = NULL;
    fixture_program(&p, PROG_TYPE_XDP, dialect, insns, count);
    CHECK_OK(fixture_load(&f, &p, &m, 1, &g));
    return g;
}

static struct prog *load_ifindex(void)
{
    struct fixture_program p;
    struct prog *g = NULL;
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, ifindex, ARRAY_SIZE(ifindex));
    fixture_program_marks(&p, ifindex_marks, 1);
    CHECK_OK(fixture_load(&f, &p, NULL, 0, &g));
    return g;
}

static void tail_calls_go_on_elsewhere(void)
{
    REQUIRE(fixture_open(&f));
    struct map *m = make_array(4);
    struct prog *from = load_jump(jump_to_1, ARRAY_SIZE(jump_to_1), m, DIALECT_LINUX);
    struct prog *five = FIXTURE_PROG(&f, PROG_TYPE_XDP, DIALECT_LINUX, return_5);
    struct prog *reader = load_ifindex();
    uint32_t one = 1;
    REQUIRE(from != NULL && five != NULL && reader != NULL);
    CHECK_EQ(run_xdp(from), 77);
    CHECK_OK(set(m, 1, five));
    CHECK_EQ(run_xdp(from), 5);
    CHECK_OK(set(m, 1, reader)); // sees the same context
    CHECK_EQ(run_xdp(from), 7);
    CHECK_OK(map_user_delete(m, &one));
    CHECK_EQ(run_xdp(from), 77);
    CHECK_EQ(map_user_delete(m, &one), EBPF_KEY_NOT_FOUND);
    object_release(prog_object(reader));
    object_release(prog_object(five));
    object_release(prog_object(from));
    object_release(map_object(m));
    fixture_close(&f);
}

// In the Windows dialect the helper says why it came back.
static void a_failed_call_tells(void)
{
    static const struct insn insns[] = {JUMP(TAIL_CALL_WINDOWS, 1), I(EXIT, 0, 0, 0, 0)};
    static const struct insn far[] = {JUMP(TAIL_CALL_WINDOWS, 4), I(EXIT, 0, 0, 0, 0)};
    REQUIRE(fixture_open(&f));
    struct map *m = make_array(4);
    struct prog *empty = load_jump(insns, ARRAY_SIZE(insns), m, DIALECT_WINDOWS);
    struct prog *beyond = load_jump(far, ARRAY_SIZE(far), m, DIALECT_WINDOWS);
    REQUIRE(empty != NULL && beyond != NULL);
    CHECK_EQ(run_xdp(empty), (uint64_t)-22);
    CHECK_EQ(run_xdp(beyond), (uint64_t)-22);
    object_release(prog_object(empty));
    object_release(prog_object(beyond));
    object_release(map_object(m));
    fixture_close(&f);
}

// A program that calls itself for ever: each of its runs adds one to a counter.
static void tail_calls_are_bounded(void)
{
    static const struct insn insns[] = {
        I(MOV64_REG, 6, 1, 0, 0), I2(LDDW_MAP_VALUE, 7, 1), I(LDXDW, 8, 7, 0, 0),
        I(ADD64_IMM, 8, 0, 0, 1), I(STXDW, 7, 8, 0, 0),     I(MOV64_REG, 1, 6, 0, 0),
        JUMP(TAIL_CALL_LINUX, 0), I(LDXDW, 0, 7, 0, 0),     I(EXIT, 0, 0, 0, 0),
    };
    struct fixture_program p;
    struct prog *g = NULL;
    REQUIRE(fixture_open(&f));
    struct map *maps[2] = {make_array(1), fixture_map(&f, MAP_TYPE_ARRAY, 4, 8, 1)};
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, insns, ARRAY_SIZE(insns));
    REQUIRE_OK(fixture_load(&f, &p, maps, 2, &g));
    CHECK_OK(set(maps[0], 0, g));
    CHECK_EQ(run_xdp(g), 34); // the first run and 33 tail calls
    CHECK_EQ(run_xdp(g), 68);
    object_release(prog_object(g));
    object_release(map_object(maps[0])); // with nobody but the program left, the array lets it go
    object_release(map_object(maps[1]));
    fixture_close(&f);
}

static void programs_must_be_alike(void)
{
    struct fixture_program p;
    struct prog *other = NULL;
    REQUIRE(fixture_open(&f));
    struct map *m = make_array(4);
    struct prog *from = load_jump(jump_to_1, ARRAY_SIZE(jump_to_1), m, DIALECT_LINUX);
    struct prog *windows = FIXTURE_PROG(&f, PROG_TYPE_XDP, DIALECT_WINDOWS, return_5);
    struct prog *raw = FIXTURE_PROG(&f, PROG_TYPE_RAW_MEMORY, DIALECT_LINUX, return_5);
    REQUIRE(from != NULL && windows != NULL && raw != NULL);
    CHECK_EQ(set(m, 0, windows), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(set(m, 0, raw), EBPF_INVALID_ARGUMENT);
    CHECK_OK(set(m, 0, from));
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_WINDOWS, jump_to_1, ARRAY_SIZE(jump_to_1));
    CHECK_EQ(fixture_load(&f, &p, &m, 1, &other), EBPF_INVALID_ARGUMENT);
    object_release(prog_object(raw));
    object_release(prog_object(windows));
    object_release(prog_object(from));
    object_release(map_object(m));
    fixture_close(&f);
}

static void user_mode_sees_ids(void)
{
    uint32_t key = 0, value = 99, next = 0;
    REQUIRE(fixture_open(&f));
    struct map *m = make_array(2);
    struct map *hash = fixture_map(&f, MAP_TYPE_HASH, 4, 4, 2);
    struct prog *g = FIXTURE_PROG(&f, PROG_TYPE_XDP, DIALECT_LINUX, return_5);
    REQUIRE(m != NULL && hash != NULL && g != NULL);
    CHECK_EQ(map_user_lookup(m, &key, &value), EBPF_KEY_NOT_FOUND);
    CHECK_OK(set(m, 0, g));
    CHECK_OK(map_user_lookup(m, &key, &value));
    CHECK_EQ(value, object_id(prog_object(g)));
    CHECK_EQ(set(m, 2, g), EBPF_OUT_OF_SPACE);
    CHECK_EQ(set(hash, 0, g), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(map_user_set_program(m, &key, g, UPDATE_NOEXIST), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(map_user_update(m, &key, &value, UPDATE_ANY), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(map_user_batch(m, false, &(struct map_batch){.room = 1}), EBPF_OPERATION_NOT_SUPPORTED);
    CHECK_OK(map_user_next_key(m, NULL, &next));
    CHECK_OK(map_user_next_key(m, &next, &next));
    CHECK_EQ(next, 1);
    CHECK_EQ(map_user_next_key(m, &next, &next), EBPF_NO_MORE_KEYS);
    CHECK_OK(map_freeze(m));
    CHECK_EQ(set(m, 1, g), EBPF_ACCESS_DENIED);
    object_release(prog_object(g));
    CHECK_EQ(object_count(f.rt, OBJECT_PROGRAM), 1); // the array keeps it
    object_release(map_object(m));
    object_release(map_object(hash));
    fixture_close(&f);
}

// Each holds the other; a third holds them while user mode does.
static void a_circle_is_broken(void)
{
    REQUIRE(fixture_open(&f));
    struct map *m = make_array(2);
    struct prog *a = load_jump(jump_to_1, ARRAY_SIZE(jump_to_1), m, DIALECT_LINUX);
    struct prog *b = load_jump(jump_to_1, ARRAY_SIZE(jump_to_1), m, DIALECT_LINUX);
    REQUIRE(a != NULL && b != NULL);
    CHECK_OK(set(m, 0, a));
    CHECK_OK(set(m, 1, b));
    object_release(prog_object(b));
    CHECK_EQ(object_count(f.rt, OBJECT_PROGRAM), 2);
    object_release(map_object(m));
    CHECK_EQ(object_count(f.rt, OBJECT_PROGRAM), 1);
    CHECK_EQ(run_xdp(a), 77); // the array is empty, but there
    object_release(prog_object(a));
    fixture_close(&f);
}

// The key of another map may be shorter than an index: nothing behind it is read (sanitizers look), and
// nothing happens.
static void other_maps_take_no_programs(void)
{
    REQUIRE(fixture_open(&f));
    struct map *hash = fixture_map(&f, MAP_TYPE_HASH, 1, 4, 4);
    struct prog *g = load_ifindex();
    uint8_t *key = plat_alloc(1, POOL_TAG_TEST);
    REQUIRE(hash != NULL && g != NULL && key != NULL);
    CHECK_EQ(map_user_set_program(hash, key, g, UPDATE_ANY), EBPF_INVALID_ARGUMENT);
    plat_free(key);
    object_release(prog_object(g));
    object_release(map_object(hash));
    fixture_close(&f);
}

// All elements are looked through when the array is given up.
static void the_number_of_elements_is_bounded(void)
{
    REQUIRE(fixture_open(&f));
    struct map *m;
    const struct map_def def = {
        .type = MAP_TYPE_PROG_ARRAY, .key_size = 4, .value_size = 4, .max_entries = (1u << 20) + 1};
    CHECK_EQ(map_create(f.rt, &def, &m), EBPF_INVALID_ARGUMENT);
    fixture_close(&f);
}

static void run_all(void)
{
    RUN(other_maps_take_no_programs);
    RUN(the_number_of_elements_is_bounded);
    RUN(tail_calls_go_on_elsewhere);
    RUN(a_failed_call_tells);
    RUN(tail_calls_are_bounded);
    RUN(programs_must_be_alike);
    RUN(user_mode_sees_ids);
    RUN(a_circle_is_broken);
}

TEST_SUITE(map_prog_array)
{
    fixture_for_each_engine(run_all);
}
