// SPDX-License-Identifier: MIT
// setup_registry: the values that an installation sets below HKEY_LOCAL_MACHINE: the record of itself, the
// netsh helper, the folder in PATH, the driver's parameter. What a value was before is kept until all is
// done. Keys that are only ours go with their last value.
#include <stdio.h>
#include <stdlib.h>

#include "hosts/setup.h"
#include "hosts/setup_path.h"

#define RECORD      L"SOFTWARE\\eBPF for Windows in C"
#define NETSH       L"SOFTWARE\\Microsoft\\NetSh"
#define ENVIRONMENT L"SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment"
#define PARAMETERS                                                                                           \
    L"SYSTEM\\CurrentControlSet\\Services\\"                                                                 \
    L"" NAME_DRIVER L"\\Parameters"
#define MAX_VALUE (64u << 10) // bytes; PATH may have 32767 characters

static const struct {
    const wchar_t *key, *name;
    DWORD type;
    bool own_key; // goes when it is empty
} rows[] = {
    [SETUP_VALUE_VERSION] = {RECORD, L"Version", REG_SZ, true},
    [SETUP_VALUE_FOLDER] = {RECORD, L"Folder", REG_SZ, true},
    [SETUP_VALUE_IN_PLACE] = {RECORD, L"InPlace", REG_DWORD, true},
    [SETUP_VALUE_NETSH] = {NETSH, L"ebpfnetsh", REG_SZ, true},
    [SETUP_VALUE_PATH] = {ENVIRONMENT, L"Path", REG_EXPAND_SZ, false},
    [SETUP_VALUE_PARAMETER] = {PARAMETERS, L"VerdictFromAdministrators", REG_DWORD, true},
};

// --- reading and writing -------------------------------------------------------------------------

// A value's bytes, malloc'ed with two bytes of zeros behind them. ERROR_FILE_NOT_FOUND: there is none.
static DWORD read_value(uint32_t value, DWORD *type, DWORD *size, BYTE **out)
{
    HKEY key;
    *size = MAX_VALUE;
    DWORD error = (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, rows[value].key, 0, KEY_QUERY_VALUE, &key);
    if (error != 0) {
        return error;
    }
    BYTE *data = calloc(1, MAX_VALUE + sizeof(wchar_t));
    error = data == NULL ? ERROR_NOT_ENOUGH_MEMORY
                         : (DWORD)RegQueryValueExW(key, rows[value].name, NULL, type, data, size);
    RegCloseKey(key);
    if (error != 0) {
        free(data);
        return error;
    }
    *out = data;
    return 0;
}

static bool read_text(uint32_t value, wchar_t *out, size_t characters)
{
    DWORD type, size;
    BYTE *data;
    if (read_value(value, &type, &size, &data) != 0) {
        return false;
    }
    bool fits = (type == REG_SZ || type == REG_EXPAND_SZ) && wcslen((wchar_t *)data) < characters;
    if (fits) {
        wcscpy(out, (wchar_t *)data);
    }
    free(data);
    return fits;
}

static bool read_number(uint32_t value, DWORD *out)
{
    DWORD type, size;
    BYTE *data;
    if (read_value(value, &type, &size, &data) != 0) {
        return false;
    }
    bool fits = type == REG_DWORD && size == sizeof(*out);
    if (fits) {
        memcpy(out, data, sizeof(*out));
    }
    free(data);
    return fits;
}

static bool key_exists(uint32_t value)
{
    HKEY key;
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, rows[value].key, 0, KEY_QUERY_VALUE, &key) != 0) {
        return false;
    }
    RegCloseKey(key);
    return true;
}

static DWORD write_value(uint32_t value, DWORD type, const void *data, DWORD size)
{
    HKEY key;
    DWORD error = (DWORD)RegCreateKeyExW(HKEY_LOCAL_MACHINE, rows[value].key, 0, NULL, 0, KEY_SET_VALUE, NULL,
                                         &key, NULL);
    if (error != 0) {
        return error;
    }
    error = (DWORD)RegSetValueExW(key, rows[value].name, 0, type, data, size);
    RegCloseKey(key);
    return error;
}

static void delete_key_if_empty(uint32_t value)
{
    HKEY key;
    DWORD keys = 1, values = 1;
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, rows[value].key, 0, KEY_READ, &key) != 0) {
        return;
    }
    (void)RegQueryInfoKeyW(key, NULL, NULL, NULL, &keys, NULL, NULL, &values, NULL, NULL, NULL, NULL);
    RegCloseKey(key);
    if (keys == 0 && values == 0) {
        (void)RegDeleteKeyExW(HKEY_LOCAL_MACHINE, rows[value].key, 0, 0);
    }
}

static DWORD delete_value(uint32_t value, bool key_too)
{
    HKEY key;
    DWORD error = (DWORD)RegOpenKeyExW(HKEY_LOCAL_MACHINE, rows[value].key, 0, KEY_SET_VALUE, &key);
    if (error == 0) {
        error = (DWORD)RegDeleteValueW(key, rows[value].name);
        RegCloseKey(key);
    }
    if (key_too) {
        delete_key_if_empty(value);
    }
    return error == ERROR_FILE_NOT_FOUND ? 0 : error;
}

// --- what is wanted ------------------------------------------------------------------------------

