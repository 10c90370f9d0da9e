// SPDX-License-Identifier: MIT
// bench_compute [--json] [--check] [--mcpu v2|v3] [--reps N] [PROGRAM...]: what a run of each program costs:
// native (clang -O2, and without its vectoriser), in this project's engines, and in the Linux kernel where it
// lets us. All columns take turns, repetition by repetition, in thread CPU time; the minimum counts. --check
// runs each program once everywhere and compares results only: nothing is decided by time.
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/bench.h"

enum { MAX_REPS = 50, SLICE_NS = 10000000 };
enum column { CLANG, SCALAR, JIT, MODULE, INTERP, KERNEL, COLUMNS };
static const char *const column_names[COLUMNS] = {"clang-O2", "clang-scalar", "jit",
                                                  "native",   "interp",       "kernel-jit"};

typedef uint64_t native_fn(uint8_t *memory, uint64_t size);
#define PROGRAM(name) native_fn bench_##name##_clang, bench_##name##_scalar;
#include "tests/bench/bench_programs.def"
#undef PROGRAM
static const struct program {
    const char *name;
    native_fn *clang, *scalar;
} programs[] = {
#define PROGRAM(name) {#name, bench_##name##_clang, bench_##name##_scalar},
#include "tests/bench/bench_programs.def"
#undef PROGRAM
};
enum { PROGRAMS = sizeof(programs) / sizeof(programs[0]) };

static struct settings {
    bool json, check;
    const char *mcpu;
    int reps;
    char **names;
    int name_count;
} settings = {.mcpu = "v3", .reps = 7};

struct row {
    const struct program *program;
    uint32_t insns;
    struct bench_run runs[COLUMNS];
    bool there[COLUMNS];
    uint64_t turns[COLUMNS];
    double best[COLUMNS];
    uint32_t result;
    bool differs;
};

static uint8_t pristine[BENCH_MEMORY], memory[BENCH_MEMORY] __attribute__((aligned(4096)));

// An Ethernet frame with an IPv4 header, then noise.
static void fill_memory(void)
{
    static const uint8_t header[] = {2,    0,    0,    0, 0, 1,    2,    0,    0,    0, 0,  2,
                                     0x08, 0x00, 0x45, 0, 3, 0xf2, 0x1c, 0x46, 0x40, 0, 64, 6,
                                     0,    0,    10,   1, 2, 3,    192,  168,  7,    9};
    uint64_t x = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < BENCH_MEMORY; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        pristine[i] = (uint8_t)(x >> 32);
    }
    memcpy(pristine, header, sizeof(header));
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// --- columns -------------------------------------------------------------------------------------

static bool run_native(struct bench_run *r, uint8_t *data, uint64_t turns, uint32_t *result)
{
    native_fn *fn;
    uint64_t value = 0;
    memcpy(&fn, &r->state, sizeof(fn));
    for (uint64_t i = 0; i < turns; i++) {
        value = fn(data, BENCH_MEMORY);
    }
    *result = (uint32_t)value;
    return true;
}

static void close_native(struct bench_run *r)
{
    (void)r;
}

static void open_native(struct row *row, enum column column, native_fn *fn)
{
    row->runs[column] = (struct bench_run){.run = run_native, .close = close_native};
    memcpy(&row->runs[column].state, &fn, sizeof(fn));
    row->there[column] = true;
}

static void open_row(struct row *row, const struct program *program)
{
    char path[1024];
    *row = (struct row){.program = program};
    open_native(row, CLANG, program->clang);
    open_native(row, SCALAR, program->scalar);
    snprintf(path, sizeof(path), "%s/%s.%s.vm.o", BENCH_OBJECTS, program->name, settings.mcpu);
    row->there[JIT] = bench_open_program(&row->runs[JIT], path, BENCH_JIT);
    row->there[MODULE] = bench_open_program(&row->runs[MODULE], path, BENCH_MODULE);
    row->there[INTERP] = bench_open_program(&row->runs[INTERP], path, BENCH_INTERP);
    snprintf(path, sizeof(path), "%s/%s.%s.kernel.o", BENCH_OBJECTS, program->name, settings.mcpu);
    row->there[KERNEL] = bench_open_kernel(&row->runs[KERNEL], path);
    row->insns = row->runs[JIT].insns;
}

