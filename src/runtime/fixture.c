// SPDX-License-Identifier: MIT
// fixture: see fixture.h.
#include "runtime/fixture.h"

static void remember(void *user, const char *text)
{
    struct fixture *f = user;
    f->trace_count++;
    str_copy(f->traced, sizeof(f->traced), text);
}

enum runtime_engine fixture_engine = RUNTIME_JIT;

void fixture_for_each_engine(void (*suite)(void))
{
    suite();
#if defined(EBPF_INTERPRETER)
    fixture_engine = RUNTIME_INTERPRETER;
    suite();
    fixture_engine = RUNTIME_JIT;
#endif
}

bool fixture_open(struct fixture *f)
{
    struct runtime_options options = {
        .spec = spec_builtin(), .engine = fixture_engine, .trace = remember, .trace_user = f};
    memset(f, 0, sizeof(*f));
    f->live = plat_sim_live_count();
    CHECK_OK(runtime_create(&options, &f->rt));
    return f->rt != NULL;
}

void fixture_close(struct fixture *f)
{
    epoch_synchronize(f->rt);
    epoch_synchronize(f->rt); // programs that went in the first one may have held the last reference to maps
    for (int kind = OBJECT_MAP; kind < OBJECT_KIND_COUNT; kind++) {
        CHECK_EQ(object_count(f->rt, (enum object_kind)kind), 0);
    }
    runtime_destroy(f->rt);
    CHECK_EQ(plat_sim_live_count(), f->live);
}

struct map *fixture_map(struct fixture *f, uint32_t type, uint32_t key_size, uint32_t value_size,
                        uint32_t entries)
{
    struct map_def def = {
        .type = type, .key_size = key_size, .value_size = value_size, .max_entries = entries, .name = "m"};
    struct map *m = NULL;
    CHECK_OK(map_create(f->rt, &def, &m));
    return m;
}

void fixture_program(struct fixture_program *p, uint32_t type, enum dialect dialect, const struct insn *insns,
                     uint32_t count)
{
    memset(p, 0, sizeof(*p));
    p->func = (struct func){.start = 0, .end = count, .name = "f"};
    p->program = (struct program){
        .type = type,
        .attach_type = spec_default_attach_type(spec_builtin(), type),
        .dialect = dialect,
        .insns = insns,
        .insn_count = count,
        .funcs = &p->func,
        .func_count = 1,
        .maps = p->maps,
        .strings = "",
        .strings_size = 1,
        .name = "f",
        .section = "test",
        .license = "MIT",
    };
    fixture_program_marks(p, NULL, 0);
}

void fixture_program_marks(struct fixture_program *p, const uint32_t *marks, uint32_t mark_count)
{
    p->evidence[0] = EVIDENCE_MAGIC;
    p->evidence[1] = EVIDENCE_FORMAT;
    p->evidence[2] = p->program.insn_count;
    p->evidence[3] = mark_count;
    for (uint32_t i = 0; i < mark_count * 2; i++) {
        p->evidence[4 + i] = marks[i];
    }
    p->bytes = (struct evidence){(const uint8_t *)p->evidence, 16 + mark_count * 8};
}

ebpf_result_t fixture_load(struct fixture *f, struct fixture_program *p, struct map *const *maps,
                           uint32_t map_count, struct prog **out)
{
    for (uint32_t i = 0; i < map_count; i++) {
        struct map_info info;
        map_info(maps[i], &info);
        p->maps[i] = info.def;
    }
    p->program.map_count = map_count;
    return prog_load(f->rt, &p->program, maps, &p->bytes, out);
}

struct prog *fixture_prog(struct fixture *f, uint32_t type, enum dialect dialect, const struct insn *insns,
                          uint32_t count)
{
    struct fixture_program p;
    struct prog *g = NULL;
    fixture_program(&p, type, dialect, insns, count);
    CHECK_OK(fixture_load(f, &p, NULL, 0, &g));
    return g;
}

// --- hook ----------------------------------------------------------------------------------------

static ebpf_result_t attach(void *provider_context, struct link *link, const struct attach_params *params,
                            void **hook_context)
{
    struct fixture_hook *h = provider_context;
    UNUSED(params);
    if (h->attach_result != EBPF_SUCCESS) {
        return h->attach_result;
    }
    h->attached++;
    h->link = link;
    *hook_context = h;
    return EBPF_SUCCESS;
}

static void detach(void *provider_context, void *hook_context)
{
    struct fixture_hook *h = provider_context;
    CHECK(hook_context == h);
    h->detached++;
    h->link = NULL;
}

static ebpf_result_t create_context(void *provider_context, uint8_t *buffer, size_t headroom, size_t size,
                                    size_t capacity, const void *ctx_in, size_t ctx_in_size, void **context)
{
    struct fixture_hook *h = provider_context;
    CHECK(!h->has_context);
    h->context = (struct xdp_context){.packet = {.data = buffer + headroom,
                                                 .data_end = buffer + headroom + size,
                                                 .data_meta = buffer + headroom},
                                      .frame_start = buffer,
                                      .frame_end = buffer + capacity};
    if (ctx_in_size == 4) {
        memcpy(&h->context.ingress_ifindex, ctx_in, 4);
    } else if (ctx_in_size != 0) {
        return EBPF_INVALID_ARGUMENT;
    }
    h->has_context = true;
    *context = &h->context;
    return EBPF_SUCCESS;
}

static void destroy_context(void *provider_context, void *context, const uint8_t **data, size_t *size,
                            void *ctx_out, size_t *ctx_out_size)
{
    struct fixture_hook *h = provider_context;
    CHECK(h->has_context);
    CHECK(context == &h->context);
    h->has_context = false;
    *data = h->context.packet.data;
    *size = (size_t)(h->context.packet.data_end - h->context.packet.data);
    if (*ctx_out_size >= 4) {
        memcpy(ctx_out, &h->context.ingress_ifindex, 4);
        *ctx_out_size = 4;
    } else {
        *ctx_out_size = 0;
    }
}

void fixture_hook_init(struct fixture_hook *h, uint32_t attach_type, uint32_t max_links)
{
    memset(h, 0, sizeof(*h));
    h->provider = (struct hook_provider){
        .name = "fixture",
        .attach_type = attach_type,
        .max_links = max_links,
        .attach = attach,
        .detach = detach,
        .context_create = create_context,
        .context_destroy = destroy_context,
        .provider_context = h,
    };
}
