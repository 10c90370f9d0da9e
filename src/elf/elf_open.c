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
    l->object->has_license = true;
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

static ebpf_result_t hand_over_btf(struct elf_loader *l)
{
    if (l->has_btf) {
        l->object->btf = l->btf.raw;
        l->object->btf_size = l->btf.raw_size;
        struct btf *types = arena_copy(l->arena, &l->btf, sizeof(l->btf));
        struct elf_tags *tags = NULL;
        if (types == NULL || elf_collect_tags(types, l->arena, &tags) != EBPF_SUCCESS) {
            return elf_no_memory(l);
        }
        l->object->types = types;
        l->object->tags = tags;
    }
    return elf_join_texts(l);
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
    TRY(elf_relocate_core(l));
    TRY(elf_relocate(l));
    TRY(elf_collect_programs(l));
    TRY(elf_guess_types(l));
    return hand_over_btf(l);
}

// The object of a native module is opened in the module's place.
static ebpf_result_t unwrap(const void **bytes, size_t *size, struct elf_error *error)
{
    struct elf_module module;
    if (*size > ELF_MAX_SIZE || elf_image_format(*bytes, *size) == ELF_IMAGE_NONE) {
        return EBPF_SUCCESS;
    }
    TRY(elf_module_open(*bytes, *size, &module, error));
    *bytes = module.object;
    *size = module.object_size;
    return EBPF_SUCCESS;
}

ebpf_result_t elf_open(const void *bytes, size_t size, const struct elf_options *options, struct arena *arena,
                       struct elf_object *out, struct elf_error *error)
{
    struct elf_object object = {0};
    struct elf_error found = {0};
    struct arena scratch;
    TRY(unwrap(&bytes, &size, error));
    struct elf_loader l = {
        .options = options,
        .arena = arena,
        .scratch = &scratch,
        .error = &found,
        .object = &object,
    };
    reader_init(&l.file, bytes, size);
    arena_init(&scratch, arena->source, arena->limit);
    ebpf_result_t result = load(&l);
    arena_fini(&scratch);
    if (result != EBPF_SUCCESS) {
        *error = found;
        return result;
    }
    *out = object;
    return EBPF_SUCCESS;
}
