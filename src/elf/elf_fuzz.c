// SPDX-License-Identifier: MIT
// elf_fuzz: any bytes either open, and then each program's canonical form holds program_check, or give an
// error with a message; with their own BTF as the types to relocate against, too. Memory is bounded.
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
    uint32_t type = p->likely_attach_type != ATTACH_TYPE_NONE
                        ? spec->attach_types[p->likely_attach_type].prog_type
                        : (uint32_t)PROG_TYPE_RAW_MEMORY;
    ebpf_result_t result = elf_program_canonical(object, index, spec, type, p->likely_attach_type, arena,
                                                 &program, map_of, &error);
    if (result != EBPF_SUCCESS) {
        demand(error.message[0] != '\0');
        return;
    }
    demand(program_check(spec, &program, &bad_pc, &why) == EBPF_SUCCESS);
    for (uint32_t i = 0; i < program.map_count; i++) {
        demand(map_of[i] < object->map_count + object->template_count);
    }
}

// Opens the bytes in `arena` and checks what comes out.
static ebpf_result_t open_and_check(const uint8_t *data, size_t size, const struct elf_options *options,
                                    struct arena *arena, struct elf_object *object)
{
    struct elf_error error = {0};
    ebpf_result_t result = elf_open(data, size, options, arena, object, &error);
    if (result != EBPF_SUCCESS) {
        demand(error.message[0] != '\0');
        return result;
    }
    for (uint32_t i = 0; i < object->program_count && i < 64; i++) {
        check_program(object, i, arena);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mem_source source = {take, give, NULL};
    struct elf_options options = {
        .spec = spec_builtin(), .platform_default = DIALECT_LINUX, .kconfig = "CONFIG_HZ=1"};
    struct elf_object object, again;
    struct arena arena, second;
    arena_init(&arena, &source, 256u << 20);
    arena_init(&second, &source, 256u << 20);
    if (open_and_check(data, size, &options, &arena, &object) == EBPF_SUCCESS && object.btf != NULL) {
        options.target_btf = object.btf;
        options.target_btf_size = object.btf_size;
        (void)open_and_check(data, size, &options, &second, &again);
    }
    arena_fini(&second);
    arena_fini(&arena);
    return 0;
}
