// SPDX-License-Identifier: MIT
// pe_module: the object file inside a PE32+ image. Source: PE Format, sections "COFF File Header", "Optional
// Header", "Section Table", "The Attribute Certificate Table".
#include "elf/elf_module.h"

#define COFF_SIZE         20u
#define OPTIONAL_SIZE     112u // of PE32+ without data directories
#define OPTIONAL_MAGIC    0x20bu
#define SECTION_SIZE      40u
#define SECTION_NAME_SIZE 8u
#define SYMBOL_SIZE       18u
#define DIRECTORY_SIZE    8u
#define CERTIFICATES      4u // index of its data directory, the only one with an offset in the file
#define SUBSYSTEM_NATIVE  1u
#define SECTION_WX        0xa0000000u // writable and executable
#define MACHINE_X86_64    0x8664u
#define MACHINE_ARM64     0xaa64u

_Static_assert(sizeof(ELF_MODULE_SECTION) - 1 == SECTION_NAME_SIZE, "a name as long as PE has room for");

struct header {
    uint64_t coff; // offset in the file
    uint16_t machine, section_count, optional_size, subsystem;
    uint32_t symbols_off, symbol_count, headers_size, directory_count;
};

static ebpf_result_t find_coff(const struct module_image *image, struct header *h)
{
    struct reader r = image->file, bytes;
    const uint8_t *magic;
    uint32_t off;
    if (reader_seek(&r, 60) != EBPF_SUCCESS || reader_u32(&r, &off) != EBPF_SUCCESS) {
        return elf_module_fail(image, "the file is too short for the header of an image (%zu bytes)", r.size);
    }
    TRY(elf_module_part(image, "PE header", off, 4 + COFF_SIZE + OPTIONAL_SIZE, &bytes));
    TRY(reader_view(&bytes, 4, &magic));
    if (memcmp(magic, "PE\0\0", 4) != 0) {
        return elf_module_fail(image, "the image has no PE header (it may be one for DOS)");
    }
    h->coff = off + 4u;
    return EBPF_SUCCESS;
}

static ebpf_result_t read_header(const struct module_image *image, struct header *h)
{
    struct reader r = image->file;
    uint16_t magic;
    TRY(find_coff(image, h));
    uint64_t optional = h->coff + COFF_SIZE;
    bool ok =
        reader_seek(&r, h->coff) == EBPF_SUCCESS && reader_u16(&r, &h->machine) == EBPF_SUCCESS &&
        reader_u16(&r, &h->section_count) == EBPF_SUCCESS && reader_skip(&r, 4) == EBPF_SUCCESS &&
        reader_u32(&r, &h->symbols_off) == EBPF_SUCCESS && reader_u32(&r, &h->symbol_count) == EBPF_SUCCESS &&
        reader_u16(&r, &h->optional_size) == EBPF_SUCCESS && reader_seek(&r, optional) == EBPF_SUCCESS &&
        reader_u16(&r, &magic) == EBPF_SUCCESS && reader_seek(&r, optional + 60) == EBPF_SUCCESS &&
        reader_u32(&r, &h->headers_size) == EBPF_SUCCESS && reader_seek(&r, optional + 68) == EBPF_SUCCESS &&
        reader_u16(&r, &h->subsystem) == EBPF_SUCCESS && reader_seek(&r, optional + 108) == EBPF_SUCCESS &&
        reader_u32(&r, &h->directory_count) == EBPF_SUCCESS;
    if (!ok || h->optional_size < OPTIONAL_SIZE || magic != OPTIONAL_MAGIC) {
        return elf_module_fail(image, "the image is not PE of 64 bits");
    }
    return EBPF_SUCCESS;
}

// Debug symbols of mingw-w64, and the names behind them, which start with their size.
static ebpf_result_t check_symbols(const struct module_image *image, const struct header *h)
{
    struct reader bytes;
    uint32_t size;
    uint64_t table = (uint64_t)h->symbol_count * SYMBOL_SIZE, names = h->symbols_off + table;
    if (h->symbols_off == 0) {
        return EBPF_SUCCESS;
    }
    TRY(elf_module_part(image, "symbol table", h->symbols_off, table + 4, &bytes));
    TRY(reader_seek(&bytes, table));
    TRY(reader_u32(&bytes, &size));
    return elf_module_part(image, "table of symbols' names", names, size, &bytes);
}

// A signature lies at the end.
static ebpf_result_t check_certificates(const struct module_image *image, const struct header *h)
{
    struct reader r = image->file, bytes;
    uint32_t off, size;
    uint64_t entry = OPTIONAL_SIZE + (uint64_t)CERTIFICATES * DIRECTORY_SIZE;
    if (h->directory_count <= CERTIFICATES || entry + DIRECTORY_SIZE > h->optional_size) {
        return EBPF_SUCCESS;
    }
    TRY(elf_module_part(image, "PE header", h->coff + COFF_SIZE, h->optional_size, &bytes));
    TRY(reader_seek(&r, h->coff + COFF_SIZE + entry));
    TRY(reader_u32(&r, &off));
    TRY(reader_u32(&r, &size));
    return elf_module_part(image, "signature", off, size, &bytes);
}

static ebpf_result_t read_section(const struct module_image *image, struct reader *table,
                                  const uint8_t **name, struct reader *out)
{
    uint32_t off, size, virtual_size, flags;
    TRY(reader_view(table, SECTION_NAME_SIZE, name));
    TRY(reader_u32(table, &virtual_size));
    TRY(reader_skip(table, 4));
    TRY(reader_u32(table, &size));
    TRY(reader_u32(table, &off));
    TRY(reader_skip(table, SECTION_SIZE - 28));
    TRY(reader_u32(table, &flags));
    image->out->writable_code |= (flags & SECTION_WX) == SECTION_WX;
    return elf_module_part(image, "section", size != 0 ? off : 0, size, out);
}

static ebpf_result_t read_sections(const struct module_image *image, const struct header *h)
{
    struct reader table, section, found = {0};
    const uint8_t *name;
    bool is_there = false;
    TRY(elf_module_part(image, "table of sections", h->coff + COFF_SIZE + h->optional_size,
                        (uint64_t)h->section_count * SECTION_SIZE, &table));
    for (uint32_t i = 0; i < h->section_count; i++) {
        TRY(read_section(image, &table, &name, &section));
        if (!is_there && memcmp(name, ELF_MODULE_SECTION, SECTION_NAME_SIZE) == 0) {
            is_there = true;
            found = section;
        }
    }
    return elf_module_take(image, is_there ? &found : NULL);
}

ebpf_result_t pe_module_read(const struct module_image *image)
{
    struct header h = {0};
    struct reader bytes;
    TRY(read_header(image, &h));
    image->out->machine = h.machine == MACHINE_X86_64  ? ELF_MACHINE_X86_64
                          : h.machine == MACHINE_ARM64 ? ELF_MACHINE_ARM64
                                                       : ELF_MACHINE_OTHER;
    image->out->is_driver = h.subsystem == SUBSYSTEM_NATIVE;
    TRY(elf_module_part(image, "headers", 0, h.headers_size, &bytes));
    TRY(check_symbols(image, &h));
    TRY(check_certificates(image, &h));
    return read_sections(image, &h);
}
