// SPDX-License-Identifier: MIT
// PATH with our folder and without.
#include "hosts/setup_path.h"
#include "tests/test.h"

#define OURS L"C:\\Program Files\\ebpf"

static bool is_text(const wchar_t *a, const wchar_t *b)
{
    return wcscmp(a, b) == 0;
}

static void entries_are_found(void)
{
    CHECK(setup_path_contains(OURS, OURS));
    CHECK(setup_path_contains(L"C:\\windows;" OURS, OURS));
    CHECK(setup_path_contains(OURS L"\\;C:\\windows", OURS));
    CHECK(setup_path_contains(L"a;\"c:\\PROGRAM files\\EBPF\\\";b", OURS));
    CHECK(setup_path_contains(L"a;;" OURS L";", OURS));
    CHECK(!setup_path_contains(L"", OURS));
    CHECK(!setup_path_contains(OURS L"2;C:\\Program Files", OURS));
    CHECK(!setup_path_contains(L"x" OURS, OURS));
}

static void entries_are_added(void)
{
    wchar_t out[128];
    setup_path_add(L"", OURS, out);
    CHECK(is_text(out, OURS));
    setup_path_add(L"C:\\a", OURS, out);
    CHECK(is_text(out, L"C:\\a;" OURS));
    setup_path_add(L"C:\\a;", OURS, out);
    CHECK(is_text(out, L"C:\\a;" OURS));
}

static void entries_are_removed(void)
{
    static const struct {
        const wchar_t *before, *after;
    } cases[] = {
        {OURS, L""},
        {L"C:\\a;" OURS, L"C:\\a"},
        {OURS L";C:\\a", L"C:\\a"},
        {L"C:\\a;" OURS L"\\;C:\\b", L"C:\\a;C:\\b"},
        {OURS L";" OURS, L""},
        {L"C:\\a;;%X%;", L"C:\\a;;%X%;"},
        {L"", L""},
        {L"\"C:\\q;r\"", L"\"C:\\q;r\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        wchar_t out[128];
        setup_path_remove(cases[i].before, OURS, out);
        CHECK(is_text(out, cases[i].after));
    }
}

static void adding_and_removing_is_nothing(void)
{
    wchar_t with[128], without[128];
    setup_path_add(L"C:\\windows;C:\\x", OURS, with);
    setup_path_remove(with, OURS, without);
    CHECK(is_text(without, L"C:\\windows;C:\\x"));
}

static void folders_that_are_not_ours_are_refused(void)
{
    static const wchar_t *const fit[] = {OURS, L"D:\\e", L"C:\\WindowsX", L"C:\\Win", L"\\\\host\\share\\e"};
    static const wchar_t *const unfit[] = {
        L"C:\\", L"C:", L"", L"C:\\windows", L"c:\\WINDOWS\\System32", L"C:\\a;C:\\b", L"C:\\a\"b"};
    for (size_t i = 0; i < ARRAY_SIZE(fit); i++) {
        CHECK(setup_path_is_fit(fit[i], L"C:\\Windows"));
    }
    for (size_t i = 0; i < ARRAY_SIZE(unfit); i++) {
        CHECK(!setup_path_is_fit(unfit[i], L"C:\\Windows"));
    }
}

TEST_SUITE(setup_path)
{
    RUN(folders_that_are_not_ours_are_refused);
    RUN(entries_are_found);
    RUN(entries_are_added);
    RUN(entries_are_removed);
    RUN(adding_and_removing_is_nothing);
}
