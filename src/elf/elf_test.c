// SPDX-License-Identifier: MIT
// Whole objects: each of tests/elf is described as text and compared with the .txt beside it. EBPF_REBASE=1
// in the environment writes these files instead; review the difference.
#include "elf/elf_testing.h"

enum { TEXT_SIZE = 1 << 16 };

struct text {
    char *data;
    size_t used;
};

static void say(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    t->used += str_vformat(t->data + t->used, TEXT_SIZE - t->used, fmt, args);
    va_end(args);
    if (t->used >= TEXT_SIZE) {
        t->used = TEXT_SIZE - 1;
    }
}

static void say_map(struct text *t, const struct elf_map *m)
{
    static const char *const kinds[] = {"user", "rodata", "data", "bss", "kconfig"};
    say(t, "map %s: %s in %s, type %s (%u), key %u, value %u, entries %u, flags 0x%x, pinning %u%s\n",
        m->def.name, kinds[m->kind], m->section,
        m->def.type != MAP_TYPE_NONE ? spec_builtin()->map_types[m->def.type].name : "?", m->def.number,
        m->def.key_size, m->def.value_size, m->def.max_entries, m->def.flags, m->pinning,
        m->legacy                ? ", legacy"
        : m->btf_value_type != 0 ? ", BTF"
                                 : "");
    if (m->initial == NULL) {
        return;
    }
    say(t, " ");
    for (uint32_t i = 0; i < m->def.value_size; i++) {
        say(t, " %02x", m->initial[i]);
    }
    say(t, "\n");
}

static void say_facts(struct text *t, const struct program *p, uint32_t map)
{
    static const char *const kinds[] = {"none", "lock", "timer", "work queue", "kernel pointer", "closed"};
    const struct map_facts *facts = &p->map_facts[map];
    say(t, "  map %u: %s", map, p->maps[map].name);
    if (facts->has_inner) {
        say(t, ", inner maps like %u (key %u, value %u)", facts->inner, p->maps[facts->inner].key_size,
            p->maps[facts->inner].value_size);
    }
    for (uint32_t i = 0; i < facts->field_count; i++) {
        const struct map_field *f = &facts->fields[i];
        say(t, ", %s [%u, %u)", kinds[f->kind], f->off, f->off + f->size);
    }
    say(t, "%s\n", facts->contents != NULL ? ", constant" : "");
}

static void say_contract(struct text *t, const struct func_contract *c)
{
    static const char *const kinds[] = {"",        " number", " context", " memory", " memory (not null)",
                                        " unknown"};
    say(t, "    contract: %s%s", !c->known ? "unknown" : c->returns_void ? "void" : "number", " from");
    for (size_t i = 0; i < ARRAY_SIZE(c->args); i++) {
        say(t, "%s", kinds[c->args[i].kind]);
        if (c->args[i].size != 0) {
            say(t, " of %u", c->args[i].size);
        }
    }
    say(t, "\n");
}

static void say_insn(struct text *t, const struct program *p, const struct insn *in, uint32_t pc)
{
    char line[128];
    const struct line *where = program_line(p, pc);
    const char *poison = program_poison(p, in);
    if (poison != NULL) {
        say(t, "    %3u: poison: %s\n", pc, poison);
        return;
    }
    insn_print(in, line, sizeof(line));
    if (where != NULL && where->pc == pc) {
        say(t, "    %3u: %-36s ; %s:%u:%u %s\n", pc, line, program_string(p, where->file_off), where->line,
            where->column, program_string(p, where->text_off));
    } else {
        say(t, "    %3u: %s\n", pc, line);
    }
}

static void say_func(struct text *t, const struct program *p, const struct func *f)
{
    say(t, "  %s function %s\n", f->global != 0 ? "global" : "static", f->name);
    if (f->global != 0 && p->contracts != NULL) {
        say_contract(t, &p->contracts[f - p->funcs]);
    }
    for (uint32_t pc = f->start; pc < f->end; pc += insn_slots(&p->insns[pc])) {
        say_insn(t, p, &p->insns[pc], pc);
    }
}

