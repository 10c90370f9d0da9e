// SPDX-License-Identifier: MIT
// The policy of points: what is dropped, joined, kept, and that every arrival is entailed by a state that
// stays.
#include "tests/sample_state.h"
#include "verifier/points.h"

static struct domain_state *state;
static struct packed_scratch *scratch;
static struct arena arena;
static struct pool pool;
static struct points points;
static struct point point;

static bool begin(void)
{
    if (state == NULL) {
        state = calloc(1, sizeof(*state));
        scratch = calloc(1, sizeof(*scratch));
    }
    arena_init(&arena, test_mem_source(), 0);
    pool_init(&pool, &arena);
    memset(&point, 0, sizeof(point));
    points = (struct points){.arena = &arena, .pool = &pool, .scratch = scratch, .per_point = 64};
    return state != NULL && scratch != NULL;
}

static void start(void)
{
    memset(state, 0, sizeof(*state));
    state->frame_count = 1;
    state->next_id = VALUE_ID_FIRST;
    value_set_pointer(&state->regs[10], VALUE_STACK, 0);
}

static enum points_result arrive(struct node **out)
{
    enum points_result result = POINTS_KNOWN;
    struct points_origin origin = {NULL, NULL, 0, 7};
    *out = NULL;
    if (points_arrive(&points, &point, 3, packed_make(scratch, state, NULL), &origin, out, &result) !=
        EBPF_SUCCESS) {
        CHECK(false);
    }
    return result;
}

static enum points_result arrive_with(int64_t a, int64_t b, int64_t c, struct node **out)
{
    start();
    value_set_const(&state->regs[1], (uint64_t)a);
    value_set_const(&state->regs[2], (uint64_t)b);
    value_set_const(&state->regs[3], (uint64_t)c);
    return arrive(out);
}

static void known_states_are_dropped(void)
{
    struct node *first, *second;
    REQUIRE(begin());
    CHECK_EQ(arrive_with(1, 2, 3, &first), POINTS_STORED);
    CHECK_EQ(first->from, 7);
    CHECK_EQ(first->pc, 3);
    CHECK_EQ(arrive_with(1, 2, 3, &second), POINTS_KNOWN);
    CHECK(first == second);
    CHECK_EQ(point.live_count, 1);
    CHECK_EQ(points.stored, 1);
    arena_fini(&arena);
}

// Nothing is tested later: the keys are equal, the numbers join.
static void equal_keys_join(void)
{
    struct node *first, *second;
    REQUIRE(begin());
    CHECK_EQ(arrive_with(1, 2, 3, &first), POINTS_STORED);
    CHECK_EQ(arrive_with(2, 4, 9, &second), POINTS_JOINED);
    CHECK(first->dead && second->other == first && second->joins == 1);
    CHECK_EQ(point.live_count, 1);
    arena_fini(&arena);
}

static void one_tested_difference_joins_and_two_stay(void)
{
    struct node *n;
    REQUIRE(begin());
    point.hints.tested.regs = 1u << 1 | 1u << 2;
    CHECK_EQ(arrive_with(0, 0, 1, &n), POINTS_STORED);
    CHECK_EQ(arrive_with(1, 5, 2, &n), POINTS_STORED);
    CHECK_EQ(point.live_count, 2);
    CHECK_EQ(arrive_with(1, 0, 1, &n), POINTS_JOINED); // r1 of 0, 0 or r2 of 1, 5: one difference
    CHECK_EQ(point.live_count, 2);
    arena_fini(&arena);
}

static void full_points_join_the_closest(void)
{
    struct node *n;
    unsigned pairs = 0;
    REQUIRE(begin());
    points.per_point = 4;
    point.hints.tested.regs = 1u << 1 | 1u << 2;
    for (int64_t i = 0; i < 40; i++) {
        enum points_result result = arrive_with(i, 5 * i * i, i < 2 ? 0 : i, &n);
        CHECK(result != POINTS_KNOWN);
        CHECK(point.live_count <= 4);
        CHECK(points.pending == NULL || (result == POINTS_STORED && i >= 4));
        pairs += points.pending != NULL;
        CHECK_EQ(arrive_with(i, 5 * i * i, i < 2 ? 0 : i, &n), POINTS_KNOWN);
    }
    CHECK(pairs > 0);
    arena_fini(&arena);
}

