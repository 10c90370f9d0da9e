// SPDX-License-Identifier: MIT
// Random programs, translated for both architectures in all modes and looked through instruction by
// instruction. Nothing runs here.
#include <stdio.h>
#include <stdlib.h>

#include "tests/jit/differential.h"
#include "tests/jit/scan.h"
#include "tests/test.h"

enum {
    PROGRAMS = 1500,
    CONFIGS = 6,
    WORKSPACE = 16 << 20,
    CODE = 1 << 20,
    MAX_CALLS = 16384,
    MAX_FRAMES = 64
};

static struct generator generator;
static struct subject subject;
static uint8_t workspace[WORKSPACE] __attribute__((aligned(64))), buffer[CODE];
static struct jit_call calls[MAX_CALLS];
static struct jit_frame frames[MAX_FRAMES];
static uint64_t insns, table_entries;

static ebpf_result_t translate(const struct jit_input *input, const struct jit_options *options,
                               struct jit_code *code)
{
    uint32_t bad_pc;
    *code = (struct jit_code){.code = buffer,
                              .capacity = sizeof(buffer),
                              .calls = calls,
                              .call_capacity = MAX_CALLS,
                              .frames = frames,
                              .frame_capacity = MAX_FRAMES};
    return jit_translate(input, options, workspace, sizeof(workspace), code, &bad_pc);
}

// A constant may be there by chance: then it is not there with another seed of the blinding.
static bool shows_constants(const struct jit_input *input, const struct jit_options *options)
{
    struct jit_options other = *options;
    for (unsigned turn = 0; turn < 2; turn++) {
        struct jit_code code;
        other.blind_seed = other.blind_seed * 0x9e3779b97f4a7c15u + 1;
        struct scan scan = {.input = input, .options = &other, .code = &code};
        if (translate(input, &other, &code) != EBPF_SUCCESS || !scan_code(&scan) || !scan.has_constant) {
            return false;
        }
    }
    return true;
}

static bool scan_program(const struct jit_input *input, const struct config *c, uint64_t seed)
{
    struct jit_code code;
    struct scan scan = {.input = input, .options = &c->options, .code = &code};
    char text[256];
    ebpf_result_t result = translate(input, &c->options, &code);
    if (result != EBPF_SUCCESS) {
        str_format(scan.why, sizeof(scan.why), "%s", result_row(result)->sentence);
    } else if (scan_code(&scan)) {
        insns += scan.insns;
        table_entries += scan.table_entries;
        if (!scan.has_constant || !shows_constants(input, &c->options)) {
            return true;
        }
        str_format(scan.why, sizeof(scan.why), "a constant of the program is in the code");
    }
    config_print(c, text, sizeof(text));
    test_fail(__FILE__, __LINE__, "seed %llu, %s: %s", (unsigned long long)seed, text, scan.why);
    return false;
}

static void choose(struct config *c, uint64_t seed, unsigned index, unsigned arch)
{
    config_choose(c, seed, index);
    c->options.arch = (uint8_t)arch;
    if (arch == JIT_ARM64) {
        c->options.abi = JIT_ABI_AAPCS64;
        c->options.cpu = (seed + index) % 2 == 0 ? JIT_CPU_LSE : 0;
    } else if (c->options.abi == JIT_ABI_AAPCS64) {
        c->options.abi = JIT_ABI_SYSV;
    }
}

static void all_code_is_clean(const unsigned *arch)
{
    struct config c;
    unsigned dirty = 0;
    uint64_t first = test_setting("DIFFERENTIAL_SEED", 1),
             count = test_setting("DIFFERENTIAL_COUNT", PROGRAMS);
    insns = table_entries = 0;
    for (uint64_t seed = first; seed < first + count && dirty < 10; seed++) {
        subject_make(&subject, &generator, seed);
        const struct jit_input *input = subject_bind(&subject, native_abi());
        for (unsigned i = 0; i < CONFIGS; i++) {
            choose(&c, seed, i, *arch);
            dirty += scan_program(input, &c, seed) ? 0 : 1;
        }
    }
    CHECK(insns >= count * 100 || count < 100);
    CHECK(table_entries >= count / 10);
}

// --- the scanner itself --------------------------------------------------------------------------

