// SPDX-License-Identifier: MIT
// The programs of this folder, compiled for every version of the instruction set: `ok_...` is accepted and
// survives the replay, `no_...` is refused, and not by a limit.
#include <stdio.h>
#include <stdlib.h>

#include "elf/elf.h"
#include "plat/plat.h"
#include "tests/test.h"
#include "verifier/verifier.h"

static uint8_t *read_object(const char *name, size_t *size)
{
    char path[1024];
    str_format(path, sizeof(path), "%s/%s", PRECISION_DIR, name);
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = file != NULL ? malloc(1 << 20) : NULL;
    if (bytes != NULL) {
        *size = fread(bytes, 1, 1 << 20, file);
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static void check_refused(const struct program *p, const struct verify_report *report)
{
    if (report->accepted) {
        test_fail(__FILE__, __LINE__, "%s was accepted", p->name);
    } else if (report->findings[0].rule == RULE_BUDGET) {
        test_fail(__FILE__, __LINE__, "%s was not understood, only given up", p->name);
    }
}

static void check_accepted(const struct program *p, const struct verify_report *report)
{
    if (!report->accepted) {
        const struct finding *f = &report->findings[0];
        test_fail(__FILE__, __LINE__, "%s: pc %u: %s; needed: %s; known: %s", p->name, (unsigned)f->pc,
                  f->message, f->needed, f->known);
    }
}

static void check_program(const struct elf_object *object, uint32_t index, struct arena *arena)
{
    struct elf_error error;
    struct program program;
    uint32_t map_of[SPEC_MAX_MAPS];
    REQUIRE_OK(elf_program_canonical(object, index, spec_builtin(), PROG_TYPE_XDP, ATTACH_TYPE_XDP, arena,
                                     &program, map_of, &error));
    struct verify_options options = {.spec = spec_builtin(), .replay = true};
    struct verify_report report = {0};
    REQUIRE_OK(verify_program(&program, &options, arena, &report));
    bool expected = memcmp(program.name, "ok_", 3) == 0;
    CHECK(expected || memcmp(program.name, "no_", 3) == 0);
    (expected ? check_accepted : check_refused)(&program, &report);
}

static void check_object(const char *name)
{
    struct arena arena;
    struct elf_object object;
    struct elf_error error;
    struct elf_options options = {.spec = spec_builtin(), .dialect_given = true, .dialect = DIALECT_LINUX};
    size_t size = 0;
    uint8_t *bytes = read_object(name, &size);
    REQUIRE(bytes != NULL);
    arena_init(&arena, plat_mem_source(), 0);
    REQUIRE_OK(elf_open(bytes, size, &options, &arena, &object, &error));
    CHECK(object.program_count >= 8);
    for (uint32_t i = 0; i < object.program_count; i++) {
        check_program(&object, i, &arena);
    }
    arena_fini(&arena);
    free(bytes);
}

TEST_SUITE(precision)
{
    static const char *const objects[] = {PRECISION_OBJECTS};
    for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
        RUN_WITH(objects[i], check_object, objects[i]);
    }
}
