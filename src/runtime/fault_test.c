// SPDX-License-Identifier: MIT
// Fault injection: every allocation on every path fails once. The call then says EBPF_NO_MEMORY, leaves
// nothing behind, and works when it is made again.
#include "runtime/fixture.h"
#include "tests/tiny_module.h"

#define ALLOCATIONS_MAX 100u

struct stage {
    struct fixture f;
    struct fixture_hook hook;
    struct map *map;
    struct prog *prog;
    uint32_t type; // of maps to create
};

static const struct insn use_map[] = {I2(LDDW_MAP, 1, 0), I(MOV64_IMM, 0, 0, 0, 1), I(EXIT, 0, 0, 0, 0)};

// Runs `attempt` with the n-th allocation failing, n = 1, 2, ... until nothing fails any more. `attempt`
// undoes what it did when it succeeds.
static void fail_each(struct stage *s, ebpf_result_t (*attempt)(struct stage *s), unsigned at_least)
{
    unsigned failed = 0;
    epoch_synchronize(s->f.rt);
    uint64_t live = plat_sim_live_count();
    for (uint64_t nth = 1; nth < ALLOCATIONS_MAX; nth++) {
        ebpf_result_t result;
        bool reached;
        plat_sim_fail_alloc(nth);
        result = attempt(s);
        reached = !plat_sim_fail_pending();
        plat_sim_fail_alloc(0);
        CHECK_EQ(result, reached ? EBPF_NO_MEMORY : EBPF_SUCCESS);
        epoch_synchronize(s->f.rt);
        epoch_synchronize(s->f.rt);
        CHECK_EQ(plat_sim_live_count(), live);
        if (!reached) {
            CHECK(failed >= at_least);
            return;
        }
        failed++;
    }
    CHECK(false); // never came to an end
}

static ebpf_result_t try_map_create(struct stage *s)
{
    struct map_def def = {.type = s->type, .key_size = 4, .value_size = 4, .max_entries = 10, .name = "m"};
    struct map *m;
    TRY(map_create(s->f.rt, &def, &m));
    object_release(map_object(m));
    return EBPF_SUCCESS;
}

static ebpf_result_t try_insert(struct stage *s)
{
    uint32_t key = 1;
    uint64_t value = 1;
    TRY(map_user_update(s->map, &key, &value, UPDATE_NOEXIST));
    return map_user_delete(s->map, &key);
}

static ebpf_result_t try_replace(struct stage *s)
{
    uint32_t key = 100;
    uint64_t value = 2;
    return map_user_update(s->map, &key, &value, UPDATE_EXIST);
}

static ebpf_result_t try_prog_load(struct stage *s)
{
    struct fixture_program p;
    struct prog *g;
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, use_map, ARRAY_SIZE(use_map));
    TRY(fixture_load(&s->f, &p, &s->map, 1, &g));
    object_release(prog_object(g));
    return EBPF_SUCCESS;
}

#if defined(EBPF_INTERPRETER)
static void see_nothing(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT])
{
    UNUSED(user);
    UNUSED(pc);
    UNUSED(regs);
}

static ebpf_result_t try_observed_load(struct stage *s)
{
    interp_set_observer(s->f.rt, see_nothing, NULL);
    ebpf_result_t result = try_prog_load(s);
    interp_set_observer(s->f.rt, NULL, NULL);
    return result;
}

#endif

static ebpf_result_t try_link_create(struct stage *s)
{
    struct attach_params params = {.ifindex = 3};
    struct link *l;
    TRY(link_create(s->f.rt, s->prog, ATTACH_TYPE_XDP, &params, &l));
    object_release(link_object(l));
    return EBPF_SUCCESS;
}

static ebpf_result_t try_pin(struct stage *s)
{
    TRY(pin_add(s->f.rt, "/p", map_object(s->map)));
    return pin_remove(s->f.rt, "/p");
}

static ebpf_result_t try_test_run(struct stage *s)
{
    uint8_t data[20] = {0};
    struct test_run t = {.data_in = data, .data_in_size = sizeof(data)};
    return prog_test_run(s->prog, &t);
}

static ebpf_result_t try_raw_run(struct stage *s)
{
    static const struct insn insns[] = {I(MOV64_IMM, 0, 0, 0, 1), I(EXIT, 0, 0, 0, 0)};
    struct raw_source raw = {.insns = insns, .insn_count = 2};
    uint64_t r0;
    return raw_prog_once(s->f.rt, fixture_engine, &raw, NULL, 0, &r0);
}

static ebpf_result_t load_tiny(struct stage *s, struct module *m, struct map *values)
{
    const struct tiny_source *source = &tiny_sources[TINY_COUNT];
    char why[MODULE_WHY_SIZE];
    struct fixture_program p;
    struct map_info info;
    struct prog *g;
    map_info(values, &info);
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, source->insns, source->insn_count);
    p.maps[0] = info.def;
    p.program.map_count = 1;
    TRY(prog_load_native(s->f.rt, &p.program, &values, &p.bytes, m, TINY_COUNT, why, &g));
    object_release(prog_object(g));
    return EBPF_SUCCESS;
}

