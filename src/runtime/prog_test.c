// SPDX-License-Identifier: MIT
// Tests of loading: maps, helpers and context fields bound as the program's dialect wants, and evidence that
// does not fit refused.
#include "runtime/fixture.h"

static ebpf_result_t run_once(struct fixture *f, struct prog *g, void *context, uint64_t *r0)
{
    struct run run = {.context = context, .r1 = (uintptr_t)context};
    epoch_enter(f->rt);
    ebpf_result_t result = prog_run(g, &run, r0);
    epoch_exit(f->rt);
    return result;
}

static const struct insn return_2[] = {I(MOV64_IMM, 0, 0, 0, 2), I(EXIT, 0, 0, 0, 0)};

static void info_tells_about_the_program(void)
{
    struct fixture f;
    struct prog *g, *same, *other;
    struct prog_info a, b, c;
    uint64_t r0 = 0;
    static const struct insn return_3[] = {I(MOV64_IMM, 0, 0, 0, 3), I(EXIT, 0, 0, 0, 0)};
    REQUIRE(fixture_open(&f));
    g = FIXTURE_PROG(&f, PROG_TYPE_XDP, DIALECT_LINUX, return_2);
    same = FIXTURE_PROG(&f, PROG_TYPE_XDP, DIALECT_LINUX, return_2);
    other = FIXTURE_PROG(&f, PROG_TYPE_XDP, DIALECT_WINDOWS, return_3);
    REQUIRE(g != NULL && same != NULL && other != NULL);
    CHECK_OK(run_once(&f, g, NULL, &r0));
    CHECK_OK(run_once(&f, g, NULL, &r0));
    CHECK_EQ(r0, 2);
    prog_info(g, &a);
    prog_info(same, &b);
    prog_info(other, &c);
    CHECK_EQ(a.id, object_id(prog_object(g)));
    CHECK(a.type == PROG_TYPE_XDP && a.attach_type == ATTACH_TYPE_XDP && a.dialect == DIALECT_LINUX);
    CHECK_EQ(c.dialect, DIALECT_WINDOWS);
    CHECK(a.insn_count == 2 && a.map_count == 0 && a.link_count == 0);
    CHECK_STR(a.name, "f");
    CHECK_EQ(a.run_count, 2);
    CHECK_EQ(b.run_count, 0);
    CHECK(a.load_time_ns != 0);
    CHECK_EQ(memcmp(a.tag, b.tag, 8), 0);
    CHECK(memcmp(a.tag, c.tag, 8) != 0);
    CHECK(prog_from_object(prog_object(g)) == g);
    CHECK(map_from_object(prog_object(g)) == NULL);
    object_release(prog_object(g));
    object_release(prog_object(same));
    object_release(prog_object(other));
    fixture_close(&f);
}

// --- maps ----------------------------------------------------------------------------------------

// value = lookup(m, 1); if (!value) return 0; (*value)++; return *value;
static const struct insn count_up[] = {
    I(STW, 10, 0, -4, 1),
    I2(LDDW_MAP, 1, 0),
    I(MOV64_REG, 2, 10, 0, 0),
    I(ADD64_IMM, 2, 0, 0, -4),
    I(CALL, 0, 0, 0, HELPER_MAP_LOOKUP_ELEM),
    I(JEQ64_IMM, 0, 0, 4, 0),
    I(LDXDW, 1, 0, 0, 0),
    I(ADD64_IMM, 1, 0, 0, 1),
    I(STXDW, 0, 1, 0, 0),
    I(MOV64_REG, 0, 1, 0, 0),
    I(EXIT, 0, 0, 0, 0),
};

static void programs_use_their_maps(void)
{
    static const uint32_t types[] = {MAP_TYPE_HASH, MAP_TYPE_ARRAY, MAP_TYPE_PERCPU_ARRAY};
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        struct fixture f;
        struct fixture_program p;
        struct map *m;
        struct prog *g = NULL;
        struct prog_info info;
        static uint64_t values[8192];
        uint32_t key = 1;
        uint64_t r0 = 9;
        REQUIRE(fixture_open(&f));
        m = fixture_map(&f, types[i], 4, 8, 4);
        REQUIRE(m != NULL && map_user_value_size(m) <= sizeof(values));
        memset(values, 0, sizeof(values));
        CHECK_OK(map_user_update(m, &key, values, UPDATE_ANY));
        fixture_program(&p, PROG_TYPE_RAW_MEMORY, DIALECT_LINUX, count_up, ARRAY_SIZE(count_up));
        REQUIRE_OK(fixture_load(&f, &p, &m, 1, &g));
        prog_info(g, &info);
        CHECK(info.map_count == 1 && info.map_ids[0] == object_id(map_object(m)));
        object_release(map_object(m)); // the program keeps it
        CHECK_OK(run_once(&f, g, NULL, &r0));
        CHECK_EQ(r0, 1);
        CHECK_OK(run_once(&f, g, NULL, &r0));
        CHECK_EQ(r0, 2);
        CHECK_EQ(object_count(f.rt, OBJECT_MAP), 1);
        object_release(prog_object(g));
        fixture_close(&f);
    }
}

