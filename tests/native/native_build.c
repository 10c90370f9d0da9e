// SPDX-License-Identifier: MIT
// native_build: a folder of its own for each module, which goes away as soon as the module is loaded.
#include "tests/native/native_build.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sameness.h"

enum { PATH_SIZE = 256, COMMAND_SIZE = 2048 };

static void *take(void *user, size_t size)
{
    UNUSED(user);
    return calloc(1, size);
}

static void give(void *user, void *ptr)
{
    UNUSED(user);
    free(ptr);
}

static const struct mem_source source = {take, give, NULL};

// Names are those of compilers for this machine. A test that is emulated runs the compilers of the machine
// around it.
static const char *command_of(const char *name)
{
#if defined(__aarch64__)
    if (str_starts_with(name, "clang")) {
        static char command[64];
        str_format(command, sizeof(command), "%s --target=aarch64-linux-gnu -fuse-ld=lld", name);
        return command;
    }
    return str_equal(name, "gcc") ? "aarch64-linux-gnu-gcc" : name;
#else
    return name;
#endif
}

bool native_has_compiler(const char *name)
{
    char command[COMMAND_SIZE];
    str_format(command, sizeof(command), "command -v %s > /dev/null 2>&1", command_of(name));
    return system(command) == 0;
}

const char *native_any_compiler(void)
{
    static const char *const names[] = {"clang-19", "clang", "gcc", "cc"};
    if (getenv("NATIVE_COMPILER") != NULL) {
        return getenv("NATIVE_COMPILER");
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (native_has_compiler(names[i])) {
            return names[i];
        }
    }
    return NULL;
}

static const struct proto_hasher hasher = {sameness, NULL};

static void put(void *user, const char *text, size_t size)
{
    fwrite(text, 1, size, user);
}

bool native_write(const struct cgen_input *input, const char *path, struct cgen_error *error)
{
    struct arena arena;
    FILE *file = fopen(path, "wb");
    str_copy(error->why, sizeof(error->why), "the file cannot be written");
    if (file == NULL) {
        return false;
    }
    const struct cgen_sink sink = {put, file};
    struct cgen_input with_hasher = *input;
    with_hasher.hasher = &hasher;
    arena_init(&arena, &source, 0);
    ebpf_result_t result = cgen_write(&with_hasher, &sink, &arena, error);
    arena_fini(&arena);
    bool failed = ferror(file) != 0;
    return fclose(file) == 0 && !failed && result == EBPF_SUCCESS;
}

static bool compile(const char *folder, const char *compiler, const char *flags)
{
    char command[COMMAND_SIZE];
    // clang also compares names of types when a function is called through a pointer, when both sides were
    // compiled for it: helpers of the tests take their own name of the run.
    const char *more = str_starts_with(compiler, "clang") ? "-fno-sanitize=function" : "";
    str_format(command, sizeof(command), "%s %s %s -fPIC -shared -I%s/include -o %s/m.so %s/m.c",
               command_of(compiler), flags, more, TEST_SOURCE_DIR, folder, folder);
    if (system(command) != 0) {
        printf("this failed: %s\n", command);
        return false;
    }
    return true;
}

static bool load(const char *folder, struct native_module *out)
{
    char path[PATH_SIZE];
    str_format(path, sizeof(path), "%s/m.so", folder);
    out->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (out->handle == NULL) {
        printf("%s\n", dlerror());
        return false;
    }
    out->table = dlsym(out->handle, EBPF_NATIVE_SYMBOL);
    return out->table != NULL;
}

static void clean(const char *folder)
{
    static const char *const names[] = {"m.c", "m.so"};
    char path[PATH_SIZE];
    if (getenv("NATIVE_KEEP") != NULL) {
        printf("kept: %s\n", folder);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        str_format(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

bool native_build(const struct cgen_input *input, const char *compiler, const char *flags,
                  struct native_module *out)
{
    const char *base = getenv("TMPDIR");
    char folder[PATH_SIZE], path[PATH_SIZE];
    struct cgen_error error;
    *out = (struct native_module){NULL, NULL};
    str_format(folder, sizeof(folder), "%s/ebpf-native-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(folder) == NULL) {
        return false;
    }
    str_format(path, sizeof(path), "%s/m.c", folder);
    bool good = native_write(input, path, &error);
    if (!good) {
        printf("program %u, instruction %u: %s\n", (unsigned)error.program, (unsigned)error.pc, error.why);
    }
    good = good && compile(folder, compiler, flags) && load(folder, out);
    clean(folder);
    return good;
}

void native_unload(struct native_module *m)
{
    if (m->handle != NULL) {
        dlclose(m->handle);
    }
    *m = (struct native_module){NULL, NULL};
}

// --- programs that nothing has verified ----------------------------------------------------------

static bool mark_starts(const struct insn *insns, uint32_t count, uint8_t *starts)
{
    starts[0] = 1;
    for (uint32_t pc = 0; pc < count; pc++) {
        int64_t target = insns[pc].id == INSN_CALL_LOCAL ? insn_target(&insns[pc], pc) : 0;
        if (target < 0 || target >= (int64_t)count) {
            return false;
        }
        starts[target] = 1;
    }
    return true;
}

static void make_funcs(const uint8_t *starts, uint32_t count, struct func *funcs, uint32_t *func_count)
{
    *func_count = 0;
    for (uint32_t pc = 0; pc < count; pc++) {
        if (starts[pc] != 0) {
            struct func *f = &funcs[(*func_count)++];
            f->start = pc;
            str_format(f->name, sizeof(f->name), "at%u", (unsigned)pc);
        }
        funcs[*func_count - 1].end = pc + 1;
    }
}

bool native_program(const struct insn *insns, uint32_t count, struct arena *arena, struct program *out)
{
    uint8_t *starts = arena_alloc(arena, count + 1);
    struct func *funcs = arena_array(arena, count, sizeof(*funcs));
    if (starts == NULL || funcs == NULL || !mark_starts(insns, count, starts)) {
        return false;
    }
    *out = (struct program){.type = PROG_TYPE_RAW_MEMORY,
                            .attach_type = spec_default_attach_type(spec_builtin(), PROG_TYPE_RAW_MEMORY),
                            .insns = insns,
                            .insn_count = count,
                            .funcs = funcs,
                            .strings = "",
                            .strings_size = 1,
                            .name = "raw",
                            .section = "raw_memory"};
    make_funcs(starts, count, funcs, &out->func_count);
    return true;
}

bool native_build_raw(const struct insn *insns, uint32_t count, const char *compiler, const char *flags,
                      struct native_module *out)
{
    struct program program;
    struct arena arena;
    uint32_t bad_pc;
    const char *why;
    arena_init(&arena, &source, 0);
    bool good = native_program(insns, count, &arena, &program) &&
                program_check(spec_builtin(), &program, &bad_pc, &why) == EBPF_SUCCESS;
    if (good) {
        const struct cgen_program p = {&program, {NULL, 0}, NULL};
        const struct cgen_input input = {.spec = spec_builtin(),
                                         .name = "raw",
                                         .version = "tests",
                                         .programs = &p,
                                         .program_count = 1,
                                         .raw = true};
        good = native_build(&input, compiler, flags, out);
    }
    arena_fini(&arena);
    return good;
}
