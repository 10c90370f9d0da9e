// SPDX-License-Identifier: MIT
// core: executes requests. The table's check comes first, then the operation's handler; errors travel in the
// reply's header. The only state is the runtime: nothing is kept between requests.
#include "core/core_int.h"

static ebpf_result_t (*const handlers[])(struct execution *x) = {
#define OP(id, number, ...) [number] = handle_##id,
#include "proto/ops.def"
#undef OP
};

_Static_assert(PROTO_KIND_MAP == (int)OBJECT_MAP && PROTO_KIND_PROGRAM == (int)OBJECT_PROGRAM &&
                   PROTO_KIND_LINK == (int)OBJECT_LINK && PROTO_KIND_MODULE == (int)OBJECT_MODULE,
               "object kinds are the same on the wire");
_Static_assert(PROTO_PATH_SIZE == PIN_PATH_SIZE, "pin paths are the same on the wire");

// --- bring-up ------------------------------------------------------------------------------------

ebpf_result_t core_create(const struct core_options *options, struct core **out)
{
    ebpf_result_t result;
    struct core *core = plat_alloc(sizeof(*core), POOL_TAG_CORE);
    if (core == NULL) {
        return EBPF_NO_MEMORY;
    }
    core->options = *options;
    core->options.runtime.engine = options->execution == CORE_INTERPRETER ? RUNTIME_INTERPRETER : RUNTIME_JIT;
    TRY_OR(result, runtime_create(&core->options.runtime, &core->runtime), undo_core);
    *out = core;
    return EBPF_SUCCESS;

undo_core:
    plat_free(core);
    return result;
}

void core_destroy(struct core *core)
{
    pin_remove_all(core->runtime);
    runtime_destroy(core->runtime);
    plat_free(core);
}

struct runtime *core_runtime(struct core *core)
{
    return core->runtime;
}

// --- what handlers share -------------------------------------------------------------------------

void *core_make_reply(struct execution *x, size_t tail_size, uint8_t **tail)
{
    size_t head = sizeof(struct proto_header) + x->request.row->reply_size;
    size_t capacity = x->call->reply_capacity;
    if (tail_size > PROTO_MAX_SIZE - head) {
        return NULL;
    }
    if (capacity != 0 && head + tail_size > capacity) {
        x->size_wanted = head + tail_size;
        return NULL;
    }
    x->reply = arena_alloc(x->call->arena, head + tail_size);
    if (x->reply == NULL) {
        return NULL;
    }
    x->reply_size = head + tail_size;
    if (tail != NULL) {
        *tail = x->reply + head;
    }
    return x->reply + sizeof(struct proto_header);
}

void core_get_fixed(const struct execution *x, void *out)
{
    memcpy(out, x->request.fixed, x->request.row->request_size);
}

struct map *core_map(const struct execution *x, unsigned index)
{
    return map_from_object(x->call->objects[index]);
}

struct prog *core_prog(const struct execution *x, unsigned index)
{
    return prog_from_object(x->call->objects[index]);
}

struct link *core_link(const struct execution *x, unsigned index)
{
    return link_from_object(x->call->objects[index]);
}

void core_give_object(struct execution *x, struct object *o, struct proto_new_object *reply)
{
    reply->kind = object_kind(o);
    reply->id = object_id(o);
    x->new_object = o;
}

// --- execution -----------------------------------------------------------------------------------

static ebpf_result_t check(struct execution *x)
{
    uint8_t kinds[PROTO_MAX_OBJECTS];
    const struct core_call *call = x->call;
    if (call->object_count > PROTO_MAX_OBJECTS) {
        return EBPF_INVALID_ARGUMENT;
    }
    for (unsigned i = 0; i < call->object_count; i++) {
        kinds[i] = (uint8_t)object_kind(call->objects[i]);
    }
    return proto_request_check(call->request, call->request_size, kinds, call->object_count, &x->request);
}

// What a client needs to recognise the reply, also when its request was refused.
static struct proto_header reply_header(const struct core_call *call)
{
    struct proto_header h = {0};
    if (call->request_size >= sizeof(h)) {
        memcpy(&h, call->request, sizeof(h));
    }
    return (struct proto_header){
        .magic = PROTO_MAGIC, .version = PROTO_WIRE_VERSION, .op = h.op, .cookie = h.cookie};
}

ebpf_result_t core_execute(struct core *core, struct core_call *call)
{
    struct execution x = {.core = core, .call = call};
    call->memory_fd = -1;
    struct proto_header header = reply_header(call);
    ebpf_result_t result = check(&x);
    if (result == EBPF_SUCCESS) {
        result = handlers[x.request.row->number](&x);
    }
    if (result != EBPF_SUCCESS && !x.detailed) {
        x.reply_size = sizeof(header);
        x.reply = arena_alloc(call->arena, x.reply_size);
        if (x.reply == NULL) {
            return EBPF_NO_MEMORY;
        }
    }
    bool too_large = x.size_wanted != 0 && result != EBPF_SUCCESS && !x.detailed;
    header.size = (uint32_t)(too_large ? x.size_wanted : x.reply_size);
    header.result = too_large ? EBPF_INSUFFICIENT_BUFFER : result;
    header.objects = x.new_object != NULL;
    memcpy(x.reply, &header, sizeof(header));
    call->reply = x.reply;
    call->reply_size = x.reply_size;
    call->new_object = x.new_object;
    return EBPF_SUCCESS;
}

ebpf_result_t handle_VERSION(struct execution *x)
{
    struct proto_version_reply *reply = core_make_reply(x, 0, NULL);
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    reply->version = PROTO_WIRE_VERSION;
    reply->cpu_count = plat_cpu_count();
    reply->platform = x->core->options.platform;
    return EBPF_SUCCESS;
}
