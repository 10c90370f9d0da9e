// SPDX-License-Identifier: MIT
// link: a program on an attachment point. States: ATTACHING (the point is taken, the provider is asked),
// ATTACHED, DETACHING (the provider gives it back), DETACHED (for good). Only the thread that made the step
// out of ATTACHED calls the provider's detach.
//
// Invariants: states change under link_mutex; `live` is set exactly while ATTACHED; `prog` is never NULL and
// changes only in link_update, which lets the epoch keep the old program for runs under way.
#include "runtime/runtime_int.h"

// --- attachment points ---------------------------------------------------------------------------

static struct link *link_at(struct list *node)
{
    return CONTAINER_OF(node, struct link, node);
}

static bool share_point(const struct link *a, const struct link *b)
{
    return a->attach_type == b->attach_type && a->params.ifindex == b->params.ifindex;
}

// Links on the point of `l`, with link_mutex held.
static uint32_t count_links(struct runtime *rt, const struct link *l)
{
    uint32_t count = 0;
    LIST_FOR_EACH (node, &rt->links) {
        count += share_point(link_at(node), l);
    }
    return count;
}

// Takes the point and a use of the provider.
static ebpf_result_t reserve_point(struct runtime *rt, struct link *l)
{
    ebpf_result_t result = EBPF_SUCCESS;
    plat_mutex_acquire(&rt->link_mutex);
    l->provider = provider_acquire_locked(rt, l->attach_type);
    if (l->provider == NULL) {
        result = EBPF_EXTENSION_FAILED_TO_LOAD;
    } else if (l->provider->max_links != 0 && count_links(rt, l) >= l->provider->max_links) {
        rt->providers[l->attach_type].users--;
        result = EBPF_INVALID_STATE;
    } else {
        l->state = LINK_ATTACHING;
        list_push_back(&rt->links, &l->node);
    }
    plat_mutex_release(&rt->link_mutex);
    return result;
}

// Gives both back, in one step: who sees no link sees no user.
static void release_point(struct link *l)
{
    struct runtime *rt = l->object.rt;
    plat_mutex_acquire(&rt->link_mutex);
    l->state = LINK_DETACHED;
    list_remove(&l->node);
    rt->providers[l->attach_type].users--;
    plat_mutex_release(&rt->link_mutex);
}

static void set_live(struct link *l, bool live)
{
    __atomic_store_n(&l->live, live, __ATOMIC_SEQ_CST);
}

static struct prog *current_prog(const struct link *l)
{
    return __atomic_load_n(&l->prog, __ATOMIC_SEQ_CST);
}

static void count_program(struct prog *g, int by)
{
    __atomic_fetch_add(&g->link_count, (uint32_t)by, __ATOMIC_RELAXED);
}

// --- creation and end ----------------------------------------------------------------------------

static void last_release(struct object *o)
{
    link_detach(CONTAINER_OF(o, struct link, object));
}

static void destroy(struct object *o)
{
    struct link *l = CONTAINER_OF(o, struct link, object);
    count_program(l->prog, -1);
    object_drop(&l->prog->object);
    counter_fini(&l->invocations);
    plat_free(l);
}

static const struct object_ops object_ops = {last_release, NULL, destroy};

