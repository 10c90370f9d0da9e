// SPDX-License-Identifier: MIT
// netsh_program: programs are added, changed and deleted.
//
// Whatever was added is held by this process until it is deleted here, or netsh ends; what is pinned stays
// longer. A command that fails leaves nothing of what it had made.
#include "cli/netsh_int.h"

struct netsh_held {
    struct netsh_held *next;
    struct bpf_object *object;
    struct netsh_links links; // of an object that is not pinned
};

static void release(struct netsh_held *held)
{
    netsh_close_links(&held->links);
    bpf_object__close(held->object);
    free(held);
}

void netsh_release_all(struct netsh *n)
{
    while (n->held != NULL) {
        struct netsh_held *held = n->held;
        n->held = held->next;
        release(held);
    }
}

static bool is_detached(int fd)
{
    struct ebpf_object_info info;
    return ebpf_object_get_info(fd, &info) == EBPF_SUCCESS && !info.attached;
}

void netsh_release_detached(struct netsh *n)
{
    for (struct netsh_held *held = n->held; held != NULL; held = held->next) {
        size_t kept = 0;
        for (size_t i = 0; i < held->links.count; i++) {
            int fd = held->links.fds[i];
            if (is_detached(fd)) {
                ebpf_close_fd(fd);
            } else {
                held->links.fds[kept++] = fd;
            }
        }
        held->links.count = kept;
    }
}

static bool has_program(const struct netsh_held *held, uint32_t id)
{
    struct bpf_program *prog;
    struct ebpf_object_info info;
    bpf_object__for_each_program(prog, held->object)
    {
        int fd = bpf_program__fd(prog);
        if (fd >= 0 && ebpf_object_get_info(fd, &info) == EBPF_SUCCESS && info.id == id) {
            return true;
        }
    }
    return false;
}

static void release_program(struct netsh *n, uint32_t id)
{
    struct netsh_held **at = &n->held;
    while (*at != NULL) {
        struct netsh_held *held = *at;
        if (has_program(held, id)) {
            *at = held->next;
            release(held);
        } else {
            at = &held->next;
        }
    }
}

// --- add program ---------------------------------------------------------------------------------

enum { FILENAME, TYPE, ADD_PINPATH, INTERFACE, PINNED, EXECUTION, COMPARTMENT };
enum pinned { PINNED_NONE, PINNED_FIRST, PINNED_ALL };

struct add {
    const char *file, *type, *pin_path, *interface;
    unsigned pinned; // enum pinned
};

static enum netsh_status parse_execution(struct netsh *n, const char *value)
{
    static const char *const words[] = {"jit", "interpret"};
    unsigned execution = 0;
    enum netsh_status status = netsh_parse_word(n, "execution", value, words, NETSH_COUNT(words), &execution);
    return status == NETSH_DONE && execution == 1
               ? netsh_refuse(n,
                              "execution=interpret is not supported by this version: programs are compiled.")
               : status;
}

static enum netsh_status parse_add(struct netsh *n, const char *const *values, struct add *out)
{
    static const char *const words[] = {"none", "first", "all"};
    enum netsh_status status = parse_execution(n, values[EXECUTION]);
    *out = (struct add){.file = values[FILENAME],
                        .type = values[TYPE],
                        .pin_path = values[ADD_PINPATH],
                        .interface = values[INTERFACE],
                        .pinned = PINNED_FIRST};
    if (status == NETSH_DONE && values[COMPARTMENT] != NULL) {
        status = netsh_refuse(
            n, "Compartment parameter is not allowed for program types that don't support compartments.");
    }
    return status == NETSH_DONE
               ? netsh_parse_word(n, "pinned", values[PINNED], words, NETSH_COUNT(words), &out->pinned)
               : status;
}

static enum netsh_status set_type(struct netsh *n, struct bpf_program *prog, const char *name)
{
    struct ebpf_guid type, attach;
    if (name == NULL) {
        return NETSH_DONE;
    }
    if (ebpf_get_program_type_by_name(name, &type, &attach) != EBPF_SUCCESS) {
        return netsh_refuse(n, "'%s' is no program type.", name);
    }
    if (bpf_program__set_type(prog, ebpf_get_bpf_program_type(&type)) != 0 ||
        bpf_program__set_expected_attach_type(prog, ebpf_get_bpf_attach_type(&attach)) != 0) {
        return netsh_fail(n, errno, "could not set the program type");
    }
    return NETSH_DONE;
}

