// SPDX-License-Identifier: MIT
// elf_module: the object file inside a native module, found without running or relocating anything. Here:
// what both image formats have in common, and ELF64 shared objects. Source: System V ABI, chapters 4 and 5.
#include "elf/elf_module.h"

#define HEADER_SIZE         64u
#define SECTION_HEADER_SIZE 64u
#define SEGMENT_HEADER_SIZE 56u
#define TYPE_SHARED         3u
#define SEGMENT_LOAD        1u
#define SEGMENT_STACK       0x6474e551u // of the linkers of Linux
#define FLAG_EXECUTE        1u
#define FLAG_WRITE          2u
#define SECTION_NOBITS      8u
#define SECTION_NULL        0u
#define MACHINE_X86_64      62u
#define MACHINE_ARM64       183u
#define MACHINE_BPF         247u

static const uint8_t elf_magic[4] = {0x7f, 'E', 'L', 'F'};

// --- both formats --------------------------------------------------------------------------------

ebpf_result_t elf_module_fail(const struct module_image *image, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    str_vformat(image->error->message, sizeof(image->error->message), format, args);
    va_end(args);
    return EBPF_ELF_PARSING_FAILED;
}

ebpf_result_t elf_module_part(const struct module_image *image, const char *what, uint64_t off, uint64_t size,
                              struct reader *out)
{
    if (reader_slice(&image->file, off, size, out) != EBPF_SUCCESS) {
        return elf_module_fail(
            image,
            "the file is truncated: its %s (%llu bytes at offset %llu) should lie inside its "
            "%zu bytes",
            what, (unsigned long long)size, (unsigned long long)off, image->file.size);
    }
    return EBPF_SUCCESS;
}

ebpf_result_t elf_module_take(const struct module_image *image, const struct reader *section)
{
    const uint8_t *magic;
    uint64_t size;
    if (section == NULL) {
        return elf_module_fail(image, "the image has no section " ELF_MODULE_SECTION
                                      ": it is no native module, as `bpftool gen native` makes them");
    }
    struct reader r = *section;
    if (reader_view(&r, sizeof(ELF_MODULE_MAGIC) - 1, &magic) != EBPF_SUCCESS ||
        memcmp(magic, ELF_MODULE_MAGIC, sizeof(ELF_MODULE_MAGIC) - 1) != 0 ||
        reader_u64(&r, &size) != EBPF_SUCCESS) {
        return elf_module_fail(image, "its section " ELF_MODULE_SECTION
                                      " does not start as that of a native module of this version");
    }
    if (size == 0 || size > reader_left(&r) ||
        reader_view(&r, (size_t)size, &image->out->object) != EBPF_SUCCESS) {
        return elf_module_fail(
            image, "its section " ELF_MODULE_SECTION " of %zu bytes cannot hold an object of %llu bytes",
            section->size, (unsigned long long)size);
    }
    image->out->object_size = (size_t)size;
    return EBPF_SUCCESS;
}

static bool read_at(const struct reader *file, uint64_t off, uint16_t *out)
{
    struct reader r = *file;
    return reader_seek(&r, off) == EBPF_SUCCESS && reader_u16(&r, out) == EBPF_SUCCESS;
}

enum elf_image_format elf_image_format(const void *bytes, size_t size)
{
    struct reader file;
    uint16_t type, machine;
    reader_init(&file, bytes, size);
    if (size >= 2 && memcmp(bytes, "MZ", 2) == 0) {
        return ELF_IMAGE_PE;
    }
    bool shared = size >= sizeof(elf_magic) && memcmp(bytes, elf_magic, sizeof(elf_magic)) == 0 &&
                  read_at(&file, 16, &type) && type == TYPE_SHARED && read_at(&file, 18, &machine) &&
                  machine != MACHINE_BPF;
    return shared ? ELF_IMAGE_ELF : ELF_IMAGE_NONE;
}

const char *elf_image_machine_name(enum elf_image_machine machine)
{
    static const char *const names[] = {"another machine", "x86_64", "arm64"};
    return names[machine];
}

// --- ELF -----------------------------------------------------------------------------------------

struct header {
    uint64_t segments_off, sections_off;
    uint16_t machine, segment_size, segment_count, section_size, section_count, names_section;
};

static ebpf_result_t read_header(const struct module_image *image, struct header *out)
{
    struct reader r = image->file;
    const uint8_t *ident;
    if (r.size < HEADER_SIZE || reader_view(&r, 16, &ident) != EBPF_SUCCESS) {
        return elf_module_fail(image, "the file is too short for an ELF header (%zu bytes)", r.size);
    }
    if (ident[4] != 2 || ident[5] != 1 || ident[6] != 1) {
        return elf_module_fail(image, "the image is not ELF of 64 bits, little endian, version 1");
    }
    bool ok = reader_seek(&r, 18) == EBPF_SUCCESS && reader_u16(&r, &out->machine) == EBPF_SUCCESS &&
              reader_seek(&r, 32) == EBPF_SUCCESS && reader_u64(&r, &out->segments_off) == EBPF_SUCCESS &&
              reader_u64(&r, &out->sections_off) == EBPF_SUCCESS && reader_seek(&r, 54) == EBPF_SUCCESS &&
              reader_u16(&r, &out->segment_size) == EBPF_SUCCESS &&
              reader_u16(&r, &out->segment_count) == EBPF_SUCCESS &&
              reader_u16(&r, &out->section_size) == EBPF_SUCCESS &&
              reader_u16(&r, &out->section_count) == EBPF_SUCCESS &&
              reader_u16(&r, &out->names_section) == EBPF_SUCCESS;
    if (!ok) {
        return elf_module_fail(image, "the file ends inside the ELF header");
    }
    if (out->segment_size != SEGMENT_HEADER_SIZE || out->section_size != SECTION_HEADER_SIZE) {
        return elf_module_fail(image, "program headers have %u and section headers %u bytes, not %u and %u",
                               out->segment_size, out->section_size, SEGMENT_HEADER_SIZE,
                               SECTION_HEADER_SIZE);
    }
    return EBPF_SUCCESS;
}

