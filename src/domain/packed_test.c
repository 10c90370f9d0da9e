// SPDX-License-Identifier: MIT
// Packed states against concrete ones: packing keeps every concrete state, and entailment is containment.
#include "tests/sample_state.h"

enum { ROUNDS = 60000 };

static struct domain_state *one, *two;
static struct packed_scratch *scratch;
static uint64_t *store_one, *store_two;

static bool have_memory(void)
{
    if (one == NULL) {
        one = calloc(1, sizeof(*one));
        two = calloc(1, sizeof(*two));
        scratch = calloc(1, sizeof(*scratch));
        store_one = calloc(1, sizeof(scratch->buffer));
        store_two = calloc(1, sizeof(scratch->buffer));
    }
    return one != NULL && two != NULL && scratch != NULL && store_one != NULL && store_two != NULL;
}

static const struct packed *pack_into(uint64_t *buffer, const struct domain_state *s)
{
    const struct packed *p = packed_make(scratch, s, NULL);
    memcpy(buffer, p, p->size);
    return (const struct packed *)buffer;
}

// --- cases ---------------------------------------------------------------------------------------

static void packing_keeps_concrete_states(void)
{
    REQUIRE(have_memory());
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        struct machine m;
        make_machine(&m);
        abstract(&m, one);
        REQUIRE(state_is_valid(one));
        REQUIRE(holds(one, &m));
        const struct packed *p = pack_into(store_one, one);
        packed_unpack(p, two);
        REQUIRE(state_is_valid(two));
        REQUIRE(holds(two, &m));
        const struct packed *again = pack_into(store_two, two);
        REQUIRE(packed_equal(p, again));
        REQUIRE(packed_entails(scratch, p, again));
    }
}

static void entailment_is_containment(void)
{
    REQUIRE(have_memory());
    unsigned entailed = 0, refused = 0, outside = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct machine inside, other;
        make_machine(&inside);
        other = inside;
        change_machine(&other);
        abstract(&inside, one); // the inner state
        sample_loose = pick(4);
        abstract(&other, two); // the outer state
        sample_loose = 0;
        const struct packed *inner = pack_into(store_one, one), *outer = pack_into(store_two, two);
        bool entails = packed_entails(scratch, outer, inner);
        packed_unpack(outer, two); // packing forgets
        bool contained = holds(two, &inside);
        entailed += entails;
        refused += !entails;
        outside += !contained;
        REQUIRE(!entails || contained);
    }
    CHECK(entailed > ROUNDS / 2000);
    CHECK(refused > ROUNDS / 100);
    CHECK(outside > ROUNDS / 100);
}

// Forgetting anything makes a state that entails the original one.
static void forgetting_is_entailed(void)
{
    REQUIRE(have_memory());
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        struct machine m;
        struct packed_live live;
        make_machine(&m);
        abstract(&m, one);
        const struct packed *all = pack_into(store_one, one);
        memset(&live, 0, sizeof(live));
        live.regs = (uint16_t)pick(32);
        live.cells[0][0] = pick(1 << 20);
        live.keep_packet = pick(2) != 0;
        const struct packed *some = packed_make(scratch, one, &live);
        memcpy(store_two, some, some->size);
        REQUIRE(packed_entails(scratch, (const struct packed *)store_two, all));
    }
}

static void set_number(struct domain_state *s, unsigned reg, int64_t low, int64_t high)
{
    struct scalar n;
    scalar_set_srange(&n, low, high);
    value_set_scalar(&s->regs[reg], &n);
}

static void start(struct domain_state *s)
{
    memset(s, 0, sizeof(*s));
    s->frame_count = 1;
    s->next_id = 30;
    value_set_pointer(&s->regs[10], VALUE_STACK, 0);
}

static bool entails(struct domain_state *outer, struct domain_state *inner)
{
    return packed_entails(scratch, pack_into(store_one, outer), pack_into(store_two, inner));
}

