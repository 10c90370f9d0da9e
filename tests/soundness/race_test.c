// SPDX-License-Identifier: MIT
// Memory that a program passes to a helper may change meanwhile: map values are shared with other programs
// and with user mode. What a helper has checked it must not read again (Linux only: threads).
#include <pthread.h>

#include "runtime/runtime_int.h"
#include "tests/test.h"

enum { CALLS = 1000000, TEXT = 8 };

// A text of TEXT bytes whose end comes and goes, and what lies behind it.
static struct {
    char text[TEXT];
    char behind[24];
} shared = {"abcdefg", "XXXXXXXXXXXXXXX"};
static uint32_t stop;
static unsigned leaks, texts;

static void remember(void *user, const char *text)
{
    UNUSED(user);
    texts++;
    for (; *text != '\0'; text++) {
        leaks += *text == 'X';
    }
}

static void *disturb(void *user)
{
    UNUSED(user);
    while (__atomic_load_n(&stop, __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(&shared.text[TEXT - 1], 'h', __ATOMIC_RELAXED);
        __atomic_store_n(&shared.text[TEXT - 1], '\0', __ATOMIC_RELAXED);
    }
    return NULL;
}

#if defined(__SANITIZE_THREAD__)
#define FINDS_RACES 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FINDS_RACES 1
#endif
#endif
#ifndef FINDS_RACES
#define FINDS_RACES 0
#endif

static void printk_of_changing_text(void)
{
    if (FINDS_RACES) {
        SKIP("the race is what this is about");
    }
    struct runtime_options options = {.spec = spec_builtin(), .trace = remember};
    struct run run = {0};
    pthread_t thread;
    helper_fn print = helper_function(spec_builtin(), PROG_TYPE_XDP, HELPER_TRACE_PRINTK);
    REQUIRE_OK(runtime_create(&options, &run.rt));
    REQUIRE(print != NULL && pthread_create(&thread, NULL, disturb, NULL) == 0);
    for (unsigned i = 0; i < CALLS; i++) {
        print((uintptr_t)shared.text, TEXT, 0, 0, 0, &run);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    runtime_destroy(run.rt);
    CHECK(texts != 0);
    CHECK_EQ(leaks, 0);
}

TEST_SUITE(race)
{
    RUN(printk_of_changing_text);
}
