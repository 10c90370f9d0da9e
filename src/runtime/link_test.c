// SPDX-License-Identifier: MIT
// Tests of links and providers, on a hook that only remembers.
#include "runtime/fixture.h"

static const struct insn return_1[] = {I(MOV64_IMM, 0, 0, 0, 1), I(EXIT, 0, 0, 0, 0)};
static const struct insn return_2[] = {I(MOV64_IMM, 0, 0, 0, 2), I(EXIT, 0, 0, 0, 0)};

// A runtime with an XDP hook and two programs.
struct scene {
    struct fixture f;
    struct fixture_hook hook;
    struct prog *one, *two;
    struct xdp_context context;
};

static bool scene_open(struct scene *s, uint32_t max_links)
{
    memset(s, 0, sizeof(*s));
    if (!fixture_open(&s->f)) {
        return false;
    }
    fixture_hook_init(&s->hook, ATTACH_TYPE_XDP, max_links);
    CHECK_OK(provider_register(s->f.rt, &s->hook.provider));
    s->one = FIXTURE_PROG(&s->f, PROG_TYPE_XDP, DIALECT_LINUX, return_1);
    s->two = FIXTURE_PROG(&s->f, PROG_TYPE_XDP, DIALECT_LINUX, return_2);
    return s->one != NULL && s->two != NULL;
}

static void scene_close(struct scene *s)
{
    object_release(prog_object(s->one));
    object_release(prog_object(s->two));
    provider_unregister(s->f.rt, &s->hook.provider);
    CHECK_EQ(s->hook.attached, s->hook.detached);
    fixture_close(&s->f);
}

static struct link *make_link(struct scene *s, struct prog *g, uint32_t ifindex)
{
    struct attach_params params = {.ifindex = ifindex};
    struct link *l = NULL;
    CHECK_OK(link_create(s->f.rt, g, ATTACH_TYPE_XDP, &params, &l));
    return l;
}

static uint64_t invoke(struct scene *s, struct link *l)
{
    uint64_t r0 = 99;
    CHECK_OK(link_invoke(l, &s->context, &r0));
    return r0;
}

static void attach_invoke_detach(void)
{
    struct scene s;
    struct link_info info;
    struct prog_info prog;
    uint64_t r0 = 99;
    REQUIRE(scene_open(&s, 1));
    struct link *l = make_link(&s, s.one, 7);
    REQUIRE(l != NULL);
    CHECK(s.hook.link == l);
    CHECK_EQ(invoke(&s, l), 1);
    CHECK_EQ(invoke(&s, l), 1);
    link_info(l, &info);
    CHECK_EQ(info.id, object_id(link_object(l)));
    CHECK_EQ(info.id, link_id(l));
    CHECK_EQ(info.prog_id, object_id(prog_object(s.one)));
    CHECK(info.attach_type == ATTACH_TYPE_XDP && info.params.ifindex == 7);
    CHECK(info.attached == 1 && info.invoke_count == 2);
    CHECK_EQ(link_dialect(l), DIALECT_LINUX);
    prog_info(s.one, &prog);
    CHECK(prog.link_count == 1 && prog.run_count == 2);
    link_detach(l);
    CHECK_EQ(s.hook.detached, 1);
    CHECK_EQ(link_invoke(l, &s.context, &r0), EBPF_INVALID_STATE);
    CHECK_EQ(r0, 99);
    link_detach(l); // idempotent
    CHECK_EQ(s.hook.detached, 1);
    link_info(l, &info);
    CHECK(info.attached == 0 && info.prog_id == object_id(prog_object(s.one)));
    CHECK(link_from_object(link_object(l)) == l);
    object_release(link_object(l));
    CHECK_EQ(object_count(s.f.rt, OBJECT_LINK), 0);
    scene_close(&s);
}

static void last_release_detaches(void)
{
    struct scene s;
    struct prog_info info;
    REQUIRE(scene_open(&s, 1));
    struct link *l = make_link(&s, s.one, 7);
    REQUIRE(l != NULL);
    object_release(link_object(l));
    CHECK_EQ(s.hook.detached, 1);
    epoch_synchronize(s.f.rt);
    prog_info(s.one, &info);
    CHECK_EQ(info.link_count, 0);
    scene_close(&s);
}

