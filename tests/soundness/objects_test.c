// SPDX-License-Identifier: MIT
// Compiled programs under the oracle: those of tests/verify/precision and samples/, and every object below
// the folder that EBPF_SAMPLES names, if it does.
//
// EBPF_SAMPLES=DIR, ORACLE_VERBOSE=1, ORACLE_RUNS=N (runs of a program, default 6).
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/elf.h"
#include "plat/plat.h"
#include "tests/soundness/oracle.h"
#include "tests/test.h"

enum { RUNS = 6, OBJECT_MAX = 16 << 20, RUN_STEPS = 3000, DEPTH = 6 };

static unsigned objects, wrong;
static unsigned runs; // of a program

static uint8_t *read_bytes(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = file != NULL ? malloc(OBJECT_MAX) : NULL;
    *size = bytes != NULL ? fread(bytes, 1, OBJECT_MAX, file) : 0;
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static void follow_program(const struct elf_object *object, uint32_t index)
{
    uint32_t attach = object->programs[index].likely_attach_type, map_of[SPEC_MAX_MAPS];
    uint32_t type = spec_builtin()->attach_types[attach].prog_type;
    struct oracle_options options = {
        .spec = spec_builtin(), .runs = runs, .seed = index + 1, .run_steps = RUN_STEPS};
    struct elf_error error;
    struct program program;
    struct arena arena;
    uint16_t rule;
    arena_init(&arena, plat_mem_source(), 0);
    if (type == PROG_TYPE_NONE) {
        type = PROG_TYPE_XDP;
        attach = ATTACH_TYPE_XDP;
    }
    if (elf_program_canonical(object, index, spec_builtin(), type, attach, &arena, &program, map_of,
                              &error) == EBPF_SUCCESS) {
        if (!object->has_license) {
            str_copy(program.license, sizeof(program.license), "GPL");
        }
        wrong += oracle_judge(&program, &options, &rule) == ORACLE_WRONG;
    }
    arena_fini(&arena);
}

static void follow_object(const char *path)
{
    struct arena arena;
    struct elf_object object;
    struct elf_error error;
    struct elf_options options = {.spec = spec_builtin(), .platform_default = DIALECT_LINUX};
    size_t size;
    uint8_t *bytes = read_bytes(path, &size);
    arena_init(&arena, plat_mem_source(), 0);
    if (bytes != NULL && elf_open(bytes, size, &options, &arena, &object, &error) == EBPF_SUCCESS) {
        objects++;
        for (uint32_t i = 0; i < object.program_count; i++) {
            follow_program(&object, i);
        }
    }
    arena_fini(&arena);
    free(bytes);
}

static bool is_object(const char *name)
{
    size_t length = strlen(name);
    return (length > 2 && strcmp(name + length - 2, ".o") == 0) ||
           (length > 4 && strcmp(name + length - 4, ".elf") == 0);
}

static void follow_folder(const char *folder, unsigned depth)
{
    DIR *directory = depth < DEPTH ? opendir(folder) : NULL;
    for (struct dirent *e; directory != NULL && (e = readdir(directory)) != NULL;) {
        char path[1024];
        str_format(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (is_object(e->d_name)) {
            follow_object(path);
        } else if (e->d_name[0] != '.') {
            follow_folder(path, depth + 1);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
}

static void follow(const char *folder)
{
    runs = (unsigned)test_setting("ORACLE_RUNS", RUNS);
    objects = wrong = 0;
    memset(&oracle_totals, 0, sizeof(oracle_totals));
    REQUIRE(oracle_open());
    follow_folder(folder, 0);
    if (getenv("ORACLE_VERBOSE") != NULL) {
        const struct oracle_totals *t = &oracle_totals;
        printf("oracle: %s: %u objects, %llu of %llu programs accepted, %llu runs, %llu instructions inside; "
               "not "
               "followed: %llu with too many states, %llu runs with what the machine does not play\n",
               folder, objects, (unsigned long long)t->accepted, (unsigned long long)t->programs,
               (unsigned long long)t->runs, (unsigned long long)t->steps, (unsigned long long)t->too_many,
               (unsigned long long)t->unknown);
    }
    CHECK_EQ(wrong, 0);
    CHECK(objects > 0);
    oracle_close();
}

static void programs_of_the_project(void)
{
    follow(ORACLE_OBJECTS);
}

static void public_objects(void)
{
    follow(getenv("EBPF_SAMPLES"));
}

TEST_SUITE(objects)
{
    RUN(programs_of_the_project);
    if (getenv("EBPF_SAMPLES") != NULL) {
        RUN(public_objects);
    }
}
