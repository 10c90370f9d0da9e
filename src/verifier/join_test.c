// SPDX-License-Identifier: MIT
// Joins against concrete machines: what is in one of two states is in their join, and the join entails both.
#include "tests/sample_state.h"
#include "verifier/join.h"

enum { ROUNDS = 30000 };

static struct domain_state *one, *two;
static struct packed_scratch *scratch;
static uint64_t *store_one, *store_two, *store_joined;

static bool have_memory(void)
{
    if (one == NULL) {
        one = calloc(1, sizeof(*one));
        two = calloc(1, sizeof(*two));
        scratch = calloc(1, sizeof(*scratch));
        store_one = calloc(1, sizeof(scratch->buffer));
        store_two = calloc(1, sizeof(scratch->buffer));
        store_joined = calloc(1, sizeof(scratch->buffer));
    }
    return one != NULL && two != NULL && scratch != NULL && store_one != NULL && store_two != NULL &&
           store_joined != NULL;
}

static const struct packed *copy_into(uint64_t *buffer, const struct packed *p)
{
    memcpy(buffer, p, p->size);
    return (const struct packed *)buffer;
}

static const struct packed *join(const struct packed *a, const struct packed *b, bool head, bool widen)
{
    static const int64_t thresholds[] = {-16, -1, 0, 1, 7, 8, 64, 100};
    struct join_options options = {thresholds, ARRAY_SIZE(thresholds), widen, head};
    const struct packed *p = join_states(scratch, a, b, &options);
    return p != NULL ? copy_into(store_joined, p) : NULL;
}

static void joins_contain_both(void)
{
    REQUIRE(have_memory());
    unsigned joined = 0, impossible = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct machine left, right;
        make_machine(&left);
        right = left;
        change_machine(&right);
        sample_loose = pick(2);
        abstract(&left, one);
        abstract(&right, two);
        sample_loose = 0;
        const struct packed *a = copy_into(store_one, packed_make(scratch, one, NULL));
        const struct packed *b = copy_into(store_two, packed_make(scratch, two, NULL));
        const struct packed *p = join(a, b, pick(2) != 0, pick(3) == 0);
        if (p == NULL) {
            impossible++;
            continue;
        }
        joined++;
        REQUIRE(packed_entails(scratch, p, a));
        REQUIRE(packed_entails(scratch, p, b));
        packed_unpack(p, one);
        REQUIRE(state_is_valid(one));
        REQUIRE(holds(one, &left));
        REQUIRE(holds(one, &right));
    }
    CHECK(joined > ROUNDS / 2);
    CHECK(impossible > 0);
}

// --- what joins keep -----------------------------------------------------------------------------

static void start(struct domain_state *s)
{
    memset(s, 0, sizeof(*s));
    s->frame_count = 1;
    s->next_id = 30;
    value_set_pointer(&s->regs[10], VALUE_STACK, 0);
}

static void start_both(void)
{
    start(one);
    start(two);
}

static void set_number(struct domain_state *s, unsigned reg, int64_t low, int64_t high)
{
    struct scalar n;
    scalar_set_srange(&n, low, high);
    value_set_scalar(&s->regs[reg], &n);
}

// Joins `one` and `two` into `one`.
static bool join_both(bool head, bool widen)
{
    const struct packed *a = copy_into(store_one, packed_make(scratch, one, NULL));
    const struct packed *b = copy_into(store_two, packed_make(scratch, two, NULL));
    const struct packed *p = join(a, b, head, widen);
    if (p != NULL) {
        packed_unpack(p, one);
    }
    return p != NULL;
}

// Refines r`reg` of `one` to a constant.
static bool learn(unsigned reg, uint64_t number)
{
    struct scalar n;
    struct value v = one->regs[reg];
    scalar_set_const(&n, number);
    return scalar_meet(&one->regs[reg].num, &n) && state_refine_value(one, &v, &n);
}

static void correlated_constants_stay_together(void)
{
    REQUIRE(have_memory());
    start_both();
    value_set_const(&one->regs[1], 0);
    value_set_const(&one->regs[2], 5);
    value_set_const(&two->regs[1], 1);
    value_set_const(&two->regs[2], 6);
    REQUIRE(join_both(false, false));
    REQUIRE(learn(1, 1));
    CHECK(scalar_is_const(&one->regs[2].num) && one->regs[2].num.umin == 6);
}