static void refusals(void)
{
    struct scene s;
    struct link *l = NULL;
    struct attach_params params = {.ifindex = 7};
    struct prog_info info;
    REQUIRE(scene_open(&s, 1));
    struct prog *raw = FIXTURE_PROG(&s.f, PROG_TYPE_RAW_MEMORY, DIALECT_LINUX, return_1);
    REQUIRE(raw != NULL);
    CHECK_EQ(link_create(s.f.rt, raw, ATTACH_TYPE_XDP, &params, &l), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(link_create(s.f.rt, s.one, ATTACH_TYPE_BIND, &params, &l), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(link_create(s.f.rt, s.one, ATTACH_TYPE_NONE, &params, &l), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(link_create(s.f.rt, s.one, 1000, &params, &l), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(link_create(s.f.rt, raw, ATTACH_TYPE_RAW_MEMORY, &params, &l), EBPF_EXTENSION_FAILED_TO_LOAD);
    s.hook.attach_result = EBPF_ACCESS_DENIED; // the hook's own answer comes through
    CHECK_EQ(link_create(s.f.rt, s.one, ATTACH_TYPE_XDP, &params, &l), EBPF_ACCESS_DENIED);
    CHECK(l == NULL);
    CHECK_EQ(object_count(s.f.rt, OBJECT_LINK), 0);
    epoch_synchronize(s.f.rt);
    prog_info(s.one, &info);
    CHECK_EQ(info.link_count, 0);
    s.hook.attach_result = EBPF_SUCCESS;
    l = make_link(&s, s.one, 7); // the point is free again
    REQUIRE(l != NULL);
    object_release(link_object(l));
    object_release(prog_object(raw));
    scene_close(&s);
}

static void points_are_exclusive(void)
{
    struct scene s;
    struct link *a, *b, *c = NULL;
    struct attach_params params = {.ifindex = 7};
    REQUIRE(scene_open(&s, 1));
    a = make_link(&s, s.one, 7);
    b = make_link(&s, s.one, 8);
    REQUIRE(a != NULL && b != NULL);
    CHECK_EQ(link_create(s.f.rt, s.two, ATTACH_TYPE_XDP, &params, &c), EBPF_INVALID_STATE);
    CHECK(c == NULL);
    link_detach(a);
    c = make_link(&s, s.two, 7);
    REQUIRE(c != NULL);
    object_release(link_object(a));
    object_release(link_object(b));
    object_release(link_object(c));
    scene_close(&s);
}

static void points_can_be_shared(void)
{
    struct scene s;
    struct link *links[3];
    struct attach_params params = {.ifindex = 7};
    struct link *extra = NULL;
    REQUIRE(scene_open(&s, 3));
    for (int i = 0; i < 3; i++) {
        links[i] = make_link(&s, s.one, 7);
        REQUIRE(links[i] != NULL);
    }
    CHECK_EQ(link_create(s.f.rt, s.two, ATTACH_TYPE_XDP, &params, &extra), EBPF_INVALID_STATE);
    for (int i = 0; i < 3; i++) {
        object_release(link_object(links[i]));
    }
    scene_close(&s);
}

static void update_swaps_the_program(void)
{
    struct scene s;
    struct prog *windows, *raw;
    struct prog_info one, two;
    REQUIRE(scene_open(&s, 1));
    struct link *l = make_link(&s, s.one, 7);
    windows = FIXTURE_PROG(&s.f, PROG_TYPE_XDP, DIALECT_WINDOWS, return_2);
    raw = FIXTURE_PROG(&s.f, PROG_TYPE_RAW_MEMORY, DIALECT_LINUX, return_2);
    REQUIRE(l != NULL && windows != NULL && raw != NULL);
    CHECK_EQ(link_update(l, s.two, s.two), EBPF_INVALID_STATE); // not what is there
    CHECK_EQ(invoke(&s, l), 1);
    CHECK_OK(link_update(l, s.two, s.one));
    CHECK_EQ(invoke(&s, l), 2);
    CHECK_OK(link_update(l, s.one, NULL));
    CHECK_EQ(invoke(&s, l), 1);
    CHECK_OK(link_update(l, s.one, NULL)); // with itself
    CHECK_EQ(link_update(l, windows, NULL), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(link_update(l, raw, NULL), EBPF_INVALID_ARGUMENT);
    prog_info(s.one, &one);
    prog_info(s.two, &two);
    CHECK(one.link_count == 1 && two.link_count == 0);
    CHECK(s.hook.attached == 1 && s.hook.detached == 0); // the hook is not asked
    link_detach(l);
    CHECK_EQ(link_update(l, s.two, NULL), EBPF_INVALID_STATE);
    object_release(prog_object(windows));
    object_release(prog_object(raw));
    object_release(link_object(l));
    scene_close(&s);
}

// The verifier knows an upper limit of the data, so programs see no more.
static void too_much_data_is_refused(void)
{
    struct scene s;
    uint64_t r0 = 99;
    REQUIRE(scene_open(&s, 1));
    struct link *l = make_link(&s, s.one, 7);
    REQUIRE(l != NULL);
    s.context.packet.data = (uint8_t *)(uintptr_t)0x10000; // nobody looks at it
    s.context.packet.data_end = s.context.packet.data + RUN_MAX_DATA + 1;
    CHECK_EQ(link_invoke(l, &s.context, &r0), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(r0, 99);
    s.context.packet.data_end--;
    CHECK_OK(link_invoke(l, &s.context, &r0));
    link_detach(l);
    object_release(link_object(l));
    scene_close(&s);
}

static void one_provider_a_type(void)
{
    struct scene s;
    struct fixture_hook other;
    uint64_t r0 = 0;
    struct attach_params params = {.ifindex = 9};
    REQUIRE(scene_open(&s, 1));
    fixture_hook_init(&other, ATTACH_TYPE_XDP, 1);
    CHECK_EQ(provider_register(s.f.rt, &other.provider), EBPF_OBJECT_ALREADY_EXISTS);
    provider_unregister(s.f.rt, &other.provider); // was not registered: nothing happens
    other.provider.attach_type = ATTACH_TYPE_NONE;
    CHECK_EQ(provider_register(s.f.rt, &other.provider), EBPF_INVALID_ARGUMENT);
    other.provider.attach_type = ATTACH_TYPE_COUNT;
    CHECK_EQ(provider_register(s.f.rt, &other.provider), EBPF_INVALID_ARGUMENT);
    struct link *l = make_link(&s, s.one, 7);
    REQUIRE(l != NULL);
    provider_unregister(s.f.rt, &s.hook.provider); // detaches its links
    CHECK_EQ(s.hook.detached, 1);
    CHECK_EQ(link_invoke(l, &s.context, &r0), EBPF_INVALID_STATE);
    object_release(link_object(l));
    l = NULL;
    CHECK_EQ(link_create(s.f.rt, s.one, ATTACH_TYPE_XDP, &params, &l), EBPF_EXTENSION_FAILED_TO_LOAD);
    other.provider.attach_type = ATTACH_TYPE_XDP;
    CHECK_OK(provider_register(s.f.rt, &other.provider));
    provider_unregister(s.f.rt, &other.provider);
    CHECK_OK(provider_register(s.f.rt, &s.hook.provider));
    scene_close(&s);
}

// --- invocations while links change --------------------------------------------------------------

struct storm {
    struct scene s;
    struct link *link;
    uint32_t stop, wrong;
};

static void invoke_in_batches(void *user)
{
    struct storm *t = user;
    while (__atomic_load_n(&t->stop, __ATOMIC_RELAXED) == 0) {
        link_batch_begin(t->s.f.rt);
        for (int i = 0; i < 8; i++) {
            uint64_t r0 = 0;
            ebpf_result_t result = link_batch_invoke(t->link, &t->s.context, &r0);
            if (result != EBPF_INVALID_STATE && (result != EBPF_SUCCESS || (r0 != 1 && r0 != 2))) {
                __atomic_store_n(&t->wrong, 1, __ATOMIC_RELAXED);
            }
        }
        link_batch_end(t->s.f.rt);
    }
}

// Programs are swapped, and the old ones freed, under a hook that never stops.
static void swaps_do_not_disturb_runs(void)
{
    static struct storm t;
    struct plat_thread *threads[2];
    struct link_info info;
    memset(&t, 0, sizeof(t));
    REQUIRE(scene_open(&t.s, 1));
    t.link = make_link(&t.s, t.s.one, 7);
    REQUIRE(t.link != NULL);
    for (int i = 0; i < 2; i++) {
        REQUIRE_OK(plat_thread_create(invoke_in_batches, &t, &threads[i]));
    }
    for (int i = 0; i < 200; i++) {
        struct prog *fresh = FIXTURE_PROG(&t.s.f, PROG_TYPE_XDP, DIALECT_LINUX, return_2);
        if (fresh != NULL) {
            CHECK_OK(link_update(t.link, fresh, NULL));
            object_release(prog_object(fresh));
        }
    }
    link_detach(t.link);
    link_info(t.link, &info);
    __atomic_store_n(&t.stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++) {
        plat_thread_join(threads[i]);
    }
    CHECK_EQ(t.wrong, 0);
    {
        struct link_info after;
        link_info(t.link, &after);
        CHECK_EQ(after.invoke_count, info.invoke_count); // none began after detach returned
    }
    object_release(link_object(t.link));
    scene_close(&t.s);
}

// --- a run that stands still ---------------------------------------------------------------------

struct bystander {
    struct runtime *rt;
    struct link *link;
    uint32_t inside, may_leave, done;
};

static void stand_inside(void *user)
{
    struct bystander *b = user;
    epoch_enter(b->rt);
    __atomic_store_n(&b->inside, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&b->may_leave, __ATOMIC_SEQ_CST) == 0) {
    }
    epoch_exit(b->rt);
}

static void detach_link(void *user)
{
    struct bystander *b = user;
    link_detach(b->link);
    __atomic_store_n(&b->done, 1, __ATOMIC_SEQ_CST);
}

static void start_inside(struct bystander *b, struct runtime *rt, struct plat_thread **thread)
{
    *b = (struct bystander){.rt = rt};
    CHECK_OK(plat_thread_create(stand_inside, b, thread));
    while (__atomic_load_n(&b->inside, __ATOMIC_SEQ_CST) == 0) {
        plat_yield();
    }
}

static void detach_waits_for_runs(void)
{
    struct scene s;
    struct bystander b;
    struct plat_thread *inside, *detaching;
    REQUIRE(scene_open(&s, 1));
    start_inside(&b, s.f.rt, &inside);
    b.link = make_link(&s, s.one, 7);
    REQUIRE(b.link != NULL);
    REQUIRE_OK(plat_thread_create(detach_link, &b, &detaching));
    plat_sleep_us(2000);
    CHECK_EQ(__atomic_load_n(&b.done, __ATOMIC_SEQ_CST), 0);
    __atomic_store_n(&b.may_leave, 1, __ATOMIC_SEQ_CST);
    plat_thread_join(detaching);
    plat_thread_join(inside);
    CHECK_EQ(b.done, 1);
    object_release(link_object(b.link));
    scene_close(&s);
}

static void replaced_programs_stay_for_runs(void)
{
    struct scene s;
    struct bystander b;
    struct plat_thread *inside;
    if (plat_cpu_count() < 2) {
        SKIP("needs two CPU slots");
    }
    REQUIRE(scene_open(&s, 1));
    struct prog *fresh = FIXTURE_PROG(&s.f, PROG_TYPE_XDP, DIALECT_LINUX, return_2);
    REQUIRE(fresh != NULL);
    struct link *l = make_link(&s, fresh, 7);
    REQUIRE(l != NULL);
    object_release(prog_object(fresh));
    start_inside(&b, s.f.rt, &inside);
    uint64_t live = plat_sim_live_count();
    CHECK_OK(link_update(l, s.one, NULL));
    CHECK_EQ(plat_sim_live_count(), live);
    __atomic_store_n(&b.may_leave, 1, __ATOMIC_SEQ_CST);
    plat_thread_join(inside);
    epoch_synchronize(s.f.rt);
    CHECK(plat_sim_live_count() < live);
    object_release(link_object(l));
    scene_close(&s);
}

// Says in its map that it runs, and waits there for a number other than 0, which it returns.
static const struct insn wait_in_map[] = {I2(LDDW_MAP_VALUE, 1, 0),  I(STDW, 1, 0, 0, 1),
                                          I(MOV64_IMM, 0, 0, 0, 0),  I(ATOMIC_FETCH_ADD64, 1, 0, 8, 0),
                                          I(JEQ64_IMM, 0, 0, -3, 0), I(EXIT, 0, 0, 0, 0)};

struct waiting_run {
    struct scene s;
    struct link *link;
    uint64_t r0;
    ebpf_result_t result;
};

static void run_waiting(void *user)
{
    struct waiting_run *w = user;
    w->result = link_invoke(w->link, &w->s.context, &w->r0);
}

// Makes the link the only holder of the program that waits, and starts a run of it.
static bool start_waiting(struct waiting_run *w, struct map *m, struct plat_thread **thread)
{
    struct fixture_program p;
    struct prog *g = NULL;
    uint32_t key = 0;
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, wait_in_map, ARRAY_SIZE(wait_in_map));
    CHECK_OK(fixture_load(&w->s.f, &p, &m, 1, &g));
    w->link = g != NULL ? make_link(&w->s, g, 7) : NULL;
    if (w->link == NULL) {
        return false;
    }
    object_release(prog_object(g));
    CHECK_OK(plat_thread_create(run_waiting, w, thread));
    while (__atomic_load_n((uint64_t *)(void *)map_lookup(m, &key), __ATOMIC_SEQ_CST) == 0) {
        plat_yield();
    }
    return true;
}

// The run goes on in code that nobody has any more, and the code goes after it.
static void a_program_ends_while_it_runs(void)
{
    static struct waiting_run w;
    struct plat_thread *thread = NULL;
    uint32_t key = 0;
    if (plat_cpu_count() < 2) {
        SKIP("needs two CPU slots");
    }
    memset(&w, 0, sizeof(w));
    REQUIRE(scene_open(&w.s, 1));
    struct map *m = fixture_map(&w.s.f, MAP_TYPE_ARRAY, 4, 16, 1);
    REQUIRE(m != NULL && start_waiting(&w, m, &thread));
    uint64_t live = plat_sim_live_count();
    CHECK_OK(link_update(w.link, w.s.one, NULL));
    CHECK_EQ(plat_sim_live_count(), live);
    for (int i = 0; i < 20; i++) { // whose code would take the place
        object_release(prog_object(FIXTURE_PROG(&w.s.f, PROG_TYPE_XDP, DIALECT_LINUX, return_2)));
    }
    CHECK_EQ(invoke(&w.s, w.link), 1); // the new one runs meanwhile
    __atomic_store_n((uint64_t *)(void *)(map_lookup(m, &key) + 8), 77, __ATOMIC_SEQ_CST);
    plat_thread_join(thread);
    CHECK_OK(w.result);
    CHECK_EQ(w.r0, 77);
    epoch_synchronize(w.s.f.rt);
    CHECK(plat_sim_live_count() < live);
    object_release(link_object(w.link));
    object_release(map_object(m));
    scene_close(&w.s);
}

TEST_SUITE(link)
{
    RUN(attach_invoke_detach);
    RUN(a_program_ends_while_it_runs);
    RUN(last_release_detaches);
    RUN(refusals);
    RUN(points_are_exclusive);
    RUN(points_can_be_shared);
    RUN(update_swaps_the_program);
    RUN(too_much_data_is_refused);
    RUN(one_provider_a_type);
    RUN(swaps_do_not_disturb_runs);
    RUN(detach_waits_for_runs);
    RUN(replaced_programs_stay_for_runs);
}