static enum netsh_status pin(struct netsh *n, struct bpf_object *object, const struct add *add, bool *done)
{
    struct bpf_program *first = bpf_object__next_program(object, NULL);
    const char *path = add->pin_path;
    if (add->pinned == PINNED_FIRST) {
        path = path != NULL ? path : bpf_program__name(first);
        *done = bpf_program__pin(first, path) == 0;
    } else {
        path = path != NULL ? path : bpf_object__name(object);
        *done = bpf_object__pin_programs(object, path) == 0;
    }
    return *done ? NETSH_DONE : netsh_fail(n, errno, "could not pin to %s", path);
}

static void unpin(struct netsh *n, struct bpf_object *object)
{
    struct bpf_program *prog;
    struct ebpf_object_info info;
    bpf_object__for_each_program(prog, object)
    {
        int fd = bpf_program__fd(prog);
        if (fd >= 0 && ebpf_object_get_info(fd, &info) == EBPF_SUCCESS) {
            netsh_unpin_all(n, EBPF_OBJECT_KIND_PROGRAM, info.id, false);
        }
    }
}

static enum netsh_status say_id(struct netsh *n, struct bpf_object *object)
{
    struct ebpf_object_info info;
    ebpf_result_t result =
        ebpf_object_get_info(bpf_program__fd(bpf_object__next_program(object, NULL)), &info);
    if (result != EBPF_SUCCESS) {
        return netsh_fail(n, (int)result, "loaded program but could not get ID");
    }
    netsh_print(n, "Loaded with ID %u\n", info.id);
    return NETSH_DONE;
}

// Pins the programs and their links, and tells the id.
static enum netsh_status keep(struct netsh *n, struct netsh_held *held, const struct add *add)
{
    bool pinned = false;
    enum netsh_status status = NETSH_DONE;
    if (add->pinned != PINNED_NONE) {
        status = pin(n, held->object, add, &pinned);
        status = status == NETSH_DONE ? netsh_keep_links(n, &held->links) : status;
    }
    status = status == NETSH_DONE ? say_id(n, held->object) : status;
    if (status != NETSH_DONE && pinned) {
        unpin(n, held->object);
    }
    return status;
}

static void detach_first(struct netsh *n, struct bpf_object *object)
{
    struct ebpf_object_info info;
    bool found;
    int fd = bpf_program__fd(bpf_object__next_program(object, NULL));
    if (ebpf_object_get_info(fd, &info) == EBPF_SUCCESS) {
        netsh_detach(n, info.id, &found); // says itself what it cannot do
    }
}

static enum netsh_status load_held(struct netsh *n, struct netsh_held *held, const struct add *add)
{
    struct bpf_program *first = bpf_object__next_program(held->object, NULL);
    enum netsh_status status;
    if (first == NULL) {
        return netsh_refuse(n, "The file has no program.");
    }
    status = set_type(n, first, add->type);
    if (status != NETSH_DONE) {
        return status;
    }
    if (bpf_object__load(held->object) != 0) {
        return netsh_fail(n, errno, "could not load program");
    }
    status = netsh_attach(n, bpf_program__fd(first), bpf_program__expected_attach_type(first), add->interface,
                          &held->links);
    if (status != NETSH_DONE) {
        return status;
    }
    status = keep(n, held, add);
    if (status != NETSH_DONE) {
        detach_first(n, held->object);
    }
    return status;
}

enum netsh_status netsh_add_program(struct netsh *n, const char *const *values)
{
    struct add add;
    struct netsh_held *held;
    enum netsh_status status = parse_add(n, values, &add);
    if (status != NETSH_DONE) {
        return status;
    }
    held = calloc(1, sizeof(*held));
    if (held == NULL) {
        return netsh_refuse(n, "out of memory");
    }
    held->object = bpf_object__open(add.file);
    if (held->object == NULL) {
        status = netsh_fail(n, errno, "could not open file");
        free(held);
        return status;
    }
    status = load_held(n, held, &add);
    if (status != NETSH_DONE) {
        release(held);
        return status;
    }
    held->next = n->held;
    n->held = held;
    return NETSH_DONE;
}

// --- delete program ------------------------------------------------------------------------------