static void map_values_by_address(void)
{
    static const struct insn insns[] = {I2(LDDW_MAP_VALUE, 1, (int64_t)8 << 32), I(LDXDW, 0, 1, 0, 0),
                                        I(STDW, 1, 0, 0, 6), I(EXIT, 0, 0, 0, 0)};
    struct fixture f;
    struct fixture_program p;
    struct map *m, *wide;
    struct prog *g = NULL;
    struct insn beyond[ARRAY_SIZE(insns)];
    uint64_t value[2] = {1, 2}, r0 = 0;
    uint32_t key = 0;
    REQUIRE(fixture_open(&f));
    m = fixture_map(&f, MAP_TYPE_ARRAY, 4, 16, 1);
    wide = fixture_map(&f, MAP_TYPE_ARRAY, 4, 16, 2);
    REQUIRE(m != NULL && wide != NULL);
    CHECK_OK(map_user_update(m, &key, value, 0));
    fixture_program(&p, PROG_TYPE_RAW_MEMORY, DIALECT_LINUX, insns, ARRAY_SIZE(insns));
    REQUIRE_OK(fixture_load(&f, &p, &m, 1, &g));
    CHECK_OK(run_once(&f, g, NULL, &r0));
    CHECK_EQ(r0, 2);
    CHECK_OK(map_user_lookup(m, &key, value));
    CHECK_EQ(value[1], 6);
    object_release(prog_object(g));
    CHECK_EQ(fixture_load(&f, &p, &wide, 1, &g), EBPF_PROGRAM_LOAD_FAILED); // not a single value
    memcpy(beyond, insns, sizeof(insns));
    beyond[0].imm = (int64_t)16 << 32;
    fixture_program(&p, PROG_TYPE_RAW_MEMORY, DIALECT_LINUX, beyond, ARRAY_SIZE(beyond));
    CHECK_EQ(fixture_load(&f, &p, &m, 1, &g), EBPF_PROGRAM_LOAD_FAILED);
    object_release(map_object(m));
    object_release(map_object(wide));
    fixture_close(&f);
}

// The verifier saw the definitions; a map that is not so must not be bound.
static void maps_must_match_their_definitions(void)
{
    struct fixture f;
    struct fixture_program p;
    struct prog *g = NULL;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_HASH, 4, 8, 4);
    REQUIRE(m != NULL);
    for (int what = 0; what < 5; what++) {
        struct map_def *def = &p.maps[0];
        struct map_info info;
        fixture_program(&p, PROG_TYPE_RAW_MEMORY, DIALECT_LINUX, count_up, ARRAY_SIZE(count_up));
        map_info(m, &info);
        *def = info.def;
        p.program.map_count = 1;
        def->value_size += what == 1 ? 8 : 0;
        def->key_size += what == 2 ? 4 : 0;
        def->type = what == 3 ? MAP_TYPE_ARRAY : def->type;
        def->flags |= what == 4 ? MAP_FLAG_RDONLY_PROG : 0;
        CHECK_EQ(prog_load(f.rt, &p.program, &m, &p.bytes, &g),
                 what == 0 ? EBPF_SUCCESS : EBPF_PROGRAM_LOAD_FAILED);
    }
    object_release(prog_object(g));
    object_release(map_object(m));
    fixture_close(&f);
}