// A failed load leaves the row of the map free: the next one has another map.
static ebpf_result_t try_module(struct stage *s)
{
    const struct module_source source = {.table = &tiny_module_reset(0)->table};
    const struct map_def def = {
        .type = MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 4, .name = "m"};
    char why[MODULE_WHY_SIZE];
    struct module *m;
    struct map *values;
    TRY(module_register(s->f.rt, &source, why, &m));
    ebpf_result_t result = map_create(s->f.rt, &def, &values);
    if (result == EBPF_SUCCESS) {
        result = load_tiny(s, m, values);
        object_release(map_object(values));
    }
    object_release(module_object(m));
    return result;
}

static void runtime_create_fails_cleanly(void)
{
    struct runtime_options options = {.spec = spec_builtin()};
    uint64_t live = plat_sim_live_count();
    for (uint64_t nth = 1; nth < ALLOCATIONS_MAX; nth++) {
        struct runtime *rt = NULL;
        ebpf_result_t result;
        bool reached;
        plat_sim_fail_alloc(nth);
        result = runtime_create(&options, &rt);
        reached = !plat_sim_fail_pending();
        plat_sim_fail_alloc(0);
        CHECK_EQ(result, reached ? EBPF_NO_MEMORY : EBPF_SUCCESS);
        if (result == EBPF_SUCCESS) {
            CHECK(nth > 3);
            runtime_destroy(rt);
            CHECK_EQ(plat_sim_live_count(), live);
            return;
        }
        CHECK(rt == NULL);
        CHECK_EQ(plat_sim_live_count(), live);
    }
    CHECK(false);
}

static bool stage_open(struct stage *s)
{
    struct fixture_program p;
    uint32_t key = 100;
    uint64_t value = 1;
    memset(s, 0, sizeof(*s));
    if (!fixture_open(&s->f)) {
        return false;
    }
    fixture_hook_init(&s->hook, ATTACH_TYPE_XDP, 1);
    CHECK_OK(provider_register(s->f.rt, &s->hook.provider));
    s->map = fixture_map(&s->f, MAP_TYPE_HASH, 4, 8, 4);
    if (s->map == NULL) {
        return false;
    }
    CHECK_OK(map_user_update(s->map, &key, &value, UPDATE_ANY));
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, use_map, ARRAY_SIZE(use_map));
    CHECK_OK(fixture_load(&s->f, &p, &s->map, 1, &s->prog));
    return s->prog != NULL;
}

static void stage_close(struct stage *s)
{
    object_release(prog_object(s->prog));
    object_release(map_object(s->map));
    provider_unregister(s->f.rt, &s->hook.provider);
    fixture_close(&s->f);
}

static void every_call_fails_cleanly(void)
{
    struct stage s;
    REQUIRE(stage_open(&s));
    for (s.type = 1; s.type < MAP_TYPE_RUN_COUNT; s.type++) {
        fail_each(&s, try_map_create, 2);
    }
    fail_each(&s, try_insert, 1);
    fail_each(&s, try_replace, 1);
    fail_each(&s, try_prog_load, 2);
#if defined(EBPF_INTERPRETER)
    fail_each(&s, try_observed_load, 2);
#endif
    if (fixture_engine == RUNTIME_JIT) {
        fail_each(&s, try_module, 6);
    }
    fail_each(&s, try_link_create, 2);
    fail_each(&s, try_pin, 1);
    fail_each(&s, try_test_run, 1);
    fail_each(&s, try_raw_run, 1);
    stage_close(&s);
}

// A failed update leaves the old value.
static void failed_updates_change_nothing(void)
{
    struct stage s;
    uint32_t key = 100, fresh = 5;
    uint64_t value = 2, out = 0;
    REQUIRE(stage_open(&s));
    plat_sim_fail_alloc(1);
    CHECK_EQ(map_user_update(s.map, &key, &value, UPDATE_ANY), EBPF_NO_MEMORY);
    plat_sim_fail_alloc(1);
    CHECK_EQ(map_user_update(s.map, &fresh, &value, UPDATE_ANY), EBPF_NO_MEMORY);
    plat_sim_fail_alloc(0);
    CHECK_OK(map_user_lookup(s.map, &key, &out));
    CHECK_EQ(out, 1);
    CHECK_EQ(map_user_lookup(s.map, &fresh, &out), EBPF_KEY_NOT_FOUND);
    for (fresh = 0; fresh < 3; fresh++) { // and takes no room
        CHECK_OK(map_user_update(s.map, &fresh, &value, UPDATE_NOEXIST));
    }
    stage_close(&s);
}

static void run_all(void)
{
    RUN(every_call_fails_cleanly);
    RUN(failed_updates_change_nothing);
}

TEST_SUITE(fault)
{
    RUN(runtime_create_fails_cleanly);
    fixture_for_each_engine(run_all);
}
