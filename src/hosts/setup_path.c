// SPDX-License-Identifier: MIT
// setup_path: walks the entries of a list. Entries of others are kept byte for byte, empty ones too.
#include "hosts/setup_path.h"

#include <wctype.h>

struct entry {
    const wchar_t *start;
    size_t length;
};

// The entry at *list; moves behind its semicolon. False at the end.
static bool next_entry(const wchar_t **list, struct entry *out)
{
    if (*list == NULL) {
        return false;
    }
    const wchar_t *end = wcschr(*list, L';');
    out->start = *list;
    out->length = end != NULL ? (size_t)(end - *list) : wcslen(*list);
    *list = end != NULL ? end + 1 : NULL;
    return true;
}

static struct entry trimmed(struct entry e)
{
    if (e.length >= 2 && e.start[0] == L'"' && e.start[e.length - 1] == L'"') {
        e.start++;
        e.length -= 2;
    }
    while (e.length > 0 && e.start[e.length - 1] == L'\\') {
        e.length--;
    }
    return e;
}

static bool is_same(struct entry e, const wchar_t *folder)
{
    struct entry a = trimmed(e), b = trimmed((struct entry){folder, wcslen(folder)});
    if (a.length != b.length) {
        return false;
    }
    for (size_t i = 0; i < a.length; i++) {
        if (towlower((wint_t)a.start[i]) != towlower((wint_t)b.start[i])) {
            return false;
        }
    }
    return true;
}

static bool is_in(const wchar_t *folder, const wchar_t *outer)
{
    size_t length = wcslen(outer);
    struct entry start = {folder, length};
    return wcslen(folder) >= length && is_same(start, outer) &&
           (folder[length] == 0 || folder[length] == L'\\');
}

bool setup_path_is_fit(const wchar_t *folder, const wchar_t *windows)
{
    struct entry e = trimmed((struct entry){folder, wcslen(folder)});
    bool is_drive = e.length == 0 || e.start[e.length - 1] == L':';
    return !is_drive && wcspbrk(folder, L";\"") == NULL && !is_in(folder, windows);
}

bool setup_path_contains(const wchar_t *list, const wchar_t *folder)
{
    struct entry e;
    while (next_entry(&list, &e)) {
        if (is_same(e, folder)) {
            return true;
        }
    }
    return false;
}

void setup_path_add(const wchar_t *list, const wchar_t *folder, wchar_t *out)
{
    size_t length = wcslen(list);
    wmemcpy(out, list, length);
    if (length > 0 && list[length - 1] != L';') {
        out[length++] = L';';
    }
    wmemcpy(out + length, folder, wcslen(folder) + 1);
}

void setup_path_remove(const wchar_t *list, const wchar_t *folder, wchar_t *out)
{
    struct entry e;
    bool first = true;
    while (next_entry(&list, &e)) {
        if (is_same(e, folder)) {
            continue;
        }
        if (!first) {
            *out++ = L';';
        }
        wmemcpy(out, e.start, e.length);
        out += e.length;
        first = false;
    }
    *out = 0;
}
