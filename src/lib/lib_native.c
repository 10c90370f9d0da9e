// SPDX-License-Identifier: MIT
// lib_native: object file to the C of a native module: the verification of `prog verify`, and cgen over what
// it has accepted.
#include <errno.h>

#include "cgen/cgen.h"
#include "lib/lib_report.h"

#define GENERATOR "eBPF for Windows, in C"

struct native {
    const struct ebpf_native_opts *opts;
    struct arena arena; // of what the generator needs
    struct cgen_program *programs;
    uint32_t program_count, capacity;
    struct elf_object elf; // a copy: what it points to lives as long as the report
    char why[320];
};

// --- programs ------------------------------------------------------------------------------------

static ebpf_result_t grow(struct native *n)
{
    uint32_t capacity = n->capacity != 0 ? n->capacity * 2 : 16;
    struct cgen_program *programs = arena_array(&n->arena, capacity, sizeof(*programs));
    if (programs == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (n->program_count != 0) {
        memcpy(programs, n->programs, n->program_count * sizeof(*programs));
    }
    n->programs = programs;
    n->capacity = capacity;
    return EBPF_SUCCESS;
}

static void say_not_loadable(struct native *n, const struct program *p, uint32_t pc, const char *why,
                             const char *name)
{
    if (n->why[0] == '\0') {
        int used = snprintf(n->why, sizeof(n->why), "%s: %s", p->name, why);
        if (name[0] != '\0' && used < (int)sizeof(n->why)) {
            used += snprintf(n->why + used, sizeof(n->why) - (size_t)used, ": %s", name);
        }
        if (pc != UINT32_MAX && used < (int)sizeof(n->why)) {
            snprintf(n->why + used, sizeof(n->why) - (size_t)used, " (instruction %u)", pc);
        }
    }
}

static ebpf_result_t take(void *user, struct arena *arena, const struct elf_object *elf,
                          const struct program *p, const uint32_t *map_of, const struct evidence *evidence)
{
    struct native *n = user;
    const char *why = "", *name = "";
    uint32_t bad_pc = UINT32_MAX;
    if (n->program_count == n->capacity) {
        TRY(grow(n));
    }
    if (program_check_loadable(spec_builtin(), p, &bad_pc, &why, &name) != EBPF_SUCCESS) {
        say_not_loadable(n, p, bad_pc, why, name);
    }
    struct cgen_program *out = &n->programs[n->program_count];
    out->program = arena_copy(arena, p, sizeof(*p));
    out->map_of = arena_copy(arena, map_of, p->map_count * sizeof(*map_of));
    out->evidence.bytes = arena_copy(arena, evidence->bytes, evidence->size);
    out->evidence.size = evidence->size;
    if (out->program == NULL || out->map_of == NULL || out->evidence.bytes == NULL) {
        return EBPF_NO_MEMORY;
    }
    n->elf = *elf;
    n->program_count++;
    return EBPF_SUCCESS;
}

// --- the module ----------------------------------------------------------------------------------

static struct cgen_map *list_maps(struct native *n, uint32_t *count)
{
    *count = n->elf.map_count + n->elf.template_count;
    struct cgen_map *maps = arena_array(&n->arena, *count + 1, sizeof(*maps));
    for (uint32_t i = 0; maps != NULL && i < *count; i++) {
        const struct elf_map *map = &n->elf.maps[i];
        maps[i] = (struct cgen_map){.def = map->def,
                                    .kind = map->kind,
                                    .pinning = map->pinning,
                                    .inner = map->inner,
                                    .initial = map->initial};
    }
    return maps;
}

static void put_text(void *user, const char *text, size_t size)
{
    const struct native *n = user;
    n->opts->write(LIB_OPTS_GET(n->opts, user, NULL), text, size);
}

static void say_refused(struct native *n, const struct cgen_error *error)
{
    bool named = error->program < n->program_count;
    int used = snprintf(n->why, sizeof(n->why), "%s: %s",
                        named ? n->programs[error->program].program->name : "the module", error->why);
    if (error->pc != UINT32_MAX && used < (int)sizeof(n->why)) {
        snprintf(n->why + used, sizeof(n->why) - (size_t)used, " (instruction %u)", error->pc);
    }
}

// Whether `bytes` is the section that was read as elf->btf: types differ where sizes of variables were filled
// in, the head (with all sizes) and the strings do not.
static bool is_btf(const struct elf_object *elf, const uint8_t *bytes)
{
    enum { HEAD_SIZE = 24, HEAD_OFF = 4, STRINGS_OFF = 16, STRINGS_SIZE = 20 };
    uint32_t head, off, size;
    memcpy(&head, elf->btf + HEAD_OFF, sizeof(head));
    memcpy(&off, elf->btf + STRINGS_OFF, sizeof(off));
    memcpy(&size, elf->btf + STRINGS_SIZE, sizeof(size));
    uint64_t strings = (uint64_t)head + off;
    return strings + size <= elf->btf_size && memcmp(bytes, elf->btf, HEAD_SIZE) == 0 &&
           memcmp(bytes + strings, elf->btf + strings, size) == 0;
}

// The object as the file has it, and where its BTF lies in there.
static void add_object(struct cgen_input *input, const struct elf_object *elf, const uint8_t *bytes,
                       size_t size)
{
    input->object = bytes;
    input->object_size = size;
    for (size_t at = 0; elf->btf != NULL && elf->btf_size >= 24 && at + elf->btf_size <= size; at++) {
        if (is_btf(elf, bytes + at)) {
            input->btf_off = (uint32_t)at;
            input->btf_size = elf->btf_size;
            return;
        }
    }
}

static ebpf_result_t write_module(struct native *n, const char *name, const uint8_t *bytes, size_t size,
                                  const uint8_t *digest)
{
    struct cgen_error error;
    const struct proto_hasher hasher = {n->opts->sha256, n->opts->user};
    struct cgen_input input = {.spec = spec_builtin(),
                               .hasher = &hasher,
                               .name = lib_base_name(name),
                               .version = GENERATOR,
                               .programs = n->programs,
                               .program_count = n->program_count,
                               .object_digest = digest,
                               .lines = LIB_OPTS_GET(n->opts, lines, false),
                               .driver = LIB_OPTS_GET(n->opts, driver, false)};
    const struct cgen_sink sink = {put_text, n};
    input.maps = list_maps(n, &input.map_count);
    add_object(&input, &n->elf, bytes, size);
    if (input.maps == NULL) {
        return EBPF_NO_MEMORY;
    }
    ebpf_result_t result = cgen_write(&input, &sink, &n->arena, &error);
    if (result == EBPF_OPERATION_NOT_SUPPORTED || result == EBPF_INVALID_ARGUMENT) {
        say_refused(n, &error);
        return EBPF_SUCCESS;
    }
    return result;
}

static ebpf_result_t generate(struct native *n, const char *path, const uint8_t *bytes, size_t size,
                              struct ebpf_verify_report **report)
{
    const char *name = LIB_OPTS_GET(n->opts, object_name, NULL);
    const struct lib_verify_watch watch = {take, n};
    uint8_t digest[PROTO_DIGEST_SIZE];
    name = name != NULL ? name : path;
    lib_module_unwrap(&bytes, &size);
    LIBBPF_OPTS(ebpf_verify_opts, opts, .object_name = name, .type = LIB_OPTS_GET(n->opts, type, NULL),
                .dialect = LIB_OPTS_GET(n->opts, dialect, EBPF_DIALECT_AUTO),
                .btf = LIB_OPTS_GET(n->opts, btf, NULL));
    TRY(lib_verify_watched(bytes, size, &opts, &watch, report));
    if (!(*report)->accepted || n->why[0] != '\0') {
        return EBPF_SUCCESS;
    }
    bool wanted = !LIB_OPTS_GET(n->opts, no_digest, false);
    if (wanted && !n->opts->sha256(n->opts->user, bytes, size, digest)) {
        return EBPF_FAILED;
    }
    return write_module(n, name, bytes, size, wanted ? digest : NULL);
}

// --- public --------------------------------------------------------------------------------------

static ebpf_result_t finish(struct native *n, ebpf_result_t result, struct ebpf_verify_report *made,
                            struct ebpf_verify_report **report, const char **error_message)
{
    const char *message = n->why[0] != '\0' ? lib_strdup(n->why) : NULL;
    if (result == EBPF_SUCCESS && n->why[0] != '\0' && message == NULL) {
        result = EBPF_NO_MEMORY;
    }
    if (result != EBPF_SUCCESS) {
        ebpf_verify_free(made);
        lib_free((void *)message);
        return result;
    }
    *report = made;
    *error_message = message;
    return EBPF_SUCCESS;
}

ebpf_result_t ebpf_generate_native(const char *path, const struct ebpf_native_opts *opts,
                                   struct ebpf_verify_report **report, const char **error_message)
{
    struct native n = {.opts = opts};
    struct ebpf_verify_report *made = NULL;
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (path == NULL || opts == NULL || !LIB_OPTS_VALID(opts, ebpf_native_opts) ||
        LIB_OPTS_GET(opts, write, NULL) == NULL || LIB_OPTS_GET(opts, sha256, NULL) == NULL ||
        !LIB_OPTS_HAS(opts, user)) {
        return EBPF_INVALID_ARGUMENT;
    }
    ebpf_result_t result = lib_read_file(path, &bytes, &size);
    if (result != EBPF_SUCCESS) {
        return result == EBPF_NO_MEMORY ? result : EBPF_FILE_NOT_FOUND;
    }
    arena_init(&n.arena, lib_mem_source(), 0);
    result = generate(&n, path, bytes, size, &made);
    arena_fini(&n.arena);
    lib_free(bytes);
    return finish(&n, result, made, report, error_message);
}

const char *ebpf_native_driver_header(void)
{
    static const char text[] = {
#include "lib_native_driver_header.inc"
        0};
    return text;
}

const char *ebpf_native_header(void)
{
    static const char text[] = {
#include "lib_native_header.inc"
        0};
    return text;
}
