// SPDX-License-Identifier: MIT
// Images made by hand, whole and damaged: what is found in them, and the sentence for what is wrong. No
// prefix of an image passes for one, and no changed byte does harm.
#include <string.h>

#include "elf/elf.h"
#include "tests/test.h"

#define OBJECT "the object's bytes"

enum { OBJECT_SIZE = sizeof(OBJECT) - 1, ROOM = 2048 };

struct image {
    uint8_t bytes[ROOM];
    size_t size;
};

static void put(struct image *f, size_t off, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++) {
        f->bytes[off + i] = (uint8_t)(value >> 8 * i);
    }
}

static void put_object(struct image *f, size_t off)
{
    memcpy(f->bytes + off, ELF_MODULE_MAGIC, 8);
    put(f, off + 8, 8, OBJECT_SIZE);
    memcpy(f->bytes + off + 16, OBJECT, OBJECT_SIZE);
}

// --- ELF: header, program headers, object, names, section headers --------------------------------

enum { E_SEGMENTS = 64, E_OBJECT = 120, E_NAMES = 160, E_SECTIONS = 192, E_COUNT = 4, E_END = 192 + 4 * 64 };

static void put_section(struct image *f, unsigned index, uint32_t name, uint32_t type, uint64_t off,
                        uint64_t size)
{
    size_t at = E_SECTIONS + 64u * index;
    put(f, at, 4, name);
    put(f, at + 4, 4, type);
    put(f, at + 24, 8, off);
    put(f, at + 32, 8, size);
}

static void make_elf(struct image *f)
{
    static const char names[] = "\0.ebpfobj\0.bss\0.names";
    *f = (struct image){.size = E_END};
    memcpy(f->bytes,
           "\x7f"
           "ELF\2\1\1",
           7);
    put(f, 16, 2, 3);  // shared object
    put(f, 18, 2, 62); // x86-64
    put(f, 32, 8, E_SEGMENTS);
    put(f, 40, 8, E_SECTIONS);
    put(f, 54, 2, 56);
    put(f, 56, 2, 1);
    put(f, 58, 2, 64);
    put(f, 60, 2, E_COUNT);
    put(f, 62, 2, 3);
    put(f, E_SEGMENTS + 32, 8, E_SECTIONS); // from 0 on
    put_object(f, E_OBJECT);
    memcpy(f->bytes + E_NAMES, names, sizeof(names));
    put_section(f, 1, 1, 1, E_OBJECT, 16 + OBJECT_SIZE);
    put_section(f, 2, 10, 8, 1u << 30, 1u << 30); // nothing of it is in the file
    put_section(f, 3, 15, 3, E_NAMES, sizeof(names));
}

// --- PE: DOS header, PE header with 16 directories, two sections ---------------------------------

enum {
    P_COFF = 68,
    P_OPTIONAL = P_COFF + 20,
    P_DIRECTORIES = P_OPTIONAL + 112,
    P_SECTIONS = P_DIRECTORIES + 16 * 8,
    P_HEADERS = 512,
    P_OBJECT = 1024,
    P_END = 1536,
};

static void make_pe(struct image *f)
{
    *f = (struct image){.size = P_END};
    memcpy(f->bytes, "MZ", 2);
    put(f, 60, 4, 64);
    memcpy(f->bytes + 64, "PE", 2);
    put(f, P_COFF, 2, 0x8664);
    put(f, P_COFF + 2, 2, 2);
    put(f, P_COFF + 16, 2, 112 + 16 * 8);
    put(f, P_OPTIONAL, 2, 0x20b);
    put(f, P_OPTIONAL + 60, 4, P_HEADERS);
    put(f, P_OPTIONAL + 68, 2, 1); // native
    put(f, P_OPTIONAL + 108, 4, 16);
    memcpy(f->bytes + P_SECTIONS, ".bss", 4); // nothing of it is in the file
    put(f, P_SECTIONS + 8, 4, 4096);
    memcpy(f->bytes + P_SECTIONS + 40, ".ebpfobj", 8);
    put(f, P_SECTIONS + 48, 4, 16 + OBJECT_SIZE);
    put(f, P_SECTIONS + 56, 4, 512);
    put(f, P_SECTIONS + 60, 4, P_OBJECT);
    put_object(f, P_OBJECT);
}

