// SPDX-License-Identifier: MIT
// What is learnt about one value: refinement never loses a concrete machine, and says as much as it should.
// Stack cells against concrete bytes.
#include "tests/sample_state.h"

enum { ROUNDS = 20000, BYTES = 64 };

static struct domain_state *one, *two;

static bool have_memory(void)
{
    if (one == NULL) {
        one = calloc(1, sizeof(*one));
        two = calloc(1, sizeof(*two));
    }
    return one != NULL && two != NULL;
}

static void start(void)
{
    memset(one, 0, sizeof(*one));
    one->frame_count = 1;
    one->next_id = 30;
    value_set_pointer(&one->regs[10], VALUE_STACK, 0);
}

static void set_member(unsigned reg, uint32_t id, int32_t cf, int64_t delta, int64_t low, int64_t high)
{
    struct scalar n;
    scalar_set_srange(&n, low, high);
    value_set_scalar(&one->regs[reg], &n);
    one->regs[reg].id = id;
    one->regs[reg].cf = cf;
    one->regs[reg].delta = delta;
}

static bool learn(unsigned reg, int64_t low, int64_t high)
{
    struct scalar n;
    struct value v = one->regs[reg];
    scalar_set_srange(&n, low, high);
    return scalar_meet(&one->regs[reg].num, &n) && state_refine_value(one, &v, &one->regs[reg].num);
}

// --- random --------------------------------------------------------------------------------------

// A number at one place of the machine is learnt to lie in some range.
static bool learn_something(const struct machine *m)
{
    unsigned i = pick(PLACES);
    uint32_t loc = place_loc(i);
    struct value v = *state_value(one, loc);
    int64_t x = m->at[i].number - (v.kind == VALUE_SCALAR ? 0 : v.off);
    struct scalar n;
    bool varies = v.kind == VALUE_SCALAR || v.kind == VALUE_PACKET || v.kind == VALUE_MAP_VALUE;
    if (state_next(one, loc) != loc || !varies || v.maybe_null) {
        return true;
    }
    scalar_set_srange(&n, x - (int64_t)pick(3), x + (int64_t)pick(3));
    if (!scalar_meet(&n, &v.num)) {
        return false;
    }
    state_value(one, loc)->num = n;
    bool possible = state_refine_value(one, &v, &n);
    value_normalize(state_value(one, loc));
    return possible;
}

static bool learn_null(const struct machine *m)
{
    unsigned i = pick(PLACES);
    const struct value *v = state_value(one, place_loc(i));
    if (v->maybe_null && state_next(one, place_loc(i)) == place_loc(i)) {
        state_refine_null(one, v->id, m->at[i].kind == VALUE_SCALAR);
    }
    return true;
}

static bool learn_range(const struct machine *m)
{
    unsigned i = pick(PLACES);
    const struct value *v = state_value(one, place_loc(i));
    if (v->kind == VALUE_PACKET && state_next(one, place_loc(i)) == place_loc(i)) {
        state_refine_range(one, v->id, m->length - (m->at[i].number - v->off) - (int64_t)pick(2));
    }
    return true;
}

static bool forget_something(struct machine *m)
{
    if (pick(2) == 0) {
        state_forget_packet(one);
        m->packet_changed = true;
    } else {
        state_forget_frame(one, pick(2));
    }
    return true;
}

static void refinement_keeps_the_machine(void)
{
    REQUIRE(have_memory());
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct machine m;
        make_machine(&m);
        abstract(&m, one);
        for (unsigned step = 0; step < 4; step++) {
            bool possible = pick(4) != 0   ? learn_something(&m)
                            : pick(3) != 0 ? learn_null(&m)
                            : pick(3) != 0 ? learn_range(&m)
                                           : forget_something(&m);
            REQUIRE(possible);
            REQUIRE(state_is_valid(one));
            REQUIRE(holds(one, &m));
        }
        state_copy(two, one);
        REQUIRE(state_is_valid(two));
        REQUIRE(holds(two, &m));
    }
}

// --- classes -------------------------------------------------------------------------------------

