// SPDX-License-Identifier: MIT
// bench_translate [--passes] [--made COUNT] [OBJECT...]: what translation costs: nanoseconds and bytes of
// workspace an instruction, for the programs of objects and for made ones up to a million instructions, and
// what publishing the pages costs. --passes: nanoseconds an instruction pass by pass instead. --made: of
// made programs the one of COUNT instructions alone, for profilers.
#define _GNU_SOURCE
#include <math.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_bind.h"
#include "elf/elf.h"
#include "jit/jit.h"
#include "plat/plat.h"

enum { REPS = 15, MADE_LEAST = 6, MADE_MOST = 1000000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct cost {
    double ns;
    size_t workspace, code;
};

// Over programs.
struct total {
    double ns, each,
        most; // each: nanoseconds an instruction, summed; most: bytes of workspace an instruction
    uint32_t insns, programs, refused;
};

// --- passes --------------------------------------------------------------------------------------

#define FINISH JIT_PASS_COUNT // what comes behind the last pass of the last function

static const char *const pass_names[JIT_PASS_COUNT + 1] = {
#define PASS(id, name, function, needed) [JIT_PASS_##id] = name,
#include "jit/jit_passes.def"
#undef PASS
    [FINISH] = "finish",
};

// One translation's time by pass, told by the hook that is called after each.
struct pass_clock {
    double last, ns[JIT_PASS_COUNT + 1];
};

static bool by_pass;
static uint32_t made_count;                  // of --made, or 0
static double pass_sums[JIT_PASS_COUNT + 1]; // over the programs since the last table
static double pass_insns;

static double wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t); // no system call
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void pass_done(void *user, const char *name, const struct ir *ir)
{
    struct pass_clock *clock = user;
    double at = wall();
    UNUSED(ir);
    unsigned pass = 0;
    while (pass < FINISH && strcmp(pass_names[pass], name) != 0) {
        pass++;
    }
    clock->ns[pass] += at - clock->last;
    clock->last = wall();
}

static void report_passes(const char *what)
{
    double sum = 0;
    for (unsigned i = 0; i <= FINISH; i++) {
        sum += pass_sums[i];
    }
    printf("%s: %.0f instructions, %.1f ns each\n", what, pass_insns, sum / pass_insns);
    for (unsigned i = 0; i <= FINISH; i++) {
        if (pass_sums[i] > 0) {
            printf("  %-12s %8.1f ns %5.1f %%\n", pass_names[i], pass_sums[i] / pass_insns,
                   pass_sums[i] / sum * 100);
        }
        pass_sums[i] = 0;
    }
    pass_insns = 0;
}

// --- one program ---------------------------------------------------------------------------------

static ebpf_result_t translate(const struct jit_input *input, struct jit_code *code, void *workspace,
                               size_t size, struct pass_clock *clock, uint32_t *bad_pc)
{
    const struct jit_options options = {
#if defined(__aarch64__)
        .arch = JIT_ARM64,
        .abi = JIT_ABI_AAPCS64,
#endif
        .cpu = jit_host_cpu(),
        .passes = JIT_ALL_PASSES,
        .dump = clock != NULL ? pass_done : NULL,
        .dump_user = clock,
    };
    return jit_translate(input, &options, workspace, size, code, bad_pc);
}

// Adds the best time of each pass.
static void measure_passes(const struct jit_input *input, struct jit_code *code, void *workspace, size_t size,
                           int reps)
{
    double best[JIT_PASS_COUNT + 1];
    uint32_t bad_pc;
    for (int i = 0; i < reps; i++) {
        struct pass_clock clock = {.last = wall()};
        if (translate(input, code, workspace, size, &clock, &bad_pc) != EBPF_SUCCESS) {
            return;
        }
        clock.ns[FINISH] = wall() - clock.last;
        for (unsigned k = 0; k <= FINISH; k++) {
            best[k] = i == 0 || clock.ns[k] < best[k] ? clock.ns[k] : best[k];
        }
    }
    for (unsigned k = 0; k <= FINISH; k++) {
        pass_sums[k] += best[k];
    }
    pass_insns += input->insn_count;
}

static bool measure(const struct jit_input *input, struct cost *out, struct jit_code *code, uint32_t *bad_pc)
{
    size_t size = jit_workspace_size(input->insn_count);
    void *workspace = NULL;
    ebpf_result_t result = EBPF_NO_MEMORY;
    for (unsigned turn = 0; turn < 4 && result == EBPF_NO_MEMORY; turn++, size *= 2) {
        if (workspace != NULL) {
            plat_free_pages(workspace, size / 2);
        }
        workspace = plat_alloc_pages(size, POOL_TAG_PROGRAM);
        result = workspace == NULL ? EBPF_NO_MEMORY : translate(input, code, workspace, size, NULL, bad_pc);
    }
    *out = (struct cost){.ns = INFINITY, .workspace = code->workspace_used, .code = code->size};
    int reps = input->insn_count > 100000 ? 2 : REPS;
    if (by_pass && result == EBPF_SUCCESS) {
        measure_passes(input, code, workspace, size / 2, reps);
    }
    for (int i = 0; !by_pass && result == EBPF_SUCCESS && i < reps; i++) {
        double start = now();
        result = translate(input, code, workspace, size / 2, NULL, bad_pc);
        double ns = now() - start;
        out->ns = ns < out->ns ? ns : out->ns;
    }
    if (workspace != NULL) {
        plat_free_pages(workspace, size / 2);
    }
    return result == EBPF_SUCCESS;
}

