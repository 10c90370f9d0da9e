// SPDX-License-Identifier: MIT
// Malformed objects: good ones of tests/elf with a few bytes changed, each with the section and the reason
// that the error has to name; then every truncation and every changed byte of small objects, which may do
// anything but harm.
#include "elf/elf_testing.h"

// What a patch is relative to. Fields of headers are offsets in bytes, as the ELF specification lists them.
enum place {
    PLACE_END, // no patch
    EHDR,      // the file
    SHDR,      // the header of section `target`
    SYM,       // the symbol `target`
    REL,       // relocation `index` of section `target`
    BYTES,     // the bytes of section `target`
    TEXT,      // the first occurrence of `find` in section `target`
};
enum { SH_NAME = 0, SH_TYPE = 4, SH_OFFSET = 24, SH_SIZE = 32, SH_LINK = 40, SH_INFO = 44 };
enum { ST_NAME = 0, ST_INFO = 4, ST_SHNDX = 6, ST_VALUE = 8, ST_SIZE = 16 };
enum { R_OFFSET = 0, R_TYPE = 8, R_SYM = 12 };

struct patch {
    enum place place;
    const char *target;
    uint32_t index; // of a relocation
    uint32_t off, width;
    uint64_t value;
    const char *find; // TEXT
};

struct malformed {
    const char *name, *object;
    struct patch patches[2];
    ebpf_result_t result;
    const char *section, *reason;
};

static uint64_t get(const struct test_file *f, uint64_t off, uint32_t width)
{
    uint64_t value = 0;
    for (uint32_t i = width; i-- > 0 && off + i < f->size;) {
        value = value << 8 | f->bytes[off + i];
    }
    return value;
}

static bool put(struct test_file *f, uint64_t off, uint32_t width, uint64_t value)
{
    for (uint32_t i = 0; i < width; i++) {
        if (off + i >= f->size) {
            return false;
        }
        f->bytes[off + i] = (uint8_t)(value >> 8 * i);
    }
    return true;
}

// Offset of the header of the section with this name; 0 if there is none.
static uint64_t find_section(const struct test_file *f, const char *name)
{
    uint64_t headers = get(f, 40, 8), count = get(f, 60, 2);
    uint64_t names = get(f, headers + 64 * get(f, 62, 2) + SH_OFFSET, 8);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t header = headers + 64 * i;
        if (strcmp((const char *)f->bytes + names + get(f, header, 4), name) == 0) {
            return header;
        }
    }
    return 0;
}

static uint64_t find_symbol(const struct test_file *f, const char *name)
{
    uint64_t symtab = find_section(f, ".symtab");
    uint64_t strings = get(f, get(f, 40, 8) + 64 * get(f, symtab + SH_LINK, 4) + SH_OFFSET, 8);
    uint64_t from = get(f, symtab + SH_OFFSET, 8), size = get(f, symtab + SH_SIZE, 8);
    for (uint64_t off = from; off < from + size; off += 24) {
        if (strcmp((const char *)f->bytes + strings + get(f, off, 4), name) == 0) {
            return off;
        }
    }
    return 0;
}

static uint64_t find_text(const struct test_file *f, uint64_t header, const char *text)
{
    uint64_t from = get(f, header + SH_OFFSET, 8), size = get(f, header + SH_SIZE, 8), length = strlen(text);
    for (uint64_t off = from; off + length <= from + size; off++) {
        if (memcmp(f->bytes + off, text, length) == 0) {
            return off;
        }
    }
    return 0;
}

static bool apply_patch(struct test_file *f, const struct patch *p)
{
    uint64_t base = 0, header = p->target != NULL ? find_section(f, p->target) : 0;
    switch (p->place) {
    case PLACE_END: return true;
    case EHDR: return put(f, p->off, p->width, p->value);
    case SHDR: base = header; break;
    case SYM: base = find_symbol(f, p->target); break;
    case REL: base = header != 0 ? get(f, header + SH_OFFSET, 8) + 16 * p->index : 0; break;
    case BYTES: base = header != 0 ? get(f, header + SH_OFFSET, 8) : 0; break;
    case TEXT: base = header != 0 ? find_text(f, header, p->find) : 0; break;
    }
    return base != 0 && put(f, base + p->off, p->width, p->value);
}