static void bound_maps_are_kept(void)
{
    struct fixture f;
    struct prog_info info;
    REQUIRE(fixture_open(&f));
    struct prog *g = FIXTURE_PROG(&f, PROG_TYPE_XDP, DIALECT_LINUX, return_2);
    struct map *m = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1);
    REQUIRE(g != NULL && m != NULL);
    CHECK_OK(prog_bind_map(g, m));
    CHECK_OK(prog_bind_map(g, m)); // once is enough
    prog_info(g, &info);
    CHECK(info.map_count == 1 && info.map_ids[0] == object_id(map_object(m)));
    object_release(map_object(m));
    CHECK_EQ(object_count(f.rt, OBJECT_MAP), 1);
    for (unsigned i = 1; i <= SPEC_MAX_MAPS; i++) {
        m = fixture_map(&f, MAP_TYPE_ARRAY, 4, 4, 1);
        REQUIRE(m != NULL);
        CHECK_EQ(prog_bind_map(g, m), i < SPEC_MAX_MAPS ? EBPF_SUCCESS : EBPF_OUT_OF_SPACE);
        object_release(map_object(m));
    }
    object_release(prog_object(g));
    fixture_close(&f);
}

// --- context fields ------------------------------------------------------------------------------

#define FIELD_DATA     0
#define FIELD_DATA_END 1
#define FIELD_IFINDEX  3

// return data_end - data + (ifindex's second byte)
static const struct insn linux_fields[] = {I(LDXW, 2, 1, 0, 0),      I(LDXW, 0, 1, 4, 0),
                                           I(SUB64_REG, 0, 2, 0, 0), I(LDXB, 3, 1, 13, 0),
                                           I(ADD64_REG, 0, 3, 0, 0), I(EXIT, 0, 0, 0, 0)};
static const struct insn windows_fields[] = {I(LDXDW, 2, 1, 0, 0),     I(LDXDW, 0, 1, 8, 0),
                                             I(SUB64_REG, 0, 2, 0, 0), I(LDXB, 3, 1, 25, 0),
                                             I(ADD64_REG, 0, 3, 0, 0), I(EXIT, 0, 0, 0, 0)};
static const uint32_t field_marks[] = {0, FIELD_DATA, 1, FIELD_DATA_END, 3, FIELD_IFINDEX};

static void fields_are_found_in_both_dialects(void)
{
    struct fixture f;
    uint8_t frame[64];
    struct xdp_context x = {.packet = {frame, frame + 60, frame}, .ingress_ifindex = 0x0203};
    REQUIRE(fixture_open(&f));
    for (int d = 0; d < DIALECT_COUNT; d++) {
        struct fixture_program p;
        struct prog *g = NULL;
        uint64_t r0 = 0;
        fixture_program(&p, PROG_TYPE_XDP, (enum dialect)d,
                        d == DIALECT_LINUX ? linux_fields : windows_fields, 6);
        fixture_program_marks(&p, field_marks, 3);
        REQUIRE_OK(fixture_load(&f, &p, NULL, 0, &g));
        CHECK_OK(run_once(&f, g, &x, &r0));
        CHECK_EQ(r0, 62);
        object_release(prog_object(g));
    }
    fixture_close(&f);
}

static void fields_are_written(void)
{
    // uint32_data at 16, uint16_data at 20
    static const struct insn insns[] = {I(STW, 1, 0, 16, 77), I(MOV64_IMM, 2, 0, 0, 5), I(STXH, 1, 2, 20, 0),
                                        I(LDXW, 0, 1, 16, 0), I(EXIT, 0, 0, 0, 0)};
    static const uint32_t marks[] = {0, 2, 2, 3, 3, 2};
    struct fixture f;
    struct fixture_program p;
    struct prog *g = NULL;
    struct sample_context context = {.uint32_data = 1};
    uint64_t r0 = 0;
    REQUIRE(fixture_open(&f));
    fixture_program(&p, PROG_TYPE_SAMPLE, DIALECT_WINDOWS, insns, ARRAY_SIZE(insns));
    fixture_program_marks(&p, marks, 3);
    REQUIRE_OK(fixture_load(&f, &p, NULL, 0, &g));
    CHECK_OK(run_once(&f, g, &context, &r0));
    CHECK_EQ(r0, 77);
    CHECK_EQ(context.uint32_data, 77);
    CHECK_EQ(context.uint16_data, 5);
    object_release(prog_object(g));
    fixture_close(&f);
}

// A weak function that the object lacks: its call is a number that nobody knows, guarded by a test that is
// never true.
static void an_unknown_helper_that_is_not_reached_loads(void)
{
    static const struct insn insns[] = {I(MOV64_IMM, 0, 0, 0, 3), I(JEQ64_IMM, 0, 0, 1, 3),
                                        I(CALL, 0, 0, 0, -1 - 999), I(EXIT, 0, 0, 0, 0)};
    struct fixture f;
    struct fixture_program p;
    struct prog *g = NULL;
    struct sample_context context = {.uint32_data = 1};
    uint64_t r0 = 0;
    REQUIRE(fixture_open(&f));
    fixture_program(&p, PROG_TYPE_SAMPLE, DIALECT_WINDOWS, insns, ARRAY_SIZE(insns));
    REQUIRE_OK(fixture_load(&f, &p, NULL, 0, &g));
    CHECK_OK(run_once(&f, g, &context, &r0));
    CHECK_EQ(r0, 3);
    object_release(prog_object(g));
    fixture_close(&f);
}

