// SPDX-License-Identifier: MIT
// elf_fuzz: any bytes either open, and then each program's canonical form holds program_check, or give an
// error with a message. Memory is bounded.
#include <stdint.h>
#include <stdlib.h>

#include "elf/elf.h"

static void *take(void *user, size_t size)
{
    UNUSED(user);
    return malloc(size);
}

static void give(void *user, void *ptr)
{
    UNUSED(user);
    free(ptr);
}

static void demand(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_program(const struct elf_object *object, uint32_t index, struct arena *arena)
{
    const struct elf_program *p = &object->programs[index];
    const struct spec_view *spec = spec_builtin();
    struct program program;
    struct elf_error error = {0};
    uint32_t map_of[SPEC_MAX_MAPS], bad_pc;
    const char *why;
    uint32_t type = p->attach_type != ATTACH_TYPE_NONE ? spec->attach_types[p->attach_type].prog_type
                                                       : (uint32_t)PROG_TYPE_RAW_MEMORY;
    ebpf_result_t result =
        elf_program_canonical(object, index, spec, type, p->attach_type, arena, &program, map_of, &error);
    if (result != EBPF_SUCCESS) {
        demand(error.message[0] != '\0');
        return;
    }
    demand(program_check(spec, &program, &bad_pc, &why) == EBPF_SUCCESS);
    for (uint32_t i = 0; i < program.map_count; i++) {
        demand(map_of[i] < object->map_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mem_source source = {take, give, NULL};
    struct elf_options options = {.spec = spec_builtin(), .platform_default = DIALECT_LINUX};
    struct elf_object object;
    struct elf_error error = {0};
    struct arena arena;
    arena_init(&arena, &source, 256u << 20);
    ebpf_result_t result = elf_open(data, size, &options, &arena, &object, &error);
    if (result == EBPF_SUCCESS) {
        for (uint32_t i = 0; i < object.program_count && i < 64; i++) {
            check_program(&object, i, &arena);
        }
    } else {
        demand(error.message[0] != '\0');
    }
    arena_fini(&arena);
    return 0;
}