struct segment {
    uint32_t type, flags;
    uint64_t off, size; // in the file
};

static ebpf_result_t read_segment(const struct reader *table, uint32_t index, struct segment *out)
{
    struct reader r = *table;
    TRY(reader_seek(&r, (uint64_t)index * SEGMENT_HEADER_SIZE));
    TRY(reader_u32(&r, &out->type));
    TRY(reader_u32(&r, &out->flags));
    TRY(reader_u64(&r, &out->off));
    TRY(reader_skip(&r, 16));
    return reader_u64(&r, &out->size);
}

// The dynamic linker makes all stacks executable for an image that does not say that it can do without.
static ebpf_result_t check_segments(const struct module_image *image, const struct header *h)
{
    struct reader table, bytes;
    bool has_stack = false, danger = false;
    TRY(elf_module_part(image, "table of program headers", h->segments_off,
                        (uint64_t)h->segment_count * SEGMENT_HEADER_SIZE, &table));
    for (uint32_t i = 0; i < h->segment_count; i++) {
        struct segment segment;
        TRY(read_segment(&table, i, &segment));
        TRY(elf_module_part(image, "program segment", segment.off, segment.size, &bytes));
        bool executable = (segment.flags & FLAG_EXECUTE) != 0;
        bool writable = (segment.flags & FLAG_WRITE) != 0 || segment.type == SEGMENT_STACK;
        bool counts = segment.type == SEGMENT_STACK || segment.type == SEGMENT_LOAD;
        has_stack = has_stack || segment.type == SEGMENT_STACK;
        danger = danger || (counts && executable && writable);
    }
    image->out->writable_code = danger || !has_stack;
    return EBPF_SUCCESS;
}

struct section {
    uint32_t name, type;
    struct reader bytes; // nothing where the file has none
};

static ebpf_result_t read_section(const struct module_image *image, const struct reader *table,
                                  uint32_t index, struct section *out)
{
    struct reader r = *table;
    uint64_t off, size;
    TRY(reader_seek(&r, (uint64_t)index * SECTION_HEADER_SIZE));
    TRY(reader_u32(&r, &out->name));
    TRY(reader_u32(&r, &out->type));
    TRY(reader_skip(&r, 16));
    TRY(reader_u64(&r, &off));
    TRY(reader_u64(&r, &size));
    bool empty = out->type == SECTION_NOBITS || out->type == SECTION_NULL;
    return elf_module_part(image, "section", empty ? 0 : off, empty ? 0 : size, &out->bytes);
}

static bool has_name(const struct section *names, uint32_t off, const char *wanted)
{
    struct reader r = names->bytes;
    const uint8_t *name;
    size_t size = str_len(wanted) + 1;
    return reader_seek(&r, off) == EBPF_SUCCESS && reader_view(&r, size, &name) == EBPF_SUCCESS &&
           memcmp(name, wanted, size) == 0;
}

static ebpf_result_t read_sections(const struct module_image *image, const struct header *h)
{
    struct reader table;
    struct section names, section, found = {0};
    bool is_there = false;
    TRY(elf_module_part(image, "table of section headers", h->sections_off,
                        (uint64_t)h->section_count * SECTION_HEADER_SIZE, &table));
    if (h->names_section >= h->section_count) {
        return elf_module_take(image, NULL); // stripped of all names
    }
    TRY(read_section(image, &table, h->names_section, &names));
    for (uint32_t i = 0; i < h->section_count; i++) {
        TRY(read_section(image, &table, i, &section));
        if (!is_there && has_name(&names, section.name, ELF_MODULE_SECTION)) {
            is_there = true;
            found = section;
        }
    }
    return elf_module_take(image, is_there ? &found.bytes : NULL);
}

static ebpf_result_t read_elf(const struct module_image *image)
{
    struct header h;
    TRY(read_header(image, &h));
    image->out->machine = h.machine == MACHINE_X86_64  ? ELF_MACHINE_X86_64
                          : h.machine == MACHINE_ARM64 ? ELF_MACHINE_ARM64
                                                       : ELF_MACHINE_OTHER;
    TRY(check_segments(image, &h));
    return read_sections(image, &h);
}

ebpf_result_t elf_module_open(const void *bytes, size_t size, struct elf_module *out, struct elf_error *error)
{
    struct elf_module module = {.format = elf_image_format(bytes, size)};
    struct elf_error found = {0};
    struct module_image image = {.out = &module, .error = &found};
    reader_init(&image.file, bytes, size);
    ebpf_result_t result = module.format == ELF_IMAGE_ELF  ? read_elf(&image)
                           : module.format == ELF_IMAGE_PE ? pe_module_read(&image)
                                                           : elf_module_fail(&image, "the file is no image");
    if (result != EBPF_SUCCESS) {
        *error = found;
        return result;
    }
    *out = module;
    return EBPF_SUCCESS;
}