// --- the end of a program ------------------------------------------------------------------------

struct long_run {
    struct runtime *rt;
    uint32_t inside, may_leave;
};

static void run_until_told(void *user)
{
    struct long_run *r = user;
    epoch_enter(r->rt);
    __atomic_store_n(&r->inside, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&r->may_leave, __ATOMIC_SEQ_CST) == 0) {
    }
    epoch_exit(r->rt);
}

// A run was in the way when the program was released, so it could not go then. Whoever lists objects later
// must not see the maps that only it holds.
static void maps_of_a_dead_program_leave_the_list(void)
{
    static const struct insn insns[] = {I2(LDDW_MAP, 1, 0), I(MOV64_IMM, 0, 0, 0, 0), I(EXIT, 0, 0, 0, 0)};
    struct fixture f;
    struct fixture_program p;
    struct plat_thread *thread;
    struct prog *g = NULL;
    uint32_t id = 0;
    REQUIRE(fixture_open(&f));
    struct map *m = fixture_map(&f, MAP_TYPE_ARRAY, 4, 8, 1);
    struct long_run run = {.rt = f.rt};
    REQUIRE(m != NULL);
    fixture_program(&p, PROG_TYPE_SAMPLE, DIALECT_WINDOWS, insns, ARRAY_SIZE(insns));
    REQUIRE_OK(fixture_load(&f, &p, &m, 1, &g));
    REQUIRE_OK(plat_thread_create(run_until_told, &run, &thread));
    while (__atomic_load_n(&run.inside, __ATOMIC_SEQ_CST) == 0) {
        plat_yield();
    }
    object_release(map_object(m));
    object_release(prog_object(g));
    CHECK_OK(object_next_id(f.rt, OBJECT_MAP, 0, &id)); // the run may still use it
    __atomic_store_n(&run.may_leave, 1, __ATOMIC_SEQ_CST);
    plat_thread_join(thread);
    CHECK_EQ(object_next_id(f.rt, OBJECT_MAP, 0, &id), EBPF_NO_MORE_KEYS);
    fixture_close(&f);
}

// --- refusals ------------------------------------------------------------------------------------

static struct fixture refusing;

static void refuse(struct fixture_program *p)
{
    struct prog *g = NULL;
    CHECK_EQ(fixture_load(&refusing, p, NULL, 0, &g), EBPF_PROGRAM_LOAD_FAILED);
    CHECK(g == NULL);
    if (g != NULL) {
        object_release(prog_object(g));
    }
}

#define REFUSE_INSNS(type, dialect, ...)                                                                     \
    do {                                                                                                     \
        static const struct insn insns_[] = {__VA_ARGS__, I(EXIT, 0, 0, 0, 0)};                              \
        struct fixture_program p_;                                                                           \
        fixture_program(&p_, type, dialect, insns_, ARRAY_SIZE(insns_));                                     \
        refuse(&p_);                                                                                         \
    } while (0)

static void what_has_no_meaning_is_refused(void)
{
    REFUSE_INSNS(PROG_TYPE_XDP, DIALECT_LINUX, I(CALL, 0, 0, 0, 0));
    REFUSE_INSNS(PROG_TYPE_XDP, DIALECT_LINUX, I(CALL, 0, 0, 0, HELPER_COUNT));
    REFUSE_INSNS(PROG_TYPE_XDP, DIALECT_LINUX, I(CALL, 0, 0, 0, HELPER_SAMPLE_FIND)); // of another type
    REFUSE_INSNS(PROG_TYPE_XDP, DIALECT_LINUX, I(CALL, 0, 0, 0, (1ll << 32) + 1));
    REFUSE_INSNS(PROG_TYPE_XDP, DIALECT_LINUX, I2(LDDW_MAP, 1, 0));
    REFUSE_INSNS(PROG_TYPE_XDP, DIALECT_LINUX, I(JA, 0, 0, 100, 0)); // program_check
    REFUSE_INSNS(PROG_TYPE_COUNT, DIALECT_LINUX, I(MOV64_IMM, 0, 0, 0, 0));
}

