// SPDX-License-Identifier: MIT
// lib_load: objects into the execution context: maps first, then programs in canonical form. Either
// everything that is to be loaded is, or nothing remains.
#include <errno.h>

#include "lib/lib_int.h"

enum { MAX_CONSTANT = 1 << 20 }; // bytes of a frozen map that travel with a program

// --- one canonical program -----------------------------------------------------------------------

const char *lib_reply_text(const struct lib_reply *reply, uint32_t size)
{
    bool is_text = size != 0 && size <= reply->tail_size && reply->tail[size - 1] == '\0';
    return is_text ? (const char *)reply->tail : "";
}

static const char *findings(const struct lib_reply *reply)
{
    struct proto_prog_load_reply fixed;
    if (reply->fixed == NULL) {
        return "";
    }
    memcpy(&fixed, reply->fixed, sizeof(fixed));
    return lib_reply_text(reply, fixed.text_size);
}

static void deliver_log(struct lib_log *log, const char *name, const char *text, bool refused)
{
    log->true_size = (uint32_t)str_len(text) + 1;
    if (log->buf != NULL && log->size != 0 && (refused || log->level != 0)) {
        str_copy(log->buf, log->size, text);
    } else if (refused && text[0] != '\0') {
        lib_warn("prog '%s': -- BEGIN PROG LOAD LOG --\n%s%s-- END PROG LOAD LOG --\n", name, text,
                 text[str_len(text) - 1] == '\n' ? "" : "\n");
    }
}

