// SPDX-License-Identifier: MIT
// Channels that go away: at every step of the load protocol, in the middle of a request, while threads race,
// and with every allocation failing once. Objects and allocations are counted.
#include "core/core_channel_fixture.h"

// --- deaths at every step ------------------------------------------------------------------------

enum { MAP, CLIENT, SERVICE, PARTIES };
enum { ALL_SHUT = PARTIES, WAYS_TO_DIE };

struct load {
    struct desk d;
    struct channel *c[PARTIES];
    struct proto_token token;
    unsigned steps; // done so far
    unsigned die_at, victim;
};

static void die(struct load *l)
{
    if (l->victim == ALL_SHUT) {
        channels_shut_all(l->d.all);
    } else {
        channel_shut(l->c[l->victim]);
    }
}

static ebpf_result_t next(struct load *l, ebpf_result_t result)
{
    if (l->steps++ == l->die_at) {
        die(l);
    }
    return result;
}

static ebpf_result_t load_a_program(struct load *l)
{
    static const struct map_def def = {MAP_TYPE_ARRAY, MAP_TYPE_ARRAY, 4, 8, 4, 0, "m"};
    struct program p = bench_program(PROG_TYPE_XDP);
    struct core_verdict accept = bench_accept();
    struct proto_empty empty = {0};
    p.maps = &def;
    p.map_count = 1;
    TRY(next(l, EBPF_SUCCESS));
    TRY(next(l, desk_make_map(&l->d, l->c[MAP])));
    TRY(next(l, desk_offer(&l->d, l->c[CLIENT], &l->token)));
    TRY(next(l, desk_lend(&l->d, l->c[MAP], &l->token)));
    desk_build_verdict(&l->d, &l->token, &p, 1, &accept);
    TRY(next(l, desk_judge(&l->d, l->c[SERVICE], MESSAGE_ROOM)));
    return next(l, desk_call(&l->d, l->c[CLIENT], PROTO_OBJECT_INFO, &empty, 1));
}

static ebpf_result_t begin(struct load *l)
{
    for (unsigned i = 0; i < PARTIES; i++) {
        l->c[i] = NULL;
    }
    l->steps = 0;
    ebpf_result_t result = desk_init(&l->d);
    for (unsigned i = 0; i < PARTIES && result == EBPF_SUCCESS; i++) {
        result = desk_open(&l->d, &l->c[i]);
    }
    return result;
}

static void end(struct load *l)
{
    for (unsigned i = 0; i < PARTIES; i++) {
        if (l->c[i] != NULL) {
            channel_close(l->c[i]);
        }
    }
    for (unsigned kind = OBJECT_MAP; kind < OBJECT_KIND_COUNT; kind++) {
        CHECK_EQ(desk_count(&l->d, (enum object_kind)kind), 0);
    }
    desk_fini(&l->d);
}

static void whoever_dies_leaves_nothing(void)
{
    static struct load l;
    enum { STEPS = 6 };
    uint64_t live = plat_sim_live_count();
    for (unsigned at = 0; at <= STEPS; at++) {
        for (l.victim = 0; l.victim < WAYS_TO_DIE; l.victim++) {
            l.die_at = at;
            REQUIRE_OK(begin(&l));
            ebpf_result_t result = load_a_program(&l);
            CHECK(result == EBPF_SUCCESS || at < STEPS - 1);
            CHECK(result != EBPF_SUCCESS || l.victim != ALL_SHUT || at >= STEPS - 1);
            if (at < STEPS && l.victim == ALL_SHUT) {
                CHECK_EQ(desk_count(&l.d, OBJECT_MAP), 0); // although all handles are still open
                CHECK_EQ(desk_count(&l.d, OBJECT_PROGRAM), 0);
            }
            end(&l);
            CHECK_EQ(plat_sim_live_count(), live);
        }
    }
}