static void say_program(struct text *t, struct test_object *o, uint32_t index)
{
    const struct elf_program *ep = &o->object.programs[index];
    struct program p;
    uint32_t map_of[SPEC_MAX_MAPS], bad_pc;
    const char *why;
    say(t, "program %s: section %s%s%s, attach type %s\n", ep->name, ep->section,
        ep->autoload ? "" : " (not loaded)", ep->sleepable ? " (sleepable)" : "",
        ep->attach_type != ATTACH_TYPE_NONE ? spec_builtin()->attach_types[ep->attach_type].name : "none");
    if (ep->likely_attach_type != ep->attach_type) {
        say(t, "  %slikely %s\n", ep->is_function ? "a function, " : "",
            spec_builtin()->attach_types[ep->likely_attach_type].name);
    }
    REQUIRE_OK(elf_program_canonical(&o->object, index, spec_builtin(), test_prog_type(ep),
                                     ep->likely_attach_type, &o->arena, &p, map_of, &o->error));
    CHECK_OK(program_check(spec_builtin(), &p, &bad_pc, &why));
    CHECK_STR(p.name, ep->name);
    CHECK_STR(p.section, ep->section);
    CHECK_STR(p.license, o->object.license);
    for (uint32_t i = 0; i < p.map_count; i++) {
        CHECK_STR(p.maps[i].name, o->object.maps[map_of[i]].def.name);
        say_facts(t, &p, i);
    }
    for (uint32_t i = 0; i < p.func_count; i++) {
        say_func(t, &p, &p.funcs[i]);
    }
}

static void describe(struct text *t, struct test_object *o)
{
    if (o->result != EBPF_SUCCESS) {
        say(t, "%s [%s] %s\n", result_row(o->result)->name, o->error.section, o->error.message);
        return;
    }
    say(t, "%s, licence \"%s\", kernel version 0x%x, %s\n",
        o->object.dialect == DIALECT_LINUX ? "linux" : "windows", o->object.license, o->object.kernel_version,
        o->object.btf != NULL ? "BTF" : "no BTF");
    for (uint32_t i = 0; i < o->object.map_count; i++) {
        say_map(t, &o->object.maps[i]);
    }
    for (uint32_t i = 0; i < o->object.program_count; i++) {
        say_program(t, o, i);
    }
}

// Reports the first line that differs.
static void compare(const char *name, const struct text *t, const struct test_file *golden)
{
    size_t line = 1, start = 0, i = 0;
    while (i < t->used && i < golden->size && t->data[i] == (char)golden->bytes[i]) {
        if (t->data[i++] == '\n') {
            line++;
            start = i;
        }
    }
    if (i != t->used || i != golden->size) {
        size_t end = start;
        while (end < t->used && t->data[end] != '\n') {
            end++;
        }
        test_fail(__FILE__, __LINE__, "%s.txt line %zu differs; now: %.*s", name, line, (int)(end - start),
                  t->data + start);
    }
}

static void rebase(const char *name, const struct text *t)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/tests/elf/%s.txt", TEST_SOURCE_DIR, name);
    FILE *stream = fopen(path, "wb");
    REQUIRE(stream != NULL);
    fwrite(t->data, 1, t->used, stream);
    fclose(stream);
}

struct golden {
    const char *object, *text; // of tests/elf
    const char *target;        // object whose BTF CO-RE relocations are resolved against, or NULL
    const char *kconfig;
};