static ebpf_result_t make(struct runtime *rt, struct prog *g, uint32_t attach_type,
                          const struct attach_params *params, struct link **out)
{
    struct link *l = plat_alloc(sizeof(*l), POOL_TAG_OBJECT);
    if (l == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (counter_init(&l->invocations) != EBPF_SUCCESS) {
        plat_free(l);
        return EBPF_NO_MEMORY;
    }
    list_init(&l->node);
    l->object.rt = rt;
    l->attach_type = attach_type;
    l->dialect = g->dialect;
    l->params = *params;
    l->prog = g;
    *out = l;
    return EBPF_SUCCESS;
}

static void unmake(struct link *l)
{
    counter_fini(&l->invocations);
    plat_free(l);
}

// Live first: the hook may invoke the link before attach returns.
static ebpf_result_t attach(struct link *l)
{
    struct runtime *rt = l->object.rt;
    set_live(l, true);
    ebpf_result_t result =
        l->provider->attach(l->provider->provider_context, l, &l->params, &l->hook_context);
    if (result != EBPF_SUCCESS) {
        set_live(l, false);
        return result;
    }
    plat_mutex_acquire(&rt->link_mutex);
    l->state = LINK_ATTACHED;
    plat_mutex_release(&rt->link_mutex);
    return EBPF_SUCCESS;
}

static ebpf_result_t check_type(const struct runtime *rt, const struct prog *g, uint32_t attach_type)
{
    if (attach_type == ATTACH_TYPE_NONE || attach_type >= rt->spec->attach_type_count) {
        return EBPF_INVALID_ARGUMENT;
    }
    return rt->spec->attach_types[attach_type].prog_type == g->type ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

ebpf_result_t link_create(struct runtime *rt, struct prog *g, uint32_t attach_type,
                          const struct attach_params *params, struct link **out)
{
    ebpf_result_t result;
    struct link *l;
    TRY(check_type(rt, g, attach_type));
    TRY(make(rt, g, attach_type, params, &l));
    object_acquire(&g->object);
    count_program(g, 1);
    TRY_OR(result, reserve_point(rt, l), undo_make);
    TRY_OR(result, object_publish(rt, &l->object, OBJECT_LINK, &object_ops), undo_reserve);
    result = attach(l);
    if (result != EBPF_SUCCESS) {
        release_point(l);
        object_release(&l->object); // it was published: somebody may look at it
        return result;
    }
    provider_release(rt, attach_type);
    *out = l;
    return EBPF_SUCCESS;

undo_reserve:
    release_point(l);
undo_make:
    count_program(g, -1);
    object_release(&g->object);
    unmake(l);
    return result;
}

// --- detaching -----------------------------------------------------------------------------------

// Steps out of ATTACHED; false when another thread did, or it never was attached.
static bool begin_detach(struct link *l)
{
    struct runtime *rt = l->object.rt;
    plat_mutex_acquire(&rt->link_mutex);
    bool ours = l->state == LINK_ATTACHED;
    if (ours) {
        l->state = LINK_DETACHING;
        rt->providers[l->attach_type].users++;
    }
    plat_mutex_release(&rt->link_mutex);
    return ours;
}

static bool is_settled(struct link *l)
{
    plat_mutex_acquire(&l->object.rt->link_mutex);
    enum link_state state = l->state;
    plat_mutex_release(&l->object.rt->link_mutex);
    return state == LINK_DETACHED;
}

void link_detach(struct link *l)
{
    while (!begin_detach(l)) {
        if (is_settled(l)) {
            return;
        }
        plat_sleep_us(100); // it is being attached or detached elsewhere
    }
    set_live(l, false);
    l->provider->detach(l->provider->provider_context, l->hook_context);
    epoch_synchronize(l->object.rt);
    release_point(l);
}

// A link of `provider` with a reference, or NULL.
static struct link *first_of(struct runtime *rt, const struct hook_provider *provider)
{
    struct link *found = NULL;
    plat_mutex_acquire(&rt->link_mutex);
    LIST_FOR_EACH (node, &rt->links) {
        struct link *l = link_at(node);
        if (l->provider == provider && object_try_acquire(&l->object)) {
            found = l;
            break;
        }
    }
    plat_mutex_release(&rt->link_mutex);
    return found;
}

static bool has_links(struct runtime *rt, const struct hook_provider *provider)
{
    bool has = false;
    plat_mutex_acquire(&rt->link_mutex);
    LIST_FOR_EACH (node, &rt->links) {
        has = has || link_at(node)->provider == provider;
    }
    plat_mutex_release(&rt->link_mutex);
    return has;
}

void link_detach_all(struct runtime *rt, const struct hook_provider *provider)
{
    while (has_links(rt, provider)) {
        struct link *l = first_of(rt, provider);
        if (l != NULL) {
            link_detach(l);
            object_release(&l->object);
        } else {
            plat_sleep_us(100); // those left are on their way out
        }
    }
}

// --- replacing -----------------------------------------------------------------------------------

// With link_mutex held. The reference of the old program goes to the caller.
static ebpf_result_t swap(struct link *l, struct prog *g, struct prog *expected, struct prog **old)
{
    if (l->state != LINK_ATTACHED || (expected != NULL && expected != l->prog)) {
        return EBPF_INVALID_STATE;
    }
    object_acquire(&g->object);
    count_program(g, 1);
    count_program(l->prog, -1);
    *old = __atomic_exchange_n(&l->prog, g, __ATOMIC_SEQ_CST);
    return EBPF_SUCCESS;
}

ebpf_result_t link_update(struct link *l, struct prog *g, struct prog *expected)
{
    struct runtime *rt = l->object.rt;
    struct prog *old;
    TRY(check_type(rt, g, l->attach_type));
    if (g->dialect != l->dialect) {
        return EBPF_INVALID_ARGUMENT; // verdicts of runs under way would change their meaning
    }
    plat_mutex_acquire(&rt->link_mutex);
    ebpf_result_t result = swap(l, g, expected, &old);
    plat_mutex_release(&rt->link_mutex);
    if (result == EBPF_SUCCESS) {
        object_release(&old->object);
    }
    return result;
}

// --- invoking ------------------------------------------------------------------------------------

void link_batch_begin(struct runtime *rt)
{
    epoch_enter(rt);
}

void link_batch_end(struct runtime *rt)
{
    epoch_exit(rt);
}

// The verifier counts on it (domain/value.h, VALUE_MAX_LENGTH).
static bool is_short_enough(const void *context)
{
    const struct run_data *data = context;
    return (uintptr_t)data->data_end - (uintptr_t)data->data <= RUN_MAX_DATA;
}

ebpf_result_t link_batch_invoke(struct link *l, void *context, uint64_t *result)
{
    struct run run = {.context = context, .r1 = (uintptr_t)context};
    if (!is_short_enough(context)) {
        return EBPF_INVALID_ARGUMENT;
    }
    if (__atomic_load_n(&l->live, __ATOMIC_SEQ_CST) == 0) {
        return EBPF_INVALID_STATE;
    }
    counter_increment(&l->invocations, plat_cpu_current());
    return prog_run(current_prog(l), &run, result);
}

ebpf_result_t link_invoke(struct link *l, void *context, uint64_t *result)
{
    struct runtime *rt = l->object.rt;
    epoch_enter(rt);
    ebpf_result_t status = link_batch_invoke(l, context, result);
    epoch_exit(rt);
    return status;
}

// --- what others may ask -------------------------------------------------------------------------

enum dialect link_dialect(const struct link *l)
{
    return (enum dialect)l->dialect;
}

uint32_t link_id(const struct link *l)
{
    return l->object.id;
}

struct object *link_object(struct link *l)
{
    return &l->object;
}

struct link *link_from_object(struct object *o)
{
    return o->kind == OBJECT_LINK ? CONTAINER_OF(o, struct link, object) : NULL;
}

void link_info(const struct link *l, struct link_info *out)
{
    struct runtime *rt = l->object.rt;
    struct link_info info = {
        .id = l->object.id,
        .attach_type = l->attach_type,
        .params = l->params,
        .invoke_count = counter_sum(&l->invocations),
    };
    plat_mutex_acquire(&rt->link_mutex);
    info.prog_id = l->prog->object.id;
    info.attached = l->state == LINK_ATTACHED;
    plat_mutex_release(&rt->link_mutex);
    *out = info;
}