// A loop that goes on and on comes to rest: its bounds widen.
static bool comes_to_rest(bool unroll, unsigned turns)
{
    struct node *n;
    start();
    point.is_head = true;
    point.unroll = unroll;
    value_set_const(&state->regs[1], 0);
    state_enter_loop(state, 0);
    enum points_result result = arrive(&n);
    for (unsigned i = 0; i < turns && result != POINTS_KNOWN; i++) {
        packed_unpack(n->state, state);
        value_add_const(&state->regs[1], 1);
        state_turn_loop(state, 0);
        result = arrive(&n);
    }
    return result == POINTS_KNOWN;
}

static void heads_widen(void)
{
    REQUIRE(begin());
    CHECK(comes_to_rest(false, 200));
    CHECK_EQ(point.live_count, 1);
    arena_fini(&arena);
}

static void unrolled_loops_do_not_widen(void)
{
    REQUIRE(begin());
    points.per_point = 1000;
    CHECK(!comes_to_rest(true, 500));
    CHECK_EQ(point.live_count, 501);
    arena_fini(&arena);
}

// Whatever arrives is entailed by something that stays.
static void nothing_is_lost(void)
{
    static struct machine seen[200];
    for (unsigned round = 0; round < 20; round++) {
        struct node *n;
        REQUIRE(begin());
        points.per_point = 1 + pick(6);
        point.is_head = pick(2) != 0;
        point.hints.tested.regs = (uint16_t)pick(64);
        make_machine(&seen[0]);
        for (unsigned i = 0; i < ARRAY_SIZE(seen); i++) {
            seen[i] = seen[i > 0 ? pick(i) : 0];
            change_machine(&seen[i]);
            abstract(&seen[i], state);
            (void)arrive(&n);
            const struct packed *p = packed_make(scratch, state, NULL);
            bool found = false;
            uint32_t live = 0;
            for (const struct node *k = point.nodes; k != NULL; k = k->next) {
                found = found || (!k->dead && packed_entails(scratch, k->state, p));
                live += !k->dead;
            }
            REQUIRE(found);
            REQUIRE(live == point.live_count);
        }
        unsigned inside[ARRAY_SIZE(seen)] = {0}, outside = 0;
        for (const struct node *k = point.nodes; k != NULL; k = k->next) {
            packed_unpack(k->state, state);
            for (unsigned i = 0; i < ARRAY_SIZE(seen) && !k->dead; i++) {
                inside[i] += holds(state, &seen[i]);
            }
        }
        for (unsigned i = 0; i < ARRAY_SIZE(seen); i++) {
            outside += inside[i] == 0;
        }
        CHECK_EQ(outside, 0);
        arena_fini(&arena);
    }
}

static void memory_may_run_out(void)
{
    struct node *n;
    bool failed = false;
    REQUIRE(begin());
    point.hints.tested.regs = 0xff;
    arena.limit = 60000;
    for (int64_t i = 0; i < 1000 && !failed; i++) {
        enum points_result result;
        struct points_origin origin = {NULL, NULL, 0, 0};
        start();
        value_set_const(&state->regs[1], (uint64_t)i);
        value_set_const(&state->regs[2], (uint64_t)(i * i));
        ebpf_result_t r =
            points_arrive(&points, &point, 0, packed_make(scratch, state, NULL), &origin, &n, &result);
        CHECK(r == EBPF_SUCCESS || r == EBPF_NO_MEMORY);
        failed = r != EBPF_SUCCESS;
    }
    CHECK(failed);
    arena_fini(&arena);
}

TEST_SUITE(points)
{
    RUN(known_states_are_dropped);
    RUN(equal_keys_join);
    RUN(one_tested_difference_joins_and_two_stay);
    RUN(full_points_join_the_closest);
    RUN(heads_widen);
    RUN(unrolled_loops_do_not_widen);
    RUN(nothing_is_lost);
    RUN(memory_may_run_out);
}
