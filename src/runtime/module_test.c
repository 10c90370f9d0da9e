// SPDX-License-Identifier: MIT
// Native modules made by hand: how their programs run, who outlives whom, and what revoking them does.
#include "runtime/module_fixture.h"

// --- running -------------------------------------------------------------------------------------

static void programs_run(void)
{
    REQUIRE(open());
    struct map *values = make_values();
    struct module *m = add(&tiny[0], 0);
    struct prog *answer = load(m, TINY_ANSWER, NULL), *count = load(m, TINY_COUNT, values);
    uint32_t key = 1;
    uint64_t value = 0;
    CHECK_EQ(result_of(answer), 42);
    CHECK_EQ(result_of(count), 1);
    CHECK_EQ(result_of(count), 2);
    CHECK_OK(map_user_lookup(values, &key, &value));
    CHECK_EQ(value, 2);
    drop_prog(answer);
    drop_prog(count);
    drop(m);
    drop_map(values);
    fixture_close(&f);
    CHECK_EQ(gone, 1);
    CHECK_EQ(asked, 0);
}

static void others_are_told(void)
{
    struct module_info info;
    struct prog_info prog;
    struct module_program row;
    REQUIRE(open());
    struct module *m = add(&tiny[0], 0);
    struct prog *g = load(m, TINY_ANSWER, NULL);
    module_info(m, &info);
    CHECK_STR(info.name, "tiny");
    CHECK_STR(info.generator, "by hand");
    CHECK(info.program_count == TINY_PROGRAMS && info.map_count == TINY_MAPS && !info.revoked);
    CHECK_EQ(info.id, object_id(module_object(m)));
    prog_info(g, &prog);
    CHECK_STR(prog.module, "tiny");
    CHECK(!prog.revoked);
    CHECK_EQ(prog.module_id, info.id);
    CHECK_EQ(prog.jited_size, 0);
    CHECK(module_from_object(module_object(m)) == m);
    CHECK(module_from_object(prog_object(g)) == NULL);
    CHECK(prog_from_object(module_object(m)) == NULL);
    CHECK_OK(module_enter(m));
    CHECK_OK(module_program(m, TINY_JUMP, &row));
    CHECK_STR(row.name, "jump");
    CHECK(row.map_count == 1 && row.maps[0] == TINY_MAP_PROGRAMS && row.canonical_size == 3);
    CHECK_EQ(module_program(m, TINY_PROGRAMS, &row), EBPF_NO_MORE_KEYS);
    module_leave(m);
    drop_prog(g);
    drop(m);
    fixture_close(&f);
}

// The code of either kind goes on with that of the other.
static void tail_calls_go_both_ways(void)
{
    static const struct insn return_5[] = {TINY_INSN(MOV64_IMM, 0, 0, 0, 5), TINY_INSN(EXIT, 0, 0, 0, 0)};
    struct fixture_program p;
    struct prog *translated = NULL;
    REQUIRE(open());
    struct map *to_native = make_programs(), *to_translated = make_programs();
    struct module *m = add(&tiny[0], 0), *other = add(&tiny[1], 0);
    struct prog *answer = load(m, TINY_ANSWER, NULL);
    struct prog *five = FIXTURE_PROG(&f, PROG_TYPE_XDP, DIALECT_LINUX, return_5);
    struct prog *native = load(m, TINY_JUMP, to_translated), *to_own = load(other, TINY_JUMP, to_native);
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, tiny_jump, ARRAY_SIZE(tiny_jump));
    CHECK_OK(fixture_load(&f, &p, &to_native, 1, &translated));
    CHECK_EQ(result_of(native), 77); // nothing there yet
    CHECK_OK(set_program(to_native, answer));
    CHECK_OK(set_program(to_translated, five));
    CHECK_EQ(result_of(translated), 42);
    CHECK_EQ(result_of(native), 5);
    CHECK_EQ(result_of(to_own), 42);
    CHECK_OK(set_program(to_translated, translated)); // native -> translated -> native
    CHECK_EQ(result_of(native), 42);
    CHECK_OK(set_program(to_native, native)); // round and round: ends after the 33rd
    CHECK_EQ(result_of(native), 77);
    module_revoke(m);
    CHECK_EQ(result_of(translated), 77); // what is revoked is not there
    drop_prog(translated);
    drop_prog(answer);
    drop_prog(five);
    drop_prog(native);
    drop_prog(to_own);
    drop(m);
    drop(other);
    drop_map(to_native);
    drop_map(to_translated);
    fixture_close(&f);
    CHECK_EQ(gone, 2);
}

