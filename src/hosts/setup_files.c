// SPDX-License-Identifier: MIT
// setup_files: puts the package's files where they belong. What was there under the same name is kept as
// NAME.previous until the whole installation is done, so that it can come back. In an installation "in place"
// the program's folder is that of the package: its files are only looked at.
#include <stdio.h>
#include <stdlib.h>

#include "hosts/setup.h"

#define PREVIOUS L".previous"

enum place { PLACE_DRIVERS, PLACE_PROGRAM };

static const struct {
    const wchar_t *package, *name;
    enum place place;
} rows[] = {
#define FILE_ROW(id, package, name, where) {L"" package, L"" name, PLACE_##where},
#include "hosts/setup_files.def"
#undef FILE_ROW
};

struct paths {
    wchar_t source[SETUP_PATH], target[SETUP_PATH], previous[SETUP_PATH];
    char utf8[SETUP_PATH]; // of the target
};

static DWORD find_paths(const struct setup *s, uint32_t file, struct paths *p)
{
    const wchar_t *folder = rows[file].place == PLACE_DRIVERS ? s->drivers : s->folder;
    DWORD error = setup_join(p->source, s->source, rows[file].package);
    error = error != 0 ? error : setup_join(p->target, folder, rows[file].name);
    if (error != 0 || wcslen(p->target) + wcslen(PREVIOUS) >= SETUP_PATH) {
        return ERROR_FILENAME_EXCED_RANGE;
    }
    swprintf(p->previous, SETUP_PATH, L"%ls" PREVIOUS, p->target);
    setup_utf8(p->target, p->utf8, sizeof(p->utf8));
    return 0;
}

static bool exists(const wchar_t *path)
{
    DWORD attributes = GetFileAttributesW(path);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) == 0;
}

static bool stays_where_it_is(const struct setup *s, uint32_t file)
{
    return s->in_place && rows[file].place == PLACE_PROGRAM;
}