static enum netsh_status require_program(struct netsh *n, uint32_t id, int *fd)
{
    return ebpf_object_open_id(EBPF_OBJECT_KIND_PROGRAM, id, fd) == EBPF_SUCCESS
               ? NETSH_DONE
               : netsh_refuse(n, "Program not found");
}

enum netsh_status netsh_delete_program(struct netsh *n, const char *const *values)
{
    uint32_t id = 0;
    bool found;
    int fd = -1;
    enum netsh_status status = netsh_parse_id(n, values[0], &id), detached;
    if (status == NETSH_DONE) {
        status = require_program(n, id, &fd);
    }
    if (status != NETSH_DONE) {
        return status;
    }
    ebpf_close_fd(fd);
    status = netsh_unpin_all(n, EBPF_OBJECT_KIND_PROGRAM, id, true);
    detached = netsh_detach(n, id, &found);
    release_program(n, id);
    return status != NETSH_DONE ? status : detached;
}

// --- set program ---------------------------------------------------------------------------------

enum { ID, ATTACHED, SET_PINPATH, SET_INTERFACE };

// The attach type that `attached=` names, or the program's own.
static enum netsh_status find_attach_type(struct netsh *n, const char *name,
                                          const struct ebpf_object_info *info, enum bpf_attach_type *out)
{
    struct ebpf_guid type, attach;
    if (ebpf_get_program_type_by_name(name != NULL ? name : info->type, &type, &attach) != EBPF_SUCCESS) {
        return netsh_refuse(n, "'%s' is no program type.", name != NULL ? name : info->type);
    }
    *out = ebpf_get_bpf_attach_type(&attach);
    return NETSH_DONE;
}

static enum netsh_status attach(struct netsh *n, int fd, const struct ebpf_object_info *info,
                                const char *const *values)
{
    enum bpf_attach_type type = (enum bpf_attach_type)0;
    struct netsh_links links;
    enum netsh_status status = find_attach_type(n, values[ATTACHED], info, &type);
    if (status == NETSH_DONE) {
        status = netsh_attach(n, fd, type, values[SET_INTERFACE], &links);
    }
    if (status == NETSH_DONE) {
        status = netsh_keep_links(n, &links);
        netsh_close_links(&links);
    }
    return status;
}

static enum netsh_status set_attached(struct netsh *n, int fd, const struct ebpf_object_info *info,
                                      const char *const *values)
{
    bool found;
    enum netsh_status status;
    if (values[ATTACHED] == NULL && values[SET_INTERFACE] == NULL) {
        return NETSH_DONE;
    }
    if (values[ATTACHED] == NULL || values[ATTACHED][0] != 0) {
        return attach(n, fd, info, values);
    }
    status = netsh_detach(n, info->id, &found);
    return status == NETSH_DONE && !found
               ? netsh_fail(n, 1168, "could not detach program") // ERROR_NOT_FOUND of winerror.h
               : status;
}

static enum netsh_status set_pin_path(struct netsh *n, int fd, const struct ebpf_object_info *info,
                                      const char *path)
{
    if (path == NULL) {
        return NETSH_DONE;
    }
    if (path[0] == 0) {
        return netsh_unpin_all(n, EBPF_OBJECT_KIND_PROGRAM, info->id, true);
    }
    return bpf_obj_pin(fd, path) == 0 ? NETSH_DONE : netsh_fail(n, errno, "could not pin program");
}

enum netsh_status netsh_set_program(struct netsh *n, const char *const *values)
{
    struct ebpf_object_info info;
    uint32_t id = 0;
    int fd = -1;
    enum netsh_status status = netsh_parse_id(n, values[ID], &id);
    if (status == NETSH_DONE && values[ATTACHED] == NULL && values[SET_PINPATH] == NULL &&
        values[SET_INTERFACE] == NULL) {
        status = netsh_refuse(n, "Say what to set: attached, pinpath or interface.");
    }
    if (status == NETSH_DONE) {
        status = require_program(n, id, &fd);
    }
    if (status != NETSH_DONE) {
        return status;
    }
    status = ebpf_object_get_info(fd, &info) == EBPF_SUCCESS ? set_attached(n, fd, &info, values)
                                                             : netsh_refuse(n, "Program not found");
    if (status == NETSH_DONE) {
        status = set_pin_path(n, fd, &info, values[SET_PINPATH]);
    }
    ebpf_close_fd(fd);
    return status == NETSH_DONE ? NETSH_OKAY : status;
}