// --- who outlives whom ---------------------------------------------------------------------------

static void programs_keep_their_module(void)
{
    REQUIRE(open());
    struct module *m = add(&tiny[0], 0);
    struct prog *g = load(m, TINY_ANSWER, NULL), *h = load(m, TINY_ANSWER, NULL);
    drop(m);
    epoch_synchronize(f.rt);
    CHECK_EQ(gone, 0);
    CHECK_EQ(result_of(g), 42);
    drop_prog(g);
    CHECK_EQ(result_of(h), 42);
    CHECK_EQ(gone, 0);
    drop_prog(h); // and it takes no other call
    CHECK_EQ(gone, 1);
    fixture_close(&f);
    CHECK_EQ(gone, 1);
}

static void handles_keep_their_module(void)
{
    REQUIRE(open());
    struct module *m = add(&tiny[0], 0);
    drop_prog(load(m, TINY_ANSWER, NULL));
    CHECK_EQ(gone, 0);
    drop_prog(load(m, TINY_ANSWER, NULL));
    CHECK_EQ(gone, 0);
    drop(m);
    CHECK_EQ(gone, 1);
    fixture_close(&f);
}

static void instances_are_apart(void)
{
    REQUIRE(open());
    struct map *a = make_values(), *b = make_values();
    struct module *one = add(&tiny[0], 0), *two = add(&tiny[1], 0);
    CHECK(object_id(module_object(one)) != object_id(module_object(two)));
    struct prog *g = load(one, TINY_COUNT, a), *h = load(two, TINY_COUNT, b);
    CHECK_EQ(result_of(g), 1);
    CHECK_EQ(result_of(g), 2);
    CHECK_EQ(result_of(h), 1);
    drop_prog(g);
    drop(one);
    CHECK_EQ(gone, 1);
    CHECK_EQ(result_of(h), 2);
    drop_prog(h);
    drop(two);
    drop_map(a);
    drop_map(b);
    fixture_close(&f);
    CHECK_EQ(gone, 2);
}

static void modules_are_found_by_id(void)
{
    static const uint8_t one[MODULE_ID_SIZE] = {1}, two[MODULE_ID_SIZE] = {2}, none[MODULE_ID_SIZE];
    struct module *found = NULL;
    REQUIRE(open());
    struct module *m = add(&tiny[0], 1), *unnamed = add(&tiny[1], 0);
    struct module_source same = source_of(&tiny[1], 1);
    CHECK_EQ(module_register(f.rt, &same, why, &found), EBPF_OBJECT_ALREADY_EXISTS);
    CHECK_STR(why, "another native module has this id");
    CHECK_EQ(module_by_id(f.rt, two, &found), EBPF_OBJECT_NOT_FOUND);
    CHECK_EQ(module_by_id(f.rt, none, &found), EBPF_OBJECT_NOT_FOUND);
    CHECK_OK(module_by_id(f.rt, one, &found));
    CHECK(found == m);
    drop(found);
    module_revoke(m);
    CHECK_EQ(module_by_id(f.rt, one, &found), EBPF_OBJECT_NOT_FOUND);
    drop(m);
    drop(unnamed);
    fixture_close(&f);
}

// --- revoking ------------------------------------------------------------------------------------

static void revoked_programs_stay_and_do_not_run(void)
{
    uint64_t r0 = 0xdead;
    struct module_info info;
    struct prog_info prog;
    struct test_run t = {.repeat = 1};
    struct prog *none = NULL;
    REQUIRE(open());
    struct map *values = make_values();
    struct module *m = add(&tiny[0], 0);
    struct prog *g = load(m, TINY_COUNT, values);
    CHECK_EQ(result_of(g), 1);
    module_revoke(m);
    module_revoke(m);                        // does no harm
    memset(&tiny[0], 0xee, sizeof(tiny[0])); // the image is gone
    CHECK_EQ(run(g, &r0), EBPF_INVALID_STATE);
    CHECK_EQ(r0, 0xdead);
    CHECK(prog_test_run(g, &t) != EBPF_SUCCESS);
    module_info(m, &info);
    CHECK(info.revoked);
    CHECK_STR(info.name, "tiny");
    prog_info(g, &prog);
    CHECK_STR(prog.module, "tiny");
    CHECK(prog.revoked);
    CHECK_EQ(module_enter(m), EBPF_INVALID_STATE);
    CHECK_EQ(load_as(m, TINY_COUNT, &tiny_sources[TINY_COUNT], values, &none), EBPF_INVALID_STATE);
    CHECK_STR(why, "the native module is revoked: its image goes");
    drop_prog(g);
    drop(m);
    drop_map(values);
    fixture_close(&f);
    CHECK_EQ(gone, 1);
}

