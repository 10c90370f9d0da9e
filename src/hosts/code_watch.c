// SPDX-License-Identifier: MIT
// code_watch: see code_watch.h. Sources: Linux, tools/perf/Documentation/jit-interface.txt; the chapter "JIT
// Compilation Interface" of gdb's manual, which prescribes the names with two underscores; the ELF
// specification.
#define _GNU_SOURCE
#include "hosts/code_watch.h"

#include <stdio.h>
#include <stdlib.h>

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#define SYMBOL_SIZE (SPEC_NAME_SIZE + 24)

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

// "bpf_prog_7_count_packets". Names are the clients': what could be read as something else becomes '_'.
static void symbol_of(const struct code_notice *n, char out[SYMBOL_SIZE])
{
    str_format(out, SYMBOL_SIZE, "bpf_prog_%u_%s", n->id, n->name);
    for (char *c = out; *c != '\0'; c++) {
        *c = is_plain(*c) ? *c : '_';
    }
}

// --- perf ----------------------------------------------------------------------------------------

#if defined(_WIN32)
static void write_perf_line(const struct code_notice *n)
{
    UNUSED(n); // there is no perf
}
#else
// The folder is everybody's: nothing that somebody else put there is written to, or waited for. -1: not ours.
static int open_own_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd >= 0 &&
        (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)) {
        close(fd);
        return -1;
    }
    return fd;
}

// Lines are short: each is written by one call, so that those of several threads do not mix. Code that is
// gone stays in the file: samples of it are older.
static void write_perf_line(const struct code_notice *n)
{
    char path[40], symbol[SYMBOL_SIZE];
    str_format(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    symbol_of(n, symbol);
    int fd = open_own_file(path);
    if (fd >= 0) {
        dprintf(fd, "%llx %x %s\n", (unsigned long long)(uintptr_t)n->code, (unsigned)n->size, symbol);
        close(fd);
    }
}
#endif

// --- an object file of one symbol ----------------------------------------------------------------

enum section { SECTION_NONE, SECTION_TEXT, SECTION_SYMBOLS, SECTION_STRINGS, SECTION_COUNT };
enum { NAME_TEXT = 1, NAME_SYMBOLS = 7, NAME_STRINGS = 15, NAME_SYMBOL = 23 };
static const char names[] = "\0.text\0.symtab\0.strtab\0"; // the symbol's follows

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t size, program_size, program_count, section_size, section_count, names;
};
struct elf_section {
    uint32_t name, type;
    uint64_t flags, address, offset, size;
    uint32_t link, info;
    uint64_t alignment, entry_size;
};
struct elf_symbol {
    uint32_t name;
    uint8_t info, other;
    uint16_t section;
    uint64_t value, size;
};
struct object_file {
    struct elf_header header;
    struct elf_section sections[SECTION_COUNT];
    struct elf_symbol symbols[2];
    char strings[NAME_SYMBOL + SYMBOL_SIZE];
};
_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct elf_section) == 64 &&
                   sizeof(struct elf_symbol) == 24,
               "the structures of the ELF specification");

static const struct elf_header file_header = {
    .ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
    .type = 1, // ET_REL, as for all code whose addresses the sections give
    .version = 1,
    .section_headers = offsetof(struct object_file, sections),
    .size = sizeof(struct elf_header),
    .section_size = sizeof(struct elf_section),
    .section_count = SECTION_COUNT,
    .names = SECTION_STRINGS,
};

size_t code_watch_make_object(const struct code_notice *n, uint8_t *out, size_t capacity)
{
    struct object_file f = {.header = file_header};
    f.header.machine = plat_machine() == PLAT_ARM64 ? 183 : 62;
    f.sections[SECTION_TEXT] = (struct elf_section){.name = NAME_TEXT,
                                                    .type = 8,  // SHT_NOBITS: it is in memory already
                                                    .flags = 6, // SHF_ALLOC | SHF_EXECINSTR
                                                    .address = (uintptr_t)n->code,
                                                    .size = n->size,
                                                    .alignment = 16};
    f.sections[SECTION_SYMBOLS] = (struct elf_section){.name = NAME_SYMBOLS,
                                                       .type = 2, // SHT_SYMTAB
                                                       .offset = offsetof(struct object_file, symbols),
                                                       .size = sizeof(f.symbols),
                                                       .link = SECTION_STRINGS,
                                                       .info = 1, // the first that is not local
                                                       .alignment = 8,
                                                       .entry_size = sizeof(struct elf_symbol)};
    f.sections[SECTION_STRINGS] = (struct elf_section){.name = NAME_STRINGS,
                                                       .type = 3, // SHT_STRTAB
                                                       .offset = offsetof(struct object_file, strings),
                                                       .size = sizeof(f.strings),
                                                       .alignment = 1};
    f.symbols[1] = (struct elf_symbol){
        .name = NAME_SYMBOL, .info = 0x12, .section = SECTION_TEXT, .size = n->size}; // global, a function
    memcpy(f.strings, names, NAME_SYMBOL);
    symbol_of(n, f.strings + NAME_SYMBOL);
    if (capacity < sizeof(f)) {
        return 0;
    }
    memcpy(out, &f, sizeof(f));
    return sizeof(f);
}