static void golden_case(const struct golden *row)
{
    struct test_file file = test_file_read(row->object, ".o");
    struct text t = {.data = malloc(TEXT_SIZE)};
    struct test_object o, target = {.result = EBPF_FAILED};
    struct elf_options options = test_options();
    const char *name = row->text;
    REQUIRE(file.bytes != NULL && t.data != NULL);
    if (row->target != NULL) {
        test_open_target(&target, row->target, &options);
    }
    options.kconfig = row->kconfig;
    test_open(&o, file.bytes, file.size, &options);
    memset(file.bytes, 0xee, file.size); // nothing may refer to the object's bytes any more
    free(file.bytes);
    describe(&t, &o);
    if (getenv("EBPF_REBASE") != NULL) {
        rebase(name, &t);
    }
    struct test_file golden = test_file_read(name, ".txt");
    if (golden.bytes != NULL) {
        compare(name, &t, &golden);
    }
    free(golden.bytes);
    free(t.data);
    test_close(&o);
    if (row->target != NULL) {
        test_close(&target);
    }
    CHECK_EQ(test_mem_live(), 0);
}

struct dialect_row {
    const char *name, *object;
    bool given;
    enum dialect asked, platform, expected;
};

static void dialect_case(const struct dialect_row *row)
{
    struct test_file file = test_file_read(row->object, ".o");
    struct elf_options options = test_options();
    struct test_object o;
    REQUIRE(file.bytes != NULL);
    options.dialect_given = row->given;
    options.dialect = row->asked;
    options.platform_default = row->platform;
    test_open(&o, file.bytes, file.size, &options);
    CHECK_OK(o.result);
    CHECK_EQ(o.object.dialect, row->expected);
    test_close(&o);
    free(file.bytes);
}

static void dialects(void)
{
    const enum dialect L = DIALECT_LINUX, W = DIALECT_WINDOWS;
    const struct dialect_row rows[] = {
        {"platform Linux", "neutral", false, L, L, L},
        {"platform Windows", "neutral", false, L, W, W},
        {"asked for Windows", "neutral", true, W, L, W},
        {"Windows section", "windows_mark", false, L, L, W},
        {"asked for Linux beats section", "windows_mark", true, L, W, L},
        {"Windows context type", "windows_context", false, L, L, W},
        {"Linux context type", "rich", false, L, W, L},
        {"context type without function information", "rich_gcc", false, L, W, L},
        {"section of one dialect", "windows_section", false, L, L, W},
        {"section that starts like one of Windows", "windows_prefix", false, L, L, L},
        {"the same on Windows", "windows_prefix", false, L, W, W},
        {"context type of Rust", "rust", false, L, W, L},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        RUN_WITH(rows[i].name, dialect_case, &rows[i]);
    }
}

static void windows_definitions(void)
{
    struct test_file file = test_file_read("legacy_32", ".o");
    struct elf_options options = test_options();
    struct test_object o;
    REQUIRE(file.bytes != NULL);
    options.dialect_given = true;
    options.dialect = DIALECT_WINDOWS;
    test_open(&o, file.bytes, file.size, &options);
    REQUIRE_OK(o.result);
    REQUIRE(o.object.map_count == 3); // and .rodata.cst16
    CHECK_STR(o.object.maps[0].def.name, "first");
    CHECK_EQ(o.object.maps[0].pinning, 1);
    CHECK_EQ(o.object.maps[0].def.max_entries, 16);
    CHECK_EQ(o.object.maps[1].pinning, 0);
    CHECK_EQ(o.object.maps[1].def.flags, 0); // word 4 is an index there
    test_close(&o);
    free(file.bytes);
}