DWORD setup_files_find_missing(const struct setup *s, struct plan_note *note)
{
    for (uint32_t file = 0; file < SETUP_FILE_COUNT; file++) {
        struct paths p;
        DWORD error = find_paths(s, file, &p);
        if (error == 0 && !exists(p.source)) {
            plan_note_format(note, "%s", setup_utf8(p.source, p.utf8, sizeof(p.utf8)));
            error = ERROR_FILE_NOT_FOUND;
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

// --- comparing -----------------------------------------------------------------------------------

static bool is_same_rest(FILE *a, FILE *b)
{
    static char x[65536], y[65536];
    size_t n;
    do {
        n = fread(x, 1, sizeof(x), a);
        if (fread(y, 1, sizeof(y), b) != n || memcmp(x, y, n) != 0) {
            return false;
        }
    } while (n == sizeof(x));
    return ferror(a) == 0 && ferror(b) == 0;
}

static bool is_same_content(const wchar_t *a, const wchar_t *b)
{
    FILE *x = _wfopen(a, L"rb"), *y = _wfopen(b, L"rb");
    bool same = x != NULL && y != NULL && is_same_rest(x, y);
    if (x != NULL) {
        fclose(x);
    }
    if (y != NULL) {
        fclose(y);
    }
    return same;
}

// Against the package this program belongs to, if it is one: the installed copy has none beside it.
enum plan_state setup_file_check(void *user, uint32_t file, struct plan_note *note)
{
    struct paths p;
    if (find_paths(user, file, &p) != 0) {
        return PLAN_ABSENT;
    }
    plan_note_format(note, "%s", p.utf8);
    if (!exists(p.target)) {
        return PLAN_ABSENT;
    }
    return exists(p.source) && !is_same_content(p.source, p.target) ? PLAN_DIFFERENT : PLAN_PRESENT;
}

// --- steps ---------------------------------------------------------------------------------------

static DWORD last_error(BOOL done)
{
    return done ? 0 : GetLastError();
}

static DWORD bring_back(const struct paths *p, bool existed)
{
    if (exists(p->target) && !DeleteFileW(p->target)) {
        return GetLastError();
    }
    return existed ? last_error(MoveFileExW(p->previous, p->target, MOVEFILE_REPLACE_EXISTING)) : 0;
}

static DWORD copy(const struct paths *p)
{
    if (!CopyFileW(p->source, p->target, TRUE)) {
        return GetLastError();
    }
    SetFileAttributesW(p->target, FILE_ATTRIBUTE_NORMAL); // the package may be read-only
    return 0;
}

uint32_t setup_file_apply(void *user, uint32_t file, struct plan_note *note)
{
    struct setup *s = user;
    struct paths p;
    DWORD error = find_paths(s, file, &p);
    if (error != 0) {
        return error;
    }
    plan_note_format(note, stays_where_it_is(s, file) ? "%s, used where it is" : "%s", p.utf8);
    if (stays_where_it_is(s, file)) {
        return exists(p.target) ? 0 : ERROR_FILE_NOT_FOUND;
    }
    s->file_existed[file] = exists(p.target);
    if (s->file_existed[file] && !MoveFileExW(p.target, p.previous, MOVEFILE_REPLACE_EXISTING)) {
        return GetLastError();
    }
    error = copy(&p);
    if (error != 0) {
        (void)bring_back(&p, s->file_existed[file]); // the first error is the one to tell
    }
    return error;
}

uint32_t setup_file_revert(void *user, uint32_t file, struct plan_note *note)
{
    struct setup *s = user;
    struct paths p;
    if (stays_where_it_is(s, file) || find_paths(s, file, &p) != 0) {
        return 0;
    }
    plan_note_format(note, "%s", p.utf8);
    return bring_back(&p, s->file_existed[file]);
}

void setup_file_commit(void *user, uint32_t file)
{
    struct paths p;
    if (!stays_where_it_is(user, file) && find_paths(user, file, &p) == 0 && exists(p.previous) &&
        !DeleteFileW(p.previous)) {
        MoveFileExW(p.previous, NULL, MOVEFILE_DELAY_UNTIL_REBOOT); // e.g. a DLL that a program still uses
    }
}

// A running program cannot delete itself: Windows does it at the next start.
static DWORD delete_file(const struct setup *s, const wchar_t *path, struct plan_note *note)
{
    if (!exists(path) || DeleteFileW(path)) {
        return 0;
    }
    DWORD error = GetLastError();
    if (_wcsicmp(path, s->self) != 0 || !MoveFileExW(path, NULL, MOVEFILE_DELAY_UNTIL_REBOOT)) {
        return error;
    }
    plan_note_format(note, "this program itself goes when Windows starts the next time");
    note->tolerated = true;
    return 0;
}

uint32_t setup_file_remove(void *user, uint32_t file, struct plan_note *note)
{
    struct setup *s = user;
    struct paths p;
    DWORD error = find_paths(s, file, &p);
    if (error != 0) {
        return error;
    }
    plan_note_format(note, stays_where_it_is(s, file) ? "%s, stays" : "%s", p.utf8);
    if (stays_where_it_is(s, file)) {
        return 0;
    }
    error = delete_file(s, p.previous, note); // of an installation that was cut off
    return error != 0 ? error : delete_file(s, p.target, note);
}

// --- the folder ----------------------------------------------------------------------------------

static bool folder_exists(const struct setup *s)
{
    DWORD attributes = GetFileAttributesW(s->folder);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

static void name_folder(const struct setup *s, struct plan_note *note)
{
    setup_utf8(s->folder, note->text, sizeof(note->text));
}

enum plan_state setup_folder_check(void *user, uint32_t unused, struct plan_note *note)
{
    UNUSED(unused);
    name_folder(user, note);
    return folder_exists(user) ? PLAN_PRESENT : PLAN_ABSENT;
}

uint32_t setup_folder_apply(void *user, uint32_t unused, struct plan_note *note)
{
    struct setup *s = user;
    UNUSED(unused);
    name_folder(s, note);
    s->folder_existed = folder_exists(s);
    return s->folder_existed ? 0 : last_error(CreateDirectoryW(s->folder, NULL));
}

uint32_t setup_folder_revert(void *user, uint32_t unused, struct plan_note *note)
{
    struct setup *s = user;
    UNUSED(unused);
    name_folder(s, note);
    return s->folder_existed ? 0 : last_error(RemoveDirectoryW(s->folder));
}

uint32_t setup_folder_remove(void *user, uint32_t unused, struct plan_note *note)
{
    struct setup *s = user;
    UNUSED(unused);
    name_folder(s, note);
    if (s->in_place || !folder_exists(s) || RemoveDirectoryW(s->folder)) {
        return 0;
    }
    DWORD error = GetLastError();
    if (error != ERROR_DIR_NOT_EMPTY) {
        return error;
    }
    note->tolerated = true;
    if (_wcsicmp(s->source, s->folder) == 0) { // nothing but this program is left, as far as we know
        return last_error(MoveFileExW(s->folder, NULL, MOVEFILE_DELAY_UNTIL_REBOOT));
    }
    plan_note_format(note, "not empty: it stays");
    return 0;
}