// Wire form of a program in lib memory.
static ebpf_result_t encode(const struct program *program, uint8_t **bytes, size_t *size)
{
    size_t needed = proto_program_encode(program, NULL, 0);
    uint8_t *wire = lib_alloc(needed);
    if (wire == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (proto_program_encode(program, wire, needed) != needed) {
        lib_free(wire);
        return EBPF_INVALID_ARGUMENT;
    }
    *bytes = wire;
    *size = needed;
    return EBPF_SUCCESS;
}

ebpf_result_t lib_prog_load_wire(const struct lib_wire_program *p, struct lib_log *log, int *fd)
{
    struct proto_prog_load_request fixed = {.log_level = log->level, .native = p->native};
    struct lib_request request = {
        .op = PROTO_PROG_LOAD, .fixed = &fixed, .tail = {p->bytes}, .fds = p->fds, .fd_count = p->fd_count};
    struct lib_reply reply;
    ebpf_result_t result = lib_exchange(&request, &reply);
    if (result != EBPF_SUCCESS) {
        lib_warn("prog '%s': load failed: %s\n", p->name, ebpf_result_text(result));
        return result;
    }
    result = (ebpf_result_t)reply.header.result;
    if (result != EBPF_SUCCESS) {
        lib_warn("prog '%s': load failed: %s\n", p->name, ebpf_result_text(result));
    }
    deliver_log(log, p->name, findings(&reply), result != EBPF_SUCCESS);
    if (result == EBPF_SUCCESS) {
        *fd = reply.fd;
    }
    lib_reply_free(&reply);
    return result;
}

ebpf_result_t lib_prog_load(const struct program *program, const int *map_fds, struct lib_log *log, int *fd)
{
    struct lib_wire_program p = {.name = program->name, .fds = map_fds, .fd_count = program->map_count};
    uint8_t *wire = NULL;
    TRY(encode(program, &wire, &p.bytes.size));
    p.bytes.bytes = wire;
    ebpf_result_t result = lib_prog_load_wire(&p, log, fd);
    lib_free(wire);
    return result;
}

// --- programs of an object -----------------------------------------------------------------------

// Canonical form with the maps as they are now; `fds` gets their descriptors.
static ebpf_result_t canonical(const struct bpf_program *prog, struct arena *arena, struct program *out,
                               int fds[SPEC_MAX_MAPS])
{
    const struct bpf_object *obj = prog->object;
    struct elf_error error = {0};
    uint32_t map_of[SPEC_MAX_MAPS];
    ebpf_result_t result = elf_program_canonical(&obj->elf, prog->index, spec_builtin(), prog->type,
                                                 prog->attach_type, arena, out, map_of, &error);
    if (result != EBPF_SUCCESS) {
        lib_warn("prog '%s': %s\n", prog->elf->name,
                 error.message[0] != '\0' ? error.message : ebpf_result_text(result));
        return result;
    }
    struct map_def *defs = arena_array(arena, out->map_count, sizeof(*defs));
    struct map_facts *facts = arena_copy(arena, out->map_facts, out->map_count * sizeof(*facts));
    if (defs == NULL || facts == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < out->map_count; i++) {
        if (map_of[i] >= obj->elf.map_count) {
            lib_warn("prog '%s': uses a map of maps, which cannot be loaded yet\n", prog->elf->name);
            return EBPF_OPERATION_NOT_SUPPORTED;
        }
        const struct bpf_map *map = &obj->maps[map_of[i]];
        if (map->fd < 0) {
            lib_warn("prog '%s': uses map '%s', which is not to be created\n", prog->elf->name, map->name);
            return EBPF_INVALID_ARGUMENT;
        }
        defs[i] = map->elf->def;
        fds[i] = map->fd;
        // What is frozen here may have been changed before; what another made is as it is.
        bool constant = facts[i].contents != NULL && !map->reused && defs[i].value_size <= MAX_CONSTANT;
        facts[i].contents = constant ? map->initial : NULL;
    }
    out->maps = defs;
    out->map_facts = facts;
    return EBPF_SUCCESS;
}

static struct lib_log choose_log(const struct bpf_program *prog)
{
    const struct bpf_object *obj = prog->object;
    struct lib_log log = {prog->log_buf, prog->log_size, prog->log_level, 0};
    if (log.buf == NULL) {
        log.buf = obj->log_buf;
        log.size = obj->log_size;
    }
    log.level = log.level != 0 ? log.level : obj->log_level;
    return log;
}

static ebpf_result_t load_bytecode(struct bpf_program *prog, struct lib_log *log)
{
    struct program program;
    struct arena arena;
    int fds[SPEC_MAX_MAPS];
    if (prog->type == PROG_TYPE_NONE) {
        lib_warn("prog '%s': no program type is known for section '%s'\n", prog->elf->name,
                 prog->elf->section);
        return EBPF_INVALID_ARGUMENT;
    }
    arena_init(&arena, lib_mem_source(), 0);
    ebpf_result_t result = canonical(prog, &arena, &program, fds);
    if (result == EBPF_SUCCESS) {
        result = lib_prog_load(&program, fds, log, &prog->fd);
    }
    arena_fini(&arena);
    return result;
}

static ebpf_result_t load_program(struct bpf_program *prog)
{
    struct lib_log log = choose_log(prog);
    return prog->object->module.format != ELF_IMAGE_NONE ? lib_module_load_program(prog, &log)
                                                         : load_bytecode(prog, &log);
}

static ebpf_result_t load_programs(struct bpf_object *obj)
{
    for (uint32_t i = 0; i < obj->elf.program_count; i++) {
        struct bpf_program *prog = &obj->programs[i];
        if (prog->autoload && prog->fd < 0) {
            ebpf_result_t result = load_program(prog);
            if (result != EBPF_SUCCESS) {
                lib_warn("failed to load program '%s'\n", prog->elf->name);
                return result;
            }
        }
    }
    return EBPF_SUCCESS;
}

int bpf_object__load(struct bpf_object *obj)
{
    ebpf_result_t result;
    if (obj == NULL || obj->loaded) {
        return lib_fail(EINVAL); // libbpf's answer to a second load
    }
    obj->loaded = true;
    TRY_OR(result, lib_object_create_maps(obj), undo_maps);
    TRY_OR(result, lib_module_load(obj), undo_maps);
    TRY_OR(result, load_programs(obj), undo_programs);
    lib_module_release(obj);
    return 0;

undo_programs:
    lib_module_release(obj);
    for (uint32_t i = 0; i < obj->elf.program_count; i++) {
        bpf_program__unload(&obj->programs[i]);
    }
undo_maps:
    lib_object_drop_maps(obj);
    lib_warn("failed to load object '%s'\n", obj->name);
    return lib_result(result);
}