// --- gdb -----------------------------------------------------------------------------------------

enum gdb_action { GDB_NOTHING, GDB_REGISTER, GDB_UNREGISTER };
struct gdb_entry {
    struct gdb_entry *next, *prev;
    const void *file;
    uint64_t size;
};
struct gdb_descriptor {
    uint32_t version, action;
    struct gdb_entry *relevant, *first;
};

// gdb stops here, and looks at the descriptor.
void __jit_debug_register_code(void);
__attribute__((noinline, visibility("default"))) void __jit_debug_register_code(void)
{
    __asm__ volatile("" ::: "memory");
}
extern struct gdb_descriptor __jit_debug_descriptor;
__attribute__((visibility("default"))) struct gdb_descriptor __jit_debug_descriptor = {1, 0, NULL, NULL};

struct registration {
    struct gdb_entry entry;
    const uint8_t *code;
    uint8_t file[sizeof(struct object_file)];
};
static struct plat_spinlock gdb_lock;

// With the lock held.
static void tell_gdb(struct registration *r, enum gdb_action action)
{
    __jit_debug_descriptor.relevant = &r->entry;
    __jit_debug_descriptor.action = action;
    __jit_debug_register_code();
    __jit_debug_descriptor.action = GDB_NOTHING;
    __jit_debug_descriptor.relevant = NULL;
}

static void add(const struct code_notice *n)
{
    struct registration *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return; // then gdb shows an address
    }
    r->code = n->code;
    r->entry.file = r->file;
    r->entry.size = code_watch_make_object(n, r->file, sizeof(r->file));
    plat_spinlock_acquire(&gdb_lock);
    r->entry.next = __jit_debug_descriptor.first;
    if (r->entry.next != NULL) {
        r->entry.next->prev = &r->entry;
    }
    __jit_debug_descriptor.first = &r->entry;
    tell_gdb(r, GDB_REGISTER);
    plat_spinlock_release(&gdb_lock);
}

static struct registration *find(const uint8_t *code)
{
    for (struct gdb_entry *e = __jit_debug_descriptor.first; e != NULL; e = e->next) {
        struct registration *r = CONTAINER_OF(e, struct registration, entry);
        if (r->code == code) {
            return r;
        }
    }
    return NULL;
}

static void drop(const struct code_notice *n)
{
    plat_spinlock_acquire(&gdb_lock);
    struct registration *r = find(n->code);
    if (r != NULL) {
        struct gdb_entry **from =
            r->entry.prev != NULL ? &r->entry.prev->next : &__jit_debug_descriptor.first;
        *from = r->entry.next;
        if (r->entry.next != NULL) {
            r->entry.next->prev = r->entry.prev;
        }
        tell_gdb(r, GDB_UNREGISTER);
    }
    plat_spinlock_release(&gdb_lock);
    free(r);
}

// --- both ----------------------------------------------------------------------------------------

static bool for_perf, for_gdb;

static void watch(void *user, const struct code_notice *n)
{
    UNUSED(user);
    if (for_perf && !n->gone) {
        write_perf_line(n);
    }
    if (for_gdb && n->gone) {
        drop(n);
    } else if (for_gdb) {
        add(n);
    }
}

static bool is_set(const char *name)
{
#if defined(__GLIBC__)
    const char *value = secure_getenv(name); // a library may be in a program that runs with more rights
#else
    const char *value = getenv(name);
#endif
    return value != NULL && *value != '\0' && !str_equal(value, "0");
}

code_watch_fn code_watch_from_environment(void)
{
    for_perf = is_set("EBPF_PERF_MAP");
    for_gdb = is_set("EBPF_GDB");
    return for_perf || for_gdb ? watch : NULL;
}