static void the_dead_are_refused(void)
{
    static struct load l;
    struct proto_version_request version = {PROTO_WIRE_VERSION};
    l.die_at = UINT32_MAX;
    REQUIRE_OK(begin(&l));
    CHECK_OK(load_a_program(&l));
    for (unsigned i = 0; i < PARTIES; i++) {
        channel_shut(l.c[i]);
        channel_shut(l.c[i]);
        CHECK_EQ(desk_call(&l.d, l.c[i], PROTO_VERSION, &version, 0), EBPF_INVALID_STATE);
        CHECK_EQ(desk_lend(&l.d, l.c[i], &l.token), EBPF_INVALID_STATE);
        CHECK_EQ(desk_offer(&l.d, l.c[i], &l.token), EBPF_INVALID_STATE);
        CHECK_EQ(desk_judge(&l.d, l.c[i], MESSAGE_ROOM), EBPF_INVALID_STATE);
    }
    channels_shut_all(l.d.all);
    end(&l);
}

// As a driver does for a request that waits for its turn while its handle is closed.
static void a_held_channel_outlives_its_handle(void)
{
    static struct load l;
    struct proto_version_request version = {PROTO_WIRE_VERSION};
    l.die_at = UINT32_MAX;
    REQUIRE_OK(begin(&l));
    CHECK_OK(load_a_program(&l));
    channel_acquire(l.c[CLIENT]);
    channel_close(l.c[CLIENT]);
    CHECK_EQ(desk_count(&l.d, OBJECT_PROGRAM), 0);
    CHECK_EQ(desk_call(&l.d, l.c[CLIENT], PROTO_VERSION, &version, 0), EBPF_INVALID_STATE);
    channel_release(l.c[CLIENT]);
    l.c[CLIENT] = NULL;
    end(&l);
}

static void what_is_open_is_closed_at_the_end(void)
{
    static struct load l;
    uint64_t live = plat_sim_live_count();
    l.die_at = UINT32_MAX;
    REQUIRE_OK(begin(&l));
    CHECK_OK(load_a_program(&l));
    desk_fini(&l.d);
    CHECK_EQ(plat_sim_live_count(), live);
}

static void every_allocation_may_fail(void)
{
    static struct load l;
    uint64_t live = plat_sim_live_count(), count = plat_sim_alloc_count(), failures = 0;
    l.die_at = UINT32_MAX;
    REQUIRE_OK(begin(&l));
    CHECK_OK(load_a_program(&l));
    end(&l);
    count = plat_sim_alloc_count() - count;
    CHECK(count > 10);
    for (uint64_t nth = 1; nth <= count; nth++) {
        plat_sim_fail_alloc(nth);
        ebpf_result_t result = begin(&l);
        result = result == EBPF_SUCCESS ? load_a_program(&l) : result;
        plat_sim_fail_alloc(0);
        CHECK(result == EBPF_SUCCESS || result == EBPF_NO_MEMORY);
        failures += result == EBPF_NO_MEMORY;
        if (l.d.all != NULL) {
            end(&l);
        }
        CHECK_EQ(plat_sim_live_count(), live);
    }
    CHECK_EQ(failures, count);
}

// --- in the middle of a request ------------------------------------------------------------------

// What the provider's attach does to channels while a LINK_CREATE is under way.
struct meddler {
    struct desk d;
    struct channel *prog, *link;
    struct proto_token token;
    void (*act)(struct meddler *m);
    ebpf_result_t seen[3];
};

static ebpf_result_t meddling_attach(void *context, struct link *link, const struct attach_params *params,
                                     void **hook_context)
{
    struct meddler *m = context;
    UNUSED(link);
    UNUSED(params);
    *hook_context = m;
    m->act(m);
    return EBPF_SUCCESS;
}

static struct hook_provider meddling_provider = {.name = "meddler",
                                                 .attach_type = ATTACH_TYPE_RAW_MEMORY,
                                                 .attach = meddling_attach,
                                                 .detach = bench_detach};

// Of its own arena, because the desk's is in use by the request that is under way.
static ebpf_result_t control_aside(struct channel *c, uint32_t function, const void *input, size_t size)
{
    struct arena arena;
    struct channel_call call = {.function = function,
                                .input = input,
                                .input_size = size,
                                .output_capacity = MESSAGE_ROOM,
                                .arena = &arena};
    arena_init(&arena, plat_mem_source(), 0);
    ebpf_result_t result = channel_control(c, &call);
    arena_fini(&arena);
    return result;
}

