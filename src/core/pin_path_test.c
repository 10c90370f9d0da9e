// SPDX-License-Identifier: MIT
// Canonical pin paths, by table.
#include "core/pin_path.h"
#include "tests/test.h"

static void spellings_have_one_form(void)
{
    static const struct {
        const char *path, *linux_form, *windows_form;
    } cases[] = {
        {"/sys/fs/bpf/x", "/sys/fs/bpf/x", "/sys/fs/bpf/x"},
        {"/ebpf/global/x", "/ebpf/global/x", "/ebpf/global/x"},
        {"x", "/sys/fs/bpf/x", "/ebpf/global/x"},
        {"a/b", "/sys/fs/bpf/a/b", "/ebpf/global/a/b"},
        {"./x", "/sys/fs/bpf/x", "/ebpf/global/x"},
        {"a/../x", "/sys/fs/bpf/x", "/ebpf/global/x"},
        {"BPF:x", "/sys/fs/bpf/x", "/ebpf/global/x"},
        {"BPF:\\x\\y", "/sys/fs/bpf/x/y", "/ebpf/global/x/y"},
        {"\\ebpf\\global\\x", "/ebpf/global/x", "/ebpf/global/x"},
        {"//sys///fs/bpf//x/", "/sys/fs/bpf/x", "/sys/fs/bpf/x"},
        {"/sys/./fs/bpf/./x/.", "/sys/fs/bpf/x", "/sys/fs/bpf/x"},
        {"/a/b/../../c", "/c", "/c"},
        {"/...", "/...", "/..."},
        {"/a b/\xc3\xa9", "/a b/\xc3\xa9", "/a b/\xc3\xa9"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[PIN_PATH_SIZE] = "";
        CHECK_OK(pin_path_canonicalize(DIALECT_LINUX, cases[i].path, out));
        CHECK_STR(out, cases[i].linux_form);
        CHECK_OK(pin_path_canonicalize(DIALECT_WINDOWS, cases[i].path, out));
        CHECK_STR(out, cases[i].windows_form);
        CHECK_OK(pin_path_canonicalize(DIALECT_WINDOWS, out, out)); // a canonical path is its own form
        CHECK_STR(out, cases[i].windows_form);
    }
}

static void bad_paths_are_refused(void)
{
    static const char *const cases[] = {
        "",      "/",      "//",           ".",    "..",    "/..",         "/a/../..",
        "../x",  "a/..",   "a/../..",      "BPF:", "BPF:/", "/sys/fs/bpf", "/sys/fs/bpf/",
        "/a\nb", "/a\x7f", "/a\x1b[31m/b", "x\t",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[PIN_PATH_SIZE] = "untouched";
        CHECK_EQ(pin_path_canonicalize(DIALECT_LINUX, cases[i], out), EBPF_INVALID_ARGUMENT);
        CHECK_STR(out, "untouched");
    }
}

static void length_is_bounded(void)
{
    char path[2 * PIN_PATH_SIZE], out[PIN_PATH_SIZE];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[PIN_PATH_SIZE - 1] = 0;
    CHECK_OK(pin_path_canonicalize(DIALECT_LINUX, path, out));
    CHECK_EQ(str_len(out), PIN_PATH_SIZE - 1);
    path[PIN_PATH_SIZE - 1] = 'a';
    path[PIN_PATH_SIZE] = 0;
    CHECK_EQ(pin_path_canonicalize(DIALECT_LINUX, path, out), EBPF_INVALID_ARGUMENT);
    path[PIN_PATH_SIZE - 11] = 0; // fits itself, but not below the root
    CHECK_EQ(pin_path_canonicalize(DIALECT_LINUX, path + 1, out), EBPF_INVALID_ARGUMENT);
    path[PIN_PATH_SIZE - 11] = '/'; // long on the way, short in the end
    str_copy(path + PIN_PATH_SIZE - 11, 16, "/../x");
    CHECK_OK(pin_path_canonicalize(DIALECT_LINUX, path, out));
    CHECK_STR(out, "/x");
}

TEST_SUITE(pin_path)
{
    RUN(spellings_have_one_form);
    RUN(bad_paths_are_refused);
    RUN(length_is_bounded);
}