// --- what is found -------------------------------------------------------------------------------

// In bytes of exact size, so that a sanitizer sees reads past the end.
static ebpf_result_t try_open(const struct image *f, size_t size, struct elf_module *out,
                              struct elf_error *error)
{
    struct arena arena;
    *error = (struct elf_error){0};
    arena_init(&arena, test_mem_source(), 0);
    uint8_t *bytes = arena_copy(&arena, f->bytes, size);
    ebpf_result_t result = elf_module_open(bytes, size, out, error);
    bool same = result != EBPF_SUCCESS ||
                (out->object_size == OBJECT_SIZE && memcmp(out->object, OBJECT, OBJECT_SIZE) == 0);
    arena_fini(&arena);
    return same ? result : EBPF_FAILED;
}

static void finds_the_object_of_elf(void)
{
    struct image f;
    struct elf_module module;
    struct elf_error error;
    make_elf(&f);
    CHECK_EQ(elf_image_format(f.bytes, f.size), ELF_IMAGE_ELF);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    CHECK_EQ(module.format, ELF_IMAGE_ELF);
    CHECK_STR(elf_image_machine_name(module.machine), "x86_64");
    CHECK(!module.is_driver);
    put(&f, 18, 2, 183);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    CHECK_STR(elf_image_machine_name(module.machine), "arm64");
    put(&f, 18, 2, 243);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    CHECK_STR(elf_image_machine_name(module.machine), "another machine");
}

static void finds_the_object_of_pe(void)
{
    struct image f;
    struct elf_module module;
    struct elf_error error;
    make_pe(&f);
    CHECK_EQ(elf_image_format(f.bytes, f.size), ELF_IMAGE_PE);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    CHECK_EQ(module.format, ELF_IMAGE_PE);
    CHECK_EQ(module.machine, ELF_MACHINE_X86_64);
    CHECK(module.is_driver);
    put(&f, P_OPTIONAL + 68, 2, 3);
    put(&f, P_COFF, 2, 0xaa64);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    CHECK_EQ(module.machine, ELF_MACHINE_ARM64);
    CHECK(!module.is_driver);
}

static void knows_images_by_their_first_bytes(void)
{
    struct image f;
    struct elf_module module;
    struct elf_error error;
    make_elf(&f);
    CHECK_EQ(elf_image_format(f.bytes, 19), ELF_IMAGE_NONE);
    CHECK_EQ(elf_image_format(f.bytes, 20), ELF_IMAGE_ELF);
    put(&f, 16, 2, 1); // relocatable
    CHECK_EQ(elf_image_format(f.bytes, f.size), ELF_IMAGE_NONE);
    put(&f, 16, 2, 3);
    put(&f, 18, 2, 247); // BPF
    CHECK_EQ(elf_image_format(f.bytes, f.size), ELF_IMAGE_NONE);
    CHECK_EQ(elf_image_format("MZ", 2), ELF_IMAGE_PE);
    CHECK_EQ(elf_image_format("M", 1), ELF_IMAGE_NONE);
    CHECK_EQ(elf_image_format("", 0), ELF_IMAGE_NONE);
    CHECK_EQ(elf_module_open("text", 4, &module, &error), EBPF_ELF_PARSING_FAILED);
    CHECK_STR(error.message, "the file is no image");
}

// --- what is wrong -------------------------------------------------------------------------------

struct damage {
    const char *name;
    void (*make)(struct image *f);
    size_t off;
    unsigned width;
    uint64_t value;
    const char *sentence; // a part of it
};

