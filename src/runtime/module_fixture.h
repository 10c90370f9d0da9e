// SPDX-License-Identifier: MIT
// module_fixture: what the tests of native modules share: modules made by hand in one runtime.
#pragma once

#include "runtime/fixture.h"
#include "tests/tiny_module.h"

static struct fixture f;
static char why[MODULE_WHY_SIZE];
static unsigned gone, asked; // calls of module_source.gone and idle

static inline void count_gone(void *user)
{
    CHECK(user == &gone);
    gone++;
}

static inline void count_idle(void *user, struct module *m)
{
    CHECK(user == &gone);
    CHECK(m != NULL);
    asked++;
}

static inline struct module_source source_of(const struct tiny_module *t, uint8_t id)
{
    return (struct module_source){
        .table = &t->table, .id = {id}, .idle = count_idle, .gone = count_gone, .user = &gone};
}

static inline struct module *add(struct tiny_module *t, uint8_t id)
{
    struct module_source source = source_of(t, id);
    struct module *m = NULL;
    CHECK_OK(module_register(f.rt, &source, why, &m));
    CHECK_STR(why, "");
    return m;
}

static inline ebpf_result_t load_as(struct module *m, uint32_t index, const struct tiny_source *s,
                                    struct map *map, struct prog **out)
{
    struct fixture_program p;
    struct map_info info;
    fixture_program(&p, PROG_TYPE_XDP, DIALECT_LINUX, s->insns, s->insn_count);
    if (map != NULL) {
        map_info(map, &info);
        p.maps[0] = info.def;
        p.program.map_count = 1;
    }
    return prog_load_native(f.rt, &p.program, &map, &p.bytes, m, index, why, out);
}

static inline struct prog *load(struct module *m, uint32_t index, struct map *map)
{
    struct prog *g = NULL;
    CHECK_OK(load_as(m, index, &tiny_sources[index], map, &g));
    CHECK_STR(why, "");
    return g;
}

static inline ebpf_result_t run(struct prog *g, uint64_t *r0)
{
    struct xdp_context x = {.ingress_ifindex = 7};
    struct run r = {.context = &x, .r1 = (uintptr_t)&x};
    epoch_enter(f.rt);
    ebpf_result_t result = prog_run(g, &r, r0);
    epoch_exit(f.rt);
    return result;
}

static inline uint64_t result_of(struct prog *g)
{
    uint64_t r0 = 0xdead;
    CHECK_OK(run(g, &r0));
    return r0;
}

static inline struct map *make_values(void)
{
    return fixture_map(&f, MAP_TYPE_ARRAY, 4, 8, 4);
}

static inline struct map *make_programs(void)
{
    return fixture_map(&f, MAP_TYPE_PROG_ARRAY, 4, 4, 4);
}

static inline ebpf_result_t set_program(struct map *m, struct prog *g)
{
    uint32_t index = 1;
    return map_user_set_program(m, &index, g, UPDATE_ANY);
}

static inline void drop_prog(struct prog *g)
{
    object_release(prog_object(g));
}

static inline void drop_map(struct map *m)
{
    object_release(map_object(m));
}

static inline void drop(struct module *m)
{
    object_release(module_object(m));
}

static inline bool open(void)
{
    gone = asked = 0;
    (void)tiny_module_reset(0);
    (void)tiny_module_reset(1);
    return fixture_open(&f);
}