#define MALFORMED     EBPF_ELF_PARSING_FAILED
#define NOT_SUPPORTED EBPF_OPERATION_NOT_SUPPORTED
#define NONE          {.place = PLACE_END}
#define FIND(section, text, byte)                                                                            \
    {.place = TEXT, .target = (section), .width = 1, .value = (byte), .find = (text)}
#define AT(where, at_target, at_index, at_off, at_width, at_value)                                           \
    {(where), (at_target), (at_index), (at_off), (at_width), (at_value), NULL}
#define ROW(name, object, first, second, result, section, reason)                                            \
    {name, object, {first, second}, result, section, reason},

static const struct malformed rows[] = {
#include "elf/malformed.def"
};

static void malformed_case(const struct malformed *row)
{
    struct test_file file = test_file_read(row->object, ".o");
    struct elf_options options = test_options();
    struct test_object o, target;
    bool has_target = strcmp(row->object, "core") == 0;
    REQUIRE(file.bytes != NULL);
    if (has_target) {
        test_open_target(&target, "core_target", &options);
    }
    for (size_t i = 0; i < ARRAY_SIZE(row->patches); i++) {
        CHECK(apply_patch(&file, &row->patches[i]));
    }
    test_open(&o, file.bytes, file.size, &options);
    CHECK_EQ(o.result, row->result);
    CHECK_STR(o.error.section, row->section);
    if (strstr(o.error.message, row->reason) == NULL) {
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", o.error.message, row->reason);
    }
    test_close(&o);
    if (has_target) {
        test_close(&target);
    }
    free(file.bytes);
}

// Opens any bytes; what opens must also have canonical programs, or say why not.
static ebpf_result_t try_bytes(const uint8_t *bytes, size_t size, const struct elf_options *options)
{
    struct test_object o;
    test_open(&o, bytes, size, options);
    for (uint32_t i = 0; o.result == EBPF_SUCCESS && i < o.object.program_count; i++) {
        struct program p;
        uint32_t map_of[SPEC_MAX_MAPS];
        const struct elf_program *ep = &o.object.programs[i];
        o.result = elf_program_canonical(&o.object, i, options->spec, test_prog_type(ep),
                                         ep->likely_attach_type, &o.arena, &p, map_of, &o.error);
    }
    CHECK(o.result == EBPF_SUCCESS || o.error.message[0] != 0);
    ebpf_result_t result = o.result;
    test_close(&o);
    return result;
}

static void truncated(void)
{
    struct elf_options options = test_options();
    struct test_file file = test_file_read("rich", ".o");
    REQUIRE(file.bytes != NULL);
    for (size_t size = 0; size < file.size; size += size < 64 ? 1 : 23) {
        uint8_t *exact = malloc(size != 0 ? size : 1);
        REQUIRE(exact != NULL);
        memcpy(exact, file.bytes, size);
        CHECK(try_bytes(exact, size, &options) != EBPF_SUCCESS); // the section headers are at the end
        free(exact);
    }
    free(file.bytes);
}

// Every byte becomes each of `count` values in turn.
static void change_bytes(const char *name, const struct elf_options *options, size_t count)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct test_file file = test_file_read(name, ".o");
    REQUIRE(file.bytes != NULL);
    CHECK_OK(try_bytes(file.bytes, file.size, options));
    for (size_t at = 0; at < file.size; at++) {
        uint8_t kept = file.bytes[at];
        for (size_t i = 0; i < count; i++) {
            file.bytes[at] = values[(at + i) % ARRAY_SIZE(values)];
            ebpf_result_t result = try_bytes(file.bytes, file.size, options);
            CHECK(result == EBPF_SUCCESS || result == EBPF_ELF_PARSING_FAILED ||
                  result == EBPF_OPERATION_NOT_SUPPORTED);
        }
        file.bytes[at] = kept;
    }
    free(file.bytes);
}

static void changed_bytes(const char *name)
{
    struct elf_options options = test_options();
    change_bytes(name, &options, 5);
}

// The larger objects, with types that CO-RE relocations are resolved against.
static void changed_core_bytes(const char *name)
{
    struct elf_options options = test_options();
    struct test_object target;
    test_open_target(&target, "core_target", &options);
    change_bytes(name, &options, 1);
    test_close(&target);
}