#define SECTION_1 (E_SECTIONS + 64)
static const struct damage damages[] = {
    {"elf of 32 bits", make_elf, 4, 1, 1, "not ELF of 64 bits"},
    {"elf, big endian", make_elf, 5, 1, 2, "not ELF of 64 bits, little endian"},
    {"program headers behind the end", make_elf, 32, 8, E_END, "truncated: its table of program headers"},
    {"program headers at the end of numbers", make_elf, 32, 8, UINT64_MAX - 8, "truncated"},
    {"program headers of another size", make_elf, 54, 2, 32, "program headers have 32"},
    {"segment too long", make_elf, E_SEGMENTS + 32, 8, E_END + 1, "truncated: its program segment"},
    {"segment behind the end", make_elf, E_SEGMENTS + 8, 8, UINT64_MAX, "truncated: its program segment"},
    {"section headers behind the end", make_elf, 40, 8, E_SECTIONS + 1, "truncated: its table of section"},
    {"too many sections", make_elf, 60, 2, 65535, "truncated: its table of section headers"},
    {"section too long", make_elf, SECTION_1 + 32, 8, E_END,
     "truncated: its section (448 bytes at offset 120)"},
    {"no names", make_elf, 62, 2, 0, "no section .ebpfobj"},
    {"names of no section", make_elf, 62, 2, E_COUNT, "no section .ebpfobj"},
    {"name behind the names", make_elf, SECTION_1, 4, 4000, "no section .ebpfobj"},
    {"other name", make_elf, E_NAMES + 1, 1, 'x', "no native module, as `bpftool gen native` makes them"},
    {"longer name", make_elf, E_NAMES + 9, 1, '2', "no section .ebpfobj"},
    {"section without bytes", make_elf, SECTION_1 + 4, 4, 8, "does not start as that of a native module"},
    {"short section", make_elf, SECTION_1 + 32, 8, 15, "does not start as that of a native module"},
    {"other magic", make_elf, E_OBJECT, 1, 'e', "does not start as that of a native module"},
    {"other version", make_elf, E_OBJECT + 7, 1, 2, "of this version"},
    {"object longer than its section", make_elf, E_OBJECT + 8, 8, OBJECT_SIZE + 1, "object of 19 bytes"},
    {"endless object", make_elf, E_OBJECT + 8, 8, UINT64_MAX, "cannot hold an object"},
    {"empty object", make_elf, E_OBJECT + 8, 8, 0, "object of 0 bytes"},
    {"PE header behind the end", make_pe, 60, 4, P_END, "truncated: its PE header"},
    {"image for DOS", make_pe, 64, 1, 'N', "no PE header"},
    {"PE of 32 bits", make_pe, P_OPTIONAL, 2, 0x10b, "not PE of 64 bits"},
    {"short optional header", make_pe, P_COFF + 16, 2, 111, "not PE of 64 bits"},
    {"long optional header", make_pe, P_COFF + 16, 2, 4096, "truncated"},
    {"headers behind the end", make_pe, P_OPTIONAL + 60, 4, P_END + 1, "truncated: its headers"},
    {"many sections", make_pe, P_COFF + 2, 2, 40, "truncated: its table of sections"},
    {"PE section too long", make_pe, P_SECTIONS + 56, 4, 513, "truncated: its section (513 bytes at offset"},
    {"PE section behind the end", make_pe, P_SECTIONS + 60, 4, UINT32_MAX, "truncated: its section"},
    {"other PE name", make_pe, P_SECTIONS + 47, 1, 'x', "no section .ebpfobj"},
    {"fewer sections", make_pe, P_COFF + 2, 2, 1, "no section .ebpfobj"},
    {"other PE magic", make_pe, P_OBJECT, 1, 'e', "does not start as that of a native module"},
    {"object longer than its PE section", make_pe, P_OBJECT + 8, 8, 497, "object of 497 bytes"},
    {"symbols behind the end", make_pe, P_COFF + 8, 4, P_END - 3, "truncated: its symbol table"},
    {"many symbols", make_pe, P_COFF + 8, 8, UINT64_C(0xffffffff00000400), "truncated: its symbol table"},
    {"long names of symbols", make_pe, P_COFF + 8, 4, P_OBJECT, "truncated: its table of symbols' names"},
    {"signature behind the end", make_pe, P_DIRECTORIES + 32, 8, UINT64_C(8) << 32 | P_END,
     "truncated: its signature (8 bytes at offset 1536)"},
};

