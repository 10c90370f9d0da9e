// SPDX-License-Identifier: MIT
// netsh_double: a netsh.exe for tests. It exports what helpers import from netsh.exe, loads ebpfnetsh.dll
// from its own folder as netsh does it, and dispatches by the tables that the helper has registered. Real
// behaviour beyond Microsoft's documentation is not imitated.
//
// NETSH_DOUBLE=long: as builds of Windows whose command entries are one pointer longer, and which refuse
// shorter ones.
#define NETSH_API __declspec(dllexport)
#include "hosts/netsh_api.h"

#include <fcntl.h>
#include <io.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/netsh/netsh_shell.h"

#define MAX_WORDS 32

static struct netsh_helper_attributes helper;
static struct netsh_context_attributes context;
static HMODULE module;
static bool long_entries;

// --- what the helper calls -----------------------------------------------------------------------

DWORD WINAPI RegisterHelper(const GUID *parent, const struct netsh_helper_attributes *attributes)
{
    static const GUID root;
    if (memcmp(parent, &root, sizeof(root)) != 0 || attributes->start == NULL) {
        return ERROR_INVALID_PARAMETER;
    }
    helper = *attributes;
    return NO_ERROR;
}

static const struct netsh_cmd_entry *entry_at(const struct netsh_cmd_group *group, ULONG i)
{
    size_t size = long_entries ? sizeof(struct netsh_cmd_entry_long) : sizeof(struct netsh_cmd_entry);
    return (const struct netsh_cmd_entry *)((const char *)group->entries + i * size);
}

// Entries of the wrong size have no flags where flags are.
static bool entries_are_ours(const struct netsh_context_attributes *attributes)
{
    for (ULONG g = 0; g < attributes->group_count; g++) {
        for (ULONG i = 0; i < attributes->groups[g].size; i++) {
            if (entry_at(&attributes->groups[g], i)->flags != NETSH_CMD_PRIVATE) {
                return false;
            }
        }
    }
    return true;
}

DWORD WINAPI RegisterContext(const struct netsh_context_attributes *attributes)
{
    if (memcmp(&attributes->helper, &helper.helper, sizeof(GUID)) != 0 || !entries_are_ours(attributes)) {
        return ERROR_INVALID_PARAMETER;
    }
    context = *attributes;
    return NO_ERROR;
}

static void put(const WCHAR *wide)
{
    char text[32768] = "";
    WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, sizeof(text), NULL, NULL);
    for (const char *c = text; *c != 0; c++) {
        if (*c != '\r') { // FormatMessage ends the lines of its format so
            fputc(*c, stdout);
        }
    }
}

static DWORD put_message(LPCWSTR format, va_list *arguments)
{
    static WCHAR text[16384];
    DWORD size = FormatMessageW(FORMAT_MESSAGE_FROM_STRING, format, 0, 0, text, 16384, arguments);
    if (size != 0) {
        put(text);
    }
    return size;
}

DWORD __cdecl PrintMessage(LPCWSTR format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    DWORD size = put_message(format, &arguments);
    va_end(arguments);
    return size;
}

// --- help from the helper's strings --------------------------------------------------------------

static void put_string(DWORD id, ...)
{
    static WCHAR format[8192];
    va_list arguments;
    if (LoadStringW(module, id, format, 8192) == 0) {
        printf("(no string %lu)\n", id);
        return;
    }
    va_start(arguments, id);
    put_message(format, &arguments);
    va_end(arguments);
}

static void put_usage(const struct netsh_cmd_group *group, const struct netsh_cmd_entry *entry)
{
    WCHAR name[128];
    swprintf(name, 128, L"%ls %ls", group->token, entry->token);
    put_string(entry->usage, name);
}

static void list(const struct netsh_cmd_group *group)
{
    for (ULONG i = 0; i < group->size; i++) {
        PrintMessage(L"%1!s! %2!s! - ", group->token, entry_at(group, i)->token);
        put_string(entry_at(group, i)->brief);
    }
}

// --- dispatch ------------------------------------------------------------------------------------

static bool matches(const char *typed, LPCWSTR word)
{
    char text[64];
    return WideCharToMultiByte(CP_UTF8, 0, word, -1, text, sizeof(text), NULL, NULL) > 0 &&
           shell_matches(typed, text);
}

static unsigned call(const struct netsh_cmd_entry *entry, int count, char **words)
{
    WCHAR *wide[MAX_WORDS];
    BOOL done = FALSE;
    for (int i = 0; i < count; i++) {
        int size = MultiByteToWideChar(CP_UTF8, 0, words[i], -1, NULL, 0);
        wide[i] = calloc((size_t)size, sizeof(WCHAR));
        MultiByteToWideChar(CP_UTF8, 0, words[i], -1, wide[i], size);
    }
    unsigned status = entry->handler(NULL, wide, 3, (DWORD)count, 0, NULL, &done);
    for (int i = 0; i < count; i++) {
        free(wide[i]);
    }
    return status;
}

static unsigned run_entry(const struct netsh_cmd_group *group, const struct netsh_cmd_entry *entry, int count,
                          char **words)
{
    if (count == 4 && shell_asks_help(words[3])) {
        put_usage(group, entry);
        return NO_ERROR;
    }
    unsigned status = call(entry, count, words);
    if (status == 15001 || status == 15011) { // ERROR_INVALID_SYNTAX, ERROR_MISSING_OPTION
        put_usage(group, entry);
    }
    return status;
}

static unsigned run_group(const struct netsh_cmd_group *group, int count, char **words)
{
    if (count == 2 || (count == 3 && shell_asks_help(words[2]))) {
        list(group);
        return NO_ERROR;
    }
    for (ULONG i = 0; i < group->size; i++) {
        if (matches(words[2], entry_at(group, i)->token)) {
            return run_entry(group, entry_at(group, i), count, words);
        }
    }
    return 15004; // ERROR_CMD_NOT_FOUND
}

unsigned shell_run(int count, char **words)
{
    if (count < 2 || count > MAX_WORDS || !matches(words[0], context.context)) {
        return 15004;
    }
    for (ULONG i = 0; i < context.group_count; i++) {
        if (matches(words[1], context.groups[i].token)) {
            return run_group(&context.groups[i], count, words);
        }
    }
    return 15004;
}

// --- start ---------------------------------------------------------------------------------------

static DWORD load_helper(void)
{
    static const GUID root;
    module = LoadLibraryW(L"ebpfnetsh.dll");
    if (module == NULL) {
        return GetLastError();
    }
    DWORD(WINAPI * init)(DWORD, void *) = (void *)GetProcAddress(module, "InitHelperDll");
    if (init == NULL) {
        return GetLastError();
    }
    DWORD status = init(0x5000, NULL); // NETSH_VERSION_50
    return status == NO_ERROR ? helper.start(&root, 1) : status;
}

int main(int argc, char **argv)
{
    const char *kind = getenv("NETSH_DOUBLE");
    long_entries = kind != NULL && strcmp(kind, "long") == 0;
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    DWORD status = load_helper();
    if (status != NO_ERROR) {
        printf("ebpfnetsh.dll cannot be used: error %lu\n", status);
        return 1;
    }
    int result = shell_main(argc, argv);
    helper.stop(0);
    return result;
}