static void meddle(void (*act)(struct meddler *m), struct meddler *m, ebpf_result_t *result)
{
    struct proto_link_create_request fixed = {.attach_type = ATTACH_TYPE_RAW_MEMORY};
    *result = EBPF_FAILED;
    m->act = act;
    REQUIRE_OK(desk_init(&m->d));
    meddling_provider.provider_context = m;
    CHECK_OK(provider_register(core_runtime(m->d.b.core), &meddling_provider));
    CHECK_OK(desk_open(&m->d, &m->prog));
    CHECK_OK(desk_open(&m->d, &m->link));
    CHECK_OK(desk_make_program(&m->d, m->prog, m->prog, PROG_TYPE_RAW_MEMORY));
    CHECK_OK(desk_offer(&m->d, m->link, &m->token));
    CHECK_OK(desk_lend(&m->d, m->prog, &m->token));
    *result = desk_call(&m->d, m->link, PROTO_LINK_CREATE, &fixed, 1);
}

static void end_meddling(struct meddler *m)
{
    channel_close(m->link);
    channel_close(m->prog);
    CHECK_EQ(desk_count(&m->d, OBJECT_LINK), 0);
    CHECK_EQ(desk_count(&m->d, OBJECT_PROGRAM), 0);
    provider_unregister(core_runtime(m->d.b.core), &meddling_provider);
    desk_fini(&m->d);
}

static void shut_the_link(struct meddler *m)
{
    channel_shut(m->link);
}

static void shut_in_the_middle(void)
{
    static struct meddler m;
    ebpf_result_t result;
    uint64_t live = plat_sim_live_count();
    meddle(shut_the_link, &m, &result);
    CHECK_OK(result); // it was done, and undone at once
    CHECK_EQ(desk_count(&m.d, OBJECT_LINK), 0);
    end_meddling(&m);
    CHECK_EQ(plat_sim_live_count(), live);
}

static void use_the_busy_link(struct meddler *m)
{
    m->seen[0] = control_aside(m->link, PROTO_CONTROL_REQUEST, m->d.b.message, m->d.b.message_size);
    m->seen[1] = control_aside(m->link, PROTO_CONTROL_OFFER, NULL, 0);
    m->seen[2] = control_aside(m->prog, PROTO_CONTROL_LEND, &m->token, sizeof(m->token));
}

static void a_busy_channel_is_left_alone(void)
{
    static struct meddler m;
    ebpf_result_t result;
    meddle(use_the_busy_link, &m, &result);
    CHECK_OK(result);
    for (size_t i = 0; i < ARRAY_SIZE(m.seen); i++) {
        CHECK_EQ(m.seen[i], EBPF_INVALID_STATE);
    }
    CHECK_EQ(desk_count(&m.d, OBJECT_LINK), 1);
    end_meddling(&m);
}

// --- races ---------------------------------------------------------------------------------------

enum { ROUNDS = 200 };

struct race {
    struct desk d;
    struct channel *service, *map;
    struct channel *client; // of this round
    struct proto_token token;
    uint32_t go, done;
    uint64_t won;
};

static void judge_rounds(void *user)
{
    struct race *r = user;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        while (__atomic_load_n(&r->go, __ATOMIC_ACQUIRE) < round) {
            plat_yield();
        }
        ebpf_result_t result =
            control_aside(r->service, PROTO_CONTROL_VERDICT, r->d.verdict, r->d.verdict_size);
        CHECK(result == EBPF_SUCCESS || result == EBPF_OBJECT_NOT_FOUND || result == EBPF_INVALID_STATE);
        r->won += result == EBPF_SUCCESS;
        __atomic_store_n(&r->done, round, __ATOMIC_RELEASE);
    }
}

