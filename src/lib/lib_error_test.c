// SPDX-License-Identifier: MIT
// Tests of the edge: errno, option structures, messages, texts.
#include <errno.h>

#include "lib/lib_testing.h"

static void results_become_errno(void)
{
    errno = 0;
    CHECK_EQ(lib_result(EBPF_SUCCESS), 0);
    CHECK_EQ(errno, 0);
    CHECK_EQ(lib_result(EBPF_INVALID_ARGUMENT), (unsigned long long)-EINVAL);
    CHECK_EQ(errno, EINVAL);
    CHECK_EQ(lib_result(EBPF_VERIFICATION_FAILED), (unsigned long long)-EACCES);
    CHECK_EQ(lib_result(EBPF_KEY_NOT_FOUND), (unsigned long long)-ENOENT);
    CHECK_EQ(lib_result(EBPF_INVALID_FD), (unsigned long long)-EBADF);
    CHECK_EQ(lib_result(EBPF_ELF_PARSING_FAILED), (unsigned long long)-LIBBPF_ERRNO__FORMAT);
    CHECK_EQ(errno, LIBBPF_ERRNO__FORMAT);
}

// Every result has an errno of its own kind and a text.
static void all_results_translate(void)
{
    for (int i = 1; i < EBPF_RESULT_COUNT; i++) {
        CHECK(ebpf_result_errno((ebpf_result_t)i) > 0);
        CHECK(ebpf_result_text((ebpf_result_t)i)[0] != 0);
    }
}

static void errors_of_pointers(void)
{
    int x;
    lib_fail(ENOMEM);
    CHECK_EQ(libbpf_get_error(NULL), (unsigned long long)-ENOMEM);
    CHECK_EQ(libbpf_get_error(&x), 0);
}

struct grown {
    struct bpf_map_create_opts known;
    uint64_t later;
};

static void options_may_grow(void)
{
    struct grown opts = {{.sz = sizeof(opts)}, 0};
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    CHECK(lib_opts_valid(NULL, 1, "none"));
    CHECK(LIB_OPTS_VALID(&opts.known, bpf_map_create_opts));
    opts.later = 1;
    CHECK(!LIB_OPTS_VALID(&opts.known, bpf_map_create_opts));
    libbpf_set_print(former);
}

static void options_may_be_short(void)
{
    LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = 5, .numa_node = 6);
    libbpf_print_fn_t former = libbpf_set_print(NULL);
    opts.sz = offsetof(struct bpf_map_create_opts, numa_node);
    CHECK(LIB_OPTS_VALID(&opts, bpf_map_create_opts));
    CHECK_EQ(LIB_OPTS_GET(&opts, map_flags, 0), 5);
    CHECK_EQ(LIB_OPTS_GET(&opts, numa_node, 9), 9); // the caller's header does not know it
    opts.sz = sizeof(size_t) - 1;
    CHECK(!LIB_OPTS_VALID(&opts, bpf_map_create_opts));
    libbpf_set_print(former);
}

static unsigned printed;

static int count_messages(enum libbpf_print_level level, const char *format, va_list args)
{
    UNUSED(args);
    UNUSED(format);
    printed += level == LIBBPF_WARN;
    errno = 77;
    return 0;
}

static void messages_go_to_the_callback(void)
{
    libbpf_print_fn_t former = libbpf_set_print(count_messages);
    printed = 0;
    errno = 5;
    lib_warn("%d\n", 1);
    CHECK_EQ(printed, 1);
    CHECK_EQ(errno, 5); // kept
    CHECK(libbpf_set_print(NULL) == count_messages);
    lib_warn("%d\n", 2);
    CHECK_EQ(printed, 1);
    libbpf_set_print(former);
}

static void texts_of_errors(void)
{
    char text[64];
    CHECK_EQ(libbpf_strerror(-LIBBPF_ERRNO__FORMAT, text, sizeof(text)), 0);
    CHECK_STR(text, "the object file is malformed");
    CHECK_EQ(libbpf_strerror(ENOENT, text, sizeof(text)), 0);
    CHECK_STR(text, strerror(ENOENT));
    CHECK_EQ(libbpf_strerror(4900, text, sizeof(text)), (unsigned long long)-ENOENT);
    CHECK_STR(text, "unknown library error 4900");
    CHECK_EQ(libbpf_strerror(ENOENT, text, 4), (unsigned long long)-ERANGE);
    CHECK_EQ(str_len(text), 3);
    CHECK_EQ(libbpf_strerror(ENOENT, NULL, 0), (unsigned long long)-EINVAL);
}

TEST_SUITE(lib_error)
{
    RUN(results_become_errno);
    RUN(all_results_translate);
    RUN(errors_of_pointers);
    RUN(options_may_grow);
    RUN(options_may_be_short);
    RUN(messages_go_to_the_callback);
    RUN(texts_of_errors);
}
