// SPDX-License-Identifier: MIT
// ebpf-conformance-plugin [MEM] [--engine interp|jit|jit-arm64|native|all]: one program of the public
// conformance suite (github.com/Alan-Jowett/bpf_conformance). MEM and standard input are hexadecimal bytes in
// pairs, separated by blanks: the memory of the program (r1 points to it, r2 is its length) and its
// instructions. Prints r0 in hexadecimal; a failure is a line on standard output and exit status 1. Helper 5
// returns its first argument. Other arguments that start with "--" are refused: no ELF mode.
//
// The engines are those of the machine that the plugin is built for: "jit-arm64" is another name of "jit" in
// the arm64 build, and an error elsewhere. "all" demands one result of the interpreter (where the build has
// it) and of the JIT in all its modes. "native" compiles C by a compiler of this machine; it is in the Linux
// build only, and no part of "all".
#include <stdio.h>

#include "isa/isa.h"
#include "plat/plat.h"
#include "runtime/runtime.h"
#if defined(PLUGIN_NATIVE)
#include "tests/native/native_build.h"
#endif

enum { MAX_SLOTS = 4096, MAX_BYTES = MAX_SLOTS * INSN_SLOT_SIZE, MAX_TEXT = MAX_BYTES * 4 };
static char text[MAX_TEXT + 1];
static uint8_t code[MAX_BYTES], memory[MAX_BYTES], run_memory[MAX_BYTES];
static struct insn insns[MAX_SLOTS];

static int fail(const char *message)
{
    printf("%s\n", message);
    return 1;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool read_hex(const char *s, uint8_t *out, size_t capacity, size_t *size)
{
    size_t used = 0;
    while (*s != 0) {
        if (is_blank(*s)) {
            s++;
            continue;
        }
        int high = digit_of(s[0]), low = high < 0 ? -1 : digit_of(s[1]);
        if (low < 0 || used == capacity) {
            return false;
        }
        out[used++] = (uint8_t)(high << 4 | low);
        s += 2;
    }
    *size = used;
    return true;
}

static uint64_t helper(uint64_t id, const uint64_t args[5])
{
    return id == 5 ? args[0] : UINT64_MAX;
}

// --- engines -------------------------------------------------------------------------------------

enum choice { CHOOSE_INTERP = 1, CHOOSE_JIT = 2, CHOOSE_ALL = 4, CHOOSE_NATIVE = 8 };

// Ways to run the program. The first one of a choice gives the result.
static const struct way {
    const char *name;
    unsigned choices; // that it belongs to
    enum runtime_engine engine;
    struct jit_options options;
} ways[] = {
#if defined(EBPF_INTERPRETER)
    {"interpreter", CHOOSE_INTERP | CHOOSE_ALL, RUNTIME_INTERPRETER, {0}},
#endif
    {"jit", CHOOSE_JIT | CHOOSE_ALL, RUNTIME_JIT, {.passes = JIT_ALL_PASSES}},
    {"jit without passes", CHOOSE_ALL, RUNTIME_JIT, {0}},
    {"jit with 5 registers", CHOOSE_ALL, RUNTIME_JIT, {.passes = JIT_ALL_PASSES, .registers = 5}},
    {"jit, blinded", CHOOSE_ALL, RUNTIME_JIT, {.passes = JIT_ALL_PASSES, .blind = true, .blind_seed = 1}},
    {"jit with retpolines", CHOOSE_ALL, RUNTIME_JIT, {.passes = JIT_ALL_PASSES, .retpoline = true}},
};

static const struct {
    const char *name;
    enum choice choice;
} engines[] = {
    {"interp", CHOOSE_INTERP}, {"jit", CHOOSE_JIT},
#if defined(__aarch64__)
    {"jit-arm64", CHOOSE_JIT},
#endif
#if defined(PLUGIN_NATIVE)
    {"native", CHOOSE_NATIVE},
#endif
    {"all", CHOOSE_ALL},
};

static ebpf_result_t run(const struct way *way, const struct raw_source *program, size_t size,
                         uint64_t *result)
{
    const struct runtime_options options = {
        .spec = spec_builtin(), .engine = way->engine, .jit = &way->options};
    struct runtime *rt;
    memcpy(run_memory, memory, sizeof(memory));
    TRY(runtime_create(&options, &rt));
    ebpf_result_t error =
        raw_prog_once(rt, way->engine, program, size != 0 ? run_memory : NULL, size, result);
    runtime_destroy(rt);
    return error;
}

#if defined(PLUGIN_NATIVE)
static uint64_t call_number(uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
                            struct ebpf_native_run *native_run)
{
    const uint64_t args[5] = {a1, a2, a3, a4, a5};
    return helper(native_run->number, args);
}

static size_t packet_size;
static uint64_t load_packet(uint64_t offset, uint64_t bytes, uint64_t a3, uint64_t a4, uint64_t a5,
                            struct ebpf_native_run *native_run)
{
    uint64_t value = 0;
    (void)a3, (void)a4, (void)a5;
    if (offset > packet_size || packet_size - offset < bytes) {
        native_run->aborted = 1;
        return 0;
    }
    for (uint64_t i = 0; i < bytes; i++) {
        value = value << 8 | run_memory[offset + i];
    }
    return value;
}

static int run_native(const struct raw_source *program, size_t size)
{
    struct ebpf_native_run native_run = {.turns = INSN_MAY_GOTO_TURNS};
    static uint8_t frame[INSN_STACK_SIZE * INSN_MAX_FRAMES];
    struct native_module m;
    const char *compiler = native_any_compiler();
    if (compiler == NULL) {
        return fail("there is no C compiler on this machine");
    }
    if (!native_build_raw(program->insns, program->insn_count, compiler, NATIVE_FLAGS, &m)) {
        return fail("the program cannot be compiled");
    }
    memcpy(run_memory, memory, sizeof(memory));
    packet_size = size;
    m.table->imports->call_number = call_number;
    m.table->imports->load_packet = load_packet;
    uint64_t r1 = size != 0 ? (uintptr_t)run_memory : 0;
    uint64_t result = m.table->programs[0].entry(r1, size, &native_run, frame + INSN_STACK_SIZE);
    printf("%llx\n", (unsigned long long)result);
    native_unload(&m);
    return 0;
}
#endif

static int run_chosen(enum choice choice, const struct raw_source *program, size_t size)
{
    uint64_t first = 0, result = 0;
    const struct way *leader = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        if ((ways[i].choices & choice) == 0) {
            continue;
        }
        ebpf_result_t error = run(&ways[i], program, size, &result);
        if (error != EBPF_SUCCESS) {
            printf("%s: %s\n", ways[i].name, result_row(error)->sentence);
            return 1;
        }
        if (leader != NULL && result != first) {
            printf("%s: %llx, but %s: %llx\n", leader->name, (unsigned long long)first, ways[i].name,
                   (unsigned long long)result);
            return 1;
        }
        leader = leader != NULL ? leader : &ways[i];
        first = leader == &ways[i] ? result : first;
    }
    if (leader == NULL) {
        return fail("this build has no interpreter");
    }
    printf("%llx\n", (unsigned long long)first);
    return 0;
}