static void run_round(struct race *r, uint32_t round)
{
    static const struct map_def def = {MAP_TYPE_ARRAY, MAP_TYPE_ARRAY, 4, 8, 4, 0, "m"};
    struct program p = bench_program(PROG_TYPE_RAW_MEMORY);
    struct core_verdict accept = bench_accept();
    p.maps = &def;
    p.map_count = 1;
    REQUIRE_OK(desk_open(&r->d, &r->client));
    CHECK_OK(desk_offer(&r->d, r->client, &r->token));
    CHECK_OK(desk_lend(&r->d, r->map, &r->token));
    desk_build_verdict(&r->d, &r->token, &p, 1, &accept);
    __atomic_store_n(&r->go, round, __ATOMIC_RELEASE);
    for (uint32_t wait = plat_random_u32() % 4000; wait != 0; wait--) {
        __asm__ volatile("");
    }
    channel_close(r->client);
    while (__atomic_load_n(&r->done, __ATOMIC_ACQUIRE) < round) {
        plat_yield();
    }
}

static void verdicts_race_with_closing_clients(void)
{
    static struct race r;
    struct plat_thread *judge = NULL;
    uint64_t live = plat_sim_live_count();
    r.go = r.done = 0;
    REQUIRE_OK(desk_init(&r.d));
    CHECK_OK(desk_open(&r.d, &r.service));
    CHECK_OK(desk_open(&r.d, &r.map));
    CHECK_OK(desk_make_map(&r.d, r.map));
    REQUIRE_OK(plat_thread_create(judge_rounds, &r, &judge));
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        run_round(&r, round);
    }
    plat_thread_join(judge);
    channel_close(r.map);
    CHECK_EQ(desk_count(&r.d, OBJECT_PROGRAM), 0);
    CHECK_EQ(desk_count(&r.d, OBJECT_MAP), 0);
    channel_close(r.service);
    desk_fini(&r.d);
    CHECK_EQ(plat_sim_live_count(), live);
}

struct crowd {
    struct channels *all;
    struct channel *map;
    struct channel *target;
    struct proto_token token;
    uint32_t stop;
};

static void lend_and_close(void *user)
{
    struct crowd *w = user;
    while (__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE) == 0) {
        struct channel *own = NULL;
        if (channel_open(w->all, CHANNEL_REQUEST, 5, &own) != EBPF_SUCCESS) {
            continue;
        }
        (void)control_aside(own, PROTO_CONTROL_OFFER, NULL, 0);
        (void)control_aside(w->map, PROTO_CONTROL_LEND, &w->token, sizeof(w->token));
        channel_close(own);
    }
}

static void a_crowd_lends_while_all_is_shut(void)
{
    static struct desk d;
    struct crowd w = {0};
    struct plat_thread *threads[3] = {NULL};
    uint64_t live = plat_sim_live_count();
    REQUIRE_OK(desk_init(&d));
    w.all = d.all;
    CHECK_OK(desk_open(&d, &w.map));
    CHECK_OK(desk_open(&d, &w.target));
    CHECK_OK(desk_make_map(&d, w.map));
    CHECK_OK(desk_offer(&d, w.target, &w.token));
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        REQUIRE_OK(plat_thread_create(lend_and_close, &w, &threads[i]));
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct proto_empty empty = {0};
        struct proto_holder_next_reply holder;
        (void)desk_call(&d, w.target, PROTO_PROG_BIND_MAP, &empty, 2); // takes what was lent
        CHECK_OK(channels_next_holder(d.all, 0, &holder));
    }
    channels_shut_all(d.all);
    CHECK_EQ(desk_count(&d, OBJECT_MAP), 0);
    __atomic_store_n(&w.stop, 1, __ATOMIC_RELEASE);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        plat_thread_join(threads[i]);
    }
    channel_close(w.map);
    channel_close(w.target);
    desk_fini(&d);
    CHECK_EQ(plat_sim_live_count(), live);
}

TEST_SUITE(core_channel_death)
{
    RUN(whoever_dies_leaves_nothing);
    RUN(the_dead_are_refused);
    RUN(a_held_channel_outlives_its_handle);
    RUN(what_is_open_is_closed_at_the_end);
    RUN(every_allocation_may_fail);
    RUN(shut_in_the_middle);
    RUN(a_busy_channel_is_left_alone);
    RUN(verdicts_race_with_closing_clients);
    RUN(a_crowd_lends_while_all_is_shut);
}