static const struct bad_code {
    const char *name;
    unsigned arch;
    bool retpoline, no_landing;
    uint8_t size, bytes[16];
} bad_codes[] = {
    {"syscall", JIT_X86_64, false, true, 3, {0x0f, 0x05, 0xc3}},
    {"hlt", JIT_X86_64, false, true, 2, {0xf4, 0xc3}},
    {"wrmsr", JIT_X86_64, false, true, 3, {0x0f, 0x30, 0xc3}},
    {"in", JIT_X86_64, false, true, 2, {0xec, 0xc3}},
    {"ud2", JIT_X86_64, false, true, 3, {0x0f, 0x0b, 0xc3}},
    {"movaps", JIT_X86_64, false, true, 4, {0x0f, 0x28, 0xc1, 0xc3}},
    {"no instruction", JIT_X86_64, false, true, 1, {0x06}},
    {"no landing pad", JIT_X86_64, false, false, 1, {0xc3}},
    {"a prefix without use", JIT_X86_64, false, true, 3, {0x3e, 0xff, 0xe0}},
    {"mov rsp, rax", JIT_X86_64, false, true, 7, {0x48, 0x89, 0xc4, 0x31, 0xc0, 0xff, 0xc3}},
    {"jmp rax with retpolines", JIT_X86_64, true, true, 2, {0xff, 0xe0}},
    {"jump out of the code", JIT_X86_64, false, true, 2, {0xeb, 0x40}},
    {"runs off its end", JIT_X86_64, false, true, 2, {0x31, 0xc0}},
    {"svc", JIT_ARM64, false, true, 8, {0x01, 0x00, 0x00, 0xd4, 0xc0, 0x03, 0x5f, 0xd6}},
    {"msr", JIT_ARM64, false, true, 8, {0x00, 0x42, 0x1b, 0xd5, 0xc0, 0x03, 0x5f, 0xd6}},
    {"fadd", JIT_ARM64, false, true, 8, {0x20, 0x28, 0x62, 0x1e, 0xc0, 0x03, 0x5f, 0xd6}},
    {"no landing pad", JIT_ARM64, false, false, 4, {0xc0, 0x03, 0x5f, 0xd6}},
    {"mov x18, x0", JIT_ARM64, false, true, 8, {0xf2, 0x03, 0x00, 0xaa, 0xc0, 0x03, 0x5f, 0xd6}},
    {"ldr x0, [x18]", JIT_ARM64, false, true, 8, {0x40, 0x02, 0x40, 0xf9, 0xc0, 0x03, 0x5f, 0xd6}},
    {"ldr x0, [x1, x18]", JIT_ARM64, false, true, 8, {0x20, 0x68, 0x72, 0xf8, 0xc0, 0x03, 0x5f, 0xd6}},
    {"ldaddal x18, x0, [x1]", JIT_ARM64, false, true, 8, {0x20, 0x00, 0xf2, 0xf8, 0xc0, 0x03, 0x5f, 0xd6}},
    {"mov sp, x0",
     JIT_ARM64,
     false,
     true,
     12,
     {0x1f, 0x00, 0x00, 0x91, 0x20, 0x00, 0x02, 0x8b, 0xc0, 0x03, 0x5f, 0xd6}},
};

static void bad_code_is_refused(const struct bad_code *b)
{
    const struct jit_options options = {
        .arch = (uint8_t)b->arch, .retpoline = b->retpoline, .no_landing = b->no_landing};
    const struct jit_input input = {.insn_count = 0};
    memcpy(buffer, b->bytes, sizeof(b->bytes));
    struct jit_code code = {.code = buffer, .size = b->size};
    struct scan scan = {.input = &input, .options = &options, .code = &code};
    CHECK(!scan_code(&scan));
    CHECK(scan.why[0] != 0);
}

static void constants_are_seen(void)
{
    static const uint8_t mov_eax[] = {0xb8, 0x78, 0x56, 0x34, 0x12, 0xc3};
    const struct insn insn = {.id = INSN_MOV64_IMM, .imm = 0x12345678};
    const struct jit_options options = {.no_landing = true, .blind = true};
    const struct jit_input input = {.insns = &insn, .insn_count = 1};
    memcpy(buffer, mov_eax, sizeof(mov_eax));
    struct jit_code code = {.code = buffer, .size = sizeof(mov_eax)};
    struct scan scan = {.input = &input, .options = &options, .code = &code};
    CHECK(scan_code(&scan));
    CHECK(scan.has_constant);
}

TEST_SUITE(scan)
{
    static const unsigned archs[] = {JIT_X86_64, JIT_ARM64};
    for (unsigned i = 0; i < ARRAY_SIZE(bad_codes); i++) {
        RUN_WITH(bad_codes[i].name, bad_code_is_refused, &bad_codes[i]);
    }
    RUN(constants_are_seen);
    RUN_WITH("all_code_is_clean_x86_64", all_code_is_clean, &archs[0]);
    RUN_WITH("all_code_is_clean_arm64", all_code_is_clean, &archs[1]);
}
