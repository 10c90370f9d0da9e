// SPDX-License-Identifier: MIT
// core_prog: handlers of programs and links. A program gets in only with a verdict, and only with the very
// maps that it was verified against; what the service said is re-checked where it can be (program_check here,
// marks in prog_load).
#include "core/core_int.h"

// --- load ----------------------------------------------------------------------------------------

struct load_text {
    const char *text, *json;
};

// Makes the reply with the findings; it travels whether the program was accepted or not.
static struct proto_prog_load_reply *make_load_reply(struct execution *x, const struct load_text *t)
{
    const struct core_verdict *v = x->call->verdict;
    size_t text_size = str_len(t->text) + 1, json_size = str_len(t->json) + 1;
    uint8_t *tail = NULL;
    struct proto_prog_load_reply *reply = core_make_reply(x, text_size + json_size, &tail);
    if (reply == NULL) {
        return NULL;
    }
    memcpy(tail, t->text, text_size);
    memcpy(tail + text_size, t->json, json_size);
    reply->text_size = (uint32_t)text_size;
    reply->json_size = (uint32_t)json_size;
    if (v != NULL) {
        reply->states = v->states;
        reply->peak_kb = v->peak_kb;
        reply->time_us = v->time_us;
    }
    return reply;
}

static ebpf_result_t refuse(struct execution *x, ebpf_result_t result, const struct load_text *t)
{
    x->detailed = make_load_reply(x, t) != NULL;
    return x->detailed ? result : EBPF_NO_MEMORY;
}

// As the text, without structured findings.
ebpf_result_t core_refuse_load(struct execution *x, ebpf_result_t result, const char *why)
{
    char line[168];
    str_format(line, sizeof(line), "%s\n", why);
    return refuse(x, result, &(struct load_text){line, "[]"});
}

static bool is_same_definition(const struct map_def *a, const struct map_def *b)
{
    return a->type == b->type && a->key_size == b->key_size && a->value_size == b->value_size &&
           a->max_entries == b->max_entries && a->flags == b->flags;
}

// Whether a map still holds, and will for ever, what the verifier took as constant. Nothing is taken on the
// sender's word.
static bool holds_contents(struct execution *x, struct map *m, const struct map_info *info,
                           const uint8_t *contents)
{
    const struct map_def *def = &info->def;
    uint32_t key = 0;
    if (def->type != MAP_TYPE_ARRAY || def->max_entries != 1 || !map_is_constant(m) ||
        (def->flags & MAP_FLAG_WRONLY) != 0) {
        return false;
    }
    uint8_t *value = arena_alloc(x->call->arena, map_user_value_size(m));
    return value != NULL && map_user_lookup(m, &key, value) == EBPF_SUCCESS &&
           memcmp(value, contents, def->value_size) == 0;
}

static const char *definition_fault(struct execution *x, const char *name)
{
    enum { SIZE = SPEC_NAME_SIZE + 64 };
    char *why = arena_alloc(x->call->arena, SIZE);
    if (why == NULL) {
        return "a map is not as the program declares it";
    }
    str_format(why, SIZE, "the map %s is not as the program declares it", name);
    return why;
}

// NULL, or why the map cannot be the program's `i`th.
static const char *map_fault(struct execution *x, const struct program *p, unsigned i, struct map *m)
{
    struct map_info info;
    if (m == NULL) {
        return "the request names something else than a map for one of the program's";
    }
    map_info(m, &info);
    if (!is_same_definition(&info.def, &p->maps[i])) {
        return definition_fault(x, p->maps[i].name);
    }
    if (p->map_facts != NULL && p->map_facts[i].contents != NULL &&
        !holds_contents(x, m, &info, p->map_facts[i].contents)) {
        return "a map does not hold for ever what the program says that it holds";
    }
    return NULL;
}

// The maps of the request in order, which has `others` objects behind them, or NULL with *result. A program
// that was verified against one definition must not meet a map of another.
static struct map **bind_maps(struct execution *x, const struct program *p, unsigned others,
                              ebpf_result_t *result)
{
    unsigned count = x->call->object_count - others;
    struct map **maps = arena_array(x->call->arena, count, sizeof(struct map *));
    if (maps == NULL) {
        *result = EBPF_NO_MEMORY;
        return NULL;
    }
    if (count != p->map_count) {
        *result = core_refuse_load(x, EBPF_INVALID_ARGUMENT,
                                   "the request does not name a map for each of the program's");
        return NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        maps[i] = core_map(x, i);
        const char *fault = map_fault(x, p, i, maps[i]);
        if (fault != NULL) {
            *result = core_refuse_load(x, EBPF_INVALID_ARGUMENT, fault);
            return NULL;
        }
    }
    return maps;
}

