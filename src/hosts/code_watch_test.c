// SPDX-License-Identifier: MIT
// Tests of what profilers and debuggers are told.
#include "hosts/code_watch.h"

#include <stdio.h>
#include <stdlib.h>
#if !defined(_WIN32)
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "tests/test.h"

static const uint8_t code[32] = {0xc3};
static const struct code_notice born = {"count", 7, code, sizeof(code), false};
static const struct code_notice gone = {"count", 7, code, sizeof(code), true};

static uint64_t word(const uint8_t *file, size_t off, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, file + off, size);
    return value;
}

// Looks at the file as a reader of ELF does: section headers, the symbol table, its strings.
static void the_object_has_one_symbol(void)
{
    uint8_t file[1024];
    size_t size = code_watch_make_object(&born, file, sizeof(file));
    REQUIRE(size != 0);
    CHECK_EQ(memcmp(file,
                    "\x7f"
                    "ELF\x02\x01\x01",
                    7),
             0);
    uint64_t sections = word(file, 40, 8), count = word(file, 60, 2), symbols = 0, strings = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = sections + i * 64, type = word(file, at + 4, 4);
        if (type == 8) { // the code itself
            CHECK_EQ(word(file, at + 16, 8), (uintptr_t)code);
            CHECK_EQ(word(file, at + 32, 8), sizeof(code));
        }
        symbols = type == 2 ? word(file, at + 24, 8) : symbols;
        strings = type == 3 ? word(file, at + 24, 8) : strings;
    }
    REQUIRE(symbols != 0 && strings != 0);
    CHECK_STR((const char *)file + strings + word(file, symbols + 24, 4), "bpf_prog_7_count");
    CHECK_EQ(code_watch_make_object(&born, file, size - 1), 0);
}

struct gdb_entry {
    struct gdb_entry *next, *prev;
    const void *file;
    uint64_t size;
};
extern struct gdb_descriptor {
    uint32_t version, action;
    struct gdb_entry *relevant, *first;
} __jit_debug_descriptor;

static void set(const char *name, const char *value)
{
#if defined(_WIN32)
    _putenv_s(name, value);
#else
    setenv(name, value, 1);
#endif
}

static void gdb_sees_what_is_there(void)
{
    set("EBPF_GDB", "0");
    CHECK(code_watch_from_environment() == NULL);
    set("EBPF_GDB", "1");
    code_watch_fn watch = code_watch_from_environment();
    REQUIRE(watch != NULL);
    CHECK_EQ(__jit_debug_descriptor.version, 1);
    struct code_notice other = born;
    other.code = code + 1;
    watch(NULL, &born);
    watch(NULL, &other);
    REQUIRE(__jit_debug_descriptor.first != NULL && __jit_debug_descriptor.first->next != NULL);
    CHECK_EQ(memcmp(__jit_debug_descriptor.first->file,
                    "\x7f"
                    "ELF",
                    4),
             0);
    watch(NULL, &gone);
    REQUIRE(__jit_debug_descriptor.first != NULL);
    CHECK(__jit_debug_descriptor.first->next == NULL);
    other.gone = true;
    watch(NULL, &other);
    CHECK(__jit_debug_descriptor.first == NULL);
    set("EBPF_GDB", "");
}

#if !defined(_WIN32)
static void perf_finds_a_line(void)
{
    char path[40], line[128] = "", expected[128];
    str_format(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    set("EBPF_PERF_MAP", "1");
    code_watch_fn watch = code_watch_from_environment();
    REQUIRE(watch != NULL);
    watch(NULL, &born);
    watch(NULL, &gone);
    set("EBPF_PERF_MAP", "");
    FILE *file = fopen(path, "r");
    REQUIRE(file != NULL);
    CHECK(fgets(line, sizeof(line), file) != NULL);
    snprintf(expected, sizeof(expected), "%llx 20 bpf_prog_7_count\n", (unsigned long long)(uintptr_t)code);
    CHECK_STR(line, expected);
    CHECK(fgets(line, sizeof(line), file) == NULL);
    fclose(file);
    unlink(path);
}

// What others left under the file's name is neither waited for nor written to.
static void perf_lines_go_to_a_file_of_our_own_only(void)
{
    char path[40], other[48], line[16];
    str_format(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    str_format(other, sizeof(other), "%s.other", path);
    set("EBPF_PERF_MAP", "1");
    code_watch_fn watch = code_watch_from_environment();
    set("EBPF_PERF_MAP", "");
    REQUIRE(watch != NULL && mkfifo(path, 0644) == 0);
    watch(NULL, &born); // would wait for a reader
    unlink(path);
    FILE *file = fopen(other, "w");
    REQUIRE(file != NULL && link(other, path) == 0);
    fclose(file);
    watch(NULL, &born);
    file = fopen(other, "r");
    REQUIRE(file != NULL);
    CHECK(fgets(line, sizeof(line), file) == NULL);
    fclose(file);
    unlink(path);
    unlink(other);
}
#endif

static void names_of_clients_are_one_word(void)
{
    const struct code_notice odd = {"a\n4000 10 evil", 7, code, sizeof(code), false};
    uint8_t file[1024];
    size_t size = code_watch_make_object(&odd, file, sizeof(file));
    bool found = false;
    for (size_t i = 0; i < size; i++) {
        found = found || str_equal((const char *)file + i, "bpf_prog_7_a_4000_10_evil");
    }
    CHECK(found);
}

TEST_SUITE(code_watch)
{
    RUN(the_object_has_one_symbol);
    RUN(gdb_sees_what_is_there);
#if !defined(_WIN32)
    RUN(perf_finds_a_line);
    RUN(perf_lines_go_to_a_file_of_our_own_only);
#endif
    RUN(names_of_clients_are_one_word);
}
