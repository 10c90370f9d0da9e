// SPDX-License-Identifier: MIT
// Random programs in the reference machine and in the engines: 10,000 of them, a million with EBPF_NIGHTLY
// (a tenth on arm64), each in the configuration that programs are loaded with and in some others.
// DIFFERENTIAL_SEED starts elsewhere, DIFFERENTIAL_COUNT sets how many, DIFFERENTIAL_CONFIGS in how many
// configurations.
#include <stdio.h>
#include <string.h>

#include "tests/jit/differential.h"
#include "tests/test.h"

enum { PROGRAMS = 10000, MAX_SHOWN = 3 };
#if defined(__aarch64__)
enum { CONFIGS = 2, NIGHTLY = 100000 }; // in an emulator
#else
enum { CONFIGS = 4, NIGHTLY = 1000000 };
#endif

static struct generator generator;
static struct subject subject, scratch;
static unsigned shown;

static void put(const char *line)
{
    printf("%s\n", line);
}

static bool differs_in(const struct subject *s, const void *user, struct difference *d)
{
    return native_differs(s, user, d);
}

static bool differs_in_interp(const struct subject *s, const void *user, struct difference *d)
{
    UNUSED(user);
    return interp_differs(s, d);
}

// Whatever can be turned off without the difference going away is turned off; passes are turned on.
static void simplify_config(struct config *c)
{
    struct difference d;
    struct config plain, next;
    config_choose(&plain, subject.seed, 0);
    bool *const flags[] = {&next.options.native_frame, &next.options.blind, &next.options.retpoline,
                           &next.options.no_landing};
    for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
        next = *c;
        *flags[i] = false;
        *c = native_differs(&subject, &next, &d) ? next : *c;
    }
    for (unsigned i = 0; i < JIT_PASS_COUNT; i++) {
        next = *c;
        next.options.passes |= (uint32_t)1 << i;
        *c = native_differs(&subject, &next, &d) ? next : *c;
    }
    next = *c;
    next.options.abi = plain.options.abi;
    *c = native_differs(&subject, &next, &d) ? next : *c;
    next = *c;
    next.options.registers = 0;
    *c = native_differs(&subject, &next, &d) ? next : *c;
    next = *c;
    next.options.cpu = 0;
    *c = native_differs(&subject, &next, &d) ? next : *c;
}

static void print_culprits(const struct config *c)
{
    static const char *const names[] = {
#define PASS(id, name, function, needed) name,
#include "jit/jit_passes.def"
#undef PASS
    };
    printf("it goes away without any one of:");
    for (unsigned i = 0; i < JIT_PASS_COUNT; i++) {
        struct difference d;
        struct config next = *c;
        next.options.passes &= ~((uint32_t)1 << i);
        if ((c->options.passes >> i & 1) != 0 && !native_differs(&subject, &next, &d)) {
            printf(" %s", names[i]);
        }
    }
    printf("\n");
}

static void report(uint64_t seed, const struct config *config)
{
    char text[256];
    struct config c = {0};
    struct difference d;
    if (++shown > MAX_SHOWN) {
        return;
    }
    if (config != NULL) {
        c = *config;
        simplify_config(&c);
        subject_reduce(&subject, &scratch, differs_in, &c);
        simplify_config(&c);
        config_print(&c, text, sizeof(text));
        (void)subject_expect(&subject);
        (void)native_differs(&subject, &c, &d);
    } else {
        str_format(text, sizeof(text), "interpreter");
        subject_reduce(&subject, &scratch, differs_in_interp, NULL);
        (void)subject_expect(&subject);
        (void)interp_differs(&subject, &d);
    }
    printf("---- DIFFERENTIAL_SEED=%llu DIFFERENTIAL_COUNT=1, cut down:\n%s\n%s\n", (unsigned long long)seed,
           text, d.text);
    subject_print(&subject, put);
    if (config != NULL) {
        print_culprits(&c);
    }
    fflush(stdout);
}

static void try_subject(uint64_t seed, unsigned *differing, unsigned *meaningless)
{
    struct difference d;
    struct config c;
    char text[256];
    subject_make(&subject, &generator, seed);
    if (!subject_expect(&subject)) {
        ++*meaningless;
        return;
    }
    if (interp_differs(&subject, &d)) {
        test_fail(__FILE__, __LINE__, "seed %llu, interpreter: %s", (unsigned long long)seed, d.text);
        ++*differing;
        report(seed, NULL);
        return;
    }
    for (unsigned i = 0; i < test_setting("DIFFERENTIAL_CONFIGS", CONFIGS); i++) {
        config_choose(&c, seed, i);
        if (native_differs(&subject, &c, &d)) {
            config_print(&c, text, sizeof(text));
            test_fail(__FILE__, __LINE__, "seed %llu, %s: %s", (unsigned long long)seed, text, d.text);
            ++*differing;
            if (strstr(d.text, NATIVE_ENDLESS) == NULL) { // each step of a reduction would take its time
                report(seed, &c);
            }
            return;
        }
    }
}

static void engines_agree(void)
{
    uint64_t first = test_setting("DIFFERENTIAL_SEED", 1);
    uint64_t count = test_setting("DIFFERENTIAL_COUNT", test_is_nightly() ? NIGHTLY : PROGRAMS);
    unsigned differing = 0, meaningless = 0;
    for (uint64_t seed = first; seed < first + count && differing < 20; seed++) {
        try_subject(seed, &differing, &meaningless);
    }
    CHECK(meaningless <= count / 100);
}

TEST_SUITE(differential)
{
    if (!native_open()) {
        test_fail(__FILE__, __LINE__, "there are no pages for machine code");
        return;
    }
    RUN(engines_agree);
    differential_interp_close();
    native_close();
}