static ebpf_result_t decode(struct execution *x, struct program **out)
{
    const char *why = "", *name = "";
    uint32_t bad_pc = 0;
    struct program *p = arena_alloc(x->call->arena, sizeof(*p));
    if (p == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY(proto_program_decode(x->request.tail, x->request.tail_size, x->call->arena, p));
    ebpf_result_t result = program_check(runtime_spec(x->core->runtime), p, &bad_pc, &why);
    if (result != EBPF_SUCCESS) {
        return result == EBPF_NO_MEMORY ? result : core_refuse_load(x, EBPF_PROGRAM_LOAD_FAILED, why);
    }
    result = program_check_loadable(runtime_spec(x->core->runtime), p, &bad_pc, &why, &name);
    if (result != EBPF_SUCCESS) {
        char text[160];
        str_format(text, sizeof(text), "%s%s%s", why, *name != '\0' ? ": " : "", name);
        return core_refuse_load(x, result, text);
    }
    p->source = x->request.tail;
    p->source_size = (uint32_t)x->request.tail_size; // of a message, whose size has 32 bits
    *out = p;
    return EBPF_SUCCESS;
}

static const char *load_refusal(ebpf_result_t result)
{
    switch (result) {
    case EBPF_PROGRAM_LOAD_FAILED: return "the evidence does not fit the program";
    case EBPF_INVALID_ARGUMENT: return "a program array holds programs of another kind";
    case EBPF_JIT_COMPILATION_FAILED: return "the program cannot be translated";
    case EBPF_BLOCKED_BY_POLICY: return "the system lets nobody make memory executable here";
    default: return NULL;
    }
}

static ebpf_result_t make_prog(struct execution *x, const struct program *p, struct map **maps,
                               const struct native_load *n, struct prog **out)
{
    const struct evidence *evidence = &x->call->verdict->evidence;
    char why[MODULE_WHY_SIZE] = "";
    ebpf_result_t result =
        n == NULL ? prog_load(x->core->runtime, p, maps, evidence, out)
                  : prog_load_native(x->core->runtime, p, maps, evidence, n->module, n->index, why, out);
    const char *sentence = why[0] != '\0' ? why : load_refusal(result);
    return sentence != NULL ? core_refuse_load(x, result, sentence) : result;
}

static ebpf_result_t load_verified(struct execution *x, const struct native_load *n)
{
    const struct core_verdict *v = x->call->verdict;
    struct program *p = NULL;
    struct prog *prog = NULL;
    ebpf_result_t result = EBPF_SUCCESS;
    TRY(decode(x, &p));
    struct map **maps = bind_maps(x, p, n != NULL, &result);
    if (maps == NULL) {
        return result;
    }
    if (n != NULL) {
        TRY(core_native_check(x, n, p));
    }
    struct proto_prog_load_reply *reply = make_load_reply(x, &(struct load_text){v->text, v->json});
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    TRY(make_prog(x, p, maps, n, &prog));
    core_give_object(x, prog_object(prog), &reply->object);
    return EBPF_SUCCESS;
}

// Nothing falls back silently: what cannot be had in the mode asked for is refused.
static ebpf_result_t check_execution(struct execution *x, bool native)
{
    const struct core_options *o = &x->core->options;
    const char *why = NULL;
    if (core_policy_check(native ? CORE_NATIVE : o->execution, &o->integrity, &why) != EBPF_SUCCESS) {
        return core_refuse_load(x, EBPF_BLOCKED_BY_POLICY, why);
    }
    return native || o->execution != CORE_NATIVE
               ? EBPF_SUCCESS
               : core_refuse_load(x, EBPF_OPERATION_NOT_SUPPORTED,
                                  "only programs of native modules are run here, and this one is of none");
}

static ebpf_result_t load_judged(struct execution *x, const struct native_load *n)
{
    const struct core_verdict *v = x->call->verdict;
    if (v == NULL) {
        return core_refuse_load(x, EBPF_VERIFICATION_FAILED, "nothing has verified this program");
    }
    if (v->result != EBPF_SUCCESS) {
        return refuse(x, v->result, &(struct load_text){v->text, v->json});
    }
    return load_verified(x, n);
}

ebpf_result_t handle_PROG_LOAD(struct execution *x)
{
    struct proto_prog_load_request request;
    struct native_load native;
    core_get_fixed(x, &request);
    TRY(check_execution(x, request.native != 0));
    if (request.native == 0) {
        return load_judged(x, NULL);
    }
    TRY(core_native_begin(x, request.native, &native));
    ebpf_result_t result = load_judged(x, &native);
    module_leave(native.module);
    return result;
}

// --- dump ----------------------------------------------------------------------------------------

ebpf_result_t handle_PROG_DUMP(struct execution *x)
{
    struct proto_prog_dump_request request;
    uint8_t *tail = NULL;
    uint32_t total = 0;
    core_get_fixed(x, &request);
    if (request.what > PROTO_DUMP_CODE) {
        return EBPF_INVALID_ARGUMENT;
    }
    const uint8_t *bytes = request.what == PROTO_DUMP_CODE ? prog_machine_code(core_prog(x, 0), &total)
                                                           : prog_source(core_prog(x, 0), &total);
    uint32_t left = request.offset < total ? total - request.offset : 0;
    uint32_t size = left < request.size ? left : request.size;
    struct proto_prog_dump_reply *reply = core_make_reply(x, size, &tail);
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    reply->total = total;
    if (size > 0) {
        memcpy(tail, bytes + request.offset, size);
    }
    return EBPF_SUCCESS;
}

// --- test run ------------------------------------------------------------------------------------

static ebpf_result_t check_run_sizes(const struct execution *x,
                                     const struct proto_prog_test_run_request *request, size_t *reply_tail)
{
    size_t in = 0;
    if (!add_size(request->data_in_size, request->ctx_in_size, &in) || in != x->request.tail_size ||
        !add_size(request->data_out_capacity, request->ctx_out_capacity, reply_tail)) {
        return EBPF_INVALID_ARGUMENT;
    }
    return *reply_tail > PROTO_MAX_SIZE / 2 ? EBPF_INVALID_ARGUMENT : EBPF_SUCCESS;
}

static void fill_run(struct test_run *run, const struct execution *x,
                     const struct proto_prog_test_run_request *request)
{
    *run = (struct test_run){
        .data_in = x->request.tail,
        .data_in_size = request->data_in_size,
        .data_out_size = request->data_out_capacity,
        .ctx_in = request->ctx_in_size != 0 ? x->request.tail + request->data_in_size : NULL,
        .ctx_in_size = request->ctx_in_size,
        .ctx_out_size = request->ctx_out_capacity,
        .repeat = request->repeat,
        .is_cancelled = x->call->is_abandoned,
        .cancel_user = x->call->user,
    };
}

// Moves the context's bytes behind the data that there is and cuts the reply to both.
static void pack_run(struct execution *x, const struct proto_prog_test_run_request *request,
                     const struct test_run *run, uint8_t *tail)
{
    size_t room = (size_t)request->data_out_capacity + request->ctx_out_capacity;
    size_t data =
        run->data_out_size < request->data_out_capacity ? run->data_out_size : request->data_out_capacity;
    size_t ctx =
        run->ctx_out_size < request->ctx_out_capacity ? run->ctx_out_size : request->ctx_out_capacity;
    memmove(tail + data, tail + request->data_out_capacity, ctx);
    x->reply_size -= room - data - ctx;
}

ebpf_result_t handle_PROG_TEST_RUN(struct execution *x)
{
    struct proto_prog_test_run_request request;
    struct test_run run;
    uint8_t *tail = NULL;
    size_t room = 0;
    core_get_fixed(x, &request);
    TRY(check_run_sizes(x, &request, &room));
    struct proto_prog_test_run_reply *reply = core_make_reply(x, room, &tail);
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    fill_run(&run, x, &request);
    run.data_out = request.data_out_capacity != 0 ? tail : NULL;
    run.ctx_out = request.ctx_out_capacity != 0 ? tail + request.data_out_capacity : NULL;
    ebpf_result_t result = prog_test_run(core_prog(x, 0), &run);
    if (result != EBPF_SUCCESS && result != EBPF_INSUFFICIENT_BUFFER) {
        return result;
    }
    reply->retval = run.retval;
    reply->duration_ns = run.duration;
    reply->data_out_size = (uint32_t)run.data_out_size;
    reply->ctx_out_size = (uint32_t)run.ctx_out_size;
    pack_run(x, &request, &run, tail);
    x->detailed = true; // the data that did fit is of use
    return result;
}

ebpf_result_t handle_PROG_BIND_MAP(struct execution *x)
{
    return core_make_reply(x, 0, NULL) == NULL ? EBPF_NO_MEMORY
                                               : prog_bind_map(core_prog(x, 0), core_map(x, 1));
}

// --- links ---------------------------------------------------------------------------------------

ebpf_result_t handle_LINK_CREATE(struct execution *x)
{
    struct proto_link_create_request request;
    struct proto_new_object *reply = core_make_reply(x, 0, NULL);
    struct link *link = NULL;
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    core_get_fixed(x, &request);
    if (request.attach_type == ATTACH_TYPE_NONE ||
        request.attach_type >= runtime_spec(x->core->runtime)->attach_type_count) {
        return EBPF_INVALID_ARGUMENT;
    }
    struct attach_params params = {.ifindex = request.ifindex, .flags = request.flags};
    TRY(link_create(x->core->runtime, core_prog(x, 0), request.attach_type, &params, &link));
    core_give_object(x, link_object(link), reply);
    return EBPF_SUCCESS;
}

ebpf_result_t handle_LINK_UPDATE(struct execution *x)
{
    return core_make_reply(x, 0, NULL) == NULL ? EBPF_NO_MEMORY
                                               : link_update(core_link(x, 0), core_prog(x, 1), NULL);
}

ebpf_result_t handle_LINK_REPLACE(struct execution *x)
{
    return core_make_reply(x, 0, NULL) == NULL
               ? EBPF_NO_MEMORY
               : link_update(core_link(x, 0), core_prog(x, 1), core_prog(x, 2));
}

ebpf_result_t handle_LINK_DETACH(struct execution *x)
{
    if (core_make_reply(x, 0, NULL) == NULL) {
        return EBPF_NO_MEMORY;
    }
    link_detach(core_link(x, 0));
    return EBPF_SUCCESS;
}