static void relations_must_hold(void)
{
    REQUIRE(have_memory());
    start(one);
    start(two);
    set_number(one, 1, 0, 9);
    set_number(one, 2, 0, 9);
    set_number(two, 1, 0, 9);
    set_number(two, 2, 0, 9);
    CHECK(entails(one, two));
    value_set_id(&one->regs[1], 5);
    value_set_id(&one->regs[2], 5);
    CHECK(!entails(one, two)); // r1 == r2 is claimed, and not known
    CHECK(entails(two, one));
    value_set_id(&two->regs[1], 7);
    value_set_id(&two->regs[2], 7);
    CHECK(entails(one, two));
    two->regs[2].delta = 1;
    CHECK(!entails(one, two)); // r2 == r1 + 1
    set_number(two, 1, 4, 4);
    set_number(two, 2, 4, 4);
    CHECK(entails(one, two));
    set_number(two, 2, 5, 5);
    CHECK(!entails(one, two));
}

static void nullness_must_be_shared(void)
{
    REQUIRE(have_memory());
    start(one);
    start(two);
    for (unsigned r = 1; r <= 2; r++) {
        value_set_pointer(&one->regs[r], VALUE_MAP_VALUE, 0);
        value_set_pointer(&two->regs[r], VALUE_MAP_VALUE, 0);
        one->regs[r].maybe_null = 1;
        value_set_id(&one->regs[r], 5);
    }
    CHECK(entails(one, two)); // both are not null
    CHECK(!entails(two, one));
    value_set_const(&two->regs[1], 0);
    CHECK(!entails(one, two)); // one is null and the other is not
    value_set_const(&two->regs[2], 0);
    CHECK(entails(one, two));
    value_set_const(&two->regs[2], 1);
    CHECK(!entails(one, two));
    one->regs[2].id = 6;
    value_set_pointer(&two->regs[2], VALUE_MAP_VALUE, 0);
    CHECK(entails(one, two));
    two->regs[2].map = 1;
    CHECK(!entails(one, two));
}

// i = 4 * N and n = N: what entails must be on that line.
static void lines_must_hold(void)
{
    REQUIRE(have_memory());
    start(one);
    start(two);
    set_number(one, 1, 0, 400);
    set_number(one, 2, 0, 100);
    value_set_id(&one->regs[1], 5);
    value_set_id(&one->regs[2], 5);
    one->regs[1].cf = 4;
    set_number(two, 1, 12, 12);
    set_number(two, 2, 3, 3);
    CHECK(entails(one, two));
    set_number(two, 2, 4, 4);
    CHECK(!entails(one, two));
    set_number(two, 1, 0, 396);
    set_number(two, 2, 1, 99);
    value_set_id(&two->regs[1], 9);
    value_set_id(&two->regs[2], 9);
    two->regs[1].cf = 4;
    CHECK(entails(one, two));
    two->regs[1].delta = two->regs[2].delta = 1;
    CHECK(!entails(one, two));
    two->regs[1].delta = 4; // one turn further
    CHECK(entails(one, two));
}

static void rows_must_be_known(void)
{
    REQUIRE(have_memory());
    start(one);
    start(two);
    for (unsigned r = 1; r <= 2; r++) {
        set_number(one, r, 0, 50);
        value_set_id(&one->regs[r], 5 + r);
        set_number(two, r, 0, 50);
        value_set_id(&two->regs[r], 8 + r);
    }
    state_add_sum(one, 6, 7, VALUE_ID_NONE);
    one->sums[0].max = 60;
    CHECK(!entails(one, two));
    CHECK(entails(two, one));
    state_add_sum(two, 10, 9, VALUE_ID_NONE);
    two->sums[0].max = 61;
    CHECK(!entails(one, two));
    two->sums[0].max = 60;
    CHECK(entails(one, two));
    one->bounds[one->bound_count++] = (struct state_bound){6, 7, 1};
    CHECK(!entails(one, two));
    two->bounds[two->bound_count++] = (struct state_bound){9, 10, 0};
    CHECK(!entails(one, two));
    two->bounds[0].delta = 2;
    CHECK(entails(one, two));
}

