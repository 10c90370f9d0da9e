// SPDX-License-Identifier: MIT
// core_module: handlers of native modules, and what binds a module's program to the request that loads it.
// The image's code is trusted for who made it; that it is the code of the program that was verified here,
// with the tables that are in force here, is what these checks are for.
#include "core/core_int.h"

// --- coming and going ----------------------------------------------------------------------------

// An image that the host has loaded.
struct image {
    struct core_module_loader loader;
    void *handle;
};

static void unload(void *user)
{
    struct image *i = user;
    i->loader.unload(i->loader.user, i->handle);
    plat_free(i);
}

ebpf_result_t core_module_register(struct core *core, const struct module_source *source,
                                   char why[MODULE_WHY_SIZE], struct module **out)
{
    const char *sentence = "";
    ebpf_result_t result = core_policy_check(CORE_NATIVE, &core->options.integrity, &sentence);
    if (result != EBPF_SUCCESS) {
        (void)str_copy(why, MODULE_WHY_SIZE, sentence);
        return result;
    }
    if (core->options.hasher.sha256 == NULL) {
        (void)str_copy(why, MODULE_WHY_SIZE,
                       "this execution context cannot check native programs: no SHA-256");
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    return module_register(core->runtime, source, why, out);
}

static ebpf_result_t load_image(struct core *core, const char *path, char why[MODULE_WHY_SIZE],
                                struct module **out)
{
    const struct core_module_loader *loader = &core->options.modules;
    const struct ebpf_native_module *table = NULL;
    struct image *i = plat_alloc(sizeof(*i), POOL_TAG_CORE);
    if (i == NULL) {
        return EBPF_NO_MEMORY;
    }
    i->loader = *loader;
    ebpf_result_t result = loader->load(loader->user, path, &table, &i->handle, why);
    if (result != EBPF_SUCCESS) {
        plat_free(i);
        return result;
    }
    const struct module_source source = {.table = table, .gone = unload, .user = i};
    result = core_module_register(core, &source, why, out);
    if (result != EBPF_SUCCESS) {
        unload(i);
    }
    return result;
}

// --- handlers ------------------------------------------------------------------------------------

static struct proto_module_load_reply *make_reply(struct execution *x, const char *text)
{
    size_t size = str_len(text) + 1;
    uint8_t *tail = NULL;
    struct proto_module_load_reply *reply = core_make_reply(x, size, &tail);
    if (reply != NULL) {
        memcpy(tail, text, size);
        reply->text_size = (uint32_t)size;
    }
    return reply;
}

static ebpf_result_t refuse(struct execution *x, ebpf_result_t result, const char *why)
{
    if (why[0] == '\0') {
        return result;
    }
    x->detailed = make_reply(x, why) != NULL;
    return x->detailed ? result : EBPF_NO_MEMORY;
}

// The host's working directory is not the client's.
static bool is_absolute(enum dialect platform, const char *path)
{
    bool drive = path[0] != '\0' && path[1] == ':' && (path[2] == '\\' || path[2] == '/');
    bool share = path[0] == '\\' && path[1] == '\\';
    return platform == DIALECT_WINDOWS ? drive || share : path[0] == '/';
}

static bool is_path(const struct execution *x)
{
    const char *path = (const char *)x->request.tail;
    size_t size = x->request.tail_size;
    return size != 0 && str_is_terminated(path, size) && str_len(path) + 1 == size &&
           is_absolute((enum dialect)x->core->options.platform, path);
}

ebpf_result_t handle_MODULE_LOAD(struct execution *x)
{
    char why[MODULE_WHY_SIZE] = "";
    struct module *m = NULL;
    if (x->core->options.modules.load == NULL) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    if (!is_path(x)) {
        return refuse(x, EBPF_INVALID_ARGUMENT, "a native module is loaded by its absolute path");
    }
    struct proto_module_load_reply *reply = make_reply(x, "");
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    ebpf_result_t result = load_image(x->core, (const char *)x->request.tail, why, &m);
    if (result != EBPF_SUCCESS) {
        return refuse(x, result, why);
    }
    core_give_object(x, module_object(m), &reply->object);
    return EBPF_SUCCESS;
}

ebpf_result_t handle_MODULE_OPEN(struct execution *x)
{
    struct proto_module_open_request request;
    struct proto_new_object *reply = core_make_reply(x, 0, NULL);
    struct module *m = NULL;
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    core_get_fixed(x, &request);
    TRY(module_by_id(x->core->runtime, request.id, &m));
    core_give_object(x, module_object(m), reply);
    return EBPF_SUCCESS;
}

static ebpf_result_t reply_program(struct execution *x, struct module *m, uint32_t index)
{
    struct module_program row;
    uint8_t *tail = NULL;
    TRY(module_program(m, index, &row));
    size_t maps = row.map_count * sizeof(row.maps[0]);
    struct proto_module_program_reply *reply = core_make_reply(x, row.canonical_size + maps, &tail);
    if (reply == NULL) {
        return EBPF_NO_MEMORY;
    }
    (void)str_copy(reply->name, sizeof(reply->name), row.name);
    reply->canonical_size = row.canonical_size;
    reply->map_count = row.map_count;
    memcpy(tail, row.canonical, row.canonical_size);
    if (maps != 0) {
        memcpy(tail + row.canonical_size, row.maps, maps);
    }
    return EBPF_SUCCESS;
}

ebpf_result_t handle_MODULE_PROGRAM(struct execution *x)
{
    struct proto_module_program_request request;
    struct module *m = module_from_object(x->call->objects[0]);
    core_get_fixed(x, &request);
    TRY(module_enter(m));
    ebpf_result_t result = reply_program(x, m, request.index);
    module_leave(m);
    return result;
}

// --- loading a program ---------------------------------------------------------------------------

static ebpf_result_t check_request(struct execution *x, struct native_load *n)
{
    char why[MODULE_WHY_SIZE];
    if (module_program(n->module, n->index, &n->row) != EBPF_SUCCESS) {
        return core_refuse_load(x, EBPF_INVALID_ARGUMENT, "the native module has no such program");
    }
    ebpf_result_t result = module_check_helpers(n->module, n->index, why);
    if (result != EBPF_SUCCESS) {
        return core_refuse_load(x, result, why);
    }
    if (n->row.canonical_size != x->request.tail_size ||
        memcmp(n->row.canonical, x->request.tail, x->request.tail_size) != 0) {
        return core_refuse_load(x, EBPF_PROGRAM_LOAD_FAILED, "the native module's program is another one");
    }
    return EBPF_SUCCESS;
}

ebpf_result_t core_native_begin(struct execution *x, uint32_t native, struct native_load *out)
{
    unsigned count = x->call->object_count;
    struct module *m = count != 0 ? module_from_object(x->call->objects[count - 1]) : NULL;
    if (m == NULL) {
        return core_refuse_load(x, EBPF_INVALID_ARGUMENT, "the request names no native module");
    }
    if (module_enter(m) != EBPF_SUCCESS) {
        return core_refuse_load(x, EBPF_INVALID_STATE, "the native module is revoked: its image goes");
    }
    struct native_load n = {.module = m, .index = native - 1};
    ebpf_result_t result = check_request(x, &n);
    if (result != EBPF_SUCCESS) {
        module_leave(m);
        return result;
    }
    *out = n;
    return EBPF_SUCCESS;
}

ebpf_result_t core_native_check(struct execution *x, const struct native_load *n, const struct program *p)
{
    const struct module_program *row = &n->row;
    const struct evidence *found = &x->call->verdict->evidence;
    uint8_t digest[PROTO_DIGEST_SIZE];
    if (row->evidence_size != found->size || memcmp(row->evidence, found->bytes, found->size) != 0) {
        return core_refuse_load(x, EBPF_PROGRAM_LOAD_FAILED,
                                "the native module's evidence is not that of its program");
    }
    ebpf_result_t result =
        proto_program_digest(runtime_spec(x->core->runtime), p, row->canonical, row->canonical_size, found,
                             &x->core->options.hasher, x->call->arena, digest);
    if (result == EBPF_FAILED) {
        return core_refuse_load(x, result, "SHA-256 cannot be made");
    }
    TRY(result);
    if (memcmp(digest, row->digest, sizeof(digest)) != 0) {
        return core_refuse_load(
            x, EBPF_PROGRAM_LOAD_FAILED,
            "the native module's digest is wrong: it was changed, or made for another version");
    }
    return EBPF_SUCCESS;
}