static void members_follow(void)
{
    REQUIRE(have_memory());
    start();
    set_member(1, 5, 1, 0, 0, 1000);
    set_member(2, 5, -1, 100, -900, 100);
    set_member(3, 5, 4, 3, 3, 4003);
    CHECK(learn(1, 10, 20));
    CHECK(one->regs[2].num.smin == 80 && one->regs[2].num.smax == 90);
    CHECK(one->regs[3].num.smin == 43 && one->regs[3].num.smax == 83);
    CHECK(learn(3, 50, 60)); // 4 * N + 3: N is 12, 13 or 14
    CHECK(one->regs[1].num.smin == 12 && one->regs[1].num.smax == 14);
    CHECK(!learn(2, 0, 85));
}

// 4 * N + 3 may wrap when nothing bounds N: then it says nothing about N.
static void numbers_that_wrap_bound_nothing(void)
{
    REQUIRE(have_memory());
    start();
    set_member(1, 5, 1, 0, INT64_MIN, INT64_MAX);
    set_member(3, 5, 4, 3, INT64_MIN, INT64_MAX);
    CHECK(learn(3, 50, 60));
    CHECK(one->regs[1].num.smin == INT64_MIN && one->regs[1].num.smax == INT64_MAX);
}

static void sums_and_bounds_follow(void)
{
    REQUIRE(have_memory());
    start();
    set_member(1, 5, 1, 0, 0, 1000);
    set_member(2, 6, 1, 0, 0, 1000);
    set_member(3, 7, 1, 0, 0, 2000);
    state_add_sum(one, 5, 6, 7);
    CHECK_EQ(state_sum_max(one, 5, 6), INT64_MAX);
    CHECK(learn(3, 0, 64));
    CHECK_EQ(state_sum_max(one, 6, 5), 64);
    CHECK(learn(1, 60, 1000));
    CHECK_EQ(one->regs[2].num.smax, 4);
    one->bounds[one->bound_count++] = (struct state_bound){8, 9, 2};
    set_member(4, 8, 1, 0, 0, 1000);
    set_member(5, 9, 1, 0, 0, 1000);
    CHECK(state_has_bounds(one, 9) && !state_has_bounds(one, 8));
    CHECK(learn(5, 0, 50));
    CHECK_EQ(one->regs[4].num.smax, 48);
    state_carry_bounds(one, 9, 0, 11, 3, 7);
    CHECK(one->bound_count == 2 && one->bounds[1].high == 11 && one->bounds[1].delta == 5);
}

// A sum that may wrap modulo 2^64 bounds nothing.
static void sums_that_wrap_bound_nothing(void)
{
    REQUIRE(have_memory());
    start();
    set_member(1, 5, 1, 0, INT64_MIN, INT64_MAX);
    set_member(2, 6, 1, 0, INT64_MIN, INT64_MAX);
    set_member(3, 7, 1, 0, INT64_MIN, INT64_MAX);
    state_add_sum(one, 5, 6, 7);
    CHECK(learn(3, 0, 64));
    CHECK_EQ(state_sum_max(one, 5, 6), INT64_MAX);
}

static void null_drops_what_was_acquired(void)
{
    REQUIRE(have_memory());
    start();
    for (unsigned r = 1; r <= 3; r++) {
        value_set_pointer(&one->regs[r], VALUE_OBJECT, 0);
        value_set_id(&one->regs[r], r == 3 ? 7 : 6);
        one->regs[r].maybe_null = 1;
        one->regs[r].ref = r == 3 ? 9 : 8;
        one->regs[r].flags = VALUE_ACQUIRED;
    }
    REQUIRE(state_acquire(one, 9, 2, STATE_REF_OBJECT, 0));
    REQUIRE(state_acquire(one, 8, 1, STATE_REF_OBJECT, 0));
    CHECK(one->refs[0].ref == 8 && one->refs[1].ref == 9);
    state_refine_null(one, 6, true);
    CHECK(value_is_zero(&one->regs[1]) && value_is_zero(&one->regs[2]));
    CHECK(state_find_ref(one, 8) == NULL && state_find_ref(one, 9) != NULL);
    state_refine_null(one, 7, false);
    CHECK(!one->regs[3].maybe_null && one->regs[3].ref == 9);
    CHECK(state_release(one, 9) && !state_release(one, 9));
    CHECK(one->ref_count == 0 && one->regs[3].kind != VALUE_OBJECT);
    for (uint32_t i = 0; i < STATE_MAX_REFS; i++) {
        CHECK(state_acquire(one, 2 + i, 0, STATE_REF_RECORD, 0));
    }
    CHECK(!state_acquire(one, 29, 0, STATE_REF_RECORD, 0));
}