static void hold(struct domain_state *s, unsigned reg, uint32_t ref, bool maybe_null)
{
    value_set_pointer(&s->regs[reg], VALUE_OBJECT, 0);
    s->regs[reg].ref = ref;
    s->regs[reg].flags = VALUE_ACQUIRED;
    s->regs[reg].maybe_null = maybe_null;
    if (maybe_null) {
        value_set_id(&s->regs[reg], ref);
    }
}

static void references_must_match(void)
{
    REQUIRE(have_memory());
    start(one);
    start(two);
    hold(one, 1, 5, true);
    hold(two, 1, 9, false);
    REQUIRE(state_acquire(one, 5, 0, STATE_REF_OBJECT, 0));
    CHECK(!entails(one, two)); // not held
    REQUIRE(state_acquire(two, 9, 1, STATE_REF_OBJECT, 0));
    CHECK(entails(one, two));
    value_set_const(&two->regs[1], 0);
    CHECK(!entails(one, two)); // something else is held
    CHECK(state_drop_ref(two, 9));
    CHECK(!entails(one, two));
    hold(one, 1, 5, false);
    hold(one, 2, 5, false);
    hold(two, 1, 9, false);
    hold(two, 2, 9, false);
    REQUIRE(state_acquire(two, 9, 1, STATE_REF_OBJECT, 0));
    CHECK(entails(one, two));
    two->regs[2].ref = 10; // releasing one must not leave the other
    CHECK(!entails(one, two));
    CHECK(!entails(two, one));
    start(two);
    REQUIRE(state_acquire(two, 9, 1, STATE_REF_RECORD, 0));
    one->regs[1].kind = one->regs[2].kind = VALUE_NOT_INIT;
    CHECK(!entails(one, two)); // another kind of reference
}

static void spans_must_be_written(void)
{
    struct scalar n;
    REQUIRE(have_memory());
    start(one);
    start(two);
    set_number(one, 1, 0, 4);
    value_set_id(&one->regs[1], 5);
    scalar_set_srange(&n, 0, 32);
    value_set_scalar(&one->frames[0].span.end, &n);
    value_set_id(&one->frames[0].span.end, 5);
    one->frames[0].span.end.cf = 8;
    one->frames[0].span.from = 16;
    set_number(two, 1, 2, 2);
    stack_mark_init(&two->frames[0], 16, 16);
    CHECK(entails(one, two)); // 8 * 2 bytes
    set_number(two, 1, 3, 3);
    CHECK(!entails(one, two));
    stack_mark_init(&two->frames[0], 32, 8);
    CHECK(entails(one, two));
}

static void addresses_stay_hidden(void)
{
    REQUIRE(have_memory());
    start(one);
    start(two);
    value_set_pointer(&two->regs[1], VALUE_CTX, 0);
    stack_write(&two->frames[0], 64, 8, &two->regs[1]);
    stack_mark_init(&one->frames[0], 64, 8);
    two->regs[1].kind = VALUE_NOT_INIT;
    CHECK(!entails(one, two));
    one->frames[0].init[1] = 0;
    CHECK(entails(one, two));
}

static void frames_must_agree(void)
{
    REQUIRE(have_memory());
    start(one);
    start(two);
    CHECK(entails(one, two));
    one->frames[0].init[3] = 1;
    CHECK(!entails(one, two));
    CHECK(entails(two, one));
    start(one);
    one->frame_count = two->frame_count = 2;
    one->frames[0].return_pc = 4;
    one->regs[10].frame = two->regs[10].frame = 1;
    CHECK(!entails(one, two));
    two->frames[0].return_pc = 4;
    CHECK(entails(one, two));
    two->frame_count = 1;
    CHECK(!entails(one, two));
}

TEST_SUITE(packed)
{
    RUN(packing_keeps_concrete_states);
    RUN(entailment_is_containment);
    RUN(forgetting_is_entailed);
    RUN(relations_must_hold);
    RUN(nullness_must_be_shared);
    RUN(lines_must_hold);
    RUN(rows_must_be_known);
    RUN(references_must_match);
    RUN(spans_must_be_written);
    RUN(addresses_stay_hidden);
    RUN(frames_must_agree);
}