static void refuses_damage(const void *row)
{
    const struct damage *d = row;
    struct image f;
    struct elf_module module;
    struct elf_error error;
    d->make(&f);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    put(&f, d->off, d->width, d->value);
    CHECK_EQ(try_open(&f, f.size, &module, &error), EBPF_ELF_PARSING_FAILED);
    if (strstr(error.message, d->sentence) == NULL) {
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", error.message, d->sentence);
    }
}

static void refuses_every_prefix_of(void (*make)(struct image *f))
{
    struct image f;
    struct elf_module module;
    struct elf_error error;
    make(&f);
    for (size_t size = 0; size < f.size; size++) {
        CHECK_EQ(try_open(&f, size, &module, &error), EBPF_ELF_PARSING_FAILED);
        CHECK(error.message[0] != '\0');
    }
}

static void refuses_every_prefix(void)
{
    refuses_every_prefix_of(make_elf);
    refuses_every_prefix_of(make_pe);
}

// A signature follows, and may be whole.
static void accepts_what_follows(void)
{
    struct image f;
    struct elf_module module;
    struct elf_error error;
    make_pe(&f);
    put(&f, P_DIRECTORIES + 32, 4, P_END);
    put(&f, P_DIRECTORIES + 36, 4, 8);
    f.size += 8;
    CHECK_OK(try_open(&f, f.size, &module, &error));
    put(&f, P_OPTIONAL + 108, 4, 4); // directories that there are not
    put(&f, P_DIRECTORIES + 36, 4, 9);
    CHECK_OK(try_open(&f, f.size, &module, &error));
}

static void no_changed_byte_does_harm(void)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    struct image f;
    struct elf_module module;
    struct elf_error error;
    for (size_t i = 0; i < E_END * ARRAY_SIZE(values); i++) {
        make_elf(&f);
        f.bytes[i / ARRAY_SIZE(values)] = values[i % ARRAY_SIZE(values)];
        ebpf_result_t result = try_open(&f, f.size, &module, &error);
        CHECK(result == EBPF_SUCCESS || result == EBPF_FAILED || error.message[0] != '\0');
    }
    for (size_t i = 0; i < P_HEADERS * ARRAY_SIZE(values); i++) {
        make_pe(&f);
        f.bytes[i / ARRAY_SIZE(values)] = values[i % ARRAY_SIZE(values)];
        ebpf_result_t result = try_open(&f, f.size, &module, &error);
        CHECK(result == EBPF_SUCCESS || result == EBPF_FAILED || error.message[0] != '\0');
    }
}

// Loaders of processes look at it.
static void writable_code_is_seen(void)
{
    struct image f;
    struct elf_module module;
    struct elf_error error;
    make_elf(&f);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    CHECK(module.writable_code); // nothing is said of the stack
    put(&f, E_SEGMENTS, 4, 0x6474e551);
    put(&f, E_SEGMENTS + 4, 4, 6);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    CHECK(!module.writable_code);
    put(&f, E_SEGMENTS + 4, 4, 7);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    CHECK(module.writable_code);
    make_pe(&f);
    put(&f, P_SECTIONS + 36, 4, 0xc0000000);
    put(&f, P_SECTIONS + 76, 4, 0x60000000);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    CHECK(!module.writable_code);
    put(&f, P_SECTIONS + 36, 4, 0xe0000000);
    CHECK_OK(try_open(&f, f.size, &module, &error));
    CHECK(module.writable_code);
}

TEST_SUITE(elf_module)
{
    RUN(finds_the_object_of_elf);
    RUN(finds_the_object_of_pe);
    RUN(knows_images_by_their_first_bytes);
    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        RUN_WITH(damages[i].name, refuses_damage, &damages[i]);
    }
    RUN(refuses_every_prefix);
    RUN(accepts_what_follows);
    RUN(no_changed_byte_does_harm);
    RUN(writable_code_is_seen);
}
