// SPDX-License-Identifier: MIT
// The kernel as a second opinion (Linux only): programs of the XDP type and mutants of them are judged here
// and by bpf(2). A program that is accepted here and refused there must belong to a class of differences that
// is known to be harmless: rules that the kernel has for its own sake. Programs are loaded and closed again;
// nothing is attached or run. Skipped where bpf(2) is not permitted.
//
// The classes are sentences of one kernel; what another one says in other words is printed, and fails
// nothing. That such a program runs without doing anything wrong is checked under every kernel.
//
// SOUNDNESS_MUTANTS=N is how many mutants are judged (default 300), SOUNDNESS_VERBOSE=1 prints the counts.
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/soundness/judge.h"
#include "tests/soundness/mutate.h"
#include "tests/test.h"

enum { LOG_SIZE = 1 << 16, MUTANTS_PER_PROGRAM = 20, RUNS = 24 };

static struct gen gen;
static int map_fds[GEN_MAPS];
static char log_text[LOG_SIZE];

// What the kernel says in its log, and why the same program is no danger here.
static const struct difference {
    const char *text, *why;
} differences[] = {
    {"misaligned", "stack accesses must be aligned in the kernel; here any machine loads and stores bytes"},
    {"unreachable insn", "code that nothing reaches is never run"},
    {"invalid size of register spill", "a part of a pointer is a number here"},
    {"invalid size of register fill", "a part of a pointer is a number here"},
    {"corrupted spill memory", "a part of a pointer is a number here"},
    {"32-bit pointer arithmetic prohibited", "the result is a number here"},
    {"pointer arithmetic on pkt_end prohibited", "not accepted here either, but for moves by 0"},
    {"math between", "limits of offsets differ"},
    {"value is out of bounds", "limits of offsets differ"},
    {"makes pkt pointer be out of bounds", "limits of offsets differ"},
    {"invalid shift", "shifts take the number modulo the width, in the kernel's machine too"},
    {"div by zero", "division by zero has a result, in the kernel's machine too"},
    {"unknown opcode", "an instruction that this kernel does not know"},
    {"too many", "limits of the kernel"},
    {"BPF program is too large", "limits of the kernel"},
    {"invalid bpf_context access",
     "the kernel's programs read whole fields; some fields need an attach type"},
    {"offset is outside of the packet",
     "lengths as numbers, and lower bounds of offsets, prove accesses here"},
    {"!read_ok", "the kernel follows branches that are never taken"},
    {"invalid read from stack", "the kernel follows branches that are never taken"},
    {"max value is outside of the allowed", "the kernel knows less of parts of numbers on the stack"},
    {"pointer prohibited", "with 32 bits the result is a number here"},
    {"cannot spill pointers to stack", "pointers in a caller's frame are followed here"},
    {"null-check it first", "the kernel follows branches that are never taken"},
    {"old state:", "the kernel follows branches that are never taken, here round a loop"},
    {"operator prohibited", "the kernel follows branches that are never taken"},
    {"too complex", "limits of the kernel"},
    {"min value is negative", "here only the sum of all parts of an offset must be positive"},
    {"subtraction from stack pointer", "a rule of the kernel's own"},
    {"btf_id", "an instruction that this kernel does not know"},
    {"direct value access", "the kernel resolves references in code that nothing reaches"},
};

static int bpf(int command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int create_map(const struct map_def *def)
{
    union bpf_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.map_type = def->number;
    attr.key_size = def->key_size;
    attr.value_size = def->value_size;
    attr.max_entries = def->max_entries;
    attr.map_flags = def->flags;
    return bpf(BPF_MAP_CREATE, &attr);
}

// The canonical instructions as the kernel takes them: map descriptors and the dialect's helper numbers.
static bool encode(const struct program *p, uint8_t *bytes)
{
    static struct insn insns[GEN_MAX_INSNS];
    uint32_t bad_pc;
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        struct insn in = p->insns[pc];
        if (in.id == INSN_LDDW_MAP) {
            in.id = INSN_LDDW_MAP_FD;
            in.imm = map_fds[in.imm];
        } else if (in.id == INSN_LDDW_MAP_VALUE) {
            in.id = INSN_LDDW_MAP_VALUE_FD;
            in.imm =
                (int64_t)(((uint64_t)in.imm & ~(uint64_t)UINT32_MAX) | (uint32_t)map_fds[(uint32_t)in.imm]);
        } else if (in.id == INSN_CALL && in.imm > 0 && in.imm < HELPER_COUNT) {
            in.imm = spec_builtin()->helpers[in.imm].number[DIALECT_LINUX];
        }
        insns[pc] = in;
    }
    return insn_encode(insns, p->insn_count, bytes, &bad_pc) == INSN_OK;
}