static void counters_count(void)
{
    REQUIRE(have_memory());
    start();
    CHECK_EQ(state_loop_bound(one, 1), INT64_MAX);
    state_enter_loop(one, 1);
    state_turn_loop(one, 1);
    CHECK_EQ(state_loop_bound(one, 1), 1);
    CHECK(state_next(one, STATE_LOC_LOOPS) == STATE_LOC_LOOPS + 1);
    scalar_set_srange(&one->frames[0].loops[1].num, 0, STATE_MAX_TURNS);
    state_turn_loop(one, 1);
    CHECK_EQ(state_loop_bound(one, 1), INT64_MAX);
    CHECK_EQ(one->frames[0].loops[1].num.smax, STATE_MAX_TURNS);
    state_leave_loop(one, 1);
    CHECK(state_next(one, STATE_LOC_LOOPS) == STATE_LOC_END);
}

static void lengths_bound_offsets(void)
{
    REQUIRE(have_memory());
    start();
    value_set_pointer(&one->regs[1], VALUE_PACKET, 88);
    scalar_set_srange(&one->regs[1].num, 0, 10);
    value_set_id(&one->regs[1], 5);
    one->regs[1].range = -1;
    CHECK_EQ(state_packet_range(one, &one->regs[1]), -1);
    one->bounds[one->bound_count++] = (struct state_bound){5, VALUE_ID_LENGTH, 92};
    CHECK_EQ(state_packet_range(one, &one->regs[1]), 92);
    state_refine_range(one, 5, 100);
    CHECK_EQ(state_packet_range(one, &one->regs[1]), 100);
    CHECK_EQ(one->packet_length, 100);
    state_forget_packet(one);
    CHECK(one->bound_count == 0 && one->packet_length == 0 && one->regs[1].kind == VALUE_NOT_INIT);
}

// --- stack ---------------------------------------------------------------------------------------

struct memory {
    uint8_t bytes[BYTES];
    bool written[BYTES];
};

static uint64_t number_at(const struct memory *m, unsigned at, unsigned size)
{
    uint64_t number = 0;
    memcpy(&number, m->bytes + at, size);
    return number;
}

static void write_number(struct memory *m, unsigned at, unsigned size, struct value *v)
{
    struct scalar n;
    uint64_t number = (uint64_t)pick(1u << 31) * pick(7) + (pick(2) != 0 ? 0 : (uint64_t)pick(256) << 56);
    number = pick(3) == 0 ? 0 : number;
    switch (pick(3)) {
    case 0: scalar_set_const(&n, number); break;
    case 1:
        scalar_set_urange(&n, number - (number < 5 ? number : 5),
                          number < UINT64_MAX - 9 ? number + 9 : number);
        break;
    default: scalar_set_unknown(&n); break;
    }
    value_set_scalar(v, &n);
    memcpy(m->bytes + at, &number, size);
    memset(m->written + at, 1, size);
}

static bool init_is_right(const struct memory *m)
{
    for (int32_t i = 0; i < BYTES; i++) {
        int32_t missing;
        if (stack_is_init(&one->frames[0], i, 1, &missing) && !m->written[i]) {
            return false;
        }
    }
    return true;
}

static void cells_hold_bytes(void)
{
    static const unsigned sizes[] = {1, 2, 4, 8};
    REQUIRE(have_memory());
    for (unsigned round = 0; round < ROUNDS / 20; round++) {
        struct memory m;
        memset(&m, 0, sizeof(m));
        start();
        for (unsigned step = 0; step < 40; step++) {
            unsigned size = sizes[pick(4)], at = pick(BYTES / size) * size;
            struct value v;
            int32_t missing;
            if (pick(2) == 0) {
                write_number(&m, at, size, &v);
                stack_write(&one->frames[0], (int32_t)at, size, &v);
            } else if (stack_is_init(&one->frames[0], (int32_t)at, (int32_t)size, &missing)) {
                stack_load(one, 0, (int32_t)at, size, &v);
                REQUIRE(v.kind == VALUE_SCALAR && v.width == 0 && value_is_valid(&v));
                REQUIRE(scalar_contains(&v.num, number_at(&m, at, size)));
            }
            REQUIRE(init_is_right(&m));
            REQUIRE(state_is_valid(one));
        }
    }
}