// A hook sees of a revoked program what it sees of a link that was detached.
static void links_of_revoked_programs_have_no_opinion(void)
{
    struct fixture_hook hook;
    struct attach_params params = {.ifindex = 7};
    struct xdp_context context = {.ingress_ifindex = 7};
    struct link *l = NULL;
    uint64_t r0 = 0;
    REQUIRE(open());
    fixture_hook_init(&hook, ATTACH_TYPE_XDP, 1);
    CHECK_OK(provider_register(f.rt, &hook.provider));
    struct module *m = add(&tiny[0], 0), *other = add(&tiny[1], 0);
    struct prog *g = load(m, TINY_ANSWER, NULL), *h = load(other, TINY_ANSWER, NULL);
    CHECK_OK(link_create(f.rt, g, ATTACH_TYPE_XDP, &params, &l));
    CHECK_OK(link_invoke(l, &context, &r0));
    CHECK_EQ(r0, 42);
    module_revoke(m);
    CHECK_EQ(link_invoke(l, &context, &r0), EBPF_INVALID_STATE);
    CHECK_OK(link_update(l, h, g)); // another instance takes its place
    CHECK_OK(link_invoke(l, &context, &r0));
    object_release(link_object(l));
    drop_prog(g);
    drop_prog(h);
    drop(m);
    drop(other);
    provider_unregister(f.rt, &hook.provider);
    fixture_close(&f);
}

// The image holds its module; whoever opened it before does not keep `idle` from being asked.
static void images_are_asked_when_nobody_is_left(void)
{
    static const uint8_t id[MODULE_ID_SIZE] = {9};
    struct module *found = NULL;
    REQUIRE(open());
    struct module *m = add(&tiny[0], 9);
    module_keep_registered(m);
    CHECK_EQ(asked, 0);
    CHECK_OK(module_by_id(f.rt, id, &found));
    struct prog *g = load(found, TINY_ANSWER, NULL);
    drop(found);
    CHECK_EQ(asked, 0);
    CHECK_EQ(result_of(g), 42);
    drop_prog(g);
    CHECK_EQ(asked, 1);
    CHECK_OK(module_by_id(f.rt, id, &found)); // it did not go after all
    drop(found);
    CHECK_EQ(asked, 2);
    CHECK_EQ(object_count(f.rt, OBJECT_MODULE), 1);
    module_revoke(m);
    fixture_close(&f);
    CHECK_EQ(gone, 0);
    CHECK_EQ(asked, 2);
}

static void images_may_go_first(void)
{
    static const uint8_t id[MODULE_ID_SIZE] = {9};
    struct module *found = NULL;
    uint64_t r0;
    REQUIRE(open());
    struct module *m = add(&tiny[0], 9);
    module_keep_registered(m);
    CHECK_OK(module_by_id(f.rt, id, &found));
    struct prog *g = load(found, TINY_ANSWER, NULL);
    module_revoke(m);
    memset(&tiny[0], 0xee, sizeof(tiny[0]));
    CHECK_EQ(run(g, &r0), EBPF_INVALID_STATE);
    drop(found);
    drop_prog(g);
    CHECK_EQ(asked, 0); // nobody is there to be asked
    fixture_close(&f);
    CHECK_EQ(gone, 0);
}

struct holder {
    struct prog *g;
    ebpf_result_t result;
    uint64_t r0;
};

static void run_held(void *user)
{
    struct holder *h = user;
    h->result = run(h->g, &h->r0);
}

static void let_go_later(void *user)
{
    UNUSED(user);
    plat_sleep_us(20000);
    __atomic_store_n(&tiny[0].may_go, 1, __ATOMIC_SEQ_CST);
}