// Any bytes as the types that CO-RE relocations are resolved against: an error, or an object.
static void changed_target(void)
{
    static const uint8_t values[] = {0x00, 0x01, 0x03, 0x80, 0xff};
    struct test_file file = test_file_read("core", ".o");
    struct elf_options options = test_options();
    struct test_object target, o;
    unsigned opened = 0;
    REQUIRE(file.bytes != NULL);
    test_open_target(&target, "core_target", &options);
    uint8_t *bytes = malloc(options.target_btf_size);
    REQUIRE(bytes != NULL);
    memcpy(bytes, options.target_btf, options.target_btf_size);
    options.target_btf = bytes;
    for (size_t at = 0; at < options.target_btf_size; at++) {
        uint8_t kept = bytes[at];
        bytes[at] = values[at % ARRAY_SIZE(values)];
        test_open(&o, file.bytes, file.size, &options);
        opened += o.result == EBPF_SUCCESS;
        CHECK(o.result == EBPF_SUCCESS || strstr(o.error.message, "the BTF to relocate against") != NULL);
        test_close(&o);
        bytes[at] = kept;
    }
    CHECK(opened > 100 && opened < options.target_btf_size);
    free(bytes);
    test_close(&target);
    free(file.bytes);
}

// An ELF file's .BTF does as well; one without, or with headers that lead nowhere, is an error.
static void target_in_an_object(void)
{
    struct test_file file = test_file_read("core", ".o"), target = test_file_read("core_target", ".o");
    struct elf_options options = test_options();
    struct test_object o;
    unsigned opened = 0;
    REQUIRE(file.bytes != NULL && target.bytes != NULL);
    options.target_btf = target.bytes;
    options.target_btf_size = target.size;
    test_open(&o, file.bytes, file.size, &options);
    CHECK_OK(o.result);
    CHECK_EQ(o.object.programs[0].insns[0].off, 32); // struct outer.a
    test_close(&o);
    for (size_t at = 6; at < target.size; at += at < 64 || at > target.size - 2048 ? 1 : 37) {
        target.bytes[at] ^= 0xff;
        test_open(&o, file.bytes, file.size, &options);
        opened += o.result == EBPF_SUCCESS;
        CHECK(o.result == EBPF_SUCCESS || strstr(o.error.message, "the BTF to relocate against") != NULL);
        test_close(&o);
        target.bytes[at] ^= 0xff;
    }
    CHECK(opened > 100);
    free(target.bytes);
    free(file.bytes);
}

// An object larger than the limit is refused before anything is read.
static void oversized(void)
{
    struct elf_options options = test_options();
    struct test_object o;
    test_open(&o, "", (size_t)65 << 20, &options);
    CHECK_EQ(o.result, EBPF_ELF_PARSING_FAILED);
    CHECK(strstr(o.error.message, "the limit is") != NULL);
    test_close(&o);
}

// A message is one printable line whatever the object's names hold.
static void names_are_made_printable(void)
{
    struct test_file file = test_file_read("rich", ".o");
    struct elf_options options = test_options();
    struct test_object o;
    REQUIRE(file.bytes != NULL);
    uint64_t strings = find_section(&file, ".BTF");
    uint64_t name = find_text(&file, strings, "max_entries");
    REQUIRE(name != 0);
    file.bytes[name] = '\n';
    file.bytes[name + 1] = 0x1b;
    test_open(&o, file.bytes, file.size, &options);
    CHECK_EQ(o.result, EBPF_ELF_PARSING_FAILED);
    CHECK(strstr(o.error.message, "'?"
                                  "?x_entries'") != NULL);
    test_close(&o);
    free(file.bytes);
}

TEST_SUITE(elf_malformed)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        RUN_WITH(rows[i].name, malformed_case, &rows[i]);
    }
    RUN(truncated);
    RUN(oversized);
    RUN(names_are_made_printable);
    RUN(changed_target);
    RUN(target_in_an_object);
    RUN_WITH("changed bytes: facts", changed_core_bytes, "facts");
    RUN_WITH("changed bytes: core", changed_core_bytes, "core");
    RUN_WITH("changed bytes: legacy_36", changed_bytes, "legacy_36");
    RUN_WITH("changed bytes: nested", changed_bytes, "nested");
    RUN_WITH("changed bytes: legacy_gcc", changed_bytes, "legacy_gcc");
}