static void zeroed_structures_are_read_in_any_width(void)
{
    struct value zero, v;
    struct state_frame *f = &one->frames[0];
    REQUIRE(have_memory());
    start();
    value_set_const(&zero, 0);
    stack_write(f, 64, 8, &zero);
    stack_write(f, 72, 4, &zero);
    stack_write(f, 76, 4, &zero);
    for (int32_t at = 64; at < 80; at++) {
        stack_read(f, at, 1, &v);
        CHECK(value_is_zero(&v));
    }
    stack_read(f, 72, 8, &v);
    CHECK(value_is_zero(&v));
    value_set_const(&v, 0x1234);
    stack_write(f, 66, 2, &v);
    stack_read(f, 64, 8, &v);
    CHECK(value_is_const(&v) && v.num.umin == 0x12340000);
    stack_write(f, 65, 1, &zero);
    stack_read(f, 64, 4, &v);
    CHECK(value_is_const(&v) && v.num.umin == 0x12340000);
}

static void loaded_bytes_get_an_identity(void)
{
    struct value v, again;
    REQUIRE(have_memory());
    start();
    stack_mark_init(&one->frames[0], 64, 8);
    stack_load(one, 0, 64, 8, &v);
    CHECK(v.id != VALUE_ID_NONE);
    one->regs[1] = v;
    CHECK(learn(1, 3, 9));
    stack_load(one, 0, 64, 8, &again);
    CHECK(again.id == v.id && again.num.smin == 3 && again.num.smax == 9);
}

static void pieces_of_pointers_are_hidden(void)
{
    struct value ptr, v;
    int32_t missing;
    struct state_frame *f = &one->frames[0];
    REQUIRE(have_memory());
    start();
    value_set_pointer(&ptr, VALUE_CTX, 0);
    stack_write(f, 64, 8, &ptr);
    stack_read(f, 64, 8, &v);
    CHECK(v.kind == VALUE_CTX);
    stack_read(f, 64, 4, &v);
    CHECK(v.kind == VALUE_SCALAR && !scalar_is_const(&v.num));
    value_set_const(&v, 1);
    stack_write(f, 64, 4, &v);
    CHECK(stack_is_init(f, 64, 4, &missing) && !stack_is_init(f, 68, 4, &missing));
    stack_write(f, 72, 4, &ptr);
    CHECK(!stack_is_init(f, 72, 4, &missing));
}

static void weak_writes_forget(void)
{
    struct value nine, ptr, v;
    struct state_frame *f = &one->frames[0];
    REQUIRE(have_memory());
    start();
    value_set_const(&nine, 9);
    for (int32_t at = 64; at < 96; at += 8) {
        stack_write(f, at, 8, &nine);
    }
    value_set_pointer(&ptr, VALUE_STACK, 64 - INSN_STACK_SIZE);
    scalar_set_srange(&ptr.num, 8, 16);
    stack_write_range(one, 0, &ptr, 0, 4, &nine);
    stack_read(f, 64, 8, &v);
    CHECK(value_is_const(&v));
    stack_read(f, 72, 8, &v);
    CHECK(!value_is_const(&v));
    stack_read_range(f, 64, 64, 8, &v);
    CHECK(value_is_const(&v));
    stack_read_range(f, 64, 72, 8, &v);
    CHECK(!value_is_const(&v));
    stack_read(f, 88, 8, &v);
    CHECK(value_is_const(&v));
}

TEST_SUITE(state)
{
    RUN(refinement_keeps_the_machine);
    RUN(members_follow);
    RUN(numbers_that_wrap_bound_nothing);
    RUN(sums_and_bounds_follow);
    RUN(sums_that_wrap_bound_nothing);
    RUN(null_drops_what_was_acquired);
    RUN(counters_count);
    RUN(lengths_bound_offsets);
    RUN(cells_hold_bytes);
    RUN(zeroed_structures_are_read_in_any_width);
    RUN(loaded_bytes_get_an_identity);
    RUN(pieces_of_pointers_are_hidden);
    RUN(weak_writes_forget);
}
