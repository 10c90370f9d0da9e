// SPDX-License-Identifier: MIT
// elf_open: the order in which an object is read. Each step relies on those before it.
#include "elf/elf_int.h"

// Text of the section `license`, up to its first NUL.
static ebpf_result_t read_license(struct elf_loader *l)
{
    uint32_t index = elf_find_section(l, "license");
    l->object->license = "";
    if (index == ELF_NO_INDEX || l->sections[index].data == NULL) {
        return EBPF_SUCCESS;
    }
    const struct elf_section *s = &l->sections[index];
    size_t length = 0, limit = (size_t)min_u64(s->size, SPEC_NAME_SIZE - 1);
    while (length < limit && s->data[length] != '\0') {
        length++;
    }
    char *license = arena_alloc(l->arena, length + 1);
    if (license == NULL) {
        return elf_no_memory(l);
    }
    if (length != 0) {
        memcpy(license, s->data, length);
    }
    l->object->license = license;
    return EBPF_SUCCESS;
}

static void read_version(struct elf_loader *l)
{
    uint32_t index = elf_find_section(l, "version");
    if (index == ELF_NO_INDEX || l->sections[index].data == NULL) {
        return;
    }
    struct reader r;
    reader_init(&r, l->sections[index].data, (size_t)l->sections[index].size);
    if (reader_u32(&r, &l->object->kernel_version) != EBPF_SUCCESS) {
        l->object->kernel_version = 0; // only old Linux kernels look at it
    }
}

static void hand_over_btf(struct elf_loader *l)
{
    l->object->strings = "";
    l->object->strings_size = 1;
    if (l->has_btf) {
        l->object->btf = l->btf.raw;
        l->object->btf_size = l->btf.raw_size;
        l->object->strings = l->btf.strings;
        l->object->strings_size = l->btf.strings_size;
    }
}

static ebpf_result_t load(struct elf_loader *l)
{
    TRY(elf_read_all(l));
    TRY(elf_collect_code(l));
    TRY(elf_read_btf(l));
    elf_choose_dialect(l);
    TRY(read_license(l));
    read_version(l);
    TRY(elf_collect_maps(l));
    TRY(elf_relocate(l));
    TRY(elf_collect_programs(l));
    hand_over_btf(l);
    return EBPF_SUCCESS;
}

ebpf_result_t elf_open(const void *bytes, size_t size, const struct elf_options *options, struct arena *arena,
                       struct elf_object *out, struct elf_error *error)
{
    struct elf_object object = {0};
    struct elf_error found = {0};
    struct elf_loader l = {
        .options = options,
        .arena = arena,
        .error = &found,
        .object = &object,
    };
    reader_init(&l.file, bytes, size);
    ebpf_result_t result = load(&l);
    if (result != EBPF_SUCCESS) {
        *error = found;
        return result;
    }
    *out = object;
    return EBPF_SUCCESS;
}