static void helper_numbers(void)
{
    struct test_file file = test_file_read("windows_mark", ".o");
    struct elf_options options = test_options();
    struct program p;
    uint32_t map_of[SPEC_MAX_MAPS];
    REQUIRE(file.bytes != NULL);
    for (unsigned d = 0; d < DIALECT_COUNT; d++) {
        struct test_object o;
        options.dialect_given = true;
        options.dialect = (enum dialect)d;
        test_open(&o, file.bytes, file.size, &options);
        REQUIRE_OK(o.result);
        REQUIRE_OK(elf_program_canonical(&o.object, 0, spec_builtin(), PROG_TYPE_XDP, ATTACH_TYPE_XDP,
                                         &o.arena, &p, map_of, &o.error));
        int64_t expected =
            d == DIALECT_LINUX ? HELPER_GET_PRANDOM_U32 : HELPER_KTIME_GET_BOOT_NS; // both are 7
        bool found = false;
        for (uint32_t pc = 0; pc < p.insn_count; pc++) {
            found = found || (p.insns[pc].id == INSN_CALL && p.insns[pc].imm == expected);
        }
        CHECK(found);
        test_close(&o);
    }
    free(file.bytes);
}

static void canonical_refuses_unknown_type(void)
{
    struct test_file file = test_file_read("text", ".o");
    struct elf_options options = test_options();
    struct program p;
    uint32_t map_of[SPEC_MAX_MAPS];
    struct test_object o;
    REQUIRE(file.bytes != NULL);
    test_open(&o, file.bytes, file.size, &options);
    REQUIRE_OK(o.result);
    CHECK_EQ(elf_program_canonical(&o.object, 0, spec_builtin(), PROG_TYPE_NONE, ATTACH_TYPE_NONE, &o.arena,
                                   &p, map_of, &o.error),
             EBPF_ELF_PARSING_FAILED);
    CHECK_STR(o.error.section, ".text");
    CHECK(o.error.message[0] != 0);
    test_close(&o);
    free(file.bytes);
}

// Sizes and offsets of DATASECs, which gcc leaves zero, are filled in the BTF that is handed out.
static void datasec_is_filled(void)
{
    struct test_file file = test_file_read("rich_gcc", ".o");
    struct elf_options options = test_options();
    struct test_object o;
    REQUIRE(file.bytes != NULL);
    test_open(&o, file.bytes, file.size, &options);
    REQUIRE_OK(o.result);
    uint32_t changed = 0;
    bool same_size = false;
    for (size_t i = 0; i + o.object.btf_size <= file.size && !same_size; i++) {
        if (memcmp(file.bytes + i, o.object.btf, 24) == 0) { // the header
            same_size = true;
            for (uint32_t k = 0; k < o.object.btf_size; k++) {
                changed += file.bytes[i + k] != o.object.btf[k];
            }
        }
    }
    CHECK(same_size);
    CHECK(changed > 8); // sizes of 7 sections, offsets of variables that are not the first
    test_close(&o);
    free(file.bytes);
}

