// SPDX-License-Identifier: MIT
// core_object: handlers of pins, ids, object information and hooks.
#include "core/core_int.h"

// --- pins ----------------------------------------------------------------------------------------

static ebpf_result_t get_path(const struct execution *x, char path[PIN_PATH_SIZE])
{
    return pin_path_canonicalize((enum dialect)x->core->options.platform, x->request.fixed, path);
}

ebpf_result_t handle_OBJECT_PIN(struct execution *x)
{
    char path[PIN_PATH_SIZE];
    TRY(get_path(x, path));
    if (core_make_reply(x, 0, NULL) == NULL) {
        return EBPF_NO_MEMORY;
    }
    return pin_add(x->core->runtime, path, x->call->objects[0]);
}

ebpf_result_t handle_OBJECT_GET(struct execution *x)
{
    char path[PIN_PATH_SIZE];
    struct object *o = NULL;
    TRY(get_path(x, path));
    struct proto_new_object *reply = core_make_reply(x, 0, NULL);
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY(pin_get(x->core->runtime, path, &o));
    core_give_object(x, o, reply);
    return EBPF_SUCCESS;
}

ebpf_result_t handle_OBJECT_UNPIN(struct execution *x)
{
    char path[PIN_PATH_SIZE];
    TRY(get_path(x, path));
    return core_make_reply(x, 0, NULL) == NULL ? EBPF_NO_MEMORY : pin_remove(x->core->runtime, path);
}

ebpf_result_t handle_PIN_NEXT(struct execution *x)
{
    struct proto_pin_next_reply *reply = core_make_reply(x, 0, NULL);
    struct object *o = NULL;
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    // The start is a path that this operation returned, so it is canonical as it is.
    TRY(pin_next(x->core->runtime, x->request.fixed, reply->path, &o));
    reply->kind = object_kind(o);
    reply->id = object_id(o);
    object_release(o);
    return EBPF_SUCCESS;
}

// --- ids -----------------------------------------------------------------------------------------

static ebpf_result_t check_kind(uint32_t kind)
{
    return kind >= PROTO_KIND_MAP && kind <= PROTO_KIND_LINK ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

ebpf_result_t handle_NEXT_ID(struct execution *x)
{
    struct proto_next_id_request request;
    struct proto_next_id_reply *reply = core_make_reply(x, 0, NULL);
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    core_get_fixed(x, &request);
    TRY(check_kind(request.kind));
    return object_next_id(x->core->runtime, (enum object_kind)request.kind, request.start, &reply->id);
}

ebpf_result_t handle_OPEN_ID(struct execution *x)
{
    struct proto_open_id_request request;
    struct proto_new_object *reply = core_make_reply(x, 0, NULL);
    struct object *o = NULL;
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    core_get_fixed(x, &request);
    TRY(check_kind(request.kind));
    TRY(object_by_id(x->core->runtime, (enum object_kind)request.kind, request.id, &o));
    core_give_object(x, o, reply);
    return EBPF_SUCCESS;
}

// --- information ---------------------------------------------------------------------------------

static ebpf_result_t fill_map(struct execution *x, struct proto_object_info_reply *reply)
{
    struct map_info info;
    map_info(core_map(x, 0), &info);
    reply->type = info.def.type;
    reply->map_flags = info.def.flags;
    reply->key_size = info.def.key_size;
    reply->value_size = info.def.value_size;
    reply->max_entries = info.def.max_entries;
    reply->frozen = info.frozen;
    reply->user_value_size = map_user_value_size(core_map(x, 0));
    reply->memory = info.memory;
    memcpy(reply->name, info.def.name, sizeof(reply->name));
    return EBPF_SUCCESS;
}

static ebpf_result_t fill_prog(struct execution *x, struct proto_object_info_reply *reply)
{
    struct prog_info *info = arena_alloc(x->call->arena, sizeof(*info)); // too large for the stack
    if (info == NULL) {
        return EBPF_NO_MEMORY;
    }
    prog_info(core_prog(x, 0), info);
    reply->type = info->type;
    reply->attach_type = info->attach_type;
    reply->dialect = info->dialect;
    reply->insn_count = info->insn_count;
    reply->map_count = info->map_count;
    reply->link_count = info->link_count;
    reply->load_time_ns = info->load_time_ns;
    reply->run_count = info->run_count;
    reply->run_time_ns = info->run_time_ns;
    memcpy(reply->tag, info->tag, sizeof(reply->tag));
    memcpy(reply->name, info->name, sizeof(reply->name));
    memcpy(reply->map_ids, info->map_ids, sizeof(reply->map_ids));
    memcpy(reply->module, info->module, sizeof(reply->module));
    reply->module_id = info->module_id;
    reply->revoked = info->revoked;
    return EBPF_SUCCESS;
}

static ebpf_result_t fill_link(struct execution *x, struct proto_object_info_reply *reply)
{
    struct link_info info;
    link_info(core_link(x, 0), &info);
    reply->type = runtime_spec(x->core->runtime)->attach_types[info.attach_type].prog_type;
    reply->attach_type = info.attach_type;
    reply->prog_id = info.prog_id;
    reply->ifindex = info.params.ifindex;
    reply->attached = info.attached;
    reply->run_count = info.invoke_count;
    return EBPF_SUCCESS;
}

ebpf_result_t handle_OBJECT_INFO(struct execution *x)
{
    static ebpf_result_t (*const fill[OBJECT_KIND_COUNT])(struct execution *,
                                                          struct proto_object_info_reply *) = {
        [OBJECT_MAP] = fill_map, [OBJECT_PROGRAM] = fill_prog, [OBJECT_LINK] = fill_link};
    struct object *o = x->call->objects[0];
    struct proto_object_info_reply *reply = core_make_reply(x, 0, NULL);
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    reply->kind = object_kind(o);
    reply->id = object_id(o);
    reply->pin_count = pin_count(x->core->runtime, o);
    return fill[object_kind(o)](x, reply);
}

// --- hooks ---------------------------------------------------------------------------------------

// Hooks know links; which program a link runs is known here.
static uint32_t prog_of_link(struct core *core, uint32_t id)
{
    struct object *o = NULL;
    struct link_info info;
    if (id == 0 || object_by_id(core->runtime, OBJECT_LINK, id, &o) != EBPF_SUCCESS) {
        return 0;
    }
    link_info(link_from_object(o), &info);
    object_release(o);
    return info.prog_id;
}

ebpf_result_t handle_HOOK_NEXT(struct execution *x)
{
    const struct core_options *options = &x->core->options;
    struct proto_hook_next_request request;
    struct proto_hook_next_reply *reply = core_make_reply(x, 0, NULL);
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    core_get_fixed(x, &request);
    if (options->hook_next == NULL) {
        return EBPF_NO_MORE_KEYS;
    }
    TRY(options->hook_next(options->hook_user, &request, reply));
    reply->prog_id = prog_of_link(x->core, reply->link_id);
    return EBPF_SUCCESS;
}