static void report_bound(const char *name, const struct jit_input *input, struct total *sum)
{
    struct cost c;
    uint32_t bad_pc = 0, count = input->insn_count;
    struct jit_code code = {.capacity = 4 * jit_code_size(count)};
    code.code = malloc(code.capacity);
    if (!measure(input, &c, &code, &bad_pc)) {
        sum->refused++;
        printf("%-34s %8u cannot be translated: instruction %u (%s)\n", name, (unsigned)count,
               (unsigned)bad_pc, insn_info(input->insns[bad_pc].id)->mnemonic);
    } else if (!by_pass) {
        printf("%-34s %8u %10.1f %8.1f %10.1f %8.1f\n", name, (unsigned)count, c.ns / 1000, c.ns / count,
               (double)c.workspace / count, (double)c.code / count);
        sum->ns += c.ns;
        sum->each += c.ns / count;
        sum->most = fmax(sum->most, (double)c.workspace / count);
        sum->insns += count;
        sum->programs++;
    }
    free(code.code);
}

static void report(const char *name, const struct program *p, struct total *sum)
{
    struct bench_bound bound;
    if (bench_bind(p, &bound)) {
        report_bound(name, &bound.input, sum);
        bench_unbind(&bound);
    }
}

// --- programs ------------------------------------------------------------------------------------

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (bytes = malloc((size_t)ftell(file) + 1)) != NULL) {
        *size = (size_t)ftell(file);
        rewind(file);
        *size = fread(bytes, 1, *size, file);
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static void report_program(const char *path, const struct elf_object *object, uint32_t index,
                           struct arena *arena, struct total *sum)
{
    struct program p;
    struct elf_error error;
    char name[128];
    uint32_t map_of[SPEC_MAX_MAPS];
    const struct elf_program *program = &object->programs[index];
    const char *file = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    str_format(name, sizeof(name), "%s:%s", file, program->name);
    uint32_t attach =
        program->attach_type != ATTACH_TYPE_NONE ? program->attach_type : program->likely_attach_type;
    uint32_t type =
        attach != ATTACH_TYPE_NONE ? spec_builtin()->attach_types[attach].prog_type : PROG_TYPE_RAW_MEMORY;
    if (elf_program_canonical(object, index, spec_builtin(), type, attach, arena, &p, map_of, &error) ==
        EBPF_SUCCESS) {
        report(name, &p, sum);
    }
}

static bool complain(const char *path, const char *why)
{
    fprintf(stderr, "bench_translate: %s: %s\n", path, why);
    return false;
}

static bool report_object(const char *path, struct total *sum)
{
    const struct elf_options options = {.spec = spec_builtin(), .platform_default = DIALECT_LINUX};
    struct elf_object object;
    struct elf_error error = {.message = ""};
    struct arena arena;
    size_t size = 0;
    uint8_t *bytes = read_file(path, &size);
    if (bytes == NULL) {
        return complain(path, strerror(errno));
    }
    arena_init(&arena, plat_mem_source(), 0);
    bool good = elf_open(bytes, size, &options, &arena, &object, &error) == EBPF_SUCCESS ||
                complain(path, error.message);
    for (uint32_t i = 0; good && i < object.program_count; i++) {
        report_program(path, &object, i, &arena, sum);
    }
    arena_fini(&arena);
    free(bytes);
    return good;
}

// Whether all of them could be read.
static bool report_objects(int count, char **paths, struct total *sum)
{
    bool good = true;
    for (int i = 0; i < count; i++) {
        good = report_object(paths[i], sum) && good;
    }
    return good;
}

// A piece that computes, loads, stores and branches; many of them make a program of any size.
static const char piece[] = "r3 = *(u64 *)(r6 + 8)\n"
                            "r3 ^= r7\n"
                            "r7 += r3\n"
                            "if r3 > 1000 goto +3\n"
                            "r8 += 17\n"
                            "r7 <<= 3\n"
                            "*(u64 *)(r10 - 16) = r8\n"
                            "r4 = *(u64 *)(r10 - 16)\n"
                            "r4 *= 7\n"
                            "w4 ^= w3\n"
                            "r8 -= r4\n"
                            "*(u32 *)(r6 + 16) = r8\n";

static void report_made(uint32_t insn_count, struct total *sum)
{
    struct insn *insns = calloc(insn_count + 64, sizeof(*insns)), block[32];
    uint32_t count = 0, block_count, bad_line;
    const struct insn start[] = {{.id = INSN_MOV64_REG, .dst = 6, .src = 1},
                                 {.id = INSN_MOV64_IMM, .dst = 7, .imm = 1},
                                 {.id = INSN_MOV64_IMM, .dst = 8, .imm = 2},
                                 {.id = INSN_STDW, .dst = 10, .off = -16}};
    if (insns == NULL || isa_assemble(piece, block, 32, &block_count, &bad_line) != EBPF_SUCCESS) {
        free(insns);
        return;
    }
    memcpy(insns, start, sizeof(start));
    for (count = ARRAY_SIZE(start); count + block_count + 2 <= insn_count; count += block_count) {
        memcpy(insns + count, block, block_count * sizeof(*block));
    }
    insns[count++] = (struct insn){.id = INSN_MOV64_REG, .dst = 0, .src = 8};
    insns[count++] = (struct insn){.id = INSN_EXIT};
    const struct func func = {.start = 0, .end = count};
    const struct program p = {.insns = insns, .insn_count = count, .funcs = &func, .func_count = 1};
    report("made", &p, sum);
    free(insns);
}

// --- publishing ----------------------------------------------------------------------------------

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report_publishing(size_t size)
{
    double times[101];
    for (unsigned i = 0; i < ARRAY_SIZE(times); i++) {
        struct plat_code code;
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        if (plat_code_create(size, &code) != EBPF_SUCCESS) {
            return;
        }
        memset(code.address, 0xc3, size); // a return on x86-64
        if (plat_code_publish(&code, NULL, 0) != EBPF_SUCCESS) {
            return;
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        times[i] = (double)(end.tv_sec - start.tv_sec) * 1e6 + (double)(end.tv_nsec - start.tv_nsec) / 1e3;
        plat_code_destroy(&code);
    }
    qsort(times, ARRAY_SIZE(times), sizeof(times[0]), compare);
    printf("publishing %zu bytes of code: median %.1f us, best %.1f us\n", size, times[ARRAY_SIZE(times) / 2],
           times[0]);
}

static int report_all_passes(int argc, char **argv)
{
    struct total sum = {0};
    bool good = report_objects(argc, argv, &sum);
    if (pass_insns > 0) {
        report_passes("objects");
    }
    for (uint32_t count = 10; made_count == 0 && count <= 1000000; count *= count < 10000 ? 1000 : 100) {
        report_made(count, &sum);
        report_passes("made");
    }
    if (made_count != 0) {
        report_made(made_count, &sum);
        report_passes("made");
    }
    return good ? 0 : 1;
}

static void report_total(const struct total *t)
{
    printf("%u programs, %u instructions: %.1f ns an instruction; average of the programs: %.1f ns\n",
           (unsigned)t->programs, (unsigned)t->insns, t->ns / t->insns, t->each / t->programs);
    printf("at most %.0f bytes of workspace an instruction; %u programs cannot be translated\n", t->most,
           (unsigned)t->refused);
}

static int report_costs(int argc, char **argv)
{
    struct total objects = {0}, made = {0};
    printf("%-34s %8s %10s %8s %10s %8s\n", "program", "insns", "us", "ns/insn", "bytes/insn", "code");
    bool good = report_objects(argc, argv, &objects);
    if (objects.programs != 0) {
        report_total(&objects);
    }
    if (made_count != 0) {
        report_made(made_count, &made);
        return good ? 0 : 1;
    }
    for (uint32_t count = 10; count <= 1000000; count *= 10) {
        report_made(count, &made);
        report_made(count * 3 <= 1000000 ? count * 3 : count, &made);
    }
    report_publishing(256);
    report_publishing(20480);
    return good ? 0 : 1;
}

static int usage(FILE *to)
{
    fprintf(to, "usage: bench_translate [--passes] [--made COUNT] [OBJECT...]\n");
    return to == stdout ? 0 : 2;
}

// The number of arguments before the objects, or 0.
static int parse(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--passes") == 0) {
            by_pass = true;
        } else if (strcmp(argv[i], "--made") == 0 && i + 1 < argc) {
            char *end;
            unsigned long count = strtoul(argv[++i], &end, 10);
            if (*end != 0 || count < MADE_LEAST || count > MADE_MOST) {
                fprintf(stderr, "bench_translate: --made takes %d to %d, not: %s\n", MADE_LEAST, MADE_MOST,
                        argv[i]);
                return 0;
            }
            made_count = (uint32_t)count;
        } else {
            return 0;
        }
    }
    return i;
}

int main(int argc, char **argv)
{
    int first = parse(argc, argv);
    if (first == 0) {
        return usage(argc > 1 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
    }
    if (plat_init() != EBPF_SUCCESS) {
        return 1;
    }
    int status = (by_pass ? report_all_passes : report_costs)(argc - first, argv + first);
    plat_fini();
    return status;
}
