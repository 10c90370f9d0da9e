// SPDX-License-Identifier: MIT
// Native modules under threads: images that come and go, by their holders and by themselves, while others
// load their programs, bind their maps and run into them by tail calls. Images are memory that is freed when
// they go, so that sanitizers see who comes too late.
#include "runtime/fixture.h"
#include "tests/tiny_module.h"

#define ROUNDS    100u    // of each thread
#define BIND_LATE 100000u // turns of a binder after the others have stopped

struct storm {
    struct fixture f;
    struct map *programs; // `jump` goes on with element 1
    struct prog *jump;
    struct tiny_module *image; // the one with an id, owned by its thread; others find it by the id
    struct module *rows;       // tiny[0]: two threads want its maps
    uint32_t gone;             // images that their holders let go
    uint32_t wrong;            // what should not be seen
    uint32_t bound, refused;   // attempts at the rows
    uint32_t stop;
};
static struct storm s;
static const uint8_t image_id[MODULE_ID_SIZE] = {3};

static void count(uint32_t *counter)
{
    __atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
}

static void expect(bool condition)
{
    if (!condition) {
        count(&s.wrong);
    }
}

// As tests of one thread have it: a different order each time, the same ones in every run of the test.
static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

// --- images --------------------------------------------------------------------------------------

static struct tiny_module *make_image(void)
{
    struct tiny_module *t = plat_alloc(sizeof(*t), POOL_TAG_OBJECT);
    if (t != NULL) {
        memcpy(t, &tiny[1], sizeof(*t));
        tiny_set_table(t);
        for (unsigned i = 0; i < TINY_PROGRAMS; i++) {
            t->programs[i].entry = tiny_run_answer; // the others have their data in tiny[]
        }
    }
    return t;
}

static void free_image(void *user)
{
    memset(user, 0xee, sizeof(struct tiny_module));
    plat_free(user);
    count(&s.gone);
}

static void ignore_idle(void *user, struct module *m)
{
    const struct tiny_module *t = user;
    expect(m != NULL && t->table.magic == EBPF_NATIVE_MAGIC); // it is there as long as it is asked
}

static ebpf_result_t load(struct module *m, uint32_t index, struct map *map, struct prog **out)
{
    char why[MODULE_WHY_SIZE];
    struct fixture_program p;
    struct map_info info;
    const struct tiny_source *source = &tiny_sources[index];
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, source->insns, source->insn_count);
    if (map != NULL) {
        map_info(map, &info);
        p.maps[0] = info.def;
        p.program.map_count = 1;
    }
    return prog_load_native(s.f.rt, &p.program, &map, &p.bytes, m, index, why, out);
}

static ebpf_result_t run(struct prog *g, uint64_t *r0)
{
    struct xdp_context x = {.ingress_ifindex = 7};
    struct run r = {.context = &x, .r1 = (uintptr_t)&x};
    epoch_enter(s.f.rt);
    ebpf_result_t result = prog_run(g, &r, r0);
    epoch_exit(s.f.rt);
    return result;
}

static void run_or_not(struct prog *g)
{
    uint64_t r0 = 42;
    ebpf_result_t result = run(g, &r0);
    expect((result == EBPF_SUCCESS || result == EBPF_INVALID_STATE) && r0 == 42);
}

// --- threads -------------------------------------------------------------------------------------

// An image that goes with its last holder: handle, program, program in the array, in any order.
static void hold(void *user)
{
    uint32_t seed = (uint32_t)(uintptr_t)user, index = 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char why[MODULE_WHY_SIZE];
        struct tiny_module *t = make_image();
        struct module *m = NULL;
        struct prog *g = NULL;
        const struct module_source source = {.table = &t->table, .gone = free_image, .user = t};
        expect(module_register(s.f.rt, &source, why, &m) == EBPF_SUCCESS);
        expect(load(m, TINY_ANSWER, NULL, &g) == EBPF_SUCCESS);
        if (next(&seed) % 2 != 0) {
            object_release(module_object(m));
            m = NULL;
        }
        expect(map_user_set_program(s.programs, &index, g, UPDATE_ANY) == EBPF_SUCCESS);
        run_or_not(g);
        object_release(prog_object(g));
        if (m != NULL && next(&seed) % 2 != 0) {
            module_revoke(m);
        }
        if (m != NULL) {
            object_release(module_object(m));
        }
    }
}

// An image that goes by itself, whoever holds it.
static void come_and_go(void *user)
{
    uint32_t seed = (uint32_t)(uintptr_t)user;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char why[MODULE_WHY_SIZE];
        struct tiny_module *t = make_image();
        struct module *m = NULL;
        struct module_source source = {.table = &t->table, .idle = ignore_idle, .user = t};
        memcpy(source.id, image_id, sizeof(image_id));
        expect(module_register(s.f.rt, &source, why, &m) == EBPF_SUCCESS);
        module_keep_registered(m);
        plat_sleep_us(next(&seed) % 300);
        module_revoke(m);
        memset(t, 0xee, sizeof(*t));
        plat_free(t);
    }
    __atomic_store_n(&s.stop, 1, __ATOMIC_SEQ_CST);
}

