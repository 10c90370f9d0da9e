// SPDX-License-Identifier: MIT
// bench_program: a program of an object in this project's engines. Without maps and helpers it is called
// directly (bench_engine.c); else it is loaded with its maps into a runtime, and test runs are timed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/elf.h"
#include "plat/plat.h"
#include "runtime/runtime.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_engine.h"

struct loaded {
    struct runtime *rt;
    struct map *maps[SPEC_MAX_MAPS];
    uint32_t map_count;
    struct prog *prog;
    const struct bk_engine *engine; // for programs that are called directly
    void *handle;
};

// --- direct --------------------------------------------------------------------------------------

PLAT_CALLS_CODE static bool run_direct(struct bench_run *r, uint8_t *memory, uint64_t turns, uint32_t *result)
{
    struct loaded *l = r->state;
    bk_fn entry = l->engine->entry(l->handle);
    uint64_t value = 0;
    if (entry != NULL) {
        for (uint64_t i = 0; i < turns; i++) {
            value = entry(memory, BENCH_MEMORY);
        }
    } else {
        for (uint64_t i = 0; i < turns; i++) {
            value = l->engine->run(l->handle, memory, BENCH_MEMORY);
        }
    }
    *result = (uint32_t)value;
    return true;
}

static bool open_direct(struct loaded *l, const struct program *p, enum bench_engine engine)
{
    static const char *const names[] = {
        [BENCH_JIT] = "jit", [BENCH_INTERP] = "interp", [BENCH_MODULE] = "native"};
    uint8_t *bytes = malloc((size_t)p->insn_count * INSN_SLOT_SIZE);
    uint32_t bad_pc;
    for (l->engine = bk_engines; l->engine->name != NULL && strcmp(l->engine->name, names[engine]) != 0;) {
        l->engine++;
    }
    if (bytes != NULL && l->engine->name != NULL &&
        insn_encode(p->insns, p->insn_count, bytes, &bad_pc) == INSN_OK) {
        l->handle = l->engine->load(bytes, (size_t)p->insn_count * INSN_SLOT_SIZE);
    }
    free(bytes);
    return l->handle != NULL;
}

// --- in a runtime --------------------------------------------------------------------------------

static bool run_loaded(struct bench_run *r, uint8_t *memory, uint64_t turns, uint32_t *result)
{
    struct loaded *l = r->state;
    struct test_run t = {.data_in = memory, .data_in_size = BENCH_MEMORY, .repeat = (uint32_t)turns};
    if (prog_test_run(l->prog, &t) != EBPF_SUCCESS) {
        return false;
    }
    *result = (uint32_t)t.retval;
    return true;
}

static bool open_loaded(struct loaded *l, const struct program *p, enum bench_engine engine)
{
    const struct runtime_options options = {
        .spec = spec_builtin(), .engine = engine == BENCH_JIT ? RUNTIME_JIT : RUNTIME_INTERPRETER};
    const uint32_t no_marks[4] = {EVIDENCE_MAGIC, EVIDENCE_FORMAT, p->insn_count, 0};
    const struct evidence evidence = {(const uint8_t *)no_marks, sizeof(no_marks)};
    if (plat_init() != EBPF_SUCCESS || runtime_create(&options, &l->rt) != EBPF_SUCCESS) {
        return false;
    }
    for (l->map_count = 0; l->map_count < p->map_count; l->map_count++) {
        if (map_create(l->rt, &p->maps[l->map_count], &l->maps[l->map_count]) != EBPF_SUCCESS) {
            return false;
        }
    }
    return engine != BENCH_MODULE && prog_load(l->rt, p, l->maps, &evidence, &l->prog) == EBPF_SUCCESS;
}

static void close_program(struct bench_run *r)
{
    struct loaded *l = r->state;
    if (l->handle != NULL) {
        l->engine->unload(l->handle);
    }
    if (l->prog != NULL) {
        object_release(prog_object(l->prog));
    }
    for (uint32_t i = 0; i < l->map_count; i++) {
        object_release(map_object(l->maps[i]));
    }
    if (l->rt != NULL) {
        runtime_destroy(l->rt);
        plat_fini();
    }
    free(l);
    r->state = NULL;
}

// --- objects -------------------------------------------------------------------------------------

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    if (file == NULL) {
        return NULL;
    }
    if (fseek(file, 0, SEEK_END) == 0 && (bytes = malloc((size_t)ftell(file))) != NULL) {
        *size = (size_t)ftell(file);
        rewind(file);
        *size = fread(bytes, 1, *size, file);
    }
    fclose(file);
    return bytes;
}

static bool read_program(const char *path, struct arena *arena, struct program *out)
{
    const struct elf_options options = {.spec = spec_builtin(), .platform_default = DIALECT_LINUX};
    struct elf_object object;
    struct elf_error error = {.message = "it cannot be read"};
    uint32_t map_of[SPEC_MAX_MAPS];
    size_t size = 0;
    uint8_t *bytes = read_file(path, &size);
    bool good = bytes != NULL && elf_open(bytes, size, &options, arena, &object, &error) == EBPF_SUCCESS &&
                object.program_count != 0 &&
                elf_program_canonical(&object, 0, options.spec, PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_RAW_MEMORY,
                                      arena, out, map_of, &error) == EBPF_SUCCESS;
    free(bytes);
    if (!good) {
        fprintf(stderr, "%s: %s\n", path, error.message);
    }
    return good;
}

static bool stands_alone(const struct program *p)
{
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        if (p->insns[pc].id == INSN_CALL) {
            return false;
        }
    }
    return p->map_count == 0;
}

bool bench_open_program(struct bench_run *r, const char *path, enum bench_engine engine)
{
    struct program p;
    struct arena arena;
    arena_init(&arena, plat_mem_source(), 0);
    struct loaded *l = calloc(1, sizeof(*l));
    *r = (struct bench_run){.close = close_program, .state = l};
    bool good = l != NULL && read_program(path, &arena, &p);
    if (good) {
        bool alone = stands_alone(&p);
        r->insns = p.insn_count;
        r->run = alone ? run_direct : run_loaded;
        good = alone ? open_direct(l, &p, engine) : open_loaded(l, &p, engine);
    }
    if (!good && l != NULL) {
        close_program(r);
    }
    arena_fini(&arena);
    return good;
}
