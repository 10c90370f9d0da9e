// SPDX-License-Identifier: MIT
// ebpf_generate_native: what becomes of objects that are good, rejected, not there; memory that runs out.
#include "lib/lib_int.h"
#include "tests/sameness.h"
#include "tests/test.h"

static const char *object(const char *name, char path[256])
{
    str_format(path, 256, "%s/tests/elf/%s", TEST_SOURCE_DIR, name);
    return path;
}

static void count(void *user, const char *text, size_t size)
{
    UNUSED(text);
    *(size_t *)user += size;
}

struct outcome {
    ebpf_result_t result;
    bool accepted;
    size_t size;
    char message[160];
};

static struct outcome generate(const char *name, const char *type)
{
    struct outcome o = {.size = 0};
    struct ebpf_verify_report *report = NULL;
    const char *message = NULL;
    char path[256];
    LIBBPF_OPTS(ebpf_native_opts, opts, .type = type, .write = count, .sha256 = sameness, .user = &o.size);
    o.result = ebpf_generate_native(object(name, path), &opts, &report, &message);
    o.accepted = report != NULL && report->accepted;
    str_copy(o.message, sizeof(o.message), message != NULL ? message : "");
    ebpf_verify_free(report);
    ebpf_free_string(message);
    return o;
}

static void good_objects_are_written(void)
{
    struct outcome o = generate("neutral.o", NULL);
    CHECK_OK(o.result);
    CHECK(o.accepted);
    CHECK(o.size > 1000);
    CHECK_STR(o.message, "");
}

static void rejected_objects_are_not(void)
{
    struct outcome o = generate("rich.o", NULL);
    CHECK_OK(o.result);
    CHECK(!o.accepted);
    CHECK_EQ(o.size, 0);
}

static void what_cannot_run_is_said(void)
{
    struct outcome o = generate("neutral.o", "socket_filter");
    CHECK_OK(o.result);
    CHECK(!o.accepted || o.message[0] != '\0');
    CHECK_EQ(o.size, 0);
}

static void arguments_are_checked(void)
{
    struct ebpf_verify_report *report = NULL;
    const char *message = NULL;
    char path[256];
    LIBBPF_OPTS(ebpf_native_opts, opts);
    CHECK_EQ(ebpf_generate_native(object("neutral.o", path), &opts, &report, &message),
             EBPF_INVALID_ARGUMENT);
    CHECK_EQ(ebpf_generate_native(NULL, &opts, &report, &message), EBPF_INVALID_ARGUMENT);
    CHECK_EQ(generate("nothing.o", NULL).result, EBPF_FILE_NOT_FOUND);
    CHECK(str_starts_with(ebpf_native_header(), "// SPDX-License-Identifier: MIT\n// ebpf_native:"));
    CHECK(str_starts_with(ebpf_native_driver_header(),
                          "// SPDX-License-Identifier: MIT\n// ebpf_native_driver:"));
}

static void memory_may_run_out(void)
{
    struct outcome o = {.result = EBPF_NO_MEMORY};
    for (unsigned long nth = 1; nth < 1000 && o.result != EBPF_SUCCESS; nth++) {
        lib_alloc_fail(nth);
        o = generate("neutral.o", NULL);
        CHECK(o.result == EBPF_SUCCESS || o.result == EBPF_NO_MEMORY);
        CHECK_EQ(lib_alloc_live(), 0);
    }
    lib_alloc_fail(0);
    CHECK(o.accepted);
}

TEST_SUITE(lib_native)
{
    RUN(good_objects_are_written);
    RUN(rejected_objects_are_not);
    RUN(what_cannot_run_is_said);
    RUN(arguments_are_checked);
    RUN(memory_may_run_out);
}