// Waits for the run; nothing of the image is used when it returns.
static void revoking_waits_for_runs(void)
{
    struct plat_thread *runner, *opener;
    REQUIRE(open());
    if (plat_cpu_count() < 2) {
        fixture_close(&f);
        SKIP("one processor");
    }
    struct module *m = add(&tiny[0], 0);
    struct holder h = {.g = load(m, TINY_HOLD, NULL)};
    REQUIRE_OK(plat_thread_create(run_held, &h, &runner));
    while (__atomic_load_n(&tiny[0].holding, __ATOMIC_SEQ_CST) == 0) {
        plat_yield();
    }
    REQUIRE_OK(plat_thread_create(let_go_later, NULL, &opener));
    module_revoke(m);
    CHECK_EQ(__atomic_load_n(&tiny[0].may_go, __ATOMIC_SEQ_CST), 1);
    CHECK_EQ(__atomic_load_n(&tiny[0].holding, __ATOMIC_SEQ_CST), 0);
    plat_thread_join(runner);
    plat_thread_join(opener);
    CHECK_OK(h.result); // it had begun
    CHECK_EQ(h.r0, 42);
    CHECK_EQ(run(h.g, &h.r0), EBPF_INVALID_STATE);
    drop_prog(h.g);
    drop(m);
    fixture_close(&f);
}

static uint32_t has_left;

static void leave_later(void *user)
{
    plat_sleep_us(20000);
    __atomic_store_n(&has_left, 1, __ATOMIC_SEQ_CST);
    module_leave(user);
}

static void revoking_waits_for_readers(void)
{
    struct plat_thread *reader;
    REQUIRE(open());
    struct module *m = add(&tiny[0], 0);
    has_left = 0;
    CHECK_OK(module_enter(m));
    REQUIRE_OK(plat_thread_create(leave_later, m, &reader));
    module_revoke(m);
    CHECK_EQ(__atomic_load_n(&has_left, __ATOMIC_SEQ_CST), 1);
    plat_thread_join(reader);
    drop(m);
    fixture_close(&f);
}

// Runs and tail calls into the module on one thread, while it is revoked on another.
struct storm {
    struct prog *jump;
    uint32_t stop;
    uint64_t runs, wrong;
};

static void run_on(void *user)
{
    struct storm *s = user;
    while (__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST) == 0) {
        uint64_t r0 = result_of(s->jump);
        s->wrong += r0 != 42 && r0 != 77;
        __atomic_fetch_add(&s->runs, 1, __ATOMIC_SEQ_CST);
    }
}

static void revoking_meets_tail_calls(void)
{
    struct fixture_program p;
    struct storm s = {0};
    struct plat_thread *runner;
    REQUIRE(open());
    struct map *programs = make_programs();
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, tiny_jump, ARRAY_SIZE(tiny_jump));
    CHECK_OK(fixture_load(&f, &p, &programs, 1, &s.jump));
    REQUIRE_OK(plat_thread_create(run_on, &s, &runner));
    for (unsigned i = 0; i < 50; i++) {
        struct module *m = add(tiny_module_reset(0), 0);
        struct prog *g = load(m, TINY_ANSWER, NULL);
        CHECK_OK(set_program(programs, g));
        uint64_t before = __atomic_load_n(&s.runs, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&s.runs, __ATOMIC_SEQ_CST) - before < 3) {
            plat_yield();
        }
        module_revoke(m);
        memset(&tiny[0], 0, sizeof(tiny[0]));
        drop_prog(g);
        drop(m);
    }
    __atomic_store_n(&s.stop, 1, __ATOMIC_SEQ_CST);
    plat_thread_join(runner);
    CHECK_EQ(s.wrong, 0);
    CHECK(s.runs >= 150);
    drop_prog(s.jump);
    drop_map(programs);
    fixture_close(&f);
}

TEST_SUITE(module)
{
    RUN(programs_run);
    RUN(others_are_told);
    RUN(tail_calls_go_both_ways);
    RUN(programs_keep_their_module);
    RUN(handles_keep_their_module);
    RUN(instances_are_apart);
    RUN(modules_are_found_by_id);
    RUN(revoked_programs_stay_and_do_not_run);
    RUN(links_of_revoked_programs_have_no_opinion);
    RUN(images_are_asked_when_nobody_is_left);
    RUN(images_may_go_first);
    RUN(revoking_waits_for_runs);
    RUN(revoking_waits_for_readers);
    RUN(revoking_meets_tail_calls);
}