static uint32_t word_at(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

// Position of .BTF.ext in the file: the second occurrence of the magic number, version and flags.
static uint8_t *find_ext(const struct test_file *file)
{
    static const uint8_t start[4] = {0x9f, 0xeb, 1, 0};
    int found = 0;
    for (size_t i = 0; i + 32 <= file->size; i++) {
        if (memcmp(file->bytes + i, start, 4) == 0 && ++found == 2) {
            return file->bytes + i;
        }
    }
    return NULL;
}

// The first instruction of a function without a line of its own has none, not the last one of the function
// before it.
static void lines_stay_in_their_function(void)
{
    struct test_file file = test_file_read("rich", ".o");
    struct elf_options options = test_options();
    struct test_object o;
    REQUIRE(file.bytes != NULL);
    uint8_t *ext = find_ext(&file);
    REQUIRE(ext != NULL);
    // Behind the record size and the group's header.
    uint8_t *record = ext + word_at(ext + 4) + word_at(ext + 16) + 4 + 8;
    REQUIRE(word_at(record) == 0); // start of .text: function scale
    record[0] = 8;
    test_open(&o, file.bytes, file.size, &options);
    REQUIRE_OK(o.result);
    const struct elf_program *p = &o.object.programs[0];
    const struct line *found = NULL;
    CHECK_STR(p->funcs[1].name, "scale");
    for (uint32_t i = 0; i < p->line_count; i++) {
        found = p->lines[i].pc == p->funcs[1].start ? &p->lines[i] : found;
    }
    CHECK(found != NULL && found->line == 0);
    test_close(&o);
    free(file.bytes);
}

// Memory runs out at every point: by a limit of the arena that grows until it is enough.
static void memory_case(const char *name)
{
    struct test_file file = test_file_read(name, ".o");
    struct elf_options options = test_options();
    struct test_object target;
    REQUIRE(file.bytes != NULL);
    test_open_target(&target, "core_target", &options);
    unsigned long live = test_mem_live();
    ebpf_result_t result = EBPF_NO_MEMORY;
    for (size_t limit = 64; result != EBPF_SUCCESS && limit < 1u << 20; limit += 160) {
        struct arena arena;
        struct elf_object object;
        struct elf_error error = {0};
        struct program p;
        uint32_t map_of[SPEC_MAX_MAPS];
        arena_init(&arena, test_mem_source(), limit);
        result = elf_open(file.bytes, file.size, &options, &arena, &object, &error);
        if (result == EBPF_SUCCESS) {
            result = elf_program_canonical(&object, 0, options.spec, PROG_TYPE_RAW_MEMORY, ATTACH_TYPE_NONE,
                                           &arena, &p, map_of, &error);
        }
        if (result != EBPF_SUCCESS) {
            CHECK_EQ(result, EBPF_NO_MEMORY);
            CHECK(error.message[0] != 0);
        }
        arena_fini(&arena);
        CHECK_EQ(test_mem_live(), live);
    }
    CHECK_OK(result);
    test_close(&target);
    free(file.bytes);
}

TEST_SUITE(elf)
{
    static const char *const objects[] = {
        "rich",      "rich_v1",      "rich_v4",         "rich_14",         "rich_gcc",       "rust",
        "legacy_16", "legacy_20",    "legacy_24",       "legacy_32",       "legacy_36",      "legacy_gcc",
        "neutral",   "windows_mark", "windows_context", "windows_section", "windows_prefix", "text",
        "nested",    "shared",       "labels",          "extern_weak",     "extern",         "big_endian",
        "core",      "facts",        "legacy_inner_28", "legacy_inner_36", "externs",        "sections",
        "contexts",
    };
    static const struct golden configured[] = {
        {"core", "core_against", "core_target", NULL},
        {"extern", "extern_known", NULL, "CONFIG_HZX=1\nCONFIG_HZ=250\n"},
        {"externs", "externs_known", NULL,
         "LINUX_KERNEL_VERSION=0x60800\nCONFIG_BOOL=y\nCONFIG_TRISTATE=m\nCONFIG_LETTER=n\n"
         "CONFIG_WIDE=-2\nCONFIG_NAME=\"longer than 8\""},
        {"externs", "externs_wrong", NULL,
         "LINUX_KERNEL_VERSION=\nCONFIG_BOOL=m\nCONFIG_TRISTATE=maybe\nCONFIG_WIDE=99999999999999999999\n"
         "CONFIG_NAME=unquoted"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
        struct golden row = {objects[i], objects[i], NULL, NULL};
        RUN_WITH(objects[i], golden_case, &row);
    }
    for (size_t i = 0; i < ARRAY_SIZE(configured); i++) {
        RUN_WITH(configured[i].text, golden_case, &configured[i]);
    }
    dialects();
    RUN(windows_definitions);
    RUN(helper_numbers);
    RUN(canonical_refuses_unknown_type);
    RUN(datasec_is_filled);
    RUN(lines_stay_in_their_function);
    RUN_WITH("memory runs out: rich", memory_case, "rich");
    RUN_WITH("memory runs out: gcc", memory_case, "legacy_gcc");
    RUN_WITH("memory runs out: CO-RE", memory_case, "core");
    RUN_WITH("memory runs out: facts", memory_case, "facts");
    RUN_WITH("memory runs out: extern", memory_case, "extern_weak");
}
