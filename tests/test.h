// SPDX-License-Identifier: MIT
// test: the whole test framework. A file <x>_test.c defines TEST_SUITE(<x>), which names its cases with RUN.
// The same file runs in a process, under Wine and (core tests) inside the driver.
#pragma once

#include "base/base.h"

struct test_state {
    const char *filter; // run only cases whose name contains it; NULL: all
    const char *name;   // running case
    unsigned failed_checks, passed, failed, skipped;
};
extern struct test_state test_state;

#define TEST_SUITE(name)                                                                                     \
    void test_suite_##name(void);                                                                            \
    void test_suite_##name(void)

// Runs a case `static void body(void)` and counts it.
#define RUN(body)                                                                                            \
    do {                                                                                                     \
        if (test_begin(__FILE__, #body)) {                                                                   \
            body();                                                                                          \
            test_end();                                                                                      \
        }                                                                                                    \
    } while (0)
// The same for a body that takes one argument, with a name of its own (data-driven cases).
#define RUN_WITH(name, body, argument)                                                                       \
    do {                                                                                                     \
        if (test_begin(__FILE__, name)) {                                                                    \
            body(argument);                                                                                  \
            test_end();                                                                                      \
        }                                                                                                    \
    } while (0)

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            test_fail(__FILE__, __LINE__, "%s", #condition);                                                 \
        }                                                                                                    \
    } while (0)
// Leaves the case when the condition fails.
#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            test_fail(__FILE__, __LINE__, "%s", #condition);                                                 \
            return;                                                                                          \
        }                                                                                                    \
    } while (0)
#define CHECK_EQ(a, b)                                                                                       \
    do {                                                                                                     \
        unsigned long long a_ = (unsigned long long)(a), b_ = (unsigned long long)(b);                       \
        if (a_ != b_) {                                                                                      \
            test_fail(__FILE__, __LINE__, "%s is %llu (0x%llx), not %llu (0x%llx)", #a, a_, a_, b_, b_);     \
        }                                                                                                    \
    } while (0)
#define CHECK_STR(a, b)                                                                                      \
    do {                                                                                                     \
        const char *a_ = (a), *b_ = (b);                                                                     \
        if (!str_equal(a_, b_)) {                                                                            \
            test_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #a, a_, b_);                           \
        }                                                                                                    \
    } while (0)
#define CHECK_OK(expr)   CHECK_EQ(expr, EBPF_SUCCESS)
#define REQUIRE_OK(expr) REQUIRE((expr) == EBPF_SUCCESS)
#define SKIP(reason)                                                                                         \
    do {                                                                                                     \
        test_skip(reason);                                                                                   \
        return;                                                                                              \
    } while (0)

// Of the environment, and so only in processes: a number, and whether EBPF_NIGHTLY=1 asks for all that there
// is.
uint64_t test_setting(const char *name, uint64_t otherwise);
bool test_is_nightly(void);

bool test_begin(const char *file, const char *name);
void test_end(void);
void test_fail(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
void test_skip(const char *reason);
// malloc-backed source that can fail: the n-th allocation from now (1 = next) returns NULL once; 0 = never.
const struct mem_source *test_mem_source(void);
void test_mem_fail(unsigned long nth);
unsigned long test_mem_live(void); // allocations of the source not freed yet