static bool keep_below(struct domain_state *s, unsigned reg, int64_t most)
{
    struct scalar below;
    struct value v = s->regs[reg];
    scalar_set_srange(&below, 0, most);
    return scalar_meet(&s->regs[reg].num, &below) && state_refine_value(s, &v, &s->regs[reg].num);
}

// The counter of a loop, i += 4 and p += 8, j -= 1: after the exit test of i everything is known.
static void turn(struct domain_state *s)
{
    CHECK(keep_below(s, 1, 60));
    value_add_const(&s->regs[1], 4);
    value_add_const(&s->regs[2], 8);
    value_add_const(&s->regs[3], -1);
    state_turn_loop(s, 0);
}

static void counters_become_lines(void)
{
    REQUIRE(have_memory());
    start_both();
    value_set_const(&one->regs[1], 0);
    value_set_pointer(&one->regs[2], VALUE_STACK, -128);
    value_set_const(&one->regs[3], 40);
    state_enter_loop(one, 0);
    *two = *one;
    turn(two);
    for (unsigned i = 0; i < 30; i++) {
        REQUIRE(join_both(true, i > 1));
        *two = *one;
        turn(two);
    }
    CHECK_EQ(state_loop_bound(one, 0), 16);
    REQUIRE(keep_below(one, 1, 60));
    CHECK_EQ(state_loop_bound(one, 0), 15);
    CHECK_EQ(one->regs[3].num.smin, 25);
    CHECK_EQ(one->regs[2].num.smax, 120);
    REQUIRE(learn(3, 30));
    CHECK_EQ(one->regs[1].num.umin, 40);
    CHECK(value_is_fixed(&one->regs[2]) && one->regs[2].off == -128 + 80);
}

// p += something of at least 2, x -= something of at least 3: the counter stays below.
static void step_unknown(struct domain_state *s)
{
    struct value old = s->regs[1], x = s->regs[2];
    struct scalar by;
    scalar_set_srange(&by, 2, 20);
    scalar_alu(SEM_ADD, 64, &s->regs[1].num, &by);
    value_set_id(&s->regs[1], state_make_id(s));
    state_carry_bounds(s, old.id, old.delta, s->regs[1].id, 2, 20);
    s->regs[1].range = 0;
    scalar_set_srange(&by, 3, 9);
    scalar_alu(SEM_SUB, 64, &s->regs[2].num, &by);
    value_set_id(&s->regs[2], state_make_id(s));
    state_carry_bounds(s, x.id, x.delta, s->regs[2].id, -9, -3);
    state_turn_loop(s, 0);
}

static void unknown_steps_bound_the_turns(void)
{
    REQUIRE(have_memory());
    start_both();
    value_set_pointer(&one->regs[1], VALUE_PACKET, 14);
    value_set_const(&one->regs[2], 900);
    state_enter_loop(one, 0);
    *two = *one;
    step_unknown(two);
    for (unsigned i = 0; i < 30; i++) {
        REQUIRE(join_both(true, i > 1));
        state_refine_range(one, one->regs[1].id, 15); // the check against the end
        *two = *one;
        step_unknown(two);
    }
    REQUIRE(join_both(true, true));
    CHECK_EQ(one->bound_count, 1);
    CHECK_EQ(one->sum_count, 1);
    state_copy(two, one);
    state_refine_range(one, one->regs[1].id, 15);
    CHECK(state_loop_bound(one, 0) < VALUE_MAX_LENGTH);
    struct value v = two->regs[2];
    struct scalar above;
    scalar_set_srange(&above, 300, 1 << 20);
    REQUIRE(scalar_meet(&two->regs[2].num, &above));
    REQUIRE(state_refine_value(two, &v, &two->regs[2].num));
    CHECK_EQ(state_loop_bound(two, 0), 600);
}