// True when the kernel takes the program. Otherwise its reasons are in log_text.
static bool kernel_accepts(const struct program *p)
{
    static uint8_t bytes[GEN_MAX_INSNS * INSN_SLOT_SIZE];
    union bpf_attr attr;
    log_text[0] = '\0';
    if (!encode(p, bytes)) {
        str_copy(log_text, sizeof(log_text), "unknown opcode");
        return false;
    }
    memset(&attr, 0, sizeof(attr));
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insns = (uintptr_t)bytes;
    attr.insn_cnt = p->insn_count;
    attr.license = (uintptr_t)"GPL";
    int fd = bpf(BPF_PROG_LOAD, &attr);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    attr.log_level = 1;
    attr.log_buf = (uintptr_t)log_text;
    attr.log_size = sizeof(log_text);
    fd = bpf(BPF_PROG_LOAD, &attr);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

// --- comparison ----------------------------------------------------------------------------------

// The log is the path on which the kernel refuses: it goes through an instruction that nothing reaches here.
static bool is_never_taken(void)
{
    for (const char *line = log_text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        char *end;
        unsigned long pc = strtoul(line, &end, 10);
        if (end != line && strncmp(end, ": (", 3) == 0 && !judge_visited((uint32_t)pc)) {
            return true;
        }
    }
    return false;
}

static unsigned not_reached;
static unsigned agreed_good, agreed_bad, stricter[RULE_COUNT], known[ARRAY_SIZE(differences)], unexplained;

// The sentence with which the kernel refuses: the last line before the statistics.
static const char *last_words(void)
{
    char *end = strstr(log_text, "\nprocessed ");
    if (end != NULL) {
        *end = '\0';
    }
    const char *line = strrchr(log_text, '\n');
    return line != NULL ? line + 1 : log_text;
}

static void print_program(const struct program *p, const char *words)
{
    char text[96];
    printf("--- %s\n", words);
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        if (p->insns[pc].id != INSN_NONE) {
            insn_print(&p->insns[pc], text, sizeof(text));
            printf("%4u: %s\n", pc, text);
        }
    }
}

static bool classes_are_of_this_kernel(void)
{
    struct utsname name;
    return uname(&name) == 0 && str_starts_with(name.release, "6.18.");
}

// Accepted here only: of a known class, and it runs without doing anything wrong.
static void explain(struct gen *g)
{
    const char *words = last_words(), *example = getenv("SOUNDNESS_EXAMPLE");
    uint16_t rule;
    CHECK(judge_program(g, RUNS, &rule));
    if (example != NULL && strstr(words, example) != NULL) {
        print_program(&g->program, words);
    }
    if (is_never_taken()) {
        not_reached++;
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
        if (strstr(words, differences[i].text) != NULL) {
            known[i]++;
            return;
        }
    }
    unexplained++;
    if (classes_are_of_this_kernel()) {
        test_fail(__FILE__, __LINE__, "accepted here, refused by the kernel: %s", words);
    }
    if (unexplained <= 20) {
        print_program(&g->program, words);
    }
}

// True when both accept.
static bool compare(struct gen *g)
{
    uint16_t rule;
    bool here = judge_program(g, 0, &rule), there = kernel_accepts(&g->program);
    if (here && there) {
        agreed_good++;
    } else if (!here && !there) {
        agreed_bad++;
    } else if (there) {
        stricter[rule]++;
    } else {
        explain(g);
    }
    return here && there;
}

static void print_statistics(void)
{
    printf("kernel: both accept %u, both refuse %u\n", agreed_good, agreed_bad);
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        if (stricter[i] != 0) {
            printf("  refused here only   %6u %s\n", stricter[i], rule_row(i)->name);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
        if (known[i] != 0) {
            printf("  refused there only  %6u %s: %s\n", known[i], differences[i].text, differences[i].why);
        }
    }
    printf("  refused there only  %6u on a path that is never taken\n", not_reached);
    printf("  refused there only  %6u without explanation\n", unexplained);
}

static bool open_maps(void)
{
    gen_program(&gen, 1);
    for (unsigned i = 0; i < GEN_MAPS; i++) {
        map_fds[i] = create_map(&gen.maps[i]);
        if (map_fds[i] < 0) {
            while (i > 0) {
                close(map_fds[--i]);
            }
            return false;
        }
    }
    return true;
}

static void kernel_agrees_on_mutants(void)
{
    const char *text = getenv("SOUNDNESS_MUTANTS"), *seed = getenv("SOUNDNESS_SEED");
    uint64_t left = text != NULL ? strtoull(text, NULL, 0) : 300;
    uint64_t next = seed != NULL ? strtoull(seed, NULL, 0) : 1;
    static struct gen mutant;
    if (!open_maps()) {
        SKIP("bpf(2) is not permitted");
    }
    REQUIRE(judge_open());
    while (left > 0) {
        gen_program(&gen, next++);
        bool xdp = gen.program.type == PROG_TYPE_XDP && gen.program.dialect == DIALECT_LINUX;
        if (gen.failed || !xdp || !compare(&gen)) {
            continue; // what the kernel refuses as it is says nothing about its mutants
        }
        for (unsigned i = 0; i < MUTANTS_PER_PROGRAM && left > 0; i++, left--) {
            mutate(&gen, &mutant);
            compare(&mutant);
        }
    }
    if (getenv("SOUNDNESS_VERBOSE") != NULL) {
        print_statistics();
    }
    for (unsigned i = 0; i < GEN_MAPS; i++) {
        close(map_fds[i]);
    }
    judge_close();
}

TEST_SUITE(kernel)
{
    RUN(kernel_agrees_on_mutants);
}
