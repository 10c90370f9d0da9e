// SPDX-License-Identifier: MIT
// Runs the vectors of tests/isa/*.data in every engine and mode. Their results were computed without them.
#include <dirent.h>
#include <stdio.h>

#include "isa/isa.h"
#include "plat/plat.h"
#include "runtime/runtime.h"
#include "tests/isa/vectors.h"
#include "tests/test.h"

enum { MAX_INSNS = 512, MAX_FILE_SIZE = 1 << 17 };

static struct way {
    const char *name;
    enum runtime_engine engine;
    struct jit_options options;
    struct runtime *rt;
} ways[] = {
#if defined(EBPF_INTERPRETER)
    {"interpreter", RUNTIME_INTERPRETER, {0}, NULL},
#endif
    {"jit", RUNTIME_JIT, {.passes = JIT_ALL_PASSES}, NULL},
    {"jit without passes", RUNTIME_JIT, {0}, NULL},
    {"jit with 5 registers", RUNTIME_JIT, {.passes = JIT_ALL_PASSES, .registers = 5}, NULL},
    {"jit, blinded",
     RUNTIME_JIT,
     {.passes = JIT_ALL_PASSES, .blind = true, .blind_seed = 0x1234567890abcdefu},
     NULL},
    {"jit with retpolines", RUNTIME_JIT, {.passes = JIT_ALL_PASSES, .retpoline = true}, NULL},
};
static char file_text[MAX_FILE_SIZE];
static struct insn insns[MAX_INSNS];
static bool row_is_used[INSN_ID_COUNT];

static uint64_t helper(uint64_t id, const uint64_t args[5])
{
    switch (id) {
    case 5: return args[0];
    case 6: return args[0] + 2 * args[1] + 3 * args[2] + 4 * args[3] + 5 * args[4];
    default: return UINT64_MAX;
    }
}

static void run_way(const struct vector *v, uint32_t count, const struct way *way)
{
    uint8_t mem[VECTOR_MEM_SIZE];
    uint64_t result = 0;
    memcpy(mem, v->mem, sizeof(mem));
    struct raw_source source = {.insns = insns, .insn_count = count, .helper = helper};
    ebpf_result_t error =
        raw_prog_once(way->rt, way->engine, &source, v->mem_size != 0 ? mem : NULL, v->mem_size, &result);
    if (error != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "%s: %s", way->name, result_row(error)->sentence);
    } else if (result != v->result) {
        test_fail(__FILE__, __LINE__, "%s: 0x%llx, not 0x%llx", way->name, (unsigned long long)result,
                  (unsigned long long)v->result);
    }
}

static void run_vector(const struct vector *v)
{
    uint32_t count = 0, bad_line = 0;
    if (isa_assemble(v->text, insns, MAX_INSNS, &count, &bad_line) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "line %u of the assembly is wrong", (unsigned)bad_line);
        return;
    }
    for (uint32_t pc = 0; pc < count; pc++) {
        row_is_used[insns[pc].id] = true;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        run_way(v, count, &ways[i]);
    }
}

static bool read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    size_t size = fread(file_text, 1, sizeof(file_text) - 1, file);
    bool whole = size < sizeof(file_text) - 1 && !ferror(file);
    file_text[size] = 0;
    fclose(file);
    return whole;
}

static unsigned run_file(const char *path, const char *file)
{
    static struct vector v;
    unsigned count = 0;
    const char *error;
    if (!read_file(path)) {
        test_fail(__FILE__, __LINE__, "%s cannot be read", path);
        return 0;
    }
    for (const char *at = file_text; vector_next(&at, &v, &error); count++) {
        char name[128];
        str_format(name, sizeof(name), "%s/%s", file, v.name);
        if (error != NULL) {
            test_fail(__FILE__, __LINE__, "%s: %s", name, error);
        } else {
            RUN_WITH(name, run_vector, &v);
        }
    }
    return count;
}

static void run_all(unsigned *files, unsigned *cases)
{
    const char *folder = TEST_SOURCE_DIR "/tests/isa";
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        size_t length = str_len(entry->d_name);
        char path[1024];
        if (length > 5 && str_equal(entry->d_name + length - 5, ".data")) {
            str_format(path, sizeof(path), "%s/%s", folder, entry->d_name);
            *cases += run_file(path, entry->d_name);
            ++*files;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static unsigned file_count, case_count;

static void all_files_were_found(void)
{
    CHECK(file_count >= 10);
    CHECK(case_count >= 430);
}

// Rows that no vector can run: they need maps, kfuncs or function addresses.
static bool needs_more(const struct insn_info *info)
{
    return (info->form == FORM_LDDW && info->sem != SEM_LDDW) || info->sem == SEM_CALL_BTF;
}

static void every_row_is_covered(void)
{
    for (unsigned id = 1; id < INSN_ID_COUNT; id++) {
        if (!row_is_used[id] && !needs_more(insn_info(id))) {
            test_fail(__FILE__, __LINE__, "no vector uses %s (row %u)", insn_info(id)->mnemonic, id);
        }
    }
}

static void malformed_vectors_are_errors(void)
{
    static const char *const texts[] = {
        "-- asm\nexit\n",
        "-- case a\n-- asm\nexit\n",
        "-- case a\n-- result\n0x1\n",
        "-- case a\n-- asm\nexit\n-- result\n5\n",
        "-- case a\n-- asm\nexit\n-- result\n0x1\n0x2\n",
        "-- case a\n-- asm\nexit\n-- mem\n0\n-- result\n0x1\n",
        "-- case a\n-- asm\nexit\n-- mem\nxx\n-- result\n0x1\n",
        "-- case a\n-- bogus\n-- asm\nexit\n-- result\n0x1\n",
        "-- case a\nexit\n",
    };
    static struct vector v;
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        const char *at = texts[i], *error;
        (void)vector_next(&at, &v, &error);
        CHECK(error != NULL);
    }
    const char *good = "# c\n-- case a\n-- asm\nexit\n-- mem\n01 ff\n02\n-- result\n0x1f\n", *error;
    REQUIRE(vector_next(&good, &v, &error) && error == NULL);
    CHECK(v.result == 0x1f && v.mem_size == 3 && v.mem[1] == 0xff && v.mem[2] == 2);
    CHECK(!vector_next(&good, &v, &error) && error == NULL);
}

static bool open_engines(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        const struct runtime_options options = {
            .spec = spec_builtin(), .engine = ways[i].engine, .jit = &ways[i].options};
        if (runtime_create(&options, &ways[i].rt) != EBPF_SUCCESS) {
            test_fail(__FILE__, __LINE__, "%s: runtime_create failed", ways[i].name);
            return false;
        }
    }
    return true;
}

static void close_engines(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        if (ways[i].rt != NULL) {
            runtime_destroy(ways[i].rt);
        }
    }
}

TEST_SUITE(isa_vectors)
{
    RUN(malformed_vectors_are_errors);
    if (plat_init() != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "plat_init failed");
        return;
    }
    if (open_engines()) {
        run_all(&file_count, &case_count);
        RUN(all_files_were_found);
        if (test_state.filter == NULL) {
            RUN(every_row_is_covered);
        }
    }
    close_engines();
    plat_fini();
}
