// SPDX-License-Identifier: MIT
// Runs the vectors of tests/isa/*.data as C: all of them in one module, by clang, by gcc, and with checks for
// undefined behaviour.
#include <dirent.h>
#include <stdio.h>

#include "tests/isa/vectors.h"
#include "tests/native/native_build.h"
#include "tests/test.h"

enum { MAX_INSNS = 512, MAX_FILE_SIZE = 1 << 17, MAX_CASES = 1024 };

static struct arena arena;
static struct vector vectors[MAX_CASES];
static struct program programs[MAX_CASES];
static struct cgen_program sources[MAX_CASES];
static uint32_t count;
static char file_text[MAX_FILE_SIZE];

// --- reading -------------------------------------------------------------------------------------

static void add_vector(const struct vector *v)
{
    static struct insn insns[MAX_INSNS];
    uint32_t insn_count = 0, bad_line = 0, bad_pc;
    const char *why;
    REQUIRE(count < MAX_CASES);
    REQUIRE_OK(isa_assemble(v->text, insns, MAX_INSNS, &insn_count, &bad_line));
    struct insn *kept = arena_copy(&arena, insns, insn_count * sizeof(*insns));
    REQUIRE(kept != NULL && native_program(kept, insn_count, &arena, &programs[count]));
    REQUIRE_OK(program_check(spec_builtin(), &programs[count], &bad_pc, &why));
    sources[count] = (struct cgen_program){&programs[count], {NULL, 0}, NULL};
    vectors[count++] = *v;
}

static void read_file(const char *path)
{
    static struct vector v;
    const char *error;
    FILE *file = fopen(path, "rb");
    REQUIRE(file != NULL);
    size_t size = fread(file_text, 1, sizeof(file_text) - 1, file);
    fclose(file);
    file_text[size] = 0;
    for (const char *at = file_text; vector_next(&at, &v, &error);) {
        CHECK(error == NULL);
        add_vector(&v);
    }
}

static void read_all(void)
{
    const char *folder = TEST_SOURCE_DIR "/tests/isa";
    DIR *dir = opendir(folder);
    count = 0;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        size_t length = str_len(entry->d_name);
        char path[1024];
        if (length > 5 && str_equal(entry->d_name + length - 5, ".data")) {
            str_format(path, sizeof(path), "%s/%s", folder, entry->d_name);
            read_file(path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    CHECK(count >= 430);
}

// --- running -------------------------------------------------------------------------------------

static const uint8_t *packet;
static size_t packet_size;

static uint64_t call_number(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
                            struct ebpf_native_run *run)
{
    switch (run->number) {
    case 5: return a1;
    case 6: return a1 + 2 * a2 + 3 * a3 + 4 * a4 + 5 * a5;
    default: return UINT64_MAX;
    }
}

static uint64_t load_packet(uint64_t offset, uint64_t bytes, uint64_t a3, uint64_t a4, uint64_t a5,
                            struct ebpf_native_run *run)
{
    uint64_t value = 0;
    UNUSED(a3), UNUSED(a4), UNUSED(a5);
    if (offset > packet_size || packet_size - offset < bytes) {
        run->aborted = 1;
        return 0;
    }
    for (uint64_t i = 0; i < bytes; i++) {
        value = value << 8 | packet[offset + i];
    }
    return value;
}

static void run_vector(const struct vector *v, ebpf_native_entry_fn entry, const char *how)
{
    _Alignas(16) static uint8_t mem[VECTOR_MEM_SIZE], frames[INSN_STACK_SIZE * INSN_MAX_FRAMES];
    struct ebpf_native_run run = {.turns = INSN_MAY_GOTO_TURNS};
    memcpy(mem, v->mem, sizeof(mem));
    packet = mem;
    packet_size = v->mem_size;
    uint64_t r1 = v->mem_size != 0 ? (uintptr_t)mem : 0;
    uint64_t result = entry(r1, v->mem_size, &run, frames + INSN_STACK_SIZE);
    if (result != v->result) {
        test_fail(__FILE__, __LINE__, "%s, %s: 0x%llx, not 0x%llx", v->name, how, (unsigned long long)result,
                  (unsigned long long)v->result);
    }
}

static void run_all(const char *compiler, const char *flags)
{
    const struct cgen_input input = {.spec = spec_builtin(),
                                     .name = "vectors",
                                     .version = "tests",
                                     .programs = sources,
                                     .program_count = count,
                                     .raw = true};
    struct native_module m;
    if (!native_has_compiler(compiler)) {
        SKIP(compiler);
    }
    REQUIRE(native_build(&input, compiler, flags, &m));
    m.table->imports->call_number = call_number;
    m.table->imports->load_packet = load_packet;
    for (uint32_t i = 0; i < count; i++) {
        run_vector(&vectors[i], m.table->programs[i].entry, compiler);
    }
    native_unload(&m);
}

static void compiled_by_clang(void)
{
    run_all("clang-19", NATIVE_FLAGS);
}

static void compiled_by_gcc(void)
{
    run_all("gcc", NATIVE_FLAGS);
}

static void without_undefined_behaviour(void)
{
    run_all("clang-19", NATIVE_UBSAN);
}

TEST_SUITE(native_vectors)
{
    arena_init(&arena, test_mem_source(), 0);
    RUN(read_all);
    RUN(compiled_by_clang);
    RUN(compiled_by_gcc);
    RUN(without_undefined_behaviour);
    arena_fini(&arena);
}