static bool goes_on(void)
{
    return __atomic_load_n(&s.stop, __ATOMIC_SEQ_CST) == 0;
}

// Opens the image of come_and_go and has its program run, as long as there is one.
static void visit(void *user)
{
    uint32_t seed = (uint32_t)(uintptr_t)user, index = 2;
    while (goes_on()) {
        struct module *m = NULL;
        struct prog *g = NULL;
        if (module_by_id(s.f.rt, image_id, &m) != EBPF_SUCCESS) {
            plat_yield();
            continue;
        }
        ebpf_result_t result = load(m, TINY_ANSWER, NULL, &g);
        expect(result == EBPF_SUCCESS || result == EBPF_INVALID_STATE);
        bool first = next(&seed) % 2 != 0;
        if (first) {
            object_release(module_object(m));
        }
        if (g != NULL) {
            run_or_not(g);
            expect(map_user_set_program(s.programs, &index, g, UPDATE_ANY) == EBPF_SUCCESS);
            object_release(prog_object(g));
        }
        if (!first) {
            object_release(module_object(m));
        }
    }
}

// Wants the rows of one instance for a map of its own: the runs count there and nowhere else. On a busy
// machine it may be refused until the others have stopped: then it gets them.
static void bind(void *user)
{
    struct map *values = user;
    uint64_t runs = 0, value = 0, r0 = 0;
    uint32_t key = 1;
    for (uint32_t late = 0; goes_on() || (runs == 0 && late < BIND_LATE); late += !goes_on()) {
        struct prog *g = NULL;
        ebpf_result_t result = load(s.rows, TINY_COUNT, values, &g);
        count(result == EBPF_SUCCESS ? &s.bound : &s.refused);
        expect(result == EBPF_SUCCESS || result == EBPF_INVALID_STATE);
        if (result == EBPF_SUCCESS) {
            expect(run(g, &r0) == EBPF_SUCCESS && r0 == ++runs);
            object_release(prog_object(g));
        }
        plat_yield();
    }
    expect(map_user_lookup(values, &key, &value) == EBPF_SUCCESS && value == runs);
}

static void jump(void *user)
{
    UNUSED(user);
    while (goes_on()) {
        uint64_t r0 = 0;
        expect(run(s.jump, &r0) == EBPF_SUCCESS && (r0 == 42 || r0 == 77));
    }
}

// --- the case ------------------------------------------------------------------------------------

static bool begin(void)
{
    struct fixture_program p;
    char why[MODULE_WHY_SIZE];
    const struct module_source source = {.table = &tiny_module_reset(0)->table};
    (void)tiny_module_reset(1);
    s = (struct storm){.wrong = 0};
    if (!fixture_open(&s.f)) {
        return false;
    }
    s.programs = fixture_map(&s.f, MAP_TYPE_PROG_ARRAY, 4, 4, 4);
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, tiny_jump, ARRAY_SIZE(tiny_jump));
    CHECK_OK(fixture_load(&s.f, &p, &s.programs, 1, &s.jump));
    CHECK_OK(module_register(s.f.rt, &source, why, &s.rows));
    return true;
}

static void end(struct map *const values[2])
{
    object_release(prog_object(s.jump));
    object_release(map_object(s.programs));
    object_release(map_object(values[0]));
    object_release(map_object(values[1]));
    object_release(module_object(s.rows));
    fixture_close(&s.f);
}

static void images_come_and_go_under_threads(void)
{
    struct plat_thread *threads[7];
    REQUIRE(begin());
    struct map *values[2] = {fixture_map(&s.f, MAP_TYPE_ARRAY, 4, 8, 4),
                             fixture_map(&s.f, MAP_TYPE_ARRAY, 4, 8, 4)};
    const struct {
        void (*fn)(void *user);
        void *user;
    } all[ARRAY_SIZE(threads)] = {
        {hold, (void *)1}, {hold, (void *)2}, {come_and_go, (void *)3}, {visit, (void *)4},
        {jump, NULL},      {bind, values[0]}, {bind, values[1]},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        REQUIRE_OK(plat_thread_create(all[i].fn, all[i].user, &threads[i]));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        plat_thread_join(threads[i]);
    }
    CHECK_EQ(s.wrong, 0);
    CHECK(s.bound != 0);
    end(values);
    CHECK_EQ(s.gone, 2 * ROUNDS);
}

TEST_SUITE(module_stress)
{
    RUN(images_come_and_go_under_threads);
}
