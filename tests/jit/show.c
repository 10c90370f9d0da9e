// SPDX-License-Identifier: MIT
// jit_show: what the translation makes of a program, pass by pass, as text. For whoever works on a pass, and
// for docs/jit.md, whose listing is its output.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit/ir.h"

enum { MAX_INSNS = 65536, WORKSPACE = 64 << 20, CODE = 4 << 20, TEXT = 16 << 20 };

static const char usage[] =
    "usage: jit_show [OPTION]... FILE.s\n"
    "Translates an assembly file (the syntax of tests/isa) and shows the function after each pass that "
    "changed it,\n"
    "then the machine code in hex. r1 is the memory, r2 its size; calls are by number.\n"
    "  --arch x86_64|arm64   the machine (default: x86_64)\n"
    "  --windows             Microsoft's calling convention\n"
    "  --cpu HEX             CPU features (enum jit_cpu; default: all)\n"
    "  --off PASS            leave a pass out; may be repeated\n"
    "  --pass PASS           show only what comes out of this pass\n"
    "  --registers N         allocate N registers at most\n"
    "  --native-frame --blind --retpoline   as in struct jit_options\n";

struct show {
    struct jit_options options;
    const char *only, *file;
    char before[TEXT], now[TEXT];
    size_t length;
};
static struct show show;

static const char *const pass_names[JIT_PASS_COUNT] = {
#define PASS(id, name, ...) name,
#include "jit/jit_passes.def"
#undef PASS
};

static void collect(void *user, const char *line)
{
    struct show *s = user;
    size_t room = sizeof(s->now) - s->length;
    size_t length = str_format(s->now + s->length, room, "%s\n", line);
    s->length += length < room ? length : 0; // what is too long ends there
}

static void dump(void *user, const char *pass, const struct ir *ir)
{
    struct show *s = user;
    s->length = 0;
    s->now[0] = '\0';
    ir_print(ir, collect, s);
    bool wanted = s->only != NULL ? strcmp(s->only, pass) == 0 : strcmp(s->before, s->now) != 0;
    if (wanted) {
        printf("--- %s ---\n%s", pass, s->now);
    }
    memcpy(s->before, s->now, s->length + 1);
}

static bool find_pass(const char *name, unsigned *out)
{
    for (unsigned i = 0; i < JIT_PASS_COUNT; i++) {
        if (strcmp(pass_names[i], name) == 0) {
            *out = i;
            return true;
        }
    }
    fprintf(stderr, "jit_show: there is no pass '%s'; the passes:", name);
    for (unsigned i = 0; i < JIT_PASS_COUNT; i++) {
        fprintf(stderr, " %s", pass_names[i]);
    }
    fputc('\n', stderr);
    return false;
}

static bool set_flag(const char *word)
{
    struct jit_options *o = &show.options;
    if (strcmp(word, "--windows") == 0) {
        o->abi = JIT_ABI_WINDOWS;
    } else if (strcmp(word, "--native-frame") == 0) {
        o->native_frame = true;
    } else if (strcmp(word, "--blind") == 0) {
        o->blind = true;
    } else if (strcmp(word, "--retpoline") == 0) {
        o->retpoline = true;
    } else {
        return false;
    }
    return true;
}

// An option with an argument.
static bool set_option(const char *word, const char *argument)
{
    struct jit_options *o = &show.options;
    unsigned pass;
    if (strcmp(word, "--arch") == 0 && strcmp(argument, "arm64") == 0) {
        o->arch = JIT_ARM64;
        o->abi = JIT_ABI_AAPCS64;
    } else if (strcmp(word, "--arch") == 0) {
        return strcmp(argument, "x86_64") == 0;
    } else if (strcmp(word, "--cpu") == 0) {
        o->cpu = (uint32_t)strtoul(argument, NULL, 16);
    } else if (strcmp(word, "--registers") == 0) {
        o->registers = (uint32_t)strtoul(argument, NULL, 10);
    } else if (strcmp(word, "--off") == 0) {
        if (!find_pass(argument, &pass)) {
            return false;
        }
        o->passes &= ~((uint32_t)1 << pass);
    } else if (strcmp(word, "--pass") == 0) {
        show.only = argument;
        return find_pass(argument, &pass);
    } else {
        return false;
    }
    return true;
}

static bool read_arguments(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            show.file = argv[i];
        } else if (!set_flag(argv[i])) {
            if (i + 1 == argc || !set_option(argv[i], argv[i + 1])) {
                return false;
            }
            i++;
        }
    }
    return show.file != NULL;
}

static uint32_t read_program(struct insn *insns)
{
    static char text[TEXT];
    uint32_t count, line;
    FILE *f = fopen(show.file, "rb");
    if (f == NULL) {
        perror(show.file);
        return 0;
    }
    size_t size = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[size] = '\0';
    if (isa_assemble(text, insns, MAX_INSNS, &count, &line) != EBPF_SUCCESS) {
        fprintf(stderr, "%s:%u: this is no instruction\n", show.file, line);
        return 0;
    }
    return count;
}

static bool is_function(const struct insn *insns, uint32_t count, uint32_t pc)
{
    for (uint32_t i = 0; i < count; i++) {
        if (insns[i].id == INSN_CALL_LOCAL && insn_target(&insns[i], i) == pc) {
            return true;
        }
    }
    return pc == 0;
}

static uint32_t find_functions(const struct insn *insns, uint32_t count, struct func *funcs,
                               uint32_t capacity)
{
    uint32_t n = 0;
    for (uint32_t pc = 0; pc < count && n < capacity; pc++) {
        if (is_function(insns, count, pc)) {
            funcs[n].start = pc;
            funcs[n].end = count;
            if (n > 0) {
                funcs[n - 1].end = pc;
            }
            n++;
        }
    }
    return n;
}

static void print_code(const struct jit_code *code)
{
    printf("--- code: %zu bytes ---\n", code->size);
    for (size_t i = 0; i < code->size; i++) {
        printf("%02x%s", code->code[i], i % 16 == 15 || i + 1 == code->size ? "\n" : " ");
    }
}

int main(int argc, char **argv)
{
    static struct insn insns[MAX_INSNS];
    static struct func funcs[256];
    static _Alignas(16) uint8_t workspace[WORKSPACE], bytes[CODE];
    struct jit_code code = {.code = bytes, .capacity = sizeof(bytes)};
    uint32_t bad_pc;
    show.options = (struct jit_options){.arch = JIT_X86_64, .abi = JIT_ABI_SYSV, .cpu = UINT32_MAX};
    show.options.passes = JIT_ALL_PASSES;
    show.options.dump = dump;
    show.options.dump_user = &show;
    if (!read_arguments(argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    struct jit_input input = {
        .insns = insns, .funcs = funcs, .call_number = 1, .raw = true, .load_packet = 1};
    input.insn_count = read_program(insns);
    input.func_count = find_functions(insns, input.insn_count, funcs, ARRAY_SIZE(funcs));
    if (input.insn_count == 0) {
        return 2;
    }
    ebpf_result_t result = jit_translate(&input, &show.options, workspace, sizeof(workspace), &code, &bad_pc);
    if (result != EBPF_SUCCESS) {
        fprintf(stderr, "jit_show: %s at instruction %u\n", result_row(result)->name, bad_pc);
        return 1;
    }
    print_code(&code);
    return 0;
}