// --- command line --------------------------------------------------------------------------------

static bool choose_engine(const char *name, enum choice *out)
{
    for (unsigned i = 0; i < ARRAY_SIZE(engines); i++) {
        if (str_equal(engines[i].name, name)) {
            *out = engines[i].choice;
            return true;
        }
    }
    return false;
}

static int refuse_engine(const char *name)
{
    if (str_equal(name, "jit-arm64")) {
        return fail("jit-arm64 is in the arm64 build of this plugin (run it with qemu-aarch64)");
    }
    return fail(str_equal(name, "native") ? "native is in the Linux build of this plugin"
                                          : "the engines are interp, jit, jit-arm64, native and all");
}

// Lines like "--engine jit", and the memory, which comes first and is not an option.
static int read_arguments(int argc, char **argv, enum choice *choice, size_t *memory_size)
{
    for (int i = 1; i < argc; i++) {
        if (str_equal(argv[i], "--engine") && i + 1 < argc) {
            if (!choose_engine(argv[++i], choice)) {
                return refuse_engine(argv[i]);
            }
        } else if (i != 1 || str_starts_with(argv[i], "--")) {
            return fail("usage: ebpf-conformance-plugin [MEM] [--engine interp|jit|jit-arm64|native|all]");
        } else if (!read_hex(argv[i], memory, sizeof(memory), memory_size)) {
            return fail("the memory is not hexadecimal or too large");
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    enum choice choice = CHOOSE_JIT;
    size_t code_size, memory_size = 0;
    uint32_t bad_pc;
    if (read_arguments(argc, argv, &choice, &memory_size) != 0) {
        return 1;
    }
    text[fread(text, 1, MAX_TEXT, stdin)] = 0;
    if (!read_hex(text, code, sizeof(code), &code_size)) {
        return fail("the program is not hexadecimal or too large");
    }
    enum insn_error error = insn_decode(code, code_size, insns, &bad_pc);
    if (error != INSN_OK) {
        printf("instruction %u: %s\n", (unsigned)bad_pc, insn_error_text(error));
        return 1;
    }
    const struct raw_source source = {
        .insns = insns, .insn_count = (uint32_t)(code_size / INSN_SLOT_SIZE), .helper = helper};
#if defined(PLUGIN_NATIVE)
    if (choice == CHOOSE_NATIVE) {
        return run_native(&source, memory_size);
    }
#endif
    if (plat_init() != EBPF_SUCCESS) {
        return fail("the platform does not start");
    }
    int status = run_chosen(choice, &source, memory_size);
    plat_fini();
    return status;
}