static void close_row(struct row *row)
{
    for (int c = 0; c < COLUMNS; c++) {
        if (row->there[c]) {
            row->runs[c].close(&row->runs[c]);
        }
    }
}

// One run everywhere; the results are the same, or the row is wrong.
static void check_row(struct row *row)
{
    bool first = true;
    for (int c = 0; c < COLUMNS; c++) {
        uint32_t result = 0;
        memcpy(memory, pristine, sizeof(memory));
        if (!row->there[c]) {
            continue;
        }
        bool good = row->runs[c].run(&row->runs[c], memory, 1, &result);
        row->differs = row->differs || !good || (!first && result != row->result);
        if (!good || (!first && result != row->result)) {
            fprintf(stderr, "%s: %s gives %08x, not %08x\n", row->program->name, column_names[c],
                    (unsigned)result, (unsigned)row->result);
        }
        row->result = first ? result : row->result;
        first = false;
    }
}

static double measure(struct row *row, int c)
{
    uint32_t result;
    struct bench_run *run = &row->runs[c];
    memcpy(memory, pristine, sizeof(memory));
    double start = now();
    if (!run->run(run, memory, row->turns[c], &result)) {
        return INFINITY;
    }
    double end = now();
    return run->ns != 0 ? run->ns : (end - start) / (double)row->turns[c];
}

static void calibrate(struct row *row, int c)
{
    row->turns[c] = 1;
    for (;;) {
        double ns = measure(row, c);
        if (ns * (double)row->turns[c] > SLICE_NS / 4 || row->turns[c] > 100000000) {
            row->turns[c] = (uint64_t)(SLICE_NS / (ns > 0.1 ? ns : 0.1)) + 1;
            return;
        }
        row->turns[c] *= 8;
    }
}

static void time_row(struct row *row)
{
    for (int c = 0; c < COLUMNS; c++) {
        row->best[c] = INFINITY;
        if (row->there[c]) {
            calibrate(row, c);
        }
    }
    for (int rep = 0; rep < settings.reps; rep++) {
        for (int c = 0; c < COLUMNS; c++) {
            double ns = row->there[c] ? measure(row, c) : INFINITY;
            row->best[c] = ns < row->best[c] ? ns : row->best[c];
        }
    }
}

// --- output --------------------------------------------------------------------------------------

static double geometric[COLUMNS], module_to_clang;
static int counted[COLUMNS];

static void print_header(void)
{
    printf("%-10s %6s", "program", "insns");
    for (int c = 0; c < COLUMNS; c++) {
        printf(" %12s", column_names[c]);
    }
    printf("   ratio to clang-scalar: jit native interp kernel-jit\n");
}

static void count_ratio(const struct row *row, int c)
{
    if (row->there[c]) {
        geometric[c] += log(row->best[c] / row->best[SCALAR]);
        counted[c]++;
        module_to_clang += c == MODULE ? log(row->best[c] / row->best[CLANG]) : 0;
    }
}

static void print_row(const struct row *row)
{
    printf("%-10s %6u", row->program->name, (unsigned)row->insns);
    for (int c = 0; c < COLUMNS; c++) {
        row->there[c] ? printf(" %12.1f", row->best[c]) : printf(" %12s", "-");
    }
    printf("   ");
    for (int c = JIT; c < COLUMNS; c++) {
        row->there[c] ? printf(" %7.2f", row->best[c] / row->best[SCALAR]) : printf(" %7s", "-");
    }
    printf("%s\n", row->differs ? "  RESULTS DIFFER" : "");
}

