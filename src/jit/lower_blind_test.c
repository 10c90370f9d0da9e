// SPDX-License-Identifier: MIT
// Blinding: numbers that a program chose are nowhere in its code, whatever form they come in; keys depend on
// the seed and on nothing else.
#include "jit/jit.h"
#include "tests/test.h"

#include <string.h>

enum { SLOTS = 200, CODE = 8192 };

struct sample {
    struct insn insns[SLOTS];
    struct func func;
    struct jit_map map;
    uint8_t bytes[CODE];
    size_t size;
};
static _Alignas(16) uint8_t workspace[1 << 20];

static bool translate(struct sample *p, const char *text, uint8_t arch, bool blind, uint64_t seed)
{
    uint32_t count, line, bad_pc;
    if (isa_assemble(text, p->insns, SLOTS, &count, &line) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "line %u does not assemble", line);
        return false;
    }
    p->func = (struct func){.end = count};
    p->map = (struct jit_map){.address = 0x11225eadbeef3344};
    const struct jit_input input = {.insns = p->insns,
                                    .insn_count = count,
                                    .funcs = &p->func,
                                    .func_count = 1,
                                    .maps = &p->map,
                                    .map_count = 1};
    const struct jit_options options = {.arch = arch,
                                        .abi = arch == JIT_ARM64 ? JIT_ABI_AAPCS64 : JIT_ABI_SYSV,
                                        .passes = JIT_ALL_PASSES,
                                        .blind = blind,
                                        .blind_seed = seed};
    struct jit_code code = {.code = p->bytes, .capacity = CODE};
    memset(p->bytes, 0, sizeof(p->bytes));
    ebpf_result_t result = jit_translate(&input, &options, workspace, sizeof(workspace), &code, &bad_pc);
    CHECK_OK(result);
    p->size = code.size;
    return result == EBPF_SUCCESS;
}

static bool contains(const struct sample *p, const void *bytes, size_t size)
{
    for (size_t i = 0; i + size <= p->size; i++) {
        if (memcmp(p->bytes + i, bytes, size) == 0) {
            return true;
        }
    }
    return false;
}

// Each form with 0x5eadbeef, or with two bytes of it where there is room for no more.
static const char *const forms[] = {
    "r0 = *(u64 *)(r1 + 0)\nr0 += 0x5eadbeef\nexit\n",
    "r0 = *(u64 *)(r1 + 0)\nr0 ^= 0x5eadbeef\nexit\n",
    "r0 = *(u32 *)(r1 + 0)\nw0 |= 0x5eadbeef\nexit\n",
    "r0 = *(u32 *)(r1 + 0)\nw0 &= 0x5eadbeef\nexit\n",
    "r0 = *(u32 *)(r1 + 0)\nw0 *= 0x5eadbeef\nexit\n",
    "r0 = 0x5eadbeef\nexit\n",
    "r0 = 0x11225eadbeef3344 ll\nexit\n",
    "r0 = 0\nr2 = *(u64 *)(r1 + 0)\nif r2 == 0x5eadbeef goto +1\nr0 = 1\nexit\n",
    "r0 = 0\nr2 = *(u64 *)(r1 + 0)\nif w2 s< 0x5eadbeef goto +1\nr0 = 1\nexit\n",
    "r0 = 0\nr2 = *(u64 *)(r1 + 0)\nif r2 & 0x5eadbeef goto +1\nr0 = 1\nexit\n",
    "*(u32 *)(r1 + 0) = 0x5eadbeef\nr0 = 0\nexit\n",
    "*(u64 *)(r1 + 0) = 0x5eadbeef\nr0 = 0\nexit\n",
    "r0 = *(u64 *)(r1 + 0)\nr0 /= 0x5eadbeef\nexit\n",
    "r0 = *(u64 *)(r1 + 0)\nr0 %= 0x5eadbeef\nexit\n",
    "r0 = map 0 ll\nexit\n",
};

static void no_number_of_the_program_is_in_the_code(void)
{
    static const uint8_t chosen[] = {0xef, 0xbe, 0xad, 0x5e};
    static struct sample p;
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        bool there = translate(&p, forms[i], JIT_X86_64, false, 0) && contains(&p, chosen, sizeof(chosen));
        bool division = strstr(forms[i], "/=") != NULL; // by a factor instead
        if (!there && !division) {
            test_fail(__FILE__, __LINE__, "the test finds nothing without blinding: %s", forms[i]);
        }
        for (uint64_t seed = 0; seed < 50; seed++) {
            if (translate(&p, forms[i], JIT_X86_64, true, seed) && contains(&p, chosen, sizeof(chosen))) {
                test_fail(__FILE__, __LINE__, "seed %u: %s", (unsigned)seed, forms[i]);
            }
        }
    }
}

static void displacements_are_blinded(void)
{
    static const uint8_t chosen[] = {0xe5, 0x7e, 0x00, 0x00};
    static struct sample p;
    static const char *const accesses[] = {
        "r0 = *(u64 *)(r1 + 0x7ee5)\nexit\n",
        "r2 = *(u64 *)(r1 + 0)\n*(u8 *)(r1 + 0x7ee5) = r2\nr0 = 0\nexit\n",
        "r2 = *(u64 *)(r1 + 0)\nlock *(u64 *)(r1 + 0x7ee5) += r2\nr0 = 0\nexit\n",
        "r1 += 0x7ee5\nr0 = *(u64 *)(r1 + 0)\nexit\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(accesses); i++) {
        CHECK(translate(&p, accesses[i], JIT_X86_64, false, 0) && contains(&p, chosen, sizeof(chosen)));
        CHECK(translate(&p, accesses[i], JIT_X86_64, true, 5) && !contains(&p, chosen, sizeof(chosen)));
    }
}

static void factors_of_divisions_are_blinded(void)
{
    // floor(2^64 / 1000) and so on depend on the divisor alone: they must not appear either.
    static struct sample plain, blinded;
    static const char text[] = "r0 = *(u64 *)(r1 + 0)\nr0 /= 1000003\nexit\n";
    REQUIRE(translate(&plain, text, JIT_X86_64, false, 0) && translate(&blinded, text, JIT_X86_64, true, 7));
    for (size_t i = 0; i + 10 <= plain.size; i++) {
        bool movabs = (plain.bytes[i] & 0xfe) == 0x48 && (plain.bytes[i + 1] & 0xf8) == 0xb8;
        if (movabs) {
            CHECK(!contains(&blinded, plain.bytes + i + 2, 8));
        }
    }
}

static void keys_depend_on_the_seed(void)
{
    static struct sample a, b, c;
    REQUIRE(translate(&a, forms[0], JIT_X86_64, true, 1) && translate(&b, forms[0], JIT_X86_64, true, 2));
    REQUIRE(translate(&c, forms[0], JIT_X86_64, true, 1));
    CHECK(a.size == c.size && memcmp(a.bytes, c.bytes, a.size) == 0);
    CHECK(a.size != b.size || memcmp(a.bytes, b.bytes, a.size) != 0);
}

TEST_SUITE(lower_blind)
{
    RUN(no_number_of_the_program_is_in_the_code);
    RUN(displacements_are_blinded);
    RUN(factors_of_divisions_are_blinded);
    RUN(keys_depend_on_the_seed);
}