// The value as it is to be, malloc'ed; NULL with *error 0: not at all.
static void *wanted(const struct setup *s, uint32_t value, DWORD *size, DWORD *error)
{
    const DWORD number = value == SETUP_VALUE_IN_PLACE ? s->in_place : 1;
    wchar_t text[SETUP_PATH] = L"" EBPF_VERSION;
    *error = 0;
    if (value == SETUP_VALUE_PARAMETER && !s->unrestricted) {
        return NULL;
    }
    if (value == SETUP_VALUE_FOLDER) {
        wcscpy(text, s->folder);
    } else if (value == SETUP_VALUE_NETSH) {
        *error = setup_join(text, s->folder, L"ebpfnetsh.dll");
    }
    *size =
        rows[value].type == REG_DWORD ? (DWORD)sizeof(number) : (DWORD)((wcslen(text) + 1) * sizeof(*text));
    void *data = *error == 0 ? malloc(*size) : NULL;
    if (data != NULL) {
        memcpy(data, rows[value].type == REG_DWORD ? (const void *)&number : text, *size);
    } else if (*error == 0) {
        *error = ERROR_NOT_ENOUGH_MEMORY;
    }
    return data;
}

// PATH with the folder or without it, of the type it has. The environment reaches new programs only.
static void announce_environment(void)
{
    DWORD_PTR unused;
    SendMessageTimeoutW(HWND_BROADCAST, WM_SETTINGCHANGE, 0, (LPARAM)L"Environment", SMTO_ABORTIFHUNG, 1000,
                        &unused);
}

static DWORD change_path(const struct setup *s, bool with)
{
    DWORD type = REG_EXPAND_SZ, size = 0, error;
    BYTE *old = NULL;
    error = read_value(SETUP_VALUE_PATH, &type, &size, &old);
    if (error != 0 && error != ERROR_FILE_NOT_FOUND) {
        return error;
    }
    const wchar_t *list = old != NULL ? (const wchar_t *)old : L"";
    error = 0;
    if (setup_path_contains(list, s->folder) != with) {
        wchar_t *list_new = malloc((wcslen(list) + wcslen(s->folder) + 2) * sizeof(wchar_t));
        if (list_new == NULL) {
            free(old);
            return ERROR_NOT_ENOUGH_MEMORY;
        }
        (with ? setup_path_add : setup_path_remove)(list, s->folder, list_new);
        error =
            write_value(SETUP_VALUE_PATH, type, list_new, (DWORD)((wcslen(list_new) + 1) * sizeof(wchar_t)));
        free(list_new);
        announce_environment();
    }
    free(old);
    return error;
}

// --- steps ---------------------------------------------------------------------------------------

void setup_record_read(struct setup *s)
{
    wchar_t version[32] = L"?";
    DWORD in_place = 0;
    s->installed = read_text(SETUP_VALUE_FOLDER, s->installed_folder, SETUP_PATH);
    (void)read_text(SETUP_VALUE_VERSION, version, ARRAY_SIZE(version));
    setup_utf8(version, s->installed_version, sizeof(s->installed_version));
    if (s->installed && s->options->verb != SETUP_INSTALL) {
        wcscpy(s->folder, s->installed_folder);
        s->in_place = read_number(SETUP_VALUE_IN_PLACE, &in_place) && in_place != 0;
    } else if (s->installed) {
        s->installed_in_place = read_number(SETUP_VALUE_IN_PLACE, &in_place) && in_place != 0;
    }
}

static void save(struct setup *s, uint32_t value)
{
    struct setup_saved_value *v = &s->values[value];
    v->key_existed = key_exists(value);
    v->existed = read_value(value, &v->type, &v->size, &v->data) == 0;
}

enum plan_state setup_value_check(void *user, uint32_t value, struct plan_note *note)
{
    struct setup *s = user;
    DWORD type, size, wanted_size, error;
    BYTE *data;
    plan_note_format(note, "%s", value == SETUP_VALUE_PATH ? "PATH" : "registry");
    if (read_value(value, &type, &size, &data) != 0) {
        return PLAN_ABSENT;
    }
    enum plan_state state = PLAN_PRESENT;
    if (value == SETUP_VALUE_PATH) {
        state = setup_path_contains((wchar_t *)data, s->folder) ? PLAN_PRESENT : PLAN_ABSENT;
    } else if (value != SETUP_VALUE_PARAMETER) {
        void *should = wanted(s, value, &wanted_size, &error);
        bool same = should != NULL && size == wanted_size && memcmp(data, should, size) == 0;
        state = same ? PLAN_PRESENT : PLAN_DIFFERENT;
        free(should);
    }
    free(data);
    return state;
}

uint32_t setup_value_apply(void *user, uint32_t value, struct plan_note *note)
{
    struct setup *s = user;
    DWORD size = 0, error;
    UNUSED(note);
    save(s, value);
    if (value == SETUP_VALUE_PATH) {
        return change_path(s, true);
    }
    void *data = wanted(s, value, &size, &error);
    if (data != NULL) {
        error = write_value(value, rows[value].type, data, size);
        free(data);
    } else if (error == 0) {
        error = delete_value(value, rows[value].own_key);
    }
    return error == ERROR_PATH_NOT_FOUND ? 0 : error;
}

uint32_t setup_value_revert(void *user, uint32_t value, struct plan_note *note)
{
    struct setup *s = user;
    struct setup_saved_value *v = &s->values[value];
    UNUSED(note);
    DWORD error =
        v->existed ? write_value(value, v->type, v->data, v->size) : delete_value(value, !v->key_existed);
    setup_value_commit(s, value);
    return error;
}

void setup_value_commit(void *user, uint32_t value)
{
    struct setup *s = user;
    free(s->values[value].data);
    s->values[value].data = NULL;
}

uint32_t setup_value_remove(void *user, uint32_t value, struct plan_note *note)
{
    UNUSED(note);
    return value == SETUP_VALUE_PATH ? change_path(user, false) : delete_value(value, rows[value].own_key);
}