static void what_can_only_be_verified_is_refused(void)
{
    REFUSE_INSNS(PROG_TYPE_SCHED_CLS, DIALECT_LINUX, I(MOV64_IMM, 0, 0, 0, 0));
    REFUSE_INSNS(PROG_TYPE_CGROUP_SOCK_ADDR, DIALECT_WINDOWS, I(MOV64_IMM, 0, 0, 0, 0));
    REFUSE_INSNS(PROG_TYPE_XDP, DIALECT_LINUX, I(CALL, 0, 0, 0, HELPER_JIFFIES64));
    REFUSE_INSNS(PROG_TYPE_XDP, DIALECT_LINUX, I(CALL, 0, 0, 0, KFUNC_RCU_READ_LOCK));
    REFUSE_INSNS(PROG_TYPE_XDP, DIALECT_LINUX, I(CALL_BTF, 0, 0, 0, KFUNC_RCU_READ_LOCK));
}

static void evidence_must_fit(void)
{
    struct fixture_program p;
    for (unsigned word = 0; word < 4; word++) { // magic, format, instructions, marks
        fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, return_2, ARRAY_SIZE(return_2));
        p.evidence[word]++;
        refuse(&p);
    }
    for (size_t size = 0; size < 40; size++) { // truncated at every byte
        fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, linux_fields, ARRAY_SIZE(linux_fields));
        fixture_program_marks(&p, field_marks, 3);
        p.bytes.size = size;
        refuse(&p);
    }
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, return_2, ARRAY_SIZE(return_2));
    p.bytes.size++;
    refuse(&p);
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, return_2, ARRAY_SIZE(return_2));
    p.evidence[3] = 0x20000000; // 8 times this is 0 in 32 bits
    refuse(&p);
}

static void refuse_marks(const struct insn *insns, uint32_t count, const uint32_t *marks, uint32_t mark_count)
{
    struct fixture_program p;
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, insns, count);
    fixture_program_marks(&p, marks, mark_count);
    refuse(&p);
}

static void marks_must_fit(void)
{
    static const struct insn narrow[] = {I(LDXB, 0, 1, 0, 0), I(EXIT, 0, 0, 0, 0)};
    static const struct insn sign[] = {I(LDXSW, 0, 1, 0, 0), I(EXIT, 0, 0, 0, 0)};
    static const struct insn store[] = {I(STW, 1, 0, 12, 1), I(EXIT, 0, 0, 0, 0)};
    static const struct insn atomic[] = {I(ATOMIC_ADD32, 1, 0, 12, 0), I(EXIT, 0, 0, 0, 0)};
    refuse_marks(linux_fields, 6, (const uint32_t[]){1, 1, 0, 0}, 2);    // not sorted
    refuse_marks(linux_fields, 6, (const uint32_t[]){0, 0, 0, 0}, 2);    // twice
    refuse_marks(linux_fields, 6, (const uint32_t[]){6, 0}, 1);          // no such instruction
    refuse_marks(linux_fields, 6, (const uint32_t[]){2, 0}, 1);          // no access
    refuse_marks(linux_fields, 6, (const uint32_t[]){0, 1}, 1);          // another field
    refuse_marks(linux_fields, 6, (const uint32_t[]){0, 6}, 1);          // no such field
    refuse_marks(linux_fields, 6, (const uint32_t[]){0, UINT32_MAX}, 1); // what "no field" looks like
    refuse_marks(narrow, 2, (const uint32_t[]){0, FIELD_DATA}, 1);
    refuse_marks(sign, 2, (const uint32_t[]){0, FIELD_DATA}, 1);
    refuse_marks(store, 2, (const uint32_t[]){0, FIELD_IFINDEX}, 1); // read-only
    refuse_marks(atomic, 2, (const uint32_t[]){0, FIELD_IFINDEX}, 1);
}

// --- callx ---------------------------------------------------------------------------------------

