// SPDX-License-Identifier: MIT
// elf_testing: what the tests of this folder share: objects of tests/elf as bytes that may be patched, and an
// opened object with its memory.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/elf.h"
#include "tests/test.h"

struct test_file {
    uint8_t *bytes; // malloc; exact size, so that a sanitizer sees reads past the end
    size_t size;
};

// Reads tests/elf/`name``suffix`; bytes is NULL when that fails.
static inline struct test_file test_file_read(const char *name, const char *suffix)
{
    struct test_file file = {0};
    char path[512];
    snprintf(path, sizeof(path), "%s/tests/elf/%s%s", TEST_SOURCE_DIR, name, suffix);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        test_fail(__FILE__, __LINE__, "cannot open %s", path);
        return file;
    }
    fseek(stream, 0, SEEK_END);
    long size = ftell(stream);
    rewind(stream);
    file.bytes = malloc(size > 0 ? (size_t)size : 1);
    if (file.bytes != NULL && size > 0) {
        file.size = fread(file.bytes, 1, (size_t)size, stream);
    }
    fclose(stream);
    return file;
}

struct test_object {
    struct arena arena;
    struct elf_object object;
    struct elf_error error;
    ebpf_result_t result;
};

static inline struct elf_options test_options(void)
{
    struct elf_options options = {
        .spec = spec_builtin(), .platform_default = DIALECT_LINUX, .name = "long_object_name"};
    return options;
}

static inline void test_open(struct test_object *t, const void *bytes, size_t size,
                             const struct elf_options *options)
{
    memset(t, 0, sizeof(*t));
    arena_init(&t->arena, test_mem_source(), 0);
    t->result = elf_open(bytes, size, options, &t->arena, &t->object, &t->error);
}

static inline void test_close(struct test_object *t)
{
    arena_fini(&t->arena);
}

// Opens tests/elf/`name` and takes its types as those that CO-RE relocations are resolved against.
static inline void test_open_target(struct test_object *t, const char *name, struct elf_options *options)
{
    struct test_file file = test_file_read(name, ".o");
    struct elf_options own = test_options();
    REQUIRE(file.bytes != NULL);
    test_open(t, file.bytes, file.size, &own);
    free(file.bytes);
    REQUIRE_OK(t->result);
    options->target_btf = t->object.btf;
    options->target_btf_size = t->object.btf_size;
}

// Type that the tests give a program: what its section says, else raw memory.
static inline uint32_t test_prog_type(const struct elf_program *p)
{
    uint32_t attach = p->likely_attach_type;
    return attach != ATTACH_TYPE_NONE ? spec_builtin()->attach_types[attach].prog_type : PROG_TYPE_RAW_MEMORY;
}