static void null_joins_a_pointer(void)
{
    REQUIRE(have_memory());
    start_both();
    for (unsigned r = 1; r <= 2; r++) {
        value_set_const(&one->regs[r], 0);
        value_set_pointer(&two->regs[r], VALUE_MAP_VALUE, 0);
        two->regs[r].map = 3;
    }
    value_set_const(&one->regs[3], 7);
    value_set_const(&two->regs[3], 8);
    REQUIRE(join_both(false, false));
    CHECK(one->regs[1].maybe_null && one->regs[1].id == one->regs[2].id && one->regs[1].map == 3);
    state_refine_null(one, one->regs[1].id, false);
    CHECK(one->regs[2].kind == VALUE_MAP_VALUE && !one->regs[2].maybe_null);
}

// The smaller of two buffers, and no pointer beside its start.
static void null_joins_no_more_than_both_have(void)
{
    REQUIRE(have_memory());
    start_both();
    for (unsigned r = 1; r <= 2; r++) {
        value_set_pointer(&one->regs[r], VALUE_MEM, 0);
        one->regs[r].size = r == 1 ? 16 : 8;
        one->regs[r].maybe_null = 1;
        value_set_id(&one->regs[r], state_make_id(one));
        two->regs[r] = one->regs[r];
        two->regs[r].size = 24 - one->regs[r].size;
    }
    two->next_id = one->next_id;
    value_set_const(&one->regs[3], 0);
    value_set_pointer(&two->regs[3], VALUE_MAP_VALUE, 4);
    REQUIRE(join_both(false, false));
    CHECK(one->regs[1].maybe_null && one->regs[1].size == 8);
    CHECK(one->regs[2].maybe_null && one->regs[2].size == 8);
    CHECK_EQ(one->regs[3].kind, VALUE_NOT_INIT);
}

static void packet_that_moved_on_one_way_has_moved(void)
{
    REQUIRE(have_memory());
    for (unsigned first = 0; first < 2; first++) {
        start_both();
        (first != 0 ? one : two)->packet_changed = true;
        REQUIRE(join_both(false, false));
        CHECK(one->packet_changed);
    }
}

static void conflicts_become_unusable(void)
{
    REQUIRE(have_memory());
    start_both();
    value_set_const(&one->regs[1], 5);
    value_set_pointer(&two->regs[1], VALUE_CTX, 0);
    stack_write(&one->frames[0], 504, 8, &one->regs[1]);
    stack_write(&two->frames[0], 504, 8, &two->regs[1]);
    REQUIRE(join_both(false, false));
    CHECK_EQ(one->regs[1].kind, VALUE_NOT_INIT);
    int32_t missing;
    CHECK(!stack_is_init(&one->frames[0], 504, 8, &missing)); // an address would be readable
}

static void loops_initialise_arrays(void)
{
    REQUIRE(have_memory());
    start_both();
    struct value zero, ptr;
    value_set_const(&zero, 0);
    value_set_const(&one->regs[1], 0);
    state_enter_loop(one, 0);
    for (unsigned i = 0; i < 6; i++) {
        *two = *one;
        if (i == 0) {
            stack_write(&two->frames[0], 480, 8, &zero);
        } else {
            value_set_pointer(&ptr, VALUE_STACK, -32);
            ptr.num = two->regs[1].num;
            ptr.id = two->regs[1].id;
            ptr.cf = two->regs[1].cf;
            ptr.delta = two->regs[1].delta;
            struct scalar inside;
            scalar_set_srange(&inside, 0, 24);
            REQUIRE(scalar_meet(&ptr.num, &inside));
            REQUIRE(scalar_meet(&two->regs[1].num, &inside));
            REQUIRE(state_refine_value(two, &ptr, &inside));
            stack_write_range(two, 0, &ptr, 0, 8, &zero);
        }
        value_add_const(&two->regs[1], 8);
        state_turn_loop(two, 0);
        REQUIRE(join_both(true, false));
    }
    REQUIRE(learn(1, 32));
    int32_t missing;
    CHECK(stack_is_init(&one->frames[0], 480, 32, &missing));
}