static void callx_takes_the_dialects_number(void)
{
    // bpf_get_prandom_u32 is 7 on Linux; 6 on Windows; 8 is the CPU in both.
    static const struct insn insns[] = {I(MOV64_IMM, 6, 0, 0, 8), I(CALLX, 6, 0, 0, 0), I(EXIT, 0, 0, 0, 0)};
    static const struct insn unknown[] = {I2(LDDW, 6, 0x100000008), I(CALLX, 6, 0, 0, 0),
                                          I(EXIT, 0, 0, 0, 0)};
    static const struct insn pid[] = {I(MOV64_IMM, 6, 0, 0, 19), I(CALLX, 6, 0, 0, 0), I(EXIT, 0, 0, 0, 0)};
    struct fixture f;
    uint64_t r0 = 0;
    REQUIRE(fixture_open(&f));
    for (int d = 0; d < DIALECT_COUNT; d++) {
        struct prog *g = FIXTURE_PROG(&f, PROG_TYPE_XDP, (enum dialect)d, insns);
        struct prog *u = FIXTURE_PROG(&f, PROG_TYPE_XDP, (enum dialect)d, unknown);
        struct prog *p = FIXTURE_PROG(&f, PROG_TYPE_XDP, (enum dialect)d, pid);
        REQUIRE(g != NULL && u != NULL && p != NULL);
        CHECK_OK(run_once(&f, g, NULL, &r0));
        CHECK(r0 < plat_cpu_count());
        CHECK_OK(run_once(&f, u, NULL, &r0));
        CHECK_EQ(r0, (uint64_t)-22);
        CHECK_OK(run_once(&f, p, NULL, &r0));
        CHECK_EQ(r0, d == DIALECT_WINDOWS ? plat_pid_tgid() : (uint64_t)-22);
        object_release(prog_object(g));
        object_release(prog_object(u));
        object_release(prog_object(p));
    }
    fixture_close(&f);
}

static void nesting_is_bounded(void)
{
    struct fixture f;
    struct run run = {0};
    uint64_t r0 = 0;
    REQUIRE(fixture_open(&f));
    struct prog *g = FIXTURE_PROG(&f, PROG_TYPE_XDP, DIALECT_LINUX, return_2);
    REQUIRE(g != NULL);
    epoch_enter(f.rt);
    f.rt->cpus[plat_cpu_current()].nest = RUN_NEST_MAX - 1;
    CHECK_OK(prog_run(g, &run, &r0));
    f.rt->cpus[plat_cpu_current()].nest = RUN_NEST_MAX;
    CHECK_EQ(prog_run(g, &run, &r0), EBPF_INVALID_STATE);
    f.rt->cpus[plat_cpu_current()].nest = 0;
    epoch_exit(f.rt);
    object_release(prog_object(g));
    fixture_close(&f);
}

static const uint8_t came_in[] = {1, 2, 3};

// Told about a program as soon as others can find it.
static void look_at_source(void *user, const struct code_notice *notice)
{
    struct fixture *f = user;
    struct object *o = NULL;
    uint32_t size = 0;
    if (!notice->gone && object_by_id(f->rt, OBJECT_PROGRAM, notice->id, &o) == EBPF_SUCCESS) {
        const uint8_t *bytes = prog_source(prog_from_object(o), &size);
        f->trace_count += size == sizeof(came_in) && memcmp(bytes, came_in, size) == 0;
        object_release(o);
    }
}

static void no_program_is_seen_without_its_source(void)
{
    static const struct insn insns[] = {I(MOV64_IMM, 0, 0, 0, 2), I(EXIT, 0, 0, 0, 0)};
    struct fixture f;
    struct fixture_program p;
    struct prog *g = NULL;
    REQUIRE(fixture_open(&f));
    f.rt->watch_code = look_at_source;
    f.rt->watch_user = &f;
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, insns, ARRAY_SIZE(insns));
    p.program.source = came_in;
    p.program.source_size = sizeof(came_in);
    REQUIRE_OK(fixture_load(&f, &p, NULL, 0, &g));
    CHECK_EQ(f.trace_count, 1);
    object_release(prog_object(g));
    fixture_close(&f);
}

static void run_all(void)
{
    RUN(info_tells_about_the_program);
    RUN(programs_use_their_maps);
    RUN(map_values_by_address);
    RUN(maps_must_match_their_definitions);
    RUN(bound_maps_are_kept);
    RUN(fields_are_found_in_both_dialects);
    RUN(fields_are_written);
    REQUIRE(fixture_open(&refusing));
    RUN(an_unknown_helper_that_is_not_reached_loads);
    RUN(maps_of_a_dead_program_leave_the_list);
    RUN(what_has_no_meaning_is_refused);
    RUN(what_can_only_be_verified_is_refused);
    RUN(evidence_must_fit);
    RUN(marks_must_fit);
    fixture_close(&refusing);
    RUN(callx_takes_the_dialects_number);
    RUN(nesting_is_bounded);
}

TEST_SUITE(prog)
{
    fixture_for_each_engine(run_all);
    RUN(no_program_is_seen_without_its_source);
}
