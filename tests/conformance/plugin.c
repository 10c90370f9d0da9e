// SPDX-License-Identifier: MIT
// bpf_conformance_plugin [MEM]: one program of the public conformance suite
// (github.com/Alan-Jowett/bpf_conformance). MEM and standard input are hexadecimal bytes in pairs, separated
// by blanks: the memory of the program (r1 points to it, r2 is its length) and its instructions. Prints r0 in
// hexadecimal; a failure is a line on standard output and exit status 1. Helper 5 returns its first argument.
// Arguments that start with "--" are refused: no ELF mode.
#include <stdio.h>
#include <stdlib.h>

#include "isa/isa.h"
#include "plat/plat.h"
#include "runtime/runtime.h"

enum { MAX_SLOTS = 4096, MAX_BYTES = MAX_SLOTS * INSN_SLOT_SIZE, MAX_TEXT = MAX_BYTES * 4 };
static char text[MAX_TEXT + 1];
static uint8_t code[MAX_BYTES], memory[MAX_BYTES];
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

static int run(const struct interp_raw *program)
{
    const struct runtime_options options = {.spec = spec_builtin()};
    struct runtime *rt;
    uint64_t result;
    if (plat_init() != EBPF_SUCCESS || runtime_create(&options, &rt) != EBPF_SUCCESS) {
        return fail("the runtime does not start");
    }
    ebpf_result_t error = interp_run_raw(rt, program, &result);
    runtime_destroy(rt);
    plat_fini();
    if (error != EBPF_SUCCESS) {
        return fail(result_row(error)->sentence);
    }
    printf("%llx\n", (unsigned long long)result);
    return 0;
}

int main(int argc, char **argv)
{
    size_t code_size, memory_size = 0;
    uint32_t bad_pc;
    if (argc > 2 || (argc == 2 && str_starts_with(argv[1], "--"))) {
        return fail("usage: bpf_conformance_plugin [MEM]");
    }
    if (argc == 2 && !read_hex(argv[1], memory, sizeof(memory), &memory_size)) {
        return fail("the memory is not hexadecimal or too large");
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
    return run(&(struct interp_raw){.insns = insns,
                                    .insn_count = (uint32_t)(code_size / INSN_SLOT_SIZE),
                                    .mem = memory_size != 0 ? memory : NULL,
                                    .mem_size = memory_size,
                                    .helper = helper});
}