static void print_row_json(const struct row *row, bool first)
{
    printf("%s\n  {\"program\": \"%s\", \"insns\": %u, \"same_result\": %s, \"ns\": {", first ? "" : ",",
           row->program->name, (unsigned)row->insns, row->differs ? "false" : "true");
    const char *comma = "";
    for (int c = 0; c < COLUMNS; c++) {
        if (row->there[c]) {
            printf("%s\"%s\": %.2f", comma, column_names[c], row->best[c]);
            comma = ", ";
        }
    }
    printf("}}");
}

static void print_means(void)
{
    printf("%-10s geometric mean of the ratios to clang-scalar:", "");
    for (int c = 0; c < COLUMNS; c++) {
        if (counted[c] != 0) {
            printf(" %s %.2f", column_names[c], exp(geometric[c] / counted[c]));
        }
    }
    printf("\n");
    if (counted[MODULE] != 0) {
        printf("%-10s geometric mean of native to clang-O2: %.2f (%d programs)\n", "",
               exp(module_to_clang / counted[MODULE]), counted[MODULE]);
    }
}

static bool is_chosen(const char *name)
{
    for (int i = 0; i < settings.name_count; i++) {
        if (strstr(name, settings.names[i]) != NULL) {
            return true;
        }
    }
    return settings.name_count == 0;
}

static int run_all(void)
{
    int wrong = 0, rows = 0;
    if (!settings.check) {
        settings.json ? printf("[") : print_header();
    }
    for (int i = 0; i < PROGRAMS; i++) {
        static struct row row;
        if (!is_chosen(programs[i].name)) {
            continue;
        }
        open_row(&row, &programs[i]);
        check_row(&row);
        wrong += row.differs || !row.there[JIT] ? 1 : 0;
        if (!settings.check) {
            time_row(&row);
            for (int c = 0; c < COLUMNS; c++) {
                count_ratio(&row, c);
            }
            settings.json ? print_row_json(&row, rows == 0) : print_row(&row);
        }
        rows++;
        fflush(stdout);
        close_row(&row);
    }
    if (settings.check) {
        printf("%d programs, %d wrong\n", rows, wrong);
    } else if (settings.json) {
        printf("\n]\n");
    } else {
        print_means();
    }
    return wrong == 0 && rows != 0 ? 0 : 1;
}

static int usage(FILE *to)
{
    fprintf(to, "usage: bench_compute [--json] [--check] [--mcpu v2|v3] [--reps N] [PROGRAM...]\n"
                "PROGRAM is part of a name:");
    for (int i = 0; i < PROGRAMS; i++) {
        fprintf(to, " %s", programs[i].name);
    }
    fprintf(to, "\n");
    return to == stdout ? 0 : 2;
}

static bool names_are_known(void)
{
    for (int n = 0; n < settings.name_count; n++) {
        bool known = false;
        for (int i = 0; i < PROGRAMS; i++) {
            known |= strstr(programs[i].name, settings.names[n]) != NULL;
        }
        if (!known) {
            fprintf(stderr, "bench_compute: no program has '%s' in its name\n", settings.names[n]);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            settings.json = true;
        } else if (strcmp(argv[i], "--check") == 0) {
            settings.check = true;
        } else if (strcmp(argv[i], "--mcpu") == 0 && i + 1 < argc) {
            settings.mcpu = argv[++i];
        } else if (strcmp(argv[i], "--reps") == 0 && i + 1 < argc) {
            settings.reps = atoi(argv[++i]);
        } else {
            return usage(strcmp(argv[i], "--help") == 0 ? stdout : stderr);
        }
    }
    settings.names = argv + i;
    settings.name_count = argc - i;
    if ((strcmp(settings.mcpu, "v2") != 0 && strcmp(settings.mcpu, "v3") != 0) || settings.reps < 1 ||
        settings.reps > MAX_REPS || !names_are_known()) {
        return usage(stderr);
    }
    fill_memory();
    return run_all();
}
