// SPDX-License-Identifier: MIT
// runtime: brings the parts up and takes them down in the opposite order.
#include "runtime/runtime_int.h"

static void init_tables(struct runtime *rt)
{
    plat_spinlock_init(&rt->object_lock);
    for (unsigned kind = 0; kind < OBJECT_KIND_COUNT; kind++) {
        list_init(&rt->tables[kind].objects);
    }
    list_init(&rt->modules);
    plat_mutex_init(&rt->link_mutex);
    list_init(&rt->links);
    plat_mutex_init(&rt->pin_mutex);
    list_init(&rt->pins);
}

static void fini_tables(struct runtime *rt)
{
    plat_mutex_fini(&rt->pin_mutex);
    plat_mutex_fini(&rt->link_mutex);
}

static ebpf_result_t create_cpus(struct runtime *rt)
{
    rt->cpu_count = plat_cpu_count();
    rt->cpus = plat_alloc_pages(rt->cpu_count * sizeof(*rt->cpus), POOL_TAG_EPOCH);
    if (rt->cpus == NULL) {
        return EBPF_NO_MEMORY;
    }
    rt->epoch = 1;
    for (uint32_t i = 0; i < rt->cpu_count; i++) {
        plat_spinlock_init(&rt->cpus[i].waiting.lock);
    }
    plat_spinlock_init(&rt->dead_objects.lock);
    return EBPF_SUCCESS;
}

static void destroy_cpus(struct runtime *rt)
{
    plat_free_pages(rt->cpus, rt->cpu_count * sizeof(*rt->cpus));
}

static ebpf_result_t create_providers(struct runtime *rt)
{
    rt->providers = plat_alloc(rt->spec->attach_type_count * sizeof(*rt->providers), POOL_TAG_OBJECT);
    return rt->providers == NULL ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

static bool has_engine(enum runtime_engine engine)
{
#if defined(EBPF_INTERPRETER)
    return engine == RUNTIME_JIT || engine == RUNTIME_INTERPRETER;
#else
    return engine == RUNTIME_JIT;
#endif
}

ebpf_result_t runtime_create(const struct runtime_options *options, struct runtime **out)
{
    ebpf_result_t result;
    if (!has_engine(options->engine)) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    TRY(plat_init());
    struct runtime *rt = plat_alloc(sizeof(*rt), POOL_TAG_OBJECT);
    if (rt == NULL) {
        result = EBPF_NO_MEMORY;
        goto undo_plat;
    }
    rt->spec = options->spec;
    rt->engine = options->engine;
    rt->jit = options->jit != NULL ? *options->jit : (struct jit_options){.passes = JIT_ALL_PASSES};
    prog_code_set_machine(&rt->jit);
    helper_describe(rt->spec, rt->helpers);
    rt->trace = options->trace;
    rt->trace_user = options->trace_user;
    rt->watch_code = options->watch_code;
    rt->watch_user = options->watch_user;
    TRY_OR(result, create_cpus(rt), undo_alloc);
    TRY_OR(result, create_providers(rt), undo_cpus);
    TRY_OR(result, prog_code_init(rt), undo_providers);
    init_tables(rt);
    *out = rt;
    return EBPF_SUCCESS;

undo_providers:
    plat_free(rt->providers);
undo_cpus:
    destroy_cpus(rt);
undo_alloc:
    plat_free(rt);
undo_plat:
    plat_fini();
    return result;
}

// Programs hold maps: what waits for the epoch may retire more, so it is waited for until nothing is left.
static void drain(struct runtime *rt)
{
    do {
        epoch_synchronize(rt);
    } while (__atomic_load_n(&rt->dead_objects.count, __ATOMIC_RELAXED) != 0);
}

void runtime_destroy(struct runtime *rt)
{
    drain(rt);
    fini_tables(rt);
    prog_code_fini(rt);
    plat_free(rt->providers);
    destroy_cpus(rt);
    plat_free(rt);
    plat_fini();
}

const struct spec_view *runtime_spec(const struct runtime *rt)
{
    return rt->spec;
}