// One state has written as far as a number says, 16 bytes at least, the other one 8 bytes.
static void spans_reach_as_far_as_both(void)
{
    REQUIRE(have_memory());
    start_both();
    struct value zero;
    struct scalar n;
    int32_t missing;
    value_set_const(&zero, 0);
    scalar_set_srange(&n, 16, 32);
    value_set_scalar(&one->regs[1], &n);
    value_set_id(&one->regs[1], state_make_id(one));
    one->regs[1].delta = 16;
    one->frames[0].span.from = 448;
    one->frames[0].span.end = one->regs[1];
    value_set_const(&two->regs[1], 8);
    stack_write(&two->frames[0], 448, 8, &zero);
    REQUIRE(join_both(true, false));
    CHECK(!stack_is_init(&one->frames[0], 448, 16, &missing));
}

static void references_join_or_stay_apart(void)
{
    REQUIRE(have_memory());
    start_both();
    for (unsigned r = 1; r <= 2; r++) {
        value_set_pointer(&one->regs[r], VALUE_OBJECT, 0);
        one->regs[r].flags = VALUE_ACQUIRED;
        one->regs[r].ref = 5;
    }
    *two = *one;
    two->regs[1].ref = two->regs[2].ref = 8;
    REQUIRE(state_acquire(one, 5, 0, STATE_REF_OBJECT, 0));
    CHECK(!join_both(false, false));
    REQUIRE(state_acquire(two, 8, 0, STATE_REF_OBJECT, 0));
    REQUIRE(join_both(false, false));
    CHECK(one->ref_count == 1 && one->refs[0].ref == one->regs[1].ref &&
          one->regs[1].ref == one->regs[2].ref);
    CHECK(state_release(one, one->regs[1].ref));
    CHECK(one->regs[1].kind != VALUE_OBJECT && one->regs[2].kind != VALUE_OBJECT && one->ref_count == 0);
}

static const struct packed *pack(uint64_t *buffer, const struct domain_state *s)
{
    return copy_into(buffer, packed_make(scratch, s, NULL));
}

static void distances_count_what_matters(void)
{
    struct join_hints hints;
    int important;
    REQUIRE(have_memory());
    memset(&hints, 0, sizeof(hints));
    hints.tested.regs = 1u << 1 | 1u << 2 | 1u << 3;
    start_both();
    set_number(one, 1, 4, 4);
    set_number(one, 2, 6, 6);
    set_number(one, 4, 9, 9);
    *two = *one;
    const struct packed *a = pack(store_one, one);
    CHECK_EQ(join_distance(a, pack(store_two, two), &hints, &important), 0);
    CHECK(join_key(a, &hints) == join_key(pack(store_two, two), &hints));
    set_number(two, 4, 1, 1);
    CHECK(join_key(a, &hints) == join_key(pack(store_two, two), &hints));
    set_number(two, 1, 5, 5);
    CHECK(join_key(a, &hints) != join_key(pack(store_two, two), &hints));
    CHECK(join_distance(a, pack(store_two, two), &hints, &important) > 0);
    CHECK_EQ(important, 1);
    set_number(two, 2, 7, 7); // the same change
    CHECK(join_distance(a, pack(store_two, two), &hints, &important) > 0);
    CHECK_EQ(important, 1);
    set_number(two, 2, 8, 8);
    CHECK(join_distance(a, pack(store_two, two), &hints, &important) > 0);
    CHECK_EQ(important, 2);
    value_set_pointer(&two->regs[4], VALUE_CTX, 0);
    CHECK(join_distance(a, pack(store_two, two), &hints, &important) > 100);
    CHECK(join_key(a, &hints) != join_key(pack(store_two, two), &hints));
    two->preempt_depth = 1;
    CHECK_EQ(join_distance(a, pack(store_two, two), &hints, &important), JOIN_IMPOSSIBLE);
}

TEST_SUITE(join)
{
    RUN(joins_contain_both);
    RUN(correlated_constants_stay_together);
    RUN(counters_become_lines);
    RUN(unknown_steps_bound_the_turns);
    RUN(null_joins_a_pointer);
    RUN(null_joins_no_more_than_both_have);
    RUN(packet_that_moved_on_one_way_has_moved);
    RUN(conflicts_become_unusable);
    RUN(loops_initialise_arrays);
    RUN(spans_reach_as_far_as_both);
    RUN(references_join_or_stay_apart);
    RUN(distances_count_what_matters);
}
